//! What is remembered of conversations, in the table of `CONVERSATIONS_TABLE` or in this process.
//!
//! | key | what | kept |
//! |---|---|---|
//! | `customer#<group id>` | the customer's last chat: contact, tokens, generation; one for each id ([`identities`]) | 30 days |
//! | `contact#<InitialContactId>` | whose chat it is, for the agents' messages | 30 days |
//! | `message#<deduplication id>` | delivered, (`integration-event`) about to be, or how far its media are | 30 days |
//! | `optout#<group id>` | the customer wants no messages | for ever |
//! | `optin#<group id>` | the customer wanted messages again, and when | 30 days |
//! | `lease#<group id>` | one direct delivery at a time: [`super::lease`] | for one invocation |
//! | `menu#<group id>` | the last message with choices: [`super::menus`] | 15 days |
//! | `choices#<menu id>` | one whose choices have ids | 30 days |
//! | `parts#<hash>` | parts of a long message | 14 days |
//! | `reply#<item id>` | how far an agent's reply is: [`super::replies`] | 30 days |
//! | `told#<InitialContactId>`, `delayed#…` | its bot was told that it is not heard, or late | 30 days |
//! | `sent#<hash>` | which reply a provider's message belongs to: [`super::statuses`] | 4 days; WhatsApp and RCS 30 |
//! | `window#<group id>` | when the customer wrote last by WhatsApp: `store/window.rs` | 30 days |
//! | `status#<item id>` | how far a reply's texts are | 30 days |
//! | `tries#<queue item id>` | how often it failed, by code: [`super::tries`] | 14 days |
//! | `once#<hash>` | what a provider signed for one message only | 30 days |
//!
//! Group and deduplication ids are hashes ([`Inbound::group_id`]). A chat lasts 7 days at most (`ChatDurationInMinutes`),
//! so its record outlives it.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    aws::session::{Connection, Conversation, Opening},
    deadline::{Deadline, now},
    error::{Error, Kind, Result},
    inbound::Inbound,
    secret::Secret,
    sms::{message::Channel, providers::ProviderId},
    store::{
        identities,
        media::MediaProgress,
        menus::{self, Menus},
        table::{Condition, Item, Table, Write},
        window,
    },
};

const DAY: i64 = 24 * 60 * 60;
/// Delivered message ids are kept for 30 days, longer than any provider retries.
pub(super) const REMEMBERED: i64 = 30 * DAY;
/// As long as the queues keep an item: the others of its parts may wait there for as long.
const PARTS_KEPT: i64 = 14 * DAY;

/// Longer than an earlier opt-out may wait in the queue.
const OPT_INS_KEPT: i64 = 30 * DAY;

const DELIVERED: &str = "delivered";
const INTENT: &str = "intent";
pub(super) const WORDS_SAID: &str = "words said";

/// An opt-out that no word of the customer's ends.
const ONLY_OPT_IN: &str = "only_opt_in";

/// Conversations, delivered messages and opt-outs.
pub struct Store {
    pub(super) table: Table,
}

/// What is known when a message comes.
pub struct Known {
    /// The customer's last chat.
    pub conversation: Conversation,
    /// Whether this message was delivered already.
    pub delivery: Delivered,
    /// Whether the customer has opted out.
    pub is_opted_out: bool,
    /// The message names the customer by ids that are not joined yet: the conversation is to be written.
    pub is_to_join: bool,
    /// What the message may answer.
    pub menus: Menus,
    /// Its words were said, and this is how far its media are.
    pub media: Option<MediaProgress>,
}

/// Whether a message was delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// Not that we know: what was begun can be done again, by the same tokens.
    No,
    /// It was.
    Yes,
    /// A call that must not be repeated was begun.
    Perhaps,
}

