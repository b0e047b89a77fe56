//! What the functions of connect-chat-bridge are made of.
//!
//! `widget` and `sms` know nothing of AWS clients, `aws` nothing of HTTP requests; the functions join them.

pub mod aws;
pub mod chat;
pub mod choices;
pub mod config;
pub mod deadline;
pub mod deliver;
pub mod digest;
pub mod error;
pub(crate) mod fields;
pub mod gateway;
pub mod inbound;
pub mod inbound_status;
pub(crate) mod json;
pub mod media;
pub mod mend;
pub(crate) mod notes;
pub mod origin;
pub mod queue;
pub mod reply;
pub mod retry;
pub mod secret;
pub mod sender;
pub mod settings;
pub mod sms;
pub mod store;
pub mod telemetry;
pub mod tell;
#[cfg(test)]
mod testing;
pub mod url;
pub mod verified;
pub mod widget;

pub use error::{Error, Fault, Kind, Result};
pub use secret::Secret;
