//! What is drawn and typed on a terminal: `script` of util-linux stands between, with a real pseudo-terminal.

use std::{
    fs,
    io::Write as _,
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::process::{Meanwhile, Running, aldis, text, wait_until};

/// A command line in a shell on a terminal. Killed when dropped.
pub(crate) struct Terminal {
    script: Child,
    folder: TempDir,
}

/// A shell with job control: whenever the program stops it says so, waits for a line, and continues it. The program's pid is
/// that of the shell that becomes it.
const COMMAND: &str = r#"
set -m
stty cols $1 rows $2
tty > $3/tty
sh -c "echo \$\$ > $3/pid; exec $ALDIS $4"
code=$?
while [ $code -gt 128 ] && jobs %1 > /dev/null 2>&1; do
    echo "stopped $code"
    stty -a
    read -r line
    fg %1 > /dev/null
    code=$?
done
echo "ended $code"
stty -a
"#;

/// The other screen, and the first again.
const TAKEN: &str = "\x1b[?1049h";
const GIVEN_BACK: &str = "\x1b[?1049l";

impl Terminal {
    /// Runs `aldis` with these arguments, and says at the end how it ended and what the terminal is like then. `None`: there is no
    /// `script`, which was told.
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    pub(crate) fn running(columns: u32, rows: u32, arguments: &str) -> Option<Terminal> {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("command");
        fs::write(&file, COMMAND).unwrap();
        let command = format!(
            "bash --norc {} {columns} {rows} {} '{arguments}'",
            file.display(),
            folder.path().display()
        );
        let script = Command::new("script")
            .args(["--quiet", "--return", "--flush", "--command", &command])
            .arg(folder.path().join("typescript"))
            .env("TERM", "xterm-256color")
            .env("ALDIS", env!("CARGO_BIN_EXE_aldis"))
            .env("LC_ALL", "C.UTF-8")
            .env_remove("NO_COLOR")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(script) = script else {
            eprintln!("skipped: `script` of util-linux is not installed");
            return None;
        };
        Some(Terminal { script, folder })
    }

    pub(crate) fn shown(&self) -> String {
        let bytes = fs::read(self.folder.path().join("typescript")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The latest whole picture.
    fn picture(&self) -> String {
        let shown = self.shown();
        let pictures: Vec<&str> = shown.split("\x1b[?2026h\x1b[H").collect();
        let whole = pictures.iter().rev().find(|picture| picture.contains("\x1b[?2026l"));
        whole
            .map_or_else(String::new, |picture| picture.split("\x1b[J\x1b[?2026l").next().unwrap().to_owned())
    }

    fn wait_for(&self, what: &str) {
        wait_until(what, || self.picture().contains(what));
    }

    pub(crate) fn types(&mut self, keys: &str) {
        let stdin = self.script.stdin.as_mut().unwrap();
        stdin.write_all(keys.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    fn pid(&self) -> String {
        fs::read_to_string(self.folder.path().join("pid")).unwrap().trim().to_owned()
    }

    /// The letter of the program's state: `T` where it is stopped.
    pub(crate) fn state(&self) -> String {
        state(&self.pid())
    }

    /// Sends a signal to the program alone. One that it has not taken yet would be one with it.
    pub(crate) fn is_sent(&self, signal: Signal) {
        let status = || fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        wait_until("it has taken all signals", || status().contains("\nShdPnd:\t0000000000000000\n"));
        kill_process(Pid::from_raw(self.pid().parse().unwrap()).unwrap(), signal).unwrap();
    }

    /// Whether the program has a thread of this name.
    pub(crate) fn has_thread(&self, name: &str) -> bool {
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid())).into_iter().flatten().flatten();
        threads
            .map(|thread| fs::read_to_string(thread.path().join("comm")))
            .any(|comm| comm.is_ok_and(|comm| comm.trim() == name))
    }

    pub(crate) fn ends(mut self) -> String {
        wait_until("it ends", || self.script.try_wait().unwrap().is_some());
        self.shown()
    }
}

/// The letter of a process's state.
pub(crate) fn state(pid: &str) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().unwrap_or_default().chars().take(1).collect()
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has ended already where a test went well.
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

const SERVE: &str = "serve --grpc 127.0.0.1:0 --http 127.0.0.1:0";

/// What is said at the end, after the first screen is there again: the exit code, and a terminal that reads lines and shows what
/// is typed.
fn assert_restored(shown: &str, code: i32) {
    assert_eq!(shown.matches(TAKEN).count(), shown.matches(GIVEN_BACK).count(), "{shown}");
    let after = shown.rsplit(GIVEN_BACK).next().unwrap();
    assert!(after.contains(&format!("ended {code}")), "{after}");
    let modes: Vec<&str> = after.split([' ', ';', '\r', '\n']).collect();
    assert!(modes.contains(&"icanon") && modes.contains(&"echo"), "{after}");
}

#[test]
fn keys_turn_the_picture_and_end_it() {
    let Some(mut terminal) = Terminal::running(100, 40, "demo --rate 60") else { return };
    terminal.wait_for("SERVICES");
    terminal.wait_for("q ends it");
    terminal.types("?");
    terminal.wait_for("show and hide this");
    assert!(!terminal.picture().contains("SERVICES"));
    terminal.types("?\t");
    wait_until("only services", || {
        let picture = terminal.picture();
        picture.contains("SERVICES") && !picture.contains("A TRACE")
    });
    terminal.types("\x1b[D\x1b[D");
    wait_until("only a trace", || {
        let picture = terminal.picture();
        picture.contains("A TRACE") && !picture.contains("SERVICES")
    });
    terminal.types("0 ");
    terminal.wait_for("held still");
    let held = |terminal: &Terminal| terminal.picture().lines().next().unwrap_or_default().to_owned();
    let before = held(&terminal);
    let drawn = terminal.shown().len();
    wait_until("it has drawn again", || terminal.shown().len() > drawn + 3 * before.len());
    assert_eq!(held(&terminal), before, "the clock stands still");
    terminal.types(" ");
    wait_until("it goes on", || !terminal.picture().contains("held still"));
    terminal.types("q");
    assert_restored(&terminal.ends(), 0);
}

#[test]
fn keys_sort_hold_and_end_top() {
    let config = "receivers:\n  otlp: {protocols: {grpc: {endpoint: '127.0.0.1:0'}}}\nexporters:\n  nop/a:\n  nop/z:\n\
                  service:\n  pipelines:\n    traces: {receivers: [otlp], exporters: [nop/z]}\n    \
                  logs: {receivers: [otlp], exporters: [nop/a]}\n";
    let serve = Running::serve(config, &["--metrics", "127.0.0.1:0"]);
    let top = format!("top --endpoint http://{}", serve.address("metrics"));
    let Some(mut terminal) = Terminal::running(120, 30, &top) else { return };
    terminal.wait_for("EXPORTERS");
    let comes_first = |terminal: &Terminal, first: &str, second: &str| {
        let picture = terminal.picture();
        picture.find(first).zip(picture.find(second)).is_some_and(|(first, second)| first < second)
    };
    wait_until("by name", || comes_first(&terminal, "nop/a logs", "nop/z traces"));
    let endpoint = serve.address("grpc");
    // As long as it is looked at.
    let load = Command::new(env!("CARGO_BIN_EXE_aldis"))
        .args(["load", "--workload", "7", "--duration", "10m", "--rate", "20", "--endpoint", &endpoint])
        .stdout(Stdio::null())
        .spawn();
    let load = Meanwhile(load.unwrap());
    terminal.types("s");
    terminal.wait_for("sorts by name");
    wait_until("more spans come than logs", || comes_first(&terminal, "nop/z traces", "nop/a logs"));
    terminal.types(" ");
    terminal.wait_for("held still");
    let before = terminal.picture();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_eq!(terminal.picture(), before, "nothing is drawn while it is held");
    terminal.types(" q");
    assert_restored(&terminal.ends(), 0);
    drop(load);
    serve.stop();
}

#[test]
fn a_stop_gives_the_terminal_back_and_going_on_takes_it_again() {
    let Some(mut terminal) = Terminal::running(80, 24, SERVE) else { return };
    terminal.wait_for("nothing has come yet");
    for stops in 1..=2 {
        terminal.types("\x1a");
        wait_until("the shell says that it is stopped", || {
            let shown = terminal.shown();
            shown.matches(GIVEN_BACK).count() == stops
                && shown.rsplit(GIVEN_BACK).next().unwrap().contains("extproc")
        });
        assert_eq!(terminal.state(), "T");
        let shown = terminal.shown();
        let (_, after) = shown.rsplit_once(GIVEN_BACK).unwrap();
        assert!(!after.contains(TAKEN) && !after.contains("\x1b[H") && after.contains("stopped "), "{after}");
        assert!(after.split(' ').any(|mode| mode == "icanon"), "{after}");
        // The shell does `fg`.
        terminal.types("\n");
        wait_until("it draws again", || {
            let shown = terminal.shown();
            shown.matches(TAKEN).count() == stops + 1
                && shown.rsplit(TAKEN).next().unwrap().contains("nothing has come yet")
        });
    }
    terminal.types("q");
    assert_restored(&terminal.ends(), 0);
}

#[test]
fn a_window_that_changes_its_size_is_filled_and_a_tiny_one_too() {
    let Some(mut terminal) = Terminal::running(100, 30, "demo --rate 60") else { return };
    terminal.wait_for("SERVICES");
    assert_eq!(terminal.picture().split("\r\n").count(), 30);
    let tty = fs::read_to_string(terminal.folder.path().join("tty")).unwrap();
    for (columns, rows) in [(40, 12), (1, 1), (7, 3), (200, 50)] {
        let resized = Command::new("stty")
            .args(["-F", tty.trim(), "cols", &columns.to_string(), "rows", &rows.to_string()])
            .status();
        assert!(resized.unwrap().success());
        wait_until("it has as many lines", || terminal.picture().split("\r\n").count() == rows);
        let drawn = terminal.shown().len();
        wait_until("it has drawn again", || terminal.shown().len() > drawn + 10);
        for line in terminal.picture().split("\r\n") {
            assert!(width(&line.replace('\r', "")) <= columns, "{columns}: {line:?}");
        }
    }
    terminal.types("q");
    assert_restored(&terminal.ends(), 0);
}

/// Columns of a line without its colours.
fn width(line: &str) -> usize {
    let mut parts = line.split('\x1b');
    let first = parts.next().unwrap_or_default().chars().count();
    first
        + parts
            .map(|part| part.chars().skip_while(|c| !c.is_ascii_alphabetic()).count().saturating_sub(1))
            .sum::<usize>()
}

#[test]
fn a_load_shows_how_far_it_has_come_on_terminals_only() {
    let sink = Running::sink(&[]);
    let load = format!("load --endpoint {} --requests 5 --rate 20", sink.address("grpc"));
    // Nobody answers this request before the line was seen.
    let far = TcpListener::bind("127.0.0.1:0").unwrap();
    let waiting = format!("load --endpoint {} --requests 1 --timeout 10m", far.local_addr().unwrap());
    let Some(terminal) = Terminal::running(100, 24, &waiting) else { return };
    wait_until("a line is drawn", || {
        let shown = terminal.shown();
        shown.contains("sending to 127.0.0.1") && shown.contains(" %")
    });
    drop(far);
    let shown = terminal.ends();
    assert!(shown.contains("\r\x1b[Kdelivered"), "what was said meanwhile is gone: {shown}");
    let Some(terminal) = Terminal::running(100, 24, &format!("{load} --json")) else { return };
    assert!(!terminal.ends().contains("sending to"));
    let endpoint = sink.address("grpc");
    let output = aldis(&["load", "--endpoint", &endpoint, "--requests", "5", "--rate", "20"]);
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
}

#[test]
fn a_demo_moves_to_free_ports_where_the_usual_ones_are_taken() {
    // Others show the demo as well, each for some seconds, and may have them now. Who has them for longer is as good as this test.
    let bind = || TcpListener::bind("127.0.0.1:4317").or_else(|_| TcpListener::bind("127.0.0.1:4318")).ok();
    let _taken = (0..400).find_map(|_| {
        let taken = bind();
        if taken.is_none() {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        taken
    });
    let output = aldis(&["demo", "--duration", "1s"]);
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{told}{}", text(&output.stderr));
    assert!(told.contains("(4317 or 4318 is taken)") && !told.contains("127.0.0.1:4317 "), "{told}");
}
