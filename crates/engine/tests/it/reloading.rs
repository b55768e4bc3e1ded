//! Another graph in the place of the one that runs: what stays, what goes, and that nothing is lost in between.

mod carrying;
mod load;
mod telling;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use aldis_engine::{Changes, Graph, ReloadError, check};
use connect::otlp::Protocol;
use otlp::Signal;
use pipeline::Outcome;

use crate::ends::{BOTH, Far, Near, PATIENCE, answer, block_on, eventually, free_port, logs, one};

/// A file of these sections, each in the flow style.
fn file(receivers: &str, processors: &str, exporters: &str, pipelines: &str) -> String {
    format!(
        "receivers: {{{receivers}}}\nprocessors: {{{processors}}}\nexporters: {{{exporters}}}\nservice: {{pipelines: {{{pipelines}}}}}\n"
    )
}

fn graph(text: &str) -> Graph {
    let checked = check(text, &|_| None);
    assert!(!checked.problems.has_errors(), "{text}{:#?}", checked.problems);
    checked.graph
}

fn reload(near: &mut Near, text: &str) -> Changes {
    near.engine_mut().reload(&graph(text), PATIENCE).unwrap()
}

fn both(grpc: u16, http: u16, settings: &str) -> String {
    format!(
        "otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:{grpc}'}}, http: {{endpoint: '127.0.0.1:{http}', {settings}}}}}}}"
    )
}

/// A connection that is kept.
struct Kept(TcpStream);

impl Kept {
    fn to(address: SocketAddr) -> Kept {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Kept(stream)
    }

    /// Posts an empty request and returns the head of the answer, in lower case; nothing where the connection is closed.
    fn ask(&mut self) -> String {
        let request = "POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        let mut head = Vec::new();
        if self.0.write_all(request.as_bytes()).is_err() {
            return String::new();
        }
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && self.0.read(&mut byte).unwrap_or(0) == 1 {
            head.push(byte[0]);
        }
        String::from_utf8(head).unwrap().to_lowercase()
    }
}

/// Connections of a receiver that stays are kept whatever happens behind it; those of one whose settings change hear of it with
/// an answer, and its socket stays the same.
#[test]
fn connections_are_kept_or_told_to_go() {
    let far = Far::taking();
    let exporter = far.exporter("otlp", "");
    let logs = "logs: {receivers: [otlp], exporters: [otlp]}";
    let with_batch = "logs: {receivers: [otlp], processors: [batch], exporters: [otlp]}";
    let elsewhere = "logs/2: {receivers: [otlp], exporters: [otlp]}";
    let (grpc, http) = (free_port(), free_port());
    let base = both(grpc, http, "");
    let mut near = Near::running(&file(&base, "batch: ", &exporter, logs));
    let mut kept = Kept::to(near.address("http"));
    assert!(kept.ask().starts_with("http/1.1 200"));
    for pipelines in [with_batch, elsewhere, logs] {
        reload(&mut near, &file(&base, "batch: ", &exporter, pipelines));
        let head = kept.ask();
        assert!(head.starts_with("http/1.1 200") && !head.contains("connection: close"), "{head}");
    }
    let narrow = both(grpc, http, "max_request_body_size: 1000");
    let changes = reload(&mut near, &file(&narrow, "batch: ", &exporter, logs));
    assert_eq!(changes.to_string(), "receivers: changed otlp");
    assert_eq!(near.address("http").port(), http);
    let head = kept.ask();
    assert!(head.starts_with("http/1.1 200") && head.contains("connection: close"), "{head}");
    assert_eq!(kept.ask(), "");
    assert!(Kept::to(near.address("http")).ask().starts_with("http/1.1 200"));
    let large = block_on(async { answer(near.send_as(crate::ends::large(2000), &[("x", "y")])).await });
    assert!(matches!(large, Outcome::Permanent { .. }), "{large:?}");
    // A receiver that is gone is not listened for any more.
    let other = file(
        &both(free_port(), free_port(), "").replace("otlp:", "otlp/2:"),
        "batch: ",
        &exporter,
        &logs.replace("[otlp]", "[otlp/2]").replace("exporters: [otlp/2]", "exporters: [otlp]"),
    );
    reload(&mut near, &other);
    block_on(eventually("it is left", || TcpStream::connect(("127.0.0.1", http)).is_err()));
}

