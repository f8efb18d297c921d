//! Charts as SVG without a style or a script of its own: the Content-Security-Policy allows neither.

use jiff::{Timestamp, ToSpan};
use likeness_engine::decision::Thresholds;
use maud::{Markup, html};

use super::{grouped, texts};
use crate::audit::{BINS, OutcomeCounts};
use crate::console::layout;

const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 140.0;
/// Below the bars, for the numbers.
const AXIS: f64 = 22.0;
/// Above the bars, for the names of the thresholds.
const TOP: f64 = 34.0;

/// Returns a distribution of scores from 0 to 1, with the thresholds drawn in.
pub(super) fn histogram(id: &str, name: &str, bins: &[u64], thresholds: Option<&Thresholds>) -> Markup {
    let most = bins.iter().copied().max().unwrap_or(0).max(1) as f64;
    let width = WIDTH / BINS as f64;
    let bars = bins.iter().enumerate().filter(|(_, count)| **count > 0);
    let bars = bars.map(|(index, &count)| {
        // The smallest one can be seen.
        let height = (count as f64 / most * HEIGHT).max(1.5);
        (index as f64 * width, height)
    });
    let marks = thresholds.map(|it| {
        let marks = [
            (texts::REJECT_BELOW, it.reject_below()),
            (texts::REVIEW_BELOW, it.review_below()),
        ];
        marks.map(|(text, value)| (format!("{text} {value}"), value * WIDTH))
    });
    let zones = thresholds.map(|it| {
        let (reject, review) = (it.reject_below() * WIDTH, it.review_below() * WIDTH);
        [
            ("zone-reject", 0.0, reject),
            ("zone-review", reject, review),
            ("zone-pass", review, WIDTH),
        ]
    });
    let end = TOP + HEIGHT;
    html! {
        svg class="bar-svg histogram" viewBox=(format!("-8 0 {} {}", WIDTH + 16.0, end + AXIS)) role="img" aria-labelledby=(id) {
            title id=(id) { (name) }
            @for (class, from, to) in zones.into_iter().flatten() {
                @if to > from { rect class=(class) x=(px(from)) y=(px(TOP)) width=(px(to - from)) height=(px(HEIGHT)) {} }
            }
            @for (x, height) in bars {
                rect class="mark" x=(px(x + 0.5)) y=(px(end - height)) width=(px(width - 1.0)) height=(px(height)) {}
            }
            line class="edge" x1="0" x2=(px(WIDTH)) y1=(px(end)) y2=(px(end)) {}
            @for (index, (text, x)) in marks.into_iter().flatten().enumerate() {
                line class="edge" x1=(px(x)) x2=(px(x)) y1=(px(TOP - 4.0)) y2=(px(end)) {}
                // One below the other, as they may be near to each other.
                text x=(px(x)) y=(px(12.0 + 13.0 * index as f64)) text-anchor=(anchor(x)) { (text) }
            }
            @for value in [0.0, 0.25, 0.5, 0.75, 1.0] {
                text x=(px(value * WIDTH)) y=(px(end + 16.0)) text-anchor=(anchor(value * WIDTH)) { (value) }
            }
        }
    }
}

