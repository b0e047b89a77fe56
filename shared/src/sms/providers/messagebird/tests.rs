use std::sync::Arc;

use aws_lc_rs::{
    digest::{SHA256, digest},
    hmac,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::Method;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::SIGNATURE;
use crate::{
    error::Kind,
    settings::{Account, Settings},
    sms::{
        contract::Answer,
        event::{Event, Ignored},
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

const URL: &str = "https://sms.example.com/sms/messagebird";
const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const BODY: &str = "id=e8077d803532c0b5937c639b60216938&recipient=31612345678&originator=31687654321&body=Hello+agent\
                    &createdDatetime=2026-09-21T14%3A13%3A18%2B00%3A00";

fn account() -> Value {
    json!({"provider": "messagebird", "signing_keys": ["mb-key"]})
}

fn candidates() -> Vec<Arc<Account>> {
    accounts(json!([account()]))
}

fn hash(content: impl AsRef<[u8]>) -> String {
    hex::encode(digest(&SHA256, content.as_ref()))
}

/// The claims of a request as MessageBird makes them.
fn claims(url: &str, body: &[u8]) -> Value {
    let mut claims = json!({"iss": "MessageBird", "nbf": NOW - 1, "iat": NOW - 1, "exp": NOW + 59, "jti": "e92eb7e1",
                            "url_hash": hash(url)});
    if !body.is_empty() {
        claims["payload_hash"] = json!(hash(body));
    }
    claims
}

fn sign_with(algorithm: hmac::Algorithm, header: &Value, key: &str, claims: &Value) -> String {
    let signed =
        format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = hmac::sign(&hmac::Key::new(algorithm, key.as_bytes()), signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn sign(key: &str, claims: &Value) -> String {
    sign_with(hmac::HMAC_SHA256, &json!({"alg": "HS256", "typ": "JWT"}), key, claims)
}

fn request(method: Method, url: &str, content_type: &str, body: &[u8], token: &str) -> Webhook {
    webhook(method, url, &[("content-type", content_type), (SIGNATURE, token)], body.to_vec())
}

fn post_as(content_type: &str, body: impl AsRef<[u8]>) -> Webhook {
    let body = body.as_ref();
    request(Method::POST, URL, content_type, body, &sign("mb-key", &claims(URL, body)))
}

fn get(query: &str) -> Webhook {
    let url = format!("{URL}?{query}");
    request(Method::GET, &url, FORM, b"", &sign("mb-key", &claims(&url, b"")))
}

/// A message with some parameters changed; an empty name of a change takes nothing away, null does.
fn fields(changes: &Value) -> Map<String, Value> {
    let mut fields = json!({"id": "e8077d803532c0b5937c639b60216938", "recipient": "31612345678",
                            "originator": "31687654321", "body": "Hello agent",
                            "createdDatetime": "2026-09-21T14:13:18+00:00"});
    let fields = fields.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            fields.remove(name);
        } else {
            fields.insert(name.clone(), value.clone());
        }
    }
    std::mem::take(fields)
}

fn form(changes: &Value) -> String {
    let fields = fields(changes);
    let pairs = fields.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap()));
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

#[expect(clippy::needless_pass_by_value, reason = "tests write `parsed(json!(…))`")]
fn parsed(changes: Value) -> Message {
    receive_one(&post_as(FORM, form(&changes)), &candidates())
}

#[test]
fn the_vectors_hold() {
    run_vectors(include_str!("vectors/messagebird.json"));
}

#[test]
fn every_shape_is_the_same_message() {
    let expected = json!({
        "provider": "messagebird", "channel": "sms", "message_id": "e8077d803532c0b5937c639b60216938",
        "from": "+31687654321", "to": "+31612345678", "text": "Hello agent", "media": [],
        "received_at": "2026-09-21T14:13:18Z"
    });
    let json_body = Value::from(fields(&json!({}))).to_string();
    for (label, request) in [
        ("form", post_as(FORM, BODY)),
        ("form with a charset", post_as("application/x-www-form-urlencoded; charset=UTF-8", BODY)),
        ("no type", post_as("", BODY)),
        ("JSON", post_as(JSON, &json_body)),
        ("JSON with a charset", post_as("application/json; charset=utf-8", &json_body)),
        ("GET", get(BODY)),
        (
            "a short code's",
            post_as(
                FORM,
                "mid=e8077d803532c0b5937c639b60216938&shortcode=31612345678&originator=31687654321\
                                          &message=Hello+agent&receive_datetime=20260921141318",
            ),
        ),
        (
            "a short code's by GET",
            get("mid=e8077d803532c0b5937c639b60216938&shortcode=31612345678&originator=31687654321\
                                       &message=Hello+agent&receive_datetime=20260921141318"),
        ),
        ("fields of tomorrow", post_as(FORM, format!("{BODY}&x=1&y[]=2"))),
    ] {
        assert_eq!(serde_json::to_value(receive_one(&request, &candidates())).unwrap(), expected, "{label}");
    }
    let short = receive_one(
        &post_as(
            FORM,
            "mid=1&shortcode=1008&keyword=HELLO&originator=31687654321&message=HELLO+x&receive_datetime=20260921141318",
        ),
        &candidates(),
    );
    assert_eq!((short.to.as_str(), short.text.as_str()), ("1008", "HELLO x"));
}

#[test]
fn media_make_an_mms() {
    let two = json!([{"url": "https://m.example/1.jpg"}, {"url": "https://m.example/2.mp4"}]);
    let form = |names: [&str; 2]| {
        format!("{BODY}&{}=https%3A%2F%2Fm.example%2F1.jpg&{}=https%3A%2F%2Fm.example%2F2.mp4", names[0], names[1])
    };
    let list = json!(["https://m.example/1.jpg", "https://m.example/2.mp4"]);
    for (label, request) in [
        ("repeated", post_as(FORM, form(["mediaUrls", "mediaUrls"]))),
        ("in capitals", post_as(FORM, form(["mediaURLs", "mediaURLs"]))),
        ("with brackets", post_as(FORM, form(["mediaUrls%5B%5D", "mediaUrls%5B%5D"]))),
        ("numbered", post_as(FORM, form(["mediaUrls[0]", "mediaUrls[1]"]))),
        ("by GET", get(&form(["mediaUrls", "mediaUrls"]))),
        ("in JSON", post_as(JSON, Value::from(fields(&json!({"mediaUrls": list}))).to_string())),
        ("in JSON, in capitals", post_as(JSON, Value::from(fields(&json!({"mediaURLs": list}))).to_string())),
    ] {
        let message = receive_one(&request, &candidates());
        assert_eq!(
            (message.channel, serde_json::to_value(&message.media).unwrap()),
            (Channel::Mms, two.clone()),
            "{label}"
        );
    }
    for (label, media, count) in [
        ("one, not in a list", json!("https://m.example/1"), 1),
        ("odd ones among them", json!([1, "", " ", null, "https://m.example/1", {}]), 1),
        ("none", json!([]), 0),
        ("an object", json!({"a": 1}), 0),
    ] {
        let message =
            receive_one(&post_as(JSON, Value::from(fields(&json!({"mediaUrls": media}))).to_string()), &candidates());
        assert_eq!(message.media.len(), count, "{label}");
    }
    let only = receive_one(
        &post_as(FORM, form(["mediaUrls", "mediaUrls"]).replace("body=Hello+agent", "body=")),
        &candidates(),
    );
    assert_eq!((only.text.as_str(), only.media.len()), ("", 2));
}

#[test]
fn what_a_message_can_do_without_may_be_odd() {
    for (time, expected) in [
        ("2026-09-21T14:13:18+00:00", Some("2026-09-21T14:13:18Z")),
        ("2026-09-21T16:13:18+02:00", Some("2026-09-21T14:13:18Z")),
        ("2026-09-21T14:13:18Z", Some("2026-09-21T14:13:18Z")),
        ("2026-09-21 14:13:18", None),
        ("", None),
        ("20260921", None),
    ] {
        assert_eq!(parsed(json!({"createdDatetime": time})).received_at.as_deref(), expected, "{time}");
    }
    for (time, expected) in [
        ("20260921141318", Some("2026-09-21T14:13:18Z")),
        ("20260931141318", None),
        ("2026092114131", None),
        ("x", None),
    ] {
        let changes = json!({"createdDatetime": null, "receive_datetime": time});
        assert_eq!(parsed(changes).received_at.as_deref(), expected, "{time}");
    }
    assert_eq!(parsed(json!({"body": null})).text, "");
    assert_eq!(parsed(json!({"body": "  Hoi 👋 \r\n"})).text, "  Hoi 👋 \r\n");
    assert_eq!(parsed(json!({"body": "a\0b"})).text, "ab");
    assert_eq!(parsed(json!({"body": "Stop "})).opt_out, Some(OptOut::Stop));
    assert_eq!(parsed(json!({"originator": "ACME"})).from_kind, Some(FromKind::Alpha));
    assert_eq!(parsed(json!({"originator": "+31687654321"})).from, "+31687654321");
    let numbers =
        Value::from(fields(&json!({"originator": 31_687_654_321_u64, "recipient": 31_612_345_678_u64, "body": 42})));
    let message = receive_one(&post_as(JSON, numbers.to_string()), &candidates());
    assert_eq!(
        (message.from.as_str(), message.to.as_str(), message.text.as_str()),
        ("+31687654321", "+31612345678", "42")
    );
    // A byte that is no text costs the character, not the message.
    let latin = receive_one(&post_as(FORM, BODY.replace("Hello", "Gr%FC%DFe")), &candidates());
    assert_eq!(latin.text, "Gr\u{fffd}\u{fffd}e agent");
}

#[test]
fn reports_are_read() {
    let report = "id=e8077d80&reference=3b5f&recipient=31687654321&status=delivered&statusReason=successfully+delivered\
                  &statusDatetime=2026-09-21T14%3A13%3A18%2B00%3A00";
    let failed = r#"{"id":"1","status":"delivery_failed","statusErrorCode":103}"#;
    for (request, expected) in [
        (get(report), "e8077d80 delivered - -"),
        (post_as(FORM, report), "e8077d80 delivered - -"),
        (post_as(JSON, failed), "1 failed 103 UNSUBSCRIBED opt-out"),
    ] {
        assert_eq!(reported(&receive(&request, &candidates()).unwrap()), [expected]);
    }
    let new = get("id=1&status=waved");
    assert_eq!(receive(&new, &candidates()).unwrap(), [Event::ignored(Ignored::Status)]);
    // A customer's message may have a status, too.
    assert_eq!(parsed(json!({"status": "received"})).text, "Hello agent");
}

#[test]
fn what_is_malformed_is_refused_after_it_is_proved() {
    for (label, request) in [
        ("nothing", post_as(FORM, "")),
        ("nothing by GET", get("x=1")),
        ("a list", post_as(JSON, "[]")),
        ("cut short", post_as(JSON, "{")),
        ("JSON that is called a form", post_as(FORM, Value::from(fields(&json!({}))).to_string())),
        ("no originator", post_as(FORM, form(&json!({"originator": null})))),
        ("a blank originator", post_as(FORM, form(&json!({"originator": " "})))),
        ("no recipient", post_as(FORM, form(&json!({"recipient": null})))),
        ("no id", post_as(FORM, form(&json!({"id": null})))),
        ("a NUL for an id", post_as(FORM, form(&json!({"id": "\0"})))),
        ("a nested originator", post_as(JSON, Value::from(fields(&json!({"originator": ["3168"]}))).to_string())),
        ("3 MB", post_as(FORM, vec![b'a'; 3_000_000])),
    ] {
        assert_refused(label, receive(&request, &candidates()), Kind::Validation);
    }
    let mut put = post_as(FORM, BODY);
    put.method = Method::PUT;
    assert_refused("another method", receive(&put, &candidates()), Kind::MethodNotAllowed);
}

#[test]
fn any_of_the_sdks_algorithms_signs() {
    let body = BODY.as_bytes();
    let (hs256, hs384, hs512) = (hmac::HMAC_SHA256, hmac::HMAC_SHA384, hmac::HMAC_SHA512);
    for (label, algorithm, header, rejection) in [
        ("HS256", hs256, json!({"alg": "HS256", "typ": "JWT"}), None),
        ("HS384", hs384, json!({"alg": "HS384"}), None),
        ("HS512", hs512, json!({"alg": "HS512", "kid": "1"}), None),
        ("none", hs256, json!({"alg": "none"}), Some(Rejection::Malformed)),
        ("a public key's", hs256, json!({"alg": "RS256"}), Some(Rejection::Malformed)),
        ("SHA-1", hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, json!({"alg": "HS1"}), Some(Rejection::Malformed)),
        ("no algorithm", hs256, json!({}), Some(Rejection::Malformed)),
        ("an extension", hs256, json!({"alg": "HS256", "crit": ["b64"], "b64": false}), Some(Rejection::Malformed)),
        ("another than it says", hs256, json!({"alg": "HS512"}), Some(Rejection::Mismatch)),
    ] {
        let token = sign_with(algorithm, &header, "mb-key", &claims(URL, body));
        let verified = request(Method::POST, URL, FORM, body, &token).verify(&candidates()).map(|_| ());
        assert_eq!(verified.err().as_ref().and_then(Rejection::of), rejection, "{label}");
    }
}

#[test]
fn claims_must_cover_the_request() {
    let (malformed, mismatch, missing) = (Rejection::Malformed, Rejection::Mismatch, Rejection::Missing);
    let with = |changes: Value| {
        let mut claims = claims(URL, BODY.as_bytes());
        for (name, value) in changes.as_object().unwrap() {
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(name);
            } else {
                claims[name] = value.clone();
            }
        }
        sign("mb-key", &claims)
    };
    let url_hash = hash(URL);
    for (label, token, rejection) in [
        ("as it should be", with(json!({})), None),
        ("hashes in capitals", with(json!({"url_hash": url_hash.to_uppercase()})), None),
        ("claims of tomorrow", with(json!({"aud": ["x"]})), None),
        ("no iat", with(json!({"iat": null})), None),
        ("no token", " ".to_owned(), Some(missing)),
        ("no JWT", "x".to_owned(), Some(malformed)),
        ("another key", sign("mb-kez", &claims(URL, BODY.as_bytes())), Some(mismatch)),
        ("an empty key", sign("", &claims(URL, BODY.as_bytes())), Some(mismatch)),
        ("another issuer", with(json!({"iss": "messagebird"})), Some(malformed)),
        ("no issuer", with(json!({"iss": null})), Some(malformed)),
        ("no url_hash", with(json!({"url_hash": null})), Some(malformed)),
        ("another URL", with(json!({"url_hash": hash("https://other.example.com/sms/messagebird")})), Some(malformed)),
        ("http", with(json!({"url_hash": hash(URL.replace("https", "http"))})), Some(malformed)),
        ("a trailing slash", with(json!({"url_hash": hash(format!("{URL}/"))})), Some(malformed)),
        ("a query", with(json!({"url_hash": hash(format!("{URL}?a=1"))})), Some(malformed)),
        ("a hash cut short", with(json!({"url_hash": url_hash.get(..62)})), Some(malformed)),
        ("an empty hash", with(json!({"url_hash": ""})), Some(malformed)),
        ("no payload_hash", with(json!({"payload_hash": null})), Some(malformed)),
        ("another body", with(json!({"payload_hash": hash("x")})), Some(malformed)),
        ("a number for a hash", with(json!({"payload_hash": 1})), Some(malformed)),
        ("no jti", with(json!({"jti": null})), Some(malformed)),
        ("an empty jti", with(json!({"jti": ""})), Some(malformed)),
        ("no nbf", with(json!({"nbf": null})), Some(malformed)),
        ("no exp", with(json!({"exp": null})), Some(malformed)),
        ("an end before the beginning", with(json!({"exp": NOW - 2})), Some(malformed)),
        ("a text for a time", with(json!({"exp": (NOW + 59).to_string()})), Some(malformed)),
    ] {
        let request = request(Method::POST, URL, FORM, BODY.as_bytes(), &token);
        match (request.verify(&candidates()), rejection) {
            (Ok(_), None) => {}
            (Err(error), Some(rejection)) => {
                assert_eq!(Rejection::of(&error), Some(rejection), "{label}");
                assert_refused(label, receive(&request, &candidates()), Kind::Unverified);
            }
            (verified, _) => panic!("{label}: {verified:?}"),
        }
    }
    // The query of a GET is in the URL's hash, and there is no body to hash.
    let signed = get(BODY);
    let mut tampered = signed.clone();
    tampered.query = Some(BODY.replace("Hello", "Hallo"));
    assert_refused("another query", receive(&tampered, &candidates()), Kind::Unverified);
    let url = format!("{URL}?{BODY}");
    let mut with_hash = claims(&url, b"");
    with_hash["payload_hash"] = json!(hash(""));
    let request = request(Method::GET, &url, FORM, b"", &sign("mb-key", &with_hash));
    assert_refused("a hash of no body", receive(&request, &candidates()), Kind::Unverified);
    let mut twice = post_as(FORM, BODY);
    let token = twice.headers[SIGNATURE].clone();
    twice.headers.append(SIGNATURE, token);
    assert_refused("two tokens", receive(&twice, &candidates()), Kind::Unverified);
}

#[test]
fn the_signature_has_a_beginning_and_an_end() {
    for (label, starts, ends, max_age, accepted) in [
        ("now", 0, 60, None, true),
        ("a second early", 1, 61, None, true),
        ("too early", 2, 62, None, false),
        ("its last second", -60, 0, None, true),
        ("over", -61, -1, None, false),
        ("valid for long, old", -300, 3600, None, true),
        ("valid for long, too old", -301, 3600, None, false),
        ("over, at any age", -90_000, -89_940, Some(0), true),
        ("early, at any age", 90_000, 90_060, Some(0), true),
        ("the account's own age", -11, 60, Some(10), false),
        ("an age that is no longer than the token", -120, -60, Some(3600), false),
    ] {
        let mut account = account();
        if let Some(max_age) = max_age {
            account["max_age_seconds"] = json!(max_age);
        }
        let mut claims = claims(URL, BODY.as_bytes());
        claims["nbf"] = json!(NOW + starts);
        claims["exp"] = json!(NOW + ends);
        let request = request(Method::POST, URL, FORM, BODY.as_bytes(), &sign("mb-key", &claims));
        let candidates = accounts(json!([account]));
        let verified = request.verify(&candidates);
        assert_eq!(verified.is_ok(), accepted, "{label}");
        match verified {
            Ok(verified) => assert_eq!(verified.age_seconds(), Some(-starts), "{label}"),
            Err(error) => assert_eq!(Rejection::of(&error), Some(Rejection::Stale), "{label}"),
        }
    }
    let mut claims = claims(URL, BODY.as_bytes());
    (claims["nbf"], claims["exp"]) = (json!(i64::MIN), json!(i64::MAX));
    let endless = request(Method::POST, URL, FORM, BODY.as_bytes(), &sign("mb-key", &claims));
    assert_refused("from ever to ever", receive(&endless, &candidates()), Kind::Unverified);
}

#[test]
fn accounts_are_chosen_by_key_and_then_by_number() {
    let account = |name: &str, keys: &[&str], number: &str| json!({"name": name, "provider": "messagebird", "signing_keys": keys, "numbers": {number: {}}});
    for (label, document, expected) in [
        ("the key alone", json!([account("a", &["x"], "+31612345678"), account("b", &["mb-key"], "+1")]), "b"),
        ("the previous key", json!([account("a", &["new", "mb-key"], "+1")]), "a"),
        ("the number", json!([account("a", &["mb-key"], "+1"), account("b", &["mb-key"], "31612345678")]), "b"),
        ("the first of equals", json!([account("a", &["mb-key"], "+1"), account("b", &["mb-key"], "+2")]), "a"),
    ] {
        assert_eq!(account_name(&post_as(FORM, BODY), &accounts(document)), expected, "{label}");
    }
    for keys in [json!([]), json!(null), json!([""]), json!("mb-key")] {
        let document = json!({"accounts": [{"provider": "messagebird", "signing_keys": keys}]}).to_string();
        assert!(Settings::from_json(document.as_bytes()).is_err(), "{keys}");
    }
    let answer = Answer::to(ProviderId::Messagebird.facts(), &[]);
    assert_eq!((answer.status.as_u16(), answer.content_type, answer.body.as_ref()), (200, "text/plain", "OK"));
}

proptest! {
    #[test]
    fn what_is_accepted_reaches_the_agent(field in "body|message|mediaUrls", value in any_content()) {
        let json = Value::from(fields(&json!({"body": null, field.as_str(): value}))).to_string();
        let events = receive(&post_as(JSON, json), &candidates()).unwrap();
        if field != "mediaUrls" && !value.is_null() && value != json!([]) {
            assert_tells_the_agent(&events);
        }
    }

    #[test]
    fn anything_may_arrive(
        body in prop::collection::vec(any::<u8>(), 0..300),
        token in "[ -~]{0,100}",
        is_get in any::<bool>(),
    ) {
        let method = if is_get { Method::GET } else { Method::POST };
        prop_assert!(receive(&request(method, URL, FORM, &body, &token), &candidates()).is_err());
    }

    #[test]
    fn anything_may_be_signed(body in prop::collection::vec(any::<u8>(), 0..300), is_json in any::<bool>()) {
        let outcome = receive(&post_as(if is_json { JSON } else { FORM }, body), &candidates());
        prop_assert_eq!(outcome.unwrap_err().kind(), Kind::Validation);
    }

    #[test]
    fn any_text_arrives_as_it_is(text in r"[^\x00-\x08\x0b\x0c\x0e-\x1f\u{fffe}\u{ffff}]{0,100}") {
        prop_assert_eq!(&parsed(json!({"body": text.clone()})).text, &text);
        let json = Value::from(fields(&json!({"body": text.clone()}))).to_string();
        prop_assert_eq!(receive_one(&post_as(JSON, json), &candidates()).text, text);
    }

    #[test]
    fn no_bit_may_change(place in any::<prop::sample::Index>(), bit in 0..8_u8, part in 0..3) {
        let request = post_as(FORM, BODY);
        let mut changed = request.clone();
        let flip = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
            bytes
        };
        match part {
            0 => changed.body = flip(&request.body).into(),
            1 => changed.path = String::from_utf8_lossy(&flip(request.path.as_bytes())).into_owned(),
            _ => {
                let Ok(value) = http::HeaderValue::from_bytes(&flip(request.headers[SIGNATURE].as_bytes())) else {
                    return Ok(());
                };
                changed.headers.insert(SIGNATURE, value);
            }
        }
        prop_assert!(changed.verify(&candidates()).is_err());
    }
}

