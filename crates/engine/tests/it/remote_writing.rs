//! Metrics that are written to a Prometheus server, and every setting of the exporter that writes them.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use aldis_engine::{
    check,
    components::{Id, Settings},
    limits::LOOK_PERIOD,
};
use otlp::{
    AttributeValue, Batch, Check, Checker, Depth, Signal,
    event::{Metric, MetricData, Number, Temporality},
    json,
};
use pipeline::{Outcome, RetrySettings};

use crate::{
    ends::{A_WHILE, BOTH, Near, PATIENCE, block_on, eventually, request},
    telling::{get, is_ready, readers, samples, sum},
};

/// What a far side was sent, and whether it answers.
#[derive(Default)]
struct Books {
    /// Heads and decompressed bodies.
    got: Vec<(String, Vec<u8>)>,
    holds: bool,
    statuses: Vec<u16>,
}

/// A far side that takes everything, or what it is told.
pub(crate) struct Receiver {
    pub(crate) address: String,
    books: Arc<(Mutex<Books>, Condvar)>,
}

impl Receiver {
    pub(crate) fn start(holds: bool, statuses: &[u16]) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let statuses = statuses.iter().rev().copied().collect();
        let books = Arc::new((Mutex::new(Books { holds, statuses, ..Books::default() }), Condvar::new()));
        let shared = books.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, shared) = (stream.unwrap(), shared.clone());
                std::thread::spawn(move || while serve(&stream, &shared).is_some() {});
            }
        });
        Receiver { address, books }
    }

    /// An engine that writes here, and sends nothing again because an answer is late, unless that is what it is told.
    fn near(&self, settings: &str) -> Near {
        let timeout = if settings.starts_with("timeout:") { "" } else { "timeout: 10m, " };
        let place = format!("endpoint: 'http://{}/write'", self.address);
        let exporter = format!("prometheusremotewrite: {{{place}, {timeout}{settings}}}");
        Near::carrying(&[Signal::Metrics], BOTH, "", &exporter)
    }

    /// The heads and bodies that came so far.
    pub(crate) fn got(&self) -> Vec<(String, Vec<u8>)> {
        self.books.0.lock().unwrap().got.clone()
    }

    fn take_all(&self) {
        self.books.0.lock().unwrap().holds = false;
        self.books.1.notify_all();
    }
}

fn serve(stream: &TcpStream, (books, changed): &(Mutex<Books>, Condvar)) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?.trim();
    let mut body = vec![0; length.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    let mut all = books.lock().unwrap();
    all.got.push((head, snap::raw::Decoder::new().decompress_vec(&body).unwrap()));
    // In the order in which requests come, whichever is answered first.
    let status = all.statuses.pop().unwrap_or(204);
    while all.holds {
        all = changed.wait(all).unwrap();
    }
    drop(all);
    let written = "X-Prometheus-Remote-Write-Samples-Written: 1000\r\n";
    let answer = format!("HTTP/1.1 {status} Told\r\n{written}Content-Length: 0\r\n\r\n");
    (&*stream).write_all(answer.as_bytes()).ok()
}

/// A counter of orders, observed at this second.
pub(crate) fn orders(who: &str, second: u64) -> Metric {
    let text = |text: &str| AttributeValue::String(text.into());
    let temporality = Temporality::Cumulative;
    Metric {
        name: "shop.orders".into(),
        unit: "By".into(),
        description: "Orders so far.".into(),
        data: MetricData::Sum { value: Number::Int(3), monotonic: true, temporality },
        attributes: vec![("service.name".into(), text("cart")), ("who.is".into(), text(who))],
        time_ns: second * 1_000_000_000,
        ..Metric::default()
    }
}

pub(crate) fn batch(metrics: impl IntoIterator<Item = Metric>) -> Batch {
    request(&metrics.into_iter().map(Into::into).collect::<Vec<_>>())
}

