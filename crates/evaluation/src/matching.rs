//! Evaluations of matching: from images to the similarities of comparisons, `scores.csv` and the report.

use std::collections::BTreeMap;
use std::io::Write;

use likeness_engine::decision::{Profile, Score, Verdict};
use likeness_engine::{Engine, EngineError};

use crate::acquisition::{Acquisition, Evaluation};
use crate::all_pairs::{HELD_IMPOSTORS, all_pairs};
use crate::error::{EvaluationError, Status};
use crate::lists::{PairList, People};
use crate::match_report::{MatchReport, confidence, report};
use crate::setup::FaceChoice;
use crate::statistics::{
    Judged, MatchScores, Scored, accuracy_at, best_threshold, blocks, k_fold_accuracy, pairs_between,
};

/// The options of an evaluation of matching.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct MatchOptions {
    /// The face of an image that counts.
    pub face: FaceChoice,
    /// The decision profile of `scores.csv`.
    pub profile: Profile,
    /// The number of folds, consecutive blocks of a list, for the accuracy. A column `fold` of the list takes precedence.
    pub folds: Option<usize>,
}

impl MatchOptions {
    /// Sets the face of an image that counts.
    #[must_use]
    pub fn with_face(mut self, face: FaceChoice) -> Self {
        self.face = face;
        self
    }

    /// Sets the decision profile of `scores.csv`.
    #[must_use]
    pub fn with_profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Sets the number of folds.
    #[must_use]
    pub fn with_folds(mut self, folds: Option<usize>) -> Self {
        self.folds = folds;
        self
    }
}

/// A comparison of a list, as in `scores.csv`.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredPair<'a> {
    /// Path of the left image, as in the list.
    pub left: &'a str,
    /// Path of the right image, as in the list.
    pub right: &'a str,
    /// Whether both show the same person.
    pub same: bool,
    /// Cosine similarity, -1..=1; `None` where an image was not acquired.
    pub similarity: Option<f32>,
    /// Calibrated match confidence; `None` also without a match calibration.
    pub confidence: Option<Score>,
    /// `pass`, `review` or `reject`; an image without a face is rejected, as by the engine. Empty where there is nothing to
    /// decide on.
    pub decision: &'static str,
    /// Outcome of the left image.
    pub left_status: Status,
    /// Outcome of the right image.
    pub right_status: Status,
}

const SCORES_HEADER: [&str; 8] = [
    "left",
    "right",
    "label",
    "similarity",
    "confidence",
    "decision",
    "left_status",
    "right_status",
];

impl<'a> ScoredPair<'a> {
    fn new(
        engine: &Engine,
        profile: &Profile,
        (left, left_status): (&'a str, Status),
        (right, right_status): (&'a str, Status),
        same: bool,
        similarity: Option<f32>,
    ) -> Result<Self, EngineError> {
        let confidence = match similarity {
            Some(similarity) => confidence(engine, f64::from(similarity))?,
            None => None,
        };
        let decided = |status| matches!(status, Status::Ok | Status::NoFace);
        let decision = match (similarity, confidence) {
            (_, Some(confidence)) => profile
                .face_match()
                .verdict(confidence)
                .map_or("pass", Verdict::as_str),
            (None, None) if decided(left_status) && decided(right_status) => "reject",
            _ => "",
        };
        Ok(Self {
            left,
            right,
            same,
            similarity,
            confidence,
            decision,
            left_status,
            right_status,
        })
    }

    /// Writes a row of `scores.csv`. The similarity reads back as the same single-precision number.
    fn write(&self, to: &mut csv::Writer<impl Write>) -> csv::Result<()> {
        to.write_record([
            self.left,
            self.right,
            if self.same { "1" } else { "0" },
            &self
                .similarity
                .map_or_else(String::new, |similarity| similarity.to_string()),
            &self
                .confidence
                .map_or_else(String::new, |confidence| confidence.to_string()),
            self.decision,
            self.left_status.as_str(),
            self.right_status.as_str(),
        ])
    }
}

/// The comparisons of a list, in its order.
#[derive(Debug, Clone, PartialEq)]
pub struct PairScores<'a> {
    /// The comparisons.
    pub pairs: Vec<ScoredPair<'a>>,
}

impl PairScores<'_> {
    /// Writes `scores.csv`: left, right, label, similarity, confidence, decision, left_status, right_status.
    ///
    /// # Errors
    /// The errors of the writer.
    pub fn write_csv(&self, to: impl Write) -> std::io::Result<()> {
        let mut writer = csv::Writer::from_writer(to);
        writer.write_record(SCORES_HEADER)?;
        for pair in &self.pairs {
            pair.write(&mut writer)?;
        }
        writer.flush()
    }

    fn judged(&self) -> Vec<Judged> {
        let judged = |pair: &ScoredPair<'_>| (pair.similarity.map(f64::from), pair.same);
        self.pairs.iter().map(judged).collect()
    }
}

