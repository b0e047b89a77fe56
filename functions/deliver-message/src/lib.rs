//! A batch of the inbound FIFO queue: each customer's messages are brought to Connect, in their order.
//!
//! The way of an item, in [`batch`]: [`Inbound::from_item`] → [`Conversations::collect`] (parts of long messages) →
//! [`Conversations::deliver_in_turn`].

use std::{convert::Infallible, time::Duration};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use lambda_runtime::LambdaEvent;
use shared::{
    Result, config,
    deadline::Deadline,
    deliver::{Collected, Conversations, Flush},
    inbound::{self, Inbound},
    queue::{
        batch::{self, Done, Failed, Receipt, Work},
        disposition::Patience,
        sqs::Queues,
    },
    store::conversations::Store,
    telemetry::Report,
};

/// The function.
pub struct DeliverMessage {
    conversations: Conversations,
    queues: Queues,
    patience: Patience,
}

/// What a message was made of that could not be delivered.
#[derive(Default)]
pub struct Joined {
    /// What to put aside, where it is not the item's own body.
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
        batch::run(self, event).await
    }
}

impl Work for DeliverMessage {
    const SERVICE: &'static str = "deliver-message";
    const FAILED: &'static str = "DeliveryFailed";
    type Left = Joined;

    fn queues(&self) -> &Queues {
        &self.queues
    }

    fn store(&self) -> &Store {
        self.conversations.store()
    }

    fn patience(&self) -> Patience {
        self.patience
    }

    async fn work(&self, item: &SqsMessage, deadline: Deadline, report: &mut Report) -> Result<Done, Failed<Joined>> {
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
        // START of who has not opted out is an ordinary message, and takes its turn among them.
        if let Some(ordinary) = self.conversations.ordinary(&part, deadline).await? {
            // Not the id that it came with, where the queue tells repeats over all of its groups.
            let deduplication = part.client_token(&["ordinary"]);
            let (body, group) = (ordinary.to_item()?, ordinary.queue_group_id());
            self.queues.send_item(queue, &body, &group, &deduplication, deadline).await?;
            report.note("an ordinary message");
            return Ok(Done::Yes);
        }
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
        let receipt = Receipt::of(item);
        if let Err(error) = self.conversations.deliver_in_turn(&message, receipt, deadline, report).await {
            let body = if parts.is_some() { Some(message.to_item()?) } else { None };
            return Err(Failed { left: Joined { body, parts }, ..error.into() });
        }
        if let Some(key) = parts {
            self.conversations.handed_on(&key, deadline).await?;
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
        self.queues.dead_letter(item, failed.left.body.as_deref(), reason, deadline).await?;
        report.count("DeadLettered", 1);
        if let Some(key) = &failed.left.parts {
            self.conversations.handed_on(key, deadline).await?;
        }
        Ok(true)
    }
}
