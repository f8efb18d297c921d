//! Reports as one HTML page each, with drawings in SVG: nothing is fetched, no script runs, and it prints.

use std::fmt::Write;

use crate::report::{estimate, grouped, percent};
use crate::statistics::{Histogram, OperatingPoint, probit};
use crate::{AtThreshold, LivenessReport, MatchReport, Shares, Status};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;color:#1d2430;background:#fff;max-width:60rem;\
    margin:2rem auto;padding:0 1rem}h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}\
    table{border-collapse:collapse;font-variant-numeric:tabular-nums}\
    th,td{padding:.25rem .8rem .25rem 0;text-align:left;border-bottom:1px solid #dde2ea;vertical-align:top}\
    th{font-weight:600;color:#4a5568}svg{max-width:100%;height:auto}svg text{font:12px system-ui,sans-serif;fill:#4a5568}\
    .note{color:#4a5568}.row{overflow-x:auto}";

/// Colours that are told apart by those who do not see red or green (Okabe and Ito).
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

/// Text that may stand anywhere in a page.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

fn page(title: &str, body: &str) -> String {
    let title = escaped(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
         <h1>{title}</h1>\n{body}</html>\n"
    )
}

/// A table; its cells are text.
fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut html = String::from("<div class=\"row\"><table>\n<tr>");
    for name in header {
        html.push_str(&format!("<th>{}</th>", escaped(name)));
    }
    html.push_str("</tr>\n");
    for row in rows {
        html.push_str("<tr>");
        for cell in row {
            html.push_str(&format!("<td>{}</td>", escaped(cell)));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</table></div>\n");
    html
}

/// The drawing's area in SVG units, within its margins.
struct Frame {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

impl Frame {
    fn x(&self, share: f64) -> f64 {
        self.left + self.width * share
    }

    fn y(&self, share: f64) -> f64 {
        self.top + self.height * (1.0 - share)
    }

    fn open(&self, label: &str) -> String {
        let (width, height) = (self.left + self.width + 20.0, self.top + self.height + 50.0);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             role=\"img\" aria-label=\"{}\">\n",
            escaped(label)
        )
    }

    fn axis_names(&self, x: &str, y: &str) -> String {
        let (middle_x, middle_y) = (self.x(0.5), self.y(0.5));
        format!(
            "<text x=\"{middle_x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n\
             <text x=\"14\" y=\"{middle_y:.1}\" text-anchor=\"middle\" transform=\"rotate(-90 14 {middle_y:.1})\">{}</text>\n",
            self.y(0.0) + 40.0,
            escaped(x),
            escaped(y)
        )
    }

    fn legend(&self, names: &[&str], x: f64) -> String {
        let mut svg = String::new();
        for (index, (name, colour)) in names.iter().zip(COLOURS.iter().cycle()).enumerate() {
            let y = self.top + 16.0 + 18.0 * index as f64;
            svg.push_str(&format!(
                "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"12\" height=\"12\" fill=\"{colour}\"/>\
                 <text x=\"{:.1}\" y=\"{y:.1}\">{}</text>\n",
                y - 10.0,
                x + 18.0,
                escaped(name)
            ));
        }
        svg
    }
}

/// Rates that a DET plot marks, and how.
const TICKS: [(f64, &str); 12] = [
    (1e-6, "1e-6"),
    (1e-5, "1e-5"),
    (1e-4, "1e-4"),
    (1e-3, "0.1 %"),
    (0.01, "1 %"),
    (0.05, "5 %"),
    (0.1, "10 %"),
    (0.2, "20 %"),
    (0.4, "40 %"),
    (0.6, "60 %"),
    (0.8, "80 %"),
    (0.9, "90 %"),
];

/// A DET plot: both axes are normal deviates, so that scores of two normal distributions give a straight line.
pub(crate) fn det_plot(curves: &[(&str, &[OperatingPoint])], x_name: &str, y_name: &str) -> String {
    let frame = Frame {
        left: 84.0,
        top: 10.0,
        width: 520.0,
        height: 420.0,
    };
    let points = || curves.iter().flat_map(|(_, points)| points.iter());
    let range = |rate: fn(&OperatingPoint) -> f64| {
        // Each axis begins at the tick below the smallest rate and ends at the tick above the largest.
        let smallest = points().map(rate).fold(0.5, f64::min);
        let largest = points().map(rate).fold(0.4, f64::max);
        let mut ticks = TICKS.iter().map(|(tick, _)| *tick);
        let low = ticks.clone().rfind(|&tick| tick <= smallest).unwrap_or(1e-7);
        let high = ticks.find(|&tick| tick >= largest).unwrap_or(0.99);
        (probit(low), probit(high))
    };
    let (x_range, y_range) = (
        range(|point| point.false_positive),
        range(|point| point.false_negative),
    );
    let along = |rate: f64, (low, high): (f64, f64)| (probit(rate) - low) / (high - low);

    let mut svg = frame.open(&format!("DET curve, {x_name} against {y_name}"));
    for (tick, label) in TICKS {
        let (x, y) = (along(tick, x_range), along(tick, y_range));
        let inside = |share: f64| (-1e-9..=1.0 + 1e-9).contains(&share);
        if inside(x) {
            svg.push_str(&format!(
                "<path d=\"M{0:.1} {1:.1}V{2:.1}\" stroke=\"#e3e7ee\"/><text x=\"{0:.1}\" y=\"{3:.1}\" \
                 text-anchor=\"middle\">{label}</text>\n",
                frame.x(x),
                frame.y(0.0),
                frame.y(1.0),
                frame.y(0.0) + 18.0
            ));
        }
        if inside(y) {
            svg.push_str(&format!(
                "<path d=\"M{:.1} {1:.1}H{2:.1}\" stroke=\"#e3e7ee\"/><text x=\"{3:.1}\" y=\"{4:.1}\" \
                 text-anchor=\"end\">{label}</text>\n",
                frame.x(0.0),
                frame.y(y),
                frame.x(1.0),
                frame.x(0.0) - 6.0,
                frame.y(y) + 4.0
            ));
        }
    }
    for ((_, points), colour) in curves.iter().zip(COLOURS.iter().cycle()) {
        let mut path = String::new();
        for (index, point) in points.iter().enumerate() {
            path.push_str(&format!(
                "{}{:.1} {:.1}",
                if index == 0 { 'M' } else { 'L' },
                frame.x(along(point.false_positive, x_range)),
                frame.y(along(point.false_negative, y_range))
            ));
        }
        if !path.is_empty() {
            svg.push_str(&format!(
                "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-linejoin=\"round\"/>\n"
            ));
        }
    }
    if points().next().is_none() {
        svg.push_str(&format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">no threshold at which both kinds of error occur</text>\n",
            frame.x(0.5),
            frame.y(0.5)
        ));
    }
    let names: Vec<&str> = curves.iter().map(|(name, _)| *name).collect();
    if names.len() > 1 {
        svg.push_str(&frame.legend(&names, frame.x(1.0) - 150.0));
    }
    svg.push_str(&frame.axis_names(x_name, y_name));
    svg.push_str("</svg>\n");
    svg
}

/// Histograms over each other, each by its own total, so that a few genuine comparisons show beside millions of others.
pub(crate) fn histogram_plot(kinds: &[(&str, &Histogram)], x_name: &str) -> String {
    let frame = Frame {
        left: 84.0,
        top: 10.0,
        width: 640.0,
        height: 240.0,
    };
    let share = |histogram: &Histogram, count: u64| count as f64 / (histogram.total().max(1)) as f64;
    let highest = kinds
        .iter()
        .flat_map(|(_, histogram)| histogram.counts().iter().map(|&count| share(histogram, count)))
        .fold(f64::MIN_POSITIVE, f64::max);
    let mut svg = frame.open(&format!("Histogram of {x_name}"));
    let (low, high) = kinds
        .first()
        .map_or((0.0, 1.0), |(_, histogram)| (histogram.low(), histogram.high()));
    for tick in 0..=10 {
        let at = f64::from(tick) / 10.0;
        svg.push_str(&format!(
            "<path d=\"M{0:.1} {1:.1}v5\" stroke=\"#9aa5b5\"/><text x=\"{0:.1}\" y=\"{2:.1}\" \
             text-anchor=\"middle\">{3:.1}</text>\n",
            frame.x(at),
            frame.y(0.0),
            frame.y(0.0) + 18.0,
            low + (high - low) * at
        ));
    }
    for tick in [0.0, 0.5, 1.0] {
        svg.push_str(&format!(
            "<path d=\"M{:.1} {1:.1}H{2:.1}\" stroke=\"#e3e7ee\"/><text x=\"{3:.1}\" y=\"{4:.1}\" \
             text-anchor=\"end\">{5}</text>\n",
            frame.x(0.0),
            frame.y(tick),
            frame.x(1.0),
            frame.x(0.0) - 6.0,
            frame.y(tick) + 4.0,
            percent(highest * tick)
        ));
    }
    for ((_, histogram), colour) in kinds.iter().zip(COLOURS.iter().cycle()) {
        let steps = histogram.counts().len() as f64;
        let mut path = format!("M{:.1} {:.1}", frame.x(0.0), frame.y(0.0));
        for (index, &count) in histogram.counts().iter().enumerate() {
            path.push_str(&format!(
                "V{:.1}H{:.1}",
                frame.y(share(histogram, count) / highest),
                frame.x((index + 1) as f64 / steps)
            ));
        }
        svg.push_str(&format!(
            "<path d=\"{path}V{:.1}Z\" fill=\"{colour}\" fill-opacity=\"0.35\" stroke=\"{colour}\"/>\n",
            frame.y(0.0)
        ));
    }
    let names: Vec<&str> = kinds.iter().map(|(name, _)| *name).collect();
    // Where neither strangers nor attacks nor the right people pile up.
    svg.push_str(&frame.legend(&names, frame.x(0.12)));
    svg.push_str(&frame.axis_names(x_name, "share of each kind"));
    svg.push_str("</svg>\n");
    svg
}

fn statuses<'a>(by_status: impl Iterator<Item = (&'a Status, &'a u64)>) -> Vec<Vec<String>> {
    by_status
        .map(|(status, &count)| vec![status.as_str().to_owned(), grouped(count)])
        .collect()
}

fn setup(setup: &crate::Setup) -> String {
    format!(
        "<p class=\"note\">Likeness {}, pack {}, {}, ONNX Runtime {}. Calibration of the match confidence: {}; of the \
         liveness: {}.</p>\n",
        escaped(&setup.likeness),
        escaped(&setup.pack),
        escaped(&setup.provider),
        escaped(&setup.onnx_runtime),
        escaped(&setup.match_calibration),
        escaped(&setup.liveness_calibration)
    )
}

fn at_most(rate: Option<f64>) -> String {
    rate.map_or_else(String::new, |rate| format!(", at most {}", percent(rate)))
}

impl MatchReport {
    /// The report as a page, for a browser.
    #[must_use]
    pub fn html(&self) -> String {
        let mut body = String::new();
        // Writing to a string does not fail.
        let _ = self.write_html(&mut body);
        page("Match error rates", &body)
    }

    fn write_html(&self, body: &mut String) -> std::fmt::Result {
        let counts = self.comparisons;
        writeln!(
            body,
            "<p>{}: {} genuine and {} impostor comparisons of {} pictures of {} people.</p>",
            escaped(&self.data),
            grouped(counts.genuine),
            grouped(counts.impostor),
            grouped(self.acquisition.pictures),
            grouped(self.people as u64)
        )?;
        body.push_str(&setup(&self.setup));
        body.push_str("<h2>False non-match rate at named false match rates</h2>\n");
        let rows: Vec<Vec<String>> = self
            .at_false_match_rates
            .iter()
            .map(|row| match (row.threshold, row.confidence) {
                (Some(threshold), confidence) => vec![
                    format!("{:e}", row.false_match_rate),
                    format!("{:.4}", threshold.value),
                    confidence.map_or_else(|| "-".to_owned(), |confidence| format!("{confidence:.4}")),
                    estimate(row.false_non_match_rate),
                ],
                _ => vec![
                    format!("{:e}", row.false_match_rate),
                    "insufficient data".to_owned(),
                    String::new(),
                    format!(
                        "{} impostor comparisons needed",
                        grouped(row.impostor_comparisons_needed)
                    ),
                ],
            })
            .collect();
        body.push_str(&table(
            &["FMR", "Similarity", "Confidence", "FNMR (interval)"],
            &rows,
        ));
        if let Some(equal) = &self.equal_error_rate {
            writeln!(
                body,
                "<p>Equal error rate: {} at similarity {:.4}.</p>",
                estimate(Some(equal.rate)),
                equal.threshold
            )?;
        }
        if let Some(accuracy) = &self.accuracy {
            writeln!(
                body,
                "<p>Accuracy over {} folds: {:.4} ± {:.4} (standard error).</p>",
                accuracy.folds.len(),
                accuracy.mean,
                accuracy.standard_error
            )?;
        }
        if let Some((accuracy, threshold)) = self.accuracy_at_trained_threshold {
            writeln!(
                body,
                "<p>Accuracy at the threshold that is best on the training pairs, {threshold:.4}: {accuracy:.4}.</p>"
            )?;
        }
        body.push_str("<h2>DET curve</h2>\n");
        body.push_str(&det_plot(
            &[("match", &self.det)],
            "false match rate",
            "false non-match rate",
        ));
        body.push_str("<h2>Scores</h2>\n");
        let kinds = [
            ("genuine", &self.genuine_histogram),
            ("impostor", &self.impostor_histogram),
        ];
        body.push_str(&histogram_plot(&kinds, "cosine similarity"));
        if self.profiles.is_empty() {
            body.push_str(
                "<p>Without a match calibration there are no confidences, and no profile has anything to judge.</p>\n",
            );
        } else {
            self.write_profiles(body);
            self.write_what_if(body);
        }
        body.push_str("<h2>Failure to acquire</h2>\n");
        writeln!(
            body,
            "<p>{} pictures ({}); {} genuine and {} impostor comparisons have no score for it and are in no rate \
             above.</p>",
            grouped(self.acquisition.failures_to_acquire),
            self.acquisition
                .failure_to_acquire_rate
                .map_or_else(|| "-".to_owned(), percent),
            grouped(counts.genuine_without_score),
            grouped(counts.impostor_without_score)
        )?;
        body.push_str(&table(
            &["Picture", "Count"],
            &statuses(self.acquisition.by_status.iter()),
        ));
        writeln!(body, "<p class=\"note\">{}.</p>", escaped(&self.intervals))
    }
}

impl MatchReport {
    fn write_profiles(&self, body: &mut String) {
        body.push_str("<h2>What each profile would do</h2>\n");
        let mut rows = Vec::new();
        for profile in &self.profiles {
            for (name, bound) in [
                ("reject", &profile.reject_below),
                ("review", &profile.review_below),
            ] {
                rows.push(vec![
                    profile.profile.clone(),
                    format!("{name} below {}", bound.confidence),
                    format!("{:.4}", bound.similarity),
                    estimate(bound.false_match_rate) + &at_most(bound.false_match_rate_at_most),
                    estimate(bound.false_non_match_rate),
                ]);
            }
        }
        let header = [
            "Profile",
            "Bound",
            "Similarity",
            "FMR (interval)",
            "FNMR (interval)",
        ];
        body.push_str(&table(&header, &rows));
        let mut rows = Vec::new();
        for profile in &self.profiles {
            for (kind, shares) in [("genuine", profile.genuine), ("impostor", profile.impostor)] {
                if let Some(shares) = shares {
                    rows.push(vec![
                        profile.profile.clone(),
                        kind.to_owned(),
                        percent(shares.pass),
                        percent(shares.review),
                        percent(shares.reject),
                    ]);
                }
            }
        }
        body.push_str(&table(
            &["Profile", "Comparisons", "Pass", "Review", "Reject"],
            &rows,
        ));
    }

    fn write_what_if(&self, body: &mut String) {
        body.push_str(
            "<h2>What if a threshold were another</h2>\n\
             <p>The errors if it were the only threshold: at or above it a comparison matches.</p>\n",
        );
        let rows: Vec<Vec<String>> = self
            .what_if
            .iter()
            .map(|row| {
                vec![
                    row.bound.confidence.to_string(),
                    format!("{:.4}", row.bound.similarity),
                    estimate(row.bound.false_match_rate) + &at_most(row.bound.false_match_rate_at_most),
                    estimate(row.bound.false_non_match_rate),
                    row.used_as.join(", "),
                ]
            })
            .collect();
        let header = [
            "Confidence",
            "Similarity",
            "FMR (interval)",
            "FNMR (interval)",
            "Is",
        ];
        body.push_str(&table(&header, &rows));
        for (index, profile) in self.profiles.iter().enumerate() {
            let _ = writeln!(
                body,
                "<h3>{} with one bound moved and the other where it is</h3>\n<p>Pass / review / reject.</p>",
                escaped(&profile.profile)
            );
            let rows: Vec<Vec<String>> = self
                .what_if
                .iter()
                .map(|row| {
                    let moved = row.profiles.get(index);
                    let mut cells = vec![row.bound.confidence.to_string()];
                    for moved in [
                        moved.and_then(|moved| moved.as_reject_below),
                        moved.and_then(|moved| moved.as_review_below),
                    ] {
                        cells.push(shares(moved.and_then(|moved| moved.genuine)));
                        cells.push(shares(moved.and_then(|moved| moved.impostor)));
                    }
                    cells
                })
                .collect();
            let header = [
                "Confidence",
                "Reject below it: genuine",
                "impostor",
                "Review below it: genuine",
                "impostor",
            ];
            body.push_str(&table(&header, &rows));
        }
    }
}

fn shares(shares: Option<Shares>) -> String {
    shares.map_or_else(String::new, |shares| {
        [shares.pass, shares.review, shares.reject]
            .map(percent)
            .join(" / ")
    })
}

impl LivenessReport {
    /// The report as a page, for a browser.
    #[must_use]
    pub fn html(&self) -> String {
        let mut body = String::new();
        // Writing to a string does not fail.
        let _ = self.write_html(&mut body);
        page("Liveness error rates", &body)
    }

    fn write_html(&self, body: &mut String) -> std::fmt::Result {
        writeln!(
            body,
            "<p>{}: {} pictures.</p>",
            escaped(&self.data),
            grouped(self.acquisition.pictures)
        )?;
        body.push_str(&setup(&self.setup));
        body.push_str("<h2>Errors at the profiles' bounds</h2>\n");
        body.push_str(&thresholds(&self.at_thresholds));
        body.push_str("<h2>DET curves</h2>\n");
        let curves: Vec<(&str, &[OperatingPoint])> = self
            .species
            .iter()
            .map(|species| (species.species.as_str(), species.det.as_slice()))
            .collect();
        body.push_str(&det_plot(&curves, "APCER", "BPCER"));
        body.push_str("<h2>Scores</h2>\n");
        let kinds: Vec<(&str, &Histogram)> = std::iter::once(("live", &self.bona_fide_histogram))
            .chain(
                self.species
                    .iter()
                    .map(|species| (species.species.as_str(), &species.histogram)),
            )
            .collect();
        body.push_str(&histogram_plot(&kinds, "liveness"));
        body.push_str("<h2>Each species</h2>\n");
        let mut rows = Vec::new();
        for species in &self.species {
            let mut row = vec![species.species.clone()];
            for at in &species.bpcer_at {
                row.push(if at.sufficient_data {
                    estimate(at.bpcer)
                } else {
                    format!("insufficient data: {} attacks needed", at.presentations_needed)
                });
            }
            row.push(
                species
                    .equal_error_rate
                    .map_or_else(|| "-".to_owned(), |equal| percent(equal.rate)),
            );
            row.push(
                species
                    .non_response
                    .map_or_else(|| "-".to_owned(), |found| percent(found.rate)),
            );
            rows.push(row);
        }
        let header = [
            "Species",
            "BPCER10",
            "BPCER20",
            "BPCER100",
            "EER",
            "Attacks without a score",
        ];
        body.push_str(&table(&header, &rows));
        body.push_str("<h2>What if the threshold were another</h2>\n");
        body.push_str(&thresholds(&self.what_if));
        body.push_str("<h2>Presentations without a score</h2>\n");
        if let Some(found) = self.bona_fide_non_response {
            writeln!(
                body,
                "<p>Bona fide presentations without a score: {} of {} ({}).</p>",
                grouped(found.count),
                grouped(found.presentations),
                percent(found.rate)
            )?;
        }
        body.push_str(&table(
            &["Picture", "Count"],
            &statuses(self.acquisition.by_status.iter()),
        ));
        writeln!(body, "<p class=\"note\">{}.</p>", escaped(&self.intervals))
    }
}

fn thresholds(rows: &[AtThreshold]) -> String {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let by_species: Vec<String> = row
                .apcer_by_species
                .iter()
                .map(|one| {
                    format!(
                        "{}: {}{}",
                        one.species,
                        estimate(one.apcer),
                        at_most(one.apcer_at_most)
                    )
                })
                .collect();
            vec![
                row.threshold.to_string(),
                row.apcer.map_or_else(|| "-".to_owned(), percent),
                by_species.join("; "),
                estimate(row.bpcer),
                row.acer_for_comparison_only
                    .map_or_else(|| "-".to_owned(), percent),
                row.used_as.join(", "),
            ]
        })
        .collect();
    let header = [
        "Threshold",
        "APCER, worst species",
        "APCER by species",
        "BPCER (interval)",
        "ACER, for comparison only",
        "Is",
    ];
    table(&header, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_have_written_is_text() {
        assert_eq!(escaped("<script>\"&'"), "&lt;script&gt;&quot;&amp;&#39;");
        let hostile = "</svg><script>";
        let point = OperatingPoint {
            threshold: 0.5,
            false_positive: 0.1,
            false_negative: 0.1,
        };
        let curves: [(&str, &[OperatingPoint]); 2] = [(hostile, &[point]), ("b", &[])];
        assert!(!det_plot(&curves, "x", "y").contains("<script>"));
        let histogram = Histogram::new(0.0, 1.0, 4);
        assert!(!histogram_plot(&[(hostile, &histogram)], "x").contains("<script>"));
        assert!(!table(&[hostile], &[vec![hostile.to_owned()]]).contains("<script>"));
    }

    #[test]
    fn a_det_curve_of_normal_scores_is_a_straight_line() {
        // Two normal distributions of deviation 1 whose means are 2 apart.
        let points: Vec<OperatingPoint> = [
            (0.158_655_253_931_457, 0.158_655_253_931_457),
            (0.022_750_131_948_179, 0.5),
            (0.5, 0.022_750_131_948_179),
        ]
        .map(|(false_positive, false_negative)| OperatingPoint {
            threshold: 0.0,
            false_positive,
            false_negative,
        })
        .to_vec();
        let svg = det_plot(&[("a", &points)], "x", "y");
        let path = svg.lines().find(|line| line.contains("fill=\"none\"")).unwrap();
        let numbers: Vec<f64> = path
            .split(['M', 'L', ' ', '"'])
            .filter_map(|part| part.parse().ok())
            .collect();
        let [x0, y0, x1, y1, x2, y2, ..] = numbers[..] else {
            panic!("{path}")
        };
        let slope = |x: f64, y: f64| (y - y0) / (x - x0);
        assert!((slope(x1, y1) - slope(x2, y2)).abs() < 0.01, "{path}");
    }

    #[test]
    fn without_errors_there_is_a_plot_that_says_so() {
        let svg = det_plot(&[("a", &[])], "x", "y");
        assert!(svg.contains("no threshold at which both kinds of error occur") && !svg.contains("NaN"));
        let svg = histogram_plot(&[("a", &Histogram::new(0.0, 1.0, 4))], "x");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
