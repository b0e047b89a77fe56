//! The `ClientToken` that makes a call of Connect idempotent.

use aws_lc_rs::digest;
use serde::Serialize;

use crate::{
    chat::Chat,
    error::{Error, Result},
    secret::Secret,
};

/// A key shorter than this is too easy to meet twice by chance: it is not used.
pub const KEY_MIN_CHARS: usize = 16;

/// Everything that must be equal for two requests to be one.
#[derive(Serialize)]
struct Identity<'a> {
    /// So that another meaning of these fields can never give an old token.
    version: u8,
    key: &'a str,
    #[serde(flatten)]
    request: &'a Request<'a>,
}

/// A validated request: who sent it, from where, and what it asks for.
#[derive(Serialize)]
pub struct Request<'a> {
    /// The page's origin.
    pub origin: Option<&'a str>,
    /// Whether the rest is signed: then `subject` and the chat's customer are the signer's words.
    pub is_signed: bool,
    /// The signed token's `sub`.
    pub subject: Option<&'a str>,
    /// The chat to start.
    pub chat: &'a Chat,
}

impl Request<'_> {
    /// A digest that equal requests share.
    pub fn digest(&self) -> Result<String> {
        sha256(self)
    }
}

/// A caller's idempotency key: the first that is long enough, of those that a request may have.
pub fn key(candidates: [Option<&str>; 2]) -> Option<&str> {
    candidates.into_iter().flatten().find(|key| key.chars().count() >= KEY_MIN_CHARS)
}

/// The token to send to Connect. A caller's [`key`] is hashed with all that the request asks for and where it comes from, so
/// that no other request can be answered with an earlier one's participant token. The very same request with the same key
/// is the same chat, whoever sends it, so keys must be random. A request without one gets a random token.
pub fn client_token(key: Option<&str>, request: &Request<'_>) -> Result<String> {
    let Some(key) = key else { return Ok(uuid::Uuid::new_v4().to_string()) };
    sha256(&Identity { version: 2, key, request })
}

/// The `ClientToken` of leaving a chat: one for each participant.
pub fn of_disconnect(connection_token: &Secret) -> String {
    hex::encode(digest::digest(&digest::SHA256, connection_token.expose().as_bytes()))
}

/// JSON delimits its parts, so no two identities run together into one text.
fn sha256(value: &impl Serialize) -> Result<String> {
    let text = serde_json::to_vec(value).map_err(Error::internal)?;
    Ok(hex::encode(digest::digest(&digest::SHA256, &text)))
}
