#![no_main]

use aldis_otlp::{Check, Checker, Depth, Signal, json};

// Text is refused or becomes a request that the check takes (ids and nesting have been judged already, nesting more
// strictly), and what is written of it reads back to the same request.
libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    for signal in [Signal::Traces, Signal::Logs, Signal::Metrics] {
        let Ok(wire) = json::to_wire(signal, text) else { continue };
        let Ok(batch) = Checker::new(signal, Check::Full, Depth::Records).check(wire.into()) else { continue };
        let mut written = String::new();
        json::append(&batch, &mut written).expect("these signals have a JSON form");
        let again = json::to_wire(signal, written.as_bytes()).expect("what is written can be read");
        let again = Checker::new(signal, Check::Full, Depth::Records).check(again.into()).expect("and is a request");
        let mut twice = String::new();
        json::append(&again, &mut twice).expect("these signals have a JSON form");
        assert_eq!(written, twice);
    }
});
