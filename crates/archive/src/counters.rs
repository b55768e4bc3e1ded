//! What went through a pipeline, counted.

use std::{ops::AddAssign, time::Instant};

use crate::timers::{StageTimes, TelemetryTimer};

/// Counts of one pipeline, or of one of its workers.
///
/// Counts are a commutative monoid under [`merge`](Self::merge): however work is divided among workers, their sum is the same.
/// `==` compares counts only, not times.
///
/// ```
/// use aldis_archive::TelemetryCounters;
///
/// let (mut one, mut other) = (TelemetryCounters::new(), TelemetryCounters::new());
/// one.add_header(96);
/// one.add_encrypt_data(1000, 300, 32);
/// other.add_encrypt_data(500, 200, 32);
/// one += other;
/// assert_eq!((one.frames_data, one.bytes_plaintext, one.bytes_compressed), (2, 1500, 500));
/// assert_eq!(one.bytes_ciphertext, one.bytes_compressed + one.bytes_overhead);
/// ```
#[derive(Clone, Debug)]
pub struct TelemetryCounters {
    /// Frames that hold a part of the stream.
    pub frames_data: u64,
    /// Frames that end an archive: one if it is whole.
    pub frames_terminator: u64,
    /// Frames that hold the digest of the plaintext: one if it is whole.
    pub frames_digest: u64,
    /// Bytes of the stream as it was given, or comes back.
    pub bytes_plaintext: u64,
    /// Bytes of the stream after compression.
    pub bytes_compressed: u64,
    /// Bytes of the archive: compressed and overhead.
    pub bytes_ciphertext: u64,
    /// Bytes of the archive that are no part of the stream: header, heads and tags of frames, index, digest, terminator.
    pub bytes_overhead: u64,
    /// When the work began, by a monotonic clock.
    pub start_time: Instant,
    /// When it ended.
    pub end_time: Option<Instant>,
    /// Busy time by stage.
    pub stage_times: StageTimes,
}

impl TelemetryCounters {
    /// Nothing yet; the clock starts now.
    pub fn new() -> Self {
        Self {
            frames_data: 0,
            frames_terminator: 0,
            frames_digest: 0,
            bytes_plaintext: 0,
            bytes_compressed: 0,
            bytes_ciphertext: 0,
            bytes_overhead: 0,
            start_time: Instant::now(),
            end_time: None,
            stage_times: StageTimes::default(),
        }
    }

    /// The header of an archive.
    pub fn add_header(&mut self, bytes: u64) {
        self.add_overhead(bytes);
    }

    /// A data frame that was sealed: bytes before and after compression, and what the frame adds.
    pub fn add_encrypt_data(&mut self, plaintext: u64, compressed: u64, overhead: u64) {
        self.add_data(plaintext, compressed, overhead);
    }

    /// A data frame that was opened.
    pub fn add_decrypt_data(&mut self, plaintext: u64, compressed: u64, overhead: u64) {
        self.add_data(plaintext, compressed, overhead);
    }

    /// The frame that ends an archive.
    pub fn add_terminator(&mut self, bytes: u64) {
        self.frames_terminator = self.frames_terminator.saturating_add(1);
        self.add_overhead(bytes);
    }

    /// The frame with the digest of the plaintext.
    pub fn add_digest(&mut self, bytes: u64) {
        self.frames_digest = self.frames_digest.saturating_add(1);
        self.add_overhead(bytes);
    }

    /// A frame of the index: overhead, and no data frame.
    pub fn add_index(&mut self, bytes: u64) {
        self.add_overhead(bytes);
    }

    /// Takes in the busy times of a timer, and the earlier of both starts.
    pub fn add_timer(&mut self, timer: &TelemetryTimer) {
        self.start_time = self.start_time.min(timer.started());
        self.stage_times += timer.stage_times();
    }

    /// The clock stops now.
    pub fn end(&mut self) {
        self.end_time = Some(Instant::now());
    }

    /// Adds another's counts and stage times; the earlier start and the later end stay.
    pub fn merge(&mut self, other: &TelemetryCounters) {
        let add = |own: &mut u64, other: u64| *own = own.saturating_add(other);
        add(&mut self.frames_data, other.frames_data);
        add(&mut self.frames_terminator, other.frames_terminator);
        add(&mut self.frames_digest, other.frames_digest);
        add(&mut self.bytes_plaintext, other.bytes_plaintext);
        add(&mut self.bytes_compressed, other.bytes_compressed);
        add(&mut self.bytes_ciphertext, other.bytes_ciphertext);
        add(&mut self.bytes_overhead, other.bytes_overhead);
        self.start_time = self.start_time.min(other.start_time);
        self.end_time = self.end_time.max(other.end_time);
        self.stage_times += other.stage_times;
    }

