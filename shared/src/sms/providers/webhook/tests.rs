#![expect(clippy::string_slice, reason = "a test may panic")]

use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use http::Method;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{ID, SIGNATURE, TIMESTAMP};
use crate::{
    error::Kind,
    settings::{Account, Settings},
    sms::{
        event::{Event, Ignored},
        message::{Act, Channel, Message, OptOut},
        segments::Limit,
        send::{ApiCall, Outbound, Reason},
        signal::{Signal, SignalKind},
        webhook::{Rejection, Webhook},
    },
    testing::{
        NOW, TEXT, accounts, any_content, assert_answers, assert_cannot_send, assert_refused, assert_tells_the_agent,
        receive, receive_one, run_vectors, send_request, warnings, webhook,
    },
};

const URL: &str = "https://sms.example.com/sms/webhook/line";
/// The example of the specification's own libraries.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const PREVIOUS: &str = "cHJldmlvdXMgc2VjcmV0IG9mIGV4YWN0bHkgMzIgYi4=";

fn account(more: &Value) -> Value {
    let mut account =
        json!({"name": "line", "provider": "webhook", "channel": "line", "signing_secrets": [SECRET, PREVIOUS]});
    account.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    account
}

fn candidates() -> Vec<Arc<Account>> {
    accounts(json!([account(&json!({}))]))
}

fn sign(secret: &str, id: &str, timestamp: &str, body: &str) -> String {
    let secret = STANDARD.decode(secret.trim_start_matches("whsec_")).unwrap();
    let signed = format!("{id}.{timestamp}.{body}");
    format!("v1,{}", STANDARD.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), signed.as_bytes())))
}

fn post_at(timestamp: i64, body: &str) -> Webhook {
    let timestamp = timestamp.to_string();
    let signature = sign(SECRET, "msg_1", &timestamp, body);
    let headers = [(ID, "msg_1"), (TIMESTAMP, &timestamp), (SIGNATURE, &signature)];
    webhook(Method::POST, URL, &headers, body.to_owned())
}

fn post(body: &Value) -> Webhook {
    post_at(NOW, &body.to_string())
}

/// A message with these changes in its data, where null takes a field away.
fn message(changes: &Value) -> Value {
    let mut data = json!({"id": "42", "from": "user-7", "to": "shop", "text": "Hello agent"});
    let fields = data.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            fields.remove(name);
        } else {
            fields.insert(name.clone(), value.clone());
        }
    }
    json!({"type": "message", "data": data})
}

#[expect(clippy::needless_pass_by_value, reason = "tests write `parsed(json!(…))`")]
fn parsed(changes: Value) -> Message {
    receive_one(&post(&message(&changes)), &candidates())
}

#[expect(clippy::needless_pass_by_value, reason = "tests write `event(json!(…))`")]
fn event(body: Value) -> Event {
    receive(&post(&body), &candidates()).unwrap().remove(0)
}

#[test]
fn the_vectors_hold() {
    run_vectors(include_str!("vectors/webhook.json"));
}

/// Made by the PyPI package `standardwebhooks` 1.1.0, as npm's 1.1.1 makes it too.
#[test]
fn a_signature_of_the_specifications_own_library_is_accepted() {
    let body = r#"{"type":"message","data":{"id":"42","from":"user-7","to":"shop","text":"Grüße 👋🏽"}}"#;
    let signature = "v1,guBVDy/F9XC+BVcOT7w3LLOheLpo5LAy9vBIpVZQZs0=";
    let headers = [(ID, "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"), (TIMESTAMP, "1790000000"), (SIGNATURE, signature)];
    let request = webhook(Method::POST, URL, &headers, body);
    assert_eq!(receive_one(&request, &candidates()).text, "Grüße 👋🏽");
    assert_eq!(sign(SECRET, "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W", "1790000000", body), signature);
}

