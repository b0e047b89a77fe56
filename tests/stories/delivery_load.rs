//! Many customers at once, with duplicates, while one call in ten fails: every transcript is complete and in order.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use local::{Fault, Operation};
use serde_json::Value;
use shared::inbound::Inbound;
use tests::aws::{Cloud, TableFault, text_from};

const CUSTOMERS: usize = 50;
const EACH: usize = 20;
const WORKERS: usize = 6;

/// Numbers that look random and are the same in every run (Numerical Recipes' generator).
struct Numbers(u32);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as usize % below
    }
}

fn customer(number: usize) -> String {
    format!("+1415555{:04}", 2000 + number)
}

/// Every customer's messages in order, customers mixed, and one message in ten twice: at once or later.
fn sent(numbers: &mut Numbers) -> Vec<(Inbound, usize)> {
    let mut next = vec![0; CUSTOMERS];
    let mut sent: Vec<(Inbound, usize)> = Vec::new();
    while sent.iter().filter(|(_, copy)| *copy == 0).count() < CUSTOMERS * EACH {
        let who = numbers.next(CUSTOMERS);
        if next[who] < EACH {
            let text = format!("{who}-{:02}", next[who]);
            sent.push((text_from(&customer(who), &text, &text), 0));
            next[who] += 1;
        }
        if numbers.next(10) == 0 && !sent.is_empty() {
            let (again, _) = &sent[numbers.next(sent.len())];
            sent.push((again.clone(), sent.len()));
        }
    }
    sent
}

/// One call in ten fails.
fn plan(cloud: &Cloud, numbers: &mut Numbers) -> usize {
    let mut planned = 0;
    for (operation, calls) in [
        (Operation::SendMessage, 1500),
        (Operation::StartChatContact, 100),
        (Operation::CreateParticipantConnection, 150),
    ] {
        let participant = operation != Operation::StartChatContact;
        for _ in 0..calls {
            if numbers.next(10) != 0 {
                cloud.connect.fail(operation, Fault::delay(Duration::ZERO));
                continue;
            }
            planned += 1;
            let fault = match numbers.next(6) {
                0 if participant => Fault::throttling(),
                0 => Fault::too_many_requests(),
                1 => Fault::limit_exceeded(),
                2 => Fault::error(500, "InternalServerException"),
                3 => Fault::error(503, "ServiceUnavailable").after_handling(),
                4 => Fault::reset(),
                _ => Fault::reset_after(),
            };
            cloud.connect.fail(operation, fault);
        }
    }
    for (operation, calls) in [("BatchGetItem", 1600), ("PutItem", 1500), ("TransactWriteItems", 100)] {
        for _ in 0..calls {
            let fault = match numbers.next(30) {
                0 => TableFault::Error(400, "ThrottlingException"),
                1 => TableFault::Error(500, "InternalServerError"),
                2 => TableFault::ResetAfter,
                _ => TableFault::Pass,
            };
            planned += usize::from(fault != TableFault::Pass);
            cloud.dynamo.fail(operation, fault);
        }
    }
    planned
}

#[tokio::test]
async fn a_thousand_messages_of_fifty_customers() {
    let started = Instant::now();
    let mut numbers = Numbers(7);
    let cloud = Cloud::start().await.time(Duration::from_secs(20));
    let planned = plan(&cloud, &mut numbers);
    let sent = sent(&mut numbers);
    let mut messages = Vec::new();
    for (message, copy) in &sent {
        messages.push((message.clone(), if *copy == 0 { String::new() } else { format!("-{copy}") }));
    }

    let function = cloud.function().await;
    let batches = AtomicUsize::new(0);
    let crashes = AtomicUsize::new(0);
    let left = AtomicUsize::new(messages.len());
    let waiting = AtomicUsize::new(0);
    let invoke = async |event: Value| {
        let items = event["Records"].as_array().map_or(0, Vec::len);
        // One invocation in twenty is killed in the middle.
        let batch = batches.fetch_add(1, Ordering::Relaxed);
        let work = cloud.invoke(&function, event);
        let answer = if batch % 20 == 19 {
            crashes.fetch_add(1, Ordering::Relaxed);
            tokio::time::timeout(Duration::from_millis(60), work).await.map_err(|_| "killed".to_owned())??
        } else {
            work.await?
        };
        let done = items - answer["batchItemFailures"].as_array().map_or(0, Vec::len);
        left.fetch_sub(done, Ordering::Relaxed);
        waiting.fetch_sub(done, Ordering::Relaxed);
        Ok(answer)
    };
    let done = async {
        // moto takes half a second for a batch once a thousand messages wait.
        for batch in messages.chunks(10) {
            while waiting.load(Ordering::Relaxed) > 120 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            waiting.fetch_add(batch.len(), Ordering::Relaxed);
            cloud.send_each(batch).await;
        }
        while left.load(Ordering::Relaxed) > 0 || !cloud.poller.is_empty().await.unwrap() {
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert!(started.elapsed() < Duration::from_secs(900), "the queue does not become empty");
        }
    };
    tokio::select! {
        () = cloud.poller.run(WORKERS, invoke, |error| panic!("{error}")) => (),
        () = done => (),
    }

    let said: BTreeMap<usize, Vec<String>> = (0..CUSTOMERS).map(|who| (who, cloud.said_by(&customer(who)))).collect();
    let failed = cloud.connect.calls().iter().filter(|call| call.status != Some(200)).count();
    println!(
        "{} items ({} of them duplicates) in {} batches, {} killed; {planned} faults planned, {failed} Connect calls failed; \
         {} chats; {:?}",
        sent.len(),
        sent.len() - CUSTOMERS * EACH,
        batches.load(Ordering::Relaxed),
        crashes.load(Ordering::Relaxed),
        cloud.connect.contacts().len(),
        started.elapsed()
    );
    assert_eq!(cloud.dead_letters().await, []);
    for (who, said) in said {
        let expected: Vec<_> = (0..EACH).map(|number| format!("{who}-{number:02}")).collect();
        assert_eq!(said, expected, "customer {who}");
    }
    assert_eq!(cloud.connect.contacts().len(), CUSTOMERS);
}
