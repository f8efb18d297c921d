//! The metrics of requests. No label has a value from a client.

use std::time::Duration;

use axum::http::Version;
use likeness_api::ErrorCode;
use likeness_engine::decision::Code;
use metrics::{counter, histogram};

use super::catalog as name;
use crate::endpoint::Endpoint;
use crate::telemetry::RequestContext;

const CLASSES: [&str; 3] = ["2xx", "4xx", "5xx"];
const VERSIONS: [&str; 3] = ["1.0", "1.1", "2"];
const IMAGES: [&str; 2] = ["selfie", "photo"];
const LIMITS: [&str; 5] = ["rate", "concurrent", "daily", "monthly", OTHER];
const OUTCOMES: [(Endpoint, &str); 6] = [
    (Endpoint::Biometric, "pass"),
    (Endpoint::Biometric, "warning"),
    (Endpoint::Biometric, "review"),
    (Endpoint::Biometric, "reject"),
    (Endpoint::Liveness, "live"),
    (Endpoint::Liveness, "not_live"),
];
/// The stages of [`RequestContext::stages`], and the rest of the total.
const STAGES: [&str; 9] = [
    "body", "queue", "decode", "detect", "embed", "liveness", "quality", "decide", OTHER,
];
/// The label of what is asked of the console, verifications that are tried there included.
const CONSOLE: &str = "console";
/// The label of anything that is not counted by a name of its own.
pub(super) const OTHER: &str = "other";

/// Registers, at 0, all but rare series, so that the first error is an increase already. Needs a local recorder.
pub(super) fn register() {
    for version in VERSIONS {
        let _ = counter!(name::HTTP_REQUESTS, "version" => version);
    }
    for limit in LIMITS {
        let _ = counter!(name::REFUSALS, "limit" => limit);
    }
    for (endpoint, outcome) in OUTCOMES {
        let _ = counter!(name::DECISIONS, "endpoint" => endpoint.as_str(), "outcome" => outcome);
    }
    for code in Code::ALL {
        let _ = counter!(name::DECISION_CODES, "code" => code.as_str());
    }
    let _ = histogram!(name::FACE_MATCH);
    for image in IMAGES {
        let _ = histogram!(name::FACES, "picture" => image);
        let _ = histogram!(name::UPLOAD_BYTES, "picture" => image);
    }
    for endpoint in Endpoint::ALL.map(Endpoint::as_str) {
        let _ = histogram!(name::LIVENESS, "endpoint" => endpoint);
        for class in CLASSES {
            let _ = histogram!(name::REQUEST_SECONDS, "endpoint" => endpoint, "class" => class);
        }
        for stage in STAGES {
            let _ = histogram!(name::STAGE_SECONDS, "endpoint" => endpoint, "stage" => stage);
        }
        let _ = counter!(name::REQUESTS, "endpoint" => endpoint, "status" => "200");
        for code in ErrorCode::ALL {
            if !matches!(
                code,
                ErrorCode::NotFound | ErrorCode::MethodNotAllowed | ErrorCode::NotReady
            ) {
                let status = code.status().to_string();
                let _ = counter!(name::REQUESTS, "endpoint" => endpoint, "status" => status);
                let _ = counter!(name::ERRORS, "endpoint" => endpoint, "code" => code.as_str());
            }
        }
    }
}

/// Registers the series of an app. To be called with a local recorder.
pub(super) fn register_app(app: &str) {
    for class in CLASSES {
        let _ = counter!(name::APP_REQUESTS, "app" => app.to_owned(), "class" => class);
    }
}

/// Counts a request that has ended; `app` is the label of its app. To be called with a local recorder.
pub(super) fn count(request: &RequestContext, app: Option<&str>) {
    let route = route(request);
    counter!(name::REQUESTS, "endpoint" => route, "status" => request.status.to_string()).increment(1);
    let version = match request.version {
        Version::HTTP_2 => VERSIONS[2],
        Version::HTTP_11 => VERSIONS[1],
        _ => VERSIONS[0],
    };
    counter!(name::HTTP_REQUESTS, "version" => version).increment(1);
    if let Some(code) = request.error.as_ref().map(likeness_api::ApiError::code) {
        counter!(name::ERRORS, "endpoint" => route, "code" => code.as_str()).increment(1);
        if code == ErrorCode::LimitExceeded {
            let limit = request.refused_by.filter(|limit| LIMITS.contains(limit));
            counter!(name::REFUSALS, "limit" => limit.unwrap_or(OTHER)).increment(1);
        }
    }
    // What is tried in the console has a label of its own, so that it moves no series of apps.
    let endpoint = request.endpoint.map(Endpoint::as_str);
    let Some(endpoint) = endpoint.map(|endpoint| if request.is_console { CONSOLE } else { endpoint }) else {
        return;
    };
    let class = match request.status {
        ..400 => CLASSES[0],
        400..500 => CLASSES[1],
        500.. => CLASSES[2],
    };
    if let Some(app) = app {
        counter!(name::APP_REQUESTS, "app" => app.to_owned(), "class" => class).increment(1);
    }
    histogram!(name::REQUEST_SECONDS, "endpoint" => endpoint, "class" => class).record(request.total);
    let sum: Duration = request.stages().map(|(_, time)| time).sum();
    let other = (OTHER, request.total.saturating_sub(sum));
    for (stage, time) in request.stages().chain(request.timings.map(|_| other)) {
        histogram!(name::STAGE_SECONDS, "endpoint" => endpoint, "stage" => stage).record(time);
    }
    if request.is_console {
        return;
    }
    if let Some(outcome) = request.outcome {
        let outcome = if outcome == "not live" {
            "not_live"
        } else {
            outcome
        };
        counter!(name::DECISIONS, "endpoint" => endpoint, "outcome" => outcome).increment(1);
    }
    for code in &request.codes {
        counter!(name::DECISION_CODES, "code" => *code).increment(1);
    }
    if let Some(face_match) = request.face_match {
        histogram!(name::FACE_MATCH).record(face_match);
    }
    if let Some(liveness) = request.liveness {
        histogram!(name::LIVENESS, "endpoint" => endpoint).record(liveness);
    }
    for (label, image) in IMAGES.into_iter().zip([request.selfie, request.photo]) {
        if let Some(bytes) = image.bytes {
            histogram!(name::UPLOAD_BYTES, "picture" => label).record(bytes as f64);
        }
        if let Some(faces) = image.faces {
            histogram!(name::FACES, "picture" => label).record(faces as f64);
        }
    }
}

/// Returns the label of the route; `other` for unknown paths, and for paths with a wrong method.
fn route(request: &RequestContext) -> &'static str {
    match (request.endpoint, request.path.as_str()) {
        _ if request.is_console => CONSOLE,
        (Some(endpoint), _) => endpoint.as_str(),
        _ if matches!(request.status, 404 | 405) => OTHER,
        (None, "/healthz") => "healthz",
        (None, "/readyz") => "readyz",
        (None, "/info") => "info",
        (None, "/metrics") => "metrics",
        (None, path) if path.starts_with("/admin/") => "admin",
        (None, path) if path.starts_with("/console") => CONSOLE,
        _ => OTHER,
    }
}