#[test]
fn signatures_are_checked() {
    let body = message(&json!({})).to_string();
    let body = body.as_str();
    let now = NOW.to_string();
    let now = now.as_str();
    let right = sign(SECRET, "1", now, body);
    let right = right.as_str();
    let previous = sign(PREVIOUS, "1", now, body);
    let other = sign(&STANDARD.encode([7; 32]), "1", now, body);
    let joined = format!("{other} v1a,{} {right}", STANDARD.encode([1; 64]));
    let commas = format!("{other},{right}");
    let version_2 = right.replace("v1,", "v2,");
    let no_version = right.replace("v1,", "");
    let no_padding = right.trim_end_matches('=').to_owned();
    let short = format!("v1,{}", STANDARD.encode([1; 16]));
    let (malformed, mismatch, missing) = (Rejection::Malformed, Rejection::Mismatch, Rejection::Missing);
    let with = |signature| vec![(ID, "1"), (TIMESTAMP, now), (SIGNATURE, signature)];
    for (label, headers, outcome) in [
        ("right", with(right), None),
        ("the previous secret", with(&previous), None),
        ("one of several", with(&joined), None),
        ("another secret", with(&other), Some(mismatch)),
        ("with commas between", with(&commas), Some(malformed)),
        ("another version", with(&version_2), Some(malformed)),
        ("no version", with(&no_version), Some(malformed)),
        ("no padding", with(&no_padding), Some(malformed)),
        ("too short", with(&short), Some(mismatch)),
        ("no base64", with("v1,!"), Some(malformed)),
        ("blank", with(" "), Some(missing)),
        ("another id", vec![(ID, "2"), (TIMESTAMP, now), (SIGNATURE, right)], Some(mismatch)),
        ("another time", vec![(ID, "1"), (TIMESTAMP, "1790000001"), (SIGNATURE, right)], Some(mismatch)),
        ("a time that is none", vec![(ID, "1"), (TIMESTAMP, "now"), (SIGNATURE, right)], Some(malformed)),
        ("a signed time", vec![(ID, "1"), (TIMESTAMP, "+1790000000"), (SIGNATURE, right)], Some(malformed)),
        ("no id", vec![(TIMESTAMP, now), (SIGNATURE, right)], Some(missing)),
        ("no time", vec![(ID, "1"), (SIGNATURE, right)], Some(missing)),
        ("no signature", vec![(ID, "1"), (TIMESTAMP, now)], Some(missing)),
        ("two headers", [with(right), vec![(SIGNATURE, right)]].concat(), Some(malformed)),
    ] {
        let request = webhook(Method::POST, URL, &headers, body.to_owned());
        let accounts = candidates();
        assert_eq!(request.verify(&accounts).err().and_then(|error| Rejection::of(&error)), outcome, "{label}");
    }
}

#[test]
fn a_signature_is_valid_for_300_seconds_both_ways() {
    for (signed_at, accepted) in
        [(NOW - 300, true), (NOW - 301, false), (NOW + 300, true), (NOW + 301, false), (0, false)]
    {
        let request = post_at(signed_at, &message(&json!({})).to_string());
        assert_eq!(receive(&request, &candidates()).is_ok(), accepted, "{signed_at}");
    }
    let any_age = accounts(json!([account(&json!({"max_age_seconds": 0}))]));
    receive_one(&post_at(0, &message(&json!({})).to_string()), &any_age);
}

#[test]
fn the_whole_message_is_read_whatever_its_content_type() {
    let whole = message(&json!({
        "text": "Grüße 👋🏽", "profile_name": "Jo", "choice_id": "tuesday", "received_at": "2026-09-21T16:13:18+02:00",
        "media": [{"url": "https://m.example/1.jpg", "content_type": "image/jpeg", "name": "a.jpg", "size": 5},
                  {"url": "http://m.example/2.jpg", "content_type": "image/jpeg"}, {"url": "javascript:x"}, {}, "odd"],
        "location": {"latitude": 48.1, "longitude": 11.5, "name": "Office", "address": "1 Main St"},
        "tomorrow": {"a": 1}
    }));
    for content_type in ["application/json", "text/plain", "application/x-www-form-urlencoded", "?"] {
        let mut request = post(&whole);
        request.headers.insert("content-type", content_type.parse().unwrap());
        assert_eq!(
            serde_json::to_value(receive_one(&request, &candidates())).unwrap(),
            json!({"provider": "webhook", "channel": "line", "message_id": "42", "from": "user-7", "to": "shop",
                   "text": "Grüße 👋🏽", "received_at": "2026-09-21T14:13:18Z", "profile_name": "Jo",
                   "button_payload": "tuesday",
                   "media": [{"url": "https://m.example/1.jpg", "content_type": "image/jpeg", "name": "a.jpg"},
                             {}, {}, {}, {}],
                   "location": {"latitude": 48.1, "longitude": 11.5, "name": "Office", "address": "1 Main St"}})
        );
    }
}

