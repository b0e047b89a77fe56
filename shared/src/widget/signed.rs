//! Signed requests: the JSON Web Token in which a page's own server vouches for a visitor.
//!
//! The format is that of Amazon Connect's hosted widget (administrator guide, "Pass contact attributes to an agent in the
//! Contact Control Panel (CCP) when a chat starts"): HS256 (RFC 7518, 3.2), at most 6,144 bytes, `exp` at most 10 minutes ahead, the visitor's data in `attributes`,
//! `segmentAttributes`, `relatedContactId` and `customerId`; `persistentChat` is ours. Everything that JWT leaves open is
//! read strictly: one algorithm, spelled as registered (RFC 7515, 4.1.1); base64url without padding, of which each
//! value has one spelling only; no critical headers (RFC 7515, 4.1.11); no repeated names in an object (RFC 8725 asks
//! for unambiguous claims); whole numbers for times.
//!
//! A caller reads one fixed text, whatever is wrong with its token; the log says which rule it broke.

use aws_lc_rs::{digest, hmac};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, header::AUTHORIZATION};

use crate::{
    error::{Error, Kind, Result},
    json::{self, Json, Members, Repeated},
    secret::Secret,
};

/// Where the hosted widget puts the token.
pub const TOKEN_HEADER: &str = "x-amz-security-token";

/// The longest token, in bytes.
pub const TOKEN_BYTES: usize = 6144;

/// How far ahead `exp` may be, in seconds.
const AHEAD: i64 = 10 * 60;

/// How far the signer's clock may be off, in seconds.
const LEEWAY: i64 = 10;

/// Which headers may hold the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// `x-amz-security-token`, else `Authorization: Bearer`.
    AnyHeader,
    /// `x-amz-security-token` only: AWS clients fill `Authorization` with a signature of their own.
    TokenHeader,
}

/// A token that is well-formed and of the present time; who signed it isn't known. Nothing can be read of it.
pub struct Unverified {
    /// Header and claims as they came: what is signed.
    signed: String,
    signature: Vec<u8>,
    claims: Claims,
}

/// What a signer vouches for. Not `Debug`: it is about a person.
#[derive(Clone)]
pub struct Claims {
    subject: Option<String>,
    expires_at: i64,
    id: String,
    /// All of them, to be checked by [`super::request`].
    pub(super) members: Members,
}

/// The refusal of a token that is missing or wrong. `why` is for the log: fixed words.
pub fn unauthenticated(why: &'static str) -> Error {
    Error::new(Kind::Unauthenticated, "A signed token is required; it is missing, expired or wrong").caused_by(why)
}

impl Unverified {
    /// Finds a request's token and checks all that needs no key. `now` is Unix time in seconds.
    pub fn read(headers: &HeaderMap, place: Place, now: i64) -> Result<Self> {
        Self::parse(find(headers, place)?, now)
    }

    fn parse(token: &str, now: i64) -> Result<Self> {
        if token.len() > TOKEN_BYTES {
            return Err(unauthenticated("the token is longer than 6144 bytes"));
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(unauthenticated("the token has not three parts"));
        };
        check_header(&object(header, "the token's header is not a base64url JSON object")?)?;
        let members = object(payload, "the token's claims are not a base64url JSON object")?;
        let signature = decode(signature).ok_or_else(|| unauthenticated("the signature is not base64url"))?;
        let subject = match members.get("sub") {
            None => None,
            Some(Json::Text(subject)) => Some(subject.clone().into()),
            Some(_) => return Err(unauthenticated("sub is not a string")),
        };
        let expires_at = check_times(&members, now)?;
        let id = hex::encode(digest::digest(&digest::SHA256, token.as_bytes()));
        let claims = Claims { subject, expires_at, id, members };
        Ok(Self { signed: format!("{header}.{payload}"), signature, claims })
    }

    /// The claims, if one of the keys signed them. A key is the UTF-8 bytes of its text.
    pub fn verify(&self, keys: &[Secret]) -> Option<Claims> {
        // `hmac::verify` compares in constant time.
        let matches = |key: &Secret| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose().as_bytes());
            hmac::verify(&key, self.signed.as_bytes(), &self.signature).is_ok()
        };
        keys.iter().any(matches).then(|| self.claims.clone())
    }
}

impl Claims {
    /// `sub`.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// When the token stops being accepted: Unix time in seconds.
    pub fn dead_at(&self) -> i64 {
        self.expires_at.saturating_add(LEEWAY)
    }

    /// The token's name: a digest of it, in hex.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// The token, from exactly one header. An empty header is none.
fn find(headers: &HeaderMap, place: Place) -> Result<&str> {
    if let Some(token) = only(headers, TOKEN_HEADER)? {
        return Ok(token);
    }
    if place == Place::AnyHeader
        && let Some(credentials) = only(headers, AUTHORIZATION.as_str())?
        && let Some((scheme, token)) = credentials.split_once(' ')
        && scheme.eq_ignore_ascii_case("bearer")
    {
        return Ok(token.trim_matches(' '));
    }
    Err(unauthenticated("there is no token"))
}

fn only<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return if headers.contains_key(name) { Err(unauthenticated("the header is there twice")) } else { Ok(None) };
    };
    let text = value.to_str().map_err(|_| unauthenticated("the header is not plain text"))?.trim();
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// Neither padding nor bits beyond the value's end are let through.
fn decode(part: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(part).ok()
}

fn object(part: &str, why: &'static str) -> Result<Members> {
    let bytes = decode(part).ok_or_else(|| unauthenticated(why))?;
    match json::read(&bytes, Repeated::Refused) {
        Ok(Json::Object(members)) => Ok(members),
        _ => Err(unauthenticated(why)),
    }
}

fn check_header(header: &Members) -> Result<()> {
    if header.get("alg").and_then(Json::as_str) != Some("HS256") {
        return Err(unauthenticated("alg is not HS256"));
    }
    if header.get("crit").is_some() {
        return Err(unauthenticated("the token has critical headers, of which none is known here"));
    }
    Ok(())
}

/// `exp`, with the other times checked.
fn check_times(claims: &Members, now: i64) -> Result<i64> {
    let time = |name: &str, why| match claims.get(name) {
        None => Ok(None),
        Some(value) => {
            value.as_number().and_then(serde_json::Number::as_i64).map(Some).ok_or_else(|| unauthenticated(why))
        }
    };
    let expires_at = time("exp", "exp is not a whole number")?.ok_or_else(|| unauthenticated("exp is missing"))?;
    if expires_at.saturating_add(LEEWAY) <= now {
        return Err(unauthenticated("the token has expired"));
    }
    if expires_at > now.saturating_add(AHEAD + LEEWAY) {
        return Err(unauthenticated("exp is more than 10 minutes ahead"));
    }
    for (name, not_whole, ahead) in [
        ("nbf", "nbf is not a whole number", "nbf is in the future"),
        ("iat", "iat is not a whole number", "iat is in the future"),
    ] {
        if time(name, not_whole)?.is_some_and(|time| time > now.saturating_add(LEEWAY)) {
            return Err(unauthenticated(ahead));
        }
    }
    Ok(expires_at)
}

#[cfg(test)]
mod tests;
