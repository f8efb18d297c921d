//! How much the apps have used: counted by day, and against quotas by day and month, in UTC.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use sqlx::Row;

use crate::{Connection, Database, StorageError, now};

/// Seconds of a day, in UTC.
pub const SECONDS_OF_A_DAY: i64 = 86_400;

/// Days since 1970, and the month that the day is in: what quotas are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Period {
    /// Days since 1970-01-01, UTC.
    pub day: i64,
    /// Year and month, as 202611.
    pub month: i32,
}

impl Period {
    /// The one that it is at this time.
    #[must_use]
    pub fn at(time: Timestamp) -> Self {
        let date = TimeZone::UTC.to_datetime(time).date();
        Self {
            // UTC as computers count it has no other seconds.
            day: time.as_second().div_euclid(SECONDS_OF_A_DAY),
            month: i32::from(date.year()) * 100 + i32::from(date.month()),
        }
    }

    fn keys(self) -> [String; 2] {
        [format!("d{}", self.day), format!("m{}", self.month)]
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "day {} of month {}", self.day, self.month)
    }
}

/// Units of a quota: of the day and of the month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quotas {
    /// Requests a day; `None`: no bound.
    pub daily: Option<u64>,
    /// Requests a month; `None`: no bound.
    pub monthly: Option<u64>,
}

impl Quotas {
    /// What is left of them.
    #[must_use]
    pub fn left(self, used: Used) -> Self {
        let left = |quota: Option<u64>, used| quota.map(|quota| quota.saturating_sub(used));
        Self {
            daily: left(self.daily, used.day),
            monthly: left(self.monthly, used.month),
        }
    }

    /// The nearer of the two; `None`: no bound.
    #[must_use]
    pub fn least(self) -> Option<u64> {
        self.daily.into_iter().chain(self.monthly).min()
    }
}

/// What an app has used of a day and of its month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    /// Of the day.
    pub day: u64,
    /// Of the month.
    pub month: u64,
}

/// What came of asking for units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// How many there are to be spent, 0 up to what was asked for.
    pub units: u64,
    /// What is used now, the granted ones included.
    pub used: Used,
}

/// What was counted, to be added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// The app.
    pub app: String,
    /// When.
    #[serde(flatten)]
    pub period: Period,
    /// Units to be added to what is used, or taken off.
    pub units: i64,
    /// Biometric verifications that were let in.
    pub biometric: i64,
    /// Liveness verifications that were let in.
    pub liveness: i64,
    /// Requests that a limit refused.
    pub refused: i64,
}

/// A day of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UsageDay {
    /// The app.
    pub app: String,
    /// Days since 1970-01-01, UTC.
    pub day: i64,
    /// Biometric verifications that were let in.
    pub biometric: u64,
    /// Liveness verifications that were let in.
    pub liveness: u64,
    /// Requests that a limit refused.
    pub refused: u64,
}

