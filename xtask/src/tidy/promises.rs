//! Promises: `docs/promises.toml` lists every public promise with the test that shows it, and the test is there.
//!
//! ```toml
//! [[promise]]
//! kind = "setting"                       # name | setting | command | flag | contract
//! names = ["processors.batch.timeout"]   # `names` share one test
//! test = "crates/engine/tests/it/batch.rs::timeout_is_a_maximum"
//! ```
//! `test` is a file and a function in it that carries a test attribute, or a whole example or script (no `::`). The
//! file, or a helper below it or beside it in `tests/it`, must name what is promised, outside of comments: its last segment
//! (`timeout`, `--config`), or a variant with its type. In a name, `{a,b}` stands for either.
//!
//! A contract is a rule of a specification by its name there, `INV-TL01`; its test begins with it, `inv_tl01_…`, as is the habit.
//!
//! Names are those that the facade offers ([`facade`]), of crates that it offers whole behind the crate's (`collect.Value::Int`). That no setting, command or flag is missing from the list needs
//! the engine's own tables: [`missing`], called by the test `surface`.

use super::{Finding, Tree, facade};

/// Where the promises are.
pub const LIST: &str = "docs/promises.toml";

const KINDS: [&str; 5] = ["name", "setting", "command", "flag", "contract"];

/// One line of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promise {
    /// `name`, `setting`, `command`, `flag` or `contract`.
    pub kind: String,
    /// What is promised.
    pub name: String,
    /// `file::function`, or a file.
    pub test: String,
}

/// Reads the list.
///
/// # Errors
/// It is not TOML of the shape above; the message says where.
pub fn parse(text: &str) -> Result<Vec<Promise>, String> {
    let table: toml::Table = text.parse().map_err(|e| format!("is not TOML: {e}"))?;
    if let Some(other) = table.keys().find(|key| *key != "promise") {
        return Err(format!("`{other}` is not understood: only `[[promise]]` is"));
    }
    let mut promises = Vec::new();
    let rows = table.get("promise").and_then(toml::Value::as_array);
    for (number, row) in rows.into_iter().flatten().enumerate() {
        let text = |key: &str| row.get(key).and_then(toml::Value::as_str).map(str::to_owned);
        let wrong = |what: &str| format!("promise {}: {what}", number + 1);
        let kind = text("kind")
            .filter(|kind| KINDS.contains(&kind.as_str()))
            .ok_or_else(|| wrong(&format!("`kind` must be one of {}", KINDS.join(", "))))?;
        let test = text("test").ok_or_else(|| wrong("`test` is missing"))?;
        let names =
            row.get("names").and_then(toml::Value::as_array).ok_or_else(|| wrong("`names` is missing"))?;
        for name in names {
            let name = name.as_str().ok_or_else(|| wrong("a name is not text"))?;
            let alike = alternatives(name).into_iter();
            promises.extend(alike.map(|name| Promise { kind: kind.clone(), name, test: test.clone() }));
        }
    }
    Ok(promises)
}

/// `a.{b,c}.d` is `a.b.d` and `a.c.d`.
fn alternatives(name: &str) -> Vec<String> {
    let parts = name.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)));
    let Some((before, (choices, after))) = parts else { return vec![name.to_owned()] };
    let of_choice = |choice: &str| {
        let ends = alternatives(after).into_iter();
        ends.map(|after| format!("{before}{choice}{after}")).collect::<Vec<_>>()
    };
    choices.split(',').flat_map(of_choice).collect()
}

/// Every promise has its test, and is made once.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let Some(text) = tree.text(LIST) else { return vec![Finding::new(LIST, "is missing")] };
    let promises = match parse(text) {
        Ok(promises) => promises,
        Err(message) => return vec![Finding::new(LIST, message)],
    };
    let mut findings = Vec::new();
    match facade::offered(tree) {
        Ok(offered) => {
            findings.extend(missing(&promises, "name", &offered));
            findings.extend(unkept(&promises, "name", &offered));
        }
        Err(message) => findings.push(Finding::new(facade::FACADE, message)),
    }
    for (number, promise) in promises.iter().enumerate() {
        if promises[..number].iter().any(|other| (&other.kind, &other.name) == (&promise.kind, &promise.name))
        {
            findings
                .push(Finding::new(LIST, format!("{} `{}` is promised twice", promise.kind, promise.name)));
        }
        if let Some(problem) = unproven(tree, promise) {
            findings.push(Finding::new(LIST, format!("{} `{}`: {problem}", promise.kind, promise.name)));
        }
    }
    findings
}

