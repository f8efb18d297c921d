//! Models that fix their batch at 1: freed, a batch gives what each of its images gives by itself.

use std::path::Path;

use likeness_onnx as onnx;
use likeness_onnx::optimize::{Pass, Passes, optimize_bytes};
use likeness_onnx::proto::{DimensionValue, ModelProto};
use likeness_runtime::{LibrarySearch, ModelSession, Provider, Runtime};
use likeness_testing::{
    EDGEFACE, EdgeFaceOutput, Failed, Outcome, Suite, edgeface, edgeface_fixture, ensure,
};
use ndarray::{Array4, Axis};

use crate::{RANDOM, TOLERANCE, all_variants_agree, noise, outputs, random};

const SIDE: usize = 112;

pub(crate) fn add(suite: &mut Suite) {
    suite.with(
        "edgeface_xs_computes_the_same_after_every_pass",
        edgeface(),
        |folder| {
            let inputs: Vec<Array4<f32>> = edgeface_fixture(&folder)?[..2]
                .iter()
                .map(|output| input(std::slice::from_ref(output)))
                .collect();
            all_variants_agree("edgeface_xs", &std::fs::read(folder.join(EDGEFACE))?, &inputs)
        },
    );
    suite.with(
        "a_batch_of_three_gives_the_numbers_of_three_single_runs",
        edgeface(),
        |folder| batch_of_three(&folder),
    );
    suite.with_models(
        "random_models_that_are_freed_give_each_image_its_own_numbers",
        random_models,
    );
}

/// Fixes the batch of a model at 1.
fn fixed(mut model: ModelProto) -> Option<ModelProto> {
    let input = model.graph.as_mut()?.input.first_mut()?;
    let shape = input.r#type.as_mut()?.tensor_type.as_mut()?.shape.as_mut()?;
    shape.dim.first_mut()?.value = Some(DimensionValue::Fixed(1));
    Some(model)
}

fn random_models() -> Outcome {
    let runtime = Runtime::load(&LibrarySearch::new(), Provider::Cpu)?;
    let images = noise();
    let mut count = 0;
    for number in 0..RANDOM {
        let name = format!("random model {number}");
        let single = onnx::write(&fixed(random::model(number)).ok_or("no input")?);
        let (freed, report) = optimize_bytes(&single, &Passes::none().with(Pass::FreeBatch))?;
        // A model of which a shape states a batch of two is none of one image.
        let Ok(mut single) = runtime.open(&name, &single) else {
            continue;
        };
        if report.count(Pass::FreeBatch) == 0 {
            continue;
        }
        let mut freed = runtime.open(&name, &freed)?;
        let together = outputs(&mut freed, &images)?;
        for (index, image) in images.axis_chunks_iter(Axis(0), 1).enumerate() {
            let alone = outputs(&mut single, &image.to_owned())?;
            for ((name_of, alone), (_, together)) in alone.iter().zip(&together) {
                let own = together.index_axis(Axis(0), index);
                let off = own.iter().zip(alone).map(|(a, b)| (a - b).abs());
                let largest = off.fold(0.0, |a, b| if b > a || b.is_nan() { b } else { a });
                ensure!(
                    own.len() == alone.len() && largest <= TOLERANCE,
                    "{name}: {name_of} of image {index} is off by {largest}"
                );
            }
        }
        count += 1;
    }
    ensure!(count > RANDOM / 3, "only {count} models are freed");
    Ok(())
}

/// RGB, (value - 127.5) / 127.5.
fn input(faces: &[EdgeFaceOutput]) -> Array4<f32> {
    Array4::from_shape_fn((faces.len(), 3, SIDE, SIDE), |(face, channel, y, x)| {
        (f32::from(faces[face].crop[(y * SIDE + x) * 3 + channel]) - 127.5) / 127.5
    })
}

fn batch_of_three(folder: &Path) -> Outcome {
    let published = std::fs::read(folder.join(EDGEFACE))?;
    let faces = &edgeface_fixture(folder)?[..3];
    let runtime = Runtime::load(&LibrarySearch::new(), Provider::Cpu)?;
    let mut original = runtime.open("edgeface_xs", &published)?;
    ensure!(
        original.image_input(Some(112))?.is_single,
        "its batch is free already"
    );
    for passes in [
        Passes::all(),
        Passes::portable(),
        Passes::none().with(Pass::ConstantNodes).with(Pass::FreeBatch),
    ] {
        let (freed, report) = optimize_bytes(&published, &passes)?;
        ensure!(report.count(Pass::FreeBatch) == 1, "not freed: {report}");
        let mut freed = runtime.open("edgeface_xs", &freed)?;
        ensure!(!freed.image_input(Some(112))?.is_single, "its input is not free");
        ensure!(!freed.vector_output(512)?.is_single, "its output is not free");
        let together = numbers(&mut freed, faces)?;
        for (index, face) in faces.iter().enumerate() {
            let one = std::slice::from_ref(face);
            let together = &together[index * 512..][..512];
            for (what, alone) in [
                ("as published", numbers(&mut original, one)?),
                ("by itself", numbers(&mut freed, one)?),
                ("in PyTorch", face.embedding.clone()),
            ] {
                let off = together.iter().zip(&alone).map(|(a, b)| (a - b).abs());
                let largest = off.fold(0.0, |a, b| if b > a || b.is_nan() { b } else { a });
                ensure!(
                    largest <= TOLERANCE,
                    "face {index} is off by {largest} from {what}"
                );
            }
        }
    }
    Ok(())
}

fn numbers(session: &mut ModelSession, faces: &[EdgeFaceOutput]) -> Result<Vec<f32>, Failed> {
    let found = outputs(session, &input(faces))?;
    Ok(found.into_iter().flat_map(|(_, values)| values).collect())
}
