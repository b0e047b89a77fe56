use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Method;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{ALGORITHM, NONCE, SIGNATURE, TIMESTAMP};
use crate::{
    error::Kind,
    settings::{Account, Settings},
    sms::{
        event::{Event, Ignored},
        message::{Channel, Concat, FromKind, Message, OptOut},
        send::{Outbound, Reason},
        webhook::{Rejection, Webhook},
    },
    testing::{
        NOW, TEXT, account_name, accounts, any_content, assert_answers, assert_cannot_send, assert_refused,
        assert_tells_the_agent, receive, receive_one, reported, run_vectors, send_request, warnings, webhook,
    },
};

const URL: &str = "https://sms.example.com/sms/sinch";
const SECRET: &str = "foo_secret1234";
const JSON: (&str, &str) = ("content-type", "application/json");

fn candidates() -> Vec<Arc<Account>> {
    accounts(json!([{"provider": "sinch", "webhook_secrets": [SECRET, "previous"]}]))
}

fn sign(secret: &str, body: &[u8], nonce: &str, timestamp: &str) -> String {
    let signed = [body, format!(".{nonce}.{timestamp}").as_bytes()].concat();
    STANDARD.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), &signed))
}

fn post_at(timestamp: &str, body: impl Into<Vec<u8>>) -> Webhook {
    let body = body.into();
    let signature = sign(SECRET, &body, "01FJA8B4", timestamp);
    let headers =
        [JSON, (SIGNATURE, &signature), (ALGORITHM, "HmacSHA256"), (NONCE, "01FJA8B4"), (TIMESTAMP, timestamp)];
    webhook(Method::POST, URL, &headers, body)
}

fn post(body: impl Into<Vec<u8>>) -> Webhook {
    post_at(&NOW.to_string(), body)
}

/// A whole message; each change is a field, where null takes it away.
fn body(changes: &Value) -> Value {
    let mut body = json!({
        "type": "mo_text", "id": "01XXXXX21XXXXX119Z8P1XXXXX", "from": "16051234567", "to": "12025550134",
        "body": "Hello agent", "operator_id": "35000", "received_at": "2026-09-21T14:13:18.720Z",
        "sent_at": "2026-09-21T14:13:18.719Z"
    });
    let fields = body.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            fields.remove(name);
        } else {
            fields.insert(name.clone(), value.clone());
        }
    }
    body
}

#[expect(clippy::needless_pass_by_value, reason = "tests write `parsed(json!(…))`")]
fn parsed(changes: Value) -> Message {
    receive_one(&post(body(&changes).to_string()), &candidates())
}

fn ignored(body: &str) -> Event {
    receive(&post(body), &candidates()).unwrap().remove(0)
}

#[test]
fn the_vectors_hold() {
    run_vectors(include_str!("vectors/sinch.json"));
}

