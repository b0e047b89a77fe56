//! A customer whom WhatsApp names by a user's id, by a number, or by both has one chat and one opt-out.

use std::time::Duration;

use local::Operation::{CreateParticipantConnection, SendChatIntegrationEvent, SendMessage, StartChatContact};
use serde_json::{Value, json};
use shared::{deadline::Deadline, inbound::Inbound, sms::message::OptOut};
use tests::{Http, aws::Cloud, invoke, receive_message, sqs::Sqs};

const USER: &str = "US.13491208655302741918";
const NUMBER: &str = "14155550101";

/// How a webhook names the customer.
#[derive(Clone, Copy, Debug)]
enum Named {
    /// `from_user_id` alone.
    User,
    /// `from` alone.
    Number,
    /// `from` and `from_user_id`.
    Both,
    /// `from`, and `user_id` of the contact.
    ByContact,
}

use Named::{Both, ByContact, Number, User};

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(10))
}

/// Meta's webhook of a text.
fn webhook(named: Named, id: &str) -> Http {
    let mut message = json!({ "id": id, "timestamp": "1790000000", "type": "text", "text": { "body": id } });
    let mut contact = json!({ "profile": { "name": "Jo" } });
    if !matches!(named, User) {
        message["from"] = json!(NUMBER);
        contact["wa_id"] = json!(NUMBER);
    }
    match named {
        User | Both => message["from_user_id"] = json!(USER),
        ByContact => contact["user_id"] = json!(USER),
        Number => (),
    }
    let value = json!({ "messaging_product": "whatsapp", "contacts": [contact], "messages": [message],
                        "metadata": { "display_phone_number": "12025550100", "phone_number_id": "1" } });
    let body = json!({ "object": "whatsapp_business_account",
                       "entry": [{ "id": "waba", "changes": [{ "field": "messages", "value": value }] }] });
    let body = body.to_string();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"app secret");
    let signature = format!("sha256={}", hex::encode(aws_lc_rs::hmac::sign(&key, body.as_bytes())));
    Http::new("POST", "/sms/meta")
        .header("Content-Type", "application/json")
        .header("X-Hub-Signature-256", &signature)
        .body(body)
}

/// What `receive-message` puts into the queue of it.
async fn received(named: Named, id: &str) -> Inbound {
    let queue = Sqs::start().await;
    let account = json!({ "provider": "meta", "app_secrets": ["app secret"] });
    let environment = [
        ("BRIDGE_SETTINGS", json!({ "accounts": [account] }).to_string()),
        ("PUBLIC_BASE_URL", "https://sms.example.com".to_owned()),
        ("INBOUND_QUEUE_URL", format!("{}/123456789012/inbound.fifo", queue.url())),
    ];
    let function = receive_message(&environment, queue.url()).await;
    assert_eq!(invoke(&function, &webhook(named, id).http_api()).await.status, 200);
    Inbound::from_item(&queue.items()[0].to_string()).unwrap()
}

async fn deliver(cloud: &Cloud, messages: &[Inbound]) {
    let function = cloud.function().await;
    cloud.send(messages).await;
    cloud.drain(&function).await;
}

fn said(cloud: &Cloud) -> Vec<Vec<String>> {
    let of = |contact: &local::Contact| contact.messages().into_iter().map(str::to_owned).collect();
    cloud.connect.contacts().iter().map(of).collect()
}

#[tokio::test]
async fn whatever_names_the_customer_there_is_one_chat_at_the_promised_price() {
    for order in [
        &[User, Both, Number, User, Both][..],
        &[User, ByContact, Number, User],
        &[Number, Both, User, Number],
        &[Number, ByContact, User],
        &[Both, User, Number],
    ] {
        let cloud = Cloud::start().await;
        for (number, named) in order.iter().enumerate() {
            cloud.connect.forget_calls();
            cloud.dynamo.forget_calls();
            deliver(&cloud, &[received(*named, &format!("wamid.{number}")).await]).await;
            let calls: Vec<_> = cloud.connect.calls().into_iter().filter_map(|call| call.operation).collect();
            let table = cloud.dynamo.calls();
            if number == 0 {
                assert_eq!(calls, [StartChatContact, CreateParticipantConnection], "{order:?}");
                assert_eq!(table, ["BatchGetItem", "TransactWriteItems", "TransactWriteItems"], "{order:?}");
            } else {
                assert_eq!(calls, [SendMessage], "{order:?} {number}");
                assert_eq!(table.len(), 2, "{order:?} {number}: {table:?}");
            }
        }
        let ids: Vec<_> = (0..order.len()).map(|number| format!("wamid.{number}")).collect();
        assert_eq!(said(&cloud), [ids], "{order:?}");
        // Once joined, nothing is written but that a message was delivered, and when.
        assert_eq!(cloud.dynamo.calls(), ["BatchGetItem", "TransactWriteItems"], "{order:?}");

        // An agent's reply finds its way, and the chat's end is known under every id.
        let chat = cloud.connect.contacts()[0].initial_id.clone();
        let function = cloud.function().await;
        let store = function.conversations().store();
        let (addressee, closed) = store.close(&chat, soon()).await.unwrap();
        assert!(closed && addressee.is_some(), "{order:?}");
        for named in [User, Number, Both] {
            let group = received(named, "x").await.group_id();
            let (conversation, _) = store.customer(&group, soon()).await.unwrap();
            assert!(!conversation.is_open() && conversation.contact_id.as_ref() == Some(&chat), "{order:?} {named:?}");
        }
        cloud.connect.end(&chat).unwrap();
        for (number, named) in [Number, User, Both].into_iter().enumerate() {
            deliver(&cloud, &[received(named, &format!("again.{number}")).await]).await;
        }
        assert_eq!(said(&cloud)[1..], [["again.0", "again.1", "again.2"]], "{order:?}");
    }
}

