//! What the stories of replies work with: a chat that came in by a text, Connect's stream, the queue that the topic feeds,
//! `send-reply`, and the providers.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use local::{Poller, StreamSubscriber, StreamedItem};
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
    queue_url: String,
    dead_letter_url: String,
    poller: Poller,
    stream: Mutex<StreamSubscriber>,
}

impl Desk {
    /// A desk with its own queues and table, and no chat.
    pub async fn start(line: Line) -> Self {
        let cloud = Cloud::start().await;
        let name = cloud.queue_url.rsplit('/').next().unwrap().trim_end_matches(".fifo").to_owned();
        let queue_url = create_queue(&format!("{name}-replies")).await;
        let dead_letter_url = create_queue(&format!("{name}-replies-dead")).await;
        let providers = Providers::start().await;
        let account = account(line.provider, &providers.base_url(line.provider));
        let stream = Mutex::new(cloud.connect.stream());
        Self {
            providers,
            settings: json!({ "accounts": [account] }),
            line,
            time: Duration::from_secs(10),
            patience: Duration::from_secs(5),
            poller: Poller::start_with(moto(), &queue_url, 40.0).await.unwrap(),
            queue_url,
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

    /// Anything that is put into the queue.
    pub async fn put(&self, body: &str, attributes: &Value) {
        let asked = json!({ "QueueUrl": self.queue_url, "MessageBody": body, "MessageAttributes": attributes });
        call("sqs", "SendMessage", &asked).await;
    }

    /// What `send-reply` is told.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let endpoints = self.cloud.endpoints(self.poller.endpoint());
        let table = self.cloud.environment.iter().filter(|(name, _)| *name == "CONVERSATIONS_TABLE").cloned();
        let own =
            [("BRIDGE_SETTINGS", self.settings.to_string()), ("DEAD_LETTER_QUEUE_URL", self.dead_letter_url.clone())];
        own.into_iter().chain(table).chain(endpoints).collect()
    }

    /// A new process of `send-reply`.
    pub async fn function(&self) -> SendReply {
        let environment = self.environment();
        let lookup = |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
        let config = config::SendReply::read(&config::Env::new(&lookup)).unwrap();
        let sdk = self.sdk().await;
        let sender = Sender::new(&sdk).with_timeout(self.patience);
        SendReply::new(config, &sdk).with_sender(sender)
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

    /// Polls, by any function, until the queue is empty.
    pub async fn drain_by(&self, function: impl AsyncFn(Value) -> Result<Value, String>) {
        drain(&self.poller, function).await;
    }

    /// Receives one batch, if there is one.
    pub async fn poll_by(&self, function: impl AsyncFn(Value) -> Result<Value, String>) -> usize {
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
        letters_in(&self.dead_letter_url).await
    }

    /// The owner moves all dead letters back ("Start message move task"): their number.
    pub async fn move_dead_letters(&self) -> usize {
        let asked = json!({ "QueueUrl": self.dead_letter_url, "MaxNumberOfMessages": 10, "VisibilityTimeout": 3600,
                            "MessageAttributeNames": ["All"] });
        let received = call("sqs", "ReceiveMessage", &asked).await;
        let messages = received["Messages"].as_array().cloned().unwrap_or_default();
        for message in &messages {
            self.put(message["Body"].as_str().unwrap(), &message["MessageAttributes"]).await;
            let asked = json!({ "QueueUrl": self.dead_letter_url, "ReceiptHandle": message["ReceiptHandle"] });
            call("sqs", "DeleteMessage", &asked).await;
        }
        messages.len()
    }

    /// The owner puts dead letters back, with their reasons.
    pub async fn redrive(&self, letters: &[(String, String)]) {
        for (reason, body) in letters {
            self.put(body, &json!({ "reason": { "DataType": "String", "StringValue": reason } })).await;
        }
    }
}
