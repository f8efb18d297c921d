//! The limits of one app: its rate, its in-flight requests, and the units of its quotas.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use likeness_storage::apps::{AppEndpoint, AppLimits};
use likeness_storage::usage::{Period, Quotas, Usage, Used};
use parking_lot::{MappedMutexGuard, Mutex, MutexGuard};
use tokio::time::Instant;

use super::refusal::Refusal;
use super::usage::PendingUsage;

/// The part of a remaining quota that may be reserved at a time, one in so many: other services need units too.
const SHARE: u64 = 20;

#[derive(Debug)]
pub(super) struct Account {
    app: String,
    bucket: Mutex<Option<TokenBucket>>,
    in_flight: AtomicU32,
    ledger: Mutex<Option<Ledger>>,
    /// One reservation at a time: the others use the units that it brings.
    pub(super) turn: tokio::sync::Mutex<()>,
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
    fn new(app: &str, period: Period, known: Option<Used>) -> Self {
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

    /// Returns the usage to flush, which gives unused units back.
    fn usage(&self) -> Usage {
        let mut usage = self.usage.clone();
        let reserved = i64::try_from(self.reserved).unwrap_or(i64::MAX);
        usage.units = usage.units.saturating_sub(reserved);
        usage
    }

    /// Uses a reserved unit, if there is one.
    pub(super) fn spend(&mut self, endpoint: AppEndpoint) -> Option<Unit> {
        self.reserved = self.reserved.checked_sub(1)?;
        Some(self.count(endpoint, true))
    }

    /// Uses a unit that the database does not know.
    pub(super) fn spend_unreserved(&mut self, endpoint: AppEndpoint) -> Unit {
        self.usage.units += 1;
        if let Some(known) = &mut self.known {
            *known = known.plus(Used { day: 1, month: 1 });
        }
        self.count(endpoint, false)
    }

    pub(super) fn reserve(&mut self, units: u64, used: Used) {
        self.reserved += units;
        self.known = Some(used);
    }

    /// Returns the units of the day, and so of the month, that the database does not know.
    pub(super) fn unreserved(&self) -> Used {
        let units = u64::try_from(self.usage.units).unwrap_or(0);
        Used {
            day: units,
            month: units,
        }
    }

    /// Returns which of these quotas is exhausted, if that is known.
    pub(super) fn exhausted(&self, quotas: Quotas) -> Option<Refusal> {
        self.exhausted
            .filter(|(of, _)| *of == quotas)
            .map(|(_, refusal)| refusal)
    }

    pub(super) fn exhaust(&mut self, quotas: Quotas, refusal: Refusal) {
        self.exhausted = Some((quotas, refusal));
    }

    /// Returns how many units to reserve: about those of a second, and only a small share of what is left.
    pub(super) fn wanted(&self, quotas: Quotas) -> u64 {
        let left = quotas.left(self.known.unwrap_or_default()).least();
        let share = left.map_or(u64::MAX, |left| left / SHARE);
        self.recent.0.max(self.recent.1).min(share).max(1)
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

    /// Takes units off the known ones.
    fn forget(&mut self, day: u64, month: u64) {
        if let Some(known) = &mut self.known {
            known.day = known.day.saturating_sub(day);
            known.month = known.month.saturating_sub(month);
        }
    }

    /// Returns what this says of a later period; nothing of an earlier one, after the clock was set back.
    fn known_in(&self, period: Period) -> Option<Used> {
        // Reserved units are given back.
        let month = self.known?.month.saturating_sub(self.reserved);
        let is_same = self.period().month == period.month;
        (period.day > self.period().day).then_some(Used {
            day: 0,
            month: if is_same { month } else { 0 },
        })
    }
}

fn requests(usage: &mut Usage, endpoint: AppEndpoint) -> &mut i64 {
    match endpoint {
        AppEndpoint::Biometric => &mut usage.biometric,
        AppEndpoint::Liveness => &mut usage.liveness,
    }
}

impl Account {
    pub(super) fn new(app: &str) -> Self {
        Self {
            app: app.to_owned(),
            bucket: Mutex::new(None),
            in_flight: AtomicU32::new(0),
            ledger: Mutex::new(None),
            turn: tokio::sync::Mutex::new(()),
        }
    }

    pub(super) fn app(&self) -> &str {
        &self.app
    }

    /// Takes a token of the app's rate limit, if it has one. Otherwise returns how long it takes until there is one.
    pub(super) fn take_token(&self, limits: &AppLimits, now: Instant) -> Result<(), Duration> {
        let mut bucket = self.bucket.lock();
        let Some(rate) = limits.requests_per_second else {
            *bucket = None;
            return Ok(());
        };
        let burst = limits.burst.map_or_else(|| rate.max(1.0), f64::from);
        if !bucket.as_ref().is_some_and(|bucket| bucket.is(rate, burst)) {
            *bucket = Some(TokenBucket::new(rate, burst, now));
        }
        bucket.as_mut().map_or(Ok(()), |bucket| bucket.take(now))
    }

    /// Takes one of the app's in-flight requests.
    pub(super) fn enter(self: &Arc<Self>, most: Option<u32>) -> Option<Slot> {
        let most = most.unwrap_or(u32::MAX);
        self.in_flight
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                (count < most).then(|| count.saturating_add(1))
            })
            .ok()?;
        Some(Slot(Arc::clone(self)))
    }

