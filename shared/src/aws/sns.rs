//! Amazon SNS: subscriptions are confirmed, and the certificates that it signs with are fetched.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use aws_config::SdkConfig;
use aws_sdk_sns::{
    Client,
    config::{Config, Region},
};

use crate::{
    aws::failure::Failure,
    deadline::Deadline,
    error::{Error, Kind, Result},
    retry,
    secret::Secret,
    sms::certificate::{Certificate, Topic},
};

/// A certificate is a few kilobytes.
const CERTIFICATE_BYTES: usize = 16 * 1024;

/// More certificates than AWS uses at a time.
const CERTIFICATES: usize = 32;

/// The SNS API, and SNS's certificates.
pub struct Sns {
    client: Client,
    /// Where `AWS_ENDPOINT_URL_SNS` points: certificates are fetched from there too.
    endpoint: Option<String>,
    certificates: Mutex<HashMap<String, Certificate>>,
}

impl Sns {
    /// A client; no call is made. `endpoint` is `AWS_ENDPOINT_URL_SNS`.
    pub fn new(config: &SdkConfig, endpoint: Option<String>) -> Self {
        Self { client: Client::new(config), endpoint, certificates: Mutex::default() }
    }

    /// Tells SNS that the owner wants this topic's messages (`ConfirmSubscription`). The URL in the message is not
    /// fetched: it would be a caller's choice of what we call.
    pub async fn confirm(&self, topic_arn: &str, token: &Secret, deadline: Deadline) -> Result<()> {
        // A topic is confirmed in its own region, which need not be ours.
        let region = Topic::read(topic_arn).map(|topic| Region::new(topic.region.to_owned()));
        retry::until(deadline, async || {
            let request = self
                .client
                .confirm_subscription()
                .topic_arn(topic_arn)
                .token(token.expose())
                .authenticate_on_unsubscribe("true")
                .customize()
                .config_override(Config::builder().region(region.clone()));
            match Box::pin(request.send()).await {
                Ok(_) => Ok(()),
                Err(error) => {
                    Err(Error::new(Kind::NotStored, "The subscription could not be confirmed; send it again")
                        .caused_by(Failure::of("ConfirmSubscription", &error)))
                }
            }
        })
        .await
    }

    /// The certificate (PEM) at a URL that has passed the checks of [`crate::sms::webhook::Webhook::certificate_url`].
    /// AWS gives a new certificate a new URL, so one that was fetched is kept.
    pub async fn certificate(&self, url: &str) -> Result<Certificate> {
        if let Some(certificate) = self.kept().get(url) {
            return Ok(certificate.clone());
        }
        let unavailable = || Error::new(Kind::NotStored, "The signing certificate could not be fetched; send it again");
        let at = match (&self.endpoint, url.splitn(4, '/').nth(3)) {
            (Some(endpoint), Some(path)) => format!("{}/{path}", endpoint.trim_end_matches('/')),
            _ => url.to_owned(),
        };
        // Made here and not at init: it loads the system's certificate authorities, for a call that is made once a year.
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(5))
            .build()
            .map_err(Error::internal)?;
        let answer = http.get(at).send().await.and_then(reqwest::Response::error_for_status);
        let mut answer = answer.map_err(|error| unavailable().caused_by(error.without_url()))?;
        let mut certificate = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| unavailable().caused_by(error.without_url()))? {
            certificate.extend_from_slice(&chunk);
            if certificate.len() > CERTIFICATE_BYTES {
                return Err(unavailable().caused_by("the certificate is too large"));
            }
        }
        let certificate = Certificate::read(&certificate, jiff::Timestamp::now().as_second())?;
        let mut kept = self.kept();
        if kept.len() >= CERTIFICATES {
            kept.clear();
        }
        kept.insert(url.to_owned(), certificate.clone());
        Ok(certificate)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, HashMap<String, Certificate>> {
        self.certificates.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
