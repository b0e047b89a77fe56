//! The door in front of the functions: every request goes on to `cargo lambda watch` as it came, and is told of in the
//! terminal and on the page. What does not compile answers at once that it does not.

use std::{io, net::SocketAddr, sync::Arc, time::Instant};

use axum::{
    Json, Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State as Shared},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header, request::Parts},
    response::{IntoResponse, Response},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{
    builds::Broken,
    rows::{Standing, Step, step_of},
    terminal::{Terminal, short},
};
use crate::service::{MAX_BODY, Service};

/// Names the phone's text that a webhook is. It goes no further than to here.
pub(crate) const TEXT_HEADER: &str = "x-local-text";

/// More than Lambda takes, so that what is too large for the bridge is refused by the bridge.
const MAX_REQUEST: usize = 12 << 20;

struct Front {
    service: Arc<Service>,
    terminal: Terminal,
    client: Client<HttpConnector, Body>,
    /// `127.0.0.1:PORT` of `cargo lambda watch`.
    watch: String,
    public_base_url: String,
    /// `cargo lambda watch` hands a function one request at a time; so the items that it queues meanwhile are that request's.
    webhooks: tokio::sync::Mutex<()>,
}

/// Serves the front in a task.
pub(crate) async fn serve(
    address: SocketAddr,
    watch: &str,
    public_base_url: &str,
    service: Arc<Service>,
    terminal: Terminal,
) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    let front = Arc::new(Front {
        service,
        terminal,
        client: Client::builder(TokioExecutor::new()).build_http(),
        watch: watch.trim_start_matches("http://").trim_end_matches('/').to_owned(),
        public_base_url: public_base_url.trim_end_matches('/').to_owned(),
        webhooks: tokio::sync::Mutex::default(),
    });
    tokio::spawn(async move {
        // It never returns an error.
        let _ = axum::serve(listener, Router::new().fallback(pass).with_state(front)).await;
    });
    Ok(())
}

/// The function behind a path, as the router of `cargo lambda watch` finds it.
fn function_of(path: &str) -> String {
    if let Some(rest) = path.strip_prefix("/2015-03-31/functions/") {
        return rest.split('/').next().unwrap_or_default().to_owned();
    }
    if path.starts_with("/sms/") { "receive-message" } else { "start-chat" }.to_owned()
}

async fn pass(Shared(front): Shared<Arc<Front>>, request: Request) -> Response {
    // A task of its own, so that a caller who gives up leaves no row behind that is never done.
    let handled = tokio::spawn(async move { front.handle(request).await });
    handled.await.unwrap_or_else(|_| StatusCode::BAD_GATEWAY.into_response())
}

impl Front {
    async fn handle(&self, request: Request) -> Response {
        let (mut parts, body) = request.into_parts();
        let text = parts.headers.remove(TEXT_HEADER).and_then(|id| id.to_str().ok().map(str::to_owned));
        let path = parts.uri.path().to_owned();
        let function = function_of(&path);
        let Ok(body) = to_bytes(body, MAX_REQUEST).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
        let asked = (parts.method.clone(), parts.headers.clone(), path);
        if asked.0 == Method::OPTIONS || asked.2.starts_with("/2015-03-31/") {
            return self.forward(parts, body, &function).await;
        }
        let alone = if function == "receive-message" { Some(self.webhooks.lock().await) } else { None };
        let title = format!("{} {}", asked.0, asked.2);
        let number = self.service.rows().request(&function, title, text);
        let started = Instant::now();
        let (parts, body) = self.forward(parts, body, &function).await.into_parts();
        let body = to_bytes(body, MAX_BODY).await.unwrap_or_default();
        let answer = serde_json::from_slice(&body).unwrap_or_default();
        let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        // The log line comes by another way than the answer.
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        let said = Said { function: &function, status: parts.status, milliseconds, answer: &answer };
        self.tell(number, &asked, &said);
        drop(alone);
        Response::from_parts(parts, Body::from(body))
    }

