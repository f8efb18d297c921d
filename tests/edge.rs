//! The pack `edge-1`, whose second embedder the operator brings: pulled with the real binary from the publishers' files among the
//! test data, and its embedder against the outputs of PyTorch. Skipped where there is no copy of EdgeFace-XS.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::OnceLock;

use likeness_engine::detection::{Landmarks, Point};
use likeness_engine::embedding::{self, Embedding, FaceEmbedder, FaceInImage};
use likeness_engine::imaging::{Image, ImageLimits, decode};
use likeness_engine::packs::{Manifest, Pack, StoreSearch};
use likeness_engine::runtime::{LibrarySearch, Provider, Runtime};
use likeness_engine::{EmbedOptions, Engine, default_passes};
use likeness_testing::{
    EDGEFACE, Failed, Outcome, Suite, edgeface, edgeface_fixture, ensure, has_models, shared, workspace,
};

mod support;

use support::process::{Ended, Process, likeness};

/// Largest difference of a number of EdgeFace-XS's output.
const TOLERANCE: f32 = 1e-4;

fn main() -> ExitCode {
    let mut suite = Suite::new();
    let needed = || {
        has_models()
            .then_some(())
            .ok_or("needs open-1 and open-2")
            .and_then(|()| edgeface())
    };
    suite.with("the_operator_brings_the_second_embedder", needed(), |folder| {
        brought(&folder)
    });
    suite.with("edgeface_xs_computes_what_pytorch_did", needed(), |folder| {
        fixture_agrees(&folder)
    });
    suite.with(
        "the_similarity_of_both_embedders_is_the_mean_of_theirs_by_weight",
        needed(),
        |folder| means_by_weight(&folder),
    );
    suite.with(
        "an_embedding_of_both_does_not_depend_on_the_faces_beside_it",
        needed(),
        |folder| neighbours_do_not_matter(&folder),
    );
    suite.with(
        "edge_1_verifies_with_its_cohort_and_without",
        needed(),
        |folder| verifies(&folder),
    );
    suite.with("false_match_rates_within_groups_are_level", needed(), |folder| {
        groups_are_level(&folder)
    });
    suite.run()
}

fn pull(store: &Path, arguments: &[&str]) -> Result<Ended, Failed> {
    let mirror = shared().ok_or("no test data")?.join("upstream");
    let mut command = likeness();
    command.args(["models", "pull", "edge-1"]).args(arguments);
    command.arg("--mirror").arg(mirror).arg("--models").arg(store);
    Process::run(&mut command)
}

/// A store with the whole pack, which is kept for the next run.
fn store(folder: &Path) -> Result<&'static Path, Failed> {
    static STORE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let made = STORE.get_or_init(|| {
        let store = Path::new(env!("CARGO_TARGET_TMPDIR")).join("edge-1");
        let source = format!("{EDGEFACE}={}", folder.join(EDGEFACE).display());
        let pulled = pull(&store, &["--accept-license", "--source", &source]);
        let pulled = pulled.map_err(|error| error.message().unwrap_or("not run").to_owned())?;
        if pulled.code == Some(0) {
            Ok(store)
        } else {
            Err(format!("{pulled:?}"))
        }
    });
    Ok(made.as_deref().map_err(Clone::clone)?)
}

fn provider() -> Result<Provider, Failed> {
    Ok(likeness_testing::provider().parse()?)
}

fn runtime() -> Result<Runtime, Failed> {
    Ok(Runtime::load(&LibrarySearch::new(), provider()?)?)
}

fn pack(folder: &Path) -> Result<Pack, Failed> {
    let pack = StoreSearch::new()
        .with_folder(store(folder)?)
        .find()?
        .load("edge-1")?;
    Ok(pack.optimized(&default_passes(provider()?)))
}

