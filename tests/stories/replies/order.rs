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

#[tokio::test]
async fn a_reply_that_has_begun_is_finished_also_where_another_was_written_before() {
    let (desk, chat) = Desk::with_chat(TWILIO).await;
    let long = format!("{}end", "word ".repeat(400));
    let [earlier, later] = [(1, "one"), (2, &long)].map(|(n, text)| item(&chat, n, &json!({ "Content": text })));
    let busy = Reply::status(429).header("retry-after", "20");
    desk.providers.script("twilio", [Reply::taken("twilio"), busy]);
    assert_eq!(hand(&desk, &[&later]).await, ["m-0"]);
    assert_eq!(hand(&desk, &[&earlier]).await, ["m-0"]);
    assert_eq!(desk.sent().len(), 2);
    // Whichever way round they come: neither waits for the other for good.
    assert_eq!(hand(&desk, &[&earlier, &later]).await, [""; 0]);
    let sent = texts(&desk);
    assert!(sent.len() == 4 && sent[1] == sent[2] && sent[2].ends_with("end") && sent[3] == "one", "{sent:?}");
    assert_eq!((desk.told(&chat).len(), desk.dead_letters().await.len()), (0, 0));
}

#[tokio::test]
async fn a_reply_that_has_not_begun_lets_one_before_it_that_was_written_before() {
    let (desk, chat) = Desk::with_chat(TWILIO).await;
    let [earlier, later, last] =
        [(1, "one"), (2, "two"), (3, "three")].map(|(n, text)| item(&chat, n, &json!({ "Content": text })));
    let busy = Reply::status(429).header("retry-after", "20");
    desk.providers.script("twilio", [busy]);
    assert_eq!(hand(&desk, &[&later]).await, ["m-0"]);
    assert_eq!(hand(&desk, &[&earlier]).await, [""; 0]);
    assert_eq!(hand(&desk, &[&last]).await, ["m-0"]);
    assert_eq!(hand(&desk, &[&later]).await, [""; 0]);
    assert_eq!(hand(&desk, &[&last]).await, [""; 0]);
    assert_eq!(texts(&desk), ["two", "one", "two", "three"]);
    assert_eq!((desk.told(&chat).len(), desk.dead_letters().await.len()), (0, 0));
}

#[tokio::test]
async fn replies_that_wait_go_in_the_order_in_which_they_were_written() {
    let (desk, chat) = Desk::with_chat(TWILIO).await;
    let [one, two, three, four, five, six, seven] = numbered(&chat);
    let waits = async |item: &StreamedItem| assert_eq!(hand(&desk, &[item]).await, ["m-0"], "{}", item.message);
    let is_done = async |item: &StreamedItem| assert_eq!(hand(&desk, &[item]).await, [""; 0], "{}", item.message);
    let busy = Reply::status(429).header("retry-after", "20");
    desk.providers.script("twilio", [busy.clone()]);
    // One by one, and not in order.
    waits(&one).await;
    waits(&three).await;
    waits(&two).await;
    is_done(&one).await;
    waits(&four).await;
    waits(&three).await;
    is_done(&two).await;
    is_done(&three).await;
    is_done(&four).await;
    assert_eq!(texts(&desk), ["1", "1", "2", "3", "4"]);
    // The same behind one that is given up.
    desk.providers.script("twilio", [busy, Reply::refused("twilio")]);
    waits(&five).await;
    waits(&six).await;
    is_done(&five).await;
    waits(&seven).await;
    is_done(&six).await;
    is_done(&seven).await;
    assert_eq!(texts(&desk)[5..], ["5", "5", "6", "7"]);
    assert_eq!(desk.told(&chat), ["[not delivered] 5\n(the provider refused it)"]);
}

#[tokio::test]
async fn replies_that_were_not_looked_at_keep_their_places() {
    let (desk, chat) = Desk::with_chat(TWILIO).await;
    let [one, two, three, four] = numbered(&chat);
    let ended = item(&chat, 5, &json!({ "Type": "EVENT", "ContentType": LEFT }));
    desk.providers.script("twilio", [Reply::status(429).header("retry-after", "20")]);
    assert_eq!(hand(&desk, &[&one, &two, &ended, &two, &three]).await.len(), 5);
    assert_eq!(hand(&desk, &[&four]).await, ["m-0"]);
    assert_eq!(hand(&desk, &[&one]).await, [""; 0]);
    assert_eq!(hand(&desk, &[&four]).await, ["m-0"]);
    assert_eq!(hand(&desk, &[&two]).await, [""; 0]);
    assert_eq!(hand(&desk, &[&ended, &three]).await, [""; 0]);
    assert_eq!(hand(&desk, &[&four]).await, [""; 0]);
    assert_eq!(texts(&desk), ["1", "1", "2", "3", "4"]);
}

