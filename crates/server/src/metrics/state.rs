//! What is looked up at the moment that metrics are collected: how things stand, and what runs here.

use std::sync::atomic::Ordering;
use std::time::UNIX_EPOCH;

use metrics::{counter, gauge};

use super::catalog as name;
use super::sources::Sources;
use crate::build::Build;
use crate::service::Service;

/// Records how things stand with the recorder that is in force. It is a new one each time, so that what no longer is,
/// such as a model that was replaced, leaves nothing behind.
pub(super) fn record(service: &Service) {
    let admission = &service.admission;
    gauge!(name::ADMITTED).set(admission.admitted() as f64);
    gauge!(name::ADMITTED_MAX).set(admission.size() as f64);
    let work = service.work.usage();
    gauge!(name::QUEUED).set(work.queued as f64);
    gauge!(name::WORKERS_BUSY).set(work.busy as f64);
    gauge!(name::WORKERS_OVERDUE).set(work.overdue as f64);
    let engine = service.engine.current();
    gauge!(name::WORKERS).set(engine.workers() as f64);
    gauge!(name::SESSIONS_BUSY).set(engine.workers_in_use() as f64);
    let ready = service.ready.load(Ordering::Relaxed) && !work.is_stuck();
    gauge!(name::READY).set(if ready { 1.0 } else { 0.0 });
    gauge!(name::APPS).set(service.apps.current().len() as f64);
    for (port, usage) in service.metrics.ports() {
        gauge!(name::CONNECTIONS, "port" => *port).set(usage.open() as f64);
        gauge!(name::CONNECTIONS_MAX, "port" => *port).set(usage.max() as f64);
    }
    let info = engine.labels();
    let labels = [
        ("pack", info.pack.clone()),
        ("version", info.pack_version.clone()),
        ("digest", info.pack_digest.clone()),
        ("match_calibration", info.match_calibration.clone()),
        ("liveness_calibration", info.liveness_calibration.clone()),
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
    for (what, counts) in service.metrics.reloads() {
        for (outcome, count) in counts {
            counter!(name::RELOADS, "what" => what, "outcome" => outcome).absolute(count);
        }
    }
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        let runtime = runtime.metrics();
        gauge!(name::RUNTIME_TASKS).set(runtime.num_alive_tasks() as f64);
        gauge!(name::RUNTIME_QUEUE).set(runtime.global_queue_depth() as f64);
    }
    let storage = service.database.health();
    gauge!(name::STORAGE_UP).set(if storage.is_up { 1.0 } else { 0.0 });
    for (operation, count) in storage.errors {
        counter!(name::STORAGE_ERRORS, "operation" => operation.as_str()).absolute(count);
    }
    asked(&service.metrics.sources);
    process();
}

fn asked(sources: &Sources) {
    if let Some(audit) = sources.audit.get() {
        gauge!(name::AUDIT_LAG).set(audit.lag().as_secs_f64());
        gauge!(name::AUDIT_PENDING).set(audit.pending() as f64);
        counter!(name::AUDIT_LOST).absolute(audit.lost());
    }
    if let Some(expires) = sources.certificate.get().and_then(|it| it.not_after()) {
        let seconds = expires
            .duration_since(UNIX_EPOCH)
            .map_or(0.0, |since| since.as_secs_f64());
        gauge!(name::CERTIFICATE).set(seconds);
    }
}

/// Memory, processor time, file descriptors and the start of this process.
#[cfg(target_os = "linux")]
fn process() {
    let collector = metrics_process::Collector::default();
    collector.describe();
    collector.collect();
}

/// Elsewhere the library that asks the system needs more than a C compiler to be built.
#[cfg(not(target_os = "linux"))]
fn process() {}
