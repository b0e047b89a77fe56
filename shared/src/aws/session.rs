//! A customer's chat session with Connect, as far as it is kept between two messages: the contact and the tokens with
//! which the customer's participant speaks in it.

use crate::{deadline::now, secret::Secret, sms::message::Channel};

/// A customer's last chat. Not `Debug`.
#[derive(Clone, Default)]
pub struct Conversation {
    /// Its `InitialContactId`, which transfers leave as it is. It may have ended since.
    pub contact_id: Option<String>,
    /// What new connection tokens are got with. None where `integration-event` started the chat.
    pub participant_token: Option<Secret>,
    /// What messages are sent with.
    pub connection: Option<Connection>,
    /// Part of every start's token: raised when a start's token turns out to be spent on a chat that has ended.
    pub generation: i64,
    /// Connect refused to go on from this chat (`PERSISTENT_CHAT`): the next one is a plain one.
    pub plain: bool,
    /// Set from the start of the chat until the customer is connected to it.
    pub opening: Option<Opening>,
    /// The network of the customer's last message: one number may be texted by SMS and by WhatsApp, and replies go back the
    /// way that the last message came.
    pub channel: Option<Channel>,
    /// The `SourceId` of the open chat, where `integration-event` started it.
    pub event_source: Option<String>,
    /// The groups of all ids that the customer is known by, where there are several ([`crate::store::identities`]).
    pub known_as: Vec<String>,
    /// The menu of this chat that was last answered ([`crate::choices::Menu::id`]): it takes no second answer by text.
    pub answered: Option<String>,
    /// Since when the customer has opted out, where that is on record for some of these ids only. Not part of the record.
    pub opt_out_to_copy: Option<i64>,
}

impl Conversation {
    /// Whether the chat is open, as far as it is known.
    pub fn is_open(&self) -> bool {
        self.participant_token.is_some() || self.event_source.is_some()
    }

    /// The chat has ended: the customer's next message starts another one.
    pub fn close(&mut self) {
        self.participant_token = None;
        self.connection = None;
        self.opening = None;
        self.event_source = None;
    }
}

/// A chat that was started, and to which the customer is not yet connected.
#[derive(Clone)]
pub struct Opening {
    /// The message that it was started with ([`crate::inbound::Inbound::deduplication_id`]).
    pub message: String,
    /// The chat before it.
    pub last_contact_id: Option<String>,
}

/// A connection token.
#[derive(Clone)]
pub struct Connection {
    /// The token.
    pub token: Secret,
    /// Until when it is good, in Unix seconds, if Connect said so.
    pub until: Option<i64>,
}

impl Connection {
    /// Whether its time is over, or nearly so.
    pub fn is_over(&self) -> bool {
        self.until.is_some_and(|until| until <= now() + 60)
    }
}
