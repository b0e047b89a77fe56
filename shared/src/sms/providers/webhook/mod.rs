//! A channel of the owner's own: one signed JSON each way, by the Standard Webhooks specification 1.0
//! (<https://www.standardwebhooks.com>), for which there is a library in every language.
//!
//! | limit | value |
//! |---|---|
//! | age of a signature | 300 s, as the libraries have it |
//! | secrets | base64 of 24 to 64 bytes; `whsec_` may be left out |
//! | `from`, `to`, ids | 1 to 255 characters, none of them a control character |
//! | text we send | `text_limit`, else 4096 Unicode characters |
//!
//! ```text
//! POST /sms/webhook/{account}
//! webhook-id: msg_2KWPBgLlAfxdpx2AI54pPJ85f4W      webhook-timestamp: 1674087231
//! webhook-signature: v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=
//! {"type":"message","data":{"id":"42","from":"user-7","to":"shop","text":"Hello agent","profile_name":"Jo"}}
//! ```
//!
//! The signature is base64 of the HMAC-SHA-256 over `<id>.<timestamp>.<body>`. One header may hold several, with blanks
//! between them, and an account several secrets: any pair of them may match. The content type is not looked at.
//!
//! A message: `{"id","from","to","text"?,"profile_name"?,"media"?:[{"url","content_type"?,"name"?}],"location"?:{"latitude",
//! "longitude","name"?,"address"?},"choice_id"?,"received_at"?}`. `opt_out`, `opt_in` and `end` (the customer leaves): `{"id",
//! "from","to"}`. `typing`: `{"from","to"}`, named by its `webhook-id`. An unknown type is ignored.
//!
//! A text is sent so, signed with each of `send_secrets`. `webhook-id` and `data.id` are the idempotency key: whoever has
//! seen it takes it for done. The answer is 2xx with `{"id":"…"}`, its own id of the message, or without. Where there is
//! something to choose, the last part of the text has `"choices":[{"id","title"}]`; one of these ids as `choice_id` chooses.
//!
//! ```text
//! POST {send_url}
//! {"type":"message","data":{"id":"3b5f…","from":"shop","to":"user-7","text":"Hello","contact_id":"…"}}
//! ```
//!
//! `{"type":"typing","data":{"from","to","contact_id"}}` says that an agent is writing, `end` that the chat has ended.

use aws_lc_rs::hmac;
use base64::{
    Engine as _, alphabet,
    engine::{
        DecodePaddingMode,
        general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD},
    },
};
use http::{HeaderName, StatusCode, Uri};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::{
    choices::Prompt,
    error::{Error, Result},
    fields::Fields,
    sms::{
        contract::{Facts, Provider},
        event::{Event, Ignored},
        media::{File, MediaRequest, MediaSource, SendFile},
        message::{Act, Channel, Location, Media, Message, OptOut, utc},
        segments::Limit,
        send::{ApiCall, HttpRequest, Native, NotTaken, Outbound, Reason, Taken, add, code_at, misconfigured},
        signal::{Signal, SignalKind},
        status::{State, Status},
        webhook::{Proof, Proved, Rejection, Webhook},
    },
};

const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";
const SIGNATURE: &str = "webhook-signature";
/// The signatures by a shared secret; the specification has others, by key pairs.
const VERSION: &str = "v1,";
/// Unix seconds have 10 digits until the year 2286.
const TIMESTAMP_LENGTH: usize = 12;

const SECRET_PREFIX: &str = "whsec_";
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
const ID_CHARACTERS: std::ops::RangeInclusive<usize> = 1..=255;
const DEFAULT_CHANNEL: &str = "webhook";
const DEFAULT_TEXT_LIMIT: u64 = 4096;

pub(super) const FACTS: Facts = Facts {
    signs_a_time: true,
    max_age_seconds: 300,
    media_links_open: true,
    supports_idempotency: true,
    statuses_name_our_key: true,
    takes_send_base_url: false,
    takes_signals: true,
    opts_out_by_answer: true,
    ..Facts::new("webhook")
};

/// What a channel of the owner's own has.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// What it is called: the contact attribute.
    pub channel: Channel,
    /// Sign what comes in.
    signing_keys: Vec<hmac::Key>,
    /// Takes what goes out.
    send_url: Option<String>,
    /// Each signs what goes out.
    send_keys: Vec<hmac::Key>,
    /// The longest text.
    pub text_limit: usize,
}

