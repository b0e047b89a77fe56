//! What a customer does beside writing, in a channel that tells of it: typing, and leaving. Both are for a chat that is open and on
//! record; no chat is started for them.

use crate::{
    aws::{
        connect::{EventContent, EventOutcome},
        participant::Left,
        session::Conversation,
    },
    deadline::Deadline,
    deliver::Conversations,
    error::Result,
    inbound::Inbound,
    queue::batch::Receipt,
    sms::message::Act,
    store::conversations::Delivered,
    telemetry::Report,
};

impl Conversations {
    /// Brings it to the chat.
    pub(super) async fn act(
        &self,
        inbound: &Inbound,
        act: Act,
        receipt: Receipt<'_>,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<()> {
        match act {
            Act::Typing => {
                // Not worth a second try: what the customer types comes anyway.
                if let Err(error) = self.customer_types(inbound, deadline, report).await {
                    report.note("the agent was not told that the customer types");
                    tracing::debug!(?error, "typing was not told");
                }
                Ok(())
            }
            Act::End => self.customer_leaves(inbound, receipt, deadline, report).await,
        }
    }

    async fn customer_types(&self, inbound: &Inbound, deadline: Deadline, report: &mut Report) -> Result<()> {
        let conversation = self.store.open(inbound, deadline).await?.conversation;
        if let Some(source) = conversation.event_source {
            let event = Self::chat_event(inbound, source, EventContent::Typing);
            self.connect.send_event(&event, deadline, report).await?;
        } else if let Some(connection) = conversation.connection.filter(|connection| !connection.is_over()) {
            let token = inbound.client_token(&["typing"]);
            self.participants.send_typing(&connection, &token, deadline, report).await?;
        } else {
            report.note("no open chat");
            return Ok(());
        }
        report.note("the customer types");
        report.contact_id = conversation.contact_id;
        Ok(())
    }

    async fn customer_leaves(
        &self,
        inbound: &Inbound,
        receipt: Receipt<'_>,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<()> {
        let known = self.store.open(inbound, deadline).await?;
        if known.delivery == Delivered::Yes {
            return Self::duplicate(report);
        }
        let mut conversation = known.conversation;
        if !conversation.is_open() {
            report.note("no open chat");
            return self.store.delivered(inbound, None, deadline).await;
        }
        report.contact_id.clone_from(&conversation.contact_id);
        match conversation.event_source.take() {
            Some(source) => {
                let event = Self::chat_event(inbound, source, EventContent::Disconnect);
                match self.call_once(inbound, &event, receipt, deadline, report).await? {
                    None => return Ok(()),
                    Some(EventOutcome::Denied(error)) => {
                        report.note("integration events are denied: the chat was not ended");
                        tracing::warn!(?error, "the chat was not ended");
                        return self.store.delivered(inbound, None, deadline).await;
                    }
                    Some(EventOutcome::Taken(_)) => report.note("the customer left"),
                }
            }
            None => self.leave(inbound, &mut conversation, deadline, report).await?,
        }
        conversation.close();
        self.store.delivered(inbound, Some(&conversation), deadline).await
    }

    async fn leave(
        &self,
        inbound: &Inbound,
        conversation: &mut Conversation,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<()> {
        let token = inbound.client_token(&["end"]);
        let left = self.participants.leave(conversation, &token, deadline, report).await?;
        report.note(match left {
            Left::Now => "the customer left",
            Left::Before => "the chat had ended",
        });
        Ok(())
    }
}
