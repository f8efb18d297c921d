//! Diagrams of a report in SVG.

use maud::{Markup, Render, html};

use crate::document::whole_numbers;
use crate::report::{Estimate, percent};
use crate::statistics::{Histogram, Interval, OperatingPoint, probit};

/// Colours that people who do not see red or green can tell apart (Okabe and Ito).
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

/// Rates that a DET plot marks.
const RATES: [f64; 12] = [1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9];

/// Width left of the axes, for ticks and the name of the y axis.
const LEFT: f64 = 84.0;

/// A share of an axis, 0..=1 from left to right and from bottom to top, and its label.
type Tick = (f64, String);

/// A threshold that a diagram marks: where, and what is there in words.
pub(crate) struct Mark<P> {
    pub(crate) at: P,
    pub(crate) caption: String,
}

/// Colour of marks.
const INK: &str = "#1d2430";

/// How a mark is drawn, and the characters before its caption that look like it.
struct MarkStyle {
    dashes: &'static str,
    line: &'static str,
    inside: &'static str,
    circle: &'static str,
}

/// The styles of marks, by their order.
const MARK_STYLES: [MarkStyle; 2] = [
    MarkStyle {
        dashes: "5 3",
        line: "┄┄",
        inside: "#ffffff",
        circle: "○",
    },
    MarkStyle {
        dashes: "none",
        line: "──",
        inside: INK,
        circle: "●",
    },
];

/// A diagram with two axes.
pub(crate) struct Chart<'a> {
    title: String,
    /// Names of the x and the y axis.
    names: (&'a str, &'a str),
    ticks: (Vec<Tick>, Vec<Tick>),
    /// Curves of points in shares of both axes, and their names.
    series: Vec<(&'a str, Vec<(f64, f64)>)>,
    /// Whether the area between a curve and the x axis is filled.
    filled: bool,
    /// Width and height of the area within the axes, in SVG units.
    size: (f64, f64),
    /// The legend's left end, as a share of the width; no legend for `None`.
    legend: Option<f64>,
    /// Text in place of curves.
    note: Option<&'static str>,
    /// Width left of the axes, in SVG units.
    left: f64,
    /// The places of each mark, in shares of both axes: a line down the diagram, or circles on its curves.
    marks: Vec<Mark<Vec<(f64, f64)>>>,
}

