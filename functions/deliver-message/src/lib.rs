//! A batch of the inbound FIFO queue: each customer's messages are brought to Connect, in their order.
//!
//! The way of an item: [`Inbound::from_item`] → [`Conversations::collect`] (parts of long messages) →
//! [`Conversations::deliver_in_turn`] → done, or what [`disposition`] says: back to the queue and not before a while, or
//! to the dead-letter queue. A group stops at its first failure: what comes after it must wait for it. Other groups of the
//! batch go on.

use std::{convert::Infallible, panic::AssertUnwindSafe, time::Duration};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use futures_util::{FutureExt, future::join_all};
use lambda_runtime::LambdaEvent;
use shared::{
    Error, Kind, Result,
    aws::queue::{Handle, Queues},
    config,
    conversation::{Collected, Conversations, Flush, Turn},
    deadline::Deadline,
    disposition::{self, Next},
    inbound::{self, Inbound},
    telemetry::Report,
};

const SERVICE: &str = "deliver-message";
/// The metric that counts failed tries, by code.
const FAILED: &str = "DeliveryFailed";

/// No item is begun with less time than this left: it goes back as it is.
const SHORTEST: Duration = Duration::from_millis(500);

/// What is kept of an invocation's time, at most, for sending back or putting aside what could not be delivered in it.
const RESERVE: Duration = Duration::from_secs(2);

/// The function.
pub struct DeliverMessage {
    conversations: Conversations,
    queues: Queues,
}

/// An item that could not be delivered.
struct Failed {
    error: Error,
    /// What to put aside, where it is not the item's own body.
    body: Option<String>,
    /// The parts that it was joined from.
    parts: Option<String>,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, body: None, parts: None }
    }
}

/// What an item's work came to.
enum Done {
    Yes,
    /// It is to come back then.
    NotYet(Duration),
}

impl DeliverMessage {
    /// Makes the clients; nothing is called yet.
    pub fn new(config: config::DeliverMessage, sdk: &aws_config::SdkConfig) -> Self {
        Self {
            queues: Queues::new(sdk, config.dead_letter_queue_url),
            conversations: Conversations::new(sdk, config.delivery),
        }
    }

    /// Waits this long for missing parts of long messages.
    #[must_use]
    pub fn with_parts_wait(mut self, wait: Duration) -> Self {
        self.conversations = self.conversations.with_parts_wait(wait);
        self
    }

    /// What is remembered.
    pub fn conversations(&self) -> &Conversations {
        &self.conversations
    }

    /// Works through one batch. It never fails: what could not be done is in the answer, item by item.
    pub async fn handle(&self, event: LambdaEvent<SqsEvent>) -> Result<SqsBatchResponse, Infallible> {
        let deadline = Deadline::of_invocation(event.context.deadline);
        let request_id = &event.context.request_id;
        let mut groups: Vec<(&str, Vec<&SqsMessage>)> = Vec::new();
        for item in &event.payload.records {
            // A standard queue has no groups; then every item is one.
            let group = item.attributes.get("MessageGroupId").or(item.message_id.as_ref()).map_or("", String::as_str);
            match groups.iter_mut().find(|(known, _)| *known == group) {
                Some((_, items)) => items.push(item),
                None => groups.push((group, vec![item])),
            }
        }
        let failed = join_all(groups.iter().map(|(_, items)| self.group(items, request_id, deadline))).await;
        let mut answer = SqsBatchResponse::default();
        for id in failed.into_iter().flatten() {
            answer.add_failure(id);
        }
        Ok(answer)
    }

    /// One customer's items, in order. Returns the ids of those that are not done with.
    async fn group(&self, items: &[&SqsMessage], request_id: &str, deadline: Deadline) -> Vec<String> {
        let mut left = items;
        while let Some((item, rest)) = left.split_first() {
            let Some(wait) = self.item(item, request_id, deadline).await else {
                left = rest;
                continue;
            };
            let handles: Vec<_> = left.iter().filter_map(|item| handle(item)).collect();
            if let Err(error) = self.queues.delay(&handles, wait, deadline).await {
                tracing::warn!(request_id, ?error, "the queue's own visibility timeout applies");
            }
            return left.iter().filter_map(|item| item.message_id.clone()).collect();
        }
        Vec::new()
    }