    /// Returns the ledger of the current period. The usage of a period that is over becomes pending. The clock is read under
    /// the lock: a request from before midnight that gets here after a later one does not turn the day back. Locks are taken
    /// in the order of pending usage and ledger, never the other way round.
    pub(super) fn ledger(
        &self,
        now: impl Fn() -> Period,
        pending: &Mutex<PendingUsage>,
    ) -> MappedMutexGuard<'_, Ledger> {
        let mut guard = self.ledger.lock();
        let mut period = now();
        if guard.as_ref().is_some_and(|ledger| ledger.period() != period) {
            drop(guard);
            let mut pending = pending.lock();
            guard = self.ledger.lock();
            period = now();
            if let Some(ledger) = guard.as_ref()
                && ledger.period() != period
            {
                pending.push(&ledger.usage());
                *guard = Some(Ledger::new(&self.app, period, ledger.known_in(period)));
            }
        }
        MutexGuard::map(guard, |ledger| {
            ledger.get_or_insert_with(|| Ledger::new(&self.app, period, None))
        })
    }

    /// Gives a unit back to the day and month that it was taken from.
    pub(super) fn give_back(&self, unit: Unit, pending: &Mutex<PendingUsage>) {
        let mut pending = pending.lock();
        let mut guard = self.ledger.lock();
        if let Some(ledger) = guard.as_mut() {
            if ledger.period() == unit.period {
                *requests(&mut ledger.usage, unit.endpoint) -= 1;
                ledger.exhausted = None;
                if unit.was_reserved {
                    ledger.reserved += 1;
                } else {
                    ledger.usage.units -= 1;
                    ledger.forget(1, 1);
                }
                return;
            }
            // Its day is over and the month may not be.
            if ledger.period().month == unit.period.month {
                ledger.exhausted = None;
                ledger.forget(0, 1);
            }
        }
        let mut back = Usage::none(&self.app, unit.period);
        back.units = -1;
        *requests(&mut back, unit.endpoint) = -1;
        pending.push(&back);
    }

    /// Takes the usage to flush.
    pub(super) fn take_usage(&self) -> Option<Usage> {
        let mut guard = self.ledger.lock();
        let ledger = guard.as_mut()?;
        let usage = ledger.usage();
        let mut next = Ledger::new(&self.app, ledger.period(), ledger.known);
        // Units that are given back are used no more.
        next.forget(ledger.reserved, ledger.reserved);
        next.recent = (0, ledger.recent.0);
        *guard = Some(next);
        (!usage.is_none()).then_some(usage)
    }

    /// Sets the used units according to the database, unless they are known.
    pub(super) fn learn(&self, period: Period, used: Used) {
        let mut guard = self.ledger.lock();
        let ledger = guard.get_or_insert_with(|| Ledger::new(&self.app, period, None));
        if ledger.period() == period {
            ledger.known.get_or_insert(used);
        }
    }
}

/// An in-flight request of an app, until this is dropped.
#[derive(Debug)]
pub(crate) struct Slot(Arc<Account>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
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

    /// Returns whether it has this rate and burst.
    fn is(&self, rate: f64, burst: f64) -> bool {
        self.rate.to_bits() == rate.to_bits() && self.burst.to_bits() == burst.to_bits()
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
