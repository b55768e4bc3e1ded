//! From what was written to what is done: names are resolved, types checked, literals folded.

use crate::ast::{Arithmetic, Ast, AstKind, Binary, Comparison};
use crate::environment::{Environment, Id, Read, Row};
use crate::error::{Fault, Position};
use crate::node::{Node, Nowhere};
use crate::set::LiteralSet;
use crate::types::Type;
use crate::value::List;
use crate::{Value, limits};

mod call;
mod name;

/// Compiles a whole expression; with `condition` it must be able to be true.
pub(crate) fn compile(
    ast: &Ast,
    environment: &Environment,
    condition: bool,
) -> Result<(Node, Type), Vec<Fault>> {
    let mut compiler = Compiler { environment, faults: Vec::new() };
    let typed = compiler.expression(ast);
    if condition && compiler.faults.is_empty() && !typed.r#type.may_be(Type::Bool) {
        let message =
            format!("this is {}, and a condition is true or false; compare it with something", typed.r#type);
        compiler.fault(ast.at, message);
    }
    if compiler.faults.is_empty() { Ok((typed.node, typed.r#type)) } else { Err(compiler.faults) }
}

struct Compiler<'e> {
    environment: &'e Environment,
    faults: Vec<Fault>,
}

/// An operation and the type of what it yields.
#[derive(Debug)]
struct Typed {
    node: Node,
    r#type: Type,
}

impl Typed {
    fn new(node: Node, r#type: Type) -> Self {
        Self { node, r#type }
    }

    fn constant(value: Value<'static>) -> Self {
        let r#type = Type::of(&value);
        Self::new(Node::Constant(value), r#type)
    }

    /// What stands for an operation that is at fault: of every type, so that the fault is reported once.
    fn unknown() -> Self {
        // Not a constant, which would be folded into faults of its own; it is never evaluated.
        Self::new(Node::List(Vec::new()), Type::Dynamic)
    }
}

impl Compiler<'_> {
    fn fault(&mut self, at: Position, message: impl Into<String>) -> Typed {
        self.faults.push(Fault::new(at, message));
        Typed::unknown()
    }

    fn suggest(&mut self, at: Position, message: impl Into<String>, suggestion: Option<String>) -> Typed {
        self.faults.push(Fault::new(at, message).suggest(suggestion));
        Typed::unknown()
    }

    fn expression(&mut self, ast: &Ast) -> Typed {
        match &ast.kind {
            AstKind::Literal(value) => Typed::constant(value.clone()),
            AstKind::Name(_) | AstKind::Select(..) => self.path_or_select(ast),
            AstKind::Index(base, index) => self.index(base, index),
            AstKind::Call(target, name, at, arguments) => {
                self.call(target.as_deref(), name, *at, arguments, ast.at)
            }
            AstKind::List(elements) => {
                let elements = elements.iter().map(|element| self.expression(element).node).collect();
                fold(Node::List(elements), Type::List)
            }
            AstKind::Not(operand) => {
                let typed = self.truth(operand, "!");
                fold(Node::Not(Box::new(typed.node)), Type::Bool)
            }
            AstKind::Negate(operand) => {
                let typed = self.expression(operand);
                if typed.r#type != Type::Dynamic && !typed.r#type.is_number() {
                    return self
                        .fault(operand.at, format!("`-` needs a number, and this is {}", typed.r#type));
                }
                fold(Node::Negate(Box::new(typed.node)), typed.r#type)
            }
            AstKind::And(operands) => self.logic(operands, "&&", Node::And, false),
            AstKind::Or(operands) => self.logic(operands, "||", Node::Or, true),
            AstKind::If(branches) => self.conditional(branches),
            AstKind::Binary(Binary::Compare(comparison), left, right) => {
                self.comparison(*comparison, left, right, ast.at)
            }
            AstKind::Binary(Binary::Arithmetic(operator), left, right) => {
                self.arithmetic(*operator, left, right, ast.at)
            }
            AstKind::Binary(Binary::In, needle, hay) => self.membership(needle, hay),
        }
    }

    /// An operand that has to be true or false.
    fn truth(&mut self, ast: &Ast, operator: &str) -> Typed {
        let typed = self.expression(ast);
        if typed.r#type.may_be(Type::Bool) {
            return typed;
        }
        let message = format!(
            "`{operator}` needs true or false, and this is {}; compare it with something",
            typed.r#type
        );
        self.fault(ast.at, message)
    }

    fn logic(
        &mut self,
        operands: &[Ast],
        symbol: &str,
        kind: fn(Vec<Node>) -> Node,
        decisive: bool,
    ) -> Typed {
        let mut nodes: Vec<Node> = operands.iter().map(|operand| self.truth(operand, symbol).node).collect();
        let truth = |node: &Node| match node {
            Node::Constant(value) => value.as_bool(),
            _ => None,
        };
        if self.faults.is_empty() && nodes.iter().any(|node| truth(node) == Some(decisive)) {
            return Typed::constant(Value::Bool(decisive));
        }
        nodes.retain(|node| truth(node) != Some(!decisive));
        fold(kind(nodes), Type::Bool)
    }

    fn conditional(&mut self, branches: &[Ast; 3]) -> Typed {
        let [condition, then, otherwise] = branches;
        let condition = self.truth(condition, "?");
        let then = self.expression(then);
        let otherwise = self.expression(otherwise);
        let r#type = match (then.r#type, otherwise.r#type) {
            (then, otherwise) if then == otherwise => then,
            (Type::Null, other) | (other, Type::Null) => other,
            _ => Type::Dynamic,
        };
        match &condition.node {
            Node::Constant(Value::Bool(true)) => then,
            Node::Constant(Value::Bool(false)) => otherwise,
            _ => fold(Node::If(Box::new([condition.node, then.node, otherwise.node])), r#type),
        }
    }

    fn comparison(&mut self, comparison: Comparison, left: &Ast, right: &Ast, at: Position) -> Typed {
        let (left_at, right_at) = (left.at, right.at);
        let (left, right) = (self.expression(left), self.expression(right));
        let (l, r) = (left.r#type, right.r#type);
        let sensible = if comparison.is_equality() { l.may_equal(r) } else { l.may_order(r) };
        if !sensible {
            let verb = if comparison.is_equality() { "are never equal" } else { "have no order" };
            let message = format!("`{}` compares {l} with {r}, which {verb}", comparison.symbol());
            return self.fault(at, format!("{message}{}", remedy(l, r)));
        }
        let (comparison, left, right, constant_at) = match (left.node, right.node) {
            (Node::Constant(constant), node) if !matches!(node, Node::Constant(_)) => {
                (comparison.flipped(), node, Node::Constant(constant), left_at)
            }
            (left, right) => (comparison, left, right, right_at),
        };
        match (left, right) {
            (Node::Field(Row { read: Read::Id(read), name, .. }), Node::Constant(Value::String(text)))
                if comparison.is_equality() =>
            {
                self.identity(comparison == Comparison::Equal, *read, name, &text, constant_at)
            }
            (left, Node::Constant(constant)) => {
                fold(Node::CompareConstant(comparison, Box::new(left), constant), Type::Bool)
            }
            (left, right) => fold(Node::Compare(comparison, Box::new([left, right])), Type::Bool),
        }
    }

    /// An id compared with a literal: as bytes.
    fn identity(
        &mut self,
        equal: bool,
        read: fn(&otlp::Batch, usize) -> Id,
        name: &str,
        text: &str,
        at: Position,
    ) -> Typed {
        let trace = name == "trace_id";
        let id = match (text, trace) {
            ("", _) => Some(Id { bytes: [0; 16], length: 0 }),
            (text, true) => otlp::TraceId::from_hex(text).map(|id| Id::new(id.0)),
            (text, false) => otlp::SpanId::from_hex(text).map(|id| Id::new(id.0)),
        };
        let lower = text.to_ascii_lowercase();
        match id {
            Some(id) if lower == text => Typed::new(Node::IsId(read, id, equal), Type::Bool),
            Some(_) => {
                let message = format!("`{name}` is written in lower case");
                self.suggest(at, message, Some(format!("\"{lower}\"")))
            }
            None => {
                let digits = if trace { 32 } else { 16 };
                self.fault(
                    at,
                    format!("`{name}` is {digits} hexadecimal digits, or \"\" where there is none"),
                )
            }
        }
    }

    fn arithmetic(&mut self, operator: Arithmetic, left: &Ast, right: &Ast, at: Position) -> Typed {
        let (left, right) = (self.expression(left), self.expression(right));
        let (l, r) = (left.r#type, right.r#type);
        let takes = |t: Type| match operator {
            Arithmetic::Add => {
                matches!(t, Type::Int | Type::Double | Type::String | Type::Bytes | Type::List)
            }
            Arithmetic::Remainder => t == Type::Int,
            _ => t.is_number(),
        };
        let sensible = |t: Type| t == Type::Dynamic || takes(t);
        if !(sensible(l) && sensible(r) && l.may_be(r)) {
            let message =
                format!("`{}` has no meaning between {l} and {r}{}", operator.symbol(), remedy(l, r));
            return self.fault(at, message);
        }
        let r#type = match (l, operator) {
            (_, Arithmetic::Remainder) => Type::Int,
            (Type::Dynamic, _) => r,
            _ => l,
        };
        fold(Node::Arithmetic(operator, Box::new([left.node, right.node])), r#type)
    }

    fn membership(&mut self, needle: &Ast, hay: &Ast) -> Typed {
        let typed = self.expression(needle);
        if let AstKind::List(elements) = &hay.kind {
            for element in elements {
                let known = self.faults.len();
                let r#type = self.expression(element).r#type;
                // The element is compiled once more below, with its list; its own faults are reported there.
                self.faults.truncate(known);
                if !typed.r#type.may_equal(r#type) {
                    self.fault(element.at, format!("{} is never equal to {}", typed.r#type, r#type));
                }
            }
        }
        let list = self.expression(hay);
        match list.r#type {
            Type::List | Type::Dynamic => {}
            Type::Map if typed.r#type.may_be(Type::String) => {}
            Type::Map => {
                return self
                    .fault(needle.at, format!("keys of a map are strings, and this is {}", typed.r#type));
            }
            other => {
                let message = format!("`in` needs a list or a map on its right, and this is {other}");
                return match other {
                    Type::String => {
                        self.fault(hay.at, format!("{message}; texts are searched with x.contains(y)"))
                    }
                    _ => self.fault(hay.at, message),
                };
            }
        }
        match (typed.node, list.node) {
            (Node::Constant(Value::String(key)), Node::Attributes(owner)) => {
                Typed::new(Node::HasAttribute(owner, key.into()), Type::Bool)
            }
            (needle, Node::Constant(Value::List(List::Owned(elements))))
                if elements.len() >= limits::MIN_SET_ELEMENTS =>
            {
                fold(Node::InSet(Box::new(needle), LiteralSet::new(elements.into_iter())), Type::Bool)
            }
            (needle, hay) => fold(Node::In(Box::new([needle, hay])), Type::Bool),
        }
    }

    fn index(&mut self, base: &Ast, index: &Ast) -> Typed {
        let base_typed = self.expression(base);
        let key = self.expression(index);
        let wanted = match base_typed.r#type {
            Type::Map => Type::String,
            Type::List => Type::Int,
            Type::Dynamic => Type::Dynamic,
            other => {
                let message = format!("{other} has no elements; `[…]` needs a list or a map");
                return self.fault(base.at, message);
            }
        };
        let usable = matches!(key.r#type, Type::String | Type::Int | Type::Dynamic);
        if !usable || !key.r#type.may_be(wanted) {
            let what =
                if wanted == Type::Int { "a place, counted from 0" } else { "a key, which is a string" };
            return self.fault(index.at, format!("between the brackets stands {what}, not {}", key.r#type));
        }
        match (base_typed.node, key.node) {
            (Node::Attributes(owner), Node::Constant(Value::String(key))) => {
                Typed::new(Node::Attribute(owner, key.into()), Type::Dynamic)
            }
            (base, key) => fold(Node::Index(Box::new([base, key])), Type::Dynamic),
        }
    }
}

/// What helps where two types do not go together.
fn remedy(left: Type, right: Type) -> &'static str {
    match (left, right) {
        (Type::Int, Type::Double) | (Type::Double, Type::Int) => "; convert the int with double(…)",
        (Type::String, other) | (other, Type::String) if other.is_number() => {
            "; convert one with string(…), int(…) or double(…)"
        }
        (Type::Null, _) | (_, Type::Null) => "; only `==` and `!=` take null",
        _ => "",
    }
}

/// Evaluates an operation on literals now.
fn fold(node: Node, r#type: Type) -> Typed {
    let known = |node: &Node| matches!(node, Node::Constant(_));
    if !node.operands().iter().all(known) || node.level().is_some() {
        return Typed::new(node, r#type);
    }
    let value = node.value(Nowhere).into_constant();
    Typed::new(Node::Constant(value), r#type)
}
