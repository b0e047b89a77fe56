//! The settings document: inline in the environment, or a Secrets Manager secret that is read when it is first needed
//! and kept.
//!
//! A secret's document is used for 5 minutes, then read again by the next request. One that can't be read or is
//! malformed never replaces a good copy. A request that no secret of the document matches may be signed with a secret
//! that the owner has just added: [`SettingsSource::refresh`] reads the document at once, but at most every 30 s, so
//! that a stranger's guesses don't become calls.

use std::{sync::Arc, time::Duration};

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::{
    Client,
    error::{DisplayErrorContext, ProvideErrorMetadata},
    operation::RequestId,
};
use tokio::{sync::Mutex, time::Instant};

use crate::{
    config::SettingsLocation,
    error::{Error, Kind, Result},
    settings::Settings,
};

/// How long a copy is used before it is read again.
const FRESH: Duration = Duration::from_secs(5 * 60);

/// How often a request that no secret matches may cause a read, and how soon a failed read is tried again while there
/// is a good copy.
const GATE: Duration = Duration::from_secs(30);

/// One try may take this long: a request on a connection that died while Lambda was frozen hangs.
const ATTEMPT: Duration = Duration::from_secs(2);

/// How many tries at most.
const ATTEMPTS: u32 = 2;

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
    /// When `settings` is to be read again.
    stale_at: Option<Instant>,
    /// When [`SettingsSource::refresh`] last called.
    tried: Option<Instant>,
    /// When a read last succeeded.
    read: Option<Instant>,
}

/// What reading again has brought, for a request that no secret matched.
pub enum Refresh {
    /// A document from after the request came in: what it says is final.
    Refreshed(Arc<Settings>),
    /// The document was read again less than 30 s ago, or can't be read now: whether the request's secret is in it
    /// isn't known yet.
    GateShut,
    /// The document can't have changed.
    Fixed,
}

impl SettingsSource {
    /// A source; no call is made. An inline document with an error is told now, and refused at every request.
    pub fn new(location: SettingsLocation, sdk: &SdkConfig) -> Self {
        Self::of(location, sdk, Settings::from_json)
    }

    /// The same, of what concerns widgets only.
    pub fn of_widget(location: SettingsLocation, sdk: &SdkConfig) -> Self {
        Self::of(location, sdk, Settings::widget_from_json)
    }

    fn of(location: SettingsLocation, sdk: &SdkConfig, reader: Reader) -> Self {
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
    pub async fn current(&self) -> Result<Arc<Settings>> {
        let secret = match &self.0 {
            Source::Inline(Ok(settings)) => return Ok(Arc::clone(settings)),
            Source::Inline(Err(cause)) => return Err(unavailable(cause.clone())),
            Source::Secret(secret) => secret,
        };
        let mut copy = secret.copy.lock().await;
        match &copy.settings {
            Some(settings) if copy.stale_at.is_some_and(|at| Instant::now() < at) => Ok(Arc::clone(settings)),
            _ => secret.read_into(&mut copy).await,
        }
    }

    /// Reads again, for a request that no secret of the current document matched.
    pub async fn refresh(&self) -> Refresh {
        let asked = Instant::now();
        let Source::Secret(secret) = &self.0 else { return Refresh::Fixed };
        let mut copy = secret.copy.lock().await;
        // Another request may have read it while this one waited for the lock.
        if let (Some(settings), Some(read)) = (&copy.settings, copy.read)
            && read > asked
        {
            return Refresh::Refreshed(Arc::clone(settings));
        }
        if copy.tried.is_some_and(|tried| tried.elapsed() < GATE) {
            return Refresh::GateShut;
        }
        copy.tried = Some(Instant::now());
        match secret.read_into(&mut copy).await {
            Ok(settings) if copy.read.is_some_and(|read| read >= asked) => Refresh::Refreshed(settings),
            _ => Refresh::GateShut,
        }
    }
}

impl Secret {
    /// Reads the document into `copy`. What can't be read leaves the last good one in use.
    async fn read_into(&self, copy: &mut Copy) -> Result<Arc<Settings>> {
        match self.read().await {
            Ok(settings) => {
                if copy.settings.as_ref().is_none_or(|old| old.warnings() != settings.warnings()) {
                    warn(&settings);
                }
                let settings = Arc::new(settings);
                let now = Instant::now();
                *copy = Copy {
                    settings: Some(Arc::clone(&settings)),
                    stale_at: Some(now + FRESH),
                    tried: copy.tried,
                    read: Some(now),
                };
                Ok(settings)
            }
            Err(error) => match &copy.settings {
                Some(settings) => {
                    tracing::warn!(
                        cause = cause(&error),
                        "the settings can't be read; the last good copy stays in use"
                    );
                    copy.stale_at = Some(Instant::now() + GATE);
                    Ok(Arc::clone(settings))
                }
                None => Err(error),
            },
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
