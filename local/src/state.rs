//! Everything the stand-in knows: chats, their participants, tokens, transcripts and listeners.
//!
//! The rules of what happens in a chat live here; what a request may look like lives in `connect` and `participant`.

mod connections;
mod control;
mod token;

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use uuid::Uuid;

use token::rfc3339;
pub(crate) use token::{in_future, opaque_token};

use crate::{
    attachment::{Attachment, Stored},
    config::Config,
    contact::{Contact, Integration, Item, ItemType, Participant, Role, Streaming, Visibility, event},
    error::{ApiError, Refused},
    operation::Operation,
    quota::Bucket,
    streaming::{StreamedItem, Streams},
    versions::Versions,
};

/// Topics that one contact may stream to (administrator guide, "Enable real-time chat message streaming").
const STREAMS_PER_CONTACT: usize = 2;

/// A chat's place in [`State`]: it outlives transfers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ChatKey(usize);

/// A chat and what only the service knows of it.
#[derive(Debug)]
pub(crate) struct Chat {
    pub(crate) contact: Contact,
    pub(crate) participant_token: String,
    /// Connection tokens, and until when they are good.
    connections: HashMap<String, Instant>,
    /// Websocket URLs' tokens, and until when they can be opened.
    websocket_tokens: HashMap<String, Instant>,
    sockets: Vec<Socket>,
    /// What was answered to a ClientToken.
    pub(crate) replies: HashMap<(Operation, String), Value>,
    /// Where a NextToken of GetTranscript goes on.
    pub(crate) pages: HashMap<String, Page>,
    started: Instant,
    active: Instant,
    /// The version of the last change of [`contact`](Self::contact).
    changed: u64,
}

/// Which way to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Towards the newest.
    Forward,
    /// Towards the oldest.
    Backward,
}

/// Where a page begins: items before (backward) or from (forward) this index. Items are only ever appended, so an
/// index keeps its meaning while the chat goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page {
    pub(crate) direction: Direction,
    pub(crate) edge: usize,
}

/// An open websocket of the customer.
#[derive(Debug)]
struct Socket {
    id: Uuid,
    frames: mpsc::UnboundedSender<String>,
    subscribed: bool,
}

/// An item before it has an id and a time.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) item_type: ItemType,
    pub(crate) content_type: String,
    pub(crate) content: Option<String>,
    pub(crate) participant: Option<Participant>,
    pub(crate) visibility: Visibility,
    pub(crate) metadata: Option<Value>,
    pub(crate) attachments: Vec<Attachment>,
}

impl Draft {
    pub(crate) fn message(participant: Participant, content_type: &str, content: &str) -> Self {
        Self {
            item_type: ItemType::Message,
            content_type: content_type.to_owned(),
            content: Some(content.to_owned()),
            participant: Some(participant),
            visibility: Visibility::All,
            metadata: None,
            attachments: Vec::new(),
        }
    }

    pub(crate) fn event(participant: Option<Participant>, content_type: &str) -> Self {
        Self {
            item_type: ItemType::Event,
            content_type: content_type.to_owned(),
            content: None,
            participant,
            visibility: Visibility::All,
            metadata: None,
            attachments: Vec::new(),
        }
    }
}

/// All of it.
#[derive(Debug)]
pub(crate) struct State {
    config: Config,
    websocket_base: String,
    pub(crate) attachments_base: String,
    pub(crate) attachments: HashMap<String, Stored>,
    chats: Vec<Chat>,
    by_contact_id: HashMap<String, ChatKey>,
    by_client_token: HashMap<(String, String), ChatKey>,
    by_participant_token: HashMap<String, ChatKey>,
    by_connection_token: HashMap<String, ChatKey>,
    by_websocket_token: HashMap<String, ChatKey>,
    streams: Streams,
    bucket: Option<Bucket>,
    last_millisecond: i64,
    versions: Versions,
    /// How often everything was forgotten.
    epoch: u64,
}

