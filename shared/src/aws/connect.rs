//! Amazon Connect: starts chats.

use std::{
    collections::HashMap,
    fmt,
    time::{Duration, Instant},
};

use aws_config::SdkConfig;
use aws_sdk_connect::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    operation::{RequestId, start_chat_contact::StartChatContactOutput},
    types::{
        ChatMessage, ChatStreamingConfiguration, ConnectionType, DisconnectOnCustomerExitParticipantType,
        ParticipantConfiguration, ParticipantDetails, PersistentChat, RehydrationType, ResponseMode,
        SegmentAttributeValue,
    },
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::{
    chat::{Chat, ConnectionCredentials, SegmentValue, StartedChat, Websocket},
    deadline::Deadline,
    error::{Error, Kind, Result},
    retry,
    telemetry::Report,
};

/// How long a caller is asked to wait while the quota of concurrent chats is spent: chats end in minutes, not seconds.
const QUOTA_WAIT: Duration = Duration::from_secs(60);

/// The Connect API, for one instance.
pub struct Connect {
    client: Client,
    instance_id: String,
    region: String,
}

impl Connect {
    /// A client; no call is made.
    pub fn new(config: &SdkConfig, instance_id: impl Into<String>) -> Self {
        let region = config.region().map(ToString::to_string).unwrap_or_default();
        Self { client: Client::new(config), instance_id: instance_id.into(), region }
    }

    /// The region of the instance.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// `StartChatContact`. Tried again within `deadline` when throttled or not answered, each time with the same
    /// `client_token`, so that one chat is started however often Connect is asked.
    pub async fn start_chat(
        &self,
        chat: &Chat,
        client_token: &str,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<StartedChat> {
        let request = self.start_chat_contact(chat, client_token)?;
        retry::until(deadline, async || {
            let call = Timed::new(report);
            // Boxed: the SDK's future is kilobytes large and nested too deep for rustc's default limits.
            let outcome = Box::pin(request.clone().send()).await;
            drop(call);
            outcome.map_err(|error| classify("StartChatContact", &error)).and_then(started)
        })
        .await
    }

    fn start_chat_contact(
        &self,
        chat: &Chat,
        client_token: &str,
    ) -> Result<aws_sdk_connect::operation::start_chat_contact::builders::StartChatContactFluentBuilder> {
        let some = |map: HashMap<_, _>| (!map.is_empty()).then_some(map);
        let participant =
            ParticipantDetails::builder().display_name(&chat.display_name).build().map_err(Error::internal)?;
        let initial_message = match &chat.initial_message {
            Some(message) => Some(
                ChatMessage::builder()
                    .content_type(&message.content_type)
                    .content(&message.content)
                    .build()
                    .map_err(Error::internal)?,
            ),
            None => None,
        };
        let streaming = match &chat.streaming_endpoint_arn {
            Some(arn) => Some(
                ChatStreamingConfiguration::builder().streaming_endpoint_arn(arn).build().map_err(Error::internal)?,
            ),
            None => None,
        };
        let segments = chat.segment_attributes.iter().map(|(name, value)| (name.clone(), segment(value))).collect();
        let exit = |kind: &String| DisconnectOnCustomerExitParticipantType::from(kind.as_str());
        let attributes = chat.attributes.clone().into_iter().collect();
        Ok(self
            .client
            .start_chat_contact()
            .instance_id(&self.instance_id)
            .contact_flow_id(&chat.contact_flow_id)
            .client_token(client_token)
            .participant_details(participant)
            .set_attributes(some(attributes))
            .set_initial_message(initial_message)
            .set_chat_duration_in_minutes(chat.duration_minutes)
            .set_supported_messaging_content_types(list(&chat.content_types, String::clone))
            .set_persistent_chat(chat.persistent.as_ref().map(|persistent| {
                PersistentChat::builder()
                    .rehydration_type(RehydrationType::from(persistent.rehydration_type.as_str()))
                    .source_contact_id(&persistent.source_contact_id)
                    .build()
            }))
            .set_related_contact_id(chat.related_contact_id.clone())
            .set_segment_attributes((!chat.segment_attributes.is_empty()).then_some(segments))
            .set_customer_id(chat.customer_id.clone())
            .set_participant_configuration(
                chat.response_mode
                    .as_deref()
                    .map(|mode| ParticipantConfiguration::builder().response_mode(ResponseMode::from(mode)).build()),
            )
            .set_disconnect_on_customer_exit(list(&chat.disconnect_on_customer_exit, exit))
            .set_connection_types(list(&chat.connection_types, |kind| ConnectionType::from(kind.as_str())))
            .set_chat_streaming_configuration(streaming))
    }
}

/// An empty list is left out.
fn list<T>(items: &[String], each: impl Fn(&String) -> T) -> Option<Vec<T>> {
    (!items.is_empty()).then(|| items.iter().map(each).collect())
}

fn segment(value: &SegmentValue) -> SegmentAttributeValue {
    let builder = SegmentAttributeValue::builder();
    match value {
        SegmentValue::String(text) => builder.value_string(text),
        SegmentValue::Integer(number) => builder.value_integer(*number),
        SegmentValue::Arn(arn) => builder.value_arn(arn),
        SegmentValue::List(values) => builder.set_value_list(Some(values.iter().map(segment).collect())),
        SegmentValue::Map(map) => {
            builder.set_value_map(Some(map.iter().map(|(name, value)| (name.clone(), segment(value))).collect()))
        }
    }
    .build()
}

fn started(output: StartChatContactOutput) -> Result<StartedChat> {
    let (Some(contact_id), Some(participant_id), Some(participant_token)) =
        (output.contact_id, output.participant_id, output.participant_token)
    else {
        return Err(Error::internal("StartChatContact answered without an id or a token"));
    };
    Ok(StartedChat {
        contact_id,
        participant_id,
        participant_token,
        continued_from_contact_id: output.continued_from_contact_id,
        connection_credentials: output.connection_credentials.map(|credentials| ConnectionCredentials {
            connection_token: credentials.connection_token,
            expiry: credentials.expiry,
        }),
        websocket: output
            .websocket
            .map(|websocket| Websocket { url: websocket.url, connection_expiry: websocket.connection_expiry }),
        streaming_id: output.streaming_id,
    })
}

/// Notes a call in the report when it ends, also by being given up.
pub(super) struct Timed<'a> {
    report: &'a mut Report,
    started: Instant,
}

