//! Vonage: its Messages API (SMS, MMS, WhatsApp, RCS). For the SMS API see `vonage`.
//!
//! | limit | value | source |
//! |---|---|---|
//! | time to answer | not documented | |
//! | re-delivery | after any answer but 2xx; for 24 h, not verified | <https://developer.vonage.com/en/messages/concepts/signed-webhooks> |
//! | signature | a JWT with HS256, whatever the dashboard's signature method; we take it at most 300 s old | the same |
//! | media | open to anyone for 48 h, or with the application's JWT where the owner chose so | <https://developer.vonage.com/messages/concepts/secure-inbound-media> |
//! | text we send over SMS | 1000 characters, not verified; vonage-messages 1.8.1 (Python) allows 3200 | |
//! | over WhatsApp | 4096 characters | vonage-messages 1.8.1 |
//! | over RCS | 3072 characters | <https://developer.vonage.com/en/messages/guides/rcs/rcs-text-message-types> |
//!
//! Always JSON by POST, in the form of version 1 (the application's setting; version 0.1 is refused as malformed):
//!
//! ```json
//! {"channel": "sms", "message_uuid": "aaaaaaaa-bbbb-…", "to": "447700900000", "from": "447700900001",
//!  "timestamp": "2026-09-21T14:13:18Z", "message_type": "text", "text": "Hello agent", "context_status": "none",
//!  "usage": {"price": "0.0333", "currency": "EUR"}, "sms": {"num_messages": "1", "keyword": "HELLO"}}
//! ```
//!
//! Others: `"image": {"url", "name", "caption"}` (so too `audio`, `video`, `file`, `vcard`, `sticker`),
//! `"location": {"lat", "long", "name", "address"}`, `"reply": {"id", "title", "description"}`,
//! `"button": {"payload", "text"}`, `"context": {"message_uuid", "message_from"}`, `"profile": {"name"}`. Numbers have no
//! '+'. Long messages come already joined; `keyword` is the first word in capitals, so it is not kept.
//!
//! `Authorization: Bearer <JWT>` with the claims `iat`, `jti`, `iss`, `payload_hash`, `api_key`, `application_id`. Where
//! Vonage's Cloud Runtime stands between, `Authorization` is the Runtime's own and Vonage's token is in
//! `X-Vonage-Webhook-Auth-Token`, which is then the one that counts
//! (<https://developer.vonage.com/vonage-cloud-runtime/code-snippets/global/verify-auth>). Either must be made with our
//! secret, and hold this body's hash.
//!
//! Vonage's SDKs check the MAC alone; its guide calls the hash optional. Here all that the token says counts: without
//! the hash the body is unsigned.
//!
//! An account that names its `api_key` or `application_id` takes no webhook that is signed for another. That is no
//! contradiction to "no identifier in a payload alone makes a webhook fail": these stand inside what the secret signed.
//! Vonage uses one signature secret for all applications of an API key, so they tell those apart. An account that names
//! neither takes what its secret signed.
//!
//! A text is sent so (<https://developer.vonage.com/api/messages>; numbers without '+',
//! <https://developer.vonage.com/fr/messages/guides/handling-whatsapp-usernames-and-bsuids> for a WhatsApp user who shows
//! none), and answered 202 `{"message_uuid":"…"}`, or 4xx with a problem of RFC 7807 whose type ends in a code:
//! `{"type":"https://developer.vonage.com/api-errors/messages#1000","title":"Throttled","detail":"…","instance":"…"}`.
//! There is no idempotency key, and no code for a customer who has opted out: Vonage takes the text and says so in the
//! status webhook (<https://developer.vonage.com/en/opt-out-assist/guides/messaging-opted-out-numbers>).
//!
//! ```text
//! POST https://api.nexmo.com/v1/messages      Bearer: a JWT that the application's private key signs
//! {"channel":"sms","client_ref":"3b5f…","from":"447700900000","message_type":"text","text":"Hello","to":"447700900001"}
//! ```
//!
//! The JWT is what vonage-jwt 1.1.5 (Python) makes: RS256 over `application_id`, `iat`, `jti` and `exp`, 15 minutes ahead.
//! (Basic authentication would want the `api_secret`, which these settings don't have.)

mod content;
mod files;
mod statuses;

use std::{fmt, sync::Arc};

use aws_lc_rs::{rand::SystemRandom, rsa, signature::RSA_PKCS1_SHA256};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;
use x509_parser::pem::parse_x509_pem;

