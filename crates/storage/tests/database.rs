//! Opening a database, whichever it is, and what is said where that fails.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use likeness_storage::{Database, Operation, Session, Settings, StorageError};
use likeness_testing::{Failed, Outcome, Postgres, Suite, TestDatabase, ensure};
use sqlx::{Row, query};

mod support;

use support::{block_on, open, settings};

/// No wait is longer, and none is expected to come near.
const TIMEOUT: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.with_databases("opened_twice_the_tables_are_made_once", opened_twice);
    suite.with_databases(
        "many_may_open_an_empty_database_at_the_same_time",
        opened_together,
    );
    suite.with_databases("what_a_newer_version_changed_is_not_touched", newer);
    suite.with_databases(
        "newer_tables_that_suit_this_version_are_used_and_others_are_not",
        newer_and_suitable,
    );
    suite.with_databases("a_transaction_that_fails_changes_nothing", rolled_back);
    suite.with_databases("a_call_ends_in_time_while_others_hold_the_lock", locked);
    suite.with_postgres("a_call_ends_in_time_whatever_the_server_is_busy_with", busy);
    suite.with_postgres("a_server_that_was_away_is_found_again", |_| away());
    suite.with_postgres("who_must_act_is_said_and_no_password", refused);
    suite.test("a_full_disk_is_no_longer_one_when_there_is_room", full_disk);
    suite.test(
        "files_that_are_removed_while_in_use_are_written_again_with_all_that_was_in_them",
        removed,
    );
    suite.test(
        "a_file_that_is_replaced_while_in_use_is_not_written_to_until_the_right_one_is_back",
        replaced,
    );
    suite.test("a_file_is_its_owners_only", file_rights);
    suite.test("a_file_that_is_no_database_is_said", no_database);
    suite.test("each_database_in_memory_is_one_of_its_own", memory);
    suite.run()
}

async fn revision(session: &mut Session) -> Result<i64, StorageError> {
    let revision = query("SELECT revision FROM apps_revision WHERE id = $1").bind(1_i64);
    session.fetch_one(revision, |row| row.try_get(0)).await
}

async fn set_revision(session: &mut Session, revision: i64) -> Result<(), StorageError> {
    let update = query("UPDATE apps_revision SET revision = $1").bind(revision);
    session.execute(update).await.map(drop)
}

async fn read(database: &Database) -> Result<i64, StorageError> {
    let mut session = database.read().await?;
    let revision = revision(&mut session).await?;
    session.finish().await?;
    Ok(revision)
}

/// Sets the revision in a transaction.
async fn write(database: &Database, revision: i64) -> Result<(), StorageError> {
    let mut session = database.begin().await?;
    set_revision(&mut session, revision).await?;
    session.finish().await
}

fn opened_twice(test: &TestDatabase) -> Outcome {
    block_on(async {
        let first = open(test).await?;
        write(&first, 7).await?;
        first.close().await;
        let found = read(&open(test).await?).await?;
        ensure!(found == 7, "{found}");
        Ok(())
    })
}

fn opened_together(test: &TestDatabase) -> Outcome {
    block_on(async {
        let settings = settings(test.url())?;
        let mut openings = tokio::task::JoinSet::new();
        for _ in 0..6 {
            let settings = settings.clone();
            openings.spawn(async move { read(&Database::open(&settings).await?).await });
        }
        for outcome in openings.join_all().await {
            ensure!(outcome? == 0, "another revision");
        }
        Ok(())
    })
}

fn newer(test: &TestDatabase) -> Outcome {
    block_on(async {
        let database = open(test).await?;
        add_migration(&database, 9000, "later").await?;
        let error = Database::open(&settings(test.url())?).await.err();
        ensure!(
            matches!(error, Some(StorageError::Newer { found: 9000, .. })),
            "{error:?}"
        );
        Ok(())
    })
}

