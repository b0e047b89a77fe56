//! What a browser must be told so that a page can read the answer (Fetch standard, "CORS protocol").

use http::{
    HeaderMap, HeaderName, HeaderValue, Response,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ORIGIN, VARY,
    },
};

use crate::{
    error::{Error, Kind, Result},
    origin::Origins,
};

/// The methods of the routes.
const METHODS: &str = "POST, PUT, OPTIONS";

/// The longest list of headers that a preflight may ask for.
const ASKED_BYTES: usize = 4096;

/// What chat clients send: the hosted widget's, the AWS SDKs', amazon-connect-chatjs's, and our own `Idempotency-Key`.
const HEADERS: &str = "content-type, authorization, idempotency-key, x-amz-security-token, x-amz-snippet-id, x-amz-date, \
                       x-amz-content-sha256, x-amz-user-agent, x-amz-target, x-amz-bearer, x-amzn-trace-id, x-api-key, \
                       x-requested-with, amz-sdk-invocation-id, amz-sdk-request";

/// What a page may read beside the body.
const EXPOSED: &str = "retry-after, x-amzn-errortype";

/// How long a browser may remember a preflight, in seconds: two hours is Chromium's ceiling.
const MAX_AGE: &str = "7200";

/// Lets a request pass that no page sent (no `Origin`: apps, servers), or that an allowed page did.
pub fn check(origins: &Origins, request: &HeaderMap) -> Result<()> {
    let refused =
        || Error::new(Kind::OriginNotAllowed, "This origin may not call; its owner lists it in ALLOWED_ORIGINS");
    let mut sent = request.get_all(ORIGIN).iter();
    match (sent.next(), sent.next()) {
        (None, _) => Ok(()),
        (Some(origin), None) if origin.to_str().is_ok_and(|origin| origins.allow(origin)) => Ok(()),
        _ => Err(refused()),
    }
}

/// Adds the headers that every answer carries.
pub fn apply<T>(origins: &Origins, request: &HeaderMap, response: &mut Response<T>) {
    let headers = response.headers_mut();
    headers.append(VARY, HeaderValue::from_static("Origin"));
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    if origins.any() {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    } else if let (Some(origin), Ok(())) = (request.get(ORIGIN), check(origins, request)) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    }
}

/// The answer to a preflight, but for what [`apply`] adds. An allowed page may send any header: those that matter here are
/// checked here, and pages with tracing add more to every request (`traceparent`, `baggage`, `sentry-trace`, …).
pub fn preflight(request: &HeaderMap) -> Response<String> {
    let mut response = Response::new(String::new());
    *response.status_mut() = http::StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed(request));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
    response
}

/// The headers that chat clients send, and those that the page asks for.
fn allowed(request: &HeaderMap) -> HeaderValue {
    let asked = request.get(ACCESS_CONTROL_REQUEST_HEADERS).and_then(|asked| asked.to_str().ok());
    let mut names = HEADERS.to_owned();
    for name in asked.filter(|asked| asked.len() <= ASKED_BYTES).into_iter().flat_map(|asked| asked.split(',')) {
        let Ok(name) = HeaderName::from_bytes(name.trim().as_bytes()) else { continue };
        if !names.split(", ").any(|known| known == name.as_str()) {
            names.push_str(", ");
            names.push_str(name.as_str());
        }
    }
    HeaderValue::try_from(names).unwrap_or(HeaderValue::from_static(HEADERS))
}
