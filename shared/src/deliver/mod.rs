//! What to do with a customer's message: decisions over what is remembered and Connect, no HTTP.
//!
//! A message is delivered once, however often it comes: what was done is remembered, and what was begun is begun again
//! by the same tokens, which Connect answers with the original contact or message. So this can stop between any two calls
//! and be taken up by the next delivery. The exception is the `integration-event` route, whose call has no token: it is
//! recorded first and never repeated.
//!
//! Messages of one customer come one after the other: the FIFO queue sees to that ([`Conversations::deliver_in_turn`]),
//! or a lease ([`Conversations::deliver`]).

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use aws_config::SdkConfig;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::{
    aws::{
        connect::{Connect, EventOutcome, MessageEvent},
        participant::{Participants, Said},
        session::Conversation,
    },
    chat::{
        ATTRIBUTES_BYTES, CONTENT_BYTES, Chat, Content, DISPLAY_NAME_CHARS, INTERACTIVE, Persistent, TEXT_PLAIN, cut_to,
    },
    config::{ConnectRoute, Delivery},
    deadline::Deadline,
    error::{Error, Kind, Result},
    inbound::Inbound,
    queue::batch::Turn,
    sms::{
        lines,
        message::{Channel, Media, OptOut, Referral},
    },
    store::conversations::{Delivered, Parts, Store},
    telemetry::Report,
};

/// How often one delivery starts a chat that turns out to have ended.
const STARTS: u32 = 2;

/// What a bot of Connect's (Amazon Lex) takes of a message: "Amazon Connect service quotas".
const BOT_CHARS: usize = 1024;

/// For how long a destination whose events were denied takes the chat route (section 7 of the design).
const DENIED: Duration = Duration::from_secs(10 * 60);

/// How long the parts of a message wait for the missing ones.
const PARTS_WAIT: Duration = Duration::from_secs(60);

/// Brings customers' messages to Connect.
pub struct Conversations {
    connect: Connect,
    participants: Participants,
    store: Store,
    config: Delivery,
    parts_wait: Duration,
    denied: Mutex<HashMap<String, Instant>>,
}

/// What a part of a message makes.
pub enum Collected {
    /// A message to deliver: whole as it came, or joined; then [`Conversations::handed_on`] takes the key.
    Whole(Box<Inbound>, Option<String>),
    /// Nothing yet. A flush of the key must come back, if this is the first part.
    Waiting {
        /// Whether this is the first part to come.
        first: bool,
        /// The set's key.
        key: String,
    },
    /// Nothing: it came before.
    Duplicate,
}

