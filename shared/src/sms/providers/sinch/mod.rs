//! Sinch: its SMS REST API (XMS), for SMS and MMS.
//!
//! | limit | value | source |
//! |---|---|---|
//! | time to answer | not documented | |
//! | re-delivery | after 5xx and 429, from 5 s doubling to 81,920 s; after another 4xx never | <https://developers.sinch.com/docs/sms/api-reference/sms/tag/Webhooks/> |
//! | signature | HMAC-SHA-256, once the account manager has switched it on | sinch-python 2.3.0, `@sinch/sms` 1.4.0 |
//! | its age | neither SDK limits it, nor do we unless told to: whether a repeat is signed again is not documented | the same |
//! | text we send | 1600 characters; 2000 by the API, not verified | courier's `mblox` |
//!
//! Always JSON by POST, one message a request. Numbers come without their plus sign.
//!
//! ```json
//! {"type": "mo_text", "id": "01XXXXX21XXXXX119Z8P1XXXXX", "from": "16051234567", "to": "12025550134",
//!  "body": "Hello agent", "operator_id": "35000", "client_reference": "…",
//!  "received_at": "2026-09-21T14:13:18.720Z", "sent_at": "2026-09-21T14:13:18.719Z"}
//! ```
//!
//! `mo_binary` has `body` in base64 and `udh` in hex; `mo_media` has
//! `"body": {"subject": …, "message": …, "media": [{"url": …, "content_type": …, "status": "Uploaded", "code": 0}]}`, where a
//! medium that Sinch could not keep has the status `Failed` and no URL. `delivery_report_sms`, `recipient_delivery_report_sms`
//! and their `_mms` report on ours.
//!
//! `x-sinch-webhook-signature` is base64 of the HMAC over `<body>.<nonce>.<timestamp>`, with the headers
//! `x-sinch-webhook-signature-nonce` and `-timestamp`; the URL is not in it. `-algorithm` says `HmacSHA256`.
//!
//! A text is sent so, and answered 201 `{"id":"01FC66621XXXXX119Z8PMV1QPQ",…}`, or `{"code":"syntax_constraint_violation",
//! "text":"…"}` (<https://developers.sinch.com/docs/sms/api-reference/status-codes/>). `client_reference` comes back in
//! reports, and is no idempotency key.
//!
//! ```text
//! POST https://us.sms.api.sinch.com/xms/v1/{service_plan_id}/batches      Bearer: API token
//! {"body":"Hello","client_reference":"3b5f…","from":"12025550134","to":["16051234567"],"type":"mt_text"}
//! ```

mod statuses;

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    error::{Error, Kind, Result},
    fields::Fields,
    secret::Secret,
    sms::{
        binary,
        contract::{Facts, Provider},
        event::{Event, Ignored},
        lines,
        media::{File, SendFile},
        message::{Channel, Media, Message, plus, utc},
        segments::Limit,
        send::{ApiCall, HttpRequest, NotTaken, Outbound, Reason, Taken, add, code_at, misconfigured, without_plus},
        webhook::{Proof, Proved, Rejection, Webhook},
    },
};

const SIGNATURE: &str = "x-sinch-webhook-signature";
const ALGORITHM: &str = "x-sinch-webhook-signature-algorithm";
const NONCE: &str = "x-sinch-webhook-signature-nonce";
const TIMESTAMP: &str = "x-sinch-webhook-signature-timestamp";
/// Unix seconds have 10 digits until the year 2286.
const TIMESTAMP_LENGTH: usize = 12;

/// See the page's table.
const LIMIT: Limit = Limit::Units(1600);

pub(super) const FACTS: Facts = Facts { signs_a_time: true, media_links_open: true, ..Facts::new("sinch") };

/// What a Sinch account has.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Sign webhooks.
    pub webhook_secrets: Vec<Secret>,
    /// In the path of the send API.
    pub service_plan_id: Option<String>,
    /// Sends.
    pub api_token: Option<Secret>,
    /// Where the service plan is.
    pub region: Region,
}