impl Database {
    /// Takes up to `units` from what is left of an app's quotas, both at once: no two services are granted the same unit.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn reserve_units(
        &self,
        app: &str,
        period: Period,
        quotas: Quotas,
        units: u64,
    ) -> Result<Grant, StorageError> {
        let (app, [day, month]) = (app.to_owned(), period.keys());
        self.transaction(move |connection| {
            Box::pin(async move {
                // In this order everywhere, and locked from here on.
                let used = Used {
                    day: touch(connection, &app, &day).await?,
                    month: touch(connection, &app, &month).await?,
                };
                let units = quotas.left(used).least().map_or(units, |left| units.min(left));
                if units > 0 {
                    add(connection, &app, &day, signed(units)).await?;
                    add(connection, &app, &month, signed(units)).await?;
                }
                Ok(Grant {
                    units,
                    used: Used {
                        day: used.day.saturating_add(units),
                        month: used.month.saturating_add(units),
                    },
                })
            })
        })
        .await
    }

    /// Adds what was counted, all of it or nothing; nothing where `writer` has had a batch of this number, or a later one,
    /// added before. So who has not heard what became of a batch sends it again.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn add_usage(
        &self,
        writer: &str,
        batch: i64,
        counted: Vec<Counted>,
    ) -> Result<(), StorageError> {
        let writer = writer.to_owned();
        self.transaction(move |connection| {
            Box::pin(async move {
                let is_new = sqlx::query(
                    "INSERT INTO usage_writers (writer, batch, time) VALUES ($1, $2, $3) ON CONFLICT (writer) DO UPDATE \
                     SET batch = excluded.batch, time = excluded.time WHERE usage_writers.batch < excluded.batch",
                )
                .bind(writer)
                .bind(batch)
                .bind(now())
                .execute(&mut *connection)
                .await?
                .rows_affected()
                    > 0;
                if !is_new {
                    return Ok(());
                }
                // Apps in the same order for everybody: no two wait for each other.
                let mut counted = counted;
                counted.sort_by(|a, b| (&a.app, a.period.day).cmp(&(&b.app, b.period.day)));
                for item in counted {
                    if item.units != 0 {
                        for key in item.period.keys() {
                            touch(connection, &item.app, &key).await?;
                            add(connection, &item.app, &key, item.units).await?;
                        }
                    }
                    if (item.biometric, item.liveness, item.refused) != (0, 0, 0) {
                        sqlx::query(
                            "INSERT INTO usage_days (app, day, biometric, liveness, refused) VALUES ($1, $2, $3, $4, $5) \
                             ON CONFLICT (app, day) DO UPDATE SET biometric = usage_days.biometric + excluded.biometric, \
                             liveness = usage_days.liveness + excluded.liveness, \
                             refused = usage_days.refused + excluded.refused",
                        )
                        .bind(&item.app)
                        .bind(item.period.day)
                        .bind(item.biometric)
                        .bind(item.liveness)
                        .bind(item.refused)
                        .execute(&mut *connection)
                        .await?;
                    }
                }
                Ok(())
            })
        })
        .await
    }

    /// Forgets which batches were added of writers that have added none since `before`, in microseconds since 1970-01-01
    /// UTC.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn forget_usage_writers(&self, before: i64) -> Result<(), StorageError> {
        self.transaction(move |connection| {
            Box::pin(async move {
                sqlx::query("DELETE FROM usage_writers WHERE time < $1")
                    .bind(before)
                    .execute(connection)
                    .await
                    .map(drop)
            })
        })
        .await
    }

    /// What every app has used of this day and month.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn used_units(&self, period: Period) -> Result<Vec<(String, Used)>, StorageError> {
        let [day, month] = period.keys();
        let rows = self
            .run(move |connection| {
                Box::pin(async move {
                    sqlx::query(
                        "SELECT app, CAST(SUM(CASE WHEN period = $1 THEN used ELSE 0 END) AS BIGINT) AS day_used, \
                         CAST(SUM(CASE WHEN period = $2 THEN used ELSE 0 END) AS BIGINT) AS month_used FROM ( \
                         SELECT app, period, used FROM usage_periods WHERE period = $3 OR period = $4) AS periods \
                         GROUP BY app ORDER BY app",
                    )
                    .bind(&day)
                    .bind(&month)
                    .bind(&day)
                    .bind(&month)
                    .fetch_all(connection)
                    .await?
                    .iter()
                    .map(|row| {
                        let number = |name| -> Result<u64, sqlx::Error> {
                            Ok(u64::try_from(row.try_get::<i64, _>(name)?).unwrap_or(0))
                        };
                        let used = Used {
                            day: number("day_used")?,
                            month: number("month_used")?,
                        };
                        Ok((row.try_get::<String, _>("app")?, used))
                    })
                    .collect::<Result<Vec<_>, sqlx::Error>>()
                })
            })
            .await?;
        Ok(rows)
    }

    /// The days from `since` to `until`, both included, of one app or of all, by app and day.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn usage(
        &self,
        app: Option<&str>,
        since: i64,
        until: i64,
    ) -> Result<Vec<UsageDay>, StorageError> {
        let app = app.map(ToOwned::to_owned);
        self.run(move |connection| {
            Box::pin(async move {
                sqlx::query(
                    "SELECT app, day, biometric, liveness, refused FROM usage_days \
                     WHERE day >= $1 AND day <= $2 AND (app = $3 OR $4 = 1) ORDER BY app, day",
                )
                .bind(since)
                .bind(until)
                .bind(app.clone().unwrap_or_default())
                .bind(i64::from(app.is_none()))
                .fetch_all(connection)
                .await?
                .iter()
                .map(|row| {
                    let number = |name| -> Result<u64, sqlx::Error> {
                        Ok(u64::try_from(row.try_get::<i64, _>(name)?).unwrap_or(0))
                    };
                    Ok(UsageDay {
                        app: row.try_get("app")?,
                        day: row.try_get("day")?,
                        biometric: number("biometric")?,
                        liveness: number("liveness")?,
                        refused: number("refused")?,
                    })
                })
                .collect()
            })
        })
        .await
    }
}

/// Makes the row where there is none, locks it, and gives what is used.
async fn touch(connection: &mut Connection, app: &str, period: &str) -> Result<u64, sqlx::Error> {
    sqlx::query("INSERT INTO usage_periods (app, period, used) VALUES ($1, $2, 0) ON CONFLICT (app, period) DO NOTHING")
        .bind(app)
        .bind(period)
        .execute(&mut *connection)
        .await?;
    add(connection, app, period, 0).await?;
    let used: i64 = sqlx::query_scalar("SELECT used FROM usage_periods WHERE app = $1 AND period = $2")
        .bind(app)
        .bind(period)
        .fetch_one(connection)
        .await?;
    Ok(u64::try_from(used).unwrap_or(0))
}

async fn add(connection: &mut Connection, app: &str, period: &str, units: i64) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE usage_periods SET used = used + $1 WHERE app = $2 AND period = $3")
        .bind(units)
        .bind(app)
        .bind(period)
        .execute(connection)
        .await?;
    Ok(())
}

fn signed(units: u64) -> i64 {
    i64::try_from(units).unwrap_or(i64::MAX)
}
