//! Vonage, formerly Nexmo: its SMS API. For the Messages API see `vonage_messages`.
//!
//! | limit | value | source |
//! |---|---|---|
//! | time to answer | not documented | |
//! | re-delivery | until 200 or 204, for 24 h | <https://developer.vonage.com/messaging/sms/guides/inbound-sms> |
//! | signature | a parameter, one of five methods | <https://developer.vonage.com/en/getting-started/concepts/signing-messages> |
//! | its age | only Vonage's Java SDK limits it (5 min); Python's and Node's do not, nor do we unless told to | `RequestSigning` of <https://github.com/Vonage/vonage-java-sdk> |
//! | text we send | 1600 characters, not verified | courier's `nexmo` |
//!
//! By the account's setting a query (GET), a form (POST) or JSON (POST), with the same parameters:
//!
//! ```text
//! msisdn=447700900001&to=447700900000&messageId=0A0000000123ABCD1&text=Hello+agent&type=text&keyword=HELLO
//! &api-key=abcd1234&message-timestamp=2026-09-21+14%3A13%3A19&timestamp=1789999999&nonce=aaaaaaaa-…&sig=eb3c1c3d…
//! ```
//!
//! `type=unicode` has a text too; `type=binary` has `data` and `udh` in hex. A long message comes in parts, with
//! `concat=true`, `concat-ref`, `concat-total` and `concat-part`. A delivery receipt has `status` and `scts`.
//! `keyword` is the first word of the text in capitals, so it is not kept.
//!
//! Signing is off until the owner switches it on, with the signature secret, which is not the API secret. The method is
//! set there too; Vonage's default, and ours, is `md5hash`.
//!
//! The signature is over `&name=value` of all parameters but `sig`, by name, where each `&` and `=` of a *value* becomes
//! `_`. So `a=b` and `a_b` sign alike: who holds one signed webhook can turn one into the other, in a text. He must not
//! gain more from it:
//! * A *name* with `&` or `=` could swallow its neighbours (and so hide the time of the signature): refused.
//! * A name that is there twice, in JSON as well: refused, since Vonage sends none and readers differ in which counts.
//! * An id with `&` or `=` would be a second id for one message: refused.
//!
//! Whatever the age allowed, a replay is stopped by the message's id.
//!
//! A text is sent so (<https://developer.vonage.com/api/sms>). The answer is 200 whatever became of it; one item for each
//! part that Vonage made of it says more:
//! `{"message-count":"1","messages":[{"to":"447700900001","message-id":"0C…","status":"0",…}]}`, or
//! `{"message-count":"1","messages":[{"status":"4","error-text":"Bad Credentials"}]}`
//! (<https://developer.vonage.com/messaging/sms/guides/troubleshooting-sms>). There is no idempotency key, and no status
//! for a customer who has opted out: Vonage takes the text and says so in the delivery receipt
//! (<https://developer.vonage.com/en/opt-out-assist/guides/messaging-opted-out-numbers>).
//!
//! ```text
//! POST https://rest.nexmo.com/sms/json
//! {"api_key":"abcd1234","api_secret":"…","client-ref":"3b5f…","from":"447700900000","text":"Hello",
//!  "to":"447700900001","type":"text"}
//! ```

mod statuses;

use std::{
    borrow::Cow,
    collections::{BTreeMap, btree_map::Entry},
    fmt,
};

use ::hmac::{Hmac, KeyInit as _, Mac as _};
use aws_lc_rs::{constant_time, hmac};
use http::StatusCode;
use jiff::{civil::DateTime, tz::Offset};
use md5::{Digest as _, Md5};
use serde::{
    Deserialize, Deserializer as _,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::{Value, json, value::RawValue};

use crate::{
    error::{Error, Kind, Result},
    fields::Fields,
    mend,
    secret::Secret,
    sms::{
        binary,
        contract::{Facts, Provider},
        event::{Event, Ignored},
        form, lines,
        message::{Channel, Concat, Message, plus, utc},
        segments::{self, Encoding, Limit},
        send::{ApiCall, HttpRequest, NotTaken, Outbound, Reason, Taken, add, misconfigured, scalar, without_plus},
        webhook::{Proof, Proved, Rejection, Shape, Webhook},
    },
};

const SIGNATURE: &str = "sig";

/// See the page's table.
pub(super) const LIMIT: Limit = Limit::Units(1600);

/// Vonage tries a webhook again for 24 hours, with the signature of the first time. A text has a few kilobytes at most.
pub(super) const FACTS: Facts =
    Facts { signs_a_time: true, max_age_seconds: 86_400, max_body: 64 * 1024, ..Facts::new("vonage") };

/// What a Vonage account has.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Tells accounts of one secret apart, and sends.
    pub api_key: Option<String>,
    /// Sends.
    pub api_secret: Option<Secret>,
    /// Sign webhooks.
    pub signature_secrets: Vec<Secret>,
    /// How they sign.
    pub signature_method: SignatureMethod,
}

