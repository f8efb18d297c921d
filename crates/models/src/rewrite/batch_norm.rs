//! Batch normalisation is folded into the convolution or matrix product before it.

use crate::onnx::proto::{NodeProto, attribute};

use super::layer::{self, Layer};
use super::net::Net;

/// Where the node does not say (ONNX's default).
const EPSILON: f32 = 1e-5;

pub(super) fn run(net: &mut Net) -> usize {
    let shapes = layer::shapes(net);
    let mut changed = 0;
    for place in net.places_of(&["BatchNormalization"]) {
        let Some(node) = net.node(place) else {
            continue;
        };
        let layer = node
            .input
            .first()
            .and_then(|input| Layer::before(net, &shapes, input));
        if let Some(layer) = layer
            && let Some((scale, shift)) = affine(net, node, layer.channels)
            && layer.scale(net, &scale, &shift)
        {
            layer.swallow(net, place);
            changed += 1;
        }
    }
    changed
}

/// What it multiplies each channel by, and what it adds then.
fn affine(net: &Net, node: &NodeProto, channels: usize) -> Option<(Vec<f64>, Vec<f64>)> {
    let is_inference = attribute::int(node, "training_mode", 0)? == 0
        && attribute::int(node, "spatial", 1)? == 1
        && node.output.iter().skip(1).all(|output| !net.is_read(output));
    let [_, scale, bias, mean, variance] = node.input.as_slice() else {
        return None;
    };
    let read = |name: &String| {
        let tensor = net.constant(name)?;
        let values = tensor.f32s().filter(|values| values.len() == channels)?;
        (tensor.dims.len() == 1).then_some(values)
    };
    let (scale, bias, mean, variance) = (read(scale)?, read(bias)?, read(mean)?, read(variance)?);
    let epsilon = f64::from(attribute::float(node, "epsilon", EPSILON)?);
    let mut scales = Vec::with_capacity(channels);
    let mut shifts = Vec::with_capacity(channels);
    for (((scale, bias), mean), variance) in scale.iter().zip(&bias).zip(&mean).zip(&variance) {
        let variance = f64::from(*variance) + epsilon;
        if !(is_inference && variance > 0.0) {
            return None;
        }
        let scale = f64::from(*scale) / variance.sqrt();
        scales.push(scale);
        shifts.push(f64::from(*bias) - f64::from(*mean) * scale);
    }
    Some((scales, shifts))
}
