//! Telnyx: SMS, MMS and RCS.
//!
//! | limit | value | source |
//! |---|---|---|
//! | time to answer | 2 s | <https://developers.telnyx.com/docs/messaging/messages/receiving-webhooks> |
//! | re-delivery | 3 attempts per URL, then the failover URL, then none; out of order and twice are possible | the same |
//! | signature | Ed25519, at most 300 s old | the same; telnyx-python 4.189, telnyx-node 7.24 |
//! | recipients of a group MMS | 8 | <https://developers.telnyx.com/docs/messaging/messages/group-messaging> |
//! | text we send | 10 parts; more is error 40302 | <https://developers.telnyx.com/docs/messaging/messages/error-codes> |
//! | alphabet of 7 bits | not GSM-7's: `€`, Greek and others make a text UTF-16, so we send at most 10 parts of that | <https://developers.telnyx.com/docs/messaging/messages/message-encoding> |
//! | idempotency key | 1 to 255 of `A-Za-z0-9_:-`, remembered for 24 h | <https://developers.telnyx.com/docs/development/api-fundamentals/idempotency> |
//!
//! Always JSON by POST. Long messages come already joined. `message.sent` and `message.finalized` report on ours.
//!
//! ```json
//! {"data": {"event_type": "message.received", "id": "b301ed3f-…", "occurred_at": "2026-09-21T14:13:19.000+00:00",
//!           "record_type": "event",
//!           "payload": {"id": "84cca175-…", "direction": "inbound", "type": "SMS",
//!                       "from": {"phone_number": "+13125550001", "carrier": "T-Mobile USA"},
//!                       "to": [{"phone_number": "+17735550002", "status": "webhook_delivered"}], "cc": [],
//!                       "text": "Hello agent", "media": [], "encoding": "GSM-7", "parts": 1,
//!                       "received_at": "2026-09-21T14:13:18.000+00:00"}},
//!  "meta": {"attempt": 1, "delivered_to": "https://sms.example.com/sms/telnyx"}}
//! ```
//!
//! `telnyx-signature-ed25519` is over `<telnyx-timestamp>|<body>`, made with the account's one key pair; the URL is not
//! in it. A retry keeps `data.id` and `data.payload.id`: messages are told apart by the latter.
//!
//! The webhook names no account that the settings know: accounts of one key are told apart by their `numbers` alone.
//! Media links are open to anyone, and expire.
//!
//! A text is sent so (<https://developers.telnyx.com/api-reference/messages/send-a-message>; the header is a parameter of
//! telnyx-python's 4.189 `messages.send`), and answered 200 `{"data":{"id":"…","to":[{"status":"queued"}],"parts":1}}`, or
//! `{"errors":[{"code":"40300","title":"Blocked due to STOP message","detail":"…"}]}`. A repeat must have the same body,
//! byte for byte; only a success is remembered.
//!
//! ```text
//! POST https://api.telnyx.com/v2/messages      Bearer: API key      Idempotency-Key: 3b5f…
//! {"from":"+17735550002","text":"Hello","to":"+13125550001","type":"SMS"}
//! ```

mod rcs;
mod statuses;

use aws_lc_rs::signature::{ED25519, ED25519_PUBLIC_KEY_LEN, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderName, StatusCode};
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
        media::{File, SendFile},
        message::{Channel, Media, Message, OptOut, utc},
        segments::Limit,
        send::{ApiCall, HttpRequest, NotTaken, Outbound, Reason, Taken, code_at, misconfigured},
        webhook::{Proof, Proved, Rejection, Webhook},
    },
};

const SIGNATURE: &str = "telnyx-signature-ed25519";
const TIMESTAMP: &str = "telnyx-timestamp";
const SIGNATURE_LENGTH: usize = 64;
/// Unix seconds have 10 digits until the year 2286.
const TIMESTAMP_LENGTH: usize = 12;
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// See the page's table.
pub(super) const LIMIT: Limit = Limit::Units(670);

type PublicKey = [u8; ED25519_PUBLIC_KEY_LEN];

pub(super) const FACTS: Facts = Facts {
    signs_a_time: true,
    max_age_seconds: 300,
    media_links_open: true,
    supports_idempotency: true,
    ..Facts::new("telnyx")
};

/// What a Telnyx account has.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Sign webhooks.
    pub public_keys: Vec<PublicKey>,
    /// Sends.
    pub api_key: Option<Secret>,
}

