use std::sync::Arc;

use aws_lc_rs::{
    digest::{SHA256, digest},
    hmac,
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE},
};
use http::Method;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{SIGNATURE, TIMESTAMP};
use crate::{
    error::Kind,
    settings::{Account, Settings},
    sms::{
        event::{Event, Ignored},
        lines::UNSUPPORTED_LINE as UNSUPPORTED,
        message::{Channel, FromKind, Message, OptOut},
        providers::ProviderId,
        segments::Limit,
        send::{Outbound, Reason},
        webhook::{Rejection, Webhook},
    },
    testing::{
        NOW, TEXT, account_name, accounts, any_content, assert_answers, assert_cannot_send, assert_refused,
        assert_tells_the_agent, receive, receive_one, run_vectors, send_request, warnings, webhook,
    },
};

const URL: &str = "https://sms.example.com/sms/bird";
const JSON: (&str, &str) = ("content-type", "application/json");
const CHANNEL: &str = "614208aa-b153-4d5d-9989-2fddfc0ce4c3";

fn account() -> Value {
    json!({"provider": "bird", "signing_keys": ["bird-key"]})
}

fn candidates() -> Vec<Arc<Account>> {
    accounts(json!([account()]))
}

fn mac(key: &str, signed: &[u8]) -> String {
    STANDARD.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), signed))
}

fn sign(key: &str, timestamp: &str, url: &str, body: &[u8]) -> String {
    let hash = digest(&SHA256, body);
    mac(key, &[timestamp.as_bytes(), b"\n", url.as_bytes(), b"\n", hash.as_ref()].concat())
}

fn post_to(url: &str, timestamp: &str, body: &[u8]) -> Webhook {
    let signature = sign("bird-key", timestamp, url, body);
    webhook(Method::POST, url, &[JSON, (SIGNATURE, &signature), (TIMESTAMP, timestamp)], body.to_vec())
}

fn post(body: impl AsRef<[u8]>) -> Webhook {
    post_to(URL, &NOW.to_string(), body.as_ref())
}

/// A whole event; each change is a field of the payload, where null takes it away.
fn event(name: &str, changes: &Value) -> Value {
    let mut payload = json!({
        "id": "9f5c8a3e-2ce9-4f8e-8c6a-1d2e3f4a5b6c", "channelId": CHANNEL,
        "sender": {"contact": {"id": "k1", "identifierKey": "phonenumber", "identifierValue": "+31687654321"}},
        "receiver": {"connectors": [{"id": "x", "identifierValue": "+31612345678"}]},
        "body": {"type": "text", "text": {"text": "Hello agent"}},
        "parts": [{"platformReference": "e8077d80"}], "direction": "incoming", "status": "delivered", "reason": "",
        "createdAt": "2026-09-21T14:13:18.123Z", "batchId": null
    });
    let fields = payload.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            fields.remove(name);
        } else {
            fields.insert(name.clone(), value.clone());
        }
    }
    json!({"service": "channels", "event": name, "payload": payload})
}

fn of_channel(name: &str, changes: &Value) -> Message {
    receive_one(&post(event(name, changes).to_string()), &candidates())
}

#[expect(clippy::needless_pass_by_value, reason = "tests write `parsed(json!(…))`")]
fn parsed(changes: Value) -> Message {
    of_channel("sms.inbound", &changes)
}

fn outcome(body: &Value) -> Event {
    receive(&post(body.to_string()), &candidates()).unwrap().remove(0)
}

#[test]
fn the_vectors_hold() {
    run_vectors(include_str!("vectors/bird.json"));
}

