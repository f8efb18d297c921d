//! Comparing what is to be compared, and reporting on it.

use std::collections::BTreeMap;
use std::io::Write;
use std::num::NonZero;
use std::path::Path;

use likeness_engine::decision::{Profile, Score};
use likeness_engine::{Engine, EngineError};

use crate::acquisition::Acquisition;
use crate::all_pairs::{AllPairs, HELD_IMPOSTORS, all_pairs};
use crate::confidence::{confidence, similarity_reaching};
use crate::report::{
    AcquisitionReport, AtFalseMatchRate, Bound, ComparisonCounts, EqualErrorReport, Estimate, MatchReport,
    Moved, ProfileReport, Setup,
};
use crate::statistics::{
    Bootstrap, GenuineComparison, ImpostorComparison, Interval, Judged, MatchScores, Ranked, accuracy_at,
    best_threshold, blocks, comparisons_needed, det_points, equal_error_rate, k_fold_accuracy, supports,
    upper_bound_without_errors,
};
use crate::what_if;
use crate::{EvaluationError, FaceChoice, Journal, KnownFrom, PairList, People, Progress, Status};

/// The false match rates that are reported on.
const FALSE_MATCH_RATES: [f64; 6] = [1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6];

/// Steps of the histograms in reports, over -1..=1.
const SHOWN_STEPS: usize = 128;

/// How far apart points of a DET curve are, in normal deviates: a plot of 6 deviates on 600 pixels shows no less.
const DET_STEP: f64 = 0.01;

/// How to evaluate matching.
#[derive(Debug, Clone)]
pub struct MatchOptions {
    /// Which face of a picture counts.
    pub face: FaceChoice,
    /// Whose thresholds make the decisions of `scores.csv`.
    pub profile: Profile,
    /// Divide a list into this many folds, in its order, for the accuracy; a column `fold` of the list goes before it.
    pub folds: Option<usize>,
    /// What is measured on, in a few words, for the report.
    pub data: String,
    /// How many threads compare and resample; the results are the same from any number.
    pub threads: NonZero<usize>,
}

/// A comparison of a list, as `scores.csv` has it.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredPair {
    /// Path of the left picture, as the list has it.
    pub left: String,
    /// Path of the right picture.
    pub right: String,
    /// Whether it is the same person.
    pub same: bool,
    /// Cosine similarity; `None` where a picture was not acquired.
    pub similarity: Option<f32>,
    /// Calibrated match confidence; `None` also where the engine has no match calibration.
    pub confidence: Option<Score>,
    /// `pass`, `review` or `reject`; a picture without a face is rejected, as the engine does. Empty where there was
    /// nothing to decide on.
    pub decision: &'static str,
    /// What became of the left picture.
    pub left_status: Status,
    /// What became of the right picture.
    pub right_status: Status,
}

/// The comparisons of a list, in its order.
#[derive(Debug, Clone, PartialEq)]
pub struct PairScores {
    /// In the list's order.
    pub pairs: Vec<ScoredPair>,
}

impl PairScores {
    /// Writes `scores.csv`: left, right, label, similarity, confidence, decision, left_status, right_status. Similarities
    /// are written so that they read back as the same single-precision numbers.
    ///
    /// # Errors
    /// Whatever writing fails with.
    pub fn write_csv(&self, to: impl Write) -> std::io::Result<()> {
        let mut writer = csv::Writer::from_writer(to);
        writer.write_record(SCORES_HEADER)?;
        for pair in &self.pairs {
            let similarity = pair.similarity.map(|similarity| similarity.to_string());
            writer.write_record([
                pair.left.as_str(),
                &pair.right,
                if pair.same { "1" } else { "0" },
                &similarity.unwrap_or_default(),
                &written(pair.confidence),
                pair.decision,
                pair.left_status.as_str(),
                pair.right_status.as_str(),
            ])?;
        }
        writer.flush()
    }

    fn judged(&self) -> Vec<Judged> {
        self.pairs
            .iter()
            .map(|pair| (pair.similarity.map(f64::from), pair.same))
            .collect()
    }
}

