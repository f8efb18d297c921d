//! Usage of apps: quotas of today and the month, and requests by day.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use likeness_storage::usage::{Period, UsageDay, Used};
use likeness_storage::{Database, StorageError};
use maud::{Markup, html};

use super::{grouped, layout, texts};

/// Days that are shown, today included.
const DAYS: i64 = 30;

/// Height of the chart's bars, in units of its `viewBox`.
const HEIGHT: u64 = 100;
/// Width of a day there.
const DAY_WIDTH: i64 = 24;

pub(super) struct Usage {
    today: i64,
    used: BTreeMap<String, Used>,
    days: Vec<UsageDay>,
}

impl Usage {
    /// Reads the last days of one app or of all.
    pub(super) async fn read(database: &Database, app: Option<&str>) -> Result<Self, StorageError> {
        let period = Period::at(Timestamp::now());
        let days = database.usage(app, period.day - DAYS + 1, period.day).await?;
        let used = database.used_units(period).await?;
        Ok(Self {
            today: period.day,
            used: used.into_iter().collect(),
            days,
        })
    }

    /// Returns the units that an app has used today and this month.
    pub(super) fn used(&self, app: &str) -> Used {
        self.used.get(app).copied().unwrap_or_default()
    }

    /// Returns the requests of an app that were accepted in the last days.
    pub(super) fn accepted(&self, app: &str) -> u64 {
        let days = self.days.iter().filter(|day| day.app == app);
        days.map(|day| day.biometric + day.liveness).sum()
    }

    /// Returns a chart of the days of one app, and their table.
    pub(super) fn chart(&self) -> Markup {
        let days: Vec<Day> = (self.today - DAYS + 1..=self.today)
            .map(|day| self.day(day))
            .collect();
        let most = days
            .iter()
            .map(|day| day.accepted() + day.refused)
            .max()
            .unwrap_or(0);
        if most == 0 {
            return html! { p class="empty" { (texts::NO_USAGE) } };
        }
        let height = |count: u64| (count * HEIGHT).div_ceil(most);
        let width = DAYS * DAY_WIDTH;
        let rows: Vec<&Day> = days
            .iter()
            .rev()
            .filter(|day| day.accepted() + day.refused > 0)
            .collect();
        html! {
            svg class="days" viewBox={ "0 0 " (width) " " (HEIGHT + 24) } preserveAspectRatio="none" role="img"
                aria-label=(texts::USAGE_BY_DAY) {
                @for (index, day) in (0..).zip(&days) {
                    @let (accepted, refused) = (height(day.accepted()), height(day.refused));
                    g {
                        title { (day.date) ": " (grouped(day.accepted())) " " (texts::ACCEPTED) ", " (grouped(day.refused)) " " (texts::REFUSED_BY_LIMIT) }
                        rect x=(index * DAY_WIDTH + 3) y=(HEIGHT - accepted.min(HEIGHT)) width=(DAY_WIDTH - 6) height=(accepted) {}
                        rect class="refused" x=(index * DAY_WIDTH + 3) y=(HEIGHT.saturating_sub(accepted + refused)) width=(DAY_WIDTH - 6) height=(refused) {}
                    }
                }
                line x1="0" x2=(width) y1=(HEIGHT) y2=(HEIGHT) vector-effect="non-scaling-stroke" {}
            }
            details {
                summary { (texts::AS_TABLE) }
                (layout::scroll(texts::USAGE_BY_DAY, &html! {
                    table {
                        thead { tr {
                            th scope="col" { (texts::DAY_UTC) }
                            th scope="col" class="number" { (texts::BIOMETRIC) }
                            th scope="col" class="number" { (texts::LIVENESS) }
                            th scope="col" class="number" { (texts::REFUSED_BY_LIMIT_HEAD) }
                        } }
                        tbody { @for day in rows { tr {
                            th scope="row" { (day.date) }
                            td class="number" { (grouped(day.biometric)) }
                            td class="number" { (grouped(day.liveness)) }
                            td class="number" { (grouped(day.refused)) }
                        } } }
                    }
                }))
            }
        }
    }

    fn day(&self, day: i64) -> Day {
        let found = self.days.iter().find(|found| found.day == day);
        Day {
            date: date(day),
            biometric: found.map_or(0, |found| found.biometric),
            liveness: found.map_or(0, |found| found.liveness),
            refused: found.map_or(0, |found| found.refused),
        }
    }
}

struct Day {
    date: String,
    biometric: u64,
    liveness: u64,
    refused: u64,
}

impl Day {
    fn accepted(&self) -> u64 {
        self.biometric + self.liveness
    }
}

/// Returns the date of a day since 1970-01-01.
fn date(day: i64) -> String {
    let date = Date::constant(1970, 1, 1).checked_add(day.days());
    date.map_or_else(|_| day.to_string(), |date| date.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chart_has_a_bar_for_each_day_and_a_row_for_those_with_requests() {
        let (app, today) = ("shop".to_owned(), 20_000);
        let day = |day, biometric, refused| UsageDay {
            app: app.clone(),
            day,
            biometric,
            liveness: 0,
            refused,
        };
        let usage = Usage {
            today,
            used: BTreeMap::new(),
            days: vec![day(today - 1, 1_000, 0), day(today, 500, 250)],
        };
        assert_eq!(usage.accepted("shop"), 1_500);
        let chart = usage.chart().into_string();
        assert_eq!(chart.matches("<g>").count(), 30);
        assert!(
            chart.contains("2024-10-04: 500 accepted, 250 refused by a limit"),
            "{chart}"
        );
        // The day with most requests has the whole height, the other one a half, and a quarter above it.
        for bar in [
            "y=\"0\" width=\"18\" height=\"100\"",
            "y=\"50\" width=\"18\" height=\"50\"",
            "y=\"25\" width=\"18\" height=\"25\"",
        ] {
            assert!(chart.contains(bar), "no {bar} in {chart}");
        }
        assert_eq!(chart.matches("<tr>").count(), 3);
    }

    #[test]
    fn without_requests_there_is_no_chart() {
        let usage = Usage {
            today: 20_000,
            used: BTreeMap::new(),
            days: Vec::new(),
        };
        assert!(usage.chart().into_string().contains(texts::NO_USAGE));
    }
}
