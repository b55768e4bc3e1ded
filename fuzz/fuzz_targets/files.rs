#![no_main]

use aldis_connect::file::{Cut, Cutter};

// A stream is cut into the same pieces however it comes in, all of it is dealt with, and nothing is longer than it may be.
libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((step, stream)) = input.split_first() else { return };
    let max = 1 << 12;
    let cut = |step: usize| {
        let mut cutter = Cutter::new(None, max);
        let mut cuts = Vec::new();
        for part in stream.chunks(step.max(1)) {
            cutter.room().extend_from_slice(part);
            while let Some(cut) = cutter.next(false) {
                cuts.push(cut);
            }
        }
        while let Some(cut) = cutter.next(true) {
            cuts.push(cut);
        }
        assert_eq!(cutter.offset(), stream.len() as u64);
        cuts
    };
    let whole = cut(stream.len());
    // What is too long is told when that is known: before its end in parts, at its end in whole.
    let is_long = |cuts: &[Cut]| cuts.iter().any(|cut| matches!(cut, Cut::TooLong { .. }));
    let parts = cut(usize::from(*step));
    if !is_long(&whole) && !is_long(&parts) {
        assert_eq!(whole, parts);
    }
    for cut in whole.iter().chain(&parts) {
        if let Cut::Piece { at, bytes } = cut {
            assert!(bytes.len() <= max);
            assert!(at.offset as usize + bytes.len() <= stream.len());
        }
    }
});
