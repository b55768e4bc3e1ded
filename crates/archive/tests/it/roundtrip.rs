//! What is sealed is opened, the same for any number of workers, and as the second implementation reads it.

use std::io::{self, BufRead, Read, Write};

use aldis_archive::{
    Direction, Error, Key, OpenOptions, Opener, PasswordCost, SealOptions, Sealer, TelemetrySnapshot, open,
    seal, verify,
};
use proptest::prelude::*;

use crate::oracle::{DATA, DIGEST, INDEX, Oracle, TERMINATOR, ZSTD, digest, noise, text};

const KEY: [u8; 32] = [7; 32];

fn options(workers: usize) -> SealOptions {
    SealOptions { workers, frame_bytes: 4096, salt: Some([9; 32]), ..SealOptions::default() }
}

fn opening(workers: usize) -> OpenOptions {
    OpenOptions { workers, ..OpenOptions::default() }
}

fn sealed(plaintext: &[u8], options: &SealOptions) -> (Vec<u8>, TelemetrySnapshot) {
    let mut archive = Vec::new();
    let snapshot = seal(plaintext, &mut archive, &Key::new(KEY), options).unwrap();
    (archive, snapshot)
}

fn opened(archive: &[u8], workers: usize) -> (Vec<u8>, TelemetrySnapshot) {
    let mut plaintext = Vec::new();
    let snapshot = open(archive, &mut plaintext, &Key::new(KEY), &opening(workers)).unwrap();
    (plaintext, snapshot)
}

fn counts(snapshot: &TelemetrySnapshot) -> [u64; 7] {
    [
        snapshot.frames_data,
        snapshot.frames_terminator,
        snapshot.frames_digest,
        snapshot.bytes_plaintext,
        snapshot.bytes_compressed,
        snapshot.bytes_ciphertext,
        snapshot.bytes_overhead,
    ]
}

/// Lengths around the borders of frames.
fn lengths() -> impl Iterator<Item = usize> {
    [0, 1, 4095, 4096, 4097, 8191, 8192, 8193, 40_000, 70_000].into_iter()
}

#[test]
fn any_number_of_workers_writes_the_same_archive_and_counts_the_same() {
    for plaintext in lengths().flat_map(|len| [text(len), noise(len)]) {
        let (alone, of_alone) = sealed(&plaintext, &options(1));
        assert_eq!(of_alone.bytes_ciphertext, alone.len() as u64);
        assert_eq!(of_alone.bytes_ciphertext, of_alone.bytes_compressed + of_alone.bytes_overhead);
        assert_eq!(of_alone.sanity_check(), []);
        for workers in [2, 3, 8] {
            let (archive, snapshot) = sealed(&plaintext, &options(workers));
            assert!(archive == alone, "{workers} workers, {} bytes", plaintext.len());
            assert_eq!(counts(&snapshot), counts(&of_alone));
        }
        for workers in [1, 2, 3, 8] {
            let (back, snapshot) = opened(&alone, workers);
            assert!(back == plaintext, "{workers} workers, {} bytes", plaintext.len());
            assert_eq!(counts(&snapshot), counts(&of_alone), "both directions count the same");
            assert_eq!(snapshot.sanity_check(), []);
        }
        assert_eq!(counts(&verify(&alone[..], &Key::new(KEY), &opening(2)).unwrap()), counts(&of_alone));
    }
}

