//! Asking a running service.

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

/// The longest that one question takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks without a proxy, and believes the certificates that the system believes (`SSL_CERT_FILE` names others). Every status
/// is an answer.
pub(crate) fn agent() -> Agent {
    let roots = rustls_native_certs::load_native_certs();
    let roots: Vec<Certificate<'static>> = roots
        .certs
        .iter()
        .map(|certificate| Certificate::from_der(certificate.as_ref()).to_owned())
        .collect();
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .root_certs(RootCerts::from(roots.into_iter()))
        .build();
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_global(Some(PATIENCE))
        .proxy(None)
        .tls_config(tls)
        .build()
        .new_agent()
}
