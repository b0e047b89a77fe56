//! How fast new chats are started: a bucket of starts that is refilled evenly. Pure, and told the time like [`super::gate`].

use std::time::Duration;

/// A chat that there is no start for waits no longer than this before it asks again.
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// The starts of one worker.
#[derive(Debug)]
pub struct Starts {
    /// The time between two starts.
    interval: Duration,
    /// How many may be taken at once, after a rest.
    most: u32,
    /// When the next start is refilled, as if they were taken one by one.
    next: Duration,
    /// When the next one that had to wait may come back.
    booked: Duration,
}

impl Starts {
    /// So many a second.
    pub fn new(per_second: u32) -> Self {
        let per_second = per_second.max(1);
        Self {
            interval: Duration::from_secs(1) / per_second,
            most: per_second,
            next: Duration::ZERO,
            booked: Duration::ZERO,
        }
    }

    /// Takes a start, or says when to ask again. Those who must wait are told different times, in the order in which they ask,
    /// so that they don't all come back at once.
    pub fn take(&mut self, now: Duration) -> Result<(), Duration> {
        // A bucket that is full holds no more.
        let next = self.next.max((now + self.interval).saturating_sub(self.interval * self.most));
        if next <= now {
            self.next = next + self.interval;
            return Ok(());
        }
        self.booked = self.booked.max(next) + self.interval;
        let wait = self.booked - now;
        if wait > LONGEST {
            self.booked = self.booked.saturating_sub(self.interval);
            return Err(LONGEST.mul_f64(0.5 + fastrand::f64() / 2.0));
        }
        Err(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_are_spread_evenly_and_a_rest_saves_a_second_of_them() {
        for per_second in [1, 2, 5] {
            let mut starts = Starts::new(per_second);
            let (mut taken, mut at_once) = (0, 0);
            for millisecond in 0..10_000 {
                let now = Duration::from_secs(100) + Duration::from_millis(millisecond);
                while starts.take(now).is_ok() {
                    taken += 1;
                    at_once += u32::from(millisecond == 0);
                }
            }
            assert_eq!(at_once, per_second);
            let expected = 11 * per_second;
            assert!((expected - 1..=expected).contains(&taken), "{per_second} a second: {taken}");
        }
    }

    #[test]
    fn those_who_wait_come_back_one_by_one() {
        let mut starts = Starts::new(2);
        let now = Duration::from_secs(100);
        while starts.take(now).is_ok() {}
        let waits: Vec<_> = (0..1_000).map(|_| starts.take(now).unwrap_err()).collect();
        assert!(waits.windows(2).take(500).all(|pair| pair[1] - pair[0] == Duration::from_millis(500)));
        assert!(waits.iter().all(|wait| *wait <= LONGEST));
    }
}
