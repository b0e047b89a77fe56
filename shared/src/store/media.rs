//! What is remembered of a message whose words were said, and whose media come after them: in the message's own record.

use serde::{Deserialize, Serialize};

use crate::{
    aws::session::Conversation,
    deadline::{Deadline, now},
    error::{Error, Result},
    inbound::Inbound,
    store::{
        conversations::{REMEMBERED, Store, WORDS_SAID, message_key, put_contact},
        identities,
        table::{Item, Write},
        window,
    },
};

/// How far a message's media are, whose words were said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct MediaProgress {
    /// The chat that they go into.
    pub contact_id: String,
    /// The medium that is next.
    pub at: usize,
    /// Its bytes are stored under this id: all it needs is to be completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachment_id: Option<String>,
    /// How often it could not be fetched,
    #[serde(default)]
    pub fetches: u32,
    /// and when it could not the first time, in Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
    /// How often it could not be stored: then another upload is started.
    #[serde(default)]
    pub uploads: u32,
}

impl MediaProgress {
    /// The media go into this chat. What was stored for another one is of no use in it.
    pub fn into_chat(self, contact_id: &str) -> Self {
        if self.contact_id == contact_id {
            return self;
        }
        Self { contact_id: contact_id.to_owned(), attachment_id: None, uploads: 0, ..self }
    }

    /// The next medium's turn.
    pub fn advance(&mut self) {
        *self = Self { contact_id: std::mem::take(&mut self.contact_id), at: self.at + 1, ..Self::default() };
    }
}

impl Store {
    /// Records that the message's words were said, how far its media are, and what is new of the conversation: one call.
    pub async fn words_said(
        &self,
        inbound: &Inbound,
        media: &MediaProgress,
        conversation: Option<&Conversation>,
        deadline: Deadline,
    ) -> Result<()> {
        let media = serde_json::to_string(media).map_err(Error::internal)?;
        let said = Item::default().text("state", WORDS_SAID).text("media", media).until(now() + REMEMBERED);
        let mut writes = vec![Write::put(message_key(inbound), said)];
        writes.extend(window::opened_by(inbound));
        if let Some(conversation) = conversation {
            writes.extend(identities::put(&inbound.group_id(), conversation));
            writes.extend(conversation.contact_id.as_deref().map(|contact| put_contact(inbound, contact)));
        }
        self.table.write(&writes, deadline).await.map(drop)
    }
}
