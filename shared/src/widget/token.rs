//! The `ClientToken` that makes a chat start idempotent.

use aws_lc_rs::digest;
use serde::Serialize;

use crate::{
    chat::Chat,
    error::{Error, Result},
};

/// A key shorter than this is too easy to meet twice by chance: it is not used.
pub const KEY_MIN_CHARS: usize = 16;

/// Everything that must be equal for two requests to be one.
#[derive(Serialize)]
struct Identity<'a> {
    /// So that another meaning of these fields can never give an old token.
    version: u8,
    key: &'a str,
    origin: Option<&'a str>,
    chat: &'a Chat,
}

/// The token to send to Connect. A caller's `key` of at least [`KEY_MIN_CHARS`] is hashed with all that the request asks
/// for and where it comes from, so that nobody who learns or guesses a key can be answered with another's participant
/// token; any other request gets a random token.
pub fn client_token(key: Option<&str>, origin: Option<&str>, chat: &Chat) -> Result<String> {
    let Some(key) = key.filter(|key| key.chars().count() >= KEY_MIN_CHARS) else {
        return Ok(uuid::Uuid::new_v4().to_string());
    };
    // JSON delimits its parts, so no two identities run together into one text.
    let identity = serde_json::to_vec(&Identity { version: 1, key, origin, chat }).map_err(Error::internal)?;
    Ok(hex::encode(digest::digest(&digest::SHA256, &identity)))
}
