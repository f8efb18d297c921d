//! From the engine's results to the wire types.

use jiff::Timestamp;
use likeness_engine::decision::{Decision, Detail, Outcome, Score};
use likeness_engine::face::Face;
use likeness_engine::imaging::ImagingError;
use likeness_engine::{
    EngineError, ImageReport, ImageRole, LivenessCheck, Size, TemplateVerification, Verification,
};

use crate::Decimal;
use crate::error::{ApiError, ErrorCode};
use crate::response::{
    Biometric, BiometricData, BiometricResponse, Coordinates, DecisionLine, DecisionReport, ImageSize,
    LivenessResponse, Meta, PhotoReport, PredictedFace, ResponseCodes, SelfieReport, TemplateBiometric,
    TemplateData, TemplateResponse, respond,
};

/// The formats that are accepted, for messages.
const SUPPORTED_FORMATS: &str = "JPEG, PNG, WebP, BMP, TIFF or GIF";

/// How much of a decoder's own words a message repeats, in characters.
const MAX_REASON: usize = 200;

/// Returns the response body of a biometric verification. Its `response_code` is `codes.pass` where no line of the decision
/// asks for a review or a reject, else `codes.findings`.
#[must_use]
pub fn biometric_response(
    meta: &Meta,
    processed_at: Timestamp,
    verification: &Verification,
    codes: ResponseCodes,
) -> BiometricResponse {
    let data = BiometricData {
        biometric: biometric(
            verification.face_match,
            verification.liveness,
            reported(&verification.photo),
            reported(&verification.selfie),
        ),
        decision: DecisionReport::from(&verification.decision),
    };
    let code = codes.of_decision(verification.decision.outcome());
    respond(meta, processed_at, code, data)
}

/// Returns the response body of a liveness verification. Its `response_code` is `codes.pass` for a live selfie, else
/// `codes.not_live`.
#[must_use]
pub fn liveness_response(
    meta: &Meta,
    processed_at: Timestamp,
    check: &LivenessCheck,
    codes: ResponseCodes,
) -> LivenessResponse {
    respond(
        meta,
        processed_at,
        codes.of_liveness(check.live),
        selfie(check.liveness, reported(&check.selfie)),
    )
}

/// Returns the body of a verification against a template, which the HTTP API has not: that of a biometric verification without
/// its photo, and with the same codes.
#[must_use]
pub fn template_response(
    meta: &Meta,
    processed_at: Timestamp,
    verification: &TemplateVerification,
    codes: ResponseCodes,
) -> TemplateResponse {
    let data = TemplateData {
        biometric: TemplateBiometric {
            face_match_confidence: shown(verification.face_match),
            selfie: selfie(verification.liveness, reported(&verification.selfie)),
        },
        decision: DecisionReport::from(&verification.decision),
    };
    let code = codes.of_decision(verification.decision.outcome());
    respond(meta, processed_at, code, data)
}

impl ResponseCodes {
    /// Returns the code of a biometric verification.
    fn of_decision(self, outcome: Outcome) -> u16 {
        match outcome {
            Outcome::Pass | Outcome::Warning => self.pass,
            Outcome::Review | Outcome::Reject => self.findings,
        }
    }

    /// Returns the code of a liveness verification.
    fn of_liveness(self, live: bool) -> u16 {
        if live { self.pass } else { self.not_live }
    }
}

/// Returns the part of a report that goes over the wire.
fn reported(report: &ImageReport) -> (&[Face], Size) {
    (&report.faces, report.size)
}

fn biometric(
    face_match: Option<Score>,
    liveness: Option<Score>,
    (faces, size): (&[Face], Size),
    of_selfie: (&[Face], Size),
) -> Biometric {
    Biometric {
        face_match_confidence: shown(face_match),
        image: PhotoReport {
            faces_predicted: predicted(faces),
            img: size.into(),
        },
        selfie: selfie(liveness, of_selfie),
    }
}

