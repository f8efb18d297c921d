//! What was freed is kept, and given back when told so. The setting is the process's, so these are one test in a process of
//! their own.
#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::hint::black_box;

use likeness_runtime::{give_back_freed_memory, keep_freed_memory};

const MIB: usize = 1024 * 1024;

/// Pages that the system had to fetch for this thread so far.
fn page_faults() -> usize {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    fields.split_whitespace().nth(7).unwrap().parse().unwrap()
}

fn resident_mib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() / 1024
}

/// An image of so many bytes, all written to.
fn image(bytes: usize) -> Vec<u8> {
    black_box(vec![1; bytes])
}

#[test]
fn images_that_follow_each_other_share_their_memory_until_it_is_given_back() {
    keep_freed_memory();
    // More than glibc keeps by itself.
    let images = || [(); 3].map(|()| image(12 * MIB));
    drop(images());
    let before = page_faults();
    for _ in 0..20 {
        drop(images());
    }
    let faults = page_faults() - before;
    assert!(
        faults < 36 * MIB / 4096,
        "{faults} pages for 20 times what fits into 9,216"
    );

    let mut images: Vec<_> = (0..32).map(|_| Some(image(MIB))).collect();
    for image in images.iter_mut().step_by(2) {
        *image = None;
    }
    let before = resident_mib();
    give_back_freed_memory();
    let after = resident_mib();
    assert!(
        after + 12 < before,
        "{before} MiB before and {after} MiB after 16 MiB were free"
    );
}
