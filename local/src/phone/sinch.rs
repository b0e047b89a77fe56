//! Sinch's SMS API.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    contract::{Answer, Call, CustomerText, Post, Provider, SendRequest, Signature, authorised, meaning},
    keys::sha256,
    text::{Channel, digits},
};

pub(super) struct Sinch;

impl Provider for Sinch {
    fn name(&self) -> &'static str {
        "sinch"
    }

    fn title(&self) -> &'static str {
        "Sinch"
    }

    fn channels(&self) -> &'static [Channel] {
        &[Channel::Sms]
    }

    /// <https://developers.sinch.com/docs/sms/api-reference/sms/tag/Webhooks/>
    fn bodies(&self, text: &CustomerText<'_>) -> Result<Vec<String>, String> {
        let time = format!("{:.3}", text.now);
        let body = json!({
            "type": "mo_text", "id": self.message_id(), "from": digits(&text.from), "to": digits(&text.to),
            "body": text.text, "operator_id": "35000", "received_at": time, "sent_at": time,
        });
        Ok(vec![body.to_string()])
    }

    fn sign(&self, post: Post<'_>) -> Result<Signature, String> {
        let secret = post.account.current("webhook_secrets")?;
        let nonce = Uuid::new_v4().simple().to_string();
        let timestamp = post.now.as_second().to_string();
        let signature = BASE64_STANDARD.encode(sha256(secret, &format!("{}.{nonce}.{timestamp}", post.body)));
        let headers = vec![
            ("x-sinch-webhook-signature", signature),
            ("x-sinch-webhook-signature-algorithm", "HmacSHA256".to_owned()),
            ("x-sinch-webhook-signature-nonce", nonce),
            ("x-sinch-webhook-signature-timestamp", timestamp),
        ];
        Ok(Signature { headers, body: post.body })
    }

    fn read(&self, call: &Call<'_>) -> Result<SendRequest, u16> {
        call.at(&format!("/xms/v1/{}/batches", call.account.text("service_plan_id").unwrap_or_default()))?;
        authorised(call.is_bearer("api_token"))?;
        let mut body = call.json();
        let to = body.pointer("/to/0").cloned().unwrap_or_default();
        if let Value::Object(fields) = &mut body {
            fields.insert("to".to_owned(), to);
        }
        SendRequest::of(&body, ["from", "to", "body"], Channel::Sms)
    }

    fn look(&self, call: &Call<'_>, _: &str) -> Result<Value, u16> {
        call.at(&format!("/xms/v1/{}/batches", call.account.text("service_plan_id").unwrap_or_default()))?;
        authorised(call.is_bearer("api_token"))?;
        Ok(json!({ "page": 0, "page_size": 0, "count": 0, "batches": [] }))
    }

    fn message_id(&self) -> String {
        Uuid::new_v4().simple().to_string().to_uppercase().chars().take(26).collect()
    }

    fn taken(&self, request: &SendRequest, id: &str) -> Answer {
        Answer::json(
            201,
            json!({ "id": id, "to": [request.to], "from": request.from, "canceled": false, "body": request.text,
                    "type": "mt_text", "delivery_report": "none", "flash_message": false }),
        )
    }

    fn refused(&self, _: &Call<'_>, status: u16) -> Answer {
        let code = if status == 400 { "syntax_constraint_violation" } else { "error" };
        Answer::json(status, json!({ "code": code, "text": meaning(status) }))
    }
}
