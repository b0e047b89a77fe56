//! What agents, bots and flows say in a chat reaches the customer's phone, through Connect's stream, the queue and the
//! provider.

use std::{collections::BTreeSet, time::Duration};

use local::{Line as Said, Operation, Role, StreamedItem, Visibility};
use serde_json::{Value, json};
use shared::sms::segments;
use tests::{
    aws::TableFault,
    providers::{Call, Reply},
    replies::{Desk, LINES, Line, TWILIO},
};

const MARKDOWN: &str = "text/markdown";
const INTERACTIVE: &str = "application/vnd.amazonaws.connect.message.interactive";
const LEFT: &str = "application/vnd.amazonaws.connect.event.participant.left";

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

/// An agent's texts `1`, `2` … in the order in which they were written.
fn numbered<const COUNT: usize>(chat: &str) -> [StreamedItem; COUNT] {
    let mut number = 0;
    [(); COUNT].map(|()| {
        number += 1;
        item(chat, number, &json!({ "Content": number.to_string(), "ParticipantRole": "AGENT" }))
    })
}

async fn say(desk: &Desk, chat: &str, content_type: &str, content: &str) {
    desk.cloud.connect.agent_says(chat, content_type, content).unwrap();
    desk.hand_over().await;
    desk.drain().await;
}

/// Texts of 3,000 characters with emoji, that no provider takes at once.
fn long_text() -> String {
    let line = "Dear Jo, your parcel 📦 left Zürich this morning and is expected tomorrow before noon. ";
    line.chars().cycle().take(3_000).collect::<String>().trim().to_owned()
}

