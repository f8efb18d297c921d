//! `Constant` nodes become constants of the graph.

use crate::onnx::proto::{NodeProto, TensorProto, kind};

use super::net::Net;

pub(super) fn run(net: &mut Net) -> usize {
    let mut changed = 0;
    for place in net.places_of(&["Constant"]) {
        let mut made = None;
        net.edit(place, |node| made = take_value(node));
        if let Some(tensor) = made {
            net.remove(place);
            net.add_constant(tensor);
            changed += 1;
        }
    }
    changed
}

/// What the node makes, where it says so in a way that is understood; a tensor is taken out of it.
fn take_value(node: &mut NodeProto) -> Option<TensorProto> {
    let ([name], [attribute]) = (node.output.as_slice(), node.attribute.as_mut_slice()) else {
        return None;
    };
    if name.is_empty() || !attribute.ref_attr_name.is_empty() {
        return None;
    }
    let length = |length: usize| i64::try_from(length).ok();
    Some(match (attribute.name.as_str(), attribute.r#type) {
        ("value", kind::TENSOR) => TensorProto {
            name: name.clone(),
            ..attribute.t.take()?
        },
        ("value_float", kind::FLOAT) => TensorProto::of_f32(name, &[], &[attribute.f]),
        ("value_int", kind::INT) => TensorProto::of_i64(name, &[], &[attribute.i]),
        ("value_floats", kind::FLOATS) => {
            TensorProto::of_f32(name, &[length(attribute.floats.len())?], &attribute.floats)
        }
        ("value_ints", kind::INTS) => {
            TensorProto::of_i64(name, &[length(attribute.ints.len())?], &attribute.ints)
        }
        _ => return None,
    })
}