/// Who is at the other end of a chat: where agents' messages go. Not `Debug`: it holds the customer's address.
pub struct Addressee {
    /// The account's provider.
    pub provider: ProviderId,
    /// The account's name in the settings.
    pub account: String,
    /// Our address.
    pub business: String,
    /// The provider's own id of it, where it sends from that.
    pub business_id: Option<String>,
    /// The customer's.
    pub customer: String,
    /// The network that the chat's last message came over.
    pub channel: Channel,
    /// For [`Store::customer`].
    pub group_id: String,
}

/// The parts of a long message that have come.
#[derive(Clone, Deserialize, Serialize)]
pub struct Parts {
    /// When the first one came, in Unix milliseconds.
    pub since: i64,
    /// The message id of that one: the set's own, since providers use their references again.
    pub id: String,
    /// How many there are in all.
    pub total: u16,
    /// Those that have come, by their number.
    pub parts: BTreeMap<u16, Inbound>,
    /// Handed on, complete or not: a part that comes now is a message of its own.
    pub handed_on: bool,
}

impl Store {
    /// In this table; in memory where there is none, which only a single process can do with: a warning says so.
    pub fn new(config: &SdkConfig, table: Option<&str>) -> Self {
        let table = match table {
            Some(name) => Table::dynamo(config, name),
            None => {
                tracing::warn!(
                    "CONVERSATIONS_TABLE is not set: conversations are kept in memory, which only a single process can do with"
                );
                Table::memory()
            }
        };
        Self { table }
    }

    /// In memory.
    pub fn in_memory() -> Self {
        Self { table: Table::memory() }
    }

    /// What is known of the customer and of the message: one call.
    pub async fn open(&self, inbound: &Inbound, deadline: Deadline) -> Result<Known> {
        let groups = inbound.group_ids();
        let keys: Vec<_> = std::iter::once(message_key(inbound))
            .chain(identities::keys(&groups))
            .chain(menus::keys(&inbound.group_id(), inbound))
            .collect();
        let mut found = self.table.read(&keys, deadline).await?.into_iter();
        let message = found.next().flatten();
        let delivery = match message.as_ref().and_then(|item| item.get("state")) {
            Some(INTENT) => Delivered::Perhaps,
            Some(WORDS_SAID) | None => Delivered::No,
            Some(_) => Delivered::Yes,
        };
        let media = message.as_ref().and_then(|item| serde_json::from_str(item.get("media")?).ok());
        let identities::Found { conversation, is_opted_out, is_to_join } = identities::read(&groups, &mut found);
        Ok(Known { conversation, delivery, is_opted_out, media, is_to_join, menus: menus::read(found) })
    }

    /// Records that the message was delivered, and what is new of the conversation: one call.
    pub async fn delivered(
        &self,
        inbound: &Inbound,
        conversation: Option<&Conversation>,
        deadline: Deadline,
    ) -> Result<()> {
        let done = Item::default().text("state", DELIVERED).until(now() + REMEMBERED);
        let mut writes = vec![Write::put(message_key(inbound), done)];
        writes.extend(window::opened_by(inbound));
        if let Some(conversation) = conversation {
            writes.extend(identities::put(&inbound.group_id(), conversation));
            writes.extend(conversation.contact_id.as_deref().map(|contact| put_contact(inbound, contact)));
        }
        self.table.write(&writes, deadline).await.map(drop)
    }

    /// Records what is new of the conversation before anything is done on the strength of it: one call. A chat that was just
    /// started is on record for its replies, too: the flow may speak before the customer's message counts as delivered.
    pub async fn save(&self, inbound: &Inbound, conversation: &Conversation, deadline: Deadline) -> Result<()> {
        let mut writes = identities::put(&inbound.group_id(), conversation);
        if conversation.opening.is_some() {
            writes.extend(conversation.contact_id.as_deref().map(|contact| put_contact(inbound, contact)));
        }
        self.table.write(&writes, deadline).await.map(drop)
    }

