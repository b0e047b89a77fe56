//! A text as the provider's signed webhook: its own form, its own signature, made with the secrets of the settings.
//!
//! Two keys are no secrets that a bridge has, so they are made up here: Telnyx's (the public half is in
//! `local/settings.json`), and that of SNS's certificate (`crate::sns` serves it).

use std::collections::BTreeMap;

use aws_lc_rs::{
    digest, hmac as mac,
    rand::SystemRandom,
    signature::{Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use md5::{Digest as _, Md5};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Channel, Writing,
    account::{Account, Provider},
    e164, segments, septets,
};
use crate::sns;

/// Telnyx's private key on this machine.
const TELNYX_SEED: &[u8; 32] = b"connect-chat-bridge, dev only: 1";

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// A POST that the provider makes.
#[derive(Clone, PartialEq, Eq)]
pub struct Signed {
    /// Of the route: `/sms/<provider>/<account>`.
    pub path: String,
    /// Names and values.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

/// Without what the customer wrote.
impl std::fmt::Debug for Signed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signed").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The webhooks of a text.
pub(super) fn make(
    account: &Account,
    channel: Channel,
    writing: &Writing,
    base: &str,
    now: Timestamp,
) -> Result<Vec<Signed>, String> {
    let path = format!("/sms/{}/{}", account.slug, account.name);
    let maker = Maker { account, channel, from: e164(&writing.from), to: e164(&writing.to), path, base, now };
    match account.provider {
        Provider::Twilio | Provider::Signalwire => Ok(vec![maker.twilio(&writing.text)?]),
        Provider::Telnyx => Ok(vec![maker.telnyx(&writing.text)?]),
        Provider::Vonage => maker.vonage(&writing.text),
        Provider::VonageMessages => Ok(vec![maker.vonage_messages(&writing.text)?]),
        Provider::AwsSns => Ok(vec![maker.aws_sns(&writing.text)?]),
        Provider::Meta => Ok(vec![maker.meta(&writing.text)?]),
    }
}

struct Maker<'a> {
    account: &'a Account,
    channel: Channel,
    from: String,
    to: String,
    path: String,
    base: &'a str,
    now: Timestamp,
}

impl Maker<'_> {
    fn signed(&self, content_type: &str, body: String, signature: Vec<(&'static str, String)>) -> Signed {
        let mut headers = vec![("content-type", content_type.to_owned())];
        headers.extend(signature);
        Signed { path: self.path.clone(), headers, body }
    }

    /// Twilio's form; SignalWire's is the same. The signature: base64 HMAC-SHA1 over the URL and all parameters by name.
    /// <https://www.twilio.com/docs/usage/security>
    fn twilio(&self, text: &str) -> Result<Signed, String> {
        let is_twilio = self.account.provider == Provider::Twilio;
        let id = if is_twilio { format!("SM{}", Uuid::new_v4().simple()) } else { Uuid::new_v4().to_string() };
        let account_id = self.account.text(if is_twilio { "account_sid" } else { "project_id" }).unwrap_or_default();
        let whatsapp = self.channel == Channel::Whatsapp;
        let address = |number: &str| if whatsapp { format!("whatsapp:{number}") } else { number.to_owned() };
        let mut fields: BTreeMap<&str, String> = [
            ("AccountSid", account_id.to_owned()),
            ("ApiVersion", "2010-04-01".to_owned()),
            ("Body", text.to_owned()),
            ("From", address(&self.from)),
            ("MessageSid", id.clone()),
            ("NumMedia", "0".to_owned()),
            ("NumSegments", segments(self.channel, text).to_string()),
            ("SmsMessageSid", id.clone()),
            ("SmsSid", id),
            ("SmsStatus", "received".to_owned()),
            ("To", address(&self.to)),
        ]
        .into();
        if whatsapp {
            fields.insert("ProfileName", "The phone".to_owned());
            fields.insert("WaId", digits(&self.from).to_owned());
        }
        let mut signed = format!("{}{}", self.base.trim_end_matches('/'), self.path);
        for (name, value) in &fields {
            signed.push_str(name);
            signed.push_str(value);
        }
        let (secret, header) = if is_twilio {
            (self.account.current("auth_tokens")?, "x-twilio-signature")
        } else {
            (self.account.current("signing_keys")?, "x-signalwire-signature")
        };
        let signature = BASE64_STANDARD.encode(hmac_of(mac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret, &signed));
        Ok(self.signed(FORM, form(&fields), vec![(header, signature)]))
    }

    /// <https://developers.telnyx.com/docs/messaging/messages/receiving-webhooks>
    fn telnyx(&self, text: &str) -> Result<Signed, String> {
        let time = format!("{:.3}", self.now);
        let body = json!({
            "data": {
                "event_type": "message.received", "id": Uuid::new_v4().to_string(), "occurred_at": time, "record_type": "event",
                "payload": {
                    "id": Uuid::new_v4().to_string(), "record_type": "message", "direction": "inbound", "type": "SMS",
                    "from": { "phone_number": self.from }, "to": [{ "phone_number": self.to }], "cc": [],
                    "text": text, "media": [], "encoding": encoding(text), "parts": segments(self.channel, text),
                    "received_at": time,
                },
            },
            "meta": { "attempt": 1, "delivered_to": format!("{}{}", self.base, self.path) },
        })
        .to_string();
        let timestamp = self.now.as_second().to_string();
        let key = Ed25519KeyPair::from_seed_unchecked(TELNYX_SEED).map_err(|error| error.to_string())?;
        let signature = BASE64_STANDARD.encode(key.sign(format!("{timestamp}|{body}").as_bytes()));
        let headers = vec![("telnyx-signature-ed25519", signature), ("telnyx-timestamp", timestamp)];
        Ok(self.signed(JSON, body, headers))
    }

    /// A form with `sig`; a long text in parts, which the receiver joins.
    /// <https://developer.vonage.com/messaging/sms/guides/inbound-sms>,
    /// <https://developer.vonage.com/en/getting-started/concepts/signing-messages>
    fn vonage(&self, text: &str) -> Result<Vec<Signed>, String> {
        let secret = self.account.current("signature_secrets")?;
        let method = self.account.text("signature_method").unwrap_or("md5hash");
        let parts = parts(text);
        let reference = Uuid::new_v4().as_u128() % 0x100;
        let webhooks = parts.iter().enumerate().map(|(index, part)| {
            let mut fields: BTreeMap<&str, String> = [
                ("msisdn", digits(&self.from).to_owned()),
                ("to", digits(&self.to).to_owned()),
                ("messageId", format!("{:016X}", Uuid::new_v4().as_u128() >> 64)),
                ("text", part.clone()),
                ("type", if encoding(text) == "GSM-7" { "text" } else { "unicode" }.to_owned()),
                ("keyword", part.split_whitespace().next().unwrap_or_default().to_uppercase()),
                ("message-timestamp", self.now.strftime("%Y-%m-%d %H:%M:%S").to_string()),
                ("timestamp", self.now.as_second().to_string()),
                ("nonce", Uuid::new_v4().to_string()),
            ]
            .into();
            if let Some(key) = self.account.text("api_key") {
                fields.insert("api-key", key.to_owned());
            }
            if parts.len() > 1 {
                fields.insert("concat", "true".to_owned());
                fields.insert("concat-ref", reference.to_string());
                fields.insert("concat-total", parts.len().to_string());
                fields.insert("concat-part", (index + 1).to_string());
            }
            let signed: String =
                fields.iter().map(|(name, value)| format!("&{name}={}", value.replace(['&', '='], "_"))).collect();
            let signature = vonage_signature(method, secret, &signed)?;
            fields.insert("sig", signature);
            Ok(self.signed(FORM, form(&fields), Vec::new()))
        });
        webhooks.collect()
    }

    /// <https://developer.vonage.com/en/messages/concepts/signed-webhooks>
    fn vonage_messages(&self, text: &str) -> Result<Signed, String> {
        let mut body = json!({
            "channel": self.channel, "message_uuid": Uuid::new_v4().to_string(), "to": digits(&self.to), "from": digits(&self.from),
            "timestamp": format!("{:.0}", self.now), "message_type": "text", "text": text, "context_status": "none",
        });
        if self.channel == Channel::Whatsapp {
            merge(&mut body, json!({ "profile": { "name": "The phone" } }));
        } else {
            let keyword = text.split_whitespace().next().unwrap_or_default().to_uppercase();
            let count = segments(self.channel, text).to_string();
            merge(&mut body, json!({ "sms": { "num_messages": count, "keyword": keyword } }));
        }
        let body = body.to_string();
        let mut claims = json!({
            "iat": self.now.as_second(), "jti": Uuid::new_v4().to_string(), "iss": "Vonage",
            "payload_hash": hex::encode(digest::digest(&digest::SHA256, body.as_bytes())),
        });
        for name in ["api_key", "application_id"] {
            if let Some(value) = self.account.text(name) {
                merge(&mut claims, json!({ name: value }));
            }
        }
        let [header, claims] = [json!({ "alg": "HS256", "typ": "JWT" }), claims]
            .map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let secret = self.account.current("signature_secrets")?;
        let signature = BASE64_URL_SAFE_NO_PAD.encode(hmac_of(mac::HMAC_SHA256, secret, &signed));
        Ok(self.signed(JSON, body, vec![("authorization", format!("Bearer {signed}.{signature}"))]))
    }

    /// <https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks>
    fn meta(&self, text: &str) -> Result<Signed, String> {
        let body = json!({ "object": "whatsapp_business_account", "entry": [self.meta_entry(text)] }).to_string();
        let signature = hex::encode(hmac_of(mac::HMAC_SHA256, self.account.current("app_secrets")?, &body));
        Ok(self.signed(JSON, body, vec![("x-hub-signature-256", format!("sha256={signature}"))]))
    }

    fn meta_entry(&self, text: &str) -> Value {
        let number_id = self.account.list("phone_number_ids").first().copied().unwrap_or("106540352242922");
        let customer = digits(&self.from);
        json!({ "id": "102290129340398", "changes": [{ "field": "messages", "value": {
            "messaging_product": "whatsapp",
            "metadata": { "display_phone_number": digits(&self.to), "phone_number_id": number_id },
            "contacts": [{ "profile": { "name": "The phone" }, "wa_id": customer }],
            "messages": [{
                "from": customer, "id": format!("wamid.{}", BASE64_STANDARD.encode(Uuid::new_v4().as_bytes())),
                "timestamp": self.now.as_second().to_string(), "type": "text", "text": { "body": text },
            }],
        } }] })
    }

    /// SNS's envelope around the message of End User Messaging SMS or Social.
    /// <https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html>
    fn aws_sns(&self, text: &str) -> Result<Signed, String> {
        let topic = self.account.current("topic_arns")?;
        let message = if self.channel == Channel::Whatsapp {
            json!({
                "context": {
                    "MetaWabaIds": [{ "wabaId": "102290129340398", "arn": social_arn("waba") }],
                    "MetaPhoneNumberIds": [{ "metaPhoneNumberId": "106540352242922", "arn": social_arn("phone-number-id") }],
                },
                "whatsAppWebhookEntry": self.meta_entry(text).to_string(), "aws_account_id": "123456789012",
                "message_timestamp": format!("{:.9}", self.now), "messageId": Uuid::new_v4().to_string(),
            })
        } else {
            json!({
                "originationNumber": self.from, "destinationNumber": self.to, "messageKeyword": "KEYWORD_123456789012",
                "messageBody": text, "inboundMessageId": Uuid::new_v4().to_string(),
            })
        }
        .to_string();
        let id = Uuid::new_v4().to_string();
        let time = format!("{:.3}", self.now);
        let fields = [
            ("Message", &*message),
            ("MessageId", &id),
            ("Timestamp", &time),
            ("TopicArn", topic),
            ("Type", "Notification"),
        ];
        let signed: String = fields.iter().map(|(name, value)| format!("{name}\n{value}\n")).collect();
        let region = topic.split(':').nth(3).unwrap_or_default();
        let mut body = json!({
            "SignatureVersion": "2", "Signature": BASE64_STANDARD.encode(rsa(sns::SIGNING_KEY, &signed)?),
            "SigningCertURL": format!("https://sns.{region}.amazonaws.com{}", sns::SIGNING_CERTIFICATE_PATH),
        });
        for (name, value) in fields {
            merge(&mut body, json!({ name: value }));
        }
        let headers = vec![
            ("x-amz-sns-message-type", "Notification".to_owned()),
            ("x-amz-sns-message-id", id.clone()),
            ("x-amz-sns-topic-arn", topic.to_owned()),
        ];
        Ok(self.signed("text/plain; charset=UTF-8", body.to_string(), headers))
    }
}

fn social_arn(kind: &str) -> String {
    format!("arn:aws:social-messaging:us-east-1:123456789012:{kind}/976c72a700aa43ff821b4c1b42a4bb31")
}

fn digits(number: &str) -> &str {
    number.strip_prefix('+').unwrap_or(number)
}

fn form(fields: &BTreeMap<&str, String>) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

fn merge(object: &mut Value, more: Value) {
    if let (Value::Object(object), Value::Object(more)) = (object, more) {
        object.extend(more);
    }
}

fn encoding(text: &str) -> &'static str {
    if text.chars().all(|character| septets(character).is_some()) { "GSM-7" } else { "UCS-2" }
}

