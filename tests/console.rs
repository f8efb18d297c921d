//! The console over HTTP: who gets in, what a session may do, and what it leaves in the audit log.

use std::path::Path;
use std::process::{Command, ExitCode};

use likeness_testing::http::{Form, captures, flat};
use likeness_testing::{Failed, Outcome, Suite, ensure, ensure_eq};
use serde_json::Value;

use support::console::{Client, TOKEN, csrf, expect_redirect, serve};
use support::image;
use support::process::{Process, likeness};
use support::responses::SAME_PERSON;
use support::server::{APP, Server};
use support::storage::Storage;

mod support;

const LIVENESS: &str = "/v0.2/liveness-verification";
/// Pages that need a session.
const PAGES: [&str; 9] = [
    "/console",
    "/console/try",
    "/console/apps",
    "/console/system",
    "/console/verifications",
    "/console/verifications/distributions",
    "/console/verifications/export?format=csv",
    "/console/what-if",
    "/console/what-if/counts",
];
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test(
        "settings_that_open_the_console_are_checked_at_the_start",
        settings,
    );
    suite.with_any_models("without_the_setting_there_is_no_console", disabled);
    suite.with_any_models("the_token_opens_a_session", login);
    suite.with_any_models("every_page_needs_a_session", pages);
    suite.with_any_models("failed_logins_are_few", throttled);
    suite.with_any_models("a_change_needs_the_csrf_token_of_its_session", csrf_tokens);
    suite.with_any_models("requests_of_other_sites_are_refused", other_sites);
    suite.with_any_models("every_response_has_the_headers_of_a_safe_page", headers);
    suite.with_any_models("a_logout_ends_the_session", logout);
    suite.with_any_models("a_changed_token_ends_all_sessions", changed_token);
    suite.with_any_models("an_app_is_created_used_rotated_and_disabled", apps);
    suite.with_any_models("settings_of_an_app_are_checked", app_settings);
    suite.with_any_models("the_system_page_reloads_and_checks", system);
    suite.with_shared_and_models("a_verification_is_tried_without_an_app", tried);
    suite.with_any_models(
        "an_image_that_cannot_be_used_is_an_error_of_its_field",
        wrong_file,
    );
    suite.with_any_models("logins_and_changes_are_audited", audited);
    suite.with_any_models("nothing_is_changed_that_cannot_be_recorded", unrecordable);
    suite.run()
}

fn settings() -> Outcome {
    let fault = |arguments: &[&str]| -> Result<String, Failed> {
        let mut command = likeness();
        let set = arguments.iter().flat_map(|argument| ["--set", argument]);
        command.args(["config", "check"]).args(set);
        let ended = Process::run(&mut command)?;
        ensure!(ended.code != Some(0), "{arguments:?} is accepted");
        Ok(ended.stderr)
    };
    const ON: &str = "console.enabled=true";
    const LONG: &str = "console.token=0123456789abcdef";
    for (arguments, words) in [
        (&[ON, LONG][..], ["console.enabled", "admin.listen"]),
        (
            &[ON, "admin.listen=127.0.0.1:9090"],
            ["console.token", "LIKENESS_CONSOLE_TOKEN"],
        ),
        (
            &[ON, "console.token=short", "admin.listen=127.0.0.1:9090"],
            ["console.token", "16 characters"],
        ),
        (
            &[
                ON,
                LONG,
                "admin.listen=0.0.0.0:9090",
                "admin.token=0123456789abcdef-admin",
            ],
            ["tls.admin", "console.allow_plain"],
        ),
        (
            &[
                ON,
                LONG,
                "admin.listen=127.0.0.1:9090",
                "admin.token=0123456789abcdef-admin",
                "admin.metrics_token=0123456789abcdef",
            ],
            ["console.token", "admin.metrics_token"],
        ),
    ] {
        let error = fault(arguments)?;
        for word in words {
            ensure!(error.contains(word), "{arguments:?}: no {word} in {error}");
        }
        ensure!(!error.contains("0123456789abcdef"), "a secret is shown: {error}");
    }
    Ok(())
}

fn disabled() -> Outcome {
    let server = Server::start(|command| {
        command.args(["--workers", "1", "--admin-listen", "127.0.0.1:0"]);
    })?;
    for path in ["/console", "/console/login", "/console/assets/console.css"] {
        server.operate("GET", path, "")?.expect(404)?;
    }
    Ok(())
}

