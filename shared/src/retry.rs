//! Tries again what may succeed, inside the invocation's deadline.

use std::time::Duration;

use crate::{
    deadline::Deadline,
    error::{Error, Kind, Result},
};

/// One try may take this long. A request on a connection that died while Lambda was frozen hangs; the next try opens a
/// new one.
const ATTEMPT: Duration = Duration::from_secs(5);

/// No try is begun with less time than this left.
const SHORTEST_ATTEMPT: Duration = Duration::from_millis(50);

/// How many tries a call has at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tries(u32);

impl Tries {
    /// One: what fails is handed back to a queue.
    pub const ONE: Self = Self(1);
    /// Two.
    pub const TWO: Self = Self(2);
    /// As many as make sense while a caller waits for the answer.
    pub const SEVERAL: Self = Self(5);
}

/// The first wait is up to this long, each further one up to twice as long ("full jitter": Exponential Backoff And
/// Jitter, AWS Architecture Blog).
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// No wait is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// Calls `attempt` until it succeeds, fails for good, or tries or time run out. The last error is returned, but for a
/// spent budget: that is [`Kind::Timeout`], unless Connect was throttling, which says more.
pub async fn until<T>(deadline: Deadline, attempt: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    up_to(Tries::SEVERAL, deadline, attempt).await
}

/// As [`until`], with so many tries.
pub async fn up_to<T>(tries: Tries, deadline: Deadline, mut attempt: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let mut tried = 0;
    loop {
        let left = deadline.remaining();
        if left < SHORTEST_ATTEMPT {
            return Err(Error::new(Kind::Timeout, "No time was left for the call"));
        }
        // While time is short, half of it, so that one hung connection leaves room for another try.
        let limit = ATTEMPT.min((left / 2).max(SHORTEST_ATTEMPT));
        let (hung, error) = match tokio::time::timeout(limit, attempt()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => (false, error),
            Err(_) => (true, Error::new(Kind::ConnectUnavailable, "Amazon Connect did not answer")),
        };
        tried += 1;
        if !error.kind().is_retryable() || error.wait().is_some_and(|wait| wait > LONGEST_WAIT) {
            return Err(error);
        }
        let wait = if hung { Duration::ZERO } else { jitter(tried) };
        let no_time = deadline.remaining() < wait + SHORTEST_ATTEMPT;
        match error.kind() {
            _ if tried < tries.0 && !no_time => tokio::time::sleep(wait).await,
            Kind::ConnectUnavailable if hung || no_time => {
                return Err(Error::new(Kind::Timeout, "Amazon Connect did not answer in time").caused_by(error));
            }
            _ => return Err(error),
        }
    }
}

fn jitter(tried: u32) -> Duration {
    let most = FIRST_WAIT.saturating_mul(1 << tried.min(10).saturating_sub(1)).min(LONGEST_WAIT);
    most.mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    async fn run(budget_ms: u64, outcome: impl Fn(u32) -> Option<Result<()>>) -> (Result<()>, u32, Duration) {
        let calls = Cell::new(0);
        let started = tokio::time::Instant::now();
        let result = until(Deadline::after(Duration::from_millis(budget_ms)), async || {
            calls.set(calls.get() + 1);
            match outcome(calls.get()) {
                Some(result) => result,
                None => std::future::pending().await,
            }
        })
        .await;
        (result, calls.get(), started.elapsed())
    }

    fn fail(kind: Kind) -> Option<Result<()>> {
        Some(Err(Error::new(kind, "x")))
    }

    #[tokio::test(start_paused = true)]
    async fn retries_what_may_pass() {
        let (result, calls, _) = run(28_000, |n| if n < 4 { fail(Kind::Throttled) } else { Some(Ok(())) }).await;
        assert!(result.is_ok());
        assert_eq!(calls, 4);
    }

    #[tokio::test(start_paused = true)]
    async fn does_not_retry_what_cannot() {
        for kind in [Kind::ChatQuotaExceeded, Kind::ConnectRejected, Kind::ConnectMisconfigured, Kind::Internal] {
            let (result, calls, _) = run(28_000, |_| fail(kind)).await;
            assert_eq!((result.unwrap_err().kind(), calls), (kind, 1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn gives_up_with_the_last_error() {
        for kind in [Kind::Throttled, Kind::ConnectUnavailable] {
            let (result, calls, _) = run(28_000, |_| fail(kind)).await;
            assert_eq!((result.unwrap_err().kind(), calls), (kind, Tries::SEVERAL.0));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_hang_is_cut_and_tried_again() {
        let (result, calls, took) = run(28_000, |n| if n == 1 { None } else { Some(Ok(())) }).await;
        assert!(result.is_ok());
        assert_eq!((calls, took.as_secs()), (2, 5));
    }

    #[tokio::test(start_paused = true)]
    async fn never_outlives_the_budget() {
        for budget_ms in [0, 30, 100, 2_500, 28_000] {
            let (result, _, took) = run(budget_ms, |_| None).await;
            assert_eq!(result.unwrap_err().kind(), Kind::Timeout, "{budget_ms} ms");
            assert!(took.as_millis() <= u128::from(budget_ms), "{budget_ms} ms: {took:?}");
        }
    }
}
