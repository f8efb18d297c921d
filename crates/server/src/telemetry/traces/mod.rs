//! Requests as traces, exported by OpenTelemetry's protocol (OTLP) from a thread of its own, which discards spans while the
//! collector is slow or unavailable.

mod client;
mod spans;

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

const LAST_SPANS: Duration = Duration::from_secs(5);

/// Exports requests to a collector. See [`Traces::from_environment`].
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

/// An invalid value of a variable. It is not shown, as it may be a URL with a password.
#[derive(Debug, thiserror::Error)]
#[error("cannot export traces, check the variables OTEL_EXPORTER_OTLP_…: {0}")]
pub struct TracesError(String);

impl From<ExporterBuildError> for TracesError {
    fn from(error: ExporterBuildError) -> Self {
        let message = error.to_string();
        Self(if message.contains(['@', '/']) {
            "the endpoint is not a valid URL".to_owned()
        } else {
            message
        })
    }
}

impl Traces {
    /// Exports traces as the standard variables `OTEL_EXPORTER_OTLP_…`, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`,
    /// `OTEL_TRACES_SAMPLER` and `OTEL_BSP_…` configure. `None`: no collector is named, or `OTEL_SDK_DISABLED` is `true`.
    pub fn from_environment() -> Result<Option<Self>, TracesError> {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_disabled =
            std::env::var("OTEL_SDK_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true"));
        let is_named = is_set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") || is_set("OTEL_EXPORTER_OTLP_ENDPOINT");
        (is_named && !is_disabled).then(|| Self::build(None)).transpose()
    }

    /// Exports traces to the collector at this address, such as `http://collector:4318/v1/traces`.
    pub fn to_collector(address: &str) -> Result<Self, TracesError> {
        Self::build(Some(address))
    }

    fn build(address: Option<&str>) -> Result<Self, TracesError> {
        let exporter = SpanExporter::builder().with_http();
        let mut exporter = exporter.with_http_client(client::Client::new());
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
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = resource.with_attribute(version).build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter.build()?)
            .with_resource(resource)
            .build();
        Ok(Self {
            tracer: provider.tracer("likeness"),
            provider,
        })
    }

    /// Sends the remaining spans, within a timeout. Blocks.
    pub(crate) fn end(&self) {
        if let Err(error) = self.provider.shutdown_with_timeout(LAST_SPANS) {
            tracing::warn!(%error, "exporting the last traces failed");
        }
    }
}
