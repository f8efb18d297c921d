//! The audit as requests see it.

pub(super) mod fakes;

use likeness_api::ErrorCode;
use likeness_storage::{Place, Settings as StorageSettings, files};

use fakes::{FaultyDisk, Log};

use super::*;
use crate::config::AuditMode;

/// An audit whose writer runs when the test says so. Its queue has room for two events, or as many as are wanted.
struct Fixture {
    _audit: tempfile::TempDir,
    audit: Audit,
    writer: Writer,
    received: std::sync::mpsc::Receiver<Message>,
}

async fn fixture(required: bool) -> Fixture {
    fixture_with_room(required, 2).await
}

async fn fixture_with_room(required: bool, room: usize) -> Fixture {
    let path = tempfile::tempdir().unwrap();
    let (folder, end) = take_over(path.path()).unwrap();
    let (folder, state) = (Arc::new(folder), SharedState::default());
    let database = Database::open(&StorageSettings::new(Place::Memory))
        .await
        .unwrap();
    let mut config = AuditConfig::default();
    (config.sync, config.wait_ms) = (Duration::ZERO, 60_000);
    if required {
        config.mode = AuditMode::Required;
    }
    let shipper = Shipper::new(Arc::clone(&folder), Arc::clone(&state), database, &config, 0).unwrap();
    let disk = Box::new(FaultyDisk::default());
    let mut writer = Writer::new(folder, Arc::clone(&state), &config, disk, end).unwrap();
    writer.quiet = Duration::ZERO;
    let (messages, received) = sync_channel(room);
    let audit = Audit {
        inner: Arc::new(Inner {
            messages,
            state,
            shipper,
            writer: Mutex::new(None),
            sampler: Sampler::new(),
            config,
            path: path.path().to_owned(),
        }),
    };
    Fixture {
        _audit: path,
        audit,
        writer,
        received,
    }
}

fn verification(status: u16) -> Verification<'static> {
    Verification {
        endpoint: Some("liveness-verification"),
        path: "/v0.2/liveness-verification",
        app: Some("app"),
        status,
        ..Verification::default()
    }
}

#[tokio::test]
async fn a_full_queue_refuses_results_where_they_must_be_recorded() {
    let Fixture {
        audit,
        writer,
        received,
        _audit,
    } = fixture(true).await;
    let log = Log::default();
    let _capturing = log.capture();
    let first = [audit.submit(&verification(200)), audit.submit(&verification(200))];
    assert!(!audit.refuses());
    let beyond = audit.submit(&verification(200));
    assert!(!audit.wait(beyond).await, "a result that is not recorded");
    assert!(audit.refuses(), "it goes on to verify what it cannot record");
    let refused = audit.submit(&verification(403));
    assert!(audit.wait(refused).await, "a refusal is held back");
    let last = audit.clone();
    let writing = std::thread::spawn(move || {
        let _capturing = log.capture();
        writer.run(&received);
        log
    });
    for pending in first {
        assert!(audit.wait(pending).await);
    }
    last.inner.messages.send(None).unwrap();
    let log = writing.join().unwrap();
    assert!(!audit.refuses(), "it goes on to refuse");
    assert_eq!(log.lines_with("audit queue is full").len(), 1);
}

#[tokio::test]
async fn events_lost_by_a_full_queue_are_logged_once_and_recorded_with_their_number() {
    let Fixture {
        audit,
        writer,
        received,
        _audit: folder,
    } = fixture(false).await;
    let log = Log::default();
    let _capturing = log.capture();
    let mut pending: Vec<_> = (0..7).map(|_| audit.submit(&verification(200))).collect();
    for lost in pending.split_off(2) {
        assert!(audit.wait(lost).await, "the answer is held back");
    }
    let last = audit.clone();
    let stopping = std::thread::spawn(move || last.inner.messages.send(None));
    writer.run(&received);
    stopping.join().unwrap().unwrap();
    let began = log.lines_with("audit queue is full");
    assert!(began.len() == 1 && began[0].contains("ERROR"), "{began:?}");
    let ended = log.lines_with("audit queue is no longer full");
    assert!(ended.len() == 1 && ended[0].contains("lost=5"), "{ended:?}");
    let mut notes = Vec::new();
    file_records(folder.path(), |line| {
        notes.extend(line.contains(r#""kind":"lost""#).then(|| line.to_owned()));
        Ok(())
    })
    .unwrap();
    assert!(notes.len() == 1 && notes[0].contains(r#""lost":5"#), "{notes:?}");
}

#[test]
fn numbers_of_records_in_the_database_are_not_used_again() {
    let audit = tempfile::tempdir().unwrap();
    let (folder, end) = take_over(audit.path()).unwrap();
    assert_eq!(end, Checkpoint::default());
    let first = folder.instance.clone();
    let in_use = take_over(audit.path()).unwrap().0;
    assert_ne!(in_use.instance, first, "two services write one chain");
    files::replace(
        &folder.path.join("cursor.json"),
        br#"{"file":"x","place":9,"seq":3}"#,
        true,
    )
    .unwrap();
    drop((folder, in_use));
    // And again and again, without a new one each time.
    let taken: Vec<String> = (0..3)
        .map(|_| take_over(audit.path()).unwrap().0.instance.clone())
        .collect();
    assert!(!taken.contains(&first), "{taken:?}");
    assert_eq!(taken[0], taken[2]);
}

/// Requests of an accepted app are all recorded, except refusals beyond that number.
#[tokio::test]
async fn refused_requests_beyond_some_are_counted_by_app_and_reason() {
    let Fixture {
        audit,
        writer,
        received,
        _audit: folder,
    } = fixture_with_room(false, 200).await;
    let refused = |app: Option<&'static str>, code: ErrorCode| Verification {
        app,
        error: Some(code),
        ..verification(code.status())
    };
    for _ in 0..30 {
        audit.record(&refused(None, ErrorCode::InvalidCredentials));
        audit.record(&refused(Some("one"), ErrorCode::LimitExceeded));
        audit.record(&refused(Some("two"), ErrorCode::LimitExceeded));
        audit.record(&refused(Some("one"), ErrorCode::CorruptImage));
    }
    let last = audit.clone();
    let writing = std::thread::spawn(move || writer.run(&received));
    last.end().await;
    writing.join().unwrap();
    let mut own = std::collections::BTreeMap::new();
    let mut skipped = std::collections::BTreeMap::new();
    file_records(folder.path(), |line| {
        let event = serde_json::from_str::<serde_json::Value>(line)?["event"].take();
        let key = format!("{} {}", event["app"], event["error"]);
        match event["kind"].as_str() {
            Some("skipped") => drop(skipped.insert(key, event["lost"].as_u64().unwrap())),
            Some("verification") => *own.entry(key).or_insert(0) += 1,
            _ => {}
        }
        Ok(())
    })
    .unwrap();
    let expected = |counts: &[(&str, u64)]| {
        counts
            .iter()
            .map(|(key, count)| ((*key).to_owned(), *count))
            .collect()
    };
    assert_eq!(
        own,
        expected(&[
            ("null \"INVALID_CREDENTIALS\"", 1),
            ("\"one\" \"CORRUPT_IMAGE\"", 30),
            ("\"one\" \"LIMIT_EXCEEDED\"", 20),
            ("\"two\" \"LIMIT_EXCEEDED\"", 20),
        ])
    );
    assert_eq!(
        skipped,
        expected(&[
            ("null \"INVALID_CREDENTIALS\"", 29),
            ("\"one\" \"LIMIT_EXCEEDED\"", 10),
            ("\"two\" \"LIMIT_EXCEEDED\"", 10),
        ])
    );
}
