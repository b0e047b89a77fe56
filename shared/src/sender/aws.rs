//! AWS End User Messaging: SMS ([`SendTextMessage`]) and Social ([`SendWhatsAppMessage`]).
//!
//! | operation | what it takes | answers |
//! |---|---|---|
//! | [`SendTextMessage`] | `{"DestinationPhoneNumber":"+14255550182","OriginationIdentity":"+12125550101","MessageBody":"Hello","MessageType":"TRANSACTIONAL"}` | `{"MessageId":"…"}` |
//! | [`SendWhatsAppMessage`] | `{"originationPhoneNumberId":"arn:aws:social-messaging:…:phone-number-id/…","message":"<base64 of Meta's message object>","metaApiVersion":"v20.0"}` | `{"messageId":"…"}` |
//!
//! Neither has a client token, so the SDK's own retries are off ([`super::loader`]), and what may have been sent is not
//! sent again. The SDK finds the endpoint (`AWS_ENDPOINT_URL_PINPOINT_SMS_VOICE_V2`, `AWS_ENDPOINT_URL_SOCIALMESSAGING`,
//! else the region's), unless the account has a `send_base_url`. The region is the number's, which need not be ours: a
//! topic's ARN tells it, and for WhatsApp the number's own.
//!
//! What a failure means, by the errors of each operation's reference:
//!
//! | error | means |
//! |---|---|
//! | `ThrottlingException`, `ThrottledRequestException`, 429 | [`Reason::Throttled`] |
//! | `ConflictException`, reason `DESTINATION_PHONE_NUMBER_OPTED_OUT` | [`Reason::OptedOut`] |
//! | the same, the destination's country or number blocked by a protect configuration | [`Reason::Refused`] |
//! | the same, other reasons: about our number, or a sandbox's unverified destination | [`Reason::Misconfigured`] |
//! | `ValidationException`, `InvalidParametersException` | [`Reason::Refused`] |
//! | access, credentials, `ResourceNotFoundException`, `ServiceQuotaExceededException` (the monthly spend limit, for one) | [`Reason::Misconfigured`] |
//! | `InternalServerException`, `InternalServiceException` | [`Reason::Unavailable`] |
//! | `DependencyException` (502: "Thrown when performing an action because a dependency would be broken") | [`Reason::Unknown`]: Meta is behind it |
//! | 2xx, even with words that can't be read or are cut short | it was taken |
//! | another answer | by its status: see [`crate::sms::send`] |
//! | no connection | [`Reason::Unavailable`] |
//! | no answer | [`Reason::Unknown`] |
//!
//! [`SendTextMessage`]: https://docs.aws.amazon.com/pinpoint/latest/apireference_smsvoicev2/API_SendTextMessage.html
//! [`SendWhatsAppMessage`]: https://docs.aws.amazon.com/social-messaging/latest/APIReference/API_SendWhatsAppMessage.html

use std::{error::Error as StdError, sync::OnceLock, time::Duration};

