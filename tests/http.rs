//! The program over HTTP, with the models of the default pack: the contract, whole responses, load and the log.

use std::process::ExitCode;

use likeness_testing::Suite;
use likeness_testing::contract::CASES;

#[path = "http/clients.rs"]
mod clients;
#[path = "http/load.rs"]
mod load;
#[path = "http/logs.rs"]
mod logs;
#[path = "http/public_clients.rs"]
mod public_clients;
#[path = "http/responses.rs"]
mod responses;
mod support;

/// The server of all tests that need nothing special of one.
static SERVER: support::server::Shared = support::server::Shared::new();

fn main() -> ExitCode {
    let mut suite = Suite::new();
    for (name, case) in CASES {
        suite.with_any_models(format!("contract::{name}"), move || case(SERVER.get()?));
    }
    clients::tests(&mut suite);
    public_clients::tests(&mut suite);
    responses::tests(&mut suite);
    load::tests(&mut suite);
    logs::tests(&mut suite);
    let code = suite.run();
    SERVER.end();
    code
}
