//! Every error that a client can provoke: status, headers and whole body.

use std::path::Path;

use likeness_testing::{Failed, Outcome, Suite, ensure};

use crate::SERVER;
use crate::support::client::Answer;
use crate::support::form::{Form, flat, head};
use crate::support::server::{APP, App, BRANCH, DISABLED, Server, WRONG_KEY};
use crate::support::{for_each, picture};

pub(crate) fn tests(suite: &mut Suite) {
    suite.with_models("errors::malformed_request", malformed);
    suite.with_models("errors::malformed_request_of_a_connection_that_ends", cut_off);
    suite.with_models("errors::missing_field", missing);
    suite.with_models("errors::invalid_parameter", invalid);
    suite.with_models("errors::invalid_credentials", credentials);
    suite.with_models("errors::app_disabled", disabled);
    suite.with_models("errors::not_found_and_method_not_allowed", other_paths);
    suite.with_models("errors::file_too_large", too_many_bytes);
    suite.with_shared_and_models("errors::unsupported_and_corrupt_images", unreadable);
    suite.with_models("errors::image_too_small_and_too_large", sizes);
    suite.with_shared_and_models("errors::image_too_large_for_any_version", |shared| {
        too_large_for_all(shared)
    });
    suite.with_models("errors::come_in_the_order_of_the_checks", order);
    suite.with_models(
        "errors::are_answered_before_a_large_body_is_sent",
        before_the_body,
    );
}

const BIOMETRIC: &str = "/v0.1/biometric-verification";
const LIVENESS: &str = "/v0.1/liveness-verification";

const LIMIT_OF_FILE: usize = 15 * 1024 * 1024;
const LIMIT_OF_BODY: usize = 32 * 1024 * 1024;

const CREDENTIALS_MESSAGE: &str = "The app_id and app_key headers are absent or do not belong together; app-id and app-key are accepted too.";

/// A request with [`APP`]'s credentials and a body of any kind.
fn request(path: &str, content_type: Option<&str>, body: &[u8]) -> Vec<u8> {
    let content_type = content_type.map_or_else(String::new, |value| format!("Content-Type: {value}\r\n"));
    let headers = format!(
        "{}{content_type}Content-Length: {}\r\n",
        APP.headers(),
        body.len()
    );
    [head(path, &headers), body.to_vec()].concat()
}

fn malformed() -> Outcome {
    let server = SERVER.get()?;
    let form = Form::pair(&flat(480, 480)?, &flat(480, 480)?);
    let multipart = Form::content_type();
    let whole = form.body();
    let cut = &whole[..whole.len() - 10];
    let cases = [
        (
            Some("application/json"),
            &b"{}"[..],
            "the Content-Type is not multipart/form-data",
        ),
        (
            Some("application/x-www-form-urlencoded"),
            b"selfie=1&image=2",
            "the Content-Type is not multipart/form-data",
        ),
        (None, &whole, "there is no Content-Type"),
        (
            Some("multipart/form-data"),
            &whole,
            "the Content-Type has no usable boundary",
        ),
        (
            Some("multipart/form-data; boundary=another"),
            &whole,
            "the body does not have the boundary of the Content-Type",
        ),
        (
            Some(&multipart),
            b"",
            "the body does not have the boundary of the Content-Type",
        ),
        (
            Some(&multipart),
            b"{}",
            "the body does not have the boundary of the Content-Type",
        ),
        (Some(&multipart), cut, "the body ends before its last boundary"),
    ];
    for_each(
        cases.map(|case| (case.2, case)),
        |(content_type, body, reason)| {
            for path in [BIOMETRIC, LIVENESS] {
                let answer = server.send(&request(path, content_type, body))?;
                answer.expect_error(400, "MALFORMED_REQUEST", &malformed_message(reason))?;
            }
            Ok(())
        },
    )
}

fn malformed_message(reason: &str) -> String {
    format!("The request is not well-formed multipart/form-data: {reason}.")
}

