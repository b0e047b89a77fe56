//! What became of a text of ours: how providers report it, and what their codes mean to an agent.
//!
//! A provider's 2xx says "accepted". Whether the phone got the text comes later, as a webhook: each provider's
//! `statuses.rs` reads it into a [`Status`], and holds its codes as a [`Codes`].

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::sms::{
    event::{Event, Ignored},
    message::utc,
};

/// More than any provider's message id has.
const ID_BYTES: usize = 512;

/// How much of a reason of the owner's own channel an agent reads.
const REASON_CHARS: usize = 200;

/// How far a text is. It only goes forward, in this order: what was delivered can't fail any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// On its way.
    Sent,
    /// It will not arrive.
    Failed,
    /// The phone has it.
    Delivered,
    /// The customer has seen it.
    Read,
}

impl State {
    /// Its name in queue items and in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Delivered => "delivered",
            Self::Read => "read",
        }
    }
}

macro_rules! meanings {
    ($($name:ident => $code:literal, $words:literal;)*) => {
        /// What a failure means to the agent.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Meaning { $(#[doc = $words] $name,)* }

        impl Meaning {
            /// All of them: the table in `docs/messages.md`.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// For metrics, which must not have a dimension for each code of each provider.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// What the agent reads.
            pub fn words(self) -> &'static str {
                match self { $(Self::$name => $words,)* }
            }
        }
    };
}

meanings! {
    NoTexts => "NO_TEXTS", "the number can't receive texts";
    Gone => "NOT_IN_SERVICE", "the number is not in service";
    Unsubscribed => "UNSUBSCRIBED", "the customer blocked or unsubscribed";
    Spam => "SPAM", "filtered as spam by the carrier";
    NotOnWhatsapp => "NOT_ON_WHATSAPP", "not on WhatsApp";
    WindowClosed => "WINDOW_CLOSED", "WhatsApp's 24 hours are over";
    Account => "ACCOUNT", "refused by the provider's account settings";
    TryLater => "TRY_LATER", "try again later";
    Undelivered => "UNDELIVERED", "not delivered by the carrier";
}

/// A provider's codes.
#[derive(Debug)]
pub struct Codes {
    /// What they mean. What is not listed is [`Meaning::Undelivered`].
    pub meanings: &'static [(Meaning, &'static [&'static str])],
    /// The customer has told the provider that no texts are wanted: an opt-out, which is recorded as one.
    pub opt_outs: &'static [&'static str],
}

impl Codes {
    /// What a code means.
    pub fn meaning(&self, code: &str) -> Meaning {
        if self.is_opt_out(code) {
            return Meaning::Unsubscribed;
        }
        let found = self.meanings.iter().find(|(_, codes)| codes.contains(&code));
        found.map_or(Meaning::Undelivered, |(meaning, _)| *meaning)
    }

    /// Whether a code is an opt-out.
    pub fn is_opt_out(&self, code: &str) -> bool {
        self.opt_outs.contains(&code)
    }
}

/// What a provider says of a text that it took.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The provider's id of the text.
    pub message_id: String,
    /// How far it is.
    pub state: State,
    /// The provider's own code of a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What that means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meaning: Option<Meaning>,
    /// The code says that the customer has opted out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_opt_out: bool,
    /// Why it failed, in the words of a channel of the owner's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it came about: RFC 3339 in UTC. Never invented.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// The accounts whose secret verified it ([`crate::verified::Verified::parse`]): only a text of one of them is meant.
    #[serde(default)]
    pub accounts: Vec<String>,
    /// What the provider signed for this webhook only, where its signature leaves the body out: see
    /// [`crate::inbound_status::InboundStatus::once`].
    #[serde(skip)]
    pub signed_once: Option<String>,
}

impl Status {
    /// That a text has come so far.
    pub fn new(message_id: impl Into<String>, state: State) -> Self {
        Self {
            message_id: message_id.into(),
            state,
            code: None,
            meaning: (state == State::Failed).then_some(Meaning::Undelivered),
            is_opt_out: false,
            reason: None,
            at: None,
            accounts: Vec::new(),
            signed_once: None,
        }
    }

    /// The same, with the code of a failure. Of other states codes say nothing.
    #[must_use]
    pub fn with_code(mut self, code: Option<&str>, codes: &Codes) -> Self {
        if let Some(code) = code.map(str::trim).filter(|code| !code.is_empty())
            && self.state == State::Failed
        {
            self.code = Some(code.to_owned());
            self.meaning = Some(codes.meaning(code));
            self.is_opt_out = codes.is_opt_out(code);
        }
        self
    }

