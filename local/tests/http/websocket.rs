//! The websocket, frame by frame.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use local::Config;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message},
};

use crate::client::{Client, text, with};

struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    async fn open(url: &str) -> Self {
        Self(connect_async(url).await.unwrap().0)
    }

    async fn send(&mut self, frame: Value) {
        self.0.send(Message::text(frame.to_string())).await.unwrap();
    }

    /// The next frame; `None` where the connection is gone.
    async fn next(&mut self) -> Option<Value> {
        let frame = tokio::time::timeout(Duration::from_secs(5), self.0.next()).await.unwrap()?.ok()?;
        Some(serde_json::from_str(frame.to_text().unwrap()).unwrap())
    }

    /// The next chat item.
    async fn item(&mut self) -> Value {
        let frame = self.next().await.unwrap();
        assert_eq!((&frame["topic"], &frame["contentType"]), (&json!("aws/chat"), &json!("application/json")));
        serde_json::from_str(frame["content"].as_str().unwrap()).unwrap()
    }

    async fn subscribe(&mut self) {
        self.send(json!({ "topic": "aws/subscribe", "content": { "topics": ["aws/chat"] } })).await;
        let success = json!({ "topic": "aws/subscribe", "content": { "status": "success", "topics": ["aws/chat"] } });
        assert_eq!(self.next().await, Some(success));
    }
}

/// A chat over a websocket: contact id, websocket URL, connection token.
async fn chat(client: &Client) -> (String, String, String) {
    let started = client.start_chat(&with(json!({}))).await.ok();
    let both = json!({ "Type": ["WEBSOCKET", "CONNECTION_CREDENTIALS"] });
    let answer = client.participant("connection", &text(&started["ParticipantToken"]), &both).await.ok();
    let token = &answer["ConnectionCredentials"]["ConnectionToken"];
    (text(&started["ContactId"]), text(&answer["Websocket"]["Url"]), text(token))
}

#[tokio::test]
async fn protocol() {
    let client = Client::start().await;
    let (id, url, token) = chat(&client).await;
    let mut socket = Socket::open(&url).await;
    assert!(!client.stand_in.contact(&id).unwrap().connected, "not before it has subscribed");
    socket.subscribe().await;
    assert!(client.stand_in.contact(&id).unwrap().connected);
    assert_eq!(socket.item().await["ContentType"], "application/vnd.amazonaws.connect.event.participant.joined");

    socket.send(json!({ "topic": "aws/heartbeat" })).await;
    assert_eq!(socket.next().await, Some(json!({ "topic": "aws/heartbeat" })));
    socket.send(json!({ "topic": "aws/ping" })).await;
    assert_eq!(socket.next().await, Some(json!({ "topic": "aws/ping", "statusCode": 200, "statusContent": "OK" })));
    for nonsense in [json!([]), json!({ "topic": "aws/unknown" }), json!({ "topic": "aws/subscribe" })] {
        socket.send(nonsense).await;
    }

    let message = client.stand_in.agent_says(&id, "text/plain", "Hello").unwrap();
    assert_eq!(socket.item().await["ParticipantRole"], "AGENT");
    let item = socket.item().await;
    assert_eq!((&item["Id"], &item["Content"]), (&json!(message), &json!("Hello")));
    assert_eq!((&item["InitialContactId"], &item["Type"]), (&json!(id), &json!("MESSAGE")));

    let hi = json!({ "ContentType": "text/plain", "Content": "Hi" });
    client.participant("message", &token, &hi).await.ok();
    assert_eq!(socket.item().await["ParticipantRole"], "CUSTOMER", "one's own messages come back");

    client.participant("disconnect", &token, &json!({})).await.ok();
    assert_eq!(socket.item().await["ContentType"], "application/vnd.amazonaws.connect.event.participant.left");
    assert_eq!(socket.item().await["ContentType"], "application/vnd.amazonaws.connect.event.chat.ended");
    refused(&url).await;
}

async fn refused(url: &str) {
    match connect_async(url).await {
        Err(tungstenite::Error::Http(response)) => assert_eq!(response.status(), 403),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_url_is_good_for_a_while() {
    let client = Client::start_with(Config { websocket_url_lifetime: Duration::ZERO, ..Config::default() }).await;
    let (_, url, _) = chat(&client).await;
    refused(&url).await;
    refused(&format!("{url}x")).await;
}

#[tokio::test]
async fn sockets_break_and_are_opened_again() {
    let client = Client::start().await;
    let (id, url, _) = chat(&client).await;
    let mut socket = Socket::open(&url).await;
    socket.subscribe().await;
    socket.item().await;
    client.stand_in.drop_websockets(&id).unwrap();
    assert_eq!(socket.next().await, None);
    let mut socket = Socket::open(&url).await;
    client.stand_in.agent_says(&id, "text/plain", "unheard").unwrap();
    socket.subscribe().await;
    client.stand_in.agent_says(&id, "text/plain", "heard").unwrap();
    assert_eq!(socket.item().await["Content"], "heard");
}
