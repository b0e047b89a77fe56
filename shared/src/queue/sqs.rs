//! Amazon SQS: the inbound queue, and what both queues' functions do with items that are retried or dead-lettered.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use aws_config::SdkConfig;
use aws_lambda_events::sqs::SqsMessage;
use aws_sdk_sqs::{
    Client,
    primitives::Blob,
    types::{ChangeMessageVisibilityBatchRequestEntry, MessageAttributeValue},
};

use crate::{
    aws::failure::Failure,
    deadline::Deadline,
    error::{Error, Kind, Result},
    inbound::Inbound,
    inbound_status::InboundStatus,
    queue::fifo::{BATCH_ITEMS, Entry, FifoQueue, failed, not_stored},
    retry,
};

/// The queue of messages on their way to Connect.
pub struct InboundQueue(FifoQueue);

impl InboundQueue {
    /// A client; no call is made.
    pub fn new(config: &SdkConfig, url: impl Into<String>) -> Self {
        Self(FifoQueue::new(config, url))
    }

    /// Stores the messages, in order ([`FifoQueue::send`]), and the statuses. What was stored and is sent again within five minutes, here or by
    /// the provider, is dropped by the queue. An error that may pass comes before one that will not: the provider sends all
    /// of them again then.
    pub async fn send(&self, messages: &[Inbound], statuses: &[InboundStatus], deadline: Deadline) -> Result<()> {
        let entries = messages.iter().map(entry).chain(statuses.iter().map(status_entry));
        let entries = entries.collect::<Result<Vec<_>>>()?;
        let failed = self.0.send(&entries, deadline).await.into_iter().filter_map(Result::err);
        failed.max_by_key(|error| error.kind() == Kind::NotStored).map_or(Ok(()), Err)
    }
}

fn entry(message: &Inbound) -> Result<Entry> {
    Ok(Entry {
        group_id: message.queue_group_id(),
        deduplication_id: message.deduplication_id(),
        body: message.to_item()?,
        attributes: Vec::new(),
    })
}

fn status_entry(status: &InboundStatus) -> Result<Entry> {
    Ok(Entry {
        group_id: status.group_id(),
        deduplication_id: status.deduplication_id(),
        body: status.to_item()?,
        attributes: Vec::new(),
    })
}

/// The queues that `deliver-message` and `send-reply` work for: what failed is delayed, what can't be delivered is put
/// aside, and what waited for its parts is sent.
pub struct Queues {
    client: Client,
    dead_letter_url: Option<String>,
    /// URLs by queue ARN.
    urls: Mutex<HashMap<String, String>>,
}

/// An item as the queue handed it over.
#[derive(Clone, Debug)]
pub struct Handle<'a> {
    /// The queue (`eventSourceARN`).
    pub queue_arn: &'a str,
    /// The receipt handle.
    pub receipt: &'a str,
}

impl Queues {
    /// A client; no call is made.
    pub fn new(config: &SdkConfig, dead_letter_url: Option<String>) -> Self {
        Self { client: Client::new(config), dead_letter_url, urls: Mutex::default() }
    }

