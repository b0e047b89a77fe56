//! Bird.

use aws_lc_rs::{digest, hmac};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    contract::{Answer, Call, CustomerText, Post, Provider, SendRequest, Signature, authorised, meaning},
    messagebird::is_access_key,
    text::Channel,
};

pub(super) struct Bird;

impl Provider for Bird {
    fn name(&self) -> &'static str {
        "bird"
    }

    fn title(&self) -> &'static str {
        "Bird"
    }

    /// A channel of Bird's is of one kind, and the account has one channel.
    fn channels(&self) -> &'static [Channel] {
        &[Channel::Sms]
    }

    fn bodies(&self, text: &CustomerText<'_>) -> Result<Vec<String>, String> {
        let time = format!("{:.3}", text.now);
        let contact =
            json!({ "id": Uuid::new_v4().to_string(), "identifierKey": "phonenumber", "identifierValue": text.from });
        let body = json!({ "service": "channels", "event": "sms.inbound", "payload": {
            "id": self.message_id(), "channelId": text.account.text("channel_id").unwrap_or("channel"),
            "sender": { "contact": contact },
            "receiver": { "connectors": [{ "id": Uuid::new_v4().to_string(), "identifierValue": text.to }] },
            "body": { "type": "text", "text": { "text": text.text } },
            "direction": "incoming", "status": "delivered", "createdAt": time, "updatedAt": time,
        } });
        Ok(vec![body.to_string()])
    }

    /// <https://docs.bird.com/api/notifications-api/api-reference/webhooks/verifying-a-webhook>
    fn sign(&self, post: Post<'_>) -> Result<Signature, String> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, post.account.current("signing_keys")?.as_bytes());
        let timestamp = post.now.as_second().to_string();
        let hash = digest::digest(&digest::SHA256, post.body.as_bytes());
        let signed = [timestamp.as_bytes(), b"\n", post.url.as_bytes(), b"\n", hash.as_ref()].concat();
        let signature = BASE64_STANDARD.encode(hmac::sign(&key, &signed));
        let headers = vec![("messagebird-signature", signature), ("messagebird-request-timestamp", timestamp)];
        Ok(Signature { headers, body: post.body })
    }

    /// A channel stands for our number, which the request doesn't name.
    fn read(&self, call: &Call<'_>) -> Result<SendRequest, u16> {
        let workspace = call.account.text("workspace_id").ok_or(404_u16)?;
        let channel = call.account.text("channel_id").ok_or(404_u16)?;
        call.at(&format!("/workspaces/{workspace}/channels/{channel}/messages"))?;
        authorised(is_access_key(call))?;
        let body = call.json();
        let field = |place: &str| body.pointer(place).and_then(Value::as_str).map(str::to_owned).ok_or(400_u16);
        Ok(SendRequest {
            from: channel.to_owned(),
            business: channel.to_owned(),
            to: field("/receiver/contacts/0/identifierValue")?,
            text: field("/body/text/text")?,
            choices: Vec::new(),
            channel: Channel::Sms,
        })
    }

    fn look(&self, call: &Call<'_>, _: &str) -> Result<Value, u16> {
        let text = |field| call.account.text(field).unwrap_or_default();
        call.at(&format!("/workspaces/{}/channels/{}", text("workspace_id"), text("channel_id")))?;
        authorised(is_access_key(call))?;
        Ok(json!({ "id": text("channel_id"), "status": "active" }))
    }

    fn message_id(&self) -> String {
        Uuid::new_v4().to_string()
    }

    fn taken(&self, request: &SendRequest, id: &str) -> Answer {
        Answer::json(
            202,
            json!({ "id": id, "channelId": request.from, "direction": "outgoing", "status": "accepted", "reason": "" }),
        )
    }

    fn refused(&self, _: &Call<'_>, status: u16) -> Answer {
        let code = match status {
            400 => "InvalidPayload",
            401 => "Unauthorized",
            404 => "NotFound",
            429 => "TooManyRequests",
            _ => "InternalError",
        };
        Answer::json(status, json!({ "code": code, "message": meaning(status) }))
    }
}
