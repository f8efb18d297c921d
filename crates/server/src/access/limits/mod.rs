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
use likeness_api::{ApiError, ErrorCode};
use likeness_storage::apps::AppEndpoint;
use likeness_storage::usage::{Period, Quotas, SECONDS_OF_A_DAY, Usage};
use likeness_storage::{Database, StorageError, now};
use parking_lot::{MappedMutexGuard, Mutex, RwLock};
use tokio::time::{Instant, timeout};

use crate::access::apps::App;
use crate::config::{QuotasConfig, WhenUnavailable};
use account::{Account, Ledger, Unit};
use refusal::Refusal;
use usage::{PendingFile, PendingUsage};

pub(crate) use account::Slot;

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
type Clock = Box<dyn Fn() -> Timestamp + Send + Sync>;

pub(crate) struct Limits {
    accounts: RwLock<HashMap<String, Arc<Account>>>,
    database: Database,
    when_unavailable: WhenUnavailable,
    clock: Clock,
    pending: Arc<Mutex<PendingUsage>>,
    file: PendingFile,
    /// Whether the last call to the database failed.
    is_down: AtomicBool,
}

impl std::fmt::Debug for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limits").finish_non_exhaustive()
    }
}

/// The unit that a request has used.
#[derive(Debug)]
pub(crate) struct Taken {
    account: Arc<Account>,
    unit: Unit,
    pending: Arc<Mutex<PendingUsage>>,
}

impl Taken {
    /// Gives the unit back: the request failed by no fault of its client.
    pub(crate) fn give_back(self) {
        self.account.give_back(self.unit, &self.pending);
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
    ) -> Result<Self, StorageError> {
        Self::open_with_clock(database, folder, config, Box::new(Timestamp::now)).await
    }

    async fn open_with_clock(
        database: Database,
        folder: &Path,
        config: &QuotasConfig,
        clock: Clock,
    ) -> Result<Self, StorageError> {
        let (file, batches) = PendingFile::open(folder);
        let limits = Self {
            accounts: RwLock::default(),
            pending: Arc::new(Mutex::new(PendingUsage::new(batches))),
            file,
            database,
            when_unavailable: config.when_unavailable,
            clock,
            is_down: AtomicBool::new(false),
        };
        limits.flush().await;
        let before = now().saturating_sub(WRITER_RETENTION);
        limits.database.forget_usage_writers(before).await?;
        let period = limits.period();
        for (app, used) in limits.database.used_units(period).await? {
            limits.account(&app).learn(period, used);
        }
        Ok(limits)
    }

    /// Accepts a request of an app within its limits. The slot is to be held until all work for it has ended.
    pub(crate) async fn take(&self, app: &App, endpoint: AppEndpoint) -> Result<(Taken, Slot), Refused> {
        let account = self.account(&app.id);
        match self.try_take(&account, app, endpoint).await {
            Ok((unit, slot)) => {
                let pending = Arc::clone(&self.pending);
                Ok((
                    Taken {
                        account,
                        unit,
                        pending,
                    },
                    slot,
                ))
            }
            Err(Stop::Limit(refusal)) => {
                self.ledger(&account).refuse();
                Err(Refused {
                    error: refusal.error((self.clock)()),
                    limit: Some(refusal.limit()),
                })
            }
            Err(Stop::Unavailable) => Err(Refused {
                error: ApiError::from(ErrorCode::NotReady)
                    .with_cause("cannot look up the app's quota: database unavailable"),
                limit: None,
            }),
        }
    }

    async fn try_take(
        &self,
        account: &Arc<Account>,
        app: &App,
        endpoint: AppEndpoint,
    ) -> Result<(Unit, Slot), Stop> {
        let limits = &app.limits;
        account.take_token(limits, Instant::now()).map_err(|wait| {
            let rate = limits.requests_per_second.unwrap_or_default();
            Stop::Limit(Refusal::Rate { rate, wait })
        })?;
        let most = limits.concurrent_requests;
        let slot = account.enter(most).ok_or_else(|| {
            let most = most.unwrap_or_default();
            Stop::Limit(Refusal::Concurrent { most })
        })?;
        let quotas = Quotas {
            daily: limits.daily_quota,
            monthly: limits.monthly_quota,
        };
        let unit = if quotas == Quotas::default() {
            self.ledger(account).spend_unreserved(endpoint)
        } else {
            self.spend(account, quotas, endpoint).await?
        };
        Ok((unit, slot))
    }

