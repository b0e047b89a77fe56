#![expect(clippy::string_slice, reason = "a test may panic")]

use std::sync::Arc;

use aws_lc_rs::{digest, hmac};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD},
};
use http::Method;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{AUTHORIZATION, RUNTIME_AUTHORIZATION};
use crate::{
    error::Kind,
    settings::{Account, Settings},
    sms::{
        event::Event,
        jwt,
        message::{Channel, FromKind, Location, Message, OptOut},
        segments::Limit,
        send::{Outbound, Reason},
        webhook::{Rejection, Webhook},
    },
    testing::{
        NOW, TEXT, account_name, accounts, any_content, assert_answers, assert_cannot_send, assert_refused,
        assert_tells_the_agent, receive, receive_one, reported, run_vectors, send_request, warnings, webhook,
    },
};

const URL: &str = "https://sms.example.com/sms/vonage-messages";
const SECRET: &str = "ABCDEfghij1234567890KLMNOPqrstuvwxyz0123456789abcd";
const JSON: (&str, &str) = ("content-type", "application/json");
const APPLICATION: &str = "aaaaaaaa-bbbb-cccc-dddd-0123456789ab";

fn account() -> Value {
    json!({"provider": "vonage-messages", "signature_secrets": [SECRET]})
}

fn account_with(fields: &Value) -> Vec<Arc<Account>> {
    let mut account = account();
    account.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    accounts(json!([account]))
}

fn candidates() -> Vec<Arc<Account>> {
    accounts(json!([account()]))
}

fn hash(body: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, body))
}

/// Changes an object's fields; null takes one away.
fn change(object: &mut Value, changes: &Value) {
    let fields = object.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            fields.remove(name);
        } else {
            fields.insert(name.clone(), value.clone());
        }
    }
}

fn claims(body: &[u8], changes: &Value) -> Value {
    let mut claims = json!({"iat": NOW - 1, "jti": "c5ba8f24-1a14-4c10-bfdf-3fbe8ce511b5", "iss": "Vonage",
                            "payload_hash": hash(body), "api_key": "abcd1234", "application_id": APPLICATION});
    change(&mut claims, changes);
    claims
}

fn mac(algorithm: hmac::Algorithm, secret: &str, text: &str) -> String {
    URL_SAFE_NO_PAD.encode(hmac::sign(&hmac::Key::new(algorithm, secret.as_bytes()), text.as_bytes()))
}

/// RFC 7515, told once more, of any header and claims.
fn token_of(header: &str, claims: &str, secret: &str) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = mac(hmac::HMAC_SHA256, secret, &signed);
    format!("{signed}.{signature}")
}

fn token(claims: &Value) -> String {
    token_of(r#"{"alg":"HS256","typ":"JWT"}"#, &claims.to_string(), SECRET)
}

fn with_token(token: &str, body: impl Into<Vec<u8>>) -> Webhook {
    webhook(Method::POST, URL, &[JSON, (AUTHORIZATION, &format!("Bearer {token}"))], body.into())
}

fn post_with(claim_changes: &Value, body: impl Into<Vec<u8>>) -> Webhook {
    let body = body.into();
    with_token(&token(&claims(&body, claim_changes)), body)
}

fn post(body: impl Into<Vec<u8>>) -> Webhook {
    post_with(&json!({}), body)
}

fn payload(changes: &Value) -> Value {
    let mut payload = json!({
        "to": "447700900000", "from": "447700900001", "channel": "sms",
        "message_uuid": "aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab", "timestamp": "2026-09-21T14:13:18Z",
        "usage": {"price": "0.0333", "currency": "EUR"}, "message_type": "text", "text": "Hello agent",
        "context_status": "none", "origin": {"network_code": "12345"}, "sms": {"num_messages": "1", "keyword": "HELLO"}
    });
    change(&mut payload, changes);
    payload
}

fn body() -> String {
    payload(&json!({})).to_string()
}

#[expect(clippy::needless_pass_by_value, reason = "tests write `parsed(json!(…))`")]
fn parsed(changes: Value) -> Message {
    receive_one(&post(payload(&changes).to_string()), &candidates())
}

#[expect(clippy::needless_pass_by_value, reason = "tests write `ignored(json!(…))`")]
fn ignored(changes: Value) -> &'static str {
    match receive(&post(payload(&changes).to_string()), &candidates()).unwrap().as_slice() {
        [Event::Ignored { reason }] => reason.as_str(),
        events => panic!("{events:?}"),
    }
}

fn rejection(request: &Webhook, candidates: &[Arc<Account>], label: &str) -> Rejection {
    assert_refused(label, receive(request, candidates), Kind::Unverified);
    Rejection::of(&request.verify(candidates).unwrap_err()).unwrap()
}

#[test]
fn the_vectors_hold() {
    run_vectors(include_str!("vectors/vonage-messages.json"));
}

