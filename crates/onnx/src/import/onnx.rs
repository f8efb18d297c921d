//! ONNX files whose declaration is narrower than their network: images of one size, or weights that are also inputs.
//!
//! Exports of older versions of PyTorch declare the size of the image that the network was traced with, though a network of
//! convolutions takes any, and list every weight among the inputs of the graph, where it is a default that a run may
//! replace. ONNX Runtime neither folds nor lays out such weights ahead of time.

use std::collections::BTreeSet;
use std::str::FromStr;

use crate::proto::{DimensionProto, DimensionValue, GraphProto, ModelProto, ValueInfoProto};
use crate::{OnnxError, file, quote};

/// A dimension of a batch of images, `[batch, channels, height, width]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dimension {
    /// Images in the batch.
    Batch,
    /// Rows of pixels.
    Height,
    /// Columns of pixels.
    Width,
}

/// Each with its name in manifests and its place in a shape.
const DIMENSIONS: [(Dimension, &str, usize); 3] = [
    (Dimension::Batch, "batch", 0),
    (Dimension::Height, "height", 2),
    (Dimension::Width, "width", 3),
];

/// Numbers of dimensions of a batch of images.
const RANK: usize = 4;

impl Dimension {
    /// Returns the name, as in manifests.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        DIMENSIONS[self as usize].1
    }

    fn axis(self) -> usize {
        DIMENSIONS[self as usize].2
    }
}

impl FromStr for Dimension {
    type Err = OnnxError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = DIMENSIONS.iter().find(|(_, known, _)| *known == name);
        let unknown = || OnnxError::Unsupported(format!("freeing the dimension {}", quote::quoted(name)));
        found.map(|(dimension, ..)| *dimension).ok_or_else(unknown)
    }
}

/// Reads an ONNX file, drops its weights from the inputs of the graph, and frees dimensions of the one input that remains, a
/// batch of images, and of all outputs. The same bytes give the same model; no weight and no node changes.
///
/// Whether the network computes the right numbers at other sizes is up to the caller: one of convolutions does, one with a
/// linear layer over the whole map does not.
///
/// # Errors
/// [`OnnxError`]: no ONNX file, or other inputs than one of four dimensions. Never panics, whatever the bytes.
pub fn import(bytes: &[u8], free: &[Dimension]) -> Result<ModelProto, OnnxError> {
    let mut model = file::read(bytes)?;
    if let Some(graph) = &mut model.graph {
        drop_weights(graph);
        let [input] = graph.input.as_mut_slice() else {
            let found = graph.input.len();
            let reason = format!("the model has {found} inputs beside its weights, and one is supported");
            return Err(OnnxError::Invalid(reason));
        };
        if shape(input).is_none_or(|dims| dims.len() != RANK) {
            let name = quote::quoted(&input.name);
            let reason = format!("the input {name} is no batch of images of four dimensions");
            return Err(OnnxError::Invalid(reason));
        }
        release(input, free, "");
        for output in &mut graph.output {
            let prefix = format!("{}_", output.name);
            release(output, free, &prefix);
        }
        // The shapes of the values between, which hold for the declared size only.
        graph.value_info.clear();
    }
    Ok(model)
}

fn drop_weights(graph: &mut GraphProto) {
    let weights: BTreeSet<&str> = graph
        .initializer
        .iter()
        .map(|weight| weight.name.as_str())
        .collect();
    graph.input.retain(|input| !weights.contains(input.name.as_str()));
}

fn shape(value: &mut ValueInfoProto) -> Option<&mut Vec<DimensionProto>> {
    let tensor = value.r#type.as_mut()?.tensor_type.as_mut()?;
    Some(&mut tensor.shape.as_mut()?.dim)
}

