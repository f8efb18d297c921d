//! The HTTP contract, over real HTTP: what is answered to whom, and in which order it is checked.

mod support;

use likeness_server::{AppConfig, Config, Server};
use support::form::png;
use support::models::{BLOCKING, EMPTY};
use support::{APP, DISABLED_APP, Form, KEY, Models, Response, TestServer, credentials, log};

const BIOMETRIC: &str = "/v0.2/biometric-verification";
const LIVENESS: &str = "/v0.2/liveness-verification";
const PATHS: [&str; 4] = [
    BIOMETRIC,
    LIVENESS,
    "/v0.1/biometric-verification",
    "/v0.1/liveness-verification",
];

fn server() -> TestServer {
    TestServer::start(&Models::new(1), |_| {})
}

fn send(server: &TestServer, bytes: &[u8]) -> Response {
    let mut client = server.client();
    client.send(bytes);
    client.response()
}

#[test]
fn both_endpoints_exist_in_both_versions() {
    let server = server();
    for path in PATHS
        .iter()
        .flat_map(|path| [(*path).to_owned(), format!("{path}/")])
    {
        let response = server.post(&path, &Form::pair());
        assert_eq!(response.status, 200, "{path}: {}", response.json());
        let data = &response.json()["response_data"];
        if path.contains("biometric") {
            assert_eq!(data["biometric"]["face_match_confidence"], 0.9);
            assert_eq!(data["biometric"]["selfie"]["faces_liveness"], 0.75);
            assert_eq!(data["decision"]["details"], serde_json::json!([]));
        } else {
            assert_eq!(data["faces_liveness"], 0.75);
            assert_eq!(data["img"]["width"], 600);
            assert_eq!(response.json()["response_code"], 1);
        }
    }
}

#[test]
fn only_valid_credentials_are_accepted() {
    let server = server();
    let form = Form::pair();
    let wrong = [
        String::new(),
        format!("app_id: {APP}\r\n"),
        format!("app_key: {KEY}\r\n"),
        format!("app_id: {APP}\r\napp_key: wrong\r\n"),
        format!("app_id: {APP}\r\napp_key:\r\n"),
        format!("app_id: unknown\r\napp_key: {KEY}\r\n"),
        format!("app_id: {DISABLED_APP}\r\napp_key: wrong\r\n"),
        format!("app_id: {APP}\r\napp_id: {APP}\r\napp_key: {KEY}\r\n"),
        format!("app_id: {APP}\r\napp-id: other\r\napp_key: {KEY}\r\n"),
        format!("app_id: {APP}\r\napp_key: {KEY}\r\napp-key: other\r\n"),
        "app_id: \u{e9}\r\napp_key: \u{e9}\r\n".to_owned(),
    ];
    let mut bodies = Vec::new();
    for path in PATHS {
        for headers in &wrong {
            let response = send(&server, &form.request(path, headers)).expect(401, "INVALID_CREDENTIALS");
            bodies.push(response.lasting());
        }
        for (id, key) in [
            ("app_id", "app_key"),
            ("app-id", "app-key"),
            ("APP_ID", "App-Key"),
        ] {
            let headers = format!("{id}: {APP}\r\n{key}: {KEY}\r\n");
            assert_eq!(
                send(&server, &form.request(path, &headers)).status,
                200,
                "{headers}"
            );
        }
        let headers = format!("app_id: {DISABLED_APP}\r\napp_key: {KEY}\r\n");
        send(&server, &form.request(path, &headers)).expect(403, "APP_DISABLED");
    }
    bodies.dedup();
    assert_eq!(
        bodies.len(),
        1,
        "an unknown app and a wrong key get the same response"
    );
}

