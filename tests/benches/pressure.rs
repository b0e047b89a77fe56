//! `make bench`: queues under pressure, on a virtual clock. The decisions are the product's own (`queue::{disposition, gate,
//! pace}`); queue, workers, Connect and providers are simulated. Prints calls made and needed, waits, and what was lost, given
//! up or came out of order.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::Duration,
};

use shared::{
    Error, Kind,
    queue::{
        disposition::{self, Next, Patience, Tries},
        gate::{Answer, Entry, Gates, PROBE_TIMEOUT},
        pace::Starts,
    },
};

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// What an item needs of the other side.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Need {
    /// A text into an open chat: one call.
    Text,
    /// A new chat, which needs a start, and then a connection.
    Chat,
    /// A reply by this provider: one call.
    Reply(usize),
}

struct Item {
    need: Need,
    sent: Duration,
    /// Of its group; they must be done in this order.
    number: usize,
    same: u32,
    was_tried: bool,
    was_told: bool,
    /// The chat was started, and its customer is not connected yet.
    is_started: bool,
}

#[derive(Default)]
struct Group {
    items: VecDeque<Item>,
    /// How many of them a worker holds.
    held: usize,
    is_ready: bool,
    last_done: Option<usize>,
}

/// A rate limit: a bucket that is refilled evenly.
#[derive(Clone, Copy)]
struct Limit {
    per_second: f64,
    burst: f64,
    left: f64,
    at: Duration,
}

impl Limit {
    fn new(per_second: f64, burst: f64) -> Self {
        Self { per_second, burst, left: burst, at: Duration::ZERO }
    }

    fn take(&mut self, now: Duration) -> bool {
        self.left = self.burst.min(self.left + self.per_second * (now - self.at).as_secs_f64());
        self.at = now;
        let taken = self.left >= 1.0;
        if taken {
            self.left -= 1.0;
        }
        taken
    }
}

/// A provider of replies.
#[derive(Clone, Copy)]
enum Provider {
    Limited(Limit),
    /// It never answers before this time.
    Hangs(Duration),
}

/// What is on the other side.
struct World {
    starts: Limit,
    connections: Limit,
    messages: Limit,
    /// Chats that may be open at once, how long each lasts, and when those that are open end.
    quota: usize,
    lasts: Duration,
    open: BinaryHeap<Reverse<Duration>>,
    /// Nothing of Connect's answers before this time.
    outage: Duration,
    providers: Vec<Provider>,
}

impl World {
    fn new() -> Self {
        Self {
            starts: Limit::new(5.0, 8.0),
            connections: Limit::new(6.0, 9.0),
            messages: Limit::new(10.0, 15.0),
            quota: usize::MAX,
            lasts: s(600),
            open: BinaryHeap::new(),
            outage: Duration::ZERO,
            providers: Vec::new(),
        }
    }

    /// One call: how long it takes, and what it comes to.
    fn call(&mut self, item: &mut Item, now: Duration, timeout: Duration) -> (Duration, Result<bool, Kind>, Answer) {
        let answered = Answer::Answered;
        if !matches!(item.need, Need::Reply(_)) && now < self.outage {
            return (ms(100), Err(Kind::ConnectUnavailable), answered);
        }
        match item.need {
            Need::Text if self.messages.take(now) => (ms(60), Ok(true), answered),
            Need::Chat if item.is_started => {
                let taken = self.connections.take(now);
                (ms(100), if taken { Ok(true) } else { Err(Kind::Throttled) }, answered)
            }
            Need::Chat if !self.starts.take(now) => (ms(50), Err(Kind::Throttled), answered),
            Need::Chat => {
                while self.open.peek().is_some_and(|Reverse(end)| *end <= now) {
                    self.open.pop();
                }
                if self.open.len() >= self.quota {
                    return (ms(50), Err(Kind::ChatQuotaExceeded), answered);
                }
                self.open.push(Reverse(now + self.lasts));
                item.is_started = true;
                (ms(150), Ok(false), answered)
            }
            Need::Text => (ms(50), Err(Kind::Throttled), answered),
            Need::Reply(provider) => match &mut self.providers[provider] {
                Provider::Hangs(until) if now < *until => {
                    (timeout, Err(Kind::ProviderUnavailable), Answer::Hung { after: timeout })
                }
                Provider::Hangs(_) => (ms(150), Ok(true), answered),
                Provider::Limited(limit) => {
                    if limit.take(now) {
                        (ms(150), Ok(true), answered)
                    } else {
                        (ms(50), Err(Kind::Throttled), Answer::Throttled { wait: None })
                    }
                }
            },
        }
    }
}

