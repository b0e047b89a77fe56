//! The settings document: inline in the environment, or a Secrets Manager secret that is read when it is first needed
//! and kept.
//!
//! A secret's document is used for 5 minutes, then read again by the next request. One that can't be read or is
//! malformed never replaces a good copy; each request that meets it is counted as `SettingsUnreadable`. A request that no
//! secret of the document matches may be signed with a secret that the owner has just added: [`SettingsSource::refresh`]
//! reads the document again. Whoever asks, it is read at most every 30 s, so that a stranger's guesses don't become calls.

use std::{sync::Arc, time::Duration};

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::{
    Client,
    error::{DisplayErrorContext, ProvideErrorMetadata},
    operation::RequestId,
};
use tokio::{sync::Mutex, time::Instant};

use crate::{
    aws::GATE,
    config::SettingsLocation,
    error::{Error, Kind, Result},
    settings::Settings,
    telemetry::Report,
};

/// How long a copy is used before it is read again.
const FRESH: Duration = Duration::from_secs(5 * 60);

/// One try may take this long: a request on a connection that died while Lambda was frozen hangs.
const ATTEMPT: Duration = Duration::from_secs(2);

/// How many tries at most.
const ATTEMPTS: u32 = 2;

/// Counts the requests that met a document that can't be read.
const UNREADABLE: &str = "SettingsUnreadable";

/// Reads a document, or the part of it that a function needs.
type Reader = fn(&[u8]) -> Result<Settings>;

/// Where the settings come from. Nothing is read before they are asked for.
pub struct SettingsSource(Source);

enum Source {
    /// What the environment holds, read once; or what is wrong with it.
    Inline(Result<Arc<Settings>, String>),
    Secret(Secret),
}

/// Reads a document, or as much of it as a function needs.
type Reader = fn(&[u8]) -> Result<Settings>;

struct Secret {
    client: Client,
    arn: String,
    reader: Reader,
    /// Locked while reading, so that requests that come meanwhile wait for that one call.
    copy: Mutex<Copy>,
}

#[derive(Default)]
struct Copy {
    settings: Option<Arc<Settings>>,
    /// When the last read began, whatever came of it.
    tried: Option<Instant>,
    /// When a read last succeeded.
    read: Option<Instant>,
    /// Why the last read did not succeed.
    unreadable: Option<String>,
}

impl Copy {
    fn is_fresh(&self) -> bool {
        self.unreadable.is_none() && self.read.is_some_and(|read| read.elapsed() < FRESH)
    }

    fn may_be_read(&self) -> bool {
        self.tried.is_none_or(|tried| tried.elapsed() >= GATE)
    }
}

/// What reading again has brought, for a request that no secret matched.
pub enum Refresh {
    /// A document from after the request came in: what it says is final.
    Refreshed(Arc<Settings>),
    /// The document was read less than 30 s before the request, or can't be read now: whether the request's secret is in
    /// it isn't known yet.
    GateShut,
    /// The document can't have changed.
    Fixed,
}

impl SettingsSource {
    /// A source; no call is made. An inline document with an error is told now, and refused at every request.
    pub fn new(location: SettingsLocation, sdk: &SdkConfig) -> Self {
        Self::with_reader(location, Settings::from_json, sdk)
    }

    /// A source of what web chats need: see [`Settings::of_widget`]. Without a location there is nothing to be had.
    pub fn of_widget(location: Option<SettingsLocation>, sdk: &SdkConfig) -> Self {
        let Some(location) = location else {
            let cause = "SIGNED_REQUESTS is true, and neither BRIDGE_SETTINGS nor BRIDGE_SETTINGS_ARN is set";
            tracing::error!(cause, "no chat can start");
            return Self(Source::Inline(Err(cause.to_owned())));
        };
        Self::with_reader(location, Settings::of_widget, sdk)
    }

    fn with_reader(location: SettingsLocation, reader: Reader, sdk: &SdkConfig) -> Self {
        Self(match location {
            SettingsLocation::Inline(document) => {
                let settings = reader(document.expose().as_bytes());
                match &settings {
                    Ok(settings) => warn(settings),
                    Err(error) => tracing::error!(cause = cause(error), "BRIDGE_SETTINGS can't be used"),
                }
                Source::Inline(settings.map(Arc::new).map_err(|error| cause(&error)))
            }
            SettingsLocation::Arn(arn) => {
                Source::Secret(Secret { client: Client::new(sdk), arn, reader, copy: Mutex::default() })
            }
        })
    }