impl Credentials {
    pub(super) fn read(fields: &Fields<'_>) -> Self {
        let credentials = Self {
            channel: read_channel(fields),
            signing_keys: read_keys(fields, "signing_secrets"),
            send_url: read_send_url(fields),
            send_keys: read_keys(fields, "send_secrets"),
            text_limit: read_text_limit(fields),
        };
        fields.require_one_of(&["signing_secrets"]);
        fields.warn_of_missing(&["send_url", "send_secrets"], &["send_url", "send_secrets"]);
        credentials
    }

    fn message(&self, data: &Data<'_>) -> Result<Message> {
        self.named(data.name("id")?, data)
    }

    fn named(&self, id: &str, data: &Data<'_>) -> Result<Message> {
        let mut message = Message::new("webhook", self.channel, id, data.name("from")?, data.name("to")?);
        // Only phone numbers look like anything here.
        message.from_kind = None;
        Ok(message)
    }

    /// Reads what a customer wrote. What can't be read of it is left out.
    fn read_message(&self, data: &Data<'_>) -> Result<Message> {
        let mut message = self.message(data)?;
        data.text("text").unwrap_or_default().clone_into(&mut message.text);
        message.profile_name = data.filled("profile_name").map(str::to_owned);
        message.media = data.0.get("media").and_then(Value::as_array).into_iter().flatten().map(medium).collect();
        message.location = data.0.get("location").and_then(location);
        message.button_payload = data.filled("choice_id").map(str::to_owned);
        message.received_at = data.filled("received_at").and_then(|time| time.parse::<Timestamp>().ok()).map(utc);
        Ok(message)
    }
}

