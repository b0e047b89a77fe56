//! The fault matrix of replies: every call of a reply in three parts × what can go wrong with it × the process dying
//! once the call has been made.
//!
//! Each part reaches the provider once, in order, and the conversation's next reply after them: this queue hands items
//! over again within a second, so that nobody's right to go first runs out. Where it is not known whether a part did, a
//! provider that supports idempotency is asked again with the same key; any other is not, the agent reads the rest, and the reply
//! is a dead letter.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use serde_json::Value;
use shared::{error::Kind, settings::Settings, sms::segments};
use tests::{
    aws::TableFault,
    providers::{Call, PROVIDERS, ProviderUnderTest, Reply},
    replies::{Desk, Line},
};

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wrong {
    /// Of the provider, when the part of this number comes to it for the first time.
    Provider(&'static str, usize),
    /// Of this operation of DynamoDB, when it is called for the n-th time.
    Table(&'static str, usize, TableFault),
    /// Nothing, but that the process may die.
    Nothing(usize),
}

#[derive(Clone, Debug)]
struct Cell {
    line: Line,
    wrong: Wrong,
    crash: bool,
}

const PROVIDER_FAULTS: [&str; 10] =
    ["429", "429 later", "500", "503", "502", "504", "401", "hang", "reset", "cut short"];

const TABLE_FAULTS: [TableFault; 5] = [
    TableFault::Error(400, "ProvisionedThroughputExceededException"),
    TableFault::Error(500, "InternalServerError"),
    TableFault::Hang,
    TableFault::HangAfter,
    TableFault::ResetAfter,
];

/// Whether a part arrives that meets a fault.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Arrives {
    No,
    Perhaps,
    Yes,
}

/// What the provider answers, and what that means.
fn fault(name: &str, api: &dyn ProviderUnderTest) -> (Reply, Arrives) {
    match name {
        "429" => (Reply::status(429), Arrives::No),
        "429 later" => (Reply::status(429).header("retry-after", "30"), Arrives::No),
        "500" => (Reply::status(500), Arrives::No),
        "503" => (Reply::status(503), Arrives::No),
        "401" => (Reply::status(401), Arrives::No),
        "502" => (Reply::status(502), Arrives::Perhaps),
        "504" => (Reply::status(504), Arrives::Perhaps),
        "hang" => (Reply::hang(), Arrives::Perhaps),
        "reset" => (Reply::reset(), Arrives::Perhaps),
        // The status says that the part was taken, unless the provider says that in the body.
        "cut short" if api.tells_failures_by_2xx() => (Reply::cut_short(200), Arrives::Perhaps),
        "cut short" => (Reply::cut_short(200), Arrives::Yes),
        _ => panic!("{name}"),
    }
}

fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    // The table does not know the provider, but for whether it supports idempotency: one of each kind is enough there.
    let first = |supports| PROVIDERS.iter().find(|api| api.supports_idempotency() == supports).unwrap().label();
    let (without_keys, with_keys) = (first(false), first(true));
    for api in PROVIDERS {
        let (line, label) = (api.line(), api.label());
        let parts = match label {
            label if label == without_keys => 0..3,
            label if label == with_keys => 1..2,
            _ => 0..1,
        };
        for crash in [false, true] {
            for part in parts.clone() {
                let wrong = PROVIDER_FAULTS.map(|name| Wrong::Provider(name, part));
                cells.extend(wrong.map(|wrong| Cell { line, wrong, crash }));
            }
            if [without_keys, with_keys].contains(&label) {
                for (operation, count) in [("BatchGetItem", 1), ("TransactWriteItems", 4)] {
                    for call in 0..count {
                        let wrong = TABLE_FAULTS.map(|fault| Wrong::Table(operation, call, fault));
                        cells.extend(wrong.map(|wrong| Cell { line, wrong, crash }));
                    }
                }
            }
        }
        cells.extend(parts.map(|part| Cell { line, wrong: Wrong::Nothing(part), crash: true }));
    }
    cells
}

/// Three parts or more for those who take 1,600 at once or less, two for those who take 4,096.
fn long_text() -> String {
    (0..800).map(|number| format!("w{number:04}")).collect::<Vec<_>>().join(" ")
}

struct Outcome {
    parts: Vec<String>,
    sent: Vec<Call>,
    told: Vec<String>,
    letters: Vec<String>,
    took: Duration,
}

