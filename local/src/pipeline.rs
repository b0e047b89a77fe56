//! What lies between the functions, on a laptop: queues and table at an AWS stand-in (moto), Connect's SNS topic, and
//! the event source mappings of `deliver-message`, `receive-reply` and `send-reply`.

use std::time::Duration;

use futures_util::future::join4;
use serde_json::{Value, json};

use crate::{
    StandIn,
    poller::{Poller, invoke_over_http},
};

/// How many batches of a queue are worked on at once.
const WORKERS: usize = 2;

/// How long a batch waits whose function failed as a whole. In Lambda it waits for the visibility timeout.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// As in `[workspace.metadata.lambda]` of Cargo.toml, which tells the functions.
const TABLE: &str = "conversations";
const ACCOUNT: &str = "123456789012";
const INBOUND: &str = "inbound.fifo";
const REPLIES: &str = "replies";
const OUTBOUND: &str = "outbound.fifo";
const DEAD_LETTERS: [&str; 3] = ["inbound-dead-letters.fifo", "replies-dead-letters", "outbound-dead-letters.fifo"];

/// Queues, table, topic and pollers.
#[derive(Debug)]
pub struct Pipeline {
    inbound: Poller,
    outbound: Poller,
    replies: Poller,
    functions: String,
    replies_url: String,
    aws: Aws,
}

impl Pipeline {
    /// Makes queues and table by the AWS API at `aws`; the functions are behind `cargo lambda watch` at `functions`.
    pub async fn start(aws: &str, functions: &str) -> Result<Self, String> {
        let aws = aws.trim_end_matches('/');
        let moto = Aws { client: reqwest::Client::new(), url: aws.to_owned() };
        let key = json!([{ "AttributeName": "pk", "KeyType": "HASH" }]);
        let attributes = json!([{ "AttributeName": "pk", "AttributeType": "S" }]);
        let table = json!({
            "TableName": TABLE, "KeySchema": key, "AttributeDefinitions": attributes, "BillingMode": "PAY_PER_REQUEST",
        });
        moto.call("dynamodb", "DynamoDB_20120810.CreateTable", &table).await?;
        for name in [INBOUND, REPLIES, OUTBOUND].into_iter().chain(DEAD_LETTERS) {
            let mut attributes = json!({ "VisibilityTimeout": "180" });
            if let Some(attributes) = attributes.as_object_mut().filter(|_| name.ends_with(".fifo")) {
                attributes.insert("FifoQueue".to_owned(), json!("true"));
                attributes.insert("DeduplicationScope".to_owned(), json!("messageGroup"));
                attributes.insert("FifoThroughputLimit".to_owned(), json!("perMessageGroupId"));
            }
            let queue = json!({ "QueueName": name, "Attributes": attributes });
            moto.call("sqs", "AmazonSQS.CreateQueue", &queue).await?;
        }
        let poller = async |aws: &str, name: &str| {
            Poller::start(aws, &format!("{aws}/{ACCOUNT}/{name}")).await.map_err(|error| error.to_string())
        };
        let inbound = poller(aws, INBOUND).await?;
        // Each over the other's endpoint, which passes on what it does not keep: so the functions have one endpoint that knows
        // of all queues, and moto is asked for one thing at a time.
        let outbound = poller(inbound.endpoint(), OUTBOUND).await?;
        let replies = poller(outbound.endpoint(), REPLIES).await?;
        let functions = functions.trim_end_matches('/').to_owned();
        let replies_url = format!("{}/{ACCOUNT}/{REPLIES}", inbound.endpoint());
        let aws = Aws { url: inbound.endpoint().to_owned(), ..moto };
        Ok(Self { inbound, outbound, replies, functions, replies_url, aws })
    }

    /// The functions' endpoint of SQS and DynamoDB. It must be this and not moto itself: this endpoint sees the visibility
    /// that a function asks for, and serialises writes, since moto checks a condition and writes in two steps.
    pub fn endpoint(&self) -> &str {
        self.replies.endpoint()
    }

    /// Publishes what the stand-in streams, and hands the queues' batches to the functions, until it is dropped.
    pub async fn run(&self, stand_in: &StandIn) {
        for poller in [&self.inbound, &self.outbound, &self.replies] {
            poller.observe(stand_in.observer());
        }
        let poll = async |poller: &Poller, function: &'static str| {
            let client = reqwest::Client::new();
            let invoke = async |event: Value| {
                let answer = invoke_over_http(&client, &self.functions, function, event).await;
                if let Err(error) = &answer {
                    eprintln!("local: {function} failed: {}", error.lines().next().unwrap_or_default());
                    tokio::time::sleep(AFTER_FAILURE).await;
                }
                answer
            };
            poller.run(WORKERS, invoke, |error| eprintln!("local: the queue of {function}: {error}")).await;
        };
        let topic = self.publish(stand_in);
        let (inbound, outbound) = (poll(&self.inbound, "deliver-message"), poll(&self.outbound, "send-reply"));
        join4(inbound, poll(&self.replies, "receive-reply"), outbound, topic).await;
    }

    /// Connect's topic, and its subscription: a standard queue without raw delivery.
    async fn publish(&self, stand_in: &StandIn) {
        let mut items = stand_in.stream();
        while let Some(item) = items.next().await {
            stand_in.note_reply(&item);
            let message = json!({ "QueueUrl": self.replies_url, "MessageBody": item.notification().to_string() });
            // SNS retries for 23 days.
            while let Err(error) = self.aws.call("sqs", "AmazonSQS.SendMessage", &message).await {
                eprintln!("local: the topic: {error}");
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
    }
}

/// The AWS API.
#[derive(Clone, Debug)]
struct Aws {
    client: reqwest::Client,
    url: String,
}

impl Aws {
    async fn call(&self, service: &str, target: &str, body: &Value) -> Result<(), String> {
        // moto reads the service from the credential's scope, and checks no signature.
        let authorization = format!("AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/{service}/aws4_request");
        let answer = self
            .client
            .post(&self.url)
            .header("x-amz-target", target)
            .header("content-type", "application/x-amz-json-1.0")
            .header("authorization", authorization)
            .body(body.to_string())
            .send()
            .await
            .map_err(|error| format!("{target}: {error}"))?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(format!("{target}: {status}")),
        }
    }
}
