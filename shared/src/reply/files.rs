//! Agents' files: each is a part of its reply, and goes by a URL that is fetched anew at each try.

use std::time::Duration;

use crate::{
    aws::{attachments::Taken, session::Connection},
    deadline::Deadline,
    error::{Error, Kind, Result},
    media::file::essence,
    queue::{
        batch::Done,
        gate::{Entry, PROBE_TIMEOUT},
    },
    reply::{LEASED, Outcome, RECORD, Replies, Reply, is_final, key, opted_out, shut, streamed::AgentsFile, text},
    sender::Sent,
    settings::Account,
    sms::{
        media::{File, not_carried},
        send::{self, Outbound},
    },
    store::replies::{NextPart, Part, ReplyLease},
    telemetry::Report,
};

impl Replies {
    /// Hands the files over, one after the other.
    pub(super) async fn send_files(
        &self,
        reply: &Reply<'_>,
        account: &Account,
        lease: ReplyLease<'_>,
        mut is_probe: bool,
        deadline: Deadline,
        report: &mut Report,
    ) -> Outcome {
        let owner = lease.owner().to_owned();
        let mut part = reply.part;
        let mut last = None;
        while let Some(file) = reply.files.get(part.number) {
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
            let sent = self.send_one(reply, file, part, account, is_probe, deadline, report).await;
            is_probe = false;
            let taken = match sent {
                Ok(taken) => reply.taken(part, &text::names(std::slice::from_ref(file)), account, taken),
                Err(error) => {
                    self.remember(reply, &error, account, deadline).await?;
                    if !is_final(&error) {
                        self.store.postpone_reply(lease, part, deadline).await?;
                    }
                    return Err(reply.ended(error, part, Some(&owner)));
                }
            };
            report.count("FileSent", 1);
            part = Part { number: part.number + 1, at: 0 };
            if part.number >= reply.files.len() {
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
        self.store.reply_sent(lease, part, None, last.as_ref(), deadline).await?;
        report.count("ReplyDelivered", 1);
        Ok(Done::Yes)
    }

    /// Hands one file to the provider, and tells the account's gate what came of it.
    #[expect(clippy::too_many_arguments, reason = "all of them change from call to call")]
    async fn send_one(
        &self,
        reply: &Reply<'_>,
        file: &AgentsFile,
        part: Part,
        account: &Account,
        is_probe: bool,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<send::Taken> {
        let url = self.url_of(reply, file, deadline, report).await?;
        let content_type = essence(&file.content_type);
        let key = key(reply.id, part.number);
        let addressee = &reply.addressee;
        let status_url = self.status_url(account);
        let outbound = Outbound {
            channel: addressee.channel,
            from: &addressee.business,
            from_id: addressee.business_id.as_deref(),
            to: &addressee.customer,
            text: "",
            choices: None,
            contact_id: reply.id.contact_id,
            key: &key,
            status_url: status_url.as_deref(),
        };
        let time = deadline.remaining().saturating_sub(RECORD);
        let time = if is_probe { time.min(PROBE_TIMEOUT) } else { time };
        let sent = File { name: &file.name, content_type: &content_type, url: &url, id: None };
        let Sent { outcome, answer } =
            self.sender.send_file(account, &outbound, &sent, Deadline::after(time), report).await;
        self.gates().leave(&account.name, answer, (self.clock)());
        outcome
    }

    /// Where a file can be fetched for five minutes: by the customer's own participant.
    async fn url_of(
        &self,
        reply: &Reply<'_>,
        file: &AgentsFile,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<String> {
        let (mut conversation, _) = self.store.customer(&reply.addressee.group_id, deadline).await?;
        if conversation.contact_id.as_deref() != Some(reply.id.contact_id) {
            return Err(not_carried("the chat has ended"));
        }
        let call = async |connection: &Connection, report: &mut Report| {
            self.participants.attachment_url(connection, &file.id, report).await
        };
        let asked = self.participants.in_chat(&mut conversation, deadline, report, call);
        // Cut off by the invocation's end, nobody would know whether the file was sent.
        let time = deadline.remaining().saturating_sub(RECORD);
        let late = |_| Error::new(Kind::ConnectUnavailable, "GetAttachment was not answered");
        match tokio::time::timeout(time, asked).await.map_err(late)?? {
            Some(Taken::Yes(url)) => Ok(url),
            Some(Taken::No(_)) => Err(not_carried("the chat no longer has it")),
            None => Err(not_carried("the chat has ended")),
        }
    }
}
