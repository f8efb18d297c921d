//! A verification, from authentication to the JSON of its response.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use jiff::Timestamp;
use likeness_api::{ApiError, ErrorCode, biometric_response, liveness_response};
use likeness_engine::decision::Profile;
use likeness_engine::imaging::{EncodedImage, probe};
use likeness_engine::{Budget, Engine, LivenessOptions, Verification, VerifyOptions};
use tokio::time::{Instant, timeout_at};

use super::form::{BodyLimits, Field, Form};
use super::response;
use super::service::Service;
use crate::access::apps::App;
use crate::access::proxy_hint;
use crate::audit::Audit;
use crate::config::{RequestLimits, SideLimits, VersionLimits};
use crate::endpoint::{ApiVersion, Endpoint};
use crate::permits::Permit;
use crate::telemetry::SharedContext;

/// The `Retry-After` of a request beyond the admission: some verifications have ended by then.
const OVERLOAD_WAIT: Duration = Duration::from_secs(1);

/// Responds to a verification, under the size limits of the path's version.
pub(super) async fn verification(
    service: &Service,
    version: ApiVersion,
    endpoint: Endpoint,
    context: &SharedContext,
    request: Request,
) -> Response {
    let (parts, mut body) = request.into_parts();
    match verify(service, version, endpoint, context, &parts.headers, &mut body).await {
        Ok(response) => response,
        Err(error) => service.linger.failure(context, &error, &parts, body),
    }
}

/// The order of the checks is the HTTP contract's: no byte of the body is read for an unknown client, or while the service
/// is full.
async fn verify(
    service: &Service,
    version: ApiVersion,
    endpoint: Endpoint,
    context: &SharedContext,
    headers: &HeaderMap,
    body: &mut Body,
) -> Result<Response, ApiError> {
    context.lock().endpoint = Some(endpoint);

    // Authentication.
    let app = service.apps.current().authenticate(headers).ok_or_else(|| {
        proxy_hint::check(&service.proxy_hints, headers);
        ApiError::from(ErrorCode::InvalidCredentials)
    })?;
    context.lock().app = Some(app.id.clone());

    // What the app may do, and how much of it.
    if app.disabled {
        return Err(ApiError::from(ErrorCode::AppDisabled));
    }
    if !app.may_call(endpoint.setting()) {
        let endpoint = endpoint.as_str();
        let message = format!("This app may not use {endpoint}. Ask the operator of this service.");
        return Err(ApiError::new(ErrorCode::InvalidParameter, message));
    }
    if service.observers.audit.as_ref().is_some_and(Audit::refuses) {
        return Err(ApiError::from(ErrorCode::NotReady).with_cause("the audit cannot be written"));
    }
    let taken = service.app_limits.take(&app, endpoint.setting()).await;
    let (usage, slot) = taken.map_err(|refused| {
        context.lock().refused_by = refused.limit;
        refused.error
    })?;
    context.lock().usage = Some(usage);

    let Upload {
        admitted,
        mut form,
        limits,
        deadline,
    } = read_form(service, endpoint, context, headers, body).await?;
    // Until the last work for the request has ended.
    let held = (admitted, slot);

    // The engine's work, on a worker thread.
    let sides = version.sides(&limits);
    let selfie = form.file(Field::Selfie)?;
    let (meta, codes) = (context.lock().meta, service.api.response_codes);
    let mut response = match endpoint {
        Endpoint::Biometric => {
            let photo = form.file(Field::Image)?;
            let options = VerifyOptions::default()
                .with_photo_multiface(form.multiface()?)
                .with_profile(profile(&app, form.profile()?)?);
            let images = (selfie, photo);
            let verification = biometric(service, held, deadline, context, sides, images, options).await?;
            let body = biometric_response(&meta, Timestamp::now(), &verification, codes);
            response::json(StatusCode::OK, &body)
        }
        Endpoint::Liveness => {
            context.lock().uploaded(&selfie, None);
            let threshold = threshold(&app, form.threshold()?)?;
            let options = LivenessOptions::default()
                .with_threshold(threshold)
                .with_quality(*app.default_profile.quality());
            let check = move |engine: &Engine, budget| {
                let selfie = open_image(Field::Selfie, &selfie, sides.selfie, engine)?;
                Ok(engine.liveness(&selfie, &options.with_budget(budget))?)
            };
            let check = on_worker(service, held, deadline, context, check).await?;
            context.lock().liveness_checked(&check);
            let body = liveness_response(&meta, Timestamp::now(), &check, codes);
            response::json(StatusCode::OK, &body)
        }
    };
    if service.api.findings_header {
        response::add_findings(response.headers_mut(), &context.lock().codes);
    }
    Ok(response)
}