/// Returns the same distribution as a table.
pub(super) fn histogram_table(bins: &[u64]) -> Markup {
    let width = 1.0 / BINS as f64;
    html! {
        details {
            summary { (texts::AS_TABLE) }
            table {
                thead { tr { th scope="col" { (texts::SCORE) } th scope="col" class="number" { (texts::RECORDS) } } }
                tbody {
                    @for (index, &count) in bins.iter().enumerate() {
                        @if count > 0 {
                            tr {
                                td { (format!("{:.2}–{:.2}", index as f64 * width, (index + 1) as f64 * width)) }
                                td class="number" { (grouped(count)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Returns the share of the outcomes of each day, the earliest first.
pub(super) fn days(id: &str, days: &[(i64, OutcomeCounts)]) -> Markup {
    let width = WIDTH / days.len().max(1) as f64;
    // Bars of few days are no walls.
    let bar = (width * 0.85).min(48.0);
    html! {
        // Stretched to the page, so without text of its own.
        svg class="bar-svg outcomes" viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) preserveAspectRatio="none" role="img"
            aria-labelledby=(id) {
            title id=(id) { (texts::BY_DAY) }
            @for (index, (_, counts)) in days.iter().enumerate() {
                @for (class, from, to) in shares(*counts) {
                    @if to > from {
                        rect class=(class) x=(px(index as f64 * width)) y=(px(from * HEIGHT)) width=(px(bar))
                            height=(px((to - from) * HEIGHT)) {}
                    }
                }
            }
        }
        div class="row apart help" {
            @if let Some((first, _)) = days.first() { span { (day(*first)) } }
            @if let [_, .., (last, _)] = days { span { (day(*last)) } }
        }
        p class="row help" {
            @for (class, name) in [("pass", texts::PASS), ("review", texts::REVIEW), ("reject", texts::REJECT)] {
                span class={ "tag " (class) } { (name) }
            }
        }
        details {
            summary { (texts::AS_TABLE) }
            (layout::scroll(texts::BY_DAY, &html! {
                table {
                    thead {
                        tr {
                            th scope="col" { (texts::DAY) }
                            @for name in [texts::PASS, texts::WARNING, texts::REVIEW, texts::REJECT] {
                                th scope="col" class="number" { (name) }
                            }
                        }
                    }
                    tbody {
                        @for (number, counts) in days {
                            tr {
                                td { (day(*number)) }
                                @for count in [counts.pass, counts.warning, counts.review, counts.reject] {
                                    td class="number" { (grouped(count)) " " span class="help" { (percent(count, counts.total())) } }
                                }
                            }
                        }
                    }
                }
            }))
        }
    }
}

/// Returns the parts of a day from the top of its bar down, as shares: pass, with warnings or without, review, reject.
fn shares(counts: OutcomeCounts) -> [(&'static str, f64, f64); 3] {
    let total = counts.total().max(1) as f64;
    let pass = (counts.pass + counts.warning) as f64 / total;
    let review = pass + counts.review as f64 / total;
    [
        ("day-pass", 0.0, pass),
        ("day-review", pass, review),
        ("day-reject", review, if counts.reject > 0 { 1.0 } else { review }),
    ]
}

pub(super) fn percent(count: u64, total: u64) -> String {
    if total == 0 {
        return String::new();
    }
    format!("{:.1}%", count as f64 / total as f64 * 100.0)
}

/// Returns a day since 1970-01-01 as a date.
fn day(number: i64) -> String {
    let hours = number.saturating_mul(24);
    let time = 0
        .hours()
        .try_hours(hours)
        .and_then(|span| Timestamp::UNIX_EPOCH.checked_add(span));
    time.map_or_else(
        |_| number.to_string(),
        |time| time.strftime("%Y-%m-%d").to_string(),
    )
}

/// Returns a coordinate, to a hundredth.
fn px(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Returns which end of a text stands at x, so that it stays inside.
fn anchor(x: f64) -> &'static str {
    match x / WIDTH {
        share if share < 0.15 => "start",
        share if share > 0.85 => "end",
        _ => "middle",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_a_date() {
        assert_eq!(day(0), "1970-01-01");
        assert_eq!(day(20_787), "2026-11-30");
        assert_eq!(day(i64::MAX), i64::MAX.to_string());
    }

    #[test]
    fn thresholds_stand_at_their_scores() {
        let mut bins = vec![0; BINS];
        bins[49] = 4;
        let thresholds = Thresholds::new(0.4, 0.56).unwrap();
        let svg = histogram("h", "Liveness", &bins, Some(&thresholds)).into_string();
        for part in [
            "<rect class=\"zone-reject\" x=\"0\" y=\"34\" width=\"240\" height=\"140\">",
            "<rect class=\"zone-review\" x=\"240\" y=\"34\" width=\"96\" height=\"140\">",
            "<rect class=\"mark\" x=\"588.5\" y=\"34\" width=\"11\" height=\"140\">",
            "reject below 0.4",
            "review below 0.56",
        ] {
            assert!(svg.contains(part), "{part} in {svg}");
        }
        assert!(!svg.contains("style="), "the policy allows no style");
        let plain = histogram("h", "Liveness", &bins, None).into_string();
        assert!(!plain.contains("zone-"), "{plain}");
    }

    #[test]
    fn the_shares_of_a_day_fill_its_bar() {
        let counts = OutcomeCounts {
            pass: 1,
            warning: 1,
            review: 1,
            reject: 1,
        };
        assert_eq!(
            shares(counts),
            [
                ("day-pass", 0.0, 0.5),
                ("day-review", 0.5, 0.75),
                ("day-reject", 0.75, 1.0)
            ]
        );
        assert_eq!(shares(OutcomeCounts::default()).map(|share| share.2), [0.0; 3]);
    }
}
