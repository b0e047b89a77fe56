//! The HTTP side: one port for Connect, the Participant Service, the websocket and the control API. Every API call goes
//! through [`api`]: record, fault plan, operation.

use std::{io, net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    body::{Bytes, to_bytes},
    extract::{ConnectInfo, Request, State as Shared},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::MethodRouter,
};
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};
use uuid::Uuid;

use crate::{
    attachment,
    config::Config,
    connect,
    connection::{NumberedListener, Peer},
    control,
    error::ApiError,
    fault::{Effect, Fault},
    guard, instance, integration,
    operation::Operation,
    page, participant, phone,
    service::{MAX_BODY, Service, bearer, call, reset},
    sns,
    state::State,
    websocket,
};

/// Binds, and serves in a task.
pub(crate) async fn serve(config: Config) -> io::Result<(Arc<Service>, SocketAddr, JoinHandle<()>)> {
    let listener = TcpListener::bind(config.address).await?;
    let address = listener.local_addr()?;
    let service = Arc::new(Service::new(config, address));
    let router = Router::new()
        .nest("/_local", control::router())
        .merge(websocket::router())
        .merge(sns::router())
        .merge(instance::router())
        .merge(page::router())
        .merge(phone::send::router())
        .merge(attachment::router())
        // Methods that neither the page nor SNS has there.
        .route("/", MethodRouter::new().fallback(api))
        .fallback(api)
        .layer(middleware::from_fn(guard::check))
        .with_state(Arc::clone(&service));
    let stopped = Arc::clone(&service);
    let task = tokio::spawn(async move {
        let make = router.into_make_service_with_connect_info::<Peer>();
        let ticks = tick(&stopped);
        let served = axum::serve(NumberedListener::new(listener), make)
            .with_graceful_shutdown({
                let stopped = Arc::clone(&stopped);
                async move { stopped.stopped().await }
            })
            .into_future();
        tokio::select! {
            // axum::serve never returns an error.
            _ = served => (),
            () = ticks => (),
        }
    });
    Ok((service, address, task))
}

/// Ends what time has ended, for as long as the server runs.
async fn tick(service: &Service) {
    let mut second = tokio::time::interval(std::time::Duration::from_secs(1));
    loop {
        second.tick().await;
        service.state().sweep();
    }
}

/// What becomes of a call.
enum Outcome {
    Answered(Result<Value, ApiError>),
    Hangs,
    Reset,
}

/// Every API call, and whatever else comes.
async fn api(
    Shared(service): Shared<Arc<Service>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    if parts.method == Method::OPTIONS {
        return preflight(&parts.headers);
    }
    let operation = Operation::at(parts.method.as_str(), parts.uri.path());
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        let error = ApiError::too_large();
        let number = service.record().begin(call(operation, &parts, &[], &peer, None));
        service.record().answered(number, error.status, Some(error.kind.clone()));
        return with_common_headers(error.into_response());
    };
    let fault = operation.and_then(|operation| service.take_fault(operation));
    let number = service.record().begin(call(operation, &parts, &body, &peer, fault.as_ref()));

    // A task of its own, for a server goes on with a request whose caller has given up waiting.
    let worker = Arc::clone(&service);
    let bearer = bearer(&parts.headers);
    let outcome = tokio::spawn(async move {
        tokio::select! {
            outcome = run(&worker, operation, bearer, body, fault) => outcome,
            () = worker.stopped() => Outcome::Reset,
        }
    });
    let answer = match outcome.await {
        Ok(Outcome::Answered(answer)) => answer,
        Ok(Outcome::Hangs) => {
            service.stopped().await;
            return reset(&peer);
        }
        Ok(Outcome::Reset) => return reset(&peer),
        Err(_) => Err(ApiError::new(500, "InternalServiceException", "The stand-in panicked")),
    };
    let (status, error) = match &answer {
        Ok(_) => (200, None),
        Err(error) => (error.status, Some(error.kind.clone())),
    };
    service.record().answered(number, status, error);
    with_common_headers(answer.map(Json).into_response())
}

/// A call through the fault plan and the operation.
async fn run(
    service: &Service,
    operation: Option<Operation>,
    bearer: Option<String>,
    body: Bytes,
    fault: Option<Fault>,
) -> Outcome {
    let Some(operation) = operation else { return Outcome::Answered(Err(ApiError::unknown_operation())) };
    let fault = fault.unwrap_or_else(|| Fault::delay(std::time::Duration::ZERO));
    tokio::time::sleep(fault.wait()).await;
    let answer = fault.takes_effect().then(|| perform(&mut service.state(), operation, bearer.as_deref(), &body));
    match (fault.effect(), answer) {
        (Effect::Pass, Some(answer)) => Outcome::Answered(answer),
        (Effect::Pass, None) | (Effect::Hang, _) => Outcome::Hangs,
        (Effect::Error(error), _) => Outcome::Answered(Err(error.clone())),
        (Effect::Reset, _) => Outcome::Reset,
    }
}

/// An operation. Nothing in it waits: the state is locked from its beginning to its end.
fn perform(state: &mut State, operation: Operation, bearer: Option<&str>, body: &[u8]) -> Result<Value, ApiError> {
    state.sweep();
    // A body that is not JSON is refused as one that is not an object; none at all is an empty one.
    let body = match body {
        [] => Value::Object(serde_json::Map::new()),
        body => serde_json::from_slice(body).unwrap_or_default(),
    };
    match operation {
        Operation::StartChatContact => connect::start_chat_contact(state, &body),
        Operation::SendChatIntegrationEvent => integration::send_chat_integration_event(state, &body),
        Operation::StartContactStreaming => connect::start_contact_streaming(state, &body),
        Operation::StopContactStreaming => connect::stop_contact_streaming(state, &body),
        Operation::StopContact => connect::stop_contact(state, &body),
        Operation::CreateParticipantConnection => participant::create_participant_connection(state, bearer, &body),
        Operation::SendMessage => participant::send_message(state, bearer, &body),
        Operation::SendEvent => participant::send_event(state, bearer, &body),
        Operation::DisconnectParticipant => participant::disconnect_participant(state, bearer, &body),
        Operation::GetTranscript => participant::get_transcript(state, bearer, &body),
        Operation::StartAttachmentUpload => attachment::start(state, bearer, &body),
        Operation::CompleteAttachmentUpload => attachment::complete(state, bearer, &body),
        Operation::GetAttachment => attachment::get_attachment(state, bearer, &body),
        // Served by `attachment` and `phone`.
        Operation::UploadAttachment | Operation::SendText => Err(ApiError::unknown_operation()),
    }
}

/// Browsers call the Participant Service from any origin, so it allows all.
pub(crate) fn with_common_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    let exposed = HeaderValue::from_static("x-amzn-errortype,x-amzn-requestid");
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    if let Ok(id) = HeaderValue::from_str(&Uuid::new_v4().to_string()) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}

/// Allows whatever is asked for.
fn preflight(asked: &HeaderMap) -> Response {
    let mut response = with_common_headers(StatusCode::NO_CONTENT.into_response());
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET,POST,PUT,OPTIONS"));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
    if let Some(names) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    response
}
