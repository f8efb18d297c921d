//! The bodies, with their keys in the order of the documented samples.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{ApiError, Decimal, Number};

/// The id and the time of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// `api_req_uid` of the body and `X-Request-ID` of the response: a random UUID (version 4).
    pub id: Uuid,
    /// When the request came in.
    pub requested_at: Timestamp,
}

impl Meta {
    /// Returns a new id and the current time.
    #[must_use]
    pub fn now() -> Self {
        Self {
            id: Uuid::new_v4(),
            requested_at: Timestamp::now(),
        }
    }
}

/// Times as the HTTP contract writes them: `YYYY-MM-DD HH:MM:SS`, UTC, to the second that has begun.
mod timestamp {
    use jiff::Timestamp;
    use jiff::civil::DateTime;
    use jiff::tz::TimeZone;
    use serde::{Deserialize, Deserializer, Serializer, de};

    const FORMAT: &str = "%Y-%m-%d %H:%M:%S";

    pub(crate) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&time.strftime(FORMAT))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = DateTime::strptime(FORMAT, &text).and_then(|time| TimeZone::UTC.to_timestamp(time));
        time.map_err(de::Error::custom)
    }
}

/// The numbers that `response_code` takes.
///
/// The public documentation gives them no meaning. The defaults are those of its published responses: 0 for a live selfie,
/// 1 for a biometric verification with a review and a reject, 2 for a selfie whose liveness is 0. Public clients take 0 for
/// success, so an error body has no `response_code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ResponseCodes {
    /// A biometric verification without a review or reject line, or a live selfie. Default: 0.
    pub pass: u16,
    /// A biometric verification with a review or reject line. Default: 1.
    pub findings: u16,
    /// A selfie that is not live or shows no face. Default: 2.
    pub not_live: u16,
}

impl Default for ResponseCodes {
    fn default() -> Self {
        Self {
            pass: 0,
            findings: 1,
            not_live: 2,
        }
    }
}

/// The body of an answer, with what it answers in `response_data`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[non_exhaustive]
pub struct Response<D> {
    /// The id of the request, a random UUID, hyphenated and in lower case.
    pub api_req_uid: Uuid,
    /// When the answer was ready: `YYYY-MM-DD HH:MM:SS`, UTC.
    #[serde(with = "timestamp")]
    #[schema(value_type = String, pattern = r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}$", example = "2026-11-23 13:47:51")]
    pub processed_at: Timestamp,
    /// When the request came in, written the same way.
    #[serde(with = "timestamp")]
    #[schema(value_type = String, pattern = r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}$", example = "2026-11-23 13:47:51")]
    pub requested_at: Timestamp,
    /// Unless the operator has set other numbers: 0 if no line asks for a review or a reject, or the selfie is live; 1 if a
    /// line does; 2 if the selfie is not live or shows no face.
    pub response_code: u16,
    /// The answer.
    pub response_data: D,
}

/// The body that answers a biometric verification.
pub type BiometricResponse = Response<BiometricData>;

/// The body that answers a liveness verification.
pub type LivenessResponse = Response<SelfieReport>;

/// `response_data` of a biometric verification.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[non_exhaustive]
pub struct BiometricData {
    /// What was measured.
    pub biometric: Biometric,
    /// What the profile makes of it.
    pub decision: DecisionReport,
}

/// The body of a verification against a template.
pub type TemplateResponse = Response<TemplateData>;

/// `response_data` of a verification against a template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TemplateData {
    /// What was measured.
    pub biometric: TemplateBiometric,
    /// What the profile makes of it.
    pub decision: DecisionReport,
}

/// What was measured on a selfie and against a template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TemplateBiometric {
    /// Calibrated match confidence, 0..=1; 0.0 where the selfie shows no face.
    pub face_match_confidence: Decimal,
    /// The selfie.
    pub selfie: SelfieReport,
}

/// What was measured on the two pictures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[non_exhaustive]
pub struct Biometric {
    /// Calibrated match confidence, 0..=1; 0.0 where one of the pictures shows no face.
    #[schema(value_type = f64, minimum = 0, maximum = 1)]
    pub face_match_confidence: Decimal,
    /// The photo that the selfie is compared with.
    pub image: PhotoReport,
    /// The selfie.
    pub selfie: SelfieReport,
}

/// What was found in the photo.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[non_exhaustive]
pub struct PhotoReport {
    /// The face that was compared; with `image_multiface` all faces, largest first.
    pub faces_predicted: Vec<PredictedFace>,
    /// Size of the picture.
    pub img: ImageSize,
}

