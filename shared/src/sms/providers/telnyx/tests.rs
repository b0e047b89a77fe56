#![expect(clippy::string_slice, reason = "a test may panic")]

use std::sync::Arc;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Method;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{SIGNATURE, TIMESTAMP, read_public_key};
use crate::{
    error::Kind,
    settings::{Account, Settings},
    sms::{
        event::{Event, Ignored},
        message::{Channel, FromKind, Message, OptOut},
        send::{Outbound, Reason},
        webhook::{Rejection, Webhook},
    },
    testing::{
        NOW, TEXT, account_name, accounts, any_content, assert_answers, assert_cannot_send, assert_refused,
        assert_tells_the_agent, receive, receive_one, run_vectors, send_request, webhook,
    },
};

const URL: &str = "https://sms.example.com/sms/telnyx";
const JSON: (&str, &str) = ("content-type", "application/json");

/// Keys that are the same in every run, told apart by a number.
fn key_pair(number: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[number; 32]).unwrap()
}

fn public_key(number: u8) -> String {
    STANDARD.encode(key_pair(number).public_key().as_ref())
}

fn sign(number: u8, timestamp: &str, body: &[u8]) -> String {
    STANDARD.encode(key_pair(number).sign(&[timestamp.as_bytes(), b"|", body].concat()))
}

fn candidates() -> Vec<Arc<Account>> {
    accounts(json!([{"provider": "telnyx", "public_keys": [public_key(1)]}]))
}

fn post_at(timestamp: &str, body: impl Into<Vec<u8>>) -> Webhook {
    let body = body.into();
    let signature = sign(1, timestamp, &body);
    webhook(Method::POST, URL, &[JSON, (SIGNATURE, &signature), (TIMESTAMP, timestamp)], body)
}

fn post(body: impl Into<Vec<u8>>) -> Webhook {
    post_at(&NOW.to_string(), body)
}

/// A whole message; each change is a field of the payload, where null takes it away.
fn event(changes: &Value) -> Value {
    let mut payload = json!({
        "id": "84cca175-9755-4859-b67f-4730d7f58aa3", "record_type": "message", "direction": "inbound", "type": "SMS",
        "from": {"phone_number": "+13125550001", "carrier": "T-Mobile USA", "line_type": "Wireless"},
        "to": [{"phone_number": "+17735550002", "status": "webhook_delivered", "carrier": "Telnyx"}],
        "cc": [], "text": "Hello agent", "media": [], "encoding": "GSM-7", "parts": 1,
        "received_at": "2026-09-21T14:13:18.000+00:00", "cost": null
    });
    let fields = payload.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            fields.remove(name);
        } else {
            fields.insert(name.clone(), value.clone());
        }
    }
    json!({"data": {"event_type": "message.received", "id": "b301ed3f", "occurred_at": "2026-09-21T14:13:19Z",
                    "record_type": "event", "payload": payload},
           "meta": {"attempt": 1}})
}

#[expect(clippy::needless_pass_by_value, reason = "tests write `parsed(json!(…))`")]
fn parsed(changes: Value) -> Message {
    receive_one(&post(event(&changes).to_string()), &candidates())
}

#[expect(clippy::needless_pass_by_value, reason = "tests write `outcome(json!(…))`")]
fn outcome(body: Value) -> Event {
    receive(&post(body.to_string()), &candidates()).unwrap().remove(0)
}

#[test]
fn the_vectors_hold() {
    run_vectors(include_str!("vectors/telnyx.json"));
}

