//! Infobip: SMS and MMS.
//!
//! | limit | value | source |
//! |---|---|---|
//! | time to answer | not documented | |
//! | re-delivery | after any answer but 2xx; how often and how long is not documented. Infobip does not keep webhooks | <https://www.infobip.com/docs/developer-resources/api-fundamentals/webhooks> |
//! | signature | none that is documented: HTTP Basic authentication, set in the profile of the subscription | the same |
//! | messages in a webhook | several; delivery reports at most 100 | <https://www.infobip.com/docs/api/channels/sms/inbound-sms/receive-inbound-sms-messages> |
//! | text we send | not documented; we send at most 10 segments | |
//! | our message id | at most 200 characters | infobip-api-python-client 6.0.0, `SmsDestination` |
//!
//! Always JSON by POST. Long messages come already joined. `cleanText` is the text without the keyword, so it is not kept.
//!
//! ```json
//! {"results": [{"messageId": "817790313235066447", "from": "385916242493", "to": "385921004026", "text": "Hello agent",
//!               "cleanText": "Hello agent", "keyword": "HELLO", "receivedAt": "2026-09-21T14:13:18.000+0000",
//!               "smsCount": 1, "price": {"pricePerMessage": 0, "currency": "EUR"}, "callbackData": "cb"}],
//!  "messageCount": 1, "pendingMessageCount": 0}
//! ```
//!
//! An MMS has no `text` but `"message": [{"contentType": "text/plain", "value": "Look"}, {"contentType": "image/jpeg",
//! "url": "https://…"}]`; who fetches the media shows the API key. Numbers have no '+'. `receivedAt` has an offset without a
//! colon. An id may come as a number, and has more digits than a double can hold: it is kept digit for digit.
//!
//! The credentials prove the sender, not the content: the URL must be https, as the gateway's are. A message that can't be
//! read fails the webhook only if no other in it can, since Infobip would send all of them again.
//!
//! A text is sent so (infobip-api-python-client 6.0.0, `SmsApi.send_sms_messages`), and answered 200, also where it is
//! refused: `{"messages":[{"messageId":"…","status":{"groupId":1,"groupName":"PENDING","id":26,"name":"PENDING_ACCEPTED"}}]}`
//! (<https://www.infobip.com/docs/developer-resources/api-fundamentals/message-status-codes>). Other failures are 4xx with
//! `{"errorCode":"E400","description":"…"}`, older ones `{"requestError":{"serviceException":{"messageId":"…"}}}`.
//!
//! ```text
//! POST https://xyz.api.infobip.com/sms/3/messages      Authorization: App <API key>
//! {"messages":[{"content":{"text":"Hello"},"destinations":[{"messageId":"3b5f…","to":"385916242493"}],"sender":"385921004026"}]}
//! ```
//!
//! The id is ours, and a second message of the same id is `REJECTED_DUPLICATE_MESSAGE_ID`: then Infobip has the first. For
//! how long it knows an id is not documented, so that is not relied on.

mod statuses;

use http::{StatusCode, header::AUTHORIZATION};
use jiff::{Timestamp, Zoned};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use crate::{
    error::{Error, Result},
    fields::Fields,
    secret::Secret,
    sms::{
        basic::{self, BasicCredentials},
        contract::{Facts, Provider},
        event::{Event, Ignored},
        lines,
        media::{File, MediaRequest, MediaSource, SendFile},
        message::{Channel, Media, Message, plus},
        segments::Limit,
        send::{ApiCall, HttpRequest, NotTaken, Outbound, Reason, Taken, add, code_at, misconfigured, without_plus},
        webhook::{Proof, Proved, Rejection, Webhook},
    },
    url::BaseUrl,
};

/// Works for every account; its own is faster, and goes on where this one is moved.
const HOST: &str = "https://api.infobip.com";

pub(super) const FACTS: Facts = Facts { challenge: Some(basic::CHALLENGE), ..Facts::new("infobip") };