/// Frees dimensions of a value. A map's height and width may be any share of the image's, so names of their own keep ONNX
/// Runtime from taking them for equal; the batch is the same everywhere.
fn release(value: &mut ValueInfoProto, free: &[Dimension], prefix: &str) {
    let Some(dims) = shape(value) else { return };
    let is_map = dims.len() == RANK;
    for dimension in free {
        let name = match dimension {
            Dimension::Batch => dimension.as_str().to_owned(),
            _ if is_map => format!("{prefix}{}", dimension.as_str()),
            _ => continue,
        };
        if let Some(dim) = dims.get_mut(dimension.axis()) {
            dim.value = Some(DimensionValue::Named(name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{NodeProto, TensorProto};

    const ALL: [Dimension; 3] = [Dimension::Batch, Dimension::Height, Dimension::Width];

    /// A convolution of `[10,3,32,32]` to `[10,1,8,8]` and a vector of each image; its weight is an input too.
    fn published() -> ModelProto {
        let fixed = |name: &str, dims: &[i64]| {
            let dims: Vec<Option<i64>> = dims.iter().copied().map(Some).collect();
            ValueInfoProto::of_f32(name, &dims)
        };
        file::model(GraphProto {
            node: vec![NodeProto::new("Conv", &["image", "weight"], &["map"], vec![])],
            initializer: vec![TensorProto::of_f32("weight", &[1, 3, 1, 1], &[1.0, 2.0, 3.0])],
            input: vec![fixed("image", &[10, 3, 32, 32]), fixed("weight", &[1, 3, 1, 1])],
            output: vec![fixed("map", &[10, 1, 8, 8]), fixed("vector", &[10, 512])],
            value_info: vec![fixed("between", &[10, 1, 8, 8])],
            ..GraphProto::default()
        })
    }

    fn shapes(values: &[ValueInfoProto]) -> Vec<(&str, Vec<String>)> {
        let size = |dim: &DimensionProto| match &dim.value {
            Some(DimensionValue::Fixed(size)) => size.to_string(),
            Some(DimensionValue::Named(name)) => name.clone(),
            None => "?".to_owned(),
        };
        let dims = |value: &ValueInfoProto| {
            let shape = value.tensor().and_then(|tensor| tensor.shape.as_ref()).unwrap();
            shape.dim.iter().map(size).collect()
        };
        values
            .iter()
            .map(|value| (value.name.as_str(), dims(value)))
            .collect()
    }

    #[test]
    fn dimensions_are_freed_and_weights_are_no_inputs() {
        let published = published();
        let imported = import(&file::write(&published), &ALL).unwrap();
        let (before, after) = (published.graph.unwrap(), imported.graph.unwrap());
        let owned = |dims: &[&str]| dims.iter().map(|&dim| dim.to_owned()).collect::<Vec<_>>();
        assert_eq!(
            shapes(&after.input),
            [("image", owned(&["batch", "3", "height", "width"]))]
        );
        assert_eq!(
            shapes(&after.output),
            [
                ("map", owned(&["batch", "1", "map_height", "map_width"])),
                ("vector", owned(&["batch", "512"])),
            ]
        );
        assert!(after.value_info.is_empty());
        assert_eq!((after.node, after.initializer), (before.node, before.initializer));
    }

    #[test]
    fn only_the_named_dimensions_are_freed() {
        let imported = import(&file::write(&published()), &[Dimension::Batch]).unwrap();
        let graph = imported.graph.unwrap();
        assert_eq!(shapes(&graph.input)[0].1, ["batch", "3", "32", "32"]);
        assert_eq!(shapes(&graph.output)[0].1, ["batch", "1", "8", "8"]);
    }

    #[test]
    fn what_is_no_image_model_is_refused() {
        let with = |change: &dyn Fn(&mut GraphProto)| {
            let mut model = published();
            change(model.graph.as_mut().unwrap());
            import(&file::write(&model), &ALL).unwrap_err().to_string()
        };
        let error = with(&|graph| graph.initializer.clear());
        assert_eq!(
            error,
            "the model has 2 inputs beside its weights, and one is supported"
        );
        let error = with(&|graph| graph.input[0] = ValueInfoProto::of_f32("image", &[Some(10)]));
        assert_eq!(
            error,
            "the input 'image' is no batch of images of four dimensions"
        );
        assert!(import(b"text", &ALL).is_err());
    }

    #[test]
    fn dimensions_have_names() {
        for dimension in ALL {
            assert_eq!(dimension.as_str().parse(), Ok(dimension));
        }
        let error = "depth".parse::<Dimension>().unwrap_err().to_string();
        assert_eq!(error, "freeing the dimension 'depth' is not supported");
    }
}
