//! The embedded files: styles and scripts.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};

use super::Console;

const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! asset {
    ($name:literal, $kind:expr) => {
        (
            $name,
            $kind,
            include_str!(concat!("../../assets/console/", $name)),
        )
    };
}

/// Name, media type and text of each file.
const ASSETS: &[(&str, &str, &str)] = &[
    asset!("console.css", "text/css; charset=utf-8"),
    asset!("icon.svg", "image/svg+xml"),
    asset!("console.js", SCRIPT),
    asset!("texts.js", SCRIPT),
    asset!("try.js", SCRIPT),
    asset!("what-if.js", SCRIPT),
];

/// Returns the path of a file.
pub(super) fn path(name: &str) -> String {
    format!("/console/assets/{name}")
}

pub(super) fn routes() -> Router<Arc<Console>> {
    Router::new().route("/console/assets/{name}", get(asset))
}

/// They hold no secrets: the login page needs them too.
async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some((_, kind, text)) = ASSETS.iter().find(|(found, ..)| *found == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let tag = format!("\"{}\"", hex::encode(&Sha256::digest(text)[..16]));
    let is_known = headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, *kind)], *text).into_response()
    };
    let headers = response.headers_mut();
    // Asked for again each time, so that a new version is never mixed with an old one.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}
