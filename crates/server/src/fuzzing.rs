//! The request readers, for the fuzz targets in `fuzz/`. Behind the feature `fuzzing`; not a public API.

use std::net::IpAddr;
use std::time::Duration;

use axum::body::Bytes;
pub use axum::http;
use axum::http::HeaderMap;
use likeness_api::ApiError;

use crate::access::apps::Apps;
use crate::admin::Operator;
use crate::config::{AdminConfig, ProxiesConfig};
use crate::http::client_address::Proxies;
use crate::http::form::{BodyLimits, Field, FormReader};
use crate::http::multipart::{self, Event, Malformed, Parser};
use crate::telemetry;

/// Largest head of a part in bytes.
pub const MAX_HEAD_BYTES: usize = multipart::MAX_HEAD_BYTES;
/// Most parts of a body.
pub const MAX_PARTS: usize = multipart::MAX_PARTS;

/// The name and the bytes of a part.
pub type Part = (Vec<u8>, Vec<u8>);

/// Splits a body, given in chunks, into its parts.
///
/// # Errors
/// The message for the client.
pub fn multipart<'a>(
    content_type: &[u8],
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<Part>, String> {
    let text = |Malformed(reason)| reason.to_owned();
    let mut parser = Parser::new(content_type).map_err(text)?;
    let (mut names, mut ranges) = (Vec::new(), Vec::new());
    for chunk in chunks {
        parser.push(chunk);
        while let Some(event) = parser.event().map_err(text)? {
            match event {
                Event::Begin(name) => names.push(name),
                Event::Data(_) => {}
                Event::End(range) => ranges.push(range),
            }
        }
    }
    let bytes = parser.finish().map_err(text)?;
    let data = ranges.into_iter().map(|range| bytes[range].to_vec());
    Ok(names.into_iter().zip(data).collect())
}

/// The values of the form fields.
#[derive(Debug)]
#[allow(missing_docs, reason = "the fields of the API")]
pub struct Fields {
    pub selfie: Result<Bytes, ApiError>,
    pub image: Result<Bytes, ApiError>,
    pub multiface: Result<bool, ApiError>,
    pub threshold: Result<Option<f64>, ApiError>,
    pub profile: Result<Option<String>, ApiError>,
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
    let idle = Duration::MAX;
    let limits = BodyLimits { file, body, idle };
    let mut reader = FormReader::new(headers, &http_body::SizeHint::new(), Field::ALL, limits)?;
    for chunk in chunks {
        reader.push(chunk)?;
    }
    let mut form = reader.finish()?;
    Ok(Fields {
        selfie: form.file(Field::Selfie),
        image: form.file(Field::Image),
        multiface: form.multiface(),
        threshold: form.threshold(),
        profile: form.profile(),
    })
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
    Operator::new(config).check(headers, false).is_ok()
}

/// Returns the correlation id that the client sent, if it is fit for a log.
#[must_use]
pub fn correlation_id(headers: &HeaderMap) -> Option<String> {
    telemetry::correlation_id(headers)
}
