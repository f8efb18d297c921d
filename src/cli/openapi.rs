//! `likeness openapi`.

use std::process::ExitCode;

use clap::Args;
use likeness::server::openapi;

use super::{Failure, exit, say};

#[derive(Debug, Args)]
pub(crate) struct OpenapiArguments {}

impl OpenapiArguments {
    pub(crate) fn run(&self) -> Result<ExitCode, Failure> {
        say(format_args!("{:#}", openapi::document()))?;
        Ok(exit::PASS.into())
    }
}
