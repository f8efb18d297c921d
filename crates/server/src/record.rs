//! What is known of a request when it has ended, and who is told.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, Method, StatusCode, Version};
use likeness_api::{ApiError, ErrorCode, Meta};
use likeness_engine::{EngineLabels, ImageReport, Timings};

use crate::REQUEST_ID;
use crate::audit::Audit;
use crate::client_address::Proxies;
use crate::handlers::Endpoint;
use crate::metrics::Metrics;
use crate::refusal_lines::RefusalLines;
use crate::request_log::RequestLog;

/// Longest `X-Request-ID` of a client that is kept, in bytes.
const MAX_CORRELATION_BYTES: usize = 128;
/// Longest path that is kept, in bytes.
const MAX_PATH_BYTES: usize = 128;
/// The status that a request is recorded with whose client did not wait for the answer; nginx made it customary.
pub(crate) const CLIENT_GONE: u16 = 499;

/// A request that has ended.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) meta: Meta,
    /// The client's own id of the request.
    pub(crate) correlation_id: Option<String>,
    pub(crate) method: Method,
    /// As it was asked for, cut where it is long.
    pub(crate) path: String,
    pub(crate) version: Version,
    pub(crate) status: u16,
    /// From the end of the request's headers to its answer.
    pub(crate) total: Duration,
    pub(crate) facts: Facts,
    /// The span of the client that the request belongs to.
    #[cfg(feature = "otel")]
    pub(crate) parent: crate::traces::Parent,
}

/// What handlers found out.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// Which verification was asked for; `None` for all other paths.
    pub(crate) endpoint: Option<Endpoint>,
    /// Who called, as far as trusted proxies tell.
    pub(crate) client: Option<IpAddr>,
    pub(crate) app: Option<String>,
    pub(crate) profile: Option<String>,
    pub(crate) error: Option<ApiError>,
    /// Of a request over its app's limits: which one, `rate`, `concurrent`, `daily` or `monthly`.
    pub(crate) refused_by: Option<&'static str>,
    /// When the body had come, after the request's begin.
    pub(crate) body_read: Option<Duration>,
    /// When a thread took the request up, likewise.
    pub(crate) work_begun: Option<Duration>,
    pub(crate) timings: Option<Timings>,
    /// What judged.
    pub(crate) models: Option<Models>,
    pub(crate) selfie: Picture,
    pub(crate) photo: Picture,
    pub(crate) face_match: Option<f64>,
    pub(crate) liveness: Option<f64>,
    /// Of a liveness verification.
    pub(crate) threshold: Option<f64>,
    pub(crate) outcome: Option<&'static str>,
    /// Codes of the decision's lines.
    pub(crate) codes: Vec<&'static str>,
}

/// What is known of one of the two pictures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) bytes: Option<u64>,
    /// Width and height of the upright picture, in pixels.
    pub(crate) size: Option<(u32, u32)>,
    pub(crate) faces: Option<u64>,
}

/// Which models judged a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Models {
    pub(crate) pack: String,
    pub(crate) pack_version: String,
    pub(crate) pack_digest: String,
    pub(crate) match_calibration: String,
    pub(crate) liveness_calibration: String,
}

impl Models {
    pub(crate) fn of(info: &EngineLabels) -> Self {
        Self {
            pack: info.pack.clone(),
            pack_version: info.pack_version.clone(),
            pack_digest: info.pack_digest.clone(),
            match_calibration: info.match_calibration.clone(),
            liveness_calibration: info.liveness_calibration.clone(),
        }
    }
}

impl Picture {
    pub(crate) fn found(&mut self, report: &ImageReport) {
        self.size = Some((report.size.width, report.size.height));
        self.faces = Some(report.faces_found as u64);
    }
}

impl Facts {
    /// How long the request waited for a thread, and then for a worker of the engine.
    pub(crate) fn queued(&self) -> Option<Duration> {
        let for_thread = self.work_begun?.saturating_sub(self.body_read?);
        Some(for_thread + self.timings.map_or(Duration::ZERO, |timings| timings.queue))
    }
}

