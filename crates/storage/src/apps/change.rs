//! Changing the apps.

use std::time::Duration;

use super::key::label;
use super::read::{SELECT_APP, app, keys};
use super::{AppError, AppKey, AppSettings, MAX_LIVE_KEYS, SaltedDigest, StoredKey};
use crate::{Connection, Database, StorageError, now};

/// How long a key that is accepted no more is kept on record, in microseconds: 90 days.
const RECORD: i64 = 90 * 86_400 * 1_000_000;

/// An app that was made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NewApp {
    /// What callers send as `app_id`.
    pub id: String,
    /// What callers send as `app_key`. Nothing keeps it.
    pub key: AppKey,
    /// Names the key.
    pub label: String,
}

/// How a key is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rotation {
    /// How long the keys before are still accepted.
    pub grace: Duration,
    /// Where two keys are live, the one that ends first is ended at once; else that is [`AppError::TooManyKeys`].
    pub force: bool,
}

impl Rotation {
    /// The keys before are accepted for this long.
    #[must_use]
    pub fn new(grace: Duration) -> Self {
        Self { grace, force: false }
    }

    /// Makes room by ending a key before its time.
    #[must_use]
    pub fn with_force(mut self, force: bool) -> Self {
        self.force = force;
        self
    }
}

/// What came of a rotation.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Rotated {
    /// Names the new key.
    pub label: String,
    /// The keys before that were live, as they are now.
    pub before: Vec<StoredKey>,
}

impl Database {
    /// Makes an app with this key. Whoever calls has checked the settings.
    ///
    /// # Errors
    /// [`AppError::Exists`], [`AppError::Storage`].
    pub async fn create_app(
        &self,
        id: &str,
        settings: &AppSettings,
        key: AppKey,
    ) -> Result<NewApp, AppError> {
        self.insert_app(id, settings, key, false)
            .await?
            .ok_or_else(|| AppError::Exists(id.to_owned()))
    }

    /// Makes an app with this key, unless there is one or has ever been one: `None` then. Of several replicas that start
    /// at the same time one makes it.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn create_first_app(&self, id: &str, key: AppKey) -> Result<Option<NewApp>, StorageError> {
        self.insert_app(id, &AppSettings::default(), key, true).await
    }

    async fn insert_app(
        &self,
        id: &str,
        settings: &AppSettings,
        key: AppKey,
        only_first: bool,
    ) -> Result<Option<NewApp>, StorageError> {
        let new = NewApp {
            id: id.to_owned(),
            label: label()?,
            key,
        };
        let digest = SaltedDigest::new(new.key.expose().as_bytes())?;
        let (id, label, settings) = (new.id.clone(), new.label.clone(), settings.clone());
        let made = self
            .try_transaction(move |connection| {
                Box::pin(async move {
                    let revision = next_revision(&mut *connection).await?;
                    if (only_first && revision != 1) || exists(&mut *connection, &id).await? {
                        return Ok(Err(()));
                    }
                    let now = now();
                    let sql = "INSERT INTO apps (disabled, default_profile, profiles, endpoints, \
                               liveness_threshold_floor, requests_per_second, burst, concurrent_requests, daily_quota, \
                               monthly_quota, note, changed, id, created) \
                               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
                    bind(&settings, now, sql)
                        .bind(id.clone())
                        .bind(now)
                        .execute(&mut *connection)
                        .await?;
                    insert_key(connection, &id, &label, &digest, now).await?;
                    Ok(Ok(()))
                })
            })
            .await?;
        Ok(made.is_ok().then_some(new))
    }

    /// Changes the settings of an app. Whoever calls has checked what they will be.
    ///
    /// # Errors
    /// [`AppError::Unknown`], [`AppError::Storage`].
    pub async fn change_app(
        &self,
        id: &str,
        change: impl FnOnce(&mut AppSettings) + Send + 'static,
    ) -> Result<AppSettings, AppError> {
        let wanted = id.to_owned();
        let changed = self
            .try_transaction(move |connection| {
                Box::pin(async move {
                    next_revision(&mut *connection).await?;
                    let row = sqlx::query(SELECT_APP)
                        .bind(wanted.clone())
                        .fetch_optional(&mut *connection)
                        .await?;
                    let Some(row) = row else {
                        return Ok(Err(()));
                    };
                    let mut settings = app(&row)?.settings;
                    change(&mut settings);
                    let sql = "UPDATE apps SET disabled = $1, default_profile = $2, profiles = $3, endpoints = $4, \
                               liveness_threshold_floor = $5, requests_per_second = $6, burst = $7, \
                               concurrent_requests = $8, daily_quota = $9, monthly_quota = $10, note = $11, \
                               changed = $12 WHERE id = $13";
                    bind(&settings, now(), sql)
                        .bind(wanted)
                        .execute(connection)
                        .await?;
                    Ok(Ok(settings))
                })
            })
            .await?;
        changed.map_err(|()| AppError::Unknown(id.to_owned()))
    }

    /// Removes an app and its keys.
    ///
    /// # Errors
    /// [`AppError::Unknown`], [`AppError::Storage`].
    pub async fn delete_app(&self, id: &str) -> Result<(), AppError> {
        let wanted = id.to_owned();
        let deleted = self
            .try_transaction(move |connection| {
                Box::pin(async move {
                    next_revision(&mut *connection).await?;
                    let deleted = sqlx::query("DELETE FROM apps WHERE id = $1")
                        .bind(wanted)
                        .execute(connection)
                        .await?;
                    Ok(if deleted.rows_affected() == 0 {
                        Err(())
                    } else {
                        Ok(())
                    })
                })
            })
            .await?;
        deleted.map_err(|()| AppError::Unknown(id.to_owned()))
    }

    /// Gives an app another key, and the keys before an end.
    ///
    /// # Errors
    /// [`AppError::Unknown`], [`AppError::TooManyKeys`], [`AppError::Storage`].
    pub async fn rotate_key(&self, id: &str, key: &AppKey, rotation: Rotation) -> Result<Rotated, AppError> {
        let label = label()?;
        let digest = SaltedDigest::new(key.expose().as_bytes())?;
        let grace = i64::try_from(rotation.grace.as_micros()).unwrap_or(i64::MAX);
        let (app, new) = (id.to_owned(), label.clone());
        let outcome = self
            .try_transaction(move |connection| {
                Box::pin(async move {
                    next_revision(&mut *connection).await?;
                    if !exists(&mut *connection, &app).await? {
                        return Ok(Err(AppError::Unknown(app)));
                    }
                    let now = now();
                    let mut live = keys(&mut *connection, &app).await?;
                    live.retain(|key| key.is_live(now));
                    let last = live
                        .iter()
                        .min_by_key(|key| (key.expires.unwrap_or(i64::MAX), key.created));
                    if grace > 0
                        && live.len() >= MAX_LIVE_KEYS
                        && let Some(last) = last
                    {
                        if !rotation.force {
                            let oldest = last.label.clone();
                            return Ok(Err(AppError::TooManyKeys { app, oldest }));
                        }
                        let label = last.label.clone();
                        for key in live.iter_mut().filter(|key| key.label == label) {
                            key.revoked = Some(now);
                        }
                    }
                    let end = now.saturating_add(grace);
                    for key in &mut live {
                        key.expires = Some(key.expires.unwrap_or(i64::MAX).min(end));
                        sqlx::query("UPDATE app_keys SET expires = $1, revoked = $2 WHERE label = $3")
                            .bind(key.expires)
                            .bind(key.revoked)
                            .bind(key.label.clone())
                            .execute(&mut *connection)
                            .await?;
                    }
                    insert_key(&mut *connection, &app, &new, &digest, now).await?;
                    sqlx::query("DELETE FROM app_keys WHERE app = $1 AND (expires < $2 OR revoked < $2)")
                        .bind(app.clone())
                        .bind(now - RECORD)
                        .execute(&mut *connection)
                        .await?;
                    sqlx::query("UPDATE apps SET changed = $1 WHERE id = $2")
                        .bind(now)
                        .bind(app)
                        .execute(connection)
                        .await?;
                    Ok(Ok(live))
                })
            })
            .await?;
        outcome.map(|before| Rotated { label, before })
    }
}

