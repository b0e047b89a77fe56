//! A table of its own in DynamoDB, as moto serves it.

use aws_sdk_dynamodb::{
    Client,
    types::{
        AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
        TimeToLiveSpecification,
    },
};

use crate::{aws::moto, sdk_config_for};

/// A table as the deployment makes it.
pub struct DynamoDb {
    client: Client,
    table: String,
}

impl DynamoDb {
    /// Makes one.
    pub async fn start() -> Self {
        let table = format!("conversations-{}", uuid::Uuid::new_v4());
        let client = Client::new(&sdk_config_for(&[("DynamoDB", moto())]).await);
        let key = KeySchemaElement::builder().attribute_name("pk").key_type(KeyType::Hash).build().unwrap();
        let text = AttributeDefinition::builder().attribute_name("pk").attribute_type(ScalarAttributeType::S);
        let create = client
            .create_table()
            .table_name(&table)
            .key_schema(key)
            .attribute_definitions(text.build().unwrap())
            .billing_mode(BillingMode::PayPerRequest);
        Box::pin(create.send()).await.unwrap();
        let expiry = TimeToLiveSpecification::builder().enabled(true).attribute_name("expires_at").build().unwrap();
        let expiry = client.update_time_to_live().table_name(&table).time_to_live_specification(expiry);
        Box::pin(expiry.send()).await.unwrap();
        Self { client, table }
    }

    /// DynamoDB's endpoint.
    pub fn url(&self) -> &str {
        moto()
    }

    /// The table's name.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// Everything in the table.
    pub async fn items(&self) -> Vec<std::collections::HashMap<String, AttributeValue>> {
        Box::pin(self.client.scan().table_name(&self.table).send()).await.unwrap().items.unwrap_or_default()
    }
}
