//! A message's media become attachments of the chat, after its words and in their order.
//!
//! What was done is on record ([`MediaProgress`]): that the words were said, which medium is next, and, once its bytes are
//! stored, the attachment that only wants completing. So a delivery may stop between any two calls. What Connect or the
//! table fails is tried again like any message; what can't be fetched is tried five times within two minutes, in its
//! customer's turn, and then a line stands in its place.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use aws_config::SdkConfig;

use crate::{
    aws::{
        attachments::{NewFile, Taken, Upload, Uploads},
        participant::Said,
        session::{Connection, Conversation},
        settings::SettingsSource,
    },
    config,
    deadline::{Deadline, now},
    deliver::{
        Conversations,
        choice::InWords,
        contact::{agent_text, agent_words, media_line},
    },
    error::{Error, Kind, Result},
    inbound::Inbound,
    media::{
        aws::SocialMedia,
        body::{Broken, Exactly},
        fetch::{Fetcher, NotFetched},
        file::{ANY, Named},
        megabytes,
    },
    queue::pace::Starts,
    settings::Account,
    sms::{
        media::{AwsMedia, MediaSource},
        message::Media,
    },
    store::media::MediaProgress,
    telemetry::Report,
};

/// How often a medium is fetched,
const FETCHES: u32 = 5;

/// and for how long, in seconds.
const FETCH_SECONDS: i64 = 120;

/// What Connect takes ("API throttling quotas": `StartAttachmentUpload` 2 a second).
const UPLOADS_PER_SECOND: u32 = 2;

/// An upload that must wait longer for its turn goes back to the queue.
const LONGEST_TURN: Duration = Duration::from_secs(3);

/// What is kept of the time for saying and recording what came of a file.
const RECORD: Duration = Duration::from_millis(1500);

/// What bringing files into chats needs.
pub(super) struct Attachments {
    settings: SettingsSource,
    fetcher: Fetcher,
    social: SocialMedia,
    uploads: Uploads,
    pace: Mutex<Starts>,
    max_bytes: u64,
    extensions: Vec<String>,
}

/// What became of a medium.
enum Brought {
    /// It is in the chat.
    Yes,
    /// It is not, for good, and why; without words where nothing was tried.
    No(Option<String>),
    /// The chat has ended.
    Ended,
}

/// A medium that is about to be stored.
struct Opened {
    length: u64,
    content_type: Option<String>,
    source: Source,
}

/// Where its bytes come from.
enum Source {
    /// Through here.
    Here(Exactly, Broken),
    /// AWS puts it where it is told to.
    Aws(AwsMedia),
}

impl Attachments {
    /// No call is made, and no client.
    pub(super) fn new(sdk: &SdkConfig, config: config::Attachments) -> Self {
        Self {
            settings: SettingsSource::new(config.settings, sdk),
            fetcher: Fetcher::default(),
            social: SocialMedia::new(sdk),
            uploads: Uploads::default(),
            pace: Mutex::new(Starts::new(UPLOADS_PER_SECOND)),
            max_bytes: config.max_bytes,
            extensions: config.extensions,
        }
    }

    /// Waits for the turn of an upload.
    async fn take_turn(&self, clock: &(dyn Fn() -> Duration + Sync)) -> Result<()> {
        loop {
            let taken = self.pace.lock().unwrap_or_else(PoisonError::into_inner).take(clock());
            match taken {
                Ok(()) => return Ok(()),
                Err(wait) if wait <= LONGEST_TURN => tokio::time::sleep(wait).await,
                Err(wait) => {
                    return Err(Error::new(Kind::StartsPaced, "The file waits for its turn").retry_after(wait));
                }
            }
        }
    }

    /// Why a chat would not take it; none: it may.
    fn refusal(&self, named: &Named, length: Option<u64>) -> Option<String> {
        if length.is_some_and(|length| length > self.max_bytes) {
            return Some(format!("larger than {}", megabytes(self.max_bytes)));
        }
        if length == Some(0) {
            return Some("empty".to_owned());
        }
        if named.is_taken(&self.extensions) {
            return None;
        }
        Some(match named.extension.as_str() {
            "" => "of a type that the chat does not take".to_owned(),
            extension => format!("of a type that the chat does not take (.{extension})"),
        })
    }

