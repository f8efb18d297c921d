//! A verification that an operator tries in the console: the same admission, queue, engine and decision as a request of an
//! app, without an app.

use axum::body::Body;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::response::Response;
use likeness_api::{ApiError, ErrorCode};
use likeness_engine::decision::Profile;
use likeness_engine::{Verification, VerifyOptions};

use super::form::Field;
use super::service::Service;
use super::verify::{Upload, biometric, read_form};
use crate::audit::Audit;
use crate::endpoint::{ApiVersion, Endpoint};
use crate::telemetry::SharedContext;

/// The version whose limits of sizes hold: the current one.
const VERSION: ApiVersion = ApiVersion::V0_2;

/// Responds to a trial: `shown` makes the response of its result. `profile` returns the profile of a name.
pub(crate) async fn respond(
    service: &Service,
    context: &SharedContext,
    request: Request,
    profile: impl FnOnce(&str) -> Option<Profile>,
    shown: impl FnOnce(&Verification, &Profile) -> Response,
) -> Response {
    let (parts, mut body) = request.into_parts();
    match verify(service, context, &parts.headers, &mut body, profile).await {
        Ok((verification, profile)) => shown(&verification, &profile),
        Err(error) => service.linger.failure(context, &error, &parts, body),
    }
}

async fn verify(
    service: &Service,
    context: &SharedContext,
    headers: &HeaderMap,
    body: &mut Body,
    profile: impl FnOnce(&str) -> Option<Profile>,
) -> Result<(Verification, Profile), ApiError> {
    const ENDPOINT: Endpoint = Endpoint::Biometric;
    {
        let mut request = context.lock();
        request.endpoint = Some(ENDPOINT);
        request.is_console = true;
    }
    if service.observers.audit.as_ref().is_some_and(Audit::refuses) {
        return Err(ApiError::from(ErrorCode::NotReady).with_cause("the audit cannot be written"));
    }
    let Upload {
        admitted,
        mut form,
        limits,
        deadline,
    } = read_form(service, ENDPOINT, context, headers, body).await?;
    let images = (form.file(Field::Selfie)?, form.file(Field::Image)?);
    let profile = match form.profile()? {
        None => Profile::optimal_v0(),
        Some(name) => profile(&name).ok_or_else(|| {
            ApiError::invalid_parameter(Field::Profile.name(), "must be a profile of this service")
        })?,
    };
    let options = VerifyOptions::default()
        .with_photo_multiface(form.multiface()?)
        .with_profile(profile.clone());
    let sides = VERSION.sides(&limits);
    let verification = biometric(service, admitted, deadline, context, sides, images, options).await?;
    Ok((verification, profile))
}
