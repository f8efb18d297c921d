//! The description of the API: the OpenAPI document, and its page for people.
//!
//! Paths, fields, schemas and error codes come from the service's own definitions, so that none is missing.

mod operations;
mod responses;
mod schemas;

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use utoipa_swagger_ui::Config;

use super::response;

/// The page loads its own files and requests this service, and nothing else. Swagger UI sets styles inline and has its icons
/// in `data:` URLs.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The files of Swagger UI that its page loads, below `/docs/`.
const PAGE_FILES: [&str; 7] = [
    "favicon-16x16.png",
    "favicon-32x32.png",
    "index.css",
    "swagger-initializer.js",
    "swagger-ui-bundle.js",
    "swagger-ui-standalone-preset.js",
    "swagger-ui.css",
];

static DOCUMENT: LazyLock<Value> = LazyLock::new(document);
/// Without the validator, which is on another host, and without the bar to load other documents.
static PAGE: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    let config = Config::new(["/openapi.json"]);
    Arc::new(config.validator_url("none").use_base_layout())
});

/// Returns the OpenAPI 3.1 document of the public listener. Limits are those of the default configuration.
#[must_use]
pub fn document() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Likeness",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Face matching and passive liveness, compatible with the Kairos IDV API",
            "description": description(),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "The service that serves this document" }],
        "tags": [
            { "name": "verification", "description": "Verifications, with the credentials of an app." },
            { "name": "service", "description": "State and description of the service. No credentials." },
        ],
        "paths": operations::paths(),
        "components": {
            "schemas": schemas::all(),
            "headers": responses::headers(),
            "securitySchemes": operations::security_schemes(),
        },
    })
}

fn description() -> String {
    format!(
        "Verifies a selfie against a photo, and checks it for liveness.\n\n\
         Both versions of the paths have the same requests and responses; they differ in the accepted sizes of images. \
         A verification is one `POST` of `multipart/form-data`. Fields may come in any order, unknown ones are ignored, \
         and files need neither a file name nor a content type: the format is detected from the bytes.\n\n\
         Every response has the header `X-Request-ID`; in JSON bodies the same id is `api_req_uid`. Quote it when you ask \
         the operator. A header `X-Request-ID` of your own (printable, at most 128 characters) goes to the log.\n\n\
         Errors\n\n\
         Every response other than 200 is an `ErrorResponse`. Rely on `error.code`; the wording of `error.message` may \
         change. If there is a `Retry-After` header, retry after that many seconds.\n\n{}",
        responses::error_table()
    )
}

/// Returns the routes of the document, of its page and of the page's files.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let document = get(async || response::json(StatusCode::OK, &*DOCUMENT));
    let router = Router::new()
        .route("/openapi.json", document)
        .route("/docs", get(async || page()));
    PAGE_FILES.into_iter().fold(router, |router, name| {
        router.route(&format!("/docs/{name}"), get(async move || file(name)))
    })
}

/// Returns the page for `/docs`, where relative addresses would not lead to its files below `/docs/`.
fn page() -> Response {
    let Some((content_type, page)) = file_of_page("index.html") else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let page = String::from_utf8_lossy(&page)
        .replace("=\"./", "=\"/docs/")
        .replace("=\"index.css", "=\"/docs/index.css")
        .replace("<title>Swagger UI</title>", "<title>Likeness API</title>");
    asset(content_type, Cow::Owned(page.into_bytes()))
}

fn file(name: &str) -> Response {
    file_of_page(name).map_or_else(
        || StatusCode::NOT_FOUND.into_response(),
        |(content_type, bytes)| asset(content_type, bytes),
    )
}

/// Returns the content type and the bytes of a file; `None` only if Swagger UI has lost it, which a test checks.
fn file_of_page(name: &str) -> Option<(HeaderValue, Cow<'static, [u8]>)> {
    let file = utoipa_swagger_ui::serve(name, Arc::clone(&PAGE)).ok()??;
    Some((HeaderValue::from_str(&file.content_type).ok()?, file.bytes))
}

fn asset(content_type: HeaderValue, bytes: Cow<'static, [u8]>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(PAGE_POLICY),
        ),
    ];
    // Axum copies none of the borrowed files, which are a part of the program.
    (headers, bytes).into_response()
}
