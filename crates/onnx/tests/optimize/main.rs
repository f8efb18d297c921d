//! Rewritten models compute what they computed before: every model of the test data on pictures, and small ones of what
//! these have not got, some put together at random, on noise; with each pass by itself, each left out, and all of them.

mod free_batch;
mod random;
mod small;

use std::path::Path;
use std::process::ExitCode;

use likeness_imaging::{ImageLimits, PixelRect, crop_resize_bilinear, decode};
use likeness_onnx::optimize::{Pass, Passes, optimize, optimize_bytes};
use likeness_onnx::{self as onnx, inspect};
use likeness_runtime::{LibrarySearch, ModelSession, Provider, Runtime, TensorSpec};
use likeness_testing::{Failed, Outcome, Suite, ensure, published};
use ndarray::{Array4, ArrayD};

/// How far an output may be from what it was.
const TOLERANCE: f32 = 1e-4;

/// Models of the default pack, and a file of its publisher's, each with the sizes (height, width) of its input that are tried.
const MODELS: [(&str, &[(usize, usize)]); 5] = [
    ("face-reidentification-retail-0095", &[(128, 128)]),
    ("minifasnet_v2", &[(80, 80)]),
    ("minifasnet_v1se", &[(80, 80)]),
    ("yunet_n", &[(320, 320), (96, 160), (256, 320)]),
    ("yunet_s_dynamic.onnx", &[(320, 320), (96, 160), (256, 320)]),
];

/// Faces near and far, light and dark skin, and a picture without a person.
const PICTURES: [&str; 4] = [
    "faces/img2.jpg",
    "faces/img11.jpg",
    "faces/couple.jpg",
    "groups/dogs.jpg",
];

fn main() -> ExitCode {
    let mut suite = Suite::new();
    for (file, sizes) in MODELS {
        let name = Path::new(file)
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        suite.with_shared_and_models(
            format!("{name}_computes_the_same_after_every_pass"),
            move |shared| computes_the_same(shared, file, sizes),
        );
        suite.with_shared(
            format!("{name}_is_optimized_to_the_same_bytes_each_time"),
            move |shared| is_deterministic(shared, file),
        );
    }
    suite.with_shared("slow_operators_are_gone_from_the_default_pack", |shared| {
        slow_operators_are_gone(shared)
    });
    suite.with_shared("the_embedder_is_counted_as_its_publisher_counts_it", |shared| {
        is_counted_as_published(shared)
    });
    free_batch::add(&mut suite);
    for small in small::all() {
        suite.with_models(format!("{}_computes_the_same", small.name), move || {
            small_is_the_same(&small)
        });
    }
    suite.with_models(
        "models_put_together_at_random_compute_the_same",
        random_are_the_same,
    );
    suite.run()
}

/// How many of them: each is opened as it is and in every variant.
const RANDOM: u64 = 150;

fn random_are_the_same() -> Outcome {
    for number in 0..RANDOM {
        let name = format!("random model {number}");
        all_variants_agree(&name, &onnx::write(&random::model(number)), &[noise()])
            .map_err(|error| format!("{name}: {}", error.message().unwrap_or("no message")))?;
    }
    Ok(())
}

/// A batch of [`random::BATCH`].
fn noise() -> Array4<f32> {
    let (height, width) = small::SIZE;
    let mut state = 7u32;
    Array4::from_shape_simple_fn((random::BATCH as usize, 3, height, width), || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1u32 << 23) as f32 - 1.0
    })
}

fn small_is_the_same(small: &small::Small) -> Outcome {
    for &pass in small.passes {
        let report = optimize(&mut small.model.clone(), &Passes::none().with(pass));
        ensure!(report.count(pass) > 0, "{pass} finds nothing: {report}");
    }
    all_variants_agree(small.name, &onnx::write(&small.model), &[noise()])
}

/// A model of the default pack, or a file of the publishers'.
fn model(shared: &Path, name: &str) -> Result<Vec<u8>, Failed> {
    if name.ends_with(".onnx") {
        Ok(std::fs::read(shared.join("upstream").join(name))?)
    } else {
        published(shared, name)
    }
}

fn computes_the_same(shared: &Path, file: &str, sizes: &[(usize, usize)]) -> Outcome {
    let published = model(shared, file)?;
    let mut inputs = Vec::new();
    for &(height, width) in sizes {
        for picture in PICTURES {
            inputs.push(pixels(&shared.join("data").join(picture), height, width)?);
        }
        inputs.push(batch_of_two(&inputs)?);
    }
    all_variants_agree(file, &published, &inputs)
}

fn all_variants_agree(file: &str, published: &[u8], inputs: &[Array4<f32>]) -> Outcome {
    let runtime = Runtime::load(&LibrarySearch::new(), Provider::Cpu)?;
    let mut original = runtime.open(file, published)?;
    let expected = inputs
        .iter()
        .map(|input| outputs(&mut original, input))
        .collect::<Result<Vec<_>, _>>()?;
    for (what, passes) in variants() {
        let (optimized, report) = optimize_bytes(published, &passes)?;
        let mut session = runtime.open(file, &optimized)?;
        let freed = report.count(Pass::FreeBatch) > 0;
        ensure!(
            session.inputs() == with_batch(original.inputs(), freed),
            "{what}: other inputs"
        );
        ensure!(
            are_no_less_known(session.outputs(), &with_batch(original.outputs(), freed)),
            "{what}: other outputs"
        );
        for (input, expected) in inputs.iter().zip(&expected) {
            let found = outputs(&mut session, input)?;
            for ((name, expected), (_, found)) in expected.iter().zip(&found) {
                ensure!(
                    expected.shape() == found.shape(),
                    "{what}: {name} has another shape"
                );
                let largest = expected
                    .iter()
                    .zip(found)
                    .map(|(a, b)| (a - b).abs())
                    .fold(0.0, |a, b| if b > a || b.is_nan() { b } else { a });
                ensure!(
                    largest <= TOLERANCE,
                    "{what}: {name} of {:?} is off by {largest}",
                    input.shape()
                );
            }
        }
    }
    Ok(())
}

