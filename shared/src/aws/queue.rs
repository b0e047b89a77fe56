//! The inbound queue: Amazon SQS, FIFO.

use aws_config::SdkConfig;
use aws_sdk_sqs::{Client, types::SendMessageBatchRequestEntry};

use super::failure::Failure;
use crate::{
    deadline::Deadline,
    error::{Error, Kind, Result},
    inbound::Inbound,
    retry,
};

/// A batch has at most this many items ("Amazon SQS message quotas").
const BATCH_ITEMS: usize = 10;

/// A batch and each of its items have at most 1 MiB ("Amazon SQS message quotas"); some is left for ids.
const BATCH_BYTES: usize = 1024 * 1024 - 16 * 1024;

/// The queue of messages on their way to Connect.
pub struct InboundQueue {
    client: Client,
    url: String,
}

impl InboundQueue {
    /// A client; no call is made.
    pub fn new(config: &SdkConfig, url: impl Into<String>) -> Self {
        Self { client: Client::new(config), url: url.into() }
    }

    /// Stores the messages, in order, ten to a call. What was stored and is sent again within five minutes, here or by
    /// the provider, is dropped by the queue.
    pub async fn send(&self, messages: &[Inbound], deadline: Deadline) -> Result<()> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        for message in messages {
            let item = message.to_item()?;
            if item.len() > BATCH_BYTES {
                return Err(Error::new(Kind::Validation, "The message is too large to be stored"));
            }
            if batch.len() == BATCH_ITEMS || bytes + item.len() > BATCH_BYTES {
                self.send_batch(std::mem::take(&mut batch), deadline).await?;
                bytes = 0;
            }
            bytes += item.len();
            batch.push(
                SendMessageBatchRequestEntry::builder()
                    .id(batch.len().to_string())
                    .message_group_id(message.group_id())
                    .message_deduplication_id(message.deduplication_id())
                    .message_body(item)
                    .build()
                    .map_err(Error::internal)?,
            );
        }
        if batch.is_empty() { Ok(()) } else { self.send_batch(batch, deadline).await }
    }

    async fn send_batch(&self, batch: Vec<SendMessageBatchRequestEntry>, deadline: Deadline) -> Result<()> {
        let request = self.client.send_message_batch().queue_url(&self.url);
        retry::until(deadline, async || {
            let request = request.clone().set_entries(Some(batch.clone()));
            let output = Box::pin(request.send())
                .await
                .map_err(|error| not_stored().caused_by(Failure::of("SendMessageBatch", &error)))?;
            // The whole batch goes again: what was stored is dropped as a duplicate, and order is kept.
            match output.failed.first() {
                None => Ok(()),
                Some(failed) => Err(not_stored().caused_by(format!("SendMessageBatch: {}", failed.code))),
            }
        })
        .await
        .map_err(|error| match error.kind() {
            Kind::NotStored => error,
            _ => not_stored().caused_by(error),
        })
    }
}

fn not_stored() -> Error {
    Error::new(Kind::NotStored, "The message could not be stored; send it again")
}