fn brought(folder: &Path) -> Outcome {
    let scene = tempfile::tempdir()?;
    let store = scene.path().join("store");
    let refused = |arguments: &[&str], expected: &str| -> Outcome {
        let ended = pull(&store, arguments)?;
        ensure!(
            ended.code == Some(1) && ended.stderr.contains(expected),
            "{arguments:?}: {ended:?}"
        );
        Ok(())
    };
    let file = folder.join(EDGEFACE).display().to_string();
    let source = format!("{EDGEFACE}={file}");
    refused(
        &["--source", &source],
        "give --accept-license if you may use it under these licences",
    )?;
    let accept = "--accept-license";
    refused(
        &[accept, "--source", &format!("edgeface.onnx={file}")],
        "model pack 'edge-1' has no source 'edgeface.onnx'; it has: 2.7_80x80_MiniFASNetV2.pth, ",
    )?;
    refused(
        &[accept, "--source", &source, "--source", &source],
        "the source 'edgeface_xs.onnx' is named twice",
    )?;
    // Another file of the same size, and none.
    let other = scene.path().join("other.onnx");
    let mut bytes = std::fs::read(&file)?;
    bytes[9_000_000] ^= 1;
    std::fs::write(&other, bytes)?;
    let other = format!("{EDGEFACE}={}", other.display());
    refused(
        &[accept, "--source", &other],
        "expected SHA-256 8b62a62e8c98a5db6382bc2174d863e04072961d59c8292452c25206ccc435e2, found ",
    )?;
    refused(
        &[accept, "--source", &format!("{EDGEFACE}=no-such-file")],
        "no-such-file: there is no such file",
    )?;
    let ended = Process::run(
        likeness()
            .args(["models", "pull", "edge-1", accept, "--jobs", "1", "--models"])
            .arg(&store)
            .env("HTTPS_PROXY", "http://127.0.0.1:9"),
    )?;
    let expected = "edgeface_xs.onnx\n    - the manifest has no address and no package for it, and it is not beside the manifest: bring \
                    the file and name it with --source edgeface_xs.onnx=FILE";
    ensure!(
        ended.code == Some(1) && ended.stderr.contains(expected),
        "{ended:?}"
    );
    let ended = pull(&store, &[accept, "--source", &source])?;
    ensure!(
        ended.code == Some(0) && ended.stdout.contains("8 models in"),
        "{ended:?}"
    );
    let run = |arguments: &[&str]| {
        let mut command: Command = likeness();
        Process::run(command.args(arguments).arg("--models").arg(&store))
    };
    let list = run(&["models", "list"])?;
    let line = list.stdout.lines().find(|line| line.starts_with("edge-1 "));
    ensure!(
        line.is_some_and(|line| line.contains("(NO commercial use); complete, 8 models")),
        "{list:?}"
    );
    let archive = scene.path().join("edge-1.tar").display().to_string();
    let exported = run(&["models", "export", "edge-1", "--out", &archive])?;
    ensure!(exported.code == Some(0), "{exported:?}");
    let carried = scene.path().join("carried");
    for (accept, expected) in [(None, Some(1)), (Some(accept), Some(0))] {
        let mut command = likeness();
        command.args(["models", "pull", "--from", &archive]).args(accept);
        let ended = Process::run(command.arg("--models").arg(&carried))?;
        ensure!(ended.code == expected, "{ended:?}");
    }
    let doctor = run(&["doctor", "--pack", "edge-1"])?;
    ensure!(doctor.stdout.contains("edgeface_xs"), "{doctor:?}");
    let check = run(&["models", "check", "edge-1"])?;
    ensure!(
        check.code == Some(0) && check.stdout.contains("edgeface_xs"),
        "{check:?}"
    );
    Ok(())
}

/// A face that is its own aligned crop.
fn at_template(model: &str, manifest: &Manifest) -> Result<(u32, Landmarks), Failed> {
    let found = manifest.embedders.iter().find(|entry| entry.model == model);
    let entry = found.ok_or("no such embedder")?;
    let side = f64::from(entry.size);
    let points = entry.template.points();
    let point = |[x, y]: [f64; 2]| Point {
        x: (x * side) as f32,
        y: (y * side) as f32,
    };
    Ok((entry.size, points.map(point)))
}

fn fixture_agrees(folder: &Path) -> Outcome {
    let pack = pack(folder)?;
    let manifest = pack.manifest();
    let (size, landmarks) = at_template("edgeface_xs", manifest)?;
    let fixture = edgeface_fixture(folder)?;
    let crops = fixture
        .iter()
        .map(|output| Image::from_rgb8(size, size, output.crop.clone()))
        .collect::<Result<Vec<_>, _>>()?;
    let faces: Vec<FaceInImage<'_>> = crops
        .iter()
        .map(|image| FaceInImage {
            image,
            landmarks: &landmarks,
        })
        .collect();
    let entry = &manifest.embedders[1];
    let mut embedder = embedding::open_model(&runtime()?, &pack, entry)?;
    let found = embedder.embed(&faces)?;
    for (index, (found, expected)) in found.iter().zip(&fixture).enumerate() {
        let expected = Embedding::new(expected.embedding.clone())?;
        let off = found.values().iter().zip(expected.values());
        let largest = off.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        ensure!(largest <= TOLERANCE, "face {index} is off by {largest}");
    }
    Ok(())
}

