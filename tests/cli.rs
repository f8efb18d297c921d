//! The command line: the real binary with the real models on real pictures.

use std::ffi::OsString;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use likeness::packs::{DEFAULT_PACK, Manifest};
use likeness_testing::http::{Connection, Form, Json, Response, flat};
use likeness_testing::{Failed, Outcome, Suite, ensure, workspace};

#[path = "cli/annotate.rs"]
mod annotate;
#[path = "cli/completions.rs"]
mod completions;
mod support;

use support::process::{Ended, Process, likeness};
use support::responses::{
    OPTIMAL, SAME_PERSON, SAME_PERSON_BODY, STRICT, assert_body, follows_from_its_numbers,
};
use support::server::Server;
use support::{captures, for_each};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test("usage_is_told_and_ends_with_2", usage);
    suite.test(
        "a_provider_that_nobody_knows_is_an_error_that_names_those_that_are_known",
        provider,
    );
    suite.with_shared_and_models("verify_ends_with_a_code_for_each_outcome", verify_codes);
    suite.with_shared_and_models("verify_json_is_the_body_of_the_service", verify_json);
    suite.with_shared_and_models("verify_multiface_takes_the_best_of_all_faces", verify_multiface);
    suite.with_shared_and_models("verify_tells_what_is_wrong_with_a_file", verify_files);
    suite.with_shared_and_models("liveness_with_and_without_threshold", liveness);
    suite.with_models("doctor_finds_all_well", doctor_well);
    suite.with_any_models("doctor_says_what_is_wrong_and_what_to_do", doctor_ill);
    suite.with_any_models("onnx_runtime_reports_nothing_to_its_maker", silence);
    suite.with_models("models_that_are_not_the_packs_are_not_used", altered_models);
    suite.with_any_models("serve_does_not_start_where_nobody_could_call", serve_refusals);
    suite.with_shared_and_models("serve_demo_prints_a_request_that_works", demo);
    suite.with_any_models(
        "serve_demo_prints_https_with_tls_and_warns_of_other_machines",
        demo_with_tls,
    );
    annotate::tests(&mut suite);
    completions::tests(&mut suite);
    suite.run()
}

fn run(arguments: &[&str]) -> Result<Ended, Failed> {
    Process::run(likeness().args(arguments))
}

/// Runs a command on pictures of the shared test data.
fn run_on(shared: &Path, arguments: &[&str], pictures: &[&str]) -> Result<Ended, Failed> {
    let pictures = pictures.iter().map(|name| shared.join("data").join(name));
    Process::run(likeness().args(arguments).args(pictures))
}

/// Where the tests' own store of models is.
fn store() -> Result<PathBuf, Failed> {
    let store =
        std::env::var_os("LIKENESS_MODELS").map_or_else(|| workspace().join("models/store"), PathBuf::from);
    Ok(std::path::absolute(store)?)
}

fn usage() -> Outcome {
    let cases: [(&[&str], &str); 9] = [
        (&[], "Usage"),
        (&["unknown"], "unrecognized subcommand 'unknown'"),
        (&["verify", "one.jpg"], "<PHOTO>"),
        (
            &["verify", "--profile", "lax", "a", "b"],
            "[possible values: permissive-v0, optimal-v0, strict-v0]",
        ),
        (
            &["liveness", "--threshold", "1.1", "a"],
            "must be a number from 0 to 1",
        ),
        (
            &["liveness", "--threshold", "-0.1", "a"],
            "must be a number from 0 to 1",
        ),
        (
            &["liveness", "--threshold", "nan", "a"],
            "must be a number from 0 to 1",
        ),
        (
            &["serve", "--listen", "nowhere"],
            "listen (set by --listen): invalid socket address syntax",
        ),
        (
            &["doctor", "--workers", "0"],
            "engine.workers (set by --workers): 0 is out of range: must be from 1 to 1024",
        ),
    ];
    for_each(
        cases.map(|case| (case.0.join(" "), case)),
        |(arguments, expected)| {
            let ended = run(arguments)?;
            ensure!(ended.code == Some(2), "{ended:?}");
            ensure!(
                ended.stdout.is_empty() && ended.stderr.contains(expected),
                "{ended:?}"
            );
            Ok(())
        },
    )?;
    let version = run(&["--version"])?;
    ensure!(
        version.code == Some(0) && version.stdout == format!("likeness {}\n", env!("CARGO_PKG_VERSION")),
        "{version:?}"
    );
    let help = run(&["--help"])?;
    ensure!(help.code == Some(0) && help.stderr.is_empty(), "{help:?}");
    for command in ["serve", "verify", "liveness", "doctor"] {
        ensure!(
            help.stdout.contains(command),
            "{command} is not in {}",
            help.stdout
        );
    }
    Ok(())
}

