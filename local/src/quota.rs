//! Rates.

use std::time::Instant;

use crate::config::Rate;

/// A filled token bucket.
#[derive(Debug)]
pub(crate) struct Bucket {
    rate: Rate,
    level: f64,
    at: Instant,
}

impl Bucket {
    pub(crate) fn new(rate: Rate) -> Self {
        Self { rate, level: f64::from(rate.burst), at: Instant::now() }
    }

    pub(crate) fn take(&mut self) -> bool {
        let now = Instant::now();
        let filled = self.level + now.duration_since(self.at).as_secs_f64() * self.rate.per_second;
        self.level = filled.min(f64::from(self.rate.burst));
        self.at = now;
        let allowed = self.level >= 1.0;
        if allowed {
            self.level -= 1.0;
        }
        allowed
    }
}
