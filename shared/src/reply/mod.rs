//! What an agent, a bot or the flow says reaches the customer's phone: the way back.
//!
//! The way of a reply: [`streamed::Streamed::read`] (what Connect said, and whether it is for the customer) →
//! [`text`] (its words) → [`Replies::deliver`] → the record of how far it is ([`crate::store::replies`]) → the parts that fit
//! the provider ([`crate::sms::segments`]) → [`crate::sender::Sender`], one after the other.
//!
//! A part is handed over once. Where a call was not answered, or its caller died, it may have been: then it is handed over
//! again only if the provider knows a repeat ([`crate::sms::providers::Credentials::knows_repeats`]); else the reply ends
//! there, and the agent is told. What can't be sent for good the agent reads in the chat, as said by the customer's
//! participant: `[not delivered] …`, with the words that were not sent, and why.

mod interactive;
mod link;
mod markdown;
pub mod streamed;
pub mod text;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use aws_config::SdkConfig;

use crate::{
    aws::{
        participant::{Participants, Said},
        settings::SettingsSource,
    },
    chat::{CONTENT_BYTES, cut_to},
    config,
    deadline::Deadline,
    digest::hash,
    error::{Error, Kind, Result},
    queue::batch::{Done, Failed, Turn},
    reply::streamed::{Content, Streamed},
    sender::Sender,
    settings::Account,
    sms::{
        segments,
        send::{Outbound, misconfigured},
    },
    store::{
        conversations::{Addressee, Store},
        replies::{Begun, Next, Part, Progress, ReplyId, ReplyRecord},
    },
    telemetry::Report,
};

/// How long one reply waits for another one that is being sent.
const IN_TURN: Duration = Duration::from_secs(5);

/// How soon it looks again, at most.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// When a reply comes back for whose first part there is no time.
const NO_TIME: Duration = Duration::from_secs(1);

/// What is kept of the time for the record of a part.
const RECORD: Duration = Duration::from_millis(1500);

/// Brings agents' words to customers.
pub struct Replies {
    store: Store,
    participants: Participants,
    settings: SettingsSource,
    sender: Sender,
}

/// A reply that ended before its end.
#[derive(Default)]
pub struct Undelivered {
    /// Who wrote its record, if there is one.
    by: Option<String>,
    /// The first part that was not taken.
    part: Part,
    /// The words from there on. None: it is nothing that has words.
    words: Option<String>,
    /// Whose chat it is.
    group_id: Option<String>,
}

type Outcome = Result<Done, Failed<Undelivered>>;

impl Replies {
    /// Makes the clients; no call is made.
    pub fn new(sdk: &SdkConfig, config: config::SendReply) -> Self {
        Self {
            store: Store::new(sdk, config.conversations_table.as_deref()),
            participants: Participants::new(sdk),
            settings: SettingsSource::new(config.settings, sdk),
            sender: Sender::new(sdk),
        }
    }

    /// With another sender.
    #[must_use]
    pub fn with_sender(mut self, sender: Sender) -> Self {
        self.sender = sender;
        self
    }

