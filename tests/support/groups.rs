//! False match rates within groups of people who look alike.

use std::path::Path;

use likeness::Engine;
use likeness_evaluation::{Evaluation, FaceChoice, Groups, MatchOptions, People};
use likeness_testing::{Outcome, ensure};

/// The confidence at which the groups are compared.
const CONFIDENCE: f64 = 0.56;

/// Checks that the false match rates within the groups of people-groups/test are at most these, in the mean and in the worst.
pub(crate) fn are_level(engine: &Engine, shared: &Path, (highest_mean, highest): (f64, f64)) -> Outcome {
    let data = shared.join("data/people-groups");
    let root = data.join("test");
    let mut people = People::find_images(&root)?;
    people.groups = Some(Groups::read(&data.join("groups.csv"), &people.files)?);
    let options = MatchOptions {
        face: FaceChoice::Centre,
        ..MatchOptions::default()
    };
    let report = Evaluation::new(engine, &root).all_pairs(&people, None, &options)?;
    let groups = report.groups.ok_or("no error rates by group")?;
    let at = groups.at_thresholds.iter().find(|at| at.confidence == CONFIDENCE);
    let rates = &at.ok_or("no such threshold")?.false_match_rate;
    ensure!(
        rates.groups.len() == 8 && rates.groups.iter().all(|group| group.trials > 11_000),
        "{rates:?}"
    );
    let mean = rates.mean.ok_or("no mean")?.value;
    let worst = rates.worst.as_ref().ok_or("no worst group")?;
    ensure!(
        mean <= highest_mean && worst.rate.value <= highest,
        "within groups {mean:.5} in the mean and {:.5} in {} reach confidence {CONFIDENCE}",
        worst.rate.value,
        worst.group
    );
    Ok(())
}
