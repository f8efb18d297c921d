//! The context of a request: ids, scores and decisions. Never an image, an embedding or a key.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, Method, Request, Version};
use likeness_api::{ApiError, Meta};
use likeness_engine::decision::{Code, Score};
use likeness_engine::embedding::Similarity;
use likeness_engine::{Engine, ImageReport, LivenessCheck, Timings, Verification};
use parking_lot::Mutex;
use smart_default::SmartDefault;
use tokio::time::Instant;

use crate::access::limits::Taken;
use crate::audit::{self, CLIENT_GONE, ImageFacts};
use crate::endpoint::Endpoint;

/// The header that carries `api_req_uid` in responses and, in requests, an id of the client's.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The header that returns a client's own id.
pub(crate) const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
/// Longest `X-Request-ID` of a client that is kept, in bytes.
const MAX_CORRELATION_BYTES: usize = 128;
const MAX_PATH_BYTES: usize = 128;

/// The context of a request that is being handled: its handler and its worker add to it.
pub(crate) type SharedContext = Arc<Mutex<RequestContext>>;

/// All that is known of a request, from its headers to its end.
#[derive(Debug, SmartDefault)]
pub(crate) struct RequestContext {
    #[default(Meta::now())]
    pub(crate) meta: Meta,
    #[default(Instant::now())]
    pub(crate) started: Instant,
    pub(crate) correlation_id: Option<String>,
    /// The client's address, as far as trusted proxies tell.
    pub(crate) client: Option<IpAddr>,
    pub(crate) method: Method,
    /// As requested, without the base path, truncated if it is long.
    pub(crate) path: String,
    pub(crate) version: Version,
    /// The client's span that the request belongs to.
    #[cfg(feature = "otel")]
    pub(crate) parent: opentelemetry::Context,
    /// `None` for all paths but those of verifications.
    pub(crate) endpoint: Option<Endpoint>,
    /// Whether it was tried in the console: it has no app.
    pub(crate) is_console: bool,
    pub(crate) app: Option<String>,
    /// The unit of the app's quotas that the request has used.
    pub(crate) usage: Option<Taken>,
    /// The app's limit that refused the request: `rate`, `concurrent`, `daily` or `monthly`.
    pub(crate) refused_by: Option<&'static str>,
    pub(crate) profile: Option<String>,
    /// When the body was complete, after `started`.
    pub(crate) body_read: Option<Duration>,
    /// When a worker began, after `started`.
    pub(crate) work_begun: Option<Duration>,
    pub(crate) engine: Option<Engine>,
    pub(crate) timings: Option<Timings>,
    pub(crate) selfie: ImageFacts,
    pub(crate) photo: ImageFacts,
    pub(crate) face_match: Option<f64>,
    pub(crate) similarity: Option<Similarity>,
    pub(crate) liveness: Option<f64>,
    /// Of a liveness verification.
    pub(crate) threshold: Option<f64>,
    pub(crate) outcome: Option<&'static str>,
    pub(crate) codes: Vec<&'static str>,
    pub(crate) error: Option<ApiError>,
    /// HTTP status of the response, [`CLIENT_GONE`] until there is one.
    #[default(CLIENT_GONE)]
    pub(crate) status: u16,
    /// From the end of the request's headers to its response.
    pub(crate) total: Duration,
}

/// Returns the client's span, as the headers `traceparent` and `tracestate` name it (W3C Trace Context).
#[cfg(feature = "otel")]
fn parent(headers: &HeaderMap) -> opentelemetry::Context {
    use opentelemetry::propagation::TextMapPropagator;

    let headers = opentelemetry_http::HeaderExtractor(headers);
    let propagator = opentelemetry_sdk::propagation::TraceContextPropagator::new();
    propagator.extract_with_context(&opentelemetry::Context::new(), &headers)
}

impl RequestContext {
    pub(crate) fn new<B>(request: &Request<B>) -> Self {
        Self {
            correlation_id: correlation_id(request.headers()),
            method: request.method().clone(),
            path: request.uri().path().chars().take(MAX_PATH_BYTES).collect(),
            version: request.version(),
            #[cfg(feature = "otel")]
            parent: parent(request.headers()),
            ..Self::default()
        }
    }

    /// Returns the context of a request that has ended, 30 ms after it began.
    #[cfg(test)]
    pub(crate) fn ended(endpoint: Endpoint, status: u16) -> Self {
        let path = format!("/v0.2/{}", endpoint.as_str());
        let request = Request::post(path).body(()).unwrap();
        Self {
            endpoint: Some(endpoint),
            status,
            total: Duration::from_millis(30),
            ..Self::new(&request)
        }
    }

    pub(crate) fn uploaded(&mut self, selfie: &[u8], photo: Option<&[u8]>) {
        self.selfie.bytes = Some(selfie.len() as u64);
        self.photo.bytes = photo.map(|photo| photo.len() as u64);
    }

