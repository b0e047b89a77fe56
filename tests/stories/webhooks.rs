//! A provider's webhook through the front door: proved, normalised, and stored before it is answered.

use base64::{Engine, prelude::BASE64_STANDARD};
use local::{Fault, Operation, StandIn};
use proptest::prelude::*;
use serde_json::{Value, json};
use shared::inbound::Inbound;
use tests::{
    Answer, Http, TOPIC, environment, invoke, providers, receive_message,
    secrets::{SECRET_ARN, SecretsManager},
    sqs::Sqs,
};

const TOKEN: &str = "12345678901234567890123456789012";
const BASE: &str = "https://sms.example.com";

fn account(more: &Value) -> Value {
    let mut account = json!({ "name": "us", "provider": "twilio", "auth_tokens": [TOKEN] });
    account.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    account
}

fn settings(accounts: &[Value]) -> (&'static str, String) {
    ("BRIDGE_SETTINGS", json!({ "accounts": accounts }).to_string())
}

fn queued(queue: &Sqs, accounts: &[Value]) -> Vec<(&'static str, String)> {
    let queue_url = format!("{}/123456789012/inbound.fifo", queue.url());
    vec![settings(accounts), ("PUBLIC_BASE_URL", BASE.to_owned()), ("INBOUND_QUEUE_URL", queue_url)]
}

fn direct(accounts: &[Value]) -> Vec<(&'static str, String)> {
    let mut environment = environment();
    environment.extend([
        settings(accounts),
        ("PUBLIC_BASE_URL", BASE.to_owned()),
        ("STREAMING_TOPIC_ARN", TOPIC.to_owned()),
    ]);
    environment
}

/// A form as Twilio posts and signs it: HMAC-SHA1 of the URL and the sorted parameters.
fn twilio(path: &str, token: &str, parameters: &[(&str, &str)]) -> Http {
    let mut sorted = parameters.to_vec();
    sorted.sort_unstable();
    let signed: String = sorted.iter().fold(format!("{BASE}{path}"), |text, (name, value)| text + name + value);
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes());
    let signature = BASE64_STANDARD.encode(aws_lc_rs::hmac::sign(&key, signed.as_bytes()));
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    Http::new("POST", path)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .header("X-Twilio-Signature", &signature)
        .body(body)
}

fn sms<'a>(id: &'a str, text: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("MessageSid", id),
        ("AccountSid", "AC1"),
        ("From", "+14155550123"),
        ("To", "+12025550100"),
        ("Body", text),
        ("NumMedia", "0"),
        ("NumSegments", "1"),
    ]
}

const ACCEPTED: &str = r#"<?xml version="1.0" encoding="UTF-8"?><Response/>"#;

fn assert_accepted(answer: &Answer, label: &str) {
    assert_eq!((answer.status, &answer.body), (200, &json!(ACCEPTED)), "{label}");
    assert_eq!(answer.header("content-type"), Some("text/xml"), "{label}");
}

#[tokio::test]
async fn a_text_message_is_stored_before_it_is_answered() {
    let queue = Sqs::start().await;
    let numbers =
        json!({ "numbers": { "+12025550100": { "contact_flow_id": "sales", "attributes": { "brand": "acme" } } } });
    let function = receive_message(&queued(&queue, &[account(&numbers)]), queue.url()).await;
    let request = twilio("/sms/twilio", TOKEN, &sms("SM1", "Hello agent"));
    assert_accepted(&invoke(&function, &request.http_api()).await, "http api");

    let calls = queue.calls();
    assert_eq!(calls.len(), 1, "one call of SQS");
    let entries = calls[0]["Entries"].as_array().unwrap();
    let item: Value = serde_json::from_str(entries[0]["MessageBody"].as_str().unwrap()).unwrap();
    let expected = json!({
        "v": 1, "account": "us", "provider": "twilio",
        "message": { "provider": "twilio", "channel": "sms", "message_id": "SM1", "from": "+14155550123",
                     "to": "+12025550100", "text": "Hello agent", "media": [], "received_at": null,
                     "segments": 1, "account": "AC1" },
        "number": { "contact_flow_id": "sales", "attributes": { "brand": "acme" } },
    });
    assert_eq!(item, expected);
    let inbound = Inbound::from_item(entries[0]["MessageBody"].as_str().unwrap()).unwrap();
    assert_eq!(entries[0]["MessageGroupId"], inbound.group_id());
    assert_eq!(entries[0]["MessageDeduplicationId"], inbound.deduplication_id());
    assert_eq!(entries.len(), 1);
}

