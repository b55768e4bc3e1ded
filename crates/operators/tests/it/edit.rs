//! Edit plans against the slow way, one action at a time.

use aldis_operators::edit::{
    ActionSettings, AttributeMatch, AttributesSettings, EditPlan, LibraryMatch, MatchSettings, MatchType,
    ResourceSettings, SelectSettings, SeverityMatch,
};
use aldis_operators::{Operator, Output, StepContext};
use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
    trace::v1::ExportTraceServiceRequest,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data,
};
use otlp::{AttributeValue, Batch, Check, Checker, Depth, Signal};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::naive;
use crate::requests::{KEYS, TEXTS, batch, decode, logs, metrics, traces};

fn key() -> impl Strategy<Value = String> {
    prop::sample::select(&KEYS[..]).prop_map(str::to_owned)
}

fn value() -> impl Strategy<Value = AttributeValue> {
    prop_oneof![
        prop::sample::select(&TEXTS[..]).prop_map(|text| AttributeValue::String(text.into())),
        (-3..300i64).prop_map(AttributeValue::Int),
        Just(AttributeValue::Double(0.5)),
        any::<bool>().prop_map(AttributeValue::Bool),
        Just(AttributeValue::Array(vec![AttributeValue::Int(1), AttributeValue::String("x".into())])),
    ]
}

fn action() -> impl Strategy<Value = ActionSettings> {
    let put = (
        prop::sample::select(vec!["insert", "update", "upsert"]),
        key(),
        0..3,
        value(),
        key(),
        prop::option::of(value()),
        prop::sample::select(vec!["metadata.X-Tenant", "metadata.other", "other"]),
    );
    let put = put.prop_map(|(action, key, source, value, from, default_value, context)| ActionSettings {
        action: action.into(),
        key: Some(key),
        value: (source == 0).then_some(value),
        from_attribute: (source == 1).then_some(from),
        from_context: (source == 2).then(|| context.into()),
        default_value: default_value.filter(|_| source != 0),
        ..ActionSettings::default()
    });
    let patterns = prop::sample::select(vec!["^[ab]$", "secret", "."]);
    let keyed =
        (prop::sample::select(vec!["delete", "hash"]), prop::option::of(key()), prop::option::of(patterns));
    let keyed = keyed.prop_filter_map("a key or a pattern", |(action, key, pattern)| {
        (key.is_some() || pattern.is_some()).then(|| ActionSettings {
            action: action.into(),
            key,
            pattern: pattern.map(str::to_owned),
            ..ActionSettings::default()
        })
    });
    let extract = (key(), prop::sample::select(vec![r"(?P<a>\w+)=(?P<new>\d+)", "^(?P<c>.)", "(?P<b>z)?$"]));
    let extract = extract.prop_map(|(key, pattern)| ActionSettings {
        action: "extract".into(),
        key: Some(key),
        pattern: Some(pattern.into()),
        ..ActionSettings::default()
    });
    let convert = (key(), prop::sample::select(vec!["int", "double"])).prop_map(|(key, to)| ActionSettings {
        action: "convert".into(),
        key: Some(key),
        converted_type: Some(to.into()),
        ..ActionSettings::default()
    });
    let rename = (key(), key()).prop_map(|(key, to)| ActionSettings {
        action: "rename".into(),
        key: Some(key),
        to: Some(to),
        ..ActionSettings::default()
    });
    prop_oneof![3 => put, 2 => keyed, 1 => extract, 1 => convert, 1 => rename]
}

/// Runs a plan and checks its books: an edit neither makes nor loses a record.
fn run(plan: &mut EditPlan, input: impl FnOnce(Depth) -> Batch, context: &StepContext<'_>) -> Option<Batch> {
    let input = input(plan.needs());
    let before = input.len();
    let mut out = Output::default();
    plan.step(input, context, &mut out);
    assert_eq!(out.accounted(), before as u64);
    assert!(out.removals().is_empty() && out.drops().is_empty());
    let edited = out.take_main().next();
    if let Some(batch) = &edited {
        let again = Checker::new(batch.signal(), Check::Full, batch.depth()).check(batch.to_wire()).unwrap();
        assert_eq!(batch.index(), again.index(), "the index says what the bytes say");
    }
    edited
}

