//! What operators can measure, asked of a running server as Prometheus asks.

#![allow(clippy::unwrap_used, reason = "this is a test")]

use std::process::ExitCode;

use likeness_testing::Suite;

#[path = "metrics/counts.rs"]
mod counts;
#[path = "metrics/files.rs"]
mod files;
mod support;
#[path = "metrics/text.rs"]
mod text;
#[path = "metrics/traffic.rs"]
mod traffic;

fn main() -> ExitCode {
    let mut suite = Suite::new();
    counts::tests(&mut suite);
    text::tests(&mut suite);
    files::tests(&mut suite);
    suite.run()
}
