//! The calibration says which share of strangers reaches a similarity. A change of detection or alignment that moves that
//! share behind its back fails here.
//!
//! Compared is one image of every second person of LFW's training list with every other: 567,645 impostor comparisons of
//! those that the calibration was measured on, the same in every run.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::Path;
use std::process::ExitCode;

use likeness::{Engine, EngineBuilder};
use likeness_engine::detection::{DetectionError, Detectors, Face, FaceDetector, Point, Search};
use likeness_engine::imaging::{Image, Interrupt};
use likeness_engine::packs::Passes;
use likeness_engine::packs::{MatchCalibration, Pack, StoreSearch};
use likeness_engine::runtime::{LibrarySearch, Provider, Runtime, available_workers};
use likeness_evaluation::statistics::{Bootstrap, MatchScores};
use likeness_evaluation::{Evaluation, FaceChoice, HELD_IMPOSTORS, all_pairs};
use likeness_testing::{Failed, Outcome, Suite, ensure};

mod support;

/// A pack, and how many of the impostor comparisons reached the similarities of its false match rates 1e-2 to 1e-5 when the
/// calibration was measured. With another calibration `make accuracy` shows whether it is right, and these are counted anew:
/// a failure prints them.
struct Guarded {
    pack: &'static str,
    reached: [(f64, f64); 4],
}

/// Similarities are cosines.
const OPEN_1: Guarded = Guarded {
    pack: "open-1",
    reached: [
        (0.2405, 5_666.0),
        (0.34169, 565.0),
        (0.42735, 48.0),
        (0.50204, 5.0),
    ],
};

/// Similarities are normalised.
const OPEN_2: Guarded = Guarded {
    pack: "open-2",
    reached: [
        (0.0451, 5_676.0),
        (0.14495, 547.0),
        (0.22665, 56.0),
        (0.29222, 6.0),
    ],
};

/// What may change without anything being wrong: two standard deviations of a binomial count. The images stay the same,
/// so alignments that are as good as each other differ by less: with the landmarks moved by 2 % of the face's height
/// the first count moves by 37, the second by 15, the third by 1. Moved by 4 % the first is 204 higher, and seen.
fn allowed(count: f64) -> f64 {
    2.0 * count.sqrt()
}

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.with_shared_and_models("the_false_match_rates_are_those_of_the_calibration", |shared| {
        calibrated(shared, &OPEN_1)?;
        calibrated(shared, &OPEN_2)
    });
    suite.with_shared_and_models("a_worse_alignment_would_be_seen", worse_alignment);
    suite.with_shared_and_models("false_match_rates_within_groups_are_level", groups_are_level);
    suite.run()
}

fn parts(pack: &str) -> Result<(Runtime, Pack), Failed> {
    let runtime = Runtime::load(&LibrarySearch::new(), Provider::Cpu)?;
    Ok((
        runtime,
        StoreSearch::new().find()?.load(pack)?.optimized(&Passes::all()),
    ))
}

/// The first image of every second person, by name.
fn strangers(shared: &Path) -> Result<Vec<String>, Failed> {
    let text = std::fs::read_to_string(shared.join("data/lfw-dev/pairs-train.csv"))?;
    let mut people = BTreeMap::new();
    for image in text.lines().skip(1).flat_map(|line| line.split(',').take(2)) {
        let person = image.split('/').next().unwrap_or_default();
        let first = people.entry(person).or_insert(image);
        *first = image.min(first);
    }
    let images: Vec<String> = people.into_values().step_by(2).map(str::to_owned).collect();
    ensure!(images.len() == 1_066, "{} people", images.len());
    Ok(images)
}

fn threads() -> NonZero<usize> {
    NonZero::new(available_workers()).unwrap_or(NonZero::<usize>::MIN)
}

fn compare(shared: &Path, builder: EngineBuilder) -> Result<MatchScores, Failed> {
    let (engine, images) = (builder.build()?, strangers(shared)?);
    let root = shared.join("data/lfw-dev/images");
    let acquired = Evaluation::new(&engine, &root).embed(&images, FaceChoice::Centre)?;
    let people: Vec<u32> = (0..).take(images.len()).collect();
    let (images, acquired) = acquired.into_all_pairs(&people, engine.cohort());
    ensure!(acquired.len() == 1_066, "{} images have a face", acquired.len());
    Ok(all_pairs(&images, HELD_IMPOSTORS, threads()))
}

/// The counts that are not as when the calibration was measured.
fn moved(scores: &MatchScores, guarded: &Guarded) -> Vec<String> {
    let mut moved = Vec::new();
    for (similarity, before) in guarded.reached {
        let rate = scores.false_match_rate(similarity).unwrap_or(f64::NAN);
        let now = (rate * scores.impostor_count() as f64).round();
        // Also where it is no number.
        let within = (now - before).abs() <= allowed(before);
        if !within {
            moved.push(format!("{now} strangers reach {similarity}, {before} did"));
        }
    }
    moved
}

