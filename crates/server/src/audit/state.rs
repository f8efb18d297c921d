//! The state that writer, shipper and requests share.

use std::sync::Arc;
use std::time::Duration;

use likeness_storage::now;
use parking_lot::Mutex;

/// The shared state. One lock guards all of it, so that its numbers agree.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) queued: usize,
    pub(super) lost: u64,
    pub(super) is_failing: bool,
    /// Whether the last event found the queue full.
    pub(super) is_full: bool,
    /// Whether the log says that the queue is full, and not yet that this is over.
    pub(super) is_overflow_logged: bool,
    /// Whether the file of the database was removed or replaced.
    pub(super) is_database_taken: bool,
    /// How often all files were found in place.
    pub(super) checks: u64,
    /// Number of the last record in the files that stays, and of the last one in the database.
    pub(super) written: u64,
    pub(super) stored: u64,
    /// Bytes in the files that wait for the database.
    pub(super) spool: u64,
    /// Time of the oldest record that waits for the database, in microseconds since 1970.
    oldest: Option<i64>,
}

pub(super) type SharedState = Arc<Mutex<State>>;

impl State {
    /// Begins with records that wait in the spool; `oldest`: time of the first of them.
    pub(super) fn begin(&mut self, written: u64, stored: u64, spool: u64, oldest: Option<i64>) {
        (self.written, self.stored, self.spool, self.oldest) = (written, stored, spool, oldest);
    }

    /// Records up to this one are in the files and stay.
    pub(super) fn written(&mut self, seq: u64, bytes: u64) {
        self.written = seq;
        self.spool += bytes;
        self.oldest.get_or_insert_with(now);
    }

    /// Records up to this one are in the database.
    pub(super) fn stored(&mut self, seq: u64, bytes: u64) {
        self.stored = seq;
        self.spool = self.spool.saturating_sub(bytes);
    }

    /// The first record that waits for the database has this time; `None`: no record was found.
    pub(super) fn waits_since(&mut self, time: Option<i64>) {
        let pending = self.pending();
        // A record may have been written since.
        if time.is_some() || pending == 0 {
            self.oldest = time;
        }
        if pending == 0 {
            // Records that were taken away and are lost do not wait.
            self.spool = 0;
        }
    }

    pub(super) fn pending(&self) -> u64 {
        self.written.saturating_sub(self.stored)
    }

    pub(super) fn lag(&self, now: i64) -> Duration {
        let age = self.oldest.map_or(0, |oldest| now.saturating_sub(oldest));
        Duration::from_micros(u64::try_from(age).unwrap_or(0))
    }
}