#[test]
fn signed_events_are_accepted() {
    let pretty = serde_json::to_string_pretty(&event(&json!({}))).unwrap();
    let escaped = event(&json!({})).to_string().replace("Hello agent", r"\u0048ello \u0061gent");
    for (label, body, url) in [
        ("basic", event(&json!({})).to_string(), URL),
        ("laid out in lines", pretty, URL),
        ("escapes", escaped, URL),
        ("fields of tomorrow", event(&json!({"is_spam": false, "x": {"y": [1]}})).to_string(), URL),
        ("account in the path", event(&json!({})).to_string(), "https://sms.example.com/sms/telnyx/us"),
        ("a query, which is not signed", event(&json!({})).to_string(), "https://sms.example.com/sms/telnyx?a=1"),
        ("another host, which is not signed", event(&json!({})).to_string(), "https://other.example/m/sms/telnyx"),
    ] {
        let mut request = post(body);
        let at = webhook(Method::POST, url, &[], "");
        (request.base, request.path, request.query) = (at.base, at.path, at.query);
        assert_eq!(receive_one(&request, &candidates()).text, "Hello agent", "{label}");
    }
    for content_type in ["", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-8"] {
        let mut request = post(event(&json!({})).to_string());
        request.headers.insert("content-type", content_type.parse().unwrap());
        receive_one(&request, &candidates());
    }
    let mut request = post(event(&json!({})).to_string());
    let padded = format!("  {}  ", request.headers[SIGNATURE].to_str().unwrap());
    request.headers.insert(SIGNATURE, padded.parse().unwrap());
    receive_one(&request, &candidates());
}

#[test]
fn the_whole_message_is_read() {
    let message = parsed(json!({
        "type": "MMS", "text": "Grüße 👋🏽", "encoding": "UCS-2", "parts": 3,
        "media": [{"url": "https://m.example/1.jpg", "content_type": "image/jpeg", "sha256": "ab", "size": 1024},
                  {"url": "https://m.example/0.smil", "content_type": "application/smil"},
                  {"url": "https://m.example/2", "content_type": null, "size": null}]
    }));
    assert_eq!(
        serde_json::to_value(&message).unwrap(),
        json!({"provider": "telnyx", "channel": "mms", "message_id": "84cca175-9755-4859-b67f-4730d7f58aa3",
               "from": "+13125550001", "to": "+17735550002", "text": "Grüße 👋🏽",
               "media": [{"url": "https://m.example/1.jpg", "content_type": "image/jpeg", "size": 1024},
                         {"url": "https://m.example/2"}],
               "received_at": "2026-09-21T14:13:18Z", "segments": 3, "encoding": "UCS-2", "event_id": "b301ed3f"})
    );
}

#[test]
fn channels_and_addresses_are_told_apart() {
    let media = json!([{"url": "https://m.example/1"}]);
    for (label, changes, channel) in [
        ("sms", json!({}), Channel::Sms),
        ("mms without media", json!({"type": "MMS"}), Channel::Mms),
        ("media make an mms", json!({"media": media}), Channel::Mms),
        ("no type", json!({"type": null}), Channel::Sms),
        ("no type, media", json!({"type": null, "media": media}), Channel::Mms),
    ] {
        assert_eq!(parsed(changes).channel, channel, "{label}");
    }
    let short = parsed(json!({"from": {"phone_number": "12345"}, "to": [{"phone_number": "67890"}]}));
    assert_eq!(
        (short.from_kind, short.from.as_str(), short.to.as_str()),
        (Some(FromKind::Shortcode), "12345", "67890")
    );
    let name = parsed(json!({"from": {"phone_number": "ACME", "extra": 1}}));
    assert_eq!(name.from_kind, Some(FromKind::Alpha));
}

#[test]
fn group_messages_name_everyone() {
    let group = json!({
        "type": "MMS",
        "to": [{"phone_number": "+17735550009", "status": "delivered"},
               {"phone_number": "+17735550002", "status": "webhook_delivered"}],
        "cc": [{"phone_number": "+17735550008"}, {"phone_number": "+17735550002"}, {"phone_number": null}]
    });
    let message = parsed(group.clone());
    assert_eq!(message.to, "+17735550002");
    assert_eq!(message.to_all.unwrap(), ["+17735550009", "+17735550002", "+17735550008"]);

    let listed = accounts(json!([{"provider": "telnyx", "public_keys": [public_key(1)],
                                  "numbers": {"+17735550009": {}}}]));
    let message = receive_one(&post(event(&group).to_string()), &listed);
    assert_eq!(message.to, "+17735550009");

    let unmarked = parsed(json!({"to": [{}, {"phone_number": "+1"}, {"phone_number": "+2", "status": 5}]}));
    assert_eq!((unmarked.to.as_str(), unmarked.to_all.unwrap().len()), ("+1", 2));
    assert_eq!(parsed(json!({"cc": [{"phone_number": "+17735550002"}]})).to_all, None);
}