/// A port that another process has refuses the whole: nothing has changed, and nothing that was opened for it stays open.
#[test]
fn a_port_in_use_leaves_everything_as_it_was() {
    let (first, second) = (Far::taking(), Far::taking());
    // One that nobody is given by chance, as it is to be free later.
    let taken_port = free_port();
    let taken = TcpListener::bind(("127.0.0.1", taken_port)).unwrap();
    let pipelines = "logs: {receivers: [otlp], exporters: [otlp]}";
    let before = file(&format!("otlp: {BOTH}"), "", &first.exporter("otlp", ""), pipelines);
    let mut near = Near::running(&before);
    let addresses = near.engine().addresses().to_vec();
    let free = free_port();
    let wanted = file(&both(free, taken_port, ""), "", &second.exporter("otlp", ""), pipelines);
    let error = near.engine_mut().reload(&graph(&wanted), PATIENCE).unwrap_err();
    assert!(matches!(error, ReloadError::Start(_)));
    assert!(error.to_string().contains(&taken_port.to_string()), "{error}");
    assert_eq!(near.engine().addresses(), addresses);
    assert_eq!(block_on(near.ask(logs(1))), Outcome::DELIVERED);
    assert_eq!(reload(&mut near, &before).to_string(), "nothing has changed");
    drop(TcpListener::bind(("127.0.0.1", free)).unwrap());
    drop(taken);
    reload(&mut near, &wanted);
    assert_eq!(block_on(near.ask(logs(1))), Outcome::DELIVERED);
    block_on(eventually("each has one", || first.sizes() == [1] && second.sizes() == [1]));
    assert!(near.shutdown(PATIENCE).is_complete());
}

/// What a batch processor holds stays with it while everything around its pipeline changes, and leaves when the pipeline does.
#[test]
fn a_batch_that_lingers_stays_where_it_is() {
    let (first, second) = (Far::taking(), Far::taking());
    let receiver = format!("otlp: {BOTH}");
    let batch = "batch: {timeout: 1h, eager: false, send_batch_size: 2}, batch/2: ";
    let logs_only = "logs: {receivers: [otlp], processors: [batch], exporters: [otlp]}";
    let with = |more: &str| format!("{logs_only}, {more}");
    let mut near = Near::running(&file(&receiver, batch, &first.exporter("otlp", ""), logs_only));
    block_on(async {
        let waits = near.send(logs(1));
        eventually("it waits", || near.engine().stats().inlets[0].admitted == 1).await;
        let traces = with("traces: {receivers: [otlp], processors: [batch/2], exporters: [otlp]}");
        for (exporter, pipelines) in
            [(&first, traces.as_str()), (&second, traces.as_str()), (&second, logs_only), (&first, logs_only)]
        {
            let changes =
                reload(&mut near, &file(&receiver, batch, &exporter.exporter("otlp", ""), pipelines));
            assert!(changes.any());
        }
        assert_eq!((first.sizes().len(), second.sizes().len()), (0, 0), "it waits on");
        assert_eq!(near.ask(logs(1)).await, Outcome::DELIVERED);
        assert_eq!(answer(waits).await, Outcome::DELIVERED);
        eventually("both leave together", || first.sizes() == [2]).await;
        let waits = near.send(logs(1));
        eventually("it waits", || near.engine().stats().inlets[0].admitted == 3).await;
        let plain = "logs: {receivers: [otlp], exporters: [otlp]}";
        reload(&mut near, &file(&receiver, batch, &first.exporter("otlp", ""), plain));
        assert_eq!(answer(waits).await, Outcome::DELIVERED);
        eventually("it leaves with its processor", || first.sizes() == [2, 1]).await;
    });
    let report = near.shutdown(PATIENCE);
    assert!(report.is_complete());
    report.stats.check().unwrap();
}

/// What waits in a queue goes where its exporter's settings lead now.
#[test]
fn what_is_queued_goes_to_the_new_address() {
    let (busy, taking) = (Far::busy(), Far::taking());
    let receiver = format!("otlp: {BOTH}");
    let pipelines = "logs: {receivers: [otlp], exporters: [otlp]}";
    let config = |far: &Far, settings| file(&receiver, "", &far.exporter("otlp", settings), pipelines);
    let mut near = Near::running(&config(
        &busy,
        "compression: gzip, retry_on_failure: {initial_interval: 1h, max_interval: 1h, max_elapsed_time: 0}",
    ));
    block_on(async {
        assert_eq!(near.ask(logs(3)).await, Outcome::DELIVERED);
        eventually("it was refused", || busy.sizes() == [3]).await;
        let changes = reload(&mut near, &config(&taking, "compression: zstd"));
        assert_eq!(changes.to_string(), "exporters: changed otlp");
        eventually("it arrives", || taking.sizes() == [3]).await;
        eventually("all is well again", || near.engine().health().worst().is_none()).await;
    });
    let report = near.shutdown(PATIENCE);
    assert!(report.is_complete());
    let row = report.stats.exporter("otlp", Signal::Logs).unwrap();
    assert_eq!((row.enqueued, row.delivered), (3, 3));
}

