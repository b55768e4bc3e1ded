//! The names that the facade `aldis::telemetry` offers, read from the source: its own functions, the types that it
//! re-exports, and their public fields, variants and methods, as `Span`, `Span::name`, `SpanStatus::Ok`,
//! `TelemetryPipeline::record_span`. Crates that the facade offers whole have theirs behind the crate's: `collect.Value::Int`.
//!
//! rustfmt fixes the shape that is read: items begin and end at the left edge, members four blanks from it.

use super::Tree;

/// Where the facade is.
pub const FACADE: &str = "crates/aldis/src/lib.rs";
const MODULE: &str = "pub mod telemetry {";
/// Crates that the facade offers whole, whose names are promised one by one.
const WHOLE: [&str; 2] = ["collect", "host"];

/// Every offered name, sorted.
///
/// # Errors
/// A re-exported type is not defined exactly once in its crate, or there is no facade: the message says which.
pub fn offered(tree: &Tree) -> Result<Vec<String>, String> {
    let text = tree.text(FACADE).ok_or_else(|| format!("{FACADE} is missing"))?;
    let module = items(text, |head| head == MODULE).concat();
    if module.is_empty() {
        return Err(format!("{FACADE} has no `{MODULE}`"));
    }
    let mut names: Vec<String> = module.iter().filter_map(|line| member(line, "fn ")).collect();
    for path in re_exports(&module) {
        let crate_name = path.split("::").next().unwrap_or_default();
        let name = path.rsplit("::").next().unwrap_or_default();
        let members = members(tree, crate_name, name)?;
        names.extend(members.into_iter().map(|member| format!("{name}::{member}")));
        names.push(name.to_owned());
    }
    for crate_name in
        WHOLE.into_iter().filter(|name| text.lines().any(|line| line == format!("pub use {name};")))
    {
        names.extend(names_of(tree, crate_name)?.into_iter().map(|name| format!("{crate_name}.{name}")));
    }
    names.sort();
    names.dedup();
    Ok(names)
}

/// What a crate re-exports at its root. Traits and types of other shapes than [`members`] reads have their own methods alone.
fn names_of(tree: &Tree, crate_name: &str) -> Result<Vec<String>, String> {
    let root = format!("crates/{crate_name}/src/lib.rs");
    let text = tree.text(&root).ok_or_else(|| format!("{root} is missing"))?;
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let mut names = Vec::new();
    for path in re_exports(&lines) {
        let name = path.rsplit("::").next().unwrap_or_default().to_owned();
        let members = members(tree, crate_name, &name).unwrap_or_else(|_| methods(tree, crate_name, &name));
        names.extend(members.into_iter().map(|member| format!("{name}::{member}")));
        names.push(name);
    }
    Ok(names)
}

/// The lines inside every item whose first line is asked for.
fn items(text: &str, wanted: impl Fn(&str) -> bool) -> Vec<Vec<&str>> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if wanted(line) {
            found.push(lines.by_ref().take_while(|line| *line != "}").collect());
        }
    }
    found
}

/// Every path of every `pub use …;`, spelled out.
fn re_exports(module: &[&str]) -> Vec<String> {
    let joined: String = module.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
    let uses = joined.split("pub use ").skip(1).filter_map(|rest| rest.split(';').next());
    uses.flat_map(spelled_out).collect()
}

/// `a::{b, c::{d, e}}` is `a::b`, `a::c::d` and `a::c::e`.
fn spelled_out(path: &str) -> Vec<String> {
    let path = path.trim();
    if path.is_empty() {
        return Vec::new();
    }
    let inside = path.split_once('{').and_then(|(before, rest)| Some((before, rest.strip_suffix('}')?)));
    let Some((before, inner)) = inside else { return vec![path.to_owned()] };
    let (mut depth, mut parts) = (0, vec![String::new()]);
    for letter in inner.chars() {
        depth += i32::from(letter == '{') - i32::from(letter == '}');
        match parts.last_mut() {
            Some(part) if letter != ',' || depth > 0 => part.push(letter),
            _ => parts.push(String::new()),
        }
    }
    parts.iter().flat_map(|part| spelled_out(part)).map(|end| format!("{before}{end}")).collect()
}

/// The public fields, variants and methods of a type.
fn members(tree: &Tree, crate_name: &str, name: &str) -> Result<Vec<String>, String> {
    let folder = format!("crates/{crate_name}/src/");
    let sources = || tree.files.iter().filter(|file| file.path.starts_with(&folder) && file.is_production());
    let heads = |kind: &str| [format!("pub {kind} {name} {{"), format!("pub {kind} {name};")];
    let (structs, enums) = (heads("struct"), heads("enum"));
    let is_of = |heads: &[String; 2], line: &str| heads.iter().any(|head| head == line);
    let defined: Vec<(bool, Vec<&str>)> = sources()
        .flat_map(|file| {
            let of = |is_enum: bool| {
                let heads = if is_enum { &enums } else { &structs };
                items(&file.text, |line| is_of(heads, line)).into_iter().map(move |body| (is_enum, body))
            };
            of(false).chain(of(true)).collect::<Vec<_>>()
        })
        .collect();
    let [(is_enum, body)] = defined.as_slice() else {
        return Err(format!("`{name}` is defined {} times in {folder}", defined.len()));
    };
    let mut all: Vec<String> = match is_enum {
        true => body.iter().filter_map(|line| variant(line)).collect(),
        false => body.iter().filter_map(|line| member(line, "")).collect(),
    };
    all.extend(methods(tree, crate_name, name));
    Ok(all)
}

