//! Evaluations of liveness: from images to liveness scores, and `scores.csv`.

use std::io::Write;

use indexmap::IndexMap;
use likeness_engine::decision::Score;
use likeness_engine::{Engine, EngineError, LivenessOptions};

use crate::acquisition::Evaluation;
use crate::error::{EvaluationError, Status};
use crate::journal::Measured;
use crate::lists::{LIVE, LabelList};
use crate::liveness_report::{LivenessReport, report};
use crate::report::AcquisitionReport;
use crate::statistics::{LivenessScores, Species};

/// A presentation, as in `scores.csv`.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredPresentation<'a> {
    /// Path of the image, as in the list.
    pub file: &'a str,
    /// Species, as in the list.
    pub species: &'a str,
    /// The subject, counted from 0.
    pub subject: u32,
    /// The liveness score, or the outcome of an image without one.
    pub liveness: Result<Score, Status>,
}

/// The presentations of a list, in its order.
#[derive(Debug, Clone, PartialEq)]
pub struct PresentationScores<'a> {
    /// The presentations.
    pub presentations: Vec<ScoredPresentation<'a>>,
}

impl PresentationScores<'_> {
    /// Returns the scores by species, in the order in which the species first appear. A missing file is not a
    /// presentation.
    #[must_use]
    pub fn by_species(&self) -> LivenessScores {
        let mut found: IndexMap<&str, Vec<_>> = IndexMap::new();
        for one in &self.presentations {
            let responses = found.entry(one.species).or_default();
            match one.liveness {
                Ok(score) => responses.push((Some(score.value()), one.subject)),
                Err(status) if status.is_failure_to_acquire() => responses.push((None, one.subject)),
                Err(_) => {}
            }
        }
        let live = found.shift_remove(LIVE).unwrap_or_default();
        let attacks = found.iter();
        LivenessScores {
            bona_fide: Species::new(LIVE, &live),
            attacks: attacks
                .map(|(name, responses)| Species::new(name, responses))
                .collect(),
        }
    }

    /// Writes `scores.csv`: file, species, liveness, status.
    ///
    /// # Errors
    /// The errors of the writer.
    pub fn write_csv(&self, to: impl Write) -> std::io::Result<()> {
        let mut writer = csv::Writer::from_writer(to);
        writer.write_record(["file", "species", "liveness", "status"])?;
        for one in &self.presentations {
            let liveness = one.liveness.ok().map(|score| score.to_string());
            let status = one.liveness.err().unwrap_or(Status::Ok);
            writer.serialize((one.file, one.species, liveness, status))?;
        }
        writer.flush()
    }
}

impl Evaluation<'_> {
    /// Scores the presentations of a list.
    ///
    /// # Errors
    /// Those of [`embed`](Self::embed).
    pub fn liveness<'a>(
        &self,
        list: &'a LabelList,
    ) -> Result<(LivenessReport, PresentationScores<'a>), EvaluationError> {
        let results = self.measure(
            &list.files,
            |bytes| score(self.engine, bytes),
            |_, values| {
                let value = values.first().copied().unwrap_or(f32::NAN);
                Score::new(f64::from(value)).map_err(|error| EngineError::Inference(error.into()))
            },
        )?;
        let acquisition = AcquisitionReport::of(&results);
        let listed = list.files.iter().zip(&list.species).zip(&list.subjects);
        let presentations = listed
            .zip(results)
            .map(|(((file, species), &subject), liveness)| ScoredPresentation {
                file,
                species,
                subject,
                liveness,
            })
            .collect();
        let scores = PresentationScores { presentations };
        let report = report(self, list, &scores.by_species(), acquisition);
        Ok((report, scores))
    }
}

/// Scores an image. The four decimals of a score survive single precision.
fn score(engine: &Engine, bytes: &[u8]) -> Result<Measured, EngineError> {
    match engine.liveness(bytes, &LivenessOptions::default()) {
        Ok(check) => Ok(check
            .liveness
            .map(|score| vec![score.value() as f32])
            .ok_or(Status::NoFace)),
        Err(EngineError::Image { .. }) => Ok(Err(Status::BadImage)),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_survives_single_precision() {
        for step in 0..=10_000 {
            let score = Score::new(f64::from(step) / 10_000.0).unwrap();
            assert_eq!(Score::new(f64::from(score.value() as f32)), Ok(score));
        }
    }
}
