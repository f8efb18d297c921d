//! The systemd unit: that systemd accepts it, how far it confines the service, and that the service works so confined.

use std::path::{Path, PathBuf};
use std::process::Command;

use likeness_testing::http::{Form, flat};
use likeness_testing::{Failed, Outcome, Suite, ensure, program, workspace};

use super::support::process::{Ended, Process, likeness};
use super::support::server::{APP, Server};

const LIVENESS: &str = "/v0.2/liveness-verification";
const ANALYZE: &str = "systemd-analyze";

pub(crate) fn tests(suite: &mut Suite) {
    suite.with_program("unit::systemd_accepts_it", ANALYZE, verified);
    suite.with_program("unit::it_is_hardened", ANALYZE, hardened);
    suite.with_any_models_and_program(
        "unit::the_service_works_with_the_system_calls_that_it_allows",
        ANALYZE,
        confined,
    );
    suite.with_any_models_and_program(
        "unit::the_service_does_not_start_without_system_calls_that_it_needs",
        ANALYZE,
        confined_too_much,
    );
    let needed = program(ANALYZE).and_then(|analyze| program("heif-enc").map(|_| analyze));
    suite.with(
        "unit::the_process_that_decodes_heic_confines_itself_further",
        needed,
        |analyze| confined_twice(&analyze),
    );
    suite.test("unit::each_credential_sets_a_key", credentials);
}

fn file() -> PathBuf {
    workspace().join("deploy/systemd/likeness.service")
}

fn text() -> Result<String, Failed> {
    Ok(std::fs::read_to_string(file())?)
}

/// What systemd says to a unit in a file system that has what the unit names.
fn verify(analyze: &Path, unit: &str) -> Result<Ended, Failed> {
    let root = tempfile::tempdir()?;
    let put = |name: &str, text: &str| {
        let path = root.path().join(name);
        std::fs::create_dir_all(path.parent().ok_or("no folder")?)?;
        Ok::<PathBuf, Failed>(std::fs::write(&path, text).map(|()| path)?)
    };
    for program in ["usr/local/bin/likeness", "bin/kill"] {
        let path = put(program, "#!/bin/sh\n")?;
        Process::run(Command::new("chmod").arg("755").arg(path))?;
    }
    for target in ["sysinit", "basic", "shutdown", "network-online", "multi-user"] {
        put(&format!("etc/systemd/system/{target}.target"), "[Unit]\n")?;
    }
    put("etc/systemd/system/likeness.service", unit)?;
    Process::run(
        Command::new(analyze)
            .args(["verify", "--man=no", "--recursive-errors=one", "--root"])
            .arg(root.path())
            .arg("likeness.service"),
    )
}

fn verified(analyze: &Path) -> Outcome {
    let ended = verify(analyze, &text()?)?;
    ensure!(ended.code == Some(0) && ended.stderr.is_empty(), "{ended:?}");
    for (from, to, complaint) in [
        ("ProtectSystem=", "ProtectSytem=", "ProtectSytem"),
        (
            "SystemCallFilter=@system-service",
            "SystemCallFilter=@service",
            "@service",
        ),
        ("ExecStart=/usr/local", "ExecStart=/opt", "/opt/bin/likeness"),
    ] {
        let spoilt = text()?.replacen(from, to, 1);
        let ended = verify(analyze, &spoilt)?;
        ensure!(ended.stderr.contains(complaint), "{to} is taken: {ended:?}");
    }
    Ok(())
}

fn hardened(analyze: &Path) -> Outcome {
    // 1.2 as systemd 252 weighs it; other versions weigh a little otherwise.
    let ended = Process::run(
        Command::new(analyze)
            .args(["security", "--offline=true", "--threshold=15"])
            .arg(file()),
    )?;
    ensure!(ended.code == Some(0), "{ended:?}");
    let text = text()?;
    for line in [
        "LimitCORE=0",
        "MemorySwapMax=0",
        "DynamicUser=yes",
        "NoNewPrivileges=yes",
        "MemoryDenyWriteExecute=yes",
    ] {
        ensure!(text.lines().any(|found| found == line), "no {line}");
    }
    Ok(())
}