#[test]
fn signatures_are_checked() {
    let body = body(&json!({})).to_string();
    let now = NOW.to_string();
    let now = now.as_str();
    let right = sign(SECRET, body.as_bytes(), "n", now);
    let right = right.as_str();
    let previous = sign("previous", body.as_bytes(), "n", now);
    let other = sign("other", body.as_bytes(), "n", now);
    let empty = sign("", body.as_bytes(), "n", now);
    let moved = sign(SECRET, format!("{body}.n").as_bytes(), "x", now);
    let words = sign(SECRET, body.as_bytes(), "n", "yesterday");
    let short = STANDARD.encode([1; 16]);
    let hex = hex::encode(STANDARD.decode(right).unwrap());
    let (malformed, mismatch, missing) = (Rejection::Malformed, Rejection::Mismatch, Rejection::Missing);
    let whole = |signature| vec![(SIGNATURE, signature), (NONCE, "n"), (TIMESTAMP, now)];
    for (label, headers, outcome) in [
        ("right", whole(right), None),
        ("the previous secret", whole(previous.as_str()), None),
        ("another secret", whole(other.as_str()), Some(mismatch)),
        ("no secret", whole(empty.as_str()), Some(mismatch)),
        ("another nonce", vec![(SIGNATURE, right), (NONCE, "m"), (TIMESTAMP, now)], Some(mismatch)),
        ("another time", vec![(SIGNATURE, right), (NONCE, "n"), (TIMESTAMP, "1790000001")], Some(mismatch)),
        ("a nonce moved into the body", vec![(SIGNATURE, &moved), (NONCE, "x"), (TIMESTAMP, now)], Some(mismatch)),
        ("no signature", vec![(NONCE, "n"), (TIMESTAMP, now)], Some(missing)),
        ("no nonce", vec![(SIGNATURE, right), (TIMESTAMP, now)], Some(missing)),
        ("no time", vec![(SIGNATURE, right), (NONCE, "n")], Some(missing)),
        ("two signatures", [whole(right), vec![(SIGNATURE, right)]].concat(), Some(malformed)),
        ("two nonces", [whole(right), vec![(NONCE, "n")]].concat(), Some(malformed)),
        ("hex", whole(hex.as_str()), Some(mismatch)),
        ("too short", whole(short.as_str()), Some(mismatch)),
        ("no base64", whole("!"), Some(malformed)),
        ("words for a time", vec![(SIGNATURE, &words), (NONCE, "n"), (TIMESTAMP, "yesterday")], Some(malformed)),
        ("a sign", vec![(SIGNATURE, right), (NONCE, "n"), (TIMESTAMP, "+1790000000")], Some(malformed)),
        ("the algorithm", [whole(right), vec![(ALGORITHM, "hmacsha256")]].concat(), None),
        ("another algorithm", [whole(right), vec![(ALGORITHM, "HmacSHA1")]].concat(), Some(malformed)),
    ] {
        let request = webhook(Method::POST, URL, &headers, body.clone());
        let accounts = candidates();
        assert_eq!(request.verify(&accounts).err().and_then(|error| Rejection::of(&error)), outcome, "{label}");
    }
}

#[test]
fn the_age_counts_where_an_account_wants_it() {
    let limited = accounts(json!([{"provider": "sinch", "webhook_secrets": [SECRET], "max_age_seconds": 300}]));
    for (signed_at, any, recent) in
        [(NOW, true, true), (NOW - 300, true, true), (NOW - 301, true, false), (0, true, false)]
    {
        let request = post_at(&signed_at.to_string(), body(&json!({})).to_string());
        assert_eq!(receive(&request, &candidates()).is_ok(), any, "{signed_at}");
        assert_eq!(receive(&request, &limited).is_ok(), recent, "{signed_at}");
    }
}

#[test]
fn the_whole_message_is_read() {
    let message = parsed(json!({"body": "Grüße 👋🏽", "client_reference": "x", "tomorrow": [1]}));
    assert_eq!(
        serde_json::to_value(&message).unwrap(),
        json!({"provider": "sinch", "channel": "sms", "message_id": "01XXXXX21XXXXX119Z8P1XXXXX",
               "from": "+16051234567", "to": "+12025550134", "text": "Grüße 👋🏽", "media": [],
               "received_at": "2026-09-21T14:13:18.720Z"})
    );
}

#[test]
fn media_come_with_their_words() {
    let message = parsed(json!({
        "type": "mo_media",
        "body": {"subject": "Photos", "message": "of the damage", "media": [
            {"url": "https://m.example/1.jpg", "content_type": "image/jpeg", "status": "Uploaded", "code": 0},
            {"content_type": "video/mp4", "status": "Failed", "code": 1},
            {"url": "https://m.example/0.smil", "content_type": "application/smil", "status": "Uploaded", "code": 0},
            "odd"]}
    }));
    let message = serde_json::to_value(&message).unwrap();
    assert_eq!((&message["channel"], &message["text"]), (&json!("mms"), &json!("Photos\nof the damage")));
    assert_eq!(
        message["media"],
        json!([{"url": "https://m.example/1.jpg", "content_type": "image/jpeg"}, {"content_type": "video/mp4"}])
    );
    for (content, text) in [
        (json!({}), "[unsupported message]"),
        (json!("text"), "[unsupported message] text"),
        (json!([]), ""),
        (json!({"media": 5, "message": 7}), "[unsupported message]"),
    ] {
        let message = parsed(json!({"type": "mo_media", "body": content}));
        assert_eq!((message.text.as_str(), message.media.len()), (text, 0), "{content}");
    }
}

