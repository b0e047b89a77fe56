//! The Participant Service.

use local::{Config, Line, Role, Visibility};
use serde_json::{Value, json};

use crate::client::{Client, text, with};

const DENIED: (u16, &str) = (403, "AccessDeniedException");
const INVALID: (u16, &str) = (400, "ValidationException");

#[tokio::test]
async fn connection() {
    let client = Client::start().await;
    let started = client.start_chat(&with(json!({}))).await.ok();
    let token = text(&started["ParticipantToken"]);
    let both = json!({ "Type": ["WEBSOCKET", "CONNECTION_CREDENTIALS"] });
    let answer = client.participant("connection", &token, &both).await.ok();
    let port = client.stand_in.url().rsplit(':').next().unwrap();
    assert!(answer["Websocket"]["Url"].as_str().unwrap().starts_with(&format!("ws://127.0.0.1:{port}/")));
    for expiry in [&answer["Websocket"]["ConnectionExpiry"], &answer["ConnectionCredentials"]["Expiry"]] {
        let expiry = text(expiry);
        assert_eq!((expiry.len(), expiry.find('.'), expiry.ends_with('Z')), (24, Some(19), true), "{expiry}");
        let left = expiry.parse::<jiff::Timestamp>().unwrap().as_second() - jiff::Timestamp::now().as_second();
        assert!((1..=24 * 60 * 60).contains(&left), "{left}");
    }
    let contact = client.stand_in.contact(started["ContactId"].as_str().unwrap()).unwrap();
    assert!(!contact.connected, "credentials alone connect nobody");

    for (body, expected) in [
        (json!({ "Type": ["CONNECTION_CREDENTIALS"], "ConnectParticipant": true }), INVALID),
        (json!({ "Type": [] }), INVALID),
        (json!({}), INVALID),
        (json!({ "Type": ["SMOKE"] }), INVALID),
        (json!({ "Type": "WEBSOCKET" }), INVALID),
    ] {
        let answer = client.participant("connection", &token, &body).await;
        assert_eq!((answer.failed().0, answer.failed().1), expected, "{body}");
    }
    let connection_token = text(&answer["ConnectionCredentials"]["ConnectionToken"]);
    for token in ["", "x", &connection_token] {
        let answer = client.participant("connection", token, &both).await;
        assert_eq!((answer.failed().0, answer.failed().1), DENIED);
    }
    let answer = client.post("/participant/connection", &both).await;
    assert_eq!((answer.failed().0, answer.failed().1), DENIED, "no bearer at all");
}

#[tokio::test]
async fn initial_message_is_said_once_the_customer_is_connected() {
    let client = Client::start().await;
    let request = with(json!({
        "InitialMessage": { "ContentType": "text/plain", "Content": "Hi" },
        "ChatStreamingConfiguration": { "StreamingEndpointArn": crate::client::TOPIC },
    }));
    let id = text(&client.start_chat(&request).await.ok()["ContactId"]);
    assert!(client.stand_in.contact(&id).unwrap().transcript.is_empty());
    assert!(client.stand_in.agent_joins(&id).is_err(), "there is no agent before the flow starts");

    let chat = client.chat_of(request).await;
    let contact = client.stand_in.contact(&chat.id).unwrap();
    assert!(contact.connected);
    assert_eq!(contact.transcript[0].content.as_deref(), Some("Hi"));
    assert!(contact.transcript[1].content_type.ends_with("participant.joined"));
    let again = json!({ "Type": ["CONNECTION_CREDENTIALS"], "ConnectParticipant": true });
    client.participant("connection", &chat.participant_token, &again).await.ok();
    assert_eq!(client.stand_in.contact(&chat.id).unwrap().transcript.len(), 2, "connecting twice says nothing twice");
}

#[tokio::test]
async fn messages_and_events() {
    let client = Client::start().await;
    let chat = client.chat().await;
    let content = "é".repeat(8_192);
    for (path, body) in [
        ("message", json!({ "ContentType": "text/plain", "Content": content })),
        ("event", json!({ "ContentType": "application/vnd.amazonaws.connect.event.typing" })),
        (
            "event",
            json!({
                "ContentType": "application/vnd.amazonaws.connect.event.message.read",
                "Content": r#"{"messageId":"m"}"#,
            }),
        ),
    ] {
        let answer = client.participant(path, &chat.token, &body).await.ok();
        assert!(answer["Id"].is_string() && answer["AbsoluteTime"].as_str().unwrap().ends_with('Z'), "{answer}");
    }
    for (path, body) in [
        ("message", json!({ "ContentType": "text/plain", "Content": format!("{content}é") })),
        ("message", json!({ "ContentType": "text/plain", "Content": "" })),
        ("message", json!({ "ContentType": "text/plain" })),
        ("message", json!({ "ContentType": "text/plain", "Content": 1 })),
        ("message", json!({ "Content": "Hi" })),
        ("message", json!({ "ContentType": "text/markdown", "Content": "not supported by this chat" })),
        ("message", json!({ "ContentType": "text/html", "Content": "Hi" })),
        ("message", json!({ "ContentType": "text/plain", "Content": "Hi", "ClientToken": "x".repeat(501) })),
        ("event", json!({ "ContentType": "application/vnd.amazonaws.connect.event.chat.ended" })),
        ("event", json!({ "ContentType": "application/vnd.amazonaws.connect.event.message.read" })),
        ("event", json!({})),
        ("disconnect", json!({ "ClientToken": 1 })),
        ("transcript", json!({ "MaxResults": 101 })),
        ("transcript", json!({ "ScanDirection": "SIDEWAYS" })),
        ("transcript", json!({ "SortOrder": "RANDOM" })),
        ("transcript", json!({ "NextToken": "unknown" })),
        ("transcript", json!({ "StartPosition": { "Id": "unknown" } })),
        ("transcript", json!({ "StartPosition": { "AbsoluteTime": "yesterday" } })),
    ] {
        let answer = client.participant(path, &chat.token, &body).await;
        assert_eq!((answer.failed().0, answer.failed().1), INVALID, "{path} {body}");
    }
    assert_eq!(client.stand_in.contact(&chat.id).unwrap().messages(), [content]);
}

