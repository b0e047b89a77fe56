//! What is sent for each kind of message, over which channel, and what is not sent.

use local::{Line as Said, Operation, Role, Visibility};
use serde_json::{Value, json};
use shared::sms::segments::{self, Limit};
use tests::{
    providers::{Reply, line},
    replies::{Desk, Line, TWILIO, lines},
};

use super::{assert_sent, item, say, texts};

const MARKDOWN: &str = "text/markdown";
const INTERACTIVE: &str = "application/vnd.amazonaws.connect.message.interactive";
const LEFT: &str = "application/vnd.amazonaws.connect.event.participant.left";

/// Texts of 3,000 characters with emoji, that no provider takes at once.
fn long_text() -> String {
    let line = "Dear Jo, your parcel 📦 left Zürich this morning and is expected tomorrow before noon. ";
    line.chars().cycle().take(3_000).collect::<String>().trim().to_owned()
}

#[tokio::test]
async fn every_provider_is_sent_what_an_agent_writes() {
    for line in lines() {
        let (desk, chat) = Desk::with_chat(line).await;
        say(&desk, &chat, "text/plain", "Good morning, Jo: 10 € & more? 100%").await;
        assert_sent(&desk, &["Good morning, Jo: 10 € & more? 100%"]);
        assert_eq!(desk.told(&chat), [""; 0], "{}", line.label);
        assert_eq!(desk.dead_letters().await, [], "{}", line.label);
    }
}

#[tokio::test]
async fn a_long_text_goes_in_parts_and_in_order() {
    let text = long_text();
    assert_eq!(text.chars().count(), 2_999 + usize::from(text.chars().count() == 3_000));
    for line in lines() {
        let (desk, chat) = Desk::with_chat(line).await;
        say(&desk, &chat, "text/plain", &text).await;
        let sent = texts(&desk);
        assert_sent(&desk, &sent.iter().map(String::as_str).collect::<Vec<_>>());
        let without_blanks = |text: &str| text.split_whitespace().collect::<String>();
        assert_eq!(without_blanks(&sent.concat()), without_blanks(&text), "{}", line.label);
        let limit = line.api().limit(line.channel);
        assert_eq!(sent.len(), segments::split(&text, limit).len(), "{}", line.label);
        let within = |text: &str| match limit {
            Limit::Units(units) => segments::size(text).units <= units,
            Limit::Segments(segments) => segments::size(text).segments <= segments,
            Limit::Characters(characters) => text.chars().count() <= characters,
        };
        for part in &sent {
            assert!(within(part), "{}: {part}", line.label);
            assert_eq!(part.trim(), part);
        }
    }
}

#[tokio::test]
async fn markdown_interactive_messages_and_attachments_become_texts() {
    let interactive = |kind: &str, content: Value| {
        json!({ "templateType": kind, "version": "1.0", "data": { "content": content } }).to_string()
    };
    let said = [
        (MARKDOWN, "Your order is **on its way**:\n\n- one *lamp*\n- two [bulbs](https://shop.example/b)".to_owned()),
        (
            INTERACTIVE,
            interactive(
                "ListPicker",
                json!({ "title": "What is it about?", "subtitle": "Tap to choose",
                        "elements": [{ "title": "Orders", "subtitle": "Where is it?" }, { "title": "Billing" }] }),
            ),
        ),
        (
            INTERACTIVE,
            interactive(
                "TimePicker",
                json!({ "title": "When shall we come?", "timeZoneOffset": 60,
                        "timeslots": [{ "date": "2026-11-23T09:00+00:00", "duration": 60 }] }),
            ),
        ),
        (INTERACTIVE, interactive("Panel", json!({ "title": "Which colour?", "elements": [{ "title": "Red" }] }))),
        (
            INTERACTIVE,
            interactive(
                "QuickReply",
                json!({ "title": "All well?", "elements": [{ "title": "Yes" }, { "title": "No" }] }),
            ),
        ),
        (
            INTERACTIVE,
            interactive(
                "Carousel",
                json!({ "title": "Our lamps", "elements": [
                    { "templateIdentifier": "t1", "templateType": "Panel", "version": "1.0",
                      "data": { "content": { "title": "Table lamp", "elements": [{ "title": "Buy" }] } } }] }),
            ),
        ),
    ];
    let expected: Vec<String> = said
        .iter()
        .map(|(content_type, content)| shared::reply::text::of_message(content_type, content).unwrap())
        .collect();
    // What the words are is tested where they are made; here only that they are words.
    for (text, words) in expected.iter().zip([
        &["Your order is on its way:", "- one lamp", "bulbs (https://shop.example/b)"][..],
        &["What is it about?", "1. Orders", "2. Billing"],
        &["When shall we come?", "1.", "10:00"],
        &["Which colour?", "1. Red"],
        &["All well?", "1. Yes", "2. No"],
        &["Our lamps", "Table lamp", "1. Buy"],
    ]) {
        assert!(words.iter().all(|word| text.contains(word)) && !text.contains(['*', '{']), "{text}");
    }
    let attachment = json!({ "Type": "ATTACHMENT", "ContentType": null, "Attachments": [
        { "ContentType": "application/pdf", "AttachmentId": "a-1", "AttachmentName": "invoice.pdf", "Status": "APPROVED" }] });
    for line in lines() {
        let (desk, chat) = Desk::with_chat(line).await;
        // Where choices have a form of their own: `choices`.
        let is_native = matches!(line.label, "meta" | "meta, no number" | "aws-sns whatsapp" | "webhook");
        let said = if is_native { &said[..1] } else { &said[..] };
        for (content_type, content) in said {
            desk.cloud.connect.agent_says(&chat, content_type, content).unwrap();
        }
        desk.hand_over().await;
        desk.drain().await;
        desk.notify(&item(&chat, 59, &attachment)).await;
        desk.drain().await;
        let mut all: Vec<&str> = expected.iter().take(said.len()).map(String::as_str).collect();
        all.push("[attachment: invoice.pdf]");
        assert_sent(&desk, &all);
    }
}

