#![expect(clippy::string_slice, reason = "a test may panic")]

use std::sync::Arc;

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Method;
use proptest::prelude::*;
use serde_json::{Value, json};
use x509_parser::pem::Pem;

use super::{Topic, from_event};
use crate::{
    error::{Error, Kind, Result},
    settings::{Account, Settings},
    sms::{
        certificate::Certificate,
        event::{Event, Ignored},
        message::{Channel, Message, OptOut},
        webhook::{Arrival, Rejection, Webhook},
    },
    testing::{
        CLOCK, NOW, account_name, accounts, any_content, assert_refused, assert_tells_the_agent, reported, run_vectors,
        webhook,
    },
};

const URL: &str = "https://sms.example.com/sms/aws-sns";
const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:two-way-sms";
const CERTIFICATE_URL: &str =
    "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem";
// Made once with openssl: `req -x509 -newkey rsa:2048 -nodes -days 36500`, and `dgst -sha1 -sign` for what aws-lc-rs
// doesn't sign.
const KEY: &[u8] = include_bytes!("fixtures/test-only.key.pem");
const CERTIFICATE: &[u8] = include_bytes!("fixtures/test-only.cert.pem");
const CERTIFICATE_1024: &[u8] = include_bytes!("fixtures/test-only-1024.cert.pem");
const CERTIFICATE_EC: &[u8] = include_bytes!("fixtures/test-only-ec.cert.pem");
const SIGNATURE_SHA1: &str = include_str!("fixtures/test-only.sha1.sig");
const SIGNATURE_1024: &str = include_str!("fixtures/test-only-1024.sha256.sig");

fn account() -> Value {
    json!({"provider": "aws-sns", "topic_arns": ["arn:aws:sns:eu-west-1:123456789012:other", TOPIC]})
}

fn ours() -> Vec<Arc<Account>> {
    accounts(json!([account()]))
}

fn key() -> RsaKeyPair {
    RsaKeyPair::from_pkcs8(&Pem::read(std::io::Cursor::new(KEY)).unwrap().0.contents).unwrap()
}

fn certificate() -> Certificate {
    Certificate::read(CERTIFICATE, CLOCK).unwrap()
}

