//! An audit that was tampered with.

use likeness_testing::{Failed, Outcome, Postgres, Suite, ensure, ensure_eq};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::run::{LIVENESS, audit, files, selfie, serve, stop};
use crate::support::process::Process;
use crate::support::storage::Storage;

pub(crate) fn tests(suite: &mut Suite) {
    suite.with_any_models("tampering_is_detected", tampered);
    suite.with_any_models_and_postgres("all_chains_of_two_replicas_are_verified_at_once", all);
    suite.test("an_absent_audit_is_not_called_valid", nothing);
}

fn tampered() -> Outcome {
    let storage = Storage::new()?;
    let server = serve(&storage, |_| {})?;
    for _ in 0..3 {
        ensure!(server.post(LIVENESS, &selfie()?)?.status == 200, "a verification");
    }
    stop(&server)?;
    let whole = audit(&storage, &["verify"])?;
    ensure!(
        whole.code == Some(0) && whole.stdout.contains("The audit log is intact."),
        "{whole:?}"
    );
    let checkpoint = whole
        .stdout
        .split_whitespace()
        .find(|word| word.matches(':').count() == 2)
        .ok_or("no checkpoint")?
        .to_owned();
    let from_files = audit(
        &storage,
        &["verify", "--from", "files", "--expect-checkpoint", &checkpoint],
    )?;
    ensure!(
        from_files.code == Some(0) && from_files.stderr.is_empty(),
        "{from_files:?}"
    );
    // The former names work, with a warning.
    let former = audit(
        &storage,
        &["verify", "--from", "store", "--expect-head", &checkpoint],
    )?;
    ensure!(
        former.code == Some(0)
            && former.stderr.contains("renamed to `--from database`")
            && former.stderr.contains("renamed to `--expect-checkpoint`"),
        "{former:?}"
    );

    let file = files(&storage)?.remove(0);
    let right = std::fs::read_to_string(&file)?;
    let without_line = |number: usize| -> String {
        let lines = right.lines().enumerate().filter(|(at, _)| *at != number);
        lines.map(|(_, line)| format!("{line}\n")).collect()
    };
    for (what, text, said) in [
        (
            "changed",
            right.replacen("\"liveness\":0.0", "\"liveness\":0.9", 1),
            "was changed",
        ),
        ("removed", without_line(2), "were removed"),
        ("cut", without_line(4), "records are missing at its end"),
    ] {
        ensure!(text != right, "{what}: nothing was");
        std::fs::write(&file, &text)?;
        let found = audit(
            &storage,
            &["verify", "--from", "files", "--expect-checkpoint", &checkpoint],
        )?;
        ensure!(
            found.code == Some(4) && found.stdout.contains(said),
            "{what}: {found:?}"
        );
    }
    // Forged with the right hashes, and longer than the checkpoint: only that reveals it.
    std::fs::write(&file, forged(&right)?)?;
    let without = audit(&storage, &["verify", "--from", "files"])?;
    ensure!(without.code == Some(0), "{without:?}");
    let found = audit(
        &storage,
        &["verify", "--from", "files", "--expect-checkpoint", &checkpoint],
    )?;
    ensure!(
        found.code == Some(4) && found.stdout.contains("no chain contains"),
        "{found:?}"
    );
    Ok(())
}

