#![expect(
    clippy::needless_pass_by_value,
    clippy::string_slice,
    reason = "a test may panic, and reads better with `json!(…)` as it is"
)]

use aws_lc_rs::hmac;
use http::Method;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::SIGNATURE;
use crate::{
    error::Kind,
    sms::{
        event::{Event, Ignored},
        message::{Channel, FromKind, Location, Media, Message},
        send::{Outbound, Reason},
        webhook::{Rejection, Webhook},
    },
    testing::{
        TEXT, account_name, accounts, any_content, assert_answers, assert_cannot_send, assert_refused,
        assert_tells_the_agent, receive, receive_one, run_vectors, send_request, webhook,
    },
};

const URL: &str = "https://sms.example.com/sms/meta";
const SECRET: &str = "0123456789abcdef0123456789abcdef";
const NUMBER_ID: &str = "106540352242922";
const BSUID: &str = "US.13491208655302741918";

fn account() -> Value {
    json!({"provider": "meta", "app_secrets": [SECRET], "verify_token": "token of ours"})
}

fn signature(secret: &str, body: &[u8]) -> String {
    format!("sha256={}", hex::encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), body)))
}

fn post(body: impl Into<Vec<u8>>) -> Webhook {
    let body = body.into();
    let signature = signature(SECRET, &body);
    webhook(Method::POST, URL, &[("content-type", "application/json"), (SIGNATURE, &signature)], body)
}

fn value(number_id: &str, messages: &Value) -> Value {
    json!({"messaging_product": "whatsapp",
           "metadata": {"display_phone_number": "12028831111", "phone_number_id": number_id},
           "contacts": [{"profile": {"name": "Sheena Nelson"}, "wa_id": "16505551234"}],
           "messages": messages})
}

fn change(value: &Value) -> Value {
    json!({"field": "messages", "value": value})
}

fn whole(changes: &Value) -> String {
    json!({"object": "whatsapp_business_account", "entry": [{"id": "102290129340398", "changes": changes}]}).to_string()
}

fn basic(id: &str) -> Value {
    json!({"from": "16505551234", "id": id, "timestamp": "1789999999", "type": "text", "text": {"body": "Hello agent"}})
}

/// The message with some of its fields replaced, added, or (null) taken away.
fn with(changes: Value) -> Value {
    merged(basic("wamid.1"), changes)
}

fn merged(mut object: Value, changes: Value) -> Value {
    let Value::Object(changes) = changes else { panic!("no object") };
    for (name, value) in changes {
        if value.is_null() {
            object.as_object_mut().unwrap().remove(&name);
        } else {
            object[name] = value;
        }
    }
    object
}

fn of_value(value: &Value) -> String {
    whole(&json!([change(value)]))
}

fn of_messages(messages: &Value) -> String {
    of_value(&value(NUMBER_ID, messages))
}

fn events(body: impl Into<Vec<u8>>) -> Vec<Event> {
    receive(&post(body), &accounts(json!([account()]))).unwrap()
}

fn parsed(message: Value) -> Message {
    receive_one(&post(of_messages(&json!([message]))), &accounts(json!([account()])))
}

fn ids(events: &[Event]) -> Vec<&str> {
    events.iter().filter_map(Event::message).map(|message| message.message_id.as_str()).collect()
}

#[test]
fn the_vectors_hold() {
    run_vectors(include_str!("vectors/meta.json"));
}

#[test]
fn signatures_are_of_the_bytes_that_came() {
    let candidates = accounts(json!([account()]));
    let escaped = of_messages(&json!([with(json!({"text": {"body": "GRÜSSE"}}))]));
    for (label, body) in [
        ("as it is", escaped.clone()),
        ("escapes", escaped.replace("Ü", "\\u00dc").replace("whatsapp_business", "whatsapp\\u005fbusiness")),
        ("escaped slashes", escaped.replace("GR", "\\/GR")),
        ("surrogate pairs", escaped.replace("Ü", "\\ud83d\\udc4b")),
        ("blanks around", format!(" \r\n{escaped}\n")),
    ] {
        assert!(receive_one(&post(body), &candidates).text.contains("SSE"), "{label}");
    }
    let body = of_messages(&json!([basic("wamid.1")]));
    let right = signature(SECRET, body.as_bytes());
    for (label, changed) in [
        ("written anew", serde_json::to_string_pretty(&serde_json::from_str::<Value>(&body).unwrap()).unwrap()),
        ("another text", body.replace("Hello", "Hallo")),
        ("cut short", body[..body.len() - 1].to_owned()),
        ("a line end more", format!("{body}\n")),
        ("empty", String::new()),
    ] {
        let request = webhook(Method::POST, URL, &[(SIGNATURE, &right)], changed);
        assert_refused(label, receive(&request, &candidates), Kind::Unverified);
    }
}

