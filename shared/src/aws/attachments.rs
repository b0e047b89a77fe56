//! Attachments of a chat, by the Participant Service: a file goes in by three steps, and out by its URL.
//!
//! `StartAttachmentUpload` (which signs the length) → PUT of the bytes with exactly the headers that it named →
//! `CompleteAttachmentUpload`. <https://docs.aws.amazon.com/connect-participant/latest/APIReference/API_StartAttachmentUpload.html>

use std::{collections::HashMap, sync::OnceLock, time::Duration};

use aws_sdk_connectparticipant::error::ProvideErrorMetadata;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{
    aws::{
        FRESH,
        connect::Timed,
        participant::{Participants, refused},
        session::{Connection, Conversation},
    },
    deadline::Deadline,
    error::{Error, Kind, Result},
    media::{body::Exactly, fetch::root},
    telemetry::Report,
};

/// How long `GetAttachment`'s URL is good, at most.
const URL_SECONDS: i32 = 300;

/// How long after a conflict a completion is tried again.
const CONFLICT_WAIT: Duration = Duration::from_millis(500);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A file that is to go into a chat.
pub(crate) struct NewFile<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// Its media type.
    pub(crate) content_type: &'a str,
    /// Its exact length.
    pub(crate) length: u64,
}

/// Where its bytes go. Not `Debug`: the URL is a capability.
pub(crate) struct Upload {
    /// Its id in the chat.
    pub(crate) attachment_id: String,
    /// Where to PUT.
    pub(crate) url: String,
    /// With which headers.
    pub(crate) headers: HashMap<String, String>,
}

/// What Connect says to a file.
pub(crate) enum Taken<T> {
    /// It takes it.
    Yes(T),
    /// It does not, for good; in words for the agent.
    No(&'static str),
}

/// Puts files where Connect wants them.
#[derive(Default)]
pub(crate) struct Uploads {
    http: OnceLock<reqwest::Client>,
}

impl Participants {
    /// Does something in the customer's chat; none: the chat has ended. A connection token that is refused may only be old,
    /// whatever its record says: a new one tells, and is put into `conversation`, which the caller may keep.
    pub(crate) async fn in_chat<T>(
        &self,
        conversation: &mut Conversation,
        deadline: Deadline,
        report: &mut Report,
        mut call: impl AsyncFnMut(&Connection, &mut Report) -> Result<T>,
    ) -> Result<Option<T>> {
        let Some(participant_token) = conversation.participant_token.clone() else { return Ok(None) };
        if let Some(connection) = conversation.connection.as_ref().filter(|connection| !connection.is_over()) {
            match call(connection, report).await {
                Err(error) if error.kind() == Kind::ChatEnded => (),
                outcome => return outcome.map(Some),
            }
        }
        let connection = match self.refresh(participant_token.expose(), deadline, report).await {
            Ok(connection) => connection,
            Err(error) if error.kind() == Kind::ChatEnded => return Ok(None),
            Err(error) => return Err(error),
        };
        report.note("new connection token");
        let connection = conversation.connection.insert(connection);
        match call(connection, report).await {
            Err(error) if error.kind() == Kind::ChatEnded => Ok(None),
            outcome => outcome.map(Some),
        }
    }

    /// `StartAttachmentUpload`.
    pub(crate) async fn start_upload(
        &self,
        connection: &Connection,
        file: &NewFile<'_>,
        client_token: &str,
        report: &mut Report,
    ) -> Result<Taken<Upload>> {
        let call = Timed::new(report);
        let request = self
            .client
            .start_attachment_upload()
            .connection_token(connection.token.expose())
            .attachment_name(file.name)
            .content_type(file.content_type)
            .attachment_size_in_bytes(i64::try_from(file.length).unwrap_or(i64::MAX))
            .client_token(client_token);
        let outcome = Box::pin(request.send()).await;
        drop(call);
        let output = match outcome {
            Ok(output) => output,
            Err(error) => return not_taken(error.code(), refused("StartAttachmentUpload", &error)),
        };
        let (Some(attachment_id), Some(metadata)) = (output.attachment_id, output.upload_metadata) else {
            return Err(Error::internal("StartAttachmentUpload answered without an upload"));
        };
        let url = metadata.url.ok_or_else(|| Error::internal("StartAttachmentUpload answered without a URL"))?;
        Ok(Taken::Yes(Upload { attachment_id, url, headers: metadata.headers_to_include.unwrap_or_default() }))
    }

