//! `likeness openapi`.

use std::process::ExitCode;

use clap::Args;
use likeness::server::openapi;

use super::{Failure, exit, say};

#[derive(Debug, Args)]
pub(crate) struct OpenapiArguments {
    /// Write the collection for Postman (v2.1) instead.
    #[arg(long)]
    postman: bool,
}

impl OpenapiArguments {
    pub(crate) fn run(&self) -> Result<ExitCode, Failure> {
        let document = if self.postman {
            openapi::postman_collection()
        } else {
            openapi::document()
        };
        say(format_args!("{document:#}"))?;
        Ok(exit::PASS.into())
    }
}