#[test]
fn checks_are_made_in_the_contracts_order() {
    let models = Models::new(1);
    let server = TestServer::start(&models, |config| {
        config.admission.max_requests = Some(1);
        config.limits.body_bytes = 100_000;
    });
    let garbage = Form::new()
        .content_type("text/plain")
        .part("", &vec![0; 200_000])
        .head(BIOMETRIC, "");
    let with = |headers: &str| garbage.replace("\r\n\r\n", &format!("\r\n{headers}\r\n"));

    let mut blocked = server.client();
    blocked.send(&Form::selfie(BLOCKING, 500).request(LIVENESS, &credentials()));
    models.wait_until_blocked();

    send(&server, with("").as_bytes()).expect(401, "INVALID_CREDENTIALS");
    let disabled = format!("app_id: {DISABLED_APP}\r\napp_key: {KEY}\r\n");
    send(&server, with(&disabled).as_bytes()).expect(403, "APP_DISABLED");
    let full = send(&server, with(&credentials()).as_bytes()).expect(503, "OVERLOADED");
    assert_eq!(full.header("retry-after"), Some("1"));
    models.release();
    assert_eq!(blocked.response().status, 200);
    send(&server, with(&credentials()).as_bytes()).expect(400, "MALFORMED_REQUEST");
    let multipart = with(&credentials()).replace("text/plain", "multipart/form-data; boundary=B");
    send(&server, multipart.as_bytes()).expect(413, "FILE_TOO_LARGE");
    server
        .post(BIOMETRIC, &Form::new().text("selfie", "no picture"))
        .expect(400, "MISSING_FIELD");
    let not_a_picture = Form::new()
        .text("selfie", "no picture")
        .text("image", "no picture");
    server
        .post(BIOMETRIC, &not_a_picture.clone().text("image_multiface", "maybe"))
        .expect(400, "INVALID_PARAMETER");
    server
        .post(BIOMETRIC, &not_a_picture)
        .expect(415, "UNSUPPORTED_IMAGE_FORMAT");
}

#[test]
fn forms_come_in_every_shape() {
    let server = server();
    let image = png(600, 500);
    let file = |head: &str| Form::new().part(head, &image);
    for form in [
        file("Content-Disposition: form-data; name=\"selfie\""),
        file("Content-Disposition: form-data; name=selfie"),
        file(
            "content-disposition: form-data; filename=x; name=\"selfie\"\r\ncontent-type: application/octet-stream",
        ),
        file("Content-Type: text/html\r\nContent-Disposition: form-data; name=\"selfie\"; filename=\"\""),
        file(
            "Content-Disposition: form-data; name=\"selfie\"; filename=\"a; name=image\"; filename*=utf-8''%C3%A9",
        ),
        Form::new()
            .text("threshold", " 0.7 ")
            .text("other", "x")
            .file("selfie", &image),
        Form::new()
            .file("selfie", &image)
            .text("other", "x")
            .text("other", "x")
            .text("threshold", ""),
        Form::new()
            .file("selfie", &image)
            .content_type("Multipart/Form-Data; charset=utf-8; boundary=\"BOUNDARY\""),
        Form::new()
            .file("image", b"ignored here")
            .file("selfie", &image)
            .text("profile", "ignored here"),
    ] {
        let response = server.post(LIVENESS, &form);
        assert_eq!(response.status, 200, "{}", response.json());
    }
    for value in ["true", "True", "FALSE", "1", "0", "yes", "No", " true "] {
        let form = Form::new()
            .text("image_multiface", value)
            .file("image", &image)
            .text("profile", "strict-v0")
            .file("selfie", &image);
        assert_eq!(server.post(BIOMETRIC, &form).status, 200, "{value}");
    }
}

#[test]
fn invalid_values_are_named() {
    let server = server();
    for (path, form, code, named) in [
        (LIVENESS, Form::new(), "MISSING_FIELD", "selfie"),
        (
            LIVENESS,
            Form::new().file("selfie", b""),
            "MISSING_FIELD",
            "selfie",
        ),
        (
            LIVENESS,
            Form::new().file("Selfie", b"x"),
            "MISSING_FIELD",
            "selfie",
        ),
        (BIOMETRIC, Form::selfie(600, 500), "MISSING_FIELD", "image"),
        (
            LIVENESS,
            Form::selfie(600, 500).file("selfie", b"x"),
            "INVALID_PARAMETER",
            "selfie",
        ),
        (
            LIVENESS,
            Form::selfie(600, 500).text("threshold", "0,5"),
            "INVALID_PARAMETER",
            "threshold",
        ),
        (
            LIVENESS,
            Form::selfie(600, 500).text("threshold", "NaN"),
            "INVALID_PARAMETER",
            "threshold",
        ),
        (
            LIVENESS,
            Form::selfie(600, 500).text("threshold", "1e400"),
            "INVALID_PARAMETER",
            "threshold",
        ),
        (
            LIVENESS,
            Form::selfie(600, 500).text("threshold", "-0.1"),
            "INVALID_PARAMETER",
            "threshold",
        ),
        (
            LIVENESS,
            Form::selfie(600, 500).text("threshold", &"1".repeat(300)),
            "INVALID_PARAMETER",
            "threshold",
        ),
        (
            LIVENESS,
            Form::selfie(600, 500).part("Content-Disposition: form-data; name=threshold", b"\xff"),
            "INVALID_PARAMETER",
            "threshold",
        ),
        (
            BIOMETRIC,
            Form::pair().text("image_multiface", "2"),
            "INVALID_PARAMETER",
            "image_multiface",
        ),
        (
            BIOMETRIC,
            Form::pair().text("profile", "none-v0"),
            "INVALID_PARAMETER",
            "permissive-v0, optimal-v0, strict-v0",
        ),
        (
            LIVENESS,
            Form::new().content_type("application/json"),
            "MALFORMED_REQUEST",
            "multipart/form-data",
        ),
        (
            LIVENESS,
            Form::new().content_type("multipart/form-data"),
            "MALFORMED_REQUEST",
            "boundary",
        ),
        (
            LIVENESS,
            Form::selfie(600, 500).content_type("multipart/form-data; boundary=OTHER"),
            "MALFORMED_REQUEST",
            "boundary",
        ),
        (
            LIVENESS,
            (0..70).fold(Form::new(), |form, _| form.text("x", "y")),
            "MALFORMED_REQUEST",
            "parts",
        ),
        (
            LIVENESS,
            Form::new().part(&format!("X: {}", "x".repeat(10_000)), b""),
            "MALFORMED_REQUEST",
            "headers",
        ),
    ] {
        let response = server.post(path, &form).expect(400, code);
        assert!(response.message().contains(named), "{}", response.message());
    }
}

