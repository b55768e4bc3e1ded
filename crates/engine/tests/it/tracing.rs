//! Spans of the engine's own work: what they say, where they go, and that they make none of themselves.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use connect::otlp::Protocol;
use otlp::{Codec, Signal, json};
use pipeline::Outcome;
use serde_json::{Value, json};

use crate::{
    ends::{A_WHILE, BOTH, Far, Near, PATIENCE, block_on, eventually, free_port, one, record, request},
    telling::{get, is_ready, readers, samples, sum},
};

/// `service.telemetry.traces`, to this place.
pub(crate) fn traces(protocol: &str, endpoint: &str, more: &str, batch: &str) -> String {
    format!(
        "traces: {{{more} processors: [{{batch: {{schedule_delay: 20, {batch} \
         exporter: {{otlp: {{protocol: {protocol}, endpoint: '{endpoint}'}}}}}}}}]}}"
    )
}

/// An engine that carries traces and logs from `receiver` to `exporter` and tells of itself as told.
fn engine(receiver: &str, exporter: &str, processors: &str, telemetry: &str) -> Near {
    let kind = exporter.split(':').next().unwrap();
    let pipeline = |signal| {
        format!("    {signal}: {{receivers: [otlp], processors: [{processors}], exporters: [{kind}]}}\n")
    };
    Near::running(&format!(
        "receivers:\n  otlp: {receiver}\nprocessors:\n  batch: {{timeout: 200ms}}\n  batch/three: {{timeout: 1h, send_batch_size: 3, eager: false}}\nexporters:\n  {exporter}\n\
         service:\n  telemetry: {{{}, {telemetry}}}\n  pipelines:\n{}{}",
        readers("normal"),
        pipeline(Signal::Traces),
        pipeline(Signal::Logs)
    ))
}

/// A span as a far side was sent it, with its resource and scope.
#[derive(Clone, Debug)]
struct Told {
    resource: BTreeMap<String, Value>,
    scope: Value,
    span: Value,
}

impl Told {
    fn name(&self) -> &str {
        self.span["name"].as_str().unwrap()
    }

    fn attributes(&self) -> BTreeMap<String, Value> {
        attributes(&self.span)
    }
}

fn attributes(of: &Value) -> BTreeMap<String, Value> {
    let all = of["attributes"].as_array().into_iter().flatten();
    all.map(|pair| (pair["key"].as_str().unwrap().to_owned(), pair["value"].clone())).collect()
}

/// The engines' own spans among what came.
fn own(far: &Far) -> Vec<Told> {
    let mut all = Vec::new();
    for batch in far.batches().iter().filter(|batch| batch.signal() == Signal::Traces) {
        let mut text = Vec::new();
        json::append(batch, &mut text).unwrap();
        let said: Value = serde_json::from_slice(&text).unwrap();
        for whole in said["resourceSpans"].as_array().unwrap() {
            let resource = attributes(&whole["resource"]);
            for scoped in whole["scopeSpans"].as_array().unwrap() {
                let (scope, spans) = (scoped["scope"].clone(), scoped["spans"].as_array().unwrap());
                let told = |span: &Value| Told {
                    resource: resource.clone(),
                    scope: scope.clone(),
                    span: span.clone(),
                };
                all.extend(spans.iter().map(told));
            }
        }
    }
    all.retain(|told| told.scope["name"] == "aldis.telemetry");
    all
}

fn by_name<'a>(all: &'a [Told], name: &str) -> &'a Told {
    all.iter().find(|told| told.name() == name).unwrap_or_else(|| panic!("no {name} in {all:#?}"))
}

