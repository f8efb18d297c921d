//! The request readers, for the fuzz targets in `fuzz/`. Behind the feature `fuzzing`; not a public API.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
pub use axum::http::HeaderMap;
use axum::http::{HeaderName, HeaderValue};
use http_body::Frame;
use likeness_api::ApiError;
use tokio::runtime::{Builder, Runtime};

use crate::access::apps::Apps;
use crate::config::{AdminConfig, ProxiesConfig};
use crate::http::fuzzed::{self, BodyLimits, Field, Form, Malformed, Parser, Proxies, Sink};
use crate::{admin, telemetry};

/// Largest head of a part in bytes.
pub const MAX_HEAD_BYTES: usize = fuzzed::MAX_HEAD_BYTES;
/// Most parts of a body.
pub const MAX_PARTS: usize = fuzzed::MAX_PARTS;

/// Parses lines of `name: value`, skipping those that are not valid in HTTP.
#[must_use]
pub fn header_map(lines: &[u8]) -> HeaderMap {
    let pairs = lines.split(|&byte| byte == b'\n').filter_map(|line| {
        let colon = line.iter().position(|&byte| byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
        Some((name, value))
    });
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(name, value);
    }
    headers
}

/// An event of the `multipart/form-data` parser.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A part with this field name begins.
    Begin(&'a [u8]),
    /// Some of its bytes.
    Data(&'a [u8]),
    /// It is complete.
    End,
}

struct Events<F>(F);

impl<F: FnMut(Event<'_>)> Sink for Events<F> {
    type Error = Malformed;

    fn begin(&mut self, name: &[u8]) -> Result<(), Malformed> {
        self.0(Event::Begin(name));
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        self.0(Event::Data(bytes));
        Ok(())
    }

    fn end(&mut self) -> Result<(), Malformed> {
        self.0(Event::End);
        Ok(())
    }
}

/// Splits a body, given in chunks, into its parts.
///
/// # Errors
/// The message for the client.
pub fn multipart<'a>(
    content_type: &[u8],
    chunks: impl IntoIterator<Item = &'a [u8]>,
    on_event: impl FnMut(Event<'_>),
) -> Result<(), String> {
    let text = |Malformed(reason)| reason.to_owned();
    let mut parser = Parser::new(content_type).map_err(text)?;
    let mut events = Events(on_event);
    for chunk in chunks {
        parser.push(chunk, &mut events).map_err(text)?;
    }
    parser.finish().map_err(text)
}

/// The values of the form fields.
#[derive(Debug)]
#[allow(missing_docs, reason = "the fields of the API")]
pub struct Fields {
    pub selfie: Result<Vec<u8>, ApiError>,
    pub image: Result<Vec<u8>, ApiError>,
    pub multiface: Result<bool, ApiError>,
    pub threshold: Result<Option<f64>, ApiError>,
    pub profile: Result<Option<String>, ApiError>,
}

thread_local! {
    static RUNTIME: std::io::Result<Runtime> = Builder::new_current_thread().enable_time().build();
}

/// Reads a body, given in chunks, of at most `file` bytes a file and `body` bytes in all, as the handlers do.
///
/// # Errors
/// The error of the response.
pub fn form<'a>(
    headers: &HeaderMap,
    chunks: impl IntoIterator<Item = &'a [u8]>,
    file: usize,
    body: u64,
) -> Result<Fields, ApiError> {
    let idle = Duration::from_secs(60);
    let limits = BodyLimits { file, body, idle };
    let mut body = Body::new(Chunks(chunks.into_iter().map(Bytes::copy_from_slice).collect()));
    let mut form = RUNTIME.with(|runtime| match runtime {
        Ok(runtime) => runtime.block_on(Form::read(headers, &mut body, Field::ALL, limits)),
        Err(error) => Err(ApiError::internal(error.to_string())),
    })?;
    Ok(Fields {
        selfie: form.file(Field::Selfie),
        image: form.file(Field::Image),
        multiface: form.multiface(),
        threshold: form.threshold(),
        profile: form.profile(),
    })
}

/// A body of ready chunks.
struct Chunks(VecDeque<Bytes>);

impl http_body::Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|chunk| Ok(Frame::data(chunk))))
    }
}

/// Returns the address of the client behind these proxies.
#[must_use]
pub fn client_address(proxies: &ProxiesConfig, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    Proxies::new(proxies).client(peer, headers)
}

/// Returns the id of the app that the headers authenticate.
#[must_use]
pub fn authenticate(apps: &Apps, headers: &HeaderMap) -> Option<String> {
    apps.authenticate(headers).map(|app| app.id.clone())
}

/// Returns whether the headers authorize a reload on the admin listener.
#[must_use]
pub fn operator_admits(config: &AdminConfig, headers: &HeaderMap) -> bool {
    admin::operator_admits(config, headers)
}

/// Returns the correlation id that the client sent, if it is fit for a log.
#[must_use]
pub fn correlation_id(headers: &HeaderMap) -> Option<String> {
    telemetry::correlation_id(headers)
}
