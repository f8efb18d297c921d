//! One line of the log for each request. Ids, scores and decisions; never a picture, an embedding or a key.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, Method, StatusCode};
use likeness_api::{ApiError, Meta};
use likeness_engine::{LivenessCheck, Timings, Verification};
use tokio::time::Instant;

use crate::REQUEST_ID;

/// Longest `X-Request-ID` of a client that is logged, in bytes.
const MAX_CORRELATION_BYTES: usize = 128;
/// Longest path that is logged, in bytes.
const MAX_PATH_BYTES: usize = 128;
/// The status that a request is logged with whose client did not wait for the answer; nginx made it customary.
const CLIENT_GONE: u16 = 499;

/// What is known of a request so far. It travels with the request, and the handler adds to it.
#[derive(Debug, Clone)]
pub(crate) struct RequestLog {
    pub(crate) meta: Meta,
    pub(crate) started: Instant,
    facts: Arc<Mutex<Facts>>,
}

#[derive(Debug, Default)]
struct Facts {
    app: Option<String>,
    profile: Option<String>,
    error: Option<ApiError>,
    body_read: Option<Duration>,
    work_begun: Option<Duration>,
    timings: Option<Timings>,
    selfie_faces: Option<u64>,
    photo_faces: Option<u64>,
    face_match: Option<f64>,
    liveness: Option<f64>,
    outcome: Option<&'static str>,
}

impl RequestLog {
    pub(crate) fn begin() -> Self {
        Self {
            meta: Meta::now(),
            started: Instant::now(),
            facts: Arc::default(),
        }
    }

    pub(crate) fn app(&self, id: &str) {
        self.facts().app = Some(id.to_owned());
    }

    pub(crate) fn profile(&self, name: &str) {
        self.facts().profile = Some(name.to_owned());
    }

    pub(crate) fn body_read(&self) {
        self.facts().body_read = Some(self.started.elapsed());
    }

    pub(crate) fn work_begun(&self) {
        self.facts().work_begun = Some(self.started.elapsed());
    }

    pub(crate) fn error(&self, error: &ApiError) {
        self.facts().error = Some(error.clone());
    }

    pub(crate) fn verification(&self, verification: &Verification) {
        let mut facts = self.facts();
        facts.selfie_faces = Some(verification.selfie.faces_found as u64);
        facts.photo_faces = Some(verification.photo.faces_found as u64);
        facts.face_match = Some(verification.face_match.value());
        facts.liveness = Some(verification.liveness.value());
        facts.outcome = Some(verification.decision.outcome().as_str());
        facts.timings = Some(verification.timings);
    }

    pub(crate) fn liveness(&self, check: &LivenessCheck) {
        let mut facts = self.facts();
        facts.selfie_faces = Some(check.selfie.faces_found as u64);
        facts.liveness = Some(check.liveness.value());
        facts.outcome = Some(if check.live { "live" } else { "not live" });
        facts.timings = Some(check.timings);
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Facts {
    /// How long the request waited for a thread, and then for a worker of the engine.
    fn queued(&self) -> Option<Duration> {
        let for_thread = self.work_begun?.saturating_sub(self.body_read?);
        Some(for_thread + self.timings.map_or(Duration::ZERO, |timings| timings.queue))
    }
}

/// Writes the line when the request is answered, or when it is dropped because its client has gone.
pub(crate) struct Line {
    log: RequestLog,
    method: Method,
    path: String,
    correlation_id: Option<String>,
    quiet: bool,
    status: u16,
}

impl Line {
    pub(crate) fn new(log: RequestLog, method: &Method, path: &str, headers: &HeaderMap) -> Self {
        let path: String = path.chars().take(MAX_PATH_BYTES).collect();
        Self {
            log,
            method: method.clone(),
            // Probes come every few seconds.
            quiet: matches!(path.as_str(), "/healthz" | "/readyz"),
            path,
            correlation_id: correlation_id(headers),
            status: CLIENT_GONE,
        }
    }

    pub(crate) fn finish(mut self, status: StatusCode) {
        self.status = status.as_u16();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let facts = self.log.facts();
        let timings = facts.timings;
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "likeness::request",
                    request_id = %self.log.meta.id,
                    correlation_id = self.correlation_id.as_deref(),
                    app = facts.app.as_deref(),
                    method = self.method.as_str(),
                    endpoint = self.path.as_str(),
                    status = self.status,
                    error = facts.error.as_ref().map(|error| error.code().as_str()),
                    message = facts.error.as_ref().map(ApiError::message),
                    cause = facts.error.as_ref().and_then(ApiError::cause),
                    profile = facts.profile.as_deref(),
                    outcome = facts.outcome,
                    selfie_faces = facts.selfie_faces,
                    photo_faces = facts.photo_faces,
                    face_match = facts.face_match,
                    liveness = facts.liveness,
                    total_ms = millis(self.log.started.elapsed()),
                    body_ms = facts.body_read.map(millis),
                    queue_ms = facts.queued().map(millis),
                    decode_ms = timings.map(|timings| millis(timings.decode)),
                    detect_ms = timings.map(|timings| millis(timings.detect)),
                    embed_ms = timings.map(|timings| millis(timings.embed)),
                    liveness_ms = timings.map(|timings| millis(timings.liveness)),
                    quality_ms = timings.map(|timings| millis(timings.quality)),
                )
            };
        }
        match self.status {
            500 => line!(error),
            501.. => line!(warn),
            _ if self.quiet => line!(debug),
            _ => line!(info),
        }
    }
}

/// The client's own id of the request, where it is fit for a log.
fn correlation_id(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(REQUEST_ID).iter();
    let value = values.next()?.as_bytes();
    let fit = values.next().is_none()
        && (1..=MAX_CORRELATION_BYTES).contains(&value.len())
        && value.iter().all(|byte| matches!(byte, b' '..=b'~'));
    fit.then(|| String::from_utf8_lossy(value).into_owned())
}

fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_printable_ids_of_clients_are_taken() {
        let id = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(REQUEST_ID, HeaderValue::from_bytes(value).unwrap());
            }
            correlation_id(&headers)
        };
        assert_eq!(id(&[b"abc-1"]).as_deref(), Some("abc-1"));
        assert_eq!(id(&[&[b'x'; 128]]).map(|id| id.len()), Some(128));
        assert_eq!(id(&[&[b'x'; 129]]), None);
        assert_eq!(id(&[b"caf\xe9"]), None);
        assert_eq!(id(&[b"a\tb"]), None);
        assert_eq!(id(&[b""]), None);
        assert_eq!(id(&[b"a", b"b"]), None);
        assert_eq!(id(&[]), None);
    }
}
