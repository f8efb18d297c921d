//! MiniFASNet, the liveness networks of the repository `minivision-ai/Silent-Face-Anti-Spoofing`.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::tensor::{Elements, Tensor, invalid_tensor};
use crate::optimize::affine::fold_norm;
use crate::proto::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use crate::quote::quotable;
use crate::{OnnxError, file};

/// Side of the input in pixels: the publisher's files have it in their names.
const SIDE: i64 = 80;
/// Classes of the publisher's weights; the one in the middle is live.
pub(super) const CLASSES: usize = 3;
/// Channels of the first layers, before the image is halved again.
const STEM: usize = 32;
/// Channels of the blocks at a quarter of the side (20 pixels).
const QUARTER: usize = 64;
/// Channels of the blocks below that (10 and 5 pixels).
const DEEP: usize = 128;
/// Channels of the last layers.
const LAST: usize = 512;
/// Size of the embedding before the classes.
const EMBEDDING: usize = 128;

/// PyTorch's default for batch norms, `eps`; the repository of the architectures leaves it.
const EPSILON: f64 = 1e-5;
/// What PyTorch's `DataParallel` puts before every name.
const DATA_PARALLEL: &str = "module.";
/// Number of unexpected tensors in a message.
const NAMED: usize = 5;

/// The networks that can be imported.
///
/// MiniFASNet is MobileFaceNet (arXiv:1804.07573) with most of its channels pruned. The source of the layers and of the
/// numbers of channels is `src/model_lib/MiniFASNet.py` of <https://github.com/minivision-ai/Silent-Face-Anti-Spoofing>,
/// commit b6d5f04ad78778917853b25c778acef6d5626d15, functions `MiniFASNetV2` and `MiniFASNetV1SE`; the numbers also follow
/// from the shapes of the published tensors.
///
/// | layer | output | |
/// |---|---|---|
/// | `conv1` | 32 x 40 x 40 | 3x3, stride 2 |
/// | `conv2_dw` | 32 x 40 x 40 | 3x3, each channel by itself |
/// | `conv_23` | 64 x 20 x 20 | bottleneck of 103, stride 2 |
/// | `conv_3` | 64 x 20 x 20 | 4 residual bottlenecks |
/// | `conv_34` | 128 x 10 x 10 | bottleneck of 231, stride 2 |
/// | `conv_4` | 128 x 10 x 10 | 6 residual bottlenecks |
/// | `conv_45` | 128 x 5 x 5 | bottleneck of 308, stride 2 |
/// | `conv_5` | 128 x 5 x 5 | 2 residual bottlenecks |
/// | `conv_6_sep` | 512 x 5 x 5 | 1x1 |
/// | `conv_6_dw` | 512 x 1 x 1 | 5x5, each channel by itself, not padded |
/// | `linear`, `bn` | 128 | |
/// | `prob` | a number for each class | |
///
/// No convolution or linear layer has a bias; a batch norm follows each but `prob`, and a PReLU follows each convolution's
/// batch norm but those of `conv_6_dw` and of the last convolution of a bottleneck. A bottleneck is a 1x1 convolution to
/// its own number of channels, a 3x3 one of each channel by itself, with the stride, and a 1x1 one to the layer's
/// channels. The architectures differ in the channels of the residual bottlenecks, and in that the last residual
/// bottleneck of each of `conv_3`, `conv_4` and `conv_5` has squeeze and excitation (arXiv:1709.01507) in V1SE: its output
/// is multiplied, before the residual is added, by a factor for each channel, which is made of the channels' means by a
/// 1x1 convolution to a quarter of the channels, ReLU, a 1x1 convolution and a sigmoid. Dropout does nothing outside of
/// training and is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Architecture {
    /// MiniFASNetV2, for a crop of 2.7 times the face's box.
    MiniFasNetV2,
    /// MiniFASNetV1SE, for a crop of 4 times the face's box.
    MiniFasNetV1Se,
}

impl Architecture {
    /// Every architecture.
    pub const ALL: [Self; 2] = [Self::MiniFasNetV2, Self::MiniFasNetV1Se];

    /// Its name in manifests.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MiniFasNetV2 => "minifasnet-v2",
            Self::MiniFasNetV1Se => "minifasnet-v1se",
        }
    }

    /// Channels within the residual bottlenecks of a layer.
    fn residual(self) -> [(&'static str, usize, &'static [usize]); 3] {
        let (third, fourth): (&[usize], &[usize]) = match self {
            Self::MiniFasNetV2 => (&[13, 13, 13, 13], &[231, 52, 26, 77, 26, 26]),
            Self::MiniFasNetV1Se => (&[13, 26, 13, 52], &[154, 52, 26, 52, 26, 26]),
        };
        [
            ("conv_3", QUARTER, third),
            ("conv_4", DEEP, fourth),
            ("conv_5", DEEP, &[26, 26]),
        ]
    }
}

