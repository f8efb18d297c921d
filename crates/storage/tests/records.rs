//! The search for audit records, whichever the database is.

use std::process::ExitCode;
use std::time::Duration;

use likeness_storage::audit::{AuditCheckpoint, AuditRow};
use likeness_storage::records::{
    PageStart, RecordsFilter, SearchEntry, SearchProgress, Searchable, Unsearchable,
};
use likeness_storage::{Database, StorageError};
use likeness_testing::{Outcome, Suite, TestDatabase, ensure};

mod support;

use support::{block_on, open};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.with_databases("each_filter_selects_its_records", filtered);
    suite.with_databases("pages_have_every_record_once_in_both_directions", paged);
    suite.with_databases("records_of_before_become_searchable_in_batches", backfilled);
    suite.with_databases("records_of_an_older_service_become_searchable", older_service);
    suite.with_databases("two_services_may_backfill_at_once", backfilled_twice);
    suite.with_databases("removed_records_are_forgotten", forgotten);
    suite.with_databases("a_record_is_found_with_those_beside_it", beside);
    suite.with_databases("a_large_selection_is_sampled_evenly", sampled);
    suite.with_databases("every_single_filter_is_answered_from_an_index", planned);
    suite.run()
}

/// Longer than a call may take.
const LONG: Duration = Duration::from_secs(60);
const APPS: [&str; 3] = ["branch", "shop", "web"];
const OUTCOMES: [&str; 4] = ["pass", "review", "reject", "error"];

/// The row of a record. Its line has its number, from which the tests make what it is found by.
fn row(instance: &str, seq: i64) -> AuditRow {
    AuditRow {
        instance: instance.to_owned(),
        seq,
        // Two at a time have the same.
        time: 1_000 + seq / 2,
        kind: "verification".to_owned(),
        request_id: None,
        app: None,
        status: Some(200),
        outcome: None,
        line: format!("{instance} {seq}"),
    }
}

fn rows(instance: &str, numbers: std::ops::RangeInclusive<i64>) -> Vec<AuditRow> {
    numbers.map(|seq| row(instance, seq)).collect()
}

/// What a row is found by. Every tenth record is of another kind, which is not searchable, or withheld.
fn found(row: &AuditRow) -> Option<Searchable> {
    let seq = row.seq;
    let pick = |list: &[&str]| list[seq as usize % list.len()].to_owned();
    match seq % 20 {
        0 => None,
        10 => Some(Searchable::Withheld {
            seq,
            request_id: format!("{}-{}", row.instance, seq - 1),
            status: 499,
        }),
        _ => Some(Searchable::Verification(Box::new(SearchEntry {
            seq,
            time: row.time,
            sample: i64::from(seq.trailing_zeros()),
            request_id: Some(format!("{}-{seq}", row.instance)),
            correlation_id: (seq % 2 == 1).then(|| format!("order-{}", seq % 7)),
            app: Some(pick(&APPS)),
            endpoint: Some(pick(&["biometric-verification", "liveness-verification"])),
            profile: Some(pick(&["optimal-v0", "strict-v0"])),
            outcome: pick(&OUTCOMES),
            status: Some(200),
            error: None,
            codes: if seq % 3 == 0 {
                vec!["BLURRED".to_owned(), "GREY".to_owned()]
            } else {
                Vec::new()
            },
            face_match: Some(0.5),
            liveness: None,
            duration: Some(12.5),
        }))),
    }
}

fn all_found(rows: &[AuditRow]) -> Vec<Searchable> {
    rows.iter().filter_map(found).collect()
}

async fn add(database: &Database, rows: Vec<AuditRow>) -> Result<(), StorageError> {
    let found = all_found(&rows);
    database.add_records(rows, found).await
}

/// The numbers of the records of a selection.
async fn numbers(database: &Database, filter: &RecordsFilter) -> Result<Vec<i64>, StorageError> {
    let found = database.find_records(filter, PageStart::Latest, 10_000).await?;
    Ok(found.iter().map(|record| record.key.seq).collect())
}