#[tokio::test]
async fn every_gateway_and_route_brings_it() {
    let queue = Sqs::start().await;
    let function = receive_message(&queued(&queue, &[account(&json!({}))]), queue.url()).await;
    for (label, event) in [
        ("the provider alone", twilio("/sms/twilio", TOKEN, &sms("SM1", "1")).http_api()),
        ("the account too", twilio("/sms/twilio/us", TOKEN, &sms("SM2", "2")).http_api()),
        ("a REST API", twilio("/sms/twilio", TOKEN, &sms("SM3", "3")).rest_api()),
        ("a load balancer", twilio("/sms/twilio", TOKEN, &sms("SM4", "4")).alb()),
    ] {
        queue.forget();
        assert_accepted(&invoke(&function, &event).await, label);
        assert_eq!(queue.items().len(), 1, "{label}");
    }
    // A query is part of what is signed, verbatim.
    let mut request = twilio("/sms/twilio?a=b+c&d=%7e'", TOKEN, &sms("SM5", "5"));
    (request.path, request.query) = ("/sms/twilio".to_owned(), "a=b+c&d=%7e'".to_owned());
    assert_accepted(&invoke(&function, &request.http_api()).await, "a query");
}

#[tokio::test]
async fn the_gateways_own_name_is_the_base_where_none_is_set() {
    let queue = Sqs::start().await;
    let mut environment = queued(&queue, &[account(&json!({}))]);
    environment.retain(|(name, _)| *name != "PUBLIC_BASE_URL");
    let function = receive_message(&environment, queue.url()).await;
    let signed_for = |base: &str| {
        let mut request = twilio("/sms/twilio", TOKEN, &[]);
        let parameters = sms("SM1", "x");
        let mut sorted = parameters.clone();
        sorted.sort_unstable();
        let text: String = sorted.iter().fold(format!("{base}/sms/twilio"), |text, (name, value)| text + name + value);
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, TOKEN.as_bytes());
        request.headers[1].1 = BASE64_STANDARD.encode(aws_lc_rs::hmac::sign(&key, text.as_bytes()));
        request.body(form_urlencoded::Serializer::new(String::new()).extend_pairs(&parameters).finish())
    };
    let with_host = |request: Http| request.header("Host", "evil.example").header("X-Forwarded-Host", "evil.example");
    let mut staged = signed_for("https://api.example.com/prod");
    staged.path = "/prod/sms/twilio".to_owned();
    for (label, event, status) in [
        ("its domain", signed_for("https://api.example.com").http_api(), 200),
        ("its domain and stage", staged.http_api(), 200),
        ("a REST API's stage", signed_for("https://api.example.com/prod").rest_api(), 200),
        ("a caller's host", with_host(signed_for("https://evil.example")).http_api(), 403),
        ("another stage", signed_for("https://api.example.com/dev").http_api(), 403),
        // A load balancer names no domain: the owner must.
        ("a load balancer", signed_for("https://api.example.com").alb(), 503),
    ] {
        assert_eq!(invoke(&function, &event).await.status, status, "{label}");
    }
}

