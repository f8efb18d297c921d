//! Whether the database does what it is asked for, and how often it did not.

use std::sync::atomic::{AtomicU64, Ordering};

/// What the database was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A connection.
    Connect,
    /// Statements each for itself, which read.
    Statement,
    /// Statements that hold all or not at all, which write.
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
    /// Whether the database is reached and does what it is asked. `false` from the third statement on that failed in a row,
    /// until one succeeds, and likewise of transactions: where the disk is full, all can be read and nothing be written. A
    /// call that fails for itself is no outage.
    pub is_up: bool,
    /// How many could not be done.
    pub errors: [(Operation, u64); 3],
}

/// Calls that fail one after the other before the database counts as down. A service asks at least every second.
const OUTAGE: u64 = 3;

/// What [`Health`] is taken from.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    failed_in_a_row: [AtomicU64; 3],
    errors: [AtomicU64; 3],
}

impl Counts {
    pub(crate) fn done(&self, operation: Operation) {
        self.failed_in_a_row[operation as usize].store(0, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self, operation: Operation) {
        self.failed_in_a_row[operation as usize].fetch_add(1, Ordering::Relaxed);
        self.errors[operation as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// There was no connection for such a call.
    pub(crate) fn not_reached(&self, operation: Operation) {
        self.failed_in_a_row[operation as usize].fetch_add(1, Ordering::Relaxed);
        self.errors[Operation::Connect as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn health(&self) -> Health {
        let is_down = |count: &AtomicU64| count.load(Ordering::Relaxed) >= OUTAGE;
        Health {
            is_up: !self.failed_in_a_row.iter().any(is_down),
            errors: Operation::ALL
                .map(|operation| (operation, self.errors[operation as usize].load(Ordering::Relaxed))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_call_that_fails_is_no_outage() {
        let counts = Counts::default();
        let failed = || counts.not_reached(Operation::Statement);
        for _ in 1..OUTAGE {
            failed();
            assert!(counts.health().is_up);
        }
        counts.done(Operation::Statement);
        for _ in 1..OUTAGE {
            failed();
        }
        assert!(counts.health().is_up, "one that succeeded is between");
        failed();
        assert!(!counts.health().is_up);
        assert_eq!(counts.health().errors[0], (Operation::Connect, 2 * OUTAGE - 1));
        counts.done(Operation::Statement);
        assert!(counts.health().is_up);
    }

    #[test]
    fn what_can_be_read_says_nothing_of_whether_it_can_be_written() {
        let counts = Counts::default();
        for _ in 0..OUTAGE {
            counts.failed(Operation::Transaction);
            counts.done(Operation::Statement);
        }
        assert!(!counts.health().is_up);
        counts.done(Operation::Transaction);
        assert!(counts.health().is_up);
    }
}