#[test]
fn what_a_message_can_do_without_may_be_odd() {
    let odd = parsed(json!({"text": 5, "profile_name": [], "media": {}, "location": "x", "choice_id": 7,
                            "received_at": "yesterday"}));
    assert!(odd.is_blank() && odd.received_at.is_none() && odd.profile_name.is_none());
    for place in [json!({}), json!({"latitude": 91, "longitude": 0}), json!({"latitude": "1", "longitude": 0})] {
        assert!(parsed(json!({"location": place})).location.is_none(), "{place}");
    }
    assert_eq!(parsed(json!({"text": "a\0b"})).text, "ab");
    assert!(parsed(json!({"text": null})).is_blank());
}

#[test]
fn opt_outs_are_events_and_words_only_on_text_messaging() {
    for (kind, expected) in [("opt_out", OptOut::Stop), ("opt_in", OptOut::Start)] {
        let Event::Message(message) = event(json!({"type": kind, "data": {"id": "1", "from": "a", "to": "b"}})) else {
            panic!("{kind}")
        };
        assert_eq!(message.opt_out, Some(expected));
    }
    for (channel, expected) in
        [("line", None), ("whatsapp", None), ("sms", Some(OptOut::Stop)), ("mms", Some(OptOut::Stop))]
    {
        let account = accounts(json!([account(&json!({"channel": channel}))]));
        let message = receive_one(&post(&message(&json!({"text": "stop"}))), &account);
        assert_eq!((message.channel.as_str(), message.opt_out), (channel, expected));
    }
}

#[test]
fn what_a_customer_does_is_an_act() {
    let data = json!({"id": "1", "from": "user-7", "to": "shop", "text": "no words"});
    for (kind, act, id) in [("end", Act::End, "1"), ("typing", Act::Typing, "msg_1")] {
        let Event::Message(message) = event(json!({"type": kind, "data": data})) else { panic!("{kind}") };
        assert_eq!(
            serde_json::to_value(&message).unwrap(),
            json!({"provider": "webhook", "channel": "line", "message_id": id, "from": "user-7", "to": "shop", "text": "",
                   "media": [], "received_at": null, "act": act.as_str()})
        );
        assert_eq!(message.act, Some(act));
    }
    // `typing` is named by its webhook-id alone.
    assert!(receive(&post(&json!({"type": "typing", "data": {"from": "a", "to": "b"}})), &candidates()).is_ok());
}

#[test]
fn other_types_are_checked_and_ignored() {
    let data = json!({"id": "1", "from": "a", "to": "b", "message_id": "1", "status": "delivered"});
    for (kind, reason) in [("reaction", Ignored::OtherEvent), ("", Ignored::OtherEvent)] {
        assert_eq!(event(json!({"type": kind, "data": data})), Event::ignored(reason), "{kind}");
    }
    assert_eq!(event(json!({"type": "reaction"})), Event::ignored(Ignored::OtherEvent));
    let Event::Status(status) =
        event(json!({"type": "status", "data": {"message_id": "1", "status": "failed", "reason": "No such user"}}))
    else {
        panic!("no status")
    };
    assert_eq!((status.message_id.as_str(), status.why()), ("1", "No such user"));
    for (kind, missing) in [
        ("end", "id"),
        ("end", "from"),
        ("end", "to"),
        ("typing", "from"),
        ("typing", "to"),
        ("status", "message_id"),
        ("status", "status"),
        ("opt_out", "id"),
        ("opt_in", "to"),
    ] {
        let mut data = data.clone();
        data.as_object_mut().unwrap().remove(missing);
        let result = receive(&post(&json!({"type": kind, "data": data})), &candidates());
        assert_refused(&format!("{kind} without {missing}"), result, Kind::Validation);
    }
}