impl Provider for Credentials {
    /// <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>
    fn verify(&self, webhook: &Webhook) -> Result<Proof, Rejection> {
        let id = webhook.header(ID)?;
        let timestamp = webhook.header(TIMESTAMP)?;
        let list = webhook.header(SIGNATURE)?;
        if timestamp.len() > TIMESTAMP_LENGTH || !timestamp.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Rejection::Malformed);
        }
        let signed_at = timestamp.parse().map_err(|_| Rejection::Malformed)?;
        let signatures: Vec<_> = list
            .split_ascii_whitespace()
            .filter_map(|signature| STANDARD.decode(signature.strip_prefix(VERSION)?).ok())
            .collect();
        if signatures.is_empty() {
            return Err(Rejection::Malformed);
        }
        let signed = signed(id, timestamp, &webhook.body);
        let is_made =
            |key: &hmac::Key| signatures.iter().any(|signature| hmac::verify(key, &signed, signature).is_ok());
        if self.signing_keys.iter().any(is_made) {
            Ok(Proof { signed_at: Some(signed_at) })
        } else {
            Err(Rejection::Mismatch)
        }
    }

    fn parse(&self, proved: &Proved<'_>) -> Result<Vec<Event>> {
        let body: Value = proved.json()?;
        let kind = body.get("type").and_then(Value::as_str).ok_or_else(|| Error::invalid("type", "must be a text"))?;
        let data = || {
            let data = body.get("data").and_then(Value::as_object);
            data.map(Data).ok_or_else(|| Error::invalid("data", "must be an object"))
        };
        let event = match kind {
            "message" => self.read_message(&data()?)?.into(),
            "opt_out" | "opt_in" => {
                let mut message = self.message(&data()?)?;
                message.opt_out = Some(if kind == "opt_out" { OptOut::Stop } else { OptOut::Start });
                message.into()
            }
            "end" => {
                let mut message = self.message(&data()?)?;
                message.act = Some(Act::End);
                message.into()
            }
            "typing" => {
                let mut message = self.named(proved.webhook().header(ID)?, &data()?)?;
                message.act = Some(Act::Typing);
                message.into()
            }
            "status" => {
                let data = data()?;
                let state = match data.text("status") {
                    Some("delivered") => State::Delivered,
                    Some("read") => State::Read,
                    Some("failed") => State::Failed,
                    _ => return Err(Error::invalid("data.status", "must be delivered, read or failed")),
                };
                let status = Status::new(data.name("message_id")?, state);
                let reason = data.text("reason").filter(|_| state == State::Failed);
                Event::Status(Box::new(status.because(reason)))
            }
            _ => Event::ignored(Ignored::OtherEvent),
        };
        Ok(vec![event])
    }

    fn limit(&self, _: Channel) -> Limit {
        Limit::Characters(self.text_limit)
    }

    /// Whole titles, beside the numbered text: whoever takes it in shows what its channel can.
    fn choices(&self, _: Channel, prompt: &Prompt) -> Option<Native> {
        let choices = prompt.with_ids().map(|(id, choice)| json!({ "id": id, "title": choice.title }));
        Some(Native::Beside(choices.collect()))
    }

    /// The request that sends a text.
    fn request(&self, outbound: &Outbound<'_>) -> Result<ApiCall> {
        self.deliver(outbound, "text", &json!(outbound.text))
    }

    /// Its links are open, and none is followed elsewhere.
    fn medium(&self, media: &Media, _: Option<&str>) -> Result<Option<MediaSource>> {
        let request = |url| MediaRequest { follows_redirects: false, ..MediaRequest::open(url) };
        Ok(media.url.as_ref().map(|url| MediaSource::Http(request(url))))
    }

    fn send_file(&self, outbound: &Outbound<'_>, file: &File<'_>) -> Result<SendFile> {
        let media = json!([{ "url": file.url, "content_type": file.content_type, "name": file.name }]);
        self.deliver(outbound, "media", &media).map(SendFile::Call)
    }

    fn signal(&self, signal: &Signal<'_>) -> Result<ApiCall> {
        let kind = match signal.kind {
            SignalKind::Typing => "typing",
            SignalKind::End => "end",
        };
        let data = json!({ "from": signal.from, "to": signal.to, "contact_id": signal.contact_id });
        let now = Timestamp::now().as_second();
        self.post(signal.key, now, &json!({ "type": kind, "data": data })).map(ApiCall::Http)
    }

    /// What the answer means: its status alone says. 410 is an opt-out, which only `opt_in` takes back.
    fn read_answer(&self, status: StatusCode, body: &[u8]) -> Result<Taken, NotTaken> {
        let reason = match status.as_u16() {
            200..=299 => return Ok(Taken::at(body, "/id")),
            410 => Reason::OptedOut,
            429 | 503 => Reason::Throttled,
            500..=599 => NotTaken::of_status(status).unwrap_or(Reason::Unknown),
            400..=499 => Reason::Refused,
            _ => Reason::Misconfigured,
        };
        Err(NotTaken { reason, code: code_at(body, "/code") })
    }
}

impl Credentials {
    /// The request that sends a text, or a file.
    fn deliver(&self, outbound: &Outbound<'_>, name: &str, content: &Value) -> Result<ApiCall> {
        let mut data = json!({
            "id": outbound.key, "from": outbound.from, "to": outbound.to, name: content,
            "contact_id": outbound.contact_id,
        });
        if let Some(choices) = outbound.choices {
            add(&mut data, "choices", choices.clone());
        }
        let now = Timestamp::now().as_second();
        self.post(outbound.key, now, &json!({ "type": "message", "data": data })).map(ApiCall::Http)
    }

    /// A POST of ours, signed with each of the keys: whoever takes it in may know either of two while they change.
    fn post(&self, id: &str, now: i64, body: &Value) -> Result<HttpRequest> {
        let Some(url) = self.send_url.as_ref().filter(|_| !self.send_keys.is_empty()) else {
            return Err(misconfigured("send_url or send_secrets is missing"));
        };
        let timestamp = now.to_string();
        let request = HttpRequest::json(url, "", body);
        let signed = signed(id, &timestamp, request.body.as_bytes());
        let signature = |key| format!("{VERSION}{}", STANDARD.encode(hmac::sign(key, &signed)));
        let signatures: Vec<_> = self.send_keys.iter().map(signature).collect();
        let headers = [(ID, id), (TIMESTAMP, &timestamp), (SIGNATURE, &signatures.join(" "))];
        headers
            .into_iter()
            .try_fold(request, |request, (name, value)| request.header(HeaderName::from_static(name), value))
    }
}

fn signed(id: &str, timestamp: &str, body: &[u8]) -> Vec<u8> {
    [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat()
}

/// The `data` of a webhook.
struct Data<'a>(&'a Map<String, Value>);

