//! The HTTP side: one port for Connect, the Participant Service, the websocket and the control API. Every API call goes
//! through [`api`]: record, fault plan, operation.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Json, Router,
    body::{Bytes, to_bytes},
    extract::{ConnectInfo, Request, State as Shared},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde_json::Value;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use uuid::Uuid;

use crate::{
    config::Config,
    connect,
    connection::{NumberedListener, Peer},
    control,
    error::ApiError,
    fault::{Effect, Fault, Plan},
    operation::Operation,
    page, participant,
    phone::{self, Phone},
    record::{Call, Record, kept},
    sns,
    state::{State, Versions},
    websocket,
};

/// What is read of a body. The largest valid request (attributes, initial message) is far below.
pub(crate) const MAX_BODY: usize = 1 << 20;

/// The token of a participant (connectparticipant service model).
const BEARER_HEADER: &str = "x-amz-bearer";

/// What a running stand-in shares with its requests.
#[derive(Debug)]
pub(crate) struct Service {
    state: Mutex<State>,
    faults: Mutex<Plan>,
    record: Mutex<Record>,
    phone: Mutex<Phone>,
    versions: Versions,
    http: reqwest::Client,
    stop: watch::Sender<bool>,
}

/// A panic while a lock was held is reported where it happened; what the lock guards stays usable for the next test.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Service {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Plan> {
        lock(&self.faults)
    }

    /// The fault that a call meets.
    pub(crate) fn take_fault(&self, operation: Operation) -> Option<Fault> {
        let fault = self.faults().take(operation);
        if fault.is_some() {
            self.versions.next();
        }
        fault
    }

    pub(crate) fn record(&self) -> MutexGuard<'_, Record> {
        lock(&self.record)
    }

    pub(crate) fn phone(&self) -> MutexGuard<'_, Phone> {
        lock(&self.phone)
    }

    pub(crate) fn versions(&self) -> &Versions {
        &self.versions
    }

    /// For the phone's webhooks.
    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// Stops accepting and answering.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Returns when the stand-in stops.
    pub(crate) async fn stopped(&self) {
        // The sender lives in self, so there is no other way for this to end.
        let _ = self.stop.subscribe().wait_for(|stop| *stop).await;
    }
}

/// Binds, and serves in a task.
pub(crate) async fn serve(config: Config) -> io::Result<(Arc<Service>, SocketAddr, JoinHandle<()>)> {
    let listener = TcpListener::bind(config.address).await?;
    let address = listener.local_addr()?;
    let versions = Versions::default();
    let service = Arc::new(Service {
        phone: Mutex::new(Phone::new(config.bridge.clone(), versions.clone())),
        state: Mutex::new(State::new(config, address.port(), versions.clone())),
        faults: Mutex::default(),
        record: Mutex::default(),
        versions,
        http: reqwest::Client::new(),
        stop: watch::Sender::new(false),
    });
    let router = Router::new()
        .nest("/_local", control::router())
        .merge(websocket::router())
        .merge(sns::router())
        .merge(page::router())
        .merge(phone::router())
        .fallback(api)
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
pub(crate) async fn api(
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
        Operation::SendChatIntegrationEvent => connect::send_chat_integration_event(state, &body),
        Operation::StartContactStreaming => connect::start_contact_streaming(state, &body),
        Operation::StopContactStreaming => connect::stop_contact_streaming(state, &body),
        Operation::StopContact => connect::stop_contact(state, &body),
        Operation::CreateParticipantConnection => participant::create_participant_connection(state, bearer, &body),
        Operation::SendMessage => participant::send_message(state, bearer, &body),
        Operation::SendEvent => participant::send_event(state, bearer, &body),
        Operation::DisconnectParticipant => participant::disconnect_participant(state, bearer, &body),
        Operation::GetTranscript => participant::get_transcript(state, bearer, &body),
        // Served by `phone`.
        Operation::SendText => Err(ApiError::unknown_operation()),
    }
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    Some(headers.get(BEARER_HEADER)?.to_str().ok()?.to_owned())
}

pub(crate) fn call(
    operation: Option<Operation>,
    parts: &Parts,
    body: &[u8],
    peer: &Peer,
    fault: Option<&Fault>,
) -> Call {
    Call {
        operation,
        method: parts.method.to_string(),
        path: parts.uri.path_and_query().map_or_else(String::new, ToString::to_string),
        bearer: bearer(&parts.headers),
        headers: kept(&parts.headers),
        body: serde_json::from_slice(body).unwrap_or_default(),
        connection: peer.connection,
        status: None,
        error: None,
        fault: fault.map(ToString::to_string),
        time: Timestamp::now(),
    }
}

/// What an error of reqwest's is at bottom, in words: its own text says no more than that there was one.
pub(crate) fn innermost(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// Makes the caller see a reset: hyper writes this response, and the connection breaks on it.
pub(crate) fn reset(peer: &Peer) -> Response {
    peer.reset();
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

/// Browsers call the Participant Service from any origin, so it allows all.
fn with_common_headers(mut response: Response) -> Response {
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
