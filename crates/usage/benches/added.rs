//! What counting adds to a tool: bytes of its executable, and wall time of a command that does nothing, in five networks.
//!
//! `cargo bench -p aldis-usage [-- RUNS]`, as root, for networks of its own. The same command is run in turns without any counting code
//! (`examples/bare.rs`), with counting off, and with it on; after each there is a pause in which a sender can come to its end or its wait, so
//! that the next run does not pay for it.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement that cannot go on should panic")]

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use own_network::{SILENT, own_network};

#[path = "../tests/it/own_network.rs"]
mod own_network;

/// Runs of each kind in each network, unless the command line says.
const RUNS: usize = 400;
/// Runs that are not measured.
const WARM_UP: usize = 20;
const PAUSE: Duration = Duration::from_millis(8);
/// Goals: bytes, and milliseconds at the median and at the 99th percentile.
const BYTES_MAX: u64 = 400 << 10;
const MEDIAN_MS_MAX: f64 = 1.0;
const P99_MS_MAX: f64 = 3.0;

fn main() {
    let runs = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(RUNS);
    let [tool, bare] = ["tool", "bare"].map(built);
    sizes(&tool, &bare);
    println!("\n{runs} runs of each kind in turns; milliseconds from starting the command to its end\n");
    println!(
        "{:<28}{:>9}{:>9}{:>9}{:>14}{:>9}{:>9}{:>9}{:>14}",
        "", "bare p50", "off p50", "on p50", "added by on", "bare p99", "off p99", "on p99", "added by on"
    );
    for (name, network) in NETWORKS {
        let (tool, bare) = (tool.clone(), bare.clone());
        let row = move || {
            own_network().unwrap();
            let folder = TempDir::new().unwrap();
            let url = network(folder.path());
            measure(name, &tool, &bare, folder.path(), &url, runs);
        };
        thread::spawn(row).join().unwrap();
    }
}

/// An example, built for release as the workspace's profile says: stripped.
fn built(name: &str) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["build", "--quiet", "--release", "--package", "aldis-usage", "--example", name];
    assert!(Command::new(cargo).args(arguments).status().unwrap().success());
    let own = std::env::current_exe().unwrap();
    own.parent().and_then(Path::parent).unwrap().join("examples").join(name)
}

fn sizes(tool: &Path, bare: &Path) {
    let [with, without] = [tool, bare].map(|path| fs::metadata(path).unwrap().len());
    let added = with - without;
    let verdict = if added <= BYTES_MAX { "met" } else { "missed" };
    println!(
        "executable without TLS: {with} bytes, without counting {without}: added {added} ({:.0} KiB; goal {} KiB: {verdict})",
        added as f64 / 1024.0,
        BYTES_MAX >> 10
    );
}

/// Makes a network what it is called, in the calling thread, and gives an endpoint in it.
type Network = fn(&Path) -> String;

const NETWORKS: [(&str, Network); 5] = [
    ("answers", |_| server(true)),
    ("refuses", |_| {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        format!("http://{free}")
    }),
    ("swallows packets", |_| format!("http://{SILENT}:4318")),
    ("swallows DNS", |folder| {
        let file = folder.join("resolv.conf");
        fs::write(&file, format!("nameserver {SILENT}\n")).unwrap();
        let mounted = Command::new("mount").arg("--bind").arg(&file).arg("/etc/resolv.conf").status();
        assert!(mounted.unwrap().success());
        "http://receiver.example:4318".to_owned()
    }),
    ("answers after 10 s", |_| server(false)),
];

/// A receiver that answers at once, or not before whoever asks has gone.
fn server(at_once: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || converse(stream, at_once));
        }
    });
    url
}

fn converse(mut stream: TcpStream, at_once: bool) {
    let mut piece = [0; 4096];
    // The request is shorter than this, in one piece or two; it does not matter which.
    while stream.read(&mut piece).is_ok_and(|read| read > 0 && !piece[..read].ends_with(b"}")) {}
    if at_once {
        // Whoever asked may have gone.
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    } else {
        let _ = stream.read(&mut piece);
    }
}

fn measure(name: &str, tool: &Path, bare: &Path, folder: &Path, url: &str, runs: usize) {
    let [on, off] = ["on", "off"].map(|home| folder.join(home));
    fs::create_dir_all(on.join(".tool")).unwrap();
    fs::create_dir_all(&off).unwrap();
    let config = format!("[telemetry]\nenabled = true\notlp_endpoint = \"{url}\"\n");
    fs::write(on.join(".tool/config.toml"), config).unwrap();
    let kinds = [(bare, &off), (tool, &off), (tool, &on)];
    let mut times: [Vec<f64>; 3] = [const { Vec::new() }; 3];
    for run in 0..WARM_UP + runs {
        for (kind, (executable, home)) in kinds.iter().enumerate() {
            let mut command = Command::new(executable);
            command.arg("noop").env_clear().env("HOME", home).stdin(Stdio::null());
            let begin = Instant::now();
            let status = command.status().unwrap();
            let took = begin.elapsed().as_secs_f64() * 1e3;
            assert!(status.success());
            if run >= WARM_UP {
                times[kind].push(took);
            }
            thread::sleep(PAUSE);
        }
    }
    times.iter_mut().for_each(|times| times.sort_by(f64::total_cmp));
    let at = |kind: usize, part: f64| times[kind][((times[kind].len() - 1) as f64 * part) as usize];
    let mut line = format!("{name:<28}");
    for (part, goal) in [(0.5, MEDIAN_MS_MAX), (0.99, P99_MS_MAX)] {
        let added = at(2, part) - at(1, part);
        let verdict = if added <= goal { "met" } else { "missed" };
        line += &format!("{:>9.2}{:>9.2}{:>9.2}", at(0, part), at(1, part), at(2, part));
        line += &format!("{:>14}", format!("{added:.2} {verdict}"));
    }
    println!("{line}");
}
