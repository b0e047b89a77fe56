//! Whose turn it is: the replies of a conversation that are being sent or wait, in the order in which they go.
//!
//! They are one item of the table, which is only changed as it was read.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    deadline::now,
    store::{
        replies::ReplyId,
        table::{Condition, Item, Write},
    },
};

/// How long a reply that waits keeps its place: longer than any of its waits by a quarter at least, so that it is not written
/// at each look.
const HELD: i64 = 20 * 60;

/// The same for one whose sender died: longer than the queue takes to hand it over again, which is the 180 s of the
/// template's `VisibilityTimeout`.
const MISSED: i64 = 200;

/// The replies that are being sent or wait.
#[derive(Clone, Default)]
pub(super) struct Turns {
    turns: Vec<Turn>,
    /// Of the item as it was read; none: there was none.
    version: Option<String>,
}

/// One reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Turn {
    /// Its item id.
    pub(super) item: String,
    /// When it was written, in Unix milliseconds.
    time: i64,
    /// Until when it keeps its place, in Unix seconds.
    until: i64,
    /// Whether some of it may have been sent: then nothing goes between.
    has_begun: bool,
    /// The try that is at it, or died.
    by: Option<String>,
    /// Until when it may be at it, in Unix seconds.
    busy_until: i64,
}

impl Turn {
    /// Whether somebody may be at it. Else it waits.
    pub(super) fn is_busy(&self) -> bool {
        self.busy_until > now()
    }

    fn order(&self) -> (bool, i64, &str) {
        (!self.has_begun, self.time, &self.item)
    }
}

impl Turns {
    /// Those of an item, if there is one.
    pub(super) fn read(item: Option<&Item>) -> Self {
        let version = item.and_then(|item| item.get("version")).map(str::to_owned);
        let turns = item.and_then(|item| serde_json::from_str(item.get("turns")?).ok());
        let mut turns: Vec<Turn> = turns.unwrap_or_default();
        turns.retain(|turn| turn.until > now());
        Self { turns, version }
    }

    /// What writes them, if they are still as they were read.
    pub(super) fn write(&mut self, key: String) -> Write {
        let as_read = match self.version.take() {
            Some(version) => Condition::Text("version", version),
            None => Condition::Free,
        };
        let Some(until) = self.turns.iter().map(|turn| turn.until).max() else {
            return Write::delete(key).only_if(as_read);
        };
        let version = Uuid::new_v4().simple().to_string();
        let turns = serde_json::to_string(&self.turns).unwrap_or_default();
        let item = Item::default().text("turns", turns).text("version", &version).until(until);
        self.version = Some(version);
        Write::put(key, item).only_if(as_read)
    }

    /// Whether writing them would change nothing.
    pub(super) fn is_same(&self, as_read: &Self) -> bool {
        self.turns == as_read.turns
    }

    /// The one that goes first.
    pub(super) fn first(&self) -> Option<&Turn> {
        self.turns.iter().min_by(|one, other| one.order().cmp(&other.order()))
    }

    /// A reply's own.
    pub(super) fn of(&self, id: ReplyId<'_>) -> Option<&Turn> {
        self.turns.iter().find(|turn| turn.item == id.item_id)
    }

    /// Whether this try has the reply's turn.
    pub(super) fn is_by(&self, id: ReplyId<'_>, by: &str) -> bool {
        self.of(id).is_some_and(|turn| turn.by.as_deref() == Some(by))
    }

    /// The reply waits for those before it, or for its own next try.
    pub(super) fn wait(&mut self, id: ReplyId<'_>) {
        let now = now();
        match self.turn(id) {
            // Not at each look.
            Some(turn) if turn.until - now > HELD - HELD / 5 => (),
            Some(turn) => turn.until = now + HELD,
            None => self.turns.push(Turn {
                item: id.item_id.to_owned(),
                time: id.time.map_or(0, Timestamp::as_millisecond),
                until: now + HELD,
                has_begun: false,
                by: None,
                busy_until: 0,
            }),
        }
    }

    /// A try is at the reply now, for this many seconds at most, if it is its turn.
    pub(super) fn take(&mut self, id: ReplyId<'_>, by: &str, seconds: i64) -> bool {
        self.wait(id);
        if self.first().is_none_or(|first| first.item != id.item_id) {
            return false;
        }
        let busy_until = now() + seconds;
        if let Some(turn) = self.turn(id) {
            turn.by = Some(by.to_owned());
            turn.busy_until = busy_until;
            turn.until = busy_until + MISSED;
            turn.has_begun = true;
        }
        true
    }

    /// Nobody is at the reply any more, and it is to be tried again.
    pub(super) fn keep(&mut self, id: ReplyId<'_>, has_begun: bool) {
        self.wait(id);
        if let Some(turn) = self.turn(id) {
            turn.by = None;
            turn.busy_until = 0;
            turn.until = now() + HELD;
            turn.has_begun = has_begun;
        }
    }

