//! The fault matrix of delivery: every call of both routes × what can go wrong with it × the process dying after it.
//!
//! On the chat route each of the customer's messages ends exactly once in a chat's transcript, in order, or in the
//! dead-letter queue. On the event route it does so at most once, and whatever was in doubt is in the dead-letter queue.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use local::{Fault, Operation};
use serde_json::Value;
use shared::inbound::Inbound;
use tests::aws::{Cloud, TableFault, text_from};

const JO: &str = "+14155550101";
const TEXTS: [&str; 3] = ["one", "two", "three"];

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wrong {
    Connect(&'static str),
    Table(TableFault),
}

/// Which call it is that goes wrong, and with what.
#[derive(Clone, Debug)]
struct Cell {
    route: &'static str,
    call: &'static str,
    wrong: Wrong,
    /// The process dies once the call has been made.
    crash: bool,
}

const CONNECT_FAULTS: [&str; 8] = ["429 rate", "429 quota", "400", "403", "404", "500", "hang", "reset after"];

const TABLE_FAULTS: [TableFault; 5] = [
    TableFault::Error(400, "ProvisionedThroughputExceededException"),
    TableFault::Error(500, "InternalServerError"),
    TableFault::Hang,
    TableFault::HangAfter,
    TableFault::ResetAfter,
];

fn connect_fault(name: &str, operation: Operation) -> Fault {
    let participant = matches!(operation, Operation::SendMessage | Operation::CreateParticipantConnection);
    match (name, participant) {
        ("429 rate", true) => Fault::throttling(),
        ("429 rate", false) => Fault::too_many_requests(),
        ("429 quota", _) => Fault::limit_exceeded(),
        ("400", true) => Fault::error(400, "ValidationException"),
        ("400", false) => Fault::error(400, "InvalidRequestException"),
        ("403", _) => Fault::error(403, "AccessDeniedException"),
        ("404", _) => Fault::error(404, "ResourceNotFoundException"),
        ("500", true) => Fault::error(500, "InternalServerException"),
        ("500", false) => Fault::error(500, "InternalServiceException"),
        ("hang", _) => Fault::hang(),
        ("reset after", _) => Fault::reset_after(),
        _ => panic!("{name}"),
    }
}

fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for crash in [false, true] {
        for (route, call) in [
            ("chat", "StartChatContact"),
            ("chat", "CreateParticipantConnection"),
            ("chat", "SendMessage"),
            ("chat", "refresh"),
            ("chat", "restart"),
            ("integration-event", "SendChatIntegrationEvent"),
        ] {
            let wrong = CONNECT_FAULTS.map(Wrong::Connect);
            cells.extend(wrong.map(|wrong| Cell { route, call, wrong, crash }));
        }
        for (route, call) in [
            ("chat", "BatchGetItem"),
            ("chat", "TransactWriteItems"),
            ("chat", "PutItem"),
            ("integration-event", "PutItem"),
            ("integration-event", "TransactWriteItems"),
        ] {
            let wrong = TABLE_FAULTS.map(Wrong::Table);
            cells.extend(wrong.map(|wrong| Cell { route, call, wrong, crash }));
        }
    }
    cells
}

/// What became of the three messages.
struct Outcome {
    said: Vec<String>,
    letters: Vec<(String, String)>,
    chats: usize,
    took: Duration,
}

