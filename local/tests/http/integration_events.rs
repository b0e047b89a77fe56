//! SendChatIntegrationEvent.

use local::{Config, Fault, Instance, Operation};
use serde_json::{Value, json};

use crate::client::{Client, TOPIC, text};

const PATH: &str = "/chat-integration-event";

fn event(members: Value) -> Value {
    let mut request = json!({
        "SourceId": "+12025550123",
        "DestinationId": "arn:aws:sms-voice:us-east-1:123456789012:phone-number/p",
        "Subtype": "connect:sms",
        "Event": { "Type": "MESSAGE", "ContentType": "text/plain", "Content": "Hi" },
    });
    let Value::Object(members) = members else { panic!("{members} is not an object") };
    for (name, value) in members {
        request[name] = value;
    }
    request
}

#[tokio::test]
async fn one_open_chat_a_customer() {
    let client = Client::start_with(Config {
        instance: Instance { ids: vec!["i".to_owned()], ..Instance::default() },
        ..Config::default()
    })
    .await;
    let mut stream = client.stand_in.stream();
    let first = client
        .post(
            PATH,
            &event(json!({
                "NewSessionDetails": {
                    "Attributes": { "channel": "sms" },
                    "ParticipantDetails": { "DisplayName": "Jane" },
                    "SupportedMessagingContentTypes": ["text/plain", "text/markdown"],
                    "StreamingConfiguration": { "StreamingEndpointArn": TOPIC },
                },
            })),
        )
        .await
        .ok();
    assert_eq!(first["NewChatCreated"], true);
    let id = text(&first["InitialContactId"]);
    // Ignored when a chat already exists.
    let ignored = json!({ "ParticipantDetails": { "DisplayName": "Other" } });
    let second = client.post(PATH, &event(json!({ "NewSessionDetails": ignored }))).await.ok();
    assert_eq!(second, json!({ "InitialContactId": id, "NewChatCreated": false }));
    let contact = client.stand_in.contact(&id).unwrap();
    assert_eq!((contact.display_name.as_str(), contact.connected), ("Jane", true));
    assert_eq!((contact.messages(), contact.attributes["channel"].as_str()), (vec!["Hi", "Hi"], "sms"));
    assert_eq!(contact.instance_id.as_deref(), Some("i"));
    assert!(stream.next().await.is_some());

    let other = client.post(PATH, &event(json!({ "SourceId": "+12025550199" }))).await.ok();
    assert_ne!(other["InitialContactId"], first["InitialContactId"]);
    let contact = client.stand_in.contact(other["InitialContactId"].as_str().unwrap()).unwrap();
    assert_eq!(contact.display_name, "+12025550199", "the source, where no name is given");

    let leave = json!({ "Event": { "Type": "DISCONNECT" } });
    let left = client.post(PATH, &event(leave.clone())).await.ok();
    assert_eq!(left, json!({ "InitialContactId": id, "NewChatCreated": false }));
    assert!(client.stand_in.contact(&id).unwrap().ended);
    assert_eq!(client.post(PATH, &event(leave)).await.ok(), json!({ "NewChatCreated": false }));
    let again = client.post(PATH, &event(json!({}))).await.ok();
    assert_eq!(again["NewChatCreated"], true);
    assert_ne!(again["InitialContactId"], first["InitialContactId"]);
}

#[tokio::test]
async fn constraints() {
    let client = Client::start().await;
    for members in [
        json!({ "SourceId": null }),
        json!({ "SourceId": "" }),
        json!({ "DestinationId": "x".repeat(256) }),
        json!({ "Subtype": "" }),
        json!({ "Event": null }),
        json!({ "Event": {} }),
        json!({ "Event": { "Type": "SHOUT" } }),
        json!({ "Event": { "Type": "MESSAGE", "Content": "Hi" } }),
        json!({ "Event": { "Type": "MESSAGE", "ContentType": "text/plain" } }),
        json!({ "Event": { "Type": "MESSAGE", "ContentType": "text/markdown", "Content": "Hi" } }),
        json!({ "Event": { "Type": "EVENT" } }),
        json!({ "Event": { "Type": "EVENT", "ContentType": "text/plain" } }),
        json!({ "NewSessionDetails": { "SupportedMessagingContentTypes": ["text/markdown"] } }),
        json!({ "NewSessionDetails": { "Attributes": { "a b": "" } } }),
        json!({ "NewSessionDetails": { "ParticipantDetails": {} } }),
        json!({ "NewSessionDetails": { "StreamingConfiguration": {} } }),
    ] {
        let answer = client.post(PATH, &event(members.clone())).await;
        assert_eq!((answer.failed().0, answer.failed().1), (400, "InvalidRequestException"), "{members}");
    }
    assert!(client.stand_in.contacts().is_empty());
    client.stand_in.fail(Operation::SendChatIntegrationEvent, Fault::error(403, "AccessDeniedException"));
    assert_eq!(client.post(PATH, &event(json!({}))).await.failed().1, "AccessDeniedException");
}