/// Where a service plan is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Region {
    /// United States.
    #[default]
    Us,
    /// European Union.
    Eu,
    /// Brazil.
    Br,
    /// Australia.
    Au,
    /// Canada.
    Ca,
}

impl Region {
    const WORDS: [(&str, Self); 5] =
        [("us", Self::Us), ("eu", Self::Eu), ("br", Self::Br), ("au", Self::Au), ("ca", Self::Ca)];

    fn host(self) -> &'static str {
        match self {
            Self::Us => "https://us.sms.api.sinch.com",
            Self::Eu => "https://eu.sms.api.sinch.com",
            Self::Br => "https://br.sms.api.sinch.com",
            Self::Au => "https://au.sms.api.sinch.com",
            Self::Ca => "https://ca.sms.api.sinch.com",
        }
    }
}

impl Credentials {
    pub(super) fn read(fields: &Fields<'_>) -> Self {
        let credentials = Self {
            webhook_secrets: fields.secrets("webhook_secrets"),
            service_plan_id: fields.text("service_plan_id"),
            api_token: fields.secret("api_token"),
            region: fields.word("region", &Region::WORDS).unwrap_or_default(),
        };
        fields.require_one_of(&["webhook_secrets"]);
        fields.warn_of_missing(&["api_token"], &["service_plan_id"]);
        credentials
    }
}

impl Credentials {
    /// The request that sends a text, or a file.
    fn batch(&self, outbound: &Outbound<'_>, kind: &str, body: &Value) -> Result<ApiCall> {
        let (Some(plan), Some(token)) = (&self.service_plan_id, &self.api_token) else {
            return Err(misconfigured("service_plan_id or api_token is missing"));
        };
        if !plan.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
            return Err(misconfigured("service_plan_id can't stand in a URL"));
        }
        let mut body = json!({
            "type": kind, "from": without_plus(outbound.from), "to": [without_plus(outbound.to)],
            "body": body, "client_reference": outbound.key,
        });
        if let Some(url) = outbound.status_url {
            add(&mut body, "delivery_report", json!("per_recipient"));
            add(&mut body, "callback_url", json!(url));
        }
        HttpRequest::json(self.region.host(), format!("/xms/v1/{plan}/batches"), &body)
            .bearer(token.expose())
            .map(ApiCall::Http)
    }
}

impl Provider for Credentials {
    /// As sinch-python 2.3.0 (`validate_sinch_event_signature_with_nonce`) and `@sinch/sms` 1.4.0 do, which look at no age.
    fn verify(&self, webhook: &Webhook) -> Result<Proof, Rejection> {
        let signature = STANDARD.decode(webhook.header(SIGNATURE)?).map_err(|_| Rejection::Malformed)?;
        match webhook.header(ALGORITHM) {
            Ok(algorithm) if algorithm.eq_ignore_ascii_case("HmacSHA256") => {}
            // The SDKs don't read it.
            Err(Rejection::Missing) => {}
            _ => return Err(Rejection::Malformed),
        }
        let nonce = webhook.header(NONCE)?;
        let timestamp = webhook.header(TIMESTAMP)?;
        if timestamp.len() > TIMESTAMP_LENGTH || !timestamp.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Rejection::Malformed);
        }
        let signed_at = timestamp.parse().map_err(|_| Rejection::Malformed)?;
        let signed = [&webhook.body, b".".as_slice(), nonce.as_bytes(), b".", timestamp.as_bytes()].concat();
        let is_made = |secret: &Secret| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
            hmac::verify(&key, &signed, &signature).is_ok()
        };
        if self.webhook_secrets.iter().any(is_made) {
            Ok(Proof { signed_at: Some(signed_at) })
        } else {
            Err(Rejection::Mismatch)
        }
    }

    /// <https://developers.sinch.com/docs/sms/api-reference/sms/tag/Webhooks/>
    fn parse(&self, proved: &Proved<'_>) -> Result<Vec<Event>> {
        Ok(vec![read(&proved.json()?)?])
    }

    fn limit(&self, _: Channel) -> Limit {
        LIMIT
    }

    /// The request that sends a text.
    fn request(&self, outbound: &Outbound<'_>) -> Result<ApiCall> {
        self.batch(outbound, "mt_text", &json!(outbound.text))
    }

    /// <https://developers.sinch.com/docs/sms/api-reference/sms/tag/Batches/>: `MediaRequest`.
    fn send_file(&self, outbound: &Outbound<'_>, file: &File<'_>) -> Result<SendFile> {
        self.batch(outbound, "mt_media", &json!({ "url": file.url })).map(SendFile::Call)
    }

    /// What the answer means, by the codes of <https://developers.sinch.com/docs/sms/api-reference/status-codes/>.
    fn read_answer(&self, status: StatusCode, body: &[u8]) -> Result<Taken, NotTaken> {
        NotTaken::read(status, code_at(body, "/code"), |code| match code {
            // Of our number or the plan, and not of the text.
            "missing_callback_url" | "unknown_campaign" | "unauthorized" | "forbidden" => Some(Reason::Misconfigured),
            _ => None,
        })
        .map(|()| Taken::at(body, "/id"))
    }
}

