//! Freed memory of the C library: keeping it and giving it back.
//!
//! Images, their coefficients and tensors are some megabytes each, allocated and freed with every request. glibc gives such
//! memory back to the system and fetches it anew, filled with zeros: a tenth of the work of a verification. A program that
//! verifies keeps what was freed, and gives it back when models go. With another C library both functions do nothing.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
use libc::{M_MMAP_THRESHOLD, M_TOP_PAD, M_TRIM_THRESHOLD, c_int};

#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MIB: c_int = 1024 * 1024;

/// Measured with `make bench-load`; docs/performance.md, "Memory of the C library".
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const SETTINGS: [(c_int, c_int); 3] = [
    // From here on a block is the system's own affair. Below it are the pixels of what is decoded for the models.
    (M_MMAP_THRESHOLD, 16 * MIB),
    // What may be free at the end of the heap of a thread, which grows to 64 MiB: all of it.
    (M_TRIM_THRESHOLD, 64 * MIB),
    // A heap that is empty is kept unless the one before has this much room.
    (M_TOP_PAD, 16 * MIB),
];

/// Makes glibc keep freed memory for later allocations, in the whole process. For programs, at their start, before they have
/// threads.
///
/// Blocks above 16 MiB are given back all the same, as whole images of more than five megapixels are. Nothing is changed
/// where the environment says how memory is to be managed (`MALLOC_TRIM_THRESHOLD_`, `MALLOC_MMAP_THRESHOLD_`,
/// `MALLOC_TOP_PAD_`, or `glibc.malloc` in `GLIBC_TUNABLES`).
#[allow(unsafe_code)]
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        let names = [
            "MALLOC_TRIM_THRESHOLD_",
            "MALLOC_MMAP_THRESHOLD_",
            "MALLOC_TOP_PAD_",
        ];
        let is_tuned = |tunables: String| tunables.contains("glibc.malloc");
        if names.iter().any(|name| std::env::var_os(name).is_some())
            || std::env::var("GLIBC_TUNABLES").is_ok_and(is_tuned)
        {
            return;
        }
        for (parameter, value) in SETTINGS {
            // SAFETY: it takes any two numbers, and refuses what it cannot use: then all stays as it was.
            unsafe { libc::mallopt(parameter, value) };
        }
    }
}

/// Makes glibc give free memory back to the system, in the whole process. Takes milliseconds.
#[allow(unsafe_code)]
pub fn give_back_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it touches nothing but what is free, with the locks of the heaps held.
    unsafe {
        libc::malloc_trim(0);
    }
}
