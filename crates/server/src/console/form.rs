//! Urlencoded forms, read within their bounds.

use axum::body::{Body, Bytes, to_bytes};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::Console;

/// Largest urlencoded form in bytes: settings of an app with its note.
const MAX_FORM_BYTES: usize = 64 * 1024;
/// A form of a session is read up to this length, so that its client sees the response.
const MAX_READ_BYTES: usize = 1024 * 1024;
/// Largest login in bytes: a token. Anyone may send it, on many connections at once.
const MAX_LOGIN_BYTES: usize = 4 * 1024;

/// Reads the form of a session.
pub(super) async fn read(console: &Console, body: Body) -> Result<Bytes, Response> {
    let bytes = read_at_most(console, body, MAX_READ_BYTES).await?;
    if bytes.len() > MAX_FORM_BYTES {
        return Err(StatusCode::PAYLOAD_TOO_LARGE.into_response());
    }
    Ok(bytes)
}

/// Reads a login.
pub(super) async fn read_login(console: &Console, body: Body) -> Result<Bytes, Response> {
    read_at_most(console, body, MAX_LOGIN_BYTES).await
}

async fn read_at_most(console: &Console, body: Body, most: usize) -> Result<Bytes, Response> {
    let deadline = console.admin.service.limits.load().deadline;
    match tokio::time::timeout(deadline, to_bytes(body, most)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(StatusCode::PAYLOAD_TOO_LARGE.into_response()),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT.into_response()),
    }
}
