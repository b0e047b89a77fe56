#![expect(clippy::string_slice, reason = "a test may panic")]

use aws_lc_rs::{digest, hmac};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Method;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{SIGNATURE, SIGNATURE_SETTINGS};
use crate::{
    error::Kind,
    sms::{
        event::{Event, Ignored},
        message::{Channel, FromKind, Location, Message, OptOut},
        send::{Outbound, Reason},
        webhook::{Rejection, Webhook},
    },
    testing::{
        TEXT, account_name, accounts, any_content, assert_answers, assert_cannot_send, assert_refused,
        assert_tells_the_agent, receive, receive_one, reported, run_vectors, send_request, warnings, webhook,
    },
};

const URL: &str = "https://sms.example.com/sms/twilio";
const TOKEN: &str = "12345678901234567890123456789012";
const SID: &str = "SMa1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");

const BASIC: [(&str, &str); 7] = [
    ("MessageSid", SID),
    ("AccountSid", "AC00000000000000000000000000000001"),
    ("From", "+14133881111"),
    ("To", "+12028831111"),
    ("Body", "Hello agent"),
    ("NumMedia", "0"),
    ("ToCity", ""),
];

fn account() -> Value {
    json!({"provider": "twilio", "auth_tokens": [TOKEN]})
}

fn mac(algorithm: hmac::Algorithm, secret: &str, signed: &str) -> String {
    STANDARD.encode(hmac::sign(&hmac::Key::new(algorithm, secret.as_bytes()), signed.as_bytes()))
}

fn sha1(secret: &str, signed: &str) -> String {
    mac(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret, signed)
}

/// Twilio's rule, told once more: URL, then name and value of each distinct pair in order.
fn signed(url: &str, pairs: &[(&str, &str)]) -> String {
    let pairs: std::collections::BTreeSet<_> = pairs.iter().collect();
    pairs.iter().fold(url.to_owned(), |text, (name, value)| text + name + value)
}

fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// `BASIC` with some of its parameters replaced, and others added.
fn with<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let kept = BASIC.into_iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    kept.chain(changes.iter().copied()).collect()
}

fn post(url: &str, pairs: &[(&str, &str)]) -> Webhook {
    let signature = sha1(TOKEN, &signed(url, pairs));
    webhook(Method::POST, url, &[FORM, (SIGNATURE, &signature)], form(pairs))
}

fn parsed(changes: &[(&str, &str)]) -> Message {
    receive_one(&post(URL, &with(changes)), &accounts(json!([account()])))
}

fn ignored(changes: &[(&str, &str)]) -> &'static str {
    match receive(&post(URL, &with(changes)), &accounts(json!([account()]))).unwrap().as_slice() {
        [Event::Ignored { reason }] => reason.as_str(),
        events => panic!("{events:?}"),
    }
}

#[test]
fn the_vectors_hold() {
    run_vectors(include_str!("vectors/twilio.json"));
    run_vectors(include_str!("vectors/twilio-sdk.json"));
}

#[test]
fn forms_are_accepted() {
    let candidates = accounts(json!([account()]));
    let tail = "tenant=a+b&x=%27%20&empty=";
    for (label, url, pairs) in [
        ("basic", URL.to_owned(), with(&[])),
        ("account in the path", format!("{URL}/us"), with(&[])),
        ("path mapping", "https://sms.example.com/mapping/sms/twilio".to_owned(), with(&[])),
        ("verbatim query", format!("{URL}?{tail}"), with(&[])),
        ("plain http", "http://sms.example.com/sms/twilio".to_owned(), with(&[])),
        ("parameters of tomorrow", URL.to_owned(), with(&[("Zz9", "x"), ("aLower", "y"), ("_", "")])),
        ("blanks at the ends and line ends", URL.to_owned(), with(&[("Body", " a\r\nb ")])),
        ("signs of the form itself", URL.to_owned(), with(&[("Body", "a=b&c+d%20e")])),
        ("blank body", URL.to_owned(), with(&[("Body", "")])),
        ("beyond the basic plane", URL.to_owned(), with(&[("Body", "👋🏽 世界")])),
        ("a replacement character of its own", URL.to_owned(), with(&[("Body", "\u{FFFD}")])),
        ("a parameter named as the hash", URL.to_owned(), with(&[("bodySHA256", "00")])),
        ("hash in the query of a form", format!("{URL}?bodySHA256=00"), with(&[])),
    ] {
        let message = receive_one(&post(&url, &pairs), &candidates);
        let body = pairs.iter().find(|(name, _)| *name == "Body").unwrap().1;
        assert_eq!((message.message_id.as_str(), message.text.as_str()), (SID, body), "{label}");
    }
}

#[test]
fn repeated_parameters_are_sorted_and_counted_once() {
    let candidates = accounts(json!([account()]));
    let repeated = with(&[("Tag", "b"), ("Tag", "a"), ("Tag", "b")]);
    receive_one(&post(URL, &repeated), &candidates);

    let kept = signed(URL, &[])
        + &{
            let mut pairs = repeated.clone();
            pairs.sort_unstable();
            pairs.iter().map(|(name, value)| format!("{name}{value}")).collect::<String>()
        };
    let request = webhook(Method::POST, URL, &[FORM, (SIGNATURE, &sha1(TOKEN, &kept))], form(&repeated));
    assert_refused("not counted once", receive(&request, &candidates), Kind::Unverified);
}

