//! How much each app may ask for: requests a second, at the same time, a day and a month.
//!
//! Rate and concurrency are this process's own. Quotas hold across all services of one database: each takes units out of
//! it ahead of time, about as many as it needs in a second, and gives back each second what it has not spent. So most
//! requests do not touch the database, no unit is granted twice, and who is killed loses units rather than winning some.

mod account;
mod bucket;
mod calendar;
mod debts;
mod refusal;
mod settle;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use likeness_api::{ApiError, ErrorCode};
use likeness_storage::apps::AppEndpoint;
use likeness_storage::usage::{Counted, Period, Quotas, SECONDS_OF_A_DAY, Used};
use likeness_storage::{Database, StorageError, now};
use parking_lot::{Mutex, RwLock};
use tokio::time::{Instant, timeout};

use crate::access::apps::App;
use crate::config::{QuotasConfig, WhenUnavailable};
use account::{Account, Ledger, LedgerGuard, Spent};
use debts::Debts;
use refusal::Refusal;
use settle::Pending;

pub(crate) use account::Slot;

/// The longest that a request waits for units: the database's own timeout may be longer.
const PATIENCE: Duration = Duration::from_secs(1);

/// The longest that a request waits until another one of its app has units. Longer than that one waits: where it got none,
/// the database is away, and that is known.
const TURN: Duration = Duration::from_secs(2);

/// What an earlier process has left is not looked for longer than this, in microseconds: 400 days.
const FORGOTTEN: i64 = 400 * SECONDS_OF_A_DAY * 1_000_000;

/// How often units are asked for where the period ends meanwhile: each but the last is a midnight within
/// [`PATIENCE`].
const ATTEMPTS: usize = 3;

/// Tells the time.
type Clock = Box<dyn Fn() -> Timestamp + Send + Sync>;

pub(crate) struct Limits {
    accounts: RwLock<HashMap<String, Arc<Account>>>,
    database: Database,
    when_unavailable: WhenUnavailable,
    clock: Clock,
    /// Counts that are not sent to the database yet: of days that are over, and of the time that a batch has been waiting.
    owed: Arc<Mutex<Vec<Counted>>>,
    /// Those that are sent. Locked after `owed`.
    pending: Mutex<Pending>,
    debts: Debts,
    /// Whether the database took nothing the last time.
    is_down: AtomicBool,
}

impl std::fmt::Debug for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limits").finish_non_exhaustive()
    }
}

/// What a request has taken of its app's limits.
#[derive(Debug)]
pub(crate) struct Taken {
    account: Arc<Account>,
    spent: Spent,
    owed: Arc<Mutex<Vec<Counted>>>,
}

impl Taken {
    /// Gives the unit back: the request was not answered, by no fault of its client.
    pub(crate) fn give_back(self) {
        self.account.give_back(self.spent, &self.owed);
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
    /// Knows what was used before, also what an earlier process could not write down.
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
        let debts = Debts::at(folder);
        let limits = Self {
            accounts: RwLock::default(),
            owed: Arc::default(),
            pending: Mutex::new(Pending::new(debts.read())),
            debts,
            database,
            when_unavailable: config.when_unavailable,
            clock,
            is_down: AtomicBool::new(false),
        };
        limits.settle().await;
        limits
            .database
            .forget_usage_writers(now().saturating_sub(FORGOTTEN))
            .await?;
        let period = limits.period();
        for (app, used) in limits.database.used_units(period).await? {
            limits.account(&app).learn(period, used);
        }
        Ok(limits)
    }

    /// Whether the app may have this request. The slot is to be held until no work is left for it.
    pub(crate) async fn take(&self, app: &App, endpoint: AppEndpoint) -> Result<(Taken, Slot), Refused> {
        let account = self.account(&app.id);
        let refuse = |refusal: &Refusal| {
            self.ledger(&account).get().refuse();
            Err(Refused {
                error: refusal.error((self.clock)()),
                limit: Some(refusal.limit()),
            })
        };
        if let Err(wait) = account.take_token(&app.limits, Instant::now()) {
            let rate = app.limits.requests_per_second.unwrap_or_default();
            return refuse(&Refusal::Rate { rate, wait });
        }
        let most = app.limits.concurrent_requests;
        let Some(slot) = account.enter(most) else {
            let most = most.unwrap_or_default();
            return refuse(&Refusal::Concurrent { most });
        };
        let quotas = Quotas {
            daily: app.limits.daily_quota,
            monthly: app.limits.monthly_quota,
        };
        let spent = if quotas == Quotas::default() {
            Ok(self.ledger(&account).get().spend_unsettled(endpoint))
        } else {
            self.spend(&account, quotas, endpoint).await
        };
        match spent {
            Ok(spent) => {
                let owed = Arc::clone(&self.owed);
                Ok((Taken { account, spent, owed }, slot))
            }
            Err(Stop::Limit(refusal)) => refuse(&refusal),
            Err(Stop::Unavailable) => Err(Refused {
                error: ApiError::from(ErrorCode::NotReady)
                    .with_cause("the app's quota cannot be looked up: the storage is not there"),
                limit: None,
            }),
        }
    }