/// The public methods of a type.
fn methods(tree: &Tree, crate_name: &str, name: &str) -> Vec<String> {
    let folder = format!("crates/{crate_name}/src/");
    let sources = tree.files.iter().filter(|file| file.path.starts_with(&folder) && file.is_production());
    let heads = [format!("impl {name} {{"), format!("impl<T> {name}<T> {{")];
    let bodies = sources.flat_map(|file| items(&file.text, |line| heads.iter().any(|head| head == line)));
    bodies.flatten().filter_map(|line| member(line, "fn ")).collect()
}

/// The name behind `    pub ` and this word: a field or a method.
fn member(line: &str, word: &str) -> Option<String> {
    let rest = line.strip_prefix("    pub ")?;
    let rest = ["async ", "const "].iter().find_map(|word| rest.strip_prefix(word)).unwrap_or(rest);
    let name = rest.strip_prefix(word)?;
    let end = name.find(|letter: char| !is_of_a_name(letter))?;
    (word == "fn " || name[end..].starts_with(':')).then(|| name[..end].to_owned())
}

/// The variant that a line of an enum begins.
fn variant(line: &str) -> Option<String> {
    let name = line.strip_prefix("    ").filter(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))?;
    name.find(|letter: char| !is_of_a_name(letter)).map(|end| name[..end].to_owned())
}

/// Whether a letter can stand in an identifier.
pub fn is_of_a_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIB: &str = "\
/// The parts.
pub mod telemetry {
    pub use otlp::{Status, event::{Point, Kind}};
    pub use pipeline::Pipeline;

    /// The time.
    pub fn now() -> u64 {
        0
    }
}
pub mod other {
    pub use otlp::Hidden;
}
";
    const OTLP: &str = "\
pub enum Status {
    /// Well.
    Ok,
    Error { code: u8 },
    Other(
        u8,
    ),
}

pub struct Point {
    /// Where.
    pub x: u8,
    y: u8,
}
pub struct Kind;

impl Point {
    pub const fn of(x: u8) -> Self {
        Self { x, y: 0 }
    }

    fn hidden(&self) {}
}
";

    #[test]
    fn types_members_and_functions_are_offered() {
        let pipeline =
            "pub struct Pipeline {\n    core: u8,\n}\nimpl Pipeline {\n    pub async fn send(&self) {}\n}\n";
        let tree = Tree::of(&[
            (FACADE, LIB),
            ("crates/otlp/src/event.rs", OTLP),
            ("crates/pipeline/src/lib.rs", pipeline),
        ]);
        let expected = [
            "Kind",
            "Pipeline",
            "Pipeline::send",
            "Point",
            "Point::of",
            "Point::x",
            "Status",
            "Status::Error",
            "Status::Ok",
            "Status::Other",
            "now",
        ];
        assert_eq!(offered(&tree).unwrap(), expected);
    }

    #[test]
    fn names_of_a_crate_that_is_offered_whole_are_behind_its_own() {
        let facade = LIB.replace("/// The parts.", "pub use collect;\n/// The parts.");
        let pipeline = "pub struct Pipeline {\n}\n";
        let root = "//! pub use none;\npub use value::{Value, Sum, MAX};\n";
        let value = "pub enum Value {\n    Int(i64),\n}\npub struct Sum(u8);\nimpl Sum {\n    pub fn add(&self) {}\n}\n";
        let tree = Tree::of(&[
            (FACADE, &facade),
            ("crates/otlp/src/event.rs", OTLP),
            ("crates/pipeline/src/lib.rs", pipeline),
            ("crates/collect/src/lib.rs", root),
            ("crates/collect/src/value.rs", value),
        ]);
        let offered = offered(&tree).unwrap();
        let own: Vec<&String> = offered.iter().filter(|name| name.contains('.')).collect();
        let expected =
            ["collect.MAX", "collect.Sum", "collect.Sum::add", "collect.Value", "collect.Value::Int"];
        assert_eq!(own, expected);
    }

    #[test]
    fn a_type_that_is_not_found_fails() {
        let tree = Tree::of(&[(FACADE, LIB), ("crates/otlp/src/event.rs", OTLP)]);
        assert!(offered(&tree).unwrap_err().contains("`Pipeline` is defined 0 times"));
        assert!(offered(&Tree::of(&[(FACADE, "")])).unwrap_err().contains("pub mod telemetry"));
    }
}
