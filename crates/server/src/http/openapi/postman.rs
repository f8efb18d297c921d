//! The collection for Postman, from the document.

use serde_json::{Value, json};

const SCHEMA: &str = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json";

pub(super) fn collection(document: &Value) -> Value {
    let mut items = Vec::new();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            items.push(item(path, &method.to_uppercase(), operation));
        }
    }
    let variable = |key: &str, value: &str| json!({ "key": key, "value": value, "type": "string" });
    json!({
        "info": {
            "name": document["info"]["title"],
            "description": document["info"]["description"],
            "version": document["info"]["version"],
            "schema": SCHEMA,
        },
        "variable": [
            variable("base_url", "http://127.0.0.1:8080"),
            variable("app_id", ""),
            variable("app_key", ""),
        ],
        "item": items,
    })
}

fn item(path: &str, method: &str, operation: &Value) -> Value {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let mut request = json!({
        "method": method,
        "header": headers(operation),
        "url": { "raw": format!("{{{{base_url}}}}{path}"), "host": ["{{base_url}}"], "path": parts },
        "description": operation["summary"],
    });
    if let Some(media) = operation.pointer("/requestBody/content/multipart~1form-data") {
        request["body"] = json!({ "mode": "formdata", "formdata": form(&media["schema"]) });
    }
    json!({ "name": format!("{method} {path}"), "request": request, "response": [] })
}

/// The first spelling of the credentials, where the operation wants any.
fn headers(operation: &Value) -> Vec<Value> {
    operation["security"][0]
        .as_object()
        .into_iter()
        .flat_map(|schemes| schemes.keys())
        .map(|name| json!({ "key": name, "value": format!("{{{{{name}}}}}"), "type": "text" }))
        .collect()
}

/// Optional fields are there, and switched off.
fn form(schema: &Value) -> Vec<Value> {
    let required: Vec<&Value> = schema["required"].as_array().into_iter().flatten().collect();
    schema["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, field)| {
            let description = &field["description"];
            if field["format"] == "binary" {
                return json!({ "key": name, "type": "file", "src": [], "description": description });
            }
            let example = match &field["examples"][0] {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let disabled = !required.iter().any(|known| *known == name.as_str());
            json!({ "key": name, "type": "text", "value": example, "disabled": disabled, "description": description })
        })
        .collect()
}
