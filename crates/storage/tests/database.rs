//! Opening a database, whichever it is, and what is said where that fails.

use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;

use likeness_storage::{Database, Place, Settings, StorageError};
use likeness_testing::{Failed, Outcome, Suite, TestDatabase, ensure};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.with_databases("opened twice, the tables are made once", opened_twice);
    suite.with_databases(
        "many may open an empty database at the same time",
        opened_together,
    );
    suite.with_databases("what a newer version changed is not touched", newer);
    suite.with_databases("a transaction that fails changes nothing", rolled_back);
    suite.with_postgres("a call ends in time while others hold the lock", |postgres| {
        bounded(&postgres.new_database()?)
    });
    suite.run()
}

fn block_on<T>(future: impl Future<Output = Result<T, StorageError>>) -> Result<T, Failed> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(future)?)
}

fn settings(url: &str) -> Result<Settings, StorageError> {
    Ok(Settings::new(Place::from_url(&url.into())?))
}

async fn revision(database: &Database) -> Result<i64, StorageError> {
    database
        .run(|connection| {
            Box::pin(async move {
                sqlx::query_scalar("SELECT revision FROM apps_revision WHERE id = $1")
                    .bind(1_i64)
                    .fetch_one(connection)
                    .await
            })
        })
        .await
}

fn opened_twice(test: &TestDatabase) -> Outcome {
    block_on(async {
        let settings = settings(test.url())?;
        let first = Database::open(&settings).await?;
        first
            .run(|connection| {
                Box::pin(async move {
                    sqlx::query("UPDATE apps_revision SET revision = 7")
                        .execute(connection)
                        .await
                })
            })
            .await?;
        first.close().await;
        let second = Database::open(&settings).await?;
        assert_eq!(revision(&second).await?, 7);
        Ok(())
    })
}

fn opened_together(test: &TestDatabase) -> Outcome {
    block_on(async {
        let settings = settings(test.url())?;
        let mut openings = tokio::task::JoinSet::new();
        for _ in 0..6 {
            let settings = settings.clone();
            openings.spawn(async move { revision(&Database::open(&settings).await?).await });
        }
        for outcome in openings.join_all().await {
            assert_eq!(outcome?, 0);
        }
        Ok(())
    })
}

fn newer(test: &TestDatabase) -> Outcome {
    let error = block_on(async {
        let settings = settings(test.url())?;
        let database = Database::open(&settings).await?;
        database
            .run(|connection| {
                Box::pin(async move {
                    sqlx::query(
                        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                         SELECT 9000, 'later', success, checksum, execution_time FROM _sqlx_migrations \
                         WHERE version = 1",
                    )
                    .execute(connection)
                    .await
                })
            })
            .await?;
        Ok(Database::open(&settings).await.err())
    })?;
    ensure!(
        matches!(error, Some(StorageError::Newer { found: 9000, .. })),
        "{error:?}"
    );
    Ok(())
}

fn rolled_back(test: &TestDatabase) -> Outcome {
    block_on(async {
        let database = Database::open(&settings(test.url())?).await?;
        let outcome = database
            .transaction(|connection| {
                Box::pin(async move {
                    sqlx::query("UPDATE apps_revision SET revision = 7")
                        .execute(&mut *connection)
                        .await?;
                    sqlx::query("INSERT INTO apps_revision (id, revision) VALUES ($1, 0)")
                        .bind(1_i64)
                        .execute(connection)
                        .await
                })
            })
            .await;
        assert!(matches!(outcome, Err(StorageError::Failed { .. })), "{outcome:?}");
        assert_eq!(revision(&database).await?, 0);
        Ok(())
    })
}

fn bounded(url: &str) -> Outcome {
    let error = block_on(async {
        let settings = settings(url)?.with_timeout(Duration::from_millis(500));
        let (one, other) = (Database::open(&settings).await?, Database::open(&settings).await?);
        let (locked, wait) = tokio::sync::oneshot::channel();
        let holder = tokio::spawn(async move {
            one.transaction(|connection| {
                Box::pin(async move {
                    sqlx::query("UPDATE apps_revision SET revision = 1")
                        .execute(connection)
                        .await?;
                    let _ = locked.send(());
                    std::future::pending::<Result<(), sqlx::Error>>().await
                })
            })
            .await
        });
        drop(wait.await);
        let waits = other
            .run(|connection| {
                Box::pin(async move { sqlx::query("SELECT pg_sleep(600)").execute(connection).await })
            })
            .await;
        assert!(matches!(waits, Err(StorageError::TimedOut { .. })), "{waits:?}");
        Ok(holder.await)
    })?;
    ensure!(
        matches!(error, Ok(Err(StorageError::TimedOut { .. }))),
        "{error:?}"
    );
    Ok(())
}
