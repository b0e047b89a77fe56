//! What is remembered of texts that providers took, so that their statuses find the reply and its chat.
//!
//! A text is recorded together with how far its reply is ([`super::replies`]), in the same call. A status then needs two
//! reads and one write.

use std::collections::BTreeMap;

use crate::{
    aws::session::Conversation,
    deadline::{Deadline, now},
    digest::hash,
    error::{Error, Result},
    sms::{message::Channel, providers::ProviderId, status::State},
    store::{
        conversations::{Store, customer_key, opt_out_key, read_conversation},
        replies::{ReplyId, sent_parts},
        table::{Condition, Item, Write},
    },
};

const DAY: i64 = 24 * 60 * 60;

/// SMS: providers report for up to three days.
const KEPT: i64 = 4 * DAY;

/// WhatsApp and RCS: a customer may read a message weeks later.
const KEPT_WHERE_READ: i64 = 30 * DAY;

/// How many characters of a text are kept for a note about it.
pub const WORDS_CHARS: usize = 200;

/// A part of a reply that a provider took.
#[derive(Clone)]
pub struct TakenPart {
    /// Whose provider.
    pub provider: ProviderId,
    /// The account that sent it.
    pub account: String,
    /// The network.
    pub channel: Channel,
    /// Which part it is, from 0.
    pub number: usize,
    /// The provider's messages that it became, mostly one, each with all ids that a status may name it by.
    pub messages: Vec<Vec<String>>,
    /// Its words, or their beginning.
    pub words: String,
    /// A bot or the flow said it.
    pub is_automatic: bool,
}

impl TakenPart {
    /// What records it, for a call that writes more.
    pub(super) fn writes(&self, id: ReplyId<'_>, group_id: &str) -> Vec<Write> {
        let mut writes: BTreeMap<String, Write> = BTreeMap::new();
        let number = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        for (index, ids) in self.messages.iter().enumerate() {
            let item = Item::default()
                .text("account", &self.account)
                .text("contact", id.contact_id)
                .text("item", id.item_id)
                .text("conversation", group_id)
                .number("part", number(self.number))
                .number("message", number(index))
                .number("messages", number(self.messages.len()))
                .text("words", self.words.chars().take(WORDS_CHARS).collect::<String>())
                .maybe("automatic", self.is_automatic.then_some("true"))
                .until(now() + kept(self.channel));
            // A transaction refuses two writes of one key.
            for id in ids.iter().filter(|id| !id.is_empty()) {
                let key = sent_key(self.provider, id);
                writes.entry(key.clone()).or_insert_with(|| Write::put(key, item.clone()));
            }
        }
        writes.into_values().collect()
    }
}

/// A text that a provider took, as it is on record.
#[derive(Clone)]
pub struct SentText {
    /// The account that sent it.
    pub account: String,
    /// The chat's `InitialContactId`.
    pub contact_id: String,
    /// The streamed item's id: Connect's message.
    pub item_id: String,
    /// The customer's group.
    pub group_id: String,
    /// The part of the reply, from 0.
    pub part: usize,
    /// Which of the part's messages.
    message: usize,
    /// How many the part has.
    messages: usize,
    /// The beginning of the words.
    pub words: String,
    /// A bot or the flow said it.
    pub is_automatic: bool,
}

impl SentText {
    /// The reply.
    pub fn reply(&self) -> ReplyId<'_> {
        ReplyId { contact_id: &self.contact_id, item_id: &self.item_id }
    }
}

/// How far the texts of a reply are.
#[derive(Clone, Debug, Default)]
pub struct Deliveries {
    /// By part, and within it by message.
    parts: BTreeMap<usize, Vec<State>>,
    /// How many parts the reply has, once all were taken.
    total: Option<usize>,
    /// The agent was told that it was not delivered.
    pub was_told: bool,
    version: Option<i64>,
}

impl Deliveries {
    /// How far a text is.
    pub fn of(&self, text: &SentText) -> State {
        self.parts.get(&text.part).and_then(|part| part.get(text.message)).copied().unwrap_or(State::Sent)
    }

    /// A text has come so far.
    pub fn set(&mut self, text: &SentText, state: State) {
        let part = self.parts.entry(text.part).or_default();
        // Records of a provider's can't be believed to agree on how many there are.
        let messages = text.messages.max(text.message + 1).min(256);
        part.resize(part.len().max(messages), State::Sent);
        if let Some(known) = part.get_mut(text.message) {
            *known = state;
        }
    }

    /// How far all of them are. What is not yet sent whole is on its way.
    pub fn all(&self) -> State {
        let Some(total) = self.total.filter(|total| self.parts.len() >= *total) else { return State::Sent };
        let states = self.parts.iter().take_while(|(part, _)| **part < total).flat_map(|(_, messages)| messages);
        states.min().copied().unwrap_or(State::Sent)
    }
}

