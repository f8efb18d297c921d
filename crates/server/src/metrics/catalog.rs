//! What is measured: the name, the kind and the help of each metric, in one table.

use super::buckets;

/// What a number can do, as Prometheus tells them apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// Only grows, from 0 at the start.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts in buckets with these upper bounds.
    Histogram(&'static [f64]),
}

/// One metric.
#[derive(Debug, Clone, Copy)]
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
}

/// Makes a constant of each name, and the table.
macro_rules! metrics {
    ($($constant:ident = $name:literal, $kind:expr, $help:literal;)+) => {
        $(pub(super) const $constant: &str = $name;)+

        /// Every metric of this service's own; those of the process have their names from `metrics-process`.
        pub(super) const ALL: &[Metric] = &[$(Metric { name: $name, kind: $kind, help: $help },)+];
    };
}

metrics! {
    REQUESTS = "likeness_requests_total", Kind::Counter,
        "Requests that have ended, by endpoint and HTTP status; 499: the client did not wait.";
    ERRORS = "likeness_errors_total", Kind::Counter,
        "Requests that were not answered, by endpoint and code of the error.";
    APP_REQUESTS = "likeness_app_requests_total", Kind::Counter,
        "Requests with valid credentials, by app and class of the HTTP status. Apps beyond the first hundred are other.";
    HTTP_REQUESTS = "likeness_http_requests_total", Kind::Counter,
        "Requests by version of HTTP.";
    REQUEST_SECONDS = "likeness_request_duration_seconds", Kind::Histogram(buckets::REQUEST_SECONDS),
        "From the end of a verification's headers to its answer, by endpoint and class of the HTTP status.";
    STAGE_SECONDS = "likeness_stage_duration_seconds", Kind::Histogram(buckets::STAGE_SECONDS),
        "Parts of a verification's time, by endpoint and stage.";
    DECISIONS = "likeness_decisions_total", Kind::Counter,
        "Verifications that were answered, by endpoint and outcome.";
    DECISION_CODES = "likeness_decision_codes_total", Kind::Counter,
        "Lines of decisions, by code.";
    FACE_MATCH = "likeness_face_match_score", Kind::Histogram(buckets::SCORE),
        "Match confidence of verifications that were answered.";
    LIVENESS = "likeness_liveness_score", Kind::Histogram(buckets::SCORE),
        "Liveness of verifications that were answered, by endpoint.";
    FACES = "likeness_picture_faces", Kind::Histogram(buckets::FACES),
        "Faces found in a picture, by picture.";
    UPLOAD_BYTES = "likeness_upload_size_bytes", Kind::Histogram(buckets::UPLOAD_BYTES),
        "Size of an uploaded file, by picture.";
    REFUSALS = "likeness_quota_refusals_total", Kind::Counter,
        "Requests that were refused because of their app's limits, by limit.";
    RELOADS = "likeness_reloads_total", Kind::Counter,
        "Times that models or settings were read again, by what and outcome.";
    ADMITTED = "likeness_admitted_requests", Kind::Gauge,
        "Verifications that are let in at this moment, until the last work for them has ended.";
    ADMITTED_MAX = "likeness_admitted_requests_max", Kind::Gauge,
        "Verifications that are let in at the same time; those beyond get 503.";
    QUEUED = "likeness_queued_requests", Kind::Gauge,
        "Verifications whose body has come and that wait for a thread.";
    WORKERS = "likeness_workers", Kind::Gauge,
        "Verifications that the engine can work on at the same time.";
    WORKERS_BUSY = "likeness_workers_busy", Kind::Gauge,
        "Threads that work on a verification.";
    WORKERS_OVERDUE = "likeness_workers_overdue", Kind::Gauge,
        "Threads that still work on a verification whose deadline has passed.";
    SESSIONS_BUSY = "likeness_engine_sessions_busy", Kind::Gauge,
        "Sets of model sessions of the serving engine that are in use; there is one for each worker.";
    CONNECTIONS = "likeness_connections", Kind::Gauge,
        "Open connections, by port.";
    CONNECTIONS_MAX = "likeness_connections_max", Kind::Gauge,
        "Open connections at the same time, by port; those beyond wait in the listening queue.";
    READY = "likeness_ready", Kind::Gauge,
        "1: /readyz answers 200. 0: the service is stopping, or every worker is past its deadline.";
    APPS = "likeness_apps", Kind::Gauge,
        "Apps that are known to the service.";
    BUILD = "likeness_build_info", Kind::Gauge,
        "1, with what the program was built from.";
    MODEL = "likeness_model_info", Kind::Gauge,
        "1, with the models and calibrations that answer now.";
    RUNTIME_TASKS = "likeness_runtime_tasks", Kind::Gauge,
        "Tasks of the asynchronous runtime that have not ended.";
    RUNTIME_QUEUE = "likeness_runtime_queued_tasks", Kind::Gauge,
        "Tasks of the asynchronous runtime that wait for one of its threads.";
    AUDIT_LAG = "likeness_audit_lag_seconds", Kind::Gauge,
        "Age of the oldest audit record that is not in the store yet.";
    AUDIT_PENDING = "likeness_audit_pending_rows", Kind::Gauge,
        "Audit records that are not in the store yet.";
    AUDIT_LOST = "likeness_audit_lost_rows_total", Kind::Counter,
        "Audit records that could be kept neither in the store nor on disk.";
    STORAGE_UP = "likeness_storage_up", Kind::Gauge,
        "0: of the calls to the store that read, or that write, the last three were not done. 1 otherwise.";
    STORAGE_ERRORS = "likeness_storage_errors_total", Kind::Counter,
        "Calls that the store did not do, by operation.";
    CERTIFICATE = "likeness_tls_certificate_not_after_timestamp_seconds", Kind::Gauge,
        "When the certificate that is served expires, in seconds since 1970.";
}

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
    fn the_documentation_has_a_row_for_each() {
        let guide = include_str!("../../../../docs/operate.md");
        for metric in ALL {
            let row = format!("| `{}`", metric.name);
            assert!(guide.contains(&row), "docs/operate.md has no row {row}");
        }
    }
}