async fn run(cell: &Cell) -> Outcome {
    let started = Instant::now();
    let (mut desk, chat) = Desk::with_chat(cell.line).await;
    desk.time = Duration::from_secs(6);
    // On a busy machine an answer may take its time, too.
    let hangs = matches!(cell.wrong, Wrong::Provider("hang", _));
    desk.patience = Duration::from_millis(if hangs { 700 } else { 4_000 });
    let (api, provider) = (cell.line.api(), cell.line.provider);
    desk.cloud.connect.agent_says(&chat, "text/plain", &long_text()).unwrap();
    desk.cloud.dynamo.forget_calls();
    // Who dies does so before there is an answer.
    let takes = Duration::from_millis(if cell.crash { 20 } else { 0 });
    let taken = |parts| std::iter::repeat_n(api.taken(), parts);
    match cell.wrong {
        Wrong::Provider(name, part) => {
            desk.providers.script(provider, taken(part).chain([fault(name, api).0.after(takes)]));
        }
        Wrong::Table(operation, call, wrong) => {
            for _ in 0..call {
                desk.cloud.dynamo.fail(operation, TableFault::Pass);
            }
            desk.cloud.dynamo.fail(operation, wrong);
        }
        Wrong::Nothing(part) => desk.providers.script(provider, taken(part).chain([api.taken().after(takes)])),
    }
    desk.hand_over().await;
    let mut function = desk.function().await;
    if cell.crash {
        let desk = &desk;
        // Dies once the call has been made.
        let dies = async || {
            let was_made = || match cell.wrong {
                Wrong::Provider(_, part) | Wrong::Nothing(part) => desk.sent().len() > part,
                Wrong::Table(operation, ..) => desk.cloud.dynamo.was_met(operation),
            };
            while !was_made() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let one_life = async |event: Value| {
            tokio::select! {
                answer = desk.invoke(&function, event) => answer,
                () = dies() => Err("died".to_owned()),
            }
        };
        assert!(desk.poll_by(one_life).await > 0);
        function = desk.function().await;
    }
    desk.cloud.connect.agent_says(&chat, "text/plain", "next").unwrap();
    desk.hand_over().await;
    desk.drain_by(async |event| desk.invoke(&function, event).await).await;
    if let Wrong::Table(operation, ..) = cell.wrong {
        assert!(desk.cloud.dynamo.was_met(operation), "{cell:?}");
    }
    let settings = Settings::from_json(desk.settings.to_string().as_bytes()).unwrap();
    Outcome {
        parts: segments::split(&long_text(), settings.accounts[0].credentials.limit(cell.line.channel)),
        sent: desk.sent(),
        told: desk.told(&chat),
        letters: desk.dead_letters().await.into_iter().map(|(reason, _)| reason).collect(),
        took: started.elapsed(),
    }
}

/// Whether the provider's answer is final: its 401 says so, where others' asks for newer credentials.
fn is_refusal(cell: &Cell) -> bool {
    matches!(cell.wrong, Wrong::Provider("401", _))
        && cell.line.api().means(401, Kind::SendMisconfigured) == Kind::SendRefused
}

/// What is wrong with what became of it, if anything.
fn judge(cell: &Cell, outcome: &Outcome) -> Result<&'static str, String> {
    let supports_idempotency = cell.line.api().supports_idempotency();
    let (refused, in_doubt) = match cell.wrong {
        Wrong::Provider(name, part) => {
            let arrives = fault(name, cell.line.api()).1;
            (Some(part).filter(|_| arrives == Arrives::No), arrives == Arrives::Perhaps)
        }
        Wrong::Table(..) | Wrong::Nothing(_) => (None, false),
    };
    let mut keys = BTreeSet::new();
    let arrived: Vec<String> = outcome
        .sent
        .iter()
        .enumerate()
        .filter(|(number, _)| Some(*number) != refused)
        .filter(|(_, call)| !supports_idempotency || keys.insert(call.key()))
        .map(|(_, call)| call.text())
        .collect();
    let Some((next, parts)) = arrived.split_last() else { return Err("nothing arrived".to_owned()) };
    if next != "next" || !outcome.parts.starts_with(parts) {
        return Err(format!("not each once and in order: {} parts, then {next:.10}", parts.len()));
    }
    let is_whole = parts.len() == outcome.parts.len();
    match (outcome.letters.as_slice(), outcome.told.as_slice()) {
        ([], []) if is_whole && (supports_idempotency || !in_doubt) => Ok("all sent"),
        // An answer that no later one could change: the agent reads the whole text.
        ([reason], [told])
            if reason == "send_refused"
                && is_refusal(cell)
                && parts.is_empty()
                && told.starts_with(&format!("[not delivered] {}", outcome.parts.join(" "))) =>
        {
            Ok("refused, and told")
        }
        ([reason], [told])
            if reason == "may_have_been_delivered" && !supports_idempotency && (in_doubt || cell.crash) =>
        {
            // The rest, from the part in doubt on: that is the last one that arrived, or the one after it.
            let rest = |from: usize| {
                let words = outcome.parts.get(from..).unwrap_or_default().join(" ");
                format!(
                    "[not delivered] {words}\n(the provider did not answer: the customer may have received the first part of this)"
                )
            };
            let in_doubt = [parts.len().saturating_sub(1), parts.len()];
            if in_doubt.iter().any(|from| *from < outcome.parts.len() && *told == rest(*from)) {
                Ok("in doubt, and told")
            } else {
                Err(format!("{} arrived, and the agent reads {told:.60}", parts.len()))
            }
        }
        (letters, told) => {
            Err(format!("{} of {} arrived, {letters:?}, {} told", parts.len(), outcome.parts.len(), told.len()))
        }
    }
}

#[tokio::test]
async fn every_call_of_a_reply_may_fail_in_every_way() {
    let started = Instant::now();
    let cells = cells();
    let outcomes: Vec<_> = stream::iter(&cells).map(async |cell| (cell, run(cell).await)).buffered(12).collect().await;
    println!("{:16} {:95} {:5} {:>5} {:>5} {:>6}  came to", "line", "fault", "crash", "calls", "parts", "ms");
    let mut wrong = Vec::new();
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (cell, outcome) in &outcomes {
        let judged = judge(cell, outcome);
        let came_to = match &judged {
            Ok(came_to) => came_to,
            Err(why) => why.as_str(),
        };
        println!(
            "{:16} {:95} {:5} {:>5} {:>5} {:>6}  {came_to}",
            cell.line.label,
            format!("{:?}", cell.wrong),
            cell.crash,
            outcome.sent.len(),
            outcome.parts.len(),
            outcome.took.as_millis(),
        );
        match &judged {
            Ok(came_to) => *counts.entry((cell.line.label, came_to)).or_default() += 1,
            Err(why) => wrong.push(format!("{} {:?} crash {}: {why}", cell.line.label, cell.wrong, cell.crash)),
        }
    }
    println!("\n{} cells in {:?}", outcomes.len(), started.elapsed());
    for ((label, came_to), count) in counts {
        println!("{label:16} {came_to:20} {count:>4}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
