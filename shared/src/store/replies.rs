//! What is remembered of replies, beside the conversations in the same table: how far each one is.
//!
//! A reply's record is written before each part is sent and after, in one call: "part 2 was taken, part 3 is about to be
//! sent". A record that says "about to be sent" and has no live lease means that the outcome of the
//! part is unknown.
//!
//! The FIFO queue keeps the order of replies; the table does not. The lease in a record is for items that arrive twice, or
//! without a FIFO queue.

use uuid::Uuid;

use crate::{
    deadline::{Deadline, now},
    error::Result,
    sms::message::Channel,
    store::{
        conversations::{Addressee, Store, contact_key, opt_out_key, read_addressee},
        identities,
        menus::{self, SentMenu},
        statuses::TakenPart,
        table::{Condition, Item, Write},
        window,
    },
};

/// As long as delivered messages.
const REMEMBERED: i64 = 30 * 24 * 60 * 60;

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
    pub(super) fn key(&self) -> String {
        format!("reply#{}", self.item_id)
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
    /// Leased by a live sender; the parts before this one were taken.
    Busy(Part),
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
    pub by: Option<String>,
}

impl ReplyRecord {
    /// The first part that is not known to have been taken.
    pub fn part(&self) -> Part {
        match &self.progress {
            Progress::Waiting(part)
            | Progress::Sending(part)
            | Progress::Busy(part)
            | Progress::GivenUp { part, .. } => *part,
            Progress::None | Progress::Sent => Part::default(),
        }
    }
}

/// The right to send a reply.
pub struct ReplyLease<'a> {
    id: ReplyId<'a>,
    group_id: String,
    owner: String,
    until: i64,
}

impl ReplyLease<'_> {
    /// Whose it is.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    fn sending(&self, part: Part) -> Item {
        progress(SENDING, part, &self.owner).number("leased_until", self.until)
    }
}

/// Whether a reply may be sent.
pub enum Begun<'a> {
    /// It may; the part is on record as about to be sent.
    Yes(ReplyLease<'a>),
    /// The customer wants no texts.
    OptedOut,
    /// The customer wrote too long ago for WhatsApp.
    WindowClosed,
    /// It was changed by a concurrent invocation.
    Changed,
}

/// Whether the next part may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextPart {
    /// It may, and is on record as about to be.
    Yes,
    /// The customer has opted out since.
    OptedOut,
    /// The lease was taken away.
    Changed,
}

impl Store {
    /// What is known of a reply: one call.
    pub async fn reply(&self, id: ReplyId<'_>, deadline: Deadline) -> Result<ReplyRecord> {
        let found = self.table.read(&[contact_key(id.contact_id), id.key()], deadline).await?;
        let mut found = found.into_iter();
        let addressee = found.next().flatten().as_ref().and_then(read_addressee);
        let Some(record) = found.next().flatten() else {
            return Ok(ReplyRecord { addressee, progress: Progress::None, by: None });
        };
        let by = record.get("by").map(str::to_owned);
        let number = |name| record.get_number(name).and_then(|number| usize::try_from(number).ok()).unwrap_or_default();
        let part = Part { number: number("part"), at: number("at") };
        let is_leased = record.get_number("leased_until").is_some_and(|until| until > now());
        let progress = match record.get("state") {
            Some(SENT) => Progress::Sent,
            Some(WAITING) => Progress::Waiting(part),
            Some(GIVEN_UP) => Progress::GivenUp {
                part,
                item: by.clone().unwrap_or_default(),
                reason: record.get("reason").unwrap_or_default().to_owned(),
            },
            _ if is_leased => Progress::Busy(part),
            _ => Progress::Sending(part),
        };
        Ok(ReplyRecord { addressee, progress, by })
    }

