use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue};
use serde_json::json;

use super::{Place, TOKEN_BYTES, Unverified};
use crate::{error::Kind, secret::Secret};

const NOW: i64 = 1_795_219_200;
const KEY: &str = "a key of 44 characters, as the console shows";

fn base64(text: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(text)
}

/// Signs any header and claims, good or not.
fn signed(algorithm: hmac::Algorithm, key: &str, header: &str, claims: &str) -> String {
    let input = format!("{}.{}", base64(header), base64(claims));
    let tag = hmac::sign(&hmac::Key::new(algorithm, key.as_bytes()), input.as_bytes());
    format!("{input}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag.as_ref()))
}

fn token(claims: &str) -> String {
    signed(hmac::HMAC_SHA256, KEY, r#"{"alg":"HS256","typ":"JWT"}"#, claims)
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap()))
        .collect()
}

/// Why a token is refused; `None` where it is taken.
fn refusal(token: &str, keys: &[&str]) -> Option<String> {
    let keys: Vec<_> = keys.iter().copied().map(Secret::new).collect();
    match Unverified::parse(token, NOW) {
        Ok(unverified) if unverified.verify(&keys).is_some() => None,
        Ok(_) => Some("no key".to_owned()),
        Err(error) => {
            assert_eq!(error.kind(), Kind::Unauthenticated);
            assert_eq!(error.message(), "A signed token is required; it is missing, expired or wrong");
            Some(std::error::Error::source(&error).unwrap().to_string())
        }
    }
}

/// Made by the README's recipe for Node: another signer's work, not ours.
#[test]
fn a_token_that_we_did_not_sign() {
    let foreign = include_str!("token-from-node.txt").trim();
    let unverified = Unverified::parse(foreign, NOW).unwrap_or_else(|error| panic!("{error:?}"));
    let claims = unverified.verify(&[Secret::new(KEY)]).unwrap();
    assert_eq!((claims.subject(), claims.members.get("customerId").and_then(crate::json::Json::as_str)), (Some("widget-1"), Some("c-1")));
    assert_eq!(claims.dead_at(), 1_795_219_510);
}