#[tokio::test]
async fn nothing_unproved_gets_through() {
    let queue = Sqs::start().await;
    let function = receive_message(&queued(&queue, &[account(&json!({}))]), queue.url()).await;
    let good = twilio("/sms/twilio", TOKEN, &sms("SM1", "Hello"));
    let without = |name: &str| {
        let mut request = good.clone();
        request.headers.retain(|(header, _)| !header.eq_ignore_ascii_case(name));
        request
    };
    let at = |path: &str| Http { path: path.to_owned(), ..good.clone() };
    let as_method = |method: &str| Http { method: method.to_owned(), ..good.clone() };
    let tampered = good.clone().body(String::from_utf8(good.body.clone()).unwrap().replace("Hello", "Hullo"));
    for (label, request, status, code) in [
        ("a wrong secret", twilio("/sms/twilio", "wrong", &sms("SM1", "Hello")), 403, "UNVERIFIED"),
        ("no signature", without("x-twilio-signature"), 403, "UNVERIFIED"),
        ("another body", tampered, 403, "UNVERIFIED"),
        ("another path", at("/sms/twilio/us"), 403, "UNVERIFIED"),
        ("an unknown provider", at("/sms/pigeon"), 404, "NOT_FOUND"),
        ("an unknown account", at("/sms/twilio/eu"), 404, "NOT_FOUND"),
        ("a provider without an account", at("/sms/signalwire"), 404, "NOT_FOUND"),
        ("no route", at("/"), 404, "NOT_FOUND"),
        ("another method", as_method("DELETE"), 405, "METHOD_NOT_ALLOWED"),
        ("authentic and malformed", twilio("/sms/twilio", TOKEN, &[("MessageSid", "SM1")]), 400, "VALIDATION_ERROR"),
        (
            "authentic and too large",
            twilio("/sms/twilio", TOKEN, &sms("SM1", &"x".repeat(3_000_000))),
            400,
            "VALIDATION_ERROR",
        ),
        ("3 MB of nothing", good.clone().body(vec![0; 3_000_000]), 400, "VALIDATION_ERROR"),
        ("not UTF-8", good.clone().body(vec![0xff, 0xfe, b'=', 0]), 403, "UNVERIFIED"),
        ("empty", good.clone().body(""), 403, "UNVERIFIED"),
    ] {
        let answer = invoke(&function, &request.http_api()).await;
        assert_eq!((answer.status, answer.code()), (status, Some(code)), "{label}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{label}");
        let told = answer.body.to_string();
        assert!(!told.contains("1415555") && !told.contains(TOKEN), "{label}: {told}");
    }
    assert_eq!(queue.calls().len(), 0);
}

#[tokio::test]
async fn statuses_are_accepted_and_never_a_chat() {
    let queue = Sqs::start().await;
    let function = receive_message(&queued(&queue, &[account(&json!({}))]), queue.url()).await;
    let mut status = sms("SM1", "");
    status.push(("MessageStatus", "delivered"));
    assert_accepted(&invoke(&function, &twilio("/sms/twilio", TOKEN, &status).http_api()).await, "a status");
    let [call] = queue.calls().try_into().expect("one call");
    let item = &call["Entries"][0];
    let body: Value = serde_json::from_str(item["MessageBody"].as_str().unwrap()).unwrap();
    let expected = json!({ "message_id": "SM1", "state": "delivered", "accounts": ["us"] });
    assert_eq!(body, json!({ "v": 1, "provider": "twilio", "status": expected }));
    let ids = [&item["MessageGroupId"], &item["MessageDeduplicationId"]];
    assert!(ids.iter().all(|id| id.as_str().is_some_and(|id| id.len() == 64)), "{ids:?}");
    // That a text is on its way changes nothing.
    queue.forget();
    let mut sent = sms("SM1", "");
    sent.push(("MessageStatus", "sent"));
    assert_accepted(&invoke(&function, &twilio("/sms/twilio", TOKEN, &sent).http_api()).await, "on its way");
    assert_eq!(queue.calls().len(), 0);
}

#[tokio::test]
async fn an_opt_out_travels_as_such() {
    let queue = Sqs::start().await;
    let function = receive_message(&queued(&queue, &[account(&json!({}))]), queue.url()).await;
    for (text, opt_out) in
        [("Stop", json!("STOP")), ("STOP it", Value::Null), ("END", Value::Null), ("start", json!("START"))]
    {
        queue.forget();
        let answer = invoke(&function, &twilio("/sms/twilio", TOKEN, &sms("SM1", text)).http_api()).await;
        assert_accepted(&answer, text);
        assert_eq!(queue.items()[0]["message"]["opt_out"], opt_out, "{text}");
    }
}

