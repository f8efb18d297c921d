//! Turns averaging over the whole map into `GlobalAveragePool`, which works on blocks of channels.

use crate::proto::{NodeProto, data_type};
use crate::shapes::Shapes;

use super::net::Net;

pub(super) fn run(net: &mut Net) -> usize {
    let shapes = net.shapes();
    net.change_each(&["AveragePool", "ReduceMean"], |net, place| {
        let node = net.node(place)?;
        let is_whole = match node.op_type.as_str() {
            "AveragePool" => pools_all(node, &shapes)?,
            _ => means_all(node, &shapes, net.opset)?,
        };
        is_whole.then(|| {
            net.edit(place, |node| {
                node.op_type = "GlobalAveragePool".to_owned();
                node.attribute.clear();
                node.input.truncate(1);
            });
        })
    })
}

fn pools_all(node: &NodeProto, shapes: &Shapes) -> Option<bool> {
    let kernel = node.ints("kernel_shape")?;
    let dims = shapes.dims(node.input.first()?)?.get(2..)?.iter();
    let map: Vec<i64> = dims.map(|dim| dim.known()).collect::<Option<_>>()?;
    let is_default = |name: &str, default: i64| match node.attribute(name) {
        Some(_) => Some(node.ints(name)?.iter().all(|&value| value == default)),
        None => Some(true),
    };
    // A single window as large as the map; with SAME there would be others beside it.
    let plain = is_default("pads", 0)?
        && is_default("dilations", 1)?
        && ["NOTSET", "VALID"].contains(&node.text("auto_pad", "NOTSET")?);
    Some(plain && !map.is_empty() && kernel == map && map.iter().all(|&size| size > 0))
}

/// Whether it is the mean over height and width that keeps the dimensions.
fn means_all(node: &NodeProto, shapes: &Shapes, opset: i64) -> Option<bool> {
    let input = shapes.facts(node.input.first()?)?;
    let mut axes: Vec<i64> = if opset < 18 {
        node.ints("axes")?.to_vec()
    } else {
        let axes = shapes.facts(node.input.get(1)?)?.contents.as_ref()?;
        axes.iter().map(|axis| axis.known()).collect::<Option<_>>()?
    };
    axes.iter_mut()
        .filter(|axis| **axis < 0)
        .for_each(|axis| *axis += 4);
    axes.sort_unstable();
    let is_map = input.dims.as_ref()?.len() == 4;
    // The mean of integers is an integer.
    let is_f32 = input.elem_type == data_type::FLOAT;
    Some(is_f32 && is_map && axes == [2, 3] && node.int("keepdims", 1)? == 1)
}

#[cfg(test)]
mod tests {
    use super::super::Pass;
    use super::super::tests::{after, model, node_with, operators};
    use crate::proto::AttributeProto;

    fn pooled(op_type: &str, attributes: Vec<AttributeProto>) -> bool {
        let (graph, changed) = after(
            model(4, vec![node_with(op_type, &["x"], "y", attributes)], Vec::new()),
            Pass::GlobalPool,
        );
        assert_eq!(operators(&graph) == "GlobalAveragePool", changed == 1);
        changed == 1
    }

    #[test]
    fn a_kernel_of_the_maps_size_pools_it_whole() {
        let ints = AttributeProto::ints;
        assert!(pooled(
            "AveragePool",
            vec![ints("kernel_shape", &[8, 8]), ints("strides", &[8, 8])]
        ));
        assert!(!pooled("AveragePool", vec![ints("kernel_shape", &[8, 4])]));
        let padded = vec![ints("kernel_shape", &[8, 8]), ints("pads", &[1, 1, 1, 1])];
        assert!(!pooled("AveragePool", padded));
        assert!(!pooled("AveragePool", Vec::new()));
    }

    #[test]
    fn a_mean_over_height_and_width_is_one_if_they_are_kept() {
        let ints = AttributeProto::ints;
        assert!(pooled("ReduceMean", vec![ints("axes", &[2, 3])]));
        assert!(pooled("ReduceMean", vec![ints("axes", &[-1, 2])]));
        assert!(!pooled("ReduceMean", vec![ints("axes", &[1, 2])]));
        assert!(!pooled("ReduceMean", Vec::new()));
        let dropped = vec![ints("axes", &[2, 3]), AttributeProto::int("keepdims", 0)];
        assert!(!pooled("ReduceMean", dropped));
    }

    #[test]
    fn a_map_of_unknown_size_stays() {
        let pool = node_with(
            "AveragePool",
            &["x"],
            "y",
            vec![AttributeProto::ints("kernel_shape", &[8, 8])],
        );
        let mut model = model(4, vec![pool], Vec::new());
        let input = &mut model.graph.as_mut().unwrap().input[0];
        input
            .r#type
            .as_mut()
            .unwrap()
            .tensor_type
            .as_mut()
            .unwrap()
            .shape
            .as_mut()
            .unwrap()
            .dim[3]
            .value = None;
        assert_eq!(after(model, Pass::GlobalPool).1, 0);
    }
}
