use otlp::Depth;

use super::*;
use crate::check;

const HEAD: &str = "\
receivers:
  otlp: {protocols: {grpc: }}
processors:
  attributes: {actions: [{action: delete, key: a}]}
  attributes/ctx: {actions: [{action: insert, key: t, from_context: metadata.X-Tenant}]}
  attributes/looks: {include: {match_type: strict, attributes: [{key: a}]}, actions: [{action: delete, key: b}]}
  resource: {attributes: [{action: delete, key: a}]}
  filter: {traces: {span: ['name == \"x\"']}}
  batch: {metadata_keys: [X-Shard]}
exporters:
  otlp: {endpoint: 'localhost:1', tls: {insecure: true}}
  otlp/wait: {endpoint: 'localhost:2', tls: {insecure: true}, sending_queue: {wait_for_result: true}}
  otlp/none: {endpoint: 'localhost:3', tls: {insecure: true}, sending_queue: {enabled: false}}
  nop:
";

fn graph(pipelines: &str) -> Graph {
    let checked = check(&format!("{HEAD}service:\n  pipelines: {pipelines}\n"), &|_| None);
    assert!(!checked.problems.has_errors(), "{:#?}", checked.problems);
    checked.graph
}

fn stages(processors: &str) -> String {
    let graph =
        graph(&format!("{{traces: {{receivers: [otlp], processors: [{processors}], exporters: [nop]}}}}"));
    graph.pipelines[0].stages.iter().map(Stage::name).collect::<Vec<_>>().join(" ")
}

#[test]
fn adjacent_edits_are_one_stage_unless_the_second_looks_at_what_the_first_changes() {
    assert_eq!(stages("attributes, resource"), "attributes+resource");
    assert_eq!(stages("attributes, filter, resource, batch"), "attributes filter resource batch");
    assert_eq!(stages("attributes, attributes/looks"), "attributes attributes/looks");
    assert_eq!(stages("resource, attributes/looks"), "resource+attributes/looks");
}

#[test]
fn a_receiver_indexes_as_deep_as_its_deepest_pipeline_needs() {
    let graph = graph(
        "{traces: {receivers: [otlp], exporters: [nop]}, traces/2: {receivers: [otlp], processors: [filter], exporters: [nop]}, \
         logs: {receivers: [otlp], exporters: [nop]}}",
    );
    let id = Id::parse("otlp").unwrap();
    assert!(graph.depth(&id, Signal::Traces) >= Some(Depth::Records));
    assert_eq!(graph.depth(&id, Signal::Logs), Some(Depth::Counts));
    assert_eq!(graph.depth(&id, Signal::Metrics), None);
}

#[test]
fn only_headers_that_are_used_stay() {
    let graph = graph("{traces: {receivers: [otlp], processors: [attributes/ctx, batch], exporters: [nop]}}");
    assert_eq!(graph.pipelines[0].headers(), ["x-shard", "x-tenant"]);
}

#[test]
fn ownership_passes_at_the_queue_or_at_the_far_side() {
    let graph = graph("{traces: {receivers: [otlp], exporters: [otlp, otlp/wait, otlp/none, nop]}}");
    let exported: Vec<(String, bool)> =
        graph.ownership().iter().map(|o| (o.exporter.to_string(), o.exported)).collect();
    let want = [("otlp", false), ("otlp/wait", true), ("otlp/none", true), ("nop", true)];
    assert_eq!(exported, want.map(|(name, exported)| (name.to_owned(), exported)));
}

#[test]
fn a_change_of_one_setting_changes_one_component_only() {
    let pipelines = "{traces: {receivers: [otlp], processors: [batch], exporters: [otlp]}}";
    let before = graph(pipelines);
    let text = format!("{HEAD}service:\n  pipelines: {pipelines}\n").replace("localhost:1", "localhost:9");
    let after = check(&text, &|_| None).graph;
    assert_eq!(before.receivers, after.receivers);
    assert_eq!(before.pipelines, after.pipelines);
    assert_ne!(before.exporters, after.exporters);
}
