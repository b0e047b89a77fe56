use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Method;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{V2, V2_NONCE, V3, V3_NONCE};
use crate::{
    error::Kind,
    inbound::Inbound,
    settings::{Account, Settings},
    sms::{
        message::{Channel, FromKind, Message, OptOut},
        segments::Limit,
        send::{Outbound, Reason},
        webhook::{Rejection, Webhook},
    },
    testing::{
        TEXT, account_name, accounts, any_content, assert_answers, assert_cannot_send, assert_refused,
        assert_tells_the_agent, receive, receive_one, reported, run_vectors, send_request, warnings, webhook,
    },
};

const URL: &str = "https://sms.example.com/sms/plivo";
const TOKEN: &str = "MAdhZGVhZGJlZWZkZWFkYmVlZmRlYWQ";
const NONCE: &str = "05429567804466091622";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const BASIC: [(&str, &str); 6] = [
    ("From", "14795961111"),
    ("To", "14759440448"),
    ("Text", "Hello agent"),
    ("Type", "sms"),
    ("MessageUUID", "7a242edc-2f57-11e7-98c9-06ab0bf64327"),
    ("Units", "1"),
];

/// Signed by plivo-python 4.63.0 (`get_signature_v3`) with the nonce `12345`: label, method, query, body, signature.
const SIGNED_BY_PLIVO: [(&str, &str, &str, &str, &str); 5] = [
    (
        "a form",
        "POST",
        "",
        "From=14795961111&To=14759440448&Text=Hello+agent&Type=sms&MessageUUID=7a24&Units=1",
        "WzRzJDG2XaX2ItU8tu/08TBckCrkOxjESyCQSihGmgg=",
    ),
    (
        "a form and a query",
        "POST",
        "?b=2&a=1&a=0&c=",
        "From=14795961111&To=14759440448&Text=Hello+agent&Type=sms&MessageUUID=7a24&Units=1",
        "qWgF6Sf4pQ66Y6jiupC8OHAW2kC5WHq/OG2+uPR78yg=",
    ),
    (
        "blank and repeated parameters",
        "POST",
        "",
        "From=14795961111&To=14759440448&Text=Hello+agent&Type=sms&MessageUUID=7a24&Units=1&Empty=&Many=2&Many=1",
        "s5u0DbzHgKlsDpvqMyYEcus5wj+PklxUerfwWx07WhM=",
    ),
    (
        "a query",
        "GET",
        "?From=14795961111&To=14759440448&Text=Hello+agent&Type=sms&MessageUUID=7a24&Units=1",
        "",
        "btRCNa7zGfo4WkK/Y1SEAfN7uPGYtMuiogcf+obukaQ=",
    ),
    (
        "plus and percent",
        "POST",
        "",
        "From=14795961111&To=14759440448&Text=1%2B1+%26+50%25&Type=sms&MessageUUID=7a24&Units=1",
        "ywE/rEc9og+NlKpPS2Iw1Fg0ZSboQwjkJeDRCqQ9J5Q=",
    ),
];

fn candidates(version: &str) -> Vec<Arc<Account>> {
    accounts(json!([{"provider": "plivo", "auth_tokens": [TOKEN, "previous"], "signature_version": version}]))
}

fn mac(token: &str, text: &str) -> String {
    STANDARD.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, token.as_bytes()), text.as_bytes()))
}

fn v2(token: &str, nonce: &str) -> String {
    mac(token, &format!("{URL}{nonce}"))
}

fn encode(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// The rule of V3 for a form without a query, told once more.
fn v3(token: &str, pairs: &[(&str, &str)], nonce: &str) -> String {
    let mut pairs = pairs.to_vec();
    pairs.sort_unstable();
    let signed: String = pairs.iter().map(|(name, value)| format!("{name}{value}")).collect();
    mac(token, &format!("{URL}?{signed}.{nonce}"))
}

/// `BASIC` with some of its parameters replaced, and others added. The value "-" takes one away.
fn with<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let kept = BASIC.into_iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    kept.chain(changes.iter().copied().filter(|(_, value)| *value != "-")).collect()
}

