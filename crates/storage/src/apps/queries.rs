//! Reads and changes of the apps.

use std::collections::BTreeMap;

use sqlx::any::AnyRow;
use sqlx::{Row, query};

use super::key::new_label;
use super::{
    AppKey, AppLimits, AppSettings, MAX_LIVE_KEYS, NewApp, Rotated, Rotation, SaltedDigest, StoredApp,
    StoredKey,
};
use crate::{Database, Result, Session, StorageError, now};

/// How long a dead key stays in the database, in microseconds: 90 days.
const RETENTION: i64 = 90 * 86_400 * 1_000_000;

impl Database {
    /// Returns how often apps were changed. 0: there has never been an app.
    pub async fn apps_revision(&self) -> Result<i64> {
        let mut session = self.read().await?;
        let revision = revision(&mut session).await?;
        session.finish().await?;
        Ok(revision)
    }

    /// Returns all apps by their ids, and their revision. They may already be newer.
    pub async fn apps(&self) -> Result<(i64, Vec<StoredApp>)> {
        let mut session = self.read().await?;
        // In this order: a change in between raises the revision again.
        let revision = revision(&mut session).await?;
        let apps = session.fetch_all(query("SELECT * FROM apps"), app).await?;
        let mut apps: BTreeMap<_, _> = apps.into_iter().map(|app| (app.id.clone(), app)).collect();
        let keys = query("SELECT * FROM app_keys ORDER BY created DESC, label");
        let keys = session.fetch_all(keys, |row| Ok((row.try_get::<String, _>("app")?, key(row)?)));
        for (app, key) in keys.await? {
            if let Some(app) = apps.get_mut(&app) {
                app.keys.push(key);
            }
        }
        session.finish().await?;
        Ok((revision, apps.into_values().collect()))
    }

    /// Returns the app of this id.
    pub async fn app(&self, id: &str) -> Result<Option<StoredApp>> {
        let mut session = self.read().await?;
        let mut found = select_app(&mut session, id).await?;
        if let Some(app) = &mut found {
            app.keys = keys(&mut session, id).await?;
        }
        session.finish().await?;
        Ok(found)
    }

    /// Creates an app with this key. The settings must be valid.
    /// Fails with [`StorageError::AppExists`] if there is one of this id.
    pub async fn create_app(&self, id: &str, settings: &AppSettings, key: AppKey) -> Result<NewApp> {
        let created = self.insert_app(id, settings, key, false).await?;
        created.ok_or_else(|| StorageError::AppExists(id.to_owned()))
    }

    /// Creates an app with this key unless there is or has ever been an app. Of several replicas that start at once one does.
    pub async fn create_first_app(&self, id: &str, key: AppKey) -> Result<Option<NewApp>> {
        self.insert_app(id, &AppSettings::default(), key, true).await
    }

    async fn insert_app(
        &self,
        id: &str,
        settings: &AppSettings,
        key: AppKey,
        only_first: bool,
    ) -> Result<Option<NewApp>> {
        let label = new_label()?;
        let digest = SaltedDigest::new(key.expose().as_bytes())?;
        let mut session = self.begin().await?;
        let revision = next_revision(&mut session).await?;
        if (only_first && revision != 1) || select_app(&mut session, id).await?.is_some() {
            session.roll_back().await?;
            return Ok(None);
        }
        let now = now();
        let insert = query(
            "INSERT INTO apps (id, disabled, liveness_threshold_floor, note, created, changed) \
             VALUES ($1, 0, 0, '', $2, $3)",
        );
        session.execute(insert.bind(id).bind(now).bind(now)).await?;
        update(&mut session, id, settings, now).await?;
        insert_key(&mut session, id, &label, &digest, now).await?;
        session.finish().await?;
        Ok(Some(NewApp {
            id: id.to_owned(),
            key,
            label,
        }))
    }

    /// Changes the settings of an app. The new ones must be valid.
    /// Fails with [`StorageError::UnknownApp`] if there is none.
    pub async fn change_app(
        &self,
        id: &str,
        change: impl FnOnce(&mut AppSettings) + Send,
    ) -> Result<AppSettings> {
        let (mut session, app) = self.change(id).await?;
        let mut settings = app.settings;
        change(&mut settings);
        update(&mut session, id, &settings, now()).await?;
        session.finish().await?;
        Ok(settings)
    }

