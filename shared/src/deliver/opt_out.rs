//! Opt-outs, and their ends.

use crate::{
    aws::participant::Said,
    deadline::Deadline,
    deliver::{Conversations, contact::cut},
    error::Result,
    inbound::Inbound,
    sms::message::OptOut,
    store::conversations::Delivered,
    telemetry::Report,
};

impl Conversations {
    /// The message without its opt-out flag, where that is START and ends no opt-out: an ordinary message.
    pub async fn ordinary(&self, inbound: &Inbound, deadline: Deadline) -> Result<Option<Inbound>> {
        if inbound.message.opt_out != Some(OptOut::Start) || self.store.ends_opt_out(inbound, deadline).await? {
            return Ok(None);
        }
        let mut ordinary = inbound.clone();
        ordinary.message.opt_out = None;
        Ok(Some(ordinary))
    }

    /// Records an opt-out or its end, and tells the agent of an open chat. No chat is started for it.
    ///
    /// It does not wait for the customer's earlier messages, so nothing of their conversation is written here.
    pub(super) async fn opt_out(
        &self,
        inbound: &Inbound,
        request: OptOut,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<()> {
        let known = self.store.open(inbound, deadline).await?;
        if known.delivery == Delivered::Yes {
            return Self::duplicate(report);
        }
        let known_as = &known.conversation.known_as;
        // Recorded before the note, which may fail.
        let mark = if request == OptOut::Start {
            self.store.opt_in(inbound, known_as, deadline).await?;
            report.note("opted in");
            report.count("OptedIn", 1);
            "[opted in]"
        } else {
            self.store.opt_out(inbound, known_as, deadline).await?;
            report.note("opted out");
            report.count("OptedOut", 1);
            "[opted out]"
        };
        let mut conversation = known.conversation;
        let text = cut(format!("{mark} {}", inbound.message.text.trim()).trim().to_owned());
        let token = inbound.client_token(&["message"]);
        if conversation.opening.is_none()
            && let Said::Yes = self.participants.say(&mut conversation, &text, &token, deadline, report).await?
        {
            report.contact_id = conversation.contact_id;
        }
        self.store.delivered(inbound, None, deadline).await
    }
}
