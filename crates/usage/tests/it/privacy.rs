//! Nothing that a user types, has, or is told gets anywhere.

use std::fs;

use crate::{
    receiver::Receiver,
    tool::{Home, wait_until},
};

#[test]
fn no_secret_is_sent_or_stored() {
    const SECRETS: [&str; 5] = ["argument-7391", "path-7392", "variable-7393", "error-7394", "name-7395"];
    let [argument, path, variable, error, name] = SECRETS;
    let receiver = Receiver::start();
    let refused = Home::enabled("http://127.0.0.1:9");
    let homes = [Home::enabled(&receiver.url), refused];
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    for home in &homes {
        let folder = home.path().join(path);
        fs::create_dir(&folder).unwrap();
        for delivery in ["detached", "inline"] {
            for words in [
                &["echo", argument, "--password", argument][..],
                &["noop", argument, &format!("/x/{path}/y"), &format!("--token={argument}")],
                &["wait"],
                &[error],
                &[&format!("wait{error}")],
            ] {
                let mut command = home.command(words);
                command.current_dir(&folder).env("TOOL_DELIVERY", delivery);
                command
                    .env("API_TOKEN", variable)
                    .env("USER", name)
                    .env("LOGNAME", name)
                    .env("LANG", variable);
                command.output().unwrap();
            }
        }
        home.last_result();
    }
    wait_until("what may come has come", || receiver.count() >= 4);
    let mut seen: Vec<String> = receiver.requests(4);
    for home in &homes {
        // Who sends still may be putting a file in its place.
        wait_until("all have ended", || home.senders().is_empty());
        for file in fs::read_dir(home.file("")).unwrap().flatten() {
            seen.push(file.file_name().into_string().unwrap());
            seen.push(String::from_utf8_lossy(&fs::read(file.path()).unwrap()).into_owned());
        }
    }
    for text in &seen {
        for secret in SECRETS.into_iter().chain([host.trim()]).filter(|secret| secret.len() > 3) {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        for home in &homes {
            let home = home.path().to_str().unwrap();
            assert!(!text.contains(home), "{home}: {text}");
        }
    }
}