async fn run(cell: &Cell) -> Outcome {
    let started = Instant::now();
    let cloud = Cloud::start().await.with("CONNECT_ROUTE", cell.route).time(Duration::from_secs(4));
    let operation = match cell.call {
        "StartChatContact" | "restart" => Operation::StartChatContact,
        "SendMessage" => Operation::SendMessage,
        "SendChatIntegrationEvent" => Operation::SendChatIntegrationEvent,
        _ => Operation::CreateParticipantConnection,
    };
    let messages: Vec<Inbound> = TEXTS.iter().map(|text| text_from(JO, text, text)).collect();
    let mut function = cloud.function().await;
    let mut rest = messages.as_slice();
    // The customer's chat goes on with an old token, or has ended.
    if ["refresh", "restart"].contains(&cell.call) {
        cloud.send(&rest[..1]).await;
        cloud.drain(&function).await;
        let chat = cloud.connect.contacts().remove(0).initial_id;
        match cell.call {
            "refresh" => cloud.connect.expire_connection_tokens(&chat).unwrap(),
            _ => cloud.connect.end(&chat).unwrap(),
        }
        rest = &rest[1..];
    }
    let calls_before = cloud.connect.calls_to(operation).len();
    match cell.wrong {
        Wrong::Connect(name) => cloud.connect.fail(operation, connect_fault(name, operation)),
        Wrong::Table(fault) => cloud.dynamo.fail(cell.call, fault),
    }
    cloud.send(rest).await;
    if cell.crash {
        // Dies as soon as the call has been answered, or will not be.
        let was_made = || match cell.wrong {
            Wrong::Connect("hang") => cloud.connect.calls_to(operation).len() > calls_before,
            Wrong::Connect(_) => cloud
                .connect
                .calls_to(operation)
                .get(calls_before)
                .is_some_and(|call| call.status.is_some() || call.fault.is_some()),
            Wrong::Table(_) => cloud.dynamo.was_met(cell.call),
        };
        let dies = async {
            while !was_made() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            // Time enough for the call to take effect where it does.
            if matches!(cell.wrong, Wrong::Connect("reset after")) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let one_life = async |event: Value| {
            tokio::select! {
                answer = cloud.invoke(&function, event) => answer,
                () = dies => Err("died".to_owned()),
            }
        };
        poll_first(&cloud, one_life).await;
        function = cloud.function().await;
    }
    cloud.drain(&function).await;
    Outcome {
        said: cloud.said_by(JO),
        letters: cloud.dead_letters().await,
        chats: cloud.connect.contacts().len(),
        took: started.elapsed(),
    }
}

/// One batch.
async fn poll_first(cloud: &Cloud, function: impl AsyncFnOnce(Value) -> Result<Value, String>) {
    let function = std::cell::RefCell::new(Some(function));
    let received = cloud
        .poller
        .poll_once(async |event| {
            let function = function.borrow_mut().take().unwrap();
            function(event).await
        })
        .await
        .unwrap();
    assert!(received > 0);
}

/// How often each text was said, and how often put aside.
fn tally(outcome: &Outcome) -> BTreeMap<&'static str, (usize, usize)> {
    let aside = |text: &str| {
        outcome.letters.iter().filter(|(_, body)| Inbound::from_item(body).unwrap().message.text == text).count()
    };
    TEXTS.map(|text| (text, (outcome.said.iter().filter(|said| *said == text).count(), aside(text)))).into()
}

#[tokio::test]
async fn every_call_may_fail_in_every_way() {
    let started = Instant::now();
    let cells = cells();
    let outcomes: Vec<_> = stream::iter(&cells).map(async |cell| (cell, run(cell).await)).buffered(8).collect().await;
    println!(
        "{:17} {:27} {:62} {:5} {:>4} {:>5} {:>5}  {:28} {:>6}",
        "route", "call", "fault", "crash", "said", "aside", "chats", "reasons", "ms"
    );
    let mut wrong = Vec::new();
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (cell, outcome) in &outcomes {
        let tally = tally(outcome);
        let reasons: Vec<_> = outcome.letters.iter().map(|(reason, _)| reason.as_str()).collect();
        let fault = match cell.wrong {
            Wrong::Connect(name) => name.to_owned(),
            Wrong::Table(fault) => format!("{fault:?}"),
        };
        println!(
            "{:17} {:27} {fault:62} {:5} {:>4} {:>5} {:>5}  {:28} {:>6}",
            cell.route,
            cell.call,
            cell.crash,
            outcome.said.len(),
            outcome.letters.len(),
            outcome.chats,
            reasons.join(","),
            outcome.took.as_millis()
        );
        let in_order = {
            let expected: Vec<_> =
                TEXTS.into_iter().filter(|text| outcome.said.iter().any(|said| said == text)).collect();
            outcome.said == expected
        };
        let once = tally.values().all(|(said, aside)| match cell.route {
            "chat" => said + aside == 1,
            // In doubt: said or not, and put aside.
            _ => *said <= 1 && (*said == 1 || *aside == 1) && *aside <= 1,
        });
        let reasons_fit = reasons.iter().all(|reason| match cell.route {
            "chat" => *reason == "connect_rejected",
            _ => ["may_have_been_delivered", "connect_rejected"].contains(reason),
        });
        if !in_order || !once || !reasons_fit {
            wrong.push(format!("{cell:?}: {tally:?} {reasons:?} in order: {in_order}"));
        }
        let came_to = match (outcome.said.len(), outcome.letters.len()) {
            (3, 0) => "all said",
            (2, 1) => "two said, one aside",
            (3, 1) => "all said, one also aside",
            _ => "otherwise",
        };
        *counts.entry((cell.route, came_to)).or_default() += 1;
    }
    println!("\n{} cells in {:?}", outcomes.len(), started.elapsed());
    for ((route, came_to), count) in counts {
        println!("{route:17} {came_to:26} {count:>4}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
