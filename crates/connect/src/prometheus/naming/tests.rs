use super::{Suffix::*, TranslationStrategy as Strategy, *};

fn names(name: &str, unit: &str, suffix: Suffix) -> [String; 4] {
    Strategy::ALL.map(|strategy| metric_name(strategy, "", name, unit, suffix).unwrap_or_default())
}

#[test]
fn metric_names_by_strategy() {
    // with suffixes, without, UTF-8 with suffixes, untouched
    for (name, unit, suffix, expected) in [
        (
            "http.requests",
            "",
            Total,
            ["http_requests_total", "http_requests", "http.requests_total", "http.requests"],
        ),
        (
            "http.total.requests",
            "1",
            Total,
            [
                "http_requests_total",
                "http_total_requests",
                "http.total.requests_total",
                "http.total.requests",
            ],
        ),
        (
            "requests_total",
            "",
            Total,
            ["requests_total", "requests_total", "requests_total", "requests_total"],
        ),
        (
            "cpu.utilization",
            "1",
            Ratio,
            ["cpu_utilization_ratio", "cpu_utilization", "cpu.utilization_ratio", "cpu.utilization"],
        ),
        (
            "cpu.utilization",
            "1",
            None,
            ["cpu_utilization", "cpu_utilization", "cpu.utilization", "cpu.utilization"],
        ),
        (
            "cpu.utilization",
            "s",
            Ratio,
            ["cpu_utilization_seconds", "cpu_utilization", "cpu.utilization_seconds", "cpu.utilization"],
        ),
        (
            "http.duration",
            "s",
            None,
            ["http_duration_seconds", "http_duration", "http.duration_seconds", "http.duration"],
        ),
        (
            "duration.seconds",
            "s",
            None,
            ["duration_seconds", "duration_seconds", "duration.seconds", "duration.seconds"],
        ),
        (
            "io.bytes.read",
            "By/s",
            None,
            ["io_bytes_read_per_second", "io_bytes_read", "io.bytes.read_bytes_per_second", "io.bytes.read"],
        ),
        ("queue", "{message}", Total, ["queue_total", "queue", "queue_total", "queue"]),
        ("9lives", "", None, ["_9lives", "_9lives", "9lives", "9lives"]),
        ("a...b--c", "", None, ["a_b_c", "a_b_c", "a...b--c", "a...b--c"]),
        ("größe", "", None, ["gr_e", "gr_e", "größe", "größe"]),
        ("...", "", None, ["", "", "...", "..."]),
        ("", "s", None, ["", "", "", ""]),
        ("total", "", Total, ["total", "total", "total", "total"]),
    ] {
        assert_eq!(names(name, unit, suffix), expected, "{name} {unit} {suffix:?}");
    }
}

#[test]
fn a_namespace_stands_in_front() {
    let name = |strategy| metric_name(strategy, "test-space", "9.x", "", None).unwrap();
    assert_eq!(name(Strategy::UnderscoreEscapingWithSuffixes), "test_space_9_x");
    assert_eq!(name(Strategy::NoTranslation), "test-space_9.x");
}

#[test]
fn label_names_are_reduced_to_what_all_versions_store() {
    for (key, name) in [
        ("http.method", "http_method"),
        ("http_method", "http_method"),
        ("__name__", "_name_"),
        ("1st", "key_1st"),
        ("a:b", "a_b"),
        ("ключ", "_"),
        ("", "_"),
    ] {
        assert_eq!(label_name(Strategy::UnderscoreEscapingWithSuffixes, key), name, "{key}");
    }
    assert_eq!(label_name(Strategy::NoTranslation, "http.method"), "http.method");
    assert!(
        is_legacy_metric("a:b") && !is_legacy_label("a:b") && !is_legacy_metric("1") && !is_legacy_label("")
    );
}