fn filtered(place: &TestDatabase) -> Outcome {
    block_on(async {
        let database = open(place).await?;
        add(&database, rows("one", 1..=100)).await?;
        let some = |text: &str| Some(text.to_owned());
        let is = |seq: i64| seq % 10 != 0;
        type Selects = Box<dyn Fn(i64) -> bool>;
        let cases: Vec<(RecordsFilter, Selects)> = vec![
            (RecordsFilter::default(), Box::new(|_| true)),
            (
                RecordsFilter {
                    since: Some(1_010),
                    until: Some(1_020),
                    ..RecordsFilter::default()
                },
                Box::new(|seq| (20..40).contains(&seq)),
            ),
            (
                RecordsFilter {
                    app: some("shop"),
                    ..RecordsFilter::default()
                },
                Box::new(|seq| seq % 3 == 1),
            ),
            (
                RecordsFilter {
                    app: some("nosuch"),
                    ..RecordsFilter::default()
                },
                Box::new(|_| false),
            ),
            (
                RecordsFilter {
                    endpoint: some("liveness-verification"),
                    ..RecordsFilter::default()
                },
                Box::new(|seq| seq % 2 == 1),
            ),
            (
                RecordsFilter {
                    profile: some("strict-v0"),
                    ..RecordsFilter::default()
                },
                Box::new(|seq| seq % 2 == 1),
            ),
            (
                RecordsFilter {
                    outcome: some("review"),
                    ..RecordsFilter::default()
                },
                Box::new(|seq| seq % 4 == 1),
            ),
            (
                RecordsFilter {
                    code: some("GREY"),
                    ..RecordsFilter::default()
                },
                Box::new(|seq| seq % 3 == 0),
            ),
            (
                RecordsFilter {
                    request_id: some("one-7"),
                    ..RecordsFilter::default()
                },
                Box::new(|seq| seq == 7),
            ),
            (
                RecordsFilter {
                    correlation_id: some("order-3"),
                    ..RecordsFilter::default()
                },
                Box::new(|seq| seq % 2 == 1 && seq % 7 == 3),
            ),
            (
                RecordsFilter {
                    since: Some(1_010),
                    app: some("branch"),
                    outcome: some("review"),
                    code: some("BLURRED"),
                    correlation_id: some("order-5"),
                    ..RecordsFilter::default()
                },
                Box::new(|seq| seq >= 20 && seq % 3 == 0 && seq % 4 == 1 && seq % 7 == 5),
            ),
            // Not part of the statement.
            (
                RecordsFilter {
                    app: some("' OR 1 = 1 --"),
                    ..RecordsFilter::default()
                },
                Box::new(|_| false),
            ),
        ];
        for (filter, selects) in cases {
            let wanted: Vec<i64> = (1..=100).rev().filter(|&seq| is(seq) && selects(seq)).collect();
            let found = numbers(&database, &filter).await?;
            ensure!(found == wanted, "{filter:?}: {found:?} instead of {wanted:?}");
        }
        let apps = database.recorded_apps(2).await?;
        ensure!(apps == ["branch", "shop"], "{apps:?}");
        ensure!(database.withheld("one-9").await? == Some((499, 10)), "withheld");
        ensure!(database.withheld("one-8").await?.is_none(), "not withheld");
        Ok(())
    })
}

fn paged(place: &TestDatabase) -> Outcome {
    block_on(async {
        let database = open(place).await?;
        add(&database, rows("one", 1..=60)).await?;
        add(&database, rows("two", 1..=60)).await?;
        for code in [None, Some("GREY".to_owned())] {
            let filter = RecordsFilter {
                code,
                ..RecordsFilter::default()
            };
            let all = database.find_records(&filter, PageStart::Latest, 1_000).await?;
            ensure!(all.is_sorted_by(|one, other| one.key > other.key), "the order");
            let (mut pages, mut from) = (Vec::new(), PageStart::Latest);
            loop {
                let page = database.find_records(&filter, from, 7).await?;
                let lines = database.find_lines(&filter, from, 7).await?;
                ensure!(lines.len() == page.len(), "as many lines");
                for (record, (key, line)) in page.iter().zip(&lines) {
                    let expected = format!("{} {}", record.instance, record.key.seq);
                    ensure!(*key == record.key && line.as_ref() == Some(&expected), "{line:?}");
                }
                let Some(last) = page.last() else { break };
                from = PageStart::OlderThan(last.key);
                pages.push(page);
            }
            ensure!(pages.concat() == all, "forwards");
            for pair in pages.windows(2) {
                let newer = PageStart::NewerThan(pair[1][0].key);
                ensure!(
                    database.find_records(&filter, newer, 7).await? == pair[0],
                    "backwards"
                );
            }
        }
        Ok(())
    })
}