    /// Records that a call is about to be made which must not be repeated: one call of the table, unless something is on
    /// record already. `turn` names the queue item; `again` is set where its owner has sent it round again, knowing that
    /// it may have been delivered: a record of another item doesn't count then.
    pub async fn intend(&self, inbound: &Inbound, turn: &str, again: bool, deadline: Deadline) -> Result<Delivered> {
        let by = format!("{turn}#{}", Uuid::new_v4().simple());
        let intent = Item::default().text("state", INTENT).text("by", &by).until(now() + REMEMBERED);
        let put = Write::put(message_key(inbound), intent);
        if self.table.write(&[put.clone().only_if(Condition::Free)], deadline).await? {
            return Ok(Delivered::No);
        }
        let known = self.table.read(&[message_key(inbound)], deadline).await?.pop().flatten();
        let known = known.ok_or_else(|| Error::new(Kind::StoreUnavailable, "A message's record came and went"))?;
        let known_by = known.get("by").unwrap_or_default();
        let of_this_turn = known_by.split_once('#').is_some_and(|(item, _)| item == turn);
        match known.get("state") {
            // Ours: an earlier try's answer was lost.
            Some(INTENT) if known_by == by => Ok(Delivered::No),
            Some(INTENT) if again && !of_this_turn => {
                let same = Condition::Text("by", known_by.to_owned());
                let taken = self.table.write(&[put.only_if(same)], deadline).await?;
                Ok(if taken { Delivered::No } else { Delivered::Perhaps })
            }
            Some(INTENT) => Ok(Delivered::Perhaps),
            _ => Ok(Delivered::Yes),
        }
    }

    /// The call had no effect, so it may be made again.
    pub async fn withdraw(&self, inbound: &Inbound, deadline: Deadline) -> Result<()> {
        let intent = Condition::Text("state", INTENT.to_owned());
        self.table.write(&[Write::delete(message_key(inbound)).only_if(intent)], deadline).await.map(drop)
    }

    /// Records that the customer, who is also known by the ids of `known_as`, has opted out, until [`Self::opt_in`]. A later
    /// request stands. Two calls.
    pub async fn opt_out(&self, inbound: &Inbound, known_as: &[String], deadline: Deadline) -> Result<()> {
        let groups = identities::joined(&inbound.group_ids(), known_as);
        self.opt_out_since(&groups, requested_at(inbound), &inbound.deduplication_id(), deadline).await
    }

    /// The same, where not the customer but a status says so. `by` names the status.
    pub async fn opt_out_since(&self, groups: &[String], since: i64, by: &str, deadline: Deadline) -> Result<()> {
        if self.is_later(groups.iter().map(|group| opt_in_key(group)), since, deadline).await? {
            return Ok(());
        }
        let writes: Vec<_> =
            groups.iter().map(|group| Write::put(opt_out_key(group), opt_out_item(since, by))).collect();
        self.table.write(&writes, deadline).await.map(drop)
    }

    /// Records an opt-out that the send API answered. Only an opt-in by the provider ends it.
    pub async fn opt_out_by_answer(&self, groups: &[String], by: &str, deadline: Deadline) -> Result<()> {
        let item = opt_out_item(now(), by).text(ONLY_OPT_IN, "true");
        let writes: Vec<_> = groups.iter().map(|group| Write::put(opt_out_key(group), item.clone())).collect();
        self.table.write(&writes, deadline).await.map(drop)
    }

    /// Ends the opt-out. A later request stands. Two calls.
    pub async fn opt_in(&self, inbound: &Inbound, known_as: &[String], deadline: Deadline) -> Result<()> {
        let groups = identities::joined(&inbound.group_ids(), known_as);
        let since = requested_at(inbound);
        if self.is_later(groups.iter().map(|group| opt_out_key(group)), since, deadline).await? {
            return Ok(());
        }
        let item = opt_out_item(since, &inbound.deduplication_id()).until(now() + OPT_INS_KEPT);
        let writes = groups
            .iter()
            .flat_map(|group| [Write::delete(opt_out_key(group)), Write::put(opt_in_key(group), item.clone())]);
        self.table.write(&writes.collect::<Vec<_>>(), deadline).await.map(drop)
    }

