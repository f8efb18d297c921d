//! Metrics in Prometheus's text format. Nothing here is global: each service of a process has its own.

pub(crate) mod catalog;
mod requests;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use metrics::{Counter, counter, describe_counter, describe_gauge, describe_histogram, with_local_recorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use parking_lot::RwLock;

use super::RequestContext;
use catalog::{ALL, Kind};

pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Histograms buffer their samples for at most this time, so that memory stays flat without a collector.
pub(crate) const UPKEEP: Duration = Duration::from_secs(5);

/// Most apps that are counted by their ids. They are the operator's own, but each one costs some series.
const MAX_APPS: usize = 100;

#[derive(Debug)]
pub(crate) struct Metrics {
    recorder: PrometheusRecorder,
    /// The apps that are counted by their ids. An app named `other` shares the counters of all others.
    apps: RwLock<HashSet<String>>,
    /// Counters of reloads, in the order of [`Reloaded`] and [`Outcome`].
    reloads: [[Counter; 3]; 2],
    handle: PrometheusHandle,
    started: Instant,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Reloaded {
    Models,
    Settings,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Outcome {
    Changed,
    Unchanged,
    Failed,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let recorder = recorder();
        let reloads = |what| {
            let counter = |outcome| counter!(catalog::RELOADS, "what" => what, "outcome" => outcome);
            ["changed", "unchanged", "failed"].map(counter)
        };
        let reloads = with_local_recorder(&recorder, || {
            requests::register();
            ["models", "settings"].map(reloads)
        });
        Self {
            reloads,
            handle: recorder.handle(),
            recorder,
            apps: RwLock::default(),
            started: Instant::now(),
        }
    }

    pub(crate) fn add(&self, request: &RequestContext) {
        with_local_recorder(&self.recorder, || {
            let app = request.app.as_deref().map(|app| self.app_label(app));
            requests::count(request, app);
        });
    }

    /// Returns the label of an app, whose series it registers.
    fn app_label<'a>(&self, app: &'a str) -> &'a str {
        let known = self.apps.read();
        let (is_known, is_full) = (known.contains(app), known.len() >= MAX_APPS);
        drop(known);
        if is_known {
            return app;
        }
        let app = if is_full { requests::OTHER } else { app };
        requests::register_app(app);
        self.apps.write().insert(app.to_owned());
        app
    }

    pub(crate) fn reloaded(&self, what: Reloaded, outcome: Outcome) {
        self.reloads[what as usize][outcome as usize].increment(1);
    }

    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Drains the buffers of histograms, for as long as it is polled.
    pub(crate) async fn keep_up(&self) {
        let mut ticks = tokio::time::interval(UPKEEP);
        loop {
            ticks.tick().await;
            self.handle.run_upkeep();
        }
    }

    /// Returns all metrics as text. `record_state` records what is known only now, with a new recorder each time: what no longer
    /// exists leaves no series behind.
    pub(crate) fn render(&self, record_state: impl FnOnce()) -> String {
        let state = recorder();
        with_local_recorder(&state, record_state);
        let mut text = self.handle.render();
        text.push_str(&state.handle().render());
        text
    }
}

/// Returns a recorder that knows the catalog, with nothing recorded.
fn recorder() -> PrometheusRecorder {
    let builder = ALL.iter().fold(PrometheusBuilder::new(), |builder, metric| {
        let Kind::Histogram(bounds) = metric.kind else {
            return builder;
        };
        // It fails only without any bounds; a test checks the kinds.
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
