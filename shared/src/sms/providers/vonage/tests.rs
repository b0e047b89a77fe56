#![expect(clippy::string_slice, reason = "a test may panic")]

use std::{collections::BTreeMap, sync::Arc};

use aws_lc_rs::hmac;
use http::Method;
use md5::{Digest as _, Md5};
use proptest::prelude::*;
use serde_json::{Value, json};

use ::hmac::{Hmac, KeyInit as _, Mac as _};

use super::SignatureMethod;
use crate::{
    error::Kind,
    settings::{Account, Settings},
    sms::{
        event::Event,
        message::{Channel, Concat, FromKind, Message, OptOut},
        providers::Credentials,
        send::{Outbound, Reason},
        webhook::{Rejection, Webhook},
    },
    testing::{
        NOW, TEXT, account_name, accounts, any_content, assert_answers, assert_cannot_send, assert_refused,
        assert_tells_the_agent, receive, receive_one, reported, run_vectors, send_request, webhook,
    },
};

const URL: &str = "https://sms.example.com/sms/vonage";
const SECRET: &str = "ABCDEfghij1234567890KLMNOPqrstuvwxyz0123456789abcd";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded; charset=UTF-8");
const JSON: (&str, &str) = ("content-type", "application/json");

const BASIC: [(&str, &str); 10] = [
    ("msisdn", "447700900001"),
    ("to", "447700900000"),
    ("messageId", "0A0000000123ABCD1"),
    ("text", "Hello agent"),
    ("type", "text"),
    ("keyword", "HELLO"),
    ("api-key", "abcd1234"),
    ("message-timestamp", "2026-09-21 14:13:19"),
    ("timestamp", "1789999999"),
    ("nonce", "aaaaaaaa-bbbb-cccc-dddd-0123456789ab"),
];

/// `BASIC` signed by Python's `hashlib` and `hmac`.
const SIGNED_BASIC: [(&str, &str); 5] = [
    ("md5hash", "eb3c1c3d68ac15883fde0a7b5da94d20"),
    ("md5", "f719b4ee0207659fe4bcd2103e04b9e6"),
    ("sha1", "271351b561879fdac9aee7bad2201c3ccd503ca1"),
    ("sha256", "4d60c3a84ef5fdd6e4168f9f3543ae03cff1efc6bfd11117d906dd37667da0b8"),
    (
        "sha512",
        "15e4c21230dc16c33b8beb07a395462ba165af7d958ff471b958cf21a0db960e858633de9562ae4a7d627c3eb8970b7a3e966408c75d98b13a67b2f79e685090",
    ),
];

const METHODS: [&str; 5] = ["md5hash", "md5", "sha1", "sha256", "sha512"];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Get,
    Form,
    Json,
}

const WAYS: [Way; 3] = [Way::Get, Way::Form, Way::Json];

fn account(method: &str) -> Vec<Arc<Account>> {
    accounts(json!([{"provider": "vonage", "signature_secrets": [SECRET], "signature_method": method}]))
}

fn candidates() -> Vec<Arc<Account>> {
    account("sha256")
}

fn of_any_age() -> Vec<Arc<Account>> {
    accounts(json!([{"provider": "vonage", "signature_secrets": [SECRET], "signature_method": "sha256",
                     "max_age_seconds": 0}]))
}

/// Vonage's rule, told once more.
fn signed_text(pairs: &[(&str, &str)]) -> String {
    let sorted: BTreeMap<_, _> = pairs.iter().copied().filter(|(name, _)| *name != "sig").collect();
    sorted.iter().map(|(name, value)| format!("&{name}={}", value.replace(['&', '='], "_"))).collect()
}

fn sign(method: &str, secret: &str, text: &str) -> String {
    let mac = |algorithm| hex::encode(hmac::sign(&hmac::Key::new(algorithm, secret.as_bytes()), text.as_bytes()));
    match method {
        "md5hash" => hex::encode(Md5::digest(format!("{text}{secret}"))),
        "md5" => {
            let mac = Hmac::<Md5>::new_from_slice(secret.as_bytes()).unwrap().chain_update(text);
            hex::encode(mac.finalize().into_bytes())
        }
        "sha1" => mac(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
        "sha256" => mac(hmac::HMAC_SHA256),
        _ => mac(hmac::HMAC_SHA512),
    }
}

fn encode(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// `BASIC` with some of its parameters replaced, and others added. The value "-" takes one away.
fn with<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let kept = BASIC.into_iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    kept.chain(changes.iter().copied().filter(|(_, value)| *value != "-")).collect()
}

fn request(way: Way, pairs: &[(&str, &str)]) -> Webhook {
    match way {
        Way::Get => webhook(Method::GET, &format!("{URL}?{}", encode(pairs)), &[], ""),
        Way::Form => webhook(Method::POST, URL, &[FORM], encode(pairs)),
        Way::Json => {
            let object: serde_json::Map<_, _> =
                pairs.iter().map(|(name, value)| ((*name).into(), json!(value))).collect();
            webhook(Method::POST, URL, &[JSON], Value::Object(object).to_string())
        }
    }
}

fn signed_by(way: Way, method: &str, secret: &str, pairs: &[(&str, &str)]) -> Webhook {
    let signature = sign(method, secret, &signed_text(pairs));
    let pairs: Vec<_> = pairs.iter().copied().chain([("sig", signature.as_str())]).collect();
    request(way, &pairs)
}

fn post(pairs: &[(&str, &str)]) -> Webhook {
    signed_by(Way::Form, "sha256", SECRET, pairs)
}

/// A JSON body of this text, with a signature over these pairs.
fn json_post(body: &str, pairs: &[(&str, &str)]) -> Webhook {
    let body = body.replace("SIGNATURE", &sign("sha256", SECRET, &signed_text(pairs)));
    webhook(Method::POST, URL, &[JSON], body)
}

fn parsed(changes: &[(&str, &str)]) -> Message {
    receive_one(&post(&with(changes)), &candidates())
}

fn ignored(changes: &[(&str, &str)]) -> &'static str {
    match receive(&post(&with(changes)), &candidates()).unwrap().as_slice() {
        [Event::Ignored { reason }] => reason.as_str(),
        events => panic!("{events:?}"),
    }
}

