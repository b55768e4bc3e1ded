#![no_main]

use aldis_otlp::{Check, Checker, Depth, Signal, json};

// Text is refused or becomes a request that the check takes (ids and nesting have been judged already, nesting more
// strictly), and what is written of it reads back to the same request.
libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    for signal in Signal::ALL {
        let Ok(wire) = json::to_wire(signal, text) else { continue };
        let Ok(batch) = Checker::new(signal, Check::Full, Depth::Records).check(wire.into()) else {
            continue;
        };
        let mut written = Vec::new();
        // Of profiles only the frames have been checked; what came from JSON is whole.
        json::append(&batch, &mut written).expect("it passed the check");
        let again = json::to_wire(signal, &written).expect("what is written can be read");
        let again =
            Checker::new(signal, Check::Full, Depth::Records).check(again.into()).expect("and is a request");
        let mut twice = Vec::new();
        json::append(&again, &mut twice).expect("it passed the check");
        assert_eq!(written, twice);
    }
    // A text of requests is cut without a panic, and always ends.
    let requests = json::requests(text).take_while(Result::is_ok).count();
    assert!(requests <= text.len());
});
