//! Puts items into a FIFO queue so that every conversation's order holds, whatever part of a call fails.
//!
//! SQS answers a batch entry by entry. An entry that follows a failed one of its own group would overtake it at the next
//! try. So a call never holds two entries of one group, and a group whose entry failed stops there.

use std::{collections::HashSet, fmt::Display};

use aws_config::SdkConfig;
use aws_sdk_sqs::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    types::{MessageAttributeValue, SendMessageBatchRequestEntry},
};

use crate::{
    aws::failure::Failure,
    deadline::Deadline,
    error::{Error, Kind, Result},
    retry,
};

/// A batch has at most this many items ("Amazon SQS message quotas").
pub(super) const BATCH_ITEMS: usize = 10;

/// A batch and each of its items have at most 1 MiB ("Amazon SQS message quotas"); some is left for ids.
pub(super) const BATCH_BYTES: usize = 1024 * 1024 - 16 * 1024;

pub(super) fn not_stored() -> Error {
    Error::new(Kind::NotStored, "The message could not be stored; send it again")
}

/// One item on its way into the queue. Not `Debug`: it holds message text.
#[derive(Clone)]
pub struct Entry {
    /// `MessageGroupId`.
    pub group_id: String,
    /// `MessageDeduplicationId`.
    pub deduplication_id: String,
    /// The body.
    pub body: String,
    /// Message attributes.
    pub attributes: Vec<(String, MessageAttributeValue)>,
}

impl Entry {
    fn bytes(&self) -> usize {
        let attributes = self.attributes.iter().map(|(name, value)| {
            let text = value.string_value().map_or(0, str::len);
            let binary = value.binary_value().map_or(0, |blob| blob.as_ref().len());
            name.len() + value.data_type().len() + text + binary
        });
        self.body.len() + attributes.sum::<usize>()
    }
}

/// An entry with its place in the answer.
type Numbered<'a> = (usize, &'a Entry);

/// A FIFO queue to send to.
pub struct FifoQueue {
    client: Client,
    url: String,
}

impl FifoQueue {
    /// A client; no call is made.
    pub fn new(config: &SdkConfig, url: impl Into<String>) -> Self {
        Self { client: Client::new(config), url: url.into() }
    }

    /// Stores the entries, in order: one call where no group has two of them (and ten are enough), else as many as the
    /// largest group has entries. The answer has one outcome per entry: [`Kind::NotStored`] may succeed later,
    /// [`Kind::StoreRejected`] never will. Nothing of a group is stored after one that was not.
    pub async fn send(&self, entries: &[Entry], deadline: Deadline) -> Vec<Result<()>> {
        let mut outcomes: Vec<(usize, Result<()>)> = Vec::new();
        let mut left: Vec<Numbered<'_>> = Vec::new();
        for numbered in entries.iter().enumerate() {
            left.push(numbered);
        }
        while !left.is_empty() {
            let mut groups = HashSet::new();
            let (first, behind): (Vec<_>, Vec<_>) =
                left.into_iter().partition(|(_, entry)| groups.insert(entry.group_id.as_str()));
            let mut stopped = HashSet::new();
            for call in calls(&first) {
                for (number, outcome) in self.send_call(call, deadline).await {
                    if outcome.is_err() {
                        stopped.extend(entries.get(number).map(|entry| entry.group_id.as_str()));
                    }
                    outcomes.push((number, outcome));
                }
            }
            let (blocked, next): (Vec<_>, Vec<_>) =
                behind.into_iter().partition(|(_, entry)| stopped.contains(entry.group_id.as_str()));
            let why = "an earlier one of its conversation was not stored";
            outcomes.extend(blocked.into_iter().map(|(number, _)| (number, Err(not_stored().caused_by(why)))));
            left = next;
        }
        outcomes.sort_by_key(|(number, _)| *number);
        outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    }

