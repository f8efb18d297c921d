//! The real binary over real HTTP with the real models. Requests are bytes on a socket, so that what clients really
//! send is what is tested.

use std::process::ExitCode;

use likeness_testing::Suite;

#[path = "http/answers.rs"]
mod answers;
#[path = "http/errors.rs"]
mod errors;
#[path = "http/load.rs"]
mod load;
#[path = "http/logs.rs"]
mod logs;
#[path = "http/shapes.rs"]
mod shapes;
mod support;

/// The server of all tests that need nothing special of one.
static SERVER: support::server::Shared = support::server::Shared::new();

fn main() -> ExitCode {
    let mut suite = Suite::new();
    shapes::tests(&mut suite);
    answers::tests(&mut suite);
    errors::tests(&mut suite);
    load::tests(&mut suite);
    logs::tests(&mut suite);
    let code = suite.run();
    SERVER.end();
    code
}
