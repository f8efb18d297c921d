//! What all responses have in common: headers, and the envelope of errors.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header, request};
use axum::response::{IntoResponse, Response};
use http_body::Body as _;
use http_body_util::{BodyExt, Limited};
use jiff::Timestamp;
use likeness_api::{ApiError, ErrorCode, Meta, error_response};
use serde::Serialize;

use crate::telemetry::{CORRELATION_ID, REQUEST_ID, SharedContext};

/// The header that names the codes of what was found, separated by commas. The documented bodies have no place for those of
/// a liveness verification.
pub(crate) const FINDINGS: HeaderName = HeaderName::from_static("x-likeness-findings");

/// Up to this length the rest of a refused upload is read and the connection kept; beyond it the connection is closed, and
/// a good client stops sending.
const KEEP_ALIVE_BYTES: u64 = 64 * 1024;

const FIXED_HEADERS: [(HeaderName, &str); 3] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (
        header::STRICT_TRANSPORT_SECURITY,
        "max-age=86400; includeSubDomains",
    ),
];

/// Adds the headers of every response; `correlation_id` is the client's own id of the request.
pub(crate) fn add_headers(headers: &mut HeaderMap, meta: &Meta, correlation_id: Option<&str>) {
    for (name, value) in FIXED_HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Both are printable, and so they are header values.
    let ids = [
        (REQUEST_ID, Some(meta.id.to_string())),
        (CORRELATION_ID, correlation_id.map(str::to_owned)),
    ];
    for (name, id) in ids {
        if let Some(Ok(id)) = id.map(HeaderValue::try_from) {
            headers.insert(name, id);
        }
    }
}

/// Adds the header with the codes of what was found; without a code there is none.
pub(crate) fn add_findings(headers: &mut HeaderMap, codes: &[&str]) {
    if let Ok(codes) = HeaderValue::try_from(codes.join(","))
        && !codes.is_empty()
    {
        headers.insert(FINDINGS, codes);
    }
}

/// Returns a response with this body as JSON.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => with_body(status, bytes),
        Err(error) => {
            tracing::error!(%error, "serializing a response failed");
            with_body(StatusCode::INTERNAL_SERVER_ERROR, Vec::new())
        }
    }
}

fn with_body(status: StatusCode, body: Vec<u8>) -> Response {
    let json = HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, json)], body).into_response()
}

/// Returns the response of an error, and records the error.
pub(crate) fn failure(context: &SharedContext, error: &ApiError) -> Response {
    let meta = {
        let mut request = context.lock();
        request.error = Some(error.clone());
        request.meta
    };
    let status = StatusCode::from_u16(error.code().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json(status, &error_response(&meta, Timestamp::now(), error));
    if let Some(seconds) = error.retry_after_seconds() {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// Bounds on reading the rest of a refused request's body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Linger {
    pub(crate) time: Duration,
    pub(crate) bytes: u64,
}

impl Linger {
    /// Like [`failure`], for a request whose body may not have been read to its end. The response is sent at once; then the
    /// rest of the body is read and discarded, within these bounds. Closing the connection with unread bytes would reset it,
    /// and the client might never see the response.
    pub(crate) fn failure(
        self,
        context: &SharedContext,
        error: &ApiError,
        request: &request::Parts,
        body: Body,
    ) -> Response {
        let response = failure(context, error);
        if body.is_end_stream() {
            return response;
        }
        let (mut parts, sent) = response.into_parts();
        // A client that waits for `100 Continue` may send the body or not: the next bytes of the connection are unknown.
        let expects = request.headers.contains_key(header::EXPECT);
        let long = body
            .size_hint()
            .upper()
            .is_none_or(|length| length > KEEP_ALIVE_BYTES);
        let closes = expects || long || error.code() == ErrorCode::DeadlineExceeded;
        // The streams of HTTP/2 end one by one.
        if closes && request.version < Version::HTTP_2 {
            parts
                .headers
                .insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        let rest = Rest(Some((self, body)));
        // The rest is dropped with the response.
        let sent = sent.map_err(move |error| {
            let _ = &rest;
            error
        });
        Response::from_parts(parts, Body::new(sent))
    }
}

/// The rest of a request's body, which is read when the response was sent. Not before: reading asks a client that waits for
/// `100 Continue` to send.
struct Rest(Option<(Linger, Body)>);

impl Drop for Rest {
    fn drop(&mut self) {
        if let Some((linger, body)) = self.0.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(discard(linger, body));
        }
    }
}

async fn discard(linger: Linger, body: Body) {
    let mut body = Limited::new(body, usize::try_from(linger.bytes).unwrap_or(usize::MAX));
    let all = async { while let Some(Ok(_)) = body.frame().await {} };
    // Either way there is nothing more to do for this client.
    let _ = tokio::time::timeout(linger.time, all).await;
}