impl Credentials {
    pub(super) fn read(fields: &Fields<'_>) -> Self {
        let credentials =
            Self { public_keys: fields.keys("public_keys", read_public_key), api_key: fields.secret("api_key") };
        fields.require_one_of(&["public_keys"]);
        credentials
    }
}

impl Credentials {
    fn post(&self, outbound: &Outbound<'_>, path: &str, body: &Value) -> Result<ApiCall> {
        let key = self.api_key.as_ref().ok_or_else(|| misconfigured("api_key is missing"))?;
        HttpRequest::json("https://api.telnyx.com", path, body)
            .bearer(key.expose())?
            .header(IDEMPOTENCY_KEY, outbound.key)
            .map(ApiCall::Http)
    }
}

impl Provider for Credentials {
    /// <https://developers.telnyx.com/docs/messaging/messages/receiving-webhooks>, with the stricter reading where the SDKs
    /// differ: telnyx-node wants exact base64 and digits only, telnyx-python takes less.
    fn verify(&self, webhook: &Webhook) -> Result<Proof, Rejection> {
        let signature = STANDARD.decode(webhook.header(SIGNATURE)?).map_err(|_| Rejection::Malformed)?;
        let timestamp = webhook.header(TIMESTAMP)?;
        if signature.len() != SIGNATURE_LENGTH
            || timestamp.len() > TIMESTAMP_LENGTH
            || !timestamp.bytes().all(|byte| byte.is_ascii_digit())
        {
            return Err(Rejection::Malformed);
        }
        let signed_at = timestamp.parse().map_err(|_| Rejection::Malformed)?;
        let signed = [timestamp.as_bytes(), b"|", &webhook.body].concat();
        let is_made =
            |key: &PublicKey| UnparsedPublicKey::new(&ED25519, key.as_slice()).verify(&signed, &signature).is_ok();
        if self.public_keys.iter().any(is_made) {
            Ok(Proof { signed_at: Some(signed_at) })
        } else {
            Err(Rejection::Mismatch)
        }
    }

    /// <https://developers.telnyx.com/api-reference/callbacks/inbound-message>
    fn parse(&self, proved: &Proved<'_>) -> Result<Vec<Event>> {
        let envelope: Envelope = proved.json()?;
        if statuses::is_report(&envelope.data.event_type) {
            return Ok(vec![statuses::read(&proved.json()?)]);
        }
        if envelope.data.event_type != "message.received" {
            return Ok(vec![Event::ignored(Ignored::OtherEvent)]);
        }
        let Received { data } = proved.json()?;
        Ok(vec![read(data, proved)?])
    }

    fn limit(&self, channel: Channel) -> Limit {
        if channel == Channel::Rcs { rcs::LIMIT } else { LIMIT }
    }

    /// The request that sends a text. A reply to an MMS is an SMS too: it holds no media.
    fn request(&self, outbound: &Outbound<'_>) -> Result<ApiCall> {
        if outbound.channel == Channel::Rcs {
            return self.post(outbound, "/v2/messages/rcs", &rcs::body(outbound, &json!({ "text": outbound.text }))?);
        }
        let body = json!({ "from": outbound.from, "to": outbound.to, "text": outbound.text, "type": "SMS" });
        self.post(outbound, "/v2/messages", &body)
    }

    /// <https://developers.telnyx.com/docs/messaging/messages/send-receive-mms>; for RCS the SDK's `RcsContentInfo`.
    fn send_file(&self, outbound: &Outbound<'_>, file: &File<'_>) -> Result<SendFile> {
        let call = if outbound.channel == Channel::Rcs {
            let content = json!({ "content_info": { "file_url": file.url } });
            self.post(outbound, "/v2/messages/rcs", &rcs::body(outbound, &content)?)
        } else {
            let body = json!({ "from": outbound.from, "to": outbound.to, "media_urls": [file.url], "type": "MMS" });
            self.post(outbound, "/v2/messages", &body)
        };
        call.map(SendFile::Call)
    }