#[tokio::test]
async fn every_provider_is_sent_what_an_agent_writes() {
    for line in LINES {
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
    for line in LINES {
        let (desk, chat) = Desk::with_chat(line).await;
        say(&desk, &chat, "text/plain", &text).await;
        let sent = texts(&desk);
        assert_sent(&desk, &sent.iter().map(String::as_str).collect::<Vec<_>>());
        let without_blanks = |text: &str| text.split_whitespace().collect::<String>();
        assert_eq!(without_blanks(&sent.concat()), without_blanks(&text), "{}", line.label);
        let (parts, within): (usize, fn(&str) -> bool) = match line.label {
            "telnyx" => (5, |text| segments::size(text).units <= 670),
            "aws-sns" => (6, |text| segments::size(text).segments <= 9),
            "vonage-messages" => (4, |text| segments::size(text).units <= 1_000),
            "meta" | "meta, no number" | "aws-sns whatsapp" => (1, |text| text.chars().count() <= 4_096),
            _ => (2, |text| segments::size(text).units <= 1_600),
        };
        assert_eq!(sent.len(), parts, "{}", line.label);
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
    for line in LINES {
        let (desk, chat) = Desk::with_chat(line).await;
        for (content_type, content) in &said {
            desk.cloud.connect.agent_says(&chat, content_type, content).unwrap();
        }
        desk.hand_over().await;
        desk.drain().await;
        desk.notify(&item(&chat, 59, &attachment)).await;
        desk.drain().await;
        let mut all: Vec<&str> = expected.iter().map(String::as_str).collect();
        all.push("[attachment: invoice.pdf]");
        assert_sent(&desk, &all);
    }
}

#[tokio::test]
async fn what_is_handed_over_in_the_wrong_order_is_sent_in_the_right_one() {
    for line in LINES {
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
async fn a_transfer_changes_nothing_and_the_end_closes_the_conversation() {
    for line in LINES {
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
    let whatsapp = LINES.into_iter().find(|line| line.label == "twilio whatsapp").unwrap();
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
    let sms = LINES.into_iter().find(|line| line.label == "vonage-messages").unwrap();
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
    let line = |role, visibility, content: &str| Said {
        role,
        display_name: None,
        content_type: "text/plain".to_owned(),
        content: content.to_owned(),
        visibility,
    };
    connect.agent_joins(&chat).unwrap();
    connect.says(&chat, &line(Role::Agent, Visibility::Agent, "Shall I refund?")).unwrap();
    connect.says(&chat, &line(Role::Supervisor, Visibility::Agent, "Do")).unwrap();
    connect.says(&chat, &line(Role::System, Visibility::Customer, "Your call matters")).unwrap();
    connect.says(&chat, &line(Role::CustomBot, Visibility::All, "I am a bot")).unwrap();
    connect.says(&chat, &line(Role::Supervisor, Visibility::All, "I am the boss")).unwrap();
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
async fn a_reply_costs_what_is_promised() {
    let (desk, chat) = Desk::with_chat(TWILIO).await;
    let costs = |calls: &[&str]| {
        assert_eq!(desk.cloud.dynamo.calls(), calls);
        desk.cloud.dynamo.forget_calls();
    };
    desk.cloud.dynamo.forget_calls();
    say(&desk, &chat, "text/plain", "Hello").await;
    // An agent has joined: that event costs nothing.
    costs(&["BatchGetItem", "TransactWriteItems", "PutItem"]);
    say(&desk, &chat, "text/plain", &"word ".repeat(900)).await;
    costs(&["BatchGetItem", "TransactWriteItems", "TransactWriteItems", "TransactWriteItems", "PutItem"]);
    assert_eq!(desk.sent().len(), 4);
    let item = desk.streamed();
    assert!(item.is_empty());
}

#[tokio::test]
async fn who_has_opted_out_is_not_texted_and_the_agent_is_told() {
    for line in LINES.iter().filter(|line| line.channel == shared::sms::message::Channel::Sms) {
        let (desk, chat) = Desk::with_chat(*line).await;
        desk.text_with("SM2", "STOP", Some(shared::sms::message::OptOut::Stop)).await;
        let notes = desk.told(&chat);
        say(&desk, &chat, "text/plain", "Are you still there?").await;
        assert_eq!(desk.sent(), [], "{}", line.label);
        let told = desk.told(&chat);
        assert_eq!(
            told[notes.len()..],
            ["[not delivered] Are you still there?\n(the customer has opted out of messages)"],
            "{}",
            line.label
        );
        assert_eq!(desk.dead_letters().await, [], "nobody can mend it");
        desk.text_with("SM3", "START", Some(shared::sms::message::OptOut::Start)).await;
        say(&desk, &chat, "text/plain", "Welcome back").await;
        assert_sent(&desk, &["Welcome back"]);
    }
}

#[tokio::test]
async fn who_opts_out_between_two_parts_is_sent_no_other() {
    let (desk, chat) = Desk::with_chat(TWILIO).await;
    let words: Vec<_> = (0..400).map(|number| format!("w{number:04}")).collect();
    desk.providers.script("twilio", [Reply::taken("twilio").after(Duration::from_secs(2))]);
    desk.cloud.connect.agent_says(&chat, "text/plain", &words.join(" ")).unwrap();
    desk.hand_over().await;
    let opts_out = async {
        while desk.sent().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        desk.text_with("SM2", "STOP", Some(shared::sms::message::OptOut::Stop)).await;
    };
    tokio::join!(desk.drain(), opts_out);
    let sent = texts(&desk);
    assert_eq!(sent.len(), 1, "{sent:?}");
    let told: Vec<_> = desk.told(&chat).into_iter().filter(|said| said.starts_with("[not delivered]")).collect();
    let rest = words.join(" ").strip_prefix(&sent[0]).unwrap().trim().to_owned();
    assert_eq!(told, [format!("[not delivered] {rest}\n(the customer has opted out of messages)")]);
    assert_eq!(desk.dead_letters().await, []);
}

#[tokio::test]
async fn who_has_opted_out_and_left_is_the_owners_to_know_of() {
    let (desk, chat) = Desk::with_chat(TWILIO).await;
    desk.text_with("SM2", "STOP", Some(shared::sms::message::OptOut::Stop)).await;
    desk.cloud.connect.agent_says(&chat, "text/plain", "Bye").unwrap();
    desk.cloud.connect.end(&chat).unwrap();
    desk.hand_over().await;
    desk.drain().await;
    assert_eq!(desk.sent(), []);
    let letters = desk.dead_letters().await;
    assert_eq!(letters.iter().map(|(reason, _)| reason.as_str()).collect::<Vec<_>>(), ["opted_out"]);
}

#[tokio::test]
async fn who_has_opted_out_at_the_provider_is_told_of_likewise() {
    for line in LINES {
        let Some(opted_out) = Reply::opted_out(line.provider) else { continue };
        if line.label == "aws-sns whatsapp" {
            continue;
        }
        let (desk, chat) = Desk::with_chat(line).await;
        desk.providers.script(line.provider, [opted_out]);
        say(&desk, &chat, "text/plain", "Hello?").await;
        assert_sent(&desk, &["Hello?"]);
        assert_eq!(
            desk.told(&chat),
            ["[not delivered] Hello?\n(the customer has opted out of messages)"],
            "{}",
            line.label
        );
        assert_eq!(desk.dead_letters().await, []);
    }
}

#[tokio::test]
async fn what_a_provider_refuses_the_agent_reads_once_and_the_owner_may_send_again() {
    for line in LINES {
        if line.label == "aws-sns whatsapp" {
            continue;
        }
        let (desk, chat) = Desk::with_chat(line).await;
        desk.providers.script(line.provider, [Reply::refused(line.provider)]);
        desk.cloud.connect.agent_says(&chat, "text/plain", "Hello?").unwrap();
        let items = desk.streamed();
        for item in items.iter().chain(&items) {
            desk.notify(item).await;
        }
        desk.drain().await;
        let told = ["[not delivered] Hello?\n(the provider refused it)"];
        assert_eq!(desk.told(&chat), told, "{}", line.label);
        let letters = desk.dead_letters().await;
        assert_eq!(letters.iter().map(|(reason, _)| reason.as_str()).collect::<Vec<_>>(), ["send_refused"]);
        assert_sent(&desk, &["Hello?"]);
        // What the topic brings once more is no second try; what the owner puts back is.
        for item in &items {
            desk.notify(item).await;
        }
        desk.drain().await;
        assert_eq!((desk.sent().len(), desk.told(&chat).len()), (1, 1), "{}", line.label);
        desk.redrive(&letters).await;
        desk.drain().await;
        assert_eq!(texts(&desk), ["Hello?", "Hello?"], "{}", line.label);
        assert_eq!(desk.told(&chat), told);
        assert_eq!(desk.dead_letters().await, []);
    }
}

#[tokio::test]
async fn a_raw_dead_letter_keeps_what_its_attributes_say() {
    let (desk, chat) = Desk::with_chat(TWILIO).await;
    desk.providers.script("twilio", [Reply::refused("twilio")]);
    desk.cloud.connect.agent_says(&chat, "text/plain", "Hello?").unwrap();
    for item in desk.streamed() {
        desk.notify_raw(&item).await;
    }
    desk.drain().await;
    assert_eq!(desk.move_dead_letters().await, 1);
    desk.drain().await;
    assert_eq!(texts(&desk), ["Hello?", "Hello?"]);
    assert_eq!(desk.dead_letters().await, []);
}

#[tokio::test]
async fn an_agent_who_cannot_be_told_is_no_reason_to_keep_the_owner_waiting() {
    let (desk, chat) = Desk::with_chat(TWILIO).await;
    desk.providers.script("twilio", [Reply::refused("twilio")]);
    desk.cloud.connect.fail(Operation::SendMessage, local::Fault::error(400, "ValidationException"));
    say(&desk, &chat, "text/plain", "Hello?").await;
    assert_eq!(desk.told(&chat), [""; 0]);
    let letters = desk.dead_letters().await;
    assert_eq!(letters.iter().map(|(reason, _)| reason.as_str()).collect::<Vec<_>>(), ["send_refused"]);
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
    desk.time = Duration::from_secs(10);
    desk.patience = Duration::from_secs(8);
    desk.drain().await;
    assert_eq!((desk.told(&chat).len(), desk.dead_letters().await.len()), (0, 0));
    assert_eq!(texts(&desk), ["Hello"]);
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

/// Hands an item over as often as it comes back: how often that was.
async fn until_over(desk: &Desk, body: &str) -> usize {
    let function = desk.function().await;
    for tries in 1..20 {
        let answer = desk.invoke(&function, event([body], 1)).await.unwrap();
        if answer == json!({ "batchItemFailures": [] }) {
            return tries;
        }
    }
    panic!("it always comes back");
}

#[tokio::test]
async fn a_bot_is_told_once_and_not_kept_talking() {
    let (desk, chat) = Desk::with_chat(TWILIO).await;
    desk.providers.always("twilio", Reply::refused("twilio"));
    for (number, role) in [(1, "SYSTEM"), (2, "CUSTOM_BOT"), (3, "SYSTEM"), (4, "AGENT"), (5, "SUPERVISOR")] {
        let said = item(&chat, number, &json!({ "Content": role, "ParticipantRole": role }));
        assert_eq!(hand(&desk, &[&said, &said]).await, [""; 0]);
    }
    let told = |role: &str| format!("[not delivered] {role}\n(the provider refused it)");
    assert_eq!(desk.told(&chat), ["SYSTEM", "AGENT", "SUPERVISOR"].map(told));
    // The owner is told of each.
    assert_eq!(desk.dead_letters().await.len(), 5);
    // But for who wishes no texts: nobody can mend that.
    desk.text_with("SM2", "STOP", Some(shared::sms::message::OptOut::Stop)).await;
    let before = desk.told(&chat).len();
    assert_eq!(hand(&desk, &[&item(&chat, 6, &json!({ "Content": "Sorry?" }))]).await, [""; 0]);
    assert_eq!((desk.told(&chat).len() - before, desk.dead_letters().await.len()), (0, 0));
}

#[tokio::test]
async fn patience_ends_with_a_dead_letter() {
    let (desk, chat) = Desk::with_chat(TWILIO).await;
    let stranger = item("00000000-0000-4000-8000-00000000000f", 1, &json!({ "Content": "Hello" }));
    let body = stranger.notification().to_string();
    assert_eq!(until_over(&desk, &body).await, 8);
    assert_eq!(desk.dead_letters().await, [("unknown_conversation".to_owned(), body)]);

    desk.providers.always("twilio", Reply::status(401));
    let body = item(&chat, 2, &json!({ "Content": "Hello" })).notification().to_string();
    assert_eq!(until_over(&desk, &body).await, 6);
    assert_eq!(desk.dead_letters().await, [("send_misconfigured".to_owned(), body)]);
    let told = "[not delivered] Hello\n(the bridge could not send it)";
    assert_eq!(desk.told(&chat), [told]);

    let malformed = "not JSON";
    assert_eq!(until_over(&desk, malformed).await, 1);
    assert_eq!(desk.dead_letters().await, [("malformed".to_owned(), malformed.to_owned())]);

    // The next reply does not wait behind what was given up.
    desk.providers.always("twilio", Reply::taken("twilio"));
    say(&desk, &chat, "text/plain", "Better now").await;
    assert_eq!(texts(&desk).last().unwrap(), "Better now");
}

#[tokio::test]
async fn what_no_phone_can_show_the_agent_is_told() {
    let (desk, chat) = Desk::with_chat(TWILIO).await;
    say(&desk, &chat, "application/json", "{\"x\":1}").await;
    assert_eq!(desk.sent(), []);
    let told = desk.told(&chat);
    assert_eq!(told, ["[not delivered] a message of a kind that can't be sent as a text\n(the provider refused it)"]);
    assert_eq!(desk.dead_letters().await.len(), 1);
}

#[tokio::test]
async fn an_account_that_only_receives_says_so() {
    let (mut desk, chat) = Desk::with_chat(TWILIO).await;
    desk.settings["accounts"][0].as_object_mut().unwrap().remove("account_sid");
    let says = |number, text| item(&chat, number, &json!({ "Content": text, "ParticipantRole": "AGENT" }));
    let body = says(2, "Hello").notification().to_string();
    assert_eq!(until_over(&desk, &body).await, 6);
    assert_eq!(desk.told(&chat), ["[not delivered] Hello\n(the bridge could not send it)"]);
    desk.settings = json!({ "accounts": [] });
    let body = says(3, "Hello again").notification().to_string();
    assert_eq!(until_over(&desk, &body).await, 6);
    assert_eq!(desk.told(&chat).len(), 2);
    assert_eq!(desk.sent(), []);
    assert_eq!(desk.dead_letters().await.len(), 2);
}

#[tokio::test]
async fn a_chat_that_has_ended_has_nobody_to_tell() {
    let (desk, chat) = Desk::with_chat(TWILIO).await;
    desk.providers.always("twilio", Reply::refused("twilio"));
    desk.cloud.connect.agent_says(&chat, "text/plain", "Bye").unwrap();
    desk.cloud.connect.end(&chat).unwrap();
    desk.hand_over().await;
    desk.drain().await;
    assert_eq!(texts(&desk), ["Bye"]);
    assert_eq!(desk.told(&chat), [""; 0]);
    assert_eq!(desk.dead_letters().await.len(), 1);
}
