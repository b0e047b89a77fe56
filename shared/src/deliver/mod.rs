//! What to do with a customer's message: decisions over what is remembered and Connect, no HTTP.
//!
//! A message is delivered once, however often it comes: what was done is remembered, and what was begun is begun again
//! by the same tokens, which Connect answers with the original contact or message. So this can stop between any two calls
//! and be taken up by the next delivery. The exception is the `integration-event` route, whose call has no token: it is
//! recorded first and never repeated.
//!
//! Messages of one customer come one after the other: the FIFO queue sees to that ([`Conversations::deliver_in_turn`]),
//! or a lease ([`Conversations::deliver`]).

mod act;
mod choice;
mod concat;
mod contact;
mod event;
mod media;
mod opt_out;
mod status;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use aws_config::SdkConfig;
use choice::Saying;
use concat::PARTS_WAIT;
pub use concat::{Collected, Flush};
use contact::{attributes, content_types, display_name};
pub use status::Applied;
use tokio::time::Instant;

use crate::{
    aws::{
        connect::Connect,
        participant::{Participants, Said},
        session::{Conversation, Opening},
    },
    chat::{Chat, Content, Persistent, TEXT_PLAIN},
    config::{self, ConnectRoute, Delivery, Receipts},
    deadline::Deadline,
    error::{Error, Kind, Result},
    inbound::Inbound,
    queue::{batch::Receipt, pace::Starts},
    secret::Secret,
    sms::message::{Channel, OptOut},
    store::{
        conversations::{Delivered, Known, Store},
        media::MediaProgress,
    },
    telemetry::Report,
};

/// How often one delivery starts a chat that turns out to have ended.
const STARTS: u32 = 2;

/// Brings customers' messages to Connect.
pub struct Conversations {
    connect: Connect,
    participants: Participants,
    store: Store,
    config: Delivery,
    parts_wait: Duration,
    denied: Mutex<HashMap<String, Instant>>,
    /// Where a queue is behind: what there is no start for goes back to it.
    starts: Option<Mutex<Starts>>,
    made: Instant,
    /// Where media become attachments of the chat: else they are words.
    attachments: Option<media::Attachments>,
}

impl Conversations {
    /// Makes the clients; no call is made. Conversations are kept where `config` says.
    pub fn new(sdk: &SdkConfig, config: Delivery) -> Self {
        Self {
            connect: Connect::new(sdk, &config.instance.id),
            participants: Participants::new(sdk),
            store: Store::new(sdk, config.conversations_table.as_deref()),
            config,
            parts_wait: PARTS_WAIT,
            denied: Mutex::default(),
            starts: None,
            made: Instant::now(),
            attachments: None,
        }
    }

    /// Media become attachments of the chat, if there is a configuration for it.
    #[must_use]
    pub fn with_attachments(self, sdk: &SdkConfig, config: Option<config::Attachments>) -> Self {
        Self { attachments: config.map(|config| media::Attachments::new(sdk, config)), ..self }
    }

    /// For work that comes from a queue: each call is tried once, and so many chats are started a second at most.
    #[must_use]
    pub fn behind_a_queue(self, starts_per_second: u32) -> Self {
        Self {
            connect: self.connect.with_one_try(),
            participants: self.participants.with_one_try(),
            starts: Some(Mutex::new(Starts::new(starts_per_second))),
            ..self
        }
    }

    /// Waits this long for missing parts.
    #[must_use]
    pub fn with_parts_wait(mut self, wait: Duration) -> Self {
        self.parts_wait = wait;
        self
    }

    /// What the agent is told of what became of replies.
    pub fn receipts(&self) -> Receipts {
        self.config.receipts
    }

