//! Amazon SQS, as far as `receive-message` uses it: `SendMessageBatch` to a FIFO queue, with de-duplication and faults.
//! The service speaks JSON 1.0: a POST whose `X-Amz-Target` names the operation (Amazon SQS API reference).

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

#[derive(Default)]
struct Queue {
    calls: Vec<Value>,
    items: Vec<(Value, Value)>,
    fault: Option<(u16, usize)>,
    secrets_url: Option<String>,
}

/// A running SQS. Dropping it stops it.
pub struct Sqs {
    url: String,
    queue: Arc<Mutex<Queue>>,
    task: tokio::task::JoinHandle<()>,
}

impl Sqs {
    /// Starts one with any queue.
    pub async fn start() -> Self {
        let queue = Arc::default();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&queue));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, queue, task }
    }

    /// Hands what is meant for Secrets Manager on to `url`: a function has one endpoint for all services here.
    pub fn with_secrets_at(&self, url: &str) {
        self.queue.lock().unwrap().secrets_url = Some(url.to_owned());
    }

    /// Its endpoint.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The bodies of the calls of `SendMessageBatch`.
    pub fn calls(&self) -> Vec<Value> {
        self.queue.lock().unwrap().calls.clone()
    }

    /// The items in the queue, each deduplication id once.
    pub fn items(&self) -> Vec<Value> {
        self.queue.lock().unwrap().items.iter().map(|(_, item)| item.clone()).collect()
    }

    /// Empties queue and record.
    pub fn forget(&self) {
        let mut queue = self.queue.lock().unwrap();
        queue.calls.clear();
        queue.items.clear();
    }

    /// Answers the next `times` calls with an error of this status.
    pub fn fail(&self, status: u16, times: usize) {
        self.queue.lock().unwrap().fault = Some((status, times));
    }
}

impl Drop for Sqs {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(State(queue): State<Arc<Mutex<Queue>>>, headers: HeaderMap, body: String) -> Response {
    let secrets_url = queue.lock().unwrap().secrets_url.clone();
    if let (Some(url), true) = (secrets_url, headers["x-amz-target"].as_bytes().starts_with(b"secretsmanager.")) {
        let request = reqwest::Client::new().post(url).header("x-amz-target", &headers["x-amz-target"]).body(body);
        let answer = request.send().await.unwrap();
        return (answer.status(), answer.text().await.unwrap()).into_response();
    }
    assert_eq!(headers["x-amz-target"], "AmazonSQS.SendMessageBatch");
    let body: Value = serde_json::from_str(&body).unwrap();
    let mut queue = queue.lock().unwrap();
    queue.calls.push(body.clone());
    if let Some((status, times)) = &mut queue.fault
        && *times > 0
    {
        *times -= 1;
        let error = json!({ "__type": "com.amazonaws.sqs#SomeError", "message": "no" });
        return (StatusCode::from_u16(*status).unwrap(), error.to_string()).into_response();
    }
    let entries = body["Entries"].as_array().unwrap();
    assert!((1..=10).contains(&entries.len()), "at most ten to a batch");
    let mut successful = Vec::new();
    for entry in entries {
        let id = entry["MessageDeduplicationId"].clone();
        if !queue.items.iter().any(|(seen, _)| *seen == id) {
            queue.items.push((id, serde_json::from_str(entry["MessageBody"].as_str().unwrap()).unwrap()));
        }
        successful.push(json!({ "Id": entry["Id"], "MessageId": "1", "MD5OfMessageBody": md5(entry["MessageBody"].as_str().unwrap()) }));
    }
    json!({ "Successful": successful, "Failed": [] }).to_string().into_response()
}

fn md5(text: &str) -> String {
    use md5::Digest;
    hex::encode(md5::Md5::digest(text.as_bytes()))
}
