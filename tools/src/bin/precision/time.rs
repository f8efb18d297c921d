//! How fast variants of a model are.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use likeness_engine::runtime::{ModelSession, Runtime};
use likeness_testing::noise;

use crate::Failure;

/// Models in the order of the table: images in a call, height and width of the input as a verification mostly has it.
const CALLS: [(&str, [usize; 3]); 5] = [
    ("face-reidentification-retail-0095", [1, 128, 128]),
    ("face-reidentification-retail-0095", [2, 128, 128]),
    ("minifasnet_v2", [1, 80, 80]),
    ("minifasnet_v1se", [1, 80, 80]),
    ("yunet_n", [1, 256, 320]),
];

/// Calls in turn, of which the shortest counts: what else the machine does only ever adds.
const ROUNDS: usize = 500;

/// Prints the table of a folder.
pub(crate) fn print(runtime: &Runtime, folder: &Path) -> Result<(), Failure> {
    println!("| model | images in a call | variant | shortest call | speed ratio to FP32 | size |");
    println!("|---|---|---|---|---|---|");
    for (model, [count, height, width]) in CALLS {
        let shape = [count, 3, height, width];
        let input: Vec<f32> = std::iter::repeat_with(noise())
            .take(shape.iter().product())
            .collect();
        let mut variants = Vec::new();
        for (variant, onnx) in of(folder, model)? {
            let size = onnx.len() as f64 / f64::from(1 << 20);
            variants.push((variant, size, opened(runtime, model, &onnx, (shape, &input))));
        }
        let mut shortest = vec![Duration::MAX; variants.len()];
        for _ in 0..ROUNDS {
            for ((.., session), shortest) in variants.iter_mut().zip(&mut shortest) {
                if let Ok(session) = session {
                    let start = Instant::now();
                    session.run(shape, black_box(&input))?;
                    *shortest = (*shortest).min(start.elapsed());
                }
            }
        }
        let first = shortest.first().ok_or("no models")?.as_secs_f64();
        for ((variant, size, session), time) in variants.iter().zip(&shortest) {
            print!("| {model} | {count} | {variant} |");
            match session {
                Ok(_) => println!(
                    " {time:.2?} | {:.2} | {size:.1} MiB |",
                    first / time.as_secs_f64()
                ),
                Err(reason) => println!(" {reason} | - | {size:.1} MiB |"),
            }
        }
    }
    Ok(())
}

/// FP32 first, then the variants by their names.
fn of(folder: &Path, model: &str) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let mut variants = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let variant = name
            .strip_prefix(model)
            .and_then(|rest| rest.strip_prefix('.'))
            .and_then(|rest| rest.strip_suffix(".onnx"));
        if let Some(variant) = variant {
            variants.insert(variant.to_owned(), std::fs::read(&path)?);
        }
    }
    let mut all = vec![(
        "fp32".to_owned(),
        std::fs::read(folder.join(format!("{model}.onnx")))?,
    )];
    all.extend(variants);
    Ok(all)
}

/// A session that has run once; where ONNX Runtime cannot run the model, the reason that it gives, on one line.
fn opened(
    runtime: &Runtime,
    model: &str,
    onnx: &[u8],
    (shape, input): ([usize; 4], &[f32]),
) -> Result<ModelSession, String> {
    let brief = |error: &dyn std::error::Error| {
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default();
        line.rsplit(": ").next().unwrap_or_default().to_owned()
    };
    let mut session = runtime.open(model, onnx).map_err(|error| brief(&error))?;
    session.run(shape, input).map_err(|error| brief(&error))?;
    Ok(session)
}
