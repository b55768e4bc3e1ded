#![no_main]

use aldis_host::parse::{self, Amount, CpuStat};

// Nothing that a file of the kernel might hold makes a parser panic; numbers are those that the standard library reads, line by line.
libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _ = (parse::memory_stat(input), parse::pressure(input), parse::cgroup_events(input));
    let _ =
        (parse::proc_stat(input), parse::proc_statm(input), parse::proc_io(input), parse::own_cgroup(input));
    for mount in parse::cgroup2_mounts(input) {
        assert!(mount.point.len() <= input.len() && mount.root.len() <= input.len());
    }
    for pid in parse::pids(input) {
        assert_ne!(pid, 0);
    }
    if let Ok(sum) = parse::io_stat(input) {
        assert!(sum.devices as usize <= input.split(|byte| *byte == b'\n').count());
    }
    let Ok(text) = std::str::from_utf8(input) else { return };
    if text.is_ascii() {
        assert_eq!(parse::amount(input).ok(), amount(text), "{text:?}");
        assert_eq!(parse::cpu_stat(input).ok(), cpu_stat(text), "{text:?}");
    }
});

fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|_| !text.starts_with('+'))
}

fn amount(text: &str) -> Option<Amount> {
    match text.trim_matches(|c: char| c.is_ascii_whitespace()) {
        "max" => Some(Amount::Max),
        digits => number(digits).map(Amount::Value),
    }
}

/// The first line of each key counts; any that is no number spoils the file.
fn cpu_stat(text: &str) -> Option<CpuStat> {
    let value = |wanted: &str| {
        let blank = |c: char| c.is_ascii_whitespace();
        let pairs = text.split('\n').filter_map(|line| line.trim_matches(blank).split_once(' '));
        let (_, value) = { pairs }.find(|(key, _)| *key == wanted)?;
        number(value.trim_matches(blank))
    };
    Some(CpuStat {
        usage_us: value("usage_usec")?,
        user_us: value("user_usec")?,
        system_us: value("system_usec")?,
    })
}
