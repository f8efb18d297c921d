//! The writer on disks that fail.

use serde_json::{Value, json};

use super::*;
use crate::audit::chain::FaultKind;
use crate::audit::tests::fakes::{FaultyDisk, Log};
use crate::audit::verify::{AuditReport, file_records, verify_files};
use crate::audit::waiting::{self, Subject, Wait};
use crate::config::AuditMode;

/// A writer without its thread.
struct Fixture {
    audit: tempfile::TempDir,
    disk: FaultyDisk,
    state: SharedState,
    writer: Writer,
}

fn kinds(report: &AuditReport) -> Vec<FaultKind> {
    report.faults.iter().map(|fault| fault.kind.clone()).collect()
}

fn writer(folder: Folder, state: &SharedState, disk: &FaultyDisk, required: bool, end: Checkpoint) -> Writer {
    let sync = Duration::ZERO;
    let mut config = AuditConfig {
        sync,
        ..AuditConfig::default()
    };
    if required {
        config.mode = AuditMode::Required;
    }
    let state = Arc::clone(state);
    let mut writer = Writer::new(Arc::new(folder), state, &config, Box::new(disk.clone()), end).unwrap();
    writer.quiet = Duration::ZERO;
    writer
}

impl Fixture {
    fn new(required: bool) -> Self {
        let audit = tempfile::tempdir().unwrap();
        let folder = Folder::create(audit.path()).unwrap();
        let (disk, state) = (FaultyDisk::default(), SharedState::default());
        let writer = writer(folder, &state, &disk, required, Checkpoint::default());
        Self {
            audit,
            disk,
            state,
            writer,
        }
    }

    /// Writes an event for which no response waits.
    fn write(&mut self, id: &str) {
        self.add(id, None);
        self.writer.write_backlog();
    }

    /// Adds an event for which a response waits.
    fn wait(&mut self, id: &str, is_held: bool) -> Wait {
        let subject = Subject {
            request_id: id.to_owned(),
            app: Some("app".to_owned()),
        };
        let (waiting, wait) = waiting::wait(subject, is_held);
        self.add(id, Some(waiting));
        wait
    }

    fn add(&mut self, id: &str, waiting: Option<Waiting>) {
        let event = json!({ "time": "2026-11-25T08:00:00Z", "kind": "verification", "request_id": id });
        let text = serde_json::value::to_raw_value(&event).unwrap();
        self.writer.backlog.push_back(Queued { text, waiting });
    }

    /// Returns the events in the files, whose chain is valid.
    fn events(&self) -> Vec<Value> {
        let report = verify_files(self.audit.path(), &ChainKey::default(), &[]).unwrap();
        assert_eq!(report.faults, []);
        let mut events = Vec::new();
        file_records(self.audit.path(), |line| {
            events.push(serde_json::from_str::<Value>(line).unwrap()["event"].take());
            Ok(())
        })
        .unwrap();
        events
    }

    /// Of each event its id, or else its kind.
    fn ids(&self) -> Vec<String> {
        let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
        let name = |event: Value| text(&event["request_id"]).or_else(|| text(&event["kind"]));
        self.events().into_iter().filter_map(name).collect()
    }
}

#[test]
fn remains_of_a_failed_write_are_truncated_before_the_next_record() {
    for torn in [0, 1, 100, usize::MAX] {
        let mut fixture = Fixture::new(false);
        fixture.write("one");
        fixture.disk.faults().append = Some(torn);
        fixture.disk.faults().truncate = true;
        fixture.write("two");
        assert_eq!(fixture.state.lock().written, 1);
        // The disk has room, but what is torn cannot be cut yet: nothing comes behind it.
        fixture.disk.faults().append = None;
        fixture.write("three");
        assert!(fixture.state.lock().is_failing);
        fixture.disk.repair();
        fixture.write("four");
        assert_eq!(
            fixture.ids(),
            ["one", "two", "three", "four"],
            "after {torn} bytes"
        );
        assert_eq!(fixture.state.lock().written, 4);
        assert_eq!(fixture.state.lock().lost, 0);
    }
}

