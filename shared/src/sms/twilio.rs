//! Twilio: SMS, MMS, WhatsApp, RCS.
//!
//! | limit | value | source |
//! |---|---|---|
//! | time to answer | connect 5 s, read 15 s, total 15 s | <https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides> |
//! | re-delivery | none after an HTTP error; the number's fallback URL once | the same |
//! | media of a message | 10 | <https://www.twilio.com/docs/messaging/guides/webhook-request> |
//! | message id | 34 characters, `SM` or `MM` and 32 hex digits | <https://www.twilio.com/docs/messaging/api/message-resource> |
//! | text we send | 1600 characters | the same |
//! | answer | `text/xml`, else error 12300 | <https://www.twilio.com/docs/api/errors/12300> |
//!
//! A message, as a form (POST) or a query (GET); empty parameters are sent and signed:
//!
//! ```text
//! ToCountry=US&ToState=DC&SmsMessageSid=SM…&NumMedia=1&ToCity=&FromZip=01022&SmsSid=SM…&SmsStatus=received
//! &Body=Hello+agent&To=%2B12028831111&NumSegments=1&MessageSid=SM…&AccountSid=AC…&From=%2B14133881111
//! &MediaUrl0=https%3A%2F%2Fapi.twilio.com%2F…&MediaContentType0=image%2Fjpeg&ApiVersion=2010-04-01
//! ```
//!
//! WhatsApp: `From` and `To` are `whatsapp:+…`, or `whatsapp:US.1349…` for a user who shows no number; `ProfileName`,
//! `WaId`, `ExternalUserId`, `ButtonPayload`, `Latitude`, `OriginalRepliedMessageSid`. RCS: `rcs:…`.
//!
//! The signature covers no time and no nonce: a replay is stopped by the message id alone. It also joins names and
//! values without a separator, so who holds one signed webhook can move their borders. He could so lengthen the message
//! id past the memory of delivered ids, which is why an id longer than Twilio's is refused.
//!
//! Media links are open to anyone unless the owner switched authentication for them on.
//!
//! A text is sent so (<https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource>), and
//! answered 201 `{"sid":"SM…",…}`, or 4xx `{"code":21610,"message":"…","status":400}`. There is no idempotency key.
//!
//! ```text
//! POST https://api.twilio.com/2010-04-01/Accounts/AC…/Messages.json      Basic: AC… and token, or SK… and secret
//! To=%2B14133881111&From=%2B12028831111&Body=Hello
//! ```

use std::collections::BTreeMap;

use aws_lc_rs::{constant_time, digest, hmac};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::StatusCode;
use serde_json::{Map, Value};

use super::{
    form::Form,
    message::{Channel, Event, FromKind, Location, Media, Message, OptOut, plus},
    segments::Limit,
    send::{NotTaken, Reason, Request, Text, code_at, misconfigured},
    webhook::{Proof, Rejection, Shape, Verified, Webhook},
};
use crate::{
    error::{Error, Result},
    secret::Secret,
    settings::Fields,
};

const SIGNATURE: &str = "x-twilio-signature";
const SIGNATURE_SETTINGS: &str = "x-twilio-webhooks-signature-settings";
const BODY_HASH: &str = "bodySHA256";
const MESSAGE_ID_LENGTH: usize = 34;

/// "up to 1,600 characters"; those of GSM-7's extension table are counted twice, to be safe.
pub(super) const LIMIT: Limit = Limit::Units(1600);

/// What a Twilio account has.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Tells accounts of one secret apart, and sends.
    pub account_sid: Option<String>,
    /// Sign webhooks; the first sends, where there is no API key.
    pub auth_tokens: Vec<Secret>,
    /// Sign webhooks that name them, by their ids.
    pub shared_keys: BTreeMap<String, Secret>,
    /// Sends.
    pub api_key_sid: Option<String>,
    /// Sends.
    pub api_key_secret: Option<Secret>,
}

impl Credentials {
    pub(super) fn read(fields: &Fields<'_>) -> Self {
        let credentials = Self {
            account_sid: fields.text("account_sid"),
            auth_tokens: fields.secrets("auth_tokens"),
            shared_keys: fields.secrets_by_id("shared_keys"),
            api_key_sid: fields.text("api_key_sid"),
            api_key_secret: fields.secret("api_key_secret"),
        };
        fields.require_one_of(&["auth_tokens", "shared_keys"]);
        if credentials.api_key_sid.is_some() != credentials.api_key_secret.is_some() {
            fields.warn("api_key_sid or api_key_secret", "is missing, so the other has no effect");
        }
        fields.warn_of_missing(&["api_key_sid"], &["account_sid"]);
        credentials
    }