/// A confidence as `scores.csv` has it, empty where there is none.
fn written(confidence: Option<Score>) -> String {
    confidence
        .map(|confidence| confidence.to_string())
        .unwrap_or_default()
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

/// Compares the pairs of a list whose paths begin at `root`. Each picture is decoded and embedded once, and not at all where
/// the journal has it.
///
/// With `training`, scored pairs of other people, their best threshold judges this list as well.
///
/// # Errors
/// [`EvaluationError::Folds`] where the list cannot be divided as asked, [`EvaluationError::Engine`] where a model fails.
pub fn evaluate_pairs(
    engine: &Engine,
    list: &PairList,
    root: &Path,
    training: Option<&PairScores>,
    options: &MatchOptions,
    journal: Option<&Journal>,
    progress: &dyn Progress,
) -> Result<(MatchReport, PairScores), EvaluationError> {
    // Before the work, which may take hours.
    let folds = match (&list.folds, options.folds) {
        (Some(folds), _) => Some(folds.clone()),
        (None, Some(count)) => Some(blocks(list.pairs.len(), count)?),
        (None, None) => None,
    };
    let acquired = Acquisition::embed(engine, root, &list.files, options.face, journal, progress)?;
    let scores = score_pairs(engine, list, &acquired, &options.profile)?;

    let (mut genuine, mut impostor) = (Vec::new(), Vec::new());
    let (mut genuine_without_score, mut impostor_without_score) = (0, 0);
    let person = |picture: usize| list.person_of.get(picture).copied().unwrap_or_default();
    for (pair, scored) in list.pairs.iter().zip(&scores.pairs) {
        let people = (person(pair.left), person(pair.right));
        match (scored.similarity, pair.same) {
            (Some(score), true) => genuine.push(GenuineComparison {
                score,
                person: people.0,
            }),
            (Some(score), false) => impostor.push(ImpostorComparison { score, people }),
            (None, true) => genuine_without_score += 1,
            (None, false) => impostor_without_score += 1,
        }
    }
    let match_scores = MatchScores::listed(list.people(), genuine, impostor);
    let judged = scores.judged();
    let mut report = report(engine, &match_scores, acquired.counts(), list.known_from, options)?;
    report.comparisons.genuine_without_score = genuine_without_score;
    report.comparisons.impostor_without_score = impostor_without_score;
    report.accuracy = folds.map(|folds| k_fold_accuracy(&judged, &folds)).transpose()?;
    report.accuracy_at_trained_threshold = training.and_then(|training| {
        let threshold = best_threshold(&training.judged())?;
        Some((accuracy_at(&judged, threshold)?, threshold))
    });
    Ok((report, scores))
}

fn score_pairs(
    engine: &Engine,
    list: &PairList,
    acquired: &Acquisition,
    profile: &Profile,
) -> Result<PairScores, EvaluationError> {
    let file = |picture: usize| list.files.get(picture).cloned().unwrap_or_default();
    let mut pairs = Vec::with_capacity(list.pairs.len());
    for pair in &list.pairs {
        let similarity = match (acquired.embedding(pair.left), acquired.embedding(pair.right)) {
            (Some(left), Some(right)) => {
                let similarity = left.similarity(&right);
                Some(similarity.map_err(|error| EngineError::Inference(error.into()))?)
            }
            _ => None,
        };
        let confidence = match similarity {
            Some(similarity) => confidence(engine, f64::from(similarity))?,
            None => None,
        };
        let (left_status, right_status) = (acquired.status(pair.left), acquired.status(pair.right));
        let judged = |status| matches!(status, Status::Ok | Status::NoFace);
        let decision = match (similarity, confidence) {
            (None, _) if judged(left_status) && judged(right_status) => "reject",
            (_, confidence) => decision(profile, confidence),
        };
        pairs.push(ScoredPair {
            left: file(pair.left),
            right: file(pair.right),
            same: pair.same,
            similarity,
            confidence,
            decision,
            left_status,
            right_status,
        });
    }
    Ok(PairScores { pairs })
}

/// Empty where there is no confidence to decide on.
fn decision(profile: &Profile, confidence: Option<Score>) -> &'static str {
    confidence.map_or("", |confidence| {
        profile
            .face_match()
            .verdict(confidence)
            .map_or("pass", likeness_engine::decision::Verdict::as_str)
    })
}

