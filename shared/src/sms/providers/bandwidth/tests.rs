use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Method;
use proptest::prelude::*;
use serde_json::{Value, json};

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
        TEXT, account_name, accounts, any_content, assert_answers, assert_cannot_send, assert_refused,
        assert_tells_the_agent, receive, receive_one, run_vectors, send_request, warnings, webhook,
    },
};

const URL: &str = "https://sms.example.com/sms/bandwidth";
const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");

fn candidates() -> Vec<Arc<Account>> {
    accounts(json!([{"provider": "bandwidth", "username": "bw-user", "passwords": ["s3cret:with:colons", "previous"]}]))
}

fn authorized(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn post(body: impl Into<Vec<u8>>) -> Webhook {
    let credentials = authorized("bw-user", "s3cret:with:colons");
    webhook(Method::POST, URL, &[JSON, ("authorization", &credentials)], body.into())
}

/// A whole event; each change is a field of the message, where null takes it away.
fn event(changes: &Value) -> Value {
    let mut message = json!({
        "id": "14762070468292kw2fuqty55yp2b2", "owner": "+12345678902", "applicationId": "93de2206", "segmentCount": 1,
        "time": "2026-09-21T14:13:18Z", "direction": "in", "to": ["+12345678902"], "from": "+12345678901",
        "text": "Hello agent", "priority": "default", "tag": "", "carrierName": null
    });
    let fields = message.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            fields.remove(name);
        } else {
            fields.insert(name.clone(), value.clone());
        }
    }
    json!({"type": "message-received", "time": "2026-09-21T14:13:19.123Z", "description": "Incoming message received",
           "to": "+12345678902", "message": message})
}

#[expect(clippy::needless_pass_by_value, reason = "tests write `parsed(json!(…))`")]
fn parsed(changes: Value) -> Message {
    receive_one(&post(json!([event(&changes)]).to_string()), &candidates())
}

#[expect(clippy::needless_pass_by_value, reason = "tests write `events(json!(…))`")]
fn events(body: Value) -> Vec<Event> {
    receive(&post(body.to_string()), &candidates()).unwrap()
}

#[test]
fn the_vectors_hold() {
    run_vectors(include_str!("vectors/bandwidth.json"));
}

#[test]
fn credentials_are_compared_whole() {
    let (malformed, mismatch, missing) = (Rejection::Malformed, Rejection::Mismatch, Rejection::Missing);
    let right = authorized("bw-user", "s3cret:with:colons");
    let encoded = |text: &str| format!("Basic {}", STANDARD.encode(text));
    for (label, headers, outcome) in [
        ("the current password", vec![right.clone()], None),
        ("the previous password", vec![authorized("bw-user", "previous")], None),
        ("the scheme in another case", vec![right.replace("Basic", "bAsIc")], None),
        ("two spaces", vec![right.replace("Basic ", "Basic  ")], None),
        ("nothing", vec![], Some(missing)),
        ("blank", vec!["  ".to_owned()], Some(missing)),
        ("twice", vec![right.clone(), right.clone()], Some(malformed)),
        ("the scheme alone", vec!["Basic".to_owned()], Some(malformed)),
        ("another scheme", vec![right.replace("Basic", "Bearer")], Some(malformed)),
        ("no base64", vec!["Basic !!!".to_owned()], Some(malformed)),
        ("no colon", vec![encoded("bw-user")], Some(malformed)),
        ("another user", vec![authorized("bw-use", "s3cret:with:colons")], Some(mismatch)),
        ("the user in another case", vec![authorized("BW-user", "s3cret:with:colons")], Some(mismatch)),
        ("another password", vec![authorized("bw-user", "s3cret")], Some(mismatch)),
        ("an empty password", vec![authorized("bw-user", "")], Some(mismatch)),
        ("an empty user", vec![authorized("", "s3cret:with:colons")], Some(mismatch)),
        ("longer", vec![authorized("bw-user", "s3cret:with:colons ")], Some(mismatch)),
        ("swapped", vec![authorized("s3cret:with:colons", "bw-user")], Some(mismatch)),
    ] {
        let headers: Vec<_> = headers.iter().map(|value| ("authorization", value.as_str())).collect();
        let request = webhook(Method::POST, URL, &headers, json!([event(&json!({}))]).to_string());
        let accounts = candidates();
        assert_eq!(request.verify(&accounts).err().and_then(|error| Rejection::of(&error)), outcome, "{label}");
    }
}

