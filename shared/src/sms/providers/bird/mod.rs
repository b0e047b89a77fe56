//! Bird: SMS, MMS, WhatsApp and RCS by its Channels API. For MessageBird's classic API see `messagebird`.
//!
//! | limit | value | source |
//! |---|---|---|
//! | time to answer | not documented | |
//! | re-delivery | after any answer but 2xx, for 8 h | <https://docs.bird.com/api/notifications-api/api-reference/webhooks> |
//! | signature | HMAC-SHA256 with a timestamp; Bird retries for 8 h, so any age is taken unless the account limits it | <https://docs.bird.com/api/notifications-api/api-reference/webhooks/verifying-a-webhook> |
//! | text we send over SMS | not documented; 9 segments, as over MessageBird | |
//! | over WhatsApp | 4096 characters | Meta's own limit |
//! | over RCS | 3072 characters | the RCS universal profile's |
//!
//! Always JSON by POST. The event names the channel: `sms.inbound`, `whatsapp.inbound`, `rcs.inbound`; those that end in
//! `.outbound` report on ours.
//!
//! ```json
//! {"service": "channels", "event": "sms.inbound",
//!  "payload": {"id": "9f5c8a3e-…", "channelId": "614208aa-…",
//!              "sender": {"contact": {"id": "32cf5eee-…", "identifierKey": "phonenumber", "identifierValue": "+31687654321"}},
//!              "receiver": {"connectors": [{"id": "86cc4dc0-…", "identifierValue": "+31612345678"}]},
//!              "body": {"type": "text", "text": {"text": "Hello agent"}},
//!              "direction": "incoming", "status": "delivered", "createdAt": "2026-09-21T14:13:18.123Z"}}
//! ```
//!
//! `receiver` is a list `connectors` or one `connector`, and often names no number: then our address is the channel's id.
//! Others: `"image": {"text", "images": [{"mediaUrl"}]}`, `"file": {"text", "files": [{"mediaUrl", "contentType", "filename"}]}`,
//! `"location": {"coordinates": {"latitude", "longitude"}, "location": {"address", "label"}}`, and a tapped button as an action
//! of the text: `{"type": "postback", "postback": {"text", "payload"}}`. The names are those of
//! <https://docs.bird.com/api/channels-api/message-types>; what Bird sends of them over WhatsApp is not verified. Who fetches
//! media shows the access key.
//!
//! `messagebird-signature` is base64 of the HMAC over `<messagebird-request-timestamp>\n<URL>\n<SHA-256 of the body>`, the
//! digest as its 32 bytes, made with the subscription's signing key. Bird's samples check no age.
//!
//! A text is sent so (<https://docs.bird.com/api/channels-api/supported-channels/programmable-sms/sending-messages>), and answered 202 `{"id":"…","status":"accepted"}`, or 4xx
//! `{"code":"InvalidPayload","message":"…"}`. There is no idempotency key. The channel is the one that the customer wrote to, else the
//! account's `channel_id`.
//!
//! ```text
//! POST https://api.bird.com/workspaces/<workspace>/channels/<channel>/messages      Authorization: AccessKey <key>
//! {"body":{"text":{"text":"Hello"},"type":"text"},"receiver":{"contacts":[{"identifierKey":"phonenumber",
//!  "identifierValue":"+31687654321"}]},"reference":"3b5f…"}
//! ```

mod statuses;

use aws_lc_rs::{digest, hmac};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{StatusCode, header::AUTHORIZATION};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    error::{Error, Result},
    fields::Fields,
    secret::Secret,
    sms::{
        contract::{Facts, Provider},
        event::{Event, Ignored},
        lines,
        media::{File, MediaRequest, MediaSource, SendFile},
        message::{Channel, Location, Media, Message, plus, utc},
        segments::Limit,
        send::{ApiCall, HttpRequest, NotTaken, Outbound, Reason, Taken, code_at, misconfigured},
        webhook::{Proof, Proved, Rejection, Webhook},
    },
};

