//! Works through a batch of an SQS queue: what deliveries in both directions have in common.
//!
//! The way of an item: [`Work::work`] → done, or what [`disposition`] says: back to the queue and not before a while, or to
//! the dead-letter queue ([`Work::give_up`]). A group stops at its first failure, as a FIFO queue demands; other groups of
//! the batch go on.

use std::{collections::VecDeque, convert::Infallible, panic::AssertUnwindSafe, time::Duration};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use futures_util::{FutureExt, future::join_all};
use lambda_runtime::LambdaEvent;

use crate::{
    deadline::Deadline,
    error::{Error, Kind, Result},
    queue::{
        disposition::{self, Next, Patience, Tries},
        sqs::{Handle, Queues},
    },
    store::conversations::Store,
    telemetry::Report,
};

/// No item is begun with less time than this left: it goes back as it is.
const SHORTEST: Duration = Duration::from_millis(500);

/// What is kept of an invocation's time, at most, for sending back or putting aside what could not be done in it.
const RESERVE: Duration = Duration::from_secs(2);

/// Which queue item it is that brings something.
#[derive(Clone, Copy, Debug)]
pub struct Receipt<'a> {
    /// The item's id: the same whenever the queue delivers it again.
    pub item: &'a str,
    /// Why it was dead-lettered before, where its owner has redriven it.
    pub again: Option<&'a str>,
    /// How long ago it was put into the queue.
    pub age: Duration,
}

impl<'a> Receipt<'a> {
    /// The item's.
    pub fn of(item: &'a SqsMessage) -> Self {
        let reason = item.message_attributes.get("reason");
        Self {
            item: item.message_id.as_deref().unwrap_or_default(),
            again: reason.and_then(|reason| reason.string_value.as_deref()),
            age: age(item).unwrap_or_default(),
        }
    }
}

/// What an item's work came to.
#[derive(Debug)]
pub enum Done {
    /// All of it.
    Yes,
    /// It is to come back then.
    NotYet(Duration),
}

/// An item whose work failed.
pub struct Failed<L> {
    /// Why.
    pub error: Error,
    /// What [`Work::give_up`] must know.
    pub left: L,
    /// It was given up before, for this reason, and that was not finished.
    pub reason: Option<String>,
}

impl<L: Default> From<Error> for Failed<L> {
    fn from(error: Error) -> Self {
        Self { error, left: L::default(), reason: None }
    }
}

/// A function behind a queue.
pub trait Work {
    /// Its name in logs and metrics.
    const SERVICE: &'static str;
    /// The metric that counts failed tries, by code.
    const FAILED: &'static str;
    /// See [`Failed::left`].
    type Left: Default;

    /// The queues that it works for.
    fn queues(&self) -> &Queues;

    /// Where tries are counted.
    fn store(&self) -> &Store;

    /// How long an item is tried.
    fn patience(&self) -> Patience;

    /// Items of one group are worked on one after the other. Of a queue that has no groups, each is one.
    fn group(&self, item: &SqsMessage) -> String {
        item.attributes.get("MessageGroupId").or(item.message_id.as_ref()).cloned().unwrap_or_default()
    }

    /// Does the work.
    fn work(
        &self,
        item: &SqsMessage,
        deadline: Deadline,
        report: &mut Report,
    ) -> impl Future<Output = Result<Done, Failed<Self::Left>>>;

    /// Puts aside what can't be done; `false` if there is nothing for anybody to do about it. An item is acknowledged once
    /// this succeeds.
    fn give_up(
        &self,
        item: &SqsMessage,
        failed: &Failed<Self::Left>,
        reason: &str,
        deadline: Deadline,
        report: &mut Report,
    ) -> impl Future<Output = Result<bool>>;

    /// An item is delayed: whoever waits for it is told.
    fn tell_delay(
        &self,
        _item: &SqsMessage,
        _deadline: Deadline,
        _report: &mut Report,
    ) -> impl Future<Output = Result<()>> {
        async { Ok(()) }
    }
}

/// Works through one batch. It never fails: what could not be done is in the answer, item by item.
pub async fn run<W: Work>(work: &W, event: LambdaEvent<SqsEvent>) -> Result<SqsBatchResponse, Infallible> {
    let deadline = Deadline::of_batch(event.context.deadline);
    let request_id = &event.context.request_id;
    let mut groups: Vec<(String, VecDeque<&SqsMessage>)> = Vec::new();
    for item in &event.payload.records {
        let group = work.group(item);
        match groups.iter_mut().find(|(known, _)| *known == group) {
            Some((_, items)) => items.push_back(item),
            None => groups.push((group, VecDeque::from([item]))),
        }
    }
    let failed = join_all(groups.into_iter().map(|(_, items)| run_group(work, items, request_id, deadline))).await;
    let mut answer = SqsBatchResponse::default();
    for id in failed.into_iter().flatten() {
        answer.add_failure(id);
    }
    Ok(answer)
}

/// One group's items, in order, until one fails. Returns the ids of those that stay in the queue.
async fn run_group<W: Work>(
    work: &W,
    mut left: VecDeque<&SqsMessage>,
    request_id: &str,
    deadline: Deadline,
) -> Vec<String> {
    while let Some(item) = left.front() {
        match run_item(work, item, request_id, deadline).await {
            Step::Done => drop(left.pop_front()),
            Step::Wait(wait) => {
                // All wait alike: one that came back earlier would find the first in flight, or overtake it.
                delay(work, &left, wait, request_id, deadline).await;
                break;
            }
        }
    }
    left.iter().filter_map(|item| item.message_id.clone()).collect()
}

