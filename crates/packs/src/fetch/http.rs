//! The HTTP client's settings, shared with the command line: TLS by rustls with ring, roots of the system. Not part of
//! the stable API.

use std::sync::Arc;

use ureq::Agent;
use ureq::config::ConfigBuilder;
use ureq::tls::{Certificate, ClientCert, RootCerts, TlsConfig, TlsProvider};
use ureq::typestate::AgentScope;

/// Returns the root certificates in `SSL_CERT_FILE` and `SSL_CERT_DIR` if set, else those of the system, and the errors
/// of reading them.
#[must_use]
pub fn native_roots() -> (Vec<Certificate<'static>>, Vec<String>) {
    let found = rustls_native_certs::load_native_certs();
    let roots = found.certs.iter();
    let roots = roots.map(|certificate| Certificate::from_der(certificate.as_ref()).to_owned());
    let errors = found.errors.iter().map(ToString::to_string);
    (roots.collect(), errors.collect())
}

/// Returns the settings of a client that trusts these roots, follows no redirect, uses no proxy and takes every status
/// for a response.
#[must_use]
pub fn client(roots: Vec<Certificate<'static>>, identity: Option<ClientCert>) -> ConfigBuilder<AgentScope> {
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::from(roots.into_iter()))
        .client_cert(identity)
        .build();
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("likeness/", env!("CARGO_PKG_VERSION")))
        .proxy(None)
        .tls_config(tls)
}