const SIGNATURE: &str = "messagebird-signature";
const TIMESTAMP: &str = "messagebird-request-timestamp";
/// Unix seconds have 10 digits until the year 2286.
const TIMESTAMP_LENGTH: usize = 12;
/// As long as a UUID without its hyphens: the limit is not documented.
const REFERENCE_LENGTH: usize = 32;

pub(super) const FACTS: Facts = Facts { signs_a_time: true, ..Facts::new("bird") };

/// What a Bird workspace has.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Sign webhooks.
    pub signing_keys: Vec<Secret>,
    /// Sends.
    pub access_key: Option<Secret>,
    /// Sends.
    pub workspace_id: Option<String>,
    /// Sends where a customer wrote to no channel that we know, and tells accounts of one key apart.
    pub channel_id: Option<String>,
}

impl Credentials {
    pub(super) fn read(fields: &Fields<'_>) -> Self {
        let credentials = Self {
            signing_keys: fields.secrets("signing_keys"),
            access_key: fields.secret("access_key"),
            workspace_id: path_segment(fields, "workspace_id"),
            channel_id: path_segment(fields, "channel_id"),
        };
        fields.require_one_of(&["signing_keys"]);
        fields.warn_of_missing(&["access_key"], &["workspace_id"]);
        credentials
    }
}

/// An id that stands in a URL.
fn path_segment(fields: &Fields<'_>, name: &'static str) -> Option<String> {
    let id = fields.text(name)?;
    if is_id(&id) {
        return Some(id);
    }
    fields.problem(name, "must be an id of letters, digits and hyphens");
    None
}

/// Bird's ids are UUIDs.
fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

impl Credentials {
    /// The request that sends a text, or a file.
    fn message(&self, outbound: &Outbound<'_>, body: &Value) -> Result<ApiCall> {
        let key = self.access_key.as_ref().ok_or_else(|| misconfigured("access_key is missing"))?;
        let workspace = self.workspace_id.as_ref().ok_or_else(|| misconfigured("workspace_id is missing"))?;
        let channel = outbound.from_id.filter(|id| is_id(id)).or(self.channel_id.as_deref());
        let channel = channel.ok_or_else(|| misconfigured("channel_id is missing"))?;
        let contact = if outbound.to.starts_with('+') {
            json!({ "identifierKey": "phonenumber", "identifierValue": outbound.to })
        } else {
            json!({ "identifierValue": outbound.to })
        };
        let body = json!({
            "receiver": { "contacts": [contact] },
            "body": body,
            "reference": outbound.key.get(..REFERENCE_LENGTH).unwrap_or(outbound.key),
        });
        let path = format!("/workspaces/{workspace}/channels/{channel}/messages");
        HttpRequest::json("https://api.bird.com", path, &body)
            .header(AUTHORIZATION, &format!("AccessKey {}", key.expose()))
            .map(ApiCall::Http)
    }
}

