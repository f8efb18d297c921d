//! The limits of one app: its rate, its in-flight requests, and the units of its quotas.

use std::sync::Arc;
use std::time::Duration;

use likeness_storage::apps::{AppEndpoint, AppLimits};
use likeness_storage::usage::{Period, Quotas, Usage, Used};
use tokio::time::Instant;

use super::refusal::Refusal;

/// The part of a remaining quota that may be reserved at a time, one in so many: other services need units too.
const SHARE: u64 = 20;

/// What this process knows of an app.
#[derive(Debug)]
pub(super) struct Account {
    bucket: Option<TokenBucket>,
    /// Shared by the slots of the in-flight requests, which are counted by it.
    in_flight: Slot,
    /// One reservation at a time: the others use the units that it brings.
    pub(super) turn: Arc<tokio::sync::Mutex<()>>,
    pub(super) ledger: Ledger,
}

/// An in-flight request of an app, until this is dropped.
pub(crate) type Slot = Arc<()>;

impl Account {
    pub(super) fn new(ledger: Ledger) -> Self {
        Self {
            bucket: None,
            in_flight: Arc::default(),
            turn: Arc::default(),
            ledger,
        }
    }

    /// Takes a token of the app's rate limit, and one of its in-flight requests.
    pub(super) fn admit(&mut self, limits: &AppLimits, now: Instant) -> Result<Slot, Refusal> {
        if let Some(rate) = limits.requests_per_second {
            let burst = limits.burst.map_or_else(|| rate.max(1.0), f64::from);
            let same = self
                .bucket
                .take()
                .filter(|bucket| (bucket.rate, bucket.burst) == (rate, burst));
            let bucket = self
                .bucket
                .insert(same.unwrap_or_else(|| TokenBucket::new(rate, burst, now)));
            bucket.take(now).map_err(|wait| Refusal::Rate { rate, wait })?;
        } else {
            self.bucket = None;
        }
        match limits.concurrent_requests {
            // One reference is the account's own.
            Some(most) if Arc::strong_count(&self.in_flight) > most as usize => {
                Err(Refusal::Concurrent { most })
            }
            _ => Ok(Arc::clone(&self.in_flight)),
        }
    }
}

/// The usage of one day, until it is flushed.
#[derive(Debug)]
pub(super) struct Ledger {
    /// Its units are used and not reserved; less than 0: given back.
    usage: Usage,
    /// Units that are reserved and not used.
    reserved: u64,
    /// Used units according to the database, and those used since without it.
    pub(super) known: Option<Used>,
    /// Requests of this second, and of the one before.
    recent: (u64, u64),
    /// The quota that was found to be exhausted. Each flush forgets it, since other services give units back.
    exhausted: Option<(Quotas, Refusal)>,
}

/// A unit that a request has used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unit {
    period: Period,
    endpoint: AppEndpoint,
    was_reserved: bool,
}

impl Ledger {
    pub(super) fn new(app: &str, period: Period, known: Option<Used>) -> Self {
        Self {
            usage: Usage::none(app, period),
            reserved: 0,
            known,
            recent: (0, 0),
            exhausted: None,
        }
    }

    pub(super) fn period(&self) -> Period {
        self.usage.period
    }

    /// Ends a period that is over, and returns its usage. What is known of it counts for a later period; nothing for an
    /// earlier one, after the clock was set back.
    pub(super) fn turn_to(&mut self, period: Period) -> Usage {
        let usage = self.usage();
        let known = self.known.filter(|_| period.day > self.period().day);
        let known = known.map(|known| Used {
            day: 0,
            // Reserved units are given back.
            month: if self.period().month == period.month {
                known.month.saturating_sub(self.reserved)
            } else {
                0
            },
        });
        *self = Self::new(&usage.app, period, known);
        usage
    }

    /// Takes the usage to flush, each second.
    pub(super) fn take_usage(&mut self) -> Usage {
        let usage = self.usage();
        let mut next = Self::new(&usage.app, usage.period, self.known);
        // Units that are given back are used no more.
        next.forget(self.reserved, self.reserved);
        next.recent = (0, self.recent.0);
        *self = next;
        usage
    }

    /// Returns the usage to flush, which gives unused units back.
    fn usage(&self) -> Usage {
        let mut usage = self.usage.clone();
        let reserved = i64::try_from(self.reserved).unwrap_or(i64::MAX);
        usage.units = usage.units.saturating_sub(reserved);
        usage
    }

