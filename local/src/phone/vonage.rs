//! Vonage's SMS API.

use std::collections::BTreeMap;

use aws_lc_rs::hmac::HMAC_SHA512;
use axum::http::Method;
use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::{Digest as _, Md5};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    contract::{Answer, Call, CustomerText, FORM, Post, Provider, SendRequest, Signature, authorised, meaning},
    keys::{hmac_of, sha1, sha256},
    text::{Channel, digits, encoding, parts, segments},
};

pub(super) struct Vonage;

impl Provider for Vonage {
    fn name(&self) -> &'static str {
        "vonage"
    }

    fn title(&self) -> &'static str {
        "Vonage SMS"
    }

    fn channels(&self) -> &'static [Channel] {
        &[Channel::Sms]
    }

    fn content_type(&self) -> &'static str {
        FORM
    }

    /// A long text in parts, which the receiver joins. <https://developer.vonage.com/messaging/sms/guides/inbound-sms>
    fn bodies(&self, text: &CustomerText<'_>) -> Result<Vec<String>, String> {
        let parts = parts(text.text);
        let reference = Uuid::new_v4().as_u128() % 0x100;
        let bodies = parts.iter().enumerate().map(|(index, part)| {
            let mut fields: BTreeMap<&str, String> = [
                ("msisdn", digits(&text.from).to_owned()),
                ("to", digits(&text.to).to_owned()),
                ("messageId", self.message_id()),
                ("text", part.clone()),
                ("type", if encoding(text.text) == "GSM-7" { "text" } else { "unicode" }.to_owned()),
                ("keyword", part.split_whitespace().next().unwrap_or_default().to_uppercase()),
                ("message-timestamp", text.now.strftime("%Y-%m-%d %H:%M:%S").to_string()),
                ("timestamp", text.now.as_second().to_string()),
                ("nonce", Uuid::new_v4().to_string()),
            ]
            .into();
            if let Some(key) = text.account.text("api_key") {
                fields.insert("api-key", key.to_owned());
            }
            if parts.len() > 1 {
                fields.insert("concat", "true".to_owned());
                fields.insert("concat-ref", reference.to_string());
                fields.insert("concat-total", parts.len().to_string());
                fields.insert("concat-part", (index + 1).to_string());
            }
            form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish()
        });
        Ok(bodies.collect())
    }

    /// A form's `sig`. <https://developer.vonage.com/en/getting-started/concepts/signing-messages>
    fn sign(&self, post: Post<'_>) -> Result<Signature, String> {
        let secret = post.account.current("signature_secrets")?;
        let method = post.account.text("signature_method").unwrap_or("md5hash");
        let fields: BTreeMap<_, _> = form_urlencoded::parse(post.body.as_bytes()).into_owned().collect();
        let signed: String =
            fields.iter().map(|(name, value)| format!("&{name}={}", value.replace(['&', '='], "_"))).collect();
        let body = format!("{}&sig={}", post.body, signature(method, secret, &signed)?);
        Ok(Signature { headers: Vec::new(), body })
    }

    fn read(&self, call: &Call<'_>) -> Result<SendRequest, u16> {
        call.at("/sms/json")?;
        let body = if call.body.starts_with(b"{") { call.json() } else { call.form() };
        let is = |name: &str| call.account.text(name).is_some_and(|known| body.get(name).is_some_and(|v| v == known));
        authorised(is("api_key") && is("api_secret"))?;
        SendRequest::of(&body, ["from", "to", "text"], Channel::Sms)
    }

    fn look(&self, call: &Call<'_>, webhook: &str) -> Result<Value, u16> {
        let text = |field| call.account.text(field).unwrap_or_default();
        authorised(call.is_basic(text("api_key"), text("api_secret")))?;
        match call.path {
            "/account/get-balance" => Ok(json!({ "value": 12.5, "autoReload": false })),
            "/account/numbers" => Ok(json!({ "numbers": [{ "msisdn": "12025550100", "moHttpUrl": webhook }] })),
            _ => Err(404),
        }
    }

    fn message_id(&self) -> String {
        format!("{:016X}", Uuid::new_v4().as_u128() >> 64)
    }

    fn taken(&self, request: &SendRequest, id: &str) -> Answer {
        let parts = segments(request.channel, &request.text);
        let message = json!({ "to": request.to, "message-id": id, "status": "0", "remaining-balance": "12.5",
                              "message-price": "0.03", "network": "12345" });
        let messages: Vec<Value> = vec![message; parts];
        Answer::json(200, json!({ "message-count": parts.to_string(), "messages": messages }))
    }

    /// A send is answered 200, whatever went wrong in a request that it could read.
    fn refused(&self, call: &Call<'_>, status: u16) -> Answer {
        let (code, text) = match status {
            status if call.method == Method::GET => return Answer::json(status, json!({ "error": meaning(status) })),
            400 => ("2", "Missing parameters"),
            401 => ("4", "Invalid credentials"),
            429 => ("1", "Throughput Rate Exceeded - please wait [ 1000 ] and retry"),
            _ => return Answer::json(status, json!({ "error": meaning(status) })),
        };
        Answer::json(200, json!({ "message-count": "1", "messages": [{ "status": code, "error-text": text }] }))
    }
}

fn signature(method: &str, secret: &str, signed: &str) -> Result<String, String> {
    Ok(hex::encode(match method {
        "md5hash" => Md5::digest(format!("{signed}{secret}")).to_vec(),
        "md5" => {
            let mac = Hmac::<Md5>::new_from_slice(secret.as_bytes()).map_err(|error| error.to_string())?;
            mac.chain_update(signed).finalize().into_bytes().to_vec()
        }
        "sha1" => sha1(secret, signed),
        "sha256" => sha256(secret, signed),
        "sha512" => hmac_of(HMAC_SHA512, secret, signed),
        _ => return Err("signature_method is unknown".to_owned()),
    }))
}
