//! One row for each request to the bridge, each customer's message and each reply: the steps that it has taken, as the
//! functions' own log lines and the queues tell.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;

use crate::versions::Versions;

/// How many rows are kept.
const KEPT: usize = 500;

/// How a row's steps, or one of them, stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Standing {
    /// On its way.
    Open,
    /// It waits, and will be tried again.
    Waiting,
    /// It is where it should be.
    Done,
    /// It was refused, or given up.
    Failed,
}

/// What something has gone through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Step {
    /// `verified`, `queued`, `delivered` and so on.
    pub(crate) name: String,
    /// What came of it.
    pub(crate) standing: Standing,
    /// How long it took.
    pub(crate) milliseconds: Option<u64>,
    /// The bridge's code, where it is not `OK`.
    pub(crate) code: Option<String>,
    /// The log line's notes.
    pub(crate) notes: Option<String>,
}

/// What became of one request, message or reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Row {
    /// Its number, in the order of arrival.
    pub(crate) number: u64,
    /// `request`, `message` or `reply`.
    pub(crate) kind: &'static str,
    /// What it is, in a few words.
    pub(crate) title: String,
    /// When it came.
    pub(crate) time: String,
    /// The contact that it belongs to, once that is known.
    pub(crate) contact_id: Option<String>,
    /// The phone's text that it is.
    pub(crate) text: Option<String>,
    /// Its steps so far.
    pub(crate) steps: Vec<Step>,
    /// How it stands.
    pub(crate) standing: Standing,
    /// How often the last step was tried.
    pub(crate) tries: u32,
    /// When it is tried again.
    pub(crate) next_try: Option<String>,
    #[serde(skip)]
    changed: u64,
}

impl Row {
    /// A step of this name: a new one, or the one that was not done yet.
    fn step(&mut self, name: &str) -> Option<&mut Step> {
        let known = self.steps.iter().rposition(|step| step.name == name && step.standing != Standing::Done);
        let at = known.unwrap_or_else(|| {
            self.steps.push(Step {
                name: name.to_owned(),
                standing: Standing::Open,
                milliseconds: None,
                code: None,
                notes: None,
            });
            self.steps.len() - 1
        });
        self.steps.get_mut(at)
    }
}

/// The rows.
#[derive(Debug)]
pub(crate) struct Rows {
    rows: VecDeque<Row>,
    next: u64,
    /// Of queue items, by the queue's id of a message.
    items: HashMap<String, u64>,
    /// Of replies, by Connect's id of an item.
    replies: HashMap<String, u64>,
    /// The request that a function works on, by the function's name: one at a time.
    current: HashMap<String, u64>,
    versions: Versions,
}

impl Rows {
    pub(crate) fn new(versions: Versions) -> Self {
        Self {
            rows: VecDeque::new(),
            next: 1,
            items: HashMap::new(),
            replies: HashMap::new(),
            current: HashMap::new(),
            versions,
        }
    }

