//! `likeness batch`: the real binary with the real models on real images, by an engine and by a running service.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use likeness_testing::http::{APP, Json};
use likeness_testing::{Failed, Outcome, Suite, ensure, ensure_eq};

mod support;

#[path = "batch/service.rs"]
mod service;

use support::process::{Ended, Process, likeness};
use support::{TIMEOUT, for_each};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test("usage_errors_and_lists_that_are_none_are_reported_at_once", usage);
    suite.with_shared_and_models("each_pair_has_the_scores_of_verify_and_its_line", each_pair);
    suite.with_shared_and_models("the_exit_code_is_that_of_the_worst_outcome", exit_codes);
    suite.with_shared_and_models("a_folder_of_pairs_is_a_list", folders);
    suite.with_shared_and_models("it_resumes_where_it_was_killed", resumes);
    suite.with_shared_and_models("results_of_another_batch_are_left_alone", others_results);
    suite.with_shared_and_models("a_service_gives_the_results_of_the_engine", service::by_service);
    suite.with_shared_and_models("a_rate_limit_is_waited_for", service::rate_limit);
    suite.with_shared_and_models(
        "a_quota_that_is_used_up_ends_the_run_to_be_resumed",
        service::quota,
    );
    suite.with_shared_and_models("a_service_that_restarts_costs_no_pair", service::restart);
    suite.with_shared("a_wait_that_the_service_asks_for_is_kept", service::kept_wait);
    suite.with_shared("a_wait_without_an_end_ends_the_run", service::endless_wait);
    suite.run()
}

/// Pairs of `faces/`: one person, and two.
const GENUINE: [&str; 2] = ["faces/img2.jpg", "faces/img11.jpg"];
const IMPOSTOR: [&str; 2] = ["faces/img2.jpg", "faces/img30.jpg"];
/// A pair that `optimal-v0` reviews and `strict-v0` rejects.
const UNSURE: [&str; 2] = [
    "liveness/nuaa/live/0004_01_00_02_459.jpg",
    "liveness/nuaa/live/0004_01_00_01_176.jpg",
];

/// A list in a folder of its own, and the results beside it.
struct Batch {
    folder: tempfile::TempDir,
    root: PathBuf,
}

impl Batch {
    fn of(shared: &Path, list: &str) -> Result<Self, Failed> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("pairs.csv"), list)?;
        Ok(Self {
            folder,
            root: shared.join("data"),
        })
    }

    fn list(&self) -> PathBuf {
        self.folder.path().join("pairs.csv")
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("results.csv")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = likeness();
        command
            .arg("batch")
            .arg(self.list())
            .arg("--root")
            .arg(&self.root);
        command.arg("--out").arg(self.out()).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Result<Ended, Failed> {
        Process::run(&mut self.command(arguments))
    }

    fn rows(&self) -> Result<Vec<Row>, Failed> {
        rows(&self.out())
    }
}

/// A line of the results, by its columns.
type Row = std::collections::BTreeMap<String, String>;

fn rows(path: &Path) -> Result<Vec<Row>, Failed> {
    let mut reader = csv::Reader::from_path(path)?;
    Ok(reader.deserialize().collect::<Result<_, _>>()?)
}

fn cells<'a>(row: &'a Row, columns: &[&str]) -> Vec<&'a str> {
    columns.iter().map(|column| row[*column].as_str()).collect()
}

/// A list of pairs, each with an id.
fn list(pairs: &[(&str, [&str; 2])]) -> String {
    let lines = pairs
        .iter()
        .map(|(id, [selfie, photo])| format!("{selfie},{photo},{id}\n"));
    format!("selfie,photo,id\n{}", lines.collect::<String>())
}

