use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Method;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    error::Kind,
    settings::{Account, Settings},
    sms::{
        contract::Answer,
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
        assert_tells_the_agent, receive, receive_one, reported, run_vectors, send_request, webhook,
    },
};

const URL: &str = "https://sms.example.com/sms/infobip";
const JSON: (&str, &str) = ("content-type", "application/json");

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn account() -> Value {
    json!({"provider": "infobip", "username": "ib-user", "passwords": ["ib-pass"]})
}

fn candidates() -> Vec<Arc<Account>> {
    accounts(json!([account()]))
}

fn post(body: impl Into<Vec<u8>>) -> Webhook {
    webhook(Method::POST, URL, &[JSON, ("authorization", &basic("ib-user", "ib-pass"))], body.into())
}

/// A whole message; each change is a field, where null takes it away.
fn item(changes: &Value) -> Value {
    let mut item = json!({
        "messageId": "817790313235066447", "from": "385916242493", "to": "385921004026", "text": "Hello agent",
        "cleanText": "agent", "keyword": "HELLO", "receivedAt": "2026-09-21T14:13:18.000+0000", "smsCount": 1,
        "price": {"pricePerMessage": 0, "currency": "EUR"}, "callbackData": "cb"
    });
    let fields = item.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            fields.remove(name);
        } else {
            fields.insert(name.clone(), value.clone());
        }
    }
    item
}

fn batch(items: &[Value]) -> String {
    json!({"results": items, "messageCount": items.len(), "pendingMessageCount": 0}).to_string()
}

#[expect(clippy::needless_pass_by_value, reason = "tests write `parsed(json!(…))`")]
fn parsed(changes: Value) -> Message {
    receive_one(&post(batch(&[item(&changes)])), &candidates())
}

fn events(items: &[Value]) -> Vec<Event> {
    receive(&post(batch(items)), &candidates()).unwrap()
}

#[test]
fn the_vectors_hold() {
    run_vectors(include_str!("vectors/infobip.json"));
}

#[test]
fn the_whole_message_is_read() {
    let message = parsed(json!({"text": "Bok 👋 č", "smsCount": 3}));
    assert_eq!(
        serde_json::to_value(&message).unwrap(),
        json!({"provider": "infobip", "channel": "sms", "message_id": "817790313235066447", "from": "+385916242493",
               "to": "+385921004026", "text": "Bok 👋 č", "media": [], "received_at": "2026-09-21T14:13:18.000Z",
               "segments": 3, "keyword": "HELLO"})
    );
}

#[test]
fn credentials_are_compared_whole() {
    let encode = |text: &str| STANDARD.encode(text);
    let (malformed, mismatch, missing) = (Rejection::Malformed, Rejection::Mismatch, Rejection::Missing);
    for (label, headers, rejection) in [
        ("right", vec![basic("ib-user", "ib-pass")], None),
        ("the scheme in capitals", vec![format!("BASIC {}", encode("ib-user:ib-pass"))], None),
        ("blanks between", vec![format!("Basic   {}", encode("ib-user:ib-pass"))], None),
        ("the other password", vec![basic("ib-user", "pässwörd: x")], None),
        ("none", vec![], Some(missing)),
        ("blank", vec![" ".to_owned()], Some(missing)),
        ("two", vec![basic("ib-user", "ib-pass"), basic("ib-user", "ib-pass")], Some(malformed)),
        ("another password", vec![basic("ib-user", "ib-pasS")], Some(mismatch)),
        ("another name", vec![basic("ib-use", "ib-pass")], Some(mismatch)),
        ("the border moved", vec![basic("ib-user:ib", "pass")], Some(mismatch)),
        ("no password", vec![basic("ib-user", "")], Some(mismatch)),
        ("no name", vec![basic("", "ib-pass")], Some(mismatch)),
        ("more of it", vec![basic("ib-user", "ib-pass ")], Some(mismatch)),
        ("a NUL more", vec![basic("ib-user", "ib-pass\0")], Some(mismatch)),
        ("no colon", vec![format!("Basic {}", encode("ib-user"))], Some(malformed)),
        ("no base64", vec!["Basic ib-user:ib-pass".to_owned()], Some(malformed)),
        (
            "base64 without padding",
            vec![format!("Basic {}", encode("ib-user:ib-pas").trim_end_matches('='))],
            Some(malformed),
        ),
        ("another scheme", vec![format!("Bearer {}", encode("ib-user:ib-pass"))], Some(malformed)),
        ("the API key", vec!["App key".to_owned()], Some(malformed)),
        ("no scheme", vec![encode("ib-user:ib-pass")], Some(malformed)),
    ] {
        let candidates = accounts(json!([{"provider": "infobip", "username": "ib-user",
                                          "passwords": ["pässwörd: x", "ib-pass"]}]));
        let mut all = vec![JSON];
        all.extend(headers.iter().map(|value| ("authorization", value.as_str())));
        let request = webhook(Method::POST, URL, &all, batch(&[item(&json!({}))]));
        match (request.verify(&candidates), rejection) {
            (Ok(_), None) => {}
            (Err(error), Some(rejection)) => {
                assert_eq!(Rejection::of(&error), Some(rejection), "{label}");
                assert_refused(label, receive(&request, &candidates), Kind::Unverified);
            }
            (verified, _) => panic!("{label}: {verified:?}"),
        }
    }
}