#[test]
fn ids_and_addresses_have_bounds() {
    for name in ["id", "from", "to"] {
        for value in ["x", "日本", &"é".repeat(255), "a b", "+14155550100"] {
            parsed(json!({name: value}));
        }
        for value in [
            json!(null),
            json!(""),
            json!(" "),
            json!("é".repeat(256)),
            json!("a\nb"),
            json!("\0"),
            json!("\u{85}"),
            json!(5),
            json!(["a"]),
        ] {
            let result = receive(&post(&message(&json!({name: value}))), &candidates());
            assert_refused(&format!("{name} {value}"), result, Kind::Validation);
        }
    }
    // Nothing is added to what only looks like a phone number.
    assert_eq!(parsed(json!({"from": "14155550100"})).from, "14155550100");
}

#[test]
fn what_is_malformed_is_refused_after_it_is_proved() {
    let whole = message(&json!({})).to_string();
    for body in [
        "",
        "{}",
        "[]",
        "5",
        "null",
        r#"{"type":"message"}"#,
        r#"{"type":"message","data":[]}"#,
        r#"{"type":5,"data":{}}"#,
        r#"{"data":{"id":"1","from":"a","to":"b"}}"#,
        &whole[..whole.len() - 1],
        &format!("{whole}{whole}"),
        &"[".repeat(10_000),
        &" ".repeat(2_000_000),
    ] {
        let result = receive(&post_at(NOW, body), &candidates());
        assert_refused(&body[..body.len().min(60)], result, Kind::Validation);
    }
}

#[test]
fn settings_are_checked() {
    let read = |more: Value| Settings::from_json(json!({"accounts": [account(&more)]}).to_string().as_bytes());
    let bytes = |count| STANDARD.encode(vec![7; count]);
    for (label, more) in [
        ("the shortest secret", json!({"signing_secrets": [bytes(24)]})),
        ("the longest secret", json!({"signing_secrets": [format!("whsec_{}", bytes(64))]})),
        ("without padding", json!({"signing_secrets": [STANDARD_NO_PAD.encode([7; 25])]})),
        ("https", json!({"send_url": "https://line.example.com/out?x=1", "send_secrets": [SECRET]})),
        ("this machine", json!({"send_url": "http://localhost:9100/out", "send_secrets": [SECRET]})),
        ("this machine by number", json!({"send_url": "http://127.8.9.1/out", "send_secrets": [SECRET]})),
        ("this machine by the new number", json!({"send_url": "http://[::1]:80/", "send_secrets": [SECRET]})),
        ("a limit", json!({"text_limit": 1})),
        ("a channel", json!({"channel": "in-app_2"})),
    ] {
        assert!(read(more).is_ok(), "{label}");
    }
    for (more, expected) in [
        (json!({"signing_secrets": [SECRET, bytes(23)]}), "signing_secrets[1] must be base64 of 24 to 64 bytes"),
        (json!({"signing_secrets": [bytes(65)]}), "signing_secrets[0] must be base64"),
        (json!({"signing_secrets": ["not base64 at all, is it?"]}), "signing_secrets[0] must be base64"),
        (json!({"send_secrets": ["whsec_"]}), "send_secrets[0] must be base64"),
        (json!({"signing_secrets": []}), "signing_secrets must be a list"),
        (json!({"channel": "web"}), "channel must be"),
        (json!({"channel": "Line"}), "channel must be"),
        (json!({"channel": "a".repeat(33)}), "channel must be"),
        (json!({"text_limit": 0}), "text_limit must be at least 1"),
        (json!({"text_limit": "5"}), "text_limit must be a whole number"),
        (json!({"send_url": "http://line.example.com/out"}), "send_url must be an https URL"),
        (json!({"send_url": "http://127.0.0.1.example.com/"}), "send_url must be an https URL"),
        (json!({"send_url": "http://10.0.0.1/"}), "send_url must be an https URL"),
        (json!({"send_url": "https://u:p@line.example.com/"}), "send_url must be an https URL"),
        (json!({"send_url": "https://line.example.com/#x"}), "send_url must be an https URL"),
        (json!({"send_url": "ftp://localhost/"}), "send_url must be an https URL"),
        (json!({"send_url": "/out"}), "send_url must be an https URL"),
    ] {
        let shown = format!("{:?}", read(more).unwrap_err());
        assert!(shown.contains(expected) && !shown.contains("example"), "{expected} in {shown}");
    }
    let warned = warnings(account(&json!({"send_url": "https://x.example/", "send_base_url": "https://y.example"})));
    assert!(warned.iter().any(|warning| warning.contains("send_secrets is missing")), "{warned:?}");
    assert!(warned.iter().any(|warning| warning.contains("send_base_url has no effect")), "{warned:?}");
    let shown = format!("{:?}", candidates()[0].credentials);
    assert!(!shown.contains("MfKQ"), "{shown}");
    // The provider's name is the channel's where it has none.
    let plain = accounts(json!([{"provider": "webhook", "signing_secrets": [SECRET]}]));
    assert_eq!(receive_one(&post(&message(&json!({}))), &plain).channel.as_str(), "webhook");
}

