//! What every router shares: the state behind its locks, and what they do with a call.

use std::{
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    http::{HeaderMap, StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use tokio::sync::watch;

use crate::{
    bridge::{builds::Builds, rows::Rows},
    config::Config,
    connection::Peer,
    fault::{Fault, Plan},
    operation::Operation,
    phone::texts::Phone,
    poller::Observer,
    record::{Call, Record, kept},
    state::State,
    versions::Versions,
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
    rows: Mutex<Rows>,
    builds: Builds,
    versions: Versions,
    http: reqwest::Client,
    stop: watch::Sender<bool>,
}

/// A panic while a lock was held is reported where it happened; what the lock guards stays usable for the next test.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Service {
    /// A stand-in that listens at this address.
    pub(crate) fn new(config: Config, address: SocketAddr) -> Self {
        let versions = Versions::default();
        Self {
            phone: Mutex::new(Phone::new(config.bridge.clone(), versions.clone())),
            state: Mutex::new(State::new(config, address.port(), versions.clone())),
            faults: Mutex::default(),
            record: Mutex::default(),
            rows: Mutex::new(Rows::new(versions.clone())),
            builds: Builds::default(),
            versions,
            http: reqwest::Client::new(),
            stop: watch::Sender::new(false),
        }
    }

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

    /// What became of each request to the bridge.
    pub(crate) fn rows(&self) -> MutexGuard<'_, Rows> {
        lock(&self.rows)
    }

    /// What of the bridge does not compile.
    pub(crate) fn builds(&self) -> &Builds {
        &self.builds
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

pub(crate) fn bearer(headers: &HeaderMap) -> Option<String> {
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

/// The root cause of a reqwest error: its own text says no more than that there was one.
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

/// What becomes of queued messages goes into the rows.
impl Observer for Service {
    fn sent(&self, id: &str, body: &str) {
        self.rows().queued(id, body);
    }

    fn received(&self, id: &str, body: &str, tries: u32) {
        self.rows().received(id, body, tries);
    }

    fn handed_back(&self, id: &str, wait: Duration) {
        self.rows().handed_back(id, wait);
    }
}