fn provider() -> Outcome {
    let commands: [&[&str]; 4] = [
        &["doctor"],
        &["verify", "a.jpg", "b.jpg"],
        &["liveness", "a.jpg"],
        &["serve"],
    ];
    for_each(commands.map(|command| (command[0], command)), |command| {
        for name in ["rocm", "CPU-and-more"] {
            let ended = run(&[command, &["--provider", name]].concat())?;
            ensure!(ended.code == Some(2) && ended.stdout.is_empty(), "{ended:?}");
            let expected = format!(
                "there is no execution provider '{name}': it must be one of cpu, openvino, cuda, tensorrt, coreml, directml"
            );
            ensure!(ended.stderr.contains(&expected), "{ended:?}");
        }
        Ok(())
    })
}

/// A person whose liveness is reviewed by `optimal-v0` and rejected by `strict-v0`, and whose match passes both.
const UNSURE: [&str; 2] = [
    "liveness/nuaa/live/0004_01_00_02_459.jpg",
    "liveness/nuaa/live/0004_01_00_01_176.jpg",
];

/// The numbers of the first line that `verify` prints: match, similarity where there is one, liveness.
fn readable(line: &str) -> Result<(&str, f64, Option<f64>, f64, &str), Failed> {
    if let Some(found) = captures("* match * (normalised similarity *), liveness *, profile *", line) {
        let [outcome, face_match, similarity, live, profile] = found.as_slice() else {
            return Err(format!("{line:?}").into());
        };
        return Ok((
            outcome.trim(),
            face_match.parse()?,
            Some(similarity.parse()?),
            live.parse()?,
            profile,
        ));
    }
    let found = captures("* match *, liveness *, profile *", line).ok_or_else(|| format!("{line:?}"))?;
    let [outcome, face_match, live, profile] = found.as_slice() else {
        return Err(format!("{line:?}").into());
    };
    Ok((outcome.trim(), face_match.parse()?, None, live.parse()?, profile))
}

fn verify_codes(shared: &Path) -> Outcome {
    /// What is run, and what comes of it.
    struct Case {
        profile: &'static str,
        pictures: [&'static str; 2],
        code: i32,
        outcome: &'static str,
        lines: &'static [&'static str],
    }
    let portrait = "faces/img11.jpg";
    let no_face = "awkward/Flag_of_the_Netherlands-16bit.png";
    let cases = [
        Case {
            profile: "optimal-v0",
            pictures: [SAME_PERSON.0, SAME_PERSON.1],
            code: 0,
            outcome: "PASS",
            lines: &[],
        },
        // The second face of the photo is worth a word, no more.
        Case {
            profile: "optimal-v0",
            pictures: ["faces/img11.jpg", "faces/couple.jpg"],
            code: 0,
            outcome: "WARNING",
            lines: &["  warning MULTIPLE_FACES_IN_IMAGE: Multiple faces detected in the photo image: 2"],
        },
        Case {
            profile: "optimal-v0",
            pictures: UNSURE,
            code: 3,
            outcome: "REVIEW",
            lines: &[
                "  review  FAILED_SELFIE_LIVENESS: Selfie liveness threshold failed: 0.4 < * (actual) < 0.6",
            ],
        },
        Case {
            profile: "strict-v0",
            pictures: UNSURE,
            code: 4,
            outcome: "REJECT",
            lines: &[
                "  reject  FAILED_SELFIE_LIVENESS: Selfie liveness threshold failed: 0.6 < * (actual) < 0.8",
            ],
        },
        Case {
            profile: "optimal-v0",
            pictures: ["faces/img2.jpg", "faces/img30.jpg"],
            code: 4,
            outcome: "REJECT",
            lines: &[
                "  reject  FAILED_FACE_MATCH: Faces do not match; threshold failed: 0.4 < * (actual) < 0.56",
            ],
        },
        Case {
            profile: "optimal-v0",
            pictures: ["groups/2008_001009.jpg", "groups/2008_001009.jpg"],
            code: 3,
            outcome: "REVIEW",
            lines: &[
                "  review  MULTIPLE_FACES_IN_SELFIE: Multiple faces detected in the selfie image: 2",
                "  warning MULTIPLE_FACES_IN_IMAGE: Multiple faces detected in the photo image: 2",
                "  warning SAME_IMAGE: Selfie and photo are the same image",
            ],
        },
        Case {
            profile: "permissive-v0",
            pictures: [no_face, portrait],
            code: 4,
            outcome: "REJECT",
            lines: &["  reject  NO_FACE_IN_SELFIE: No face detected in the selfie image"],
        },
    ];
    for_each(cases.map(|case| (case.pictures.join(" "), case)), |case| {
        let ended = run_on(shared, &["verify", "--profile", case.profile], &case.pictures)?;
        ensure!(
            ended.code == Some(case.code) && ended.stderr.is_empty(),
            "{ended:?}"
        );
        let mut lines = ended.stdout.lines();
        let (outcome, face_match, similarity, live, profile) = readable(lines.next().unwrap_or_default())?;
        ensure!(outcome == case.outcome && profile == case.profile, "{ended:?}");
        ensure!(
            similarity.is_some() != case.pictures.contains(&no_face),
            "{ended:?}"
        );
        for score in [face_match, live] {
            ensure!((0.0..=1.0).contains(&score), "{ended:?}");
        }
        let lines: Vec<&str> = lines.collect();
        let as_expected = lines.len() == case.lines.len()
            && lines
                .iter()
                .zip(case.lines)
                .all(|(line, expected)| captures(expected, line).is_some());
        ensure!(as_expected, "{lines:?} instead of {:?}", case.lines);
        for line in lines {
            if let Some(score) = captures("*threshold failed: * < * (actual)*", line) {
                let score: f64 = score[2].parse()?;
                ensure!(
                    score == face_match || score == live,
                    "{score} is in no first line: {ended:?}"
                );
            }
        }
        Ok(())
    })
}

