//! What holds for every fuzz target and every input: no panic, and bounds of memory and of CPU time ([`Bound`]).
//!
//! `likeness_imaging` catches panics of decoding libraries and refuses the file. Here such a panic ends the process all the same,
//! because libFuzzer's hook runs before the panic is caught.

#[cfg(feature = "readers")]
pub mod headers;
#[cfg(not(sanitized))]
#[path = "../../crates/imaging/tests/heap/mod.rs"]
mod heap;
#[cfg(feature = "images")]
pub mod heif;
#[cfg(feature = "images")]
pub mod images;
pub mod seeds;

#[cfg(sanitized)]
mod heap {
    pub(crate) fn measure<T>(work: impl FnOnce() -> T) -> (T, usize) {
        (work(), 0)
    }
}

use std::hint::black_box;
use std::time::Duration;

pub use libfuzzer_sys;
use rustix::time::{ClockId, clock_gettime};

/// Bounds of the work on one input.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    /// Bytes that the thread may hold beyond those that it held before, memory of C libraries included. Not checked under
    /// AddressSanitizer, which replaces the allocator.
    pub memory: usize,
    /// CPU time of the thread.
    pub time: Duration,
}

impl Bound {
    /// Runs the work.
    ///
    /// # Panics
    /// If the work exceeded a bound.
    pub fn keep<T>(self, work: impl FnOnce() -> T) -> T {
        self.measure(work).0
    }

    /// Runs the work and returns the bytes that it held at most as well; 0 under AddressSanitizer.
    ///
    /// # Panics
    /// If the work exceeded a bound.
    pub fn measure<T>(self, work: impl FnOnce() -> T) -> (T, usize) {
        let started = cpu_time();
        let (result, memory) = heap::measure(work);
        let time = cpu_time().saturating_sub(started);
        assert!(
            memory <= self.memory,
            "held {memory} bytes; the bound is {}",
            self.memory
        );
        assert!(
            time <= self.time,
            "took {time:?} of CPU time; the bound is {:?}",
            self.time
        );
        (result, memory)
    }
}

/// Fails if memory is not counted, so that no bound is checked.
///
/// # Panics
/// If an allocation is not counted.
pub fn check_counters() {
    const BYTES: usize = 1 << 20;
    let ((), peak) = heap::measure(|| drop(black_box(vec![1_u8; BYTES])));
    assert!(
        cfg!(sanitized) || (BYTES..2 * BYTES).contains(&peak),
        "{peak} bytes counted"
    );
}

/// Whether the coverage of C code has been counted since the last input.
#[must_use]
pub fn covers_c() -> bool {
    likeness_fuzz_covers_c() != 0
}

fn cpu_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime)
        .try_into()
        .unwrap_or_default()
}

unsafe extern "C" {
    // SAFETY: it takes no arguments and reads counters.
    safe fn likeness_fuzz_covers_c() -> i32;
}

/// Defines a fuzz target by its seeds and the function that runs on each input.
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
