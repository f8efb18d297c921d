//! The log: one line a request, and no secret.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use likeness_testing::http::{Form, Response, head};
use likeness_testing::{Failed, Outcome, Suite, ensure, ensure_eq};
use serde_json::Value;

use crate::support::server::{APP, BRANCH, DISABLED, SECRETS, Server, WRONG_KEY};
use crate::support::{TIMEOUT, for_each, image};

pub(crate) fn tests(suite: &mut Suite) {
    suite.with_shared_and_models("logs::have_one_line_for_each_request_as_text", |shared| {
        one_line_for_each(shared, "text")
    });
    suite.with_shared_and_models("logs::have_one_line_for_each_request_as_json", |shared| {
        one_line_for_each(shared, "json")
    });
    suite.with_any_models("logs::are_quiet_about_resets_of_http_2", quiet_about_resets);
}

/// Resets HTTP/2 streams, which needs no credentials, and returns the warnings and errors of the log.
fn resets(filter: Option<&str>) -> Result<Vec<String>, Failed> {
    let server = Server::start(|command| {
        // Where audit records expire there is no warning about a disk that is nearly full.
        command
            .args(["--workers", "1"])
            .env("LIKENESS__AUDIT__RETENTION_DAYS", "1");
        if let Some(filter) = filter {
            command.env("RUST_LOG", filter);
        }
    })?;
    let flood = reset_flood();
    for _ in 0..FLOODS {
        let mut stream = TcpStream::connect(server.address)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        // It may be closed before all is written.
        let _ = stream.write_all(&flood);
        let _ = stream.read_to_end(&mut Vec::new());
    }
    ensure!(server.get("/healthz")?.status == 200, "others are not served");
    server.terminate()?;
    ensure!(server.wait()?.success(), "{}", server.log.text());
    let log = server.log.text();
    let loud = |line: &&str| [" WARN ", " ERROR "].iter().any(|level| line.contains(level));
    Ok(log.lines().filter(loud).map(ToOwned::to_owned).collect())
}

/// Connections that end by too many resets.
const FLOODS: usize = 100;

/// Requests that are reset at once, more of them than one connection may have (RFC 9113, 4.1, 6.2, 6.4).
fn reset_flood() -> Vec<u8> {
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const SETTINGS: u8 = 4;
    const END: u8 = 0b101;
    let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        frame
    };
    let mut flood = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    flood.extend(frame(SETTINGS, 0, 0, &[]));
    for stream in (1..400).step_by(2) {
        // GET, http, / and the authority `x` (RFC 7541, appendix A and 6.2.1).
        flood.extend(frame(HEADERS, END, stream, &[0x82, 0x86, 0x84, 0x41, 1, b'x']));
        flood.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
    }
    flood
}

fn quiet_about_resets() -> Outcome {
    let by_default = resets(None)?;
    ensure!(
        by_default.is_empty(),
        "{} lines: {:?}",
        by_default.len(),
        by_default.first()
    );
    // They are there with a filter that asks for them.
    let asked_for = resets(Some("info"))?;
    ensure!(
        asked_for.len() >= FLOODS / 2 && asked_for.iter().all(|line| line.contains("h2")),
        "{asked_for:?}"
    );
    Ok(())
}

const BIOMETRIC: &str = "/v0.2/biometric-verification";
const LIVENESS: &str = "/v0.2/liveness-verification";