/// What was found in a selfie; also `response_data` of a liveness verification.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[non_exhaustive]
pub struct SelfieReport {
    /// Liveness of the first face, 0..=1; 0.0 where there is none.
    #[schema(value_type = f64, minimum = 0, maximum = 1)]
    pub faces_liveness: Decimal,
    /// All faces, largest first. The first is the one that was judged.
    pub faces_predicted: Vec<PredictedFace>,
    /// Size of the picture.
    pub img: ImageSize,
}

/// One face. Coordinates are pixels of the upright picture; x grows to the right, y downwards.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[non_exhaustive]
pub struct PredictedFace {
    /// The detector's score, 0..=1.
    #[schema(value_type = f64, minimum = 0, maximum = 1)]
    pub confidence: Number,
    /// Width (`x`) and height (`y`) of the face's box.
    pub delta: Coordinates,
    /// The box's corner that is nearest to the origin.
    pub top_left: Coordinates,
}

/// A point or an extent in pixels of the upright picture.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[non_exhaustive]
pub struct Coordinates {
    /// To the right.
    #[schema(value_type = f64)]
    pub x: Decimal,
    /// Downwards.
    #[schema(value_type = f64)]
    pub y: Decimal,
}

/// Size of an upright picture in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[non_exhaustive]
pub struct ImageSize {
    /// Pixels from top to bottom.
    pub height: u32,
    /// Pixels from left to right.
    pub width: u32,
}

/// What a profile makes of the measurements.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[non_exhaustive]
pub struct DecisionReport {
    /// The lines; none where everything passes.
    pub details: Vec<DecisionLine>,
    /// Highest confidence among the rejecting lines, 0..=1; 0 where there is none.
    #[schema(value_type = f64, minimum = 0, maximum = 1)]
    pub reject_score: Number,
    /// Highest confidence among the lines that ask for a review, 0..=1; 0 where there is none.
    #[schema(value_type = f64, minimum = 0, maximum = 1)]
    pub review_score: Number,
    /// Highest confidence among the warnings, 0..=1; 0 where there is none.
    #[schema(value_type = f64, minimum = 0, maximum = 1)]
    pub warning_score: Number,
}

/// One line of a decision. Codes and decisions are text, so that a client reads the answers of a newer service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[non_exhaustive]
pub struct DecisionLine {
    /// Why the line is there: `FAILED_FACE_MATCH` and so on.
    pub code: String,
    /// How sure the line is, 0..=1.
    #[schema(value_type = f64, minimum = 0, maximum = 1)]
    pub confidence: Number,
    /// `warning`, `review` or `reject`.
    pub decision: String,
    /// For a human, in English.
    pub description: String,
}

/// The body of every answer that is no 200. It has no `response_code`: clients would take it for a success.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[non_exhaustive]
pub struct ErrorResponse {
    /// The id of the request, a random UUID, hyphenated and in lower case.
    pub api_req_uid: Uuid,
    /// When the request came in: `YYYY-MM-DD HH:MM:SS`, UTC.
    #[serde(with = "timestamp")]
    #[schema(value_type = String, pattern = r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}$", example = "2026-11-23 13:47:51")]
    pub requested_at: Timestamp,
    /// When the answer was ready, written the same way.
    #[serde(with = "timestamp")]
    #[schema(value_type = String, pattern = r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}$", example = "2026-11-23 13:47:51")]
    pub processed_at: Timestamp,
    /// What went wrong.
    pub error: ErrorBody,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[non_exhaustive]
pub struct ErrorBody {
    /// What went wrong, for programs. A newer service may have codes that this document does not list.
    pub code: String,
    /// For an integrator, in English; the wording may change.
    pub message: String,
}

/// Returns the body of an error response. The [cause](ApiError::cause) stays out of it.
#[must_use]
pub fn error_response(meta: &Meta, processed_at: Timestamp, error: &ApiError) -> ErrorResponse {
    ErrorResponse {
        api_req_uid: meta.id,
        requested_at: meta.requested_at,
        processed_at,
        error: ErrorBody {
            code: error.code().as_str().to_owned(),
            message: error.message().to_owned(),
        },
    }
}

/// Returns the body of a response.
#[cfg(feature = "engine")]
pub(crate) fn respond<D>(meta: &Meta, processed_at: Timestamp, code: u16, data: D) -> Response<D> {
    Response {
        api_req_uid: meta.id,
        processed_at,
        requested_at: meta.requested_at,
        response_code: code,
        response_data: data,
    }
}
