//! What the signatures of several providers have in common.

use aws_lc_rs::{
    constant_time,
    digest::{SHA256, digest},
};

/// Hex as SignalWire writes it; another case is another text, to its SDKs too.
pub(super) fn lower_hex(text: &str) -> Option<Vec<u8>> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) { None } else { hex::decode(text).ok() }
}

/// Whether `given` is the hexadecimal SHA-256 of `content`.
pub(super) fn is_hash_of(given: &str, content: &[u8]) -> bool {
    let given = hex::decode(given).unwrap_or_default();
    constant_time::verify_slices_are_equal(digest(&SHA256, content).as_ref(), &given).is_ok()
}
