//! Whether the database does what it is asked for, and how often it did not.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

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
    /// Whether the latest call reached the database, and the database could do what was asked.
    pub is_up: bool,
    /// How many could not be done.
    pub errors: [(Operation, u64); 3],
}

/// What [`Health`] is taken from.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    is_down: AtomicBool,
    errors: [AtomicU64; 3],
}

impl Counts {
    pub(crate) fn done(&self) {
        self.is_down.store(false, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self, operation: Operation, error: &StorageError) {
        if is_callers(error) {
            return self.done();
        }
        self.is_down.store(true, Ordering::Relaxed);
        self.errors[operation as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn health(&self) -> Health {
        Health {
            is_up: !self.is_down.load(Ordering::Relaxed),
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
