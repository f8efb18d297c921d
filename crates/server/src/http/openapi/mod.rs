//! The description of the API: the OpenAPI document, the page made of it, and the collection for Postman.
//!
//! Paths, fields, schemas and error codes come from what the service itself goes by, so that none can be forgotten.

mod operations;
mod page;
mod postman;
mod responses;
mod schemas;

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};

use crate::http::response;
use crate::http::service::Service;

/// Nothing but the page's own style sheet: no script, no picture, no frame.
const PAGE_POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static DOCUMENT: LazyLock<Value> = LazyLock::new(document);
static PAGE: LazyLock<String> = LazyLock::new(|| page::html(&DOCUMENT));

/// The OpenAPI 3.1 document of the public port. Limits are those of the default configuration.
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
            { "name": "verification", "description": "What an app asks for, with its credentials." },
            { "name": "service", "description": "How the service is, and what it is. No credentials." },
        ],
        "paths": operations::paths(),
        "components": {
            "schemas": schemas::all(),
            "headers": responses::headers(),
            "securitySchemes": operations::security_schemes(),
        },
    })
}

/// A Postman collection (v2.1) with a request for each operation of the [`document`]. Its variables are `base_url`,
/// `app_id` and `app_key`; files are chosen in Postman.
#[must_use]
pub fn postman_collection() -> Value {
    postman::collection(&DOCUMENT)
}

fn description() -> String {
    format!(
        "Is the selfie a live person, and is it the person in the photo?\n\n\
         Both versions of the paths take and answer the same; they differ in the sizes of pictures that are accepted. \
         A verification is one `POST` of `multipart/form-data`. Fields may come in any order, unknown ones are ignored, \
         and files need neither a file name nor a content type: what a file is, is read from its bytes.\n\n\
         Every answer has the header `X-Request-ID`; in JSON bodies the same id is `api_req_uid`. Quote it when you ask \
         the operator. A header `X-Request-ID` of your own (printable, at most 128 characters) goes to the log.\n\n\
         Errors\n\n\
         Every answer that is no 200 is an `ErrorResponse`. Go by `error.code`; the wording of `error.message` may \
         change. Where `Retry-After` is there, try again after so many seconds.\n\n{}",
        responses::error_table()
    )
}

pub(crate) fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route(
            "/openapi.json",
            get(async || response::json(StatusCode::OK, &*DOCUMENT)),
        )
        .route("/docs", get(async || asset("text/html; charset=utf-8", &PAGE)))
        .route(
            "/docs/style.css",
            get(async || asset("text/css; charset=utf-8", page::STYLE)),
        )
}

fn asset(content_type: &'static str, body: &'static str) -> Response {
    let headers: [(HeaderName, HeaderValue); 2] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(PAGE_POLICY),
        ),
    ];
    (headers, body).into_response()
}
