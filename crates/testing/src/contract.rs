//! The part of the HTTP contract that holds for whatever models: what is accepted, what is refused and how, and in which
//! order. One list of cases, which run against a service in the test's process and against the program.
//!
//! The service has the apps [`APP`], [`DISABLED`] and [`BRANCH`], and is otherwise as it is without settings, except that
//! it allows a request and a connection a minute, so that no case depends on how busy the machine is. No image that is
//! sent shows a face.

use std::net::SocketAddr;

use crate::http::{
    APP, App, BRANCH, BRANCH_FLOOR, Connection, DISABLED, Form, Response, WRONG_KEY, chunked, flat, head,
};
use crate::{Failed, Outcome, ensure, ensure_eq, for_each};

/// A service under test.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// The public listener.
    pub address: SocketAddr,
}

impl Service {
    /// Opens a connection.
    ///
    /// # Errors
    /// Those of [`Connection::open`].
    pub fn connect(&self) -> Result<Connection, Failed> {
        Connection::open(self.address)
    }

    /// Sends bytes on a connection of their own.
    ///
    /// # Errors
    /// Those of [`Connection::send`] and [`Connection::response`].
    pub fn send(&self, bytes: &(impl AsRef<[u8]> + ?Sized)) -> Result<Response, Failed> {
        let mut connection = self.connect()?;
        connection.send(bytes)?;
        connection.response()
    }

    /// Sends a form with the credentials of [`APP`] on a connection of its own.
    ///
    /// # Errors
    /// Those of [`Service::send`].
    pub fn post(&self, path: &str, form: &Form) -> Result<Response, Failed> {
        self.send(&form.request(path, &APP.headers()))
    }

    /// Sends a GET request on a connection of its own.
    ///
    /// # Errors
    /// Those of [`Service::send`].
    pub fn get(&self, path: &str) -> Result<Response, Failed> {
        self.request("GET", path)
    }

    fn request(&self, method: &str, path: &str) -> Result<Response, Failed> {
        self.send(&format!(
            "{method} {path} HTTP/1.1\r\nHost: likeness.example\r\nContent-Length: 0\r\n\r\n"
        ))
    }
}

/// A case of the contract.
pub type Case = fn(&Service) -> Outcome;

/// The cases by name.
pub const CASES: [(&str, Case); 22] = [
    ("endpoints_exist_on_both_versions", endpoints),
    ("health_and_information", health),
    ("parts_are_known_by_their_names_alone", parts),
    ("fields_come_in_any_order_and_unknown_ones_are_ignored", fields),
    ("credentials_come_in_every_spelling", spellings),
    ("invalid_credentials", credentials),
    ("app_disabled", disabled),
    ("malformed_request", malformed),
    ("malformed_request_of_a_body_that_breaks_off", cut_off),
    ("missing_field", missing),
    ("invalid_parameter", invalid),
    ("file_too_large", too_many_bytes),
    (
        "a_large_upload_is_refused_in_a_way_that_its_sender_sees",
        large_upload,
    ),
    ("unsupported_and_corrupt_images", unreadable),
    ("image_too_small_and_too_large", sizes),
    ("images_at_the_limits_are_accepted", sizes_within),
    ("not_found_and_method_not_allowed", other_paths),
    ("errors_come_in_the_order_of_the_checks", order),
    ("errors_come_before_a_large_body_is_sent", before_the_body),
    ("one_connection_carries_request_after_request", keep_alive),
    ("the_clients_own_id_comes_back", correlation),
    ("the_codes_of_what_was_found_are_in_a_header", findings),
];

const BIOMETRIC: &str = "/v0.1/biometric-verification";
const LIVENESS: &str = "/v0.1/liveness-verification";
const VERSIONS: [&str; 2] = ["/v0.1", "/v0.2"];

const MAX_FILE: usize = 15 * 1024 * 1024;
const MAX_BODY: usize = 32 * 1024 * 1024;

const CREDENTIALS_MESSAGE: &str = "The app_id and app_key headers are absent or do not belong together; app-id and app-key are accepted too.";

/// A selfie and a photo that differ in their sizes, so that a response tells which was taken for which.
const SELFIE: (u32, u32) = (600, 500);
const PHOTO: (u32, u32) = (500, 600);

fn selfie() -> Result<Vec<u8>, Failed> {
    flat(SELFIE.0, SELFIE.1)
}

fn photo() -> Result<Vec<u8>, Failed> {
    flat(PHOTO.0, PHOTO.1)
}

fn pair() -> Result<Form, Failed> {
    Ok(Form::pair(&selfie()?, &photo()?))
}

