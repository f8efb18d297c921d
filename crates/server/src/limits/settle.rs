//! Writing down what was counted, each second; and keeping it on disk while that cannot be done.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::Duration;

use likeness_storage::usage::{Counted, Period, Used};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Limits;
use crate::locked::locked;
use crate::looks::pauses;

/// Time between two settlements: what a crash may lose.
const PAUSE: Duration = Duration::from_secs(1);
/// Largest file that is read, in bytes: a hundred thousand apps.
const MAX_BYTES: u64 = 16 << 20;

impl Limits {
    /// Settles each second until it is told to end. A settlement that is under way is finished: given up in the middle,
    /// nobody would know what of it is written.
    pub(crate) async fn keep_up(&self, end: &Notify) {
        let mut ticks = pauses(Instant::now(), PAUSE);
        loop {
            tokio::select! {
                biased;
                () = end.notified() => return,
                _ = ticks.tick() => {}
            }
            self.settle().await;
        }
    }

    /// Writes down what was counted, and gives back what is reserved and not spent. What cannot be written is kept.
    pub(crate) async fn settle(&self) {
        let accounts: Vec<_> = {
            let accounts = self.accounts.read().unwrap_or_else(PoisonError::into_inner);
            accounts.values().cloned().collect()
        };
        let batch = {
            let mut owed = locked(&self.owed);
            owed.extend(accounts.iter().filter_map(|account| account.take_counted()));
            *owed = merged(std::mem::take(&mut *owed));
            // They stay among what is owed until they are written: whoever reserves looks there.
            owed.clone()
        };
        if batch.is_empty() {
            return;
        }
        match self.database.add_usage(batch.clone()).await {
            Ok(()) => {
                self.is_back();
                let mut owed = locked(&self.owed);
                owed.extend(batch.into_iter().map(negated));
                *owed = merged(std::mem::take(&mut *owed));
                if owed.is_empty() {
                    self.debts.clear();
                }
            }
            Err(error) => {
                self.is_gone(&error.to_string());
                let mut owed = locked(&self.owed);
                // They may have been written after all, as the last word was not heard. To count twice costs the app some
                // units; to give back twice would be to grant them twice.
                for item in owed.iter_mut() {
                    item.units = item.units.max(0);
                }
                *owed = merged(std::mem::take(&mut *owed));
                self.debts.write(&owed);
            }
        }
    }

    /// Units of an app that are spent and that the database does not know of: of the day, and of the month.
    pub(super) fn outstanding(&self, app: &str, period: Period) -> Used {
        let owed = locked(&self.owed);
        let of_app = owed.iter().filter(|item| item.app == app);
        let mut used = Used::default();
        for item in of_app {
            let units = u64::try_from(item.units).unwrap_or(0);
            if item.period.day == period.day {
                used.day += units;
            }
            if item.period.month == period.month {
                used.month += units;
            }
        }
        used
    }
}

fn negated(item: Counted) -> Counted {
    Counted {
        units: -item.units,
        biometric: -item.biometric,
        liveness: -item.liveness,
        refused: -item.refused,
        ..item
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

/// The file that keeps what is owed to the database over a restart. One process has it at a time.
#[derive(Debug)]
pub(super) struct Debts {
    file: PathBuf,
    /// `None`: another process has the file, and nothing is kept here.
    lock: Option<File>,
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
        let open = || -> std::io::Result<Option<File>> {
            std::fs::create_dir_all(folder)?;
            let mut options = OpenOptions::new();
            let lock = options
                .create(true)
                .truncate(false)
                .write(true)
                .open(folder.join("usage-owed.lock"))?;
            Ok(lock.try_lock().is_ok().then_some(lock))
        };
        let lock = open().unwrap_or_else(|error| {
            tracing::warn!(%error, folder = %folder.display(), "usage would not survive a restart while the storage is away");
            None
        });
        Self {
            file: folder.join("usage-owed.json"),
            lock,
        }
    }

    pub(super) fn read(&self) -> Vec<Counted> {
        if self.lock.is_none() {
            return Vec::new();
        }
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
        if self.lock.is_none() {
            return;
        }
        let debts: Vec<Debt> = owed.iter().map(Debt::from).collect();
        let new = self.file.with_extension("new");
        let written = serde_json::to_vec(&debts)
            .map_err(std::io::Error::from)
            .and_then(|bytes| {
                let mut file = File::create(&new)?;
                file.write_all(&bytes)?;
                file.sync_all()
            })
            .and_then(|()| std::fs::rename(&new, &self.file));
        if let Err(error) = written {
            tracing::warn!(%error, file = %self.file.display(), "usage is kept in memory only: it cannot be written to disk either");
        }
    }

    fn clear(&self) {
        if self.lock.is_none() {
            return;
        }
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
