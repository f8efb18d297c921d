//! An allocator that counts how much the current thread holds at most, for suites that check bounds.
//!
//! A suite installs it with `#[global_allocator]`.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    static LARGEST: Cell<usize> = const { Cell::new(0) };
    static CEILING: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// The system's allocator, with counts for each thread. What C libraries allocate is not counted.
pub struct Counting;

/// The memory that some work needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Bytes that the thread held at most, beyond what it held before.
    pub peak: usize,
    /// Bytes of the largest single allocation.
    pub largest: usize,
}

fn add(bytes: isize) {
    // A thread that ends may still free memory when its counters are gone.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        PEAK.try_with(|peak| peak.set(peak.get().max(held.get())))
    });
}

// SAFETY: every call is handed on to the system's allocator as it is, or answered with the null pointer, which stands for
// memory that is not there.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let size = layout.size();
        let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(size)));
        if CEILING.try_with(|ceiling| size > ceiling.get()).unwrap_or(false) {
            return std::ptr::null_mut();
        }
        add(size.cast_signed());
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        add(-layout.size().cast_signed());
        // SAFETY: the caller keeps the contract of `GlobalAlloc::dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Runs something and tells what it took of memory. While a collection grows, both its old and its new memory count.
pub fn measure<T>(work: impl FnOnce() -> T) -> (T, Usage) {
    let before = HELD.get();
    PEAK.set(before);
    LARGEST.set(0);
    let result = work();
    let usage = Usage {
        peak: usize::try_from(PEAK.get() - before).unwrap_or(0),
        largest: LARGEST.get(),
    };
    (result, usage)
}

/// From now on this thread gets no single allocation above this many bytes: who asks for one ends the process, rather
/// than the machine.
pub fn set_ceiling(bytes: usize) {
    CEILING.set(bytes);
}
