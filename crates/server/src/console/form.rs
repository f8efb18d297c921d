//! Urlencoded forms, read within their bounds.

use axum::body::{Body, Bytes, to_bytes};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::Console;

/// Largest urlencoded form in bytes: settings of an app with its note.
const MAX_FORM_BYTES: usize = 64 * 1024;
/// A form up to this length is read to its end, so that its client sees the response.
const MAX_READ_BYTES: usize = 1024 * 1024;

/// Reads a form within its bounds.
pub(super) async fn read(console: &Console, body: Body) -> Result<Bytes, Response> {
    let deadline = console.admin.service.limits.load().deadline;
    match tokio::time::timeout(deadline, to_bytes(body, MAX_READ_BYTES)).await {
        Ok(Ok(bytes)) if bytes.len() <= MAX_FORM_BYTES => Ok(bytes),
        Ok(_) => Err(StatusCode::PAYLOAD_TOO_LARGE.into_response()),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT.into_response()),
    }
}