    pub(crate) fn changed_since(&self, version: u64) -> Vec<Row> {
        self.rows.iter().filter(|row| row.changed > version).cloned().collect()
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Row> {
        self.rows.iter().rev().find(|row| row.number == number)
    }

    pub(crate) fn forget(&mut self) {
        self.rows.clear();
        self.items.clear();
        self.replies.clear();
        self.current.clear();
    }

    fn change(&mut self, number: u64, how: impl FnOnce(&mut Row)) {
        let version = self.versions.next();
        if let Some(row) = self.rows.iter_mut().rev().find(|row| row.number == number) {
            how(row);
            row.changed = version;
        }
    }

    fn add(&mut self, kind: &'static str, title: String) -> u64 {
        let number = self.next;
        self.next += 1;
        if self.rows.len() >= KEPT {
            self.rows.pop_front();
            let oldest = self.rows.front().map_or(number, |row| row.number);
            self.items.retain(|_, row| *row >= oldest);
            self.replies.retain(|_, row| *row >= oldest);
        }
        self.rows.push_back(Row {
            number,
            kind,
            title,
            time: format!("{:.3}", Timestamp::now()),
            contact_id: None,
            text: None,
            steps: Vec::new(),
            standing: Standing::Open,
            tries: 0,
            next_try: None,
            changed: self.versions.next(),
        });
        number
    }

    // Requests, as the front sees them.

    /// A request arrives at a function, which works on one at a time.
    pub(crate) fn request(&mut self, function: &str, title: String, text: Option<String>) -> u64 {
        let kind = if function == "receive-message" { "message" } else { "request" };
        let number = self.add(kind, title);
        self.change(number, |row| row.text = text);
        self.current.insert(function.to_owned(), number);
        number
    }

    /// What a request was answered with.
    pub(crate) fn answered(&mut self, number: u64, function: &str, step: &Step, contact_id: Option<&str>) {
        let step = step.clone();
        let has_items = self.items.values().any(|row| *row == number);
        self.change(number, |row| {
            row.standing = match step.standing {
                Standing::Done if row.kind == "message" && has_items => row.standing,
                standing => standing,
            };
            let notes = row.steps.iter().find(|known| known.name == step.name).and_then(|known| known.notes.clone());
            row.steps.retain(|known| known.name != step.name);
            row.steps.insert(0, Step { notes: step.notes.clone().or(notes), ..step });
            if let Some(id) = contact_id {
                row.contact_id = Some(id.to_owned());
            }
        });
        if self.current.get(function) == Some(&number) {
            self.current.remove(function);
        }
    }

    // Queue items, as the queues' endpoint and the pollers see them.

    /// A function has put an item into a queue: the message of the request that is being worked on.
    pub(crate) fn queued(&mut self, item_id: &str, body: &str) {
        if self.items.contains_key(item_id) {
            return;
        }
        if let Some(number) = self.reply_of(body) {
            self.items.insert(item_id.to_owned(), number);
            self.change(number, |row| {
                if let Some(step) = row.step("queued") {
                    step.standing = Standing::Done;
                }
            });
            return;
        }
        let Some(current) = self.current.get("receive-message").copied() else { return };
        // A webhook with several messages has a row for each.
        let number = if self.items.values().any(|row| *row == current) {
            let (title, text) = self.get(current).map(|row| (row.title.clone(), row.text.clone())).unwrap_or_default();
            let number = self.add("message", title);
            self.change(number, |row| row.text = text);
            number
        } else {
            current
        };
        self.items.insert(item_id.to_owned(), number);
        self.change(number, |row| {
            if let Some(step) = row.step("queued") {
                step.standing = Standing::Done;
            }
        });
    }

    /// Something was said in a chat that is for a customer's phone.
    pub(crate) fn reply(&mut self, item_id: &str, contact_id: &str, who: &str) {
        if self.replies.contains_key(item_id) {
            return;
        }
        let number = self.add("reply", who.to_owned());
        self.replies.insert(item_id.to_owned(), number);
        self.change(number, |row| row.contact_id = Some(contact_id.to_owned()));
    }

    /// A poller has received an item and hands it to a function.
    pub(crate) fn received(&mut self, item_id: &str, body: &str, tries: u32) {
        let known = self.items.get(item_id).copied().or_else(|| self.reply_of(body));
        let Some(number) = known else { return };
        self.items.insert(item_id.to_owned(), number);
        self.change(number, |row| {
            row.tries = tries;
            row.next_try = None;
        });
    }

    /// An item goes back to its queue, for this long.
    pub(crate) fn handed_back(&mut self, item_id: &str, wait: Duration) {
        let Some(number) = self.items.get(item_id).copied() else { return };
        let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
        let at = Timestamp::now().checked_add(wait).unwrap_or(Timestamp::MAX);
        self.change(number, |row| {
            row.next_try = Some(format!("{at:.3}"));
            row.standing = Standing::Waiting;
        });
    }

    /// The row of the reply that a queue item holds: Connect's item, in SNS's envelope or bare.
    fn reply_of(&self, body: &str) -> Option<u64> {
        let body: Value = serde_json::from_str(body).ok()?;
        let item = match body.get("Message").and_then(Value::as_str) {
            Some(message) => serde_json::from_str(message).ok()?,
            None => body,
        };
        self.replies.get(item.get("Id")?.as_str()?).copied()
    }

    // Log lines.

    /// A function's log line of a request or an item. `None`: it tells of nothing that is followed here.
    pub(crate) fn log(&mut self, line: &Value) -> Option<u64> {
        let text = |name: &str| line.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let service = text("service")?;
        let Some(outcome) = text("outcome") else {
            // A request's line adds to what the front knows.
            let number = self.current.get(service).copied()?;
            let notes = text("notes").map(str::to_owned);
            let contact_id = text("contact_id").map(str::to_owned);
            let name = step_of(service);
            self.change(number, |row| {
                row.contact_id = contact_id.or_else(|| row.contact_id.take());
                if let (Some(notes), Some(step)) = (notes, row.step(name)) {
                    step.notes = Some(notes);
                }
            });
            return Some(number);
        };
        let number = text("item_id").and_then(|id| self.items.get(id)).copied()?;
        let standing = match outcome {
            "done" => Standing::Done,
            "dead letter" | "given up" => Standing::Failed,
            _ => Standing::Waiting,
        };
        let (code, notes) = (text("code").filter(|code| *code != "OK"), text("notes"));
        let contact_id = text("contact_id");
        let milliseconds = line.get("duration_ms").and_then(Value::as_u64);
        let name = step_of(service);
        self.change(number, |row| {
            row.standing = standing;
            row.contact_id = contact_id.map(str::to_owned).or_else(|| row.contact_id.take());
            if let Some(step) = row.step(name) {
                step.standing = standing;
                step.milliseconds = milliseconds;
                step.code = code.map(str::to_owned);
                step.notes = notes.map(str::to_owned);
            }
        });
        Some(number)
    }
}

/// What a function does, as a row's step.
pub(crate) fn step_of(function: &str) -> &str {
    match function {
        "receive-message" => "verified",
        "deliver-message" => "delivered",
        "receive-reply" => "queued",
        "send-reply" => "sent",
        _ => "answered",
    }
}