#[test]
fn signed_webhooks_are_accepted() {
    let right = token(&claims(body().as_bytes(), &json!({})));
    let no_type = token_of(r#"{"alg":"HS256"}"#, &claims(body().as_bytes(), &json!({})).to_string(), SECRET);
    let more = token_of(
        r#"{"typ":"JWT","kid":"1","alg":"HS256","x":[{}]}"#,
        &claims(body().as_bytes(), &json!({"sub": 5, "x": {"y": []}, "jti": null})).to_string(),
        SECRET,
    );
    let lines = token_of("{ \"alg\":\n\"HS256\" }", &claims(body().as_bytes(), &json!({})).to_string(), SECRET);
    let upper = token(&claims(body().as_bytes(), &json!({"payload_hash": hash(body().as_bytes()).to_uppercase()})));
    let timed = token(&claims(body().as_bytes(), &json!({"exp": NOW + 1, "nbf": NOW})));
    let nothing = token(&claims(body().as_bytes(), &json!({"exp": Value::Null, "api_key": Value::Null})));
    for (label, headers) in [
        ("basic", vec![(AUTHORIZATION, format!("Bearer {right}"))]),
        ("another case", vec![("Authorization", format!("bearer {right}"))]),
        ("more blanks", vec![(AUTHORIZATION, format!("  BEARER   {right}  "))]),
        ("no type", vec![(AUTHORIZATION, format!("Bearer {no_type}"))]),
        ("what is not known", vec![(AUTHORIZATION, format!("Bearer {more}"))]),
        ("blanks in the header", vec![(AUTHORIZATION, format!("Bearer {lines}"))]),
        ("the hash in capitals", vec![(AUTHORIZATION, format!("Bearer {upper}"))]),
        ("within its times", vec![(AUTHORIZATION, format!("Bearer {timed}"))]),
        ("without a key", vec![(AUTHORIZATION, format!("Bearer {nothing}"))]),
        (
            "through the Runtime",
            vec![(AUTHORIZATION, "Bearer of.the.Runtime".into()), (RUNTIME_AUTHORIZATION, right.clone())],
        ),
        ("through the Runtime, with a scheme", vec![(RUNTIME_AUTHORIZATION, format!("Bearer {right}"))]),
    ] {
        let headers: Vec<_> =
            [JSON].into_iter().chain(headers.iter().map(|(name, value)| (*name, value.as_str()))).collect();
        let request = webhook(Method::POST, URL, &headers, body());
        assert_eq!(receive_one(&request, &candidates()).text, "Hello agent", "{label}");
    }
    for (label, url, content_type) in [
        ("the URL is not signed", "https://other.example/m/sms/vonage-messages/us?a=1", "application/json"),
        ("nor is the content type", URL, "text/plain"),
    ] {
        let headers = [("content-type", content_type), (AUTHORIZATION, &*format!("Bearer {right}"))];
        assert_eq!(
            receive_one(&webhook(Method::POST, url, &headers, body()), &candidates()).text,
            "Hello agent",
            "{label}"
        );
    }
    for text in ["👋🏽 世界 ü", "", "a\nb", "\\u0061"] {
        assert_eq!(parsed(json!({"text": text})).text, text);
    }
}

#[test]
fn other_bodies_are_refused() {
    let right = token(&claims(body().as_bytes(), &json!({})));
    for (label, other) in [
        ("another text", body().replace("Hello", "Hallo")),
        ("a blank more", body() + " "),
        ("the same, laid out in lines", serde_json::to_string_pretty(&payload(&json!({}))).unwrap()),
        ("escapes", body().replace("Hello", r"\u0048ello")),
        ("nothing", String::new()),
    ] {
        assert_eq!(rejection(&with_token(&right, other), &candidates(), label), Rejection::Malformed, "{label}");
    }
}

#[test]
fn other_algorithms_are_refused() {
    let claims = claims(body().as_bytes(), &json!({})).to_string();
    let signed = |header: &str| format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(&claims));
    let mac_of = |header: &str, algorithm| format!("{}.{}", signed(header), mac(algorithm, SECRET, &signed(header)));
    let (hs256, hs384, hs512) = (hmac::HMAC_SHA256, hmac::HMAC_SHA384, hmac::HMAC_SHA512);
    for (label, token, expected) in [
        ("none, nothing signed", format!("{}.", signed(r#"{"alg":"none"}"#)), Rejection::Malformed),
        ("none, signed", mac_of(r#"{"alg":"none"}"#, hs256), Rejection::Malformed),
        ("none in capitals", format!("{}.", signed(r#"{"alg":"NONE"}"#)), Rejection::Malformed),
        ("HS384", mac_of(r#"{"alg":"HS384"}"#, hs384), Rejection::Malformed),
        ("HS512", mac_of(r#"{"alg":"HS512"}"#, hs512), Rejection::Malformed),
        ("HS512 with the right MAC", mac_of(r#"{"alg":"HS512"}"#, hs256), Rejection::Malformed),
        ("RS256", mac_of(r#"{"alg":"RS256"}"#, hs256), Rejection::Malformed),
        ("ES256", mac_of(r#"{"alg":"ES256"}"#, hs256), Rejection::Malformed),
        ("another case", mac_of(r#"{"alg":"hs256"}"#, hs256), Rejection::Malformed),
        ("a blank", mac_of(r#"{"alg":"HS256 "}"#, hs256), Rejection::Malformed),
        ("no algorithm", mac_of(r#"{"typ":"JWT"}"#, hs256), Rejection::Malformed),
        ("two algorithms", mac_of(r#"{"alg":"none","alg":"HS256"}"#, hs256), Rejection::Malformed),
        ("a number", mac_of(r#"{"alg":256}"#, hs256), Rejection::Malformed),
        ("null", mac_of(r#"{"alg":null}"#, hs256), Rejection::Malformed),
        ("a list of it", mac_of(r#"{"alg":["HS256"]}"#, hs256), Rejection::Malformed),
        ("a list for a header", mac_of(r#"["HS256"]"#, hs256), Rejection::Malformed),
        (
            "what must be understood",
            mac_of(r#"{"alg":"HS256","crit":["b64"],"b64":false}"#, hs256),
            Rejection::Malformed,
        ),
        ("a header cut short", mac_of(r#"{"alg":"HS256""#, hs256), Rejection::Malformed),
        ("a header of bytes", mac_of("\u{0}", hs256), Rejection::Malformed),
        ("HS256 with another's MAC", mac_of(r#"{"alg":"HS256"}"#, hs512), Rejection::Mismatch),
        ("HS256 with nothing", format!("{}.", signed(r#"{"alg":"HS256"}"#)), Rejection::Mismatch),
    ] {
        assert_eq!(rejection(&with_token(&token, body()), &candidates(), label), expected, "{label}");
    }
}

#[test]
fn odd_tokens_are_refused() {
    let right = token(&claims(body().as_bytes(), &json!({})));
    let parts: Vec<&str> = right.split('.').collect();
    let [header, claims, signature] = parts.as_slice() else { panic!() };
    let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    // The last letter holds 2 bits that say nothing: an exact decoder wants them 0.
    let (most, last) = signature.split_at(signature.len() - 1);
    let loose = format!("{most}{}", char::from(last.as_bytes()[0] + 1));
    let standard = format!("{header}.{claims}.{}", STANDARD.encode(&bytes));
    let hex = hex::encode(&bytes);
    let huge = "A".repeat(jwt::LENGTH);
    for (label, token, expected) in [
        ("two parts", format!("{header}.{claims}"), Rejection::Malformed),
        ("one part", (*header).to_owned(), Rejection::Malformed),
        ("four parts", format!("{right}.{signature}"), Rejection::Malformed),
        ("four parts, the last blank", format!("{right}."), Rejection::Malformed),
        ("a part before", format!(".{right}"), Rejection::Malformed),
        ("five parts, encrypted", format!("{header}.a.b.c.d"), Rejection::Malformed),
        ("no header", format!(".{claims}.{signature}"), Rejection::Malformed),
        ("no claims", format!("{header}..{signature}"), Rejection::Mismatch),
        ("no signature", format!("{header}.{claims}."), Rejection::Mismatch),
        ("dots", "..".to_owned(), Rejection::Malformed),
        ("padding", format!("{header}.{claims}.{}", URL_SAFE.encode(&bytes)), Rejection::Malformed),
        ("padding before", format!("{header}=.{claims}.{signature}"), Rejection::Malformed),
        ("bits that say nothing", format!("{header}.{claims}.{loose}"), Rejection::Malformed),
        ("another alphabet", standard, Rejection::Malformed),
        ("hex", format!("{header}.{claims}.{hex}"), Rejection::Mismatch),
        ("cut short", format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode(&bytes[..31])), Rejection::Mismatch),
        (
            "longer",
            format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode([&bytes[..], &[0]].concat())),
            Rejection::Mismatch,
        ),
        ("a blank in it", format!("{header}. {claims}.{signature}"), Rejection::Malformed),
        ("too large", format!("{header}.{huge}.{signature}"), Rejection::Malformed),
    ] {
        assert_eq!(rejection(&with_token(&token, body()), &candidates(), label), expected, "{label}");
    }
    let bearer = format!("Bearer {right}");
    let bearer = bearer.as_str();
    let twice = format!("{bearer}, {bearer}");
    let basic = format!("Basic {right}");
    let glued = format!("Bearer{right}");
    for (label, headers, expected) in [
        ("no header", vec![], Rejection::Missing),
        ("blank", vec![(AUTHORIZATION, " ")], Rejection::Missing),
        ("the scheme alone", vec![(AUTHORIZATION, "Bearer ")], Rejection::Malformed),
        ("no scheme", vec![(AUTHORIZATION, right.as_str())], Rejection::Malformed),
        ("another scheme", vec![(AUTHORIZATION, &basic)], Rejection::Malformed),
        ("no blank", vec![(AUTHORIZATION, &glued)], Rejection::Malformed),
        ("two headers", vec![(AUTHORIZATION, bearer), (AUTHORIZATION, bearer)], Rejection::Malformed),
        ("joined by a comma", vec![(AUTHORIZATION, &twice)], Rejection::Malformed),
        ("not ASCII", vec![(AUTHORIZATION, "Bearer é")], Rejection::Malformed),
        ("another header", vec![("x-vonage-token", bearer)], Rejection::Missing),
        // Which one counts does not depend on which one is right.
        (
            "the Runtime's is wrong",
            vec![(AUTHORIZATION, bearer), (RUNTIME_AUTHORIZATION, "a.b.c")],
            Rejection::Malformed,
        ),
        ("the Runtime's is blank", vec![(AUTHORIZATION, bearer), (RUNTIME_AUTHORIZATION, "")], Rejection::Missing),
        (
            "the Runtime's is there twice",
            vec![(RUNTIME_AUTHORIZATION, &right), (RUNTIME_AUTHORIZATION, &right)],
            Rejection::Malformed,
        ),
    ] {
        let headers: Vec<_> = [JSON].into_iter().chain(headers).collect();
        let request = webhook(Method::POST, URL, &headers, body());
        assert_eq!(rejection(&request, &candidates(), label), expected, "{label}");
    }
    // A token in the query is no token.
    let mut query = webhook(Method::POST, URL, &[JSON], body());
    query.query = Some(format!("token={right}"));
    assert_eq!(rejection(&query, &candidates(), "query"), Rejection::Missing);
    let mut put = with_token(&right, body());
    put.method = Method::PUT;
    assert_refused("another method", receive(&put, &candidates()), Kind::MethodNotAllowed);
}

#[test]
fn claims_are_checked() {
    let (malformed, stale) = (Rejection::Malformed, Rejection::Stale);
    for (label, changes, expected) in [
        ("no hash", json!({"payload_hash": null}), malformed),
        ("blank hash", json!({"payload_hash": ""}), malformed),
        ("hash of another body", json!({"payload_hash": hash(b"{}")}), malformed),
        ("hash cut short", json!({"payload_hash": hash(body().as_bytes())[..62]}), malformed),
        ("hash and more", json!({"payload_hash": hash(body().as_bytes()) + "00"}), malformed),
        (
            "hash in base64",
            json!({"payload_hash": STANDARD.encode(digest::digest(&digest::SHA256, body().as_bytes()))}),
            malformed,
        ),
        ("a number for a hash", json!({"payload_hash": 5}), malformed),
        ("a list for a hash", json!({"payload_hash": [hash(body().as_bytes())]}), malformed),
        ("no issuer", json!({"iss": null}), malformed),
        ("another issuer", json!({"iss": "Nexmo"}), malformed),
        ("another case of the issuer", json!({"iss": "vonage"}), malformed),
        ("a list of issuers", json!({"iss": ["Vonage"]}), malformed),
        ("no time", json!({"iat": null}), malformed),
        ("a text for a time", json!({"iat": NOW.to_string()}), malformed),
        ("decimals", json!({"iat": 1_790_000_000.5}), malformed),
        ("a time of no size", json!({"iat": 1e300}), malformed),
        ("more than 64 bits", json!({"iat": u64::MAX}), malformed),
        ("a truth for a time", json!({"iat": true}), malformed),
        ("old", json!({"iat": NOW - 301}), stale),
        ("of the future", json!({"iat": NOW + 301}), stale),
        ("in milliseconds", json!({"iat": NOW * 1000}), stale),
        ("at the beginning of time", json!({"iat": 0}), stale),
        ("long before it", json!({"iat": i64::MIN}), stale),
        ("expired", json!({"exp": NOW}), stale),
        ("expired long ago", json!({"exp": 0}), stale),
        ("a text for its end", json!({"exp": "never"}), malformed),
        ("not yet", json!({"nbf": NOW + 1}), stale),
        ("a text for its beginning", json!({"nbf": ""}), malformed),
        ("a number for a key", json!({"api_key": 5}), malformed),
        ("a list for an application", json!({"application_id": [APPLICATION]}), malformed),
    ] {
        let request = post_with(&changes, body());
        assert_eq!(rejection(&request, &candidates(), label), expected, "{label}");
    }
    let whole = claims(body().as_bytes(), &json!({})).to_string();
    for (label, claims) in [
        ("a list", format!("[{whole}]")),
        ("values alone", json!(["Vonage", NOW, hash(body().as_bytes()), null, null, null, null]).to_string()),
        ("a text", "\"Vonage\"".to_owned()),
        ("nothing", String::new()),
        ("cut short", whole[..whole.len() - 1].to_owned()),
        ("two of them", whole.clone() + &whole),
        ("a claim twice", whole.replace(r#""iss":"#, r#""iss":"Vonage","iss":"#)),
        ("the hash twice", whole.replace(r#""payload_hash":"#, r#""payload_hash":"","payload_hash":"#)),
        ("too deep", "[".repeat(2_000)),
    ] {
        let request = with_token(&token_of(r#"{"alg":"HS256"}"#, &claims, SECRET), body());
        assert_eq!(rejection(&request, &candidates(), label), malformed, "{label}");
    }
    // Nothing in a token that is not ours is looked at.
    let foreign = token_of(r#"{"alg":"HS256"}"#, "{}", "another");
    assert_eq!(rejection(&with_token(&foreign, body()), &candidates(), "foreign"), Rejection::Mismatch);
}

#[test]
fn the_signature_has_an_age() {
    for (label, age, max_age, accepted) in [
        ("now", 0, None, true),
        ("the last second", 300, None, true),
        ("too old", 301, None, false),
        ("of the future", -300, None, true),
        ("too far in the future", -301, None, false),
        ("log only", 86_400, Some(0), true),
        ("log only, of the future", -86_400, Some(0), true),
        ("the account's own", 11, Some(10), false),
        ("within the account's own", 3600, Some(3600), true),
    ] {
        let candidates = account_with(&max_age.map_or(json!({}), |max_age| json!({"max_age_seconds": max_age})));
        let request = post_with(&json!({"iat": NOW - age}), body());
        match request.verify(&candidates) {
            Ok(verified) => assert_eq!((accepted, verified.age_seconds()), (true, Some(age)), "{label}"),
            Err(error) => assert_eq!((accepted, Rejection::of(&error)), (false, Some(Rejection::Stale)), "{label}"),
        }
    }
    // What the token says of its own end holds all the same.
    let any_age = account_with(&json!({"max_age_seconds": 0}));
    assert_eq!(rejection(&post_with(&json!({"exp": NOW - 1}), body()), &any_age, "expired"), Rejection::Stale);
}

#[test]
fn what_is_signed_for_another_is_refused() {
    let other = "00000000-bbbb-cccc-dddd-0123456789ab";
    for (label, account, claims, accepted) in [
        ("our key", json!({"api_key": "abcd1234"}), json!({}), true),
        ("another's key", json!({"api_key": "other"}), json!({}), false),
        ("no key in the token", json!({"api_key": "abcd1234"}), json!({"api_key": null}), false),
        ("a blank key in the token", json!({"api_key": "abcd1234"}), json!({"api_key": ""}), false),
        ("no key in the account", json!({}), json!({"api_key": "other"}), true),
        ("neither has one", json!({}), json!({"api_key": null}), true),
        ("a key in another case", json!({"api_key": "ABCD1234"}), json!({}), false),
        ("our application", json!({"application_id": APPLICATION}), json!({}), true),
        ("another application", json!({"application_id": other}), json!({}), false),
        ("no application in the token", json!({"application_id": other}), json!({"application_id": null}), true),
        ("our key, another application", json!({"api_key": "abcd1234", "application_id": other}), json!({}), false),
        ("both", json!({"api_key": "abcd1234", "application_id": APPLICATION}), json!({}), true),
    ] {
        let candidates = account_with(&account);
        let request = post_with(&claims, body());
        if accepted {
            receive_one(&request, &candidates);
        } else {
            let rejection = rejection(&request, &candidates, label);
            assert!(rejection.may_be_rotation(), "{label}");
        }
    }
}

#[test]
fn any_secret_of_a_rotation_signs() {
    let read = |secrets: Value| accounts(json!([{"provider": "vonage-messages", "signature_secrets": secrets}]));
    receive_one(&post(body()), &read(json!(["new", SECRET, "older"])));
    let rotated = read(json!(["new"]));
    assert!(rejection(&post(body()), &rotated, "rotated").may_be_rotation());
    assert_refused("no candidate", receive(&post(body()), &[]), Kind::Unverified);
    let other = accounts(json!([{"provider": "vonage", "signature_secrets": [SECRET]}]));
    assert_refused("another provider", receive(&post(body()), &other), Kind::Unverified);
}

#[test]
fn credentials_are_read() {
    for (fields, expected) in [
        (json!({}), true),
        (json!({"api_key": "a", "application_id": "b", "private_key": "-----BEGIN PRIVATE KEY-----\n"}), true),
        (json!({"application_id": "b"}), true),
        (json!({"private_key": "-----BEGIN"}), true),
        (json!({"signature_secrets": []}), false),
        (json!({"signature_secrets": null}), false),
        (json!({"signature_secrets": [" "]}), false),
    ] {
        let mut account = account();
        account.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let document = json!({"accounts": [account]}).to_string();
        assert_eq!(Settings::from_json(document.as_bytes()).is_ok(), expected, "{fields}");
    }
}

#[test]
fn accounts_are_chosen_by_what_is_signed_and_then_by_number() {
    let account = |name: &str, secret: &str, key: Option<&str>, application: Option<&str>, numbers: &[&str]| {
        let numbers: serde_json::Map<_, _> = numbers.iter().map(|number| ((*number).to_owned(), json!({}))).collect();
        json!({"name": name, "provider": "vonage-messages", "signature_secrets": [secret], "api_key": key,
               "application_id": application, "numbers": numbers})
    };
    let (key, ours, number) = (Some("abcd1234"), Some(APPLICATION), "+447700900000");
    let plain = |name: &str| account(name, SECRET, None, None, &[]);
    for (label, document, expected) in [
        ("the secret alone", json!([account("a", "x", key, ours, &[]), plain("b")]), "b"),
        ("the first of equals", json!([plain("a"), plain("b")]), "a"),
        ("the application", json!([plain("a"), account("b", SECRET, None, ours, &[])]), "b"),
        ("the key", json!([plain("a"), account("b", SECRET, key, None, &[])]), "b"),
        (
            "the application before the key",
            json!([account("a", SECRET, key, None, &[]), account("b", SECRET, key, ours, &[])]),
            "b",
        ),
        ("not another application", json!([account("a", SECRET, key, Some("x"), &[number]), plain("b")]), "b"),
        ("not another key", json!([account("a", SECRET, Some("x"), None, &[number]), plain("b")]), "b"),
        (
            "the number",
            json!([account("a", SECRET, key, None, &["+19"]), account("b", SECRET, key, None, &[number])]),
            "b",
        ),
        (
            "the key before the number",
            json!([account("a", SECRET, None, None, &[number]), account("b", SECRET, key, None, &[])]),
            "b",
        ),
    ] {
        let request = post(body());
        let candidates = accounts(document);
        assert_eq!(account_name(&request, &candidates), expected, "{label}");
    }
    let pair = accounts(json!([plain("a"), plain("b")]));
    assert_refused("unreadable", receive(&post("{}"), &pair), Kind::Validation);
}

#[test]
fn all_types_are_read() {
    let url = "https://api-us.nexmo.com/v3/media/1b456509-974c-458b-aafa-45fc48a4d976";
    for kind in ["image", "audio", "video", "file", "vcard", "sticker"] {
        let message = parsed(json!({"channel": "whatsapp", "message_type": kind, "text": null,
                                    kind: {"url": url, "name": "a.bin", "caption": "Look ✓"}}));
        assert_eq!(message.text, "Look ✓", "{kind}");
        let [medium] = message.media.as_slice() else { panic!("{kind}") };
        assert_eq!(
            (medium.url.as_deref(), medium.name.as_deref(), &medium.content_type),
            (Some(url), Some("a.bin"), &None)
        );
        let bare = parsed(json!({"channel": "mms", "message_type": kind, "text": null, kind: {"url": url, "name": 5}}));
        assert_eq!((bare.text.as_str(), bare.media.len(), bare.channel), ("", 1, Channel::Mms), "{kind}");
        let beside = parsed(
            json!({"channel": "mms", "message_type": kind, "text": "beside", kind: {"url": url, "caption": ""}}),
        );
        assert_eq!(beside.text, "beside", "{kind}");
        // The type decides, and not what else is there.
        let other = parsed(json!({kind: {"url": url}}));
        assert_eq!((other.text.as_str(), other.media.len()), ("Hello agent", 0), "{kind}");
    }
    for (label, changes, text, payload) in [
        (
            "a button of a message",
            json!({"message_type": "reply", "reply": {"id": "row1", "title": "9am"}}),
            "9am",
            Some("row1"),
        ),
        (
            "a line of a list",
            json!({"message_type": "reply", "reply": {"id": "row1", "title": "9am", "description": "Morning"}}),
            "9am",
            Some("row1"),
        ),
        (
            "no title",
            json!({"message_type": "reply", "reply": {"id": "row1", "description": "Morning"}}),
            "Morning",
            Some("row1"),
        ),
        ("an id alone", json!({"message_type": "reply", "reply": {"id": "row1", "title": ""}}), "row1", Some("row1")),
        ("no id", json!({"message_type": "reply", "reply": {"title": "9am"}}), "9am", None),
        (
            "RCS",
            json!({"channel": "rcs", "message_type": "reply", "reply": {"id": "yes", "title": "Yes"}}),
            "Yes",
            Some("yes"),
        ),
        (
            "a template's",
            json!({"message_type": "button", "button": {"payload": "p1", "text": "Yes"}}),
            "Yes",
            Some("p1"),
        ),
        ("a template's, no text", json!({"message_type": "button", "button": {"payload": "p1"}}), "p1", Some("p1")),
    ] {
        let mut whatsapp = json!({"channel": "whatsapp", "text": null});
        whatsapp.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let message = parsed(whatsapp);
        assert_eq!((message.text.as_str(), message.button_payload.as_deref()), (text, payload), "{label}");
    }
    let place = |location: Value| {
        parsed(json!({"channel": "whatsapp", "message_type": "location", "text": null, "location": location}))
    };
    let found = place(json!({"lat": 37.758_056, "long": -122.425_332, "name": "HQ", "address": "1 Main St"}));
    let expected = Location {
        latitude: 37.758_056,
        longitude: -122.425_332,
        name: Some("HQ".into()),
        address: Some("1 Main St".into()),
    };
    assert!(found.location == Some(expected));
    let texts = place(json!({"latitude": "37", "longitude": " -122.5 ", "name": "", "address": 5})).location.unwrap();
    assert!(texts == Location { latitude: 37.0, longitude: -122.5, name: None, address: None });
}

#[test]
fn the_whole_message_is_read() {
    let message = parsed(json!({
        "channel": "whatsapp", "profile": {"name": "Zoë", "username": "zoe"},
        "context": {"message_uuid": "1111-2222", "message_from": "447700900000"},
        "timestamp": "2026-09-21T16:13:18.574+02:00", "whatsapp": {"referral": {"body": "ad"}}
    }));
    assert_eq!(
        serde_json::to_value(&message).unwrap(),
        json!({"provider": "vonage-messages", "channel": "whatsapp", "from": "+447700900001", "to": "+447700900000",
               "message_id": "aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab", "text": "Hello agent", "media": [],
               "received_at": "2026-09-21T14:13:18.574Z", "in_reply_to": "1111-2222", "profile_name": "Zoë"})
    );
    for (sms, expected) in [
        (json!({"num_messages": "3"}), Some(3)),
        (json!({"num_messages": 3}), Some(3)),
        (json!({"total_count": "2"}), Some(2)),
        (json!({"num_messages": "1"}), None),
        (json!({"num_messages": "many"}), None),
        (json!({"num_messages": -2}), None),
        (json!({"num_messages": 4_294_967_296_u64}), None),
        (json!({}), None),
        (json!([5]), None),
    ] {
        assert_eq!(parsed(json!({"sms": sms})).segments, expected, "{sms}");
        assert_eq!(parsed(json!({"sms": sms, "channel": "whatsapp"})).segments, None, "{sms}");
    }
}

#[test]
fn senders_are_told_apart() {
    let bsuid = "US.13491208655302741918";
    let sender = json!({"sender": {"user_id": bsuid, "parent_user_id": "US.ENT.1", "wa_id": "447700900001"}});
    for (label, changes, from, kind, others) in [
        ("sms", json!({}), "+447700900001", None, None),
        ("with a plus", json!({"from": "+447700900001"}), "+447700900001", None, None),
        ("short code", json!({"from": "12345"}), "12345", Some(FromKind::Shortcode), None),
        ("name", json!({"from": "ACME"}), "ACME", Some(FromKind::Alpha), None),
        ("id of a user", json!({"channel": "whatsapp", "from": bsuid}), bsuid, Some(FromKind::Bsuid), None),
        ("an id beside", json!({"channel": "whatsapp", "whatsapp": sender}), "+447700900001", None, Some(bsuid)),
        (
            "no from",
            json!({"channel": "whatsapp", "from": null, "whatsapp": sender}),
            "+447700900001",
            None,
            Some(bsuid),
        ),
        (
            "no number",
            json!({"channel": "whatsapp", "from": "", "whatsapp": {"sender": {"user_id": bsuid}}}),
            bsuid,
            Some(FromKind::Bsuid),
            None,
        ),
        (
            "the parent's id alone",
            json!({"channel": "whatsapp", "from": null, "whatsapp": {"sender": {"user_id": 5, "parent_user_id": "US.ENT.1"}}}),
            "US.ENT.1",
            Some(FromKind::Bsuid),
            None,
        ),
    ] {
        let message = parsed(changes);
        assert_eq!((message.from.as_str(), message.from_kind), (from, kind), "{label}");
        assert_eq!(message.alt_ids, others.map(|id: &str| vec![id.to_owned()]), "{label}");
    }
    for (channel, expected) in
        [("sms", Channel::Sms), ("mms", Channel::Mms), ("whatsapp", Channel::Whatsapp), ("rcs", Channel::Rcs)]
    {
        assert_eq!(parsed(json!({"channel": channel})).channel, expected);
    }
    assert_eq!(parsed(json!({"channel": "rcs", "to": "AcmeAgent"})).to, "AcmeAgent");
}

#[test]
fn what_is_no_message_is_ignored() {
    assert_eq!(ignored(json!({"message_type": null, "text": null, "status": "something-new"})), "status");
    for (error, expected) in [
        (json!({"type": "https://developer.vonage.com/api-errors/messages#1240"}), "1240 UNSUBSCRIBED opt-out"),
        (json!({"type": "https://developer.vonage.com/api-errors/messages#x", "title": 1340}), "1340 WINDOW_CLOSED"),
        (json!({"title": "1250"}), "1250 NO_TEXTS"),
        (json!([1]), "- UNDELIVERED"),
    ] {
        let changes =
            json!({"message_type": null, "text": null, "status": "rejected", "message_uuid": "u-1", "error": error});
        let events = receive(&post(payload(&changes).to_string()), &candidates()).unwrap();
        assert_eq!(reported(&events), [format!("u-1 failed {expected}")]);
    }
    for channel in ["messenger", "viber_service", "instagram", "", "SMS"] {
        assert_eq!(ignored(json!({"channel": channel, "from": null})), "unsupported channel", "{channel}");
    }
    assert_eq!(ignored(json!({"channel": "whatsapp", "message_type": "reaction"})), "reaction");
    // A customer's message is one, whatever else is there.
    assert_eq!(parsed(json!({"status": "delivered"})).text, "Hello agent");
}

#[test]
fn opt_outs_are_recognised() {
    for (changes, expected) in [
        (json!({"text": " stop "}), Some(OptOut::Stop)),
        (json!({"text": "START", "channel": "mms"}), Some(OptOut::Start)),
        (json!({"text": "STOP", "channel": "whatsapp"}), None),
        (json!({"text": "STOP", "channel": "rcs"}), None),
        (json!({"text": "end"}), None),
    ] {
        let label = changes.to_string();
        assert_eq!(parsed(changes).opt_out, expected, "{label}");
    }
}

#[test]
fn one_bad_character_costs_no_message() {
    for (label, bytes, expected) in [
        ("half a pair", body().replace("Hello", r"\ud83d").into_bytes(), "\u{fffd} agent"),
        ("a noncharacter", body().replace("Hello", r"\ufffe").into_bytes(), "\u{fffd} agent"),
        ("no UTF-8", body().bytes().map(|byte| if byte == b'H' { 0xff } else { byte }).collect(), "\u{fffd}ello agent"),
    ] {
        assert_eq!(receive_one(&post(bytes), &candidates()).text, expected, "{label}");
    }
}

#[test]
fn what_cant_be_shown_is_told() {
    let mug = json!({"product_retailer_id": "mug", "quantity": 2, "item_price": 8, "currency": "EUR"});
    for (changes, expected) in [
        (
            json!({"message_type": "order", "order": {"catalog_id": "1", "text": "gift wrap please", "product_items": [mug]}}),
            "[order] gift wrap please: 2 × mug, 8 EUR",
        ),
        (
            json!({"message_type": "contact", "contact": {"name": {"formatted_name": "Ada"}, "phones": [{"phone": "1"}]}}),
            "[contact] Ada, 1",
        ),
        (json!({"message_type": "contacts", "contacts": [{"name": {"first_name": "Ada"}}]}), "[contact] Ada"),
        (
            json!({"message_type": "custom", "custom": {"type": "nfm_reply", "nfm_reply":
                   {"body": "Sent", "response_json": "{\"flow_token\":\"x\",\"name\":\"Ada\"}"}}}),
            "[form] name: Ada",
        ),
        (json!({"message_type": "unsupported"}), "[unsupported message]"),
        (json!({"message_type": "custom", "custom": {"body": "Look"}}), "[unsupported message] Look"),
        (json!({"message_type": ""}), "[unsupported message]"),
        (json!({"message_type": "text", "text": 5}), "[unsupported message]"),
        (json!({"message_type": "text", "text": ["a"]}), "[unsupported message] a"),
        (json!({"message_type": "image"}), "[unsupported message]"),
        (json!({"message_type": "image", "image": "https://m.example/1"}), "[unsupported message] https://m.example/1"),
        (json!({"message_type": "image", "image": {"url": "", "caption": "Look"}}), "[unsupported message] Look"),
        (json!({"message_type": "image", "image": {"url": 5}}), "[unsupported message]"),
        (json!({"message_type": "location", "location": {"lat": 91, "long": 0}}), "[unsupported message]"),
        (json!({"message_type": "location", "location": {"lat": "NaN", "long": 0}}), "[unsupported message]"),
        (json!({"message_type": "reply", "reply": {}}), "[unsupported message]"),
        (json!({"message_type": "button", "button": "Yes"}), "[unsupported message] Yes"),
    ] {
        let mut changes = changes;
        if changes.get("text").is_none() {
            changes["text"] = Value::Null;
        }
        let label = changes.to_string();
        let message = parsed(changes);
        assert_eq!((message.text.as_str(), message.described), (expected, true), "{label}");
    }
    let text = parsed(json!({"message_type": "hologram", "text": "Hello"})).text;
    assert_eq!(text, "Hello\n[unsupported message]");
}

#[test]
fn who_comes_from_an_advertisement_is_known() {
    let referral = json!({"source_id": "1201", "headline": "Mugs", "source_url": "https://fb.me/x"});
    let message = parsed(json!({"channel": "whatsapp", "whatsapp": {"referral": referral}}));
    assert_eq!(message.referral.unwrap().url.as_deref(), Some("https://fb.me/x"));
}

#[test]
fn what_is_malformed_is_refused_after_it_is_proved() {
    let mut bodies: Vec<(String, Vec<u8>)> = [
        ("nothing", Vec::new()),
        ("cut short", body()[..body().len() - 1].into()),
        ("two of them", (body() + &body()).into()),
        ("a text", b"\"text\"".to_vec()),
        ("an empty object", b"{}".to_vec()),
        ("a NUL between", body().replace(',', ",\0").into()),
        ("too deep", "[".repeat(10_000).into()),
        ("3 MB", vec![b' '; 3_000_000]),
    ]
    .map(|(label, body)| (label.to_owned(), body))
    .into();
    for changes in [
        json!({"message_type": null}),
        json!({"message_type": 5}),
        json!({"message_type": null, "status": 5}),
        json!({"channel": null}),
        json!({"channel": ["sms"]}),
        json!({"message_uuid": null}),
        json!({"message_uuid": ""}),
        json!({"message_uuid": 5}),
        json!({"from": null}),
        json!({"from": " "}),
        json!({"from": 447_700_900_001_u64}),
        json!({"from": {"type": "sms", "number": "447700900001"}}),
        json!({"to": null}),
        json!({"to": ""}),
        json!({"to": {"type": "sms", "number": "447700900000"}}),
    ] {
        bodies.push((changes.to_string(), payload(&changes).to_string().into()));
    }
    for (label, body) in bodies {
        assert_refused(&label, receive(&post(body), &candidates()), Kind::Validation);
    }
    assert_eq!(parsed(json!({"text": "a\0b"})).text, "ab");
}

#[test]
fn what_a_message_can_do_without_may_be_odd() {
    let message =
        parsed(json!({"timestamp": 5, "profile": [], "context": "none", "sms": "x", "whatsapp": 5, "usage": 0}));
    assert_eq!((message.received_at, message.profile_name, message.in_reply_to), (None, None, None));
    for time in ["", "yesterday", "2026-09-21T14:13:18", "2026-09-21 14:13:18"] {
        assert_eq!(parsed(json!({"timestamp": time})).received_at, None, "{time}");
    }
}

proptest! {
    #[test]
    fn what_is_accepted_reaches_the_agent(
        channel in "sms|mms|whatsapp|rcs|[a-z]{1,6}",
        kind in "text|image|file|location|reply|button|order|contact|custom|unsupported|reaction|[a-z]{1,6}",
        content in any_content(),
    ) {
        let changes = json!({"channel": channel, "message_type": kind, "text": null, kind.as_str(): content});
        assert_tells_the_agent(&receive(&post(payload(&changes).to_string()), &candidates()).unwrap());
    }

    #[test]
    fn anything_may_arrive(body in prop::collection::vec(any::<u8>(), 0..300), header in "[ -~]{0,120}", get in any::<bool>()) {
        let method = if get { Method::GET } else { Method::POST };
        for name in [AUTHORIZATION, RUNTIME_AUTHORIZATION] {
            let request = webhook(method.clone(), URL, &[JSON, (name, &header)], body.clone());
            prop_assert!(receive(&request, &candidates()).is_err());
            let request = webhook(method.clone(), URL, &[JSON, (name, &format!("Bearer {header}"))], body.clone());
            prop_assert!(receive(&request, &candidates()).is_err());
        }
    }

    #[test]
    fn any_token_may_be_made(header in any::<String>(), claims in any::<String>()) {
        for (header, claims) in [(r#"{"alg":"HS256"}"#, claims.as_str()), (&header, &claims), (&header, "{}")] {
            let request = with_token(&token_of(header, claims, SECRET), body());
            prop_assert_eq!(receive(&request, &candidates()).unwrap_err().kind(), Kind::Unverified);
        }
    }

    #[test]
    fn anything_may_be_signed(body in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(receive(&post(body), &candidates()).unwrap_err().kind(), Kind::Validation);
    }

    #[test]
    fn any_value_may_stand_in_a_field(
        name in prop::sample::select(vec!["channel", "message_type", "message_uuid", "from", "to", "text", "image", "location",
                                          "reply", "button", "status", "timestamp", "profile", "context", "sms", "whatsapp"]),
        kind in prop::sample::select(vec!["text", "image", "location", "reply", "button"]),
        value in prop::sample::select(vec![
            json!(true), json!(-1), json!(1e300), json!(""), json!("\0"), json!([]), json!([[]]), json!({}), json!([{}]),
            json!({"url": []}), json!({"lat": [], "long": {}}), json!({"id": "x"}), json!({"sender": []}),
            json!("x".repeat(10_000)),
        ]),
    ) {
        let mut payload = payload(&json!({"message_type": kind, "image": {"url": "https://m.example"},
                                          "location": {"lat": 1, "long": 1}, "reply": {"id": "1"}, "button": {"text": "a"}}));
        change(&mut payload, &json!({name: value}));
        match receive(&post(payload.to_string()), &candidates()) {
            Ok(_) => {}
            Err(error) => prop_assert_eq!(error.kind(), Kind::Validation),
        }
    }

    #[test]
    fn no_bit_may_change(place in any::<prop::sample::Index>(), bit in 0..8_u8, in_body in any::<bool>(), runtimes in any::<bool>()) {
        let body = payload(&json!({"text": "Grüße"})).to_string();
        let token = token(&claims(body.as_bytes(), &json!({})));
        let name = if runtimes { RUNTIME_AUTHORIZATION } else { AUTHORIZATION };
        let request = webhook(Method::POST, URL, &[JSON, (name, &format!("Bearer {token}"))], body);
        let mut changed = request.clone();
        let flip = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
            bytes
        };
        if in_body {
            changed.body = flip(&request.body).into();
        } else {
            let Ok(value) = http::HeaderValue::from_bytes(&flip(request.headers[name].as_bytes())) else { return Ok(()) };
            changed.headers.insert(name, value);
        }
        // The scheme is the same in any case.
        let same = !in_body
            && changed.headers[name].to_str().is_ok_and(|text| {
                text.split_at_checked(7).is_some_and(|(scheme, rest)| scheme.eq_ignore_ascii_case("bearer ") && rest == token)
            });
        prop_assert_eq!(changed.verify(&candidates()).is_ok(), same);
    }
}

const FIXTURE: &str = include_str!("../aws_sns/fixtures/test-only.key.pem");

/// Without the words before it.
fn private_key() -> &'static str {
    &FIXTURE[FIXTURE.find("-----BEGIN").unwrap()..]
}

fn sender(private_key: &str) -> Value {
    json!({"provider": "vonage-messages", "signature_secrets": [SECRET], "application_id": APPLICATION,
           "private_key": private_key})
}

/// The same key as PKCS#1: what the PKCS#8 of an RSA key of 2048 bits wraps in 26 bytes (RFC 5208, section 5).
fn pkcs1() -> String {
    let (_, pem) = x509_parser::pem::parse_x509_pem(FIXTURE.as_bytes()).unwrap();
    format!(
        "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\n",
        STANDARD.encode(&pem.contents[26..])
    )
}

#[test]
fn a_text_is_json_with_a_token_of_ours() {
    let public_key = {
        let (_, pem) = x509_parser::pem::parse_x509_pem(FIXTURE.as_bytes()).unwrap();
        let pair = aws_lc_rs::rsa::KeyPair::from_pkcs8(&pem.contents).unwrap();
        aws_lc_rs::signature::KeyPair::public_key(&pair).as_ref().to_vec()
    };
    let verifier =
        aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256, public_key);
    let mut ids = std::collections::BTreeSet::new();
    for (key, channel, sent_over, from, to) in [
        (private_key().to_owned(), Channel::Sms, "sms", "+12028831111", "+14133881111"),
        (pkcs1(), Channel::Mms, "sms", "+12028831111", "+14133881111"),
        (private_key().to_owned(), Channel::Whatsapp, "whatsapp", "+12028831111", "US.13491208655302741918"),
        (private_key().to_owned(), Channel::Rcs, "rcs", "Acme", "+14133881111"),
    ] {
        let text = Outbound { channel, from, to, ..TEXT };
        let (url, content_type, headers, body) = send_request(sender(&key), &text).unwrap();
        assert_eq!((url.as_str(), content_type.as_str()), ("https://api.nexmo.com/v1/messages", "application/json"));
        let expected = json!({
            "channel": sent_over, "message_type": "text", "text": "Hello & bye", "client_ref": TEXT.key,
            "from": from.trim_start_matches('+'), "to": to.trim_start_matches('+'),
        });
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), expected);

        let [(name, token)] = headers.as_slice() else { panic!("{headers:?}") };
        assert_eq!(name, "authorization");
        let token = token.strip_prefix("Bearer ").unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        verifier.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
        let (header, claims) = signed.split_once('.').unwrap();
        let decode = |part: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        assert_eq!(decode(header), json!({"alg": "RS256", "typ": "JWT"}));
        let claims = decode(claims);
        let issued = claims["iat"].as_i64().unwrap();
        assert!((jiff::Timestamp::now().as_second() - issued).abs() < 60);
        let id = claims["jti"].as_str().unwrap().to_owned();
        assert_eq!(claims, json!({"application_id": APPLICATION, "iat": issued, "exp": issued + 900, "jti": id}));
        assert!(ids.insert(id), "a token's id is its own");
    }
}

#[test]
fn an_account_that_only_receives_does_not_send() {
    let why = "application_id, or a private_key that can be read, is missing";
    assert_cannot_send(account(), &TEXT, why);
    let short = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----";
    let public = private_key().replace("PRIVATE KEY", "PUBLIC KEY");
    for unusable in ["-----BEGIN PRIVATE KEY-----\n", "no key at all", short, public.as_str()] {
        assert_eq!(warnings(sender(unusable)), ["accounts[0]: private_key is no usable key"]);
        assert_cannot_send(sender(unusable), &TEXT, why);
    }
    let usable = accounts(json!([sender(private_key())]));
    assert!(warnings(sender(private_key())).is_empty());
    assert!(format!("{:?}", usable[0].credentials).contains("private_key: Some([redacted])"));
}

#[test]
fn how_long_a_text_may_be_depends_on_the_channel() {
    let limit = |channel| accounts(json!([sender(private_key())]))[0].credentials.limit(channel);
    assert_eq!(limit(Channel::Sms), Limit::Units(1000));
    assert_eq!(limit(Channel::Mms), Limit::Units(1000));
    assert_eq!(limit(Channel::Whatsapp), Limit::Characters(4096));
    assert_eq!(limit(Channel::Rcs), Limit::Characters(3072));
}

#[test]
fn answers_are_understood() {
    let error = |fragment: &str| {
        format!(r#"{{"type":"https://developer.vonage.com/api-errors{fragment}","title":"…","detail":"…"}}"#)
    };
    assert_answers(
        sender(private_key()),
        &[
            (202, r#"{"message_uuid":"aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab"}"#, None),
            (429, &error("/messages#1000"), Some(Reason::Throttled)),
            (422, &error("/messages#1000"), Some(Reason::Throttled)),
            (500, &error("/messages#1030"), Some(Reason::Unavailable)),
            (422, &error("/messages#1100"), Some(Reason::Unavailable)),
            (422, &error("/messages#1050"), Some(Reason::Refused)),
            (422, &error("/messages#1020"), Some(Reason::Refused)),
            (402, &error("/messages#1070"), Some(Reason::Misconfigured)),
            (422, &error("/messages#1120"), Some(Reason::Misconfigured)),
            (402, &error("#low-balance"), Some(Reason::Misconfigured)),
            (401, &error("#unauthorized"), Some(Reason::Misconfigured)),
            (422, "no JSON", Some(Reason::Refused)),
            (503, "", Some(Reason::Unavailable)),
            (502, "", Some(Reason::Unknown)),
        ],
    );
}