#[test]
fn a_request_and_its_delivery_are_spans_of_one_trace() {
    for (protocol, kind) in [("grpc", Protocol::Grpc), ("http/protobuf", Protocol::Http)] {
        let (far, spans) = (Far::taking(), Far::taking());
        let told = traces(protocol, &format!("http://{}", spans.address(kind)), "", "");
        let more = "compression: gzip, timeout: 9000, headers: [{name: x-team, value: shop}], endpoint:";
        let told = told.replace("endpoint:", more);
        let near = engine(BOTH, &far.exporter("otlp", ""), "", &format!("{told}, resource: {{zone: b}}"));
        block_on(async {
            let three = request(&vec![record(Signal::Traces, &[]); 3]);
            assert_eq!(near.ask(three).await, Outcome::DELIVERED);
            let sent = near.send_as(one(Signal::Logs), &[("over", "http")]);
            assert_eq!(sent.await.unwrap(), Outcome::DELIVERED);
            eventually("all spans", || own(&spans).len() == 4).await;
        });
        let all = own(&spans);
        assert_eq!(spans.header("x-team"), vec!["shop"; spans.batches().len()]);
        assert!(spans.batches().iter().all(|batch| batch.compressed(Codec::Gzip).is_some()));
        for (received, delivered, transport, word, records) in [
            ("receiver/otlp/TraceDataReceived", "exporter/otlp/traces", "grpc", "spans", "3"),
            ("receiver/otlp/LogsReceived", "exporter/otlp/logs", "http", "log_records", "1"),
        ] {
            let (received, delivered) = (by_name(&all, received), by_name(&all, delivered));
            assert_eq!(received.span["traceId"], delivered.span["traceId"]);
            assert_eq!(delivered.span["parentSpanId"], received.span["spanId"]);
            assert_eq!(received.span.get("parentSpanId"), None);
            assert_eq!((&received.span["kind"], &delivered.span["kind"]), (&json!(2), &json!(3)));
            let said = received.attributes();
            assert_eq!(said["receiver"], json!({"stringValue": "otlp"}));
            assert_eq!(said["transport"], json!({"stringValue": transport}));
            assert_eq!(said["format"], json!({"stringValue": "protobuf"}));
            assert_eq!(said[&format!("accepted_{word}")], json!({"intValue": records}));
            assert_eq!(said[&format!("refused_{word}")], json!({"intValue": "0"}));
            let said = delivered.attributes();
            assert_eq!(said["items.sent"], json!({"intValue": records}));
            assert_eq!(said["items.failed"], json!({"intValue": "0"}));
            assert_eq!(said["aldis.attempts"], json!({"intValue": "1"}));
            for told in [received, delivered] {
                let time = |key: &str| told.span[key].as_str().unwrap().parse::<u64>().unwrap();
                assert!(time("startTimeUnixNano") <= time("endTimeUnixNano"));
                assert_eq!(told.resource["service.name"], json!({"stringValue": "aldis"}));
                assert_eq!(told.resource["zone"], json!({"stringValue": "b"}));
                assert!(told.resource.contains_key("service.instance.id"));
            }
        }
        let page = samples(&get(near.address("metrics"), "/metrics").1);
        assert_eq!(sum(&page, "aldis_own_spans_made", &[]), 4.0);
        // Own spans are no telemetry of any pipeline.
        assert_eq!(near.engine().stats().exporters.iter().map(|row| row.enqueued).sum::<u64>(), 4);
        assert!(own(&far).is_empty());
    }
}

#[test]
fn what_fails_says_why_and_what_is_joined_is_linked() {
    let (spans, told) =
        (Far::taking(), "sending_queue: {enabled: false}, retry_on_failure: {enabled: false}");
    let place = format!("http://{}", spans.address(Protocol::Grpc));
    let nobody = format!("otlp: {{endpoint: 'http://127.0.0.1:9', {told}}}");
    let near = engine(BOTH, &nobody, "batch/three", &traces("grpc", &place, "", ""));
    let malformed = [("content-type", "application/x-protobuf")];
    let http = near.address("http");
    block_on(async {
        let sent: Vec<_> = (0..3).map(|_| near.send(one(Signal::Logs))).collect();
        for sent in sent {
            assert!(matches!(sent.await.unwrap(), Outcome::Retry { .. } | Outcome::Permanent { .. }));
        }
        assert_eq!(post(http, "/v1/logs", &malformed, b"\xff"), 400);
        eventually("all spans", || own(&spans).len() == 5).await;
    });
    let all = own(&spans);
    let received: Vec<&Told> =
        all.iter().filter(|told| told.name() == "receiver/otlp/LogsReceived").collect();
    let delivered = by_name(&all, "exporter/otlp/logs");
    assert_eq!(delivered.attributes()["items.failed"], json!({"intValue": "3"}));
    assert_eq!(delivered.span["status"]["code"], 2);
    let links = delivered.span["links"].as_array().unwrap();
    assert_eq!((links.len(), delivered.span.get("parentSpanId")), (3, None));
    let is_link = |told: &&&Told| {
        links
            .iter()
            .any(|link| link["spanId"] == told.span["spanId"] && link["traceId"] == told.span["traceId"])
    };
    assert_eq!(received.iter().filter(is_link).count(), 3);
    let malformed = received.iter().find(|told| !is_link(told)).unwrap();
    let why = malformed.span["status"]["message"].as_str().unwrap();
    assert!(why.starts_with("INVALID_ARGUMENT: "), "{why}");
}

