//! What gets into the storage, and how far it is behind.

use likeness_storage::{Place, Settings};
use serde_json::json;

use super::*;
use crate::audit::chain::{ChainKey, Head};

/// The time of the first line; each later one is a second younger.
const FIRST: i64 = 1_700_000_000_000_000;
const SECOND: i64 = 1_000_000;

/// A folder with so many lines in files of a hundred.
fn folder(audit: &std::path::Path, lines: u64) -> Arc<Folder> {
    let folder = Folder::create(audit).unwrap();
    let mut head = Head::default();
    for number in 0..lines {
        let time = Timestamp::from_microsecond(FIRST + number as i64 * SECOND).unwrap();
        let event = json!({ "time": time.to_string(), "kind": "verification" });
        let event = serde_json::value::to_raw_value(&event).unwrap();
        let line = head
            .extend(&ChainKey::default(), folder.instance(), &event)
            .unwrap();
        let path = folder.file(number / 100 * 100 + 1, "20231114");
        let (mut file, _) = crate::audit::line_file::open(&path).unwrap();
        file.append(format!("{line}\n").as_bytes()).unwrap();
    }
    Arc::new(folder)
}

async fn shipper(folder: &Arc<Folder>, written: u64) -> (Shipper, Arc<State>) {
    let database = Database::open(&Settings::new(Place::Memory)).await.unwrap();
    let state = Arc::new(State::default());
    let shipper = Shipper::new(Arc::clone(folder), Arc::clone(&state), database, None, written);
    (shipper.unwrap(), state)
}

/// The lag in seconds after the time of the first line.
fn lag(state: &State, seconds: i64) -> u64 {
    state.lag(FIRST + seconds * SECOND).as_secs()
}

#[tokio::test]
async fn the_lag_is_the_age_of_the_oldest_line_that_waits() {
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
    assert_eq!((lag(&state, 1_000), state.pending()), (0, 0));
}

#[tokio::test]
async fn the_lag_grows_while_the_storage_is_away() {
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
async fn what_may_be_cut_yet_does_not_get_into_the_storage() {
    let audit = tempfile::tempdir().unwrap();
    let folder = folder(audit.path(), 150);
    let (shipper, state) = shipper(&folder, 120).await;
    shipper.ship().await;
    assert_eq!(shipper.database.audit_size().await.unwrap().0, 120);
    state.written(150, 0);
    shipper.ship().await;
    assert_eq!(shipper.database.audit_size().await.unwrap().0, 150);
}
