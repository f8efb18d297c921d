//! The settings of the real binary: what it makes of files and variables, and what it takes up while it serves.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use likeness::server::REFERENCE;
use likeness_testing::onnx::{InputShape, RedFaces, Vectors};
use likeness_testing::{Failed, Outcome, Suite, TestPack, ensure};

use likeness_testing::http::{Form, flat};
use support::process::{Ended, Process, likeness};
use support::server::{APP, Server};

mod support;

const LIVENESS: &str = "/v0.2/liveness-verification";
const SECRET: &str = "s3cret-Tq9wL1xR7m";

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test("show_says_what_holds_and_what_set_it", show);
    suite.test("what_show_writes_can_be_read_again", show_again);
    suite.test("check_names_the_key_that_is_wrong", check);
    suite.test("no_command_shows_any_part_of_a_url_with_a_password", urls);
    #[cfg(unix)]
    suite.test("check_warns_of_a_file_with_keys_that_others_can_read", readable);
    #[cfg(unix)]
    suite.with_any_models(
        "serve_warns_of_a_file_with_keys_that_others_can_read",
        readable_serving,
    );
    suite.with_any_models("serve_goes_by_the_packs_own_threshold_of_faces", face_threshold);
    suite.test("the_reference_is_a_file_to_begin_with", reference);
    suite.with_any_models(
        "a_certificate_that_cannot_be_read_is_one_line_and_no_start",
        certificate,
    );
    #[cfg(unix)]
    suite.test("more_connections_than_open_files_are_refused", too_few_files);
    #[cfg(target_os = "linux")]
    suite.with_any_models("the_limit_of_open_files_is_raised_as_needed", raised_files);
    suite.with_any_models("sighup_takes_up_what_can_be_changed_while_serving", hang_up);
    suite.with_any_models("an_operator_is_told_what_a_reload_took_up", operator);
    suite.with_any_models("the_log_follows_its_filter", log_filter);
    suite.test("old_names_work_with_a_warning_that_names_the_new_ones", old_names);
    suite.with_any_models("serve_warns_of_old_names_in_its_log", old_names_while_serving);
    suite.test(
        "flags_of_the_engine_are_shown_where_an_engine_is_opened",
        engine_flags,
    );
    suite.with_any_models("every_command_with_an_engine_goes_by_the_same_file", same_engine);
    suite.run()
}

struct File {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl File {
    fn with(text: &str) -> Result<Self, Failed> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("likeness.toml");
        std::fs::write(&path, text)?;
        Ok(Self {
            _folder: folder,
            path,
        })
    }

    fn write(&self, text: &str) -> Outcome {
        Ok(std::fs::write(&self.path, text)?)
    }
}

fn config(command: &str, file: &Path, more: impl FnOnce(&mut Command)) -> Result<Ended, Failed> {
    let mut likeness = likeness();
    likeness.args(["config", command, "--config"]).arg(file);
    more(&mut likeness);
    Process::run(&mut likeness)
}

const SETTINGS: &str = r#"
[[apps]]
id = "branch"
default_profile = "strict-v0"

[request_limits]
deadline_seconds = 2.5

[admin]
token = "s3cret-Tq9wL1xR7m"
"#;

