//! Rate limit, concurrency limit and quotas of each app.
//!
//! Rate and concurrency are limits of this process. Quotas hold across all services of one database: each reserves units
//! there ahead of time, about as many as it needs in a second, and gives back each second those that it has not used. So most
//! requests do not touch the database, no unit is granted twice, and a killed process loses units rather than winning some.

mod account;
mod refusal;
mod usage;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use likeness_api::ApiError;
use likeness_storage::apps::AppEndpoint;
use likeness_storage::usage::{Period, Quotas, SECONDS_OF_A_DAY, Usage};
use likeness_storage::{Database, StorageError, now};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::access::apps::App;
use crate::config::{QuotasConfig, WhenUnavailable};
use crate::periodic::ticks;
use account::{Account, Ledger, Unit};
use refusal::Refusal;
use usage::{Batch, PendingFile, PendingUsage};

pub(crate) use account::Slot;

/// Time between two flushes: what a crash may lose.
const INTERVAL: Duration = Duration::from_secs(1);

/// The longest that a request waits for units: the database's own timeout may be longer.
const RESERVATION_TIMEOUT: Duration = Duration::from_secs(1);

/// The longest that a request waits for its turn to reserve. By then the one before has units, or has found that the
/// database is down.
const TURN_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the database remembers a silent writer of usage, in microseconds: 400 days.
const WRITER_RETENTION: i64 = 400 * SECONDS_OF_A_DAY * 1_000_000;

/// Attempts to reserve if the period ends meanwhile: each but the last is a midnight within [`RESERVATION_TIMEOUT`].
const ATTEMPTS: usize = 3;

/// Tells the time.
pub(crate) type Clock = Box<dyn Fn() -> Timestamp + Send + Sync>;

pub(crate) struct Limits {
    state: Arc<Mutex<State>>,
    database: Database,
    when_unavailable: WhenUnavailable,
    clock: Clock,
    file: Arc<PendingFile>,
    /// Whether the last call to the database failed.
    is_down: AtomicBool,
}

#[derive(Debug)]
struct State {
    accounts: HashMap<String, Account>,
    pending: PendingUsage,
}

impl State {
    /// Returns the account of an app, with the ledger of this period. The usage of a period that is over becomes pending.
    fn account(&mut self, app: &str, period: Period) -> &mut Account {
        let account = self.accounts.entry(app.to_owned());
        let account = account.or_insert_with(|| Account::new(Ledger::new(app, period, None)));
        if account.ledger.period() != period {
            self.pending.push(&account.ledger.turn_to(period));
        }
        account
    }
}

/// The unit that a request has used.
#[derive(Debug)]
pub(crate) struct Taken {
    app: String,
    unit: Unit,
    state: Arc<Mutex<State>>,
}

impl Taken {
    /// Gives the unit back: the request failed by no fault of its client.
    pub(crate) fn give_back(self) {
        let state = &mut *self.state.lock();
        let account = state.accounts.get_mut(&self.app);
        if let Some(back) = account.and_then(|account| account.ledger.give_back(self.unit)) {
            state.pending.push(&back);
        }
    }
}

/// A refused request.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The error of the response.
    pub(crate) error: ApiError,
    /// The app's limit that refused it: `rate`, `concurrent`, `daily` or `monthly`.
    pub(crate) limit: Option<&'static str>,
}

impl Limits {
    /// Opens the limits with the usage so far, also that which an earlier process could not flush.
    pub(crate) async fn open(
        database: Database,
        folder: &Path,
        config: &QuotasConfig,
        clock: Clock,
    ) -> Result<Self, StorageError> {
        let (file, batches) = PendingFile::open(folder);
        let limits = Self {
            state: Arc::new(Mutex::new(State {
                accounts: HashMap::new(),
                pending: PendingUsage::new(batches),
            })),
            file: Arc::new(file),
            database,
            when_unavailable: config.when_unavailable,
            clock,
            is_down: AtomicBool::new(false),
        };
        limits.flush().await;
        let before = now().saturating_sub(WRITER_RETENTION);
        limits.database.forget_usage_writers(before).await?;
        let period = limits.period();
        let used = limits.database.used_units(period).await?.into_iter();
        limits.state.lock().accounts.extend(used.map(|(app, used)| {
            let ledger = Ledger::new(&app, period, Some(used));
            (app, Account::new(ledger))
        }));
        Ok(limits)
    }

