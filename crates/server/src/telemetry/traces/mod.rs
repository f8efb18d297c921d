//! Requests as traces, sent to a collector by OpenTelemetry's protocol.
//!
//! A span is made of what is known of a request when it has ended: nothing of this is on the way of a request, but for
//! handing the span over. From there on a thread of its own gathers spans and sends them; where the collector is slow or
//! gone, spans are thrown away.

mod client;
mod spans;

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

pub(crate) use spans::Parent;

/// The standard variables that name a collector, the more special one first.
const ENV_ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];

/// How long the last spans may take to be sent when the service stops.
const LAST_SPANS: Duration = Duration::from_secs(5);

/// Sends what became of requests to a collector. Made by [`Traces::from_environment`].
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

/// Why no traces can be sent: a variable has a value that is of no use. Does not show it, as it may be a URL with a password.
#[derive(Debug, thiserror::Error)]
#[error("traces cannot be exported, see the variables OTEL_EXPORTER_OTLP_…: {0}")]
pub struct TracesError(String);

impl From<ExporterBuildError> for TracesError {
    fn from(error: ExporterBuildError) -> Self {
        let said = error.to_string();
        Self(if said.contains(['@', '/']) {
            "the endpoint is not a URL that can be used".to_owned()
        } else {
            said
        })
    }
}

impl Traces {
    /// As the standard variables `OTEL_EXPORTER_OTLP_ENDPOINT`, `…_HEADERS`, `…_TIMEOUT` and their `…_TRACES_…` forms,
    /// `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER` and `OTEL_BSP_…` say. `None` where no collector
    /// is named, or `OTEL_SDK_DISABLED` is `true`.
    ///
    /// # Errors
    /// [`TracesError`].
    pub fn from_environment() -> Result<Option<Self>, TracesError> {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_disabled =
            std::env::var("OTEL_SDK_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true"));
        if is_disabled || !ENV_ENDPOINTS.iter().any(|name| is_set(name)) {
            return Ok(None);
        }
        Self::build(None).map(Some)
    }

    /// To the collector at this address, `http://collector:4318/v1/traces` for example, whatever the variables say.
    ///
    /// # Errors
    /// [`TracesError`].
    pub fn to_collector(address: &str) -> Result<Self, TracesError> {
        Self::build(Some(address))
    }

    fn build(address: Option<&str>) -> Result<Self, TracesError> {
        let mut exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client::Client::new());
        if let Some(address) = address {
            exporter = exporter.with_endpoint(address);
        }
        let mut resource = Resource::builder();
        let names_itself =
            |name: &str, part: &str| std::env::var(name).is_ok_and(|value| value.contains(part));
        if !names_itself("OTEL_SERVICE_NAME", "")
            && !names_itself("OTEL_RESOURCE_ATTRIBUTES", "service.name=")
        {
            resource = resource.with_service_name("likeness");
        }
        let resource = resource
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter.build()?)
            .with_resource(resource)
            .build();
        Ok(Self {
            tracer: provider.tracer("likeness"),
            provider,
        })
    }

    /// Sends what has not been sent, for a while. Blocks.
    pub(crate) fn end(&self) {
        if let Err(error) = self.provider.shutdown_with_timeout(LAST_SPANS) {
            tracing::warn!(%error, "the last traces were not delivered");
        }
    }
}
