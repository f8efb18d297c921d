//! Try: one verification, with everything that is behind its decision.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use jiff::Timestamp;
use likeness_api::{ResponseCodes, biometric_response};
use likeness_engine::decision::{Detail, Profile, Score, Thresholds};
use likeness_engine::face::{Face, similarity_transform};
use likeness_engine::packs::Template;
use likeness_engine::{ImageReport, Verification};
use maud::{Markup, html};
use serde_json::{Value, json};

use super::sessions::Session;
use super::{Console, TRY, layout, texts};
use crate::http::{self, trial};
use crate::telemetry::{SharedContext, millis};

/// The images that browsers offer to choose.
const ACCEPT: &str = "image/jpeg,image/png,image/webp,image/bmp,image/tiff,image/gif";

pub(super) fn routes() -> Router<Arc<Console>> {
    Router::new().route(TRY.path, get(show).post(verify))
}

async fn show(State(console): State<Arc<Console>>, Extension(session): Extension<Session>) -> Markup {
    let profiles: Vec<String> = console
        .admin
        .settings
        .with_current(|config| config.profile_names().map(ToOwned::to_owned).collect());
    let content = html! {
        p class="lead" { (texts::TRY_LEAD) }
        noscript { p class="notice warn" { (texts::TRY_NEEDS_SCRIPT) } }
        form #try class="panel" novalidate data-api=(console.public_url) {
            div class="columns" {
                div class="field" {
                    div class="row apart" {
                        span class="label" id="selfie-label" { (texts::SELFIE) }
                        button type="button" #camera class="small" { (texts::CAMERA) }
                    }
                    (drop_zone("selfie", texts::CHOOSE_SELFIE))
                    p class="error" id="selfie-error" role="alert" {}
                }
                div class="field" {
                    div class="row apart" { span class="label" id="image-label" { (texts::PHOTO) } }
                    (drop_zone("image", texts::CHOOSE_PHOTO))
                    p class="error" id="image-error" role="alert" {}
                }
            }
            div class="fields" {
                div class="field" {
                    label for="profile" { (texts::PROFILE) }
                    select #profile name="profile" aria-describedby="profile-error" {
                        @for name in &profiles {
                            option value=(name) selected[name == Profile::optimal_v0().name()] { (name) }
                        }
                    }
                    p class="error" id="profile-error" role="alert" {}
                }
                div class="field" {
                    span class="label" { (texts::PHOTO_FACES) }
                    label class="check" {
                        input type="checkbox" name="image_multiface" id="multiface";
                        (texts::MULTIFACE)
                    }
                }
            }
            div class="row" {
                button type="submit" class="primary" id="verify" { (texts::VERIFY) }
                button type="button" class="quiet" id="clear" { (texts::CLEAR) }
                progress id="upload" class="meter" max="1" value="0" aria-label=(texts::UPLOAD) hidden {}
                span id="status" class="help" role="status" {}
            }
            p class="error" id="form-error" role="alert" {}
        }
        div #result hidden {}
        (layout::script("try.js"))
    };
    layout::page(&session, TRY, TRY.name, content)
}

fn drop_zone(name: &str, hint: &str) -> Markup {
    html! {
        label class="drop" id={ (name) "-drop" } {
            input type="file" name=(name) class="sr-only" accept=(ACCEPT)
                aria-labelledby={ (name) "-label" } aria-describedby={ (name) "-error" };
            span class="hint" { strong { (hint) } span class="help" { (texts::DROP) } }
            canvas hidden {}
        }
    }
}

async fn verify(
    State(console): State<Arc<Console>>,
    Extension(context): Extension<SharedContext>,
    request: Request,
) -> Response {
    let profile = |name: &str| console.admin.settings.with_current(|config| config.profile(name));
    let shown = |verification: &Verification, profile: &Profile| {
        let codes = console.admin.service.api.response_codes;
        http::json(StatusCode::OK, &shown(&context, codes, verification, profile))
    };
    trial::respond(&console.admin.service, &context, request, profile, shown).await
}

/// Returns what the page shows: the response as the API sends it, and what is behind it.
fn shown(
    context: &SharedContext,
    codes: ResponseCodes,
    verification: &Verification,
    profile: &Profile,
) -> Value {
    let context = context.lock();
    let response = biometric_response(&context.meta, Timestamp::now(), verification, codes);
    let similarity = verification.similarity;
    let stages = context.stages().map(|(stage, time)| json!([stage, millis(time)]));
    json!({
        // As a text: a script that parses it and writes it again changes its numbers.
        "response": serde_json::to_string_pretty(&response).unwrap_or_default(),
        "request_id": context.meta.id,
        "outcome": verification.decision.outcome().as_str(),
        "details": verification.decision.details.iter().map(detail).collect::<Vec<_>>(),
        "profile": {
            "name": profile.name(),
            "face_match": thresholds(profile.face_match()),
            "liveness": thresholds(profile.liveness()),
        },
        "face_match": verification.face_match.map(Score::value),
        "liveness": verification.liveness.map(Score::value),
        "cosine": similarity.map(|similarity| similarity.cosine),
        "normalised": similarity.and_then(|similarity| similarity.normalised),
        "same_image": verification.same_image,
        "selfie": image(&verification.selfie, (!verification.selfie.faces.is_empty()).then_some(0)),
        "photo": image(&verification.photo, verification.matched_face),
        "stages": stages.collect::<Vec<_>>(),
        "total_ms": millis(context.started.elapsed()),
    })
}

fn detail(detail: &Detail) -> Value {
    json!({
        "code": detail.code.as_str(),
        "verdict": detail.verdict.as_str(),
        "description": detail.description,
    })
}

fn thresholds(thresholds: &Thresholds) -> Value {
    json!({ "reject_below": thresholds.reject_below(), "review_below": thresholds.review_below() })
}

/// `used` is the index of the face that was compared.
fn image(report: &ImageReport, used: Option<usize>) -> Value {
    let faces = report.faces.iter().enumerate();
    json!({
        "width": report.size.width,
        "height": report.size.height,
        "rotation": report.rotation_degrees(),
        "faces_found": report.faces_found,
        "faces": faces.map(|(index, found)| face(found, used == Some(index))).collect::<Vec<_>>(),
    })
}

/// `align` maps the image to the crop that embedders of the ArcFace family see, in units of its side: `x' = a x + b y + c`,
/// `y' = d x + e y + f`.
fn face(face: &Face, is_used: bool) -> Value {
    let area = face.bounding_box;
    let points = face
        .landmarks
        .map(|point| [f64::from(point.x), f64::from(point.y)]);
    let align = similarity_transform(&points, &Template::Arcface.points());
    json!({
        "box": [area.x, area.y, area.width, area.height],
        "score": face.score,
        "landmarks": points,
        "used": is_used,
        "align": align.map(|map| {
            let at = |x, y| { let (x, y) = map.apply(x, y); [x, y] };
            let ([c, f], [ac, df], [bc, ef]) = (at(0.0, 0.0), at(1.0, 0.0), at(0.0, 1.0));
            [ac - c, bc - c, c, df - f, ef - f, f]
        }),
    })
}
