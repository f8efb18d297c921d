//! Limits the process once the library is loaded.

use std::collections::BTreeMap;
use std::error::Error;

use libc::c_long;
use rustix::process::{Resource, Rlimit, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter_all_threads,
};

type Fault = Box<dyn Error + Send + Sync>;

/// Addresses for stacks, heaps that grow in steps and tables, besides what the image takes.
const BESIDES: u64 = 64 * 1024 * 1024;

/// Processor time: an image that takes longer is hostile.
const SECONDS: u64 = 60;

/// System calls that are allowed whatever their arguments: memory, threads, time, the end.
const ALLOWED: &[c_long] = &[
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_yield,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_getrandom,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // The filter before this one has the C library take `clone` in its place, whose flags can be seen.
    libc::SYS_clone3,
];

/// Limits this process to memory, threads, reading standard input and writing standard output. There is no way back.
///
/// All other system calls fail with `EPERM`: no file is opened, no connection made, no program run, no signal sent. That
/// `sched_getaffinity` fails keeps codecs from starting a thread for each processor.
pub(crate) fn confine(memory: u64) -> Result<(), Fault> {
    let limit = |resource, maximum| {
        let (current, maximum) = (Some(maximum), Some(maximum));
        setrlimit(resource, Rlimit { current, maximum })
    };
    // Dumps would hold images. No new file is opened: the limit is below what is open.
    for (resource, maximum) in [
        (Resource::Core, 0),
        (Resource::Nofile, 0),
        (Resource::Fsize, 0),
        (Resource::Cpu, SECONDS),
        (
            Resource::As,
            addresses()?.saturating_add(memory).saturating_add(BESIDES),
        ),
    ] {
        limit(resource, maximum)?;
    }
    apply_filter_all_threads(&without_clone3()?)?;
    apply_filter_all_threads(&only_allowed()?)?;
    Ok(())
}

/// The bytes of addresses that this process has now, most of them libraries.
fn addresses() -> Result<u64, Fault> {
    let pages = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = pages.split(' ').next().unwrap_or_default().parse()?;
    Ok(pages * rustix::param::page_size() as u64)
}

/// The flags of `clone3` are in memory, where no filter sees them: it fails as if the kernel did not have it.
fn without_clone3() -> Result<BpfProgram, Fault> {
    let rules = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    let missing = SeccompAction::Errno(libc::ENOSYS as u32);
    program(rules, SeccompAction::Allow, missing)
}

fn only_allowed() -> Result<BpfProgram, Fault> {
    use SeccompCmpOp::{Eq, MaskedEq};
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        ALLOWED.iter().map(|number| (*number, Vec::new())).collect();
    // The argument, what is compared of it, and the value that it must have.
    let executable = MaskedEq(libc::PROT_EXEC as u64);
    let thread = libc::CLONE_THREAD as u64;
    for (number, argument, comparison, value) in [
        (libc::SYS_read, 0, Eq, 0),
        (libc::SYS_write, 0, Eq, 1),
        (libc::SYS_mmap, 2, executable.clone(), 0),
        (libc::SYS_mprotect, 2, executable, 0),
        (libc::SYS_clone, 0, MaskedEq(thread), thread),
    ] {
        let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, comparison, value)?;
        rules.insert(number, vec![SeccompRule::new(vec![condition])?]);
    }
    let denied = SeccompAction::Errno(libc::EPERM as u32);
    program(rules, denied, SeccompAction::Allow)
}

fn program(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Result<BpfProgram, Fault> {
    let architecture = std::env::consts::ARCH.try_into()?;
    Ok(SeccompFilter::new(rules, otherwise, matched, architecture)?.try_into()?)
}
