//! Apps and keys, whichever the database is.

use std::process::ExitCode;
use std::time::Duration;

use likeness_storage::apps::{AppEndpoint, AppKey, AppLimits, AppSettings, Rotated, Rotation, StoredApp};
use likeness_storage::{Database, StorageError, now};
use likeness_testing::{Failed, Outcome, Suite, TestDatabase, ensure};
use sqlx::{Row, query};

mod support;

use support::{block_on, open};

const HOUR: Duration = Duration::from_secs(3_600);

fn unforced(grace: Duration) -> Rotation {
    Rotation { grace, force: false }
}

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.with_databases("an_app_is_read_as_it_was_made", read_back);
    suite.with_databases("an_id_is_taken_once", taken);
    suite.with_databases("what_is_changed_is_read", changed);
    suite.with_databases("a_rotation_leaves_two_keys_then_one", rotation);
    suite.with_databases("a_third_live_key_is_refused_or_made_room_for", third_key);
    suite.with_databases("without_grace_only_the_new_key_is_left", no_grace);
    suite.with_databases("a_removed_app_leaves_no_key_behind", removed);
    suite.with_databases("each_change_is_noticed_and_nothing_else", revisions);
    suite.with_databases(
        "one_of_many_makes_the_first_app_once_in_a_storages_life",
        first_app,
    );
    suite.with_databases("changes_at_the_same_time_are_all_made", concurrent_changes);
    suite.with_databases("no_key_is_in_the_database", hashed);
    suite.with_databases("a_damaged_digest_is_said_not_taken_for_a_key", damaged);
    suite.run()
}

fn key() -> Result<AppKey, StorageError> {
    AppKey::generate()
}

async fn app(database: &Database, id: &str) -> Result<StoredApp, Failed> {
    Ok(database.app(id).await?.ok_or("no such app")?)
}

fn accepts(app: &StoredApp, key: &AppKey) -> bool {
    app.keys
        .iter()
        .any(|stored| stored.is_live(now()) && stored.digest.matches(key.expose().as_bytes()).into())
}

fn full() -> AppSettings {
    let mut settings = AppSettings::default();
    settings.disabled = true;
    settings.default_profile = Some("strict-v0".to_owned());
    settings.profiles = Some(vec!["optimal-v0".to_owned(), "permissive-v0".to_owned()]);
    settings.endpoints = Some(vec![AppEndpoint::Liveness]);
    settings.liveness_threshold_floor = 0.45;
    let mut limits = AppLimits::default();
    limits.requests_per_second = Some(2.5);
    limits.burst = Some(7);
    limits.concurrent_requests = Some(3);
    limits.daily_quota = Some(10_000);
    limits.monthly_quota = Some(1 << 53);
    settings.limits = limits;
    settings.note = "the branch's, 'since' 2026; \"ü\"".to_owned();
    settings
}

fn read_back(test: &TestDatabase) -> Outcome {
    block_on(async {
        let database = open(test).await?;
        let mut no_other_profile = AppSettings::default();
        no_other_profile.profiles = Some(Vec::new());
        let before = now();
        for (id, settings) in [
            ("full", full()),
            ("empty", AppSettings::default()),
            ("lists", no_other_profile),
        ] {
            let key = key()?;
            let new = database.create_app(id, &settings, key.clone()).await?;
            let app = app(&database, id).await?;
            ensure!(app.settings == settings && app.id == id, "{app:?}");
            ensure!(
                (before..=now()).contains(&app.created) && app.changed == app.created,
                "{app:?}"
            );
            ensure!(app.keys.len() == 1 && app.keys[0].label == new.label, "{app:?}");
            ensure!(accepts(&app, &key) && app.keys[0].expires.is_none(), "{app:?}");
        }
        let (_, apps) = database.apps().await?;
        let ids: Vec<&str> = apps.iter().map(|app| app.id.as_str()).collect();
        ensure!(ids == ["empty", "full", "lists"], "{ids:?}");
        ensure!(apps.iter().all(|app| app.keys.len() == 1), "{apps:?}");
        ensure!(database.app("none").await?.is_none(), "an app out of nothing");
        Ok(())
    })
}