#[tokio::test]
async fn a_transfer_changes_nothing_and_the_end_closes_the_conversation() {
    for line in lines() {
        let (desk, chat) = Desk::with_chat(line).await;
        say(&desk, &chat, "text/plain", "I hand you over").await;
        let second = desk.cloud.connect.transfer(&chat).unwrap();
        assert_ne!(second, chat);
        say(&desk, &second, "text/plain", "Hello, I am Max").await;
        // One agent has left; the customer's next text is said in the same chat.
        desk.notify(&item(&chat, 58, &json!({ "Type": "EVENT", "ContentType": LEFT, "Content": null }))).await;
        desk.drain().await;
        assert_eq!(desk.text("SM2", "Hello Max").await, chat);
        assert_eq!(desk.cloud.connect.contacts().len(), 1);
        desk.cloud.connect.end(&second).unwrap();
        desk.hand_over().await;
        desk.drain().await;
        desk.cloud.connect.forget_calls();
        // No call finds out that the chat has ended: it is known.
        assert_ne!(desk.text("SM3", "One more thing").await, chat);
        assert_eq!(desk.cloud.connect.calls_to(Operation::SendMessage).len(), 0, "{}", line.label);
        assert_eq!(desk.cloud.connect.calls_to(Operation::CreateParticipantConnection).len(), 1);
        assert_sent(&desk, &["I hand you over", "Hello, I am Max"]);
    }
}

#[tokio::test]
async fn a_reply_goes_the_way_that_the_last_message_came() {
    let (mut desk, chat) = Desk::with_chat(TWILIO).await;
    let whatsapp = line("twilio whatsapp");
    desk.line = whatsapp;
    assert_eq!(desk.text("SM2", "By WhatsApp now").await, chat);
    say(&desk, &chat, "text/plain", "As you like").await;
    assert_sent(&desk, &["As you like"]);
    desk.line = TWILIO;
    desk.providers.forget();
    assert_eq!(desk.text("SM3", "And back").await, chat);
    say(&desk, &chat, "text/plain", "By SMS again").await;
    assert_sent(&desk, &["By SMS again"]);
}