async fn backfill(database: &Database, count: i64) -> Result<Vec<Unsearchable>, StorageError> {
    let mut batches = Vec::new();
    while let Some(batch) = database.unsearchable(count).await? {
        database.make_searchable(&batch, all_found(&batch.rows)).await?;
        batches.push(batch);
    }
    Ok(batches)
}

async fn remaining(database: &Database) -> Result<(i64, i64), StorageError> {
    let SearchProgress { records, remaining } = database.search_progress().await?;
    Ok((records, remaining))
}

fn backfilled(place: &TestDatabase) -> Outcome {
    block_on(async {
        let database = open(place).await?;
        ensure!(remaining(&database).await? == (0, 0), "of no records");
        ensure!(database.unsearchable(10).await?.is_none(), "of no records");
        database.add_audit(rows("one", 1..=95)).await?;
        database.add_audit(rows("two", 5..=30)).await?;
        ensure!(remaining(&database).await? == (121, 121), "before");
        // The service goes on with its chain before the others are searchable.
        add(&database, rows("one", 96..=99)).await?;
        ensure!(remaining(&database).await? == (125, 121), "with new records");
        let first = database.unsearchable(10).await?.ok_or("no batch")?;
        let latest: Vec<i64> = first.rows.iter().map(|row| row.seq).collect();
        ensure!(
            latest == (86..=95).collect::<Vec<_>>(),
            "the latest first: {latest:?}"
        );
        // A service that ends here leaves nothing half done.
        ensure!(database.unsearchable(10).await?.as_ref() == Some(&first), "again");
        database.make_searchable(&first, all_found(&first.rows)).await?;
        ensure!(remaining(&database).await? == (125, 111), "after a batch");
        add(&database, rows("one", 100..=101)).await?;
        let batches = backfill(&database, 10).await?;
        ensure!(batches.iter().all(|batch| batch.rows.len() <= 10), "bounded");
        ensure!(remaining(&database).await? == (127, 0), "after all");
        let found = numbers(&database, &RecordsFilter::default()).await?.len();
        let wanted = (1..=101).chain(5..=30).filter(|seq| seq % 10 != 0).count();
        ensure!(found == wanted, "{found} instead of {wanted}");
        Ok(())
    })
}

/// While replicas are replaced one by one, an older one adds rows without what they are found by.
fn older_service(place: &TestDatabase) -> Outcome {
    block_on(async {
        let database = open(place).await?;
        database.add_audit(rows("one", 1..=20)).await?;
        backfill(&database, 100).await?;
        database.add_audit(rows("one", 21..=35)).await?;
        ensure!(remaining(&database).await? == (35, 15), "of the older service");
        // Now the newer one has taken over the chain.
        add(&database, rows("one", 36..=40)).await?;
        ensure!(remaining(&database).await? == (40, 20), "from there on");
        backfill(&database, 6).await?;
        add(&database, rows("one", 41..=45)).await?;
        // Sent again after a crash.
        add(&database, rows("one", 41..=47)).await?;
        ensure!(remaining(&database).await? == (47, 0), "all");
        let found = numbers(&database, &RecordsFilter::default()).await?;
        let wanted: Vec<i64> = (1..=47).rev().filter(|seq| seq % 10 != 0).collect();
        ensure!(found == wanted, "{found:?}");
        Ok(())
    })
}