/// Checks that [`selfie`] and [`photo`] were read, each in its role.
fn expect_both(response: &Response) -> Outcome {
    let content = response.content()?;
    for (role, (width, height)) in [("selfie", SELFIE), ("image", PHOTO)] {
        expect_size(
            &content.at(&format!("response_data.biometric.{role}"))?,
            width,
            height,
        )?;
    }
    Ok(())
}

fn expect_size(data: &crate::http::Json, width: u32, height: u32) -> Outcome {
    let found = (data.number("img.width")?, data.number("img.height")?);
    ensure_eq!(found, (f64::from(width), f64::from(height)));
    Ok(())
}

fn endpoints(service: &Service) -> Outcome {
    for version in VERSIONS {
        for slash in ["", "/"] {
            let path = format!("{version}/biometric-verification{slash}");
            expect_both(&service.post(&path, &pair()?)?)?;
            let path = format!("{version}/liveness-verification{slash}");
            let form = Form::new().file("selfie", &selfie()?);
            let content = service.post(&path, &form)?.content()?;
            expect_size(&content.at("response_data")?, SELFIE.0, SELFIE.1)?;
        }
    }
    Ok(())
}

fn health(service: &Service) -> Outcome {
    for (path, body) in [
        ("/healthz", r#"{"status":"ok"}"#),
        ("/readyz", r#"{"status":"ready"}"#),
    ] {
        let response = service.get(path)?;
        response.expect(200)?;
        ensure_eq!(response.text(), body);
    }
    let info = service.get("/info")?;
    info.expect(200)?;
    // Every key is here, so that a new one is reviewed for what it discloses.
    let json = info.json()?;
    let keys: Vec<&String> = json
        .as_object()
        .into_iter()
        .flat_map(|entries| entries.keys())
        .collect();
    ensure_eq!(
        keys,
        [
            "cohort",
            "liveness_calibration",
            "match_calibration",
            "name",
            "pack",
            "pack_version",
            "provider",
            "version"
        ]
    );
    ensure_eq!(json.text("name")?, "likeness");
    ensure_eq!(json.text("version")?, env!("CARGO_PKG_VERSION"));
    ensure!(!info.text().contains(APP.id), "an app is named in {info:?}");
    let mut connection = service.connect()?;
    connection.send("HEAD /healthz HTTP/1.1\r\nHost: likeness.example\r\n\r\n")?;
    connection.head_response()?.expect(200)
}

fn parts(service: &Service) -> Outcome {
    let heads = [
        (
            "no filename, no content type",
            "Content-Disposition: form-data; name=\"{}\"",
        ),
        (
            "the filename first",
            "Content-Disposition: form-data; filename=\"x; name=other\"; name=\"{}\"",
        ),
        (
            "a filename as Python 2 and old urllib3 write it",
            "Content-Disposition: form-data; name=\"{}\"; filename*=utf-8''Zo%C3%AB.jpg\r\nContent-Type: image/jpeg",
        ),
        (
            "both kinds of filename, not ASCII",
            "Content-Disposition: form-data; name=\"{}\"; filename=\"相片.jpg\"; filename*=UTF-8''%E7%9B%B8%E7%89%87.jpg",
        ),
        (
            "a path of Windows as filename",
            "Content-Disposition: form-data; name=\"{}\"; filename=\"C:\\new\\photo.jpg\"",
        ),
        (
            "an empty filename, after another header",
            "Content-Type: text/html\r\nContent-Disposition: form-data; name=\"{}\"; filename=\"\"",
        ),
        (
            "a name without quotes",
            "Content-Disposition: form-data; name={}; filename=photo.jpg",
        ),
        (
            "headers in lower case, without a space, with others among them",
            "content-length: 1\r\ncontent-type:image/png\r\nx-other: 1\r\ncontent-disposition:form-data;name=\"{}\"",
        ),
        (
            "the wrong content type",
            "Content-Disposition: form-data; name=\"{}\"; filename=\"a.pdf\"\r\nContent-Type: application/pdf",
        ),
        (
            "Content-Transfer-Encoding: binary",
            "Content-Disposition: form-data; name=\"{}\"\r\nContent-Transfer-Encoding: binary",
        ),
    ];
    let (selfie, photo) = (selfie()?, photo()?);
    for_each(heads, |head| {
        let form = Form::new()
            .part(&head.replace("{}", "selfie"), &selfie)
            .part(&head.replace("{}", "image"), &photo);
        expect_both(&service.post(BIOMETRIC, &form)?)
    })?;
    // A boundary that needs its quotes, after a charset.
    let boundary = "a'(z)+_,-./:=? 9";
    let part = |name: &str, file: &[u8]| {
        let head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        [head.as_bytes(), file, b"\r\n"].concat()
    };
    let end = format!("--{boundary}--\r\n");
    let body = [part("selfie", &selfie), part("image", &photo), end.into_bytes()].concat();
    // Without a boundary in the header the first line of the body has it.
    for content_type in [
        format!("Multipart/Form-Data; charset=\"utf-8\"; Boundary=\"{boundary}\""),
        "multipart/form-data".to_owned(),
    ] {
        expect_both(&service.send(&request(BIOMETRIC, Some(&content_type), &body))?)?;
    }
    Ok(())
}

fn fields(service: &Service) -> Outcome {
    let (selfie, photo) = (selfie()?, photo()?);
    let add = |form: Form, field: &str| match field {
        "selfie" => form.file(field, &selfie),
        "image" => form.file(field, &photo),
        "image_multiface" => form.text(field, "true"),
        _ => form.text(field, "of no meaning here"),
    };
    let orders = [
        ["selfie", "image", "image_multiface", "unknown"],
        ["selfie", "image_multiface", "image", "unknown"],
        ["image", "selfie", "unknown", "image_multiface"],
        ["image", "image_multiface", "unknown", "selfie"],
        ["image_multiface", "unknown", "selfie", "image"],
        ["unknown", "image_multiface", "image", "selfie"],
    ];
    for_each(orders.map(|order| (order.join(" "), order)), |order| {
        expect_both(&service.post(BIOMETRIC, &order.into_iter().fold(Form::new(), add))?)
    })?;
    let liveness = [
        (
            "a threshold with space around it",
            Form::new().text("threshold", " 0.7 ").file("selfie", &selfie),
        ),
        (
            "an empty threshold, and an unknown field twice",
            Form::new()
                .file("selfie", &selfie)
                .text("other", "x")
                .text("other", "x")
                .text("threshold", ""),
        ),
        (
            "fields of the other endpoint",
            Form::new()
                .file("image", b"not read here")
                .file("selfie", &selfie)
                .text("profile", "not read here"),
        ),
    ];
    for_each(liveness, |form| service.post(LIVENESS, &form)?.expect(200))
}

fn spellings(service: &Service) -> Outcome {
    let form = Form::new().file("selfie", &selfie()?);
    let (id, key) = (APP.id, APP.key);
    let spellings = [
        ("app_id", "app_key"),
        ("app-id", "app-key"),
        ("app_id", "app-key"),
        ("app-id", "app_key"),
        ("App_Id", "App_Key"),
        ("App-Id", "App-Key"),
        ("APP_ID", "APP_KEY"),
    ];
    let mut contents = Vec::new();
    for_each(spellings.map(|names| (names.0, names)), |(id_name, key_name)| {
        for version in VERSIONS {
            let path = format!("{version}/liveness-verification");
            let headers = format!("{id_name}: {id}\r\n{key_name}: {key}\r\n");
            contents.push(service.send(&form.request(&path, &headers))?.content()?);
        }
        Ok(())
    })?;
    let both = format!("app-id: {id}\r\n{}", APP.headers());
    contents.push(service.send(&form.request(LIVENESS, &both))?.content()?);
    contents.dedup();
    ensure_eq!(contents.len(), 1, "the responses differ");
    Ok(())
}

fn credentials(service: &Service) -> Outcome {
    let form = pair()?;
    let (id, key) = (APP.id, APP.key);
    let cases = [
        ("no header", String::new()),
        ("only the id", format!("app_id: {id}\r\n")),
        ("only the key", format!("app_key: {key}\r\n")),
        ("an unknown app", format!("app_id: unknown\r\napp_key: {key}\r\n")),
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
            "the id twice",
            format!("app_id: {id}\r\napp_id: {id}\r\napp_key: {key}\r\n"),
        ),
        (
            "the key twice",
            format!("app_id: {id}\r\napp_key: {key}\r\napp_key: {key}\r\n"),
        ),
        (
            "two keys, of which one is right",
            format!("app_id: {id}\r\napp_key: {key}\r\napp_key: {WRONG_KEY}\r\n"),
        ),
        (
            "two spellings of the id that differ",
            format!("app_id: {id}\r\napp-id: other\r\napp_key: {key}\r\n"),
        ),
        (
            "two spellings of the key that differ",
            format!("app_id: {id}\r\napp_key: {key}\r\napp-key: other\r\n"),
        ),
        (
            "a disabled app with a wrong key",
            format!("app_id: {}\r\napp_key: {WRONG_KEY}\r\n", DISABLED.id),
        ),
        ("not ASCII", "app_id: \u{e9}\r\napp_key: \u{e9}\r\n".to_owned()),
        (
            "the credentials as basic authentication",
            "Authorization: Basic YXBwLTE6a2V5\r\n".to_owned(),
        ),
    ];
    // An unknown app cannot be told from a wrong key: without ids and times all is the same, headers included.
    let mut refusals = Vec::new();
    for_each(cases, |headers| {
        for version in VERSIONS {
            for endpoint in ["biometric-verification", "liveness-verification"] {
                let response = service.send(&form.request(&format!("{version}/{endpoint}"), &headers))?;
                response.expect_error(401, "INVALID_CREDENTIALS", CREDENTIALS_MESSAGE)?;
                let content = response.json()?.without_meta();
                let mut headers = response.headers;
                headers.retain(|(name, _)| name != "x-request-id" && name != "date");
                refusals.push((headers, content));
            }
        }
        Ok(())
    })?;
    refusals.dedup();
    ensure_eq!(refusals.len(), 1, "the refusals differ: {refusals:?}");
    Ok(())
}

fn disabled(service: &Service) -> Outcome {
    let form = pair()?;
    for path in [BIOMETRIC, LIVENESS] {
        service
            .send(&form.request(path, &DISABLED.headers()))?
            .expect_error(
                403,
                "APP_DISABLED",
                "This app is switched off. Ask the operator of this service.",
            )?;
    }
    // Only who has its key learns that.
    let wrong = App {
        key: WRONG_KEY,
        ..DISABLED
    };
    service
        .send(&form.request(BIOMETRIC, &wrong.headers()))?
        .expect_error(401, "INVALID_CREDENTIALS", CREDENTIALS_MESSAGE)
}

/// A request with [`APP`]'s credentials and a body of any kind.
fn request(path: &str, content_type: Option<&str>, body: &[u8]) -> Vec<u8> {
    let content_type = content_type.map_or_else(String::new, |value| format!("Content-Type: {value}\r\n"));
    let (app, length) = (APP.headers(), body.len());
    let headers = format!("{app}{content_type}Content-Length: {length}\r\n");
    [head(path, &headers).as_bytes(), body].concat()
}

/// The head of a request with [`APP`]'s credentials and a body in chunks.
fn chunked_head(path: &str) -> String {
    let (app, content_type) = (APP.headers(), Form::CONTENT_TYPE);
    let headers = format!("{app}Content-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n");
    head(path, &headers)
}

fn malformed(service: &Service) -> Outcome {
    let whole = pair()?.body();
    let cut = &whole[..whole.len() - 10];
    let many = (0..70).fold(Form::new(), |form, _| form.text("x", "y")).body();
    let long = Form::new()
        .part(&format!("X: {}", "x".repeat(10_000)), b"")
        .body();
    let multipart = Some(Form::CONTENT_TYPE);
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
            Some("multipart/form-data; boundary="),
            &whole,
            "the Content-Type has no usable boundary",
        ),
        (
            Some("multipart/form-data"),
            b"{}",
            "the Content-Type has no boundary, and the body does not begin with one",
        ),
        (
            Some("multipart/form-data; boundary=another"),
            &whole,
            "the body does not have the boundary of the Content-Type",
        ),
        (
            multipart,
            b"",
            "the body does not have the boundary of the Content-Type",
        ),
        (
            multipart,
            b"{}",
            "the body does not have the boundary of the Content-Type",
        ),
        (multipart, cut, "the body ends before its last boundary"),
        (multipart, &many, "the body has too many parts"),
        (multipart, &long, "the headers of a part are too long"),
    ];
    for_each(
        cases.map(|case| (case.2, case)),
        |(content_type, body, reason)| {
            for path in [BIOMETRIC, LIVENESS] {
                expect_malformed(&service.send(&request(path, content_type, body))?, reason)?;
            }
            Ok(())
        },
    )
}