#[tokio::test]
async fn complete_records_that_were_not_synced_do_not_stay() {
    let mut fixture = Fixture::new(true);
    fixture.disk.faults().sync = true;
    fixture.disk.faults().truncate = true;
    let wait = fixture.wait("one", true);
    fixture.writer.write_backlog();
    assert!(!wait.within(Duration::MAX).await, "a result that is not recorded");
    fixture.disk.repair();
    fixture.write("two");
    assert_eq!(fixture.ids(), ["lost", "two"]);
    assert_eq!(fixture.events()[0]["lost"], 1);
}

#[tokio::test]
async fn a_refusal_is_recorded_later_where_results_are_required_to_be() {
    let mut fixture = Fixture::new(true);
    fixture.disk.faults().append = Some(0);
    let wait = fixture.wait("refused", false);
    fixture.writer.write_backlog();
    assert!(wait.within(Duration::MAX).await, "a refusal is held back");
    fixture.disk.repair();
    fixture.writer.write_backlog();
    assert_eq!(fixture.ids(), ["refused"]);
    assert_eq!(fixture.state.lock().lost, 0);
}

#[tokio::test]
async fn a_second_record_tells_the_status_that_the_client_received() {
    let mut fixture = Fixture::new(true);
    let late = fixture.wait("late", true);
    assert!(!late.within(Duration::ZERO).await);
    drop(fixture.wait("gone", true));
    let in_time = fixture.wait("in time", true);
    fixture.writer.write_backlog();
    assert!(in_time.within(Duration::MAX).await);
    let events = fixture.events();
    assert_eq!(events.len(), 5);
    for (id, status) in [("late", 503), ("gone", 499)] {
        let line = events[3..]
            .iter()
            .find(|event| event["request_id"] == id)
            .unwrap();
        assert_eq!(line["kind"], "withheld");
        assert_eq!((&line["status"], &line["app"]), (&json!(status), &json!("app")));
    }
}

#[test]
fn events_beyond_the_backlog_are_lost_and_recorded_with_their_number() {
    let mut fixture = Fixture::new(false);
    fixture.disk.faults().append = Some(0);
    for number in 0..BACKLOG + 3 {
        fixture.add(&number.to_string(), None);
    }
    fixture.writer.write_backlog();
    assert_eq!(fixture.state.lock().lost, 3);
    fixture.disk.repair();
    fixture.writer.write_backlog();
    let ids = fixture.ids();
    assert_eq!(ids.len(), BACKLOG + 1);
    // The oldest are the lost ones.
    assert_eq!(ids[..2], ["lost", "3"]);
    assert_eq!(fixture.events()[0]["lost"], 3);
}

#[test]
fn a_chain_continues_from_file_to_file_and_none_may_be_missing() {
    let mut fixture = Fixture::new(false);
    fixture.writer.rotate_bytes = 1_000;
    let ids: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    for id in &ids {
        fixture.write(id);
    }
    assert_eq!(fixture.ids(), ids);
    let files = crate::audit::folder::files(&fixture.writer.folder.path).unwrap();
    assert!(files.len() > 3, "{files:?}");
    std::fs::remove_file(&files[1]).unwrap();
    let report = verify_files(fixture.audit.path(), &ChainKey::default(), &[]).unwrap();
    assert!(
        matches!(kinds(&report)[..], [FaultKind::Order { .. }]),
        "{:?}",
        report.faults
    );
}

/// It also says what that cost:
/// `cargo test --release -p likeness-server --lib -- --nocapture audit::writer::tests::many_events`
#[test]
#[allow(clippy::print_stderr, reason = "it says what it cost")]
fn many_events_are_all_written() {
    const EVENTS: usize = 20_000;
    let mut fixture = Fixture::new(false);
    // About as long as a verification's.
    let id = "x".repeat(900);
    let begun = Instant::now();
    for _ in 0..EVENTS {
        fixture.write(&id);
    }
    let one_by_one = begun.elapsed() / EVENTS as u32;
    let begun = Instant::now();
    for _ in 0..EVENTS {
        fixture.add(&id, None);
    }
    fixture.writer.write_backlog();
    let together = begun.elapsed() / EVENTS as u32;
    eprintln!(
        "{one_by_one:?} for an event that is written by itself, {together:?} for one of {BATCH} together"
    );
    assert_eq!(fixture.ids().len(), 2 * EVENTS);
}

/// What somebody does to the folder of an instance.
type Act = fn(&Path);