fn login() -> Outcome {
    let server = serve(|command| {
        command.env("LIKENESS_ADMIN_TOKEN", "operator-s3cret-token");
        command.env("LIKENESS__ADMIN__METRICS_TOKEN", "metrics-s3cret-token");
    })?;
    let mut client = Client::new(&server)?;
    client.get("/console/login")?.expect(200)?;
    for wrong in ["", "wrong", "metrics-s3cret-token", "operator-s3cret-token"] {
        let refused = client.log_in(wrong)?;
        refused.expect(401)?;
        ensure!(refused.header("set-cookie").is_none(), "{refused:?}");
        ensure!(
            refused.text().contains("This is not the token of the console."),
            "{refused:?}"
        );
    }
    let response = client.log_in(TOKEN)?;
    expect_redirect(&response, "/console/try")?;
    let cookie = response.header("set-cookie").ok_or("no cookie")?;
    let found = captures(
        "likeness_console=*; HttpOnly; SameSite=Strict; Path=/console; Max-Age=43200",
        cookie,
    );
    let id = found.ok_or_else(|| format!("the cookie is {cookie}"))?[0];
    ensure!(
        id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{id}"
    );
    // Another login has another id and another CSRF token.
    let mut other = Client::new(&server)?;
    other.log_in(TOKEN)?;
    ensure!(other.cookie != client.cookie, "two sessions have one id");
    ensure!(
        csrf(&client.get("/console/try")?)? != csrf(&other.get("/console/try")?)?,
        "one CSRF token"
    );
    // The console opens nothing else of the listener, and the operator's token nothing of the console.
    client.get("/info")?.expect(401)?;
    let with_token = server.operate(
        "GET",
        "/console/apps",
        "Authorization: Bearer operator-s3cret-token\r\n",
    )?;
    with_token.expect(401)
}

fn pages() -> Outcome {
    let server = serve(|_| {})?;
    let mut client = Client::new(&server)?;
    let visit = |client: &Client| {
        PAGES
            .iter()
            .try_for_each(|path| expect_redirect(&client.get(path)?, "/console/login"))
    };
    visit(&client)?;
    client.cookie = Some(format!("likeness_console={}", "0".repeat(64)));
    visit(&client)?;
    let client = Client::logged_in(&server)?;
    expect_redirect(&client.get("/console")?, "/console/try")?;
    PAGES[1..]
        .iter()
        .try_for_each(|path| client.get(path)?.expect(200))?;
    client.get("/console/nowhere")?.expect(404)
}

fn throttled() -> Outcome {
    let server = serve(|_| {})?;
    let mut client = Client::new(&server)?;
    for _ in 0..5 {
        client.log_in("wrong")?.expect(401)?;
    }
    for token in ["wrong", TOKEN] {
        let response = client.log_in(token)?;
        response.expect(429)?;
        let wait: u64 = response.header("retry-after").ok_or("no Retry-After")?.parse()?;
        ensure!((1..=61).contains(&wait), "Retry-After: {wait}");
    }
    Ok(())
}

fn csrf_tokens() -> Outcome {
    let server = serve(|_| {})?;
    let (client, other) = (Client::logged_in(&server)?, Client::logged_in(&server)?);
    let id = ("id", "shop");
    for fields in [
        &[id][..],
        &[id, ("csrf", "")],
        &[id, ("csrf", &other.csrf)],
        &[id, ("csrf", &client.csrf[1..])],
    ] {
        for path in [
            "/console/apps/create",
            "/console/logout",
            "/console/system/reload",
        ] {
            let refused = client.post_with(path, &client.same_site(), fields)?;
            refused.expect(403)?;
        }
    }
    let header = format!("{}X-CSRF-Token: {}\r\n", client.same_site(), other.csrf);
    client
        .post_with("/console/apps/create", &header, &[id, ("csrf", &client.csrf)])?
        .expect(403)?;
    // A body that is no form needs the header.
    let json = format!("{}Content-Type: application/json\r\n", client.same_site());
    client
        .send("POST", "/console/apps/create", &json, b"{}")?
        .expect(403)?;
    let too_long = "x".repeat(70_000);
    client
        .post("/console/apps/create", &[id, ("note", &too_long)])?
        .expect(413)?;
    ensure!(
        !client.get("/console/apps")?.text().contains("shop"),
        "an app was created"
    );
    Ok(())
}

