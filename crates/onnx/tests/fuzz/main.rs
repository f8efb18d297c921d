//! Readers of files from others, given files that are spoilt in every way that a seeded generator thinks of: none may
//! panic, none may take more memory than its bound, and what is accepted must be usable.
//!
//! `LIKENESS_FUZZ_INPUTS` says how many inputs each target gets. An input is known by its number: a failure names it, and
//! `LIKENESS_FUZZ_FIRST=number LIKENESS_FUZZ_INPUTS=1` with the target's name makes it again. Targets with real files
//! take their seeds from them, so their numbers mean the same only where the same files are.

#![allow(clippy::print_stdout)]

mod checks;
mod floods;
mod graphs;
mod harness;
mod judgement;
#[path = "../support/legacy.rs"]
mod legacy;
mod mutate;
mod pickles;
mod seeds;
#[path = "../optimize/small.rs"]
#[allow(dead_code, reason = "the optimization tests use more of it")]
mod small;
mod target;
mod targets;
#[path = "../support/zip.rs"]
mod zip;

use std::process::ExitCode;

use likeness_testing::Suite;
use likeness_testing::allocation::Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> ExitCode {
    judgement::keep_panics_quiet();
    let mut suite = Suite::new();
    for target in targets::ALL {
        harness::add(&mut suite, target);
    }
    judgement::test(&mut suite);
    suite.run()
}
