//! What the agent is told of a reply: a note in the chat, as said by the customer's participant, once.

use crate::{
    aws::participant::{Participants, Said},
    chat::{CONTENT_BYTES, cut_to},
    deadline::Deadline,
    digest::hash,
    error::{Kind, Result},
    store::{
        conversations::Store,
        replies::{Notice, ReplyId},
    },
    telemetry::Report,
};

/// Who knows what became of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The agent, in the chat.
    Agent,
    /// Whoever reads the chat, of an earlier one.
    Before,
    /// Nobody in the chat could be told.
    Nobody,
}

/// A note on a reply.
pub(crate) struct Note<'a> {
    /// The reply.
    pub id: ReplyId<'a>,
    /// A bot or the flow said it.
    pub is_automatic: bool,
    /// What the note is about.
    pub notice: Notice,
    /// The customer's group.
    pub group_id: &'a str,
    /// What the agent reads.
    pub text: &'a str,
}

/// Says a note in the chat, once per reply. What a bot or the flow says is told of once per chat: a bot takes what it is
/// told for the customer's answer, and answers that, without end.
pub(crate) async fn tell(
    store: &Store,
    participants: &Participants,
    note: &Note<'_>,
    deadline: Deadline,
    report: &mut Report,
) -> Result<Told> {
    let id = note.id;
    let (mut conversation, _) = store.customer(note.group_id, deadline).await?;
    if conversation.contact_id.as_deref() != Some(id.contact_id) {
        report.note("the agent was not told: the chat has ended");
        return Ok(Told::Nobody);
    }
    if note.is_automatic && store.was_told(id, note.notice, deadline).await? {
        report.note("the chat was told of an earlier one");
        return Ok(Told::Before);
    }
    let purpose = match note.notice {
        Notice::NotDelivered => "not delivered",
        Notice::Delayed => "delayed",
    };
    let token = hash(&[purpose, id.contact_id, id.item_id]);
    let (told, said) = match participants.say(&mut conversation, note.text, &token, deadline, report).await {
        Ok(Said::Yes) => {
            if note.is_automatic {
                store.told(id, note.notice, deadline).await?;
            }
            (Told::Agent, "the agent was told")
        }
        Ok(Said::No) => (Told::Nobody, "the agent was not told: the chat has ended"),
        // No later try would be taken either, and the owner must know.
        Err(error) if error.kind() == Kind::ConnectRejected => {
            (Told::Nobody, "the agent was not told: Connect refuses it")
        }
        Err(error) => return Err(error),
    };
    report.note(said);
    Ok(told)
}

/// What an agent reads, within what Connect takes: a mark, the words that it is about, and why.
pub(crate) fn noted(mark: &str, words: String, why: &str) -> String {
    let why = format!("\n({why})");
    format!("{mark}{}{why}", cut_to(words, CONTENT_BYTES.end() - mark.len() - why.len()))
}