fn usage() -> Outcome {
    let folder = tempfile::tempdir()?;
    let (pairs, out) = (folder.path().join("pairs.csv"), folder.path().join("out.csv"));
    std::fs::write(&pairs, "selfie,photo\na,b\n")?;
    let (pairs, out) = (pairs.as_os_str(), out.as_os_str());
    let cases: [(&[&OsStr], i32, &str); 8] = [
        (&[pairs], 2, "--out"),
        (&["--out".as_ref(), out], 2, "<PAIRS>"),
        (
            &[pairs, "--out".as_ref(), out, "--fail-on=warning".as_ref()],
            2,
            "[possible values: review, reject, error, never]",
        ),
        (
            &["absent.csv".as_ref(), "--out".as_ref(), out],
            1,
            "cannot read absent.csv",
        ),
        (
            &[pairs, "--out".as_ref(), out, "--url=https://a:b@c".as_ref()],
            1,
            "credentials in a URL are not supported",
        ),
        (
            &[pairs, "--out".as_ref(), out, "--url=http://127.0.0.1:1".as_ref()],
            1,
            "--app-id must name the app",
        ),
        (
            &[
                pairs,
                "--out".as_ref(),
                out,
                "--url=http://127.0.0.1:1".as_ref(),
                "--app-id=a".as_ref(),
            ],
            1,
            "LIKENESS_APP_KEY or --app-key-file must hold the key of the app",
        ),
        (
            &[
                pairs,
                "--out".as_ref(),
                out,
                "--url=http://127.0.0.1:1".as_ref(),
                "--workers=2".as_ref(),
            ],
            1,
            "--workers has no effect with --url",
        ),
    ];
    for_each(cases.map(|case| (case.2, case)), |(arguments, code, expected)| {
        let ended = Process::run(likeness().arg("batch").args(arguments))?;
        ensure!(ended.code == Some(code) && ended.stdout.is_empty(), "{ended:?}");
        ensure!(ended.stderr.contains(expected), "{ended:?}");
        Ok(())
    })?;
    for (text, expected) in [
        ("left,right\n", "the header has no column \"selfie\""),
        ("selfie,photo\n", "there is no pair"),
        ("", "the header has no column \"selfie\""),
    ] {
        std::fs::write(pairs, text)?;
        let ended = Process::run(likeness().arg("batch").arg(pairs).arg("--out").arg(out))?;
        ensure!(
            ended.code == Some(1) && ended.stderr.contains(expected),
            "{ended:?}"
        );
    }
    // Only a file can be resumed, and opening a pipe would wait for ever.
    std::fs::write(pairs, "selfie,photo\na,b\n")?;
    for out in [Path::new("/dev/null"), folder.path()] {
        let ended = Process::run(likeness().arg("batch").arg(pairs).arg("--out").arg(out))?;
        ensure!(
            ended.code == Some(1) && ended.stderr.contains("it is not a file"),
            "{ended:?}"
        );
    }
    // Neither a service that is not there nor a key from a file is shown.
    std::fs::write(pairs, "selfie,photo\na,b\n")?;
    let key = folder.path().join("key");
    std::fs::write(&key, format!("{}\n", APP.key))?;
    let mut command = likeness();
    command
        .arg("batch")
        .arg(pairs)
        .arg("--out")
        .arg(out)
        .arg("--app-key-file")
        .arg(&key);
    let ended = Process::run(command.args(["--url=http://127.0.0.1:1", "--app-id=a"]))?;
    ensure!(
        ended.code == Some(1) && ended.stderr.contains("http://127.0.0.1:1/info: "),
        "{ended:?}"
    );
    ensure!(!ended.stderr.contains(APP.key), "{ended:?}");
    Ok(())
}

