//! What happens in a chat beside words: an agent types, the chat ends. It is told to the channels that ask for it
//! ([`crate::sms::contract::Facts::takes_signals`]).

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    deadline::Deadline,
    digest::hash,
    error::{Error, Kind, Result},
    queue::{
        batch::{Done, Receipt},
        gate::{Entry, PROBE_TIMEOUT},
    },
    reply::{NO_TIME, Outcome, RECORD, Replies, shut, streamed::Streamed},
    sender::Sent,
    settings::Account,
    sms::signal::{Signal, SignalKind},
    store::conversations::Addressee,
    telemetry::Report,
};

/// Nobody cares any more that an agent was typing.
const TYPING_LASTS: Duration = Duration::from_secs(10);

impl Replies {
    /// The chat has ended: the customer's next text starts another one, and a channel that asks for it is told.
    pub(super) async fn chat_ended(
        &self,
        item: &Streamed,
        receipt: Receipt<'_>,
        deadline: Deadline,
        report: &mut Report,
    ) -> Outcome {
        let contact_id = &item.initial_contact_id;
        let (addressee, closed) = self.store.close(contact_id, deadline).await?;
        report.note(if closed { "conversation closed" } else { "no open conversation" });
        let Some(addressee) = addressee.filter(|addressee| addressee.provider.facts().takes_signals) else {
            return Ok(Done::Yes);
        };
        let key = hash(&["end", contact_id]);
        match self.signal(SignalKind::End, item, &addressee, &key, receipt, deadline, report).await {
            Ok(done) => Ok(done),
            // An account that only receives, or one that doesn't care: nobody waits for it.
            Err(error) if matches!(error.kind(), Kind::SendMisconfigured | Kind::SendRefused | Kind::OptedOut) => {
                report.note("the channel was not told that the chat has ended");
                tracing::info!(?error, "the channel was not told that the chat has ended");
                Ok(Done::Yes)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// An agent types: told at once, or not at all.
    pub(super) async fn agent_types(
        &self,
        item: &Streamed,
        receipt: Receipt<'_>,
        deadline: Deadline,
        report: &mut Report,
    ) -> Outcome {
        let age = item
            .time
            .map_or(receipt.age, |time| Duration::try_from(Timestamp::now().duration_since(time)).unwrap_or_default());
        if age > TYPING_LASTS {
            report.note("an agent was typing, too long ago");
            return Ok(Done::Yes);
        }
        report.note("an agent types");
        if let Err(error) = self.tell_typing(item, receipt, deadline, report).await {
            report.note("the channel was not told");
            tracing::debug!(?error, "typing was not told");
        }
        Ok(Done::Yes)
    }

    async fn tell_typing(
        &self,
        item: &Streamed,
        receipt: Receipt<'_>,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<()> {
        let found = self.store.by_contact(&item.initial_contact_id, deadline).await?;
        let Some(addressee) = found.filter(|addressee| addressee.provider.facts().takes_signals) else {
            return Ok(());
        };
        let (_, is_opted_out) = self.store.customer(&addressee.group_id, deadline).await?;
        if is_opted_out {
            return Ok(());
        }
        let key = item.deduplication_id();
        self.signal(SignalKind::Typing, item, &addressee, &key, receipt, deadline, report).await.map(drop)
    }

    #[expect(clippy::too_many_arguments, reason = "all of them change from call to call")]
    async fn signal(
        &self,
        kind: SignalKind,
        item: &Streamed,
        addressee: &Addressee,
        key: &str,
        receipt: Receipt<'_>,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<Done> {
        let account = self.account(addressee, report).await?;
        let signal = Signal {
            kind,
            from: &addressee.business,
            to: &addressee.customer,
            contact_id: &item.initial_contact_id,
            key,
        };
        // Told now, since nobody who can't be told is to be waited for.
        account.credentials.signal(&signal)?;
        if deadline.remaining() < self.sender.shortest(&account) + RECORD {
            return Ok(Done::NotYet(NO_TIME));
        }
        let is_probe = match self.enter(&account) {
            Entry::Open => false,
            Entry::Probe => true,
            // It must be tried once before it may expire.
            Entry::Shut(_) if receipt.age >= self.patience.end => true,
            Entry::Shut(wait) => return Err(shut(wait)),
        };
        let time = deadline.remaining().saturating_sub(RECORD);
        let time = if is_probe { time.min(PROBE_TIMEOUT) } else { time };
        let Sent { outcome, answer } = self.sender.signal(&account, &signal, Deadline::after(time), report).await;
        self.gates().leave(&account.name, answer, (self.clock)());
        if let Err(error) = &outcome {
            self.learn(error, &account, &addressee.group_id, key, deadline).await?;
        }
        outcome.map(|_| Done::Yes)
    }

    /// Records an opt-out that the provider's answer told of, where nobody else keeps it. `by` names what was answered.
    pub(super) async fn learn(
        &self,
        error: &Error,
        account: &Account,
        group_id: &str,
        by: &str,
        deadline: Deadline,
    ) -> Result<()> {
        if error.kind() != Kind::OptedOut || !account.provider().facts().opts_out_by_answer {
            return Ok(());
        }
        let (conversation, _) = self.store.customer(group_id, deadline).await?;
        let groups = if conversation.known_as.is_empty() { vec![group_id.to_owned()] } else { conversation.known_as };
        self.store.opt_out_by_answer(&groups, by, deadline).await
    }
}
