//! Nodes and constants that nothing reads are dropped.

use super::net::Net;

pub(super) fn run(net: &mut Net) -> usize {
    let mut changed = 0;
    for place in net.places().into_iter().rev() {
        let is_dead = net.node(place).is_some_and(|node| {
            // What operators of others do beside what they make is not known.
            let is_known = node.domain.is_empty() || node.domain == "ai.onnx";
            is_known
                && node
                    .output
                    .iter()
                    .all(|output| output.is_empty() || !net.is_read(output))
        });
        if is_dead {
            net.remove(place);
            changed += 1;
        }
    }
    let unread: Vec<String> = net
        .constant_names()
        .iter()
        .filter(|name| !net.is_read(name))
        .cloned()
        .collect();
    for name in &unread {
        net.remove_constant(name);
    }
    net.forget_removed_constants();
    changed + unread.len()
}
