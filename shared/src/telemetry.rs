//! Logs and metrics: one JSON log line and one metrics line for a request, and nothing in them that could be a token, a
//! secret, a phone number or message text. [`Report`] has no field for any of those.

use std::{
    io::Write,
    sync::OnceLock,
    time::{Duration, Instant},
};

use serde_json::{Map, Value, json};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

use crate::error::{Error, Fault};

/// The CloudWatch namespace of every metric.
pub const NAMESPACE: &str = "ConnectChatBridge";

/// Every metric. Alarms and dashboard are checked against this list, and no other metric can be published.
pub const METRICS: &[&str] = &[
    "AttachmentDelivered",
    "AttachmentNotDelivered",
    "ChatEnded",
    "ChatRejected",
    "ChatStarted",
    "ConnectLatency",
    "ConversationStarted",
    "DeadLettered",
    "DeliveryFailed",
    "DuplicateMessage",
    "FileSent",
    "IntegrationEventDenied",
    "MessageDelivered",
    "MessageReceived",
    "OptedIn",
    "OptedOut",
    "PartsMissing",
    "PersistentChatRefused",
    "ProviderLatency",
    "QueueTime",
    "ReplyDelayed",
    "ReplyDelivered",
    "ReplyDuplicate",
    "ReplyFailed",
    "ReplyForwarded",
    "ReplyIgnored",
    "ReplyNotDelivered",
    "SettingsUnreadable",
    "StatusUnknown",
    "TextDelivered",
    "TextFailed",
    "TextSent",
    "WebhookIgnored",
    "WebhookRejected",
];

/// The dimensions of every metric, and of one that is also counted by code. Lambda's own metrics have the first, too: two
/// stacks in one account are told apart by it.
const FUNCTION: &str = "FunctionName";
const CODE: &str = "code";

/// The function's name, set once [`init`] was called: a test that calls a function in-process gets neither logs nor
/// metrics.
static ON: OnceLock<Option<String>> = OnceLock::new();

/// Sends JSON logs and metrics to standard output, where Lambda collects them.
///
/// `AWS_LAMBDA_LOG_LEVEL` (set by a function's `LoggingConfig`), else `RUST_LOG`, is the level of our own lines, `INFO`
/// when unset. Other crates never log below `WARN`: at `DEBUG` and `TRACE` the AWS SDK, the HTTP client and the Lambda
/// runtime print headers and bodies, tokens included.
pub fn init() {
    let level = std::env::var("AWS_LAMBDA_LOG_LEVEL")
        .or_else(|_| std::env::var("RUST_LOG"))
        .ok()
        .and_then(|level| level.parse::<LevelFilter>().ok())
        .unwrap_or(LevelFilter::INFO);
    let ours = ["shared", "start_chat", "receive_message", "deliver_message", "receive_reply", "send_reply"]
        .map(|target| (target, level));
    let filter = Targets::new().with_default(level.min(LevelFilter::WARN)).with_targets(ours);
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_target(false)
        .with_writer(std::io::stdout);
    // A second call keeps the first subscriber.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
    ON.get_or_init(|| std::env::var("AWS_LAMBDA_FUNCTION_NAME").ok());
}