fn newer_and_suitable(test: &TestDatabase) -> Outcome {
    block_on(async {
        let database = open(test).await?;
        write(&database, 7).await?;
        add_migration(&database, 9000, "adds; needs 1").await?;
        add_migration(&database, 9001, "adds more; needs 6").await?;
        ensure!(read(&open(test).await?).await? == 7, "another revision");
        add_migration(&database, 9002, "renames; needs 9002").await?;
        add_migration(&database, 9003, "adds; needs 9002").await?;
        let error = Database::open(&settings(test.url())?).await.err();
        ensure!(
            matches!(error, Some(StorageError::Newer { found: 9002, .. })),
            "{error:?}"
        );
        Ok(())
    })
}

/// Enters a migration that a later program would have run.
async fn add_migration(database: &Database, number: i64, description: &str) -> Outcome {
    let mut session = database.begin().await?;
    let later = query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         SELECT $1, $2, success, checksum, execution_time FROM _sqlx_migrations WHERE version = 1",
    );
    session.execute(later.bind(number).bind(description)).await?;
    Ok(session.finish().await?)
}

fn rolled_back(test: &TestDatabase) -> Outcome {
    block_on(async {
        let database = open(test).await?;
        let mut session = database.begin().await?;
        set_revision(&mut session, 7).await?;
        let second = query("INSERT INTO apps_revision (id, revision) VALUES (1, 0)");
        let failed = session.execute(second).await;
        ensure!(matches!(failed, Err(StorageError::Failed { .. })), "{failed:?}");
        drop(session);
        let mut session = database.begin().await?;
        set_revision(&mut session, 8).await?;
        session.roll_back().await?;
        // Neither finished nor rolled back, as by a call that was cancelled.
        let mut session = database.begin().await?;
        set_revision(&mut session, 9).await?;
        drop(session);
        // A rejected statement is no outage.
        let health = database.health();
        ensure!(
            health.is_up && health.errors.iter().all(|(_, count)| *count == 0),
            "{health:?}"
        );
        ensure!(read(&database).await? == 0, "something was changed");
        Ok(())
    })
}

fn locked(test: &TestDatabase) -> Outcome {
    block_on(async {
        let patient = open(test).await?;
        let hasty = Settings {
            timeout: Duration::from_millis(200),
            ..settings(test.url())?
        };
        let hasty = Database::open(&hasty).await?;
        let mut holder = patient.begin().await?;
        set_revision(&mut holder, 1).await?;
        let outcome = write(&hasty, 2).await;
        ensure!(
            matches!(outcome, Err(StorageError::TimedOut { .. })),
            "{outcome:?}"
        );
        // Closes the connection, and releases its lock.
        drop(holder);
        patient.close().await;
        write(&hasty, 3).await?;
        ensure!(read(&hasty).await? == 3, "the change is not there");
        Ok(())
    })
}

fn busy(postgres: &Postgres) -> Outcome {
    let url = postgres.new_database()?;
    block_on(async {
        let hasty = Settings {
            timeout: Duration::from_secs(1),
            ..settings(&url)?
        };
        let database = Database::open(&hasty).await?;
        let mut session = database.read().await?;
        let outcome = session.execute(query("SELECT pg_sleep(600)")).await;
        drop(session);
        ensure!(
            matches!(outcome, Err(StorageError::TimedOut { .. })),
            "{outcome:?}"
        );
        let health = database.health();
        // One statement that is too slow is no outage.
        ensure!(
            health.is_up && health.errors.contains(&(Operation::Statement, 1)),
            "{health:?}"
        );
        ensure!(read(&database).await? == 0, "it does not answer any more");
        Ok(())
    })
}