fn each_pair(shared: &Path) -> Outcome {
    let mut text = "photo,selfie,id,profile\n".to_owned();
    for (id, [selfie, photo], profile) in [
        ("genuine", GENUINE, ""),
        ("impostor", IMPOSTOR, ""),
        ("unsure", UNSURE, ""),
        ("strict", UNSURE, "strict-v0"),
        ("lax", GENUINE, "lax"),
        ("=cmd()", GENUINE, ""),
    ] {
        text += &format!("{photo},{selfie},{id},{profile}\n");
    }
    text += "faces/img11.jpg,faces/absent.jpg,absent,\n";
    text += "faces/img11.jpg,faces,folder,\n";
    text += "faces/img11.jpg,awkward-faces/text.jpg,text,\n";
    text += "awkward-faces/truncated_half.jpg,faces/img11.jpg,half,\n";
    text += "too,few\n";
    text += ",faces/img11.jpg,empty,\n";
    let batch = Batch::of(shared, &text)?;
    let ended = batch.run(&["--workers", "3"])?;
    ensure!(ended.code == Some(1) && ended.stderr.is_empty(), "{ended:?}");
    let rows = batch.rows()?;
    let found: Vec<Vec<&str>> = rows
        .iter()
        .map(|row| cells(row, &["id", "profile", "outcome", "codes", "error"]))
        .collect();
    ensure_eq!(
        found,
        [
            ["genuine", "optimal-v0", "pass", "", ""],
            ["impostor", "optimal-v0", "reject", "FAILED_FACE_MATCH", ""],
            ["unsure", "optimal-v0", "review", "FAILED_SELFIE_LIVENESS", ""],
            ["strict", "strict-v0", "reject", "FAILED_SELFIE_LIVENESS", ""],
            ["lax", "lax", "error", "", "INVALID_PARAMETER"],
            // A spreadsheet would take it for a formula.
            ["'=cmd()", "optimal-v0", "pass", "", ""],
            ["absent", "optimal-v0", "error", "", "UNREADABLE_FILE"],
            ["folder", "optimal-v0", "error", "", "UNREADABLE_FILE"],
            ["text", "optimal-v0", "error", "", "UNSUPPORTED_IMAGE_FORMAT"],
            ["half", "optimal-v0", "error", "", "CORRUPT_IMAGE"],
            ["11", "optimal-v0", "error", "", "INVALID_ROW"],
            ["empty", "optimal-v0", "error", "", "INVALID_ROW"],
        ]
    );
    ensure_eq!(rows[10]["message"], "the row has 2 fields, the header has 4");
    ensure!(rows[6]["message"].contains("absent.jpg: "), "{:?}", rows[6]);
    // The scores are those of `verify`, to the last digit.
    for row in rows.iter().take(4) {
        let images = ["selfie", "photo"].map(|column| batch.root.join(&row[column]));
        let verify = ["verify", "--json", "--profile", &row["profile"]];
        let verified = Process::run(likeness().args(verify).args(images))?;
        let body = Json::parse(verified.stdout.as_bytes())?.at("response_data.biometric")?;
        ensure_eq!(
            [row["face_match"].parse::<f64>()?, row["liveness"].parse::<f64>()?],
            [
                body.number("face_match_confidence")?,
                body.number("selfie.faces_liveness")?
            ]
        );
    }
    let expected = "12 pairs: 2 pass, 0 warning, 1 review, 2 reject, 7 error\n";
    ensure!(ended.stdout.starts_with(expected), "{ended:?}");
    ensure!(
        ended.stdout.contains("UNREADABLE_FILE               2\n"),
        "{ended:?}"
    );
    Ok(())
}

fn exit_codes(shared: &Path) -> Outcome {
    let all = [
        ("pass", GENUINE),
        ("review", UNSURE),
        ("reject", IMPOSTOR),
        ("error", ["absent", "faces/img11.jpg"]),
    ];
    let cases = [
        (&all[..1], [0, 0, 0, 0]),
        (&all[..2], [3, 0, 0, 0]),
        (&all[..3], [4, 4, 0, 0]),
        (&all, [1, 1, 1, 0]),
    ];
    for (pairs, codes) in cases {
        let batch = Batch::of(shared, &list(pairs))?;
        for (level, code) in ["review", "reject", "error", "never"].into_iter().zip(codes) {
            // From the second on, all is done already.
            let ended = batch.run(&["--fail-on", level])?;
            ensure!(ended.code == Some(code), "{level}: {ended:?}");
        }
        ensure_eq!(batch.rows()?.len(), pairs.len());
    }
    Ok(())
}

fn folders(shared: &Path) -> Outcome {
    let batch = Batch::of(shared, "")?;
    let root = batch.folder.path().join("pairs");
    for (id, [selfie, photo]) in [("b", GENUINE), ("a", IMPOSTOR), ("c", GENUINE)] {
        let folder = root.join(id);
        std::fs::create_dir_all(&folder)?;
        std::fs::copy(batch.root.join(selfie), folder.join("selfie.jpg"))?;
        std::fs::copy(batch.root.join(photo), folder.join("photo.JPG"))?;
    }
    std::fs::remove_file(root.join("c/photo.JPG"))?;
    let mut command = likeness();
    command.arg("batch").arg(&root).arg("--out").arg(batch.out());
    let ended = Process::run(command.args(["--profile", "strict-v0"]))?;
    ensure!(ended.code == Some(1), "{ended:?}");
    let rows = batch.rows()?;
    let found: Vec<Vec<&str>> = rows
        .iter()
        .map(|row| cells(row, &["id", "selfie", "photo", "profile", "outcome", "message"]))
        .collect();
    ensure_eq!(
        found,
        [
            ["a", "a/selfie.jpg", "a/photo.JPG", "strict-v0", "reject", ""],
            ["b", "b/selfie.jpg", "b/photo.JPG", "strict-v0", "pass", ""],
            [
                "c",
                "c/selfie.jpg",
                "",
                "strict-v0",
                "error",
                "the folder has no file photo.*"
            ],
        ]
    );
    Ok(())
}

