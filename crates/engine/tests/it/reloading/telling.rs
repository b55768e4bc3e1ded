//! What the engine tells of itself changes while it runs.

use super::*;
use crate::ends::A_WHILE;

/// An engine with these `service.telemetry`, `health_check` and further pipelines.
fn telling(telemetry: &str, health: &str, more: &str) -> String {
    format!(
        "extensions: {{health_check: {{{health}}}}}
receivers: {{otlp: {BOTH}}}
exporters: {{nop: }}
service:
  telemetry: {{{telemetry}}}
  extensions: [health_check]
  pipelines: {{logs: {{receivers: [otlp], exporters: [nop]}}{more}}}
"
    )
}

fn metrics(port: u16) -> String {
    format!(
        "metrics: {{readers: [{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: {port}}}}}}}}}]}}"
    )
}

fn ask(stream: &mut TcpStream, path: &str) -> String {
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn get(port: u16, path: &str) -> String {
    ask(&mut TcpStream::connect(("127.0.0.1", port)).unwrap(), path)
}

/// Whether there is a page of health. What it says is a matter of the whole process, in which other tests run.
fn tells_health(answer: &str) -> bool {
    answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.1 503")
}

/// The lines of a page that say what does not change as long as an engine runs.
fn instance(page: &str) -> String {
    let at = page.find("service_instance_id=\"").unwrap_or_else(|| panic!("{page}"));
    page[at..].split('"').nth(1).unwrap().to_owned()
}

/// Whether this engine shows no metrics there any more. Somebody else may have taken the port since.
fn is_left(port: u16, instance: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return true };
    stream.set_read_timeout(Some(A_WHILE)).unwrap();
    let mut answer = String::new();
    let asked = stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let read = asked.and_then(|()| stream.read_to_string(&mut answer));
    read.is_ok() && !answer.is_empty() && !answer.contains(instance)
}

#[test]
fn pages_and_the_log_change_with_a_reload() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let (health, first, second) = (free_port(), free_port(), free_port());
    let at = |path: &str| format!("endpoint: '127.0.0.1:{health}', path: {path}");
    let mut near = Near::running(&telling(&metrics(first), &at("/"), ""));
    let before = get(first, "/metrics");
    let mut kept = TcpStream::connect(("127.0.0.1", health)).unwrap();
    // What changes elsewhere leaves the pages alone.
    let more = ", traces: {receivers: [otlp], exporters: [nop]}";
    let changes = reload(&mut near, &telling(&metrics(first), &at("/"), more));
    assert_eq!(changes.to_string(), "pipelines: added traces");
    assert!(tells_health(&ask(&mut kept, "/")));

    let logs = format!(
        "{}, logs: {{level: debug, output_paths: ['{}']}}, resource: {{zone: b}}",
        metrics(second),
        log.display()
    );
    let changes = reload(&mut near, &telling(&logs, &at("/well"), more));
    assert_eq!(changes.to_string(), "extensions: changed health_check; service: changed telemetry");
    assert!(tells_health(&get(health, "/well")) && get(health, "/").starts_with("HTTP/1.1 404"));
    let after = get(second, "/metrics");
    assert!(after.contains("zone=\"b\"") && !before.contains("zone="), "{after}");
    assert_eq!(instance(&after), instance(&before), "it is the same engine");
    block_on(eventually("the old port is left", || is_left(first, &instance(&before))));
    let addresses = near.engine().addresses();
    assert!(addresses.iter().any(|bound| bound.protocol == "metrics" && bound.address.port() == second));
    assert!(near.engine().has_log());
    near.shutdown(PATIENCE);
    assert!(std::fs::read_to_string(&log).unwrap().contains("zone"), "the end is logged with its fields");
    assert!(TcpStream::connect(("127.0.0.1", health)).is_err());
}

/// Nothing that is told changes where something cannot be had.
#[test]
fn pages_stay_where_a_reload_fails() {
    let (health, first) = (free_port(), free_port());
    let at = |port: u16| format!("endpoint: '127.0.0.1:{port}'");
    let mut near = Near::running(&telling(&metrics(first), &at(health), ""));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().port();
    for (told, text) in [
        ("service.telemetry.metrics", telling(&metrics(taken), &at(free_port()), "")),
        ("extensions.health_check", telling(&metrics(free_port()), &at(taken), "")),
        (
            "`service.telemetry.traces` only changes with a restart",
            telling(&crate::tracing::traces("http/protobuf", "http://127.0.0.1:9", "", ""), &at(health), ""),
        ),
        ("/there/is/no/folder", telling("logs: {output_paths: [/there/is/no/folder]}", &at(health), "")),
    ] {
        let refused = near.engine_mut().reload(&graph(&text), PATIENCE).unwrap_err();
        assert!(refused.to_string().contains(told), "{refused}");
        assert!(get(first, "/metrics").contains("\naldis_ready "), "{told}");
        assert!(tells_health(&get(health, "/")), "{told}");
    }
    // Without pages there is no thread, and there is one again.
    let none = telling("metrics: {level: none}", &at(health), "").replace("[health_check]", "[]");
    reload(&mut near, &none);
    block_on(eventually("they are gone", || TcpStream::connect(("127.0.0.1", health)).is_err()));
    reload(&mut near, &telling(&metrics(first), &at(health), ""));
    assert!(get(first, "/metrics").contains("\naldis_ready "));
    std::thread::sleep(A_WHILE);
    assert!(tells_health(&get(health, "/")), "it goes on");
}
