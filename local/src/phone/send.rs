//! The providers' send APIs, as far as `send-reply` uses them: the account's credentials are checked, a text reaches the
//! phone, and answers and errors have the provider's form. Each account's is at `/_phone/<account>`, its `send_base_url`.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::{Body, to_bytes},
    extract::{ConnectInfo, Path, Request, State as Shared},
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
    routing::any,
};
use serde_json::json;

use super::{
    contract::{Answer, Call, Provider, SendRequest},
    sign::Connected,
    text::Text,
};
use crate::{
    connection::Peer,
    fault::{Effect, Fault},
    operation::Operation,
    service::{self, MAX_BODY, Service},
};

pub(crate) fn router() -> Router<Arc<Service>> {
    Router::new()
        .route("/_phone/{account}", any(api))
        .route("/_phone/{account}/", any(api))
        .route("/_phone/{account}/{*path}", any(api))
}

/// A call of any account's send API: record, fault plan, text.
async fn api(
    Shared(service): Shared<Arc<Service>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(path): Path<Vec<(String, String)>>,
    request: Request,
) -> Response {
    let part =
        |name: &str| path.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()).unwrap_or_default();
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let Some(connected) = service.phone().account(&part("account")).cloned() else {
        return (StatusCode::NOT_FOUND, Json(json!({ "error": "there is no such account" }))).into_response();
    };
    let fault = service.take_fault(Operation::SendText);
    let number = service.record().begin(service::call(Some(Operation::SendText), &parts, &body, &peer, fault.as_ref()));
    let fault = fault.unwrap_or_else(|| Fault::delay(Duration::ZERO));
    tokio::select! {
        () = tokio::time::sleep(fault.wait()) => (),
        () = service.stopped() => return service::reset(&peer),
    }
    let path = format!("/{}", part("path"));
    let call =
        Call { account: &connected.account, method: &parts.method, path: &path, headers: &parts.headers, body: &body };
    let provider = connected.provider;
    let answer = fault.takes_effect().then(|| match parts.method {
        Method::GET => look(&service, &connected, &call),
        _ => answer(&service, provider, &call),
    });
    let answer = match (fault.effect(), answer) {
        (Effect::Pass, Some(answer)) => answer,
        (Effect::Error(error), _) => refused(provider, &call, error.status),
        (Effect::Reset, _) => return service::reset(&peer),
        (Effect::Pass, None) | (Effect::Hang, _) => {
            service.stopped().await;
            return service::reset(&peer);
        }
    };
    service.record().answered(number, answer.status, None);
    respond(answer)
}

/// Tells of the account.
fn look(service: &Service, connected: &Connected, call: &Call<'_>) -> Answer {
    let webhook = service.phone().webhook(connected);
    match connected.provider.look(call, &webhook) {
        Ok(body) => Answer::json(200, body),
        Err(status) => refused(connected.provider, call, status),
    }
}

/// Keeps the text, where the call asks for one.
fn answer(service: &Service, provider: &dyn Provider, call: &Call<'_>) -> Answer {
    if call.method == Method::POST && provider.is_signal(call) {
        return Answer::json(200, json!({}));
    }
    let request = if call.method == Method::POST { provider.read(call) } else { Err(405) };
    match request.and_then(SendRequest::complete) {
        Ok(request) => {
            let id = provider.message_id();
            let answer = provider.taken(&request, &id);
            let SendRequest { business, to, text, choices, channel, .. } = request;
            let received = Text::received(id, &call.account.name, channel, [&business, &to], text);
            service.phone().keep(Text { choices, ..received });
            answer
        }
        Err(status) => refused(provider, call, status),
    }
}

/// The provider's answer of this status to a call that it did not carry out.
fn refused(provider: &dyn Provider, call: &Call<'_>, status: u16) -> Answer {
    let mut answer = provider.refused(call, status);
    if status == 429 {
        answer.headers.push(("retry-after", "1".to_owned()));
    }
    answer
}

fn respond(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body.to_string()));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in answer.headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
