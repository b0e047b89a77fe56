//! Which reply of a conversation may be sent, and which ones wait behind it.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{
    replies::ReplyId,
    table::{Item, now},
};

/// How long a reply that waits keeps others from overtaking it: longer than any of its waits.
const HELD: i64 = 20 * 60;

/// How long the lease is left to one that has lined up: longer than it takes to look at it again ([`in_turn`]), since
/// another copy of it may be done with already.
///
/// [`in_turn`]: crate::disposition::in_turn
const NEXT: i64 = 90;

/// The same for one whose sender died: longer than the queue takes to hand it over again, which is the 180 s of the
/// template's `VisibilityTimeout`.
const MISSED: i64 = 200;

/// Which reply of a conversation goes first. It is its sender's as long as that is at it; then it waits, for its own next try
/// or for the queue to hand it over again.
pub(super) struct Lease {
    /// The reply's item id.
    pub(super) item: String,
    /// Whose it is: one try's, or the reply's own.
    pub(super) by: String,
    /// Until when somebody may be at it, in Unix seconds.
    busy_until: i64,
    /// Until when it counts, in Unix seconds.
    until: i64,
    /// Those behind it.
    pub(super) line: Line,
}

impl Lease {
    /// Of somebody who is at the reply for this many seconds at most.
    pub(super) fn busy(id: ReplyId<'_>, by: &str, seconds: i64, line: Line) -> Self {
        let busy_until = now() + seconds;
        Self { item: id.item_id.to_owned(), by: by.to_owned(), busy_until, until: busy_until + MISSED, line }
    }

    /// Of a reply that is to be tried again.
    pub(super) fn kept(id: ReplyId<'_>, line: Line) -> Self {
        Self { item: id.item_id.to_owned(), by: id.item_id.to_owned(), busy_until: 0, until: now() + HELD, line }
    }

    /// Of the first one in the line, if there is one.
    pub(super) fn next(mut line: Line) -> Option<Self> {
        let (_, item) = line.0.pop_first()?;
        Some(Self { by: item.clone(), item, busy_until: 0, until: now() + NEXT, line })
    }

    /// The same, with one more behind it.
    pub(super) fn with_behind(&self, id: ReplyId<'_>) -> Self {
        let mut line = self.line.clone();
        line.0.insert((id.time.map_or(0, Timestamp::as_millisecond), id.item_id.to_owned()));
        Self { item: self.item.clone(), by: self.by.clone(), line, ..*self }
    }

    /// Whether somebody may be at it.
    pub(super) fn is_busy(&self) -> bool {
        self.busy_until > now()
    }

    pub(super) fn read(item: &Item) -> Option<Self> {
        Some(Self {
            item: item.get("item")?.to_owned(),
            by: item.get("by")?.to_owned(),
            busy_until: item.get_number("busy_until")?,
            until: item.get_until()?,
            line: item.get("line").map(Line::read).unwrap_or_default(),
        })
    }

    pub(super) fn write(&self) -> Item {
        Item::default()
            .text("item", &self.item)
            .text("by", &self.by)
            .number("busy_until", self.busy_until)
            .maybe("line", self.line.write().as_deref())
            .until(self.until)
    }
}

/// The replies that wait: when each was written, in Unix milliseconds, and its item id.
#[derive(Clone, Default)]
pub(super) struct Line(BTreeSet<(i64, String)>);

impl Line {
    /// Of rows `<time> <item id>`.
    fn read(rows: &str) -> Self {
        let place = |row: &str| row.split_once(' ').and_then(|(time, id)| Some((time.parse().ok()?, id.to_owned())));
        Self(rows.lines().filter_map(place).collect())
    }

    fn write(&self) -> Option<String> {
        let rows: Vec<_> = self.0.iter().map(|(time, id)| format!("{time} {id}")).collect();
        (!rows.is_empty()).then(|| rows.join("\n"))
    }
}