    /// Does what an item asks for.
    pub async fn deliver(&self, item: &Streamed, turn: Turn<'_>, deadline: Deadline, report: &mut Report) -> Outcome {
        report.contact_id = Some(item.initial_contact_id.clone()).filter(|id| !id.is_empty());
        // Here, where a panic is an item's failure, and not where the batch is put in order.
        let content = item.content();
        let text = match &content {
            Content::Nothing(why) => {
                report.note(why);
                return Ok(Done::Yes);
            }
            Content::Ended => {
                let closed = self.store.close(&item.initial_contact_id, deadline).await?;
                report.note(if closed { "conversation closed" } else { "no open conversation" });
                return Ok(Done::Yes);
            }
            // Then what follows a part is the text's end, and its length tells where it begins.
            Content::Text(text) => Some(text.trim_end()),
            Content::Unsendable => None,
        };
        let id = name(item);
        let mut known = self.store.reply(id, deadline).await?;
        let Some(addressee) = &known.addressee.take() else {
            // What the flow says next must not overtake this.
            self.store.keep_turn(id, &mut known, deadline).await?;
            return Err(Error::new(Kind::UnknownConversation, "The chat is not on record").into());
        };
        let account = self.account(addressee, report).await;
        let part = known.part();
        let undelivered = |part: Part, by: Option<&str>| Undelivered {
            by: by.map(str::to_owned),
            part,
            words: text.map(|text| rest(text, part).to_owned()),
            group_id: Some(addressee.group_id.clone()),
        };
        let by = known.by.clone();
        let ended = |error: Error, part: Part| Failed { left: undelivered(part, by.as_deref()), ..error.into() };
        match &known.progress {
            Progress::None | Progress::Waiting(_) | Progress::Sending(_) => (),
            Progress::Sent => return self.duplicate(id, &mut known, deadline, report).await,
            Progress::Busy(_) => return Ok(Done::NotItsTurn(None)),
            Progress::GivenUp { item, .. } if turn.again.is_some() && item != turn.item => (),
            Progress::GivenUp { item, .. } if item != turn.item => {
                return self.duplicate(id, &mut known, deadline, report).await;
            }
            Progress::GivenUp { reason, .. } => {
                let error = Error::new(Kind::SendRefused, "The reply was given up");
                return Err(Failed { reason: Some(reason.clone()), ..ended(error, part) });
            }
        }
        let account = match account {
            Ok(account) => account,
            Err(error) => {
                self.store.keep_turn(id, &mut known, deadline).await?;
                return Err(ended(error, part));
            }
        };
        if matches!(known.progress, Progress::Sending(_)) && !account.provider().facts().supports_idempotency {
            let error = Error::new(Kind::OutcomeUnknown, "The part may have been sent");
            return Err(ended(error.caused_by("a delivery ended between the call and its record"), part));
        }
        let Some(text) = text else {
            let error = Error::new(Kind::SendRefused, "It can't be put into words");
            return Err(ended(error.caused_by("a content type that no phone can show"), part));
        };
        let shortest = self.sender.shortest() + RECORD;
        if deadline.remaining() < shortest {
            self.store.keep_turn(id, &mut known, deadline).await?;
            return Ok(Done::NotYet(NO_TIME));
        }
        let lease = match self.begin(id, &mut known, &addressee.group_id, part, deadline).await? {
            Begun::Yes(lease) => lease,
            Begun::OptedOut => return Err(ended(Error::new(Kind::OptedOut, "The customer has opted out"), part)),
            Begun::Busy => return Ok(Done::NotItsTurn(None)),
            Begun::NotItsTurn(first) => return Ok(Done::NotItsTurn(first)),
        };
        let limit = account.credentials.limit(addressee.channel);
        let owner = lease.owner().to_owned();
        let tries = known.tries.saturating_add(1);
        let over = |error: Error, part: Part| Failed { left: undelivered(part, Some(&owner)), ..error.into() };
        let mut part = part;
        while let Some((body, after)) = segments::first(rest(text, part), limit) {
            if deadline.remaining() < shortest {
                self.store.postpone_reply(lease, part, deadline).await?;
                return Ok(Done::NotYet(Duration::ZERO));
            }
            let key = key(id, part.number);
            let outbound = Outbound {
                channel: addressee.channel,
                from: &addressee.business,
                from_id: addressee.business_id.as_deref(),
                to: &addressee.customer,
                text: body,
                contact_id: id.contact_id,
                key: &key,
            };
            let time = Deadline::after(deadline.remaining().saturating_sub(RECORD));
            if let Err(error) = self.sender.send(&account, &outbound, time, report).await {
                // What can't be repeated is decided here: nobody may try it again.
                let is_over = matches!(error.kind(), Kind::OutcomeUnknown | Kind::SendRefused | Kind::OptedOut);
                if !is_over {
                    self.store.postpone_reply(lease, part, deadline).await?;
                }
                return Err(Failed { tries: Some(tries), ..over(error, part) });
            }
            report.count("TextSent", 1);
            part = Part { number: part.number + 1, at: text.len() - after.len() };
            if after.is_empty() {
                break;
            }
            match self.store.next_part(&lease, part, deadline).await? {
                Next::Yes => (),
                Next::OptedOut => {
                    let error = Error::new(Kind::OptedOut, "The customer has opted out");
                    return Err(over(error, part));
                }
                Next::NotItsTurn => {
                    report.note("the lease was taken away");
                    return Ok(Done::NotItsTurn(None));
                }
            }
        }
        self.store.reply_sent(lease, part, deadline).await?;
        report.count("ReplyDelivered", 1);
        Ok(Done::Yes)
    }

