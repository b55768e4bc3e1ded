//! Calls of functions.

use regex::{Regex, RegexBuilder};

use super::{Compiler, Typed, fold};
use crate::ast::Ast;
use crate::error::{Position, nearest};
use crate::function::{self, Signature};
use crate::node::Node;
use crate::types::Type;
use crate::{Value, duration, limits};

/// Macros and functions of CEL that are left out, with what to do instead.
const ABSENT: [(&str, &str); 8] = [
    ("all", "there are no macros over lists"),
    ("exists", "there are no macros over lists; membership is `x in list`"),
    ("exists_one", "there are no macros over lists"),
    ("map", "there are no macros over lists"),
    ("filter", "there are no macros over lists"),
    ("uint", "there are no unsigned integers; use int(…)"),
    ("timestamp", "times are integers of Unix nanoseconds"),
    ("now", "expressions know no time"),
];

impl Compiler<'_> {
    pub(super) fn call(
        &mut self,
        target: Option<&Ast>,
        name: &str,
        name_at: Position,
        arguments: &[Ast],
        at: Position,
    ) -> Typed {
        match name {
            "has" if target.is_none() => return self.has(arguments, at),
            "duration" if target.is_none() => return self.duration(arguments, at),
            "matches" => {
                let operands: Vec<&Ast> = target.into_iter().chain(arguments).collect();
                return self.matches(&operands, at);
            }
            _ => {}
        }
        let Some(signature) = function::signature(name) else {
            return self.no_function(name, name_at);
        };
        if (target.is_some() && !signature.method) || (target.is_none() && !signature.global) {
            return self.fault(name_at, format!("`{name}` is called as {}", signature.usage()));
        }
        let operands: Vec<&Ast> = target.into_iter().chain(arguments).collect();
        self.function(signature, &operands, at)
    }

    fn function(&mut self, signature: &Signature, operands: &[&Ast], at: Position) -> Typed {
        if operands.len() != signature.parameters.len() {
            for operand in operands {
                self.expression(operand);
            }
            return self.fault(at, format!("`{}` is called as {}", signature.name, signature.usage()));
        }
        let mut nodes = [Node::Constant(Value::Null), Node::Constant(Value::Null)];
        for ((operand, takes), node) in operands.iter().zip(signature.parameters).zip(&mut nodes) {
            let typed = self.expression(operand);
            if typed.r#type != Type::Dynamic && !takes.contains(&typed.r#type) {
                let takes: Vec<String> = takes.iter().map(Type::to_string).collect();
                let takes = takes.join(" or ");
                self.fault(
                    operand.at,
                    format!("`{}` takes {takes}, and this is {}", signature.name, typed.r#type),
                );
            }
            *node = typed.node;
        }
        fold(Node::Call(signature.function, Box::new(nodes)), signature.result)
    }

    fn no_function(&mut self, name: &str, at: Position) -> Typed {
        if let Some((_, remedy)) = ABSENT.iter().find(|(absent, _)| *absent == name) {
            return self.fault(at, format!("no function `{name}`: {remedy}"));
        }
        let names = function::SIGNATURES.iter().map(|signature| signature.name).chain(function::SPECIAL);
        let suggestion = nearest(name, names);
        self.suggest(at, format!("no function `{name}`"), suggestion)
    }

    fn has(&mut self, arguments: &[Ast], at: Position) -> Typed {
        const USAGE: &str = "`has` asks for an element of a map or list: has(attributes[\"key\"])";
        let [argument] = arguments else {
            return self.fault(at, USAGE);
        };
        let before = self.faults.len();
        let typed = self.expression(argument);
        match typed.node {
            Node::Attribute(owner, key) => Typed::new(Node::HasAttribute(owner, key), Type::Bool),
            Node::Index(operands) => fold(Node::Has(operands), Type::Bool),
            _ if self.faults.len() > before => Typed::unknown(),
            Node::Field(row) => self.fault(argument.at, format!("`{}` is always there; {USAGE}", row.name)),
            _ => self.fault(argument.at, USAGE),
        }
    }

    fn duration(&mut self, arguments: &[Ast], at: Position) -> Typed {
        let literal = match arguments {
            [argument] => match self.expression(argument).node {
                Node::Constant(Value::String(text)) => Some((text, argument.at)),
                _ => None,
            },
            _ => None,
        };
        let Some((text, text_at)) = literal else {
            return self.fault(at, "`duration` takes a literal: duration(\"1.5s\")");
        };
        match duration::parse(&text) {
            Some(nanoseconds) => Typed::constant(Value::Int(nanoseconds)),
            None => {
                let message =
                    "this is no duration; write numbers with h, m, s, ms, us or ns: \"1h30m\", \"250ms\"";
                self.fault(text_at, message)
            }
        }
    }

    fn matches(&mut self, operands: &[&Ast], at: Position) -> Typed {
        let [text, pattern] = operands else {
            return self
                .fault(at, "`matches` is called as x.matches(\"pattern\") or matches(x, \"pattern\")");
        };
        let typed = self.expression(text);
        if !typed.r#type.may_be(Type::String) {
            self.fault(text.at, format!("`matches` takes a string, and this is {}", typed.r#type));
        }
        let before = self.faults.len();
        let source = match self.expression(pattern).node {
            Node::Constant(Value::String(source)) => source,
            _ if self.faults.len() > before => return Typed::unknown(),
            _ => return self.fault(pattern.at, "a pattern is a literal, so that it is compiled once"),
        };
        match regex(&source) {
            Ok(regex) => fold(Node::Matches(Box::new(typed.node), regex), Type::Bool),
            Err(message) => self.fault(pattern.at, message),
        }
    }
}

fn regex(source: &str) -> Result<Regex, String> {
    RegexBuilder::new(source).size_limit(limits::MAX_REGEX_BYTES).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(limit) => {
            format!("this regular expression compiles to more than {limit} bytes; simplify it")
        }
        error => {
            // The last line says what is wrong; those before it draw the pattern, as our own message does.
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default();
            format!("no regular expression: {}", reason.strip_prefix("error: ").unwrap_or(reason))
        }
    })
}
