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
//! What the signature cannot cover: it has no time and no nonce, so a replay is stopped by the message id alone. It also
//! joins names and values without a separator, so the holder of one signed webhook can shift characters between a name
//! and its value, and the signature still matches. An id longer than Twilio's, which would get past the memory of delivered ids, and
//! names that Twilio never uses are refused. Keep webhooks out of logs that others read.
//!
//! Media links need the account's credentials: "Twilio enforces HTTP Basic Authentication for all media URLs"
//! (<https://www.twilio.com/docs/messaging/api/media-resource>, of 28 September 2026). The answer is a redirect to
//! `mms.twiliocdn.com`, which is open for four hours.
//!
//! A text is sent so (<https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource>), and
//! answered 201 `{"sid":"SM…",…}`, or 4xx `{"code":21610,"message":"…","status":400}`. There is no idempotency key.
//!
//! ```text
//! POST https://api.twilio.com/2010-04-01/Accounts/AC…/Messages.json      Basic: AC… and token, or SK… and secret
//! To=%2B14133881111&From=%2B12028831111&Body=Hello
//! ```

use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::StatusCode;
use serde_json::{Map, Value};

use crate::{
    error::{Error, Result},
    fields::Fields,
    secret::Secret,
    sms::{
        contract::{Facts, Provider},
        cxml, cxml_status,
        event::{Event, Ignored},
        form::{self, Form},
        media::{File, MediaRequest, MediaSource, SendFile},
        message::{Channel, Media, Message},
        segments::Limit,
        send::{ApiCall, NotTaken, Outbound, Taken, misconfigured},
        webhook::{Proof, Proved, Rejection, Shape, Webhook},
    },
};

const SIGNATURE: &str = "x-twilio-signature";
const SIGNATURE_SETTINGS: &str = "x-twilio-webhooks-signature-settings";
const MESSAGE_ID_LENGTH: usize = 34;

/// "up to 1,600 characters"; those of GSM-7's extension table are counted twice, to be safe.
pub(super) const LIMIT: Limit = Limit::Units(1600);

/// Twilio calls a fallback URL at most. Any other content type is its error 12300: <https://www.twilio.com/docs/api/errors/12300>
pub(super) const FACTS: Facts = Facts { accepted: cxml::ACCEPTED, sends_once: true, ..Facts::new("twilio") };

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

    /// The request that sends a text, or a file.
    fn message(&self, outbound: &Outbound<'_>, content: (&str, &str)) -> Result<ApiCall> {
        let account = self.account_sid.as_deref().ok_or_else(|| misconfigured("account_sid is missing"))?;
        let host = Some("https://api.twilio.com".to_owned());
        let request = cxml::create_message(host, "", account, outbound, content)?;
        match (&self.api_key_sid, &self.api_key_secret, self.auth_tokens.first()) {
            (Some(key), Some(secret), _) => request.basic(key, secret).map(ApiCall::Http),
            (_, _, Some(token)) => request.basic(account, token).map(ApiCall::Http),
            _ => Err(misconfigured("auth_tokens, or api_key_sid and api_key_secret, are missing")),
        }
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

impl Provider for Credentials {
    /// <https://www.twilio.com/docs/usage/webhooks/webhooks-security>: base64 of HMAC(auth token, URL and parameters). Both
    /// SDKs accept the URL with and without its port.
    fn verify(&self, webhook: &Webhook) -> Result<Proof, Rejection> {
        let signature = STANDARD.decode(webhook.header(SIGNATURE)?).map_err(|_| Rejection::Malformed)?;
        let signers = self.signers(webhook)?;
        let parameters = signed_parameters(webhook)?;
        for url in webhook.urls_by_port() {
            let signed = [url.as_bytes(), parameters.as_bytes()].concat();
            if signers.iter().any(|signer| hmac::verify(signer, &signed, &signature).is_ok()) {
                return Ok(Proof { signed_at: None });
            }
        }
        Err(Rejection::Mismatch)
    }

    /// <https://www.twilio.com/docs/messaging/guides/webhook-request>
    fn parse(&self, proved: &Proved<'_>) -> Result<Vec<Event>> {
        let webhook = proved.webhook();
        let event = match webhook.shape() {
            Shape::Query => read(&Form::read(webhook.query.as_deref().unwrap_or_default().as_bytes()))?,
            Shape::Form => read(&Form::read(&webhook.body))?,
            Shape::Json => {
                let object: Map<String, Value> = proved.json()?;
                let form = Form::from_json(&object);
                // Twilio's JSON webhooks are other products' events.
                if form.filled("MessageSid").is_none() { Event::ignored(Ignored::OtherEvent) } else { read(&form)? }
            }
        };
        Ok(vec![event])
    }

    fn is_named(&self, _: &Proved<'_>, message: &Message) -> Option<bool> {
        Some(*self.account_sid.as_ref()? == *message.account.as_ref()?)
    }

    fn limit(&self, _: Channel) -> Limit {
        LIMIT
    }

    /// The request that sends a text.
    fn request(&self, outbound: &Outbound<'_>) -> Result<ApiCall> {
        self.message(outbound, ("Body", outbound.text))
    }

    /// `api.twilio.com` asks for the credentials, and redirects to where anyone may fetch it.
    fn medium(&self, media: &Media, _: Option<&str>) -> Result<Option<MediaSource>> {
        let Some(url) = &media.url else { return Ok(None) };
        let request = MediaRequest::open(url).at_hosts(["api.twilio.com"]);
        let (user, password) = match (&self.api_key_sid, &self.api_key_secret) {
            (Some(key), Some(secret)) => (Some(key), Some(secret)),
            _ => (self.account_sid.as_ref(), self.auth_tokens.first()),
        };
        Ok(Some(MediaSource::Http(request.basic(user.map(String::as_str), password))))
    }

    /// Twilio fetches it within seconds: <https://www.twilio.com/docs/messaging/guides/sending-media-messages>.
    fn send_file(&self, outbound: &Outbound<'_>, file: &File<'_>) -> Result<SendFile> {
        self.message(outbound, ("MediaUrl", file.url)).map(SendFile::Call)
    }
    fn read_answer(&self, status: StatusCode, body: &[u8]) -> Result<Taken, NotTaken> {
        cxml::read_answer(status, body)
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

/// What is signed after the URL.
fn signed_parameters(webhook: &Webhook) -> Result<String, Rejection> {
    match webhook.shape() {
        Shape::Query => Ok(String::new()),
        Shape::Json => cxml::check_body_hash(webhook).map(|()| String::new()),
        Shape::Form => {
            form::check(&webhook.body)?;
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

fn read(form: &Form<'_>) -> Result<Event> {
    if form.filled("MessageSid").is_none() && form.filled("CallSid").is_some() {
        return Ok(Event::ignored(Ignored::Call));
    }
    let message_id = form.required("MessageSid")?;
    if message_id.len() > MESSAGE_ID_LENGTH || !message_id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(Error::invalid("MessageSid", "is not a message id"));
    }
    if cxml::is_status(form) {
        return Ok(cxml_status::read(form, message_id));
    }
    match form.get("MessageType") {
        Some("reaction") => return Ok(Event::ignored(Ignored::Reaction)),
        Some("system") => return Ok(Event::ignored(Ignored::System)),
        _ => {}
    }
    cxml::read_message(form, "twilio", message_id)
}

#[cfg(test)]
mod tests;