fn post_v2(pairs: &[(&str, &str)]) -> Webhook {
    webhook(Method::POST, URL, &[FORM, (V2[0], &v2(TOKEN, NONCE)), (V2_NONCE, NONCE)], encode(pairs))
}

fn post_v3(pairs: &[(&str, &str)]) -> Webhook {
    webhook(Method::POST, URL, &[FORM, (V3[0], &v3(TOKEN, pairs, NONCE)), (V3_NONCE, NONCE)], encode(pairs))
}

fn parsed(changes: &[(&str, &str)]) -> Message {
    receive_one(&post_v3(&with(changes)), &candidates("any"))
}

#[test]
fn the_vectors_hold() {
    run_vectors(include_str!("vectors/plivo.json"));
}

#[test]
fn plivos_own_signatures_are_accepted() {
    for (label, method, query, body, signature) in SIGNED_BY_PLIVO {
        let headers = [FORM, (V3[0], signature), (V3_NONCE, "12345")];
        let request = webhook(method.parse().unwrap(), &format!("{URL}{query}"), &headers, body);
        for version in ["v3", "any"] {
            let message = receive_one(&request, &candidates(version));
            assert_eq!((message.from.as_str(), message.signed_once), ("+14795961111", None), "{label}");
        }
        assert!(receive(&request, &candidates("v2")).is_err(), "{label}");
        // Everything is covered.
        let mut changed = request.clone();
        changed.query = Some(format!("{}&x=1", request.query.clone().unwrap_or_default()));
        assert_refused(label, receive(&changed, &candidates("any")), Kind::Unverified);
    }
}

#[test]
fn signatures_are_checked() {
    let body = encode(&BASIC);
    let (right2, right3) = (v2(TOKEN, NONCE), v3(TOKEN, &BASIC, NONCE));
    let previous = v2("previous", NONCE);
    let (other2, other3) = (v2("other", NONCE), v3("other", &BASIC, NONCE));
    let list2 = format!("{other2}, {right2}");
    let list3 = format!("{other3},{right3},!");
    let (malformed, mismatch, missing) = (Rejection::Malformed, Rejection::Mismatch, Rejection::Missing);
    for (label, version, headers, outcome) in [
        ("V2", "any", vec![(V2[0], right2.as_str()), (V2_NONCE, NONCE)], None),
        ("V2 by the main account", "any", vec![(V2[1], right2.as_str()), (V2_NONCE, NONCE)], None),
        ("V2 by both", "v2", vec![(V2[0], &other2), (V2[1], &right2), (V2_NONCE, NONCE)], None),
        ("the previous token", "v2", vec![(V2[0], &previous), (V2_NONCE, NONCE)], None),
        ("a list of V2", "v2", vec![(V2[0], &list2), (V2_NONCE, NONCE)], None),
        ("V3", "any", vec![(V3[0], right3.as_str()), (V3_NONCE, NONCE)], None),
        ("V3 by the main account", "v3", vec![(V3[1], right3.as_str()), (V3_NONCE, NONCE)], None),
        ("a list of V3", "v3", vec![(V3[0], &list3), (V3_NONCE, NONCE)], None),
        ("both", "v3", vec![(V2[0], &other2), (V3[0], &right3), (V2_NONCE, NONCE), (V3_NONCE, NONCE)], None),
        (
            "V3 wrong and V2 right",
            "any",
            vec![(V2[0], &right2), (V3[0], &other3), (V2_NONCE, NONCE), (V3_NONCE, NONCE)],
            Some(mismatch),
        ),
        ("V2 for V3", "v3", vec![(V2[0], right2.as_str()), (V2_NONCE, NONCE)], Some(missing)),
        ("V3 for V2", "v2", vec![(V3[0], right3.as_str()), (V3_NONCE, NONCE)], Some(missing)),
        ("a V2 signature as V3", "any", vec![(V3[0], right2.as_str()), (V3_NONCE, NONCE)], Some(mismatch)),
        ("another token", "v2", vec![(V2[0], other2.as_str()), (V2_NONCE, NONCE)], Some(mismatch)),
        ("another token of V3", "v3", vec![(V3[0], other3.as_str()), (V3_NONCE, NONCE)], Some(mismatch)),
        ("another nonce", "any", vec![(V2[0], right2.as_str()), (V2_NONCE, "1")], Some(mismatch)),
        ("V3's nonce for V2", "any", vec![(V2[0], right2.as_str()), (V3_NONCE, NONCE)], Some(missing)),
        ("no nonce", "any", vec![(V3[0], right3.as_str())], Some(missing)),
        ("two nonces", "v2", vec![(V2[0], &right2), (V2_NONCE, NONCE), (V2_NONCE, NONCE)], Some(malformed)),
        ("two signatures", "v2", vec![(V2[0], &right2), (V2[0], &right2), (V2_NONCE, NONCE)], Some(malformed)),
        ("commas only", "v2", vec![(V2[0], ",,"), (V2_NONCE, NONCE)], Some(mismatch)),
        ("no base64", "any", vec![(V2[0], "!"), (V2_NONCE, NONCE)], Some(malformed)),
        ("nothing", "any", vec![], Some(missing)),
    ] {
        let headers = [vec![FORM], headers].concat();
        let request = webhook(Method::POST, URL, &headers, body.clone());
        let accounts = candidates(version);
        assert_eq!(request.verify(&accounts).err().and_then(|error| Rejection::of(&error)), outcome, "{label}");
    }
}

