//! The choices that a message offers: what a customer sees of them, what Connect gets for each, what is remembered, and how
//! an answer is read.
//!
//! The way of a menu: [`crate::reply`] reads it from Connect's template and sends it, by the channel's own means or as
//! numbered text → [`crate::store`] remembers it as a [`Menu`] → [`crate::deliver`] reads the customer's next message by it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::sms::opt_out::folded;

/// What is shown where there is something to choose and nothing else to read.
pub const REPLY: &str = "Reply with your choice.";

/// How long a menu takes numbers and titles, in milliseconds.
const OPEN: i64 = 24 * 60 * 60 * 1000;

/// One choice. Not `Debug`: flows may put a customer's own data into a menu.
#[derive(Clone, Deserialize, Serialize, PartialEq, Eq)]
pub struct Choice {
    /// What the customer sees: one line of plain text.
    pub title: String,
    /// The template's own title, where that differs: it has Markdown or line ends, or is the date of a time slot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<String>,
    /// What is shown beside the title.
    #[serde(skip)]
    pub detail: Option<String>,
    /// The title of the card or section that it stands in.
    #[serde(skip)]
    pub group: Option<String>,
    /// What Connect gets where it is chosen.
    pub answer: Answer,
}

/// What Connect gets for a choice: what its own chat widget sends.
#[derive(Clone, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// A plain text: a title, a slot's date, or a carousel's JSON.
    Text(String),
    /// An interactive response: another page of a list is asked for.
    Action(String),
}

impl Choice {
    fn is_called(&self, folded_text: &str) -> bool {
        [Some(&self.title), self.written.as_ref()].into_iter().flatten().any(|title| comparable(title) == folded_text)
    }
}

/// A message with choices, on its way to a customer.
pub struct Prompt {
    /// Names it in the ids of its choices: 32 hexadecimal digits.
    pub id: String,
    /// What is to be read before choosing. Never blank.
    pub body: String,
    /// What there is to choose, if there is anything.
    pub choices: Vec<Choice>,
    /// WhatsApp's own form of it, where the flow wrote that: the ids of its choices are the flow's.
    pub whatsapp: Option<Value>,
}

impl Prompt {
    /// The choices with the ids that they are sent with.
    pub fn with_ids(&self) -> impl Iterator<Item = (String, &Choice)> {
        (1..).zip(&self.choices).map(|(number, choice)| (format!("{}.{number}", self.id), choice))
    }

    /// What is remembered of it, once it is sent.
    pub fn menu(&self, contact_id: &str, since: i64, is_numbered: bool) -> Menu {
        Menu {
            id: self.id.clone(),
            contact_id: contact_id.to_owned(),
            since,
            is_numbered,
            choices: self.choices.clone(),
        }
    }
}

/// A message with choices that a customer was sent.
#[derive(Clone, Deserialize, Serialize)]
pub struct Menu {
    /// As in [`Prompt::id`].
    pub id: String,
    /// The chat that it was said in: its `InitialContactId`.
    #[serde(rename = "contact")]
    pub contact_id: String,
    /// When it was sent, in Unix milliseconds.
    pub since: i64,
    /// The customer was shown numbers.
    #[serde(rename = "numbered")]
    pub is_numbered: bool,
    /// In the order in which they were shown.
    pub choices: Vec<Choice>,
}

impl Menu {
    /// Whether a text that came at this moment may answer it. What had come before the menu was sent does not.
    pub fn is_open(&self, at: i64) -> bool {
        (0..=OPEN).contains(&at.saturating_sub(self.since))
    }

    /// The choice that a text means: a title, or a number where numbers were shown. A title wins, and one that two choices
    /// share means neither.
    pub fn by_text(&self, text: &str) -> Option<&Choice> {
        let text = comparable(text);
        let mut called = self.choices.iter().filter(|choice| choice.is_called(&text));
        match (called.next(), called.next()) {
            (Some(choice), None) => Some(choice),
            (Some(_), Some(_)) => None,
            (None, _) => self.choices.get(number(&text).filter(|_| self.is_numbered)?.checked_sub(1)?),
        }
    }

    /// The choice of an id that it was sent with.
    pub fn by_id(&self, id: &str) -> Option<&Choice> {
        let number = id.strip_prefix(&self.id)?.strip_prefix('.')?;
        self.choices.get(whole_number(number)?.checked_sub(1)?)
    }
}

/// The menu that the id of a choice names, if it is one of ours.
pub fn menu_of(choice_id: &str) -> Option<&str> {
    let (menu, number) = choice_id.split_once('.')?;
    let is_ours =
        menu.len() == 32 && menu.bytes().all(|byte| byte.is_ascii_hexdigit()) && whole_number(number).is_some();
    is_ours.then_some(menu)
}

/// What answers and titles are compared by.
fn comparable(text: &str) -> String {
    folded(text).trim().to_owned()
}

/// `2`, `2.`, `2)`, `(2)` or `#2`.
fn number(text: &str) -> Option<usize> {
    let in_brackets = || text.strip_prefix('(')?.strip_suffix(')');
    let number = text.strip_prefix('#').or_else(in_brackets).or_else(|| text.strip_suffix(['.', ')']));
    whole_number(number.unwrap_or(text))
}

/// From 1, without sign or leading zeros.
fn whole_number(text: &str) -> Option<usize> {
    let is_plain = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

#[cfg(test)]
mod tests;
