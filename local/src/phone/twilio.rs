//! Twilio.

use serde_json::Value;
use uuid::Uuid;

use super::{
    account::Account,
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
        call.at(&format!("{}/Messages.json", path(call.account)))?;
        authorised(is_known(call))?;
        cxml::read(call)
    }

    fn look(&self, call: &Call<'_>, webhook: &str) -> Result<Value, u16> {
        authorised(is_known(call))?;
        cxml::look(call, &path(call.account), webhook)
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

fn path(account: &Account) -> String {
    format!("/2010-04-01/Accounts/{}", account.text("account_sid").unwrap_or_default())
}

/// An Auth Token of the account, or its API key.
fn is_known(call: &Call<'_>) -> bool {
    let account = call.account;
    let sid = account.text("account_sid").unwrap_or_default();
    let api_key = (account.text("api_key_sid"), account.text("api_key_secret"));
    account.list("auth_tokens").iter().any(|token| call.is_basic(sid, token))
        || matches!(api_key, (Some(key), Some(secret)) if call.is_basic(key, secret))
}
