//! A compiled expression.

use otlp::{Batch, Depth};

use crate::error::ExprError;
use crate::node::{InBatch, Node};
use crate::plan::{self, Plan};
use crate::types::Type;
use crate::{Environment, Value, compile, limits, parser};

/// What an expression reads: it yields the same for all records that have this in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Nothing, or only resources.
    Resource,
    /// Scopes, and perhaps resources.
    Scope,
    /// Records.
    Record,
}

/// An expression, compiled once and evaluated for any number of records.
///
/// Evaluating never fails: what is absent is null (see the crate's page). The common case allocates nothing; joining texts,
/// changing their case, lists of computed elements, and ids that are used as texts other than by `==` and `!=` do.
///
/// ```
/// use aldis_expr::{Environment, Expression};
/// use otlp::Signal;
///
/// let slow = Expression::condition("duration_ns > duration(\"250ms\") && !is_root", &Environment::of(Signal::Traces));
/// assert!(slow.is_ok());
///
/// let errors = Expression::condition("duration_n > 5", &Environment::of(Signal::Traces)).unwrap_err();
/// assert_eq!(errors[0].suggestion.as_deref(), Some("duration_ns"));
/// ```
#[derive(Clone, Debug)]
pub struct Expression {
    source: Box<str>,
    r#type: Type,
    level: Level,
    needs: Depth,
    pub(crate) plan: Plan,
}

impl Expression {
    /// Compiles an expression of any type.
    ///
    /// # Errors
    /// All that is certainly wrong, in the order of the source, at least one.
    pub fn compile(source: &str, environment: &Environment) -> Result<Expression, Vec<ExprError>> {
        Self::checked(source, environment, false)
    }

    /// Compiles an expression that decides something: it must be a bool, or dynamic.
    ///
    /// # Errors
    /// As [`Expression::compile`]; also where the expression can never be true or false.
    pub fn condition(source: &str, environment: &Environment) -> Result<Expression, Vec<ExprError>> {
        Self::checked(source, environment, true)
    }

    fn checked(
        source: &str,
        environment: &Environment,
        condition: bool,
    ) -> Result<Expression, Vec<ExprError>> {
        let ast = parser::parse(source).map_err(|fault| vec![fault.locate(source)])?;
        let (node, r#type) = compile::compile(&ast, environment, condition).map_err(|mut faults| {
            faults.sort_by_key(|fault| fault.at.start);
            faults.truncate(limits::MAX_ERRORS);
            faults.into_iter().map(|fault| fault.locate(source)).collect::<Vec<_>>()
        })?;
        let level = node.level().unwrap_or(Level::Resource);
        let needs = if node.reads_attributes() { Depth::Attributes } else { Depth::Records };
        Ok(Expression { source: source.into(), r#type, level, needs, plan: plan::plan(node) })
    }

    /// What it was compiled from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The type of what it yields, where there is anything.
    pub fn r#type(&self) -> Type {
        self.r#type
    }

    /// What it reads. An expression that reads nothing is said to read resources.
    pub fn level(&self) -> Level {
        self.level
    }

    /// How deep the index of a batch must be.
    pub fn needs(&self) -> Depth {
        self.needs
    }

    /// What it yields for record `record` of the batch.
    ///
    /// # Panics
    /// If the batch is of another signal than the environment's, is indexed less deep than [`Expression::needs`], or has no
    /// such record.
    pub fn evaluate<'a>(&'a self, batch: &'a Batch, record: usize) -> Value<'a> {
        self.plan.root.value(InBatch { batch, record, shared: &[] })
    }

    /// Whether it is true for record `record` of the batch; null and values that are no bool are not.
    ///
    /// For many records of a batch [`Expression::select`] is faster.
    ///
    /// # Panics
    /// As [`Expression::evaluate`].
    pub fn matches(&self, batch: &Batch, record: usize) -> bool {
        self.root().truth(InBatch { batch, record, shared: &[] }) == Some(true)
    }

    /// The value of an expression that reads nothing: literals and what is computed of them.
    pub fn constant(&self) -> Option<&Value<'static>> {
        match self.root() {
            Node::Constant(value) => Some(value),
            _ => None,
        }
    }

    fn root(&self) -> &Node {
        &self.plan.root
    }
}