/// A time as records write it: milliseconds, to the microsecond.
pub(crate) fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// Those who hear of every request that has ended. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Observers {
    pub(crate) audit: Option<Audit>,
    pub(crate) proxies: Proxies,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) refusal_lines: Arc<RefusalLines>,
    /// Set where traces are exported.
    #[cfg(feature = "otel")]
    pub(crate) traces: Arc<std::sync::OnceLock<crate::traces::Traces>>,
}

impl Observers {
    fn ended(&self, record: &Record) {
        self.metrics.add(record);
        #[cfg(feature = "otel")]
        if let Some(traces) = self.traces.get() {
            traces.add(record);
        }
        if self.refusal_lines.admit(record) {
            crate::request_line::write(record);
        }
    }
}

/// Sees to it that the observers hear of a request when it is answered, or when it is dropped because its client has
/// gone.
pub(crate) struct Observed {
    observers: Observers,
    log: RequestLog,
    method: Method,
    path: String,
    version: Version,
    correlation_id: Option<String>,
    status: u16,
    #[cfg(feature = "otel")]
    parent: crate::traces::Parent,
    /// The record of a request that has an answer, until the observers have heard of it.
    answered: Option<Record>,
    is_ended: bool,
}

impl Observed {
    pub(crate) fn new(
        observers: Observers,
        log: RequestLog,
        method: &Method,
        path: &str,
        version: Version,
        headers: &HeaderMap,
    ) -> Self {
        Self {
            observers,
            log,
            method: method.clone(),
            path: path.chars().take(MAX_PATH_BYTES).collect(),
            version,
            correlation_id: correlation_id(headers),
            status: CLIENT_GONE,
            #[cfg(feature = "otel")]
            parent: crate::traces::Parent::of(headers),
            answered: None,
            is_ended: false,
        }
    }

    /// The address of who called, where the connection is with `peer`.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        self.observers.proxies.client(peer, headers)
    }

    /// Tells the observers of the answer. Whether it may go out: not where it has to be recorded first, and is not.
    pub(crate) async fn finish(mut self, status: StatusCode) -> bool {
        self.status = status.as_u16();
        let record = self.record();
        self.is_ended = true;
        let mut may_go = true;
        if let Some(audit) = self.observers.audit.clone()
            && record.facts.endpoint.is_some()
        {
            let pending = audit.submit(&record);
            self.answered = Some(record);
            may_go = audit.wait(pending).await;
        } else {
            self.answered = Some(record);
        }
        if let Some(mut record) = self.answered.take() {
            if !may_go {
                let error = ApiError::from(ErrorCode::NotReady);
                record.status = error.code().status();
                record.facts.error = Some(error.with_cause("it could not be recorded in the audit"));
            }
            // A result that is withheld is none.
            self.log.settle(record.status);
            self.observers.ended(&record);
        }
        may_go
    }

    fn record(&mut self) -> Record {
        Record {
            meta: self.log.meta,
            correlation_id: self.correlation_id.take(),
            method: self.method.clone(),
            path: std::mem::take(&mut self.path),
            version: self.version,
            status: self.status,
            total: self.log.started.elapsed(),
            facts: self.log.take(),
            #[cfg(feature = "otel")]
            parent: self.parent.clone(),
        }
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        if let Some(mut record) = self.answered.take() {
            // The client went away while its answer waited to be recorded.
            record.status = CLIENT_GONE;
            self.observers.ended(&record);
        } else if !self.is_ended {
            let record = self.record();
            if let Some(audit) = &self.observers.audit {
                audit.record(&record);
            }
            self.observers.ended(&record);
        }
    }
}

/// The client's own id of the request, where it is fit for a log.
pub(crate) fn correlation_id(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(REQUEST_ID).iter();
    let value = values.next()?.as_bytes();
    let fit = values.next().is_none()
        && (1..=MAX_CORRELATION_BYTES).contains(&value.len())
        && value.iter().all(|byte| matches!(byte, b' '..=b'~'));
    fit.then(|| String::from_utf8_lossy(value).into_owned())
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
