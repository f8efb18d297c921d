//! `likeness usage`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use likeness::server::storage::apps::AppLimits;
use likeness::server::storage::usage::{Period, Quotas, UsageDay, Used};
use serde_json::{Value, json};

use super::config::ConfigArguments;
use super::csv_cell::cell;
use super::{Failure, block_on, exit, say};

#[derive(Debug, Args)]
pub(crate) struct UsageArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Only this app.
    #[arg(long, value_name = "ID")]
    app: Option<String>,
    /// First day, UTC [default: the first of this month].
    #[arg(long, value_name = "YYYY-MM-DD")]
    since: Option<Date>,
    /// Last day, UTC [default: today].
    #[arg(long, value_name = "YYYY-MM-DD")]
    until: Option<Date>,
    /// Output format; table and JSON include each app's limits and the rest of its quotas.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Write JSON, as `--format json` does.
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

/// The usage of an app.
#[derive(Debug, Default)]
struct Usage {
    biometric: u64,
    liveness: u64,
    refused: u64,
    /// Of this day and month.
    used: Used,
    limits: AppLimits,
}

impl Usage {
    /// Returns the rest of the quotas.
    fn left(&self) -> Quotas {
        let quotas = Quotas {
            daily: self.limits.daily_quota,
            monthly: self.limits.monthly_quota,
        };
        quotas.left(self.used)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
    Csv,
}

impl UsageArguments {
    pub(crate) fn run(&self) -> Result<ExitCode, Failure> {
        let config = self.config.load()?;
        let now = Timestamp::now();
        let today = TimeZone::UTC.to_datetime(now).date();
        let since = day(self.since.unwrap_or_else(|| today.first_of_month()))?;
        let until = day(self.until.unwrap_or(today))?;
        let (days, used, stored) = block_on(async {
            let database = config.storage.open().await?;
            let days = database.usage(self.app.as_deref(), since, until).await?;
            let used = database.used_units(Period::at(now)).await?;
            let (_, stored) = database.apps().await?;
            database.close().await;
            Ok((days, used, stored))
        })?;
        let mut apps: BTreeMap<String, Usage> = BTreeMap::new();
        let stored = stored.into_iter().map(|app| (app.id, app.settings.limits));
        // A configured app wins over a stored one.
        for (app, limits) in stored.chain(config.apps.iter().map(|app| (app.id.clone(), app.limits))) {
            apps.entry(app).or_default().limits = limits;
        }
        for (app, used) in used {
            apps.entry(app).or_default().used = used;
        }
        for day in &days {
            let sum = apps.entry(day.app.clone()).or_default();
            sum.biometric += day.biometric;
            sum.liveness += day.liveness;
            sum.refused += day.refused;
        }
        apps.retain(|app, _| self.app.as_ref().is_none_or(|only| only == app));
        match self.format {
            Format::Table if !self.json => table(&apps)?,
            Format::Csv => csv(&days)?,
            Format::Json | Format::Table => list(&apps, &days)?,
        }
        Ok(exit::PASS.into())
    }
}

/// Returns a date as days since 1970.
fn day(date: Date) -> Result<i64, Failure> {
    Ok(Period::at(TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0))?).day)
}

fn date(day: i64) -> String {
    Date::constant(1970, 1, 1)
        .checked_add(day.days())
        .map_or_else(|_| day.to_string(), |date| date.to_string())
}

fn table(apps: &BTreeMap<String, Usage>) -> Result<(), Failure> {
    say(format_args!(
        "{:<24} {:>10} {:>10} {:>10} {:>20} {:>20} {:>10} {:>10}",
        "app",
        "biometric",
        "liveness",
        "refused",
        "used today (left)",
        "this month (left)",
        "a second",
        "at once"
    ))?;
    fn or<T: ToString>(limit: Option<T>) -> String {
        limit.map_or_else(|| "-".to_owned(), |limit| limit.to_string())
    }
    for (app, usage) in apps {
        let left = usage.left();
        let of = |used: u64, left: Option<u64>| format!("{used} ({})", or(left));
        say(format_args!(
            "{app:<24} {:>10} {:>10} {:>10} {:>20} {:>20} {:>10} {:>10}",
            usage.biometric,
            usage.liveness,
            usage.refused,
            of(usage.used.day, left.daily),
            of(usage.used.month, left.monthly),
            or(usage.limits.requests_per_second),
            or(usage.limits.concurrent_requests),
        ))?;
    }
    Ok(())
}

fn list(apps: &BTreeMap<String, Usage>, days: &[UsageDay]) -> Result<(), Failure> {
    let days: Vec<_> = days
        .iter()
        .map(|day| {
            json!({
                "app": day.app, "day": date(day.day), "biometric": day.biometric, "liveness": day.liveness,
                "refused": day.refused,
            })
        })
        .collect();
    let apps: Vec<_> = apps.iter().map(|(app, usage)| as_json(app, usage)).collect();
    say(serde_json::to_string_pretty(
        &json!({ "apps": apps, "days": days }),
    )?)
}

fn as_json(app: &str, usage: &Usage) -> Value {
    let left = usage.left();
    json!({
        "app": app,
        "biometric": usage.biometric,
        "liveness": usage.liveness,
        "refused": usage.refused,
        "today": { "used": usage.used.day, "quota": usage.limits.daily_quota, "left": left.daily },
        "this_month": { "used": usage.used.month, "quota": usage.limits.monthly_quota, "left": left.monthly },
        "requests_per_second": usage.limits.requests_per_second,
        "burst": usage.limits.burst,
        "concurrent_requests": usage.limits.concurrent_requests,
    })
}

fn csv(days: &[UsageDay]) -> Result<(), Failure> {
    say("app,day,biometric,liveness,refused")?;
    for day in days {
        say(format_args!(
            "{},{},{},{},{}",
            cell(&day.app),
            date(day.day),
            day.biometric,
            day.liveness,
            day.refused
        ))?;
    }
    Ok(())
}
