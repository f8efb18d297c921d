//! The main job on whichever machine: the real binary, over real HTTP, with the pack that set-up could get and with images of
//! packages. Nothing here is skipped: without a pack or the images the suite fails and names what brings them.
//!
//! The pack is that of `LIKENESS_PACK`, else the default one, else `registry-1`. What is checked holds with each of them.

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;

use image::{DynamicImage, ImageFormat, imageops::FilterType};
use likeness::packs::{DEFAULT_PACK, StoreSearch};
use likeness_testing::http::{Form, Json, Response};
use likeness_testing::{Failed, Outcome, Suite, ensure, ensure_eq, for_each, workspace};

use support::process::Process;
use support::report::{number, report, succeeds};
use support::responses::{OPTIMAL, follows_from_its_numbers};
use support::server::{APP, Server, WRONG_KEY};
use support::storage::{Storage, text};

mod support;

const BIOMETRIC: &str = "/v0.2/biometric-verification";
const LIVENESS: &str = "/v0.2/liveness-verification";

/// Two images of one person, from two occasions.
const GENUINE: (&str, &str) = ("obama.jpg", "obama2.jpg");
/// Images of two people.
const IMPOSTORS: [(&str, &str); 2] = [("obama.jpg", "biden.jpg"), ("astronaut.png", "obama.jpg")];
/// A cup.
const NO_FACE: &str = "coffee.png";

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test("the_service_names_its_pack", information);
    suite.test("images_of_one_person_match_and_of_two_do_not", matches);
    suite.test("a_live_selfie_is_live", live);
    suite.test("an_image_without_a_face_says_so", no_face);
    suite.test("boxes_lie_where_the_faces_are", boxes);
    suite.test(
        "of_several_faces_in_a_photo_the_best_match_counts_where_asked_for",
        multiface,
    );
    suite.test("each_image_format_is_accepted", formats);
    suite.test("bad_files_and_credentials_are_refused", errors);
    suite.test("a_verification_is_in_the_audit_log", audit);
    suite.test("a_quota_ends_where_it_should", quota);
    suite.test("a_changed_pack_is_reloaded", reload);
    suite.test("an_evaluation_of_a_few_pairs_has_no_error", evaluation);
    let code = suite.run();
    SERVER.get().map(|server| server.as_ref().map(Server::kill));
    code
}

/// The pack, loaded and so verified whole.
fn pack() -> Result<&'static likeness::packs::Pack, Failed> {
    static PACK: OnceLock<Result<likeness::packs::Pack, String>> = OnceLock::new();
    let load = || {
        let named = std::env::var("LIKENESS_PACK")
            .ok()
            .filter(|name| !name.is_empty());
        let names = named.map_or_else(
            || vec![DEFAULT_PACK.to_owned(), "registry-1".to_owned()],
            |name| vec![name],
        );
        let store = StoreSearch::new().find().map_err(|error| error.to_string())?;
        let mut loaded = names.iter().map(|name| store.load(name));
        loaded.find_map(Result::ok).ok_or_else(|| {
            format!(
                "{} has none of {names:?} whole: `scripts/setup.py models` brings one",
                store.folder().display()
            )
        })
    };
    PACK.get_or_init(load).as_ref().map_err(Failed::from)
}

fn pack_name() -> Result<&'static str, Failed> {
    Ok(&pack()?.manifest().name)
}

fn image_path(name: &str) -> Result<PathBuf, Failed> {
    let path = workspace().join(".setup/images").join(name);
    ensure!(
        path.is_file(),
        "there is no {}: `scripts/setup.py images` brings it",
        path.display()
    );
    Ok(path)
}

fn bytes(name: &str) -> Result<Vec<u8>, Failed> {
    Ok(std::fs::read(image_path(name)?)?)
}

fn pair((selfie, photo): (&str, &str)) -> Result<Form, Failed> {
    Ok(Form::pair(&bytes(selfie)?, &bytes(photo)?))
}

static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();

fn server() -> Result<&'static Server, Failed> {
    let pack = pack_name()?;
    let start = || {
        let started = Server::start(|command| {
            command.args(["--workers", "2", "--pack", pack]);
        });
        started.map_err(|failure| failure.message().unwrap_or("it did not start").to_owned())
    };
    SERVER.get_or_init(start).as_ref().map_err(Failed::from)
}

/// The codes of the decision's lines.
fn codes(body: &Json) -> Result<Vec<String>, Failed> {
    let details = body.list("response_data.decision.details")?;
    details
        .iter()
        .map(|line| Ok(line.text("code")?.to_owned()))
        .collect()
}

