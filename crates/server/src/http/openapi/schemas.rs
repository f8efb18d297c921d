//! The schemas of bodies, from the wire types themselves.

use likeness_api::{
    Biometric, BiometricData, BiometricResponse, ErrorResponse, LivenessResponse, PhotoReport, SelfieReport,
};
use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// Returns all schemas by name.
pub(super) fn all() -> Map<String, Value> {
    let mut found: Vec<(String, RefOr<Schema>)> = Vec::new();
    add::<Biometric>(&mut found);
    add::<BiometricData>(&mut found);
    add::<PhotoReport>(&mut found);
    add::<SelfieReport>(&mut found);
    add::<ErrorResponse>(&mut found);
    let mut schemas: Map<String, Value> = found
        .iter()
        .map(|(name, schema)| (name.clone(), json!(schema)))
        .collect();
    // Of generic types: named here as Rust's aliases name them.
    schemas.insert(
        "BiometricResponse".into(),
        whole::<BiometricResponse>("BiometricData"),
    );
    schemas.insert(
        "LivenessResponse".into(),
        whole::<LivenessResponse>("SelfieReport"),
    );
    schemas.insert("Health".into(), status_schema("ok"));
    schemas.insert("Readiness".into(), status_schema("ready"));
    schemas.insert("Info".into(), info());
    schemas
}

fn add<T: ToSchema>(found: &mut Vec<(String, RefOr<Schema>)>) {
    found.push((T::name().into_owned(), T::schema()));
    T::schemas(found);
}

/// Returns the envelope with `response_data` by reference.
fn whole<T: PartialSchema>(data: &str) -> Value {
    let mut schema = json!(T::schema());
    if let Some(field) = schema.pointer_mut("/properties/response_data") {
        *field = json!({ "$ref": format!("#/components/schemas/{data}") });
    }
    schema
}

fn status_schema(value: &str) -> Value {
    json!({
        "type": "object",
        "required": ["status"],
        "properties": { "status": { "type": "string", "const": value } },
    })
}

fn info() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    let nullable = |description: &str| json!({ "type": ["string", "null"], "description": description });
    json!({
        "type": "object",
        "required": ["name", "version"],
        "properties": {
            "name": text("`likeness`."),
            "version": text("Version of the service."),
            "provider": text("Execution provider of the models."),
            "pack": text("Name of the model pack."),
            "pack_version": nullable("Version of the model pack."),
            "match_calibration": nullable("Calibration of match confidences."),
            "liveness_calibration": nullable("Calibration of liveness scores."),
        },
    })
}