/// What is wrong with a promise's test.
fn unproven(tree: &Tree, promise: &Promise) -> Option<String> {
    let (path, function) = match promise.test.split_once("::") {
        Some((path, function)) => (path, Some(function)),
        None => (promise.test.as_str(), None),
    };
    let Some(text) = tree.text(path) else { return Some(format!("there is no file {path}")) };
    if promise.kind == "contract" {
        let begins = format!("{}_", promise.name.to_lowercase().replace('-', "_"));
        let function = function.filter(|function| function.starts_with(&begins) && is_test(text, function));
        return function.is_none().then(|| format!("{path} has no such test that begins with `{begins}`"));
    }
    let subject = subject(&promise.name);
    // What a test calls lies in its own submodules, and of an integration test in the modules of its binary, where they hold
    // no tests.
    let beside =
        path.rsplit_once('/').map(|(folder, _)| folder).filter(|folder| folder.ends_with("/tests/it"));
    let folders = [beside, path.strip_suffix(".rs")];
    let mut helpers = tree
        .files
        .iter()
        .filter(|file| folders.contains(&Some(file.folder())) && !file.text.contains("test]"));
    if !mentions(text, subject) && !helpers.any(|file| mentions(&file.text, subject)) {
        return Some(format!("{path} does not mention `{subject}`"));
    }
    let Some(function) = function else {
        let runs_whole = path.contains("/examples/") || path.starts_with("tests/");
        return (!runs_whole).then(|| format!("{path}: name the test function, `{path}::name`"));
    };
    (!is_test(text, function)).then(|| format!("{path} has no test `{function}`"))
}

/// What a test must say of a promise: its last segment, and the type too where that is a variant.
fn subject(name: &str) -> &str {
    // Of a name the crate says nothing.
    let name = name.split_once('.').filter(|(_, name)| name.contains("::")).map_or(name, |(_, name)| name);
    let last = name.rsplit(['.', ':', ' ']).next().unwrap_or(name);
    if name.contains("::") && last.starts_with(|letter: char| letter.is_ascii_uppercase()) {
        name
    } else {
        last
    }
}

/// Whether a text has these words outside of comments, and not as a part of longer ones.
fn mentions(text: &str, words: &str) -> bool {
    let in_code = |line: &str| {
        // A URL's slashes follow a colon.
        let ends = line.match_indices("//").map(|(at, _)| at).find(|at| !line[..*at].ends_with(':'));
        let code = &line[..ends.unwrap_or(line.len())];
        code.match_indices(words).any(|(at, _)| {
            let around = (code[..at].chars().next_back(), code[at + words.len()..].chars().next());
            [around.0, around.1].into_iter().flatten().all(|letter| !facade::is_of_a_name(letter))
        })
    };
    text.lines().any(in_code)
}

/// Whether `fn name` stands in the text below a test attribute: `#[test]`, `#[tokio::test]`; in a `proptest!` block too.
pub(super) fn is_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let head = |line: &str| {
        let line = line.strip_prefix("async ").unwrap_or(line);
        line.strip_prefix("fn ")
            .and_then(|rest| rest.strip_prefix(name))
            .is_some_and(|rest| rest.starts_with('('))
    };
    lines.iter().position(|line| head(line)).is_some_and(|at| {
        let above = lines[..at].iter().rev();
        let mut attributes = above.take_while(|line| line.starts_with("#[") || line.starts_with("//"));
        attributes.any(|line| *line == "#[test]" || line.contains("::test]") || line.contains("::test("))
    })
}

/// What the programs offer that the list does not promise. `kind` is one of the kinds, `offered` their names.
pub fn missing(promises: &[Promise], kind: &str, offered: &[String]) -> Vec<Finding> {
    let promised = |name: &String| promises.iter().any(|p| p.kind == kind && p.name == *name);
    offered
        .iter()
        .filter(|name| !promised(name))
        .map(|name| {
            Finding::new(LIST, format!("{kind} `{name}` is in no row: add it with the test that shows it"))
        })
        .collect()
}

