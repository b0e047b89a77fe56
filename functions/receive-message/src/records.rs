//! AWS SNS messages that come as Lambda events, of a queue or of the topic itself: no signature is needed, since IAM has
//! proved the sender.

use lambda_runtime::Context;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use shared::{
    Kind, Result,
    deadline::Deadline,
    error::Error,
    gateway::Handler,
    sms::providers::{ProviderId, aws_sns},
    telemetry::Report,
};

use crate::ReceiveMessage;

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "Records")]
    records: Vec<&'a RawValue>,
}

/// One of `Records`: an SQS record has a `body`, an SNS record an `Sns`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    message_id: Option<String>,
    body: Option<String>,
    #[serde(rename = "eventSourceARN")]
    queue_arn: Option<String>,
    #[serde(rename = "Sns")]
    sns: Option<Box<RawValue>>,
}

impl Record {
    /// One that fails alone.
    fn unreadable(record: &str) -> Self {
        let record: Value = serde_json::from_str(record).unwrap_or_default();
        let text = |name| record.get(name).and_then(Value::as_str).map(str::to_owned);
        Self { message_id: text("messageId"), body: None, queue_arn: text("eventSourceARN"), sns: None }
    }

    /// The envelope of SNS, or the message itself where it was delivered raw.
    fn text(&self) -> Option<&str> {
        self.body.as_deref().or(self.sns.as_ref().map(|sns| sns.get()))
    }

    fn in_order(&self) -> bool {
        self.queue_arn.as_deref().is_some_and(|arn| arn.ends_with(".fifo"))
    }
}

/// The event's records, if it is one of SQS or SNS and not a gateway's.
pub(crate) fn read(event: &str) -> Option<Vec<Record>> {
    let Event { records } = serde_json::from_str(event).ok()?;
    Some(
        records
            .into_iter()
            .map(|record| serde_json::from_str(record.get()).unwrap_or_else(|_| Record::unreadable(record.get())))
            .collect(),
    )
}

/// Handles each record. What fails comes again: a queue's record as a batch item failure, a topic's by failing the whole
/// invocation, which Lambda repeats.
pub(crate) async fn serve(
    function: &ReceiveMessage,
    records: Vec<Record>,
    context: &Context,
) -> Result<Value, lambda_runtime::Error> {
    let deadline = Deadline::of_invocation(context.deadline);
    let mut failures = Vec::new();
    for record in &records {
        // A FIFO queue's order is kept by leaving what follows a failure to the next time.
        let skipped = record.in_order() && !failures.is_empty();
        if !skipped && receive(function, record, context, deadline).await.is_ok() {
            continue;
        }
        match &record.message_id {
            Some(id) => failures.push(json!({ "itemIdentifier": id })),
            None => return Err("the message could not be forwarded".into()),
        }
    }
    Ok(json!({ "batchItemFailures": failures }))
}

async fn receive(function: &ReceiveMessage, record: &Record, context: &Context, deadline: Deadline) -> Result<()> {
    let mut report = Report::new(ReceiveMessage::SERVICE);
    let outcome = match record.text() {
        Some(text) => {
            let webhook = aws_sns::from_event(text.to_owned(), jiff::Timestamp::now().as_second());
            function.receive(webhook, ProviderId::AwsSns, None, deadline, &mut report).await.map(|_| ())
        }
        None => Err(Error::new(Kind::Validation, "The record is of no kind that is served here")),
    };
    let status = outcome.as_ref().map_or_else(|error| error.kind().status().as_u16(), |()| 200);
    report.finish(&context.request_id, status, outcome.as_ref().err(), ReceiveMessage::REJECTED);
    outcome
}
