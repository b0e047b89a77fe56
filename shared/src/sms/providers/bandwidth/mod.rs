//! Bandwidth: SMS, MMS and RCS (which it calls RBM).
//!
//! | limit | value | source |
//! |---|---|---|
//! | time to answer | 10 s | <https://dev.bandwidth.com/docs/messaging/webhooks/> |
//! | re-delivery | until 2xx, for 24 h; at least once | the same |
//! | credentials | HTTP Basic, set on the application; nothing is signed | <https://dev.bandwidth.com/docs/messaging/webhooks/> |
//! | text we send | 2048 characters | <https://dev.bandwidth.com/apis/messaging/> |
//! | media links | need the API's credentials, for 48 h | the same |
//!
//! A JSON *array* of events, by POST. Of a group MMS each number of ours gets a copy with an id of its own: `owner` is the
//! number that the copy is for. Field names are those of bandwidth-sdk 23.3.1 (`InboundCallback`).
//!
//! ```json
//! [{"type": "message-received", "time": "2026-09-21T14:13:19.123Z", "description": "Incoming message received",
//!   "to": "+12345678902",
//!   "message": {"id": "14762070468292kw2fuqty55yp2b2", "owner": "+12345678902", "applicationId": "93de2206-…",
//!               "time": "2026-09-21T14:13:18Z", "segmentCount": 1, "direction": "in", "to": ["+12345678902"],
//!               "from": "+12345678901", "text": "Hello agent", "media": ["https://messaging.bandwidth.com/api/v2/…"]}}]
//! ```
//!
//! `suggestion-response` is a tapped suggestion (`message.suggestionResponse`), `requested-location-response` a place
//! (`message.locationResponse`); `message-sending`, `-sent`, `-delivered`, `-failed` and `-read` report on ours. An event
//! that can't be read holds up none of the others.
//!
//! A text is sent so, and answered 202 `{"id":"1589228074636lm4k2je7j7jklbn2","segmentCount":1,…}`, or
//! `{"type":"request-validation","description":"…","fieldErrors":[…]}`
//! (<https://dev.bandwidth.com/v2-messaging/codes.html>). `tag` comes back in the events about it. There is no idempotency key.
//!
//! ```text
//! POST https://messaging.bandwidth.com/api/v2/users/9900000/messages      Basic: API user and password
//! {"applicationId":"93de2206-…","from":"+12345678902","tag":"3b5f…","text":"Hello","to":["+12345678901"]}
//! ```

mod statuses;

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    error::{Error, Kind, Result},
    fields::Fields,
    secret::Secret,
    sms::{
        basic::{self, BasicCredentials},
        contract::{Facts, Provider},
        event::{Event, Ignored},
        media::{File, MediaRequest, MediaSource, SendFile},
        message::{Channel, Location, Media, Message, utc},
        segments::Limit,
        send::{ApiCall, HttpRequest, NotTaken, Outbound, Reason, Taken, code_at, misconfigured},
        webhook::{Proof, Proved, Rejection, Webhook},
    },
};

/// See the page's table.
const LIMIT: Limit = Limit::Units(2048);

pub(super) const FACTS: Facts = Facts { challenge: Some(basic::CHALLENGE), ..Facts::new("bandwidth") };

/// What a Bandwidth account has.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Come with webhooks.
    pub callback: BasicCredentials,
    /// In the path of the send API.
    pub account_id: Option<String>,
    /// Sends, and tells accounts of the same credentials apart.
    pub application_id: Option<String>,
    /// Sends.
    pub api_username: Option<String>,
    /// Sends.
    pub api_password: Option<Secret>,
}

impl Credentials {
    pub(super) fn read(fields: &Fields<'_>) -> Self {
        let credentials = Self {
            callback: BasicCredentials::read(fields),
            account_id: fields.text("account_id"),
            application_id: fields.text("application_id"),
            api_username: fields.text("api_username"),
            api_password: fields.secret("api_password"),
        };
        fields.warn_of_missing(
            &["api_username", "api_password"],
            &["account_id", "application_id", "api_username", "api_password"],
        );
        credentials
    }
}