/// The client goes away in the middle, but still listens.
fn cut_off() -> Outcome {
    let server = SERVER.get()?;
    let form = Form::new().file("selfie", &flat(480, 480)?);
    let whole = form.request(LIVENESS, &APP.headers());
    let chunked = {
        let headers = format!(
            "{}Content-Type: {}\r\nTransfer-Encoding: chunked\r\n",
            APP.headers(),
            Form::content_type()
        );
        [head(LIVENESS, &headers), b"1000\r\n--likeness".to_vec()].concat()
    };
    for_each(
        [("by length", &whole[..whole.len() / 2]), ("by chunks", &chunked)],
        |bytes| {
            let mut connection = server.connect()?;
            connection.send(bytes)?;
            connection.finish()?;
            connection.answer()?.expect_error(
                400,
                "MALFORMED_REQUEST",
                &malformed_message("the body breaks off"),
            )
        },
    )
}

fn missing() -> Outcome {
    let server = SERVER.get()?;
    let file = flat(480, 480)?;
    let selfie = || Form::new().file("selfie", &file);
    let cases = [
        ("no field", (BIOMETRIC, Form::new(), "selfie")),
        (
            "no selfie",
            (BIOMETRIC, Form::new().file("image", &file), "selfie"),
        ),
        ("no image", (BIOMETRIC, selfie(), "image")),
        (
            "the image of the wrong name",
            (BIOMETRIC, selfie().file("photo", &file), "image"),
        ),
        ("an empty selfie", (BIOMETRIC, Form::pair(b"", &file), "selfie")),
        ("an empty image", (BIOMETRIC, Form::pair(&file, b""), "image")),
        (
            "no selfie for liveness",
            (LIVENESS, Form::new().file("image", &file), "selfie"),
        ),
        (
            "an empty selfie for liveness",
            (LIVENESS, Form::new().file("selfie", b""), "selfie"),
        ),
    ];
    for_each(cases, |(path, form, field)| {
        let message = format!("The form field `{field}` is absent or empty.");
        server
            .post(path, &form)?
            .expect_error(400, "MISSING_FIELD", &message)
    })
}

fn invalid() -> Outcome {
    let server = SERVER.get()?;
    let file = flat(480, 480)?;
    let pair = || Form::pair(&file, &file);
    let selfie = || Form::new().file("selfie", &file);
    let mut cases = Vec::new();
    for value in ["maybe", "2", "truee", "on", "t"] {
        cases.push((
            format!("image_multiface={value}"),
            (
                APP,
                BIOMETRIC,
                pair().text("image_multiface", value),
                "`image_multiface` must be true or false (or 1, 0, yes, no)",
            ),
        ));
    }
    for value in [
        "-0.1", "1.1", "nan", "NaN", "inf", "-inf", "abc", "1e400", "0,5", "60%",
    ] {
        cases.push((
            format!("threshold={value}"),
            (
                APP,
                LIVENESS,
                selfie().text("threshold", value),
                "`threshold` must be a number from 0 to 1, such as 0.6",
            ),
        ));
    }
    let profiles =
        "`profile` must be one of those that this app may use: permissive-v0, optimal-v0, strict-v0";
    for value in ["lax", "optimal", "OPTIMAL-V0", "strict-v1"] {
        cases.push((
            format!("profile={value}"),
            (APP, BIOMETRIC, pair().text("profile", value), profiles),
        ));
    }
    cases.push((
        "a profile that is not the app's".to_owned(),
        (
            BRANCH,
            BIOMETRIC,
            pair().text("profile", "permissive-v0"),
            "`profile` must be one of those that this app may use: strict-v0, optimal-v0",
        ),
    ));
    cases.push((
        "a threshold below the app's floor".to_owned(),
        (
            BRANCH,
            LIVENESS,
            selfie().text("threshold", "0.4499"),
            "`threshold` must be at least 0.45 for this app",
        ),
    ));
    let twice = [
        (
            "selfie",
            pair().file("selfie", &file),
            "`selfie` is there more than once",
        ),
        (
            "image",
            pair().file("image", &file),
            "`image` is there more than once",
        ),
        (
            "image_multiface",
            pair()
                .text("image_multiface", "true")
                .text("image_multiface", "true"),
            "`image_multiface` is there more than once",
        ),
        (
            "profile",
            pair().text("profile", "strict-v0").text("profile", "optimal-v0"),
            "`profile` is there more than once",
        ),
    ];
    for (field, form, problem) in twice {
        cases.push((format!("{field} twice"), (APP, BIOMETRIC, form, problem)));
    }
    for_each(cases, |(app, path, form, problem)| {
        let answer = server.send(&form.request(path, &app.headers()))?;
        answer.expect_error(400, "INVALID_PARAMETER", &format!("The form field {problem}."))
    })
}

