//! Archives that somebody with the key has written, by mistake or to harm: every tag verifies.

use aldis_archive::{Archive, Error, Key, OpenOptions, open};

use crate::oracle::{DATA, DIGEST, Frame, INDEX, Oracle, TERMINATOR, ZSTD, digest, honest, noise, text};

const KEY: [u8; 32] = [7; 32];

/// The frames of a whole archive of two data frames: 0 and 1, the index 2, the digest 3, the terminator 4.
fn frames() -> Vec<Frame> {
    honest(&[&noise(4096), &text(100)])
}

fn oracle() -> Oracle {
    Oracle::new(&KEY, b"", 12)
}

fn opened(archive: &[u8]) -> Result<Vec<u8>, Error> {
    let (mut one, mut three) = (Vec::new(), Vec::new());
    let of = |workers| OpenOptions { workers, ..OpenOptions::default() };
    let end = open(archive, &mut one, &Key::new(KEY), &of(1));
    let end_of_three = open(archive, &mut three, &Key::new(KEY), &of(3));
    assert!(one == three, "workers release the same");
    assert_eq!(format!("{:?}", end.as_ref().err()), format!("{:?}", end_of_three.err()));
    end.map(|_| one)
}

/// What becomes of the archive when its frames are changed so.
fn changed(change: impl FnOnce(&mut Vec<Frame>)) -> Error {
    let mut frames = frames();
    change(&mut frames);
    opened(&oracle().archive(&frames)).unwrap_err()
}

fn contradicts(change: impl FnOnce(&mut Vec<Frame>)) {
    let error = changed(change);
    assert!(matches!(error, Error::Inconsistent(_)), "{error}");
}

fn is_corrupt(frame: u64, change: impl FnOnce(&mut Vec<Frame>)) {
    let error = changed(change);
    assert!(matches!(error, Error::Corrupt { frame: told, .. } if told == frame), "{error}");
}

fn renumber(frames: &mut [Frame]) {
    frames.iter_mut().zip(0..).for_each(|(frame, seq)| frame.seq = seq);
}

#[test]
fn the_frames_of_these_tests_are_an_archive() {
    assert_eq!(opened(&oracle().archive(&frames())).unwrap(), [noise(4096), text(100)].concat());
}

#[test]
fn every_count_of_the_terminator_is_held_against_what_was_read() {
    for count in 0..5 {
        contradicts(|frames| frames[4].body[count * 8] ^= 1);
    }
}

#[test]
fn there_is_one_digest_and_it_is_that_of_the_plaintext() {
    contradicts(|frames| frames[3].body[0] ^= 1);
    contradicts(|frames| frames[3].body[32] ^= 1);
    contradicts(|frames| frames[3].body = digest(b"another"));
    contradicts(|frames| {
        frames.remove(3);
        renumber(frames);
    });
    is_corrupt(4, |frames| {
        frames.insert(3, frames[3].clone());
        renumber(frames);
    });
    // One of an earlier archive of the same key, sealed anew: replayed with a true tag.
    contradicts(|frames| frames[3].body = digest(&text(100)));
}

#[test]
fn there_is_one_terminator_and_it_is_the_last() {
    let error = changed(|frames| {
        frames.push(Frame { seq: 5, ..frames[4].clone() });
    });
    assert!(matches!(error, Error::TrailingData { .. }), "{error}");
    let error = changed(|frames| frames.truncate(4));
    assert!(matches!(error, Error::Truncated { .. }), "{error}");
}

#[test]
fn the_index_is_that_of_the_frames() {
    contradicts(|frames| frames[2].body[0] ^= 1);
    contradicts(|frames| {
        let body = [&frames[2].body[..4], &frames[2].body[8..16], &frames[2].body[24..32]].concat();
        frames[2] = Frame::stored(INDEX, 2, &body);
    });
    // Times that end before they begin.
    contradicts(|frames| frames[2].body[8..16].copy_from_slice(&9_u64.to_le_bytes()));
    is_corrupt(2, |frames| frames[2] = Frame::stored(INDEX, 2, &[0; 39]));
}

#[test]
fn frames_come_in_the_order_of_their_kinds() {
    is_corrupt(3, |frames| {
        frames.insert(3, Frame::stored(DATA, 3, b"late"));
        renumber(frames);
    });
    is_corrupt(4, |frames| {
        frames.insert(4, frames[2].clone());
        renumber(frames);
    });
    is_corrupt(0, |frames| {
        frames[0].kind = 9;
    });
}

#[test]
fn a_frame_that_is_not_full_is_the_last_and_none_is_empty() {
    is_corrupt(1, |frames| frames.swap_with(0, 1));
    is_corrupt(0, |frames| frames[0] = Frame::stored(DATA, 0, b""));
    is_corrupt(0, |frames| frames[0] = Frame::stored(DATA, 0, &noise(4097)));
}

