//! Models imported from their publishers' files against conversions made by others, on real faces.

#![allow(clippy::print_stdout)]

mod documented;

use std::path::Path;
use std::process::ExitCode;

use likeness_imaging::{self as imaging, ImageLimits, PixelRect};
use likeness_onnx as onnx;
use likeness_onnx::import::openvino;
use likeness_runtime::{LibrarySearch, ModelSession, Provider, Runtime, TensorSpec};
use likeness_testing::{Failed, Outcome, Suite, ensure};
use ndarray::{Array4, ArrayD, Axis, s};
use serde_json::Value;
use sha2::{Digest, Sha256};

const EMBEDDER: &str = "face-reidentification-retail-0095";
const LANDMARKS: &str = "landmarks-regression-retail-0009";
/// Of what is made of the files that `sources.toml` names: it is the same on every machine, until the importer changes.
const EMBEDDER_SHA256: &str = "6f1a2d5b83ec45077549e58f9ccef8aa0aeb00c9211f9105f5005b7df7b2e76f";
const LANDMARKS_SHA256: &str = "654b73d67bad352c559ff1afa278fb48774c241ee063f51c9808c2bf30b265f4";

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.with_models(
        "every_operator_computes_what_openvino_documents",
        operators_compute_what_is_documented,
    );
    suite.with_shared_and_models("the_embedder_answers_as_its_reference_conversion", |shared| {
        embedder_agrees(shared)
    });
    suite.with_shared_and_models("the_landmark_regressor_finds_the_golden_landmarks", |shared| {
        landmarks_are_found(shared)
    });
    for (model, sha256) in [(EMBEDDER, EMBEDDER_SHA256), (LANDMARKS, LANDMARKS_SHA256)] {
        suite.with_shared_and_models(format!("{model}_takes_any_batch"), move |shared| {
            batches_do_not_matter(shared, model)
        });
        suite.with_shared(format!("{model}_always_gives_the_same_bytes"), move |shared| {
            let (first, second) = (imported(shared, model)?, imported(shared, model)?);
            ensure!(first == second, "two imports differ");
            ensure!(onnx::write(&onnx::read(&first)?) == first, "reading changes it");
            let digest = format!("{:x}", Sha256::digest(&first));
            ensure!(digest == sha256, "SHA-256 {digest}, {} bytes", first.len());
            Ok(())
        });
    }
    suite.run()
}

/// Names and shapes of what a model declares.
fn declared(tensors: &[TensorSpec]) -> Vec<String> {
    tensors
        .iter()
        .map(|tensor| format!("{} {tensor}", tensor.name))
        .collect()
}

fn imported(shared: &Path, model: &str) -> Result<Vec<u8>, Failed> {
    let file = |extension: &str| std::fs::read(shared.join(format!("upstream/{model}.{extension}")));
    Ok(onnx::write(&openvino::import(&file("xml")?, &file("bin")?)?))
}

fn operators_compute_what_is_documented() -> Outcome {
    let xml = include_bytes!("samples/every_operator.xml");
    let model = openvino::import(xml, &documented::bin())?;
    let pictures = documented::pictures();
    let expected = documented::answer(&pictures);
    let found = answers(&mut open("every_operator", &onnx::write(&model))?, &pictures)?;
    ensure!(found.shape() == expected.shape(), "{:?}", found.shape());
    ensure!(
        expected.iter().any(|value| value.abs() > 0.1),
        "an answer of nothing: {expected}"
    );
    let off = largest_difference(&found, &expected.into_dyn());
    ensure!(off <= 1e-5, "off by {off}");
    Ok(())
}

fn open(name: &str, onnx: &[u8]) -> Result<ModelSession, Failed> {
    Ok(Runtime::load(&LibrarySearch::new(), Provider::Cpu)?.open(name, onnx)?)
}

fn answers(session: &mut ModelSession, input: &Array4<f32>) -> Result<ArrayD<f32>, Failed> {
    let (count, channels, height, width) = input.dim();
    let numbers = input.as_slice().ok_or("not row by row")?;
    let outputs = session.run([count, channels, height, width], numbers)?;
    let first = outputs.all().first().ok_or("no outputs")?;
    Ok(ArrayD::from_shape_vec(
        first.shape.clone(),
        first.numbers.clone(),
    )?)
}

/// A face of a real picture.
struct Crop {
    name: String,
    /// BGR, `[1, 3, side, side]`, 0 to 255: the golden box at the model's size.
    pixels: Array4<f32>,
    /// The five golden landmarks, x and y by turns, in units of the box.
    landmarks: Vec<f32>,
}

