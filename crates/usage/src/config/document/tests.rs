//! Files of every shape that TOML allows, changed here and read by another reader.

use proptest::{collection::vec, prelude::*, sample::select};
use toml::{Table, Value as Other};

use crate::config::{TelemetryConfig, duration};

/// The keys of the table that are ours.
const OURS: [&str; 3] = ["enabled", "otlp_endpoint", "timeout"];

/// Lines of the table, each of another key: some ours, right or wrong, some not.
fn items() -> impl Strategy<Value = Vec<&'static str>> {
    let enabled = select(vec![
        "",
        "enabled = true",
        "'enabled' = false",
        "enabled = {}",
        "enabled.x = 1",
        "enabled = [{}]",
    ]);
    let endpoint = select(vec![
        "",
        "otlp_endpoint = \"http://a\"",
        "\"otlp_endpoint\" = ''",
        "otlp_endpoint = 1979-05-27",
    ]);
    let timeout = select(vec!["", "timeout = '3s'", "timeout = \"\"\"4s\"\"\"", "timeout = { s = 1 }"]);
    let later = select(vec![
        "",
        "later = 1",
        "later.enabled = 1",
        "later.deeper.still = {}",
        "later = { enabled = 1 }",
        "later = {}",
        "later = [1, { enabled = 2 }, [3]]",
        "later = [\n  1, # c8\n  2,\n]",
        "later = '''\n[telemetry]\nenabled = 1 # no comment\n'''",
    ]);
    let other = select(vec!["", "other = 0x10", "\"a b\".c = 1.5", "telemetry = 1", "telemetry.enabled = 1"]);
    let lines = (enabled, endpoint, timeout, later, other);
    let lines = lines.prop_map(|(a, b, c, d, e)| {
        [a, b, c, d, e].into_iter().filter(|line| !line.is_empty()).collect::<Vec<_>>()
    });
    lines.prop_shuffle()
}

/// One way to write the table, and whether it must stand before all headers.
fn table() -> impl Strategy<Value = (String, bool)> {
    let comments = || select(vec!["", " # c1", "\n# c2\n", "\n\n"]);
    let header = (
        select(vec!["[telemetry]", "[ 'telemetry' ]", "[\"tele\\u006detry\"]"]),
        items(),
        comments(),
        comments(),
    );
    let header = header.prop_map(|(head, items, first, each)| {
        let items: Vec<String> = items.iter().map(|item| format!("{item}{each}\n")).collect();
        (format!("{head}{first}\n{}", items.concat()), false)
    });
    let dotted = (items(), select(vec!["telemetry.", "\"telemetry\" . "]), comments());
    let dotted = dotted.prop_map(|(items, before, each)| {
        let items: Vec<String> = items.iter().map(|item| format!("{before}{item}{each}\n")).collect();
        (items.concat(), true)
    });
    let braces = (
        items(),
        select(vec![", ", ",", " , # c3\n", ",\n\t"]),
        select(vec!["", " ", " # c4\n", ","]),
        select(vec!["", " ", "\n", " # c5\n"]),
    );
    let braces = braces.prop_map(|(items, between, last, first)| {
        (format!("telemetry = {{{first}{}{last}}} # c6\n", items.join(between)), true)
    });
    let below = select(vec![
        "[telemetry.later]\nenabled = 1\n",
        "[[telemetry.later]]\nenabled = 1\n[[telemetry.later]]\n",
        "[telemetry.enabled]\n",
        "[telemetry.a.b]\n",
    ]);
    let below = below.prop_map(|text| (text.to_owned(), false));
    let none = Just((String::new(), false));
    prop_oneof![3 => header, 3 => dotted, 3 => braces, 1 => below, 1 => none]
}