    /// What is remembered.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Delivers one message where no FIFO queue keeps a customer's messages in order: it waits for the conversation's lease.
    /// Parts of long messages are delivered as they come, since there is no flush item without a queue.
    pub async fn deliver(&self, inbound: &Inbound, deadline: Deadline, report: &mut Report) -> Result<()> {
        let lease = self.store.lease(inbound, deadline).await?;
        let receipt = Receipt { item: "direct", again: None, age: Duration::ZERO };
        let ordinary = self.ordinary(inbound, deadline).await?;
        let inbound = ordinary.as_ref().unwrap_or(inbound);
        let outcome = self.deliver_in_turn(inbound, receipt, deadline, report).await;
        // The lease ends by itself; until then the customer's next message waits.
        if let Err(error) = self.store.release(lease, deadline).await {
            tracing::warn!(?error, "a lease was not given back");
        }
        outcome
    }

    /// Delivers one message of a customer of whom no other one is being delivered.
    pub async fn deliver_in_turn(
        &self,
        inbound: &Inbound,
        receipt: Receipt<'_>,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<()> {
        if let Some(once) = &inbound.once
            && !self.store.first_use(&inbound.deduplication_id(), once, deadline).await?
        {
            return Err(Error::new(Kind::Unverified, "What was signed for one message came with another"));
        }
        if let Some(act) = inbound.message.act {
            return self.act(inbound, act, receipt, deadline, report).await;
        }
        // HELP, which the provider has answered, is a message like any other.
        if let Some(request @ (OptOut::Stop | OptOut::Start)) = inbound.message.opt_out {
            return self.opt_out(inbound, request, deadline, report).await;
        }
        // The event API knows SMS and WhatsApp only.
        if self.config.route == ConnectRoute::IntegrationEvent && inbound.message.channel != Channel::Rcs {
            let (mut event, joined) = self.event(inbound, deadline).await?;
            if !self.is_denied(&event.destination_id) {
                match self.send_event(inbound, &mut event, joined, receipt, deadline, report).await? {
                    None => return Ok(()),
                    Some(denied) => {
                        report.note("integration events are denied: the chat route is taken");
                        report.count("IntegrationEventDenied", 1);
                        tracing::warn!(
                            cause = std::error::Error::source(&denied).map(ToString::to_string),
                            "integration events are denied: the chat route is taken for ten minutes"
                        );
                        self.remember_denied(event.destination_id);
                    }
                }
            }
        }
        self.chat(inbound, receipt, deadline, report).await
    }

    // The chat route.

    async fn chat(
        &self,
        inbound: &Inbound,
        receipt: Receipt<'_>,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<()> {
        let mut known = self.store.open(inbound, deadline).await?;
        match known.delivery {
            Delivered::Yes => return Self::duplicate(report),
            Delivered::Perhaps => return Err(perhaps()),
            Delivered::No => (),
        }
        let connection = known.conversation.connection.as_ref().map(|connection| connection.token.clone());
        if let Some(opening) = known.conversation.opening.clone() {
            report.note("the chat had been started");
            let is_opted_out = known.is_opted_out;
            let (conversation, media) = (&mut known.conversation, &mut known.media);
            let is_connected = self.connect(inbound, conversation, deadline, report).await?;
            if is_connected && opening.message == inbound.deduplication_id() {
                let started = self.started(inbound, conversation, is_opted_out, media, deadline, report);
                if started.await? == Said::Yes {
                    return Ok(());
                }
                self.chat_died(inbound, conversation, deadline, report).await?;
            }
        }
        if known.conversation.participant_token.is_some() {
            match self.go_on(inbound, &mut known, connection.as_ref(), receipt, deadline, report).await? {
                Said::Yes => {
                    report.contact_id = known.conversation.contact_id;
                    report.count("MessageDelivered", 1);
                    return Ok(());
                }
                Said::No => report.note("the chat had ended"),
            }
        }
        self.start(inbound, known.conversation, known.is_opted_out, known.media, deadline, report).await
    }