#[test]
fn what_a_message_can_do_without_may_be_odd() {
    let message = parsed(json!({"encoding": 7, "parts": "1", "received_at": "yesterday", "cc": null, "text": null,
                                "media": [{"content_type": "image/png"}, {"url": ""}, {"url": "https://m.example/1",
                                          "size": "big"}]}));
    assert_eq!((message.encoding, message.segments, message.received_at), (None, None, None));
    assert_eq!((message.text.as_str(), message.media.len()), ("[unsupported message]", 1));
    for (parts, expected) in
        [(json!(-1), None), (json!(1.5), None), (json!(4_294_967_296_u64), None), (json!(2), Some(2))]
    {
        assert_eq!(parsed(json!({"parts": parts})).segments, expected);
    }
    for (time, expected) in [
        ("2026-09-21T14:13:18.000+00:00", Some("2026-09-21T14:13:18Z")),
        ("2026-09-21T16:13:18.574+02:00", Some("2026-09-21T14:13:18.574Z")),
        ("2026-09-21T14:13:18Z", Some("2026-09-21T14:13:18Z")),
        ("2026-09-21T14:13:18", None),
        ("", None),
    ] {
        assert_eq!(parsed(json!({"received_at": time})).received_at.as_deref(), expected, "{time}");
    }
    let mut no_event_id = event(&json!({}));
    no_event_id["data"].as_object_mut().unwrap().remove("id");
    assert_eq!(receive_one(&post(no_event_id.to_string()), &candidates()).event_id, None);
    assert_eq!(parsed(json!({"text": "a\0b"})).text, "ab");
}

#[test]
fn opt_outs_are_recognised() {
    for (changes, expected) in [
        (json!({"text": "quit", "autoresponse_type": "STOP"}), Some(OptOut::Stop)),
        (json!({"text": "join", "autoresponse_type": "START"}), Some(OptOut::Start)),
        (json!({"text": "STOP", "autoresponse_type": "HELP"}), Some(OptOut::Help)),
        (json!({"text": "hi", "autoresponse_type": "OTHER"}), None),
        (json!({"text": "hi", "autoresponse_type": 1}), None),
        (json!({"text": " stop "}), Some(OptOut::Stop)),
        (json!({"text": "Unstop"}), Some(OptOut::Start)),
        (json!({"text": "quit"}), None),
    ] {
        let label = changes.to_string();
        assert_eq!(parsed(changes).opt_out, expected, "{label}");
    }
}

#[test]
fn what_is_no_message_is_ignored() {
    for (kind, reason) in [
        ("message.sent", Ignored::Status),
        ("message.finalized", Ignored::Status),
        ("call.initiated", Ignored::OtherEvent),
        ("MESSAGE.RECEIVED", Ignored::OtherEvent),
        ("", Ignored::OtherEvent),
    ] {
        let body = json!({"data": {"event_type": kind, "payload": [1], "id": 5}});
        assert_eq!(outcome(body), Event::ignored(reason), "{kind}");
    }
    assert_eq!(outcome(event(&json!({"direction": "outbound"}))), Event::ignored(Ignored::Outbound));
    assert_eq!(outcome(event(&json!({"type": "WHATSAPP"}))), Event::ignored(Ignored::Channel));
}

#[test]
fn one_bad_character_costs_no_message() {
    let whole = event(&json!({"text": "See you at 6 HERE"})).to_string();
    let bytes = |with: &[u8]| {
        let at = whole.find("HERE").unwrap();
        [&whole.as_bytes()[..at], with, &whole.as_bytes()[at + 4..]].concat()
    };
    for with in [&br"\ud83d"[..], br"\ude00", br"\uffff", br"\ufffe", br"\u0001", b"\xff"] {
        assert_eq!(receive_one(&post(bytes(with)), &candidates()).text, "See you at 6 \u{fffd}");
    }
    assert_eq!(receive_one(&post(bytes(br"\ud83d\ude00")), &candidates()).text, "See you at 6 😀");
}

