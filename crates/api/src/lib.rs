//! The wire types of the Kairos-compatible API of Likeness.
//!
//! A client reads response bodies with these types and finds every error code in one table, [`ErrorCode`]; there is no
//! HTTP in this crate: a status is a number and a header is a duration.
//!
//! # Features
//!
//! `engine`, off by default, adds the conversion from the engine's results, `biometric_response`, `liveness_response` and
//! `template_response`, which the service and the command line use. Without it no engine is compiled.
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

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "engine")]
mod convert;
mod error;
mod number;
mod response;

#[cfg(feature = "engine")]
pub use convert::{biometric_response, liveness_response, template_response};
pub use error::{ApiError, ErrorCode};
pub use number::{Decimal, Number};
pub use response::{
    Biometric, BiometricData, BiometricResponse, Coordinates, DecisionLine, DecisionReport, ErrorBody,
    ErrorResponse, ImageSize, LivenessResponse, Meta, PhotoReport, PredictedFace, Response, ResponseCodes,
    SelfieReport, TemplateBiometric, TemplateData, TemplateResponse, error_response,
};
