//! The HTTP client for the collector.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, http};

/// Timeout of one request, the default of `OTEL_EXPORTER_OTLP_TIMEOUT`.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest response; collectors send little.
const MAX_RESPONSE_BYTES: u64 = 64 * 1024;

/// `ureq`, which blocks only the thread that sends traces.
#[derive(Debug)]
pub(super) struct Client {
    agent: Agent,
    failing: AtomicBool,
}

impl Client {
    /// Root certificates come from `SSL_CERT_FILE` and `SSL_CERT_DIR` where they are set, else from the system.
    pub(super) fn new() -> Self {
        let found = rustls_native_certs::load_native_certs();
        let roots = found.certs.iter();
        let roots = roots.map(|found| Certificate::from_der(found).to_owned());
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .root_certs(RootCerts::from(roots))
            .build();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            .user_agent(concat!("likeness/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        Self {
            agent: config.new_agent(),
            failing: AtomicBool::new(false),
        }
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ureq::Error> {
        let (parts, body) = request.into_parts();
        let request = http::Request::from_parts(parts, body.to_vec());
        let (parts, mut body) = self.agent.run(request)?.into_parts();
        let body = body.with_config().limit(MAX_RESPONSE_BYTES).read_to_vec()?;
        Ok(Response::from_parts(parts, body.into()))
    }

    /// Logs when deliveries begin to fail and when they succeed again, not each time.
    fn log(&self, outcome: &Result<Response<Bytes>, ureq::Error>) {
        let failure = match outcome {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(format!("the collector returned {}", response.status())),
            Err(error) => Some(error.to_string()),
        };
        let before = self.failing.swap(failure.is_some(), Ordering::Relaxed);
        match failure {
            Some(error) if !before => {
                tracing::warn!(error, "exporting traces failed; discarding them");
            }
            None if before => tracing::info!("exporting traces works again"),
            _ => {}
        }
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let outcome = self.send(request);
        self.log(&outcome);
        Ok(outcome?)
    }
}
