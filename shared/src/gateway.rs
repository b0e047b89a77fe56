//! The front door of the functions behind API Gateway, an ALB or a function URL: a Lambda event in, an answer out,
//! whatever happens in between.
//!
//! `lambda_http` knows the shapes of the events and of the answers. Its own way from an event to an `http::Request` is
//! not taken: it panics, before any handler runs, on a `"` in the query, a malformed `Host` or broken base64, and it
//! resolves `..` in paths. The fields are read as they came instead.

use std::{convert::Infallible, future::Future, panic::AssertUnwindSafe};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response};
use lambda_http::{
    Body, TransformResponse,
    aws_lambda_events::query_map::QueryMap,
    request::{LambdaRequest, RequestOrigin},
};
use lambda_runtime::LambdaEvent;
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use crate::{
    deadline::Deadline,
    error::{Error, Kind, Result},
    telemetry::Report,
};

/// A Lambda event as its text: what can't be read is answered, not thrown at the runtime.
#[derive(Deserialize)]
#[serde(transparent)]
pub struct Event(Box<RawValue>);

impl Event {
    /// The event's JSON.
    pub fn text(&self) -> &str {
        self.0.get()
    }
}

/// The part of a request that an answer depends on, even when the rest can't be read.
#[derive(Default)]
pub struct Head {
    /// The HTTP method.
    pub method: Method,
    /// The path as it came: not decoded, `..` not resolved, with a stage's prefix where the gateway leaves one.
    pub path: String,
    /// The headers, names in any case.
    pub headers: HeaderMap,
}

/// An HTTP request as the gateway handed it over. Not `Debug`: it holds what must not be printed.
pub struct Request {
    /// Method, path and headers.
    pub head: Head,
    /// The query without its `?`. Verbatim from HTTP APIs, function URLs and ALBs; encoded anew from REST APIs, which
    /// hand over the decoded pairs only.
    pub query: Option<String>,
    /// The host name that the gateway (not the caller) says the request came to.
    pub domain_name: Option<String>,
    /// The body's bytes, base64 undone.
    pub body: Bytes,
}

/// One invocation's circumstances.
pub struct Call {
    /// Lambda's request id.
    pub request_id: String,
    /// When the answer must be on its way.
    pub deadline: Deadline,
}

/// A function behind the gateway.
pub trait Handler {
    /// Its name in logs and metrics.
    const SERVICE: &'static str;
    /// The metric that counts its refusals.
    const REJECTED: &'static str;

    /// Does the work.
    fn handle(
        &self,
        request: Request,
        call: &Call,
        report: &mut Report,
    ) -> impl Future<Output = Result<Response<String>>>;

    /// The one place where an outcome becomes an answer. `head` is what could be read of the request.
    fn answer(&self, head: &Head, call: &Call, outcome: Result<Response<String>, &Error>) -> Response<String>;
}

/// Answers one event. It never fails: a panic and a spent budget are outcomes too.
pub async fn serve<H: Handler>(handler: &H, event: LambdaEvent<Event>) -> Result<impl Serialize + use<H>, Infallible> {
    let mut report = Report::new(H::SERVICE);
    let call = Call { deadline: Deadline::of_invocation(event.context.deadline), request_id: event.context.request_id };
    let (origin, head, outcome) = match read(event.payload.text()) {
        Ok((origin, request)) => {
            let head = Head {
                method: request.head.method.clone(),
                path: request.head.path.clone(),
                headers: request.head.headers.clone(),
            };
            let work = AssertUnwindSafe(handler.handle(request, &call, &mut report)).catch_unwind();
            let outcome = match tokio::time::timeout(call.deadline.remaining(), work).await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_)) => Err(Error::internal("the handler panicked")),
                Err(_) => Err(Error::new(Kind::Timeout, "The request took too long")),
            };
            (origin, head, outcome)
        }
        Err(unreadable) => (unreadable.origin, unreadable.head, Err(unreadable.error)),
    };
    let (error, response) = match outcome {
        Ok(response) => (None, handler.answer(&head, &call, Ok(response))),
        Err(error) => {
            let response = handler.answer(&head, &call, Err(&error));
            (Some(error), response)
        }
    };
    report.finish(&call.request_id, response.status().as_u16(), error.as_ref(), H::REJECTED);
    let answer: TransformResponse<'_, Response<Body>, Infallible> =
        TransformResponse::Request(origin, Box::pin(async move { Ok(response.map(Body::Text)) }));
    answer.await
}

/// Runs a handler until Lambda ends the process.
pub async fn run<H: Handler + Sync>(handler: &H) -> Result<(), lambda_runtime::Error> {
    lambda_runtime::run(lambda_runtime::service_fn(|event| serve(handler, event))).await
}

/// Makes a panic's report its place in the code only: the text of a panic may quote a customer.
pub fn quiet_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string);
        tracing::error!(at, "panic");
    }));
}

/// What can be said of an event that can't be turned into a request.
struct Unreadable {
    origin: RequestOrigin,
    head: Head,
    error: Error,
}

