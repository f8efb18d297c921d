//! From the engine's results to the wire types.

use jiff::Timestamp;
use likeness_engine::decision::{Decision, Detail, Score};
use likeness_engine::face::Face;
use likeness_engine::imaging::ImagingError;
use likeness_engine::{EngineError, ImageReport, ImageRole, LivenessCheck, Size, Verification};

use crate::Decimal;
use crate::error::{ApiError, ErrorCode};
use crate::response::{
    Biometric, BiometricData, BiometricResponse, Coordinates, DecisionLine, DecisionReport, ImageSize,
    LivenessResponse, Meta, PhotoReport, PredictedFace, RESPONSE_CODE_NOT_LIVE, RESPONSE_CODE_OK,
    SelfieReport, respond,
};

/// The formats that are accepted, for messages.
const SUPPORTED_FORMATS: &str = "JPEG, PNG, WebP, BMP, TIFF or GIF";

/// How much of a decoder's own words a message repeats, in characters.
const MAX_REASON: usize = 200;

/// Returns the response body of a biometric verification.
#[must_use]
pub fn biometric_response(
    meta: &Meta,
    processed_at: Timestamp,
    verification: &Verification,
) -> BiometricResponse {
    let data = BiometricData {
        biometric: biometric(
            verification.face_match,
            verification.liveness,
            Seen::from(&verification.photo),
            Seen::from(&verification.selfie),
        ),
        decision: DecisionReport::from(&verification.decision),
    };
    respond(meta, processed_at, RESPONSE_CODE_OK, data)
}

/// Returns the response body of a liveness verification.
#[must_use]
pub fn liveness_response(meta: &Meta, processed_at: Timestamp, check: &LivenessCheck) -> LivenessResponse {
    let code = if check.live {
        RESPONSE_CODE_OK
    } else {
        RESPONSE_CODE_NOT_LIVE
    };
    respond(
        meta,
        processed_at,
        code,
        selfie(check.liveness, Seen::from(&check.selfie)),
    )
}

/// The part of a [`ImageReport`] that goes over the wire.
#[derive(Clone, Copy)]
struct Seen<'a> {
    faces: &'a [Face],
    size: Size,
}

impl<'a> From<&'a ImageReport> for Seen<'a> {
    fn from(report: &'a ImageReport) -> Self {
        Self {
            faces: &report.faces,
            size: report.size,
        }
    }
}

fn biometric(
    face_match: Option<Score>,
    liveness: Option<Score>,
    photo: Seen<'_>,
    selfie_seen: Seen<'_>,
) -> Biometric {
    Biometric {
        face_match_confidence: shown(face_match),
        image: PhotoReport {
            faces_predicted: predicted(photo.faces),
            img: photo.size.into(),
        },
        selfie: selfie(liveness, selfie_seen),
    }
}

fn selfie(liveness: Option<Score>, seen: Seen<'_>) -> SelfieReport {
    SelfieReport {
        faces_liveness: shown(liveness),
        faces_predicted: predicted(seen.faces),
        img: seen.size.into(),
    }
}

/// A score that could not be computed is shown as 0.
fn shown(score: Option<Score>) -> Decimal {
    score.map_or(0.0, Score::value).into()
}

fn predicted(faces: &[Face]) -> Vec<PredictedFace> {
    faces.iter().map(PredictedFace::from).collect()
}

impl From<&Face> for PredictedFace {
    fn from(face: &Face) -> Self {
        let area = face.bounding_box;
        Self {
            confidence: face.score.into(),
            delta: Coordinates {
                x: area.width.into(),
                y: area.height.into(),
            },
            top_left: Coordinates {
                x: area.x.into(),
                y: area.y.into(),
            },
        }
    }
}

impl From<Size> for ImageSize {
    fn from(size: Size) -> Self {
        Self {
            height: size.height,
            width: size.width,
        }
    }
}

impl From<&Decision> for DecisionReport {
    fn from(decision: &Decision) -> Self {
        Self {
            details: decision.details.iter().map(DecisionLine::from).collect(),
            reject_score: decision.reject_score.value().into(),
            review_score: decision.review_score.value().into(),
            warning_score: decision.warning_score.value().into(),
        }
    }
}

