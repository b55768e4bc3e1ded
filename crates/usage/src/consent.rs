//! Whether an invocation is counted, and why: a function of what the user has said, in a fixed order.

use std::fmt;

use crate::{
    client::EndpointError,
    config::{ConfigError, Said},
};

/// Variables that say, each by being there, that nobody sits at this computer: continuous integration.
const CI: [&str; 12] = [
    "CI",
    "CONTINUOUS_INTEGRATION",
    "BUILD_NUMBER",
    "GITHUB_ACTIONS",
    "GITLAB_CI",
    "BUILDKITE",
    "CIRCLECI",
    "TRAVIS",
    "JENKINS_URL",
    "TEAMCITY_VERSION",
    "TF_BUILD",
    "CODEBUILD_BUILD_ID",
];

/// What becomes of an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is counted: one request goes to the endpoint.
    Send,
    /// What would be sent is written to standard error instead.
    Log,
    /// Nothing.
    Off,
}

impl Mode {
    /// A word.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Send => "on",
            Mode::Log => "log",
            Mode::Off => "off",
        }
    }
}

/// Why, in the order in which they are asked: the first that has something to say decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The program runs with rights that who started it does not have: setuid, setgid, capabilities of its file.
    OthersRights,
    /// `DO_NOT_TRACK` is set, to something else than nothing, `0` or `false`.
    DoNotTrack,
    /// The tool's own variable says off.
    Variable(String),
    /// The tool's own variable says log.
    VariableLog(String),
    /// The tool's own variable says something that means nothing: that might be a no.
    VariableUnknown(String),
    /// `OTEL_SDK_DISABLED` is `true`.
    OtelSdkDisabled,
    /// This is continuous integration, by this variable, and the tool's own does not say on.
    ContinuousIntegration(&'static str),
    /// There is no home directory, so nothing that the user decided can be known.
    NoDirectory,
    /// The configuration cannot be read.
    Unreadable(ConfigError),
    /// The tool counts by default, and has not told the user yet.
    NotTold,
    /// The user has not enabled it, or has disabled it.
    NotEnabled,
    /// There is no endpoint.
    NoEndpoint,
    /// The endpoint cannot be used.
    BadEndpoint(EndpointError),
    /// It is enabled and has an endpoint.
    Enabled,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::OthersRights => f.write_str("the program runs with rights that its user does not have"),
            Reason::DoNotTrack => f.write_str("DO_NOT_TRACK is set"),
            Reason::Variable(name) => write!(f, "{name} says off"),
            Reason::VariableLog(name) => {
                write!(f, "{name} says log: what would be sent is written to standard error")
            }
            Reason::VariableUnknown(name) => {
                write!(f, "{name} says something else than 0, off, 1, on or log")
            }
            Reason::OtelSdkDisabled => f.write_str("OTEL_SDK_DISABLED is true"),
            Reason::ContinuousIntegration(name) => {
                write!(f, "{name} is set: this is continuous integration")
            }
            Reason::NoDirectory => f.write_str("there is no home directory"),
            Reason::Unreadable(error) => write!(f, "the configuration cannot be read: {error}"),
            Reason::NotTold => {
                f.write_str("it has not been run on a terminal yet, where it says what it counts")
            }
            Reason::NotEnabled => f.write_str("it is not enabled"),
            Reason::NoEndpoint => f.write_str("there is no endpoint"),
            Reason::BadEndpoint(error) => write!(f, "the endpoint cannot be used: {error}"),
            Reason::Enabled => f.write_str("it is enabled"),
        }
    }
}

/// What is known before any file is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Environment {
    /// It decides.
    Decides(Mode, Reason),
    /// It says nothing.
    Silent,
}

/// Asks the environment.
pub(crate) fn environment(
    lookup: &dyn Fn(&str) -> Option<String>,
    variable: &str,
    others_rights: bool,
) -> Environment {
    let off = |reason| Environment::Decides(Mode::Off, reason);
    // https://donottrack.sh
    let refuses = |value: String| !["", "0", "false"].contains(&value.to_ascii_lowercase().as_str());
    if others_rights {
        return off(Reason::OthersRights);
    }
    if lookup("DO_NOT_TRACK").is_some_and(refuses) {
        return off(Reason::DoNotTrack);
    }
    let own = lookup(variable).map(|value| value.to_ascii_lowercase());
    let wanted = match own.as_deref() {
        None | Some("") => false,
        Some("1" | "on" | "true") => true,
        Some("0" | "off" | "false") => return off(Reason::Variable(variable.to_owned())),
        Some("log") => return Environment::Decides(Mode::Log, Reason::VariableLog(variable.to_owned())),
        Some(_) => return off(Reason::VariableUnknown(variable.to_owned())),
    };
    // OpenTelemetry, Environment Variable Specification § General SDK Configuration.
    if lookup("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return off(Reason::OtelSdkDisabled);
    }
    match CI.into_iter().find(|name| lookup(name).is_some_and(refuses)) {
        Some(name) if !wanted => off(Reason::ContinuousIntegration(name)),
        _ => Environment::Silent,
    }
}