#[test]
fn ports_are_folded_as_the_sdks_do() {
    let candidates = accounts(json!([account()]));
    for (configured, with_signature_over, accepted) in [
        ("https://sms.example.com", "https://sms.example.com:443", true),
        ("https://sms.example.com:443", "https://sms.example.com", true),
        ("https://sms.example.com:443", "https://sms.example.com:443", true),
        ("http://sms.example.com", "http://sms.example.com:80", true),
        ("http://sms.example.com:80", "http://sms.example.com", true),
        ("https://sms.example.com:8443", "https://sms.example.com", true),
        ("https://sms.example.com:8443", "https://sms.example.com:8443", true),
        ("https://sms.example.com:8443", "https://sms.example.com:443", false),
        ("https://sms.example.com", "https://sms.example.com:8443", false),
        ("https://sms.example.com", "https://sms.example.com:80", false),
        ("https://sms.example.com", "http://sms.example.com", false),
        ("https://sms.example.com", "https://sms.example.net", false),
    ] {
        let path = "/m/sms/twilio?a=b:1";
        let pairs = with(&[]);
        let signature = sha1(TOKEN, &signed(&format!("{with_signature_over}{path}"), &pairs));
        let url = format!("{configured}{path}");
        let request = webhook(Method::POST, &url, &[FORM, (SIGNATURE, &signature)], form(&pairs));
        assert_eq!(receive(&request, &candidates).is_ok(), accepted, "{configured} {with_signature_over}");
    }
}

#[test]
fn other_urls_and_parameters_are_refused() {
    let candidates = accounts(json!([account()]));
    let pairs = with(&[]);
    let signature = sha1(TOKEN, &signed(&format!("{URL}?a=1&b=%20"), &pairs));
    let headers = [FORM, (SIGNATURE, signature.as_str())];
    for (label, url, body) in [
        ("no query", URL.to_owned(), form(&pairs)),
        ("query in another order", format!("{URL}?b=%20&a=1"), form(&pairs)),
        ("query encoded anew", format!("{URL}?a=1&b=+"), form(&pairs)),
        ("trailing slash", format!("{URL}/?a=1&b=%20"), form(&pairs)),
        ("account added", format!("{URL}/us?a=1&b=%20"), form(&pairs)),
        ("a parameter more", format!("{URL}?a=1&b=%20"), form(&with(&[("Zz", "1")]))),
        ("a parameter less", format!("{URL}?a=1&b=%20"), form(&pairs[1..])),
        ("another value", format!("{URL}?a=1&b=%20"), form(&with(&[("Body", "Send money")]))),
        ("a blank parameter less", format!("{URL}?a=1&b=%20"), form(&pairs[..6])),
        ("no body", format!("{URL}?a=1&b=%20"), String::new()),
        ("a body cut short", format!("{URL}?a=1&b=%20"), form(&pairs)[..60].to_owned()),
        ("parameters in the query", format!("{URL}?a=1&b=%20&{}", form(&pairs)), String::new()),
    ] {
        assert_refused(label, receive(&webhook(Method::POST, &url, &headers, body), &candidates), Kind::Unverified);
    }
}

#[test]
fn odd_signature_headers_are_refused() {
    let candidates = accounts(json!([account()]));
    let pairs = with(&[]);
    let right = sha1(TOKEN, &signed(URL, &pairs));
    let sha256 = mac(hmac::HMAC_SHA256, TOKEN, &signed(URL, &pairs));
    let hex = hex::encode(STANDARD.decode(&right).unwrap());
    let joined = format!("{right},{right}");
    let url_safe = right.replace('+', "-").replace('/', "_");
    for (label, signatures, rejection) in [
        ("none", vec![], Rejection::Missing),
        ("blank", vec![""], Rejection::Missing),
        ("two of them, one right", vec![&right, "AAAA"], Rejection::Malformed),
        ("the same twice", vec![right.as_str(), &right], Rejection::Malformed),
        ("joined by a comma", vec![&joined], Rejection::Malformed),
        ("no padding", vec![right.trim_end_matches('=')], Rejection::Malformed),
        ("not base64", vec!["%%%"], Rejection::Malformed),
        ("hex", vec![&hex], Rejection::Mismatch),
        ("cut short", vec![&right[..24]], Rejection::Mismatch),
        ("SHA-256 without its header", vec![&sha256], Rejection::Mismatch),
        ("not ASCII", vec!["é"], Rejection::Malformed),
    ] {
        let mut headers = vec![FORM];
        headers.extend(signatures.into_iter().map(|signature| (SIGNATURE, signature)));
        let request = webhook(Method::POST, URL, &headers, form(&pairs));
        let error = request.verify(&candidates).expect_err(label);
        assert_eq!(Rejection::of(&error), Some(rejection), "{label}");
        assert_refused(label, receive(&request, &candidates), Kind::Unverified);
    }
    if url_safe != right {
        let request = webhook(Method::POST, URL, &[FORM, (SIGNATURE, &url_safe)], form(&pairs));
        assert_refused("another alphabet", receive(&request, &candidates), Kind::Unverified);
    }
    let spaced = webhook(Method::POST, URL, &[FORM, ("X-TWILIO-SIGNATURE", &format!(" {right} "))], form(&pairs));
    receive_one(&spaced, &candidates);
}

