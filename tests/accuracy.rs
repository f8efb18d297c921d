//! The default pack on the development images.

// The asserted figures are printed; `make accuracy` measures the same with `likeness eval` for docs/accuracy.md.
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use likeness_engine::decision::{Outcome as Judgement, Profile, Verdict};
use likeness_engine::detection::Face;
use likeness_engine::embedding::Embedding;
use likeness_engine::imaging::ImagingError;
use likeness_engine::{
    EmbedOptions, EmbeddedFace, Engine, EngineError, ImageRole, LivenessOptions, VerifyOptions,
};
use likeness_testing::{Failed, Outcome, Suite, ensure};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.with_shared_and_models(
        "every_genuine_pair_is_above_every_impostor_pair",
        pairs_are_separated,
    );
    suite.with_shared_and_models(
        "no_print_passes_and_most_live_frames_do",
        liveness_of_prints_and_frames,
    );
    suite.with_shared_and_models("one_portrait_in_every_format_is_one_face", formats_agree);
    suite.with_shared_and_models("invalid_files_are_the_right_error", unreadable_files);
    suite.with_shared_and_models("the_same_bytes_give_the_same_result", results_are_the_same);
    suite.run()
}

/// Rows of a CSV file without quoting, each as its fields; the header is dropped.
fn rows(path: &Path) -> Result<Vec<Vec<String>>, Failed> {
    let text = std::fs::read_to_string(path)?;
    Ok(text
        .lines()
        .skip(1)
        .map(|line| line.split(',').map(str::to_owned).collect())
        .collect())
}

