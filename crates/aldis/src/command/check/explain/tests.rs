//! Trees, as files: `testdata/explain/NAME.yaml` is explained on a machine of 8 GiB as `NAME.txt` says, and as `NAME.json`.
//! `ALDIS_BLESS=1` writes them anew.

use std::{fs, path::PathBuf};

use super::*;

/// Bytes of the machine that is explained for.
const MACHINE: u64 = 8 << 30;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/explain")
}

fn explained(name: &str) -> Explanation {
    let text = fs::read_to_string(folder().join(name).with_extension("yaml")).unwrap();
    let checked = engine::check(&text, &|_| None);
    assert!(!checked.problems.has_errors(), "{name}: {:#?}", checked.problems);
    engine::explain::explain(&checked.graph, MACHINE).unwrap()
}

#[test]
fn graphs_are_explained_as_the_files_beside_them_say() {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<String> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    assert!(names.len() >= 3, "{names:?}");
    for name in names {
        let explained = explained(&name);
        let json = format!("{:#}\n", as_json(&explained));
        for (told, pin) in [(as_text(&explained, true), "txt"), (json, "json")] {
            let pin = folder().join(&name).with_extension(pin);
            if std::env::var_os("ALDIS_BLESS").is_some() {
                fs::write(&pin, &told).unwrap();
            }
            let pinned = fs::read_to_string(&pin).unwrap_or_default();
            assert_eq!(told, pinned, "{}: run with ALDIS_BLESS=1 and read the difference", pin.display());
        }
    }
}

#[test]
fn without_unicode_the_tree_is_ascii() {
    let tree = as_text(&explained("gateway"), false);
    assert!(tree.is_ascii(), "{tree}");
}
