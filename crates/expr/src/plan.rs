//! From an operation per record to an operation per resource, per scope, and per record: what is the same for many
//! records is evaluated once for them, and cheap operands of `&&` and `||` before dear ones.

use crate::Level;
use crate::node::Node;

/// A compiled expression with its shared parts numbered.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) root: Node,
    /// How many parts are shared by the records of a resource or scope.
    pub(crate) slots: usize,
}

/// Makes the plan.
pub(crate) fn plan(mut root: Node) -> Plan {
    let mut slots = 0;
    share(&mut root, &mut slots);
    order(&mut root);
    Plan { root, slots }
}

/// Wraps the largest parts that do not read the record.
fn share(node: &mut Node, slots: &mut usize) {
    match node.level() {
        None => {}
        Some(Level::Record) => node.operands_mut().iter_mut().for_each(|operand| share(operand, slots)),
        Some(level) => {
            let inner = std::mem::replace(node, Node::Constant(crate::Value::Null));
            *node = Node::Shared(*slots, level, Box::new(inner));
            *slots += 1;
        }
    }
}

/// Sorts the operands of `&&` and `||` by cost. Three-valued truth does not depend on their order.
fn order(node: &mut Node) {
    node.operands_mut().iter_mut().for_each(order);
    if let Node::And(operands) | Node::Or(operands) = node {
        operands.sort_by_key(cost);
    }
}

/// A rough measure, in steps of about a nanosecond.
fn cost(node: &Node) -> u32 {
    let own = match node {
        Node::Shared(..) => return 1,
        Node::Constant(_) => 0,
        Node::Field(_) | Node::IsId(..) | Node::CompareConstant(..) | Node::Compare(..) => 2,
        Node::Attribute(..) | Node::HasAttribute(..) | Node::Attributes(_) => 10,
        Node::Matches(..) => 60,
        Node::Call(..) | Node::In(_) | Node::InSet(..) | Node::Index(_) | Node::Has(_) => 15,
        Node::List(_) => 40,
        _ => 1,
    };
    node.operands().iter().map(cost).fold(own, u32::saturating_add)
}