fn away() -> Outcome {
    let postgres = Postgres::start_new()?;
    let url = postgres.new_database()?;
    block_on(async {
        let hasty = Settings {
            timeout: Duration::from_millis(500),
            ..settings(&url)?
        };
        let database = Database::open(&hasty).await?;
        ensure!(read(&database).await? == 0, "it does not answer");
        ensure!(database.health().is_up, "{:?}", database.health());
        postgres.stop();
        let mut last = None;
        for _ in 0..3 {
            let error = read(&database).await.err().ok_or("it answers without a server")?;
            ensure!(
                error.is_transient() && said_without(&error, postgres.password()),
                "{error}"
            );
            last = Some(error);
        }
        // Once no connection is left, nobody waits for one.
        ensure!(matches!(last, Some(StorageError::Unreachable { .. })), "{last:?}");
        let health = database.health();
        let errors: u64 = health.errors.iter().map(|(_, count)| count).sum();
        ensure!(!health.is_up && errors == 3, "{health:?}");
        let error = Database::open(&hasty)
            .await
            .err()
            .ok_or("opened without a server")?;
        ensure!(
            error.is_transient() && error.to_string().contains("postgres://likeness@127.0.0.1:"),
            "{error}"
        );
        postgres.start()?;
        ensure!(read(&database).await? == 0, "it is not found again");
        ensure!(database.health().is_up, "{:?}", database.health());
        Ok(())
    })
}

fn said_without(error: &StorageError, password: &str) -> bool {
    !format!("{error} {error:?}").contains(password)
}

fn refused(postgres: &Postgres) -> Outcome {
    let url = postgres.new_database()?;
    block_on(async {
        let wrong = [
            url.replace(postgres.password(), "s3cret-and-wrong"),
            url.replace("/test", "/absent"),
        ];
        for url in wrong {
            let error = Database::open(&settings(&url)?)
                .await
                .err()
                .ok_or("it was let in")?;
            ensure!(matches!(error, StorageError::Refused { .. }), "{error:?}");
            ensure!(
                said_without(&error, "s3cret") && said_without(&error, postgres.password()),
                "{error:?}"
            );
        }
        Ok(())
    })
}

/// SQLite ends the transaction by itself then, and the connection must not count as being in one.
fn full_disk() -> Outcome {
    let place = TestDatabase::sqlite()?;
    block_on(async {
        let database = open(&place).await?;
        // Where the file is not to grow, that is so for this connection only.
        let grow = async |grows: bool| -> Result<(), StorageError> {
            let mut session = database.begin().await?;
            if !grows {
                session.execute(query("PRAGMA max_page_count = 1")).await?;
            }
            let revision = revision(&mut session).await?;
            set_revision(&mut session, revision + 1).await?;
            let large = query(
                "INSERT INTO usage_days (app, day, biometric, liveness, refused) \
                 VALUES (HEX(ZEROBLOB(100000)), $1, 0, 0, 0)",
            );
            session.execute(large.bind(revision)).await?;
            session.finish().await
        };
        let full = grow(false).await;
        ensure!(
            matches!(&full, Err(StorageError::Failed { source, .. }) if source.to_string().contains("full")),
            "{full:?}"
        );
        for _ in 0..5 {
            grow(true).await?;
        }
        let found = read(&database).await?;
        ensure!(found == 5, "{found}");
        Ok(())
    })
}

/// Asks until the database is restored.
async fn read_restored(database: &Database) -> Result<i64, Failed> {
    let begun = Instant::now();
    loop {
        match read(database).await {
            Ok(found) => return Ok(found),
            Err(error) => ensure!(begun.elapsed() < TIMEOUT, "it is not restored: {error}"),
        }
        tokio::task::yield_now().await;
    }
}