fn verify_json(shared: &Path) -> Outcome {
    let pictures = [SAME_PERSON.0, SAME_PERSON.1];
    let ended = run_on(shared, &["verify", "--json"], &pictures)?;
    ensure!(ended.code == Some(0) && ended.stderr.is_empty(), "{ended:?}");
    let body = Json::parse(ended.stdout.as_bytes())?;
    assert_body(SAME_PERSON_BODY, ended.stdout.as_bytes());
    follows_from_its_numbers(&body, OPTIMAL)?;

    // What is printed for people has the same numbers.
    let for_people = run_on(shared, &["verify"], &pictures)?;
    let (_, face_match, _, live, _) = readable(for_people.stdout.trim_end())?;
    ensure!(
        face_match == body.number("response_data.biometric.face_match_confidence")?
            && live == body.number("response_data.biometric.selfie.faces_liveness")?,
        "{for_people:?}\n{body:?}"
    );

    // The code is that of the outcome, as without `--json`.
    for (profile, bounds, code) in [("optimal-v0", OPTIMAL, 3), ("strict-v0", STRICT, 4)] {
        let ended = run_on(shared, &["verify", "--json", "--profile", profile], &UNSURE)?;
        ensure!(ended.code == Some(code), "{ended:?}");
        follows_from_its_numbers(&Json::parse(ended.stdout.as_bytes())?, bounds)?;
    }
    Ok(())
}

fn verify_multiface(shared: &Path) -> Outcome {
    let pictures = ["faces/img11.jpg", "groups/selfie-many-people.jpg"];
    let faces = |ended: &Ended| -> Result<(usize, f64), Failed> {
        let body = Json::parse(ended.stdout.as_bytes())?;
        let data = body.at("response_data.biometric")?;
        Ok((
            data.list("image.faces_predicted")?.len(),
            data.number("face_match_confidence")?,
        ))
    };
    let one = run_on(shared, &["verify", "--json"], &pictures)?;
    let all = run_on(shared, &["verify", "--json", "--multiface"], &pictures)?;
    let ((one_face, of_largest), (all_faces, of_best)) = (faces(&one)?, faces(&all)?);
    ensure!(
        (one_face, all_faces) == (1, 6),
        "{one_face} and {all_faces} faces"
    );
    ensure!(of_largest < 0.2 && of_best > 0.85, "{of_largest} and {of_best}");
    ensure!((one.code, all.code) == (Some(4), Some(0)), "{one:?}\n{all:?}");
    Ok(())
}