    /// Takes the right to send, once nobody else of the conversation has it.
    async fn begin<'a>(
        &self,
        id: ReplyId<'a>,
        known: &mut ReplyRecord,
        group_id: &str,
        part: Part,
        deadline: Deadline,
    ) -> Result<Begun<'a>> {
        let until = Deadline::after(IN_TURN.min(deadline.remaining().saturating_sub(RECORD)));
        loop {
            let begun = self.store.begin_reply(id, known, group_id, part, deadline).await?;
            let wait = LOOK_AGAIN.mul_f64(0.5 + fastrand::f64() / 2.0);
            if !matches!(begun, Begun::Busy) || until.remaining() < wait {
                return Ok(begun);
            }
            tokio::time::sleep(wait).await;
        }
    }

    async fn account(&self, addressee: &Addressee, report: &mut Report) -> Result<Arc<Account>> {
        let settings = self.settings.current(report).await?;
        let account = settings.account(&addressee.account).filter(|account| account.provider() == addressee.provider);
        account.cloned().ok_or_else(|| misconfigured("the settings no longer have the account"))
    }

    async fn duplicate(
        &self,
        id: ReplyId<'_>,
        known: &mut ReplyRecord,
        deadline: Deadline,
        report: &mut Report,
    ) -> Outcome {
        self.store.leave_turn(id, known, deadline).await?;
        report.note("a duplicate");
        report.count("ReplyDuplicate", 1);
        Ok(Done::Yes)
    }

    /// These were not looked at: what is to be sent of them keeps its place.
    pub async fn keep_turns(&self, items: &[Streamed], deadline: Deadline) -> Result<()> {
        let is_sent = |item: &&Streamed| matches!(read(item), Ok(Content::Text(_) | Content::Unsendable));
        let ids: Vec<_> = items.iter().filter(is_sent).map(name).collect();
        self.store.keep_turns(&ids, deadline).await
    }

    /// The reply will not be sent: it is so recorded, and the agent is told, once.
    ///
    /// What a bot or the flow says is told of once per chat: a bot takes what it is told for the customer's answer, and
    /// answers that, without end.
    pub async fn give_up(
        &self,
        item: &Streamed,
        turn: Turn<'_>,
        failed: &Failed<Undelivered>,
        reason: &str,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<Told> {
        let id = name(item);
        let found;
        let left = if failed.left.group_id.is_some() {
            &failed.left
        } else {
            found = self.left(id, deadline).await?;
            &found
        };
        let Some(group_id) = &left.group_id else { return Ok(Told::Nobody) };
        let words = match &left.words {
            Some(words) => words.clone(),
            // What it panicked at may have been this.
            None => match read(item) {
                Ok(Content::Text(words)) => rest(&words, left.part).to_owned(),
                Ok(Content::Unsendable) => "a message of a kind that can't be sent as a text".to_owned(),
                Ok(Content::Ended | Content::Nothing(_)) => return Ok(Told::Nobody),
                Err(_) => "a message that could not be read".to_owned(),
            },
        };
        if !self.store.give_reply_up(id, left.by.as_deref(), left.part, turn.item, reason, deadline).await? {
            return Err(Error::new(
                Kind::StoreUnavailable,
                "Somebody else has done something about the reply; look again",
            ));
        }
        report.count("ReplyNotDelivered", 1);
        let (mut conversation, _) = self.store.customer(group_id, deadline).await?;
        if conversation.contact_id.as_deref() != Some(id.contact_id) {
            report.note("the agent was not told: the chat has ended");
            return Ok(Told::Nobody);
        }
        if item.is_automatic && self.store.was_told(id, deadline).await? {
            report.note("the chat was told of an earlier one");
            return Ok(Told::Before);
        }
        let text = not_delivered(words, why(reason));
        let token = hash(&["not delivered", id.contact_id, id.item_id]);
        let said = self.participants.say(&mut conversation, &text, &token, deadline, report).await;
        let (told, note) = match said {
            Ok(Said::Yes) => {
                if item.is_automatic {
                    self.store.told(id, deadline).await?;
                }
                (Told::Agent, "the agent was told")
            }
            Ok(Said::No) => (Told::Nobody, "the agent was not told: the chat has ended"),
            // No later try would be taken either, and the owner must know.
            Err(error) if error.kind() == Kind::ConnectRejected => {
                (Told::Nobody, "the agent was not told: Connect refuses it")
            }
            Err(error) => return Err(error),
        };
        report.note(note);
        Ok(told)
    }

    /// How far a reply is whose delivery did not live to tell.
    async fn left(&self, id: ReplyId<'_>, deadline: Deadline) -> Result<Undelivered> {
        let mut known = self.store.reply(id, deadline).await?;
        // Nobody has it sent, and nothing else will be recorded of it.
        if known.addressee.is_none() {
            self.store.leave_turn(id, &mut known, deadline).await?;
        }
        Ok(Undelivered {
            part: known.part(),
            by: known.by,
            words: None,
            group_id: known.addressee.map(|addressee| addressee.group_id),
        })
    }
}

/// Who knows that a reply was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The agent, in the chat.
    Agent,
    /// Whoever reads the chat, of an earlier one.
    Before,
    /// Nobody in the chat could be told.
    Nobody,
}

/// A reply's text from this part on. All of it, where a new version reads the item otherwise.
fn rest(text: &str, part: Part) -> &str {
    text.get(part.at..).unwrap_or(text)
}

/// What an agent reads, within what Connect takes.
fn not_delivered(words: String, why: &str) -> String {
    const MARK: &str = "[not delivered] ";
    let why = format!("\n({why})");
    format!("{MARK}{}{why}", cut_to(words, CONTENT_BYTES.end() - MARK.len() - why.len()))
}

/// What an agent reads of a reason.
fn why(reason: &str) -> &'static str {
    match reason {
        "opted_out" => "the customer has opted out of messages",
        "may_have_been_delivered" => {
            "the provider did not answer: the customer may have received the first part of this"
        }
        "send_refused" => "the provider refused it",
        _ => "the bridge could not send it",
    }
}

/// What it says; an error where that can't be read without a panic.
fn read(item: &Streamed) -> std::thread::Result<Content> {
    catch_unwind(AssertUnwindSafe(|| item.content()))
}

fn name(item: &Streamed) -> ReplyId<'_> {
    ReplyId { contact_id: &item.initial_contact_id, item_id: &item.id, time: item.time }
}

/// What a provider that knows repeats tells this part by.
fn key(id: ReplyId<'_>, part: usize) -> String {
    hash(&["part", id.contact_id, id.item_id, &part.to_string()])
}
