//! Files of one process, and lists of processes.

use super::{ParseError, keyed, lines, number, words};

/// What of `/proc/PID/stat` is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProcStat {
    /// Its number, which another process may have had before.
    pub pid: u32,
    /// `R`, `S`, `D`, `Z` (ended, not waited for) and so on.
    pub state: u8,
    /// Its parent's number.
    pub parent: u32,
    /// Ticks in user mode, all threads, ended ones too.
    pub user_ticks: u64,
    /// Ticks in the kernel.
    pub system_ticks: u64,
    /// Ticks in user mode of children that were waited for, and of theirs.
    pub waited_user_ticks: u64,
    /// Ticks in the kernel of the same.
    pub waited_system_ticks: u64,
    /// Ticks between the machine's start and its own: together with the number it names one process.
    pub start_ticks: u64,
}

/// Reads `/proc/PID/stat`. The name in it may hold anything, parentheses and line ends too: it ends at the last `)`.
///
/// # Errors
/// It ends early, or a column is no number.
pub fn proc_stat(bytes: &[u8]) -> Result<ProcStat, ParseError> {
    let open = bytes.iter().position(|byte| *byte == b'(').ok_or(ParseError::Missing("comm"))?;
    let close = bytes.iter().rposition(|byte| *byte == b')').ok_or(ParseError::Missing("comm"))?;
    let (before, after) = (bytes.get(..open).unwrap_or_default(), bytes.get(close + 1..).unwrap_or_default());
    // Columns are counted as in proc(5), where the state is the third.
    let column = |n: usize, key| words(after).nth(n - 3).ok_or(ParseError::Missing(key));
    let unsigned = |n: usize, key| number(column(n, key)?, key);
    // Children's times are declared signed there.
    let waited = |n: usize, key| {
        let word = column(n, key)?;
        if word.first() == Some(&b'-') { Ok(0) } else { number(word, key) }
    };
    Ok(ProcStat {
        pid: small(number(before.trim_ascii(), "pid")?, "pid")?,
        state: column(3, "state")?.first().copied().unwrap_or_default(),
        parent: small(unsigned(4, "ppid")?, "ppid")?,
        user_ticks: unsigned(14, "utime")?,
        system_ticks: unsigned(15, "stime")?,
        waited_user_ticks: waited(16, "cutime")?,
        waited_system_ticks: waited(17, "cstime")?,
        start_ticks: unsigned(22, "starttime")?,
    })
}

fn small(value: u64, key: &'static str) -> Result<u32, ParseError> {
    u32::try_from(value).map_err(|_| ParseError::TooLarge(key))
}

/// What of `/proc/PID/statm` is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProcStatm {
    /// Pages in memory.
    pub resident_pages: u64,
    /// Of these pages of files and of shared memory.
    pub shared_pages: u64,
}

/// Reads `/proc/PID/statm`.
///
/// # Errors
/// It has fewer than three columns, or one is no number.
pub fn proc_statm(bytes: &[u8]) -> Result<ProcStatm, ParseError> {
    let mut columns = words(bytes).skip(1);
    let mut next = |key| number(columns.next().ok_or(ParseError::Missing(key))?, key);
    Ok(ProcStatm { resident_pages: next("resident")?, shared_pages: next("shared")? })
}

/// What of `/proc/PID/io` is used: of a process, and of its children that were waited for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProcIo {
    /// Bytes that calls to read returned, from wherever: caches, pipes, sockets.
    pub read_chars: u64,
    /// Bytes that calls to write took.
    pub write_chars: u64,
    /// Bytes fetched from devices.
    pub read_bytes: u64,
    /// Bytes that were, or are to be, written to devices.
    pub write_bytes: u64,
}

/// Reads `/proc/PID/io`.
///
/// # Errors
/// A line is missing, or its value is no number.
pub fn proc_io(bytes: &[u8]) -> Result<ProcIo, ParseError> {
    let [rchar, wchar, read, write] = keyed(bytes, ["rchar:", "wchar:", "read_bytes:", "write_bytes:"])?;
    Ok(ProcIo {
        read_chars: rchar.ok_or(ParseError::Missing("rchar"))?,
        write_chars: wchar.ok_or(ParseError::Missing("wchar"))?,
        read_bytes: read.ok_or(ParseError::Missing("read_bytes"))?,
        write_bytes: write.ok_or(ParseError::Missing("write_bytes"))?,
    })
}

/// The processes of `cgroup.procs`. Those of which this process can see no number (`0`: another PID namespace) are left out, as are
/// lines that are no numbers.
pub fn pids(bytes: &[u8]) -> impl Iterator<Item = u32> {
    let numbers = lines(bytes).filter_map(|line| number(line, "pid").ok());
    numbers.filter_map(|pid| u32::try_from(pid).ok()).filter(|pid| *pid != 0)
}