    /// Uses a reserved unit, or returns which quota is exhausted, if that is known without the database.
    pub(super) fn spend(&mut self, quotas: Quotas, endpoint: AppEndpoint) -> Option<Result<Unit, Refusal>> {
        if let Some(left) = self.reserved.checked_sub(1) {
            self.reserved = left;
            return Some(Ok(self.count(endpoint, true)));
        }
        let known = self.exhausted.filter(|(of, _)| *of == quotas);
        known.map(|(_, refusal)| Err(refusal))
    }

    /// Uses a unit that the database does not know.
    pub(super) fn spend_unreserved(&mut self, endpoint: AppEndpoint) -> Unit {
        self.usage.units += 1;
        if let Some(known) = &mut self.known {
            *known = known.plus(Used { day: 1, month: 1 });
        }
        self.count(endpoint, false)
    }

    fn count(&mut self, endpoint: AppEndpoint, was_reserved: bool) -> Unit {
        self.recent.0 += 1;
        *requests(&mut self.usage, endpoint) += 1;
        Unit {
            period: self.period(),
            endpoint,
            was_reserved,
        }
    }

    /// Counts a request that a limit rejects.
    pub(super) fn refuse(&mut self) {
        self.usage.refused += 1;
    }

    /// Adds reserved units. `used` are then used, the reserved ones included.
    pub(super) fn reserve(&mut self, units: u64, used: Used, quotas: Quotas) {
        self.reserved += units;
        self.known = Some(used);
        if self.reserved == 0 {
            let refusal = Refusal::of(quotas, used, self.period());
            self.exhausted = refusal.map(|refusal| (quotas, refusal));
        }
    }

    /// Returns the units of the day, and so of the month, that the database does not know.
    pub(super) fn unreserved(&self) -> Used {
        let units = u64::try_from(self.usage.units).unwrap_or(0);
        Used {
            day: units,
            month: units,
        }
    }

    /// Returns how many units to reserve: about those of a second, and only a small share of what is left.
    pub(super) fn wanted(&self, quotas: Quotas) -> u64 {
        let left = quotas.left(self.known.unwrap_or_default()).least();
        let share = left.map_or(u64::MAX, |left| left / SHARE);
        self.recent.0.max(self.recent.1).min(share).max(1)
    }

    /// Gives a unit back to the day and month that it was taken from. Returns the usage that takes it off a day that is over.
    pub(super) fn give_back(&mut self, unit: Unit) -> Option<Usage> {
        let is_same_month = self.period().month == unit.period.month;
        if is_same_month {
            self.exhausted = None;
        }
        if self.period() != unit.period {
            if is_same_month {
                self.forget(0, 1);
            }
            let mut back = Usage::none(&self.usage.app, unit.period);
            back.units = -1;
            *requests(&mut back, unit.endpoint) = -1;
            return Some(back);
        }
        *requests(&mut self.usage, unit.endpoint) -= 1;
        if unit.was_reserved {
            self.reserved += 1;
        } else {
            self.usage.units -= 1;
            self.forget(1, 1);
        }
        None
    }

    /// Takes units off the known ones.
    fn forget(&mut self, day: u64, month: u64) {
        if let Some(known) = &mut self.known {
            known.day = known.day.saturating_sub(day);
            known.month = known.month.saturating_sub(month);
        }
    }
}

fn requests(usage: &mut Usage, endpoint: AppEndpoint) -> &mut i64 {
    match endpoint {
        AppEndpoint::Biometric => &mut usage.biometric,
        AppEndpoint::Liveness => &mut usage.liveness,
    }
}

/// A token bucket: it holds up to `burst` tokens and gets `rate` new ones a second.
#[derive(Debug)]
struct TokenBucket {
    rate: f64,
    burst: f64,
    tokens: f64,
    filled: Instant,
}

impl TokenBucket {
    /// Returns a full bucket. `rate` is positive, `burst` at least 1.
    fn new(rate: f64, burst: f64, now: Instant) -> Self {
        Self {
            rate,
            burst,
            tokens: burst,
            filled: now,
        }
    }

    /// Takes a token. Otherwise returns how long it takes until there is one.
    fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let passed = now.saturating_duration_since(self.filled);
        self.filled = self.filled.max(now);
        self.tokens = (self.tokens + passed.as_secs_f64() * self.rate).min(self.burst);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        // A tiny rate: more seconds than a duration holds.
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
        fn a_request_after_the_wait_is_accepted(rate in 0.1f64..100.0, burst in 1.0f64..5.0) {
            let begin = Instant::now();
            let mut bucket = TokenBucket::new(rate, burst, begin);
            while bucket.take(begin).is_ok() {}
            let wait = bucket.take(begin).unwrap_err();
            prop_assert!(bucket.take(begin + wait + Duration::from_micros(1)).is_ok());
        }
    }
}
