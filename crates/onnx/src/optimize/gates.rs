//! Enlarges the numbers for each channel that a map is multiplied by, as in squeeze-and-excitation, to the map's size.
//!
//! ONNX Runtime multiplies in blocks of channels only values that it knows to be of the same shape; otherwise it reorders
//! the map to rows and back. Nearest-neighbour resizing of 1x1 to the map's size works on blocks as well, and takes less.

use std::collections::HashMap;

use crate::proto::{AttributeProto, DimensionValue, NodeProto, TensorProto, ValueInfoProto, data_type};
use crate::shapes::{Dim, Shapes};

use super::BLOCK;
use super::net::Net;

/// Since this version, the region of `Resize` is optional.
const LEAST_OPSET: i64 = 13;

pub(super) fn run(net: &mut Net) -> usize {
    if net.opset < LEAST_OPSET {
        return 0;
    }
    let shapes = net.shapes();
    let mut scales = HashMap::new();
    net.change_each(&["Mul"], |net, place| {
        let node = net.node(place)?;
        let (input, gate) = (0..2).find_map(|input| Some((input, Gate::of(net, &shapes, node, input)?)))?;
        let output = node.output.first().cloned().unwrap_or_default();
        let mut mul = node.clone();
        let spread = net.fresh(&output, "gate");
        let scale = scales.entry(gate.size).or_insert_with(|| {
            let name = net.fresh(&output, "gate_scales");
            let [height, width] = gate.size.map(|size| size as f32);
            net.set_constant(TensorProto::of_f32(&name, &[4], &[1.0, 1.0, height, width]));
            name
        });
        // The one mode of resizing that works on blocks.
        let mode = vec![
            AttributeProto::text("mode", "nearest"),
            AttributeProto::text("coordinate_transformation_mode", "asymmetric"),
            AttributeProto::text("nearest_mode", "floor"),
        ];
        let resize = NodeProto::new("Resize", &[&mul.input[input], "", scale], &[&spread], mode);
        // ONNX Runtime does not infer from the scales that the batch is the map's.
        let dims = gate.dims.into_iter();
        net.rest.value_info.push(ValueInfoProto::of_dims(&spread, dims));
        mul.input[input] = spread;
        net.replace(place, vec![resize, mul]);
        Some(())
    })
}

/// A map that is multiplied by a number for each channel.
struct Gate {
    dims: [DimensionValue; 4],
    /// Height and width.
    size: [i64; 2],
}

impl Gate {
    /// Returns the map, if the input at this index is such numbers, and ONNX Runtime is likely to have both in blocks.
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
            let maker = net.maker(value).filter(|node| node.is_any(op_types));
            maker.and_then(|node| node.input.first())
        };
        made_by(map, &["Conv"])?;
        made_by(made_by(gate, &["Sigmoid", "HardSigmoid"])?, &["Conv"])?;
        let &[batch, channels, height, width] = shapes.dims(map)? else {
            return None;
        };
        let one = Dim::Known(1);
        let is_f32 = |value: &str| Some(shapes.facts(value)?.elem_type == data_type::FLOAT);
        let is_gate = is_f32(gate)? && is_f32(map)? && shapes.dims(gate)? == [batch, channels, one, one];
        let [channels, height, width] = [channels.known()?, height.known()?, width.known()?];
        let is_whole = usize::try_from(channels).ok()?.is_multiple_of(BLOCK);
        let size = [height, width];
        // Larger sizes are not exact in `f32`.
        let is_map = size.iter().all(|size| (1..1 << 16).contains(size)) && size != [1, 1];
        let batch = match batch {
            Dim::Known(size) => DimensionValue::Fixed(size),
            Dim::Free(dim) => DimensionValue::Named(shapes.name(dim)?.to_owned()),
        };
        let [channels, height, width] = [channels, height, width].map(DimensionValue::Fixed);
        let dims = [batch, channels, height, width];
        (is_gate && is_whole && is_map).then_some(Self { dims, size })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Pass;
    use super::super::tests::{after, constant, model, node, operators};
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
