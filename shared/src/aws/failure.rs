//! What a failed call of AWS means, and what of it may be logged and told.

use std::{fmt, time::Duration};

use aws_sdk_connect::{
    error::{ProvideErrorMetadata, SdkError},
    operation::RequestId,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::error::{Error, Kind};

/// How long a caller is asked to wait while the quota of concurrent chats is spent: chats end in minutes, not seconds.
const QUOTA_WAIT: Duration = Duration::from_secs(60);

/// What is logged of a call that failed: never Connect's own text, which may quote the request, unless the fault is the
/// owner's set-up, where the text is about roles and resources.
#[derive(Debug)]
pub(crate) struct Failure {
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

impl Failure {
    /// What may be said of any failed call.
    pub(crate) fn of<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let named = match error {
            SdkError::ServiceError(service) => service.err().code(),
            _ => None,
        };
        let status = error.raw_response().map(|response| response.status().as_u16());
        let code = match (named, status, error) {
            (Some(code), ..) => code.to_owned(),
            (None, Some(status), _) => format!("HTTP {status}"),
            (None, None, SdkError::TimeoutError(_)) => "timeout".to_owned(),
            (None, None, SdkError::ConstructionFailure(_)) => "the request could not be made".to_owned(),
            (None, None, _) => "no answer".to_owned(),
        };
        Self { operation, code, request_id: error.request_id().map(str::to_owned), text: None }
    }
}

/// Whether the code says that a rate limit was met.
pub(crate) fn is_throttling(code: &str) -> bool {
    matches!(
        code,
        "TooManyRequestsException"
            | "ThrottlingException"
            | "Throttling"
            | "ThrottledException"
            | "ThrottledRequestException"
            | "RequestThrottledException"
            | "RequestThrottled"
            | "RequestLimitExceeded"
            | "SlowDown"
    )
}

/// Whether the code says that credentials, rights or resources are wrong, which the owner can mend.
pub(crate) fn is_owners(code: &str) -> bool {
    matches!(
        code,
        "AccessDeniedException"
            | "ResourceNotFoundException"
            | "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "IncompleteSignature"
            | "ExpiredTokenException"
            | "InvalidClientTokenId"
            | "MissingAuthenticationToken"
            | "NotAuthorized"
            | "OptInRequired"
    )
}

/// Names a failed call's kind. The codes are those of the API reference ("Common Errors" and each operation's list);
/// `TooManyRequestsException` is named in `StartChatContact`'s description only.
pub(crate) fn classify<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> Error
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
        (Some(code), _) if is_throttling(code) => Kind::Throttled,
        (_, Some(429)) => Kind::Throttled,
        (Some("InvalidRequestException" | "InvalidParameterException" | "ValidationException"), _) => {
            Kind::ConnectRejected
        }
        (_, Some(401 | 403 | 404)) => Kind::ConnectMisconfigured,
        (Some(code), _) if is_owners(code) => Kind::ConnectMisconfigured,
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
    let mut failure = Failure::of(operation, error);
    if kind == Kind::ConnectMisconfigured {
        failure.text = said.map(str::to_owned);
    }
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