#[test]
fn what_cant_be_shown_is_told() {
    for (changes, expected) in [
        (json!({"text": 5}), "[unsupported message]"),
        (json!({"text": ["a"]}), "[unsupported message] a"),
        (json!({"text": "Hello", "media": {}}), "Hello\n[unsupported message]"),
        (json!({"text": "Hello", "media": ["a"]}), "Hello\n[unsupported message]"),
        (json!({"text": "", "media": [{"url": 1}]}), "[unsupported message]"),
    ] {
        assert_eq!(parsed(changes.clone()).text, expected, "{changes}");
    }
}

#[test]
fn rcs_has_bodies_of_its_own() {
    let rcs = |body: Value| {
        parsed(json!({"type": "RCS", "text": null, "media": null, "messaging_profile_id": "p-1", "body": body,
                      "to": [{"agent_id": "e4448a5c0670c2a9", "agent_name": "Acme"}]}))
    };
    let text = rcs(json!({"text": "Hello agent"}));
    assert_eq!((text.channel, text.to.as_str(), text.text.as_str()), (Channel::Rcs, "e4448a5c0670c2a9", "Hello agent"));
    assert_eq!(text.reply_from.as_deref(), Some("p-1"));
    let tap = rcs(json!({"suggestion_response": {"postback_data": "yes_1", "text": "Yes", "type": "REPLY"}}));
    assert_eq!((tap.text.as_str(), tap.button_payload.as_deref()), ("Yes", Some("yes_1")));
    let place = rcs(json!({"location": {"latitude": 41.8, "longitude": -87.6}})).location.unwrap();
    assert_eq!((place.latitude, place.longitude), (41.8, -87.6));
    let file = rcs(json!({"user_file": {"payload": {"file_uri": "https://rcs.example/1", "mime_type": "image/jpeg",
                                                   "file_name": "a.jpg", "file_size_bytes": 7}, "thumbnail": {}}}));
    assert_eq!(file.media[0].url.as_deref(), Some("https://rcs.example/1"));
    assert_eq!((file.media[0].name.as_deref(), file.media[0].size), (Some("a.jpg"), Some(7)));
    for (body, expected) in [
        (json!({"hologram": {"caption": "Look"}}), "[unsupported message] Look"),
        (json!({"location": {"latitude": 91}}), "[unsupported message]"),
        (json!({}), "[unsupported message]"),
        (json!(7), "[unsupported message]"),
    ] {
        assert_eq!(rcs(body).text, expected);
    }
}

