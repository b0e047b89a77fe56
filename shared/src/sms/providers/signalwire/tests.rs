#![expect(clippy::string_slice, reason = "a test may panic")]

use aws_lc_rs::{digest, hmac};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Method;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{COMPATIBLE_SIGNATURE, SHA256_SIGNATURE, SIGNATURE};
use crate::{
    error::Kind,
    sms::{
        event::{Event, Ignored},
        message::{Channel, OptOut},
        send::{Outbound, Reason},
        webhook::{Rejection, Webhook},
    },
    testing::{
        TEXT, account_name, accounts, any_content, assert_answers, assert_cannot_send, assert_refused,
        assert_tells_the_agent, receive, receive_one, run_vectors, send_request, warnings, webhook,
    },
};

const URL: &str = "https://sms.example.com/sms/signalwire";
const KEY: &str = "PSKtest_1234567890abcdef";
const ID: &str = "b8d5c1f2-0d1e-4c5b-9c0a-111111111111";
const PROJECT: &str = "720796a0-8ee9-4350-83bd-2d07a3121f1e";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const JSON: (&str, &str) = ("content-type", "application/json");

const BASIC: [(&str, &str); 8] = [
    ("MessageSid", ID),
    ("AccountSid", PROJECT),
    ("From", "+14133881111"),
    ("To", "+12028831111"),
    ("Body", "Hello agent"),
    ("NumMedia", "0"),
    ("SmsStatus", "received"),
    ("MessageStatus", "received"),
];

fn account() -> Value {
    json!({"provider": "signalwire", "signing_keys": [KEY]})
}

fn mac(algorithm: hmac::Algorithm, key: &str, signed: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(algorithm, key.as_bytes()), signed.as_bytes()).as_ref().to_vec()
}

fn base64(signed: &str) -> String {
    STANDARD.encode(mac(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, KEY, signed))
}

fn hex_sha1(signed: &str) -> String {
    hex::encode(mac(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, KEY, signed))
}

fn hex_sha256(signed: &str) -> String {
    hex::encode(mac(hmac::HMAC_SHA256, KEY, signed))
}

/// SignalWire's rule, told once more: by name, the values as they came.
fn signed(url: &str, pairs: &[(&str, &str)]) -> String {
    let names: std::collections::BTreeSet<_> = pairs.iter().map(|(name, _)| *name).collect();
    let mut text = url.to_owned();
    for name in names {
        for (_, value) in pairs.iter().filter(|(other, _)| *other == name) {
            text.push_str(name);
            text.push_str(value);
        }
    }
    text
}

fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn with<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let kept = BASIC.into_iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    kept.chain(changes.iter().copied()).collect()
}

fn post(url: &str, pairs: &[(&str, &str)]) -> Webhook {
    webhook(Method::POST, url, &[FORM, (SIGNATURE, &base64(&signed(url, pairs)))], form(pairs))
}

fn relay() -> String {
    json!({"event": "messaging.receive", "message_id": ID, "project_id": PROJECT, "from": "+14133881111",
           "to": "+12028831111", "body": "Ho 👋"})
    .to_string()
}

fn post_json(body: &str) -> Webhook {
    webhook(Method::POST, URL, &[JSON, (SIGNATURE, &hex_sha1(&format!("{URL}{body}")))], body.to_owned())
}

#[test]
fn the_vectors_hold() {
    run_vectors(include_str!("vectors/signalwire.json"));
}

#[test]
fn what_is_signed_is_accepted() {
    let candidates = accounts(json!([account()]));
    let pairs = with(&[]);
    let body = form(&pairs);
    let folded = base64(&signed(&URL.replace(".com", ".com:443"), &pairs));
    let own = base64(&signed(URL, &pairs));
    for (label, headers) in [
        ("its own header", vec![FORM, (SIGNATURE, own.as_str())]),
        ("Twilio's header", vec![FORM, (COMPATIBLE_SIGNATURE, &own)]),
        ("its own before Twilio's", vec![FORM, (SIGNATURE, &own), (COMPATIBLE_SIGNATURE, "AAAA")]),
        ("with the port", vec![FORM, (SIGNATURE, &folded)]),
        ("SHA-1 where SHA-256 is wrong", vec![FORM, (SHA256_SIGNATURE, "00"), (SIGNATURE, &own)]),
    ] {
        let message = receive_one(&webhook(Method::POST, URL, &headers, body.clone()), &candidates);
        assert_eq!((message.message_id.as_str(), message.text.as_str()), (ID, "Hello agent"), "{label}");
        assert_eq!((message.channel, message.account.as_deref()), (Channel::Sms, Some(PROJECT)), "{label}");
    }
    let url = format!("{URL}/eu?{}", form(&with(&[("Body", "by get")])));
    let get = webhook(Method::GET, &url, &[(SIGNATURE, &base64(&url))], "");
    assert_eq!(receive_one(&get, &candidates).text, "by get");
}

