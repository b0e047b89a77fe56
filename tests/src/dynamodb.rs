//! DynamoDB, as moto serves it: the one thing of AWS in these stories that somebody else wrote.

use std::{process::Stdio, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    types::{
        AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
        TimeToLiveSpecification,
    },
};
use tokio::process::{Child, Command};

use crate::sdk_config_for;

/// The table of `CONVERSATIONS_TABLE`.
pub const TABLE: &str = "conversations";

/// A running DynamoDB with the table. Dropping it stops it.
pub struct DynamoDb {
    url: String,
    client: Client,
    _process: Child,
}

impl DynamoDb {
    /// Starts one, and makes the table as the deployment does.
    pub async fn start() -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/../.venv/bin/moto_server");
        let process = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{program}: {error}; run `make .venv/bin/pytest` first, as `make test` does")
            });
        for _ in 0..300 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let url = format!("http://127.0.0.1:{port}");
        let client = Client::new(&sdk_config_for(&[("DynamoDB", &url)]).await);
        let key = KeySchemaElement::builder().attribute_name("pk").key_type(KeyType::Hash).build().unwrap();
        let text = AttributeDefinition::builder().attribute_name("pk").attribute_type(ScalarAttributeType::S);
        let table = client
            .create_table()
            .table_name(TABLE)
            .key_schema(key)
            .attribute_definitions(text.build().unwrap())
            .billing_mode(BillingMode::PayPerRequest);
        Box::pin(table.send()).await.unwrap();
        let expiry = TimeToLiveSpecification::builder().enabled(true).attribute_name("expires_at").build().unwrap();
        let expiry = client.update_time_to_live().table_name(TABLE).time_to_live_specification(expiry);
        Box::pin(expiry.send()).await.unwrap();
        Self { url, client, _process: process }
    }

    /// Its endpoint.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Everything in the table.
    pub async fn items(&self) -> Vec<std::collections::HashMap<String, AttributeValue>> {
        Box::pin(self.client.scan().table_name(TABLE).send()).await.unwrap().items.unwrap_or_default()
    }
}
