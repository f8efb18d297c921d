//! What retention asks of the rows of the audit, whichever the database is.

use std::process::ExitCode;

use likeness_storage::audit::{AuditCheckpoint, AuditRow};
use likeness_testing::{Outcome, Suite, TestDatabase, ensure};

mod support;

use support::{block_on, open};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.with_databases("rows_are_removed_from_the_beginning_by_batches", removed);
    suite.with_databases("instances_that_have_ended_are_found", ended);
    suite.run()
}

/// The rows of an instance, of these times.
fn rows(instance: &str, times: &[i64]) -> Vec<AuditRow> {
    let rows = times.iter().zip(1..).map(|(&time, seq)| AuditRow {
        instance: instance.to_owned(),
        seq,
        time,
        kind: "verification".to_owned(),
        request_id: None,
        app: None,
        status: Some(200),
        outcome: None,
        line: format!("line {seq}"),
    });
    rows.collect()
}

fn checkpoint(seq: i64) -> AuditCheckpoint {
    AuditCheckpoint {
        instance: "one".to_owned(),
        seq,
        hash: format!("hash {seq}"),
        seal: Some(format!("seal {seq}")),
    }
}

fn removed(place: &TestDatabase) -> Outcome {
    block_on(async {
        let database = open(place).await?;
        // The clock was set back after the third.
        database.add_audit(rows("one", &[10, 20, 30, 15, 40, 50])).await?;
        database.add_audit(rows("other", &[10, 10])).await?;
        let last = async |before, count| -> Result<Option<i64>, likeness_storage::StorageError> {
            let row = database.last_audit_before("one", before, count).await?;
            Ok(row.map(|row| row.seq))
        };
        for (before, count, wanted) in [
            (10, 100, None),
            (11, 100, Some(1)),
            (30, 100, Some(2)),
            (31, 100, Some(4)),
            (100, 100, Some(6)),
            (100, 4, Some(4)),
            (30, 1, Some(1)),
        ] {
            let found = last(before, count).await?;
            ensure!(
                found == wanted,
                "{found:?} instead of {wanted:?} before {before} of {count}"
            );
        }
        database.remove_audit(checkpoint(4)).await?;
        ensure!(last(41, 1).await? == Some(5), "the batches go on");
        ensure!(last(41, 100).await? == Some(5), "no further than what is old");
        // From one that comes late: what it removes may have been sent again, and the checkpoint stays.
        database.remove_audit(checkpoint(2)).await?;
        ensure!(
            database.audit_checkpoints().await? == [checkpoint(4)],
            "the checkpoint"
        );
        let left = database.audit_after("", 0, 100).await?;
        let left: Vec<_> = left.iter().map(|row| (&*row.instance, row.seq)).collect();
        ensure!(
            left == [("one", 5), ("one", 6), ("other", 1), ("other", 2)],
            "{left:?}"
        );
        Ok(())
    })
}

fn ended(place: &TestDatabase) -> Outcome {
    block_on(async {
        let database = open(place).await?;
        let (silent_since, before) = (50, 30);
        let next = async |after: &str| database.ended_audit(after, silent_since, before).await;
        ensure!(next("").await?.is_none(), "of no rows");
        for (instance, times) in [
            ("a-ended", [10, 40]),
            ("b-runs", [10, 60]),
            ("c-young", [35, 40]),
            ("d-ended", [10, 20]),
            ("e-runs", [60, 70]),
        ] {
            database.add_audit(rows(instance, &times)).await?;
        }
        let mut found = Vec::new();
        let mut after = String::new();
        while let Some(instance) = next(&after).await? {
            found.push(instance.clone());
            after = instance;
        }
        ensure!(found == ["a-ended", "d-ended"], "{found:?}");
        Ok(())
    })
}
