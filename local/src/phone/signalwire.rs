//! SignalWire, by its API that is compatible with Twilio's.

use serde_json::Value;
use uuid::Uuid;

use super::{
    account::Account,
    contract::{Answer, Call, CustomerText, FORM, Post, Provider, SendRequest, Signature, authorised},
    cxml,
    text::Channel,
};

pub(super) struct Signalwire;

impl Provider for Signalwire {
    fn name(&self) -> &'static str {
        "signalwire"
    }

    fn title(&self) -> &'static str {
        "SignalWire"
    }

    fn channels(&self) -> &'static [Channel] {
        &[Channel::Sms]
    }

    fn content_type(&self) -> &'static str {
        FORM
    }

    fn bodies(&self, text: &CustomerText<'_>) -> Result<Vec<String>, String> {
        let account_id = text.account.text("project_id").unwrap_or_default();
        Ok(vec![cxml::form(text, account_id, &self.message_id())])
    }

    fn sign(&self, post: Post<'_>) -> Result<Signature, String> {
        let signature = cxml::signature(post.account.current("signing_keys")?, post.url, &post.body);
        Ok(post.with_header("x-signalwire-signature", signature))
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
        Uuid::new_v4().to_string()
    }

    fn taken(&self, request: &SendRequest, id: &str) -> Answer {
        cxml::taken(request, id)
    }

    fn refused(&self, _: &Call<'_>, status: u16) -> Answer {
        cxml::refused(status)
    }
}

fn path(account: &Account) -> String {
    format!("/api/laml/2010-04-01/Accounts/{}", account.text("project_id").unwrap_or_default())
}

fn is_known(call: &Call<'_>) -> bool {
    let project = call.account.text("project_id").unwrap_or_default();
    call.account.text("api_token").is_some_and(|token| call.is_basic(project, token))
}