impl FromStr for Architecture {
    type Err = OnnxError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|known| known.as_str() == name);
        found.ok_or_else(|| {
            let (name, known) = (quotable(name), Self::ALL.map(Self::as_str).join(" and "));
            OnnxError::Invalid(format!("unknown architecture '{name}'; known are {known}"))
        })
    }
}

/// The architecture with these tensors.
pub(super) fn model(
    tensors: BTreeMap<String, Tensor>,
    architecture: Architecture,
    classes: usize,
) -> Result<ModelProto, OnnxError> {
    let mut layers = Layers::new(architecture.as_str(), tensors);
    layers.build(architecture, classes)?;
    let mut graph = layers.finish()?;
    architecture.as_str().clone_into(&mut graph.name);
    let sides = [None, Some(3), Some(SIDE), Some(SIDE)];
    graph.input = vec![ValueInfoProto::of_f32("input", &sides)];
    graph.output = vec![ValueInfoProto::of_f32("logits", &[None, Some(classes as i64)])];
    Ok(file::model(graph))
}

/// A convolution of squares, without a bias.
#[derive(Clone, Copy)]
struct Convolution {
    inputs: usize,
    outputs: usize,
    /// Side of the kernel.
    kernel: usize,
    stride: usize,
    padding: usize,
    /// Each channel by itself; there are as many outputs as inputs.
    depthwise: bool,
}

impl Convolution {
    /// From pixel to pixel.
    fn pointwise(inputs: usize, outputs: usize) -> Self {
        Self {
            inputs,
            outputs,
            kernel: 1,
            stride: 1,
            padding: 0,
            depthwise: false,
        }
    }

    /// Of three by three, padded so that a stride of 1 leaves the size.
    fn depthwise(channels: usize, stride: usize) -> Self {
        Self {
            inputs: channels,
            outputs: channels,
            kernel: 3,
            stride,
            padding: 1,
            depthwise: true,
        }
    }
}

/// The name of a layer's output.
type Output = Result<String, OnnxError>;

/// A graph that grows by layers; each method returns the name of the layer's output.
struct Layers {
    architecture: &'static str,
    tensors: BTreeMap<String, Tensor>,
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
}

impl Layers {
    fn new(architecture: &'static str, mut tensors: BTreeMap<String, Tensor>) -> Self {
        if tensors.keys().all(|name| name.starts_with(DATA_PARALLEL)) {
            let short = |(mut name, tensor): (String, _)| (name.split_off(DATA_PARALLEL.len()), tensor);
            tensors = tensors.into_iter().map(short).collect();
        }
        Self {
            architecture,
            tensors,
            nodes: Vec::new(),
            constants: Vec::new(),
        }
    }

    /// The graph's nodes and constants.
    ///
    /// # Errors
    /// [`OnnxError::Invalid`] if there are tensors that no layer took.
    fn finish(self) -> Result<GraphProto, OnnxError> {
        if self.tensors.is_empty() {
            return Ok(GraphProto {
                node: self.nodes,
                initializer: self.constants,
                ..GraphProto::default()
            });
        }
        let names = self.tensors.keys().take(NAMED).map(|name| quotable(name));
        let (count, names) = (self.tensors.len(), names.collect::<Vec<_>>().join(", "));
        let architecture = self.architecture;
        Err(OnnxError::Invalid(format!(
            "{count} tensors that {architecture} does not have, such as {names}"
        )))
    }

    /// Takes a tensor's elements; every tensor is taken once.
    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, OnnxError> {
        let found = self.tensors.remove(name);
        if found.as_ref().is_none_or(|tensor| tensor.shape != shape) {
            return Err(OnnxError::Tensor {
                architecture: self.architecture,
                name: name.to_owned(),
                expected: shape.to_vec(),
                found: found.map(|tensor| tensor.shape),
            });
        }
        let reason = match found.map(|tensor| tensor.elements) {
            Some(Elements::F32(all)) if all.iter().all(|element| element.is_finite()) => return Ok(all),
            Some(Elements::F32(_)) => "not all of its elements are finite",
            _ => "its elements are whole numbers of 64 bits, not f32",
        };
        Err(invalid_tensor(name, reason))
    }

