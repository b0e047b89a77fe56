//! Plivo.

use std::collections::BTreeSet;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    contract::{Answer, Call, CustomerText, FORM, Post, Provider, SendRequest, Signature, authorised, meaning},
    keys::sha256,
    text::{Channel, digits, segments},
};

pub(super) struct Plivo;

impl Provider for Plivo {
    fn name(&self) -> &'static str {
        "plivo"
    }

    fn title(&self) -> &'static str {
        "Plivo"
    }

    fn channels(&self) -> &'static [Channel] {
        &[Channel::Sms, Channel::Whatsapp]
    }

    fn content_type(&self) -> &'static str {
        FORM
    }

    /// <https://www.plivo.com/docs/messaging/api/message#receive-a-message>
    fn bodies(&self, text: &CustomerText<'_>) -> Result<Vec<String>, String> {
        let kind = if text.channel == Channel::Whatsapp { "whatsapp" } else { "sms" };
        let fields = [
            ("From", digits(&text.from).to_owned()),
            ("To", digits(&text.to).to_owned()),
            ("Text", text.text.to_owned()),
            ("Type", kind.to_owned()),
            ("MessageUUID", self.message_id()),
            ("Units", segments(text.channel, text.text).to_string()),
            ("TotalRate", "0".to_owned()),
            ("TotalAmount", "0".to_owned()),
        ];
        Ok(vec![form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish()])
    }

    /// V2 as well as V3. <https://www.plivo.com/docs/messaging/concepts/signature-validation>
    fn sign(&self, post: Post<'_>) -> Result<Signature, String> {
        let token = post.account.current("auth_tokens")?;
        let nonce = Uuid::new_v4().simple().to_string();
        let sorted: BTreeSet<_> = form_urlencoded::parse(post.body.as_bytes()).collect();
        let fields: String = sorted.iter().map(|(name, value)| format!("{name}{value}")).collect();
        let of = |text: &str| BASE64_STANDARD.encode(sha256(token, text));
        let headers = vec![
            ("x-plivo-signature-v2", of(&format!("{}{nonce}", post.url))),
            ("x-plivo-signature-v2-nonce", nonce.clone()),
            ("x-plivo-signature-v3", of(&format!("{}?{fields}.{nonce}", post.url))),
            ("x-plivo-signature-v3-nonce", nonce),
        ];
        Ok(Signature { headers, body: post.body })
    }

    fn read(&self, call: &Call<'_>) -> Result<SendRequest, u16> {
        let id = call.account.text("auth_id").unwrap_or_default();
        call.at(&format!("/v1/Account/{id}/Message/"))?;
        authorised(call.is_basic(id, call.account.current("auth_tokens").unwrap_or_default()))?;
        let body = call.json();
        let is_whatsapp = body.get("type").is_some_and(|kind| kind == "whatsapp");
        let channel = if is_whatsapp { Channel::Whatsapp } else { Channel::Sms };
        SendRequest::of(&body, ["src", "dst", "text"], channel)
    }

    fn look(&self, call: &Call<'_>, _: &str) -> Result<Value, u16> {
        let id = call.account.text("auth_id").unwrap_or_default();
        call.at(&format!("/v1/Account/{id}/"))?;
        authorised(call.is_basic(id, call.account.current("auth_tokens").unwrap_or_default()))?;
        Ok(json!({ "auth_id": id, "cash_credits": "3.14" }))
    }

    fn message_id(&self) -> String {
        Uuid::new_v4().to_string()
    }

    fn taken(&self, _: &SendRequest, id: &str) -> Answer {
        let body =
            json!({ "message": "message(s) queued", "message_uuid": [id], "api_id": Uuid::new_v4().to_string() });
        Answer::json(202, body)
    }

    fn refused(&self, _: &Call<'_>, status: u16) -> Answer {
        Answer::json(status, json!({ "error": meaning(status), "api_id": Uuid::new_v4().to_string() }))
    }
}