fn credentials() -> Outcome {
    let server = SERVER.get()?;
    let form = Form::pair(&flat(480, 480)?, &flat(480, 480)?);
    let (id, key) = (APP.id, APP.key);
    let cases = [
        ("no header", String::new()),
        ("only the id", format!("app_id: {id}\r\n")),
        ("only the key", format!("app_key: {key}\r\n")),
        ("an unknown app", format!("app_id: nobody\r\napp_key: {key}\r\n")),
        ("a wrong key", format!("app_id: {id}\r\napp_key: {WRONG_KEY}\r\n")),
        (
            "another app's key",
            format!("app_id: {id}\r\napp_key: {}\r\n", BRANCH.key),
        ),
        ("an empty key", format!("app_id: {id}\r\napp_key:\r\n")),
        (
            "a key that is longer",
            format!("app_id: {id}\r\napp_key: {key}x\r\n"),
        ),
        (
            "the key in another case",
            format!("app_id: {id}\r\napp_key: {}\r\n", key.to_uppercase()),
        ),
        (
            "two keys, of which one is right",
            format!("app_id: {id}\r\napp_key: {key}\r\napp_key: {WRONG_KEY}\r\n"),
        ),
        (
            "two spellings that do not agree",
            format!("app_id: {id}\r\napp-id: nobody\r\napp_key: {key}\r\n"),
        ),
        (
            "a disabled app with a wrong key",
            format!("app_id: {}\r\napp_key: {WRONG_KEY}\r\n", DISABLED.id),
        ),
        (
            "the credentials as basic authentication",
            "Authorization: Basic YXBwLTE6a2V5\r\n".to_owned(),
        ),
    ];
    let mut answers: Vec<Answer> = Vec::new();
    for_each(cases, |headers| {
        for path in [BIOMETRIC, LIVENESS] {
            let answer = server.send(&form.request(path, &headers))?;
            answer.expect_error(401, "INVALID_CREDENTIALS", CREDENTIALS_MESSAGE)?;
            answers.push(answer);
        }
        Ok(())
    })?;
    // Nothing tells an unknown app from a wrong key: what is left without ids and times is the same, headers included.
    let lasting = |answer: &Answer| -> Result<_, Failed> {
        let changing = ["x-request-id", "date"];
        let headers: Vec<_> = answer
            .headers
            .iter()
            .filter(|(name, _)| !changing.contains(&name.as_str()))
            .cloned()
            .collect();
        Ok((headers, answer.json()?.without_meta()))
    };
    for two in answers.windows(2) {
        ensure!(
            lasting(&two[0])? == lasting(&two[1])?,
            "{:?}\n{:?}",
            two[0],
            two[1]
        );
    }
    Ok(())
}

fn disabled() -> Outcome {
    let server = SERVER.get()?;
    let form = Form::pair(&flat(480, 480)?, &flat(480, 480)?);
    for path in [BIOMETRIC, LIVENESS] {
        let answer = server.send(&form.request(path, &DISABLED.headers()))?;
        answer.expect_error(
            403,
            "APP_DISABLED",
            "This app is switched off. Ask the operator of this service.",
        )?;
    }
    // The correct key is needed to learn that.
    let wrong = App {
        key: WRONG_KEY,
        ..DISABLED
    };
    let answer = server.send(&form.request(BIOMETRIC, &wrong.headers()))?;
    answer.expect_error(401, "INVALID_CREDENTIALS", CREDENTIALS_MESSAGE)
}