fn read(event: &str) -> Result<(RequestOrigin, Request), Box<Unreadable>> {
    let event = match serde_json::from_str::<LambdaRequest>(event) {
        Ok(event) => event,
        // One header that `http` can't hold fails the whole event, and so does a null where none is expected: leave these
        // out and look again.
        Err(error) => {
            let (head, lenient) = lenient(event);
            let origin = RequestOrigin::ApiGatewayV2;
            serde_json::from_value::<LambdaRequest>(lenient).map_err(|_| {
                let text = "The request could not be read";
                Box::new(Unreadable {
                    origin,
                    head,
                    error: Error::new(Kind::Validation, text).caused_by(error.to_string()),
                })
            })?
        }
    };
    let origin = event.request_origin();
    let (head, query, domain_name, body, is_base64) = match event {
        LambdaRequest::ApiGatewayV2(event) => {
            let head = Head {
                method: event.request_context.http.method,
                path: event.raw_path.unwrap_or_default(),
                headers: event.headers,
            };
            let query = event.raw_query_string;
            (head, query, event.request_context.domain_name, event.body, event.is_base64_encoded)
        }
        LambdaRequest::ApiGatewayV1(event) => {
            let head = Head {
                method: event.http_method,
                // `path` lacks the stage, which is part of the public URL.
                path: event.request_context.path.or(event.path).unwrap_or_default(),
                headers: merge(event.multi_value_headers, &event.headers),
            };
            let query = pairs(event.multi_value_query_string_parameters, event.query_string_parameters);
            let mut encoded = form_urlencoded::Serializer::new(String::new());
            encoded.extend_pairs(&query);
            (head, Some(encoded.finish()), event.request_context.domain_name, event.body, event.is_base64_encoded)
        }
        LambdaRequest::Alb(event) => {
            let head = Head {
                method: event.http_method,
                path: event.path.unwrap_or_default(),
                headers: merge(event.multi_value_headers, &event.headers),
            };
            // An ALB hands the pairs over without decoding them ("Using AWS Lambda functions as targets").
            let query = pairs(event.multi_value_query_string_parameters, event.query_string_parameters);
            let query = query.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("&");
            (head, Some(query), None, event.body, event.is_base64_encoded)
        }
        _ => {
            let error = Error::new(Kind::Validation, "The request is of no kind that is served here");
            return Err(Box::new(Unreadable { origin, head: Head::default(), error }));
        }
    };
    let body = body.unwrap_or_default();
    let body = if is_base64 {
        match BASE64_STANDARD.decode(&body) {
            Ok(bytes) => Bytes::from(bytes),
            Err(_) => {
                let error = Error::invalid("body", "is not the base64 it claims to be");
                return Err(Box::new(Unreadable { origin, head, error }));
            }
        }
    } else {
        Bytes::from(body)
    };
    let query = query.filter(|query| !query.is_empty());
    Ok((origin, Request { head, query, domain_name, body }))
}

/// Multi-valued headers hold all values; the single-valued ones fill what they lack.
fn merge(mut multi: HeaderMap, single: &HeaderMap) -> HeaderMap {
    for (name, value) in single {
        if !multi.contains_key(name) {
            multi.insert(name, value.clone());
        }
    }
    multi
}

fn pairs(multi: QueryMap, single: QueryMap) -> Vec<(String, String)> {
    let pairs = if multi.is_empty() { single } else { multi };
    pairs.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// The event without the headers that `http` can't hold, and what a refusal needs of it.
fn lenient(event: &str) -> (Head, Value) {
    let mut event: Value = serde_json::from_str(event).unwrap_or_default();
    let mut head = Head::default();
    for field in ["headers", "multiValueHeaders"] {
        let Some(headers) = event.get_mut(field).and_then(Value::as_object_mut) else { continue };
        headers.retain(|name, value| {
            let texts: Vec<&str> = match value {
                Value::String(text) => vec![text],
                Value::Array(values) => values.iter().filter_map(Value::as_str).collect(),
                _ => Vec::new(),
            };
            let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { return false };
            let values: Result<Vec<_>, _> = texts.into_iter().map(HeaderValue::from_str).collect();
            let Ok(values) = values else { return false };
            for value in values {
                head.headers.append(&name, value);
            }
            true
        });
    }
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
    head.path = text("/rawPath").or(text("/path")).unwrap_or_default().to_owned();
    head.method = text("/requestContext/http/method")
        .or(text("/httpMethod"))
        .and_then(|method| method.parse().ok())
        .unwrap_or_default();
    let method = event.get("httpMethod").filter(|method| method.is_string()).cloned();
    if let Some(context) = event.get_mut("requestContext") {
        without_nulls(context);
        if let (Some(method), Some(context)) = (method, context.as_object_mut()) {
            context.entry("httpMethod").or_insert(method);
        }
    }
    (head, event)
}

/// Takes out what is null: absent and null are one to whoever writes events, and not to all who read them.
pub(crate) fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.retain(|_, value| !value.is_null());
            object.values_mut().for_each(without_nulls);
        }
        Value::Array(values) => values.iter_mut().for_each(without_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