#[test]
fn the_second_implementation_reads_it() {
    for len in lengths() {
        let plaintext = text(len);
        let context = b"of this test";
        let (archive, _) = sealed(&plaintext, &SealOptions { context: context.to_vec(), ..options(3) });
        let frames = Oracle::of(&archive, &KEY, context).frames(&archive);
        let data: Vec<_> = frames.iter().filter(|frame| frame.kind == DATA).collect();
        assert!(frames.iter().enumerate().all(|(n, frame)| frame.seq as usize == n));
        assert_eq!(data.iter().flat_map(|frame| frame.plaintext()).collect::<Vec<_>>(), plaintext);
        let kinds: Vec<u8> = frames[data.len()..].iter().map(|frame| frame.kind).collect();
        let expected = if len == 0 { &[DIGEST, TERMINATOR][..] } else { &[INDEX, DIGEST, TERMINATOR] };
        assert_eq!(kinds, expected);
        assert_eq!(frames[frames.len() - 2].body, digest(&plaintext), "BLAKE3 of the whole");
        if len > 4096 {
            assert!(data[0].codec == ZSTD && data[0].plaintext_len == 4096);
        }
    }
}

#[test]
fn it_is_read_as_the_second_implementation_writes_it() {
    let (a, b) = (noise(4096), text(100));
    for pieces in [&[][..], &[&b[..]], &[&a[..], &b], &[&a[..], &a]] {
        let archive = Oracle::new(&KEY, b"", 12).archive(&crate::oracle::honest(pieces));
        assert_eq!(opened(&archive, 2).0, pieces.concat());
    }
}

#[test]
fn a_password_opens_what_it_sealed() {
    let cost = PasswordCost { memory_kib: 64, passes: 1, lanes: 2 };
    let password = Key::password("correct horse").unwrap();
    let mut archive = Vec::new();
    seal(&b"secret"[..], &mut archive, &password, &SealOptions { cost, ..options(1) }).unwrap();
    let mut back = Vec::new();
    open(&archive[..], &mut back, &password, &opening(1)).unwrap();
    assert_eq!(back, b"secret");
    let other = Key::password("correct horse ").unwrap();
    assert!(matches!(verify(&archive[..], &other, &opening(1)), Err(Error::WrongKey)));
    assert!(matches!(verify(&archive[..], &Key::new(KEY), &opening(1)), Err(Error::NeedsPassword)));
    let (archive, _) = sealed(b"x", &options(1));
    assert!(matches!(verify(&archive[..], &password, &opening(1)), Err(Error::NeedsKey)));
}

#[test]
fn salts_are_random_unless_they_are_given() {
    let random = SealOptions { salt: None, ..options(1) };
    let ((a, _), (b, _)) = (sealed(b"same", &random), sealed(b"same", &random));
    assert_ne!(a[12..44], b[12..44]);
    assert_ne!(a[96..], b[96..], "nothing of one key is in the other");
    assert_eq!(opened(&a, 1).0, opened(&b, 1).0);
}

#[test]
fn every_stage_is_measured() {
    let plaintext = text(1 << 20);
    for workers in [1, 2] {
        let (archive, snapshot) = sealed(&plaintext, &options(workers));
        assert!(snapshot.has_all_stages(Direction::Seal) && !snapshot.has_all_stages(Direction::Open));
        let times = snapshot.stage_times;
        assert!(workers > 1 || times.total() <= snapshot.elapsed, "{snapshot:?}");
        let (_, snapshot) = opened(&archive, workers);
        assert!(snapshot.has_all_stages(Direction::Open) && !snapshot.has_all_stages(Direction::Seal));
    }
}

/// Reads and writes in pieces of odd sizes, and is interrupted.
struct Odd<T> {
    inner: T,
    turn: usize,
}

impl<T> Odd<T> {
    fn part(&mut self, len: usize) -> io::Result<usize> {
        self.turn += 1;
        match self.turn.is_multiple_of(5) {
            true => Err(io::ErrorKind::Interrupted.into()),
            false => Ok(len.min(1 + self.turn * 37 % 500)),
        }
    }
}

impl<T: Read> Read for Odd<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.part(buffer.len())?;
        self.inner.read(&mut buffer[..len])
    }
}

impl<T: Write> Write for Odd<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = self.part(bytes.len())?;
        self.inner.write(&bytes[..len])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[test]