#[test]
fn the_whole_message_is_read() {
    let message = of_channel(
        "whatsapp.inbound",
        &json!({"sender": {"contact": {"identifierKey": "phonenumber", "identifierValue": "+31687654321",
                                       "annotations": {"name": "Zoë"}}},
                "receiver": {"connector": {"id": "x", "identifierValue": "+31612345678"}},
                "replyTo": {"id": "m0", "type": "message"},
                "body": {"type": "text", "text": {"text": "Yes, please",
                         "actions": [{"type": "postback", "postback": {"text": "Yes, please", "payload": "yes"}}]}}}),
    );
    assert_eq!(
        serde_json::to_value(&message).unwrap(),
        json!({"provider": "bird", "channel": "whatsapp", "message_id": "9f5c8a3e-2ce9-4f8e-8c6a-1d2e3f4a5b6c",
               "from": "+31687654321", "to": "+31612345678", "text": "Yes, please", "media": [],
               "received_at": "2026-09-21T14:13:18.123Z", "profile_name": "Zoë", "in_reply_to": "m0", "button_payload": "yes"})
    );
    assert_eq!(message.reply_from.as_deref(), Some(CHANNEL));
}

#[test]
fn channels_are_told_by_the_event() {
    let picture = json!({"body": {"type": "image", "image": {"images": [{"mediaUrl": "https://m.example/1"}]}}});
    for (name, changes, channel) in [
        ("sms.inbound", json!({}), Channel::Sms),
        ("sms.inbound", picture.clone(), Channel::Mms),
        ("whatsapp.inbound", json!({}), Channel::Whatsapp),
        ("whatsapp.inbound", picture, Channel::Whatsapp),
        ("rcs.inbound", json!({}), Channel::Rcs),
    ] {
        assert_eq!(of_channel(name, &changes).channel, channel, "{name}");
    }
    for (name, reason) in [
        ("sms.outbound", Ignored::Status),
        ("whatsapp.outbound", Ignored::Status),
        ("telegram.inbound", Ignored::Channel),
        ("email.inbound", Ignored::Channel),
        ("SMS.inbound", Ignored::Channel),
        ("sms.interaction", Ignored::OtherEvent),
        ("sms", Ignored::OtherEvent),
        ("", Ignored::OtherEvent),
    ] {
        assert_eq!(outcome(&json!({"event": name, "payload": 7})), Event::ignored(reason), "{name}");
    }
    assert_eq!(outcome(&event("sms.inbound", &json!({"direction": "outgoing"}))), Event::ignored(Ignored::Outbound));
    assert_eq!(parsed(json!({"direction": null})).text, "Hello agent");
}

#[test]
fn addresses_are_found_where_bird_puts_them() {
    let to = |receiver: Value| parsed(json!({"receiver": receiver})).to;
    assert_eq!(to(json!({"connectors": [{"identifierValue": "31612345678"}]})), "+31612345678");
    assert_eq!(to(json!({"connector": {"identifierValue": "+31612345678"}})), "+31612345678");
    assert_eq!(to(json!({"connector": {"identifierValue": "12345"}})), "12345");
    // As Bird's own samples have it.
    for receiver in
        [json!({"connector": {"id": "x"}}), json!({"connector": {"identifierValue": ""}}), json!({}), json!(7)]
    {
        assert_eq!(to(receiver), CHANNEL);
    }
    assert_eq!(parsed(json!({"receiver": null})).to, CHANNEL);
    let from = |contact: Value| parsed(json!({"sender": {"contact": contact}}));
    assert_eq!(from(json!({"identifierValue": "31687654321"})).from, "+31687654321");
    assert_eq!(from(json!({"platformAddress": "+31687654321"})).from, "+31687654321");
    assert_eq!(from(json!({"identifierValue": "ACME"})).from_kind, Some(FromKind::Alpha));
    assert_eq!(from(json!({"identifierValue": "US.13491208655302741918"})).from_kind, Some(FromKind::Bsuid));
    assert_eq!(parsed(json!({"channelId": null})).reply_from, None);
}

