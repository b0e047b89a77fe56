//! What the providers' ways of signing share, apart from the code under test.

use aws_lc_rs::{digest, hmac as mac};
use shared::sms::webhook::Webhook;

use super::input::Input;

/// What the accounts have.
pub(super) const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// What they have not.
pub(super) const STRANGERS: &str = "0123456789abcdef0123456789abcdee";
/// How old a signature may be, where one has a time.
const MAX_AGE: u16 = 300;

/// Whether the signature's time is one that is accepted.
pub(crate) fn is_timely(input: &Input<'_>) -> bool {
    input.age.unsigned_abs() <= MAX_AGE
}

/// Sets a header.
pub(crate) fn set(webhook: &mut Webhook, name: &'static str, value: &str) {
    webhook.headers.insert(name, value.parse().unwrap());
}

pub(crate) fn hmac_of(algorithm: mac::Algorithm, secret: &str, signed: impl AsRef<[u8]>) -> Vec<u8> {
    mac::sign(&mac::Key::new(algorithm, secret.as_bytes()), signed.as_ref()).as_ref().to_vec()
}

pub(crate) fn sha1(secret: &str, signed: impl AsRef<[u8]>) -> Vec<u8> {
    hmac_of(mac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret, signed)
}

pub(crate) fn sha256(secret: &str, signed: impl AsRef<[u8]>) -> Vec<u8> {
    hmac_of(mac::HMAC_SHA256, secret, signed)
}

/// The hash of a body, in hexadecimal digits.
pub(crate) fn sha256_of(body: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, body))
}

/// The parameters of a form or query.
pub(crate) fn pairs(input: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(input).into_owned().collect()
}