fn other_sites() -> Outcome {
    let server = serve(|command| {
        command.args(["--set", "console.allowed_hosts=[\"console.example\"]"]);
    })?;
    let client = Client::logged_in(&server)?;
    let address = &client.address;
    let port = address.rsplit_once(':').ok_or("no port")?.1;
    for host in [
        format!("localhost:{port}"),
        format!("[::1]:{port}"),
        "console.example".to_owned(),
        "127.0.0.1".to_owned(),
    ] {
        client
            .send("GET", "/console/try", &format!("Host: {host}\r\n"), b"")?
            .expect(200)?;
    }
    for host in [
        "evil.example",
        "127.0.0.1.evil.example",
        "console.example.evil.example",
        "",
    ] {
        let response = client.send("GET", "/console/login", &format!("Host: {host}\r\n"), b"")?;
        response.expect(403)?;
    }
    let fields = [("token", TOKEN)];
    for origin in [
        "",
        "Origin: null\r\n",
        "Origin: http://evil.example\r\n",
        "Origin: http://127.0.0.1:1\r\n",
        "Origin: http://localhost\r\n",
    ] {
        let headers = format!("Host: {address}\r\n{origin}");
        for path in ["/console/login", "/console/logout"] {
            let fields = [&fields[..], &[("csrf", client.csrf.as_str())]].concat();
            client.post_with(path, &headers, &fields)?.expect(403)?;
        }
    }
    let behind_proxy = format!("Host: {address}\r\nOrigin: https://{address}\r\n");
    client
        .post_with("/console/login", &behind_proxy, &fields)?
        .expect(303)
}

fn headers() -> Outcome {
    let server = serve(|_| {})?;
    let client = Client::logged_in(&server)?;
    let login = client.get("/console/login")?;
    let responses = [
        client.get("/console/try")?,
        client.get("/console/nowhere")?,
        Client::new(&server)?.get("/console/login")?,
        client.send("GET", "/console", "Host: evil.example\r\n", b"")?,
        login,
    ];
    for response in &responses {
        for (name, value) in [
            ("content-security-policy", POLICY),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "same-origin"),
            ("cache-control", "no-store"),
            ("cross-origin-opener-policy", "same-origin"),
        ] {
            ensure_eq!(response.header(name), Some(value), "{name} of {response:?}");
        }
        let text = response.text();
        for inline in [
            "style=",
            "onclick=",
            "onload=",
            "javascript:",
            "<style",
            "http://",
            "https://",
        ] {
            let found = text.replace(&format!("http://{}", server.address), "");
            ensure!(!found.contains(inline), "{inline} in {text}");
        }
    }
    let script = client.get("/console/assets/console.js")?;
    script.expect(200)?;
    ensure_eq!(
        script.header("content-type"),
        Some("text/javascript; charset=utf-8")
    );
    let tag = script.header("etag").ok_or("no ETag")?;
    let known = format!("Host: {}\r\nIf-None-Match: {tag}\r\n", client.address);
    let mut again = likeness_testing::http::Connection::open(client.address.parse()?)?;
    again.send(&format!("GET /console/assets/console.js HTTP/1.1\r\n{known}\r\n"))?;
    again.head_response()?.expect(304)?;
    client.get("/console/assets/nothing.js")?.expect(404)
}

fn logout() -> Outcome {
    let server = serve(|_| {})?;
    let (client, other) = (Client::logged_in(&server)?, Client::logged_in(&server)?);
    let response = client.post("/console/logout", &[])?;
    expect_redirect(&response, "/console/login")?;
    let cookie = response.header("set-cookie").ok_or("no cookie")?;
    ensure!(
        cookie.starts_with("likeness_console=; ") && cookie.contains("Max-Age=0"),
        "{cookie}"
    );
    expect_redirect(&client.get("/console/try")?, "/console/login")?;
    other.get("/console/try")?.expect(200)
}

fn changed_token() -> Outcome {
    const NEW: &str = "another-token-Hn29sLwQ";
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("likeness.toml");
    let write = |token: &str| -> Outcome {
        let console = format!("[console]\nenabled = true\ntoken = \"{token}\"\n");
        Ok(std::fs::write(&file, console)?)
    };
    write(TOKEN)?;
    let mut command = likeness();
    command
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--workers",
            "1",
            "--admin-listen",
            "127.0.0.1:0",
        ])
        .arg("--config")
        .arg(&file);
    let server = Server::start_command(&mut command)?;
    let mut client = Client::logged_in(&server)?;
    write(NEW)?;
    server.operate("POST", "/admin/reload", "")?.expect(200)?;
    expect_redirect(&client.get("/console/try")?, "/console/login")?;
    client.log_in(TOKEN)?.expect(401)?;
    client.log_in(NEW)?.expect(303)?;
    client.get("/console/try")?.expect(200)?;
    ensure!(!server.log.text().contains(NEW), "the token is in the log");
    Ok(())
}

