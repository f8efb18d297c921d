//! Averaging over the whole map becomes `GlobalAveragePool`, which works on blocks of channels.

use crate::proto::{NodeProto, attribute, data_type};
use crate::shapes::Shapes;

use super::layer;
use super::net::Net;

pub(super) fn run(net: &mut Net) -> usize {
    let shapes = layer::shapes(net);
    let mut changed = 0;
    for place in net.places_of(&["AveragePool", "ReduceMean"]) {
        let whole = net.node(place).and_then(|node| {
            if node.op_type == "AveragePool" {
                pools_all(node, &shapes)
            } else {
                means_all(node, &shapes, net.opset())
            }
        });
        if whole == Some(true) {
            net.edit(place, |node| {
                node.op_type = "GlobalAveragePool".to_owned();
                node.attribute.clear();
                node.input.truncate(1);
            });
            changed += 1;
        }
    }
    changed
}

fn pools_all(node: &NodeProto, shapes: &Shapes) -> Option<bool> {
    let kernel = attribute::ints(node, "kernel_shape")?;
    let map = layer::spatial(shapes.dims(node.input.first()?)?)?;
    let padded = match node.attribute("pads") {
        Some(_) => attribute::ints(node, "pads")?.iter().any(|&pad| pad != 0),
        None => false,
    };
    let dilated = match node.attribute("dilations") {
        Some(_) => attribute::ints(node, "dilations")?.iter().any(|&step| step != 1),
        None => false,
    };
    let auto_pad = attribute::text(node, "auto_pad", "NOTSET")?;
    // Of one window that is as large as the map; with SAME there would be others beside it.
    let plain = !padded && !dilated && (auto_pad == "NOTSET" || auto_pad == "VALID");
    Some(plain && !map.is_empty() && kernel == map && map.iter().all(|&size| size > 0))
}

/// The mean over height and width that keeps the dimensions.
fn means_all(node: &NodeProto, shapes: &Shapes, opset: i64) -> Option<bool> {
    let rank = i64::try_from(shapes.dims(node.input.first()?)?.len()).ok()?;
    let mut axes = if opset < 18 {
        attribute::ints(node, "axes")?
    } else {
        let axes = shapes.facts(node.input.get(1)?)?.contents.as_ref()?;
        axes.iter().map(|axis| axis.known()).collect::<Option<_>>()?
    };
    for axis in &mut axes {
        if *axis < 0 {
            *axis = axis.checked_add(rank)?;
        }
    }
    axes.sort_unstable();
    // The mean of whole numbers is one of them.
    let is_f32 = shapes.facts(node.input.first()?)?.elem_type == data_type::FLOAT;
    Some(is_f32 && rank == 4 && axes == [2, 3] && attribute::int(node, "keepdims", 1)? == 1)
}

#[cfg(test)]
mod tests {
    use super::super::Pass;
    use super::super::testing::{after, model, node_with, operators};
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
