//! What operators measure the service by, in Prometheus's text format. Nothing here is global: a process may have several
//! services, each with numbers of its own.

mod buckets;
mod catalog;
mod labels;
mod requests;
mod sources;
mod state;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use metrics::{describe_counter, describe_gauge, describe_histogram, with_local_recorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::http::listener::PortUsage;
use crate::http::service::Service;
use crate::telemetry::record::Record;
use catalog::{ALL, Kind};
use requests::Requests;

pub(crate) use sources::{CertificateGauges, Sources};

/// `Content-Type` of the text.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Histograms keep what they were given until somebody collects it or this time has passed, so that memory stays flat
/// where nobody collects.
pub(crate) const UPKEEP: Duration = Duration::from_secs(5);

/// The numbers of one service.
#[derive(Debug)]
pub(crate) struct Metrics {
    requests: Requests,
    handle: PrometheusHandle,
    started: Instant,
    ports: OnceLock<Vec<(&'static str, PortUsage)>>,
    pub(crate) sources: Sources,
    model_reloads: OnceLock<Arc<Outcomes>>,
    pub(crate) setting_reloads: Outcomes,
}

/// What came of doing something again and again.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    changed: AtomicU64,
    unchanged: AtomicU64,
    failed: AtomicU64,
}

/// What came of it once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Changed,
    Unchanged,
    Failed,
}

impl Outcomes {
    fn counts(&self) -> [(&'static str, u64); 3] {
        [
            ("changed", &self.changed),
            ("unchanged", &self.unchanged),
            ("failed", &self.failed),
        ]
        .map(|(outcome, count)| (outcome, count.load(Ordering::Relaxed)))
    }

    /// Counts one: whether something was changed, or that it failed.
    pub(crate) fn add(&self, outcome: Outcome) {
        let counter = match outcome {
            Outcome::Changed => &self.changed,
            Outcome::Unchanged => &self.unchanged,
            Outcome::Failed => &self.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let recorder = recorder();
        let handle = recorder.handle();
        Self {
            requests: Requests::new(&Arc::new(recorder)),
            handle,
            started: Instant::now(),
            ports: OnceLock::new(),
            sources: Sources::default(),
            model_reloads: OnceLock::new(),
            setting_reloads: Outcomes::default(),
        }
    }

    /// Counts a request that has ended.
    pub(crate) fn add(&self, record: &Record) {
        self.requests.add(record);
    }

    /// Where connections come in, by the ports' names. A second call changes nothing.
    pub(crate) fn set_ports(&self, ports: Vec<(&'static str, PortUsage)>) {
        let _ = self.ports.set(ports);
    }

    /// What comes of reloading models. A second call changes nothing.
    pub(crate) fn set_model_reloads(&self, outcomes: Arc<Outcomes>) {
        let _ = self.model_reloads.set(outcomes);
    }

    /// What came of reading things again, by what was read.
    fn reloads(&self) -> [(&'static str, [(&'static str, u64); 3]); 2] {
        let models = self.model_reloads.get().map(|outcomes| outcomes.counts());
        let none = Outcomes::default().counts();
        [
            ("models", models.unwrap_or(none)),
            ("settings", self.setting_reloads.counts()),
        ]
    }

    fn ports(&self) -> &[(&'static str, PortUsage)] {
        self.ports.get().map_or(&[], Vec::as_slice)
    }

    /// For how long the service has been there.
    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Puts what histograms were given where it takes no more room, every so often, for as long as this is polled.
    pub(crate) async fn keep_up(&self) {
        let mut ticks = tokio::time::interval(UPKEEP);
        loop {
            ticks.tick().await;
            self.handle.run_upkeep();
        }
    }

    /// All of it as text. To be called within a tokio runtime.
    pub(crate) fn render(&self, service: &Service) -> String {
        let now = recorder();
        with_local_recorder(&now, || state::record(service));
        let mut text = self.handle.render();
        text.push_str(&now.handle().render());
        text
    }
}

/// A recorder that knows the metrics, with nothing recorded.
fn recorder() -> PrometheusRecorder {
    let builder = ALL.iter().fold(PrometheusBuilder::new(), |builder, metric| {
        let Kind::Histogram(bounds) = metric.kind else {
            return builder;
        };
        // It fails for no bounds at all, and then there would be a summary: a test of the kinds would see that.
        builder
            .set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), bounds)
            .unwrap_or_default()
    });
    let recorder = builder.build_recorder();
    with_local_recorder(&recorder, || {
        for metric in ALL {
            match metric.kind {
                Kind::Counter => describe_counter!(metric.name, metric.help),
                Kind::Gauge => describe_gauge!(metric.name, metric.help),
                Kind::Histogram(_) => describe_histogram!(metric.name, metric.help),
            }
        }
    });
    recorder
}
