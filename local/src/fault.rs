//! The fault plan: what goes wrong, for which operation, and how often.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    time::Duration,
};

use serde::{Deserialize, Deserializer, de};
use serde_json::{Value, json};

use crate::{error::ApiError, operation::Operation};

/// Something that goes wrong with a call. It happens once, unless [`times`](Self::times) or [`forever`](Self::forever)
/// says otherwise. Faults of one operation are used up in the order in which they were set; one for ever would be the
/// last, so it gives way to the next that is set.
#[derive(Clone, Debug)]
pub struct Fault {
    effect: Effect,
    /// The request takes effect, and only the answer goes wrong.
    handled: bool,
    delay: Duration,
    /// `None`: for ever.
    times: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing beyond the delay.
    Pass,
    Error(ApiError),
    Hang,
    Reset,
}

impl Fault {
    fn of(effect: Effect) -> Self {
        Self { effect, handled: false, delay: Duration::ZERO, times: Some(1) }
    }

    /// The call is answered with this status and exception, and does nothing.
    pub fn error(status: u16, kind: &str) -> Self {
        Self::of(Effect::Error(ApiError::new(status, kind, format!("{kind} by fault plan"))))
    }

    /// Connect's answer to a call above the API's rate (unmodelled `TooManyRequestsException`, StartChatContact API
    /// reference).
    pub fn too_many_requests() -> Self {
        Self::error(429, "TooManyRequestsException")
    }

    /// Connect's answer where the quota of concurrent chats is used up.
    pub fn limit_exceeded() -> Self {
        Self::error(429, "LimitExceededException")
    }

    /// The Participant Service's answer to a call above the API's rate.
    pub fn throttling() -> Self {
        Self::error(429, "ThrottlingException")
    }

    /// The call is never answered, and does nothing.
    pub fn hang() -> Self {
        Self::of(Effect::Hang)
    }

    /// The TCP connection is reset before the call does anything.
    pub fn reset() -> Self {
        Self::of(Effect::Reset)
    }

    /// The TCP connection is reset after the call has taken effect: the caller cannot know that it did.
    pub fn reset_after() -> Self {
        Self::reset().after_handling()
    }

    /// The call waits this long, then is served as ever. It takes effect even if the caller has gone by then.
    /// [`Duration::ZERO`] lets a call pass: for "the second one fails".
    pub fn delay(delay: Duration) -> Self {
        Self { delay, ..Self::of(Effect::Pass) }
    }

    /// The call takes effect before this fault hides it: `Fault::error(500, …).after_handling()`.
    #[must_use]
    pub fn after_handling(self) -> Self {
        Self { handled: true, ..self }
    }

    /// Waits this long before the fault.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// How many calls meet this fault.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times: Some(times), ..self }
    }

    /// Every call meets this fault, until [`clear_faults`](crate::StandIn::clear_faults).
    #[must_use]
    pub fn forever(self) -> Self {
        Self { times: None, ..self }
    }

    /// The message of an error's body.
    #[must_use]
    pub fn message(mut self, message: &str) -> Self {
        if let Effect::Error(error) = &mut self.effect {
            message.clone_into(&mut error.message);
        }
        self
    }

    pub(crate) fn effect(&self) -> &Effect {
        &self.effect
    }

    pub(crate) fn wait(&self) -> Duration {
        self.delay
    }

    pub(crate) fn takes_effect(&self) -> bool {
        self.handled || self.effect == Effect::Pass
    }
}

/// As the record shows it: `error 429 LimitExceededException`, `reset after handling`, `delay 50ms`.
impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.effect {
            Effect::Pass => return write!(out, "delay {:?}", self.delay),
            Effect::Error(error) => write!(out, "error {} {}", error.status, error.kind)?,
            Effect::Hang => out.write_str("hang")?,
            Effect::Reset => out.write_str("reset")?,
        }
        if self.handled {
            out.write_str(" after handling")?;
        }
        if !self.delay.is_zero() {
            write!(out, ", delay {:?}", self.delay)?;
        }
        Ok(())
    }
}

