//! MessageBird: SMS and MMS, by its classic API. For the platform that took its place see `bird`.
//!
//! | limit | value | source |
//! |---|---|---|
//! | time to answer | not documented | |
//! | re-delivery | after any answer but 200; how often is not documented | |
//! | signature | a JWT, valid for 60 s in all that we have seen; we take it at most 300 s old, and not after its end | messagebird-python 2.2.0, messagebird-node 4.0.1 |
//! | answer | `OK` as text, as nyaruka/courier does | |
//! | text we send | 9 segments: 1377 characters, or 603 outside of GSM-7 | <https://developers.messagebird.com/api/sms-messaging/> |
//!
//! A form or JSON by POST, or a GET. Numbers have no '+'. Long messages come already joined.
//!
//! ```text
//! id=e8077d803532c0b5937c639b60216938&recipient=31612345678&originator=31687654321&body=Hello+agent
//!   &createdDatetime=2026-09-21T14%3A13%3A18%2B00%3A00
//! ```
//!
//! MMS adds `mediaUrls` or `mediaURLs`, repeated, also as `mediaUrls[]`, as a list in JSON; who fetches them shows the access
//! key. A short code's messages have other names: `mid`, `shortcode`, `message`, `receive_datetime=20260921141318` (UTC).
//! What has a `status` and no `originator` reports on one of ours.
//!
//! `MessageBird-Signature-JWT` is made with the signing key (not the access key) by HS256, HS384 or HS512. Of its SDKs,
//! Python's wants `iss`, `nbf` and `exp`, with a second's leeway; Node's wants `jti`, and lets `exp` be absent: here
//! all four must be there. `url_hash` is the SHA-256 of the whole URL with its query, `payload_hash` that of the body, and is there if
//! and only if there is a body. A repeat is known by the message's id, which the hashes cover.
//!
//! A text is sent so (messagebird-python 2.2.0, `Client.message_create`), and answered 201 `{"id":"…","reference":"…"}`, or
//! `{"errors":[{"code":2,"description":"Request not allowed (incorrect access_key)","parameter":"access_key"}]}`. There is
//! no idempotency key. `reference` comes back with reports.
//!
//! ```text
//! POST https://rest.messagebird.com/messages      Authorization: AccessKey <key>
//! {"body":"Hello","datacoding":"auto","originator":"31612345678","recipients":["31687654321"],"reference":"3b5f…"}
//! ```

mod statuses;

use http::{StatusCode, header::AUTHORIZATION};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    error::{Error, Result},
    fields::Fields,
    secret::Secret,
    sms::{
        contract::{Facts, Provider},
        event::Event,
        form::Form,
        jwt::{Algorithm, Token},
        media::{File, MediaRequest, MediaSource, SendFile},
        message::{Channel, Media, Message, plus, utc},
        segments::Limit,
        send::{ApiCall, HttpRequest, NotTaken, Outbound, Reason, Taken, add, code_at, misconfigured, without_plus},
        signature::is_hash_of,
        webhook::{Proof, Proved, Rejection, Shape, Webhook},
    },
};

const SIGNATURE: &str = "messagebird-signature-jwt";
const ISSUER: &str = "MessageBird";
const ALGORITHMS: [Algorithm; 3] = [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512];
/// How far clocks may differ, in seconds: the stricter of the SDKs.
const LEEWAY: i64 = 1;
/// As long as a UUID without its hyphens: the limit is not documented.
const REFERENCE_LENGTH: usize = 32;

pub(super) const FACTS: Facts =
    Facts { accepted: ("text/plain", "OK"), signs_a_time: true, max_age_seconds: 300, ..Facts::new("messagebird") };

/// What a MessageBird account has.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Sign webhooks.
    pub signing_keys: Vec<Secret>,
    /// Sends.
    pub access_key: Option<Secret>,
    /// A signature counts after its end too: the account allows any age.
    any_age: bool,
}