/// A text in the parts that carry it.
fn parts(text: &str) -> Vec<String> {
    if segments(Channel::Sms, text) == 1 {
        return vec![text.to_owned()];
    }
    let is_gsm = encoding(text) == "GSM-7";
    let limit = if is_gsm { 153 } else { 67 };
    let mut parts = vec![String::new()];
    let mut used = 0;
    for character in text.chars() {
        let units = if is_gsm { septets(character).unwrap_or(1) } else { character.len_utf16() };
        if used + units > limit {
            parts.push(String::new());
            used = 0;
        }
        used += units;
        if let Some(part) = parts.last_mut() {
            part.push(character);
        }
    }
    parts
}

fn hmac_of(algorithm: mac::Algorithm, secret: &str, signed: &str) -> Vec<u8> {
    mac::sign(&mac::Key::new(algorithm, secret.as_bytes()), signed.as_bytes()).as_ref().to_vec()
}

fn vonage_signature(method: &str, secret: &str, signed: &str) -> Result<String, String> {
    Ok(hex::encode(match method {
        "md5hash" => Md5::digest(format!("{signed}{secret}")).to_vec(),
        "md5" => {
            let mac = Hmac::<Md5>::new_from_slice(secret.as_bytes()).map_err(|error| error.to_string())?;
            mac.chain_update(signed).finalize().into_bytes().to_vec()
        }
        "sha1" => hmac_of(mac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret, signed),
        "sha256" => hmac_of(mac::HMAC_SHA256, secret, signed),
        "sha512" => hmac_of(mac::HMAC_SHA512, secret, signed),
        _ => return Err("signature_method is unknown".to_owned()),
    }))
}

