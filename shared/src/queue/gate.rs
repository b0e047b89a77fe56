//! Which accounts a worker lets be for a while: those whose provider throttles or hangs.
//!
//! Pure decisions, told the time by the caller: a simulator runs them on a clock of its own. Times are counted from any
//! moment that all calls share.

use std::{collections::HashMap, time::Duration};

/// What a call to the account's provider came to, as far as it says something of the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Any other answer, a refusal or a 500 included: the provider is there.
    Answered,
    /// A 429, or any answer that asks for time.
    Throttled {
        /// `Retry-After`.
        wait: Option<Duration>,
    },
    /// None within its time-out.
    Hung {
        /// How long that was.
        after: Duration,
    },
}

/// Whether an item of an account may be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It may.
    Open,
    /// It may, and its answer decides for the others. Its call has [`PROBE_TIMEOUT`].
    Probe,
    /// Not before this long.
    Shut(Duration),
}

/// The longest time for which a `Retry-After` is believed.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// Without one, an account is shut for this long at first,
const FIRST: Duration = Duration::from_secs(5);

/// and for this long at most.
const LONGEST_UNASKED: Duration = Duration::from_secs(60);

/// Each one that is turned away is told to come this much later than the one before.
const SPREAD: Duration = Duration::from_millis(100);

/// So many calls in a row that hung shut an account.
const HUNG: u32 = 3;

/// A probe is answered within this time, or counts as hung.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(4);

/// After a first 429 this much time lies between two calls for the account: twice as much after each further one, a seventh less
/// after each answer. Without it every reopening would begin with a volley of refusals.
const FIRST_PACE: Duration = Duration::from_secs(1);

/// and never more than this.
const LONGEST_PACE: Duration = Duration::from_secs(10);

/// A pace that is faster than this is none.
const FASTEST: Duration = Duration::from_millis(50);

/// The accounts of the settings, by name.
#[derive(Debug, Default)]
pub struct Gates(HashMap<String, Gate>);

#[derive(Debug)]
struct Gate {
    /// Shut until then.
    until: Duration,
    /// How long it was shut last without a `Retry-After`.
    shut_for: Duration,
    /// Until when a probe may be under way.
    probe_until: Option<Duration>,
    /// Whether the next one through is the probe.
    needs_probe: bool,
    /// Calls in a row that hung.
    hung: u32,
    /// The time between two calls.
    pace: Duration,
    /// When the next one may go.
    next: Duration,
    /// How many were turned away since it was shut.
    turned_away: u32,
}

impl Gate {
    fn new() -> Self {
        Self {
            until: Duration::ZERO,
            shut_for: Duration::ZERO,
            probe_until: None,
            needs_probe: false,
            hung: 0,
            pace: Duration::ZERO,
            next: Duration::ZERO,
            turned_away: 0,
        }
    }

    fn shut(&mut self, now: Duration, wait: Duration) {
        self.until = self.until.max(now + wait);
        self.needs_probe = true;
        self.probe_until = None;
        self.turned_away = 0;
    }

    /// Turns one away. The more there are, the later they are told to come, or all would come at once, most of them in vain.
    fn turn_away(&mut self, wait: Duration) -> Entry {
        let later = self.pace.max(SPREAD).saturating_mul(self.turned_away);
        self.turned_away = self.turned_away.saturating_add(1);
        Entry::Shut(wait + later.min(LONGEST_UNASKED))
    }

    /// The next wait without a `Retry-After`. Calls that were under way together count once.
    fn grow(&mut self, now: Duration) -> Duration {
        if now >= self.until {
            self.shut_for = self.shut_for.mul_f64(1.2).clamp(FIRST, LONGEST_UNASKED);
        }
        self.shut_for.max(FIRST)
    }
}

impl Gates {
    /// Asks for an item of this account. Whoever is let through says afterwards what came of it ([`Self::leave`]).
    pub fn enter(&mut self, account: &str, now: Duration) -> Entry {
        let Some(gate) = self.0.get_mut(account) else { return Entry::Open };
        if now < gate.until {
            return gate.turn_away(gate.until - now);
        }
        if gate.needs_probe {
            // A probe whose sender died doesn't shut the account for good.
            if let Some(until) = gate.probe_until.filter(|until| now < *until) {
                return gate.turn_away((until - now).min(FIRST));
            }
            gate.probe_until = Some(now + PROBE_TIMEOUT + Duration::from_secs(1));
            return Entry::Probe;
        }
        if now < gate.next {
            return gate.turn_away(gate.next - now);
        }
        gate.next = now + gate.pace;
        gate.turned_away = gate.turned_away.saturating_sub(1);
        Entry::Open
    }