    /// Accepts a request of an app within its limits. The slot is to be held until all work for it has ended.
    pub(crate) async fn take(&self, app: &App, endpoint: AppEndpoint) -> Result<(Taken, Slot), Refused> {
        let (app, limits) = (&*app.id, &app.limits);
        let quotas = Quotas {
            daily: limits.daily_quota,
            monthly: limits.monthly_quota,
        };
        let taken = async {
            let slot = self.account(app, |account| account.admit(limits, Instant::now()))?;
            let unit = if quotas == Quotas::default() {
                self.account(app, |account| account.ledger.spend_unreserved(endpoint))
            } else {
                self.spend(app, quotas, endpoint).await?
            };
            Ok::<_, Refusal>((unit, slot))
        };
        match taken.await {
            Ok((unit, slot)) => {
                let (app, state) = (app.to_owned(), Arc::clone(&self.state));
                Ok((Taken { app, unit, state }, slot))
            }
            Err(refusal) => {
                let limit = refusal.limit();
                if limit.is_some() {
                    self.account(app, |account| account.ledger.refuse());
                }
                let error = refusal.error((self.clock)());
                Err(Refused { error, limit })
            }
        }
    }

    /// Uses a unit of the app's quotas: a reserved one, or one of a new reservation.
    async fn spend(&self, app: &str, quotas: Quotas, endpoint: AppEndpoint) -> Result<Unit, Refusal> {
        if let Some(outcome) = self.account(app, |account| account.ledger.spend(quotas, endpoint)) {
            return outcome;
        }
        if !self.is_down() {
            let turn = self.account(app, |account| Arc::clone(&account.turn));
            // A queue is no outage: the client may retry.
            let turn = timeout(TURN_TIMEOUT, turn.lock()).await;
            let _turn = turn.map_err(|_| Refusal::Unavailable)?;
            // The request before may have found that the database is down.
            if !self.is_down() {
                match timeout(RESERVATION_TIMEOUT, self.reserve(app, quotas, endpoint)).await {
                    Ok(Ok(outcome)) => return outcome,
                    Ok(Err(error)) => self.database_lost(&error.to_string()),
                    Err(_) => self.database_lost("it did not respond in time"),
                }
            }
        }
        self.without_database(app, quotas, endpoint)
    }

    /// Reserves units and uses one. At a midnight meanwhile they are given back to their day, and the request counts for the
    /// new day.
    async fn reserve(
        &self,
        app: &str,
        quotas: Quotas,
        endpoint: AppEndpoint,
    ) -> Result<Result<Unit, Refusal>, StorageError> {
        for _ in 0..ATTEMPTS {
            let (period, wanted, outstanding) = {
                let mut state = self.state.lock();
                let period = self.period();
                let ledger = &mut state.account(app, period).ledger;
                // The request before may have reserved enough.
                if let Some(outcome) = ledger.spend(quotas, endpoint) {
                    return Ok(outcome);
                }
                let (wanted, unreserved) = (ledger.wanted(quotas), ledger.unreserved());
                // Units that the database does not know must not be granted again.
                (period, wanted, state.pending.units(app, period).plus(unreserved))
            };
            let left = quotas.left(outstanding);
            let grant = self.database.reserve_units(app, period, left, wanted).await?;
            self.database_back();
            let mut state = self.state.lock();
            if self.period() != period {
                let mut back = Usage::none(app, period);
                back.units = -i64::try_from(grant.units).unwrap_or(i64::MAX);
                state.pending.push(&back);
                continue;
            }
            let ledger = &mut state.account(app, period).ledger;
            ledger.reserve(grant.units, grant.used.plus(outstanding), quotas);
            return Ok(ledger
                .spend(quotas, endpoint)
                .unwrap_or(Err(Refusal::Unavailable)));
        }
        Ok(Err(Refusal::Unavailable))
    }

