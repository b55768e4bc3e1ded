#![no_main]

use aldis_expr::{Environment, Expression};
use aldis_otlp::Signal;

// Any text compiles or is refused with places inside it.
libfuzzer_sys::fuzz_target!(|source: &str| {
    for signal in [Signal::Traces, Signal::Logs, Signal::Metrics] {
        if let Err(errors) = Expression::compile(source, &Environment::of(signal)) {
            assert!(!errors.is_empty());
            for error in errors {
                assert!(error.start <= error.end && error.end <= source.len() + 1, "{error:?}");
                let _ = error.render(source);
            }
        }
    }
});