#[test]
fn repeated_parameters_stay_in_their_order() {
    let candidates = accounts(json!([account()]));
    receive_one(&post(URL, &with(&[("Tag", "b"), ("Tag", "a"), ("Tag", "b")])), &candidates);
    let signature = base64(&signed(URL, &with(&[("Tag", "a"), ("Tag", "b")])));
    for (label, pairs) in [
        ("another order", with(&[("Tag", "b"), ("Tag", "a")])),
        ("once more", with(&[("Tag", "a"), ("Tag", "b"), ("Tag", "b")])),
    ] {
        let request = webhook(Method::POST, URL, &[FORM, (SIGNATURE, &signature)], form(&pairs));
        assert_refused(label, receive(&request, &candidates), Kind::Unverified);
    }
}

#[test]
fn what_is_not_signed_is_refused() {
    let candidates = accounts(json!([account()]));
    let pairs = with(&[]);
    let body = form(&pairs);
    let own = base64(&signed(URL, &pairs));
    let raw = hex_sha1(&format!("{URL}{body}"));
    let upper = raw.to_uppercase();
    let other_key = STANDARD.encode(mac(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, "other", &signed(URL, &pairs)));
    let joined = format!("{own},{own}");
    let strong = hex_sha256(&format!("{URL}{body}"));
    let strong_base64 = STANDARD.encode(mac(hmac::HMAC_SHA256, KEY, &signed(URL, &pairs)));
    let no_query = hex_sha1(&body);
    for (label, headers, rejection) in [
        ("nothing", vec![FORM], Rejection::Missing),
        ("blank", vec![FORM, (SIGNATURE, "")], Rejection::Missing),
        (
            "blank, with Twilio's beside it",
            vec![FORM, (SIGNATURE, ""), (COMPATIBLE_SIGNATURE, &own)],
            Rejection::Missing,
        ),
        ("another key", vec![FORM, (SIGNATURE, other_key.as_str())], Rejection::Mismatch),
        ("twice", vec![FORM, (SIGNATURE, &own), (SIGNATURE, &own)], Rejection::Malformed),
        ("joined", vec![FORM, (SIGNATURE, &joined)], Rejection::Malformed),
        // Hex is over the bytes as they are, so one who has a base64 one could make a form of what it covers.
        ("hex over a form", vec![FORM, (SIGNATURE, &raw)], Rejection::Mismatch),
        ("SHA-256 over a form", vec![FORM, (SHA256_SIGNATURE, &strong)], Rejection::Missing),
        ("upper-case hex", vec![FORM, (SIGNATURE, &upper)], Rejection::Mismatch),
        ("noise", vec![FORM, (SIGNATURE, "%%")], Rejection::Malformed),
        ("SHA-256 in the SHA-1 header", vec![FORM, (SIGNATURE, &strong_base64)], Rejection::Mismatch),
        ("SHA-1 in the SHA-256 header", vec![FORM, (SHA256_SIGNATURE, &raw)], Rejection::Missing),
        ("without the URL", vec![FORM, (SIGNATURE, &no_query)], Rejection::Mismatch),
        ("a form called JSON", vec![JSON, (SIGNATURE, &own)], Rejection::Malformed),
    ] {
        let request = webhook(Method::POST, URL, &headers, body.clone());
        let error = request.verify(&candidates).expect_err(label);
        assert_eq!(Rejection::of(&error), Some(rejection), "{label}");
    }
    let headers = [FORM, (SIGNATURE, own.as_str())];
    for (label, url, body) in [
        ("another body", URL.to_owned(), form(&with(&[("Body", "evil")]))),
        ("another host", URL.replace(".com", ".net"), body.clone()),
        ("a query", format!("{URL}?a=1"), body.clone()),
        ("no body", URL.to_owned(), String::new()),
    ] {
        assert_refused(label, receive(&webhook(Method::POST, &url, &headers, body), &candidates), Kind::Unverified);
    }
}

