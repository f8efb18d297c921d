//! The tables, as numbered migrations.

use std::borrow::Cow;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, SqlSafeStr};
use tokio::time::{Instant, sleep, timeout};

use crate::files::{open_lock, with_suffix};
use crate::{Kind, Result, StorageError};

/// Every migration: its number, what it adds, its SQL. The numbers ascend. A released migration never changes, since each
/// database knows the checksums of its own.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "apps", include_str!("../migrations/0001_apps.sql")),
    (2, "usage", include_str!("../migrations/0002_usage.sql")),
    (3, "audit", include_str!("../migrations/0003_audit.sql")),
    (4, "audit seals", AUDIT_SEALS),
    (5, "usage writers", USAGE_WRITERS),
    (6, "audit search", AUDIT_SEARCH),
];
const AUDIT_SEALS: &str = include_str!("../migrations/0004_audit_seals.sql");
const AUDIT_SEARCH: &str = include_str!("../migrations/0006_audit_search.sql");
const USAGE_WRITERS: &str = include_str!("../migrations/0005_usage_writers.sql");

/// The longest time that migrations may take, including the wait for another replica that migrates.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Pause between two attempts to lock an SQLite file for migration.
pub(crate) const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Brings the tables up to date.
pub(crate) async fn run(connection: &mut AnyConnection, kind: Kind, database: &str) -> Result<()> {
    let migrations = MIGRATIONS.iter().map(|&(number, name, sql)| {
        let name = Cow::Borrowed(name);
        Migration::new(number, name, MigrationType::Simple, sql.into_sql_str(), false)
    });
    let migrator = Migrator::with_migrations(migrations.collect());
    let database = database.to_owned();
    match timeout(TIMEOUT, migrator.run_direct(None, connection, false)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(MigrateError::VersionMissing(found))) => Err(StorageError::Newer {
            database,
            found,
            known: MIGRATIONS.last().map_or(0, |(number, ..)| *number),
        }),
        Ok(Err(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _))) => {
            Err(StorageError::from_sqlx(error, kind, &database, TIMEOUT))
        }
        Ok(Err(error)) => Err(StorageError::Corrupt {
            database,
            reason: error.to_string(),
        }),
        Err(_) => Err(StorageError::TimedOut {
            database,
            after: TIMEOUT,
        }),
    }
}

/// Waits for the lock to migrate an SQLite file, which is released when the returned file is closed. sqlx locks servers
/// only.
pub(crate) async fn lock(path: &Path) -> Result<File> {
    let path = with_suffix(path, "-migration");
    let deadline = Instant::now() + TIMEOUT;
    let lock = async {
        let file = open_lock(&path)?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => sleep(LOCK_PAUSE).await,
                Err(error) => return Err(error.into()),
            }
        }
    };
    lock.await.map_err(StorageError::file(&path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_ascend() {
        assert!(MIGRATIONS.is_sorted_by(|(one, ..), (other, ..)| one < other));
        assert_eq!(MIGRATIONS.last().unwrap().0, MIGRATIONS.len() as i64);
    }
}
