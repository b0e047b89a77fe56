//! Calls the providers' send APIs: the one place that does.
//!
//! Nothing that a customer or an agent wrote decides where a call goes: the host is the provider's own or the account's
//! `send_base_url`, and no redirect is followed.

mod aws;
mod files;

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

use aws_config::SdkConfig;
use http::{HeaderMap, header::CONTENT_TYPE, header::RETRY_AFTER};

use crate::{
    aws::FRESH,
    deadline::Deadline,
    error::{Error, Kind, Result},
    media::aws::SocialMedia,
    queue::gate::Answer,
    sender::aws::AwsSenders,
    settings::Account,
    sms::{
        send::{ApiCall, HttpRequest, NotTaken, Outbound, Reason, Taken},
        signal::Signal,
    },
    telemetry::Report,
};

/// How long a provider may take for one text. Whoever gives up earlier leaves the outcome unknown.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// The same where the provider supports idempotency: the text can be sent again.
const TIMEOUT_IF_IDEMPOTENT: Duration = Duration::from_secs(4);

/// How long until it is plain that a provider can't be reached. Nothing was sent then.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// More than any answer has that says something.
const ANSWER_BYTES: usize = 64 * 1024;

/// What became of a text.
pub struct Sent {
    /// Whether the provider took it.
    pub outcome: Result<Taken>,
    /// What that says of the account.
    pub answer: Answer,
}

/// What a failure says of the account.
fn answer(error: &Error, took: Duration, timeout: Duration) -> Answer {
    match (error.kind(), error.wait()) {
        (Kind::ConversationThrottled, _) => Answer::Answered,
        (Kind::Throttled, wait) => Answer::Throttled { wait },
        (Kind::ProviderUnavailable | Kind::OutcomeUnknown, Some(wait)) => Answer::Throttled { wait: Some(wait) },
        (Kind::OutcomeUnknown, None) if took >= timeout.mul_f64(0.9) => Answer::Hung { after: took },
        (Kind::ProviderUnavailable, None) if took >= CONNECT_TIMEOUT => Answer::Hung { after: took },
        _ => Answer::Answered,
    }
}

/// The senders' clients.
pub struct Sender {
    /// Made when first used: it loads the system's certificate authorities.
    http: OnceLock<reqwest::Client>,
    aws: AwsSenders,
    social: SocialMedia,
    timeout: Duration,
}

impl Sender {
    /// No call is made.
    pub fn new(sdk: &SdkConfig) -> Self {
        Self { http: OnceLock::new(), aws: AwsSenders::new(sdk), social: SocialMedia::new(sdk), timeout: TIMEOUT }
    }

    /// Waits `timeout` for a provider and not [`TIMEOUT`].
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// No text is handed over with less time than this left: cut off by our own deadline, its outcome would be unknown.
    pub fn shortest(&self, account: &Account) -> Duration {
        self.timeout(account) / 2
    }

    fn timeout(&self, account: &Account) -> Duration {
        if account.provider().facts().supports_idempotency {
            self.timeout.min(TIMEOUT_IF_IDEMPOTENT)
        } else {
            self.timeout
        }
    }

    /// Hands a text to the account's provider, once, within `deadline`: what is to be tried again goes back to the queue.
    pub async fn send(
        &self,
        account: &Account,
        outbound: &Outbound<'_>,
        deadline: Deadline,
        report: &mut Report,
    ) -> Sent {
        self.call(account, account.credentials.request(outbound), deadline, report).await
    }

    /// Tells the account's provider what happens in a chat, once.
    pub async fn signal(
        &self,
        account: &Account,
        signal: &Signal<'_>,
        deadline: Deadline,
        report: &mut Report,
    ) -> Sent {
        self.call(account, account.credentials.signal(signal), deadline, report).await
    }

    async fn call(&self, account: &Account, call: Result<ApiCall>, deadline: Deadline, report: &mut Report) -> Sent {
        let timeout = self.timeout(account).min(deadline.remaining());
        let call = match call {
            Ok(call) => call,
            Err(error) => return Sent { outcome: Err(error), answer: Answer::Answered },
        };
        let started = Instant::now();
        let outcome = match call {
            ApiCall::Http(request) => self.post(account, &request, timeout).await,
            ApiCall::AwsSms(call) => self.aws.send_sms(&call, account.send_base_url.as_ref(), timeout).await,
            ApiCall::AwsSocial(call) => self.aws.send_whatsapp(&call, account.send_base_url.as_ref(), timeout).await,
        };
        let took = started.elapsed();
        report.provider_called(took);
        let answer = match &outcome {
            Err(error) => answer(error, took, timeout),
            Ok(_) => Answer::Answered,
        };
        let outcome = match outcome {
            Err(error) if error.kind() == Kind::OutcomeUnknown && account.provider().facts().supports_idempotency => {
                Err(Error::new(Kind::ProviderUnavailable, "The provider did not answer").caused_by(error))
            }
            outcome => outcome,
        };
        Sent { outcome, answer }
    }

    async fn post(&self, account: &Account, request: &HttpRequest, timeout: Duration) -> Result<Taken> {
        let provider = account.provider().as_str();
        let headers: HeaderMap = request.headers.iter().cloned().collect();
        let sent = self
            .http()?
            .post(request.url(account.send_base_url.as_ref())?)
            .headers(headers)
            .header(CONTENT_TYPE, request.content_type)
            .body(request.body.clone())
            .timeout(timeout)
            .send()
            .await;
        let unknown = |error: reqwest::Error| {
            let what = if error.is_timeout() { "timeout" } else { "the connection broke" };
            NotTaken::new(Reason::Unknown, what).into_error(provider, None)
        };
        let mut answer = match sent {
            Ok(answer) => answer,
            Err(error) if error.is_connect() => {
                return Err(NotTaken::new(Reason::Unavailable, "no connection").into_error(provider, None));
            }
            Err(error) if error.is_builder() => return Err(Error::internal("the request could not be made")),
            Err(error) => return Err(unknown(error)),
        };
        let status = answer.status();
        let wait = answer.headers().get(RETRY_AFTER).and_then(|wait| wait.to_str().ok()?.trim().parse().ok());
        let mut body = Vec::new();
        // A status stands, even if its words are cut short; where they count, nothing can be read of half of them.
        while let Ok(Some(chunk)) = answer.chunk().await {
            if body.len() + chunk.len() > ANSWER_BYTES {
                break;
            }
            body.extend_from_slice(&chunk);
        }
        account.credentials.read_answer(status, &body).map_err(|not_taken| {
            let error = not_taken.into_error(provider, Some(status.as_u16()));
            match wait {
                Some(seconds) => error.retry_after(Duration::from_secs(seconds)),
                None => error,
            }
        })
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
            // Its own repeats of what it takes for unsent are not ours to judge.
            .retry(reqwest::retry::never())
            .build()
            .map_err(Error::internal)?;
        Ok(self.http.get_or_init(|| client))
    }
}
