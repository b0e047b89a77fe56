//! Errors: those of an API call in the shape of AWS rest-json (the status, `x-amzn-ErrorType`, and `{"Message": …}`), and
//! what an agent is refused.

use std::{error::Error, fmt};

use axum::{
    Json,
    http::{HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::json;

/// Names the exception. botocore and the Rust SDK both read it in preference to the body.
pub(crate) const ERROR_TYPE_HEADER: &str = "x-amzn-errortype";

/// An error as a service answers it. The constructors are the exceptions of the two service models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) kind: String,
    pub(crate) message: String,
}

impl ApiError {
    pub(crate) fn new(status: u16, kind: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status, kind: kind.into(), message: message.into() }
    }

    pub(crate) fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidRequestException", message)
    }

    pub(crate) fn invalid_parameter(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidParameterException", message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, "ResourceNotFoundException", message)
    }

    pub(crate) fn contact_not_found() -> Self {
        Self::new(410, "ContactNotFoundException", "The contact with the specified ID does not exist.")
    }

    pub(crate) fn limit_exceeded(message: impl Into<String>) -> Self {
        Self::new(429, "LimitExceededException", message)
    }

    /// Rate throttling. Not in the Connect model, but in the StartChatContact API reference.
    pub(crate) fn too_many_requests() -> Self {
        Self::new(429, "TooManyRequestsException", "Too Many Requests")
    }

    pub(crate) fn access_denied() -> Self {
        Self::new(403, "AccessDeniedException", "Access denied")
    }

    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new(400, "ValidationException", message)
    }

    pub(crate) fn unknown_operation() -> Self {
        Self::new(404, "UnknownOperationException", "There is no such operation")
    }

    pub(crate) fn too_large() -> Self {
        Self::new(413, "RequestEntityTooLargeException", "Request size exceeded")
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(json!({ "Message": self.message }))).into_response();
        if let Ok(kind) = HeaderValue::from_str(&self.kind) {
            response.headers_mut().insert(ERROR_TYPE_HEADER, kind);
        }
        response
    }
}

/// Why something can't happen in a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No contact has this id.
    UnknownContact,
    /// The chat is over.
    Ended,
    /// The customer is not connected, so the flow has not started: no agent, no bot.
    NotConnected,
}

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::UnknownContact => "no contact has this id",
            Self::Ended => "the chat is over",
            Self::NotConnected => "the customer is not connected, so the flow has not started",
        })
    }
}

impl Error for Refused {}