/// How a signature is made. Each is over the same text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignatureMethod {
    /// MD5 of the text and the secret: Vonage's default.
    #[default]
    Md5Hash,
    /// HMAC-MD5.
    Md5,
    /// HMAC-SHA-1.
    Sha1,
    /// HMAC-SHA-256.
    Sha256,
    /// HMAC-SHA-512.
    Sha512,
}

impl SignatureMethod {
    /// By the names of Vonage's SDKs.
    const WORDS: [(&str, Self); 5] = [
        ("md5hash", Self::Md5Hash),
        ("md5", Self::Md5),
        ("sha1", Self::Sha1),
        ("sha256", Self::Sha256),
        ("sha512", Self::Sha512),
    ];

    /// Whether the secret makes this signature over the text. In constant time.
    fn matches(self, secret: &Secret, text: &[u8], signature: &[u8]) -> bool {
        let secret = secret.expose().as_bytes();
        let has_mac = |algorithm| hmac::verify(&hmac::Key::new(algorithm, secret), text, signature).is_ok();
        let equals = |digest: &[u8]| constant_time::verify_slices_are_equal(digest, signature).is_ok();
        match self {
            Self::Md5Hash => equals(&Md5::new().chain_update(text).chain_update(secret).finalize()),
            // aws-lc-rs has no HMAC with MD5.
            Self::Md5 => Hmac::<Md5>::new_from_slice(secret)
                .is_ok_and(|mac| mac.chain_update(text).verify_slice(signature).is_ok()),
            Self::Sha1 => has_mac(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
            Self::Sha256 => has_mac(hmac::HMAC_SHA256),
            Self::Sha512 => has_mac(hmac::HMAC_SHA512),
        }
    }
}

impl Credentials {
    pub(super) fn read(fields: &Fields<'_>) -> Self {
        let credentials = Self {
            api_key: fields.text("api_key"),
            api_secret: fields.secret("api_secret"),
            signature_secrets: fields.secrets("signature_secrets"),
            signature_method: fields.word("signature_method", &SignatureMethod::WORDS).unwrap_or_default(),
        };
        fields.require_one_of(&["signature_secrets"]);
        fields.warn_of_missing(&["api_secret"], &["api_key"]);
        credentials
    }
}

impl Provider for Credentials {
    /// As vonage-python 4.9 (`check_signature`) and nexmo-node 2.9 (`generateSignature`) do; `@vonage/auth` 3 makes another
    /// text, which webhooks do not use.
    fn verify(&self, webhook: &Webhook) -> Result<Proof, Rejection> {
        let parameters = Parameters::read(webhook)?;
        let signature = parameters.filled(SIGNATURE).ok_or(Rejection::Missing)?;
        let signature = hex::decode(signature).map_err(|_| Rejection::Malformed)?;
        let signed = parameters.signed();
        let method = self.signature_method;
        if self.signature_secrets.iter().any(|secret| method.matches(secret, signed.as_bytes(), &signature)) {
            Ok(Proof { signed_at: Some(parameters.signed_at()) })
        } else {
            Err(Rejection::Mismatch)
        }
    }

    /// <https://developer.vonage.com/messaging/sms/guides/inbound-sms>
    fn parse(&self, proved: &Proved<'_>) -> Result<Vec<Event>> {
        let webhook = proved.webhook();
        let parameters =
            Parameters::read(webhook).map_err(|_| Error::new(Kind::Validation, "The parameters can't be read"))?;
        Ok(vec![read(&parameters)?])
    }

    fn is_named(&self, proved: &Proved<'_>, _: &Message) -> Option<bool> {
        let parameters = Parameters::read(proved.webhook()).ok()?;
        Some(self.api_key.as_deref()? == parameters.filled("api-key")?)
    }

    fn limit(&self, _: Channel) -> Limit {
        LIMIT
    }

    /// The request that sends a text.
    fn request(&self, outbound: &Outbound<'_>) -> Result<ApiCall> {
        let (Some(key), Some(secret)) = (&self.api_key, &self.api_secret) else {
            return Err(misconfigured("api_key or api_secret is missing"));
        };
        let is_gsm7 = segments::size(outbound.text).encoding == Encoding::Gsm7;
        let mut body = json!({
            "api_key": key, "api_secret": secret.expose(),
            "from": without_plus(outbound.from), "to": without_plus(outbound.to),
            "text": outbound.text, "type": if is_gsm7 { "text" } else { "unicode" },
            // Comes back in delivery receipts; at most 100 characters.
            "client-ref": outbound.key,
        });
        if let Some(url) = outbound.status_url.filter(|url| url.len() <= statuses::CALLBACK_LENGTH) {
            add(&mut body, "status-report-req", json!(1));
            add(&mut body, "callback", json!(url));
        }
        Ok(ApiCall::Http(HttpRequest::json("https://rest.nexmo.com", "/sms/json", &body)))
    }

