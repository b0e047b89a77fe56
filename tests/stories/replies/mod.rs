//! What agents, bots and flows say in a chat reaches the customer's phone, through Connect's stream, the queue and the
//! provider. One file for each subject; here is what they share.

mod content;
mod opt_outs;
mod order;
mod refusals;

use std::collections::BTreeSet;

use local::StreamedItem;
use serde_json::{Value, json};
use shared::sms::segments;
use tests::{
    providers::Call,
    replies::{Desk, Line},
};

/// The texts that were sent, in order.
fn texts(desk: &Desk) -> Vec<String> {
    desk.sent().iter().map(Call::text).collect()
}

/// The whole of a request, but for what differs each time: keys and signatures are looked at and left out.
fn whole(call: &Call) -> Value {
    let mut headers = call.headers.clone();
    for name in ["host", "content-length", "accept", "user-agent", "x-amz-user-agent", "x-amz-date"] {
        headers.remove(name);
    }
    headers.retain(|name, _| !name.starts_with("amz-sdk-"));
    let is_key = |key: &str| key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut put = |name: &str, is_right: &dyn Fn(&str) -> bool, instead: &str| {
        if let Some(value) = headers.get_mut(name)
            && is_right(value)
        {
            instead.clone_into(value);
        }
    };
    put("idempotency-key", &is_key, "[key]");
    put("authorization", &|value| value.starts_with("Bearer ey") && value.split('.').count() == 3, "Bearer [JWT]");
    put("authorization", &|value| value.starts_with("AWS4-HMAC-SHA256 Credential=test/"), "[SigV4]");
    let mut body = if call.json().is_null() { json!(call.form()) } else { call.json() };
    for name in ["client-ref", "client_ref"] {
        if body[name].as_str().is_some_and(is_key) {
            body[name] = json!("[key]");
        }
    }
    if body["message"].is_string() {
        body["message"] = call.whatsapp();
    }
    json!({ "request": format!("{} {}", call.method, call.path), "query": call.query, "headers": headers, "body": body })
}

/// The request that brings a text to the line's customer.
fn expected(line: &Line, text: &str) -> Value {
    let json_headers =
        |authorization: &str| json!({ "authorization": authorization, "content-type": "application/json" });
    let (to, from) = (line.customer, line.ours);
    let (request, headers, body) = match line.provider {
        "twilio" | "signalwire" => {
            let prefix = match line.label {
                "twilio whatsapp" => "whatsapp:",
                "twilio rcs" => "rcs:",
                _ => "",
            };
            let (path, authorization) = match line.provider {
                "twilio" => (
                    "/2010-04-01/Accounts/AC00000000000000000000000000000001",
                    "Basic QUMwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMTpzM2NyZXQtMQ==",
                ),
                _ => ("/api/laml/2010-04-01/Accounts/720796a0-8ee9", "Basic NzIwNzk2YTAtOGVlOTpzM2NyZXQ="),
            };
            (
                format!("POST {path}/Messages.json"),
                json!({ "authorization": authorization, "content-type": "application/x-www-form-urlencoded" }),
                json!({ "To": format!("{prefix}{to}"), "From": format!("{prefix}{from}"), "Body": text }),
            )
        }
        "telnyx" => {
            let mut headers = json_headers("Bearer s3cret");
            headers["idempotency-key"] = json!("[key]");
            ("POST /v2/messages".to_owned(), headers, json!({ "from": from, "to": to, "text": text, "type": "SMS" }))
        }
        "vonage" => {
            let kind = match segments::size(text).encoding {
                segments::Encoding::Gsm7 => "text",
                segments::Encoding::Ucs2 => "unicode",
            };
            (
                "POST /sms/json".to_owned(),
                json!({ "content-type": "application/json" }),
                json!({ "api_key": "abcd1234", "api_secret": "s3cret", "to": &to[1..], "from": &from[1..], "text": text,
                        "type": kind, "client-ref": "[key]" }),
            )
        }
        "vonage-messages" => (
            "POST /v1/messages".to_owned(),
            json_headers("Bearer [JWT]"),
            json!({ "message_type": "text", "channel": "sms", "to": &to[1..], "from": &from[1..], "text": text,
                    "client_ref": "[key]" }),
        ),
        "meta" => {
            ("POST /v25.0/106540352242922/messages".to_owned(), json_headers("Bearer s3cret"), whatsapp(line, text))
        }
        _ if line.ours_id.is_none() => (
            "POST /".to_owned(),
            json!({ "authorization": "[SigV4]", "content-type": "application/x-amz-json-1.0",
                    "x-amz-target": "PinpointSMSVoiceV2.SendTextMessage" }),
            json!({ "DestinationPhoneNumber": to, "OriginationIdentity": from, "MessageBody": text,
                    "MessageType": "TRANSACTIONAL" }),
        ),
        _ => (
            "POST /v1/whatsapp/send".to_owned(),
            json_headers("[SigV4]"),
            json!({ "originationPhoneNumberId": line.ours_id, "message": whatsapp(line, text), "metaApiVersion": "v20.0" }),
        ),
    };
    json!({ "request": request, "query": "", "headers": headers, "body": body })
}

