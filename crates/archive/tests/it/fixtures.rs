//! Archives that were sealed once and must open forever.

use std::{
    fs,
    io::{Cursor, Write},
    path::PathBuf,
};

use aldis_archive::{
    Archive, Key, OpenOptions, PasswordCost, SealOptions, Sealer, TelemetrySnapshot, TimeSpan, open,
};

use crate::oracle::{DATA, Oracle, noise, text};

/// An archive of `testdata/v1` and how it was sealed.
struct Fixture {
    name: &'static str,
    plaintext: Vec<u8>,
    key: Key,
    context: &'static [u8],
    /// What is written with one time, one nanosecond after the other; 0 is without times.
    stamped: usize,
}

fn key() -> Key {
    Key::new(*b"the key of all fixtures, 32 long")
}

fn fixtures() -> Vec<Fixture> {
    let of = |name, plaintext| Fixture { name, plaintext, key: key(), context: b"", stamped: 0 };
    vec![
        of("empty", Vec::new()),
        of("one_frame", b"anything".to_vec()),
        of("stored", noise(5000)),
        Fixture { context: b"of the fixtures", ..of("context", text(9000)) },
        Fixture { stamped: 100, ..of("times", text(20_000)) },
        Fixture { key: Key::password("open sesame").unwrap(), ..of("password", text(5000)) },
    ]
}

fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "testdata/v1", &format!("{name}.sealed")].iter().collect()
}

fn sealed(fixture: &Fixture) -> (Vec<u8>, TelemetrySnapshot) {
    let options = SealOptions {
        frame_bytes: 4096,
        workers: 1,
        context: fixture.context.to_vec(),
        cost: PasswordCost { memory_kib: 64, passes: 2, lanes: 1 },
        ..SealOptions::default()
    };
    let mut sealer = Sealer::new(Vec::new(), &fixture.key, &options).unwrap();
    for (n, part) in fixture.plaintext.chunks(fixture.stamped.max(1)).enumerate() {
        sealer.write_all(part).unwrap();
        if fixture.stamped > 0 {
            let at = sealer.position();
            sealer.stamp(at - part.len() as u64..at, TimeSpan::at(1_700_000_000_000_000_000 + n as u64));
        }
    }
    sealer.finish().unwrap()
}

/// With `ALDIS_BLESS`, what is missing is sealed; what is there is never sealed again.
#[test]
fn version_1_opens_forever() {
    for fixture in fixtures() {
        let path = path(fixture.name);
        if std::env::var_os("ALDIS_BLESS").is_some() && !path.exists() {
            fs::write(&path, sealed(&fixture).0).unwrap();
        }
        let archive = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let options = OpenOptions { context: fixture.context.to_vec(), ..OpenOptions::default() };
        let mut back = Vec::new();
        let snapshot = open(&archive[..], &mut back, &fixture.key, &options).unwrap();
        assert!(back == fixture.plaintext, "{}", fixture.name);
        assert_eq!(snapshot.sanity_check(), [], "{}", fixture.name);
        let mut read = Archive::read(Cursor::new(&archive), &fixture.key, &options).unwrap();
        let mut part = Vec::new();
        read.copy(4000..4200, &mut part).unwrap();
        let end = fixture.plaintext.len();
        assert!(part == fixture.plaintext[4000.min(end)..4200.min(end)], "{}", fixture.name);
        let stamps = end.div_ceil(fixture.stamped.max(1)) as u64;
        let first = 1_700_000_000_000_000_000;
        let times = (fixture.stamped > 0).then(|| TimeSpan { first, last: first + stamps - 1 });
        assert_eq!(read.times(), times, "{}", fixture.name);
    }
}

#[test]
fn the_second_implementation_opens_version_1() {
    for fixture in fixtures().iter().filter(|fixture| !fixture.key.is_password()) {
        let archive = fs::read(path(fixture.name)).unwrap();
        let oracle = Oracle::of(&archive, b"the key of all fixtures, 32 long", fixture.context);
        let frames = oracle.frames(&archive);
        let data = frames.iter().filter(|frame| frame.kind == DATA);
        assert!(data.flat_map(|frame| frame.plaintext()).eq(fixture.plaintext.iter().copied()));
    }
}

#[test]
fn the_folder_has_the_fixtures_and_nothing_else() {
    let folder = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/v1")).unwrap();
    let mut there: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
    let mut named: Vec<_> = fixtures().iter().map(|fixture| path(fixture.name)).collect();
    there.sort();
    named.sort();
    assert_eq!(there, named);
}
