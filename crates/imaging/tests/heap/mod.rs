//! The C library's `malloc` and its kin, counted for each thread: in this program they stand before glibc's own.

#![allow(unsafe_code, unreachable_pub)]

use std::cell::Cell;
use std::ffi::{c_int, c_void};

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

unsafe extern "C" {
    fn __libc_malloc(size: usize) -> *mut c_void;
    fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
    fn __libc_realloc(block: *mut c_void, size: usize) -> *mut c_void;
    fn __libc_memalign(alignment: usize, size: usize) -> *mut c_void;
    fn __libc_free(block: *mut c_void);
    fn malloc_usable_size(block: *mut c_void) -> usize;
}

/// Bytes that this thread held at most while it worked, beyond what it held before.
pub fn measure<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.get();
    PEAK.set(before);
    let result = work();
    (result, usize::try_from(PEAK.get() - before).unwrap_or(0))
}

fn add(bytes: isize) {
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        PEAK.try_with(|peak| peak.set(peak.get().max(held.get())))
    });
}

/// # Safety
/// The block is one of glibc's, or null.
unsafe fn taken(block: *mut c_void) -> *mut c_void {
    // SAFETY: see above; of null it is zero.
    add(unsafe { malloc_usable_size(block) }.cast_signed());
    block
}

/// # Safety
/// That of C's function of this name, as of all below.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
    // SAFETY: handed on as it came, here and below.
    unsafe { taken(__libc_malloc(size)) }
}

/// # Safety
/// See [`malloc`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    // SAFETY: see `malloc`.
    unsafe { taken(__libc_calloc(count, size)) }
}

/// # Safety
/// See [`malloc`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: see `malloc`.
    unsafe {
        let before = malloc_usable_size(block);
        let moved = __libc_realloc(block, size);
        if !moved.is_null() || size == 0 {
            add(-before.cast_signed());
        }
        taken(moved)
    }
}

/// # Safety
/// See [`malloc`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memalign(alignment: usize, size: usize) -> *mut c_void {
    // SAFETY: see `malloc`.
    unsafe { taken(__libc_memalign(alignment, size)) }
}

/// # Safety
/// See [`malloc`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aligned_alloc(alignment: usize, size: usize) -> *mut c_void {
    // SAFETY: see `malloc`.
    unsafe { memalign(alignment, size) }
}

/// # Safety
/// See [`malloc`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_memalign(block: *mut *mut c_void, alignment: usize, size: usize) -> c_int {
    const ENOMEM: c_int = 12;
    // SAFETY: see `malloc`.
    unsafe {
        let new = memalign(alignment, size);
        if new.is_null() && size > 0 {
            return ENOMEM;
        }
        *block = new;
    }
    0
}

/// # Safety
/// See [`malloc`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free(block: *mut c_void) {
    // SAFETY: see `malloc`.
    unsafe {
        add(-malloc_usable_size(block).cast_signed());
        __libc_free(block);
    }
}