#[tokio::test]
async fn two_names_at_once_are_one_chat_in_order() {
    let cloud = Cloud::start().await;
    let messages = [received(User, "wamid.1").await, received(Both, "wamid.2").await, received(User, "wamid.3").await];
    deliver(&cloud, &messages).await;
    assert_eq!(said(&cloud), [["wamid.1", "wamid.2", "wamid.3"]]);
}

/// Nothing had told that they are one person's.
#[tokio::test]
async fn two_open_chats_are_joined_in_the_one_that_is_found() {
    let cloud = Cloud::start().await;
    deliver(&cloud, &[received(Number, "wamid.1").await]).await;
    deliver(&cloud, &[received(User, "wamid.2").await]).await;
    assert_eq!(cloud.connect.contacts().len(), 2);
    for (id, named) in [("wamid.3", Both), ("wamid.4", Number), ("wamid.5", User)] {
        deliver(&cloud, &[received(named, id).await]).await;
    }
    assert_eq!(said(&cloud), [vec!["wamid.1"], vec!["wamid.2", "wamid.3", "wamid.4", "wamid.5"]]);
}

#[tokio::test]
async fn an_opt_out_holds_under_every_name() {
    let wish = async |named, id: &str, wish| {
        let mut message = received(named, id).await;
        message.message.opt_out = Some(wish);
        message
    };
    for (stop, start) in [(User, Both), (Number, Both), (Both, Number), (Both, User)] {
        let label = format!("{stop:?}, then {start:?}");
        let cloud = Cloud::start().await;
        let function = cloud.function().await;
        let store = function.conversations().store();
        deliver(&cloud, &[wish(stop, "wamid.1", OptOut::Stop).await]).await;
        // The customer writes again, and is named by both: the agent knows.
        deliver(&cloud, &[received(Both, "wamid.2").await]).await;
        let note = "[opted out] The customer wants no messages: replies are not delivered.";
        assert_eq!(said(&cloud), [["wamid.2", note]], "{label}");
        let opted_out = async |named| {
            let group = received(named, "x").await.group_id();
            store.customer(&group, soon()).await.unwrap().1
        };
        for named in [User, Number] {
            assert!(opted_out(named).await, "{label}: {named:?}");
        }
        deliver(&cloud, &[wish(start, "wamid.3", OptOut::Start).await]).await;
        for named in [User, Number] {
            assert!(!opted_out(named).await, "{label}: {named:?}");
        }
    }
}

#[tokio::test]
async fn the_event_route_finds_the_chat_by_the_address_that_it_began_with() {
    for order in [[User, Both, Number], [Number, Both, User]] {
        let cloud = Cloud::start().await.with("CONNECT_ROUTE", "integration-event");
        for (number, named) in order.into_iter().enumerate() {
            deliver(&cloud, &[received(named, &format!("wamid.{number}")).await]).await;
        }
        assert_eq!(said(&cloud), [["wamid.0", "wamid.1", "wamid.2"]], "{order:?}");
        let sources: Vec<Value> =
            cloud.connect.calls_to(SendChatIntegrationEvent).iter().map(|call| call.body["SourceId"].clone()).collect();
        assert!(sources.windows(2).all(|two| two[0] == two[1]), "{sources:?}");
        // The chat ends: the next one begins with the customer's address of that time.
        let chat = cloud.connect.contacts()[0].initial_id.clone();
        let function = cloud.function().await;
        assert!(function.conversations().store().close(&chat, soon()).await.unwrap().1);
        cloud.connect.end(&chat).unwrap();
        deliver(&cloud, &[received(Both, "wamid.3").await]).await;
        let calls = cloud.connect.calls_to(SendChatIntegrationEvent);
        assert_eq!(calls.last().unwrap().body["SourceId"], format!("+{NUMBER}"), "{order:?}");
    }
}
