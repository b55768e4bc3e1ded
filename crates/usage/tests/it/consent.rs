//! What a user says holds.

use std::{fs, process::Command};

use serde_json::Value;

use crate::{
    receiver::{Manner, Receiver, body, sums},
    tool::{Home, executable, text},
};

#[test]
fn three_runs_sum_to_three() {
    let receiver = Receiver::start();
    let home = Home::enabled(&receiver.url);
    for words in [&["noop"][..], &["noop"], &["echo", "x"], &["noop"]] {
        home.run(words);
    }
    let requests = receiver.requests(4);
    let bodies: Vec<Value> = requests.iter().map(|request| body(request)).collect();
    assert_eq!(sums(&bodies), [("echo".to_owned(), 1), ("noop".to_owned(), 3)].into());
    let attributes = &bodies[0]["resourceMetrics"][0]["resource"]["attributes"];
    let value = |at: usize| attributes[at]["value"]["stringValue"].as_str().unwrap().to_owned();
    assert_eq!((value(0), value(1)), ("tool".to_owned(), "1.2.3".to_owned()));
    let status = home.status();
    assert_eq!(status["fingerprint"], value(2));
    assert_eq!(
        (&status["state"], &status["endpoint"]),
        (&"on".into(), &format!("{}/v1/metrics", receiver.url).into())
    );
}

#[test]
fn nothing_happens_until_it_is_enabled() {
    let home = Home::new();
    home.run(&["noop"]);
    assert_eq!(home.files(), [""; 0], "nothing is written either");
    assert_eq!(home.status()["reason"], "it is not enabled");
    assert_eq!(text(&home.run(&["telemetry", "show"]).stderr), "No endpoint is set, so nothing is sent.\n");
    assert!(home.told(&["telemetry", "enable"]).contains("nothing is sent: there is no endpoint"));
    home.run(&["noop"]);
    assert_eq!(home.files(), ["config.toml"]);
}

#[test]
fn what_is_enabled_is_disabled_and_forgotten() {
    let receiver = Receiver::start();
    let home = Home::new();
    let told = home.told(&["telemetry", "enable", &receiver.url]);
    assert!(told.contains("no arguments, paths or results") && told.contains(&receiver.url), "{told}");
    home.run(&["wait"]);
    assert_eq!(home.files(), ["config.toml", "fingerprint", "last-result"]);
    assert_eq!(home.last_result(), "delivered");
    let first = home.status()["fingerprint"].clone();
    home.told(&["telemetry", "reset"]);
    assert_eq!(home.status()["fingerprint"], Value::Null);
    home.run(&["wait"]);
    assert_ne!(home.status()["fingerprint"], first);
    home.told(&["telemetry", "disable"]);
    assert_eq!(home.files(), ["config.toml"]);
    home.run(&["wait"]);
    assert_eq!((home.files(), receiver.count()), (vec!["config.toml".to_owned()], 2));
    let again = home.told(&["telemetry", "enable"]);
    assert!(again.contains(&receiver.url), "the endpoint is kept: {again}");
}

/// What a process that was killed has left half written goes with the next decision, and nothing else does.
#[test]
fn what_was_left_behind_is_removed() {
    let home = Home::enabled("http://127.0.0.1:9");
    let left =
        ["config.toml", "fingerprint", "last-result"].map(|name| format!("{name}.0123456789abcdef.tmp"));
    for word in ["enable", "reset", "disable"] {
        for name in left.iter().map(String::as_str).chain(["mine.0123456789abcdef.tmp", "config.toml.tmp"]) {
            fs::write(home.file(name), "half").unwrap();
        }
        home.told(&["telemetry", word]);
        assert_eq!(home.files(), ["config.toml", "config.toml.tmp", "mine.0123456789abcdef.tmp"], "{word}");
    }
}

