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

/// The token to send to Connect. A caller's `key` of at least [`KEY_MIN_CHARS`] is hashed with all that the request asks
/// for and where it comes from, so that nobody who learns or guesses a key can be answered with another's participant
/// token; any other request gets a random token.
pub fn client_token(key: Option<&str>, request: &Request<'_>) -> Result<String> {
    let Some(key) = key.filter(|key| key.chars().count() >= KEY_MIN_CHARS) else {
        return Ok(uuid::Uuid::new_v4().to_string());
    };
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
