use proptest::prelude::*;

use super::*;
use crate::check;

/// A file out of few choices, so that two of them have much in common.
#[derive(Clone, Debug)]
struct File {
    receivers: [u16; 2],
    limit: u16,
    batch: u16,
    filter: bool,
    exporters: [u16; 2],
    joins: bool,
    told: bool,
    /// By pipeline: receivers, processors and exporters as bits; none where it is zero.
    pipelines: [(u8, u8, u8); 3],
}

fn file() -> impl Strategy<Value = File> {
    let pipeline = (0u8..4, 0u8..16, 0u8..4);
    let pipelines = [pipeline.clone(), pipeline.clone(), pipeline];
    (([1u16..3, 1u16..3], 1u16..3, 1u16..3), any::<[bool; 3]>(), [1u16..3, 1u16..3], pipelines).prop_map(
        |((receivers, limit, batch), [filter, joins, told], exporters, pipelines)| File {
            receivers,
            limit,
            batch,
            filter,
            exporters,
            joins,
            told,
            pipelines,
        },
    )
}

fn of_bits(bits: u8, names: &[&str]) -> String {
    let chosen: Vec<&str> =
        names.iter().enumerate().filter(|(i, _)| bits >> i & 1 == 1).map(|(_, name)| *name).collect();
    format!("[{}]", chosen.join(", "))
}

impl File {
    fn graph(&self) -> Graph {
        let [one, two] = self.receivers;
        let [first, second] = self.exporters;
        let condition = if self.filter { "a" } else { "b" };
        let level = if self.told { "basic" } else { "none" };
        let join = if self.joins { ", sending_queue: {batch: {min_size: 10}}" } else { "" };
        let mut text = format!(
            "receivers:
  otlp/1: {{protocols: {{grpc: {{endpoint: '127.0.0.1:410{one}'}}}}}}
  otlp/2: {{protocols: {{http: {{endpoint: '127.0.0.1:420{two}'}}}}}}
processors:
  memory_limiter: {{check_interval: 1s, limit_mib: {limit}00}}
  batch: {{send_batch_size: {batch}}}
  attributes/1: {{actions: [{{key: a, value: 1, action: insert}}]}}
  attributes/2: {{actions: [{{key: {condition}, action: delete}}]}}
exporters:
  otlp/1: {{endpoint: '127.0.0.1:430{first}', tls: {{insecure: true}}}}
  otlp/2: {{endpoint: '127.0.0.1:440{second}', tls: {{insecure: true}}{join}}}
extensions: {{health_check: {{path: /{level}}}}}
service:
  telemetry: {{metrics: {{level: {level}}}}}
  extensions: [health_check]
  pipelines:
",
            limit = self.limit,
            batch = self.batch,
        );
        for (name, (receivers, processors, exporters)) in
            ["traces", "logs", "traces/2"].iter().zip(self.pipelines)
        {
            if receivers > 0 && exporters > 0 {
                let receivers = of_bits(receivers, &["otlp/1", "otlp/2"]);
                let processors =
                    of_bits(processors, &["memory_limiter", "attributes/1", "attributes/2", "batch"]);
                let exporters = of_bits(exporters, &["otlp/1", "otlp/2"]);
                text += &format!(
                    "    {name}: {{receivers: {receivers}, processors: {processors}, exporters: {exporters}}}\n"
                );
            }
        }
        let checked = check(&text, &|_| None);
        let errors: Vec<&str> = checked
            .problems
            .iter()
            .filter(|problem| problem.severity == crate::Severity::Error)
            .map(|problem| problem.message.as_str())
            .filter(|message| *message != "there is no pipeline" && !message.contains("no settings"))
            .collect();
        assert!(errors.is_empty() || checked.graph.pipelines.is_empty(), "{errors:?}\n{text}");
        checked.graph
    }
}

/// Everything that would run, by what it is and its name, with what it was made from.
fn running(graph: &Graph) -> BTreeMap<(&'static str, String), String> {
    let mut all = BTreeMap::new();
    let mut add = |kind, name: String, made_from: String| drop(all.insert((kind, name), made_from));
    for (id, settings) in &graph.receivers {
        add("receivers", id.to_string(), format!("{settings:?}"));
    }
    for (id, settings) in &graph.exporters {
        add("exporters", id.to_string(), format!("{settings:?}"));
    }
    for (id, settings) in &graph.extensions {
        add("extensions", id.to_string(), format!("{settings:?}"));
    }
    add("service", "telemetry".to_owned(), format!("{:?}", graph.telemetry));
    for (id, work) in processors(graph) {
        let made_from = match work {
            Work::Limit(settings) => format!("{settings:?}"),
            Work::Stage(stage) => format!("{stage:?}"),
        };
        add("processors", id.to_string(), made_from);
    }
    for plan in &graph.pipelines {
        let limiter = plan.limiter.as_ref().map(|id| graph.limiters[id]);
        let batches: Vec<_> = plan.exporters.iter().map(|id| graph.exporters[id].queue_batch()).collect();
        let chains = Plan { receivers: Vec::new(), ..plan.clone() };
        add("chains", plan.name.clone(), format!("{chains:?} {limiter:?} {batches:?}"));
        add(
            "pipelines",
            plan.name.clone(),
            format!("{:?} {chains:?} {limiter:?} {batches:?}", plan.receivers),
        );
    }
    all
}

