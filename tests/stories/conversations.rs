//! A customer's messages end in one chat, whatever happened to it meanwhile; each costs as few calls as promised.

use std::time::Duration;

use local::{Fault, Operation};
use serde_json::{Value, json};
use shared::{
    config,
    deadline::Deadline,
    deliver::Conversations,
    inbound::Inbound,
    sms::message::{Concat, OptOut},
    telemetry::Report,
};
use tests::aws::{Cloud, OURS, text_at, text_from};

const JO: &str = "+14155550101";

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(10))
}

async fn deliver(cloud: &Cloud, messages: &[Inbound]) {
    let function = cloud.function().await;
    cloud.send(messages).await;
    cloud.drain(&function).await;
}

fn operations(cloud: &Cloud) -> Vec<Operation> {
    cloud.connect.calls().into_iter().filter_map(|call| call.operation).collect()
}

use Operation::{CreateParticipantConnection, SendChatIntegrationEvent, SendMessage, StartChatContact};

#[tokio::test]
async fn a_chat_goes_on_at_the_promised_price() {
    let cloud = Cloud::start().await;
    for (id, calls, table) in [
        (
            "1",
            vec![StartChatContact, CreateParticipantConnection],
            vec!["BatchGetItem", "TransactWriteItems", "TransactWriteItems"],
        ),
        ("2", vec![SendMessage], vec!["BatchGetItem", "PutItem"]),
        ("3", vec![SendMessage], vec!["BatchGetItem", "PutItem"]),
        // A duplicate, by another process.
        ("3", vec![], vec!["BatchGetItem"]),
    ] {
        cloud.connect.forget_calls();
        cloud.dynamo.forget_calls();
        let function = cloud.function().await;
        cloud.send_as(&[text_from(JO, id, id)], &calls.len().to_string()).await;
        cloud.drain(&function).await;
        assert_eq!(operations(&cloud), calls, "message {id}");
        assert_eq!(cloud.dynamo.calls(), table, "message {id}");
    }
    assert_eq!(cloud.said_by(JO), ["1", "2", "3"]);
    let contacts = cloud.connect.contacts();
    assert_eq!(contacts.len(), 1);
    assert_eq!(contacts[0].streaming_arn(), Some(tests::TOPIC));

    // An agent's message finds its way back.
    let function = cloud.function().await;
    let store = function.conversations().store();
    cloud.dynamo.forget_calls();
    let found = store.by_contact(&contacts[0].initial_id, soon()).await.unwrap().unwrap();
    assert_eq!((found.customer.as_str(), found.business.as_str(), found.account.as_str()), (JO, OURS, "us"));
    let (conversation, opted_out) = store.customer(&found.group_id, soon()).await.unwrap();
    assert_eq!((conversation.contact_id.as_ref(), opted_out), (Some(&contacts[0].initial_id), false));
    assert_eq!(cloud.dynamo.calls(), ["BatchGetItem", "BatchGetItem"]);
    assert!(store.by_contact("another", soon()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_new_chat_has_all_that_is_known() {
    let cloud = Cloud::start().await.with("CHAT_DURATION_MINUTES", "600");
    let number =
        json!({ "contact_flow_id": "sales", "display_name": "SMS customer", "attributes": { "brand": "acme" } });
    deliver(&cloud, &[text_at(&number, JO, "SM1", "Hello")]).await;
    let call = cloud.connect.calls_to(StartChatContact).remove(0);
    let mut body = call.body;
    let token = body["ClientToken"].take();
    assert!(token.as_str().is_some_and(|token| token.len() == 64), "{token}");
    assert_eq!(
        body,
        json!({
            "InstanceId": tests::INSTANCE, "ContactFlowId": "sales", "ClientToken": null,
            "ParticipantDetails": { "DisplayName": "SMS customer" },
            "InitialMessage": { "ContentType": "text/plain", "Content": "Hello" },
            "Attributes": { "channel": "sms", "provider": "twilio", "account": "us", "customerAddress": JO,
                            "businessAddress": OURS, "providerMessageId": "SM1", "brand": "acme" },
            "SupportedMessagingContentTypes": ["text/plain", "text/markdown",
                                               "application/vnd.amazonaws.connect.message.interactive",
                                               "application/vnd.amazonaws.connect.message.interactive.response"],
            "ChatDurationInMinutes": 600, "ChatStreamingConfiguration": { "StreamingEndpointArn": tests::TOPIC },
        })
    );
}

#[tokio::test]
async fn what_happens_to_a_chat_holds_up_no_message() {
    for (label, happens, contacts, calls) in [
        (
            "ended",
            (|cloud: &Cloud, id: &str| cloud.connect.end(id).unwrap()) as fn(&Cloud, &str),
            2,
            vec![SendMessage, CreateParticipantConnection, StartChatContact, CreateParticipantConnection],
        ),
        (
            "token expired",
            |cloud, id| cloud.connect.expire_connection_tokens(id).unwrap(),
            1,
            vec![SendMessage, CreateParticipantConnection, SendMessage],
        ),
        ("transferred", |cloud, id| drop(cloud.connect.transfer(id).unwrap()), 1, vec![SendMessage]),
    ] {
        let cloud = Cloud::start().await;
        deliver(&cloud, &[text_from(JO, "1", "one")]).await;
        let first = cloud.connect.contacts()[0].initial_id.clone();
        happens(&cloud, &first);
        cloud.connect.forget_calls();
        deliver(&cloud, &[text_from(JO, "2", "two")]).await;
        assert_eq!(operations(&cloud), calls, "{label}");
        // What was learnt is on record.
        cloud.connect.forget_calls();
        deliver(&cloud, &[text_from(JO, "3", "three")]).await;
        assert_eq!(operations(&cloud), [SendMessage], "{label}");
        assert_eq!(cloud.said_by(JO), ["one", "two", "three"], "{label}");
        assert_eq!(cloud.connect.contacts().len(), contacts, "{label}");
        assert!(cloud.dead_letters().await.is_empty(), "{label}");
    }
}

/// A delivery starts a chat and dies; the chat ends before the message comes again. Its token is spent.
#[tokio::test]
async fn a_start_whose_chat_has_ended_is_made_again() {
    let cloud = Cloud::start().await.time(Duration::from_secs(3));
    let function = cloud.function().await;
    cloud.connect.fail(CreateParticipantConnection, Fault::error(500, "InternalServerException").times(5));
    cloud.send(&[text_from(JO, "1", "one"), text_from(JO, "2", "two")]).await;
    assert_eq!(cloud.poller.poll_once(async |event| cloud.invoke(&function, event).await).await.unwrap(), 2);
    let first = cloud.connect.contacts()[0].initial_id.clone();
    cloud.connect.end(&first).unwrap();
    cloud.connect.clear_faults();
    cloud.drain(&function).await;
    let contacts = cloud.connect.contacts();
    assert_eq!(contacts.len(), 2);
    assert!(contacts[0].messages().is_empty());
    assert_eq!(contacts[1].messages(), ["one", "two"]);
}

#[tokio::test]
async fn two_first_messages_at_once_make_one_chat() {
    let cloud = Cloud::start().await;
    let memory = config::Delivery { conversations_table: None, ..cloud.config(config::DeliverMessage::read).delivery };
    let with_table = cloud.config(config::DeliverMessage::read).delivery;
    for (label, customer, config) in [("a table", JO, with_table), ("memory", "+14155550102", memory)] {
        let conversations = Conversations::new(&cloud.sdk().await, config);
        let deliver = async |id: &str| {
            let mut report = Report::new("receive-message");
            conversations.deliver(&text_from(customer, id, id), soon(), &mut report).await.unwrap();
            report.contact_id
        };
        let (one, two, three) = tokio::join!(deliver("1"), deliver("2"), deliver("3"));
        assert!(one.is_some() && one == two && two == three, "{label}");
        let mut said = cloud.said_by(customer);
        said.sort();
        assert_eq!(said, ["1", "2", "3"], "{label}");
    }
    assert_eq!(cloud.connect.contacts().len(), 2);
}

#[tokio::test]
async fn a_lost_lease_ends_by_itself() {
    let cloud = Cloud::start().await;
    let conversations = Conversations::new(&cloud.sdk().await, cloud.config(config::DeliverMessage::read).delivery);
    let message = text_from(JO, "1", "one");
    let store = conversations.store();
    // Its holder dies.
    drop(store.lease(&message, Deadline::after(Duration::from_millis(500))).await.unwrap());
    let mut report = Report::new("receive-message");
    let busy = Deadline::after(Duration::from_millis(300));
    assert!(conversations.deliver(&message, busy, &mut report).await.is_err());
    conversations.deliver(&message, soon(), &mut report).await.unwrap();
    assert_eq!(cloud.said_by(JO), ["one"]);
}

#[tokio::test]
async fn a_returning_customer_sees_the_last_chat() {
    let cloud = Cloud::start().await.with("PERSISTENT_CHAT", "true");
    deliver(&cloud, &[text_from(JO, "1", "one")]).await;
    let first = cloud.connect.contacts()[0].initial_id.clone();
    assert!(cloud.connect.calls_to(StartChatContact)[0].body["PersistentChat"].is_null());
    cloud.connect.end(&first).unwrap();
    deliver(&cloud, &[text_from(JO, "2", "two")]).await;
    let contacts = cloud.connect.contacts();
    assert_eq!(contacts[1].continued_from.as_deref(), Some(contacts[0].id.as_str()));
    assert_eq!(contacts[1].messages(), ["one", "two"]);
}

/// Connect refuses to go on from the last chat; the delivery that then started a plain one dies. The next one must not be
/// taken at its word when Connect has changed its mind.
#[tokio::test]
async fn a_refused_past_chat_is_not_asked_for_twice() {
    let cloud = Cloud::start().await.with("PERSISTENT_CHAT", "true").time(Duration::from_secs(2));
    deliver(&cloud, &[text_from(JO, "1", "one")]).await;
    cloud.connect.end(&cloud.connect.contacts()[0].initial_id).unwrap();
    cloud.connect.forget_calls();
    cloud.connect.fail(StartChatContact, Fault::error(400, "InvalidRequestException"));
    cloud.dynamo.fail("TransactWriteItems", tests::aws::TableFault::Hang);
    cloud.dynamo.fail("TransactWriteItems", tests::aws::TableFault::Hang);
    cloud.dynamo.fail("TransactWriteItems", tests::aws::TableFault::Hang);
    deliver(&cloud, &[text_from(JO, "2", "two")]).await;
    let starts = cloud.connect.calls_to(StartChatContact);
    let asked: Vec<_> = starts.iter().map(|call| call.body["PersistentChat"].is_object()).collect();
    assert!(asked[0] && asked[1..].iter().all(|persistent| !persistent) && asked.len() >= 2, "{asked:?}");
    assert_ne!(starts[0].body["ClientToken"], starts[1].body["ClientToken"]);
    assert_eq!(cloud.said_by(JO), ["one", "two"]);
}

fn wish(id: &str, text: &str, wish: OptOut) -> Inbound {
    let mut message = text_from(JO, id, text);
    message.message.opt_out = Some(wish);
    message
}

#[tokio::test]
async fn opt_outs_are_recorded_and_told_in_an_open_chat() {
    let cloud = Cloud::start().await;
    let function = cloud.function().await;
    let store = function.conversations().store();
    let group = text_from(JO, "1", "").group_id();
    let opted_out = async || store.customer(&group, soon()).await.unwrap().1;

    // No chat is started for one.
    deliver(&cloud, &[wish("1", "STOP", OptOut::Stop)]).await;
    assert!(opted_out().await);
    deliver(&cloud, &[wish("2", "START", OptOut::Start)]).await;
    assert!(!opted_out().await);
    assert!(cloud.connect.calls().is_empty());

    // HELP is a message, and so is START of who has not opted out.
    deliver(&cloud, &[wish("3", "HELP", OptOut::Help), wish("s", "START", OptOut::Start)]).await;
    deliver(&cloud, &[text_from(JO, "4", "Hello")]).await;
    assert!(!opted_out().await);
    deliver(&cloud, &[wish("5", "STOP", OptOut::Stop)]).await;
    assert!(opted_out().await);
    // Whoever opted out may write.
    deliver(&cloud, &[text_from(JO, "6", "One more thing")]).await;
    assert!(opted_out().await);
    deliver(&cloud, &[wish("7", "Start", OptOut::Start)]).await;
    assert!(!opted_out().await);
    let mut said = cloud.said_by(JO);
    said[..2].sort();
    assert_eq!(said, ["HELP", "START", "Hello", "[opted out] STOP", "One more thing", "[opted in] Start"]);

    // A chat that has ended gets no note, and a repeat changes nothing.
    cloud.connect.end(&cloud.connect.contacts()[0].initial_id).unwrap();
    deliver(&cloud, &[wish("8", "STOP", OptOut::Stop)]).await;
    cloud.send_as(&[wish("7", "Start", OptOut::Start)], "again").await;
    cloud.drain(&function).await;
    assert!(opted_out().await);
    assert_eq!(cloud.connect.contacts().len(), 1);
}

#[tokio::test]
async fn a_chat_that_an_opted_out_customer_opens_says_so() {
    let cloud = Cloud::start().await;
    deliver(&cloud, &[wish("1", "STOP", OptOut::Stop)]).await;
    deliver(&cloud, &[text_from(JO, "2", "Hello")]).await;
    let said = cloud.said_by(JO);
    assert_eq!(said, ["Hello", "[opted out] The customer wants no messages: replies are not delivered."]);
}

#[tokio::test]
async fn an_opt_out_passes_a_message_that_waits_and_a_late_wish_undoes_none() {
    let cloud = Cloud::start().await;
    let function = cloud.function().await;
    let group = text_from(JO, "1", "").group_id();
    let opted_out = async || function.conversations().store().customer(&group, soon()).await.unwrap().1;
    cloud.connect.fail(StartChatContact, Fault::error(500, "InternalServiceException").forever());
    let mut stop = wish("2", "STOP", OptOut::Stop);
    stop.message.received_at = Some("2026-11-20T10:00:10Z".to_owned());
    cloud.send(&[text_from(JO, "1", "Hello"), stop]).await;
    cloud.poller.poll_once(async |event| cloud.invoke(&function, event).await).await.unwrap();
    assert!(opted_out().await);
    cloud.connect.clear_faults();
    // A START from before it comes late.
    let mut start = wish("3", "START", OptOut::Start);
    start.message.received_at = Some("2026-11-20T10:00:05Z".to_owned());
    deliver(&cloud, &[start]).await;
    assert!(opted_out().await);
    assert_eq!(cloud.said_by(JO)[0], "Hello");
}

#[tokio::test]
async fn a_chat_that_was_started_is_not_started_again() {
    let cloud = Cloud::start().await;
    cloud.connect.fail(CreateParticipantConnection, Fault::throttling().times(4));
    deliver(&cloud, &[text_from(JO, "1", "one"), text_from(JO, "2", "two")]).await;
    assert_eq!(cloud.connect.calls_to(StartChatContact).len(), 1);
    assert_eq!(cloud.connect.calls_to(CreateParticipantConnection).len(), 5);
    assert_eq!(cloud.said_by(JO), ["one", "two"]);
}

#[tokio::test]
async fn a_message_that_connect_never_takes_expires_and_lets_the_next_one_go() {
    let cloud = Cloud::start().await.with("MESSAGE_PATIENCE_SECONDS", "2");
    deliver(&cloud, &[text_from(JO, "1", "one")]).await;
    cloud.connect.fail(SendMessage, Fault::throttling().forever());
    cloud.send(&[text_from(JO, "2", "two")]).await;
    let function = cloud.function().await;
    cloud.drain(&function).await;
    let letters = cloud.dead_letters().await;
    assert_eq!(letters.iter().map(|(reason, _)| reason.as_str()).collect::<Vec<_>>(), ["expired"]);
    cloud.connect.clear_faults();
    deliver(&cloud, &[text_from(JO, "3", "three")]).await;
    assert_eq!(cloud.said_by(JO), ["one", "three"]);
}

#[tokio::test]
async fn what_the_table_refuses_is_a_dead_letter_at_once() {
    let cloud = Cloud::start().await;
    cloud.dynamo.fail("BatchGetItem", tests::aws::TableFault::Error(400, "ValidationException"));
    deliver(&cloud, &[text_from(JO, "1", "one"), text_from(JO, "2", "two")]).await;
    let letters = cloud.dead_letters().await;
    assert_eq!(letters.iter().map(|(reason, _)| reason.as_str()).collect::<Vec<_>>(), ["store_rejected"]);
    assert_eq!(cloud.said_by(JO), ["two"]);
}

#[tokio::test]
async fn seven_tries_in_an_outage_do_not_count_for_another_fault() {
    let cloud = Cloud::start().await;
    cloud.connect.fail(StartChatContact, Fault::error(500, "InternalServiceException").times(7));
    cloud.connect.fail(StartChatContact, Fault::error(403, "AccessDeniedException"));
    deliver(&cloud, &[text_from(JO, "1", "one")]).await;
    assert_eq!(cloud.dead_letters().await, []);
    assert_eq!(cloud.connect.calls_to(StartChatContact).len(), 9);
    assert_eq!(cloud.said_by(JO), ["one"]);
}

fn part(number: u16, total: u16, text: &str) -> Inbound {
    let mut message = text_from(JO, &format!("P{number}{text}"), text);
    message.message.concat = Some(Concat { reference: "7".to_owned(), total, part: number });
    message
}

#[tokio::test]
async fn parts_are_joined_in_any_order_and_hold_up_nobody() {
    let cloud = Cloud::start().await;
    let function = cloud.function().await;
    let all = [part(1, 3, "one "), part(2, 3, "two "), part(3, 3, "three")];
    let mut expected = Vec::new();
    // Reference and total are the same each time: the reference is used again.
    for (round, order) in [[0, 1, 2], [2, 1, 0], [1, 2, 0]].into_iter().enumerate() {
        let mut parts: Vec<_> = order.iter().map(|index| all[*index].clone()).collect();
        for part in &mut parts {
            part.message.message_id += &round.to_string();
        }
        let [between, after] = ["between", "after"].map(|word| format!("{word} {round}"));
        cloud.send(&parts[..2]).await;
        // A repeat, and another message meanwhile.
        cloud.send_as(&parts[..1], "again").await;
        cloud.send(&[text_from(JO, &between, &between)]).await;
        expected.push(between);
        cloud.poll_until(&function, || cloud.said_by(JO) == expected).await;
        cloud.send(&parts[2..]).await;
        cloud.send_as(&parts, "once more").await;
        cloud.send(&[text_from(JO, &after, &after)]).await;
        expected.extend(["one two three".to_owned(), after]);
        cloud.poll_until(&function, || cloud.said_by(JO).len() == expected.len()).await;
        assert_eq!(cloud.said_by(JO), expected);
    }
    assert!(cloud.dead_letters().await.is_empty());
}

#[tokio::test]
async fn a_part_that_does_not_come_is_not_waited_for() {
    let cloud = Cloud::start().await;
    let function = cloud.function().await.with_parts_wait(Duration::from_secs(2));
    cloud.send(&[part(3, 4, "three "), part(4, 4, "four")]).await;
    cloud.drain(&function).await;
    assert_eq!(cloud.said_by(JO), ["[part missing] three four"]);
    // It comes after all, and again.
    cloud.send(&[part(1, 4, "one")]).await;
    cloud.drain(&function).await;
    cloud.send_as(&[part(1, 4, "one")], "again").await;
    cloud.drain(&function).await;
    assert_eq!(cloud.said_by(JO), ["[part missing] three four", "one"]);
}

#[tokio::test]
async fn a_nonce_that_comes_with_another_message_is_a_forgery() {
    let cloud = Cloud::start().await;
    let signed = |id, text| {
        let mut message = text_from(JO, id, text);
        message.once = Some("hash of a nonce".to_owned());
        message
    };
    let first = signed("1", "one");
    deliver(&cloud, &[first.clone(), signed("2", "forged")]).await;
    cloud.send_as(&[first], "again").await;
    deliver(&cloud, &[]).await;
    assert_eq!(cloud.said_by(JO), ["one"]);
    let letters = cloud.dead_letters().await;
    assert_eq!(letters.iter().map(|(reason, _)| reason.as_str()).collect::<Vec<_>>(), ["unverified"]);
}

#[tokio::test]
async fn events_are_sent_where_aws_allows_it() {
    let cloud = Cloud::start().await.with("CONNECT_ROUTE", "integration-event");
    for id in ["1", "2"] {
        cloud.connect.forget_calls();
        cloud.dynamo.forget_calls();
        deliver(&cloud, &[text_from(JO, id, id)]).await;
        assert_eq!(operations(&cloud), [SendChatIntegrationEvent]);
        assert_eq!(cloud.dynamo.calls(), ["BatchGetItem", "PutItem", "TransactWriteItems"]);
    }
    assert_eq!(cloud.said_by(JO), ["1", "2"]);
    let contact = &cloud.connect.contacts()[0];
    let integration = contact.integration.as_ref().unwrap();
    assert_eq!((integration.source_id.as_str(), integration.destination_id.as_str()), (JO, OURS));
    assert_eq!(integration.subtype.as_deref(), Some("connect:sms"));
    let function = cloud.function().await;
    let found = function.conversations().store().by_contact(&contact.initial_id, soon()).await.unwrap().unwrap();
    assert_eq!(found.customer, JO);
}

#[tokio::test]
async fn denied_events_become_a_chat_and_are_remembered() {
    let cloud = Cloud::start().await.with("CONNECT_ROUTE", "integration-event");
    cloud.connect.fail(SendChatIntegrationEvent, Fault::error(403, "AccessDeniedException").forever());
    let function = cloud.function().await;
    cloud.send(&[text_from(JO, "1", "one"), text_from(JO, "2", "two")]).await;
    cloud.drain(&function).await;
    let expected = [SendChatIntegrationEvent, StartChatContact, CreateParticipantConnection, SendMessage];
    assert_eq!(operations(&cloud), expected);
    assert_eq!(cloud.said_by(JO), ["one", "two"]);
}

#[tokio::test]
async fn an_event_without_a_chat_is_refused() {
    let mut cloud = Cloud::start().await.with("CONNECT_ROUTE", "integration-event");
    let router = axum::Router::new().fallback(async || axum::Json(json!({ "NewChatCreated": false })));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    cloud.connect_url = Some(format!("http://{}", listener.local_addr().unwrap()));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    deliver(&cloud, &[text_from(JO, "1", "one")]).await;
    assert_eq!(cloud.dead_letters().await[0].0, "connect_rejected");
}

/// Its owner has looked, and sends a dead letter round again.
#[tokio::test]
async fn a_doubtful_event_is_sent_again_only_by_its_owner() {
    let cloud = Cloud::start().await.with("CONNECT_ROUTE", "integration-event");
    let function = cloud.function().await;
    cloud.connect.fail(SendChatIntegrationEvent, Fault::error(500, "InternalServiceException"));
    let message = text_from(JO, "1", "one");
    deliver(&cloud, std::slice::from_ref(&message)).await;
    let letters = cloud.dead_letters().await;
    assert_eq!(letters[0].0, "may_have_been_delivered");
    assert_eq!(letters[0].1, message.to_item().unwrap());
    // As it came: still in doubt.
    cloud.send_as(std::slice::from_ref(&message), "x").await;
    cloud.drain(&function).await;
    assert_eq!((cloud.said_by(JO).len(), cloud.dead_letters().await.len()), (0, 1));
    // As a dead letter is moved back: with its reason.
    let record = |id: &str| {
        json!({ "messageId": id, "receiptHandle": "r", "body": letters[0].1, "eventSource": "aws:sqs",
                "attributes": { "MessageGroupId": message.group_id(), "ApproximateReceiveCount": "1" },
                "messageAttributes": { "reason": { "stringValue": "may_have_been_delivered", "dataType": "String" } },
                "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:q.fifo" })
    };
    let again = json!({ "Records": [record("moved")] });
    let answer = cloud.invoke(&function, again.clone()).await.unwrap();
    assert_eq!(answer, json!({ "batchItemFailures": [] }));
    assert_eq!(cloud.said_by(JO), ["one"]);
    // Lambda delivers it twice.
    cloud.invoke(&function, again).await.unwrap();
    assert_eq!(cloud.said_by(JO), ["one"]);
}

#[tokio::test]
async fn a_group_stops_at_its_first_failure_and_others_go_on() {
    let cloud = Cloud::start().await;
    let function = cloud.function().await;
    let (kim, malformed) = ("+14155550102", "{\"v\":1,\"account\":\"us\"}");
    cloud.connect.set_limits(local::Limits { concurrent_chats: Some(1), start_rate: None });
    deliver(&cloud, &[text_from(kim, "k1", "Kim 1")]).await;
    cloud.send_item(malformed, "a-group").await;
    cloud.send(&[text_from(JO, "1", "one"), text_from(JO, "2", "two"), text_from(kim, "k2", "Kim 2")]).await;
    let seen = std::cell::RefCell::new(Vec::new());
    let function = &function;
    cloud
        .poller
        .poll_once(async |event: Value| {
            let answer = cloud.invoke(function, event.clone()).await?;
            seen.borrow_mut().push((event, answer.clone()));
            Ok(answer)
        })
        .await
        .unwrap();
    let (event, answer) = seen.borrow_mut().remove(0);
    let ids: Vec<_> = event["Records"].as_array().unwrap().iter().map(|record| record["messageId"].clone()).collect();
    assert_eq!(ids.len(), 4);
    let failed: Vec<_> =
        answer["batchItemFailures"].as_array().unwrap().iter().map(|item| item["itemIdentifier"].clone()).collect();
    assert_eq!(failed, ids[1..3], "the customer's own, in order");
    assert_eq!(cloud.connect.calls_to(StartChatContact).len(), 2, "the second one was not tried");
    assert_eq!(cloud.said_by(kim), ["Kim 1", "Kim 2"]);
    assert_eq!(cloud.dead_letters().await, [("malformed".to_owned(), malformed.to_owned())]);
    // A chat ends, and the customer's turn comes.
    cloud.connect.end(&cloud.connect.contacts()[0].initial_id).unwrap();
    cloud.drain(function).await;
    assert_eq!(cloud.said_by(JO), ["one", "two"]);
}

#[tokio::test]
async fn without_a_dead_letter_queue_nothing_is_thrown_away() {
    let cloud = Cloud::start().await.with("DEAD_LETTER_QUEUE_URL", "");
    let function = cloud.function().await;
    cloud.connect.fail(StartChatContact, Fault::error(400, "InvalidParameterException").forever());
    cloud.send(&[text_from(JO, "1", "one")]).await;
    cloud.send_item("no item", "a-group").await;
    for _ in 0..3 {
        cloud.poller.poll_once(async |event| cloud.invoke(&function, event).await).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert!(!cloud.poller.is_empty().await.unwrap());
    assert!(cloud.connect.calls_to(StartChatContact).len() > 1);
    cloud.connect.clear_faults();
    while cloud.said_by(JO).is_empty() {
        cloud.poller.poll_once(async |event| cloud.invoke(&function, event).await).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
