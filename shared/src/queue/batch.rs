//! Works through a batch of an SQS queue: what deliveries in both directions have in common.
//!
//! The way of an item: [`Work::place`] (whose turn it is) → [`Work::work`] → done, or what [`disposition`] says: back to
//! the queue and not before a while, or to the dead-letter queue ([`Work::give_up`]). A group stops at its first failure:
//! what comes after it must wait for it, unless it was given up ([`Work::LETS_BY`]). Only one that an item before it waits for ([`Done::NotItsTurn`]) goes first.
//! Other groups of the batch go on.

use std::{collections::VecDeque, convert::Infallible, panic::AssertUnwindSafe, time::Duration};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use futures_util::{FutureExt, future::join_all};
use jiff::Timestamp;
use lambda_runtime::LambdaEvent;

use crate::{
    deadline::Deadline,
    error::{Error, Kind, Result},
    queue::{
        disposition::{self, Next},
        sqs::{Handle, Queues},
    },
    telemetry::Report,
};

/// No item is begun with less time than this left: it goes back as it is.
const SHORTEST: Duration = Duration::from_millis(500);

/// What is kept of an invocation's time, at most, for sending back or putting aside what could not be done in it.
const RESERVE: Duration = Duration::from_secs(2);

/// Whose turn an item is.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// Items of one group are worked on one after the other.
    pub group: String,
    /// In the order of these, those that have none first; where they are the same, in that of their arrival.
    pub time: Option<Timestamp>,
    /// What [`Done::NotItsTurn`] calls it; none: nothing waits for it.
    pub id: Option<String>,
}

/// Which queue item it is that brings something.
#[derive(Clone, Copy, Debug)]
pub struct Turn<'a> {
    /// The item's id: the same whenever the queue delivers it again.
    pub item: &'a str,
    /// Why it was put aside, where its owner has sent it round again from the dead-letter queue.
    pub again: Option<&'a str>,
}