/// The control API's form: `{"status":429,"type":"LimitExceededException","times":2}`, or `{"effect":"hang"}` (`reset`,
/// `delay`), with `delay_ms`, `after_handling`, `message`, and `times` a number or `"forever"`. `reset_after` and
/// `hang_after` are short for `after_handling`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    effect: Option<WrittenEffect>,
    status: Option<u16>,
    #[serde(rename = "type")]
    kind: Option<String>,
    message: Option<String>,
    #[serde(default)]
    delay_ms: u64,
    #[serde(default)]
    after_handling: bool,
    times: Option<WrittenTimes>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WrittenEffect {
    Error,
    Hang,
    HangAfter,
    Reset,
    ResetAfter,
    Delay,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenTimes {
    Count(u32),
    Word(Forever),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Forever {
    Forever,
}

impl<'de> Deserialize<'de> for Fault {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer)?;
        let effect = match (written.effect, written.status) {
            (Some(effect), _) => effect,
            (None, Some(_)) => WrittenEffect::Error,
            (None, None) if written.delay_ms > 0 => WrittenEffect::Delay,
            (None, None) => return Err(de::Error::custom("a fault needs a status, an effect or delay_ms")),
        };
        let mut fault = match effect {
            WrittenEffect::Error => {
                let status = written.status.ok_or_else(|| de::Error::missing_field("status"))?;
                if !(400..=599).contains(&status) {
                    return Err(de::Error::custom("the status of a fault is 400 to 599"));
                }
                let kind = written.kind.ok_or_else(|| de::Error::missing_field("type"))?;
                Self::error(status, &kind)
            }
            WrittenEffect::Hang => Self::hang(),
            WrittenEffect::HangAfter => Self::hang().after_handling(),
            WrittenEffect::Reset => Self::reset(),
            WrittenEffect::ResetAfter => Self::reset_after(),
            WrittenEffect::Delay => Self::delay(Duration::ZERO),
        };
        if let Some(message) = &written.message {
            fault = fault.message(message);
        }
        if written.after_handling {
            fault = fault.after_handling();
        }
        fault = match written.times {
            None => fault,
            Some(WrittenTimes::Count(times)) => fault.times(times),
            Some(WrittenTimes::Word(Forever::Forever)) => fault.forever(),
        };
        Ok(fault.after(Duration::from_millis(written.delay_ms)))
    }
}

/// Every fault that is still to happen.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    queues: HashMap<Operation, VecDeque<Fault>>,
}

impl Plan {
    pub(crate) fn add(&mut self, operation: Operation, fault: Fault) {
        let queue = self.queues.entry(operation).or_default();
        queue.retain(|planned| planned.times.is_some());
        queue.push_back(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.queues.clear();
    }

    /// The faults that are still to happen, in order: `{"operation", "fault", "times"}`, where `times` is null for ever.
    pub(crate) fn listed(&self) -> Value {
        let mut queues: Vec<_> = self.queues.iter().collect();
        queues.sort_by_key(|(operation, _)| **operation);
        let listed = queues.iter().flat_map(|(operation, queue)| {
            queue
                .iter()
                .filter(|fault| fault.times != Some(0))
                .map(move |fault| json!({ "operation": operation, "fault": fault.to_string(), "times": fault.times }))
        });
        listed.collect()
    }

    /// The fault that the next call to an operation meets.
    pub(crate) fn take(&mut self, operation: Operation) -> Option<Fault> {
        let queue = self.queues.get_mut(&operation)?;
        while queue.front().is_some_and(|fault| fault.times == Some(0)) {
            queue.pop_front();
        }
        let fault = queue.front_mut()?;
        fault.times = fault.times.map(|times| times.saturating_sub(1));
        Some(fault.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_used_up_in_order() {
        let mut plan = Plan::default();
        plan.add(Operation::SendMessage, Fault::delay(Duration::ZERO));
        plan.add(Operation::SendMessage, Fault::throttling().times(2));
        plan.add(Operation::SendMessage, Fault::reset_after().forever());
        let mut next = || plan.take(Operation::SendMessage).unwrap().to_string();
        assert_eq!(next(), "delay 0ns");
        assert_eq!(next(), "error 429 ThrottlingException");
        assert_eq!(next(), "error 429 ThrottlingException");
        assert_eq!(next(), "reset after handling");
        assert_eq!(next(), "reset after handling");
        assert!(plan.take(Operation::SendEvent).is_none());
    }

    #[test]
    fn a_fault_for_ever_gives_way_to_the_next() {
        let mut plan = Plan::default();
        plan.add(Operation::SendMessage, Fault::throttling().forever());
        plan.add(Operation::SendEvent, Fault::throttling().forever());
        plan.add(Operation::SendMessage, Fault::reset().times(1));
        plan.add(Operation::SendMessage, Fault::hang().forever());
        let mut next = |operation| plan.take(operation).unwrap().to_string();
        assert_eq!([(); 3].map(|()| next(Operation::SendMessage)), ["reset", "hang", "hang"]);
        assert_eq!(next(Operation::SendEvent), "error 429 ThrottlingException");
    }

    #[test]
    fn written_form() {
        let read = |text: &str| serde_json::from_str::<Fault>(text).map(|fault| (fault.to_string(), fault.times));
        for (text, shown, times) in [
            (r#"{"status":429,"type":"X","times":2}"#, "error 429 X", Some(2)),
            (r#"{"status":500,"type":"X","after_handling":true}"#, "error 500 X after handling", Some(1)),
            (r#"{"effect":"hang","times":"forever"}"#, "hang", None),
            (r#"{"effect":"reset_after"}"#, "reset after handling", Some(1)),
            (r#"{"effect":"reset","delay_ms":5}"#, "reset, delay 5ms", Some(1)),
            (r#"{"delay_ms":5}"#, "delay 5ms", Some(1)),
        ] {
            assert_eq!(read(text).unwrap(), (shown.to_owned(), times), "{text}");
        }
        for text in
            ["{}", r#"{"status":429}"#, r#"{"effect":"melt"}"#, r#"{"statu":429}"#, r#"{"status":99,"type":"X"}"#]
        {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