#[test]
fn the_vectors_hold() {
    run_vectors(include_str!("vectors/vonage.json"));
}

#[test]
fn all_methods_are_accepted_in_all_ways() {
    for (method, signature) in SIGNED_BASIC {
        let upper = signature.to_uppercase();
        for way in WAYS {
            for signature in [signature, &upper] {
                let pairs: Vec<_> = BASIC.into_iter().chain([("sig", signature)]).collect();
                let message = receive_one(&request(way, &pairs), &account(method));
                assert_eq!(message.text, "Hello agent", "{method} {way:?}");
                // The account's method alone counts.
                for other in METHODS.into_iter().filter(|other| *other != method) {
                    let result = receive(&request(way, &pairs), &account(other));
                    assert_refused(&format!("{method} {way:?} for {other}"), result, Kind::Unverified);
                }
            }
            let wrong = signed_by(way, method, "another", &BASIC);
            assert_refused(&format!("{method} {way:?}"), receive(&wrong, &account(method)), Kind::Unverified);
        }
    }
}

#[test]
fn the_method_is_vonages_default_unless_told() {
    let read = |method: Value| {
        let mut account = json!({"provider": "vonage", "signature_secrets": [SECRET]});
        if !method.is_null() {
            account["signature_method"] = method;
        }
        Settings::from_json(json!({"accounts": [account]}).to_string().as_bytes())
    };
    let settings = read(Value::Null).unwrap();
    let Credentials::Vonage(credentials) = &settings.accounts[0].credentials else { panic!("no Vonage") };
    assert_eq!(credentials.signature_method, SignatureMethod::Md5Hash);
    receive_one(&signed_by(Way::Form, "md5hash", SECRET, &BASIC), &settings.accounts);
    for method in METHODS {
        assert!(read(json!(method)).is_ok(), "{method}");
    }
    for method in [json!("SHA256"), json!("hmac-sha256"), json!("none"), json!(256)] {
        assert!(read(method.clone()).is_err(), "{method}");
    }
}

#[test]
fn credentials_are_read() {
    let read = |fields: Value| {
        let mut account = json!({"provider": "vonage", "signature_secrets": [SECRET]});
        account.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        Settings::from_json(json!({"accounts": [account]}).to_string().as_bytes())
            .map(|settings| settings.warnings().len())
    };
    for (fields, expected) in [
        (json!({}), Some(0)),
        (json!({"api_key": "abcd1234"}), Some(0)),
        (json!({"api_key": "abcd1234", "api_secret": "s"}), Some(0)),
        (json!({"api_secret": "s"}), Some(1)),
        (json!({"signature_secrets": []}), None),
        (json!({"signature_secrets": SECRET}), None),
        (json!({"signature_secret": SECRET}), None),
    ] {
        assert_eq!(read(fields.clone()).ok(), expected, "{fields}");
    }
}

#[test]
fn all_values_are_signed_as_they_are_decoded() {
    for (label, changes) in [
        ("signs of the form itself", vec![("text", "a+b c%20d%3D;e")]),
        ("the two that are replaced", vec![("text", "a=b&c=d")]),
        ("only these", vec![("text", "=&=")]),
        ("blanks at the ends and line ends", vec![("text", " a\r\nb ")]),
        ("blank", vec![("text", "")]),
        ("beyond the basic plane", vec![("text", "👋🏽 世界 ü"), ("type", "unicode")]),
        ("a replacement character of its own", vec![("text", "\u{FFFD}")]),
        ("a quote and a backslash", vec![("text", "\"\\\t")]),
        ("parameters of tomorrow", vec![("Zz", "1"), ("aa", ""), ("e", "👋"), ("_", "&")]),
        ("a signature of another name", vec![("Sig", "00"), ("sig2", "00")]),
        ("no keyword", vec![("keyword", "-")]),
        ("no nonce", vec![("nonce", "-")]),
    ] {
        for way in WAYS {
            let pairs = with(&changes);
            let message = receive_one(&signed_by(way, "sha256", SECRET, &pairs), &candidates());
            let text = pairs.iter().find(|(name, _)| *name == "text").unwrap().1;
            assert_eq!(message.text, text, "{label} {way:?}");
        }
    }
}