fn verified(form: &Form) -> Result<Json, Failed> {
    let response = server()?.post(BIOMETRIC, form)?;
    response.expect(200)?;
    let body = response.json()?;
    follows_from_its_numbers(&body, OPTIMAL)?;
    Ok(body)
}

fn information() -> Outcome {
    let info = server()?.get("/info")?.json()?;
    ensure_eq!(info.text("pack")?, pack_name()?);
    ensure!(
        server()?.ready.contains(&format!("(pack {} ", pack_name()?)),
        "{}",
        server()?.ready
    );
    Ok(())
}

/// Whether the faces of two images match; neither is doubtful.
fn is_match(form: &Form) -> Result<bool, Failed> {
    let body = verified(form)?;
    let confidence = body.number("response_data.biometric.face_match_confidence")?;
    let fails = codes(&body)?.iter().any(|code| code == "FAILED_FACE_MATCH");
    ensure!(
        !(0.2..=0.8).contains(&confidence),
        "a match confidence of {confidence} is doubtful"
    );
    ensure_eq!(fails, confidence < 0.2);
    Ok(!fails)
}

fn matches() -> Outcome {
    ensure!(is_match(&pair(GENUINE)?)?, "{GENUINE:?} do not match");
    ensure!(
        is_match(&pair(("obama2.jpg", "obama3.jpg"))?)?,
        "the second and third image do not match"
    );
    for impostors in IMPOSTORS {
        ensure!(!is_match(&pair(impostors)?)?, "{impostors:?} match");
    }
    // A live genuine pair passes as a whole.
    ensure_eq!(
        verified(&pair(GENUINE)?)?.number("response_data.decision.reject_score")?,
        0.0
    );
    Ok(())
}

fn live() -> Outcome {
    for name in ["obama.jpg", "obama2.jpg", "biden.jpg"] {
        let response = server()?.post(LIVENESS, &Form::new().file("selfie", &bytes(name)?))?;
        response.expect(200)?;
        ensure_eq!(
            response.json()?.number("response_code")?,
            0.0,
            "{name}: {response:?}"
        );
    }
    Ok(())
}

fn no_face() -> Outcome {
    let body = verified(&pair((NO_FACE, GENUINE.0))?)?;
    ensure_eq!(codes(&body)?, ["NO_FACE_IN_SELFIE"]);
    let body = verified(&pair((GENUINE.0, NO_FACE))?)?;
    ensure_eq!(codes(&body)?, ["NO_FACE_IN_IMAGE"]);
    Ok(())
}

/// Left, top, width and height of a face in pixels.
type Bounds = [f64; 4];

fn bounds(face: &Json) -> Result<Bounds, Failed> {
    let numbers = ["top_left.x", "top_left.y", "delta.x", "delta.y"].map(|path| face.number(path));
    let [left, top, width, height] = numbers;
    Ok([left?, top?, width?, height?])
}

fn overlap(a: Bounds, b: Bounds) -> f64 {
    let shared = |axis: usize| {
        let end = (a[axis] + a[axis + 2]).min(b[axis] + b[axis + 2]);
        (end - a[axis].max(b[axis])).max(0.0)
    };
    let both = shared(0) * shared(1);
    both / (a[2] * a[3] + b[2] * b[3] - both)
}

/// Means of what YuNet and CenterFace find, rounded.
const FACES: [(&str, Bounds); 4] = [
    ("obama.jpg", [373.0, 82.0, 238.0, 338.0]),
    ("obama2.jpg", [199.0, 229.0, 276.0, 403.0]),
    ("biden.jpg", [426.0, 166.0, 282.0, 405.0]),
    ("astronaut.png", [182.0, 61.0, 87.0, 115.0]),
];