/// The queue hands these over again, and not before a while.
async fn delay<W: Work>(work: &W, items: &VecDeque<&SqsMessage>, wait: Duration, request_id: &str, deadline: Deadline) {
    let handles: Vec<_> = items.iter().filter_map(|item| handle(item)).collect();
    if let Err(error) = work.queues().delay(&handles, wait, deadline).await {
        tracing::warn!(request_id, ?error, "the queue's own visibility timeout applies");
    }
}

/// What one try of an item came to.
enum Step {
    /// Nothing is left to do.
    Done,
    /// It comes back after this time.
    Wait(Duration),
}

/// One item.
async fn run_item<W: Work>(work: &W, item: &SqsMessage, request_id: &str, deadline: Deadline) -> Step {
    let left = deadline.remaining();
    if left < SHORTEST {
        return Step::Wait(Duration::ZERO);
    }
    let mut report = Report::new(W::SERVICE);
    report.item_id = item.message_id.clone();
    report.queued = age(item);
    let receipts = number(item, "ApproximateReceiveCount").and_then(|n| u32::try_from(n).ok()).unwrap_or(1);
    let work_deadline = Deadline::after(left.saturating_sub(RESERVE.min(left / 4)));
    let doing = AssertUnwindSafe(work.work(item, work_deadline, &mut report)).catch_unwind();
    let outcome = match tokio::time::timeout(work_deadline.remaining(), doing).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(Error::internal("the handler panicked").into()),
        Err(_) => Err(Error::new(Kind::Timeout, "The item took too long").into()),
    };
    let (outcome, step, error) = match outcome {
        Ok(Done::Yes) => ("done", Step::Done, None),
        Ok(Done::NotYet(time)) => ("waits", Step::Wait(time), None),
        Err(failed) => {
            let next = match &failed.reason {
                Some(reason) => Err(reason.as_str()),
                None => match decide(work, item, &failed.error, receipts, deadline, &mut report).await {
                    Next::Later(wait) => Ok(wait),
                    Next::DeadLetter(reason) => {
                        report.note(reason);
                        Err(reason)
                    }
                },
            };
            let (outcome, step) = match next {
                Ok(wait) => ("later", Step::Wait(wait)),
                Err(reason) => {
                    let aside = AssertUnwindSafe(work.give_up(item, &failed, reason, deadline, &mut report));
                    let panicked = |_| Err(Error::internal("the handler panicked"));
                    match aside.catch_unwind().await.unwrap_or_else(panicked) {
                        Ok(true) => ("dead letter", Step::Done),
                        Ok(false) => ("given up", Step::Done),
                        Err(error) => {
                            tracing::error!(request_id, ?error, "not dead-lettered: the item goes back to the queue");
                            ("later", Step::Wait(disposition::pause(receipts)))
                        }
                    }
                }
            };
            (outcome, step, Some(failed.error))
        }
    };
    report.finish_item(request_id, outcome, receipts, error.as_ref(), W::FAILED);
    step
}

/// Counts a failure, tells of a delay when that is due, and decides what happens next.
async fn decide<W: Work>(
    work: &W,
    item: &SqsMessage,
    error: &Error,
    receipts: u32,
    deadline: Deadline,
    report: &mut Report,
) -> Next {
    let kind = error.kind();
    let patience = work.patience();
    let age = age(item).unwrap_or_default();
    // An item that was not tried costs no call until its delay notice is due.
    let is_young = patience.notice.into_iter().chain([patience.end]).all(|time| age < time);
    let uncounted = match kind {
        Kind::StartsPaced | Kind::StoreUnavailable => true,
        Kind::AccountShut => is_young,
        _ => disposition::permanent(kind).is_some(),
    };
    if uncounted {
        let tries = Tries { age, same: receipts, ..Tries::default() };
        return disposition::next(error, &tries, &patience);
    }
    let id = item.message_id.as_deref().unwrap_or_default();
    let Ok(mut record) = work.store().tries(id, deadline).await else {
        // The table ends nothing by itself.
        return disposition::next(error, &Tries { age, same: 1, ..Tries::default() }, &patience);
    };
    let is_try = kind != Kind::AccountShut;
    let same = if is_try { record.add(kind.code()) } else { 1 };
    let mut tries = Tries { age, same, was_tried: record.was_tried(), was_told: record.was_told() };
    let mut next = disposition::next(error, &tries, &patience);
    if matches!(next, Next::DeadLetter(_)) {
        return next;
    }
    let mut is_changed = is_try;
    if disposition::is_notice_due(error, &tries, &patience) {
        match work.tell_delay(item, deadline, report).await {
            Ok(()) => {
                record.tell();
                tries.was_told = true;
                is_changed = true;
                next = disposition::next(error, &tries, &patience);
            }
            Err(error) => tracing::warn!(?error, "the delay could not be told of"),
        }
    }
    if is_changed && let Err(error) = work.store().put_tries(id, record, deadline).await {
        tracing::warn!(?error, "a try was not counted");
    }
    next
}

fn handle(item: &SqsMessage) -> Option<Handle<'_>> {
    Some(Handle { queue_arn: item.event_source_arn.as_deref()?, receipt: item.receipt_handle.as_deref()? })
}

/// Since an item was put into the queue.
fn age(item: &SqsMessage) -> Option<Duration> {
    number(item, "SentTimestamp").map(since)
}

fn number(item: &SqsMessage, attribute: &str) -> Option<u64> {
    item.attributes.get(attribute)?.parse().ok()
}

fn since(milliseconds: u64) -> Duration {
    let then = Duration::from_millis(milliseconds);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(then)
}
