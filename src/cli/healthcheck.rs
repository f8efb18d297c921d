//! `likeness healthcheck`, and the client that requests from a running service.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use likeness_packs::fetch::{client, native_roots};
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::CertifiedKey;
use ureq::Agent;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, parse_pem};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use super::{Failure, say};

/// Timeout of a request.
const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
#[command(mut_args(|argument| argument.hide_env_values(true)))]
pub(crate) struct HealthcheckArguments {
    /// URL of the service; with TLS, its certificate must be for this name
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:8080",
        env = "LIKENESS_HEALTHCHECK_URL"
    )]
    url: String,
    /// Address to connect to instead of resolving the name in the URL [default: resolve]
    #[arg(long, value_name = "ADDRESS:PORT", env = "LIKENESS_HEALTHCHECK_CONNECT")]
    connect: Option<SocketAddr>,
    /// CA bundle to trust (PEM) [default: SSL_CERT_FILE, else system store]
    #[arg(long, value_name = "FILE", env = "LIKENESS_HEALTHCHECK_CA")]
    ca: Option<PathBuf>,
    /// Client certificate (PEM) [default: none]
    #[arg(
        long,
        value_name = "FILE",
        requires = "key",
        env = "LIKENESS_HEALTHCHECK_CERTIFICATE"
    )]
    certificate: Option<PathBuf>,
    /// Private key of the client certificate (PEM)
    #[arg(
        long,
        value_name = "FILE",
        requires = "certificate",
        env = "LIKENESS_HEALTHCHECK_KEY"
    )]
    key: Option<PathBuf>,
    /// Probe readiness (/readyz) instead of liveness (/healthz)
    #[arg(long)]
    ready: bool,
}

impl HealthcheckArguments {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let path = if self.ready { "readyz" } else { "healthz" };
        let url = format!("{}/{path}", service_url(&self.url)?);
        let identity = self.certificate.as_deref().zip(self.key.as_deref());
        let response = agent(self.connect, self.ca.as_deref(), identity)?
            .get(&url)
            .call();
        let response = response.map_err(|error| format!("{url}: {error}"))?;
        match response.status().as_u16() {
            200 => say("ok"),
            status => Err(format!("{url} responds with status {status}").into()),
        }
    }
}

/// Returns an HTTP client without a proxy, to which no status is an error. It connects to `address` instead of what the URL
/// names, trusts `roots` (PEM), else `SSL_CERT_FILE` or the system's, and presents a client certificate and its key (PEM).
pub(super) fn agent(
    address: Option<SocketAddr>,
    roots: Option<&Path>,
    files: Option<(&Path, &Path)>,
) -> Result<Agent, Failure> {
    let roots = roots.map_or_else(|| Ok(native_roots().0), certificates)?;
    let identity = files.map(|(certificate, key)| identity(certificate, key));
    let config = client(roots, identity.transpose()?);
    let config = config.timeout_global(Some(TIMEOUT)).build();
    Ok(match address {
        Some(address) => Agent::with_parts(config, DefaultConnector::new(), Fixed(address)),
        None => config.new_agent(),
    })
}

/// Returns the URL of a service without a slash at its end. An error does not show the URL: it may have a password in it.
pub(super) fn service_url(text: &str) -> Result<&str, Failure> {
    if text.contains('@') {
        return Err("the URL of the service has an `@` in it: credentials in a URL are not supported".into());
    }
    if !text.parse().is_ok_and(|uri| is_of_service(&uri)) {
        return Err("the URL of the service should read http://HOST:PORT or https://HOST:PORT".into());
    }
    Ok(text.trim_end_matches('/'))
}

fn is_of_service(uri: &Uri) -> bool {
    let authority = uri.authority();
    let port = authority.and_then(|authority| authority.as_str().strip_prefix(authority.host()));
    matches!(uri.scheme_str(), Some("http" | "https"))
        && uri.host().is_some_and(|host| !host.is_empty())
        && port.is_some_and(|port| port.is_empty() || uri.port_u16().is_some())
}

/// Resolves every name to one address.
#[derive(Debug)]
struct Fixed(SocketAddr);

impl Resolver for Fixed {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut addresses = DefaultResolver::default().empty();
        addresses.push(self.0);
        Ok(addresses)
    }
}

/// Reads the items of a PEM file that `pick` takes, of which there must be one, by the name of its kind.
fn pem<T>(file: &Path, kind: &str, pick: fn(PemItem<'static>) -> Option<T>) -> Result<Vec<T>, Failure> {
    let place = file.display();
    let text = std::fs::read(file).map_err(|error| format!("cannot read {place}: {error}"))?;
    let items: Result<Vec<_>, _> = parse_pem(&text).collect();
    let items = items.map_err(|error| format!("{place}: {error}"))?;
    let found: Vec<_> = items.into_iter().filter_map(pick).collect();
    if found.is_empty() {
        return Err(format!("{place}: there is no {kind} in it").into());
    }
    Ok(found)
}

fn certificates(file: &Path) -> Result<Vec<Certificate<'static>>, Failure> {
    pem(file, "certificate", |item| match item {
        PemItem::Certificate(certificate) => Some(certificate),
        _ => None,
    })
}

fn private_key(file: &Path) -> Result<PrivateKey<'static>, Failure> {
    let keys = pem(file, "private key", |item| match item {
        PemItem::PrivateKey(key) => Some(key),
        _ => None,
    });
    Ok(keys?.swap_remove(0))
}

/// A certificate with its key. That they belong together is checked here, as ureq takes it for granted.
fn identity(certificate: &Path, key: &Path) -> Result<ClientCert, Failure> {
    let (chain, secret) = (certificates(certificate)?, private_key(key)?);
    let ders = chain.iter().map(|it| it.der().to_vec().into()).collect();
    let der = PrivateKeyDer::try_from(secret.der().to_vec())?;
    CertifiedKey::from_der(ders, der, &ring::default_provider()).map_err(|error| {
        let (certificate, key) = (certificate.display(), key.display());
        format!("{certificate} and {key} are no certificate and its key: {error}")
    })?;
    Ok(ClientCert::new_with_certs(&chain, secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_with_a_password_is_refused_and_not_shown() {
        for right in [
            "http://127.0.0.1:8080",
            "https://likeness.example/",
            "https://[::1]:8443/prefix",
        ] {
            assert_eq!(service_url(right).unwrap(), right.trim_end_matches('/'));
        }
        for wrong in [
            "https://likeness:SECRET@likeness.example",
            "https://likeness:12/SECRET@likeness.example",
            "https:likeness:SECRET",
            "likeness:SECRET",
            "ftp://likeness.example/SECRET",
            "https://likeness:SECRET/",
            "http://SECRET SECRET/",
            "",
        ] {
            let said = service_url(wrong).unwrap_err().to_string();
            assert!(!said.contains("SECRET"), "{said}");
        }
    }
}