    /// The answer of `cargo lambda watch`, or the fact that the function does not compile.
    async fn forward(&self, mut parts: Parts, body: Bytes, function: &str) -> Response {
        let builds = self.service.builds();
        let origin = parts.headers.get(header::ORIGIN).cloned();
        if let Some(broken) = builds.broken(function) {
            return does_not_compile(&broken, function, origin);
        }
        let uri = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let Ok(uri) = format!("http://{}{uri}", self.watch).parse::<Uri>() else {
            return StatusCode::BAD_REQUEST.into_response();
        };
        parts.uri = uri;
        let answer = tokio::select! {
            answer = self.client.request(Request::from_parts(parts, Body::from(body))) => answer,
            broken = builds.breaks(function) => return does_not_compile(&broken, function, origin),
        };
        match answer {
            Ok(answer) => {
                builds.works(function);
                answer.map(Body::new)
            }
            Err(_) => {
                let message = "cargo lambda watch can't be reached: is it still starting?";
                refusal(StatusCode::BAD_GATEWAY, "FUNCTIONS_UNREACHABLE", message, origin)
            }
        }
    }

    /// Row and line of a request.
    fn tell(&self, number: u64, (method, headers, path): &(Method, HeaderMap, String), said: &Said<'_>) {
        let step = said.step();
        self.service.rows().answered(number, said.function, &step, said.contact_id());
        if self.terminal.is_json() {
            return;
        }
        let mut more = Vec::new();
        more.extend(step.code.clone());
        more.extend(said.text("/error/message"));
        let field = said.text("/error/field").filter(|field| !more.iter().any(|words| words.contains(field)));
        more.extend(field.map(|field| format!("field {field}")));
        let row = self.service.rows().get(number).cloned();
        more.extend(row.and_then(|row| row.contact_id).map(|id| format!("contact {}", short(&id))));
        self.terminal.request(method.as_str(), path, said.status.as_u16(), said.milliseconds, &more);
        match step.code.as_deref() {
            Some("ORIGIN_NOT_ALLOWED") => {
                let origin = headers.get(header::ORIGIN).map(|origin| String::from_utf8_lossy(origin.as_bytes()));
                let origin = origin.unwrap_or_default().replace(char::is_control, "");
                self.terminal.hint(&format!("{origin} is not allowed. To allow it: ALLOWED_ORIGINS={origin} make dev"));
            }
            Some("UNVERIFIED") => self.terminal.hint(&format!(
                "The signature was checked against {}{path}. Where the provider calls another URL: \
                 PUBLIC_BASE_URL=<what stands before /sms/> make dev",
                self.public_base_url
            )),
            _ => (),
        }
    }
}

/// What a function said.
struct Said<'a> {
    function: &'a str,
    status: StatusCode,
    milliseconds: u64,
    answer: &'a Value,
}

impl Said<'_> {
    fn text(&self, pointer: &str) -> Option<String> {
        self.answer.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
    }

    fn contact_id(&self) -> Option<&str> {
        let started = self.answer.pointer("/data/startChatResult/ContactId").or_else(|| self.answer.get("ContactId"));
        started.and_then(Value::as_str)
    }

    fn step(&self) -> Step {
        Step {
            name: step_of(self.function).to_owned(),
            standing: if self.status.is_success() { Standing::Done } else { Standing::Failed },
            milliseconds: Some(self.milliseconds),
            code: self.text("/error/code"),
            notes: self.text("/error/message"),
        }
    }
}

fn does_not_compile(broken: &Broken, function: &str, origin: Option<HeaderValue>) -> Response {
    let first: String = broken.error.lines().take(2).map(str::trim).collect::<Vec<_>>().join(" ");
    let message = format!("{function} does not compile: {first}");
    refusal(StatusCode::SERVICE_UNAVAILABLE, "DOES_NOT_COMPILE", &message, origin)
}

/// A refusal of the front's own, which any page may read: it says nothing of the bridge's.
fn refusal(status: StatusCode, code: &str, message: &str, origin: Option<HeaderValue>) -> Response {
    let body = json!({ "success": false, "error": { "code": code, "message": message } });
    let mut response = (status, Json(body)).into_response();
    if let Some(origin) = origin {
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let any = HeaderValue::from_static("content-type,idempotency-key,authorization");
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_HEADERS, any);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_by_path() {
        for (path, function) in [
            ("/chat", "start-chat"),
            ("/", "start-chat"),
            ("/smsx", "start-chat"),
            ("/sms/twilio", "receive-message"),
            ("/2015-03-31/functions/send-reply/invocations", "send-reply"),
        ] {
            assert_eq!(function_of(path), function, "{path}");
        }
    }
}
