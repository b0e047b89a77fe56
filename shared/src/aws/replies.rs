//! What is remembered of replies, beside the conversations in the same table: how far each one is, and whose turn it is.
//!
//! A reply's record is written before each part is sent and after, in one call: "part 2 was taken, part 3 is about to be
//! sent". Whoever finds "about to be sent" with nobody at it knows that the part may have been sent, or not. A lease lets
//! one reply of a conversation be sent at a time. One that has to wait, for a provider that throttles, leaves the lease to
//! itself, so that the agent's next reply doesn't overtake it; so does one whose sender dies.

use uuid::Uuid;

use super::{
    conversations::{Addressee, Store, contact_key, opt_out_key, put_conversation, read_addressee},
    table::{Condition, Item, Write, now},
};
use crate::{deadline::Deadline, error::Result};

/// As long as delivered messages are: section 7 of the design.
const REMEMBERED: i64 = 30 * 24 * 60 * 60;

/// How long a reply that waits keeps others from overtaking it: longer than any of its waits.
const HELD: i64 = 20 * 60;

/// The same for one whose sender died: longer than the queue takes to hand it over again, which is the 180 s of the
/// template's `VisibilityTimeout`.
const MISSED: i64 = 200;

const SENDING: &str = "sending";
const WAITING: &str = "waiting";
const SENT: &str = "sent";
const GIVEN_UP: &str = "given up";

/// A reply's name in the table.
#[derive(Clone, Copy, Debug)]
pub struct ReplyId<'a> {
    /// The chat's `InitialContactId`.
    pub contact_id: &'a str,
    /// The streamed item's id.
    pub item_id: &'a str,
}

impl ReplyId<'_> {
    fn key(&self) -> String {
        format!("reply#{}", self.item_id)
    }

    fn lease_key(&self) -> String {
        format!("replies#{}", self.contact_id)
    }
}

/// A part of a reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Counted from 0.
    pub number: usize,
    /// Where it begins in the reply's text, in bytes. How long it is may change: with the network that the customer
    /// writes over, or with a new version.
    pub at: usize,
}

/// How far a reply is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing was done.
    None,
    /// The parts before this one were taken, and this one was not.
    Waiting(Part),
    /// The parts before this one were taken; this one may have been: whoever was at it is gone.
    Sending(Part),
    /// Somebody is at it.
    Busy,
    /// All parts were taken.
    Sent,
    /// It can't be sent, from this part on.
    GivenUp {
        /// The part.
        part: Part,
        /// The queue item that it was given up with.
        item: String,
        /// Why.
        reason: String,
    },
}

/// What is on record of a reply.
pub struct ReplyRecord {
    /// Whom it goes to; none where the chat isn't known yet.
    pub addressee: Option<Addressee>,
    /// How far it is.
    pub progress: Progress,
    /// Who wrote that; a write depends on it.
    by: Option<String>,
}

/// Who may go first in a conversation.
struct Lease {
    /// Whose it is: one try's, or a reply's that waits for its next one.
    by: String,
    /// The reply's item id.
    item: String,
    /// Until when somebody may be at it, in Unix seconds. After that the reply waits, or its sender died.
    busy_until: i64,
}

impl Lease {
    fn read(item: &Item) -> Option<Self> {
        Some(Self {
            by: item.get("by")?.to_owned(),
            item: item.get("item")?.to_owned(),
            busy_until: item.get_number("busy_until")?,
        })
    }

    fn is_busy(&self) -> bool {
        self.busy_until > now()
    }

    /// Of somebody who is at the reply for this many seconds at most.
    fn busy(id: ReplyId<'_>, by: &str, seconds: i64) -> Item {
        let until = now() + seconds;
        Item::default().text("by", by).text("item", id.item_id).number("busy_until", until).until(until + MISSED)
    }

    /// Of a reply that waits.
    fn kept(id: ReplyId<'_>, by: &str) -> Item {
        Item::default().text("by", by).text("item", id.item_id).number("busy_until", 0).until(now() + HELD)
    }
}

impl ReplyRecord {
    /// The first part that is not known to have been taken.
    pub fn part(&self) -> Part {
        match &self.progress {
            Progress::Waiting(part) | Progress::Sending(part) | Progress::GivenUp { part, .. } => *part,
            Progress::None | Progress::Busy | Progress::Sent => Part::default(),
        }
    }

    /// Whose the lease is, if it is this reply's.
    pub fn holder<'a>(&'a self, id: ReplyId<'a>) -> &'a str {
        match (&self.progress, &self.by) {
            (Progress::Sending(_) | Progress::Busy, Some(by)) => by,
            _ => id.item_id,
        }
    }
}

/// The right to send a reply.
pub struct ReplyLease<'a> {
    id: ReplyId<'a>,
    group_id: String,
    owner: String,
}

impl ReplyLease<'_> {
    /// Whose it is.
    pub fn owner(&self) -> &str {
        &self.owner
    }
}