fn boxes() -> Outcome {
    for_each(FACES.map(|face| (face.0, face)), |(name, expected)| {
        let body = verified(&pair((name, GENUINE.0))?)?;
        let found = body.list("response_data.biometric.selfie.faces_predicted")?;
        ensure_eq!(found.len(), 1, "faces");
        let overlap = overlap(bounds(&found[0])?, expected);
        ensure!(
            overlap >= 0.8,
            "the box {:?} overlaps {expected:?} by {overlap}",
            bounds(&found[0])?
        );
        Ok(())
    })
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Result<Vec<u8>, Failed> {
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(image.to_rgb8()).write_to(&mut bytes, format)?;
    Ok(bytes.into_inner())
}

/// Two people beside each other, the other one larger.
fn two_people() -> Result<Vec<u8>, Failed> {
    let open = |name: &str, height: u32| -> Result<DynamicImage, Failed> {
        let image = image::load_from_memory(&bytes(name)?)?;
        Ok(image.resize(u32::MAX, height, FilterType::Triangle))
    };
    let (other, one) = (open("biden.jpg", 1600)?, open("obama2.jpg", 600)?);
    let mut both = image::RgbImage::new(other.width() + one.width(), 1600);
    image::imageops::replace(&mut both, &other.to_rgb8(), 0, 0);
    image::imageops::replace(&mut both, &one.to_rgb8(), i64::from(other.width()), 0);
    encoded(&both.into(), ImageFormat::Jpeg)
}

fn multiface() -> Outcome {
    let form = Form::pair(&bytes("obama.jpg")?, &two_people()?);
    let largest = verified(&form)?;
    let found = codes(&largest)?;
    for code in ["FAILED_FACE_MATCH", "MULTIPLE_FACES_IN_IMAGE"] {
        ensure!(found.iter().any(|other| other == code), "no {code} in {found:?}");
    }
    let best = verified(&form.text("image_multiface", "true"))?;
    ensure_eq!(
        best.list("response_data.biometric.image.faces_predicted")?.len(),
        2
    );
    let found = codes(&best)?;
    ensure!(!found.iter().any(|code| code == "FAILED_FACE_MATCH"), "{found:?}");
    Ok(())
}

fn formats() -> Outcome {
    let image = image::load_from_memory(&bytes(GENUINE.0)?)?;
    let formats = [
        ("jpeg", ImageFormat::Jpeg),
        ("png", ImageFormat::Png),
        ("webp", ImageFormat::WebP),
        ("bmp", ImageFormat::Bmp),
        ("tiff", ImageFormat::Tiff),
        ("gif", ImageFormat::Gif),
    ];
    for_each(formats, |format| {
        let form = Form::pair(&encoded(&image, format)?, &bytes(GENUINE.1)?);
        ensure!(is_match(&form)?, "no match");
        Ok(())
    })
}

fn errors() -> Outcome {
    let server = server()?;
    let selfie = bytes(GENUINE.0)?;
    let text = server.post(LIVENESS, &Form::new().file("selfie", b"no image"))?;
    text.expect_code(415, "UNSUPPORTED_IMAGE_FORMAT")?;
    let half = server.post(LIVENESS, &Form::new().file("selfie", &selfie[..selfie.len() / 2]))?;
    half.expect_code(422, "CORRUPT_IMAGE")?;
    let form = Form::new().file("selfie", &selfie);
    ensure_eq!(server.send(&form.request(LIVENESS, ""))?.status, 401);
    let wrong = format!("app_id: {}\r\napp_key: {WRONG_KEY}\r\n", APP.id);
    ensure_eq!(server.send(&form.request(LIVENESS, &wrong))?.status, 401);
    ensure_eq!(server.get("/no-such-path")?.status, 404);
    Ok(())
}

fn serve(storage: &Storage) -> Result<Server, Failed> {
    let pack = pack_name()?;
    storage.serve(|command| {
        command.args(["--pack", pack]);
    })
}

/// A storage with an app, its headers, and its service.
fn with_app(more: &[&str]) -> Result<(Storage, String, Server), Failed> {
    let storage = Storage::new()?;
    let made = storage.json(&[&["create", "acme"], more].concat())?;
    let headers = format!("app_id: acme\r\napp_key: {}\r\n", text(&made, "key")?);
    let server = serve(&storage)?;
    Ok((storage, headers, server))
}

fn audit() -> Outcome {
    let (storage, headers, server) = with_app(&[])?;
    let response = server.send(&pair(GENUINE)?.request(BIOMETRIC, &headers))?;
    response.expect(200)?;
    server.terminate()?;
    ensure!(server.wait()?.success(), "{}", server.log.text());
    let verified = Process::run(&mut storage.command(&["audit", "verify", "--from", "files"]))?;
    ensure!(verified.code == Some(0), "{verified:?}");
    let exported = Process::run(&mut storage.command(&["audit", "export", "--since", "2020-01-01"]))?;
    ensure!(exported.code == Some(0), "{exported:?}");
    let records = exported
        .stdout
        .lines()
        .filter(|line| line.contains(response.id().unwrap_or_default()));
    let records: Vec<&str> = records.collect();
    ensure!(
        records.len() == 1 && records[0].contains(pack_name()?) && records[0].contains("acme"),
        "{exported:?}"
    );
    Ok(())
}

fn quota() -> Outcome {
    let (_storage, headers, server) = with_app(&["--daily-quota", "2"])?;
    let selfie = Form::new().file("selfie", &bytes(GENUINE.0)?);
    let ask = || -> Result<Response, Failed> { server.send(&selfie.request(LIVENESS, &headers)) };
    let statuses = [ask()?, ask()?, ask()?].map(|response| response.status);
    ensure_eq!(statuses, [200, 200, 403]);
    Ok(())
}

/// Writes the pack under another name, in a version, beside its models.
fn publish(folder: &Path, version: &str) -> Outcome {
    let manifest = pack()?.manifest();
    let home = workspace().join("models").join(&manifest.name);
    let original = std::fs::read_to_string(home.join("pack.toml"))?;
    let mut lines: Vec<String> = original.lines().map(str::to_owned).collect();
    for (key, value) in [("name", "smoke"), ("version", version)] {
        let line = lines
            .iter_mut()
            .find(|line| line.starts_with(&format!("{key} = ")));
        *line.ok_or("no such line")? = format!("{key} = \"{value}\"");
    }
    let new = folder.join("pack.new");
    std::fs::write(&new, lines.join("\n"))?;
    Ok(std::fs::rename(new, folder.join("pack.toml"))?)
}

fn reload() -> Outcome {
    let folder = tempfile::tempdir()?;
    for name in pack()?.manifest().models.keys() {
        std::fs::write(folder.path().join(format!("{name}.onnx")), pack()?.model(name)?)?;
    }
    if let Some(cohort) = pack()?.cohort() {
        std::fs::write(folder.path().join("cohort.bin"), cohort)?;
    }
    publish(folder.path(), "1")?;
    let server = Server::start(|command| {
        command.args(["--workers", "1", "--admin-listen", "127.0.0.1:0", "--pack"]);
        command
            .arg(folder.path())
            .env("LIKENESS__RELOAD__CHECK_SECONDS", "0");
    })?;
    let before = server.post(BIOMETRIC, &pair(GENUINE)?)?.content()?;
    publish(folder.path(), "2")?;
    let reloaded = server.operate("POST", "/admin/reload", "")?.json()?;
    ensure_eq!(
        (reloaded.text("version")?, reloaded.text("previous.version")?),
        ("2", "1")
    );
    ensure_eq!(server.post(BIOMETRIC, &pair(GENUINE)?)?.content()?, before);
    server.terminate()?;
    ensure!(server.wait()?.success(), "{}", server.log.text());
    Ok(())
}

fn evaluation() -> Outcome {
    let folder = tempfile::tempdir()?;
    let (list, out) = (folder.path().join("pairs.csv"), folder.path().join("out"));
    let rows = [
        (GENUINE, 1),
        (("obama.jpg", "obama3.jpg"), 1),
        (("obama2.jpg", "obama3.jpg"), 1),
        (IMPOSTORS[0], 0),
        (IMPOSTORS[1], 0),
        (("astronaut.png", "biden.jpg"), 0),
    ];
    let rows = rows
        .map(|((left, right), label)| format!("{left},{right},{label}\n"))
        .concat();
    std::fs::write(&list, format!("left,right,label\n{rows}"))?;
    let images = image_path(NO_FACE)?;
    let root = images.parent().ok_or("a folder")?;
    let [list, root, out_name] = [&list, root, &out].map(|path| path.display().to_string());
    let command = [
        "eval",
        "match",
        "--pack",
        pack_name()?,
        "--pairs",
        &list,
        "--root",
        &root,
        "--out",
        &out_name,
    ];
    succeeds(command)?;
    let report = report(&out)?;
    ensure_eq!(number(&report, "/comparisons/genuine")?, 3.0);
    ensure_eq!(number(&report, "/comparisons/impostor")?, 3.0);
    // Every genuine pair is more alike than any impostor pair.
    let scores = std::fs::read_to_string(out.join("scores.csv"))?;
    let similarities = |label: &str| -> Result<Vec<f64>, Failed> {
        let columns = scores
            .lines()
            .skip(1)
            .map(|line| line.split(',').collect::<Vec<_>>());
        let of_label = columns.filter(|columns| columns.get(2) == Some(&label));
        of_label
            .map(|columns| Ok(columns.get(3).ok_or("no similarity")?.parse()?))
            .collect()
    };
    let lowest = similarities("1")?.into_iter().fold(f64::MAX, f64::min);
    let highest = similarities("0")?.into_iter().fold(f64::MIN, f64::max);
    ensure!(
        lowest > highest + 0.2,
        "the lowest genuine similarity is {lowest}, the highest of impostors {highest}"
    );
    Ok(())
}