/// A Lambda environment.
struct Worker {
    gates: Gates,
    starts: Starts,
    /// Groups of the batch that are not done with.
    busy: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrives(usize),
    Visible(usize),
    Works { worker: usize, group: usize },
    Leaves { worker: usize, provider: usize, answer: usize },
}

#[derive(Default)]
struct Outcome {
    calls: usize,
    needed: usize,
    /// How long each item waited until it was done, with what it needs.
    waits: Vec<(Need, Duration)>,
    expired: usize,
    told: usize,
    out_of_order: usize,
    left: usize,
    ended: Duration,
}

struct Simulation {
    world: World,
    patience: Patience,
    groups: Vec<Group>,
    arrivals: Vec<Option<(usize, Need)>>,
    ready: VecDeque<usize>,
    workers: Vec<Worker>,
    events: BinaryHeap<Reverse<(Duration, usize, Event)>>,
    answers: Vec<Answer>,
    count: usize,
    outcome: Outcome,
}

impl Simulation {
    /// `arrivals`: when an item comes, its group, and what it needs.
    fn new(world: World, patience: Patience, workers: usize, arrivals: Vec<(Duration, usize, Need)>) -> Self {
        let groups = arrivals.iter().map(|(_, group, _)| group + 1).max().unwrap_or_default();
        let mut simulation = Self {
            world,
            patience,
            groups: (0..groups).map(|_| Group::default()).collect(),
            arrivals: Vec::new(),
            ready: VecDeque::new(),
            workers: (0..workers)
                .map(|_| Worker { gates: Gates::default(), starts: Starts::new(2), busy: 0 })
                .collect(),
            events: BinaryHeap::new(),
            answers: Vec::new(),
            count: 0,
            outcome: Outcome::default(),
        };
        for (number, (time, group, need)) in arrivals.into_iter().enumerate() {
            simulation.arrivals.push(Some((group, need)));
            simulation.outcome.needed += if need == Need::Chat { 2 } else { 1 };
            simulation.at(time, Event::Arrives(number));
        }
        simulation
    }

    fn at(&mut self, time: Duration, event: Event) {
        self.count += 1;
        self.events.push(Reverse((time, self.count, event)));
    }

    fn run(mut self, until: Duration) -> Outcome {
        while let Some(Reverse((now, _, event))) = self.events.pop() {
            if now > until {
                break;
            }
            match event {
                Event::Arrives(number) => {
                    let (group, need) = self.arrivals[number].take().unwrap();
                    let item =
                        Item { need, sent: now, number, same: 0, was_tried: false, was_told: false, is_started: false };
                    let of = &mut self.groups[group];
                    of.items.push_back(item);
                    if of.items.len() == 1 {
                        of.is_ready = true;
                        self.ready.push_back(group);
                    }
                }
                Event::Visible(group) => {
                    self.groups[group].is_ready = true;
                    self.ready.push_back(group);
                }
                Event::Works { worker, group } => self.work(worker, group, now),
                Event::Leaves { worker, provider, answer } => {
                    let answer = self.answers[answer];
                    self.workers[worker].gates.leave(&provider.to_string(), answer, now);
                }
            }
            self.poll(now);
        }
        self.outcome.left = self.groups.iter().map(|group| group.items.len()).sum();
        self.outcome
    }

    /// Idle workers receive what is visible.
    fn poll(&mut self, now: Duration) {
        for worker in 0..self.workers.len() {
            if self.workers[worker].busy > 0 {
                continue;
            }
            let mut room = 10;
            while room > 0
                && let Some(group) = self.ready.pop_front()
            {
                let of = &mut self.groups[group];
                of.is_ready = false;
                of.held = of.items.len().min(room);
                room -= of.held;
                self.workers[worker].busy += 1;
                // An invocation and its reads.
                self.at(now + ms(20), Event::Works { worker, group });
            }
        }
    }