    /// Makes items of one queue invisible for this long, from now (`ChangeMessageVisibility`; at most 12 hours). Of one
    /// group all must wait alike: an item that is in flight holds up those before it, too.
    pub async fn delay(&self, items: &[Handle<'_>], wait: Duration, deadline: Deadline) -> Result<()> {
        let seconds = i32::try_from(wait.as_secs_f64().ceil() as i64).unwrap_or(i32::MAX).min(12 * 60 * 60);
        for batch in items.chunks(BATCH_ITEMS) {
            let Some(Handle { queue_arn, .. }) = batch.first() else { continue };
            let url = self.url(queue_arn, deadline).await?;
            let entries = batch
                .iter()
                .enumerate()
                .map(|(number, item)| {
                    ChangeMessageVisibilityBatchRequestEntry::builder()
                        .id(number.to_string())
                        .receipt_handle(item.receipt)
                        .visibility_timeout(seconds)
                        .build()
                })
                .collect::<Result<Vec<_>, _>>()
                .map_err(Error::internal)?;
            let request = self.client.change_message_visibility_batch().queue_url(url).set_entries(Some(entries));
            retry::until(deadline, async || {
                // An entry that fails has come back to the queue by itself.
                Box::pin(request.clone().send())
                    .await
                    .map(drop)
                    .map_err(|error| not_stored().caused_by(Failure::of("ChangeMessageVisibilityBatch", &error)))
            })
            .await?;
        }
        Ok(())
    }

    /// Puts an item aside, with its reason as the message attribute `reason`. Its other attributes are as they came (with
    /// raw delivery they are part of what a topic says), and so is its body, unless `body` replaces it: it can be put back
    /// ("Start message move task", with the queue that it came from as destination).
    pub async fn dead_letter(
        &self,
        item: &SqsMessage,
        body: Option<&str>,
        reason: &str,
        deadline: Deadline,
    ) -> Result<()> {
        let url = self.dead_letter_url.as_deref().ok_or_else(|| Error::internal("DEAD_LETTER_QUEUE_URL is not set"))?;
        // The item's id and not the message's: an item that was put back and fails again is a dead letter again.
        let id = item.message_id.as_deref().unwrap_or_default();
        let body = body.or(item.body.as_deref()).unwrap_or_default();
        let mut request = self.client.send_message().queue_url(url).message_body(body);
        for (name, value) in attributes(item).into_iter().filter(|(name, _)| name != "reason") {
            request = request.message_attributes(name, value);
        }
        let attribute = MessageAttributeValue::builder().data_type("String").string_value(reason);
        let attribute = attribute.build().map_err(Error::internal)?;
        request = request.message_attributes("reason", attribute);
        if url.ends_with(".fifo") {
            // A repeat within five minutes, by a delivery that was cut short, is dropped.
            let group = item.attributes.get("MessageGroupId").map_or(id, String::as_str);
            request = request.message_group_id(group).message_deduplication_id(id);
        }
        retry::until(deadline, async || {
            Box::pin(request.clone().send())
                .await
                .map(drop)
                .map_err(|error| not_stored().caused_by(Failure::of("SendMessage (dead letter)", &error)))
        })
        .await
    }

    /// Puts a message into the customer's group of this queue.
    pub async fn send(&self, queue_arn: &str, message: &Inbound, deadline: Deadline) -> Result<()> {
        let (group, deduplication) = (message.queue_group_id(), message.deduplication_id());
        self.send_item(queue_arn, &message.to_item()?, &group, &deduplication, deadline).await
    }

    /// Puts an item into a group of this queue.
    pub async fn send_item(
        &self,
        queue_arn: &str,
        body: &str,
        group_id: &str,
        deduplication_id: &str,
        deadline: Deadline,
    ) -> Result<()> {
        let url = self.url(queue_arn, deadline).await?;
        let request = self
            .client
            .send_message()
            .queue_url(url)
            .message_body(body)
            .message_group_id(group_id)
            .message_deduplication_id(deduplication_id);
        retry::until(deadline, async || {
            Box::pin(request.clone().send()).await.map(drop).map_err(|error| failed("SendMessage", &error))
        })
        .await
    }

    /// The URL of the queue that an ARN names: asked for once.
    async fn url(&self, arn: &str, deadline: Deadline) -> Result<String> {
        let known = self.urls.lock().unwrap_or_else(PoisonError::into_inner).get(arn).cloned();
        if let Some(url) = known {
            return Ok(url);
        }
        let mut parts = arn.rsplit(':');
        let (Some(name), Some(account)) = (parts.next(), parts.next()) else {
            return Err(Error::internal("eventSourceARN is no queue's"));
        };
        let request = self.client.get_queue_url().queue_name(name).queue_owner_aws_account_id(account);
        let url = retry::until(deadline, async || {
            let output = Box::pin(request.clone().send())
                .await
                .map_err(|error| not_stored().caused_by(Failure::of("GetQueueUrl", &error)))?;
            output.queue_url.ok_or_else(|| Error::internal("GetQueueUrl answered without a URL"))
        })
        .await?;
        self.urls.lock().unwrap_or_else(PoisonError::into_inner).insert(arn.to_owned(), url.clone());
        Ok(url)
    }
}

/// An item's message attributes, to be sent on as they came. With raw delivery they are part of what a topic says.
pub fn attributes(item: &SqsMessage) -> Vec<(String, MessageAttributeValue)> {
    let attributes = item.message_attributes.iter().filter_map(|(name, value)| {
        let attribute = MessageAttributeValue::builder()
            .data_type(value.data_type.as_deref()?)
            .set_string_value(value.string_value.clone().filter(|text| !text.is_empty()))
            .set_binary_value(value.binary_value.as_ref().map(|bytes| Blob::new(bytes.0.clone())));
        attribute.build().ok().map(|attribute| (name.clone(), attribute))
    });
    attributes.collect()
}