    fn add_data(&mut self, plaintext: u64, compressed: u64, overhead: u64) {
        self.frames_data = self.frames_data.saturating_add(1);
        self.bytes_plaintext = self.bytes_plaintext.saturating_add(plaintext);
        self.bytes_compressed = self.bytes_compressed.saturating_add(compressed);
        self.bytes_ciphertext = self.bytes_ciphertext.saturating_add(compressed);
        self.add_overhead(overhead);
    }

    fn add_overhead(&mut self, bytes: u64) {
        self.bytes_overhead = self.bytes_overhead.saturating_add(bytes);
        self.bytes_ciphertext = self.bytes_ciphertext.saturating_add(bytes);
    }

    fn counts(&self) -> [u64; 7] {
        [
            self.frames_data,
            self.frames_terminator,
            self.frames_digest,
            self.bytes_plaintext,
            self.bytes_compressed,
            self.bytes_ciphertext,
            self.bytes_overhead,
        ]
    }
}

impl Default for TelemetryCounters {
    fn default() -> Self {
        Self::new()
    }
}

/// Counts only: two runs over the same input are equal, however long they took.
impl PartialEq for TelemetryCounters {
    fn eq(&self, other: &Self) -> bool {
        self.counts() == other.counts()
    }
}

impl Eq for TelemetryCounters {}

impl AddAssign<&TelemetryCounters> for TelemetryCounters {
    fn add_assign(&mut self, other: &TelemetryCounters) {
        self.merge(other);
    }
}

impl AddAssign for TelemetryCounters {
    fn add_assign(&mut self, other: TelemetryCounters) {
        self.merge(&other);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::timers::Stage;

    /// What can be counted, by number.
    fn count(counters: &mut TelemetryCounters, (kind, plaintext, compressed): (u8, u32, u32)) {
        let (plaintext, compressed) = (u64::from(plaintext), u64::from(compressed));
        match kind % 6 {
            0 => counters.add_header(plaintext),
            1 => counters.add_encrypt_data(plaintext, compressed, 32),
            2 => counters.add_decrypt_data(plaintext, compressed, 32),
            3 => counters.add_terminator(plaintext),
            4 => counters.add_digest(plaintext),
            _ => counters.add_index(plaintext),
        }
    }

    fn of(all: &[(u8, u32, u32)]) -> TelemetryCounters {
        let mut counters = TelemetryCounters::new();
        all.iter().for_each(|one| count(&mut counters, *one));
        counters
    }

    fn several() -> impl Strategy<Value = Vec<(u8, u32, u32)>> {
        proptest::collection::vec(any::<(u8, u32, u32)>(), 0..20)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn merging_is_associative_and_commutative_and_nothing_changes_nothing(a in several(), b in several(), c in several()) {
            let whole = of(&[&a[..], &b, &c].concat());
            let (mut left, mut right, mut bc) = (of(&a), of(&c), of(&b));
            left += of(&b);
            left += &of(&c);
            prop_assert_eq!(&left, &whole);
            bc.merge(&of(&c));
            let mut a_bc = of(&a);
            a_bc.merge(&bc);
            prop_assert_eq!(&a_bc, &whole);
            right += of(&b);
            right += of(&a);
            right += TelemetryCounters::new();
            prop_assert_eq!(&right, &whole);
            prop_assert_eq!(whole.bytes_ciphertext, whole.bytes_compressed + whole.bytes_overhead);
        }
    }

    #[test]
    fn each_helper_counts_its_own() {
        let mut counters = TelemetryCounters::new();
        counters.add_header(96);
        counters.add_encrypt_data(10, 5, 32);
        counters.add_decrypt_data(20, 7, 32);
        counters.add_index(40);
        counters.add_digest(80);
        counters.add_terminator(72);
        assert_eq!(counters.counts(), [2, 1, 1, 30, 12, 12 + 64 + 96 + 40 + 80 + 72, 64 + 96 + 40 + 80 + 72]);
    }

    #[test]
    fn merging_keeps_the_earliest_start_and_the_latest_end_and_sums_times() {
        let mut early = TelemetryCounters::new();
        std::thread::sleep(Duration::from_millis(1));
        let mut late = TelemetryCounters::new();
        let mut timer = TelemetryTimer::new();
        timer.add(Stage::Read, Duration::from_secs(1));
        early.add_timer(&timer);
        late.add_timer(&timer);
        early.end();
        std::thread::sleep(Duration::from_millis(1));
        late.end();
        let mut sum = late.clone();
        sum.merge(&early);
        assert_eq!((sum.start_time, sum.end_time), (early.start_time, late.end_time));
        assert_eq!(sum.stage_times.read, Duration::from_secs(2));
        assert_eq!(sum, early, "times are not compared");
    }

    #[test]
    fn sums_stay_at_the_largest_number() {
        let mut counters = TelemetryCounters::new();
        counters.add_encrypt_data(u64::MAX, u64::MAX, 1);
        counters.add_encrypt_data(1, 1, 1);
        assert_eq!(counters.bytes_plaintext, u64::MAX);
        assert_eq!(counters.bytes_ciphertext, u64::MAX);
    }
}