use self::content::{Content, Payload, filled, text_in};
use crate::{
    choices::Prompt,
    error::{Error, Result},
    fields::Fields,
    secret::Secret,
    sms::{
        contract::{Facts, Provider},
        event::{Event, Ignored},
        jwt::{Algorithm, Token},
        lines,
        media::{File, MediaRequest, MediaSource, SendFile},
        message::{Channel, Media, Message, Referral, plus, utc},
        segments::Limit,
        send::{
            ApiCall, HttpRequest, Native, NotTaken, Outbound, Reason, Taken, add, code_at, misconfigured, without_plus,
        },
        signature::is_hash_of,
        webhook::{Proof, Proved, Rejection, Webhook},
        whatsapp_menu,
    },
};

const AUTHORIZATION: &str = "authorization";
const RUNTIME_AUTHORIZATION: &str = "x-vonage-webhook-auth-token";
const ISSUER: &str = "Vonage";
/// How long a token of ours is valid, in seconds: as in Vonage's SDKs.
const VALIDITY: i64 = 15 * 60;

pub(super) const FACTS: Facts = Facts { signs_a_time: true, max_age_seconds: 300, ..Facts::new("vonage-messages") };

/// What a Vonage application has.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Takes only what is signed for it.
    pub api_key: Option<String>,
    /// Takes only what is signed for it, and sends.
    pub application_id: Option<String>,
    /// Sends.
    pub private_key: Option<PrivateKey>,
    /// Sign webhooks.
    pub signature_secrets: Vec<Secret>,
}

impl Credentials {
    pub(super) fn read(fields: &Fields<'_>) -> Self {
        let credentials = Self {
            api_key: fields.text("api_key"),
            application_id: fields.text("application_id"),
            private_key: fields.key("private_key", PrivateKey::read),
            signature_secrets: fields.secrets("signature_secrets"),
        };
        fields.require_one_of(&["signature_secrets"]);
        fields.warn_of_missing(&["private_key"], &["application_id"]);
        credentials
    }

    fn check(&self, claims: &Claims) -> Result<(), Rejection> {
        // All webhooks name the key. Those of a number that is linked to no application may name none.
        let is_ours = self.api_key.as_ref().is_none_or(|key| claims.api_key.as_ref() == Some(key))
            && match (&self.application_id, &claims.application_id) {
                (Some(ours), Some(named)) => ours == named,
                _ => true,
            };
        // Newer settings may know it.
        if is_ours { Ok(()) } else { Err(Rejection::Mismatch) }
    }
}

impl Credentials {
    /// What calls of the application's are allowed by.
    fn token(&self) -> Result<String> {
        let (Some(application), Some(key)) = (&self.application_id, &self.private_key) else {
            return Err(misconfigured("application_id, or a private_key that can be read, is missing"));
        };
        let now = Timestamp::now().as_second();
        key.sign(&json!({
            "application_id": application, "iat": now, "exp": now + VALIDITY, "jti": Uuid::new_v4().to_string(),
        }))
    }

    /// The request that sends this.
    fn message(&self, outbound: &Outbound<'_>, mut body: Value) -> Result<ApiCall> {
        add(&mut body, "from", json!(without_plus(outbound.from)));
        add(&mut body, "to", json!(without_plus(outbound.to)));
        // Comes back in status webhooks; at most 100 characters.
        add(&mut body, "client_ref", json!(outbound.key));
        if let Some(url) = outbound.status_url {
            add(&mut body, "webhook_url", json!(url));
        }
        let token = self.token()?;
        HttpRequest::json("https://api.nexmo.com", "/v1/messages", &body).bearer(&token).map(ApiCall::Http)
    }
}

impl Provider for Credentials {
    /// <https://developer.vonage.com/en/getting-started/concepts/webhooks#decoding-signed-webhooks>
    fn verify(&self, webhook: &Webhook) -> Result<Proof, Rejection> {
        let token = token(webhook)?;
        if !self.signature_secrets.iter().any(|secret| token.is_made_with(secret)) {
            return Err(Rejection::Mismatch);
        }
        // Only now is anything in it believed.
        let claims: Claims = token.claims()?;
        if claims.iss != ISSUER || !is_hash_of(&claims.payload_hash, &webhook.body) {
            return Err(Rejection::Malformed);
        }
        self.check(&claims)?;
        // Vonage sends neither; who adds them means them (RFC 7519, 4.1.4 and 4.1.5).
        if claims.exp.is_some_and(|end| webhook.now >= end) || claims.nbf.is_some_and(|start| webhook.now < start) {
            return Err(Rejection::Stale);
        }
        Ok(Proof { signed_at: Some(claims.iat) })
    }

    /// <https://developer.vonage.com/en/api/messages#webhooks>; the fields are those of vonage-java `InboundMessage` and
    /// vonage-dotnet `MessageWebhookResponse`.
    fn parse(&self, proved: &Proved<'_>) -> Result<Vec<Event>> {
        Ok(vec![read(&proved.json()?)?])
    }