    /// One call, whose entries are of different groups. What SQS refuses is found entry by entry.
    async fn send_call(&self, call: &[Numbered<'_>], deadline: Deadline) -> Vec<(usize, Result<()>)> {
        let mut outcomes = Vec::new();
        let mut left: Vec<Numbered<'_>> = call.to_vec();
        let outcome = retry::until(deadline, async || {
            let entries = left.iter().map(|(number, entry)| batch_entry(*number, entry)).collect::<Result<Vec<_>>>()?;
            let request = self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries));
            let output = Box::pin(request.send()).await.map_err(|error| failed("SendMessageBatch", &error))?;
            let mut again = Vec::new();
            let mut code = None;
            for (number, entry) in std::mem::take(&mut left) {
                let id = number.to_string();
                match output.failed.iter().find(|failed| failed.id == id) {
                    None => outcomes.push((number, Ok(()))),
                    Some(failed) if failed.sender_fault || is_refusal(&failed.code) => {
                        outcomes.push((number, Err(rejected(format!("SendMessageBatch: {}", failed.code)))));
                    }
                    Some(failed) => {
                        code.get_or_insert_with(|| failed.code.clone());
                        again.push((number, entry));
                    }
                }
            }
            left = again;
            match code {
                None => Ok(()),
                Some(code) => Err(not_stored().caused_by(format!("SendMessageBatch: {code}"))),
            }
        })
        .await;
        let Err(error) = outcome else { return outcomes };
        // The call as a whole was refused: which entry is at fault shows when each goes alone.
        if error.kind() == Kind::StoreRejected && left.len() > 1 {
            for one in left {
                outcomes.extend(Box::pin(self.send_call(&[one], deadline)).await);
            }
            return outcomes;
        }
        let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        outcomes.extend(left.into_iter().map(|(number, _)| {
            let error = if error.kind() == Kind::StoreRejected { rejected(cause.clone()) } else { not_stored() };
            (number, Err(error.caused_by(cause.clone())))
        }));
        outcomes
    }
}

/// The entries of one round in calls within SQS's limits.
fn calls<'a, 'b>(round: &'a [Numbered<'b>]) -> Vec<&'a [Numbered<'b>]> {
    let mut calls = Vec::new();
    let mut rest = round;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = rest.iter().take(BATCH_ITEMS).take_while(|(_, entry)| {
            bytes += entry.bytes();
            bytes <= BATCH_BYTES
        });
        // An entry that is too large goes alone, and SQS says so.
        let (call, next) = rest.split_at(fits.count().max(1));
        calls.push(call);
        rest = next;
    }
    calls
}

fn batch_entry(number: usize, entry: &Entry) -> Result<SendMessageBatchRequestEntry> {
    let mut batch_entry = SendMessageBatchRequestEntry::builder()
        .id(number.to_string())
        .message_group_id(&entry.group_id)
        .message_deduplication_id(&entry.deduplication_id)
        .message_body(&entry.body);
    for (name, value) in &entry.attributes {
        batch_entry = batch_entry.message_attributes(name, value.clone());
    }
    batch_entry.build().map_err(Error::internal)
}

/// What a failed call to SQS means: the request itself is refused, or the queue can't take it now.
pub(super) fn failed<E>(
    operation: &'static str,
    error: &SdkError<E, aws_smithy_runtime_api::client::orchestrator::HttpResponse>,
) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let failure = Failure::of(operation, error);
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
    if code.is_some_and(is_refusal) { rejected(failure) } else { not_stored().caused_by(failure) }
}

/// Codes by which SQS refuses what a message holds ("SendMessageBatch: Errors"; the JSON protocol leaves the prefix out).
fn is_refusal(code: &str) -> bool {
    let code = code.rsplit(['.', '#']).next().unwrap_or(code);
    matches!(
        code,
        "InvalidMessageContents"
            | "InvalidParameterValue"
            | "BatchRequestTooLong"
            | "MessageTooLong"
            | "InvalidAttributeValue"
    )
}

fn rejected(cause: impl Display) -> Error {
    Error::new(Kind::StoreRejected, "The message can't be stored").caused_by(cause.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(group: &str, bytes: usize) -> Entry {
        Entry {
            group_id: group.to_owned(),
            deduplication_id: String::new(),
            body: "x".repeat(bytes),
            attributes: Vec::new(),
        }
    }

    #[test]
    fn calls_stay_within_what_sqs_takes() {
        for (label, sizes, expected) in [
            ("ten to a call", vec![1; 21], vec![10, 10, 1]),
            ("a mebibyte to a call", vec![BATCH_BYTES / 2, BATCH_BYTES / 2, 1, 1], vec![2, 2]),
            ("one that is too large goes alone", vec![BATCH_BYTES + 1, 1], vec![1, 1]),
            ("none", vec![], vec![]),
        ] {
            let entries: Vec<_> = sizes.into_iter().map(|bytes| entry("g", bytes)).collect();
            let round: Vec<_> = entries.iter().enumerate().collect();
            let found: Vec<_> = calls(&round).into_iter().map(<[_]>::len).collect();
            assert_eq!(found, expected, "{label}");
        }
    }

    #[test]
    fn refusals_are_told_from_outages() {
        for (code, refused) in [
            ("InvalidMessageContents", true),
            ("AWS.SimpleQueueService.BatchRequestTooLong", true),
            ("InvalidParameterValue", true),
            ("RequestThrottled", false),
            ("InternalError", false),
            ("QueueDoesNotExist", false),
            ("AccessDenied", false),
        ] {
            assert_eq!(is_refusal(code), refused, "{code}");
        }
    }
}
