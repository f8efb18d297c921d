//! `likeness healthcheck`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::http::{Peer, service_url};
use super::{Failure, exit, say};

#[derive(Debug, Args)]
pub(crate) struct HealthcheckArguments {
    /// URL of the service; with TLS, its certificate must be for this name
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:8080",
        env = "LIKENESS_HEALTHCHECK_URL",
        hide_env_values = true
    )]
    url: String,
    /// Address to connect to instead of resolving the name in the URL [default: resolve]
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        env = "LIKENESS_HEALTHCHECK_CONNECT",
        hide_env_values = true
    )]
    connect: Option<SocketAddr>,
    /// CA bundle to trust (PEM) [default: SSL_CERT_FILE, else system store]
    #[arg(
        long,
        value_name = "FILE",
        env = "LIKENESS_HEALTHCHECK_CA",
        hide_env_values = true
    )]
    ca: Option<PathBuf>,
    /// Client certificate (PEM) [default: none]
    #[arg(
        long,
        value_name = "FILE",
        requires = "key",
        env = "LIKENESS_HEALTHCHECK_CERTIFICATE",
        hide_env_values = true
    )]
    certificate: Option<PathBuf>,
    /// Private key of the client certificate (PEM)
    #[arg(
        long,
        value_name = "FILE",
        requires = "certificate",
        env = "LIKENESS_HEALTHCHECK_KEY",
        hide_env_values = true
    )]
    key: Option<PathBuf>,
    /// Probe readiness (/readyz) instead of liveness (/healthz)
    #[arg(long)]
    ready: bool,
}

impl HealthcheckArguments {
    pub(crate) fn run(&self) -> Result<ExitCode, Failure> {
        let path = if self.ready { "readyz" } else { "healthz" };
        let url = format!("{}/{path}", service_url(&self.url)?);
        let peer = Peer {
            address: self.connect,
            roots: self.ca.clone(),
            identity: self.certificate.clone().zip(self.key.clone()),
        };
        let response = peer
            .agent()?
            .get(&url)
            .call()
            .map_err(|error| format!("{url}: {error}"))?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(format!("{url} responds with status {status}").into());
        }
        say("ok")?;
        Ok(exit::PASS.into())
    }
}