    /// Begins a change of an app.
    async fn change(&self, id: &str) -> Result<(Session, StoredApp)> {
        let mut session = self.begin().await?;
        next_revision(&mut session).await?;
        match select_app(&mut session, id).await? {
            Some(app) => Ok((session, app)),
            None => {
                session.roll_back().await?;
                Err(StorageError::UnknownApp(id.to_owned()))
            }
        }
    }

    /// Deletes an app and its keys.
    /// Fails with [`StorageError::UnknownApp`] if there is none.
    pub async fn delete_app(&self, id: &str) -> Result<()> {
        let (mut session, _) = self.change(id).await?;
        let delete = query("DELETE FROM apps WHERE id = $1");
        session.execute(delete.bind(id)).await?;
        session.finish().await
    }

    /// Adds a key to an app, and makes the previous keys expire.
    /// Fails with [`StorageError::UnknownApp`], or with [`StorageError::TooManyKeys`] unless the rotation is forced.
    pub async fn rotate_key(&self, id: &str, key: &AppKey, rotation: Rotation) -> Result<Rotated> {
        let label = new_label()?;
        let digest = SaltedDigest::new(key.expose().as_bytes())?;
        let grace = i64::try_from(rotation.grace.as_micros()).unwrap_or(i64::MAX);
        let (mut session, _) = self.change(id).await?;
        let now = now();
        let mut live = keys(&mut session, id).await?;
        live.retain(|key| key.is_live(now));
        let room = grace <= 0 || live.len() < MAX_LIVE_KEYS;
        let first = |key: &&mut StoredKey| (key.expires.unwrap_or(i64::MAX), key.created);
        if !room && let Some(oldest) = live.iter_mut().min_by_key(first) {
            if !rotation.force {
                session.roll_back().await?;
                return Err(StorageError::TooManyKeys {
                    app: id.to_owned(),
                    oldest: oldest.label.clone(),
                });
            }
            oldest.revoked = Some(now);
        }
        let end = now.saturating_add(grace);
        for key in &mut live {
            key.expires = Some(key.expires.unwrap_or(i64::MAX).min(end));
            let expire = query("UPDATE app_keys SET expires = $1, revoked = $2 WHERE label = $3");
            let expire = expire.bind(key.expires).bind(key.revoked).bind(&key.label);
            session.execute(expire).await?;
        }
        insert_key(&mut session, id, &label, &digest, now).await?;
        let delete = query("DELETE FROM app_keys WHERE app = $1 AND (expires < $2 OR revoked < $2)");
        session.execute(delete.bind(id).bind(now - RETENTION)).await?;
        let update = query("UPDATE apps SET changed = $1 WHERE id = $2");
        session.execute(update.bind(now).bind(id)).await?;
        session.finish().await?;
        Ok(Rotated { label, before: live })
    }
}

async fn revision(session: &mut Session) -> Result<i64> {
    let revision = query("SELECT revision FROM apps_revision WHERE id = 1");
    session.fetch_one(revision, |row| row.try_get(0)).await
}

/// Counts a change. Every transaction that makes one begins with it: it locks the row, which puts changes in order.
async fn next_revision(session: &mut Session) -> Result<i64> {
    let next = query("UPDATE apps_revision SET revision = revision + 1 WHERE id = 1 RETURNING revision");
    session.fetch_one(next, |row| row.try_get(0)).await
}

/// Returns an app without its keys.
async fn select_app(session: &mut Session, id: &str) -> Result<Option<StoredApp>> {
    let select = query("SELECT * FROM apps WHERE id = $1").bind(id);
    Ok(session.fetch_all(select, app).await?.pop())
}

/// Returns the keys of an app, the newest first.
async fn keys(session: &mut Session, app: &str) -> Result<Vec<StoredKey>> {
    let keys = query("SELECT * FROM app_keys WHERE app = $1 ORDER BY created DESC, label");
    session.fetch_all(keys.bind(app), key).await
}

