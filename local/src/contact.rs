//! What a contact is, as the tests and the control API see it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::attachment::Attachment;

/// Content types of the events that Connect itself writes (connectparticipant service model; `constants.js` of
/// amazon-connect-chatjs).
pub(crate) mod event {
    pub(crate) const JOINED: &str = "application/vnd.amazonaws.connect.event.participant.joined";
    pub(crate) const LEFT: &str = "application/vnd.amazonaws.connect.event.participant.left";
    pub(crate) const TRANSFERRED: &str = "application/vnd.amazonaws.connect.event.transfer.succeeded";
    pub(crate) const ENDED: &str = "application/vnd.amazonaws.connect.event.chat.ended";
    pub(crate) const TYPING: &str = "application/vnd.amazonaws.connect.event.typing";
    pub(crate) const ACKNOWLEDGED: &str = "application/vnd.amazonaws.connect.event.connection.acknowledged";
    pub(crate) const DELIVERED: &str = "application/vnd.amazonaws.connect.event.message.delivered";
    pub(crate) const READ: &str = "application/vnd.amazonaws.connect.event.message.read";
    pub(crate) const METADATA: &str = "application/vnd.amazonaws.connect.event.message.metadata";
}

/// Who said or did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Role {
    /// A person at the contact centre.
    Agent,
    /// The person who started the chat.
    Customer,
    /// The flow.
    System,
    /// A bot of the flow.
    CustomBot,
    /// A manager who barged in.
    Supervisor,
}

/// Who may see an item (`MessageVisibility` of message streaming).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Visibility {
    /// The agents only.
    Agent,
    /// The customer only.
    Customer,
    /// Everybody.
    All,
}

/// The kinds of item that the stand-in makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ItemType {
    /// Something said.
    Message,
    /// Something that happened.
    Event,
    /// Receipts of a message.
    MessageMetadata,
    /// A file.
    Attachment,
}

/// A participant, as items name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Participant {
    /// Its id: the same throughout the chat.
    pub id: String,
    /// What the others see.
    pub display_name: String,
    /// Which side it is on.
    pub role: Role,
}

/// A message or an event of a chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// The item's id.
    pub id: String,
    /// ISO 8601 with milliseconds. No two items of the stand-in share one.
    pub absolute_time: String,
    /// Its kind.
    pub item_type: ItemType,
    /// The content type.
    pub content_type: String,
    /// The text, or an event's JSON.
    pub content: Option<String>,
    /// Its author; `None` for the chat itself (`chat.ended`).
    pub participant: Option<Participant>,
    /// The contact on which it was sent. After a transfer it differs from the initial one.
    pub contact_id: String,
    /// It comes from the past chat that a persistent chat continues.
    pub past: bool,
    /// Who may see it.
    pub visibility: Visibility,
    /// `MessageMetadata`.
    pub metadata: Option<Value>,
    /// `Attachments`.
    pub attachments: Vec<Attachment>,
}

impl Item {
    pub(crate) fn customer_sees(&self) -> bool {
        self.visibility != Visibility::Agent
    }

    /// As GetTranscript answers it (`Item` of the connectparticipant service model).
    pub(crate) fn transcript_json(&self) -> Value {
        let mut item = self.common_json();
        // "RelatedContactId … only populated for persistent chats when the transcript item is from the past chat
        // session", "ContactId … only when [it] is from the current chat session".
        item.insert((if self.past { "RelatedContactId" } else { "ContactId" }).to_owned(), json!(self.contact_id));
        Value::Object(item)
    }

    /// As websockets and SNS topics carry it.
    pub(crate) fn pushed_json(&self, initial_contact_id: &str) -> Value {
        let mut item = self.common_json();
        item.insert("InitialContactId".to_owned(), json!(initial_contact_id));
        item.insert("ContactId".to_owned(), json!(self.contact_id));
        Value::Object(item)
    }

