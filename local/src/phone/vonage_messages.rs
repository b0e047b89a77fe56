//! Vonage's Messages API.

use aws_lc_rs::{
    digest,
    encoding::AsDer as _,
    signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    contract::{Answer, Call, CustomerText, Post, Provider, SendRequest, Signature, authorised, meaning},
    keys::{der, sha256},
    text::{Channel, Choice, digits, profile_name, segments},
    whatsapp,
};

pub(super) struct VonageMessages;

impl Provider for VonageMessages {
    fn name(&self) -> &'static str {
        "vonage-messages"
    }

    fn title(&self) -> &'static str {
        "Vonage Messages"
    }

    fn channels(&self) -> &'static [Channel] {
        &[Channel::Sms, Channel::Whatsapp]
    }

    fn bodies(&self, text: &CustomerText<'_>) -> Result<Vec<String>, String> {
        let mut body = json!({
            "channel": text.channel, "message_uuid": self.message_id(), "to": digits(&text.to), "from": digits(&text.from),
            "timestamp": format!("{:.0}", text.now), "message_type": "text", "text": text.text, "context_status": "none",
        });
        let (name, more) = if text.channel == Channel::Whatsapp {
            ("profile", json!({ "name": profile_name(&text.from) }))
        } else {
            let keyword = text.text.split_whitespace().next().unwrap_or_default().to_uppercase();
            let count = segments(text.channel, text.text).to_string();
            ("sms", json!({ "num_messages": count, "keyword": keyword }))
        };
        if let Some(body) = body.as_object_mut() {
            body.insert(name.to_owned(), more);
            if let Some(choice) = text.choice {
                body.remove("text");
                body.insert("message_type".to_owned(), json!("reply"));
                let Choice { id, title, description, .. } = choice;
                body.insert("reply".to_owned(), json!({ "id": id, "title": title, "description": description }));
            }
        }
        Ok(vec![body.to_string()])
    }

    /// A JWT that holds the body's hash. <https://developer.vonage.com/en/messages/concepts/signed-webhooks>
    fn sign(&self, post: Post<'_>) -> Result<Signature, String> {
        let secret = post.account.current("signature_secrets")?;
        let mut claims = json!({
            "iat": post.now.as_second(), "jti": Uuid::new_v4().to_string(), "iss": "Vonage",
            "payload_hash": hex::encode(digest::digest(&digest::SHA256, post.body.as_bytes())),
        });
        for name in ["api_key", "application_id"] {
            if let (Some(value), Some(claims)) = (post.account.text(name), claims.as_object_mut()) {
                claims.insert(name.to_owned(), json!(value));
            }
        }
        let [header, claims] = [json!({ "alg": "HS256", "typ": "JWT" }), claims]
            .map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let signature = BASE64_URL_SAFE_NO_PAD.encode(sha256(secret, &signed));
        Ok(post.with_header("authorization", format!("Bearer {signed}.{signature}")))
    }

    fn read(&self, call: &Call<'_>) -> Result<SendRequest, u16> {
        call.at("/v1/messages")?;
        authorised(is_token(call))?;
        let body = call.json();
        let is_whatsapp = body.get("channel").is_some_and(|channel| channel == "whatsapp");
        if body.get("message_type").is_some_and(|kind| kind == "custom") && is_whatsapp {
            let (text, choices) = whatsapp::interactive(body.pointer("/custom/interactive").unwrap_or(&Value::Null))?;
            let mut worded = body;
            if let Some(body) = worded.as_object_mut() {
                body.insert("text".to_owned(), json!(text));
            }
            let request = SendRequest::of(&worded, ["from", "to", "text"], Channel::Whatsapp)?;
            return Ok(SendRequest { choices, ..request });
        }
        SendRequest::of(&body, ["from", "to", "text"], if is_whatsapp { Channel::Whatsapp } else { Channel::Sms })
    }

    fn message_id(&self) -> String {
        Uuid::new_v4().to_string()
    }

    fn taken(&self, _: &SendRequest, id: &str) -> Answer {
        Answer::json(202, json!({ "message_uuid": id }))
    }

    fn refused(&self, _: &Call<'_>, status: u16) -> Answer {
        let code = match status {
            400 => "1150",
            401 => "1120",
            429 => "1020",
            _ => "1000",
        };
        let words = meaning(status);
        let kind = format!("https://developer.vonage.com/api-errors/messages#{code}");
        let instance = Uuid::new_v4().to_string();
        Answer::json(status, json!({ "type": kind, "title": words, "detail": words, "instance": instance }))
    }
}

/// A JWT of the application's, made with its private key.
/// <https://developer.vonage.com/en/getting-started/concepts/authentication>
fn is_token(call: &Call<'_>) -> bool {
    let Some(token) = call.authorization().strip_prefix("Bearer ") else { return false };
    let Some((signed, signature)) = token.rsplit_once('.') else { return false };
    let part = |index: usize| {
        let decoded = BASE64_URL_SAFE_NO_PAD.decode(signed.split('.').nth(index)?).ok()?;
        serde_json::from_slice::<Value>(&decoded).ok()
    };
    let claims = part(1).unwrap_or_default();
    let key = call.account.text("private_key").and_then(|pem| RsaKeyPair::from_pkcs8(&der(pem).ok()?).ok());
    let public = key.and_then(|key| Some(key.public_key().as_der().ok()?.as_ref().to_vec()));
    let is_signed = public.is_some_and(|public| {
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
        key.verify(signed.as_bytes(), &signature).is_ok()
    });
    let now = Timestamp::now().as_second();
    let seconds = |name: &str| claims.get(name).and_then(Value::as_i64);
    is_signed
        && part(0).is_some_and(|header| header.get("alg").is_some_and(|algorithm| algorithm == "RS256"))
        && claims.get("application_id").and_then(Value::as_str) == call.account.text("application_id")
        && claims.get("jti").is_some_and(Value::is_string)
        && seconds("iat").is_some_and(|at| at <= now + 60)
        && seconds("exp").is_none_or(|until| until > now)
}
