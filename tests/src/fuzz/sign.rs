//! The providers' own side: each one's way of signing, told once more and apart from the code under test.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::{
    digest, hmac as mac,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::Method;
use md5::{Digest as _, Md5};
use serde_json::{Map, Value, json};
use shared::sms::{providers::ProviderId, webhook::Webhook};

use super::input::{Input, Shape};

/// What the accounts have.
pub(super) const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// What they have not.
pub(super) const STRANGERS: &str = "0123456789abcdef0123456789abcdee";
/// The id of Twilio's shared key.
pub(super) const KEY_ID: &str = "main";
/// One account of Vonage for each.
pub(super) const VONAGE_METHODS: [&str; 5] = ["md5hash", "md5", "sha1", "sha256", "sha512"];
/// How old a signature may be, where one has a time.
const MAX_AGE: u16 = 300;

/// The key that Telnyx shows to its customers.
pub(super) fn telnyx_public_key() -> String {
    BASE64_STANDARD.encode(telnyx_key(SECRET).public_key().as_ref())
}

fn telnyx_key(secret: &str) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(secret.as_bytes()).unwrap()
}

/// Signs. Whether the secret's owner is then to be believed: if not, the webhook is none that the provider makes.
pub(super) fn sign(provider: ProviderId, webhook: &mut Webhook, secret: &str, input: &Input<'_>) -> bool {
    let is_timely = input.age.unsigned_abs() <= MAX_AGE;
    let signed_at = webhook.now - i64::from(input.age);
    match provider {
        ProviderId::Twilio => twilio(webhook, secret, input),
        ProviderId::Signalwire => signalwire(webhook, secret, input),
        ProviderId::Telnyx => {
            let timestamp = signed_at.to_string();
            let signed = [timestamp.as_bytes(), b"|", &webhook.body].concat();
            set(webhook, "telnyx-signature-ed25519", &BASE64_STANDARD.encode(telnyx_key(secret).sign(&signed)));
            set(webhook, "telnyx-timestamp", &timestamp);
            is_timely
        }
        ProviderId::Vonage => vonage(webhook, secret, input),
        ProviderId::VonageMessages => {
            vonage_messages(webhook, secret, signed_at, input.way);
            is_timely
        }
        ProviderId::Meta => meta(webhook, secret, input),
        provider => unreachable!("{provider} is not fuzzed"),
    }
}

fn set(webhook: &mut Webhook, name: &'static str, value: &str) {
    webhook.headers.insert(name, value.parse().unwrap());
}

fn hmac_of(algorithm: mac::Algorithm, secret: &str, signed: impl AsRef<[u8]>) -> Vec<u8> {
    mac::sign(&mac::Key::new(algorithm, secret.as_bytes()), signed.as_ref()).as_ref().to_vec()
}

fn sha1(secret: &str, signed: impl AsRef<[u8]>) -> Vec<u8> {
    hmac_of(mac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret, signed)
}

fn sha256_of(body: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, body))
}

fn pairs(input: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(input).into_owned().collect()
}

/// The URL that is signed, with the port or without: both SDKs of Twilio take both.
fn url(webhook: &Webhook, way: u8) -> String {
    let url = webhook.url();
    if way & 1 == 0 { url } else { url.replacen(".example.com", ".example.com:443", 1) }
}

/// A JSON body is signed through the URL, so its hash is in there.
fn name_the_body(webhook: &mut Webhook) {
    let rest = webhook.query.take().unwrap_or_default();
    webhook.query = Some(format!("bodySHA256={}&{rest}", sha256_of(&webhook.body)));
}

fn twilio(webhook: &mut Webhook, secret: &str, input: &Input<'_>) -> bool {
    if input.shape == Shape::Json {
        name_the_body(webhook);
    }
    let mut signed = url(webhook, input.way);
    if input.shape == Shape::Form {
        let pairs: BTreeSet<_> = pairs(&webhook.body).into_iter().collect();
        signed.extend(pairs.into_iter().flat_map(|(name, value)| [name, value]));
    }
    let signature = if input.way & 2 == 0 {
        sha1(secret, signed)
    } else {
        set(webhook, "x-twilio-webhooks-signature-settings", &format!("key={KEY_ID},algorithm=HMAC_SHA256"));
        hmac_of(mac::HMAC_SHA256, secret, signed)
    };
    set(webhook, "x-twilio-signature", &BASE64_STANDARD.encode(signature));
    true
}

fn signalwire(webhook: &mut Webhook, secret: &str, input: &Input<'_>) -> bool {
    let own = if input.way & 2 == 0 { "x-signalwire-signature" } else { "x-twilio-signature" };
    match (input.way >> 2) % 3 {
        0 => {
            if input.shape == Shape::Json {
                name_the_body(webhook);
            }
            let mut signed = url(webhook, input.way);
            if input.shape == Shape::Form {
                let mut pairs = pairs(&webhook.body);
                pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
                signed.extend(pairs.into_iter().flat_map(|(name, value)| [name, value]));
            }
            set(webhook, own, &BASE64_STANDARD.encode(sha1(secret, signed)));
        }
        1 => {
            let signed = [url(webhook, input.way).as_bytes(), &webhook.body].concat();
            set(webhook, own, &hex::encode(sha1(secret, signed)));
        }
        _ => {
            let signed = [url(webhook, input.way).as_bytes(), &webhook.body].concat();
            let strong = hmac_of(mac::HMAC_SHA256, secret, signed);
            set(webhook, "x-signalwire-sha256-signature", &hex::encode(strong));
        }
    }
    true
}