#[test]
fn settings_need_a_name_and_a_password() {
    let read = |account: Value| Settings::from_json(json!({"accounts": [account]}).to_string().as_bytes());
    for (label, account, works) in [
        ("both", account(), true),
        ("no name", json!({"provider": "infobip", "passwords": ["p"]}), false),
        ("no password", json!({"provider": "infobip", "username": "u"}), false),
        ("an empty list", json!({"provider": "infobip", "username": "u", "passwords": []}), false),
        ("an empty password", json!({"provider": "infobip", "username": "u", "passwords": [""]}), false),
        ("a colon in the name", json!({"provider": "infobip", "username": "u:v", "passwords": ["p"]}), false),
        (
            "a host",
            json!({"provider": "infobip", "username": "u", "passwords": ["p"], "base_url": "x.api.infobip.com"}),
            true,
        ),
        (
            "http",
            json!({"provider": "infobip", "username": "u", "passwords": ["p"], "base_url": "http://x.example"}),
            false,
        ),
        ("no URL", json!({"provider": "infobip", "username": "u", "passwords": ["p"], "base_url": "a b"}), false),
    ] {
        assert_eq!(read(account).is_ok(), works, "{label}");
    }
    // An empty name is none: nobody can show it.
    let nameless = read(json!({"provider": "infobip", "username": "", "passwords": ["p"]})).unwrap();
    let request = webhook(Method::POST, URL, &[JSON, ("authorization", &basic("", "p"))], batch(&[]));
    assert_refused("an empty name", receive(&request, &nameless.accounts), Kind::Unverified);
}

