//! Files that are taken away while the service runs: as `logrotate`, a cleaner of temporary files or a mistaken operator do.

use std::path::Path;
use std::time::Instant;

use likeness_testing::{Failed, Outcome, Suite, ensure};
use serde_json::Value;

use crate::run::{LIVENESS, audit, events_of, files, selfie, serve, stop};
use crate::support::server::Server;
use crate::support::storage::Storage;
use crate::support::{TIMEOUT, for_each};

pub(crate) fn tests(suite: &mut Suite) {
    suite.with_any_models(
        "no_result_goes_out_whose_record_was_taken_away_where_it_must_be_recorded",
        required,
    );
    suite.with_any_models(
        "results_go_on_and_their_records_are_put_back_where_they_need_not_be",
        best_effort,
    );
    suite.with_any_models(
        "a_database_that_is_replaced_stops_results_that_must_be_recorded",
        replaced,
    );
}

/// What somebody does to the storage's folder.
type Act = fn(&Storage) -> Outcome;

fn each_file(storage: &Storage, act: impl Fn(&Path) -> std::io::Result<()>) -> Outcome {
    let files = files(storage)?;
    ensure!(!files.is_empty(), "there are no files");
    Ok(files.iter().try_for_each(|file| act(file))?)
}

/// Removes a folder in which the service may just be making a file.
fn remove_folder(folder: &Path) -> std::io::Result<()> {
    loop {
        match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => {}
            outcome => return outcome,
        }
    }
}

