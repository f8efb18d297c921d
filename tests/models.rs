//! `likeness models`: the real binary, small packs, publishers on loopback. Whole outputs are compared.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use likeness::packs::Manifest;
use likeness_testing::{Failed, Outcome, Suite, ensure, has_models, workspace};

#[path = "../crates/packs/tests/support/mod.rs"]
mod packs;
mod support;

use packs::publisher::{Publisher, Step, gate};
use packs::{Pack, onnx_file, sha256, store_of, tree};
use support::process::{Ended, Process, likeness};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test(
        "a_pack_goes_from_a_mirror_over_an_archive_into_another_store",
        round_trip,
    );
    suite.test("a_pull_resumes_one_that_was_killed", killed);
    suite.test("the_error_of_a_file_names_every_source_that_was_tried", refused);
    suite.test("the_error_names_missing_and_untrusted_certificates", certificates);
    suite.test("a_pull_waits_for_another_or_fails_with_no_wait", locked);
    suite.test("a_full_disk_is_an_error_and_leaves_nothing_behind", no_room);
    suite.test("licences_without_commercial_use_must_be_accepted", license);
    suite.test("wrong_usage_exits_with_2", usage);
    suite.with_models("the_default_pack_goes_through_an_archive", default_pack);
    suite.run()
}

/// A folder with a manifest, and room for stores.
struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Result<Self, Failed> {
        Ok(Self {
            folder: tempfile::tempdir()?,
        })
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// `likeness models` with a store of this name.
    fn models(&self, store: &str, arguments: &[&str]) -> Command {
        let mut command = likeness();
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy().to_lowercase();
            if text.ends_with("_proxy") || text.starts_with("ssl_cert_") {
                command.env_remove(name);
            }
        }
        command
            .arg("models")
            .args(arguments)
            .args(["--models", &self.path(store)]);
        command
    }

    fn run(&self, store: &str, arguments: &[&str]) -> Result<Ended, Failed> {
        Process::run(&mut self.models(store, arguments))
    }
}

fn ended(ended: &Ended, code: i32, stdout: &str, stderr: &str) -> Outcome {
    ensure!(ended.code == Some(code), "{ended:?}");
    ensure!(
        ended.stdout == stdout,
        "expected {stdout:?}, found {:?}",
        ended.stdout
    );
    ensure!(
        ended.stderr == stderr,
        "expected {stderr:?}, found {:?}",
        ended.stderr
    );
    Ok(())
}

fn round_trip() -> Outcome {
    let scene = Scene::new()?;
    let file = onnx_file("a", 50_000);
    let size = file.len();
    let path = Pack::of(&file, []).write(scene.folder.path());
    std::fs::create_dir(scene.path("mirror"))?;
    std::fs::write(scene.path("mirror/a.onnx"), &file)?;
    let (mirror, store) = (scene.path("mirror"), scene.path("store"));

    let pull = ["pull", &path, "--install", "--mirror", &mirror];
    let brought = format!(
        "a.onnx: {size} bytes from {mirror}/a.onnx, checksum verified\nmodel a: {size} bytes, checksum verified\n"
    );
    let said = format!(
        "model pack tiny 1: 1 file fetched, manifest installed; 1 model in {store}, checksums verified\n"
    );
    ended(&scene.run("store", &pull)?, 0, &said, &brought)?;
    let there = format!("model pack tiny 1: already complete; 1 model in {store}, checksums verified\n");
    ended(&scene.run("store", &pull)?, 0, &there, "")?;
    ended(&scene.run("store", &["pull", "tiny", "--quiet"])?, 0, "", "")?;

    let archive = scene.path("tiny.tar");
    let exported = scene.run("store", &["export", "tiny", "--out", &archive])?;
    let bytes = std::fs::metadata(&archive)?.len();
    let said = format!("model pack tiny 1: 1 model and 0 other files in {archive}, {bytes} bytes\n");
    ended(&exported, 0, &said, "")?;

    let other = scene.path("other/store");
    let said = format!(
        "model pack tiny 1: 1 file fetched, manifest installed; 1 model in {other}, checksums verified\n"
    );
    ended(
        &scene.run("other/store", &["pull", "--from", &archive])?,
        0,
        &said,
        "",
    )?;
    ensure!(
        tree(Path::new(&other)) == tree(Path::new(&store)),
        "the stores differ"
    );

    let list = scene.run("other/store", &["list"])?;
    let lines: Vec<_> = list.stdout.lines().collect();
    // The store, the built-in packs, the installed one.
    let count = 1 + Manifest::builtin_names().count() + 1;
    ensure!(list.code == Some(0) && lines.len() == count, "{list:?}");
    ensure!(lines[0] == format!("model store: {other}"), "{list:?}");
    ensure!(
        lines[1].starts_with("open-2 ")
            && lines[1].contains(": built in, Apache-2.0 (commercial use allowed); missing: ")
            && lines[1].ends_with(": run `likeness models pull open-2`"),
        "{list:?}"
    );
    ensure!(
        lines.last() == Some(&"tiny 1: installed, Test-1.0 (commercial use allowed); complete, 1 model"),
        "{list:?}"
    );
    Ok(())
}