/// What an Infobip account has.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Shown by webhooks.
    pub basic: BasicCredentials,
    /// The account's own host.
    pub base_url: Option<String>,
    /// Sends.
    pub api_key: Option<Secret>,
}

impl Credentials {
    pub(super) fn read(fields: &Fields<'_>) -> Self {
        Self { basic: BasicCredentials::read(fields), base_url: read_host(fields), api_key: fields.secret("api_key") }
    }
}

/// Infobip's pages show it without a scheme.
fn read_host(fields: &Fields<'_>) -> Option<String> {
    let text = fields.text("base_url")?;
    let url = if text.contains("://") { text } else { format!("https://{text}") };
    match BaseUrl::parse(&url) {
        Ok(url) if url.as_written().starts_with("https://") => Some(url.as_written()),
        Ok(_) => {
            fields.problem("base_url", "must be an https URL");
            None
        }
        Err(rule) => {
            fields.problem("base_url", &rule.to_string());
            None
        }
    }
}

impl Credentials {
    /// The request that sends a text, or a file.
    fn message(&self, path: &str, outbound: &Outbound<'_>, content: &Value) -> Result<ApiCall> {
        let key = self.api_key.as_ref().ok_or_else(|| misconfigured("api_key is missing"))?;
        let mut message = json!({
            "sender": without_plus(outbound.from),
            "destinations": [{ "to": without_plus(outbound.to), "messageId": outbound.key }],
            "content": content,
        });
        if let Some(url) = outbound.status_url {
            add(&mut message, "webhooks", json!({ "delivery": { "url": url } }));
        }
        let body = json!({ "messages": [message] });
        HttpRequest::json(self.base_url.as_deref().unwrap_or(HOST), path, &body)
            .header(AUTHORIZATION, &format!("App {}", key.expose()))
            .map(ApiCall::Http)
    }
}

impl Provider for Credentials {
    fn verify(&self, webhook: &Webhook) -> Result<Proof, Rejection> {
        self.basic.verify(webhook)
    }

    /// <https://www.infobip.com/docs/api/channels/sms/inbound-sms/receive-inbound-sms-messages>
    fn parse(&self, proved: &Proved<'_>) -> Result<Vec<Event>> {
        let Envelope { results } = proved.json()?;
        let mut events = Vec::new();
        let mut failure = None;
        for item in &results {
            match read(item) {
                Ok(event) => events.push(event),
                Err(error) => {
                    events.push(Event::ignored(Ignored::Malformed));
                    failure.get_or_insert(error);
                }
            }
        }
        match failure {
            Some(error) if events.iter().all(|event| matches!(event, Event::Ignored { .. })) => Err(error),
            _ => Ok(events),
        }
    }

    fn limit(&self, _: Channel) -> Limit {
        Limit::Segments(10)
    }

    /// The request that sends a text. A reply to an MMS is an SMS: it holds no media.
    fn request(&self, outbound: &Outbound<'_>) -> Result<ApiCall> {
        self.message("/sms/3/messages", outbound, &json!({ "text": outbound.text }))
    }

    fn medium(&self, media: &Media, _: Option<&str>) -> Result<Option<MediaSource>> {
        let Some(url) = &media.url else { return Ok(None) };
        let base = self.base_url.as_deref().unwrap_or(HOST);
        let host = base.strip_prefix("https://").unwrap_or(base).trim_end_matches('/');
        let request = MediaRequest::open(url).at_hosts([host]);
        let Some(key) = &self.api_key else { return Ok(Some(MediaSource::Http(request))) };
        Ok(Some(MediaSource::Http(request.authorized(&format!("App {}", key.expose())))))
    }

    /// <https://www.infobip.com/docs/api/channels/mms/send-mms-messages>
    fn send_file(&self, outbound: &Outbound<'_>, file: &File<'_>) -> Result<SendFile> {
        let segment = json!({ "type": "LINK", "contentType": file.content_type, "contentUrl": file.url });
        self.message("/mms/2/messages", outbound, &json!({ "messageSegments": [segment] })).map(SendFile::Call)
    }

