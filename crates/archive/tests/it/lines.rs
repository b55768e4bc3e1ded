//! Lines that are found by their time.

use std::io::{Cursor, Read};

use aldis_archive::{
    Archive, Error, Key, LineTimes, LinesCopied, OpenOptions, SealOptions, TimeSpan, copy_lines, open, seal,
    seal_lines,
};
use proptest::prelude::*;

const KEY: [u8; 32] = [7; 32];

fn options(workers: usize) -> SealOptions {
    SealOptions { workers, frame_bytes: 4096, salt: Some([3; 32]), ..SealOptions::default() }
}

fn times() -> LineTimes {
    LineTimes::new(["UnixNano", "at"]).unwrap()
}

fn sealed(text: &[u8]) -> Vec<u8> {
    let mut archive = Vec::new();
    let snapshot = seal_lines(text, &mut archive, &Key::new(KEY), &options(2), &times()).unwrap();
    assert_eq!((snapshot.bytes_plaintext, snapshot.sanity_check()), (text.len() as u64, vec![]));
    let mut back = Vec::new();
    open(&archive[..], &mut back, &Key::new(KEY), &OpenOptions::default()).unwrap();
    assert!(back == text);
    archive
}

fn found(sealed: &[u8], first: u64, last: u64) -> (Vec<u8>, u64) {
    let mut archive = Archive::read(Cursor::new(sealed), &Key::new(KEY), &OpenOptions::default()).unwrap();
    let mut lines = Vec::new();
    let copied = copy_lines(&mut archive, TimeSpan { first, last }, &times(), &mut lines);
    match archive.times() {
        None if archive.plaintext_bytes() > 0 => assert!(matches!(copied, Err(Error::NoTimes))),
        _ => {
            let written = lines.split_inclusive(|byte| *byte == b'\n').count() as u64;
            let copied = copied.unwrap();
            assert!(copied.read >= copied.with_time && copied.with_time >= written, "{copied:?}");
            assert_eq!(copied.written, written);
        }
    }
    (lines, archive.snapshot().frames_data)
}

/// The lines of a text that are of a range, found by looking at each.
fn expected(text: &[u8], first: u64, last: u64) -> Vec<u8> {
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    let range = TimeSpan { first, last };
    lines.filter(|line| times().of(line).is_some_and(|times| times.meets(range))).flatten().copied().collect()
}