fn all(postgres: &Postgres) -> Outcome {
    let url = postgres.new_database()?;
    let storages = [Storage::at(&url)?, Storage::at(&url)?];
    for storage in &storages {
        let server = serve(storage, |_| {})?;
        ensure!(server.post(LIVENESS, &selfie()?)?.status == 200, "a verification");
        stop(&server)?;
    }
    // A line for each chain: its place, its instance, its state.
    let verify = |arguments: &[&str]| audit(&storages[0], &[&["verify", "--all"], arguments].concat());
    let states = |stdout: &str| -> Vec<String> {
        let lines = stdout.lines().filter_map(|line| {
            let (place, rest) = line.split_once(": ")?;
            let (_, state) = rest.split_once(": ")?;
            Some(format!("{place}: {}", state.split(", up to ").next()?))
        });
        lines.collect()
    };
    let whole = verify(&[])?;
    ensure!(whole.code == Some(0), "{whole:?}");
    ensure_eq!(
        states(&whole.stdout),
        [
            "files: intact, 3 records",
            "database: intact, 3 records",
            "database: intact, 3 records",
        ]
    );
    ensure!(
        whole
            .stdout
            .ends_with("3 of 3 chains are intact, 9 records.\nThe audit log is intact.\n"),
        "{whole:?}"
    );

    // A checkpoint of the other replica is in the database alone, and one of neither is a fault.
    let other = audit(&storages[1], &["verify", "--from", "files"])?;
    let checkpoint = other
        .stdout
        .split_whitespace()
        .find(|word| word.matches(':').count() == 2)
        .ok_or("no checkpoint")?;
    let found = verify(&["--expect-checkpoint", checkpoint])?;
    ensure!(found.code == Some(0), "{found:?}");
    let (rest, _) = checkpoint.rsplit_once(':').ok_or("no hash")?;
    let found = verify(&["--expect-checkpoint", &format!("{rest}:{}", "0".repeat(64))])?;
    ensure!(
        found.code == Some(4) && found.stdout.contains("FAULT no chain contains the checkpoint"),
        "{found:?}"
    );

    // One of the chains was changed: the worst counts, and the others are still verified.
    let file = files(&storages[0])?.remove(0);
    let right = std::fs::read_to_string(&file)?;
    std::fs::write(&file, right.replacen("\"liveness\":0.0", "\"liveness\":0.9", 1))?;
    let found = verify(&[])?;
    ensure!(found.code == Some(4), "{found:?}");
    ensure_eq!(
        states(&found.stdout),
        [
            "files: NOT intact after 1 records: record 2 or the one before it was changed, or it was hashed with another key",
            "database: intact, 3 records",
            "database: intact, 3 records",
        ]
    );
    ensure!(found.stdout.contains("2 of 3 chains are intact"), "{found:?}");
    let usage = audit(&storages[0], &["verify", "--all", "--from", "files"])?;
    ensure!(usage.code == Some(2), "{usage:?}");

    // Without the database a fault in the files is found, and without one nothing is called intact.
    let without_database = || {
        let mut command = storages[0].command(&["audit", "verify", "--all"]);
        command
            .env(
                "LIKENESS_DATABASE_URL",
                "postgres://likeness@127.0.0.1:1/likeness",
            )
            .env("LIKENESS__DATABASE__START_SECONDS", "1");
        Process::run(&mut command)
    };
    let found = without_database()?;
    ensure!(
        found.code == Some(4)
            && found
                .stdout
                .contains("database: not verified: cannot reach database"),
        "{found:?}"
    );
    std::fs::write(&file, &right)?;
    let found = without_database()?;
    ensure!(
        found.code == Some(1) && found.stdout.contains("files: ") && !found.stdout.contains("log is intact"),
        "{found:?}"
    );
    Ok(())
}

/// The same lines with another score, and one more, all hashed as they should be.
fn forged(right: &str) -> Result<String, Failed> {
    let mut events = Vec::new();
    let mut instance = String::new();
    for line in right.lines() {
        let whole: Value = serde_json::from_str(line)?;
        whole["instance"]
            .as_str()
            .ok_or("no instance")?
            .clone_into(&mut instance);
        let (_, event) = line.split_once("\"event\":").ok_or("no event")?;
        let event = event.strip_suffix('}').ok_or("no end")?;
        events.push(event.replace("\"liveness\":0.0", "\"liveness\":0.9"));
    }
    events.extend(events.last().cloned());
    let mut prev = "0".repeat(64);
    let mut lines = Vec::new();
    for (seq, event) in (1..).zip(events) {
        let digest = Sha256::digest(format!("{instance}\n{seq}\n{prev}\n{event}"));
        let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        lines.push(format!(
            "{{\"instance\":\"{instance}\",\"seq\":{seq},\"prev\":\"{prev}\",\"hash\":\"{hash}\",\"event\":{event}}}\n"
        ));
        prev = hash;
    }
    Ok(lines.concat())
}

fn nothing() -> Outcome {
    let storage = Storage::new()?;
    let instance = storage
        .folder()
        .join("audit/6f1f9b1e-7c3a-4d57-9f0c-2b8f6a1d3e55");
    for made in [false, true] {
        if made {
            std::fs::create_dir_all(&instance)?;
        }
        for from in ["files", "database"] {
            let found = audit(&storage, &["verify", "--from", from])?;
            ensure!(
                found.code == Some(1)
                    && found.stdout.contains("No audit records in")
                    && !found.stdout.contains("intact"),
                "{found:?}"
            );
        }
        let found = audit(&storage, &["verify", "--all"])?;
        ensure!(
            found.code == Some(1) && found.stdout.contains("No audit records in"),
            "{found:?}"
        );
    }
    Ok(())
}
