//! Whether the database works, and how many calls have failed.

use std::sync::atomic::{AtomicU64, Ordering};

/// A kind of call to the database. Its text is its name in metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Operation {
    /// Opening a connection.
    Connect,
    /// Single statements, which read.
    Statement,
    /// A transaction, which writes.
    Transaction,
}

/// The state of a database since it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Whether the database can be reached and works. `false` from the third statement in a row that fails, until one
    /// succeeds, and likewise for transactions: while the disk is full, everything can be read and nothing written.
    pub is_up: bool,
    /// The number of failed calls by operation.
    pub errors: [(Operation, u64); 3],
}

/// Failed calls in a row that make an outage. A service makes a call at least every second.
const OUTAGE: u64 = 3;

/// The counters behind [`Health`].
#[derive(Debug, Default)]
pub(crate) struct Counts {
    failed_in_a_row: [AtomicU64; 3],
    errors: [AtomicU64; 3],
}

impl Counts {
    pub(crate) fn succeeded(&self, operation: Operation) {
        self.failed_in_a_row[operation as usize].store(0, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self, operation: Operation) {
        self.failed_in_a_row[operation as usize].fetch_add(1, Ordering::Relaxed);
        self.errors[operation as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a call that got no connection.
    pub(crate) fn not_connected(&self, operation: Operation) {
        self.failed_in_a_row[operation as usize].fetch_add(1, Ordering::Relaxed);
        self.errors[Operation::Connect as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn health(&self) -> Health {
        let is_down = |count: &AtomicU64| count.load(Ordering::Relaxed) >= OUTAGE;
        let errors = |operation| (operation, self.errors[operation as usize].load(Ordering::Relaxed));
        Health {
            is_up: !self.failed_in_a_row.iter().any(is_down),
            errors: [Operation::Connect, Operation::Statement, Operation::Transaction].map(errors),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_failed_call_is_no_outage() {
        let counts = Counts::default();
        let failed = || counts.not_connected(Operation::Statement);
        for _ in 1..OUTAGE {
            failed();
            assert!(counts.health().is_up);
        }
        counts.succeeded(Operation::Statement);
        for _ in 1..OUTAGE {
            failed();
        }
        assert!(counts.health().is_up, "a success came between");
        failed();
        assert!(!counts.health().is_up);
        assert_eq!(counts.health().errors[0], (Operation::Connect, 2 * OUTAGE - 1));
        counts.succeeded(Operation::Statement);
        assert!(counts.health().is_up);
    }

    #[test]
    fn successful_reads_do_not_hide_failing_writes() {
        let counts = Counts::default();
        for _ in 0..OUTAGE {
            counts.failed(Operation::Transaction);
            counts.succeeded(Operation::Statement);
        }
        assert!(!counts.health().is_up);
        counts.succeeded(Operation::Transaction);
        assert!(counts.health().is_up);
    }
}