#[test]
fn images_are_limited_by_the_version() {
    let server = TestServer::start(&Models::new(1), |config| {
        config.limits.v0_2.selfie.max_side = 800;
        config.limits.v0_1.image.min_side = 100;
        config.safety.max_side = 2_000;
    });
    for (path, selfie, image, status, code, says) in [
        (
            "/v0.1/biometric-verification",
            (480, 480),
            (100, 100),
            200,
            "none",
            "none",
        ),
        (
            "/v0.1/biometric-verification",
            (479, 900),
            (480, 480),
            422,
            "IMAGE_TOO_SMALL",
            "`selfie` is 479x900 pixels; each side must have at least 480",
        ),
        (
            "/v0.1/biometric-verification",
            (480, 480),
            (99, 480),
            422,
            "IMAGE_TOO_SMALL",
            "`image` is 99x480",
        ),
        (BIOMETRIC, (300, 300), (300, 300), 200, "none", "none"),
        (
            BIOMETRIC,
            (801, 300),
            (300, 300),
            422,
            "IMAGE_TOO_LARGE",
            "`selfie` is 801x300 pixels; each side may have at most 800",
        ),
        (
            BIOMETRIC,
            (300, 300),
            (299, 300),
            422,
            "IMAGE_TOO_SMALL",
            "`image`",
        ),
        (
            BIOMETRIC,
            (300, 300),
            (300, 2_001),
            422,
            "IMAGE_TOO_LARGE",
            "image",
        ),
    ] {
        let form = Form::selfie(selfie.0, selfie.1).file("image", &png(image.0, image.1));
        let response = server.post(path, &form).expect(status, code);
        assert!(response.message().contains(says), "{}", response.message());
    }
    let mut broken = png(600, 500);
    broken.truncate(broken.len() / 2);
    server
        .post(LIVENESS, &Form::new().file("selfie", &broken))
        .expect(422, "CORRUPT_IMAGE");
}