    /// Records that a worker begins, with this engine.
    pub(crate) fn work_begins(&mut self, engine: &Engine) {
        self.work_begun = Some(self.started.elapsed());
        self.engine = Some(engine.clone());
    }

    pub(crate) fn verified(&mut self, verification: &Verification) {
        found(&mut self.selfie, &verification.selfie);
        found(&mut self.photo, &verification.photo);
        let details = verification.decision.details.iter();
        self.codes = details.map(|detail| detail.code.as_str()).collect();
        self.similarity = verification.similarity;
        self.face_match = Some(verification.face_match.map_or(0.0, Score::value));
        self.liveness = Some(verification.liveness.map_or(0.0, Score::value));
        self.outcome = Some(verification.decision.outcome().as_str());
        self.timings = Some(verification.timings);
    }

    pub(crate) fn liveness_checked(&mut self, check: &LivenessCheck) {
        found(&mut self.selfie, &check.selfie);
        self.codes = check.codes().map(Code::as_str).collect();
        self.threshold = Some(check.threshold);
        self.liveness = Some(check.liveness.map_or(0.0, Score::value));
        self.outcome = Some(if check.live { "live" } else { "not live" });
        self.timings = Some(check.timings);
    }

    /// Returns the time of each stage that was reached: reading the body, waiting for a worker and sessions, those of the engine.
    pub(crate) fn stages(&self) -> impl Iterator<Item = (&'static str, Duration)> {
        let engine = self.engine_stages();
        // A liveness check embeds nothing.
        let engine = engine
            .into_iter()
            .filter(|(_, time)| time.is_some_and(|time| !time.is_zero()));
        [("body", self.body_read), ("queue", self.queued())]
            .into_iter()
            .chain(engine)
            .filter_map(|(stage, time)| Some((stage, time?)))
    }

    fn engine_stages(&self) -> [(&'static str, Option<Duration>); 6] {
        let stage = |time: fn(&Timings) -> Duration| self.timings.as_ref().map(time);
        [
            ("decode", stage(|timings| timings.decode)),
            ("detect", stage(|timings| timings.detect)),
            ("embed", stage(|timings| timings.embed)),
            ("liveness", stage(|timings| timings.liveness)),
            ("quality", stage(|timings| timings.quality)),
            ("decide", stage(|timings| timings.decide)),
        ]
    }

    /// Returns the event of this request in the audit.
    pub(crate) fn audit_event(&self) -> audit::Verification<'_> {
        let info = self.engine.as_ref().map(Engine::labels);
        let [engine @ .., _decide] = self.engine_stages();
        let times = [
            ("total", Some(self.total)),
            ("body", self.body_read),
            ("queue", self.queued()),
        ];
        let times = times.into_iter().chain(engine);
        audit::Verification {
            request_id: self.meta.id.to_string(),
            correlation_id: self.correlation_id.as_deref(),
            client: self.client,
            app: self.app.as_deref(),
            endpoint: self.endpoint.map(Endpoint::as_str),
            source: self.is_console.then_some("console"),
            path: &self.path,
            profile: self.profile.as_deref(),
            pack: info.map(|info| info.pack.as_str()),
            pack_version: info.map(|info| info.pack_version.as_str()),
            pack_digest: info.map(|info| info.pack_digest.as_str()),
            match_calibration: info.map(|info| info.match_calibration.as_str()),
            liveness_calibration: info.map(|info| info.liveness_calibration.as_str()),
            cohort: info.map(|info| info.cohort.as_str()),
            selfie: self.selfie,
            photo: self.photo,
            face_match: self.face_match,
            cosine: self.similarity.map(|similarity| millionths(similarity.cosine)),
            normalised_similarity: self
                .similarity
                .and_then(|similarity| similarity.normalised.map(millionths)),
            liveness: self.liveness,
            threshold: self.threshold,
            outcome: self.outcome,
            codes: &self.codes,
            status: self.status,
            error: self.error.as_ref().map(ApiError::code),
            limit: self.refused_by,
            ms: times.map(|(stage, time)| (stage, time.map(millis))).collect(),
        }
    }

    /// Returns how long the request waited for a worker thread, and then for model sessions of the engine.
    pub(crate) fn queued(&self) -> Option<Duration> {
        let for_thread = self.work_begun?.saturating_sub(self.body_read?);
        Some(for_thread + self.timings.map_or(Duration::ZERO, |timings| timings.queue))
    }
}

fn found(image: &mut ImageFacts, report: &ImageReport) {
    (image.width, image.height) = (Some(report.size.width), Some(report.size.height));
    image.faces = Some(report.faces_found as u64);
    image.rotation = Some(report.rotation_degrees());
}

/// Returns a similarity as audit records write it, to six decimals.
fn millionths(similarity: f32) -> f64 {
    (f64::from(similarity) * 1e6).round() / 1e6
}

/// Returns a duration as logs and audit records write it: milliseconds, to the microsecond.
pub(crate) fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// Returns the client's own id of the request, if it is fit for a log.
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
    fn only_one_short_printable_correlation_id_is_kept() {
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