#[test]
fn what_is_malformed_is_refused_after_it_is_proved() {
    let whole = event(&json!({})).to_string();
    let mut bodies: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", Vec::new()),
        ("cut short", whole[..whole.len() - 1].into()),
        ("two of them", [whole.as_bytes(), whole.as_bytes()].concat()),
        ("a list", format!("[{whole}]").into()),
        ("a text", br#""message.received""#.into()),
        ("no data", b"{}".into()),
        ("no type of event", br#"{"data":{"payload":{}}}"#.into()),
        ("a number for a type of event", br#"{"data":{"event_type":1}}"#.into()),
        ("no payload", br#"{"data":{"event_type":"message.received"}}"#.into()),
        ("a NUL between", whole.replace(',', ",\0").into()),
        ("a name twice", whole.replace(r#""text":"#, r#""text":"x","text":"#).into()),
        ("too deep", "[".repeat(10_000).into()),
        ("3 MB", vec![b' '; 3_000_000]),
    ];
    for changes in [
        json!({"id": null}),
        json!({"id": ""}),
        json!({"id": 5}),
        json!({"from": null}),
        json!({"from": "+13125550001"}),
        json!({"from": {}}),
        json!({"from": {"phone_number": " "}}),
        json!({"from": {"phone_number": 13_125_550_001_u64}}),
        json!({"to": null}),
        json!({"to": []}),
        json!({"to": "+17735550002"}),
        json!({"to": [{"phone_number": 1}]}),
        json!({"to": [{}]}),
        json!({"direction": 1}),
        json!({"type": 1}),
        json!({"id": "\0"}),
    ] {
        bodies.push(("a field", event(&changes).to_string().into()));
    }
    for (label, body) in bodies {
        let shown = String::from_utf8_lossy(&body[..body.len().min(900)]).into_owned();
        assert_refused(&format!("{label} {shown}"), receive(&post(body), &candidates()), Kind::Validation);
    }
}

#[test]
fn odd_headers_are_refused() {
    let body = event(&json!({})).to_string();
    let now = NOW.to_string();
    let right = sign(1, &now, body.as_bytes());
    let bytes = STANDARD.decode(&right).unwrap();
    let hex = hex::encode(&bytes);
    let short = STANDARD.encode(&bytes[..63]);
    let long = STANDARD.encode([bytes.as_slice(), &[0]].concat());
    let joined = format!("{right},{right}");
    let trailing = right.replace("==", "=");
    let url_safe = right.replace('+', "-").replace('/', "_");
    let loose = {
        // The last letter before the padding holds 4 bits that say nothing: an exact decoder wants them 0.
        let last = right.as_bytes()[85];
        right.replace(&format!("{}==", char::from(last)), &format!("{}==", char::from(last + 1)))
    };
    let zeros = STANDARD.encode([0; 64]);
    // S + L is the same number to who does not look: RFC 8032, 5.1.7.
    let malleable = {
        let order = hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap();
        let mut bytes = bytes.clone();
        let mut carry = 0;
        for (byte, add) in bytes[32..].iter_mut().zip(order) {
            let sum = u16::from(*byte) + u16::from(add) + carry;
            (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
        }
        STANDARD.encode(&bytes)
    };
    let now = now.as_str();
    let right = right.as_str();
    let (malformed, mismatch, missing) = (Rejection::Malformed, Rejection::Mismatch, Rejection::Missing);
    for (label, signatures, timestamps, rejection) in [
        ("no signature", vec![], vec![now], missing),
        ("no timestamp", vec![right], vec![], missing),
        ("neither", vec![], vec![], missing),
        ("blank signature", vec![" "], vec![now], missing),
        ("blank timestamp", vec![right], vec![""], missing),
        ("two signatures", vec![right, right], vec![now], malformed),
        ("two timestamps", vec![right], vec![now, now], malformed),
        ("joined by a comma", vec![&joined], vec![now], malformed),
        ("one sign of padding", vec![&trailing], vec![now], malformed),
        ("bits that say nothing", vec![&loose], vec![now], malformed),
        ("hex", vec![&hex], vec![now], malformed),
        ("63 bytes", vec![&short], vec![now], malformed),
        ("65 bytes", vec![&long], vec![now], malformed),
        ("zeros", vec![&zeros], vec![now], mismatch),
        ("S beyond the order", vec![&malleable], vec![now], mismatch),
        ("not ASCII", vec!["é"], vec![now], malformed),
        ("timestamp with a sign", vec![right], vec!["+1790000000"], malformed),
        ("negative timestamp", vec![right], vec!["-1790000000"], malformed),
        ("decimals", vec![right], vec!["1790000000.0"], malformed),
        ("hex digits", vec![right], vec!["0x6ab1"], malformed),
        ("other digits", vec![right], vec!["١٧٩٠٠٠٠٠٠٠"], malformed),
        ("too long", vec![right], vec!["1790000000000"], malformed),
        ("far too long", vec![right], vec!["99999999999999999999999999"], malformed),
        ("a line with it", vec![right], vec!["1790000000|x"], malformed),
        ("another second", vec![right], vec!["1790000001"], mismatch),
        ("the same second written longer", vec![right], vec!["01790000000"], mismatch),
    ] {
        let mut headers = vec![JSON];
        headers.extend(signatures.into_iter().map(|signature| (SIGNATURE, signature)));
        headers.extend(timestamps.into_iter().map(|timestamp| (TIMESTAMP, timestamp)));
        let request = webhook(Method::POST, URL, &headers, body.clone());
        let error = request.verify(&candidates()).expect_err(label);
        assert_eq!(Rejection::of(&error), Some(rejection), "{label}");
        assert_refused(label, receive(&request, &candidates()), Kind::Unverified);
    }
    if url_safe != right {
        let request = webhook(Method::POST, URL, &[JSON, (SIGNATURE, &url_safe), (TIMESTAMP, now)], body.clone());
        assert_refused("another alphabet", receive(&request, &candidates()), Kind::Unverified);
    }
}

#[test]
fn other_bodies_and_signers_are_refused() {
    let body = event(&json!({})).to_string();
    let right = post(body.clone());
    for (label, other) in [
        ("another text", body.replace("Hello", "Hallo")),
        ("a blank more", body.clone() + " "),
        ("the same, encoded anew", serde_json::to_string_pretty(&event(&json!({}))).unwrap()),
        ("nothing", String::new()),
        ("the timestamp's border moved", format!("|{body}")),
    ] {
        let mut request = right.clone();
        request.body = other.into();
        assert_refused(label, receive(&request, &candidates()), Kind::Unverified);
    }
    for (label, key, signed) in [
        ("another key", 2, format!("{NOW}|{body}")),
        ("no timestamp in it", 1, body.clone()),
        ("another separator", 1, format!("{NOW}.{body}")),
        ("the parts turned round", 1, format!("{body}|{NOW}")),
        ("the digest of it", 1, hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, body.as_bytes()))),
    ] {
        let signature = STANDARD.encode(key_pair(key).sign(signed.as_bytes()));
        let headers = [JSON, (SIGNATURE, signature.as_str()), (TIMESTAMP, &NOW.to_string())];
        let request = webhook(Method::POST, URL, &headers, body.clone());
        assert_refused(label, receive(&request, &candidates()), Kind::Unverified);
    }
    assert_refused("no account", receive(&right, &[]), Kind::Unverified);
    let mut put = right;
    put.method = Method::PUT;
    assert_refused("another method", receive(&put, &candidates()), Kind::MethodNotAllowed);
}

#[test]
fn the_signature_has_an_age() {
    let body = event(&json!({})).to_string();
    for (label, age, max_age, accepted) in [
        ("now", 0, None, true),
        ("the last second", 300, None, true),
        ("too old", 301, None, false),
        ("of the future", -300, None, true),
        ("too far in the future", -301, None, false),
        ("at the beginning of time", NOW, None, false),
        ("log only", 301, Some(0), true),
        ("log only, all the same", NOW, Some(0), true),
        ("the account's own", 11, Some(10), false),
        ("within the account's own", 3600, Some(3600), true),
    ] {
        let mut account = json!({"provider": "telnyx", "public_keys": [public_key(1)]});
        if let Some(max_age) = max_age {
            account["max_age_seconds"] = json!(max_age);
        }
        let request = post_at(&(NOW - age).to_string(), body.clone());
        let candidates = accounts(json!([account]));
        let verified = request.verify(&candidates);
        assert_eq!(verified.is_ok(), accepted, "{label}");
        match verified {
            Ok(verified) => assert_eq!(verified.age_seconds(), Some(age), "{label}"),
            Err(error) => assert_eq!(Rejection::of(&error), Some(Rejection::Stale), "{label}"),
        }
    }
}

#[test]
fn any_key_of_a_rotation_signs() {
    let read = |keys: Value| {
        let document = json!({"accounts": [{"provider": "telnyx", "public_keys": keys}]}).to_string();
        Settings::from_json(document.as_bytes())
    };
    let request = post(event(&json!({})).to_string());
    let rotating = read(json!([public_key(2), "no key", public_key(1), "AAAA"])).unwrap();
    assert_eq!(rotating.warnings().len(), 2, "{:?}", rotating.warnings());
    receive_one(&request, &rotating.accounts);

    let rotated = read(json!([public_key(2)])).unwrap();
    let error = request.verify(&rotated.accounts).unwrap_err();
    assert!(Rejection::of(&error).unwrap().may_be_rotation());
    assert_refused("rotated", receive(&request, &rotated.accounts), Kind::Unverified);

    for keys in
        [json!(["no key"]), json!([]), json!(null), json!("key"), json!([""]), json!([STANDARD.encode([0; 32])])]
    {
        let label = keys.to_string();
        assert_eq!(read(keys).expect_err(&label).kind(), Kind::SettingsUnavailable);
    }
}

#[test]
fn keys_that_anyone_can_sign_with_are_none() {
    assert!(read_public_key(&public_key(1)).is_some());
    assert!(read_public_key(&format!(" {} ", public_key(1))).is_some());
    let zeros = "0".repeat(60);
    let ones = "f".repeat(60);
    for key in [
        format!("00{zeros}00"),
        format!("00{zeros}80"),
        format!("01{zeros}00"),
        format!("01{zeros}80"),
        format!("ec{ones}7f"),
        format!("ed{ones}7f"),
        format!("ee{ones}ff"),
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05".to_owned(),
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a".to_owned(),
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa".to_owned(),
    ] {
        assert_eq!(read_public_key(&STANDARD.encode(hex::decode(&key).unwrap())), None, "{key}");
    }
    for text in ["", "AAAA", &hex::encode([1; 32]), &STANDARD.encode([1; 31]), &STANDARD.encode([1; 33])] {
        assert_eq!(read_public_key(text), None, "{text}");
    }
}

#[test]
fn accounts_are_chosen_by_key_and_then_by_number() {
    let account = |name: &str, key: u8, numbers: &[&str]| {
        let numbers: serde_json::Map<_, _> = numbers.iter().map(|number| ((*number).to_owned(), json!({}))).collect();
        json!({"name": name, "provider": "telnyx", "public_keys": [public_key(key)], "numbers": numbers})
    };
    let ours = "+17735550002";
    for (label, document, expected) in [
        ("the key alone", json!([account("a", 2, &[]), account("b", 1, &[])]), "b"),
        ("the number is no proof", json!([account("a", 2, &[ours]), account("b", 1, &["+19"])]), "b"),
        ("the first of equals", json!([account("a", 1, &[]), account("b", 1, &[])]), "a"),
        ("the number", json!([account("a", 1, &[]), account("b", 1, &[ours])]), "b"),
        ("none before another's", json!([account("a", 1, &["+19"]), account("b", 1, &[])]), "b"),
    ] {
        let request = post(event(&json!({})).to_string());
        let candidates = accounts(document);
        assert_eq!(account_name(&request, &candidates), expected, "{label}");
    }
    // What can't be read is still proved, and still refused.
    let pair = accounts(json!([account("a", 1, &[]), account("b", 1, &[])]));
    assert_refused("unreadable", receive(&post("{}"), &pair), Kind::Validation);
    // Another provider's secret of the same text proves nothing.
    let other = accounts(json!([{"provider": "twilio", "auth_tokens": [public_key(1)]}]));
    assert_refused("twilio", receive(&post(event(&json!({})).to_string()), &other), Kind::Unverified);
}

proptest! {
    #[test]
    fn anything_may_arrive(
        body in prop::collection::vec(any::<u8>(), 0..300),
        signature in "[ -~]{0,100}",
        timestamp in "[ -~]{0,20}",
        get in any::<bool>(),
    ) {
        let method = if get { Method::GET } else { Method::POST };
        let request = webhook(method, URL, &[JSON, (SIGNATURE, &signature), (TIMESTAMP, &timestamp)], body);
        prop_assert!(receive(&request, &candidates()).is_err());
    }

    #[test]
    fn anything_may_be_signed(body in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(receive(&post(body), &candidates()).unwrap_err().kind(), Kind::Validation);
    }

    #[test]
    fn what_is_accepted_reaches_the_agent(
        kind in "SMS|MMS|RCS|[A-Z]{1,6}",
        text in any_content(),
        body in any_content(),
        media in any_content(),
    ) {
        let whole = event(&json!({"type": kind, "text": text, "body": body, "media": media})).to_string();
        let events = receive(&post(whole), &candidates()).unwrap();
        let is_nothing = |value: &Value| value.is_null() || *value == json!([]);
        if !is_nothing(if kind == "RCS" { &body } else { &text }) {
            assert_tells_the_agent(&events);
        }
    }

    #[test]
    fn any_value_may_stand_in_a_field(
        name in prop::sample::select(vec!["id", "direction", "type", "from", "to", "cc", "text", "media", "encoding",
                                          "parts", "received_at", "autoresponse_type"]),
        value in prop::sample::select(vec![
            json!(true), json!(-1), json!(1e300), json!(""), json!("\0"), json!([]), json!([[]]), json!({}),
            json!([{}]), json!([null]), json!({"phone_number": []}), json!([{"url": {}}]), json!("x".repeat(10_000)),
        ]),
    ) {
        match receive(&post(event(&json!({name: value})).to_string()), &candidates()) {
            Ok(_) => {}
            Err(error) => prop_assert_eq!(error.kind(), Kind::Validation),
        }
    }

    #[test]
    fn no_bit_may_change(place in any::<prop::sample::Index>(), bit in 0..8_u8, part in 0..3) {
        let request = post(event(&json!({"text": "Grüße"})).to_string());
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
    json!({"provider": "telnyx", "public_keys": [public_key(1)], "api_key": "KEY1"})
}

#[test]
fn a_text_is_json_with_an_idempotency_key() {
    for (channel, from) in [(Channel::Sms, TEXT.from), (Channel::Mms, TEXT.from), (Channel::Sms, "12345")] {
        let (url, content_type, headers, body) = send_request(sender(), &Outbound { channel, from, ..TEXT }).unwrap();
        assert_eq!((url.as_str(), content_type.as_str()), ("https://api.telnyx.com/v2/messages", "application/json"));
        let key = TEXT.key.to_owned();
        assert_eq!(
            headers,
            [("authorization".to_owned(), "Bearer KEY1".to_owned()), ("idempotency-key".to_owned(), key)]
        );
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body, json!({"from": from, "to": "+14133881111", "text": "Hello & bye", "type": "SMS"}));
    }
    assert!(accounts(json!([sender()]))[0].provider().facts().supports_idempotency);
}

#[test]
fn an_rcs_agent_sends_by_its_profile() {
    let text = Outbound { channel: Channel::Rcs, from: "e4448a5c0670c2a9", from_id: Some("p-1"), ..TEXT };
    let (url, _, _, body) = send_request(sender(), &text).unwrap();
    assert_eq!(url, "https://api.telnyx.com/v2/messages/rcs");
    assert_eq!(
        serde_json::from_str::<Value>(&body).unwrap(),
        json!({"agent_id": "e4448a5c0670c2a9", "to": "+14133881111", "messaging_profile_id": "p-1",
               "agent_message": {"content_message": {"text": "Hello & bye"}}})
    );
    let unknown = Outbound { from_id: None, ..text };
    assert_cannot_send(sender(), &unknown, "the agent's messaging profile is not known");
}

#[test]
fn an_account_that_only_receives_does_not_send() {
    assert_cannot_send(json!({"provider": "telnyx", "public_keys": [public_key(1)]}), &TEXT, "api_key is missing");
}

#[test]
fn answers_are_understood() {
    let error = |code: &str| format!(r#"{{"errors":[{{"code":"{code}","title":"…","detail":"…"}}]}}"#);
    assert_answers(
        sender(),
        &[
            (200, r#"{"data":{"id":"84cca175","to":[{"status":"queued"}],"parts":1}}"#, None),
            (403, &error("40300"), Some(Reason::OptedOut)),
            (422, &error("40310"), Some(Reason::Refused)),
            (400, &error("40302"), Some(Reason::Refused)),
            (401, &error("10009"), Some(Reason::Misconfigured)),
            (422, &error("40305"), Some(Reason::Misconfigured)),
            (400, &error("20100"), Some(Reason::Misconfigured)),
            (400, &error("40312"), Some(Reason::Misconfigured)),
            (429, &error("10011"), Some(Reason::Throttled)),
            (400, &error("40318"), Some(Reason::Throttled)),
            (408, &error("10008"), Some(Reason::Unknown)),
            (409, "", Some(Reason::Unknown)),
            (500, &error("10007"), Some(Reason::Unavailable)),
            (503, "", Some(Reason::Unavailable)),
            (502, "", Some(Reason::Unknown)),
            (400, r#"{"errors":[]}"#, Some(Reason::Refused)),
        ],
    );
}
