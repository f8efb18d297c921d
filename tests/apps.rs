//! `likeness apps`, and services that go by what it does.

use std::process::ExitCode;

use likeness_testing::Suite;

#[path = "apps/commands.rs"]
mod commands;
#[path = "apps/first_start.rs"]
mod first_start;
#[path = "apps/outage.rs"]
mod outage;
#[path = "apps/quota.rs"]
mod quota;
#[path = "apps/reload.rs"]
mod reload;
#[path = "apps/rotation.rs"]
mod rotation;
mod support;

fn main() -> ExitCode {
    let mut suite = Suite::new();
    commands::tests(&mut suite);
    first_start::tests(&mut suite);
    rotation::tests(&mut suite);
    quota::tests(&mut suite);
    outage::tests(&mut suite);
    reload::tests(&mut suite);
    suite.run()
}