fn expect_malformed(response: &Response, reason: &str) -> Outcome {
    let message = format!("The request is not well-formed multipart/form-data: {reason}.");
    response.expect_error(400, "MALFORMED_REQUEST", &message)
}

/// The client stops sending in the middle, but still reads.
fn cut_off(service: &Service) -> Outcome {
    let form = Form::new().file("selfie", &selfie()?);
    let whole = form.request(LIVENESS, &APP.headers());
    let half = whole[..whole.len() / 2].to_vec();
    let chunk = |text: &str| [chunked_head(LIVENESS), text.to_owned()].concat().into_bytes();
    let cases = [
        ("by length", half),
        ("by chunks", chunk("1000\r\n--BOUNDARY")),
        ("a chunk without a size", chunk("not a size\r\n")),
    ];
    for_each(cases, |bytes| {
        let mut connection = service.connect()?;
        connection.send(&bytes)?;
        connection.finish()?;
        expect_malformed(&connection.response()?, "the body breaks off")
    })
}

fn missing(service: &Service) -> Outcome {
    let file = selfie()?;
    let selfie = || Form::new().file("selfie", &file);
    let cases = [
        ("no field", (BIOMETRIC, Form::new(), "selfie")),
        (
            "no selfie",
            (BIOMETRIC, Form::new().file("image", &file), "selfie"),
        ),
        ("no image", (BIOMETRIC, selfie(), "image")),
        (
            "the image under another name",
            (BIOMETRIC, selfie().file("photo", &file), "image"),
        ),
        (
            "the selfie's name in another case",
            (LIVENESS, Form::new().file("Selfie", &file), "selfie"),
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
        service
            .post(path, &form)?
            .expect_error(400, "MISSING_FIELD", &message)
    })
}