impl<'a> Turn<'a> {
    /// The turn that the item is.
    pub fn of(item: &'a SqsMessage) -> Self {
        let reason = item.message_attributes.get("reason");
        Self {
            item: item.message_id.as_deref().unwrap_or_default(),
            again: reason.and_then(|reason| reason.string_value.as_deref()),
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
    /// It is to come back when what goes before it is done with: the [`Place::id`] of that, where it is known.
    NotItsTurn(Option<String>),
}

/// An item whose work failed.
pub struct Failed<L> {
    /// Why.
    pub error: Error,
    /// What [`Work::give_up`] must know.
    pub left: L,
    /// It was given up before, for this reason, and that was not finished.
    pub reason: Option<String>,
    /// How often it was tried, where that is not how often the queue has handed it over.
    pub tries: Option<u32>,
}

impl<L: Default> From<Error> for Failed<L> {
    fn from(error: Error) -> Self {
        Self { error, left: L::default(), reason: None, tries: None }
    }
}

/// A function behind a queue.
pub trait Work {
    /// Its name in logs and metrics.
    const SERVICE: &'static str;
    /// The metric that counts failed tries, by code.
    const FAILED: &'static str;
    /// Whether an item that is given up, and can't be put aside now, lets those behind it by: a FIFO queue's can't.
    const LETS_BY: bool;
    /// See [`Failed::left`].
    type Left: Default;

    /// The queues that it works for.
    fn queues(&self) -> &Queues;

    /// Whose turn an item is.
    fn place(&self, item: &SqsMessage) -> Place;

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

    /// These items of a group go back to the queue, most of them without having been looked at.
    fn hand_back(&self, _items: &[&SqsMessage], _deadline: Deadline) -> impl Future<Output = Result<()>> {
        async { Ok(()) }
    }
}

/// An item, and whose turn it is.
type Placed<'a> = (Place, &'a SqsMessage);

/// Works through one batch. It never fails: what could not be done is in the answer, item by item.
pub async fn run<W: Work>(work: &W, event: LambdaEvent<SqsEvent>) -> Result<SqsBatchResponse, Infallible> {
    let deadline = Deadline::of_invocation(event.context.deadline);
    let request_id = &event.context.request_id;
    let mut groups: Vec<Vec<Placed<'_>>> = Vec::new();
    for item in &event.payload.records {
        let place = work.place(item);
        let known = groups.iter_mut().find(|items| items.first().is_some_and(|(first, _)| first.group == place.group));
        match known {
            Some(items) => items.push((place, item)),
            None => groups.push(vec![(place, item)]),
        }
    }
    for items in &mut groups {
        items.sort_by_key(|(place, _)| place.time);
    }
    let failed = join_all(groups.into_iter().map(|items| group(work, items.into(), request_id, deadline))).await;
    let mut answer = SqsBatchResponse::default();
    for id in failed.into_iter().flatten() {
        answer.add_failure(id);
    }
    Ok(answer)
}

/// One group's items, in order. Returns the ids of those that are not done with.
async fn group<W: Work>(work: &W, mut left: VecDeque<Placed<'_>>, request_id: &str, deadline: Deadline) -> Vec<String> {
    let mut failed = Vec::new();
    // One goes first at a time: what it waits for itself is not looked for.
    let mut gone_first = false;
    while let Some((_, item)) = left.front() {
        let (wait, behind) = match one(work, item, request_id, deadline).await {
            Step::Done => {
                left.pop_front();
                gone_first = false;
                continue;
            }
            Step::Aside { time } if W::LETS_BY => {
                delay(work, &[item], time, request_id, deadline).await;
                failed.extend(item.message_id.clone());
                left.pop_front();
                gone_first = false;
                continue;
            }
            Step::Aside { time } => (time, None),
            Step::Wait { time, behind } => (time, behind),
        };
        let first = behind
            .filter(|_| !gone_first)
            .and_then(|id| left.iter().position(|(place, _)| place.id.as_ref() == Some(&id)))
            .and_then(|at| left.remove(at));
        if let Some(first) = first {
            left.push_front(first);
            gone_first = true;
            continue;
        }
        let items: Vec<_> = left.iter().map(|(_, item)| *item).collect();
        // Half of the time is for what follows.
        if items.len() > 1
            && let Err(error) = work.hand_back(&items, Deadline::after(deadline.remaining() / 2)).await
        {
            tracing::warn!(request_id, ?error, "items of a group may come back in another order");
        }
        delay(work, &items, wait, request_id, deadline).await;
        failed.extend(items.iter().filter_map(|item| item.message_id.clone()));
        break;
    }
    failed
}

/// The queue hands these over again, and not before a while.
async fn delay<W: Work>(work: &W, items: &[&SqsMessage], wait: Duration, request_id: &str, deadline: Deadline) {
    let handles: Vec<_> = items.iter().filter_map(|item| handle(item)).collect();
    if let Err(error) = work.queues().delay(&handles, wait, deadline).await {
        tracing::warn!(request_id, ?error, "the queue's own visibility timeout applies");
    }
}

/// What one try of an item came to.
enum Step {
    /// Nothing is left to do.
    Done,
    /// It comes back after this time, or once the one with this id is done.
    Wait { time: Duration, behind: Option<String> },
    /// It is given up, and comes back after this time to be put aside.
    Aside { time: Duration },
}

/// One item.
async fn one<W: Work>(work: &W, item: &SqsMessage, request_id: &str, deadline: Deadline) -> Step {
    let left = deadline.remaining();
    if left < SHORTEST {
        return Step::Wait { time: Duration::ZERO, behind: None };
    }
    let mut report = Report::new(W::SERVICE);
    report.item_id = item.message_id.clone();
    report.queued = number(item, "SentTimestamp").map(since);
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
        Ok(Done::NotYet(time)) => ("waits", Step::Wait { time, behind: None }, None),
        Ok(Done::NotItsTurn(behind)) => ("waits", Step::Wait { time: disposition::in_turn(receipts), behind }, None),
        Err(failed) => {
            let next = match &failed.reason {
                Some(reason) => Err(reason.as_str()),
                None => match disposition::next(&failed.error, receipts, failed.tries.unwrap_or(receipts)) {
                    Next::Later(wait) => Ok(wait),
                    Next::DeadLetter(reason) => {
                        report.note(reason);
                        Err(reason)
                    }
                },
            };
            match next {
                Ok(time) => ("later", Step::Wait { time, behind: None }, Some(failed.error)),
                Err(reason) => match AssertUnwindSafe(work.give_up(item, &failed, reason, deadline, &mut report))
                    .catch_unwind()
                    .await
                    .unwrap_or_else(|_| Err(Error::internal("the handler panicked")))
                {
                    Ok(aside) => (if aside { "dead letter" } else { "given up" }, Step::Done, Some(failed.error)),
                    Err(error) => {
                        tracing::error!(request_id, ?error, "not put aside: the item goes back to the queue");
                        ("later", Step::Aside { time: disposition::pause(receipts) }, Some(failed.error))
                    }
                },
            }
        }
    };
    report.finish_item(request_id, outcome, receipts, error.as_ref(), W::FAILED);
    step
}

fn handle(item: &SqsMessage) -> Option<Handle<'_>> {
    Some(Handle { queue_arn: item.event_source_arn.as_deref()?, receipt: item.receipt_handle.as_deref()? })
}

fn number(item: &SqsMessage, attribute: &str) -> Option<u64> {
    item.attributes.get(attribute)?.parse().ok()
}

fn since(milliseconds: u64) -> Duration {
    let then = Duration::from_millis(milliseconds);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(then)
}