#[test]
fn ids_are_kept_digit_for_digit() {
    for (written, id) in [
        (r#""817790313235066447""#, "817790313235066447"),
        ("817790313235066447", "817790313235066447"),
        ("9007199254740993", "9007199254740993"),
        ("18446744073709551616", "18446744073709551616"),
        ("123456789012345678901234567890123456789", "123456789012345678901234567890123456789"),
        ("0", "0"),
        (r#"" 12ab ""#, "12ab"),
        (r#""\u0031\u0032""#, "12"),
    ] {
        let body = batch(&[item(&json!({}))]).replace(r#""817790313235066447""#, written);
        assert_eq!(receive_one(&post(body), &candidates()).message_id, id, "{written}");
    }
    for written in ["1.5", "8e17", "-1", "true", "[1]", "{}", r#""""#, r#"" ""#, "null"] {
        let body = batch(&[item(&json!({}))]).replace(r#""817790313235066447""#, written);
        assert_refused(written, receive(&post(body), &candidates()), Kind::Validation);
    }
    // Two ids that one double would hold.
    let pair = batch(&[item(&json!({"messageId": 1})), item(&json!({"messageId": 2}))])
        .replace(r#""messageId":1"#, r#""messageId":9007199254740992"#)
        .replace(r#""messageId":2"#, r#""messageId":9007199254740993"#);
    let ids: Vec<_> = receive(&post(pair), &candidates())
        .unwrap()
        .iter()
        .filter_map(Event::message)
        .map(|message| message.message_id.clone())
        .collect();
    assert_eq!(ids, ["9007199254740992", "9007199254740993"]);
}

#[test]
fn addresses_may_be_numbers_names_and_short_codes() {
    for (from, expected, kind) in [
        (json!("385916242493"), "+385916242493", None),
        (json!(385_916_242_493_u64), "+385916242493", None),
        (json!("+385916242493"), "+385916242493", None),
        (json!(" 385916242493 "), "+385916242493", None),
        (json!("60123"), "60123", Some(FromKind::Shortcode)),
        (json!("ACME"), "ACME", Some(FromKind::Alpha)),
    ] {
        let message = parsed(json!({"from": from}));
        assert_eq!((message.from.as_str(), message.from_kind), (expected, kind));
    }
    assert_eq!(parsed(json!({"to": 60_123})).to, "60123");
}

#[test]
fn times_have_an_offset_without_a_colon() {
    for (time, expected) in [
        (json!("2026-09-21T14:13:18.000+0000"), Some("2026-09-21T14:13:18.000Z")),
        (json!("2026-09-21T16:13:18.574+0200"), Some("2026-09-21T14:13:18.574Z")),
        (json!("2026-09-21T08:43:18.5-0530"), Some("2026-09-21T14:13:18.500Z")),
        (json!("2026-09-21T14:13:18+0000"), Some("2026-09-21T14:13:18.000Z")),
        (json!("2026-09-21T14:13:18.000+00:00"), Some("2026-09-21T14:13:18.000Z")),
        (json!("2026-09-21T14:13:18Z"), Some("2026-09-21T14:13:18.000Z")),
        (json!("2026-09-21T14:13:18.000"), None),
        (json!("2026-09-31T14:13:18.000+0000"), None),
        (json!("yesterday"), None),
        (json!(""), None),
        (json!(1_790_000_000), None),
        (Value::Null, None),
    ] {
        let label = time.to_string();
        assert_eq!(parsed(json!({"receivedAt": time})).received_at.as_deref(), expected, "{label}");
    }
}

#[test]
fn the_parts_of_an_mms_are_read_in_their_order() {
    let segments = json!([
        {"contentType": "application/smil", "value": "<smil/>"},
        {"contentType": "text/plain", "value": "Look"},
        {"contentType": "image/jpeg", "url": "https://m.example/1.jpg"},
        {"contentType": "Text/Plain; charset=utf-8", "value": "here"},
        {"contentType": "video/mp4", "url": "https://m.example/2.mp4"},
        {"contentType": "text/plain", "value": ""},
        {"url": "https://m.example/3"}
    ]);
    let message = parsed(json!({"message": segments, "text": null, "keyword": null}));
    assert_eq!((message.channel, message.text.as_str()), (Channel::Mms, "Look\nhere"));
    assert_eq!(
        serde_json::to_value(&message.media).unwrap(),
        json!([{"url": "https://m.example/1.jpg", "content_type": "image/jpeg"},
               {"url": "https://m.example/2.mp4", "content_type": "video/mp4"}, {"url": "https://m.example/3"}])
    );
    for (label, segments, text) in [
        ("none", json!([]), ""),
        ("a picture in the message itself", json!([{"contentType": "image/png", "value": "iVBOR"}]), UNSUPPORTED),
        ("no object", json!([{"contentType": "text/plain", "value": "a"}, 7]), "a\n[unsupported message]"),
        ("nothing in it", json!([{}]), UNSUPPORTED),
        ("a type beyond ASCII", json!([{"contentType": "tëxt/plain", "value": "a"}]), UNSUPPORTED),
        ("no type", json!([{"value": "a"}]), "a"),
    ] {
        let message = parsed(json!({"message": segments, "text": null}));
        assert_eq!((message.text.as_str(), message.media.len()), (text, 0), "{label}");
    }
}

#[test]
fn a_text_of_another_form_reaches_the_agent_all_the_same() {
    for (text, expected) in [
        (json!("  Hello \n"), "  Hello \n"),
        (json!(""), ""),
        (json!(42), "42"),
        (json!(1.50), "1.5"),
        (json!(["a"]), "[unsupported message] a"),
        (json!({"a": 1}), UNSUPPORTED),
        (json!(true), UNSUPPORTED),
        (Value::Null, ""),
        (json!("a\0b"), "ab"),
    ] {
        let label = text.to_string();
        assert_eq!(parsed(json!({"text": text})).text, expected, "{label}");
    }
    let odd = parsed(json!({"smsCount": "2", "keyword": 5, "price": [], "message": "?", "entityId": {}}));
    assert_eq!((odd.segments, odd.keyword, odd.text.as_str()), (None, None, "Hello agent"));
    assert_eq!(parsed(json!({"keyword": " "})).keyword, None);
    assert_eq!(parsed(json!({"smsCount": 5_000_000_000_u64})).segments, None);
    assert_eq!(parsed(json!({"text": " stop "})).opt_out, Some(OptOut::Stop));
}

#[test]
fn one_bad_item_does_not_fail_the_others() {
    let good = |id: &str| item(&json!({"messageId": id}));
    let malformed = Event::ignored(Ignored::Malformed);
    let ids = |items: &[Value]| -> Vec<String> {
        let events = events(items);
        assert_eq!(events.len(), items.len());
        let id = |event: &Event| event.message().map_or_else(String::new, |message| message.message_id.clone());
        events.iter().map(id).collect()
    };
    for (label, bad) in [
        ("no id", item(&json!({"messageId": null}))),
        ("no sender", item(&json!({"from": null}))),
        ("no receiver", item(&json!({"to": ""}))),
        ("a list for a number", item(&json!({"to": ["1"]}))),
        ("no object", json!(7)),
        ("null", Value::Null),
        ("a list", json!([])),
        ("nothing in it", json!({})),
    ] {
        assert_eq!(ids(&[good("1"), bad.clone(), good("3")]), ["1", "", "3"], "{label}");
        assert_eq!(ids(&[bad.clone(), good("2")]), ["", "2"], "{label}");
        assert_eq!(events(&[good("1"), bad.clone()])[1], malformed, "{label}");
        assert_refused(label, receive(&post(batch(std::slice::from_ref(&bad))), &candidates()), Kind::Validation);
        assert_refused(label, receive(&post(batch(&[bad.clone(), bad])), &candidates()), Kind::Validation);
    }
    // A field that is there twice is another's mistake, too.
    let twice = batch(&[good("1"), good("2")]).replacen(r#""text":"#, r#""text":"x","text":"#, 1);
    let outcome = receive(&post(twice), &candidates()).unwrap();
    assert_eq!((&outcome[0], outcome[1].message().unwrap().message_id.as_str()), (&malformed, "2"));
    // A hundred arrive in their order.
    let many: Vec<_> = (0..100).map(|n| good(&n.to_string())).collect();
    assert_eq!(ids(&many), (0..100).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(events(&[]), []);
}

#[test]
fn what_is_no_sms_is_ignored() {
    let report = json!({"messageId": "1", "to": "385916242493", "sentAt": "2026-09-21T14:13:18.000+0000",
                        "status": {"groupId": 3, "groupName": "DELIVERED", "id": 5, "name": "DELIVERED_TO_HANDSET"},
                        "error": {"groupId": 0, "id": 0, "name": "NO_ERROR", "permanent": false}});
    assert_eq!(reported(&events(std::slice::from_ref(&report))), ["1 delivered - -"]);
    assert_eq!(events(&[json!({"status": {}})]), [Event::ignored(Ignored::Status)]);
    assert_eq!(events(&[report, item(&json!({}))])[1].message().unwrap().text, "Hello agent");
    let whatsapp = json!({"from": "385916242493", "to": "385921004026", "integrationType": "WHATSAPP", "messageId": "1",
                          "message": {"type": "TEXT", "text": "Hello"}, "contact": {"name": "Zoë"}});
    assert_eq!(events(std::slice::from_ref(&whatsapp)), [Event::ignored(Ignored::Channel)]);
    assert_eq!(events(&[item(&json!({"integrationType": "VIBER"}))]), [Event::ignored(Ignored::Channel)]);
    assert_eq!(parsed(json!({"integrationType": "SMS"})).text, "Hello agent");
}

#[test]
fn what_is_malformed_is_refused_after_it_is_proved() {
    let whole = batch(&[item(&json!({}))]);
    for (label, body) in [
        ("nothing", String::new()),
        ("cut short", whole.replace("\"results\":[", "\"results\":")),
        ("two of them", whole.clone() + &whole),
        ("a list", format!("[{whole}]")),
        ("no results", r#"{"messageCount":1}"#.to_owned()),
        ("an object for results", r#"{"results":{}}"#.to_owned()),
        ("null", r#"{"results":null}"#.to_owned()),
        ("too deep", "[".repeat(10_000)),
        ("3 MB", " ".repeat(3_000_000)),
    ] {
        assert_refused(label, receive(&post(body), &candidates()), Kind::Validation);
    }
    let mut put = post(whole);
    put.method = Method::PUT;
    assert_refused("another method", receive(&put, &candidates()), Kind::MethodNotAllowed);
}

#[test]
fn accounts_are_chosen_by_credentials_and_then_by_number() {
    let account = |name: &str, password: &str, number: &str| json!({"name": name, "provider": "infobip", "username": "ib-user", "passwords": [password], "numbers": {number: {}}});
    for (label, document, expected) in [
        ("the password alone", json!([account("a", "other", "+385921004026"), account("b", "ib-pass", "+1")]), "b"),
        ("the number", json!([account("a", "ib-pass", "+1"), account("b", "ib-pass", "385921004026")]), "b"),
        ("the first of equals", json!([account("a", "ib-pass", "+1"), account("b", "ib-pass", "+2")]), "a"),
    ] {
        assert_eq!(account_name(&post(batch(&[item(&json!({}))])), &accounts(document)), expected, "{label}");
    }
    let rotated = post(batch(&[])).verify(&accounts(json!([account("a", "new", "+1")]))).unwrap_err();
    assert!(Rejection::of(&rotated).unwrap().may_be_rotation());
    let answer = Answer::to(ProviderId::Infobip.facts(), &[]);
    assert_eq!((answer.status.as_u16(), answer.content_type), (200, "application/json"));
    assert!(ProviderId::Infobip.facts().challenge.unwrap().starts_with("Basic realm="));
    assert_eq!(NOW, post("").now);
}

proptest! {
    #[test]
    fn what_is_accepted_reaches_the_agent(
        field in "text|message",
        kind in "SMS|MMS|WHATSAPP|[A-Z]{1,6}",
        value in any_content(),
    ) {
        let is_nothing = value.is_null() || value == json!([]);
        let one = item(&json!({"text": null, "integrationType": kind, field.as_str(): value}));
        match receive(&post(batch(&[one])), &candidates()) {
            Ok(events) if !is_nothing && field == "text" => assert_tells_the_agent(&events),
            Ok(events) => assert!(!events.is_empty()),
            Err(error) => prop_assert_eq!(error.kind(), Kind::Validation),
        }
    }

    #[test]
    fn anything_may_arrive(body in prop::collection::vec(any::<u8>(), 0..300), authorization in "[ -~]{0,60}") {
        let request = webhook(Method::POST, URL, &[JSON, ("authorization", &authorization)], body.clone());
        prop_assert!(receive(&request, &candidates()).is_err());
        prop_assert_eq!(receive(&post(body), &candidates()).unwrap_err().kind(), Kind::Validation);
    }

    #[test]
    fn any_whole_number_is_an_id(digits in "[1-9][0-9]{0,60}") {
        let body = batch(&[item(&json!({}))]).replace(r#""817790313235066447""#, &digits);
        prop_assert_eq!(receive_one(&post(body), &candidates()).message_id, digits);
    }

    #[test]
    fn any_value_may_stand_in_a_field(
        name in prop::sample::select(vec!["messageId", "from", "to", "text", "message", "keyword", "receivedAt", "smsCount",
                                          "status", "integrationType", "price"]),
        value in prop::sample::select(vec![
            json!(true), json!(-1), json!(1e300), json!(""), json!("\0"), json!([]), json!([[]]), json!({}), json!([{}]),
            json!([null]), json!({"groupName": []}), json!([{"url": {}}]), json!("x".repeat(10_000)),
        ]),
    ) {
        let good = item(&json!({"messageId": "good"}));
        let both = events(&[item(&json!({name: value})), good]);
        prop_assert_eq!(both.len(), 2);
        prop_assert_eq!(&both[1].message().unwrap().message_id, "good");
    }
}

fn sender() -> Value {
    json!({"provider": "infobip", "username": "u", "passwords": ["p"], "base_url": "xyz.api.infobip.com", "api_key": "KEY1"})
}

#[test]
fn a_text_is_json_with_an_id_of_ours() {
    for (channel, from, sent_from) in [
        (Channel::Sms, TEXT.from, "12028831111"),
        (Channel::Mms, TEXT.from, "12028831111"),
        (Channel::Sms, "ACME", "ACME"),
    ] {
        let (url, content_type, headers, body) = send_request(sender(), &Outbound { channel, from, ..TEXT }).unwrap();
        assert_eq!(url, "https://xyz.api.infobip.com/sms/3/messages");
        assert_eq!(content_type, "application/json");
        assert_eq!(headers, [("authorization".to_owned(), "App KEY1".to_owned())]);
        assert_eq!(
            serde_json::from_str::<Value>(&body).unwrap(),
            json!({"messages": [{"sender": sent_from, "destinations": [{"to": "14133881111", "messageId": TEXT.key}],
                                 "content": {"text": "Hello & bye"}}]})
        );
    }
    assert!(TEXT.key.len() <= 200);
    for (base, url) in [
        (json!(null), "https://api.infobip.com/sms/3/messages"),
        (json!("https://xyz.api.infobip.com/"), "https://xyz.api.infobip.com/sms/3/messages"),
    ] {
        let mut account = sender();
        account["base_url"] = base;
        assert_eq!(send_request(account, &TEXT).unwrap().0, url);
    }
    assert_cannot_send(account(), &TEXT, "api_key is missing");
    assert_eq!(accounts(json!([sender()]))[0].credentials.limit(Channel::Sms), Limit::Segments(10));
    assert!(!ProviderId::Infobip.facts().supports_idempotency);
}

#[test]
fn answers_are_understood() {
    let status = |group: &str, name: &str| {
        format!(
            r#"{{"bulkId":"1","messages":[{{"messageId":"m1","status":{{"groupId":5,"groupName":"{group}","name":"{name}"}}}}]}}"#
        )
    };
    let error = |code: &str| format!(r#"{{"errorCode":"{code}","description":"…","violations":[]}}"#);
    let older =
        |code: &str| format!(r#"{{"requestError":{{"serviceException":{{"messageId":"{code}","text":"…"}}}}}}"#);
    assert_answers(
        sender(),
        &[
            (200, &status("PENDING", "PENDING_ACCEPTED"), None),
            (200, &status("DELIVERED", "DELIVERED_TO_OPERATOR"), None),
            (200, r#"{"messages":[{"messageId":"m1"}]}"#, None),
            (200, r#"{"messages":[{}]}"#, Some(Reason::Unknown)),
            (200, "{", Some(Reason::Unknown)),
            (200, "", Some(Reason::Unknown)),
            (200, &status("REJECTED", "REJECTED_DUPLICATE_MESSAGE_ID"), None),
            (200, &status("REJECTED", "REJECTED_NOT_ENOUGH_CREDITS"), Some(Reason::Misconfigured)),
            (200, &status("REJECTED", "REJECTED_SENDER"), Some(Reason::Misconfigured)),
            (200, &status("REJECTED", "REJECTED_DESTINATION"), Some(Reason::Refused)),
            (200, &status("REJECTED", "REJECTED_FLOODING_FILTER"), Some(Reason::Throttled)),
            (200, &status("REJECTED", "REJECTED_SYSTEM_ERROR"), Some(Reason::Unavailable)),
            (200, &status("UNDELIVERABLE", "UNDELIVERABLE_REJECTED_OPERATOR"), Some(Reason::Refused)),
            (200, &status("EXPIRED", "EXPIRED_UNKNOWN"), Some(Reason::Refused)),
            (200, r#"{"messages":[{"status":{"groupName":"REJECTED"}}]}"#, Some(Reason::Refused)),
            (400, &error("E400"), Some(Reason::Refused)),
            (401, &older("UNAUTHORIZED"), Some(Reason::Misconfigured)),
            (403, &error("E403"), Some(Reason::Misconfigured)),
            (429, &error("E429"), Some(Reason::Throttled)),
            (400, &older("TOO_MANY_REQUESTS"), Some(Reason::Throttled)),
            (500, &older("GENERAL_ERROR"), Some(Reason::Unavailable)),
            (502, "", Some(Reason::Unknown)),
        ],
    );
    let account = &accounts(json!([sender()]))[0];
    let read = |body: &str| account.credentials.read_answer(http::StatusCode::OK, body.as_bytes());
    assert_eq!(read(&status("PENDING", "PENDING_ACCEPTED")).unwrap().message_ids, ["m1"]);
    let refused = read(&status("REJECTED", "REJECTED_SENDER")).unwrap_err();
    assert_eq!(refused.code.as_deref(), Some("REJECTED_SENDER"));
}
