use super::*;
use crate::yaml::{expand::expand, parse};

const INNER: &[Setting] =
    &[Setting::new("size", Kind::Int(1, 10), "5", "A size."), Setting::later("tls", "TLS is not here yet")];

const ROWS: &[Setting] = &[
    Setting::new("on", Kind::Bool, "true", "Whether."),
    Setting::new("n", Kind::Int(0, i64::MAX), "7", "How many."),
    Setting::new("f", Kind::Float(0.0, 1.0), "0.5", "A part."),
    Setting::new("d", Kind::Duration, "200ms", "How long."),
    Setting::new("t", Kind::Text, "x", "A text."),
    Setting::new("c", Kind::Choice(&["none", "gzip"]), "gzip", "Which."),
    Setting::new("a", Kind::Address, "localhost:4317", "Where."),
    Setting::new("m", Kind::TextMap, "", "Headers."),
    Setting::new("l", Kind::TextList, "", "Names."),
    Setting::new("in", Kind::Table(INNER), "", "Inside."),
    Setting::new("many", Kind::Tables(INNER), "", "Several."),
];

/// Everything that the rows describe, read from a text, and the problems it has.
fn read(text: &str) -> (String, Vec<String>) {
    let mut problems = Diagnostics::default();
    let mut node = parse(text, &mut problems);
    if let Some(node) = &mut node {
        expand(node, &|name| (name == "NUMBER").then(|| "042".to_owned()), &mut problems);
    }
    let problems = RefCell::new(problems);
    let s = Section::open(node.as_ref(), ROWS, "top", Place::default(), &problems);
    let sizes: Vec<i64> = s.tables("many").iter().map(|s| s.int("size")).collect();
    let values = format!(
        "{} {} {} {:?} {} {} {} {:?} {:?} {} {sizes:?}",
        s.bool("on"),
        s.int("n"),
        s.float("f"),
        s.duration("d"),
        s.text("t"),
        s.choice("c"),
        s.address("a"),
        s.text_map("m"),
        s.text_list("l"),
        s.table_or_empty("in").int("size"),
    );
    let problems = problems.into_inner();
    (values, problems.iter().map(|p| format!("{p} in {}", p.path)).collect())
}

const DEFAULTS: &str = "true 7 0.5 200ms x gzip localhost:4317 {} [] 5 []";

#[test]
fn what_is_absent_or_null_has_its_default() {
    for text in ["", "{}", "on:\nn: null\nin:\nl: ~\n"] {
        assert_eq!(read(text), (DEFAULTS.to_owned(), vec![]), "{text}");
    }
}

#[test]
fn what_is_there_is_read() {
    let (values, problems) = read(
        "on: false\nn: 0\nf: 1\nd: 0\nt: 'yes'\nc: none\na: ':1'\nm: {k: v}\nl: [p, q]\nin: {size: 9}\nmany: [{}, {size: 2}]\n",
    );
    assert_eq!(values, "false 0 1 0ns yes none :1 {\"k\": \"v\"} [\"p\", \"q\"] 9 [5, 2]");
    assert!(problems.is_empty(), "{problems:?}");
}

#[test]
fn a_text_takes_a_variable_as_it_is_written() {
    assert!(read("t: ${env:NUMBER}").0.contains(" 042 "));
    assert!(read("m: {k: '${env:NUMBER}'}").0.contains("{\"k\": \"042\"}"));
}

#[test]
fn every_problem_is_told_and_the_defaults_stay() {
    let text = "\
on: 1
n: -1
f: 2
d: 5 minutes
t: 12
c: gzp
a: http://x
m: [1]
l: x
in: {size: 11, tls: {}, sice: 1}
many: [{size: x}]
timeuot: 1
";
    let (values, problems) = read(text);
    assert_eq!(values, DEFAULTS.replace("5 []", "5 [5]"));
    let want = [
        "10:16: error: `tls` cannot be used yet (TLS is not here yet) in top.in",
        "10:25: error: unknown key `sice` (did you mean `size`?) in top.in",
        "12:1: error: unknown key `timeuot`",
        "1:5: error: `on` takes `true` or `false`, not the number 1 in top",
        "2:4: error: `n` is -1 (it must be at least 0) in top",
        "3:4: error: `f` is 2 (it must be between 0 and 1) in top",
        "4:4: error: `5 minutes` is not a length of time",
        "5:4: error: `t` takes text, not the number 12 (put it in quotes) in top",
        "6:4: error: `c` cannot be `gzp` (did you mean `gzip`?) in top",
        "7:4: error: `http://x` is not a host and port: there is no scheme here",
        "8:1: error: `m` takes a map of names to texts, not a list in top",
        "9:4: error: `l` takes a list of texts, not the text `x` (begin each entry with `- `) in top",
        "10:12: error: `size` is 11 (it must be between 1 and 10) in top.in",
        "11:15: error: `size` takes a whole number, not the text `x` in top.many[0]",
    ];
    for want in want {
        assert!(problems.iter().any(|problem| problem.starts_with(want)), "{want}\n{problems:#?}");
    }
    assert_eq!(problems.len(), want.len(), "{problems:#?}");
}

#[test]
fn a_duration_without_unit_is_warned_of() {
    let (values, problems) = read("d: 5");
    assert!(values.contains(" 5ns "));
    assert!(problems[0].starts_with("1:4: warning: `d: 5` without a unit is 5 nanoseconds"), "{problems:?}");
}

#[test]
fn paths_are_listed_without_what_cannot_be_honoured() {
    let all: Vec<String> = paths(ROWS).into_iter().map(|(path, _)| path).collect();
    assert_eq!(all.join(" "), "on n f d t c a m l in in.size many many.size");
}
