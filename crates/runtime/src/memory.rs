//! What the C library does with memory that was freed.
//!
//! Images, their coefficients and tensors are some megabytes each, taken and freed with every call. glibc gives such
//! memory back to the system and fetches it anew, page by page, and each page is filled with zeros: as much work as a tenth
//! of a verification. So a program that is there to verify keeps what was freed, and gives it back when models go.
//!
//! Both functions do nothing where the C library is another.

/// Has glibc keep what is freed for what comes next, in the whole process: to be called by a program as it starts, before it
/// has threads. A library leaves that to its program.
///
/// Blocks above 16 MiB are given back all the same, as whole images of more than five megapixels are. Nothing is changed
/// where the environment says how memory is to be managed (`MALLOC_TRIM_THRESHOLD_`, `MALLOC_MMAP_THRESHOLD_`,
/// `MALLOC_TOP_PAD_`, or `glibc.malloc` in `GLIBC_TUNABLES`).
pub fn keep_freed_memory() {
    glibc::keep_freed_memory();
}

/// Has glibc give back what is free at this moment, in the whole process. Takes milliseconds.
pub fn give_back_freed_memory() {
    glibc::give_back_freed_memory();
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)]
mod glibc {
    use std::env;

    use libc::{M_MMAP_THRESHOLD, M_TOP_PAD, M_TRIM_THRESHOLD, c_int};

    const MIB: c_int = 1024 * 1024;

    /// Measured with `make bench-load`; docs/performance.md, "Memory of the C library".
    const SETTINGS: [(c_int, c_int); 3] = [
        // From here on a block is the system's own affair. Below it are the pixels of what is decoded for the models.
        (M_MMAP_THRESHOLD, 16 * MIB),
        // What may be free at the end of the heap of a thread, which grows to 64 MiB: all of it.
        (M_TRIM_THRESHOLD, 64 * MIB),
        // A heap that is empty is kept unless the one before has this much room.
        (M_TOP_PAD, 16 * MIB),
    ];

    const VARIABLES: [&str; 3] = [
        "MALLOC_TRIM_THRESHOLD_",
        "MALLOC_MMAP_THRESHOLD_",
        "MALLOC_TOP_PAD_",
    ];

    pub(super) fn keep_freed_memory() {
        let is_set = VARIABLES.iter().any(|name| env::var_os(name).is_some());
        let is_tuned = env::var("GLIBC_TUNABLES").is_ok_and(|tunables| tunables.contains("glibc.malloc"));
        if is_set || is_tuned {
            return;
        }
        for (parameter, value) in SETTINGS {
            // SAFETY: it takes any two numbers, and refuses what it cannot use: then all stays as it was.
            unsafe { libc::mallopt(parameter, value) };
        }
    }

    pub(super) fn give_back_freed_memory() {
        // SAFETY: it touches nothing but what is free, with the locks of the heaps held.
        unsafe { libc::malloc_trim(0) };
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
mod glibc {
    pub(super) fn keep_freed_memory() {}

    pub(super) fn give_back_freed_memory() {}
}