    fn constant(&mut self, name: &str, shape: &[usize], elements: &[f32]) {
        let dims: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
        self.constants.push(TensorProto::of_f32(name, &dims, elements));
    }

    fn node(&mut self, op_type: &str, inputs: &[&str], name: &str, with: Vec<AttributeProto>) -> String {
        self.nodes.push(NodeProto::new(op_type, inputs, &[name], with));
        name.to_owned()
    }

    /// Takes a batch norm: the factor and the summand of each channel.
    fn batch_norm(&mut self, name: &str, channels: usize) -> Result<(Vec<f64>, Vec<f64>), OnnxError> {
        self.tensors.remove(&format!("{name}.num_batches_tracked"));
        let mut part = |part: &str| self.take(&format!("{name}.{part}"), &[channels]);
        let (weight, bias) = (part("weight")?, part("bias")?);
        let (mean, variance) = (part("running_mean")?, part("running_var")?);
        let folded = fold_norm(&weight, &bias, &mean, &variance, EPSILON);
        let folded = folded.filter(|_| variance.iter().all(|&variance| variance >= 0.0));
        folded.ok_or_else(|| invalid_tensor(&format!("{name}.running_var"), "a variance is negative"))
    }

    /// Adds the constants `NAME.weight`, of `shape`, and `NAME.bias`, with the batch norm that follows folded in. The
    /// arithmetic is `f64`, each result rounded to `f32` once.
    fn folded(&mut self, name: &str, norm: &str, shape: &[usize]) -> Result<(String, String), OnnxError> {
        let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
        let outputs = shape.first().copied().unwrap_or(0);
        let kernels = self.take(&weight, shape)?;
        let (scale, shift) = self.batch_norm(norm, outputs)?;
        let kernel = kernels.len().checked_div(outputs).unwrap_or(0).max(1);
        let scaled = |(kernel, scale): (&[f32], &f64)| -> Vec<f32> {
            let elements = kernel.iter().map(|&element| f64::from(element) * scale);
            elements.map(|element| element as f32).collect()
        };
        let kernels = kernels.chunks_exact(kernel).zip(&scale);
        let kernels: Vec<f32> = kernels.flat_map(scaled).collect();
        let shift: Vec<f32> = shift.iter().map(|&shift| shift as f32).collect();
        if !kernels.iter().chain(&shift).all(|element| element.is_finite()) {
            let reason = format!("with {norm} it goes beyond the range of f32");
            return Err(invalid_tensor(&weight, &reason));
        }
        self.constant(&weight, shape, &kernels);
        self.constant(&bias, &[outputs], &shift);
        Ok((weight, bias))
    }

    /// A convolution and the batch norm after it, as one `Conv`.
    fn convolution(&mut self, input: &str, name: &str, norm: &str, of: Convolution) -> Output {
        let (inputs, group) = if of.depthwise {
            (1, of.inputs)
        } else {
            (of.inputs, 1)
        };
        let (weight, bias) = self.folded(name, norm, &[of.outputs, inputs, of.kernel, of.kernel])?;
        let attributes = vec![
            AttributeProto::ints("dilations", &[1, 1]),
            AttributeProto::int("group", group as i64),
            AttributeProto::ints("kernel_shape", &[of.kernel as i64; 2]),
            AttributeProto::ints("pads", &[of.padding as i64; 4]),
            AttributeProto::ints("strides", &[of.stride as i64; 2]),
        ];
        Ok(self.node("Conv", &[input, &weight, &bias], name, attributes))
    }

    /// A PReLU with a slope for each channel.
    fn prelu(&mut self, input: &str, name: &str, channels: usize) -> Output {
        let slope = format!("{name}.weight");
        let slopes = self.take(&slope, &[channels])?;
        // ONNX spreads the slope from the right: the two ones stand for the map's height and width.
        self.constant(&slope, &[channels, 1, 1], &slopes);
        Ok(self.node("PRelu", &[input, &slope], name, Vec::new()))
    }

    /// A linear layer without a bias and the batch norm after it, as one `Gemm`.
    fn linear_with_norm(&mut self, input: &str, name: &str, norm: &str, shape: [usize; 2]) -> Output {
        let (weight, bias) = self.folded(name, norm, &shape)?;
        Ok(self.gemm(&[input, &weight, &bias], name))
    }

    /// A linear layer without a bias.
    fn linear(&mut self, input: &str, name: &str, output: &str, shape: [usize; 2]) -> Output {
        let weight = format!("{name}.weight");
        let elements = self.take(&weight, &shape)?;
        self.constant(&weight, &shape, &elements);
        Ok(self.gemm(&[input, &weight], output))
    }

