//! The wire types of the Kairos-compatible API of Likeness.
//!
//! What the engine answers becomes JSON here and nowhere else: [`biometric_response`], [`liveness_response`] and
//! [`error_response`] make whole bodies, and [`ErrorCode`] is the one table of error codes. There is no HTTP in this
//! crate: a status is a number and a header is a duration, so that the command line and clients can use the same types.
//!
//! "The HTTP contract" in this crate's documentation is the public documentation of the Kairos IDV API, with the
//! project's own rules where that is silent: key order and number formats are those of its sample responses.
//!
//! ```
//! use likeness_api::{ApiError, ErrorCode, Meta, error_response};
//!
//! let error = ApiError::missing_field("selfie");
//! assert_eq!((error.code(), error.code().status()), (ErrorCode::MissingField, 400));
//!
//! let meta = Meta::now();
//! let body = error_response(&meta, meta.requested_at, &error);
//! assert_eq!(body.error.code, "MISSING_FIELD");
//! ```

mod convert;
mod error;
mod meta;
mod number;
mod response;

pub use convert::{biometric_response, error_response, liveness_response};
pub use error::{ApiError, ErrorCode};
pub use meta::Meta;
pub use number::{Decimal, Number};
pub use response::{
    Biometric, BiometricData, BiometricResponse, Coordinates, DecisionLine, DecisionReport, ErrorBody,
    ErrorResponse, ImageSize, LivenessResponse, PhotoReport, PredictedFace, RESPONSE_CODE_ERROR,
    RESPONSE_CODE_NOT_LIVE, RESPONSE_CODE_OK, Response, SelfieReport,
};
