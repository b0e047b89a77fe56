//! A batch of the inbound FIFO queue: each customer's messages are brought to Connect, in their order.
//!
//! The way of an item, in [`batch`]: [`Inbound::from_item`] → [`Conversations::collect`] (parts of long messages) →
//! [`Conversations::deliver_in_turn`]. A status of a text of ours: [`InboundStatus::from_item`] → [`Conversations::apply`].

use std::{collections::HashSet, convert::Infallible, time::Duration};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use lambda_runtime::LambdaEvent;
use shared::{
    Result,
    config::{self, Receipts},
    deadline::Deadline,
    deliver::{Applied, Collected, Conversations, Flush},
    inbound::{self, Inbound},
    inbound_status::InboundStatus,
    queue::{
        batch::{self, Done, Failed, Receipt, Work},
        disposition::Patience,
        sqs::Queues,
    },
    sms::status::State,
    store::conversations::Store,
    telemetry::Report,
};

/// When a *delivered* is told of: a *read* that follows takes its place.
const READ_FOLLOWS: Duration = Duration::from_millis(300);

/// When a status comes back whose text is not on record: the provider may be faster than its sender's record.
const RECORD_FOLLOWS: Duration = Duration::from_secs(5);

/// The function.
pub struct DeliverMessage {
    conversations: Conversations,
    queues: Queues,
    patience: Patience,
}

/// What a message was made of that could not be delivered.
#[derive(Default)]
pub struct Joined {
    /// The body of the dead letter, where it is not the item's own.
    body: Option<String>,
    /// The parts that it was joined from.
    parts: Option<String>,
}

impl DeliverMessage {
    /// Makes the clients; nothing is called yet.
    pub fn new(config: config::DeliverMessage, sdk: &aws_config::SdkConfig) -> Self {
        Self {
            queues: Queues::new(sdk, config.dead_letter_queue_url),
            conversations: Conversations::new(sdk, config.delivery)
                .behind_a_queue(config.starts_per_second)
                .with_attachments(sdk, config.attachments),
            patience: config.patience,
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
        let reads = event.payload.records.iter().filter_map(|item| InboundStatus::from_item(item.body.as_deref()?));
        let reads = reads.filter(|item| item.status.state == State::Read).map(|item| item.group_id()).collect();
        batch::run(&Batch { function: self, reads }, event).await
    }

    /// Does what a status asks for.
    async fn apply(
        &self,
        item: &SqsMessage,
        status: &InboundStatus,
        is_replaced: bool,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<Done> {
        let receipts: u32 =
            item.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok()).unwrap_or(1);
        let is_delayed = status.status.state == State::Delivered && self.conversations.receipts() == Receipts::All;
        if is_delayed && !is_replaced && receipts == 1 {
            report.note("a read may follow");
            return Ok(Done::NotYet(READ_FOLLOWS));
        }
        match self.conversations.apply(status, is_replaced, deadline, report).await? {
            Applied::Done => Ok(Done::Yes),
            Applied::Unknown if receipts <= 1 + u32::from(is_delayed) => Ok(Done::NotYet(RECORD_FOLLOWS)),
            Applied::Unknown => {
                report.note("a status of no text that is on record");
                report.count("StatusUnknown", 1);
                Ok(Done::Yes)
            }
        }
    }
}

/// One batch at work.
struct Batch<'a> {
    function: &'a DeliverMessage,
    /// The texts, by the group of their statuses, whose *read* is in the batch.
    reads: HashSet<String>,
}

impl Work for Batch<'_> {
    const SERVICE: &'static str = "deliver-message";
    const FAILED: &'static str = "DeliveryFailed";
    type Left = Joined;

    fn queues(&self) -> &Queues {
        &self.function.queues
    }

    fn store(&self) -> &Store {
        self.function.conversations.store()
    }

    fn patience(&self) -> Patience {
        self.function.patience
    }

    async fn work(&self, item: &SqsMessage, deadline: Deadline, report: &mut Report) -> Result<Done, Failed<Joined>> {
        let body = item.body.as_deref().unwrap_or_default();
        let queue = item.event_source_arn.as_deref().unwrap_or_default();
        if let Some(key) = inbound::flush_key(body) {
            return Ok(match self.function.conversations.flush(&key, deadline).await? {
                Flush::Nothing => Done::Yes,
                Flush::NotYet(wait) => Done::NotYet(wait),
                Flush::Send(message) => {
                    report.note("parts are missing");
                    report.count("PartsMissing", 1);
                    self.function.queues.send(queue, &message, deadline).await?;
                    Done::Yes
                }
            });
        }
        if let Some(status) = InboundStatus::from_item(body) {
            let is_replaced = status.status.state == State::Delivered && self.reads.contains(&status.group_id());
            return Ok(self.function.apply(item, &status, is_replaced, deadline, report).await?);
        }
        let part = Inbound::from_item(body)?;
        // START of who has not opted out is an ordinary message, and takes its turn among them.
        if let Some(ordinary) = self.function.conversations.ordinary(&part, deadline).await? {
            // Not the id that it came with, where the queue tells repeats over all of its groups.
            let deduplication = part.client_token(&["ordinary"]);
            let (body, group) = (ordinary.to_item()?, ordinary.queue_group_id());
            self.function.queues.send_item(queue, &body, &group, &deduplication, deadline).await?;
            report.note("an ordinary message");
            return Ok(Done::Yes);
        }
        let (message, parts) = match self.function.conversations.collect(&part, deadline).await? {
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
                    self.function.queues.send_item(queue, &flush, &key, &deduplication, deadline).await?;
                }
                return Ok(Done::Yes);
            }
        };
        let receipt = Receipt::of(item);
        if let Err(error) = self.function.conversations.deliver_in_turn(&message, receipt, deadline, report).await {
            let body = if parts.is_some() { Some(message.to_item()?) } else { None };
            return Err(Failed { left: Joined { body, parts }, ..error.into() });
        }
        if let Some(key) = parts {
            self.function.conversations.handed_on(&key, deadline).await?;
        }
        Ok(Done::Yes)
    }

    async fn give_up(
        &self,
        item: &SqsMessage,
        failed: &Failed<Joined>,
        reason: &str,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<bool> {
        self.function.queues.dead_letter(item, failed.left.body.as_deref(), reason, deadline).await?;
        report.count("DeadLettered", 1);
        if let Some(key) = &failed.left.parts {
            self.function.conversations.handed_on(key, deadline).await?;
        }
        Ok(true)
    }
}
