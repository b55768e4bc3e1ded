//! A part of an archive.

use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

use aldis_archive::{Archive, Error, Key, OpenOptions, SealOptions, Sealer, TimeSpan, seal};

use crate::oracle::{bounds, text};

const KEY: [u8; 32] = [7; 32];

fn options() -> SealOptions {
    SealOptions { workers: 2, frame_bytes: 4096, ..SealOptions::default() }
}

fn sealed(plaintext: &[u8]) -> Vec<u8> {
    let mut archive = Vec::new();
    seal(plaintext, &mut archive, &Key::new(KEY), &options()).unwrap();
    archive
}

fn archive<R: Read + Seek>(input: R) -> Result<Archive<R>, Error> {
    Archive::read(input, &Key::new(KEY), &OpenOptions::default())
}

#[test]
fn any_range_is_that_of_the_plaintext() {
    for len in [0, 1, 4096, 30_000] {
        let plaintext = text(len);
        let mut archive = archive(Cursor::new(sealed(&plaintext))).unwrap();
        assert_eq!((archive.plaintext_bytes(), archive.times()), (len as u64, None));
        for start in [0, 1, 4095, 4096, 5000, 29_999, 30_000, 99_999] {
            for end in [0, 1, 4096, 4097, 12_288, 30_000, 99_999] {
                let mut part = Vec::new();
                archive.copy(start as u64..end as u64, &mut part).unwrap();
                let range = start.min(len)..end.min(len);
                assert!(part == plaintext.get(range).unwrap_or_default(), "{start}..{end} of {len}");
            }
        }
        archive.copy(0..u64::MAX, io::sink()).unwrap();
    }
}

/// Counts what is read.
struct Counted<R> {
    inner: R,
    bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.bytes += n as u64;
        Ok(n)
    }
}

impl<R: Seek> Seek for Counted<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

#[test]
fn the_rest_is_not_read() {
    let sealed = sealed(&text(400_000));
    let mut counted = Counted { inner: Cursor::new(&sealed), bytes: 0 };
    let mut archive = archive(&mut counted).unwrap();
    archive.copy(200_000..200_001, io::sink()).unwrap();
    let snapshot = archive.snapshot();
    assert_eq!((snapshot.frames_data, snapshot.bytes_plaintext), (1, 4096));
    assert_eq!(snapshot.sanity_check(), [], "a part closes its sums too");
    assert_eq!(snapshot.bytes_ciphertext, counted.bytes, "every byte that was read is counted");
    assert!(counted.bytes < sealed.len() as u64 / 20, "{} of {}", counted.bytes, sealed.len());
}

#[test]
fn times_are_found_in_the_frames_that_hold_them() {
    // A hundred bytes at each time; time goes forth and, once, back.
    let mut sealer = Sealer::new(Vec::new(), &Key::new(KEY), &options()).unwrap();
    let times: Vec<u64> = (0..500).chain([7]).collect();
    sealer.write_all(&[b'-'; 100]).unwrap();
    for time in &times {
        sealer.write_all(&[b'x'; 100]).unwrap();
        sealer.stamp(sealer.position() - 100..u64::MAX, TimeSpan::at(1000 + time));
    }
    let (sealed, _) = sealer.finish().unwrap();
    let archive = archive(Cursor::new(sealed)).unwrap();
    assert_eq!(archive.times(), Some(TimeSpan { first: 1000, last: 1499 }));
    let found = |first, last| archive.ranges(TimeSpan { first, last });
    assert_eq!(found(0, 999), []);
    assert_eq!(found(1500, u64::MAX), []);
    assert_eq!(found(1000, 1499), vec![0..50_200; 1]);
    // Every byte of every time lies in what is found, and little else.
    for (number, time) in times.iter().enumerate() {
        let own = 100 + number as u64 * 100..200 + number as u64 * 100;
        let ranges = found(1000 + time, 1000 + time);
        assert!(
            ranges.iter().any(|range| range.start <= own.start && own.end <= range.end),
            "{time}: {ranges:?}"
        );
        let bytes: u64 = ranges.iter().map(|range| range.end - range.start).sum();
        assert!(bytes <= 3 * 4096, "{time}: {ranges:?}");
    }
    assert_eq!(found(1007, 1007), [0..4096, 49_152..50_200], "the time that came back");
}

#[test]
fn a_file_that_is_not_whole_has_no_parts() {
    let sealed = sealed(&text(20_000));
    for len in 0..sealed.len() {
        let error = archive(Cursor::new(&sealed[..len])).map(|_| ()).unwrap_err();
        match error {
            Error::NotAnArchive => assert_eq!(len, 0),
            Error::Truncated { offset } => assert_eq!(offset, len as u64),
            other => panic!("{len}: {other}"),
        }
    }
    // Whatever stands behind it, an end that is true elsewhere included.
    let bounds = bounds(&sealed);
    let terminator = &sealed[bounds[bounds.len() - 2]..];
    for tail in [&b"x"[..], &[0; 100], terminator, &sealed[bounds[bounds.len() - 3]..], &sealed] {
        let longer = [&sealed[..], tail].concat();
        let error = archive(Cursor::new(longer)).map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::TrailingData { offset } if offset == sealed.len() as u64), "{error}");
    }
}

#[test]
fn a_frame_is_verified_before_it_is_written() {
    let plaintext = text(20_000);
    let sealed = sealed(&plaintext);
    let bounds = bounds(&sealed);
    for at in bounds[1]..bounds[2] {
        let mut changed = sealed.clone();
        changed[at] ^= 0x10;
        let mut archive = archive(Cursor::new(changed)).unwrap();
        let mut part = Vec::new();
        let error = archive.copy(0..20_000, &mut part).unwrap_err();
        assert!(matches!(error, Error::Corrupt { frame: 1, .. }), "{error}");
        assert!(part == plaintext[..4096], "the frame before it, and nothing of it");
        // Frames that are asked for alone are as good as ever.
        part.clear();
        archive.copy(8192..20_000, &mut part).unwrap();
        assert!(part == plaintext[8192..]);
    }
    let mut index = sealed.clone();
    index[bounds[bounds.len() - 4] + 20] ^= 1;
    assert!(matches!(archive(Cursor::new(index)), Err(Error::Corrupt { .. })));
}

#[test]
fn an_index_may_have_several_frames() {
    let frames = (1 << 15) + 1;
    let plaintext = io::repeat(b'x').take(4096 * frames);
    let mut sealed = Vec::new();
    let snapshot = seal(plaintext, &mut sealed, &Key::new(KEY), &options()).unwrap();
    assert_eq!((snapshot.frames_data, snapshot.sanity_check()), (frames, vec![]));
    let mut archive = archive(Cursor::new(&sealed)).unwrap();
    let mut last = Vec::new();
    archive.copy(4096 * frames - 3..u64::MAX, &mut last).unwrap();
    assert_eq!(last, b"xxx");
    let of_whole = aldis_archive::verify(&sealed[..], &Key::new(KEY), &OpenOptions::default()).unwrap();
    assert_eq!(of_whole.bytes_ciphertext, sealed.len() as u64);
}