fn killed() -> Outcome {
    let scene = Scene::new()?;
    let publisher = Publisher::start();
    let file = onnx_file("a", 3 << 20);
    let path = Pack::of(&file, [publisher.url("/a")]).write(scene.folder.path());
    let (step, half_is_out, _closed) = gate(&file);
    publisher.script("/a", [step]);

    let mut process = Process::start(&mut scene.models("store", &["pull", &path]))?;
    half_is_out.recv()?;
    process.signal("KILL")?;
    process.wait()?;
    let store = PathBuf::from(scene.path("store"));
    let mut left = tree(&store);
    let partial = left
        .remove(&format!("partial/{}", sha256(&file)))
        .unwrap_or_default();
    left.remove("partial/");
    ensure!(
        file.starts_with(&partial),
        "what has arrived is not the beginning of the file"
    );
    ensure!(left == store_of([]), "{:?}", left.keys());

    publisher.script("/a", [Step::File(file.clone())]);
    let again = scene.run("store", &["pull", &path])?;
    ensure!(again.code == Some(0), "{again:?}");
    ensure!(tree(&store) == store_of([&file[..]]), "{:?}", tree(&store).keys());
    let range = (!partial.is_empty()).then(|| format!("bytes={}-", partial.len()));
    ensure!(publisher.requests()[1].1 == range, "{:?}", publisher.requests());
    Ok(())
}

fn refused() -> Outcome {
    let scene = Scene::new()?;
    let publisher = Publisher::start();
    let file = onnx_file("a", 1000);
    let (one, two) = (publisher.url("/one"), publisher.url("/two"));
    publisher.script("/two", [Step::File(vec![0; file.len()])]);
    let path = Pack::of(&file, [one.clone(), two.clone()]).write(scene.folder.path());
    let wrong = format!(
        "not the file: expected SHA-256 {}, found {}",
        sha256(&file),
        sha256(&vec![0; file.len()])
    );
    let stderr = format!(
        "a.onnx: {one} failed: HTTP status 404 (there is no such file)\n\
         a.onnx: {two} failed: {wrong}\n\
         likeness: model pack 'tiny': cannot fetch all files:\n  a.onnx\n\
         \x20   - {one}: HTTP status 404 (there is no such file)\n    - {two}: {wrong}\n\
         the files there are not those of the manifest: nothing of them was kept\n\
         behind a proxy set HTTPS_PROXY; in a closed network name a folder or server with these files with --mirror or \
         LIKENESS_MODEL_MIRROR, or bring an archive of `likeness models export` and name it with --from\n"
    );
    ended(&scene.run("store", &["pull", &path])?, 1, "", &stderr)?;
    ensure!(
        tree(Path::new(&scene.path("store"))) == store_of([]),
        "something is left"
    );

    let mut through = scene.models("store", &["pull", &path]);
    through
        .env("HTTP_PROXY", publisher.url(""))
        .env("NO_PROXY", "elsewhere.example");
    let outcome = Process::run(&mut through)?;
    let proxy = publisher.url("").replace("http://", "(through the proxy ") + ")";
    ensure!(
        outcome.code == Some(1) && outcome.stderr.contains(&proxy),
        "{outcome:?}"
    );
    Ok(())
}

fn certificates() -> Outcome {
    let scene = Scene::new()?;
    let publisher = Publisher::start();
    let address = publisher.url("/a").replace("http://", "https://");
    let path = Pack::of(&onnx_file("a", 1000), [address]).write(scene.folder.path());
    for (file, expected) in [
        (scene.path("gone.pem"), "no usable root certificates ("),
        (path.clone(), "no usable root certificates ("),
    ] {
        let outcome = Process::run(scene.models("store", &["pull", &path]).env("SSL_CERT_FILE", file))?;
        ensure!(outcome.code == Some(1), "{outcome:?}");
        for expected in [
            expected,
            "no secure connection: ",
            "name a CA bundle with SSL_CERT_FILE",
        ] {
            ensure!(
                outcome.stderr.contains(expected),
                "{expected} is not in {outcome:?}"
            );
        }
    }
    // Without a trusted certificate no request was sent.
    ensure!(publisher.requests().is_empty(), "{:?}", publisher.requests());
    Ok(())
}

fn locked() -> Outcome {
    let scene = Scene::new()?;
    let file = onnx_file("a", 1000);
    let path = Pack::of(&file, []).write(scene.folder.path());
    std::fs::write(scene.path("a.onnx"), &file)?;
    std::fs::create_dir(scene.path("store"))?;
    let lock = std::fs::File::create(scene.path("store/lock"))?;
    lock.lock()?;

    let stderr = format!(
        "likeness: another process is pulling into this model store (it holds {}); wait for it, or pull again later\n",
        scene.path("store/lock")
    );
    ended(
        &scene.run("store", &["pull", &path, "--no-wait"])?,
        1,
        "",
        &stderr,
    )?;

    let mut waiting = Process::start(&mut scene.models("store", &["pull", &path]))?;
    waiting
        .stderr
        .wait_for("waiting", |line| line.starts_with("waiting for another process"))?;
    drop(lock);
    let status = waiting.wait()?;
    ensure!(status.success(), "{}", waiting.stderr.text());
    ensure!(
        tree(Path::new(&scene.path("store"))) == store_of([&file[..]]),
        "the store is not as it should be"
    );
    Ok(())
}

