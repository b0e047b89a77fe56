//! WhatsApp's 24 hours: when a customer wrote last, after which only templates reach them for longer.
//!
//! The time is recorded with the message, and looked at with the first part of a reply: neither needs a call of its own.

use crate::{
    deadline::{Deadline, now},
    error::Result,
    inbound::Inbound,
    sms::message::Channel,
    store::{
        conversations::{Store, requested_at},
        table::{Condition, Item, Write},
    },
};

const DAY: i64 = 24 * 60 * 60;

/// Section 7 of the design: the last message's time is kept for 30 days, and none on record counts as open.
const KEPT: i64 = 30 * DAY;

const SINCE: &str = "since";

/// What records that the customer wrote, for a call that writes more.
pub(super) fn opened_by(inbound: &Inbound) -> Option<Write> {
    // A time to come would keep it open for longer than WhatsApp does.
    let at = requested_at(inbound).min(now());
    (inbound.message.channel == Channel::Whatsapp).then(|| put(&inbound.group_id(), at))
}

/// A check that it is open, for a call that writes more.
pub(super) fn is_open(group_id: &str) -> Write {
    Write::check(window_key(group_id), Condition::AtLeast(SINCE, now() - DAY))
}

/// Whether a record says that it is closed.
pub(super) fn says_closed(record: &Item) -> bool {
    record.get_number(SINCE).is_some_and(|since| since < now() - DAY)
}

pub(super) fn window_key(group_id: &str) -> String {
    format!("window#{group_id}")
}

fn put(group_id: &str, since: i64) -> Write {
    Write::put(window_key(group_id), Item::default().number(SINCE, since).until(now() + KEPT))
}

impl Store {
    /// WhatsApp says that it is closed, whatever is on record: until the customer writes. One call.
    pub async fn close_window(&self, group_id: &str, deadline: Deadline) -> Result<()> {
        self.table.write(&[put(group_id, 0)], deadline).await.map(drop)
    }
}