#[tokio::test]
async fn a_queue_that_fails_is_503_and_never_2xx() {
    let queue = Sqs::start().await;
    let function = receive_message(&queued(&queue, &[account(&json!({}))]), queue.url()).await;
    let request = twilio("/sms/twilio", TOKEN, &sms("SM1", "Hello")).http_api();
    for status in [400, 403, 500, 503] {
        queue.fail(status, usize::MAX);
        let answer = invoke(&function, &request).await;
        assert_eq!((answer.status, answer.code()), (503, Some("NOT_STORED")), "{status}");
        assert_eq!(answer.header("retry-after"), Some("30"), "{status}");
    }
    // A hiccup is bridged, and what was lost or stored twice is one message by its deduplication id.
    queue.fail(500, 1);
    queue.forget();
    assert_accepted(&invoke(&function, &request).await, "a hiccup");
    let items: Vec<_> = queue.calls().iter().map(|call| call["Entries"][0]["MessageDeduplicationId"].clone()).collect();
    assert_eq!(items.len(), 2);
    assert_eq!(items[0], items[1]);
}

#[tokio::test]
async fn a_duplicate_is_answered_alike_and_is_one_message() {
    let queue = Sqs::start().await;
    let function = receive_message(&queued(&queue, &[account(&json!({}))]), queue.url()).await;
    let request = twilio("/sms/twilio", TOKEN, &sms("SM1", "Hello")).http_api();
    for _ in 0..3 {
        assert_accepted(&invoke(&function, &request).await, "again");
    }
    assert_eq!(queue.items().len(), 1, "the queue drops what has the same deduplication id");

    // Delivered directly, the client token says the same to Connect.
    let connect = StandIn::start().await.unwrap();
    let function = receive_message(&direct(&[account(&json!({}))]), connect.url()).await;
    for _ in 0..3 {
        assert_accepted(&invoke(&function, &request).await, "again, directly");
    }
    let contacts = connect.contacts();
    assert_eq!(contacts.len(), 1);
    assert_eq!(contacts[0].messages(), ["Hello"]);
}

#[tokio::test]
async fn without_a_queue_connect_is_called_itself() {
    let connect = StandIn::start().await.unwrap();
    let numbers = json!({ "numbers": { "+12025550100": { "contact_flow_id": "sales", "display_name": "SMS customer",
                                                         "attributes": { "brand": "acme", "channel": "spoofed" } } } });
    let function = receive_message(&direct(&[account(&numbers)]), connect.url()).await;
    assert_accepted(&invoke(&function, &twilio("/sms/twilio", TOKEN, &sms("SM1", "Hello")).http_api()).await, "direct");
    let started = &connect.calls_to(Operation::StartChatContact)[0].body;
    assert_eq!(started["ContactFlowId"], "sales");
    assert_eq!(started["ParticipantDetails"]["DisplayName"], "SMS customer");
    assert_eq!(started["ChatStreamingConfiguration"]["StreamingEndpointArn"], TOPIC);
    assert_eq!(
        started["Attributes"],
        json!({ "channel": "sms", "provider": "twilio", "account": "us", "customerAddress": "+14155550123",
                "businessAddress": "+12025550100", "providerMessageId": "SM1", "brand": "acme" })
    );
    assert_eq!(started["InitialMessage"], json!({ "ContentType": "text/plain", "Content": "Hello" }));
    let contact = &connect.contacts()[0];
    assert!(contact.connected, "the flow starts only once the customer is connected");

    // What comes next is said in the same chat.
    assert_accepted(&invoke(&function, &twilio("/sms/twilio", TOKEN, &sms("SM2", "Again")).http_api()).await, "next");
    assert_eq!(connect.contacts().len(), 1);
    assert_eq!(connect.contacts()[0].messages(), ["Hello", "Again"]);
}

