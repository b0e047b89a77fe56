//! Message streaming.

use local::StreamSubscriber;
use serde_json::{Value, json};

use crate::client::{Client, TOPIC, text, with};

fn all(stream: &mut StreamSubscriber) -> Vec<Value> {
    std::iter::from_fn(|| stream.try_next()).map(|streamed| streamed.item()).collect()
}

#[tokio::test]
async fn items_have_the_published_shape() {
    let client = Client::start().await;
    let mut stream = client.stand_in.stream();
    let chat = client.chat().await;
    let id = client.stand_in.agent_says(&chat.id, "text/plain", "Hello").unwrap();
    let joined = stream.next().await.unwrap();
    assert_eq!(joined.attribute("ParticipantRole"), Some("CUSTOMER"));
    stream.next().await.unwrap();
    let said = stream.next().await.unwrap();
    let item = said.item();
    let contact = client.stand_in.contact(&chat.id).unwrap();
    let time = item["AbsoluteTime"].clone();
    assert_eq!(
        item,
        json!({
            "AbsoluteTime": time, "Content": "Hello", "ContentType": "text/plain", "Id": id, "Type": "MESSAGE",
            "ParticipantId": contact.agent.unwrap().id, "DisplayName": "Agent", "ParticipantRole": "AGENT",
            "InitialContactId": chat.id, "ContactId": chat.id,
        })
    );
    let string = |value: &str| json!({ "Type": "String", "Value": value });
    let notification = said.notification();
    assert_eq!(
        notification,
        json!({
            "Type": "Notification", "MessageId": notification["MessageId"], "TopicArn": TOPIC,
            "Message": said.message, "Timestamp": time,
            "MessageAttributes": {
                "InitialContactId": string(&chat.id), "ContactId": string(&chat.id), "MessageVisibility": string("ALL"),
                "Type": string("MESSAGE"), "AccountId": string("123456789012"), "ContentType": string("text/plain"),
                "InstanceId": string("44444444-4444-4444-8444-444444444444"), "ParticipantRole": string("AGENT"),
            },
        })
    );
    let second = client.stand_in.transfer(&chat.id).unwrap();
    client.stand_in.agent_says(&chat.id, "text/plain", "Hello again").unwrap();
    client.stand_in.end(&chat.id).unwrap();
    let items = all(&mut stream);
    let again = items.iter().find(|item| item["Content"] == "Hello again").unwrap();
    assert_eq!((&again["InitialContactId"], &again["ContactId"]), (&json!(chat.id), &json!(second)));
    let ended = items.last().unwrap();
    assert_eq!(ended["ContentType"], "application/vnd.amazonaws.connect.event.chat.ended");
    assert!(ended.get("ParticipantRole").is_none());
    let times: Vec<_> = items.iter().map(|item| text(&item["AbsoluteTime"])).collect();
    assert!(times.is_sorted_by(|one, next| one < next), "{times:?}");
}

#[tokio::test]
async fn receipts_and_typing_are_streamed_but_not_kept() {
    let client = Client::start().await;
    let chat = client.chat().await;
    let said = text(&client.say(&chat, "Hi").await.ok()["Id"]);
    client.stand_in.agent_joins(&chat.id).unwrap();
    let kept = client.stand_in.contact(&chat.id).unwrap().transcript.len();
    let mut stream = client.stand_in.stream();
    let read = json!({ "messageId": said }).to_string();
    let prefix = "application/vnd.amazonaws.connect.event";
    client.stand_in.agent_event(&chat.id, &format!("{prefix}.typing"), None).unwrap();
    client.stand_in.agent_event(&chat.id, &format!("{prefix}.message.read"), Some(&read)).unwrap();
    let items = all(&mut stream);
    assert_eq!((&items[0]["Type"], &items[1]["Type"]), (&json!("EVENT"), &json!("MESSAGEMETADATA")));
    assert_eq!(items[1]["MessageMetadata"]["MessageId"], json!(said));
    assert!(items[1]["MessageMetadata"]["Receipts"][0]["ReadTimestamp"].is_string());
    assert_eq!(client.stand_in.contact(&chat.id).unwrap().transcript.len(), kept);
}

#[tokio::test]
async fn streaming_starts_and_stops() {
    let client = Client::start().await;
    let started = client.start_chat(&with(json!({}))).await.ok();
    let id = text(&started["ContactId"]);
    let request = |topic: &str, token: &str| {
        json!({
            "InstanceId": with(json!({}))["InstanceId"], "ContactId": id, "ClientToken": token,
            "ChatStreamingConfiguration": { "StreamingEndpointArn": topic },
        })
    };
    let start = "/contact/start-streaming";
    let first = client.post(start, &request(TOPIC, "1")).await.ok();
    assert_eq!(first, client.post(start, &request(TOPIC, "1")).await.ok(), "idempotent by ClientToken");
    client.post(start, &request(&format!("{TOPIC}2"), "2")).await.ok();
    let third = client.post(start, &request(&format!("{TOPIC}3"), "3")).await;
    assert_eq!((third.failed().0, third.failed().1), (429, "LimitExceededException"));

    let connect = json!({ "Type": ["CONNECTION_CREDENTIALS"], "ConnectParticipant": true });
    let mut stream = client.stand_in.stream();
    client.participant("connection", &text(&started["ParticipantToken"]), &connect).await.ok();
    let topics: Vec<_> = std::iter::from_fn(|| stream.try_next()).map(|streamed| streamed.topic_arn).collect();
    assert_eq!(topics, [TOPIC.to_owned(), format!("{TOPIC}2")]);

    let stop = |streaming_id: &Value| json!({ "InstanceId": with(json!({}))["InstanceId"], "ContactId": id, "StreamingId": streaming_id });
    client.post("/contact/stop-streaming", &stop(&first["StreamingId"])).await.ok();
    assert_eq!(client.stand_in.contact(&id).unwrap().streaming_arn(), Some(format!("{TOPIC}2").as_str()));
    let again = client.post("/contact/stop-streaming", &stop(&first["StreamingId"])).await;
    assert_eq!((again.failed().0, again.failed().1), (404, "ResourceNotFoundException"));
    for (name, value, status) in [
        ("ContactId", json!("unknown"), 404),
        ("ClientToken", Value::Null, 400),
        ("ChatStreamingConfiguration", Value::Null, 400),
        ("InstanceId", json!("other"), 404),
    ] {
        let mut body = request(TOPIC, "4");
        body[name] = value;
        assert_eq!(client.post(start, &body).await.failed().0, status, "{name}");
    }
}