/// Returns the key that a page shows.
fn shown_key(page: &str) -> Result<String, Failed> {
    let found = captures("*<code id=\"app-key\">*</code>*", page);
    let key = found.ok_or_else(|| format!("no key in {page}"))?[1];
    ensure!(key.starts_with("lk_") && key.len() == 67, "{key}");
    Ok(key.to_owned())
}

/// Returns the status of a request to the API with this key: 400 where it is accepted, since the request has no form.
fn status_with(server: &Server, id: &str, key: &str) -> Result<u16, Failed> {
    let headers = format!("app_id: {id}\r\napp_key: {key}\r\n");
    let request = Form::new().request(LIVENESS, &headers);
    Ok(server.send(&request)?.status)
}

fn apps() -> Outcome {
    let server = serve(|_| {})?;
    let client = Client::logged_in(&server)?;
    let page = client.get("/console/apps")?.text();
    ensure!(
        page.contains(APP.id) && page.contains("From the configuration"),
        "{page}"
    );
    let fields = [
        ("id", "shop/1"),
        ("note", "<b>owner</b>"),
        ("daily_quota", "1000"),
        ("profiles", "strict-v0"),
    ];
    let created = client.post("/console/apps/create", &fields)?;
    created.expect(200)?;
    let first = shown_key(&created.text())?;
    ensure_eq!(status_with(&server, "shop/1", &first)?, 400);
    let page = client.get("/console/apps/app?id=shop%2F1")?;
    page.expect(200)?;
    let text = page.text();
    ensure!(
        text.contains("&lt;b&gt;owner&lt;/b&gt;") && !text.contains("<b>owner"),
        "not escaped: {text}"
    );
    ensure!(!text.contains(&first), "the key is shown again");
    let list = client.get("/console/apps")?.text();
    ensure!(list.contains("of 1,000"), "{list}");

    client
        .post("/console/apps/create", &[("id", "shop/1")])?
        .expect(422)?;
    client
        .post("/console/apps/create", &[("id", APP.id)])?
        .expect(422)?;

    let rotated = client.post("/console/apps/rotate", &[("id", "shop/1"), ("grace", "24")])?;
    rotated.expect(200)?;
    let second = shown_key(&rotated.text())?;
    ensure_eq!(status_with(&server, "shop/1", &first)?, 400);
    ensure_eq!(status_with(&server, "shop/1", &second)?, 400);
    let again = client.post("/console/apps/rotate", &[("id", "shop/1"), ("grace", "24")])?;
    ensure!(
        again.text().contains("This app has two live keys already"),
        "{again:?}"
    );
    let forced = [("id", "shop/1"), ("grace", "0"), ("force", "true")];
    let third = shown_key(&client.post("/console/apps/rotate", &forced)?.text())?;
    ensure_eq!(status_with(&server, "shop/1", &first)?, 401);
    ensure_eq!(status_with(&server, "shop/1", &second)?, 401);
    ensure_eq!(status_with(&server, "shop/1", &third)?, 400);

    let disable = client.post("/console/apps/state", &[("id", "shop/1"), ("disabled", "true")])?;
    expect_redirect(&disable, "/console/apps/app?id=shop%2F1&done=disabled")?;
    ensure_eq!(status_with(&server, "shop/1", &third)?, 403);
    client
        .post("/console/apps/state", &[("id", "shop/1"), ("disabled", "false")])?
        .expect(303)?;
    ensure_eq!(status_with(&server, "shop/1", &third)?, 400);
    client
        .post("/console/apps/state", &[("id", "nothing"), ("disabled", "false")])?
        .expect(404)?;
    client.get("/console/apps/app?id=nothing")?.expect(404)
}

