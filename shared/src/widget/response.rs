//! What a widget reads: the one place where its answers are made.

use http::{
    HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde::Serialize;

use crate::{
    chat::StartedChat,
    error::{Error, Kind, Result},
};

#[derive(Serialize)]
struct Success<T> {
    success: bool,
    data: T,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Started<'a> {
    start_chat_result: &'a StartedChat,
    feature_permissions: FeaturePermissions,
    region: &'a str,
}

/// Without these, the hosted widget and chat-interface switch rich text and attachments off. They say what the Connect
/// instance offers, not what this one chat asked for.
#[derive(Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
struct FeaturePermissions {
    attachments: bool,
    /// Markdown needs no switch in an instance.
    messaging_markdown: bool,
}

#[derive(Serialize)]
struct Failure<'a> {
    success: bool,
    error: FailureDetail<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FailureDetail<'a> {
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    request_id: &'a str,
}

/// The answer to a chat that was started.
pub fn started(chat: &StartedChat, attachments: bool, region: &str) -> Result<Response<String>> {
    let feature_permissions = FeaturePermissions { attachments, messaging_markdown: true };
    let data = Started { start_chat_result: chat, feature_permissions, region };
    json(StatusCode::OK, &Success { success: true, data })
}

/// The answer to a chat that was ended, now or before.
pub fn ended() -> Result<Response<String>> {
    #[derive(Serialize)]
    struct Nothing {}
    json(StatusCode::OK, &Success { success: true, data: Nothing {} })
}

/// The answer to a request that failed.
pub fn failure(error: &Error, request_id: &str) -> Response<String> {
    let detail =
        FailureDetail { code: error.kind().code(), message: error.message(), field: error.field(), request_id };
    let status = error.kind().status();
    let mut response = json(status, &Failure { success: false, error: detail }).unwrap_or_else(|_| {
        // Strings always serialise; were that ever to change, the browser still gets JSON.
        let mut bare = Response::new(r#"{"success":false,"error":{"code":"INTERNAL"}}"#.to_owned());
        *bare.status_mut() = status;
        bare.headers_mut().insert(CONTENT_TYPE, JSON);
        bare
    });
    with_failure_headers(&mut response, error);
    response
}

/// What every failure says in headers, whatever its body's shape.
pub(super) fn with_failure_headers(response: &mut Response<String>, error: &Error) {
    if let Some(wait) = error.wait() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
    }
    if error.kind() == Kind::Unauthenticated {
        // RFC 9110, 15.5.2: a 401 says how to authenticate.
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Result<Response<String>> {
    let mut response = Response::new(serde_json::to_string(body).map_err(Error::internal)?);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    // A participant token is for one page, once.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