async fn insert_key(
    session: &mut Session,
    app: &str,
    label: &str,
    digest: &SaltedDigest,
    now: i64,
) -> Result<()> {
    let insert =
        query("INSERT INTO app_keys (label, app, salt, digest, created) VALUES ($1, $2, $3, $4, $5)");
    let insert = insert.bind(label).bind(app).bind(hex::encode(digest.salt));
    let insert = insert.bind(hex::encode(digest.digest)).bind(now);
    session.execute(insert).await.map(drop)
}

/// Writes the settings of an app.
async fn update(session: &mut Session, id: &str, settings: &AppSettings, now: i64) -> Result<()> {
    let update = query(
        "UPDATE apps SET disabled = $1, default_profile = $2, profiles = $3, endpoints = $4, \
         liveness_threshold_floor = $5, requests_per_second = $6, burst = $7, concurrent_requests = $8, \
         daily_quota = $9, monthly_quota = $10, note = $11, changed = $12 WHERE id = $13",
    );
    let limits = &settings.limits;
    let quota = |number: Option<u64>| number.and_then(|number| i64::try_from(number).ok());
    let endpoints = settings.endpoints.as_ref().map(|endpoints| {
        let names: Vec<String> = endpoints.iter().map(ToString::to_string).collect();
        names.join(",")
    });
    let update = update
        .bind(i64::from(settings.disabled))
        .bind(&settings.default_profile)
        .bind(settings.profiles.as_ref().map(|names| names.join(",")))
        .bind(endpoints)
        .bind(settings.liveness_threshold_floor)
        .bind(limits.requests_per_second)
        .bind(limits.burst.map(i64::from))
        .bind(limits.concurrent_requests.map(i64::from))
        .bind(quota(limits.daily_quota))
        .bind(quota(limits.monthly_quota))
        .bind(&settings.note);
    session.execute(update.bind(now).bind(id)).await.map(drop)
}

/// Reads an app without its keys.
fn app(row: &AnyRow) -> Result<StoredApp, sqlx::Error> {
    let unknown = |error: super::UnknownEndpoint| sqlx::Error::Decode(Box::new(error));
    let endpoints = list(row, "endpoints")?;
    let endpoints = endpoints.map(|names| names.iter().map(|name| name.parse()).collect());
    Ok(StoredApp {
        id: row.try_get("id")?,
        settings: AppSettings {
            disabled: row.try_get::<i64, _>("disabled")? != 0,
            default_profile: row.try_get("default_profile")?,
            profiles: list(row, "profiles")?,
            endpoints: endpoints.transpose().map_err(unknown)?,
            liveness_threshold_floor: row.try_get("liveness_threshold_floor")?,
            limits: AppLimits {
                requests_per_second: row.try_get("requests_per_second")?,
                burst: number(row, "burst")?,
                concurrent_requests: number(row, "concurrent_requests")?,
                daily_quota: number(row, "daily_quota")?,
                monthly_quota: number(row, "monthly_quota")?,
            },
            note: row.try_get("note")?,
        },
        created: row.try_get("created")?,
        changed: row.try_get("changed")?,
        keys: Vec::new(),
    })
}

fn key(row: &AnyRow) -> Result<StoredKey, sqlx::Error> {
    let digest = SaltedDigest::from_hex(row.try_get("salt")?, row.try_get("digest")?);
    Ok(StoredKey {
        label: row.try_get("label")?,
        digest: digest.ok_or_else(|| sqlx::Error::Decode("a key has an invalid digest".into()))?,
        created: row.try_get("created")?,
        expires: row.try_get("expires")?,
        revoked: row.try_get("revoked")?,
    })
}

fn list(row: &AnyRow, column: &str) -> Result<Option<Vec<String>>, sqlx::Error> {
    let names: Option<String> = row.try_get(column)?;
    Ok(names.map(|names| {
        let names = names.split(',').filter(|name| !name.is_empty());
        names.map(str::to_owned).collect()
    }))
}

fn number<T: TryFrom<i64>>(row: &AnyRow, column: &str) -> Result<Option<T>, sqlx::Error> {
    let number: Option<i64> = row.try_get(column)?;
    let number = number.map(T::try_from).transpose();
    number.map_err(|_| sqlx::Error::Decode(format!("{column} is out of range").into()))
}
