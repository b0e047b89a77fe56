//! Plivo: SMS, MMS and WhatsApp.
//!
//! | limit | value | source |
//! |---|---|---|
//! | time to answer | 8 s | <https://www.plivo.com/docs/messaging/concepts/message-redirect> |
//! | re-delivery | 3 times, after 60, 120 and 240 s | the same |
//! | signature | V2 or V3, made with the Auth Token | <https://www.plivo.com/docs/messaging/concepts/signature-validation>; plivo-python 4.63.0, plivo-node 4.79.0 |
//! | text we send | 1600 characters of GSM-7, 737 others (code 110), so 10 segments | <https://www.plivo.com/docs/messaging/troubleshooting/error-codes> |
//! | text we send by WhatsApp | 4096 characters | Meta's limit |
//!
//! A form by POST, or the same parameters in the query of a GET. Numbers come without their plus sign.
//!
//! ```text
//! From=14795961111&To=14759440448&Text=Hello+agent&Type=sms&MessageUUID=7a242edc-…&Units=1&TotalRate=0&TotalAmount=0
//! ```
//!
//! Media are `Media0`, `Media1`, …; a report on ours has `Status` and no `Text`.
//!
//! **V2** (`X-Plivo-Signature-V2`, `-V2-Nonce`; `-Ma-V2` by the main account's token) is base64 of the HMAC-SHA-256 over the URL
//! without its query, and the nonce. *It covers neither body nor query*: who has seen one request could send any text with
//! its nonce. So each message carries its nonce ([`Message::signed_once`]), and `deliver-message` refuses one that came with
//! another message. A repeat of the same message has it again, and is no fault. **V3** (`X-Plivo-Signature-V3`, `-V3-Nonce`,
//! `-Ma-V3`) covers them all:
//!
//! * POST: `<URL without query>?<query, sorted>.<names and values of the form, sorted>.<nonce>`; without a query its full
//!   stop is left out, without parameters the question mark too
//! * GET: `<URL without query>?<query, sorted>.<nonce>`
//!
//! Each header may hold several signatures, with commas between them, of which any may match. Where both versions come, V3
//! counts.
//!
//! A text is sent so, and answered 202 `{"message":"message(s) queued","message_uuid":["db3ce55a-…"],"api_id":"…"}`, or
//! `{"error":"…","api_id":"…"}`. There is no idempotency key, and an opted-out customer shows in the report only (code 200).
//!
//! ```text
//! POST https://api.plivo.com/v1/Account/{auth_id}/Message/      Basic: Auth ID and Auth Token
//! {"dst":"14795961111","src":"14759440448","text":"Hello","type":"sms"}
//! ```

mod statuses;

use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    error::{Error, Kind, Result},
    fields::Fields,
    secret::Secret,
    sms::{
        contract::{Facts, Provider},
        event::Event,
        form::Form,
        lines,
        media::{File, MediaRequest, MediaSource, SendFile},
        message::{Channel, Location, Media, Message, plus},
        segments::Limit,
        send::{ApiCall, HttpRequest, NotTaken, Outbound, Taken, add, misconfigured, without_plus},
        webhook::{Proof, Proved, Rejection, Shape, Webhook},
    },
};

const V2: [&str; 2] = ["x-plivo-signature-v2", "x-plivo-signature-ma-v2"];
const V2_NONCE: &str = "x-plivo-signature-v2-nonce";
const V3: [&str; 2] = ["x-plivo-signature-v3", "x-plivo-signature-ma-v3"];
const V3_NONCE: &str = "x-plivo-signature-v3-nonce";

/// More media than any message has.
const MEDIA: usize = 100;

/// Where words may be.
const TEXTS: [&str; 4] = ["Text", "Body", "Caption", "ButtonText"];

pub(super) const FACTS: Facts = Facts { media_links_open: true, ..Facts::new("plivo") };

/// What a Plivo account has.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// In the path of the send API.
    pub auth_id: Option<String>,
    /// Sign webhooks; the first sends.
    pub auth_tokens: Vec<Secret>,
    /// Which signatures count.
    pub signature_version: SignatureVersion,
}

/// Which signatures count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignatureVersion {
    /// V2 only.
    V2,
    /// V3 only.
    V3,
    /// V3 where it is there, else V2.
    #[default]
    Any,
}

impl SignatureVersion {
    const WORDS: [(&str, Self); 3] = [("v2", Self::V2), ("v3", Self::V3), ("any", Self::Any)];
}

impl Credentials {
    pub(super) fn read(fields: &Fields<'_>) -> Self {
        let credentials = Self {
            auth_id: fields.text("auth_id"),
            auth_tokens: fields.secrets("auth_tokens"),
            signature_version: fields.word("signature_version", &SignatureVersion::WORDS).unwrap_or_default(),
        };
        fields.require_one_of(&["auth_tokens"]);
        if credentials.signature_version == SignatureVersion::V2 {
            fields.warn("signature_version", "is v2, which signs no text: have Plivo send V3 signatures if it can");
        }
        credentials
    }

