//! Convolutions and matrix products with constant weights, whose output can be scaled.

use crate::proto::TensorProto;
use crate::shapes::Shapes;

use super::net::Net;

/// A node whose output channels (axis 1 of its output) have their own weights each, in a constant that nothing else reads.
pub(super) struct Layer {
    place: usize,
    kind: Kind,
    /// Output channels.
    pub(super) channels: usize,
    /// Dimensions of its output.
    rank: usize,
}

#[derive(PartialEq)]
enum Kind {
    Conv,
    /// The axis of the weights that is the output's.
    Gemm {
        axis: usize,
    },
    MatMul,
}

impl Layer {
    /// Returns the layer that makes `value`, if a single node reads the value.
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
            let axis = usize::from(node.int("transB", 0)? == 0);
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

    /// Returns a constant's values as one for each channel, if it is broadcast over the layer's output that way.
    pub(super) fn of_channels(&self, tensor: &TensorProto) -> Option<Vec<f64>> {
        let offset = self.rank.checked_sub(tensor.dims.len())?;
        let is_fitting = |(axis, &dim): (usize, &i64)| {
            dim == 1 || axis + offset == 1 && usize::try_from(dim) == Ok(self.channels)
        };
        if !tensor.dims.iter().enumerate().all(is_fitting) {
            return None;
        }
        Some(match tensor.f32s()?.as_slice() {
            [value] => vec![f64::from(*value); self.channels],
            values => values.iter().copied().map(f64::from).collect(),
        })
    }

    /// Makes the layer compute `scale * y + shift` in the place of `y`, and removes the node after it, which did. `None`, and
    /// nothing done, if that cannot be.
    pub(super) fn swallow(&self, net: &mut Net, after: usize, scale: &[f64], shift: &[f64]) -> Option<()> {
        let node = net.node(self.place)?;
        let weights = net.constant_input(node, 1)?;
        let (name, dims, len) = (weights.name.clone(), weights.dims.clone(), weights.elements()?);
        if scale.len() != self.channels || shift.len() != self.channels {
            return None;
        }
        let beta = match self.kind {
            Kind::Gemm { .. } => f64::from(node.float("beta", 1.0)?),
            _ => 1.0,
        };
        let bias = match node.input(2) {
            Some(name) => self.bias(net.constant(name)?)?,
            None => vec![0.0; self.channels],
        };
        net.spend(len)?;
        let mut values = net.constant(&name)?.f32s()?;
        let inner: usize = match self.kind {
            Kind::Conv | Kind::Gemm { axis: 0 } => len.checked_div(self.channels)?,
            _ => 1,
        };
        for (index, value) in values.iter_mut().enumerate() {
            let channel = index.checked_div(inner)?.checked_rem(self.channels)?;
            *value = rounded(f64::from(*value) * scale.get(channel)?)?;
        }
        let channels = bias.iter().zip(scale).zip(shift);
        let bias = channels.map(|((bias, scale), shift)| rounded(beta * bias * scale + shift));
        let bias: Vec<f32> = bias.collect::<Option<_>>()?;
        net.set_constant(TensorProto::of_f32(&name, &dims, &values));
        self.set_bias(net, &bias);
        let output = net.remove(after)?.output.into_iter().next();
        net.edit(self.place, |node| node.output = output.into_iter().collect());
        Some(())
    }

    /// Returns the layer's third input, for each channel.
    fn bias(&self, tensor: &TensorProto) -> Option<Vec<f64>> {
        match self.kind {
            Kind::Conv if tensor.dims.len() != 1 || tensor.elements() != Some(self.channels) => None,
            Kind::Conv => Some(tensor.f32s()?.into_iter().map(f64::from).collect()),
            _ => self.of_channels(tensor),
        }
    }

    fn set_bias(&self, net: &mut Net, bias: &[f32]) {
        let output = net.node(self.place).and_then(|node| node.output.first()).cloned();
        let name = net.fresh(&output.unwrap_or_default(), "bias");
        net.set_constant(TensorProto::of_f32(&name, &[bias.len() as i64], bias));
        net.edit(self.place, |node| {
            node.input.truncate(2);
            node.input.push(name);
            node.attribute.retain(|attribute| attribute.name != "beta");
            if self.kind == Kind::MatMul {
                node.op_type = "Gemm".to_owned();
                node.attribute.clear();
            }
        });
    }
}

/// The nearest `f32`, if it is finite.
fn rounded(value: f64) -> Option<f32> {
    Some(value as f32).filter(|value| value.is_finite())
}