fn invalid(service: &Service) -> Outcome {
    let file = selfie()?;
    let pair = || Form::pair(&file, &file);
    let selfie = || Form::new().file("selfie", &file);
    let mut cases = Vec::new();
    let boolean = "`image_multiface` must be true or false (or 1, 0, yes, no)";
    for value in ["maybe", "2", "truee", "on", "t"] {
        let form = pair().text("image_multiface", value);
        cases.push((
            format!("image_multiface={value}"),
            (APP, BIOMETRIC, form, boolean),
        ));
    }
    let number = "`threshold` must be a number from 0 to 1, such as 0.6";
    for value in [
        "-0.1", "1.1", "nan", "NaN", "inf", "-inf", "abc", "1e400", "0,5", "60%",
    ] {
        let form = selfie().text("threshold", value);
        cases.push((format!("threshold={value}"), (APP, LIVENESS, form, number)));
    }
    let field = "Content-Disposition: form-data; name=threshold";
    for (name, value, problem) in [
        (
            "a long threshold",
            &[b'1'; 300][..],
            "`threshold` is longer than 256 bytes",
        ),
        (
            "a threshold that is not UTF-8",
            b"\xff",
            "`threshold` is not UTF-8 text",
        ),
    ] {
        let form = selfie().part(field, value);
        cases.push((name.to_owned(), (APP, LIVENESS, form, problem)));
    }
    let profiles =
        "`profile` must be one of those that this app may use: permissive-v0, optimal-v0, strict-v0";
    for value in ["lax", "optimal", "OPTIMAL-V0", "strict-v1"] {
        let form = pair().text("profile", value);
        cases.push((format!("profile={value}"), (APP, BIOMETRIC, form, profiles)));
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
        service.send(&form.request(path, &app.headers()))?.expect_error(
            400,
            "INVALID_PARAMETER",
            &format!("The form field {problem}."),
        )
    })?;
    // What the app may use is accepted.
    let allowed = [
        (BIOMETRIC, pair().text("profile", crate::http::BRANCH_PROFILES.1)),
        (LIVENESS, selfie().text("threshold", &BRANCH_FLOOR.to_string())),
    ];
    for (path, form) in allowed {
        service
            .send(&form.request(path, &BRANCH.headers()))?
            .expect(200)?;
    }
    Ok(())
}

