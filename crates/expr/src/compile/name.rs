//! Names and paths of names.

use otlp::Signal;

use super::{Compiler, Typed, fold};
use crate::Value;
use crate::ast::{Ast, AstKind};
use crate::environment::{Environment, Owner};
use crate::error::{Position, nearest};
use crate::node::Node;
use crate::types::Type;

/// First segments of attribute keys that belong to resources by OpenTelemetry's conventions.
const RESOURCE_NAMESPACES: [&str; 9] =
    ["service", "host", "k8s", "container", "cloud", "process", "telemetry", "deployment", "os"];

impl Compiler<'_> {
    /// A name, or what is selected by names behind points.
    pub(super) fn path_or_select(&mut self, ast: &Ast) -> Typed {
        if let Some(path) = path(ast) {
            return self.path(&path, ast.at);
        }
        let AstKind::Select(base, name, at) = &ast.kind else {
            return Typed::unknown();
        };
        let typed = self.expression(base);
        self.select(typed, name, base.at, *at)
    }

    /// `base.name` is `base["name"]`.
    fn select(&mut self, base: Typed, name: &str, base_at: Position, _name_at: Position) -> Typed {
        if !base.r#type.may_be(Type::Map) {
            let message = format!(
                "{} has nothing behind a point; functions are called with brackets: x.size()",
                base.r#type
            );
            return self.fault(base_at, message);
        }
        match base.node {
            Node::Attributes(owner) => Typed::new(Node::Attribute(owner, name.into()), Type::Dynamic),
            node => {
                let key = Node::Constant(Value::String(name.to_owned().into()));
                fold(Node::Index(Box::new([node, key])), Type::Dynamic)
            }
        }
    }

    fn path(&mut self, path: &[&str], at: Position) -> Typed {
        let (owner, keys) = match path {
            ["attributes", keys @ ..] => (Owner::Record, keys),
            ["resource", "attributes", keys @ ..] | ["resource", keys @ ..] => (Owner::Resource, keys),
            ["scope", "attributes", keys @ ..] => (Owner::Scope, keys),
            ["scope", rest @ ..] => return self.scope(rest, at),
            [name] => return self.name(name, at),
            [name, rest @ ..] if self.is_known(name) => {
                let mut typed = self.name(name, at);
                for key in rest {
                    typed = self.select(typed, key, at, at);
                }
                return typed;
            }
            _ => return self.unknown(path, at),
        };
        if !self.environment.has_maps() {
            return self.unreadable(at);
        }
        match keys {
            [] => Typed::new(Node::Attributes(owner), Type::Map),
            [key] => Typed::new(Node::Attribute(owner, (*key).into()), Type::Dynamic),
            _ => {
                let message = "points are part of attribute keys, so this could be one key or a map in a map; write the key in brackets";
                self.suggest(at, message, Some(format!("{}[\"{}\"]", owner.name(), keys.join("."))))
            }
        }
    }

    fn scope(&mut self, rest: &[&str], at: Position) -> Typed {
        if !self.environment.has_maps() {
            return self.unreadable(at);
        }
        match rest {
            [name] => match self.environment.row(&format!("scope.{name}")) {
                Some(row) => Typed::new(Node::Field(row), row.r#type),
                None => {
                    let known = ["name", "version", "attributes"];
                    let suggestion = nearest(name, known.into_iter()).map(|known| format!("scope.{known}"));
                    self.suggest(
                        at,
                        format!("a scope has name, version and attributes, but no `{name}`"),
                        suggestion,
                    )
                }
            },
            _ => self.fault(at, "a scope has scope.name, scope.version and scope.attributes[\"…\"]"),
        }
    }

    fn is_known(&self, name: &str) -> bool {
        self.environment.row(name).is_some() || self.environment.constant(name).is_some()
    }

    fn name(&mut self, name: &str, at: Position) -> Typed {
        if let Some(row) = self.environment.row(name) {
            return Typed::new(Node::Field(row), row.r#type);
        }
        match self.environment.constant(name) {
            Some(value) => Typed::constant(Value::Int(value)),
            None => self.unknown(&[name], at),
        }
    }

    fn unreadable(&mut self, at: Position) -> Typed {
        self.fault(
            at,
            format!("{} are passed through unread; nothing of them has a name", self.environment.signal()),
        )
    }

    fn unknown(&mut self, path: &[&str], at: Position) -> Typed {
        if !self.environment.has_maps() {
            return self.unreadable(at);
        }
        let joined = path.join(".");
        let underscored = path.join("_");
        if self.is_known(&underscored) {
            let message = format!("`{joined}` names nothing");
            return self.suggest(at, message, Some(underscored));
        }
        let signal = self.environment.signal();
        let message = format!("`{joined}` names nothing in {signal}");
        if let [first, .., _] = path {
            let owner = if RESOURCE_NAMESPACES.contains(first) { Owner::Resource } else { Owner::Record };
            return self.suggest(at, message, Some(format!("{}[\"{joined}\"]", owner.name())));
        }
        let elsewhere = Signal::ALL.into_iter().find(|signal| {
            let other = Environment::of(*signal);
            other.row(&joined).is_some() || other.constant(&joined).is_some()
        });
        if let Some(elsewhere) = elsewhere {
            return self.fault(at, format!("`{joined}` belongs to {elsewhere}, and this is about {signal}"));
        }
        let fields: Vec<&str> = self.environment.fields().map(|field| field.name).collect();
        let constants = self.environment.constants().map(|(name, _)| name);
        let names = fields.iter().copied().chain(constants).chain(["attributes", "resource", "scope"]);
        let suggestion = nearest(&joined, names).or_else(|| {
            fields.iter().find(|field| field.starts_with(&joined)).map(|field| (*field).to_owned())
        });
        let message = if suggestion.is_some() {
            message
        } else {
            format!("{message}; an attribute is attributes[\"{joined}\"] or resource[\"{joined}\"]")
        };
        self.suggest(at, message, suggestion)
    }
}

/// The names, if it is nothing but names and points.
fn path(ast: &Ast) -> Option<Vec<&str>> {
    match &ast.kind {
        AstKind::Name(name) => Some(vec![name]),
        AstKind::Select(base, name, _) => {
            let mut names = path(base)?;
            names.push(name);
            Some(names)
        }
        _ => None,
    }
}
