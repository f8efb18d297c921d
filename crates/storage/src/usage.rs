//! Usage of the apps: counts by day, and units of quotas by day and month, in UTC.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{Row, query};

use crate::{Database, Result, Session, now};

/// Seconds of a day, in UTC.
pub const SECONDS_OF_A_DAY: i64 = 86_400;

/// A day and its month, by which quotas are counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Period {
    /// Days since 1970-01-01, UTC.
    pub day: i64,
    /// Year and month, as 202611.
    pub month: i32,
}

impl Period {
    /// Returns the period that contains a time.
    #[must_use]
    pub fn at(time: Timestamp) -> Self {
        let date = TimeZone::UTC.to_datetime(time).date();
        Self {
            // Every day in POSIX time has the same number of seconds.
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

/// Units of the daily and the monthly quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quotas {
    /// Requests a day; `None`: unlimited.
    pub daily: Option<u64>,
    /// Requests a month; `None`: unlimited.
    pub monthly: Option<u64>,
}

impl Quotas {
    /// Returns the units that are left.
    #[must_use]
    pub fn left(self, used: Used) -> Self {
        let left = |quota: Option<u64>, used| quota.map(|quota| quota.saturating_sub(used));
        Self {
            daily: left(self.daily, used.day),
            monthly: left(self.monthly, used.month),
        }
    }

    /// Returns the smaller of the two; `None`: unlimited.
    #[must_use]
    pub fn least(self) -> Option<u64> {
        self.daily.into_iter().chain(self.monthly).min()
    }
}

/// Units that an app has used of a day and of its month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    /// Of the day.
    pub day: u64,
    /// Of the month.
    pub month: u64,
}

impl Used {
    /// Returns the sum with others.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            day: self.day.saturating_add(other.day),
            month: self.month.saturating_add(other.month),
        }
    }
}

/// The outcome of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// Granted units, 0 up to the requested number.
    pub units: u64,
    /// Units that are used now, the granted ones included.
    pub used: Used,
}

/// Usage of an app in a period, to be added.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// The app.
    pub app: String,
    /// The period.
    #[serde(flatten)]
    pub period: Period,
    /// Units to add to the used ones, or to take off.
    pub units: i64,
    /// Accepted biometric verifications.
    pub biometric: i64,
    /// Accepted liveness verifications.
    pub liveness: i64,
    /// Requests rejected by a limit.
    pub refused: i64,
}

impl Usage {
    /// Returns no usage of an app in a period.
    #[must_use]
    pub fn none(app: &str, period: Period) -> Self {
        Self {
            app: app.to_owned(),
            period,
            ..Self::default()
        }
    }

    /// Returns whether there is nothing to add.
    #[must_use]
    pub fn is_none(&self) -> bool {
        (self.units, self.biometric, self.liveness, self.refused) == (0, 0, 0, 0)
    }

    /// Adds usage of the same app and period.
    pub fn add(&mut self, other: &Self) {
        self.units = self.units.saturating_add(other.units);
        self.biometric = self.biometric.saturating_add(other.biometric);
        self.liveness = self.liveness.saturating_add(other.liveness);
        self.refused = self.refused.saturating_add(other.refused);
    }
}

/// The usage of an app on a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageDay {
    /// The app.
    pub app: String,
    /// Days since 1970-01-01, UTC.
    pub day: i64,
    /// Accepted biometric verifications.
    pub biometric: u64,
    /// Accepted liveness verifications.
    pub liveness: u64,
    /// Requests rejected by a limit.
    pub refused: u64,
}

impl Database {
    /// Reserves up to `units` of an app's quotas, of both at once. No two services are granted the same unit.
    pub async fn reserve_units(
        &self,
        app: &str,
        period: Period,
        quotas: Quotas,
        units: u64,
    ) -> Result<Grant> {
        let mut session = self.begin().await?;
        // Every transaction locks day and month in this order.
        let [day, month] = period.keys();
        let used = Used {
            day: add(&mut session, app, &day, 0).await?,
            month: add(&mut session, app, &month, 0).await?,
        };
        let units = quotas.left(used).least().map_or(units, |left| units.min(left));
        if units > 0 {
            for key in [day, month] {
                add(&mut session, app, &key, i64::try_from(units).unwrap_or(i64::MAX)).await?;
            }
        }
        session.finish().await?;
        let granted = Used {
            day: units,
            month: units,
        };
        Ok(Grant {
            units,
            used: used.plus(granted),
        })
    }