#[tokio::test]
async fn what_connect_does_not_take_may_come_again() {
    let connect = StandIn::start().await.unwrap();
    let function = receive_message(&direct(&[account(&json!({}))]), connect.url()).await;
    let request = twilio("/sms/twilio", TOKEN, &sms("SM1", "Hello")).http_api();
    for fault in [
        Fault::limit_exceeded(),
        Fault::error(403, "AccessDeniedException"),
        Fault::error(400, "InvalidRequestException"),
    ] {
        connect.fail(Operation::StartChatContact, fault);
        let answer = invoke(&function, &request).await;
        assert_eq!((answer.status, answer.code()), (503, Some("NOT_STORED")));
    }
    assert_accepted(&invoke(&function, &request).await, "at last");
    assert_eq!(connect.contacts().len(), 1);
}

#[tokio::test]
async fn the_integration_event_route() {
    let connect = StandIn::start().await.unwrap();
    let mut environment = direct(&[account(&json!({}))]);
    environment.push(("CONNECT_ROUTE", "integration-event".to_owned()));
    let function = receive_message(&environment, connect.url()).await;
    let mut picture = sms("SM1", "Look");
    picture.extend([("MediaUrl0", "https://media.example/1"), ("MediaContentType0", "image/png")]);
    assert_accepted(&invoke(&function, &twilio("/sms/twilio", TOKEN, &picture).http_api()).await, "mms");
    let call = &connect.calls_to(Operation::SendChatIntegrationEvent)[0].body;
    assert_eq!(
        *call,
        json!({
            "SourceId": "+14155550123", "DestinationId": "+12025550100", "Subtype": "connect:sms",
            "Event": { "Type": "MESSAGE", "ContentType": "text/plain", "Content": "Look\n[image]" },
            "NewSessionDetails": {
                "SupportedMessagingContentTypes": ["text/plain", "text/markdown", "application/vnd.amazonaws.connect.message.interactive",
                                                   "application/vnd.amazonaws.connect.message.interactive.response"],
                "ParticipantDetails": { "DisplayName": "+14155550123" },
                "Attributes": { "channel": "mms", "provider": "twilio", "account": "us", "customerAddress": "+14155550123",
                                "businessAddress": "+12025550100", "providerMessageId": "SM1" },
                "StreamingConfiguration": { "StreamingEndpointArn": TOPIC },
            },
        })
    );
}

#[tokio::test]
async fn accounts_are_found_by_their_secret() {
    let queue = Sqs::start().await;
    let mut other = account(&json!({ "account_sid": "AC2" }));
    other["name"] = json!("other");
    other["auth_tokens"] = json!(["new", "old"]);
    // An AccountSid that names neither: the secret decides, and nobody is locked out.
    let function =
        receive_message(&queued(&queue, &[account(&json!({ "account_sid": "AC9" })), other]), queue.url()).await;
    for (token, name) in [(TOKEN, "us"), ("new", "other"), ("old", "other")] {
        queue.forget();
        let answer = invoke(&function, &twilio("/sms/twilio", token, &sms("SM1", "Hello")).http_api()).await;
        assert_accepted(&answer, token);
        assert_eq!(queue.items()[0]["account"], name);
    }
}

#[tokio::test]
async fn a_rotation_done_as_written_loses_nothing() {
    let secrets = SecretsManager::start(&json!({ "accounts": [account(&json!({}))] })).await;
    let queue = Sqs::start().await;
    queue.with_secrets_at(secrets.url());
    let environment = [
        ("BRIDGE_SETTINGS_ARN", SECRET_ARN.to_owned()),
        ("PUBLIC_BASE_URL", BASE.to_owned()),
        ("INBOUND_QUEUE_URL", format!("{}/123456789012/inbound.fifo", queue.url())),
    ];
    let function = receive_message(&environment, queue.url()).await;
    assert_eq!(secrets.calls(), 0, "nothing is read at init");
    let signed = |token, id| twilio("/sms/twilio", token, &sms(id, "Hello")).http_api();
    assert_accepted(&invoke(&function, &signed(TOKEN, "SM1")).await, "before");

    // The new secret is added; the old one signs on.
    secrets.put(&json!({ "accounts": [account(&json!({ "auth_tokens": [TOKEN, "new"] }))] }));
    assert_accepted(&invoke(&function, &signed(TOKEN, "SM2")).await, "added");
    // Even without the five minutes' wait: half a minute later, the first that doesn't match makes us look again.
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(30)).await;
    tokio::time::resume();
    assert_accepted(&invoke(&function, &signed("new", "SM3")).await, "switched");
    // Then the old one is taken away.
    secrets.put(&json!({ "accounts": [account(&json!({ "auth_tokens": ["new"] }))] }));
    assert_accepted(&invoke(&function, &signed("new", "SM4")).await, "finished");
    assert_eq!(queue.items().len(), 4);
    assert_eq!(secrets.calls(), 2);
}