impl From<&Detail> for DecisionLine {
    fn from(line: &Detail) -> Self {
        Self {
            code: line.code.as_str().to_owned(),
            confidence: line.confidence.value().into(),
            decision: line.verdict.as_str().to_owned(),
            description: line.description.clone(),
        }
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Image { role, source } => Self::from_imaging(form_field(role), &source),
            EngineError::Option(problem) => {
                let message = format!("A parameter cannot be used: {}.", plain(&problem));
                Self::new(ErrorCode::InvalidParameter, message)
            }
            EngineError::DeadlineExceeded => Self::from(ErrorCode::DeadlineExceeded),
            // A client that cancelled reads no response; to one that reads it after all, sending the request again is right.
            EngineError::Cancelled => Self::new(
                ErrorCode::DeadlineExceeded,
                "The request was cancelled before its answer was ready. Send it again.",
            ),
            // `Inference`, and what a newer engine may add: none of it is for the client.
            other => Self::internal(other),
        }
    }
}

/// Returns the form field of an image.
fn form_field(role: ImageRole) -> &'static str {
    match role {
        ImageRole::Selfie => "selfie",
        ImageRole::Photo => "image",
    }
}

impl ApiError {
    /// Returns the error of an image that cannot be used. `field` is the form field that it came in.
    #[must_use]
    pub fn from_imaging(field: &str, error: &ImagingError) -> Self {
        match error {
            ImagingError::Empty => Self::missing_field(field),
            ImagingError::NotAnImage => {
                let message = format!(
                    "The file in `{field}` is no picture in a supported format: send {SUPPORTED_FORMATS}."
                );
                Self::new(ErrorCode::UnsupportedImageFormat, message)
            }
            ImagingError::Unsupported { format, reason } => {
                let reason = plain(reason);
                let message = format!(
                    "The {format} file in `{field}` is not supported ({reason}). Save it as an ordinary JPEG or PNG and send that."
                );
                Self::new(ErrorCode::UnsupportedImageFormat, message)
            }
            ImagingError::Corrupt { format, reason } => {
                let reason = plain(reason);
                let message = format!(
                    "The {format} file in `{field}` is damaged or incomplete ({reason}): send the original file."
                );
                Self::new(ErrorCode::CorruptImage, message)
            }
            ImagingError::TooManyBytes { bytes, limit } => Self::file_too_large(field, Some(*bytes), *limit),
            ImagingError::TooLarge {
                width,
                height,
                max_side,
                max_pixels,
            } => {
                let message = format!(
                    "The picture in `{field}` is {width}x{height} pixels; each side may have at most {max_side}, and the whole at most {max_pixels}."
                );
                Self::new(ErrorCode::ImageTooLarge, message)
            }
            ImagingError::DecodeTooLarge {
                format,
                width,
                height,
                ..
            } => {
                let (needed, limit) = error.decode_mib().unwrap_or_default();
                let message = format!(
                    "Decoding the {format} image in `{field}` ({width}x{height} pixels) needs {needed} MiB of memory; the limit is {limit} MiB. Send a smaller image, or save it as an ordinary JPEG."
                );
                Self::new(ErrorCode::ImageTooLarge, message)
            }
            ImagingError::TooManyScans { width, height, scans } => {
                let message = format!(
                    "The JPEG image in `{field}` has {scans} scans, too many for {width}x{height} pixels. Send a smaller image, or save it as an ordinary JPEG."
                );
                Self::new(ErrorCode::ImageTooLarge, message)
            }
            ImagingError::Interrupted => Self::from(ErrorCode::DeadlineExceeded),
            // `BadBuffer` is the embedding program's mistake, and what a newer decoder may add is not known here.
            other => Self::internal(format_args!("{field}: {other}")),
        }
    }
}

/// A decoder's own words, as they fit in the middle of a message: a line of at most [`MAX_REASON`] characters. They
/// may repeat bytes of a hostile file.
fn plain(reason: &str) -> String {
    let line: String = reason
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_REASON)
        .collect();
    let line = line.trim().trim_end_matches('.');
    if line.is_empty() {
        "no more is known".to_owned()
    } else {
        line.to_owned()
    }
}

#[cfg(test)]
mod tests;