/// Compares every picture below `root` with every other. With `pairs`, every comparison is written there as a line of
/// `scores.csv`, those of pictures that were not acquired excepted: for n pictures n (n - 1) / 2 lines.
///
/// # Errors
/// [`EvaluationError::Engine`] where a model fails, [`EvaluationError::File`] where `pairs` cannot be written.
pub fn evaluate_all_pairs(
    engine: &Engine,
    people: &People,
    root: &Path,
    pairs: Option<&mut dyn Write>,
    options: &MatchOptions,
    journal: Option<&Journal>,
    progress: &dyn Progress,
) -> Result<MatchReport, EvaluationError> {
    let acquired = Acquisition::embed(engine, root, &people.files, options.face, journal, progress)?;
    let counts = acquired.counts();
    let (matrix, usable) = acquired.into_all_pairs(&people.person_of);
    let scores = all_pairs(&matrix, HELD_IMPOSTORS, options.threads);
    let mut report = report(engine, &scores, counts, KnownFrom::Folders, options)?;
    let (genuine, impostor) = every_pair(&people.person_of);
    report.comparisons.genuine_without_score = genuine - report.comparisons.genuine;
    report.comparisons.impostor_without_score = impostor - report.comparisons.impostor;

    if let Some(to) = pairs {
        write_all_pairs(engine, people, &usable, &matrix, &options.profile, to)?;
    }
    Ok(report)
}

/// How many genuine and impostor pairs of pictures there are.
fn every_pair(person_of: &[u32]) -> (u64, u64) {
    let mut counts = BTreeMap::<u32, u64>::new();
    for &person in person_of {
        *counts.entry(person).or_default() += 1;
    }
    let impostor = crate::statistics::pairs_between(counts.values().copied());
    let genuine = counts.values().map(|count| count * (count - 1) / 2).sum();
    (genuine, impostor)
}

fn write_all_pairs(
    engine: &Engine,
    people: &People,
    usable: &[u32],
    matrix: &AllPairs,
    profile: &Profile,
    to: &mut dyn Write,
) -> Result<(), EvaluationError> {
    let mut writer = csv::Writer::from_writer(to);
    let name = |index: u32| {
        usable
            .get(index as usize)
            .and_then(|&picture| people.files.get(picture as usize))
            .map_or("", String::as_str)
    };
    let mut failure = writer.write_record(SCORES_HEADER).err().map(csv_failure);
    matrix.for_each(|scored, same| {
        if failure.is_some() {
            return;
        }
        let result = confidence(engine, f64::from(scored.score))
            .map_err(EvaluationError::from)
            .and_then(|confidence| {
                writer
                    .write_record([
                        name(scored.pictures.0),
                        name(scored.pictures.1),
                        if same { "1" } else { "0" },
                        &scored.score.to_string(),
                        &written(confidence),
                        decision(profile, confidence),
                        Status::Ok.as_str(),
                        Status::Ok.as_str(),
                    ])
                    .map_err(csv_failure)
            });
        failure = result.err();
    });
    if failure.is_none() {
        failure = writer.flush().err().map(EvaluationError::file("scores.csv"));
    }
    failure.map_or(Ok(()), Err)
}

fn csv_failure(error: csv::Error) -> EvaluationError {
    EvaluationError::file("scores.csv")(std::io::Error::other(error))
}

