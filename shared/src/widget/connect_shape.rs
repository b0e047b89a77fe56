//! The Connect API's own shape, for AWS clients whose endpoint is the bridge: the answer is `StartChatContact`'s, a
//! failure is an exception of the service model wherever it has one that says the same, so that boto3 and its like raise
//! their own.

use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde::Serialize;

use crate::{
    chat::StartedChat,
    error::{Error, Kind, Result},
    widget::response::{json, with_failure_headers},
};

/// Names the exception (AWS restJson1 protocol, "Operation error serialization").
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// What AWS clients show as the request's id.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Failure<'a> {
    message: &'a str,
}

/// The exception of a kind. The first five are in `StartChatContact`'s list; the others are in the API reference's
/// "Common Errors", or, for want of one, what that says of the status.
pub fn exception(kind: Kind) -> &'static str {
    match kind {
        Kind::Validation | Kind::ConnectRejected => "InvalidRequestException",
        Kind::ChatQuotaExceeded => "LimitExceededException",
        Kind::Throttled => "TooManyRequestsException",
        Kind::NotFound => "ResourceNotFoundException",
        Kind::ConnectMisconfigured
        | Kind::ConnectUnavailable
        | Kind::Timeout
        | Kind::UnverifiedYet
        | Kind::UnauthenticatedYet
        | Kind::SettingsUnavailable
        | Kind::NotStored
        | Kind::ChatEnded
        | Kind::OutcomeUnknown
        | Kind::StoreUnavailable
        | Kind::UnknownConversation
        | Kind::ProviderUnavailable
        | Kind::SendRefused
        | Kind::SendMisconfigured
        | Kind::OptedOut
        | Kind::WindowClosed
        | Kind::StoreRejected
        | Kind::StartsPaced
        | Kind::AccountShut
        | Kind::ConversationThrottled
        | Kind::Internal => "InternalServiceException",
        Kind::OriginNotAllowed
        | Kind::InstanceNotAllowed
        | Kind::FlowNotAllowed
        | Kind::FieldNotAllowed
        | Kind::StreamingNotAllowed
        | Kind::Unverified => "AccessDeniedException",
        Kind::Unauthenticated => "NotAuthorized",
        Kind::PayloadTooLarge => "RequestEntityTooLargeException",
        Kind::MethodNotAllowed => "UnknownOperationException",
    }
}

/// The answer to a chat that was started.
pub fn started(chat: &StartedChat, request_id: &str) -> Result<Response<String>> {
    let mut response = json(StatusCode::OK, chat)?;
    with_request_id(&mut response, request_id);
    Ok(response)
}

/// The answer to a request that failed.
pub fn failure(error: &Error, request_id: &str) -> Response<String> {
    let body = Failure { message: error.message() };
    // A string always serialises; were that ever to change, the header still names the exception.
    let mut response = json(error.kind().status(), &body).unwrap_or_default();
    *response.status_mut() = error.kind().status();
    response.headers_mut().insert(ERROR_TYPE, HeaderValue::from_static(exception(error.kind())));
    with_failure_headers(&mut response, error);
    with_request_id(&mut response, request_id);
    response
}

fn with_request_id(response: &mut Response<String>, request_id: &str) {
    if let Ok(id) = HeaderValue::from_str(request_id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
}