    /// What the answer means. A text is taken whole or not at all, as far as Vonage says so: if some of its parts were taken
    /// and others not, or nothing can be read, it may have been sent.
    fn read_answer(&self, status: StatusCode, body: &[u8]) -> Result<Taken, NotTaken> {
        NotTaken::read(status, None, |_| None)?;
        let unknown = |code| NotTaken { reason: Reason::Unknown, code };
        let answer: Answer = serde_json::from_slice(body).map_err(|_| unknown(None))?;
        let message_ids = answer.messages.iter().filter_map(|part| scalar(&part.message_id)).collect();
        let statuses: Option<Vec<String>> = answer
            .messages
            .into_iter()
            .map(|part| match part.status {
                Value::String(status) => Some(status),
                Value::Number(status) => Some(status.to_string()),
                _ => None,
            })
            .collect();
        let (taken, failed): (Vec<_>, Vec<_>) =
            statuses.ok_or_else(|| unknown(None))?.into_iter().partition(|status| status == "0");
        match (failed.into_iter().next(), taken.is_empty()) {
            (None, false) => Ok(Taken { message_ids }),
            (Some(status), true) => Err(NotTaken { reason: reason(&status), code: Some(status) }),
            (status, _) => Err(unknown(status)),
        }
    }
}

/// The parameters by name, each once.
struct Parameters<'a>(BTreeMap<Cow<'a, str>, Cow<'a, str>>);

impl<'a> Parameters<'a> {
    /// Before verification: bytes that are no UTF-8 are replaced, as the frameworks of the SDKs do.
    fn read(webhook: &'a Webhook) -> Result<Self, Rejection> {
        let mut parameters = Self(BTreeMap::new());
        match encoded(webhook) {
            Some(input) => {
                for (name, value) in form_urlencoded::parse(input) {
                    parameters.insert(name, value)?;
                }
            }
            None => {
                let text = mend::json(&webhook.body);
                let mut json = serde_json::Deserializer::from_str(&text);
                parameters = json.deserialize_map(FlatObject).map_err(|_| Rejection::Malformed)?;
                json.end().map_err(|_| Rejection::Malformed)?;
            }
        }
        Ok(parameters)
    }

    fn insert(&mut self, name: Cow<'a, str>, value: Cow<'a, str>) -> Result<(), Rejection> {
        if !form::is_name(&name) || self.0.len() == form::PARAMETERS {
            return Err(Rejection::Malformed);
        }
        match self.0.entry(name) {
            Entry::Vacant(place) => {
                place.insert(value);
                Ok(())
            }
            Entry::Occupied(_) => Err(Rejection::Malformed),
        }
    }

    /// What the signature is over.
    fn signed(&self) -> String {
        let mut text = String::new();
        for (name, value) in self.0.iter().filter(|(name, _)| *name != SIGNATURE) {
            text.push('&');
            text.push_str(name);
            text.push('=');
            text.extend(value.chars().map(|character| if matches!(character, '&' | '=') { '_' } else { character }));
        }
        text
    }

    /// A webhook that tells no time is as old as can be: an account that limits the age must not be got round by what
    /// is not there.
    fn signed_at(&self) -> i64 {
        self.filled("timestamp").and_then(|seconds| seconds.trim().parse().ok()).unwrap_or(0)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(Cow::as_ref)
    }

    fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.trim().is_empty())
    }

    fn required(&self, name: &'static str) -> Result<&str> {
        self.filled(name).ok_or_else(|| Error::invalid(name, "is missing"))
    }
}

/// The parameters where they are url-encoded; `None` where they are JSON.
fn encoded(webhook: &Webhook) -> Option<&[u8]> {
    match webhook.shape() {
        Shape::Query => Some(webhook.query.as_deref().unwrap_or_default().as_bytes()),
        Shape::Form => Some(&webhook.body),
        Shape::Json => None,
    }
}

/// Reads a JSON object of texts, numbers and booleans. Numbers and booleans are signed as their text: here, letter by
/// letter as it stands in the body. Null counts as absent (vonage-java leaves it out of what is signed); what is nested
/// has no text, so it is refused.
struct FlatObject;

impl<'de> Visitor<'de> for FlatObject {
    type Value = Parameters<'static>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts, numbers and booleans")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut parameters = Parameters(BTreeMap::new());
        while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
            let value = match value.get() {
                "null" => continue,
                text if text.starts_with('"') => Cow::Owned(serde_json::from_str(text).map_err(A::Error::custom)?),
                nested if nested.starts_with(['{', '[']) => return Err(A::Error::custom("nested")),
                text => Cow::Owned(text.to_owned()),
            };
            parameters.insert(Cow::Owned(name), value).map_err(A::Error::custom)?;
        }
        Ok(parameters)
    }
}