/// Only what has each name once can be signed, and no name with the signs that join them.
fn vonage(webhook: &mut Webhook, secret: &str, input: &Input<'_>) -> bool {
    let method = VONAGE_METHODS[usize::from(input.way) % VONAGE_METHODS.len()];
    let sign = |pairs: Vec<(String, String)>| {
        let count = pairs.len();
        let sorted: BTreeMap<_, _> = pairs.into_iter().collect();
        let can_be_signed =
            sorted.len() == count && !sorted.keys().any(|name| name.contains(['&', '=']) || name == "sig");
        let text: String =
            sorted.iter().map(|(name, value)| format!("&{name}={}", value.replace(['&', '='], "_"))).collect();
        can_be_signed.then(|| vonage_signature(method, secret, &text))
    };
    let append = |encoded: &str, signature: &str| format!("{encoded}&sig={signature}");
    match input.shape {
        Shape::Query => {
            let query = webhook.query.take().unwrap_or_default();
            let signature = sign(pairs(query.as_bytes()));
            webhook.query = Some(append(&query, signature.as_deref().unwrap_or("00")));
            signature.is_some()
        }
        Shape::Form => {
            let signature = sign(pairs(&webhook.body));
            let tail = append("", signature.as_deref().unwrap_or("00"));
            webhook.body = [&webhook.body, tail.as_bytes()].concat().into();
            signature.is_some()
        }
        Shape::Json => {
            let Ok(mut object) = serde_json::from_slice::<Map<String, Value>>(&webhook.body) else { return false };
            object.remove("sig");
            let text_of = |value: &Value| match value {
                Value::Null => Some(None),
                Value::String(text) => Some(Some(text.clone())),
                Value::Bool(_) | Value::Number(_) => Some(Some(value.to_string())),
                Value::Array(_) | Value::Object(_) => None,
            };
            let pairs: Option<Vec<_>> =
                object.iter().map(|(name, value)| Some((name.clone(), text_of(value)?))).collect();
            // Null is not signed, and its name is refused all the same; none here has the signs in it.
            let is_plain = !object.keys().any(|name| name.contains(['&', '=']));
            let signature = pairs
                .filter(|_| is_plain)
                .and_then(|pairs| sign(pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()));
            object.insert("sig".to_owned(), signature.as_deref().unwrap_or("00").into());
            webhook.body = Value::Object(object).to_string().into();
            signature.is_some()
        }
    }
}

fn vonage_signature(method: &str, secret: &str, text: &str) -> String {
    hex::encode(match method {
        "md5hash" => Md5::digest(format!("{text}{secret}")).to_vec(),
        "md5" => {
            let mac = Hmac::<Md5>::new_from_slice(secret.as_bytes()).unwrap().chain_update(text);
            mac.finalize().into_bytes().to_vec()
        }
        "sha1" => sha1(secret, text),
        "sha256" => hmac_of(mac::HMAC_SHA256, secret, text),
        _ => hmac_of(mac::HMAC_SHA512, secret, text),
    })
}

fn vonage_messages(webhook: &mut Webhook, secret: &str, signed_at: i64, way: u8) {
    let claims = json!({ "iat": signed_at, "jti": "c5ba8f24", "iss": "Vonage", "payload_hash": sha256_of(&webhook.body),
                         "api_key": "abcd1234", "application_id": "aaaaaaaa-bbbb-cccc-dddd-0123456789ab" });
    let [header, claims] = [r#"{"alg":"HS256","typ":"JWT"}"#.to_owned(), claims.to_string()]
        .map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
    let signed = format!("{header}.{claims}");
    let signature = BASE64_URL_SAFE_NO_PAD.encode(hmac_of(mac::HMAC_SHA256, secret, &signed));
    let token = format!("{signed}.{signature}");
    match way % 3 {
        0 => set(webhook, "authorization", &format!("Bearer {token}")),
        1 => set(webhook, "x-vonage-webhook-auth-token", &token),
        _ => set(webhook, "x-vonage-webhook-auth-token", &format!("bearer {token}")),
    }
}

/// A GET is the handshake: its challenge comes back to whoever asks, so a plain word it must be.
fn meta(webhook: &mut Webhook, secret: &str, input: &Input<'_>) -> bool {
    if webhook.method != Method::GET {
        let signature = hex::encode(hmac_of(mac::HMAC_SHA256, secret, &webhook.body));
        set(webhook, "x-hub-signature-256", &format!("sha256={signature}"));
        return true;
    }
    let challenge = input.query.unwrap_or("1158201444");
    let others = input.pairs.iter().filter(|(name, _)| !name.starts_with("hub."));
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(others)
        .extend_pairs([("hub.mode", "subscribe"), ("hub.challenge", challenge), ("hub.verify_token", secret)])
        .finish();
    webhook.query = Some(query);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    (1..=128).contains(&challenge.len()) && challenge.bytes().all(is_plain)
}
