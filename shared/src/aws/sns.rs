//! Amazon SNS: subscriptions are confirmed, and the certificates that it signs with are fetched.

use std::{collections::HashMap, time::Duration};

use aws_config::SdkConfig;
use aws_sdk_sns::{
    Client,
    config::{Config, Region},
};
use tokio::{sync::Mutex, time::Instant};

use crate::{
    aws::{GATE, failure::Failure},
    deadline::Deadline,
    digest::hash,
    error::{Error, Kind, Result},
    secret::Secret,
    sms::{
        certificate::{Certificate, Topic},
        webhook::Rejection,
    },
};

/// A certificate is a few kilobytes.
const CERTIFICATE_BYTES: usize = 16 * 1024;

/// More certificates than AWS uses at a time.
const CERTIFICATES: usize = 32;

/// One try of the confirmation may take this long.
const ATTEMPT: Duration = Duration::from_secs(5);

/// The SNS API, and SNS's certificates.
pub struct Sns {
    client: Client,
    /// Where `AWS_ENDPOINT_URL_SNS` points: certificates are fetched from there too.
    endpoint: Option<String>,
    /// Each locked while its call is made, so that requests that come meanwhile wait for that one call.
    certificates: Mutex<Certificates>,
    confirmation: Mutex<Option<Confirmation>>,
}

#[derive(Default)]
struct Certificates {
    kept: HashMap<String, Certificate>,
    /// When the last fetch began.
    tried: Option<Instant>,
}

/// The last confirmation that was tried.
struct Confirmation {
    /// A hash of topic and token.
    id: String,
    at: Instant,
    is_done: bool,
}

impl Sns {
    /// A client; no call is made. `endpoint` is `AWS_ENDPOINT_URL_SNS`.
    pub fn new(config: &SdkConfig, endpoint: Option<String>) -> Self {
        Self {
            client: Client::new(config),
            endpoint,
            certificates: Mutex::default(),
            confirmation: Mutex::default(),
        }
    }

    /// Tells SNS that the owner wants this topic's messages (`ConfirmSubscription`). The URL in the message is not
    /// fetched: it would be a caller's choice of what we call.
    ///
    /// Whoever asks, it is called at most every 30 s: a message that asks for it can be sent again by anyone who has seen it.
    pub async fn confirm(&self, topic_arn: &str, token: &Secret, deadline: Deadline) -> Result<()> {
        let refused = || Error::new(Kind::NotStored, "The subscription could not be confirmed; send it again");
        let id = hash(&[topic_arn, token.expose()]);
        let mut last = self.confirmation.lock().await;
        match &*last {
            Some(last) if last.is_done && last.id == id => return Ok(()),
            Some(last) if last.at.elapsed() < GATE => return Err(refused().caused_by("another one was just confirmed")),
            _ => {}
        }
        let this = last.insert(Confirmation { id, at: Instant::now(), is_done: false });
        // A topic is confirmed in its own region, which need not be ours.
        let region = Topic::read(topic_arn).map(|topic| Region::new(topic.region.to_owned()));
        let request = self
            .client
            .confirm_subscription()
            .topic_arn(topic_arn)
            .token(token.expose())
            .authenticate_on_unsubscribe("true")
            .customize()
            .config_override(Config::builder().region(region));
        let answer = tokio::time::timeout(ATTEMPT.min(deadline.remaining()), Box::pin(request.send())).await;
        let answer = answer.map_err(|_| refused().caused_by("ConfirmSubscription: no answer"))?;
        answer.map_err(|error| refused().caused_by(Failure::of("ConfirmSubscription", &error)))?;
        this.is_done = true;
        Ok(())
    }

    /// The certificate (PEM) at a URL that has passed the checks of [`crate::sms::webhook::Webhook::certificate_url`].
    /// AWS gives a new certificate a new URL, so one that was fetched is kept. Whoever asks, one is fetched at most every
    /// 30 s.
    pub async fn certificate(&self, url: &str) -> Result<Certificate> {
        let mut certificates = self.certificates.lock().await;
        if let Some(certificate) = certificates.kept.get(url) {
            return Ok(certificate.clone());
        }
        if certificates.tried.is_some_and(|tried| tried.elapsed() < GATE) {
            return Err(Error::new(Kind::UnverifiedYet, "The signing certificate is not known yet; send it again"));
        }
        certificates.tried = Some(Instant::now());
        let certificate = Certificate::read(&self.fetch(url).await?, jiff::Timestamp::now().as_second())?;
        certificate.check_owner(url, self.endpoint.is_some())?;
        if certificates.kept.len() >= CERTIFICATES {
            certificates.kept.clear();
        }
        certificates.kept.insert(url.to_owned(), certificate.clone());
        Ok(certificate)
    }

    async fn fetch(&self, url: &str) -> Result<Vec<u8>> {
        let unavailable = || Error::new(Kind::NotStored, "The signing certificate could not be fetched; send it again");
        let at = match (&self.endpoint, url.splitn(4, '/').nth(3)) {
            (Some(endpoint), Some(path)) => format!("{}/{path}", endpoint.trim_end_matches('/')),
            _ => url.to_owned(),
        };
        // Made here and not at init: it loads the system's certificate authorities, for a call that is made once a year.
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(ATTEMPT)
            .build()
            .map_err(Error::internal)?;
        let answer = http.get(at).send().await.map_err(|error| unavailable().caused_by(error.without_url()))?;
        // AWS has no such certificate, so it was not AWS that named it.
        if matches!(answer.status().as_u16(), 403 | 404) {
            return Err(Rejection::Malformed.into());
        }
        let mut answer = answer.error_for_status().map_err(|error| unavailable().caused_by(error.without_url()))?;
        let mut certificate = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| unavailable().caused_by(error.without_url()))? {
            certificate.extend_from_slice(&chunk);
            if certificate.len() > CERTIFICATE_BYTES {
                return Err(unavailable().caused_by("the certificate is too large"));
            }
        }
        Ok(certificate)
    }
}