impl Evaluation<'_> {
    /// Returns the similarity of two images, as the engine's calibration takes it; `None` where one has no embedding.
    fn similarity(
        &self,
        acquired: &Acquisition,
        left: usize,
        right: usize,
    ) -> Result<Option<f32>, EngineError> {
        let (Some(left), Some(right)) = (acquired.embedding(left), acquired.embedding(right)) else {
            return Ok(None);
        };
        Ok(Some(self.engine.similarity(&left, &right)?.value()))
    }

    /// Compares the pairs of a list. Each image is decoded and embedded once, and not at all where the journal has it.
    ///
    /// With `training`, scored pairs of other people, the list is decided at their best threshold as well.
    ///
    /// # Errors
    /// [`EvaluationError::Folds`] where the list cannot be divided into the folds, [`EvaluationError::Engine`] where a
    /// model fails, [`EvaluationError::File`] where the journal cannot be written.
    pub fn pairs<'a>(
        &self,
        list: &'a PairList,
        training: Option<&PairScores<'_>>,
        options: &MatchOptions,
    ) -> Result<(MatchReport, PairScores<'a>), EvaluationError> {
        // Before the work, which may take hours.
        let folds = match (&list.folds, options.folds) {
            (Some(folds), _) => Some(folds.clone()),
            (None, Some(count)) => Some(blocks(list.pairs.len(), count)?),
            (None, None) => None,
        };
        let people = &list.people;
        let acquired = self.embed(&people.files, options.face)?;
        let (mut pairs, mut genuine, mut impostor) = (Vec::new(), Vec::new(), Vec::new());
        let mut without_score = (0, 0);
        for pair in &list.pairs {
            let image = |image: usize| (people.file(image), acquired.status(image));
            let similarity = self.similarity(&acquired, pair.left, pair.right)?;
            let (left, right) = (image(pair.left), image(pair.right));
            let scored = ScoredPair::new(self.engine, &options.profile, left, right, pair.same, similarity)?;
            pairs.push(scored);
            let of = (people.person(pair.left), people.person(pair.right));
            match (similarity, pair.same) {
                (Some(score), true) => genuine.push(Scored { score, of: of.0 }),
                (Some(score), false) => impostor.push(Scored { score, of }),
                (None, true) => without_score.0 += 1,
                (None, false) => without_score.1 += 1,
            }
        }
        let scores = MatchScores::listed(people.count(), genuine, impostor);
        let pairs = PairScores { pairs };
        let judged = pairs.judged();
        let mut report = report(
            self,
            &scores,
            without_score,
            acquired.report(),
            people.known_from,
            options.face,
        )?;
        report.accuracy = folds.map(|folds| k_fold_accuracy(&judged, &folds)).transpose()?;
        report.accuracy_at_trained_threshold = training.and_then(|training| {
            let threshold = best_threshold(&training.judged())?;
            Some((accuracy_at(&judged, threshold)?, threshold))
        });
        Ok((report, pairs))
    }

    /// Compares every image with every other. With `pairs`, each comparison of two acquired images is written there as a
    /// row of `scores.csv`: for n images n (n - 1) / 2 rows.
    ///
    /// # Errors
    /// [`EvaluationError::Engine`] where a model fails, [`EvaluationError::File`] where the journal or `pairs` cannot be
    /// written.
    pub fn all_pairs(
        &self,
        people: &People,
        pairs: Option<&mut dyn Write>,
        options: &MatchOptions,
    ) -> Result<MatchReport, EvaluationError> {
        let acquired = self.embed(&people.files, options.face)?;
        let acquisition = acquired.report();
        let (embeddings, images) = acquired.into_all_pairs(&people.person_of, self.engine.cohort());
        let scores = all_pairs(&embeddings, HELD_IMPOSTORS, self.threads());
        let (genuine, impostor) = every_pair(&people.person_of);
        let without_score = (
            genuine - scores.genuine_count(),
            impostor - scores.impostor_count(),
        );
        let report = report(
            self,
            &scores,
            without_score,
            acquisition,
            people.known_from,
            options.face,
        )?;
        let Some(to) = pairs else { return Ok(report) };

        let failed = |error: csv::Error| EvaluationError::file("scores.csv")(error.into());
        let mut writer = csv::Writer::from_writer(to);
        let mut written = writer.write_record(SCORES_HEADER).map_err(failed);
        let file = |index: u32| {
            let image = images.get(index as usize).copied().unwrap_or_default();
            (people.file(image as usize), Status::Ok)
        };
        embeddings.for_each(|Scored { score, of: (a, b) }, same| {
            if written.is_ok() {
                written = ScoredPair::new(self.engine, &options.profile, file(a), file(b), same, Some(score))
                    .map_err(EvaluationError::from)
                    .and_then(|pair| pair.write(&mut writer).map_err(failed));
            }
        });
        written?;
        writer.flush().map_err(EvaluationError::file("scores.csv"))?;
        Ok(report)
    }
}

/// Returns the number of genuine and of impostor pairs of images.
fn every_pair(person_of: &[u32]) -> (u64, u64) {
    let mut counts = BTreeMap::<u32, u64>::new();
    for &person in person_of {
        *counts.entry(person).or_default() += 1;
    }
    let impostor = pairs_between(counts.values().copied());
    let genuine = counts.values().map(|count| count * (count - 1) / 2).sum();
    (genuine, impostor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_pairs_of_images() {
        assert_eq!(every_pair(&[0, 0, 0, 1, 2, 2]), (4, 11));
        assert_eq!(every_pair(&[0]), (0, 0));
    }
}
