//! The OpenAPI document. `service.json` and `verifications.json` have what is fixed; limits, schemas and error codes come from
//! the service's own definitions, so that none is missing.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use likeness_api::{
    Biometric, BiometricData, BiometricResponse, ErrorCode, ErrorResponse, LivenessResponse, PhotoReport,
    SelfieReport,
};
use likeness_engine::decision::Profile;
use serde_json::{Map, Value, json};
use utoipa::{OpenApi, PartialSchema};

use crate::config::{Config, VersionLimits};
use crate::endpoint::{ApiVersion, Endpoint};

/// The schemas of bodies, from the wire types themselves.
#[derive(OpenApi)]
#[openapi(components(schemas(Biometric, BiometricData, PhotoReport, SelfieReport, ErrorResponse)))]
struct Schemas;

const COMMON_HEADERS: [&str; 5] = [
    "X-Request-ID",
    "X-Correlation-ID",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "Strict-Transport-Security",
];

/// Returns the OpenAPI 3.1 document of the public listener with its API below this base path.
pub(super) fn document_at(base_path: &str) -> Value {
    let mut document = document();
    if !base_path.is_empty() {
        document["servers"][0]["url"] = base_path.into();
    }
    document
}

/// Returns the OpenAPI 3.1 document of the public listener. Limits are those of the default configuration.
#[must_use]
pub fn document() -> Value {
    // Tests read both files.
    let mut document: Value = serde_json::from_str(include_str!("service.json")).unwrap_or_default();
    let verifications: Value = serde_json::from_str(include_str!("verifications.json")).unwrap_or_default();

    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    if let Value::String(description) = &mut document["info"]["description"] {
        description.push_str(&error_table());
    }

    if let Value::Object(schemas) = &mut document["components"]["schemas"] {
        if let Ok(Value::Object(found)) = serde_json::to_value(Schemas::openapi().components)
            && let Some(Value::Object(found)) = found.get("schemas")
        {
            schemas.extend(found.clone());
        }
        // Of generic types: named here as Rust's aliases name them.
        let biometric = envelope::<BiometricResponse>("BiometricData");
        schemas.insert("BiometricResponse".into(), biometric);
        let liveness = envelope::<LivenessResponse>("SelfieReport");
        schemas.insert("LivenessResponse".into(), liveness);
    }

    for (path, operations) in document["paths"].as_object_mut().into_iter().flatten() {
        let mut codes = vec![ErrorCode::MethodNotAllowed, ErrorCode::Internal];
        if path == "/readyz" {
            codes.push(ErrorCode::NotReady);
        }
        add_responses(&mut operations["get"], &codes);
    }
    let mut codes = ErrorCode::ALL.to_vec();
    codes.retain(|code| *code != ErrorCode::NotFound);
    for version in ApiVersion::ALL {
        for endpoint in Endpoint::ALL {
            let name = endpoint.as_str();
            let mut operation = verifications[name].clone();
            if let Value::String(id) = &mut operation["operationId"] {
                id.push_str(&version.path().replace(['/', '.'], "_"));
            }
            operation["description"] = limits(version).into();
            let form = &mut operation["requestBody"]["content"]["multipart/form-data"]["schema"];
            if let Some(profile) = form.pointer_mut("/properties/profile") {
                profile["examples"] = json!(Profile::BUILTIN_NAMES);
            }
            add_responses(&mut operation, &codes);
            let findings = headers(&["X-Likeness-Findings"]);
            if let (Some(all), Value::Object(findings)) =
                (operation["responses"]["200"]["headers"].as_object_mut(), findings)
            {
                all.extend(findings);
            }
            document["paths"][format!("{}/{name}", version.path())] = json!({ "post": operation });
        }
    }
    document
}

/// Returns the schema of a response with `response_data` by reference.
fn envelope<T: PartialSchema>(data: &str) -> Value {
    let mut schema = json!(T::schema());
    schema["properties"]["response_data"] = json!({ "$ref": format!("#/components/schemas/{data}") });
    schema
}

/// Returns the limits of a version in the default configuration.
fn limits(version: ApiVersion) -> String {
    let config = Config::default();
    let VersionLimits { selfie, .. } = version.sides(&config.request_limits);
    format!(
        "Unless the operator has set other limits: each side of an image has {} to {} pixels, the whole at most {}; \
         a file has at most {} bytes, the body {}; and the response comes within {} s.",
        selfie.min_side,
        selfie.max_side,
        config.image_limits.max_pixels,
        config.request_limits.file_bytes,
        config.request_limits.body_bytes,
        config.request_limits.deadline.as_secs(),
    )
}