    /// Brings the message into the open chat. `connection` is the token on record.
    async fn go_on(
        &self,
        inbound: &Inbound,
        known: &mut Known,
        connection: Option<&Secret>,
        receipt: Receipt<'_>,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<Said> {
        let conversation = &mut known.conversation;
        let is_same_channel = conversation.channel.replace(inbound.message.channel) == conversation.channel;
        let saying = if known.media.is_some() {
            Saying::default()
        } else {
            let (contact_id, answered) = (conversation.contact_id.as_deref(), conversation.answered.as_deref());
            Saying::of(inbound, &known.menus, contact_id, answered, receipt, self.in_words(inbound))
        };
        if self.say(inbound, conversation, &saying, deadline, report).await? == Said::No {
            return Ok(Said::No);
        }
        let is_new = conversation.connection.as_ref().map(|connection| &connection.token) != connection;
        let is_answer = saying.menu_id.is_some();
        conversation.answered = saying.menu_id.or(conversation.answered.take());
        let is_changed = is_new || !is_same_channel || known.is_to_join || is_answer;
        self.finish(inbound, conversation, is_changed, &mut known.media, deadline, report).await
    }

    /// A new chat, whose first message this is.
    ///
    /// What Connect gave for it is on record before the customer is connected, so that no later delivery starts it again. A
    /// delivery that was cut short before that record brings the original contact back by its token. Where that one has ended
    /// meanwhile its token is spent, and the generation is raised, before anything else is done, for another one.
    async fn start(
        &self,
        inbound: &Inbound,
        mut conversation: Conversation,
        is_opted_out: bool,
        mut media: Option<MediaProgress>,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<()> {
        let mut starts = 0;
        while starts < STARTS {
            self.take_start()?;
            let last = conversation.contact_id.clone().filter(|_| self.config.persistent_chat && !conversation.plain);
            let token = start_token(inbound, conversation.generation, last.as_deref(), media.is_some());
            let mut chat = self.new_chat(inbound, self.words(inbound, media.as_ref()));
            chat.persistent = last.map(|source_contact_id| Persistent {
                // "provide the initialContactId of the past ended chat session" (administrator guide).
                rehydration_type: "ENTIRE_PAST_SESSION".to_owned(),
                source_contact_id,
            });
            let outcome = self.connect.start_chat(&chat, &token, deadline, report).await;
            self.tell_starts(outcome.as_ref().err());
            let started = match outcome {
                Ok(started) => started,
                Err(error)
                    if chat.persistent.is_some()
                        && matches!(error.kind(), Kind::ConnectRejected | Kind::ConnectMisconfigured) =>
                {
                    report.note("the last chat could not be gone on from");
                    report.count("PersistentChatRefused", 1);
                    // On record first: another delivery of this message must not try again, and be taken at its word,
                    // after a plain chat was started.
                    conversation.plain = true;
                    self.store.save(inbound, &conversation, deadline).await?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            starts += 1;
            conversation = Conversation {
                opening: Some(Opening {
                    message: inbound.deduplication_id(),
                    last_contact_id: conversation.contact_id.take(),
                }),
                contact_id: Some(started.contact_id),
                participant_token: Some(started.participant_token.into()),
                connection: None,
                channel: Some(inbound.message.channel),
                event_source: None,
                answered: None,
                ..conversation
            };
            self.store.save(inbound, &conversation, deadline).await?;
            if self.connect(inbound, &mut conversation, deadline, report).await? {
                let started = self.started(inbound, &mut conversation, is_opted_out, &mut media, deadline, report);
                if started.await? == Said::Yes {
                    return Ok(());
                }
                self.chat_died(inbound, &mut conversation, deadline, report).await?;
            }
        }
        Err(Error::new(Kind::ChatEnded, "New chats end before the customer is in them"))
    }

    /// Takes a start from the bucket, where there is one.
    fn take_start(&self) -> Result<()> {
        let Some(starts) = &self.starts else { return Ok(()) };
        let taken = starts.lock().unwrap_or_else(PoisonError::into_inner).take(self.made.elapsed());
        taken.map_err(|wait| Error::new(Kind::StartsPaced, "The chat waits for its start").retry_after(wait))
    }

    /// Tells the bucket what became of a start.
    fn tell_starts(&self, error: Option<&Error>) {
        let Some(starts) = &self.starts else { return };
        let mut starts = starts.lock().unwrap_or_else(PoisonError::into_inner);
        match error.map(Error::kind) {
            None => starts.succeeded(),
            Some(Kind::Throttled | Kind::ChatQuotaExceeded) => starts.refused(self.made.elapsed()),
            Some(_) => (),
        }
    }

    /// Connects the customer to a chat that was started; `false`: it has ended since, which is on record then.
    async fn connect(
        &self,
        inbound: &Inbound,
        conversation: &mut Conversation,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<bool> {
        let Some(token) = conversation.participant_token.clone() else { return Ok(false) };
        match self.participants.connect(token.expose(), deadline, report).await {
            Ok(connection) => {
                conversation.connection = Some(connection);
                conversation.opening = None;
                conversation.plain = false;
                Ok(true)
            }
            // Nobody will be in that chat: the customer's next message starts another one.
            Err(error) if matches!(error.kind(), Kind::ChatEnded | Kind::ConnectRejected) => {
                report.note("the chat that was started takes no connection");
                conversation.contact_id = conversation.opening.take().and_then(|opening| opening.last_contact_id);
                conversation.participant_token = None;
                conversation.generation += 1;
                self.store.save(inbound, conversation, deadline).await?;
                if error.kind() == Kind::ChatEnded { Ok(false) } else { Err(error) }
            }
            Err(error) => Err(error),
        }
    }

    /// The customer is in the new chat, which began with this message.
    async fn started(
        &self,
        inbound: &Inbound,
        conversation: &mut Conversation,
        is_opted_out: bool,
        media: &mut Option<MediaProgress>,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<Said> {
        if is_opted_out {
            let note = "[opted out] The customer wants no messages: replies are not delivered.";
            let token = inbound.client_token(&["opted out"]);
            self.participants.say(conversation, note, &token, deadline, report).await?;
        }
        let said = self.finish(inbound, conversation, true, media, deadline, report).await?;
        report.contact_id.clone_from(&conversation.contact_id);
        report.count("ConversationStarted", 1);
        if said == Said::Yes {
            report.count("MessageDelivered", 1);
        }
        Ok(said)
    }

    fn duplicate(report: &mut Report) -> Result<()> {
        report.note("delivered before");
        report.count("DuplicateMessage", 1);
        Ok(())
    }

    fn new_chat(&self, inbound: &Inbound, words: Option<String>) -> Chat {
        let instance = &self.config.instance;
        let initial_message = words.map(|content| Content { content_type: TEXT_PLAIN.to_owned(), content });
        Chat {
            contact_flow_id: inbound.number.contact_flow_id.as_ref().unwrap_or(&instance.contact_flow_id).clone(),
            display_name: display_name(inbound),
            attributes: attributes(inbound),
            initial_message,
            duration_minutes: instance.duration_minutes,
            content_types: content_types(),
            persistent: None,
            related_contact_id: None,
            segment_attributes: BTreeMap::new(),
            customer_id: None,
            response_mode: None,
            disconnect_on_customer_exit: Vec::new(),
            connection_types: Vec::new(),
            streaming_endpoint_arn: instance.streaming_topic_arn.clone(),
        }
    }
}

/// Requests that differ have tokens that do: also that of a chat for media whose words were said in an earlier one.
fn start_token(inbound: &Inbound, generation: i64, last: Option<&str>, is_for_media: bool) -> String {
    let generation = generation.to_string();
    let mut purpose = vec!["chat", &generation, last.unwrap_or_default()];
    purpose.extend(is_for_media.then_some("media"));
    inbound.client_token(&purpose)
}

fn perhaps() -> Error {
    Error::new(Kind::OutcomeUnknown, "The message may have been delivered")
}