impl Provider for Credentials {
    fn verify(&self, webhook: &Webhook) -> Result<Proof, Rejection> {
        let signature = STANDARD.decode(webhook.header(SIGNATURE)?).map_err(|_| Rejection::Malformed)?;
        let timestamp = webhook.header(TIMESTAMP)?;
        if signature.len() != digest::SHA256_OUTPUT_LEN
            || timestamp.len() > TIMESTAMP_LENGTH
            || !timestamp.bytes().all(|byte| byte.is_ascii_digit())
        {
            return Err(Rejection::Malformed);
        }
        let signed_at = timestamp.parse().map_err(|_| Rejection::Malformed)?;
        let hash = digest::digest(&digest::SHA256, &webhook.body);
        let signed = [timestamp.as_bytes(), b"\n", webhook.url().as_bytes(), b"\n", hash.as_ref()].concat();
        let is_made_with = |key: &Secret| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose().as_bytes());
            hmac::verify(&key, &signed, &signature).is_ok()
        };
        if self.signing_keys.iter().any(is_made_with) {
            Ok(Proof { signed_at: Some(signed_at) })
        } else {
            Err(Rejection::Mismatch)
        }
    }

    fn parse(&self, proved: &Proved<'_>) -> Result<Vec<Event>> {
        let Envelope { event } = proved.json()?;
        let channel = match event.split_once('.') {
            Some(("sms", "inbound")) => Channel::Sms,
            Some(("whatsapp", "inbound")) => Channel::Whatsapp,
            Some(("rcs", "inbound")) => Channel::Rcs,
            Some((_, "inbound")) => return Ok(vec![Event::ignored(Ignored::Channel)]),
            Some((_, "outbound")) => {
                let Received { payload } = proved.json()?;
                return Ok(vec![statuses::read(&payload)]);
            }
            _ => return Ok(vec![Event::ignored(Ignored::OtherEvent)]),
        };
        let Received { payload } = proved.json()?;
        Ok(vec![read(&payload, channel)?])
    }

    /// A channel that the payload names is signed, as all of the body is.
    fn is_named(&self, _: &Proved<'_>, message: &Message) -> Option<bool> {
        Some(message.reply_from.as_ref()? == self.channel_id.as_ref()?)
    }

    fn limit(&self, channel: Channel) -> Limit {
        match channel {
            Channel::Sms | Channel::Mms => Limit::Segments(9),
            Channel::Whatsapp => Limit::Characters(4096),
            Channel::Rcs | Channel::Own(_) => Limit::Characters(3072),
        }
    }

    /// The request that sends a text. A channel of Bird's has one network, so the body doesn't name it.
    fn request(&self, outbound: &Outbound<'_>) -> Result<ApiCall> {
        self.message(outbound, &json!({ "type": "text", "text": { "text": outbound.text } }))
    }

    fn medium(&self, media: &Media, _: Option<&str>) -> Result<Option<MediaSource>> {
        let Some(url) = &media.url else { return Ok(None) };
        let request = MediaRequest::open(url).at_hosts(["api.bird.com", "media.api.bird.com"]);
        let Some(key) = &self.access_key else { return Ok(Some(MediaSource::Http(request))) };
        Ok(Some(MediaSource::Http(request.authorized(&format!("AccessKey {}", key.expose())))))
    }

    /// <https://docs.bird.com/api/channels-api/message-types>: `image` and `file`.
    fn send_file(&self, outbound: &Outbound<'_>, file: &File<'_>) -> Result<SendFile> {
        let body = if file.family() == "image" {
            json!({ "type": "image", "image": { "images": [{ "mediaUrl": file.url }] } })
        } else {
            let one = json!({ "mediaUrl": file.url, "contentType": file.content_type, "filename": file.name });
            json!({ "type": "file", "file": { "files": [one] } })
        };
        self.message(outbound, &body).map(SendFile::Call)
    }

    /// Bird documents its codes nowhere as a list, so the status decides; these have been seen.
    fn read_answer(&self, status: StatusCode, body: &[u8]) -> Result<Taken, NotTaken> {
        NotTaken::read(status, code_at(body, "/code"), |code| match code {
            "TooManyRequests" | "RateLimitExceeded" => Some(Reason::Throttled),
            "Unauthorized" | "Forbidden" | "NotFound" | "InsufficientBalance" | "ChannelNotActive" => {
                Some(Reason::Misconfigured)
            }
            _ => None,
        })
        .map(|()| Taken::at(body, "/id"))
    }
}

/// Of any event, so that those we don't know are ignored whatever else is in them.
#[derive(Deserialize)]
struct Envelope {
    event: String,
}

#[derive(Deserialize)]
struct Received {
    payload: Value,
}

