//! The order of a conversation's replies, also where they wait, fail, or are handed over in another order.

use std::{collections::BTreeSet, time::Duration};

use local::{Operation, StreamedItem};
use serde_json::{Value, json};
use tests::{
    aws::TableFault,
    providers::Reply,
    replies::{Desk, TWILIO, lines},
};

use super::{assert_sent, hand, item, texts};

const LEFT: &str = "application/vnd.amazonaws.connect.event.participant.left";

/// An agent's texts `1`, `2` … in the order in which they were written.
fn numbered<const COUNT: usize>(chat: &str) -> [StreamedItem; COUNT] {
    let mut number = 0;
    [(); COUNT].map(|()| {
        number += 1;
        item(chat, number, &json!({ "Content": number.to_string(), "ParticipantRole": "AGENT" }))
    })
}

#[tokio::test]
async fn what_is_handed_over_in_the_wrong_order_is_sent_in_the_right_one() {
    for line in lines() {
        let (desk, chat) = Desk::with_chat(line).await;
        for text in ["one", "two", "three"] {
            desk.cloud.connect.agent_says(&chat, "text/plain", text).unwrap();
        }
        let mut items = desk.streamed();
        items.reverse();
        for item in &items {
            desk.notify(item).await;
        }
        desk.drain().await;
        assert_sent(&desk, &["one", "two", "three"]);
    }
}

#[tokio::test]
async fn two_processes_send_one_conversation_in_turn() {
    let (mut desk, chat) = Desk::with_chat(TWILIO).await;
    desk.time = Duration::from_secs(15);
    for number in 0..12 {
        desk.cloud.connect.agent_says(&chat, "text/plain", &format!("number {number} {}", "x".repeat(1_700))).unwrap();
    }
    desk.providers.always("twilio", Reply::taken("twilio").after(Duration::from_millis(20)));
    for item in desk.streamed() {
        desk.notify(&item).await;
        desk.notify(&item).await;
    }
    let (one, two) = (desk.function().await, desk.function().await);
    tokio::join!(
        desk.drain_by(async |event| desk.invoke(&one, event).await),
        desk.drain_by(async |event| desk.invoke(&two, event).await)
    );
    let sent = texts(&desk);
    assert_eq!(sent.len(), 24, "{sent:?}");
    // The two parts of each are beside each other.
    for parts in sent.chunks(2) {
        assert!(parts[0].starts_with("number ") && parts[1].chars().all(|c| c == 'x'), "{sent:?}");
    }
    assert_eq!(sent.iter().step_by(2).collect::<BTreeSet<_>>().len(), 12);
}

#[tokio::test]
async fn a_reply_that_outruns_its_conversation_waits_for_it() {
    let desk = Desk::start(TWILIO).await;
    // The record of the chat can't be written before the flow has spoken.
    desk.cloud.dynamo.fail("TransactWriteItems", TableFault::Error(500, "InternalServerError"));
    for _ in 0..20 {
        desk.cloud.dynamo.fail("TransactWriteItems", TableFault::Error(500, "InternalServerError"));
    }
    let settings = shared::settings::Settings::from_json(desk.settings.to_string().as_bytes()).unwrap();
    let mut message =
        shared::sms::message::Message::new("test", desk.line.channel, "SM1", desk.line.customer, desk.line.ours);
    message.text = "Hello".to_owned();
    desk.cloud.send(&[shared::inbound::Inbound::new(&settings.accounts[0], message)]).await;
    let deliver = desk.cloud.function().await;
    desk.cloud.poll_until(&deliver, || desk.cloud.connect.contacts().first().is_some_and(|chat| chat.connected)).await;
    let chat = desk.cloud.connect.contacts()[0].initial_id.clone();
    desk.cloud.connect.agent_says(&chat, "text/plain", "Welcome").unwrap();
    desk.hand_over().await;
    let send = desk.function().await;
    let mut tries = 0;
    while tries < 3 {
        tries += desk.poll_by(async |event| desk.invoke(&send, event).await).await.min(1);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(desk.sent(), []);
    desk.cloud.drain(&deliver).await;
    assert_eq!(desk.cloud.connect.contacts().len(), 1);
    // What follows it comes once the record is there, and does not go before it.
    desk.cloud.connect.agent_says(&chat, "text/plain", "How can I help?").unwrap();
    let follows = desk.streamed();
    assert_eq!(hand(&desk, &[&follows[0]]).await, ["m-0"]);
    assert_eq!(desk.sent(), []);
    desk.notify(&follows[0]).await;
    desk.drain().await;
    assert_sent(&desk, &["Welcome", "How can I help?"]);
}

#[tokio::test]
async fn no_part_is_handed_over_with_no_time_for_its_answer() {
    let (mut desk, chat) = Desk::with_chat(TWILIO).await;
    // Time for a quick answer, and not for a slow one.
    desk.time = Duration::from_secs(5);
    desk.patience = Duration::from_secs(6);
    desk.cloud.connect.agent_says(&chat, "text/plain", "Hello").unwrap();
    desk.hand_over().await;
    let function = desk.function().await;
    let invoke = async |event: Value| desk.invoke(&function, event).await;
    assert!(desk.poll_by(invoke).await > 0);
    assert_eq!(desk.sent(), []);
    // Throttled until the time is nearly over: it waits, and is not taken for one that may have been sent.
    desk.time = Duration::from_secs(10);
    desk.patience = Duration::from_secs(8);
    desk.providers.script("twilio", std::iter::repeat_n(Reply::status(429).after(Duration::from_secs(1)), 4));
    desk.drain().await;
    assert_eq!((desk.told(&chat).len(), desk.dead_letters().await.len()), (0, 0));
    assert_eq!(texts(&desk), ["Hello"; 5]);
}

#[tokio::test]
async fn a_reply_that_waits_is_not_overtaken() {
    let (desk, chat) = Desk::with_chat(TWILIO).await;
    let long = format!("{} end", "word ".repeat(400).trim());
    desk.cloud.connect.agent_says(&chat, "text/plain", &long).unwrap();
    let first = desk.streamed();
    desk.cloud.connect.agent_says(&chat, "text/plain", "second").unwrap();
    let second = desk.streamed();
    // The first part is taken; the provider then has no time for a while.
    let busy = Reply::status(429).header("retry-after", "20");
    desk.providers.script("twilio", [Reply::taken("twilio"), busy.clone(), busy]);
    for item in &first {
        desk.notify(item).await;
    }
    let function = desk.function().await;
    let invoke = async |event: Value| desk.invoke(&function, event).await;
    while desk.poll_by(invoke).await > 0 || desk.sent().len() < 2 {}
    for item in &second {
        desk.notify(item).await;
    }
    desk.drain().await;
    let sent = texts(&desk);
    assert_eq!(sent.len(), 5, "{sent:?}");
    assert!(sent[0].starts_with("word") && sent[1].ends_with("end") && sent[4] == "second", "{sent:?}");
    assert_eq!((&sent[1], &sent[2]), (&sent[3], &sent[3]));
    assert_eq!((desk.told(&chat).len(), desk.dead_letters().await.len()), (0, 0));
}

