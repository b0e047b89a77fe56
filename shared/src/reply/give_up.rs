//! What can't be sent, or not for now, the agent reads in the chat, as said by the customer's participant: `[not delivered] …`
//! with the words that were not sent, and why, or `[delayed] …`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{
    deadline::Deadline,
    error::{Error, Kind, Result},
    queue::batch::{Failed, Receipt},
    reply::{
        Replies, Undelivered, name, rest,
        streamed::{Content, Streamed},
        text,
    },
    sms::status::Meaning,
    store::replies::{Ending, Notice, ReplyId},
    telemetry::Report,
    tell::{Note, Told, noted, tell},
};

impl Replies {
    /// The reply will not be sent: it is so recorded, and the agent is told, once.
    pub async fn give_up(
        &self,
        item: &Streamed,
        receipt: Receipt<'_>,
        failed: &Failed<Undelivered>,
        reason: &str,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<Told> {
        let id = name(item);
        let found;
        let left = if failed.left.group_id.is_some() {
            &failed.left
        } else {
            found = self.left(id, deadline).await?;
            &found
        };
        let Some(group_id) = &left.group_id else { return Ok(Told::Nobody) };
        let words = match &left.words {
            Some(words) => words.clone(),
            // What it panicked at may have been this.
            None => match read(item) {
                Ok(Content::Text(words)) => rest(&words, left.part).to_owned(),
                Ok(Content::Files(files)) => text::names(files.get(left.part.number..).unwrap_or_default()),
                Ok(Content::Unsendable) => "a message of a kind that can't be sent as a text".to_owned(),
                Ok(Content::Ended | Content::Typing | Content::Nothing(_)) => return Ok(Told::Nobody),
                Err(_) => "a message that could not be read".to_owned(),
            },
        };
        let ending = Ending {
            part: left.part,
            item: receipt.item,
            reason,
            taken: left.taken.as_ref().map(|taken| (group_id.as_str(), taken)),
        };
        if !self.store.give_reply_up(id, left.by.as_deref(), &ending, deadline).await? {
            return Err(Error::new(Kind::StoreUnavailable, "The reply was changed by a concurrent invocation"));
        }
        report.count("ReplyNotDelivered", 1);
        let text = noted("[not delivered] ", words, left.why.as_deref().unwrap_or_else(|| why(reason)));
        self.tell(item, Notice::NotDelivered, group_id, &text, deadline, report).await
    }

    /// The reply waits for its provider: the agent is told, once.
    pub async fn tell_delay(&self, item: &Streamed, deadline: Deadline, report: &mut Report) -> Result<()> {
        let words = match read(item) {
            Ok(Content::Text(words)) => words,
            Ok(Content::Files(files)) => text::names(&files),
            _ => return Ok(()),
        };
        let Some(group_id) = self.left(name(item), deadline).await?.group_id else { return Ok(()) };
        report.count("ReplyDelayed", 1);
        let text = noted("[delayed] ", words, "the provider takes no messages now; it is tried again");
        self.tell(item, Notice::Delayed, &group_id, &text, deadline, report).await.map(drop)
    }

    /// Says a note in the chat: see [`tell`].
    async fn tell(
        &self,
        item: &Streamed,
        notice: Notice,
        group_id: &str,
        text: &str,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<Told> {
        let note = Note { id: name(item), is_automatic: item.is_automatic, notice, group_id, text };
        tell(&self.store, &self.participants, &note, deadline, report).await
    }

    /// How far a reply is whose delivery did not live to tell.
    async fn left(&self, id: ReplyId<'_>, deadline: Deadline) -> Result<Undelivered> {
        let known = self.store.reply(id, deadline).await?;
        Ok(Undelivered {
            part: known.part(),
            by: known.by,
            words: None,
            why: None,
            taken: None,
            group_id: known.addressee.map(|addressee| addressee.group_id),
        })
    }
}

/// What an agent reads of a reason.
fn why(reason: &str) -> &'static str {
    match reason {
        "opted_out" => "the customer has opted out of messages",
        "window_closed" => Meaning::WindowClosed.words(),
        "may_have_been_delivered" => {
            "the provider did not answer: the customer may have received the first part of this"
        }
        "send_refused" => "the provider refused it",
        "expired" => "the provider took no messages for too long",
        _ => "the bridge could not send it",
    }
}

/// What it says; an error where that can't be read without a panic.
fn read(item: &Streamed) -> std::thread::Result<Content> {
    catch_unwind(AssertUnwindSafe(|| item.content()))
}