fn each_file(folder: &Path, act: impl Fn(&Path)) {
    for file in folder::files(folder).unwrap() {
        act(&file);
    }
}

const ACTS: [(&str, Act); 9] = [
    ("files removed", |folder| {
        each_file(folder, |file| std::fs::remove_file(file).unwrap());
    }),
    ("files moved", |folder| {
        each_file(folder, |file| {
            std::fs::rename(file, file.with_extension("1")).unwrap();
        });
    }),
    ("files moved, and new ones made", |folder| {
        each_file(folder, |file| {
            std::fs::rename(file, file.with_extension("1")).unwrap();
            std::fs::write(file, "").unwrap();
        });
    }),
    ("files replaced by others", |folder| {
        each_file(folder, |file| {
            std::fs::write(file.with_extension("1"), "forged\n").unwrap();
            std::fs::rename(file.with_extension("1"), file).unwrap();
        });
    }),
    ("files emptied", |folder| {
        each_file(folder, |file| std::fs::write(file, "").unwrap());
    }),
    ("files cut within a line", |folder| {
        each_file(folder, |file| {
            let length = std::fs::metadata(file).unwrap().len();
            let file = std::fs::OpenOptions::new().write(true).open(file).unwrap();
            file.set_len(length - length / 4).unwrap();
        });
    }),
    ("folder removed", |folder| {
        std::fs::remove_dir_all(folder).unwrap();
    }),
    ("folder renamed", |folder| {
        std::fs::rename(folder, folder.with_extension("old")).unwrap();
    }),
    ("lock removed", |folder| {
        std::fs::remove_file(folder.join("lock")).unwrap();
    }),
];

#[tokio::test]
async fn a_result_is_withheld_if_its_file_was_taken_away_and_earlier_records_are_restored() {
    for (what, act) in ACTS {
        let mut fixture = Fixture::new(true);
        for id in ["one", "two", "three"] {
            fixture.write(id);
        }
        act(&fixture.writer.folder.path);
        let wait = fixture.wait("withheld", true);
        fixture.writer.write_backlog();
        assert!(!wait.within(Duration::MAX).await, "{what}: it went out");
        assert!(fixture.state.lock().is_failing, "{what}");
        let wait = fixture.wait("four", true);
        fixture.writer.write_backlog();
        assert!(
            wait.within(Duration::MAX).await,
            "{what}: it is not written again"
        );
        assert!(!fixture.state.lock().is_failing, "{what}");
        assert_eq!(fixture.ids(), ["one", "two", "three", "lost", "four"], "{what}");
        assert_eq!(
            fixture.events()[3]["lost"],
            1,
            "{what}: the one that was withheld"
        );
        let mut free = Folder::free(fixture.audit.path()).unwrap();
        assert!(free.next().is_none(), "{what}: another process may take it up");
    }
}

#[test]
fn the_next_sync_notices_a_file_that_was_taken_away_and_nothing_is_lost() {
    for (what, act) in ACTS {
        let log = Log::default();
        let _capturing = log.capture();
        let mut fixture = Fixture::new(false);
        for id in ["one", "two"] {
            fixture.write(id);
        }
        act(&fixture.writer.folder.path);
        fixture.write("three");
        fixture.writer.sync();
        assert!(fixture.state.lock().is_failing, "{what}");
        fixture.write("four");
        assert_eq!(fixture.ids(), ["one", "two", "three", "four"], "{what}");
        assert_eq!(fixture.state.lock().lost, 0, "{what}");
        let told = log.lines_with("ERROR");
        assert!(
            told.len() == 1 && told[0].contains("while in use"),
            "{what}: {told:?}"
        );
    }
}

/// Nothing more may come by which it would be noticed.
#[test]
fn files_are_restored_at_the_end_too() {
    for (what, act) in ACTS {
        let mut fixture = Fixture::new(true);
        fixture.write("one");
        act(&fixture.writer.folder.path);
        let (audit, folder) = (fixture.audit, Arc::clone(&fixture.writer.folder));
        let (messages, received) = std::sync::mpsc::sync_channel(1);
        drop(messages);
        fixture.writer.run(&received);
        let report = verify_files(audit.path(), &ChainKey::default(), &[]).unwrap();
        assert_eq!(report.faults, [], "{what}");
        assert!(report.chains[0].records >= 1, "{what}: {report:?}");
        drop(folder);
    }
}

