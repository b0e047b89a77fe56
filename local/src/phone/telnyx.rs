//! Telnyx.

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    contract::{Answer, Call, CustomerText, Post, Provider, SendRequest, Signature, authorised, meaning},
    text::{Channel, encoding, segments},
};

/// Its private key on this machine. No bridge has it: the public half is in `local/settings.json`.
const SEED: &[u8; 32] = b"connect-chat-bridge, dev only: 1";

pub(super) struct Telnyx;

impl Provider for Telnyx {
    fn name(&self) -> &'static str {
        "telnyx"
    }

    fn title(&self) -> &'static str {
        "Telnyx"
    }

    fn channels(&self) -> &'static [Channel] {
        &[Channel::Sms]
    }

    /// <https://developers.telnyx.com/docs/messaging/messages/receiving-webhooks>
    fn bodies(&self, text: &CustomerText<'_>) -> Result<Vec<String>, String> {
        let time = format!("{:.3}", text.now);
        let body = json!({
            "data": {
                "event_type": "message.received", "id": Uuid::new_v4().to_string(), "occurred_at": time, "record_type": "event",
                "payload": {
                    "id": self.message_id(), "record_type": "message", "direction": "inbound", "type": "SMS",
                    "from": { "phone_number": text.from }, "to": [{ "phone_number": text.to }], "cc": [],
                    "text": text.text, "media": [], "encoding": encoding(text.text),
                    "parts": segments(text.channel, text.text), "received_at": time,
                },
            },
            "meta": { "attempt": 1, "delivered_to": text.url },
        });
        Ok(vec![body.to_string()])
    }

    fn sign(&self, post: Post<'_>) -> Result<Signature, String> {
        let timestamp = post.now.as_second().to_string();
        let key = Ed25519KeyPair::from_seed_unchecked(SEED).map_err(|error| error.to_string())?;
        let signature = BASE64_STANDARD.encode(key.sign(format!("{timestamp}|{}", post.body).as_bytes()));
        let headers = vec![("telnyx-signature-ed25519", signature), ("telnyx-timestamp", timestamp)];
        Ok(Signature { headers, body: post.body })
    }

    fn read(&self, call: &Call<'_>) -> Result<SendRequest, u16> {
        call.at("/v2/messages")?;
        authorised(call.is_bearer("api_key"))?;
        SendRequest::of(&call.json(), ["from", "to", "text"], Channel::Sms)
    }

    fn look(&self, call: &Call<'_>, webhook: &str) -> Result<Value, u16> {
        authorised(call.is_bearer("api_key"))?;
        match call.path {
            "/v2/balance" => Ok(json!({ "data": { "record_type": "balance", "balance": "3.14", "currency": "USD" } })),
            "/v2/messaging_profiles" => Ok(json!({ "data": [{ "name": "Local", "webhook_url": webhook }] })),
            _ => Err(404),
        }
    }

    fn message_id(&self) -> String {
        Uuid::new_v4().to_string()
    }

    fn taken(&self, request: &SendRequest, id: &str) -> Answer {
        let parts = segments(request.channel, &request.text);
        Answer::json(
            200,
            json!({ "data": { "id": id, "record_type": "message", "direction": "outbound", "parts": parts,
                              "to": [{ "phone_number": request.to, "status": "queued" }], "errors": [] } }),
        )
    }

    fn refused(&self, _: &Call<'_>, status: u16) -> Answer {
        let code = match status {
            400 => "10015",
            401 => "10009",
            404 => "10005",
            429 => "10011",
            _ => "10007",
        };
        let words = meaning(status);
        Answer::json(status, json!({ "errors": [{ "code": code, "title": words, "detail": words }] }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::KeyPair as _;

    #[test]
    fn the_settings_hold_the_public_half_of_the_key() {
        let key = Ed25519KeyPair::from_seed_unchecked(SEED).unwrap();
        let public = BASE64_STANDARD.encode(key.public_key().as_ref());
        let settings: Value = serde_json::from_str(include_str!("../../settings.json")).unwrap();
        let accounts = settings["accounts"].as_array().unwrap();
        let telnyx = accounts.iter().find(|account| account["provider"] == "telnyx").unwrap();
        assert!(telnyx["public_keys"].as_array().unwrap().contains(&json!(public)), "{public}");
    }
}