/// Adds the headers of the response 200, and the responses for these codes, one for each status.
fn add_responses(operation: &mut Value, codes: &[ErrorCode]) {
    operation["responses"]["200"]["headers"] = headers(&COMMON_HEADERS);
    let mut by_status: BTreeMap<u16, Vec<ErrorCode>> = BTreeMap::new();
    for code in codes {
        by_status.entry(code.status()).or_default().push(*code);
    }
    for (status, codes) in by_status {
        operation["responses"][status.to_string()] = errors(&codes);
    }
}

fn headers(names: &[&str]) -> Value {
    let reference = |name: &&str| json!({ "$ref": format!("#/components/headers/{name}") });
    let headers = names.iter().map(|name| ((*name).to_owned(), reference(name)));
    Value::Object(headers.collect())
}

fn errors(codes: &[ErrorCode]) -> Value {
    let when = codes.iter().map(|code| format!("`{code}`: {}.", code.when()));
    let description: Vec<String> = when.collect();
    let examples = codes.iter().map(|code| {
        let value = json!({
            "api_req_uid": "9240279b-a042-4b83-9374-e40ed374e6ea",
            "requested_at": "2026-11-23 13:47:51",
            "processed_at": "2026-11-23 13:47:51",
            "error": { "code": code.as_str(), "message": code.default_message() },
        });
        (
            code.to_string(),
            json!({ "summary": code.when(), "value": value }),
        )
    });
    let mut names = COMMON_HEADERS.to_vec();
    if codes.iter().any(|code| code.default_retry_after().is_some()) {
        names.push("Retry-After");
    }
    if codes.contains(&ErrorCode::MethodNotAllowed) {
        names.push("Allow");
    }
    json!({
        "description": description.join("\n\n"),
        "headers": headers(&names),
        "content": { "application/json": {
            "schema": { "$ref": "#/components/schemas/ErrorResponse" },
            "examples": examples.collect::<Map<_, _>>(),
        } },
    })
}

/// Returns a table of all codes.
fn error_table() -> String {
    let mut table = String::from("| code | status | when |\n|---|---|---|\n");
    for code in ErrorCode::ALL {
        // Writing to a String does not fail.
        let _ = writeln!(table, "| `{code}` | {} | {} |", code.status(), code.when());
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::apps::{ID_HEADERS, KEY_HEADERS};
    use crate::http::form::Field;

    fn keys(value: &Value) -> Vec<&str> {
        value.as_object().unwrap().keys().map(String::as_str).collect()
    }

    fn sorted<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
        let mut names: Vec<&str> = names.into_iter().collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn each_verification_has_the_fields_that_are_read() {
        let document = document();
        for version in ApiVersion::ALL {
            for endpoint in Endpoint::ALL {
                let path = format!("{}/{}", version.path(), endpoint.as_str());
                let form = &document["paths"][path]["post"]["requestBody"]["content"]["multipart/form-data"];
                let fields = Field::of(endpoint).iter();
                let names = fields.clone().map(|field| field.name());
                assert_eq!(sorted(keys(&form["schema"]["properties"])), sorted(names));
                let files = fields.filter(|field| field.is_file()).map(|field| field.name());
                let files: Vec<&str> = files.collect();
                assert_eq!(form["schema"]["required"], json!(files));
                assert_eq!(sorted(keys(&form["encoding"])), sorted(files));
            }
        }
    }

    #[test]
    fn the_profiles_and_the_headers_of_credentials_are_those_that_are_known() {
        let document = document();
        let operation = &document["paths"]["/v0.2/biometric-verification"]["post"];
        let text = operation.to_string();
        for name in Profile::BUILTIN_NAMES {
            assert!(text.contains(&format!("`{name}`")), "{name}");
        }
        let pairs = ID_HEADERS.iter().zip(KEY_HEADERS);
        let pairs: Vec<Value> = pairs.map(|(id, key)| json!({ *id: [], key: [] })).collect();
        assert_eq!(operation["security"], json!(pairs));
        let schemes = &document["components"]["securitySchemes"];
        assert_eq!(
            sorted(keys(schemes)),
            sorted(ID_HEADERS.into_iter().chain(KEY_HEADERS))
        );
        for (name, scheme) in schemes.as_object().unwrap() {
            assert_eq!((&scheme["name"], &scheme["in"]), (&json!(name), &json!("header")));
        }
    }
}