fn backfilled_twice(place: &TestDatabase) -> Outcome {
    block_on(async {
        let database = open(place).await?;
        database.add_audit(rows("one", 1..=200)).await?;
        let shipping = async {
            for batch in 0..20 {
                add(&database, rows("one", 201 + batch * 5..=205 + batch * 5)).await?;
            }
            Ok(Vec::new())
        };
        let (one, other, shipped) = tokio::join!(backfill(&database, 9), backfill(&database, 7), shipping);
        for done in [one, other, shipped] {
            done?;
        }
        ensure!(remaining(&database).await? == (300, 0), "all");
        let found = numbers(&database, &RecordsFilter::default()).await?;
        let wanted: Vec<i64> = (1..=300).rev().filter(|seq| seq % 10 != 0).collect();
        ensure!(found == wanted, "{found:?}");
        Ok(())
    })
}

fn forgotten(place: &TestDatabase) -> Outcome {
    block_on(async {
        let database = open(place).await?;
        add(&database, rows("one", 1..=50)).await?;
        add(&database, rows("two", 1..=50)).await?;
        ensure!(!database.forget_removed(10).await?, "nothing was removed");
        let checkpoint = AuditCheckpoint {
            instance: "one".to_owned(),
            seq: 30,
            hash: String::new(),
            seal: None,
        };
        database.remove_audit(checkpoint).await?;
        let mut batches = 0;
        while database.forget_removed(10).await? {
            batches += 1;
        }
        ensure!(batches == 3, "{batches} batches");
        let grey = RecordsFilter {
            code: Some("GREY".to_owned()),
            ..RecordsFilter::default()
        };
        for (filter, every) in [(RecordsFilter::default(), 1), (grey, 3)] {
            let mut found = numbers(&database, &filter).await?;
            found.sort_unstable();
            let numbers = (31..=50)
                .chain(1..=50)
                .filter(|seq| seq % 10 != 0 && seq % every == 0);
            let mut wanted: Vec<i64> = numbers.collect();
            wanted.sort_unstable();
            ensure!(found == wanted, "{filter:?}: {found:?}");
        }
        ensure!(database.withheld("one-9").await?.is_none(), "withheld, removed");
        ensure!(database.withheld("one-49").await?.is_some(), "withheld, kept");
        ensure!(
            database.withheld("two-9").await?.is_some(),
            "withheld, of the other"
        );
        ensure!(remaining(&database).await? == (70, 0), "nothing to do");
        Ok(())
    })
}

fn beside(place: &TestDatabase) -> Outcome {
    block_on(async {
        let database = open(place).await?;
        add(&database, rows("one", 1..=3)).await?;
        let beside = async |seq| -> Result<_, StorageError> {
            let found = database.record("one", seq).await?;
            let seq = |row: Option<AuditRow>| row.map(|row| row.seq);
            Ok(found.map(|it| (seq(it.previous), it.row.seq, seq(it.next))))
        };
        for (number, wanted) in [
            (0, None),
            (1, Some((None, 1, Some(2)))),
            (2, Some((Some(1), 2, Some(3)))),
            (3, Some((Some(2), 3, None))),
            (4, None),
            (i64::MAX, None),
            (i64::MIN, None),
        ] {
            let found = beside(number).await?;
            ensure!(found == wanted, "{found:?} instead of {wanted:?}");
        }
        ensure!(
            database.record("other", 1).await?.is_none(),
            "of another instance"
        );
        Ok(())
    })
}

/// An entry with a number of its own, as it takes no more to be sampled.
fn entry(seq: i64) -> Searchable {
    Searchable::Verification(Box::new(SearchEntry {
        seq,
        time: seq,
        sample: i64::from(seq.trailing_zeros()),
        app: Some(APPS[seq as usize % 3].to_owned()),
        outcome: OUTCOMES[seq as usize % 3].to_owned(),
        codes: if seq % 3 > 0 {
            vec!["GREY_SELFIE".to_owned()]
        } else {
            vec!["BLURRED".to_owned(), "GREY".to_owned()]
        },
        ..SearchEntry::default()
    }))
}