fn show() -> Outcome {
    let file = File::with(SETTINGS)?;
    let path = file.path.display();
    let variables = |command: &mut Command| {
        command
            .env("LIKENESS_LISTEN", "127.0.0.1:9")
            .env("LIKENESS__REQUEST_LIMITS__V0_2__SELFIE__MIN_SIDE", "320")
            .env("LIKENESS_APPS", format!("branch:{SECRET}"));
    };
    let shown = config("show", &file.path, |command| {
        command.args(["--changed", "--set", "engine.workers=3"]);
        variables(command);
    })?;
    let expected = format!(
        "admin.token = \"<redacted>\"  # {path}:10\n\
         apps = [{{ default_profile = \"strict-v0\", disabled = false, id = \"branch\", key = \"<redacted>\", \
         liveness_threshold_floor = 0.0 }}]  # {path}:2, LIKENESS_APPS\n\
         engine.workers = 3  # --set\n\
         listen = \"127.0.0.1:9\"  # LIKENESS_LISTEN\n\
         request_limits.deadline_seconds = 2.5  # {path}:7\n\
         request_limits.v0_2.selfie.min_side = 320  # LIKENESS__REQUEST_LIMITS__V0_2__SELFIE__MIN_SIDE\n"
    );
    ensure!(
        shown.stdout == expected,
        "{}\ninstead of\n{expected}",
        shown.stdout
    );
    ensure!(shown.code == Some(0), "{shown:?}");

    let whole = config("show", &file.path, variables)?;
    for line in [
        "listen = \"127.0.0.1:9\"  # LIKENESS_LISTEN",
        "[connections]",
        "max = 1024",
        "# workers  # unset: one per available processor",
        "v0_2.selfie.min_side = 320  # LIKENESS__REQUEST_LIMITS__V0_2__SELFIE__MIN_SIDE",
        "v0_2.selfie.max_side = 5000",
        "[[apps]]",
    ] {
        ensure!(
            whole.stdout.lines().any(|found| found == line),
            "no {line:?} in\n{}",
            whole.stdout
        );
    }
    ensure!(!whole.stdout.contains(SECRET), "{}", whole.stdout);
    Ok(())
}

fn show_again() -> Outcome {
    let file = File::with(SETTINGS)?;
    let keys = |command: &mut Command| {
        command.env("LIKENESS_APPS", format!("branch:{SECRET}"));
    };
    let shown = config("show", &file.path, keys)?.stdout;
    file.write(&shown)?;
    let again = config("show", &file.path, keys)?;
    ensure!(again.code == Some(0), "{again:?}");
    let without_origins = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| line.split("  # ").next().unwrap_or_default().to_owned())
            .filter(|line| !line.starts_with('#'))
            .collect()
    };
    ensure!(
        without_origins(&shown) == without_origins(&again.stdout),
        "{shown}\nbecame\n{}",
        again.stdout
    );
    Ok(())
}

fn check() -> Outcome {
    let right = File::with("[request_limits]\ndeadline_seconds = 2.5\n")?;
    let checked = config("check", &right.path, |_| {})?;
    ensure!(
        checked.code == Some(0) && checked.stdout.contains("are valid: 1 are not at their default"),
        "{checked:?}"
    );
    for (text, named) in [
        ("[request_limits]\ndeadlin_seconds = 2.5\n", "deadlin_seconds"),
        (
            "[request_limits]\ndeadline_seconds = 0\n",
            "request_limits.deadline_seconds",
        ),
        ("calibration_files = ['nowhere.toml']\n", "calibration_files"),
        (
            "[tls]\ncertificate = 'nowhere.pem'\nkey = 'nowhere.key'\n",
            "tls: cannot read the TLS file nowhere.pem",
        ),
    ] {
        let file = File::with(text)?;
        let checked = config("check", &file.path, |_| {})?;
        ensure!(
            checked.code == Some(1) && checked.stderr.contains(named),
            "{text:?}: {checked:?}"
        );
    }
    Ok(())
}

fn reference() -> Outcome {
    let written = Process::run(likeness().args(["config", "reference"]))?;
    ensure!(written.stdout == REFERENCE, "{}", written.stdout);
    let file = File::with(&written.stdout)?;
    let changed = config("show", &file.path, |command| {
        command.arg("--changed");
    })?;
    let whole = |file: &Path| config("show", file, |_| {});
    let from_file = format!("  # {}:", file.path.display());
    let without_origins = |text: &str| -> String {
        let lines = text
            .lines()
            .map(|line| line.split(&from_file).next().unwrap_or_default());
        lines.map(|line| format!("{line}\n")).collect()
    };
    let (found, empty) = (whole(&file.path)?, whole(&File::with("")?.path)?);
    ensure!(
        without_origins(&found.stdout) == empty.stdout && changed.stdout.is_empty(),
        "{}\ninstead of\n{}",
        found.stdout,
        empty.stdout
    );
    Ok(())
}

