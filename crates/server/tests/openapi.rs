//! What the service really responses is what the committed description says: statuses, content types, headers and bodies.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is a test")]

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use likeness_server::storage::apps::AppLimits;
use serde_json::{Value, json};
use support::form::{self, png};
use support::models::{BLOCKING, EMPTY, PANICKING};
use support::{APP, DISABLED_APP, Form, KEY, Models, Response, TestServer, credentials};

const BIOMETRIC: &str = "/v0.2/biometric-verification";
const LIVENESS: &str = "/v0.2/liveness-verification";

struct Description {
    document: Value,
    /// What was seen: path, method, status and code.
    seen: BTreeSet<(String, String, u16, String)>,
}

impl Description {
    fn read() -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
        Self {
            document: serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap(),
            seen: BTreeSet::new(),
        }
    }

    /// Checks an response against the operation that it is of.
    #[track_caller]
    fn check(&mut self, method: &str, path: &str, response: &Response) {
        let status = response.status.to_string();
        let described = &self.document["paths"][path][method]["responses"][&status];
        assert!(
            described.is_object(),
            "{method} {path} does not response {status} by its description"
        );
        self.check_headers(described, response);
        // Without its parameters, such as the character set.
        let content_type = response.header("content-type").unwrap();
        let content_type = content_type.split(';').next().unwrap();
        let media = &described["content"][content_type];
        assert!(
            media.is_object(),
            "{method} {path} {status}: {content_type} is not described"
        );
        if content_type == "application/json" {
            self.check_body(&media["schema"], response);
        }
        self.see(method, path, response);
    }

    /// Checks an error that is of no operation.
    #[track_caller]
    fn check_error(&mut self, method: &str, path: &str, response: &Response) {
        let schema = json!({ "$ref": "#/components/schemas/ErrorResponse" });
        self.check_body(&schema, response);
        self.see(method, path, response);
    }

    fn see(&mut self, method: &str, path: &str, response: &Response) {
        let is_json = response.header("content-type") == Some("application/json");
        let code = if is_json {
            response.code()
        } else {
            "none".to_owned()
        };
        self.seen
            .insert((path.to_owned(), method.to_owned(), response.status, code));
    }

    #[track_caller]
    fn check_headers(&self, described: &Value, response: &Response) {
        for (name, header) in described["headers"].as_object().unwrap() {
            let pointer = header["$ref"].as_str().unwrap().trim_start_matches('#');
            let header = self.document.pointer(pointer).unwrap();
            let Some(value) = response.header(&name.to_ascii_lowercase()) else {
                assert_ne!(header["required"], true, "{name} is absent");
                continue;
            };
            let schema = &header["schema"];
            if schema["type"] == "integer" {
                let minimum = schema["minimum"].as_u64().unwrap();
                assert!(value.parse::<u64>().unwrap() >= minimum, "{name}: {value}");
            }
            if let Some(constant) = schema["const"].as_str() {
                assert_eq!(value, constant, "{name}");
            }
        }
        let names: Vec<String> = described["headers"]
            .as_object()
            .unwrap()
            .keys()
            .map(|name| name.to_ascii_lowercase())
            .collect();
        for name in ["retry-after", "allow"] {
            if response.header(name).is_some() {
                assert!(names.iter().any(|known| known == name), "{name} is not described");
            }
        }
    }

    #[track_caller]
    fn check_body(&self, schema: &Value, response: &Response) {
        let whole = json!({ "allOf": [schema], "components": self.document["components"] });
        let validator = jsonschema::draft202012::new(&whole).unwrap();
        let body = response.json();
        if let Err(error) = validator.validate(&body) {
            panic!("{error} at {}: {body}", error.instance_path());
        }
    }
}

/// Asks without a form.
fn ask(server: &TestServer, method: &str, path: &str) -> Response {
    let mut client = server.client();
    client.send(format!("{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").as_bytes());
    // Pages have other content types: what all JSON responses have in common is checked elsewhere.
    client.admin_response()
}

fn post_as(server: &TestServer, path: &str, form: &Form, headers: &str) -> Response {
    let mut client = server.client();
    client.send(&form.request(path, headers));
    client.response()
}

