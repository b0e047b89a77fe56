//! The control API: the library over HTTP.

use serde_json::{Value, json};

use crate::client::{Client, with};

async fn control(client: &Client, method: &str, path: &str, body: Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = client.send(method, &format!("/_local/{path}"), None, body).await.unwrap();
    (answer.status, answer.body)
}

#[tokio::test]
async fn a_chat_by_hand() {
    let client = Client::start().await;
    assert_eq!(control(&client, "GET", "health", Value::Null).await.0, 200);
    let unconnected = client.start_chat(&with(json!({}))).await.ok();
    let unconnected = format!("contacts/{}/join", unconnected["ContactId"].as_str().unwrap());
    assert_eq!(control(&client, "POST", &unconnected, Value::Null).await.0, 409);

    let chat = client.chat().await;
    let act = async |action: &str, body: Value| {
        let (status, body) = control(&client, "POST", &format!("contacts/{}/{action}", chat.id), body).await;
        assert_eq!(status, 200, "{action} {body}");
        body
    };
    act("join", Value::Null).await;
    act("say", json!({ "content": "Hello" })).await;
    let menu =
        json!({ "content": "{}", "content_type": "application/json", "role": "SYSTEM", "visibility": "CUSTOMER" });
    act("say", menu).await;
    act("event", json!({ "content_type": "application/vnd.amazonaws.connect.event.typing" })).await;
    let second = act("transfer", Value::Null).await["contact_id"].clone();
    act("expire-tokens", Value::Null).await;
    act("drop-websockets", Value::Null).await;
    assert_eq!(client.say(&chat, "Hi").await.failed().0, 403);
    act("end", Value::Null).await;
    let (_, contact) = control(&client, "GET", &format!("contacts/{}", chat.id), Value::Null).await;
    assert_eq!((&contact["id"], &contact["ended"]), (&second, &json!(true)));
    let (_, contacts) = control(&client, "GET", "contacts", Value::Null).await;
    assert_eq!(contacts["contacts"][1], contact);
    for (path, status) in [
        (format!("contacts/{}/end", chat.id), 409),
        ("contacts/unknown/end".to_owned(), 404),
        (format!("contacts/{}/dance", chat.id), 404),
        ("dance".to_owned(), 404),
    ] {
        let (answered, body) = control(&client, "POST", &path, Value::Null).await;
        assert_eq!((answered, body["error"].is_string()), (status, true), "{path}");
    }
    assert_eq!(control(&client, "GET", "contacts/unknown", Value::Null).await.0, 404);
}

#[tokio::test]
async fn faults_limits_and_calls() {
    let client = Client::start().await;
    let fault = json!({ "status": 429, "type": "LimitExceededException", "times": 1 });
    let fault = json!({ "operation": "StartChatContact", "fault": fault });
    assert_eq!(control(&client, "POST", "faults", fault.clone()).await, (200, json!({})));
    assert_eq!(client.start_chat(&with(json!({}))).await.failed().0, 429);
    control(&client, "POST", "faults", fault).await;
    assert_eq!(control(&client, "DELETE", "faults", Value::Null).await.0, 200);
    client.start_chat(&with(json!({}))).await.ok();
    assert_eq!(control(&client, "POST", "limits", json!({ "concurrent_chats": 1 })).await.0, 200);
    assert_eq!(client.start_chat(&with(json!({}))).await.failed().1, "LimitExceededException");
    for (path, body) in [
        ("faults", json!({ "operation": "Dance", "fault": { "effect": "hang" } })),
        ("faults", json!({ "operation": "StopContact", "fault": {} })),
        ("faults", Value::Null),
        ("limits", json!({ "chats": 1 })),
    ] {
        assert_eq!(control(&client, "POST", path, body.clone()).await.0, 400, "{body}");
    }
    let (_, calls) = control(&client, "GET", "calls", Value::Null).await;
    let statuses: Vec<_> = calls["calls"].as_array().unwrap().iter().map(|call| call["status"].clone()).collect();
    assert_eq!(statuses, [429, 200, 429]);
    assert_eq!(calls["calls"][0]["operation"], "StartChatContact");
    assert_eq!(calls["calls"][0]["body"]["ParticipantDetails"]["DisplayName"], "Jane");
    control(&client, "DELETE", "calls", Value::Null).await;
    assert!(client.stand_in.calls().is_empty());
    control(&client, "POST", "limits", Value::Null).await;
    control(&client, "POST", "reset", Value::Null).await;
    assert!(client.stand_in.contacts().is_empty());
}
