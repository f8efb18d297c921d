//! How long pages of many audit records take: the first page, each single filter, and a sample.
//!
//! `cargo bench -p likeness-storage --bench records -- [--records N] [--url URL]`
//!
//! Fills an empty database with N records (10,000,000), by default in an SQLite file that it removes; some 7 GB with the default
//! number. Each page is read five times; the first time, and the median of all.

#![allow(missing_docs, clippy::print_stdout)]

use std::error::Error;
use std::time::{Duration, Instant};

use likeness_storage::audit::AuditRow;
use likeness_storage::records::{PageStart, RecordsFilter, SearchEntry, Searchable};
use likeness_storage::{Database, Place, Settings};
use sqlx::query;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Records that are added by one statement.
const BATCH: i64 = 100_000;
const PAGE: i64 = 51;
/// Microseconds since 1970 of the first record; one follows every 250 ms.
const BEGIN: i64 = 1_780_000_000_000_000;
const STEP: i64 = 250_000;

/// Numbers from one to another, as a table; `d` is a digit sequence without order.
const NUMBERS: &str = "WITH RECURSIVE n (i) AS (SELECT CAST($1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < $2), \
     m (i, d) AS (SELECT i, (i * 7919) % 10000 FROM n) ";

fn main() -> Outcome {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let (mut records, mut url) = (10_000_000, None);
    while let Some(argument) = arguments.next() {
        let value = arguments
            .next()
            .ok_or_else(|| format!("{argument} has no value"))?;
        match argument.as_str() {
            "--records" => records = value.parse()?,
            "--url" => url = Some(value),
            other => return Err(format!("unknown argument {other}; see the source").into()),
        }
    }
    let folder = tempfile::tempdir()?;
    let file = format!("sqlite:{}", folder.path().join("records.db").display());
    let url = url.unwrap_or(file);
    tokio::runtime::Runtime::new()?.block_on(run(&url, records))
}

async fn run(url: &str, records: i64) -> Outcome {
    let mut settings = Settings::new(Place::from_url(&url.into())?);
    settings.timeout = Duration::from_secs(600);
    let database = Database::open(&settings).await?;
    if database.audit_size().await?.0 > 0 {
        return Err("the database has records: give an empty one".into());
    }
    let began = Instant::now();
    fill(&database, records).await?;
    println!(
        "{records} records in {:?}, filled in {:.0?}",
        database.kind(),
        began.elapsed()
    );
    measure(&database, records).await?;
    write(&database).await?;
    database.close().await;
    Ok(())
}