    /// The first item of a group that a worker holds.
    fn work(&mut self, worker: usize, group: usize, now: Duration) {
        let mut item = self.groups[group].items.pop_front().unwrap();
        let entry = match item.need {
            Need::Reply(provider) => self.workers[worker].gates.enter(&provider.to_string(), now),
            Need::Text | Need::Chat => Entry::Open,
        };
        let starts = item.need == Need::Chat && !item.is_started;
        let paced = if starts { self.workers[worker].starts.take(now).err() } else { None };
        let shut = match entry {
            Entry::Shut(wait) if now - item.sent < self.patience.end || item.was_tried => Some(wait),
            _ => None,
        };
        let (took, error) = if let Some(wait) = paced {
            (Duration::ZERO, Some(Error::new(Kind::StartsPaced, "x").retry_after(wait)))
        } else if let Some(wait) = shut {
            (Duration::ZERO, Some(Error::new(Kind::AccountShut, "x").retry_after(wait)))
        } else {
            let timeout = if entry == Entry::Probe { PROBE_TIMEOUT } else { s(10) };
            self.outcome.calls += 1;
            item.was_tried = true;
            let (took, outcome, answer) = self.world.call(&mut item, now, timeout);
            if starts {
                let bucket = &mut self.workers[worker].starts;
                match outcome {
                    Ok(_) => bucket.succeeded(),
                    Err(Kind::Throttled | Kind::ChatQuotaExceeded) => bucket.refused(now),
                    Err(_) => (),
                }
            }
            if let Need::Reply(provider) = item.need {
                self.answers.push(answer);
                let answer = self.answers.len() - 1;
                self.at(now + took, Event::Leaves { worker, provider, answer });
            }
            match outcome {
                Ok(true) => (took, None),
                // The second call of a new chat.
                Ok(false) => {
                    self.groups[group].items.push_front(item);
                    return self.at(now + took, Event::Works { worker, group });
                }
                Err(kind) => (took, Some(Error::new(kind, "x"))),
            }
        };
        let then = now + took + ms(20);
        self.outcome.ended = then;
        match error {
            None => {
                self.outcome.waits.push((item.need, then - item.sent));
                self.done(worker, group, &item, then);
            }
            Some(error) => self.failed(worker, group, item, &error, then),
        }
    }

    fn failed(&mut self, worker: usize, group: usize, mut item: Item, error: &Error, then: Duration) {
        if !matches!(error.kind(), Kind::StartsPaced | Kind::AccountShut) {
            item.same += 1;
        }
        let mut tries =
            Tries { age: then - item.sent, same: item.same.max(1), was_tried: item.was_tried, was_told: item.was_told };
        if disposition::is_notice_due(error, &tries, &self.patience) {
            self.outcome.told += 1;
            item.was_told = true;
            tries.was_told = true;
        }
        match disposition::next(error, &tries, &self.patience) {
            Next::Later(wait) => {
                let of = &mut self.groups[group];
                of.items.push_front(item);
                of.held = 0;
                // SQS counts in seconds.
                self.at(then + s(wait.as_secs_f64().ceil() as u64), Event::Visible(group));
                self.workers[worker].busy -= 1;
            }
            Next::DeadLetter(reason) => {
                assert_eq!(reason, "expired");
                self.outcome.expired += 1;
                self.done(worker, group, &item, then);
            }
        }
    }

    /// The item is done with; the worker goes on with the next one that it holds.
    fn done(&mut self, worker: usize, group: usize, item: &Item, then: Duration) {
        let of = &mut self.groups[group];
        self.outcome.out_of_order += usize::from(of.last_done.is_some_and(|last| last > item.number));
        of.last_done = Some(item.number);
        of.held -= 1;
        if of.held > 0 {
            return self.at(then, Event::Works { worker, group });
        }
        self.workers[worker].busy -= 1;
        if !of.items.is_empty() {
            self.at(then, Event::Visible(group));
        }
    }
}

fn percentile(waits: &mut [Duration], percent: usize) -> f64 {
    waits.sort();
    waits.get((waits.len() * percent / 100).min(waits.len().saturating_sub(1))).map_or(0.0, Duration::as_secs_f64)
}

/// A name, and which needs it is about.
type Part<'a> = (&'a str, &'a dyn Fn(&Need) -> bool);

