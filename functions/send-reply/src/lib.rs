//! A batch of the queue that Connect's topic feeds: what agents, bots and flows say is brought to customers' phones.
//!
//! The way of an item, in [`batch`]: [`Streamed::read`] → [`Replies::deliver`]. Items of one chat are worked on in the
//! order in which they were written, as far as they are at hand: neither the topic nor the queue keeps it.

use std::convert::Infallible;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use lambda_runtime::LambdaEvent;
use shared::{
    Result, config,
    deadline::Deadline,
    queue::{
        batch::{self, Done, Failed, Place, Turn, Work},
        sqs::Queues,
    },
    reply::{Replies, Told, Undelivered, streamed::Streamed},
    sender::Sender,
    telemetry::Report,
};

/// The function.
pub struct SendReply {
    replies: Replies,
    queues: Queues,
}

impl SendReply {
    /// Makes the clients; nothing is called yet.
    pub fn new(config: config::SendReply, sdk: &aws_config::SdkConfig) -> Self {
        Self { queues: Queues::new(sdk, config.dead_letter_queue_url.clone()), replies: Replies::new(sdk, config) }
    }

    /// With another sender.
    #[must_use]
    pub fn with_sender(mut self, sender: Sender) -> Self {
        self.replies = self.replies.with_sender(sender);
        self
    }

    /// Works through one batch. It never fails: what could not be done is in the answer, item by item.
    pub async fn handle(&self, event: LambdaEvent<SqsEvent>) -> Result<SqsBatchResponse, Infallible> {
        batch::run(self, event).await
    }
}

impl Work for SendReply {
    const SERVICE: &'static str = "send-reply";
    const FAILED: &'static str = "ReplyFailed";
    const LETS_BY: bool = true;
    type Left = Undelivered;

    fn queues(&self) -> &Queues {
        &self.queues
    }

    fn place(&self, item: &SqsMessage) -> Place {
        match Streamed::read(item) {
            Ok(streamed) if !streamed.initial_contact_id.is_empty() => {
                Place { group: streamed.initial_contact_id, time: streamed.time, id: Some(streamed.id) }
            }
            _ => Place { group: item.message_id.clone().unwrap_or_default(), ..Place::default() },
        }
    }

    async fn work(
        &self,
        item: &SqsMessage,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<Done, Failed<Undelivered>> {
        self.replies.deliver(&Streamed::read(item)?, Turn::of(item), deadline, report).await
    }

    async fn give_up(
        &self,
        item: &SqsMessage,
        failed: &Failed<Undelivered>,
        reason: &str,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<bool> {
        // The agent first: that is done once, however often this is begun again.
        let told = match Streamed::read(item) {
            Ok(streamed) => self.replies.give_up(&streamed, Turn::of(item), failed, reason, deadline, report).await?,
            Err(_) => Told::Nobody,
        };
        // Nobody can mend what the customer wishes, so it is enough that the chat knows.
        if reason == "opted_out" && told != Told::Nobody {
            return Ok(false);
        }
        self.queues.dead_letter(item, None, reason, deadline).await?;
        report.count("DeadLettered", 1);
        Ok(true)
    }

    async fn hand_back(&self, items: &[&SqsMessage], deadline: Deadline) -> Result<()> {
        let items: Vec<_> = items.iter().filter_map(|item| Streamed::read(item).ok()).collect();
        self.replies.keep_turns(&items, deadline).await
    }
}