#[test]
fn complete_files_that_are_not_in_the_database_are_restored_too() {
    for (what, act) in ACTS {
        let mut fixture = Fixture::new(false);
        fixture.writer.rotate_bytes = 1;
        for id in ["one", "two", "three"] {
            fixture.write(id);
        }
        let files = folder::files(&fixture.writer.folder.path).unwrap();
        assert_eq!(files.len(), 3);
        act(&fixture.writer.folder.path);
        fixture.writer.sync();
        fixture.write("four");
        assert_eq!(fixture.ids(), ["one", "two", "three", "four"], "{what}");
    }
}

#[test]
fn a_file_that_was_put_in_place_of_another_is_kept_aside() {
    let mut fixture = Fixture::new(false);
    fixture.write("one");
    let file = folder::files(&fixture.writer.folder.path).unwrap().remove(0);
    std::fs::write(file.with_extension("1"), "forged\n").unwrap();
    std::fs::rename(file.with_extension("1"), &file).unwrap();
    fixture.writer.sync();
    fixture.write("two");
    let aside = std::fs::read_to_string(file.with_extension("replaced")).unwrap();
    assert_eq!(aside, "forged\n");
}

/// A file that is emptied takes what memory has not got any more with it: the chain has a gap, and says so.
#[test]
fn records_that_nothing_has_any_more_are_missing_by_number() {
    let mut fixture = Fixture::new(false);
    for number in 0..BACKLOG + 5 {
        fixture.add(&number.to_string(), None);
    }
    fixture.writer.write_backlog();
    each_file(&fixture.writer.folder.path, |file| {
        std::fs::write(file, "").unwrap();
    });
    fixture.writer.sync();
    fixture.write("next");
    fixture.writer.write_backlog();
    assert_eq!(fixture.state.lock().lost, 5);
    let report = verify_files(fixture.audit.path(), &ChainKey::default(), &[]).unwrap();
    assert!(
        matches!(
            kinds(&report)[..],
            [FaultKind::Order {
                expected: 1,
                found: 6
            }]
        ),
        "{:?}",
        report.faults
    );
    let mut lines = Vec::new();
    file_records(fixture.audit.path(), |line| {
        lines.push(serde_json::from_str::<Value>(line).unwrap());
        Ok(())
    })
    .unwrap();
    assert_eq!(lines.len(), BACKLOG + 2);
    let note = &lines[BACKLOG]["event"];
    assert_eq!((&note["kind"], &note["lost"]), (&json!("lost"), &json!(5)));
}

/// Only their file is lost.
#[test]
fn records_in_the_database_are_not_lost_with_their_file() {
    let mut fixture = Fixture::new(false);
    for id in ["one", "two", "three"] {
        fixture.write(id);
    }
    fixture.state.lock().stored(2, 0);
    fixture.writer.sync();
    each_file(&fixture.writer.folder.path, |file| {
        std::fs::write(file, "").unwrap();
    });
    fixture.writer.sync();
    fixture.write("four");
    assert_eq!(fixture.state.lock().lost, 0);
    let report = verify_files(fixture.audit.path(), &ChainKey::default(), &[]).unwrap();
    assert!(
        matches!(
            kinds(&report)[..],
            [FaultKind::Order {
                expected: 1,
                found: 3
            }]
        ),
        "{:?}",
        report.faults
    );
}

/// A process that takes up a folder watches over what the one before has left in it.
#[test]
fn files_of_an_earlier_process_are_restored_too() {
    let Fixture {
        audit,
        disk,
        mut writer,
        ..
    } = Fixture::new(false);
    let event = serde_json::value::to_raw_value(&json!({ "time": "2026-11-25T08:00:00Z", "kind": "start" }));
    writer.append(&[event.unwrap()]).unwrap();
    let end = writer.end.clone();
    drop(writer);
    let folder = Folder::free(audit.path()).unwrap().next().unwrap().unwrap();
    let mut writer = self::writer(folder, &SharedState::default(), &disk, false, end);
    std::fs::remove_dir_all(&writer.folder.path).unwrap();
    writer.sync();
    writer.write_backlog();
    let report = verify_files(audit.path(), &ChainKey::default(), &[]).unwrap();
    assert_eq!((&report.faults[..], report.chains[0].records), (&[][..], 2));
}
