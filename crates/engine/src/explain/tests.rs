use std::time::Duration;

use pipeline::{
    Acknowledge,
    queue::{Policy, Sizer},
};

use super::*;
use crate::check;

const FILE: &str = "
receivers:
  otlp: {protocols: {grpc: {endpoint: '127.0.0.1:4317', max_recv_msg_size_mib: 8}, http: }}
processors:
  memory_limiter: {check_interval: 1s, limit_mib: 100}
  memory_limiter/part: {check_interval: 2s, limit_percentage: 50, spike_limit_percentage: 10}
  filter: {traces: {span: ['name == \"x\"', 'attributes[\"a\"] == \"b\"']}}
  batch: {timeout: 1s, send_batch_size: 10, send_batch_max_size: 20, metadata_keys: [X-Tenant]}
exporters:
  otlp: {endpoint: 'a:1', tls: {insecure: true}, timeout: 7s, sending_queue: {queue_size: 5, num_consumers: 3, batch: {min_size: 7}}}
  otlphttp: {traces_endpoint: 'http://b:2/t', endpoint: 'http://b:2', sending_queue: {enabled: false}}
  prometheus:
service:
  pipelines:
    traces: {receivers: [otlp], processors: [memory_limiter, filter, batch], exporters: [otlp, otlphttp]}
    traces/2: {receivers: [otlp], processors: [memory_limiter/part], exporters: [otlphttp]}
    metrics: {receivers: [otlp], exporters: [prometheus]}
";

const MACHINE: u64 = 8 << 30;

fn explained() -> Explanation {
    let checked = check(FILE, &|_| None);
    assert!(!checked.problems.has_errors(), "{:#?}", checked.problems);
    explain(&checked.graph, MACHINE).unwrap()
}

#[test]
fn a_receiver_says_where_it_listens_how_deep_it_indexes_and_who_is_charged() {
    let explained = explained();
    assert_eq!(explained.budget_bytes as u64, MACHINE / 100 * 25);
    let [otlp] = &explained.receivers[..] else { panic!("{:#?}", explained.receivers) };
    let listeners: Vec<_> = otlp.listeners.iter().map(|l| (l.protocol, l.largest_bytes)).collect();
    assert_eq!(listeners, [("grpc", Some(8 << 20)), ("http", Some(20_971_520))]);
    let feeds: Vec<_> = otlp.feeds.iter().map(|f| (f.signal, f.depth, f.charged.len())).collect();
    assert_eq!(feeds, [(Signal::Traces, Depth::Attributes, 2), (Signal::Metrics, Depth::Records, 1)]);
    assert_eq!(otlp.feeds[0].pipelines, ["traces", "traces/2"]);
    assert_eq!(otlp.feeds[1].charged, [None]);
}

#[test]
fn a_pipeline_says_its_bounds() {
    let explained = explained();
    let traces = &explained.pipelines[0];
    let limit = traces.limiter.as_ref().unwrap();
    assert_eq!((limit.budget_bytes, limit.limit_bytes), (80 << 20, 100 << 20), "a fifth is kept free");
    let part = explained.pipelines[1].limiter.as_ref().unwrap();
    assert_eq!(
        (part.budget_bytes as u64, part.limit_bytes),
        (MACHINE / 100 * 50 - MACHINE / 100 * 10, MACHINE / 100 * 50)
    );
    assert_eq!(traces.headers, ["x-tenant"]);
    assert_eq!(traces.steps[0].does, Does::Filter(2));
    assert_eq!(traces.steps[0].depth, Depth::Attributes);
    let Does::Batch(batch) = &traces.steps[1].does else { panic!("{:?}", traces.steps) };
    assert_eq!(
        (batch.min_records, batch.max_records, batch.flush_interval),
        (10, 20, Duration::from_secs(1))
    );
}

#[test]
fn an_exporter_says_how_its_queue_works_and_who_answers() {
    let explained = explained();
    let leads: Vec<&Lead> = explained.pipelines.iter().flat_map(|pipe| &pipe.leads).collect();
    let queue = &leads[0].queue;
    assert_eq!((queue.bounds.items, queue.bounds.sizer), (5, Sizer::Requests));
    assert_eq!((queue.bounds.bytes, queue.consumers), (explained.budget_bytes as u64, 3));
    assert_eq!((queue.policy, queue.acknowledge), (Policy::Refuse, Acknowledge::Accepted));
    // What waits is charged to the limiters of all pipelines that lead there: to one here, to both there.
    let id = |text: &str| Id::parse(text).ok();
    assert_eq!((leads[0].queue_bytes, &leads[0].charged), (80 << 20, &vec![id("memory_limiter")]));
    let both = (80 << 20) + explained.pipelines[1].limiter.as_ref().unwrap().budget_bytes as u64;
    assert_eq!(leads[1].charged, [id("memory_limiter"), id("memory_limiter/part")]);
    assert_eq!(leads[1].queue_bytes, both.min(leads[1].queue.bounds.bytes));
    assert_eq!(leads[3].charged, [None]);
    assert_eq!(queue.timeout, Duration::from_secs(7));
    assert_eq!(leads[0].joins.as_ref().unwrap().min_records, 7);
    let to = leads[1].destination.as_ref().unwrap();
    assert_eq!(
        (to.endpoint.as_str(), to.transport, to.credentials),
        ("http://b:2/t", Transport::Plain, None)
    );
    assert_eq!((leads[1].queue.acknowledge, &leads[1].joins), (Acknowledge::Exported, &None));
    let answers: Vec<bool> = leads.iter().map(|lead| lead.exported).collect();
    assert_eq!(answers, [false, true, true, false]);
    assert_eq!(leads[3].listener.as_ref().unwrap().endpoint, "localhost:8889");
}

#[test]
fn an_explanation_says_what_is_spoken_over_and_who_is_known() {
    let file = "
extensions:
  bearertokenauth: {token: secret}
receivers:
  otlp: {protocols: {grpc: {auth: {authenticator: bearertokenauth}}, http: }}
exporters:
  otlp/tls: {endpoint: 'a:1', auth: {authenticator: bearertokenauth}}
  otlp/plain: {endpoint: 'http://a:1'}
  otlphttp: {endpoint: 'https://b'}
service:
  extensions: [bearertokenauth]
  pipelines: {logs: {receivers: [otlp], exporters: [otlp/tls, otlp/plain, otlphttp]}}
";
    let checked = check(file, &|_| None);
    assert!(!checked.problems.has_errors(), "{:#?}", checked.problems);
    let explained = explain(&checked.graph, MACHINE).unwrap();
    let senders: Vec<_> = explained.receivers[0].listeners.iter().map(|l| (l.transport, l.senders)).collect();
    assert_eq!(senders, [(Transport::Plain, Some("a token")), (Transport::Plain, None)]);
    let to = explained.pipelines[0].leads.iter().map(|lead| lead.destination.as_ref().unwrap());
    let to: Vec<_> = to.map(|to| (to.transport, to.credentials)).collect();
    assert_eq!(to, [(Transport::Tls, Some("a token")), (Transport::Plain, None), (Transport::Tls, None)]);
    assert!(!format!("{explained:?}").contains("secret"));
}

#[test]
fn percentages_that_leave_nothing_are_told_as_starting_tells_them() {
    let checked = check(FILE, &|_| None);
    let error = explain(&checked.graph, 0).unwrap_err();
    assert!(error.to_string().contains("memory_limiter/part"), "{error}");
}