    /// The same, with a time.
    #[must_use]
    pub fn at(mut self, time: Option<Timestamp>) -> Self {
        self.at = time.map(utc);
        self
    }

    /// The same, with the words of a channel of the owner's own.
    #[must_use]
    pub fn because(mut self, reason: Option<&str>) -> Self {
        let reason = reason.map(|reason| reason.split_whitespace().collect::<Vec<_>>().join(" "));
        self.reason =
            reason.filter(|reason| !reason.is_empty()).map(|reason| reason.chars().take(REASON_CHARS).collect());
        self
    }

    /// What the agent reads of a failure.
    pub fn why(&self) -> &str {
        self.reason.as_deref().unwrap_or_else(|| self.meaning.unwrap_or(Meaning::Undelivered).words())
    }
}

/// What a provider's report comes to: a status where it names a text and a state that we know.
pub(super) fn event(message_id: Option<&str>, state: Option<State>, rest: impl FnOnce(Status) -> Status) -> Event {
    let message_id = message_id.map(str::trim).filter(|id| (1..=ID_BYTES).contains(&id.len()));
    match (message_id, state) {
        (Some(id), Some(state)) => Event::Status(Box::new(rest(Status::new(id, state)))),
        _ => Event::ignored(Ignored::Status),
    }
}

/// Says nothing that could be a number or somebody's words.
impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Status")
            .field("state", &self.state)
            .field("meaning", &self.meaning)
            .field("is_opt_out", &self.is_opt_out)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODES: Codes = Codes { meanings: &[(Meaning::Spam, &["7", "8"])], opt_outs: &["9"] };

    #[test]
    fn a_code_counts_for_failures_only() {
        let failed = |code| Status::new("1", State::Failed).with_code(code, &CODES);
        for (code, meaning, is_opt_out) in [
            (Some("7"), Meaning::Spam, false),
            (Some(" 8 "), Meaning::Spam, false),
            (Some("9"), Meaning::Unsubscribed, true),
            (Some("10"), Meaning::Undelivered, false),
            (Some(""), Meaning::Undelivered, false),
            (None, Meaning::Undelivered, false),
        ] {
            let status = failed(code);
            assert_eq!((status.meaning, status.is_opt_out), (Some(meaning), is_opt_out), "{code:?}");
            assert_eq!(status.why(), meaning.words());
        }
        let delivered = Status::new("1", State::Delivered).with_code(Some("9"), &CODES);
        assert_eq!(delivered, Status::new("1", State::Delivered));
    }

    #[test]
    fn a_reason_stands_for_the_meaning_and_is_short() {
        let status = Status::new("1", State::Failed).because(Some(&format!(" no\n such {}", "x".repeat(300))));
        assert!(status.why().starts_with("no such xxx") && status.why().chars().count() == 200);
        assert_eq!(Status::new("1", State::Failed).because(Some(" \n")).why(), "not delivered by the carrier");
    }

    #[test]
    fn states_go_forward_in_their_order() {
        assert!(State::Sent < State::Failed && State::Failed < State::Delivered && State::Delivered < State::Read);
        for (state, word) in [(State::Sent, "sent"), (State::Failed, "failed"), (State::Read, "read")] {
            assert_eq!(serde_json::to_value(state).unwrap(), word);
            assert_eq!(state.as_str(), word);
        }
    }

    #[test]
    fn the_documentation_lists_the_meanings() {
        let documentation = include_str!("../../../docs/messages.md");
        for meaning in Meaning::ALL {
            let (words, code) = (format!("\n| {} |", meaning.words()), format!("| `{}` |", meaning.code()));
            assert!(documentation.contains(&words) && documentation.contains(&code), "{words} {code}");
        }
    }

    #[test]
    fn what_names_no_text_or_no_state_is_ignored() {
        let whole = |id, state| event(id, state, |status| status);
        assert!(matches!(whole(Some("1"), Some(State::Read)), Event::Status(_)));
        let long = "x".repeat(ID_BYTES + 1);
        for (id, state) in
            [(None, Some(State::Read)), (Some(" "), Some(State::Read)), (Some(&*long), Some(State::Read))]
        {
            assert_eq!(whole(id, state), Event::ignored(Ignored::Status));
        }
        assert_eq!(whole(Some("1"), None), Event::ignored(Ignored::Status));
    }
}
