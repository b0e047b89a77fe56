//! Meta's WhatsApp Cloud API.

use serde_json::{Value, json};

use super::{
    contract::{Answer, Call, CustomerText, Post, Provider, SendRequest, Signature, authorised, meaning},
    keys::sha256,
    text::Channel,
    whatsapp,
};

pub(super) struct Meta;

impl Provider for Meta {
    fn name(&self) -> &'static str {
        "meta"
    }

    fn title(&self) -> &'static str {
        "Meta"
    }

    fn channels(&self) -> &'static [Channel] {
        &[Channel::Whatsapp]
    }

    fn bodies(&self, text: &CustomerText<'_>) -> Result<Vec<String>, String> {
        let body = json!({ "object": "whatsapp_business_account", "entry": [whatsapp::entry(text)] });
        Ok(vec![body.to_string()])
    }

    fn sign(&self, post: Post<'_>) -> Result<Signature, String> {
        let signature = hex::encode(sha256(post.account.current("app_secrets")?, &post.body));
        Ok(post.with_header("x-hub-signature-256", format!("sha256={signature}")))
    }

    fn read(&self, call: &Call<'_>) -> Result<SendRequest, u16> {
        let id = call.path.strip_suffix("/messages").and_then(|path| path.rsplit('/').next()).unwrap_or_default();
        // Any version of the API: `/v25.0/{phone_number_id}/messages`.
        if call.path.split('/').count() != 4 || !call.account.list("phone_number_ids").contains(&id) {
            return Err(404);
        }
        authorised(call.is_bearer("access_token"))?;
        whatsapp::read(&call.json(), id)
    }

    fn look(&self, call: &Call<'_>, _: &str) -> Result<Value, u16> {
        let id = call.path.rsplit('/').next().unwrap_or_default();
        if call.path.split('/').count() != 3 || !call.account.list("phone_number_ids").contains(&id) {
            return Err(404);
        }
        authorised(call.is_bearer("access_token"))?;
        Ok(json!({ "id": id, "verified_name": "Local" }))
    }

    fn message_id(&self) -> String {
        whatsapp::message_id()
    }

    fn taken(&self, request: &SendRequest, id: &str) -> Answer {
        let contacts = json!([{ "input": request.to, "wa_id": request.to }]);
        Answer::json(200, json!({ "messaging_product": "whatsapp", "contacts": contacts, "messages": [{ "id": id }] }))
    }

    fn refused(&self, _: &Call<'_>, status: u16) -> Answer {
        let code = match status {
            400 | 404 => 100,
            401 => 190,
            429 => 130_429,
            _ => 131_000,
        };
        let error =
            json!({ "message": meaning(status), "type": "OAuthException", "code": code, "fbtrace_id": "A0000000000" });
        Answer::json(status, json!({ "error": error }))
    }
}