#[test]
fn get_is_signed_by_its_url() {
    let candidates = accounts(json!([account()]));
    let url = format!("{URL}?{}", form(&with(&[("Body", "by get")])));
    let signature = sha1(TOKEN, &url);
    assert_eq!(receive_one(&webhook(Method::GET, &url, &[(SIGNATURE, &signature)], ""), &candidates).text, "by get");
    // A body is no part of it, whatever it calls itself.
    let with_body = webhook(Method::GET, &url, &[FORM, (SIGNATURE, &signature)], "Body=evil");
    assert_eq!(receive_one(&with_body, &candidates).text, "by get");

    let changed = url.replace("by+get", "by+god");
    let request = webhook(Method::GET, &changed, &[(SIGNATURE, &signature)], "");
    assert_refused("changed query", receive(&request, &candidates), Kind::Unverified);
    let empty = webhook(Method::GET, URL, &[(SIGNATURE, &sha1(TOKEN, URL))], "");
    assert_refused("nothing in it", receive(&empty, &candidates), Kind::Validation);
    // A lone question mark is no query.
    let mut lone = post(URL, &with(&[]));
    lone.query = Some(String::new());
    receive_one(&lone, &candidates);
    let mut put = empty;
    put.method = Method::PUT;
    assert_refused("another method", receive(&put, &candidates), Kind::MethodNotAllowed);
}