#[tokio::test]
async fn a_mismatch_while_the_gate_is_shut_may_come_again() {
    let secrets = SecretsManager::start(&json!({ "accounts": [account(&json!({}))] })).await;
    let queue = Sqs::start().await;
    queue.with_secrets_at(secrets.url());
    let environment = [
        ("BRIDGE_SETTINGS_ARN", SECRET_ARN.to_owned()),
        ("PUBLIC_BASE_URL", BASE.to_owned()),
        ("INBOUND_QUEUE_URL", format!("{}/123456789012/inbound.fifo", queue.url())),
    ];
    let function = receive_message(&environment, queue.url()).await;
    let forged = twilio("/sms/twilio", "wrong", &sms("SM1", "Hello"));
    let mut unsigned = forged.clone();
    unsigned.headers.pop();
    for (label, request, status, code, calls) in [
        ("just read, and wrong", &forged, 403, "UNVERIFIED", 1),
        ("the gate is shut", &forged, 503, "UNVERIFIED", 1),
        ("no signature at all is no rotation", &unsigned, 403, "UNVERIFIED", 1),
    ] {
        let answer = invoke(&function, &request.http_api()).await;
        assert_eq!((answer.status, answer.code()), (status, Some(code)), "{label}");
        assert_eq!(secrets.calls(), calls, "{label}");
    }
    let good = twilio("/sms/twilio", TOKEN, &sms("SM1", "Hello")).http_api();
    assert_accepted(&invoke(&function, &good).await, "the right secret needs no gate");
    assert_eq!(queue.items().len(), 1);
}

#[tokio::test]
async fn settings_that_cannot_be_had_are_503() {
    let queue = Sqs::start().await;
    let mut environment = queued(&queue, &[]);
    environment[0].1 = "{".to_owned();
    let function = receive_message(&environment, queue.url()).await;
    let answer = invoke(&function, &twilio("/sms/twilio", TOKEN, &sms("SM1", "Hello")).http_api()).await;
    assert_eq!((answer.status, answer.code()), (503, Some("SETTINGS_UNAVAILABLE")));
}

/// A POST of Meta's with `count` messages over several entries and changes.
fn meta(count: usize) -> Http {
    let messages: Vec<Value> = (0..count)
        .map(|n| json!({ "from": "14155550123", "id": format!("wamid.{n}"), "timestamp": "1790000000", "type": "text", "text": { "body": format!("é {n}") } }))
        .collect();
    let changes: Vec<Value> = messages
        .chunks(2)
        .map(|messages| {
            json!({ "field": "messages", "value": { "messaging_product": "whatsapp",
                    "metadata": { "display_phone_number": "12025550100", "phone_number_id": "1" },
                    "contacts": [{ "profile": { "name": "Jane" }, "wa_id": "14155550123" }], "messages": messages } })
        })
        .collect();
    let entries: Vec<Value> = changes.chunks(2).map(|changes| json!({ "id": "waba", "changes": changes })).collect();
    let body = json!({ "object": "whatsapp_business_account", "entry": entries }).to_string();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"app secret");
    let signature = format!("sha256={}", hex::encode(aws_lc_rs::hmac::sign(&key, body.as_bytes())));
    Http::new("POST", "/sms/meta")
        .header("Content-Type", "application/json")
        .header("X-Hub-Signature-256", &signature)
        .body(body)
}