#[test]
fn the_url_counts_and_its_port_is_not_folded() {
    for (url, accepted) in [
        (URL.to_owned(), true),
        (format!("{URL}?any=query"), true),
        (format!("{URL}/"), false),
        (format!("{URL}/us"), false),
        (URL.replace("https", "http"), false),
        (URL.replace(".com", ".com:443"), false),
    ] {
        let request =
            webhook(Method::POST, &url, &[FORM, (V2[0], &v2(TOKEN, NONCE)), (V2_NONCE, NONCE)], encode(&BASIC));
        assert_eq!(receive(&request, &candidates("any")).is_ok(), accepted, "{url}");
    }
}

#[test]
fn what_v2_signs_carries_its_nonce_and_what_v3_signs_does_not() {
    let by_v2 = receive_one(&post_v2(&BASIC), &candidates("any"));
    assert_eq!(by_v2.signed_once.as_deref(), Some(NONCE));
    assert_eq!(receive_one(&post_v3(&BASIC), &candidates("any")).signed_once, None);
    // Where both come, V3 counts.
    let mut both = post_v2(&BASIC);
    both.headers.insert(V3[0], v3(TOKEN, &BASIC, NONCE).parse().unwrap());
    both.headers.insert(V3_NONCE, NONCE.parse().unwrap());
    assert_eq!(receive_one(&both, &candidates("any")).signed_once, None);
    assert_eq!(receive_one(&both, &candidates("v2")).signed_once.as_deref(), Some(NONCE));
    // The same text with the same nonce is a repeat; another has the same hash and another id.
    let other = receive_one(&post_v2(&with(&[("Text", "evil"), ("MessageUUID", "2")])), &candidates("any"));
    let account = &candidates("any")[0];
    let (one, two) = (Inbound::new(account, by_v2), Inbound::new(account, other));
    assert!(one.once.is_some() && one.once == two.once);
    assert_ne!(one.deduplication_id(), two.deduplication_id());
    // It is no part of the normal form, which is stored and shown.
    assert!(!serde_json::to_string(&one.message).unwrap().contains(NONCE));
}

#[test]
fn the_whole_message_is_read() {
    let message = parsed(&[
        ("Type", "mms"),
        ("Text", "Grüße 👋🏽 & more"),
        ("Units", "3"),
        ("MediaCount", "2"),
        ("Media10", "https://m.example/10"),
        ("Media0", "https://m.example/0.jpg"),
        ("Media2", "https://m.example/2"),
        ("Media1", " "),
        ("MediaX", "https://m.example/x"),
        ("Media+3", "https://m.example/3"),
        ("Media4294967296", "https://m.example/far"),
    ]);
    assert_eq!(
        serde_json::to_value(&message).unwrap(),
        json!({"provider": "plivo", "channel": "mms", "message_id": "7a242edc-2f57-11e7-98c9-06ab0bf64327",
               "from": "+14795961111", "to": "+14759440448", "text": "Grüße 👋🏽 & more",
               "media": [{"url": "https://m.example/0.jpg"}, {"url": "https://m.example/2"}, {"url": "https://m.example/10"}],
               "received_at": null, "segments": 3})
    );
}

