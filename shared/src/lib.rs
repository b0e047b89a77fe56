//! What the functions of connect-chat-bridge are made of.
//!
//! `widget` and `sms` know nothing of AWS clients, `aws` nothing of HTTP requests; the functions join them.

pub mod aws;
pub mod batch;
pub mod chat;
pub mod config;
pub mod conversation;
pub mod deadline;
pub mod disposition;
pub mod error;
pub mod gateway;
pub mod inbound;
pub mod reply;
pub mod retry;
pub mod secret;
pub mod sender;
pub mod settings;
pub mod sms;
pub mod telemetry;
pub mod widget;

pub use error::{Error, Fault, Kind, Result};
pub use secret::Secret;
