//! What the settings say of one of our addresses.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What one of our addresses has for itself: from the settings, and with each message in the queue, since `deliver-message` reads no settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Number {
    /// The flow of new chats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact_flow_id: Option<String>,
    /// The destination on the `integration-event` route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_id: Option<String>,
    /// What an agent sees of a customer without a profile name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Contact attributes of new chats.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

impl Number {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