#[test]
fn odd_signature_headers_are_refused() {
    let candidates = accounts(json!([account()]));
    let body = of_messages(&json!([basic("wamid.1")]));
    let right = signature(SECRET, body.as_bytes());
    let hex = right.trim_start_matches("sha256=");
    let sha1 = format!(
        "sha1={}",
        hex::encode(hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, SECRET.as_bytes()),
            body.as_bytes()
        ))
    );
    for (label, signatures, rejection) in [
        ("none", vec![], Rejection::Missing),
        ("blank", vec![""], Rejection::Missing),
        ("no prefix", vec![hex], Rejection::Malformed),
        ("prefix alone", vec!["sha256="], Rejection::Malformed),
        ("prefix in capitals", vec![&*format!("SHA256={hex}")], Rejection::Malformed),
        ("prefix twice", vec![&*format!("sha256={right}")], Rejection::Malformed),
        ("hex in capitals", vec![&*format!("sha256={}", hex.to_uppercase())], Rejection::Malformed),
        ("not hex", vec!["sha256=zz"], Rejection::Malformed),
        ("half a byte less", vec![&right[..right.len() - 1]], Rejection::Malformed),
        ("cut short", vec![&right[..right.len() - 2]], Rejection::Mismatch),
        ("SHA-1", vec![&sha1], Rejection::Malformed),
        ("two of them, one right", vec![&right, "sha256=00"], Rejection::Malformed),
        ("wrong secret", vec![&*signature("another", body.as_bytes())], Rejection::Mismatch),
        ("no secret", vec![&*signature("", body.as_bytes())], Rejection::Mismatch),
        ("verify token for a secret", vec![&*signature("token of ours", body.as_bytes())], Rejection::Mismatch),
        ("not ASCII", vec!["sha256=é"], Rejection::Malformed),
    ] {
        let headers: Vec<_> = signatures.into_iter().map(|signature| (SIGNATURE, signature)).collect();
        let request = webhook(Method::POST, URL, &headers, body.clone());
        let error = request.verify(&candidates).expect_err(label);
        assert_eq!(Rejection::of(&error), Some(rejection), "{label}");
        assert_refused(label, receive(&request, &candidates), Kind::Unverified);
    }
    // The old header proves nothing.
    let request = webhook(Method::POST, URL, &[("x-hub-signature", &sha1)], body.clone());
    assert_refused("old header", receive(&request, &candidates), Kind::Unverified);
    // Its name in any case, and blanks around it, as HTTP allows.
    receive_one(
        &webhook(Method::POST, URL, &[("X-HUB-SIGNATURE-256", &format!(" {right} "))], body.clone()),
        &candidates,
    );
    let mut put = post(body);
    put.method = Method::PUT;
    assert_refused("another method", receive(&put, &candidates), Kind::MethodNotAllowed);
}

#[test]
fn any_secret_of_a_rotation_signs() {
    let request = post(of_messages(&json!([basic("wamid.1")])));
    receive_one(&request, &accounts(json!([{"provider": "meta", "app_secrets": ["new", SECRET, "older"]}])));
    let error = request.verify(&accounts(json!([{"provider": "meta", "app_secrets": ["new"]}]))).unwrap_err();
    assert!(Rejection::of(&error).unwrap().may_be_rotation());
    assert_refused("no candidate", receive(&request, &[]), Kind::Unverified);
    let other = accounts(json!([{"provider": "twilio", "auth_tokens": [SECRET]}]));
    assert_refused("another provider", receive(&request, &other), Kind::Unverified);
}

#[test]
fn a_handshake_needs_the_token() {
    let candidates = accounts(json!([
        {"name": "none", "provider": "meta", "app_secrets": ["a"]},
        {"name": "other", "provider": "meta", "app_secrets": ["b"], "verify_token": "theirs"},
        {"name": "ours", "provider": "meta", "app_secrets": ["c"], "verify_token": "token of ours"}
    ]));
    let get = |query: &str| webhook(Method::GET, &format!("{URL}?{query}"), &[], "");
    let right = "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=token+of%20ours";
    for (label, query, challenge, name) in [
        ("as sent", right.to_owned(), "1158201444", "ours"),
        ("another order", right.split('&').rev().collect::<Vec<_>>().join("&"), "1158201444", "ours"),
        ("escaped names", right.replace("hub.", "hub%2E"), "1158201444", "ours"),
        ("further parameters", format!("a=b&{right}&hub.x=1"), "1158201444", "ours"),
        ("a word", right.replace("1158201444", "a-B_c.9~"), "a-B_c.9~", "ours"),
        ("another account's", right.replace("token+of%20ours", "theirs"), "1158201444", "other"),
    ] {
        let request = get(&query);
        assert_eq!(account_name(&request, &candidates), name, "{label}");
        assert_eq!(receive(&request, &candidates).unwrap(), [Event::Challenge(challenge.into())], "{label}");
    }
    let long = "1".repeat(129);
    for (label, query) in [
        ("nothing", String::new()),
        ("no mode", right.replace("hub.mode", "mode")),
        ("another mode", right.replace("=subscribe", "=unsubscribe")),
        ("no token", right.replace("hub.verify_token", "x")),
        ("blank token", right.replace("token+of%20ours", "")),
        ("a token's beginning", right.replace("of%20ours", "")),
        ("a token and more", format!("{right}x")),
        ("another token", right.replace("ours", "hers")),
        ("another case", right.replace("token", "Token")),
        ("two tokens, one right", format!("{right}&hub.verify_token=x")),
        ("two challenges", format!("{right}&hub.challenge=x")),
        ("no challenge", right.replace("hub.challenge", "x")),
        ("blank challenge", right.replace("1158201444", "")),
        ("a challenge of markup", right.replace("1158201444", "%3Cscript%3E")),
        ("a challenge of line ends", right.replace("1158201444", "1%0D%0A2")),
        ("a challenge of NUL", right.replace("1158201444", "%00")),
        ("a challenge that is not ASCII", right.replace("1158201444", "%C3%A9")),
        ("a long challenge", right.replace("1158201444", &long)),
        ("PHP's names", right.replace("hub.", "hub_")),
    ] {
        assert_refused(label, receive(&get(&query), &candidates), Kind::Unverified);
    }
    // An account without a token has no handshake, whatever is asked.
    assert_refused("no account with a token", receive(&get(right), &candidates[..1]), Kind::Unverified);
    // A handshake's parameters prove no POST, and a signature no GET.
    let request = webhook(Method::POST, &format!("{URL}?{right}"), &[], of_messages(&json!([basic("wamid.1")])));
    assert_refused("POST", receive(&request, &candidates), Kind::Unverified);
    let signed = webhook(Method::GET, URL, &[(SIGNATURE, &signature("a", b""))], "");
    assert_refused("GET", receive(&signed, &candidates), Kind::Unverified);
}