/// The status of the answer to a body.
fn post(to: std::net::SocketAddr, path: &str, headers: &[(&str, &str)], body: &[u8]) -> u16 {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(to).unwrap();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    )
    .unwrap();
    headers.iter().for_each(|(name, value)| write!(stream, "{name}: {value}\r\n").unwrap());
    stream.write_all(b"\r\n").unwrap();
    stream.write_all(body).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer[9..12].parse().unwrap()
}

fn listening(protocol: &str, port: u16) -> String {
    format!("{{protocols: {{{protocol}: {{endpoint: '127.0.0.1:{port}'}}}}}}")
}

/// Sends one request to the first of these engines, waits until its spans have come to `far`, and asserts that no more are made.
fn come_to_rest(engines: &[&Near], far: &Far, spans: usize) {
    let made = || -> f64 {
        let of = |near: &&Near| {
            sum(&samples(&get(near.address("metrics"), "/metrics").1), "aldis_own_spans_made", &[])
        };
        engines.iter().map(of).sum()
    };
    block_on(async {
        assert_eq!(engines[0].ask(one(Signal::Traces)).await, Outcome::DELIVERED);
        eventually("its spans", || own(far).len() >= spans).await;
        // Spans leave every 20 ms.
        tokio::time::sleep(3 * A_WHILE).await;
    });
    let names: Vec<String> = own(far).iter().map(|told| told.name().to_owned()).collect();
    assert_eq!((names.len(), made()), (spans, spans as f64), "{names:?}");
}

#[test]
fn an_engine_that_traces_into_itself_comes_to_rest() {
    for (listens, protocol) in [("grpc", "grpc"), ("http", "http/protobuf")] {
        for processors in ["", "batch"] {
            let (port, far) = (free_port(), Far::taking());
            let told = traces(protocol, &format!("http://127.0.0.1:{port}"), "", "");
            let near = engine(&listening(listens, port), &far.exporter("otlp", ""), processors, &told);
            come_to_rest(&[&near], &far, 2);
        }
    }
}

#[test]
fn engines_that_trace_through_others_come_to_rest() {
    let ([one, two, relay], far) = ([(); 3].map(|()| free_port()), Far::taking());
    let place = |port: u16| format!("http://127.0.0.1:{port}");
    let to = |port: u16| format!("otlp: {{endpoint: '{}'}}", place(port));
    // Each traces into the other by way of a third, which forgets headers and leads to the first.
    let first =
        engine(&listening("grpc", one), &far.exporter("otlp", ""), "", &traces("grpc", &place(two), "", ""));
    let second = engine(&listening("grpc", two), &to(one), "batch", &traces("grpc", &place(relay), "", ""));
    let third = engine(&listening("grpc", relay), &to(one), "", "");
    // The request comes to the second: it and the first make two spans each.
    come_to_rest(&[&second, &first, &third], &far, 4);
}