    /// The document, if it is at hand without a call.
    pub fn inline(&self) -> Option<&Arc<Settings>> {
        match &self.0 {
            Source::Inline(settings) => settings.as_ref().ok(),
            Source::Secret(_) => None,
        }
    }

    /// The document, at most 5 minutes old, or the last good copy of it. Without one: [`Kind::SettingsUnavailable`].
    pub async fn current(&self, report: &mut Report) -> Result<Arc<Settings>> {
        let secret = match &self.0 {
            Source::Inline(Ok(settings)) => return Ok(Arc::clone(settings)),
            Source::Inline(Err(cause)) => {
                report.count(UNREADABLE, 1);
                return Err(unavailable(cause.clone()));
            }
            Source::Secret(secret) => secret,
        };
        let mut copy = secret.copy.lock().await;
        if !copy.is_fresh() && copy.may_be_read() {
            secret.read_into(&mut copy).await;
        }
        if copy.unreadable.is_some() {
            report.count(UNREADABLE, 1);
        }
        match (&copy.settings, &copy.unreadable) {
            (Some(settings), _) => Ok(Arc::clone(settings)),
            (None, cause) => Err(unavailable(cause.clone().unwrap_or_default())),
        }
    }

    /// Reads again, for a request that came at `asked` and that no secret of the current document matched.
    pub async fn refresh(&self, asked: Instant) -> Refresh {
        let Source::Secret(secret) = &self.0 else { return Refresh::Fixed };
        let mut copy = secret.copy.lock().await;
        let is_newer = |copy: &Copy| copy.read.is_some_and(|read| read >= asked);
        if !is_newer(&copy) && copy.may_be_read() {
            secret.read_into(&mut copy).await;
        }
        match &copy.settings {
            Some(settings) if is_newer(&copy) => Refresh::Refreshed(Arc::clone(settings)),
            _ => Refresh::GateShut,
        }
    }
}

impl Secret {
    /// Reads the document into `copy`. What can't be read leaves the last good one in use.
    async fn read_into(&self, copy: &mut Copy) {
        copy.tried = Some(Instant::now());
        match self.read().await {
            Ok(settings) => {
                if copy.settings.as_ref().is_none_or(|old| old.warnings() != settings.warnings()) {
                    warn(&settings);
                }
                copy.settings = Some(Arc::new(settings));
                copy.read = Some(Instant::now());
                copy.unreadable = None;
            }
            Err(error) => {
                let cause = cause(&error);
                let kept = copy.settings.is_some();
                tracing::error!(cause, kept, "the settings can't be read; a last good copy stays in use");
                copy.unreadable = Some(cause);
            }
        }
    }

    async fn read(&self) -> Result<Settings> {
        let mut tried = 0;
        loop {
            tried += 1;
            // Boxed: the SDK's future is kilobytes large.
            let call = Box::pin(self.client.get_secret_value().secret_id(&self.arn).send());
            let (is_final, cause) = match tokio::time::timeout(ATTEMPT, call).await {
                Ok(Ok(answer)) => {
                    let document = answer.secret_string.ok_or_else(|| {
                        unavailable("the secret holds no text (SecretString); settings are not kept as SecretBinary")
                    })?;
                    return (self.reader)(document.as_bytes());
                }
                // The owner's set-up, which no repetition mends. Secrets Manager's own text names roles and the secret.
                Ok(Err(error)) if error.as_service_error().is_some() => {
                    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
                    let code = error.code().unwrap_or("unknown error");
                    let text = error.message().unwrap_or_default();
                    let id = error.request_id().unwrap_or("none");
                    let throttled = code.contains("Throttl");
                    let cause = format!("GetSecretValue: {code}: {text} (AWS request {id})");
                    ((400..500).contains(&status) && !throttled, cause)
                }
                Ok(Err(error)) => (false, format!("GetSecretValue: {}", DisplayErrorContext(&error))),
                Err(_) => (false, "GetSecretValue: no answer".to_owned()),
            };
            if is_final || tried == ATTEMPTS {
                return Err(unavailable(cause));
            }
        }
    }
}

fn unavailable(cause: impl Into<String>) -> Error {
    Error::new(Kind::SettingsUnavailable, "The settings can't be read").caused_by(cause.into())
}

fn cause(error: &Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

fn warn(settings: &Settings) {
    for warning in settings.warnings() {
        tracing::warn!(warning, "settings");
    }
}
