//! How the audit is doing.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use likeness_storage::now;
use parking_lot::Mutex;

#[derive(Debug, Default)]
pub(super) struct State {
    /// Events that wait to be written.
    pub(super) queued: AtomicUsize,
    /// Events that could be kept nowhere.
    pub(super) lost: AtomicU64,
    /// Whether the file takes nothing.
    pub(super) is_failing: AtomicBool,
    /// Whether the last event found no place in the queue.
    pub(super) is_full: AtomicBool,
    /// Whether it was logged that the queue is full, and not yet that it no longer is.
    pub(super) is_overflow_told: AtomicBool,
    /// Number of the last line in the files, and of the last one in the storage.
    lines: (AtomicU64, AtomicU64),
    /// Bytes of the files, and those of them that are in the storage; since the start.
    bytes: (AtomicU64, AtomicU64),
    /// How often all files were found in their places.
    checks: AtomicU64,
    /// Whether the file of the database was removed or replaced.
    pub(super) is_database_taken: AtomicBool,
    /// The time of the oldest line that waits for the storage, in microseconds since 1970.
    oldest: Mutex<Option<i64>>,
}

impl State {
    /// `written`: number of the last line in the files; `stored`: of the last one in the storage; `spool`: bytes between;
    /// `oldest`: the time of the first line between.
    pub(super) fn begin(&self, written: u64, stored: u64, spool: u64, oldest: Option<i64>) {
        self.lines.0.store(written, Ordering::Relaxed);
        self.lines.1.store(stored, Ordering::Relaxed);
        self.bytes.0.store(spool, Ordering::Relaxed);
        *self.oldest() = oldest;
    }

    /// Lines up to this one are in the files to stay.
    pub(super) fn written(&self, seq: u64, bytes: u64) {
        let mut oldest = self.oldest();
        self.bytes.0.fetch_add(bytes, Ordering::Relaxed);
        self.lines.0.store(seq, Ordering::Release);
        oldest.get_or_insert_with(now);
    }

    /// Lines up to this one are in the storage.
    pub(super) fn stored(&self, seq: u64, bytes: u64) {
        self.lines.1.store(seq, Ordering::Relaxed);
        self.bytes.1.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The first line that waits for the storage is of this time; or there is none.
    pub(super) fn waits_since(&self, time: Option<i64>) {
        let mut oldest = self.oldest();
        let pending = self.pending();
        // One may have been written after it was looked whether there is one.
        if time.is_some() || pending == 0 {
            *oldest = time;
        }
        if pending == 0 {
            // Lines that were taken away and are lost do not wait.
            self.bytes
                .1
                .store(self.bytes.0.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// All files are in their places.
    pub(super) fn checked(&self) {
        self.checks.fetch_add(1, Ordering::AcqRel);
    }

    /// How often that was so.
    pub(super) fn checks(&self) -> u64 {
        self.checks.load(Ordering::Acquire)
    }

    /// Number of the last line that is in the storage.
    pub(super) fn last_stored(&self) -> u64 {
        self.lines.1.load(Ordering::Relaxed)
    }

    /// Number of the last line that stays.
    pub(super) fn last_written(&self) -> u64 {
        self.lines.0.load(Ordering::Acquire)
    }

    /// Bytes that wait for the storage.
    pub(super) fn spool(&self) -> u64 {
        let stored = self.bytes.1.load(Ordering::Relaxed);
        self.bytes.0.load(Ordering::Relaxed).saturating_sub(stored)
    }

    /// Lines that wait for the storage.
    pub(super) fn pending(&self) -> u64 {
        self.last_written().saturating_sub(self.last_stored())
    }

    /// Age of the oldest line that waits for the storage, at this time.
    pub(super) fn lag(&self, now: i64) -> Duration {
        let age = self.oldest().map_or(0, |oldest| now.saturating_sub(oldest));
        Duration::from_micros(u64::try_from(age).unwrap_or(0))
    }

    fn oldest(&self) -> parking_lot::MutexGuard<'_, Option<i64>> {
        self.oldest.lock()
    }
}
