//! The responses that operations have in common: headers, and errors by status.

use std::fmt::Write as _;

use likeness_api::ErrorCode;
use serde_json::{Map, Value, json};

/// The request id of the examples.
const EXAMPLE_ID: &str = "9240279b-a042-4b83-9374-e40ed374e6ea";
const EXAMPLE_TIME: &str = "2026-11-23 13:47:51";

const COMMON_HEADERS: [&str; 4] = [
    "X-Request-ID",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "Strict-Transport-Security",
];

/// Returns the headers of responses, as components.
pub(super) fn headers() -> Value {
    let fixed = |description: &str, value: &str| json!({ "description": description, "required": true, "schema": { "type": "string", "const": value } });
    json!({
        "X-Request-ID": {
            "description": "The id of the request, the same as `api_req_uid`.",
            "required": true,
            "schema": { "type": "string", "format": "uuid" },
        },
        "X-Content-Type-Options": fixed("Browsers rely on the content type.", "nosniff"),
        "X-Frame-Options": fixed("Must not be shown in frames.", "DENY"),
        "Strict-Transport-Security": fixed("TLS only.", "max-age=86400; includeSubDomains"),
        "Retry-After": {
            "description": "Seconds after which to retry.",
            "schema": { "type": "integer", "minimum": 0 },
        },
        "Allow": {
            "description": "The methods of the path.",
            "required": true,
            "schema": { "type": "string" },
        },
    })
}

fn references(names: &[&str]) -> Value {
    let headers: Map<String, Value> = names
        .iter()
        .map(|name| {
            let reference = json!({ "$ref": format!("#/components/headers/{name}") });
            ((*name).to_owned(), reference)
        })
        .collect();
    Value::Object(headers)
}

/// Returns a response 200.
pub(super) fn good(description: &str, content_type: &str, content: &Value) -> Value {
    json!({
        "description": description,
        "headers": references(&COMMON_HEADERS),
        "content": { content_type: content },
    })
}

/// Adds the responses for these codes to `responses`, one for each status.
pub(super) fn add_errors(responses: &mut Map<String, Value>, codes: &[ErrorCode]) {
    let mut statuses: Vec<u16> = codes.iter().map(|code| code.status()).collect();
    statuses.dedup();
    for status in statuses {
        let here: Vec<ErrorCode> = codes
            .iter()
            .copied()
            .filter(|code| code.status() == status)
            .collect();
        responses.insert(status.to_string(), errors(status, &here));
    }
}

fn errors(status: u16, codes: &[ErrorCode]) -> Value {
    let description: Vec<String> = codes
        .iter()
        .map(|code| format!("`{code}`: {}.", code.when()))
        .collect();
    let examples: Map<String, Value> = codes
        .iter()
        .map(|code| {
            (
                code.as_str().to_owned(),
                json!({ "summary": code.when(), "value": example(*code) }),
            )
        })
        .collect();
    let mut names = COMMON_HEADERS.to_vec();
    if codes.iter().any(|code| code.default_retry_after().is_some()) {
        names.push("Retry-After");
    }
    if status == ErrorCode::MethodNotAllowed.status() {
        names.push("Allow");
    }
    json!({
        "description": description.join("\n\n"),
        "headers": references(&names),
        "content": { "application/json": {
            "schema": { "$ref": "#/components/schemas/ErrorResponse" },
            "examples": examples,
        } },
    })
}

fn example(code: ErrorCode) -> Value {
    json!({
        "api_req_uid": EXAMPLE_ID,
        "requested_at": EXAMPLE_TIME,
        "processed_at": EXAMPLE_TIME,
        "response_code": 0,
        "error": { "code": code.as_str(), "message": code.default_message() },
    })
}

/// Returns a table of all codes.
pub(super) fn error_table() -> String {
    let mut table = String::from("| code | status | when |\n|---|---|---|\n");
    for code in ErrorCode::ALL {
        // Writing to a String does not fail.
        let _ = writeln!(table, "| `{code}` | {} | {} |", code.status(), code.when());
    }
    table
}
