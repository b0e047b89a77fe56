//! Twilio.

use uuid::Uuid;

use super::{
    contract::{Answer, Call, CustomerText, FORM, Post, Provider, SendRequest, Signature, authorised},
    cxml,
    text::Channel,
};

pub(super) struct Twilio;

impl Provider for Twilio {
    fn name(&self) -> &'static str {
        "twilio"
    }

    fn title(&self) -> &'static str {
        "Twilio"
    }

    fn channels(&self) -> &'static [Channel] {
        &[Channel::Sms, Channel::Whatsapp]
    }

    fn content_type(&self) -> &'static str {
        FORM
    }

    fn bodies(&self, text: &CustomerText<'_>) -> Result<Vec<String>, String> {
        let account_id = text.account.text("account_sid").unwrap_or_default();
        Ok(vec![cxml::form(text, account_id, &self.message_id())])
    }

    fn sign(&self, post: Post<'_>) -> Result<Signature, String> {
        let signature = cxml::signature(post.account.current("auth_tokens")?, post.url, &post.body);
        Ok(post.with_header("x-twilio-signature", signature))
    }

    fn read(&self, call: &Call<'_>) -> Result<SendRequest, u16> {
        let account = call.account;
        let sid = account.text("account_sid").unwrap_or_default();
        call.at(&format!("/2010-04-01/Accounts/{sid}/Messages.json"))?;
        let api_key = (account.text("api_key_sid"), account.text("api_key_secret"));
        let is_known = account.list("auth_tokens").iter().any(|token| call.is_basic(sid, token))
            || matches!(api_key, (Some(key), Some(secret)) if call.is_basic(key, secret));
        authorised(is_known)?;
        cxml::read(call)
    }

    fn message_id(&self) -> String {
        format!("SM{}", Uuid::new_v4().simple())
    }

    fn taken(&self, request: &SendRequest, id: &str) -> Answer {
        cxml::taken(request, id)
    }

    fn refused(&self, _: &Call<'_>, status: u16) -> Answer {
        cxml::refused(status)
    }
}