#[test]
fn json_is_signed_by_its_hash_in_the_url() {
    let candidates = accounts(json!([account()]));
    let body =
        json!({"MessageSid": SID, "From": "+14133881111", "To": "+12028831111", "Body": "by json", "NumSegments": 2})
            .to_string();
    let hash = hex::encode(digest::digest(&digest::SHA256, body.as_bytes()));
    let send = |url: &str, content_type, body: &str| {
        let signature = sha1(TOKEN, url);
        receive(&webhook(Method::POST, url, &[content_type, (SIGNATURE, &signature)], body.to_owned()), &candidates)
    };
    for url in [format!("{URL}?bodySHA256={hash}"), format!("{URL}?a=1&bodySHA256={}&b=2", hash.to_uppercase())] {
        let events = send(&url, JSON, &body).unwrap();
        let message = events[0].message().unwrap();
        assert_eq!((message.text.as_str(), message.segments), ("by json", Some(2)));
    }
    let url = format!("{URL}?bodySHA256={hash}");
    for (label, url, content_type, body) in [
        ("changed body", url.as_str(), JSON, body.replace("json", "Jason")),
        ("emptied body", &url, JSON, String::new()),
        ("no hash: the body would be unsigned", URL, JSON, body.clone()),
        ("hash in another case of the name", &url.replace("bodySHA", "bodysha"), JSON, body.clone()),
        ("hash cut short", &url[..url.len() - 2], JSON, body.clone()),
        ("no hex", &format!("{URL}?bodySHA256=zz"), JSON, body.clone()),
        ("blank hash", &format!("{URL}?bodySHA256="), JSON, body.clone()),
        ("called a form, which signs parameters", &url, FORM, body.clone()),
        ("called a text", &url, ("content-type", "text/plain"), body.clone()),
    ] {
        assert_refused(label, send(url, content_type, &body), Kind::Unverified);
    }
    // The hash is right and the URL is not signed.
    let request = webhook(Method::POST, &url, &[JSON, (SIGNATURE, &sha1("another", &url))], body.clone());
    assert_refused("wrong token", receive(&request, &candidates), Kind::Unverified);

    for (body, kind) in
        [("{", Kind::Validation), ("[]", Kind::Validation), (r#"{"MessageSid":"SM1"}"#, Kind::Validation)]
    {
        let hash = hex::encode(digest::digest(&digest::SHA256, body.as_bytes()));
        assert_refused(body, send(&format!("{URL}?bodySHA256={hash}"), JSON, body), kind);
    }
    let other = r#"{"specversion":"1.0"}"#;
    let hash = hex::encode(digest::digest(&digest::SHA256, other.as_bytes()));
    let events = send(&format!("{URL}?bodySHA256={hash}"), JSON, other).unwrap();
    assert_eq!(events, [Event::ignored(Ignored::OtherEvent)]);
}

#[test]
fn shared_keys_sign_what_names_them() {
    let candidates = accounts(json!([{"provider": "twilio", "auth_tokens": [TOKEN],
                                      "shared_keys": {"SK1": "first shared", "SK2": "second shared"}}]));
    let sha256 = hmac::HMAC_SHA256;
    let sha1 = hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY;
    let pairs = with(&[]);
    for (label, settings, algorithm, secret, accepted) in [
        ("sha256", "key=SK1,algorithm=HMAC_SHA256", sha256, "first shared", true),
        ("sha1", "key=SK2,algorithm=HMAC_SHA1", sha1, "second shared", true),
        ("other order and blanks", "algorithm=HMAC_SHA256 , key=SK2", sha256, "second shared", true),
        ("a name of tomorrow", "key=SK1,algorithm=HMAC_SHA256,v=2", sha256, "first shared", true),
        ("another key's secret", "key=SK1,algorithm=HMAC_SHA256", sha256, "second shared", false),
        ("auth token", "key=SK1,algorithm=HMAC_SHA1", sha1, TOKEN, false),
        ("auth token under sha256", "key=SK1,algorithm=HMAC_SHA256", sha256, TOKEN, false),
        ("algorithms differ", "key=SK1,algorithm=HMAC_SHA1", sha256, "first shared", false),
        ("unknown key", "key=SK9,algorithm=HMAC_SHA1", sha1, TOKEN, false),
        ("unknown algorithm", "key=SK1,algorithm=HMAC_MD5", sha256, "first shared", false),
        ("algorithm in lower case", "key=SK1,algorithm=hmac_sha256", sha256, "first shared", true),
        ("no algorithm", "key=SK1", sha1, "first shared", true),
        ("no algorithm and the auth token", "key=SK1", sha1, TOKEN, true),
        ("no algorithm and SHA-256", "key=SK1", sha256, "first shared", false),
        ("no algorithm and an unknown key", "key=SK9", sha1, TOKEN, false),
        ("neither", "v=2", sha1, TOKEN, true),
        ("blank algorithm", "key=SK1,algorithm=", sha1, "first shared", false),
        ("no key", "algorithm=HMAC_SHA1", sha1, TOKEN, false),
        ("blank key", "key=,algorithm=HMAC_SHA1", sha1, TOKEN, false),
        ("two keys", "key=SK1,key=SK2,algorithm=HMAC_SHA256", sha256, "first shared", false),
        ("two algorithms", "key=SK1,algorithm=HMAC_SHA256,algorithm=HMAC_SHA1", sha256, "first shared", false),
        ("blank header, as twilio-python", "", sha1, TOKEN, true),
        ("blank header and SHA-256", "", sha256, TOKEN, false),
        ("noise", "HMAC_SHA256", sha256, "first shared", false),
    ] {
        let signature = mac(algorithm, secret, &signed(URL, &pairs));
        let headers = [FORM, (SIGNATURE, signature.as_str()), (SIGNATURE_SETTINGS, settings)];
        let request = webhook(Method::POST, URL, &headers, form(&pairs));
        assert_eq!(receive(&request, &candidates).is_ok(), accepted, "{label}");
    }
    // Without the header, shared keys sign nothing.
    let signature = mac(sha1, "first shared", &signed(URL, &pairs));
    let request = webhook(Method::POST, URL, &[FORM, (SIGNATURE, &signature)], form(&pairs));
    assert_refused("no settings header", receive(&request, &candidates), Kind::Unverified);

    // An account may have shared keys only.
    let only = accounts(json!([{"provider": "twilio", "shared_keys": {"SK1": "first shared"}}]));
    assert_refused("no auth token", receive(&request, &only), Kind::Unverified);
    let signature = mac(sha256, "first shared", &signed(URL, &pairs));
    let settings = (SIGNATURE_SETTINGS, "key=SK1,algorithm=HMAC_SHA256");
    receive_one(&webhook(Method::POST, URL, &[FORM, (SIGNATURE, &signature), settings], form(&pairs)), &only);
}

#[test]
fn any_token_of_a_rotation_signs() {
    let rotating = accounts(json!([{"provider": "twilio", "auth_tokens": ["new", TOKEN, "older"]}]));
    receive_one(&post(URL, &with(&[])), &rotating);
    let rotated = accounts(json!([{"provider": "twilio", "auth_tokens": ["new"]}]));
    let request = post(URL, &with(&[]));
    let error = request.verify(&rotated).unwrap_err();
    assert!(Rejection::of(&error).unwrap().may_be_rotation());
    assert_refused("no candidate", receive(&request, &[]), Kind::Unverified);
}

#[test]
fn accounts_are_chosen_by_secret_and_then_by_name() {
    let chosen = |document: Value, changes: &[(&str, &str)]| {
        let request = post(URL, &with(changes));
        let candidates = accounts(document);
        account_name(&request, &candidates)
    };
    let ours = "AC00000000000000000000000000000001";
    let account = |name: &str, token: &str, sid: Option<&str>, numbers: &[&str]| {
        let numbers: serde_json::Map<_, _> = numbers.iter().map(|number| ((*number).to_owned(), json!({}))).collect();
        json!({"name": name, "provider": "twilio", "auth_tokens": [token], "account_sid": sid, "numbers": numbers})
    };
    for (label, document, expected) in [
        ("the secret alone", json!([account("a", "x", None, &[]), account("b", TOKEN, None, &[])]), "b"),
        ("another's sid hurts no one", json!([account("a", TOKEN, Some("AC9"), &[])]), "a"),
        (
            "the sid is no proof",
            json!([account("a", "x", Some(ours), &[]), account("b", TOKEN, Some("AC9"), &[])]),
            "b",
        ),
        ("the first of equals", json!([account("a", TOKEN, None, &[]), account("b", TOKEN, None, &[])]), "a"),
        ("the sid", json!([account("a", TOKEN, None, &[]), account("b", TOKEN, Some(ours), &[])]), "b"),
        (
            "no sid before a wrong one",
            json!([account("a", TOKEN, Some("AC9"), &[]), account("b", TOKEN, None, &[])]),
            "b",
        ),
        ("the number", json!([account("a", TOKEN, None, &["+19"]), account("b", TOKEN, None, &["+12028831111"])]), "b"),
        (
            "the sid before the number",
            json!([account("a", TOKEN, None, &["+12028831111"]), account("b", TOKEN, Some(ours), &[])]),
            "b",
        ),
    ] {
        assert_eq!(chosen(document, &[]), expected, "{label}");
    }
    // What can't be read is still proved, and still refused.
    let pair = json!([account("a", TOKEN, None, &[]), account("b", TOKEN, None, &[])]);
    assert_refused("unreadable", receive(&post(URL, &with(&[("To", "")])), &accounts(pair)), Kind::Validation);
}

#[test]
fn channels_are_told_apart() {
    for (label, changes, channel, from, to) in [
        ("sms", vec![], Channel::Sms, "+14133881111", "+12028831111"),
        ("mms", vec![("NumMedia", "1"), ("MediaUrl0", "https://m")], Channel::Mms, "+14133881111", "+12028831111"),
        (
            "whatsapp",
            vec![("From", "whatsapp:+14133881111"), ("To", "whatsapp:+12028831111")],
            Channel::Whatsapp,
            "+14133881111",
            "+12028831111",
        ),
        (
            "prefix of one only",
            vec![("To", "whatsapp:+12028831111")],
            Channel::Whatsapp,
            "+14133881111",
            "+12028831111",
        ),
        (
            "WaId",
            vec![("WaId", "14133881111"), ("From", "14133881111")],
            Channel::Whatsapp,
            "+14133881111",
            "+12028831111",
        ),
        (
            "whatsapp with media",
            vec![("From", "whatsapp:+14133881111"), ("MediaUrl0", "https://m")],
            Channel::Whatsapp,
            "+14133881111",
            "+12028831111",
        ),
        (
            "rcs",
            vec![("From", "rcs:+14133881111"), ("To", "rcs:acme_agent")],
            Channel::Rcs,
            "+14133881111",
            "acme_agent",
        ),
        ("short code", vec![("From", "12345"), ("To", "67890")], Channel::Sms, "12345", "67890"),
    ] {
        let message = parsed(&changes);
        assert_eq!((message.channel, message.from.as_str(), message.to.as_str()), (channel, from, to), "{label}");
    }
}

#[test]
fn senders_without_a_number_are_kept() {
    let bsuid = "US.13491208655302741918";
    let prefixed = "whatsapp:US.13491208655302741918";
    for (label, changes, from, kind, alternative) in [
        ("in From", vec![("From", prefixed)], bsuid, Some(FromKind::Bsuid), None),
        ("in both", vec![("From", prefixed), ("ExternalUserId", prefixed)], bsuid, Some(FromKind::Bsuid), None),
        ("no From", vec![("From", ""), ("ExternalUserId", prefixed)], bsuid, Some(FromKind::Bsuid), None),
        ("bare prefix", vec![("From", "whatsapp:"), ("ExternalUserId", prefixed)], bsuid, Some(FromKind::Bsuid), None),
        ("beside a number", vec![("ExternalUserId", prefixed)], "+14133881111", None, Some(bsuid)),
    ] {
        let message = parsed(&changes);
        assert_eq!(
            (message.from.as_str(), message.from_kind, message.channel),
            (from, kind, Channel::Whatsapp),
            "{label}"
        );
        assert_eq!(message.alt_ids, alternative.map(|id| vec![id.to_owned()]), "{label}");
    }
    assert_eq!(parsed(&[("From", "12345")]).from_kind, Some(FromKind::Shortcode));
    assert_eq!(parsed(&[("From", "ACME")]).from_kind, Some(FromKind::Alpha));
}

#[test]
fn media_come_in_the_order_of_their_index() {
    let message = parsed(&[
        ("NumMedia", "1000000000"),
        ("MediaUrl10", "https://api.twilio.com/10"),
        ("MediaUrl2", "https://api.twilio.com/2"),
        ("MediaContentType2", "image/jpeg"),
        ("MediaUrl0", "https://api.twilio.com/0"),
        ("MediaContentType0", "application/smil"),
        ("MediaUrl1", ""),
        ("MediaUrl", "https://api.twilio.com/none"),
        ("MediaUrlX", "https://api.twilio.com/letter"),
        ("MediaUrl99999999999999999999", "https://api.twilio.com/huge"),
    ]);
    let urls: Vec<_> = message.media.iter().filter_map(|media| media.url.as_deref()).collect();
    assert_eq!(urls, ["https://api.twilio.com/2", "https://api.twilio.com/10"]);
    assert_eq!(message.media[0].content_type.as_deref(), Some("image/jpeg"));
    assert_eq!(message.channel, Channel::Mms);
}

#[test]
fn further_fields_are_kept() {
    let message = parsed(&[
        ("From", "whatsapp:+14133881111"),
        ("To", "whatsapp:+12028831111"),
        ("Body", ""),
        ("ButtonText", "Yes, please"),
        ("ButtonPayload", "yes_1"),
        ("ProfileName", "Zo\u{eb}\0"),
        ("OriginalRepliedMessageSid", "SM0"),
        ("MessagingServiceSid", "MG1"),
        ("NumSegments", "3"),
        ("Latitude", "52.5"),
        ("Longitude", "-13.25"),
        ("Label", "Office"),
        ("Address", "1 Main St"),
    ]);
    assert_eq!(message.text, "Yes, please");
    assert_eq!(message.button_payload.as_deref(), Some("yes_1"));
    assert_eq!(message.profile_name.as_deref(), Some("Zoë"));
    assert_eq!(message.in_reply_to.as_deref(), Some("SM0"));
    assert_eq!(message.messaging_service.as_deref(), Some("MG1"));
    assert_eq!(message.segments, Some(3));
    let expected =
        Location { latitude: 52.5, longitude: -13.25, name: Some("Office".into()), address: Some("1 Main St".into()) };
    assert!(message.location == Some(expected));

    for (name, value) in [("Latitude", "91"), ("Latitude", "NaN"), ("Latitude", "x"), ("Longitude", "inf")] {
        let mut changes = vec![("Latitude", "1"), ("Longitude", "1")];
        changes.retain(|(changed, _)| *changed != name);
        changes.push((name, value));
        assert!(parsed(&changes).location.is_none(), "{name}={value}");
    }
    for segments in ["", "-1", "many", "99999999999"] {
        assert_eq!(parsed(&[("NumSegments", segments)]).segments, None);
    }
    assert_eq!(parsed(&[("Body", "a\0b")]).text, "ab");
}

#[test]
fn opt_outs_are_recognised() {
    for (changes, expected) in [
        (vec![("OptOutType", "STOP"), ("Body", "quit")], Some(OptOut::Stop)),
        (vec![("OptOutType", "START"), ("Body", "yes")], Some(OptOut::Start)),
        (vec![("OptOutType", "HELP"), ("Body", "STOP")], Some(OptOut::Help)),
        (vec![("OptOutType", "OTHER"), ("Body", "hi")], None),
        (vec![("Body", " Stop ")], Some(OptOut::Stop)),
        (vec![("Body", "start")], Some(OptOut::Start)),
        (vec![("Body", "END")], None),
        (vec![("Body", "please stop")], None),
        (vec![("Body", "STOP"), ("From", "whatsapp:+14133881111")], None),
        (vec![("OptOutType", "STOP"), ("From", "whatsapp:+14133881111")], Some(OptOut::Stop)),
    ] {
        assert_eq!(parsed(&changes).opt_out, expected, "{changes:?}");
    }
    let own = accounts(json!([{"provider": "twilio", "auth_tokens": [TOKEN], "opt_out_words": ["END"]}]));
    assert_eq!(receive_one(&post(URL, &with(&[("Body", "end")])), &own).opt_out, Some(OptOut::Stop));
    assert_eq!(receive_one(&post(URL, &with(&[("Body", "stop")])), &own).opt_out, None);
}

#[test]
fn what_is_no_message_is_ignored() {
    assert_eq!(ignored(&[("MessageStatus", "something-new")]), "status");
    assert_eq!(ignored(&[("MessageSid", ""), ("CallSid", "CA1")]), "a call");
    assert_eq!(ignored(&[("From", "messenger:1234"), ("To", "messenger:5678")]), "unsupported channel");
    assert_eq!(ignored(&[("MessageType", "reaction")]), "reaction");
    assert_eq!(ignored(&[("MessageType", "system")]), "system message");
    assert_eq!(parsed(&[("SmsStatus", "received"), ("MessageStatus", "received")]).message_id, SID);
}

#[test]
fn statuses_are_read() {
    let read = |changes: &[(&str, &str)]| {
        reported(&receive(&post(URL, &with(changes)), &accounts(json!([account()]))).unwrap()).remove(0)
    };
    for (status, state) in [
        ("queued", "sent - -"),
        ("sending", "sent - -"),
        ("sent", "sent - -"),
        ("delivered", "delivered - -"),
        ("undelivered", "failed - UNDELIVERED"),
        ("failed", "failed - UNDELIVERED"),
        ("read", "read - -"),
    ] {
        assert_eq!(read(&[("MessageStatus", status)]), format!("{SID} {state}"));
    }
    assert_eq!(read(&[("SmsStatus", "delivered")]), format!("{SID} delivered - -"));
    let failed = |code: &str| read(&[("MessageStatus", "undelivered"), ("ErrorCode", code)]);
    assert_eq!(failed("21610"), format!("{SID} failed 21610 UNSUBSCRIBED opt-out"));
    assert_eq!(failed("63016"), format!("{SID} failed 63016 WINDOW_CLOSED"));
    assert_eq!(failed("99999"), format!("{SID} failed 99999 UNDELIVERED"));
}

#[test]
fn what_cant_be_shown_is_told() {
    let flow = r#"{"flow_token":"secret","name":"Ada"}"#;
    let interactive = r#"{"nfm_reply":{"response_json":"{\"flow_token\":\"secret\",\"name\":\"Ada\"}"}}"#;
    for (changes, expected, described) in [
        (vec![("MessageType", "unsupported"), ("Body", "")], "[unsupported message]", true),
        (vec![("MessageType", "order"), ("Body", "")], "[unsupported message]", true),
        (vec![("MessageType", "order"), ("Body", "Hello")], "Hello", false),
        (vec![("MessageType", "interactive"), ("Body", ""), ("FlowData", flow)], "[form] name: Ada", true),
        (
            vec![("MessageType", "interactive"), ("Body", ""), ("InteractiveData", interactive)],
            "[form] name: Ada",
            true,
        ),
        (vec![("Body", ""), ("ListTitle", "Blue"), ("ListId", "b")], "Blue", false),
        (vec![("Body", "a\u{ffff}b\u{fffe}")], "a\u{fffd}b\u{fffd}", false),
    ] {
        let message = parsed(&changes);
        assert_eq!((message.text.as_str(), message.described), (expected, described), "{changes:?}");
    }
    assert_eq!(parsed(&[("Body", ""), ("ListTitle", "Blue"), ("ListId", "b")]).button_payload.as_deref(), Some("b"));
}

#[test]
fn who_comes_from_an_advertisement_is_known() {
    let message = parsed(&[
        ("ReferralSourceId", "1201"),
        ("ReferralHeadline", "Mugs"),
        ("ReferralSourceUrl", "https://fb.me/x"),
        ("ReferralBody", "Buy"),
    ]);
    let referral = message.referral.unwrap();
    assert_eq!(
        (referral.source_id.as_deref(), referral.headline.as_deref(), referral.url.as_deref()),
        (Some("1201"), Some("Mugs"), Some("https://fb.me/x"))
    );
    assert!(parsed(&[("ReferralHeadline", "")]).referral.is_none());
}

#[test]
fn what_is_malformed_is_refused_after_it_is_proved() {
    let candidates = accounts(json!([account()]));
    let longer = format!("{SID}NumMedia0");
    for (label, changes) in [
        ("no id", vec![("MessageSid", "")]),
        ("id of NULs", vec![("MessageSid", "\0")]),
        ("an id that swallowed its neighbour", vec![("MessageSid", longer.as_str())]),
        ("no sender", vec![("From", " ")]),
        ("a prefix for a sender", vec![("From", "whatsapp:")]),
        ("no recipient", vec![("To", "")]),
        ("a prefix for a recipient", vec![("To", "whatsapp:")]),
    ] {
        assert_refused(label, receive(&post(URL, &with(&changes)), &candidates), Kind::Validation);
    }
    // Signed as the frameworks of the SDKs decode it.
    let body = form(&with(&[])).replace("Hello+agent", "%FF%C0");
    let pairs: Vec<_> = form_urlencoded::parse(body.as_bytes()).collect();
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect();
    let signature = sha1(TOKEN, &signed(URL, &pairs));
    let request = webhook(Method::POST, URL, &[FORM, (SIGNATURE, &signature)], body);
    assert_eq!(receive_one(&request, &candidates).text, "\u{fffd}\u{fffd}");

    let large = with(&[("Body", "x")]);
    let mut request = post(URL, &large);
    request.body = "x".repeat(3_000_000).into();
    assert_refused("3 MB", receive(&request, &candidates), Kind::Validation);
}

/// What Twilio signed, decoded: two webhooks that are equal in this say the same.
fn meaning(webhook: &Webhook) -> (String, Vec<(String, String)>) {
    let mut pairs: Vec<_> = form_urlencoded::parse(&webhook.body).into_owned().collect();
    pairs.sort();
    (webhook.url(), pairs)
}

proptest! {
    #[test]
    fn anything_may_arrive(
        body in prop::collection::vec(any::<u8>(), 0..300),
        query in prop::option::of("[ -~]{0,40}"),
        signature in "[ -~]{0,40}",
        settings in prop::option::of("[ -~]{0,40}"),
        content_type in prop::sample::select(vec!["application/json", "text/plain", "", "application/x-www-form-urlencoded"]),
        get in any::<bool>(),
    ) {
        let mut headers = vec![("content-type", content_type), (SIGNATURE, signature.as_str())];
        headers.extend(settings.as_deref().map(|settings| (SIGNATURE_SETTINGS, settings)));
        let mut request = webhook(if get { Method::GET } else { Method::POST }, URL, &headers, body);
        request.query = query;
        prop_assert!(receive(&request, &accounts(json!([account()]))).is_err());
    }

    #[test]
    fn what_is_accepted_reaches_the_agent(
        kind in "text|image|interactive|order|unsupported|reaction|system|[a-z]{1,6}",
        field in "Body|MediaUrl0|ButtonText|ListTitle|FlowData|Latitude|ButtonPayload",
        value in any_content(),
    ) {
        let value = value.to_string();
        let body = if field == "Body" { &*value } else { "" };
        let changes = [("Body", body), ("MessageType", kind.as_str()), (field.as_str(), value.as_str())];
        let known = ["text", "image", "interactive"].contains(&kind.as_str());
        let events = receive(&post(URL, &with(&changes)), &accounts(json!([account()]))).unwrap();
        // A blank message of a kind that we know is one.
        if !known || field == "Body" || field == "MediaUrl0" {
            assert_tells_the_agent(&events);
        }
    }

    #[test]
    fn anything_may_be_signed(pairs in prop::collection::vec(
        (prop::sample::select(vec!["MessageSid", "From", "To", "Body", "MediaUrl0", "NumMedia", "Latitude", "Longitude",
                                   "ExternalUserId", "SmsStatus", "x"]), any::<String>()), 0..12)
    ) {
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
        match receive(&post(URL, &pairs), &accounts(json!([account()]))) {
            Ok(_) => {}
            Err(error) => prop_assert_eq!(error.kind(), Kind::Validation),
        }
    }

    #[test]
    fn no_bit_may_change(place in any::<prop::sample::Index>(), bit in 0..8_u8, part in 0..3) {
        let candidates = accounts(json!([account()]));
        let request = post(&format!("{URL}?tenant=a"), &with(&[("Body", "Grüße & mehr")]));
        let mut changed = request.clone();
        let flip = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
            bytes
        };
        match part {
            0 => changed.body = flip(&request.body).into(),
            1 => {
                let Ok(query) = String::from_utf8(flip(b"tenant=a")) else { return Ok(()) };
                changed.query = Some(query);
            }
            _ => {
                let Ok(value) = http::HeaderValue::from_bytes(&flip(request.headers[SIGNATURE].as_bytes())) else { return Ok(()) };
                changed.headers.insert(SIGNATURE, value);
            }
        }
        let same = part == 0 && meaning(&changed) == meaning(&request);
        prop_assert_eq!(changed.verify(&candidates).is_ok(), same);
    }
}

fn sender() -> Value {
    json!({"provider": "twilio", "account_sid": "AC1", "auth_tokens": [TOKEN, "previous"]})
}

fn with_fields(mut account: Value, fields: &Value) -> Value {
    account.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    account
}

#[test]
fn a_text_is_a_form() {
    let basic = |user: &str, password: &str| STANDARD.encode(format!("{user}:{password}"));
    for (account, channel, from, to, authorization, addresses) in [
        (sender(), Channel::Sms, TEXT.from, TEXT.to, basic("AC1", TOKEN), "To=%2B14133881111&From=%2B12028831111"),
        (sender(), Channel::Mms, "12345", TEXT.to, basic("AC1", TOKEN), "To=%2B14133881111&From=12345"),
        (
            with_fields(sender(), &json!({"api_key_sid": "SK1", "api_key_secret": "s"})),
            Channel::Whatsapp,
            TEXT.from,
            "US.13491208655302741918",
            basic("SK1", "s"),
            "To=whatsapp%3AUS.13491208655302741918&From=whatsapp%3A%2B12028831111",
        ),
        (sender(), Channel::Rcs, "agent", TEXT.to, basic("AC1", TOKEN), "To=rcs%3A%2B14133881111&From=rcs%3Aagent"),
    ] {
        let text = Outbound { channel, from, to, ..TEXT };
        let expected = (
            "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages.json".to_owned(),
            "application/x-www-form-urlencoded".to_owned(),
            vec![("authorization".to_owned(), format!("Basic {authorization}"))],
            format!("{addresses}&Body=Hello+%26+bye"),
        );
        assert_eq!(send_request(account, &text).unwrap(), expected);
    }
}

#[test]
fn an_account_that_only_receives_does_not_send() {
    assert_cannot_send(account(), &TEXT, "account_sid is missing");
    let hostile = with_fields(sender(), &json!({"account_sid": "AC1/../AC2"}));
    assert_cannot_send(hostile, &TEXT, "the account's id can't stand in a URL");
    let shared = json!({"provider": "twilio", "account_sid": "AC1", "shared_keys": {"KY1": "key"}});
    assert_cannot_send(shared, &TEXT, "auth_tokens, or api_key_sid and api_key_secret, are missing");
    let key = with_fields(account(), &json!({"api_key_sid": "SK1", "api_key_secret": "s"}));
    assert_eq!(warnings(key), ["accounts[0]: account_sid is missing, so the account can't send"]);
    assert!(warnings(account()).is_empty() && warnings(sender()).is_empty());
}

#[test]
fn answers_are_understood() {
    let error = |code: u32| format!(r#"{{"code":{code},"message":"+14133881111 …","more_info":"…","status":400}}"#);
    assert_answers(
        sender(),
        &[
            (201, r#"{"sid":"SM1","status":"queued","error_code":null}"#, None),
            (200, "", None),
            (400, &error(21610), Some(Reason::OptedOut)),
            (400, &error(21211), Some(Reason::Refused)),
            (400, "<html>", Some(Reason::Refused)),
            (401, &error(20003), Some(Reason::Misconfigured)),
            (404, &error(20404), Some(Reason::Misconfigured)),
            (429, &error(20429), Some(Reason::Throttled)),
            (400, &error(63018), Some(Reason::Throttled)),
            (400, &error(21611), Some(Reason::ThrottledHere)),
            (500, &error(20500), Some(Reason::Unavailable)),
            (503, "", Some(Reason::Unavailable)),
            (502, "", Some(Reason::Unknown)),
            (504, "", Some(Reason::Unknown)),
            (307, "", Some(Reason::Misconfigured)),
        ],
    );
}