async fn fill(database: &Database, records: i64) -> Outcome {
    let line = "x".repeat(200);
    for first in (1..=records).step_by(BATCH as usize) {
        let last = (first + BATCH - 1).min(records);
        let mut session = database.begin().await?;
        let audit = format!(
            "{NUMBERS} INSERT INTO audit (instance, seq, time, kind, request_id, app, status, outcome, line) \
             SELECT 'bench', i, {BEGIN} + i * {STEP}, 'verification', NULL, NULL, 200, NULL, '{line}' FROM m"
        );
        // Every 200,000th record is of an app, a profile and an outcome that are rare.
        let search = format!(
            "{NUMBERS} INSERT INTO audit_search (chain, seq, time, sample, request_id, correlation_id, app, endpoint, \
             profile, outcome, status, error, codes, face_match, liveness, duration) \
             SELECT 1, i, {BEGIN} + i * {STEP}, CASE WHEN i % 2 = 1 THEN 0 WHEN i % 4 = 2 THEN 1 WHEN i % 8 = 4 THEN 2 \
             WHEN i % 16 = 8 THEN 3 WHEN i % 32 = 16 THEN 4 WHEN i % 64 = 32 THEN 5 WHEN i % 128 = 64 THEN 6 \
             WHEN i % 256 = 128 THEN 7 ELSE 8 END, \
             '00000000-0000-4000-8000-' || CAST(1000000000000 + i AS TEXT), 'order-' || CAST(i / 3 AS TEXT), \
             CASE WHEN i % 200000 = 7 THEN 'rare' ELSE 'app-' || CAST(d % 20 AS TEXT) END, \
             CASE WHEN d % 10 = 0 THEN 'liveness-verification' ELSE 'biometric-verification' END, \
             CASE WHEN i % 200000 = 7 THEN 'rare' ELSE 'optimal-v0' END, \
             CASE WHEN i % 200000 = 7 THEN 'error' WHEN d < 800 THEN 'reject' WHEN d < 1800 THEN 'review' ELSE 'pass' END, \
             200, NULL, CASE WHEN i % 200000 = 7 THEN 'GREY_SELFIE' WHEN d < 800 THEN 'FAILED_FACE_MATCH' ELSE '' END, \
             d / 10000.0, 0.9, 120.5 FROM m"
        );
        let codes = format!(
            "{NUMBERS} INSERT INTO audit_codes (code, time, chain, seq) \
             SELECT CASE WHEN i % 200000 = 7 THEN 'GREY_SELFIE' ELSE 'FAILED_FACE_MATCH' END, {BEGIN} + i * {STEP}, 1, i \
             FROM m WHERE d < 800 OR i % 200000 = 7"
        );
        for text in [audit, search, codes] {
            let statement = query(sqlx::AssertSqlSafe(text)).bind(first).bind(last);
            session.execute(statement).await?;
        }
        session.finish().await?;
    }
    let mut session = database.begin().await?;
    let chain =
        query("INSERT INTO audit_chains (id, instance, first_seq, last_seq) VALUES (1, 'bench', 1, $1)");
    session.execute(chain.bind(records)).await?;
    session.finish().await?;
    if database.kind() == likeness_storage::Kind::Postgres {
        // As its autovacuum does.
        database.analyze().await?;
    }
    Ok(())
}

async fn measure(database: &Database, records: i64) -> Outcome {
    let some = |text: &str| Some(text.to_owned());
    let all = RecordsFilter::default;
    let middle = BEGIN + records / 2 * STEP;
    let filters = [
        ("first page", all()),
        (
            "time: a day in the middle",
            RecordsFilter {
                since: Some(middle),
                until: Some(middle + 86_400_000_000),
                ..all()
            },
        ),
        (
            "app: one of 20",
            RecordsFilter {
                app: some("app-7"),
                ..all()
            },
        ),
        (
            "app: rare",
            RecordsFilter {
                app: some("rare"),
                ..all()
            },
        ),
        (
            "app: none of them",
            RecordsFilter {
                app: some("nosuch"),
                ..all()
            },
        ),
        (
            "outcome: review",
            RecordsFilter {
                outcome: some("review"),
                ..all()
            },
        ),
        (
            "outcome: rare",
            RecordsFilter {
                outcome: some("error"),
                ..all()
            },
        ),
        (
            "code: frequent",
            RecordsFilter {
                code: some("FAILED_FACE_MATCH"),
                ..all()
            },
        ),
        (
            "code: rare",
            RecordsFilter {
                code: some("GREY_SELFIE"),
                ..all()
            },
        ),
        (
            "endpoint: liveness",
            RecordsFilter {
                endpoint: some("liveness-verification"),
                ..all()
            },
        ),
        (
            "profile: frequent",
            RecordsFilter {
                profile: some("optimal-v0"),
                ..all()
            },
        ),
        (
            "profile: rare",
            RecordsFilter {
                profile: some("rare"),
                ..all()
            },
        ),
        (
            "request id",
            RecordsFilter {
                request_id: some("00000000-0000-4000-8000-1000000077777"),
                ..all()
            },
        ),
        (
            "correlation id",
            RecordsFilter {
                correlation_id: some("order-7777"),
                ..all()
            },
        ),
    ];
    println!("| page of {PAGE} | records | first, ms | median, ms |");
    println!("|---|---:|---:|---:|");
    for (name, filter) in &filters {
        let read = async || {
            Ok(database
                .find_records(filter, PageStart::Latest, PAGE)
                .await?
                .len())
        };
        row(name, read).await?;
    }
    let key = database.find_records(&filters[1].1, PageStart::Latest, 1).await?;
    let key = key.first().ok_or("no record in the middle")?.key;
    for (name, filter) in [
        ("older than the middle", &filters[0].1),
        ("app, older than the middle", &filters[2].1),
    ] {
        let read = async || {
            Ok(database
                .find_records(filter, PageStart::OlderThan(key), PAGE)
                .await?
                .len())
        };
        row(name, read).await?;
    }
    row("lines of 500, for an export", async || {
        Ok(database
            .find_lines(&filters[0].1, PageStart::OlderThan(key), 500)
            .await?
            .len())
    })
    .await?;
    row("apps to choose from", async || {
        Ok(database.recorded_apps(1_000).await?.len())
    })
    .await?;
    row("progress of the backfill", async || {
        Ok(usize::try_from(database.search_progress().await?.records)?)
    })
    .await?;
    for (name, filter) in [
        ("sample of all", &filters[0].1),
        ("sample of one of 20 apps", &filters[2].1),
    ] {
        let read = async || {
            let sample = database
                .sample_records(filter, 100_000, Duration::from_secs(2))
                .await?;
            Ok(sample.records.len())
        };
        row(name, read).await?;
    }
    Ok(())
}