#[test]
fn times() {
    let exp = |exp: &str| format!(r#"{{"exp":{exp}}}"#);
    let with = |name: &str, value: &str| format!(r#"{{"exp":{},"{name}":{value}}}"#, NOW + 60);
    let at = |offset: i64| (NOW + offset).to_string();
    let expired = Some("the token has expired");
    let not_whole = Some("exp is not a whole number");
    let ahead = Some("exp is more than 10 minutes ahead");
    for (claims, expected) in [
        (exp(&at(60)), None),
        (exp(&at(-9)), None),
        (exp(&at(-10)), expired),
        (exp(&at(610)), None),
        (exp(&at(611)), ahead),
        (exp("0"), expired),
        (exp("-1"), expired),
        (exp("-9223372036854775808"), expired),
        (exp("9223372036854775807"), ahead),
        (exp("18446744073709551615"), not_whole),
        (exp("1e400"), Some("the token's claims are not a base64url JSON object")),
        (exp("1.795219260e9"), not_whole),
        (exp(&format!("{}.0", NOW + 60)), not_whole),
        (exp(&format!("\"{}\"", NOW + 60)), not_whole),
        (exp("null"), not_whole),
        (exp("true"), not_whole),
        (exp("[1]"), not_whole),
        ("{}".to_owned(), Some("exp is missing")),
        (with("nbf", &at(10)), None),
        (with("nbf", &at(11)), Some("nbf is in the future")),
        (with("nbf", "\"soon\""), Some("nbf is not a whole number")),
        (with("iat", &at(10)), None),
        (with("iat", &at(11)), Some("iat is in the future")),
        (with("iat", "1.5"), Some("iat is not a whole number")),
        (with("sub", "\"widget\""), None),
        (with("sub", "5"), Some("sub is not a string")),
        (with("sub", "null"), Some("sub is not a string")),
        (with("unknown", "[{}]"), None),
    ] {
        assert_eq!(refusal(&token(&claims), &[KEY]).as_deref(), expected, "{claims}");
    }
}

#[test]
fn algorithms_and_headers() {
    let claims = json!({ "exp": NOW + 60 }).to_string();
    let wrong = Some("alg is not HS256");
    for (header, expected) in [
        (r#"{"alg":"HS256"}"#, None),
        (r#"{"alg":"HS256","typ":"jwt","kid":"1"}"#, None),
        (r#"{"alg":"none"}"#, wrong),
        (r#"{"alg":"None"}"#, wrong),
        (r#"{"alg":"hs256"}"#, wrong),
        (r#"{"alg":"Hs256"}"#, wrong),
        (r#"{"alg":"HS384"}"#, wrong),
        (r#"{"alg":"HS512"}"#, wrong),
        (r#"{"alg":"RS256"}"#, wrong),
        (r#"{"alg":["HS256"]}"#, wrong),
        (r#"{"alg":null}"#, wrong),
        (r#"{"typ":"JWT"}"#, wrong),
        (r#"{"alg":"HS256","crit":["exp"]}"#, Some("the token has critical headers, of which none is known here")),
        (r#"{"alg":"none","alg":"HS256"}"#, Some("the token's header is not a base64url JSON object")),
        (r#"["HS256"]"#, Some("the token's header is not a base64url JSON object")),
        ("", Some("the token's header is not a base64url JSON object")),
    ] {
        let token = signed(hmac::HMAC_SHA256, KEY, header, &claims);
        assert_eq!(refusal(&token, &[KEY]).as_deref(), expected, "{header}");
    }
    let other_hash = signed(hmac::HMAC_SHA512, KEY, r#"{"alg":"HS256"}"#, &claims);
    assert_eq!(refusal(&other_hash, &[KEY]).as_deref(), Some("no key"));
}

#[test]
fn keys_are_texts_and_any_of_them_may_match() {
    let good = token(&json!({ "exp": NOW + 60 }).to_string());
    assert_eq!(refusal(&good, &["new", KEY]), None);
    for keys in [&["other"][..], &[], &["a key of 44 characters, as the console show"], &[&format!("{KEY} ")]] {
        assert_eq!(refusal(&good, keys).as_deref(), Some("no key"), "{keys:?}");
    }
    // A key that looks like base64 is not decoded.
    let key = "c2VjcmV0LWtleS1vZi10aGUtd2lkZ2V0LWluLWJhc2U2NA==";
    let with_text = signed(hmac::HMAC_SHA256, key, r#"{"alg":"HS256"}"#, &json!({ "exp": NOW + 60 }).to_string());
    assert_eq!(refusal(&with_text, &[key]), None);
}

#[test]
fn shapes() {
    let good = token(&json!({ "exp": NOW + 60, "n": "x" }).to_string());
    let parts: Vec<_> = good.split('.').collect();
    let (header, payload, signature) = (parts[0], parts[1], parts[2]);
    assert_eq!(refusal(&good, &[KEY]), None);
    // The last character of a 32-byte signature carries two bits that are not part of it.
    let loose = {
        let (head, last) = signature.split_at(signature.len() - 1);
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let at = alphabet.iter().position(|c| *c == last.as_bytes()[0]).unwrap();
        format!("{header}.{payload}.{head}{}", char::from(alphabet[at | 1]))
    };
    let three = Some("the token has not three parts");
    let header_wrong = Some("the token's header is not a base64url JSON object");
    let claims_wrong = Some("the token's claims are not a base64url JSON object");
    let signature_wrong = Some("the signature is not base64url");
    let swapped = base64(&json!({ "exp": NOW + 60, "n": "y" }).to_string());
    for (label, token, expected) in [
        ("nothing", String::new(), three),
        ("two parts", format!("{header}.{payload}"), three),
        ("four parts", format!("{good}."), three),
        ("a fourth part", format!("{good}.{signature}"), three),
        ("five parts, as of an encrypted one", format!("{good}.a.b"), three),
        ("no signature", format!("{header}.{payload}."), Some("no key")),
        ("a short signature", format!("{header}.{payload}.{}", signature.split_at(40).0), Some("no key")),
        ("padding", format!("{good}="), signature_wrong),
        ("padded claims", format!("{header}.{payload}==.{signature}"), claims_wrong),
        ("padded header", format!("{header}=.{payload}.{signature}"), header_wrong),
        ("bits beyond the end", loose, signature_wrong),
        ("standard base64", format!("{header}.{payload}.+/+/"), signature_wrong),
        ("a line break", format!("{header}.{payload}.{signature}\n"), signature_wrong),
        ("a blank", format!("{header}. {payload}.{signature}"), claims_wrong),
        ("letters beyond ASCII", format!("{header}.{payload}é.{signature}"), claims_wrong),
        ("other claims", format!("{header}.{swapped}.{signature}"), Some("no key")),
    ] {
        assert_eq!(refusal(&token, &[KEY]).as_deref(), expected, "{label}");
    }
    for claims in [
        "[]".to_owned(),
        "null".to_owned(),
        "\"x\"".to_owned(),
        format!(r#"{{"exp":1,"exp":{}}}"#, NOW + 60),
        format!(r#"{{"exp":{0},"ex\u0070":{0}}}"#, NOW + 60),
        format!(r#"{{"exp":{},"attributes":{{"a":"1","a":"2"}}}}"#, NOW + 60),
        format!(r#"{{"exp":{},"l":[{{"a":1,"a":1}}]}}"#, NOW + 60),
        format!(r#"{{"exp":{}}} x"#, NOW + 60),
        format!(r#"{{"exp":{},"deep":{}1{}}}"#, NOW + 60, "[".repeat(200), "]".repeat(200)),
    ] {
        assert_eq!(refusal(&token(&claims), &[KEY]).as_deref(), claims_wrong, "{claims}");
    }
}

#[test]
fn sizes() {
    let of = |length: usize| {
        let fill = |n: usize| token(&json!({ "exp": NOW + 60, "fill": "x".repeat(n) }).to_string());
        let base = fill(0).len();
        (0..).map(|n| fill((length - base) * 3 / 4 - 3 + n)).find(|token| token.len() >= length).unwrap()
    };
    let longest = of(TOKEN_BYTES);
    assert_eq!((longest.len(), refusal(&longest, &[KEY])), (TOKEN_BYTES, None));
    assert_eq!(refusal(&of(TOKEN_BYTES + 1), &[KEY]).as_deref(), Some("the token is longer than 6144 bytes"));
}

#[test]
fn where_a_token_is_looked_for() {
    let good = token(&json!({ "exp": NOW + 60 }).to_string());
    let bearer = format!("Bearer {good}");
    let lower = format!("bearer  {good} ");
    let twice = [("x-amz-security-token", good.as_str()), ("x-amz-security-token", good.as_str())];
    let sigv4 = ("authorization", "AWS4-HMAC-SHA256 Credential=AKID/20261121/us-east-1/connect/aws4_request");
    let none = Some("there is no token");
    for (label, pairs, any, only) in [
        ("none", &[][..], none, none),
        ("the widget's header", &[("x-amz-security-token", good.as_str())], None, None),
        ("a bearer", &[("authorization", bearer.as_str())], None, none),
        ("a bearer in small letters", &[("authorization", lower.as_str())], None, none),
        ("both", &[("x-amz-security-token", good.as_str()), ("authorization", "Bearer x")], None, None),
        (
            "both, the first one wrong",
            &[("x-amz-security-token", "x"), ("authorization", bearer.as_str())],
            Some("the token has not three parts"),
            Some("the token has not three parts"),
        ),
        ("an empty one and a bearer", &[("x-amz-security-token", " "), ("authorization", bearer.as_str())], None, none),
        ("AWS's own signature", &[sigv4], none, none),
        ("AWS's own signature beside it", &[sigv4, ("x-amz-security-token", good.as_str())], None, None),
        ("basic", &[("authorization", "Basic eDp5")], none, none),
        ("no scheme", &[("authorization", good.as_str())], none, none),
        ("twice", &twice, Some("the header is there twice"), Some("the header is there twice")),
        (
            "not ASCII",
            &[("x-amz-security-token", "tökén")],
            Some("the header is not plain text"),
            Some("the header is not plain text"),
        ),
    ] {
        for (place, expected) in [(Place::AnyHeader, any), (Place::TokenHeader, only)] {
            let told = Unverified::read(&headers(pairs), place, NOW)
                .err()
                .map(|error| std::error::Error::source(&error).unwrap().to_string());
            assert_eq!(told.as_deref(), expected, "{label}, {place:?}");
        }
    }
}

/// Two tokens of the same words, signed at different times, are two; the same token is one.
#[test]
fn a_token_has_one_name() {
    let id = |exp: i64| {
        let token = token(&json!({ "exp": exp }).to_string());
        Unverified::parse(&token, NOW).unwrap_or_else(|error| panic!("{error:?}")).claims.id
    };
    assert_eq!(id(NOW + 60), id(NOW + 60));
    assert_ne!(id(NOW + 60), id(NOW + 61));
    assert_eq!(id(NOW + 60).len(), 64);
}

/// No single change of a good token, nor a piece of it, is another good token.
#[test]
fn a_changed_token_is_none() {
    let good = token(&json!({ "exp": NOW + 60, "attributes": { "tier": "gold" } }).to_string());
    for at in 0..good.len() {
        let (head, rest) = good.split_at(at);
        let (old, tail) = rest.split_at(1);
        for new in "AZaz09-_.=+/ %\n".chars().filter(|new| !old.starts_with(*new)) {
            assert!(refusal(&format!("{head}{new}{tail}"), &[KEY]).is_some(), "{new:?} at {at}");
        }
        assert!(refusal(&format!("{head}{tail}"), &[KEY]).is_some(), "without {at}");
        assert!(refusal(head, &[KEY]).is_some(), "up to {at}");
    }
}
