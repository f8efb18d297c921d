//! Averaging over the whole map becomes `GlobalAveragePool`, which works on blocks of channels.

use crate::onnx::proto::{NodeProto, attribute};
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
    Some(rank == 4 && axes == [2, 3] && attribute::int(node, "keepdims", 1)? == 1)
}