    /// The reply is done with.
    pub(super) fn leave(&mut self, id: ReplyId<'_>) {
        self.turns.retain(|turn| turn.item != id.item_id);
    }

    fn turn(&mut self, id: ReplyId<'_>) -> Option<&mut Turn> {
        self.turns.iter_mut().find(|turn| turn.item == id.item_id)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{super::table::Table, *};
    use crate::deadline::Deadline;

    fn id(item_id: &str) -> ReplyId<'_> {
        let written = Timestamp::from_second(item_id.parse().unwrap()).unwrap();
        ReplyId { contact_id: "c", item_id, time: Some(written) }
    }

    fn of(items: &[&str]) -> Turns {
        let mut turns = Turns::default();
        items.iter().for_each(|item| turns.wait(id(item)));
        turns
    }

    /// In which they go, each done with at once.
    fn order(mut turns: Turns) -> Vec<String> {
        let mut order = Vec::new();
        while let Some(first) = turns.first().map(|first| first.item.clone()) {
            assert!(turns.take(id(&first), "x", 10), "{first}");
            turns.leave(id(&first));
            order.push(first);
        }
        order
    }

    #[test]
    fn they_go_as_they_were_written() {
        type Change = fn(&mut Turns);
        let changes: [(&str, Change, &[&str]); 8] = [
            ("all wait", |_| (), &["4", "5", "6", "7"]),
            ("waits already", |turns| turns.wait(id("6")), &["4", "5", "6", "7"]),
            ("one was tried", |turns| turns.keep(id("6"), false), &["4", "5", "6", "7"]),
            ("one has begun", |turns| turns.keep(id("6"), true), &["6", "4", "5", "7"]),
            ("the first is being sent", |turns| assert!(turns.take(id("4"), "x", 10)), &["4", "5", "6", "7"]),
            ("it is not its turn", |turns| assert!(!turns.take(id("6"), "x", 10)), &["4", "5", "6", "7"]),
            ("one comes late", |turns| assert!(turns.take(id("3"), "x", 10)), &["3", "4", "5", "6", "7"]),
            ("one is done with", |turns| turns.leave(id("5")), &["4", "6", "7"]),
        ];
        for (label, change, expected) in changes {
            let mut turns = of(&["7", "5", "4", "6"]);
            change(&mut turns);
            assert_eq!(order(turns), expected, "{label}");
        }
    }

    #[test]
    fn a_try_has_its_turn_until_it_is_over_and_its_reply_longer() {
        let mut turns = of(&["5"]);
        assert!(turns.take(id("5"), "x", 10));
        assert!(turns.is_by(id("5"), "x") && !turns.is_by(id("5"), "y") && turns.of(id("5")).unwrap().is_busy());
        assert!(!turns.take(id("4"), "y", 10), "what has begun is finished first");
        let mut died = of(&["5"]);
        assert!(died.take(id("5"), "x", 0));
        assert!(!died.of(id("5")).unwrap().is_busy() && !died.take(id("4"), "y", 10));
        assert!(died.take(id("5"), "y", 10) && died.is_by(id("5"), "y"));
    }

    async fn written(table: &Table, turns: &mut Turns) -> bool {
        table.write(&[turns.write("k".to_owned())], Deadline::after(Duration::from_secs(1))).await.unwrap()
    }

    async fn found(table: &Table) -> Turns {
        let found = table.read(&["k".to_owned()], Deadline::after(Duration::from_secs(1))).await.unwrap();
        Turns::read(found[0].as_ref())
    }

    #[tokio::test]
    async fn who_does_not_come_back_is_not_waited_for() {
        let table = Table::memory();
        let mut turns = of(&["4", "5"]);
        turns.turn(id("4")).unwrap().until = now();
        assert!(written(&table, &mut turns).await);
        assert_eq!(order(found(&table).await), ["5"]);
    }

    #[tokio::test]
    async fn nobodys_change_is_lost() {
        let table = Table::memory();
        let mut one = found(&table).await;
        let mut other = one.clone();
        one.wait(id("5"));
        other.wait(id("6"));
        assert!(written(&table, &mut one).await);
        assert!(!written(&table, &mut other).await, "somebody else was first");
        other = found(&table).await;
        other.wait(id("6"));
        assert!(written(&table, &mut other).await);
        one.wait(id("7"));
        assert!(!written(&table, &mut one).await, "it has been changed since");
        assert_eq!(order(found(&table).await), ["5", "6"]);
        other.leave(id("5"));
        other.leave(id("6"));
        assert!(written(&table, &mut other).await, "whoever wrote it may go on from there");
        assert!(found(&table).await.version.is_none(), "nothing is left");
    }
}