    /// Spends a unit of the app's quotas: one that is reserved, or one of a new reservation.
    async fn spend(&self, account: &Account, quotas: Quotas, endpoint: AppEndpoint) -> Result<Spent, Stop> {
        if let Some(outcome) = spend_known(self.ledger(account).get(), quotas, endpoint) {
            return outcome;
        }
        if self.is_down() {
            return self.without_storage(account, quotas, endpoint);
        }
        // A queue is no outage: who does not get a turn in time is asked to come again.
        let Ok(turn) = timeout(TURN, account.turn.lock()).await else {
            return Err(Stop::Unavailable);
        };
        // Who had the turn before may have found that out.
        if self.is_down() {
            return self.without_storage(account, quotas, endpoint);
        }
        let reserved = timeout(PATIENCE, self.reserve(account, quotas, endpoint)).await;
        let why = match reserved {
            Ok(Ok(spent)) => return spent,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it does not answer in time".to_owned(),
        };
        self.is_gone(&why);
        drop(turn);
        self.without_storage(account, quotas, endpoint)
    }

    /// Where midnight comes while units are reserved, they are given back to their day, and the request is one of the new
    /// day.
    async fn reserve(
        &self,
        account: &Account,
        quotas: Quotas,
        endpoint: AppEndpoint,
    ) -> Result<Result<Spent, Stop>, StorageError> {
        for _ in 0..ATTEMPTS {
            let period = self.period();
            let (wanted, unsettled) = {
                let mut guard = self.ledger(account);
                let ledger = guard.get();
                if ledger.period() != period {
                    continue;
                }
                // Whoever had the turn before may have brought enough.
                if let Some(outcome) = spend_known(ledger, quotas, endpoint) {
                    return Ok(outcome);
                }
                (ledger.wanted(quotas), ledger.unsettled())
            };
            // What the database does not know of is not there to be granted again. In this order: what is settled in between
            // is seen twice rather than not at all.
            let outstanding = self.outstanding(account.app(), period, unsettled);
            let grant = self
                .database
                .reserve_units(account.app(), period, quotas.left(outstanding), wanted)
                .await?;
            let used = Used {
                day: grant.used.day.saturating_add(outstanding.day),
                month: grant.used.month.saturating_add(outstanding.month),
            };
            self.is_back();
            let mut guard = self.ledger(account);
            let ledger = guard.get();
            if ledger.period() != period {
                drop(guard);
                self.owe(account.app(), period, grant.units);
                continue;
            }
            ledger.reserve(grant.units, used);
            if let Some(spent) = ledger.spend(endpoint) {
                return Ok(Ok(spent));
            }
            let Some(refusal) = Refusal::of(quotas, used, period) else {
                break;
            };
            ledger.exhaust(quotas, refusal);
            return Ok(Err(Stop::Limit(refusal)));
        }
        Ok(Err(Stop::Unavailable))
    }

    /// Units that were reserved and are not wanted.
    fn owe(&self, app: &str, period: Period, units: u64) {
        let units = i64::try_from(units).unwrap_or(i64::MAX);
        self.owed.lock().push(Counted {
            app: app.to_owned(),
            period,
            units: -units,
            biometric: 0,
            liveness: 0,
            refused: 0,
        });
    }

    /// What is done while the database cannot be asked. Nobody waits for that: each second one settlement finds out whether
    /// it is still so.
    fn without_storage(
        &self,
        account: &Account,
        quotas: Quotas,
        endpoint: AppEndpoint,
    ) -> Result<Spent, Stop> {
        let mut guard = self.ledger(account);
        let ledger = guard.get();
        let Some(known) = ledger
            .known
            .filter(|_| self.when_unavailable == WhenUnavailable::Serve)
        else {
            return Err(Stop::Unavailable);
        };
        if let Some(refusal) = Refusal::of(quotas, known, ledger.period()) {
            return Err(Stop::Limit(refusal));
        }
        Ok(ledger.spend_unsettled(endpoint))
    }

    fn account(&self, app: &str) -> Arc<Account> {
        if let Some(account) = self.accounts.read().get(app) {
            return Arc::clone(account);
        }
        let mut accounts = self.accounts.write();
        let account = accounts
            .entry(app.to_owned())
            .or_insert_with(|| Arc::new(Account::new(app)));
        Arc::clone(account)
    }

    fn ledger<'a>(&self, account: &'a Account) -> LedgerGuard<'a> {
        account.ledger(|| self.period(), &self.owed)
    }

    fn period(&self) -> Period {
        Period::at((self.clock)())
    }

    fn is_down(&self) -> bool {
        self.is_down.load(Ordering::Relaxed)
    }

    fn is_gone(&self, why: &str) {
        if !self.is_down.swap(true, Ordering::Relaxed) {
            tracing::error!(
                why,
                "usage cannot be written down: it is kept here until the storage is back, and quotas hold by what was known"
            );
        }
    }

    fn is_back(&self) {
        if self.is_down.swap(false, Ordering::Relaxed) {
            tracing::info!("usage is written down again");
        }
    }
}

/// Spends a reserved unit, or says that there is none to be had, where that is known without asking.
fn spend_known(ledger: &mut Ledger, quotas: Quotas, endpoint: AppEndpoint) -> Option<Result<Spent, Stop>> {
    if let Some(spent) = ledger.spend(endpoint) {
        return Some(Ok(spent));
    }
    ledger.exhausted(quotas).map(|refusal| Err(Stop::Limit(refusal)))
}

/// Why no unit was spent.
enum Stop {
    Limit(Refusal),
    Unavailable,
}

#[cfg(test)]
mod tests;