    pub(super) fn is_named(&self, message: &Message) -> Option<bool> {
        Some(*self.account_sid.as_ref()? == *message.account.as_ref()?)
    }

    /// The secrets that may have signed this webhook, as twilio-python 9.13 tells them: with the settings header, the
    /// shared key that it names; without it, or without an algorithm in it, auth tokens and SHA-1.
    /// <https://www.twilio.com/docs/usage/webhooks/webhook-shared-keys>
    fn signers(&self, webhook: &Webhook) -> Result<Vec<hmac::Key>, Rejection> {
        let settings = match webhook.header(SIGNATURE_SETTINGS) {
            Ok(text) => SignatureSettings::read(text)?,
            Err(Rejection::Missing) => SignatureSettings::default(),
            Err(rejection) => return Err(rejection),
        };
        let shared_key = match settings.key {
            Some(id) => Some(self.shared_keys.get(id).ok_or(Rejection::Mismatch)?),
            None => None,
        };
        let legacy = hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY;
        match settings.algorithm {
            Some(algorithm) => Ok(vec![key(algorithm, shared_key.ok_or(Rejection::Malformed)?)]),
            None => Ok(self.auth_tokens.iter().chain(shared_key).map(|secret| key(legacy, secret)).collect()),
        }
    }
}

fn key(algorithm: hmac::Algorithm, secret: &Secret) -> hmac::Key {
    hmac::Key::new(algorithm, secret.expose().as_bytes())
}

/// `key=<id>,algorithm=HMAC_SHA256`, in any order.
#[derive(Default)]
struct SignatureSettings<'a> {
    key: Option<&'a str>,
    algorithm: Option<hmac::Algorithm>,
}

impl<'a> SignatureSettings<'a> {
    /// Other names are left alone; what is said twice is refused, since one of both would be believed.
    fn read(text: &'a str) -> Result<Self, Rejection> {
        let mut settings = Self::default();
        for (name, value) in text.split(',').filter_map(|part| part.split_once('=')) {
            let value = value.trim();
            let is_repeated = match name.trim() {
                "key" => settings.key.replace(value).is_some(),
                "algorithm" => settings.algorithm.replace(algorithm(value)?).is_some(),
                _ => false,
            };
            if is_repeated {
                return Err(Rejection::Malformed);
            }
        }
        Ok(settings)
    }
}

fn algorithm(name: &str) -> Result<hmac::Algorithm, Rejection> {
    match name.to_ascii_uppercase().as_str() {
        "HMAC_SHA256" => Ok(hmac::HMAC_SHA256),
        "HMAC_SHA1" => Ok(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
        _ => Err(Rejection::Malformed),
    }
}

/// <https://www.twilio.com/docs/usage/webhooks/webhooks-security>: base64 of HMAC(auth token, URL and parameters). Both
/// SDKs accept the URL with and without its port.
pub(super) fn verify(credentials: &Credentials, webhook: &Webhook) -> Result<Proof, Rejection> {
    let signature = STANDARD.decode(webhook.header(SIGNATURE)?).map_err(|_| Rejection::Malformed)?;
    let signers = credentials.signers(webhook)?;
    let parameters = signed_parameters(webhook)?;
    for url in webhook.urls_by_port() {
        let signed = [url.as_bytes(), parameters.as_bytes()].concat();
        if signers.iter().any(|signer| hmac::verify(signer, &signed, &signature).is_ok()) {
            return Ok(Proof { signed_at: None });
        }
    }
    Err(Rejection::Mismatch)
}

/// What is signed after the URL.
fn signed_parameters(webhook: &Webhook) -> Result<String, Rejection> {
    match webhook.shape() {
        Shape::Query => Ok(String::new()),
        Shape::Json => check_body_hash(webhook).map(|()| String::new()),
        Shape::Form => {
            let form = Form::read(&webhook.body);
            let mut pairs: Vec<_> = form.pairs().collect();
            // By name, then by value, each pair once: twilio-python sorts `set(values)`, twilio-node `Array.from(new
            // Set(values)).sort()`.
            pairs.sort_unstable();
            pairs.dedup();
            Ok(pairs.into_iter().flat_map(|(name, value)| [name, value]).collect())
        }
    }
}

/// A JSON body is signed through the URL, which holds its hash. The SDKs ask for this way by the caller's types; here
/// the content type decides, and then the parameter must be there: else the body would be unsigned.
pub(super) fn check_body_hash(webhook: &Webhook) -> Result<(), Rejection> {
    let query = webhook.query.as_deref().unwrap_or_default();
    let (_, hash) =
        form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == BODY_HASH).ok_or(Rejection::Malformed)?;
    let expected = hex::decode(hash.as_bytes()).map_err(|_| Rejection::Malformed)?;
    let actual = digest::digest(&digest::SHA256, &webhook.body);
    constant_time::verify_slices_are_equal(actual.as_ref(), &expected).map_err(|_| Rejection::Mismatch)
}

