//! Reloading models while the program serves.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use likeness::packs::{DEFAULT_PACK, Store};
use likeness_testing::http::{Form, Response};
use likeness_testing::{Failed, Outcome, Suite, ensure, ensure_eq, workspace};

use support::image;
use support::process::{Process, likeness};
use support::responses::SAME_PERSON;
use support::server::Server;

mod support;

const BIOMETRIC: &str = "/v0.2/biometric-verification";
/// The pack of these tests.
const PACK: &str = "branch-1";

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.with_shared_and_models("an_operator_reloads_another_version_of_the_pack", operator);
    suite.with_shared_and_models("packs_are_swapped_under_load", swapped);
    suite.with_models("a_pack_that_fails_its_check_is_not_used", broken);
    suite.with_models("changed_files_are_reloaded", noticed);
    suite.with_models("sighup_reloads", hang_up);
    suite.with_any_models("the_admin_listener_requires_its_token", token);
    suite.run()
}

/// The manifest of a built-in pack under the name of the pack of these tests.
fn manifest_of(pack: &str) -> Result<String, Failed> {
    let text = std::fs::read_to_string(workspace().join("models").join(pack).join("pack.toml"))?;
    Ok(text.replacen(&format!("name = \"{pack}\""), &format!("name = \"{PACK}\""), 1))
}

/// A store of its own with the default pack's models under another name. Only this type knows where its files lie and how
/// its manifest is written.
struct TestStore {
    folder: tempfile::TempDir,
    manifest: String,
}

/// One of its models.
const MODEL: &str = "yunet_n";

impl TestStore {
    /// With version 1 of the pack.
    fn new() -> Result<Self, Failed> {
        let original = match std::env::var_os("LIKENESS_MODELS").filter(|value| !value.is_empty()) {
            Some(store) => PathBuf::from(store),
            None => workspace().join("models/store"),
        };
        let store = Self {
            folder: tempfile::tempdir()?,
            manifest: manifest_of(DEFAULT_PACK)?,
        };
        std::fs::create_dir_all(store.pack())?;
        let cohort = workspace().join("models").join(DEFAULT_PACK).join("cohort.bin");
        std::fs::copy(cohort, store.pack().join("cohort.bin"))?;
        let pack = Store::at(original).load(DEFAULT_PACK)?;
        for name in pack.manifest().models.keys() {
            std::fs::write(store.pack().join(format!("{name}.onnx")), pack.model(name)?)?;
        }
        ensure!(store.model().is_file(), "there is no {}", store.model().display());
        store.publish("1", |_| {})?;
        Ok(store)
    }

    fn pack(&self) -> PathBuf {
        self.folder.path().join("packs").join(PACK)
    }

    fn model(&self) -> PathBuf {
        self.pack().join(format!("{MODEL}.onnx"))
    }

    /// Puts a version of the manifest in place of the one before, in one step, as an installer does.
    fn publish(&self, version: &str, edit: impl FnOnce(&mut String)) -> Outcome {
        let mut text = self.manifest.clone();
        edit(&mut text);
        let line = text
            .lines()
            .find(|line| line.starts_with("version = "))
            .ok_or("no version in the manifest")?;
        let text = text.replacen(line, &format!("version = \"{version}\""), 1);
        let path = self.pack().join("pack.toml");
        let new = path.with_extension("new");
        std::fs::write(&new, text)?;
        Ok(std::fs::rename(new, path)?)
    }

    /// Starts a server of this store with one worker, which checks the files every so many seconds; 0: never.
    fn serve(&self, check_seconds: &str) -> Result<Server, Failed> {
        Server::start(|command| {
            command
                .args(["--workers", "1", "--pack", PACK, "--admin-listen", "127.0.0.1:0"])
                .arg("--models")
                .arg(self.folder.path())
                .env("LIKENESS__RELOAD__CHECK_SECONDS", check_seconds);
        })
    }
}

/// A checksum that no file has.
fn wrong_checksum(manifest: &mut String) {
    if let Some(at) = manifest.find("sha256 = \"").map(|at| at + "sha256 = \"".len()) {
        manifest.replace_range(at..at + 64, &"0".repeat(64));
    }
}

/// A number that no model computes.
fn wrong_self_test(manifest: &mut String) {
    let values = manifest
        .find("self_test")
        .and_then(|at| Some(at + manifest.get(at..)?.find("values = [")? + "values = [".len()));
    if let Some(at) = values {
        manifest.insert_str(at, "951.5, ");
    }
}

