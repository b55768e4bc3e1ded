//! The files of the kernel as values: functions over bytes that open nothing, allocate nothing and never panic.
//!
//! What the kernel adds is passed over: unknown keys, further columns. What it leaves out is [`ParseError::Missing`]. Formats are those of
//! `Documentation/admin-guide/cgroup-v2.rst`, `Documentation/accounting/psi.rst` and `proc(5)`.

mod locks;
mod mounts;
mod process;

pub use locks::flock_owner;
pub use mounts::{Mount, cgroup2_mounts, own_cgroup};
pub use process::{ProcIo, ProcStat, ProcStatm, pids, proc_io, proc_stat, proc_statm};

use std::fmt;

/// Why bytes are not what the file should hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParseError {
    /// A key or column that every kernel writes is not there.
    Missing(&'static str),
    /// What stands at a key or column is no number.
    NotANumber(&'static str),
    /// A number that 64 bits do not hold.
    TooLarge(&'static str),
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(key) => write!(f, "`{key}` is missing"),
            Self::NotANumber(key) => write!(f, "`{key}` is not a number"),
            Self::TooLarge(key) => write!(f, "`{key}` does not fit into 64 bits"),
        }
    }
}

impl std::error::Error for ParseError {}

/// A file of one number, or `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// The number, in the file's unit.
    Value(u64),
    /// No limit.
    Max,
}

impl Amount {
    /// The number, if it is one.
    #[must_use]
    pub fn value(self) -> Option<u64> {
        match self {
            Self::Value(value) => Some(value),
            Self::Max => None,
        }
    }
}

/// `memory.current`, `memory.peak`, `memory.max`, `pids.current`, `pids.max`: a number or `max`.
///
/// ```
/// use aldis_host::parse::{Amount, amount};
///
/// assert_eq!(amount(b"4096\n"), Ok(Amount::Value(4096)));
/// assert_eq!(amount(b"max\n"), Ok(Amount::Max));
/// assert!(amount(b"-1\n").is_err());
/// ```
///
/// # Errors
/// It is empty, something else, or more than 64 bits hold.
pub fn amount(bytes: &[u8]) -> Result<Amount, ParseError> {
    match bytes.trim_ascii() {
        b"" => Err(ParseError::Missing("the number")),
        b"max" => Ok(Amount::Max),
        digits => number(digits, "the number").map(Amount::Value),
    }
}

/// `cpu.stat`, which every cgroup but the one at the root of a machine's hierarchy has, with any controllers or none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CpuStat {
    /// Microseconds of CPU time.
    pub usage_us: u64,
    /// Of these in user mode. User and system are scaled by the kernel so as to sum up to about the usage.
    pub user_us: u64,
    /// Of these in the kernel.
    pub system_us: u64,
}

/// Reads `cpu.stat`.
///
/// # Errors
/// One of the three times is missing or no number.
pub fn cpu_stat(bytes: &[u8]) -> Result<CpuStat, ParseError> {
    let [usage_us, user_us, system_us] = keyed(bytes, ["usage_usec", "user_usec", "system_usec"])?;
    Ok(CpuStat {
        usage_us: usage_us.ok_or(ParseError::Missing("usage_usec"))?,
        user_us: user_us.ok_or(ParseError::Missing("user_usec"))?,
        system_us: system_us.ok_or(ParseError::Missing("system_usec"))?,
    })
}

/// What of `memory.stat` is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoryStat {
    /// Bytes of anonymous memory.
    pub anon: u64,
    /// Bytes of page cache, tmpfs and shared memory included.
    pub file: u64,
    /// Bytes of tmpfs and shared memory.
    pub shmem: u64,
}

/// Reads `memory.stat`.
///
/// # Errors
/// `anon`, `file` or `shmem` is missing or no number.
pub fn memory_stat(bytes: &[u8]) -> Result<MemoryStat, ParseError> {
    let [anon, file, shmem] = keyed(bytes, ["anon", "file", "shmem"])?;
    Ok(MemoryStat {
        anon: anon.ok_or(ParseError::Missing("anon"))?,
        file: file.ok_or(ParseError::Missing("file"))?,
        shmem: shmem.ok_or(ParseError::Missing("shmem"))?,
    })
}

/// `io.stat`, summed over devices.
///
/// A stacked device (LVM, loop) and what it stands on are both counted by the kernel, and therefore here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IoStat {
    /// Bytes read from devices.
    pub read_bytes: u64,
    /// Bytes written to devices.
    pub write_bytes: u64,
    /// Devices that had any.
    pub devices: u32,
}

/// Reads `io.stat`: a line for each device, `8:16 rbytes=1459200 wbytes=314773504 …`. Nothing at all is no I/O. A line without numbers,
/// which some kernels write for a device that was looked at and not used, counts for nothing.
///
/// # Errors
/// A number is none.
pub fn io_stat(bytes: &[u8]) -> Result<IoStat, ParseError> {
    let mut sum = IoStat::default();
    for line in lines(bytes) {
        let mut words = words(line);
        if words.next().is_none_or(|device| !device.contains(&b':')) {
            return Err(ParseError::Missing("the device"));
        }
        let mut used = false;
        for (key, value) in words.filter_map(|word| split_at_byte(word, b'=')) {
            let (of, name) = match key {
                b"rbytes" => (&mut sum.read_bytes, "rbytes"),
                b"wbytes" => (&mut sum.write_bytes, "wbytes"),
                _ => continue,
            };
            *of = of.saturating_add(number(value, name)?);
            used = true;
        }
        sum.devices = sum.devices.saturating_add(u32::from(used));
    }
    Ok(sum)
}