    /// What the answer means, by <https://www.infobip.com/docs/essentials/api-essentials/response-status-and-error-codes>.
    fn read_answer(&self, status: StatusCode, body: &[u8]) -> Result<Taken, NotTaken> {
        let code = code_at(body, "/errorCode").or_else(|| code_at(body, "/requestError/serviceException/messageId"));
        NotTaken::read(status, code, |code| match code {
            "TOO_MANY_REQUESTS" => Some(Reason::Throttled),
            "UNAUTHORIZED" | "FORBIDDEN" => Some(Reason::Misconfigured),
            _ => None,
        })?;
        let taken = Taken::at(body, "/messages/0/messageId");
        let Some(group) = code_at(body, "/messages/0/status/groupName") else {
            // A refusal comes with a 200 too, so what can't be read may be either.
            return if taken.message_ids.is_empty() {
                Err(NotTaken { reason: Reason::Unknown, code: None })
            } else {
                Ok(taken)
            };
        };
        if !matches!(group.as_str(), "UNDELIVERABLE" | "EXPIRED" | "REJECTED") {
            return Ok(taken);
        }
        let name = code_at(body, "/messages/0/status/name").unwrap_or(group);
        let reason = match name.as_str() {
            // The id is ours, and this text's alone.
            "REJECTED_DUPLICATE_MESSAGE_ID" => return Ok(taken),
            "REJECTED_FLOODING_FILTER" => Reason::Throttled,
            "REJECTED_SYSTEM_ERROR" => Reason::Unavailable,
            // The sender, the money, or what the account may reach.
            "REJECTED_SENDER"
            | "REJECTED_SOURCE"
            | "REJECTED_NOT_ENOUGH_CREDITS"
            | "REJECTED_PREPAID_PACKAGE_EXPIRED"
            | "REJECTED_NETWORK"
            | "REJECTED_ROUTE_NOT_AVAILABLE"
            | "REJECTED_DESTINATION_NOT_REGISTERED" => Reason::Misconfigured,
            _ => Reason::Refused,
        };
        Err(NotTaken::new(reason, name))
    }
}

/// Each item is read by itself, so that one can't spoil the others.
#[derive(Deserialize)]
struct Envelope {
    results: Vec<Box<RawValue>>,
}

/// What a message can do without is a [`Value`]: a form of it that we don't know must not cost the message. What may be a
/// number of many digits is a [`RawValue`].
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    message_id: Option<Box<RawValue>>,
    from: Option<Box<RawValue>>,
    to: Option<Box<RawValue>>,
    text: Option<Box<RawValue>>,
    #[serde(default)]
    message: Value,
    #[serde(default)]
    keyword: Value,
    #[serde(default)]
    received_at: Value,
    #[serde(default)]
    sms_count: Value,
    #[serde(default)]
    status: Value,
    #[serde(default)]
    error: Value,
    #[serde(default)]
    done_at: Value,
    #[serde(default)]
    seen_at: Value,
    #[serde(default)]
    integration_type: Value,
}