impl Credentials {
    pub(super) fn read(fields: &Fields<'_>) -> Self {
        let credentials = Self {
            signing_keys: fields.secrets("signing_keys"),
            access_key: fields.secret("access_key"),
            any_age: fields.get("max_age_seconds").and_then(Value::as_u64) == Some(0),
        };
        fields.require_one_of(&["signing_keys"]);
        credentials
    }
}

impl Credentials {
    fn post(&self, path: &str, body: &Value) -> Result<ApiCall> {
        let key = self.access_key.as_ref().ok_or_else(|| misconfigured("access_key is missing"))?;
        HttpRequest::json("https://rest.messagebird.com", path, body)
            .header(AUTHORIZATION, &format!("AccessKey {}", key.expose()))
            .map(ApiCall::Http)
    }
}

impl Provider for Credentials {
    /// <https://developers.messagebird.com/api/#verifying-http-requests>
    fn verify(&self, webhook: &Webhook) -> Result<Proof, Rejection> {
        let token = Token::read(webhook.header(SIGNATURE)?, &ALGORITHMS)?;
        if !self.signing_keys.iter().any(|key| token.is_made_with(key)) {
            return Err(Rejection::Mismatch);
        }
        // Only now is anything in it believed.
        let claims: Claims = token.claims()?;
        let is_body_signed = match &claims.payload_hash {
            Some(hash) => !webhook.body.is_empty() && is_hash_of(hash, &webhook.body),
            None => webhook.body.is_empty(),
        };
        let is_whole = claims.iss == ISSUER && !claims.jti.is_empty() && claims.exp >= claims.nbf;
        if !is_whole || !is_body_signed || !is_hash_of(&claims.url_hash, webhook.url().as_bytes()) {
            return Err(Rejection::Malformed);
        }
        let starts = claims.nbf.saturating_sub(LEEWAY);
        let ends = claims.exp.saturating_add(LEEWAY);
        if !self.any_age && !(starts..ends).contains(&webhook.now) {
            return Err(Rejection::Stale);
        }
        Ok(Proof { signed_at: Some(claims.nbf) })
    }

    fn parse(&self, proved: &Proved<'_>) -> Result<Vec<Event>> {
        let webhook = proved.webhook();
        let event = match webhook.shape() {
            Shape::Query => {
                let form = Form::read(webhook.query.as_deref().unwrap_or_default().as_bytes());
                read(&form, media_in_form(&form))
            }
            Shape::Form => {
                let form = Form::read(&webhook.body);
                read(&form, media_in_form(&form))
            }
            Shape::Json => {
                let object: Map<String, Value> = proved.json()?;
                read(&Form::from_json(&object), media_in_json(&object)).map(|mut event| {
                    if let Event::Message(message) = &mut event {
                        let texts = ["body", "message"].into_iter().filter_map(|name| object.get(name));
                        texts.for_each(|text| message.describe_unread(text));
                    }
                    event
                })
            }
        };
        Ok(vec![event?])
    }

    fn limit(&self, _: Channel) -> Limit {
        Limit::Segments(9)
    }

    /// The request that sends a text. A reply to an MMS is an SMS: it holds no media.
    fn request(&self, outbound: &Outbound<'_>) -> Result<ApiCall> {
        let mut body = json!({
            "originator": without_plus(outbound.from), "recipients": [without_plus(outbound.to)],
            "body": outbound.text, "datacoding": "auto", "reference": reference(outbound),
        });
        if let Some(url) = outbound.status_url {
            add(&mut body, "reportUrl", json!(url));
        }
        self.post("/messages", &body)
    }

    fn medium(&self, media: &Media, _: Option<&str>) -> Result<Option<MediaSource>> {
        let Some(url) = &media.url else { return Ok(None) };
        let request = MediaRequest::open(url).at_hosts(["rest.messagebird.com", "media.messagebird.com"]);
        let Some(key) = &self.access_key else { return Ok(Some(MediaSource::Http(request))) };
        Ok(Some(MediaSource::Http(request.authorized(&format!("AccessKey {}", key.expose())))))
    }