fn sender() -> Value {
    account(&json!({"send_url": "https://line.example.com/out?x=1", "send_secrets": [SECRET, PREVIOUS]}))
}

#[test]
fn a_text_is_signed_with_each_secret() {
    let channel = Channel::named("line").unwrap();
    // Where the account names the URL, nothing stands for its host.
    let mut account = sender();
    account["send_base_url"] = "https://elsewhere.example".into();
    let (url, content_type, headers, body) =
        send_request(account, &Outbound { channel, from: "shop", to: "user-7", ..TEXT }).unwrap();
    assert_eq!((url.as_str(), content_type.as_str()), ("https://line.example.com/out?x=1", "application/json"));
    let [(id_name, id), (time_name, time), (signature_name, signatures)] = headers.as_slice() else {
        panic!("{headers:?}")
    };
    assert_eq!([id_name.as_str(), time_name, signature_name], [ID, TIMESTAMP, SIGNATURE]);
    assert_eq!(id, TEXT.key);
    assert!((jiff::Timestamp::now().as_second() - time.parse::<i64>().unwrap()).abs() < 60);
    assert_eq!(*signatures, format!("{} {}", sign(SECRET, id, time, &body), sign(PREVIOUS, id, time, &body)));
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        body,
        json!({"type": "message", "data": {"id": TEXT.key, "from": "shop", "to": "user-7", "text": "Hello & bye",
                                           "contact_id": TEXT.contact_id}})
    );
    let facts = accounts(json!([sender()]))[0].provider().facts();
    assert!(facts.supports_idempotency && facts.media_links_open);
}

#[test]
fn what_happens_in_a_chat_is_told_and_signed() {
    let account = &accounts(json!([sender()]))[0];
    for (kind, word) in [(SignalKind::Typing, "typing"), (SignalKind::End, "end")] {
        let signal = Signal { kind, from: "shop", to: "user-7", contact_id: "c-1", key: TEXT.key };
        let ApiCall::Http(request) = account.credentials.signal(&signal).unwrap() else { panic!("{word}") };
        let header = |name: &str| {
            let (_, value) = request.headers.iter().find(|(key, _)| key == name).unwrap();
            value.to_str().unwrap().to_owned()
        };
        let expected = json!({"type": word, "data": {"from": "shop", "to": "user-7", "contact_id": "c-1"}});
        assert_eq!(serde_json::from_str::<Value>(&request.body).unwrap(), expected);
        let signature = sign(SECRET, TEXT.key, &header(TIMESTAMP), &request.body);
        assert!(header(SIGNATURE).starts_with(&signature) && header(ID) == TEXT.key);
    }
    let signal = Signal { kind: SignalKind::End, from: "shop", to: "user-7", contact_id: "c-1", key: TEXT.key };
    let only_receives = candidates();
    let error = only_receives[0].credentials.signal(&signal).err().unwrap();
    assert_eq!(error.kind(), Kind::SendMisconfigured);
}

