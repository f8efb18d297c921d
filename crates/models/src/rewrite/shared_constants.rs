//! Constants of the same type, shape and values become one.

use std::collections::{BTreeSet, HashMap};

use crate::onnx::proto::TensorProto;

use super::net::Net;

pub(super) fn run(net: &mut Net) -> usize {
    let mut firsts: HashMap<(i32, &[i64], &[u8]), &str> = HashMap::new();
    let mut same: Vec<(String, String)> = Vec::new();
    for name in net.constant_names() {
        let Some(tensor) = net.constant(name).filter(|tensor| is_plain(tensor)) else {
            continue;
        };
        let key = (
            tensor.data_type,
            tensor.dims.as_slice(),
            tensor.raw_data.as_slice(),
        );
        match firsts.get(&key) {
            Some(&first) if net.is_inner(name) => same.push((name.clone(), first.to_owned())),
            Some(_) => {}
            None => {
                firsts.insert(key, name);
            }
        }
    }
    for (name, first) in &same {
        let readers: BTreeSet<usize> = net.readers(name).collect();
        for place in readers {
            net.edit(place, |node| {
                for input in node.input.iter_mut().filter(|input| *input == name) {
                    input.clone_from(first);
                }
            });
        }
        net.remove_constant(name);
    }
    net.forget_removed_constants();
    same.len()
}

/// Whether its bytes are all there is of it.
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