/// What is known when a status comes.
pub struct KnownReply {
    /// How far its texts are.
    pub deliveries: Deliveries,
    /// The customer's last chat.
    pub conversation: Conversation,
    /// Whether the customer wants no messages.
    pub is_opted_out: bool,
}

impl Store {
    /// The text that a provider names by this id: one call.
    pub async fn sent_text(
        &self,
        provider: ProviderId,
        message_id: &str,
        deadline: Deadline,
    ) -> Result<Option<SentText>> {
        let found = self.table.read(&[sent_key(provider, message_id)], deadline).await?.pop().flatten();
        Ok(found.as_ref().and_then(read_sent))
    }

    /// How far its reply is, and the customer's chat: one call.
    pub async fn known_reply(&self, text: &SentText, deadline: Deadline) -> Result<KnownReply> {
        let keys =
            [status_key(&text.item_id), text.reply().key(), customer_key(&text.group_id), opt_out_key(&text.group_id)];
        let mut found = self.table.read(&keys, deadline).await?.into_iter();
        let record = found.next().flatten();
        let total = found.next().flatten().as_ref().and_then(sent_parts);
        let conversation = found.next().flatten().map(|item| read_conversation(&item)).unwrap_or_default();
        let deliveries = Deliveries {
            parts: record
                .as_ref()
                .and_then(|record| serde_json::from_str(record.get("states")?).ok())
                .unwrap_or_default(),
            total,
            was_told: record.as_ref().is_some_and(|record| record.get("told").is_some()),
            version: record.as_ref().and_then(|record| record.get_number("version")),
        };
        Ok(KnownReply { deliveries, conversation, is_opted_out: found.next().flatten().is_some() })
    }

    /// Records how far its texts are: one call. `false`: another status of the reply was recorded meanwhile.
    pub async fn put_deliveries(&self, text: &SentText, known: &Deliveries, deadline: Deadline) -> Result<bool> {
        let states = serde_json::to_string(&known.parts).map_err(Error::internal)?;
        let version = known.version.map_or(1, |version| version + 1);
        let item = Item::default()
            .text("states", states)
            .number("version", version)
            .maybe("told", known.was_told.then_some("true"))
            .until(now() + KEPT_WHERE_READ);
        let condition = known.version.map_or(Condition::Free, |version| Condition::Number("version", version));
        self.table.write(&[Write::put(status_key(&text.item_id), item).only_if(condition)], deadline).await
    }
}

fn kept(channel: Channel) -> i64 {
    match channel {
        Channel::Sms | Channel::Mms => KEPT,
        Channel::Whatsapp | Channel::Rcs | Channel::Own(_) => KEPT_WHERE_READ,
    }
}

/// Providers' ids may be long, and hold what they like.
fn sent_key(provider: ProviderId, message_id: &str) -> String {
    format!("sent#{}", hash(&[provider.as_str(), message_id]))
}

fn status_key(item_id: &str) -> String {
    format!("status#{item_id}")
}

fn read_sent(item: &Item) -> Option<SentText> {
    let number = |name: &str| item.get_number(name).and_then(|number| usize::try_from(number).ok());
    Some(SentText {
        account: item.get("account")?.to_owned(),
        contact_id: item.get("contact")?.to_owned(),
        item_id: item.get("item")?.to_owned(),
        group_id: item.get("conversation")?.to_owned(),
        part: number("part")?,
        message: number("message")?,
        messages: number("messages")?,
        words: item.get("words").unwrap_or_default().to_owned(),
        is_automatic: item.get("automatic").is_some(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(part: usize, message: usize, messages: usize) -> SentText {
        SentText {
            account: "us".to_owned(),
            contact_id: "c".to_owned(),
            item_id: "1".to_owned(),
            group_id: "g".to_owned(),
            part,
            message,
            messages,
            words: String::new(),
            is_automatic: false,
        }
    }

    #[test]
    fn a_reply_has_come_as_far_as_its_last_text() {
        let mut known = Deliveries { total: Some(2), ..Deliveries::default() };
        for (label, text, state, all) in [
            ("the first part", text(0, 0, 1), State::Read, State::Sent),
            ("half of the second", text(1, 0, 2), State::Read, State::Sent),
            ("its other half", text(1, 1, 2), State::Delivered, State::Delivered),
            ("read at last", text(1, 1, 2), State::Read, State::Read),
        ] {
            known.set(&text, state);
            assert_eq!((known.of(&text), known.all()), (state, all), "{label}");
        }
        known.total = None;
        assert_eq!(known.all(), State::Sent, "not all parts were taken yet");
    }

    proptest! {
        #[test]
        fn no_record_makes_it_panic(part in 0_usize..9, message in any::<usize>(), messages in any::<usize>()) {
            let message = message.min(usize::MAX - 1);
            let mut known = Deliveries { total: Some(1), ..Deliveries::default() };
            known.set(&text(part, message, messages), State::Read);
            let _ = known.all();
        }
    }
}
