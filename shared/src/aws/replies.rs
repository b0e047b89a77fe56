//! What is remembered of replies, beside the conversations in the same table: how far each one is, and whose turn it is.
//!
//! A reply's record is written before each part is sent and after, in one call: "part 2 was taken, part 3 is about to be
//! sent". Whoever finds "about to be sent" with nobody at it knows that the part may have been sent, or not. A lease lets
//! one reply of a conversation be sent at a time. One that has to wait, for a provider that throttles, leaves the lease to
//! itself, so that the agent's next reply doesn't overtake it; so does one whose sender dies. Those that find it taken so
//! line up, and the first of them is left the lease when the reply is done with.

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    conversations::{Addressee, Store, contact_key, opt_out_key, put_conversation, read_addressee},
    lease::{Lease, Line},
    table::{Condition, Item, Write, now},
};
use crate::{deadline::Deadline, error::Result};

/// As long as delivered messages are: section 7 of the design.
const REMEMBERED: i64 = 30 * 24 * 60 * 60;

const SENDING: &str = "sending";
const WAITING: &str = "waiting";
const SENT: &str = "sent";
const GIVEN_UP: &str = "given up";

/// A reply: its name in the table, and its place.
#[derive(Clone, Copy, Debug)]
pub struct ReplyId<'a> {
    /// The chat's `InitialContactId`.
    pub contact_id: &'a str,
    /// The streamed item's id.
    pub item_id: &'a str,
    /// When it was written.
    pub time: Option<Timestamp>,
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
    /// The conversation's lease, whoever has it.
    lease: Option<Lease>,
}

impl ReplyRecord {
    /// The first part that is not known to have been taken.
    pub fn part(&self) -> Part {
        match &self.progress {
            Progress::Waiting(part) | Progress::Sending(part) | Progress::GivenUp { part, .. } => *part,
            Progress::None | Progress::Busy | Progress::Sent => Part::default(),
        }
    }

    /// The lease, where it is this reply's.
    fn own_lease(&self, id: ReplyId<'_>) -> Option<&Lease> {
        self.lease.as_ref().filter(|lease| lease.item == id.item_id)
    }

    /// Whose the lease is, if it is this reply's.
    pub fn holder<'a>(&'a self, id: ReplyId<'a>) -> &'a str {
        self.own_lease(id).map_or(id.item_id, |lease| &lease.by)
    }

    /// Those that wait behind this reply.
    fn line(&self, id: ReplyId<'_>) -> Line {
        self.own_lease(id).map(|lease| lease.line.clone()).unwrap_or_default()
    }
}