fn sampled(place: &TestDatabase) -> Outcome {
    block_on(async {
        let database = open(place).await?;
        let (most, count) = (1_000, 1_200);
        let found = (1..=count).map(entry).collect();
        database.add_records(vec![row("one", 1)], found).await?;
        let all = RecordsFilter::default();
        let sample = database.sample_records(&all, most, LONG).await?;
        ensure!(sample.one_in == 2, "one in {}", sample.one_in);
        ensure!(sample.records.len() == 600, "{}", sample.records.len());
        ensure!(
            sample.records.iter().all(|record| record.time % 2 == 0),
            "every second one"
        );
        let sample = database.sample_records(&all, 500, LONG).await?;
        ensure!(
            (sample.one_in, sample.records.len()) == (4, 300),
            "{}",
            sample.records.len()
        );
        let app = RecordsFilter {
            app: Some("shop".to_owned()),
            ..RecordsFilter::default()
        };
        let exact = database.sample_records(&app, most, LONG).await?;
        ensure!(
            (exact.one_in, exact.records.len()) == (1, 400),
            "{}",
            exact.records.len()
        );
        let some = database.sample_records(&app, 300, LONG).await?;
        ensure!(
            (some.one_in, some.records.len()) == (2, 200),
            "{}",
            some.records.len()
        );
        let code = RecordsFilter {
            code: Some("GREY".to_owned()),
            ..RecordsFilter::default()
        };
        let coded = database.sample_records(&code, 100, LONG).await?;
        ensure!(
            (coded.one_in, coded.records.len()) == (4, 100),
            "{}: {}",
            coded.one_in,
            coded.records.len()
        );
        ensure!(
            coded.records.iter().all(|record| record.codes.contains("GREY")),
            "the code"
        );
        let since = RecordsFilter {
            since: Some(count - 9),
            ..RecordsFilter::default()
        };
        ensure!(
            database.sample_records(&since, most, LONG).await?.records.len() == 10,
            "of a period"
        );
        Ok(())
    })
}

fn planned(place: &TestDatabase) -> Outcome {
    block_on(async {
        let database = open(place).await?;
        for first in (1..=10_000).step_by(500) {
            let found = all_found(&rows("one", first..=first + 499));
            database.add_records(vec![row("one", first)], found).await?;
        }
        if place.is_postgres() {
            // As its autovacuum does; SQLite does not by itself.
            database.analyze().await?;
        }
        let some = |text: &str| Some(text.to_owned());
        let key = database
            .find_records(&RecordsFilter::default(), PageStart::Latest, 100)
            .await?[99]
            .key;
        for filter in [
            RecordsFilter::default(),
            RecordsFilter {
                since: Some(1_010),
                until: Some(1_020),
                ..RecordsFilter::default()
            },
            RecordsFilter {
                app: some("shop"),
                ..RecordsFilter::default()
            },
            RecordsFilter {
                app: some("nosuch"),
                ..RecordsFilter::default()
            },
            RecordsFilter {
                endpoint: some("nosuch"),
                ..RecordsFilter::default()
            },
            RecordsFilter {
                profile: some("nosuch"),
                ..RecordsFilter::default()
            },
            RecordsFilter {
                outcome: some("nosuch"),
                ..RecordsFilter::default()
            },
            RecordsFilter {
                code: some("GREY"),
                ..RecordsFilter::default()
            },
            RecordsFilter {
                code: some("nosuch"),
                ..RecordsFilter::default()
            },
            RecordsFilter {
                request_id: some("one-77"),
                app: some("shop"),
                ..RecordsFilter::default()
            },
            RecordsFilter {
                correlation_id: some("order-1"),
                app: some("shop"),
                ..RecordsFilter::default()
            },
        ] {
            for from in [
                PageStart::Latest,
                PageStart::OlderThan(key),
                PageStart::NewerThan(key),
            ] {
                let plan = database.explain_records(&filter, from, 50).await?;
                let reads_all = plan.contains("Seq Scan on audit_search")
                    || plan.contains("Seq Scan on audit_codes")
                    || plan
                        .lines()
                        .any(|line| line.starts_with("SCAN ") && !line.contains("INDEX"));
                let sorts = plan.contains("Sort Key") || plan.contains("USE TEMP B-TREE");
                // PostgreSQL may sort where it expects few records.
                let is_short = place.is_postgres() && filter != RecordsFilter::default();
                let is_one = filter.request_id.is_some() || is_short;
                ensure!(!reads_all && (is_one || !sorts), "{filter:?} {from:?}:\n{plan}");
            }
        }
        Ok(())
    })
}