#[test]
fn the_whole_message_is_read() {
    let message = parsed(json!({
        "text": "Grüße 👋🏽", "segmentCount": 2, "to": ["+12345678902", "+12345678903", "+12345678902"],
        "media": ["https://messaging.bandwidth.com/api/v2/users/9900000/media/0/0.smil",
                  "https://messaging.bandwidth.com/api/v2/users/9900000/media/0/image.jpg", "", 5]
    }));
    assert_eq!(
        serde_json::to_value(&message).unwrap(),
        json!({"provider": "bandwidth", "channel": "mms", "message_id": "14762070468292kw2fuqty55yp2b2",
               "from": "+12345678901", "to": "+12345678902", "text": "Grüße 👋🏽",
               "media": [{"url": "https://messaging.bandwidth.com/api/v2/users/9900000/media/0/image.jpg"}],
               "received_at": "2026-09-21T14:13:18Z", "segments": 2, "account": "93de2206",
               "to_all": ["+12345678902", "+12345678903"]})
    );
}

#[test]
fn our_number_is_the_owner() {
    let numbers = json!({"+12345678903": {}});
    let listing =
        accounts(json!([{"provider": "bandwidth", "username": "bw-user", "passwords": ["s3cret:with:colons"],
                                   "numbers": numbers}]));
    let group = json!({"owner": "+12345678904", "to": ["+12345678902", "+12345678903", "+12345678904"]});
    assert_eq!(parsed(group.clone()).to, "+12345678904");
    // Without it: the event's, else one that the settings list, else the first.
    let mut unowned = event(&json!({"owner": null, "to": ["+12345678902", "+12345678903"]}));
    assert_eq!(receive_one(&post(json!([unowned]).to_string()), &candidates()).to, "+12345678902");
    unowned.as_object_mut().unwrap().remove("to");
    assert_eq!(receive_one(&post(json!([unowned]).to_string()), &listing).to, "+12345678903");
    assert_eq!(receive_one(&post(json!([unowned]).to_string()), &candidates()).to, "+12345678902");
}

#[test]
fn channels_and_addresses_are_told_apart() {
    for (label, changes, channel) in [
        ("a text", json!({}), Channel::Sms),
        ("media", json!({"media": ["https://m.example/1.png"]}), Channel::Mms),
        ("a group", json!({"to": ["+1", "+2"]}), Channel::Mms),
        ("by name", json!({"channel": "MMS"}), Channel::Mms),
        ("an SMS by name", json!({"channel": "SMS"}), Channel::Sms),
        ("RCS", json!({"channel": "RBM"}), Channel::Rcs),
        ("a channel of tomorrow", json!({"channel": "FAX"}), Channel::Sms),
    ] {
        assert_eq!(parsed(changes).channel, channel, "{label}");
    }
    assert_eq!(parsed(json!({"from": "12345"})).from_kind, Some(FromKind::Shortcode));
    assert_eq!(parsed(json!({"from": "ACME"})).from_kind, Some(FromKind::Alpha));
    assert_eq!(parsed(json!({"from": " +12345678901 "})).from, "+12345678901");
}