/// The right to send a reply.
pub struct ReplyLease<'a> {
    id: ReplyId<'a>,
    group_id: String,
    owner: String,
    line: Line,
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
        let record = found.next().flatten();
        let lease = found.next().flatten().as_ref().and_then(Lease::read);
        let Some(record) = record else {
            return Ok(ReplyRecord { addressee, progress: Progress::None, by: None, lease });
        };
        let by = record.get("by").map(str::to_owned);
        let is_at_it = lease.as_ref().is_some_and(|lease| Some(&lease.by) == by.as_ref() && lease.is_busy());
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
        Ok(ReplyRecord { addressee, progress, by, lease })
    }

    /// Takes the right to send a reply from this part on, unless the customer has opted out: one call, or two if it is
    /// not to be had, or three if the reply lines up.
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
        let line = known.line(id);
        let lease = Lease::busy(id, &owner, left + 2, line.clone());
        let free = Condition::FreeOrText("by", known.holder(id).to_owned());
        let writes = [
            Write::put(id.lease_key(), lease.write()).only_if(free),
            put_progress(id, SENDING, part, &owner).only_if(as_known),
            Write::check(opt_out_key(group_id), Condition::Free),
        ];
        let taken = ReplyLease { id, group_id: group_id.to_owned(), owner, line };
        if self.table.write(&writes, deadline).await? {
            return Ok(Begun::Yes(taken));
        }
        let keys = [id.lease_key(), id.key(), opt_out_key(group_id)];
        let mut found = self.table.read(&keys, deadline).await?.into_iter();
        let lease = found.next().flatten().as_ref().and_then(Lease::read);
        let record = found.next().flatten();
        let record_by = record.as_ref().and_then(|record| record.get("by"));
        // Ours: an earlier try's answer was lost.
        if lease.as_ref().is_some_and(|lease| lease.by == taken.owner) {
            return Ok(Begun::Yes(taken));
        }
        if found.next().flatten().is_some() {
            return Ok(Begun::OptedOut);
        }
        if record_by != known.by.as_deref() {
            return Ok(Begun::NotItsTurn(None));
        }
        let Some(waits) = lease.filter(|lease| !lease.is_busy() && lease.item != id.item_id) else {
            return Ok(Begun::Busy);
        };
        self.line_up(id, &waits, deadline).await?;
        Ok(Begun::NotItsTurn(Some(waits.item)))
    }

    /// Behind the reply that goes first. Where that one is taken up at this moment, the place is not kept.
    async fn line_up(&self, id: ReplyId<'_>, first: &Lease, deadline: Deadline) -> Result<()> {
        let same = Condition::Text("by", first.by.clone());
        let lease = first.with_behind(id);
        self.table.write(&[Write::put(id.lease_key(), lease.write()).only_if(same)], deadline).await.map(drop)
    }

    /// The reply is to be begun later, and keeps its place until then: one call.
    pub async fn keep_turn(&self, id: ReplyId<'_>, known: &ReplyRecord, deadline: Deadline) -> Result<()> {
        match &known.lease {
            Some(lease) if lease.is_busy() => Ok(()),
            Some(lease) if lease.item != id.item_id => self.line_up(id, lease, deadline).await,
            _ => {
                let kept = Lease::kept(id, known.line(id)).write();
                let free = Condition::FreeOrText("by", known.holder(id).to_owned());
                self.table.write(&[Write::put(id.lease_key(), kept).only_if(free)], deadline).await.map(drop)
            }
        }
    }

    /// It will not be begun: two calls.
    pub async fn leave_turn(&self, id: ReplyId<'_>, holder: &str, deadline: Deadline) -> Result<()> {
        let mine = Condition::Text("by", holder.to_owned());
        let next = self.next_after(id, holder, deadline).await?;
        self.table.write(&[left_to(id, next).only_if(mine)], deadline).await.map(drop)
    }

    /// Whose turn it is after the reply that has the lease by `holder`: one call.
    async fn next_after(&self, id: ReplyId<'_>, holder: &str, deadline: Deadline) -> Result<Option<Lease>> {
        let found = self.table.read(&[id.lease_key()], deadline).await?.into_iter().flatten().next();
        let lease = found.as_ref().and_then(Lease::read).filter(|lease| lease.by == holder);
        Ok(lease.and_then(|lease| Lease::next(lease.line)))
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
        self.with_lease(done, lease.id, &lease.owner, Lease::next(lease.line.clone()), deadline).await
    }

    /// This part was surely not taken, and is to be sent later. Until then no other reply of the conversation is.
    pub async fn postpone_reply(&self, lease: &ReplyLease<'_>, part: Part, deadline: Deadline) -> Result<()> {
        let waiting = put_progress(lease.id, WAITING, part, &lease.owner);
        let kept = Lease::kept(lease.id, lease.line.clone());
        self.with_lease(waiting, lease.id, &lease.owner, Some(kept), deadline).await
    }

    /// It can't be sent, from this part on. The conversation's next reply may be: two calls.
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
        let next = self.next_after(id, lease_by, deadline).await?;
        self.with_lease(Write::put(id.key(), item), id, lease_by, next, deadline).await
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
        next: Option<Lease>,
        deadline: Deadline,
    ) -> Result<()> {
        let mine = Condition::Text("by", by.to_owned());
        if self.table.write(&[record.clone(), left_to(id, next).only_if(mine)], deadline).await? {
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

/// The lease is left to who is next.
fn left_to(id: ReplyId<'_>, next: Option<Lease>) -> Write {
    match next {
        Some(lease) => Write::put(id.lease_key(), lease.write()),
        None => Write::delete(id.lease_key()),
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