fn removed() -> Outcome {
    type Act = fn(&Path) -> std::io::Result<()>;
    let acts: [(&str, Act); 6] = [
        ("the database", |file| std::fs::remove_file(file)),
        ("its log", |file| std::fs::remove_file(beside(file, "-wal"))),
        ("its index", |file| std::fs::remove_file(beside(file, "-shm"))),
        ("all three", |file| {
            ["", "-wal", "-shm"]
                .iter()
                .try_for_each(|name| std::fs::remove_file(beside(file, name)))
        }),
        ("the folder", |file| {
            std::fs::remove_dir_all(file.parent().unwrap_or(file))
        }),
        ("the folder's name", |file| {
            let folder = file.parent().unwrap_or(file);
            std::fs::rename(folder, folder.with_extension("old"))
        }),
    ];
    for (what, act) in acts {
        let parent = tempfile::tempdir()?;
        let file = parent.path().join("data/likeness.db");
        let settings = settings(&format!("sqlite:{}", file.display()))?;
        block_on(async {
            let database = Database::open(&settings).await?;
            write(&database, 7).await?;
            act(&file)?;
            // Nothing is written where it would vanish with the process.
            let written = write(&database, 8).await;
            ensure!(
                matches!(written, Err(StorageError::Taken { .. })),
                "{what}: {written:?}"
            );
            let found = read_restored(&database).await?;
            ensure!(found == 7, "{what}: {found}");
            write(&database, 9).await?;
            // What others find at the path, while it is open and afterwards.
            let found = read(&Database::open(&settings).await?).await?;
            ensure!(found == 9, "{what}: {found} beside it");
            database.close().await;
            let found = read(&Database::open(&settings).await?).await?;
            ensure!(found == 9, "{what}: {found} afterwards");
            Ok(())
        })?;
    }
    Ok(())
}

fn beside(file: &Path, name: &str) -> std::path::PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(name);
    path.into()
}

fn replaced() -> Outcome {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("likeness.db");
    let aside = folder.path().join("aside.db");
    block_on(async {
        let database = Database::open(&settings(&format!("sqlite:{}", file.display()))?).await?;
        write(&database, 7).await?;
        std::fs::rename(&file, &aside)?;
        std::fs::write(&file, "another one")?;
        for _ in 0..3 {
            let written = write(&database, 8).await;
            ensure!(
                matches!(&written, Err(error @ StorageError::Taken { .. }) if error.to_string().contains("replaced")),
                "{written:?}"
            );
        }
        ensure!(!database.health().is_up, "it counts as well");
        ensure!(
            std::fs::read(&file)? == b"another one",
            "the other file was changed"
        );
        std::fs::rename(&aside, &file)?;
        write(&database, 9).await?;
        let found = read(&database).await?;
        ensure!(found == 9, "{found}");
        Ok(())
    })
}

fn file_rights() -> Outcome {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("made/with it");
    block_on(async {
        let url = format!("sqlite:{}", data.join("likeness.db").display());
        let database = Database::open(&settings(&url)?).await?;
        write(&database, 7).await?;
        let mode = |path: &std::path::Path| -> Result<u32, Failed> {
            Ok(std::fs::metadata(path)?.permissions().mode() & 0o777)
        };
        ensure!(mode(&data)? == 0o700, "{:o}", mode(&data)?);
        let mut files = 0;
        for entry in std::fs::read_dir(&data)? {
            let path = entry?.path();
            ensure!(mode(&path)? == 0o600, "{}: {:o}", path.display(), mode(&path)?);
            files += 1;
        }
        // Among them what SQLite itself has made beside the database.
        ensure!(files >= 3, "{files} files");
        Ok(())
    })
}

fn no_database() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("likeness.db");
    std::fs::write(
        &path,
        "something else, and long enough to be looked at".repeat(100),
    )?;
    block_on(async {
        let url = format!("sqlite:{}", path.display());
        let error = Database::open(&settings(&url)?)
            .await
            .err()
            .ok_or("it was opened")?;
        ensure!(matches!(error, StorageError::Corrupt { .. }), "{error:?}");
        ensure!(error.to_string().contains("likeness.db"), "{error}");
        Ok(())
    })
}

fn memory() -> Outcome {
    block_on(async {
        let settings = settings("sqlite::memory:")?;
        let (one, other) = (Database::open(&settings).await?, Database::open(&settings).await?);
        write(&one, 7).await?;
        ensure!(
            read(&one).await? == 7 && read(&other).await? == 0,
            "they are the same"
        );
        Ok(())
    })
}