/// What is to be done about parts that wait.
pub enum Flush {
    /// Nothing: the message is complete, or done with.
    Nothing,
    /// Come back then.
    NotYet(Duration),
    /// Put what has come into the customer's group.
    Send(Box<Inbound>),
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
        }
    }

    /// Waits this long for missing parts.
    #[must_use]
    pub fn with_parts_wait(mut self, wait: Duration) -> Self {
        self.parts_wait = wait;
        self
    }

    /// What is remembered.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Delivers one message where nobody keeps a customer's messages apart: it waits for its turn. Parts of long messages
    /// are delivered as they come, since nothing would come back for those that wait.
    pub async fn deliver(&self, inbound: &Inbound, deadline: Deadline, report: &mut Report) -> Result<()> {
        let lease = self.store.lease(inbound, deadline).await?;
        let turn = Turn { item: "direct", again: None };
        let outcome = self.deliver_in_turn(inbound, turn, deadline, report).await;
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
        turn: Turn<'_>,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<()> {
        if let Some(once) = &inbound.once
            && !self.store.first_use(inbound, once, deadline).await?
        {
            return Err(Error::new(Kind::Unverified, "What was signed for one message came with another"));
        }
        // HELP is an ordinary message.
        if let Some(wish @ (OptOut::Stop | OptOut::Start)) = inbound.message.opt_out
            && self.opt_out(inbound, wish, deadline, report).await?
        {
            return Ok(());
        }
        // The event API knows SMS and WhatsApp only.
        if self.config.route == ConnectRoute::IntegrationEvent && inbound.message.channel != Channel::Rcs {
            let event = self.event(inbound);
            if !self.is_denied(&event.destination_id) {
                match self.send_event(inbound, &event, turn, deadline, report).await? {
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
        self.chat(inbound, deadline, report).await
    }

    // The chat route.

    async fn chat(&self, inbound: &Inbound, deadline: Deadline, report: &mut Report) -> Result<()> {
        let known = self.store.open(inbound, deadline).await?;
        match known.delivery {
            Delivered::Yes => return Self::duplicate(report),
            Delivered::Perhaps => return Err(perhaps()),
            Delivered::No => (),
        }
        let mut conversation = known.conversation;
        if conversation.participant_token.is_some() {
            let token = inbound.client_token(&["message"]);
            let connection = conversation.connection.as_ref().map(|connection| connection.token.clone());
            let is_same_channel = conversation.channel.replace(inbound.message.channel) == conversation.channel;
            let text = agent_text(inbound);
            let said = self.participants.say(&mut conversation, &text, &token, deadline, report).await;
            let said = said.inspect_err(|error| {
                if error.kind() == Kind::ConnectRejected && text.chars().count() > BOT_CHARS {
                    report.note("Connect refused a text of more than 1,024 characters, the most that its bots take");
                }
            })?;
            match said {
                Said::Yes => {
                    let is_new =
                        conversation.connection.as_ref().map(|connection| &connection.token) != connection.as_ref();
                    let changed = (is_new || !is_same_channel).then_some(&conversation);
                    self.store.delivered(inbound, changed, deadline).await?;
                    report.contact_id = conversation.contact_id;
                    report.count("MessageDelivered", 1);
                    return Ok(());
                }
                Said::No => report.note("the chat had ended"),
            }
        }
        self.start(inbound, conversation, deadline, report).await
    }

    /// A new chat, whose first message this is.
    ///
    /// A delivery that was cut short may have started it already: the token then brings the original contact back. Where
    /// that one has ended meanwhile its token is spent, and the generation is raised, before anything else is done, for
    /// another one.
    async fn start(
        &self,
        inbound: &Inbound,
        mut conversation: Conversation,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<()> {
        let mut chat = self.new_chat(inbound);
        let mut starts = 0;
        while starts < STARTS {
            let generation = conversation.generation.to_string();
            let last = conversation.contact_id.clone().filter(|_| self.config.persistent_chat && !conversation.plain);
            // Two requests that differ must not share a token.
            let token = inbound.client_token(&["chat", &generation, last.as_deref().unwrap_or_default()]);
            chat.persistent = last.map(|source_contact_id| Persistent {
                // "provide the initialContactId of the past ended chat session" (administrator guide).
                rehydration_type: "ENTIRE_PAST_SESSION".to_owned(),
                source_contact_id,
            });
            let started = match self.connect.start_chat(&chat, &token, deadline, report).await {
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
            let generation = conversation.generation;
            match self.participants.connect(&started.participant_token, deadline, report).await {
                Ok(connection) => {
                    let conversation = Conversation {
                        contact_id: Some(started.contact_id),
                        participant_token: Some(started.participant_token.into()),
                        connection: Some(connection),
                        generation,
                        plain: false,
                        channel: Some(inbound.message.channel),
                    };
                    self.store.delivered(inbound, Some(&conversation), deadline).await?;
                    report.contact_id = conversation.contact_id;
                    report.count("ConversationStarted", 1);
                    report.count("MessageDelivered", 1);
                    return Ok(());
                }
                Err(error) if error.kind() == Kind::ChatEnded => {
                    report.note("the chat that was started has ended");
                    conversation.generation = generation + 1;
                    self.store.save(inbound, &conversation, deadline).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Err(Error::new(Kind::ChatEnded, "New chats end before the customer is in them"))
    }

    // The integration-event route.

    /// Sends the message as an event; `Some` is why that was denied.
    async fn send_event(
        &self,
        inbound: &Inbound,
        event: &MessageEvent,
        turn: Turn<'_>,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<Option<Error>> {
        let again = turn.again == Some("may_have_been_delivered");
        match self.store.intend(inbound, turn.item, again, deadline).await? {
            Delivered::No => (),
            Delivered::Yes => return Self::duplicate(report).map(|()| None),
            Delivered::Perhaps => return Err(perhaps()),
        }
        match self.connect.send_message_event(event, deadline, report).await {
            Ok(EventOutcome::Taken(contact_id)) => {
                let conversation = Conversation { contact_id: Some(contact_id), ..Conversation::default() };
                self.store.delivered(inbound, Some(&conversation), deadline).await?;
                report.contact_id = conversation.contact_id;
                report.count("MessageDelivered", 1);
                Ok(None)
            }
            Ok(EventOutcome::Denied(denied)) => {
                self.store.withdraw(inbound, deadline).await?;
                Ok(Some(denied))
            }
            Err(error) if error.kind() == Kind::OutcomeUnknown => Err(error),
            Err(error) => {
                self.store.withdraw(inbound, deadline).await?;
                Err(error)
            }
        }
    }

    fn is_denied(&self, destination: &str) -> bool {
        let denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        denied.get(destination).is_some_and(|until| Instant::now() < *until)
    }

    fn remember_denied(&self, destination: String) {
        let mut denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        denied.insert(destination, Instant::now() + DENIED);
    }

    // Opt-outs.

    /// Records what the customer wishes, and tells the agent of an open chat. No chat is started for it. `false` where it
    /// is an ordinary message: START from somebody who has not opted out.
    async fn opt_out(&self, inbound: &Inbound, wish: OptOut, deadline: Deadline, report: &mut Report) -> Result<bool> {
        let known = self.store.open(inbound, deadline).await?;
        if known.delivery == Delivered::Yes {
            return Self::duplicate(report).map(|()| true);
        }
        if wish == OptOut::Start && !self.store.customer(&inbound.group_id(), deadline).await?.1 {
            return Ok(false);
        }
        // Recorded before the note, which may fail.
        let note = match wish {
            OptOut::Stop => {
                self.store.opt_out(inbound, deadline).await?;
                report.note("opted out");
                report.count("OptedOut", 1);
                "[opted out]"
            }
            OptOut::Start | OptOut::Help => {
                self.store.opt_in(inbound, deadline).await?;
                report.note("opted in");
                report.count("OptedIn", 1);
                "[opted in]"
            }
        };
        let mut conversation = known.conversation;
        let mut changed = None;
        let before = conversation.connection.as_ref().map(|connection| connection.token.clone());
        let text = cut(format!("{note} {}", inbound.message.text.trim()).trim().to_owned());
        let token = inbound.client_token(&["message"]);
        if let Said::Yes = self.participants.say(&mut conversation, &text, &token, deadline, report).await? {
            report.contact_id.clone_from(&conversation.contact_id);
            let after = conversation.connection.as_ref().map(|connection| &connection.token);
            changed = (after != before.as_ref()).then_some(&conversation);
        }
        self.store.delivered(inbound, changed, deadline).await.map(|()| true)
    }

    // Parts of long messages.

    /// Puts a part to those of its message that have come. What is no part is whole.
    pub async fn collect(&self, inbound: &Inbound, deadline: Deadline) -> Result<Collected> {
        let alone = |inbound: &Inbound| {
            let mut whole = inbound.clone();
            whole.message.concat = None;
            Ok(Collected::Whole(Box::new(whole), None))
        };
        let (Some(key), Some(concat)) = (inbound.parts_key(), &inbound.message.concat) else { return alone(inbound) };
        if concat.part == 0 || concat.part > concat.total {
            return alone(inbound);
        }
        let id = &inbound.message.message_id;
        loop {
            let known = self.store.parts(&key, deadline).await?;
            let fresh = || Parts {
                since: Timestamp::now().as_millisecond(),
                id: id.clone(),
                total: concat.total,
                parts: BTreeMap::new(),
                handed_on: false,
            };
            let (mut parts, version, is_known) = match known {
                None => (fresh(), None, false),
                Some((parts, version)) => {
                    let same = parts.parts.get(&concat.part).map(|known| known.message.message_id == *id);
                    match (same, parts.handed_on) {
                        (Some(true), true) => return Ok(Collected::Duplicate),
                        (Some(true), false) => (parts, Some(version), true),
                        // The reference is in use again.
                        (Some(false), true) => (fresh(), Some(version), false),
                        // Too late, or a reference that two messages share: better alone than lost.
                        (None, true) | (Some(false), false) => return alone(inbound),
                        (None, false) => (parts, Some(version), false),
                    }
                }
            };
            if !is_known {
                parts.parts.insert(concat.part, inbound.clone());
                if !self.store.put_parts(&key, &parts, version, deadline).await? {
                    continue;
                }
            }
            return Ok(match parts.join() {
                Some(whole) if parts.is_complete() => Collected::Whole(Box::new(whole), Some(key)),
                _ => Collected::Waiting { first: parts.id == *id, key },
            });
        }
    }

    /// The joined message was delivered, or put elsewhere.
    pub async fn handed_on(&self, key: &str, deadline: Deadline) -> Result<()> {
        while let Some((mut parts, version)) = self.store.parts(key, deadline).await? {
            if parts.handed_on {
                break;
            }
            parts.handed_on = true;
            if self.store.put_parts(key, &parts, Some(version), deadline).await? {
                break;
            }
        }
        Ok(())
    }

    /// Whether it is time to go on without the missing parts. From then on they are late.
    pub async fn flush(&self, key: &str, deadline: Deadline) -> Result<Flush> {
        loop {
            let Some((mut parts, version)) = self.store.parts(key, deadline).await? else { return Ok(Flush::Nothing) };
            // The part that completed it delivers it.
            if parts.is_complete() {
                return Ok(Flush::Nothing);
            }
            let age = Timestamp::now().as_millisecond().saturating_sub(parts.since);
            let age = Duration::from_millis(u64::try_from(age).unwrap_or_default());
            if age < self.parts_wait {
                return Ok(Flush::NotYet(self.parts_wait.saturating_sub(age)));
            }
            if !parts.handed_on {
                parts.handed_on = true;
                if !self.store.put_parts(key, &parts, Some(version), deadline).await? {
                    continue;
                }
            }
            return Ok(parts.join().map_or(Flush::Nothing, |whole| Flush::Send(Box::new(whole))));
        }
    }

    fn duplicate(report: &mut Report) -> Result<()> {
        report.note("delivered before");
        report.count("DuplicateMessage", 1);
        Ok(())
    }

    fn new_chat(&self, inbound: &Inbound) -> Chat {
        let instance = &self.config.instance;
        let content = Content { content_type: TEXT_PLAIN.to_owned(), content: agent_text(inbound) };
        Chat {
            contact_flow_id: inbound.number.contact_flow_id.as_ref().unwrap_or(&instance.contact_flow_id).clone(),
            display_name: display_name(inbound),
            attributes: attributes(inbound),
            initial_message: Some(content),
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

    fn event(&self, inbound: &Inbound) -> MessageEvent {
        let message = &inbound.message;
        let destination_id = inbound.number.destination_id.as_ref().unwrap_or(&message.to);
        // Connect answers an End User Messaging number there itself.
        let answers_itself = destination_id.starts_with("arn:") && destination_id.contains(":sms-voice:");
        MessageEvent {
            source_id: message.from.clone(),
            subtype: if message.channel == Channel::Whatsapp { "connect:WhatsApp" } else { "connect:sms" },
            text: agent_text(inbound),
            display_name: display_name(inbound),
            attributes: attributes(inbound),
            content_types: content_types(),
            streaming_endpoint_arn: self.config.instance.streaming_topic_arn.clone().filter(|_| !answers_itself),
            destination_id: destination_id.clone(),
        }
    }
}

fn perhaps() -> Error {
    Error::new(Kind::OutcomeUnknown, "The message may have been delivered")
}

impl Parts {
    fn is_complete(&self) -> bool {
        self.parts.len() == usize::from(self.total)
    }

    /// One message of what has come; where parts are missing, a sign stands for them.
    fn join(&self) -> Option<Inbound> {
        let mut joined = self.parts.values().next()?.clone();
        let message = &mut joined.message;
        // Not the id of the part: the queue would take it for that.
        message.message_id = format!("{}#joined", self.id);
        message.concat = None;
        message.media = self.parts.values().flat_map(|part| part.message.media.clone()).collect();
        let mut text = String::new();
        let mut missing = false;
        for number in 1..=self.total {
            match self.parts.get(&number) {
                Some(part) => text += &part.message.text,
                None if !missing => text += " [part missing] ",
                None => (),
            }
            missing = !self.parts.contains_key(&number);
        }
        text.trim().clone_into(&mut message.text);
        // Then it begins with our sign.
        message.described |= !self.parts.contains_key(&1);
        Some(joined)
    }
}

/// What a chat with a phone can show: the rest is turned into text on its way out.
fn content_types() -> Vec<String> {
    [TEXT_PLAIN, "text/markdown", INTERACTIVE].map(str::to_owned).to_vec()
}

/// Profile name, else the number's own, else the customer's address.
fn display_name(inbound: &Inbound) -> String {
    let known = [&inbound.message.profile_name, &inbound.number.display_name].into_iter().flatten();
    let name = known.map(|name| name.trim()).find(|name| !name.is_empty()).unwrap_or(&inbound.message.from);
    name.chars().take(*DISPLAY_NAME_CHARS.end()).collect()
}

/// The attributes of a new chat. The owner's own come last and give way where the limit is met.
fn attributes(inbound: &Inbound) -> BTreeMap<String, String> {
    let message = &inbound.message;
    let referral = message.referral.as_ref();
    let ours = [
        ("channel", Some(message.channel.as_str())),
        ("provider", Some(inbound.provider.as_str())),
        ("account", Some(inbound.account.as_str())),
        ("customerAddress", Some(message.from.as_str())),
        ("businessAddress", Some(message.to.as_str())),
        ("providerMessageId", Some(message.message_id.as_str())),
        ("profileName", message.profile_name.as_deref()),
        ("referralSourceId", referral.and_then(|referral| referral.source_id.as_deref())),
        ("referralHeadline", referral.and_then(|referral| referral.headline.as_deref())),
        ("referralUrl", referral.and_then(|referral| referral.url.as_deref())),
    ];
    let ours = ours.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let owners = inbound.number.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let mut attributes = BTreeMap::new();
    let mut bytes = 0;
    for (name, value) in ours.chain(owners) {
        if !attributes.contains_key(name) && bytes + name.len() + value.len() <= ATTRIBUTES_BYTES {
            bytes += name.len() + value.len();
            attributes.insert(name.to_owned(), value.to_owned());
        }
    }
    attributes
}

/// What the agent reads: the text, then what came with it, one a line. Never empty.
fn agent_text(inbound: &Inbound) -> String {
    let message = &inbound.message;
    let mut lines = Vec::new();
    if !message.text.trim().is_empty() {
        // What looks like a note of ours is not.
        let looks_ours = !message.described && lines::begins_with_word(&message.text);
        lines.push(if looks_ours { format!("Customer wrote: {}", message.text) } else { message.text.clone() });
    }
    for media in &message.media {
        lines.push(match &media.url {
            Some(url) if inbound.provider.facts().media_links_open => url.clone(),
            _ => media_word(media),
        });
    }
    if let Some(place) = &message.location {
        let named = [&place.name, &place.address].into_iter().flatten().cloned();
        let point = format!("{}, {}", place.latitude, place.longitude);
        lines.push(format!("[location] {}", named.chain([point]).collect::<Vec<_>>().join(", ")));
    }
    if lines.is_empty() {
        lines.extend(message.button_payload.clone().filter(|payload| !payload.trim().is_empty()));
    }
    if lines.is_empty() {
        lines.push("[empty message]".to_owned());
    }
    if let Some(Referral { headline, url, source_id }) = &message.referral {
        let shown = if headline.is_some() || url.is_some() { [headline, url] } else { [source_id, &None] };
        lines.push(lines::line("advertisement", shown.into_iter().flatten().cloned()));
    }
    cut(lines.join("\n"))
}

fn media_word(media: &Media) -> String {
    let kind = media.content_type.as_deref().and_then(|kind| kind.split('/').next());
    match (kind, &media.name) {
        (Some(kind @ ("image" | "audio" | "video")), None) => format!("[{kind}]"),
        (_, Some(name)) => format!("[file: {name}]"),
        _ => "[file]".to_owned(),
    }
}

/// Connect takes 16,384 bytes; no provider's message is as long, but links add to it.
fn cut(text: String) -> String {
    cut_to(text, *CONTENT_BYTES.end())
}
