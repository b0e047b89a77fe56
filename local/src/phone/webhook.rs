//! A channel of the owner's own, by the Standard Webhooks specification.

use aws_lc_rs::hmac;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    account::Account,
    contract::{Answer, Call, CustomerText, Post, Provider, SendRequest, Signature, authorised, meaning},
    text::Channel,
};

pub(super) struct Webhook;

impl Provider for Webhook {
    fn name(&self) -> &'static str {
        "webhook"
    }

    fn title(&self) -> &'static str {
        "Webhook"
    }

    fn channels(&self) -> &'static [Channel] {
        &[Channel::Sms]
    }

    fn bodies(&self, text: &CustomerText<'_>) -> Result<Vec<String>, String> {
        let mut data = json!({
            "id": self.message_id(), "from": text.from, "to": text.to, "text": text.text,
            "received_at": format!("{:.3}", text.now),
        });
        if let (Some(choice), Some(data)) = (text.choice, data.as_object_mut()) {
            data.insert("choice_id".to_owned(), json!(choice.id));
        }
        Ok(vec![json!({ "type": "message", "data": data }).to_string()])
    }

    /// <https://www.standardwebhooks.com>
    fn sign(&self, post: Post<'_>) -> Result<Signature, String> {
        let id = format!("msg_{}", Uuid::new_v4().simple());
        let timestamp = post.now.as_second().to_string();
        let signature = signature(post.account.current("signing_secrets")?, &id, &timestamp, post.body.as_bytes())?;
        let headers = vec![("webhook-id", id), ("webhook-timestamp", timestamp), ("webhook-signature", signature)];
        Ok(Signature { headers, body: post.body })
    }

    fn is_signal(&self, call: &Call<'_>) -> bool {
        let body = call.json();
        let kind = body.get("type").and_then(Value::as_str);
        is_signed(call) && matches!(kind, Some("typing" | "end"))
    }

    fn read(&self, call: &Call<'_>) -> Result<SendRequest, u16> {
        authorised(is_signed(call))?;
        let body = call.json();
        let data =
            body.get("data").filter(|_| body.get("type").is_some_and(|kind| kind == "message")).ok_or(400_u16)?;
        let request = SendRequest::of(data, ["from", "to", "text"], Channel::Sms)?;
        let choices = data.get("choices").map(|choices| serde_json::from_value(choices.clone()));
        Ok(SendRequest { choices: choices.transpose().map_err(|_| 400_u16)?.unwrap_or_default(), ..request })
    }

    fn message_id(&self) -> String {
        Uuid::new_v4().to_string()
    }

    fn taken(&self, _: &SendRequest, id: &str) -> Answer {
        Answer::json(200, json!({ "id": id }))
    }

    fn refused(&self, _: &Call<'_>, status: u16) -> Answer {
        Answer::json(status, json!({ "error": meaning(status) }))
    }
}

fn signature(secret: &str, id: &str, timestamp: &str, body: &[u8]) -> Result<String, String> {
    let key = BASE64_STANDARD.decode(secret.trim_start_matches("whsec_")).map_err(|error| error.to_string())?;
    let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
    Ok(format!("v1,{}", BASE64_STANDARD.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), &signed))))
}

/// Whether each of the account's secrets has signed it.
fn is_signed(call: &Call<'_>) -> bool {
    let account: &Account = call.account;
    let given: Vec<_> = call.header("webhook-signature").split(' ').collect();
    let secrets = account.list("send_secrets");
    let is_there = |secret: &&str| {
        let expected = signature(secret, call.header("webhook-id"), call.header("webhook-timestamp"), call.body);
        expected.is_ok_and(|expected| given.contains(&expected.as_str()))
    };
    !secrets.is_empty() && secrets.iter().all(is_there)
}