/// <https://www.twilio.com/docs/messaging/guides/webhook-request>
pub(super) fn parse(verified: &Verified<'_>) -> Result<Vec<Event>> {
    let webhook = verified.webhook();
    let event = match webhook.shape() {
        Shape::Query => read(&Form::read(webhook.query.as_deref().unwrap_or_default().as_bytes()).require_utf8()?)?,
        Shape::Form => read(&Form::read(&webhook.body).require_utf8()?)?,
        Shape::Json => {
            let object: Map<String, Value> = verified.json()?;
            let form = Form::from_json(&object);
            // Twilio's JSON webhooks are other products' events.
            if form.filled("MessageSid").is_none() { Event::ignored("not a message") } else { read(&form)? }
        }
    };
    Ok(vec![event])
}

fn read(form: &Form<'_>) -> Result<Event> {
    if form.filled("MessageSid").is_none() && form.filled("CallSid").is_some() {
        return Ok(Event::ignored("a call"));
    }
    let message_id = form.required("MessageSid")?;
    if message_id.len() > MESSAGE_ID_LENGTH || !message_id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(Error::invalid("MessageSid", "is not a message id"));
    }
    if is_status(form) {
        return Ok(Event::ignored("status"));
    }
    if matches!(form.get("MessageType"), Some("reaction" | "unsupported" | "system")) {
        return Ok(Event::ignored("unsupported message type"));
    }
    read_message(form, "twilio", message_id)
}

/// Whether it reports on a message of ours. Only what is received is a customer's.
pub(super) fn is_status(form: &Form<'_>) -> bool {
    ["MessageStatus", "SmsStatus"]
        .into_iter()
        .filter_map(|name| form.filled(name))
        .any(|status| !matches!(status, "received" | "receiving"))
}

/// The form that SignalWire shares.
pub(super) fn read_message(form: &Form<'_>, provider: &'static str, message_id: &str) -> Result<Event> {
    let external_id = form.filled("ExternalUserId").map(split_address);
    // Who shows no number has only the other id: https://www.twilio.com/docs/whatsapp (usernames).
    let (from_prefix, from) = form
        .filled("From")
        .map(split_address)
        .filter(|(_, address)| !address.is_empty())
        .or(external_id)
        .ok_or_else(|| Error::invalid("From", "is missing"))?;
    let (to_prefix, to) = split_address(form.required("To")?);
    let media = media(form);
    let prefix = from_prefix.or(to_prefix).or(external_id.and_then(|(prefix, _)| prefix));
    let channel = match prefix.map(str::to_ascii_lowercase).as_deref() {
        Some("whatsapp") => Channel::Whatsapp,
        Some("rcs") => Channel::Rcs,
        Some(_) => return Ok(Event::ignored("unsupported channel")),
        // WhatsApp sometimes comes without its prefix.
        None if form.filled("WaId").is_some() => Channel::Whatsapp,
        None if media.is_empty() => Channel::Sms,
        None => Channel::Mms,
    };
    // WhatsApp knows no short codes, so bare digits are a number there.
    let address = |text: &str| if channel == Channel::Whatsapp { plus(text) } else { text.to_owned() };

    let mut message = Message::new(provider, channel, message_id, address(from), address(to));
    message.text = form.get("Body").unwrap_or_default().to_owned();
    if message.text.trim().is_empty()
        && let Some(button) = form.filled("ButtonText")
    {
        message.text = button.to_owned();
    }
    message.media = media;
    message.segments = form.get("NumSegments").and_then(|count| count.parse().ok());
    message.account = form.filled("AccountSid").map(str::to_owned);
    message.messaging_service = form.filled("MessagingServiceSid").map(str::to_owned);
    message.in_reply_to = form.filled("OriginalRepliedMessageSid").map(str::to_owned);
    message.button_payload = form.filled("ButtonPayload").map(str::to_owned);
    message.profile_name = form.filled("ProfileName").map(str::to_owned);
    message.location = location(form);
    message.opt_out = form.get("OptOutType").and_then(|word| match word.trim().to_ascii_uppercase().as_str() {
        "STOP" => Some(OptOut::Stop),
        "START" => Some(OptOut::Start),
        "HELP" => Some(OptOut::Help),
        _ => None,
    });
    message.alt_ids = external_id
        .map(|(_, id)| id)
        .filter(|id| *id != message.from && FromKind::of(id) == Some(FromKind::Bsuid))
        .map(|id| vec![id.to_owned()]);
    Ok(message.into())
}