fn too_many_bytes(service: &Service) -> Outcome {
    let small = selfie()?;
    let at_limit = vec![0; MAX_FILE];
    let beyond = [&at_limit[..], b"x"].concat();
    let far_beyond = [&at_limit[..], &at_limit[..MAX_FILE / 2]].concat();
    for (file, closes) in [(beyond, false), (far_beyond, true)] {
        for (field, form) in [
            ("selfie", Form::pair(&file, &small)),
            ("image", Form::pair(&small, &file)),
        ] {
            let message =
                format!("The file in `{field}` has more than the {MAX_FILE} bytes that are accepted.");
            let response = service.post(BIOMETRIC, &form)?;
            response.expect_error(413, "FILE_TOO_LARGE", &message)?;
            // If much of the body is unread, the response closes the connection.
            ensure!(!closes || is_last(&response), "{response:?}");
        }
    }
    // A file at the limit is read: it is not an image.
    service
        .post(LIVENESS, &Form::new().file("selfie", &at_limit))?
        .expect(415)?;

    let message = format!("The request body has more than the {MAX_BODY} bytes that are accepted.");
    let declared = format!(
        "{}Content-Type: {}\r\nContent-Length: {}\r\n",
        APP.headers(),
        Form::CONTENT_TYPE,
        MAX_BODY + 1
    );
    // Not a byte of the body is needed to see that.
    service
        .send(&head(BIOMETRIC, &declared))?
        .expect_error(413, "FILE_TOO_LARGE", &message)?;
    // Without a length it is counted, in unknown fields as well.
    let body = Form::new().file("unknown", &vec![0; MAX_BODY + 1]).body();
    let mut connection = service.connect()?;
    connection.send(&chunked_head(BIOMETRIC))?;
    for chunk in body.chunks(1024 * 1024) {
        connection.send(&format!("{:x}\r\n", chunk.len()))?;
        connection.send(chunk)?;
        connection.send(b"\r\n")?;
    }
    connection.send(b"0\r\n\r\n")?;
    connection
        .response()?
        .expect_error(413, "FILE_TOO_LARGE", &message)
}

