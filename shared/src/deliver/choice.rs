//! What Connect gets of a customer's message in a chat that is open: the choice that it answers, or its words.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    aws::{participant::Said, session::Conversation},
    chat::{Content, INTERACTIVE_RESPONSE, TEXT_PLAIN},
    choices::{Answer, Choice, Menu},
    deadline::Deadline,
    deliver::{
        Conversations,
        contact::{agent_text, cut},
    },
    error::{Kind, Result},
    inbound::Inbound,
    queue::batch::Receipt,
    store::menus::Menus,
    telemetry::Report,
};

/// What a bot of Connect's (Amazon Lex) takes of a message: "Amazon Connect service quotas".
const BOT_CHARS: usize = 1024;

/// Puts a message into words; none: nothing is said of it here.
pub(super) type InWords = fn(&Inbound) -> Option<String>;

/// What a message says in a chat.
#[derive(Default)]
pub(super) struct Saying {
    /// What it is said as; none: nothing is said.
    pub(super) content: Option<Content>,
    /// The menu that it answers.
    pub(super) menu_id: Option<String>,
}

impl Saying {
    /// The message's own words.
    pub(super) fn words(inbound: &Inbound, in_words: InWords) -> Self {
        Self { content: in_words(inbound).map(plain), menu_id: None }
    }

    /// What it says in the chat of this id, where the menu of the other id has been answered.
    pub(super) fn of(
        inbound: &Inbound,
        menus: &Menus,
        contact_id: Option<&str>,
        answered: Option<&str>,
        receipt: Receipt<'_>,
        in_words: InWords,
    ) -> Self {
        let Some((menu, choice)) = chosen(inbound, menus, contact_id, answered, arrival(receipt)) else {
            return Self::words(inbound, in_words);
        };
        let content = match &choice.answer {
            _ if has_more(inbound) => in_words(&with_title(inbound, choice)).map(plain),
            Answer::Text(text) => Some(plain(cut(text.clone()))),
            Answer::Action(json) => {
                Some(Content { content_type: INTERACTIVE_RESPONSE.to_owned(), content: json.clone() })
            }
        };
        Self { content, menu_id: Some(menu.id.clone()) }
    }

    /// Whether it is no text.
    pub(super) fn is_action(&self) -> bool {
        self.content.as_ref().is_some_and(|content| content.content_type != TEXT_PLAIN)
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

/// The message with the choice as its text.
fn with_title(inbound: &Inbound, choice: &Choice) -> Inbound {
    let mut inbound = inbound.clone();
    inbound.message.text.clone_from(&choice.title);
    // The title is the flow's, so no note can be made of it.
    inbound.message.described = true;
    inbound
}

impl Conversations {
    /// Says the message in the open chat. A chat that was started by an earlier version takes no interactive response: there it
    /// is the customer's words.
    pub(super) async fn say(
        &self,
        inbound: &Inbound,
        conversation: &mut Conversation,
        saying: &Saying,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<Said> {
        let Some(content) = &saying.content else { return Ok(Said::Yes) };
        let token = inbound.client_token(&["message"]);
        let said = self.participants.say_as(conversation, content, &token, deadline, report).await;
        match said {
            Err(error) if error.kind() == Kind::ConnectRejected && saying.is_action() => {
                report.note("Connect refused an interactive response: the customer's words are said");
                let token = inbound.client_token(&["message", "words"]);
                self.participants.say(conversation, &agent_text(inbound), &token, deadline, report).await
            }
            Err(error) => {
                if error.kind() == Kind::ConnectRejected && content.content.chars().count() > BOT_CHARS {
                    report.note("Connect refused a text of more than 1,024 characters, the most that its bots take");
                }
                Err(error)
            }
            said => said,
        }
    }
}

#[cfg(test)]
mod tests;