/// With everything that could ever be logged: what is printed is in no log either.
fn urls() -> Outcome {
    const PART: &str = "S3CRET";
    let folder = tempfile::tempdir()?;
    let commands: [&[&str]; 6] = [
        &["config", "show"],
        &["config", "check"],
        &["apps", "list"],
        &["usage"],
        &["audit", "verify"],
        &["serve", "--listen", "127.0.0.1:0", "--workers", "1"],
    ];
    let wrong = [
        "postgres:likeness:S3CRETPW@127.0.0.1:1/likeness",
        "postgres://likeness:12/S3CRETPW@127.0.0.1:1/likeness",
        "postgres://likeness:PW@S3CRET/x@127.0.0.1:1/likeness",
        "postgres://likeness:12?S3CRETPW@127.0.0.1:1/likeness",
        "postgres://likeness:12#S3CRETPW@127.0.0.1:1/likeness",
        "postgres://likeness@127.0.0.1:1/likeness?passwd=S3CRETPW",
        "postgres://likeness@127.0.0.1:1/likeness?sslmode=S3CRETPW",
        "mysql://likeness:S3CRETPW@127.0.0.1:1/likeness",
        "sqlite:postgres://likeness:S3CRETPW@127.0.0.1:1/likeness",
        "S3CRETPW",
    ];
    // Nobody answers there.
    let right = "postgres://likeness:S3CRETPW@127.0.0.1:1/likeness";
    for arguments in commands {
        for url in wrong.iter().chain([&right]) {
            let ended = Process::run(
                likeness()
                    .args(arguments)
                    .current_dir(folder.path())
                    .env("LIKENESS_DATABASE_URL", url)
                    .env("LIKENESS__DATABASE__START_SECONDS", "0")
                    .env("RUST_LOG", "trace,onnxruntime=off"),
            )?;
            let only_read = arguments[0] == "config" && *url == right;
            ensure!(
                ended.code == Some(i32::from(!only_read)),
                "{arguments:?} {url}: {ended:?}"
            );
            ensure!(
                !ended.stdout.contains(PART) && !ended.stderr.contains(PART),
                "{arguments:?} shows the password of {url}: {ended:?}"
            );
        }
    }
    for arguments in [
        &["healthcheck", "--url", "http://likeness:S3CRETPW@127.0.0.1:1"][..],
        &["healthcheck", "--url", "http://likeness:12/S3CRETPW@127.0.0.1:1"],
        &["healthcheck", "--url", "likeness:S3CRETPW"],
        &[
            "doctor",
            "--app-id",
            "a",
            "--url",
            "http://likeness:S3CRETPW@127.0.0.1:1",
        ],
        &[
            "models",
            "pull",
            "--mirror",
            "http://likeness:S3CRETPW@127.0.0.1:1",
            "--models",
            "store",
        ],
        &[
            "models",
            "pull",
            "--mirror",
            "http:likeness:S3CRETPW@127.0.0.1:1",
            "--models",
            "store",
        ],
    ] {
        let ended = Process::run(
            likeness()
                .args(arguments)
                .current_dir(folder.path())
                .env("LIKENESS_APP_KEY", "0123456789abcdef"),
        )?;
        ensure!(ended.code == Some(1), "{arguments:?}: {ended:?}");
        ensure!(
            !ended.stdout.contains(PART) && !ended.stderr.contains(PART),
            "{arguments:?}: {ended:?}"
        );
    }
    Ok(())
}

#[cfg(unix)]
fn with_mode(path: &Path, mode: u32) -> Outcome {
    use std::os::unix::fs::PermissionsExt;
    Ok(std::fs::set_permissions(
        path,
        std::fs::Permissions::from_mode(mode),
    )?)
}

#[cfg(unix)]
fn readable() -> Outcome {
    let file = File::with(SETTINGS)?;
    let check = |mode| {
        with_mode(&file.path, mode)?;
        config("check", &file.path, |command| {
            command.env("LIKENESS_APPS", format!("branch:{SECRET}"));
        })
    };
    let closed = check(0o600)?;
    ensure!(closed.code == Some(0) && closed.stderr.is_empty(), "{closed:?}");
    for mode in [0o640, 0o644] {
        let open = check(mode)?;
        let remedy = format!("`chmod 600 '{}'`", file.path.display());
        ensure!(
            open.code == Some(0) && open.stderr.contains("warning: ") && open.stderr.contains(&remedy),
            "{open:?}"
        );
        ensure!(!open.stderr.contains(SECRET), "{open:?}");
    }
    Ok(())
}