fn is_last(response: &Response) -> bool {
    response.header("connection") == Some("close")
}

/// Many clients send all before they read anything.
fn large_upload(service: &Service) -> Outcome {
    let form = Form::new().file("selfie", &vec![7; MAX_FILE + MAX_FILE / 3]);
    for (path, headers, status) in [
        (LIVENESS, String::new(), 401),
        (LIVENESS, APP.headers(), 413),
        ("/nowhere", String::new(), 404),
        ("/healthz", String::new(), 405),
    ] {
        let mut connection = service.connect()?;
        connection.send(&form.request(path, &headers))?;
        let response = connection.response()?;
        response.expect(status)?;
        ensure!(is_last(&response), "{response:?}");
        connection.finish()?;
        ensure!(connection.is_closed()?, "{path}: the connection stays open");
    }
    Ok(())
}

/// Sends a file once as the selfie and once as the photo, beside one that is good.
fn each_role(
    service: &Service,
    version: &str,
    file: &[u8],
    check: impl Fn(&str, &Response) -> Outcome,
) -> Outcome {
    let good = flat(500, 500)?;
    let path = format!("{version}/biometric-verification");
    check("selfie", &service.post(&path, &Form::pair(file, &good))?)?;
    check("image", &service.post(&path, &Form::pair(&good, file))?)?;
    let path = format!("{version}/liveness-verification");
    check("selfie", &service.post(&path, &Form::new().file("selfie", file))?)
}

/// Checks that a file is refused in each role; in `message`, `{}` stands for the form field.
///
/// # Errors
/// It is not, or in another way.
pub fn expect_unreadable(service: &Service, file: &[u8], status: u16, code: &str, message: &str) -> Outcome {
    each_role(service, "/v0.1", file, |field, response| {
        response.expect_error(status, code, &message.replace("{}", field))
    })
}

/// The message of a file that is not an image.
pub const NOT_AN_IMAGE: &str =
    "The file in `{}` is no picture in a supported format: send JPEG, PNG, WebP, BMP, TIFF or GIF.";

/// Returns the message of a file that ends early or is damaged.
#[must_use]
pub fn corrupt(format: &str) -> String {
    format!("The {format} file in `{{}}` is damaged or incomplete (*): send the original file.")
}

fn unreadable(service: &Service) -> Outcome {
    let text = b"not an image";
    expect_unreadable(service, text, 415, "UNSUPPORTED_IMAGE_FORMAT", NOT_AN_IMAGE)?;
    let png = selfie()?;
    let half = &png[..png.len() / 2];
    expect_unreadable(service, half, 422, "CORRUPT_IMAGE", &corrupt("PNG"))
}

fn sizes(service: &Service) -> Outcome {
    let (small, large) = ("IMAGE_TOO_SMALL", "IMAGE_TOO_LARGE");
    let cases = [
        ("/v0.1", 400, 400, small, "must have at least 480"),
        ("/v0.1", 479, 900, small, "must have at least 480"),
        ("/v0.1", 900, 479, small, "must have at least 480"),
        ("/v0.1", 10_001, 480, large, "may have at most 10000*"),
        ("/v0.2", 299, 900, small, "must have at least 300"),
        ("/v0.2", 900, 299, small, "must have at least 300"),
        ("/v0.2", 1, 1, small, "must have at least 300"),
        ("/v0.2", 5_001, 500, large, "may have at most 5000"),
        ("/v0.2", 500, 5_001, large, "may have at most 5000"),
    ];
    for_each(
        cases.map(|case| (format!("{} {}x{}", case.0, case.1, case.2), case)),
        |(version, width, height, code, limit)| {
            each_role(service, version, &flat(width, height)?, |field, response| {
                let message =
                    format!("The picture in `{field}` is {width}x{height} pixels; each side {limit}.");
                response.expect_error(422, code, &message)
            })
        },
    )
}

/// What is too large for one version is within the limits of the other, and the other way round.
fn sizes_within(service: &Service) -> Outcome {
    let sizes = [
        ("/v0.1", 480, 480),
        ("/v0.1", 10_000, 480),
        ("/v0.1", 5_001, 500),
        ("/v0.2", 300, 300),
        ("/v0.2", 400, 400),
        ("/v0.2", 300, 5_000),
    ];
    for_each(
        sizes.map(|size| (format!("{} {}x{}", size.0, size.1, size.2), size)),
        |(version, width, height)| {
            let form = Form::new().file("selfie", &flat(width, height)?);
            let response = service.post(&format!("{version}/liveness-verification"), &form)?;
            expect_size(&response.content()?.at("response_data")?, width, height)
        },
    )
}

