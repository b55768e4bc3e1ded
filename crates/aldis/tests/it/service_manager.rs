//! What a service manager is told, and what it can start.

use std::{
    fs,
    os::unix::net::UnixDatagram,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::process::{PATIENCE, text, wait_until};

const CONFIG: &str = "
receivers: {otlp: {protocols: {grpc: {endpoint: '127.0.0.1:0'}}}}
exporters: {nop: }
service: {pipelines: {traces: {receivers: [otlp], exporters: [nop]}}}
";

/// `aldis` with these arguments, told where its service manager listens.
pub(crate) fn serve(arguments: &[&str], notify: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_aldis"))
        .args(arguments)
        .env("NOTIFY_SOCKET", notify)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// `aldis serve` with the configuration above.
fn serve_in(folder: &TempDir, notify: &str) -> Child {
    let file = folder.path().join("config.yaml");
    fs::write(&file, CONFIG).unwrap();
    serve(&["serve", "--json", "--metrics", "none", "--config", file.to_str().unwrap()], notify)
}

/// The next state that was told.
pub(crate) fn heard(manager: &UnixDatagram) -> String {
    let mut state = [0; 1024];
    let length = manager.recv(&mut state).unwrap();
    text(&state[..length])
}

/// Sends SIGTERM and waits for a good end; what it wrote to standard error.
pub(crate) fn terminate(mut child: Child) -> String {
    assert!(Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().unwrap().success());
    wait_until("it ends", || child.try_wait().unwrap().is_some());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    text(&output.stderr)
}

fn holds(manager: &UnixDatagram, notify: &str) {
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let folder = TempDir::new().unwrap();
    let child = serve_in(&folder, notify);
    assert_eq!(heard(manager), "READY=1");
    let file = folder.path().join("config.yaml");
    let hang_up = |config: &str, says: &str| {
        fs::write(&file, config).unwrap();
        let before = monotonic_micros();
        assert!(Command::new("kill").arg("-HUP").arg(child.id().to_string()).status().unwrap().success());
        let told = heard(manager);
        let at = told.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap_or_else(|| panic!("{told}"));
        let at: u128 = at.parse().unwrap();
        assert!(at >= before && at <= monotonic_micros(), "{at}");
        let told = heard(manager);
        assert!(
            told.starts_with("READY=1\nSTATUS=") && told.contains(says) && !told.ends_with('\n'),
            "{told}"
        );
        assert_eq!(told.lines().count(), 2, "{told}");
    };
    hang_up(&CONFIG.replace("traces", "logs"), "pipelines: added logs, removed traces");
    hang_up("receivers: [", "everything runs on as before");
    terminate(child);
    assert_eq!(heard(manager), "STOPPING=1");
}

/// As systemd has it.
fn monotonic_micros() -> u128 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u128::from(now.tv_sec.unsigned_abs()) * 1_000_000 + u128::from(now.tv_nsec.unsigned_abs()) / 1000
}

#[test]
fn a_service_manager_hears_when_it_is_ready_and_when_it_stops() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("notify");
    holds(&UnixDatagram::bind(&path).unwrap(), path.to_str().unwrap());
}

#[test]
#[cfg(target_os = "linux")]
fn its_socket_may_have_an_abstract_name() {
    use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};
    let name = format!("aldis-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    holds(&UnixDatagram::bind_addr(&address).unwrap(), &format!("@{name}"));
}

#[test]
fn one_that_cannot_be_reached_is_told_of_and_holds_nothing_up() {
    let folder = TempDir::new().unwrap();
    let mut child = serve_in(&folder, "/there/is/nothing");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
    let warned = lines.find(|line| line.as_ref().unwrap().contains("NOTIFY_SOCKET")).unwrap().unwrap();
    assert!(warned.contains("\"event\":\"warning\""), "{warned}");
    terminate(child);
}