#[test]
fn whatever_was_sent_reaches_the_agent() {
    let of_body = |body: Value| {
        let message = parsed(json!({"body": body}));
        (message.text, message.media.len(), message.location.is_some(), message.button_payload)
    };
    let said = |text: &str| (text.to_owned(), 0, false, None);
    for (label, body, expected) in [
        ("a text", json!({"type": "text", "text": {"text": " a \n"}}), said(" a \n")),
        ("an empty text", json!({"type": "text", "text": {"text": ""}}), said("")),
        ("HTML", json!({"type": "html", "html": {"text": "a", "html": "<p>a</p>"}}), said("a")),
        (
            "a picture",
            json!({"type": "image", "image": {"text": "Look", "images": [{"mediaUrl": "https://m.example/1", "altText": "x"}]}}),
            ("Look".to_owned(), 1, false, None),
        ),
        (
            "two files",
            json!({"type": "file", "file": {"files": [{"mediaUrl": "https://m.example/1", "contentType": "audio/ogg"},
                                                      {"mediaUrl": "https://m.example/2", "filename": "a.pdf"}, {}, 7]}}),
            (String::new(), 2, false, None),
        ),
        ("a GIF", json!({"type": "gif", "gif": {"mediaUrl": "https://m.example/1"}}), (String::new(), 1, false, None)),
        (
            "a place",
            json!({"type": "location", "location": {"coordinates": {"latitude": 52.37, "longitude": 4.9},
                                                    "location": {"label": "Bird", "address": "Trompenburgstraat 2C"}}}),
            (String::new(), 0, true, None),
        ),
        (
            "no place on earth",
            json!({"type": "location", "location": {"coordinates": {"latitude": 91, "longitude": 4.9}}}),
            said(UNSUPPORTED),
        ),
        (
            "a button without words of its own",
            json!({"type": "text", "text": {"actions": [{"type": "reply", "reply": {"text": "Yes"}}]}}),
            said("Yes"),
        ),
        (
            "a kind of tomorrow with words",
            json!({"type": "hologram", "hologram": {"text": "Hello", "shape": 7}}),
            said("Hello"),
        ),
        ("a kind of tomorrow", json!({"type": "hologram", "hologram": {"shape": 7}}), said(UNSUPPORTED)),
        ("a text of another form", json!({"type": "text", "text": {"text": 7}}), said(UNSUPPORTED)),
        ("a text that is none", json!({"type": "text", "text": "a"}), said("[unsupported message] a")),
        ("no type", json!({"text": {"text": "a"}}), said("[unsupported message] a")),
        ("a list", json!([]), said(UNSUPPORTED)),
        ("nothing", Value::Null, said(UNSUPPORTED)),
        ("a NUL in it", json!({"type": "text", "text": {"text": "a\0b"}}), said("ab")),
    ] {
        assert_eq!(of_body(body), expected, "{label}");
    }
    let file = parsed(json!({"body": {"type": "file", "file": {"files": [
        {"mediaUrl": "https://m.example/2", "contentType": "application/pdf", "filename": "a.pdf", "size": 7}]}}}));
    assert_eq!(
        serde_json::to_value(&file.media).unwrap(),
        json!([{"url": "https://m.example/2", "content_type": "application/pdf", "size": 7, "name": "a.pdf"}])
    );
    assert_eq!(parsed(json!({"body": {"type": "text", "text": {"text": "STOP"}}})).opt_out, Some(OptOut::Stop));
    for (time, expected) in [
        (json!("2026-09-21T14:13:18.123Z"), Some("2026-09-21T14:13:18.123Z")),
        (json!("2026-09-21T16:13:18+02:00"), Some("2026-09-21T14:13:18Z")),
        (json!("yesterday"), None),
        (json!(1_790_000_000), None),
        (Value::Null, None),
    ] {
        assert_eq!(parsed(json!({"createdAt": time})).received_at.as_deref(), expected);
    }
}