    /// Opens a medium; none: there is nowhere to fetch it from.
    async fn open(
        &self,
        account: &Account,
        media: &Media,
        number_id: Option<&str>,
    ) -> Result<Option<Opened>, NotFetched> {
        let base = account.send_base_url.as_ref();
        let found = account.credentials.medium(media, number_id);
        let request = match found.map_err(|_| NotFetched::Refused("the account can't fetch it"))? {
            None => return Ok(None),
            Some(MediaSource::Http(request)) => request,
            Some(MediaSource::Lookup(request)) => self.fetcher.look_up(request, base).await?,
            Some(MediaSource::AwsSocial(media)) => {
                let described = self.social.describe(&media, base).await?;
                let (length, content_type) = (described.length, described.content_type);
                return Ok(Some(Opened { length, content_type, source: Source::Aws(media) }));
            }
        };
        let fetched = self.fetcher.open(&request, base, self.max_bytes).await?;
        let source = Source::Here(fetched.body, fetched.broken);
        Ok(Some(Opened { length: fetched.length, content_type: fetched.content_type, source }))
    }

    /// Stores a medium's bytes. `Ok(Err(…))`: it is the medium that failed, and not the place that it was to be stored at.
    async fn store(
        &self,
        account: &Account,
        source: Source,
        upload: &Upload,
        deadline: Deadline,
    ) -> Result<Result<(), NotFetched>> {
        match source {
            Source::Here(body, broken) => match self.uploads.put(upload, body, deadline).await {
                Ok(()) => Ok(Ok(())),
                Err(_) if broken.is_broken() => Ok(Err(NotFetched::Failed(None))),
                Err(error) => Err(error),
            },
            Source::Aws(media) => {
                let base = account.send_base_url.as_ref();
                Ok(self.social.put(&media, &upload.url, &upload.headers, base).await)
            }
        }
    }
}

