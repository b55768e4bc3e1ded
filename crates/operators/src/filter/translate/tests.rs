use std::path::Path;

use proptest::prelude::*;

use super::*;

fn unspaced(text: &str) -> String {
    text.split_whitespace().collect()
}

#[test]
fn conditions_are_translated_as_the_script_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/filter/translation.script");
    let script = std::fs::read_to_string(path).unwrap();
    let mut lines = script.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).peekable();
    let mut cases = 0;
    while let Some(line) = lines.next() {
        let condition = line.strip_prefix('>').unwrap();
        let (context, condition) = match condition.split_once(": ") {
            Some(("resource", rest)) => (Context::Resource, rest),
            Some(("scope", rest)) => (Context::Scope, rest),
            Some(("metric", rest)) => (Context::Metric, rest),
            _ => (Context::Record, condition),
        };
        let expected = lines.next_if(|line| line.starts_with('<')).map_or(condition, |line| &line[1..]);
        let translation = Translation::of(condition, context);
        assert_eq!(unspaced(&translation.text), unspaced(expected), "{condition}: {}", translation.text);
        cases += 1;
    }
    assert!(cases > 25);
}

#[test]
fn faults_point_into_the_condition_as_written() {
    let spans = Environment::of(otlp::Signal::Traces);
    let faulty = |text: &str| {
        let faults = compile(text, Context::Record, &spans).unwrap_err();
        faults.iter().map(|(at, _)| text[at.clone()].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(faulty("IsRootSpan() and nme == 1"), ["nme"]);
    assert_eq!(faulty("span.nme == 1"), ["span.nme"]);
    assert_eq!(faulty("kind == SPAN_KIND_SERVR"), ["SPAN_KIND_SERVR"]);
    assert_eq!(faulty("Foo(name) and name == \"x\"").len(), 1);
    assert_eq!(faulty("name =="), [""]);
}

proptest! {
    /// Any text is translated without a panic, and any range of the translation came from somewhere in the source.
    #[test]
    fn any_text_can_be_translated(words in prop::collection::vec(prop_oneof![
        Just("and"), Just("not"), Just("IsMatch("), Just("("), Just(")"), Just(","), Just("span."), Just("name"),
        Just("\""), Just("'"), Just("é"), Just("TraceID(0x1)"), Just("."), Just("["), Just("]"), Just("&&"), Just("&"),
    ], 0..20), spaced: bool, start in 0..60usize, length in 0..10usize) {
        let source = words.join(if spaced { " " } else { "" });
        let translation = Translation::of(&source, Context::Record);
        let at = translation.source_of(start..start + length);
        prop_assert!(at.start <= at.end && at.end <= source.len());
    }
}