#[test]
fn other_parameters_are_refused() {
    let right = sign("sha256", SECRET, &signed_text(&BASIC));
    for (label, changes) in [
        ("another text", vec![("text", "Send money")]),
        ("another sender", vec![("msisdn", "447700900002")]),
        ("another recipient", vec![("to", "447700900009")]),
        ("another id", vec![("messageId", "0A0000000123ABCD2")]),
        ("another time", vec![("timestamp", "1790000000")]),
        ("another nonce", vec![("nonce", "x")]),
        ("another key", vec![("api-key", "abcd1235")]),
        ("a parameter more", vec![("zz", "1")]),
        ("a blank parameter more", vec![("zz", "")]),
        ("a parameter less", vec![("keyword", "-")]),
        ("no time", vec![("timestamp", "-")]),
        ("a name in another case", vec![("text", "-"), ("Text", "Hello agent")]),
        ("a blank in a name", vec![("text", "-"), ("text ", "Hello agent")]),
        ("names and values turned round", vec![("type", "HELLO"), ("keyword", "text")]),
    ] {
        for way in WAYS {
            let pairs: Vec<_> = with(&changes).into_iter().chain([("sig", right.as_str())]).collect();
            let result = receive(&request(way, &pairs), &candidates());
            assert_refused(&format!("{label} {way:?}"), result, Kind::Unverified);
        }
    }
}

#[test]
fn odd_signatures_are_refused() {
    let right = sign("sha256", SECRET, &signed_text(&BASIC));
    let longer = format!("{right}00");
    let zeros = "0".repeat(64);
    for (label, signature, rejection) in [
        ("blank", "", Rejection::Missing),
        ("a blank", " ", Rejection::Missing),
        ("cut short", &right[..62], Rejection::Mismatch),
        ("half a byte", &right[..63], Rejection::Malformed),
        ("longer", &longer, Rejection::Mismatch),
        ("zeros", &zeros, Rejection::Mismatch),
        ("no hex", "zz", Rejection::Malformed),
        ("not ASCII", "é", Rejection::Malformed),
        ("the secret", SECRET, Rejection::Malformed),
    ] {
        for way in WAYS {
            let pairs: Vec<_> = BASIC.into_iter().chain([("sig", signature)]).collect();
            let error = request(way, &pairs).verify(&candidates()).expect_err(label);
            assert_eq!(Rejection::of(&error), Some(rejection), "{label} {way:?}");
        }
    }
    for way in WAYS {
        let error = request(way, &BASIC).verify(&candidates()).unwrap_err();
        assert_eq!(Rejection::of(&error), Some(Rejection::Missing), "none {way:?}");
        // Where nothing but the signature is signed, it says nothing.
        let empty = signed_by(way, "sha256", SECRET, &[]);
        assert_refused("nothing in it", receive(&empty, &of_any_age()), Kind::Validation);
    }
    // A header is no parameter.
    let mut header = request(Way::Form, &BASIC);
    header.headers.insert("sig", right.parse().unwrap());
    assert_refused("header", receive(&header, &candidates()), Kind::Unverified);
    // Neither is the query of a form.
    let mut query = request(Way::Form, &BASIC);
    query.query = Some(format!("sig={right}"));
    assert_refused("query", receive(&query, &candidates()), Kind::Unverified);
    let mut body = signed_by(Way::Get, "sha256", SECRET, &BASIC);
    body.body = "text=evil".into();
    assert_eq!(receive_one(&body, &candidates()).text, "Hello agent");
    let mut put = post(&BASIC);
    put.method = Method::PUT;
    assert_refused("another method", receive(&put, &candidates()), Kind::MethodNotAllowed);
}