#[test]
fn times_stand_behind_their_keys_in_several_forms() {
    let span = |first, last| Some(TimeSpan { first, last });
    for (line, expected) in [
        (r#"{"timeUnixNano":"7"}"#, span(7, 7)),
        (r#"{"timeUnixNano" : 7 }"#, span(7, 7)),
        (r#"{"at":"1970-01-01T00:00:00.000000009Z","endTimeUnixNano":"3"}"#, span(3, 9)),
        (r#"{"at":18446744073709551615}"#, span(u64::MAX, u64::MAX)),
        (r#"{"at":18446744073709551616}"#, None),
        (r#"{"at":1.5}"#, None),
        (r#"{"at":1e9}"#, None),
        (r#"{"at":-1}"#, None),
        (r#"{"at":""}"#, None),
        (r#"{"at":"soon"}"#, None),
        (r#"{"at":null}"#, None),
        (r#"{"body":"\"at\":5"}"#, None),
        (r#"{"atlas":5}"#, None),
        (r#"{"at":"5"#, None),
        ("", None),
    ] {
        assert_eq!(times().of(line.as_bytes()), expected, "{line}");
    }
    assert!(LineTimes::new([""]).is_err() && LineTimes::new(["x".repeat(65)]).is_err());
    assert!(LineTimes::new(Vec::<String>::new()).is_err());
}

#[test]
fn few_frames_are_opened_for_a_short_time() {
    let text: String = (0..5000).map(|n| format!("{{\"at\":{n},\"what\":\"number {n}\"}}\n")).collect();
    let sealed = sealed(text.as_bytes());
    for (first, last) in [(0, 0), (2500, 2520), (4999, 4999), (4990, u64::MAX)] {
        let (lines, frames) = found(&sealed, first, last);
        assert!(lines == expected(text.as_bytes(), first, last), "{first} to {last}");
        assert!(frames <= 3, "{frames}");
    }
    assert_eq!(found(&sealed, 5000, u64::MAX), (Vec::new(), 0));
}

#[test]
fn lines_that_are_longer_than_what_is_read_at_once_are_found_whole() {
    // Times stand at the border of what is read at once, and far behind it.
    for pad in (262_100..262_160).step_by(3).chain([10, 700_000]) {
        let long = format!("{{\"pad\":\"{}\",\"at\":\"42\"}}\n", "x".repeat(pad));
        let text = format!("{{\"at\":1}}\n{long}{{\"at\":99}}\n{long}{{\"at\":1}}");
        let sealed = sealed(text.as_bytes());
        for (first, last) in [(42, 42), (1, 1), (99, 99), (4, 4)] {
            assert!(
                found(&sealed, first, last).0 == expected(text.as_bytes(), first, last),
                "{pad}: {first}"
            );
        }
    }
}

#[test]
fn lines_read_with_other_keys_are_counted_as_without_a_time() {
    let text: String = (0..500).map(|n| format!("{{\"at\":{n},\"from\":{}}}\n", n + 1)).collect();
    let sealed = sealed(text.as_bytes());
    let copied = |keys: &[&str]| {
        let mut archive =
            Archive::read(Cursor::new(&sealed), &Key::new(KEY), &OpenOptions::default()).unwrap();
        let times = LineTimes::new(keys).unwrap();
        let range = TimeSpan { first: 0, last: 9 };
        let LinesCopied { read, with_time, written } =
            copy_lines(&mut archive, range, &times, std::io::sink()).unwrap();
        assert!((10..500).contains(&read), "one frame is opened: {read}");
        (with_time == read, with_time, written)
    };
    assert_eq!(copied(&["when"]), (false, 0, 0));
    let (all_have, _, written) = copied(&["at"]);
    assert_eq!((all_have, written), (true, 10));
    assert_eq!(copied(&["from"]).2, 9);
}

#[test]
fn an_archive_without_times_says_that_no_line_can_be_found() {
    let sealed_plain = |text: &[u8]| {
        let mut archive = Vec::new();
        seal(text, &mut archive, &Key::new(KEY), &options(1)).unwrap();
        archive
    };
    let copied = |sealed: &[u8]| {
        let mut archive =
            Archive::read(Cursor::new(sealed), &Key::new(KEY), &OpenOptions::default()).unwrap();
        let mut lines = Vec::new();
        let copied = copy_lines(&mut archive, TimeSpan { first: 0, last: u64::MAX }, &times(), &mut lines);
        assert_eq!((lines.len(), archive.snapshot().frames_data), (0, 0));
        copied
    };
    // Sealed without keys, and with keys that no line has.
    for sealed in [sealed_plain(b"{\"at\":1}\n"), sealed(b"{\"when\":1}\n")] {
        let error = copied(&sealed).unwrap_err();
        assert_eq!(
            (error.code(), &*error.to_string()),
            ("no_times", "no frame has a time: was it sealed with --time-key?")
        );
    }
    copied(&sealed_plain(b"")).unwrap();
}

#[test]
fn times_change_nothing_but_the_index() {
    let text: String = (0..500).map(|n| format!("{{\"at\":{n}}}\n")).collect();
    let mut plain = Vec::new();
    seal(text.as_bytes(), &mut plain, &Key::new(KEY), &options(1)).unwrap();
    let with = sealed(text.as_bytes());
    let data = crate::oracle::bounds(&plain)[text.len().div_ceil(4096)];
    assert!(plain[..data] == with[..data] && plain[data..] != with[data..]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn exactly_the_lines_of_a_range_are_found(
        lines in proptest::collection::vec((proptest::option::of(0..50_u64), 0..3000_usize), 0..40),
        (first, more) in (0..60_u64, 0..20_u64), is_ended: bool,
    ) {
        let line = |(time, pad): &(Option<u64>, usize)| {
            let time = time.map_or(String::new(), |time| format!(",\"at\":{time}"));
            format!("{{\"pad\":\"{}\"{time}}}\n", "y".repeat(*pad))
        };
        let mut text: String = lines.iter().map(line).collect();
        if !is_ended {
            text.pop();
        }
        let sealed = sealed(text.as_bytes());
        let (came, _) = found(&sealed, first, first + more);
        prop_assert!(came == expected(text.as_bytes(), first, first + more));
    }
}

#[test]
fn a_pipe_that_gives_little_at_a_time_gives_the_same() {
    let text: String = (0..2000).map(|n| format!("{{\"at\":{n}}}\n")).collect();
    let (mut whole, mut pieces) = (Vec::new(), Vec::new());
    seal_lines(text.as_bytes(), &mut whole, &Key::new(KEY), &options(1), &times()).unwrap();
    let chain = text
        .as_bytes()
        .chunks(100)
        .fold(Box::new(std::io::empty()) as Box<dyn Read>, |before, part| Box::new(before.chain(part)));
    seal_lines(chain, &mut pieces, &Key::new(KEY), &options(1), &times()).unwrap();
    assert!(whole == pieces);
}