fn read(item: &RawValue) -> Result<Event> {
    let item: Item =
        serde_json::from_str(item.get()).map_err(|_| Error::invalid("results", "has an item of another form"))?;
    let id = || item.message_id.as_deref().and_then(word);
    if item.status.is_object() {
        return Ok(statuses::read(id().as_deref(), &item.status, &item.error, &item.done_at));
    }
    if let Some(seen_at) = item.seen_at.as_str() {
        return Ok(statuses::seen(id().as_deref(), seen_at));
    }
    // WhatsApp, Viber and others have `message` as an object.
    if item.message.is_object() || !matches!(item.integration_type.as_str(), None | Some("SMS" | "MMS")) {
        return Ok(Event::ignored(Ignored::Channel));
    }
    let required = |value: Option<Box<RawValue>>, field: &'static str| {
        value.and_then(|value| word(&value)).ok_or_else(|| Error::invalid(field, "is missing"))
    };
    let message_id = required(item.message_id, "results.messageId")?;
    let from = plus(&required(item.from, "results.from")?);
    let to = plus(&required(item.to, "results.to")?);
    let raw: Value = item.text.as_ref().and_then(|text| serde_json::from_str(text.get()).ok()).unwrap_or_default();
    let content = match (&item.message, item.text) {
        (Value::Array(segments), _) => Content::of_segments(segments),
        (_, Some(text)) => Content::of_text(scalar(&text)),
        (_, None) => Content::of_text(Some(String::new())),
    };

    let channel = if item.message.is_array() { Channel::Mms } else { Channel::Sms };
    let mut message = Message::new("infobip", channel, message_id, from, to);
    message.text = content.text;
    if content.is_unsupported {
        message.describe(&lines::unsupported(Some(&raw).filter(|raw| !raw.is_string())));
    }
    message.media = content.media;
    message.received_at = item.received_at.as_str().and_then(read_time);
    message.segments = item.sms_count.as_u64().and_then(|count| count.try_into().ok());
    message.keyword = item.keyword.as_str().filter(|word| !word.trim().is_empty()).map(str::to_owned);
    Ok(message.into())
}

/// A text, or a number as it is written.
fn scalar(value: &RawValue) -> Option<String> {
    let written = value.get();
    match written.as_bytes().first()? {
        b'"' => serde_json::from_str(written).ok(),
        b'-' | b'0'..=b'9' => Some(written.to_owned()),
        _ => None,
    }
}

/// A scalar that is an id or an address.
fn word(value: &RawValue) -> Option<String> {
    let text = scalar(value)?;
    let is_number = !value.get().starts_with('"');
    // `8e17` is no id that anyone wrote.
    let is_whole = text.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.trim();
    (!text.is_empty() && (is_whole || !is_number)).then(|| text.to_owned())
}

/// `2026-09-21T14:13:18.000+0000`, which RFC 3339 would write with a colon in the offset. Infobip's own milliseconds stay.
fn read_time(text: &str) -> Option<String> {
    let time = text
        .parse::<Timestamp>()
        .or_else(|_| Zoned::strptime("%Y-%m-%dT%H:%M:%S%.f%z", text).map(|time| time.timestamp()));
    time.ok().map(|time| format!("{time:.3}"))
}

/// What a customer sent.
struct Content {
    text: String,
    media: Vec<Media>,
    /// There is something in it that can't be read.
    is_unsupported: bool,
}

impl Content {
    fn of_text(text: Option<String>) -> Self {
        Self { is_unsupported: text.is_none(), text: text.unwrap_or_default(), media: Vec::new() }
    }

    /// The parts of an MMS, in their order. What is neither text nor a link is said to be there.
    fn of_segments(segments: &[Value]) -> Self {
        let mut lines = Vec::new();
        let mut media = Vec::new();
        let mut is_unsupported = false;
        for segment in segments {
            let field = |name| segment.get(name).and_then(Value::as_str).filter(|text: &&str| !text.trim().is_empty());
            let content_type = field("contentType");
            let is = |prefix: &str| {
                content_type
                    .and_then(|kind| kind.get(..prefix.len()))
                    .is_some_and(|kind| kind.eq_ignore_ascii_case(prefix))
            };
            match (field("url"), field("value")) {
                (Some(url), _) => media.push(Media {
                    url: Some(url.to_owned()),
                    content_type: content_type.map(str::to_owned),
                    ..Media::default()
                }),
                // The layout, which says nothing to a reader.
                _ if is("application/smil") => {}
                (None, Some(value)) if content_type.is_none() || is("text/") => lines.push(value),
                (None, None) if is("text/") => {}
                _ => is_unsupported = true,
            }
        }
        Self { text: lines.join("\n"), media, is_unsupported }
    }
}

#[cfg(test)]
mod tests;
