//! Media by AWS End User Messaging Social: [`GetWhatsAppMessageMedia`] puts a customer's file where Connect wants it, and
//! [`PostWhatsAppMessageMedia`] fetches an agent's. No byte of either comes here.
//!
//! | operation | what it takes | answers |
//! |---|---|---|
//! | [`GetWhatsAppMessageMedia`] | `mediaId`, `originationPhoneNumberId`, `metadataOnly: true` | `{"mimeType":"image/jpeg","fileSize":78144}` |
//! | the same | `destinationS3PresignedUrl: {url, headers}` in place of `metadataOnly` | the same |
//! | [`PostWhatsAppMessageMedia`] | `originationPhoneNumberId`, `sourceS3PresignedUrl: {url, headers}` | `{"mediaId":"…"}` |
//!
//! `fileSize` is said to be "in KB", while the reference's own example can only be bytes: taken for bytes. Not tried on a
//! live account. A size that is wrong ends in S3's refusal, and in a line in the chat.
//!
//! [`GetWhatsAppMessageMedia`]: https://docs.aws.amazon.com/social-messaging/latest/APIReference/API_GetWhatsAppMessageMedia.html
//! [`PostWhatsAppMessageMedia`]: https://docs.aws.amazon.com/social-messaging/latest/APIReference/API_PostWhatsAppMessageMedia.html

use std::{collections::HashMap, sync::OnceLock, time::Duration};

use aws_config::{Region, SdkConfig};
use aws_sdk_socialmessaging::{
    Client,
    config::Builder,
    error::{ProvideErrorMetadata, SdkError},
    operation::post_whats_app_message_media::PostWhatsAppMessageMediaError,
    types::S3PresignedUrl,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::{
    aws::{
        failure::{Failure, is_throttling},
        fresh_connections,
    },
    error::{Error, Result},
    media::fetch::NotFetched,
    sms::media::AwsMedia,
    url::BaseUrl,
};

/// Meta is behind it, and a file may have 100 MB.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The service, for media.
pub(crate) struct SocialMedia {
    sdk: SdkConfig,
    client: OnceLock<Client>,
}

/// What a medium is.
pub(crate) struct Described {
    /// Bytes.
    pub(crate) length: u64,
    /// Its media type.
    pub(crate) content_type: Option<String>,
}

impl SocialMedia {
    /// No call is made, and no client: few deployments have such an account.
    pub(crate) fn new(sdk: &SdkConfig) -> Self {
        Self { sdk: sdk.clone(), client: OnceLock::new() }
    }

    fn client(&self) -> &Client {
        self.client.get_or_init(|| {
            Client::from_conf(Builder::from(&self.sdk).http_client(fresh_connections(&self.sdk)).build())
        })
    }

    /// Asks what a medium is.
    pub(crate) async fn describe(&self, media: &AwsMedia, base: Option<&BaseUrl>) -> Result<Described, NotFetched> {
        let request = self
            .client()
            .get_whats_app_message_media()
            .media_id(&media.media_id)
            .origination_phone_number_id(&media.phone_number_id)
            .metadata_only(true)
            .customize()
            .config_override(at(media.region.as_deref(), base));
        let answer = tokio::time::timeout(TIMEOUT, Box::pin(request.send())).await;
        let answer = answer.map_err(|_| NotFetched::Failed(None))?.map_err(|error| not_fetched(&error))?;
        let length = answer.file_size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
        Ok(Described { length, content_type: answer.mime_type })
    }

    /// Has a medium put there.
    pub(crate) async fn put(
        &self,
        media: &AwsMedia,
        url: &str,
        headers: &HashMap<String, String>,
        base: Option<&BaseUrl>,
    ) -> Result<(), NotFetched> {
        let destination = presigned(url, headers.clone()).map_err(|_| NotFetched::Failed(None))?;
        let request = self
            .client()
            .get_whats_app_message_media()
            .media_id(&media.media_id)
            .origination_phone_number_id(&media.phone_number_id)
            .destination_s3_presigned_url(destination)
            .customize()
            .config_override(at(media.region.as_deref(), base));
        let answer = tokio::time::timeout(TIMEOUT, Box::pin(request.send())).await;
        answer.map_err(|_| NotFetched::Failed(None))?.map(drop).map_err(|error| not_fetched(&error))
    }

    /// Has a file fetched: its id for a message.
    pub(crate) async fn post(
        &self,
        phone_number_id: &str,
        region: Option<&str>,
        (url, content_type): (&str, &str),
        base: Option<&BaseUrl>,
        timeout: Duration,
    ) -> Result<String, Option<SdkError<PostWhatsAppMessageMediaError, HttpResponse>>> {
        let headers = HashMap::from([("Content-Type".to_owned(), content_type.to_owned())]);
        let source = presigned(url, headers).map_err(|_| None)?;
        let request = self
            .client()
            .post_whats_app_message_media()
            .origination_phone_number_id(phone_number_id)
            .source_s3_presigned_url(source)
            .customize()
            .config_override(at(region, base));
        let answer = tokio::time::timeout(timeout, Box::pin(request.send())).await.map_err(|_| None)?;
        match answer {
            Ok(answer) => answer.media_id.ok_or(None),
            Err(error) => Err(Some(error)),
        }
    }
}

fn presigned(url: &str, headers: HashMap<String, String>) -> Result<S3PresignedUrl> {
    S3PresignedUrl::builder().url(url).set_headers(Some(headers)).build().map_err(Error::internal)
}

/// Setting either to none would override what the client has.
fn at(region: Option<&str>, endpoint: Option<&BaseUrl>) -> Builder {
    let mut config = Builder::new();
    if let Some(region) = region {
        config = config.region(Region::new(region.to_owned()));
    }
    if let Some(endpoint) = endpoint {
        config = config.endpoint_url(endpoint.as_written());
    }
    config
}

fn not_fetched<E>(error: &SdkError<E, HttpResponse>) -> NotFetched
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    tracing::warn!(cause = %Failure::of("GetWhatsAppMessageMedia", error), "a medium was not fetched");
    let status = error.raw_response().map(|response| response.status().as_u16());
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
    match (code, status) {
        (Some(code), _) if is_throttling(code) => NotFetched::Failed(None),
        (Some("ResourceNotFoundException"), _) => NotFetched::Refused("no longer available"),
        (_, Some(408 | 429 | 500..=599) | None) => NotFetched::Failed(None),
        _ => NotFetched::Refused("its provider does not hand it out"),
    }
}