/// An exporter that is taken out delivers what it has for as long as it may; what is left then is counted and told. What it
/// counted stays in the books.
#[test]
fn an_exporter_that_is_gone_delivers_what_it_has() {
    let (slow, never) = (Far::holding(), Far::holding());
    let receiver = format!("otlp: {BOTH}");
    let exporters = format!(
        "{}, {}, nop: ",
        slow.exporter("otlp", ""),
        never.exporter("otlp", "").replacen("otlp:", "otlp/never:", 1)
    );
    let to = |names: &str| format!("logs: {{receivers: [otlp], exporters: [{names}]}}");
    let mut near = Near::running(&file(&receiver, "", &exporters, &to("otlp, otlp/never")));
    block_on(async {
        assert_eq!(near.ask(logs(2)).await, Outcome::DELIVERED);
        eventually("both have it", || slow.held() == 1 && never.held() == 1).await;
        reload(&mut near, &file(&receiver, "", &exporters, &to("otlp/never, nop")));
        near.engine_mut()
            .reload(&graph(&file(&receiver, "", &exporters, &to("nop"))), Duration::from_millis(50))
            .unwrap();
        eventually("it is given up", || {
            let stats = near.engine().stats();
            let row = stats.exporter("otlp/never", Signal::Logs).unwrap();
            row.dropped == [("shutdown".into(), 2)]
        })
        .await;
        slow.take_all();
        eventually("it arrives", || {
            near.engine().stats().exporter("otlp", Signal::Logs).unwrap().delivered == 2
        })
        .await;
        assert_eq!(near.ask(logs(1)).await, Outcome::DELIVERED);
    });
    let report = near.shutdown(PATIENCE);
    let left: Vec<_> = report.undelivered.iter().filter(|undelivered| !undelivered.is_empty()).collect();
    assert_eq!(left.len(), 1, "{:?}", report.undelivered);
    assert_eq!(
        (left[0].exporter.as_str(), left[0].left.as_slice()),
        ("otlp/never", &[(Signal::Logs, 2)][..])
    );
    report.stats.check().unwrap();
    assert_eq!(report.receivers[0].1.signal(Signal::Logs).records_admitted, 3);
}

/// A receiver that is gone finishes what it is in the middle of, though its pipeline is gone with it.
#[test]
fn a_receiver_that_is_gone_finishes_its_requests() {
    let far = Far::holding();
    let receivers = format!("otlp: {BOTH}, otlp/2: {BOTH}");
    let exporters = far.exporter("otlp", "sending_queue: {wait_for_result: true}");
    let two =
        "logs: {receivers: [otlp], exporters: [otlp]}, traces: {receivers: [otlp/2], exporters: [otlp]}";
    let mut near = Near::running(&file(&receivers, "", &exporters, two));
    block_on(async {
        let waits = near.send(logs(1));
        eventually("it is under way", || far.held() == 1).await;
        let changes = reload(
            &mut near,
            &file(&receivers, "", &exporters, "traces: {receivers: [otlp/2], exporters: [otlp]}"),
        );
        assert_eq!(changes.to_string(), "receivers: removed otlp; pipelines: removed logs");
        far.take_all();
        assert_eq!(answer(waits).await, Outcome::DELIVERED);
        assert_eq!(near.ask(one(Signal::Traces)).await, Outcome::DELIVERED);
    });
    assert!(near.shutdown(PATIENCE).is_complete());
}

/// Reloads that leave something behind do not pile up: one more than there may be is refused, and the shutdown does not wait
/// for any longer than it may itself.
#[test]
fn only_so_much_may_be_leaving() {
    let far = Far::holding();
    let receiver = format!("otlp: {BOTH}");
    let config = |i: usize| {
        let exporter = far.exporter("otlp", "").replacen("otlp:", &format!("otlp/{i}:"), 1);
        file(&receiver, "", &exporter, &format!("logs: {{receivers: [otlp], exporters: [otlp/{i}]}}"))
    };
    let most = aldis_engine::limits::MAX_LEAVING;
    let mut near = Near::running(&config(0));
    block_on(async {
        for i in 0..most {
            assert_eq!(near.ask(logs(1)).await, Outcome::DELIVERED);
            eventually("it is under way", || far.held() == i + 1).await;
            reload(&mut near, &config(i + 1));
        }
        let refused = near.engine_mut().reload(&graph(&config(most + 1)), PATIENCE);
        assert!(matches!(refused, Err(ReloadError::Busy { leaving }) if leaving == most), "{refused:?}");
        assert_eq!(near.ask(logs(1)).await, Outcome::DELIVERED);
    });
    let began = Instant::now();
    let report = near.shutdown(Duration::from_millis(100));
    assert!(began.elapsed() < PATIENCE, "it has no ten seconds");
    let left: u64 = report.undelivered.iter().flat_map(|undelivered| &undelivered.left).map(|(_, n)| n).sum();
    assert_eq!((left, report.silent), (most as u64 + 1, 0));
    report.stats.check().unwrap();
}