/// Meta's message object.
fn whatsapp(line: &Line, text: &str) -> Value {
    let mut message = json!({ "messaging_product": "whatsapp", "recipient_type": "individual", "type": "text",
                              "text": { "body": text, "preview_url": false } });
    match line.customer.strip_prefix('+') {
        Some(digits) => message["to"] = json!(digits),
        None => message["recipient"] = json!(line.customer),
    }
    message
}

/// Asserts that these texts, and nothing else, were sent over the line, each by a whole request with a key of its own.
fn assert_sent(desk: &Desk, expected_texts: &[&str]) {
    let line = &desk.line;
    let sent: Vec<_> = desk.sent().iter().map(whole).collect();
    let expected: Vec<_> = expected_texts.iter().map(|text| expected(line, text)).collect();
    assert_eq!(sent, expected, "{}", line.label);
    let keys: Vec<String> = desk
        .sent()
        .iter()
        .filter_map(|call| {
            let in_body = call.json();
            let key = in_body["client-ref"].as_str().or(in_body["client_ref"].as_str());
            call.headers.get("idempotency-key").cloned().or(key.map(str::to_owned))
        })
        .collect();
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len(), "{}: a key came twice", line.label);
}

/// An item that the stand-in has no control for, as Connect streams it.
fn item(chat: &str, number: u32, changes: &Value) -> StreamedItem {
    let mut message = json!({
        "AbsoluteTime": format!("2026-11-20T10:00:{number:02}.000Z"), "Id": format!("item-{number}"), "Type": "MESSAGE",
        "ContentType": "text/plain", "ParticipantId": "p-1", "DisplayName": "BOT", "ParticipantRole": "SYSTEM",
        "InitialContactId": chat, "ContactId": chat,
    });
    for (name, value) in changes.as_object().unwrap() {
        message[name] = value.clone();
    }
    StreamedItem {
        topic_arn: tests::TOPIC.to_owned(),
        message: message.to_string(),
        message_attributes: [("MessageVisibility", "ALL"), ("InitialContactId", chat)]
            .map(|(name, value)| (name, local::MessageAttribute { kind: "String", value: value.to_owned() }))
            .into(),
    }
}

async fn say(desk: &Desk, chat: &str, content_type: &str, content: &str) {
    desk.cloud.connect.agent_says(chat, content_type, content).unwrap();
    desk.hand_over().await;
    desk.drain().await;
}

/// An event as Lambda hands it over.
fn event<'a>(bodies: impl IntoIterator<Item = &'a str>, receipts: usize) -> Value {
    let records = bodies.into_iter().enumerate().map(|(number, body)| {
        json!({
            "messageId": format!("m-{number}"), "receiptHandle": "r-1", "body": body, "messageAttributes": {},
            "attributes": { "ApproximateReceiveCount": receipts.to_string(), "SentTimestamp": "1795219200000" },
            "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:none", "awsRegion": "us-east-1" })
    });
    json!({ "Records": records.collect::<Vec<_>>() })
}

/// Hands these items, `m-0`, `m-1` …, to a new process: those that it hands back.
async fn hand(desk: &Desk, items: &[&StreamedItem]) -> Vec<String> {
    let bodies: Vec<_> = items.iter().map(|item| item.notification().to_string()).collect();
    let function = desk.function().await;
    let answer = desk.invoke(&function, event(bodies.iter().map(String::as_str), 1)).await.unwrap();
    let failures = answer["batchItemFailures"].as_array().unwrap().iter();
    failures.map(|failure| failure["itemIdentifier"].as_str().unwrap().to_owned()).collect()
}