fn read(parameters: &Parameters<'_>) -> Result<Event> {
    // <https://developer.vonage.com/messaging/sms/guides/delivery-receipts>
    let is_receipt = ["status", "scts", "err-code"].into_iter().any(|name| parameters.filled(name).is_some());
    if is_receipt && parameters.get("text").is_none() && parameters.get("data").is_none() {
        return Ok(statuses::read(|name| parameters.filled(name)));
    }
    // `None`: what can't be read.
    let (text, encoding) = match (parameters.filled("type"), parameters.get("text")) {
        // Who sent a blank message sent one all the same.
        (Some("text"), text) => (Some(text.unwrap_or_default().to_owned()), None),
        (Some("unicode"), text) => (Some(text.unwrap_or_default().to_owned()), Some("unicode")),
        (Some("binary"), _) if is_for_program(parameters) => return Ok(Event::ignored(Ignored::Binary)),
        (Some("binary"), _) => (binary_text(parameters), Some("binary")),
        (_, Some(text)) => (Some(text.to_owned()), None),
        (Some(_), None) => (None, None),
        (None, None) => return Err(Error::invalid("text", "is missing")),
    };
    let message_id = parameters.required("messageId")?;
    if message_id.contains(['&', '=']) {
        return Err(Error::invalid("messageId", "is not a message id"));
    }
    let from = plus(parameters.required("msisdn")?.trim());
    let to = plus(parameters.required("to")?.trim());

    let mut message = Message::new("vonage", Channel::Sms, message_id, from, to);
    match text {
        Some(text) => message.text = text,
        None => message.describe(&lines::unsupported(None)),
    }
    message.encoding = encoding.map(str::to_owned);
    message.received_at = parameters.filled("message-timestamp").and_then(received_at);
    message.concat = concat(parameters);
    Ok(message.into())
}

/// "The UTC±00:00 time …, in the following format: YYYY-MM-DD HH:MM:SS"
fn received_at(text: &str) -> Option<String> {
    let time = DateTime::strptime("%Y-%m-%d %H:%M:%S", text.trim()).ok()?;
    Offset::UTC.to_timestamp(time).ok().map(utc)
}

/// Which part it is, if it is one and says so without contradiction; else it is delivered by itself.
fn concat(parameters: &Parameters<'_>) -> Option<Concat> {
    if !parameters.filled("concat")?.trim().eq_ignore_ascii_case("true") {
        return None;
    }
    let number = |name| parameters.filled(name)?.trim().parse::<u16>().ok();
    let (total, part) = (number("concat-total")?, number("concat-part")?);
    // One octet each: 3GPP TS 23.040, 9.2.3.24.1.
    let is_part = (2..=255).contains(&total) && (1..=total).contains(&part);
    is_part.then_some(Concat { reference: parameters.filled("concat-ref")?.trim().to_owned(), total, part })
}

/// What is addressed to a port is for a program on a phone, and never text.
fn is_for_program(parameters: &Parameters<'_>) -> bool {
    parameters
        .filled("udh")
        .and_then(|udh| hex::decode(udh.trim()).ok())
        .is_some_and(|header| binary::has_port(&header))
}

/// The text of a binary message, if it is one.
fn binary_text(parameters: &Parameters<'_>) -> Option<String> {
    binary::text(&hex::decode(parameters.filled("data")?.trim()).ok()?, &[])
}

/// The answer, as far as it is read. Not `Debug`: it quotes the customer's number.
#[derive(Deserialize)]
struct Answer {
    messages: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    status: Value,
    #[serde(default, rename = "message-id")]
    message_id: Value,
}

/// <https://developer.vonage.com/api-errors/sms>
fn reason(status: &str) -> Reason {
    match status {
        // "Throttled", "Too Many Existing Binds".
        "1" | "10" => Reason::Throttled,
        // "Internal Error".
        "5" => Reason::Unavailable,
        // "Invalid Credentials", "Partner Account Barred", "Partner Quota Violation" (no credit), "Account Not Enabled
        // For HTTP", "Invalid Signature", "Invalid Sender Address", "Non-Whitelisted Destination" (of a trial account),
        // "Signature And API Secret Disallowed".
        "4" | "8" | "9" | "11" | "14" | "15" | "29" | "32" => Reason::Misconfigured,
        // "Missing Parameters", "Invalid Parameters", "Invalid Message", "Number Barred", "Message Too Long", "Invalid
        // Network Code", "Invalid Callback URL", "Number De-activated".
        _ => Reason::Refused,
    }
}

#[cfg(test)]
mod tests;
