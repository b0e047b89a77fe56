//! The fault matrix of the hop from Connect's topic to the outbound queue: every call of `receive-reply` × what can go wrong
//! with it × the process dying once the call has been made. Each reply reaches the customer once and in order, and what can't
//! be read becomes one dead letter.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tests::{
    aws::{TableFault, TableProxy, invoke_within},
    providers::Call,
    replies::{Desk, TWILIO},
};

#[derive(Clone, Copy, Debug)]
struct Cell {
    /// The operation of SQS, of which the call of this number fails.
    operation: &'static str,
    number: usize,
    fault: TableFault,
    crash: bool,
}

const FAULTS: [TableFault; 7] = [
    TableFault::Pass,
    TableFault::Error(400, "RequestThrottled"),
    TableFault::Error(403, "AccessDenied"),
    TableFault::Error(500, "InternalError"),
    TableFault::Hang,
    TableFault::HangAfter,
    TableFault::ResetAfter,
];

fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    // Three replies of one conversation are three calls, since none may overtake another; the dead letter is the fourth.
    for (operation, numbers) in [("SendMessageBatch", [0, 2].as_slice()), ("SendMessage", &[0])] {
        for &number in numbers {
            for crash in [false, true] {
                cells.extend(FAULTS.map(|fault| Cell { operation, number, fault, crash }));
            }
        }
    }
    cells
}

/// What the customer got, and the dead letters.
async fn run(cell: Cell) -> (Vec<String>, Vec<(String, String)>) {
    let (mut desk, chat) = Desk::with_chat(TWILIO).await;
    desk.time = Duration::from_secs(6);
    for text in ["one", "two", "three"] {
        desk.cloud.connect.agent_says(&chat, "text/plain", text).unwrap();
    }
    desk.hand_over().await;
    desk.put("not JSON", &json!({})).await;
    let proxy = TableProxy::before("sqs", desk.receive_endpoint()).await;
    for _ in 0..cell.number {
        proxy.fail(cell.operation, TableFault::Pass);
    }
    proxy.fail(cell.operation, cell.fault);
    let was_made = || proxy.calls().iter().filter(|call| *call == cell.operation).count() > cell.number;
    let function = desk.receiver(Some(proxy.url())).await;
    let work = async |event: Value| invoke_within(desk.time, event, async |event| function.handle(event).await).await;
    if cell.crash {
        let dies = async || {
            while !was_made() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let one_life = async |event: Value| {
            tokio::select! {
                answer = work(event) => answer,
                () = dies() => Err("died".to_owned()),
            }
        };
        desk.receive_once_by(one_life).await;
    }
    desk.receive_by(work).await;
    assert!(was_made(), "{cell:?}");
    desk.drain().await;
    (desk.sent().iter().map(Call::text).collect(), desk.dead_letters().await)
}

#[tokio::test]
async fn every_call_of_the_hop_may_fail_in_every_way() {
    let cells = cells();
    let outcomes: Vec<_> = stream::iter(&cells).map(async |cell| (cell, run(*cell).await)).buffered(4).collect().await;
    for (cell, (texts, letters)) in outcomes {
        assert_eq!(texts, ["one", "two", "three"], "{cell:?}");
        // A dead letter may be sent twice where it is not known whether the first one was.
        let in_doubt = cell.operation == "SendMessage" && (cell.crash || is_in_doubt(cell.fault));
        let expected = ("malformed".to_owned(), "not JSON".to_owned());
        assert!(letters.iter().all(|letter| *letter == expected), "{cell:?} {letters:?}");
        assert!(letters.len() == 1 || in_doubt && letters.len() == 2, "{cell:?} {letters:?}");
    }
}

fn is_in_doubt(fault: TableFault) -> bool {
    matches!(fault, TableFault::Hang | TableFault::HangAfter | TableFault::ResetAfter)
}
