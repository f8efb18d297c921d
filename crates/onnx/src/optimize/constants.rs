//! Turns `Constant` nodes into constants of the graph, and merges constants of the same type, shape and values.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::proto::{NodeProto, TensorProto, kind};

use super::net::Net;

pub(super) fn from_nodes(net: &mut Net) -> usize {
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

pub(super) fn share(net: &mut Net) -> usize {
    let mut firsts: HashMap<(i32, &[i64], &[u8]), usize> = HashMap::new();
    // Those equal to an earlier one, with its index: its name may be long.
    let mut same: Vec<(String, usize)> = Vec::new();
    for (index, name) in net.constants.keys().enumerate() {
        let Some(tensor) = net.constant(name).filter(|tensor| is_plain(tensor)) else {
            continue;
        };
        let key = (
            tensor.data_type,
            tensor.dims.as_slice(),
            tensor.raw_data.as_slice(),
        );
        let first = *firsts.entry(key).or_insert(index);
        if first != index && net.is_inner(name) {
            same.push((name.clone(), first));
        }
    }
    let mut merged = HashSet::new();
    for (name, first) in same {
        let readers: BTreeSet<usize> = net.readers(&name).collect();
        let first = net.constants.get_index(first).map(|(name, _)| name.clone());
        if net.rename(&readers, &name, &first.unwrap_or_default()).is_some() {
            merged.insert(name);
        }
    }
    net.constants.retain(|name, _| !merged.contains(name));
    merged.len()
}

/// Whether its raw bytes are all of its elements.
fn is_plain(tensor: &TensorProto) -> bool {
    tensor.data_location == 0
        && tensor.external_data.is_empty()
        && tensor.float_data.is_empty()
        && tensor.int32_data.is_empty()
        && tensor.int64_data.is_empty()
        && tensor.double_data.is_empty()
        && tensor.uint64_data.is_empty()
        && tensor.string_data.is_empty()
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

    #[test]
    fn the_same_values_are_kept_once() {
        let nodes = vec![
            node("Mul", &["x", "c"], "a"),
            node("Mul", &["a", "d"], "b"),
            node("Mul", &["b", "e"], "y"),
        ];
        let constants = vec![constant("c", &[1]), constant("d", &[1]), constant("e", &[1, 1])];
        let (graph, changed) = after(model(4, nodes, constants), Pass::SharedConstants);
        assert_eq!(changed, 1, "the third has another shape");
        assert_eq!(
            (graph.node[1].input[1].as_str(), graph.initializer.len()),
            ("c", 2)
        );
    }

    #[test]
    fn a_long_name_is_not_repeated_for_thousands_of_readers() {
        let names: Vec<String> = (0..2000).map(|number| format!("c{number}")).collect();
        let long = "n".repeat(10_000);
        let mut nodes = vec![node("Mul", &["x", &long], "y")];
        nodes.extend(
            names
                .iter()
                .map(|name| node("Mul", &["x", name], &format!("of {name}"))),
        );
        let mut constants = vec![constant(&long, &[1])];
        constants.extend(names.iter().map(|name| constant(name, &[1])));
        let (graph, changed) = after(model(4, nodes, constants), Pass::SharedConstants);
        let bytes: usize = graph
            .node
            .iter()
            .flat_map(|node| &node.input)
            .map(String::len)
            .sum();
        assert!(
            bytes < 5_000_000 && changed > 100,
            "{changed} changed, {bytes} bytes of names"
        );
    }

    #[test]
    fn the_same_bytes_of_different_types_or_elsewhere_are_not_the_same() {
        let nodes = vec![node("Mul", &["x", "c"], "a"), node("Mul", &["a", "d"], "y")];
        let mut other = constant("d", &[1]);
        other.data_type = 6;
        let constants = vec![constant("c", &[1]), other.clone()];
        assert_eq!(
            after(model(4, nodes.clone(), constants), Pass::SharedConstants).1,
            0
        );
        other.data_type = 1;
        other.data_location = 1;
        let constants = vec![constant("c", &[1]), other];
        assert_eq!(after(model(4, nodes, constants), Pass::SharedConstants).1, 0);
    }
}
