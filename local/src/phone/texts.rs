//! What the phone knows: the accounts of the bridge's settings, and the texts that went and came.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    contract::Signed,
    sign::Connected,
    text::{Channel, Text, Writing},
};
use crate::{config::Bridge, versions::Versions};

/// Accounts and texts.
#[derive(Debug)]
pub(crate) struct Phone {
    bridge: Option<Bridge>,
    accounts: Vec<Connected>,
    texts: Vec<Text>,
    versions: Versions,
}

impl Phone {
    pub(crate) fn new(bridge: Option<Bridge>, versions: Versions) -> Self {
        let accounts = bridge.as_ref().and_then(|bridge| bridge.settings.get("accounts")).and_then(Value::as_array);
        let accounts = accounts.into_iter().flatten().filter_map(Connected::read).collect();
        Self { bridge, accounts, texts: Vec::new(), versions }
    }

    /// What the page asks first: where the bridge is, and which accounts there are.
    pub(crate) fn described(&self) -> Value {
        let accounts: Vec<_> = self.accounts.iter().map(Connected::described).collect();
        json!({ "functions": self.bridge.as_ref().map(|bridge| &bridge.functions), "accounts": accounts })
    }

    pub(crate) fn texts(&self) -> &[Text] {
        &self.texts
    }

    pub(crate) fn changed_since(&self, version: u64) -> Vec<Text> {
        self.texts.iter().filter(|text| text.changed > version).cloned().collect()
    }

    pub(crate) fn forget(&mut self) {
        self.texts.clear();
    }

    /// The functions' URL.
    pub(super) fn functions(&self) -> Option<&str> {
        Some(&self.bridge.as_ref()?.functions)
    }

    /// Where an account's webhooks are posted.
    pub(super) fn webhook(&self, account: &Connected) -> String {
        account.url(self.bridge.as_ref().map_or("", |bridge| &bridge.public_base_url))
    }

    /// The webhooks of a text, and how it travels.
    pub(crate) fn write(&self, writing: &Writing) -> Result<(Channel, Vec<Signed>), String> {
        let bridge = self.bridge.as_ref().ok_or("the stand-in was not told of a bridge")?;
        let account = self.account(&writing.account).ok_or("there is no such account")?;
        let webhooks = account.webhooks(writing, &bridge.public_base_url, Timestamp::now())?;
        Ok((account.channel(writing.channel)?, webhooks))
    }

    pub(super) fn account(&self, name: &str) -> Option<&Connected> {
        self.accounts.iter().find(|connected| connected.account.name == name)
    }

    pub(super) fn keep(&mut self, mut text: Text) {
        text.changed = self.versions.next();
        self.texts.push(text);
    }

    /// What the bridge answered to a text's webhook.
    pub(super) fn answered(&mut self, id: &str, status: u16) {
        let version = self.versions.next();
        if let Some(text) = self.texts.iter_mut().rev().find(|text| text.id == id) {
            text.status = Some(status);
            text.changed = version;
        }
    }
}
