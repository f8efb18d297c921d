//! How the audit is doing.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::metrics::AuditGauges;

#[derive(Debug, Default)]
pub(super) struct State {
    /// Events that wait to be written.
    pub(super) queued: AtomicUsize,
    /// Events that could be kept nowhere.
    pub(super) lost: AtomicU64,
    /// Whether the file takes nothing.
    pub(super) is_failing: AtomicBool,
    /// Number of the last line in the files, and of the last one in the storage.
    lines: (AtomicU64, AtomicU64),
    /// Bytes of the files, and those of them that are in the storage; since the start.
    bytes: (AtomicU64, AtomicU64),
    /// Since when something waits for the storage.
    behind: Mutex<Option<Instant>>,
}

impl State {
    pub(super) fn begin(&self, written: u64, stored: u64, spool: u64) {
        self.lines.0.store(written, Ordering::Relaxed);
        self.lines.1.store(stored, Ordering::Relaxed);
        self.bytes.0.store(spool, Ordering::Relaxed);
    }

    pub(super) fn written(&self, seq: u64, bytes: u64) {
        self.lines.0.store(seq, Ordering::Relaxed);
        self.bytes.0.fetch_add(bytes, Ordering::Relaxed);
        self.behind().get_or_insert_with(Instant::now);
    }

    pub(super) fn stored(&self, seq: u64, bytes: u64) {
        self.lines.1.store(seq, Ordering::Relaxed);
        self.bytes.1.fetch_add(bytes, Ordering::Relaxed);
        let mut behind = self.behind();
        *behind = (self.pending() > 0).then(Instant::now);
    }

    /// Bytes that wait for the storage.
    pub(super) fn spool(&self) -> u64 {
        let stored = self.bytes.1.load(Ordering::Relaxed);
        self.bytes.0.load(Ordering::Relaxed).saturating_sub(stored)
    }

    /// Lines that wait for the storage.
    pub(super) fn pending(&self) -> u64 {
        let stored = self.lines.1.load(Ordering::Relaxed);
        self.lines.0.load(Ordering::Relaxed).saturating_sub(stored)
    }

    fn behind(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.behind.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For metrics.
pub(super) struct Gauges(pub(super) std::sync::Arc<State>);

impl AuditGauges for Gauges {
    fn lag(&self) -> Duration {
        self.0.behind().map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn pending(&self) -> u64 {
        self.0.pending() + self.0.queued.load(Ordering::Relaxed) as u64
    }

    fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
    }
}
