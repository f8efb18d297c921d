//! The metrics of requests.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use likeness_api::ErrorCode;
use likeness_engine::Timings;
use likeness_engine::decision::Code;
use metrics::{Counter, Histogram, counter, histogram, with_local_recorder};
use metrics_exporter_prometheus::PrometheusRecorder;
use parking_lot::RwLock;

use super::catalog as name;
use super::labels::{CLASSES, LIMITS, OUTCOMES, Route, STAGES, STATUSES, VERSIONS, class, version};
use crate::endpoint::Endpoint;
use crate::telemetry::RequestContext;

/// Most apps that are counted by their ids. They are the operator's own, but each one costs some series.
const MAX_APPS: usize = 100;

const ENDPOINTS: [Endpoint; 2] = [Endpoint::Biometric, Endpoint::Liveness];
const IMAGES: [&str; 2] = ["selfie", "photo"];

/// Counters and histograms, each registered once. The outcomes of verifications are registered at the start, at 0, so that
/// the first error is an increase already; rarer ones are registered when they first occur.
#[derive(Debug)]
pub(super) struct Requests {
    recorder: Arc<PrometheusRecorder>,
    /// The last one of each counts all other statuses.
    by_status: [[OnceLock<Counter>; STATUSES.len() + 1]; Route::ALL.len()],
    by_error: [Vec<OnceLock<Counter>>; Route::ALL.len()],
    by_version: [Counter; VERSIONS.len()],
    apps: Apps,
    seconds: [[Histogram; CLASSES.len()]; ENDPOINTS.len()],
    stages: [[Histogram; STAGES.len()]; ENDPOINTS.len()],
    outcomes: [Counter; OUTCOMES.len()],
    codes: Vec<Counter>,
    face_match: Histogram,
    liveness: [Histogram; ENDPOINTS.len()],
    faces: [Histogram; IMAGES.len()],
    upload: [Histogram; IMAGES.len()],
    refusals: [Counter; LIMITS.len()],
}

impl Requests {
    pub(super) fn new(recorder: &Arc<PrometheusRecorder>) -> Self {
        let requests = with_local_recorder(recorder.as_ref(), || Self::register(recorder));
        for route in [Route::Biometric, Route::Liveness] {
            requests.status(route, 200);
            for (index, code) in ErrorCode::ALL.iter().enumerate() {
                if !matches!(
                    code,
                    ErrorCode::NotFound | ErrorCode::MethodNotAllowed | ErrorCode::NotReady
                ) {
                    requests.status(route, code.status());
                    requests.error(route, index);
                }
            }
        }
        requests
    }

