//! What the stories of replies work with: a chat that came in by a text, Connect's stream, the queue that the topic feeds,
//! `receive-reply`, the outbound queue, `send-reply`, and the providers.

use std::{
    collections::BTreeMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use local::{Poller, StreamSubscriber, StreamedItem};
use receive_reply::ReceiveReply;
use send_reply::SendReply;
use serde_json::{Value, json};
use shared::{
    config,
    inbound::Inbound,
    sender::Sender,
    settings::Settings,
    sms::message::{Message, OptOut},
};

pub use crate::providers::{Line, TWILIO, lines};
use crate::{
    aws::{Cloud, call, create_queue, drain, invoke_within, letters_in, moto},
    providers::{Call, Providers, account},
};

/// Waits are this much shorter than asked for.
const SPEED: u32 = 40;

/// A contact centre that texts: one of a story's own.
pub struct Desk {
    /// Connect, and the way in.
    pub cloud: Cloud,
    /// The providers' send APIs.
    pub providers: Providers,
    /// The line that customers text to.
    pub line: Line,
    /// The settings' account.
    pub settings: Value,
    /// How long one invocation may take.
    pub time: Duration,
    /// How long a provider is waited for.
    pub patience: Duration,
    /// More variables of `send-reply`.
    pub variables: Vec<(&'static str, &'static str)>,
    /// The queue that the topic feeds.
    topic_queue_url: String,
    topic_dead_letter_url: String,
    topic_poller: Poller,
    outbound_url: String,
    dead_letter_url: String,
    poller: Poller,
    stream: Mutex<StreamSubscriber>,
}

impl Desk {
    /// A desk with its own queues and table, and no chat.
    pub async fn start(line: Line) -> Self {
        let cloud = Cloud::start().await;
        let name = cloud.queue_url.rsplit('/').next().unwrap().trim_end_matches(".fifo").to_owned();
        let topic_queue_url = create_queue(&format!("{name}-replies")).await;
        let topic_dead_letter_url = create_queue(&format!("{name}-replies-dead")).await;
        let outbound_url = create_queue(&format!("{name}-outbound.fifo")).await;
        let dead_letter_url = create_queue(&format!("{name}-outbound-dead.fifo")).await;
        let poller = Poller::start_with(moto(), &outbound_url, f64::from(SPEED)).await.unwrap();
        let providers = Providers::start().await;
        let account = account(line.provider, &providers.base_url(line.provider));
        let stream = Mutex::new(cloud.connect.stream());
        Self {
            providers,
            settings: json!({ "accounts": [account] }),
            line,
            time: Duration::from_secs(10),
            patience: Duration::from_secs(5),
            variables: Vec::new(),
            topic_poller: Poller::start_with(poller.endpoint(), &topic_queue_url, f64::from(SPEED)).await.unwrap(),
            poller,
            topic_queue_url,
            topic_dead_letter_url,
            outbound_url,
            dead_letter_url,
            stream,
            cloud,
        }
    }

    /// A text of the customer's, delivered: `InitialContactId` of the chat that it is in.
    pub async fn text(&self, id: &str, text: &str) -> String {
        self.text_with(id, text, None).await
    }

    /// The same, with what the provider says of it.
    pub async fn text_with(&self, id: &str, text: &str, wish: Option<OptOut>) -> String {
        let settings = Settings::from_json(self.settings.to_string().as_bytes()).unwrap();
        let mut message = Message::new("test", self.line.channel, id, self.line.customer, self.line.ours);
        text.clone_into(&mut message.text);
        message.opt_out = wish;
        message.reply_from = self.line.ours_id.map(str::to_owned);
        self.cloud.send(&[Inbound::new(&settings.accounts[0], message)]).await;
        self.cloud.drain(&self.cloud.function().await).await;
        self.cloud.connect.contacts().last().unwrap().initial_id.clone()
    }

    /// A desk, and a chat that has begun with a text. What was streamed so far has been handed over.
    pub async fn with_chat(line: Line) -> (Self, String) {
        let desk = Self::start(line).await;
        let chat = desk.text("SM1", "Hello").await;
        desk.hand_over().await;
        desk.drain().await;
        assert_eq!(desk.sent(), []);
        (desk, chat)
    }

    /// What Connect has streamed since this was last asked for.
    pub fn streamed(&self) -> Vec<StreamedItem> {
        let mut stream = self.stream.lock().unwrap();
        std::iter::from_fn(|| stream.try_next()).collect()
    }

    /// The topic hands everything to the queue that was streamed since.
    pub async fn hand_over(&self) {
        for item in self.streamed() {
            self.notify(&item).await;
        }
    }

    /// The topic hands an item to the queue.
    pub async fn notify(&self, item: &StreamedItem) {
        self.put(&item.notification().to_string(), &json!({})).await;
    }

    /// The same, with raw delivery.
    pub async fn notify_raw(&self, item: &StreamedItem) {
        let attributes: BTreeMap<_, _> = item
            .message_attributes
            .iter()
            .map(|(name, attribute)| (*name, json!({ "DataType": "String", "StringValue": attribute.value })))
            .collect();
        self.put(&item.message, &json!(attributes)).await;
    }

    /// Anything that is put into the queue that the topic feeds.
    pub async fn put(&self, body: &str, attributes: &Value) {
        let asked = json!({ "QueueUrl": self.topic_queue_url, "MessageBody": body, "MessageAttributes": attributes });
        call("sqs", "SendMessage", &asked).await;
    }

    /// Anything that is put into the outbound queue.
    pub async fn put_outbound(&self, body: &str, attributes: &Value) {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let asked = json!({ "QueueUrl": self.outbound_url, "MessageBody": body, "MessageAttributes": attributes,
                            "MessageGroupId": "put", "MessageDeduplicationId": format!("put-{number}") });
        call("sqs", "SendMessage", &asked).await;
    }

    /// What `receive-reply` is told.
    pub fn receive_environment(&self) -> Vec<(&'static str, String)> {
        let own = [
            ("OUTBOUND_QUEUE_URL", self.outbound_url.clone()),
            ("DEAD_LETTER_QUEUE_URL", self.topic_dead_letter_url.clone()),
        ];
        own.into_iter().chain(self.cloud.endpoints(self.topic_poller.endpoint())).collect()
    }

    /// A new process of `receive-reply`, with this endpoint of SQS instead of the queue's own.
    pub async fn receiver(&self, sqs: Option<&str>) -> ReceiveReply {
        let environment = self.receive_environment();
        let lookup = |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
        let config = config::ReceiveReply::read(&config::Env::new(&lookup)).unwrap();
        let sqs = sqs.unwrap_or_else(|| self.topic_poller.endpoint());
        ReceiveReply::new(config, &self.cloud.sdk_with_queue(sqs).await)
    }

    /// What the topic has brought goes through `receive-reply`, until there is none left.
    pub async fn receive(&self) {
        let function = self.receiver(None).await;
        self.receive_by(async |event| {
            invoke_within(self.time, event, async |event| function.handle(event).await).await
        })
        .await;
    }

    /// The endpoint of the queue that the topic feeds.
    pub fn receive_endpoint(&self) -> &str {
        self.topic_poller.endpoint()
    }

    /// One batch of what the topic has brought goes through any function.
    pub async fn receive_once_by(&self, function: impl AsyncFn(Value) -> Result<Value, String>) {
        assert!(self.topic_poller.poll_once(&function).await.unwrap() > 0);
    }

    /// The same, by any function, until there is none left.
    pub async fn receive_by(&self, function: impl AsyncFn(Value) -> Result<Value, String>) {
        drain(&self.topic_poller, function).await;
    }

    /// What `send-reply` is told.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let endpoints = self.cloud.endpoints(self.poller.endpoint());
        let table = self.cloud.environment.iter().filter(|(name, _)| *name == "CONVERSATIONS_TABLE").cloned();
        let own =
            [("BRIDGE_SETTINGS", self.settings.to_string()), ("DEAD_LETTER_QUEUE_URL", self.dead_letter_url.clone())];
        let more = self.variables.iter().map(|(name, value)| (*name, (*value).to_owned()));
        own.into_iter().chain(table).chain(endpoints).chain(more).collect()
    }

    /// A new process of `send-reply`.
    pub async fn function(&self) -> SendReply {
        let environment = self.environment();
        let lookup = |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
        let config = config::SendReply::read(&config::Env::new(&lookup)).unwrap();
        let sdk = self.sdk().await;
        let sender = Sender::new(&sdk).with_timeout(self.patience);
        let started = Instant::now();
        // As fast as the poller's.
        SendReply::new(config, &sdk).with_sender(sender).with_clock(move || started.elapsed() * SPEED)
    }

    /// The SDKs' configuration of `send-reply`.
    pub async fn sdk(&self) -> aws_config::SdkConfig {
        self.cloud.sdk_with_queue(self.poller.endpoint()).await
    }

    /// Hands a function one event, as Lambda would.
    pub async fn invoke(&self, function: &SendReply, event: Value) -> Result<Value, String> {
        invoke_within(self.time, event, async |event| function.handle(event).await).await
    }

    /// Polls by a new process until the queue is empty.
    pub async fn drain(&self) {
        let function = self.function().await;
        self.drain_by(async |event| self.invoke(&function, event).await).await;
    }

    /// Polls, by any function, until both queues are empty.
    pub async fn drain_by(&self, function: impl AsyncFn(Value) -> Result<Value, String>) {
        self.receive().await;
        drain(&self.poller, function).await;
    }

    /// Receives one batch of the outbound queue, if there is one.
    pub async fn poll_by(&self, function: impl AsyncFn(Value) -> Result<Value, String>) -> usize {
        self.receive().await;
        self.poller.poll_once(&function).await.unwrap()
    }

    /// What the providers were asked to send, in order.
    pub fn sent(&self) -> Vec<Call> {
        self.providers.all_calls()
    }

    /// What the customer's participant has said in the chat, but for the customer's own first text.
    pub fn told(&self, chat: &str) -> Vec<String> {
        let contact = self.cloud.connect.contact(chat).unwrap();
        let said = contact.transcript.iter().filter(|item| {
            item.participant.as_ref().is_some_and(|participant| participant.role == local::Role::Customer)
        });
        said.filter_map(|item| item.content.clone()).filter(|content| content.starts_with('[')).collect()
    }

    /// The dead letters: reason and body.
    pub async fn dead_letters(&self) -> Vec<(String, String)> {
        let mut letters = letters_in(&self.topic_dead_letter_url).await;
        letters.extend(letters_in(&self.dead_letter_url).await);
        letters
    }

    /// The owner moves all dead letters back ("Start message move task"): their number.
    pub async fn move_dead_letters(&self) -> usize {
        let asked = json!({ "QueueUrl": self.dead_letter_url, "MaxNumberOfMessages": 10, "VisibilityTimeout": 3600,
                            "MessageAttributeNames": ["All"] });
        let received = call("sqs", "ReceiveMessage", &asked).await;
        let messages = received["Messages"].as_array().cloned().unwrap_or_default();
        for message in &messages {
            self.put_outbound(message["Body"].as_str().unwrap(), &message["MessageAttributes"]).await;
            let asked = json!({ "QueueUrl": self.dead_letter_url, "ReceiptHandle": message["ReceiptHandle"] });
            call("sqs", "DeleteMessage", &asked).await;
        }
        messages.len()
    }

    /// The owner puts dead letters back, with their reasons.
    pub async fn redrive(&self, letters: &[(String, String)]) {
        for (reason, body) in letters {
            self.put_outbound(body, &json!({ "reason": { "DataType": "String", "StringValue": reason } })).await;
        }
    }
}