#[test]
fn responses_match_their_description() {
    let mut description = Description::read();
    let models = Models::new(1);
    let mut server = TestServer::start(&models, |config| {
        config.admission.max_requests = Some(1);
        config.connections.body_idle = Duration::from_millis(300);
        config.request_limits.file_bytes = 200_000;
        config.shutdown.delay = support::TIMEOUT;
    });
    let mut corrupt = png(600, 500);
    corrupt.truncate(corrupt.len() / 2);
    let pair = || form::selfie(600, 500).file("image", &png(600, 500));
    let pair_of = |bytes: &[u8]| Form::new().file("selfie", bytes).file("image", bytes);
    let pair_sized = |width, height| pair_of(&png(width, height));
    for version in ["/v0.1", "/v0.2"] {
        for endpoint in ["biometric-verification", "liveness-verification"] {
            let path = format!("{version}/{endpoint}");
            for (form, status) in [
                (pair(), 200),
                (form::pair().text("image_multiface", "true"), 200),
                (pair_sized(EMPTY, 500), 200),
                (pair().with_content_type("text/plain"), 400),
                (Form::new(), 400),
                (pair().file("selfie", b"x"), 400),
                (pair_of(&vec![7; 200_001]), 413),
                (pair_of(b"no picture"), 415),
                (pair_of(&corrupt), 422),
                (pair_sized(20, 20), 422),
                (pair_sized(10_001, 480), 422),
                (pair_sized(PANICKING, 500), 500),
            ] {
                let response = server.post(&path, &form);
                assert_eq!(response.status, status, "{path}: {}", response.json());
                description.check("post", &path, &response);
            }
            for (headers, status) in [
                (String::new(), 401),
                (format!("app_id: {DISABLED_APP}\r\napp_key: {KEY}\r\n"), 403),
            ] {
                let response = post_as(&server, &path, &pair(), &headers);
                assert_eq!(response.status, status);
                description.check("post", &path, &response);
            }
            // A body that stalls.
            let request = pair().request(&path, &credentials());
            let mut client = server.client();
            client.send(&request[..request.len() - 10]);
            description.check("post", &path, &client.response().expect(504, "DEADLINE_EXCEEDED"));
            let response = ask(&server, "GET", &path).expect(405, "METHOD_NOT_ALLOWED");
            description.check_error("get", &path, &response);
        }
    }
    for path in ["/healthz", "/readyz", "/info", "/openapi.json", "/docs"] {
        let response = ask(&server, "GET", path);
        assert_eq!(response.status, 200);
        description.check("get", path, &response);
    }
    description.check_error(
        "get",
        "/nowhere",
        &server.get("/nowhere").expect(404, "NOT_FOUND"),
    );

    let mut blocked = server.client();
    blocked.send(&form::selfie(BLOCKING, 500).request(LIVENESS, &credentials()));
    models.wait_until_blocked();
    for path in [BIOMETRIC, LIVENESS] {
        let response = server.post(path, &pair()).expect(503, "OVERLOADED");
        description.check("post", path, &response);
    }
    server.shut_down();
    let begun = std::time::Instant::now();
    let response = loop {
        let response = ask(&server, "GET", "/readyz");
        if response.status != 200 {
            break response;
        }
        assert!(begun.elapsed() < support::TIMEOUT);
    };
    description.check("get", "/readyz", &response.expect(503, "NOT_READY"));
    models.release();
    assert_eq!(blocked.response().status, 200);

    let limited = TestServer::start(&Models::new(1), |config| {
        let mut limits = AppLimits::default();
        limits.daily_quota = Some(1);
        config.apps.retain(|app| app.id == APP);
        config.apps[0].limits = limits;
    });
    assert_eq!(limited.post(LIVENESS, &pair()).status, 200);
    for path in [BIOMETRIC, LIVENESS] {
        let response = limited.post(path, &pair()).expect(403, "LIMIT_EXCEEDED");
        description.check("post", path, &response);
    }

    // Every code that there is has been seen.
    let seen: BTreeSet<&str> = description
        .seen
        .iter()
        .map(|(_, _, _, code)| code.as_str())
        .collect();
    let known = likeness_api::ErrorCode::ALL.iter().map(|code| code.as_str());
    let missing: Vec<&str> = known.filter(|code| !seen.contains(code)).collect();
    assert_eq!(missing, [""; 0], "not provoked");
}