/// What runs once an engine has done what is to be done: what is kept is what was there before.
fn after(before: &Graph, changes: &Changes, next: &Graph) -> BTreeMap<(&'static str, String), String> {
    let (old, new) = (running(before), running(next));
    let mut all = BTreeMap::new();
    for (kind, names) in changes.rows() {
        for (name, fate) in names {
            let key = (kind, name);
            match fate {
                Fate::Kept => drop(all.insert(key.clone(), old[&key].clone())),
                Fate::Added => {
                    assert!(!old.contains_key(&key));
                    all.insert(key.clone(), new[&key].clone());
                }
                Fate::Changed => {
                    assert!(old[&key] != new[&key], "{key:?} is not changed");
                    all.insert(key.clone(), new[&key].clone());
                }
                Fate::Removed => assert!(old.contains_key(&key)),
            }
        }
    }
    for plan in &next.pipelines {
        let key = ("chains", plan.name.clone());
        let from = if changes.same_chains.contains(&plan.name) { &old } else { &new };
        all.insert(key.clone(), from[&key].clone());
        if from.get(&key) == new.get(&key) && old.get(&key) == new.get(&key) {
            assert!(changes.same_chains.contains(&plan.name), "{key:?} would lose its state");
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_runs_afterwards_is_what_would_run_if_it_were_started(one in file(), two in file()) {
        let (one, two) = (one.graph(), two.graph());
        let changes = Changes::between(&one, &two);
        prop_assert_eq!(after(&one, &changes, &two), running(&two));
        prop_assert_eq!(changes.any(), running(&one) != running(&two));
        let back = Changes::between(&two, &one);
        for ((_, there), (_, back)) in changes.rows().into_iter().zip(back.rows()) {
            let turned = there.into_iter().map(|(name, fate)| (name, match fate {
                Fate::Added => Fate::Removed,
                Fate::Removed => Fate::Added,
                same => same,
            }));
            prop_assert_eq!(turned.collect::<Vec<_>>(), back);
        }
        prop_assert!(!Changes::between(&one, &one).any());
    }
}

fn changes(edit: impl Fn(&mut File)) -> String {
    let mut file = File {
        receivers: [1, 1],
        limit: 1,
        batch: 1,
        filter: true,
        exporters: [1, 1],
        joins: false,
        told: true,
        pipelines: [(1, 0b1111, 1), (3, 0b1000, 3), (0, 0, 0)],
    };
    let before = file.graph();
    edit(&mut file);
    let changes = Changes::between(&before, &file.graph());
    let kept: Vec<&str> = changes.same_chains.iter().map(String::as_str).collect();
    format!("{changes} | {}", kept.join(" "))
}

#[test]
fn a_change_reaches_as_far_as_it_must_and_no_farther() {
    assert_eq!(changes(|_| {}), "nothing has changed | logs traces");
    assert_eq!(changes(|file| file.receivers[1] = 2), "receivers: changed otlp/2 | logs traces");
    assert_eq!(changes(|file| file.exporters[0] = 2), "exporters: changed otlp/1 | logs traces");
    assert_eq!(
        changes(|file| file.joins = true),
        "exporters: changed otlp/2; pipelines: changed logs | traces",
        "what joins requests in front of a queue is the pipeline's"
    );
    assert_eq!(
        changes(|file| file.limit = 2),
        "processors: changed memory_limiter; pipelines: changed traces | logs"
    );
    assert_eq!(
        changes(|file| file.filter = false),
        "processors: changed attributes/2; pipelines: changed traces | logs"
    );
    assert_eq!(
        changes(|file| file.pipelines[1].0 = 1),
        "receivers: removed otlp/2; pipelines: changed logs | logs traces",
        "its state stays where only its receivers change"
    );
    assert_eq!(changes(|file| file.pipelines[2] = (2, 0, 2)), "pipelines: added traces/2 | logs traces");
    assert_eq!(
        changes(|file| file.pipelines[0] = (0, 0, 0)),
        "processors: removed attributes/1, attributes/2, memory_limiter; pipelines: removed traces | logs"
    );
}