fn rsa(pem: &str, signed: &str) -> Result<Vec<u8>, String> {
    let key = RsaKeyPair::from_pkcs8(&der(pem)?).map_err(|error| error.to_string())?;
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
        .map_err(|error| error.to_string())?;
    Ok(signature)
}

/// What is between the lines of a PEM.
pub(super) fn der(pem: &str) -> Result<Vec<u8>, String> {
    let lines = pem.lines().skip_while(|line| !line.starts_with("-----BEGIN")).skip(1);
    let encoded: String = lines.take_while(|line| !line.starts_with("-----END")).map(str::trim).collect();
    BASE64_STANDARD.decode(encoded).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::KeyPair as _;

    use super::*;

    /// What `local/settings.json` shows the bridge.
    #[test]
    fn the_settings_hold_the_public_half_of_telnyx_s_key() {
        let key = Ed25519KeyPair::from_seed_unchecked(TELNYX_SEED).unwrap();
        let public = BASE64_STANDARD.encode(key.public_key().as_ref());
        let settings: Value = serde_json::from_str(include_str!("../../settings.json")).unwrap();
        let telnyx = Account::all(&settings).into_iter().find(|account| account.provider == Provider::Telnyx).unwrap();
        assert!(telnyx.list("public_keys").contains(&&*public), "{public}");
    }

    #[test]
    fn a_long_text_comes_in_parts_that_make_it_up() {
        for text in ["a".repeat(400), "😀".repeat(100), format!("{}€", "a".repeat(152)).repeat(3)] {
            let parts = parts(&text);
            assert_eq!(parts.concat(), text);
            assert!(parts.iter().all(|part| !part.is_empty() && segments(Channel::Sms, part) == 1));
        }
        assert_eq!(parts(&"a".repeat(160)).len(), 1);
    }
}
