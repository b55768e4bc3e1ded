//! `aldis seal`, `open`, `verify` and `cat`.

use std::{
    fs,
    io::{Read, Write},
    os::unix::process::ExitStatusExt,
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    process::{Running, aldis, load, text, wait_until},
    telling::get,
};

/// A folder with a key, a password and lines that say their time.
struct Scene {
    folder: TempDir,
}

/// So many lines, of a second each from 2026-11-21T10:00:00Z.
const LINES: u64 = 40_000;
const FIRST: u64 = 1_795_255_200;

impl Scene {
    fn new() -> Self {
        let scene = Self { folder: TempDir::new().unwrap() };
        let line =
            |n: u64| format!("{{\"timeUnixNano\":\"{}000000000\",\"body\":\"line {n}\"}}\n", FIRST + n);
        scene.write("lines", (0..LINES).map(line).collect::<String>());
        scene.write("key", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n");
        scene.write("other", [1; 32]);
        scene.write("password", "open sesame\n");
        scene
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn names_in(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// Runs `aldis` in the folder.
    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aldis"));
        command.args(arguments).current_dir(self.folder.path()).env("NO_COLOR", "1");
        command
    }

    /// Runs it, and it must succeed.
    fn done(&self, arguments: &[&str]) -> Output {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
        output
    }

    fn sealed() -> Self {
        let scene = Self::new();
        let flags = ["--key-file", "key", "--time-key", "UnixNano"];
        scene.done(&[&["seal", "lines", "--output", "sealed"], &flags[..]].concat());
        scene
    }
}

#[test]
fn what_is_sealed_is_opened_and_told() {
    let scene = Scene::new();
    let told = scene.done(&["seal", "lines", "-o", "sealed", "--key-file", "key", "--stats"]);
    let (line, table) = (text(&told.stdout), text(&told.stderr));
    assert!(line.starts_with("sealed 2.") && line.contains(" MiB into ") && line.ends_with("x\n"), "{line}");
    let length = scene.read("sealed").len();
    assert!(table.contains("frames     3 data, 1 digest, 1 terminator"), "{table}");
    assert!(table.contains("busy       read ") && table.contains("compress "), "{table}");
    assert!(length < scene.read("lines").len() / 3);

    let told = scene.done(&["open", "sealed", "--output", "back", "--key-file", "key", "--json", "--stats"]);
    assert_eq!(scene.read("back"), scene.read("lines"));
    for json in [&told.stdout, &told.stderr] {
        let snapshot: Value = serde_json::from_slice(json).unwrap();
        assert_eq!(snapshot["bytes_ciphertext"], length);
        assert_eq!(snapshot["output"]["bytes"], scene.read("lines").len());
        assert!(snapshot["stage_times"]["decrypt"].as_f64().unwrap() > 0.0, "{snapshot}");
    }
    assert_eq!(scene.done(&["cat", "sealed", "--key-file", "key"]).stdout, scene.read("lines"));
    assert_eq!(scene.names(), ["back", "key", "lines", "other", "password", "sealed"]);
}

#[test]
fn levels_contexts_and_workers_do_what_they_say() {
    let scene = Scene::new();
    let sealed = |name: &str, flags: &[&str]| {
        scene.done(&[&["seal", "lines", "-o", name, "--key-file", "key"], flags].concat());
        scene.read(name).len()
    };
    assert!(sealed("b", &["--level", "19"]) < sealed("a", &["--level", "1"]));
    sealed("c", &["--context", "mine", "--workers", "3"]);
    let verify = |flags: &[&str]| scene.run(&[&["verify", "c", "--key-file", "key"], flags].concat());
    assert_eq!(verify(&["--context", "mine", "--workers", "1"]).status.code(), Some(0));
    assert_eq!(verify(&["--context", "mine", "--workers", "4"]).status.code(), Some(0));
    assert_eq!(verify(&["--context", "yours"]).status.code(), Some(3));
    for flags in [["--workers", "257"], ["--level", "23"], ["--level", "0"]] {
        let wrong = scene.run(&[&["seal", "lines", "-o", "d", "--key-file", "key"], &flags[..]].concat());
        assert_eq!(wrong.status.code(), Some(2), "{}", text(&wrong.stderr));
    }
    for command in ["open", "cat"] {
        let to = if command == "open" { &["-o", "back"][..] } else { &[] };
        for (context, code) in [("mine", 0), ("", 3)] {
            let flags = ["c", "--key-file", "key", "--workers", "2", "--context", context];
            assert_eq!(scene.run(&[&[command], &flags[..], to].concat()).status.code(), Some(code));
        }
    }
}

#[test]
fn a_password_and_a_key_are_not_one_another() {
    let scene = Scene::new();
    scene.done(&["seal", "lines", "-o", "sealed", "--password-file", "password"]);
    scene.done(&["open", "sealed", "-o", "back", "--password-file", "password"]);
    scene.done(&["verify", "sealed", "--password-file", "password"]);
    assert_eq!(scene.done(&["cat", "sealed", "--password-file", "password"]).stdout, scene.read("lines"));
    let refused = scene.run(&["verify", "sealed", "--key-file", "key"]);
    assert!(text(&refused.stderr).contains("sealed with a password"), "{}", text(&refused.stderr));
    for none in [&["verify", "sealed"][..], &["verify", "sealed", "--key-file", "a", "--password-file", "b"]]
    {
        assert_eq!(scene.run(none).status.code(), Some(2));
    }
    let refused = scene.run(&["seal", "lines", "-o", "x", "--key-file", "lines"]);
    let said = text(&refused.stderr);
    assert!(refused.status.code() == Some(3) && said.contains("lines: a key is 32 bytes"), "{said}");
}

#[test]
fn every_archive_is_verified_and_each_is_told() {
    let scene = Scene::sealed();
    let mut bytes = scene.read("sealed");
    scene.write("cut", &bytes[..bytes.len() - 1]);
    bytes[5000] ^= 1;
    scene.write("changed", &bytes);
    let told = scene.run(&["verify", "sealed", "cut", "changed", "gone", "--key-file", "key"]);
    assert_eq!(told.status.code(), Some(3));
    assert_eq!(text(&told.stdout), "sealed: whole, 2.2 MiB in 3 frames\n");
    let problems = text(&told.stderr);
    let expected = ["cut: the archive ends at byte", "changed: frame 0 at byte 96 is not as", "gone: "];
    for (line, begins) in problems.lines().zip(expected) {
        assert!(line.starts_with(&format!("error: {begins}")), "{problems}");
    }
    let told = scene.run(&["verify", "sealed", "cut", "--key-file", "key", "--json", "--stats"]);
    let lines: Vec<Value> =
        text(&told.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["file"], &lines[0]["whole"]), (&"sealed".into(), &true.into()));
    assert_eq!(lines[0]["snapshot"]["frames_terminator"], 1);
    assert!(lines[1]["whole"] == false && lines[1]["message"].as_str().unwrap().contains("rest is missing"));
    assert_eq!(serde_json::from_slice::<Value>(&told.stderr).unwrap()["frames_data"], 3);
}

#[test]
fn nothing_appears_that_is_not_whole() {
    let scene = Scene::sealed();
    let bytes = scene.read("sealed");
    scene.write("cut", &bytes[..bytes.len() * 9 / 10]);
    scene.write("old", "old");
    let before = scene.names();
    for (archive, key) in
        [("cut", "key"), ("sealed", "other"), ("lines", "key"), ("gone", "key"), (".", "key")]
    {
        for output in ["new", "old"] {
            let refused = scene.run(&["open", archive, "-o", output, "--key-file", key]);
            assert_eq!(refused.status.code(), Some(3), "{archive}");
            assert!(text(&refused.stderr).starts_with(&format!("error: {archive}: ")));
        }
    }
    let refused = scene.run(&["open", "cut", "-o", "new", "--key-file", "key", "--json"]);
    let event: Value = serde_json::from_slice(&refused.stderr).unwrap();
    assert_eq!(event["event"], "error");
    assert_eq!((scene.names(), scene.read("old")), (before, b"old".to_vec()));
    // What is true of it is to be had all the same.
    let cat = scene.run(&["cat", "cut", "--key-file", "key"]);
    assert_eq!(cat.status.code(), Some(3));
    assert!(scene.read("lines").starts_with(&cat.stdout) && !cat.stdout.is_empty());
}

#[test]
fn a_range_is_of_bytes_or_of_times() {
    let scene = Scene::sealed();
    let lines = scene.read("lines");
    let cat = |flags: &[&str]| {
        scene.run(&[&["cat", "sealed", "--key-file", "key", "--stats", "--json", "--range"], flags].concat())
    };
    let part = cat(&["1000000..1000100"]);
    assert_eq!(part.stdout, lines[1_000_000..1_000_100]);
    let stats: Value = serde_json::from_slice(&part.stderr).unwrap();
    assert_eq!(stats["frames_data"], 1, "the rest was not opened");
    assert_eq!(cat(&["2000000.."]).stdout, lines[2_000_000..]);

    let of = |from: usize, to: usize| {
        let all: Vec<&[u8]> = lines.split_inclusive(|byte| *byte == b'\n').collect();
        all[from..to].concat()
    };
    let minute = cat(&["2026-11-21T10:01:00Z..2026-11-21T10:02:00Z"]);
    assert_eq!(text(&minute.stdout), text(&of(60, 120)));
    assert_eq!(serde_json::from_slice::<Value>(&minute.stderr).unwrap()["frames_data"], 1);
    assert_eq!(cat(&["2026-11-21T11:00:00+01:00..2026-11-21T10:00:02Z"]).stdout, of(0, 2));
    assert_eq!(cat(&["2026-11-21T21:06:38Z.."]).stdout, of(39_998, 40_000));
    assert_eq!(cat(&["1970-01-01T00:00:00Z..1971-01-01T00:00:00Z"]).stdout, b"");
    let other = cat(&["2026-11-21T10:01:00Z..", "--time-key", "no such"]);
    assert_eq!((other.stdout.as_slice(), other.status.code()), (&b""[..], Some(0)));
    assert!(text(&other.stderr).starts_with("warning: ") && text(&other.stderr).contains("--time-key"));
    for wrong in ["", "1", "9..1", "yesterday.."] {
        assert_eq!(cat(&[wrong]).status.code(), Some(2), "{wrong}");
    }
    // What would be ignored is refused.
    let refused = cat(&["1..9", "--workers", "2"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("--workers"), "{}", text(&refused.stderr));
    scene.done(&["seal", "lines", "-o", "plain", "--key-file", "key"]);
    let none = scene.run(&["cat", "plain", "--key-file", "key", "--range", "2026-11-21T10:01:00Z.."]);
    assert_eq!((none.status.code(), &*none.stdout), (Some(3), &b""[..]));
    assert_eq!(text(&none.stderr), "error: plain: no frame has a time: was it sealed with --time-key?\n");
}

#[test]
fn pipes_go_in_and_out() {
    let scene = Scene::new();
    let through = |arguments: &[&str], input: &[u8]| {
        let mut command = scene.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_vec());
        let writer = std::thread::spawn(move || stdin.write_all(&input));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        output
    };
    let lines = scene.read("lines");
    let sealed = through(&["seal", "-", "-o", "-", "--key-file", "key"], &lines);
    assert!(text(&sealed.stderr).starts_with("sealed 2."), "beside what is written");
    assert_eq!(through(&["open", "-", "-o", "-", "--key-file", "key"], &sealed.stdout).stdout, lines);
    assert_eq!(through(&["cat", "-", "--key-file", "key"], &sealed.stdout).stdout, lines);
    let verified = through(&["verify", "-", "--key-file", "key"], &sealed.stdout);
    assert!(text(&verified.stdout).starts_with("-: whole"));
    assert_eq!(scene.run(&["seal", "lines", "-o", "/dev/null", "--key-file", "key"]).status.code(), Some(3));
}

#[test]
fn a_range_is_not_that_of_a_pipe_nor_of_an_archive_with_something_behind_it() {
    let scene = Scene::sealed();
    let cat = |file: &str| {
        let told = scene.run(&["cat", file, "--key-file", "key", "--range", "0..10"]);
        (told.status.code(), text(&told.stderr), told.stdout)
    };
    let (code, said, _) = cat("-");
    assert!(code == Some(2) && said.contains("a range needs a file"), "{said}");
    let mut command = scene.command(&["cat", "/dev/stdin", "--key-file", "key", "--range", "0..10"]);
    let piped = command.stdin(nobody_writes()).output().unwrap();
    assert!(piped.status.code() == Some(3) && text(&piped.stderr).contains("a range needs a file"));
    let sealed = scene.read("sealed");
    for tail in [&b"x"[..], &sealed] {
        scene.write("longer", [&sealed[..], tail].concat());
        let (code, said, stdout) = cat("longer");
        assert!(code == Some(3) && said.contains("something stands behind the end"), "{said}");
        assert_eq!(stdout, b"");
    }
}

/// The end of a pipe that has nothing in it.
fn nobody_writes() -> Stdio {
    std::io::pipe().unwrap().0.into()
}

#[test]
fn a_full_disk_is_that_of_the_output() {
    let scene = Scene::sealed();
    for (command, file, flags) in
        [("seal", "lines", &["-o", "-"][..]), ("open", "sealed", &["-o", "-"]), ("cat", "sealed", &[])]
    {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let arguments = [&[command, file, "--key-file", "key"], flags].concat();
        let told = scene.command(&arguments).stdout(full).output().unwrap();
        let said = text(&told.stderr);
        assert_eq!(told.status.code(), Some(3));
        assert!(said.starts_with("error: standard output: No space left on device"), "{command}: {said}");
    }
}

#[test]
fn who_has_read_enough_is_no_failure() {
    let scene = Scene::sealed();
    let mut command = scene.command(&["cat", "sealed", "sealed", "sealed", "--key-file", "key"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdout.take().unwrap().read_exact(&mut [0; 10]).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), text(&ended.stderr)), (Some(0), String::new()));
}