    /// Over the URL and the nonce: see the page.
    fn verify_v2(&self, webhook: &Webhook) -> Result<(), Rejection> {
        let nonce = webhook.header(V2_NONCE);
        let signed = format!("{}{}", webhook.url_without_query(), nonce.unwrap_or_default());
        self.verify_any(webhook, &V2, nonce, &signed)
    }

    /// Over everything: see the page.
    fn verify_v3(&self, webhook: &Webhook) -> Result<(), Rejection> {
        let nonce = webhook.header(V3_NONCE);
        let signed = format!("{}.{}", signed_by_v3(webhook), nonce.unwrap_or_default());
        self.verify_any(webhook, &V3, nonce, &signed)
    }

    /// Whether one of our tokens makes one of the signatures over this text.
    fn verify_any(
        &self,
        webhook: &Webhook,
        headers: &[&'static str],
        nonce: Result<&str, Rejection>,
        signed: &str,
    ) -> Result<(), Rejection> {
        let mut signatures = Vec::new();
        let mut rejection = Rejection::Missing;
        for header in headers {
            match webhook.header(header) {
                Ok(list) => signatures.extend(list.split(',').filter_map(|text| STANDARD.decode(text.trim()).ok())),
                Err(Rejection::Missing) => continue,
                Err(other) => return Err(other),
            }
            rejection = Rejection::Malformed;
        }
        if signatures.is_empty() {
            return Err(rejection);
        }
        nonce?;
        let is_made = |token: &Secret| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, token.expose().as_bytes());
            signatures.iter().any(|signature| hmac::verify(&key, signed.as_bytes(), signature).is_ok())
        };
        if self.auth_tokens.iter().any(is_made) { Ok(()) } else { Err(Rejection::Mismatch) }
    }
}

impl Credentials {
    /// The request that sends a text, or a file.
    fn message(&self, outbound: &Outbound<'_>, kind: &str, (name, content): (&str, Value)) -> Result<ApiCall> {
        let (Some(id), Some(token)) = (&self.auth_id, self.auth_tokens.first()) else {
            return Err(misconfigured("auth_id is missing"));
        };
        if !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(misconfigured("auth_id can't stand in a URL"));
        }
        let mut body = json!({
            "src": without_plus(outbound.from), "dst": without_plus(outbound.to), "type": kind, name: content,
        });
        if let Some(url) = outbound.status_url {
            add(&mut body, "url", json!(url));
            add(&mut body, "method", json!("POST"));
        }
        HttpRequest::json("https://api.plivo.com", format!("/v1/Account/{id}/Message/"), &body)
            .basic(id, token)
            .map(ApiCall::Http)
    }
}

impl Provider for Credentials {
    fn verify(&self, webhook: &Webhook) -> Result<Proof, Rejection> {
        match self.signature_version {
            SignatureVersion::V2 => self.verify_v2(webhook),
            SignatureVersion::V3 => self.verify_v3(webhook),
            SignatureVersion::Any => match self.verify_v3(webhook) {
                Err(Rejection::Missing) => self.verify_v2(webhook),
                outcome => outcome,
            },
        }
        .map(|()| Proof::default())
    }

    /// <https://www.plivo.com/docs/messaging/api/message#receive-a-message>
    fn parse(&self, proved: &Proved<'_>) -> Result<Vec<Event>> {
        let webhook = proved.webhook();
        let json: Option<Value> = if webhook.shape() == Shape::Json { Some(proved.json()?) } else { None };
        let form = match webhook.shape() {
            Shape::Query => Form::read(webhook.query.as_deref().unwrap_or_default().as_bytes()),
            Shape::Form => Form::read(&webhook.body),
            Shape::Json => {
                let object = json.as_ref().and_then(Value::as_object);
                Form::from_json(object.ok_or_else(|| Error::new(Kind::Validation, "The body is not an object"))?)
            }
        };
        let mut event = read(&form)?;
        if let (Event::Message(message), Some(json)) = (&mut event, &json) {
            TEXTS.iter().filter_map(|name| json.get(name)).for_each(|text| message.describe_unread(text));
        }
        if self.signature_version == SignatureVersion::V2 || self.verify_v3(webhook).is_err() {
            let nonce = webhook.header(V2_NONCE).ok().map(str::to_owned);
            match &mut event {
                Event::Message(message) => message.signed_once = nonce,
                Event::Status(status) => status.signed_once = nonce,
                Event::Ignored { .. } | Event::SubscriptionConfirmation { .. } | Event::Challenge(_) => {}
            }
        }
        Ok(vec![event])
    }

    fn limit(&self, channel: Channel) -> Limit {
        if channel == Channel::Whatsapp { Limit::Characters(4096) } else { Limit::Segments(10) }
    }

    /// The request that sends a text.
    fn request(&self, outbound: &Outbound<'_>) -> Result<ApiCall> {
        let kind = if outbound.channel == Channel::Whatsapp { "whatsapp" } else { "sms" };
        self.message(outbound, kind, ("text", json!(outbound.text)))
    }