/// Of the audit.
const AUDIT: [(&str, Act); 6] = [
    ("files removed", |storage| {
        each_file(storage, |file| std::fs::remove_file(file))
    }),
    ("files moved and made anew", |storage| {
        each_file(storage, |file| {
            std::fs::rename(file, file.with_extension("jsonl.1"))?;
            std::fs::write(file, "")
        })
    }),
    ("files copied and emptied", |storage| {
        each_file(storage, |file| {
            std::fs::copy(file, file.with_extension("jsonl.1"))?;
            std::fs::write(file, "")
        })
    }),
    ("folder removed", |storage| {
        Ok(remove_folder(&storage.folder().join("audit"))?)
    }),
    ("folder renamed", |storage| {
        let folder = storage.folder().join("audit");
        Ok(std::fs::rename(&folder, folder.with_extension("old"))?)
    }),
    ("all removed", |storage| {
        for entry in std::fs::read_dir(storage.folder())? {
            let path = entry?.path();
            let removed = if path.is_dir() {
                remove_folder(&path)
            } else {
                std::fs::remove_file(path)
            };
            match removed {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }),
];

/// Of the database.
const DATABASE: [(&str, Act); 2] = [
    ("database removed", |storage| {
        Ok(std::fs::remove_file(storage.folder().join("likeness.db"))?)
    }),
    ("write-ahead log removed", |storage| {
        Ok(std::fs::remove_file(storage.folder().join("likeness.db-wal"))?)
    }),
];

/// Asks for a result; its status and id.
fn verify(server: &Server) -> Result<(u16, String), Failed> {
    let answer = server.post(LIVENESS, &selfie()?)?;
    Ok((answer.status, answer.id()?.to_owned()))
}

/// The ids of so many requests that got a result, whatever others got.
fn results(server: &Server, count: usize) -> Result<Vec<String>, Failed> {
    let begun = Instant::now();
    let mut results = Vec::new();
    while results.len() < count {
        let (status, id) = verify(server)?;
        match status {
            200 => results.push(id),
            503 => ensure!(
                begun.elapsed() < TIMEOUT,
                "it goes on to refuse\n{}",
                server.log.text()
            ),
            _ => return Err(format!("status {status}").into()),
        }
    }
    Ok(results)
}

/// Each of these has its record in the files or in the storage, and both chains are whole, or say what is missing.
fn all_on_record(storage: &Storage, ids: &[String]) -> Outcome {
    let (files, store) = (events_of(storage, "files")?, events_of(storage, "database")?);
    for id in ids {
        let is_in = |events: &[Value]| events.iter().any(|event| event["request_id"] == id.as_str());
        ensure!(
            is_in(&files) || is_in(&store),
            "{id} is neither in the files nor in the storage"
        );
    }
    for from in ["files", "database"] {
        let checked = audit(storage, &["verify", "--from", from])?;
        let is_whole = checked.code == Some(0) && checked.stdout.contains("The audit log is intact.");
        let says_what = checked.code == Some(4) && checked.stdout.contains("expected record");
        // What a file lacked that was emptied after the storage had its records.
        let is_missing = from == "files" && store.iter().any(|event| !files.contains(event));
        ensure!(
            if is_missing { says_what } else { is_whole },
            "{from}: {checked:?}"
        );
    }
    Ok(())
}

fn errors(server: &Server) -> Vec<String> {
    let log = server.log.text();
    let errors = log.lines().filter(|line| line.contains("ERROR"));
    errors.map(ToOwned::to_owned).collect()
}

fn required() -> Outcome {
    let cases = AUDIT.into_iter().map(|case| (case, true));
    let cases = cases.chain(DATABASE.into_iter().map(|case| (case, false)));
    for_each(
        cases.map(|(case, refuses)| (case.0, (case.1, refuses))),
        |(act, refuses)| {
            let storage = Storage::new()?;
            let server = serve(&storage, |command| {
                command
                    .env("LIKENESS__AUDIT__MODE", "required")
                    .env("LIKENESS__AUDIT__WAIT_MS", "5000")
                    // Not before a request: it is that which must notice.
                    .env("LIKENESS__AUDIT__SYNC_SECONDS", "600");
            })?;
            let mut ids = results(&server, 2)?;
            act(&storage)?;
            let (status, id) = verify(&server)?;
            ensure!(!refuses || status == 503, "status {status} for {id}");
            ids.extend((status == 200).then_some(id));
            ids.extend(results(&server, 6)?);
            server.log.wait_for("what is wrong", |line| {
                line.contains("ERROR") && line.contains("while in use")
            })?;
            stop(&server)?;
            all_on_record(&storage, &ids)
        },
    )
}

fn best_effort() -> Outcome {
    let cases = AUDIT.into_iter().chain(DATABASE);
    for_each(cases, |act| {
        let storage = Storage::new()?;
        let server = serve(&storage, |command| {
            command.env("LIKENESS__AUDIT__SYNC_SECONDS", "0.1");
        })?;
        let mut ids = results(&server, 2)?;
        act(&storage)?;
        for _ in 0..6 {
            let (status, id) = verify(&server)?;
            ensure!(status == 200, "status {status}");
            ids.push(id);
        }
        server.log.wait_for("that it is over", |line| {
            line.contains("restored audit files") || line.contains("restored the database")
        })?;
        let told = errors(&server);
        let of_audit = told.iter().filter(|line| line.contains("cannot write the audit"));
        ensure!(of_audit.count() <= 1, "{told:?}");
        ensure!(!told.is_empty(), "no error is logged");
        stop(&server)?;
        all_on_record(&storage, &ids)
    })
}

/// Another database is not touched: an operator has put it there, and must say what is to become of it.
fn replaced() -> Outcome {
    let storage = Storage::new()?;
    let server = serve(&storage, |command| {
        command
            .env("LIKENESS__AUDIT__MODE", "required")
            .env("LIKENESS__AUDIT__WAIT_MS", "5000");
    })?;
    let mut ids = results(&server, 2)?;
    let file = storage.folder().join("likeness.db");
    let aside = storage.folder().join("aside.db");
    std::fs::rename(&file, &aside)?;
    std::fs::write(&file, "another one")?;
    server.log.wait_for("what is wrong", |line| {
        line.contains("ERROR") && line.contains("replaced while in use")
    })?;
    let begun = Instant::now();
    loop {
        let (status, id) = verify(&server)?;
        if status == 503 {
            break;
        }
        ids.push(id);
        ensure!(begun.elapsed() < TIMEOUT, "results go on");
    }
    ensure!(
        std::fs::read(&file)? == b"another one",
        "the other file was changed"
    );
    std::fs::rename(&aside, &file)?;
    ids.extend(results(&server, 2)?);
    stop(&server)?;
    all_on_record(&storage, &ids)
}