#[cfg(unix)]
fn readable_serving() -> Outcome {
    let file = File::with(&format!("[[apps]]\nid = '{}'\nkey = '{}'\n", APP.id, APP.key))?;
    with_mode(&file.path, 0o644)?;
    let server = serve(&file)?;
    let line = server.log.wait_for("the warning", |line| {
        line.contains("WARN") && line.contains("file with secrets can be read by other users")
    })?;
    let path = file.path.display().to_string();
    ensure!(
        line.contains(&path) && line.contains("chmod 600") && line.contains("0644"),
        "{line}"
    );
    ensure!(!server.log.text().contains(APP.key), "{}", server.log.text());
    Ok(())
}

/// A detector whose pack takes a score of 0.5 for a face, and a selfie whose face scores 0.55.
fn face_threshold() -> Outcome {
    const PIXELS: &str =
        "input = { channels = \"rgb\", mean = [127.5, 127.5, 127.5], std = [128.0, 128.0, 128.0] }";
    let folder = tempfile::tempdir()?;
    let pack = folder.path().join("pack");
    TestPack::new("own")
        .detector(
            "detector",
            RedFaces::of(InputShape::one_of_any_size()).scrfd(),
            &format!("adapter = \"scrfd\"\n{PIXELS}\nscore_threshold = 0.5\nnms_iou = 0.4"),
        )
        .embedder(
            "embedder",
            Vectors::means(InputShape::one_square(112)).onnx(),
            &format!("adapter = \"aligned-crop\"\n{PIXELS}\nsize = 112\ndimensions = 3\ntemplate = \"arcface\""),
        )
        .liveness(
            "live",
            Vectors::constant(InputShape::squares(80), &[0.0, 2.0]).onnx(),
            "adapter = \"scaled-crop\"\ninput = { channels = \"bgr\" }\nsize = 80\ncrop_scale = 2.7\nclasses = 2\n\
             live_class = 1",
        )
        .with(
            "[calibration.match]\npeople = 3\ngenuine_comparisons = 4\nimpostor_comparisons = 5\n\
             measured = { from = 0.1, to = 0.9 }\n\
             provenance = { name = \"test\", method = \"by hand\", data = \"none\", date = \"2026-11-25\" }\n\
             points = [\n{ similarity = 0.2, confidence = 0.4, false_match_rate = 1e-3 },\n\
             { similarity = 0.8, confidence = 0.6, false_match_rate = 1e-4 },\n]\n",
        )
        .write(&pack)?;
    // sigmoid(6 * (196 - 127.5) / 128 - 3) is 0.55.
    let selfie = folder.path().join("selfie.png");
    image::RgbImage::from_fn(320, 320, |x, y| {
        let is_face = (128..160).contains(&x) && (128..160).contains(&y);
        image::Rgb([if is_face { 196 } else { 0 }, 0, 0])
    })
    .save(&selfie)?;
    let with_pack = |arguments: &[&str]| {
        let mut command = likeness();
        command
            .args(arguments)
            .arg("--pack")
            .arg(&pack)
            .arg("--models")
            .arg(folder.path());
        command
    };
    let said = Process::run(with_pack(&["liveness"]).arg(&selfie))?;
    ensure!(
        said.code == Some(0) && said.stdout.starts_with("LIVE"),
        "{said:?}"
    );

    let form = Form::new().file("selfie", &std::fs::read(&selfie)?);
    for (setting, sees_it) in [(None, true), (Some("0.5"), true), (Some("0.6"), false)] {
        let mut command = with_pack(&["serve", "--workers", "1", "--listen", "127.0.0.1:0"]);
        command.env("LIKENESS_APPS", format!("{}:{}", APP.id, APP.key));
        if let Some(score) = setting {
            command.env("LIKENESS__ENGINE__MIN_FACE_SCORE", score);
        }
        let server = Server::start_command(&mut command)?;
        let answer = server.post(LIVENESS, &form)?;
        let lacks_face = String::from_utf8_lossy(&answer.body).contains("\"faces_predicted\":[]");
        ensure!(lacks_face != sees_it, "min_face_score {setting:?}: {answer:?}");
    }
    Ok(())
}