    /// Whether there is an opt-out that this START ends: one call.
    pub async fn ends_opt_out(&self, inbound: &Inbound, deadline: Deadline) -> Result<bool> {
        let keys: Vec<_> = inbound.group_ids().iter().map(|group| opt_out_key(group)).collect();
        let is_word = !inbound.message.text.trim().is_empty();
        let mut found = self.table.read(&keys, deadline).await?.into_iter().flatten();
        Ok(found.any(|item| !is_word || item.get(ONLY_OPT_IN).is_none()))
    }

    async fn is_later(&self, others: impl Iterator<Item = String>, than: i64, deadline: Deadline) -> Result<bool> {
        let found = self.table.read(&others.collect::<Vec<_>>(), deadline).await?;
        Ok(found.into_iter().flatten().filter_map(|item| item.get_number("since")).any(|since| since > than))
    }

    /// Whose chat this is, by `InitialContactId`: one call. A chat is on record once its first message is delivered, which
    /// is after the customer was connected: the flow's first words may be a moment faster.
    pub async fn by_contact(&self, contact_id: &str, deadline: Deadline) -> Result<Option<Addressee>> {
        let found = self.table.read(&[contact_key(contact_id)], deadline).await?.pop().flatten();
        Ok(found.as_ref().and_then(read_addressee))
    }

    /// A customer's last chat, and whether the customer has opted out: one call.
    pub async fn customer(&self, group_id: &str, deadline: Deadline) -> Result<(Conversation, bool)> {
        let found = self.table.read(&[customer_key(group_id), opt_out_key(group_id)], deadline).await?;
        let mut found = found.into_iter();
        let conversation = found.next().flatten().map(|item| read_conversation(&item)).unwrap_or_default();
        Ok((conversation, found.next().flatten().is_some()))
    }

    /// Whether this message is the first, or the same, that came with what the provider signed for one message only.
    /// `message` is its deduplication id.
    pub async fn first_use(&self, message: &str, once: &str, deadline: Deadline) -> Result<bool> {
        let key = format!("once#{once}");
        let item = Item::default().text("message", message).until(now() + REMEMBERED);
        if self.table.write(&[Write::put(&key, item).only_if(Condition::Free)], deadline).await? {
            return Ok(true);
        }
        let known = self.table.read(&[key], deadline).await?.pop().flatten();
        Ok(known.is_some_and(|item| item.get("message") == Some(message)))
    }

    /// The parts that have come, and their version.
    pub async fn parts(&self, key: &str, deadline: Deadline) -> Result<Option<(Parts, i64)>> {
        let found = self.table.read(&[format!("parts#{key}")], deadline).await?.pop().flatten();
        let Some(item) = found else { return Ok(None) };
        let parts = serde_json::from_str(item.get("parts").unwrap_or_default())
            .map_err(|_| Error::internal("the parts on record can't be read"))?;
        Ok(Some((parts, item.get_number("version").unwrap_or_default())))
    }

    /// Replaces them. `false`: they were changed by a concurrent invocation.
    pub async fn put_parts(&self, key: &str, parts: &Parts, replaced: Option<i64>, deadline: Deadline) -> Result<bool> {
        let text = serde_json::to_string(parts).map_err(Error::internal)?;
        let version = replaced.map_or(1, |version| version + 1);
        let item = Item::default().text("parts", text).number("version", version).until(now() + PARTS_KEPT);
        let condition = replaced.map_or(Condition::Free, |version| Condition::Number("version", version));
        self.table.write(&[Write::put(format!("parts#{key}"), item).only_if(condition)], deadline).await
    }
}

pub(super) fn customer_key(group_id: &str) -> String {
    format!("customer#{group_id}")
}

pub(super) fn opt_out_key(group_id: &str) -> String {
    format!("optout#{group_id}")
}

fn opt_in_key(group_id: &str) -> String {
    format!("optin#{group_id}")
}