    /// <https://developers.messagebird.com/api/mms-messaging/>: `mediaUrls`.
    fn send_file(&self, outbound: &Outbound<'_>, file: &File<'_>) -> Result<SendFile> {
        let body = json!({
            "originator": without_plus(outbound.from), "recipients": [without_plus(outbound.to)],
            "mediaUrls": [file.url], "reference": reference(outbound),
        });
        self.post("/mms", &body).map(SendFile::Call)
    }

    /// What the answer means, by the codes of <https://developers.messagebird.com/api/#api-errors> and messagebird's PHP SDK
    /// (`ResponseError`).
    fn read_answer(&self, status: StatusCode, body: &[u8]) -> Result<Taken, NotTaken> {
        NotTaken::read(status, code_at(body, "/errors/0/code"), |code| match code {
            // The recipient has sent STOP.
            "103" => Some(Reason::OptedOut),
            // "Request not allowed (incorrect access_key)", "Not found" (of our URL), "Not enough balance", "API not found".
            "2" | "20" | "25" | "98" => Some(Reason::Misconfigured),
            // "Internal error".
            "99" => Some(Reason::Unavailable),
            _ => None,
        })
        .map(|()| Taken::at(body, "/id"))
    }
}

fn reference<'a>(outbound: &Outbound<'a>) -> &'a str {
    outbound.key.get(..REFERENCE_LENGTH).unwrap_or(outbound.key)
}

/// What MessageBird claims.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    nbf: i64,
    exp: i64,
    jti: String,
    url_hash: String,
    payload_hash: Option<String>,
}

/// A short code's names come second. Bytes that are no UTF-8 have become U+FFFD: the rest still reaches the agent.
fn read(form: &Form<'_>, media: Vec<Media>) -> Result<Event> {
    let Some(from) = form.filled("originator") else {
        return if form.filled("status").is_some() {
            Ok(statuses::read(form))
        } else {
            Err(Error::invalid("originator", "is missing"))
        };
    };
    let either = |long: &'static str, short: &str| {
        form.filled(long).or_else(|| form.filled(short)).ok_or_else(|| Error::invalid(long, "is missing"))
    };
    let to = either("recipient", "shortcode")?;
    let message_id = either("id", "mid")?;
    let channel = if media.is_empty() { Channel::Sms } else { Channel::Mms };
    let mut message = Message::new("messagebird", channel, message_id.trim(), plus(from.trim()), plus(to.trim()));
    message.text = form.get("body").or_else(|| form.get("message")).unwrap_or_default().to_owned();
    message.media = media;
    let created = form.get("createdDatetime").and_then(|time| time.trim().parse::<Timestamp>().ok());
    message.received_at = created.or_else(|| form.get("receive_datetime").and_then(read_compact)).map(utc);
    Ok(message.into())
}

/// `20260921141318`, in UTC.
fn read_compact(text: &str) -> Option<Timestamp> {
    // A digit less would be read as another second.
    let digits = Some(text.trim()).filter(|text| text.len() == 14)?;
    let time = DateTime::strptime("%Y%m%d%H%M%S", digits).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// `mediaUrls`, `mediaURLs`, `mediaUrls[]`, `mediaUrls[0]`.
fn is_media(name: &str) -> bool {
    name.split('[').next().is_some_and(|name| name.eq_ignore_ascii_case("mediaurls"))
}

fn medium(url: &str) -> Option<Media> {
    let url = url.trim();
    (!url.is_empty()).then(|| Media { url: Some(url.to_owned()), ..Media::default() })
}

fn media_in_form(form: &Form<'_>) -> Vec<Media> {
    form.pairs().filter(|(name, _)| is_media(name)).filter_map(|(_, url)| medium(url)).collect()
}

fn media_in_json(object: &Map<String, Value>) -> Vec<Media> {
    let of_value = |value: &'_ Value| match value {
        Value::Array(urls) => urls.iter().filter_map(|url| medium(url.as_str()?)).collect(),
        value => value.as_str().and_then(medium).into_iter().collect::<Vec<_>>(),
    };
    object.iter().filter(|(name, _)| is_media(name)).flat_map(|(_, value)| of_value(value)).collect()
}

#[cfg(test)]
mod tests;