/// What one request leaves behind for its operator.
#[derive(Debug)]
pub struct Report {
    service: &'static str,
    started: Instant,
    /// The contact that was started or written to.
    pub contact_id: Option<String>,
    /// Time spent waiting for Connect, all tries together; none when Connect was not called.
    pub connect_latency: Option<Duration>,
    /// How often Connect was called.
    pub connect_calls: u32,
    /// Time spent waiting for the SMS provider, all tries together; none when it was not called.
    pub provider_latency: Option<Duration>,
    /// How often it was called.
    pub provider_calls: u32,
    /// How old a webhook's signature was, in seconds, where the provider signs a time.
    pub signature_age_s: Option<i64>,
    /// The queue's id of the item.
    pub item_id: Option<String>,
    /// How long a queue item had waited when its work began.
    pub queued: Option<Duration>,
    counts: Vec<(&'static str, u64)>,
    coded: Vec<(&'static str, &'static str, u64)>,
    notes: Vec<&'static str>,
}

impl Report {
    /// A report that starts now.
    pub fn new(service: &'static str) -> Self {
        Self {
            service,
            started: Instant::now(),
            contact_id: None,
            connect_latency: None,
            connect_calls: 0,
            provider_latency: None,
            provider_calls: 0,
            signature_age_s: None,
            item_id: None,
            queued: None,
            counts: Vec::new(),
            coded: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Says in the log line, in fixed words, what is not plain from the outcome.
    pub fn note(&mut self, note: &'static str) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Adds to a metric that is published beside the outcome.
    pub fn count(&mut self, metric: &'static str, by: u64) {
        match self.counts.iter_mut().find(|(name, _)| *name == metric) {
            Some((_, n)) => *n += by,
            None => self.counts.push((metric, by)),
        }
    }

    /// Adds to a metric that is published by code. A code is a word of ours: each is a metric of its own to CloudWatch.
    pub fn count_by_code(&mut self, metric: &'static str, code: &'static str, by: u64) {
        match self.coded.iter_mut().find(|(name, known, _)| *name == metric && *known == code) {
            Some((.., n)) => *n += by,
            None => self.coded.push((metric, code, by)),
        }
    }

    /// Notes one more call of Connect.
    pub fn connect_called(&mut self, took: Duration) {
        self.connect_calls += 1;
        *self.connect_latency.get_or_insert_default() += took;
    }

    /// Notes one more call of the SMS provider.
    pub fn provider_called(&mut self, took: Duration) {
        self.provider_calls += 1;
        *self.provider_latency.get_or_insert_default() += took;
    }

    /// Writes the log line and the metrics line. `rejected` is the metric that counts refusals, by code.
    pub fn finish(self, request_id: &str, status: u16, error: Option<&Error>, rejected: &'static str) {
        let code = error.map_or("OK", |error| error.kind().code());
        let contact_id = self.contact_id.as_deref().unwrap_or_default();
        let duration_ms = milliseconds(self.started.elapsed());
        let connect_ms = self.connect_latency.map(milliseconds);
        let calls = self.connect_calls;
        let service = self.service;
        let signature_age_s = self.signature_age_s;
        let notes = (!self.notes.is_empty()).then(|| self.notes.join(", "));
        let field = error.and_then(Error::field).map(loggable);
        macro_rules! line {
            ($level:ident, $($more:tt)*) => {
                tracing::$level!(service, request_id, contact_id, code, status, duration_ms, connect_ms, connect_calls = calls, signature_age_s, field, notes, $($more)*)
            };
        }
        match error {
            None => line!(info, "request answered"),
            Some(error) => {
                let cause = cause(error);
                match error.kind().fault() {
                    Fault::Caller => line!(info, cause, "request refused"),
                    Fault::Aws | Fault::Provider => line!(warn, cause, "request failed"),
                    Fault::Owner | Fault::Bridge => line!(error, cause, "request failed"),
                }
            }
        }
        if let Some(metrics) = self.metrics(error.map(|_| (rejected, code))) {
            write_line(&metrics);
        }
        self.coded_metrics().iter().for_each(write_line);
    }

    /// Writes the log line and the metrics line of a queue item. `outcome` says in one word what became of it; failures
    /// are counted as `failed`, by code.
    pub fn finish_item(
        self,
        request_id: &str,
        outcome: &str,
        receipts: u32,
        error: Option<&Error>,
        failed: &'static str,
    ) {
        let code = error.map_or("OK", |error| error.kind().code());
        let contact_id = self.contact_id.as_deref().unwrap_or_default();
        let duration_ms = milliseconds(self.started.elapsed());
        let connect_ms = self.connect_latency.map(milliseconds);
        let calls = self.connect_calls;
        let service = self.service;
        let provider_ms = self.provider_latency.map(milliseconds);
        let provider_calls = self.provider_latency.map(|_| self.provider_calls);
        let queued_ms = self.queued.map(milliseconds);
        let item_id = self.item_id.as_deref();
        let notes = (!self.notes.is_empty()).then(|| self.notes.join(", "));
        let cause = error.and_then(std::error::Error::source).map(ToString::to_string);
        macro_rules! line {
            ($level:ident, $text:literal) => {
                tracing::$level!(
                    service,
                    request_id,
                    item_id,
                    contact_id,
                    code,
                    outcome,
                    receipts,
                    queued_ms,
                    duration_ms,
                    connect_ms,
                    connect_calls = calls,
                    provider_ms,
                    provider_calls,
                    notes,
                    cause,
                    $text
                )
            };
        }
        match error.map(|error| error.kind().fault()) {
            None => line!(info, "item done"),
            Some(Fault::Aws | Fault::Provider | Fault::Caller) => line!(warn, "item failed"),
            Some(Fault::Owner | Fault::Bridge) => line!(error, "item failed"),
        }
        if let Some(metrics) = self.metrics(error.map(|_| (failed, code))) {
            write_line(&metrics);
        }
        self.coded_metrics().iter().for_each(write_line);
    }

    /// What is counted by code: a line each, since a line has one code.
    fn coded_metrics(&self) -> Vec<Value> {
        let function = ON.get().and_then(Option::as_deref).unwrap_or(self.service);
        let line = |(name, code, n): &(&'static str, &'static str, u64)| {
            debug_assert!(METRICS.contains(name), "METRICS lacks {name}");
            let directive = json!({ "Namespace": NAMESPACE, "Dimensions": [[FUNCTION], [FUNCTION, CODE]],
                                    "Metrics": [{ "Name": name, "Unit": "Count" }] });
            let timestamp = jiff::Timestamp::now().as_millisecond();
            json!({ "service": self.service, FUNCTION: function, *name: n, CODE: code,
                    "_aws": { "Timestamp": timestamp, "CloudWatchMetrics": [directive] } })
        };
        self.coded.iter().map(line).collect()
    }

    /// The metrics as one object in CloudWatch's embedded metric format ("Specification: Embedded metric format").
    fn metrics(&self, rejected: Option<(&'static str, &'static str)>) -> Option<Value> {
        let mut published = self.counts.iter().map(|(name, _)| *name).chain(rejected.map(|(name, _)| name));
        debug_assert!(
            published.all(|name| METRICS.contains(&name)),
            "METRICS lacks one of {:?} {rejected:?}",
            self.counts
        );
        let function = ON.get().and_then(Option::as_deref).unwrap_or(self.service);
        let mut line =
            Map::from_iter([("service".to_owned(), json!(self.service)), (FUNCTION.to_owned(), json!(function))]);
        let mut directives = Vec::new();
        let mut directive = |dimensions: Value, metrics: Vec<Value>| {
            if !metrics.is_empty() {
                directives.push(json!({ "Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": metrics }));
            }
        };
        let mut plain = Vec::new();
        for (name, n) in &self.counts {
            line.insert((*name).to_owned(), json!(n));
            plain.push(json!({ "Name": name, "Unit": "Count" }));
        }
        if let Some(latency) = self.connect_latency {
            line.insert("ConnectLatency".to_owned(), json!(milliseconds(latency)));
            plain.push(json!({ "Name": "ConnectLatency", "Unit": "Milliseconds" }));
        }
        if let Some(latency) = self.provider_latency {
            line.insert("ProviderLatency".to_owned(), json!(milliseconds(latency)));
            plain.push(json!({ "Name": "ProviderLatency", "Unit": "Milliseconds" }));
        }
        if let Some(queued) = self.queued {
            line.insert("QueueTime".to_owned(), json!(milliseconds(queued)));
            plain.push(json!({ "Name": "QueueTime", "Unit": "Milliseconds" }));
        }
        directive(json!([[FUNCTION]]), plain);
        if let Some((name, code)) = rejected {
            line.insert(name.to_owned(), json!(1));
            line.insert(CODE.to_owned(), json!(code));
            directive(json!([[FUNCTION], [FUNCTION, CODE]]), vec![json!({ "Name": name, "Unit": "Count" })]);
        }
        if directives.is_empty() {
            return None;
        }
        let timestamp = jiff::Timestamp::now().as_millisecond();
        line.insert("_aws".to_owned(), json!({ "Timestamp": timestamp, "CloudWatchMetrics": directives }));
        Some(Value::Object(line))
    }
}

/// A field's path; its first name only where the rest, which is the caller's, may be more than a name.
fn loggable(field: &str) -> &str {
    let is_name =
        |part: &str| part.len() <= 32 && part.bytes().all(|byte| byte.is_ascii_alphabetic() || b"-_:".contains(&byte));
    let (first, rest) = field.split_once('.').unwrap_or((field, ""));
    let first = first.split('[').next().unwrap_or_default();
    if rest.split('.').all(is_name) && is_name(first) { field } else { first }
}

/// What is behind an error, outermost first.
fn cause(error: &Error) -> Option<String> {
    let sources = std::iter::successors(std::error::Error::source(error), |source| source.source());
    let texts: Vec<_> = sources.map(ToString::to_string).collect();
    (!texts.is_empty()).then(|| texts.join(": "))
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Not `println!`, which panics when standard output is closed.
fn write_line(value: &Value) {
    if ON.get().is_none() {
        return;
    }
    let _ = writeln!(std::io::stdout().lock(), "{value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_by_code_has_a_line_for_each() {
        let mut report = Report::new("deliver-message");
        for (code, by) in [("SPAM", 1), ("NO_TEXTS", 1), ("SPAM", 2)] {
            report.count_by_code("TextFailed", code, by);
        }
        let lines = report.coded_metrics();
        let counted: Vec<_> =
            lines.iter().map(|line| (line["code"].as_str().unwrap(), line["TextFailed"].as_u64())).collect();
        assert_eq!(counted, [("SPAM", Some(3)), ("NO_TEXTS", Some(1))]);
        assert_eq!(lines[0]["FunctionName"], "deliver-message");
        let directive = &lines[0]["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Dimensions"], json!([["FunctionName"], ["FunctionName", "code"]]));
    }

    #[test]
    fn a_started_chat_is_one_line_of_embedded_metrics() {
        let mut report = Report::new("start-chat");
        report.count("ChatStarted", 1);
        report.connect_called(Duration::from_millis(40));
        report.connect_called(Duration::from_millis(2));
        let mut line = report.metrics(None).unwrap();
        line["_aws"]["Timestamp"] = json!("[now]");
        assert_eq!(
            line,
            json!({
                "_aws": { "Timestamp": "[now]", "CloudWatchMetrics": [{
                    "Namespace": "ConnectChatBridge", "Dimensions": [["FunctionName"]],
                    "Metrics": [{ "Name": "ChatStarted", "Unit": "Count" }, { "Name": "ConnectLatency", "Unit": "Milliseconds" }] }] },
                "service": "start-chat", "FunctionName": "start-chat", "ChatStarted": 1, "ConnectLatency": 42,
            })
        );
    }

    #[test]
    fn a_refusal_is_counted_in_all_and_by_code() {
        let mut line = Report::new("start-chat").metrics(Some(("ChatRejected", "THROTTLED"))).unwrap();
        line["_aws"]["Timestamp"] = json!("[now]");
        assert_eq!(
            line,
            json!({
                "_aws": { "Timestamp": "[now]", "CloudWatchMetrics": [{
                    "Namespace": "ConnectChatBridge", "Dimensions": [["FunctionName"], ["FunctionName", "code"]],
                    "Metrics": [{ "Name": "ChatRejected", "Unit": "Count" }] }] },
                "service": "start-chat", "FunctionName": "start-chat", "code": "THROTTLED", "ChatRejected": 1,
            })
        );
    }

    #[test]
    fn of_a_field_no_more_than_names_is_logged() {
        for (field, logged) in [
            ("body", "body"),
            ("Attributes.page", "Attributes.page"),
            ("ParticipantDetails.DisplayName", "ParticipantDetails.DisplayName"),
            ("Attributes.+14155550123", "Attributes"),
            ("Attributes.Jane Doe", "Attributes"),
            ("SupportedMessagingContentTypes[0]", "SupportedMessagingContentTypes[0]"),
        ] {
            assert_eq!(loggable(field), logged);
        }
    }

    #[test]
    fn nothing_to_count_writes_nothing() {
        assert_eq!(Report::new("start-chat").metrics(None), None);
    }
}
