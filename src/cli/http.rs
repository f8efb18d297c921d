//! Requests to a running service.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use likeness_packs::fetch::http::{client, native_roots};
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::CertifiedKey;
use ureq::Agent;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, parse_pem};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use super::Failure;

/// Timeout of a request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The service to connect to, and the certificates to trust and to present.
#[derive(Debug, Default)]
pub(super) struct Peer {
    /// Where to connect to, whatever the name in the URL resolves to.
    pub(super) address: Option<SocketAddr>,
    /// PEM file of the roots to trust. Absent: the system's (`SSL_CERT_FILE` names others).
    pub(super) roots: Option<PathBuf>,
    /// PEM files of the client certificate, and of its key.
    pub(super) identity: Option<(PathBuf, PathBuf)>,
}

impl Peer {
    /// Returns an HTTP client without a proxy. No status is an error.
    pub(super) fn agent(&self) -> Result<Agent, Failure> {
        let roots = match &self.roots {
            Some(file) => certificates(file)?,
            None => native_roots().0,
        };
        let identity = match &self.identity {
            Some((certificate, key)) => Some(identity(certificate, key)?),
            None => None,
        };
        let config = client(roots, identity).timeout_global(Some(TIMEOUT)).build();
        Ok(match self.address {
            Some(address) => Agent::with_parts(config, DefaultConnector::new(), Fixed(address)),
            None => config.new_agent(),
        })
    }
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
    let port = uri
        .authority()
        .and_then(|authority| authority.as_str().strip_prefix(authority.host()));
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

fn pem(file: &Path) -> Result<Vec<PemItem<'static>>, Failure> {
    let text = std::fs::read(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    parse_pem(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("{}: {error}", file.display()).into())
}

fn certificates(file: &Path) -> Result<Vec<Certificate<'static>>, Failure> {
    let found: Vec<_> = pem(file)?
        .into_iter()
        .filter_map(|item| match item {
            PemItem::Certificate(certificate) => Some(certificate),
            _ => None,
        })
        .collect();
    if found.is_empty() {
        return Err(format!("{}: there is no certificate in it", file.display()).into());
    }
    Ok(found)
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

fn private_key(file: &Path) -> Result<PrivateKey<'static>, Failure> {
    pem(file)?
        .into_iter()
        .find_map(|item| match item {
            PemItem::PrivateKey(key) => Some(key),
            _ => None,
        })
        .ok_or_else(|| format!("{}: there is no private key in it", file.display()).into())
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
