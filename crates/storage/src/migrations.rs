//! The tables, as numbered migrations.

use std::borrow::Cow;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, Row, SqlSafeStr, query};
use tokio::time::{Instant, sleep, timeout};

use crate::files::{open_lock, with_suffix};
use crate::{Kind, Result, StorageError};

/// A change of the tables. A released one never changes, since each database knows the checksums of its own.
struct Change {
    number: i64,
    name: &'static str,
    /// The newest migration that an earlier program must know to work with the tables after this one. The number of the
    /// migration itself stops every earlier program. One that only adds tables, indexes, or columns with a default asks for no
    /// more than the migration before it did.
    needs: i64,
    sql: &'static str,
}

/// Every migration, by ascending number. Programs built before migrations had `needs` start with no newer tables at all.
const MIGRATIONS: &[Change] = &[
    change(1, "apps", 1, include_str!("../migrations/0001_apps.sql")),
    change(2, "usage", 2, include_str!("../migrations/0002_usage.sql")),
    change(3, "audit", 3, include_str!("../migrations/0003_audit.sql")),
    change(4, "audit seals", 4, AUDIT_SEALS),
    change(5, "usage writers", 5, USAGE_WRITERS),
    change(6, "audit search", 6, AUDIT_SEARCH),
    #[cfg(feature = "next-migration")]
    change(7, "the next one", 6, include_str!("../tests/next_migration.sql")),
];
const AUDIT_SEALS: &str = include_str!("../migrations/0004_audit_seals.sql");
const AUDIT_SEARCH: &str = include_str!("../migrations/0006_audit_search.sql");
const USAGE_WRITERS: &str = include_str!("../migrations/0005_usage_writers.sql");

const fn change(number: i64, name: &'static str, needs: i64, sql: &'static str) -> Change {
    Change {
        number,
        name,
        needs,
        sql,
    }
}

impl Change {
    /// Returns the description that the database keeps, by which earlier programs find out whether they may start.
    fn description(&self) -> Cow<'static, str> {
        if self.number <= LAST_WITHOUT_NEEDS {
            return Cow::Borrowed(self.name);
        }
        Cow::Owned(format!("{}{NEEDS}{}", self.name, self.needs))
    }
}

/// The last migration whose description does not say what it needs.
const LAST_WITHOUT_NEEDS: i64 = 6;

/// Precedes, at the end of a description, the number of the migration that a program must know.
const NEEDS: &str = "; needs ";

/// The longest time that migrations may take, including the wait for another replica that migrates.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Pause between two attempts to lock an SQLite file for migration.
pub(crate) const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Brings the tables up to date. Newer ones are left as they are, and are an error only where a migration says that this
/// program cannot work with them.
pub(crate) async fn run(connection: &mut AnyConnection, kind: Kind, database: &str) -> Result<()> {
    let migrations = MIGRATIONS.iter().map(|change| {
        let sql = change.sql.into_sql_str();
        Migration::new(
            change.number,
            change.description(),
            MigrationType::Simple,
            sql,
            false,
        )
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    let migrate = async {
        let migrated = migrator.run_direct(None, connection, false).await;
        let Err(MigrateError::VersionMissing(_)) = migrated else {
            return migrated;
        };
        let newest = check_newer(connection).await?;
        tracing::info!(
            database,
            newest,
            known = known(),
            "the database has newer tables, which this program can use"
        );
        migrator.set_ignore_missing(true);
        migrator.run_direct(None, connection, false).await
    };
    let database = database.to_owned();
    match timeout(TIMEOUT, migrate).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(MigrateError::VersionMissing(found))) => Err(StorageError::Newer {
            database,
            found,
            known: known(),
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

/// Returns the newest migration that this program knows.
fn known() -> i64 {
    MIGRATIONS.last().map_or(0, |change| change.number)
}

/// Checks that every migration which this program does not know lets it work with the tables, and returns the newest one.
async fn check_newer(connection: &mut AnyConnection) -> Result<i64, MigrateError> {
    let known = known();
    let unknown =
        query("SELECT version, description FROM _sqlx_migrations WHERE version > $1 ORDER BY version");
    let unknown = unknown.bind(known).fetch_all(connection).await?;
    let mut newest = known;
    for row in unknown {
        newest = row.try_get("version")?;
        let description: String = row.try_get("description")?;
        if needs(&description).is_none_or(|needs| needs > known) {
            return Err(MigrateError::VersionMissing(newest));
        }
    }
    Ok(newest)
}

/// Returns the migration that a program must know, from a description.
fn needs(description: &str) -> Option<i64> {
    description.rsplit_once(NEEDS)?.1.parse().ok()
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
        assert!(MIGRATIONS.is_sorted_by_key(|change| change.number));
        assert_eq!(known(), MIGRATIONS.len() as i64);
    }

    #[test]
    fn what_a_migration_needs_never_decreases_and_is_in_its_description() {
        assert!(MIGRATIONS.is_sorted_by_key(|change| change.needs));
        for change in MIGRATIONS {
            assert!(change.needs <= change.number, "{}", change.name);
            let stated = (change.number > LAST_WITHOUT_NEEDS).then_some(change.needs);
            assert_eq!(needs(&change.description()), stated, "{}", change.name);
        }
    }

    #[test]
    fn a_description_without_a_number_needs_a_newer_program() {
        for description in ["later", "later; needs", "later; needs x", "later; needs 7;", ""] {
            assert_eq!(needs(description), None, "{description}");
        }
        assert_eq!(needs("later; needs 3; needs 7"), Some(7));
    }
}
