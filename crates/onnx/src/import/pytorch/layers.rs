//! PyTorch layers as ONNX nodes, with the tensors of a state dict.

use std::collections::BTreeMap;

use super::tensor::{Elements, Tensor, invalid_tensor};
use crate::OnnxError;
use crate::optimize::batch_norm::fold;
use crate::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};
use crate::quote::quotable;

/// PyTorch's default for batch norms, `eps`; the repository of the architectures leaves it.
const EPSILON: f64 = 1e-5;
/// What PyTorch's `DataParallel` puts before every name.
const DATA_PARALLEL: &str = "module.";
/// Number of unexpected tensors in a message.
const NAMED: usize = 5;

/// A convolution of squares, without a bias.
#[derive(Debug, Clone, Copy)]
pub(super) struct Convolution {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// Side of the kernel.
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) padding: usize,
    /// Each channel by itself; there are as many outputs as inputs.
    pub(super) depthwise: bool,
}

impl Convolution {
    /// From pixel to pixel.
    pub(super) fn pointwise(inputs: usize, outputs: usize) -> Self {
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
    pub(super) fn depthwise(channels: usize, stride: usize) -> Self {
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

/// A graph that grows by layers; each method returns the name of the layer's output.
pub(super) struct Layers {
    architecture: &'static str,
    tensors: BTreeMap<String, Tensor>,
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
}

impl Layers {
    pub(super) fn new(architecture: &'static str, mut tensors: BTreeMap<String, Tensor>) -> Self {
        if tensors.keys().all(|name| name.starts_with(DATA_PARALLEL)) {
            tensors = tensors
                .into_iter()
                .map(|(mut name, tensor)| (name.split_off(DATA_PARALLEL.len()), tensor))
                .collect();
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
    pub(super) fn finish(self) -> Result<GraphProto, OnnxError> {
        if self.tensors.is_empty() {
            return Ok(GraphProto {
                node: self.nodes,
                initializer: self.constants,
                ..GraphProto::default()
            });
        }
        let names = self.tensors.keys().take(NAMED).map(|name| quotable(name));
        Err(OnnxError::Invalid(format!(
            "{} tensors that {} does not have, such as {}",
            self.tensors.len(),
            self.architecture,
            names.collect::<Vec<_>>().join(", ")
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
        match found.map(|tensor| tensor.elements) {
            Some(Elements::F32(elements)) if elements.iter().all(|element| element.is_finite()) => {
                Ok(elements)
            }
            Some(Elements::F32(_)) => Err(invalid_tensor(name, "not all of its elements are finite")),
            _ => Err(invalid_tensor(
                name,
                "its elements are whole numbers of 64 bits, not f32",
            )),
        }
    }

    fn constant(&mut self, name: &str, shape: &[usize], elements: &[f32]) {
        // No dimension of these architectures comes near.
        let dims: Vec<i64> = shape
            .iter()
            .map(|&size| i64::try_from(size).unwrap_or(i64::MAX))
            .collect();
        self.constants.push(TensorProto::of_f32(name, &dims, elements));
    }

    pub(super) fn node(
        &mut self,
        op_type: &str,
        inputs: &[&str],
        output: &str,
        attributes: Vec<AttributeProto>,
    ) -> String {
        self.nodes
            .push(NodeProto::new(op_type, inputs, &[output], attributes));
        output.to_owned()
    }

    /// Takes a batch norm: the factor and the summand of each channel.
    fn batch_norm(&mut self, name: &str, channels: usize) -> Result<(Vec<f64>, Vec<f64>), OnnxError> {
        self.tensors.remove(&format!("{name}.num_batches_tracked"));
        let mut part = |part: &str| self.take(&format!("{name}.{part}"), &[channels]);
        let (weight, bias) = (part("weight")?, part("bias")?);
        let (mean, variance) = (part("running_mean")?, part("running_var")?);
        let folded = fold(&weight, &bias, &mean, &variance, EPSILON);
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
        let kernels: Vec<f32> = kernels
            .chunks_exact(kernel)
            .zip(&scale)
            .flat_map(scaled)
            .collect();
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
    pub(super) fn convolution(
        &mut self,
        input: &str,
        name: &str,
        norm: &str,
        convolution: Convolution,
    ) -> Result<String, OnnxError> {
        let Convolution {
            inputs,
            outputs,
            kernel,
            stride,
            padding,
            depthwise,
        } = convolution;
        let (inputs, group) = if depthwise { (1, inputs) } else { (inputs, 1) };
        let (weight, bias) = self.folded(name, norm, &[outputs, inputs, kernel, kernel])?;
        let attributes = vec![
            AttributeProto::ints("dilations", &[1, 1]),
            AttributeProto::int("group", group as i64),
            AttributeProto::ints("kernel_shape", &[kernel as i64; 2]),
            AttributeProto::ints("pads", &[padding as i64; 4]),
            AttributeProto::ints("strides", &[stride as i64; 2]),
        ];
        Ok(self.node("Conv", &[input, &weight, &bias], name, attributes))
    }

    /// A PReLU with a slope for each channel.
    pub(super) fn prelu(&mut self, input: &str, name: &str, channels: usize) -> Result<String, OnnxError> {
        let slope = format!("{name}.weight");
        let slopes = self.take(&slope, &[channels])?;
        // ONNX spreads the slope from the right: the two ones stand for the map's height and width.
        self.constant(&slope, &[channels, 1, 1], &slopes);
        Ok(self.node("PRelu", &[input, &slope], name, Vec::new()))
    }

    /// A linear layer without a bias and the batch norm after it, as one `Gemm`.
    pub(super) fn linear_with_norm(
        &mut self,
        input: &str,
        name: &str,
        norm: &str,
        (inputs, outputs): (usize, usize),
    ) -> Result<String, OnnxError> {
        let (weight, bias) = self.folded(name, norm, &[outputs, inputs])?;
        Ok(self.gemm(&[input, &weight, &bias], name))
    }

    /// A linear layer without a bias.
    pub(super) fn linear(
        &mut self,
        input: &str,
        name: &str,
        output: &str,
        (inputs, outputs): (usize, usize),
    ) -> Result<String, OnnxError> {
        let (weight, shape) = (format!("{name}.weight"), [outputs, inputs]);
        let elements = self.take(&weight, &shape)?;
        self.constant(&weight, &shape, &elements);
        Ok(self.gemm(&[input, &weight], output))
    }

    /// PyTorch's weights have a row for each output.
    fn gemm(&mut self, inputs: &[&str], output: &str) -> String {
        self.node("Gemm", inputs, output, vec![AttributeProto::int("transB", 1)])
    }

    /// An operator without tensors or settings of its own.
    pub(super) fn plain(&mut self, op_type: &str, inputs: &[&str], name: &str) -> String {
        self.node(op_type, inputs, name, Vec::new())
    }
}
