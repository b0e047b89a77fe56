//! SMS and WhatsApp: the providers' webhooks and send APIs, and the one normal form that the bridge works with.
//!
//! The way of a webhook: [`webhook::Webhook`] (what arrived) → [`crate::verified::Verified`] (an account's secret matches)
//! → [`event::Event`]s. The way back: [`send::Outbound`] → [`contract::Provider::request`] → [`crate::sender::Sender`],
//! which alone calls → [`contract::Provider::read_answer`]. Nothing here knows AWS clients or the clock.

pub mod basic;
mod binary;
pub mod certificate;
pub mod channel;
pub mod contract;
mod cxml;
mod cxml_status;
pub mod event;
pub(crate) mod form;
mod jwt;
pub mod lines;
pub mod media;
pub mod message;
pub mod number;
pub mod opt_out;
pub mod providers;
pub mod rejection;
pub mod segments;
pub mod send;
pub mod signal;
mod signature;
pub mod status;
pub mod webhook;
mod whatsapp;
mod whatsapp_menu;
mod whatsapp_status;
