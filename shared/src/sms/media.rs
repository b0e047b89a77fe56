//! Files on their way: where a customer's medium is fetched from, and what of an agent's file a provider is told.
//!
//! Pure: [`crate::media`] fetches, [`crate::sender`] sends. What a provider's media need is told in its folder, by
//! [`super::contract::Provider::medium`] and [`super::contract::Provider::send_file`].

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderValue;

use crate::{
    error::{Error, Kind, Result},
    secret::Secret,
    sms::send::{ApiCall, HttpRequest},
};

/// Where a customer's medium is.
pub enum MediaSource {
    /// A GET is answered with the file.
    Http(MediaRequest),
    /// A GET is answered with JSON, whose `url` is where the file is, for the same credentials.
    Lookup(MediaRequest),
    /// `GetWhatsAppMessageMedia` of AWS End User Messaging Social, which puts the file where it is told to.
    AwsSocial(AwsMedia),
}

/// A GET of a medium. Not `Debug`: it holds credentials, and the URL may be a capability.
pub struct MediaRequest {
    /// The URL.
    pub url: String,
    /// The provider's own hosts: `send_base_url` stands for all of them.
    pub hosts: Vec<String>,
    /// What opens it, sent with the first request only and only to the provider's own hosts.
    pub authorization: Option<HeaderValue>,
    /// Redirects are followed.
    pub follows_redirects: bool,
}

impl MediaRequest {
    /// A URL that anyone may open.
    pub fn open(url: impl Into<String>) -> Self {
        Self { url: url.into(), hosts: Vec::new(), authorization: None, follows_redirects: true }
    }

    /// The provider's own hosts.
    #[must_use]
    pub(super) fn at_hosts<H: Into<String>>(mut self, hosts: impl IntoIterator<Item = H>) -> Self {
        self.hosts = hosts.into_iter().map(Into::into).collect();
        self
    }

    /// HTTP Basic authentication (RFC 7617), if there is a user and a password.
    #[must_use]
    pub(super) fn basic(self, user: Option<&str>, password: Option<&Secret>) -> Self {
        let (Some(user), Some(password)) = (user, password) else { return self };
        let credentials = STANDARD.encode(format!("{user}:{}", password.expose()));
        self.authorized(&format!("Basic {credentials}"))
    }

    /// The header `Authorization`, which no log shows. Credentials that can't stand in one open nothing.
    #[must_use]
    pub(super) fn authorized(mut self, value: &str) -> Self {
        self.authorization = HeaderValue::from_str(value).ok().map(|mut value| {
            value.set_sensitive(true);
            value
        });
        self
    }

    /// What its answer sends on to, for the same credentials.
    #[must_use]
    pub(crate) fn then(self, url: String) -> Self {
        Self { url, ..self }
    }
}

/// What `GetWhatsAppMessageMedia` takes.
pub struct AwsMedia {
    /// Where our number is. None: where the function runs.
    pub region: Option<String>,
    /// The ARN of our number.
    pub phone_number_id: String,
    /// The medium's id.
    pub media_id: String,
}

/// An agent's file. Not `Debug`: the URL is a capability.
#[derive(Clone, Copy)]
pub struct File<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its media type, without parameters.
    pub content_type: &'a str,
    /// Where anyone may fetch it for some minutes.
    pub url: &'a str,
    /// The provider's id of it, where it was uploaded.
    pub id: Option<&'a str>,
}

impl File<'_> {
    /// `image`, `audio`, `video`, or what else stands before the slash.
    pub(super) fn family(&self) -> &str {
        self.content_type.split('/').next().unwrap_or_default()
    }
}

/// How an agent's file is sent.
pub enum SendFile {
    /// By one call, which names its URL.
    Call(ApiCall),
    /// It is uploaded first; then [`super::contract::Provider::send_file`] is asked again, with its id.
    Upload(FileUpload),
}

/// How a file comes to a provider.
pub enum FileUpload {
    /// A form with the file in it (`multipart/form-data`, RFC 7578).
    Form {
        /// The request, without a body.
        request: HttpRequest,
        /// The fields before the file.
        fields: Vec<(&'static str, String)>,
        /// The file's field.
        file_field: &'static str,
        /// Where the id is in the answer (RFC 6901).
        id_at: &'static str,
    },
    /// `PostWhatsAppMessageMedia` of AWS End User Messaging Social, which fetches the file.
    AwsSocial {
        /// Where our number is. None: where the function runs.
        region: Option<String>,
        /// The ARN of our number.
        phone_number_id: String,
    },
}

/// The field of an error that says why a file can't be sent: its message is read by the agent.
pub(crate) const FILE: &str = "file";

/// The channel carries no such file: `why` is read by the agent.
pub(crate) fn not_carried(why: &'static str) -> Error {
    Error::new(Kind::SendRefused, why).at(FILE)
}

/// What a channel that carries no files is told by.
pub(super) const NO_FILES: &str = "this channel carries no files";

/// The default of [`super::contract::Provider::send_file`].
pub(super) fn no_files() -> Result<SendFile> {
    Err(not_carried(NO_FILES))
}
