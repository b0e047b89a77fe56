//! Signed tokens as a page's server makes them, and as a forger does.

use ::base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use aws_lc_rs::hmac;
use serde_json::{Value, json};

/// Unix time, in seconds.
pub fn now() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

/// A token of these claims, good for a minute unless they say otherwise.
pub fn token(key: &str, claims: &Value) -> String {
    let mut all = json!({ "sub": "widget-1", "iat": now(), "exp": now() + 60 });
    all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    raw(hmac::HMAC_SHA256, key, r#"{"alg":"HS256","typ":"JWT"}"#, &all.to_string())
}

/// Any header and claims, signed in any way.
pub fn raw(algorithm: hmac::Algorithm, key: &str, header: &str, claims: &str) -> String {
    let input = format!("{}.{}", BASE64_URL_SAFE_NO_PAD.encode(header), BASE64_URL_SAFE_NO_PAD.encode(claims));
    let tag = hmac::sign(&hmac::Key::new(algorithm, key.as_bytes()), input.as_bytes());
    format!("{input}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag.as_ref()))
}