fn verify_files(shared: &Path) -> Outcome {
    let folder = tempfile::tempdir()?;
    let absent = folder.path().join("absent.jpg");
    let large = folder.path().join("large.jpg");
    std::fs::File::create(&large)?.set_len(1 << 30)?;
    let small = folder.path().join("small.png");
    std::fs::write(&small, flat(20, 20)?)?;
    let data = |name: &str| shared.join("data").join(name);
    let good = data("faces/img11.jpg");
    // The file, what is said of it, and the code that `--json` has for it where it is a body.
    let cases = [
        (
            absent.clone(),
            format!("likeness: cannot read {}: *", absent.display()),
            None,
        ),
        (
            folder.path().to_owned(),
            format!("likeness: cannot read {}: *", folder.path().display()),
            None,
        ),
        (
            data("awkward-faces/text.jpg"),
            "likeness: {}: the file is not an image".to_owned(),
            Some("UNSUPPORTED_IMAGE_FORMAT"),
        ),
        (
            data("awkward-faces/empty.jpg"),
            "likeness: {}: the file is empty".to_owned(),
            Some("MISSING_FIELD"),
        ),
        (
            data("awkward/phone.heic"),
            "likeness: {}: HEIC is not supported: *".to_owned(),
            Some("UNSUPPORTED_IMAGE_FORMAT"),
        ),
        (
            data("awkward-faces/truncated_half.jpg"),
            "likeness: {}: the JPEG file is damaged: *".to_owned(),
            Some("CORRUPT_IMAGE"),
        ),
        // Far larger than what is read of it.
        (
            large,
            "likeness: {}: the file has 15728641 bytes, the limit is 15728640".to_owned(),
            Some("FILE_TOO_LARGE"),
        ),
        (
            data("awkward/65536-uint32-limit.png"),
            "likeness: {}: *65536x65536*".to_owned(),
            Some("IMAGE_TOO_LARGE"),
        ),
    ];
    for_each(
        cases.map(|case| (case.0.display().to_string(), case)),
        |(bad, said, code)| {
            for (role, field, files) in [
                ("selfie", "selfie", [&bad, &good]),
                ("photo", "image", [&good, &bad]),
            ] {
                let ended = Process::run(likeness().arg("verify").args(files))?;
                ensure!(ended.code == Some(1) && ended.stdout.is_empty(), "{ended:?}");
                let expected = said.replace("{}", role);
                ensure!(
                    captures(&expected, ended.stderr.trim_end()).is_some(),
                    "{ended:?} and not {expected}"
                );

                let ended = Process::run(likeness().args(["verify", "--json"]).args(files))?;
                ensure!(ended.code == Some(1), "{ended:?}");
                if let Some(code) = code {
                    let body = Json::parse(ended.stdout.as_bytes())?;
                    ensure!(body.text("error.code")? == code, "{ended:?}");
                    ensure!(
                        body.text("error.message")?.contains(&format!("`{field}`")),
                        "{ended:?}"
                    );
                    ensure!(ended.stderr.is_empty(), "{ended:?}");
                } else {
                    ensure!(ended.stdout.is_empty() && !ended.stderr.is_empty(), "{ended:?}");
                }
            }
            let ended = Process::run(likeness().arg("liveness").arg(&bad))?;
            ensure!(ended.code == Some(1), "{ended:?}");
            ensure!(
                captures(&said.replace("{}", "selfie"), ended.stderr.trim_end()).is_some(),
                "{ended:?}"
            );
            Ok(())
        },
    )?;
    // The sizes of the HTTP API do not hold here.
    let ended = Process::run(likeness().arg("verify").args([&small, &small]))?;
    ensure!(ended.code == Some(4), "{ended:?}");
    Ok(())
}