fn other_paths(service: &Service) -> Outcome {
    let paths = [
        ("GET", "/"),
        ("POST", "/"),
        ("GET", "/v0.1"),
        ("GET", "/v0.1/x"),
        ("POST", "/v0.3/biometric-verification"),
        ("POST", "/V0.1/biometric-verification"),
        ("POST", "/v0.1/biometric-verification/more"),
        ("GET", "//healthz"),
        ("GET", "/HEALTHZ"),
        ("GET", "/healthz/../info"),
        ("GET", "/%2e%2e/etc/passwd"),
    ];
    for_each(paths.map(|case| (case.1, case)), |(method, path)| {
        let response = service.request(method, path)?;
        ensure_eq!(response.header("allow"), None);
        response.expect_error(404, "NOT_FOUND", "There is nothing at this path.")
    })?;
    let others = ["full-id-verification", "document-verification"];
    for (version, name) in VERSIONS
        .iter()
        .flat_map(|version| others.map(|name| (version, name)))
    {
        let message = format!(
            "This service does not offer {name}: it has biometric-verification and liveness-verification."
        );
        for (method, slash) in [("POST", ""), ("POST", "/"), ("GET", "")] {
            let response = service.request(method, &format!("{version}/{name}{slash}"))?;
            response.expect_error(404, "NOT_FOUND", &message)?;
        }
    }
    let mut methods = vec![
        ("POST", "/healthz".to_owned(), "GET,HEAD"),
        ("POST", "/readyz".to_owned(), "GET,HEAD"),
        ("PUT", "/info".to_owned(), "GET,HEAD"),
    ];
    for version in VERSIONS {
        for endpoint in ["biometric-verification", "liveness-verification"] {
            let path = format!("{version}/{endpoint}");
            let others = ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"];
            methods.extend(others.map(|method| (method, path.clone(), "POST")));
        }
    }
    let cases = methods
        .into_iter()
        .map(|case| (format!("{} {}", case.0, case.1), case));
    for_each(cases, |(method, path, allow)| {
        let response = service.request(method, &path)?;
        ensure_eq!(response.header("allow"), Some(allow));
        response.expect_error(405, "METHOD_NOT_ALLOWED", "This path does not take this method.")
    })
}

/// Each request has more than one fault; the response names the one that comes first in the contract.
fn order(service: &Service) -> Outcome {
    let good = flat(480, 480)?;
    let (text, small) = (&b"not an image"[..], flat(10, 10)?);
    let garbage = |app: App| {
        let headers = format!(
            "{}Content-Type: text/plain\r\nContent-Length: 7\r\n",
            app.headers()
        );
        [head(BIOMETRIC, &headers).as_bytes(), b"garbage"].concat()
    };
    let unknown = App {
        id: "unknown",
        key: "x",
    };
    let form = |form: Form| form.request(BIOMETRIC, &APP.headers());
    let unfinished = Form::new().file("selfie", text).body();
    let cases = [
        (
            "wrong credentials, no form",
            (garbage(unknown), "INVALID_CREDENTIALS"),
        ),
        ("a disabled app, no form", (garbage(DISABLED), "APP_DISABLED")),
        ("no form", (garbage(APP), "MALFORMED_REQUEST")),
        (
            "a form that ends early, without a photo",
            (
                request(
                    BIOMETRIC,
                    Some(Form::CONTENT_TYPE),
                    &unfinished[..unfinished.len() - 4],
                ),
                "MALFORMED_REQUEST",
            ),
        ),
        (
            "no photo, and a selfie that is not an image",
            (form(Form::new().file("selfie", text)), "MISSING_FIELD"),
        ),
        (
            "a bad option, and files that are not images",
            (
                form(Form::pair(text, text).text("image_multiface", "maybe")),
                "INVALID_PARAMETER",
            ),
        ),
        (
            "an unknown profile, and an image that is too small",
            (
                form(Form::pair(&small, &good).text("profile", "lax")),
                "INVALID_PARAMETER",
            ),
        ),
        (
            "a selfie that is too small, and a photo that is not an image",
            (form(Form::pair(&small, text)), "IMAGE_TOO_SMALL"),
        ),
        (
            "a selfie that is not an image, and a photo that is too small",
            (form(Form::pair(text, &small)), "UNSUPPORTED_IMAGE_FORMAT"),
        ),
        (
            "a good selfie, and a photo that is too small",
            (form(Form::pair(&good, &small)), "IMAGE_TOO_SMALL"),
        ),
    ];
    for_each(cases, |(bytes, code)| {
        ensure_eq!(service.send(&bytes)?.json()?.text("error.code")?, code);
        Ok(())
    })
}