fn other_paths() -> Outcome {
    let server = SERVER.get()?;
    let plain = |method: &str, path: &str| {
        format!("{method} {path} HTTP/1.1\r\nHost: likeness.example\r\nContent-Length: 0\r\n\r\n")
    };
    let nowhere = [
        ("GET", "/"),
        ("POST", "/"),
        ("GET", "/v0.1"),
        ("POST", "/v0.3/biometric-verification"),
        ("POST", "/V0.1/biometric-verification"),
        ("POST", "/v0.1/biometric-verification/more"),
        ("GET", "/healthz/../info"),
        ("GET", "/%2e%2e/etc/passwd"),
    ];
    for_each(nowhere.map(|case| (case.1, case)), |(method, path)| {
        let answer = server.send(plain(method, path).as_bytes())?;
        ensure!(answer.header("allow")?.is_none(), "{answer:?}");
        answer.expect_error(404, "NOT_FOUND", "There is nothing at this path.")
    })?;
    let methods = [
        ("GET", BIOMETRIC, "POST"),
        ("PUT", LIVENESS, "POST"),
        ("DELETE", "/v0.2/biometric-verification", "POST"),
        ("OPTIONS", "/v0.2/liveness-verification", "POST"),
        ("POST", "/healthz", "GET,HEAD"),
        ("POST", "/readyz", "GET,HEAD"),
        ("PUT", "/info", "GET,HEAD"),
    ];
    for_each(methods.map(|case| (case.1, case)), |(method, path, allow)| {
        let answer = server.send(plain(method, path).as_bytes())?;
        ensure!(answer.header("allow")? == Some(allow), "{answer:?}");
        answer.expect_error(405, "METHOD_NOT_ALLOWED", "This path does not take this method.")
    })
}

fn too_many_bytes() -> Outcome {
    let server = SERVER.get()?;
    let small = flat(480, 480)?;
    let pairs = |file: &[u8]| {
        [
            ("selfie", Form::pair(file, &small)),
            ("image", Form::pair(&small, file)),
        ]
    };
    let refused = |field: &str, form: &Form| {
        let message =
            format!("The file in `{field}` has more than the {LIMIT_OF_FILE} bytes that are accepted.");
        let answer = server.post(BIOMETRIC, form)?;
        answer.expect_error(413, "FILE_TOO_LARGE", &message)?;
        Ok::<_, Failed>(answer)
    };
    let at_limit = vec![0; LIMIT_OF_FILE];
    for (field, form) in pairs(&[&at_limit[..], b"x"].concat()) {
        refused(field, &form)?;
    }
    // Where much of the body has not been read, the client is told not to send it.
    for (field, form) in pairs(&[&at_limit[..], &at_limit[..LIMIT_OF_FILE / 2]].concat()) {
        let answer = refused(field, &form)?;
        ensure!(answer.header("connection")? == Some("close"), "{answer:?}");
    }
    // A file at the limit is read: it is no picture.
    let at_limit = Form::new().file("selfie", &at_limit);
    ensure!(
        server.post(LIVENESS, &at_limit)?.status == 415,
        "a file at the limit"
    );

    let message = format!("The request body has more than the {LIMIT_OF_BODY} bytes that are accepted.");
    let declared = format!(
        "{}Content-Type: {}\r\nContent-Length: {}\r\n",
        APP.headers(),
        Form::content_type(),
        LIMIT_OF_BODY + 1
    );
    // Not a byte of the body is needed to see that.
    server
        .send(&head(BIOMETRIC, &declared))?
        .expect_error(413, "FILE_TOO_LARGE", &message)?;
    // Without a length it is counted, in fields that nobody asked for as well.
    let headers = format!(
        "{}Content-Type: {}\r\nTransfer-Encoding: chunked\r\n",
        APP.headers(),
        Form::content_type()
    );
    let body = Form::new().file("unknown", &vec![0; LIMIT_OF_BODY + 1]).body();
    let mut connection = server.connect()?;
    connection.send(&head(BIOMETRIC, &headers))?;
    for chunk in body.chunks(1024 * 1024) {
        connection.send(format!("{:x}\r\n", chunk.len()).as_bytes())?;
        connection.send(chunk)?;
        connection.send(b"\r\n")?;
    }
    connection.send(b"0\r\n\r\n")?;
    connection.answer()?.expect_error(413, "FILE_TOO_LARGE", &message)
}

