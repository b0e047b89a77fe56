//! The record of calls: everything that callers sent, in order.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::operation::Operation;

/// A call as it came in, and what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    /// `None`: no operation has this method and path.
    pub operation: Option<Operation>,
    /// The HTTP method.
    pub method: String,
    /// The path and query.
    pub path: String,
    /// The value of `x-amz-bearer`.
    pub bearer: Option<String>,
    /// `accept`, `authorization`, `content-type`, `host`, `origin`, `user-agent` and all `amz-…` and `x-…` headers, by
    /// lower-case name.
    pub headers: BTreeMap<String, String>,
    /// The body, where it is JSON.
    pub body: Value,
    /// The TCP connection that it came on: calls of one number shared one.
    pub connection: u64,
    /// `None`: not answered (yet).
    pub status: Option<u16>,
    /// The exception it was answered with.
    pub error: Option<String>,
    /// The fault that it met.
    pub fault: Option<String>,
    /// When it came.
    #[serde(serialize_with = "as_text")]
    pub time: Timestamp,
}

fn as_text<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

/// The headers worth keeping.
pub(crate) fn kept(headers: &HeaderMap) -> BTreeMap<String, String> {
    const NAMES: [&str; 6] = ["accept", "authorization", "content-type", "host", "origin", "user-agent"];
    headers
        .iter()
        .filter(|(name, _)| {
            let name = name.as_str();
            NAMES.contains(&name) || name.starts_with("x-") || name.starts_with("amz-")
        })
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect()
}

/// All calls since the start or the last [`clear`](Self::clear).
#[derive(Debug, Default)]
pub(crate) struct Record {
    calls: Vec<(u64, Call)>,
    next: u64,
}

impl Record {
    /// Notes a call before anything is done about it, so that one that is never answered is on record too.
    pub(crate) fn begin(&mut self, call: Call) -> u64 {
        let number = self.next;
        self.next += 1;
        self.calls.push((number, call));
        number
    }

    /// Completes the call, unless it has been forgotten meanwhile.
    pub(crate) fn answered(&mut self, number: u64, status: u16, error: Option<String>) {
        if let Some((_, call)) = self.calls.iter_mut().rev().find(|(known, _)| *known == number) {
            call.status = Some(status);
            call.error = error;
        }
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.iter().map(|(_, call)| call.clone()).collect()
    }

    pub(crate) fn clear(&mut self) {
        self.calls.clear();
    }
}
