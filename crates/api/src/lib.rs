//! The wire types of the Kairos-compatible API of Likeness.
//!
//! What the engine answers becomes JSON here and nowhere else: [`biometric_response`], [`liveness_response`] and
//! [`error_response`] make whole bodies, and [`ErrorCode`] is the one table of error codes. There is no HTTP in this
//! crate: a status is a number and a header is a duration, so that the command line and clients can use the same types.
//!
//! "The HTTP contract" in this crate's documentation is the public documentation of the Kairos IDV API, with the
//! project's own rules where that is silent: key order and number formats are those of its sample responses.

mod error;
mod meta;

pub use error::{ApiError, ErrorCode};
pub use meta::Meta;
