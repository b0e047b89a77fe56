//! What an agent, a bot or the flow says reaches the customer's phone: the way back.
//!
//! The way of a reply: [`streamed::Streamed::read`] (what Connect said, and whether it is for the customer) →
//! [`text`] (its words) → [`Replies::deliver`] → the record of how far it is ([`crate::store::replies`]) → the parts that fit
//! the provider ([`crate::sms::segments`]) → [`crate::sender::Sender`], one after the other. Its order is the queue's.
//!
//! A part is handed over once. Where a call was not answered, or its caller died, it may have been: then it is handed over
//! again only if the provider supports idempotency ([`crate::sms::contract::Facts::supports_idempotency`]); else the reply
//! ends there, and the agent is told (`give_up`).

mod files;
mod give_up;
mod interactive;
mod link;
mod markdown;
mod menu;
mod parts;
mod signals;
pub mod streamed;
pub mod text;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use aws_config::SdkConfig;

pub use crate::tell::Told;
use crate::{
    aws::{participant::Participants, settings::SettingsSource},
    choices::Prompt,
    config,
    deadline::{Deadline, now},
    digest::hash,
    error::{Error, Kind, Result},
    queue::{
        batch::{Done, Failed, Receipt},
        disposition::Patience,
        gate::{Entry, Gates},
    },
    reply::{
        menu::Shown,
        streamed::{AgentsFile, Content, Streamed},
    },
    sender::Sender,
    settings::Account,
    sms::{
        media::FILE,
        send::{Taken, misconfigured},
    },
    store::{
        conversations::{Addressee, Store},
        replies::{Begun, Part, Progress, ReplyId},
        statuses::{TakenPart, WORDS_CHARS},
    },
    telemetry::Report,
    url::BaseUrl,
};

/// When a reply comes back for whose first part there is no time.
const NO_TIME: Duration = Duration::from_secs(1);

/// When one comes back that a live sender has leased, or that a concurrent invocation changed.
const LEASED: Duration = Duration::from_secs(5);

/// What is kept of the time for the record of a part.
const RECORD: Duration = Duration::from_millis(1500);

/// Brings agents' words to customers.
pub struct Replies {
    store: Store,
    participants: Participants,
    settings: SettingsSource,
    /// None: no provider is asked for statuses.
    public_base_url: Option<BaseUrl>,
    sender: Sender,
    patience: Patience,
    gates: Mutex<Gates>,
    clock: Clock,
    /// Agents' files are sent: else their names are.
    attachments: bool,
}

/// The time for the gates, from any moment on.
type Clock = Box<dyn Fn() -> Duration + Send + Sync>;

/// A reply that ended before its end.
#[derive(Default)]
pub struct Undelivered {
    /// Who wrote its record, if there is one.
    by: Option<String>,
    /// The first part that was not taken.
    part: Part,
    /// The words from there on. None: it is nothing that has words.
    words: Option<String>,
    /// Why, where the reason does not say it.
    why: Option<String>,
    /// The part before, if nothing has recorded it yet.
    taken: Option<TakenPart>,
    /// Whose chat it is.
    group_id: Option<String>,
}

type Outcome = Result<Done, Failed<Undelivered>>;

/// A reply, and where it goes.
struct Reply<'a> {
    id: ReplyId<'a>,
    /// None: it can't be put into words.
    text: Option<&'a str>,
    /// What is sent in place of words.
    files: &'a [AgentsFile],
    /// What there is to choose, if it is an interactive message.
    prompt: Option<Prompt>,
    /// A bot or the flow said it.
    is_automatic: bool,
    addressee: Addressee,
    /// Who wrote its record.
    by: Option<String>,
    /// The first part that is not known to have been taken.
    part: Part,
}

impl Reply<'_> {
    /// It ends before this part.
    fn ended(&self, error: Error, part: Part, by: Option<&str>) -> Failed<Undelivered> {
        let left = Undelivered {
            by: by.map(str::to_owned),
            part,
            words: self.words(part),
            why: (error.field() == Some(FILE)).then(|| error.message().to_owned()),
            taken: None,
            group_id: Some(self.addressee.group_id.clone()),
        };
        Failed { left, ..error.into() }
    }

    /// What the agent reads of it, from this part on.
    fn words(&self, part: Part) -> Option<String> {
        match self.text {
            Some(text) => Some(rest(text, part).to_owned()),
            None if self.files.is_empty() => None,
            None => Some(text::names(self.files.get(part.number..).unwrap_or_default())),
        }
    }

    /// A part as the provider took it.
    fn taken(&self, part: Part, body: &str, account: &Account, taken: Taken) -> TakenPart {
        let ours = account.provider().facts().statuses_name_our_key.then(|| key(self.id, part.number));
        let mut messages: Vec<_> = taken.message_ids.into_iter().map(|id| vec![id]).collect();
        if let Some(ours) = ours {
            match messages.first_mut() {
                Some(ids) => ids.push(ours),
                None => messages.push(vec![ours]),
            }
        }
        TakenPart {
            provider: account.provider(),
            account: account.name.clone(),
            channel: self.addressee.channel,
            number: part.number,
            messages,
            words: body.chars().take(WORDS_CHARS).collect(),
            is_automatic: self.is_automatic,
        }
    }

    /// It ends before it was begun, this time.
    fn not_begun(&self, error: Error) -> Failed<Undelivered> {
        self.ended(error, self.part, self.by.as_deref())
    }
}

