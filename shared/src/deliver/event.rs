//! The `integration-event` route: Connect finds the customer's open chat, or starts one. The call has no client token, so it
//! is recorded before it is made, and never repeated.

use std::{sync::PoisonError, time::Duration};

use tokio::time::Instant;

use crate::{
    aws::{
        connect::{ChatEvent, EventContent, EventOutcome, NewSession},
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
    /// Sends the message as an event; `Some` is why that was denied. `joined` has what is known of the customer's ids.
    pub(super) async fn send_event(
        &self,
        inbound: &Inbound,
        event: &mut ChatEvent,
        joined: Conversation,
        receipt: Receipt<'_>,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<Option<Error>> {
        let (last, menus) = self.store.menus(inbound, deadline).await?;
        let contact_id = last.contact_id.as_deref().filter(|_| last.is_open());
        let saying = Saying::of(inbound, &menus, contact_id, last.answered.as_deref(), receipt, |inbound| {
            Some(agent_text(inbound))
        });
        // The route takes texts only.
        if let EventContent::Message { text, .. } = &mut event.what
            && saying.menu_id.is_some()
            && !saying.is_action()
            && let Some(content) = &saying.content
        {
            text.clone_from(&content.content);
        }
        match self.call_once(inbound, event, receipt, deadline, report).await? {
            None => Ok(None),
            Some(EventOutcome::Taken(contact_id)) => {
                let answered = saying.menu_id.or(last.answered);
                let event_source = Some(event.source_id.clone());
                let conversation = Conversation { contact_id, event_source, answered, ..joined };
                self.store.delivered(inbound, Some(&conversation), deadline).await?;
                report.contact_id = conversation.contact_id;
                report.count("MessageDelivered", 1);
                Ok(None)
            }
            Some(EventOutcome::Denied(denied)) => Ok(Some(denied)),
        }
    }

    /// Makes a call that has no client token, unless it was made before: then there is no outcome.
    pub(super) async fn call_once(
        &self,
        inbound: &Inbound,
        event: &ChatEvent,
        receipt: Receipt<'_>,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<Option<EventOutcome>> {
        let again = receipt.again == Some("may_have_been_delivered");
        match self.store.intend(inbound, receipt.item, again, deadline).await? {
            Delivered::No => (),
            Delivered::Yes => return Self::duplicate(report).map(|()| None),
            Delivered::Perhaps => return Err(perhaps()),
        }
        let outcome = self.connect.send_event(event, deadline, report).await;
        let had_no_effect = match &outcome {
            Ok(EventOutcome::Taken(_)) => false,
            Ok(EventOutcome::Denied(_)) => true,
            Err(error) => error.kind() != Kind::OutcomeUnknown,
        };
        if had_no_effect {
            self.store.withdraw(inbound, deadline).await?;
        }
        outcome.map(Some)
    }

    pub(super) fn is_denied(&self, destination: &str) -> bool {
        let denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        denied.get(destination).is_some_and(|until| Instant::now() < *until)
    }

    pub(super) fn remember_denied(&self, destination: String) {
        let mut denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        denied.insert(destination, Instant::now() + DENIED);
    }

    /// The message as an event, and what is known of the customer's ids. Connect finds the open chat by the customer's address:
    /// where there may be several, as on WhatsApp, by the one that the chat was started with.
    pub(super) async fn event(&self, inbound: &Inbound, deadline: Deadline) -> Result<(ChatEvent, Conversation)> {
        let mut source = inbound.message.from.clone();
        let mut joined = Conversation::default();
        if inbound.message.channel == Channel::Whatsapp {
            let known = self.store.open(inbound, deadline).await?.conversation;
            source = known.event_source.unwrap_or(source);
            joined.known_as = known.known_as;
            joined.opt_out_to_copy = known.opt_out_to_copy;
        }
        let session = NewSession {
            display_name: display_name(inbound),
            attributes: attributes(inbound),
            content_types: content_types(),
            // Connect answers an End User Messaging number there itself.
            streaming_endpoint_arn: self
                .config
                .instance
                .streaming_topic_arn
                .clone()
                .filter(|_| !answers_itself(destination(inbound))),
        };
        let what = EventContent::Message { text: agent_text(inbound), session };
        Ok((Self::chat_event(inbound, source, what), joined))
    }

    /// An event of the chat that was started with this address.
    pub(super) fn chat_event(inbound: &Inbound, source_id: String, what: EventContent) -> ChatEvent {
        let is_whatsapp = inbound.message.channel == Channel::Whatsapp;
        ChatEvent {
            source_id,
            destination_id: destination(inbound).to_owned(),
            subtype: if is_whatsapp { "connect:WhatsApp" } else { "connect:sms" },
            what,
        }
    }
}

/// What Connect knows our address by.
fn destination(inbound: &Inbound) -> &str {
    inbound.number.destination_id.as_ref().unwrap_or(&inbound.message.to)
}

fn answers_itself(destination: &str) -> bool {
    destination.starts_with("arn:") && destination.contains(":sms-voice:")
}