/// A limit on the size of files stands for a disk that is full: the system refuses a write in the middle of a file.
fn no_room() -> Outcome {
    let scene = Scene::new()?;
    let file = onnx_file("a", 200_000);
    let path = Pack::of(&file, []).write(scene.folder.path());
    std::fs::write(scene.path("a.onnx"), &file)?;
    let pull = scene.models("store", &["pull", &path]);
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "trap '' XFSZ; ulimit -f 100; exec \"$@\"", "sh"])
        .arg(pull.get_program())
        .args(pull.get_args());
    let outcome = Process::run(&mut limited)?;
    ensure!(
        outcome.code == Some(1) && outcome.stdout.is_empty(),
        "{outcome:?}"
    );
    ensure!(
        outcome.stderr.starts_with("likeness: no room for "),
        "{outcome:?}"
    );
    ensure!(outcome.stderr.contains("make room and pull again"), "{outcome:?}");
    let outcome = scene.run("store", &["pull", &path])?;
    ensure!(outcome.code == Some(0), "{outcome:?}");
    ensure!(
        tree(Path::new(&scene.path("store"))) == store_of([&file[..]]),
        "the store is not as it should be"
    );
    Ok(())
}

fn license() -> Outcome {
    let scene = Scene::new()?;
    let file = onnx_file("a", 1000);
    std::fs::write(scene.path("a.onnx"), &file)?;
    let mut pack = Pack::of(&file, []);
    pack.commercial_use = false;
    let path = pack.write(scene.folder.path());
    let stderr = "likeness: model pack 'tiny' is not free for commercial use, by the licences of its files:\n  - a.onnx: \
                  Test-1.0 (the test of a.onnx)\ngive --accept-license if you may use it under these licences\n";
    ended(&scene.run("store", &["pull", &path])?, 1, "", stderr)?;
    let accepted = scene.run(
        "store",
        &["pull", &path, "--accept-license", "--install", "--quiet"],
    )?;
    ended(&accepted, 0, "", "")?;
    let list = scene.run("store", &["list"])?;
    let line = "tiny 1: installed, Test-1.0 (NO commercial use); complete, 1 model";
    ensure!(list.stdout.lines().last() == Some(line), "{list:?}");
    Ok(())
}

fn usage() -> Outcome {
    let scene = Scene::new()?;
    for (arguments, expected) in [
        (
            &["pull", "--from", "a.tar", "--mirror", "b"][..],
            "cannot be used with",
        ),
        (&["pull", "--from", "a.tar", "--install"], "cannot be used with"),
        (&["pull", "--jobs", "0"], "0 is not in 1..=32"),
        (&["export", "open-2"], "--out <FILE.tar>"),
        (&["fetch"], "unrecognized subcommand 'fetch'"),
    ] {
        let outcome = scene.run("store", arguments)?;
        ensure!(
            outcome.code == Some(2) && outcome.stderr.contains(expected),
            "{outcome:?}"
        );
    }
    let unknown = scene.run("store", &["pull", "no-such-pack"])?;
    ensure!(
        unknown.code == Some(1) && unknown.stderr.contains("unknown model pack 'no-such-pack'"),
        "{unknown:?}"
    );
    let help = scene.run("store", &["pull", "--help"])?;
    for expected in [
        "--mirror <DIR|URL>",
        "LIKENESS_MODEL_MIRROR",
        "HTTPS_PROXY",
        "SSL_CERT_FILE",
        "--accept-license",
    ] {
        ensure!(
            help.code == Some(0) && help.stdout.contains(expected),
            "{expected} is not in {}",
            help.stdout
        );
    }
    ensure!(!Path::new(&scene.path("store")).exists(), "a store was made");
    Ok(())
}

/// An archive of the default pack fills an empty store that the engine can use.
fn default_pack() -> Outcome {
    ensure!(has_models(), "the store has no models");
    let scene = Scene::new()?;
    let own =
        std::env::var_os("LIKENESS_MODELS").map_or_else(|| workspace().join("models/store"), PathBuf::from);
    let archive = scene.path("open-2.tar");
    let exported = Process::run(
        likeness()
            .args(["models", "export", "--out", &archive, "--models"])
            .arg(own),
    )?;
    ensure!(exported.code == Some(0), "{exported:?}");
    let pulled = scene.run("store", &["pull", "open-2", "--from", &archive, "--drop-sources"])?;
    ensure!(pulled.code == Some(0), "{pulled:?}");
    let list = scene.run("store", &["list"])?;
    ensure!(
        list.stdout
            .lines()
            .any(|line| line.starts_with("open-2 ") && line.ends_with("; complete, 7 models")),
        "{list:?}"
    );
    let again = scene.run("again", &["pull", "--from", &archive, "--quiet"])?;
    ended(&again, 0, "", "")
}
