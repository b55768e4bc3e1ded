//! Whether to colour.

use std::{ffi::OsString, io::IsTerminal};

/// Whether to colour what is written to a stream.
pub(crate) fn color(stream: &impl IsTerminal) -> bool {
    wanted(stream.is_terminal(), |name| std::env::var_os(name))
}

/// `NO_COLOR` that is not empty says no (<https://no-color.org>); `CLICOLOR_FORCE` other than 0 says yes, `CLICOLOR=0` no
/// (<https://bixense.com/clicolors>). Otherwise terminals that are not dumb are coloured. clap decides the same for what it
/// writes itself.
fn wanted(is_terminal: bool, environment: impl Fn(&str) -> Option<OsString>) -> bool {
    let said = |name: &str| environment(name).filter(|value| !value.is_empty());
    if said("NO_COLOR").is_some() {
        return false;
    }
    if said("CLICOLOR_FORCE").is_some_and(|value| value != "0") {
        return true;
    }
    let able = said("TERM").is_some_and(|term| term != "dumb");
    is_terminal && able && said("CLICOLOR").is_none_or(|value| value != "0")
}

#[cfg(test)]
mod tests {
    use super::wanted;

    #[test]
    fn variables_decide_before_the_terminal_does() {
        let cases = [
            (true, "TERM=xterm", true),
            (false, "TERM=xterm", false),
            (true, "TERM=dumb", false),
            (true, "", false),
            (true, "TERM=xterm NO_COLOR=1", false),
            (true, "TERM=xterm NO_COLOR=", true),
            (false, "CLICOLOR_FORCE=1", true),
            (false, "TERM=xterm CLICOLOR_FORCE=0", false),
            (false, "CLICOLOR_FORCE=1 NO_COLOR=1", false),
            (true, "TERM=xterm CLICOLOR=0", false),
            (true, "TERM=xterm CLICOLOR=1", true),
            (true, "TERM=xterm CLICOLOR=0 CLICOLOR_FORCE=1", true),
        ];
        for (is_terminal, variables, want) in cases {
            let look = |name: &str| {
                let all = variables.split(' ').filter_map(|one| one.split_once('='));
                all.into_iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
            };
            assert_eq!(wanted(is_terminal, look), want, "{is_terminal} {variables}");
        }
    }
}