fn liveness(shared: &Path) -> Outcome {
    let (live, print, unsure) = (
        "faces/img11.jpg",
        "liveness/nuaa/print/0001_00_00_01_0.jpg",
        UNSURE[0],
    );
    let no_face = "awkward/Flag_of_the_Netherlands-16bit.png";
    let cases: [(&str, &[&str], i32, &str); 7] = [
        (live, &[], 0, "LIVE  liveness 0.*, threshold 0.6"),
        (print, &[], 4, "NOT LIVE  liveness 0.*, threshold 0.6"),
        (unsure, &[], 4, "NOT LIVE  liveness 0.*, threshold 0.6"),
        (
            unsure,
            &["--threshold", "0.3"],
            0,
            "LIVE  liveness 0.*, threshold 0.3",
        ),
        (
            live,
            &["--threshold", "1"],
            4,
            "NOT LIVE  liveness 0.*, threshold 1",
        ),
        (no_face, &[], 4, "NO FACE  liveness 0.0, threshold 0.6"),
        (
            no_face,
            &["--threshold", "0"],
            4,
            "NO FACE  liveness 0.0, threshold 0",
        ),
    ];
    for_each(
        cases.map(|case| (format!("{} {:?}", case.0, case.1), case)),
        |(name, options, code, said)| {
            let ended = run_on(shared, &[&["liveness"], options].concat(), &[name])?;
            ensure!(ended.code == Some(code) && ended.stderr.is_empty(), "{ended:?}");
            let line = ended.stdout.trim_end();
            let as_said = if said.contains('*') {
                captures(said, line).is_some()
            } else {
                line == said
            };
            ensure!(as_said, "{line:?} instead of {said:?}");

            let with_json = run_on(shared, &[&["liveness", "--json"], options].concat(), &[name])?;
            ensure!(with_json.code == Some(code), "{with_json:?}");
            let body = Json::parse(with_json.stdout.as_bytes())?;
            let response_code = if code == 0 { 0.0 } else { 2.0 };
            ensure!(body.number("response_code")? == response_code, "{with_json:?}");
            let score = body.number("response_data.faces_liveness")?;
            let printed = captures("*liveness *, threshold *", line).ok_or("no score")?[1];
            ensure!(printed.parse::<f64>()? == score, "{line:?} and {score}");
            Ok(())
        },
    )
}

/// Where it does report, it first writes down who it is, below the home folder.
fn silence() -> Outcome {
    let home = tempfile::tempdir()?;
    let mut command = likeness();
    // In CI it would be silent by itself.
    for name in [
        "CI",
        "GITHUB_ACTIONS",
        "TF_BUILD",
        "XDG_CACHE_HOME",
        "XDG_DATA_HOME",
    ] {
        command.env_remove(name);
    }
    let ended = Process::run(
        command
            .arg("doctor")
            .env("HOME", home.path())
            .env("ORT_DISABLE_TELEMETRY", "0"),
    )?;
    ensure!(ended.code == Some(0), "{ended:?}");
    let left: Vec<_> = std::fs::read_dir(home.path())?.collect();
    ensure!(left.is_empty(), "{left:?}");
    Ok(())
}

fn doctor_well() -> Outcome {
    let store = store()?;
    let ended = Process::run(likeness().args(["doctor", "--models"]).arg(&store))?;
    ensure!(ended.code == Some(0) && ended.stderr.is_empty(), "{ended:?}");
    let expected = [
        format!("likeness {}", env!("CARGO_PKG_VERSION")),
        format!("  ok    processor: {}*", std::env::consts::ARCH),
        "  ok    workers: * (processors and CPU quota of this process)".to_owned(),
        "  ok    ONNX Runtime: 1.* from *".to_owned(),
        "  ok    provider: cpu on CPU, f32".to_owned(),
        "  ok    models: pack open-2 * in *models/store, 7 models, checksums match".to_owned(),
        "  ok    self-test of yunet_n: passed, * ms".to_owned(),
        "  ok    self-test of face-reidentification-retail-0095: passed, * ms".to_owned(),
        "  ok    self-test of minifasnet_v2: passed, * ms".to_owned(),
        "  ok    self-test of minifasnet_v1se: passed, * ms".to_owned(),
        "  ok    self-test of zalo_minifasnet_v2: passed, * ms".to_owned(),
        "  ok    self-test of zalo_minifasnet_v1se: passed, * ms".to_owned(),
        "  ok    self-test of facenox_9820: passed, * ms".to_owned(),
        "  ok    HEIC and AVIF: refused, imaging.heif = \"off\"*".to_owned(),
        "  ok    memory: at most * MiB with * workers: the limit for a container".to_owned(),
        "No problem found.".to_owned(),
    ];
    // An older processor gets a note more.
    let lines: Vec<&str> = ended
        .stdout
        .lines()
        .filter(|line| !line.starts_with("  note"))
        .collect();
    let right = lines.len() == expected.len()
        && lines
            .iter()
            .zip(&expected)
            .all(|(line, expected)| captures(expected, line).is_some());
    ensure!(right, "{lines:#?}\ninstead of\n{expected:#?}");
    Ok(())
}

/// The lines of a report that say what is wrong, with their continuation.
fn complaints(report: &str) -> String {
    let mut complaints = String::new();
    let mut within = false;
    for line in report.lines() {
        within = line.starts_with("  FAIL") || (within && line.starts_with("        "));
        if within {
            complaints.push_str(line);
            complaints.push('\n');
        }
    }
    complaints
}

