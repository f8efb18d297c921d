//! The catalog of metrics: the name, kind and help of each, in one table.

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram(&'static [f64]),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) help: &'static str,
}

/// Defines a constant for each name, and the table.
macro_rules! metrics {
    ($($constant:ident = $name:literal, $kind:expr, $help:literal;)+) => {
        $(pub(crate) const $constant: &str = $name;)+

        /// Every metric but those of the process, which `metrics-process` names.
        pub(crate) const ALL: &[Metric] = &[$(Metric { name: $name, kind: $kind, help: $help },)+];
    };
}

metrics! {
    REQUESTS = "likeness_requests_total", Kind::Counter,
        "Completed requests, by endpoint and HTTP status; 499: the client did not wait for the response.";
    ERRORS = "likeness_errors_total", Kind::Counter,
        "Failed requests, by endpoint and error code.";
    APP_REQUESTS = "likeness_app_requests_total", Kind::Counter,
        "Requests with valid credentials, by app and class of the HTTP status. Apps after the first 100 are counted as `other`.";
    HTTP_REQUESTS = "likeness_http_requests_total", Kind::Counter,
        "Requests, by HTTP version.";
    REQUEST_SECONDS = "likeness_request_duration_seconds", Kind::Histogram(REQUEST_BUCKETS),
        "Time from a verification's headers to its response, by endpoint and class of the HTTP status.";
    STAGE_SECONDS = "likeness_stage_duration_seconds", Kind::Histogram(STAGE_BUCKETS),
        "Time of each stage of a verification, by endpoint and stage.";
    DECISIONS = "likeness_decisions_total", Kind::Counter,
        "Completed verifications, by endpoint and outcome.";
    DECISION_CODES = "likeness_decision_codes_total", Kind::Counter,
        "Decision lines, by code.";
    FACE_MATCH = "likeness_face_match_score", Kind::Histogram(SCORE_BUCKETS),
        "Match confidence of completed verifications.";
    LIVENESS = "likeness_liveness_score", Kind::Histogram(SCORE_BUCKETS),
        "Liveness score of completed verifications, by endpoint.";
    FACES = "likeness_picture_faces", Kind::Histogram(FACES_BUCKETS),
        "Faces found in an image, by image.";
    UPLOAD_BYTES = "likeness_upload_size_bytes", Kind::Histogram(UPLOAD_BUCKETS),
        "Size of an uploaded file, by image.";
    REFUSALS = "likeness_quota_refusals_total", Kind::Counter,
        "Requests refused by a limit of their app, by limit.";
    RELOADS = "likeness_reloads_total", Kind::Counter,
        "Reloads of models and settings, by what and outcome.";
    ADMITTED = "likeness_admitted_requests", Kind::Gauge,
        "Admitted verifications, until the last work for them has ended.";
    ADMITTED_MAX = "likeness_admitted_requests_max", Kind::Gauge,
        "Most verifications admitted at the same time; more get 503.";
    QUEUED = "likeness_queued_requests", Kind::Gauge,
        "Verifications waiting in the work queue, after their body was read.";
    WORKERS = "likeness_workers", Kind::Gauge,
        "Workers: verifications that the engine processes at the same time.";
    WORKERS_BUSY = "likeness_workers_busy", Kind::Gauge,
        "Workers processing a verification.";
    WORKERS_OVERDUE = "likeness_workers_overdue", Kind::Gauge,
        "Workers still processing a verification whose deadline has passed.";
    SESSIONS_BUSY = "likeness_engine_sessions_busy", Kind::Gauge,
        "Sets of model sessions in use by the current engine; each worker has one.";
    CONNECTIONS = "likeness_connections", Kind::Gauge,
        "Open connections, by port.";
    CONNECTIONS_MAX = "likeness_connections_max", Kind::Gauge,
        "Most connections open at the same time, by port; more wait in the listening queue.";
    READY = "likeness_ready", Kind::Gauge,
        "1: /readyz returns 200. 0: the service is shutting down, or every worker is past its deadline.";
    APPS = "likeness_apps", Kind::Gauge,
        "Apps known to the service.";
    BUILD = "likeness_build_info", Kind::Gauge,
        "1; the labels describe the build.";
    MODEL = "likeness_model_info", Kind::Gauge,
        "1; the labels describe the current models and calibrations.";
    RUNTIME_TASKS = "likeness_runtime_tasks", Kind::Gauge,
        "Live tasks of the asynchronous runtime.";
    RUNTIME_QUEUE = "likeness_runtime_queued_tasks", Kind::Gauge,
        "Tasks waiting for a thread of the asynchronous runtime.";
    AUDIT_LAG = "likeness_audit_lag_seconds", Kind::Gauge,
        "Age of the oldest audit record that is not in the database yet.";
    AUDIT_PENDING = "likeness_audit_pending_rows", Kind::Gauge,
        "Audit records that are not in the database yet.";
    AUDIT_LOST = "likeness_audit_lost_rows_total", Kind::Counter,
        "Audit records lost: neither in the database nor on disk.";
    STORAGE_UP = "likeness_storage_up", Kind::Gauge,
        "0: the last three reads, or the last three writes, of the database failed. 1 otherwise.";
    STORAGE_ERRORS = "likeness_storage_errors_total", Kind::Counter,
        "Failed database operations, by operation.";
    CERTIFICATE = "likeness_tls_certificate_not_after_timestamp_seconds", Kind::Gauge,
        "When the served certificate expires, in seconds since 1970.";
}

/// A liveness check takes about 20 ms, a verification about 30 ms, group photographs up to 2 s; the deadline is 10 s.
const REQUEST_BUCKETS: &[f64] = &[
    0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// From 0.3 ms (quality) over 2 to 8 ms (the models) to 18 ms (a progressive JPEG) and 70 ms (a WebP); waiting: the deadline.
const STAGE_BUCKETS: &[f64] = &[
    0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 1.0, 10.0,
];

/// Thresholds have two decimals and lie anywhere: twenty steps show where the mass is and whether it moves.
const SCORE_BUCKETS: &[f64] = &[
    0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95,
    1.0,
];

/// 64 is the default of `safety.max_faces`.
const FACES_BUCKETS: &[f64] = &[0.0, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 64.0];

/// From a thumbnail to the default of `limits.file_bytes`.
const UPLOAD_BUCKETS: &[f64] = &[
    16_384.0,
    65_536.0,
    131_072.0,
    262_144.0,
    524_288.0,
    1_048_576.0,
    2_097_152.0,
    4_194_304.0,
    8_388_608.0,
    15_728_640.0,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions_of_prometheus() {
        for (index, metric) in ALL.iter().enumerate() {
            let Metric { name, kind, help } = metric;
            assert!(name.starts_with("likeness_"), "{name}");
            assert!(
                name.bytes()
                    .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
            );
            assert_eq!(*kind == Kind::Counter, name.ends_with("_total"), "{name}");
            assert!(help.ends_with('.'), "{name}");
            assert!(ALL[..index].iter().all(|other| other.name != *name), "{name}");
            if let Kind::Histogram(bounds) = kind {
                assert!(bounds.is_sorted_by(|a, b| a < b), "{name}");
            }
        }
    }

    #[test]
    fn each_metric_has_a_row_in_the_documentation() {
        let guide = include_str!("../../../../../docs/operate.md");
        for metric in ALL {
            let row = format!("| `{}`", metric.name);
            assert!(guide.contains(&row), "docs/operate.md has no row {row}");
        }
    }
}
