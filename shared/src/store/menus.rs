//! What is remembered of the choices that customers were offered.
//!
//! `menu#<group id>` is the last message with choices, whose numbers and titles may be answered; one without choices takes its
//! place as well. `choices#<menu id>` is one that was sent with ids, which count for longer. Both are written with the reply's
//! own record, and read with the customer's: neither costs a call.

use crate::{
    aws::session::Conversation,
    choices::{Menu, menu_of},
    deadline::{Deadline, now},
    error::Result,
    inbound::Inbound,
    store::{
        conversations::{Store, customer_key, read_conversation},
        table::{Item, Write},
    },
};

const DAY: i64 = 24 * 60 * 60;

/// Longer than a menu is open: an answer may wait in the queue.
const MENU_KEPT: i64 = 15 * DAY;

/// Section 7 of the design: ids count for 30 days.
const IDS_KEPT: i64 = 30 * DAY;

/// The menus that a message may answer.
#[derive(Default)]
pub struct Menus {
    /// The customer's last one.
    pub last: Option<Menu>,
    /// The one whose choice the message names by its id.
    pub named: Option<Menu>,
}

/// A menu that was sent.
#[derive(Clone, Copy)]
pub struct SentMenu<'a> {
    /// The menu.
    pub menu: &'a Menu,
    /// Its choices have ids.
    pub has_ids: bool,
}

impl Store {
    /// Records that a menu may have been sent: one call.
    pub async fn put_menu(&self, group_id: &str, sent: SentMenu<'_>, deadline: Deadline) -> Result<()> {
        self.table.write(&writes(group_id, sent)?, deadline).await.map(drop)
    }

    /// The customer's last chat, and what the message may answer: one call.
    pub async fn menus(&self, inbound: &Inbound, deadline: Deadline) -> Result<(Conversation, Menus)> {
        let group_id = inbound.group_id();
        let keys: Vec<_> = std::iter::once(customer_key(&group_id)).chain(keys(&group_id, inbound)).collect();
        let mut found = self.table.read(&keys, deadline).await?.into_iter();
        let conversation = found.next().flatten().map(|item| read_conversation(&item)).unwrap_or_default();
        Ok((conversation, read(found)))
    }
}

/// The keys of the menus that a message may answer, one or two.
pub(super) fn keys(group_id: &str, inbound: &Inbound) -> impl Iterator<Item = String> {
    let named = inbound.message.button_payload.as_deref().and_then(menu_of).map(choices_key);
    std::iter::once(menu_key(group_id)).chain(named)
}

/// What stands under [`keys`].
pub(super) fn read(mut items: impl Iterator<Item = Option<Item>>) -> Menus {
    let mut next = || serde_json::from_str(items.next()??.get("menu")?).ok();
    Menus { last: next(), named: next() }
}

/// What is to be written of a menu.
pub(super) fn writes(group_id: &str, sent: SentMenu<'_>) -> Result<Vec<Write>> {
    let text = serde_json::to_string(sent.menu).map_err(crate::Error::internal)?;
    // By the chat's id, an owner who erases a customer finds it.
    let item = Item::default().text("menu", text).text("contact", &sent.menu.contact_id);
    let mut writes = vec![Write::put(menu_key(group_id), item.clone().until(now() + MENU_KEPT))];
    if sent.has_ids {
        writes.push(Write::put(choices_key(&sent.menu.id), item.until(now() + IDS_KEPT)));
    }
    Ok(writes)
}

fn menu_key(group_id: &str) -> String {
    format!("menu#{group_id}")
}

fn choices_key(menu_id: &str) -> String {
    format!("choices#{menu_id}")
}