    /// `CompleteAttachmentUpload`. Whoever meets a conflict twice finds the attachment completed by an earlier try.
    pub(crate) async fn complete_upload(
        &self,
        connection: &Connection,
        attachment_id: &str,
        client_token: &str,
        report: &mut Report,
    ) -> Result<Taken<()>> {
        let request = self
            .client
            .complete_attachment_upload()
            .connection_token(connection.token.expose())
            .attachment_ids(attachment_id)
            .client_token(client_token);
        let mut is_conflict = false;
        loop {
            let call = Timed::new(report);
            let outcome = Box::pin(request.clone().send()).await;
            drop(call);
            let Err(error) = outcome else { return Ok(Taken::Yes(())) };
            match error.raw_response().map(|response| response.status().as_u16()) {
                Some(409) if is_conflict => return Ok(Taken::Yes(())),
                Some(409) => {
                    is_conflict = true;
                    tokio::time::sleep(CONFLICT_WAIT).await;
                }
                _ => return not_taken(error.code(), refused("CompleteAttachmentUpload", &error)),
            }
        }
    }

    /// `GetAttachment`: a URL that anyone may open for five minutes.
    pub(crate) async fn attachment_url(
        &self,
        connection: &Connection,
        attachment_id: &str,
        report: &mut Report,
    ) -> Result<Taken<String>> {
        let call = Timed::new(report);
        let request = self
            .client
            .get_attachment()
            .connection_token(connection.token.expose())
            .attachment_id(attachment_id)
            .url_expiry_in_seconds(URL_SECONDS);
        let outcome = Box::pin(request.send()).await;
        drop(call);
        match outcome {
            Ok(output) => {
                let url = output.url.ok_or_else(|| Error::internal("GetAttachment answered without a URL"))?;
                Ok(Taken::Yes(url))
            }
            Err(error) => not_taken(error.code(), refused("GetAttachment", &error)),
        }
    }
}

fn not_taken<T>(code: Option<&str>, error: Error) -> Result<Taken<T>> {
    match (code, error.kind()) {
        (Some("ServiceQuotaExceededException"), _) => Ok(Taken::No("the chat takes no more files")),
        (_, Kind::ConnectRejected) => {
            tracing::warn!(?error, "Connect does not take a file");
            Ok(Taken::No("the chat does not take this file"))
        }
        _ => Err(error),
    }
}

impl Uploads {
    /// PUTs a file, with exactly the headers that were named.
    pub(crate) async fn put(&self, upload: &Upload, body: Exactly, deadline: Deadline) -> Result<()> {
        let failed = |cause: String| {
            Error::new(Kind::ConnectUnavailable, "The file could not be stored").caused_by(format!("PUT: {cause}"))
        };
        let mut headers = HeaderMap::new();
        for (name, value) in &upload.headers {
            let header = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value));
            let (Ok(name), Ok(value)) = header else { return Err(failed("a header can't be sent".to_owned())) };
            headers.insert(name, value);
        }
        let request = self.http()?.put(&upload.url).headers(headers).body(reqwest::Body::wrap(body));
        let answer = request.timeout(deadline.remaining()).send().await.map_err(|error| failed(root(&error)))?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(failed(format!("HTTP {}", status.as_u16()))),
        }
    }

    fn http(&self) -> Result<&reqwest::Client> {
        if let Some(client) = self.http.get() {
            return Ok(client);
        }
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(FRESH)
            .retry(reqwest::retry::never())
            .build()
            .map_err(Error::internal)?;
        Ok(self.http.get_or_init(|| client))
    }
}