/// Two frames change places and take each other's number.
trait Swap {
    fn swap_with(&mut self, a: usize, b: usize);
}

impl Swap for Vec<Frame> {
    fn swap_with(&mut self, a: usize, b: usize) {
        self.swap(a, b);
        renumber(self);
    }
}

fn packed(plaintext_len: u32, body: Vec<u8>) -> Frame {
    Frame { kind: DATA, codec: ZSTD, seq: 0, plaintext_len, body }
}

#[test]
fn bombs_give_no_more_than_their_frame_says() {
    // A gigabyte of nothing in a frame that says it has one page.
    let bomb = zstd::bulk::compress(&vec![0; 1 << 30], 1).unwrap();
    let few = zstd::bulk::compress(&[0; 100], 1).unwrap();
    contradicts(|frames| frames[0] = packed(4096, bomb[..bomb.len().min(4000)].to_vec()));
    contradicts(|frames| frames[0] = packed(4096, zstd::bulk::compress(&vec![0; 1 << 20], 1).unwrap()));
    contradicts(|frames| frames[0] = packed(4096, few));
    contradicts(|frames| frames[0] = packed(4096, b"no zstd".to_vec()));
    is_corrupt(0, |frames| frames[0] = packed(1 << 30, zstd::bulk::compress(&vec![0; 1 << 20], 1).unwrap()));
    is_corrupt(0, |frames| frames[0] = packed(100, vec![0; 100]));
}

#[test]
fn a_frame_that_asks_for_a_window_of_gigabytes_gets_none() {
    // A zstd frame without its size, with a window of 2 GiB (RFC 8878 §3.1.1.1.2), of one block, the last: 4096 times one byte.
    let mut body = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3];
    body.extend(&(1_u32 | 1 << 1 | 4096 << 3).to_le_bytes()[..3]);
    body.push(b'x');
    // It is opened without the window, or refused.
    let frames = {
        let mut frames = honest(&[&[b'x'; 4096]]);
        let length = body.len() as u32;
        frames[0] = packed(4096, body);
        frames[1].body[..4].copy_from_slice(&length.to_le_bytes());
        let totals =
            [1, 1, 4096, u64::from(length), 96 + 32 + u64::from(length)].map(u64::to_le_bytes).concat();
        frames[3] = Frame::stored(TERMINATOR, 3, &totals);
        frames
    };
    match opened(&oracle().archive(&frames)) {
        Ok(plaintext) => assert_eq!(plaintext, [b'x'; 4096]),
        Err(error) => assert!(matches!(error, Error::Inconsistent(_)), "{error}"),
    }
}

#[test]
fn more_plaintext_than_is_allowed_is_refused_before_it_is_made() {
    let archive = oracle().archive(&frames());
    for (max, is_opened) in [(4195, false), (4196, true), (0, false)] {
        let options = OpenOptions { max_plaintext_bytes: max, ..OpenOptions::default() };
        let mut out = Vec::new();
        let end = open(&archive[..], &mut out, &Key::new(KEY), &options);
        assert_eq!(end.is_ok(), is_opened);
        assert!(out.len() as u64 <= max);
        assert!(is_opened || matches!(end, Err(Error::TooLong { max: told }) if told == max));
    }
}

#[test]
fn a_part_is_not_read_by_an_end_that_contradicts_the_file() {
    let read = |change: fn(&mut Vec<Frame>)| {
        let mut frames = frames();
        change(&mut frames);
        let archive = std::io::Cursor::new(oracle().archive(&frames));
        let mut archive = Archive::read(archive, &Key::new(KEY), &OpenOptions::default())?;
        archive.copy(0..u64::MAX, Vec::new())
    };
    assert!(read(|_| {}).is_ok());
    for (name, change) in [
        ("data frames", (|frames| frames[4].body[0] ^= 1) as fn(&mut Vec<Frame>)),
        ("index frames", |frames| frames[4].body[8] ^= 1),
        ("plaintext", |frames| frames[4].body[17] ^= 0x40),
        ("compressed", |frames| frames[4].body[24] ^= 1),
        ("offset", |frames| frames[4].body[32] ^= 1),
        ("far offset", |frames| frames[4].body[39] = 0xff),
        ("many frames", |frames| frames[4].body[..8].copy_from_slice(&u64::MAX.to_le_bytes())),
        ("lengths", |frames| (frames[2].body[0], frames[2].body[4]) = (1, 100)),
        ("no digest", |frames| frames[3] = Frame { kind: INDEX, ..frames[2].clone() }),
        ("a digest as the index", |frames| frames[2] = Frame::stored(DIGEST, 2, &[0; 40])),
    ] {
        let error = read(change).unwrap_err();
        let is_told =
            matches!(error, Error::Inconsistent(_) | Error::Corrupt { .. } | Error::Truncated { .. });
        assert!(is_told, "{name}: {error}");
    }
}