fn app_settings() -> Outcome {
    let server = serve(|_| {})?;
    let client = Client::logged_in(&server)?;
    for (field, value, reason) in [
        ("id", "a b", "Must be printable ASCII"),
        ("id", "", "Is empty"),
        ("daily_quota", "many", "Must be a number"),
        ("daily_quota", "0", "Must be more than 0"),
        ("burst", "3", "Requires requests_per_second"),
        ("liveness_threshold_floor", "2", "Must be a number from 0 to 1"),
        ("default_profile", "nothing", "There is no profile"),
    ] {
        let id = if field == "id" { value } else { "shop" };
        let fields: &[_] = if field == "id" {
            &[("id", id)]
        } else {
            &[("id", id), (field, value)]
        };
        let response = client.post("/console/apps/create", fields)?;
        response.expect(422)?;
        let place = format!("<p class=\"error\" id=\"{field}-error\">");
        let text = response.text();
        let error = text.split_once(&place).ok_or_else(|| format!("no {place}"))?.1;
        ensure!(
            error.starts_with(reason),
            "{field}: {}",
            &error[..60.min(error.len())]
        );
    }
    shown_key(&client.post("/console/apps/create", &[("id", "shop")])?.text())?;
    let fields = [
        ("id", "shop"),
        ("requests_per_second", "2.5"),
        ("burst", "9"),
        ("endpoints", "liveness"),
    ];
    expect_redirect(
        &client.post("/console/apps/settings", &fields)?,
        "/console/apps/app?id=shop&done=saved",
    )?;
    let page = client.get("/console/apps/app?id=shop")?.text();
    ensure!(
        page.contains("value=\"2.5\"") && page.contains("value=\"9\""),
        "{page}"
    );
    client
        .post("/console/apps/settings", &[("id", "shop"), ("burst", "9")])?
        .expect(422)
}

fn system() -> Outcome {
    let server = serve(|_| {})?;
    let client = Client::logged_in(&server)?;
    let page = client.get("/console/system")?.text();
    let info = server.operate("GET", "/info", "")?.json()?;
    for path in ["models.digest", "models.match_calibration", "runtime.version"] {
        ensure!(page.contains(info.text(path)?), "no {path} in {page}");
    }
    let reloaded = client.post("/console/system/reload", &[])?;
    reloaded.expect(200)?;
    ensure!(
        reloaded.text().contains("the models have not changed"),
        "{reloaded:?}"
    );
    let checked = client.post("/console/system/checks", &[])?;
    checked.expect(200)?;
    let text = checked.text();
    for check in ["processor", "ONNX Runtime", "self-test of"] {
        ensure!(text.contains(check), "no {check} in {text}");
    }
    Ok(())
}

fn tried(shared: &Path) -> Outcome {
    let server = serve(|_| {})?;
    let client = Client::logged_in(&server)?;
    let (selfie, photo) = (image(shared, SAME_PERSON.0)?, image(shared, SAME_PERSON.1)?);
    let form = Form::pair(&selfie, &photo).text("profile", "strict-v0");
    let response = client.try_pair(&form)?;
    response.expect(200)?;
    let json = response.json()?;
    // The response is what the API sends.
    let sent: Value = serde_json::from_str(json.text("response")?)?;
    let request = form.request("/v0.2/biometric-verification", &APP.headers());
    let api = server.send(&request)?.json()?;
    for part in ["/response_data/biometric", "/response_data/decision"] {
        ensure_eq!(sent.pointer(part), api.pointer(part), "{part}");
    }
    ensure!(sent.pointer("/response_data/biometric").is_some(), "{sent}");
    ensure_eq!(sent["api_req_uid"].as_str(), Some(response.id()?));
    ensure_eq!(json.text("profile.name")?, "strict-v0");
    let face = &json["selfie"]["faces"][0];
    ensure_eq!(face["landmarks"].as_array().map(Vec::len), Some(5));
    ensure_eq!(face["used"], Value::from(true));
    // The alignment brings the eyes to where ArcFace has them.
    let align: Vec<f64> = serde_json::from_value(face["align"].clone())?;
    let eye: [f64; 2] = serde_json::from_value(face["landmarks"][0].clone())?;
    let x = align[0] * eye[0] + align[1] * eye[1] + align[2];
    ensure!((x - 38.2946 / 112.0).abs() < 0.05, "the eye is at {x}");
    let stages = json["stages"].as_array().ok_or("no stages")?;
    ensure!(stages.iter().any(|stage| stage[0] == "embed"), "{stages:?}");

    // It is counted as what it is.
    let metrics = server.operate("GET", "/metrics", "")?.text();
    let counted = "likeness_request_duration_seconds_count{endpoint=\"console\",class=\"2xx\"} 1";
    ensure!(metrics.contains(counted), "no {counted} in {metrics}");
    client.post("/console/try", &[])?.expect(400)?;
    let usage = client.get("/console/apps")?.text();
    ensure!(usage.contains(APP.id), "{usage}");
    Ok(())
}

