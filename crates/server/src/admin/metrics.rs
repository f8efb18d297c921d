//! `GET /metrics`, with the metrics that are only known at the moment of the scrape.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use metrics::{counter, gauge};

use super::Admin;
use super::info::Build;
use crate::telemetry::metrics::{CONTENT_TYPE, catalog as name};

pub(super) async fn metrics(State(admin): State<Arc<Admin>>) -> Response {
    let text = admin.service.metrics().render(|| record(&admin));
    let mut response = Response::new(Body::from(text));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    response
}

fn record(admin: &Admin) {
    let service = &admin.service;
    gauge!(name::ADMITTED).set(service.admission.taken() as f64);
    gauge!(name::ADMITTED_MAX).set(service.admission.max() as f64);
    let work = service.work.usage();
    gauge!(name::QUEUED).set(work.queued as f64);
    gauge!(name::WORKERS_BUSY).set(work.busy as f64);
    gauge!(name::WORKERS_OVERDUE).set(work.overdue as f64);
    let engine = service.engine.load_full();
    gauge!(name::WORKERS).set(engine.workers() as f64);
    gauge!(name::SESSIONS_BUSY).set(engine.workers_in_use() as f64);
    gauge!(name::READY).set(if service.readiness().is_ok() { 1.0 } else { 0.0 });
    gauge!(name::APPS).set(service.apps.current().len() as f64);
    for (port, connections) in &admin.connections {
        gauge!(name::CONNECTIONS, "port" => *port).set(connections.taken() as f64);
        gauge!(name::CONNECTIONS_MAX, "port" => *port).set(connections.max() as f64);
    }
    let info = engine.labels();
    let labels = [
        ("pack", info.pack.clone()),
        ("version", info.pack_version.clone()),
        ("digest", info.pack_digest.clone()),
        ("match_calibration", info.match_calibration.clone()),
        ("liveness_calibration", info.liveness_calibration.clone()),
        ("cohort", info.cohort.clone()),
        ("provider", info.provider.clone()),
        ("device", info.device.clone()),
        ("precision", info.precision.clone()),
        ("runtime_version", info.runtime_version.clone()),
    ];
    gauge!(name::MODEL, &labels).set(1.0);
    let build = Build::CURRENT;
    let labels = [
        ("version", build.version),
        ("commit", build.commit.unwrap_or("unknown")),
        ("rustc", build.rustc),
        ("target", build.target),
    ];
    gauge!(name::BUILD, &labels).set(1.0);
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        let runtime = runtime.metrics();
        gauge!(name::RUNTIME_TASKS).set(runtime.num_alive_tasks() as f64);
        gauge!(name::RUNTIME_QUEUE).set(runtime.global_queue_depth() as f64);
    }
    let storage = service.database.health();
    gauge!(name::STORAGE_UP).set(if storage.is_up { 1.0 } else { 0.0 });
    for (operation, count) in storage.errors {
        counter!(name::STORAGE_ERRORS, "operation" => <&str>::from(operation)).absolute(count);
    }
    if let Some(audit) = &service.observers.audit {
        gauge!(name::AUDIT_LAG).set(audit.lag().as_secs_f64());
        gauge!(name::AUDIT_PENDING).set(audit.pending() as f64);
        counter!(name::AUDIT_LOST).absolute(audit.lost());
    }
    if let Some(tls) = &admin.tls {
        let since = tls.not_after().duration_since(UNIX_EPOCH).unwrap_or_default();
        gauge!(name::CERTIFICATE).set(since.as_secs_f64());
    }
    process();
}

/// Records memory, processor time, file descriptors and the start of this process.
#[cfg(target_os = "linux")]
fn process() {
    let collector = metrics_process::Collector::default();
    collector.describe();
    collector.collect();
}

/// Elsewhere the library needs more than a C compiler to be built.
#[cfg(not(target_os = "linux"))]
fn process() {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::apps::AppDirectory;
    use crate::access::limits::Limits;
    use crate::admin::operator::Operator;
    use crate::config::{AppConfig, Config};
    use crate::http::Service;
    use crate::permits::Permits;
    use crate::reload::SettingsReloader;
    use crate::telemetry::metrics::{Metrics, catalog::ALL};
    use crate::work::test_engine::engine;

    /// Metrics that this service does not have: it was never called, and has no TLS.
    const ABSENT: [&str; 2] = [name::APP_REQUESTS, name::CERTIFICATE];

    async fn admin(folder: &std::path::Path) -> Admin {
        let mut config = Config {
            apps: vec![AppConfig::new("a", "0123456789abcdef")],
            ..Config::default()
        };
        config.database.url = Some("sqlite::memory:".into());
        let database = config.open_database().await.unwrap();
        let apps = config.apps().unwrap();
        let apps = AppDirectory::open(apps, database.clone()).await.unwrap();
        let limits = Limits::open(
            database.clone(),
            folder,
            &config.quotas,
            Box::new(jiff::Timestamp::now),
        )
        .await
        .unwrap();
        let audit = crate::audit::Audit::open(&config.audit, folder, database.clone()).unwrap();
        let engine = Arc::new(arc_swap::ArcSwap::from_pointee(engine()));
        let metrics = Arc::new(Metrics::new());
        let service = Service::new(&config, apps, limits, engine, database, audit, metrics).unwrap();
        let service = Arc::new(service);
        Admin {
            operator: Operator::new(&config.admin),
            reloader: None,
            settings: Arc::new(SettingsReloader::new(Arc::clone(&service), config)),
            tls: None,
            checks: Arc::default(),
            connections: vec![("callers", Permits::new(7))],
            configuration: serde_json::Value::Null,
            service,
        }
    }

    fn render(admin: &Admin) -> String {
        admin.service.metrics().render(|| record(admin))
    }

    #[tokio::test]
    async fn every_metric_of_the_catalog_is_rendered() {
        let folder = tempfile::tempdir().unwrap();
        let text = render(&admin(folder.path()).await);
        for metric in ALL {
            let is_rendered = text.contains(&format!("# TYPE {} ", metric.name));
            assert_ne!(is_rendered, ABSENT.contains(&metric.name), "{}", metric.name);
        }
    }

    #[tokio::test]
    async fn a_replaced_model_leaves_no_series_behind() {
        let folder = tempfile::tempdir().unwrap();
        let admin = admin(folder.path()).await;
        for _ in 0..3 {
            admin.service.engine.store(Arc::new(engine()));
            let text = render(&admin);
            let lines = text
                .lines()
                .filter(|line| line.starts_with("likeness_model_info{"));
            assert_eq!(lines.count(), 1);
        }
    }
}
