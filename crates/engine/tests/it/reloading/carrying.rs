//! Receivers that leave, and what happens to what they are in the middle of when more reloads follow.

use otlp::LogRecord;

use super::{
    load::{Clients, arrived, assert_arrived_once},
    *,
};
use crate::ends::request;

/// A request over HTTP/1.1 of which half has been sent.
struct Half {
    stream: TcpStream,
    rest: Vec<u8>,
    number: u64,
}

impl Half {
    /// Sends half of a request with one record, whose time is the number, and waits until the receiver has begun with it.
    async fn of(near: &Near, receiver: &str, address: SocketAddr, number: u64) -> Half {
        let offered = || {
            let counts = near.engine().receivers();
            let of = counts.iter().find(|(name, _)| name == receiver).unwrap();
            of.1.signal(Signal::Logs).requests_offered
        };
        let before = offered();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let record = LogRecord { time_ns: number, ..LogRecord::default() };
        let mut body = request(&[record.into()]).to_wire().to_vec();
        let rest = body.split_off(body.len() / 2);
        let length = body.len() + rest.len();
        let head = format!(
            "POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
        eventually("it has begun", || offered() > before).await;
        Half { stream, rest, number }
    }

    /// Sends the rest; the status of the answer, or why there is none.
    fn finish(mut self) -> Result<u64, String> {
        self.stream.write_all(&self.rest).map_err(|error| error.to_string())?;
        let mut status = [0; 12];
        self.stream.read_exact(&mut status).map_err(|error| error.to_string())?;
        match &status {
            b"HTTP/1.1 200" => Ok(self.number),
            other => Err(String::from_utf8_lossy(other).into_owned()),
        }
    }
}

fn http_of(near: &Near, receiver: &str) -> SocketAddr {
    let mut bound = near.engine().addresses().iter();
    bound.find(|bound| bound.receiver == receiver && bound.protocol == "http").unwrap().address
}

/// What a receiver that left is in the middle of goes on to where it led, however much changes behind it before that is over.
#[test]
fn what_has_left_is_carried_through_later_reloads() {
    let base = format!("otlp: {BOTH}, otlp/2: {BOTH}");
    let grpc_only = format!("otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:0'}}}}}}, otlp/2: {BOTH}");
    let left = format!("otlp/2: {BOTH}");
    let (narrow, joined) =
        ("sending_queue: {num_consumers: 1}", "sending_queue: {batch: {flush_timeout: 1ms}}");
    let logs = "logs: {receivers: [otlp/2], exporters: [otlp]}";
    let filtered = "logs: {receivers: [otlp/2], processors: [filter], exporters: [otlp]}";
    let other = "logs/2: {receivers: [otlp/2], exporters: [otlp]}";
    let traces = "traces: {receivers: [otlp/2], exporters: [otlp]}";
    let back = "logs: {receivers: [otlp, otlp/2], processors: [filter], exporters: [otlp]}";
    // Receivers, the exporter's settings, pipelines.
    let rows: [&[(&str, &str, &str)]; 7] = [
        &[(&left, "", logs), (&left, "", filtered)],
        &[(&left, "", logs), (&left, narrow, logs), (&left, joined, logs)],
        &[(&left, "", logs), (&left, "", other), (&left, narrow, other), (&left, "", traces)],
        &[(&left, "", other), (&left, "", filtered), (&left, "", traces), (&left, "", logs)],
        &[(&left, "", logs), (&left, "", other), (&left, "", filtered), (&left, "", other)],
        &[(&left, "", logs), (&base, "", back), (&left, "", traces)],
        &[(&grpc_only, "", back), (&left, "", filtered), (&left, "", traces)],
    ];
    let filter = "filter: {logs: {log_record: ['attributes[\"never\"] == \"there\"']}}";
    for (i, row) in rows.into_iter().enumerate() {
        let far = Far::taking();
        let with = |receivers: &str, settings: &str, pipelines: &str| {
            file(receivers, filter, &far.exporter("otlp", settings), pipelines)
        };
        let before = "logs: {receivers: [otlp, otlp/2], exporters: [otlp]}";
        let mut near = Near::running(&with(&base, "", before));
        let address = http_of(&near, "otlp");
        block_on(async {
            let half = Half::of(&near, "otlp", address, 7).await;
            for (receivers, settings, pipelines) in row {
                assert!(reload(&mut near, &with(receivers, settings, pipelines)).any());
            }
            assert_eq!(half.finish(), Ok(7), "row {i}");
            eventually("it arrives", || far.sizes() == [1]).await;
        });
        let report = near.shutdown(PATIENCE);
        assert!(report.is_complete(), "row {i}");
        assert_eq!(report.connections_cut, 0, "row {i}");
        report.stats.check().unwrap();
        let refused: u64 = report.stats.inlets.iter().flat_map(|row| &row.refused).map(|(_, n)| n).sum();
        assert_eq!(refused, 0, "row {i}");
    }
}

/// The same while others send all the time: nobody is refused, and everything that was acknowledged arrives once.
#[test]
fn receivers_come_and_go_under_load() {
    let (one, two) = (Far::taking(), Far::taking());
    let (grpc, http, coming) = (free_port(), free_port(), free_port());
    let steady = both(grpc, http, "").replace("otlp:", "otlp/2:");
    let with = format!("{steady}, otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:{coming}'}}}}}}");
    let (to_one, to_two) = (one.exporter("otlp", ""), two.exporter("otlphttp", ""));
    let logs = |name: &str, receivers: &str, processors: &str, exporter: &str| {
        format!("{name}: {{receivers: [{receivers}], processors: [{processors}], exporters: [{exporter}]}}")
    };
    let processors = "batch: {timeout: 2ms}";
    let exporters = format!("{to_one}, {to_two}");
    let first = file(&with, processors, &exporters, &logs("logs", "otlp, otlp/2", "", "otlp"));
    let after = [
        file(&steady, processors, &exporters, &logs("logs", "otlp/2", "", "otlp")),
        file(&steady, processors, &exporters, &logs("logs", "otlp/2", "batch", "otlp")),
        file(&steady, processors, &exporters, &logs("logs/2", "otlp/2", "batch", "otlphttp")),
        file(&steady, processors, &exporters, &logs("logs", "otlp/2", "", "otlphttp")),
    ];
    let mut near = Near::running(&first);
    let clients = Clients::start(&[(Protocol::Grpc, grpc), (Protocol::Http, http)]);
    let mut halves = Vec::new();
    block_on(async {
        for round in 0..5 {
            let address = http_of(&near, "otlp");
            for i in 0..4 {
                halves.push(Half::of(&near, "otlp", address, 1 << 40 | round << 8 | i).await);
            }
            for (step, text) in after.iter().enumerate() {
                let before = clients.sent();
                eventually("more is sent", || clients.sent() > before + 5).await;
                assert!(reload(&mut near, text).any());
                let half = halves.remove(0);
                assert_eq!(half.number, 1 << 40 | round << 8 | step as u64);
                half.finish().unwrap();
            }
            assert!(reload(&mut near, &first).any());
        }
    });
    let (mut acknowledged, refused) = clients.end();
    assert!(refused.is_empty(), "{refused:#?}");
    acknowledged.extend((0..5u64).flat_map(|round| (0..4).map(move |i| 1 << 40 | round << 8 | i)));
    let report = near.shutdown(PATIENCE);
    assert!(report.is_complete(), "{:?}", report.undelivered);
    report.stats.check().unwrap();
    let arrived = arrived(&[&one, &two]);
    assert_arrived_once(&acknowledged, &arrived);
    assert_eq!(arrived.len(), acknowledged.len());
}