/// Inputs or outputs as they are declared once the batch is free.
fn with_batch(declared: &[TensorSpec], freed: bool) -> Vec<TensorSpec> {
    let mut declared = declared.to_vec();
    for tensor in declared.iter_mut().filter(|_| freed) {
        tensor.shape[0] = None;
    }
    declared
}

/// Whether the outputs are the same, but that of their sizes more may be known.
fn are_no_less_known(found: &[TensorSpec], expected: &[TensorSpec]) -> bool {
    let sizes_agree = |found: &TensorSpec, expected: &TensorSpec| {
        let mut sizes = found.shape.iter().zip(&expected.shape);
        found.shape.len() == expected.shape.len()
            && sizes.all(|(found, expected)| expected.is_none() || found == expected)
    };
    found.len() == expected.len()
        && found.iter().zip(expected).all(|(found, expected)| {
            (&found.name, &found.element) == (&expected.name, &expected.element)
                && sizes_agree(found, expected)
        })
}

/// All passes, each by itself, and all but each.
fn variants() -> Vec<(String, Passes)> {
    let mut variants = vec![("all passes".to_owned(), Passes::all())];
    for pass in Pass::all() {
        variants.push((format!("{pass} alone"), Passes::none().with(pass)));
        variants.push((format!("all but {pass}"), Passes::all().without(pass)));
    }
    variants
}

type Named = Vec<(String, ArrayD<f32>)>;

fn outputs(session: &mut ModelSession, input: &Array4<f32>) -> Result<Named, Failed> {
    let names: Vec<String> = session
        .outputs()
        .iter()
        .map(|output| output.name.clone())
        .collect();
    let (count, channels, height, width) = input.dim();
    let numbers = input.as_slice().ok_or("not row by row")?;
    let outputs = session.run([count, channels, height, width], numbers)?;
    let read = |name: String| {
        let values = outputs.get(&name)?;
        let values = ArrayD::from_shape_vec(values.shape.clone(), values.numbers.clone())?;
        Ok((name, values))
    };
    names.into_iter().map(read).collect()
}

/// The middle of a picture as the models take it: blue, green, red, 0 to 255.
fn pixels(path: &Path, height: usize, width: usize) -> Result<Array4<f32>, Failed> {
    let picture = decode(&std::fs::read(path)?, &ImageLimits::default())?;
    let side = picture.width().min(picture.height());
    let rect = PixelRect {
        left: (picture.width() - side) / 2,
        top: (picture.height() - side) / 2,
        width: side,
        height: side,
    };
    let crop = crop_resize_bilinear(&picture, rect, u32::try_from(width)?, u32::try_from(height)?);
    let rgb = crop.as_rgb8();
    Ok(Array4::from_shape_fn(
        (1, 3, height, width),
        |(_, channel, y, x)| f32::from(rgb[(y * width + x) * 3 + 2 - channel]),
    ))
}

fn batch_of_two(inputs: &[Array4<f32>]) -> Result<Array4<f32>, Failed> {
    let last: Vec<_> = inputs.iter().rev().take(2).map(|input| input.view()).collect();
    Ok(ndarray::concatenate(ndarray::Axis(0), &last)?)
}

fn is_deterministic(shared: &Path, file: &str) -> Outcome {
    let published = model(shared, file)?;
    let first = optimize_bytes(&published, &Passes::all())?;
    ensure!(
        first == optimize_bytes(&published, &Passes::all())?,
        "{file}: other bytes"
    );
    let unchanged = optimize_bytes(&published, &Passes::none())?.0;
    ensure!(unchanged.len() <= published.len(), "{file}: grown without a pass");
    ensure!(
        first.0.len() <= published.len() * 9 / 4,
        "{file}: {} bytes have become {}",
        published.len(),
        first.0.len()
    );
    Ok(())
}

fn slow_operators_are_gone(shared: &Path) -> Outcome {
    for (file, _) in MODELS {
        let mut model = onnx::read(&model(shared, file)?)?;
        let report = optimize(&mut model, &Passes::all());
        ensure!(report.skipped().is_none(), "{file}: {report}");
        let graph = model.graph.unwrap_or_default();
        for op_type in ["PRelu", "BatchNormalization", "AveragePool", "Shape", "Constant"] {
            let left = graph.node.iter().filter(|node| node.is(op_type)).count();
            ensure!(left == 0, "{file}: {left} of {op_type} are left; {report}");
        }
    }
    Ok(())
}

/// Open Model Zoo says of face-reidentification-retail-0095: 0.588 GFLOPs, 1.107 million parameters.
fn is_counted_as_published(shared: &Path) -> Outcome {
    let inspection = inspect(&model(shared, MODELS[0].0)?)?;
    let (flops, parameters) = (inspection.work.flops() as f64, inspection.parameters as f64);
    ensure!((flops / 0.588e9 - 1.0).abs() < 0.03, "{flops} operations");
    ensure!(
        (parameters / 1.107e6 - 1.0).abs() < 0.01,
        "{parameters} parameters"
    );
    Ok(())
}