/// What a request has sent, within the admission.
pub(super) struct Upload {
    /// Held until the last work for the request has ended.
    pub(super) admitted: Permit,
    pub(super) form: Form,
    pub(super) limits: Arc<RequestLimits>,
    pub(super) deadline: Instant,
}

/// Takes a place of the admission, and then reads the body.
pub(super) async fn read_form(
    service: &Service,
    endpoint: Endpoint,
    context: &SharedContext,
    headers: &HeaderMap,
    body: &mut Body,
) -> Result<Upload, ApiError> {
    let admitted = service.admission.try_take();
    let full = || ApiError::from(ErrorCode::Overloaded).with_retry_after(OVERLOAD_WAIT);
    let admitted = admitted.ok_or_else(full)?;
    let limits = service.limits.load_full();
    let deadline = context.lock().started + limits.deadline;
    let body_limits = BodyLimits {
        file: limits.file_bytes,
        body: limits.body_bytes,
        idle: service.body_idle,
    };
    let form = Form::read(headers, body, Field::of(endpoint), body_limits);
    let form = timeout_at(deadline, form).await;
    let form = form.map_err(|_| ApiError::from(ErrorCode::DeadlineExceeded))??;
    let mut request = context.lock();
    request.body_read = Some(request.started.elapsed());
    drop(request);
    Ok(Upload {
        admitted,
        form,
        limits,
        deadline,
    })
}

/// Verifies a selfie against a photo on a worker thread, and adds the result to the context.
pub(super) async fn biometric(
    service: &Service,
    held: impl Send + 'static,
    deadline: Instant,
    context: &SharedContext,
    sides: VersionLimits,
    (selfie, photo): (Bytes, Bytes),
    options: VerifyOptions,
) -> Result<Verification, ApiError> {
    {
        let mut request = context.lock();
        request.uploaded(&selfie, Some(&photo));
        request.profile = Some(options.profile.name().to_owned());
    }
    let verify = move |engine: &Engine, budget| {
        let selfie = open_image(Field::Selfie, &selfie, sides.selfie, engine)?;
        let photo = open_image(Field::Image, &photo, sides.image, engine)?;
        Ok(engine.verify(&selfie, &photo, &options.with_budget(budget))?)
    };
    let verification = on_worker(service, held, deadline, context, verify).await?;
    context.lock().verified(&verification);
    Ok(verification)
}

/// Runs the work on a worker thread, with the engine that is current when it begins.
async fn on_worker<T: Send + 'static>(
    service: &Service,
    held: impl Send + 'static,
    deadline: Instant,
    context: &SharedContext,
    work: impl FnOnce(&Engine, Budget) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let (slot, context) = (Arc::clone(&service.engine), Arc::clone(context));
    let work = move |budget| {
        let engine = slot.load_full();
        context.lock().work_begins(&engine);
        work(&engine, budget)
    };
    service.work.run(held, deadline, work).await
}

/// Returns the requested profile, or the app's default.
fn profile(app: &App, requested: Option<String>) -> Result<Profile, ApiError> {
    let Some(name) = requested else {
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

/// Returns the requested threshold, or that of the app's profile. Requests below the app's floor are refused; the profile
/// is raised to it.
fn threshold(app: &App, requested: Option<f64>) -> Result<f64, ApiError> {
    let floor = app.threshold_floor;
    match requested {
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
    engine: &Engine,
) -> Result<EncodedImage<'a>, ApiError> {
    let opened = engine.open_image(bytes);
    // Of an image with several faults its sides come first.
    let size = match &opened {
        Ok(image) => Some((image.header().width, image.header().height)),
        Err(_) => probe(bytes, engine.limits())
            .ok()
            .map(|header| (header.width, header.height)),
    };
    let (name, SideLimits { min_side, max_side }) = (field.name(), sides);
    match size {
        Some((width, height)) if width.min(height) < min_side => {
            Err(ApiError::image_too_small(name, width, height, min_side))
        }
        Some((width, height)) if width.max(height) > max_side => {
            Err(ApiError::image_too_large(name, width, height, max_side))
        }
        _ => opened.map_err(|error| ApiError::from_imaging(name, &error)),
    }
}