fn however_bytes_come_the_archive_is_the_same() {
    let plaintext = text(50_000);
    let (archive, _) = sealed(&plaintext, &options(1));
    for workers in [1, 3] {
        let mut came = Vec::new();
        let to = Odd { inner: &mut came, turn: 0 };
        seal(Odd { inner: &plaintext[..], turn: 3 }, to, &Key::new(KEY), &options(workers)).unwrap();
        assert!(came == archive);
        let mut sealer = Sealer::new(Vec::new(), &Key::new(KEY), &options(workers)).unwrap();
        for piece in plaintext.chunks(777) {
            sealer.write_all(piece).unwrap();
            sealer.flush().unwrap();
        }
        assert!(sealer.finish().unwrap().0 == archive);
        let mut back = Vec::new();
        let (from, to) = (Odd { inner: &archive[..], turn: 1 }, Odd { inner: &mut back, turn: 2 });
        open(from, to, &Key::new(KEY), &opening(workers)).unwrap();
        assert!(back == plaintext);
    }
}

#[test]
fn an_archive_is_a_reader() {
    let plaintext = text(30_000);
    let (archive, _) = sealed(&plaintext, &options(2));
    let opener = || Opener::new(&archive[..], &Key::new(KEY), &opening(2)).unwrap();
    assert_eq!(opener().lines().map(Result::unwrap).collect::<Vec<_>>().join("\n").into_bytes(), plaintext);
    let mut half = opener();
    half.read_exact(&mut [0; 5000]).unwrap();
    let (rest, snapshot) = half.finish().unwrap();
    assert_eq!((rest.len(), snapshot.bytes_plaintext), (0, 30_000));
}

/// Fails at its third piece.
struct Full(u32);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += 1;
        if self.0 > 2 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn whoever_writes_on_after_an_error_is_told() {
    for workers in [1, 2] {
        let mut sealer = Sealer::new(Full(0), &Key::new(KEY), &options(workers)).unwrap();
        let plaintext = noise(100_000);
        let error = Error::from_io(sealer.write_all(&plaintext).unwrap_err());
        assert!(matches!(&error, Error::Io(error) if error.kind() == io::ErrorKind::StorageFull), "{error}");
        assert!(matches!(Error::from_io(sealer.write_all(b"x").unwrap_err()), Error::Failed));
        assert!(matches!(sealer.finish(), Err(Error::Failed)));
    }
}

#[test]
fn settings_outside_of_their_limits_are_refused_before_anything_is_written() {
    for wrong in [
        SealOptions { level: 23, ..options(1) },
        SealOptions { frame_bytes: 5000, ..options(1) },
        SealOptions { workers: 257, ..options(1) },
        SealOptions { context: vec![0; 65_537], ..options(1) },
    ] {
        let mut archive = Vec::new();
        let error = seal(&b"x"[..], &mut archive, &Key::new(KEY), &wrong).unwrap_err();
        assert!(matches!(error, Error::Settings(_)) && archive.is_empty(), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn anything_comes_back(
        pieces in proptest::collection::vec((any::<u8>(), 0..9000_usize, any::<bool>()), 0..8),
        log2 in 12..15_u32, level in 1..6, seals in 1..4_usize, opens in 1..4_usize,
    ) {
        let plaintext: Vec<u8> = pieces
            .iter()
            .flat_map(|(byte, len, is_noise)| if *is_noise { noise(*len) } else { vec![*byte; *len] })
            .collect();
        let settings = SealOptions { frame_bytes: 1 << log2, level, ..options(seals) };
        let (archive, snapshot) = sealed(&plaintext, &settings);
        let (back, of_open) = opened(&archive, opens);
        prop_assert!(back == plaintext);
        prop_assert_eq!(counts(&snapshot), counts(&of_open));
        prop_assert_eq!(snapshot.bytes_ciphertext, archive.len() as u64);
        prop_assert_eq!(snapshot.sanity_check(), vec![]);
    }
}