/// Measures what recording costs: a batch of the shipper without and with its entries in the search, and one of the backfill.
async fn write(database: &Database) -> Outcome {
    const BATCH: i64 = 500;
    let seq = std::cell::Cell::new(0);
    let rows = || -> Vec<AuditRow> {
        let first = seq.get();
        seq.set(first + BATCH);
        let row = |seq| AuditRow {
            instance: "new".to_owned(),
            seq,
            time: BEGIN + seq,
            kind: "verification".to_owned(),
            request_id: Some(format!("10000000-0000-4000-8000-{seq:012}")),
            app: Some("app-1".to_owned()),
            status: Some(200),
            outcome: Some("pass".to_owned()),
            line: "x".repeat(1_200),
        };
        (first + 1..=first + BATCH).map(row).collect()
    };
    let found = |rows: &[AuditRow]| -> Vec<Searchable> {
        let entry = |row: &AuditRow| {
            Searchable::Verification(Box::new(SearchEntry {
                seq: row.seq,
                time: row.time,
                request_id: row.request_id.clone(),
                app: row.app.clone(),
                endpoint: Some("biometric-verification".to_owned()),
                profile: Some("optimal-v0".to_owned()),
                outcome: "review".to_owned(),
                status: row.status,
                codes: vec!["FAILED_FACE_MATCH".to_owned()],
                ..SearchEntry::default()
            }))
        };
        rows.iter().map(entry).collect()
    };
    println!("| batch of {BATCH} | records | first, ms | median, ms |");
    println!("|---|---:|---:|---:|");
    row("recorded, not searchable", async || {
        let rows = rows();
        database.add_audit(rows).await?;
        Ok(BATCH as usize)
    })
    .await?;
    row("made searchable", async || {
        let records = database.unsearchable(BATCH).await?.ok_or("all are searchable")?;
        let found = found(&records.rows);
        database.make_searchable(&records, found).await?;
        Ok(records.rows.len())
    })
    .await?;
    row("recorded and searchable", async || {
        let rows = rows();
        let found = found(&rows);
        database.add_records(rows, found).await?;
        Ok(BATCH as usize)
    })
    .await
}

async fn row(name: &str, read: impl AsyncFn() -> Outcome<usize>) -> Outcome {
    let (mut times, mut found) = (Vec::new(), 0);
    for _ in 0..5 {
        let began = Instant::now();
        found = read().await?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    let first = times[0];
    times.sort_by(f64::total_cmp);
    println!(
        "| {name} | {found} | {first:.1} | {:.1} |",
        times[times.len() / 2]
    );
    Ok(())
}