fn filled<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str().map(str::trim).filter(|text| !text.is_empty())
}

fn read(body: &Value) -> Result<Event> {
    if !body.is_object() {
        return Err(Error::new(Kind::Validation, "The body is not the object that Sinch sends"));
    }
    let missing = |field: &'static str| Error::invalid(field, "is missing");
    let kind = filled(body, "type").ok_or_else(|| missing("type"))?;
    if kind.contains("delivery_report") {
        return Ok(statuses::read(body));
    }
    if !kind.starts_with("mo_") {
        return Ok(Event::ignored(Ignored::OtherEvent));
    }
    let id = filled(body, "id").ok_or_else(|| missing("id"))?;
    let from = filled(body, "from").ok_or_else(|| missing("from"))?;
    let to = filled(body, "to").ok_or_else(|| missing("to"))?;
    let channel = if kind == "mo_media" { Channel::Mms } else { Channel::Sms };
    let mut message = Message::new("sinch", channel, id, plus(from), plus(to));
    let content = body.get("body").unwrap_or(&Value::Null);
    match kind {
        "mo_text" => content.as_str().unwrap_or_default().clone_into(&mut message.text),
        "mo_binary" => read_binary(content, filled(body, "udh"), &mut message),
        "mo_media" => read_media(content, &mut message),
        // A kind of tomorrow may have its text at the same place.
        _ => match content.as_str() {
            Some(text) => text.clone_into(&mut message.text),
            None => message.describe(&lines::unsupported(Some(content))),
        },
    }
    message.describe_unread(content);
    message.received_at = filled(body, "received_at").and_then(received_at);
    Ok(message.into())
}

/// What is no text is for a program, and the agent reads that it came.
fn read_binary(content: &Value, header: Option<&str>, message: &mut Message) {
    let data = content.as_str().and_then(|body| STANDARD.decode(body.trim()).ok()).unwrap_or_default();
    let header = header.and_then(|header| hex::decode(header).ok()).unwrap_or_default();
    message.encoding = Some("binary".to_owned());
    match binary::text(&data, &header) {
        Some(text) => {
            message.text = text;
            message.concat = binary::concat(&header);
        }
        None => message.describe(lines::UNSUPPORTED_LINE),
    }
}

fn read_media(content: &Value, message: &mut Message) {
    let lines = ["subject", "message"].into_iter().filter_map(|name| filled(content, name));
    message.text = lines.collect::<Vec<_>>().join("\n");
    let media = content.get("media").and_then(Value::as_array).into_iter().flatten();
    message.media = media
        .filter(|item| item.is_object())
        .map(|item| Media {
            url: filled(item, "url").map(str::to_owned),
            content_type: filled(item, "content_type").map(str::to_owned),
            ..Media::default()
        })
        .collect();
}

/// Sinch's own decimals stay as they are.
fn received_at(time: &str) -> Option<String> {
    let read: Timestamp = time.parse().ok()?;
    Some(if time.ends_with('Z') { time.to_owned() } else { utc(read) })
}

#[cfg(test)]
mod tests;
