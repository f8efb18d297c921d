//! HEIC and AVIF through the real program: decoded by the system's libheif where the setting says so, refused elsewhere.
//!
//! Files are made by `heif-enc`, of Debian's package `libheif-examples`.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use likeness_testing::http::{Form, Response};
use likeness_testing::{Failed, Outcome, Suite, ensure, ensure_eq, has_models, program, shared};

use support::image;
use support::process::{Process, likeness};
use support::server::Server;

mod support;

const SYSTEM: [&str; 2] = ["--set", "imaging.heif=system"];
const BIOMETRIC: &str = "/v0.2/biometric-verification";

/// Two images of one person, below `shared/data`.
const SELFIE: &str = "faces/img2.jpg";
const PHOTO: &str = "faces/img11.jpg";

type Test = fn(&Files) -> Outcome;

fn main() -> ExitCode {
    let mut suite = Suite::new();
    let needed = || {
        let shared = shared()
            .filter(|_| has_models())
            .ok_or("needs ../shared and models")?;
        Ok((shared, program("heif-enc")?))
    };
    let tests: [(&str, Test); 4] = [
        ("verify_judges_them_as_the_jpeg", verify),
        ("the_service_judges_them_as_the_jpeg", serve),
        ("a_damaged_file_costs_one_request", damaged),
        ("doctor_says_whether_they_are_decoded", doctor),
    ];
    for (name, test) in tests {
        suite.with(name, needed(), move |(shared, encoder)| {
            test(&Files::make(shared, &encoder)?)
        });
    }
    suite.run()
}

/// One image in three formats.
struct Files {
    shared: PathBuf,
    folder: tempfile::TempDir,
}

impl Files {
    fn make(shared: PathBuf, encoder: &Path) -> Result<Self, Failed> {
        let folder = tempfile::tempdir()?;
        let source = shared.join("data").join(SELFIE);
        for name in ["selfie.heic", "selfie.avif"] {
            let status = Command::new(encoder)
                .args(["-q", "90"])
                .args(name.ends_with("avif").then_some("-A"))
                .arg("-o")
                .args([&folder.path().join(name), &source])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()?;
            ensure!(status.success(), "heif-enc: {status}");
        }
        Ok(Self { shared, folder })
    }

    fn all(&self) -> [PathBuf; 3] {
        let made = |name| self.folder.path().join(name);
        let source = self.shared.join("data").join(SELFIE);
        [source, made("selfie.heic"), made("selfie.avif")]
    }

    fn photo(&self) -> PathBuf {
        self.shared.join("data").join(PHOTO)
    }
}

fn verify(files: &Files) -> Outcome {
    for file in files.all() {
        let ended = Process::run(
            likeness()
                .arg("verify")
                .args([&file, &files.photo()])
                .args(SYSTEM),
        )?;
        ensure!(
            ended.code == Some(0) && ended.stdout.starts_with("PASS"),
            "{ended:?}"
        );
    }
    let [_, heic, avif] = files.all();
    for (file, format) in [(heic, "HEIC"), (avif, "AVIF")] {
        let ended = Process::run(likeness().arg("verify").args([&files.photo(), &file]))?;
        ensure_eq!(
            (ended.code, ended.stderr.trim_end()),
            (
                Some(1),
                format!(
                    "likeness: photo: {format} is not supported: send JPEG, PNG, WebP, BMP, TIFF or GIF; it is decoded where \
                     imaging.heif = \"system\""
                )
                .as_str()
            )
        );
    }
    Ok(())
}

fn start(arguments: &[&str]) -> Result<Server, Failed> {
    Server::start(|command| {
        command.args(["--workers", "1"]).args(arguments);
    })
}

fn post(server: &Server, selfie: &[u8], photo: &[u8]) -> Result<Response, Failed> {
    server.post(BIOMETRIC, &Form::pair(selfie, photo))
}

fn serve(files: &Files) -> Outcome {
    let (on, off) = (start(&SYSTEM)?, start(&[])?);
    let photo = image(&files.shared, PHOTO)?;
    let mut confidences = Vec::new();
    for file in files.all() {
        let selfie = std::fs::read(&file)?;
        let body = post(&on, &selfie, &photo)?.json()?;
        let data = "response_data";
        ensure!(
            body.list(&format!("{data}.decision.details"))?.is_empty(),
            "{body:?}"
        );
        confidences.push(body.number(&format!("{data}.biometric.face_match_confidence"))?);
        if file.extension().is_some_and(|extension| extension != "jpg") {
            let refused = post(&off, &selfie, &photo)?;
            refused.expect_code(415, "UNSUPPORTED_IMAGE_FORMAT")?;
            ensure!(refused.text().contains("imaging.heif"), "{}", refused.text());
        }
    }
    let near = confidences
        .iter()
        .all(|found| (found - confidences[0]).abs() < 0.02);
    ensure!(near, "{confidences:?}");
    // As a phone has written it.
    let phone = image(&files.shared, "awkward/phone.heic")?;
    post(&on, &phone, &photo)?.expect(200)
}

fn damaged(files: &Files) -> Outcome {
    let server = start(&SYSTEM)?;
    let photo = image(&files.shared, PHOTO)?;
    let [_, heic, avif] = files.all();
    for file in [heic, avif] {
        let whole = std::fs::read(&file)?;
        let mut altered = whole.clone();
        let middle = altered.len() / 2;
        altered[middle..].fill(0xA5);
        for bad in [&whole[..whole.len() - 100], &altered] {
            let response = post(&server, bad, &photo)?;
            // A codec may conceal what it cannot decode.
            if response.status != 200 {
                response.expect_code(422, "CORRUPT_IMAGE")?;
            }
        }
        post(&server, &whole, &photo)?.expect(200)?;
    }
    Ok(())
}

fn doctor(_: &Files) -> Outcome {
    let said = |arguments: &[&str]| {
        let ended = Process::run(likeness().arg("doctor").args(arguments))?;
        let line = ended.stdout.lines().find(|line| line.contains("HEIC and AVIF"));
        line.map(str::to_owned)
            .ok_or_else(|| Failed::from(format!("{ended:?}")))
    };
    let (on, off) = (said(&SYSTEM)?, said(&[])?);
    ensure!(
        on.starts_with("  ok    HEIC and AVIF: decoded by libheif 1."),
        "{on}"
    );
    ensure!(
        off.starts_with("  ok    HEIC and AVIF: refused, imaging.heif = \"off\"; there is libheif 1."),
        "{off}"
    );
    ensure!(on.contains("HEIC: ") && on.contains("AVIF: "), "{on}");
    Ok(())
}