fn reload(server: &Server) -> Result<Response, Failed> {
    server.operate("POST", "/admin/reload", "")
}

fn version(server: &Server) -> Result<String, Failed> {
    let info = server.get("/info")?.json()?;
    ensure!(info.text("pack")? == PACK, "{info:?}");
    Ok(info.text("pack_version")?.to_owned())
}

/// Checks that a reload fails with these words, and that the version before goes on serving.
fn expect_refusal(server: &Server, serving: &str, words: &[&str]) -> Outcome {
    let response = reload(server)?;
    ensure!(response.status == 422, "{response:?}");
    let json = response.json()?;
    let error = json.text("error")?;
    for word in words {
        ensure!(error.contains(word), "{word:?} is not in {error:?}");
    }
    ensure!(json.text("serving.pack")? == PACK, "{json:?}");
    ensure!(json.text("serving.version")? == serving, "{json:?}");
    ensure!(version(server)? == serving, "{}", version(server)?);
    Ok(())
}

fn expect_reload(server: &Server, from: &str, to: &str) -> Outcome {
    let response = reload(server)?;
    ensure!(response.status == 200, "{response:?}");
    let json = response.json()?;
    ensure!(json["reloaded"] == true, "{json:?}");
    ensure!(
        (json.text("version")?, json.text("previous.version")?) == (to, from),
        "{json:?}"
    );
    ensure!(json.text("digest")? != json.text("previous.digest")?, "{json:?}");
    ensure!(version(server)? == to, "{}", version(server)?);
    Ok(())
}

/// Checks that a service with these arguments does not start, and that its error says why.
fn expect_no_start(arguments: &[&str], why: &str) -> Outcome {
    let mut command = likeness();
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--workers", "1"])
        .args(arguments)
        .env("LIKENESS_APPS", "app-1:0123456789abcdef");
    let ended = Process::run(&mut command)?;
    ensure!(ended.code == Some(1), "{ended:?}");
    ensure!(ended.stderr.contains(why), "{ended:?}");
    Ok(())
}

fn operator(shared: &Path) -> Outcome {
    let store = TestStore::new()?;
    let server = store.serve("0")?;
    let form = Form::pair(&image(shared, SAME_PERSON.0)?, &image(shared, SAME_PERSON.1)?);
    let before = server.post(BIOMETRIC, &form)?.content()?;
    ensure!(version(&server)? == "1", "{}", version(&server)?);

    let unchanged = reload(&server)?.json()?;
    ensure!(unchanged["reloaded"] == false, "{unchanged:?}");

    store.publish("2", |_| {})?;
    expect_reload(&server, "1", "2")?;
    server.log.wait_for("the new and the old version", |line| {
        line.contains("models reloaded")
            && line.contains("version=\"2\"")
            && line.contains("previous_version=\"1\"")
    })?;
    ensure_eq!(server.post(BIOMETRIC, &form)?.content()?, before);

    store.publish("3", wrong_checksum)?;
    expect_refusal(&server, "2", &[PACK, MODEL, &"0".repeat(64)])?;
    ensure_eq!(server.post(BIOMETRIC, &form)?.content()?, before);

    server.terminate()?;
    ensure!(server.wait()?.success(), "{}", server.log.text());
    Ok(())
}

/// How often the pack is swapped for the other one.
const SWAPS: usize = 6;

/// Clients of a service whose pack is swapped for another get the response of the one or of the other, never an error or
/// the match of one with the liveness of the other.
fn swapped(shared: &Path) -> Outcome {
    let store = TestStore::new()?;
    let server = store.serve("0")?;
    let form = Form::pair(&image(shared, SAME_PERSON.0)?, &image(shared, SAME_PERSON.1)?);
    let with_cohort = server.post(BIOMETRIC, &form)?.content()?;
    let other = manifest_of("open-1")?;
    store.publish("2", |manifest| manifest.clone_from(&other))?;
    expect_reload(&server, "1", "2")?;
    let without = server.post(BIOMETRIC, &form)?.content()?;
    for field in ["face_match_confidence", "selfie.faces_liveness"] {
        let [one, another] =
            [&with_cohort, &without].map(|json| json.number(&format!("response_data.biometric.{field}")));
        ensure!(one? != another?, "both packs have the same {field}");
    }

    let stop = AtomicBool::new(false);
    let responses = std::thread::scope(|scope| -> Result<Vec<_>, Failed> {
        let client = || -> Result<Vec<_>, Failed> {
            let mut responses = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                responses.push(server.post(BIOMETRIC, &form)?.content()?);
            }
            Ok(responses)
        };
        let clients = [scope.spawn(client), scope.spawn(client)];
        let swaps = (0..SWAPS).try_for_each(|swap| {
            let (from, to) = ((swap + 2).to_string(), (swap + 3).to_string());
            store.publish(&to, |manifest| {
                if swap % 2 == 1 {
                    manifest.clone_from(&other);
                }
            })?;
            expect_reload(&server, &from, &to)?;
            // At least one response of each pack, beside those of the clients.
            let expected = if swap % 2 == 0 { &with_cohort } else { &without };
            let found = server.post(BIOMETRIC, &form)?.content()?;
            ensure_eq!(&found, expected);
            Ok(())
        });
        stop.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        for client in clients {
            all.extend(client.join().map_err(|_| "a client panicked")??);
        }
        swaps.map(|()| all)
    })?;
    for response in &responses {
        ensure!(
            *response == with_cohort || *response == without,
            "of neither pack: {response:?}"
        );
    }
    Ok(())
}