/// Sends a file once as the selfie and once as the photo, beside one that is good.
fn each_role(
    server: &Server,
    version: &str,
    file: &[u8],
    check: impl Fn(&str, &Answer) -> Outcome,
) -> Outcome {
    let good = flat(500, 500)?;
    let path = format!("{version}/biometric-verification");
    check("selfie", &server.post(&path, &Form::pair(file, &good))?)?;
    check("image", &server.post(&path, &Form::pair(&good, file))?)?;
    let path = format!("{version}/liveness-verification");
    check("selfie", &server.post(&path, &Form::new().file("selfie", file))?)
}

fn unreadable(shared: &Path) -> Outcome {
    let server = SERVER.get()?;
    let not_an_image =
        "The file in `{}` is no picture in a supported format: send JPEG, PNG, WebP, BMP, TIFF or GIF.";
    let unsupported = |format: &str| {
        format!(
            "The {format} file in `{{}}` is not supported (*). Save it as an ordinary JPEG or PNG and send that."
        )
    };
    let corrupt = |format: &str| {
        format!("The {format} file in `{{}}` is damaged or incomplete (*): send the original file.")
    };
    let cases = [
        (
            "awkward-faces/text.jpg",
            415,
            "UNSUPPORTED_IMAGE_FORMAT",
            not_an_image.to_owned(),
        ),
        (
            "awkward/phone.heic",
            415,
            "UNSUPPORTED_IMAGE_FORMAT",
            unsupported("HEIC"),
        ),
        (
            "awkward/pitm.avif",
            415,
            "UNSUPPORTED_IMAGE_FORMAT",
            unsupported("AVIF"),
        ),
        (
            "awkward/relax.jp2",
            415,
            "UNSUPPORTED_IMAGE_FORMAT",
            unsupported("JPEG 2000"),
        ),
        (
            "awkward-faces/truncated_half.jpg",
            422,
            "CORRUPT_IMAGE",
            corrupt("JPEG"),
        ),
        ("awkward/truncated.jpg", 422, "CORRUPT_IMAGE", corrupt("JPEG")),
    ];
    for_each(
        cases.map(|case| (case.0, case)),
        |(name, status, code, message)| {
            let file = picture(shared, name)?;
            each_role(server, "/v0.1", &file, |field, answer| {
                answer.expect_error(status, code, &message.replace("{}", field))
            })
        },
    )
}

fn sizes() -> Outcome {
    let server = SERVER.get()?;
    let cases = [
        ("/v0.1", 400, 400, "IMAGE_TOO_SMALL", "must have at least 480"),
        ("/v0.1", 479, 900, "IMAGE_TOO_SMALL", "must have at least 480"),
        ("/v0.1", 900, 479, "IMAGE_TOO_SMALL", "must have at least 480"),
        ("/v0.2", 299, 900, "IMAGE_TOO_SMALL", "must have at least 300"),
        ("/v0.2", 900, 299, "IMAGE_TOO_SMALL", "must have at least 300"),
        ("/v0.2", 1, 1, "IMAGE_TOO_SMALL", "must have at least 300"),
        ("/v0.2", 5_001, 500, "IMAGE_TOO_LARGE", "may have at most 5000"),
        ("/v0.2", 500, 5_001, "IMAGE_TOO_LARGE", "may have at most 5000"),
    ];
    for_each(
        cases.map(|case| (format!("{} {}x{}", case.0, case.1, case.2), case)),
        |(version, width, height, code, limit)| {
            each_role(server, version, &flat(width, height)?, |field, answer| {
                let message =
                    format!("The picture in `{field}` is {width}x{height} pixels; each side {limit}.");
                answer.expect_error(422, code, &message)
            })
        },
    )?;
    // What is too large for one version is within the sizes of the other, and the other way round.
    for (path, width, height) in [
        ("/v0.1/liveness-verification", 5_001, 500),
        ("/v0.2/liveness-verification", 400, 400),
    ] {
        let answer = server.post(path, &Form::new().file("selfie", &flat(width, height)?))?;
        ensure!(answer.status == 200, "{answer:?}");
    }
    Ok(())
}

