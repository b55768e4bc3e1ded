#![no_main]

use std::io::{Cursor, Read};

use aldis_archive::{Archive, Error, Key, OpenOptions, Opener};

#[path = "../../crates/archive/tests/it/oracle.rs"]
#[allow(dead_code)]
mod oracle;

use oracle::{Frame, Oracle, honest};

/// That of the archives in `crates/archive/testdata`.
const KEY: [u8; 32] = *b"the key of all fixtures, 32 long";

// An archive from anywhere (a first byte that is even), or one that somebody with the key has forged: the frames of an honest one,
// changed and sealed anew with true tags. Whatever it is, nothing panics; what is whole is whole to a reader of parts, too; and what
// that reads is the same.
libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((mode, rest)) = input.split_first() else { return };
    if mode.is_multiple_of(2) {
        opened(rest);
    } else {
        opened(&forged(rest));
    }
});

fn opened(archive: &[u8]) {
    let key = Key::new(KEY);
    let options = OpenOptions { workers: 1, max_plaintext_bytes: 64 << 20, ..OpenOptions::default() };
    let whole = whole(archive, &key, &options);
    let part = Archive::read(Cursor::new(archive), &key, &options).and_then(|mut archive| {
        let mut plaintext = Vec::new();
        if archive.plaintext_bytes() > options.max_plaintext_bytes {
            return Err(Error::TooLong { max: options.max_plaintext_bytes });
        }
        archive.copy(0..u64::MAX, &mut plaintext)?;
        Ok((plaintext, archive.snapshot()))
    });
    if let Ok(plaintext) = whole {
        let (same, snapshot) = part.expect("what is whole has parts");
        assert!(plaintext == same, "parts are those of the whole");
        assert_eq!(snapshot.bytes_ciphertext, archive.len() as u64);
        assert!(snapshot.sanity_check().is_empty());
    }
}

fn whole(archive: &[u8], key: &Key, options: &OpenOptions) -> Result<Vec<u8>, Error> {
    let mut opener = Opener::new(archive, key, options)?;
    let mut plaintext = Vec::new();
    let read = opener.read_to_end(&mut plaintext);
    assert!(plaintext.len() as u64 <= options.max_plaintext_bytes);
    if let Err(error) = read {
        assert!(opener.read(&mut [0]).is_err(), "nothing is released behind an error");
        return Err(Error::from_io(error));
    }
    let (_, snapshot) = opener.finish()?;
    assert!(snapshot.sanity_check().is_empty());
    assert_eq!(snapshot.bytes_plaintext, plaintext.len() as u64);
    Ok(plaintext)
}

/// Number of changes, four bytes for each, and the plaintext.
fn forged(input: &[u8]) -> Vec<u8> {
    let Some((changes, rest)) = input.split_first() else { return Vec::new() };
    let (changes, plaintext) = rest.split_at(rest.len().min(usize::from(*changes % 16) * 4));
    let mut frames = honest(&plaintext.chunks(4096).collect::<Vec<_>>());
    for change in changes.chunks_exact(4) {
        changed(&mut frames, [change[0], change[1], change[2], change[3]]);
    }
    Oracle::new(&KEY, b"", 12).archive(&frames)
}

fn changed(frames: &mut Vec<Frame>, [which, what, at, value]: [u8; 4]) {
    if frames.is_empty() {
        return;
    }
    let which = usize::from(which) % frames.len();
    let frame = &mut frames[which];
    match what % 10 {
        0 => frame.kind = value % 6,
        1 => frame.codec = value % 3,
        2 => frame.seq ^= u32::from(value),
        3 => frame.plaintext_len = frame.plaintext_len.wrapping_add(u32::from(value)),
        4 => frame.body.truncate(usize::from(at) * 16),
        5 => {
            let at = usize::from(at) % frame.body.len().max(1);
            frame.body.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= value);
        }
        6 => {
            frames.remove(which);
        }
        7 => {
            let twice = frame.clone();
            frames.insert(which, twice);
        }
        8 => frames.iter_mut().zip(0..).for_each(|(frame, seq)| frame.seq = seq),
        // As an honest writer packs a frame, if that makes it smaller.
        _ => {
            let packed = zstd::bulk::compress(&frame.body, 1).unwrap_or_default();
            if packed.len() < frame.body.len() {
                (frame.codec, frame.body) = (oracle::ZSTD, packed);
            }
        }
    }
}
