//! `likeness healthcheck`.

use std::process::ExitCode;

use clap::Args;

use super::http::agent;
use super::{Failure, exit, say};

#[derive(Debug, Args)]
pub(crate) struct HealthcheckArguments {
    /// The service. With TLS, the certificate must be one that the system believes, or SSL_CERT_FILE names its root.
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:8080",
        env = "LIKENESS_HEALTHCHECK_URL"
    )]
    url: String,
    /// Whether it takes requests (`/readyz`), not only whether it is alive (`/healthz`).
    #[arg(long)]
    ready: bool,
}

impl HealthcheckArguments {
    pub(crate) fn run(&self) -> Result<ExitCode, Failure> {
        let path = if self.ready { "readyz" } else { "healthz" };
        let url = format!("{}/{path}", self.url.trim_end_matches('/'));
        let answer = agent()
            .get(&url)
            .call()
            .map_err(|error| format!("{url}: {error}"))?;
        let status = answer.status().as_u16();
        if status != 200 {
            return Err(format!("{url} answers with status {status}").into());
        }
        say("ok")?;
        Ok(exit::PASS.into())
    }
}
