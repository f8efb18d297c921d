//! What each path does.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use jiff::Timestamp;
use likeness_api::{ApiError, ErrorCode, biometric_response, liveness_response};
use likeness_engine::decision::Profile;
use likeness_engine::imaging::{self, EncodedImage};
use likeness_engine::{LivenessOptions, VerifyOptions};
use likeness_storage::apps::AppEndpoint;
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use crate::admission::Permit;
use crate::apps::App;
use crate::audit::Audit;
use crate::config::{LimitsConfig, SideLimits, VersionLimits};
use crate::fields::{BodyLimits, Field, Form};
use crate::limits::Slot;
use crate::request_log::RequestLog;
use crate::response;
use crate::service::Service;

const BIOMETRIC_FIELDS: &[Field] = &[Field::Selfie, Field::Image, Field::ImageMultiface, Field::Profile];
const LIVENESS_FIELDS: &[Field] = &[Field::Selfie, Field::Threshold];

/// Which verification a path asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Biometric,
    Liveness,
}

impl Endpoint {
    /// As the settings of apps have it.
    const fn setting(self) -> AppEndpoint {
        match self {
            Self::Biometric => AppEndpoint::Biometric,
            Self::Liveness => AppEndpoint::Liveness,
        }
    }

    /// As operators name it, in records and metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Biometric => "biometric-verification",
            Self::Liveness => "liveness-verification",
        }
    }
}

/// Versions of the API: the same but for the sizes of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ApiVersion {
    V0_1,
    V0_2,
}

impl ApiVersion {
    pub(crate) const ALL: [Self; 2] = [Self::V0_1, Self::V0_2];

    /// What paths begin with.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::V0_1 => "/v0.1",
            Self::V0_2 => "/v0.2",
        }
    }

    pub(crate) fn sides(self, limits: &LimitsConfig) -> VersionLimits {
        match self {
            Self::V0_1 => limits.v0_1,
            Self::V0_2 => limits.v0_2,
        }
    }
}

/// Answers a verification under the size limits of the path's version.
pub(crate) async fn verification(
    service: Arc<Service>,
    version: ApiVersion,
    endpoint: Endpoint,
    log: RequestLog,
    request: Request,
) -> Response {
    log.endpoint(endpoint);
    let (parts, mut body) = request.into_parts();
    let limits = service.limits();
    let call = Call {
        service: &service,
        log: &log,
        sides: version.sides(&limits),
        body_limits: BodyLimits {
            file: limits.file_bytes,
            body: limits.body_bytes,
            idle: service.body_idle,
        },
        deadline: log.started + limits.deadline,
    };
    match call.answer(endpoint, &parts.headers, &mut body).await {
        Ok(response) => response,
        Err(error) => service.linger.failure(&log, &error, &parts, body),
    }
}

struct Call<'a> {
    service: &'a Service,
    log: &'a RequestLog,
    sides: VersionLimits,
    body_limits: BodyLimits,
    deadline: Instant,
}

impl Call<'_> {
    /// The order of the checks is the HTTP contract's: nothing of the body is read for a client that is unknown, or
    /// while the service is full.
    async fn answer(
        &self,
        endpoint: Endpoint,
        headers: &HeaderMap,
        body: &mut Body,
    ) -> Result<Response, ApiError> {
        let app = self.service.apps.current().authenticate(headers).ok_or_else(|| {
            self.service.proxy_hint.look_at(headers);
            ApiError::from(ErrorCode::InvalidCredentials)
        })?;
        self.log.app(&app.id);
        if app.disabled {
            return Err(ApiError::from(ErrorCode::AppDisabled));
        }
        if !app.may_call(endpoint.setting()) {
            let message = format!(
                "This app may not use {}. Ask the operator of this service.",
                endpoint.as_str()
            );
            return Err(ApiError::new(ErrorCode::InvalidParameter, message));
        }
        if self.service.observers.audit.as_ref().is_some_and(Audit::refuses) {
            return Err(ApiError::from(ErrorCode::NotReady).with_cause("the audit cannot be written"));
        }
        let (taken, slot) = self
            .service
            .app_limits
            .take(&app, endpoint.setting(), self.log)
            .await?;
        self.log.took(taken);
        self.admitted(endpoint, &app, slot, headers, body).await
    }

    async fn admitted(
        &self,
        endpoint: Endpoint,
        app: &App,
        slot: Slot,
        headers: &HeaderMap,
        body: &mut Body,
    ) -> Result<Response, ApiError> {
        let permit = self.service.admission.admit()?.with_slot(slot);
        let known = match endpoint {
            Endpoint::Biometric => BIOMETRIC_FIELDS,
            Endpoint::Liveness => LIVENESS_FIELDS,
        };
        let form = timeout_at(self.deadline, Form::read(headers, body, known, self.body_limits))
            .await
            .map_err(|_| ApiError::from(ErrorCode::DeadlineExceeded))??;
        self.log.body_read();
        match endpoint {
            Endpoint::Biometric => self.biometric(app, form, permit).await,
            Endpoint::Liveness => self.liveness(app, form, permit).await,
        }
    }

    async fn biometric(&self, app: &App, mut form: Form, permit: Permit) -> Result<Response, ApiError> {
        let selfie = form.file(Field::Selfie)?;
        let photo = form.file(Field::Image)?;
        self.log.files(selfie.len(), Some(photo.len()));
        let options = VerifyOptions::default()
            .with_photo_multiface(form.multiface()?)
            .with_profile(profile(app, form.profile()?)?);
        self.log.profile(options.profile.name());
        let (engines, sides, log) = (self.service.engine.clone(), self.sides, self.log.clone());
        let verification = self
            .service
            .work
            .run(permit, self.deadline, move |budget| {
                // One for all of the request, whatever takes its place meanwhile.
                let engine = engines.current();
                log.work_begun(&engine);
                let selfie = open_image(Field::Selfie, &selfie, sides.selfie, engine.limits())?;
                let photo = open_image(Field::Image, &photo, sides.image, engine.limits())?;
                Ok(engine.verify(&selfie, &photo, &options.with_budget(budget))?)
            })
            .await?;
        self.log.verification(&verification);
        let body = biometric_response(&self.log.meta, Timestamp::now(), &verification);
        Ok(response::json(StatusCode::OK, &body))
    }

    async fn liveness(&self, app: &App, mut form: Form, permit: Permit) -> Result<Response, ApiError> {
        let selfie = form.file(Field::Selfie)?;
        self.log.files(selfie.len(), None);
        let threshold = threshold(app, form.threshold()?)?;
        let options = LivenessOptions::default().with_threshold(threshold);
        let (engines, sides, log) = (self.service.engine.clone(), self.sides, self.log.clone());
        let check = self
            .service
            .work
            .run(permit, self.deadline, move |budget| {
                // One for all of the request, whatever takes its place meanwhile.
                let engine = engines.current();
                log.work_begun(&engine);
                let selfie = open_image(Field::Selfie, &selfie, sides.selfie, engine.limits())?;
                Ok(engine.liveness(&selfie, &options.with_budget(budget))?)
            })
            .await?;
        self.log.liveness(&check);
        let body = liveness_response(&self.log.meta, Timestamp::now(), &check);
        Ok(response::json(StatusCode::OK, &body))
    }
}