fn too_large_for_all(shared: &Path) -> Outcome {
    let server = SERVER.get()?;
    let file = picture(shared, "awkward/65536-uint32-limit.png")?;
    for version in ["/v0.1", "/v0.2"] {
        each_role(server, version, &file, |field, answer| {
            let message = format!(
                "The picture in `{field}` is 65536x65536 pixels; each side may have at most 10000, and the whole at most 64000000."
            );
            answer.expect_error(422, "IMAGE_TOO_LARGE", &message)
        })?;
    }
    Ok(())
}

/// Each request has more than one fault; the one that comes first in the contract is answered.
fn order() -> Outcome {
    let server = SERVER.get()?;
    let good = flat(480, 480)?;
    let (text, small) = (&b"no picture"[..], flat(10, 10)?);
    let garbage = |app: App| {
        let headers = format!(
            "{}Content-Type: text/plain\r\nContent-Length: 7\r\n",
            app.headers()
        );
        [head(BIOMETRIC, &headers), b"garbage".to_vec()].concat()
    };
    let stranger = App {
        id: "nobody",
        key: "x",
    };
    let form = |form: Form| form.request(BIOMETRIC, &APP.headers());
    let cases = [
        (
            "wrong credentials, no form",
            (garbage(stranger), "INVALID_CREDENTIALS"),
        ),
        ("a disabled app, no form", (garbage(DISABLED), "APP_DISABLED")),
        ("no form", (garbage(APP), "MALFORMED_REQUEST")),
        (
            "a form that ends early, without a photo",
            (
                {
                    let body = Form::new().file("selfie", text).body();
                    request(BIOMETRIC, Some(&Form::content_type()), &body[..body.len() - 4])
                },
                "MALFORMED_REQUEST",
            ),
        ),
        (
            "no photo, and a selfie that is none",
            (form(Form::new().file("selfie", text)), "MISSING_FIELD"),
        ),
        (
            "a bad option, and files that are none",
            (
                form(Form::pair(text, text).text("image_multiface", "maybe")),
                "INVALID_PARAMETER",
            ),
        ),
        (
            "an unknown profile, and a picture that is too small",
            (
                form(Form::pair(&small, &good).text("profile", "lax")),
                "INVALID_PARAMETER",
            ),
        ),
        (
            "a selfie that is too small, and a photo that is none",
            (form(Form::pair(&small, text)), "IMAGE_TOO_SMALL"),
        ),
        (
            "a selfie that is none, and a photo that is too small",
            (form(Form::pair(text, &small)), "UNSUPPORTED_IMAGE_FORMAT"),
        ),
        (
            "a good selfie, and a photo that is too small",
            (form(Form::pair(&good, &small)), "IMAGE_TOO_SMALL"),
        ),
    ];
    for_each(cases, |(bytes, code)| {
        let answer = server.send(&bytes)?;
        let found = answer.json()?.text("error.code")?.to_owned();
        ensure!(found == code, "{found} instead of {code}");
        Ok(())
    })
}

/// A client that has announced a large body, and has sent none of it, is told what is wrong; and that it need not send.
fn before_the_body() -> Outcome {
    let server = SERVER.get()?;
    let large = |app: App, more: &str| {
        let headers = format!(
            "{}Content-Type: {}\r\nContent-Length: {}\r\n{more}",
            app.headers(),
            Form::content_type(),
            LIMIT_OF_BODY
        );
        head(BIOMETRIC, &headers)
    };
    let wrong = App {
        key: WRONG_KEY,
        ..APP
    };
    let cases = [
        ("wrong credentials", (large(wrong, ""), 401)),
        (
            "wrong credentials, waiting for 100",
            (large(wrong, "Expect: 100-continue\r\n"), 401),
        ),
        ("a disabled app", (large(DISABLED, ""), 403)),
        (
            "a disabled app, waiting for 100",
            (large(DISABLED, "Expect: 100-continue\r\n"), 403),
        ),
    ];
    for_each(cases, |(bytes, status)| {
        let mut connection = server.connect()?;
        connection.send(&bytes)?;
        // `answer` fails where `100 Continue` comes first.
        let answer = connection.answer()?;
        ensure!(answer.status == status, "{answer:?}");
        ensure!(answer.header("connection")? == Some("close"), "{answer:?}");
        connection.finish()?;
        ensure!(connection.is_closed()?, "the connection stays open");
        Ok(())
    })
}
