//! Writing down what was counted, each second; and keeping it on disk while that cannot be done.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use likeness_storage::usage::{Counted, Period};
use serde::{Deserialize, Serialize};
use tokio::time::{MissedTickBehavior, interval};

use super::Limits;
use super::account::locked;

/// Time between two settlements: what a crash may lose.
const PAUSE: Duration = Duration::from_secs(1);
/// Largest file that is read, in bytes: a hundred thousand apps.
const MAX_BYTES: u64 = 16 << 20;

impl Limits {
    /// Settles each second, for as long as it is polled.
    pub(crate) async fn keep_up(&self) {
        let mut ticks = interval(PAUSE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.settle().await;
        }
    }

    /// Writes down what was counted, and gives back what is reserved and not spent. What cannot be written is kept.
    pub(crate) async fn settle(&self) {
        let mut counted = std::mem::take(&mut *locked(&self.owed));
        let accounts: Vec<_> = {
            let accounts = self
                .accounts
                .read()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            accounts.values().cloned().collect()
        };
        counted.extend(accounts.iter().filter_map(|account| account.take_counted()));
        let counted = merged(counted);
        if counted.is_empty() {
            return;
        }
        match self.database.add_usage(counted.clone()).await {
            Ok(()) => {
                self.is_back();
                self.debts.clear();
            }
            Err(error) => {
                self.is_gone(&error.to_string());
                let mut owed = locked(&self.owed);
                owed.extend(counted);
                *owed = merged(std::mem::take(&mut *owed));
                self.debts.write(&owed);
            }
        }
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

/// The file that keeps what is owed to the database over a restart.
#[derive(Debug)]
pub(super) struct Debts {
    file: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
struct Debt {
    app: String,
    day: i64,
    month: i32,
    units: i64,
    biometric: i64,
    liveness: i64,
    refused: i64,
}

impl Debts {
    pub(super) fn at(folder: &Path) -> Self {
        Self {
            file: folder.join("usage-owed.json"),
        }
    }

    pub(super) fn read(&self) -> Vec<Counted> {
        let read = || -> std::io::Result<Vec<Debt>> {
            if std::fs::metadata(&self.file)?.len() > MAX_BYTES {
                return Err(std::io::Error::other("it is too large"));
            }
            Ok(serde_json::from_slice(&std::fs::read(&self.file)?)?)
        };
        match read() {
            Ok(debts) => debts.into_iter().map(Counted::from).collect(),
            Err(error) => {
                if error.kind() != ErrorKind::NotFound {
                    tracing::error!(%error, file = %self.file.display(), "usage that an earlier process kept is lost");
                }
                Vec::new()
            }
        }
    }

    fn write(&self, owed: &[Counted]) {
        let debts: Vec<Debt> = owed.iter().map(Debt::from).collect();
        let new = self.file.with_extension("new");
        let written = serde_json::to_vec(&debts)
            .map_err(std::io::Error::from)
            .and_then(|bytes| std::fs::write(&new, bytes))
            .and_then(|()| std::fs::rename(&new, &self.file));
        if let Err(error) = written {
            tracing::warn!(%error, file = %self.file.display(), "usage is kept in memory only: it cannot be written to disk either");
        }
    }

    fn clear(&self) {
        if let Err(error) = std::fs::remove_file(&self.file)
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!(%error, file = %self.file.display(), "usage that has been written down may be counted twice after a restart");
        }
    }
}

impl From<Debt> for Counted {
    fn from(debt: Debt) -> Self {
        Self {
            app: debt.app,
            period: Period {
                day: debt.day,
                month: debt.month,
            },
            units: debt.units,
            biometric: debt.biometric,
            liveness: debt.liveness,
            refused: debt.refused,
        }
    }
}

impl From<&Counted> for Debt {
    fn from(counted: &Counted) -> Self {
        Self {
            app: counted.app.clone(),
            day: counted.period.day,
            month: counted.period.month,
            units: counted.units,
            biometric: counted.biometric,
            liveness: counted.liveness,
            refused: counted.refused,
        }
    }
}
