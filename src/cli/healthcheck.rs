//! `likeness healthcheck`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::http::{Peer, service_url};
use super::{Failure, exit, say};

#[derive(Debug, Args)]
pub(crate) struct HealthcheckArguments {
    /// The service. With TLS, its certificate must be of this name.
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:8080",
        env = "LIKENESS_HEALTHCHECK_URL",
        hide_env_values = true
    )]
    url: String,
    /// Where to connect to, whatever the name in the URL stands for: a certificate is not of 127.0.0.1.
    #[arg(long, value_name = "ADDRESS:PORT", env = "LIKENESS_HEALTHCHECK_CONNECT")]
    connect: Option<SocketAddr>,
    /// PEM file with the roots to believe. Absent: what the system believes, or the file that SSL_CERT_FILE names.
    #[arg(long, value_name = "FILE", env = "LIKENESS_HEALTHCHECK_CA")]
    ca: Option<PathBuf>,
    /// PEM file with a client's certificate, where the service asks for one.
    #[arg(
        long,
        value_name = "FILE",
        requires = "key",
        env = "LIKENESS_HEALTHCHECK_CERTIFICATE"
    )]
    certificate: Option<PathBuf>,
    /// PEM file with the key of --certificate.
    #[arg(
        long,
        value_name = "FILE",
        requires = "certificate",
        env = "LIKENESS_HEALTHCHECK_KEY"
    )]
    key: Option<PathBuf>,
    /// Whether it takes requests (`/readyz`), not only whether it is alive (`/healthz`).
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
        let answer = peer
            .agent()?
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