/// Asks the configuration.
pub(crate) fn configuration(read: &Result<Said, ConfigError>) -> (Mode, Reason) {
    let config = match read {
        Err(error) => return (Mode::Off, Reason::Unreadable(error.clone())),
        // A file is no decision: it may be there for the tool's own sake.
        Ok(said) if said.config.enabled && !said.decided => return (Mode::Off, Reason::NotTold),
        Ok(said) => &said.config,
    };
    if !config.enabled {
        return (Mode::Off, Reason::NotEnabled);
    }
    match config.endpoint() {
        None => (Mode::Off, Reason::NoEndpoint),
        Some(Err(error)) => (Mode::Off, Reason::BadEndpoint(error)),
        Some(Ok(_)) => (Mode::Send, Reason::Enabled),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TelemetryConfig;

    fn asked(variables: &[(&str, &str)]) -> Environment {
        let lookup = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        environment(&lookup, "TRIX_TELEMETRY", false)
    }

    #[test]
    fn variables_decide_in_their_order() {
        let own = || "TRIX_TELEMETRY".to_owned();
        let off = |reason| Environment::Decides(Mode::Off, reason);
        let log = Environment::Decides(Mode::Log, Reason::VariableLog(own()));
        for (variables, expected) in [
            (&[][..], Environment::Silent),
            (&[("DO_NOT_TRACK", "1")], off(Reason::DoNotTrack)),
            (&[("DO_NOT_TRACK", "true")], off(Reason::DoNotTrack)),
            (&[("DO_NOT_TRACK", "please")], off(Reason::DoNotTrack)),
            (&[("DO_NOT_TRACK", "0")], Environment::Silent),
            (&[("DO_NOT_TRACK", "False")], Environment::Silent),
            (&[("DO_NOT_TRACK", "")], Environment::Silent),
            (&[("DO_NOT_TRACK", "1"), ("TRIX_TELEMETRY", "log")], off(Reason::DoNotTrack)),
            (&[("TRIX_TELEMETRY", "0")], off(Reason::Variable(own()))),
            (&[("TRIX_TELEMETRY", "OFF")], off(Reason::Variable(own()))),
            (&[("TRIX_TELEMETRY", "no")], off(Reason::VariableUnknown(own()))),
            (&[("TRIX_TELEMETRY", "log"), ("OTEL_SDK_DISABLED", "true"), ("CI", "1")], log),
            (&[("TRIX_TELEMETRY", "on")], Environment::Silent),
            (&[("OTHER_TELEMETRY", "off")], Environment::Silent),
            (&[("OTEL_SDK_DISABLED", "TRUE")], off(Reason::OtelSdkDisabled)),
            (&[("OTEL_SDK_DISABLED", "1")], Environment::Silent),
            (&[("OTEL_SDK_DISABLED", "true"), ("CI", "true")], off(Reason::OtelSdkDisabled)),
            (&[("OTEL_SDK_DISABLED", "true"), ("TRIX_TELEMETRY", "on")], off(Reason::OtelSdkDisabled)),
            (&[("CI", "true")], off(Reason::ContinuousIntegration("CI"))),
            (&[("CI", "false")], Environment::Silent),
            (&[("JENKINS_URL", "http://x")], off(Reason::ContinuousIntegration("JENKINS_URL"))),
            (&[("CI", "true"), ("TRIX_TELEMETRY", "1")], Environment::Silent),
        ] {
            assert_eq!(asked(variables), expected, "{variables:?}");
        }
        let lookup = |_: &str| None;
        assert_eq!(environment(&lookup, "X", true), off(Reason::OthersRights));
    }

    #[test]
    fn the_configuration_decides_in_its_order() {
        let off = |reason| (Mode::Off, reason);
        let defaults = TelemetryConfig::default();
        let config = |enabled, endpoint: Option<&str>| TelemetryConfig {
            enabled,
            otlp_endpoint: endpoint.map(str::to_owned),
            ..TelemetryConfig::default()
        };
        let said = |config| configuration(&Ok(Said { config, decided: true }));
        let silent = |defaults| configuration(&Ok(Said::nothing(defaults)));
        let error = TelemetryConfig::parse("[", &defaults).unwrap_err();
        assert_eq!(configuration(&Err(error.clone())), off(Reason::Unreadable(error)));
        assert_eq!(silent(&defaults), off(Reason::NotEnabled));
        let eager = config(true, Some("http://a"));
        assert_eq!(silent(&eager), off(Reason::NotTold));
        assert_eq!(said(config(false, Some("http://a"))), off(Reason::NotEnabled));
        assert_eq!(said(config(true, None)), off(Reason::NoEndpoint));
        assert!(matches!(said(config(true, Some("ftp://a"))), (Mode::Off, Reason::BadEndpoint(_))));
        assert_eq!(said(eager), (Mode::Send, Reason::Enabled));
    }
}