#[test]
fn binary_messages_are_read_as_far_as_they_are_text() {
    let utf_16: Vec<u8> = "Zażółć".encode_utf16().flat_map(u16::to_be_bytes).collect();
    for (label, data, header, text, concat) in [
        ("UTF-8", STANDARD.encode("Grüße"), None, "Grüße", None),
        ("UTF-16", STANDARD.encode(utf_16), None, "Zażółć", None),
        ("a part", STANDARD.encode("Hel"), Some("0500031a0201"), "Hel", Some(("26", 2, 1))),
        ("to a port", STANDARD.encode("Hel"), Some("06050415811581"), "[unsupported message]", None),
        ("bytes", STANDARD.encode([0, 1, 2, 255]), None, "[unsupported message]", None),
        ("no base64", "*".to_owned(), None, "[unsupported message]", None),
        ("a header that is none", STANDARD.encode("Hel"), Some("zz"), "Hel", None),
    ] {
        let mut changes = json!({"type": "mo_binary", "body": data});
        if let Some(header) = header {
            changes["udh"] = header.into();
        }
        let message = parsed(changes);
        let concat = concat.map(|(reference, total, part)| Concat { reference: reference.to_owned(), total, part });
        assert_eq!((message.text.as_str(), message.concat), (text, concat), "{label}");
        assert_eq!(message.described, text.starts_with('['), "{label}");
        assert_eq!(message.encoding.as_deref(), Some("binary"));
    }
}