fn document() -> impl Strategy<Value = String> {
    let before = vec(
        select(vec![
            "# c0\n",
            "\n",
            "a = 1\n",
            "b = \"#\" # c9\n",
            "c.d = []\n",
            "e = { telemetry = { enabled = 2 } }\n",
        ]),
        0..3,
    );
    let behind = vec(
        select(vec![
            "[z]\n",
            "x = 1\n",
            "[z.telemetry]\n",
            "[[y]]\n",
            "[telemetry.late]\n",
            "# c7\n",
            "enabled = 'no'\n",
            "telemetry.enabled = 3\n",
        ]),
        0..4,
    );
    let shape = (select(vec!["\n", "\r\n"]), any::<bool>(), any::<bool>());
    (before, table(), behind, shape).prop_map(|(before, (table, first), behind, (newline, end, last))| {
        let (before, behind) = (before.concat(), behind.concat());
        let text = if first || !last {
            format!("{before}{table}{behind}")
        } else {
            format!("{before}[w]\n{behind}{table}")
        };
        let text = if last { format!("\u{feff}{text}") } else { text }.replace('\n', newline);
        if end { text } else { text.trim_end().to_owned() }
    })
}

fn config() -> impl Strategy<Value = TelemetryConfig> {
    let endpoint =
        prop_oneof![Just(None), Just(Some("http://[::1]:4318/".to_owned())), ".{1,9}".prop_map(Some)];
    let timeout = select(vec!["2s", "1ms", "10s"]).prop_map(|text| duration(text).unwrap());
    (any::<bool>(), endpoint, timeout).prop_map(|(enabled, otlp_endpoint, timeout)| TelemetryConfig {
        enabled,
        otlp_endpoint,
        timeout,
    })
}

/// Whether the other reader finds under our keys what they may hold.
fn is_well(file: &Table) -> bool {
    let Some(table) = file.get("telemetry") else { return true };
    let Some(table) = table.as_table() else { return false };
    let timeout = |value: &Other| value.as_str().and_then(duration).is_some();
    table.get("enabled").is_none_or(Other::is_bool)
        && table.get("otlp_endpoint").is_none_or(Other::is_str)
        && table.get("timeout").is_none_or(timeout)
}

/// What the other reader finds under our keys, as a configuration.
fn told(file: &Table) -> TelemetryConfig {
    let table = file.get("telemetry").and_then(Other::as_table);
    let get = |key: &str| table.and_then(|table| table.get(key));
    let text = |key: &str| get(key).and_then(Other::as_str);
    TelemetryConfig {
        enabled: get("enabled").and_then(Other::as_bool).unwrap_or_default(),
        otlp_endpoint: text("otlp_endpoint").filter(|text| !text.is_empty()).map(str::to_owned),
        timeout: text("timeout").and_then(duration).unwrap_or(TelemetryConfig::default().timeout),
    }
}

/// Everything that is not ours.
fn rest(mut file: Table) -> Table {
    if let Some(Other::Table(table)) = file.get_mut("telemetry") {
        OURS.iter().for_each(|key| drop(table.remove(*key)));
        if table.is_empty() {
            file.remove("telemetry");
        }
    }
    file
}

/// The comments of a generated document, in their order.
fn comments(text: &str) -> Vec<&str> {
    let places = text
        .match_indices("# c")
        .filter(|(at, _)| text[at + 3..].starts_with(|digit: char| digit.is_ascii_digit()));
    places.map(|(at, _)| &text[at..at + 4]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn a_change_changes_nothing_else(text in document(), config in config()) {
        let Ok(before) = text.parse::<Table>() else { return Err(TestCaseError::reject("this is not TOML")) };
        let read = TelemetryConfig::parse(&text, &TelemetryConfig::default());
        prop_assert_eq!(read.is_ok(), is_well(&before), "{:?}: {:?}", text, read);
        let Ok(read) = read else { return Ok(()) };
        prop_assert_eq!(&read, &told(&before), "{:?}", text);
        let written = config.written_into(&text);
        let Ok(written) = written else { return Err(TestCaseError::fail(format!("{text:?}: {written:?}"))) };
        let Ok(after) = written.parse::<Table>() else { return Err(TestCaseError::fail(format!("{text:?} became {written:?}"))) };
        prop_assert_eq!(told(&after), config.clone(), "{:?} became {:?}", text, written);
        prop_assert_eq!(rest(before), rest(after), "{:?} became {:?}", text, written);
        prop_assert_eq!(comments(&text), comments(&written), "{:?} became {:?}", text, written);
        prop_assert_eq!(TelemetryConfig::parse(&written, &TelemetryConfig::default()), Ok(config), "{:?}", written);
    }
}