#[test]
fn what_is_malformed_is_refused_after_it_is_proved() {
    let whole = event("sms.inbound", &json!({})).to_string();
    let mut bodies = vec![
        ("nothing", String::new()),
        ("cut short", whole.trim_end_matches('}').to_owned()),
        ("two of them", whole.clone() + &whole),
        ("a list", format!("[{whole}]")),
        ("no event", r#"{"payload":{}}"#.to_owned()),
        ("a number for an event", r#"{"event":1}"#.to_owned()),
        ("no payload", r#"{"event":"sms.inbound"}"#.to_owned()),
        ("a list for a payload", r#"{"event":"sms.inbound","payload":[]}"#.to_owned()),
        ("too deep", "[".repeat(10_000)),
        ("3 MB", " ".repeat(3_000_000)),
    ];
    for (label, changes) in [
        ("no id", json!({"id": null})),
        ("a blank id", json!({"id": " "})),
        ("a number for an id", json!({"id": 5})),
        ("no sender", json!({"sender": null})),
        ("a sender without an address", json!({"sender": {"contact": {"id": "k1"}}})),
        ("a blank address", json!({"sender": {"contact": {"identifierValue": ""}}})),
        ("neither receiver nor channel", json!({"receiver": null, "channelId": null})),
    ] {
        bodies.push((label, event("sms.inbound", &changes).to_string()));
    }
    for (label, body) in bodies {
        assert_refused(label, receive(&post(body), &candidates()), Kind::Validation);
    }
    let mut put = post(whole);
    put.method = Method::PUT;
    assert_refused("another method", receive(&put, &candidates()), Kind::MethodNotAllowed);
}

#[test]
fn the_signature_covers_time_url_and_body() {
    let body = event("sms.inbound", &json!({})).to_string();
    let body = body.as_bytes();
    let now = NOW.to_string();
    let url = format!("{URL}?a=1&b=%20");
    receive_one(&post_to(&url, &now, body), &candidates());
    receive_one(&post_to("https://sms.example.com/map/sms/bird/eu", &now, body), &candidates());

    let hash = digest(&SHA256, body);
    let hash = hash.as_ref();
    let signed = |parts: &[&[u8]]| mac("bird-key", &parts.concat());
    let right = sign("bird-key", &now, URL, body);
    let bytes = STANDARD.decode(&right).unwrap();
    let (malformed, mismatch, missing) = (Rejection::Malformed, Rejection::Mismatch, Rejection::Missing);
    for (label, signature, timestamp, rejection) in [
        ("right", right.clone(), now.clone(), None),
        ("blanks around", format!("  {right} "), now.clone(), None),
        ("no signature", " ".to_owned(), now.clone(), Some(missing)),
        ("no timestamp", right.clone(), " ".to_owned(), Some(missing)),
        ("another key", sign("bird-kez", &now, URL, body), now.clone(), Some(mismatch)),
        ("an empty key", sign("", &now, URL, body), now.clone(), Some(mismatch)),
        ("another second", right.clone(), (NOW + 1).to_string(), Some(mismatch)),
        ("the same second written longer", right.clone(), format!("0{now}"), Some(mismatch)),
        ("another URL", sign("bird-key", &now, "https://other.example/sms/bird", body), now.clone(), Some(mismatch)),
        ("a trailing slash", sign("bird-key", &now, &format!("{URL}/"), body), now.clone(), Some(mismatch)),
        ("a query", sign("bird-key", &now, &url, body), now.clone(), Some(mismatch)),
        ("no URL", signed(&[now.as_bytes(), b"\n\n", hash]), now.clone(), Some(mismatch)),
        (
            "the hash as text",
            signed(&[now.as_bytes(), b"\n", URL.as_bytes(), b"\n", hex::encode(hash).as_bytes()]),
            now.clone(),
            Some(mismatch),
        ),
        ("the body itself", signed(&[now.as_bytes(), b"\n", URL.as_bytes(), b"\n", body]), now.clone(), Some(mismatch)),
        ("no line ends", signed(&[now.as_bytes(), URL.as_bytes(), hash]), now.clone(), Some(mismatch)),
        ("zeros", STANDARD.encode([0; 32]), now.clone(), Some(mismatch)),
        ("hex", hex::encode(&bytes), now.clone(), Some(malformed)),
        ("no padding", STANDARD_NO_PAD.encode(&bytes), now.clone(), Some(malformed)),
        ("31 bytes", STANDARD.encode(&bytes[..31]), now.clone(), Some(malformed)),
        ("33 bytes", STANDARD.encode([bytes.as_slice(), &[0]].concat()), now.clone(), Some(malformed)),
        ("two in one", format!("{right},{right}"), now.clone(), Some(malformed)),
        ("a sign", right.clone(), format!("+{now}"), Some(malformed)),
        ("negative", right.clone(), format!("-{now}"), Some(malformed)),
        ("decimals", right.clone(), format!("{now}.0"), Some(malformed)),
        ("milliseconds", right.clone(), format!("{now}000"), Some(malformed)),
        ("a time in words", right.clone(), "2026-09-21T14:13:18Z".to_owned(), Some(malformed)),
    ] {
        let request =
            webhook(Method::POST, URL, &[JSON, (SIGNATURE, &signature), (TIMESTAMP, &timestamp)], body.to_vec());
        match (request.verify(&candidates()), rejection) {
            (Ok(_), None) => {}
            (Err(error), Some(rejection)) => {
                assert_eq!(Rejection::of(&error), Some(rejection), "{label}");
                assert_refused(label, receive(&request, &candidates()), Kind::Unverified);
            }
            (verified, _) => panic!("{label}: {verified:?}"),
        }
    }
    let url_safe = URL_SAFE.encode(&bytes);
    if url_safe != right {
        let request = webhook(Method::POST, URL, &[JSON, (SIGNATURE, &url_safe), (TIMESTAMP, &now)], body.to_vec());
        assert_refused("another alphabet", receive(&request, &candidates()), Kind::Unverified);
    }
    for name in [SIGNATURE, TIMESTAMP] {
        let mut twice = post(body);
        let value = twice.headers[name].clone();
        twice.headers.append(name, value);
        assert_refused(name, receive(&twice, &candidates()), Kind::Unverified);
        let mut none = post(body);
        none.headers.remove(name);
        assert_refused(name, receive(&none, &candidates()), Kind::Unverified);
    }
}

#[test]
fn the_signature_has_an_age() {
    let body = event("sms.inbound", &json!({})).to_string();
    for (label, age, max_age, accepted) in [
        ("now", 0, None, true),
        ("the last second", 300, None, true),
        ("of any age, unless the account limits it", 90_000, None, true),
        ("of the future", -300, Some(300), true),
        ("too far in the future", -301, Some(300), false),
        ("too old", 301, Some(300), false),
        ("log only", 90_000, Some(0), true),
        ("the account's own", 11, Some(10), false),
        ("within the account's own", 28_800, Some(28_800), true),
    ] {
        let mut account = account();
        if let Some(max_age) = max_age {
            account["max_age_seconds"] = json!(max_age);
        }
        let candidates = accounts(json!([account]));
        let request = post_to(URL, &(NOW - age).to_string(), body.as_bytes());
        let verified = request.verify(&candidates);
        assert_eq!(verified.is_ok(), accepted, "{label}");
        match verified {
            Ok(verified) => assert_eq!(verified.age_seconds(), Some(age), "{label}"),
            Err(error) => assert_eq!(Rejection::of(&error), Some(Rejection::Stale), "{label}"),
        }
    }
}

#[test]
fn accounts_are_chosen_by_key_then_channel_then_number() {
    let account = |name: &str, key: &str, channel: Option<&str>, number: &str| json!({"name": name, "provider": "bird", "signing_keys": [key], "channel_id": channel, "numbers": {number: {}}});
    let ours = "+31612345678";
    for (label, document, expected) in [
        ("the key alone", json!([account("a", "x", Some(CHANNEL), ours), account("b", "bird-key", None, "+1")]), "b"),
        (
            "the channel",
            json!([account("a", "bird-key", Some("c0"), ours), account("b", "bird-key", Some(CHANNEL), "+1")]),
            "b",
        ),
        (
            "one that names none",
            json!([account("a", "bird-key", Some("c0"), ours), account("b", "bird-key", None, "+1")]),
            "b",
        ),
        ("the number", json!([account("a", "bird-key", None, "+1"), account("b", "bird-key", None, ours)]), "b"),
        (
            "the first of equals",
            json!([account("a", "bird-key", None, "+1"), account("b", "bird-key", None, "+2")]),
            "a",
        ),
        ("another channel is no refusal", json!([account("a", "bird-key", Some("c0"), "+1")]), "a"),
    ] {
        let request = post(event("sms.inbound", &json!({})).to_string());
        assert_eq!(account_name(&request, &accounts(document)), expected, "{label}");
    }
    let rotating = accounts(json!([{"provider": "bird", "signing_keys": ["new", "bird-key"]}]));
    receive_one(&post(event("sms.inbound", &json!({})).to_string()), &rotating);
    for (label, account) in [
        ("no key", json!({"provider": "bird"})),
        ("no keys", json!({"provider": "bird", "signing_keys": []})),
        ("an empty key", json!({"provider": "bird", "signing_keys": [""]})),
        ("a path for a channel", json!({"provider": "bird", "signing_keys": ["k"], "channel_id": "a/../b"})),
        ("a query for a workspace", json!({"provider": "bird", "signing_keys": ["k"], "workspace_id": "a?b"})),
    ] {
        assert!(Settings::from_json(json!({"accounts": [account]}).to_string().as_bytes()).is_err(), "{label}");
    }
}

proptest! {
    #[test]
    fn what_is_accepted_reaches_the_agent(
        name in "sms.inbound|whatsapp.inbound|rcs.inbound|line.inbound|sms.outbound|[a-z]{1,6}",
        kind in "text|image|file|location|list|[a-z]{1,6}",
        value in any_content(),
    ) {
        let body = json!({"type": kind, kind.as_str(): value});
        assert_tells_the_agent(&receive(&post(event(&name, &json!({"body": body})).to_string()), &candidates()).unwrap());
    }

    #[test]
    fn anything_may_arrive(
        body in prop::collection::vec(any::<u8>(), 0..300),
        signature in "[ -~]{0,60}",
        timestamp in "[ -~]{0,20}",
        is_get in any::<bool>(),
    ) {
        let method = if is_get { Method::GET } else { Method::POST };
        let request = webhook(method, URL, &[JSON, (SIGNATURE, &signature), (TIMESTAMP, &timestamp)], body.clone());
        prop_assert!(receive(&request, &candidates()).is_err());
        prop_assert_eq!(receive(&post(body), &candidates()).unwrap_err().kind(), Kind::Validation);
    }

    #[test]
    fn any_value_may_stand_in_a_field(
        name in prop::sample::select(vec!["id", "channelId", "sender", "receiver", "body", "direction", "createdAt", "replyTo",
                                          "parts", "meta"]),
        value in prop::sample::select(vec![
            json!(true), json!(-1), json!(1e300), json!(""), json!("\0"), json!([]), json!([[]]), json!({}), json!([{}]),
            json!({"contact": []}), json!({"connectors": {}}), json!({"type": "text"}), json!({"type": 7}),
            json!({"type": "text", "text": {"text": "x".repeat(10_000), "actions": [7]}}),
        ]),
    ) {
        match receive(&post(event("whatsapp.inbound", &json!({name: value})).to_string()), &candidates()) {
            Ok(_) => {}
            Err(error) => prop_assert_eq!(error.kind(), Kind::Validation),
        }
    }

    #[test]
    fn no_bit_may_change(place in any::<prop::sample::Index>(), bit in 0..8_u8, part in 0..3) {
        let request = post(event("sms.inbound", &json!({})).to_string());
        let mut changed = request.clone();
        let flip = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
            bytes
        };
        if part == 0 {
            changed.body = flip(&request.body).into();
        } else {
            let name = if part == 1 { SIGNATURE } else { TIMESTAMP };
            let Ok(value) = http::HeaderValue::from_bytes(&flip(request.headers[name].as_bytes())) else { return Ok(()) };
            changed.headers.insert(name, value);
        }
        prop_assert!(changed.verify(&candidates()).is_err());
    }
}

fn sender() -> Value {
    json!({"provider": "bird", "signing_keys": ["bird-key"], "access_key": "KEY1", "workspace_id": "w1", "channel_id": "c1"})
}

#[test]
fn a_text_is_json_for_the_channel_that_was_written_to() {
    for (channel, from_id, sent_over) in [
        (Channel::Sms, Some(CHANNEL), CHANNEL),
        (Channel::Whatsapp, Some(CHANNEL), CHANNEL),
        (Channel::Rcs, None, "c1"),
        (Channel::Mms, Some("../other"), "c1"),
    ] {
        let (url, content_type, headers, body) =
            send_request(sender(), &Outbound { channel, from_id, ..TEXT }).unwrap();
        assert_eq!(url, format!("https://api.bird.com/workspaces/w1/channels/{sent_over}/messages"));
        assert_eq!(content_type, "application/json");
        assert_eq!(headers, [("authorization".to_owned(), "AccessKey KEY1".to_owned())]);
        assert_eq!(
            serde_json::from_str::<Value>(&body).unwrap(),
            json!({"receiver": {"contacts": [{"identifierKey": "phonenumber", "identifierValue": "+14133881111"}]},
                   "body": {"type": "text", "text": {"text": "Hello & bye"}}, "reference": TEXT.key.get(..32)})
        );
    }
    let bsuid = send_request(sender(), &Outbound { to: "US.1349", ..TEXT }).unwrap().3;
    let bsuid: Value = serde_json::from_str(&bsuid).unwrap();
    assert_eq!(bsuid["receiver"]["contacts"], json!([{"identifierValue": "US.1349"}]));
    for (missing, why) in [
        ("access_key", "access_key is missing"),
        ("workspace_id", "workspace_id is missing"),
        ("channel_id", "channel_id is missing"),
    ] {
        let mut account = sender();
        account[missing] = Value::Null;
        assert_cannot_send(account, &TEXT, why);
    }
    let mut account = sender();
    account["workspace_id"] = Value::Null;
    assert_eq!(warnings(account).len(), 1);
    let limits = [Channel::Sms, Channel::Mms, Channel::Whatsapp, Channel::Rcs]
        .map(|channel| accounts(json!([sender()]))[0].credentials.limit(channel));
    let [sms, mms] = [Limit::Segments(9); 2];
    assert_eq!(limits, [sms, mms, Limit::Characters(4096), Limit::Characters(3072)]);
    assert!(!ProviderId::Bird.facts().media_links_open);
}

#[test]
fn answers_are_understood() {
    let error = |code: &str| format!(r#"{{"code":"{code}","message":"…","details":{{}}}}"#);
    assert_answers(
        sender(),
        &[
            (202, r#"{"id":"9f5c8a3e","status":"accepted"}"#, None),
            (202, "", None),
            (422, &error("InvalidPayload"), Some(Reason::Refused)),
            (400, "", Some(Reason::Refused)),
            (401, &error("Unauthorized"), Some(Reason::Misconfigured)),
            (403, &error("Forbidden"), Some(Reason::Misconfigured)),
            (404, &error("NotFound"), Some(Reason::Misconfigured)),
            (422, &error("InsufficientBalance"), Some(Reason::Misconfigured)),
            (429, &error("TooManyRequests"), Some(Reason::Throttled)),
            (429, "", Some(Reason::Throttled)),
            (500, "", Some(Reason::Unavailable)),
            (503, "", Some(Reason::Unavailable)),
            (504, "", Some(Reason::Unknown)),
        ],
    );
    let account = &accounts(json!([sender()]))[0];
    let taken = account.credentials.read_answer(http::StatusCode::ACCEPTED, br#"{"id":"9f5c8a3e"}"#).unwrap();
    assert_eq!(taken.message_ids, ["9f5c8a3e"]);
}