fn report(
    engine: &Engine,
    scores: &MatchScores,
    acquired: BTreeMap<Status, u64>,
    known_from: KnownFrom,
    options: &MatchOptions,
) -> Result<MatchReport, EvaluationError> {
    let bootstrap = Bootstrap::new(options.threads);
    // Profiles judge confidences.
    let profiles: Vec<Profile> = Profile::BUILTIN_NAMES
        .iter()
        .filter(|_| engine.is_calibrated())
        .filter_map(|name| Profile::builtin(name))
        .collect();
    let mut bounds = Vec::new();
    for profile in &profiles {
        let thresholds = profile.face_match();
        for confidence in [thresholds.reject_below(), thresholds.review_below()] {
            bounds.push((confidence, similarity_reaching(engine, confidence)?));
        }
    }
    let rates: Vec<f64> = FALSE_MATCH_RATES
        .into_iter()
        .filter(|&rate| supports(scores.impostor_count(), rate))
        .collect();
    let candidates = what_if::candidates(engine, &profiles, scores, &rates)?;

    let figures = |genuine: &Ranked<'_>, impostor: &Ranked<'_>| {
        let at_rates = rates.iter().flat_map(|&rate| {
            let threshold = impostor.threshold_at(rate);
            [
                threshold,
                threshold.and_then(|threshold| genuine.share_below(threshold)),
            ]
        });
        let at_bounds = bounds.iter().flat_map(|&(_, similarity)| {
            [
                impostor.share_at_or_above(similarity),
                genuine.share_below(similarity),
            ]
        });
        let equal = equal_error_rate(genuine, impostor).map(|equal| equal.rate);
        let at_candidates = candidates.iter().flat_map(|candidate| {
            [
                impostor.share_at_or_above(candidate.similarity),
                genuine.share_below(candidate.similarity),
            ]
        });
        at_rates
            .chain(at_bounds)
            .chain([equal])
            .chain(at_candidates)
            .collect::<Vec<_>>()
    };
    let mut intervals = bootstrap
        .intervals(scores.people(), |weights| {
            let (genuine, impostor) = scores.weighted(weights);
            figures(&genuine, &impostor)
        })
        .into_iter();
    let mut next = move || intervals.next().flatten();

    let mut at_false_match_rates = Vec::new();
    for rate in FALSE_MATCH_RATES {
        let needed = comparisons_needed(rate);
        let sufficient = rates.contains(&rate);
        let (of_threshold, of_rate) = if sufficient {
            (next(), next())
        } else {
            (None, None)
        };
        let threshold = scores.threshold_at(rate).filter(|_| sufficient);
        at_false_match_rates.push(AtFalseMatchRate {
            false_match_rate: rate,
            impostor_comparisons_needed: needed,
            sufficient_data: sufficient,
            threshold: threshold.map(|value| Estimate {
                value,
                interval: of_threshold,
            }),
            confidence: match threshold {
                Some(threshold) => confidence(engine, threshold)?.map(Score::value),
                None => None,
            },
            false_non_match_rate: Estimate::of_rate(
                threshold.and_then(|threshold| scores.false_non_match_rate(threshold)),
                of_rate,
            ),
        });
    }
    let mut reports = Vec::new();
    for (profile, bounds) in profiles.iter().zip(bounds.chunks_exact(2)) {
        let mut of_bounds = bounds
            .iter()
            .map(|&(confidence, similarity)| bound(scores, confidence, similarity, next(), next()))
            .collect::<Vec<_>>()
            .into_iter();
        if let (Some(reject_below), Some(review_below)) = (of_bounds.next(), of_bounds.next()) {
            let Moved { genuine, impostor } = what_if::moved(&reject_below, &review_below);
            reports.push(ProfileReport {
                profile: profile.name().to_owned(),
                reject_below,
                review_below,
                genuine,
                impostor,
            });
        }
    }
    let of_equal = next();
    let equal_error = match scores.equal_error_rate() {
        Some(equal) => Some(EqualErrorReport {
            rate: Estimate {
                value: equal.rate,
                interval: of_equal.filter(|_| equal.rate > 0.0),
            },
            threshold: equal.threshold,
            confidence: confidence(engine, equal.threshold)?.map(Score::value),
        }),
        None => None,
    };
    let what_if = candidates
        .into_iter()
        .map(|candidate| {
            let (confidence, similarity) = (candidate.confidence, candidate.similarity);
            let bound = bound(scores, confidence, similarity, next(), next());
            what_if::row(bound, candidate.used_as, &reports)
        })
        .collect();
    let fine = scores.impostor_histogram();
    Ok(MatchReport {
        setup: Setup::of(engine),
        data: options.data.clone(),
        face: options.face,
        people: scores.people(),
        people_known_from: known_from,
        acquisition: AcquisitionReport::of(acquired),
        comparisons: ComparisonCounts {
            genuine: scores.genuine_count(),
            impostor: scores.impostor_count(),
            genuine_without_score: 0,
            impostor_without_score: 0,
        },
        intervals: format!(
            "{} % percentile intervals, {} replicates of a bootstrap over people, seed {}",
            bootstrap.confidence * 100.0,
            bootstrap.replicates,
            bootstrap.seed
        ),
        at_false_match_rates,
        equal_error_rate: equal_error,
        accuracy: None,
        accuracy_at_trained_threshold: None,
        profiles: reports,
        what_if,
        det: det_points(&scores.genuine(), &scores.impostor(), DET_STEP),
        genuine_histogram: scores.genuine_histogram(SHOWN_STEPS),
        impostor_histogram: fine.coarser(fine.counts().len() / SHOWN_STEPS),
    })
}

fn bound(
    scores: &MatchScores,
    confidence: f64,
    similarity: f64,
    of_match: Option<Interval>,
    of_non_match: Option<Interval>,
) -> Bound {
    let false_match_rate = scores.false_match_rate(similarity);
    Bound {
        confidence,
        similarity,
        false_match_rate: Estimate::of_rate(false_match_rate, of_match),
        false_match_rate_at_most: (false_match_rate == Some(0.0))
            .then(|| upper_bound_without_errors(scores.impostor_count())),
        false_non_match_rate: Estimate::of_rate(scores.false_non_match_rate(similarity), of_non_match),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_pictures() {
        assert_eq!(every_pair(&[0, 0, 0, 1, 2, 2]), (4, 11));
        assert_eq!(every_pair(&[0]), (0, 0));
    }
}
