//! Files as kernels write them, as they do not, and anything at all.

use proptest::prelude::*;

use super::*;

#[test]
fn an_amount_is_a_number_or_max() {
    use ParseError::{Missing, NotANumber, TooLarge};
    let key = "the number";
    for (text, expected) in [
        ("0\n", Ok(Amount::Value(0))),
        ("18446744073709551615\n", Ok(Amount::Value(u64::MAX))),
        ("18446744073709551616\n", Err(TooLarge(key))),
        ("99999999999999999999999999999999999\n", Err(TooLarge(key))),
        ("max\n", Ok(Amount::Max)),
        ("", Err(Missing(key))),
        ("\n\n", Err(Missing(key))),
        ("-1\n", Err(NotANumber(key))),
        ("+1\n", Err(NotANumber(key))),
        ("1 2\n", Err(NotANumber(key))),
        ("maximum\n", Err(NotANumber(key))),
        ("0x10\n", Err(NotANumber(key))),
    ] {
        assert_eq!(amount(text.as_bytes()), expected, "{text:?}");
    }
}

#[test]
fn cpu_stat_is_its_three_times_wherever_they_stand() {
    let file = "usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_periods 0\nburst_usec 0\nuser_usec 99\n";
    assert_eq!(cpu_stat(file.as_bytes()), Ok(CpuStat { usage_us: 30, user_us: 20, system_us: 10 }));
    let other_order = "system_usec 10\nnice_usec 1\nuser_usec 20\nusage_usec 30";
    assert_eq!(cpu_stat(other_order.as_bytes()), cpu_stat(file.as_bytes()));
    for (file, expected) in [
        ("", ParseError::Missing("usage_usec")),
        ("usage_usec 1\nuser_usec 1\n", ParseError::Missing("system_usec")),
        ("usage_usec\nuser_usec 1\nsystem_usec 1\n", ParseError::Missing("usage_usec")),
        ("usage_usec x\nuser_usec 1\nsystem_usec 1\n", ParseError::NotANumber("usage_usec")),
        ("usage_usec 1\nuser_usec \nsystem_usec 1\n", ParseError::Missing("user_usec")),
        ("usage_usec 99999999999999999999\n", ParseError::TooLarge("usage_usec")),
    ] {
        assert_eq!(cpu_stat(file.as_bytes()), Err(expected), "{file:?}");
    }
}

#[test]
fn io_is_summed_over_devices() {
    let file = "8:16 rbytes=10 wbytes=200 rios=1 wios=2 dbytes=5 dios=1\n8:0 rbytes=1 wbytes=2\n254:0 \n";
    let expected = IoStat { read_bytes: 11, write_bytes: 202, devices: 2 };
    assert_eq!(io_stat(file.as_bytes()), Ok(expected));
    assert_eq!(io_stat(b""), Ok(IoStat::default()));
    let huge = "8:0 rbytes=18446744073709551615\n8:1 rbytes=18446744073709551615\n";
    assert_eq!(io_stat(huge.as_bytes()).unwrap().read_bytes, u64::MAX, "a sum stops at the end");
    assert_eq!(io_stat(b"8:0 rbytes=-1\n"), Err(ParseError::NotANumber("rbytes")));
    assert_eq!(io_stat(b"garbage\n"), Err(ParseError::Missing("the device")));
}

#[test]
fn pressure_is_exact_in_hundredths() {
    let file = "some avg10=0.12 avg60=99.99 avg300=100.00 total=35131838486\nfull avg10=0.00 avg60=0.01 avg300=0.10 total=0\n";
    let read = pressure(file.as_bytes()).unwrap();
    assert_eq!(read.some, Stall { avg10: 12, avg60: 9999, avg300: 10_000, total_us: 35_131_838_486 });
    assert_eq!(read.full, Some(Stall { avg60: 1, avg300: 10, ..Stall::default() }));
    let without_full = "some avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
    assert_eq!(pressure(without_full.as_bytes()).unwrap().full, None);
    for (file, expected) in [
        ("full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n", ParseError::Missing("some")),
        ("some avg10=0.00 avg60=0.00 total=0\n", ParseError::Missing("avg300")),
        ("some avg10=0 avg60=0.00 avg300=0.00 total=0\n", ParseError::NotANumber("avg10")),
        ("some avg10=0.001 avg60=0.00 avg300=0.00 total=0\n", ParseError::NotANumber("avg10")),
        ("some avg10=99999999.00 avg60=0.00 avg300=0.00 total=0\n", ParseError::TooLarge("avg10")),
    ] {
        assert_eq!(pressure(file.as_bytes()), Err(expected), "{file:?}");
    }
}