/// A scrape endpoint that stays keeps its series; one whose settings change keeps its socket.
#[test]
fn a_scrape_endpoint_stays_with_its_series() {
    let receiver = format!("otlp: {BOTH}");
    let port = free_port();
    let config = |settings: &str, pipelines: &str| {
        let exporters = format!("prometheus: {{endpoint: '127.0.0.1:{port}', {settings}}}, nop: ");
        file(&receiver, "", &exporters, pipelines)
    };
    let metrics = "metrics: {receivers: [otlp], exporters: [prometheus]}";
    let with_logs =
        "metrics: {receivers: [otlp], exporters: [prometheus]}, logs: {receivers: [otlp], exporters: [nop]}";
    let scrape = || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    };
    let mut near = Near::running(&config("", metrics));
    let data = otlp::event::MetricData::Gauge(otlp::event::Number::Int(7));
    let up = otlp::event::Metric {
        name: "up".into(),
        data,
        time_ns: pipeline::clock::now_ns(),
        ..Default::default()
    };
    assert_eq!(block_on(near.ask(crate::ends::request(&[up.clone().into()]))), Outcome::DELIVERED);
    assert!(scrape().contains("up"), "{}", scrape());
    reload(&mut near, &config("", with_logs));
    assert!(scrape().contains("\nup"), "{}", scrape());
    let changes = reload(&mut near, &config("namespace: shop", with_logs));
    assert_eq!(changes.to_string(), "exporters: changed prometheus");
    assert!(scrape().starts_with("HTTP/1.1 200"));
    assert_eq!(block_on(near.ask(crate::ends::request(&[up.into()]))), Outcome::DELIVERED);
    assert!(scrape().contains("shop_up"), "{}", scrape());
}

/// Where a protocol is not spoken nothing listens.
#[test]
fn a_protocol_that_is_taken_out_is_not_spoken_any_more() {
    let far = Far::taking();
    let pipelines = "logs: {receivers: [otlp], exporters: [otlphttp]}";
    let exporter = far.exporter("otlphttp", "");
    let (grpc, http) = (free_port(), free_port());
    let mut near = Near::running(&file(&both(grpc, http, ""), "", &exporter, pipelines));
    assert_eq!(block_on(near.ask(logs(1))), Outcome::DELIVERED);
    let only = format!("otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:{http}'}}}}}}");
    reload(&mut near, &file(&only, "", &exporter, pipelines));
    block_on(eventually("it is left", || TcpStream::connect(("127.0.0.1", grpc)).is_err()));
    assert_eq!(block_on(near.ask(logs(1))), Outcome::DELIVERED);
    assert_eq!(far.address(Protocol::Http).ip().to_string(), "127.0.0.1");
    assert_eq!(near.engine().receivers()[0].1.signal(Signal::Logs).records_admitted, 2, "it counts on");
}

/// What was wrong with something that is gone, or that another has taken the place of, is not wrong any more.
#[test]
fn what_was_wrong_goes_with_what_it_was_wrong_with() {
    let far = Far::taking();
    let filter =
        |severity: u8| format!("filter: {{logs: {{log_record: ['severity_number == {severity}']}}}}");
    let receiver = format!("otlp: {BOTH}");
    let pipelines = "logs: {receivers: [otlp], processors: [filter], exporters: [otlp]}";
    let exporter = |settings: &str| far.exporter("otlp", settings);
    let mut near = Near::running(&file(&receiver, &filter(1), &exporter(""), pipelines));
    let health = near.engine().health().clone();
    let report = || {
        for component in ["logs:filter", "exporter otlp certificates"] {
            health.report(component, pipeline::health::Severity::Dead, "broken".to_owned(), 1);
        }
    };
    let problems = || health.problems().into_keys().collect::<Vec<_>>();
    report();
    reload(&mut near, &file(&receiver, &filter(1), &exporter("timeout: 7s"), pipelines));
    assert_eq!(problems(), ["logs:filter"], "the stage is still there");
    report();
    reload(&mut near, &file(&receiver, &filter(2), &exporter("timeout: 7s"), pipelines));
    assert_eq!(problems(), ["exporter otlp certificates"], "the exporter is still there");
    reload(&mut near, &file(&receiver, "", "nop: ", "logs: {receivers: [otlp], exporters: [nop]}"));
    assert_eq!(problems(), [""; 0]);
}

