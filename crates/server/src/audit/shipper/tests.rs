//! Moving records into the database, its lag, and retention.

use jiff::Timestamp;
use std::io::Write;
use std::iter::repeat_n;

use likeness_storage::{Place, Settings};
use serde_json::json;

use super::*;
use crate::audit::chain::{Fault, FaultKind};
use crate::audit::tests::fakes::Log;
use crate::audit::verify::{verify_database, verify_files};

/// The time of the first line; each later one is a second younger.
const FIRST: i64 = 1_700_000_000_000_000;
const SECOND: i64 = 1_000_000;
const DAY: Duration = Duration::from_secs(86_400);

/// A folder with so many lines in files of a hundred.
fn folder(audit: &std::path::Path, lines: u64) -> Arc<Folder> {
    folder_by(&ChainKey::default(), audit, lines)
}

fn folder_by(key: &ChainKey, audit: &std::path::Path, lines: u64) -> Arc<Folder> {
    let folder = Folder::create(audit).unwrap();
    let mut end = Checkpoint::default();
    for number in 0..lines {
        let time = Timestamp::from_microsecond(FIRST + number as i64 * SECOND).unwrap();
        let event = json!({ "time": time.to_string(), "kind": "verification" });
        let event = serde_json::value::to_raw_value(&event).unwrap();
        let line = end.extend(key, &folder.instance, &event).unwrap();
        let path = folder.file(number / 100 * 100 + 1, "20231114");
        let mut file = folder::open(&path).unwrap();
        file.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
    Arc::new(folder)
}

async fn shipper(folder: &Arc<Folder>, written: u64) -> (Shipper, SharedState) {
    let database = Database::open(&Settings::new(Place::Memory)).await.unwrap();
    let state = SharedState::default();
    let config = AuditConfig::default();
    let shipper = Shipper::new(Arc::clone(folder), Arc::clone(&state), database, &config, written);
    (shipper.unwrap(), state)
}

/// Cleans up batch by batch; how many there were.
async fn clean(shipper: &Shipper) -> usize {
    let mut batches = 0;
    while shipper.clean().await.unwrap() {
        batches += 1;
    }
    batches
}

/// The rows of a chain whose lines are so many days old.
fn rows(key: &ChainKey, instance: &str, days: impl Iterator<Item = i64>) -> Vec<AuditRow> {
    let mut end = Checkpoint::default();
    let rows = days.map(|days| {
        let time = Timestamp::from_microsecond(now() - days * 86_400 * SECOND).unwrap();
        let event = json!({ "time": time.to_string(), "kind": "verification" });
        let event = serde_json::value::to_raw_value(&event).unwrap();
        audit_row(&end.extend(key, instance, &event).unwrap()).unwrap()
    });
    rows.collect()
}

/// How many rows there are of each instance.
async fn counts(database: &Database) -> Vec<(String, usize)> {
    let rows = database.audit_after("", 0, i64::MAX).await.unwrap();
    let mut counts: Vec<(String, usize)> = Vec::new();
    for row in rows {
        match counts
            .last_mut()
            .filter(|(instance, _)| *instance == row.instance)
        {
            Some((_, count)) => *count += 1,
            None => counts.push((row.instance, 1)),
        }
    }
    counts
}

/// Rows and files are removed at the same age.
fn retain(shipper: &mut Shipper, age: Duration) {
    (shipper.rows, shipper.files) = (Some(age), Some(age));
}

fn lag(state: &SharedState, seconds: i64) -> u64 {
    state.lock().lag(FIRST + seconds * SECOND).as_secs()
}

#[tokio::test]
async fn the_lag_is_the_age_of_the_oldest_record_that_waits() {
    let audit = tempfile::tempdir().unwrap();
    let folder = folder(audit.path(), 250);
    let (shipper, state) = shipper(&folder, 250).await;
    assert_eq!(lag(&state, 1_000), 1_000, "right after a start");
    // A file at a time: what is left is younger, and not new because something was moved.
    assert_eq!(shipper.step().await.unwrap(), 100);
    assert_eq!(shipper.step().await.unwrap(), 100);
    assert_eq!(lag(&state, 1_000), 900, "of what was waiting at the last look");
    assert_eq!(shipper.step().await.unwrap(), 50);
    assert_eq!(lag(&state, 1_000), 800);
    assert_eq!(shipper.step().await.unwrap(), 0);
    assert_eq!((lag(&state, 1_000), state.lock().pending()), (0, 0));
}

#[tokio::test]
async fn the_lag_grows_while_the_database_is_down() {
    let audit = tempfile::tempdir().unwrap();
    let folder = folder(audit.path(), 3);
    let (shipper, state) = shipper(&folder, 3).await;
    shipper.database.close().await;
    for seconds in [10, 20] {
        assert!(shipper.step().await.is_err());
        assert_eq!(lag(&state, seconds), seconds as u64);
    }
}

#[tokio::test]
async fn records_that_may_not_stay_are_not_moved() {
    let audit = tempfile::tempdir().unwrap();
    let folder = folder(audit.path(), 150);
    let (shipper, state) = shipper(&folder, 120).await;
    shipper.ship().await;
    assert_eq!(shipper.database.audit_size().await.unwrap().0, 120);
    state.lock().written(150, 0);
    shipper.ship().await;
    assert_eq!(shipper.database.audit_size().await.unwrap().0, 150);
}

/// Lines may be missing only until the writer has put them back: not before it has looked twice they are given up.
#[tokio::test]
async fn records_that_are_permanently_missing_are_skipped_with_their_numbers() {
    let log = Log::default();
    let _capturing = log.capture();
    let audit = tempfile::tempdir().unwrap();
    let folder = folder(audit.path(), 250);
    std::fs::remove_file(&folder::files(&folder.path).unwrap()[1]).unwrap();
    let (shipper, state) = shipper(&folder, 250).await;
    for checks in 0..2 {
        shipper.ship().await;
        let (rows, _) = shipper.database.audit_size().await.unwrap();
        assert_eq!(rows, 100, "after {checks} checks");
        state.lock().checks += 1;
    }
    shipper.ship().await;
    assert_eq!(shipper.database.audit_size().await.unwrap().0, 150);
    let (pending, spool) = {
        let state = state.lock();
        (state.pending(), state.spool)
    };
    assert_eq!((pending, spool), (0, 0));
    let told = log.lines_with("ERROR");
    assert!(
        told.len() == 1 && told[0].contains("first=101") && told[0].contains("last=200"),
        "{told:?}"
    );
    let [_, faults] = faults(&shipper, audit.path(), &ChainKey::default()).await;
    assert!(
        matches!(
            faults[..],
            [Fault {
                kind: FaultKind::Order {
                    expected: 101,
                    found: 201
                },
                ..
            }]
        ),
        "{faults:?}"
    );
}

#[tokio::test]
async fn restored_records_are_moved_in_order() {
    let audit = tempfile::tempdir().unwrap();
    let folder = folder(audit.path(), 250);
    let second = folder::files(&folder.path).unwrap().remove(1);
    let aside = second.with_extension("1");
    std::fs::rename(&second, &aside).unwrap();
    let (shipper, state) = shipper(&folder, 250).await;
    shipper.ship().await;
    std::fs::rename(&aside, &second).unwrap();
    state.lock().checks += 1;
    shipper.ship().await;
    assert_eq!(shipper.database.audit_size().await.unwrap().0, 250);
    for faults in faults(&shipper, audit.path(), &ChainKey::default()).await {
        assert_eq!(faults, []);
    }
}

#[tokio::test]
async fn files_may_be_removed_as_soon_as_the_database_has_them() {
    let audit = tempfile::tempdir().unwrap();
    let folder = folder(audit.path(), 250);
    let (mut shipper, _) = shipper(&folder, 250).await;
    shipper.files = Some(Duration::ZERO);
    assert_eq!(shipper.step().await.unwrap(), 100);
    shipper.clean().await.unwrap();
    let files = || folder::files(&folder.path).unwrap().len();
    assert_eq!(files(), 2, "the storage has the first of three");
    shipper.ship().await;
    shipper.clean().await.unwrap();
    assert_eq!(files(), 1, "the last one stays");
    assert_eq!(
        shipper.database.audit_size().await.unwrap().0,
        250,
        "as does every row"
    );
    let key = ChainKey::default();
    let left = verify_files(audit.path(), &key, &[]).unwrap();
    assert_eq!((left.faults.len(), left.chains[0].records), (0, 50), "{left:?}");
    let stored = verify_database(&shipper.database, &key, &[], audit.path())
        .await
        .unwrap();
    assert_eq!(
        (stored.faults.len(), stored.chains[0].records),
        (0, 250),
        "{stored:?}"
    );
}

#[tokio::test]
async fn what_retention_leaves_is_valid_from_its_checkpoint_on() {
    let audit = tempfile::tempdir().unwrap();
    let folder = folder(audit.path(), 250);
    let (mut shipper, _) = shipper(&folder, 250).await;
    // So that the first 220 are older than that.
    let age = Timestamp::now().as_microsecond() - (FIRST + 220 * SECOND) + SECOND / 2;
    retain(&mut shipper, Duration::from_micros(age as u64));
    let key = ChainKey::default();
    let whole = verify_files(audit.path(), &key, &[]).unwrap();

    shipper.clean().await.unwrap();
    assert_eq!(
        folder::files(&folder.path).unwrap().len(),
        3,
        "what is not in the storage is removed"
    );
    shipper.ship().await;
    clean(&shipper).await;
    assert_eq!(folder::files(&folder.path).unwrap().len(), 1);
    let noted = [whole.chains[0].end.clone()];
    let files = verify_files(audit.path(), &key, &noted).unwrap();
    let rows = verify_database(&shipper.database, &key, &noted, audit.path())
        .await
        .unwrap();
    for (report, records) in [(&files, 50), (&rows, 30)] {
        assert_eq!((&report.faults, &report.missed), (&Vec::new(), &Vec::new()));
        let chain = &report.chains[0];
        assert_eq!((chain.records, &chain.end), (records, &whole.chains[0].end));
    }
    // Removed by other means, the next file leaves a gap after the checkpoint.
    std::fs::remove_file(&folder::files(&folder.path).unwrap()[0]).unwrap();
    let report = verify_files(audit.path(), &key, &[]).unwrap();
    assert!(
        matches!(
            report.faults[..],
            [Fault {
                kind: FaultKind::FilesEnd {
                    last: 200,
                    stored: 250
                },
                ..
            }]
        ),
        "{:?}",
        report.faults
    );
}

/// An attacker without the key who can write files and rows removes a beginning, and sets the checkpoints accordingly.
#[tokio::test]
async fn nobody_without_the_key_can_remove_a_beginning() {
    for key in [None, Some("s3cret")] {
        let key = ChainKey::new(key.map(Into::into));
        let has_key = key.seal("any", &Checkpoint::default()).is_some();
        let audit = tempfile::tempdir().unwrap();
        let folder = folder_by(&key, audit.path(), 300);
        let (mut shipper, _) = shipper(&folder, 300).await;
        shipper.key = key.clone();
        let age = Timestamp::now().as_microsecond() - (FIRST + 120 * SECOND) + SECOND / 2;
        retain(&mut shipper, Duration::from_micros(age as u64));
        shipper.ship().await;
        clean(&shipper).await;
        for faults in faults(&shipper, audit.path(), &key).await {
            assert_eq!(faults, [], "retention");
        }

        let second = &folder::files(&folder.path).unwrap()[0];
        let (line, _) = folder::records(second, 0).unwrap().last().unwrap().unwrap();
        let before = Checkpoint::of(&line).unwrap();
        let kept = folder::checkpoint(&folder.path).unwrap().unwrap();
        std::fs::remove_file(second).unwrap();
        // With no seal, and with the one that was there.
        for seal in [None, kept.seal] {
            let sealed = SealedCheckpoint {
                checkpoint: before.clone(),
                seal: seal.clone(),
            };
            folder.set_checkpoint(sealed).unwrap();
            let checkpoint = AuditCheckpoint {
                instance: folder.instance.clone(),
                seq: before.seq as i64,
                hash: before.hash.clone(),
                seal,
            };
            shipper.database.remove_audit(checkpoint).await.unwrap();
            for faults in faults(&shipper, audit.path(), &key).await {
                let is_found = matches!(
                    faults[..],
                    [Fault {
                        kind: FaultKind::Checkpoint { seq: 200 },
                        ..
                    }]
                );
                assert_eq!(is_found, has_key, "{faults:?}");
            }
        }
    }
}

/// Of the files, and of the storage.
async fn faults(shipper: &Shipper, audit: &std::path::Path, key: &ChainKey) -> [Vec<Fault>; 2] {
    let rows = verify_database(&shipper.database, key, &[], audit).await.unwrap();
    [verify_files(audit, key, &[]).unwrap().faults, rows.faults]
}

#[tokio::test]
async fn rows_that_were_changed_removed_or_moved_are_found() {
    let audit = tempfile::tempdir().unwrap();
    let folder = folder(audit.path(), 10);
    let (shipper, _) = shipper(&folder, 10).await;
    shipper.ship().await;
    let rows = shipper.database.audit_after("", 0, 100).await.unwrap();
    assert_eq!(rows.len(), 10);
    type Change = fn(&mut Vec<AuditRow>);
    let cases: [(&str, Change, &str); 8] = [
        ("nothing", |_| (), ""),
        (
            "a line",
            |rows| rows[4].line = rows[4].line.replace("verification", "verificatiom"),
            "record 5 or the one before it was changed",
        ),
        (
            "a column",
            |rows| rows[4].status = Some(200),
            "the columns of record 5",
        ),
        (
            "removed",
            |rows| drop(rows.remove(4)),
            "expected record 5, found record 6",
        ),
        (
            "removed at the beginning",
            |rows| drop(rows.remove(0)),
            "expected record 1, found record 2",
        ),
        (
            "swapped",
            |rows| {
                let (before, after) = rows.split_at_mut(5);
                std::mem::swap(&mut before[4].line, &mut after[0].line);
            },
            "expected record 5, found record 6",
        ),
        (
            "added, of no instance",
            |rows| {
                let (instance, seq) = (String::new(), 0);
                rows.push(AuditRow {
                    instance,
                    seq,
                    ..rows[4].clone()
                });
            },
            "expected record 1, found record 5",
        ),
        (
            "added, before the first",
            |rows| {
                let seq = -1;
                rows.push(AuditRow {
                    seq,
                    ..rows[4].clone()
                });
            },
            "expected record 1, found record 5",
        ),
    ];
    for (what, change, said) in cases {
        let mut rows = rows.clone();
        change(&mut rows);
        let database = Database::open(&Settings::new(Place::Memory)).await.unwrap();
        database.add_audit(rows).await.unwrap();
        let report = verify_database(&database, &ChainKey::default(), &[], Path::new("absent"))
            .await
            .unwrap();
        let faults: Vec<String> = report.faults.iter().map(ToString::to_string).collect();
        assert_eq!(faults.len(), usize::from(!said.is_empty()), "{what}: {faults:?}");
        assert!(
            faults.iter().all(|fault| fault.contains(said)),
            "{what}: {faults:?}"
        );
    }
}

/// Years of rows go in steps, each of which leaves a chain that is whole: a service may end between them.
#[tokio::test]
async fn a_backlog_is_removed_in_batches_and_is_valid_between_them() {
    let audit = tempfile::tempdir().unwrap();
    let folder = folder(audit.path(), 0);
    let (mut shipper, _) = shipper(&folder, 0).await;
    let key = ChainKey::new(Some("s3cret".into()));
    shipper.key = key.clone();
    retain(&mut shipper, DAY * 30);
    let (old, batches) = (25_000, 3);
    let days = repeat_n(31, old as usize).chain(repeat_n(29, 5));
    let rows = rows(&key, &folder.instance, days);
    shipper.database.add_audit(rows).await.unwrap();
    for batch in 1..=batches {
        assert!(shipper.clean().await.unwrap());
        let (left, _) = shipper.database.audit_size().await.unwrap();
        assert_eq!(left, 5 + old - (batch * REMOVED).min(old));
        for faults in faults(&shipper, audit.path(), &key).await {
            assert_eq!(faults, [], "after batch {batch}");
        }
    }
    assert!(!shipper.clean().await.unwrap());
    // A late batch, as of a slow service, does not move the checkpoint back.
    let checkpoints = shipper.database.audit_checkpoints().await.unwrap();
    let late = AuditCheckpoint {
        seq: 7,
        hash: "late".to_owned(),
        ..checkpoints[0].clone()
    };
    shipper.database.remove_audit(late).await.unwrap();
    assert_eq!(shipper.database.audit_checkpoints().await.unwrap(), checkpoints);
}

/// Pods come and go: who is there removes what those before have left, where it could have been their own.
#[tokio::test]
async fn rows_of_ended_instances_are_removed_too() {
    let audit = tempfile::tempdir().unwrap();
    let folder = folder(audit.path(), 0);
    let (mut shipper, _) = shipper(&folder, 0).await;
    let key = ChainKey::new(Some("s3cret".into()));
    shipper.key = key.clone();
    retain(&mut shipper, DAY * 30);
    let other = ChainKey::new(Some("another".into()));
    for rows in [
        rows(&key, "0-runs", repeat_n(31, 10).chain([0])),
        rows(&key, "1-ended-in-between", repeat_n(31, 5).chain(repeat_n(10, 4))),
        rows(&key, "2-ended", repeat_n(40, 10)),
        rows(&other, "3-of-another-key", repeat_n(40, 10)),
        rows(&key, "4-ended", repeat_n(40, 10)),
        rows(&key, "5-young", repeat_n(20, 10)),
    ] {
        shipper.database.add_audit(rows).await.unwrap();
    }
    assert_eq!(clean(&shipper).await, 3);
    let left = [
        ("0-runs", 11),
        ("1-ended-in-between", 4),
        ("3-of-another-key", 10),
        ("5-young", 10),
    ];
    let left = left.map(|(instance, count)| (instance.to_owned(), count));
    assert_eq!(counts(&shipper.database).await, left);
    let checkpoints = shipper.database.audit_checkpoints().await.unwrap();
    let checkpoints: Vec<_> = checkpoints.iter().map(|it| (&*it.instance, it.seq)).collect();
    assert_eq!(
        checkpoints,
        [("1-ended-in-between", 5), ("2-ended", 10), ("4-ended", 10)]
    );
    let said = [FaultKind::Changed { seq: 1 }.of("3-of-another-key")];
    let [_, found] = faults(&shipper, audit.path(), &key).await;
    assert_eq!(found, said);
}

#[tokio::test]
async fn a_database_that_ends_before_its_files_is_not_valid() {
    let audit = tempfile::tempdir().unwrap();
    let folder = folder(audit.path(), 20);
    let (shipper, _) = shipper(&folder, 20).await;
    shipper.ship().await;
    let key = ChainKey::default();
    assert_eq!(faults(&shipper, audit.path(), &key).await, [[], []]);
    // As of a backup that was made earlier.
    let rows = shipper.database.audit_after("", 0, 100).await.unwrap();
    for last in [15, 0] {
        let older = Database::open(&Settings::new(Place::Memory)).await.unwrap();
        older.add_audit(rows[..last].to_vec()).await.unwrap();
        let report = verify_database(&older, &key, &[], audit.path()).await.unwrap();
        let kind = FaultKind::DatabaseEnd {
            last: last as u64,
            moved: 20,
        };
        assert_eq!(report.faults, [kind.of(&folder.instance)]);
    }
}
