//! Files that are full, and lines that are too old.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Instant;

use hmac::{Hmac, Mac};
use likeness_testing::{Failed, Outcome, Suite, ensure};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::run::{LIVENESS, audit, files, selfie, serve, stop};
use crate::support::TIMEOUT;
use crate::support::process::Process;
use crate::support::server::APP;
use crate::support::storage::Storage;

pub(crate) fn tests(suite: &mut Suite) {
    suite.with_any_models("a_file_that_is_full_is_followed_by_another", rotated);
    suite.with_any_models("what_is_too_old_goes_and_the_rest_is_whole", removed);
}

/// What the service's own chain is keyed with.
const KEY: &str = "a-key-for-tests-0123456789abcdef";

fn whole(storage: &Storage) -> Outcome {
    for from in ["database", "files"] {
        let mut command = storage.command(&["audit", "verify", "--from", from]);
        command.env("LIKENESS_AUDIT_CHAIN_KEY", KEY);
        let ended = Process::run(&mut command)?;
        ensure!(
            ended.code == Some(0) && ended.stdout.contains("The audit log is intact."),
            "{from}: {ended:?}"
        );
    }
    Ok(())
}

/// The number that the name of a file begins with: that of its first line.
fn first_line_of(file: &std::path::Path) -> Result<u64, Failed> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    Ok(name.split('-').next().unwrap_or_default().parse()?)
}

fn rotated() -> Outcome {
    const FULL: u64 = 1 << 20;
    let storage = Storage::new()?;
    let server = serve(&storage, |command| {
        command
            .env("LIKENESS__AUDIT__ROTATE_MIB", "1")
            .env("LIKENESS_AUDIT_CHAIN_KEY", KEY);
    })?;
    // Refused as soon as its app is known, and recorded.
    let id = "x".repeat(128);
    let headers = APP.headers();
    let request = format!(
        "POST {LIVENESS} HTTP/1.1\r\nHost: localhost\r\n{headers}X-Request-ID: {id}\r\nContent-Length: 0\r\n\r\n"
    );
    let mut connection = server.connect()?;
    let mut asked = 0;
    while files(&storage)?.len() < 3 {
        ensure!(asked < 10_000, "no other file is begun");
        for _ in 0..100 {
            connection.send(request.as_bytes())?;
            let answer = connection.response()?;
            ensure!(answer.status == 400, "{answer:?}");
            asked += 1;
        }
    }
    stop(&server)?;
    whole(&storage)?;
    let files = files(&storage)?;
    let mut next = 1;
    for (index, file) in files.iter().enumerate() {
        ensure!(
            first_line_of(file)? == next,
            "{} begins elsewhere",
            file.display()
        );
        let text = std::fs::read_to_string(file)?;
        next += text.lines().count() as u64;
        let is_last = index + 1 == files.len();
        // No further than the lines that are written together, 256 of them.
        let length = text.len() as u64;
        ensure!(
            is_last || (FULL..FULL + (256 << 10)).contains(&length),
            "{} has {length} bytes",
            file.display()
        );
    }
    // All requests, and the begin and end of the service.
    ensure!(next - 1 == asked + 2, "{} lines of {asked} requests", next - 1);
    Ok(())
}

/// A chain that a service began in 2023, with its key.
fn old_chain(storage: &Storage, lines: u64) -> Result<PathBuf, Failed> {
    let instance = "0b8c1a4e-3c1d-4c8e-9f57-2f6f3f1f8a10";
    let folder = storage.folder().join("audit").join(instance);
    std::fs::create_dir_all(&folder)?;
    let mut text = String::new();
    let mut prev = "0".repeat(64);
    for seq in 1..=lines {
        let event = json!({ "time": format!("2023-11-14T22:13:{seq:02}Z"), "kind": "verification" });
        let mut mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes())?;
        mac.update(format!("{instance}\n{seq}\n{prev}\n{event}").as_bytes());
        let mut hash = String::new();
        for byte in mac.finalize().into_bytes() {
            write!(hash, "{byte:02x}")?;
        }
        let line = json!({ "instance": instance, "seq": seq, "prev": prev, "hash": hash, "event": event });
        writeln!(text, "{line}")?;
        prev = hash;
    }
    let file = folder.join(format!("{:016}-20231114.jsonl", 1));
    std::fs::write(&file, text)?;
    Ok(file)
}

fn removed() -> Outcome {
    const OLD: u64 = 30;
    let storage = Storage::new()?;
    let old = old_chain(&storage, OLD)?;
    let run = |removes: bool| -> Outcome {
        let server = serve(&storage, |command| {
            command
                .env("LIKENESS__AUDIT__RETENTION_DAYS", "400")
                .env("LIKENESS_AUDIT_CHAIN_KEY", KEY);
        })?;
        ensure!(server.post(LIVENESS, &selfie()?)?.status == 200, "a verification");
        let begun = Instant::now();
        while removes && old.exists() {
            ensure!(
                begun.elapsed() < TIMEOUT,
                "{} stays\n{}",
                old.display(),
                server.log.text()
            );
            server.get("/healthz")?;
        }
        stop(&server)
    };
    // What is too old is removed when a service begins, but never the last file: that may be the second one's turn.
    run(false)?;
    run(true)?;
    let left = files(&storage)?;
    ensure!(left.len() == 2 && first_line_of(&left[0])? == OLD + 1, "{left:?}");
    whole(&storage)?;
    // Of the storage too.
    let ended = audit(&storage, &["export", "--since", "2020-01-01"])?;
    ensure!(
        ended.code == Some(0) && ended.stdout.lines().count() == 6 && !ended.stdout.contains("2023-11-14"),
        "{ended:?}"
    );

    // Without the key, another record is removed, and the checkpoint set accordingly.
    let text = std::fs::read_to_string(&left[0])?;
    let (first, rest) = text.split_once('\n').ok_or("no line")?;
    let line: Value = serde_json::from_str(first)?;
    let checkpoint = old.with_file_name("checkpoint.json");
    let mut said: Value = serde_json::from_str(&std::fs::read_to_string(&checkpoint)?)?;
    said["seq"] = line["seq"].clone();
    said["hash"] = line["hash"].clone();
    std::fs::write(&checkpoint, said.to_string())?;
    std::fs::write(&left[0], rest)?;
    let mut command = storage.command(&["audit", "verify", "--from", "files"]);
    command.env("LIKENESS_AUDIT_CHAIN_KEY", KEY);
    let found = Process::run(&mut command)?;
    ensure!(
        found.code == Some(4) && found.stdout.contains("is not sealed with this key"),
        "{found:?}"
    );
    Ok(())
}