/// An exporter fails by signal, and what is wrong goes with the pipeline of that signal.
#[test]
fn health_of_an_exporter_is_a_matter_of_the_signal() {
    let far = Far::busy();
    let receiver = format!("otlp: {BOTH}");
    let both = "logs: {receivers: [otlp], exporters: [otlp]}, traces: {receivers: [otlp], exporters: [otlp]}";
    let mut near = Near::running(&file(&receiver, "", &far.exporter("otlp", ""), both));
    let health = near.engine().health().clone();
    let problems = || health.problems().into_keys().collect::<Vec<_>>();
    block_on(async {
        assert_eq!(near.ask(logs(1)).await, Outcome::DELIVERED);
        assert_eq!(near.ask(one(Signal::Traces)).await, Outcome::DELIVERED);
        eventually("both fail", || problems() == ["otlp (logs)", "otlp (traces)"]).await;
    });
    let traces = "traces: {receivers: [otlp], exporters: [otlp]}";
    reload(&mut near, &file(&receiver, "", &far.exporter("otlp", ""), traces));
    assert_eq!(problems(), ["otlp (traces)"]);
    near.shutdown(Duration::ZERO);
}

/// What is in a file stays in it until nothing can go wrong any more: a reload that does not come through empties none.
#[test]
fn a_reload_that_fails_empties_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let torn = "{\"resourceLogs\":[]}\n{\"resource";
    for name in ["anew", "appended"] {
        std::fs::write(path(name), torn).unwrap();
    }
    let frames = [&[0, 0, 0, 0, 0, 0, 0, 9][..], b"half"].concat();
    std::fs::write(path("frames"), &frames).unwrap();
    let receiver = format!("otlp: {BOTH}");
    let before = file(&receiver, "", "nop: ", "logs: {receivers: [otlp], exporters: [nop]}");
    // Exporters are opened in the order of their names: the last cannot listen.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let exporters = format!(
        "file: {{path: '{}'}}, file/a: {{path: '{}', append: true}}, file/b: {{path: '{}', append: true, format: proto}}, nop: ",
        path("anew"),
        path("appended"),
        path("frames")
    );
    let scraped = format!("{exporters}, prometheus: {{endpoint: '{}'}}", taken.local_addr().unwrap());
    let logs = "logs: {receivers: [otlp], exporters: [file, file/a, file/b]}";
    let impossible = file(
        &receiver,
        "",
        &scraped,
        &format!("{logs}, metrics: {{receivers: [otlp], exporters: [prometheus]}}"),
    );
    let read = |name: &str| std::fs::read(path(name)).unwrap();
    let mut near = Near::running(&before);
    for _ in 0..2 {
        let refused = near.engine_mut().reload(&graph(&impossible), PATIENCE);
        assert!(matches!(refused, Err(ReloadError::Start(_))), "{refused:?}");
        assert_eq!(
            [read("anew"), read("appended"), read("frames")],
            [torn.into(), torn.into(), frames.clone()]
        );
    }
    assert!(aldis_engine::Engine::start(&graph(&impossible), aldis_engine::Options::default()).is_err());
    assert_eq!([read("anew"), read("appended"), read("frames")], [torn.into(), torn.into(), frames]);
    reload(&mut near, &file(&receiver, "", &exporters, logs));
    assert_eq!([read("anew"), read("frames")], [vec![], vec![0; 4]]);
    assert_eq!(read("appended"), format!("{torn}\n").into_bytes());
    assert_eq!(block_on(near.ask(one(Signal::Logs))), Outcome::DELIVERED);
    assert!(near.shutdown(PATIENCE).is_complete());
    for name in ["anew", "appended"] {
        let text = String::from_utf8(read(name)).unwrap();
        assert!(
            text.ends_with("]}\n") && text.lines().last().unwrap().starts_with("{\"resourceLogs\""),
            "{text}"
        );
    }
    assert!(read("anew").starts_with(b"{\"resourceLogs\":[{"));
}