    fn common_json(&self) -> Map<String, Value> {
        let mut item = Map::new();
        let mut put = |name: &str, value: Value| item.insert(name.to_owned(), value);
        put("AbsoluteTime", json!(self.absolute_time));
        put("Id", json!(self.id));
        put("Type", json!(self.item_type));
        // An attachment has none of its own.
        if !self.content_type.is_empty() {
            put("ContentType", json!(self.content_type));
        }
        if !self.attachments.is_empty() {
            put("Attachments", json!(self.attachments));
        }
        if let Some(content) = &self.content {
            put("Content", json!(content));
        }
        if let Some(participant) = &self.participant {
            put("ParticipantId", json!(participant.id));
            put("DisplayName", json!(participant.display_name));
            put("ParticipantRole", json!(participant.role));
        }
        if let Some(metadata) = &self.metadata {
            put("MessageMetadata", metadata.clone());
        }
        item
    }
}

/// Where a chat's items are streamed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Streaming {
    /// The `StreamingId` that StopContactStreaming takes.
    pub id: String,
    /// The SNS topic.
    pub topic_arn: String,
}

/// What started a chat.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Integration {
    /// `SourceId`: the customer.
    pub source_id: String,
    /// `DestinationId`: the contact centre's address.
    pub destination_id: String,
    /// `Subtype`.
    pub subtype: Option<String>,
}

/// A chat, at the moment it was asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Contact {
    /// The id of the contact that the chat is on now.
    pub id: String,
    /// The id it began with (`InitialContactId`).
    pub initial_id: String,
    /// All ids, the initial one first; one more with every transfer.
    pub ids: Vec<String>,
    /// `InstanceId`; `None` where SendChatIntegrationEvent started it: the destination decides.
    pub instance_id: Option<String>,
    /// `ContactFlowId`; `None` as above.
    pub flow_id: Option<String>,
    /// `Attributes`.
    pub attributes: BTreeMap<String, String>,
    /// `SegmentAttributes`, as written.
    pub segment_attributes: Option<Value>,
    /// `ParticipantDetails.DisplayName`.
    pub display_name: String,
    /// The customer's `ParticipantId`.
    pub participant_id: String,
    /// `ParticipantConfiguration.ResponseMode`.
    pub response_mode: Option<String>,
    /// `SupportedMessagingContentTypes`.
    pub supported_content_types: Vec<String>,
    /// `InitialMessage` as content type and content. It enters the transcript when the customer is connected.
    pub initial_message: Option<(String, String)>,
    /// `ClientToken`.
    pub client_token: Option<String>,
    /// `ChatDurationInMinutes`.
    pub duration_minutes: Option<u32>,
    /// `RelatedContactId`.
    pub related_contact_id: Option<String>,
    /// `CustomerId`.
    pub customer_id: Option<String>,
    /// `DisconnectOnCustomerExit`.
    pub disconnect_on_customer_exit: Vec<String>,
    /// The past contact that this persistent chat continues.
    pub continued_from: Option<String>,
    /// What it maps to, where SendChatIntegrationEvent started it.
    pub integration: Option<Integration>,
    /// Where its items are streamed to.
    pub streaming: Vec<Streaming>,
    /// The customer is connected: only then does the flow start.
    pub connected: bool,
    /// The agent who is in the chat.
    pub agent: Option<Participant>,
    /// The chat is over.
    pub ended: bool,
    /// Why: `CUSTOMER_DISCONNECT`, `AGENT_DISCONNECT`, `API`, `NEVER_CONNECTED`, `IDLE` or `EXPIRED`.
    pub end_reason: Option<String>,
    /// When the customer was last seen typing, where nothing was said since.
    pub typing_at: Option<String>,
    /// What was said and what happened, in order. Typing and receipts are not kept.
    pub transcript: Vec<Item>,
}

impl Contact {
    /// The first topic that its items are streamed to.
    pub fn streaming_arn(&self) -> Option<&str> {
        self.streaming.first().map(|streaming| streaming.topic_arn.as_str())
    }

    /// The texts of the transcript's messages, in order.
    pub fn messages(&self) -> Vec<&str> {
        self.transcript
            .iter()
            .filter(|item| item.item_type == ItemType::Message)
            .filter_map(|item| item.content.as_deref())
            .collect()
    }

    /// The files of the transcript that this side sent, in order.
    pub fn attachments(&self, role: Role) -> Vec<&Attachment> {
        let of = |item: &&Item| item.participant.as_ref().is_some_and(|author| author.role == role);
        self.transcript.iter().filter(of).flat_map(|item| &item.attachments).collect()
    }

    pub(crate) fn customer(&self) -> Participant {
        Participant { id: self.participant_id.clone(), display_name: self.display_name.clone(), role: Role::Customer }
    }
}