#[test]
fn the_limit_is_the_accounts() {
    let limit = |more: &Value| accounts(json!([account(more)]))[0].credentials.limit(Channel::Sms);
    assert_eq!(limit(&json!({})), Limit::Characters(4096));
    assert_eq!(limit(&json!({"text_limit": 100})), Limit::Characters(100));
}

#[test]
fn an_account_that_only_receives_does_not_send() {
    let missing = "send_url or send_secrets is missing";
    assert_cannot_send(account(&json!({})), &TEXT, missing);
    assert_cannot_send(account(&json!({"send_url": "https://line.example.com"})), &TEXT, missing);
    assert_cannot_send(account(&json!({"send_secrets": [SECRET]})), &TEXT, missing);
}

#[test]
fn answers_are_understood() {
    assert_answers(
        sender(),
        &[
            (200, r#"{"id":"1"}"#, None),
            (202, "", None),
            (204, "<html>", None),
            (301, "", Some(Reason::Misconfigured)),
            (308, "", Some(Reason::Misconfigured)),
            (400, "", Some(Reason::Refused)),
            (401, "", Some(Reason::Refused)),
            (404, "", Some(Reason::Refused)),
            (408, "", Some(Reason::Refused)),
            (410, "", Some(Reason::OptedOut)),
            (429, "", Some(Reason::Throttled)),
            (503, "", Some(Reason::Throttled)),
            (500, "", Some(Reason::Unavailable)),
            (502, "", Some(Reason::Unknown)),
        ],
    );
    let credentials = &accounts(json!([sender()]))[0].credentials;
    assert_eq!(credentials.read_answer(http::StatusCode::OK, br#"{"id":"1"}"#).unwrap().message_ids, ["1"]);
}

proptest! {
    #[test]
    fn what_is_accepted_reaches_the_agent(
        kind in "message|opt_out|opt_in|end|typing|status|[a-z]{1,6}",
        field in "text|media|location|choice_id|other",
        value in any_content(),
    ) {
        let mut body = message(&json!({"status": "read", "message_id": "1", field.as_str(): value}));
        body["type"] = kind.into();
        let events = receive(&post(&body), &candidates()).unwrap();
        // What can't be read is left out, and the agent reads "[empty message]".
        if field != "text" || value.is_string() {
            assert_tells_the_agent(&events);
        }
    }

    #[test]
    fn anything_may_arrive(
        body in prop::collection::vec(any::<u8>(), 0..300),
        id in "[ -~]{0,20}",
        timestamp in "[ -~]{0,20}",
        signature in "[ -~]{0,80}",
    ) {
        let request = webhook(Method::POST, URL, &[(ID, &id), (TIMESTAMP, &timestamp), (SIGNATURE, &signature)], body);
        prop_assert!(receive(&request, &candidates()).is_err());
    }

    #[test]
    fn any_value_may_stand_in_a_field(
        name in prop::sample::select(vec!["id", "from", "to", "text", "profile_name", "media", "location", "choice_id",
                                          "received_at"]),
        value in prop::sample::select(vec![
            json!(true), json!(-1), json!(1e300), json!(""), json!("\0"), json!([]), json!([[]]), json!({}),
            json!([{"url": []}]), json!([null]), json!({"latitude": {}}), json!("x".repeat(10_000)),
        ]),
    ) {
        match receive(&post(&message(&json!({name: value}))), &candidates()) {
            Ok(_) => {}
            Err(error) => prop_assert_eq!(error.kind(), Kind::Validation),
        }
    }
}