    /// Adds a batch of usage, all of it or nothing. Adds nothing if `writer` has already added this batch number or a higher
    /// one: a writer that did not receive the outcome of a batch sends it again.
    pub async fn add_usage(&self, writer: &str, batch: i64, mut usage: Vec<Usage>) -> Result<()> {
        let mut session = self.begin().await?;
        let register = query(
            "INSERT INTO usage_writers (writer, batch, time) VALUES ($1, $2, $3) ON CONFLICT (writer) DO UPDATE \
             SET batch = excluded.batch, time = excluded.time WHERE usage_writers.batch < excluded.batch",
        );
        let register = register.bind(writer).bind(batch).bind(now());
        if session.execute(register).await? == 0 {
            return session.roll_back().await;
        }
        // Every transaction locks the apps in this order, so that no two deadlock.
        usage.sort_by(|a, b| (&a.app, a.period.day).cmp(&(&b.app, b.period.day)));
        for item in usage {
            if item.units != 0 {
                for key in item.period.keys() {
                    add(&mut session, &item.app, &key, item.units).await?;
                }
            }
            if (item.biometric, item.liveness, item.refused) != (0, 0, 0) {
                let count = query(
                    "INSERT INTO usage_days (app, day, biometric, liveness, refused) VALUES ($1, $2, $3, $4, $5) \
                     ON CONFLICT (app, day) DO UPDATE SET biometric = usage_days.biometric + excluded.biometric, \
                     liveness = usage_days.liveness + excluded.liveness, \
                     refused = usage_days.refused + excluded.refused",
                );
                let count = count.bind(&item.app).bind(item.period.day);
                let count = count.bind(item.biometric).bind(item.liveness).bind(item.refused);
                session.execute(count).await?;
            }
        }
        session.finish().await
    }

    /// Deletes the batch numbers of writers that have added no batch since `before`, in microseconds since 1970-01-01 UTC.
    pub async fn forget_usage_writers(&self, before: i64) -> Result<()> {
        let mut session = self.begin().await?;
        let delete = query("DELETE FROM usage_writers WHERE time < $1").bind(before);
        session.execute(delete).await?;
        session.finish().await
    }

    /// Returns the units that every app has used of this day and month.
    pub async fn used_units(&self, period: Period) -> Result<Vec<(String, Used)>> {
        let [day, month] = period.keys();
        let sums = query(
            "SELECT app, CAST(SUM(CASE WHEN period = $1 THEN used ELSE 0 END) AS BIGINT) AS day_used, \
             CAST(SUM(CASE WHEN period = $2 THEN used ELSE 0 END) AS BIGINT) AS month_used FROM ( \
             SELECT app, period, used FROM usage_periods WHERE period = $3 OR period = $4) AS periods \
             GROUP BY app ORDER BY app",
        );
        let sums = sums.bind(&day).bind(&month).bind(&day).bind(&month);
        self.fetch_all(sums, |row| {
            let used = Used {
                day: count(row, "day_used")?,
                month: count(row, "month_used")?,
            };
            Ok((row.try_get("app")?, used))
        })
        .await
    }

    /// Returns the days from `since` to `until`, both included, of one app or of all, by app and day.
    pub async fn usage(&self, app: Option<&str>, since: i64, until: i64) -> Result<Vec<UsageDay>> {
        let days = query(
            "SELECT app, day, biometric, liveness, refused FROM usage_days \
             WHERE day >= $1 AND day <= $2 AND (app = $3 OR $4 = 1) ORDER BY app, day",
        );
        let days = days.bind(since).bind(until);
        let days = days.bind(app.unwrap_or_default()).bind(i64::from(app.is_none()));
        self.fetch_all(days, |row| {
            Ok(UsageDay {
                app: row.try_get("app")?,
                day: row.try_get("day")?,
                biometric: count(row, "biometric")?,
                liveness: count(row, "liveness")?,
                refused: count(row, "refused")?,
            })
        })
        .await
    }
}

fn count(row: &AnyRow, column: &str) -> Result<u64, sqlx::Error> {
    Ok(u64::try_from(row.try_get::<i64, _>(column)?).unwrap_or(0))
}

/// Adds to the used units of an app in a period, locks their row, and returns the sum.
async fn add(session: &mut Session, app: &str, period: &str, units: i64) -> Result<u64> {
    let add = query(
        "INSERT INTO usage_periods (app, period, used) VALUES ($1, $2, $3) ON CONFLICT (app, period) DO UPDATE \
         SET used = usage_periods.used + excluded.used RETURNING used",
    );
    let add = add.bind(app).bind(period).bind(units);
    session.fetch_one(add, |row| count(row, "used")).await
}