/// The binary with the system calls that a unit leaves it.
fn confine(analyze: &Path, unit: &Path, arguments: &[&str]) -> Command {
    let binary = likeness();
    let mut command = super::python("scripts/confine.py");
    command
        .arg(unit)
        .arg(binary.get_program())
        .args(arguments)
        .env("LIKENESS_SYSTEMD_ANALYZE", analyze)
        // Where audit records expire there is no warning about a disk that is nearly full.
        .env("LIKENESS__AUDIT__RETENTION_DAYS", "1")
        .env("LIKENESS_APPS", format!("{}:{}", APP.id, APP.key));
    command
}

const SERVE: [&str; 5] = ["serve", "--workers", "2", "--listen", "127.0.0.1:0"];

fn confined(analyze: &Path) -> Outcome {
    let server = Server::start_command(&mut confine(analyze, &file(), &SERVE))?;
    let form = Form::new().file("selfie", &flat(400, 400)?);
    let response = server.post(LIVENESS, &form)?;
    ensure!(response.status == 200, "{response:?}");
    server.hang_up()?;
    server.log.wait_for("what came of SIGHUP", |line| {
        line.contains("the configuration") || line.contains("models")
    })?;
    server.terminate()?;
    let status = server.wait()?;
    let log = server.log.text();
    ensure!(status.code() == Some(0), "{status}\n{log}");
    // ONNX Runtime says so where it cannot learn something.
    ensure!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
    Ok(())
}

fn confined_twice(analyze: &Path) -> Outcome {
    let report = [likeness::heif::COMMAND, "--report"];
    let ended = Process::run(&mut confine(analyze, &file(), &report))?;
    ensure!(
        ended.code == Some(0) && ended.stdout.contains("libde265"),
        "{ended:?}"
    );
    Ok(())
}

fn confined_too_much(analyze: &Path) -> Outcome {
    for (line, refused) in [
        ("SystemCallFilter=~@network-io", "Operation not permitted"),
        ("RestrictAddressFamilies=AF_UNIX", "not supported by protocol"),
    ] {
        let unit = tempfile::NamedTempFile::new()?;
        let text = text()?
            .replace("RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX\n", "")
            .replace("[Install]", &format!("{line}\n[Install]"));
        std::fs::write(unit.path(), text)?;
        let folder = tempfile::tempdir()?;
        let ended =
            Process::run(confine(analyze, unit.path(), &SERVE).env("LIKENESS__DATA_FOLDER", folder.path()))?;
        ensure!(
            ended.code != Some(0) && ended.stderr.contains(refused),
            "with {line}: {ended:?}"
        );
    }
    let writable_code =
        "import mmap; mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)";
    let ended = Process::run(
        super::python("scripts/confine.py")
            .arg(file())
            .args(["python3", "-c", writable_code])
            .env("LIKENESS_SYSTEMD_ANALYZE", analyze),
    )?;
    ensure!(
        ended.stderr.contains("PermissionError"),
        "memory is writable code: {ended:?}"
    );
    Ok(())
}

fn credentials() -> Outcome {
    let text = text()?;
    let names: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("LoadCredential="))
        .collect();
    ensure!(names.len() == 5, "{names:?}");
    let folder = tempfile::tempdir()?;
    for name in &names {
        let secret = match *name {
            "likeness.database-url" => "sqlite:s3cret.db",
            // At least 16 characters.
            "likeness.console-token" => "s3cret-of-the-console",
            _ => "s3cret",
        };
        std::fs::write(folder.path().join(name), format!("{secret}\n"))?;
    }
    let ended = Process::run(
        likeness()
            .args(["config", "show", "--changed"])
            .env("CREDENTIALS_DIRECTORY", folder.path()),
    )?;
    ensure!(
        ended.code == Some(0) && !ended.stdout.contains("s3cret"),
        "{ended:?}"
    );
    for name in names {
        ensure!(
            ended.stdout.contains(name),
            "{name} sets nothing: {}",
            ended.stdout
        );
    }
    Ok(())
}