#[test]
fn channels_and_addresses_are_told_apart() {
    for (label, changes, channel) in [
        ("sms", vec![], Channel::Sms),
        ("in capitals", vec![("Type", "SMS")], Channel::Sms),
        ("no type", vec![("Type", "-")], Channel::Sms),
        ("media make an mms", vec![("Media0", "https://m.example/0")], Channel::Mms),
        ("whatsapp", vec![("Type", "whatsapp")], Channel::Whatsapp),
        ("rcs", vec![("Type", "rcs")], Channel::Rcs),
        ("a type of tomorrow", vec![("Type", "fax")], Channel::Sms),
    ] {
        assert_eq!(parsed(&changes).channel, channel, "{label}");
    }
    let short = parsed(&[("From", "12345"), ("To", "67890")]);
    assert_eq!(
        (short.from_kind, short.from.as_str(), short.to.as_str()),
        (Some(FromKind::Shortcode), "12345", "67890")
    );
    assert_eq!(parsed(&[("From", "ACME")]).from_kind, Some(FromKind::Alpha));
    assert_eq!(parsed(&[("From", " +14795961111 ")]).from, "+14795961111");
}

#[test]
fn whatsapps_parameters_are_read() {
    for (changes, text) in [
        (vec![("Text", "-"), ("Body", "Hello")], "Hello"),
        (vec![("Text", "-"), ("Caption", "A picture"), ("Media0", "https://m.example/0")], "A picture"),
        (vec![("Text", "-"), ("ButtonText", "Yes"), ("ButtonPayload", "yes")], "Yes"),
        (vec![("Text", "-"), ("ContentType", "contacts")], "[unsupported message]"),
        (vec![("Text", "-"), ("Latitude", "48.1"), ("Longitude", "11.5"), ("ContentType", "location")], ""),
    ] {
        let changes = [vec![("Type", "whatsapp")], changes].concat();
        let message = parsed(&changes);
        assert_eq!((message.text.as_str(), message.described), (text, text.starts_with('[')), "{changes:?}");
    }
    for (latitude, found) in [("48.1", true), ("91", false), ("north", false)] {
        let place = parsed(&[("Type", "whatsapp"), ("Latitude", latitude), ("Longitude", "11.5"), ("Name", "Office")]);
        assert_eq!(place.location.is_some(), found, "{latitude}");
    }
}

#[test]
fn reports_are_read() {
    for status in ["queued", "sent", "failed", "delivered", "undelivered", "read"] {
        let report = with(&[("Text", "-"), ("Status", status), ("ParentMessageUUID", "1"), ("ErrorCode", "200")]);
        let events = receive(&post_v3(&report), &candidates("any")).unwrap();
        let expected = match status {
            "queued" | "sent" => "1 sent - -",
            "delivered" => "1 delivered - -",
            "read" => "1 read - -",
            _ => "1 failed 200 UNSUBSCRIBED opt-out",
        };
        assert_eq!(reported(&events), [expected], "{status}");
    }
    let part = |info| {
        let report = with(&[("Text", "-"), ("Status", "delivered"), ("ParentMessageUUID", "1"), ("PartInfo", info)]);
        reported(&receive(&post_v3(&report), &candidates("any")).unwrap()).remove(0)
    };
    assert_eq!([part("1 of 2"), part("2 of 2")], ["1 sent - -", "1 delivered - -"]);
    assert_eq!(parsed(&[("Status", "received")]).text, "Hello agent");
}