    /// PyTorch's weights have a row for each output.
    fn gemm(&mut self, inputs: &[&str], output: &str) -> String {
        self.node("Gemm", inputs, output, vec![AttributeProto::int("transB", 1)])
    }

    /// An operator without tensors or settings of its own.
    fn plain(&mut self, op_type: &str, inputs: &[&str], name: &str) -> String {
        self.node(op_type, inputs, name, Vec::new())
    }

    fn build(&mut self, architecture: Architecture, classes: usize) -> Result<(), OnnxError> {
        let first = Convolution {
            kernel: 3,
            stride: 2,
            padding: 1,
            ..Convolution::pointwise(3, STEM)
        };
        let mut value = self.activated("input", "conv1", first)?;
        value = self.activated(&value, "conv2_dw", Convolution::depthwise(STEM, 1))?;

        let narrowing = [
            ("conv_23", STEM, 103, QUARTER),
            ("conv_34", QUARTER, 231, DEEP),
            ("conv_45", DEEP, 308, DEEP),
        ];
        // In the last residual bottleneck of a layer.
        let has_excitation = architecture == Architecture::MiniFasNetV1Se;
        for ((narrow, inputs, inner, outputs), (name, channels, residual)) in
            narrowing.into_iter().zip(architecture.residual())
        {
            value = self.bottleneck(&value, narrow, [inputs, inner, outputs], 2)?;
            for (number, &inner) in residual.iter().enumerate() {
                let name = format!("{name}.model.{number}");
                let mut branch = self.bottleneck(&value, &name, [channels, inner, channels], 1)?;
                if has_excitation && number + 1 == residual.len() {
                    branch = self.excitation(&branch, &format!("{name}.se_module"), channels)?;
                }
                value = self.plain("Add", &[&value, &branch], &name);
            }
        }

        value = self.activated(&value, "conv_6_sep", Convolution::pointwise(DEEP, LAST))?;
        let whole = Convolution {
            kernel: 5,
            padding: 0,
            ..Convolution::depthwise(LAST, 1)
        };
        value = self.normed(&value, "conv_6_dw", whole)?;
        // All but the batch in one dimension.
        let axis = vec![AttributeProto::int("axis", 1)];
        value = self.node("Flatten", &[&value], "conv_6_flatten", axis);
        value = self.linear_with_norm(&value, "linear", "bn", [EMBEDDING, LAST])?;
        self.linear(&value, "prob", "logits", [classes, EMBEDDING])?;
        Ok(())
    }

    /// A convolution and its batch norm, by the names in the repository.
    fn normed(&mut self, input: &str, name: &str, convolution: Convolution) -> Output {
        let (conv, norm) = (format!("{name}.conv"), format!("{name}.bn"));
        self.convolution(input, &conv, &norm, convolution)
    }

    /// With a PReLU.
    fn activated(&mut self, input: &str, name: &str, convolution: Convolution) -> Output {
        let value = self.normed(input, name, convolution)?;
        self.prelu(&value, &format!("{name}.prelu"), convolution.outputs)
    }

    fn bottleneck(&mut self, input: &str, name: &str, channels: [usize; 3], stride: usize) -> Output {
        let [inputs, inner, outputs] = channels;
        let widened = Convolution::pointwise(inputs, inner);
        let value = self.activated(input, &format!("{name}.conv"), widened)?;
        let filtered = Convolution::depthwise(inner, stride);
        let value = self.activated(&value, &format!("{name}.conv_dw"), filtered)?;
        let projected = Convolution::pointwise(inner, outputs);
        self.normed(&value, &format!("{name}.project"), projected)
    }

    fn excitation(&mut self, input: &str, name: &str, channels: usize) -> Output {
        let squeezed = channels / 4;
        let part = |part: &str| format!("{name}.{part}");
        let means = self.plain("GlobalAveragePool", &[input], &part("avg_pool"));
        let squeeze = Convolution::pointwise(channels, squeezed);
        let value = self.convolution(&means, &part("fc1"), &part("bn1"), squeeze)?;
        let value = self.plain("Relu", &[&value], &part("relu"));
        let excite = Convolution::pointwise(squeezed, channels);
        let value = self.convolution(&value, &part("fc2"), &part("bn2"), excite)?;
        let factors = self.plain("Sigmoid", &[&value], &part("sigmoid"));
        Ok(self.plain("Mul", &[input, &factors], name))
    }
}

#[cfg(test)]
mod tests;