    /// What is signed for another was refused, so an account that names more of what is signed fits better.
    fn is_named(&self, proved: &Proved<'_>, _: &Message) -> Option<bool> {
        let claims: Claims = token(proved.webhook()).and_then(|token| token.claims()).ok()?;
        match (&self.application_id, &self.api_key) {
            (Some(_), _) if claims.application_id.is_some() => Some(true),
            (None, None) => Some(false),
            _ => None,
        }
    }

    /// See the page's table. A reply to an MMS is an SMS.
    fn limit(&self, channel: Channel) -> Limit {
        match channel {
            Channel::Sms | Channel::Mms | Channel::Own(_) => Limit::Units(1000),
            Channel::Whatsapp => Limit::Characters(4096),
            Channel::Rcs => Limit::Characters(3072),
        }
    }

    fn choices(&self, channel: Channel, prompt: &Prompt) -> Option<Native> {
        (channel == Channel::Whatsapp).then(|| whatsapp_menu::interactive(prompt)).flatten().map(Native::Instead)
    }

    /// The request that sends a text. `custom` hands WhatsApp's own form on
    /// (<https://developer.vonage.com/en/messages/guides/whatsapp/whatsapp-custom>).
    fn request(&self, outbound: &Outbound<'_>) -> Result<ApiCall> {
        let channel = match outbound.channel {
            Channel::Sms | Channel::Mms | Channel::Own(_) => "sms",
            Channel::Whatsapp => "whatsapp",
            Channel::Rcs => "rcs",
        };
        let (kind, name, content) = match outbound.choices {
            Some(choices) => ("custom", "custom", json!({ "type": "interactive", "interactive": choices })),
            None => ("text", "text", json!(outbound.text)),
        };
        self.message(outbound, json!({ "message_type": kind, "channel": channel, name: content }))
    }

    fn medium(&self, media: &Media, _: Option<&str>) -> Result<Option<MediaSource>> {
        let Some(url) = &media.url else { return Ok(None) };
        let request = MediaRequest::open(url).at_hosts(files::HOSTS);
        // Needed only where the application has secure inbound media on, which its webhooks don't say.
        let request = match self.token() {
            Ok(token) => request.authorized(&format!("Bearer {token}")),
            Err(_) => request,
        };
        Ok(Some(MediaSource::Http(request)))
    }

    fn send_file(&self, outbound: &Outbound<'_>, file: &File<'_>) -> Result<SendFile> {
        self.message(outbound, files::message(outbound, file)?).map(SendFile::Call)
    }

    /// What the answer means, by the codes of <https://developer.vonage.com/api-errors/messages> and
    /// <https://developer.vonage.com/api-errors>.
    fn read_answer(&self, status: StatusCode, body: &[u8]) -> Result<Taken, NotTaken> {
        let code = code_at(body, "/type").and_then(|url| url.rsplit(['#', '/']).next().map(str::to_owned));
        NotTaken::read(status, code, |code| match code {
            // "Throttled".
            "1000" => Some(Reason::Throttled),
            // "Sent Outside Allowed Window".
            "1340" => Some(Reason::WindowClosed),
            // "Internal error"; "Communication Failed - Message was not submitted".
            "1030" | "1100" => Some(Reason::Unavailable),
            // "Partner account barred", "Partner quota exceeded" (no credit), "Account not enabled for REST", "Illegal
            // Sender Address", "Facility not allowed", "Non White-listed Destination" (of a trial account).
            "1060" | "1070" | "1080" | "1120" | "1140" | "1160" => Some(Reason::Misconfigured),
            "low-balance" | "unauthorized" | "forbidden" | "not-found" | "unprovisioned" | "account-suspended"
            | "jwt-expired" | "jwt-revoked" | "invalid-api-key" | "invalid-signature" => Some(Reason::Misconfigured),
            _ => None,
        })
        .map(|()| Taken::at(body, "/message_uuid"))
    }
}

/// An application's key.
#[derive(Clone)]
pub struct PrivateKey(Arc<rsa::KeyPair>);

impl PrivateKey {
    /// Reads PEM, be it PKCS#8 (`PRIVATE KEY`: what Vonage's dashboard makes) or PKCS#1 (`RSA PRIVATE KEY`).
    fn read(pem: &str) -> Option<Self> {
        let (_, pem) = parse_x509_pem(pem.trim().as_bytes()).ok()?;
        let pair = match pem.label.as_str() {
            "PRIVATE KEY" => rsa::KeyPair::from_pkcs8(&pem.contents),
            "RSA PRIVATE KEY" => rsa::KeyPair::from_der(&pem.contents),
            _ => return None,
        };
        Some(Self(Arc::new(pair.ok()?)))
    }

