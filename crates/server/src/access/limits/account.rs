//! What one app has under way and has used.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use likeness_storage::apps::{AppEndpoint, AppLimits};
use likeness_storage::usage::{Counted, Period, Quotas, Used};
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::bucket::TokenBucket;
use super::refusal::Refusal;

/// Of what remains of a quota, one unit in so many may be reserved at a time: others want theirs.
const SHARE: u64 = 20;

#[derive(Debug)]
pub(super) struct Account {
    app: String,
    bucket: Mutex<Option<TokenBucket>>,
    under_way: AtomicU32,
    ledger: Mutex<Option<Ledger>>,
    /// One reservation at a time: the others spend what it brings.
    pub(super) turn: tokio::sync::Mutex<()>,
}

/// What is counted of one day, until the database knows it.
#[derive(Debug)]
pub(super) struct Ledger {
    period: Period,
    /// Units that are reserved and not spent.
    reserved: u64,
    /// Units that are spent and not reserved; less than 0: given back.
    unsettled: i64,
    biometric: i64,
    liveness: i64,
    refused: i64,
    /// What the database said is used, and what was spent without it since.
    pub(super) known: Option<Used>,
    /// Requests of this second, and of the one before.
    recent: (u64, u64),
    /// Which of the quotas was found to be used up. It is forgotten each second, as other services give units back.
    exhausted: Option<(Quotas, Refusal)>,
}

/// A unit that a request was let in by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spent {
    period: Period,
    endpoint: AppEndpoint,
    was_reserved: bool,
}

impl Ledger {
    fn new(period: Period, known: Option<Used>) -> Self {
        Self {
            period,
            reserved: 0,
            unsettled: 0,
            biometric: 0,
            liveness: 0,
            refused: 0,
            known,
            recent: (0, 0),
            exhausted: None,
        }
    }

    pub(super) fn period(&self) -> Period {
        self.period
    }

    /// What is to be written down, units that nobody spent given back.
    fn counted(&self, app: &str) -> Counted {
        let reserved = i64::try_from(self.reserved).unwrap_or(i64::MAX);
        Counted {
            app: app.to_owned(),
            period: self.period,
            units: self.unsettled.saturating_sub(reserved),
            biometric: self.biometric,
            liveness: self.liveness,
            refused: self.refused,
        }
    }

    /// Lets a request in by a reserved unit, where there is one.
    pub(super) fn spend(&mut self, endpoint: AppEndpoint) -> Option<Spent> {
        self.reserved = self.reserved.checked_sub(1)?;
        Some(self.count(endpoint, true))
    }

    /// Lets a request in by a unit that the database does not know of.
    pub(super) fn spend_unsettled(&mut self, endpoint: AppEndpoint) -> Spent {
        self.unsettled += 1;
        if let Some(known) = &mut self.known {
            known.day += 1;
            known.month += 1;
        }
        self.count(endpoint, false)
    }

    pub(super) fn reserve(&mut self, units: u64, used: Used) {
        self.reserved += units;
        self.known = Some(used);
    }

    /// Units of the day, and so of the month, that the database does not know of.
    pub(super) fn unsettled(&self) -> Used {
        let unsettled = u64::try_from(self.unsettled).unwrap_or(0);
        Used {
            day: unsettled,
            month: unsettled,
        }
    }

    /// Which of these quotas is used up, as far as that was found out lately.
    pub(super) fn exhausted(&self, quotas: Quotas) -> Option<Refusal> {
        self.exhausted
            .filter(|(of, _)| *of == quotas)
            .map(|(_, refusal)| refusal)
    }

    pub(super) fn exhaust(&mut self, quotas: Quotas, refusal: Refusal) {
        self.exhausted = Some((quotas, refusal));
    }

    /// How many units to ask for: about a second's, and only a small share of what was left.
    pub(super) fn wanted(&self, quotas: Quotas) -> u64 {
        let left = quotas.left(self.known.unwrap_or_default()).least();
        let share = left.map_or(u64::MAX, |left| left / SHARE);
        self.recent.0.max(self.recent.1).min(share).max(1)
    }

    fn count(&mut self, endpoint: AppEndpoint, was_reserved: bool) -> Spent {
        self.recent.0 += 1;
        *self.of(endpoint) += 1;
        Spent {
            period: self.period,
            endpoint,
            was_reserved,
        }
    }

    /// Puts down that a limit refused a request.
    pub(super) fn refuse(&mut self) {
        self.refused += 1;
    }

    /// So many units less are used of the day and of the month.
    fn forget(&mut self, day: u64, month: u64) {
        if let Some(known) = &mut self.known {
            known.day = known.day.saturating_sub(day);
            known.month = known.month.saturating_sub(month);
        }
    }