/// The profile that a request asks for, or the app's own.
fn profile(app: &App, asked: Option<String>) -> Result<Profile, ApiError> {
    let Some(name) = asked else {
        return Ok(app.default_profile.clone());
    };
    app.profile(&name).cloned().ok_or_else(|| {
        let allowed = app.profile_names();
        ApiError::invalid_parameter(
            Field::Profile.name(),
            format!("must be one of those that this app may use: {allowed}"),
        )
    })
}

/// The threshold that a request asks for, or that of the app's profile. The floor bounds what callers ask for; what
/// the operator set stands, but is not below the operator's own floor either.
fn threshold(app: &App, asked: Option<f64>) -> Result<f64, ApiError> {
    let floor = app.threshold_floor;
    match asked {
        Some(threshold) if threshold < floor => Err(ApiError::invalid_parameter(
            Field::Threshold.name(),
            format!("must be at least {floor} for this app"),
        )),
        Some(threshold) => Ok(threshold),
        None => Ok(app.default_profile.liveness().review_below().max(floor)),
    }
}

/// Reads the headers of a file and checks its sides against the limits of the API version.
fn open_image<'a>(
    field: Field,
    bytes: &'a [u8],
    sides: SideLimits,
    limits: &imaging::Limits,
) -> Result<EncodedImage<'a>, ApiError> {
    let name = field.name();
    let image = EncodedImage::open(bytes, limits).map_err(|error| ApiError::from_imaging(name, &error))?;
    let (width, height) = (image.header().width, image.header().height);
    if width.min(height) < sides.min_side {
        return Err(ApiError::image_too_small(name, width, height, sides.min_side));
    }
    if width.max(height) > sides.max_side {
        return Err(ApiError::image_too_large(name, width, height, sides.max_side));
    }
    Ok(image)
}

/// Whether the process answers at all.
pub(crate) async fn healthz() -> Response {
    response::json(StatusCode::OK, &json!({ "status": "ok" }))
}

/// Whether new requests should be sent here: not while the service stops, nor while every worker is still at a request
/// whose deadline has passed.
pub(crate) async fn readyz(
    State(service): State<Arc<Service>>,
    Extension(log): Extension<RequestLog>,
) -> Response {
    let refused = if !service.ready.load(Ordering::Relaxed) {
        ApiError::from(ErrorCode::NotReady)
    } else if service.work.usage().is_stuck() {
        ApiError::from(ErrorCode::NotReady).with_cause("every worker is past the deadline of its request")
    } else {
        return response::json(StatusCode::OK, &json!({ "status": "ready" }));
    };
    response::failure(&log, &refused)
}

/// What answers here, for callers who keep it beside an answer. Versions of libraries and how much the service can take
/// are no business of theirs: the operator's port has them.
pub(crate) async fn info(State(service): State<Arc<Service>>) -> Response {
    let engine = service.engine.current();
    let engine = engine.labels();
    let info = json!({
        "name": "likeness",
        "version": env!("CARGO_PKG_VERSION"),
        "provider": engine.provider,
        "pack": engine.pack,
        "pack_version": engine.pack_version,
        "match_calibration": engine.match_calibration,
        "liveness_calibration": engine.liveness_calibration,
    });
    response::json(StatusCode::OK, &info)
}

pub(crate) async fn not_found(
    State(service): State<Arc<Service>>,
    Extension(log): Extension<RequestLog>,
    request: Request,
) -> Response {
    service
        .linger
        .refuse(&log, &ApiError::from(ErrorCode::NotFound), request)
}

pub(crate) async fn method_not_allowed(
    State(service): State<Arc<Service>>,
    Extension(log): Extension<RequestLog>,
    request: Request,
) -> Response {
    service
        .linger
        .refuse(&log, &ApiError::from(ErrorCode::MethodNotAllowed), request)
}
