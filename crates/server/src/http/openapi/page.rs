//! The page for people, made of the document: HTML without a script, so that it can be shown under a policy that allows
//! none.

use std::fmt::Write as _;

use serde_json::Value;

pub(super) const STYLE: &str = include_str!("style.css");

/// The whole page.
pub(super) fn html(document: &Value) -> String {
    let info = &document["info"];
    let title = escape(text(&info["title"]));
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title} API</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <link rel=\"stylesheet\" href=\"/docs/style.css\"></head><body>\
         <h1>{title} {}</h1><p>{}</p><p><a href=\"/openapi.json\">OpenAPI document</a></p>",
        escape(text(&info["version"])),
        escape(text(&info["summary"])),
    );
    let (mut contents, mut operations) = (String::new(), String::new());
    for (path, methods) in entries(&document["paths"]) {
        for (method, operation) in entries(methods) {
            let id = escape(text(&operation["operationId"]));
            let name = format!(
                "<span class=\"method\">{}</span>{}",
                method.to_uppercase(),
                escape(path)
            );
            put(
                &mut contents,
                format_args!("<li><a href=\"#{id}\">{name}</a></li>"),
            );
            put(&mut operations, format_args!("<h2 id=\"{id}\">{name}</h2>"));
            self::operation(&mut operations, operation);
        }
    }
    put(
        &mut page,
        format_args!(
            "<nav><ul>{contents}</ul></nav>{}",
            prose(text(&info["description"]))
        ),
    );
    page.push_str("<h2>Credentials</h2><table><tr><th>header</th><th></th></tr>");
    for (_, scheme) in entries(&document["components"]["securitySchemes"]) {
        let (name, what) = (escape(text(&scheme["name"])), prose(text(&scheme["description"])));
        put(
            &mut page,
            format_args!("<tr><td><code>{name}</code></td><td>{what}</td></tr>"),
        );
    }
    page.push_str("</table>");
    page.push_str(&operations);
    page.push_str("<h2>Schemas</h2>");
    for (name, schema) in entries(&document["components"]["schemas"]) {
        self::schema(&mut page, name, schema);
    }
    page.push_str("</body></html>");
    page
}

fn operation(page: &mut String, operation: &Value) {
    for part in ["summary", "description"] {
        page.push_str(&prose(text(&operation[part])));
    }
    if let Some(body) = operation.pointer("/requestBody/content/multipart~1form-data/schema") {
        page.push_str("<h3>Body, <code>multipart/form-data</code></h3>");
        fields(page, body);
    }
    page.push_str("<h3>Answers</h3>");
    for (status, answer) in entries(&operation["responses"]) {
        put(
            page,
            format_args!("<details><summary><code>{}</code></summary>", escape(status)),
        );
        page.push_str(&prose(text(&answer["description"])));
        let headers: Vec<String> = entries(&answer["headers"])
            .map(|(name, _)| format!("<code>{}</code>", escape(name)))
            .collect();
        put(page, format_args!("<p>Headers: {}</p>", headers.join(", ")));
        for (content_type, media) in entries(&answer["content"]) {
            put(
                page,
                format_args!(
                    "<p><code>{}</code> {}</p>",
                    escape(content_type),
                    kind(&media["schema"])
                ),
            );
            let many = entries(&media["examples"]).map(|(_, example)| &example["value"]);
            for example in many.chain(media.get("example")) {
                put(
                    page,
                    format_args!("<pre><code>{}</code></pre>", escape(&format!("{example:#}"))),
                );
            }
        }
        page.push_str("</details>");
    }
}

fn schema(page: &mut String, name: &str, schema: &Value) {
    let name = escape(name);
    put(page, format_args!("<h3 id=\"schema-{name}\">{name}</h3>"));
    page.push_str(&prose(text(&schema["description"])));
    fields(page, schema);
}

fn fields(page: &mut String, schema: &Value) {
    page.push_str("<table><tr><th>field</th><th>type</th><th></th></tr>");
    for (name, field) in entries(&schema["properties"]) {
        let required = schema["required"]
            .as_array()
            .is_some_and(|names| names.iter().any(|known| known == name));
        let optional = if required { "" } else { ", optional" };
        put(
            page,
            format_args!(
                "<tr><td><code>{}</code></td><td>{}{optional}</td><td>{}</td></tr>",
                escape(name),
                kind(field),
                prose(text(&field["description"])),
            ),
        );
    }
    page.push_str("</table>");
}

/// The type of a field, with a link where it has a name.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        let name = escape(name);
        return format!("<a href=\"#schema-{name}\">{name}</a>");
    }
    let mut said = match &schema["type"] {
        Value::String(name) if name == "array" => format!("list of {}", kind(&schema["items"])),
        Value::String(name) => escape(name),
        Value::Array(names) => names
            .iter()
            .map(text)
            .map(escape)
            .collect::<Vec<_>>()
            .join(" or "),
        _ => String::new(),
    };
    for key in ["format", "const", "minimum", "maximum", "default"] {
        match schema.get(key) {
            Some(Value::String(value)) => {
                put(&mut said, format_args!(", {key} <code>{}</code>", escape(value)));
            }
            Some(value) => put(&mut said, format_args!(", {key} {}", escape(&value.to_string()))),
            None => {}
        }
    }
    said
}

/// Paragraphs, tables and code, as the document's descriptions have them.
fn prose(source: &str) -> String {
    let mut html = String::new();
    for block in source.split("\n\n").filter(|block| !block.trim().is_empty()) {
        if block.starts_with('|') {
            html.push_str("<table>");
            for (index, line) in block.lines().enumerate().filter(|(index, _)| *index != 1) {
                let tag = if index == 0 { "th" } else { "td" };
                html.push_str("<tr>");
                for cell in line.trim_matches('|').split('|') {
                    put(&mut html, format_args!("<{tag}>{}</{tag}>", code(cell.trim())));
                }
                html.push_str("</tr>");
            }
            html.push_str("</table>");
        } else {
            put(&mut html, format_args!("<p>{}</p>", code(block)));
        }
    }
    html
}

/// Text between backticks is code.
fn code(source: &str) -> String {
    let mut html = String::new();
    for (index, part) in source.split('`').enumerate() {
        if index % 2 == 1 {
            put(&mut html, format_args!("<code>{}</code>", escape(part)));
        } else {
            html.push_str(&escape(part));
        }
    }
    html
}

fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.as_str(), value))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn escape(source: &str) -> String {
    source
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn put(page: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String does not fail.
    let _ = page.write_fmt(arguments);
}