fn sender() -> Value {
    json!({"provider": "messagebird", "signing_keys": ["mb-key"], "access_key": "live_KEY1"})
}

#[test]
fn a_text_is_json_with_a_reference() {
    for (channel, from, originator) in [
        (Channel::Sms, TEXT.from, "12028831111"),
        (Channel::Mms, TEXT.from, "12028831111"),
        (Channel::Sms, "ACME", "ACME"),
    ] {
        let (url, content_type, headers, body) = send_request(sender(), &Outbound { channel, from, ..TEXT }).unwrap();
        assert_eq!(
            (url.as_str(), content_type.as_str()),
            ("https://rest.messagebird.com/messages", "application/json")
        );
        assert_eq!(headers, [("authorization".to_owned(), "AccessKey live_KEY1".to_owned())]);
        assert_eq!(
            serde_json::from_str::<Value>(&body).unwrap(),
            json!({"originator": originator, "recipients": ["14133881111"], "body": "Hello & bye", "datacoding": "auto",
                   "reference": TEXT.key.get(..32)})
        );
    }
    assert_cannot_send(account(), &TEXT, "access_key is missing");
    assert_eq!(accounts(json!([sender()]))[0].credentials.limit(Channel::Sms), Limit::Segments(9));
}

#[test]
fn answers_are_understood() {
    let error = |code: u32| format!(r#"{{"errors":[{{"code":{code},"description":"…","parameter":null}}]}}"#);
    assert_answers(
        sender(),
        &[
            (201, r#"{"id":"e8077d80","reference":"3b5f","recipients":{"totalCount":1}}"#, None),
            (201, "", None),
            (401, &error(2), Some(Reason::Misconfigured)),
            (422, &error(2), Some(Reason::Misconfigured)),
            (422, &error(9), Some(Reason::Refused)),
            (422, &error(10), Some(Reason::Refused)),
            (422, &error(25), Some(Reason::Misconfigured)),
            (402, &error(25), Some(Reason::Misconfigured)),
            (404, &error(20), Some(Reason::Misconfigured)),
            (405, &error(98), Some(Reason::Misconfigured)),
            (422, &error(103), Some(Reason::OptedOut)),
            (400, &error(99), Some(Reason::Unavailable)),
            (429, "", Some(Reason::Throttled)),
            (500, &error(99), Some(Reason::Unavailable)),
            (502, "", Some(Reason::Unknown)),
            (400, r#"{"errors":[]}"#, Some(Reason::Refused)),
        ],
    );
    let account = &accounts(json!([sender()]))[0];
    let taken = account.credentials.read_answer(http::StatusCode::CREATED, br#"{"id":"e8077d80"}"#).unwrap();
    assert_eq!(taken.message_ids, ["e8077d80"]);
}