#[test]
fn what_a_message_can_do_without_may_be_odd() {
    for units in ["-", "", "many", "-1", "1.5"] {
        assert_eq!(parsed(&[("Units", units)]).segments, None, "{units}");
    }
    assert_eq!(parsed(&[("Text", "-")]).text, "");
    assert_eq!(parsed(&[("Text", " \r\n ")]).text, " \r\n ");
    assert_eq!(parsed(&[("Text", "a\0b")]).text, "ab");
    assert_eq!(parsed(&[("Text", "stop")]).opt_out, Some(OptOut::Stop));
    // Bytes that are no text reach the agent as far as they can be read; V2 covers none of them.
    let body = encode(&BASIC).replace("Hello", "%FF");
    let request = webhook(Method::POST, URL, &[FORM, (V2[0], &v2(TOKEN, NONCE)), (V2_NONCE, NONCE)], body);
    assert_eq!(receive_one(&request, &candidates("any")).text, "\u{FFFD} agent");
    let json = json!({"From": "14795961111", "To": "14759440448", "Text": "As JSON", "MessageUUID": "1"});
    let headers = [("content-type", "application/json"), (V2[0], &v2(TOKEN, NONCE)), (V2_NONCE, NONCE)];
    let request = webhook(Method::POST, URL, &headers, json.to_string());
    assert_eq!(receive_one(&request, &candidates("any")).text, "As JSON");
}

#[test]
fn what_is_malformed_is_refused_after_it_is_proved() {
    for name in ["From", "To", "MessageUUID"] {
        for value in ["-", "", " ", "\0"] {
            let result = receive(&post_v3(&with(&[(name, value)])), &candidates("any"));
            assert_refused(&format!("{name} {value:?}"), result, Kind::Validation);
        }
    }
    for body in ["", "5", "a", "[]", &"&".repeat(10_000)] {
        let request =
            webhook(Method::POST, URL, &[FORM, (V2[0], &v2(TOKEN, NONCE)), (V2_NONCE, NONCE)], body.to_owned());
        assert_refused(body, receive(&request, &candidates("any")), Kind::Validation);
    }
}

#[test]
fn accounts_are_chosen_by_token_and_then_by_number() {
    let account = |name: &str, token: &str, numbers: Value| json!({"name": name, "provider": "plivo", "auth_tokens": [token], "numbers": numbers});
    for (label, document, expected) in [
        ("the token", json!([account("a", "x", json!({})), account("b", TOKEN, json!({}))]), "b"),
        ("the first of equals", json!([account("a", TOKEN, json!({})), account("b", TOKEN, json!({}))]), "a"),
        ("the number", json!([account("a", TOKEN, json!({})), account("b", TOKEN, json!({"+14759440448": {}}))]), "b"),
    ] {
        assert_eq!(account_name(&post_v3(&BASIC), &accounts(document)), expected, "{label}");
    }
}

#[test]
fn a_v2_account_is_warned() {
    let account = |version: &str| json!({"provider": "plivo", "auth_tokens": [TOKEN], "signature_version": version});
    let warned = warnings(account("v2"));
    assert!(warned.len() == 1 && warned[0].contains("signs no text"), "{warned:?}");
    assert!(warnings(account("v3")).is_empty() && warnings(account("any")).is_empty());
    for account in [json!({"provider": "plivo"}), account("v1")] {
        assert!(Settings::from_json(json!({"accounts": [account]}).to_string().as_bytes()).is_err(), "{account}");
    }
}