#[tokio::test]
async fn one_post_with_many_messages() {
    let account = json!({ "provider": "meta", "app_secrets": ["app secret"] });
    for (count, calls) in [(0, 0), (1, 1), (5, 5), (23, 23)] {
        let queue = Sqs::start().await;
        let function = receive_message(&queued(&queue, std::slice::from_ref(&account)), queue.url()).await;
        let answer = invoke(&function, &meta(count).http_api()).await;
        assert_eq!((answer.status, &answer.body), (200, &json!({ "success": true })), "{count}");
        let ids: Vec<_> = queue.items().iter().map(|item| item["message"]["message_id"].clone()).collect();
        let expected: Vec<_> = (0..count).map(|n| json!(format!("wamid.{n}"))).collect();
        assert_eq!(ids, expected, "{count}: all, in order");
        assert_eq!(queue.calls().len(), calls, "{count}: one call a message, since they are one conversation's");
    }
}

#[tokio::test]
async fn topics_are_confirmed_and_certificates_fetched_where_they_may_be() {
    let connect = StandIn::start().await.unwrap();
    let event = |name: &str| -> Value {
        let path = format!("{}/../events/receive-message/{name}.json", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    let account = json!({ "provider": "aws-sns", "topic_arns": ["arn:aws:sns:us-east-1:123456789012:two-way-sms"],
                          "max_age_seconds": 0 });
    let stranger = json!({ "provider": "aws-sns", "topic_arns": ["arn:aws:sns:us-east-1:123456789012:other"] });
    let closed = "http://127.0.0.1:1".to_owned();
    for (label, account, name, sns, aws, status) in [
        ("a message", &account, "aws-sns", connect.url(), connect.url(), 200),
        ("a subscription", &account, "aws-sns-subscription", connect.url(), connect.url(), 200),
        (
            "a subscription that can't be confirmed",
            &account,
            "aws-sns-subscription",
            connect.url(),
            closed.as_str(),
            503,
        ),
        ("a certificate that can't be had", &account, "aws-sns", closed.as_str(), connect.url(), 503),
        // Nothing is fetched for a stranger's topic.
        ("a stranger's topic", &stranger, "aws-sns", closed.as_str(), connect.url(), 403),
        ("a stranger's subscription", &stranger, "aws-sns-subscription", closed.as_str(), closed.as_str(), 403),
    ] {
        let mut environment = direct(std::slice::from_ref(account));
        environment.push(("AWS_ENDPOINT_URL_SNS", sns.to_owned()));
        let function = receive_message(&environment, aws).await;
        assert_eq!(invoke(&function, &event(name)).await.status, status, "{label}");
    }
    assert_eq!(connect.contacts().len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever arrives at any provider's route: an answer that is no 2xx, no panic, and nothing in the queue.
    #[test]
    fn no_webhook_breaks_it(
        provider in prop::sample::select(providers::names()),
        method in prop::sample::select(vec!["POST", "GET", "PUT"]),
        query in "[ -~]{0,60}",
        content_type in prop::sample::select(vec!["application/x-www-form-urlencoded", "application/json", "text/plain", ""]),
        body in prop_oneof![prop::collection::vec(any::<u8>(), 0..300), "\\PC{0,200}".prop_map(String::into_bytes)],
        signature in "[ -~]{0,100}",
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let queue = Sqs::start().await;
            let accounts = providers::names().into_iter().map(|name| providers::account(name, "https://api.example")).collect::<Vec<_>>();
            let function = receive_message(&queued(&queue, &accounts), queue.url()).await;
            let mut request = Http::new(method, &format!("/sms/{provider}")).header("content-type", content_type).body(body);
            request.query = query;
            for name in providers::PROVIDERS.iter().flat_map(|provider| provider.headers()) {
                request = request.header(name, &signature);
            }
            let answer = invoke(&function, &request.http_api()).await;
            // Who says a user name and password is asked for them by 401.
            assert!(matches!(answer.status, 400 | 401 | 403 | 405), "{answer:?}");
            assert_eq!(queue.calls().len(), 0);
        });
    }
}
