//! What is done about a status: the agent is told what was not delivered, and, if that is wanted, what was delivered and
//! read; an opt-out is recorded.
//!
//! Statuses come in any order, and more than once. A text's state only goes forward, so each is acted upon once. What must
//! not be lost is done before the record: it has a token, or is the same when it is done again.

use jiff::Timestamp;

use crate::{
    aws::session::Conversation,
    config::Receipts,
    deadline::{Deadline, now},
    deliver::Conversations,
    error::{Error, Kind, Result},
    inbound_status::InboundStatus,
    sms::status::{Meaning, State, Status},
    store::{
        replies::Notice,
        statuses::{Deliveries, KnownReply, SentText, WORDS_CHARS},
    },
    telemetry::Report,
    tell::{Note, noted, tell},
};

/// How often the statuses of a reply's parts may meet.
const TRIES: usize = 8;

const DELIVERED: &str = "application/vnd.amazonaws.connect.event.message.delivered";
const READ: &str = "application/vnd.amazonaws.connect.event.message.read";

/// What came of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// All that there was to do.
    Done,
    /// No text has this id. Its record may be a moment late.
    Unknown,
}

impl Conversations {
    /// Does what a status asks for. `is_replaced`: the same text's *read* is at hand, so a *delivered* need not be told.
    pub async fn apply(
        &self,
        item: &InboundStatus,
        is_replaced: bool,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<Applied> {
        if let Some(once) = &item.once
            && !self.store.first_use(&item.deduplication_id(), once, deadline).await?
        {
            return Err(Error::new(Kind::Unverified, "What was signed for one webhook came with another"));
        }
        let status = &item.status;
        if status.state == State::Sent {
            report.note("a text is on its way");
            return Ok(Applied::Done);
        }
        let Some(text) = self.store.sent_text(item.provider, &status.message_id, deadline).await? else {
            return Ok(Applied::Unknown);
        };
        if !status.accounts.contains(&text.account) {
            report.note("another account sent that text");
            report.count("StatusUnknown", 1);
            return Ok(Applied::Done);
        }
        report.contact_id = Some(text.contact_id.clone());
        for _ in 0..TRIES {
            let KnownReply { mut deliveries, conversation, is_opted_out } =
                self.store.known_reply(&text, deadline).await?;
            if status.state <= deliveries.of(&text) {
                report.note("a state that the text has, or had");
                return Ok(Applied::Done);
            }
            let before = deliveries.all();
            deliveries.set(&text, status.state);
            if status.is_opt_out && !is_opted_out {
                self.store
                    .opt_out_since(
                        std::slice::from_ref(&text.group_id),
                        since(status),
                        &item.deduplication_id(),
                        deadline,
                    )
                    .await?;
                report.note("opted out");
                report.count("OptedOut", 1);
            }
            if status.meaning == Some(Meaning::WindowClosed) {
                self.store.close_window(&text.group_id, deadline).await?;
            }
            if status.state == State::Failed && self.config.receipts != Receipts::Off && !deliveries.was_told {
                self.tell_failure(status, &text, deadline, report).await?;
                deliveries.was_told = true;
            }
            if !self.store.put_deliveries(&text, &deliveries, deadline).await? {
                continue;
            }
            count(status, report);
            if self.config.receipts == Receipts::All && !is_replaced {
                self.send_receipt(&text, before, &deliveries, &conversation, deadline, report).await;
            }
            return Ok(Applied::Done);
        }
        Err(Error::new(Kind::StoreUnavailable, "The reply's other statuses come too fast"))
    }

    /// The agent reads what was not delivered, and why: once per reply.
    async fn tell_failure(
        &self,
        status: &Status,
        text: &SentText,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<()> {
        let mut words = text.words.clone();
        if words.chars().count() >= WORDS_CHARS {
            words.push('…');
        }
        let note = Note {
            id: text.reply(),
            is_automatic: text.is_automatic,
            notice: Notice::NotDelivered,
            group_id: &text.group_id,
            text: &noted("[not delivered] ", words, status.why()),
        };
        tell(&self.store, &self.participants, &note, deadline, report).await.map(drop)
    }

    /// Connect's own page shows it beside the message. It is not worth a second try: a throttle means that messages need the
    /// quota, and a conflict that more than two are in the chat, where there are no receipts.
    async fn send_receipt(
        &self,
        text: &SentText,
        before: State,
        deliveries: &Deliveries,
        conversation: &Conversation,
        deadline: Deadline,
        report: &mut Report,
    ) {
        let state = deliveries.all();
        let content_type = match state {
            State::Sent | State::Failed => return,
            State::Delivered => DELIVERED,
            State::Read => READ,
        };
        if state <= before {
            return;
        }
        let is_open = conversation.contact_id.as_deref() == Some(&*text.contact_id);
        let connection = conversation.connection.as_ref().filter(|connection| is_open && !connection.is_over());
        let Some(connection) = connection else { return report.note("no receipt: nobody is connected to that chat") };
        let sent = self.participants.send_receipt(connection, content_type, &text.item_id, deadline, report).await;
        report.note(if sent.is_ok() { "a receipt" } else { "no receipt: Connect did not take it" });
    }
}

/// When the customer had opted out, as far as the provider says.
fn since(status: &Status) -> i64 {
    let at = status.at.as_deref().and_then(|time| time.parse::<Timestamp>().ok());
    at.map_or_else(now, Timestamp::as_second)
}

fn count(status: &Status, report: &mut Report) {
    match status.state {
        State::Sent | State::Read => {}
        State::Delivered => report.count("TextDelivered", 1),
        State::Failed => {
            let meaning = status.meaning.unwrap_or(Meaning::Undelivered);
            report.count_by_code("TextFailed", meaning.code(), 1);
        }
    }
}
