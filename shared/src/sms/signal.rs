//! What happens in a chat beside words, for the channels that ask for it
//! ([`super::contract::Facts::takes_signals`]).

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalKind {
    /// An agent is typing.
    Typing,
    /// The chat has ended, whoever ended it.
    End,
}

/// One signal to one customer. Not `Debug`.
#[derive(Clone, Copy)]
pub struct Signal<'a> {
    /// What happens.
    pub kind: SignalKind,
    /// Our address.
    pub from: &'a str,
    /// The customer's address.
    pub to: &'a str,
    /// Connect's id of the chat.
    pub contact_id: &'a str,
    /// The same whenever this signal is sent again, and of no other: 64 hexadecimal digits.
    pub key: &'a str,
}
