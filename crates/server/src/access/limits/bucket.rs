//! A rate, with pauses saved up to a bound.

use std::time::Duration;

use tokio::time::Instant;

/// A token bucket: it holds up to `burst` tokens and gets `rate` new ones a second.
#[derive(Debug)]
pub(super) struct TokenBucket {
    rate: f64,
    burst: f64,
    tokens: f64,
    filled: Instant,
}

impl TokenBucket {
    /// A full one. `rate` is positive, `burst` at least 1.
    pub(super) fn new(rate: f64, burst: f64, now: Instant) -> Self {
        Self {
            rate,
            burst,
            tokens: burst,
            filled: now,
        }
    }

    /// Whether it is one of this kind.
    pub(super) fn is(&self, rate: f64, burst: f64) -> bool {
        self.rate.to_bits() == rate.to_bits() && self.burst.to_bits() == burst.to_bits()
    }

    /// Takes a token; else how long it takes until there is one.
    pub(super) fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let passed = now.saturating_duration_since(self.filled);
        self.filled = self.filled.max(now);
        self.tokens = (self.tokens + passed.as_secs_f64() * self.rate).min(self.burst);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        // A rate next to nothing: more seconds than a duration holds.
        let wait = (1.0 - self.tokens) / self.rate;
        Err(Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_window_has_more_than_burst_and_rate_allow(
            rate in 0.1f64..100.0, burst in 1.0f64..20.0, pauses in prop::collection::vec(0u64..400, 1..200),
        ) {
            let begin = Instant::now();
            let mut bucket = TokenBucket::new(rate, burst, begin);
            let mut now = begin;
            let mut taken = Vec::new();
            for pause in pauses {
                now += Duration::from_millis(pause);
                if bucket.take(now).is_ok() {
                    taken.push(now);
                }
            }
            for (first, from) in taken.iter().enumerate() {
                for (last, to) in taken.iter().enumerate().skip(first) {
                    let allowed = burst + rate * (*to - *from).as_secs_f64();
                    prop_assert!((last - first + 1) as f64 <= allowed + 1e-6);
                }
            }
        }

        #[test]
        fn who_waits_as_long_as_told_is_let_in(rate in 0.1f64..100.0, burst in 1.0f64..5.0) {
            let begin = Instant::now();
            let mut bucket = TokenBucket::new(rate, burst, begin);
            while bucket.take(begin).is_ok() {}
            let wait = bucket.take(begin).unwrap_err();
            prop_assert!(bucket.take(begin + wait + Duration::from_micros(1)).is_ok());
        }
    }
}
