//! The values of labels. None comes from a client.

use axum::http::Version;

use crate::endpoint::Endpoint;
use crate::telemetry::RequestContext;

/// The route of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Biometric,
    Liveness,
    Healthz,
    Readyz,
    Info,
    Metrics,
    Admin,
    /// Unknown paths, and paths with a wrong method.
    Other,
}

impl Route {
    pub(super) const ALL: [Self; 8] = [
        Self::Biometric,
        Self::Liveness,
        Self::Healthz,
        Self::Readyz,
        Self::Info,
        Self::Metrics,
        Self::Admin,
        Self::Other,
    ];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Biometric => Endpoint::Biometric.as_str(),
            Self::Liveness => Endpoint::Liveness.as_str(),
            Self::Healthz => "healthz",
            Self::Readyz => "readyz",
            Self::Info => "info",
            Self::Metrics => "metrics",
            Self::Admin => "admin",
            Self::Other => "other",
        }
    }

    pub(super) fn of(request: &RequestContext) -> Self {
        match (request.endpoint, request.path.as_str()) {
            (Some(endpoint), _) => Self::from(endpoint),
            _ if matches!(request.status, 404 | 405) => Self::Other,
            (None, "/healthz") => Self::Healthz,
            (None, "/readyz") => Self::Readyz,
            (None, "/info") => Self::Info,
            (None, "/metrics") => Self::Metrics,
            (None, path) if path.starts_with("/admin/") => Self::Admin,
            _ => Self::Other,
        }
    }
}

impl From<Endpoint> for Route {
    fn from(endpoint: Endpoint) -> Self {
        match endpoint {
            Endpoint::Biometric => Self::Biometric,
            Endpoint::Liveness => Self::Liveness,
        }
    }
}

/// Statuses of responses; any other one counts as `other`.
pub(super) const STATUSES: [(u16, &str); 18] = [
    (200, "200"),
    (204, "204"),
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (408, "408"),
    (409, "409"),
    (413, "413"),
    (415, "415"),
    (422, "422"),
    (431, "431"),
    (499, "499"),
    (500, "500"),
    (501, "501"),
    (503, "503"),
    (504, "504"),
];

/// Classes of statuses.
pub(super) const CLASSES: [&str; 3] = ["2xx", "4xx", "5xx"];

/// Returns the index of a status in [`CLASSES`].
pub(super) fn class(status: u16) -> usize {
    match status {
        ..400 => 0,
        400..500 => 1,
        500.. => 2,
    }
}

/// Stages of a verification; [`super::requests`] defines them.
pub(super) const STAGES: [&str; 9] = [
    "body", "queue", "decode", "detect", "embed", "liveness", "quality", "decide", "other",
];

/// Outcomes of the two endpoints.
pub(super) const OUTCOMES: [(Endpoint, &str, &str); 6] = [
    (Endpoint::Biometric, "pass", "pass"),
    (Endpoint::Biometric, "warning", "warning"),
    (Endpoint::Biometric, "review", "review"),
    (Endpoint::Biometric, "reject", "reject"),
    (Endpoint::Liveness, "live", "live"),
    (Endpoint::Liveness, "not live", "not_live"),
];

/// The limits of an app.
pub(super) const LIMITS: [&str; 5] = ["rate", "concurrent", "daily", "monthly", "other"];

/// Versions of HTTP.
pub(super) const VERSIONS: [&str; 3] = ["1.0", "1.1", "2"];

/// Returns the index of a version in [`VERSIONS`].
pub(super) fn version(version: Version) -> usize {
    match version {
        Version::HTTP_2 => 2,
        Version::HTTP_11 => 1,
        _ => 0,
    }
}
