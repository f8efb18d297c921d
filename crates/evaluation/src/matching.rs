//! Evaluations of matching: from images to the similarities of comparisons, `scores.csv` and the report.

use std::io::Write;

use likeness_engine::decision::{Profile, Score, Verdict};
use likeness_engine::{Engine, EngineError};

use crate::acquisition::Evaluation;
use crate::all_pairs::{AllPairs, HELD_IMPOSTORS, WorstPairs, all_pairs, images_of_people, worst_pairs};
use crate::error::{EvaluationError, Result, Status};
use crate::gallery::{Gallery, MAX_GALLERY};
use crate::groups::outcomes;
use crate::highest::Highest;
use crate::lists::{Groups, Pair, PairList, People};
use crate::match_groups::{GroupScores, match_groups};
use crate::match_report::{MatchReport, confidence, profile_thresholds, report};
use crate::report::{AcquisitionReport, FaceChoice, or_dash};
use crate::statistics::{
    Judged, MatchScores, accuracy_at, best_threshold, blocks, k_fold_accuracy, pairs_between,
};

/// The options of an evaluation of matching.
#[derive(Debug, Clone, Default)]
pub struct MatchOptions {
    /// The face of an image that counts.
    pub face: FaceChoice,
    /// The decision profile of `scores.csv`.
    pub profile: Profile,
    /// The number of folds, consecutive blocks of a list, for the accuracy. A column `fold` of the list takes precedence.
    pub folds: Option<usize>,
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
    /// `pass`, `review` or `reject`, as by the engine for an image without a face. Empty where nothing can be decided.
    pub decision: &'static str,
    /// Outcome of the left image.
    pub left_status: Status,
    /// Outcome of the right image.
    pub right_status: Status,
}

/// The header of `scores.csv`.
const COLUMNS: &str = "left,right,label,similarity,confidence,decision,left_status,right_status";

