//! A batch of the outbound FIFO queue: what agents, bots and flows say is brought to customers' phones.
//!
//! The way of an item, in [`batch`]: [`Streamed::read`] → [`Replies::deliver`].

use std::{convert::Infallible, time::Duration};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use lambda_runtime::LambdaEvent;
use shared::{
    Result, config,
    deadline::Deadline,
    queue::{
        batch::{self, Done, Failed, Receipt, Work},
        disposition::Patience,
        sqs::Queues,
    },
    reply::{Replies, Told, Undelivered, streamed::Streamed},
    sender::Sender,
    store::conversations::Store,
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

    /// With another clock for the accounts that are let be.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.replies = self.replies.with_clock(clock);
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
    type Left = Undelivered;

    fn queues(&self) -> &Queues {
        &self.queues
    }

    fn store(&self) -> &Store {
        self.replies.store()
    }

    fn patience(&self) -> Patience {
        self.replies.patience()
    }

    fn group(&self, item: &SqsMessage) -> String {
        // A standard queue has no groups. Then a chat's items are kept apart within a batch at least.
        let group = item.attributes.get("MessageGroupId").cloned();
        let chat = || Streamed::read(item).ok().map(|streamed| streamed.group_id());
        group.or_else(chat).or_else(|| item.message_id.clone()).unwrap_or_default()
    }

    async fn work(
        &self,
        item: &SqsMessage,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<Done, Failed<Undelivered>> {
        self.replies.deliver(&Streamed::read(item)?, Receipt::of(item), deadline, report).await
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
            Ok(streamed) => {
                self.replies.give_up(&streamed, Receipt::of(item), failed, reason, deadline, report).await?
            }
            Err(_) => Told::Nobody,
        };
        // An opt-out and a closed window are no faults to mend, so the note in the chat is enough.
        if matches!(reason, "opted_out" | "window_closed") && told != Told::Nobody {
            return Ok(false);
        }
        self.queues.dead_letter(item, None, reason, deadline).await?;
        report.count("DeadLettered", 1);
        Ok(true)
    }

    async fn tell_delay(&self, item: &SqsMessage, deadline: Deadline, report: &mut Report) -> Result<()> {
        self.replies.tell_delay(&Streamed::read(item)?, deadline, report).await
    }
}
