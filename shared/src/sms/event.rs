//! What a webhook says: messages, what is ignored and why, and what the provider asks for itself.

use std::fmt;

use crate::{
    secret::Secret,
    sms::{message::Message, status::Status},
};

macro_rules! ignored {
    ($($name:ident => $word:literal, $meaning:literal;)*) => {
        /// Why a verified webhook, or a part of one, brings nothing to an agent. Whatever is no such case does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Ignored { $(#[doc = $meaning] $name,)* }

        impl Ignored {
            /// All of them: the table in `docs/messages.md`.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The words for the log.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// What it is, for the documentation.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)* }
            }
        }
    };
}

ignored! {
    Status => "status", "a report on a reply of ours that names no text, or no state that we know";
    Reaction => "reaction", "an emoji set on a message";
    Typing => "typing", "the customer is writing, or has opened the conversation";
    System => "system message", "a notice of the provider: a changed number, for one";
    Group => "group message", "a message of a group, to which no reply could be private";
    Outbound => "not inbound", "a copy of what we sent";
    Call => "a call", "a phone call";
    Channel => "unsupported channel", "another network than SMS, MMS, WhatsApp and RCS";
    Binary => "binary message", "bytes for a program on a phone: they are no text";
    OtherEvent => "not a received message", "an event that is about something else than a message";
    Empty => "nothing in it", "a webhook without an event";
    Errors => "error report", "the provider's errors that belong to no message";
    Subscription => "unsubscribe confirmation", "SNS says that a subscription has ended, or what we don't know";
    Foreign => "not a provider's event", "text that is none of the provider's: a console's test message, for one";
    Malformed => "malformed message", "beside others, what lacks an id, a sender or a recipient";
}

/// What one part of a webhook says.
#[derive(Clone, PartialEq)]
pub enum Event {
    /// A customer wrote.
    Message(Box<Message>),
    /// What became of a text of ours.
    Status(Box<Status>),
    /// Authentic, and nothing for an agent. Answered as accepted.
    Ignored {
        /// For the log and a metric.
        reason: Ignored,
    },
    /// An SNS topic asks whether it may send here. Confirm with the API, never by fetching a URL.
    SubscriptionConfirmation {
        /// The topic, which is one of the account's.
        topic_arn: String,
        /// Proves to SNS that we got this.
        token: Secret,
    },
    /// Meta's handshake: the text to answer with.
    Challenge(String),
}

impl Event {
    /// An event that is no message.
    pub fn ignored(reason: Ignored) -> Self {
        Self::Ignored { reason }
    }

    /// The message, if it is one.
    pub fn message(&self) -> Option<&Message> {
        match self {
            Self::Message(message) => Some(message),
            Self::Status(_) | Self::Ignored { .. } | Self::SubscriptionConfirmation { .. } | Self::Challenge(_) => None,
        }
    }
}

impl From<Message> for Event {
    fn from(message: Message) -> Self {
        Self::Message(Box::new(message))
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(message) => message.fmt(f),
            Self::Status(status) => status.fmt(f),
            Self::Ignored { reason } => write!(f, "Ignored({})", reason.as_str()),
            Self::SubscriptionConfirmation { topic_arn, .. } => write!(f, "SubscriptionConfirmation({topic_arn})"),
            Self::Challenge(_) => f.write_str("Challenge"),
        }
    }
}