#[test]
fn all_entries_changes_and_messages_are_read() {
    let body = json!({"object": "whatsapp_business_account", "entry": [
        {"id": "1", "changes": [
            change(&value(NUMBER_ID, &json!([basic("wamid.1"), basic("wamid.2")]))),
            {"field": "account_update", "value": {"event": "PARTNER_ADDED"}},
            change(&value(NUMBER_ID, &json!([basic("wamid.3")]))),
        ]},
        {"id": "2", "changes": []},
        {"id": "3", "changes": [change(&merged(value("2", &json!([basic("wamid.4")])), json!({"statuses": [{"id": "x"}]})))]},
    ]});
    let events = events(body.to_string());
    assert_eq!(ids(&events), ["wamid.1", "wamid.2", "wamid.3", "wamid.4"]);
    assert_eq!(events.len(), 6);
}

#[test]
fn one_malformed_part_does_not_hold_up_the_others() {
    for (label, body) in [
        ("no id", of_messages(&json!([with(json!({"id": null})), basic("wamid.1")]))),
        ("id of NULs", of_messages(&json!([with(json!({"id": "\0"})), basic("wamid.1")]))),
        ("no object", of_messages(&json!([7, "x", null, [], basic("wamid.1")]))),
        ("a change", whole(&json!([7, change(&value(NUMBER_ID, &json!([basic("wamid.1")])))]))),
        ("a value", whole(&json!([change(&json!([])), change(&value(NUMBER_ID, &json!([basic("wamid.1")])))]))),
        (
            "messages",
            whole(&json!([change(&json!({"messages": {}})), change(&value(NUMBER_ID, &json!([basic("wamid.1")])))])),
        ),
        ("contacts", of_value(&merged(value(NUMBER_ID, &json!([basic("wamid.1")])), json!({"contacts": {"a": 1}})))),
        (
            "a contact",
            of_value(&merged(value(NUMBER_ID, &json!([basic("wamid.1")])), json!({"contacts": [7, {"profile": 7}]}))),
        ),
        ("statuses", of_value(&merged(value(NUMBER_ID, &json!([basic("wamid.1")])), json!({"statuses": 7})))),
    ] {
        assert_eq!(ids(&events(body)), ["wamid.1"], "{label}");
    }
    let entries = json!({"object": "whatsapp_business_account", "entry": [7, {"id": "1"}, {"id": "2", "changes":
        [change(&value(NUMBER_ID, &json!([basic("wamid.1")])))]}]});
    assert_eq!(ids(&events(entries.to_string())), ["wamid.1"]);
}

