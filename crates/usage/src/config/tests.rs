use super::*;

fn parse(text: &str) -> Result<TelemetryConfig, ConfigError> {
    TelemetryConfig::parse(text, &TelemetryConfig::default())
}

#[test]
fn what_the_file_does_not_say_is_as_the_tool_says() {
    let defaults = TelemetryConfig {
        enabled: true,
        otlp_endpoint: Some("http://a".to_owned()),
        timeout: Duration::from_millis(700),
    };
    for text in ["", "[other]\nenabled = false\n", "[telemetry]\n", "telemetry.later = [1]\n"] {
        assert_eq!(TelemetryConfig::parse(text, &defaults).as_ref(), Ok(&defaults), "{text}");
    }
    let text = "[telemetry]\nenabled = false\notlp_endpoint = \"\"\ntimeout = \"3s\"\n";
    let said = TelemetryConfig { enabled: false, otlp_endpoint: None, timeout: Duration::from_secs(3) };
    assert_eq!(TelemetryConfig::parse(text, &defaults), Ok(said));
}

#[test]
fn a_wrong_value_is_not_read_as_another() {
    for (text, says) in [
        ("[telemetry\n", "1"),
        ("\u{0}", "1"),
        ("telemetry = 1", "not a table"),
        ("telemetry = [1]", "not a table"),
        ("[[telemetry]]", "not a table"),
        ("telemetry.enabled = true\ntelemetry.enabled = true", "enabled"),
        ("telemetry.enabled = [true]", "enabled"),
        ("a = what\n", "line 1: "),
        ("\n\na = \"\\q\"\n", "line 3: "),
        ("telemetry.enabled = \"yes\"", "enabled"),
        ("telemetry.enabled = 1", "enabled"),
        ("telemetry.otlp_endpoint = true", "otlp_endpoint"),
        ("telemetry.timeout = 2", "timeout"),
        ("telemetry.timeout = \"2\"", "timeout"),
        ("telemetry.timeout = \"0s\"", "timeout"),
        ("telemetry.timeout = \"11s\"", "timeout"),
        ("telemetry.timeout = \"+2s\"", "timeout"),
        ("telemetry.timeout = \"18446744073709551616s\"", "timeout"),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
    assert_eq!(parse("telemetry.timeout = \"10s\"").unwrap().timeout, TIMEOUT_MAX);
    assert_eq!(parse("telemetry.timeout = \"1ms\"").unwrap().timeout, Duration::from_millis(1));
}

#[test]
fn everything_of_others_stays() {
    let text = "# mine\ncolor = 'never'   # by hand\n\n[telemetry] # here\nlater = 1\nenabled = true # yes\n\n[z]\na.b = 2\n";
    let config = TelemetryConfig {
        enabled: false,
        otlp_endpoint: Some("http://a".to_owned()),
        ..TelemetryConfig::default()
    };
    let expected = "# mine\ncolor = 'never'   # by hand\n\n[telemetry] # here\nlater = 1\nenabled = false # yes\notlp_endpoint = \"http://a\"\n\n[z]\na.b = 2\n";
    assert_eq!(config.written_into(text).unwrap(), expected);
    assert_eq!(parse(expected).unwrap(), config);
}

#[test]
fn what_is_written_is_read() {
    for timeout in [TIMEOUT_DEFAULT, Duration::from_millis(1500), Duration::from_secs(10)] {
        for otlp_endpoint in [None, Some("https://[::1]:4318/a\"b".to_owned())] {
            for before in [
                "",
                "a = 1",
                "[telemetry]",
                "[telemetry] # mine\n[z]\n",
                "telemetry = {}\n",
                "telemetry = { later = [{ enabled = 1 }] }\n",
                "telemetry = { enabled = false, timeout = \"9s\" }\n",
                "telemetry.enabled = true",
                "\"telemetry\" . 'enabled' = true # mine\n[z]\n",
                "[telemetry.later]\nenabled = 1\n[[a]]\n",
                "a = \"\"\"\n[telemetry]\nenabled = 1\n\"\"\"\n",
                "a = [\n[1],\n{ telemetry = 1 }\n]\n",
            ] {
                let config = TelemetryConfig { enabled: true, otlp_endpoint: otlp_endpoint.clone(), timeout };
                let text = config.written_into(before).unwrap();
                assert_eq!(parse(&text).unwrap(), config, "{text}");
            }
        }
    }
}

/// Another reader of TOML sees the same, whatever stands around.
#[test]
fn another_reader_agrees() {
    let parts = [
        "a = 1\n",
        "telemetry.enabled = true\n",
        "telemetry.timeout = '3s'\n",
        "telemetry = { enabled = true, otlp_endpoint = \"http://a\" }\n",
        "b = [[1], { telemetry = { enabled = 2 } }] # [telemetry]\n",
        "[telemetry]\n",
        "enabled = false\n",
        "otlp_endpoint = \"http://\\u0061\"\n",
        "[z]\n",
        "[[y]]\n",
        "[z.telemetry]\n",
        "text = '''\n[telemetry]\n'''\n",
    ];
    let mut agreed = 0;
    for first in parts {
        for second in parts {
            for third in parts {
                let text = format!("{first}{second}{third}");
                let Ok(read) = text.parse::<toml::Table>() else { continue };
                let told = read.get("telemetry").and_then(toml::Value::as_table);
                let told = |key: &str| told.and_then(|table| table.get(key).cloned());
                let ours = parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
                let enabled = told("enabled").and_then(|value| value.as_bool());
                assert_eq!(ours.enabled, enabled.unwrap_or_default(), "{text}");
                let endpoint = told("otlp_endpoint").and_then(|value| value.as_str().map(str::to_owned));
                assert_eq!(ours.otlp_endpoint, endpoint, "{text}");
                let changed = TelemetryConfig { enabled: !ours.enabled, ..ours };
                let written = changed.written_into(&text).unwrap();
                assert!(written.parse::<toml::Table>().is_ok(), "{text}: {written}");
                assert_eq!(parse(&written), Ok(changed), "{text}: {written}");
                agreed += 1;
            }
        }
    }
    assert!(agreed > 500, "{agreed} texts are TOML");
}

/// Nobody's file takes the command with it.
#[test]
fn a_file_may_be_as_deep_as_it_likes() {
    for open in ["[", "{a=", "a."] {
        let deep = format!("a = {}", open.repeat(20_000));
        assert!(parse(&deep).is_err(), "{open}");
    }
    let deep = format!("a = {}{}\n", "[".repeat(30_000), "]".repeat(30_000));
    assert!(parse(&deep).is_err());
}

proptest::proptest! {
    #[test]
    fn no_text_is_too_much(text in "[\\[\\]{}=\\.\"'\\\\a-c\n ,#]{0,60}|(\\[telemetry\\]|enabled|=|true|\\{|\\}|\n|\\.|,){0,20}") {
        if let Ok(config) = parse(&text) {
            let changed = TelemetryConfig { enabled: !config.enabled, ..config };
            if let Ok(written) = changed.written_into(&text) {
                proptest::prop_assert_eq!(parse(&written), Ok(changed), "{}", written);
            }
        }
    }
}