/// Whether a reply may be sent.
pub enum Begun<'a> {
    /// It may; the part is on record as about to be sent.
    Yes(ReplyLease<'a>),
    /// The customer wants no texts.
    OptedOut,
    /// Another reply of the conversation is being sent.
    Busy,
    /// The reply with this item id goes first, and waits; or somebody else has done something about this one.
    NotItsTurn(Option<String>),
}

/// Whether the next part may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It may, and is on record as about to be.
    Yes,
    /// The customer has opted out since.
    OptedOut,
    /// The lease was taken away.
    NotItsTurn,
}

impl Store {
    /// What is known of a reply: one call, or two if its sender died.
    pub async fn reply(&self, id: ReplyId<'_>, deadline: Deadline) -> Result<ReplyRecord> {
        let known = self.reply_once(id, deadline).await?;
        // A batch is not read at one moment: its sender may have finished it, and given the lease back, between the two.
        if matches!(known.progress, Progress::Sending(_)) {
            return self.reply_once(id, deadline).await;
        }
        Ok(known)
    }

    async fn reply_once(&self, id: ReplyId<'_>, deadline: Deadline) -> Result<ReplyRecord> {
        let found = self.table.read(&[contact_key(id.contact_id), id.key(), id.lease_key()], deadline).await?;
        let mut found = found.into_iter();
        let addressee = found.next().flatten().as_ref().and_then(read_addressee);
        let Some(record) = found.next().flatten() else {
            return Ok(ReplyRecord { addressee, progress: Progress::None, by: None });
        };
        let by = record.get("by").map(str::to_owned);
        let lease = found.next().flatten().as_ref().and_then(Lease::read);
        let is_at_it = lease.is_some_and(|lease| Some(&lease.by) == by.as_ref() && lease.is_busy());
        let number = |name| record.get_number(name).and_then(|number| usize::try_from(number).ok()).unwrap_or_default();
        let part = Part { number: number("part"), at: number("at") };
        let progress = match record.get("state") {
            Some(SENT) => Progress::Sent,
            Some(WAITING) => Progress::Waiting(part),
            Some(GIVEN_UP) => Progress::GivenUp {
                part,
                item: by.clone().unwrap_or_default(),
                reason: record.get("reason").unwrap_or_default().to_owned(),
            },
            Some(SENDING) if is_at_it => Progress::Busy,
            _ => Progress::Sending(part),
        };
        Ok(ReplyRecord { addressee, progress, by })
    }