/// A client that has announced a large body and sent none of it learns what is wrong, and that it need not send it.
fn before_the_body(service: &Service) -> Outcome {
    let declared = |app: App, length: usize, more: &str| {
        let content_type = Form::CONTENT_TYPE;
        let headers = format!(
            "{}Content-Type: {content_type}\r\nContent-Length: {length}\r\n{more}",
            app.headers()
        );
        head(BIOMETRIC, &headers)
    };
    let wrong = App {
        key: WRONG_KEY,
        ..APP
    };
    for (app, length, status) in [
        (wrong, MAX_BODY, 401),
        (DISABLED, MAX_BODY, 403),
        (APP, MAX_BODY + 1, 413),
    ] {
        for expect in ["", "Expect: 100-continue\r\n"] {
            let mut connection = service.connect()?;
            connection.send(&declared(app, length, expect))?;
            // It fails where `100 Continue` comes first.
            let response = connection.response()?;
            response.expect(status)?;
            ensure!(is_last(&response), "{response:?}");
            connection.finish()?;
            ensure!(connection.is_closed()?, "the connection stays open");
        }
    }
    // Who is let in is asked for the body.
    let form = pair()?;
    let mut connection = service.connect()?;
    let headers = format!("{}Expect: 100-continue\r\n", APP.headers());
    connection.send(&form.head(BIOMETRIC, &headers))?;
    connection.wait_for_continue()?;
    connection.send(&form.body())?;
    expect_both(&connection.response()?)
}

fn keep_alive(service: &Service) -> Outcome {
    let form = Form::new().file("selfie", &selfie()?);
    let good = form.request(LIVENESS, &APP.headers());
    let empty = Form::new().request(LIVENESS, &APP.headers());
    let small = Form::new().file("selfie", &flat(20, 20)?).body();
    let in_chunks = [chunked_head(LIVENESS).as_bytes(), &chunked(&small)].concat();
    let requests = [
        (good.clone(), 200),
        (form.request(LIVENESS, ""), 401),
        (empty.clone(), 400),
        (in_chunks, 422),
    ];
    let mut connection = service.connect()?;
    for (request, status) in requests.iter().chain(&requests) {
        connection.send(&request)?;
        let response = connection.response()?;
        response.expect(*status)?;
        ensure!(!is_last(&response), "{response:?}");
    }
    // The second one is sent before the first has its response.
    connection.send(&[empty, good].concat())?;
    connection.response()?.expect(400)?;
    connection.response()?.expect(200)
}

/// Whatever the response, and only an id that is fit for a header.
fn correlation(service: &Service) -> Outcome {
    let form = Form::new().file("selfie", &selfie()?);
    let longest = "x".repeat(128);
    for (id, expected) in [
        ("client-id 7", Some("client-id 7")),
        (longest.as_str(), Some(longest.as_str())),
        (&format!("{longest}x"), None),
        ("caf\u{e9}", None),
    ] {
        let header = format!("X-Request-ID: {id}\r\n");
        for (path, credentials, status) in [
            (LIVENESS, APP.headers(), 200),
            (LIVENESS, String::new(), 401),
            ("/nowhere", String::new(), 404),
        ] {
            let response = service.send(&form.request(path, &format!("{credentials}{header}")))?;
            response.expect(status)?;
            ensure_eq!(response.header("x-correlation-id"), expected);
        }
    }
    ensure_eq!(service.get("/healthz")?.header("x-correlation-id"), None);
    Ok(())
}

fn findings(service: &Service) -> Outcome {
    let found = |response: &Response| response.header("x-likeness-findings").map(str::to_owned);
    let biometric = service.post(BIOMETRIC, &pair()?)?;
    let details = biometric.content()?.list("response_data.decision.details")?;
    let codes: Result<Vec<_>, _> = details
        .iter()
        .map(|line| line.text("code").map(str::to_owned))
        .collect();
    let codes = Some(codes?.join(",")).filter(|codes| !codes.is_empty());
    ensure_eq!(found(&biometric), codes);

    let liveness = service.post(LIVENESS, &Form::new().file("selfie", &selfie()?))?;
    let shows_face = !liveness
        .content()?
        .list("response_data.faces_predicted")?
        .is_empty();
    let first = found(&liveness).and_then(|codes| codes.split(',').next().map(str::to_owned));
    ensure_eq!(
        first.as_deref() == Some("NO_FACE_IN_SELFIE"),
        !shows_face,
        "{liveness:?}"
    );

    let failure = service.post(LIVENESS, &Form::new())?;
    failure.expect(400)?;
    ensure_eq!(found(&failure), None);
    Ok(())
}
