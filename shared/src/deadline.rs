//! How long one invocation may take.

use std::time::Duration;

use tokio::time::Instant;

/// API Gateway ends an integration after 30 s ("Maximum integration timeout", API Gateway quotas); this leaves room for
/// the answer's way back.
const GATEWAY_BUDGET: Duration = Duration::from_secs(28);

/// "Function timeout: 900 seconds" (Lambda quotas).
const LONGEST_INVOCATION: Duration = Duration::from_secs(900);

/// What is kept back of Lambda's own time for making the answer and handing it to the runtime.
const RESERVE: Duration = Duration::from_millis(500);

/// The moment by which the answer must be on its way.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// The deadline of an invocation that starts now. `lambda_deadline_ms` is the runtime's `Lambda-Runtime-Deadline-Ms`
    /// (Unix time in milliseconds).
    ///
    /// Lambda delivers nothing whose time is over. A deadline of the past comes from an emulator: `cargo lambda watch`
    /// counts from before it compiles the function. It is taken as none.
    pub fn of_invocation(lambda_deadline_ms: u64) -> Self {
        Self::within(GATEWAY_BUDGET, lambda_deadline_ms)
    }

    /// The same where no gateway waits: files take longer than messages.
    pub fn of_batch(lambda_deadline_ms: u64) -> Self {
        Self::within(LONGEST_INVOCATION, lambda_deadline_ms)
    }

    fn within(most: Duration, lambda_deadline_ms: u64) -> Self {
        let now = jiff::Timestamp::now().as_millisecond();
        let left = i64::try_from(lambda_deadline_ms).unwrap_or(i64::MAX).saturating_sub(now);
        let budget = match u64::try_from(left) {
            Err(_) | Ok(0) => GATEWAY_BUDGET,
            Ok(left) => Duration::from_millis(left).saturating_sub(RESERVE).min(most),
        };
        Self(Instant::now() + budget)
    }

    /// A deadline `budget` from now.
    pub fn after(budget: Duration) -> Self {
        Self(Instant::now() + budget)
    }

    /// What is left of it.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// Unix seconds.
pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_ms(ms: i64) -> u64 {
        u64::try_from(jiff::Timestamp::now().as_millisecond() + ms).unwrap()
    }

    #[tokio::test]
    async fn ends_before_lambda_and_before_the_gateway() {
        for (label, lambda_deadline_ms, at_most, at_least) in [
            ("a short function", in_ms(3_000), 2_500, 2_300),
            ("a function that outlives the gateway", in_ms(900_000), 28_000, 27_900),
            ("none given", 0, 28_000, 27_900),
            ("nearly over", in_ms(300), 0, 0),
            ("an emulator's, already over", in_ms(-5), 28_000, 27_900),
            ("beyond every clock", u64::MAX, 28_000, 27_900),
        ] {
            let left = Deadline::of_invocation(lambda_deadline_ms).remaining().as_millis();
            assert!((at_least..=at_most).contains(&left), "{label}: {left} ms");
        }
    }
}
