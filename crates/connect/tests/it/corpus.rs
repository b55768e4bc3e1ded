//! Files of requests, in every form that they are found in.

use std::{io::Write, path::Path};

use aldis_connect::{
    codec,
    otlp::load::{Corpus, CorpusError},
};
use bytes::Bytes;
use otlp::{Check, Checker, Codec, Depth, Signal, json};
use tempfile::TempDir;

use crate::side::spans;

/// Reads a file with this name and content.
fn read(named: Option<Signal>, name: &str, content: &[u8]) -> Result<Corpus, CorpusError> {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join(name);
    std::fs::write(&file, content).expect("written");
    Corpus::read(named, &file)
}

fn told(named: Option<Signal>, name: &str, content: &[u8]) -> String {
    read(named, name, content).expect_err("it is no corpus").to_string()
}

fn framed(requests: &[Bytes]) -> Vec<u8> {
    let mut out = Vec::new();
    for request in requests {
        out.extend_from_slice(&(request.len() as u32).to_be_bytes());
        out.extend_from_slice(request);
    }
    out
}

fn text(request: &Bytes) -> Bytes {
    let batch = Checker::new(Signal::Traces, Check::Full, Depth::Counts).check(request.clone());
    let mut text = Vec::new();
    json::append(&batch.expect("valid"), &mut text).expect("valid");
    text.into()
}

fn packed(codec: Codec, content: &[u8]) -> Bytes {
    codec::compress(codec, 1, content).expect("memory")
}

/// What the Collector's `file` exporter writes: `format: json`, `format: proto`, and both with `compression: zstd`, where
/// each request has a length and is compressed by itself; and what was packed by hand afterwards.
#[test]
fn every_form_says_the_same() {
    let requests = [spans(5), spans(1), spans(7)];
    let texts = requests.each_ref().map(text);
    let lines: Vec<u8> = texts.iter().flat_map(|text| [&text[..], b"\n"].concat()).collect();
    let pretty = texts.iter().map(|text| {
        let spread = String::from_utf8_lossy(text).replace("[{", "[\r\n\t{ ").replace(',', " ,\n  ");
        format!("\n{spread}\n")
    });
    let zstd =
        |requests: &[Bytes]| framed(&requests.iter().map(|one| packed(Codec::Zstd, one)).collect::<Vec<_>>());
    let forms: [(&str, Vec<u8>); 6] = [
        ("lengths and protobuf", framed(&requests)),
        ("lengths and JSON", framed(&texts)),
        ("lengths and compressed protobuf", zstd(&requests)),
        ("lengths and compressed JSON", zstd(&texts)),
        ("JSON lines", lines.clone()),
        ("JSON over many lines", pretty.collect::<String>().into_bytes()),
    ];
    for (form, content) in forms {
        for packing in [None, Some(Codec::Gzip), Some(Codec::Zstd)] {
            let content = packing.map_or(content.clone(), |codec| packed(codec, &content).to_vec());
            let corpus = read(Some(Signal::Traces), "requests", &content);
            let corpus = corpus.unwrap_or_else(|error| panic!("{form} {packing:?}: {error}"));
            assert_eq!((corpus.len(), corpus.records()), (3, 13), "{form} {packing:?}");
            let bytes: usize = requests.iter().map(Bytes::len).sum();
            assert_eq!(corpus.bytes(), bytes as u64, "{form} {packing:?}");
        }
    }
    // JSON tells what it is, protobuf by its file's name.
    assert_eq!(read(None, "x", &lines).expect("JSON").signal(), Signal::Traces);
    assert_eq!(read(None, "my-traces.bin", &framed(&requests)).expect("named").signal(), Signal::Traces);
    assert_eq!(read(None, "one.json", &texts[0]).expect("one request").len(), 1);
    let error = told(None, "x", &framed(&requests));
    assert!(error.contains("--signal"), "{error}");
}

#[test]
fn a_corpus_is_regrouped_by_whole_resources() {
    let corpus = read(None, "traces", &framed(&[spans(5), spans(1), spans(7)])).expect("valid");
    let grouped = corpus.regroup(6).expect("valid");
    assert_eq!((grouped.len(), grouped.records(), grouped.bytes()), (2, 13, corpus.bytes()));
}

#[test]
fn one_signal_is_taken_from_a_file_of_several() {
    let lines = b"{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{}]}]}]}\n{\"resourceSpans\":[]}\n";
    for (signal, records) in [(Signal::Logs, 1), (Signal::Traces, 0)] {
        let corpus = read(Some(signal), "any.jsonl", lines).expect("it is in there");
        assert_eq!((corpus.len(), corpus.records()), (1, records));
    }
    let error = told(None, "any.jsonl", lines);
    assert!(error.contains("of logs and of traces") && error.contains("--signal traces"), "{error}");
    let error = told(Some(Signal::Metrics), "any.jsonl", lines);
    assert!(error.contains("no request of metrics"), "{error}");
    assert!(told(None, "logs", b"").contains("no request"));
}

#[test]
fn a_fault_in_json_is_told_with_its_place() {
    let good = "{\"resourceSpans\":[]}\n";
    let fault =
        "  {\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"name\":\"é\",\"traceId\":\"12\"}]}]}]}\n";
    let column = fault.chars().position(|c| c == '1').expect("the id") + 3;
    for (content, place, what) in [
        (format!("{good}{fault}"), (2, column + 1), ["32 hexadecimal digits in Span", "mend the text"]),
        (format!("{good}{good}{{\"resourceSpans\":["), (3, 19), ["ResourceSpans", "leave its last line out"]),
        (format!("{good}{{\"spans\":[]}}"), (2, 1), ["`resourceSpans`, `resourceLogs`", "mend the text"]),
        (format!("{good}{good}]"), (3, 1), ["which begins with `{`", "mend the text"]),
    ] {
        for codec in [None, Some(Codec::Zstd)] {
            let content = codec.map_or(content.clone().into(), |codec| packed(codec, content.as_bytes()));
            let error = read(None, "x.jsonl", &content).expect_err("malformed");
            let told = error.to_string();
            assert!(what.iter().all(|part| told.contains(part)), "{told}");
            assert_eq!(error.place(), Some(place), "{told}");
        }
    }
    let error =
        read(None, "traces", &framed(&[spans(1), "{\"resourceSpans\":7}".into()])).expect_err("no list");
    assert_eq!(error.place(), Some((1, 18)));
    assert!(error.to_string().starts_with("in request 2 of the file: expected an array"), "{error}");
}

#[test]
fn what_is_cut_off_or_something_else_is_told() {
    let whole = framed(&[spans(5)]);
    for content in [&whole[..whole.len() - 1], &whole[..3]] {
        for content in [content.to_vec(), packed(Codec::Zstd, content).to_vec()] {
            let error = told(Some(Signal::Traces), "x", &content);
            assert!(error.contains("ends inside the request at byte 0"), "{error}");
        }
    }
    let packed = packed(Codec::Gzip, &whole);
    assert!(matches!(read(None, "traces", &packed[..packed.len() - 9]), Err(CorpusError::Io(_))));
    assert!(matches!(Corpus::read(None, Path::new("/nowhere/traces")), Err(CorpusError::Io(_))));
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(&framed(&[Bytes::from_static(&[0x0a, 5])])).expect("written");
    assert!(matches!(Corpus::read(Some(Signal::Logs), file.path()), Err(CorpusError::Malformed(_))));
}
