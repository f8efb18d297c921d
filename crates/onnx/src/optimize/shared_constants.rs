//! Merges constants of the same type, shape and values.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::proto::TensorProto;

use super::net::Net;

pub(super) fn run(net: &mut Net) -> usize {
    let mut firsts: HashMap<(i32, &[i64], &[u8]), &String> = HashMap::new();
    // Those equal to an earlier one.
    let mut same: Vec<(String, String)> = Vec::new();
    for name in net.constants.keys() {
        let Some(tensor) = net.constant(name).filter(|tensor| is_plain(tensor)) else {
            continue;
        };
        let key = (
            tensor.data_type,
            tensor.dims.as_slice(),
            tensor.raw_data.as_slice(),
        );
        let first = *firsts.entry(key).or_insert(name);
        if first != name && net.is_inner(name) {
            same.push((name.clone(), first.clone()));
        }
    }
    let mut merged = HashSet::new();
    for (name, first) in same {
        let readers: BTreeSet<usize> = net.readers(&name).collect();
        if net.rename(&readers, &name, &first).is_some() {
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
    use super::super::tests::{after, constant, model, node};

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