/// The request that sends a text.
pub(super) fn request(credentials: &Credentials, text: &Text<'_>) -> Result<Request> {
    let account = credentials.account_sid.as_deref().ok_or_else(|| misconfigured("account_sid is missing"))?;
    let request = create_message(Some("https://api.twilio.com".to_owned()), "", account, text)?;
    match (&credentials.api_key_sid, &credentials.api_key_secret, credentials.auth_tokens.first()) {
        (Some(key), Some(secret), _) => request.basic(key, secret),
        (_, _, Some(token)) => request.basic(account, token),
        _ => Err(misconfigured("auth_tokens, or api_key_sid and api_key_secret, are missing")),
    }
}

/// The form that SignalWire takes likewise.
pub(super) fn create_message(host: Option<String>, prefix: &str, account: &str, text: &Text<'_>) -> Result<Request> {
    if !account.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(misconfigured("the account's id can't stand in a URL"));
    }
    let address = |address: &str| match text.channel {
        Channel::Whatsapp => format!("whatsapp:{address}"),
        Channel::Rcs => format!("rcs:{address}"),
        Channel::Sms | Channel::Mms => address.to_owned(),
    };
    let fields = [("To", &*address(text.to)), ("From", &*address(text.from)), ("Body", text.body)];
    Ok(Request::form(host, format!("{prefix}/2010-04-01/Accounts/{account}/Messages.json"), &fields))
}

/// What the answer means, by the codes of <https://www.twilio.com/docs/api/errors>.
pub(super) fn read_answer(status: StatusCode, body: &[u8]) -> Result<(), NotTaken> {
    NotTaken::read(status, code_at(body, "/code"), |code| match code {
        // "Attempt to send to unsubscribed recipient".
        "21610" => Some(Reason::OptedOut),
        // "Too Many Requests"; WhatsApp's "Rate limit exceeded" for a sender, and "Channel … throughput".
        "20429" | "63018" => Some(Reason::Throttled),
        // A queue of this sender is full ("Message queue full", "SMS queue is full").
        "30001" | "21611" => Some(Reason::Throttled),
        _ => None,
    })
}

/// `whatsapp:+14155550100` → `("whatsapp", "+14155550100")`
fn split_address(text: &str) -> (Option<&str>, &str) {
    let text = text.trim();
    match text.split_once(':') {
        Some((prefix, address)) => (Some(prefix), address.trim()),
        None => (None, text),
    }
}

/// All `MediaUrl<n>`, in the order of n. `NumMedia` is not believed: it could ask for any number of look-ups.
fn media(form: &Form<'_>) -> Vec<Media> {
    let index = |name: &str, prefix: &str| name.strip_prefix(prefix).and_then(media_index);
    let mut urls = BTreeMap::new();
    let mut types = BTreeMap::new();
    for (name, value) in form.pairs().filter(|(_, value)| !value.trim().is_empty()) {
        if let Some(index) = index(name, "MediaUrl") {
            urls.entry(index).or_insert(value);
        } else if let Some(index) = index(name, "MediaContentType") {
            types.entry(index).or_insert(value);
        }
    }
    urls.into_iter()
        .map(|(index, url)| Media {
            url: Some(url.to_owned()),
            content_type: types.get(&index).map(|content_type| (*content_type).to_owned()),
            ..Media::default()
        })
        .collect()
}

/// Digits only: `parse` alone would take `+1` for 1.
fn media_index(digits: &str) -> Option<u32> {
    if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

fn location(form: &Form<'_>) -> Option<Location> {
    let degrees = |name, limit: f64| {
        let degrees: f64 = form.filled(name)?.trim().parse().ok()?;
        (-limit..=limit).contains(&degrees).then_some(degrees)
    };
    Some(Location {
        latitude: degrees("Latitude", 90.0)?,
        longitude: degrees("Longitude", 180.0)?,
        name: form.filled("Label").map(str::to_owned),
        address: form.filled("Address").map(str::to_owned),
    })
}

#[cfg(test)]
mod tests;