/// AWS's rule, told once more.
fn to_sign(envelope: &Value) -> String {
    let names: &[&str] = if envelope["Type"] == "Notification" {
        &["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    } else {
        &["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    };
    names.iter().filter_map(|name| Some(format!("{name}\n{}\n", envelope.get(name)?.as_str()?))).collect()
}

fn sign_with(key: &RsaKeyPair, encoding: &'static dyn RsaEncoding, text: &str) -> String {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(encoding, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
    STANDARD.encode(signature)
}

fn sms() -> Value {
    json!({"originationNumber": "+14255550182", "destinationNumber": "+12125550101",
           "messageKeyword": "KEYWORD_123456789012", "messageBody": "Hello agent",
           "inboundMessageId": "cae173d2-66b9-564c-8309-21f858e9fb84",
           "previousPublishedMessageId": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"})
}

fn social(messages: &Value) -> Value {
    let entry = json!({"id": "1234567890abcde", "changes": [{"field": "messages", "value": {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "12125550101", "phone_number_id": "abcde1234567890"},
        "contacts": [{"profile": {"name": "Diego"}, "wa_id": "14255550182"}], "messages": messages}}]});
    json!({"context": {"MetaWabaIds": [], "MetaPhoneNumberIds": []}, "whatsAppWebhookEntry": entry.to_string(),
           "aws_account_id": "123456789012", "message_timestamp": "2026-09-21T14:13:19.271279391Z",
           "messageId": "6d69f07a-c317-4278-9d5c-6a84078419ec"})
}

fn whatsapp(id: &str) -> Value {
    json!({"from": "14255550182", "id": id, "timestamp": "1789999999", "text": {"body": "Hi 👋"}, "type": "text"})
}

/// The object with some of its fields replaced, added, or (null) taken away.
fn with(mut object: Value, changes: Value) -> Value {
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

fn unsigned(message: &str) -> Value {
    json!({"Type": "Notification", "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324", "TopicArn": TOPIC,
           "Message": message, "Timestamp": "2026-09-21T14:13:19.012Z", "SignatureVersion": "2",
           "SigningCertURL": CERTIFICATE_URL,
           "UnsubscribeURL": "https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe"})
}

fn subscription(kind: &str) -> Value {
    with(
        unsigned("You have chosen to subscribe.\nTo confirm, visit the SubscribeURL."),
        json!({"Type": kind, "Token": "2336412f37f", "SubscribeURL": "https://sns.us-east-1.amazonaws.com/?Action=C"}),
    )
}

fn signed(envelope: Value) -> Value {
    let signature = sign_with(&key(), &RSA_PKCS1_SHA256, &to_sign(&envelope));
    with(envelope, json!({"Signature": signature}))
}

fn post(body: impl Into<Vec<u8>>) -> Webhook {
    webhook(Method::POST, URL, &[("content-type", "text/plain; charset=UTF-8")], body.into())
}

/// As receive-message does: asks for the certificate, and verifies with it.
fn receive(webhook: &Webhook, candidates: &[Arc<Account>]) -> Result<Vec<Event>> {
    let mut webhook = webhook.clone();
    webhook.certificate = webhook.certificate_url(candidates).map(|_| certificate());
    crate::testing::receive(&webhook, candidates)
}

fn certified(webhook: &Webhook, certificate: &Certificate) -> Webhook {
    Webhook { certificate: Some(certificate.clone()), ..webhook.clone() }
}

fn receive_one(webhook: &Webhook) -> Message {
    match receive(webhook, &ours()).unwrap().as_slice() {
        [Event::Message(message)] => message.as_ref().clone(),
        events => panic!("{events:?}"),
    }
}

fn notified(message: &Value) -> Message {
    receive_one(&post(signed(unsigned(&message.to_string())).to_string()))
}

fn rejection<T>(result: Result<T, Error>) -> Option<Rejection> {
    Rejection::of(&result.err()?)
}

#[test]
fn the_vectors_hold() {
    run_vectors(include_str!("vectors/aws-sns.json"));
}

#[test]
fn signed_envelopes_are_accepted() {
    let text = sms().to_string();
    for (label, envelope) in [
        ("as it is", unsigned(&text)),
        ("subject", with(unsigned(&text), json!({"Subject": "Hello"}))),
        ("empty subject", with(unsigned(&text), json!({"Subject": ""}))),
        ("a subject that looks signed", with(unsigned(&text), json!({"Subject": "Timestamp"}))),
        (
            "unsigned names",
            with(unsigned(&text), json!({"Token": "x", "SubscribeURL": "x", "MessageAttributes": {"a": [1]}})),
        ),
        (
            "the other topic",
            with(
                unsigned(&text),
                json!({"TopicArn": "arn:aws:sns:eu-west-1:123456789012:other",
            "SigningCertURL": CERTIFICATE_URL.replace("us-east-1", "eu-west-1")}),
            ),
        ),
    ] {
        let request = post(signed(envelope).to_string());
        assert_eq!(receive_one(&request).text, "Hello agent", "{label}");
        let request = certified(&request, &certificate());
        assert_eq!(request.verify(&ours()).unwrap().age_seconds(), Some(1), "{label}");
    }
    // Null is absent.
    let null = signed(unsigned(&text)).to_string().replacen('{', r#"{"Subject":null,"Token":null,"#, 1);
    assert_eq!(receive_one(&post(null)).text, "Hello agent");
    // Lambda's spelling, and pretty-printing: the fields are signed, not the bytes.
    let other = signed(unsigned(&text)).to_string().replace("SigningCertURL", "SigningCertUrl");
    assert_eq!(receive_one(&post(other)).text, "Hello agent");
    assert_eq!(receive_one(&post(serde_json::to_string_pretty(&signed(unsigned(&text))).unwrap())).text, "Hello agent");
}

#[test]
fn version_1_is_sha_1() {
    let text = concat!(
        r#"{"originationNumber":"+14255550182","destinationNumber":"+12125550101","#,
        r#""messageKeyword":"KEYWORD_123456789012","messageBody":"Hello agent","#,
        r#""inboundMessageId":"cae173d2-66b9-564c-8309-21f858e9fb84","#,
        r#""previousPublishedMessageId":"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}"#
    );
    let envelope = |version: Value, signature: &str| {
        post(with(unsigned(text), json!({"SignatureVersion": version, "Signature": signature.trim()})).to_string())
    };
    let sha256 = sign_with(&key(), &RSA_PKCS1_SHA256, &to_sign(&unsigned(text)));
    assert_eq!(receive_one(&envelope(json!("1"), SIGNATURE_SHA1)).text, "Hello agent");
    assert_eq!(receive_one(&envelope(json!("2"), &sha256)).text, "Hello agent");
    for (label, version, signature) in [
        ("SHA-1 as version 2", json!("2"), SIGNATURE_SHA1),
        ("SHA-256 as version 1", json!("1"), &sha256),
        ("version 3", json!("3"), &sha256),
        ("version 0", json!("0"), &sha256),
        ("version 2.0", json!("2.0"), &sha256),
        ("a blank version", json!(""), &sha256),
        ("a version as a number", json!(2), &sha256),
        ("no version", Value::Null, &sha256),
    ] {
        assert_refused(label, receive(&envelope(version, signature), &ours()), Kind::Unverified);
    }
}

#[test]
fn every_signed_field_is_covered() {
    let plain = |text: &str| text.to_owned();
    for (kind, names) in [
        ("Notification", vec!["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]),
        (
            "SubscriptionConfirmation",
            vec!["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
        ),
        (
            "UnsubscribeConfirmation",
            vec!["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
        ),
    ] {
        let envelope = signed(with(subscription(kind), json!({"Subject": "Hello"})));
        receive(&post(envelope.to_string()), &ours()).unwrap();
        for name in names {
            let other = match name {
                "Timestamp" => plain("2026-09-21T14:13:19.013Z"),
                "TopicArn" => plain("arn:aws:sns:eu-west-1:123456789012:other"),
                "Type" if kind == "Notification" => plain("SubscriptionConfirmation"),
                "Type" => plain("Notification"),
                name => format!("{}x", envelope[name].as_str().unwrap()),
            };
            let changed = with(envelope.clone(), json!({name: other}));
            assert_refused(&format!("{kind} {name}"), receive(&post(changed.to_string()), &ours()), Kind::Unverified);
            let without = with(envelope.clone(), json!({name: null}));
            assert_refused(
                &format!("{kind} no {name}"),
                receive(&post(without.to_string()), &ours()),
                Kind::Unverified,
            );
            let wrong = with(envelope.clone(), json!({name: [1]}));
            assert_refused(
                &format!("{kind} wrong {name}"),
                receive(&post(wrong.to_string()), &ours()),
                Kind::Unverified,
            );
        }
    }
    let swapped = with(signed(subscription("SubscriptionConfirmation")), json!({"Type": "UnsubscribeConfirmation"}));
    assert_refused("another type", receive(&post(swapped.to_string()), &ours()), Kind::Unverified);
    for kind in ["", "notification", "Notification ", "Other"] {
        let envelope = signed(with(unsigned("x"), json!({"Type": kind})));
        assert_refused(kind, receive(&post(envelope.to_string()), &ours()), Kind::Unverified);
    }
}

#[test]
fn borders_between_values_cant_be_moved() {
    // Signed as a message without a subject; read as one with a subject, whose text would be another.
    let genuine = unsigned("Hello");
    let envelope = with(genuine, json!({"MessageId": "a\nSubject\nb"}));
    assert_refused("in the id", receive(&post(signed(envelope).to_string()), &ours()), Kind::Unverified);
    for name in ["Subject", "Timestamp", "TopicArn"] {
        let envelope = signed(with(unsigned("Hello"), json!({name: "a\nb"})));
        assert_refused(name, receive(&post(envelope.to_string()), &ours()), Kind::Unverified);
    }
    for name in ["Token", "SubscribeURL"] {
        let envelope = signed(with(subscription("SubscriptionConfirmation"), json!({name: "a\nTimestamp\nb"})));
        assert_refused(name, receive(&post(envelope.to_string()), &ours()), Kind::Unverified);
    }
    // The message itself may have them.
    let events = receive(&post(signed(unsigned("Hello\nMessageId\n1")).to_string()), &ours()).unwrap();
    assert_eq!(events, [Event::ignored(Ignored::Foreign)]);
}

#[test]
fn what_is_said_twice_is_refused() {
    let envelope = signed(unsigned(&sms().to_string())).to_string();
    let text = json!(sms().to_string()).to_string();
    for (label, name, value) in [
        ("Message", "Message", text.as_str()),
        ("TopicArn", "TopicArn", r#""arn:aws:sns:us-east-1:123456789012:two-way-sms""#),
        ("Signature", "Signature", r#""AAAA""#),
        ("SigningCertURL in its other spelling", "SigningCertUrl", r#""https://evil.example/a.pem""#),
    ] {
        let before = envelope.replacen('{', &format!("{{\"{name}\":{value},"), 1);
        assert_refused(label, receive(&post(before), &ours()), Kind::Unverified);
        let after = format!("{},\"{name}\":{value}}}", envelope.trim_end_matches('}'));
        assert_refused(label, receive(&post(after), &ours()), Kind::Unverified);
    }
}

#[test]
fn odd_signatures_are_refused() {
    let envelope = unsigned(&sms().to_string());
    let text = to_sign(&envelope);
    let right = sign_with(&key(), &RSA_PKCS1_SHA256, &text);
    let other = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let bytes = STANDARD.decode(&right).unwrap();
    for (label, signature, expected) in [
        ("none", Value::Null, Rejection::Missing),
        ("blank", json!(""), Rejection::Malformed),
        ("not base64", json!("%%%"), Rejection::Malformed),
        ("no padding", json!(right.trim_end_matches('=')), Rejection::Malformed),
        ("blanks around", json!(format!(" {right}")), Rejection::Malformed),
        ("another alphabet", json!(format!("-_{}", &right[2..])), Rejection::Malformed),
        ("hex", json!(hex::encode(&bytes)), Rejection::Malformed),
        ("cut short", json!(STANDARD.encode(&bytes[..255])), Rejection::Malformed),
        ("a byte more", json!(STANDARD.encode([&bytes[..], &[0]].concat())), Rejection::Malformed),
        ("zeroes", json!(STANDARD.encode([0; 256])), Rejection::Malformed),
        ("another key", json!(sign_with(&other, &RSA_PKCS1_SHA256, &text)), Rejection::Malformed),
        ("another padding", json!(sign_with(&key(), &RSA_PSS_SHA256, &text)), Rejection::Malformed),
        ("another text", json!(sign_with(&key(), &RSA_PKCS1_SHA256, &text[1..])), Rejection::Malformed),
        ("a list", json!([right]), Rejection::Malformed),
        ("a number", json!(7), Rejection::Malformed),
    ] {
        let request = post(with(envelope.clone(), json!({"Signature": signature})).to_string());
        assert_eq!(rejection(certified(&request, &certificate()).verify(&ours())), Some(expected), "{label}");
        assert_refused(label, receive(&request, &ours()), Kind::Unverified);
    }
    let request = post(signed(envelope.clone()).to_string());
    assert_eq!(rejection(request.verify(&ours())), Some(Rejection::Missing), "no certificate");
    let mut get = request.clone();
    get.method = Method::GET;
    assert_refused("GET", receive(&get, &ours()), Kind::Unverified);
    assert_eq!(get.certificate_url(&ours()), None);
}

#[test]
fn raw_delivery_is_refused_over_http() {
    let raw = |body: String| webhook(Method::POST, URL, &[("x-amz-sns-rawdelivery", "true")], body);
    for (label, request) in [
        ("a message", raw(sms().to_string())),
        ("an envelope", raw(signed(unsigned(&sms().to_string())).to_string())),
        ("a message without the header", post(sms().to_string())),
        ("an envelope without a signature", post(unsigned(&sms().to_string()).to_string())),
    ] {
        assert_eq!(request.certificate_url(&ours()), None, "{label}");
        assert_refused(label, receive(&request, &ours()), Kind::Unverified);
        assert_refused(label, certified(&request, &certificate()).verify(&ours()), Kind::Unverified);
    }
}

#[test]
fn the_topic_comes_before_the_certificate() {
    for (label, topic) in [
        ("another owner", "arn:aws:sns:us-east-1:210987654321:two-way-sms"),
        ("another name", "arn:aws:sns:us-east-1:123456789012:two-way-sms2"),
        ("another region", "arn:aws:sns:us-east-2:123456789012:two-way-sms"),
        ("another case", "arn:aws:sns:us-east-1:123456789012:Two-Way-SMS"),
        ("blank", ""),
        ("a subscription", "arn:aws:sns:us-east-1:123456789012:two-way-sms:2bcfbf39-05c3-41de-beaa-fcfcc21c8f55"),
        ("white space", " arn:aws:sns:us-east-1:123456789012:two-way-sms"),
    ] {
        for envelope in [unsigned(&sms().to_string()), subscription("SubscriptionConfirmation")] {
            let request = post(signed(with(envelope, json!({"TopicArn": topic}))).to_string());
            assert_eq!(request.certificate_url(&ours()), None, "{label}");
            let error = certified(&request, &certificate()).verify(&ours()).expect_err(label);
            // The topic may be one that the owner has only just added.
            assert!(Rejection::of(&error).unwrap().may_be_rotation(), "{label}");
            assert_refused(label, receive(&request, &ours()), Kind::Unverified);
        }
    }
    // The header names a topic too, and proves nothing.
    let body = signed(with(unsigned("x"), json!({"TopicArn": "arn:aws:sns:us-east-1:210987654321:x"}))).to_string();
    let request = webhook(Method::POST, URL, &[("x-amz-sns-topic-arn", TOPIC)], body);
    assert_refused("header", receive(&request, &ours()), Kind::Unverified);
    assert_refused("no candidate", receive(&post(signed(unsigned("x")).to_string()), &[]), Kind::Unverified);
}

#[test]
fn certificates_have_one_place() {
    let id = "0123456789abcdef0123456789abcdef";
    let path = format!("/SimpleNotificationService-{id}.pem");
    let host = "https://sns.us-east-1.amazonaws.com";
    for url in [
        String::new(),
        path.clone(),
        format!("http://sns.us-east-1.amazonaws.com{path}"),
        format!("HTTPS://sns.us-east-1.amazonaws.com{path}"),
        format!("//sns.us-east-1.amazonaws.com{path}"),
        format!(" {host}{path}"),
        format!("{host}{path} "),
        format!("{host}{path}\n"),
        format!("https://SNS.us-east-1.amazonaws.com{path}"),
        format!("https://sns.us-east-1.amazonaws.com.{path}"),
        format!("https://sns.us-east-1.amazonaws.com.cn{path}"),
        format!("https://sns.us-east-1.amazonaws.com.evil.example{path}"),
        format!("https://evil.example/sns.us-east-1.amazonaws.com{path}"),
        format!("https://sns.us-east-1.amazonaws.com@evil.example{path}"),
        format!("https://user@sns.us-east-1.amazonaws.com{path}"),
        format!("https://user:secret@sns.us-east-1.amazonaws.com{path}"),
        format!("https://sns.us-east-1.amazonaws.com:443{path}"),
        format!("https://sns.us-east-1.amazonaws.com:8443{path}"),
        format!("https://evil.sns.us-east-1.amazonaws.com{path}"),
        format!("https://sns.evil.us-east-1.amazonaws.com{path}"),
        format!("https://snsXus-east-1.amazonaws.com{path}"),
        format!("https://s3.us-east-1.amazonaws.com{path}"),
        format!("https://sns.amazonaws.com{path}"),
        format!("https://sns.us-west-2.amazonaws.com{path}"),
        format!("https://sns.us-east-1.amazonaws.com\\@evil.example{path}"),
        format!("{host}/bucket{path}"),
        format!("{host}/{path}"),
        format!("{host}/..{path}"),
        format!("{host}{path}?x=1"),
        format!("{host}{path}?"),
        format!("{host}{path}#x"),
        format!("{host}{path}/"),
        format!("{host}{path}.pem"),
        format!("{host}/SimpleNotificationService-{id}.PEM"),
        format!("{host}/SimpleNotificationService-{}.pem", id.to_uppercase()),
        format!("{host}/SimpleNotificationService-{}.pem", &id[1..]),
        format!("{host}/SimpleNotificationService-{id}0.pem"),
        format!("{host}/SimpleNotificationService-{}g.pem", &id[1..]),
        format!("{host}/SimpleNotificationService-.pem"),
        format!("{host}/SimpleNotificationService-%30{}.pem", &id[1..]),
        format!("{host}/simplenotificationservice-{id}.pem"),
        format!("{host}/?Action=Publish&TopicArn=x{path}"),
    ] {
        let request = post(signed(with(unsigned(&sms().to_string()), json!({"SigningCertURL": url}))).to_string());
        assert_eq!(request.certificate_url(&ours()), None, "{url}");
        assert_eq!(rejection(certified(&request, &certificate()).verify(&ours())), Some(Rejection::Malformed), "{url}");
    }
    for wrong in [json!(null), json!(7), json!([CERTIFICATE_URL])] {
        let request = post(with(signed(unsigned("x")), json!({"SigningCertURL": wrong})).to_string());
        assert_eq!(request.certificate_url(&ours()), None);
    }
    for (partition, region, domain, is_kept) in [
        ("aws", "eu-central-1", "amazonaws.com", true),
        ("aws-us-gov", "us-gov-west-1", "amazonaws.com", true),
        ("aws-cn", "cn-north-1", "amazonaws.com.cn", true),
        ("aws-cn", "cn-north-1", "amazonaws.com", false),
        ("aws", "cn-north-1", "amazonaws.com.cn", false),
    ] {
        let topic = format!("arn:{partition}:sns:{region}:123456789012:t.fifo");
        let candidates = accounts(json!([{"provider": "aws-sns", "topic_arns": [topic]}]));
        let url = format!("https://sns.{region}.{domain}{path}");
        let envelope = with(unsigned(&sms().to_string()), json!({"TopicArn": topic, "SigningCertURL": url}));
        let request = post(signed(envelope).to_string());
        assert_eq!(request.certificate_url(&candidates), is_kept.then_some(url), "{topic}");
        assert_eq!(receive(&request, &candidates).is_ok(), is_kept, "{topic}");
    }
}

#[test]
fn certificates_are_judged() {
    let read = |pem: &[u8], clock| Certificate::read(pem, clock);
    let text = std::str::from_utf8(CERTIFICATE).unwrap();
    let der = Pem::read(std::io::Cursor::new(CERTIFICATE)).unwrap().0.contents;
    for (label, pem) in [
        ("nothing", Vec::new()),
        ("noise", b"<html>403 Forbidden</html>".to_vec()),
        ("DER", der.clone()),
        ("a key", KEY.to_vec()),
        ("a label of another thing", text.replace("CERTIFICATE", "PUBLIC KEY").into_bytes()),
        ("cut short", CERTIFICATE[..600].to_vec()),
        ("not base64", text.replace("MII", "%%%").into_bytes()),
        ("not DER", text.replace("MII", "AAA").into_bytes()),
        ("not UTF-8", vec![0xff; 2000]),
        ("a long one", [CERTIFICATE, &[b'\n'; 20_000]].concat()),
    ] {
        assert_refused(label, read(&pem, CLOCK), Kind::Unverified);
    }
    let (not_before, not_after) = (1_795_226_921, 4_948_826_921);
    for (clock, is_valid) in [
        (not_before, true),
        (not_before - 1, false),
        (NOW, false),
        (0, false),
        (not_after, true),
        (not_after + 1, false),
        (i64::MAX, false),
    ] {
        assert_eq!(read(CERTIFICATE, clock).is_ok(), is_valid, "{clock}");
    }
    // A cached one may end.
    let mut request = post(signed(unsigned(&sms().to_string())).to_string());
    request.now = not_after + 1;
    assert_refused("ended", receive(&request, &ours()), Kind::Unverified);

    let envelope = unsigned(&sms().to_string());
    let weak = post(with(envelope, json!({"Signature": SIGNATURE_1024})).to_string());
    for (label, pem) in [("1024 bits", CERTIFICATE_1024), ("not RSA", CERTIFICATE_EC)] {
        let certificate = read(pem, CLOCK).unwrap();
        for request in [&weak, &post(signed(unsigned(&sms().to_string())).to_string())] {
            assert_refused(label, certified(request, &certificate).verify(&ours()), Kind::Unverified);
        }
    }
    let shown = format!("{:?}", certificate());
    let public: Vec<u8> = key().public_key().as_der().unwrap().as_ref().to_vec();
    assert!(shown.len() < 100 && public.len() > 200, "{shown}");
}

#[test]
fn subscriptions_are_handed_on() {
    let confirm = post(signed(subscription("SubscriptionConfirmation")).to_string());
    let events = receive(&confirm, &ours()).unwrap();
    let [Event::SubscriptionConfirmation { topic_arn, token }] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((topic_arn.as_str(), token.expose()), (TOPIC, "2336412f37f"));
    assert_eq!(Topic::read(topic_arn).unwrap().region, "us-east-1");
    assert!(!format!("{events:?}").contains("2336412f37f"));
    let blank = post(signed(with(subscription("SubscriptionConfirmation"), json!({"Token": " "}))).to_string());
    assert_refused("blank token", receive(&blank, &ours()), Kind::Validation);
    let gone = post(signed(subscription("UnsubscribeConfirmation")).to_string());
    assert_eq!(receive(&gone, &ours()).unwrap(), [Event::ignored(Ignored::Subscription)]);
}

#[test]
fn age_counts_where_the_account_says_so() {
    let receive_at = |max_age: Value, now: i64| {
        let mut request = post(signed(unsigned(&sms().to_string())).to_string());
        request.now = now;
        let account = with(account(), json!({"max_age_seconds": max_age}));
        receive(&request, &accounts(json!([account])))
    };
    let signed_at = 1_789_999_999;
    for (max_age, now, is_accepted) in [
        (json!(null), signed_at + 3_600, true),
        (json!(null), signed_at + 3_601, false),
        (json!(0), signed_at + 86_400, true),
        (json!(300), signed_at + 300, true),
        (json!(300), signed_at + 301, false),
        (json!(300), signed_at - 300, true),
        (json!(300), signed_at - 301, false),
    ] {
        assert_eq!(receive_at(max_age, now).is_ok(), is_accepted, "{now}");
    }
    // Nothing is fetched for an old one.
    let mut request = post(signed(unsigned(&sms().to_string())).to_string());
    request.now = signed_at + 3_600;
    assert!(request.certificate_url(&ours()).is_some());
    request.now += 1;
    assert_eq!(request.certificate_url(&ours()), None);
    // A time that can't be read can't be judged.
    for time in ["", "soon", "1789999999", "2026-09-21"] {
        let request = post(signed(with(unsigned(&sms().to_string()), json!({"Timestamp": time}))).to_string());
        assert_refused(time, receive(&request, &ours()), Kind::Unverified);
    }
}

#[test]
fn an_sms_is_read() {
    let message = notified(&sms());
    assert_eq!(message.sns_message_id.as_deref(), Some("22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324"));
    assert_eq!(message.received_at.as_deref(), Some("2026-09-21T14:13:19.012Z"));
    for (changes, text, keyword, in_reply_to, opt_out) in [
        (json!({"messageBody": " Grüße 👋🏽\r\n"}), " Grüße 👋🏽\r\n", true, true, None),
        (json!({"messageBody": ""}), "", true, true, None),
        (json!({"messageBody": "a\0b"}), "ab", true, true, None),
        (json!({"messageBody": "Stop", "messageKeyword": "STOP"}), "Stop", true, true, Some(OptOut::Stop)),
        (json!({"messageKeyword": null, "previousPublishedMessageId": null}), "Hello agent", false, false, None),
        (json!({"messageKeyword": "", "previousPublishedMessageId": ""}), "Hello agent", false, false, None),
        (json!({"messageKeyword": 7, "previousPublishedMessageId": {}}), "Hello agent", false, false, None),
        (json!({"tomorrow": [1]}), "Hello agent", true, true, None),
    ] {
        let message = notified(&with(sms(), changes));
        assert_eq!((message.text.as_str(), message.opt_out, message.channel), (text, opt_out, Channel::Sms));
        assert_eq!((message.keyword.is_some(), message.in_reply_to.is_some()), (keyword, in_reply_to));
    }
    let short = notified(&with(sms(), json!({"destinationNumber": "12345"})));
    assert_eq!(short.to, "12345");
}

#[test]
fn social_is_read_as_metas() {
    let message = notified(&social(&json!([whatsapp("wamid.1")])));
    assert_eq!((message.provider.as_ref(), message.channel), ("aws-social", Channel::Whatsapp));
    assert_eq!((message.from.as_str(), message.to.as_str()), ("+14255550182", "+12125550101"));
    assert_eq!(message.account.as_deref(), Some("abcde1234567890"));
    assert_eq!(message.profile_name.as_deref(), Some("Diego"));
    assert_eq!(message.text, "Hi 👋");

    let many = social(&json!([whatsapp("wamid.1"), {"type": "reaction"}, 7, whatsapp("wamid.2")])).to_string();
    let events = receive(&post(signed(unsigned(&many)).to_string()), &ours()).unwrap();
    let ids: Vec<_> = events.iter().filter_map(Event::message).map(|message| message.message_id.as_str()).collect();
    assert_eq!(ids, ["wamid.1", "wamid.2"]);
    assert_eq!(events.len(), 4);
}

#[test]
fn events_of_texts_are_read() {
    for (kind, is_final, expected) in [
        ("TEXT_SUCCESSFUL", true, "x delivered - -"),
        ("RCS_READ", true, "x read - -"),
        ("MEDIA_FILE_SIZE_EXCEEDED", true, "x failed FILE_SIZE_EXCEEDED UNDELIVERED"),
        ("TEXT_CARRIER_UNREACHABLE", true, "x failed CARRIER_UNREACHABLE TRY_LATER"),
        ("TEXT_CARRIER_UNREACHABLE", false, "x sent - -"),
    ] {
        let event = json!({"eventType": kind, "isFinal": is_final, "messageId": "x"}).to_string();
        assert_eq!(reported(&receive(&from_event(event, NOW), &ours()).unwrap()), [expected], "{kind}");
    }
}

#[test]
fn what_is_no_message_is_ignored() {
    let entry = |entry: Value| json!({"whatsAppWebhookEntry": entry.to_string()}).to_string();
    for (label, message, reason) in [
        ("a test message", "Hello from the console".to_owned(), Ignored::Foreign),
        ("nothing", String::new(), Ignored::Foreign),
        ("a text in JSON", r#""Hello""#.to_owned(), Ignored::Foreign),
        ("a list", "[]".to_owned(), Ignored::Foreign),
        ("an empty object", "{}".to_owned(), Ignored::OtherEvent),
        (
            "an event of tomorrow",
            json!({"eventType": "TEXT_WAVED", "originationPhoneNumber": "+1", "messageId": "x"}).to_string(),
            Ignored::Status,
        ),
        ("an alarm", json!({"AlarmName": "x"}).to_string(), Ignored::OtherEvent),
        (
            "a status",
            entry(json!({"id": "1", "changes": [{"field": "messages", "value": {"statuses": [{}]}}]})),
            Ignored::Status,
        ),
        (
            "a template",
            entry(json!({"id": "1", "changes": [{"field": "message_template_status_update", "value": {}}]})),
            Ignored::OtherEvent,
        ),
        ("no changes", entry(json!({"id": "1", "changes": []})), Ignored::Empty),
    ] {
        let events = receive(&post(signed(unsigned(&message)).to_string()), &ours()).unwrap();
        assert_eq!(events, [Event::ignored(reason)], "{label}");
        if !message.is_empty() {
            let raw = receive(&from_event(message, NOW), &ours()).unwrap();
            assert_eq!(raw, [Event::ignored(reason)], "{label}, raw");
        }
    }
}

fn rcs(body: &Value) -> Value {
    with(
        sms(),
        json!({"destinationNumber": "rcs-abc123", "originationNumber": "14255550182", "messageBody": body.to_string()}),
    )
}

#[test]
fn notices_of_an_rcs_agent_are_no_text() {
    let notice = |kind: &str| json!({"eventType": kind, "originationNumber": "+1", "destinationNumber": "rcs-abc123"});
    for (label, message, reason) in [
        ("typing", rcs(&json!({"type": "RCS_TYPING"})), Ignored::Typing),
        ("typing, by another name", rcs(&json!({"eventType": "RCS_IS_TYPING"})), Ignored::Typing),
        ("opened", rcs(&json!({"type": "CONVERSATION_STARTED"})), Ignored::Typing),
        (
            "without an id",
            with(rcs(&json!({"type": "RCS_TYPING"})), json!({"inboundMessageId": null})),
            Ignored::Typing,
        ),
        ("without a body", notice("RCS_TYPING"), Ignored::Typing),
        ("delivered", notice("RCS_DELIVERED"), Ignored::Status),
        ("read", notice("RCS_READ"), Ignored::Status),
        ("tomorrow's, without an id", notice("RCS_WAVED"), Ignored::OtherEvent),
    ] {
        let events = receive(&post(signed(unsigned(&message.to_string())).to_string()), &ours()).unwrap();
        assert_eq!(events, [Event::ignored(reason)], "{label}");
        assert_eq!(
            receive(&from_event(message.to_string(), NOW), &ours()).unwrap(),
            [Event::ignored(reason)],
            "{label}"
        );
    }
}

#[test]
fn messages_of_an_rcs_agent_are_read_by_type() {
    let plain = notified(&with(sms(), json!({"destinationNumber": "rcs-abc123", "originationNumber": "14255550182"})));
    assert_eq!((plain.channel, plain.from.as_str(), plain.to.as_str()), (Channel::Rcs, "+14255550182", "rcs-abc123"));
    let tap = notified(&rcs(&json!({"type": "SUGGESTION", "text": "Yes", "postbackData": "confirm_1"})));
    assert_eq!((tap.text.as_str(), tap.button_payload.as_deref()), ("Yes", Some("confirm_1")));
    for body in [
        json!({"type": "LOCATION", "latitude": 41.8, "longitude": -87.6}),
        json!({"type": "LOCATION", "location": {"latitude": "41.8", "longitude": -87.6}}),
    ] {
        let place = notified(&rcs(&body)).location.unwrap();
        assert_eq!((place.latitude, place.longitude), (41.8, -87.6), "{body}");
    }
    let medium = notified(&rcs(&json!({"mediaStatus": "SUCCESS", "s3Bucket": "b", "s3Key": "p/rcs/1#a.jpg",
                                       "mimeType": "image/jpeg", "fileName": "a.jpg", "fileSizeBytes": 7})));
    assert_eq!((medium.text.as_str(), medium.media.len()), ("", 1));
    assert_eq!(
        (medium.media[0].name.as_deref(), medium.media[0].content_type.as_deref()),
        (Some("a.jpg"), Some("image/jpeg"))
    );
    for (body, expected) in [
        (json!({"type": "HOLOGRAM", "caption": "Look"}), "[unsupported message] Look"),
        (json!({"type": "LOCATION"}), "[unsupported message]"),
        (json!({"type": "TEXT", "text": "Hello"}), "Hello"),
        // What a customer typed.
        (json!({"a": 1}), r#"{"a":1}"#),
    ] {
        assert_eq!(notified(&rcs(&body)).text, expected, "{body}");
    }
}

#[test]
fn one_bad_character_costs_no_message() {
    let text = sms().to_string();
    let body = sms()["messageBody"].to_string();
    for with in [r#""6 \ud83d""#, r#""6 \uffff""#] {
        let message = text.replace(&body, with);
        let [event] = receive(&post(signed(unsigned(&message)).to_string()), &ours()).unwrap().try_into().unwrap();
        assert_eq!(event.message().unwrap().text, "6 \u{fffd}");
    }
    let whatsapp = social(&json!([whatsapp("wamid.1")])).to_string();
    assert!(whatsapp.contains("Hi 👋"));
    let whatsapp = whatsapp.replace("Hi 👋", r"\\ud83d");
    let [event] = receive(&from_event(whatsapp, NOW), &ours()).unwrap().try_into().unwrap();
    assert!(event.message().unwrap().text.starts_with('\u{fffd}'));
    for (body, expected) in
        [(json!(null), "[unsupported message]"), (json!({"text": "Hello"}), "[unsupported message] Hello")]
    {
        assert_eq!(notified(&merge(sms(), "messageBody", body)).text, expected);
    }
}

fn merge(mut object: Value, name: &str, value: Value) -> Value {
    object[name] = value;
    object
}

#[test]
fn what_is_malformed_is_refused_after_it_is_proved() {
    let deep = format!("{{\"originationNumber\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    for (label, message) in [
        ("cut short", sms().to_string()[..100].to_owned()),
        ("no id", with(sms(), json!({"inboundMessageId": null})).to_string()),
        ("a blank id", with(sms(), json!({"inboundMessageId": " "})).to_string()),
        ("an id of the wrong type", with(sms(), json!({"inboundMessageId": 7})).to_string()),
        ("no sender", with(sms(), json!({"originationNumber": null})).to_string()),
        ("a sender of the wrong type", with(sms(), json!({"originationNumber": 14_255_550_182_u64})).to_string()),
        ("no recipient", with(sms(), json!({"destinationNumber": ""})).to_string()),
        ("a recipient of the wrong type", with(sms(), json!({"destinationNumber": []})).to_string()),
        ("deep", deep),
        ("an entry of the wrong type", json!({"whatsAppWebhookEntry": {"id": "1"}}).to_string()),
        ("no entry", json!({"whatsAppWebhookEntry": ""}).to_string()),
        ("an entry cut short", json!({"whatsAppWebhookEntry": "{\"id\":"}).to_string()),
        ("a list for an entry", json!({"whatsAppWebhookEntry": "[7]"}).to_string()),
        ("an entry without changes", json!({"whatsAppWebhookEntry": "{}"}).to_string()),
        ("a message without an id", social(&json!([with(whatsapp("x"), json!({"id": null}))])).to_string()),
    ] {
        assert_refused(label, receive(&post(signed(unsigned(&message)).to_string()), &ours()), Kind::Validation);
        assert_refused(label, receive(&from_event(message, NOW), &ours()), Kind::Validation);
    }
    for (label, body) in [
        ("nothing", Vec::new()),
        ("NUL", vec![0; 100]),
        ("no UTF-8", vec![0xff; 100]),
        ("a list", b"[]".to_vec()),
        ("deep", vec![b'['; 3_000_000]),
        ("3 MB", format!("{{\"Type\":\"{}\"}}", "x".repeat(3_000_000)).into_bytes()),
        ("cut short", signed(unsigned("x")).to_string().into_bytes()[..200].to_vec()),
    ] {
        assert_refused(label, receive(&post(body.clone()), &ours()), Kind::Unverified);
        assert_eq!(post(body).certificate_url(&ours()), None);
    }
    let large = post(vec![b'x'; 4 * 1024 * 1024 + 1]);
    assert_refused("too large", receive(&large, &ours()), Kind::Validation);
    assert_eq!(large.certificate_url(&ours()), None);
}

#[test]
fn events_of_aws_need_no_signature() {
    let records = json!({"Records": [{"EventSource": "aws:sns", "EventVersion": "1.0", "EventSubscriptionArn": "x", "Sns": {
        "Type": "Notification", "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324", "TopicArn": TOPIC, "Subject": null,
        "Message": sms().to_string(), "Timestamp": "2026-09-21T14:13:19.012Z", "SignatureVersion": "1",
        "Signature": "EXAMPLE", "SigningCertUrl": "EXAMPLE", "UnsubscribeUrl": "EXAMPLE", "MessageAttributes": {}}}]});
    let event: aws_lambda_events::sns::SnsEvent = serde_json::from_value(records.clone()).unwrap();
    for (label, body) in [
        ("Lambda's record", records["Records"][0]["Sns"].to_string()),
        ("Lambda's record, read and written", serde_json::to_string(&event.records[0].sns).unwrap()),
        ("a queue's record", unsigned(&sms().to_string()).to_string()),
        (
            "a queue's record with a wrong signature",
            with(unsigned(&sms().to_string()), json!({"Signature": "x"})).to_string(),
        ),
    ] {
        let request = from_event(body, NOW + 1_000_000);
        assert_eq!(request.arrival, Arrival::AwsEvent);
        assert_eq!(request.certificate_url(&ours()), None, "{label}");
        let message = receive_one(&request);
        assert_eq!(message.received_at.as_deref(), Some("2026-09-21T14:13:19.012Z"), "{label}");
        assert_eq!(message.sns_message_id.as_deref(), Some("22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324"), "{label}");
        // A queue may hold it for days.
        let strict = accounts(json!([with(account(), json!({"max_age_seconds": 300}))]));
        assert!(receive(&request, &strict).is_ok(), "{label}");
    }
    for (label, changes, is_accepted) in [
        ("another topic", json!({"TopicArn": "arn:aws:sns:us-east-1:210987654321:x"}), false),
        ("no topic", json!({"TopicArn": null}), false),
        ("a topic of the wrong type", json!({"TopicArn": 7}), false),
        ("no type", json!({"Type": null}), false),
        ("no message", json!({"Message": null}), false),
        ("a message of the wrong type", json!({"Message": sms()}), false),
        ("a time that can't be read", json!({"Timestamp": "soon"}), true),
    ] {
        let result = receive(&from_event(with(unsigned(&sms().to_string()), changes).to_string(), NOW), &ours());
        assert_eq!(result.is_ok(), is_accepted, "{label}");
        if let Err(error) = result {
            assert_eq!(error.kind(), Kind::Unverified, "{label}");
        }
    }
    let unknown = with(unsigned("x"), json!({"Type": "Other"})).to_string();
    assert_eq!(receive(&from_event(unknown, NOW), &ours()).unwrap(), [Event::ignored(Ignored::Subscription)]);
    let confirm = receive(&from_event(subscription("SubscriptionConfirmation").to_string(), NOW), &ours()).unwrap();
    assert!(matches!(confirm.as_slice(), [Event::SubscriptionConfirmation { .. }]));
    // What arrived over HTTP says so, whatever is in it.
    let mut forged = from_event(unsigned(&sms().to_string()).to_string(), NOW);
    forged.arrival = Arrival::Http;
    assert_refused("over HTTP", receive(&forged, &ours()), Kind::Unverified);
    // No other provider's account is proved by AWS.
    let twilio = accounts(json!([{"provider": "twilio", "auth_tokens": ["a"]}]));
    assert_refused("another provider", receive(&from_event(sms().to_string(), NOW), &twilio), Kind::Unverified);
}

#[test]
fn raw_messages_go_to_the_account_of_their_number() {
    let message = receive_one(&from_event(sms().to_string(), NOW));
    assert_eq!((message.text.as_str(), message.received_at, message.sns_message_id), ("Hello agent", None, None));
    assert_eq!(receive_one(&from_event(social(&json!([whatsapp("wamid.1")])).to_string(), NOW)).message_id, "wamid.1");

    let account = |name: &str, numbers: Value| json!({"name": name, "provider": "aws-sns", "topic_arns": [format!("{TOPIC}-{name}")], "numbers": numbers});
    let candidates = accounts(json!([
        account("one", json!({"+19995550101": {}})),
        account("two", json!({})),
        account("three", json!({"+12125550101": {}})),
    ]));
    let request = from_event(sms().to_string(), NOW);
    assert_eq!(account_name(&request, &candidates), "three");
    assert_eq!(account_name(&request, &candidates[..2]), "two");
    // An envelope's topic decides alone.
    let envelope = with(unsigned(&sms().to_string()), json!({"TopicArn": format!("{TOPIC}-one")})).to_string();
    assert_eq!(account_name(&from_event(envelope, NOW), &candidates), "one");
    assert_refused("no UTF-8", receive(&from_event(vec![0xff, 0xfe], NOW), &ours()), Kind::Unverified);
}

#[test]
fn accounts_are_chosen_by_topic() {
    let candidates = accounts(json!([
        {"name": "one", "provider": "aws-sns", "topic_arns": ["arn:aws:sns:us-east-1:123456789012:one"]},
        {"name": "two", "provider": "aws-sns", "topic_arns": [TOPIC]},
        {"name": "three", "provider": "aws-sns", "topic_arns": [TOPIC], "numbers": {"+12125550101": {}}},
    ]));
    let request = post(signed(unsigned(&sms().to_string())).to_string());
    assert_eq!(request.certificate_url(&candidates).as_deref(), Some(CERTIFICATE_URL));
    let request = certified(&request, &certificate());
    assert_eq!(account_name(&request, &candidates), "three");
    assert_eq!(account_name(&request, &candidates[..2]), "two");
    assert_refused("not ours", request.verify(&candidates[..1]), Kind::Unverified);
    let others = accounts(json!([{"provider": "twilio", "auth_tokens": ["a"]}]));
    assert_eq!(request.certificate_url(&others), None);
    assert_refused("another provider", request.verify(&others), Kind::Unverified);
}

#[test]
fn settings_are_checked() {
    for (label, topics, is_good) in [
        ("one", json!([TOPIC]), true),
        ("white space", json!([format!(" {TOPIC} ")]), true),
        ("none", json!([]), false),
        ("null", Value::Null, false),
        ("a text", json!(TOPIC), false),
        ("a number", json!([7]), false),
        ("blank", json!([""]), false),
        ("a wildcard", json!(["arn:aws:sns:us-east-1:123456789012:*"]), false),
        ("a subscription", json!([format!("{TOPIC}:2bcfbf39-05c3-41de-beaa-fcfcc21c8f55")]), false),
        ("a queue", json!(["arn:aws:sqs:us-east-1:123456789012:q"]), false),
        ("a region that is none", json!(["arn:aws:sns:evil.example/:123456789012:x"]), false),
        ("one good, one not", json!([TOPIC, "x"]), false),
    ] {
        let document = json!({"accounts": [{"provider": "aws-sns", "topic_arns": topics}]}).to_string();
        assert_eq!(Settings::from_json(document.as_bytes()).is_ok(), is_good, "{label}");
    }
    let absent = json!({"accounts": [{"provider": "aws-sns"}]}).to_string();
    assert!(Settings::from_json(absent.as_bytes()).is_err());
}

proptest! {
    #[test]
    fn what_is_accepted_reaches_the_agent(
        to in "rcs-[a-z]{3}|\\+1425555018[0-9]",
        kind in "RCS_TYPING|SUGGESTION|LOCATION|TEXT|[A-Z]{1,6}",
        content in any_content(),
        is_text in any::<bool>(),
    ) {
        let mut content = content;
        if let Some(object) = content.as_object_mut() {
            object.insert("type".into(), kind.into());
        }
        let body = if is_text { json!(content.to_string()) } else { content };
        let message = merge(with(sms(), json!({"destinationNumber": to})), "messageBody", body);
        assert_tells_the_agent(&receive(&from_event(message.to_string(), NOW), &ours()).unwrap());
    }

    #[test]
    fn anything_may_arrive(body in prop::collection::vec(any::<u8>(), 0..300), raw in any::<bool>()) {
        let mut request = post(body);
        if raw {
            request.headers.insert("x-amz-sns-rawdelivery", http::HeaderValue::from_static("true"));
        }
        prop_assert_eq!(request.certificate_url(&ours()), None);
        prop_assert!(certified(&request, &certificate()).verify(&ours()).is_err());
    }

    #[test]
    fn anything_may_lie_in_a_queue(body in prop::collection::vec(any::<u8>(), 0..300), envelope in any::<bool>()) {
        let body = match String::from_utf8(body) {
            Ok(text) if envelope => unsigned(&text).to_string().into_bytes(),
            Ok(text) => text.into_bytes(),
            Err(error) => error.into_bytes(),
        };
        if let Err(error) = receive(&from_event(body, NOW), &ours()) {
            prop_assert!(matches!(error.kind(), Kind::Validation | Kind::Unverified));
        }
    }

    #[test]
    fn any_text_may_be_the_message(
        origin in prop::option::of(any::<String>()),
        body in any::<String>(),
        entry in any::<String>(),
        which in 0..3,
    ) {
        let message = match which {
            0 => json!({"originationNumber": origin, "destinationNumber": body, "messageBody": body, "inboundMessageId": entry}).to_string(),
            1 => json!({"whatsAppWebhookEntry": entry}).to_string(),
            _ => format!("{{{entry}"),
        };
        if let Err(error) = receive(&from_event(message, NOW), &ours()) {
            prop_assert_eq!(error.kind(), Kind::Validation);
        }
    }

    #[test]
    fn any_certificate_may_be_served(pem in prop::collection::vec(any::<u8>(), 0..300), place in any::<prop::sample::Index>(), bit in 0..8_u8) {
        prop_assert!(Certificate::read(&pem, CLOCK).is_err());
        let mut changed = CERTIFICATE.to_vec();
        let place = place.index(changed.len());
        changed[place] ^= 1 << bit;
        let _ = Certificate::read(&changed, CLOCK);
    }

    // What changes may be unsigned (a name that is not read, an escape); what is read may not.
    #[test]
    fn no_bit_may_change(place in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let body = signed(with(unsigned(&sms().to_string()), json!({"Subject": "Grüße"}))).to_string();
        let request = post(body.clone());
        let expected = receive(&request, &ours()).unwrap();
        let mut changed = body.into_bytes();
        let place = place.index(changed.len());
        changed[place] ^= 1 << bit;
        let changed = post(changed);
        if let Ok(events) = receive(&changed, &ours()) {
            prop_assert_eq!(events, expected);
        }
    }
}