#[tokio::test]
async fn one_client_token_is_one_item() {
    let client = Client::start().await;
    let chat = client.chat().await;
    let message = json!({ "ContentType": "text/plain", "Content": "Hi", "ClientToken": "t" });
    let first = client.participant("message", &chat.token, &message).await.ok();
    assert_eq!(first, client.participant("message", &chat.token, &message).await.ok());
    let typing = json!({ "ContentType": "application/vnd.amazonaws.connect.event.typing", "ClientToken": "t" });
    let event = client.participant("event", &chat.token, &typing).await.ok();
    assert_ne!(first["Id"], event["Id"], "tokens of different operations are different");
    assert_eq!(event, client.participant("event", &chat.token, &typing).await.ok());
    assert_eq!(client.stand_in.contact(&chat.id).unwrap().messages(), ["Hi"]);

    let other = client.chat().await;
    assert_ne!(first["Id"], client.participant("message", &other.token, &message).await.ok()["Id"]);

    let leave = json!({ "ClientToken": "bye" });
    client.participant("disconnect", &chat.token, &leave).await.ok();
    client.participant("disconnect", &chat.token, &leave).await.ok();
    let answer = client.participant("disconnect", &chat.token, &json!({ "ClientToken": "other" })).await;
    assert_eq!((answer.failed().0, answer.failed().1), DENIED);
}

#[tokio::test]
async fn an_ended_chat_is_closed_to_its_tokens() {
    let client = Client::start().await;
    for by_agent in [true, false] {
        let chat = client.chat().await;
        if by_agent {
            client.stand_in.agent_joins(&chat.id).unwrap();
            client.stand_in.end(&chat.id).unwrap();
        } else {
            client.participant("disconnect", &chat.token, &json!({})).await.ok();
        }
        let contact = client.stand_in.contact(&chat.id).unwrap();
        let last: Vec<_> = contact.transcript.iter().rev().take(2).map(|item| item.content_type.as_str()).collect();
        assert!(last[0].ends_with("chat.ended") && last[1].ends_with("participant.left"), "{last:?}");
        assert!(contact.transcript.last().unwrap().participant.is_none());
        for (path, token) in [
            ("message", &chat.token),
            ("event", &chat.token),
            ("transcript", &chat.token),
            ("connection", &chat.participant_token),
        ] {
            let body = json!({ "ContentType": "text/plain", "Content": "Hi", "Type": ["CONNECTION_CREDENTIALS"] });
            let answer = client.participant(path, token, &body).await;
            assert_eq!((answer.failed().0, answer.failed().1), DENIED, "{path}");
        }
        assert!(client.stand_in.agent_says(&chat.id, "text/plain", "late").is_err());
    }
}

#[tokio::test]
async fn connection_tokens_expire() {
    let client = Client::start().await;
    let chat = client.chat().await;
    client.stand_in.expire_connection_tokens(&chat.id).unwrap();
    assert_eq!(client.say(&chat, "Hi").await.failed().1, DENIED.1);
    let fresh = json!({ "Type": ["CONNECTION_CREDENTIALS"] });
    let fresh = client.participant("connection", &chat.participant_token, &fresh).await.ok();
    let token = text(&fresh["ConnectionCredentials"]["ConnectionToken"]);
    client.say(&crate::client::Chat { token, ..chat }, "Hi").await.ok();

    let brief = Config { connection_token_lifetime: std::time::Duration::ZERO, ..Config::default() };
    let client = Client::start_with(brief).await;
    let chat = client.chat().await;
    assert_eq!(client.say(&chat, "Hi").await.failed().1, DENIED.1);
}

/// Contents of a transcript page; joined events are "-".
fn contents(answer: &Value) -> Vec<&str> {
    answer["Transcript"].as_array().unwrap().iter().map(|item| item["Content"].as_str().unwrap_or("-")).collect()
}

