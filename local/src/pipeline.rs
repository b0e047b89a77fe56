//! The queue between `receive-message` and `deliver-message`, on a laptop: made at an AWS stand-in (moto), and polled as
//! Lambda's event source mapping would.

use serde_json::{Value, json};

use crate::poller::{Poller, invoke_over_http};

/// The function that the queue feeds.
const FUNCTION: &str = "deliver-message";

/// How many batches are worked on at once.
const WORKERS: usize = 2;

/// The table of conversations.
const TABLE: &str = "conversations";

/// The inbound queue, its dead letters, and the table.
#[derive(Debug)]
pub struct Pipeline {
    poller: Poller,
    functions: String,
    queue_url: String,
    dead_letter_url: String,
}

impl Pipeline {
    /// Makes queues and table by the AWS API at `aws`; the functions are behind `cargo lambda watch` at `functions`.
    pub async fn start(aws: &str, functions: &str) -> Result<Self, String> {
        let aws = aws.trim_end_matches('/');
        let client = reqwest::Client::new();
        let key = json!([{ "AttributeName": "pk", "KeyType": "HASH" }]);
        let attributes = json!([{ "AttributeName": "pk", "AttributeType": "S" }]);
        let table = json!({
            "TableName": TABLE, "KeySchema": key, "AttributeDefinitions": attributes, "BillingMode": "PAY_PER_REQUEST",
        });
        call(&client, aws, "dynamodb", "DynamoDB_20120810.CreateTable", &table).await?;
        let mut urls = Vec::new();
        for name in ["inbound.fifo", "inbound-dead-letters.fifo"] {
            let attributes = json!({ "FifoQueue": "true", "VisibilityTimeout": "180" });
            let queue = json!({ "QueueName": name, "Attributes": attributes });
            call(&client, aws, "sqs", "AmazonSQS.CreateQueue", &queue).await?;
            urls.push(format!("{aws}/123456789012/{name}"));
        }
        let [queue_url, dead_letter_url] = <[String; 2]>::try_from(urls).unwrap_or_default();
        let poller = Poller::start(aws, &queue_url).await.map_err(|error| error.to_string())?;
        Ok(Self { poller, functions: functions.trim_end_matches('/').to_owned(), queue_url, dead_letter_url })
    }

    /// What the functions must be told, as `NAME=value,…`. SQS is reached through the poller, which must see what
    /// visibility a function asks for.
    pub fn environment(&self) -> String {
        format!(
            "INBOUND_QUEUE_URL={},DEAD_LETTER_QUEUE_URL={},CONVERSATIONS_TABLE={TABLE},AWS_ENDPOINT_URL_SQS={}",
            self.queue_url,
            self.dead_letter_url,
            self.poller.endpoint()
        )
    }

    /// Hands the queue's batches to the function, until it is dropped.
    pub async fn run(&self) {
        let client = reqwest::Client::new();
        let deliver = async |event: Value| invoke_over_http(&client, &self.functions, FUNCTION, event).await;
        self.poller.run(WORKERS, deliver, |error| eprintln!("local: the inbound queue: {error}")).await;
    }
}

async fn call(client: &reqwest::Client, aws: &str, service: &str, target: &str, body: &Value) -> Result<(), String> {
    // moto reads the service from the credential's scope, and checks no signature.
    let authorization = format!("AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/{service}/aws4_request");
    let answer = client
        .post(aws)
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
