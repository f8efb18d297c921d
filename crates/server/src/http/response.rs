//! What every answer has in common: headers, and the envelope of errors.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Version, header, request};
use axum::response::Response;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use jiff::Timestamp;
use likeness_api::{ApiError, ErrorCode, error_response};
use serde::Serialize;

use crate::REQUEST_ID;
use crate::telemetry::request_log::RequestLog;

/// Up to this length the rest of a refused upload is read and the connection kept; beyond it the client is told that
/// the connection will close, and a good one stops sending.
const KEEP_ALIVE_BYTES: u64 = 64 * 1024;

const FIXED_HEADERS: [(HeaderName, &str); 3] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (
        header::STRICT_TRANSPORT_SECURITY,
        "max-age=86400; includeSubDomains",
    ),
];

/// Adds the headers that every answer has.
pub(crate) fn add_headers(headers: &mut HeaderMap, log: &RequestLog) {
    for (name, value) in FIXED_HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // A UUID is always a header value.
    if let Ok(id) = HeaderValue::from_str(&log.meta.id.to_string()) {
        headers.insert(REQUEST_ID, id);
    }
}

/// An answer with this body as JSON.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => with_body(status, Full::from(bytes)),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            with_body(StatusCode::INTERNAL_SERVER_ERROR, Full::default())
        }
    }
}

fn with_body<B>(status: StatusCode, body: B) -> Response
where
    B: HttpBody<Data = Bytes, Error = std::convert::Infallible> + Send + 'static,
{
    let mut response = Response::new(Body::new(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The envelope of an error, and its headers.
pub(crate) fn failure(log: &RequestLog, error: &ApiError) -> Response {
    log.error(error);
    let status = StatusCode::from_u16(error.code().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json(status, &error_response(&log.meta, Timestamp::now(), error));
    if let Some(seconds) = error.retry_after_seconds() {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// How much of the rest of a refused request's body is read, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Linger {
    pub(crate) time: Duration,
    pub(crate) bytes: u64,
}

impl Linger {
    /// Like [`failure`], for a request whose body may not have been read to its end. The answer goes out at once;
    /// then the rest of the body is read and thrown away, for a while. Closing the connection on bytes that have not
    /// been read would reset it, and the client might never see the answer.
    pub(crate) fn failure(
        self,
        log: &RequestLog,
        error: &ApiError,
        request: &request::Parts,
        body: Body,
    ) -> Response {
        let response = failure(log, error);
        if body.is_end_stream() {
            return response;
        }
        let (mut parts, answer) = response.into_parts();
        // Who waits for `100 Continue` may send the body or not: what comes next on the connection is not known.
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
        let answer = Lingering {
            answer,
            rest: Some((self, body)),
        };
        Response::from_parts(parts, Body::new(answer))
    }

    /// For handlers that take no body at all.
    pub(crate) fn refuse(self, log: &RequestLog, error: &ApiError, request: Request<Body>) -> Response {
        let (parts, body) = request.into_parts();
        self.failure(log, error, &parts, body)
    }
}

/// The body of an answer that, once it is handed over, reads the rest of the request's body. Not before: reading asks
/// a client that waits for `100 Continue` to send.
struct Lingering {
    answer: Body,
    rest: Option<(Linger, Body)>,
}

impl HttpBody for Lingering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.answer).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.answer.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.answer.size_hint()
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        if let Some((linger, body)) = self.rest.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(discard(linger, body));
        }
    }
}

async fn discard(linger: Linger, mut body: Body) {
    let all = async {
        let mut left = linger.bytes;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len) as u64;
            let Some(rest) = left.checked_sub(length) else {
                break;
            };
            left = rest;
        }
    };
    // Whether it ends or runs out of time: there is nothing more to do for this client.
    let _ = tokio::time::timeout(linger.time, all).await;
}
