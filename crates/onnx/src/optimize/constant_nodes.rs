//! Turns `Constant` nodes into constants of the graph.

use crate::proto::{NodeProto, TensorProto, kind};

use super::net::Net;

pub(super) fn run(net: &mut Net) -> usize {
    net.change_each(&["Constant"], |net, place| {
        let mut made = None;
        net.edit(place, |node| made = take_value(node));
        let tensor = made?;
        net.remove(place);
        net.set_constant(tensor);
        Some(())
    })
}

/// Takes the value out of a node, if it is of a known kind.
fn take_value(node: &mut NodeProto) -> Option<TensorProto> {
    let ([name], [attribute]) = (node.output.as_slice(), node.attribute.as_mut_slice()) else {
        return None;
    };
    if name.is_empty() || !attribute.ref_attr_name.is_empty() {
        return None;
    }
    Some(match (attribute.name.as_str(), attribute.r#type) {
        ("value", kind::TENSOR) => TensorProto {
            name: name.clone(),
            ..attribute.t.take()?
        },
        ("value_float", kind::FLOAT) => TensorProto::of_f32(name, &[], &[attribute.f]),
        ("value_int", kind::INT) => TensorProto::of_i64(name, &[], &[attribute.i]),
        ("value_floats", kind::FLOATS) => {
            TensorProto::of_f32(name, &[attribute.floats.len() as i64], &attribute.floats)
        }
        ("value_ints", kind::INTS) => {
            TensorProto::of_i64(name, &[attribute.ints.len() as i64], &attribute.ints)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::Pass;
    use super::super::tests::{after, constant, model, node, node_with, operators, values};
    use crate::proto::{AttributeProto, kind};

    #[test]
    fn tensors_and_numbers_become_constants() {
        let tensor = AttributeProto {
            name: "value".to_owned(),
            t: Some(constant("", &[4, 1, 1])),
            r#type: kind::TENSOR,
            ..AttributeProto::default()
        };
        let nodes = vec![
            node_with("Constant", &[], "c", vec![tensor]),
            node_with(
                "Constant",
                &[],
                "d",
                vec![AttributeProto::float("value_float", 2.0)],
            ),
            node("Mul", &["x", "c"], "a"),
            node("Add", &["a", "d"], "y"),
        ];
        let (graph, changed) = after(model(4, nodes, Vec::new()), Pass::ConstantNodes);
        assert_eq!((operators(&graph).as_str(), changed), ("Mul Add", 2));
        assert_eq!(values(&graph, "a", 1), [0.5, 1.5, 2.5, 3.5]);
        assert_eq!(values(&graph, "y", 1), [2.0]);
    }

    #[test]
    fn what_is_not_understood_stays() {
        let nodes = vec![
            node_with("Constant", &[], "c", vec![AttributeProto::int("sparse_value", 1)]),
            node("Mul", &["x", "c"], "y"),
        ];
        assert_eq!(after(model(4, nodes, Vec::new()), Pass::ConstantNodes).1, 0);
    }
}
