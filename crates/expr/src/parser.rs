//! Tokens into a tree, by precedence climbing. The grammar is CEL's, less map and message literals.

use std::borrow::Cow;

use crate::Value;
use crate::ast::{Arithmetic, Ast, AstKind, Binary, Comparison};
use crate::error::{Fault, Position};
use crate::lexer::{self, Token};
use crate::limits;

/// Words that CEL keeps for other languages' sake.
const RESERVED: [&str; 17] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// Parses a whole source.
pub(crate) fn parse(source: &str) -> Result<Ast, Fault> {
    if source.len() > limits::MAX_SOURCE_BYTES {
        let at = Position { start: limits::MAX_SOURCE_BYTES, end: source.len() };
        let message = format!("an expression has at most {} bytes; split it", limits::MAX_SOURCE_BYTES);
        // The place may lie inside a character: point at the start instead.
        return Err(Fault::new(
            if source.is_char_boundary(at.start) { at } else { Position { start: 0, end: 0 } },
            message,
        ));
    }
    let mut parser = Parser { tokens: lexer::tokens(source)?, next: 0, nesting: 0 };
    let ast = parser.expression()?;
    match parser.peek() {
        Token::End => Ok(ast),
        _ => Err(parser.expected("an operator or the end")),
    }
}

struct Parser {
    tokens: Vec<(Token, Position)>,
    next: usize,
    nesting: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.next].0
    }

    fn place(&self) -> Position {
        self.tokens[self.next].1
    }

    fn last(&self) -> Position {
        self.tokens[self.next.saturating_sub(1)].1
    }

    fn advance(&mut self) -> Token {
        let token = self.tokens[self.next].0.clone();
        // The end stays where it is, however often it is read.
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        token
    }

    fn accept(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Token::Symbol(s) if *s == symbol);
        if found {
            self.advance();
        }
        found
    }

    fn expect(&mut self, symbol: &'static str) -> Result<(), Fault> {
        if self.accept(symbol) { Ok(()) } else { Err(self.expected(&format!("`{symbol}`"))) }
    }

    fn expected(&self, what: &str) -> Fault {
        let (token, at) = &self.tokens[self.next];
        let found = match token {
            Token::End => "the expression ends".to_owned(),
            Token::Name(name) if name == "and" || name == "or" => {
                let symbol = if name == "and" { "&&" } else { "||" };
                return Fault::new(*at, format!("`{name}` is written `{symbol}`"))
                    .suggest(Some(symbol.to_owned()));
            }
            Token::Name(name) => format!("`{name}` stands"),
            Token::Symbol(symbol) => format!("`{symbol}` stands"),
            Token::Int(_) | Token::Double(_) => "a number stands".to_owned(),
            Token::String(_) | Token::Bytes(_) => "a text stands".to_owned(),
        };
        Fault::new(*at, format!("{found} where {what} was expected"))
    }

    /// Makes a node, unless the tree grows too deep.
    fn node(at: Position, kind: AstKind) -> Result<Ast, Fault> {
        let deepest = |list: &[Ast]| list.iter().map(|a| a.depth).max().unwrap_or(0);
        let below = match &kind {
            AstKind::Literal(_) | AstKind::Name(_) => 0,
            AstKind::Select(base, ..) => base.depth,
            AstKind::Not(operand) | AstKind::Negate(operand) => operand.depth,
            AstKind::Index(left, right) | AstKind::Binary(_, left, right) => left.depth.max(right.depth),
            AstKind::Call(target, _, _, arguments) => {
                target.as_ref().map_or(0, |t| t.depth).max(deepest(arguments))
            }
            AstKind::List(list) | AstKind::And(list) | AstKind::Or(list) => deepest(list),
            AstKind::If(three) => deepest(three.as_slice()),
        };
        if below >= limits::MAX_DEPTH { Err(too_deep(at)) } else { Ok(Ast { at, depth: below + 1, kind }) }
    }

    /// Runs `inner` one level of recursion deeper.
    fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        self.nesting += 1;
        let result = if self.nesting > limits::MAX_DEPTH { Err(too_deep(self.place())) } else { inner(self) };
        self.nesting -= 1;
        result
    }

    fn expression(&mut self) -> Result<Ast, Fault> {
        self.nested(|parser| {
            let condition = parser.disjunction()?;
            if !parser.accept("?") {
                return Ok(condition);
            }
            let then = parser.disjunction()?;
            parser.expect(":")?;
            let otherwise = parser.expression()?;
            let at = condition.at.to(otherwise.at);
            Self::node(at, AstKind::If(Box::new([condition, then, otherwise])))
        })
    }

    fn disjunction(&mut self) -> Result<Ast, Fault> {
        self.chain("||", Self::conjunction, AstKind::Or)
    }

    fn conjunction(&mut self) -> Result<Ast, Fault> {
        self.chain("&&", |parser| parser.binary(0), AstKind::And)
    }

    fn chain(
        &mut self,
        symbol: &str,
        operand: impl Fn(&mut Self) -> Result<Ast, Fault>,
        kind: impl Fn(Vec<Ast>) -> AstKind,
    ) -> Result<Ast, Fault> {
        let first = operand(self)?;
        let mut operands = vec![first];
        while self.accept(symbol) {
            operands.push(operand(self)?);
        }
        if operands.len() == 1 {
            return Ok(operands.swap_remove(0));
        }
        let at = operands[0].at.to(self.last());
        Self::node(at, kind(operands))
    }

    /// Operators that bind at least as strongly as `level`: 0 relations, 1 sums, 2 products. All are left-associative.
    fn binary(&mut self, level: u8) -> Result<Ast, Fault> {
        let mut left = self.unary()?;
        while let Some((operator, strength)) =
            operator(self.peek()).filter(|(_, strength)| *strength >= level)
        {
            self.advance();
            let right = self.binary(strength + 1)?;
            left =
                Self::node(left.at.to(right.at), AstKind::Binary(operator, Box::new(left), Box::new(right)))?;
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Ast, Fault> {
        let at = self.place();
        if self.accept("!") {
            let operand = self.nested(Self::unary)?;
            return Self::node(at.to(operand.at), AstKind::Not(Box::new(operand)));
        }
        if self.accept("-") {
            if let Token::Int(magnitude) = *self.peek() {
                // The sign belongs to the literal, or the smallest integer could not be written.
                self.advance();
                let literal = Value::Int(0i64.wrapping_sub_unsigned(magnitude));
                let literal = Self::node(at.to(self.last()), AstKind::Literal(literal))?;
                return self.members(literal);
            }
            let operand = self.nested(Self::unary)?;
            return Self::node(at.to(operand.at), AstKind::Negate(Box::new(operand)));
        }
        let primary = self.primary()?;
        self.members(primary)
    }

    /// What may follow a primary: `.name`, `.name(…)`, `[…]`.
    fn members(&mut self, mut base: Ast) -> Result<Ast, Fault> {
        loop {
            if self.accept(".") {
                let at = self.place();
                let Token::Name(name) = self.peek().clone() else {
                    return Err(self.expected("a name"));
                };
                self.advance();
                base = if self.accept("(") {
                    let arguments = self.list(")")?;
                    let whole = base.at.to(self.last());
                    Self::node(whole, AstKind::Call(Some(Box::new(base)), name, at, arguments))?
                } else {
                    Self::node(base.at.to(at), AstKind::Select(Box::new(base), name, at))?
                };
            } else if self.accept("[") {
                let index = self.expression()?;
                self.expect("]")?;
                base = Self::node(base.at.to(self.last()), AstKind::Index(Box::new(base), Box::new(index)))?;
            } else {
                return Ok(base);
            }
        }
    }

    fn primary(&mut self) -> Result<Ast, Fault> {
        let at = self.place();
        let literal = match self.peek().clone() {
            Token::Name(name) => return self.name(name, at),
            Token::Symbol("(") => {
                self.advance();
                let mut inner = self.expression()?;
                self.expect(")")?;
                inner.at = at.to(self.last());
                return Ok(inner);
            }
            Token::Symbol("[") => {
                self.advance();
                let elements = self.list("]")?;
                return Self::node(at.to(self.last()), AstKind::List(elements));
            }
            Token::Symbol("{") => return Err(Fault::new(at, "there are no map literals here")),
            Token::Int(magnitude) => match i64::try_from(magnitude) {
                Ok(value) => Value::Int(value),
                Err(_) => return Err(Fault::new(at, "this is no integer of 64 bits with sign")),
            },
            Token::Double(value) => Value::Double(value),
            Token::String(text) => Value::String(Cow::Owned(text)),
            Token::Bytes(bytes) => Value::Bytes(Cow::Owned(bytes)),
            Token::Symbol(_) | Token::End => return Err(self.expected("a value")),
        };
        self.advance();
        Self::node(at, AstKind::Literal(literal))
    }

    fn name(&mut self, name: String, at: Position) -> Result<Ast, Fault> {
        let literal = match name.as_str() {
            "null" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "in" => return Err(self.expected("a value")),
            "not" => {
                return Err(Fault::new(at, "`not` is written `!`").suggest(Some("!".to_owned())));
            }
            reserved if RESERVED.contains(&reserved) => {
                return Err(Fault::new(at, format!("`{name}` is a reserved word and names nothing")));
            }
            _ => {
                self.advance();
                if !self.accept("(") {
                    return Self::node(at, AstKind::Name(name));
                }
                let arguments = self.list(")")?;
                return Self::node(at.to(self.last()), AstKind::Call(None, name, at, arguments));
            }
        };
        self.advance();
        Self::node(at, AstKind::Literal(literal))
    }

    /// Expressions between commas, up to and with `close`. A comma may stand behind the last element of a list.
    fn list(&mut self, close: &'static str) -> Result<Vec<Ast>, Fault> {
        let mut elements = Vec::new();
        loop {
            if (elements.is_empty() || close == "]") && self.accept(close) {
                return Ok(elements);
            }
            elements.push(self.expression()?);
            if !self.accept(",") {
                self.expect(close)?;
                return Ok(elements);
            }
        }
    }
}

fn too_deep(at: Position) -> Fault {
    Fault::new(at, format!("nested more than {} levels deep; simplify the expression", limits::MAX_DEPTH))
}

fn operator(token: &Token) -> Option<(Binary, u8)> {
    use Binary::{Arithmetic as A, Compare as C};
    Some(match token {
        Token::Name(name) if name == "in" => (Binary::In, 0),
        Token::Symbol("==") => (C(Comparison::Equal), 0),
        Token::Symbol("!=") => (C(Comparison::NotEqual), 0),
        Token::Symbol("<") => (C(Comparison::Less), 0),
        Token::Symbol("<=") => (C(Comparison::LessOrEqual), 0),
        Token::Symbol(">") => (C(Comparison::Greater), 0),
        Token::Symbol(">=") => (C(Comparison::GreaterOrEqual), 0),
        Token::Symbol("+") => (A(Arithmetic::Add), 1),
        Token::Symbol("-") => (A(Arithmetic::Subtract), 1),
        Token::Symbol("*") => (A(Arithmetic::Multiply), 2),
        Token::Symbol("/") => (A(Arithmetic::Divide), 2),
        Token::Symbol("%") => (A(Arithmetic::Remainder), 2),
        _ => return None,
    })
}
