//! Whether the database does what it is asked for, and how often it did not.

use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::error::ErrorKind;

use crate::StorageError;

/// What the database was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A connection.
    Connect,
    /// A statement, for itself.
    Statement,
    /// Statements that hold all or not at all.
    Transaction,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Connect, Self::Statement, Self::Transaction];

    /// As metrics name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Statement => "statement",
            Self::Transaction => "transaction",
        }
    }
}

/// How a database has done since it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Whether the database is reached and does what it is asked. `false` from the third call on that failed in a row,
    /// until one succeeds: a call that fails for itself is no outage.
    pub is_up: bool,
    /// How many could not be done.
    pub errors: [(Operation, u64); 3],
}

/// Calls that fail one after the other before the database counts as down. A service asks at least every second.
const OUTAGE: u64 = 3;

/// What [`Health`] is taken from.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    failed_in_a_row: AtomicU64,
    errors: [AtomicU64; 3],
}

impl Counts {
    pub(crate) fn done(&self) {
        self.failed_in_a_row.store(0, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self, operation: Operation, error: &StorageError) {
        if is_callers(error) {
            return self.done();
        }
        self.failed_in_a_row.fetch_add(1, Ordering::Relaxed);
        self.errors[operation as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn health(&self) -> Health {
        Health {
            is_up: self.failed_in_a_row.load(Ordering::Relaxed) < OUTAGE,
            errors: Operation::ALL
                .map(|operation| (operation, self.errors[operation as usize].load(Ordering::Relaxed))),
        }
    }
}

/// Whether the database works, and rightly refuses what it was asked for, such as a second app of the same name.
fn is_callers(error: &StorageError) -> bool {
    let StorageError::Failed { source, .. } = error else {
        return false;
    };
    source
        .as_database_error()
        .is_some_and(|error| !matches!(error.kind(), ErrorKind::Other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_call_that_fails_is_no_outage() {
        let counts = Counts::default();
        let timed_out = StorageError::TimedOut {
            place: "it".to_owned(),
            after: std::time::Duration::ZERO,
        };
        let failed = || counts.failed(Operation::Connect, &timed_out);
        for _ in 1..OUTAGE {
            failed();
            assert!(counts.health().is_up);
        }
        counts.done();
        for _ in 1..OUTAGE {
            failed();
        }
        assert!(counts.health().is_up, "one that succeeded is between");
        failed();
        assert!(!counts.health().is_up);
        assert_eq!(counts.health().errors[0], (Operation::Connect, 2 * OUTAGE - 1));
        counts.done();
        assert!(counts.health().is_up);
    }
}