#[test]
fn taps_and_places_are_messages() {
    let mut tap = event(&json!({"text": null, "suggestionResponse": {"text": "Tuesday", "postbackData": "dHVl",
                                                                     "pairedMessageId": "1589"}}));
    tap["type"] = "suggestion-response".into();
    let message = receive_one(&post(json!([tap]).to_string()), &candidates());
    assert_eq!((message.channel, message.text.as_str()), (Channel::Rcs, "Tuesday"));
    assert_eq!((message.button_payload.as_deref(), message.in_reply_to.as_deref()), (Some("dHVl"), Some("1589")));

    for (place, found) in [
        (json!({"latitude": "37.7749", "longitude": "-122.4194"}), true),
        (json!({"latitude": 37.7749, "longitude": -122.4194}), true),
        (json!({"latitude": "north", "longitude": "-122.4194"}), false),
        (json!({"latitude": "91", "longitude": "0"}), false),
        (json!({}), false),
    ] {
        let mut event = event(&json!({"text": null, "locationResponse": place}));
        event["type"] = "requested-location-response".into();
        let message = receive_one(&post(json!([event]).to_string()), &candidates());
        assert_eq!(message.location.is_some(), found, "{place}");
    }
}

#[test]
fn one_request_holds_many_events_or_none() {
    assert_eq!(events(json!([])), []);
    let status = json!({"type": "message-delivered", "message": {"id": "1"}});
    let second = event(&json!({"id": "2", "text": "Two"}));
    let found = events(json!([event(&json!({})), status, second]));
    let ids: Vec<_> = found.iter().map(|event| event.message().map(|message| message.message_id.as_str())).collect();
    assert_eq!(ids, [Some("14762070468292kw2fuqty55yp2b2"), None, Some("2")]);
    // What can't be read holds up no other.
    for broken in [json!(5), json!({}), json!({"type": "message-received"}), event(&json!({"id": null}))] {
        let found = events(json!([broken, event(&json!({}))]));
        assert!(found[0].message().is_none() && found[1].message().is_some(), "{broken}");
    }
    // Alone, without its list.
    receive_one(&post(event(&json!({})).to_string()), &candidates());
}

#[test]
fn what_is_no_message_is_ignored() {
    for (kind, reason) in [
        ("message-sending", Ignored::Status),
        ("message-sent", Ignored::Status),
        ("message-delivered", Ignored::Status),
        ("message-failed", Ignored::Status),
        ("message-read", Ignored::Status),
        ("tollfree-verification", Ignored::OtherEvent),
    ] {
        assert_eq!(events(json!([{"type": kind, "message": 5}])), [Event::ignored(reason)], "{kind}");
    }
    assert_eq!(events(json!([event(&json!({"direction": "out"}))])), [Event::ignored(Ignored::Outbound)]);
}

#[test]
fn what_a_message_can_do_without_may_be_odd() {
    let message = parsed(json!({"segmentCount": "1", "time": 5, "text": ["a"], "media": {}, "to": 7,
                                "applicationId": {}, "suggestionResponse": "x", "locationResponse": []}));
    assert_eq!((message.segments, message.account), (None, None));
    assert_eq!((message.text.as_str(), message.described), ("[unsupported message] a", true));
    assert!(message.media.is_empty() && message.location.is_none());
    assert_eq!(message.received_at.as_deref(), Some("2026-09-21T14:13:19.123Z"));
    for (time, expected) in [
        ("2026-09-21T14:13:18Z", "2026-09-21T14:13:18Z"),
        ("2026-09-21T16:13:18+02:00", "2026-09-21T14:13:18Z"),
        ("yesterday", "2026-09-21T14:13:19.123Z"),
    ] {
        assert_eq!(parsed(json!({"time": time})).received_at.as_deref(), Some(expected), "{time}");
    }
    assert_eq!(parsed(json!({"text": "a\0b"})).text, "ab");
    assert_eq!(parsed(json!({"text": " stop "})).opt_out, Some(OptOut::Stop));
}