proptest! {
    #[test]
    fn what_is_accepted_reaches_the_agent(
        kind in "sms|mms|whatsapp|[a-z]{1,6}",
        field in "Text|Body|Caption|ButtonText|ContentType",
        value in any_content(),
    ) {
        let value = value.to_string();
        let changes = [("Type", kind.as_str()), ("Text", "-"), (field.as_str(), value.as_str())];
        let events = receive(&post_v3(&with(&changes)), &candidates("any")).unwrap();
        if field != "ContentType" || kind == "whatsapp" {
            assert_tells_the_agent(&events);
        }
    }

    #[test]
    fn anything_may_arrive(
        body in prop::collection::vec(any::<u8>(), 0..300),
        signature in "[ -~]{0,60}",
        nonce in "[ -~]{0,30}",
        get in any::<bool>(),
    ) {
        let method = if get { Method::GET } else { Method::POST };
        let headers = [FORM, (V2[0], &signature), (V2_NONCE, &nonce), (V3[0], &signature), (V3_NONCE, &nonce)];
        prop_assert!(receive(&webhook(method, URL, &headers, body), &candidates("any")).is_err());
    }

    #[test]
    fn anything_may_be_signed(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let request = webhook(Method::POST, URL, &[FORM, (V2[0], &v2(TOKEN, NONCE)), (V2_NONCE, NONCE)], body);
        prop_assert_eq!(receive(&request, &candidates("any")).unwrap_err().kind(), Kind::Validation);
    }

    #[test]
    fn any_parameters_are_signed_as_the_rule_says(
        pairs in prop::collection::vec(("[A-Za-z]{1,5}", "\\PC{0,8}"), 0..6),
    ) {
        let more: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let pairs = [BASIC.to_vec(), more].concat();
        let request = post_v3(&pairs);
        prop_assert!(request.verify(&candidates("v3")).is_ok());
    }
}

fn sender() -> Value {
    json!({"provider": "plivo", "auth_id": "MAXXXXXXXXXXXXXXXXXX", "auth_tokens": [TOKEN, "previous"]})
}

#[test]
fn a_text_is_json_with_digits_for_numbers() {
    for (channel, from, kind) in
        [(Channel::Sms, TEXT.from, "sms"), (Channel::Mms, TEXT.from, "sms"), (Channel::Whatsapp, TEXT.from, "whatsapp")]
    {
        let (url, content_type, headers, body) = send_request(sender(), &Outbound { channel, from, ..TEXT }).unwrap();
        assert_eq!(url, "https://api.plivo.com/v1/Account/MAXXXXXXXXXXXXXXXXXX/Message/");
        assert_eq!(content_type, "application/json");
        let credentials = format!("Basic {}", STANDARD.encode(format!("MAXXXXXXXXXXXXXXXXXX:{TOKEN}")));
        assert_eq!(headers, [("authorization".to_owned(), credentials)]);
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body, json!({"src": "12028831111", "dst": "14133881111", "text": "Hello & bye", "type": kind}));
    }
    let credentials = &accounts(json!([sender()]))[0].credentials;
    assert_eq!(credentials.limit(Channel::Sms), Limit::Segments(10));
    assert_eq!(credentials.limit(Channel::Whatsapp), Limit::Characters(4096));
}

#[test]
fn an_account_that_only_receives_does_not_send() {
    assert_cannot_send(json!({"provider": "plivo", "auth_tokens": [TOKEN]}), &TEXT, "auth_id is missing");
    let account = json!({"provider": "plivo", "auth_tokens": [TOKEN], "auth_id": "a/b"});
    assert_cannot_send(account, &TEXT, "auth_id can't stand in a URL");
}

#[test]
fn answers_are_understood() {
    let error = r#"{"error":"dst parameter is invalid","api_id":"1"}"#;
    assert_answers(
        sender(),
        &[
            (202, r#"{"message":"message(s) queued","message_uuid":["db3ce55a"],"api_id":"1"}"#, None),
            (202, "", None),
            (400, error, Some(Reason::Refused)),
            (401, "", Some(Reason::Misconfigured)),
            (402, "", Some(Reason::Misconfigured)),
            (404, "", Some(Reason::Misconfigured)),
            (405, "", Some(Reason::Refused)),
            (429, "", Some(Reason::Throttled)),
            (500, "", Some(Reason::Unavailable)),
            (503, "", Some(Reason::Unavailable)),
            (504, "", Some(Reason::Unknown)),
        ],
    );
    let credentials = &accounts(json!([sender()]))[0].credentials;
    let taken = credentials.read_answer(http::StatusCode::ACCEPTED, br#"{"message_uuid":["db3ce55a"]}"#).unwrap();
    assert_eq!(taken.message_ids, ["db3ce55a"]);
}