/// One line of a pressure file: how much of the time tasks stood still for want of a resource.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stall {
    /// Share of the last ten seconds, in hundredths of a percent.
    pub avg10: u32,
    /// Share of the last minute, in hundredths of a percent.
    pub avg60: u32,
    /// Share of the last five minutes, in hundredths of a percent.
    pub avg300: u32,
    /// Microseconds since the cgroup was made.
    pub total_us: u64,
}

/// `cpu.pressure`, `memory.pressure`, `io.pressure`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pressure {
    /// Time in which some task stood still.
    pub some: Stall,
    /// Time in which all tasks did. Older kernels do not say it of the CPU.
    pub full: Option<Stall>,
}

/// Reads a pressure file.
///
/// # Errors
/// There is no line `some`, or a line lacks a number.
pub fn pressure(bytes: &[u8]) -> Result<Pressure, ParseError> {
    let (mut some, mut full) = (None, None);
    for line in lines(bytes) {
        match split_at_byte(line, b' ') {
            Some((b"some", rest)) => some = Some(stall(rest)?),
            Some((b"full", rest)) => full = Some(stall(rest)?),
            _ => {}
        }
    }
    Ok(Pressure { some: some.ok_or(ParseError::Missing("some"))?, full })
}

fn stall(line: &[u8]) -> Result<Stall, ParseError> {
    let (mut avg10, mut avg60, mut avg300, mut total_us) = (None, None, None, None);
    for (key, value) in words(line).filter_map(|word| split_at_byte(word, b'=')) {
        match key {
            b"avg10" => avg10 = Some(hundredths(value, "avg10")?),
            b"avg60" => avg60 = Some(hundredths(value, "avg60")?),
            b"avg300" => avg300 = Some(hundredths(value, "avg300")?),
            b"total" => total_us = Some(number(value, "total")?),
            _ => {}
        }
    }
    Ok(Stall {
        avg10: avg10.ok_or(ParseError::Missing("avg10"))?,
        avg60: avg60.ok_or(ParseError::Missing("avg60"))?,
        avg300: avg300.ok_or(ParseError::Missing("avg300"))?,
        total_us: total_us.ok_or(ParseError::Missing("total"))?,
    })
}

/// `12.34` is 1234.
fn hundredths(bytes: &[u8], key: &'static str) -> Result<u32, ParseError> {
    let (whole, part) = split_at_byte(bytes, b'.').ok_or(ParseError::NotANumber(key))?;
    let whole = number(whole, key)?;
    let part = if part.len() == 2 { number(part, key)? } else { return Err(ParseError::NotANumber(key)) };
    let all = whole.checked_mul(100).and_then(|all| all.checked_add(part));
    all.and_then(|all| u32::try_from(all).ok()).ok_or(ParseError::TooLarge(key))
}

/// `cgroup.events`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CgroupEvents {
    /// A process lives in the cgroup or below it.
    pub populated: bool,
    /// All that live in it stand still.
    pub frozen: bool,
}

/// Reads `cgroup.events`. Kernels before 5.2 know no freezing.
///
/// # Errors
/// `populated` is missing, or a value is no number.
pub fn cgroup_events(bytes: &[u8]) -> Result<CgroupEvents, ParseError> {
    let [populated, frozen] = keyed(bytes, ["populated", "frozen"])?;
    let populated = populated.ok_or(ParseError::Missing("populated"))?;
    Ok(CgroupEvents { populated: populated != 0, frozen: frozen.is_some_and(|frozen| frozen != 0) })
}

/// The numbers of `key number` lines, each where its key stands first.
fn keyed<const N: usize>(bytes: &[u8], keys: [&'static str; N]) -> Result<[Option<u64>; N], ParseError> {
    let mut found = [None; N];
    for (key, value) in lines(bytes).filter_map(|line| split_at_byte(line, b' ')) {
        let place = keys.iter().zip(&mut found).find(|(name, _)| name.as_bytes() == key);
        if let Some((name, place @ None)) = place {
            *place = Some(number(value.trim_ascii(), name)?);
        }
    }
    Ok(found)
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty())
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

fn split_at_byte(bytes: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|b| *b == byte)?;
    Some((bytes.get(..at)?, bytes.get(at + 1..)?))
}

fn number(digits: &[u8], key: &'static str) -> Result<u64, ParseError> {
    if digits.is_empty() {
        return Err(ParseError::NotANumber(key));
    }
    digits.iter().try_fold(0_u64, |sum, byte| {
        let digit =
            byte.is_ascii_digit().then(|| u64::from(byte - b'0')).ok_or(ParseError::NotANumber(key))?;
        sum.checked_mul(10).and_then(|sum| sum.checked_add(digit)).ok_or(ParseError::TooLarge(key))
    })
}

#[cfg(test)]
mod tests;
