//! Addition of, and multiplication by, a constant for each channel are folded into the layer before them.

use crate::onnx::proto::NodeProto;
use crate::shapes::Shapes;

use super::layer::{self, Layer};
use super::net::Net;

pub(super) fn run(net: &mut Net) -> usize {
    let shapes = layer::shapes(net);
    let mut changed = 0;
    for place in net.places_of(&["Add", "Sub", "Mul", "Div"]) {
        let Some((layer, scale, shift)) = net.node(place).and_then(|node| affine(net, &shapes, node)) else {
            continue;
        };
        if layer.scale(net, &scale, &shift) {
            layer.swallow(net, place);
            changed += 1;
        }
    }
    changed
}

/// The layer before the node, what its channels are multiplied by, and what is added then.
fn affine(net: &Net, shapes: &Shapes, node: &NodeProto) -> Option<(Layer, Vec<f64>, Vec<f64>)> {
    let [first, second] = node.input.as_slice() else {
        return None;
    };
    let constant_is_second = net.constant(second).is_some();
    let (value, constant) = if constant_is_second {
        (first, second)
    } else {
        (second, first)
    };
    let constant = net.constant(constant)?;
    let layer = Layer::before(net, shapes, value)?;
    let values = layer.of_channels(constant)?;
    let (zeros, ones) = (vec![0.0; layer.channels], vec![1.0; layer.channels]);
    let each = |change: fn(f64) -> f64| values.iter().copied().map(change).collect();
    let (scale, shift) = match (node.op_type.as_str(), constant_is_second) {
        ("Add", _) => (ones, values),
        ("Mul", _) => (values, zeros),
        ("Sub", true) => (ones, each(|value| -value)),
        ("Sub", false) => (vec![-1.0; layer.channels], values),
        ("Div", true) => (each(|value| 1.0 / value), zeros),
        _ => return None,
    };
    Some((layer, scale, shift))
}