    /// Takes the right to send a reply from this part on, unless the customer has opted out, or WhatsApp's 24 hours, where the
    /// channel has them, are over: one call, or two if it is not to be had.
    pub async fn begin_reply<'a>(
        &self,
        id: ReplyId<'a>,
        by: Option<&str>,
        group_id: &str,
        channel: Channel,
        part: Part,
        deadline: Deadline,
    ) -> Result<Begun<'a>> {
        let left = i64::try_from(deadline.remaining().as_secs()).unwrap_or(i64::MAX / 2);
        let lease = ReplyLease {
            id,
            group_id: group_id.to_owned(),
            owner: Uuid::new_v4().simple().to_string(),
            until: now() + left + 2,
        };
        let mut writes = vec![
            Write::put(id.key(), lease.sending(part)).only_if(as_written(by)),
            Write::check(opt_out_key(group_id), Condition::Free),
        ];
        writes.extend((channel == Channel::Whatsapp).then(|| window::is_open(group_id)));
        if self.table.write(&writes, deadline).await? {
            return Ok(Begun::Yes(lease));
        }
        let keys = [id.key(), opt_out_key(group_id), window::window_key(group_id)];
        let mut found = self.table.read(&keys, deadline).await?.into_iter();
        // An earlier try's answer was lost.
        if found.next().flatten().is_some_and(|record| record.get("by") == Some(&lease.owner)) {
            return Ok(Begun::Yes(lease));
        }
        if found.next().flatten().is_some() {
            return Ok(Begun::OptedOut);
        }
        let is_closed =
            channel == Channel::Whatsapp && found.next().flatten().is_some_and(|it| window::says_closed(&it));
        Ok(if is_closed { Begun::WindowClosed } else { Begun::Changed })
    }

    /// The part before this one was taken, and this one is about to be sent, unless the customer has opted out meanwhile:
    /// one call, or two if it may not be.
    pub async fn next_part(
        &self,
        lease: &ReplyLease<'_>,
        part: Part,
        taken: &TakenPart,
        deadline: Deadline,
    ) -> Result<NextPart> {
        let opt_out = opt_out_key(&lease.group_id);
        let mut writes = vec![
            Write::put(lease.id.key(), lease.sending(part)).only_if(as_written(Some(&lease.owner))),
            Write::check(opt_out.clone(), Condition::Free),
        ];
        writes.extend(taken.writes(lease.id, &lease.group_id));
        if self.table.write(&writes, deadline).await? {
            return Ok(NextPart::Yes);
        }
        let opted_out = self.table.read(&[opt_out], deadline).await?.into_iter().flatten().next().is_some();
        Ok(if opted_out { NextPart::OptedOut } else { NextPart::Changed })
    }

    /// All parts were taken, and with them the customer has this menu: one call.
    pub async fn reply_sent(
        &self,
        lease: ReplyLease<'_>,
        end: Part,
        menu: Option<SentMenu<'_>>,
        taken: Option<&TakenPart>,
        deadline: Deadline,
    ) -> Result<()> {
        // Whoever takes its sender for dead must not write over this.
        let sent = progress(SENT, end, &format!("{} sent", lease.owner));
        let mut more = menu.map(|menu| menus::writes(&lease.group_id, menu)).transpose()?.unwrap_or_default();
        more.extend(taken.map(|taken| taken.writes(lease.id, &lease.group_id)).unwrap_or_default());
        self.record(lease.id, &sent, Some(&lease.owner), more, deadline).await.map(drop)
    }

    /// This part was surely not taken, and is to be sent later: one call.
    pub async fn postpone_reply(&self, lease: ReplyLease<'_>, part: Part, deadline: Deadline) -> Result<()> {
        let waiting = progress(WAITING, part, &lease.owner);
        self.record(lease.id, &waiting, Some(&lease.owner), Vec::new(), deadline).await.map(drop)
    }

    /// It can't be sent, from this part on: one call. `false`: its record is no longer `by`'s.
    pub async fn give_reply_up(
        &self,
        id: ReplyId<'_>,
        by: Option<&str>,
        ending: &Ending<'_>,
        deadline: Deadline,
    ) -> Result<bool> {
        let record = progress(GIVEN_UP, ending.part, ending.item).text("reason", ending.reason);
        let more = ending.taken.map(|(group_id, taken)| taken.writes(id, group_id)).unwrap_or_default();
        self.record(id, &record, by, more, deadline).await
    }

    /// Writes a reply's record, and more with it; `false`: it is no longer `by`'s.
    async fn record(
        &self,
        id: ReplyId<'_>,
        record: &Item,
        by: Option<&str>,
        mut writes: Vec<Write>,
        deadline: Deadline,
    ) -> Result<bool> {
        writes.push(Write::put(id.key(), record.clone()).only_if(as_written(by)));
        if self.table.write(&writes, deadline).await? {
            return Ok(true);
        }
        // An earlier try's answer may have been lost.
        let found = self.table.read(&[id.key()], deadline).await?.pop().flatten().unwrap_or_default();
        Ok(["state", "by"].iter().all(|name| found.get(name) == record.get(name)))
    }

    /// Whether the chat was told of another message of its bot or flow that was not delivered, or is delayed: one call.
    pub async fn was_told(&self, id: ReplyId<'_>, of: Notice, deadline: Deadline) -> Result<bool> {
        let told = self.table.read(&[told_key(id, of)], deadline).await?.into_iter().flatten().next();
        Ok(told.is_some_and(|told| told.get("by") != Some(id.item_id)))
    }

    /// It has been told of this one: one call.
    pub async fn told(&self, id: ReplyId<'_>, of: Notice, deadline: Deadline) -> Result<()> {
        let told = Item::default().text("by", id.item_id).until(now() + REMEMBERED);
        self.table.write(&[Write::put(told_key(id, of), told)], deadline).await.map(drop)
    }

    /// The chat has ended: the customer's next message starts another one. Whose it was, if it is on record, and whether it
    /// was open. Up to three calls.
    pub async fn close(&self, contact_id: &str, deadline: Deadline) -> Result<(Option<Addressee>, bool)> {
        let Some(addressee) = self.by_contact(contact_id, deadline).await? else { return Ok((None, false)) };
        let (mut conversation, _) = self.customer(&addressee.group_id, deadline).await?;
        if conversation.contact_id.as_deref() != Some(contact_id) || !conversation.is_open() {
            return Ok((Some(addressee), false));
        }
        conversation.close();
        let same = Condition::Text("contact", contact_id.to_owned());
        let writes = identities::put(&addressee.group_id, &conversation).into_iter();
        let writes: Vec<_> = writes.map(|write| write.only_if(same.clone())).collect();
        let closed = self.table.write(&writes, deadline).await?;
        Ok((Some(addressee), closed))
    }
}