impl Conversations {
    /// The media that become attachments: none where the feature is off.
    pub(super) fn media_apart<'a>(&self, inbound: &'a Inbound) -> &'a [Media] {
        if self.attachments.is_some() { &inbound.message.media } else { &[] }
    }

    /// What of the message is said before its media; none: nothing, or it was said before.
    pub(super) fn words(&self, inbound: &Inbound, media: Option<&MediaProgress>) -> Option<String> {
        if media.is_some() { None } else { self.in_words(inbound)(inbound) }
    }

    /// With its media in words, or without them where they come after it.
    pub(super) fn in_words(&self, inbound: &Inbound) -> InWords {
        if self.media_apart(inbound).is_empty() { |inbound| Some(agent_text(inbound)) } else { agent_words }
    }

    /// A chat ended between the words of a message and its media, which start the next one. Its start's token is spent.
    pub(super) async fn chat_died(
        &self,
        inbound: &Inbound,
        conversation: &mut Conversation,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<()> {
        report.note("the chat ended before the media were in it");
        conversation.participant_token = None;
        conversation.generation += 1;
        self.store.save(inbound, conversation, deadline).await
    }

    /// The message's words were said, or it has none: brings its media after them, and records the delivery. `No`: the chat has
    /// ended, and the media that are left, which `media` tells, start the next one.
    pub(super) async fn finish(
        &self,
        inbound: &Inbound,
        conversation: &mut Conversation,
        is_changed: bool,
        media: &mut Option<MediaProgress>,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<Said> {
        let apart = self.media_apart(inbound);
        if apart.is_empty() {
            self.store.delivered(inbound, is_changed.then_some(&*conversation), deadline).await?;
            return Ok(Said::Yes);
        }
        let contact_id = conversation.contact_id.clone().unwrap_or_default();
        let known = media.take();
        let is_known = known.as_ref().is_some_and(|known| known.contact_id == contact_id) && !is_changed;
        let mut progress = known.unwrap_or_default().into_chat(&contact_id);
        if !is_known {
            self.store.words_said(inbound, &progress, is_changed.then_some(&*conversation), deadline).await?;
            // Written once: the customer may opt in while the media are brought.
            conversation.opt_out_to_copy = None;
        }
        let connection = conversation.connection.as_ref().map(|connection| connection.token.clone());
        while let Some(medium) = apart.get(progress.at) {
            let said = match self.bring(inbound, medium, conversation, &mut progress, deadline, report).await? {
                Brought::Yes => {
                    report.count("AttachmentDelivered", 1);
                    Said::Yes
                }
                Brought::No(why) => {
                    report.count("AttachmentNotDelivered", 1);
                    let line = media_line(inbound.provider, medium, why.as_deref());
                    let token = inbound.client_token(&["medium", &progress.at.to_string()]);
                    self.participants.say(conversation, &line, &token, deadline, report).await?
                }
                Brought::Ended => Said::No,
            };
            if said == Said::No {
                *media = Some(progress);
                return Ok(Said::No);
            }
            progress.advance();
            if progress.at < apart.len() {
                self.store.words_said(inbound, &progress, None, deadline).await?;
            }
        }
        let is_new = conversation.connection.as_ref().map(|connection| &connection.token) != connection.as_ref();
        self.store.delivered(inbound, is_new.then_some(&*conversation), deadline).await?;
        Ok(Said::Yes)
    }

    /// Brings one medium into the chat, as far as it goes this time.
    async fn bring(
        &self,
        inbound: &Inbound,
        medium: &Media,
        conversation: &mut Conversation,
        progress: &mut MediaProgress,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<Brought> {
        let Some(attachments) = &self.attachments else { return Ok(Brought::No(None)) };
        if let Some(id) = progress.attachment_id.clone() {
            return self.complete(inbound, &id, conversation, deadline, report).await;
        }
        // What can be told without it is not fetched.
        let named = Named::of(medium, None, progress.at);
        let length = medium.size.filter(|size| *size > 0);
        if let Some(why) = attachments.refusal(&named, length)
            && (length.is_some_and(|length| length > attachments.max_bytes)
                || medium.content_type.is_some() && named.content_type != ANY)
        {
            return Ok(Brought::No(Some(why)));
        }
        let settings = attachments.settings.current(report).await?;
        let ours = &inbound.message.to;
        let Some(account) = settings.account_for(inbound.provider, &inbound.account, ours).cloned() else {
            return Ok(Brought::No(Some("the settings no longer have its account".to_owned())));
        };
        attachments.take_turn(&|| self.made.elapsed()).await?;
        let number_id = inbound.reply_from.as_deref();
        let time = deadline.remaining().saturating_sub(RECORD);
        let opened = tokio::time::timeout(time, attachments.open(&account, medium, number_id)).await;
        let opened = match opened.unwrap_or(Err(NotFetched::Failed(None))) {
            Ok(Some(opened)) => opened,
            Ok(None) => return Ok(Brought::No(None)),
            Err(not_fetched) => return self.not_fetched(inbound, not_fetched, progress, deadline).await,
        };
        let named = Named::of(medium, opened.content_type.as_deref(), progress.at);
        if let Some(why) = attachments.refusal(&named, Some(opened.length)) {
            return Ok(Brought::No(Some(why)));
        }
        let file = NewFile { name: &named.name, content_type: &named.content_type, length: opened.length };
        let upload = match self.start_upload(inbound, &file, conversation, progress, deadline, report).await? {
            None => return Ok(Brought::Ended),
            Some(Taken::No(why)) => return Ok(Brought::No(Some(why.to_owned()))),
            Some(Taken::Yes(upload)) => upload,
        };
        if let Some(brought) = self.put(inbound, &account, opened.source, &upload, progress, deadline).await? {
            return Ok(brought);
        }
        progress.attachment_id = Some(upload.attachment_id.clone());
        self.store.words_said(inbound, progress, None, deadline).await?;
        self.complete(inbound, &upload.attachment_id, conversation, deadline, report).await
    }

    /// Puts a medium's bytes where they belong; some: it is over with it.
    async fn put(
        &self,
        inbound: &Inbound,
        account: &Account,
        source: Source,
        upload: &Upload,
        progress: &mut MediaProgress,
        deadline: Deadline,
    ) -> Result<Option<Brought>> {
        let Some(attachments) = &self.attachments else { return Ok(Some(Brought::No(None))) };
        let until = Deadline::after(deadline.remaining().saturating_sub(RECORD));
        let stored = attachments.store(account, source, upload, until);
        let stored = match tokio::time::timeout(until.remaining() + RECORD / 3, stored).await {
            Ok(stored) => stored,
            Err(_) => Ok(Err(NotFetched::Failed(None))),
        };
        match stored {
            Ok(Ok(())) => Ok(None),
            Ok(Err(not_fetched)) => {
                progress.uploads += 1;
                self.not_fetched(inbound, not_fetched, progress, deadline).await.map(Some)
            }
            Err(error) => {
                // The URL may be at fault, which the same token would give again.
                progress.uploads += 1;
                self.store.words_said(inbound, progress, None, deadline).await?;
                Err(error)
            }
        }
    }

    /// `StartAttachmentUpload`; none: the chat has ended.
    async fn start_upload(
        &self,
        inbound: &Inbound,
        file: &NewFile<'_>,
        conversation: &mut Conversation,
        progress: &MediaProgress,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<Option<Taken<Upload>>> {
        let (at, uploads) = (progress.at.to_string(), progress.uploads.to_string());
        // A file that has another length by now is another upload.
        let length = file.length.to_string();
        let token = inbound.client_token(&["upload", &progress.contact_id, &at, &uploads, &length]);
        let call = async |connection: &Connection, report: &mut Report| {
            self.participants.start_upload(connection, file, &token, report).await
        };
        self.participants.in_chat(conversation, deadline, report, call).await
    }

    /// `CompleteAttachmentUpload`.
    async fn complete(
        &self,
        inbound: &Inbound,
        attachment_id: &str,
        conversation: &mut Conversation,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<Brought> {
        let token = inbound.client_token(&["complete", attachment_id]);
        let call = async |connection: &Connection, report: &mut Report| {
            self.participants.complete_upload(connection, attachment_id, &token, report).await
        };
        let completed = self.participants.in_chat(conversation, deadline, report, call).await?;
        Ok(match completed {
            None => Brought::Ended,
            Some(Taken::Yes(())) => Brought::Yes,
            Some(Taken::No(why)) => Brought::No(Some(why.to_owned())),
        })
    }

    /// A medium was not fetched: a line for good, or another try.
    async fn not_fetched(
        &self,
        inbound: &Inbound,
        not_fetched: NotFetched,
        progress: &mut MediaProgress,
        deadline: Deadline,
    ) -> Result<Brought> {
        let wait = match not_fetched {
            NotFetched::Refused(why) => return Ok(Brought::No(Some(why.to_owned()))),
            NotFetched::TooLarge => {
                let most = self.attachments.as_ref().map_or(0, |attachments| attachments.max_bytes);
                return Ok(Brought::No(Some(format!("larger than {}", megabytes(most)))));
            }
            NotFetched::Failed(wait) => wait.unwrap_or_default(),
        };
        progress.fetches += 1;
        let since = *progress.since.get_or_insert_with(now);
        let left = u64::try_from(since + FETCH_SECONDS - now()).unwrap_or_default();
        if progress.fetches >= FETCHES || left == 0 {
            return Ok(Brought::No(Some("could not be fetched".to_owned())));
        }
        self.store.words_said(inbound, progress, None, deadline).await?;
        let error = Error::new(Kind::ProviderUnavailable, "A medium could not be fetched");
        Err(error.retry_after(wait.min(Duration::from_secs(left))))
    }
}
