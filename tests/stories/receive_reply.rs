//! The hop from Connect's topic to the outbound FIFO queue: what goes on, as it came, in which order, and what does not.

use local::Line as Said;
use local::{Role, Visibility};
use serde_json::{Value, json};
use tests::{
    aws::{call, invoke_within},
    providers::{Call, Reply},
    replies::{Desk, TWILIO},
};

/// What stands in the outbound queue, in order.
async fn outbound(desk: &Desk) -> Vec<Value> {
    let url = desk.receive_environment()[0].1.clone();
    let mut items = Vec::new();
    loop {
        let asked = json!({ "QueueUrl": url, "MaxNumberOfMessages": 10, "VisibilityTimeout": 3600,
                            "AttributeNames": ["All"], "MessageAttributeNames": ["All"] });
        let received = call("sqs", "ReceiveMessage", &asked).await;
        let Some(messages) = received["Messages"].as_array().filter(|messages| !messages.is_empty()) else {
            return items;
        };
        for message in messages {
            let asked = json!({ "QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"] });
            call("sqs", "DeleteMessage", &asked).await;
            items.push(message.clone());
        }
    }
}

#[tokio::test]
async fn only_what_send_reply_needs_goes_on_byte_for_byte() {
    let (desk, chat) = Desk::with_chat(TWILIO).await;
    let connect = &desk.cloud.connect;
    let line = |role, visibility, content: &str| Said {
        role,
        display_name: None,
        content_type: "text/plain".to_owned(),
        content: content.to_owned(),
        visibility,
    };
    connect.says(&chat, &line(Role::Agent, Visibility::Agent, "Shall I refund?")).unwrap();
    connect.says(&chat, &line(Role::CustomBot, Visibility::All, "I am a bot")).unwrap();
    connect.agent_event(&chat, "application/vnd.amazonaws.connect.event.typing", None).unwrap();
    connect.agent_says(&chat, "text/plain", "Hello 📦").unwrap();
    connect.end(&chat).unwrap();
    let items = desk.streamed();
    let kind = |item: &local::StreamedItem| -> Value {
        let item: Value = serde_json::from_str(&item.message).unwrap();
        if item["Type"] == "MESSAGE" { item["Content"].clone() } else { item["ContentType"].clone() }
    };
    for (number, item) in items.iter().enumerate() {
        if number % 2 == 0 { desk.notify(item).await } else { desk.notify_raw(item).await }
    }
    desk.receive().await;
    let sent = outbound(&desk).await;
    let expected = [
        json!("I am a bot"),
        json!("application/vnd.amazonaws.connect.event.typing"),
        json!("Hello 📦"),
        json!("application/vnd.amazonaws.connect.event.chat.ended"),
    ];
    let forwarded: Vec<_> = items.iter().enumerate().filter(|(_, item)| expected.contains(&kind(item))).collect();
    assert_eq!(forwarded.iter().map(|(_, item)| kind(item)).collect::<Vec<_>>(), expected);
    assert_eq!(sent.len(), expected.len());
    for ((number, item), message) in forwarded.into_iter().zip(&sent) {
        let body = message["Body"].as_str().unwrap();
        if number % 2 == 0 {
            let notification: Value = serde_json::from_str(body).unwrap();
            assert_eq!(notification["Message"], item.message);
        } else {
            assert_eq!(body, item.message);
            assert_eq!(message["MessageAttributes"].as_object().unwrap().len(), item.message_attributes.len());
        }
        assert_eq!(message["Attributes"]["MessageGroupId"], sent[0]["Attributes"]["MessageGroupId"]);
    }
    assert_eq!(desk.dead_letters().await, []);
}

#[tokio::test]
async fn what_cannot_be_read_is_a_dead_letter_and_holds_up_nobody() {
    let (desk, chat) = Desk::with_chat(TWILIO).await;
    desk.put("not JSON", &json!({})).await;
    desk.cloud.connect.agent_says(&chat, "text/plain", "Hello").unwrap();
    desk.hand_over().await;
    desk.drain().await;
    assert_eq!(desk.sent().iter().map(Call::text).collect::<Vec<_>>(), ["Hello"]);
    assert_eq!(desk.dead_letters().await, [("malformed".to_owned(), "not JSON".to_owned())]);
}

/// The example of `events/receive-reply`, whose second item was said before the first.
#[tokio::test]
async fn items_that_come_together_are_sorted() {
    let (desk, chat) = Desk::with_chat(TWILIO).await;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../events/receive-reply/wrong-order.json");
    let event = std::fs::read_to_string(path).unwrap().replace("11111111-1111-4111-8111-111111111111", &chat);
    let function = desk.receiver(None).await;
    let event = serde_json::from_str(&event).unwrap();
    let answer = invoke_within(desk.time, event, async |event| function.handle(event).await).await.unwrap();
    assert_eq!(answer, json!({ "batchItemFailures": [] }));
    desk.drain().await;
    assert_eq!(desk.sent().iter().map(Call::text).collect::<Vec<_>>(), ["first", "second"]);
}

#[tokio::test]
async fn a_delayed_reply_is_told_of_once_and_then_expires() {
    let (mut desk, chat) = Desk::with_chat(TWILIO).await;
    desk.variables = vec![("REPLY_DELAY_NOTICE_SECONDS", "1"), ("REPLY_PATIENCE_SECONDS", "4")];
    desk.providers.always("twilio", Reply::status(429));
    desk.cloud.connect.agent_says(&chat, "text/plain", "one").unwrap();
    desk.cloud.connect.agent_says(&chat, "text/plain", "two").unwrap();
    desk.hand_over().await;
    let function = desk.function().await;
    let invoke = async |event: Value| desk.invoke(&function, event).await;
    while desk.told(&chat).len() < 3 {
        desk.poll_by(invoke).await;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    // What waits behind another reply is not told of; it is tried before it expires, too.
    assert_eq!(
        desk.told(&chat),
        [
            "[delayed] one\n(the provider takes no messages now; it is tried again)",
            "[not delivered] one\n(the provider took no messages for too long)",
            "[not delivered] two\n(the provider took no messages for too long)",
        ]
    );
    let tried: std::collections::BTreeSet<_> = desk.sent().iter().map(Call::text).collect();
    assert_eq!(tried.len(), 2);
    let letters = desk.dead_letters().await;
    assert_eq!(letters.iter().map(|(reason, _)| reason.as_str()).collect::<Vec<_>>(), ["expired", "expired"]);
    desk.providers.always("twilio", Reply::taken("twilio"));
    desk.cloud.connect.agent_says(&chat, "text/plain", "three").unwrap();
    desk.hand_over().await;
    desk.drain_by(invoke).await;
    assert_eq!(desk.sent().last().unwrap().text(), "three");
}