    fn medium(&self, media: &Media, _: Option<&str>) -> Result<Option<MediaSource>> {
        let Some(url) = &media.url else { return Ok(None) };
        let request = MediaRequest::open(url).at_hosts(["api.plivo.com", "media.plivo.com"]);
        Ok(Some(MediaSource::Http(request.basic(self.auth_id.as_deref(), self.auth_tokens.first()))))
    }

    /// <https://www.plivo.com/docs/messaging/api/message/send-a-message>: `media_urls`.
    fn send_file(&self, outbound: &Outbound<'_>, file: &File<'_>) -> Result<SendFile> {
        let kind = if outbound.channel == Channel::Whatsapp { "whatsapp" } else { "mms" };
        self.message(outbound, kind, ("media_urls", json!([file.url]))).map(SendFile::Call)
    }

    /// What the answer means: its words have no codes.
    fn read_answer(&self, status: StatusCode, body: &[u8]) -> Result<Taken, NotTaken> {
        NotTaken::read(status, None, |_| None).map(|()| Taken::at(body, "/message_uuid/0"))
    }
}

/// What V3 signs but for the nonce, as plivo-python does (`signature_v3.py`).
fn signed_by_v3(webhook: &Webhook) -> String {
    let query = sorted(webhook.query.as_deref().unwrap_or_default().as_bytes());
    let is_get = webhook.method == Method::GET;
    let parameters = if is_get { Vec::new() } else { sorted(&webhook.body) };
    let mut text = webhook.url_without_query();
    if !query.is_empty() || !parameters.is_empty() {
        text.push('?');
    }
    let pairs: Vec<_> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    text.push_str(&pairs.join("&"));
    if !query.is_empty() && !parameters.is_empty() {
        text.push('.');
    }
    for (name, value) in &parameters {
        text.push_str(name);
        text.push_str(value);
    }
    text
}

/// By name, and the values of each name sorted too.
fn sorted(encoded: &[u8]) -> Vec<(String, String)> {
    let mut pairs: Vec<_> =
        Form::read(encoded).pairs().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    pairs.sort_unstable();
    pairs
}

fn read(form: &Form<'_>) -> Result<Event> {
    let kind = form.filled("Type").map(str::to_ascii_lowercase).unwrap_or_default();
    // WhatsApp's words are in `Body` where there is no `Text`, and a tapped button's in `ButtonText`.
    let text = TEXTS.into_iter().find_map(|name| form.filled(name));
    let is_report = form.filled("Status").is_some_and(|status| !status.eq_ignore_ascii_case("received"));
    if is_report && text.is_none() {
        return Ok(statuses::read(form));
    }
    let media = media(form);
    let channel = match kind.as_str() {
        "whatsapp" => Channel::Whatsapp,
        "rcs" => Channel::Rcs,
        "mms" => Channel::Mms,
        _ if media.is_empty() => Channel::Sms,
        _ => Channel::Mms,
    };
    let id = form.required("MessageUUID")?.trim();
    let address = |name| form.required(name).map(|address| plus(address.trim()));
    let mut message = Message::new("plivo", channel, id, address("From")?, address("To")?);
    // Not trimmed, and not even where it is blank.
    text.or_else(|| form.get("Text")).unwrap_or_default().clone_into(&mut message.text);
    message.media = media;
    message.segments = form.filled("Units").and_then(|units| units.trim().parse().ok());
    message.button_payload = form.filled("ButtonPayload").map(str::to_owned);
    message.profile_name = form.filled("ProfileName").map(str::to_owned);
    message.location = location(form);
    if message.is_blank() && channel != Channel::Sms && form.filled("ContentType").is_some() {
        message.describe(lines::UNSUPPORTED_LINE);
    }
    Ok(message.into())
}

/// `Media0`, `Media1`, … for as long as they go on.
fn media(form: &Form<'_>) -> Vec<Media> {
    let mut urls: BTreeMap<usize, &str> = BTreeMap::new();
    for (name, value) in form.pairs().filter(|(_, value)| !value.trim().is_empty()) {
        let digits = name.strip_prefix("MediaUrl").or_else(|| name.strip_prefix("Media"));
        let index =
            digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit())).and_then(|n| n.parse().ok());
        if let Some(index) = index.filter(|index| *index < MEDIA) {
            urls.entry(index).or_insert(value);
        }
    }
    urls.into_values().map(|url| Media { url: Some(url.to_owned()), ..Media::default() }).collect()
}

fn location(form: &Form<'_>) -> Option<Location> {
    let degrees = |name, limit: f64| {
        let degrees: f64 = form.filled(name)?.trim().parse().ok()?;
        (-limit..=limit).contains(&degrees).then_some(degrees)
    };
    Some(Location {
        latitude: degrees("Latitude", 90.0)?,
        longitude: degrees("Longitude", 180.0)?,
        name: form.filled("Name").map(str::to_owned),
        address: form.filled("Address").map(str::to_owned),
    })
}

#[cfg(test)]
mod tests;