impl Replies {
    /// Makes the clients; no call is made.
    pub fn new(sdk: &SdkConfig, config: config::SendReply) -> Self {
        let started = Instant::now();
        Self {
            store: Store::new(sdk, config.conversations_table.as_deref()),
            participants: Participants::new(sdk).with_one_try(),
            settings: SettingsSource::new(config.settings, sdk),
            public_base_url: config.public_base_url,
            sender: Sender::new(sdk),
            patience: config.patience,
            gates: Mutex::default(),
            clock: Box::new(move || started.elapsed()),
            attachments: config.attachments,
        }
    }

    /// With another sender.
    #[must_use]
    pub fn with_sender(mut self, sender: Sender) -> Self {
        self.sender = sender;
        self
    }

    /// With another clock for the accounts that are let be.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// What is remembered.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// How long a reply is tried.
    pub fn patience(&self) -> Patience {
        self.patience
    }

    /// Does what an item asks for.
    pub async fn deliver(
        &self,
        item: &Streamed,
        receipt: Receipt<'_>,
        deadline: Deadline,
        report: &mut Report,
    ) -> Outcome {
        report.contact_id = Some(item.initial_contact_id.clone()).filter(|id| !id.is_empty());
        let content = item.content();
        let names;
        let mut files: &[AgentsFile] = &[];
        let text = match &content {
            Content::Nothing(why) => {
                report.note(why);
                return Ok(Done::Yes);
            }
            Content::Ended => return self.chat_ended(item, receipt, deadline, report).await,
            Content::Typing => return self.agent_types(item, receipt, deadline, report).await,
            // Then what follows a part is the text's end, and its length tells where it begins.
            Content::Text(text) => Some(text.trim_end()),
            Content::Files(sent) if self.attachments => {
                files = sent;
                None
            }
            Content::Files(sent) => {
                names = text::of_attachments(sent.iter().map(|file| file.name.as_str()));
                Some(names.as_str())
            }
            Content::Unsendable => None,
        };
        let known = self.store.reply(name(item), deadline).await?;
        let part = known.part();
        let Some(addressee) = known.addressee else {
            return Err(Error::new(Kind::UnknownConversation, "The chat is not on record").into());
        };
        let (id, prompt, is_automatic) = (name(item), item.prompt(), item.is_automatic);
        let reply = Reply { id, text, files, prompt, is_automatic, addressee, by: known.by, part };
        if let Some(outcome) = before(&reply, &known.progress, receipt, report) {
            return outcome;
        }
        let account = match self.account(&reply.addressee, report).await {
            Ok(account) => account,
            Err(error) => return Err(reply.not_begun(error)),
        };
        self.send(&reply, &known.progress, &account, receipt, deadline, report).await
    }

    /// Sends a reply from its part on, if it may be begun.
    async fn send(
        &self,
        reply: &Reply<'_>,
        progress: &Progress,
        account: &Account,
        receipt: Receipt<'_>,
        deadline: Deadline,
        report: &mut Report,
    ) -> Outcome {
        let is_in_doubt = matches!(progress, Progress::Sending(_));
        if is_in_doubt && !account.provider().facts().supports_idempotency {
            self.perhaps_shown(reply, &Shown::of(reply, account), deadline).await;
            let error = Error::new(Kind::OutcomeUnknown, "The part may have been sent");
            return Err(reply.not_begun(error.caused_by("a delivery ended between the call and its record")));
        }
        if reply.text.is_none() && reply.files.is_empty() {
            let error = Error::new(Kind::SendRefused, "It can't be put into words");
            return Err(reply.not_begun(error.caused_by("a content type that no phone can show")));
        }
        if deadline.remaining() < self.sender.shortest(account) + RECORD {
            return Ok(Done::NotYet(NO_TIME));
        }
        let is_probe = match self.enter(account) {
            Entry::Open => false,
            Entry::Probe => true,
            // It must be tried once before it may expire.
            Entry::Shut(_) if receipt.age >= self.patience.end && *progress == Progress::None => true,
            Entry::Shut(wait) => return Err(reply.not_begun(shut(wait))),
        };
        let group_id = &reply.addressee.group_id;
        let channel = reply.addressee.channel;
        let begun =
            self.store.begin_reply(reply.id, reply.by.as_deref(), group_id, channel, reply.part, deadline).await?;
        match begun {
            Begun::Yes(lease) => match reply.text {
                Some(text) => self.send_parts(reply, text, account, lease, is_probe, deadline, report).await,
                None => self.send_files(reply, account, lease, is_probe, deadline, report).await,
            },
            Begun::OptedOut => Err(reply.not_begun(opted_out())),
            Begun::WindowClosed => {
                let error = Error::new(Kind::WindowClosed, "WhatsApp's 24 hours are over");
                Err(reply.not_begun(error.caused_by("the customer's last message is more than a day old")))
            }
            Begun::Changed => Ok(Done::NotYet(LEASED)),
        }
    }