#[test]
fn variables_are_heard() {
    let receiver = Receiver::start();
    let home = Home::enabled(&receiver.url);
    for (name, value) in
        [("DO_NOT_TRACK", "1"), ("TOOL_TELEMETRY", "off"), ("OTEL_SDK_DISABLED", "true"), ("CI", "true")]
    {
        home.command(&["wait"]).env(name, value).output().unwrap();
        let status = home.command(&["telemetry", "status"]).env(name, value).output().unwrap();
        assert!(text(&status.stdout).starts_with(&format!("off: {name} ")), "{status:?}");
        let enabled = home.command(&["telemetry", "enable"]).env(name, value).output().unwrap();
        assert!(text(&enabled.stdout).contains(&format!("nothing is sent: {name} ")), "{enabled:?}");
        let shown = home.command(&["telemetry", "show"]).env(name, value).output().unwrap();
        let where_to = format!("It goes to {}/v1/metrics. For now nothing is sent: {name} ", receiver.url);
        assert!(text(&shown.stderr).starts_with(&where_to), "{shown:?}");
    }
    assert_eq!(receiver.count(), 0);
    home.command(&["wait"]).env("CI", "true").env("TOOL_TELEMETRY", "on").output().unwrap();
    assert_eq!(receiver.requests(1).len(), 1);
}

#[test]
fn a_log_shows_what_would_be_sent_and_sends_nothing() {
    let receiver = Receiver::start();
    let home = Home::enabled(&receiver.url);
    home.run(&["wait"]);
    let sent = body(&receiver.requests(1)[0]);
    let logged = home.command(&["wait"]).env("TOOL_TELEMETRY", "log").output().unwrap();
    let mut logged: Value = serde_json::from_slice(&logged.stderr).unwrap();
    let show = home.run(&["telemetry", "show"]);
    assert_eq!(text(&show.stderr), format!("It goes to {}/v1/metrics.\n", receiver.url));
    let mut shown: Value = serde_json::from_slice(&show.stdout).unwrap();
    for body in [&mut logged, &mut shown] {
        let point = "/resourceMetrics/0/scopeMetrics/0/metrics/0/sum/dataPoints/0";
        let of = |value: &Value| value.pointer(point).unwrap().clone();
        let mut expected = of(&sent);
        for time in ["startTimeUnixNano", "timeUnixNano"] {
            expected[time] = of(body)[time].clone();
        }
        if of(body) != expected {
            expected["attributes"][0]["value"]["stringValue"] = "telemetry show".into();
        }
        assert_eq!(of(body), expected);
        *body.pointer_mut(point).unwrap() = of(&sent);
        assert_eq!(*body, sent, "everything else is the same");
    }
    assert_eq!(receiver.count(), 1);
}

/// A receiver that has read the request and left the point out.
#[test]
fn a_point_that_was_rejected_is_told_as_that() {
    let receiver = Receiver::with_manner(Manner::Rejects);
    let home = Home::enabled(&receiver.url);
    home.run(&["wait"]);
    assert_eq!(home.last_result(), "rejected by the receiver: too [2J old");
    assert!(
        home.told(&["telemetry", "status"]).contains("last result: rejected by the receiver: too [2J old, ")
    );
}

#[test]
fn a_broken_configuration_is_off_and_told() {
    let home = Home::new();
    for broken in ["[telemetry", "telemetry.enabled = 1", "\u{0}\u{1}"] {
        home.configure(broken);
        let output = home.run(&["echo", "a"]);
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(7), "1 words\n".to_owned()));
        let status = home.status();
        let reason = status["reason"].as_str().unwrap();
        assert!(reason.starts_with("the configuration cannot be read: "), "{reason}");
        let enabled = home.run(&["telemetry", "enable"]);
        assert!(!enabled.status.success() && text(&enabled.stderr).contains("config.toml"), "{enabled:?}");
        assert_eq!(fs::read_to_string(home.file("config.toml")).unwrap(), broken, "nobody's file is lost");
    }
    fs::remove_file(home.file("config.toml")).unwrap();
    fs::create_dir(home.file("config.toml")).unwrap();
    assert_eq!(home.run(&["echo", "a"]).status.code(), Some(7));
    assert!(home.status()["reason"].as_str().unwrap().contains("not a file"));
}

#[test]
fn a_wrong_endpoint_is_refused_and_nothing_changes() {
    let home = Home::enabled("http://127.0.0.1:9");
    let before = fs::read_to_string(home.file("config.toml")).unwrap();
    let output = home.run(&["telemetry", "enable", "http://user:secret@a"]);
    assert!(!output.status.success() && !text(&output.stderr).contains("secret"), "{output:?}");
    assert_eq!(fs::read_to_string(home.file("config.toml")).unwrap(), before);
}