fn broken() -> Outcome {
    let store = TestStore::new()?;
    let server = store.serve("0")?;
    let model = std::fs::read(store.model())?;

    store.publish("2", |manifest| manifest.truncate(manifest.len() / 2))?;
    expect_refusal(&server, "1", &["pack.toml"])?;

    store.publish("2", |_| {})?;
    std::fs::write(store.model(), &model[..model.len() / 2])?;
    expect_refusal(&server, "1", &[PACK, MODEL, "found"])?;
    std::fs::remove_file(store.model())?;
    expect_refusal(&server, "1", &[PACK, MODEL, "is missing"])?;
    std::fs::write(store.model(), &model)?;

    store.publish("2", wrong_self_test)?;
    expect_refusal(
        &server,
        "1",
        &[MODEL, "failed its self-test", "number 0", "instead of 951.5"],
    )?;
    server.log.wait_for("why the pack is not used", |line| {
        line.contains("instead of 951.5") && line.contains("keeping the current models")
    })?;
    // A service does not start with it either.
    let models = store.folder.path().to_string_lossy();
    expect_no_start(&["--pack", PACK, "--models", &models], "failed its self-test")?;

    store.publish("3", |_| {})?;
    expect_reload(&server, "1", "3")
}

fn noticed() -> Outcome {
    let store = TestStore::new()?;
    let server = store.serve("0.05")?;
    let model = std::fs::read(store.model())?;
    store.publish("2", |_| {})?;
    server.log.wait_for("the new version", |line| {
        line.contains("models reloaded") && line.contains("version=\"2\"")
    })?;
    ensure!(version(&server)? == "2", "{}", version(&server)?);
    // A manifest that is there before its files.
    std::fs::remove_file(store.model())?;
    store.publish("3", |_| {})?;
    server
        .log
        .wait_for("what is missing", |line| line.contains("is missing"))?;
    ensure!(version(&server)? == "2", "{}", version(&server)?);
    std::fs::write(store.model(), &model)?;
    store.publish("4", |_| {})?;
    server.log.wait_for("the next version", |line| {
        line.contains("models reloaded") && line.contains("version=\"4\"")
    })?;
    ensure!(version(&server)? == "4", "{}", version(&server)?);
    Ok(())
}

fn hang_up() -> Outcome {
    let store = TestStore::new()?;
    let server = store.serve("0")?;
    store.publish("2", |_| {})?;
    server.hang_up()?;
    server.log.wait_for("the new version", |line| {
        line.contains("models reloaded") && line.contains("version=\"2\"")
    })?;
    ensure!(version(&server)? == "2", "{}", version(&server)?);
    Ok(())
}

fn token() -> Outcome {
    let server = Server::start(|command| {
        command
            .args(["--workers", "1"])
            .env("LIKENESS_ADMIN_LISTEN", "127.0.0.1:0")
            .env("LIKENESS_ADMIN_TOKEN", "token-Kx3fQ8");
    })?;
    let response = reload(&server)?;
    ensure!(response.status == 401, "{response:?}");
    let response = server.operate("POST", "/admin/reload", "Authorization: Bearer token-Kx3fQ8\r\n")?;
    ensure!(response.status == 200, "{response:?}");
    ensure!(!server.log.text().contains("token-Kx3fQ8"), "the token is logged");

    expect_no_start(
        &["--admin-listen", "0.0.0.0:0"],
        "admin.token (set by --admin-listen): is needed where admin.listen",
    )
}
