//! What `packaging/` starts, starts.

use std::{fs, os::unix::net::UnixDatagram, path::PathBuf};

use tempfile::TempDir;

use crate::{
    process::{PATIENCE, aldis, text},
    service_manager::{heard, serve, terminate},
};

/// Where the packages have the configuration.
const INSTALLED: &str = "/etc/aldis/config.yaml";

fn packaged(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../packaging").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The value of a setting of the unit.
fn setting<'a>(unit: &'a str, key: &str) -> &'a str {
    let value = unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    value.unwrap_or_else(|| panic!("no {key}="))
}

#[test]
fn the_configuration_has_nothing_to_complain_of() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/config.yaml");
    let checked = aldis(&["check", "--json", path]);
    let told: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert!(checked.status.success() && told["problems"].as_array().unwrap().is_empty(), "{told}");
}

/// The unit's command with the packages' configuration, on free ports, becomes ready, and ends within the unit's patience.
#[test]
fn the_unit_starts_what_becomes_ready() {
    let unit = packaged("aldis.service");
    let mut command: Vec<&str> = setting(&unit, "ExecStart").split(' ').collect();
    assert_eq!(command.remove(0), "/usr/bin/aldis");
    let patience: u64 =
        command.iter().skip_while(|word| **word != "--drain-timeout").nth(1).unwrap().parse().unwrap();
    assert!(patience < setting(&unit, "TimeoutStopSec").parse().unwrap());
    assert_eq!(setting(&unit, "Type"), "notify-reload");
    let is_signalled_twice = unit.lines().any(|line| line.starts_with("ExecReload="));
    assert!(!is_signalled_twice, "systemd sends SIGHUP itself");

    let folder = TempDir::new().unwrap();
    let file = folder.path().join("config.yaml");
    let config = packaged("config.yaml").replace(":4317", ":0").replace(":4318", ":0");
    let metrics = "service:\n  telemetry: {metrics: {address: '127.0.0.1:0'}}\n";
    let config = config.replacen("service:\n", metrics, 1);
    fs::write(&file, config).unwrap();
    for word in &mut command {
        if *word == INSTALLED {
            *word = file.to_str().unwrap();
        }
    }
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let child = serve(&command, path.to_str().unwrap());
    assert_eq!(heard(&manager), "READY=1");
    terminate(child);
}

/// What the image copies is there, and its command is one that `aldis` takes.
#[test]
fn the_image_is_made_of_what_is_there() {
    let dockerfile = packaged("Dockerfile");
    let copied = dockerfile.lines().filter_map(|line| line.strip_prefix("COPY packaging/"));
    for source in copied.map(|rest| rest.split(' ').next().unwrap()) {
        assert!(!packaged(source).is_empty());
    }
    let words = |name: &str| -> Vec<String> {
        let line = dockerfile.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        serde_json::from_str(line.trim()).unwrap()
    };
    assert_eq!(words("ENTRYPOINT"), ["/usr/bin/aldis"]);
    let command = words("CMD");
    let mut arguments: Vec<&str> = command.iter().map(String::as_str).collect();
    assert_eq!(arguments.pop(), Some(INSTALLED));
    // A file that is not there is told only where the command line was understood.
    arguments.push("/there/is/nothing");
    let told = aldis(&arguments);
    assert_eq!(told.status.code(), Some(3), "{}", text(&told.stderr));
    assert!(dockerfile.contains(&format!("COPY packaging/config.yaml {INSTALLED}\n")));
}