use aws_config::{Region, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_pinpointsmsvoicev2::{
    config::Builder as SmsConfig,
    error::{ProvideErrorMetadata, SdkError},
    operation::send_text_message::SendTextMessageError,
    types::{ConflictExceptionReason, MessageType},
};
use aws_sdk_socialmessaging::{config::Builder as SocialConfig, primitives::Blob};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use http::StatusCode;
use hyper_util::client::legacy::Error as HttpClientError;

use crate::{
    aws::{
        failure::{is_owners, is_throttling},
        fresh_connections,
    },
    error::{Error, Result},
    sender::files::nothing_sent,
    sms::send::{AwsSms, AwsSocial, NotTaken, Reason, Taken},
    url::BaseUrl,
};

/// The version of Meta's API that all examples of AWS's guide name. Which others AWS takes stands in its General
/// Reference ("End User Messaging Social API Service Endpoints"); not verified. Meta serves calls of a version that has
/// expired by the oldest one that has not (<https://developers.facebook.com/docs/graph-api/guides/versioning>).
const META_API_VERSION: &str = "v20.0";

/// Both APIs.
pub(super) struct AwsSenders {
    sdk: SdkConfig,
    clients: OnceLock<Clients>,
}

struct Clients {
    sms: aws_sdk_pinpointsmsvoicev2::Client,
    social: aws_sdk_socialmessaging::Client,
}

impl AwsSenders {
    /// No call is made, and no client: most deployments text by other providers.
    pub(super) fn new(sdk: &SdkConfig) -> Self {
        Self { sdk: sdk.clone(), clients: OnceLock::new() }
    }

    fn clients(&self) -> &Clients {
        self.clients.get_or_init(|| {
            let fresh = fresh_connections(&self.sdk);
            let sms = SmsConfig::from(&self.sdk).http_client(fresh.clone()).build();
            let social = SocialConfig::from(&self.sdk).http_client(fresh).build();
            Clients {
                sms: aws_sdk_pinpointsmsvoicev2::Client::from_conf(sms),
                social: aws_sdk_socialmessaging::Client::from_conf(social),
            }
        })
    }

    /// Sends a text by SMS, once. `endpoint` takes the place of AWS's own.
    pub(super) async fn send_sms(&self, call: &AwsSms, endpoint: Option<&BaseUrl>, timeout: Duration) -> Result<Taken> {
        let request = self
            .clients()
            .sms
            .send_text_message()
            .destination_phone_number(&call.to)
            .origination_identity(&call.from)
            .message_body(&call.text)
            // "Use for messages that are critical or time-sensitive", and not for advertising.
            .message_type(MessageType::Transactional)
            .set_configuration_set_name(call.configuration_set.clone())
            .customize();
        let mut config = SmsConfig::new();
        // Setting either to none would override what the client has.
        if let Some(region) = &call.region {
            config = config.region(Region::new(region.clone()));
        }
        if let Some(endpoint) = endpoint {
            config = config.endpoint_url(endpoint.as_written());
        }
        // Boxed: the SDK's futures are kilobytes large.
        let outcome = match tokio::time::timeout(timeout, Box::pin(request.config_override(config).send())).await {
            Err(_) => Err(no_answer("timeout")),
            Ok(Ok(output)) => Ok(Taken { message_ids: output.message_id.into_iter().collect() }),
            Ok(Err(error)) => read_failure(&error, conflict),
        };
        outcome.map_err(|(not_taken, status)| not_taken.into_error("SendTextMessage", status))
    }

    /// Sends a text by WhatsApp, once. `endpoint` takes the place of AWS's own.
    pub(super) async fn send_whatsapp(
        &self,
        call: &AwsSocial,
        endpoint: Option<&BaseUrl>,
        timeout: Duration,
    ) -> Result<Taken> {
        let request = self
            .clients()
            .social
            .send_whats_app_message()
            .origination_phone_number_id(&call.phone_number_id)
            .message(Blob::new(call.message.as_bytes()))
            .meta_api_version(META_API_VERSION)
            .customize();
        let mut config = SocialConfig::new();
        // Setting either to none would override what the client has.
        if let Some(region) = &call.region {
            config = config.region(Region::new(region.clone()));
        }
        if let Some(endpoint) = endpoint {
            config = config.endpoint_url(endpoint.as_written());
        }
        let outcome = match tokio::time::timeout(timeout, Box::pin(request.config_override(config).send())).await {
            Err(_) => Err(no_answer("timeout")),
            Ok(Ok(output)) => Ok(Taken { message_ids: output.message_id.into_iter().collect() }),
            Ok(Err(error)) => read_failure(&error, |_| None),
        };
        outcome.map_err(|(not_taken, status)| not_taken.into_error("SendWhatsAppMessage", status))
    }
}

/// Why a file was not uploaded. Nothing was sent, whatever became of the call.
pub(super) fn upload_failure<E>(error: &SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    let (not_taken, status) = match read_failure(error, |_| None) {
        Ok(_) => no_answer("the upload has no id"),
        Err(failure) => failure,
    };
    nothing_sent(not_taken).into_error("PostWhatsAppMessageMedia", status)
}

/// With the status of the answer, if there was one.
type Outcome = Result<Taken, (NotTaken, Option<u16>)>;

fn no_answer(what: &'static str) -> (NotTaken, Option<u16>) {
    (NotTaken::new(Reason::Unknown, what), None)
}

/// See the module's page. `known` reads what the operation's own errors say beside their code.
fn read_failure<E>(error: &SdkError<E, HttpResponse>, known: impl Fn(&E) -> Option<NotTaken>) -> Outcome
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    let Some(status) = error.raw_response().map(|response| response.status().as_u16()) else {
        return Err((read_silence(error), None));
    };
    let said = error.as_service_error();
    if let Some(not_taken) = said.and_then(known) {
        return Err((not_taken, Some(status)));
    }
    let code = said.and_then(ProvideErrorMetadata::code);
    let by_code = code.and_then(|code| match code {
        "DependencyException" => Some(Reason::Unknown),
        "InternalServerException" | "InternalServiceException" => Some(Reason::Unavailable),
        "ValidationException" | "InvalidParametersException" => Some(Reason::Refused),
        "ServiceQuotaExceededException" | "LimitExceededException" | "AccessDeniedByMetaException" => {
            Some(Reason::Misconfigured)
        }
        code if is_throttling(code) => Some(Reason::Throttled),
        code if is_owners(code) => Some(Reason::Misconfigured),
        _ => None,
    });
    let by_status = StatusCode::from_u16(status).ok().map_or(Some(Reason::Unknown), NotTaken::of_status);
    match by_code.or(by_status) {
        Some(reason) => Err((NotTaken { reason, code: code.map(str::to_owned) }, Some(status))),
        // 2xx with words that the SDK can't read.
        None => Ok(Taken::default()),
    }
}

/// Why there is no answer: nothing was sent, or the outcome is unknown.
fn read_silence<E: StdError + 'static>(error: &SdkError<E, HttpResponse>) -> NotTaken {
    if matches!(error, SdkError::ConstructionFailure(_)) {
        return NotTaken::new(Reason::Misconfigured, "the request could not be made");
    }
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<CredentialsError>() {
            return NotTaken::new(Reason::Misconfigured, "no credentials");
        }
        if error.downcast_ref().is_some_and(HttpClientError::is_connect) {
            return NotTaken::new(Reason::Unavailable, "no connection");
        }
        cause = error.source();
    }
    let what = if matches!(error, SdkError::TimeoutError(_)) { "timeout" } else { "the connection broke" };
    NotTaken::new(Reason::Unknown, what)
}

/// `ConflictException` says only in its reason what is meant.
fn conflict(error: &SendTextMessageError) -> Option<NotTaken> {
    let SendTextMessageError::ConflictException(conflict) = error else { return None };
    let reason = match conflict.reason() {
        Some(ConflictExceptionReason::DestinationPhoneNumberOptedOut) => Reason::OptedOut,
        Some(
            ConflictExceptionReason::DestinationCountryBlockedByProtectConfiguration
            | ConflictExceptionReason::DestinationPhoneNumberBlockedByProtectNumberOverride,
        ) => Reason::Refused,
        _ => Reason::Misconfigured,
    };
    let code = conflict.reason().map_or("ConflictException", ConflictExceptionReason::as_str);
    Some(NotTaken::new(reason, code))
}
