//! The events of a queue, read tolerantly: a record that can't be read fails alone.

use std::convert::Infallible;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use lambda_runtime::LambdaEvent;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use crate::gateway::{Event, without_nulls};

#[derive(Deserialize)]
struct Records<'a> {
    #[serde(borrow, rename = "Records")]
    records: Vec<&'a RawValue>,
}

/// Hands the records that can be read to `handle`, and reports the others as failed.
pub async fn serve(
    event: LambdaEvent<Event>,
    handle: impl AsyncFnOnce(LambdaEvent<SqsEvent>) -> Result<SqsBatchResponse, Infallible>,
) -> Result<SqsBatchResponse, lambda_runtime::Error> {
    let LambdaEvent { payload, context } = event;
    let request_id = context.request_id.clone();
    let (records, unreadable) = read(payload.text())?;
    let mut event = SqsEvent::default();
    event.records = records;
    let mut answer = handle(LambdaEvent { payload: event, context }).await?;
    for id in unreadable {
        tracing::error!(request_id, "a record of the queue's event can't be read");
        answer.add_failure(id);
    }
    Ok(answer)
}

/// The records, and the ids of those that can't be read. Without an id (then Lambda takes the whole batch for failed), its
/// place is kept by an empty one.
fn read(event: &str) -> serde_json::Result<(Vec<SqsMessage>, Vec<String>)> {
    let Records { records } = serde_json::from_str(event)?;
    let mut read = Vec::new();
    let mut unreadable = Vec::new();
    for record in records {
        match read_record(record.get()) {
            Some(record) => read.push(record),
            None => unreadable.push(id(record.get())),
        }
    }
    Ok((read, unreadable))
}

fn read_record(record: &str) -> Option<SqsMessage> {
    serde_json::from_str(record).ok().or_else(|| {
        let mut record: Value = serde_json::from_str(record).ok()?;
        without_nulls(&mut record);
        serde_json::from_value(record).ok()
    })
}

fn id(record: &str) -> String {
    let record: Value = serde_json::from_str(record).unwrap_or_default();
    record.get("messageId").and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::read;

    #[test]
    fn nulls_count_as_absent_and_a_bad_record_fails_alone() {
        let record = |changes: Value| {
            let mut record = json!({ "messageId": "1", "body": "{}", "attributes": { "SentTimestamp": "1" } });
            record.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            record
        };
        let attribute = json!({ "a": { "stringValue": "x", "dataType": "String", "stringListValues": null,
                                       "binaryListValues": null, "binaryValue": null } });
        for (label, given, is_read) in [
            ("as AWS sends it", record(json!({ "messageAttributes": {} })), true),
            ("null attributes", record(json!({ "messageAttributes": null, "attributes": null })), true),
            ("null lists", record(json!({ "messageAttributes": attribute })), true),
            ("a null value", record(json!({ "attributes": { "SentTimestamp": null } })), true),
            ("null fields", record(json!({ "body": null, "eventSourceARN": null })), true),
            ("a body of the wrong type", record(json!({ "body": 7 })), false),
            ("attributes of the wrong type", record(json!({ "messageAttributes": [7] })), false),
        ] {
            let good = json!({ "messageId": "2", "body": "x" });
            let (records, unreadable) = read(&json!({ "Records": [given, good] }).to_string()).unwrap();
            let ids: Vec<_> = records.iter().filter_map(|record| record.message_id.as_deref()).collect();
            assert_eq!(ids, if is_read { vec!["1", "2"] } else { vec!["2"] }, "{label}");
            assert_eq!(unreadable, if is_read { vec![] } else { vec!["1"] }, "{label}");
        }
        assert_eq!(read(r#"{"Records":[7]}"#).unwrap().1, [""]);
        assert!(read(r#"{"Records":7}"#).is_err());
    }
}