/// Two images of one person and one of another, with the landmarks of their primary faces.
fn people(folder: &Path) -> Result<Vec<(Image, Landmarks)>, Failed> {
    let shared = shared().ok_or("no test data")?;
    let engine = Engine::builder()
        .store(StoreSearch::new().with_folder(store(folder)?))
        .pack("edge-1")
        .workers(1)
        .build()?;
    ["faces/img2.jpg", "faces/img4.jpg", "faces/img20.jpg"]
        .iter()
        .map(|name| {
            let bytes = std::fs::read(shared.join("data").join(name))?;
            let image = decode(&bytes, &ImageLimits::default())?;
            let found = engine.embed(&image, &EmbedOptions::default())?;
            let landmarks = found
                .first()
                .ok_or_else(|| format!("no face in {name}"))?
                .face
                .landmarks;
            Ok((image, landmarks))
        })
        .collect()
}

fn embedded(
    embedder: &mut dyn FaceEmbedder,
    people: &[(Image, Landmarks)],
) -> Result<Vec<Embedding>, Failed> {
    let faces: Vec<FaceInImage<'_>> = people
        .iter()
        .map(|(image, landmarks)| FaceInImage { image, landmarks })
        .collect();
    Ok(embedder.embed(&faces)?)
}

fn means_by_weight(folder: &Path) -> Outcome {
    let (pack, runtime) = (pack(folder)?, runtime()?);
    let people = people(folder)?;
    let joined = embedded(embedding::open(&runtime, &pack)?.as_mut(), &people)?;
    ensure!(joined[0].values().len() == 256 + 512, "{:?}", joined[0]);
    let mut each = Vec::new();
    for entry in &pack.manifest().embedders {
        let mut embedder = embedding::open_model(&runtime, &pack, entry)?;
        each.push(embedded(embedder.as_mut(), &people)?);
    }
    // Standard deviations of both cosines over impostor comparisons, of the model card.
    let (a, b) = (1.0 / 0.09364, 1.0 / 0.07545);
    for (left, right) in [(0, 1), (0, 2), (1, 2)] {
        let similarity = |of: &[Embedding]| of[left].similarity(&of[right]).map(f64::from);
        let expected = (a * similarity(&each[0])? + b * similarity(&each[1])?) / (a + b);
        let found = similarity(&joined)?;
        ensure!((found - expected).abs() < 1e-5, "{found}, not {expected}");
    }
    Ok(())
}

fn neighbours_do_not_matter(folder: &Path) -> Outcome {
    let (pack, runtime) = (pack(folder)?, runtime()?);
    let people = people(folder)?;
    let mut embedder = embedding::open(&runtime, &pack)?;
    let together = embedded(embedder.as_mut(), &people)?;
    for (index, one) in people.chunks(1).enumerate() {
        let alone = embedded(embedder.as_mut(), one)?;
        let similarity = alone[0].similarity(&together[index])?;
        ensure!(similarity > 0.999_99, "face {index}: cosine {similarity}");
    }
    Ok(())
}

fn verifies(folder: &Path) -> Outcome {
    let store = store(folder)?.display().to_string();
    for (options, kind) in [(&[][..], "normalised"), (&["--no-cohort"], "cosine")] {
        for (photo, is_same) in [("img4.jpg", true), ("img20.jpg", false)] {
            let file = |name: &str| {
                let shared = shared().unwrap_or_else(workspace);
                shared.join("data/faces").join(name).display().to_string()
            };
            let mut command = likeness();
            command.args([
                "verify",
                &file("img2.jpg"),
                &file(photo),
                "--json",
                "--pack",
                "edge-1",
            ]);
            let ended = Process::run(command.args(options).args(["--models", &store]))?;
            let text: serde_json::Value = serde_json::from_str(&ended.stdout)?;
            let confidence = text
                .pointer("/response_data/biometric/face_match_confidence")
                .and_then(serde_json::Value::as_f64);
            ensure!(
                confidence.is_some_and(|confidence| (confidence >= 0.56) == is_same),
                "{kind}, {photo}: {ended:?}"
            );
        }
    }
    Ok(())
}

/// The highest mean and the highest single false match rate within the groups of people-groups/test at confidence 0.56. Measured were
/// 0.069 and 0.125 %; the cosine of both embedders gives 0.34 and 0.63 %.
const GROUPS_BOUNDS: (f64, f64) = (0.09e-2, 0.17e-2);

fn groups_are_level(folder: &Path) -> Outcome {
    let shared = shared().ok_or("no test data")?;
    let engine = Engine::builder()
        .store(StoreSearch::new().with_folder(store(folder)?))
        .pack("edge-1")
        .build()?;
    support::groups::are_level(&engine, &shared, GROUPS_BOUNDS)
}