/// A server with a file that asks for selfies of so many pixels a side.
fn serve(file: &File) -> Result<Server, Failed> {
    let mut command = likeness();
    command
        .args(["serve", "--workers", "1", "--listen", "127.0.0.1:0"])
        .args(["--admin-listen", "127.0.0.1:0", "--config"])
        .arg(&file.path)
        .env("LIKENESS_APPS", format!("{}:{}", APP.id, APP.key));
    Server::start_command(&mut command)
}

fn settings(min_side: u32) -> String {
    format!("[request_limits.v0_2]\nselfie = {{ min_side = {min_side}, max_side = 5000 }}\n")
}

fn status(server: &Server) -> Result<u16, Failed> {
    let form = Form::new().file("selfie", &flat(400, 400)?);
    Ok(server.post(LIVENESS, &form)?.status)
}

fn hang_up() -> Outcome {
    let file = File::with(&settings(401))?;
    let server = serve(&file)?;
    ensure!(status(&server)? == 422, "the file is not obeyed");

    file.write(&settings(400))?;
    server.hang_up()?;
    server.log.wait_for("the new settings", |line| {
        line.contains("settings reloaded") && line.contains("request_limits.v0_2.selfie.min_side")
    })?;
    ensure!(status(&server)? == 200, "the new settings do not hold");

    file.write("[request_limits]\nv0_2 = 'none'\n")?;
    server.hang_up()?;
    server.log.wait_for("what is wrong", |line| {
        line.contains("settings reload failed") && line.contains("request_limits.v0_2")
    })?;
    ensure!(status(&server)? == 200, "the settings before do not hold");
    Ok(())
}

fn operator() -> Outcome {
    let file = File::with(&settings(400))?;
    let server = serve(&file)?;
    let reload = || server.operate("POST", "/admin/reload", "");
    ensure!(!reload()?.json()?.has("settings_changed"), "nothing has changed");

    file.write(&format!("{}[connections]\nmax = 7\n", settings(401)))?;
    let answer = reload()?.json()?;
    let keys = |list: &str| -> Result<String, Failed> { Ok(format!("{:?}", answer.list(list)?)) };
    ensure!(
        keys("settings_changed")?.contains("request_limits.v0_2.selfie.min_side")
            && keys("settings_need_restart")?.contains("connections.max"),
        "{answer:?}"
    );
    ensure!(status(&server)? == 422, "the new settings do not hold");

    file.write("lisen = 1\n")?;
    let answer = reload()?;
    ensure!(
        answer.status == 422 && answer.json()?.text("error")?.contains("lisen"),
        "{answer:?}"
    );
    Ok(())
}

/// The log without RUST_LOG, which would win.
fn log_filter() -> Outcome {
    let log = |filter: &str| format!("{}[log]\nformat = 'json'\nfilter = '{filter}'\n", settings(400));
    let file = File::with(&log("warn"))?;
    let server = serve(&file)?;
    ensure!(status(&server)? == 200, "no answer");
    file.write(&log("info"))?;
    let reload = server.operate("POST", "/admin/reload", "")?.json()?;
    ensure!(
        format!("{:?}", reload.list("settings_changed")?).contains("log.filter"),
        "{reload:?}"
    );
    ensure!(status(&server)? == 200, "no answer");
    server
        .log
        .wait_for("the line of a request", |line| line.contains(LIVENESS))?;
    // Of the two requests one has a line.
    let lines: Vec<String> = server
        .log
        .text()
        .lines()
        .filter(|line| line.contains(LIVENESS))
        .map(ToOwned::to_owned)
        .collect();
    ensure!(lines.len() == 1 && lines[0].starts_with('{'), "{lines:?}");

    file.write(&log("likeness=loud"))?;
    let answer = server.operate("POST", "/admin/reload", "")?;
    ensure!(
        answer.status == 422 && answer.json()?.text("error")?.contains("log.filter"),
        "{answer:?}"
    );
    Ok(())
}