#[tokio::test]
async fn a_reply_that_changes_its_way_between_two_parts_loses_and_repeats_nothing() {
    let sms = line("vonage-messages");
    let whatsapp = Line { channel: shared::sms::message::Channel::Whatsapp, ..sms };
    let words: Vec<_> = (0..1_200).map(|number| format!("w{number:04}")).collect();
    for (first, second, parts) in [(sms, whatsapp, 3), (whatsapp, sms, 5)] {
        let (mut desk, chat) = Desk::with_chat(first).await;
        let busy = Reply::status(429).header("retry-after", "20");
        desk.providers.script(first.provider, [Reply::taken(first.provider), busy]);
        desk.cloud.connect.agent_says(&chat, "text/plain", &words.join(" ")).unwrap();
        desk.hand_over().await;
        let function = desk.function().await;
        while desk.sent().len() < 2 {
            desk.poll_by(async |event| desk.invoke(&function, event).await).await;
        }
        desk.line = second;
        assert_eq!(desk.text("SM2", "Over here").await, chat);
        desk.drain().await;
        let calls = desk.sent();
        let ways: Vec<_> = calls.iter().map(|call| call.json()["channel"].as_str().unwrap().to_owned()).collect();
        assert!(ways[0] == ways[1] && ways[2..].iter().all(|way| *way != ways[0]), "{ways:?}");
        // All but the one that was not taken.
        let taken: Vec<_> = calls.iter().enumerate().filter(|(at, _)| *at != 1).map(|(_, call)| call.text()).collect();
        assert_eq!(taken.join(" "), words.join(" "));
        assert_eq!(taken.len(), parts);
    }
}

#[tokio::test]
async fn what_is_not_for_the_customer_is_not_sent() {
    let (desk, chat) = Desk::with_chat(TWILIO).await;
    let connect = &desk.cloud.connect;
    let said = |role, visibility, content: &str| Said {
        role,
        display_name: None,
        content_type: "text/plain".to_owned(),
        content: content.to_owned(),
        visibility,
    };
    connect.agent_joins(&chat).unwrap();
    connect.says(&chat, &said(Role::Agent, Visibility::Agent, "Shall I refund?")).unwrap();
    connect.says(&chat, &said(Role::Supervisor, Visibility::Agent, "Do")).unwrap();
    connect.says(&chat, &said(Role::System, Visibility::Customer, "Your call matters")).unwrap();
    connect.says(&chat, &said(Role::CustomBot, Visibility::All, "I am a bot")).unwrap();
    connect.says(&chat, &said(Role::Supervisor, Visibility::All, "I am the boss")).unwrap();
    connect.agent_event(&chat, "application/vnd.amazonaws.connect.event.typing", None).unwrap();
    desk.text("SM2", "A second text").await;
    desk.hand_over().await;
    for (number, chunk, completed) in [(1, "I will", false), (2, "I will look", false), (3, "I will look it up.", true)]
    {
        let metadata = json!({ "MessageCompleted": completed, "ChunkNumber": number });
        // All chunks have one id.
        let changes = json!({ "Id": "bot-1", "Content": chunk, "MessageMetadata": metadata });
        desk.notify(&item(&chat, 50 + number, &changes)).await;
    }
    desk.drain().await;
    let mut sent = texts(&desk);
    // The bot's whole answer is of another time than the stand-in's items.
    sent.sort();
    assert_eq!(sent, ["I am a bot", "I am the boss", "I will look it up.", "Your call matters"]);
    assert_eq!(desk.dead_letters().await, []);
}

#[tokio::test]
async fn raw_delivery_and_duplicates_make_no_difference() {
    let (desk, chat) = Desk::with_chat(TWILIO).await;
    desk.cloud.connect.agent_says(&chat, "text/plain", "Hello").unwrap();
    desk.cloud.connect.agent_says(&chat, "text/plain", "Hello").unwrap();
    let items = desk.streamed();
    for _ in 0..3 {
        for item in &items {
            desk.notify(item).await;
            desk.notify_raw(item).await;
        }
    }
    desk.drain().await;
    for item in &items {
        desk.notify_raw(item).await;
    }
    desk.drain().await;
    // The same words, said twice, are two messages; each is sent once.
    assert_sent(&desk, &["Hello", "Hello"]);
}

#[tokio::test]
async fn a_reply_costs_what_is_promised() {
    let (desk, chat) = Desk::with_chat(TWILIO).await;
    let costs = |calls: &[&str]| {
        assert_eq!(desk.cloud.dynamo.calls(), calls);
        desk.cloud.dynamo.forget_calls();
    };
    desk.cloud.dynamo.forget_calls();
    say(&desk, &chat, "text/plain", "Hello").await;
    // An agent has joined: that event costs nothing.
    costs(&["BatchGetItem", "TransactWriteItems", "TransactWriteItems"]);
    say(&desk, &chat, "text/plain", &"word ".repeat(900)).await;
    costs(&["BatchGetItem", "TransactWriteItems", "TransactWriteItems", "TransactWriteItems", "TransactWriteItems"]);
    assert_eq!(desk.sent().len(), 4);
    let item = desk.streamed();
    assert!(item.is_empty());
}
