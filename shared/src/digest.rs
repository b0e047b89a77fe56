//! Digests that stand for what must not be seen by tooling.

use aws_lc_rs::digest;

/// Hex SHA-256 of the parts, delimited as a JSON list, so that no two lists run together: ids are seen by tooling, and no
/// phone number may stand in them.
pub(crate) fn hash(parts: &[&str]) -> String {
    let list = serde_json::Value::from(parts).to_string();
    hex::encode(digest::digest(&digest::SHA256, list.as_bytes()))
}

/// Hex SHA-256 of one text.
pub(crate) fn sha256_hex(text: &str) -> String {
    hex::encode(digest::digest(&digest::SHA256, text.as_bytes()))
}