#[test]
fn what_is_no_message_is_ignored() {
    for kind in
        ["delivery_report_sms", "delivery_report_mms", "recipient_delivery_report_sms", "recipient_delivery_report_mms"]
    {
        let one = json!({"type": kind, "batch_id": "1", "status": "Delivered"}).to_string();
        let all = json!({"type": kind, "batch_id": "1", "statuses": [{"code": 402, "status": "FAILED"}]}).to_string();
        let expected = ["1 delivered - -".to_owned(), "1 failed 402 NOT_IN_SERVICE".to_owned()];
        assert_eq!(reported(&[ignored(&one), ignored(&all)]), expected, "{kind}");
        let new = json!({"type": kind, "batch_id": "1", "status": "Waved"}).to_string();
        assert_eq!(ignored(&new), Event::ignored(Ignored::Status), "{kind}");
    }
    assert_eq!(ignored(r#"{"type":"mt_text"}"#), Event::ignored(Ignored::OtherEvent));
    // A kind of inbound message that is not documented yet reaches the agent.
    assert_eq!(parsed(json!({"type": "mo_rich", "body": {"card": 1}})).text, "[unsupported message]");
    assert_eq!(parsed(json!({"type": "mo_rich"})).text, "Hello agent");
}

#[test]
fn what_a_message_can_do_without_may_be_odd() {
    let odd = parsed(json!({"body": 5, "received_at": 5, "udh": 7}));
    assert_eq!((odd.text.as_str(), odd.described, odd.received_at), ("[unsupported message]", true, None));
    for (time, expected) in [
        ("2026-09-21T14:13:18.720Z", Some("2026-09-21T14:13:18.720Z")),
        ("2026-09-21T16:13:18+02:00", Some("2026-09-21T14:13:18Z")),
        ("yesterday", None),
        ("Z", None),
    ] {
        assert_eq!(parsed(json!({"received_at": time})).received_at.as_deref(), expected, "{time}");
    }
    assert_eq!(parsed(json!({"body": "a\0b"})).text, "ab");
    assert_eq!(parsed(json!({"body": " Stop "})).opt_out, Some(OptOut::Stop));
    let short = parsed(json!({"from": "12345", "to": "67890"}));
    assert_eq!(
        (short.from_kind, short.from.as_str(), short.to.as_str()),
        (Some(FromKind::Shortcode), "12345", "67890")
    );
    assert_eq!(parsed(json!({"from": "ACME"})).from_kind, Some(FromKind::Alpha));
    assert_eq!(parsed(json!({"from": "+16051234567"})).from, "+16051234567");
}

#[test]
fn what_is_malformed_is_refused_after_it_is_proved() {
    let whole = body(&json!({})).to_string();
    let mut bodies: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", Vec::new()),
        ("cut short", whole.as_bytes()[..whole.len() - 1].into()),
        ("two of them", [whole.as_bytes(), whole.as_bytes()].concat()),
        ("a list", format!("[{whole}]").into()),
        ("a text", br#""mo_text""#.into()),
        ("an empty object", b"{}".into()),
        ("too deep", "[".repeat(10_000).into()),
        ("3 MB", vec![b' '; 3_000_000]),
    ];
    for changes in [
        json!({"type": null}),
        json!({"type": 5}),
        json!({"id": null}),
        json!({"id": " "}),
        json!({"id": "\0"}),
        json!({"from": null}),
        json!({"from": 16_051_234_567_u64}),
        json!({"to": null}),
        json!({"to": ["12025550134"]}),
    ] {
        bodies.push(("a field", body(&changes).to_string().into()));
    }
    for (label, bytes) in bodies {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned();
        assert_refused(&format!("{label} {shown}"), receive(&post(bytes), &candidates()), Kind::Validation);
    }
}

#[test]
fn accounts_are_chosen_by_secret_and_then_by_number() {
    let account = |name: &str, secret: &str, numbers: Value| json!({"name": name, "provider": "sinch", "webhook_secrets": [secret], "numbers": numbers});
    for (label, document, expected) in [
        ("the secret", json!([account("a", "x", json!({})), account("b", SECRET, json!({}))]), "b"),
        ("the first of equals", json!([account("a", SECRET, json!({})), account("b", SECRET, json!({}))]), "a"),
        (
            "the number",
            json!([account("a", SECRET, json!({})), account("b", SECRET, json!({"+12025550134": {}}))]),
            "b",
        ),
        (
            "the number is no proof",
            json!([account("a", "x", json!({"+12025550134": {}})), account("b", SECRET, json!({}))]),
            "b",
        ),
    ] {
        assert_eq!(account_name(&post(body(&json!({})).to_string()), &accounts(document)), expected, "{label}");
    }
}

proptest! {
    #[test]
    fn what_is_accepted_reaches_the_agent(
        kind in "mo_text|mo_binary|mo_media|mo_[a-z]{1,6}|mt_text|[a-z]{1,6}",
        content in any_content(),
    ) {
        let is_nothing = content.is_null() || content == json!([]);
        let events = receive(&post(body(&json!({"type": kind, "body": content})).to_string()), &candidates()).unwrap();
        if !is_nothing {
            assert_tells_the_agent(&events);
        }
    }

    #[test]
    fn anything_may_arrive(
        body in prop::collection::vec(any::<u8>(), 0..300),
        signature in "[ -~]{0,60}",
        nonce in "[ -~]{0,20}",
        timestamp in "[ -~]{0,20}",
    ) {
        let headers = [JSON, (SIGNATURE, &signature), (NONCE, &nonce), (TIMESTAMP, &timestamp)];
        prop_assert!(receive(&webhook(Method::POST, URL, &headers, body), &candidates()).is_err());
    }

    #[test]
    fn any_value_may_stand_in_a_field(
        kind in prop::sample::select(vec!["mo_text", "mo_binary", "mo_media", "mo_x"]),
        name in prop::sample::select(vec!["type", "id", "from", "to", "body", "udh", "received_at"]),
        value in prop::sample::select(vec![
            json!(true), json!(-1), json!(1e300), json!(""), json!("\0"), json!([]), json!({}), json!({"media": [[]]}),
            json!({"media": {}}), json!([null]), json!("x".repeat(10_000)),
        ]),
    ) {
        match receive(&post(body(&json!({"type": kind, name: value})).to_string()), &candidates()) {
            Ok(_) => {}
            Err(error) => prop_assert_eq!(error.kind(), Kind::Validation),
        }
    }

    #[test]
    fn no_bit_may_change(place in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let mut request = post(body(&json!({"body": "Grüße"})).to_string());
        let mut bytes = request.body.to_vec();
        let place = place.index(bytes.len());
        bytes[place] ^= 1 << bit;
        request.body = bytes.into();
        prop_assert!(request.verify(&candidates()).is_err());
    }
}

fn sender() -> Value {
    json!({"provider": "sinch", "webhook_secrets": [SECRET], "service_plan_id": "plan-1", "api_token": "token1"})
}

#[test]
fn a_text_is_a_batch_of_one() {
    for (region, host) in [
        (None, "us"),
        (Some("us"), "us"),
        (Some("eu"), "eu"),
        (Some("br"), "br"),
        (Some("au"), "au"),
        (Some("ca"), "ca"),
    ] {
        let mut account = sender();
        if let Some(region) = region {
            account["region"] = region.into();
        }
        let (url, content_type, headers, body) = send_request(account, &TEXT).unwrap();
        assert_eq!(url, format!("https://{host}.sms.api.sinch.com/xms/v1/plan-1/batches"));
        assert_eq!(content_type, "application/json");
        assert_eq!(headers, [("authorization".to_owned(), "Bearer token1".to_owned())]);
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            body,
            json!({"type": "mt_text", "from": "12028831111", "to": ["14133881111"], "body": "Hello & bye",
                   "client_reference": TEXT.key})
        );
    }
    let (.., body) = send_request(sender(), &Outbound { from: "12345", channel: Channel::Mms, ..TEXT }).unwrap();
    assert!(body.contains(r#""from":"12345""#), "{body}");
}

#[test]
fn an_account_that_only_receives_does_not_send() {
    for name in ["service_plan_id", "api_token"] {
        let mut account = sender();
        account.as_object_mut().unwrap().remove(name);
        assert_cannot_send(account, &TEXT, "service_plan_id or api_token is missing");
    }
    let mut account = sender();
    account["service_plan_id"] = "a/b".into();
    assert_cannot_send(account, &TEXT, "service_plan_id can't stand in a URL");
    assert_eq!(warnings(json!({"provider": "sinch", "webhook_secrets": [SECRET], "api_token": "t"})).len(), 1);
    for account in
        [json!({"provider": "sinch"}), json!({"provider": "sinch", "webhook_secrets": [SECRET], "region": "mars"})]
    {
        assert!(Settings::from_json(json!({"accounts": [account]}).to_string().as_bytes()).is_err(), "{account}");
    }
}

#[test]
fn answers_are_understood() {
    let error = |code: &str| format!(r#"{{"code":"{code}","text":"…"}}"#);
    assert_answers(
        sender(),
        &[
            (201, r#"{"id":"01FC66621XXXXX119Z8PMV1QPQ"}"#, None),
            (200, "", None),
            (400, &error("syntax_constraint_violation"), Some(Reason::Refused)),
            (400, &error("syntax_invalid_parameter_format"), Some(Reason::Refused)),
            (400, &error("missing_callback_url"), Some(Reason::Misconfigured)),
            (401, "", Some(Reason::Misconfigured)),
            (403, &error("forbidden"), Some(Reason::Misconfigured)),
            (404, "", Some(Reason::Misconfigured)),
            (429, "", Some(Reason::Throttled)),
            (500, "", Some(Reason::Unavailable)),
            (503, "", Some(Reason::Unavailable)),
            (502, "", Some(Reason::Unknown)),
        ],
    );
}