fn opt_out_item(since: i64, by: &str) -> Item {
    Item::default().number("since", since).text("message", by)
}

/// When the customer asked for it, by the provider's clock where it is known.
pub(super) fn requested_at(inbound: &Inbound) -> i64 {
    let received_at = inbound.message.received_at.as_deref().and_then(|time| time.parse::<Timestamp>().ok());
    received_at.map_or_else(now, Timestamp::as_second)
}

pub(super) fn contact_key(contact_id: &str) -> String {
    format!("contact#{contact_id}")
}

pub(super) fn message_key(inbound: &Inbound) -> String {
    format!("message#{}", inbound.deduplication_id())
}

fn word<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_value(Value::from(text)).ok()
}

pub(super) fn read_addressee(item: &Item) -> Option<Addressee> {
    Some(Addressee {
        provider: word(item.get("provider")?)?,
        account: item.get("account")?.to_owned(),
        business: item.get("business")?.to_owned(),
        business_id: item.get("business_id").map(str::to_owned),
        customer: item.get("customer")?.to_owned(),
        channel: word(item.get("channel")?)?,
        group_id: item.get("conversation")?.to_owned(),
    })
}

pub(super) fn read_conversation(item: &Item) -> Conversation {
    Conversation {
        contact_id: item.get("contact").map(str::to_owned),
        participant_token: item.get("participant").map(Secret::new),
        connection: item
            .get("connection")
            .map(|token| Connection { token: Secret::new(token), until: item.get_number("connection_until") }),
        generation: item.get_number("generation").unwrap_or_default(),
        plain: item.get("plain").is_some(),
        opening: item.get("opened_by").map(|message| Opening {
            message: message.to_owned(),
            last_contact_id: item.get("last_contact").map(str::to_owned),
        }),
        channel: item.get("channel").and_then(word),
        event_source: item.get("event_source").map(str::to_owned),
        known_as: item.get("known_as").unwrap_or_default().split_whitespace().map(str::to_owned).collect(),
        answered: item.get("answered").map(str::to_owned),
        opt_out_to_copy: None,
    }
}

/// One record of a conversation: [`identities::put`] writes all.
pub(super) fn put_record(group_id: &str, conversation: &Conversation) -> Write {
    let connection = conversation.connection.as_ref();
    let known_as = conversation.known_as.join(" ");
    let mut item = Item::default()
        .maybe("contact", conversation.contact_id.as_deref())
        .maybe("participant", conversation.participant_token.as_ref().map(Secret::expose))
        .maybe("connection", connection.map(|connection| connection.token.expose()))
        .maybe("channel", conversation.channel.map(Channel::as_str))
        .maybe("plain", conversation.plain.then_some("true"))
        .maybe("event_source", conversation.event_source.as_deref())
        .maybe("known_as", Some(known_as.as_str()).filter(|ids| !ids.is_empty()))
        .maybe("answered", conversation.answered.as_deref())
        .maybe("opened_by", conversation.opening.as_ref().map(|opening| opening.message.as_str()))
        .maybe("last_contact", conversation.opening.as_ref().and_then(|opening| opening.last_contact_id.as_deref()))
        .number("generation", conversation.generation)
        .until(now() + REMEMBERED);
    if let Some(until) = connection.and_then(|connection| connection.until) {
        item = item.number("connection_until", until);
    }
    Write::put(customer_key(group_id), item)
}

pub(super) fn put_contact(inbound: &Inbound, contact_id: &str) -> Write {
    let item = Item::default()
        .text("provider", inbound.provider.as_str())
        .text("account", &inbound.account)
        .text("business", &inbound.message.to)
        .maybe("business_id", inbound.reply_from.as_deref())
        .text("customer", &inbound.message.from)
        .text("channel", inbound.message.channel.as_str())
        .text("conversation", inbound.group_id())
        .until(now() + REMEMBERED);
    Write::put(contact_key(contact_id), item)
}
