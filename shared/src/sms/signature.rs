//! What the signatures of several providers have in common.

/// Hex as SignalWire writes it; another case is another text, to its SDKs too.
pub(super) fn lower_hex(text: &str) -> Option<Vec<u8>> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) { None } else { hex::decode(text).ok() }
}
