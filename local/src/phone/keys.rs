//! The cryptography that several providers share.

use aws_lc_rs::hmac;
use base64::{Engine as _, prelude::BASE64_STANDARD};

pub(super) fn hmac_of(algorithm: hmac::Algorithm, secret: &str, signed: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(algorithm, secret.as_bytes()), signed.as_bytes()).as_ref().to_vec()
}

pub(super) fn sha1(secret: &str, signed: &str) -> Vec<u8> {
    hmac_of(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret, signed)
}

pub(super) fn sha256(secret: &str, signed: &str) -> Vec<u8> {
    hmac_of(hmac::HMAC_SHA256, secret, signed)
}

/// What is between the lines of a PEM.
pub(super) fn der(pem: &str) -> Result<Vec<u8>, String> {
    let lines = pem.lines().skip_while(|line| !line.starts_with("-----BEGIN")).skip(1);
    let encoded: String = lines.take_while(|line| !line.starts_with("-----END")).map(str::trim).collect();
    BASE64_STANDARD.decode(encoded).map_err(|error| error.to_string())
}
