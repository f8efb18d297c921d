//! The settings of the real binary: what it makes of files and variables, and what it takes up while it serves.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use likeness::server::REFERENCE;
use likeness_testing::{Failed, Outcome, Suite, ensure};

use support::form::{Form, flat};
use support::process::{Ended, Process, likeness};
use support::server::{APP, Server};

mod support;

const LIVENESS: &str = "/v0.2/liveness-verification";
const SECRET: &str = "s3cret-Tq9wL1";

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test("show_says_what_holds_and_what_set_it", show);
    suite.test("what_show_writes_can_be_read_again", show_again);
    suite.test("check_names_the_key_that_is_wrong", check);
    suite.test("the_reference_is_a_file_to_begin_with", reference);
    suite.with_models(
        "a_certificate_that_cannot_be_read_is_one_line_and_no_start",
        certificate,
    );
    #[cfg(unix)]
    suite.test("more_connections_than_open_files_are_refused", too_few_files);
    #[cfg(target_os = "linux")]
    suite.with_models("the_limit_of_open_files_is_raised_as_needed", raised_files);
    suite.with_models("sighup_takes_up_what_can_be_changed_while_serving", hang_up);
    suite.with_models("an_operator_is_told_what_a_reload_took_up", operator);
    suite.with_models("the_log_follows_its_filter", log_filter);
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

[limits]
deadline_seconds = 2.5

[admin]
token = "s3cret-Tq9wL1"
"#;

fn show() -> Outcome {
    let file = File::with(SETTINGS)?;
    let path = file.path.display();
    let variables = |command: &mut Command| {
        command
            .env("LIKENESS_LISTEN", "127.0.0.1:9")
            .env("LIKENESS__LIMITS__V0_2__SELFIE__MIN_SIDE", "320")
            .env("LIKENESS_APPS", format!("branch:{SECRET}"));
    };
    let shown = config("show", &file.path, |command| {
        command.arg("--changed");
        variables(command);
    })?;
    let expected = format!(
        "admin.token = \"<redacted>\"  # {path}\n\
         apps = [{{ default_profile = \"strict-v0\", disabled = false, id = \"branch\", key = \"<redacted>\", \
         liveness_threshold_floor = 0.0 }}]  # {path}, LIKENESS_APPS\n\
         limits.deadline_seconds = 2.5  # {path}\n\
         limits.v0_2.selfie.min_side = 320  # LIKENESS__LIMITS__V0_2__SELFIE__MIN_SIDE\n\
         listen = \"127.0.0.1:9\"  # LIKENESS_LISTEN\n"
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
        "v0_2.selfie.min_side = 320  # LIKENESS__LIMITS__V0_2__SELFIE__MIN_SIDE",
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
    let right = File::with("[limits]\ndeadline_seconds = 2.5\n")?;
    let checked = config("check", &right.path, |_| {})?;
    ensure!(
        checked.code == Some(0) && checked.stdout.contains("1 are not at their default"),
        "{checked:?}"
    );
    for (text, named) in [
        ("[limits]\ndeadlin_seconds = 2.5\n", "deadlin_seconds"),
        ("[limits]\ndeadline_seconds = 0\n", "limits.deadline_seconds"),
        ("calibration_files = ['nowhere.toml']\n", "calibration_files"),
        (
            "[tls]\ncertificate = 'nowhere.pem'\nkey = 'nowhere.key'\n",
            "tls: the TLS file nowhere.pem cannot be read",
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
    let without_origins = |text: &str| text.replace(&format!("  # {}", file.path.display()), "");
    let (found, empty) = (whole(&file.path)?, whole(&File::with("")?.path)?);
    ensure!(
        without_origins(&found.stdout) == empty.stdout && changed.stdout.is_empty(),
        "{}\ninstead of\n{}",
        found.stdout,
        empty.stdout
    );
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
    format!("[limits.v0_2]\nselfie = {{ min_side = {min_side}, max_side = 5000 }}\n")
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
        line.contains("new settings hold from now on") && line.contains("limits.v0_2.selfie.min_side")
    })?;
    ensure!(status(&server)? == 200, "the new settings do not hold");

    file.write("[limits]\nv0_2 = 'none'\n")?;
    server.hang_up()?;
    server.log.wait_for("what is wrong", |line| {
        line.contains("the new settings cannot be used") && line.contains("limits.v0_2")
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
        keys("settings_changed")?.contains("limits.v0_2.selfie.min_side")
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
    let file = File::with(&format!(
        "[tls]\ncertificate = '{0}'\nkey = '{0}'\n[storage]\nfolder = '{1}'\n",
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
