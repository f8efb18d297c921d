//! A map times a number for each channel, as in squeeze-and-excitation, gets the numbers spread over the map first.
//!
//! ONNX Runtime multiplies in blocks of channels only what it knows to be of the same shape; for the rest it reorders the
//! map to rows and back. Enlarging 1x1 to the map's size to the nearest is done in blocks as well, and takes less.

use std::collections::HashMap;

use crate::proto::{
    AttributeProto, DimensionProto, DimensionValue, NodeProto, TensorProto, ValueInfoProto, data_type, kind,
};
use crate::shapes::{Dim, Shapes};

use super::net::Net;
use super::{BLOCK, layer};

/// From this one on, the region of `Resize` may be left out.
const LEAST_OPSET: i64 = 13;

pub(super) fn run(net: &mut Net) -> usize {
    if net.opset() < LEAST_OPSET {
        return 0;
    }
    let shapes = layer::shapes(net);
    let mut scales = HashMap::new();
    let mut changed = 0;
    for place in net.places_of(&["Mul"]) {
        let Some(node) = net.node(place) else {
            continue;
        };
        let gate = (0..2).find_map(|input| Some((input, Gate::of(net, &shapes, node, input)?)));
        let Some((input, gate)) = gate else {
            continue;
        };
        let output = node.output.first().cloned().unwrap_or_default();
        let mut mul = node.clone();
        let spread = net.fresh(&output, "gate");
        let scale = scales.entry(gate.size).or_insert_with(|| {
            let name = net.fresh(&output, "gate_scales");
            let [height, width] = gate.size.map(|size| size as f32);
            net.add_constant(TensorProto::of_f32(&name, &[4], &[1.0, 1.0, height, width]));
            name
        });
        let resize = gate.resize(scale, &spread);
        if let Some(input) = mul.input.get_mut(input) {
            input.clone_from(&spread);
        }
        net.add_type(gate.info(&spread));
        net.replace(place, vec![resize, mul]);
        changed += 1;
    }
    changed
}

/// Numbers for each channel of a map.
struct Gate {
    value: String,
    batch: DimensionValue,
    channels: i64,
    /// Height and width of the map.
    size: [i64; 2],
}

impl Gate {
    /// The input of this number, where the other one is a map, and ONNX Runtime is likely to have both in blocks.
    fn of(net: &Net, shapes: &Shapes, node: &NodeProto, input: usize) -> Option<Self> {
        let [first, second] = node.input.as_slice() else {
            return None;
        };
        let (gate, map) = if input == 0 {
            (first, second)
        } else {
            (second, first)
        };
        let made_by = |value: &str, op_types: &[&str]| {
            let node = net.node(net.producer(value)?)?;
            let is_one = op_types.iter().any(|op_type| node.is(op_type));
            is_one.then(|| node.input.first()).flatten()
        };
        made_by(map, &["Conv"])?;
        made_by(made_by(gate, &["Sigmoid", "HardSigmoid"])?, &["Conv"])?;
        let (&[batch, channels, height, width], &[gate_batch, gate_channels, one, also_one]) =
            (shapes.dims(map)?, shapes.dims(gate)?)
        else {
            return None;
        };
        let is_f32 = |value: &str| {
            shapes
                .facts(value)
                .is_some_and(|facts| facts.elem_type == data_type::FLOAT)
        };
        let is_gate = is_f32(gate)
            && is_f32(map)
            && (gate_batch, gate_channels) == (batch, channels)
            && [one, also_one] == [Dim::Known(1); 2];
        let (channels, size) = (channels.known()?, [height.known()?, width.known()?]);
        let is_whole = usize::try_from(channels).ok()?.is_multiple_of(BLOCK);
        // Larger ones are not exact as `f32`.
        let is_map = size.iter().all(|size| (1..1 << 16).contains(size)) && size != [1, 1];
        let batch = match batch {
            Dim::Known(size) => DimensionValue::Fixed(size),
            Dim::Free(dim) => DimensionValue::Named(shapes.name(dim)?.to_owned()),
        };
        (is_gate && is_whole && is_map).then(|| Self {
            value: gate.clone(),
            batch,
            channels,
            size,
        })
    }

    fn resize(&self, scales: &str, output: &str) -> NodeProto {
        let text = |name: &str, text: &str| AttributeProto {
            name: name.to_owned(),
            s: text.as_bytes().to_vec(),
            r#type: kind::STRING,
            ..AttributeProto::default()
        };
        // The one way of enlarging that ONNX Runtime does in blocks.
        let attributes = vec![
            text("mode", "nearest"),
            text("coordinate_transformation_mode", "asymmetric"),
            text("nearest_mode", "floor"),
        ];
        NodeProto::new("Resize", &[&self.value, "", scales], &[output], attributes)
    }

    /// That the batch is the map's does not follow for ONNX Runtime from the scales: it has to be said.
    fn info(self, name: &str) -> ValueInfoProto {
        let [height, width] = self.size;
        let mut info = ValueInfoProto::of_f32(name, &[None, Some(self.channels), Some(height), Some(width)]);
        let shape = info
            .r#type
            .as_mut()
            .and_then(|kind| kind.tensor_type.as_mut()?.shape.as_mut());
        if let Some(dim) = shape.and_then(|shape| shape.dim.first_mut()) {
            *dim = DimensionProto {
                value: Some(self.batch),
                ..DimensionProto::default()
            };
        }
        info
    }
}

#[cfg(test)]
mod tests {
    use super::super::Pass;
    use super::super::testing::{after, constant, model, node, operators};
    use crate::proto::ModelProto;

    /// A convolution to `channels`, times the sigmoid of a convolution of `from`.
    fn gated(channels: i64, from: &str) -> ModelProto {
        let nodes = vec![
            node("Conv", &["x", "w"], "a"),
            node("GlobalAveragePool", &["a"], "pooled"),
            node("Conv", &[from, "v"], "b"),
            node("Sigmoid", &["b"], "c"),
            node("Mul", &["a", "c"], "y"),
        ];
        let constants = vec![
            constant("w", &[channels, 3, 1, 1]),
            constant("v", &[channels, channels, 1, 1]),
        ];
        model(3, nodes, constants)
    }

    #[test]
    fn numbers_for_each_channel_are_spread_over_the_map() {
        let (graph, changed) = after(gated(16, "pooled"), Pass::Gates);
        assert_eq!(changed, 1);
        assert_eq!(
            operators(&graph),
            "Conv GlobalAveragePool Conv Sigmoid Resize Mul"
        );
        assert_eq!(graph.node[5].input, ["a", "y/gate"]);
        let scales = graph.constants()["y/gate_scales"].f32s().unwrap();
        assert_eq!(scales, [1.0, 1.0, 8.0, 8.0]);
        assert_eq!(
            graph.value_info[0].shape(),
            Some(vec![None, Some(16), Some(8), Some(8)])
        );
    }

    #[test]
    fn maps_of_the_same_size_and_parts_of_blocks_stay() {
        assert_eq!(after(gated(16, "a"), Pass::Gates).1, 0);
        assert_eq!(after(gated(12, "pooled"), Pass::Gates).1, 0);
    }

    #[test]
    fn a_batch_without_a_name_cannot_be_spoken_of() {
        let mut model = gated(16, "pooled");
        let input = &mut model.graph.as_mut().unwrap().input[0];
        let shape = input
            .r#type
            .as_mut()
            .unwrap()
            .tensor_type
            .as_mut()
            .unwrap()
            .shape
            .as_mut();
        shape.unwrap().dim[0].value = None;
        assert_eq!(after(model, Pass::Gates).1, 0);
    }
}
