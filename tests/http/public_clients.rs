//! What public clients of the Kairos API do: how they send their images, and what they take for success.

use std::io::Cursor;
use std::path::Path;

use image::ImageFormat;
use image::imageops::FilterType;
use likeness_testing::http::{APP, Form, Json, Response, WRONG_KEY, head};
use likeness_testing::{Failed, Outcome, Suite, ensure, ensure_eq};

use crate::SERVER;
use crate::support::responses::SAME_PERSON;
use crate::support::server::Server;
use crate::support::{for_each, image};

pub(crate) fn tests(suite: &mut Suite) {
    suite.with_shared_and_models(
        "public_clients::success_is_a_response_code_of_0_and_scores_of_0",
        by_code_and_scores,
    );
    suite.with_shared_and_models(
        "public_clients::success_is_scores_of_0_after_the_status",
        by_status_and_scores,
    );
    suite.with_shared_and_models(
        "public_clients::a_liveness_response_code_of_0_is_live",
        liveness_by_code,
    );
    suite.with_shared_and_models(
        "public_clients::a_page_sends_a_canvas_by_fetch_after_a_preflight",
        page,
    );
    suite.with_shared_and_models(
        "public_clients::the_bare_content_type_of_the_documentation",
        bare_content_type,
    );
}

const BIOMETRIC: &str = "/v0.1/biometric-verification";
const LIVENESS: &str = "/v0.1/liveness-verification";

const OTHER_PERSON: &str = "faces/img30.jpg";
const PRINT: &str = "liveness/nuaa/print/0001_00_00_01_0.jpg";
const NO_FACE: &str = "awkward/Flag_of_the_Netherlands-16bit.png";
/// Its liveness is near 0.50: a review.
const UNSURE: &str = "liveness/nuaa/live/0004_01_00_02_459.jpg";