fn taken(test: &TestDatabase) -> Outcome {
    block_on(async {
        let database = open(test).await?;
        let first = key()?;
        database.create_app("one", &full(), first.clone()).await?;
        let again = database.create_app("one", &AppSettings::default(), key()?).await;
        ensure!(
            matches!(&again, Err(StorageError::AppExists(id)) if id == "one"),
            "{again:?}"
        );
        let app = app(&database, "one").await?;
        ensure!(
            app.settings == full() && app.keys.len() == 1 && accepts(&app, &first),
            "{app:?}"
        );
        Ok(())
    })
}

fn changed(test: &TestDatabase) -> Outcome {
    block_on(async {
        let database = open(test).await?;
        let key = key()?;
        database.create_app("one", &full(), key.clone()).await?;
        database.create_app("other", &full(), self::key()?).await?;
        let changed = database
            .change_app("one", |settings| {
                settings.disabled = false;
                settings.endpoints = None;
                settings.limits.daily_quota = None;
            })
            .await?;
        let mut expected = full();
        expected.disabled = false;
        expected.endpoints = None;
        expected.limits.daily_quota = None;
        let one = app(&database, "one").await?;
        ensure!(one.settings == expected && changed == expected, "{one:?}");
        ensure!(accepts(&one, &key), "the key is another one");
        ensure!(
            app(&database, "other").await?.settings == full(),
            "another app changed as well"
        );
        let unknown = database.change_app("none", |_| {}).await;
        ensure!(matches!(unknown, Err(StorageError::UnknownApp(_))), "{unknown:?}");
        Ok(())
    })
}

fn rotation(test: &TestDatabase) -> Outcome {
    block_on(async {
        let database = open(test).await?;
        let (old, new) = (key()?, key()?);
        let made = database.create_app("one", &full(), old.clone()).await?;
        let before = now();
        let Rotated {
            label, before: ended, ..
        } = database.rotate_key("one", &new, unforced(HOUR)).await?;
        let hour = i64::try_from(HOUR.as_micros())?;
        let expires = ended[0].expires.ok_or("no end")?;
        ensure!(ended.len() == 1 && ended[0].label == made.label, "{ended:?}");
        ensure!((before + hour..=now() + hour).contains(&expires), "{ended:?}");
        let app = app(&database, "one").await?;
        ensure!(accepts(&app, &old) && accepts(&app, &new), "{app:?}");
        ensure!(
            app.keys[0].label == label && app.keys[0].expires.is_none(),
            "the newest is first: {app:?}"
        );
        let old = &app.keys[1];
        ensure!(old.is_live(expires - 1) && !old.is_live(expires), "{old:?}");
        Ok(())
    })
}

fn third_key(test: &TestDatabase) -> Outcome {
    block_on(async {
        let database = open(test).await?;
        let keys = [key()?, key()?, key()?];
        let made = database.create_app("one", &full(), keys[0].clone()).await?;
        database.rotate_key("one", &keys[1], unforced(HOUR)).await?;
        let refused = database.rotate_key("one", &keys[2], unforced(HOUR)).await;
        ensure!(
            matches!(&refused, Err(StorageError::TooManyKeys { oldest, .. }) if *oldest == made.label),
            "{refused:?}"
        );
        let unchanged = app(&database, "one").await?;
        ensure!(
            accepts(&unchanged, &keys[0]) && !accepts(&unchanged, &keys[2]),
            "{unchanged:?}"
        );

        let forced = Rotation {
            grace: HOUR,
            force: true,
        };
        database.rotate_key("one", &keys[2], forced).await?;
        let app = app(&database, "one").await?;
        let accepted = keys.each_ref().map(|key| accepts(&app, key));
        ensure!(accepted == [false, true, true], "{accepted:?} {app:?}");
        Ok(())
    })
}

fn no_grace(test: &TestDatabase) -> Outcome {
    block_on(async {
        let database = open(test).await?;
        let keys = [key()?, key()?, key()?];
        database.create_app("one", &full(), keys[0].clone()).await?;
        database.rotate_key("one", &keys[1], unforced(HOUR)).await?;
        database
            .rotate_key("one", &keys[2], unforced(Duration::ZERO))
            .await?;
        let app = app(&database, "one").await?;
        let accepted = keys.each_ref().map(|key| accepts(&app, key));
        ensure!(accepted == [false, false, true], "{accepted:?} {app:?}");
        let unknown = database.rotate_key("none", &keys[0], unforced(HOUR)).await;
        ensure!(matches!(unknown, Err(StorageError::UnknownApp(_))), "{unknown:?}");
        Ok(())
    })
}

