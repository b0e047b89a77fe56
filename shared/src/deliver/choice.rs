//! What Connect gets of a customer's message in a chat that is open: the choice that it answers, or its words.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    chat::{Content, INTERACTIVE_RESPONSE, TEXT_PLAIN},
    choices::{Answer, Choice, Menu},
    deliver::contact::{agent_text, cut},
    inbound::Inbound,
    queue::batch::Receipt,
    store::menus::Menus,
};

/// What a message says in a chat.
pub(super) struct Saying {
    /// What it is said as.
    pub(super) content: Content,
    /// The menu that it answers.
    pub(super) menu_id: Option<String>,
}

impl Saying {
    /// The message's own words.
    pub(super) fn words(inbound: &Inbound) -> Self {
        Self { content: plain(agent_text(inbound)), menu_id: None }
    }

    /// What it says in the chat of this id, where the menu of the other id has been answered.
    pub(super) fn of(
        inbound: &Inbound,
        menus: &Menus,
        contact_id: Option<&str>,
        answered: Option<&str>,
        receipt: Receipt<'_>,
    ) -> Self {
        let Some((menu, choice)) = chosen(inbound, menus, contact_id, answered, arrival(receipt)) else {
            return Self::words(inbound);
        };
        let content = match &choice.answer {
            _ if has_more(inbound) => plain(with_title(inbound, choice)),
            Answer::Text(text) => plain(cut(text.clone())),
            Answer::Action(json) => Content { content_type: INTERACTIVE_RESPONSE.to_owned(), content: json.clone() },
        };
        Self { content, menu_id: Some(menu.id.clone()) }
    }

    /// Whether it is no text.
    pub(super) fn is_action(&self) -> bool {
        self.content.content_type != TEXT_PLAIN
    }
}

fn plain(text: String) -> Content {
    Content { content_type: TEXT_PLAIN.to_owned(), content: text }
}

/// When the message came to the queue, in Unix milliseconds.
fn arrival(receipt: Receipt<'_>) -> i64 {
    let age = |age: Duration| i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
    Timestamp::now().as_millisecond().saturating_sub(age(receipt.age))
}

/// The choice that a message means in this chat: by an id of ours, else by the text of a message that is nothing else.
fn chosen<'a>(
    inbound: &Inbound,
    menus: &'a Menus,
    contact_id: Option<&str>,
    answered: Option<&str>,
    at: i64,
) -> Option<(&'a Menu, &'a Choice)> {
    let is_of_this_chat = |menu: &&Menu| contact_id == Some(menu.contact_id.as_str());
    let by_id = || {
        let menu = menus.named.as_ref().filter(is_of_this_chat)?;
        Some((menu, menu.by_id(inbound.message.button_payload.as_deref()?)?))
    };
    let by_text = || {
        let menu = menus.last.as_ref().filter(is_of_this_chat)?;
        let is_open = menu.is_open(at) && answered != Some(menu.id.as_str()) && !has_more(inbound);
        Some((menu, menu.by_text(&inbound.message.text).filter(|_| is_open)?))
    };
    by_id().or_else(by_text)
}

/// Whether the agent reads more of it than its text.
fn has_more(inbound: &Inbound) -> bool {
    let message = &inbound.message;
    message.described || !message.media.is_empty() || message.location.is_some() || message.referral.is_some()
}

/// The choice, and what else came with it.
fn with_title(inbound: &Inbound, choice: &Choice) -> String {
    let mut inbound = inbound.clone();
    inbound.message.text.clone_from(&choice.title);
    // The title is the flow's, so no note can be made of it.
    inbound.message.described = true;
    agent_text(&inbound)
}

#[cfg(test)]
mod tests;
