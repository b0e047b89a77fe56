//! A JWT (RFC 7519) in the compact form, signed with a secret that the provider shares with us.
//!
//! Nothing that a token says of itself is believed before [`Token::is_made_with`].

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::{Map, Value};

use crate::{json, secret::Secret, sms::webhook::Rejection};

/// Providers' tokens have about 500 characters.
pub(super) const LENGTH: usize = 4096;

/// The algorithms of RFC 7518, section 3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Hs256,
    Hs384,
    Hs512,
}

impl Algorithm {
    fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
        }
    }

    fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Hs256 => hmac::HMAC_SHA256,
            Self::Hs384 => hmac::HMAC_SHA384,
            Self::Hs512 => hmac::HMAC_SHA512,
        }
    }
}

/// A token, as far as it says so itself.
pub(super) struct Token<'a> {
    signed: &'a str,
    algorithm: Algorithm,
    claims: Vec<u8>,
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    crit: Option<IgnoredAny>,
}

impl<'a> Token<'a> {
    /// Takes a token apart. What it says of itself must not choose an algorithm beyond those that the provider documents
    /// (RFC 8725, 3.1).
    pub(super) fn read(token: &'a str, algorithms: &[Algorithm]) -> Result<Self, Rejection> {
        if token.len() > LENGTH {
            return Err(Rejection::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Rejection::Malformed)?;
        // A fourth part leaves a full stop in the claims, and that is no base64.
        let (header, claims) = signed.split_once('.').ok_or(Rejection::Malformed)?;
        let header: Header = read_object(&decode(header)?)?;
        let algorithm = algorithms.iter().copied().find(|algorithm| algorithm.name() == header.alg);
        let algorithm = algorithm.ok_or(Rejection::Malformed)?;
        // An extension that must be understood is not (RFC 7515, 4.1.11).
        if header.crit.is_some() {
            return Err(Rejection::Malformed);
        }
        Ok(Self { signed, algorithm, claims: decode(claims)?, signature: decode(signature)? })
    }

    /// Whether the secret's owner made it.
    pub(super) fn is_made_with(&self, secret: &Secret) -> bool {
        let key = hmac::Key::new(self.algorithm.hmac(), secret.expose().as_bytes());
        hmac::verify(&key, self.signed.as_bytes(), &self.signature).is_ok()
    }

    /// What it claims. A claim of another JSON type is an error, and so is one that is there twice.
    pub(super) fn claims<T: DeserializeOwned>(&self) -> Result<T, Rejection> {
        read_object(&self.claims)
    }
}

/// Without padding, and without bits that say nothing: one text for one token.
fn decode(text: &str) -> Result<Vec<u8>, Rejection> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Rejection::Malformed)
}

/// A derived type alone would be content with a list of the values.
fn read_object<T: DeserializeOwned>(text: &[u8]) -> Result<T, Rejection> {
    if !json::is_bounded(text) {
        return Err(Rejection::Malformed);
    }
    serde_json::from_slice::<Map<String, Value>>(text).map_err(|_| Rejection::Malformed)?;
    serde_json::from_slice(text).map_err(|_| Rejection::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Claims {
        iss: String,
    }

    fn token(algorithm: hmac::Algorithm, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = hmac::sign(&hmac::Key::new(algorithm, b"secret"), signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    #[test]
    fn only_listed_algorithms_count() {
        let all = [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512];
        for (label, algorithm, header, listed, is_read) in [
            ("256", hmac::HMAC_SHA256, r#"{"alg":"HS256"}"#, &all[..1], true),
            ("384", hmac::HMAC_SHA384, r#"{"alg":"HS384"}"#, &all[..], true),
            ("512", hmac::HMAC_SHA512, r#"{"alg":"HS512","typ":"JWT"}"#, &all[..], true),
            ("not listed", hmac::HMAC_SHA512, r#"{"alg":"HS512"}"#, &all[..1], false),
            ("none", hmac::HMAC_SHA256, r#"{"alg":"none"}"#, &all[..], false),
            ("another case", hmac::HMAC_SHA256, r#"{"alg":"hs256"}"#, &all[..], false),
            ("a public key's", hmac::HMAC_SHA256, r#"{"alg":"RS256"}"#, &all[..], false),
            ("critical", hmac::HMAC_SHA256, r#"{"alg":"HS256","crit":["x"]}"#, &all[..], false),
            ("twice", hmac::HMAC_SHA256, r#"{"alg":"HS256","alg":"HS256"}"#, &all[..], false),
            ("a list", hmac::HMAC_SHA256, r#"["HS256",null]"#, &all[..], false),
        ] {
            let text = token(algorithm, header, r#"{"iss":"x"}"#);
            let token = Token::read(&text, listed);
            assert_eq!(token.is_ok(), is_read, "{label}");
            if let Ok(token) = token {
                assert!(token.is_made_with(&Secret::new("secret")), "{label}");
                assert!(!token.is_made_with(&Secret::new("Secret")), "{label}");
                assert_eq!(token.claims::<Claims>().unwrap().iss, "x", "{label}");
            }
        }
    }

    #[test]
    fn one_algorithm_does_not_stand_for_another() {
        let text = token(hmac::HMAC_SHA512, r#"{"alg":"HS256"}"#, "{}");
        let token = Token::read(&text, &[Algorithm::Hs256, Algorithm::Hs512]).ok().unwrap();
        assert!(!token.is_made_with(&Secret::new("secret")));
    }

    #[test]
    fn odd_texts_are_no_tokens() {
        let whole = token(hmac::HMAC_SHA256, r#"{"alg":"HS256"}"#, r#"{"iss":"x"}"#);
        for text in ["", ".", "..", "a.b", "é.b.c", &format!("{whole}.x"), &format!("{whole}="), &"a".repeat(5000)] {
            assert_eq!(Token::read(text, &[Algorithm::Hs256]).err(), Some(Rejection::Malformed), "{text}");
        }
        for claims in [r#"{"iss":1}"#, r#"{"iss":"x","iss":"x"}"#, r#"["x"]"#, "", "null", "{"] {
            let text = token(hmac::HMAC_SHA256, r#"{"alg":"HS256"}"#, claims);
            let token = Token::read(&text, &[Algorithm::Hs256]).ok().unwrap();
            assert_eq!(token.claims::<Claims>(), Err(Rejection::Malformed), "{claims}");
        }
    }
}
