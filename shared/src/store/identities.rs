//! A customer whom webhooks name by several ids: WhatsApp's id of the user beside a telephone number, either of which may come
//! alone before or after (`alt_ids` of a message).
//!
//! Each id has a record of the conversation. A webhook that names several ids joins them: from then on all their records are
//! written together, and whichever id comes next finds the same chat and the same opt-out. It costs no call more, since a read
//! and a write take several records.

use crate::{
    aws::session::Conversation,
    store::{
        conversations::{customer_key, opt_out_key, put_record, read_conversation},
        table::{Item, Write},
    },
};

/// What is on record of a customer, over all ids.
pub(super) struct Found {
    /// The last chat.
    pub conversation: Conversation,
    /// Whether the customer wants no messages.
    pub is_opted_out: bool,
    /// Whether the ids are not joined yet.
    pub is_to_join: bool,
}

/// The records to read: two for each group.
pub(super) fn keys(groups: &[String]) -> impl Iterator<Item = String> {
    groups.iter().flat_map(|group| [customer_key(group), opt_out_key(group)])
}

/// Reads what was found by [`keys`].
pub(super) fn read(groups: &[String], found: &mut impl Iterator<Item = Option<Item>>) -> Found {
    let mut records = Vec::new();
    let mut opt_outs = Vec::new();
    for _ in groups {
        records.push(found.next().flatten());
        opt_outs.push(found.next().flatten().map(|item| item.get_number("since").unwrap_or_default()));
    }
    let read = records.iter().map(|item| item.as_ref().map(|item| (item.get_until(), read_conversation(item))));
    let read: Vec<_> = read.collect();
    // An open chat before one that has ended, then the one that was written last, then that of the first id.
    let last = read.iter().flatten().rev().max_by_key(|(until, conversation)| (conversation.is_open(), *until));
    let mut conversation = last.map(|(_, conversation)| conversation.clone()).unwrap_or_default();
    let known_as = joined(groups, &conversation.known_as);
    let is_joined = |record: &Option<(Option<i64>, Conversation)>| {
        record.as_ref().is_some_and(|(_, known)| {
            known.contact_id == conversation.contact_id && known_as.iter().all(|id| known.known_as.contains(id))
        })
    };
    let is_to_join = groups.len() > 1 && !read.iter().all(is_joined);
    if known_as.len() > 1 {
        conversation.known_as = known_as;
    }
    conversation.opt_out_to_copy =
        opt_outs.iter().flatten().max().copied().filter(|_| opt_outs.iter().any(Option::is_none));
    Found {
        is_opted_out: opt_outs.iter().any(Option::is_some),
        is_to_join: is_to_join || conversation.opt_out_to_copy.is_some(),
        conversation,
    }
}

/// The groups, and the others that the customer is known by.
pub(super) fn joined(groups: &[String], known_as: &[String]) -> Vec<String> {
    let mut all = groups.to_vec();
    for id in known_as {
        if !all.contains(id) {
            all.push(id.clone());
        }
    }
    all
}

/// Writes the conversation under every id.
pub(super) fn put(group_id: &str, conversation: &Conversation) -> Vec<Write> {
    let groups = joined(&[group_id.to_owned()], &conversation.known_as);
    let opt_outs = conversation.opt_out_to_copy.into_iter().flat_map(|since| {
        let copy = move |group: &String| Write::put(opt_out_key(group), Item::default().number("since", since));
        groups.iter().map(copy)
    });
    groups.iter().map(|group| put_record(group, conversation)).chain(opt_outs).collect()
}