/// The command, with what the shell's `ulimit` sets.
#[cfg(unix)]
fn limited(limit: &str, command: &Command) -> Command {
    let mut limited = Command::new("sh");
    limited
        .arg("-c")
        .arg(format!("ulimit {limit} && exec \"$@\""))
        .arg("sh")
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        limited.current_dir(folder);
    }
    limited
}

#[cfg(unix)]
fn too_few_files() -> Outcome {
    let file = File::with("[connections]\nmax = 500\n")?;
    let mut serve = likeness();
    serve.args(["serve", "--config"]).arg(&file.path);
    let ended = Process::run(&mut limited("-n 400", &serve))?;
    ensure!(
        ended.code == Some(1)
            && ended.stderr.contains(
                "configuration: connections.max: 500 connections take up to 756 open files, and this process may have 400 \
                 (`ulimit -Hn`): raise that, or lower connections.max"
            ),
        "{ended:?}"
    );
    Ok(())
}

#[cfg(target_os = "linux")]
fn raised_files() -> Outcome {
    let server = Server::start(|command| *command = limited("-Sn 400", command))?;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.id()))?;
    let line = limits.lines().find(|line| line.starts_with("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().nth(3));
    ensure!(soft == Some("1280"), "{line:?}");
    Ok(())
}

fn certificate() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("tls.pem");
    std::fs::write(&path, "no certificate")?;
    #[cfg(unix)]
    with_mode(&path, 0o600)?;
    let file = File::with(&format!(
        "data_folder = '{1}'\n[tls]\ncertificate = '{0}'\nkey = '{0}'\n",
        path.display(),
        folder.path().display()
    ))?;
    let mut serve = likeness();
    serve
        .args(["serve", "--listen", "127.0.0.1:0", "--config"])
        .arg(&file.path)
        .env("LIKENESS_APPS", format!("branch:{SECRET}"));
    let ended = Process::run(&mut serve)?;
    let told: Vec<_> = ended
        .stderr
        .lines()
        .filter(|line| line.contains("tls.pem"))
        .collect();
    ensure!(
        ended.code == Some(1) && told.len() == 1 && told[0].starts_with("likeness: "),
        "{ended:?}"
    );
    Ok(())
}

fn old_names() -> Outcome {
    let file = File::with("[storage]\nfolder = 'old'\n")?;
    let shown = config("show", &file.path, |command| {
        command.arg("--changed").env("LIKENESS__LIMITS__FILE_BYTES", "7");
    })?;
    ensure!(shown.code == Some(0), "{shown:?}");
    let checked = config("check", &file.path, |command| {
        command
            .env("LIKENESS__LIMITS__FILE_BYTES", "7")
            .env("LIKENESS_STORAGE_URL", "sqlite::memory:");
    })?;
    let path = file.path.display();
    for warning in [
        format!("likeness: warning: `storage.folder` has been renamed to `data_folder` (in {path})"),
        "`LIKENESS__LIMITS__FILE_BYTES` has been renamed to `LIKENESS__REQUEST_LIMITS__FILE_BYTES`;"
            .to_owned(),
        "`LIKENESS_STORAGE_URL` has been renamed to `LIKENESS_DATABASE_URL`;".to_owned(),
    ] {
        ensure!(
            checked.code == Some(0) && checked.stderr.contains(&warning),
            "no {warning} in {checked:?}"
        );
    }
    let expected = format!(
        "data_folder = \"old\"  # {path}:2\nrequest_limits.file_bytes = 7  # LIKENESS__LIMITS__FILE_BYTES\n"
    );
    ensure!(shown.stdout == expected, "{shown:?}");

    let folder = tempfile::tempdir()?;
    for (arguments, warning, reached) in [
        (
            &["doctor", "--provider-option", "threads=2"][..],
            "`--provider-option` has been renamed to `--set engine.NAME=VALUE`",
            "engine.threads (set by --set)",
        ),
        (
            &["verify", "--no-rewrite", "shrink", "a.jpg", "b.jpg"],
            "`--no-rewrite` has been renamed to `--skip-optimizations`",
            "engine.skip_optimizations (set by --skip-optimizations)",
        ),
        (
            &["audit", "verify", "--from", "store", "--expect-head", "a"],
            "`--expect-head` has been renamed to `--expect-checkpoint`",
            "must be INSTANCE:NUMBER:HASH",
        ),
    ] {
        let ended = Process::run(
            likeness()
                .args(arguments)
                .env("LIKENESS__DATA_FOLDER", folder.path()),
        )?;
        let said = format!("{}{}", ended.stdout, ended.stderr);
        ensure!(
            said.contains(warning) && said.contains(reached),
            "{arguments:?}: {ended:?}"
        );
    }
    Ok(())
}