#[test]
fn a_password_in_a_wrong_endpoint_is_not_shown() {
    let home = Home::enabled("http://user:secret@a");
    for words in [&["telemetry", "status"][..], &["telemetry", "status", "--json"]] {
        let output = home.run(words);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(
            output.status.success() && said.contains("cannot be used") && !said.contains("secret"),
            "{said}"
        );
    }
}

/// The tool on a terminal, which `script` makes.
pub(crate) fn on_a_terminal(home: &Home, endpoint: &str) -> Option<String> {
    let line = format!("{} noop", executable().display());
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    script.env_clear().env("PATH", "/usr/bin:/bin");
    script.env("HOME", home.path()).env("TOOL_DEFAULT_ENDPOINT", endpoint);
    Some(text(&script.output().ok()?.stdout))
}

#[test]
fn a_tool_that_counts_by_default_says_so_first() {
    let receiver = Receiver::start();
    let home = Home::new();
    let run = || home.command(&["wait"]).env("TOOL_DEFAULT_ENDPOINT", &receiver.url).output().unwrap();
    assert!(run().stderr.is_empty(), "nobody sits there");
    assert_eq!(home.files(), [""; 0]);
    let Some(first) = on_a_terminal(&home, &receiver.url) else {
        eprintln!(
            "skipped: a_tool_that_counts_by_default_says_so_first: there is no `script` to make a terminal"
        );
        return;
    };
    assert!(first.contains("tool counts which of its commands are run"), "{first}");
    assert!(first.contains(&format!("It goes to {}/v1/metrics.", receiver.url)), "{first}");
    assert_eq!(receiver.count(), 0, "there was no time to say no");
    assert_eq!(on_a_terminal(&home, &receiver.url).unwrap(), "", "once");
    run();
    assert_eq!(receiver.requests(2).len(), 2);
}

/// The file is there for the tool's sake, or somebody has named an endpoint: nobody has said yes.
#[test]
fn a_file_without_a_decision_is_no_decision() {
    let receiver = Receiver::start();
    for before in ["color = 'never' # mine\n", "[telemetry]\ntimeout = '9s'\n", "telemetry.later = {}\n"] {
        let home = Home::new();
        home.configure(before);
        let run = |words: &[&str]| {
            home.command(words).env("TOOL_DEFAULT_ENDPOINT", &receiver.url).output().unwrap()
        };
        run(&["wait"]);
        assert_eq!(fs::read_to_string(home.file("config.toml")).unwrap(), before);
        let status = text(&run(&["telemetry", "status"]).stdout);
        assert!(status.starts_with("off: it has not been run on a terminal yet"), "{status}");
        let already = receiver.count();
        let Some(first) = on_a_terminal(&home, &receiver.url) else {
            eprintln!(
                "skipped: a_file_without_a_decision_is_no_decision: there is no `script` to make a terminal"
            );
            return;
        };
        assert!(first.contains("tool counts which of its commands are run"), "{first}");
        let after = fs::read_to_string(home.file("config.toml")).unwrap();
        assert!(
            before.lines().all(|line| after.contains(line)) && after.contains("enabled = true"),
            "{after}"
        );
        assert_eq!(receiver.count(), already, "there was no time to say no");
        assert_eq!(on_a_terminal(&home, &receiver.url).unwrap(), "", "once");
        run(&["wait"]);
        receiver.requests(already + 2);
    }
    assert_eq!(receiver.count(), 6);
}

#[test]
fn two_first_runs_say_it_once() {
    let home = Home::new();
    let told: Vec<Option<String>> = std::thread::scope(|scope| {
        let both: Vec<_> =
            (0..2).map(|_| scope.spawn(|| on_a_terminal(&home, "http://127.0.0.1:9"))).collect();
        both.into_iter().map(|run| run.join().unwrap()).collect()
    });
    if told.contains(&None) {
        eprintln!("skipped: two_first_runs_say_it_once: there is no `script` to make a terminal");
        return;
    }
    let notices = told.iter().flatten().filter(|told| told.contains("tool counts")).count();
    assert_eq!(notices, 1, "{told:?}");
}
