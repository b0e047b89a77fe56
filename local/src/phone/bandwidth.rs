//! Bandwidth.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    contract::{Answer, Call, CustomerText, Post, Provider, SendRequest, Signature, authorised, meaning},
    text::{Channel, segments},
};

pub(super) struct Bandwidth;

impl Provider for Bandwidth {
    fn name(&self) -> &'static str {
        "bandwidth"
    }

    fn title(&self) -> &'static str {
        "Bandwidth"
    }

    fn channels(&self) -> &'static [Channel] {
        &[Channel::Sms]
    }

    /// <https://dev.bandwidth.com/docs/messaging/webhooks/>
    fn bodies(&self, text: &CustomerText<'_>) -> Result<Vec<String>, String> {
        let time = format!("{:.3}", text.now);
        let event = json!({
            "type": "message-received", "time": time, "description": "Incoming message received", "to": text.to,
            "message": {
                "id": self.message_id(), "owner": text.to, "time": time, "direction": "in", "to": [text.to],
                "applicationId": text.account.text("application_id").unwrap_or_default(), "from": text.from,
                "text": text.text, "segmentCount": segments(text.channel, text.text),
            },
        });
        Ok(vec![json!([event]).to_string()])
    }

    /// It signs nothing: it says the application's callback credentials.
    fn sign(&self, post: Post<'_>) -> Result<Signature, String> {
        let user = post.account.text("username").ok_or("the account has no username")?;
        let credentials = format!("{user}:{}", post.account.current("passwords")?);
        Ok(post.with_header("authorization", format!("Basic {}", BASE64_STANDARD.encode(credentials))))
    }

    fn read(&self, call: &Call<'_>) -> Result<SendRequest, u16> {
        let text = |field| call.account.text(field).unwrap_or_default();
        call.at(&format!("/api/v2/users/{}/messages", text("account_id")))?;
        authorised(call.is_basic(text("api_username"), text("api_password")))?;
        let mut body = call.json();
        let to = body.pointer("/to/0").cloned().unwrap_or_default();
        let is_application = body.get("applicationId").is_some_and(|id| id == text("application_id"));
        if !is_application {
            return Err(400);
        }
        if let Value::Object(fields) = &mut body {
            fields.insert("to".to_owned(), to);
        }
        SendRequest::of(&body, ["from", "to", "text"], Channel::Sms)
    }

    fn look(&self, call: &Call<'_>, _: &str) -> Result<Value, u16> {
        let text = |field| call.account.text(field).unwrap_or_default();
        call.at(&format!("/api/v2/users/{}/media", text("account_id")))?;
        authorised(call.is_basic(text("api_username"), text("api_password")))?;
        Ok(json!([]))
    }

    fn message_id(&self) -> String {
        let id = Uuid::new_v4().simple().to_string();
        format!("1762070468292{}", id.get(..16).unwrap_or_default())
    }

    fn taken(&self, request: &SendRequest, id: &str) -> Answer {
        let parts = segments(request.channel, &request.text);
        Answer::json(
            202,
            json!({ "id": id, "owner": request.from, "from": request.from, "to": [request.to], "direction": "out",
                    "segmentCount": parts, "text": request.text }),
        )
    }

    fn refused(&self, _: &Call<'_>, status: u16) -> Answer {
        let kind = match status {
            400 => "request-validation",
            401 => "unauthorized",
            404 => "not-found",
            429 => "max-message-queue-size-exceeded",
            _ => "internal-server-error",
        };
        Answer::json(status, json!({ "type": kind, "description": meaning(status) }))
    }
}
