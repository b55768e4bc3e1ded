//! How the program ends: one table, which `docs/cli.md` and `--help` show too.

/// Why the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything was done.
    Success,
    /// The configuration has errors.
    Configuration,
    /// The command line is wrong.
    Usage,
    /// A file cannot be read or written, or an archive is not as it was sealed, or not sealed with this key.
    File,
    /// Something the engine needs is not to be had: a port, a name, a thread.
    Unavailable,
    /// Telemetry was left behind: the time to drain was over, or not everything that was sent was delivered.
    Undelivered,
    /// As a command ended that was run, or as `aldis run` itself did: see its help.
    Command(u8),
}

/// Exit code of `aldis run` where a budget was used up: that of `timeout`.
pub(crate) const EXIT_BUDGET: u8 = 124;

impl Exit {
    /// Every code of a command of `aldis` with its meaning.
    pub(crate) const ALL: [(Exit, u8, &'static str); 6] = [
        (Exit::Success, 0, "everything was done"),
        (Exit::Configuration, 1, "the configuration has errors"),
        (Exit::Usage, 2, "the command line is wrong"),
        (Exit::File, 3, "a file cannot be read or written, or is not whole"),
        (Exit::Unavailable, 4, "a port, a name or a thread is not to be had"),
        (Exit::Undelivered, 5, "telemetry was left behind or not delivered"),
    ];

    /// The number given to the system.
    pub(crate) fn code(self) -> u8 {
        if let Exit::Command(code) = self {
            return code;
        }
        Exit::ALL.iter().find(|(exit, ..)| *exit == self).map_or(u8::MAX, |(_, code, _)| *code)
    }
}

/// The table, for `--help`.
pub(crate) fn table() -> String {
    let rows = Exit::ALL.map(|(_, code, meaning)| format!("  {code}  {meaning}"));
    format!("Exit codes:\n{}", rows.join("\n"))
}
