//! A batch of the queue that Connect's topic feeds: what is for the customer goes into the outbound FIFO queue, as it came.
//!
//! Neither the topic nor this queue keeps an order, so a conversation's items are sorted by the time at which they were said,
//! as far as they arrive together. From the FIFO queue on their order holds, and nothing has to be remembered for it.

use std::{
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use lambda_runtime::LambdaEvent;
use shared::{
    Error, Kind, Result, config,
    deadline::Deadline,
    queue::{
        fifo::{Entry, FifoQueue},
        sqs::{Handle, Queues, attributes},
    },
    reply::streamed::Streamed,
    telemetry::Report,
};

const SERVICE: &str = "receive-reply";

/// The metric that counts failed items, by code.
const FAILED: &str = "ReplyFailed";

/// When items come back that could not be stored.
const LATER: Duration = Duration::from_secs(5);

/// The function.
pub struct ReceiveReply {
    outbound: FifoQueue,
    queues: Queues,
}

impl ReceiveReply {
    /// Makes the clients; nothing is called yet.
    pub fn new(config: config::ReceiveReply, sdk: &aws_config::SdkConfig) -> Self {
        Self {
            outbound: FifoQueue::new(sdk, config.outbound_queue_url),
            queues: Queues::new(sdk, config.dead_letter_queue_url),
        }
    }

    /// Works through one batch. It never fails: what could not be done is in the answer, item by item.
    pub async fn handle(&self, event: LambdaEvent<SqsEvent>) -> Result<SqsBatchResponse, Infallible> {
        let deadline = Deadline::of_invocation(event.context.deadline);
        let request_id = &event.context.request_id;
        let mut forwarded: Vec<(Streamed, &SqsMessage)> = Vec::new();
        let mut dead: Vec<(&SqsMessage, Error)> = Vec::new();
        let mut report = Report::new(SERVICE);
        for item in &event.payload.records {
            match read(item) {
                Ok(streamed) if streamed.is_forwarded() => forwarded.push((streamed, item)),
                Ok(_) => report.count("ReplyIgnored", 1),
                Err(error) => dead.push((item, error)),
            }
        }
        forwarded.sort_by_key(|(streamed, _)| streamed.time);
        let (mut later, refused) = self.forward(&forwarded, deadline, &mut report).await;
        dead.extend(refused);
        let mut first_error = None;
        for (item, error) in dead {
            match self.dead_letter(item, &error, deadline).await {
                Ok(()) => report.count("DeadLettered", 1),
                Err(failed) => {
                    tracing::error!(request_id, error = ?failed, "not dead-lettered: the item goes back to the queue");
                    later.push(item);
                }
            }
            first_error.get_or_insert(error);
        }
        let outcome = match (later.is_empty(), &first_error) {
            (false, _) => "later",
            (true, Some(_)) => "dead letter",
            (true, None) => "done",
        };
        if !later.is_empty() {
            first_error.get_or_insert_with(|| Error::new(Kind::NotStored, "Items could not be stored"));
            self.delay(&later, request_id, deadline).await;
        }
        report.finish_item(request_id, outcome, receipts(&event.payload.records), first_error.as_ref(), FAILED);
        let mut answer = SqsBatchResponse::default();
        later.iter().filter_map(|item| item.message_id.clone()).for_each(|id| answer.add_failure(id));
        Ok(answer)
    }

    /// Puts the items into the outbound queue. Returns those that must come again, and those that it refuses for good.
    async fn forward<'a>(
        &self,
        items: &[(Streamed, &'a SqsMessage)],
        deadline: Deadline,
        report: &mut Report,
    ) -> (Vec<&'a SqsMessage>, Vec<(&'a SqsMessage, Error)>) {
        let entries: Vec<_> = items.iter().map(|(streamed, item)| entry(streamed, item)).collect();
        let (mut later, mut refused) = (Vec::new(), Vec::new());
        for ((_, item), outcome) in items.iter().zip(self.outbound.send(&entries, deadline).await) {
            match outcome {
                Ok(()) => report.count("ReplyForwarded", 1),
                Err(error) if error.kind() == Kind::StoreRejected => refused.push((*item, error)),
                Err(_) => later.push(*item),
            }
        }
        (later, refused)
    }

    async fn dead_letter(&self, item: &SqsMessage, error: &Error, deadline: Deadline) -> Result<()> {
        let reason = if error.kind() == Kind::StoreRejected { "store_rejected" } else { "malformed" };
        self.queues.dead_letter(item, None, reason, deadline).await
    }

    /// All come back at the same time, so that they can be sorted again.
    async fn delay(&self, items: &[&SqsMessage], request_id: &str, deadline: Deadline) {
        let handles: Vec<_> = items
            .iter()
            .filter_map(|item| {
                let (queue_arn, receipt) = (item.event_source_arn.as_deref()?, item.receipt_handle.as_deref()?);
                Some(Handle { queue_arn, receipt })
            })
            .collect();
        if let Err(error) = self.queues.delay(&handles, LATER, deadline).await {
            tracing::warn!(request_id, ?error, "the queue's own visibility timeout applies");
        }
    }
}

fn read(item: &SqsMessage) -> Result<Streamed> {
    catch_unwind(AssertUnwindSafe(|| Streamed::read(item)))
        .unwrap_or_else(|_| Err(Error::new(Kind::Validation, "The queue item is no item of a chat")))
}

fn entry(streamed: &Streamed, item: &SqsMessage) -> Entry {
    Entry {
        group_id: streamed.group_id(),
        deduplication_id: streamed.deduplication_id(),
        body: item.body.clone().unwrap_or_default(),
        attributes: attributes(item),
    }
}

fn receipts(items: &[SqsMessage]) -> u32 {
    let counts = items.iter().filter_map(|item| item.attributes.get("ApproximateReceiveCount")?.parse().ok());
    counts.max().unwrap_or(1)
}
