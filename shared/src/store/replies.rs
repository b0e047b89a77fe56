//! What is remembered of replies, beside the conversations in the same table: how far each one is, and whose turn it is.
//!
//! A reply's record is written before each part is sent and after, in one call: "part 2 was taken, part 3 is about to be
//! sent". Whoever finds "about to be sent" with nobody at it knows that the part may have been sent, or not.
//!
//! One reply of a conversation is sent at a time (`turns.rs`). One that has to wait, for a provider that throttles,
//! keeps its place, and so does one whose sender died; those that find it so line up behind it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    deadline::{Deadline, now},
    error::Result,
    store::{
        conversations::{Addressee, Store, contact_key, opt_out_key, put_conversation, read_addressee},
        send_order::Turns,
        table::{Condition, Item, Write},
    },
};

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

    fn turns_key(&self) -> String {
        format!("turns#{}", self.contact_id)
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
    /// Somebody is at it; the parts before this one were taken.
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
    /// How often it was postponed.
    pub tries: u32,
    /// Who wrote that; a write depends on it.
    pub by: Option<String>,
    turns: Turns,
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
    tries: u32,
    turns: Turns,
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
    /// Another reply of the conversation is being sent, or was until now.
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
    /// What is known of a reply: one call, or two where its sender may have died.
    pub async fn reply(&self, id: ReplyId<'_>, deadline: Deadline) -> Result<ReplyRecord> {
        let known = self.reply_once(id, deadline).await?;
        // A batch is not read at one moment: its sender may have finished it between the two.
        if matches!(known.progress, Progress::Sending(_)) {
            return self.reply_once(id, deadline).await;
        }
        Ok(known)
    }

    async fn reply_once(&self, id: ReplyId<'_>, deadline: Deadline) -> Result<ReplyRecord> {
        let found = self.table.read(&[contact_key(id.contact_id), id.key(), id.turns_key()], deadline).await?;
        let mut found = found.into_iter();
        let addressee = found.next().flatten().as_ref().and_then(read_addressee);
        let record = found.next().flatten();
        let turns = Turns::read(found.next().flatten().as_ref());
        let Some(record) = record else {
            return Ok(ReplyRecord { addressee, progress: Progress::None, tries: 0, by: None, turns });
        };
        let by = record.get("by").map(str::to_owned);
        let is_at_it =
            turns.of(id).is_some_and(|turn| turn.is_busy()) && by.as_ref().is_some_and(|by| turns.is_by(id, by));
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
            Some(SENDING) if is_at_it => Progress::Busy(part),
            _ => Progress::Sending(part),
        };
        let tries = u32::try_from(number("tries")).unwrap_or(u32::MAX);
        Ok(ReplyRecord { addressee, progress, tries, by, turns })
    }

    /// Takes the right to send a reply from this part on, unless the customer has opted out: one call. If it is not to be
    /// had, what is known of the turns is renewed, and the reply lines up, if it has not: up to three calls, two more each
    /// time that others line up meanwhile.
    pub async fn begin_reply<'a>(
        &self,
        id: ReplyId<'a>,
        known: &mut ReplyRecord,
        group_id: &str,
        part: Part,
        deadline: Deadline,
    ) -> Result<Begun<'a>> {
        let owner = Uuid::new_v4().simple().to_string();
        let left = i64::try_from(deadline.remaining().as_secs()).unwrap_or(i64::MAX / 2);
        let mut turns = known.turns.clone();
        if turns.take(id, &owner, left + 2) {
            let writes = [
                turns.write(id.turns_key()),
                Write::put(id.key(), progress(SENDING, part, known.tries, &owner))
                    .only_if(as_written(known.by.as_deref())),
                Write::check(opt_out_key(group_id), Condition::Free),
            ];
            if self.table.write(&writes, deadline).await? {
                let (group_id, tries) = (group_id.to_owned(), known.tries);
                return Ok(Begun::Yes(ReplyLease { id, group_id, owner, tries, turns }));
            }
        }
        let keys = [id.turns_key(), id.key(), opt_out_key(group_id)];
        let mut found = self.table.read(&keys, deadline).await?.into_iter();
        known.turns = Turns::read(found.next().flatten().as_ref());
        let record = found.next().flatten();
        // An earlier try's answer was lost.
        if known.turns.is_by(id, &owner) {
            let (group_id, tries, turns) = (group_id.to_owned(), known.tries, known.turns.clone());
            return Ok(Begun::Yes(ReplyLease { id, group_id, owner, tries, turns }));
        }
        if found.next().flatten().is_some() {
            return Ok(Begun::OptedOut);
        }
        if record.as_ref().and_then(|record| record.get("by")) != known.by.as_deref() {
            return Ok(Begun::NotItsTurn(None));
        }
        self.change_turns(id, &mut known.turns, |turns| turns.wait(id), deadline).await?;
        let waits = known.turns.first().filter(|first| first.item != id.item_id && !first.is_busy());
        Ok(waits.map_or(Begun::Busy, |first| Begun::NotItsTurn(Some(first.item.clone()))))
    }

    /// The reply is to be begun later, and keeps its place until then: one call, or none if it is kept already.
    pub async fn keep_turn(&self, id: ReplyId<'_>, known: &mut ReplyRecord, deadline: Deadline) -> Result<()> {
        self.change_turns(id, &mut known.turns, |turns| turns.wait(id), deadline).await
    }

    /// These replies of a conversation were not looked at, and keep their places: up to two calls, two more each time that
    /// others line up meanwhile.
    pub async fn keep_turns(&self, ids: &[ReplyId<'_>], deadline: Deadline) -> Result<()> {
        let Some(one) = ids.first() else { return Ok(()) };
        let ids: BTreeMap<_, _> = ids.iter().map(|id| (id.key(), *id)).collect();
        let keys: Vec<_> = ids.keys().cloned().chain([one.turns_key()]).collect();
        loop {
            let mut found = self.table.read(&keys, deadline).await?;
            let known = Turns::read(found.pop().flatten().as_ref());
            let mut turns = known.clone();
            for (id, record) in ids.values().zip(found) {
                if !record.is_some_and(|record| matches!(record.get("state"), Some(SENT | GIVEN_UP))) {
                    turns.wait(*id);
                }
            }
            if turns.is_same(&known) || self.table.write(&[turns.write(one.turns_key())], deadline).await? {
                return Ok(());
            }
        }
    }

    /// The reply is done with, whoever did it: no call if it has no place.
    pub async fn leave_turn(&self, id: ReplyId<'_>, known: &mut ReplyRecord, deadline: Deadline) -> Result<()> {
        let leave = |turns: &mut Turns| {
            if turns.of(id).is_some_and(|turn| !turn.is_busy()) {
                turns.leave(id);
            }
        };
        self.change_turns(id, &mut known.turns, leave, deadline).await
    }

    async fn turns(&self, id: ReplyId<'_>, deadline: Deadline) -> Result<Turns> {
        let found = self.table.read(&[id.turns_key()], deadline).await?;
        Ok(Turns::read(found.into_iter().flatten().next().as_ref()))
    }

    /// Changes whose turn it is, from what is known of it: one call, two more each time that somebody else changes it
    /// meanwhile, or none where nothing is to be changed.
    async fn change_turns(
        &self,
        id: ReplyId<'_>,
        known: &mut Turns,
        change: impl Fn(&mut Turns),
        deadline: Deadline,
    ) -> Result<()> {
        loop {
            let mut turns = known.clone();
            change(&mut turns);
            if turns.is_same(known) {
                return Ok(());
            }
            if self.table.write(&[turns.write(id.turns_key())], deadline).await? {
                *known = turns;
                return Ok(());
            }
            *known = self.turns(id, deadline).await?;
        }
    }

    /// The part before this one was taken, and this one is about to be sent, unless the customer has opted out meanwhile:
    /// one call, or two if it may not be.
    pub async fn next_part(&self, lease: &ReplyLease<'_>, part: Part, deadline: Deadline) -> Result<Next> {
        let opt_out = opt_out_key(&lease.group_id);
        let sending = progress(SENDING, part, lease.tries, &lease.owner);
        let writes = [
            Write::put(lease.id.key(), sending).only_if(as_written(Some(&lease.owner))),
            Write::check(opt_out.clone(), Condition::Free),
        ];
        if self.table.write(&writes, deadline).await? {
            return Ok(Next::Yes);
        }
        let opted_out = self.table.read(&[opt_out], deadline).await?.into_iter().flatten().next().is_some();
        Ok(if opted_out { Next::OptedOut } else { Next::NotItsTurn })
    }

    /// All parts were taken, and the next reply may be sent: one call, two more each time that others line up meanwhile.
    pub async fn reply_sent(&self, lease: ReplyLease<'_>, end: Part, deadline: Deadline) -> Result<()> {
        let ReplyLease { id, owner, tries, turns, .. } = lease;
        // Whoever takes its sender for dead must not write over this.
        let sent = progress(SENT, end, tries, &format!("{owner} sent"));
        let leave = |turns: &mut Turns| turns.leave(id);
        self.with_turns(id, sent, Some(&owner), turns, leave, deadline).await.map(drop)
    }

    /// This part was surely not taken, and is to be sent later. Until then no other reply of the conversation is, but one that
    /// was written before, if this one has not begun. Calls as of [`Self::reply_sent`].
    pub async fn postpone_reply(&self, lease: ReplyLease<'_>, part: Part, deadline: Deadline) -> Result<()> {
        let ReplyLease { id, owner, tries, turns, .. } = lease;
        let waiting = progress(WAITING, part, tries.saturating_add(1), &owner);
        let keep = |turns: &mut Turns| turns.keep(id, part.number > 0);
        self.with_turns(id, waiting, Some(&owner), turns, keep, deadline).await.map(drop)
    }

    /// It can't be sent, from this part on, and the next reply may be; `false`: its record is no longer `by`'s. One call more
    /// than [`Self::reply_sent`].
    pub async fn give_reply_up(
        &self,
        id: ReplyId<'_>,
        by: Option<&str>,
        part: Part,
        item: &str,
        reason: &str,
        deadline: Deadline,
    ) -> Result<bool> {
        let record = progress(GIVEN_UP, part, 0, item).text("reason", reason);
        let turns = self.turns(id, deadline).await?;
        self.with_turns(id, record, by, turns, |turns| turns.leave(id), deadline).await
    }

    /// Writes a reply's record and changes whose turn it is; `false`: the record is no longer `by`'s.
    async fn with_turns(
        &self,
        id: ReplyId<'_>,
        record: Item,
        by: Option<&str>,
        mut turns: Turns,
        change: impl Fn(&mut Turns),
        deadline: Deadline,
    ) -> Result<bool> {
        loop {
            change(&mut turns);
            let record_write = Write::put(id.key(), record.clone()).only_if(as_written(by));
            let writes = [record_write, turns.write(id.turns_key())];
            if self.table.write(&writes, deadline).await? {
                return Ok(true);
            }
            let mut found = self.table.read(&[id.key(), id.turns_key()], deadline).await?.into_iter();
            let now = found.next().flatten().unwrap_or_default();
            turns = Turns::read(found.next().flatten().as_ref());
            // An earlier try's answer was lost.
            if ["state", "by"].iter().all(|name| now.get(name) == record.get(name)) {
                return Ok(true);
            }
            if now.get("by") != by {
                return Ok(false);
            }
        }
    }

    /// Whether the chat was told of another message of its bot or flow that was not delivered: one call.
    pub async fn was_told(&self, id: ReplyId<'_>, deadline: Deadline) -> Result<bool> {
        let told = self.table.read(&[told_key(id)], deadline).await?.into_iter().flatten().next();
        Ok(told.is_some_and(|told| told.get("by") != Some(id.item_id)))
    }

    /// It has been told of this one: one call.
    pub async fn told(&self, id: ReplyId<'_>, deadline: Deadline) -> Result<()> {
        let told = Item::default().text("by", id.item_id).until(now() + REMEMBERED);
        self.table.write(&[Write::put(told_key(id), told)], deadline).await.map(drop)
    }

    /// The chat has ended: the customer's next message starts another one. Up to three calls.
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

fn told_key(id: ReplyId<'_>) -> String {
    format!("told#{}", id.contact_id)
}

/// That a reply's record is the one that this wrote, or that there is none.
fn as_written(by: Option<&str>) -> Condition {
    by.map_or(Condition::Free, |by| Condition::Text("by", by.to_owned()))
}

fn progress(state: &'static str, part: Part, tries: u32, by: &str) -> Item {
    let number = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    Item::default()
        .text("state", state)
        .number("part", number(part.number))
        .number("at", number(part.at))
        .number("tries", tries.into())
        .text("by", by)
        .until(now() + REMEMBERED)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use proptest::prelude::*;

    use super::{super::table::Table, *};

    const REPLIES: [&str; 5] = ["0", "1", "2", "3", "4"];

    fn id(number: usize) -> ReplyId<'static> {
        let second = i64::try_from(number).unwrap();
        ReplyId { contact_id: "c", item_id: REPLIES[number], time: Some(Timestamp::from_second(second).unwrap()) }
    }

    fn soon() -> Deadline {
        Deadline::after(Duration::from_secs(10))
    }

    async fn begun(store: &Store, number: usize) -> ReplyLease<'static> {
        let mut known = store.reply(id(number), soon()).await.unwrap();
        let part = known.part();
        match store.begin_reply(id(number), &mut known, "g", part, soon()).await.unwrap() {
            Begun::Yes(lease) => lease,
            _ => panic!("{number} may not begin"),
        }
    }

    #[tokio::test]
    async fn what_was_sent_is_not_given_up_by_who_takes_its_sender_for_dead() {
        let store = Store { table: Table::memory() };
        let lease = begun(&store, 1).await;
        let owner = lease.owner().to_owned();
        store.reply_sent(lease, Part { number: 1, at: 7 }, soon()).await.unwrap();
        let given_up =
            store.give_reply_up(id(1), Some(&owner), Part::default(), "m", "may_have_been_delivered", soon());
        assert!(!given_up.await.unwrap());
        assert_eq!(store.reply(id(1), soon()).await.unwrap().progress, Progress::Sent);
    }

    #[tokio::test]
    async fn tries_are_counted_and_a_copy_does_not_end_what_another_is_at() {
        let store = Store { table: Table::memory() };
        let part = Part { number: 2, at: 9 };
        for tries in 1..4 {
            let lease = begun(&store, 1).await;
            let mut copy = store.reply(id(1), soon()).await.unwrap();
            assert!(matches!(copy.progress, Progress::Busy(_)));
            store.leave_turn(id(1), &mut copy, soon()).await.unwrap();
            assert!(store.turns(id(1), soon()).await.unwrap().is_by(id(1), lease.owner()));
            store.postpone_reply(lease, part, soon()).await.unwrap();
            let known = store.reply(id(1), soon()).await.unwrap();
            assert_eq!((known.tries, known.progress), (tries, Progress::Waiting(part)));
        }
    }

    /// What the try of a reply comes to, once it has begun.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Outcome {
        Sent,
        Throttled,
        ThrottledInTheMiddle,
        GivenUp,
        /// It was not even begun.
        NoSettings,
    }

    /// A conversation, and what must be true of it.
    #[derive(Default)]
    struct Course<'a> {
        at_it: Option<(usize, ReplyLease<'a>, Outcome)>,
        waiting: BTreeSet<usize>,
        begun: Option<usize>,
        over: BTreeSet<usize>,
    }

    impl Course<'_> {
        /// A process looks at a reply.
        async fn look(&mut self, store: &Store, number: usize, outcome: Outcome) {
            let mut known = store.reply(id(number), soon()).await.unwrap();
            match &known.progress {
                Progress::Sent | Progress::GivenUp { .. } => {
                    assert!(self.over.contains(&number));
                    return store.leave_turn(id(number), &mut known, soon()).await.unwrap();
                }
                Progress::Busy(_) => return assert_eq!(self.at_it.as_ref().map(|(at_it, ..)| *at_it), Some(number)),
                Progress::Sending(_) => panic!("nobody died"),
                Progress::None | Progress::Waiting(_) => assert!(!self.over.contains(&number)),
            }
            if outcome == Outcome::NoSettings {
                store.keep_turn(id(number), &mut known, soon()).await.unwrap();
                self.waiting.insert(number);
                return;
            }
            let part = known.part();
            match store.begin_reply(id(number), &mut known, "g", part, soon()).await.unwrap() {
                Begun::Yes(lease) => {
                    assert!(self.at_it.is_none(), "two at once");
                    let is_first = self.waiting.iter().all(|other| *other >= number);
                    assert!(self.begun.map_or(is_first, |begun| begun == number), "{number} before its turn");
                    self.at_it = Some((number, lease, outcome));
                }
                Begun::NotItsTurn(_) | Begun::Busy => drop(self.waiting.insert(number)),
                Begun::OptedOut => panic!("nobody opted out"),
            }
        }

        /// Whoever is at a reply ends.
        async fn end(&mut self, store: &Store) {
            let Some((number, lease, outcome)) = self.at_it.take() else { return };
            let begun = Part { number: 1, at: 7 };
            match outcome {
                Outcome::Throttled if self.begun.is_none() => {
                    store.postpone_reply(lease, Part::default(), soon()).await.unwrap();
                    self.waiting.insert(number);
                    return;
                }
                Outcome::Throttled | Outcome::ThrottledInTheMiddle => {
                    store.postpone_reply(lease, begun, soon()).await.unwrap();
                    self.begun = Some(number);
                    self.waiting.insert(number);
                    return;
                }
                Outcome::GivenUp => {
                    let by = lease.owner().to_owned();
                    let given_up = store.give_reply_up(id(number), Some(&by), begun, "m", "send_refused", soon());
                    assert!(given_up.await.unwrap());
                }
                Outcome::Sent | Outcome::NoSettings => store.reply_sent(lease, begun, soon()).await.unwrap(),
            }
            assert!(self.over.insert(number), "twice");
            self.waiting.remove(&number);
            self.begun = None;
        }
    }

    fn outcomes() -> impl Strategy<Value = Outcome> {
        use Outcome::{GivenUp, NoSettings, Sent, Throttled, ThrottledInTheMiddle};
        prop::sample::select(vec![Sent, Throttled, ThrottledInTheMiddle, GivenUp, NoSettings])
    }

    proptest! {
        #[test]
        fn whatever_happens_each_is_sent_once_and_in_its_turn(
            steps in prop::collection::vec((0_usize..REPLIES.len(), outcomes(), any::<bool>()), 0..60)
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(async {
                let store = Store { table: Table::memory() };
                let mut course = Course::default();
                for (number, outcome, ends) in steps {
                    course.look(&store, number, outcome).await;
                    if ends {
                        course.end(&store).await;
                    }
                }
                course.end(&store).await;
                // Then all is well. Each of these rounds finishes one at least.
                for number in (0..REPLIES.len()).cycle().take(REPLIES.len() * REPLIES.len()) {
                    course.look(&store, number, Outcome::Sent).await;
                    course.end(&store).await;
                }
                assert_eq!(course.over.len(), REPLIES.len(), "stuck");
                assert!(store.turns(id(0), soon()).await.unwrap().first().is_none(), "a place is left behind");
            });
        }
    }
}