impl<'a> ScoredPair<'a> {
    fn new(
        engine: &Engine,
        profile: &Profile,
        (left, left_status): (&'a str, Status),
        (right, right_status): (&'a str, Status),
        same: bool,
        similarity: Option<f32>,
    ) -> Result<Self, EngineError> {
        let confidence = similarity.map(|similarity| confidence(engine, f64::from(similarity)));
        let confidence = confidence.transpose()?.flatten();
        let decided = |status| matches!(status, Status::Ok | Status::NoFace);
        let decision = match (similarity, confidence) {
            (_, Some(confidence)) => {
                let verdict = profile.face_match().verdict(confidence);
                verdict.map_or("pass", Verdict::as_str)
            }
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

    /// Returns the scores and the decision in words.
    fn caption(&self) -> String {
        let similarity = or_dash(self.similarity, |similarity| format!("{similarity:.4}"));
        let confidence = self
            .confidence
            .map(|confidence| format!(", match confidence {confidence}"));
        let decision = if self.decision.is_empty() { "" } else { ": " };
        format!(
            "similarity {similarity}{}{decision}{}",
            confidence.unwrap_or_default(),
            self.decision
        )
    }

    /// Writes a row of `scores.csv`. The similarity reads back as the same single-precision number.
    fn write(&self, to: &mut csv::Writer<impl Write>) -> csv::Result<()> {
        to.serialize((
            (self.left, self.right, u8::from(self.same)),
            self.similarity.map(|similarity| similarity.to_string()),
            self.confidence.map(|confidence| confidence.to_string()),
            (self.decision, self.left_status, self.right_status),
        ))
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
    pub fn write_csv(&self, to: impl Write) -> std::io::Result<()> {
        let mut writer = csv::Writer::from_writer(to);
        writer.write_record(COLUMNS.split(','))?;
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
    /// Compares the pairs of a list. Each image is decoded and embedded once, and not at all where the journal has it. With
    /// `training`, scored pairs of other people, the list is decided at their best threshold as well. Fails also where the
    /// list cannot be divided into the folds.
    pub fn pairs<'a>(
        &self,
        list: &'a PairList,
        training: Option<&PairScores<'_>>,
        options: &MatchOptions,
    ) -> Result<(MatchReport, PairScores<'a>)> {
        // Before the work, which may take hours.
        let folds = match (&list.folds, options.folds) {
            (Some(folds), _) => Some(folds.clone()),
            (None, Some(count)) => Some(blocks(list.pairs.len(), count)?),
            (None, None) => None,
        };
        let people = &list.people;
        let acquired = self.embed(&people.files, options.face)?;
        let mut pairs = Vec::new();
        for pair in &list.pairs {
            let image = |image: usize| (people.file(image), acquired.status(image));
            let similarity = acquired.similarity(self.engine, pair.left, pair.right)?;
            let (left, right) = (image(pair.left), image(pair.right));
            let scored = ScoredPair::new(self.engine, &options.profile, left, right, pair.same, similarity)?;
            pairs.push(scored);
        }
        let pairs = PairScores { pairs };
        let scored = || list.pairs.iter().zip(&pairs.pairs);
        let (scores, without_score) = listed(people, scored());
        let judged = pairs.judged();
        let acquisition = AcquisitionReport::of(&acquired.results);
        let choices = (options.face, &options.profile);
        let mut report = report(self, &scores, without_score, acquisition, people, choices)?;
        if let Some(groups) = &people.groups {
            let within = |(group, _)| {
                let is_within =
                    |pair: &Pair| groups.group(pair.left) == group && groups.group(pair.right) == group;
                let (scores, without_score) = listed(people, scored().filter(|(pair, _)| is_within(pair)));
                GroupScores {
                    scores,
                    without_score,
                }
            };
            let within: Vec<_> = groups.each().map(within).collect();
            report.groups = Some(match_groups(
                self.threads(),
                (people, groups),
                &outcomes(&acquired.results),
                (&scores, &within),
                profile_thresholds(self.engine)?,
            ));
        }
        if self.gallery > 0 {
            let (mut impostor, mut genuine) = (self.highest(), self.highest());
            for (index, pair) in pairs.pairs.iter().enumerate() {
                match (pair.similarity, pair.same) {
                    (Some(score), true) => genuine.add(-score, index),
                    (Some(score), false) => impostor.add(score, index),
                    (None, _) => {}
                }
            }
            let pair = |(_, index): (f32, usize)| pairs.pairs.get(index).cloned();
            let sorted = |highest: Highest<usize>| {
                let sorted = highest.into_sorted().into_iter();
                sorted.filter_map(pair).collect()
            };
            report.gallery = Some(self.match_gallery(sorted(impostor), sorted(genuine)));
        }
        report.accuracy = folds.map(|folds| k_fold_accuracy(&judged, &folds)).transpose()?;
        report.accuracy_at_trained_threshold = training.and_then(|training| {
            let threshold = best_threshold(&training.judged())?;
            Some((accuracy_at(&judged, threshold)?, threshold))
        });
        Ok((report, pairs))
    }

    /// Compares every image with every other. With `pairs`, each comparison of two acquired images is written there as a
    /// row of `scores.csv`: for n images n (n - 1) / 2 rows.
    pub fn all_pairs(
        &self,
        people: &People,
        pairs: Option<&mut dyn Write>,
        options: &MatchOptions,
    ) -> Result<MatchReport> {
        let acquired = self.embed(&people.files, options.face)?;
        let acquisition = AcquisitionReport::of(&acquired.results);
        let outcomes = outcomes(&acquired.results);
        let (embeddings, images) = acquired.into_all_pairs(&people.person_of, self.engine.cohort());
        let mut scores = all_pairs(&embeddings, HELD_IMPOSTORS, self.threads());
        // Also those without an acquired image, as in a list.
        scores.people = people.count();
        let (genuine, impostor) = every_pair(&people.person_of);
        let without_score = (
            genuine - scores.genuine_count(),
            impostor - scores.impostor_count(),
        );
        let choices = (options.face, &options.profile);
        let mut report = report(self, &scores, without_score, acquisition, people, choices)?;
        if let Some(groups) = &people.groups {
            let within = self.all_pairs_within((people, groups), (&embeddings, &images));
            report.groups = Some(match_groups(
                self.threads(),
                (people, groups),
                &outcomes,
                (&scores, &within),
                profile_thresholds(self.engine)?,
            ));
        }
        let file = |index: u32| {
            let image = images.get(index as usize).copied().unwrap_or_default();
            (people.file(image as usize), Status::Ok)
        };
        let scored = |(score, (a, b)), same| {
            ScoredPair::new(self.engine, &options.profile, file(a), file(b), same, Some(score))
        };
        if self.gallery > 0 {
            let number = self.gallery.min(MAX_GALLERY);
            let WorstPairs { impostor, genuine } = worst_pairs(&embeddings, number, self.threads());
            let impostor = impostor.into_iter().map(|worst| scored(worst, false));
            let genuine = genuine.into_iter().map(|worst| scored(worst, true));
            let gallery = self.match_gallery(
                impostor.collect::<Result<_, _>>()?,
                genuine.collect::<Result<_, _>>()?,
            );
            report.gallery = Some(gallery);
        }
        let Some(to) = pairs else { return Ok(report) };

        let failed = |error: csv::Error| EvaluationError::file("scores.csv")(error.into());
        let mut writer = csv::Writer::from_writer(to);
        let mut written = writer.write_record(COLUMNS.split(',')).map_err(failed);
        embeddings.for_each(|pair, same| {
            if written.is_ok() {
                written = scored(pair, same)
                    .map_err(EvaluationError::from)
                    .and_then(|pair| pair.write(&mut writer).map_err(failed));
            }
        });
        written?;
        writer.flush().map_err(EvaluationError::file("scores.csv"))?;
        Ok(report)
    }

    /// Shows the worst comparisons, the worst first.
    fn match_gallery<'a>(&self, impostor: Vec<ScoredPair<'a>>, genuine: Vec<ScoredPair<'a>>) -> Gallery {
        let mut gallery = Gallery::default();
        for (title, pairs) in [
            (
                "Two people, most similar first: false matches where they pass",
                impostor,
            ),
            (
                "One person, least similar first: false non-matches where they do not pass",
                genuine,
            ),
        ] {
            let entry = |pair: &ScoredPair<'a>| (vec![pair.left, pair.right], pair.caption());
            gallery.add(self, title, pairs.iter().map(entry));
        }
        gallery
    }

    /// Compares the images of each group with each other. `images` has the index of each image with an embedding.
    fn all_pairs_within(
        &self,
        (people, groups): (&People, &Groups),
        (embeddings, images): (&AllPairs, &[u32]),
    ) -> Vec<GroupScores> {
        // Together about as many as of all images.
        let held = (HELD_IMPOSTORS / groups.names.len().max(1)).max(LEAST_HELD);
        let within = |(group, _)| {
            let rows = (0..).zip(images);
            let rows = rows.filter(|&(_, &image)| groups.group(image as usize) == group);
            let rows: Vec<u32> = rows.map(|(row, _)| row).collect();
            let scores = all_pairs(&embeddings.some(&rows), held, self.threads());
            let person_of: Vec<u32> = groups.of_group(group, &people.person_of).copied().collect();
            let (genuine, impostor) = every_pair(&person_of);
            GroupScores {
                without_score: (
                    genuine - scores.genuine_count(),
                    impostor - scores.impostor_count(),
                ),
                scores,
            }
        };
        groups.each().map(within).collect()
    }
}

/// Least impostor comparisons of a group that are held exactly.
const LEAST_HELD: usize = 1 << 16;

/// Returns the scores of comparisons of a list, and the numbers of genuine and impostor ones without a score.
fn listed<'a>(
    people: &People,
    pairs: impl Iterator<Item = (&'a Pair, &'a ScoredPair<'a>)>,
) -> (MatchScores, (u64, u64)) {
    let (mut genuine, mut impostor, mut without_score) = (Vec::new(), Vec::new(), (0, 0));
    for (pair, scored) in pairs {
        let of = (people.person(pair.left), people.person(pair.right));
        match (scored.similarity, pair.same) {
            (Some(score), true) => genuine.push((score, of.0)),
            (Some(score), false) => impostor.push((score, of)),
            (None, true) => without_score.0 += 1,
            (None, false) => without_score.1 += 1,
        }
    }
    let scores = MatchScores::listed(people.count(), genuine, impostor);
    (scores, without_score)
}

/// Returns the number of genuine and of impostor pairs of images.
fn every_pair(person_of: &[u32]) -> (u64, u64) {
    let images = images_of_people(person_of);
    let images = || images.iter().map(|&images| u64::from(images));
    let genuine = images().map(|images| images * images.saturating_sub(1) / 2);
    (genuine.sum(), pairs_between(images()))
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
