//! Arbitrary input: an answer or an error, never a panic.

use aldis_expr::{Environment, Expression};
use otlp::Signal;
use proptest::prelude::*;

/// Words of the language, so that noise gets past the first character.
const WORDS: [&str; 48] = [
    "name",
    "kind",
    "duration_ns",
    "attributes",
    "resource",
    "scope",
    "body",
    "trace_id",
    "KIND_SERVER",
    "null",
    "true",
    "false",
    "in",
    "has",
    "matches",
    "duration",
    "size",
    "int",
    "string",
    "startsWith",
    "\"a\"",
    "'b'",
    "r\"\\d+\"",
    "b\"x\"",
    "0",
    "1",
    "9223372036854775807",
    "9223372036854775808",
    "1.5",
    "1e308",
    "(",
    ")",
    "[",
    "]",
    ".",
    ",",
    "?",
    ":",
    "&&",
    "||",
    "!",
    "==",
    "<",
    "+",
    "-",
    "*",
    "%",
    "//\n",
];

fn check(source: &str) {
    for signal in Signal::ALL {
        match Expression::compile(source, &Environment::of(signal)) {
            Ok(expression) => assert_eq!(expression.source(), source),
            Err(errors) => {
                assert!(!errors.is_empty());
                for error in errors {
                    assert!(error.start <= error.end && error.end <= source.len(), "{error:?}");
                    assert!(
                        source.is_char_boundary(error.start) && source.is_char_boundary(error.end),
                        "{error:?}"
                    );
                    assert!(!error.render(source).is_empty());
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_text_compiles_or_is_refused(source in ".{0,60}") {
        check(&source);
    }

    #[test]
    fn any_words_compile_or_are_refused(
        words in prop::collection::vec(prop::sample::select(&WORDS[..]), 0..24),
        space in prop::sample::select(&["", " "][..]),
    ) {
        check(&words.join(space));
    }
}

#[test]
fn deep_nesting_is_refused_and_long_chains_are_not() {
    let deep = 100_000;
    for (open, inner, close) in
        [("(", "1", ")"), ("[", "", "]"), ("!", "true", ""), ("-", "x", ""), ("size(", "1", ")")]
    {
        // Within the limit of bytes, so that the limit of depth is what refuses.
        let times = (aldis_expr::limits::MAX_SOURCE_BYTES / (open.len() + close.len() + 1)).min(deep);
        check(&format!("{}{inner}{}", open.repeat(times), close.repeat(times)));
    }
    for (operator, operand) in
        [("+", "kind"), ("?true:", "is_root"), (".a", "body"), ("[0]", "body"), (".size()", "name")]
    {
        check(&format!("{operand}{}", operator.repeat(10_000)));
        check(&vec![operand; 5_000].join(operator));
    }
    let chain = vec!["attributes[\"a\"] == 1"; 2_000].join(" || ");
    assert!(Expression::condition(&chain, &Environment::of(Signal::Traces)).is_ok());
    let limit = "1 ".repeat(aldis_expr::limits::MAX_SOURCE_BYTES);
    assert!(Expression::compile(&limit, &Environment::of(Signal::Traces)).is_err());
}
