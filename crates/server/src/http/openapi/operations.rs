//! The paths and their operations.

use likeness_api::ErrorCode;
use likeness_engine::decision::Profile;
use serde_json::{Map, Value, json};

use super::responses::{add_errors, good};
use crate::access::apps::{ID_HEADERS, KEY_HEADERS};
use crate::config::{Config, VersionLimits};
use crate::endpoint::{ApiVersion, Endpoint};
use crate::http::form::Field;

/// `image_multiface` as the service reads it: any case, space around it, and blank for the default.
const BOOLEAN: &str = r"^\s*([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|[Yy][Ee][Ss]|[Nn][Oo]|1|0)?\s*$";
/// Content types of images. The service detects the format from the bytes.
const IMAGES: &str =
    "image/jpeg, image/png, image/webp, image/bmp, image/tiff, image/gif, application/octet-stream";

/// Returns all paths of the public listener.
pub(super) fn paths() -> Map<String, Value> {
    let mut paths = Map::new();
    for version in ApiVersion::ALL {
        for endpoint in Endpoint::ALL {
            let path = format!("{}/{}", version.path(), endpoint.as_str());
            paths.insert(path, json!({ "post": verification(version, endpoint) }));
        }
    }
    let json = "application/json";
    for (path, id, summary, content_type, schema, codes) in [
        (
            "/healthz",
            "health",
            "Liveness of the process.",
            json,
            reference("Health"),
            &[][..],
        ),
        (
            "/readyz",
            "readiness",
            "Readiness for requests.",
            json,
            reference("Readiness"),
            &[ErrorCode::NotReady],
        ),
        (
            "/info",
            "info",
            "Version of the service and its models.",
            json,
            reference("Info"),
            &[],
        ),
        (
            "/openapi.json",
            "openapi",
            "This document.",
            json,
            json!({ "type": "object" }),
            &[],
        ),
        (
            "/docs",
            "docs",
            "This document as a page.",
            "text/html",
            json!({ "type": "string" }),
            &[],
        ),
    ] {
        let mut responses = Map::new();
        responses.insert(
            "200".into(),
            good(summary, content_type, &json!({ "schema": schema })),
        );
        let codes = [&[ErrorCode::MethodNotAllowed, ErrorCode::Internal], codes].concat();
        add_errors(&mut responses, &codes);
        let get = json!({
            "operationId": id, "tags": ["service"], "summary": summary, "security": [], "responses": responses,
        });
        paths.insert(path.to_owned(), json!({ "get": get }));
    }
    paths
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

/// Returns the headers of credentials. Their names are also the names of the schemes.
pub(super) fn security_schemes() -> Map<String, Value> {
    let scheme = |what: &str, name: &str| {
        let description =
            format!("{what} of the app. A proxy may drop a name with `_`: use the one with `-` then.");
        (
            name.to_owned(),
            json!({ "type": "apiKey", "in": "header", "name": name, "description": description }),
        )
    };
    let ids = ID_HEADERS.iter().map(|name| scheme("The id", name));
    let keys = KEY_HEADERS.iter().map(|name| scheme("The key", name));
    ids.chain(keys).collect()
}

fn security() -> Vec<Value> {
    ID_HEADERS
        .iter()
        .zip(KEY_HEADERS)
        .map(|(id, key)| json!({ *id: [], key: [] }))
        .collect()
}

fn verification(version: ApiVersion, endpoint: Endpoint) -> Value {
    let (name, summary, schema, example) = match endpoint {
        Endpoint::Biometric => (
            "biometricVerification",
            "Verify a selfie against a photo.",
            "BiometricResponse",
            include_str!("examples/biometric-verification.json"),
        ),
        Endpoint::Liveness => (
            "livenessVerification",
            "Check a selfie for liveness.",
            "LivenessResponse",
            include_str!("examples/liveness-verification.json"),
        ),
    };
    let example: Value = serde_json::from_str(example).unwrap_or_default();
    let good = good(
        "The verification was completed. The body has its result, which may be a rejection.",
        "application/json",
        &json!({ "schema": reference(schema), "example": example }),
    );
    let mut responses = Map::new();
    responses.insert("200".into(), good);
    let codes: Vec<ErrorCode> = ErrorCode::ALL
        .iter()
        .copied()
        .filter(|code| *code != ErrorCode::NotFound)
        .collect();
    add_errors(&mut responses, &codes);
    let version_name = version.path().trim_start_matches('/').replace('.', "_");
    json!({
        "operationId": format!("{name}_{version_name}"),
        "tags": ["verification"],
        "summary": summary,
        "description": limits(version),
        "security": security(),
        "requestBody": body(endpoint),
        "responses": responses,
    })
}

/// Returns the limits of a version in the default configuration.
fn limits(version: ApiVersion) -> String {
    let config = Config::default();
    let VersionLimits { selfie, .. } = version.sides(&config.limits);
    format!(
        "Unless the operator has set other limits: each side of an image has {} to {} pixels, the whole at most {}; \
         a file has at most {} bytes, the body {}; and the response comes within {} s.",
        selfie.min_side,
        selfie.max_side,
        config.safety.max_pixels,
        config.limits.file_bytes,
        config.limits.body_bytes,
        config.limits.deadline.as_secs(),
    )
}

fn body(endpoint: Endpoint) -> Value {
    let fields = Field::of(endpoint);
    let required: Vec<&Field> = fields.iter().filter(|field| field.is_file()).collect();
    let properties: Map<String, Value> = fields
        .iter()
        .map(|field| (field.name().to_owned(), field_schema(*field)))
        .collect();
    let encoding: Map<String, Value> = required
        .iter()
        .map(|field| (field.name().to_owned(), json!({ "contentType": IMAGES })))
        .collect();
    let required: Vec<&str> = required.iter().map(|field| field.name()).collect();
    json!({
        "required": true,
        "content": { "multipart/form-data": {
            "schema": { "type": "object", "required": required, "properties": properties },
            "encoding": encoding,
        } },
    })
}

fn field_schema(field: Field) -> Value {
    let file =
        |description: &str| json!({ "type": "string", "format": "binary", "description": description });
    match field {
        Field::Selfie => file(
            "File: the image that is checked for liveness. JPEG, PNG, WebP, BMP, TIFF or GIF; EXIF orientation is applied.",
        ),
        Field::Image => file("File: the photo to compare with, in the same formats."),
        Field::ImageMultiface => json!({
            "type": "string", "pattern": BOOLEAN, "default": "false", "examples": ["true"],
            "description": "`true`, `false`, `1`, `0`, `yes` or `no`, in any case. Whether to detect all faces in the \
                photo and return the best match; that multiplies the false match rate by up to the number of faces.",
        }),
        Field::Profile => json!({
            "type": "string", "format": "profile-name", "examples": Profile::BUILTIN_NAMES,
            "description": format!(
                "How strict the decision is: {}, or a profile of the operator's that the app may use. Default: the app's own, else `optimal-v0`.",
                Profile::BUILTIN_NAMES.map(|name| format!("`{name}`")).join(", "),
            ),
        }),
        Field::Threshold => json!({
            // HTML forms send what was left blank.
            "anyOf": [{ "type": "number", "minimum": 0, "maximum": 1 }, { "type": "string", "pattern": "^\\s*$" }],
            "examples": [0.6],
            "description": "Live from this score on, 0 to 1; the operator may have set a floor. Absent or blank: the review threshold of the app's profile (0.6).",
        }),
    }
}