fn headers(tenants: &[&str]) -> Vec<(String, String)> {
    let other = ("other".to_owned(), "o".to_owned());
    let tenants = tenants.iter().map(|tenant| ("x-tenant".to_owned(), (*tenant).to_owned()));
    std::iter::once(other).chain(tenants).collect()
}

fn attributes(actions: &[ActionSettings], select: SelectSettings) -> AttributesSettings {
    AttributesSettings { actions: actions.to_vec(), select }
}

fn without_empty(mut request: ExportTraceServiceRequest) -> ExportTraceServiceRequest {
    request
        .resource_spans
        .iter_mut()
        .for_each(|resource| resource.scope_spans.retain(|scope| !scope.spans.is_empty()));
    request.resource_spans.retain(|resource| !resource.scope_spans.is_empty());
    request
}

proptest! {
    #[test]
    fn spans_are_edited_as_by_hand(request in traces(), actions in vec(action(), 1..4),
                                   tenants in prop::sample::select(vec![vec![], vec!["t"], vec!["t", "u"]])) {
        let mut plan = EditPlan::attributes(Signal::Traces, &attributes(&actions, SelectSettings::default())).unwrap();
        let headers = headers(&tenants);
        let context = StepContext { headers: &headers, ..StepContext::default() };
        let edited = run(&mut plan, |depth| batch(Signal::Traces, &request, depth), &context);

        let mut expected = request;
        for span in expected.resource_spans.iter_mut().flat_map(|r| &mut r.scope_spans).flat_map(|s| &mut s.spans) {
            actions.iter().for_each(|action| naive::apply(action, &mut span.attributes, &headers));
        }
        let edited = edited.map(|batch| decode(&batch)).unwrap_or_default();
        prop_assert_eq!(without_empty(edited), without_empty(expected));
    }

    #[test]
    fn resources_are_edited_as_by_hand(request in traces(), actions in vec(action(), 1..4)) {
        let mut plan = EditPlan::resource(&ResourceSettings { attributes: actions.clone() }).unwrap();
        let edited = run(&mut plan, |depth| batch(Signal::Traces, &request, depth), &StepContext::default());

        let mut expected = without_empty(request);
        for resource in &mut expected.resource_spans {
            let mut of = resource.resource.clone().unwrap_or_default();
            actions.iter().for_each(|action| naive::apply(action, &mut of.attributes, &[]));
            if resource.resource.is_some() || !of.attributes.is_empty() {
                resource.resource = Some(of);
            }
        }
        let edited = edited.map(|batch| decode(&batch)).unwrap_or_default();
        prop_assert_eq!(without_empty(edited), expected);
    }

    #[test]
    fn logs_and_points_are_edited_as_by_hand(log_request in logs(), metric_request in metrics(), actions in vec(action(), 1..3)) {
        let apply = |attributes: &mut Vec<KeyValue>| actions.iter().for_each(|action| naive::apply(action, attributes, &[]));

        let mut plan = EditPlan::attributes(Signal::Logs, &attributes(&actions, SelectSettings::default())).unwrap();
        let edited = run(&mut plan, |depth| batch(Signal::Logs, &log_request, depth), &StepContext::default());
        if let Some(edited) = edited {
            let mut expected = log_request;
            let scopes = expected.resource_logs.iter_mut().flat_map(|resource| &mut resource.scope_logs);
            scopes.flat_map(|scope| &mut scope.log_records).for_each(|record| apply(&mut record.attributes));
            let records = |request: &ExportLogsServiceRequest| {
                let scopes = request.resource_logs.iter().flat_map(|resource| resource.scope_logs.clone());
                scopes.flat_map(|scope| scope.log_records).collect::<Vec<_>>()
            };
            prop_assert_eq!(records(&decode(&edited)), records(&expected));
        }

        let mut plan = EditPlan::attributes(Signal::Metrics, &attributes(&actions, SelectSettings::default())).unwrap();
        let edited = run(&mut plan, |depth| batch(Signal::Metrics, &metric_request, depth), &StepContext::default());
        if let Some(edited) = edited {
            let points = |request: &ExportMetricsServiceRequest, edit: &dyn Fn(&mut Vec<KeyValue>)| {
                let mut all = Vec::new();
                let scopes = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
                for metric in scopes.flat_map(|scope| scope.metrics.clone()) {
                    let of = |attributes: &[KeyValue]| {
                        let mut attributes = attributes.to_vec();
                        edit(&mut attributes);
                        (metric.name.clone(), attributes)
                    };
                    match metric.data.as_ref().unwrap() {
                        Data::Gauge(data) => all.extend(data.data_points.iter().map(|point| of(&point.attributes))),
                        Data::Sum(data) => all.extend(data.data_points.iter().map(|point| of(&point.attributes))),
                        Data::Histogram(data) => all.extend(data.data_points.iter().map(|point| of(&point.attributes))),
                        _ => unreachable!(),
                    }
                }
                all
            };
            prop_assert_eq!(points(&decode(&edited), &|_| {}), points(&metric_request, &apply));
        }
    }

    /// One plan does what two do.
    #[test]
    fn fused_plans_do_what_each_does(request in traces(), a in vec(action(), 1..3), b in vec(action(), 1..3), c in vec(action(), 1..3)) {
        let include = MatchSettings { span_kinds: vec!["SPAN_KIND_SERVER".into()], ..MatchSettings::default() };
        let select = SelectSettings { include: Some(include), ..SelectSettings::default() };
        let plans = || [
            EditPlan::attributes(Signal::Traces, &attributes(&a, SelectSettings::default())).unwrap(),
            EditPlan::resource(&ResourceSettings { attributes: b.clone() }).unwrap(),
            EditPlan::attributes(Signal::Traces, &attributes(&c, select.clone())).unwrap(),
        ];
        let headers = headers(&["t"]);
        let context = StepContext { headers: &headers, ..StepContext::default() };
        let deep = plans().iter().map(Operator::needs).max().unwrap();
        let mut one_by_one = Some(batch(Signal::Traces, &request, deep));
        for mut plan in plans() {
            one_by_one = one_by_one.and_then(|batch| run(&mut plan, |_| batch, &context));
        }
        let [first, second, third] = plans();
        let mut fused = first.fuse(second).unwrap().fuse(third).unwrap();
        let at_once = run(&mut fused, |depth| batch(Signal::Traces, &request, depth), &context);
        let decoded = |batch: Option<Batch>| batch.map(|batch| decode::<ExportTraceServiceRequest>(&batch));
        prop_assert_eq!(decoded(at_once), decoded(one_by_one));
    }

    /// Only the records that include, exclude and condition let through are edited.
    #[test]
    fn only_selected_spans_are_edited(request in traces(), regexp: bool) {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let (match_type, names, kinds) = match regexp {
            true => (MatchType::Regexp, texts(&["^/h", "^x$"]), texts(&["SERVER|CLIENT"])),
            false => (MatchType::Strict, texts(&["/healthz", "x"]), texts(&["SPAN_KIND_SERVER", "SPAN_KIND_CLIENT"])),
        };
        let include = MatchSettings { match_type, span_names: names, span_kinds: kinds, ..MatchSettings::default() };
        let matched = |key: &str, value: Option<&str>| AttributeMatch {
            key: key.into(),
            value: value.map(|value| AttributeValue::String(value.into())),
        };
        let exclude = MatchSettings {
            match_type,
            attributes: vec![matched("a", None), matched("b", Some("17"))],
            ..MatchSettings::default()
        };
        let library = MatchSettings {
            libraries: vec![
                LibraryMatch { name: "lib".into(), version: Some("1".into()) },
                LibraryMatch { name: "other".into(), version: None },
            ],
            ..MatchSettings::default()
        };
        let mark = ActionSettings {
            action: "upsert".into(),
            key: Some("marked".into()),
            value: Some(AttributeValue::Bool(true)),
            ..ActionSettings::default()
        };
        let select = SelectSettings { include: Some(include), exclude: Some(exclude), condition: Some("not IsRootSpan()".into()) };
        let of_library = SelectSettings { include: Some(library), ..SelectSettings::default() };
        for (select, by_library) in [(select, false), (of_library, true)] {
            let mut plan = EditPlan::attributes(Signal::Traces, &attributes(std::slice::from_ref(&mark), select)).unwrap();
            let Some(edited) = run(&mut plan, |depth| batch(Signal::Traces, &request, depth), &StepContext::default()) else { continue };
            let edited: ExportTraceServiceRequest = decode(&edited);
            for scope in edited.resource_spans.iter().flat_map(|resource| &resource.scope_spans) {
                let of = scope.scope.clone().unwrap_or_default();
                for span in &scope.spans {
                    let value = |key: &str| {
                        let entry = span.attributes.iter().find(|entry| entry.key == key)?;
                        entry.value.clone()?.value
                    };
                    let included = matches!(span.name.as_str(), "/healthz" | "x") && matches!(span.kind, 2 | 3);
                    let seventeen = match value("b") {
                        Some(Value::StringValue(text)) => if regexp { text.contains("17") } else { text == "17" },
                        Some(Value::IntValue(int)) => regexp && int.to_string().contains("17"),
                        _ => false,
                    };
                    let excluded = value("a").is_some() && seventeen;
                    let expected = match by_library {
                        true => (of.name == "lib" && of.version == "1") || of.name == "other",
                        false => included && !excluded && !span.parent_span_id.is_empty(),
                    };
                    prop_assert_eq!(value("marked").is_some(), expected, "{:?}", span);
                }
            }
        }
    }

    #[test]
    fn only_selected_logs_are_edited(request in logs(), min in 1..25i64, match_undefined: bool) {
        let include = MatchSettings {
            match_type: MatchType::Regexp,
            log_bodies: vec!["7".into(), "health".into()],
            log_severity_number: Some(SeverityMatch { min, match_undefined }),
            log_severity_texts: vec!["^(ERROR)?$".into()],
            ..MatchSettings::default()
        };
        let mark = ActionSettings {
            action: "insert".into(),
            key: Some("marked".into()),
            value: Some(AttributeValue::Int(1)),
            ..ActionSettings::default()
        };
        let select = SelectSettings { include: Some(include), ..SelectSettings::default() };
        let mut plan = EditPlan::attributes(Signal::Logs, &attributes(&[mark], select)).unwrap();
        if let Some(edited) = run(&mut plan, |depth| batch(Signal::Logs, &request, depth), &StepContext::default()) {
            let edited: ExportLogsServiceRequest = decode(&edited);
            let scopes = edited.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
            for record in scopes.flat_map(|scope| &scope.log_records) {
                let body = match record.body.clone().and_then(|body| body.value) {
                    Some(Value::StringValue(text)) => text.contains('7') || text.contains("health"),
                    Some(Value::IntValue(int)) => int.to_string().contains('7'),
                    _ => false,
                };
                let number = i64::from(record.severity_number);
                let severe = if number == 0 { match_undefined } else { number >= min };
                let text = matches!(record.severity_text.as_str(), "" | "ERROR");
                let marked = record.attributes.iter().any(|entry| entry.key == "marked");
                prop_assert_eq!(marked, body && severe && text, "{:?}", record);
            }
        }
    }
}