    /// Uses a unit of the app's quotas: a reserved one, or one of a new reservation.
    async fn spend(&self, account: &Account, quotas: Quotas, endpoint: AppEndpoint) -> Result<Unit, Stop> {
        if let Some(outcome) = spend_known(&mut self.ledger(account), quotas, endpoint) {
            return outcome;
        }
        if self.is_down() {
            return self.without_database(account, quotas, endpoint);
        }
        // A queue is no outage: the client may retry.
        let Ok(turn) = timeout(TURN_TIMEOUT, account.turn.lock()).await else {
            return Err(Stop::Unavailable);
        };
        // The request before may have found that out.
        if self.is_down() {
            return self.without_database(account, quotas, endpoint);
        }
        let reserved = timeout(RESERVATION_TIMEOUT, self.reserve(account, quotas, endpoint)).await;
        let why = match reserved {
            Ok(Ok(outcome)) => return outcome,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it did not respond in time".to_owned(),
        };
        self.database_lost(&why);
        drop(turn);
        self.without_database(account, quotas, endpoint)
    }

    /// Reserves units and uses one. At a midnight meanwhile they are given back to their day, and the request counts for the
    /// new day.
    async fn reserve(
        &self,
        account: &Account,
        quotas: Quotas,
        endpoint: AppEndpoint,
    ) -> Result<Result<Unit, Stop>, StorageError> {
        for _ in 0..ATTEMPTS {
            let period = self.period();
            let (wanted, unreserved) = {
                let mut ledger = self.ledger(account);
                if ledger.period() != period {
                    continue;
                }
                // The request before may have reserved enough.
                if let Some(outcome) = spend_known(&mut ledger, quotas, endpoint) {
                    return Ok(outcome);
                }
                (ledger.wanted(quotas), ledger.unreserved())
            };
            // Units that the database does not know must not be granted again. In this order: usage that is flushed in between
            // counts twice rather than not at all.
            let outstanding = self.pending.lock().units(account.app(), period).plus(unreserved);
            let left = quotas.left(outstanding);
            let grant = self.database.reserve_units(account.app(), period, left, wanted);
            let grant = grant.await?;
            let used = grant.used.plus(outstanding);
            self.database_back();
            let mut ledger = self.ledger(account);
            if ledger.period() != period {
                drop(ledger);
                let mut back = Usage::none(account.app(), period);
                back.units = -i64::try_from(grant.units).unwrap_or(i64::MAX);
                self.pending.lock().push(&back);
                continue;
            }
            ledger.reserve(grant.units, used);
            if let Some(unit) = ledger.spend(endpoint) {
                return Ok(Ok(unit));
            }
            let Some(refusal) = Refusal::of(quotas, used, period) else {
                break;
            };
            ledger.exhaust(quotas, refusal);
            return Ok(Err(Stop::Limit(refusal)));
        }
        Ok(Err(Stop::Unavailable))
    }

    /// Decides while the database is down, without waiting: a flush each second finds out whether it is back.
    fn without_database(
        &self,
        account: &Account,
        quotas: Quotas,
        endpoint: AppEndpoint,
    ) -> Result<Unit, Stop> {
        let mut ledger = self.ledger(account);
        let serves = self.when_unavailable == WhenUnavailable::Serve;
        let known = ledger.known.filter(|_| serves).ok_or(Stop::Unavailable)?;
        match Refusal::of(quotas, known, ledger.period()) {
            Some(refusal) => Err(Stop::Limit(refusal)),
            None => Ok(ledger.spend_unreserved(endpoint)),
        }
    }

    fn account(&self, app: &str) -> Arc<Account> {
        if let Some(account) = self.accounts.read().get(app) {
            return Arc::clone(account);
        }
        let mut accounts = self.accounts.write();
        let account = accounts.entry(app.to_owned());
        Arc::clone(account.or_insert_with(|| Arc::new(Account::new(app))))
    }

    fn ledger<'a>(&self, account: &'a Account) -> MappedMutexGuard<'a, Ledger> {
        account.ledger(|| self.period(), &self.pending)
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

/// Uses a reserved unit, or returns which quota is exhausted, if that is known without the database.
fn spend_known(ledger: &mut Ledger, quotas: Quotas, endpoint: AppEndpoint) -> Option<Result<Unit, Stop>> {
    if let Some(unit) = ledger.spend(endpoint) {
        return Some(Ok(unit));
    }
    ledger.exhausted(quotas).map(|refusal| Err(Stop::Limit(refusal)))
}

/// Why no unit was used.
enum Stop {
    Limit(Refusal),
    Unavailable,
}

#[cfg(test)]
mod tests;
