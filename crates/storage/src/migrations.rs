//! The tables, as they came to be.

use std::borrow::Cow;

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// Every migration: its number, what it brings, its SQL. The numbers ascend; what has once been released is never changed,
/// as each database knows the checksums of those that made it.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "apps", include_str!("../migrations/0001_apps.sql")),
    (2, "usage", include_str!("../migrations/0002_usage.sql")),
    (3, "audit", include_str!("../migrations/0003_audit.sql")),
    (
        4,
        "audit seals",
        include_str!("../migrations/0004_audit_seals.sql"),
    ),
    (
        5,
        "usage writers",
        include_str!("../migrations/0005_usage_writers.sql"),
    ),
];

/// The number of the last one.
pub(crate) fn newest() -> i64 {
    MIGRATIONS.last().map_or(0, |(number, ..)| *number)
}

pub(crate) fn migrator() -> Migrator {
    let migrations = MIGRATIONS
        .iter()
        .map(|&(number, name, sql)| {
            let name = Cow::Borrowed(name);
            Migration::new(number, name, MigrationType::Simple, sql.into_sql_str(), false)
        })
        .collect();
    Migrator::with_migrations(migrations)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_ascend() {
        assert!(MIGRATIONS.is_sorted_by(|(one, ..), (other, ..)| one < other));
        assert_eq!(newest(), MIGRATIONS.len() as i64);
    }
}