fn doctor_ill() -> Outcome {
    let folder = tempfile::tempdir()?;
    let empty = folder.path().display().to_string();
    let no_library = folder.path().join("libonnxruntime.so");
    let not_a_library = folder.path().join("notes.txt");
    std::fs::write(&not_a_library, "no library")?;
    let missing_model = folder.path().join("blobs").display().to_string();
    let arguments = |option: &str, value: &Path| [OsString::from(option), value.into()];
    let cases = [
        (
            "no library",
            (
                arguments("--ort-lib", &no_library),
                no_library.display().to_string(),
                ["--ort-lib", "make setup"],
            ),
        ),
        (
            "a file that is no library",
            (
                arguments("--ort-lib", &not_a_library),
                not_a_library.display().to_string(),
                ["--ort-lib", "make setup"],
            ),
        ),
        (
            "an empty store",
            (
                arguments("--models", Path::new(&empty)),
                missing_model.clone(),
                ["--models", "likeness models pull"],
            ),
        ),
        (
            "no store",
            (
                arguments("--models", &folder.path().join("absent")),
                folder.path().join("absent").display().to_string(),
                ["--models", "likeness models pull"],
            ),
        ),
    ];
    for_each(cases, |(arguments, named, to_do)| {
        let ended = Process::run(likeness().arg("doctor").args(&arguments))?;
        ensure!(ended.code == Some(1) && ended.stderr.is_empty(), "{ended:?}");
        ensure!(
            ended.stdout.ends_with("Problems found: see FAIL above.\n"),
            "{ended:?}"
        );
        let complaints = complaints(&ended.stdout);
        ensure!(
            complaints.contains(&named),
            "{named} is not named in {complaints:?}"
        );
        for to_do in to_do {
            ensure!(
                complaints.contains(to_do),
                "{to_do} is not told in {complaints:?}"
            );
        }
        ensure!(ended.stdout.contains("self-test: not run"), "{ended:?}");
        Ok(())
    })
}

/// One byte of one file is changed.
fn altered_models() -> Outcome {
    let folder = tempfile::tempdir()?;
    let blobs = folder.path().join("blobs/sha256");
    std::fs::create_dir_all(&blobs)?;
    for entry in std::fs::read_dir(store()?.join("blobs/sha256"))? {
        let path = entry?.path();
        std::fs::write(
            blobs.join(path.file_name().ok_or("a file without a name")?),
            std::fs::read(&path)?,
        )?;
    }
    let models = folder.path().display().to_string();
    let ended = run(&["doctor", "--models", &models])?;
    ensure!(ended.code == Some(0), "a copy of the store is as good: {ended:?}");

    let manifest = Manifest::builtin(DEFAULT_PACK).ok_or("no default pack")??;
    let altered = blobs.join(manifest.model_sha256("minifasnet_v2").ok_or("no such model")?);
    let mut bytes = std::fs::read(&altered)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&altered, bytes)?;
    let named = altered.display().to_string();
    let commands: [&[&str]; 4] = [
        &["doctor"],
        &["verify", "Cargo.toml", "Cargo.toml"],
        &["liveness", "Cargo.toml"],
        &["serve", "--demo", "--listen", "127.0.0.1:0"],
    ];
    for_each(commands.map(|command| (command[0], command)), |command| {
        let ended = run(&[command, &["--models", &models]].concat())?;
        ensure!(ended.code == Some(1), "{ended:?}");
        let said = format!("{}{}", complaints(&ended.stdout), ended.stderr);
        for expected in [
            named.as_str(),
            "expected SHA-256 ",
            "found ",
            "likeness models pull",
        ] {
            ensure!(said.contains(expected), "{expected:?} is not in {said:?}");
        }
        Ok(())
    })
}