#[test]
fn json_is_signed_as_it_is() {
    let candidates = accounts(json!([account()]));
    let message = receive_one(&post_json(&relay()), &candidates);
    assert_eq!(
        (message.from.as_str(), message.to.as_str(), message.text.as_str()),
        ("+14133881111", "+12028831111", "Ho 👋")
    );
    assert_eq!(message.account.as_deref(), Some(PROJECT));

    let mut respaced = post_json(&relay());
    respaced.body = relay().replace("\":", "\": ").into();
    assert_refused("written anew", receive(&respaced, &candidates), Kind::Unverified);

    // As Twilio signs JSON.
    let hash = hex::encode(digest::digest(&digest::SHA256, relay().as_bytes()));
    let url = format!("{URL}?bodySHA256={hash}");
    let by_hash = webhook(Method::POST, &url, &[JSON, (SIGNATURE, &base64(&url))], relay());
    assert_eq!(receive_one(&by_hash, &candidates).message_id, ID);
    let mut changed = by_hash;
    changed.body = relay().replace("Ho", "Hi").into();
    assert_refused("changed", receive(&changed, &candidates), Kind::Unverified);
    let no_hash = webhook(Method::POST, URL, &[JSON, (SIGNATURE, &base64(URL))], relay());
    assert_refused("unsigned body", receive(&no_hash, &candidates), Kind::Unverified);
}

#[test]
fn json_is_read() {
    let candidates = accounts(json!([account()]));
    let nested = json!({"event_type": "messaging.receive", "params": {
        "id": ID, "from_number": "+14133881111", "to_number": "+12028831111", "body": "STOP",
        "media": ["https://files.signalwire.com/1"], "segments": 2}});
    let message = receive_one(&post_json(&nested.to_string()), &candidates);
    assert_eq!((message.channel, message.media.len(), message.segments), (Channel::Mms, 1, Some(2)));
    assert_eq!(message.opt_out, Some(OptOut::Stop));

    let compatible: serde_json::Map<_, _> =
        BASIC.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    assert_eq!(receive_one(&post_json(&Value::Object(compatible).to_string()), &candidates).text, "Hello agent");

    for event in [json!({"event": "messaging.state"}), json!({"event": 5}), json!({})] {
        let events = receive(&post_json(&event.to_string()), &candidates).unwrap();
        assert_eq!(events, [Event::ignored(Ignored::OtherEvent)]);
    }
    let body = |field: &str, value: Value| {
        let mut body: Value = serde_json::from_str(&relay()).unwrap();
        body[field] = value;
        body.to_string()
    };
    for (label, body) in [
        ("no JSON", "{".to_owned()),
        ("a list", "[]".to_owned()),
        ("no UTF-8 of its own", "null".to_owned()),
        ("cut short", relay()[..40].to_owned()),
        ("id of another type", body("message_id", json!({}))),
        ("too long an id", body("message_id", json!(format!("{ID}0")))),
        ("no sender", body("from", Value::Null)),
        ("blank recipient", body("to", json!(" "))),
    ] {
        assert_refused(label, receive(&post_json(&body), &candidates), Kind::Validation);
    }
}

