//! Reports of checks, for programs and for people.

use std::time::Duration;

use likeness_embedding::CohortError;

use crate::info::{CohortInfo, PackInfo};
use crate::models::Role;

/// Characters of the widest column of shapes.
const WIDEST_SHAPES: usize = 44;

/// The report of [`check`](crate::check) about a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PackCheck {
    /// The pack.
    pub pack: PackInfo,
    /// Its match calibration, that of normalised similarities where it has both; a pack without one cannot verify before one
    /// is measured.
    pub match_calibration: Option<String>,
    /// Its liveness calibration; without one the models' fused live probability is the score.
    pub liveness_calibration: Option<String>,
    /// Its cohort, or why that cannot be used; `None`: it has none.
    pub cohort: Option<Result<CohortInfo, CohortError>>,
    /// Its models in the manifest's order.
    pub models: Vec<ModelCheck>,
}

/// The report about one model.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelCheck {
    /// Its role.
    pub role: Role,
    /// Its name.
    pub model: String,
    /// The adapter that the manifest names.
    pub adapter: &'static str,
    /// The inputs that it declares; empty where it could not be opened.
    pub input: String,
    /// The outputs that it declares, likewise.
    pub output: String,
    /// Why it cannot be used, if it cannot.
    pub fault: Option<String>,
    /// The outcome of its self-test.
    pub vector: VectorCheck,
    /// Median time of a run on one thread, of one image of the size that the self-test has; `None` where it was not run.
    pub median: Option<Duration>,
}

/// The outcome of a self-test.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum VectorCheck {
    /// It was not run.
    NotRun,
    /// The manifest has no vector to compare the outputs with.
    Missing,
    /// The outputs are those of the vector.
    Right,
    /// They are not.
    Wrong(String),
}

impl ModelCheck {
    /// Returns whether it can be used and its outputs are those of the vector, where there is one.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.fault.is_none() && !matches!(self.vector, VectorCheck::Wrong(_))
    }
}

impl PackCheck {
    /// Returns whether every model is well, and the cohort.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.models.iter().all(ModelCheck::is_well) && !matches!(self.cohort, Some(Err(_)))
    }

    /// Returns the faults, one line each.
    pub fn faults(&self) -> impl Iterator<Item = String> {
        let of_models = self.models.iter().flat_map(|model| {
            let wrong = match &model.vector {
                VectorCheck::Wrong(problem) => {
                    Some(format!("{} {}: self-test: {problem}", model.role, model.model))
                }
                _ => None,
            };
            model.fault.clone().into_iter().chain(wrong)
        });
        let of_cohort = self.cohort.iter().filter_map(|cohort| cohort.as_ref().err());
        of_models.chain(of_cohort.map(|fault| format!("cohort of the pack: {fault}")))
    }
}

/// A table of the models, then the faults, then licences and calibrations.
impl std::fmt::Display for PackCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let PackInfo {
            name,
            version,
            digest,
            commercial_use,
            licenses,
            license_notes,
        } = &self.pack;
        writeln!(f, "pack {name} {version} ({digest})")?;
        let header = [
            "role",
            "model",
            "adapter",
            "input",
            "output",
            "self-test",
            "ms",
            "per second",
        ];
        let mut rows = vec![header.map(ToOwned::to_owned)];
        for model in &self.models {
            let vector = match model.vector {
                VectorCheck::NotRun => "not run",
                VectorCheck::Missing => "no vector",
                VectorCheck::Right => "right",
                VectorCheck::Wrong(_) => "WRONG",
            };
            let seconds = model
                .median
                .map(|median| median.as_secs_f64())
                .filter(|seconds| *seconds > 0.0);
            rows.push([
                model.role.to_string(),
                model.model.clone(),
                model.adapter.to_owned(),
                shortened(&model.input),
                shortened(&model.output),
                vector.to_owned(),
                seconds.map_or("-".to_owned(), |seconds| format!("{:.2}", seconds * 1e3)),
                seconds.map_or("-".to_owned(), |seconds| format!("{:.1}", 1.0 / seconds)),
            ]);
        }
        let widths: [usize; 8] = std::array::from_fn(|column| {
            let widths = rows.iter().map(|row| row[column].chars().count());
            widths.max().unwrap_or(0)
        });
        for row in &rows {
            let cells = row
                .iter()
                .zip(widths)
                .map(|(cell, width)| format!("{cell:width$}"));
            writeln!(f, "  {}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        for fault in self.faults() {
            writeln!(f, "  FAIL  {fault}")?;
        }
        writeln!(f, "licences: {}", licenses.join("; "))?;
        for note in license_notes {
            writeln!(f, "not settled: {note}")?;
        }
        if !commercial_use {
            writeln!(f, "not for commercial use, according to the manifest")?;
        }
        match &self.match_calibration {
            Some(calibration) => writeln!(f, "match calibration: {calibration}")?,
            None => writeln!(
                f,
                "match calibration: none; before the pack can verify, measure one with `likeness calibrate match`"
            )?,
        }
        if let Some(Ok(cohort)) = &self.cohort {
            writeln!(f, "cohort: {cohort}")?;
        }
        let none = "none; the score is the models' fused live probability";
        let of_liveness = self.liveness_calibration.as_deref();
        writeln!(f, "liveness calibration: {}", of_liveness.unwrap_or(none))?;
        f.write_str(if self.is_well() {
            "All models can be used."
        } else {
            "The pack cannot be used: see FAIL above."
        })
    }
}

/// Cuts a long list, such as the twelve outputs of a detector.
fn shortened(shapes: &str) -> String {
    if shapes.chars().count() <= WIDEST_SHAPES {
        return shapes.to_owned();
    }
    let mut text = String::new();
    for shape in shapes.split(' ') {
        if text.len() + shape.len() > WIDEST_SHAPES {
            break;
        }
        text.push_str(shape);
        text.push(' ');
    }
    text + "..."
}
