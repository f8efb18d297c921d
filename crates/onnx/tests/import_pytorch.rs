//! The publisher's liveness models, imported: they answer what the reference ONNX files answer, and are the same bytes
//! every time.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use likeness_imaging::{self as imaging, Image, ImageLimits, PixelRect};
use likeness_onnx::import::pytorch::{self, Architecture, Elements, ImportOptions};
use likeness_onnx::{self as onnx, OnnxError};
use likeness_runtime::{LibrarySearch, ModelSession, Provider, Runtime, TensorSpec};
use likeness_testing::{Failed, Outcome, Suite, ensure};
use ndarray::{Array4, Axis, concatenate};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Side of the models' input.
const SIDE: u32 = 80;
/// How far a logit may be off.
const TOLERANCE: f32 = 1e-4;
/// How far a logit may be off because of its neighbours in the batch.
const BATCH_TOLERANCE: f32 = 1e-5;

/// A published file and what is known of it.
#[derive(Clone, Copy)]
struct Published {
    name: &'static str,
    architecture: Architecture,
    classes: usize,
    /// What the names of its tensors begin with, and those of tensors that only training uses.
    prefix: &'static str,
    ignored: &'static [&'static str],
    file: &'static str,
    /// Tensors in the file, counters of training steps included.
    tensors: usize,
    /// The model that an independent conversion made of it.
    reference: &'static str,
    /// The crop's side in sides of the face's box.
    scale: f64,
    /// SHA-256 of the imported model.
    imported: &'static str,
}

/// Minivision's files, in the legacy format, and Roll-Face's, in the zip format.
const PUBLISHED: [Published; 4] = [
    Published {
        name: "minifasnet-v2",
        architecture: Architecture::MiniFasNetV2,
        classes: 3,
        prefix: "module.",
        ignored: &[],
        file: "2.7_80x80_MiniFASNetV2.pth",
        tensors: 334,
        reference: "minifasnet_v2.onnx",
        scale: 2.7,
        imported: "d21295e109565d7fe3c438422a199ae239bf8afd59fbda90d92c99877c640317",
    },
    Published {
        name: "minifasnet-v1se",
        architecture: Architecture::MiniFasNetV1Se,
        classes: 3,
        prefix: "module.",
        ignored: &[],
        file: "4_0_0_80x80_MiniFASNetV1SE.pth",
        tensors: 370,
        reference: "minifasnet_v1se.onnx",
        scale: 4.0,
        imported: "81624aa4688af00d61db6f6b1992f306e78d98e19fd3d99d0d02a953b7c62906",
    },
    Published {
        name: "zalo-minifasnet-v2",
        architecture: Architecture::MiniFasNetV2,
        classes: 3,
        prefix: "module.model.",
        ignored: &["module.FTGenerator.ft."],
        file: "zalo_2.7_80x80_MiniFASNetV2.pth",
        tensors: 355,
        reference: "zalo_minifasnet_v2.onnx",
        scale: 2.7,
        imported: "a93068c1c816881dabe315e43c79431db81231ef509ce0925491ebf0b6e6f432",
    },
    Published {
        name: "zalo-minifasnet-v1se",
        architecture: Architecture::MiniFasNetV1Se,
        classes: 2,
        prefix: "module.model.",
        ignored: &["module.FTGenerator.ft."],
        file: "zalo_4_80x80_MiniFASNetV1SE.pth",
        tensors: 391,
        reference: "zalo_minifasnet_v1se.onnx",
        scale: 4.0,
        imported: "d7723c25814b5dc9fb6d9cf38faa5b788e05a29bed0b7322994f1b00c407f393",
    },
];

fn main() -> ExitCode {
    let mut suite = Suite::new();
    for published in PUBLISHED {
        let name = published.name;
        suite.with_shared_and_models(
            format!("{name}_answers_what_the_reference_answers"),
            move |shared| answers_agree(shared, published),
        );
        suite.with_shared(format!("{name}_is_the_same_bytes_every_time"), move |shared| {
            bytes_are_the_same(shared, published)
        });
        suite.with_shared(format!("{name}_is_read_whole"), move |shared| {
            is_read_whole(shared, published)
        });
        suite.with_shared(format!("{name}_with_a_call_in_it_is_refused"), move |shared| {
            call_is_refused(shared, published)
        });
        if published.is_zip() {
            suite.with_shared(format!("{name}_with_a_changed_byte_is_refused"), move |shared| {
                changed_byte_is_refused(shared, published)
            });
        }
    }
    suite.with_shared("one_file_is_not_imported_as_the_other_architecture", |shared| {
        other_architecture(shared)
    });
    suite.run()
}

