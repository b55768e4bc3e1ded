//! An expression as it was written.

use crate::Value;
use crate::error::Position;

/// One operation, where it stands, and how deep it goes.
#[derive(Debug)]
pub(crate) struct Ast {
    pub(crate) at: Position,
    pub(crate) depth: usize,
    pub(crate) kind: AstKind,
}

/// What is done.
#[derive(Debug)]
pub(crate) enum AstKind {
    /// A literal.
    Literal(Value<'static>),
    /// A name.
    Name(String),
    /// `base.name`, with the place of the name.
    Select(Box<Ast>, String, Position),
    /// `base[index]`.
    Index(Box<Ast>, Box<Ast>),
    /// `name(arguments)` or `target.name(arguments)`, with the place of the name.
    Call(Option<Box<Ast>>, String, Position, Vec<Ast>),
    /// `[elements]`.
    List(Vec<Ast>),
    /// `!operand`.
    Not(Box<Ast>),
    /// `-operand`.
    Negate(Box<Ast>),
    /// Two or more operands joined by `&&`.
    And(Vec<Ast>),
    /// Two or more operands joined by `||`.
    Or(Vec<Ast>),
    /// `condition ? then : otherwise`.
    If(Box<[Ast; 3]>),
    /// `left operator right`.
    Binary(Binary, Box<Ast>, Box<Ast>),
}

/// An operator between two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binary {
    /// `==` `!=` `<` `<=` `>` `>=`
    Compare(Comparison),
    /// `+` `-` `*` `/` `%`
    Arithmetic(Arithmetic),
    /// `in`
    In,
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Comparison::Equal => "==",
            Comparison::NotEqual => "!=",
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
        }
    }

    pub(crate) fn is_equality(self) -> bool {
        matches!(self, Comparison::Equal | Comparison::NotEqual)
    }

    /// The comparison that says the same with its operands exchanged.
    pub(crate) fn flipped(self) -> Self {
        match self {
            Comparison::Less => Comparison::Greater,
            Comparison::LessOrEqual => Comparison::GreaterOrEqual,
            Comparison::Greater => Comparison::Less,
            Comparison::GreaterOrEqual => Comparison::LessOrEqual,
            same => same,
        }
    }
}

/// An arithmetic operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Arithmetic {
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Arithmetic::Add => "+",
            Arithmetic::Subtract => "-",
            Arithmetic::Multiply => "*",
            Arithmetic::Divide => "/",
            Arithmetic::Remainder => "%",
        }
    }
}
