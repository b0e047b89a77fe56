//! A provider's report on a text of ours, on its way from the webhook to `deliver-message`: what stands in the queue.

use serde::{Deserialize, Serialize};

use crate::{
    digest::hash,
    error::{Error, Result},
    inbound::{VERSION, once},
    settings::Account,
    sms::{providers::ProviderId, status::Status},
};

/// One status with all that its decision needs. It stands in a group of its own, so that it is never before or behind a
/// customer's message.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct InboundStatus {
    v: u8,
    /// Whose it is.
    pub provider: ProviderId,
    /// What was reported.
    pub status: Status,
    /// Hash of what the provider signed for this webhook only: see [`crate::inbound::Inbound::once`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub once: Option<String>,
}

impl InboundStatus {
    /// A status that the account's secret has proved.
    pub fn new(account: &Account, mut status: Status) -> Self {
        let provider = account.provider();
        let once = status.signed_once.take().map(|nonce| once(provider, &nonce));
        Self { v: VERSION, provider, status, once }
    }

    /// The text of a queue item.
    pub fn to_item(&self) -> Result<String> {
        serde_json::to_string(self).map_err(Error::internal)
    }

    /// Reads a queue item, if it is a status.
    pub fn from_item(item: &str) -> Option<Self> {
        serde_json::from_str(item).ok().filter(|item: &Self| item.v == VERSION)
    }

    /// The FIFO queue's `MessageGroupId`: that of the text.
    pub fn group_id(&self) -> String {
        hash(&["status", self.provider.as_str(), &self.status.message_id])
    }

    /// The FIFO queue's `MessageDeduplicationId`: a state of a text is one, however often it is reported.
    pub fn deduplication_id(&self) -> String {
        hash(&["status", self.provider.as_str(), &self.status.message_id, self.status.state.as_str()])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{settings::Settings, sms::status::State};

    fn item(id: &str, state: State) -> InboundStatus {
        let settings = json!({ "accounts": [{ "provider": "plivo", "auth_tokens": ["t"] }] }).to_string();
        let settings = Settings::from_json(settings.as_bytes()).unwrap();
        let mut status = Status::new(id, state);
        status.signed_once = Some("nonce".to_owned());
        status.accounts = vec!["plivo".to_owned()];
        InboundStatus::new(&settings.accounts[0], status)
    }

    #[test]
    fn an_item_comes_back_as_it_went_and_is_no_message() {
        let one = item("db3ce55a", State::Failed);
        let text = one.to_item().unwrap();
        let mut value: Value = serde_json::from_str(&text).unwrap();
        assert!(value.as_object_mut().unwrap().remove("once").unwrap().as_str().unwrap().len() == 64);
        assert_eq!(
            value,
            json!({ "v": 1, "provider": "plivo",
                    "status": { "message_id": "db3ce55a", "state": "failed", "meaning": "undelivered",
                                "accounts": ["plivo"] } })
        );
        assert_eq!(InboundStatus::from_item(&text).unwrap().to_item().unwrap(), text);
        assert!(crate::inbound::Inbound::from_item(&text).is_err());
        assert!(InboundStatus::from_item(&text.replace(r#""v":1"#, r#""v":2"#)).is_none());
        assert!(InboundStatus::from_item(r#"{"v":1,"flush":"key"}"#).is_none());
    }

    #[test]
    fn a_text_has_one_group_and_each_state_an_id() {
        let (one, two, other) = (item("1", State::Delivered), item("1", State::Read), item("2", State::Delivered));
        assert_eq!(one.group_id(), two.group_id());
        assert_ne!(one.deduplication_id(), two.deduplication_id());
        assert_ne!(one.group_id(), other.group_id());
        assert!(one.group_id() != one.deduplication_id() && one.group_id().len() == 64);
    }
}
