use proptest::prelude::*;

use super::{expand::expand, *};

/// The tree as text, with the line and column of every key and value.
fn render(node: &Node) -> String {
    let at = format!("@{}:{}", node.place.line, node.place.column);
    match &node.value {
        Value::Plain(text) => format!("{text}{at}"),
        Value::Quoted(text) => format!("{text:?}{at}"),
        Value::List(items) => format!("[{}]{at}", items.iter().map(render).collect::<Vec<_>>().join(" ")),
        Value::Map(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .map(|e| format!("{}@{}:{}={}", e.key, e.place.line, e.place.column, render(&e.node)))
                .collect();
            format!("{{{}}}{at}", entries.join(" "))
        }
    }
}

fn read(text: &str) -> (String, Vec<String>) {
    let mut problems = Diagnostics::default();
    let node = parse(text, &mut problems);
    (node.as_ref().map_or_else(|| "-".into(), render), problems.iter().map(|p| p.to_string()).collect())
}

#[test]
fn nodes_know_their_places() {
    let (tree, problems) = read("a: 1\nb:\n  - x\n  - 'y z'\nc: {d: [e]}\nf:\n");
    assert_eq!(
        tree,
        "{a@1:1=1@1:4 b@2:1=[x@3:5 \"y z\"@4:5]@3:3 c@5:1={d@5:5=[e@5:9]@5:8}@5:4 f@6:1=~@6:2}@1:1"
    );
    assert!(problems.is_empty(), "{problems:?}");
}

#[test]
fn aliases_and_merges_are_put_in() {
    let (tree, _) = read("base: &b {x: 1, y: 2}\none: *b\ntwo:\n  <<: *b\n  y: 3\n");
    assert!(tree.contains("one@2:1={x@1:11=1@1:14 y@1:17=2@1:20}"), "{tree}");
    assert!(tree.contains("two@3:1={y@5:3=3@5:6 x@1:11=1@1:14}"), "{tree}");
}

#[test]
fn syntax_problems_have_places() {
    for (text, want) in [
        ("a: 1\na: 2\n", "2:1: error: the key `a` stands here twice (the first is on line 1; remove one)"),
        ("a: *nowhere\n", "1:4: error: this is not YAML"),
        ("a: &x [*x]\n", "error: this"),
        ("? [a]\n: 1\n", "1:3: error: a key must be text"),
        ("a: !secret x\n", "error: the tag `!secret` means nothing here"),
        ("a: 1\n---\nb: 2\n", "error: the file has a second document"),
        ("a: [1\n", "error: this is not YAML"),
        ("a:\n\t- 1\n", "error: this is not YAML"),
    ] {
        let (_, problems) = read(text);
        assert_eq!(problems.len(), 1, "{text:?}: {problems:?}");
        assert!(problems[0].contains(want), "{text:?}: {problems:?}");
    }
}

#[test]
fn bombs_are_refused() {
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..10 {
        let last = format!("*a{}", i - 1);
        laughs += &format!("a{i}: &a{i} [{}]\n", vec![last; 9].join(", "));
    }
    let (tree, problems) = read(&laughs);
    assert_eq!(tree, "-");
    assert!(problems[0].contains("aliases put in"), "{problems:?}");
    let (_, problems) = read(&format!("a: {}{}", "[".repeat(5000), "]".repeat(5000)));
    assert_eq!(problems.len(), 1);
    let (_, problems) = read(&"x".repeat(MAX_FILE_BYTES + 1));
    assert!(problems[0].contains("at most"), "{problems:?}");
}

fn expanded(text: &str) -> (String, Vec<String>) {
    let mut problems = Diagnostics::default();
    let mut node = parse(text, &mut problems).unwrap();
    let environment = |name: &str| match name {
        "PORT" => Some("4317".to_owned()),
        "ZIP" => Some("0123".to_owned()),
        "LIST" => Some("[a, b]".to_owned()),
        "EMPTY" => Some(String::new()),
        "INDIRECT" => Some("${env:PORT}".to_owned()),
        "LOOP" => Some("${env:LOOP}".to_owned()),
        "GROW" => Some("${env:GROW}${env:GROW}".to_owned()),
        "NAME" => Some("PORT".to_owned()),
        "ODD" => Some("[a: }".to_owned()),
        _ => None,
    };
    expand(&mut node, &environment, &mut problems);
    let value = node.get("v").unwrap();
    let text = match &value.original {
        Some(original) => format!("{} from {original:?}", render(value)),
        None => render(value),
    };
    (text.replace("@1:4", ""), problems.iter().map(|p| p.to_string()).collect())
}

#[test]
fn variables_are_put_in_as_the_collector_does() {
    for (text, want) in [
        ("v: ${env:PORT}", "4317 from \"4317\""),
        ("v: '${env:PORT}'", "4317 from \"4317\""),
        ("v: ${PORT}", "4317 from \"4317\""),
        ("v: ${env:ZIP}", "0123 from \"0123\""),
        ("v: ${env:LIST}", "[a b] from \"[a, b]\""),
        ("v: ${env:EMPTY}", " from \"\""),
        ("v: ${env:ODD}", "\"[a: }\" from \"[a: }\""),
        ("v: localhost:${env:PORT}", "\"localhost:4317\""),
        ("v: ${env:NONE:-7}", "7 from \"7\""),
        ("v: ${NONE:-7}", "7 from \"7\""),
        ("v: ${env:PORT:-7}", "4317 from \"4317\""),
        ("v: ${env:NONE:-}", " from \"\""),
        ("v: ${env:NONE:-${env:PORT}}", "4317 from \"4317\""),
        ("v: ${env:${env:NAME}}", "4317 from \"4317\""),
        ("v: ${env:INDIRECT}", "4317 from \"4317\""),
        ("v: $$", "$"),
        ("v: a$$b", "a$b"),
        ("v: $${env:PORT}", "${env:PORT}"),
        ("v: $${env:PORT} ${env:PORT}", "\"${env:PORT} 4317\""),
        ("v: $$${env:PORT}", "\"$4317\""),
        ("v: $NAME", "$NAME"),
    ] {
        let (got, problems) = expanded(text);
        assert_eq!(got, want, "{text}");
        assert!(problems.is_empty(), "{text}: {problems:?}");
    }
}

#[test]
fn wrong_references_are_told() {
    for (text, want) in [
        ("v: ${env:NONE}", "warning: the environment variable `NONE` is not set"),
        ("v: ${env:1A}", "error: `1A` is not a name"),
        ("v: ${file:x.yaml}", "error: values cannot be taken from `file:`"),
        ("v: ${env:LOOP}", "error: the environment variables here refer to one another"),
        ("v: ${env:GROW}", "error: the environment variables here refer to one another"),
        ("v: 'a ${env:PORT'", "error: `${env:PORT` is not closed"),
    ] {
        let (_, problems) = expanded(text);
        assert_eq!(problems.len(), 1, "{text}: {problems:?}");
        assert!(problems[0].contains(want), "{text}: {problems:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn any_text_is_read_or_refused(text in "[a-c:\\-{}\\[\\],&*'\"$ \n\t|>!?#<~0-9.]{0,60}") {
        let mut problems = Diagnostics::default();
        match parse(&text, &mut problems) {
            Some(mut node) => expand(&mut node, &|_| Some(text.clone()), &mut problems),
            None => {
                let silent = |line: &str| line.is_empty() || line.starts_with('#') || line.starts_with('.');
                let nothing_said = text.lines().all(|line| silent(line.trim()));
                prop_assert!(problems.has_errors() || nothing_said, "{problems:?}");
            }
        }
    }
}