#[test]
fn ambiguous_parameters_are_refused() {
    // Each is signed as a reader of the first, the last, or of both would have it.
    let twice = |first: &str, second: &str| {
        let pairs = with(&[("text", "-")]);
        [vec![first], vec![second], vec![first, second]].map(|values| {
            let mut text = signed_text(&pairs);
            for value in values {
                let (before, after) = text.split_at(text.find("&timestamp").unwrap());
                text = format!("{before}&text={value}{after}");
            }
            let signature = sign("sha256", SECRET, &text);
            let mut pairs = pairs.clone();
            pairs.extend([("text", first), ("text", second)]);
            (encode(&pairs) + "&sig=" + &signature, signature)
        })
    };
    for (first, second) in [("a", "b"), ("a", "a"), ("", "a")] {
        for (form, signature) in twice(first, second) {
            let request = webhook(Method::POST, URL, &[FORM], form.clone());
            assert_refused("form", receive(&request, &candidates()), Kind::Unverified);
            let request = webhook(Method::GET, &format!("{URL}?{form}"), &[], "");
            assert_refused("query", receive(&request, &candidates()), Kind::Unverified);
            let mut body = json!(with(&[("text", "-")]).into_iter().collect::<BTreeMap<_, _>>()).to_string();
            body.truncate(body.len() - 1);
            body = format!(r#"{body},"text":"{first}","\u0074ext":"{second}","sig":"{signature}"}}"#);
            let request = webhook(Method::POST, URL, &[JSON], body);
            assert_refused("json", receive(&request, &candidates()), Kind::Unverified);
        }
    }
    let two = format!("{}&sig=00", encode(&[("sig", &sign("sha256", SECRET, &signed_text(&BASIC)))]));
    let request = webhook(Method::POST, URL, &[FORM], format!("{}&{two}", encode(&BASIC)));
    assert_refused("two signatures", receive(&request, &candidates()), Kind::Unverified);
}

#[test]
fn moved_borders_are_refused() {
    let right = sign("sha256", SECRET, &signed_text(&BASIC));
    // The text that is signed stays the same; the time would be gone, and with it the age.
    for (label, swallowed, name) in [
        (
            "by an equals sign",
            vec![("text", "-"), ("timestamp", "-"), ("to", "-"), ("type", "-")],
            "text=Hello agent&timestamp=1789999999&to=447700900000&type",
        ),
        ("by the last but one", vec![("timestamp", "-"), ("to", "-")], "timestamp=1789999999&to"),
    ] {
        let value = if name.ends_with("type") { "text" } else { "447700900000" };
        let pairs = with(&swallowed);
        let all: Vec<_> = pairs.iter().copied().chain([(name, value)]).collect();
        assert_eq!(signed_text(&all), signed_text(&BASIC), "{label}: the test is about another text");
        for way in WAYS {
            let all: Vec<_> = all.iter().copied().chain([("sig", right.as_str())]).collect();
            assert_refused(label, receive(&request(way, &all), &candidates()), Kind::Unverified);
        }
    }
    // What stays possible: an equals sign for an underscore, in a text but not in an id.
    let pairs = with(&[("text", "a_b"), ("messageId", "0A_1")]);
    let right = sign("sha256", SECRET, &signed_text(&pairs));
    let text: Vec<_> = with(&[("text", "a=b"), ("messageId", "0A_1"), ("sig", &right)]);
    assert_eq!(receive_one(&request(Way::Form, &text), &candidates()).text, "a=b");
    for id in ["0A=1", "0A&1"] {
        let other: Vec<_> = with(&[("text", "a_b"), ("messageId", id), ("sig", &right)]);
        assert_refused(id, receive(&request(Way::Form, &other), &candidates()), Kind::Validation);
    }
}

#[test]
fn json_is_signed_by_the_text_of_its_values() {
    let base = r#""msisdn":"447700900001","to":"447700900000","messageId":"1","text":"hi","sig":"SIGNATURE""#;
    let pairs = [("msisdn", "447700900001"), ("to", "447700900000"), ("messageId", "1"), ("text", "hi")];
    let with_more = |more: &str, signed: &[(&str, &str)]| {
        let pairs: Vec<_> = pairs.iter().copied().chain(signed.iter().copied()).collect();
        receive(&json_post(&format!("{{{base},{more}}}"), &pairs), &of_any_age())
    };
    for (more, signed) in [
        (r#""n":5"#, ("n", "5")),
        (r#""n":-5"#, ("n", "-5")),
        (r#""n": 1.0 "#, ("n", "1.0")),
        (r#""n":1e3"#, ("n", "1e3")),
        (r#""n":123456789012345678901234567890"#, ("n", "123456789012345678901234567890")),
        (r#""n":true"#, ("n", "true")),
        (r#""n":false"#, ("n", "false")),
        (r#""n":"true""#, ("n", "true")),
        (r#""n":"\u0061\n\"""#, ("n", "a\n\"")),
        (r#""\u006e":"👋""#, ("n", "👋")),
        (r#""timestamp":1789999999"#, ("timestamp", "1789999999")),
    ] {
        assert!(with_more(more, &[signed]).is_ok(), "{more}");
        assert_refused(more, with_more(more, &[("n", "x")]), Kind::Unverified);
        assert_refused(more, with_more(more, &[]), Kind::Unverified);
    }
    assert!(with_more(r#""n":null"#, &[]).is_ok());
    for (more, signed) in [
        (r#""n":null"#, ("n", "null")),
        (r#""n":null"#, ("n", "")),
        (r#""n":true"#, ("n", "True")),
        (r#""n":1.0"#, ("n", "1")),
        (r#""n":[]"#, ("n", "[]")),
        (r#""n":{}"#, ("n", "{}")),
        (r#""n":{"a":"b"}"#, ("n", "b")),
        (r#""n":["b"]"#, ("n", "b")),
    ] {
        assert_refused(more, with_more(more, &[signed]), Kind::Unverified);
    }
    let numbers = json_post(
        r#"{"msisdn":447700900001,"to":447700900000,"messageId":17,"text":5,"concat":true,"concat-ref":7,"concat-total":2,"concat-part":1,"sig":"SIGNATURE"}"#,
        &[
            ("msisdn", "447700900001"),
            ("to", "447700900000"),
            ("messageId", "17"),
            ("text", "5"),
            ("concat", "true"),
            ("concat-ref", "7"),
            ("concat-total", "2"),
            ("concat-part", "1"),
        ],
    );
    let message = receive_one(&numbers, &of_any_age());
    assert_eq!(
        (message.message_id.as_str(), message.from.as_str(), message.text.as_str()),
        ("17", "+447700900001", "5")
    );
    assert_eq!(message.concat, Some(Concat { reference: "7".into(), total: 2, part: 1 }));

    for body in
        ["", "{", "[]", "[1]", "null", "5", "\"a\"", "{} {}", "{\"sig\":\"\\ud800\"}", "\u{feff}{}", "{\"a\":01}"]
    {
        let request = webhook(Method::POST, URL, &[JSON], body);
        assert_refused(body, receive(&request, &candidates()), Kind::Unverified);
    }
    for body in [b"{\"a\":\"\xff\"}".to_vec(), b"{\"a\":\"\0\"}".to_vec(), "[".repeat(10_000).into_bytes()] {
        let request = webhook(Method::POST, URL, &[JSON], body);
        assert_refused("bytes", receive(&request, &candidates()), Kind::Unverified);
    }
}

#[test]
fn the_age_counts_where_the_account_says_so() {
    let now = |offset: i64| (NOW + offset).to_string();
    let (fresh, old, future) = (now(-299), now(-301), now(301));
    let (last, older) = (now(-86_400), now(-86_401));
    for (label, timestamp, by_default, limited) in [
        ("fresh", fresh.as_str(), true, true),
        ("the last second", &now(-300), true, true),
        ("stale", &old, true, false),
        ("of the future", &future, true, false),
        ("the last second of a day", &last, true, false),
        ("a day ago", &older, false, false),
        ("none", "-", false, false),
        ("blank", "", false, false),
        ("no number", "yesterday", false, false),
        ("milliseconds", "1790000000000", false, false),
        ("huge", "99999999999999999999", false, false),
        ("negative", "-9223372036854775808", false, false),
    ] {
        for way in WAYS {
            let request = signed_by(way, "sha256", SECRET, &with(&[("timestamp", timestamp)]));
            assert_eq!(receive(&request, &candidates()).is_ok(), by_default, "{label} {way:?}");
            let strict = accounts(json!([{"provider": "vonage", "signature_secrets": [SECRET],
                                          "signature_method": "sha256", "max_age_seconds": 300}]));
            match request.verify(&strict) {
                Ok(_) => assert!(limited, "{label} {way:?}"),
                Err(error) => {
                    assert!(!limited, "{label} {way:?}");
                    assert_eq!(Rejection::of(&error), Some(Rejection::Stale), "{label} {way:?}");
                }
            }
        }
    }
    let verified = post(&BASIC);
    assert_eq!(verified.verify(&candidates()).unwrap().age_seconds(), Some(1));
}

#[test]
fn any_secret_of_a_rotation_signs() {
    let read = |secrets: Value| {
        accounts(json!([{"provider": "vonage", "signature_secrets": secrets,
                                                 "signature_method": "sha256"}]))
    };
    receive_one(&post(&BASIC), &read(json!(["new", SECRET, "older"])));
    let rotated = read(json!(["new"]));
    let request = post(&BASIC);
    let error = request.verify(&rotated).unwrap_err();
    assert!(Rejection::of(&error).unwrap().may_be_rotation());
    assert_refused("rotated", receive(&request, &rotated), Kind::Unverified);
    assert_refused("no candidate", receive(&request, &[]), Kind::Unverified);
    let other = accounts(json!([{"provider": "vonage-messages", "signature_secrets": [SECRET]}]));
    assert_refused("another provider", receive(&request, &other), Kind::Unverified);
}

#[test]
fn accounts_are_chosen_by_secret_and_then_by_key() {
    let account = |name: &str, secret: &str, key: Option<&str>, numbers: &[&str]| {
        let numbers: serde_json::Map<_, _> = numbers.iter().map(|number| ((*number).to_owned(), json!({}))).collect();
        json!({"name": name, "provider": "vonage", "signature_secrets": [secret], "signature_method": "sha256",
               "api_key": key, "numbers": numbers})
    };
    let ours = Some("abcd1234");
    for (label, document, expected) in [
        ("the secret alone", json!([account("a", "x", None, &[]), account("b", SECRET, None, &[])]), "b"),
        ("another's key hurts no one", json!([account("a", SECRET, Some("other"), &[])]), "a"),
        ("the key is no proof", json!([account("a", "x", ours, &[]), account("b", SECRET, Some("other"), &[])]), "b"),
        ("the first of equals", json!([account("a", SECRET, None, &[]), account("b", SECRET, None, &[])]), "a"),
        ("the key", json!([account("a", SECRET, None, &[]), account("b", SECRET, ours, &[])]), "b"),
        (
            "no key before a wrong one",
            json!([account("a", SECRET, Some("c"), &[]), account("b", SECRET, None, &[])]),
            "b",
        ),
        (
            "the number",
            json!([account("a", SECRET, None, &["+19"]), account("b", SECRET, None, &["447700900000"])]),
            "b",
        ),
        (
            "the key before the number",
            json!([account("a", SECRET, None, &["447700900000"]), account("b", SECRET, ours, &[])]),
            "b",
        ),
    ] {
        for way in WAYS {
            let request = signed_by(way, "sha256", SECRET, &BASIC);
            let candidates = accounts(document.clone());
            assert_eq!(account_name(&request, &candidates), expected, "{label} {way:?}");
        }
    }
    let pair = accounts(json!([account("a", SECRET, ours, &[]), account("b", SECRET, ours, &[])]));
    assert_refused("unreadable", receive(&post(&with(&[("to", "")])), &pair), Kind::Validation);
}

#[test]
fn the_whole_message_is_read() {
    let message = parsed(&[
        ("text", "Teil eins ✓"),
        ("type", "unicode"),
        ("concat", "true"),
        ("concat-ref", "108"),
        ("concat-total", "3"),
        ("concat-part", "2"),
    ]);
    assert_eq!(
        serde_json::to_value(&message).unwrap(),
        json!({"provider": "vonage", "channel": "sms", "message_id": "0A0000000123ABCD1", "from": "+447700900001",
               "to": "+447700900000", "text": "Teil eins ✓", "media": [], "received_at": "2026-09-21T14:13:19Z",
               "encoding": "unicode", "concat": {"ref": "108", "total": 3, "part": 2}})
    );
}

#[test]
fn addresses_and_times_are_normalised() {
    for (from, to, expected, kind) in [
        ("447700900001", "447700900000", ("+447700900001", "+447700900000"), None),
        ("+447700900001", " 447700900000 ", ("+447700900001", "+447700900000"), None),
        ("12345", "98975", ("12345", "98975"), Some(FromKind::Shortcode)),
        ("ACME Ltd", "98975", ("ACME Ltd", "98975"), Some(FromKind::Alpha)),
    ] {
        let message = parsed(&[("msisdn", from), ("to", to)]);
        assert_eq!((message.from.as_str(), message.to.as_str()), expected);
        assert_eq!((message.from_kind, message.channel), (kind, Channel::Sms));
    }
    for (time, expected) in [
        ("2026-09-21 14:13:19", Some("2026-09-21T14:13:19Z")),
        (" 2026-02-28 00:00:00 ", Some("2026-02-28T00:00:00Z")),
        ("2026-02-30 00:00:00", None),
        ("2026-09-21", None),
        ("2026-09-21 14:13:19+02:00", None),
        ("9999-12-31 23:59:59", None),
        ("now", None),
        ("", None),
        ("-", None),
    ] {
        assert_eq!(parsed(&[("message-timestamp", time)]).received_at.as_deref(), expected, "{time}");
    }
}

#[test]
fn parts_are_told_where_they_make_sense() {
    let concat = |flag: &str, reference: &str, total: &str, part: &str| {
        parsed(&[("concat", flag), ("concat-ref", reference), ("concat-total", total), ("concat-part", part)]).concat
    };
    for (flag, reference, total, part, expected) in [
        ("true", "108", "2", "1", Some((2, 1))),
        ("TRUE", "108", "255", "255", Some((255, 255))),
        ("true", "108", "02", "2", Some((2, 2))),
        ("false", "108", "2", "1", None),
        ("-", "108", "2", "1", None),
        ("true", "-", "2", "1", None),
        ("true", " ", "2", "1", None),
        ("true", "108", "-", "1", None),
        ("true", "108", "2", "-", None),
        ("true", "108", "1", "1", None),
        ("true", "108", "2", "0", None),
        ("true", "108", "2", "3", None),
        ("true", "108", "256", "1", None),
        ("true", "108", "two", "1", None),
        ("true", "108", "-2", "-1", None),
        ("true", "108", "99999999999999999999", "1", None),
    ] {
        let found = concat(flag, reference, total, part).map(|concat| (concat.total, concat.part));
        assert_eq!(found, expected, "{flag} {reference} {total} {part}");
    }
}

#[test]
fn binary_messages_are_texts_where_they_can_be_read() {
    for (label, data, udh, expected) in [
        ("ASCII", "48656c6c6f", "-", Some("Hello")),
        ("any case", "48656C6C6F", "", Some("Hello")),
        ("UTF-8", "477275c39f", "-", Some("Gruß")),
        ("UTF-16", "00480069d83ddc4b", "-", Some("Hi👋")),
        ("a part of several", "48656c6c6f", "050003cc0201", Some("Hello")),
        ("an odd header", "48656c6c6f", "zz", Some("Hello")),
        ("line ends", "480d0a09", "-", Some("H\r\n\t")),
        ("ports of 16 bits", "48656c6c6f", "06050423f423f4", None),
        ("ports of 8 bits", "48656c6c6f", "040402f0f0", None),
        ("a port after the parts", "48656c6c6f", "0b0003cc020105040b8423f0", None),
        ("control characters", "0106", "-", None),
        ("neither", "ffd8ffe0", "-", None),
        ("half a character", "00480069d83d", "-", None),
        ("what is any pair of bytes", "8a1b9c33", "-", None),
        ("an odd number of bytes", "ff0048", "-", None),
    ] {
        let changes = [("type", "binary"), ("text", "-"), ("data", data), ("udh", udh)];
        match expected {
            Some(text) => {
                let message = parsed(&changes);
                assert_eq!((message.text.as_str(), message.encoding.as_deref()), (text, Some("binary")), "{label}");
            }
            None if label.contains("port") => assert_eq!(ignored(&changes), "binary message", "{label}"),
            None => assert_eq!(parsed(&changes).text, "[unsupported message]", "{label}"),
        }
    }
    for data in ["-", "", "xyz", "abc"] {
        let message = parsed(&[("type", "binary"), ("text", "-"), ("data", data)]);
        assert_eq!((message.text.as_str(), message.described), ("[unsupported message]", true), "{data}");
    }
}

#[test]
fn what_is_no_message_is_ignored() {
    let receipt = [
        ("text", "-"),
        ("type", "-"),
        ("keyword", "-"),
        ("network-code", "23410"),
        ("price", "0.03"),
        ("scts", "2609211413"),
        ("err-code", "0"),
    ];
    for (status, expected) in [
        ("delivered", "delivered"),
        ("accepted", "sent"),
        ("failed", "failed"),
        ("expired", "failed"),
        ("rejected", "failed"),
        ("buffered", "sent"),
        ("unknown", "sent"),
    ] {
        let changes: Vec<_> = receipt.into_iter().chain([("status", status)]).collect();
        let reported = reported(&receive(&post(&with(&changes)), &candidates()).unwrap()).remove(0);
        assert_eq!(reported.split(' ').nth(1), Some(expected), "{status}");
    }
    let new: Vec<_> = receipt.into_iter().chain([("status", "something-new")]).collect();
    assert_eq!((ignored(&new), ignored(&receipt)), ("status", "status"));
    assert_eq!(parsed(&[("type", "wappush"), ("text", "-")]).text, "[unsupported message]");
    // A customer's text is one, whatever else is there.
    assert_eq!(parsed(&[("status", "delivered")]).text, "Hello agent");
    assert_eq!(parsed(&[("type", "flash")]).text, "Hello agent");
    assert_eq!(parsed(&[("type", "-")]).text, "Hello agent");
    assert_eq!(parsed(&[("text", "-")]).text, "");
}

#[test]
fn opt_outs_are_recognised() {
    for (text, expected) in
        [(" Stop ", Some(OptOut::Stop)), ("START", Some(OptOut::Start)), ("please stop", None), ("END", None)]
    {
        assert_eq!(parsed(&[("text", text)]).opt_out, expected, "{text}");
    }
}

#[test]
fn what_is_malformed_is_refused_after_it_is_proved() {
    for (label, changes) in [
        ("no id", vec![("messageId", "-")]),
        ("blank id", vec![("messageId", " ")]),
        ("id of NULs", vec![("messageId", "\0")]),
        ("no sender", vec![("msisdn", "-")]),
        ("blank sender", vec![("msisdn", "")]),
        ("no recipient", vec![("to", "-")]),
        ("neither text nor type", vec![("text", "-"), ("type", "-")]),
    ] {
        for way in WAYS {
            let request = signed_by(way, "sha256", SECRET, &with(&changes));
            assert_refused(&format!("{label} {way:?}"), receive(&request, &candidates()), Kind::Validation);
        }
    }
    // Signed as the frameworks of the SDKs decode it.
    let pairs = with(&[("text", "\u{FFFD}\u{FFFD}")]);
    let signature = sign("sha256", SECRET, &signed_text(&pairs));
    let form = encode(&pairs).replace("%EF%BF%BD%EF%BF%BD", "%FF%C0") + "&sig=" + &signature;
    for request in
        [webhook(Method::POST, URL, &[FORM], form.clone()), webhook(Method::GET, &format!("{URL}?{form}"), &[], "")]
    {
        assert!(request.verify(&candidates()).is_ok());
        assert_eq!(receive_one(&request, &candidates()).text, "\u{fffd}\u{fffd}");
    }
    assert_eq!(parsed(&[("text", "a\0b\u{ffff}")]).text, "ab\u{fffd}");
    // In JSON, half a pair; signed as what it is read as.
    let pairs = with(&[("text", "See you at 6 \u{fffd}")]);
    let mut request = signed_by(Way::Json, "sha256", SECRET, &pairs);
    let body = String::from_utf8(request.body.to_vec()).unwrap();
    assert!(body.contains('\u{fffd}'));
    request.body = body.replace('\u{fffd}', r"\ud83d").into();
    assert_eq!(receive_one(&request, &candidates()).text, "See you at 6 \u{fffd}");
    let mut large = post(&BASIC);
    large.body = "x".repeat(3_000_000).into();
    assert_refused("3 MB", receive(&large, &candidates()), Kind::Validation);
}

/// What Vonage signed, decoded, and the signature: two webhooks that are equal in this say the same.
fn meaning(way: Way, webhook: &Webhook) -> Option<BTreeMap<String, String>> {
    let mut pairs: BTreeMap<String, String> = match way {
        Way::Get => form_urlencoded::parse(webhook.query.as_deref()?.as_bytes()).into_owned().collect(),
        Way::Form => form_urlencoded::parse(&webhook.body).into_owned().collect(),
        Way::Json => serde_json::from_slice(&webhook.body).ok()?,
    };
    let signature = pairs.get_mut("sig")?;
    *signature = signature.to_lowercase();
    Some(pairs)
}

proptest! {
    #[test]
    fn what_is_accepted_reaches_the_agent(
        kind in "text|unicode|binary|wappush|[a-z]{1,6}",
        field in "text|data|udh|body",
        value in any_content(),
    ) {
        let value = value.to_string();
        let changes = [("type", kind.as_str()), ("text", "-"), (field.as_str(), value.as_str())];
        let is_blank = field != "text" && matches!(kind.as_str(), "text" | "unicode");
        let events = receive(&post(&with(&changes)), &candidates()).unwrap();
        if !is_blank {
            assert_tells_the_agent(&events);
        }
    }

    #[test]
    fn anything_may_arrive(
        body in prop::collection::vec(any::<u8>(), 0..300),
        query in prop::option::of("[ -~]{0,80}"),
        content_type in prop::sample::select(vec!["application/json", "text/plain", "", "application/x-www-form-urlencoded"]),
        get in any::<bool>(),
    ) {
        let method = if get { Method::GET } else { Method::POST };
        let mut request = webhook(method, URL, &[("content-type", content_type)], body);
        request.query = query;
        prop_assert!(receive(&request, &candidates()).is_err());
    }

    #[test]
    fn anything_may_be_signed(
        pairs in prop::collection::btree_map(
            prop::sample::select(vec!["messageId", "msisdn", "to", "text", "type", "data", "udh", "concat", "concat-ref",
                                      "concat-total", "concat-part", "message-timestamp", "timestamp", "status", "x"]),
            prop_oneof![any::<String>(), "[0-9a-f]{0,40}", Just("binary".to_owned()), Just("true".to_owned())],
            0..12),
        way in prop::sample::select(WAYS.to_vec()),
    ) {
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
        match receive(&signed_by(way, "sha256", SECRET, &pairs), &of_any_age()) {
            Ok(_) => {}
            Err(error) => prop_assert_eq!(error.kind(), Kind::Validation),
        }
    }

    #[test]
    fn no_bit_may_change(
        place in any::<prop::sample::Index>(),
        bit in 0..8_u8,
        way in prop::sample::select(WAYS.to_vec()),
        method in prop::sample::select(METHODS.to_vec()),
    ) {
        let request = signed_by(way, method, SECRET, &with(&[("text", "Grüße & mehr")]));
        let mut changed = request.clone();
        let flip = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
            bytes
        };
        if way == Way::Get {
            let Ok(query) = String::from_utf8(flip(request.query.as_ref().unwrap().as_bytes())) else { return Ok(()) };
            changed.query = Some(query);
        } else {
            changed.body = flip(&request.body).into();
        }
        let same = meaning(way, &changed) == meaning(way, &request);
        prop_assert_eq!(changed.verify(&account(method)).is_ok(), same);
    }
}

fn sender() -> Value {
    json!({"provider": "vonage", "signature_secrets": [SECRET], "api_key": "abcd1234", "api_secret": "s3cret"})
}

#[test]
fn a_text_is_json_with_its_encoding() {
    let gsm7 = "Grüße {100 €} ^~\\|[] £\r\n";
    for (from, to, text, encoding, sent_from) in [
        (TEXT.from, TEXT.to, "Hello & bye", "text", "12028831111"),
        ("12345", "14133881111", gsm7, "text", "12345"),
        ("Acme", TEXT.to, "“Hello”", "unicode", "Acme"),
        (TEXT.from, TEXT.to, "ç", "unicode", "12028831111"),
        (TEXT.from, TEXT.to, "👍", "unicode", "12028831111"),
        (TEXT.from, TEXT.to, "`", "unicode", "12028831111"),
    ] {
        let (url, content_type, headers, body) = send_request(sender(), &Outbound { from, to, text, ..TEXT }).unwrap();
        assert_eq!((url.as_str(), content_type.as_str()), ("https://rest.nexmo.com/sms/json", "application/json"));
        assert_eq!(headers, []);
        let expected = json!({
            "api_key": "abcd1234", "api_secret": "s3cret", "from": sent_from, "to": "14133881111", "text": text,
            "type": encoding, "client-ref": TEXT.key,
        });
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), expected);
    }
}

#[test]
fn an_account_that_only_receives_does_not_send() {
    let account = json!({"provider": "vonage", "signature_secrets": [SECRET], "api_key": "abcd1234"});
    assert_cannot_send(account, &TEXT, "api_key or api_secret is missing");
}

#[test]
fn an_answer_of_200_may_be_a_refusal() {
    let parts = |statuses: &[&str]| {
        let parts: Vec<_> = statuses.iter().map(|status| json!({"to": "14133881111", "status": status})).collect();
        json!({"message-count": statuses.len().to_string(), "messages": parts}).to_string()
    };
    for (statuses, reason) in [
        (&["0"][..], None),
        (&["0", "0", "0"], None),
        (&["1"], Some(Reason::Throttled)),
        (&["10"], Some(Reason::Throttled)),
        (&["5"], Some(Reason::Unavailable)),
        (&["4"], Some(Reason::Misconfigured)),
        (&["8"], Some(Reason::Misconfigured)),
        (&["9"], Some(Reason::Misconfigured)),
        (&["11"], Some(Reason::Misconfigured)),
        (&["14"], Some(Reason::Misconfigured)),
        (&["15"], Some(Reason::Misconfigured)),
        (&["29"], Some(Reason::Misconfigured)),
        (&["32"], Some(Reason::Misconfigured)),
        (&["2"], Some(Reason::Refused)),
        (&["3"], Some(Reason::Refused)),
        (&["6"], Some(Reason::Refused)),
        (&["7"], Some(Reason::Refused)),
        (&["12"], Some(Reason::Refused)),
        (&["22"], Some(Reason::Refused)),
        (&["23"], Some(Reason::Refused)),
        (&["33"], Some(Reason::Refused)),
        (&["99"], Some(Reason::Refused)),
        (&["1", "1"], Some(Reason::Throttled)),
        // Partly taken.
        (&["0", "1"], Some(Reason::Unknown)),
        (&["1", "0"], Some(Reason::Unknown)),
        (&["0", "7"], Some(Reason::Unknown)),
        // Nothing is said.
        (&[], Some(Reason::Unknown)),
    ] {
        assert_answers(sender(), &[(200, &parts(statuses), reason)]);
    }
    assert_answers(
        sender(),
        &[
            (200, r#"{"messages":[{"status":0}]}"#, None),
            (200, r#"{"messages":[{"status":null}]}"#, Some(Reason::Unknown)),
            (200, r#"{"messages":[{}]}"#, Some(Reason::Unknown)),
            (200, "<html>", Some(Reason::Unknown)),
            (200, "", Some(Reason::Unknown)),
            (401, "", Some(Reason::Misconfigured)),
            (429, "", Some(Reason::Throttled)),
            (503, "", Some(Reason::Unavailable)),
            (502, "", Some(Reason::Unknown)),
        ],
    );
}