impl<'a> Chart<'a> {
    /// Returns a DET plot. Both axes are normal deviates, so that scores of two normal distributions give a straight line. A
    /// mark has a pair of rates for each curve that it is on; a rate beyond an axis is at the end of that.
    pub(crate) fn det(
        curves: &[(&'a str, &[OperatingPoint])],
        x_name: &'a str,
        y_name: &'a str,
        marks: Vec<Mark<Vec<(f64, f64)>>>,
    ) -> Self {
        let points = || curves.iter().flat_map(|(_, points)| points.iter());
        // An axis begins at the mark below the smallest rate and ends at the mark above the largest.
        let axis = |rate: fn(&OperatingPoint) -> f64| {
            let smallest = points().map(rate).fold(0.5, f64::min);
            let largest = points().map(rate).fold(0.4, f64::max);
            let low = RATES.into_iter().rfind(|&mark| mark <= smallest).unwrap_or(1e-7);
            let high = RATES.into_iter().find(|&mark| mark >= largest).unwrap_or(0.99);
            let (low, high) = (probit(low), probit(high));
            move |rate: f64| (probit(rate) - low) / (high - low)
        };
        let x = axis(|point| point.false_positive);
        let y = axis(|point| point.false_negative);
        let label = |rate: f64| match rate {
            1e-3.. => format!("{} %", rate * 100.0),
            _ => format!("{rate:e}"),
        };
        let ticks = |along: &dyn Fn(f64) -> f64| {
            RATES
                .iter()
                .map(|&rate| (along(rate), label(rate)))
                .filter(|(at, _)| (-1e-9..=1.0 + 1e-9).contains(at))
                .collect()
        };
        let place = |point: &OperatingPoint| (x(point.false_positive), y(point.false_negative));
        let is_empty = points().next().is_none();
        let within = |rates: (f64, f64)| (x(rates.0).clamp(0.0, 1.0), y(rates.1).clamp(0.0, 1.0));
        let marks = marks.into_iter().map(|Mark { at, caption }| Mark {
            at: at.into_iter().map(within).filter(|_| !is_empty).collect(),
            caption,
        });
        Self {
            title: format!("DET curve, {x_name} against {y_name}"),
            names: (x_name, y_name),
            ticks: (ticks(&x), ticks(&y)),
            series: curves
                .iter()
                .map(|(name, points)| (*name, points.iter().map(place).collect()))
                .collect(),
            filled: false,
            size: (520.0, 420.0),
            legend: (curves.len() > 1).then_some(0.71),
            note: is_empty.then_some("no threshold at which both kinds of error occur"),
            left: LEFT,
            marks: marks.collect(),
        }
    }

    /// Returns the rate of each group, from top to bottom: a stroke at the rate on a line over its interval, and a line down
    /// all groups at their mean.
    pub(crate) fn by_group(
        rates: &[(&'a str, Option<Estimate>)],
        mean: Option<Estimate>,
        x_name: &'a str,
        title: String,
    ) -> Self {
        let interval = |rate: Estimate| {
            let whole = Interval {
                low: rate.value,
                high: rate.value,
            };
            rate.interval.unwrap_or(whole)
        };
        let known = rates.iter().filter_map(|(_, rate)| *rate);
        let ends = known.chain(mean).map(|rate| rate.value.max(interval(rate).high));
        let highest = ends.fold(f64::MIN_POSITIVE, f64::max);
        let step = 1.0 / rates.len().max(1) as f64;
        let height = |row: usize| 1.0 - (row as f64 + 0.5) * step;
        let stroke = |(row, &(name, rate)): (usize, &(&'a str, Option<Estimate>))| {
            let y = height(row);
            let points = rate.map(|rate| {
                let (at, Interval { low, high }) = (rate.value / highest, interval(rate));
                let (up, down) = ((at, y + step / 4.0), (at, y - step / 4.0));
                vec![
                    (low / highest, y),
                    (at, y),
                    up,
                    down,
                    (at, y),
                    (high / highest, y),
                ]
            });
            (name, points.unwrap_or_default())
        };
        let mut series: Vec<_> = rates.iter().enumerate().map(stroke).collect();
        if let Some(mean) = mean {
            let at = mean.value / highest;
            series.push(("mean", vec![(at, 0.0), (at, 1.0)]));
        }
        let quarters = [0.0, 0.25, 0.5, 0.75, 1.0].map(|at| (at, percent(highest * at)));
        let names = rates.iter().enumerate();
        let longest = rates.iter().map(|(name, _)| name.chars().count()).max();
        Self {
            title,
            names: (x_name, ""),
            ticks: (
                quarters.into(),
                names
                    .map(|(row, (name, _))| (height(row), (*name).to_owned()))
                    .collect(),
            ),
            series,
            filled: false,
            size: (520.0, 24.0 * rates.len() as f64),
            legend: None,
            note: None,
            left: LEFT.max(20.0 + 7.0 * longest.unwrap_or_default() as f64),
            marks: Vec::new(),
        }
    }

    /// Returns histograms over each other, each relative to its own total: a few comparisons show beside millions. A mark is at
    /// a score.
    pub(crate) fn histograms(
        kinds: &[(&'a str, &Histogram)],
        x_name: &'a str,
        marks: Vec<Mark<f64>>,
    ) -> Self {
        let share = |histogram: &Histogram, count: u64| count as f64 / histogram.total().max(1) as f64;
        let histograms = kinds.iter().map(|(_, histogram)| *histogram);
        let shares = histograms.flat_map(|one| one.counts.iter().map(|&count| share(one, count)));
        let highest = shares.fold(f64::MIN_POSITIVE, f64::max);
        let first = kinds.first();
        let (low, high) = first.map_or((0.0, 1.0), |(_, one)| (one.low, one.high));
        let series = |&(name, histogram): &(&'a str, &Histogram)| {
            let steps = histogram.counts.len() as f64;
            let tops = histogram.counts.iter().enumerate().flat_map(|(index, &count)| {
                let top = share(histogram, count) / highest;
                [(index as f64 / steps, top), ((index + 1) as f64 / steps, top)]
            });
            (
                name,
                [(0.0, 0.0)].into_iter().chain(tops).chain([(1.0, 0.0)]).collect(),
            )
        };
        let tenths = (0..=10).map(|tenth| f64::from(tenth) / 10.0);
        let labelled = tenths.map(|at| (at, format!("{:.1}", low + (high - low) * at)));
        let shares = [0.0, 0.5, 1.0].map(|at| (at, percent(highest * at)));
        let marks = marks.into_iter().map(|Mark { at, caption }| {
            let at = ((at - low) / (high - low)).clamp(0.0, 1.0);
            let at = vec![(at, 0.0), (at, 1.0)];
            Mark { at, caption }
        });
        Self {
            title: format!("Histogram of the {x_name}"),
            names: (x_name, "share of each kind"),
            ticks: (labelled.collect(), shares.into()),
            series: kinds.iter().map(series).collect(),
            filled: true,
            size: (640.0, 240.0),
            // Where neither kind of score piles up.
            legend: Some(0.12),
            note: None,
            left: LEFT,
            marks: marks.collect(),
        }
    }
}

impl Render for Chart<'_> {
    fn render(&self) -> Markup {
        let (left, top, (width, height)) = (self.left, 10.0, self.size);
        let x = |share: f64| format!("{:.1}", left + width * share);
        let y = |share: f64| format!("{:.1}", top + height * (1.0 - share));
        let below = |units: f64| format!("{:.1}", top + height + units);
        let path = |points: &[(f64, f64)]| {
            let points = points.iter().map(|&(a, b)| format!("{} {}", x(a), y(b)));
            let points: Vec<String> = points.collect();
            format!("M{}{}", points.join("L"), if self.filled { "Z" } else { "" })
        };
        let coloured = || self.series.iter().zip(COLOURS.iter().cycle());
        let marks = || self.marks.iter().zip(MARK_STYLES.iter().cycle());
        html! {
            svg xmlns="http://www.w3.org/2000/svg" viewBox={ "0 0 " (left + width + 20.0) " " (top + height + 50.0) }
                width=(left + width + 20.0) role="img" aria-label=(self.title) {
                @for (at, label) in &self.ticks.0 {
                    path d={ "M" (x(*at)) " " (y(0.0)) "V" (y(1.0)) } stroke="#e3e7ee" {}
                    text x=(x(*at)) y=(below(18.0)) text-anchor="middle" { (label) }
                }
                @for (at, label) in &self.ticks.1 {
                    path d={ "M" (x(0.0)) " " (y(*at)) "H" (x(1.0)) } stroke="#e3e7ee" {}
                    text x=(left - 6.0) y=(y(*at)) dy="4" text-anchor="end" { (label) }
                }
                @for ((_, points), colour) in coloured().filter(|((_, points), _)| !points.is_empty()) {
                    path d=(path(points)) stroke=(colour) stroke-width=(if self.filled { 1 } else { 2 })
                        fill=(if self.filled { colour } else { &"none" }) fill-opacity="0.35" stroke-linejoin="round" {}
                }
                @for (mark, style) in marks() {
                    @if self.filled {
                        path d=(path(&mark.at)) stroke=(INK) stroke-dasharray=(style.dashes) {}
                    } @else {
                        @for &(a, b) in &mark.at {
                            circle cx=(x(a)) cy=(y(b)) r="5" fill=(style.inside) stroke=(INK) stroke-width="1.5" {}
                        }
                    }
                }
                @if let Some(note) = self.note {
                    text x=(x(0.5)) y=(y(0.5)) text-anchor="middle" { (note) }
                }
                @if let Some(legend) = self.legend {
                    @for (index, ((name, _), colour)) in coloured().enumerate() {
                        rect x=(x(legend)) y=(top + 6.0 + 18.0 * index as f64) width="12" height="12" fill=(colour) {}
                        text x=(x(legend)) dx="18" y=(top + 16.0 + 18.0 * index as f64) { (name) }
                    }
                }
                text x=(x(0.5)) y=(below(40.0)) text-anchor="middle" { (self.names.0) }
                text text-anchor="middle" transform={ "translate(14 " (y(0.5)) ") rotate(-90)" } { (self.names.1) }
            }
            @for (mark, style) in marks() {
                p.mark { (if self.filled { style.line } else { style.circle }) " " (whole_numbers(&mark.caption)) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(false_positive: f64, false_negative: f64) -> OperatingPoint {
        OperatingPoint {
            threshold: 0.5,
            false_positive,
            false_negative,
        }
    }

    fn drawn(chart: &Chart<'_>) -> String {
        let svg = chart.render().into_string();
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        svg
    }

    #[test]
    fn names_are_escaped() {
        let hostile = "</svg><script>";
        let points = [point(0.1, 0.1)];
        let curves: [(&str, &[OperatingPoint]); 2] = [(hostile, &points), ("b", &[])];
        assert!(!drawn(&Chart::det(&curves, hostile, "y", Vec::new())).contains("<script>"));
        let histogram = Histogram::new(0.0, 1.0, 4);
        assert!(!drawn(&Chart::histograms(&[(hostile, &histogram)], "x", Vec::new())).contains("<script>"));
    }

    #[test]
    fn a_det_curve_of_normal_scores_is_a_straight_line() {
        // Two normal distributions of deviation 1 whose means are 2 apart.
        let points = [
            point(0.158_655_253_931_457, 0.158_655_253_931_457),
            point(0.022_750_131_948_179, 0.5),
            point(0.5, 0.022_750_131_948_179),
        ];
        let chart = Chart::det(&[("a", &points)], "x", "y", Vec::new());
        let [(x0, y0), (x1, y1), (x2, y2)] = chart.series[0].1[..] else {
            panic!("not three points")
        };
        let slope = |x: f64, y: f64| (y - y0) / (x - x0);
        assert!((slope(x1, y1) - slope(x2, y2)).abs() < 1e-6);
        let svg = drawn(&chart);
        assert_eq!(svg.matches("fill=\"none\"").count(), 1, "{svg}");
    }

    #[test]
    fn a_group_has_its_interval_and_the_mean_a_line_down_all() {
        let estimate = |value, low, high| Estimate {
            value,
            interval: Some(Interval { low, high }),
        };
        let rates = [("a", Some(estimate(0.25, 0.125, 0.5))), ("<b>", None)];
        let chart = Chart::by_group(&rates, Some(estimate(0.25, 0.25, 0.25)), "x", "title".to_owned());
        let (first, last) = (&chart.series[0].1, &chart.series[2].1);
        assert_eq!((first[0], first[5]), ((0.25, 0.75), (1.0, 0.75)));
        assert_eq!((first[2], first[3]), ((0.5, 0.875), (0.5, 0.625)));
        assert!(chart.series[1].1.is_empty());
        assert_eq!(last[..], [(0.5, 0.0), (0.5, 1.0)]);
        let svg = drawn(&chart);
        assert!(svg.contains("&lt;b&gt;"), "{svg}");
        drawn(&Chart::by_group(&[], None, "x", String::new()));
    }

    #[test]
    fn thresholds_are_marked_and_their_captions_are_below() {
        let points = [point(0.01, 0.2), point(0.2, 0.01)];
        let mark = |at, caption: &str| Mark {
            at,
            caption: caption.to_owned(),
        };
        let marks = vec![
            mark(vec![(0.01, 0.2)], "reject <b>"),
            // No error of a kind: at the end of its axis.
            mark(vec![(0.0, 1.0), (0.2, 0.01)], "review"),
        ];
        let chart = Chart::det(&[("a", &points)], "x", "y", marks);
        assert_eq!(chart.marks[0].at, [chart.series[0].1[0]]);
        assert_eq!(chart.marks[1].at, [(0.0, 1.0), chart.series[0].1[1]]);
        let svg = drawn(&chart);
        assert_eq!(svg.matches("<circle").count(), 3, "{svg}");
        assert!(
            svg.contains("○ reject &lt;b&gt;</p>") && svg.contains("● review</p>"),
            "{svg}"
        );

        let histogram = Histogram::new(-1.0, 1.0, 4);
        let mark_at = |at| Mark {
            at,
            caption: "here".to_owned(),
        };
        let marks = vec![mark_at(0.5), mark_at(f64::next_up(1.0))];
        let chart = Chart::histograms(&[("a", &histogram)], "x", marks);
        assert_eq!(chart.marks[0].at[0], (0.75, 0.0));
        assert_eq!(chart.marks[1].at[0], (1.0, 0.0));
        assert_eq!(drawn(&chart).matches("stroke-dasharray").count(), 2);
        // Without a curve there is no place for a mark, and its rates are there all the same.
        let chart = Chart::det(&[("a", &[])], "x", "y", vec![mark(vec![(0.0, 0.0)], "none")]);
        assert!(chart.marks[0].at.is_empty() && drawn(&chart).contains("none</p>"));
    }

    #[test]
    fn without_errors_the_plot_says_so() {
        let svg = drawn(&Chart::det(&[("a", &[])], "x", "y", Vec::new()));
        assert!(
            svg.contains("no threshold at which both kinds of error occur"),
            "{svg}"
        );
        drawn(&Chart::histograms(
            &[("a", &Histogram::new(0.0, 1.0, 4))],
            "x",
            Vec::new(),
        ));
    }
}
