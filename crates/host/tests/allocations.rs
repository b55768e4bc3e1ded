//! A sample of a cgroup allocates nothing, nor does one of processes once it has seen as many as there are, nor what a collector makes of it.
//!
//! A binary of its own, because it has an allocator of its own.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    path::Path,
};

use aldis_host::{
    CgroupReader, EpisodeId, Metric, ProcReader, ResourceStats, Sample, Subject, TelemetryCollector,
    TelemetryError, TelemetryPolicy, Watch,
};

struct Counting;

thread_local! {
    /// Of this thread: that which runs the tests allocates when it likes.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

fn counted() {
    // A thread that ends has no count any more.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call is handed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        counted();
        // SAFETY: the caller's promises about `layout` are handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: `block` came from `System` with this layout.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn allocations(call: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    call();
    ALLOCATIONS.get() - before
}

struct Steady;

impl Subject for Steady {
    fn sample(&mut self, _: bool) -> Result<Sample, TelemetryError> {
        let mut stats = ResourceStats::default();
        stats.cpu.usage_ns = Metric::of_cgroup(1);
        Ok(Sample { stats, ..Sample::default() })
    }

    fn freeze(&mut self) -> Result<(), TelemetryError> {
        Ok(())
    }

    fn kill(&mut self) -> Result<(), TelemetryError> {
        Ok(())
    }
}

#[test]
fn samples_allocate_nothing() {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut full = CgroupReader::open(&testdata.join("cgroups/full")).unwrap();
    let mut garbage = CgroupReader::open(&testdata.join("cgroups/garbage")).unwrap();
    let mut tree = ProcReader::at(&testdata.join("proc"), 100).unwrap();
    // The first readings size the tables.
    tree.read().unwrap();
    tree.read().unwrap();
    assert!(allocations(|| drop(vec![0_u8; 100])) > 0, "what is allocated is counted");
    let of_cgroup = allocations(|| {
        for _ in 0..100 {
            full.read().unwrap();
            full.pressure().unwrap();
            full.events().unwrap();
            garbage.read().unwrap();
        }
    });
    assert_eq!(of_cgroup, 0);
    let of_processes = allocations(|| {
        for _ in 0..100 {
            tree.read().unwrap();
        }
    });
    assert_eq!(of_processes, 0);
    let collector = TelemetryCollector::new(TelemetryPolicy::default()).unwrap();
    let watched: Vec<_> = (0..10)
        .map(|n| collector.start(Watch::new(EpisodeId::from_u128(n), 1, Steady), 0).unwrap())
        .collect();
    let of_looks = allocations(|| {
        // Beyond what the rings hold.
        for look in 1..1000 {
            collector.poll(look * 100_000_000);
        }
    });
    assert_eq!(of_looks, 0);
    assert!(watched.iter().all(|handle| handle.seq() == 1000 && handle.frames().len() == 600));
}
