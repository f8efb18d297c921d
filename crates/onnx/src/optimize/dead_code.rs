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

#[cfg(test)]
mod tests {
    use super::super::Pass;
    use super::super::testing::{after, constant, model, node, operators};

    #[test]
    fn chains_that_lead_nowhere_go_with_their_constants() {
        let nodes = vec![
            node("Mul", &["x", "c"], "a"),
            node("Relu", &["a"], "b"),
            node("Mul", &["x", "d"], "y"),
        ];
        let constants = vec![constant("c", &[1]), constant("d", &[1]), constant("e", &[1])];
        let (graph, changed) = after(model(4, nodes, constants), Pass::DeadCode);
        assert_eq!((operators(&graph).as_str(), changed), ("Mul", 4));
        assert_eq!(graph.initializer.len(), 1);
    }

    #[test]
    fn operators_of_others_stay() {
        let mut other = node("Log", &["x"], "a");
        other.domain = "com.example".to_owned();
        let nodes = vec![other, node("Relu", &["x"], "y")];
        assert_eq!(after(model(4, nodes, Vec::new()), Pass::DeadCode).1, 0);
    }
}