fn pairs_are_separated(shared: &Path) -> Outcome {
    let folder = shared.join("data/faces");
    let engine = Engine::builder().build()?;
    let mut embeddings: BTreeMap<String, Embedding> = BTreeMap::new();
    let (mut lowest_genuine, mut highest_impostor) = (f32::INFINITY, f32::NEG_INFINITY);
    let profile = Profile::optimal_v0();
    let bounds = profile.face_match();
    let pairs = rows(&folder.join("pairs.csv"))?;
    ensure!(pairs.len() >= 270, "only {} pairs", pairs.len());
    let mut faults = Vec::new();
    for pair in &pairs {
        let [left, right, label] = pair.as_slice() else {
            return Err("a row without three fields".into());
        };
        for name in [left, right] {
            if !embeddings.contains_key(name) {
                embeddings.insert(name.clone(), primary(&engine, &folder.join(name))?.embedding);
            }
        }
        let comparison = engine.compare(&embeddings[left], &embeddings[right])?;
        let verdict = bounds.verdict(comparison.confidence).map(Verdict::as_str);
        if label == "1" {
            lowest_genuine = lowest_genuine.min(comparison.similarity.value());
            if verdict == Some("reject") {
                faults.push(format!(
                    "genuine {left} {right} is rejected at {}",
                    comparison.similarity.value()
                ));
            }
        } else {
            highest_impostor = highest_impostor.max(comparison.similarity.value());
            if verdict.is_none() {
                faults.push(format!(
                    "impostor {left} {right} passes at {}",
                    comparison.similarity.value()
                ));
            }
        }
    }
    println!("lowest genuine {lowest_genuine:.4}, highest impostor {highest_impostor:.4}");
    ensure!(
        lowest_genuine > highest_impostor,
        "genuine from {lowest_genuine}, impostors to {highest_impostor}"
    );
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

fn primary(engine: &Engine, path: &Path) -> Result<EmbeddedFace, Failed> {
    let bytes = std::fs::read(path)?;
    let faces = engine.embed(&bytes, &EmbedOptions::default())?;
    faces
        .into_iter()
        .next()
        .ok_or_else(|| format!("no face in {}", path.display()).into())
}

fn liveness_of_prints_and_frames(shared: &Path) -> Outcome {
    let folder = shared.join("data/liveness");
    let engine = Engine::builder().build()?;
    let (mut live, mut live_below, mut prints, mut prints_passed) = (0u32, 0u32, 0u32, Vec::new());
    for row in rows(&folder.join("labels.csv"))? {
        let [file, species] = row.as_slice() else {
            return Err("a row without two fields".into());
        };
        let bytes = std::fs::read(folder.join(file))?;
        let check = engine.liveness(&bytes, &LivenessOptions::default().with_threshold(0.6))?;
        if species == "live" {
            live += 1;
            live_below += u32::from(!check.live);
        } else {
            prints += 1;
            if check.live {
                prints_passed.push(format!("{file} {:?}", check.liveness));
            }
        }
    }
    println!(
        "{live_below} of {live} live frames below 0.6; {} of {prints} attacks at or above",
        prints_passed.len()
    );
    ensure!(
        live >= 150 && prints >= 150,
        "only {live} live frames and {prints} attacks"
    );
    ensure!(
        prints_passed.is_empty(),
        "attacks pass: {}",
        prints_passed.join(", ")
    );
    ensure!(
        f64::from(live_below) <= 0.21 * f64::from(live),
        "{live_below} of {live} live frames are below 0.6"
    );
    Ok(())
}

fn formats_agree(shared: &Path) -> Outcome {
    let folder = shared.join("data/awkward-faces");
    let engine = Engine::builder().build()?;
    let expected = primary(&engine, &folder.join("exif1.jpg"))?;
    let mut faults = Vec::new();
    let mut readable = 0;
    for path in files(&folder)? {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if ["empty.jpg", "text.jpg", "truncated_half.jpg"].contains(&name.as_str()) {
            continue;
        }
        readable += 1;
        let found = primary(&engine, &path)?;
        let overlap = overlap(&found.face, &expected.face);
        let confidence = engine
            .compare(&found.embedding, &expected.embedding)?
            .confidence
            .value();
        if overlap < 0.9 || confidence < 0.95 {
            faults.push(format!("{name}: overlap {overlap}, confidence {confidence}"));
        }
    }
    ensure!(readable >= 20, "only {readable} readable files");
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

fn overlap(a: &Face, b: &Face) -> f32 {
    a.bounding_box.iou(&b.bounding_box)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, Failed> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.sort();
    Ok(files)
}

fn unreadable_files(shared: &Path) -> Outcome {
    let folder = shared.join("data/awkward-faces");
    let engine = Engine::builder().build()?;
    let good = std::fs::read(folder.join("exif1.jpg"))?;
    for name in ["empty.jpg", "text.jpg", "truncated_half.jpg"] {
        let bad = std::fs::read(folder.join(name))?;
        for (selfie, photo, wanted) in [(&bad, &good, ImageRole::Selfie), (&good, &bad, ImageRole::Photo)] {
            let error = match engine.verify(selfie, photo, &VerifyOptions::default()) {
                Err(EngineError::Image { role, source }) if role == wanted => source,
                other => return Err(format!("{name} as {wanted}: {other:?}").into()),
            };
            let right = match name {
                "empty.jpg" => matches!(error, ImagingError::Empty),
                "text.jpg" => matches!(error, ImagingError::NotAnImage),
                _ => matches!(error, ImagingError::Corrupt { .. }),
            };
            ensure!(right, "{name}: {error}");
        }
    }
    Ok(())
}

fn results_are_the_same(shared: &Path) -> Outcome {
    let folder = shared.join("data/faces");
    let (selfie, photo) = (
        std::fs::read(folder.join("img2.jpg"))?,
        std::fs::read(folder.join("img11.jpg"))?,
    );
    let engine = Engine::builder().workers(3).build()?;
    engine.warm_up()?;
    let options = VerifyOptions::default();
    let first = engine.verify(&selfie, &photo, &options)?;
    ensure!(
        first.decision.outcome() == Judgement::Pass,
        "{:?}",
        first.decision
    );
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6)
            .map(|_| scope.spawn(|| engine.verify(&selfie, &photo, &options)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| Failed::from("a thread panicked")))
            .collect()
    });
    for result in results {
        let mut result = result??;
        result.timings = first.timings;
        ensure!(result == first, "{result:?}\ninstead of\n{first:?}");
    }
    Ok(())
}