impl Credentials {
    /// The request that sends a text, or a file.
    fn message(&self, outbound: &Outbound<'_>, name: &str, content: &Value) -> Result<ApiCall> {
        let (Some(account), Some(application), Some(user), Some(password)) =
            (&self.account_id, &self.application_id, &self.api_username, &self.api_password)
        else {
            return Err(misconfigured("account_id, application_id, api_username or api_password is missing"));
        };
        if !account.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(misconfigured("account_id can't stand in a URL"));
        }
        let body = json!({
            "applicationId": application, "from": outbound.from, "to": [outbound.to], name: content,
            "tag": outbound.key,
        });
        HttpRequest::json("https://messaging.bandwidth.com", format!("/api/v2/users/{account}/messages"), &body)
            .basic(user, password)
            .map(ApiCall::Http)
    }
}

impl Provider for Credentials {
    fn verify(&self, webhook: &Webhook) -> Result<Proof, Rejection> {
        self.callback.verify(webhook)
    }

    /// <https://dev.bandwidth.com/docs/messaging/webhooks/>
    fn parse(&self, proved: &Proved<'_>) -> Result<Vec<Event>> {
        let events = match proved.json()? {
            Value::Array(events) => events,
            // Whoever unpacks the array in front of us.
            event @ Value::Object(_) => vec![event],
            _ => return Err(Error::new(Kind::Validation, "The body is not the list that Bandwidth sends")),
        };
        let is_batch = events.len() > 1;
        let read = |event: &Value| match read(event, proved) {
            Err(_) if is_batch => Ok(Event::ignored(Ignored::Malformed)),
            outcome => outcome,
        };
        events.iter().map(read).collect()
    }

    fn is_named(&self, _: &Proved<'_>, message: &Message) -> Option<bool> {
        Some(self.application_id.as_deref()? == message.account.as_deref()?)
    }

    fn limit(&self, _: Channel) -> Limit {
        LIMIT
    }

    /// The request that sends a text.
    fn request(&self, outbound: &Outbound<'_>) -> Result<ApiCall> {
        self.message(outbound, "text", &json!(outbound.text))
    }

    fn medium(&self, media: &Media, _: Option<&str>) -> Result<Option<MediaSource>> {
        let Some(url) = &media.url else { return Ok(None) };
        let request = MediaRequest::open(url).at_hosts(["messaging.bandwidth.com"]);
        Ok(Some(MediaSource::Http(request.basic(self.api_username.as_deref(), self.api_password.as_ref()))))
    }

    /// <https://dev.bandwidth.com/apis/messaging/>: `media`.
    fn send_file(&self, outbound: &Outbound<'_>, file: &File<'_>) -> Result<SendFile> {
        self.message(outbound, "media", &json!([file.url])).map(SendFile::Call)
    }

    /// What the answer means. "Any 4xx or 5xx HTTP response code will not be billed nor will the message be sent":
    /// <https://dev.bandwidth.com/v2-messaging/codes.html>.
    fn read_answer(&self, status: StatusCode, body: &[u8]) -> Result<Taken, NotTaken> {
        NotTaken::read(status, code_at(body, "/type"), |code| match code {
            "max-message-queue-size-exceeded" | "too-many-requests" => Some(Reason::Throttled),
            "unauthorized" | "forbidden" => Some(Reason::Misconfigured),
            _ => None,
        })
        .map(|()| Taken::at(body, "/id"))
    }
}

fn filled<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str().map(str::trim).filter(|text| !text.is_empty())
}