fn wrong_file() -> Outcome {
    let server = serve(|_| {})?;
    let client = Client::logged_in(&server)?;
    let form = Form::pair(b"no image", b"none either");
    let response = client.try_pair(&form)?;
    response.expect_code(415, "UNSUPPORTED_IMAGE_FORMAT")?;
    ensure!(
        response.json()?.text("error.message")?.contains("`selfie`"),
        "{response:?}"
    );
    client
        .try_pair(&Form::new().file("selfie", b"x"))?
        .expect_code(400, "MISSING_FIELD")?;
    let unknown = Form::pair(b"x", b"y").text("profile", "nothing");
    client.try_pair(&unknown)?.expect_code(400, "INVALID_PARAMETER")
}

fn unrecordable() -> Outcome {
    let folder = tempfile::tempdir()?;
    let server = serve(|command| {
        command
            .env("LIKENESS__AUDIT__MODE", "required")
            .env("LIKENESS__AUDIT__WAIT_MS", "5000")
            // SQLite has its own files: they are not to be touched by this.
            .env("LIKENESS_DATABASE_URL", "sqlite::memory:")
            .env("LIKENESS__DATA_FOLDER", folder.path());
    })?;
    let client = Client::logged_in(&server)?;
    // The longest that a file may be, in bytes.
    let room = Command::new("prlimit")
        .args(["--pid", &server.id().to_string(), "--fsize=1:"])
        .status()?;
    ensure!(room.success(), "prlimit: {room}");
    let form = Form::new().file("selfie", &flat(400, 400)?);
    ensure_eq!(server.post(LIVENESS, &form)?.status, 503);
    client
        .post("/console/apps/create", &[("id", "shop")])?
        .expect(503)?;
    client.post("/console/system/reload", &[])?.expect(503)?;
    ensure!(
        !client.get("/console/apps")?.text().contains("shop"),
        "an app was created"
    );
    client.post("/console/logout", &[])?.expect(303)
}

fn audited() -> Outcome {
    let storage = Storage::new()?;
    let server = serve(|command| storage.set_for(command))?;
    Client::new(&server)?.log_in("wrong")?.expect(401)?;
    let client = Client::logged_in(&server)?;
    let created = client.post("/console/apps/create", &[("id", "shop"), ("daily_quota", "7")])?;
    let key = shown_key(&created.text())?;
    client.try_pair(&Form::pair(b"no image", b"none"))?.expect(415)?;
    client.post("/console/system/reload", &[])?.expect(200)?;
    client.post("/console/logout", &[])?.expect(303)?;
    server.terminate()?;
    server.wait()?;
    let mut command = storage.command(&["audit", "export", "--since", "2020-01-01"]);
    let exported = Process::run(&mut command)?.stdout;
    ensure!(
        !exported.contains(&key) && !exported.contains(TOKEN),
        "a secret is in the audit log"
    );
    let mut table = storage.command(&["audit", "export", "--since", "2020-01-01", "--format", "csv"]);
    let table = Process::run(&mut table)?.stdout;
    ensure!(table.contains(",app.create,"), "no CSV of all fields: {table}");
    let records = exported.lines().map(serde_json::from_str::<Value>);
    let events: Vec<Value> = records
        .map(|record| Ok(record?["event"].clone()))
        .collect::<Result<_, Failed>>()?;
    let done: Vec<(&str, &str)> = events
        .iter()
        .filter(|event| event["kind"] == "console")
        .filter_map(|event| Some((event["action"].as_str()?, event["outcome"].as_str()?)))
        .collect();
    ensure_eq!(
        done,
        [
            ("login", "refused"),
            ("login", "done"),
            ("app.create", "done"),
            ("reload", "done"),
            ("logout", "done")
        ]
    );
    let of = |action: &str| {
        events
            .iter()
            .find(|event| event["action"] == action && event["outcome"] == "done")
    };
    let create = of("app.create").ok_or("no record of the app")?;
    ensure_eq!(
        (create["app"].as_str(), create["detail"].as_str()),
        (Some("shop"), Some("daily_quota"))
    );
    ensure_eq!(create["client"], Value::from("127.0.0.1"));
    let (login, logout) = (of("login").ok_or("no login")?, of("logout").ok_or("no logout")?);
    ensure!(
        login["session"].is_string() && login["session"] == logout["session"],
        "{login} {logout}"
    );
    let tried = events.iter().find(|event| event["kind"] == "verification");
    let tried = tried.ok_or("no record of the verification")?;
    ensure_eq!(
        (&tried["source"], &tried["app"]),
        (&Value::from("console"), &Value::Null)
    );
    Ok(())
}