fn read(payload: &Value, channel: Channel) -> Result<Event> {
    let missing = |field: &'static str| Error::invalid(field, "is missing");
    if payload.get("direction").and_then(Value::as_str).is_some_and(|direction| direction != "incoming") {
        return Ok(Event::ignored(Ignored::Outbound));
    }
    let message_id = text_at(payload, "/id").ok_or_else(|| missing("payload.id"))?;
    let channel_id = text_at(payload, "/channelId");
    let from = text_at(payload, "/sender/contact/identifierValue")
        .or_else(|| text_at(payload, "/sender/contact/platformAddress"))
        .ok_or_else(|| missing("payload.sender"))?;
    let to = ["/receiver/connector/identifierValue", "/receiver/connectors/0/identifierValue"]
        .into_iter()
        .find_map(|place| text_at(payload, place))
        .or(channel_id)
        .ok_or_else(|| missing("payload.receiver"))?;

    let content = Content::read(payload.get("body").unwrap_or(&Value::Null));
    let channel = if channel == Channel::Sms && !content.media.is_empty() { Channel::Mms } else { channel };
    let mut message = Message::new("bird", channel, message_id, plus(from), plus(to));
    message.text = content.text;
    if content.is_unsupported {
        message.describe(&lines::unsupported(payload.get("body")));
    }
    message.media = content.media;
    message.location = content.location;
    message.button_payload = content.button_payload;
    message.received_at = text_at(payload, "/createdAt").and_then(|time| time.parse::<Timestamp>().ok()).map(utc);
    message.profile_name = text_at(payload, "/sender/contact/annotations/name").map(str::to_owned);
    message.in_reply_to = text_at(payload, "/replyTo/id").map(str::to_owned);
    message.reply_from = channel_id.map(str::to_owned);
    Ok(message.into())
}

/// A text that says something, without the white space around it.
fn text_at<'a>(value: &'a Value, place: &str) -> Option<&'a str> {
    value.pointer(place)?.as_str().map(str::trim).filter(|text| !text.is_empty())
}

/// What a customer sent.
#[derive(Default)]
struct Content {
    text: String,
    media: Vec<Media>,
    location: Option<Location>,
    button_payload: Option<String>,
    /// Nothing in it can be read.
    is_unsupported: bool,
}

impl Content {
    /// By what is there and not by the type alone: a type that we don't know may have text or media all the same.
    fn read(body: &Value) -> Self {
        let kind = body.get("type").and_then(Value::as_str).unwrap_or_default();
        let part = body.get(kind).unwrap_or(&Value::Null);
        let action = part.pointer("/actions/0").unwrap_or(&Value::Null);
        let of_action = |name: &str| {
            ["postback", "reply"]
                .into_iter()
                .find_map(|kind| text_at(action, &format!("/{kind}/{name}")).map(str::to_owned))
        };
        let text = part.get("text").or_else(|| part.get("caption")).and_then(Value::as_str).map(str::to_owned);
        let mut content = Self {
            text: text.or_else(|| of_action("text")).unwrap_or_default(),
            media: media(part),
            location: location(part),
            button_payload: of_action("payload"),
            is_unsupported: false,
        };
        let is_nothing = content.text.trim().is_empty()
            && content.media.is_empty()
            && content.location.is_none()
            && content.button_payload.is_none();
        // An empty text is one all the same.
        if is_nothing && !(kind == "text" && part.get("text").is_some_and(Value::is_string)) {
            content.is_unsupported = true;
        }
        content
    }
}

fn media(part: &Value) -> Vec<Media> {
    let lists = ["images", "files", "media"].into_iter().filter_map(|name| part.get(name)?.as_array());
    lists
        .flatten()
        .chain(std::iter::once(part))
        .filter_map(|item| {
            let field = |name: &str| text_at(item, &format!("/{name}")).map(str::to_owned);
            Some(Media {
                url: Some(field("mediaUrl")?),
                content_type: field("contentType"),
                name: field("filename"),
                size: item.get("size").and_then(Value::as_u64),
                ..Media::default()
            })
        })
        .collect()
}

fn location(part: &Value) -> Option<Location> {
    let degrees = |name: &str, limit: f64| {
        let degrees = part.pointer(&format!("/coordinates/{name}"))?.as_f64()?;
        (-limit..=limit).contains(&degrees).then_some(degrees)
    };
    Some(Location {
        latitude: degrees("latitude", 90.0)?,
        longitude: degrees("longitude", 180.0)?,
        name: text_at(part, "/location/label").map(str::to_owned),
        address: text_at(part, "/location/address").map(str::to_owned),
    })
}

#[cfg(test)]
mod tests;
