//! Writing down what was counted, each second; and keeping it on disk while that cannot be done.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use likeness_storage::usage::{Counted, Period, Quotas, Used};
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use super::account::Account;
use super::debts::Batch;
use super::{Limits, PATIENCE};
use crate::periodic::ticks;

/// Time between two settlements: what a crash may lose.
const PAUSE: Duration = Duration::from_secs(1);

impl Limits {
    /// Settles each second until it is told to end. A settlement that is under way is finished: given up in the middle,
    /// nobody would know what of it is written.
    pub(crate) async fn keep_up(&self, end: &Notify) {
        let mut ticks = ticks(Instant::now(), PAUSE);
        loop {
            tokio::select! {
                biased;
                () = end.notified() => return,
                _ = ticks.tick() => {}
            }
            self.settle().await;
        }
    }

    /// Writes down what was counted, and gives back what is reserved and not spent. What cannot be written is kept, and goes
    /// first the next time.
    pub(crate) async fn settle(&self) {
        let waiting = self.pending.lock().batches.len();
        for _ in 0..=waiting {
            if !self.settle_batch().await {
                return;
            }
        }
    }

    /// Whether it is written down.
    async fn settle_batch(&self) -> bool {
        let owed = self.gather();
        let Some(batch) = owed.first().cloned() else {
            return self.is_reached().await;
        };
        // Before it is sent: whoever is killed while the database does not answer must not lose it.
        self.debts.keep(owed, self.is_down()).await;
        let adding = self
            .database
            .add_usage(&batch.writer, batch.number, batch.counted);
        let mut adding = std::pin::pin!(adding);
        let begun = Instant::now();
        let mut ticks = ticks(begun + PAUSE, PAUSE);
        let added = loop {
            tokio::select! {
                biased;
                added = &mut adding => break added,
                // Nor what is counted meanwhile.
                _ = ticks.tick() => self.debts.keep(self.gather(), true).await,
            }
        };
        if let Err(error) = added {
            self.is_gone(&error.to_string());
            return false;
        }
        // One that is so slow has no units for requests: told to be back, it would be away again with the next one.
        if begun.elapsed() < PATIENCE {
            self.is_back();
        }
        let left = {
            let owed = self.owed.lock();
            let mut pending = self.pending.lock();
            pending.batches.pop_front();
            pending.with(&owed)
        };
        self.debts.keep(left, false).await;
        true
    }

    /// Takes what was counted from the accounts, and gives all that is owed to the database. It stays among that until it is
    /// written: whoever reserves looks there.
    fn gather(&self) -> Vec<Batch> {
        let accounts = self.all_accounts();
        let mut owed = self.owed.lock();
        owed.extend(accounts.iter().filter_map(|account| account.take_counted()));
        *owed = merged(std::mem::take(&mut *owed));
        let mut pending = self.pending.lock();
        if pending.batches.is_empty() && !owed.is_empty() {
            pending.add(std::mem::take(&mut *owed));
        }
        pending.with(&owed)
    }

    /// Finds out whether a database that was away is back where there is nothing to be written down.
    async fn is_reached(&self) -> bool {
        let accounts = self.all_accounts();
        if let Some(account) = accounts.first().filter(|_| self.is_down()) {
            let nothing = self
                .database
                .reserve_units(account.app(), self.period(), Quotas::default(), 0);
            if nothing.await.is_err() {
                return false;
            }
            self.is_back();
        }
        true
    }

    fn all_accounts(&self) -> Vec<Arc<Account>> {
        let accounts = self.accounts.read();
        accounts.values().cloned().collect()
    }

    /// These and the units of an app that are spent and that the database does not know of: of the day, and of the month.
    pub(super) fn outstanding(&self, app: &str, period: Period, mut used: Used) -> Used {
        let owed = self.owed.lock();
        let pending = self.pending.lock();
        let sent = pending.batches.iter().flat_map(|batch| &batch.counted);
        for item in sent.chain(&*owed).filter(|item| item.app == app) {
            let units = u64::try_from(item.units).unwrap_or(0);
            if item.period.day == period.day {
                used.day = used.day.saturating_add(units);
            }
            if item.period.month == period.month {
                used.month = used.month.saturating_add(units);
            }
        }
        used
    }
}

/// What is sent to the database, in this order, until it says that it has it.
#[derive(Debug)]
pub(super) struct Pending {
    /// Who numbers the batches of this process. Another one than before: what was kept on disk may be older than what the
    /// process before this had numbered last.
    writer: String,
    number: i64,
    batches: VecDeque<Batch>,
}

impl Pending {
    /// With what an earlier process has left.
    pub(super) fn new(left: Vec<Batch>) -> Self {
        Self {
            writer: Uuid::new_v4().to_string(),
            number: 0,
            batches: left.into(),
        }
    }

    fn next(&self, counted: Vec<Counted>) -> Batch {
        Batch {
            writer: self.writer.clone(),
            number: self.number + 1,
            counted,
        }
    }

    fn add(&mut self, counted: Vec<Counted>) {
        self.batches.push_back(self.next(counted));
        self.number += 1;
    }

    /// All of it, and what is to be sent next.
    fn with(&self, owed: &[Counted]) -> Vec<Batch> {
        let next = (!owed.is_empty()).then(|| self.next(owed.to_vec()));
        self.batches.iter().cloned().chain(next).collect()
    }
}

/// One item for each app and period, none of which is nothing.
fn merged(counted: Vec<Counted>) -> Vec<Counted> {
    let mut merged: BTreeMap<(String, i64, i32), Counted> = BTreeMap::new();
    for item in counted {
        match merged.entry((item.app.clone(), item.period.day, item.period.month)) {
            Entry::Vacant(place) => {
                place.insert(item);
            }
            Entry::Occupied(mut place) => {
                let other = place.get_mut();
                other.units = other.units.saturating_add(item.units);
                other.biometric = other.biometric.saturating_add(item.biometric);
                other.liveness = other.liveness.saturating_add(item.liveness);
                other.refused = other.refused.saturating_add(item.refused);
            }
        }
    }
    merged
        .into_values()
        .filter(|item| (item.units, item.biometric, item.liveness, item.refused) != (0, 0, 0, 0))
        .collect()
}