impl Published {
    fn read(self, shared: &Path) -> Result<Vec<u8>, Failed> {
        Ok(std::fs::read(shared.join("upstream").join(self.file))?)
    }

    fn import(self, shared: &Path) -> Result<Vec<u8>, Failed> {
        let model = pytorch::import_with(&self.read(shared)?, self.architecture, &self.options())?;
        Ok(onnx::write(&model))
    }

    fn options(self) -> ImportOptions {
        let mut options = ImportOptions::default();
        options.classes = self.classes;
        self.prefix.clone_into(&mut options.prefix);
        options.ignored = self.ignored.iter().map(|&prefix| prefix.to_owned()).collect();
        options
    }

    fn is_zip(self) -> bool {
        self.file.starts_with("zalo")
    }
}

/// The models' input for the largest face of every golden picture that has one.
fn crops(shared: &Path, scale: f64) -> Result<BTreeMap<String, Array4<f32>>, Failed> {
    let text = std::fs::read_to_string(shared.join("golden/reference.json"))?;
    let golden: BTreeMap<String, Value> = serde_json::from_str(&text)?;
    let mut crops = BTreeMap::new();
    for (name, entry) in golden {
        let bounds = entry["faces"][0]["box"].as_array();
        let bounds: Vec<f64> = bounds.into_iter().flatten().filter_map(Value::as_f64).collect();
        let &[x, y, width, height] = bounds.as_slice() else {
            continue;
        };
        let path = shared.join("data").join(&name);
        let bytes =
            std::fs::read(path).or_else(|_| std::fs::read(shared.join("data/liveness").join(&name)))?;
        let picture = imaging::decode(&bytes, &ImageLimits::default())?;
        let corner = |middle: f64, length: f64| (middle - length / 2.0).max(0.0) as u32;
        let rect = PixelRect {
            left: corner(x + width / 2.0, width * scale),
            top: corner(y + height / 2.0, height * scale),
            width: (width * scale) as u32,
            height: (height * scale) as u32,
        };
        crops.insert(
            name,
            input(&imaging::crop_resize_bilinear(&picture, rect, SIDE, SIDE)),
        );
    }
    Ok(crops)
}

fn input(crop: &Image) -> Array4<f32> {
    let side = SIDE as usize;
    let (pixels, _) = crop.as_rgb8().as_chunks::<3>();
    // Blue first.
    Array4::from_shape_fn((1, 3, side, side), |(_, c, y, x)| {
        f32::from(pixels[y * side + x][2 - c])
    })
}

fn logits(session: &mut ModelSession, input: &Array4<f32>, classes: usize) -> Result<Vec<f32>, Failed> {
    let (count, channels, height, width) = input.dim();
    let numbers = input.as_slice().ok_or("not row by row")?;
    let outputs = session.run([count, channels, height, width], numbers)?;
    let logits = outputs.get("logits")?;
    ensure!(
        logits.shape == [count, classes],
        "logits of shape {:?}",
        logits.shape
    );
    Ok(logits.numbers.clone())
}

/// Fails where the numbers are too few or too far apart, or are none.
fn within(tolerance: f32, a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance)
}

fn described(specs: &[TensorSpec]) -> Vec<String> {
    specs.iter().map(|spec| format!("{} {spec}", spec.name)).collect()
}

fn answers_agree(shared: &Path, published: Published) -> Outcome {
    let runtime = Runtime::load(&LibrarySearch::new(), Provider::Cpu)?;
    let reference = std::fs::read(shared.join("models").join(published.reference))?;
    let mut reference = runtime.open(published.reference, &reference)?;
    let mut imported = runtime.open(published.file, &published.import(shared)?)?;
    ensure!(
        described(imported.inputs()) == ["input [N,3,80,80]"],
        "inputs {:?}",
        imported.inputs()
    );
    ensure!(
        described(imported.outputs()) == [format!("logits [N,{}]", published.classes)],
        "outputs {:?}",
        imported.outputs()
    );

    let crops = crops(shared, published.scale)?;
    ensure!(crops.len() > 60, "only {} crops", crops.len());
    let mut last: Option<(&Array4<f32>, Vec<f32>)> = None;
    for (name, crop) in &crops {
        let expected = logits(&mut reference, crop, published.classes)?;
        let found = logits(&mut imported, crop, published.classes)?;
        ensure!(
            within(TOLERANCE, &expected, &found),
            "{name}: {found:?} instead of {expected:?}"
        );

        if let Some((other, others)) = last {
            let pair = concatenate(Axis(0), &[crop.view(), other.view()])?;
            let together = logits(&mut imported, &pair, published.classes)?;
            let alone = [found.clone(), others].concat();
            ensure!(
                within(BATCH_TOLERANCE, &alone, &together),
                "{name}: {together:?} in a batch, {alone:?} alone"
            );
            let expected = logits(&mut reference, &pair, published.classes)?;
            ensure!(
                within(TOLERANCE, &expected, &together),
                "{name}, in a batch: {together:?} instead of {expected:?}"
            );
        }
        last = Some((crop, found));
    }
    Ok(())
}

