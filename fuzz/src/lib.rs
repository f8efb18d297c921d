//! What every fuzz target has to keep, whatever its input: no panic, no more memory than its bound, no more time of its
//! thread than its bound. And the seeds that targets start from where the test data is absent.
//!
//! Libraries that panic are caught by `likeness_imaging`, which refuses the file. Here any panic ends the process all the
//! same, since libFuzzer's hook runs before anything is caught: each is worth a look.

#[cfg(feature = "images")]
pub mod images;
pub mod seeds;

use std::time::Duration;

pub use libfuzzer_sys;
use rustix::time::{ClockId, clock_gettime};

/// What some work may take at most.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    /// Bytes that the thread may hold beyond what it held before, those of C libraries included. With AddressSanitizer,
    /// which has an allocator of its own, libFuzzer's `-malloc_limit_mb` bounds single allocations instead.
    pub memory: usize,
    /// CPU time of the thread.
    pub time: Duration,
}

impl Bound {
    /// Runs the work.
    ///
    /// # Panics
    /// Where it took more than its bound.
    pub fn keep<T>(self, work: impl FnOnce() -> T) -> T {
        forget_peak();
        let (before, started) = (held(), cpu_time());
        let result = work();
        let (memory, time) = (peak().saturating_sub(before), cpu_time().saturating_sub(started));
        assert!(
            usize::try_from(memory).unwrap_or(0) <= self.memory,
            "held {memory} bytes, of at most {}",
            self.memory
        );
        assert!(
            time <= self.time,
            "took {time:?} of CPU time, of at most {:?}",
            self.time
        );
        result
    }
}

fn cpu_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime)
        .try_into()
        .unwrap_or_default()
}

// SAFETY: they are in `native.c`, take nothing, and touch integers of this thread only.
unsafe extern "C" {
    safe fn likeness_fuzz_forget_peak();
    safe fn likeness_fuzz_held() -> isize;
    safe fn likeness_fuzz_peak() -> isize;
}

fn forget_peak() {
    likeness_fuzz_forget_peak();
}

fn held() -> isize {
    likeness_fuzz_held()
}

fn peak() -> isize {
    likeness_fuzz_peak()
}

/// A fuzz target: its seeds, and what is done to an input. See [`seeds::write_if_asked`].
#[macro_export]
macro_rules! target {
    ($seeds:expr, $run:expr) => {
        use $crate::libfuzzer_sys;
        libfuzzer_sys::fuzz_target!(
            init: $crate::seeds::write_if_asked($seeds),
            |bytes: &[u8]| -> libfuzzer_sys::Corpus { libfuzzer_sys::Corpus::from($run(bytes)) }
        );
    };
}