#[test]
fn events_of_old_kernels_know_no_freezing() {
    let events = |populated, frozen| Ok(CgroupEvents { populated, frozen });
    assert_eq!(cgroup_events(b"populated 1\nfrozen 0\n"), events(true, false));
    assert_eq!(cgroup_events(b"populated 0\nfrozen 1\n"), events(false, true));
    assert_eq!(cgroup_events(b"populated 1\n"), events(true, false));
    assert_eq!(cgroup_events(b"frozen 1\n"), Err(ParseError::Missing("populated")));
}

#[test]
fn a_name_of_a_process_may_hold_anything() {
    let columns = "S 4 5 6 0 -1 4194304 1 0 0 0 14 15 16 -17 20 0 1 0 22 1000 10";
    for name in ["sh", "a b", "a) R 1 (b", ")", "(", "", "a\nb", "1 (x) S"] {
        let stat = proc_stat(format!("42 ({name}) {columns}\n").as_bytes()).unwrap();
        let expected = ProcStat {
            pid: 42,
            state: b'S',
            parent: 4,
            user_ticks: 14,
            system_ticks: 15,
            waited_user_ticks: 16,
            waited_system_ticks: 0,
            start_ticks: 22,
        };
        assert_eq!(stat, expected, "{name}");
    }
    for (file, expected) in [
        ("42 sh S 1", ParseError::Missing("comm")),
        ("42 (sh) S 4 5 6", ParseError::Missing("utime")),
        ("x (sh) S 4", ParseError::NotANumber("pid")),
        ("4294967296 (sh) S 4", ParseError::TooLarge("pid")),
        (")(", ParseError::NotANumber("pid")),
    ] {
        assert_eq!(proc_stat(file.as_bytes()), Err(expected), "{file}");
    }
}

#[test]
fn files_of_a_process() {
    assert_eq!(proc_statm(b"400 30 20 1 0 9 0\n"), Ok(ProcStatm { resident_pages: 30, shared_pages: 20 }));
    assert_eq!(proc_statm(b"400 30\n"), Err(ParseError::Missing("shared")));
    let io =
        "rchar: 1\nwchar: 2\nsyscr: 9\nsyscw: 9\nread_bytes: 3\nwrite_bytes: 4\ncancelled_write_bytes: 5\n";
    let expected = ProcIo { read_chars: 1, write_chars: 2, read_bytes: 3, write_bytes: 4 };
    assert_eq!(proc_io(io.as_bytes()), Ok(expected));
    assert_eq!(proc_io(b"rchar: 1\nwchar: 2\nread_bytes: 3\n"), Err(ParseError::Missing("write_bytes")));
    let listed: Vec<u32> = pids(b"12\n0\n7\n\nx\n99999999999\n").collect();
    assert_eq!(listed, [12, 7]);
}

#[test]
fn an_own_cgroup_is_the_line_of_version_2() {
    for (file, expected) in [
        ("9:name=systemd:/\n0::/a.slice/b.scope\n", Some("/a.slice/b.scope")),
        ("0::/\n", Some("/")),
        ("0::/../x\n", Some("/../x")),
        ("0::/a.scope (deleted)\n", None),
        ("4:memory:/x\n", None),
        ("0::\n", None),
        ("", None),
    ] {
        assert_eq!(own_cgroup(file.as_bytes()), expected.map(str::as_bytes), "{file:?}");
    }
}

/// What the kernel writes, and pieces of it in any order, so that what is random is near what is real.
fn near_a_file() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "usage_usec ",
            "populated ",
            "anon ",
            "8:0 rbytes=",
            "some avg10=",
            "0.00",
            " total=",
            "max",
            "\n",
            "(",
            ")",
            " - cgroup2 ",
            "0::/",
            "\\040",
            "rchar: ",
            " ",
            "18446744073709551616",
            "-1",
            "7",
        ])
        .prop_map(|piece| piece.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..6),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn nothing_panics(bytes in near_a_file()) {
        everything(&bytes);
    }

    #[test]
    fn what_is_written_is_read(usage: u64, user: u64, system: u64) {
        let file = format!("usage_usec {usage}\nuser_usec {user}\nsystem_usec {system}\n");
        let expected = CpuStat { usage_us: usage, user_us: user, system_us: system };
        prop_assert_eq!(cpu_stat(file.as_bytes()), Ok(expected));
        prop_assert_eq!(amount(usage.to_string().as_bytes()), Ok(Amount::Value(usage)));
    }
}

fn everything(bytes: &[u8]) {
    let _ = (amount(bytes), cpu_stat(bytes), memory_stat(bytes), io_stat(bytes), pressure(bytes));
    let _ = (cgroup_events(bytes), proc_stat(bytes), proc_statm(bytes), proc_io(bytes));
    let _ = (pids(bytes).count(), own_cgroup(bytes).is_some(), cgroup2_mounts(bytes).count());
}