impl<'a> Timed<'a> {
    pub(super) fn new(report: &'a mut Report) -> Self {
        Self { report, started: Instant::now() }
    }
}

impl Drop for Timed<'_> {
    fn drop(&mut self) {
        self.report.connect_called(self.started.elapsed());
    }
}

/// What is logged of a call that failed: never Connect's own text, which may quote the request, unless the fault is the
/// owner's set-up, where the text is about roles and resources.
#[derive(Debug)]
struct Failure {
    operation: &'static str,
    code: String,
    request_id: Option<String>,
    text: Option<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.operation, self.code)?;
        if let Some(text) = &self.text {
            write!(f, ": {text}")?;
        }
        match &self.request_id {
            Some(id) => write!(f, " (AWS request {id})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

/// Names a failed call's kind. The codes are those of the API reference ("Common Errors" and each operation's list);
/// `TooManyRequestsException` is named in `StartChatContact`'s description only.
pub(super) fn classify<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let status = error.raw_response().map(|response| response.status().as_u16());
    let code = match error {
        SdkError::ServiceError(service) => service.err().code().map(str::to_owned),
        _ => None,
    };
    let kind = match (code.as_deref(), status) {
        (Some("LimitExceededException"), _) => Kind::ChatQuotaExceeded,
        (
            Some(
                "TooManyRequestsException"
                | "ThrottlingException"
                | "Throttling"
                | "ThrottledException"
                | "RequestThrottledException"
                | "RequestThrottled"
                | "RequestLimitExceeded"
                | "SlowDown",
            ),
            _,
        )
        | (_, Some(429)) => Kind::Throttled,
        (Some("InvalidRequestException" | "InvalidParameterException" | "ValidationException"), _) => {
            Kind::ConnectRejected
        }
        (_, Some(401 | 403 | 404)) => Kind::ConnectMisconfigured,
        (
            Some(
                "AccessDeniedException"
                | "ResourceNotFoundException"
                | "UnrecognizedClientException"
                | "InvalidSignatureException"
                | "IncompleteSignature"
                | "ExpiredTokenException"
                | "InvalidClientTokenId"
                | "MissingAuthenticationToken"
                | "NotAuthorized"
                | "OptInRequired",
            ),
            _,
        ) => Kind::ConnectMisconfigured,
        (Some("InternalServiceException" | "InternalFailure" | "ServiceUnavailable"), _) => Kind::ConnectUnavailable,
        (_, Some(400..=499)) => Kind::ConnectRejected,
        // Everything else is a 5xx, or was not answered: refused, reset, cut short, not understood.
        _ if !matches!(error, SdkError::ConstructionFailure(_)) => Kind::ConnectUnavailable,
        _ => Kind::Internal,
    };
    let said = match error {
        SdkError::ServiceError(service) => service.err().message(),
        _ => None,
    };
    let failure = Failure {
        operation,
        code: code.unwrap_or_else(|| match (error, status) {
            (_, Some(status)) => format!("HTTP {status}"),
            (SdkError::TimeoutError(_), _) => "timeout".to_owned(),
            (SdkError::ConstructionFailure(_), _) => "the request could not be made".to_owned(),
            _ => "no answer".to_owned(),
        }),
        request_id: error.request_id().map(str::to_owned),
        text: said.filter(|_| kind == Kind::ConnectMisconfigured).map(str::to_owned),
    };
    let answer = match kind {
        Kind::ChatQuotaExceeded => {
            Error::new(kind, "All chat lines are in use; try again in a minute").retry_after(QUOTA_WAIT)
        }
        Kind::Throttled => Error::new(kind, "Too many requests at this moment; try again")
            .retry_after(Duration::from_secs(fastrand::u64(1..=3))),
        Kind::ConnectRejected => match said.map(without_ids).filter(|reason| !reason.is_empty()) {
            Some(reason) => Error::new(kind, format!("Amazon Connect refused the request: {reason}")),
            None => Error::new(kind, "Amazon Connect refused the request"),
        },
        Kind::ConnectMisconfigured => Error::new(kind, "Chat is not set up correctly; its owner has been told"),
        Kind::ConnectUnavailable => Error::new(kind, "Amazon Connect is not available; try again"),
        _ => Error::new(kind, "Something went wrong on our side"),
    };
    answer.caused_by(failure)
}

/// How much of Connect's reason is passed on, in characters.
const REASON_CHARS: usize = 200;

/// Connect's reason in short, for the caller: no ARN, no id (a run of letters and digits with six digits or more).
fn without_ids(reason: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_:/+.@".contains(c);
    let mut short = String::new();
    let mut word = String::new();
    for c in reason.chars().chain([' ']) {
        if is_part(c) {
            word.push(c);
            continue;
        }
        let is_id = word.starts_with("arn:") || word.chars().filter(char::is_ascii_digit).count() >= 6;
        short.push_str(if is_id { "[id]" } else { &word });
        word.clear();
        short.push(if c.is_control() { ' ' } else { c });
    }
    short.trim().chars().take(REASON_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_passed_on_without_ids() {
        for (said, told) in [
            ("Invalid ContentType", "Invalid ContentType"),
            (
                "Flow arn:aws:connect:us-east-1:123456789012:instance/4444 not found in 44444444-4444-4444-8444-444444444444.",
                "Flow [id] not found in [id]",
            ),
            ("1 validation error at 'chatDurationInMinutes'", "1 validation error at 'chatDurationInMinutes'"),
            ("Contact +14155550123 is known", "Contact [id] is known"),
            ("", ""),
        ] {
            assert_eq!(without_ids(said), told);
        }
        assert_eq!(without_ids(&"long ".repeat(100)).chars().count(), REASON_CHARS);
    }
}
