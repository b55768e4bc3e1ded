#![no_main]

use aldis_engine::{Diagnostics, config, graph};

// Any text is a configuration or has problems; both are told without a panic.
libfuzzer_sys::fuzz_target!(|text: &str| {
    let mut problems = Diagnostics::default();
    let config = config::read(text, &|_| None, &mut problems);
    let _ = graph::resolve(&config, &mut problems);
});
