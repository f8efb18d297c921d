//! Removes nodes and constants that nothing reads.

use super::net::Net;

pub(super) fn run(net: &mut Net) -> usize {
    let mut changed = 0;
    for place in net.places().into_iter().rev() {
        let is_dead = net.node(place).is_some_and(|node| {
            let mut outputs = node.output.iter().filter(|output| !output.is_empty());
            // Custom operators may have side effects.
            node.is_standard() && outputs.all(|output| !net.is_read(output))
        });
        if is_dead {
            net.remove(place);
            changed += 1;
        }
    }
    let mut constants = std::mem::take(&mut net.constants);
    let before = constants.len();
    constants.retain(|name, _| net.is_read(name));
    changed += before - constants.len();
    net.constants = constants;
    changed
}

#[cfg(test)]
mod tests {
    use super::super::Pass;
    use super::super::tests::{after, constant, model, node, operators};

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
