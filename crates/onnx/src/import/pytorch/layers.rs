//! Layers of PyTorch as nodes of ONNX, with the tensors of a state dict.

use std::collections::BTreeMap;

use super::{Architecture, Elements, PyTorchError, Tensor};
use crate::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};
use crate::quote::quotable;

/// PyTorch's default for batch norms, `eps`; the repository of the architectures leaves it.
const EPSILON: f64 = 1e-5;
/// What PyTorch's `DataParallel` puts before every name.
const DATA_PARALLEL: &str = "module.";
/// Of tensors that are too many, so many are named.
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

/// What a batch norm does to each channel once it is trained: `scale * x + shift`.
struct Affine {
    scale: Vec<f64>,
    shift: Vec<f64>,
}

/// A graph that grows by layers; each method answers the name of the layer's output.
pub(super) struct Layers {
    architecture: Architecture,
    tensors: BTreeMap<String, Tensor>,
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
}

impl Layers {
    pub(super) fn new(architecture: Architecture, mut tensors: BTreeMap<String, Tensor>) -> Self {
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
    /// [`PyTorchError::Unexpected`] where there are tensors that no layer took.
    pub(super) fn finish(self) -> Result<GraphProto, PyTorchError> {
        if self.tensors.is_empty() {
            return Ok(GraphProto {
                node: self.nodes,
                initializer: self.constants,
                ..GraphProto::default()
            });
        }
        Err(PyTorchError::Unexpected {
            architecture: self.architecture,
            names: self
                .tensors
                .keys()
                .take(NAMED)
                .map(|name| quotable(name))
                .collect(),
            count: self.tensors.len(),
        })
    }

    /// A tensor's elements; every tensor is taken once.
    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, PyTorchError> {
        let Some(tensor) = self.tensors.remove(name) else {
            return Err(PyTorchError::Missing {
                architecture: self.architecture,
                name: name.to_owned(),
                expected: shape.to_vec(),
            });
        };
        if tensor.shape != shape {
            return Err(PyTorchError::Shape {
                architecture: self.architecture,
                name: name.to_owned(),
                expected: shape.to_vec(),
                found: tensor.shape,
            });
        }
        match tensor.elements {
            Elements::F32(elements) if elements.iter().all(|element| element.is_finite()) => Ok(elements),
            Elements::F32(_) => Err(unusable(name, "not all of its elements are finite")),
            Elements::I64(_) => Err(unusable(
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

    fn node(
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

    fn batch_norm(&mut self, name: &str, channels: usize) -> Result<Affine, PyTorchError> {
        self.tensors.remove(&format!("{name}.num_batches_tracked"));
        let mut part = |part: &str| self.take(&format!("{name}.{part}"), &[channels]);
        let (weight, bias) = (part("weight")?, part("bias")?);
        let (mean, variance) = (part("running_mean")?, part("running_var")?);
        if variance.iter().any(|&variance| variance < 0.0) {
            return Err(unusable(&format!("{name}.running_var"), "a variance is negative"));
        }
        let scale: Vec<f64> = weight
            .iter()
            .zip(&variance)
            .map(|(&weight, &variance)| f64::from(weight) / (f64::from(variance) + EPSILON).sqrt())
            .collect();
        let shift = bias
            .iter()
            .zip(&mean)
            .zip(&scale)
            .map(|((&bias, &mean), &scale)| f64::from(bias) - f64::from(mean) * scale)
            .collect();
        Ok(Affine { scale, shift })
    }

    /// Puts down as constants `NAME.weight` and `NAME.bias` the weight, of `shape`, with the batch norm that follows it
    /// folded in. The arithmetic is of `f64`, each result rounded to `f32` once.
    fn folded(&mut self, name: &str, norm: &str, shape: &[usize]) -> Result<(String, String), PyTorchError> {
        let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
        let outputs = shape.first().copied().unwrap_or(0);
        let kernels = self.take(&weight, shape)?;
        let Affine { scale, shift } = self.batch_norm(norm, outputs)?;
        let kernel = kernels.len() / outputs.max(1);
        let kernels: Vec<f32> = kernels
            .chunks_exact(kernel.max(1))
            .zip(&scale)
            .flat_map(|(kernel, scale)| {
                kernel
                    .iter()
                    .map(move |&element| (f64::from(element) * scale) as f32)
            })
            .collect();
        let shift: Vec<f32> = shift.iter().map(|&shift| shift as f32).collect();
        if !kernels.iter().chain(&shift).all(|element| element.is_finite()) {
            return Err(unusable(
                &weight,
                &format!("with {norm} it goes beyond the range of f32"),
            ));
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
    ) -> Result<String, PyTorchError> {
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
        let int = |size: usize| i64::try_from(size).unwrap_or(i64::MAX);
        let attributes = vec![
            AttributeProto::ints("dilations", &[1, 1]),
            AttributeProto::int("group", int(group)),
            AttributeProto::ints("kernel_shape", &[int(kernel); 2]),
            AttributeProto::ints("pads", &[int(padding); 4]),
            AttributeProto::ints("strides", &[int(stride); 2]),
        ];
        Ok(self.node("Conv", &[input, &weight, &bias], name, attributes))
    }

    /// A PReLU with a slope for each channel.
    pub(super) fn prelu(&mut self, input: &str, name: &str, channels: usize) -> Result<String, PyTorchError> {
        let slope = format!("{name}.weight");
        let slopes = self.take(&slope, &[channels])?;
        // ONNX spreads the slope from the right: the two ones stand for the picture's height and width.
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
    ) -> Result<String, PyTorchError> {
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
    ) -> Result<String, PyTorchError> {
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

    /// All but the batch in one dimension.
    pub(super) fn flatten(&mut self, input: &str, name: &str) -> String {
        self.node("Flatten", &[input], name, vec![AttributeProto::int("axis", 1)])
    }
}

fn unusable(name: &str, reason: &str) -> PyTorchError {
    PyTorchError::Tensor {
        name: name.to_owned(),
        reason: reason.to_owned(),
    }
}