/// What the list promises that the programs do not offer.
pub fn unkept(promises: &[Promise], kind: &str, offered: &[String]) -> Vec<Finding> {
    let kept = |promise: &&Promise| promise.kind != kind || offered.contains(&promise.name);
    promises
        .iter()
        .filter(|promise| !kept(promise))
        .map(|promise| {
            Finding::new(LIST, format!("{kind} `{}` does not exist: take the row out", promise.name))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST: (&str, &str) = (
        "crates/a/tests/it/batch.rs",
        "#[test]\nfn it_waits() {\n    \"http://x/{timeout: 1s}\"; // size\n}\n\nfn driver() {}\n#[tokio::test]\n// Why.\nasync fn later() {}\n",
    );
    const FACADE: (&str, &str) =
        (facade::FACADE, "pub mod telemetry {\n    pub use a::Builder;\n\n    pub fn now() {}\n}\n");
    const BUILDER: (&str, &str) = (
        "crates/a/src/lib.rs",
        "pub enum Builder {\n    Fast,\n}\nimpl Builder {\n    pub fn with_timeout(self) {}\n}\n",
    );
    const EXAMPLE: (&str, &str) = ("crates/a/examples/x.rs", "Builder::Fast.with_timeout(now())");
    const NAMES: &str = "[[promise]]\nkind = 'name'\nnames = ['now', 'Builder', 'Builder::{Fast,with_timeout}']\n\
                         test = 'crates/a/examples/x.rs'\n";

    fn findings(kind: &str, names: &str, test: &str) -> Vec<String> {
        let list = format!("[[promise]]\nkind = \"{kind}\"\nnames = {names}\ntest = \"{test}\"\n{NAMES}");
        let found = check(&Tree::of(&[(LIST, &list), TEST, FACADE, BUILDER, EXAMPLE]));
        found.into_iter().map(|f| f.message).collect()
    }

    #[test]
    fn a_promise_with_its_test_passes() {
        let none: [&str; 0] = [];
        assert_eq!(
            findings("setting", "['processors.batch.timeout']", "crates/a/tests/it/batch.rs::it_waits"),
            none
        );
        assert_eq!(
            findings("setting", "['processors.batch.timeout']", "crates/a/tests/it/batch.rs::later"),
            none
        );
        assert_eq!(findings("contract", "['IT']", "crates/a/tests/it/batch.rs::it_waits"), none);
        assert_eq!(findings("setting", "[]", "crates/a/examples/x.rs"), none, "names of the facade");
    }

    #[test]
    fn a_promise_without_its_test_fails() {
        let cases = [
            ("contract", "['IT-2']", "crates/a/tests/it/batch.rs::it_waits", "begins with `it_2_`"),
            ("contract", "['IT']", "crates/a/tests/it/batch.rs::it_comes", "no such test"),
            ("contract", "['DRIVER']", "crates/a/tests/it/batch.rs::driver", "no such test"),
            ("setting", "['b.timeout']", "crates/a/tests/it/gone.rs::x", "no file"),
            ("setting", "['b.timeout']", "crates/a/tests/it/batch.rs::gone", "no test"),
            ("setting", "['b.timeout']", "crates/a/tests/it/batch.rs::driver", "no test"),
            ("setting", "['b.timeout']", "crates/a/tests/it/batch.rs", "name the test function"),
            ("setting", "['b.size']", "crates/a/tests/it/batch.rs::it_waits", "does not mention `size`"),
            ("setting", "['b.time']", "crates/a/tests/it/batch.rs::it_waits", "does not mention `time`"),
            ("name", "['Gone']", "crates/a/examples/x.rs", "does not exist"),
            ("name", "['now']", "crates/a/examples/x.rs", "twice"),
            ("setting", "['b.timeout', 'b.timeout']", "crates/a/tests/it/batch.rs::it_waits", "twice"),
            ("wish", "['b.timeout']", "crates/a/tests/it/batch.rs::it_waits", "`kind` must be"),
        ];
        for (kind, names, test, expected) in cases {
            let messages = findings(kind, names, test);
            assert!(messages.iter().any(|message| message.contains(expected)), "{expected}: {messages:?}");
        }
    }

    #[test]
    fn a_name_of_the_facade_in_no_row_and_a_variant_without_its_type_fail() {
        let of = |list: &str, example: (&str, &str)| {
            let found = check(&Tree::of(&[(LIST, list), FACADE, BUILDER, example]));
            found.into_iter().map(|finding| finding.message).collect::<Vec<_>>()
        };
        assert_eq!(of(NAMES, EXAMPLE), [""; 0]);
        let found = of(&NAMES.replace("Fast,", ""), EXAMPLE);
        assert!(found.len() == 1 && found[0].contains("`Builder::Fast` is in no row"), "{found:?}");
        let found = of(NAMES, (EXAMPLE.0, "use a::{Builder, now}; Fast.with_timeout(now())"));
        assert!(found.len() == 1 && found[0].contains("does not mention `Builder::Fast`"), "{found:?}");
    }

    #[test]
    fn only_promises_are_understood() {
        assert!(
            parse("[[promise]]\nkind = 'flag'\nnames = []\ntest = 'x'\n").is_ok_and(|all| all.is_empty())
        );
        assert!(parse("[[gap]]\nkind = 'flag'\n").is_err_and(|error| error.contains("`gap` is not")));
    }

    #[test]
    fn alternatives_are_spelled_out() {
        assert_eq!(alternatives("a.{b,c}.{d,e}"), ["a.b.d", "a.b.e", "a.c.d", "a.c.e"]);
    }

    #[test]
    fn an_offer_without_a_promise_and_a_promise_without_an_offer_fail() {
        let promise =
            |kind: &str, name: &str| Promise { kind: kind.into(), name: name.into(), test: String::new() };
        let promises =
            [promise("flag", "serve --config"), promise("flag", "serve --gone"), promise("name", "x")];
        let offered = ["serve --config".to_owned(), "serve --new".to_owned()];
        assert_eq!(missing(&promises, "flag", &offered).len(), 1);
        assert_eq!(unkept(&promises, "flag", &offered).len(), 1);
    }
}