    /// Decides while the database is down, without waiting: a flush each second finds out whether it is back.
    fn without_database(&self, app: &str, quotas: Quotas, endpoint: AppEndpoint) -> Result<Unit, Refusal> {
        self.account(app, |account| {
            let ledger = &mut account.ledger;
            let serves = self.when_unavailable == WhenUnavailable::Serve;
            let known = ledger.known.filter(|_| serves).ok_or(Refusal::Unavailable)?;
            match Refusal::of(quotas, known, ledger.period()) {
                Some(refusal) => Err(refusal),
                None => Ok(ledger.spend_unreserved(endpoint)),
            }
        })
    }

    /// Flushes every second until `end`. A flush that has begun is finished: cancelled half way, its outcome would be
    /// unknown.
    pub(crate) async fn keep_up(&self, end: &Notify) {
        let mut ticks = ticks(Instant::now(), INTERVAL);
        loop {
            tokio::select! {
                biased;
                () = end.notified() => return,
                _ = ticks.tick() => {}
            }
            self.flush().await;
        }
    }

    /// Adds pending usage to the database, and gives back reserved units that are not used. After a failure the usage stays
    /// pending, and the next flush begins with it.
    pub(crate) async fn flush(&self) {
        let waiting = self.state.lock().pending.waiting();
        for _ in 0..=waiting {
            if !self.flush_batch().await {
                return;
            }
        }
    }

    /// Returns whether the database has the batch.
    async fn flush_batch(&self) -> bool {
        let pending = self.gather();
        let Some(batch) = pending.first().cloned() else {
            return self.is_reachable().await;
        };
        // Before it is sent: a process that is killed while the database does not respond must not lose it.
        self.file.keep(pending, self.is_down()).await;
        let adding = self.database.add_usage(&batch.writer, batch.number, batch.usage);
        let mut adding = std::pin::pin!(adding);
        let begun = Instant::now();
        let mut ticks = ticks(begun + INTERVAL, INTERVAL);
        let added = loop {
            tokio::select! {
                biased;
                added = &mut adding => break added,
                // Nor the usage of the meantime.
                _ = ticks.tick() => self.file.keep(self.gather(), true).await,
            }
        };
        if let Err(error) = added {
            self.database_lost(&error.to_string());
            return false;
        }
        // A slower database has no units for requests either: the next request would find it down again.
        if begun.elapsed() < RESERVATION_TIMEOUT {
            self.database_back();
        }
        let left = self.state.lock().pending.confirm();
        self.file.keep(left, false).await;
        true
    }

    /// Moves the usage of all accounts to the pending usage, and returns that. It stays there until the database has it:
    /// reservations count it.
    fn gather(&self) -> Vec<Batch> {
        let State { accounts, pending } = &mut *self.state.lock();
        for account in accounts.values_mut() {
            pending.push(&account.ledger.take_usage());
        }
        pending.close_batch()
    }

    /// Finds out, if there is nothing to flush, whether a database that was down is back.
    async fn is_reachable(&self) -> bool {
        let app = self.state.lock().accounts.keys().next().cloned();
        if let Some(app) = app.filter(|_| self.is_down()) {
            let nothing = self
                .database
                .reserve_units(&app, self.period(), Quotas::default(), 0);
            if nothing.await.is_err() {
                return false;
            }
            self.database_back();
        }
        true
    }

    /// Runs `work` on the account of an app. The clock is read under the lock: a request from before midnight that gets here
    /// after a later one does not turn the day back.
    fn account<T>(&self, app: &str, work: impl FnOnce(&mut Account) -> T) -> T {
        let mut state = self.state.lock();
        work(state.account(app, self.period()))
    }

    fn period(&self) -> Period {
        Period::at((self.clock)())
    }

    fn is_down(&self) -> bool {
        self.is_down.load(Ordering::Relaxed)
    }

    fn database_lost(&self, cause: &str) {
        if !self.is_down.swap(true, Ordering::Relaxed) {
            tracing::error!(
                cause,
                "cannot persist usage: database unavailable; buffering locally, enforcing quotas from the last known counts"
            );
        }
    }

    fn database_back(&self) {
        if self.is_down.swap(false, Ordering::Relaxed) {
            tracing::info!("usage is persisted again: database available");
        }
    }
}

#[cfg(test)]
mod tests;