    /// What the answer means, by the codes of <https://developers.telnyx.com/development/api-fundamentals/api-errors> and
    /// <https://developers.telnyx.com/docs/messaging/messages/error-codes>.
    fn read_answer(&self, status: StatusCode, body: &[u8]) -> Result<Taken, NotTaken> {
        let code = code_at(body, "/errors/0/code");
        if status == StatusCode::CONFLICT {
            // What the first request with a key does while it is under way is not documented. If it is this, as in the
            // IETF's draft (draft-ietf-httpapi-idempotency-key-header), the text may yet be sent.
            return Err(NotTaken { reason: Reason::Unknown, code });
        }
        NotTaken::read(status, code, |code| match code {
            // "Blocked due to STOP message".
            "40300" => Some(Reason::OptedOut),
            // "Too many requests", "Message queue full".
            "10011" | "40318" => Some(Reason::Throttled),
            // "Request timeout".
            "10008" => Some(Reason::Unknown),
            // "Authentication failed", "Authorization failed", "Resource not found" (of our URL, or the number's profile).
            "10009" | "10010" | "10005" => Some(Reason::Misconfigured),
            // "Number not messaging enabled", "Invalid 'from' address", "Alpha sender not configured", the messaging
            // profile's secret or being disabled, "Messaging disabled on account", "Temporarily unusable 'from' address",
            // "No usable numbers on messaging profile", "Toll-free number not yet verified".
            "40100" | "40305" | "40306" | "40311" | "40312" | "40313" | "40314" | "40320" | "40321" | "40329" => {
                Some(Reason::Misconfigured)
            }
            // "Account level errors": a revoked key, no funds, a blocked or unverified account.
            code if code.len() == 5 && code.starts_with("20") => Some(Reason::Misconfigured),
            _ => None,
        })
        .map(|()| Taken::at(body, "/data/id"))
    }
}

/// The account's page shows the key as base64 of its 32 bytes.
fn read_public_key(text: &str) -> Option<PublicKey> {
    let key: PublicKey = STANDARD.decode(text.trim()).ok()?.try_into().ok()?;
    if is_small_order(&key) { None } else { Some(key) }
}

/// Whether it is one of the few points under which anyone can sign (all zeros is one: a placeholder left in the
/// settings). The verification, as RFC 8032 has it, accepts them as keys; the list is that of libsodium
/// (`ge25519_has_small_order`), where the sign bit does not count.
fn is_small_order(key: &PublicKey) -> bool {
    const ORDER_8: [PublicKey; 2] = [
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
            0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
            0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
        ],
    ];
    let mut unsigned = *key;
    let [first, middle @ .., last] = &mut unsigned;
    *last &= 0x7f;
    // 0 and 1; and, with p the field's prime, p - 1, p and p + 1.
    let is_around_zero = matches!(*first, 0 | 1) && middle.iter().all(|byte| *byte == 0) && *last == 0;
    let is_around_prime = matches!(*first, 0xec..=0xee) && middle.iter().all(|byte| *byte == 0xff) && *last == 0x7f;
    is_around_zero || is_around_prime || ORDER_8.contains(&unsigned)
}

/// Of any event, so that those we don't know are ignored whatever else is in them.
#[derive(Deserialize)]
struct Envelope {
    data: EventType,
}

#[derive(Deserialize)]
struct EventType {
    event_type: String,
}

#[derive(Deserialize)]
struct Received {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    id: Option<String>,
    payload: Payload,
}

/// What a message can do without is a [`Value`]: a form of it that we don't know must not cost the message.
#[derive(Deserialize)]
struct Payload {
    id: Option<String>,
    direction: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    from: Option<Address>,
    to: Option<Vec<Address>>,
    cc: Option<Vec<Address>>,
    #[serde(default)]
    text: Value,
    #[serde(default)]
    media: Value,
    /// What RCS has in place of the two: <https://developers.telnyx.com/docs/messaging/messages/receiving-rcs-webhooks>.
    #[serde(default)]
    body: Value,
    #[serde(default)]
    messaging_profile_id: Value,
    #[serde(default)]
    encoding: Value,
    #[serde(default)]
    parts: Value,
    #[serde(default)]
    received_at: Value,
    #[serde(default)]
    autoresponse_type: Value,
}

#[derive(Deserialize)]
struct Address {
    phone_number: Option<String>,
    /// Of an RCS agent, in place of a number.
    agent_id: Option<String>,
    #[serde(default)]
    status: Value,
}

impl Address {
    fn number(&self) -> Option<&str> {
        let filled = |text: &'_ Option<String>| text.as_deref().is_some_and(|text| !text.trim().is_empty());
        [&self.phone_number, &self.agent_id].into_iter().find(|text| filled(text))?.as_deref().map(str::trim)
    }
}