    /// What of this is known for a later period; for an earlier one, as of a clock that is set back, nothing.
    fn known_in(&self, period: Period) -> Option<Used> {
        // What is reserved is given back.
        let month = self.known?.month.saturating_sub(self.reserved);
        (period.day > self.period.day).then_some(Used {
            day: 0,
            month: if self.period.month == period.month {
                month
            } else {
                0
            },
        })
    }

    fn of(&mut self, endpoint: AppEndpoint) -> &mut i64 {
        match endpoint {
            AppEndpoint::Biometric => &mut self.biometric,
            AppEndpoint::Liveness => &mut self.liveness,
        }
    }
}

impl Account {
    pub(super) fn new(app: &str) -> Self {
        Self {
            app: app.to_owned(),
            bucket: Mutex::new(None),
            under_way: AtomicU32::new(0),
            ledger: Mutex::new(None),
            turn: tokio::sync::Mutex::new(()),
        }
    }

    pub(super) fn app(&self) -> &str {
        &self.app
    }

    /// A token of the app's rate, where it has one; else how long until there is one.
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

    /// A place among the requests that the app may have under way.
    pub(super) fn enter(self: &Arc<Self>, most: Option<u32>) -> Option<Slot> {
        let most = most.unwrap_or(u32::MAX);
        self.under_way
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                (count < most).then(|| count.saturating_add(1))
            })
            .ok()?;
        Some(Slot(Arc::clone(self)))
    }

    /// The ledger of the period that it is; that of one that is over is put into `over`. What time it is is asked under the
    /// lock: a request that came before midnight and gets here after another one that came later does not turn the day
    /// back. Locks are taken in the order of `over` and ledger, never the other way round.
    pub(super) fn ledger(&self, now: impl Fn() -> Period, over: &Mutex<Vec<Counted>>) -> LedgerGuard<'_> {
        let mut guard = self.ledger.lock();
        let mut period = now();
        if guard.as_ref().is_some_and(|ledger| ledger.period != period) {
            drop(guard);
            let mut over = over.lock();
            guard = self.ledger.lock();
            period = now();
            if let Some(ledger) = guard.as_ref()
                && ledger.period != period
            {
                over.push(ledger.counted(&self.app));
                *guard = Some(Ledger::new(period, ledger.known_in(period)));
            }
        }
        guard.get_or_insert_with(|| Ledger::new(period, None));
        LedgerGuard(guard, period)
    }

    /// Gives a unit back, to the day and month that it was taken from.
    pub(super) fn give_back(&self, spent: Spent, over: &Mutex<Vec<Counted>>) {
        let Spent {
            period,
            endpoint,
            was_reserved,
        } = spent;
        let mut over = over.lock();
        let mut guard = self.ledger.lock();
        if let Some(ledger) = guard.as_mut()
            && ledger.period == period
        {
            *ledger.of(endpoint) -= 1;
            ledger.exhausted = None;
            if was_reserved {
                ledger.reserved += 1;
            } else {
                ledger.unsettled -= 1;
                ledger.forget(1, 1);
            }
            return;
        }
        // Its day is over and the month may not be.
        if let Some(ledger) = guard.as_mut()
            && ledger.period.month == period.month
        {
            ledger.exhausted = None;
            ledger.forget(0, 1);
        }
        drop(guard);
        let mut back = Ledger::new(period, None);
        back.unsettled = -1;
        *back.of(endpoint) = -1;
        over.push(back.counted(&self.app));
    }

    /// Takes out what is to be written down.
    pub(super) fn take_counted(&self) -> Option<Counted> {
        let mut guard = self.ledger.lock();
        let ledger = guard.as_mut()?;
        let counted = ledger.counted(&self.app);
        let mut next = Ledger::new(ledger.period, ledger.known);
        // What is given back is used no more.
        next.forget(ledger.reserved, ledger.reserved);
        next.recent = (0, ledger.recent.0);
        *guard = Some(next);
        let nothing = (
            counted.units,
            counted.biometric,
            counted.liveness,
            counted.refused,
        ) == (0, 0, 0, 0);
        (!nothing).then_some(counted)
    }

    /// What the database says is used, where nothing else is known.
    pub(super) fn learn(&self, period: Period, used: Used) {
        let mut guard = self.ledger.lock();
        let ledger = guard.get_or_insert_with(|| Ledger::new(period, None));
        if ledger.period == period {
            ledger.known.get_or_insert(used);
        }
    }
}

/// The ledger of the period that it was asked for.
pub(super) struct LedgerGuard<'a>(MutexGuard<'a, Option<Ledger>>, Period);

impl LedgerGuard<'_> {
    pub(super) fn get(&mut self) -> &mut Ledger {
        self.0.get_or_insert_with(|| Ledger::new(self.1, None))
    }
}

/// A request of the app that is under way, until this is dropped.
#[derive(Debug)]
pub(crate) struct Slot(Arc<Account>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}
