//! Every bound of this crate, with its unit.

use std::time::Duration;

/// Bytes of the path of a cgroup's directory (INV-TL04): half of what Linux takes, so that names of files fit behind it.
pub const MAX_CGROUP_PATH_LEN: usize = 2048;

/// Bytes of a file of cgroupfs or of `/proc/PID` that is read (INV-TL05). A longer one is refused as a whole: half a file says less
/// than none.
pub const MAX_TELEMETRY_FILE_SIZE: usize = 64 << 10;

/// Bytes of `/proc/self/mountinfo`, which is read once for each search for the hierarchy.
pub const MAX_MOUNTINFO_SIZE: usize = 1 << 20;

/// Bytes of a list of processes, `cgroup.procs`.
pub const MAX_PROCS_FILE_SIZE: usize = 512 << 10;

/// Processes of the machine that a search for the descendants of one of them looks at.
pub const MAX_SCANNED_PROCESSES: usize = 64 << 10;

/// Bytes of a directory that are read at once.
pub(crate) const DIRECTORY_BYTES: usize = 32 << 10;

/// Cgroups that an episode made inside of its own, one below the other, that are followed when it is ended.
pub const MAX_CGROUP_DEPTH: usize = 64;

/// Cgroups of the machine that a search for episodes looks at.
pub const MAX_SCANNED_CGROUPS: usize = 64 << 10;

/// Bytes of `/proc/locks` that are searched for the owner of an episode; of one that is longer none is known.
pub(crate) const MAX_LOCKS_SIZE: usize = 1 << 20;

/// Readers of the stream of one episode at once.
pub const MAX_STREAM_READERS: usize = 64;

/// Frames that are on their way to one reader of a stream at once: some 70 KiB, with their lines.
pub const STREAM_FRAMES_AT_ONCE: usize = 128;

/// How long readers may take what there is when a stream is closed.
pub const STREAM_LINGER: Duration = Duration::from_secs(1);

/// How long it may take until nothing lives in a scope any more, and until its directory goes.
pub const REMOVE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a scope may take to stand still. A process that waits for a device does so when it comes back.
pub const FREEZE_TIMEOUT: Duration = Duration::from_millis(500);

/// How long it is waited before an entry is looked at again: it takes about a millisecond.
pub(crate) const ENTRY_POLL: Duration = Duration::from_micros(100);

/// How long an emptied scope is waited for before what lives in it is killed once more.
pub(crate) const EMPTY_POLL: Duration = Duration::from_millis(50);

/// Nanoseconds of anything in a frame (INV-TL02), 292 years: it fits the signed integers of OTLP, and two can be added.
pub const MAX_FRAME_NS: u64 = i64::MAX as u64;

/// Bytes of anything in a frame (INV-TL02), for the same reason.
pub const MAX_FRAME_BYTES: u64 = i64::MAX as u64;

/// The shortest time between two samples, in milliseconds (INV-TL06).
pub const MIN_SAMPLE_PERIOD_MS: u64 = 1;

/// The longest time between two samples, in milliseconds (INV-TL06): an hour.
pub const MAX_SAMPLE_PERIOD_MS: u64 = 3_600_000;

/// The least frames that a ring holds (INV-TL07): the first and the last are two.
pub const MIN_RING_BUFFER_CAPACITY: usize = 2;

/// The most frames that a ring holds (INV-TL07): seven mebibytes of them.
pub const MAX_RING_BUFFER_CAPACITY: usize = 64 << 10;

/// The shortest time until a budget is looked at again, in nanoseconds: what is used beyond it is at most as much on each CPU.
pub const MIN_CHECK_NS: u64 = 1_000_000;

/// Nanoseconds from one look to the next where memory, bytes or processes are limited, at most: they are used up at any rate.
pub const LEVEL_CHECK_NS: u64 = 100_000_000;

/// Nanoseconds for which the pressure that was read stands: the kernel computes its averages anew every two seconds.
pub const PRESSURE_STANDS_NS: u64 = 500_000_000;

/// Files of processes that are kept open between two samples, at most, by all readers of this program together: four for each process. Those of others
/// are opened each time.
pub const MAX_KEPT_FILES: usize = 256;

/// Nanoseconds before a budget of CPU time is used up, at the soonest, from which on the kernel's account is brought up to date first: two
/// ticks of the slowest kernels.
pub(crate) const CLOSE_NS: u64 = 20_000_000;

/// CPUs that are visited to bring that account up to date, some ten microseconds each. Of more the account of the others is up to a tick behind.
pub(crate) const MAX_VISITED_CPUS: usize = 16;

/// Episodes that one collector watches at once.
pub const MAX_EPISODES: usize = 4096;

/// Times that a tree of processes is looked through for new ones while it is stopped or killed, as what is not stopped yet may fork.
pub(crate) const SIGNAL_ROUNDS: usize = 16;