#[test]
fn profiles_and_floors_belong_to_the_app() {
    let server = TestServer::start(&Models::new(1), |config: &mut Config| {
        let mut app = AppConfig::new(APP, KEY);
        app.default_profile = Some("strict-v0".to_owned());
        app.profiles = Some(vec!["optimal-v0".to_owned()]);
        app.liveness_threshold_floor = 0.5;
        config.apps = vec![app];
    });
    // The fake selfie's liveness of 0.75 passes under optimal-v0 and is to be reviewed under strict-v0.
    let details = |form: Form| {
        server.post(BIOMETRIC, &form).json()["response_data"]["decision"]["details"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(details(Form::pair()), 1);
    assert_eq!(details(Form::pair().text("profile", "strict-v0")), 1);
    assert_eq!(details(Form::pair().text("profile", "optimal-v0")), 0);
    let response = server
        .post(BIOMETRIC, &Form::pair().text("profile", "permissive-v0"))
        .expect(400, "INVALID_PARAMETER");
    assert!(response.message().contains("strict-v0, optimal-v0"));

    let response_code = |form: Form| {
        server.post(LIVENESS, &form).json()["response_code"]
            .as_i64()
            .unwrap()
    };
    assert_eq!(response_code(Form::pair()), 2, "0.8 is asked for by default");
    assert_eq!(response_code(Form::pair().text("threshold", "0.75")), 1);
    assert_eq!(response_code(Form::pair().text("threshold", "0.5")), 1);
    assert_eq!(
        response_code(Form::selfie(EMPTY, 500).text("threshold", "0.5")),
        2
    );
    let response = server
        .post(LIVENESS, &Form::pair().text("threshold", "0.4999"))
        .expect(400, "INVALID_PARAMETER");
    assert!(response.message().contains("0.5"));
}

#[test]
fn other_paths_and_methods_get_the_envelope() {
    let server = server();
    for path in [
        "/",
        "/v0.3/biometric-verification",
        "/v0.1",
        "/v0.1/x",
        "//healthz",
        "/HEALTHZ",
    ] {
        server.get(path).expect(404, "NOT_FOUND");
    }
    for path in PATHS {
        for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"] {
            let response = send(
                &server,
                format!("{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n1").as_bytes(),
            )
            .expect(405, "METHOD_NOT_ALLOWED");
            assert_eq!(response.header("allow"), Some("POST"));
        }
    }
    let response = send(
        &server,
        b"POST /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n",
    );
    assert_eq!(
        response.expect(405, "METHOD_NOT_ALLOWED").header("allow"),
        Some("GET,HEAD")
    );
}

#[test]
fn probes_and_information() {
    let server = server();
    assert_eq!(server.get("/healthz").json()["status"], "ok");
    assert_eq!(server.get("/readyz").json()["status"], "ready");
    let info = server.get("/info");
    assert_eq!(info.json()["pack"], "custom");
    assert_eq!(info.json()["version"], env!("CARGO_PKG_VERSION"));
    assert!(!String::from_utf8(info.body).unwrap().contains(APP));
    let mut client = server.client();
    client.send(b"HEAD /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(client.head_response().status, 200);
}

#[test]
fn the_log_has_one_line_a_request_and_no_secret() {
    let server = server();
    let mut client = server.client();
    let headers = format!("{}x-request-id: corr-ok\r\n", credentials());
    client.send(&Form::pair().request(BIOMETRIC, &headers));
    let response = client.response();
    assert_ne!(response.header("x-request-id"), Some("corr-ok"));
    let line = log::wait_for("corr-ok");
    assert_eq!(line["request_id"].as_str(), response.header("x-request-id"));
    for (key, value) in [
        ("app", APP),
        ("endpoint", BIOMETRIC),
        ("outcome", "pass"),
        ("profile", "optimal-v0"),
    ] {
        assert_eq!(line[key], value, "{line}");
    }
    for (key, value) in [
        ("status", 200.0),
        ("face_match", 0.9),
        ("liveness", 0.75),
        ("selfie_faces", 1.0),
    ] {
        assert_eq!(line[key].as_f64(), Some(value), "{line}");
    }
    for key in [
        "total_ms",
        "body_ms",
        "queue_ms",
        "decode_ms",
        "detect_ms",
        "embed_ms",
        "liveness_ms",
        "quality_ms",
    ] {
        assert!(line[key].is_number(), "{key}: {line}");
    }
    client.send(&Form::pair().request(
        LIVENESS,
        &format!("app_id: {APP}\r\napp_key: x{KEY}\r\nx-request-id: corr-401\r\n"),
    ));
    client.response().expect(401, "INVALID_CREDENTIALS");
    let line = log::wait_for("corr-401");
    assert_eq!(line["error"], "INVALID_CREDENTIALS");
    assert!(line.get("app").is_none(), "{line}");
    assert!(!log::all().contains(KEY));
}

#[test]
fn start_errors_name_their_cause() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let error = |config: Config| {
        let apps = config.apps().unwrap();
        let engine = Models::new(1).engine(config.imaging_limits());
        runtime
            .block_on(Server::bind(config, apps, engine))
            .unwrap_err()
            .to_string()
    };
    let nowhere = "postgres://likeness:s3cret@127.0.0.1:1/likeness";
    let mut config = support::config();
    config.storage.url = Some(nowhere.into());
    config.storage.start = std::time::Duration::ZERO;
    let said = error(config);
    assert!(
        said.contains("postgres://likeness@127.0.0.1:1/likeness") && !said.contains("s3cret"),
        "{said}"
    );
    let taken = server();
    let mut config = support::config();
    config.listen = taken.address;
    assert!(error(config).contains(&format!("cannot listen on {}", taken.address)));
}