#[test]
fn an_engine_that_refuses_its_own_spans_comes_to_rest() {
    let (port, far) = (free_port(), Far::taking());
    let told = traces("grpc", &format!("http://127.0.0.1:{port}"), "", "");
    let receiver = format!(
        "{{protocols: {{grpc: {{endpoint: '127.0.0.1:{port}', auth: {{authenticator: bearertokenauth}}}}}}}}"
    );
    let near = Near::running(&format!(
        "receivers: {{otlp: {receiver}}}\nexporters: {{{}}}\nextensions: {{bearertokenauth: {{token: t}}}}\nservice:\n  \
         extensions: [bearertokenauth]\n  telemetry: {{{}, {told}}}\n  \
         pipelines: {{traces: {{receivers: [otlp], exporters: [otlp]}}}}",
        far.exporter("otlp", ""),
        readers("normal")
    ));
    let page = || samples(&get(near.address("metrics"), "/metrics").1);
    block_on(async {
        assert!(matches!(near.ask(one(Signal::Traces)).await, Outcome::Permanent { .. }));
        eventually("its span is refused", || sum(&page(), "aldis_own_spans_dropped", &[]) > 0.0).await;
        tokio::time::sleep(A_WHILE).await;
    });
    assert_eq!(sum(&page(), "aldis_own_spans_made", &[]), 1.0);
}

#[test]
fn spans_that_find_no_room_are_counted_and_hold_nothing_up() {
    let far = Far::taking();
    let told = traces(
        "grpc",
        "http://127.0.0.1:9",
        "requests_per_second: 1000,",
        "max_queue_size: 4, export_timeout: 1,",
    );
    // However slowly requests come, three of them do before the first spans leave.
    let told = told.replace("schedule_delay: 20,", "schedule_delay: 3000,");
    let near = engine(BOTH, &far.exporter("otlp", ""), "", &told);
    let page = || samples(&get(near.address("metrics"), "/metrics").1);
    block_on(async {
        for _ in 0..20 {
            assert_eq!(near.ask(one(Signal::Traces)).await, Outcome::DELIVERED);
        }
        eventually("all are gone", || sum(&page(), "aldis_own_spans_waiting", &[]) == 0.0).await;
    });
    let page = page();
    let of = |name: &str| sum(&page, name, &[]);
    assert_eq!((of("aldis_own_spans_made"), of("aldis_own_spans_delivered")), (40.0, 0.0));
    assert_eq!(of("aldis_own_spans_dropped"), 40.0);
    assert!(sum(&page, "aldis_own_spans_dropped", &[("reason", "full")]) > 0.0);
    assert!(is_ready(&near), "{:?}", near.engine().verdict());
    let began = Instant::now();
    assert!(near.shutdown(PATIENCE).is_complete());
    assert!(began.elapsed() < PATIENCE / 2);
}

#[test]
fn so_many_requests_are_traced_and_the_last_spans_leave_at_the_end() {
    let (far, spans) = (Far::taking(), Far::taking());
    let place = format!("http://{}", spans.address(Protocol::Grpc));
    let told = traces("grpc", &place, "requests_per_second: 1,", "")
        .replace("schedule_delay: 20", "schedule_delay: 3600000");
    let near = engine(BOTH, &far.exporter("otlp", ""), "", &told);
    let began = Instant::now();
    let requests = block_on(async {
        for _ in 0..30 {
            assert_eq!(near.ask(one(Signal::Traces)).await, Outcome::DELIVERED);
        }
        began.elapsed().as_secs() + 1
    });
    assert!(own(&spans).is_empty());
    assert!(near.shutdown(PATIENCE).is_complete());
    let came = own(&spans).len() as u64;
    assert!((2..=2 * requests).contains(&came), "{came} spans in {requests} s");
}

#[test]
fn without_a_place_or_at_level_none_there_are_no_spans() {
    let far = Far::taking();
    let off = traces("grpc", &format!("http://{}", far.address(Protocol::Grpc)), "level: none,", "");
    for told in ["traces: {level: basic}", &off] {
        let near = engine(BOTH, &far.exporter("otlp", ""), "", told);
        block_on(async { assert_eq!(near.ask(one(Signal::Traces)).await, Outcome::DELIVERED) });
        std::thread::sleep(Duration::from_millis(100));
        assert!(own(&far).is_empty());
        assert!(!get(near.address("metrics"), "/metrics").1.contains("aldis_own_spans"));
    }
}
