//! The description of the API: the OpenAPI document, and its page for people.

mod document;

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::Value;
use utoipa_swagger_ui::Config;

use super::response;

use document::document_at;

pub use document::document;

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

/// Without the validator, which is on another host, and without the bar to load other documents.
static PAGE: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    // Relative to the page, as all its addresses, so that it works below any path.
    let config = Config::new(["openapi.json"]);
    Arc::new(config.validator_url("none").use_base_layout())
});

/// Returns the routes of the document, of its page and of the page's files. `base_path` is that of the API's URLs.
pub(super) fn routes<S: Clone + Send + Sync + 'static>(base_path: &str) -> Router<S> {
    let document: Arc<Value> = Arc::new(document_at(base_path));
    let document = get(move || async move { response::json(StatusCode::OK, &*document) });
    let router = Router::new()
        .route("/openapi.json", document)
        .route("/docs", get(async || page()));
    PAGE_FILES.into_iter().fold(router, |router, name| {
        router.route(
            &format!("/docs/{name}"),
            get(async move || asset(file_of_page(name))),
        )
    })
}

/// Returns the page for `/docs`, whose relative addresses begin beside it: its files are below `/docs/`.
fn page() -> Response {
    asset(file_of_page("index.html").map(|(content_type, page)| {
        let page = String::from_utf8_lossy(&page)
            .replace("=\"./", "=\"docs/")
            .replace("=\"index.css", "=\"docs/index.css")
            .replace("<title>Swagger UI</title>", "<title>Likeness API</title>");
        (content_type, Cow::Owned(page.into_bytes()))
    }))
}

/// Returns the content type and the bytes of a file; `None` only if Swagger UI has lost it, which a test checks.
fn file_of_page(name: &str) -> Option<(HeaderValue, Cow<'static, [u8]>)> {
    let file = utoipa_swagger_ui::serve(name, Arc::clone(&PAGE)).ok()??;
    Some((HeaderValue::from_str(&file.content_type).ok()?, file.bytes))
}

fn asset(file: Option<(HeaderValue, Cow<'static, [u8]>)>) -> Response {
    let Some((content_type, bytes)) = file else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let policy = HeaderValue::from_static(PAGE_POLICY);
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, policy),
    ];
    // Axum copies none of the borrowed files, which are a part of the program.
    (headers, bytes).into_response()
}
