//! Configurations as data: good ones are silent, bad ones have exactly the problems pinned beside them.
//! `ALDIS_BLESS=1` writes the pins anew.

use std::{fs, path::PathBuf};

use aldis_engine::{Checked, Rendering, check};

fn folder(name: &str) -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/configs").join(name);
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|e| e == "yaml")).collect();
    files.sort();
    assert!(files.len() >= 3);
    files
}

fn environment(name: &str) -> Option<String> {
    (name == "TEST_TEXT").then(|| "soon".to_owned())
}

fn read(file: &PathBuf) -> (String, Checked) {
    let text = fs::read_to_string(file).unwrap();
    let checked = check(&text, &environment);
    (text, checked)
}

#[test]
fn good_configurations_have_no_problem() {
    for file in folder("good") {
        let (_, checked) = read(&file);
        assert!(checked.problems.iter().next().is_none(), "{}: {:#?}", file.display(), checked.problems);
        assert!(!checked.graph.pipelines.is_empty());
    }
}

#[test]
fn bad_configurations_have_the_problems_pinned_beside_them() {
    for file in folder("bad") {
        let (text, checked) = read(&file);
        assert!(checked.problems.has_errors(), "{}", file.display());
        let name = file.file_name().unwrap().to_str().unwrap();
        let told = Rendering { file: name, source: &text, color: false }.write_all(&checked.problems);
        let pin = file.with_extension("expected");
        if std::env::var_os("ALDIS_BLESS").is_some() {
            fs::write(&pin, &told).unwrap();
        }
        let pinned = fs::read_to_string(&pin).unwrap_or_default();
        assert_eq!(told, pinned, "{name}; run with ALDIS_BLESS=1 and read the difference");
    }
}

#[test]
fn a_graph_equals_itself_whatever_the_spelling() {
    let plain = "receivers: {otlp: {protocols: {grpc: }}}\nexporters: {nop: }\nservice: {pipelines: {logs: {receivers: [otlp], exporters: [nop]}}}\n";
    let spelled = "# The same with defaults written out.\nexporters:\n  nop: {}\nreceivers:\n  otlp:\n    protocols:\n      grpc: {endpoint: 'localhost:4317', max_recv_msg_size_mib: 4}\nservice:\n  pipelines:\n    logs: {exporters: [nop], receivers: [otlp]}\n";
    let other = plain.replace("grpc: }", "grpc: {max_recv_msg_size_mib: 5}}");
    let graph = |text: &str| {
        let checked = check(text, &environment);
        assert!(!checked.problems.has_errors(), "{:#?}", checked.problems);
        checked.graph
    };
    assert_eq!(graph(plain), graph(spelled));
    assert_ne!(graph(plain), graph(&other));
}