#[test]
fn only_selected_metrics_are_edited() {
    let mark = ActionSettings {
        action: "insert".into(),
        key: Some("marked".into()),
        value: Some(AttributeValue::Int(1)),
        ..ActionSettings::default()
    };
    let point = || NumberDataPoint::default();
    let metric = |name: &str| Metric {
        name: name.into(),
        data: Some(Data::Gauge(Gauge { data_points: vec![point(), point()] })),
        ..Metric::default()
    };
    let metrics = vec![metric("up"), metric("go_gc"), metric("go_threads")];
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
    let request = ExportMetricsServiceRequest { resource_metrics };
    for (match_type, names, expected) in [
        (MatchType::Strict, vec!["up".to_owned(), "go".to_owned()], [true, false, false]),
        (MatchType::Regexp, vec!["^go_".to_owned()], [false, true, true]),
    ] {
        let include = MatchSettings { match_type, metric_names: names, ..MatchSettings::default() };
        let select = SelectSettings { include: Some(include), ..SelectSettings::default() };
        let settings = attributes(std::slice::from_ref(&mark), select);
        let mut plan = EditPlan::attributes(Signal::Metrics, &settings).unwrap();
        let input = |depth| batch(Signal::Metrics, &request, depth);
        let edited = run(&mut plan, input, &StepContext::default()).unwrap();
        let edited: ExportMetricsServiceRequest = decode(&edited);
        let metrics = &edited.resource_metrics[0].scope_metrics[0].metrics;
        let marked = metrics.iter().map(|metric| match metric.data.as_ref().unwrap() {
            Data::Gauge(data) => data.data_points.iter().all(|point| !point.attributes.is_empty()),
            _ => unreachable!(),
        });
        assert_eq!(marked.collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_plan_that_looks_at_what_another_changes_stays_apart() {
    let delete =
        ActionSettings { action: "delete".into(), key: Some("a".into()), ..ActionSettings::default() };
    let matched = AttributeMatch { key: "a".into(), value: None };
    let by = |include: MatchSettings| {
        let select = SelectSettings { include: Some(include), ..SelectSettings::default() };
        EditPlan::attributes(Signal::Traces, &attributes(std::slice::from_ref(&delete), select)).unwrap()
    };
    let by_attribute = || by(MatchSettings { attributes: vec![matched.clone()], ..MatchSettings::default() });
    let by_service = || by(MatchSettings { services: vec!["s".into()], ..MatchSettings::default() });
    let resource = || EditPlan::resource(&ResourceSettings { attributes: vec![delete.clone()] }).unwrap();

    assert!(by_attribute().fuse(by_service()).is_ok());
    assert!(by_service().fuse(by_attribute()).is_err());
    assert!(resource().fuse(by_service()).is_err());
    assert!(resource().fuse(by_attribute()).is_ok());
    assert!(by_service().fuse(resource()).is_ok());
}

/// `testdata/edit/settings.script`: `action key=value …` and the faults that are told.
#[test]
fn wrong_settings_are_told_as_the_script_says() {
    let mut action = ActionSettings::default();
    for (at, line) in crate::script::lines("edit/settings.script") {
        if let Some(fault) = line.strip_prefix("  ! ") {
            let errors =
                EditPlan::resource(&ResourceSettings { attributes: vec![action.clone()] }).unwrap_err();
            let told: Vec<_> = errors.iter().map(ToString::to_string).collect();
            assert!(told.iter().any(|error| error.contains(fault)), "line {at}: {told:?}");
            continue;
        }
        if line.trim() == "ok" {
            EditPlan::resource(&ResourceSettings { attributes: vec![action.clone()] })
                .unwrap_or_else(|errors| panic!("line {at}: {errors:?}"));
            continue;
        }
        let mut words = line.split_whitespace();
        action = ActionSettings { action: words.next().unwrap().into(), ..ActionSettings::default() };
        for word in words {
            let (key, value) = word.split_once('=').unwrap();
            let text = Some(value.to_owned());
            match key {
                "key" => action.key = text,
                "value" => action.value = text.map(AttributeValue::String),
                "from_attribute" => action.from_attribute = text,
                "from_context" => action.from_context = text,
                "default_value" => action.default_value = text.map(AttributeValue::String),
                "pattern" => action.pattern = text,
                "converted_type" => action.converted_type = text,
                "to" => action.to = text,
                other => panic!("line {at}: {other}"),
            }
        }
    }
}

#[test]
fn properties_that_a_signal_has_not_are_told() {
    let faults = |signal: Signal, include: MatchSettings| {
        let action =
            ActionSettings { action: "delete".into(), key: Some("a".into()), ..ActionSettings::default() };
        let select = SelectSettings { include: Some(include), ..SelectSettings::default() };
        let errors = EditPlan::attributes(signal, &attributes(&[action], select)).unwrap_err();
        errors.into_iter().map(|error| error.path).collect::<Vec<_>>()
    };
    let texts = || vec!["x".to_owned()];
    assert_eq!(
        faults(Signal::Logs, MatchSettings { services: texts(), ..Default::default() }),
        ["include.services"]
    );
    assert_eq!(
        faults(Signal::Traces, MatchSettings { log_bodies: texts(), ..Default::default() }),
        ["include.log_bodies"]
    );
    assert_eq!(faults(Signal::Traces, MatchSettings::default()), ["include"]);
    assert_eq!(
        faults(Signal::Traces, MatchSettings { span_kinds: texts(), ..Default::default() }),
        ["include.span_kinds[0]"]
    );
    let not_a_pattern =
        MatchSettings { match_type: MatchType::Regexp, span_names: vec!["(".into()], ..Default::default() };
    assert_eq!(faults(Signal::Traces, not_a_pattern), ["include"]);
}