#[test]
fn what_is_malformed_is_refused_after_it_is_proved() {
    let whole = json!([event(&json!({}))]).to_string();
    let mut bodies: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", Vec::new()),
        ("cut short", whole.as_bytes()[..whole.len() - 1].into()),
        ("a text", br#""message-received""#.into()),
        ("a number", b"5".into()),
        ("an empty object", b"{}".into()),
        ("an empty event", b"[{}]".into()),
        ("a type that is none", br#"[{"type":5}]"#.into()),
        ("no message", br#"[{"type":"message-received"}]"#.into()),
        ("a message that is none", br#"[{"type":"message-received","message":[]}]"#.into()),
        ("too deep", "[".repeat(10_000).into()),
        ("3 MB", vec![b' '; 3_000_000]),
    ];
    for changes in [
        json!({"id": null}),
        json!({"id": " "}),
        json!({"id": 5}),
        json!({"id": "\0"}),
        json!({"from": null}),
        json!({"from": {}}),
    ] {
        bodies.push(("a field", json!([event(&changes)]).to_string().into()));
    }
    for (label, body) in bodies {
        let shown = String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
        assert_refused(&format!("{label} {shown}"), receive(&post(body), &candidates()), Kind::Validation);
    }
}

#[test]
fn accounts_are_chosen_by_credentials_then_application_then_number() {
    let account = |name: &str, password: &str, more: Value| {
        let mut account =
            json!({"name": name, "provider": "bandwidth", "username": "bw-user", "passwords": [password]});
        account.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        account
    };
    let right = "s3cret:with:colons";
    for (label, document, expected) in [
        ("the password", json!([account("a", "x", json!({})), account("b", right, json!({}))]), "b"),
        ("the first of equals", json!([account("a", right, json!({})), account("b", right, json!({}))]), "a"),
        (
            "the application",
            json!([account("a", right, json!({})), account("b", right, json!({"application_id": "93de2206"}))]),
            "b",
        ),
        (
            "the number",
            json!([account("a", right, json!({})), account("b", right, json!({"numbers": {"+12345678902": {}}}))]),
            "b",
        ),
        (
            "no application alone",
            json!([account("a", "x", json!({"application_id": "93de2206"})), account("b", right, json!({}))]),
            "b",
        ),
    ] {
        let request = post(json!([event(&json!({}))]).to_string());
        assert_eq!(account_name(&request, &accounts(document)), expected, "{label}");
    }
}

#[test]
fn settings_are_checked() {
    let read = |fields: Value| {
        let mut account = json!({"provider": "bandwidth"});
        account.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        Settings::from_json(json!({ "accounts": [account] }).to_string().as_bytes())
    };
    for (fields, expected) in [
        (json!({"passwords": ["p"]}), "username is required"),
        (json!({"username": "u"}), "passwords is required"),
        (json!({"username": "u", "passwords": []}), "passwords must be a list"),
        (json!({"username": "a:b", "passwords": ["p"]}), "username must have no colon"),
    ] {
        let shown = format!("{:?}", read(fields).unwrap_err());
        assert!(shown.contains(expected), "{expected} in {shown}");
    }
    // An empty user name counts as absent, and then nobody gets in.
    let nobody = read(json!({"username": "", "passwords": ["p"]})).unwrap();
    let request = webhook(Method::POST, URL, &[("authorization", &authorized("", "p"))], "[]");
    assert!(request.verify(&nobody.accounts).is_err());
    let account = json!({"provider": "bandwidth", "username": "u", "passwords": ["p"], "api_username": "a"});
    assert_eq!(warnings(account).len(), 3);
    let shown = format!("{:?}", accounts(json!([sender()]))[0].credentials);
    assert!(!shown.contains("s3cret") && !shown.contains("api-s3"), "{shown}");
}

proptest! {
    #[test]
    fn what_is_accepted_reaches_the_agent(
        kind in "message-received|suggestion-response|requested-location-response|[a-z]{1,6}",
        field in "text|content|media|suggestionResponse|locationResponse",
        value in any_content(),
    ) {
        let mut event = event(&json!({"text": null, field.as_str(): value}));
        event["type"] = kind.into();
        let events = receive(&post(json!([event]).to_string()), &candidates()).unwrap();
        if !value.is_null() && value != json!([]) {
            assert_tells_the_agent(&events);
        }
    }

    #[test]
    fn anything_may_arrive(body in prop::collection::vec(any::<u8>(), 0..300), header in "[ -~]{0,60}") {
        let request = webhook(Method::POST, URL, &[JSON, ("authorization", &header)], body);
        prop_assert!(receive(&request, &candidates()).is_err());
    }

    #[test]
    fn anything_may_be_in_a_field(
        name in prop::sample::select(vec!["id", "owner", "from", "to", "text", "media", "time", "direction", "channel",
                                          "segmentCount", "applicationId", "suggestionResponse", "locationResponse"]),
        value in prop::sample::select(vec![
            json!(true), json!(-1), json!(1e300), json!(""), json!("\0"), json!([]), json!([[]]), json!({}),
            json!([{}]), json!([null]), json!({"latitude": []}), json!("x".repeat(10_000)),
        ]),
    ) {
        match receive(&post(json!([event(&json!({name: value}))]).to_string()), &candidates()) {
            Ok(_) => {}
            Err(error) => prop_assert_eq!(error.kind(), Kind::Validation),
        }
    }
}

fn sender() -> Value {
    json!({"provider": "bandwidth", "username": "bw-user", "passwords": ["s3cret"], "account_id": "9900000",
           "application_id": "93de2206", "api_username": "api-user", "api_password": "api-s3cret"})
}

#[test]
fn a_text_is_json_to_the_accounts_path() {
    for (channel, from) in [(Channel::Sms, TEXT.from), (Channel::Mms, TEXT.from), (Channel::Sms, "12345")] {
        let (url, content_type, headers, body) = send_request(sender(), &Outbound { channel, from, ..TEXT }).unwrap();
        assert_eq!(url, "https://messaging.bandwidth.com/api/v2/users/9900000/messages");
        assert_eq!(content_type, "application/json");
        assert_eq!(headers, [("authorization".to_owned(), authorized("api-user", "api-s3cret"))]);
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            body,
            json!({"applicationId": "93de2206", "from": from, "to": ["+14133881111"], "text": "Hello & bye",
                   "tag": TEXT.key})
        );
    }
}

#[test]
fn an_account_that_only_receives_does_not_send() {
    let missing = "account_id, application_id, api_username or api_password is missing";
    for name in ["account_id", "application_id", "api_username", "api_password"] {
        let mut account = sender();
        account.as_object_mut().unwrap().remove(name);
        assert_cannot_send(account, &TEXT, missing);
    }
    let mut account = sender();
    account["account_id"] = "99/../00".into();
    assert_cannot_send(account, &TEXT, "account_id can't stand in a URL");
}

#[test]
fn answers_are_understood() {
    let error = |kind: &str| format!(r#"{{"type":"{kind}","description":"…"}}"#);
    assert_answers(
        sender(),
        &[
            (202, r#"{"id":"1589228074636lm4k2je7j7jklbn2","segmentCount":1}"#, None),
            (202, "", None),
            (400, &error("request-validation"), Some(Reason::Refused)),
            (401, &error("unauthorized"), Some(Reason::Misconfigured)),
            (403, &error("forbidden"), Some(Reason::Misconfigured)),
            (404, "", Some(Reason::Misconfigured)),
            (415, "", Some(Reason::Refused)),
            (429, &error("max-message-queue-size-exceeded"), Some(Reason::Throttled)),
            (429, "", Some(Reason::Throttled)),
            (500, "", Some(Reason::Unavailable)),
            (504, "", Some(Reason::Unknown)),
        ],
    );
    let credentials = &accounts(json!([sender()]))[0].credentials;
    let taken = credentials.read_answer(http::StatusCode::ACCEPTED, br#"{"id":"1589"}"#).unwrap();
    assert_eq!(taken.message_ids, ["1589"]);
}
