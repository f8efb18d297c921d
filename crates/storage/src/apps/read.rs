//! Reading the apps.

use std::collections::BTreeMap;

use sqlx::Row;
use sqlx::any::AnyRow;

use super::{AppLimits, AppSettings, SaltedDigest, StoredApp, StoredKey};
use crate::{Connection, Database, StorageError};

/// Reads an app by its id; the columns are in the order of [`app`].
pub(super) const SELECT_APP: &str = "SELECT id, disabled, default_profile, profiles, endpoints, liveness_threshold_floor, \
                                     requests_per_second, burst, concurrent_requests, daily_quota, monthly_quota, note, \
                                     created, changed FROM apps WHERE id = $1";

/// Likewise all apps.
const SELECT_APPS: &str = "SELECT id, disabled, default_profile, profiles, endpoints, liveness_threshold_floor, \
                           requests_per_second, burst, concurrent_requests, daily_quota, monthly_quota, note, created, \
                           changed FROM apps";

impl Database {
    /// How often apps were changed so far. 0: there has never been one.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn apps_revision(&self) -> Result<i64, StorageError> {
        self.run(|connection| Box::pin(revision(connection))).await
    }

    /// All apps by their ids, and the revision from which on they are such. They may already be newer.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn apps(&self) -> Result<(i64, Vec<StoredApp>), StorageError> {
        self.run(|connection| {
            Box::pin(async move {
                // In this order: what is committed in between has a revision that is still to be noticed.
                let revision = revision(&mut *connection).await?;
                Ok((revision, apps(connection).await?))
            })
        })
        .await
    }

    /// The app of this id.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn app(&self, id: &str) -> Result<Option<StoredApp>, StorageError> {
        let id = id.to_owned();
        self.run(move |connection| {
            Box::pin(async move {
                let row = sqlx::query(SELECT_APP)
                    .bind(&id)
                    .fetch_optional(&mut *connection)
                    .await?;
                let Some(mut found) = row.as_ref().map(app).transpose()? else {
                    return Ok(None);
                };
                found.keys = keys(connection, &id).await?;
                Ok(Some(found))
            })
        })
        .await
    }
}

async fn revision(connection: &mut Connection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT revision FROM apps_revision WHERE id = 1")
        .fetch_one(connection)
        .await
}

async fn apps(connection: &mut Connection) -> Result<Vec<StoredApp>, sqlx::Error> {
    let mut apps = BTreeMap::new();
    for row in sqlx::query(SELECT_APPS).fetch_all(&mut *connection).await? {
        let app = app(&row)?;
        apps.insert(app.id.clone(), app);
    }
    let sql = "SELECT label, salt, digest, created, expires, revoked, app FROM app_keys ORDER BY created DESC, label";
    for row in sqlx::query(sql).fetch_all(connection).await? {
        let app: String = row.try_get(6)?;
        if let Some(app) = apps.get_mut(&app) {
            app.keys.push(key(&row)?);
        }
    }
    Ok(apps.into_values().collect())
}

/// The keys of an app, the newest first.
pub(super) async fn keys(connection: &mut Connection, app: &str) -> Result<Vec<StoredKey>, sqlx::Error> {
    let sql = "SELECT label, salt, digest, created, expires, revoked FROM app_keys WHERE app = $1 \
               ORDER BY created DESC, label";
    let rows = sqlx::query(sql)
        .bind(app.to_owned())
        .fetch_all(connection)
        .await?;
    rows.iter().map(key).collect()
}

/// An app without its keys, of a row of [`SELECT_APP`].
pub(super) fn app(row: &AnyRow) -> Result<StoredApp, sqlx::Error> {
    let endpoints = list(row.try_get(4)?)
        .map(|names| {
            names
                .iter()
                .map(|name| name.parse())
                .collect::<Result<Vec<_>, _>>()
        })
        .transpose()
        .map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    Ok(StoredApp {
        id: row.try_get(0)?,
        settings: AppSettings {
            disabled: row.try_get::<i64, _>(1)? != 0,
            default_profile: row.try_get(2)?,
            profiles: list(row.try_get(3)?),
            endpoints,
            liveness_threshold_floor: row.try_get(5)?,
            limits: AppLimits {
                requests_per_second: row.try_get(6)?,
                burst: number(row, 7)?,
                concurrent_requests: number(row, 8)?,
                daily_quota: number(row, 9)?,
                monthly_quota: number(row, 10)?,
            },
            note: row.try_get(11)?,
        },
        created: row.try_get(12)?,
        changed: row.try_get(13)?,
        keys: Vec::new(),
    })
}

fn key(row: &AnyRow) -> Result<StoredKey, sqlx::Error> {
    let (salt, digest): (String, String) = (row.try_get(1)?, row.try_get(2)?);
    let digest = SaltedDigest::from_hex(&salt, &digest)
        .ok_or_else(|| sqlx::Error::Decode("the digest of a key is none".into()))?;
    Ok(StoredKey {
        label: row.try_get(0)?,
        digest,
        created: row.try_get(3)?,
        expires: row.try_get(4)?,
        revoked: row.try_get(5)?,
    })
}

fn list(names: Option<String>) -> Option<Vec<String>> {
    let split = |names: String| {
        names
            .split(',')
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect()
    };
    names.map(split)
}

fn number<T: TryFrom<i64>>(row: &AnyRow, column: usize) -> Result<Option<T>, sqlx::Error> {
    let number: Option<i64> = row.try_get(column)?;
    number
        .map(|number| T::try_from(number).map_err(|_| sqlx::Error::Decode("a limit is out of range".into())))
        .transpose()
}
