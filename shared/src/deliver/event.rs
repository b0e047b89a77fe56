//! The `integration-event` route: Connect finds the customer's open chat, or starts one. The call has no client token, so it
//! is recorded before it is made, and never repeated.

use std::{sync::PoisonError, time::Duration};

use tokio::time::Instant;

use crate::{
    aws::{
        connect::{EventOutcome, MessageEvent},
        session::Conversation,
    },
    deadline::Deadline,
    deliver::{
        Conversations,
        choice::Saying,
        contact::{agent_text, attributes, content_types, display_name},
        perhaps,
    },
    error::{Error, Kind, Result},
    inbound::Inbound,
    queue::batch::Receipt,
    sms::message::Channel,
    store::conversations::Delivered,
    telemetry::Report,
};

/// For how long a destination whose events were denied takes the chat route.
const DENIED: Duration = Duration::from_secs(10 * 60);

impl Conversations {
    /// Sends the message as an event; `Some` is why that was denied.
    pub(super) async fn send_event(
        &self,
        inbound: &Inbound,
        event: &mut MessageEvent,
        receipt: Receipt<'_>,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<Option<Error>> {
        let again = receipt.again == Some("may_have_been_delivered");
        match self.store.intend(inbound, receipt.item, again, deadline).await? {
            Delivered::No => (),
            Delivered::Yes => return Self::duplicate(report).map(|()| None),
            Delivered::Perhaps => return Err(perhaps()),
        }
        let (last, menus) = self.store.menus(inbound, deadline).await?;
        let contact_id = last.contact_id.as_deref().filter(|_| !last.has_ended);
        let saying = Saying::of(inbound, &menus, contact_id, last.answered.as_deref(), receipt);
        // The route takes texts only.
        if saying.menu_id.is_some() && !saying.is_action() {
            event.text = saying.content.content;
        }
        match self.connect.send_message_event(event, deadline, report).await {
            Ok(EventOutcome::Taken(contact_id)) => {
                let answered = saying.menu_id.or(last.answered);
                let conversation = Conversation { contact_id: Some(contact_id), answered, ..Conversation::default() };
                self.store.delivered(inbound, Some(&conversation), deadline).await?;
                report.contact_id = conversation.contact_id;
                report.count("MessageDelivered", 1);
                Ok(None)
            }
            Ok(EventOutcome::Denied(denied)) => {
                self.store.withdraw(inbound, deadline).await?;
                Ok(Some(denied))
            }
            Err(error) if error.kind() == Kind::OutcomeUnknown => Err(error),
            Err(error) => {
                self.store.withdraw(inbound, deadline).await?;
                Err(error)
            }
        }
    }

    pub(super) fn is_denied(&self, destination: &str) -> bool {
        let denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        denied.get(destination).is_some_and(|until| Instant::now() < *until)
    }

    pub(super) fn remember_denied(&self, destination: String) {
        let mut denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        denied.insert(destination, Instant::now() + DENIED);
    }

    pub(super) fn event(&self, inbound: &Inbound) -> MessageEvent {
        let message = &inbound.message;
        let destination_id = inbound.number.destination_id.as_ref().unwrap_or(&message.to);
        // Connect answers an End User Messaging number there itself.
        let answers_itself = destination_id.starts_with("arn:") && destination_id.contains(":sms-voice:");
        MessageEvent {
            source_id: message.from.clone(),
            subtype: if message.channel == Channel::Whatsapp { "connect:WhatsApp" } else { "connect:sms" },
            text: agent_text(inbound),
            display_name: display_name(inbound),
            attributes: attributes(inbound),
            content_types: content_types(),
            streaming_endpoint_arn: self.config.instance.streaming_topic_arn.clone().filter(|_| !answers_itself),
            destination_id: destination_id.clone(),
        }
    }
}
