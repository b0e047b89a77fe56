//! Agents' files: uploaded where the provider has an upload, else sent by their URL.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{
    HeaderMap,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};
use uuid::Uuid;

use crate::{
    deadline::Deadline,
    error::{Error, Result},
    media::{
        body::{Broken, Exactly, between},
        fetch::root,
    },
    queue::gate::Answer,
    sender::{ANSWER_BYTES, Sender, Sent, answer, aws},
    settings::Account,
    sms::{
        media::{File, FileUpload, SendFile},
        send::{HttpRequest, NotTaken, Outbound, Reason, code_at},
    },
    telemetry::Report,
};

impl Sender {
    /// Hands a file to the account's provider, once, within `deadline`.
    pub(crate) async fn send_file(
        &self,
        account: &Account,
        outbound: &Outbound<'_>,
        file: &File<'_>,
        deadline: Deadline,
        report: &mut Report,
    ) -> Sent {
        let refused = |error| Sent { outcome: Err(error), answer: Answer::Answered };
        let upload = match account.credentials.send_file(outbound, file) {
            Ok(SendFile::Call(call)) => return self.call(account, Ok(call), deadline, report).await,
            Ok(SendFile::Upload(upload)) => upload,
            Err(error) => return refused(error),
        };
        let (started, timeout) = (Instant::now(), deadline.remaining());
        let uploaded = self.upload(account, upload, file, timeout).await;
        let took = started.elapsed();
        report.provider_called(took);
        let id = match uploaded {
            Ok(id) => id,
            Err(error) => return Sent { answer: answer(&error, took, timeout), outcome: Err(error) },
        };
        match account.credentials.send_file(outbound, &File { id: Some(&id), ..*file }) {
            Ok(SendFile::Call(call)) => self.call(account, Ok(call), deadline, report).await,
            Ok(SendFile::Upload(_)) => refused(Error::internal("a file that was uploaded is to be uploaded")),
            Err(error) => refused(error),
        }
    }

    /// The provider's id of a file. Nothing is sent by it, so it may be tried again, whatever becomes of it.
    async fn upload(
        &self,
        account: &Account,
        upload: FileUpload,
        file: &File<'_>,
        timeout: Duration,
    ) -> Result<String> {
        let provider = account.provider().as_str();
        let unavailable = |what: &str| NotTaken::new(Reason::Unavailable, what).into_error(provider, None);
        match upload {
            FileUpload::Form { request, fields, file_field, id_at } => {
                let form = self.post_form(account, &request, &fields, file_field, file);
                let body = tokio::time::timeout(timeout, form).await.map_err(|_| unavailable("timeout"))??;
                code_at(&body, id_at).ok_or_else(|| unavailable("the upload has no id"))
            }
            FileUpload::AwsSocial { region, phone_number_id } => {
                let source = (file.url, file.content_type);
                let base = account.send_base_url.as_ref();
                let posted = self.social.post(&phone_number_id, region.as_deref(), source, base, timeout).await;
                posted.map_err(|error| match error {
                    Some(error) => aws::upload_failure(&error),
                    None => unavailable("timeout"),
                })
            }
        }
    }

    /// Streams a file from its URL into a form.
    async fn post_form(
        &self,
        account: &Account,
        request: &HttpRequest,
        fields: &[(&'static str, String)],
        file_field: &str,
        file: &File<'_>,
    ) -> Result<Vec<u8>> {
        let provider = account.provider().as_str();
        let unavailable = |what: &str| NotTaken::new(Reason::Unavailable, what).into_error(provider, None);
        let source = self.http()?.get(file.url).send().await.map_err(|error| {
            tracing::warn!(cause = root(&error), "an agent's file could not be fetched");
            unavailable("the file could not be fetched")
        })?;
        let length = source.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        let (true, Some(length)) = (source.status().is_success(), length) else {
            return Err(unavailable("the file could not be fetched"));
        };
        let boundary = format!("form-{}", Uuid::new_v4().simple());
        let mut before = String::new();
        for (name, value) in fields {
            before += &format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        }
        before += &format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{file_field}\"; filename=\"{}\"\r\n\
             Content-Type: {}\r\n\r\n",
            quoted(file.name),
            file.content_type
        );
        let after = format!("\r\n--{boundary}--\r\n");
        let around = u64::try_from(before.len() + after.len()).unwrap_or_default();
        let body = Exactly::new(reqwest::Body::from(source), length, Broken::default());
        let body = between(Bytes::from(before), body, Bytes::from(after));
        let body = Exactly::new(body, length + around, Broken::default());
        let headers: HeaderMap = request.headers.iter().cloned().collect();
        let posted = self
            .http()?
            .post(request.url(account.send_base_url.as_ref())?)
            .headers(headers)
            .header(CONTENT_TYPE, format!("multipart/form-data; boundary={boundary}"))
            .body(reqwest::Body::wrap(body));
        let mut answer = posted.send().await.map_err(|error| {
            tracing::warn!(cause = root(&error), "an agent's file could not be uploaded");
            unavailable("the connection broke")
        })?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = answer.chunk().await {
            if body.len() + chunk.len() > ANSWER_BYTES {
                break;
            }
            body.extend_from_slice(&chunk);
        }
        match account.credentials.read_answer(status, &body) {
            Ok(_) => Ok(body),
            Err(not_taken) => Err(nothing_sent(not_taken).into_error(provider, Some(status.as_u16()))),
        }
    }
}

/// An upload whose outcome is unknown has sent nothing.
pub(super) fn nothing_sent(not_taken: NotTaken) -> NotTaken {
    match not_taken.reason {
        Reason::Unknown => NotTaken { reason: Reason::Unavailable, ..not_taken },
        _ => not_taken,
    }
}

/// A name within quotes, as browsers write it in a form.
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}
