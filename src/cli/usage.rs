//! `likeness usage`.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use likeness::server::audit::disarmed;
use likeness::server::storage::apps::AppLimits;
use likeness::server::storage::usage::{Period, Quotas, UsageDay, Used};
use serde_json::{Value, json};

use super::settings::ConfigArguments;
use super::{Failure, block_on, or, say, say_table};

#[derive(Debug, Args)]
pub(crate) struct UsageArguments {
    /// Only this app
    #[arg(long, value_name = "ID")]
    app: Option<String>,
    /// First day, UTC [default: the first of this month]
    #[arg(long, value_name = "YYYY-MM-DD")]
    since: Option<Date>,
    /// Last day, UTC [default: today]
    #[arg(long, value_name = "YYYY-MM-DD")]
    until: Option<Date>,
    /// Output format; table and json have limits and remaining quotas too
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Print JSON, as `--format json`
    #[arg(long, conflicts_with = "format")]
    json: bool,
    #[command(flatten)]
    config: ConfigArguments,
}

/// Usage and limits of an app.
#[derive(Debug, Default)]
struct Usage {
    biometric: u64,
    liveness: u64,
    refused: u64,
    /// Units of this day and month.
    used: Used,
    limits: AppLimits,
}

impl Usage {
    /// What remains of the quotas.
    fn left(&self) -> Quotas {
        let (daily, monthly) = (self.limits.daily_quota, self.limits.monthly_quota);
        Quotas { daily, monthly }.left(self.used)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
    Csv,
}

impl UsageArguments {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let config = self.config.load()?;
        let now = Timestamp::now();
        let today = TimeZone::UTC.to_datetime(now).date();
        let since = self.since.unwrap_or_else(|| today.first_of_month());
        let until = self.until.unwrap_or(today);
        let configured = config.apps.iter().map(|app| (app.id.clone(), app.limits));
        let (days, used, limits) = block_on(async {
            let database = config.open_database().await?;
            let (since, until) = (number(since)?, number(until)?);
            let days = database.usage(self.app.as_deref(), since, until).await?;
            let used = database.used_units(Period::at(now)).await?;
            let (_, stored) = database.apps().await?;
            database.close().await;
            let stored = stored.into_iter().map(|app| (app.id, app.settings.limits));
            // The configuration overrides the database.
            let limits: Vec<_> = stored.chain(configured).collect();
            Ok((days, used, limits))
        })?;
        let mut apps: BTreeMap<String, Usage> = BTreeMap::new();
        for (app, limits) in limits {
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
        apps.retain(|app, _| self.app.as_ref().is_none_or(|wanted| wanted == app));
        match self.format {
            Format::Json => list(&apps, &days),
            _ if self.json => list(&apps, &days),
            Format::Table => table(&apps),
            Format::Csv => csv(&days),
        }
    }
}

/// Days since 1970.
fn number(date: Date) -> Result<i64, Failure> {
    Ok(Period::at(TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0))?).day)
}

fn date(day: i64) -> String {
    Date::constant(1970, 1, 1)
        .checked_add(day.days())
        .map_or_else(|_| day.to_string(), |date| date.to_string())
}

fn table(apps: &BTreeMap<String, Usage>) -> Result<(), Failure> {
    let row = |(app, usage): (&String, &Usage)| {
        let left = usage.left();
        let of = |used: u64, left: Option<u64>| format!("{used} ({})", or(left, "-"));
        [
            app.clone(),
            usage.biometric.to_string(),
            usage.liveness.to_string(),
            usage.refused.to_string(),
            of(usage.used.day, left.daily),
            of(usage.used.month, left.monthly),
            or(usage.limits.requests_per_second, "-"),
            or(usage.limits.concurrent_requests, "-"),
        ]
    };
    let rows: Vec<_> = apps.iter().map(row).collect();
    let header = [
        "app",
        ">biometric",
        ">liveness",
        ">refused",
        ">used today (left)",
        ">this month (left)",
        ">per second",
        ">concurrent",
    ];
    say_table(header, &rows)
}

fn list(apps: &BTreeMap<String, Usage>, days: &[UsageDay]) -> Result<(), Failure> {
    let day_as_json = |day: &UsageDay| {
        json!({
            "app": day.app, "day": date(day.day), "biometric": day.biometric, "liveness": day.liveness,
            "refused": day.refused,
        })
    };
    let days: Vec<_> = days.iter().map(day_as_json).collect();
    let apps: Vec<_> = apps.iter().map(as_json).collect();
    say(format_args!("{:#}", json!({ "apps": apps, "days": days })))
}

fn as_json((app, usage): (&String, &Usage)) -> Value {
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
    let mut out = csv::Writer::from_writer(std::io::stdout());
    out.write_record(["app", "day", "biometric", "liveness", "refused"])?;
    for day in days {
        let counts = [day.biometric, day.liveness, day.refused].map(|count| count.to_string());
        let cells = [disarmed(day.app.clone()), date(day.day)];
        out.write_record(cells.iter().chain(&counts))?;
    }
    Ok(out.flush()?)
}