    /// What a refusal says of the customer holds for the next replies, too.
    async fn remember(&self, reply: &Reply<'_>, error: &Error, account: &Account, deadline: Deadline) -> Result<()> {
        let group_id = &reply.addressee.group_id;
        let facts = account.provider().facts();
        match error.kind() {
            Kind::OptedOut if facts.opts_out_by_answer => {
                self.learn(error, account, group_id, &key(reply.id, 0), deadline).await
            }
            Kind::OptedOut if facts.opt_outs_are_wishes => {
                self.store.opt_out_since(std::slice::from_ref(group_id), now(), &key(reply.id, 0), deadline).await
            }
            Kind::WindowClosed => self.store.close_window(group_id, deadline).await,
            _ => Ok(()),
        }
    }

    /// Where the provider shall report to: the account's own route, so that its secret alone verifies it.
    fn status_url(&self, account: &Account) -> Option<String> {
        let base = self.public_base_url.as_ref()?.as_written();
        Some(format!("{base}/sms/{}/{}", account.provider(), account.name))
    }

    fn enter(&self, account: &Account) -> Entry {
        self.gates().enter(&account.name, (self.clock)())
    }

    fn gates(&self) -> std::sync::MutexGuard<'_, Gates> {
        self.gates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The account of a chat: by its name, or, where the owner has changed that since, by provider and our address.
    async fn account(&self, addressee: &Addressee, report: &mut Report) -> Result<Arc<Account>> {
        let settings = self.settings.current(report).await?;
        let account = settings.account_for(addressee.provider, &addressee.account, &addressee.business);
        account.cloned().ok_or_else(|| misconfigured("the settings no longer have the account"))
    }
}

/// What there is to do about a reply that was begun before; none: it is to be sent.
fn before(reply: &Reply<'_>, progress: &Progress, receipt: Receipt<'_>, report: &mut Report) -> Option<Outcome> {
    match progress {
        Progress::None | Progress::Waiting(_) | Progress::Sending(_) => None,
        Progress::Busy(_) => Some(Ok(Done::NotYet(LEASED))),
        Progress::GivenUp { item, .. } if receipt.again.is_some() && item != receipt.item => None,
        Progress::GivenUp { item, reason, .. } if item == receipt.item => {
            let error = Error::new(Kind::SendRefused, "The reply was given up");
            Some(Err(Failed { reason: Some(reason.clone()), ..reply.not_begun(error) }))
        }
        Progress::Sent | Progress::GivenUp { .. } => {
            report.note("a duplicate");
            report.count("ReplyDuplicate", 1);
            Some(Ok(Done::Yes))
        }
    }
}

/// Whether the outcome is final: the part is not tried again.
fn is_final(error: &Error) -> bool {
    matches!(error.kind(), Kind::OutcomeUnknown | Kind::SendRefused | Kind::OptedOut | Kind::WindowClosed)
}

fn opted_out() -> Error {
    Error::new(Kind::OptedOut, "The customer has opted out")
}

fn shut(wait: Duration) -> Error {
    Error::new(Kind::AccountShut, "The provider takes nothing for this account now").retry_after(wait)
}

/// A reply's text from this part on. All of it, where a new version reads the item otherwise.
fn rest(text: &str, part: Part) -> &str {
    text.get(part.at..).unwrap_or(text)
}

fn name(item: &Streamed) -> ReplyId<'_> {
    ReplyId { contact_id: &item.initial_contact_id, item_id: &item.id }
}

/// Idempotency key of one part.
fn key(id: ReplyId<'_>, part: usize) -> String {
    hash(&["part", id.contact_id, id.item_id, &part.to_string()])
}