fn read(event: &Value, proved: &Proved<'_>) -> Result<Event> {
    let missing = |field: &'static str| Error::invalid(field, "is missing");
    let kind = filled(event, "type").ok_or_else(|| missing("type"))?;
    let is_tap = kind == "suggestion-response";
    let is_place = kind == "requested-location-response";
    if kind != "message-received" && !is_tap && !is_place {
        return Ok(if kind.starts_with("message-") {
            statuses::read(kind, event)
        } else {
            Event::ignored(Ignored::OtherEvent)
        });
    }
    let body = event.get("message").filter(|message| message.is_object()).ok_or_else(|| missing("message"))?;
    if filled(body, "direction").is_some_and(|direction| !direction.eq_ignore_ascii_case("in")) {
        return Ok(Event::ignored(Ignored::Outbound));
    }
    let everyone: Vec<String> = body.get("to").map(addresses).unwrap_or_default();
    let media: Vec<Media> =
        body.get("media").and_then(Value::as_array).into_iter().flatten().filter_map(medium).collect();
    let channel = match filled(body, "channel").map(str::to_ascii_uppercase).as_deref() {
        Some("RBM" | "RCS") => Channel::Rcs,
        _ if is_tap || is_place => Channel::Rcs,
        Some("MMS") => Channel::Mms,
        _ if media.is_empty() && everyone.len() < 2 => Channel::Sms,
        _ => Channel::Mms,
    };
    let id = filled(body, "id").ok_or_else(|| missing("message.id"))?;
    let from = filled(body, "from").ok_or_else(|| missing("message.from"))?;
    let listed = || everyone.iter().find(|address| proved.lists(address)).or_else(|| everyone.first());
    let ours = filled(body, "owner")
        .or_else(|| filled(event, "to"))
        .or_else(|| listed().map(String::as_str))
        .ok_or_else(|| missing("message.owner"))?;

    let mut message = Message::new("bandwidth", channel, id, from, ours);
    let text = body.get("text").or_else(|| body.pointer("/content/text"));
    text.and_then(Value::as_str).unwrap_or_default().clone_into(&mut message.text);
    message.media = media;
    message.received_at = received_at(body, event);
    message.segments = body.get("segmentCount").and_then(Value::as_u64).and_then(|count| count.try_into().ok());
    message.account = filled(body, "applicationId").map(str::to_owned);
    if let Some(tap) = body.get("suggestionResponse") {
        message.button_payload = filled(tap, "postbackData").map(str::to_owned);
        message.in_reply_to = filled(tap, "pairedMessageId").map(str::to_owned);
        if message.text.trim().is_empty() {
            message.text = filled(tap, "text").unwrap_or_default().to_owned();
        }
    }
    message.location = body.get("locationResponse").and_then(location);
    message.to_all = (everyone.len() > 1).then_some(everyone);
    let parts = ["text", "content", "media", "suggestionResponse", "locationResponse"];
    parts.iter().filter_map(|name| body.get(name)).for_each(|part| message.describe_unread(part));
    Ok(message.into())
}

/// Each once, in their order. One alone may come as a text.
fn addresses(to: &Value) -> Vec<String> {
    let mut addresses: Vec<String> = Vec::new();
    let all = to.as_array().map_or_else(|| std::slice::from_ref(to), Vec::as_slice);
    for address in all.iter().filter_map(Value::as_str).map(str::trim).filter(|address| !address.is_empty()) {
        if !addresses.iter().any(|known| known == address) {
            addresses.push(address.to_owned());
        }
    }
    addresses
}

fn medium(url: &Value) -> Option<Media> {
    let url = url.as_str().filter(|url| !url.trim().is_empty())?;
    Some(Media { url: Some(url.to_owned()), ..Media::default() })
}

/// When the message came, else when the event was made.
fn received_at(message: &Value, event: &Value) -> Option<String> {
    [message, event].into_iter().find_map(|object| filled(object, "time")?.parse::<Timestamp>().ok()).map(utc)
}

/// Degrees come as texts.
fn location(place: &Value) -> Option<Location> {
    let degrees = |name: &str, limit: f64| {
        let value = place.get(name)?;
        let degrees = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
        (-limit..=limit).contains(&degrees).then_some(degrees)
    };
    Some(Location {
        latitude: degrees("latitude", 90.0)?,
        longitude: degrees("longitude", 180.0)?,
        name: None,
        address: None,
    })
}

#[cfg(test)]
mod tests;