#[test]
fn what_cant_be_shown_is_told() {
    for (from, to, expected) in [
        (r#""Ho 👋""#, r#"{"text":"Hello"}"#, "[unsupported message] Hello"),
        (r#""Ho 👋""#, r#"["x"]"#, "[unsupported message] x"),
        (r#""Ho 👋""#, r#""See you at 6 \ud83d""#, "See you at 6 \u{fffd}"),
        (r#""Ho 👋""#, r#""a\uffffb""#, "a\u{fffd}b"),
    ] {
        let body = relay();
        assert!(body.contains(from), "{body}");
        let events = receive(&post_json(&body.replace(from, to)), &accounts(json!([account()]))).unwrap();
        assert_eq!(events[0].message().unwrap().text, expected, "{to}");
    }
}

#[test]
fn forms_are_read_as_twilios() {
    let candidates = accounts(json!([account()]));
    let one = |changes: &[(&str, &str)]| receive_one(&post(URL, &with(changes)), &candidates);
    let media =
        one(&[("MediaUrl1", "https://files.signalwire.com/1"), ("MediaUrl0", "https://files.signalwire.com/0")]);
    assert_eq!((media.channel, media.provider.as_ref()), (Channel::Mms, "signalwire"));
    assert_eq!(media.media[0].url.as_deref(), Some("https://files.signalwire.com/0"));
    assert_eq!(one(&[("Body", "Unsubscribe")]).opt_out, Some(OptOut::Stop));

    for (changes, reason) in [
        (vec![("MessageStatus", "something-new")], Ignored::Status),
        (vec![("MessageSid", ""), ("CallSid", "1")], Ignored::Call),
    ] {
        assert_eq!(receive(&post(URL, &with(&changes)), &candidates).unwrap(), [Event::ignored(reason)]);
    }
    let longer = format!("{ID}NumMedia0");
    for (label, changes) in [
        ("no id", vec![("MessageSid", "")]),
        ("an id that swallowed its neighbour", vec![("MessageSid", longer.as_str())]),
        ("no sender", vec![("From", "")]),
        ("no recipient", vec![("To", "")]),
    ] {
        assert_refused(label, receive(&post(URL, &with(&changes)), &candidates), Kind::Validation);
    }
    let mut large = post(URL, &with(&[]));
    large.body = vec![b'x'; 3_000_000].into();
    assert_refused("3 MB", receive(&large, &candidates), Kind::Validation);
}

#[test]
fn accounts_are_chosen_by_key_and_then_by_project() {
    let account = |name: &str, key: &str, project: &str| json!({"name": name, "provider": "signalwire", "signing_keys": ["old", key], "project_id": project});
    for (label, document, expected) in [
        ("the key", json!([account("a", "x", PROJECT), account("b", KEY, "other")]), "b"),
        ("the project", json!([account("a", KEY, "other"), account("b", KEY, PROJECT)]), "b"),
        ("the first", json!([account("a", KEY, "other"), account("b", KEY, "another")]), "a"),
    ] {
        let candidates = accounts(document);
        let request = post(URL, &with(&[]));
        assert_eq!(account_name(&request, &candidates), expected, "{label}");
    }
}

proptest! {
    #[test]
    fn anything_may_arrive(
        body in prop::collection::vec(any::<u8>(), 0..300),
        signature in "[ -~]{0,40}",
        strong in "[0-9a-f]{0,64}",
        content_type in prop::sample::select(vec!["application/json", "", "application/x-www-form-urlencoded"]),
    ) {
        let headers = [("content-type", content_type), (SIGNATURE, &signature), (SHA256_SIGNATURE, &strong)];
        prop_assert!(receive(&webhook(Method::POST, URL, &headers, body), &accounts(json!([account()]))).is_err());
    }

    #[test]
    fn what_is_accepted_reaches_the_agent(
        event in "messaging.receive|messaging.state|[a-z]{1,6}",
        body in any_content(),
        media in any_content(),
    ) {
        let whole = json!({"event": event, "message_id": ID, "from": "+14133881111", "to": "+12028831111",
                           "body": body, "media": media});
        let events = receive(&post_json(&whole.to_string()), &accounts(json!([account()]))).unwrap();
        let is_blank = |value: &Value| value.as_array().map_or(!value.is_object(), Vec::is_empty);
        if !is_blank(&body) || !is_blank(&media) {
            assert_tells_the_agent(&events);
        }
    }

    #[test]
    fn anything_may_be_signed(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let signed = [URL.as_bytes(), &body].concat();
        let signature = hex::encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, KEY.as_bytes()), &signed));
        let request = webhook(Method::POST, URL, &[JSON, (SHA256_SIGNATURE, &signature)], body);
        prop_assert!(request.verify(&accounts(json!([account()]))).is_ok());
        if let Err(error) = receive(&request, &accounts(json!([account()]))) {
            prop_assert_eq!(error.kind(), Kind::Validation);
        }
    }

    #[test]
    fn no_bit_may_change(place in any::<prop::sample::Index>(), bit in 0..8_u8, in_body in any::<bool>()) {
        let candidates = accounts(json!([account()]));
        let mut request = post_json(&relay());
        let flip = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
            bytes
        };
        if in_body {
            request.body = flip(&request.body).into();
        } else {
            let Ok(value) = http::HeaderValue::from_bytes(&flip(request.headers[SIGNATURE].as_bytes())) else { return Ok(()) };
            request.headers.insert(SIGNATURE, value);
        }
        prop_assert!(request.verify(&candidates).is_err());
    }
}