    /// A call that was let through has ended.
    pub fn leave(&mut self, account: &str, answer: Answer, now: Duration) {
        if answer == Answer::Answered && !self.0.contains_key(account) {
            return;
        }
        let gate = self.0.entry(account.to_owned()).or_insert_with(Gate::new);
        match answer {
            Answer::Answered => {
                gate.hung = 0;
                // An answer to a call from before it was shut opens nothing.
                if now < gate.until {
                    return;
                }
                gate.needs_probe = false;
                gate.probe_until = None;
                gate.pace = Some(gate.pace.mul_f64(0.85)).filter(|pace| *pace >= FASTEST).unwrap_or_default();
                gate.shut_for = Duration::ZERO;
            }
            Answer::Throttled { wait } => {
                gate.hung = 0;
                if now >= gate.until {
                    gate.pace = (gate.pace * 2).clamp(FIRST_PACE, LONGEST_PACE);
                }
                let wait = wait.map_or_else(|| gate.grow(now), |wait| wait.min(LONGEST));
                gate.shut(now, wait);
            }
            Answer::Hung { after } => {
                gate.hung += 1;
                if gate.needs_probe || gate.hung >= HUNG {
                    let wait = gate.grow(now).max(after * 2);
                    gate.shut(now, wait);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    const THROTTLED: Answer = Answer::Throttled { wait: None };
    const A: &str = "a";

    #[test]
    fn a_throttled_account_is_let_be_and_then_probed_once() {
        let mut gates = Gates::default();
        assert_eq!(gates.enter(A, s(0)), Entry::Open);
        gates.leave(A, THROTTLED, s(1));
        assert_eq!(gates.enter(A, s(2)), Entry::Shut(s(4)));
        assert_eq!(gates.enter("b", s(2)), Entry::Open, "others don't notice");
        assert_eq!(gates.enter(A, s(6)), Entry::Probe);
        assert_eq!(gates.enter(A, s(6)), Entry::Shut(s(5) + FIRST_PACE));
        gates.leave(A, Answer::Answered, s(7));
        assert_eq!(gates.enter(A, s(7)), Entry::Open);
    }

    #[test]
    fn waits_grow_to_a_minute_and_those_that_are_asked_for_to_a_quarter_of_an_hour() {
        let mut gates = Gates::default();
        let mut now = s(0);
        let mut last = Duration::ZERO;
        for number in 0..20 {
            gates.leave(A, THROTTLED, now);
            // What was under way at the same time changes nothing.
            gates.leave(A, THROTTLED, now);
            let Entry::Shut(wait) = gates.enter(A, now) else { panic!("{number}: it is not shut") };
            assert!(wait > last || wait == LONGEST_UNASKED, "{number}: {wait:?} after {last:?}");
            assert_eq!(wait == FIRST, number == 0);
            last = wait;
            now += wait;
            assert_eq!(gates.enter(A, now), Entry::Probe);
        }
        assert_eq!(last, LONGEST_UNASKED);
        for (asked, expected) in [(90, 90), (86_400, 900)] {
            gates.leave(A, Answer::Throttled { wait: Some(s(asked)) }, now);
            assert_eq!(gates.enter(A, now), Entry::Shut(s(expected)));
            now += s(expected);
        }
    }

    #[test]
    fn three_hung_calls_in_a_row_shut_an_account_for_twice_as_long() {
        let hung = Answer::Hung { after: s(10) };
        let mut gates = Gates::default();
        for answer in [hung, hung, Answer::Answered, hung, hung] {
            gates.leave(A, answer, s(0));
            assert_eq!(gates.enter(A, s(0)), Entry::Open);
        }
        gates.leave(A, hung, s(0));
        assert_eq!(gates.enter(A, s(0)), Entry::Shut(s(20)));
        assert_eq!(gates.enter(A, s(20)), Entry::Probe);
        // A probe that hangs shuts it again; 401, 500 and resets don't.
        gates.leave(A, Answer::Hung { after: PROBE_TIMEOUT }, s(24));
        assert!(matches!(gates.enter(A, s(24)), Entry::Shut(wait) if wait >= s(8)));
        assert_eq!(gates.enter(A, s(64)), Entry::Probe);
        gates.leave(A, Answer::Answered, s(65));
        assert_eq!(gates.enter(A, s(65)), Entry::Open);
    }

    #[test]
    fn a_probe_that_nobody_ends_is_followed_by_another() {
        let mut gates = Gates::default();
        gates.leave(A, THROTTLED, s(0));
        assert_eq!(gates.enter(A, s(5)), Entry::Probe);
        assert!(matches!(gates.enter(A, s(9)), Entry::Shut(_)));
        assert_eq!(gates.enter(A, s(10)), Entry::Probe);
    }

    #[test]
    fn an_account_that_opens_is_not_met_with_a_volley() {
        let mut gates = Gates::default();
        gates.leave(A, THROTTLED, s(0));
        assert_eq!(gates.enter(A, s(5)), Entry::Probe);
        gates.leave(A, Answer::Answered, s(5));
        let let_in = |gates: &mut Gates, now| (0..50).filter(|_| gates.enter(A, now) == Entry::Open).count();
        assert_eq!(let_in(&mut gates, s(6)), 1);
        assert_eq!(let_in(&mut gates, s(7)), 1);
        for _ in 0..30 {
            gates.leave(A, Answer::Answered, s(8));
        }
        assert_eq!(let_in(&mut gates, s(9)), 50, "trusted again");
    }
}