/// How a reply ended before its end.
#[derive(Clone, Copy)]
pub struct Ending<'a> {
    /// The first part that was not taken.
    pub part: Part,
    /// The queue item that it is given up with.
    pub item: &'a str,
    /// Why.
    pub reason: &'a str,
    /// The customer's group, and the part before, if nothing has recorded that one yet.
    pub taken: Option<(&'a str, &'a TakenPart)>,
}

/// How many parts a reply has, if its record says that all of them were taken.
pub(super) fn sent_parts(record: &Item) -> Option<usize> {
    let parts = record.get_number("part").filter(|_| record.get("state") == Some(SENT))?;
    usize::try_from(parts).ok()
}

/// What a chat is told of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// It was not delivered.
    NotDelivered,
    /// It is delayed.
    Delayed,
}

fn told_key(id: ReplyId<'_>, of: Notice) -> String {
    match of {
        Notice::NotDelivered => format!("told#{}", id.contact_id),
        Notice::Delayed => format!("delayed#{}", id.contact_id),
    }
}

/// That a reply's record is the one that this wrote, or that there is none.
fn as_written(by: Option<&str>) -> Condition {
    by.map_or(Condition::Free, |by| Condition::Text("by", by.to_owned()))
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{super::table::Table, *};
    use crate::sms::providers::ProviderId;

    const ID: ReplyId<'static> = ReplyId { contact_id: "c", item_id: "1" };
    const BEGUN: Part = Part { number: 1, at: 7 };

    fn soon() -> Deadline {
        Deadline::after(Duration::from_secs(10))
    }

    fn taken() -> TakenPart {
        TakenPart {
            provider: ProviderId::Twilio,
            account: "us".to_owned(),
            channel: Channel::Sms,
            number: 0,
            messages: vec![vec!["SM1".to_owned()]],
            words: "Hello".to_owned(),
            is_automatic: false,
        }
    }

    fn ending(part: Part, reason: &str) -> Ending<'_> {
        Ending { part, item: "m", reason, taken: None }
    }

    async fn begun(store: &Store) -> ReplyLease<'static> {
        let known = store.reply(ID, soon()).await.unwrap();
        match store.begin_reply(ID, known.by.as_deref(), "g", Channel::Sms, known.part(), soon()).await.unwrap() {
            Begun::Yes(lease) => lease,
            _ => panic!("it may not begin"),
        }
    }

    #[tokio::test]
    async fn what_was_sent_is_not_given_up_by_who_takes_its_sender_for_dead() {
        let store = Store { table: Table::memory() };
        let lease = begun(&store).await;
        let owner = lease.owner().to_owned();
        store.reply_sent(lease, BEGUN, None, Some(&taken()), soon()).await.unwrap();
        let end = ending(Part::default(), "may_have_been_delivered");
        assert!(!store.give_reply_up(ID, Some(&owner), &end, soon()).await.unwrap());
        assert_eq!(store.reply(ID, soon()).await.unwrap().progress, Progress::Sent);
    }

    #[tokio::test]
    async fn a_copy_does_not_begin_what_another_is_at() {
        let store = Store { table: Table::memory() };
        let before = store.reply(ID, soon()).await.unwrap();
        let lease = begun(&store).await;
        let copy = store.reply(ID, soon()).await.unwrap();
        assert!(matches!(copy.progress, Progress::Busy(_)));
        let late =
            store.begin_reply(ID, before.by.as_deref(), "g", Channel::Sms, Part::default(), soon()).await.unwrap();
        assert!(matches!(late, Begun::Changed));
        store.postpone_reply(lease, BEGUN, soon()).await.unwrap();
        assert_eq!(store.reply(ID, soon()).await.unwrap().progress, Progress::Waiting(BEGUN));
    }

    #[tokio::test]
    async fn a_lease_ends_with_its_invocation() {
        let store = Store { table: Table::memory() };
        let mut lease = begun(&store).await;
        lease.until = now();
        assert_eq!(store.next_part(&lease, BEGUN, &taken(), soon()).await.unwrap(), NextPart::Yes);
        assert_eq!(store.reply(ID, soon()).await.unwrap().progress, Progress::Sending(BEGUN));
        let next = begun(&store).await;
        assert_eq!(store.next_part(&lease, BEGUN, &taken(), soon()).await.unwrap(), NextPart::Changed);
        assert_eq!(store.next_part(&next, BEGUN, &taken(), soon()).await.unwrap(), NextPart::Yes);
    }

    #[derive(Clone, Copy, Debug)]
    enum Outcome {
        Sent,
        Throttled,
        GivenUp,
    }

    proptest! {
        /// Copies of a reply come at any time; whoever holds the lease ends it in any way.
        #[test]
        fn whatever_happens_a_reply_is_sent_or_given_up_once(
            steps in prop::collection::vec(
                (prop::sample::select(vec![Outcome::Sent, Outcome::Throttled, Outcome::GivenUp]), any::<bool>()), 0..40)
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(async {
                let store = Store { table: Table::memory() };
                let mut held: Option<(ReplyLease<'_>, Outcome)> = None;
                let mut ends = 0;
                for (outcome, finishes) in steps {
                    let known = store.reply(ID, soon()).await.unwrap();
                    match &known.progress {
                        Progress::Sent | Progress::GivenUp { .. } => assert_eq!(ends, 1),
                        Progress::Busy(_) => assert!(held.is_some()),
                        Progress::Sending(_) => panic!("nobody died"),
                        Progress::None | Progress::Waiting(_) => {
                            assert!(held.is_none() && ends == 0);
                            held = Some((begun(&store).await, outcome));
                        }
                    }
                    let Some((lease, outcome)) = held.take_if(|_| finishes) else { continue };
                    match outcome {
                        Outcome::Throttled => store.postpone_reply(lease, BEGUN, soon()).await.unwrap(),
                        Outcome::Sent => store.reply_sent(lease, BEGUN, None, Some(&taken()), soon()).await.unwrap(),
                        Outcome::GivenUp => {
                            let by = lease.owner().to_owned();
                            let end = ending(BEGUN, "send_refused");
                            assert!(store.give_reply_up(ID, Some(&by), &end, soon()).await.unwrap());
                        }
                    }
                    ends += usize::from(!matches!(outcome, Outcome::Throttled));
                }
            });
        }
    }
}
