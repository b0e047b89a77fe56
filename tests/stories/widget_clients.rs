//! Every chat client in the field works unchanged: its own body, on its own path, starts a chat.

use std::collections::BTreeSet;

use local::{Operation, StandIn};
use serde_json::{Value, json};
use tests::{FLOW, INSTANCE, environment, invoke, start_chat};

const MARKDOWN: &str = "text/markdown";
const INTERACTIVE: &str = "application/vnd.amazonaws.connect.message.interactive";
const RESPONSE: &str = "application/vnd.amazonaws.connect.message.interactive.response";

fn event(name: &str) -> Value {
    let path = format!("{}/../events/start-chat/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// What Connect must be asked, but for the instance, the flow and the client token, which are always there.
fn clients() -> Vec<(&'static str, Value)> {
    vec![
        (
            "chat-interface",
            json!({ "ParticipantDetails": { "DisplayName": "Jane" },
                    "Attributes": { "customerName": "Jane", "cartItems": "3", "member": "true" },
                    "InitialMessage": { "ContentType": "text/plain", "Content": "Hi" },
                    "SupportedMessagingContentTypes": ["text/plain", MARKDOWN], "ChatDurationInMinutes": 120 }),
        ),
        (
            "hosted-custom-start-chat",
            json!({ "ParticipantDetails": { "DisplayName": "Jane" }, "Attributes": { "customerName": "Jane" },
                    "SupportedMessagingContentTypes": ["text/plain", MARKDOWN] }),
        ),
        (
            "ios",
            json!({ "ParticipantDetails": { "DisplayName": "Jane" }, "Attributes": { "customerName": "Jane" },
                    "SupportedMessagingContentTypes": ["text/plain", MARKDOWN, INTERACTIVE] }),
        ),
        (
            "android",
            json!({ "ParticipantDetails": { "DisplayName": "Jane" }, "Attributes": { "customerName": "Jane" },
                    "SupportedMessagingContentTypes": ["text/plain", MARKDOWN] }),
        ),
        (
            "react-native",
            json!({ "ParticipantDetails": { "DisplayName": "Joe Shmoe" }, "Attributes": { "customerName": "Joe Shmoe" } }),
        ),
        (
            "touchpoint",
            json!({ "ParticipantDetails": { "DisplayName": "Customer" },
                    "Attributes": { "conversationId": "c-1", "customerName": "Customer" },
                    "SupportedMessagingContentTypes": ["text/plain", MARKDOWN, "application/json", INTERACTIVE, RESPONSE] }),
        ),
        (
            "local-proxy",
            json!({ "ParticipantDetails": { "DisplayName": "Jane" }, "Attributes": { "customerName": "Jane" } }),
        ),
        (
            "lex-web-ui",
            json!({ "ParticipantDetails": { "DisplayName": "Jane" },
                    "Attributes": { "lexSession": "s-1", "customerName": "Jane" },
                    "InitialMessage": { "ContentType": "text/plain", "Content": "The customer asked for a person" } }),
        ),
        (
            "async-customer-chat",
            json!({ "ParticipantDetails": { "DisplayName": "Jane Roe" }, "Attributes": { "customerName": "Jane Roe" } }),
        ),
    ]
}

#[tokio::test]
async fn every_client_starts_a_chat() {
    let connect = StandIn::start().await.unwrap();
    let mut environment = environment();
    environment.push(("ALLOWED_ORIGINS", "http://localhost:9100".to_owned()));
    let function = start_chat(&environment, connect.url()).await;
    for (client, mut asked) in clients() {
        connect.forget_calls();
        let event = event(client);
        let answer = invoke(&function, &event).await;

        let calls = connect.calls();
        assert_eq!(calls.len(), 1, "{client}: one call, and no other");
        let call = &calls[0];
        assert_eq!(
            (call.operation, call.path.as_str()),
            (Some(Operation::StartChatContact), "/contact/chat"),
            "{client}"
        );
        asked["InstanceId"] = json!(INSTANCE);
        asked["Attributes"]["channel"] = json!("web");
        asked["ContactFlowId"] = json!(FLOW);
        asked["ClientToken"] = call.body["ClientToken"].clone();
        assert_eq!(call.body, asked, "{client}");
        assert_eq!(asked["ClientToken"].as_str().map(str::len), Some(36), "{client}: a random token");

        let contact = &connect
            .contacts()
            .into_iter()
            .find(|contact| contact.client_token.as_deref() == asked["ClientToken"].as_str())
            .unwrap();
        let token = answer.body["data"]["startChatResult"]["ParticipantToken"].as_str().unwrap_or_default();
        assert!(!token.is_empty(), "{client}");
        assert_eq!(
            answer.body,
            json!({ "success": true,
                    "data": { "startChatResult": { "ContactId": contact.id, "ParticipantId": contact.participant_id, "ParticipantToken": token },
                              "featurePermissions": { "ATTACHMENTS": false, "MESSAGING_MARKDOWN": true },
                              "region": "us-east-1" } }),
            "{client}"
        );
        assert_eq!(answer.status, 200, "{client}");
        assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"), "{client}");
        assert_eq!(answer.header("access-control-allow-origin"), event["headers"]["origin"].as_str(), "{client}");
        assert_eq!(answer.header("vary"), Some("Origin"), "{client}");
        assert_eq!(answer.header("access-control-allow-credentials"), None, "{client}");
    }
}

#[tokio::test]
async fn a_preflight_is_answered_and_another_page_refused() {
    let connect = StandIn::start().await.unwrap();
    let mut environment = environment();
    environment.push(("ALLOWED_ORIGINS", "http://localhost:9100".to_owned()));
    let function = start_chat(&environment, connect.url()).await;

    let answer = invoke(&function, &event("preflight")).await;
    assert_eq!((answer.status, &answer.body), (204, &json!("")));
    assert_eq!(answer.header("access-control-allow-origin"), Some("http://localhost:9100"));
    assert_eq!(answer.header("access-control-allow-methods"), Some("POST, PUT, OPTIONS"));
    let allowed: BTreeSet<_> = answer.header("access-control-allow-headers").unwrap().split(", ").collect();
    for header in
        ["content-type", "authorization", "idempotency-key", "x-amz-security-token", "x-amz-snippet-id", "x-amz-date"]
    {
        assert!(allowed.contains(header), "{header}");
    }

    let answer = invoke(&function, &event("another-origin")).await;
    assert_eq!((answer.status, answer.code()), (403, Some("ORIGIN_NOT_ALLOWED")));
    assert_eq!(answer.header("access-control-allow-origin"), None);

    let answer = invoke(&function, &event("wrong-type")).await;
    assert_eq!((answer.status, answer.field()), (400, Some("Attributes.page")));
    assert_eq!(answer.header("access-control-allow-origin"), Some("http://localhost:9100"));

    assert_eq!(connect.calls().len(), 0);
}

#[tokio::test]
async fn the_other_routes_and_a_signed_request() {
    let connect = StandIn::start().await.unwrap();
    let mut environment = environment();
    environment.push(("ALLOWED_ORIGINS", "http://localhost:9100".to_owned()));
    let function = start_chat(&environment, connect.url()).await;

    let answer = invoke(&function, &event("chat-end")).await;
    assert_eq!((answer.status, answer.body), (200, json!({ "success": true, "data": {} })));
    assert_eq!(connect.calls_to(Operation::DisconnectParticipant).len(), 1);

    let answer = invoke(&function, &event("aws-cli")).await;
    assert_eq!(answer.status, 200);
    assert!(answer.body["ContactId"].is_string(), "{answer:?}");

    assert_eq!(invoke(&function, &event("signed")).await.status, 200, "no keys: the token means nothing");
    let settings = json!({ "widget": { "signing_keys": ["a key of 44 characters, as the console shows"] } });
    environment.push(("BRIDGE_SETTINGS", settings.to_string()));
    let function = start_chat(&environment, connect.url()).await;
    let answer = invoke(&function, &event("signed")).await;
    assert_eq!((answer.status, answer.code()), (401, Some("UNAUTHENTICATED")), "its token is of 2023");
}

/// A file in `events/start-chat` that no test reads is no example but a guess.
#[test]
fn every_event_is_told() {
    let dir = format!("{}/../events/start-chat", env!("CARGO_MANIFEST_DIR"));
    let files: BTreeSet<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|file| file.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    let mut told: BTreeSet<String> = clients().into_iter().map(|(name, _)| name.to_owned()).collect();
    told.extend(["preflight", "another-origin", "wrong-type", "chat-end", "aws-cli", "signed"].map(str::to_owned));
    assert_eq!(files, told);
}