    /// Registers with the local recorder, which must be this one.
    fn register(recorder: &Arc<PrometheusRecorder>) -> Self {
        let outcome = |(endpoint, _, outcome): (Endpoint, &str, &'static str)| counter!(name::DECISIONS, "endpoint" => endpoint.as_str(), "outcome" => outcome);
        let code = |code: &Code| counter!(name::DECISION_CODES, "code" => code.as_str());
        let liveness = |endpoint: Endpoint| histogram!(name::LIVENESS, "endpoint" => endpoint.as_str());
        Self {
            recorder: Arc::clone(recorder),
            by_status: Default::default(),
            by_error: Route::ALL.map(|_| ErrorCode::ALL.iter().map(|_| OnceLock::new()).collect()),
            by_version: VERSIONS.map(|version| counter!(name::HTTP_REQUESTS, "version" => version)),
            apps: Apps::new(),
            seconds: ENDPOINTS.map(|endpoint| by(name::REQUEST_SECONDS, endpoint, "class", CLASSES)),
            stages: ENDPOINTS.map(|endpoint| by(name::STAGE_SECONDS, endpoint, "stage", STAGES)),
            outcomes: OUTCOMES.map(outcome),
            codes: Code::ALL.iter().map(code).collect(),
            face_match: histogram!(name::FACE_MATCH),
            liveness: ENDPOINTS.map(liveness),
            faces: IMAGES.map(|image| histogram!(name::FACES, "picture" => image)),
            upload: IMAGES.map(|image| histogram!(name::UPLOAD_BYTES, "picture" => image)),
            refusals: LIMITS.map(|limit| counter!(name::REFUSALS, "limit" => limit)),
        }
    }

    /// Counts a request that has ended.
    pub(super) fn add(&self, request: &RequestContext) {
        let route = Route::of(request);
        self.status(route, request.status).increment(1);
        if let Some(counter) = self.by_version.get(version(request.version)) {
            counter.increment(1);
        }
        if let Some(error) = &request.error {
            let code = error.code();
            if let Some(index) = ErrorCode::ALL.iter().position(|known| *known == code) {
                self.error(route, index).increment(1);
            }
            if code == ErrorCode::LimitExceeded {
                self.refused(request.refused_by);
            }
        }
        let Some(endpoint) = request.endpoint else {
            return;
        };
        if let Some(app) = &request.app {
            self.apps.add(&self.recorder, app, class(request.status));
        }
        self.verification(endpoint, request);
    }

    fn verification(&self, endpoint: Endpoint, request: &RequestContext) {
        let endpoint_index = endpoint as usize;
        if let Some(histogram) = self
            .seconds
            .get(endpoint_index)
            .and_then(|classes| classes.get(class(request.status)))
        {
            histogram.record(request.total);
        }
        self.stages(endpoint_index, request);
        if let Some(outcome) = request.outcome
            && let Some(index) = OUTCOMES
                .iter()
                .position(|(of, known, _)| *of == endpoint && *known == outcome)
        {
            self.outcomes[index].increment(1);
        }
        for code in &request.codes {
            if let Some(index) = Code::ALL.iter().position(|known| known.as_str() == *code)
                && let Some(counter) = self.codes.get(index)
            {
                counter.increment(1);
            }
        }
        if let Some(face_match) = request.face_match {
            self.face_match.record(face_match);
        }
        if let Some(liveness) = request.liveness
            && let Some(histogram) = self.liveness.get(endpoint_index)
        {
            histogram.record(liveness);
        }
        for (index, image) in [request.selfie, request.photo].into_iter().enumerate() {
            if let Some(bytes) = image.bytes {
                self.upload[index].record(bytes as f64);
            }
            if let Some(faces) = image.faces {
                self.faces[index].record(faces as f64);
            }
        }
    }

    /// `body` is the time from the end of the headers to the end of the body; `queue` the wait for a worker thread and for
    /// model sessions; `other` the rest of the total. Stages that a request did not reach are not counted.
    fn stages(&self, endpoint: usize, request: &RequestContext) {
        let timings = request.timings;
        // A liveness check embeds nothing.
        let stage =
            |took: fn(&Timings) -> Duration| timings.as_ref().map(took).filter(|took| !took.is_zero());
        let known = [
            request.body_read,
            request.queued(),
            stage(|timings| timings.decode),
            stage(|timings| timings.detect),
            stage(|timings| timings.embed),
            stage(|timings| timings.liveness),
            stage(|timings| timings.quality),
            stage(|timings| timings.decide),
        ];
        let sum: Duration = known.iter().flatten().sum();
        let other = timings.map(|_| request.total.saturating_sub(sum));
        let Some(stages) = self.stages.get(endpoint) else {
            return;
        };
        for (histogram, took) in stages.iter().zip(known.into_iter().chain([other])) {
            if let Some(took) = took {
                histogram.record(took);
            }
        }
    }

    fn refused(&self, limit: Option<&'static str>) {
        let index = limit
            .and_then(|limit| LIMITS.iter().position(|known| *known == limit))
            .unwrap_or(LIMITS.len() - 1);
        self.refusals[index].increment(1);
    }

    fn status(&self, route: Route, status: u16) -> &Counter {
        let index = STATUSES.iter().position(|(known, _)| *known == status);
        let text = index.map_or("other", |index| STATUSES[index].1);
        self.by_status[route as usize][index.unwrap_or(STATUSES.len())].get_or_init(|| {
            with_local_recorder(
                &*self.recorder,
                || counter!(name::REQUESTS, "endpoint" => route.as_str(), "status" => text),
            )
        })
    }

    fn error(&self, route: Route, code: usize) -> &Counter {
        self.by_error[route as usize][code].get_or_init(|| {
            let code = ErrorCode::ALL[code].as_str();
            with_local_recorder(
                &*self.recorder,
                || counter!(name::ERRORS, "endpoint" => route.as_str(), "code" => code),
            )
        })
    }
}

/// The counters of the apps.
#[derive(Debug)]
struct Apps {
    known: RwLock<HashMap<String, [Counter; CLASSES.len()]>>,
}

impl Apps {
    fn new() -> Self {
        Self {
            known: RwLock::default(),
        }
    }

    fn add(&self, recorder: &PrometheusRecorder, app: &str, class: usize) {
        {
            let known = self.known.read();
            let full = known.len() >= MAX_APPS;
            let counters = known
                .get(app)
                .or_else(|| if full { known.get(OTHER_APPS) } else { None });
            if let Some(counters) = counters {
                counters[class].increment(1);
                return;
            }
        }
        let mut known = self.known.write();
        let app = if known.len() >= MAX_APPS { OTHER_APPS } else { app };
        let counters = known.entry(app.to_owned()).or_insert_with(|| {
            with_local_recorder(recorder, || {
                CLASSES.map(|class| counter!(name::APP_REQUESTS, "app" => app.to_owned(), "class" => class))
            })
        });
        counters[class].increment(1);
    }
}

/// The label of apps beyond [`MAX_APPS`]. An app of this name shares the counters.
const OTHER_APPS: &str = "other";

/// Registers histograms of one endpoint, one for each value of the label `key`.
fn by<const N: usize>(
    name: &'static str,
    endpoint: Endpoint,
    key: &'static str,
    values: [&'static str; N],
) -> [Histogram; N] {
    values.map(|value| histogram!(name, "endpoint" => endpoint.as_str(), key => value))
}
