//! What agents, bots and flows say in a chat reaches the customer's phone, through Connect's stream, the queue and the
//! provider. One file for each subject; here is what they share.

mod content;
mod opt_outs;
mod order;
mod refusals;

use std::collections::BTreeSet;

use local::StreamedItem;
use serde_json::{Value, json};
use tests::{providers::Call, replies::Desk};

/// The texts that were sent, in order.
fn texts(desk: &Desk) -> Vec<String> {
    calls(desk).iter().map(Call::text).collect()
}

/// The calls that brought a text: a channel of the owner's own is also told of a chat's end (`own_channel`).
fn calls(desk: &Desk) -> Vec<Call> {
    let is_signal = |call: &Call| matches!(call.json()["type"].as_str(), Some("typing" | "end"));
    desk.sent().into_iter().filter(|call| !is_signal(call)).collect()
}

/// Asserts that these texts, and nothing else, were sent over the line, each by a whole request with a key of its own.
fn assert_sent(desk: &Desk, expected_texts: &[&str]) {
    let line = &desk.line;
    let calls = calls(desk);
    let sent: Vec<_> = calls.iter().map(Call::whole).collect();
    let expected: Vec<_> = expected_texts.iter().map(|text| line.api().request(line, text)).collect();
    assert_eq!(sent, expected, "{}", line.label);
    let keys: Vec<String> = calls.iter().filter_map(Call::key).collect();
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
    let sent_at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let records = bodies.into_iter().enumerate().map(|(number, body)| {
        json!({
            "messageId": format!("m-{number}"), "receiptHandle": "r-1", "body": body, "messageAttributes": {},
            "attributes": { "ApproximateReceiveCount": receipts.to_string(), "SentTimestamp": sent_at.to_string() },
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
