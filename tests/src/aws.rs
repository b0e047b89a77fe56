//! DynamoDB and SQS for the stories: moto's server, one for the test process, and what stands between it and the
//! functions: a proxy that counts calls and fails where it is told to, and the poller.

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    io::Read,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, OnceLock},
    time::{Duration, Instant},
};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use deliver_message::DeliverMessage;
use lambda_runtime::{Context, LambdaEvent};
use local::{Poller, StandIn};
use serde_json::{Value, json};
use shared::{
    config::{self, Env},
    inbound::Inbound,
    settings::Settings,
    sms::message::{Channel, Message},
};

use crate::{FLOW, INSTANCE, TOPIC};

/// Our number, in every story of delivery.
pub const OURS: &str = "+12025550100";
const DEAD_LETTERS: &str = "dead";

/// moto, running. It ends with the test process, whose end closes the pipe it waits for.
struct Moto {
    url: String,
    _process: Child,
}

/// The URL of moto's server, which is started when it is first asked for.
pub fn moto() -> &'static str {
    static MOTO: OnceLock<Moto> = OnceLock::new();
    &MOTO.get_or_init(Moto::start).url
}

impl Moto {
    fn start() -> Self {
        let program = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.venv/bin/moto_server"));
        assert!(
            program.exists(),
            "{} is missing: run `make test`, or `pip install -r tests/clients/requirements.txt` into .venv",
            program.display()
        );
        for _ in 0..5 {
            let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let script = r#""$0" -H 127.0.0.1 -p "$1" >/dev/null 2>&1 & server=$!; cat >/dev/null; kill "$server""#;
            let mut process = Command::new("sh")
                .args(["-c", script])
                .arg(&program)
                .arg(port.to_string())
                // Its end of the pipe closes when this process ends, however that comes about.
                .stdin(Stdio::piped())
                .spawn()
                .unwrap();
            let started = Instant::now();
            while started.elapsed() < Duration::from_secs(60) {
                if answers(port) {
                    return Self { url: format!("http://127.0.0.1:{port}"), _process: process };
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            drop(process.stdin.take());
            let _ = process.wait();
        }
        panic!("moto_server does not start");
    }
}

fn answers(port: u16) -> bool {
    use std::io::Write;
    let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", port)) else { return false };
    let _ = stream.write_all(b"GET /moto-api/ HTTP/1.0\r\n\r\n");
    let mut start = [0; 12];
    stream.read_exact(&mut start).is_ok() && start.starts_with(b"HTTP/1")
}

/// One call of an AWS JSON API; the test fails where it fails.
pub async fn call(service: &str, operation: &str, body: &Value) -> Value {
    let target = match service {
        "dynamodb" => format!("DynamoDB_20120810.{operation}"),
        _ => format!("AmazonSQS.{operation}"),
    };
    let authorization = format!("AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request");
    // Making a client takes longer than a call; its connections would belong to one test's runtime.
    static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();
    let client = CLIENT.get_or_init(|| reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap());
    let answer = client
        .post(moto())
        .header("x-amz-target", target)
        .header("content-type", "application/x-amz-json-1.0")
        .header("authorization", authorization)
        .body(body.to_string())
        .send()
        .await
        .unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert!(status.is_success(), "{operation}: {status} {text}");
    serde_json::from_str(&text).unwrap_or_default()
}

/// How a call of DynamoDB or SQS fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFault {
    /// It does not.
    Pass,
    /// This status and exception, and no effect.
    Error(u16, &'static str),
    /// No answer, and no effect.
    Hang,
    /// No answer, but it takes effect.
    HangAfter,
    /// The connection breaks after it took effect.
    ResetAfter,
}

/// Stands between the function and DynamoDB, or SQS.
pub struct TableProxy {
    url: String,
    shared: Arc<ProxyState>,
    task: tokio::task::JoinHandle<()>,
}

struct ProxyState {
    client: reqwest::Client,
    service: &'static str,
    upstream: String,
    faults: Mutex<BTreeMap<String, VecDeque<TableFault>>>,
    calls: Mutex<Vec<String>>,
    met: Mutex<Vec<String>>,
    /// moto checks and writes in two steps.
    one_at_a_time: tokio::sync::Mutex<()>,
}

impl TableProxy {
    /// Starts one before DynamoDB.
    pub async fn start() -> Self {
        Self::before("dynamodb", moto()).await
    }

    /// Starts one before a service (`sqs`) at an endpoint.
    pub async fn before(service: &'static str, upstream: &str) -> Self {
        let shared = Arc::new(ProxyState {
            client: reqwest::Client::default(),
            service,
            upstream: upstream.to_owned(),
            faults: Mutex::default(),
            calls: Mutex::default(),
            met: Mutex::default(),
            one_at_a_time: tokio::sync::Mutex::default(),
        });
        let router = Router::new().fallback(forward).with_state(Arc::clone(&shared));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, shared, task }
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Plans a fault of an operation (`PutItem`), after those already planned.
    pub fn fail(&self, operation: &str, fault: TableFault) {
        self.shared.faults.lock().unwrap().entry(operation.to_owned()).or_default().push_back(fault);
    }

    /// The operations that were called, in order.
    pub fn calls(&self) -> Vec<String> {
        self.shared.calls.lock().unwrap().clone()
    }

    /// Whether every planned fault of an operation has been met, and had its effect.
    pub fn was_met(&self, operation: &str) -> bool {
        self.shared.met.lock().unwrap().iter().any(|met| met == operation)
    }

    /// Empties the record.
    pub fn forget_calls(&self) {
        self.shared.calls.lock().unwrap().clear();
    }
}

impl Drop for TableProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward(State(shared): State<Arc<ProxyState>>, headers: HeaderMap, body: Bytes) -> Response {
    const CONTENT_TYPE: (&str, &str) = ("content-type", "application/x-amz-json-1.0");
    let target = headers["x-amz-target"].to_str().unwrap().to_owned();
    let operation = target.split('.').next_back().unwrap().to_owned();
    let fault = shared.faults.lock().unwrap().get_mut(&operation).and_then(VecDeque::pop_front);
    let fault = fault.unwrap_or(TableFault::Pass);
    shared.calls.lock().unwrap().push(operation.clone());
    let met = || shared.met.lock().unwrap().push(operation.clone());
    match fault {
        TableFault::Hang => {
            met();
            std::future::pending().await
        }
        TableFault::Error(status, kind) => {
            met();
            let body = json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{kind}"), "message": "as planned" });
            return (StatusCode::from_u16(status).unwrap(), [CONTENT_TYPE], body.to_string()).into_response();
        }
        TableFault::Pass | TableFault::HangAfter | TableFault::ResetAfter => (),
    }
    let answer = {
        let _alone = shared.one_at_a_time.lock().await;
        // Spawned: what a caller that has gone began is done all the same.
        let request = shared
            .client
            .post(&shared.upstream)
            .header("x-amz-target", target)
            .header("content-type", "application/x-amz-json-1.0")
            .header(
                "authorization",
                format!("AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{}/aws4_request", shared.service),
            )
            .body(body);
        tokio::spawn(async move {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.bytes().await.unwrap())
        })
        .await
        .unwrap()
    };
    match fault {
        TableFault::HangAfter => {
            met();
            std::future::pending().await
        }
        TableFault::ResetAfter => {
            met();
            let cut = futures_util::stream::once(async { Err::<Bytes, _>(std::io::Error::other("reset")) });
            ([CONTENT_TYPE], Body::from_stream(cut)).into_response()
        }
        _ => (StatusCode::from_u16(answer.0).unwrap(), [CONTENT_TYPE], answer.1).into_response(),
    }
}

/// Creates a table of conversations, as the template does.
pub async fn create_table(name: &str) {
    let key = json!([{ "AttributeName": "pk", "KeyType": "HASH" }]);
    let attributes = json!([{ "AttributeName": "pk", "AttributeType": "S" }]);
    let asked = json!({
        "TableName": name, "KeySchema": key, "AttributeDefinitions": attributes, "BillingMode": "PAY_PER_REQUEST",
    });
    call("dynamodb", "CreateTable", &asked).await;
}

/// Creates a queue: a FIFO one if its name says so.
pub async fn create_queue(name: &str) -> String {
    let mut attributes = json!({ "VisibilityTimeout": "180" });
    if name.ends_with(".fifo") {
        attributes["FifoQueue"] = json!("true");
        attributes["DeduplicationScope"] = json!("messageGroup");
        attributes["FifoThroughputLimit"] = json!("perMessageGroupId");
    }
    let created = call("sqs", "CreateQueue", &json!({ "QueueName": name, "Attributes": attributes })).await;
    let url = created["QueueUrl"].as_str().unwrap();
    // moto answers with the name it was called by.
    format!(
        "{}/{}",
        moto(),
        url.rsplitn(3, '/').take(2).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("/")
    )
}

/// Endpoints by service, as `AWS_ENDPOINT_URL_<SERVICE>` gives them.
#[derive(Clone, Debug)]
pub struct Endpoints(Vec<(&'static str, String)>);

impl Endpoints {
    /// By the services' ids.
    pub fn new(endpoints: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        Self(endpoints.into_iter().collect())
    }
}

impl LoadServiceConfig for Endpoints {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        if key.env() != "AWS_ENDPOINT_URL" {
            return None;
        }
        self.0.iter().find(|(id, _)| *id == key.service_id()).map(|(_, url)| url.clone())
    }
}

/// Everything that `deliver-message` works with, of one story's own.
pub struct Cloud {
    /// Amazon Connect.
    pub connect: StandIn,
    /// What stands before DynamoDB.
    pub dynamo: TableProxy,
    /// Lambda's poller.
    pub poller: Poller,
    /// The environment.
    pub environment: Vec<(&'static str, String)>,
    /// The inbound queue.
    pub queue_url: String,
    /// Another Connect, where a story needs one.
    pub connect_url: Option<String>,
    dead_letter_url: String,
    time: Duration,
}

impl Cloud {
    /// A cloud with a table and queues of its own.
    pub async fn start() -> Self {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let name = format!("story-{}", COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        tokio::task::spawn_blocking(moto).await.unwrap();
        create_table(&name).await;
        let queue_url = create_queue(&format!("{name}.fifo")).await;
        let dead_letter_url = create_queue(&format!("{name}-{DEAD_LETTERS}.fifo")).await;
        Self {
            connect: StandIn::start().await.unwrap(),
            dynamo: TableProxy::start().await,
            poller: Poller::start_with(moto(), &queue_url, 40.0).await.unwrap(),
            environment: vec![
                ("CONNECT_INSTANCE_ID", INSTANCE.to_owned()),
                ("CONNECT_CONTACT_FLOW_ID", FLOW.to_owned()),
                ("STREAMING_TOPIC_ARN", TOPIC.to_owned()),
                ("CONVERSATIONS_TABLE", name),
                ("DEAD_LETTER_QUEUE_URL", dead_letter_url.clone()),
                ("CHAT_STARTS_PER_SECOND", "1000".to_owned()),
            ],
            queue_url,
            connect_url: None,
            dead_letter_url,
            time: Duration::from_secs(10),
        }
    }

    /// Sets one more variable.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.to_owned()));
        self
    }

    /// Sets how long one invocation may take.
    #[must_use]
    pub fn time(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// The SDKs' configuration.
    pub async fn sdk(&self) -> aws_config::SdkConfig {
        self.sdk_with_queue(self.poller.endpoint()).await
    }

    /// The same, with another endpoint of SQS.
    pub async fn sdk_with_queue(&self, sqs: &str) -> aws_config::SdkConfig {
        let credentials = aws_credential_types::Credentials::from_keys("test", "test", None);
        let region = aws_config::Region::new("us-east-1");
        let config = shared::aws::loader().region(region).credentials_provider(credentials).load().await;
        let ids = ["Connect", "ConnectParticipant", "DynamoDB", "SQS"];
        let urls = self.endpoints(sqs).into_iter().map(|(_, url)| url);
        let endpoints = Endpoints(ids.into_iter().zip(urls).collect());
        config.into_builder().service_config(endpoints).build()
    }

    /// The services' endpoints, as the environment names them; SQS is at `sqs`.
    pub fn endpoints(&self, sqs: &str) -> [(&'static str, String); 4] {
        [
            ("AWS_ENDPOINT_URL_CONNECT", self.connect_url.clone().unwrap_or_else(|| self.connect.url().to_owned())),
            ("AWS_ENDPOINT_URL_CONNECTPARTICIPANT", self.connect.url().to_owned()),
            ("AWS_ENDPOINT_URL_DYNAMODB", self.dynamo.url.clone()),
            ("AWS_ENDPOINT_URL_SQS", sqs.to_owned()),
        ]
    }

    /// What a function reads of the environment.
    pub fn config<T>(&self, read: impl Fn(&Env<'_>) -> shared::Result<T>) -> T {
        let lookup =
            |name: &str| self.environment.iter().rev().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
        read(&Env::new(&lookup)).unwrap()
    }

    /// A new process of `deliver-message`.
    pub async fn function(&self) -> DeliverMessage {
        DeliverMessage::new(self.config(config::DeliverMessage::read), &self.sdk().await)
    }

    /// Puts messages into the inbound queue, each with a suffix to its deduplication id: what has another one is not
    /// dropped by the queue.
    pub async fn send_each(&self, messages: &[(Inbound, String)]) {
        for batch in messages.chunks(10) {
            let entries: Vec<Value> = batch
                .iter()
                .enumerate()
                .map(|(number, (message, suffix))| {
                    json!({ "Id": number.to_string(), "MessageBody": message.to_item().unwrap(),
                            "MessageGroupId": message.queue_group_id(),
                            "MessageDeduplicationId": format!("{}{suffix}", message.deduplication_id()) })
                })
                .collect();
            call("sqs", "SendMessageBatch", &json!({ "QueueUrl": self.queue_url, "Entries": entries })).await;
        }
    }

    /// The same, with one suffix.
    pub async fn send_as(&self, messages: &[Inbound], suffix: &str) {
        let messages: Vec<_> = messages.iter().map(|message| (message.clone(), suffix.to_owned())).collect();
        self.send_each(&messages).await;
    }

    /// Puts messages into the inbound queue.
    pub async fn send(&self, messages: &[Inbound]) {
        self.send_as(messages, "").await;
    }

    /// Puts any item into the inbound queue.
    pub async fn send_item(&self, body: &str, group: &str) {
        let id = shared_id();
        let asked = json!({ "QueueUrl": self.queue_url, "MessageBody": body, "MessageGroupId": group, "MessageDeduplicationId": id });
        call("sqs", "SendMessage", &asked).await;
    }

    /// Hands a function one event, as Lambda would.
    pub async fn invoke(&self, function: &DeliverMessage, event: Value) -> Result<Value, String> {
        invoke_within(self.time, event, async |event| function.handle(event).await).await
    }

    /// Polls until the queue is empty.
    pub async fn drain(&self, function: &DeliverMessage) {
        self.drain_by(async |event| self.invoke(function, event).await).await;
    }

    /// Polls, by any function, until the queue is empty.
    pub async fn drain_by(&self, function: impl AsyncFn(Value) -> Result<Value, String>) {
        drain(&self.poller, function).await;
    }

    /// Polls until this holds. What waits may stay in the queue.
    pub async fn poll_until(&self, function: &DeliverMessage, holds: impl Fn() -> bool) {
        let started = Instant::now();
        while !holds() {
            let received = self.poller.poll_once(async |event| self.invoke(function, event).await).await.unwrap();
            if received == 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert!(started.elapsed() < Duration::from_secs(60), "it does not come to hold");
        }
    }

    /// The dead letters: reason and body.
    pub async fn dead_letters(&self) -> Vec<(String, String)> {
        letters_in(&self.dead_letter_url).await
    }

    /// What a customer said, over all chats, in order.
    pub fn said_by(&self, customer: &str) -> Vec<String> {
        let mut said = Vec::new();
        for contact in self.connect.contacts() {
            let of = contact.attributes.get("customerAddress").map(String::as_str);
            if of == Some(customer) {
                said.extend(contact.messages().into_iter().map(str::to_owned));
            }
        }
        said
    }
}

/// Hands the function of a queue one event, as Lambda would.
pub async fn invoke_within(
    time: Duration,
    event: Value,
    function: impl AsyncFnOnce(LambdaEvent<SqsEvent>) -> Result<SqsBatchResponse, Infallible>,
) -> Result<Value, String> {
    let mut context = Context::default();
    context.request_id = "request-1".to_owned();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    context.deadline = (now + time).as_millis().try_into().unwrap();
    let event = LambdaEvent::new(serde_json::from_value(event).unwrap(), context);
    // Lambda kills what is late.
    match tokio::time::timeout(time, function(event)).await {
        Ok(Ok(answer)) => Ok(serde_json::to_value(&answer).unwrap()),
        Ok(Err(never)) => match never {},
        Err(_) => Err("Task timed out".to_owned()),
    }
}

/// Polls until the queue is empty.
pub async fn drain(poller: &Poller, function: impl AsyncFn(Value) -> Result<Value, String>) {
    let started = Instant::now();
    loop {
        let received = poller.poll_once(&function).await.unwrap();
        if received == 0 {
            if poller.is_empty().await.unwrap() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(started.elapsed() < Duration::from_secs(400), "the queue does not become empty");
    }
}

/// Takes the dead letters out of a queue: reason and body.
pub async fn letters_in(url: &str) -> Vec<(String, String)> {
    let mut letters = Vec::new();
    loop {
        let asked = json!({ "QueueUrl": url, "MaxNumberOfMessages": 10, "VisibilityTimeout": 3600,
                            "MessageAttributeNames": ["All"] });
        let received = call("sqs", "ReceiveMessage", &asked).await;
        let Some(messages) = received["Messages"].as_array().filter(|messages| !messages.is_empty()) else {
            return letters;
        };
        for message in messages {
            let reason = message["MessageAttributes"]["reason"]["StringValue"].as_str().unwrap_or("none");
            letters.push((reason.to_owned(), message["Body"].as_str().unwrap().to_owned()));
            let receipt = &message["ReceiptHandle"];
            call("sqs", "DeleteMessage", &json!({ "QueueUrl": url, "ReceiptHandle": receipt })).await;
        }
    }
}

fn shared_id() -> String {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    format!("item-{}", COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
}

/// A customer's text, as `receive-message` puts it into the queue.
pub fn text_from(customer: &str, id: &str, text: &str) -> Inbound {
    text_at(&json!({}), customer, id, text)
}

/// The same, with these settings of our number.
pub fn text_at(number: &Value, customer: &str, id: &str, text: &str) -> Inbound {
    let account = json!({ "name": "us", "provider": "twilio", "auth_tokens": ["t"], "numbers": { (OURS): number } });
    let settings = Settings::from_json(json!({ "accounts": [account] }).to_string().as_bytes()).unwrap();
    let mut message = Message::new("twilio", Channel::Sms, id, customer, OURS);
    text.clone_into(&mut message.text);
    Inbound::new(&settings.accounts[0], message)
}