/// Prints a scenario, and what of its waits is looked at.
fn show(name: &str, outcome: &Outcome, parts: &[Part<'_>]) {
    let ratio = outcome.calls as f64 / outcome.needed as f64;
    println!(
        "{name}\n  calls {} of {} needed ({ratio:.2}), lost {}, expired {}, told {}, out of order {}, over after {:.0} s",
        outcome.calls,
        outcome.needed,
        outcome.left,
        outcome.expired,
        outcome.told,
        outcome.out_of_order,
        outcome.ended.as_secs_f64()
    );
    for (part, is_in) in parts {
        let mut waits: Vec<_> = outcome.waits.iter().filter(|(need, _)| is_in(need)).map(|(_, wait)| *wait).collect();
        let (p50, p95, most) = (percentile(&mut waits, 50), percentile(&mut waits, 95), percentile(&mut waits, 100));
        println!("  {part}: {} done, wait p50 {p50:.1} s, p95 {p95:.1} s, longest {most:.1} s", waits.len());
    }
}

const MESSAGES: Patience = Patience { end: s(43_200), notice: None };
const REPLIES: Patience = Patience { end: s(14_400), notice: Some(s(300)) };
const DAY: Duration = s(86_400);

fn texts(need: Need, count: u64, per_second: u64) -> Vec<(Duration, usize, Need)> {
    (0..count).map(|number| (ms(number * 1_000 / per_second), (number % 2_000) as usize, need)).collect()
}

fn main() {
    let all: (&str, &dyn Fn(&Need) -> bool) = ("all", &|_| true);
    let outcome = Simulation::new(World::new(), MESSAGES, 2, texts(Need::Text, 12_000, 200)).run(DAY);
    show("200 texts a second for a minute into open chats", &outcome, &[all]);

    let new_chats: Vec<_> = (0..12_000_u64).map(|number| (ms(number * 5), number as usize, Need::Chat)).collect();
    let mut world = World::new();
    world.lasts = s(60);
    let mut mixed = new_chats.clone();
    mixed.extend((0..600).map(|number| (ms(number * 1_000), 12_000 + number as usize, Need::Text)));
    let outcome = Simulation::new(world, MESSAGES, 2, mixed).run(DAY);
    show(
        "200 texts a second for a minute into new chats, beside one a second into open ones",
        &outcome,
        &[("new", &|need| *need == Need::Chat), ("open", &|need| *need == Need::Text)],
    );
    println!("  an ideal queue starts the last of them after {} s", 12_000 / 4);

    let mut world = World::new();
    world.providers = vec![Provider::Limited(Limit::new(1.0, 1.0)), Provider::Limited(Limit::new(1_000.0, 1_000.0))];
    let mut replies: Vec<_> = (0..10_000_u64).map(|number| (ms(number), number as usize, Need::Reply(0))).collect();
    replies.extend((0..100_u64).map(|number| (s(number * 216), 10_000 + number as usize, Need::Reply(1))));
    let outcome = Simulation::new(world, REPLIES, 5, replies).run(s(6 * 3_600));
    let parts: [Part<'_>; 2] =
        [("throttled", &|need| *need == Need::Reply(0)), ("the other provider", &|need| *need == Need::Reply(1))];
    show(
        "10,000 replies to a provider that takes one a second, beside 100 to another, for six hours",
        &outcome,
        &parts,
    );

    let mut world = World::new();
    world.providers = vec![Provider::Hangs(s(3_600)), Provider::Limited(Limit::new(1_000.0, 1_000.0))];
    let mut replies: Vec<_> = (0..1_000_u64).map(|number| (ms(number), number as usize, Need::Reply(0))).collect();
    replies.extend((0..100_u64).map(|number| (s(number * 30), 1_000 + number as usize, Need::Reply(1))));
    let outcome = Simulation::new(world, REPLIES, 5, replies).run(DAY);
    show("1,000 replies to a provider that hangs for an hour, beside 100 to another", &outcome, &parts);

    let mut world = World::new();
    world.quota = 100;
    world.lasts = s(600);
    // One new chat a second for an hour, where a chat that ends makes room for one every six seconds.
    let arrivals: Vec<_> = (0..600_u64).map(|number| (s(number * 6), number as usize, Need::Chat)).collect();
    world.open.extend((0..100).map(|number| Reverse(s(3_600 + number * 6))));
    let outcome = Simulation::new(world, MESSAGES, 2, arrivals).run(DAY);
    show("an hour of exhausted chat quota", &outcome, &[all]);
    let mut ideal: Vec<_> = (0..600_u64)
        .map(|number| s(3_600 + (number / 100) * 600 + number % 100 * 6).saturating_sub(s(number * 6)))
        .collect();
    println!("  an ideal queue: wait p50 {:.1} s, p95 {:.1} s", percentile(&mut ideal, 50), percentile(&mut ideal, 95));

    let mut world = World::new();
    world.outage = s(3 * 3_600);
    let arrivals: Vec<_> = (0..1_080_u64).map(|number| (s(number * 10), number as usize, Need::Text)).collect();
    let outcome = Simulation::new(world, MESSAGES, 2, arrivals).run(DAY);
    show("Connect unavailable for three hours", &outcome, &[all]);
}