fn read(data: Data, proved: &Proved<'_>) -> Result<Event> {
    let Data { id: event_id, payload } = data;
    if payload.direction.as_deref().is_some_and(|direction| direction != "inbound") {
        return Ok(Event::ignored(Ignored::Outbound));
    }
    let media: Vec<_> = payload.media.as_array().into_iter().flatten().filter_map(read_medium).collect();
    let channel = match payload.kind.as_deref() {
        Some("MMS") => Channel::Mms,
        Some("RCS") => Channel::Rcs,
        Some("SMS") | None if media.is_empty() => Channel::Sms,
        Some("SMS") | None => Channel::Mms,
        Some(_) => return Ok(Event::ignored(Ignored::Channel)),
    };
    let missing = |field: &'static str| Error::invalid(field, "is missing");
    let message_id = payload.id.ok_or_else(|| missing("data.payload.id"))?;
    let from = payload.from.as_ref().and_then(Address::number).ok_or_else(|| missing("data.payload.from"))?;
    let to = payload.to.unwrap_or_default();
    let ours = our_number(&to, proved).ok_or_else(|| missing("data.payload.to"))?;

    let mut message = Message::new("telnyx", channel, message_id, from, ours);
    let cc = payload.cc.unwrap_or_default();
    let mut everyone: Vec<String> = Vec::new();
    // `cc` may name us once more.
    for number in to.iter().chain(&cc).filter_map(Address::number) {
        if !everyone.iter().any(|other| other == number) {
            everyone.push(number.to_owned());
        }
    }
    message.to_all = (everyone.len() > 1).then_some(everyone);
    payload.text.as_str().unwrap_or_default().clone_into(&mut message.text);
    message.media = media;
    if channel == Channel::Rcs {
        rcs::fill(&mut message, &payload.body);
        // Replies need it.
        message.reply_from = payload.messaging_profile_id.as_str().map(str::to_owned);
    } else if !is_nothing(&payload.text) || has_more_media(&payload.media, message.media.len()) {
        message.describe(&lines::unsupported(Some(&payload.text).filter(|text| !text.is_string())));
    }
    message.received_at = payload.received_at.as_str().and_then(|time| time.parse::<Timestamp>().ok()).map(utc);
    message.encoding = payload.encoding.as_str().map(str::to_owned);
    message.segments = payload.parts.as_u64().and_then(|parts| parts.try_into().ok());
    message.event_id = event_id;
    // Telnyx has answered it: https://developers.telnyx.com/docs/messaging/messages/advanced-opt-in-out
    message.opt_out = match payload.autoresponse_type.as_str() {
        Some("STOP") => Some(OptOut::Stop),
        Some("START") => Some(OptOut::Start),
        Some("HELP") => Some(OptOut::Help),
        _ => None,
    };
    Ok(message.into())
}

/// Whether there are media that can't be read.
fn has_more_media(media: &Value, read: usize) -> bool {
    match media {
        Value::Array(items) => items.len() > read,
        Value::String(text) => !text.trim().is_empty(),
        other => !is_nothing(other),
    }
}

/// A field that says nothing, which a blank message may have.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::String(_) => true,
        Value::Array(values) => values.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    }
}

fn read_medium(item: &Value) -> Option<Media> {
    let text = |name| item.get(name).and_then(Value::as_str);
    Some(Media {
        url: Some(text("url").filter(|url| !url.trim().is_empty())?.to_owned()),
        content_type: text("content_type").map(str::to_owned),
        size: item.get("size").and_then(Value::as_u64),
        ..Media::default()
    })
}

/// A group MMS may be for several: ours is the one that the account lists, else the one that this webhook was for, else
/// the first.
fn our_number<'a>(to: &'a [Address], proved: &Proved<'_>) -> Option<&'a str> {
    let is_listed = |address: &&Address| address.number().is_some_and(|number| proved.lists(number));
    let has_webhook = |address: &&Address| address.status.as_str().is_some_and(|status| status.starts_with("webhook"));
    let numbered = || to.iter().filter(|address| address.number().is_some());
    numbered()
        .find(is_listed)
        .or_else(|| numbered().find(has_webhook))
        .or_else(|| numbered().next())
        .and_then(Address::number)
}

#[cfg(test)]
mod tests;