fn old_names_while_serving() -> Outcome {
    let file = File::with("[limits.v0_2]\nselfie = { min_side = 401, max_side = 5000 }\n")?;
    let server = serve(&file)?;
    server.log.wait_for("the warning", |line| {
        line.contains("WARN")
            && line.contains("setting has been renamed")
            && line.contains("request_limits.v0_2.selfie.min_side")
    })?;
    ensure!(status(&server)? == 422, "the file is not obeyed");
    Ok(())
}

fn engine_flags() -> Outcome {
    let help = |command: &[&str]| -> Result<String, Failed> {
        let ended = Process::run(likeness().args(command).arg("--help"))?;
        ensure!(ended.code == Some(0), "{ended:?}");
        Ok(ended.stdout)
    };
    let with_engine: [&[&str]; 9] = [
        &["serve"],
        &["verify"],
        &["liveness"],
        &["doctor"],
        &["eval", "match"],
        &["eval", "liveness"],
        &["calibrate", "match"],
        &["calibrate", "liveness"],
        &["models", "check"],
    ];
    for command in with_engine {
        let help = help(command)?;
        for flag in [
            "--config",
            "--set",
            "--models",
            "--pack",
            "--provider",
            "--ort-lib",
            "--workers",
        ] {
            ensure!(help.contains(flag), "{command:?} has no {flag}: {help}");
        }
    }
    let without: [&[&str]; 9] = [
        &["models", "pull"],
        &["models", "list"],
        &["models", "export"],
        &["models", "inspect"],
        &["apps", "list"],
        &["audit", "verify"],
        &["usage"],
        &["config", "show"],
        &["healthcheck"],
    ];
    for command in without {
        let help = help(command)?;
        for flag in [
            "--provider",
            "--ort-lib",
            "--workers",
            "--calibration",
            "--skip-optimizations",
        ] {
            ensure!(!help.contains(flag), "{command:?} has {flag}: {help}");
        }
    }
    Ok(())
}

/// The file names a provider that the library lacks: each command that opens an engine says so.
fn same_engine() -> Outcome {
    let file = File::with("[engine]\nprovider = 'directml'\n")?;
    let out = file.path.with_extension("out");
    let labels = file.path.with_extension("labels");
    std::fs::write(&labels, "file,species\na.jpg,live\n")?;
    let text = |path: &Path| path.display().to_string();
    let (labels, out) = (text(&labels), text(&out));
    let commands: [&[&str]; 7] = [
        &["serve", "--listen", "127.0.0.1:0"],
        &["verify", "a.jpg", "b.jpg"],
        &["liveness", "a.jpg"],
        &["doctor"],
        &["models", "check"],
        &["eval", "liveness", "--labels", &labels],
        &["calibrate", "liveness", "--labels", &labels, "--out", &out],
    ];
    for command in commands {
        let folder = tempfile::tempdir()?;
        let ended = Process::run(
            likeness()
                .args(command)
                .arg("--config")
                .arg(&file.path)
                .env("LIKENESS__DATA_FOLDER", folder.path()),
        )?;
        let said = format!("{}{}", ended.stdout, ended.stderr);
        ensure!(
            ended.code == Some(1) && said.contains("has no execution provider 'directml'"),
            "{command:?}: {ended:?}"
        );
    }
    Ok(())
}
