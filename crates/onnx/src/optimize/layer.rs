//! Convolutions and matrix products with constant weights: scaling what they put out.

use crate::proto::{TensorProto, attribute, data_type};
use crate::shapes::{Dim, Shapes};

use super::net::Net;

/// A node of which each output channel (axis 1 of what it makes) has weights of its own, in a constant that nothing else
/// reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layer {
    place: usize,
    kind: Kind,
    /// Output channels.
    pub(super) channels: usize,
    /// Dimensions of what it makes.
    pub(super) rank: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Conv,
    /// The axis of the weights that is the output's.
    Gemm {
        axis: usize,
    },
    MatMul,
}

impl Layer {
    /// The layer that makes `value`, where nothing but one node reads the value.
    pub(super) fn before(net: &Net, shapes: &Shapes, value: &str) -> Option<Self> {
        let place = net.producer(value).filter(|_| net.is_read_once(value))?;
        let node = net.node(place).filter(|node| node.output.len() == 1)?;
        let weights = node.input.get(1).filter(|name| net.is_read_once(name))?;
        let dims = &net.constant(weights)?.dims;
        if dims.iter().any(|&dim| dim <= 0) {
            return None;
        }
        let (kind, axis) = if node.is("Conv") && dims.len() >= 3 {
            (Kind::Conv, 0)
        } else if node.is("Gemm") && dims.len() == 2 {
            let axis = usize::from(attribute::int(node, "transB", 0)? == 0);
            (Kind::Gemm { axis }, axis)
        } else if node.is("MatMul") && dims.len() == 2 && shapes.dims(node.input.first()?)?.len() == 2 {
            (Kind::MatMul, 1)
        } else {
            return None;
        };
        Some(Self {
            place,
            kind,
            channels: usize::try_from(*dims.get(axis)?).ok()?,
            rank: dims.len(),
        })
    }

    /// A constant's values as one for each channel, where it spreads over what the layer makes that way.
    pub(super) fn of_channels(&self, tensor: &TensorProto) -> Option<Vec<f64>> {
        let offset = self.rank.checked_sub(tensor.dims.len())?;
        for (index, &dim) in tensor.dims.iter().enumerate() {
            let is_channel = index + offset == 1 && usize::try_from(dim) == Ok(self.channels);
            if dim != 1 && !is_channel {
                return None;
            }
        }
        let values = tensor.f32s()?;
        Some(match values.as_slice() {
            [value] => vec![f64::from(*value); self.channels],
            values => values.iter().copied().map(f64::from).collect(),
        })
    }

    /// Makes the layer put out `scale * y + shift` in the place of `y`. False, and nothing done, where that cannot be.
    pub(super) fn scale(&self, net: &mut Net, scale: &[f64], shift: &[f64]) -> bool {
        self.scaled(net, scale, shift).is_some()
    }

    fn scaled(&self, net: &mut Net, scale: &[f64], shift: &[f64]) -> Option<()> {
        let node = net.node(self.place)?;
        let weights = net.constant(node.input.get(1)?)?;
        let (name, dims, len) = (weights.name.clone(), weights.dims.clone(), weights.len()?);
        if scale.len() != self.channels || shift.len() != self.channels {
            return None;
        }
        let beta = match self.kind {
            Kind::Gemm { .. } => f64::from(attribute::float(node, "beta", 1.0)?),
            _ => 1.0,
        };
        let bias = match node.input.get(2).filter(|name| !name.is_empty()) {
            Some(name) => self.bias(net.constant(name)?)?,
            None => vec![0.0; self.channels],
        };
        if !net.spend(len) {
            return None;
        }
        let mut values = net.constant(&name)?.f32s()?;
        let inner: usize = match self.kind {
            Kind::Conv | Kind::Gemm { axis: 0 } => len.checked_div(self.channels)?,
            _ => 1,
        };
        for (index, value) in values.iter_mut().enumerate() {
            let channel = index.checked_div(inner)?.checked_rem(self.channels)?;
            *value = rounded(f64::from(*value) * scale.get(channel)?)?;
        }
        let bias = bias
            .iter()
            .zip(scale)
            .zip(shift)
            .map(|((bias, scale), shift)| rounded(beta * bias * scale + shift))
            .collect::<Option<Vec<f32>>>()?;
        net.replace_constant(TensorProto::of_f32(&name, &dims, &values));
        self.set_bias(net, &bias);
        Some(())
    }

    /// The layer's own third input, for each channel.
    fn bias(&self, tensor: &TensorProto) -> Option<Vec<f64>> {
        match self.kind {
            Kind::Conv if tensor.dims.len() != 1 || tensor.len() != Some(self.channels) => None,
            Kind::Conv => Some(tensor.f32s()?.into_iter().map(f64::from).collect()),
            _ => self.of_channels(tensor),
        }
    }

    fn set_bias(&self, net: &mut Net, bias: &[f32]) {
        let output = net.node(self.place).and_then(|node| node.output.first()).cloned();
        let name = net.fresh(&output.unwrap_or_default(), "bias");
        let channels = i64::try_from(bias.len()).unwrap_or(i64::MAX);
        let is_matmul = self.kind == Kind::MatMul;
        net.add_constant(TensorProto::of_f32(&name, &[channels], bias));
        net.edit(self.place, |node| {
            node.input.truncate(2);
            node.input.push(name);
            node.attribute.retain(|attribute| attribute.name != "beta");
            if is_matmul {
                node.op_type = "Gemm".to_owned();
                node.attribute.clear();
            }
        });
    }

    /// Lets the layer make what the node after it made, which goes.
    pub(super) fn swallow(&self, net: &mut Net, after: usize) {
        let Some(output) = net.remove(after).and_then(|node| node.output.into_iter().next()) else {
            return;
        };
        net.edit(self.place, |node| {
            if let Some(own) = node.output.first_mut() {
                *own = output;
            }
        });
    }
}

/// Whether the tensor's elements are in the file and as many as its shape says, which has no size below 1.
pub(super) fn has_f32s(tensor: &TensorProto) -> bool {
    let given = if tensor.raw_data.is_empty() {
        tensor.float_data.len().checked_mul(4)
    } else {
        Some(tensor.raw_data.len())
    };
    tensor.data_type == data_type::FLOAT
        && tensor.data_location == 0
        && !tensor.is_empty()
        && tensor.len().and_then(|len| len.checked_mul(4)) == given
}

/// The nearest `f32`, where there is a finite one.
fn rounded(value: f64) -> Option<f32> {
    let value = value as f32;
    value.is_finite().then_some(value)
}

/// The known sizes of a map's height, width and so on.
pub(super) fn spatial(dims: &[Dim]) -> Option<Vec<i64>> {
    dims.get(2..)?.iter().map(|dim| dim.known()).collect()
}

/// What is known of the values of a net.
pub(super) fn shapes(net: &Net) -> Shapes {
    let places = net.places();
    let nodes = places.iter().filter_map(|&place| net.node(place));
    Shapes::of(
        net.opset(),
        net.inputs(),
        |name| net.constant(name),
        nodes,
        |_| None,
    )
}
