//! A stand-in for Lambda's event source mapping over an SQS queue: it receives batches, invokes a function, deletes
//! what the function did and gives back what it did not ("Using Lambda with Amazon SQS", AWS Lambda developer guide).
//!
//! It works over an SQS API such as moto's. moto 5.2.5 mixes a FIFO group up when a visibility timeout *expires* (the
//! last message comes first), so none ever does here: messages are received for hours, and given back by a visibility of
//! 0, in order. For the function's own `ChangeMessageVisibility` to count, its SQS endpoint must be
//! [`Poller::endpoint`], which passes everything else on.

use std::{
    collections::HashMap,
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::State as Shared,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

/// Messages of a batch (Lambda's default, and SQS's most).
const BATCH: usize = 10;

/// How long a received message is invisible: longer than any run of this program needs.
const INVISIBLE_SECONDS: u32 = 6 * 60 * 60;

/// How long an empty queue is left alone.
const PAUSE: Duration = Duration::from_millis(20);

/// Is told what becomes of a queue's messages, by the queue's ids of them.
pub(crate) trait Observer: Send + Sync + fmt::Debug {
    /// Somebody has sent a message.
    fn sent(&self, id: &str, body: &str);
    /// A message is handed to the function, for the n-th time.
    fn received(&self, id: &str, body: &str, tries: u32);
    /// A message goes back to the queue, for this long.
    fn handed_back(&self, id: &str, wait: Duration);
}

/// A poller of one queue.
#[derive(Debug)]
pub struct Poller {
    shared: Arc<State>,
    endpoint: String,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    client: reqwest::Client,
    /// The SQS API.
    sqs: String,
    queue_url: String,
    queue_name: String,
    queue_arn: String,
    /// Waits are this much shorter than asked for.
    speed: f64,
    /// What the function asked for, by receipt handle.
    asked: Mutex<HashMap<String, Duration>>,
    waiting: Mutex<Vec<Waiting>>,
    /// moto's queues are not safe from two requests at once.
    one_at_a_time: tokio::sync::Mutex<()>,
    observer: OnceLock<Arc<dyn Observer>>,
}

/// Messages of one group that are given back at a time.
#[derive(Debug)]
struct Waiting {
    receipts: Vec<String>,
    due: Instant,
}

impl Poller {
    /// A poller of the queue at this URL, by the SQS API at `sqs`. It does nothing until it is told to
    /// ([`poll_once`](Self::poll_once), [`run`](Self::run)).
    pub async fn start(sqs: &str, queue_url: &str) -> io::Result<Self> {
        Self::start_with(sqs, queue_url, 1.0).await
    }

    /// The same, with every wait that the function asks for divided by `speed`: for tests.
    pub async fn start_with(sqs: &str, queue_url: &str, speed: f64) -> io::Result<Self> {
        let mut parts = queue_url.rsplit('/');
        let (name, account) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let shared = Arc::new(State {
            client: reqwest::Client::new(),
            sqs: sqs.to_owned(),
            queue_url: queue_url.to_owned(),
            queue_name: name.to_owned(),
            queue_arn: format!("arn:aws:sqs:us-east-1:{account}:{name}"),
            speed,
            asked: Mutex::default(),
            waiting: Mutex::default(),
            one_at_a_time: tokio::sync::Mutex::default(),
            observer: OnceLock::new(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let router = Router::new().fallback(pass_on).with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            // It never returns an error.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { shared, endpoint, server })
    }

    /// Has what becomes of the messages told to an observer, which stays the first one.
    pub(crate) fn observe(&self, observer: Arc<dyn Observer>) {
        let _ = self.shared.observer.set(observer);
    }

    /// The function's SQS endpoint.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Receives one batch, if there is one, and invokes `function` with it: an event in, a partial batch response out, or
    /// an error for a function that failed as a whole. Returns how many messages were received.
    pub async fn poll_once(&self, function: impl AsyncFn(Value) -> Result<Value, String>) -> Result<usize, String> {
        let state = &*self.shared;
        let messages = {
            let _alone = state.one_at_a_time.lock().await;
            state.give_back_due().await?;
            state.receive().await?
        };
        if messages.is_empty() {
            return Ok(0);
        }
        if let Some(observer) = state.observer.get() {
            for message in &messages {
                let tries = message.pointer("/Attributes/ApproximateReceiveCount").and_then(Value::as_str);
                let tries = tries.and_then(|tries| tries.parse().ok()).unwrap_or(1);
                observer.received(text(message, "MessageId"), text(message, "Body"), tries);
            }
        }
        let records: Vec<Value> = messages.iter().map(|message| state.record(message)).collect();
        let outcome = function(json!({ "Records": records })).await;
        let failed: Option<Vec<String>> = outcome.ok().as_ref().and_then(failures);
        let mut done = Vec::new();
        let mut undone: Vec<(&str, Vec<String>)> = Vec::new();
        for message in &messages {
            let id = text(message, "MessageId");
            let receipt = text(message, "ReceiptHandle").to_owned();
            // A response that can't be read, or names an item that was not there, is a failure of the whole batch.
            if failed.as_ref().is_some_and(|failed| !failed.iter().any(|failed| failed == id)) {
                done.push(receipt);
                continue;
            }
            if let Some(observer) = state.observer.get() {
                let wait = lock(&state.asked).get(&receipt).copied().unwrap_or_default();
                observer.handed_back(id, wait.div_f64(state.speed));
            }
            let group = message.pointer("/Attributes/MessageGroupId").and_then(Value::as_str).unwrap_or(id);
            match undone.iter_mut().find(|(known, _)| *known == group) {
                Some((_, receipts)) => receipts.push(receipt),
                None => undone.push((group, vec![receipt])),
            }
        }
        let _alone = state.one_at_a_time.lock().await;
        state.delete(&done).await?;
        for (_, receipts) in undone {
            let asked: Vec<_> = {
                let mut asked = lock(&state.asked);
                receipts.iter().filter_map(|receipt| asked.remove(receipt)).collect()
            };
            let wait = asked.first().copied().unwrap_or_default().div_f64(state.speed);
            if wait.is_zero() {
                state.give_back(&receipts).await?;
            } else {
                lock(&state.waiting).push(Waiting { receipts, due: Instant::now() + wait });
            }
        }
        Ok(messages.len())
    }

    /// Polls with `workers` at once, until it is dropped. What goes wrong with the queue is told to `complain`.
    pub async fn run(
        &self,
        workers: usize,
        function: impl AsyncFn(Value) -> Result<Value, String>,
        complain: impl Fn(String),
    ) {
        let function = &function;
        let complain = &complain;
        let work = (0..workers).map(|_| async move {
            loop {
                match self.poll_once(function).await {
                    Ok(0) => tokio::time::sleep(PAUSE).await,
                    Ok(_) => (),
                    Err(error) => {
                        complain(error);
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                }
            }
        });
        join_all(work).await;
    }

    /// Whether the queue holds nothing, neither visible nor in flight.
    pub async fn is_empty(&self) -> Result<bool, String> {
        let names = json!(["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]);
        let asked = json!({ "QueueUrl": self.shared.queue_url, "AttributeNames": names });
        let answer = self.shared.call("GetQueueAttributes", &asked).await?;
        let count = |name: &str| answer.pointer(&format!("/Attributes/{name}")).and_then(Value::as_str) == Some("0");
        Ok(count("ApproximateNumberOfMessages") && count("ApproximateNumberOfMessagesNotVisible"))
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A function behind Lambda's Invoke API, as `cargo lambda watch` serves it.
pub async fn invoke_over_http(
    client: &reqwest::Client,
    url: &str,
    function: &str,
    event: Value,
) -> Result<Value, String> {
    let url = format!("{url}/2015-03-31/functions/{function}/invocations");
    let answer = client.post(url).body(event.to_string()).send().await.map_err(|error| error.to_string())?;
    let failed = answer.headers().contains_key("x-amz-function-error") || !answer.status().is_success();
    let body = answer.text().await.map_err(|error| error.to_string())?;
    if failed { Err(body) } else { serde_json::from_str(&body).map_err(|error| error.to_string()) }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The items that a partial batch response names. No response at all, `null` and an empty list mean that all is done.
fn failures(answer: &Value) -> Option<Vec<String>> {
    match answer.get("batchItemFailures") {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| Some(text(item, "itemIdentifier")).filter(|id| !id.is_empty()).map(str::to_owned))
            .collect(),
        Some(_) => None,
    }
}

impl State {
    async fn call(&self, operation: &str, body: &Value) -> Result<Value, String> {
        let answer = self
            .client
            .post(&self.sqs)
            .header("x-amz-target", format!("AmazonSQS.{operation}"))
            .header("content-type", "application/x-amz-json-1.0")
            // moto finds the service and the region here.
            .header("authorization", "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/sqs/aws4_request")
            .body(body.to_string())
            .send()
            .await
            .map_err(|error| format!("{operation}: {error}"))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| format!("{operation}: {error}"))?;
        if !status.is_success() {
            return Err(format!("{operation}: {status} {text}"));
        }
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    async fn receive(&self) -> Result<Vec<Value>, String> {
        let asked = json!({
            "QueueUrl": self.queue_url, "MaxNumberOfMessages": BATCH, "VisibilityTimeout": INVISIBLE_SECONDS,
            "AttributeNames": ["All"], "MessageAttributeNames": ["All"],
        });
        let mut answer = self.call("ReceiveMessage", &asked).await?;
        Ok(match answer.get_mut("Messages").map(Value::take) {
            Some(Value::Array(messages)) => messages,
            _ => Vec::new(),
        })
    }

    async fn delete(&self, receipts: &[String]) -> Result<(), String> {
        if receipts.is_empty() {
            return Ok(());
        }
        let entries: Vec<Value> = receipts
            .iter()
            .enumerate()
            .map(|(number, receipt)| json!({ "Id": number.to_string(), "ReceiptHandle": receipt }))
            .collect();
        self.call("DeleteMessageBatch", &json!({ "QueueUrl": self.queue_url, "Entries": entries })).await.map(drop)
    }

    async fn give_back(&self, receipts: &[String]) -> Result<(), String> {
        let entries: Vec<Value> = receipts
            .iter()
            .enumerate()
            .map(|(number, receipt)| json!({ "Id": number.to_string(), "ReceiptHandle": receipt, "VisibilityTimeout": 0 }))
            .collect();
        let asked = json!({ "QueueUrl": self.queue_url, "Entries": entries });
        self.call("ChangeMessageVisibilityBatch", &asked).await.map(drop)
    }

    async fn give_back_due(&self) -> Result<(), String> {
        let now = Instant::now();
        let due: Vec<Waiting> = lock(&self.waiting).extract_if(.., |waiting| waiting.due <= now).collect();
        for Waiting { receipts, .. } in due {
            self.give_back(&receipts).await?;
        }
        Ok(())
    }

    /// A received message as an event's record.
    fn record(&self, message: &Value) -> Value {
        let attributes = message.get("MessageAttributes").and_then(Value::as_object);
        let attributes: serde_json::Map<String, Value> = attributes
            .into_iter()
            .flatten()
            .map(|(name, value)| {
                let lowered = json!({
                    "stringValue": value.get("StringValue"), "binaryValue": value.get("BinaryValue"),
                    "stringListValues": [], "binaryListValues": [], "dataType": value.get("DataType"),
                });
                (name.clone(), lowered)
            })
            .collect();
        json!({
            "messageId": message.get("MessageId"), "receiptHandle": message.get("ReceiptHandle"),
            "body": message.get("Body"), "attributes": message.get("Attributes"), "messageAttributes": attributes,
            "md5OfBody": message.get("MD5OfBody"), "eventSource": "aws:sqs", "eventSourceARN": self.queue_arn,
            "awsRegion": "us-east-1",
        })
    }

    /// Keeps what a `ChangeMessageVisibility` asks for, and answers it.
    fn keep(&self, operation: &str, body: &Value) -> Option<Value> {
        let mut asked = lock(&self.asked);
        let mut keep = |entry: &Value| {
            let seconds = entry.get("VisibilityTimeout").and_then(Value::as_u64).unwrap_or_default();
            asked.insert(text(entry, "ReceiptHandle").to_owned(), Duration::from_secs(seconds));
        };
        match operation {
            "AmazonSQS.ChangeMessageVisibility" => {
                keep(body);
                Some(json!({}))
            }
            "AmazonSQS.ChangeMessageVisibilityBatch" => {
                let entries = body.get("Entries").and_then(Value::as_array);
                let done: Vec<Value> = entries
                    .into_iter()
                    .flatten()
                    .map(|entry| {
                        keep(entry);
                        json!({ "Id": entry.get("Id") })
                    })
                    .collect();
                Some(json!({ "Successful": done, "Failed": [] }))
            }
            _ => None,
        }
    }
}

/// The function's calls of SQS.
async fn pass_on(Shared(state): Shared<Arc<State>>, headers: HeaderMap, body: Bytes) -> Response {
    const CONTENT_TYPE: &str = "application/x-amz-json-1.0";
    let operation = headers.get("x-amz-target").and_then(|name| name.to_str().ok()).unwrap_or_default().to_owned();
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    // moto answers GetQueueUrl with the host that it was asked at, so only the name tells.
    let ours = text(&asked, "QueueUrl").rsplit('/').next() == Some(&*state.queue_name);
    if ours && let Some(answer) = state.keep(&operation, &asked) {
        return ([("content-type", CONTENT_TYPE)], answer.to_string()).into_response();
    }
    let mut request = state.client.post(&state.sqs).body(body);
    for name in ["x-amz-target", "content-type", "authorization", "x-amz-query-mode"] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value.as_bytes());
        }
    }
    let _alone = state.one_at_a_time.lock().await;
    match request.send().await {
        Ok(answer) => {
            let status = StatusCode::from_u16(answer.status().as_u16()).unwrap_or(StatusCode::BAD_GATEWAY);
            let answer = answer.bytes().await.unwrap_or_default();
            if let Some(observer) = state.observer.get().filter(|_| ours) {
                tell_sent(observer.as_ref(), &operation, &asked, &answer);
            }
            (status, [("content-type", CONTENT_TYPE)], answer).into_response()
        }
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

/// Tells of the messages that a call has sent.
fn tell_sent(observer: &dyn Observer, operation: &str, asked: &Value, answer: &[u8]) {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    match operation {
        "AmazonSQS.SendMessage" => observer.sent(text(&answer, "MessageId"), text(asked, "MessageBody")),
        "AmazonSQS.SendMessageBatch" => {
            let list =
                |value: &Value, name: &str| value.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
            let entries = list(asked, "Entries");
            for done in list(&answer, "Successful") {
                if let Some(entry) = entries.iter().find(|entry| text(entry, "Id") == text(&done, "Id")) {
                    observer.sent(text(&done, "MessageId"), text(entry, "MessageBody"));
                }
            }
        }
        _ => (),
    }
}
