//! A reply's text, part by part.

use std::time::Duration;

use serde_json::Value;

use crate::{
    deadline::Deadline,
    error::{Kind, Result},
    queue::{
        batch::Done,
        gate::{Entry, PROBE_TIMEOUT},
    },
    reply::{LEASED, Outcome, RECORD, Replies, Reply, is_final, key, menu::Shown, opted_out, rest, shut},
    sender::Sent,
    settings::Account,
    sms::send::{Outbound, Taken},
    store::replies::{NextPart, Part, ReplyLease},
    telemetry::Report,
};

impl Replies {
    /// Hands the parts over, one after the other.
    #[expect(clippy::too_many_arguments, reason = "all of them change from call to call")]
    pub(super) async fn send_parts(
        &self,
        reply: &Reply<'_>,
        text: &str,
        account: &Account,
        lease: ReplyLease<'_>,
        mut is_probe: bool,
        deadline: Deadline,
        report: &mut Report,
    ) -> Outcome {
        let limit = account.credentials.limit(reply.addressee.channel);
        let owner = lease.owner().to_owned();
        let mut part = reply.part;
        let shown = Shown::of(reply, account);
        let mut last = None;
        while let Some((body, after)) = shown.next(rest(text, part), limit) {
            if deadline.remaining() < self.sender.shortest(account) + RECORD {
                self.store.postpone_reply(lease, part, deadline).await?;
                return Ok(Done::NotYet(Duration::ZERO));
            }
            if part != reply.part
                && let Entry::Shut(wait) = self.enter(account)
            {
                self.store.postpone_reply(lease, part, deadline).await?;
                return Err(reply.ended(shut(wait), part, Some(&owner)));
            }
            let choices = shown.choices(after.is_empty());
            let sent = self.send_part(reply, body, choices, part, account, is_probe, deadline, report).await;
            is_probe = false;
            let taken = match sent {
                Ok(taken) => reply.taken(part, body, account, taken),
                Err(error) => {
                    self.remember(reply, &error, account, deadline).await?;
                    if error.kind() == Kind::OutcomeUnknown {
                        self.perhaps_shown(reply, &shown, deadline).await;
                    }
                    if !is_final(&error) {
                        self.store.postpone_reply(lease, part, deadline).await?;
                    }
                    return Err(reply.ended(error, part, Some(&owner)));
                }
            };
            report.count("TextSent", 1);
            part = Part { number: part.number + 1, at: text.len() - after.len() };
            if after.is_empty() {
                last = Some(taken);
                break;
            }
            match self.store.next_part(&lease, part, &taken, deadline).await? {
                NextPart::Yes => (),
                NextPart::OptedOut => {
                    let mut ended = reply.ended(opted_out(), part, Some(&owner));
                    ended.left.taken = Some(taken);
                    return Err(ended);
                }
                NextPart::Changed => {
                    report.note("the lease was taken away");
                    return Ok(Done::NotYet(LEASED));
                }
            }
        }
        self.store.reply_sent(lease, part, shown.menu(), last.as_ref(), deadline).await?;
        report.count("ReplyDelivered", 1);
        Ok(Done::Yes)
    }

    /// The customer may have these choices, and then answers them and no earlier ones.
    pub(super) async fn perhaps_shown(&self, reply: &Reply<'_>, shown: &Shown, deadline: Deadline) {
        let Some(menu) = shown.menu() else { return };
        if let Err(error) = self.store.put_menu(&reply.addressee.group_id, menu, deadline).await {
            tracing::warn!(?error, "choices that may have been sent are not on record");
        }
    }

    /// Hands one part to the provider, and tells the account's gate what came of it.
    #[expect(clippy::too_many_arguments, reason = "all of them change from call to call")]
    async fn send_part(
        &self,
        reply: &Reply<'_>,
        body: &str,
        choices: Option<&Value>,
        part: Part,
        account: &Account,
        is_probe: bool,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<Taken> {
        let key = key(reply.id, part.number);
        let addressee = &reply.addressee;
        let status_url = self.status_url(account);
        let outbound = Outbound {
            channel: addressee.channel,
            from: &addressee.business,
            from_id: addressee.business_id.as_deref(),
            to: &addressee.customer,
            text: body,
            choices,
            contact_id: reply.id.contact_id,
            key: &key,
            status_url: status_url.as_deref(),
        };
        let time = deadline.remaining().saturating_sub(RECORD);
        let time = if is_probe { time.min(PROBE_TIMEOUT) } else { time };
        let Sent { outcome, answer } = self.sender.send(account, &outbound, Deadline::after(time), report).await;
        self.gates().leave(&account.name, answer, (self.clock)());
        outcome
    }
}
