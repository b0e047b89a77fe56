//! What the functions of connect-chat-bridge are made of.

pub mod error;
pub mod secret;

pub use error::{Error, Fault, Kind, Result};
pub use secret::Secret;