#[test]
fn what_is_malformed_is_refused_after_it_is_proved() {
    let candidates = accounts(json!([account()]));
    let message = |changes: Value| of_messages(&json!([with(changes)]));
    let value = |changes: Value| of_value(&merged(value(NUMBER_ID, &json!([basic("wamid.1")])), changes));
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (label, body) in [
        ("nothing", String::new()),
        ("no JSON", "{".to_owned()),
        ("a list", "[]".to_owned()),
        ("a number", "7".to_owned()),
        ("no object", "{}".to_owned()),
        ("an object of the wrong type", r#"{"object":7,"entry":[]}"#.to_owned()),
        ("no entries", r#"{"object":"whatsapp_business_account"}"#.to_owned()),
        ("entries of the wrong type", r#"{"object":"whatsapp_business_account","entry":{}}"#.to_owned()),
        ("an entry of the wrong type", r#"{"object":"whatsapp_business_account","entry":[7]}"#.to_owned()),
        ("no changes", r#"{"object":"whatsapp_business_account","entry":[{}]}"#.to_owned()),
        ("a change of the wrong type", whole(&json!([7]))),
        ("no value", whole(&json!([{"field": "messages"}]))),
        ("a value of the wrong type", whole(&json!([change(&json!("x"))]))),
        ("messages of the wrong type", value(json!({"messages": {}}))),
        ("no metadata", value(json!({"metadata": null}))),
        ("metadata of the wrong type", value(json!({"metadata": []}))),
        ("no number of ours", value(json!({"metadata": {"phone_number_id": "1"}}))),
        ("a number without digits", value(json!({"metadata": {"display_phone_number": "+", "phone_number_id": "1"}}))),
        ("no id of our number", value(json!({"metadata": {"display_phone_number": "12028831111"}}))),
        ("no id", message(json!({"id": null}))),
        ("an id of the wrong type", message(json!({"id": {}}))),
        ("a blank id", message(json!({"id": " "}))),
        (
            "a sender of the wrong type",
            message(json!({"from": true})).replace("\"wa_id\":\"16505551234\"", "\"wa_id\":null"),
        ),
        ("deep in the message", message(json!({"text": "DEEP"})).replace(r#""DEEP""#, &deep)),
        ("deep", deep.clone()),
    ] {
        assert_refused(label, receive(&post(body), &candidates), Kind::Validation);
    }
    let body = of_messages(&json!([basic("wamid.1")]));
    let mut truncated = post(&body[..body.len() / 2]);
    assert_refused("cut short and signed", receive(&truncated, &candidates), Kind::Validation);
    truncated.body = vec![b'a'; 4 * 1024 * 1024 + 1].into();
    assert_refused("too large", receive(&truncated, &candidates), Kind::Validation);

    let nul = receive_one(&post(of_messages(&json!([with(json!({"text": {"body": "a\0b"}}))]))), &candidates);
    assert_eq!(nul.text, "ab");
}

#[test]
fn three_megabytes_are_read() {
    let messages: Vec<_> = (0..750)
        .map(|index| with(json!({"id": format!("wamid.{index}"), "text": {"body": "x".repeat(4000)}})))
        .collect();
    let body = of_messages(&json!(messages));
    assert!(body.len() > 3_000_000);
    assert_eq!(ids(&events(body)).len(), 750);
}

#[test]
fn what_is_no_message_is_ignored() {
    let message = |changes: Value| of_messages(&json!([with(changes)]));
    let without = |changes: Value| of_value(&merged(value(NUMBER_ID, &json!([])), changes));
    for (label, body, reason) in [
        ("another object", r#"{"object":"page","entry":[{"changes":7}]}"#.to_owned(), Ignored::Channel),
        ("another object without entries", r#"{"object":"instagram"}"#.to_owned(), Ignored::Channel),
        ("no entries", r#"{"object":"whatsapp_business_account","entry":[]}"#.to_owned(), Ignored::Empty),
        ("no changes", whole(&json!([])), Ignored::Empty),
        ("no messages", without(json!({})), Ignored::Empty),
        ("no list of messages", without(json!({"messages": null})), Ignored::Empty),
        (
            "a status",
            without(json!({"messages": null, "statuses": [{"id": "wamid.9", "status": "played"}]})),
            Ignored::Status,
        ),
        ("an error", without(json!({"errors": [{"code": 131_051}]})), Ignored::Errors),
        (
            "another field",
            whole(&json!([{"field": "message_template_status_update", "value": {}}])),
            Ignored::OtherEvent,
        ),
        (
            "an echo",
            whole(&json!([{"field": "smb_message_echoes", "value": {"message_echoes": []}}])),
            Ignored::OtherEvent,
        ),
        ("no field", whole(&json!([{"value": {"messages": [basic("wamid.1")]}}])), Ignored::OtherEvent),
        ("reaction", message(json!({"type": "reaction", "reaction": {"emoji": "👍"}})), Ignored::Reaction),
        ("system", message(json!({"type": "system", "system": {"type": "user_changed_number"}})), Ignored::System),
        ("group", message(json!({"group_id": "Y2FwaV9ncm91cDox"})), Ignored::Group),
        ("opened", message(json!({"type": "request_welcome"})), Ignored::Typing),
        (
            "a reaction that is malformed",
            message(json!({"type": "reaction", "id": null, "from": 7})),
            Ignored::Reaction,
        ),
    ] {
        assert_eq!(events(body), [Event::ignored(reason)], "{label}");
    }
}

#[test]
fn types_are_read() {
    let media = |id: &str, content_type: Option<&str>, name: Option<&str>| {
        vec![Media {
            id: Some(id.into()),
            content_type: content_type.map(Into::into),
            name: name.map(Into::into),
            ..Media::default()
        }]
    };
    for (kind, part, text, payload, expected) in [
        ("text", json!({"body": " a\r\nb "}), " a\r\nb ", None, vec![]),
        ("text", json!({"body": ""}), "", None, vec![]),
        (
            "image",
            json!({"id": "1", "mime_type": "image/jpeg", "sha256": "x", "caption": "Look"}),
            "Look",
            None,
            media("1", Some("image/jpeg"), None),
        ),
        ("image", json!({"id": 1_234_567_890_123_456_u64}), "", None, media("1234567890123456", None, None)),
        (
            "audio",
            json!({"id": "2", "mime_type": "audio/ogg; codecs=opus", "voice": true}),
            "",
            None,
            media("2", Some("audio/ogg; codecs=opus"), None),
        ),
        (
            "video",
            json!({"id": "3", "mime_type": "video/mp4", "caption": ""}),
            "",
            None,
            media("3", Some("video/mp4"), None),
        ),
        (
            "document",
            json!({"id": "4", "mime_type": "application/pdf", "filename": "a.pdf", "caption": "a"}),
            "a",
            None,
            media("4", Some("application/pdf"), Some("a.pdf")),
        ),
        (
            "sticker",
            json!({"id": "5", "mime_type": "image/webp", "animated": false, "url": "https://lookaside.example"}),
            "",
            None,
            media("5", Some("image/webp"), None),
        ),
        ("button", json!({"payload": "yes_1", "text": "Yes"}), "Yes", Some("yes_1"), vec![]),
        ("button", json!({"payload": "yes_1"}), "yes_1", Some("yes_1"), vec![]),
        ("button", json!({"text": "Yes"}), "Yes", None, vec![]),
        (
            "interactive",
            json!({"type": "button_reply", "button_reply": {"id": "b1", "title": "Cancel"}}),
            "Cancel",
            Some("b1"),
            vec![],
        ),
        (
            "interactive",
            json!({"type": "list_reply", "list_reply": {"id": "r1", "title": "Express", "description": "1 day"}}),
            "Express",
            Some("r1"),
            vec![],
        ),
        (
            "interactive",
            json!({"type": "nfm_reply", "nfm_reply": {"name": "flow", "body": "Sent", "response_json": "{\"a\":1}"}}),
            "[form] a: 1",
            Some("{\"a\":1}"),
            vec![],
        ),
        (
            "interactive",
            json!({"type": "nfm_reply", "nfm_reply": {"name": "flow", "response_json": {"a": 1}}}),
            "[form] a: 1",
            Some("{\"a\":1}"),
            vec![],
        ),
    ] {
        let message = parsed(with(json!({"type": kind, "text": null, kind: part})));
        assert_eq!(
            (message.text.as_str(), message.button_payload.as_deref(), message.media),
            (text, payload, expected),
            "{kind}"
        );
        assert_eq!(message.channel, Channel::Whatsapp);
    }
    for (part, expected) in [
        (
            json!({"latitude": 37.5, "longitude": -122.25, "name": "HQ", "address": "1 Hacker Way", "url": "https://x"}),
            Location {
                latitude: 37.5,
                longitude: -122.25,
                name: Some("HQ".into()),
                address: Some("1 Hacker Way".into()),
            },
        ),
        (
            json!({"latitude": "37.5", "longitude": 0}),
            Location { latitude: 37.5, longitude: 0.0, name: None, address: None },
        ),
    ] {
        let message = parsed(with(json!({"type": "location", "location": part})));
        assert!(message.location == Some(expected));
        assert_eq!(message.text, "");
    }
}

#[test]
fn what_cant_be_shown_is_told() {
    let mug = json!({"product_retailer_id": "mug", "quantity": 2, "item_price": 8, "currency": "EUR"});
    let answers = r#"{"flow_token":"secret","name":"Ada","slots":["9:00","9:30"]}"#;
    for (label, changes, expected) in [
        (
            "an order",
            json!({"type": "order", "order": {"catalog_id": "1", "text": "gift wrap please", "product_items": [mug]}}),
            "[order] gift wrap please: 2 × mug, 8 EUR",
        ),
        ("an empty order", json!({"type": "order", "order": {}}), "[order]"),
        (
            "a form",
            json!({"type": "interactive", "interactive": {"type": "nfm_reply", "nfm_reply":
                   {"name": "flow", "body": "Sent", "response_json": answers}}}),
            "[form] name: Ada; slots: 9:00, 9:30",
        ),
        (
            "a form with words of its own",
            json!({"type": "interactive", "interactive": {"type": "nfm_reply", "nfm_reply":
                   {"name": "address_message", "body": "1 Main Street", "response_json": {"saved_address_id": "a1"}}}}),
            "1 Main Street\n[form] saved_address_id: a1",
        ),
        (
            "a form of nothing but its token",
            json!({"type": "interactive", "interactive": {"type": "nfm_reply", "nfm_reply":
                   {"response_json": "{\"flow_token\":\"secret\"}"}}}),
            "[form]",
        ),
        (
            "unsupported",
            json!({"type": "unsupported", "errors": [{"code": 131_051, "title": "Unknown"}]}),
            "[unsupported message]",
        ),
        ("tomorrow's", json!({"type": "hologram", "hologram": {"caption": "Look"}}), "[unsupported message] Look"),
        ("tomorrow's reply", json!({"type": "interactive", "interactive": {"type": "call"}}), "[unsupported message]"),
        ("no type", json!({"type": null}), "[unsupported message]"),
        ("a type of the wrong type", json!({"type": 7}), "[unsupported message]"),
        ("no text", json!({"text": null}), "[unsupported message]"),
        ("a text of the wrong type", json!({"text": "Hello"}), "[unsupported message] Hello"),
        ("a body of the wrong type", json!({"text": {"body": 7}}), "[unsupported message]"),
        (
            "a medium without an id",
            json!({"type": "image", "image": {"caption": "Look"}}),
            "[unsupported message] Look",
        ),
        ("no medium", json!({"type": "image"}), "[unsupported message]"),
        (
            "a place without a width",
            json!({"type": "location", "location": {"longitude": 1, "name": "HQ"}}),
            "[unsupported message] HQ",
        ),
        (
            "a place beyond the pole",
            json!({"type": "location", "location": {"latitude": 91, "longitude": 1}}),
            "[unsupported message]",
        ),
        ("no contacts", json!({"type": "contacts", "contacts": {}}), "[unsupported message]"),
        ("an empty button", json!({"type": "button", "button": {}}), "[unsupported message]"),
        (
            "an empty reply",
            json!({"type": "interactive", "interactive": {"type": "button_reply"}}),
            "[unsupported message]",
        ),
        ("a reply of no type", json!({"type": "interactive", "interactive": {}}), "[unsupported message]"),
    ] {
        let message = parsed(with(changes.clone()));
        assert_eq!(message.text, expected, "{label}");
        assert_eq!(message.described, expected.starts_with('['), "{label}");
        let beside = events(of_messages(&json!([basic("wamid.1"), with(changes)])));
        let texts: Vec<_> = beside.iter().map(|event| event.message().unwrap().text.as_str()).collect();
        assert_eq!(texts, ["Hello agent", expected], "{label}, beside a good one");
    }
}

#[test]
fn one_bad_character_costs_no_message() {
    let body = of_messages(&json!([basic("wamid.1")]));
    for (label, bytes, expected) in [
        ("half a pair", body.replace("Hello agent", r"See you at 6 \ud83d").into_bytes(), "See you at 6 \u{fffd}"),
        ("a noncharacter", body.replace("agent", r"\uffff").into_bytes(), "Hello \u{fffd}"),
        ("no UTF-8", body.bytes().map(|byte| if byte == b'H' { 0xff } else { byte }).collect(), "\u{fffd}ello agent"),
    ] {
        let [event] = events(bytes).try_into().unwrap();
        assert_eq!(event.message().unwrap().text, expected, "{label}");
    }
}

#[test]
fn who_comes_from_an_advertisement_is_known() {
    let message =
        parsed(with(json!({"referral": {"source_url": "https://fb.me/x", "source_id": "1201", "source_type": "ad",
        "headline": "Mugs", "body": "Buy", "ctwa_clid": "A"}})));
    let referral = message.referral.unwrap();
    assert_eq!(
        (referral.source_id.as_deref(), referral.headline.as_deref(), referral.url.as_deref()),
        (Some("1201"), Some("Mugs"), Some("https://fb.me/x"))
    );
    assert!(parsed(with(json!({"referral": {"headline": " "}}))).referral.is_none());
    assert!(parsed(with(json!({"referral": "x"}))).referral.is_none());
}

#[test]
fn contacts_become_a_text() {
    for (cards, expected) in [
        (
            json!([{"name": {"formatted_name": "Ada Lovelace"}, "org": {"company": "Engines"},
                 "phones": [{"phone": "+44 20 7946 0000", "type": "HOME"}, {"phone": "+44 1"}], "emails": [{"email": "ada@example.com"}]},
                {"phones": [{"phone": "+1 940 555 1234", "wa_id": "19405551234"}], "vcard": "BEGIN:VCARD"}]),
            "[contact] Ada Lovelace, Engines, +44 20 7946 0000, +44 1, ada@example.com\n[contact] +1 940 555 1234",
        ),
        (json!([{"name": {"first_name": "Ada", "last_name": "L"}}]), "[contact] Ada L"),
        (json!([{"name": 7, "phones": {}, "emails": [7], "org": "x"}, 7]), "[contact]\n[contact]"),
        (json!([]), "[contact]"),
    ] {
        assert_eq!(parsed(with(json!({"type": "contacts", "contacts": cards}))).text, expected);
    }
}

#[test]
fn senders_are_known_by_number_or_id() {
    let none = Value::Null;
    let contact = |wa_id: &Value, user_id: &Value, name: &str| json!({"profile": {"name": name}, "wa_id": wa_id, "user_id": user_id});
    let number = json!("16505551234");
    let bsuid = json!(BSUID);
    let named = |name: &str| Some(name.to_owned());
    for (label, from, user_id, contacts, address, kind, others, name) in [
        ("number", &number, &none, json!([contact(&number, &none, "A")]), "+16505551234", None, None, named("A")),
        ("number with a plus", &json!("+16505551234"), &none, json!([]), "+16505551234", None, None, None),
        (
            "number as a number",
            &json!(16_505_551_234_u64),
            &none,
            json!([contact(&number, &none, "A")]),
            "+16505551234",
            None,
            None,
            named("A"),
        ),
        (
            "both",
            &number,
            &bsuid,
            json!([contact(&number, &bsuid, "A")]),
            "+16505551234",
            None,
            Some(BSUID),
            named("A"),
        ),
        (
            "id of the contact",
            &number,
            &none,
            json!([contact(&number, &bsuid, "A")]),
            "+16505551234",
            None,
            Some(BSUID),
            named("A"),
        ),
        (
            "id alone",
            &none,
            &bsuid,
            json!([contact(&none, &bsuid, "A")]),
            BSUID,
            Some(FromKind::Bsuid),
            None,
            named("A"),
        ),
        (
            "blank number",
            &json!(""),
            &bsuid,
            json!([contact(&none, &bsuid, "A")]),
            BSUID,
            Some(FromKind::Bsuid),
            None,
            named("A"),
        ),
        ("id in from", &bsuid, &none, json!([]), BSUID, Some(FromKind::Bsuid), None, None),
        ("an id of another look", &none, &json!("user7"), json!([]), "user7", Some(FromKind::Bsuid), None, None),
        ("digits for an id", &none, &json!("123"), json!([]), "123", Some(FromKind::Bsuid), None, None),
        (
            "only the contact's id",
            &none,
            &none,
            json!([contact(&none, &bsuid, "A")]),
            BSUID,
            Some(FromKind::Bsuid),
            None,
            named("A"),
        ),
        (
            "only the contact's number",
            &none,
            &none,
            json!([contact(&number, &none, "A")]),
            "+16505551234",
            None,
            None,
            named("A"),
        ),
        (
            "among contacts",
            &number,
            &none,
            json!([contact(&json!("1"), &none, "X"), contact(&number, &none, "A"), contact(&none, &none, "Y")]),
            "+16505551234",
            None,
            None,
            named("A"),
        ),
        (
            "another's contact",
            &number,
            &none,
            json!([contact(&json!("19995551234"), &bsuid, "X")]),
            "+16505551234",
            None,
            None,
            None,
        ),
        ("no contacts", &number, &none, json!([]), "+16505551234", None, None, None),
        (
            "user name",
            &number,
            &none,
            json!([{"profile": {"username": "@a"}, "wa_id": "16505551234"}]),
            "+16505551234",
            None,
            None,
            named("@a"),
        ),
        (
            "blank name",
            &number,
            &none,
            json!([{"profile": {"name": " "}, "wa_id": "16505551234"}]),
            "+16505551234",
            None,
            None,
            None,
        ),
    ] {
        let message = with(json!({"from": from, "from_user_id": user_id}));
        let body = of_value(&merged(value(NUMBER_ID, &json!([message])), json!({"contacts": contacts})));
        let message = receive_one(&post(body), &accounts(json!([account()])));
        assert_eq!((message.from.as_str(), message.from_kind), (address, kind), "{label}");
        assert_eq!(message.alt_ids, others.map(|id| vec![id.to_owned()]), "{label}");
        assert_eq!(message.profile_name, name, "{label}");
    }
    // Two may have written; which one is not said.
    let message = with(json!({"from": null}));
    let contacts = json!([contact(&number, &none, "A"), contact(&none, &bsuid, "B")]);
    let body = of_value(&merged(value(NUMBER_ID, &json!([message])), json!({"contacts": contacts})));
    assert_refused("no sender", receive(&post(body), &accounts(json!([account()]))), Kind::Validation);
}

#[test]
fn our_number_is_told_in_digits() {
    for (display, id, to, account) in [
        (json!("12028831111"), json!("1"), "+12028831111", "1"),
        (json!("+250 788 123 200"), json!("1"), "+250788123200", "1"),
        (json!("+1 (202) 883-1111"), json!("1"), "+12028831111", "1"),
        (json!(12_028_831_111_u64), json!(106_540_352_242_922_u64), "+12028831111", NUMBER_ID),
        (json!("12345"), json!("1"), "12345", "1"),
    ] {
        let metadata = json!({"metadata": {"display_phone_number": display, "phone_number_id": id}});
        let body = of_value(&merged(value(NUMBER_ID, &json!([basic("wamid.1")])), metadata));
        let message = receive_one(&post(body), &accounts(json!([self::account()])));
        assert_eq!((message.to.as_str(), message.account.as_deref()), (to, Some(account)));
    }
}

#[test]
fn times_and_replies_are_read() {
    for (timestamp, expected) in [
        (json!("1789999999"), Some("2026-09-21T14:13:19Z")),
        (json!(1_789_999_999), Some("2026-09-21T14:13:19Z")),
        (json!("1789999999012"), Some("2026-09-21T14:13:19.012Z")),
        (json!(1_789_999_999_012_i64), Some("2026-09-21T14:13:19.012Z")),
        (json!(" 1789999999 "), Some("2026-09-21T14:13:19Z")),
        (json!("0"), None),
        (json!("-1"), None),
        (json!("soon"), None),
        (json!("9223372036854775807"), None),
        (json!(1.5), None),
        (json!({}), None),
        (Value::Null, None),
    ] {
        assert_eq!(parsed(with(json!({"timestamp": timestamp}))).received_at.as_deref(), expected, "{timestamp}");
    }
    for (context, expected) in [
        (json!({"from": "12028831111", "id": "wamid.0"}), Some("wamid.0")),
        (json!({"forwarded": true}), None),
        (json!({"id": {}}), None),
        (json!("wamid.0"), None),
    ] {
        assert_eq!(parsed(with(json!({"context": context}))).in_reply_to.as_deref(), expected);
    }
    assert_eq!(parsed(with(json!({"text": {"body": "STOP"}}))).opt_out, None);
}

#[test]
fn messages_of_one_app_go_to_the_accounts_of_their_numbers() {
    let account = |name: &str, secret: &str, ids: Value, numbers: Value| json!({"name": name, "provider": "meta", "app_secrets": [secret], "phone_number_ids": ids, "numbers": numbers});
    let candidates = accounts(json!([
        account("stranger", "x", json!(["11", "22", "33"]), json!({})),
        account("one", SECRET, json!(["11"]), json!({})),
        account("two", SECRET, json!(["21", "22"]), json!({})),
        account("any", SECRET, json!([]), json!({})),
        account("listed", SECRET, json!([]), json!({"+250788123200": {}})),
    ]));
    let mut formatted = value("44", &json!([basic("wamid.4")]));
    formatted["metadata"]["display_phone_number"] = json!("+250 788 123 200");
    let body = whole(&json!([
        change(&value("22", &json!([basic("wamid.1")]))),
        change(&value("11", &json!([basic("wamid.2")]))),
        change(&value("33", &json!([basic("wamid.3")]))),
        change(&formatted),
    ]));
    let request = post(body);
    let verified = request.verify(&candidates).unwrap();
    let events = verified.parse().unwrap();
    let names: Vec<_> = events.iter().map(|(account, _)| account.name.as_str()).collect();
    assert_eq!(names, ["two", "one", "any", "listed"]);
}

#[test]
fn settings_are_checked() {
    use crate::settings::Settings;
    for (label, account, is_good) in [
        ("least", json!({"provider": "meta", "app_secrets": ["a"]}), true),
        ("no secret", json!({"provider": "meta", "verify_token": "a"}), false),
        ("no secrets", json!({"provider": "meta", "app_secrets": []}), false),
        ("empty secret", json!({"provider": "meta", "app_secrets": [""]}), false),
        ("empty token", json!({"provider": "meta", "app_secrets": ["a"], "verify_token": ""}), true),
        ("ids of the wrong type", json!({"provider": "meta", "app_secrets": ["a"], "phone_number_ids": "1"}), false),
    ] {
        let document = json!({"accounts": [account]}).to_string();
        assert_eq!(Settings::from_json(document.as_bytes()).is_ok(), is_good, "{label}");
    }
    let shown = format!("{:?}", accounts(json!([account()]))[0].credentials);
    assert!(!shown.contains(SECRET) && !shown.contains("token of ours"), "{shown}");
}

/// JSON of any shape, with the names that matter at any place.
fn any_json() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec![
        "object",
        "entry",
        "changes",
        "field",
        "value",
        "metadata",
        "messages",
        "contacts",
        "statuses",
        "text",
        "body",
        "type",
        "id",
        "from",
        "image",
        "interactive",
        "button_reply",
        "timestamp",
        "display_phone_number",
        "phone_number_id",
    ]);
    let words = prop::sample::select(vec![
        "whatsapp_business_account",
        "messages",
        "text",
        "image",
        "interactive",
        "contacts",
        "location",
        "1",
        "",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        words.prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(names.clone(), inner, 0..8)
                .prop_map(|map| map.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    #[test]
    fn anything_may_arrive(
        body in prop::collection::vec(any::<u8>(), 0..300),
        query in prop::option::of("[ -~]{0,60}"),
        signature in "(sha256=)?[ -~]{0,64}",
        get in any::<bool>(),
    ) {
        let mut request = webhook(if get { Method::GET } else { Method::POST }, URL, &[(SIGNATURE, &signature)], body);
        request.query = query;
        prop_assert!(receive(&request, &accounts(json!([account()]))).is_err());
    }

    #[test]
    fn any_bytes_may_be_signed(body in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Err(error) = receive(&post(body), &accounts(json!([account()]))) {
            prop_assert_eq!(error.kind(), Kind::Validation);
        }
    }

    #[test]
    fn any_part_may_be_anything(part in any_json(), depth in 0..5) {
        let body = match depth {
            0 => part.to_string(),
            1 => json!({"object": "whatsapp_business_account", "entry": part}).to_string(),
            2 => whole(&json!([change(&part)])),
            3 => of_messages(&part),
            _ => of_messages(&json!([with(json!({"type": "interactive", "interactive": part}))])),
        };
        if let Err(error) = receive(&post(body), &accounts(json!([account()]))) {
            prop_assert_eq!(error.kind(), Kind::Validation);
        }
    }

    #[test]
    fn what_is_accepted_reaches_the_agent(
        kind in "text|image|location|contacts|order|button|interactive|unsupported|reaction|system|[a-z]{1,8}",
        content in any_content(),
        beside in any::<bool>(),
    ) {
        let message = with(json!({"type": kind, "text": null, kind.as_str(): content}));
        let messages = if beside { json!([message, basic("wamid.9")]) } else { json!([message]) };
        assert_tells_the_agent(&events(of_messages(&messages)));
    }

    #[test]
    fn anything_may_be_cut_short(place in any::<prop::sample::Index>()) {
        let body = of_messages(&json!([basic("wamid.1")]));
        let place = place.index(body.len());
        let error = receive(&post(&body.as_bytes()[..place]), &accounts(json!([account()]))).unwrap_err();
        prop_assert_eq!(error.kind(), Kind::Validation);
    }

    #[test]
    fn no_bit_may_change(place in any::<prop::sample::Index>(), bit in 0..8_u8, in_body in any::<bool>()) {
        let request = post(of_messages(&json!([with(json!({"text": {"body": "Grüße & mehr"}}))])));
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
            let Ok(value) = http::HeaderValue::from_bytes(&flip(request.headers[SIGNATURE].as_bytes())) else { return Ok(()) };
            changed.headers.insert(SIGNATURE, value);
        }
        prop_assert!(changed.verify(&accounts(json!([account()]))).is_err());
    }
}

fn sender(ids: &[&str]) -> Value {
    json!({"provider": "meta", "app_secrets": [SECRET], "access_token": "EAAB", "phone_number_ids": ids})
}

#[test]
fn a_text_is_sent_from_the_number_that_the_customer_wrote_to() {
    for (ids, from_id, to, field, recipient) in [
        (&["1", NUMBER_ID][..], Some(NUMBER_ID), "+14133881111", "to", "14133881111"),
        (&[], Some(NUMBER_ID), "14133881111", "to", "14133881111"),
        (&[NUMBER_ID], None, BSUID, "recipient", BSUID),
    ] {
        let text = Outbound { channel: Channel::Whatsapp, from_id, to, ..TEXT };
        let (url, content_type, headers, body) = send_request(sender(ids), &text).unwrap();
        assert_eq!(url, "https://graph.facebook.com/v25.0/106540352242922/messages");
        assert_eq!(content_type, "application/json");
        assert_eq!(headers, [("authorization".to_owned(), "Bearer EAAB".to_owned())]);
        let expected = json!({
            "messaging_product": "whatsapp", "recipient_type": "individual", field: recipient, "type": "text",
            "text": {"body": "Hello & bye", "preview_url": false},
        });
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), expected);
    }
}

#[test]
fn an_account_that_only_receives_does_not_send() {
    let text = Outbound { channel: Channel::Whatsapp, ..TEXT };
    assert_cannot_send(account(), &text, "access_token is missing");
    for ids in [&[][..], &["1", "2"]] {
        assert_cannot_send(sender(ids), &text, "which of phone_number_ids sends is not known");
    }
    for id in ["", "1/../2", "1?x", "1#", "ä"] {
        let text = Outbound { from_id: Some(id), ..text };
        assert_cannot_send(sender(&["1"]), &text, "the number's id can't stand in a URL");
    }
}

#[test]
fn answers_are_understood() {
    let error = |code: u32| format!(r#"{{"error":{{"message":"(#{code}) …","type":"OAuthException","code":{code}}}}}"#);
    assert_answers(
        sender(&[NUMBER_ID]),
        &[
            (200, r#"{"messaging_product":"whatsapp","messages":[{"id":"wamid.HBgL"}]}"#, None),
            (400, &error(131_050), Some(Reason::OptedOut)),
            (400, &error(131_047), Some(Reason::WindowClosed)),
            (400, &error(131_026), Some(Reason::Refused)),
            (400, &error(100), Some(Reason::Refused)),
            (401, &error(190), Some(Reason::Misconfigured)),
            (400, &error(190), Some(Reason::Misconfigured)),
            (500, &error(3), Some(Reason::Misconfigured)),
            (403, &error(10), Some(Reason::Misconfigured)),
            (400, &error(200), Some(Reason::Misconfigured)),
            (400, &error(299), Some(Reason::Misconfigured)),
            (400, &error(33), Some(Reason::Misconfigured)),
            (400, &error(133_010), Some(Reason::Misconfigured)),
            (400, &error(4), Some(Reason::Throttled)),
            (400, &error(80_007), Some(Reason::Throttled)),
            (400, &error(130_429), Some(Reason::Throttled)),
            (400, &error(131_048), Some(Reason::Throttled)),
            (400, &error(131_056), Some(Reason::ThrottledHere)),
            (400, &error(133_016), Some(Reason::Throttled)),
            (400, &error(2), Some(Reason::Unavailable)),
            (500, &error(131_000), Some(Reason::Unavailable)),
            (400, &error(131_016), Some(Reason::Unavailable)),
            (503, "", Some(Reason::Unavailable)),
            (502, "", Some(Reason::Unknown)),
        ],
    );
}