#[test]
fn a_signal_leaves_nothing_behind() {
    let scene = Scene::new();
    let before = scene.names();
    let mut command = scene.command(&["seal", "-", "-o", "sealed", "--key-file", "key"]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("it writes", || scene.names().len() > before.len());
    let killed = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().unwrap();
    assert!(killed.success());
    // Waiting closes what is its standard input, and it would end by that as well, in good order.
    let stdin = child.stdin.take();
    let ended = child.wait().unwrap();
    drop(stdin);
    assert_eq!((ended.signal(), scene.names()), (Some(15), before));
}

#[test]
fn sealed_files_are_replayed_and_sent() {
    let scene = Scene::new();
    let requests = "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{},{}]}]}]}\n".repeat(3);
    scene.write("logs", &requests);
    scene.write(
        "config.yaml",
        "receivers: {otlp: {protocols: {grpc: {endpoint: 'localhost:1'}}}}\nexporters: {file: {path: out}}\n\
         service: {pipelines: {logs: {receivers: [otlp], exporters: [file]}}}\n",
    );
    for (flag, file, other) in [("--key-file", "key", "other"), ("--password-file", "password", "key")] {
        scene.done(&["seal", "logs", "-o", "sealed", flag, file]);
        let replay = |flags: &[&str]| {
            scene.run(&[&["replay", "sealed", "-c", "config.yaml", "--json"], flags].concat())
        };
        let told: Value = serde_json::from_slice(&replay(&[flag, file]).stdout).unwrap();
        assert_eq!((&told["records"], &told["faults"]), (&6.into(), &0.into()), "{told}");
        for flags in [&[][..], &[flag, other], &[flag, "gone"]] {
            let refused = replay(flags);
            assert_eq!(refused.status.code(), Some(3), "{}", text(&refused.stderr));
        }
        let sink = Running::sink(&[]);
        let (code, told) = load(&[
            &scene.path("sealed"),
            flag,
            &scene.path(file),
            "--requests",
            "3",
            "--endpoint",
            &sink.address("grpc"),
        ]);
        assert_eq!((code, &told["delivered_records"]), (Some(0), &6.into()), "{told}");
        assert_eq!(load_fails(&[&scene.path("sealed")]), Some(3));
    }
    let sealed = scene.read("sealed");
    scene.write("sealed", &sealed[..sealed.len() - 1]);
    let cut = scene.run(&["replay", "sealed", "-c", "config.yaml", "--password-file", "password"]);
    assert!(text(&cut.stderr).contains("rest is missing"), "{}", text(&cut.stderr));
    assert_eq!(cut.status.code(), Some(3));
}

/// From a sender through an engine into files that are sealed when they are full, and out again: what was acknowledged is there,
/// also where the engine is killed in the middle.
#[test]
fn an_engine_seals_the_files_that_it_has_filled() {
    let scene = Scene::new();
    fs::create_dir(scene.path("files")).unwrap();
    let config = |rotation: &str| {
        format!(
            "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:0'}}}}}}}}\n\
             exporters: {{file: {{path: '{}', rotation: {{max_megabytes: 1, {rotation}}}}}}}\n\
             service: {{pipelines: {{logs: {{receivers: [otlp], exporters: [file]}}}}}}\n",
            scene.path("files/logs.json")
        )
    };
    let sealing = config(&format!("seal_key_file: '{}'", scene.path("key")));
    let backups = || {
        let names = fs::read_dir(scene.path("files")).unwrap().map(|entry| entry.unwrap().file_name());
        let names = names.map(|name| format!("files/{}", name.into_string().unwrap()));
        let mut names: Vec<_> =
            names.filter(|name| !name.contains("/.") && !name.ends_with("/logs.json")).collect();
        names.sort();
        names
    };
    let is_sealed = |name: &String| scene.read(name).starts_with(b"\x89ALDS");
    let mut acknowledged = 0;
    let mut send = |serve: &Running| {
        let flags = ["--requests", "30", "--batch", "500", "--connections", "1", "--in-flight", "1"];
        let (code, told) = load(&[&["--endpoint", &serve.address("grpc")], &flags[..]].concat());
        assert_eq!(code, Some(0), "{told}");
        acknowledged += told["delivered_records"].as_u64().unwrap();
    };
    let serve = Running::serve(&sealing, &["--metrics", "127.0.0.1:0"]);
    send(&serve);
    wait_until("files are sealed", || backups().len() > 2 && backups().iter().all(is_sealed));
    let counted = |what: &str| {
        let page = get(&serve.address("metrics"));
        let line = page.lines().find(|line| line.starts_with(&format!("aldis_file_{what}{{")));
        line.and_then(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).unwrap_or_else(|| panic!("{page}"))
    };
    wait_until("it is counted", || counted("sealed") == backups().len() as f64);
    assert_eq!((counted("unsealed"), counted("seal_failures")), (0.0, 0.0));
    // In the middle of its work; what it left is taken up by the next.
    send(&serve);
    serve.kill();
    let serve = Running::serve(&sealing, &[]);
    send(&serve);
    wait_until("files are sealed", || backups().iter().all(is_sealed));
    assert_eq!(serve.stop().code, Some(0));
    let names = scene.names_in("files");
    assert!(!names.iter().any(|name| name.ends_with(".part")), "{names:?}");

    let files: Vec<String> = backups().into_iter().chain(["files/logs.json".to_owned()]).collect();
    let (sealed, plain) = files.split_at(files.len() - 1);
    let lines: Vec<&str> = sealed.iter().map(String::as_str).collect();
    let cat = scene.done(&[&["cat", "--key-file", "key"], &lines[..]].concat());
    let records = |bytes: &[u8]| text(bytes).matches("\"timeUnixNano\"").count() as u64;
    assert_eq!(records(&cat.stdout) + records(&scene.read(&plain[0])), acknowledged);
    scene.write("config.yaml", config("max_days: 0").replace("files/logs.json", "replayed.json"));
    let all: Vec<&str> = files.iter().map(String::as_str).collect();
    let told =
        scene.done(&[&["replay", "-c", "config.yaml", "--json", "--key-file", "key"], &all[..]].concat());
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!((&told["records"], &told["faults"]), (&acknowledged.into(), &0.into()), "{told}");
}

fn load_fails(arguments: &[&str]) -> Option<i32> {
    aldis(&[&["load"], arguments].concat()).status.code()
}

#[test]
fn help_names_all_four() {
    let help = text(&aldis(&["--help"]).stdout);
    for command in ["seal", "open", "verify", "cat"] {
        assert!(help.contains(&format!("\n  {command} ")), "{help}");
    }
}