#[tokio::test]
async fn replies_line_up_behind_one_that_is_being_sent() {
    let (mut desk, chat) = Desk::with_chat(TWILIO).await;
    desk.patience = Duration::from_secs(8);
    desk.time = Duration::from_secs(15);
    let [one, two, three, four] = numbered(&chat);
    desk.providers.script("twilio", [Reply::taken("twilio").after(Duration::from_secs(7))]);
    let after = async |milliseconds, item: &StreamedItem| {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        hand(&desk, &[item]).await
    };
    let (first, third, second) = tokio::join!(after(0, &one), after(500, &three), after(600, &two));
    assert_eq!((first, third, second), (vec![], vec!["m-0".to_owned()], vec!["m-0".to_owned()]));
    for waits in [&four, &three] {
        assert_eq!(hand(&desk, &[waits]).await, ["m-0"]);
    }
    for next in [&two, &three, &four] {
        assert_eq!(hand(&desk, &[next]).await, [""; 0]);
    }
    assert_eq!(texts(&desk), ["1", "2", "3", "4"]);
}

#[tokio::test]
async fn a_reply_that_is_given_up_keeps_nobody_waiting() {
    let (desk, chat) = Desk::with_chat(TWILIO).await;
    let [one, two] = numbered(&chat);
    desk.providers.script("twilio", [Reply::refused("twilio")]);
    // And the agent can't be told now.
    let outage = local::Fault::error(500, "InternalServerException").forever();
    desk.cloud.connect.fail(Operation::SendMessage, outage);
    assert_eq!(hand(&desk, &[&one, &two]).await, ["m-0"]);
    assert_eq!(texts(&desk), ["1", "2"]);
    desk.cloud.connect.clear_faults();
    assert_eq!(hand(&desk, &[&one]).await, [""; 0]);
    assert_eq!(texts(&desk), ["1", "2"]);
    assert_eq!(desk.told(&chat), ["[not delivered] 1\n(the provider refused it)"]);
    assert_eq!(desk.dead_letters().await.len(), 1);
}

#[tokio::test]
async fn a_place_that_nobody_needs_any_more_is_nobodys() {
    let (desk, chat) = Desk::with_chat(TWILIO).await;
    let [one, two, three] = numbered(&chat);
    desk.providers.script("twilio", [Reply::status(429).header("retry-after", "20")]);
    assert_eq!(hand(&desk, &[&one, &two]).await.len(), 2);
    // The customer has opted out: both are given up, one of them while it waits in the line.
    desk.text_with("SM2", "STOP", Some(shared::sms::message::OptOut::Stop)).await;
    assert_eq!(hand(&desk, &[&two]).await, [""; 0]);
    assert_eq!(hand(&desk, &[&one]).await, [""; 0]);
    desk.text_with("SM3", "START", Some(shared::sms::message::OptOut::Start)).await;
    assert_eq!(hand(&desk, &[&one, &two, &three]).await, [""; 0]);
    assert_eq!(texts(&desk), ["1", "3"]);
}

#[tokio::test]
async fn a_reply_that_cannot_begin_is_not_overtaken() {
    let (mut desk, chat) = Desk::with_chat(TWILIO).await;
    let [first, second] = [(1, "one"), (2, "two")].map(|(n, text)| item(&chat, n, &json!({ "Content": text })));
    let settings = std::mem::replace(&mut desk.settings, json!({ "accounts": [] }));
    assert_eq!(hand(&desk, &[&first]).await, ["m-0"]);
    desk.settings = settings;
    assert_eq!(hand(&desk, &[&second]).await, ["m-0"]);
    assert_eq!(desk.sent(), []);
    assert_eq!(hand(&desk, &[&first]).await, [""; 0]);
    assert_eq!(hand(&desk, &[&second]).await, [""; 0]);
    assert_sent(&desk, &["one", "two"]);
}

#[tokio::test]
async fn a_reply_whose_sender_died_is_not_overtaken() {
    let (mut desk, chat) = Desk::with_chat(TWILIO).await;
    desk.time = Duration::from_secs(5);
    desk.patience = Duration::from_secs(2);
    let [first, second] = [(1, "one"), (2, "two")].map(|(n, text)| item(&chat, n, &json!({ "Content": text })));
    desk.providers.script("twilio", [Reply::hang()]);
    let dies = async {
        while desk.sent().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let batch = [&first];
    tokio::select! {
        failed = hand(&desk, &batch) => panic!("{failed:?}"),
        () = dies => (),
    }
    // Its sender would no longer be at it, and the queue has not yet handed it over again.
    tokio::time::sleep(desk.time + Duration::from_secs(3)).await;
    assert_eq!(hand(&desk, &[&second]).await, ["m-0"]);
    assert_eq!(texts(&desk), ["one"]);
    desk.cloud.dynamo.forget_calls();
    assert_eq!(hand(&desk, &[&first, &second]).await, [""; 0]);
    assert_eq!(texts(&desk), ["one", "two"]);
    let told =
        "[not delivered] one\n(the provider did not answer: the customer may have received the first part of this)";
    assert_eq!(desk.told(&chat), [told]);
    let letters = desk.dead_letters().await;
    assert_eq!(letters.iter().map(|(reason, _)| reason.as_str()).collect::<Vec<_>>(), ["may_have_been_delivered"]);
    // Whether its sender is at it is looked at twice.
    assert_eq!(desk.cloud.dynamo.calls()[..2], ["BatchGetItem"; 2]);
}
