//! A customer's text as the webhooks of its provider, signed with the secrets of the settings.

use std::fmt;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    account::Account,
    contract::{CustomerText, Post, Provider, Signed},
    provider,
    text::{Channel, Writing, e164},
};

/// The webhooks that a text becomes at the provider of this account of the settings: one, or one for each part where the
/// provider leaves joining them to the receiver. `base` is the bridge's public URL before `/sms/…`.
pub fn webhooks(account: &Value, writing: &Writing, base: &str, now: Timestamp) -> Result<Vec<Signed>, String> {
    Connected::read(account).ok_or("the phone does not stand in for this provider")?.webhooks(writing, base, now)
}

/// Any body as the provider of this account of the settings would sign it.
pub fn sign(account: &Value, body: String, base: &str, now: Timestamp) -> Result<Signed, String> {
    Connected::read(account).ok_or("the phone does not stand in for this provider")?.sign(body, base, now)
}

/// An account with its provider.
#[derive(Clone)]
pub(super) struct Connected {
    pub(super) account: Account,
    pub(super) provider: &'static dyn Provider,
}

impl fmt::Debug for Connected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let provider = self.provider.name();
        f.debug_struct("Connected").field("account", &self.account).field("provider", &provider).finish()
    }
}

impl Connected {
    /// `None`: the phone does not stand in for the provider.
    pub(super) fn read(settings: &Value) -> Option<Self> {
        let (account, name) = Account::read(settings)?;
        Some(Self { account, provider: provider(name)? })
    }

    /// For the page.
    pub(super) fn described(&self) -> Value {
        let Self { account, provider } = self;
        json!({ "name": account.name, "provider": provider.title(), "channels": provider.channels() })
    }

    /// The channel that is asked for, or the usual one.
    pub(super) fn channel(&self, asked: Option<Channel>) -> Result<Channel, String> {
        match (asked, self.provider.channels()) {
            (None, [first, ..]) => Ok(*first),
            (Some(channel), channels) if channels.contains(&channel) => Ok(channel),
            _ => Err(format!("{} has no such channel", self.provider.title())),
        }
    }

    pub(super) fn webhooks(&self, writing: &Writing, base: &str, now: Timestamp) -> Result<Vec<Signed>, String> {
        let channel = self.channel(writing.channel)?;
        check(writing)?;
        let url = self.url(base);
        let text = CustomerText {
            account: &self.account,
            channel,
            from: e164(&writing.from),
            to: e164(&writing.to),
            text: &writing.text,
            choice: writing.choice.as_ref(),
            url: &url,
            now,
        };
        self.provider.bodies(&text)?.into_iter().map(|body| self.sign(body, base, now)).collect()
    }

    fn sign(&self, body: String, base: &str, now: Timestamp) -> Result<Signed, String> {
        let url = self.url(base);
        let signature = self.provider.sign(Post { account: &self.account, url: &url, body, now })?;
        let mut headers = vec![("content-type", self.provider.content_type().to_owned())];
        headers.extend(signature.headers);
        Ok(Signed { path: self.path(), headers, body: signature.body })
    }

    fn path(&self) -> String {
        format!("/sms/{}/{}", self.provider.name(), self.account.name)
    }

    pub(super) fn url(&self, base: &str) -> String {
        format!("{}{}", base.trim_end_matches('/'), self.path())
    }
}

/// What can be texted.
fn check(writing: &Writing) -> Result<(), String> {
    if writing.text.trim().is_empty() {
        return Err("the text is empty".to_owned());
    }
    for (name, number) in [("from", &writing.from), ("to", &writing.to)] {
        let digits = number.strip_prefix('+').unwrap_or(number);
        // No country's code begins with a 0: that is how numbers are dialled inside a country.
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
        if !(3..=15).contains(&digits.len()) || !is_number {
            return Err(format!("{name} must be a telephone number with its country's code, such as +14155550123"));
        }
    }
    Ok(())
}