impl State {
    pub(crate) fn new(config: Config, port: u16, versions: Versions) -> Self {
        Self {
            bucket: config.limits.start_rate.map(Bucket::new),
            config,
            websocket_base: format!("ws://127.0.0.1:{port}/websocket/"),
            attachments_base: format!("http://127.0.0.1:{port}/_attachments/"),
            attachments: HashMap::new(),
            chats: Vec::new(),
            by_contact_id: HashMap::new(),
            by_client_token: HashMap::new(),
            by_participant_token: HashMap::new(),
            by_connection_token: HashMap::new(),
            by_websocket_token: HashMap::new(),
            streams: Streams::default(),
            last_millisecond: 0,
            versions,
            epoch: 0,
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Forgets every chat. Subscribers of the stream stay.
    pub(crate) fn forget(&mut self) {
        self.chats.clear();
        self.by_contact_id.clear();
        self.by_client_token.clear();
        self.by_participant_token.clear();
        self.by_connection_token.clear();
        self.by_websocket_token.clear();
        self.attachments.clear();
        self.epoch += 1;
        self.versions.next();
    }

    /// How often everything was forgotten, and the contacts that have changed since a version.
    pub(crate) fn changed_since(&self, version: u64) -> (u64, Vec<Contact>) {
        let changed = self.chats.iter().filter(|chat| chat.changed > version).map(|chat| chat.contact.clone());
        (self.epoch, changed.collect())
    }

    pub(crate) fn streams(&mut self) -> &mut Streams {
        &mut self.streams
    }

    // Finding a chat.

    pub(crate) fn chat(&self, key: ChatKey) -> Option<&Chat> {
        self.chats.get(key.0)
    }

    pub(crate) fn chat_mut(&mut self, key: ChatKey) -> Option<&mut Chat> {
        self.chats.get_mut(key.0)
    }

    pub(crate) fn chats(&self) -> impl Iterator<Item = &Chat> {
        self.chats.iter()
    }

    /// By any contact id of the chain.
    pub(crate) fn find(&self, contact_id: &str) -> Option<ChatKey> {
        self.by_contact_id.get(contact_id).copied()
    }

    pub(crate) fn find_started(&self, instance_id: &str, client_token: &str) -> Option<ChatKey> {
        self.by_client_token.get(&(instance_id.to_owned(), client_token.to_owned())).copied()
    }

    /// The open chat of an integration's identifiers: there is at most one.
    pub(crate) fn find_integration(&self, integration: &Integration) -> Option<ChatKey> {
        self.chats
            .iter()
            .position(|chat| !chat.contact.ended && chat.contact.integration.as_ref() == Some(integration))
            .map(ChatKey)
    }

    /// The chat of a participant token that is still good: "for the lifetime of the participant".
    pub(crate) fn find_participant(&self, token: &str) -> Option<ChatKey> {
        let key = *self.by_participant_token.get(token)?;
        self.chat(key).filter(|chat| !chat.contact.ended).map(|_| key)
    }

    /// The chat of a connection token that has not expired. The chat may have ended.
    pub(crate) fn find_connection(&self, token: &str) -> Option<ChatKey> {
        let key = *self.by_connection_token.get(token)?;
        let expiry = *self.chat(key)?.connections.get(token)?;
        (Instant::now() < expiry).then_some(key)
    }

    // Quotas.

    /// Spends one call of the rate that starting chats and streams share.
    pub(crate) fn spend_start_rate(&mut self) -> Result<(), ApiError> {
        let allowed = self.bucket.as_mut().is_none_or(Bucket::take);
        if allowed { Ok(()) } else { Err(ApiError::too_many_requests()) }
    }

    fn check_concurrent_chats(&self) -> Result<(), ApiError> {
        let Some(quota) = self.config.limits.concurrent_chats else { return Ok(()) };
        if self.chats.iter().filter(|chat| !chat.contact.ended).count() >= quota {
            return Err(ApiError::limit_exceeded("The limit of concurrent active chats has been reached"));
        }
        Ok(())
    }

    // What happens in a chat.

    /// Opens a chat. Its ids and tokens are made here.
    pub(crate) fn open(&mut self, mut contact: Contact) -> Result<ChatKey, ApiError> {
        self.check_concurrent_chats()?;
        let key = ChatKey(self.chats.len());
        let id = Uuid::new_v4().to_string();
        contact.id.clone_from(&id);
        contact.initial_id.clone_from(&id);
        contact.ids = vec![id.clone()];
        contact.participant_id = Uuid::new_v4().to_string();
        let participant_token = opaque_token();
        self.by_contact_id.insert(id, key);
        self.by_participant_token.insert(participant_token.clone(), key);
        if let (Some(instance_id), Some(client_token)) = (&contact.instance_id, &contact.client_token) {
            self.by_client_token.insert((instance_id.clone(), client_token.clone()), key);
        }
        let now = Instant::now();
        self.chats.push(Chat {
            contact,
            participant_token,
            connections: HashMap::new(),
            websocket_tokens: HashMap::new(),
            sockets: Vec::new(),
            replies: HashMap::new(),
            pages: HashMap::new(),
            started: now,
            active: now,
            changed: self.versions.next(),
        });
        Ok(key)
    }

    /// The customer is connected, and the flow starts: "the flow does not start until the connection is
    /// acknowledged". So this is when an `InitialMessage` is said; it is the chat's first item.
    pub(crate) fn connect(&mut self, key: ChatKey) {
        let Some(chat) = self.chat_mut(key) else { return };
        if chat.contact.connected || chat.contact.ended {
            return;
        }
        chat.contact.connected = true;
        let customer = chat.contact.customer();
        if let Some((content_type, content)) = chat.contact.initial_message.clone() {
            self.add(key, Draft::message(customer.clone(), &content_type, &content));
        }
        self.add(key, Draft::event(Some(customer), event::JOINED));
    }

    /// Adds an item: to the transcript, to the customer's websockets where it may be seen, and to the streams.
    pub(crate) fn add(&mut self, key: ChatKey, draft: Draft) -> Option<Item> {
        let absolute_time = self.next_time();
        let chat = self.chats.get_mut(key.0)?;
        chat.active = Instant::now();
        chat.changed = self.versions.next();
        let item = Item {
            id: Uuid::new_v4().to_string(),
            absolute_time,
            item_type: draft.item_type,
            content_type: draft.content_type,
            content: draft.content,
            participant: draft.participant,
            contact_id: chat.contact.id.clone(),
            past: false,
            visibility: draft.visibility,
            metadata: draft.metadata,
            attachments: draft.attachments,
        };
        // GetTranscript API reference: of events, a transcript holds those of the chat's course, so no typing and no receipts.
        if item.item_type != ItemType::MessageMetadata
            && ![event::TYPING, event::ACKNOWLEDGED].contains(&item.content_type.as_str())
        {
            chat.contact.transcript.push(item.clone());
        }
        if item.participant.as_ref().is_some_and(|author| author.role == Role::Customer) {
            let is_typing = item.content_type == event::TYPING;
            chat.contact.typing_at = is_typing.then(|| item.absolute_time.clone());
        }
        if item.customer_sees() {
            let frame = json!({
                "topic": "aws/chat",
                "contentType": "application/json",
                "content": item.pushed_json(&chat.contact.initial_id).to_string(),
            })
            .to_string();
            chat.sockets.retain(|socket| !socket.subscribed || socket.frames.send(frame.clone()).is_ok());
        }
        for streaming in &chat.contact.streaming {
            let streamed = StreamedItem::new(&chat.contact, &item, &streaming.topic_arn, &self.config.account_id);
            self.streams.publish(&streamed);
        }
        Some(item)
    }

    /// An agent takes the chat. There is none to take before the customer is connected.
    pub(crate) fn join(&mut self, key: ChatKey) -> Result<Participant, Refused> {
        let chat = self.open_chat(key)?;
        if !chat.contact.connected {
            return Err(Refused::NotConnected);
        }
        if let Some(agent) = &chat.contact.agent {
            return Ok(agent.clone());
        }
        let agent = Participant { id: Uuid::new_v4().to_string(), display_name: "Agent".to_owned(), role: Role::Agent };
        chat.contact.agent = Some(agent.clone());
        self.add(key, Draft::event(Some(agent.clone()), event::JOINED));
        Ok(agent)
    }

    /// The agent hands the chat on: a new contact of the same chain, with no agent yet.
    pub(crate) fn transfer(&mut self, key: ChatKey) -> Result<String, Refused> {
        let agent = self.join(key)?;
        let id = Uuid::new_v4().to_string();
        self.add(key, Draft::event(Some(agent.clone()), event::LEFT));
        let chat = self.open_chat(key)?;
        chat.contact.agent = None;
        chat.contact.id.clone_from(&id);
        chat.contact.ids.push(id.clone());
        self.by_contact_id.insert(id.clone(), key);
        self.add(key, Draft::event(Some(agent), event::TRANSFERRED));
        Ok(id)
    }

    /// The chat is over. Whoever ended it leaves first; `chat.ended` has no author.
    pub(crate) fn end(&mut self, key: ChatKey, reason: &str, by: Option<Participant>) {
        let Some(chat) = self.chat_mut(key) else { return };
        if chat.contact.ended {
            return;
        }
        chat.contact.ended = true;
        chat.contact.end_reason = Some(reason.to_owned());
        if let Some(participant) = by {
            self.add(key, Draft::event(Some(participant), event::LEFT));
        }
        self.add(key, Draft::event(None, event::ENDED));
    }

    /// Ends what time has ended.
    pub(crate) fn sweep(&mut self) {
        let due: Vec<_> = self
            .chats
            .iter()
            .enumerate()
            .filter_map(|(index, chat)| Some((ChatKey(index), time_is_up(chat, &self.config)?)))
            .collect();
        for (key, reason) in due {
            self.end(key, reason, None);
        }
    }

    fn open_chat(&mut self, key: ChatKey) -> Result<&mut Chat, Refused> {
        let chat = self.chats.get_mut(key.0).ok_or(Refused::UnknownContact)?;
        if chat.contact.ended { Err(Refused::Ended) } else { Ok(chat) }
    }

    // Streaming.

    /// Streams a chat to one more topic.
    pub(crate) fn start_streaming(&mut self, key: ChatKey, topic_arn: &str) -> Result<String, ApiError> {
        let chat = self.chat_mut(key).ok_or_else(|| ApiError::not_found("The contact does not exist"))?;
        if chat.contact.streaming.len() >= STREAMS_PER_CONTACT {
            return Err(ApiError::limit_exceeded("The contact has two streaming endpoints"));
        }
        let id = Uuid::new_v4().to_string();
        chat.contact.streaming.push(Streaming { id: id.clone(), topic_arn: topic_arn.to_owned() });
        Ok(id)
    }

    // Time.

    /// Now, but never the same twice: what is sorted by `AbsoluteTime` has one order.
    fn next_time(&mut self) -> String {
        let now = Timestamp::now();
        self.last_millisecond = now.as_millisecond().max(self.last_millisecond + 1);
        rfc3339(Timestamp::from_millisecond(self.last_millisecond).unwrap_or(now))
    }
}

fn time_is_up(chat: &Chat, config: &Config) -> Option<&'static str> {
    /// "defaults to 25 hour" (StartChatContact API reference).
    const DEFAULT_MINUTES: u64 = 25 * 60;
    let contact = &chat.contact;
    let duration = Duration::from_secs(60 * contact.duration_minutes.map_or(DEFAULT_MINUTES, u64::from));
    if contact.ended {
        None
    } else if !contact.connected && chat.started.elapsed() >= config.connect_within {
        Some("NEVER_CONNECTED")
    } else if chat.started.elapsed() >= duration {
        Some("EXPIRED")
    } else if contact.connected && config.idle_after.is_some_and(|limit| chat.active.elapsed() >= limit) {
        Some("IDLE")
    } else {
        None
    }
}