fn selfie(liveness: Option<Score>, (faces, size): (&[Face], Size)) -> SelfieReport {
    SelfieReport {
        faces_liveness: shown(liveness),
        faces_predicted: predicted(faces),
        img: size.into(),
    }
}

/// A score that could not be computed is shown as 0.
fn shown(score: Option<Score>) -> Decimal {
    score.map_or(0.0, Score::value).into()
}

fn predicted(faces: &[Face]) -> Vec<PredictedFace> {
    let predicted = |face: &Face| {
        let (area, confidence) = (face.bounding_box, face.score.into());
        let at = |x: f32, y: f32| Coordinates {
            x: x.into(),
            y: y.into(),
        };
        PredictedFace {
            confidence,
            delta: at(area.width, area.height),
            top_left: at(area.x, area.y),
        }
    };
    faces.iter().map(predicted).collect()
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
        let line = |line: &Detail| DecisionLine {
            code: line.code.as_str().to_owned(),
            confidence: line.confidence.value().into(),
            decision: line.verdict.as_str().to_owned(),
            description: line.description.clone(),
        };
        Self {
            details: decision.details.iter().map(line).collect(),
            reject_score: decision.reject_score.value().into(),
            review_score: decision.review_score.value().into(),
            warning_score: decision.warning_score.value().into(),
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
            EngineError::Template(problem) => {
                let message = format!("The template cannot be used: {}.", plain(&problem.to_string()));
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
        let (code, message) = match error {
            ImagingError::Empty => return Self::missing_field(field),
            ImagingError::NotAnImage => (
                ErrorCode::UnsupportedImageFormat,
                format!(
                    "The file in `{field}` is no picture in a supported format: send {SUPPORTED_FORMATS}."
                ),
            ),
            ImagingError::Unsupported { format, reason } => (
                ErrorCode::UnsupportedImageFormat,
                format!(
                    "The {format} file in `{field}` is not supported ({}). Save it as an ordinary JPEG or PNG and send that.",
                    plain(reason)
                ),
            ),
            ImagingError::Corrupt { format, reason } => (
                ErrorCode::CorruptImage,
                format!(
                    "The {format} file in `{field}` is damaged or incomplete ({}): send the original file.",
                    plain(reason)
                ),
            ),
            ImagingError::TooManyBytes { bytes, limit } => {
                return Self::file_too_large(field, Some(*bytes), *limit);
            }
            &ImagingError::TooLarge {
                width,
                height,
                max_side,
                max_pixels,
            } => {
                let needs =
                    format_args!("each side may have at most {max_side}, and the whole at most {max_pixels}");
                return Self::image_size(ErrorCode::ImageTooLarge, field, width, height, needs);
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
                (ErrorCode::ImageTooLarge, message)
            }
            ImagingError::TooManyScans { width, height, scans } => (
                ErrorCode::ImageTooLarge,
                format!(
                    "The JPEG image in `{field}` has {scans} scans, too many for {width}x{height} pixels. Send a smaller image, or save it as an ordinary JPEG."
                ),
            ),
            ImagingError::Interrupted => return Self::from(ErrorCode::DeadlineExceeded),
            // `BadBuffer` is the embedding program's mistake, and what a newer decoder may add is not known here.
            other => return Self::internal(format_args!("{field}: {other}")),
        };
        Self::new(code, message)
    }
}

/// A decoder's own words, as they fit in the middle of a message: a line of at most [`MAX_REASON`] characters. They
/// may repeat bytes of a hostile file.
fn plain(reason: &str) -> String {
    let line: String = reason
        .replace(char::is_control, " ")
        .chars()
        .take(MAX_REASON)
        .collect();
    match line.trim().trim_end_matches('.') {
        "" => "no more is known".to_owned(),
        line => line.to_owned(),
    }
}

#[cfg(test)]
mod tests;