/// A request, and the fields of its log line besides the id.
struct Case {
    request: Vec<u8>,
    expected: Vec<(&'static str, Value)>,
}

fn cases(shared: &Path) -> Result<Vec<Case>, Failed> {
    let pair = Form::pair(
        &image(shared, "faces/img2.jpg")?,
        &image(shared, "faces/img11.jpg")?,
    );
    let selfie = Form::new().file("selfie", &image(shared, "faces/img11.jpg")?);
    let with_id = |app: &str| format!("{app}X-Request-ID: client-id 7\r\n");
    // An id that is not ASCII is not taken over.
    let with_bad_id = |app: &str| format!("{app}X-Request-ID: caf\u{e9}\r\n");
    Ok(vec![
        Case {
            request: pair.request(BIOMETRIC, &with_id(&APP.headers())),
            expected: vec![
                ("status", 200.into()),
                ("app", APP.id.into()),
                ("method", "POST".into()),
                ("endpoint", BIOMETRIC.into()),
                ("profile", "optimal-v0".into()),
                ("outcome", "pass".into()),
                ("selfie_faces", 1.into()),
                ("photo_faces", 1.into()),
                ("correlation_id", "client-id 7".into()),
                ("error", Value::Null),
            ],
        },
        Case {
            request: selfie.request(LIVENESS, &with_bad_id(&BRANCH.headers())),
            expected: vec![
                ("status", 200.into()),
                ("app", BRANCH.id.into()),
                ("endpoint", LIVENESS.into()),
                ("outcome", "live".into()),
                ("correlation_id", Value::Null),
            ],
        },
        Case {
            request: selfie.request(BIOMETRIC, &APP.headers()),
            expected: vec![
                ("status", 400.into()),
                ("app", APP.id.into()),
                ("error", "MISSING_FIELD".into()),
                ("outcome", Value::Null),
            ],
        },
        Case {
            request: pair.request(
                BIOMETRIC,
                &format!("app_id: {}\r\napp_key: {WRONG_KEY}\r\n", APP.id),
            ),
            expected: vec![
                ("status", 401.into()),
                ("error", "INVALID_CREDENTIALS".into()),
                // Not authenticated as this app.
                ("app", Value::Null),
            ],
        },
        Case {
            request: pair.request(BIOMETRIC, &DISABLED.headers()),
            expected: vec![
                ("status", 403.into()),
                ("app", DISABLED.id.into()),
                ("error", "APP_DISABLED".into()),
            ],
        },
        // Keys where they do not belong: in the query, and in a field.
        Case {
            request: pair.request(&format!("{BIOMETRIC}?app_key={}", APP.key), ""),
            expected: vec![("status", 401.into()), ("endpoint", BIOMETRIC.into())],
        },
        Case {
            request: pair
                .clone()
                .text("app_key", APP.key)
                .text("profile", APP.key)
                .request(BIOMETRIC, &APP.headers()),
            expected: vec![("status", 400.into()), ("error", "INVALID_PARAMETER".into())],
        },
        Case {
            request: head("/nowhere", &format!("{}Content-Length: 0\r\n", APP.headers())).into_bytes(),
            expected: vec![("status", 404.into()), ("endpoint", "/nowhere".into())],
        },
    ])
}

/// Checks that the line of a verification has the scores of its response, and the time of each stage.
fn measured(log: &str, response: &Response) -> Outcome {
    let line = log
        .lines()
        .find(|line| line.contains("client-id 7"))
        .ok_or("no line")?;
    let line: Value = serde_json::from_str(line)?;
    let biometric = &response.json()?["response_data"]["biometric"];
    ensure_eq!(line["face_match"], biometric["face_match_confidence"]);
    ensure_eq!(line["liveness"], biometric["selfie"]["faces_liveness"]);
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
        ensure!(line[key].is_number(), "{key} is not a number in {line}");
    }
    Ok(())
}

fn one_line_for_each(shared: &Path, format: &str) -> Outcome {
    let server = Server::start(|command| {
        // All that it could ever say, so that no level has a key in it.
        command
            .args(["--workers", "1", "--log-format", format])
            .env("RUST_LOG", "trace,onnxruntime=warn")
            // Each refused request has a line of its own.
            .env("LIKENESS__LOG__REFUSALS_PER_SECOND", "0");
    })?;
    let cases = cases(shared)?;
    let responses = cases
        .iter()
        .map(|case| server.send(&case.request))
        .collect::<Result<Vec<_>, _>>()?;
    let ids = responses
        .iter()
        .map(Response::id)
        .collect::<Result<Vec<_>, _>>()?;
    server.interrupt()?;
    ensure!(server.wait()?.success(), "{}", server.log.text());
    let log = server.log.text();
    for_each(
        ids.iter().zip(&cases).map(|(id, case)| (id, (id, case))),
        |(id, case)| {
            let lines: Vec<&str> = log
                .lines()
                .filter(|line| line.contains("likeness::request") && line.contains(id))
                .collect();
            let [line] = lines.as_slice() else {
                return Err(format!("{} lines", lines.len()).into());
            };
            for (key, value) in &case.expected {
                let right = if format == "json" {
                    serde_json::from_str::<Value>(line)?
                        .get(key)
                        .unwrap_or(&Value::Null)
                        == value
                } else if value.is_null() {
                    !line.contains(&format!(" {key}="))
                } else {
                    line.contains(&format!(" {key}={value} "))
                };
                ensure!(right, "{key} is not {value} in {line}");
            }
            Ok(())
        },
    )?;
    if format == "json" {
        measured(&log, &responses[0])?;
    }
    ensure!(
        !log.contains('\u{1b}'),
        "a log that is no terminal's has escape sequences"
    );
    let said = format!("{log}{}", server.stdout.text());
    for secret in SECRETS {
        ensure!(
            !said.contains(secret),
            "a key is in the log: {}",
            said.replace(secret, "KEY")
        );
    }
    // Images are bytes that no line may have: a JPEG is recognized by its first ones.
    ensure!(!said.contains("JFIF"), "an image is in the log");
    Ok(())
}