/// Starts a batch and kills it as soon as its results have so many bytes.
fn killed(batch: &Batch, bytes: usize) -> Result<Vec<u8>, Failed> {
    let mut process = Process::start(&mut batch.command(&["--workers", "2"]))?;
    let deadline = Instant::now() + TIMEOUT;
    while std::fs::metadata(batch.out()).map_or(0, |metadata| metadata.len()) < bytes as u64 {
        ensure!(
            process.stdout.text().is_empty(),
            "it ended before it was killed:\n{}",
            process.stdout.text()
        );
        ensure!(Instant::now() < deadline, "the results do not grow");
        std::thread::sleep(Duration::from_millis(1));
    }
    process.kill();
    Ok(std::fs::read(batch.out())?)
}

fn resumes(shared: &Path) -> Outcome {
    // Enough for no run to end before it is killed.
    let faces = std::fs::read_to_string(shared.join("data/faces/pairs.csv"))?;
    let mut text = "selfie,photo\n".to_owned();
    for line in faces.lines().skip(1).take(40) {
        let mut fields = line.split(',');
        let (left, right) = (fields.next().unwrap_or(""), fields.next().unwrap_or(""));
        text += &format!("faces/{left},faces/{right}\n");
    }
    text += "faces/absent.jpg,faces/img11.jpg\n";
    let whole = Batch::of(shared, &text)?;
    let ended = whole.run(&["--workers", "3", "--fail-on", "never"])?;
    ensure!(ended.code == Some(0), "{ended:?}");
    let expected = std::fs::read(whole.out())?;

    let batch = Batch::of(shared, &text)?;
    let header = expected.iter().position(|byte| *byte == b'\n').ok_or("no line")? + 1;
    let first = killed(&batch, header + 1)?;
    ensure!(first.len() < expected.len(), "it was not killed in mid-run");
    ensure!(expected.starts_with(&first), "the results differ");
    // Torn in the middle of the last line.
    std::fs::write(batch.out(), &first[..first.len() - 5])?;
    let second = killed(&batch, first.len() + 200)?;
    ensure!(second.len() < expected.len(), "it was not killed in mid-run");
    ensure!(expected.starts_with(&second), "the results differ");

    let done = second.iter().filter(|byte| **byte == b'\n').count() - 1;
    let resumed = batch.run(&["--fail-on", "never"])?;
    ensure!(std::fs::read(batch.out())? == expected, "the results differ");
    ensure!(
        resumed.stderr == format!("likeness: resuming: {done} of 41 pairs are done\n"),
        "{resumed:?}"
    );
    // The summary counts all, those of the earlier runs as well.
    ensure_eq!(resumed.stdout.lines().next(), ended.stdout.lines().next());
    ensure!(
        resumed
            .stdout
            .contains(&format!("/s; {done} by an earlier run\n")),
        "{resumed:?}"
    );
    Ok(())
}

fn others_results(shared: &Path) -> Outcome {
    let pairs = [("one", GENUINE), ("two", IMPOSTOR)];
    let batch = Batch::of(shared, &list(&pairs))?;
    let ended = batch.run(&[])?;
    ensure!(ended.code == Some(4), "{ended:?}");
    let results = std::fs::read(batch.out())?;
    for (arguments, expected) in [
        (
            &["--profile", "strict-v0"][..],
            "line 2 is of another batch: it is the result for one,",
        ),
        (&["--pack", "open-1"], "it is by the engine open-2 "),
        (&["--multiface"], "it is by the engine open-2 "),
    ] {
        let ended = batch.run(arguments)?;
        ensure!(
            ended.code == Some(1) && ended.stderr.contains(expected),
            "{ended:?}"
        );
        ensure!(std::fs::read(batch.out())? == results, "the results were changed");
    }
    // The list itself is no file to write to.
    let text = std::fs::read(batch.list())?;
    let mut command = likeness();
    command
        .arg("batch")
        .arg(batch.list())
        .arg("--out")
        .arg(batch.list());
    let ended = Process::run(&mut command)?;
    ensure!(
        ended.code == Some(1) && ended.stderr.contains("line 1 is of another batch"),
        "{ended:?}"
    );
    ensure!(std::fs::read(batch.list())? == text, "the list was changed");
    // More pairs at the end of the list are a batch to resume.
    std::fs::write(batch.list(), list(&[pairs[0], pairs[1], ("three", GENUINE)]))?;
    let ended = batch.run(&[])?;
    ensure!(ended.code == Some(4), "{ended:?}");
    let longer = std::fs::read(batch.out())?;
    ensure!(longer.starts_with(&results), "the results were changed");
    ensure_eq!(batch.rows()?.len(), 3);
    Ok(())
}