/// Every golden face of the single portraits, at this size.
fn crops(shared: &Path, side: u32) -> Result<Vec<Crop>, Failed> {
    let text = std::fs::read_to_string(shared.join("golden/reference.json"))?;
    let golden: Value = serde_json::from_str(&text)?;
    let mut crops = Vec::new();
    for (name, entry) in golden.as_object().ok_or("reference.json is no object")? {
        if !name.starts_with("faces/") {
            continue;
        }
        let picture = imaging::decode(
            &std::fs::read(shared.join("data").join(name))?,
            &ImageLimits::default(),
        )?;
        for face in entry["faces"].as_array().into_iter().flatten() {
            let numbers = |key: &str| -> Vec<f32> {
                let list = face[key].as_array().into_iter().flatten();
                list.filter_map(Value::as_f64)
                    .map(|number| number as f32)
                    .collect()
            };
            let [left, top, width, height] = numbers("box")[..] else {
                return Err(format!("{name}: no box").into());
            };
            let rect = PixelRect {
                left: left.max(0.0) as u32,
                top: top.max(0.0) as u32,
                width: width as u32,
                height: height as u32,
            };
            let face = imaging::crop_resize_bilinear(&picture, rect, side, side);
            let (side, (pixels, _)) = (side as usize, face.as_rgb8().as_chunks::<3>());
            let points = numbers("landmarks");
            let points = points.as_chunks::<2>().0.iter();
            crops.push(Crop {
                name: name.clone(),
                // Blue first.
                pixels: Array4::from_shape_fn((1, 3, side, side), |(_, c, y, x)| {
                    f32::from(pixels[y * side + x][2 - c])
                }),
                landmarks: points
                    .flat_map(|[x, y]| [(x - left) / width, (y - top) / height])
                    .collect(),
            });
        }
    }
    ensure!(crops.len() >= 60, "only {} golden faces", crops.len());
    Ok(crops)
}

fn largest_difference(a: &ArrayD<f32>, b: &ArrayD<f32>) -> f32 {
    // A number that is none must not look small.
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, |worst, off| if off <= worst { worst } else { off })
}

fn embedder_agrees(shared: &Path) -> Outcome {
    let mut ours = open(EMBEDDER, &imported(shared, EMBEDDER)?)?;
    ensure!(
        declared(ours.inputs()) == ["0 [N,3,128,128]"],
        "inputs {:?}",
        ours.inputs()
    );
    ensure!(
        declared(ours.outputs()) == ["658 [N,256,1,1]"],
        "outputs {:?}",
        ours.outputs()
    );
    let reference = std::fs::read(shared.join(format!("models/{EMBEDDER}.onnx")))?;
    let mut reference = open("reference", &reference)?;
    let mut worst = 0.0;
    for crop in crops(shared, 128)? {
        let (found, expected) = (
            answers(&mut ours, &crop.pixels)?,
            answers(&mut reference, &crop.pixels)?,
        );
        ensure!(
            found.shape() == [1, 256, 1, 1],
            "{}: {:?}",
            crop.name,
            found.shape()
        );
        let off = largest_difference(&found, &expected);
        ensure!(off <= 1e-4, "{}: off by {off}", crop.name);
        worst = off.max(worst);
    }
    println!("{EMBEDDER}: largest difference {worst:e}");
    Ok(())
}

/// No other conversion of this model is at hand; the detector's landmarks are.
fn landmarks_are_found(shared: &Path) -> Outcome {
    let mut session = open(LANDMARKS, &imported(shared, LANDMARKS)?)?;
    ensure!(
        declared(session.inputs()) == ["0 [N,3,48,48]"],
        "inputs {:?}",
        session.inputs()
    );
    ensure!(
        declared(session.outputs()) == ["95 [N,10,1,1]"],
        "outputs {:?}",
        session.outputs()
    );
    let (mut faces, mut sum) = (0u16, 0.0);
    for crop in crops(shared, 48)? {
        let found = answers(&mut session, &crop.pixels)?;
        let found: Vec<f32> = found.iter().copied().collect();
        let name = &crop.name;
        ensure!(
            found.len() == 10 && found.iter().all(|value| (0.0..=1.0).contains(value)),
            "{name}: {found:?}"
        );
        // Where the detector is sure that the head is upright: by a tenth of the box.
        if is_upright(&crop.landmarks, 0.1) {
            ensure!(
                is_upright(&found, 0.0),
                "{name}: {found:?} instead of {:?}",
                crop.landmarks
            );
        }
        let off = crop.landmarks.iter().zip(&found).map(|(a, b)| (a - b).abs());
        sum += off.sum::<f32>() / 10.0;
        faces += 1;
    }
    let mean = sum / f32::from(faces);
    println!("{LANDMARKS}: mean difference from the detector's landmarks {mean} of the box, {faces} faces");
    ensure!(mean <= 0.05, "landmarks are off by {mean} of the box on average");
    Ok(())
}

/// Eyes above nose above mouth, by more than this much, and the left of each pair left of the right.
fn is_upright(points: &[f32], by: f32) -> bool {
    let (x, y) = (
        |point: usize| points[2 * point],
        |point: usize| points[2 * point + 1],
    );
    let above = |upper: usize, lower: usize| y(upper) + by < y(lower);
    [0, 1].iter().all(|&eye| above(eye, 2))
        && [3, 4].iter().all(|&corner| above(2, corner))
        && x(0) < x(1)
        && x(3) < x(4)
}

fn batches_do_not_matter(shared: &Path, model: &str) -> Outcome {
    let mut session = open(model, &imported(shared, model)?)?;
    let side = if model == EMBEDDER { 128 } else { 48 };
    let crops = crops(shared, side)?;
    let [first, second, ..] = crops.as_slice() else {
        return Err("two faces are needed".into());
    };
    let together = ndarray::concatenate(Axis(0), &[first.pixels.view(), second.pixels.view()])?;
    let together = answers(&mut session, &together)?;
    for (place, crop) in [first, second].into_iter().enumerate() {
        let alone = answers(&mut session, &crop.pixels)?;
        let share = together
            .slice(s![place..=place, .., .., ..])
            .to_owned()
            .into_dyn();
        let off = largest_difference(&alone, &share);
        ensure!(off <= 1e-5, "{}: the batch changes it by {off}", crop.name);
    }
    Ok(())
}