#[allow(clippy::expect_used, reason = "a test whose subject is the calibration")]
fn calibration(pack: &Pack) -> &MatchCalibration {
    let calibration = &pack.manifest().calibration;
    let in_use = calibration.normalised.as_ref().or(calibration.of_match.as_ref());
    in_use.expect("the pack has a match calibration")
}

/// The calibration's points whose false match rate is not within the interval of what is found, over people.
fn contradicted(scores: &MatchScores, pack: &Pack) -> Vec<String> {
    let points = &calibration(pack).points;
    let intervals = Bootstrap::new(threads()).intervals(scores.people, |weights| {
        let (_, impostor) = scores.weighted(weights);
        points
            .iter()
            .map(|point| impostor.share_at_or_above(point.similarity))
            .collect()
    });
    let mut contradicted = Vec::new();
    for (point, interval) in points.iter().zip(intervals) {
        let rate = point.false_match_rate;
        if !interval.is_some_and(|interval| (interval.low..=interval.high).contains(&rate)) {
            contradicted.push(format!("{rate:e} at {} is not in {interval:?}", point.similarity));
        }
    }
    contradicted
}

fn calibrated(shared: &Path, guarded: &Guarded) -> Outcome {
    let (_, pack) = parts(guarded.pack)?;
    let points = calibration(&pack).points.iter().map(|point| point.similarity);
    for similarity in points {
        ensure!(
            guarded.reached.iter().any(|(counted, _)| *counted == similarity),
            "the calibration goes through {similarity}, which is not counted here"
        );
    }
    let scores = compare(shared, Engine::builder().pack(guarded.pack))?;
    let faults = [contradicted(&scores, &pack), moved(&scores, guarded)].concat();
    ensure!(
        faults.is_empty(),
        "the false match rates have moved, so a confidence no longer means what it says: {}",
        faults.join("; ")
    );
    Ok(())
}

/// The highest mean and the highest single false match rate within the groups of people-groups/test. Cohorts of four seeds
/// gave at most 0.051 % and 0.098 %; the cosine gives 0.296 % and 0.528 %.
const GROUPS_BOUNDS: (f64, f64) = (0.07e-2, 0.13e-2);

/// The cohort levels them.
fn groups_are_level(shared: &Path) -> Outcome {
    let engine = Engine::builder().pack(OPEN_2.pack).build()?;
    support::groups::are_level(&engine, shared, GROUPS_BOUNDS)
}

/// A detector whose landmarks lie where they should not.
struct Misplaced {
    detector: Detectors,
    /// Downwards, in units of the face's height.
    down: f32,
    /// Away from their middle, as a share of their distance to it.
    apart: f32,
}

impl FaceDetector for Misplaced {
    fn detect(
        &mut self,
        image: &Image,
        search: Search,
        interrupt: Interrupt<'_>,
    ) -> Result<Vec<Face>, DetectionError> {
        let mut faces = self.detector.detect(image, search, interrupt)?;
        for face in &mut faces {
            let middle = |of: fn(&Point) -> f32| face.landmarks.iter().map(of).sum::<f32>() / 5.0;
            let (middle_x, middle_y) = (middle(|point| point.x), middle(|point| point.y));
            for Point { x, y } in &mut face.landmarks {
                *x += self.apart * (*x - middle_x);
                *y += self.apart * (*y - middle_y) + self.down * face.bounding_box.height;
            }
        }
        Ok(faces)
    }
}

fn worse_alignment(shared: &Path) -> Outcome {
    // With the landmarks 8 % of the face's height too low about twice as many strangers match, and the points of the
    // calibration at 1e-3 and 1e-4 are contradicted (of 1e-5 there are too few to say). With the face cut out at a tenth too
    // small a scale a tenth more match: that is within the interval of so few people, and only the counts show it.
    for (down, apart, contradicts) in [(0.08, 0.0, true), (0.0, 0.1, false)] {
        let (runtime, pack) = parts(OPEN_1.pack)?;
        let opened = pack.clone();
        let builder = Engine::builder().pack(OPEN_1.pack).detector(move || {
            Ok(Misplaced {
                detector: Detectors::open(&runtime, &opened, None)?,
                down,
                apart,
            })
        });
        let scores = compare(shared, builder)?;
        let counts = moved(&scores, &OPEN_1);
        ensure!(
            !counts.is_empty(),
            "down {down}, apart {apart}: not seen in the counts"
        );
        let against = contradicted(&scores, &pack);
        ensure!(
            !contradicts || against.len() >= 2,
            "down {down}, apart {apart}: not seen against the calibration: {against:?}"
        );
    }
    Ok(())
}
