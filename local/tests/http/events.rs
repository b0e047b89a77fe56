//! The page's stream of events.

use std::time::Duration;

use local::{Fault, Operation};
use serde_json::{Value, json};

use crate::client::{Client, text};

/// An open stream.
struct Stream {
    response: reqwest::Response,
    read: String,
}

impl Stream {
    async fn open(client: &Client) -> Self {
        let response = reqwest::get(format!("{}/_local/events", client.stand_in.url())).await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, read: String::new() }
    }

    /// The next event's name and data; `None`: the stream has ended.
    async fn next(&mut self) -> Option<(String, Value)> {
        let limit = Duration::from_secs(10);
        loop {
            if let Some((event, rest)) = self.read.split_once("\n\n").map(|(a, b)| (a.to_owned(), b.to_owned())) {
                self.read = rest;
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned));
                if let (Some(name), Some(data)) = (field("event: "), field("data: ")) {
                    return Some((name, serde_json::from_str(&data).unwrap()));
                }
            } else {
                let chunk = tokio::time::timeout(limit, self.response.chunk()).await.expect("an event").ok()??;
                self.read.push_str(std::str::from_utf8(&chunk).unwrap());
            }
        }
    }

    async fn until(&mut self, name: &str, accepts: impl Fn(&Value) -> bool) -> Value {
        loop {
            let (found, data) = self.next().await.expect("the stream goes on");
            if found == name && accepts(&data) {
                return data;
            }
        }
    }
}

fn says(contact: &Value, words: &str) -> bool {
    contact["transcript"].as_array().unwrap().iter().any(|item| item["content"] == words)
}

#[tokio::test]
async fn a_follower_is_told_what_there_is_and_what_changes() {
    let client = Client::start().await;
    let before = client.chat().await;
    client.stand_in.agent_says(&before.id, "text/plain", "said before").unwrap();
    let mut stream = Stream::open(&client).await;
    assert_eq!(stream.next().await.unwrap().0, "reset");
    let (name, contact) = stream.next().await.unwrap();
    assert_eq!((name.as_str(), &contact["id"]), ("contact", &json!(before.id)));
    assert!(says(&contact, "said before"));

    client.stand_in.agent_says(&before.id, "text/plain", "said after").unwrap();
    stream.until("contact", |contact| says(contact, "said after")).await;
    let after = client.chat().await;
    stream.until("contact", |contact| contact["id"] == json!(after.id)).await;

    client.stand_in.fail(Operation::SendMessage, Fault::throttling().times(1));
    let faults = stream.until("faults", |faults| *faults != json!([])).await;
    assert_eq!(faults, json!([{ "operation": "SendMessage", "fault": "error 429 ThrottlingException", "times": 1 }]));
    assert_eq!(client.say(&after, "Hi").await.failed().0, 429);
    stream.until("faults", |faults| *faults == json!([])).await;

    // Only what has changed is told again.
    client.stand_in.end(&after.id).unwrap();
    loop {
        let (name, contact) = stream.next().await.unwrap();
        assert_eq!((name, text(&contact["id"])), ("contact".to_owned(), after.id.clone()));
        if contact["ended"] == true {
            break;
        }
    }
    client.send("POST", "/_local/reset", None, String::new()).await.unwrap().ok();
    assert_eq!(stream.until("reset", |_| true).await, json!(1));
}

#[tokio::test]
async fn a_follower_does_not_keep_the_stand_in_from_stopping() {
    let client = Client::start().await;
    let mut stream = Stream::open(&client).await;
    stream.next().await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), client.stand_in.stop()).await.expect("it stops");
    while stream.next().await.is_some() {}
}