    /// One item; `Some` is how long it must wait for its next try.
    async fn item(&self, item: &SqsMessage, request_id: &str, deadline: Deadline) -> Option<Duration> {
        let left = deadline.remaining();
        if left < SHORTEST {
            return Some(Duration::ZERO);
        }
        let mut report = Report::new(SERVICE);
        report.queued = number(item, "SentTimestamp").map(since);
        let receipts = number(item, "ApproximateReceiveCount").and_then(|n| u32::try_from(n).ok()).unwrap_or(1);
        let work_deadline = Deadline::after(left.saturating_sub(RESERVE.min(left / 4)));
        let work = AssertUnwindSafe(self.work(item, work_deadline, &mut report)).catch_unwind();
        let outcome = match tokio::time::timeout(work_deadline.remaining(), work).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Error::internal("the handler panicked").into()),
            Err(_) => Err(Error::new(Kind::Timeout, "The item took too long").into()),
        };
        let (outcome, wait, error) = match outcome {
            Ok(Done::Yes) => ("done", None, None),
            Ok(Done::NotYet(wait)) => ("waits", Some(wait), None),
            Err(failed) => match disposition::next(&failed.error, receipts) {
                Next::Later(wait) => ("later", Some(wait), Some(failed.error)),
                Next::DeadLetter(reason) => {
                    let aside = self.put_aside(item, &failed, reason, deadline).await;
                    report.note(reason);
                    match aside {
                        Ok(()) => {
                            report.count("DeadLettered", 1);
                            ("dead letter", None, Some(failed.error))
                        }
                        Err(error) => {
                            tracing::error!(request_id, ?error, "not put aside: the item goes back to the queue");
                            ("later", Some(disposition::pause(receipts)), Some(failed.error))
                        }
                    }
                }
            },
        };
        report.finish_item(request_id, outcome, receipts, error.as_ref(), FAILED);
        wait
    }

    async fn work(&self, item: &SqsMessage, deadline: Deadline, report: &mut Report) -> Result<Done, Failed> {
        let body = item.body.as_deref().unwrap_or_default();
        let queue = item.event_source_arn.as_deref().unwrap_or_default();
        if let Some(key) = inbound::flush_key(body) {
            return Ok(match self.conversations.flush(&key, deadline).await? {
                Flush::Nothing => Done::Yes,
                Flush::NotYet(wait) => Done::NotYet(wait),
                Flush::Send(message) => {
                    report.note("parts are missing");
                    report.count("PartsMissing", 1);
                    self.queues.send(queue, &message, deadline).await?;
                    Done::Yes
                }
            });
        }
        let part = Inbound::from_item(body)?;
        let (message, parts) = match self.conversations.collect(&part, deadline).await? {
            Collected::Whole(message, parts) => (message, parts),
            Collected::Duplicate => {
                report.note("delivered before");
                return Ok(Done::Yes);
            }
            Collected::Waiting { first, key } => {
                report.note("waits for its other parts");
                if first {
                    // A group of its own, so that the customer's other messages need not wait.
                    let flush = inbound::flush_item(&key);
                    let deduplication = part.client_token(&["flush", &key]);
                    self.queues.send_item(queue, &flush, &key, &deduplication, deadline).await?;
                }
                return Ok(Done::Yes);
            }
        };
        let turn = Turn {
            item: item.message_id.as_deref().unwrap_or_default(),
            again: item
                .message_attributes
                .get("reason")
                .is_some_and(|reason| reason.string_value.as_deref() == Some("may_have_been_delivered")),
        };
        if let Err(error) = self.conversations.deliver_in_turn(&message, turn, deadline, report).await {
            let body = if parts.is_some() { Some(message.to_item()?) } else { None };
            return Err(Failed { error, body, parts });
        }
        if let Some(key) = parts {
            self.conversations.handed_on(&key, deadline).await?;
        }
        Ok(Done::Yes)
    }

    async fn put_aside(&self, item: &SqsMessage, failed: &Failed, reason: &str, deadline: Deadline) -> Result<()> {
        let body = failed.body.as_deref().or(item.body.as_deref()).unwrap_or_default();
        let group = item.attributes.get("MessageGroupId").map(String::as_str);
        // The item's id and not the message's: an item that was put back and fails again is a dead letter again.
        let id = item.message_id.as_deref().unwrap_or_default();
        self.queues.dead_letter(body, group, id, reason, deadline).await?;
        match &failed.parts {
            Some(key) => self.conversations.handed_on(key, deadline).await,
            None => Ok(()),
        }
    }
}

fn handle(item: &SqsMessage) -> Option<Handle<'_>> {
    Some(Handle { queue_arn: item.event_source_arn.as_deref()?, receipt: item.receipt_handle.as_deref()? })
}

fn number(item: &SqsMessage, attribute: &str) -> Option<u64> {
    item.attributes.get(attribute)?.parse().ok()
}

fn since(milliseconds: u64) -> Duration {
    let then = Duration::from_millis(milliseconds);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(then)
}