fn serve_refusals() -> Outcome {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let taken = taken.local_addr().map(|address| (taken, address.to_string()))?;
    let folder = tempfile::tempdir()?;
    let file = |name: &str, text: &str| -> Result<String, Failed> {
        let path = folder.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path.display().to_string())
    };
    let with_file = |path: &str| vec!["--config".to_owned(), path.to_owned()];
    let secret = "Hk3-secret";
    let apps = "app-1:0123456789abcdef";
    let absent = folder.path().join("absent.toml").display().to_string();
    let no_toml = file("no.toml", &format!("[[apps]]\nid = \"a\"\nkey = \"{secret}\nx"))?;
    let unknown = file("unknown.toml", "[request_limits]\nfile_size = 1\n")?;
    let number = file("number.toml", "[[apps]]\nid = \"a\"\nkey = 12345678\n")?;
    let listen = |address: &str| vec!["--listen".to_owned(), address.to_owned()];
    let cases = [
        (
            "an app without a key",
            (
                "app-1",
                vec![],
                "LIKENESS_APPS: entry 1: must be `app_id:app_key`",
            ),
        ),
        (
            "an empty key",
            (
                "app-1:0123456789abcdef,app-2:",
                vec![],
                "LIKENESS_APPS: entry 2: the key is empty",
            ),
        ),
        (
            "an empty id",
            (":key", vec![], "LIKENESS_APPS: entry 1: the id is empty"),
        ),
        (
            "a key that can be guessed",
            (
                "app-1:0123456789abcdef,app-2:Hk3-secret",
                vec![],
                "LIKENESS_APPS: entry 2: the key has fewer than 16 characters; use a longer, random one (`allow_weak_keys = \
                 true` accepts it all the same)",
            ),
        ),
        (
            "an app twice",
            (
                "a:Hk3-secret-0123456,a:Hk3-secret-0123456",
                vec![],
                "LIKENESS_APPS: entry 2: duplicate id",
            ),
        ),
        (
            "a key alone",
            ("Hk3-secret", vec![], "LIKENESS_APPS: entry 1: must be"),
        ),
        ("no configuration", (apps, with_file(&absent), absent.as_str())),
        (
            "a configuration that is no TOML",
            (apps, with_file(&no_toml), no_toml.as_str()),
        ),
        (
            "a setting that is not known",
            (apps, with_file(&unknown), "file_size"),
        ),
        ("a key that is a number", (apps, with_file(&number), "key")),
        ("a port in use", (apps, listen(&taken.1), taken.1.as_str())),
    ];
    for_each(cases, |(apps, arguments, expected)| {
        let mut command = likeness();
        command.args(["serve", "--workers", "1"]);
        if !arguments.iter().any(|argument| argument == "--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        command.args(&arguments);
        if !apps.is_empty() {
            command.env("LIKENESS_APPS", apps);
        }
        command
            .env("LIKENESS_DATABASE_URL", "sqlite::memory:")
            .env("LIKENESS__DATA_FOLDER", folder.path().join("data"));
        let ended = Process::run(&mut command)?;
        ensure!(ended.code == Some(1) && ended.stdout.is_empty(), "{ended:?}");
        ensure!(ended.stderr.contains(expected), "{expected} is not in {ended:?}");
        ensure!(
            !ended.stderr.contains(secret) && !ended.stderr.contains("12345678"),
            "a key is in {ended:?}"
        );
        Ok(())
    })
}

/// With TLS the line has another scheme. An address that is written as IPv6 is none of this machine's own to the service.
fn demo_with_tls() -> Outcome {
    const MAPPED: &str = "[::ffff:127.0.0.1]:0";
    let folder = tempfile::tempdir()?;
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    std::fs::write(&certificate, issued.cert.pem())?;
    std::fs::write(&key, issued.signing_key.serialize_pem())?;
    let has_ipv6 = TcpListener::bind(MAPPED).is_ok();
    let mut cases = vec![("127.0.0.1:0", false)];
    if has_ipv6 {
        cases.push((MAPPED, true));
    }
    for (listen, is_open) in cases {
        let mut command = likeness();
        command
            .env("LIKENESS_MODELS", store()?)
            .env("LIKENESS__TLS__CERTIFICATE", &certificate)
            .env("LIKENESS__TLS__KEY", &key)
            .args(["serve", "--demo", "--workers", "1", "--listen", listen]);
        let server = Server::start_command(&mut command)?;
        server
            .stdout
            .wait_for("the last line", |line| line == "Press Ctrl-C to stop.")?;
        let printed = server.stdout.text();
        let line = format!(
            "  curl -sS https://{}/v0.2/biometric-verification ",
            server.address
        );
        ensure!(
            printed.contains(&line) && !printed.contains("http://") && printed.contains("--cacert"),
            "{printed}"
        );
        server.terminate()?;
        ensure!(server.wait()?.success(), "{}", server.log.text());
        let log = server.log.text();
        let warned = log.lines().any(|line| {
            line.contains("WARN") && line.contains("the demo app is reachable from other machines")
        });
        ensure!(warned == is_open, "{listen}: {log}");
    }
    Ok(())
}