/// Counts a change. First in every transaction that makes one: it locks the row, so that they come one after the other.
async fn next_revision(connection: &mut Connection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("UPDATE apps_revision SET revision = revision + 1 WHERE id = 1 RETURNING revision")
        .fetch_one(connection)
        .await
}

async fn exists(connection: &mut Connection, id: &str) -> Result<bool, sqlx::Error> {
    let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM apps WHERE id = $1")
        .bind(id.to_owned())
        .fetch_one(connection)
        .await?;
    Ok(count > 0)
}

async fn insert_key(
    connection: &mut Connection,
    app: &str,
    label: &str,
    digest: &SaltedDigest,
    now: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO app_keys (label, app, salt, digest, created) VALUES ($1, $2, $3, $4, $5)")
        .bind(label.to_owned())
        .bind(app.to_owned())
        .bind(digest.salt_hex())
        .bind(digest.digest_hex())
        .bind(now)
        .execute(connection)
        .await
        .map(drop)
}

/// The query with the first twelve parameters: the settings, and when they hold from.
fn bind(
    settings: &AppSettings,
    now: i64,
    sql: &'static str,
) -> sqlx::query::Query<'static, sqlx::Any, sqlx::any::AnyArguments> {
    let list = |names: Option<Vec<&str>>| names.map(|names| names.join(","));
    let wide = |number: Option<u64>| number.and_then(|number| i64::try_from(number).ok());
    let profiles = settings.profiles.as_ref();
    let endpoints = settings.endpoints.as_ref();
    sqlx::query(sql)
        .bind(i64::from(settings.disabled))
        .bind(settings.default_profile.clone())
        .bind(list(
            profiles.map(|names| names.iter().map(String::as_str).collect()),
        ))
        .bind(list(
            endpoints.map(|names| names.iter().map(|name| name.as_str()).collect()),
        ))
        .bind(settings.liveness_threshold_floor)
        .bind(settings.limits.requests_per_second)
        .bind(settings.limits.burst.map(i64::from))
        .bind(settings.limits.concurrent_requests.map(i64::from))
        .bind(wide(settings.limits.daily_quota))
        .bind(wide(settings.limits.monthly_quota))
        .bind(settings.note.clone())
        .bind(now)
}