#[tokio::test]
async fn transcript_pages() {
    let client = Client::start().await;
    let chat = client.chat().await;
    for number in 1..=11 {
        client.say(&chat, &number.to_string()).await.ok();
    }
    let items = client.stand_in.contact(&chat.id).unwrap().transcript;
    let (fifth, time) = (items[5].id.as_str(), items[5].absolute_time.as_str());
    let cases = [
        (json!({}), "11 10 9 8 7 6 5 4 3 2"),
        (json!({ "SortOrder": "ASCENDING" }), "2 3 4 5 6 7 8 9 10 11"),
        (json!({ "MaxResults": 2, "StartPosition": {} }), "11 10"),
        (json!({ "MaxResults": 2, "ScanDirection": "FORWARD" }), "1 -"),
        (json!({ "MaxResults": 2, "StartPosition": { "Id": fifth } }), "6 5"),
        (json!({ "MaxResults": 2, "StartPosition": { "Id": fifth }, "ScanDirection": "BACKWARD" }), "5 4"),
        (json!({ "MaxResults": 2, "StartPosition": { "AbsoluteTime": time } }), "6 5"),
        (json!({ "MaxResults": 2, "StartPosition": { "AbsoluteTime": time }, "ScanDirection": "BACKWARD" }), "5 4"),
        (json!({ "StartPosition": { "MostRecent": 3 } }), "11 10 9"),
        (json!({ "MaxResults": 2, "StartPosition": { "MostRecent": 3 }, "ScanDirection": "BACKWARD" }), "9 8"),
        (json!({ "StartPosition": { "MostRecent": 100 }, "MaxResults": 1, "ContactId": chat.id }), "-"),
    ];
    for (query, expected) in cases {
        let answer = client.participant("transcript", &chat.token, &query).await.ok();
        assert_eq!(contents(&answer).join(" "), expected, "{query}");
        assert_eq!(answer["InitialContactId"], json!(chat.id));
    }
    for (direction, expected) in [("BACKWARD", "7 8 9 10 11 2 3 4 5 6 - 1"), ("FORWARD", "- 1 2 3 4 5 6 7 8 9 10 11")] {
        let mut query = json!({ "MaxResults": 5, "SortOrder": "ASCENDING", "ScanDirection": direction });
        let mut seen = Vec::new();
        loop {
            let answer = client.participant("transcript", &chat.token, &query).await.ok();
            seen.extend(contents(&answer).into_iter().map(str::to_owned));
            let Some(next) = answer.get("NextToken") else { break };
            query["NextToken"] = next.clone();
        }
        assert_eq!(seen.join(" "), expected, "{direction}");
    }
    let stranger = client.chat().await;
    let answer = client.participant("transcript", &chat.token, &json!({ "ContactId": stranger.id })).await;
    assert_eq!((answer.failed().0, answer.failed().1), DENIED);
}

#[tokio::test]
async fn the_customer_does_not_see_what_is_for_agents() {
    let client = Client::start().await;
    let chat = client.chat().await;
    for (visibility, content) in [(Visibility::Agent, "whisper"), (Visibility::Customer, "you only")] {
        let line = Line {
            role: Role::System,
            display_name: None,
            content_type: "text/plain".to_owned(),
            content: content.to_owned(),
            visibility,
        };
        client.stand_in.says(&chat.id, &line).unwrap();
    }
    let seen = client.participant("transcript", &chat.token, &json!({})).await.ok();
    assert_eq!(contents(&seen), ["you only", "-"]);
    assert_eq!(seen["Transcript"][0]["ParticipantRole"], "SYSTEM");
    assert_eq!(client.stand_in.contact(&chat.id).unwrap().messages(), ["whisper", "you only"]);
}

#[tokio::test]
async fn a_transfer_keeps_the_initial_contact_id() {
    let client = Client::start().await;
    let chat = client.chat().await;
    client.stand_in.agent_says(&chat.id, "text/plain", "one").unwrap();
    let second = client.stand_in.transfer(&chat.id).unwrap();
    client.stand_in.agent_says(&second, "text/plain", "two").unwrap();
    client.say(&chat, "three").await.ok();
    let contact = client.stand_in.contact(&chat.id).unwrap();
    assert_eq!(contact, client.stand_in.contact(&second).unwrap());
    assert_eq!((&contact.initial_id, &contact.id), (&chat.id, &second));
    let transcript = client.participant("transcript", &chat.token, &json!({ "SortOrder": "ASCENDING" })).await.ok();
    let said: Vec<_> =
        transcript["Transcript"].as_array().unwrap().iter().filter(|item| item["Type"] == "MESSAGE").collect();
    let ids: Vec<_> = said.iter().map(|item| item["ContactId"].as_str().unwrap()).collect();
    assert_eq!(ids, [&chat.id, &second, &second]);
    assert_eq!(transcript["InitialContactId"], json!(chat.id));
    let agents: Vec<_> = said.iter().take(2).map(|item| item["ParticipantId"].as_str().unwrap()).collect();
    assert_ne!(agents[0], agents[1], "another agent");
}