const UNKNOWN_HOST: &str = "the host of the provider's API is not known";

fn sender(space: &str) -> Value {
    json!({"provider": "signalwire", "signing_keys": [KEY], "space": space, "project_id": PROJECT, "api_token": "PT1"})
}

#[test]
fn a_text_is_twilios_form() {
    let expected = (
        format!("https://acme.signalwire.com/api/laml/2010-04-01/Accounts/{PROJECT}/Messages.json"),
        "application/x-www-form-urlencoded".to_owned(),
        vec![("authorization".to_owned(), format!("Basic {}", STANDARD.encode(format!("{PROJECT}:PT1"))))],
        "To=%2B14133881111&From=%2B12028831111&Body=Hello+%26+bye".to_owned(),
    );
    for space in ["acme", "acme.signalwire.com"] {
        assert_eq!(send_request(sender(space), &TEXT).unwrap(), expected);
        assert!(warnings(sender(space)).is_empty());
    }
    let short = send_request(sender("acme"), &Outbound { from: "12345", ..TEXT }).unwrap();
    assert!(short.3.contains("&From=12345&"));
}

#[test]
fn a_space_can_name_no_other_host() {
    for space in ["evil.example/", "evil.example", "a@evil.example", "a:1", "-a", "a-", "a b", ".signalwire.com", "ä"]
    {
        assert_cannot_send(sender(space), &TEXT, UNKNOWN_HOST);
        assert_eq!(warnings(sender(space)), ["accounts[0]: space is no space's name, so the account can't send"]);
    }
    let long = "a".repeat(64);
    assert_cannot_send(sender(&long), &TEXT, UNKNOWN_HOST);
}

#[test]
fn an_account_that_only_receives_does_not_send() {
    let missing = "project_id or api_token is missing";
    assert_cannot_send(account(), &TEXT, missing);
    for (name, why) in [("space", UNKNOWN_HOST), ("project_id", missing), ("api_token", missing)] {
        let mut half = sender("acme");
        half.as_object_mut().unwrap().remove(name);
        assert_eq!(warnings(half.clone()), [format!("accounts[0]: {name} is missing, so the account can't send")]);
        assert_cannot_send(half, &TEXT, why);
    }
    // Nothing else is wanted of a space than its host.
    for space in ["", "no space's name"] {
        let mut elsewhere = sender(space);
        elsewhere["send_base_url"] = json!("https://sms.example");
        let (url, ..) = send_request(elsewhere.clone(), &TEXT).unwrap();
        assert_eq!(url, format!("https://sms.example/api/laml/2010-04-01/Accounts/{PROJECT}/Messages.json"));
        elsewhere.as_object_mut().unwrap().remove("space");
        assert!(warnings(elsewhere).is_empty());
    }
    // A project may be named to tell accounts apart.
    assert!(warnings(json!({"provider": "signalwire", "signing_keys": [KEY], "project_id": PROJECT})).is_empty());
}

#[test]
fn answers_are_understood() {
    let error = |code: u32| format!(r#"{{"code":{code},"message":"…","more_info":"…","status":422}}"#);
    assert_answers(
        sender("acme"),
        &[
            (201, r#"{"sid":"b8d5c1f2","status":"queued"}"#, None),
            (422, &error(21610), Some(Reason::OptedOut)),
            (422, &error(21611), Some(Reason::ThrottledHere)),
            (422, &error(21617), Some(Reason::Refused)),
            (401, "", Some(Reason::Misconfigured)),
            (429, "", Some(Reason::Throttled)),
            (500, "", Some(Reason::Unavailable)),
            (504, "", Some(Reason::Unknown)),
        ],
    );
}