fn removed(test: &TestDatabase) -> Outcome {
    block_on(async {
        let database = open(test).await?;
        let (old, new) = (key()?, key()?);
        database.create_app("one", &full(), old.clone()).await?;
        database.delete_app("one").await?;
        ensure!(database.app("one").await?.is_none(), "it is still there");
        let again = database.delete_app("one").await;
        ensure!(matches!(again, Err(StorageError::UnknownApp(_))), "{again:?}");
        database.create_app("one", &full(), new.clone()).await?;
        let app = app(&database, "one").await?;
        ensure!(accepts(&app, &new) && !accepts(&app, &old), "{app:?}");
        Ok(())
    })
}

fn revisions(test: &TestDatabase) -> Outcome {
    block_on(async {
        let database = open(test).await?;
        ensure!(database.apps_revision().await? == 0, "a new storage has changes");
        database.create_app("one", &full(), key()?).await?;
        ensure!(database.apps_revision().await? == 1, "create");
        database
            .change_app("one", |settings| settings.disabled = false)
            .await?;
        ensure!(database.apps_revision().await? == 2, "change");
        database.rotate_key("one", &key()?, unforced(HOUR)).await?;
        ensure!(database.apps_revision().await? == 3, "rotate");
        drop(database.create_app("one", &full(), key()?).await);
        drop(database.change_app("none", |_| {}).await);
        drop(database.delete_app("none").await);
        drop(database.rotate_key("one", &key()?, unforced(HOUR)).await);
        ensure!(database.apps_revision().await? == 3, "what was refused");
        database.delete_app("one").await?;
        ensure!(database.apps().await?.0 == 4, "delete");
        Ok(())
    })
}

fn first_app(test: &TestDatabase) -> Outcome {
    block_on(async {
        let mut starts = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let database = open(test).await?;
            starts.spawn(async move { database.create_first_app("default", key()?).await });
        }
        let made: Vec<_> = starts
            .join_all()
            .await
            .into_iter()
            .collect::<Result<Vec<_>, StorageError>>()?;
        let made: Vec<_> = made.into_iter().flatten().collect();
        ensure!(made.len() == 1, "{made:?}");
        let database = open(test).await?;
        ensure!(
            accepts(&app(&database, "default").await?, &made[0].key),
            "its key is another one"
        );
        // Whoever removes the last app does not want another one.
        database.delete_app("default").await?;
        let again = database.create_first_app("default", key()?).await?;
        ensure!(again.is_none(), "{again:?}");
        Ok(())
    })
}

fn concurrent_changes(test: &TestDatabase) -> Outcome {
    block_on(async {
        let database = open(test).await?;
        database
            .create_app("one", &AppSettings::default(), key()?)
            .await?;
        let mut changes = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let database = database.clone();
            changes.spawn(async move {
                database
                    .change_app("one", |settings| settings.note.push('x'))
                    .await
            });
        }
        for change in changes.join_all().await {
            change?;
        }
        let note = app(&database, "one").await?.settings.note;
        ensure!(note == "xxxxxxxx", "{note}");
        Ok(())
    })
}

fn hashed(test: &TestDatabase) -> Outcome {
    block_on(async {
        let database = open(test).await?;
        let key = key()?;
        for app in ["one", "other"] {
            database.create_app(app, &full(), key.clone()).await?;
        }
        let mut session = database.read().await?;
        let rows = session.fetch_all(query("SELECT salt, digest FROM app_keys"), |row| {
            Ok((row.try_get::<String, _>(0)?, row.try_get::<String, _>(1)?))
        });
        let rows = rows.await?;
        let secret = key.expose().trim_start_matches("lk_");
        ensure!(
            rows.len() == 2 && rows[0] != rows[1],
            "one key, one digest: {rows:?}"
        );
        ensure!(!format!("{rows:?}").contains(secret), "{rows:?}");
        Ok(())
    })
}

fn damaged(test: &TestDatabase) -> Outcome {
    block_on(async {
        let database = open(test).await?;
        database.create_app("one", &full(), key()?).await?;
        let mut session = database.begin().await?;
        session
            .execute(query("UPDATE app_keys SET digest = 'no digest'"))
            .await?;
        session.finish().await?;
        let read = database.apps().await;
        ensure!(matches!(read, Err(StorageError::Corrupt { .. })), "{read:?}");
        Ok(())
    })
}