    /// A JWT with these claims.
    fn sign(&self, claims: &Value) -> Result<String> {
        let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let signed = format!("{}.{}", part(&json!({ "alg": "RS256", "typ": "JWT" })), part(claims));
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|_| Error::internal("the private key does not sign"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// What Vonage claims.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    iat: i64,
    payload_hash: String,
    api_key: Option<String>,
    application_id: Option<String>,
    exp: Option<i64>,
    nbf: Option<i64>,
}

/// The token that counts.
fn token(webhook: &Webhook) -> Result<Token<'_>, Rejection> {
    let is_runtimes = webhook.headers.contains_key(RUNTIME_AUTHORIZATION);
    let text = webhook.header(if is_runtimes { RUNTIME_AUTHORIZATION } else { AUTHORIZATION })?;
    let token = match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim_start(),
        None if is_runtimes => text,
        _ => return Err(Rejection::Malformed),
    };
    Token::read(token, &[Algorithm::Hs256])
}

fn read(payload: &Payload) -> Result<Event> {
    let message_type = match payload.get("message_type") {
        Some(Value::String(message_type)) => message_type.as_str(),
        _ if payload.get("status").is_some_and(Value::is_string) => return Ok(statuses::read(payload)),
        _ => return Err(missing("message_type")),
    };
    let channel = match payload.get("channel").and_then(Value::as_str) {
        Some("sms") => Channel::Sms,
        Some("mms") => Channel::Mms,
        Some("whatsapp") => Channel::Whatsapp,
        Some("rcs") => Channel::Rcs,
        // Messenger, Viber, Instagram, and those of tomorrow.
        Some(_) => return Ok(Event::ignored(Ignored::Channel)),
        None => return Err(missing("channel")),
    };
    if message_type == "reaction" {
        return Ok(Event::ignored(Ignored::Reaction));
    }
    let content = Content::read(payload, message_type).unwrap_or_else(|| Content {
        text: text_in(payload, "text").unwrap_or_default(),
        line: Some(lines::unsupported(payload.get(message_type))),
        ..Content::default()
    });
    let message_id = text_in(payload, "message_uuid").ok_or_else(|| missing("message_uuid"))?;
    let to = plus(text_in(payload, "to").ok_or_else(|| missing("to"))?.trim());
    // A WhatsApp user may show no number: https://developer.vonage.com/en/messages/guides/handling-whatsapp-usernames-and-bsuids
    // documents `whatsapp.recipient` for statuses; `sender` is its counterpart.
    let part = |name| payload.get(name).unwrap_or(&Value::Null);
    let sender = |name| text_at(part("whatsapp"), &["sender", name]);
    let from = text_in(payload, "from")
        .or_else(|| sender("wa_id"))
        .or_else(|| sender("user_id"))
        .or_else(|| sender("parent_user_id"))
        .ok_or_else(|| missing("from"))?;

    let mut message = Message::new("vonage-messages", channel, message_id, plus(from.trim()), to);
    message.text = content.text;
    if let Some(line) = &content.line {
        message.describe(line);
    }
    message.media = content.media;
    message.location = content.location;
    message.button_payload = content.button_payload;
    message.received_at = part("timestamp").as_str().and_then(|time| time.parse::<Timestamp>().ok()).map(utc);
    message.profile_name = text_at(part("profile"), &["name"]);
    message.in_reply_to = text_at(part("context"), &["message_uuid"]);
    let referral = |name| text_at(part("whatsapp"), &["referral", name]);
    message.referral = Referral::of(
        referral("source_id").as_deref(),
        referral("headline").as_deref(),
        referral("source_url").as_deref(),
    );
    message.alt_ids = sender("user_id").filter(|id| *id != message.from).map(|id| vec![id]);
    message.segments = segments(part("sms")).filter(|_| channel.is_text_messaging());
    Ok(message.into())
}

fn missing(field: &'static str) -> Error {
    Error::invalid(field, "is missing")
}

fn text_at(value: &Value, path: &[&str]) -> Option<String> {
    let text = path.iter().try_fold(value, |value, name| value.get(name))?.as_str()?;
    filled(Some(text.to_owned()))
}

/// How many parts were joined: a text, or a number. One is left out, as every message is at least that.
fn segments(sms: &Value) -> Option<u32> {
    let count = ["num_messages", "total_count"].into_iter().find_map(|name| sms.get(name))?;
    let count = count.as_u64().and_then(|count| count.try_into().ok()).or_else(|| count.as_str()?.parse().ok());
    count.filter(|count| *count > 1)
}

#[cfg(test)]
mod tests;