fn bytes_are_the_same(shared: &Path, published: Published) -> Outcome {
    let bytes = published.import(shared)?;
    ensure!(
        bytes == published.import(shared)?,
        "another import gives other bytes"
    );
    let found = format!("{:x}", Sha256::digest(&bytes));
    ensure!(
        found == published.imported,
        "SHA-256 {found} instead of {}",
        published.imported
    );
    let model = onnx::read(&bytes)?;
    ensure!(
        onnx::write(&model) == bytes,
        "reading and writing changes the bytes"
    );
    Ok(())
}

fn is_read_whole(shared: &Path, published: Published) -> Outcome {
    let bytes = published.read(shared)?;
    let tensors = pytorch::state_dict(&bytes)?;
    ensure!(tensors.len() == published.tensors, "{} tensors", tensors.len());
    let first = tensors
        .get(&format!("{}conv1.conv.weight", published.prefix))
        .ok_or("no first convolution")?;
    ensure!(first.shape == [32, 3, 3, 3], "{:?}", first.shape);
    // The weights are nearly all of the file: what is missing here would be missing there.
    let stored: usize = tensors
        .values()
        .map(|tensor| match &tensor.elements {
            Elements::F32(elements) => 4 * elements.len(),
            Elements::I64(elements) => 8 * elements.len(),
        })
        .sum();
    ensure!(
        stored < bytes.len() && stored > bytes.len() * 9 / 10,
        "{stored} bytes of {}",
        bytes.len()
    );
    Ok(())
}

fn call_is_refused(shared: &Path, published: Published) -> Outcome {
    let mut bytes = published.read(shared)?;
    let (known, call) = (
        &b"ctorch._utils\n_rebuild_tensor_v2\n"[..],
        &b"cposix\nsystem\n"[..],
    );
    let place = bytes.windows(known.len()).position(|window| window == known);
    let place = place.ok_or("the file rebuilds no tensor")?;
    if published.is_zip() {
        bytes = rewritten(&bytes, place, call)?;
    } else {
        bytes.splice(place..place + known.len(), call.iter().copied());
    }
    let refused = pytorch::import(&bytes, published.architecture);
    ensure!(
        matches!(&refused, Err(OnnxError::Refused { what, .. }) if what == "posix.system"),
        "{:?}",
        refused.map(drop)
    );
    Ok(())
}

/// The archive with other bytes at the beginning of a text of its pickle, and the checksum of what the pickle then is.
fn rewritten(bytes: &[u8], place: usize, call: &[u8]) -> Result<Vec<u8>, Failed> {
    let mut bytes = bytes.to_vec();
    bytes[place..place + call.len()].copy_from_slice(call);
    // The pickle is the first member: its entry is the first of the directory, whose place the record at the end has.
    let u32_at = |bytes: &[u8], at: usize| {
        u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap_or_default()) as usize
    };
    let u16_at = |bytes: &[u8], at: usize| {
        usize::from(u16::from_le_bytes(
            bytes[at..at + 2].try_into().unwrap_or_default(),
        ))
    };
    let entry = u32_at(&bytes, bytes.len() - 6);
    let (len, start) = (
        u32_at(&bytes, entry + 24),
        30 + u16_at(&bytes, 26) + u16_at(&bytes, 28),
    );
    ensure!(
        (start..start + len).contains(&place),
        "the pickle is not the first member"
    );
    let checksum = crc32fast::hash(&bytes[start..start + len]);
    bytes[entry + 16..entry + 20].copy_from_slice(&checksum.to_le_bytes());
    Ok(bytes)
}

fn changed_byte_is_refused(shared: &Path, published: Published) -> Outcome {
    let mut bytes = published.read(shared)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let refused = pytorch::state_dict(&bytes).map(drop);
    ensure!(
        matches!(&refused, Err(OnnxError::Invalid(reason)) if reason.contains("checksum")),
        "{refused:?}"
    );
    Ok(())
}

fn other_architecture(shared: &Path) -> Outcome {
    let [v2, v1se, ..] = PUBLISHED;
    for (published, other) in [(v2, v1se), (v1se, v2)] {
        let result = pytorch::import(&published.read(shared)?, other.architecture).map(drop);
        ensure!(
            matches!(result, Err(OnnxError::Tensor { found: Some(_), .. })),
            "{result:?}"
        );
    }
    Ok(())
}
