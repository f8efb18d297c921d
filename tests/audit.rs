//! The audit of the real binary: what it says, and what becomes of it when something breaks.

use std::process::ExitCode;

use likeness_testing::Suite;

#[path = "audit/disk.rs"]
mod disk;
#[path = "audit/events.rs"]
mod events;
#[path = "audit/export.rs"]
mod export;
#[path = "audit/flood.rs"]
mod flood;
#[path = "audit/retention.rs"]
mod retention;
#[path = "audit/run.rs"]
mod run;
#[path = "audit/storage.rs"]
mod storage;
mod support;
#[path = "audit/taken.rs"]
mod taken;
#[path = "audit/tampered.rs"]
mod tampered;

fn main() -> ExitCode {
    let mut suite = Suite::new();
    events::tests(&mut suite);
    export::tests(&mut suite);
    tampered::tests(&mut suite);
    disk::tests(&mut suite);
    taken::tests(&mut suite);
    flood::tests(&mut suite);
    retention::tests(&mut suite);
    storage::tests(&mut suite);
    suite.run()
}