/// The same of a resource that says more than its service.
fn of_a_host() -> Batch {
    const TEXT: &str = r#"{"resourceMetrics":[{"resource":{"attributes":[
        {"key":"service.name","value":{"stringValue":"cart"}},{"key":"host.name","value":{"stringValue":"h-1"}}]},
        "scopeMetrics":[{"scope":{"name":"lib"},"metrics":[{"name":"shop.orders","unit":"By","description":"Orders so far.",
        "sum":{"isMonotonic":true,"aggregationTemporality":2,"dataPoints":[{"timeUnixNano":"5000000000","asInt":"3",
        "attributes":[{"key":"who.is","value":{"stringValue":"me"}}]}]}}]}]}]}"#;
    let wire = json::to_wire(Signal::Metrics, TEXT.as_bytes()).unwrap();
    Checker::new(Signal::Metrics, Check::Full, Depth::Records).check(wire.into()).unwrap()
}

/// Whether a text is in the bytes.
fn has(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn what_is_sent_is_written_and_every_setting_shows_in_it() {
    for (settings, present, absent) in [
        (
            "",
            vec!["shop_orders_bytes_total", "otel_scope_name", "who_is", "target_info", "host_name"],
            vec!["Orders so far", "service_name"],
        ),
        ("namespace: ns", vec!["ns_shop_orders_bytes_total"], vec![]),
        ("external_labels: {region: eu}", vec!["region"], vec![]),
        ("add_metric_suffixes: false", vec!["shop_orders"], vec!["shop_orders_"]),
        ("translation_strategy: NoTranslation", vec!["shop.orders", "who.is"], vec![]),
        ("resource_to_telemetry_conversion: {enabled: true}", vec!["service_name"], vec![]),
        (
            "resource_to_telemetry_conversion: {enabled: true, exclude_service_attributes: true}",
            vec!["host_name"],
            vec!["service_name"],
        ),
        ("target_info: {enabled: false}", vec!["shop_orders"], vec!["target_info"]),
        ("disable_scope_info: true", vec!["shop_orders"], vec!["otel_scope"]),
        ("send_metadata: true", vec!["Orders so far."], vec![]),
        ("headers: {x-scope-orgid: me}", vec!["x-scope-orgid: me\r\n", "version: 0.1.0\r\n"], vec![]),
        (
            "protobuf_message: io.prometheus.write.v2.Request",
            vec!["proto=io.prometheus.write.v2.Request\r\n", "version: 2.0.0\r\n", "Orders so far."],
            vec![],
        ),
    ] {
        let far = Receiver::start(false, &[]);
        let near = far.near(settings);
        assert_eq!(block_on(near.ask(of_a_host())), Outcome::DELIVERED);
        let report = near.shutdown(PATIENCE);
        assert!(report.is_complete(), "{report:?}");
        let all: Vec<u8> =
            far.got().into_iter().flat_map(|(head, body)| [head.into_bytes(), body].concat()).collect();
        let shown = String::from_utf8_lossy(&all);
        present.iter().for_each(|text| assert!(has(&all, text), "{settings}: no {text} in\n{shown}"));
        absent.iter().for_each(|text| assert!(!has(&all, text), "{settings}: {text} in\n{shown}"));
    }
}

#[test]
fn a_batch_is_as_many_requests_as_its_size_needs_and_so_many_are_under_way() {
    for (settings, at_once) in [
        ("max_batch_request_parallelism: 3", 3),
        ("remote_write_queue: {num_consumers: 2}", 2),
        ("max_batch_request_parallelism: 1, remote_write_queue: {num_consumers: 2}", 1),
    ] {
        let far = Receiver::start(true, &[]);
        let near = far.near(&format!("max_batch_size_bytes: 1, target_info: {{enabled: false}}, {settings}"));
        block_on(async {
            let many = ["a", "b", "c", "d", "e"].map(|who| orders(who, 5));
            assert_eq!(near.ask(batch(many)).await, Outcome::DELIVERED);
            eventually("requests are under way", || far.got().len() == at_once).await;
            tokio::time::sleep(A_WHILE / 3).await;
            assert_eq!(far.got().len(), at_once, "{settings}");
            far.take_all();
            eventually("all have come", || far.got().len() == 5).await;
        });
    }
}

#[test]
fn batches_leave_in_their_order_though_some_must_be_tried_again() {
    let far = Receiver::start(false, &[503, 503, 204, 500, 429, 503]);
    let near = far.near("retry_on_failure: {initial_interval: 5ms}, target_info: {enabled: false}");
    block_on(async {
        for second in 1..6 {
            assert_eq!(
                near.ask(batch([orders(&format!("number-{second}"), second)])).await,
                Outcome::DELIVERED
            );
        }
        eventually("all have come", || far.got().len() == 10).await;
        let delivered = || near.engine().stats().exporters.iter().map(|row| row.delivered).sum::<u64>();
        eventually("all is settled", || delivered() == 5).await;
    });
    let which = |body: &[u8]| (1..6).find(|second| has(body, &format!("number-{second}"))).unwrap();
    let order: Vec<u64> = far.got().iter().map(|(_, body)| which(body)).collect();
    assert!(order.is_sorted(), "{order:?}");
    near.engine().stats().check().unwrap();
}

#[test]
fn a_full_queue_refuses_and_without_one_senders_wait() {
    let far = Receiver::start(true, &[]);
    let near = far.near("remote_write_queue: {queue_size: 2}");
    block_on(async {
        for taken in [true, true, false] {
            let outcome = near.ask(batch([orders("me", 5)])).await;
            assert_eq!(outcome == Outcome::DELIVERED, taken, "{outcome:?}");
        }
        far.take_all();
    });
    let far = Receiver::start(true, &[]);
    let near = far.near("remote_write_queue: {enabled: false}");
    block_on(async {
        let sent = near.send(batch([orders("me", 5)]));
        eventually("it is under way", || far.got().len() == 1).await;
        tokio::time::sleep(A_WHILE).await;
        assert!(!sent.is_finished());
        far.take_all();
        assert_eq!(crate::ends::answer(sent).await, Outcome::DELIVERED);
    });
}

#[test]
fn a_request_without_an_answer_ends_in_time() {
    let far = Receiver::start(true, &[]);
    let settings = "timeout: 50ms, remote_write_queue: {enabled: false}, retry_on_failure: {enabled: false}";
    let outcome = block_on(far.near(settings).ask(batch([orders("me", 5)])));
    assert!(format!("{outcome:?}").contains("no answer within 50ms"), "{outcome:?}");
    far.take_all();
}

/// The settings of an exporter with these, or the problems.
fn read(settings: &str) -> Result<Settings, String> {
    let text = format!(
        "receivers: {{otlp: {BOTH}}}\nexporters: {{prometheusremotewrite: {settings}}}\nservice: {{pipelines: {{metrics: {{receivers: [otlp], exporters: [prometheusremotewrite]}}}}}}\n"
    );
    let checked = check(&text, &|_| None);
    if checked.problems.has_errors() {
        return Err(checked.problems.iter().map(|problem| format!("{}\n", problem.message)).collect());
    }
    Ok(checked.graph.exporters[&Id::parse("prometheusremotewrite").unwrap()].clone())
}

#[test]
fn attempts_follow_the_configured_schedule() {
    let retry =
        |settings: &str| match read(&format!("{{endpoint: 'http://a:1', retry_on_failure: {{{settings}}}}}"))
        {
            Ok(Settings::RemoteWrite(settings)) => settings.retry,
            other => panic!("{other:?}"),
        };
    let default = RetrySettings { initial_interval: Duration::from_millis(50), ..RetrySettings::default() };
    assert_eq!(retry(""), default);
    let all = "enabled: false, initial_interval: 2s, randomization_factor: 0.1, multiplier: 3, max_interval: 7s, max_elapsed_time: 11s";
    let expected = RetrySettings {
        enabled: false,
        initial_interval: Duration::from_secs(2),
        randomization_factor: 0.1,
        multiplier: 3.0,
        max_interval: Duration::from_secs(7),
        max_elapsed_time: Duration::from_secs(11),
    };
    assert_eq!(retry(all), expected);
}

#[test]
fn what_cannot_be_written_is_told_beforehand() {
    for (settings, says) in [
        ("{endpoint: 'http://localhost:9090/api/v1/write'}", ""),
        ("{}", "`endpoint` is missing"),
        ("{endpoint: 'localhost:9090'}", "is not a URL"),
        ("{endpoint: 'http://a:1', headers: {Content-Encoding: gzip}}", "of the protocol"),
        ("{endpoint: 'http://a:1', external_labels: {__name__: x}}", "names must not"),
        ("{endpoint: 'http://a:1', timeout: 0s}", "longer than nothing"),
        ("{endpoint: 'http://a:1', wal: {}}", "`wal` cannot be used yet"),
        ("{endpoint: 'http://a:1', protobuf_message: v3}", "cannot be `v3`"),
    ] {
        let told = read(settings).err().unwrap_or_default();
        assert!(told.contains(says) && told.is_empty() == says.is_empty(), "{settings}: {told}");
    }
}

#[test]
fn an_exporter_makes_itself_known() {
    let far = Receiver::start(false, &[]);
    let near = Near::running(&format!(
        "extensions: {{bearertokenauth: {{token: 0123456789abcdef}}}}
receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:0'}}}}}}}}
exporters: {{prometheusremotewrite: {{endpoint: 'http://{}/write', auth: {{authenticator: bearertokenauth}}}}}}
service: {{extensions: [bearertokenauth], pipelines: {{metrics: {{receivers: [otlp], exporters: [prometheusremotewrite]}}}}}}
",
        far.address
    ));
    assert_eq!(block_on(near.ask(batch([orders("me", 5)]))), Outcome::DELIVERED);
    block_on(eventually("it has come", || !far.got().is_empty()));
    let (head, _) = far.got().remove(0);
    assert!(head.contains("authorization: Bearer 0123456789abcdef\r\n"), "{head}");
}

#[test]
fn what_may_have_arrived_is_counted_and_why_some_was_refused_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    // The first request ends without an answer; of two that follow one is refused.
    let far = Receiver::start(true, &[204, 400, 204]);
    let near = Near::running(&format!(
        "receivers: {{otlp: {BOTH}}}\nexporters: {{prometheusremotewrite: {{endpoint: 'http://{}/write', timeout: 5s, \
         max_batch_size_bytes: 1, max_batch_request_parallelism: 1, target_info: {{enabled: false}}, \
         retry_on_failure: {{initial_interval: 1s, max_interval: 1s}}}}}}\nservice:\n  \
         telemetry: {{{}, logs: {{encoding: json, output_paths: ['{}']}}}}\n  \
         pipelines: {{metrics: {{receivers: [otlp], exporters: [prometheusremotewrite]}}}}\n",
        far.address,
        readers("normal"),
        path.display()
    ));
    let page = || samples(&get(near.address("metrics"), "/metrics").1);
    block_on(async {
        assert_eq!(near.ask(batch([orders("a", 5), orders("b", 5)])).await, Outcome::DELIVERED);
        eventually("an attempt had no answer", || sum(&page(), "aldis_exporter_send_failures", &[]) > 0.0)
            .await;
        far.take_all();
        eventually("all is settled", || sum(&page(), "aldis_remote_write_refused", &[]) == 1.0).await;
        eventually("it is told", || std::fs::read_to_string(&path).unwrap().contains("refused for good"))
            .await;
        eventually("all is settled", || sum(&page(), "aldis_exporter_delivered", &[]) == 1.0).await;
    });
    let page = page();
    let of = |name: &str| sum(&page, name, &[]);
    // Neither point was settled when the first request was lost.
    assert_eq!((of("aldis_exporter_maybe_duplicate"), of("aldis_remote_write_samples")), (2.0, 1.0));
    assert!(of("aldis_remote_write_requests") >= 3.0 && of("aldis_remote_write_bytes") > 100.0);
    let log = std::fs::read_to_string(&path).unwrap();
    let line = log.lines().find(|line| line.contains("records are refused for good")).unwrap();
    assert!(line.contains(r#""records":1"#) && line.contains("400"), "{line}");
}

#[test]
fn requests_are_charged_as_long_as_they_are_there() {
    let far = Receiver::start(true, &[]);
    let near = Near::running(&format!(
        "receivers: {{otlp: {BOTH}}}\nexporters: {{prometheusremotewrite: {{endpoint: 'http://{}/write', timeout: 10m, target_info: {{enabled: false}}}}}}\n\
         service: {{telemetry: {{{}}}, pipelines: {{metrics: {{receivers: [otlp], exporters: [prometheusremotewrite]}}}}}}\n",
        far.address,
        readers("normal")
    ));
    let used = || sum(&samples(&get(near.address("metrics"), "/metrics").1), "aldis_budget_used_bytes", &[]);
    let many =
        || batch((0..200).map(|i: u64| orders(&format!("{:x}", i.wrapping_mul(0x9e37_79b9_7f4a_7c15)), 5)));
    let came = many().memory_bytes() as f64;
    block_on(async {
        assert_eq!(near.ask(many()).await, Outcome::DELIVERED);
        eventually("it is under way", || !far.got().is_empty()).await;
        let held = used();
        // Beside the batch there are its points as series, and the request.
        assert!(held > 2.0 * came, "{held} bytes for a batch of {came}");
        far.take_all();
        eventually("all is given back", || used() == 0.0).await;
    });
}

/// One delta among ten points takes no engine out, and what nobody was asked about nobody answered.
#[test]
fn points_that_cannot_be_written_are_neither_losses_nor_answers() {
    let far = Receiver::start(false, &[204, 204, 400]);
    let near = Near::running(&format!(
        "receivers: {{otlp: {BOTH}}}\nexporters: {{prometheusremotewrite: {{endpoint: 'http://{}/write', timeout: 10m, target_info: {{enabled: false}}}}}}\n\
         service: {{telemetry: {{{}}}, pipelines: {{metrics: {{receivers: [otlp], exporters: [prometheusremotewrite]}}}}}}\n",
        far.address,
        readers("normal")
    ));
    let page = || samples(&get(near.address("metrics"), "/metrics").1);
    let of = |name: &str| sum(&page(), name, &[]);
    let delta = |who: &str| {
        let temporality = Temporality::Delta;
        let data = MetricData::Sum { value: Number::Int(3), monotonic: true, temporality };
        Metric { data, ..orders(who, 5) }
    };
    block_on(async {
        assert_eq!(near.ask(batch([delta("a")])).await, Outcome::DELIVERED);
        eventually("it is refused", || of("aldis_exporter_rejected") == 1.0).await;
        assert_eq!((of("aldis_exporter_latency_count"), far.got().len()), (0.0, 0));
        let nine = (0..9).map(|i| orders(&format!("number-{i}"), 5));
        assert_eq!(near.ask(batch(nine.chain([delta("b")]))).await, Outcome::DELIVERED);
        eventually("the others are delivered", || of("aldis_exporter_delivered") == 9.0).await;
        let others = || (of("aldis_exporter_rejected"), of("aldis_exporter_latency_count"));
        eventually("all is counted", || others() == (2.0, 1.0)).await;
        tokio::time::sleep(2 * LOOK_PERIOD).await;
        assert!(is_ready(&near), "{:?}", near.engine().verdict());
        // The second is refused whole by the far side.
        for who in ["c", "d"] {
            assert_eq!(near.ask(batch([orders(who, 6)])).await, Outcome::DELIVERED);
        }
        eventually("that is a loss", || !is_ready(&near)).await;
    });
    let report = near.shutdown(PATIENCE);
    let [loss] = &report.losses()[..] else { panic!("{:?}", report.losses()) };
    assert_eq!((loss.component.as_str(), loss.lost, loss.refused), ("prometheusremotewrite", 0, 3));
    assert!(report.all_left() && !report.is_complete());
}