/// A name, a response that a client gets, and whether it must take that for success.
type Case = (&'static str, (Response, bool));

fn responses(shared: &Path) -> Result<Vec<Case>, Failed> {
    let server = SERVER.get()?;
    let mut found = Vec::new();
    for (name, selfie, photo, passes) in [
        ("one person", SAME_PERSON.0, SAME_PERSON.1, true),
        (
            "the same image twice, which is a warning",
            SAME_PERSON.0,
            SAME_PERSON.0,
            true,
        ),
        ("two persons", SAME_PERSON.0, OTHER_PERSON, false),
        ("a print", PRINT, SAME_PERSON.1, false),
        ("a review", UNSURE, UNSURE, false),
        ("no face", NO_FACE, SAME_PERSON.1, false),
    ] {
        let form = Form::pair(&image(shared, selfie)?, &image(shared, photo)?);
        let response = server.post("/v0.2/biometric-verification", &form)?;
        response.expect(200)?;
        found.push((name, (response, passes)));
    }
    let form = Form::pair(&image(shared, SAME_PERSON.0)?, &image(shared, SAME_PERSON.1)?);
    let wrong = format!("app_id: {}\r\napp_key: {WRONG_KEY}\r\n", APP.id);
    for (name, response) in [
        ("a wrong key", server.send(&form.request(BIOMETRIC, &wrong))?),
        (
            "no photo",
            server.post(BIOMETRIC, &Form::new().file("selfie", b"x"))?,
        ),
        ("not an image", server.post(BIOMETRIC, &Form::pair(b"x", b"x"))?),
        ("no such path", server.post("/v0.1/full-id-verification", &form)?),
    ] {
        found.push((name, (response, false)));
    }
    Ok(found)
}

/// JavaScript: `body.response_code === 0 && decision.reject_score === 0 && decision.review_score === 0`, without a look at
/// the status. What is absent is `undefined`, which equals nothing.
fn by_code_and_scores(shared: &Path) -> Outcome {
    for_each(responses(shared)?, |(response, passes)| {
        let body = response.json()?;
        let is_zero = |path: &str| body.number(path).is_ok_and(|number| number == 0.0);
        let decision = "response_data.decision";
        let succeeds = is_zero("response_code")
            && is_zero(&format!("{decision}.reject_score"))
            && is_zero(&format!("{decision}.review_score"));
        ensure_eq!(succeeds, passes, "{body:?}");
        // The code alone says the same.
        ensure_eq!(is_zero("response_code"), passes, "{body:?}");
        Ok(())
    })
}

/// Python: `response.raise_for_status()`, then the scores of the decision, whatever `response_code` is.
fn by_status_and_scores(shared: &Path) -> Outcome {
    for_each(responses(shared)?, |(response, passes)| {
        let succeeds = response.status < 400 && {
            let decision = response.json()?.at("response_data.decision")?;
            decision.number("reject_score")? == 0.0 && decision.number("review_score")? == 0.0
        };
        ensure_eq!(succeeds, passes, "{response:?}");
        Ok(())
    })
}

fn liveness_by_code(shared: &Path) -> Outcome {
    let server = SERVER.get()?;
    let cases = [
        ("live", SAME_PERSON.1, 0.0, None),
        ("a print", PRINT, 2.0, Some("FAILED_SELFIE_LIVENESS")),
        ("no face", NO_FACE, 2.0, Some("NO_FACE_IN_SELFIE")),
    ];
    for_each(cases.map(|case| (case.0, case)), |(_, selfie, code, reason)| {
        let form = Form::new().file("selfie", &image(shared, selfie)?);
        let response = server.post("/v0.2/liveness-verification", &form)?;
        ensure_eq!(response.json()?.number("response_code")?, code);
        let first = response
            .header("x-likeness-findings")
            .and_then(|codes| codes.split(',').next());
        ensure!(reason.is_none() || first == reason, "{response:?}");
        Ok(())
    })
}

/// An image as `canvas.toBlob(…, "image/jpeg")` has it after 640x480 pixels of a camera were drawn on it.
fn canvas(shared: &Path, name: &str) -> Result<Vec<u8>, Failed> {
    let camera = image::load_from_memory(&image(shared, name)?)?;
    let canvas = camera.resize_exact(640, 480, FilterType::Triangle).into_rgb8();
    let mut jpeg = Cursor::new(Vec::new());
    canvas.write_to(&mut jpeg, ImageFormat::Jpeg)?;
    Ok(jpeg.into_inner())
}

/// `form.append("selfie", blob, "selfie.jpg")` and `fetch(url, { method: "POST", headers: { app_id, app_key }, body: form })`, as
/// Chromium sends them.
fn page(shared: &Path) -> Outcome {
    const ORIGIN: &str = "https://onboarding.example";
    let server = Server::start(|command| {
        command.args(["--workers", "1", "--set", "base_path=/idv"]);
        command.args(["--set", &format!("cors.origins=[\"{ORIGIN}\"]")]);
    })?;
    let path = format!("/idv{BIOMETRIC}");
    let mut connection = server.connect()?;
    connection.send(&format!(
        "OPTIONS {path} HTTP/1.1\r\nHost: likeness.example\r\nAccept: */*\r\nAccess-Control-Request-Method: POST\r\n\
         Access-Control-Request-Headers: app_id,app_key,x-request-id\r\nOrigin: {ORIGIN}\r\nSec-Fetch-Mode: cors\r\n\r\n"
    ))?;
    let preflight = connection.admin_response()?;
    ensure!((200..300).contains(&preflight.status), "{preflight:?}");
    let listed = |header: &str| -> Vec<String> {
        let names = preflight.header(header).unwrap_or_default().split(',');
        names.map(|name| name.trim().to_ascii_lowercase()).collect()
    };
    ensure_eq!(preflight.header("access-control-allow-origin"), Some(ORIGIN));
    for name in ["app_id", "app_key", "x-request-id"] {
        let allowed = listed("access-control-allow-headers");
        ensure!(allowed.iter().any(|found| found == name), "{name}: {allowed:?}");
    }

    let boundary = "----WebKitFormBoundaryhK3mX8sZq1vT0aBc";
    let mut body = Vec::new();
    for (name, file) in [("selfie", SAME_PERSON.0), ("image", SAME_PERSON.1)] {
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{name}.jpg\"\r\n\
             Content-Type: image/jpeg\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(&canvas(shared, file)?);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    let headers = format!(
        "{}Content-Type: multipart/form-data; boundary={boundary}\r\nContent-Length: {}\r\nX-Request-ID: order 4711\r\n\
         Accept: */*\r\nOrigin: {ORIGIN}\r\nReferer: {ORIGIN}/\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Site: cross-site\r\n",
        APP.headers(),
        body.len()
    );
    connection.send(&[head(&path, &headers).as_bytes(), &body].concat())?;
    let response = connection.response()?;
    response.expect(200)?;
    ensure_eq!(response.header("access-control-allow-origin"), Some(ORIGIN));
    ensure_eq!(response.header("x-correlation-id"), Some("order 4711"));
    let exposed = response
        .header("access-control-expose-headers")
        .unwrap_or_default();
    for name in ["x-request-id", "x-correlation-id", "x-likeness-findings"] {
        ensure!(exposed.split(',').any(|found| found == name), "{name}: {exposed}");
    }
    let json = response.json()?;
    ensure_eq!(json.number("response_code")?, 0.0, "{json:?}");
    for role in ["selfie", "image"] {
        let data = json.at(&format!("response_data.biometric.{role}"))?;
        ensure_eq!(
            (data.number("img.width")?, data.number("img.height")?),
            (640.0, 480.0)
        );
    }
    Ok(())
}

/// `requests.post(url, headers={"Content-Type": "multipart/form-data", …}, files=…)`: the header that the documentation lists
/// takes the place of the one with the boundary.
fn bare_content_type(shared: &Path) -> Outcome {
    let server = SERVER.get()?;
    let (selfie, photo) = (image(shared, SAME_PERSON.0)?, image(shared, SAME_PERSON.1)?);
    let forms = [
        ("both images", (BIOMETRIC, Form::pair(&selfie, &photo))),
        ("a selfie", (LIVENESS, Form::new().file("selfie", &selfie))),
    ];
    for_each(forms, |(path, form)| {
        let usual: Json = server.post(path, &form)?.content()?;
        let bare = server.post(path, &form.with_content_type("multipart/form-data"))?;
        ensure_eq!(bare.content()?, usual);
        Ok(())
    })
}