/// Runs the printed line twice: by a shell function in place of curl, which gives its arguments as the shell sees
/// them, and by curl itself where there is one.
fn demo(shared: &Path) -> Outcome {
    // The line names pictures of whoever pastes it, in the working directory.
    let folder = tempfile::tempdir()?;
    let checkout = folder.path().to_owned();
    for (name, picture) in [("selfie.jpg", SAME_PERSON.0), ("photo.jpg", SAME_PERSON.1)] {
        std::fs::copy(shared.join("data").join(picture), checkout.join(name))?;
    }
    let mut command = likeness();
    command
        .current_dir(&checkout)
        .env("LIKENESS_MODELS", store()?)
        .args(["serve", "--demo", "--workers", "1", "--listen", "127.0.0.1:0"]);
    let server = Server::start_command(&mut command)?;
    ensure!(
        captures(
            &format!(
                "Likeness {} is ready on http://127.0.0.1:* (pack open-2 *, provider cpu on CPU, ONNX Runtime 1.*, 1 workers)",
                env!("CARGO_PKG_VERSION")
            ),
            &server.ready
        )
        .is_some(),
        "{}",
        server.ready
    );
    server
        .stdout
        .wait_for("the last line", |line| line == "Press Ctrl-C to stop.")?;
    let printed = server.stdout.text();
    let value = |name: &str| -> Result<String, Failed> {
        let line = printed.lines().find_map(|line| line.trim().strip_prefix(name));
        line.map(|value| value.trim().to_owned())
            .ok_or_else(|| format!("no {name} in {printed}").into())
    };
    let (id, key) = (value("app_id:")?, value("app_key:")?);
    ensure!(id == "demo" && key.len() == 32, "{printed}");
    let line = printed
        .lines()
        .find(|line| line.starts_with("  curl "))
        .ok_or_else(|| format!("no curl in {printed}"))?;

    let script = format!("curl() {{ printf '%s\\n' \"$@\"; }}\n{line}");
    let said = Process::run(Command::new("sh").args(["-c", &script]).current_dir(&checkout))?;
    let response = request_of(&said.stdout, &checkout, &server)?;
    assert_body(SAME_PERSON_BODY, &response.body);
    // The command line prints what the service answers, but for ids and times.
    let ended = run_on(shared, &["verify", "--json"], &[SAME_PERSON.0, SAME_PERSON.1])?;
    let verified = Json::parse(ended.stdout.as_bytes())?.without_meta();
    let answered = response.content()?;
    ensure!(verified == answered, "{verified:?}\ninstead of\n{answered:?}");

    let has_curl = Process::run(Command::new("sh").args(["-c", "command -v curl"]))?.code == Some(0);
    if has_curl {
        let ended = Process::run(Command::new("sh").args(["-c", line]).current_dir(&checkout))?;
        ensure!(ended.code == Some(0) && ended.stderr.is_empty(), "{ended:?}");
        let pasted = Json::parse(ended.stdout.as_bytes())?.without_meta();
        ensure!(pasted == answered, "{pasted:?}\ninstead of\n{answered:?}");
    }

    // The key is for whoever started it, and not for the log.
    server.terminate()?;
    ensure!(server.wait()?.success(), "{}", server.log.text());
    let log = server.log.text();
    ensure!(
        !log.contains(&key) && log.contains("/v0.2/biometric-verification"),
        "{log}"
    );
    Ok(())
}

/// Sends what the arguments of curl, one a line, ask for; and gives the body of the answer.
fn request_of(arguments: &str, folder: &Path, server: &Server) -> Result<Response, Failed> {
    let mut arguments = arguments.lines();
    let (mut path, mut headers, mut form) = (None, String::new(), Form::new());
    while let Some(argument) = arguments.next() {
        match argument {
            "-sS" => {}
            "-H" => headers.push_str(&format!("{}\r\n", arguments.next().unwrap_or_default())),
            "-F" => {
                let (name, file) = arguments
                    .next()
                    .and_then(|field| field.split_once("=@"))
                    .ok_or("-F without a file")?;
                form = form.file(name, &std::fs::read(folder.join(file))?);
            }
            url => {
                let address = format!("http://{}", server.address);
                path = Some(url.strip_prefix(&address).ok_or_else(|| format!("{url:?}"))?);
            }
        }
    }
    let mut connection = Connection::open(server.address)?;
    connection.send(&form.request(path.ok_or("no address")?, &headers))?;
    connection.response()
}