impl<'a> Data<'a> {
    fn text(&self, name: &str) -> Option<&'a str> {
        self.0.get(name)?.as_str()
    }

    fn filled(&self, name: &str) -> Option<&'a str> {
        self.text(name).filter(|text| !text.trim().is_empty())
    }

    /// An id or address.
    fn name(&self, name: &'static str) -> Result<&'a str> {
        let field = || format!("data.{name}");
        let text = self.text(name).ok_or_else(|| Error::invalid(field(), "must be a text"))?;
        let is_name = ID_CHARACTERS.contains(&text.chars().count()) && !text.chars().any(char::is_control);
        if is_name && !text.trim().is_empty() {
            Ok(text)
        } else {
            Err(Error::invalid(field(), "must be 1 to 255 characters without control characters"))
        }
    }
}

/// Only links of https are shown; what else there is becomes `[file]`.
fn medium(medium: &Value) -> Media {
    let text = |name: &str| medium.get(name)?.as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned);
    let is_https = |url: &String| url.parse::<Uri>().is_ok_and(|url| url.scheme_str() == Some("https"));
    match text("url").filter(is_https) {
        Some(url) => {
            Media { url: Some(url), content_type: text("content_type"), name: text("name"), ..Media::default() }
        }
        None => Media::default(),
    }
}

fn location(place: &Value) -> Option<Location> {
    let degrees = |name: &str, limit: f64| {
        place.get(name).and_then(Value::as_f64).filter(|degrees| (-limit..=limit).contains(degrees))
    };
    let text = |name: &str| place.get(name).and_then(Value::as_str).map(str::to_owned);
    Some(Location {
        latitude: degrees("latitude", 90.0)?,
        longitude: degrees("longitude", 180.0)?,
        name: text("name"),
        address: text("address"),
    })
}

fn read_channel(fields: &Fields<'_>) -> Channel {
    let name = fields.text("channel").unwrap_or_else(|| DEFAULT_CHANNEL.to_owned());
    Channel::named(&name).unwrap_or_else(|| {
        fields.problem("channel", "must be 1 to 32 of a-z 0-9 _ - and not web");
        Channel::Sms
    })
}

/// A secret that is none is an error, and not only a warning: nothing would tell whose signature it was meant to make.
fn read_keys(fields: &Fields<'_>, name: &'static str) -> Vec<hmac::Key> {
    let mut keys = Vec::new();
    for (index, secret) in fields.secrets(name).iter().enumerate() {
        match read_secret(secret.expose()) {
            Some(bytes) => keys.push(hmac::Key::new(hmac::HMAC_SHA256, &bytes)),
            None => fields.problem(&format!("{name}[{index}]"), "must be base64 of 24 to 64 bytes"),
        }
    }
    keys
}

fn read_secret(text: &str) -> Option<Vec<u8>> {
    const ANY_PADDING: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let text = text.trim();
    let bytes = ANY_PADDING.decode(text.strip_prefix(SECRET_PREFIX).unwrap_or(text)).ok()?;
    SECRET_BYTES.contains(&bytes.len()).then_some(bytes)
}

/// https, or http to this machine. What an agent writes must not travel in the clear.
fn read_send_url(fields: &Fields<'_>) -> Option<String> {
    let text = fields.text("send_url")?;
    let uri: Option<Uri> = text.parse().ok().filter(|_| !text.contains('#'));
    let is_ours = uri.as_ref().is_some_and(|uri| {
        let Some(authority) = uri.authority().filter(|authority| !authority.as_str().contains('@')) else {
            return false;
        };
        match uri.scheme_str() {
            Some("https") => !authority.host().is_empty(),
            Some("http") => is_loopback(authority.host()),
            _ => false,
        }
    });
    if is_ours {
        Some(text)
    } else {
        fields.problem("send_url", "must be an https URL without user name and fragment, or http to this machine");
        None
    }
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn read_text_limit(fields: &Fields<'_>) -> usize {
    let limit = fields.whole_number("text_limit").unwrap_or(DEFAULT_TEXT_LIMIT);
    if limit == 0 {
        fields.problem("text_limit", "must be at least 1");
    }
    usize::try_from(limit).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
