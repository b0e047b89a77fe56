//! SMS and WhatsApp webhooks: prove who sent one, and read it into the one form that the bridge works with.
//!
//! The way of a webhook: [`webhook::Webhook`] (what arrived) → [`webhook::Webhook::verify`] → [`webhook::Verified`] →
//! [`webhook::Verified::parse`] → [`message::Event`]s. And the way back: [`send::Text`] → a provider's request → what its
//! answer means. Nothing here knows of AWS clients, HTTP or the clock.
//!
//! To add a provider: its file (in the image of `twilio`), its `mod` line below, and one line in each `match` of
//! [`provider::Credentials`], where the compiler asks for them.

pub mod aws_sns;
mod form;
pub mod message;
pub mod meta;
pub mod opt_out;
pub mod provider;
pub mod segments;
pub mod send;
pub mod signalwire;
pub mod telnyx;
#[cfg(test)]
mod testing;
pub mod twilio;
pub mod url;
pub mod vonage;
pub mod vonage_messages;
pub mod webhook;