    /// Takes the right to send a reply from this part on, unless the customer has opted out: one call, or two if it is
    /// not to be had.
    pub async fn begin_reply<'a>(
        &self,
        id: ReplyId<'a>,
        known: &ReplyRecord,
        group_id: &str,
        part: Part,
        deadline: Deadline,
    ) -> Result<Begun<'a>> {
        let owner = format!("{}#{}", id.item_id, Uuid::new_v4().simple());
        let as_known = match &known.by {
            Some(by) => Condition::Text("by", by.clone()),
            None => Condition::Free,
        };
        let left = i64::try_from(deadline.remaining().as_secs()).unwrap_or(i64::MAX / 2);
        let lease = Lease::busy(id, &owner, left + 2);
        let free = Condition::FreeOrText("by", known.holder(id).to_owned());
        let writes = [
            Write::put(id.lease_key(), lease).only_if(free),
            put_progress(id, SENDING, part, &owner).only_if(as_known),
            Write::check(opt_out_key(group_id), Condition::Free),
        ];
        if self.table.write(&writes, deadline).await? {
            return Ok(Begun::Yes(ReplyLease { id, group_id: group_id.to_owned(), owner }));
        }
        let keys = [id.lease_key(), id.key(), opt_out_key(group_id)];
        let mut found = self.table.read(&keys, deadline).await?.into_iter();
        let lease = found.next().flatten().as_ref().and_then(Lease::read);
        let record = found.next().flatten();
        let record_by = record.as_ref().and_then(|record| record.get("by"));
        // Ours: an earlier try's answer was lost.
        if lease.as_ref().is_some_and(|lease| lease.by == owner) {
            return Ok(Begun::Yes(ReplyLease { id, group_id: group_id.to_owned(), owner }));
        }
        if found.next().flatten().is_some() {
            return Ok(Begun::OptedOut);
        }
        if record_by != known.by.as_deref() {
            return Ok(Begun::NotItsTurn(None));
        }
        let waits = lease.filter(|lease| !lease.is_busy() && lease.by != known.holder(id));
        Ok(waits.map_or(Begun::Busy, |lease| Begun::NotItsTurn(Some(lease.item))))
    }

    /// The reply is to be begun later; until then no other one of the conversation is, unless one already goes first: one
    /// call.
    pub async fn keep_turn(&self, id: ReplyId<'_>, known: &ReplyRecord, deadline: Deadline) -> Result<()> {
        let by = known.holder(id);
        let kept = Write::put(id.lease_key(), Lease::kept(id, by));
        self.table.write(&[kept.only_if(Condition::FreeOrText("by", by.to_owned()))], deadline).await.map(drop)
    }

    /// It will not be begun: one call.
    pub async fn leave_turn(&self, id: ReplyId<'_>, holder: &str, deadline: Deadline) -> Result<()> {
        let mine = Condition::Text("by", holder.to_owned());
        self.table.write(&[Write::delete(id.lease_key()).only_if(mine)], deadline).await.map(drop)
    }

    /// The part before this one was taken, and this one is about to be sent, unless the customer has opted out meanwhile:
    /// one call, or two if it may not be.
    pub async fn next_part(&self, lease: &ReplyLease<'_>, part: Part, deadline: Deadline) -> Result<Next> {
        let mine = Condition::Text("by", lease.owner.clone());
        let opt_out = opt_out_key(&lease.group_id);
        let writes = [
            put_progress(lease.id, SENDING, part, &lease.owner).only_if(mine),
            Write::check(opt_out.clone(), Condition::Free),
        ];
        if self.table.write(&writes, deadline).await? {
            return Ok(Next::Yes);
        }
        let opted_out = self.table.read(&[opt_out], deadline).await?.into_iter().flatten().next().is_some();
        Ok(if opted_out { Next::OptedOut } else { Next::NotItsTurn })
    }

    /// All parts were taken: one call. The lease is given back.
    pub async fn reply_sent(&self, lease: &ReplyLease<'_>, end: Part, deadline: Deadline) -> Result<()> {
        let done = put_progress(lease.id, SENT, end, &lease.owner);
        self.with_lease(done, lease.id, &lease.owner, None, deadline).await
    }

    /// This part was surely not taken, and is to be sent later. Until then no other reply of the conversation is.
    pub async fn postpone_reply(&self, lease: &ReplyLease<'_>, part: Part, deadline: Deadline) -> Result<()> {
        let waiting = put_progress(lease.id, WAITING, part, &lease.owner);
        let kept = Lease::kept(lease.id, lease.id.item_id);
        self.with_lease(waiting, lease.id, &lease.owner, Some(kept), deadline).await
    }

    /// It can't be sent, from this part on. The conversation's next reply may be.
    pub async fn give_reply_up(
        &self,
        id: ReplyId<'_>,
        lease_by: &str,
        part: Part,
        item: &str,
        reason: &str,
        deadline: Deadline,
    ) -> Result<()> {
        let item = progress(GIVEN_UP, part, item).text("reason", reason);
        self.with_lease(Write::put(id.key(), item), id, lease_by, None, deadline).await
    }

    /// Whether a chat whose bot or flow is not heard is to be told so: of one of its messages. One call.
    pub async fn may_tell_bot(&self, id: ReplyId<'_>, deadline: Deadline) -> Result<bool> {
        let told = Item::default().text("by", id.item_id).until(now() + REMEMBERED);
        let first = Condition::FreeOrText("by", id.item_id.to_owned());
        self.table.write(&[Write::put(format!("told#{}", id.contact_id), told).only_if(first)], deadline).await
    }

    /// Writes a record, and gives the lease back or leaves it to somebody, if it is still `by`'s.
    async fn with_lease(
        &self,
        record: Write,
        id: ReplyId<'_>,
        by: &str,
        kept: Option<Item>,
        deadline: Deadline,
    ) -> Result<()> {
        let lease = match kept {
            Some(item) => Write::put(id.lease_key(), item),
            None => Write::delete(id.lease_key()),
        };
        let mine = Condition::Text("by", by.to_owned());
        if self.table.write(&[record.clone(), lease.only_if(mine)], deadline).await? {
            return Ok(());
        }
        self.table.write(&[record], deadline).await.map(drop)
    }

    /// The chat has ended: the customer's next message starts another one. One call, or two.
    pub async fn close(&self, contact_id: &str, deadline: Deadline) -> Result<bool> {
        let Some(addressee) = self.by_contact(contact_id, deadline).await? else { return Ok(false) };
        let (mut conversation, _) = self.customer(&addressee.group_id, deadline).await?;
        if conversation.contact_id.as_deref() != Some(contact_id) || conversation.participant_token.is_none() {
            return Ok(false);
        }
        conversation.participant_token = None;
        conversation.connection = None;
        let same = Condition::Text("contact", contact_id.to_owned());
        self.table.write(&[put_conversation(&addressee.group_id, &conversation).only_if(same)], deadline).await
    }
}

fn progress(state: &'static str, part: Part, by: &str) -> Item {
    let number = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    Item::default()
        .text("state", state)
        .number("part", number(part.number))
        .number("at", number(part.at))
        .text("by", by)
        .until(now() + REMEMBERED)
}

fn put_progress(id: ReplyId<'_>, state: &'static str, part: Part, by: &str) -> Write {
    Write::put(id.key(), progress(state, part, by))
}
