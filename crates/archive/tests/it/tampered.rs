//! Archives that somebody without the key has changed.

use std::io::Read;

use aldis_archive::{Error, Key, OpenOptions, Opener, SealOptions, seal};

use crate::oracle::{HEADER, bounds, text};

const KEY: [u8; 32] = [7; 32];
const PLAINTEXT: usize = 4096 * 3 + 100;

fn archive_with(salt: u8) -> Vec<u8> {
    let options =
        SealOptions { workers: 1, frame_bytes: 4096, salt: Some([salt; 32]), ..SealOptions::default() };
    let mut archive = Vec::new();
    seal(&text(PLAINTEXT)[..], &mut archive, &Key::new(KEY), &options).unwrap();
    archive
}

/// What is released of it and how that ends; both are the same for any number of workers.
fn outcome(archive: &[u8]) -> (Vec<u8>, Option<Error>) {
    let of = |workers| {
        let options = OpenOptions { workers, ..OpenOptions::default() };
        let mut released = Vec::new();
        let end = match Opener::new(archive, &Key::new(KEY), &options) {
            Ok(mut opener) => {
                let end = opener.read_to_end(&mut released).err().map(Error::from_io);
                if end.is_some() {
                    let again = Error::from_io(opener.read(&mut [0]).unwrap_err());
                    assert!(matches!(again, Error::Failed), "nothing is released behind an error");
                }
                end
            }
            Err(error) => Some(error),
        };
        (released, end)
    };
    let (released, end) = of(1);
    let (of_three, end_of_three) = of(3);
    assert!(released == of_three, "workers release the same");
    assert_eq!(format!("{end:?}"), format!("{end_of_three:?}"));
    (released, end)
}

/// Whatever is wrong with it: it is told, and what was released before is a true beginning in whole frames.
fn refused(archive: &[u8]) -> Error {
    let (released, error) = outcome(archive);
    assert!(text(PLAINTEXT).starts_with(&released), "what is released is true");
    error.expect("it is refused")
}

fn corrupt_at(archive: &[u8], frame: u64) {
    let error = refused(archive);
    assert!(
        matches!(error, Error::Corrupt { frame: told, .. } if told == frame),
        "{error} is not frame {frame}"
    );
}

/// The archive with its frames in this order.
fn arranged(archive: &[u8], order: &[usize]) -> Vec<u8> {
    let bounds = bounds(archive);
    let mut bytes = archive[..HEADER].to_vec();
    order.iter().for_each(|frame| bytes.extend(&archive[bounds[*frame]..bounds[frame + 1]]));
    bytes
}

// Frames 0 to 3 are data, 4 the index, 5 the digest, 6 the terminator.

#[test]
fn the_archive_of_these_tests_is_whole() {
    let archive = archive_with(1);
    assert_eq!(bounds(&archive).len(), 8);
    let (released, end) = outcome(&archive);
    assert!(released == text(PLAINTEXT) && end.is_none());
    assert_eq!(arranged(&archive, &[0, 1, 2, 3, 4, 5, 6]), archive);
}

#[test]
fn cut_off_anywhere_it_is_truncated() {
    let archive = archive_with(1);
    for len in 0..archive.len() {
        match refused(&archive[..len]) {
            Error::NotAnArchive => assert_eq!(len, 0),
            Error::Truncated { offset } => assert_eq!(offset, len as u64),
            other => panic!("{len}: {other}"),
        }
    }
}

#[test]
fn no_bit_can_change() {
    let archive = archive_with(1);
    for at in 0..archive.len() {
        let mut changed = archive.clone();
        changed[at] ^= 1 << (at % 8);
        let error = refused(&changed);
        let fits = match at {
            0..HEADER => matches!(error, Error::NotAnArchive | Error::Version(_) | Error::HeaderDamaged),
            // A length that became larger leads beyond the end.
            _ => matches!(error, Error::Corrupt { .. } | Error::Truncated { .. }),
        };
        assert!(fits, "byte {at}: {error}");
    }
}

#[test]
fn a_header_that_was_changed_with_its_checksum_is_that_of_another_key() {
    let archive = archive_with(1);
    // Frames of another size, another salt, another context, another commitment.
    for (at, value) in [(11, 13), (12, 0), (56, 1), (60, 0)] {
        let mut changed = archive.clone();
        changed[at] = value;
        let check = blake3::hash(&changed[..92]);
        changed[92..96].copy_from_slice(&check.as_bytes()[..4]);
        let error = refused(&changed);
        assert!(matches!(error, Error::WrongKey), "byte {at}: {error}");
    }
}

#[test]
fn frames_in_another_order_are_refused_where_the_order_ends() {
    let archive = archive_with(1);
    corrupt_at(&arranged(&archive, &[1, 0, 2, 3, 4, 5, 6]), 0);
    corrupt_at(&arranged(&archive, &[0, 2, 1, 3, 4, 5, 6]), 1);
    corrupt_at(&arranged(&archive, &[0, 1, 3, 2, 4, 5, 6]), 2);
}

#[test]
fn frames_that_are_left_out_or_come_twice_are_noticed() {
    let archive = archive_with(1);
    corrupt_at(&arranged(&archive, &[1, 2, 3, 4, 5, 6]), 0);
    corrupt_at(&arranged(&archive, &[0, 1, 2, 4, 5, 6]), 3);
    corrupt_at(&arranged(&archive, &[0, 1, 2, 3, 5, 6]), 4);
    corrupt_at(&arranged(&archive, &[0, 1, 2, 3, 4, 6]), 5);
    corrupt_at(&arranged(&archive, &[0, 0, 1, 2, 3, 4, 5, 6]), 1);
    corrupt_at(&arranged(&archive, &[0, 1, 2, 3, 4, 5, 5, 6]), 6);
    corrupt_at(&arranged(&archive, &[6]), 0);
    let error = refused(&arranged(&archive, &[0, 1, 2, 3, 4, 5]));
    assert!(matches!(error, Error::Truncated { .. }), "{error}");
}

#[test]
fn a_frame_in_the_place_of_another_kind_is_refused() {
    let archive = archive_with(1);
    let bounds = bounds(&archive);
    // The digest as data, as the terminator, as the index; data as the index.
    for (frame, kind) in [(5, 1), (5, 4), (5, 2), (4, 1), (3, 2)] {
        let mut changed = archive.clone();
        changed[bounds[frame]] = kind;
        corrupt_at(&changed, frame as u64);
    }
    // The digest in the place of a data frame, renumbered.
    let mut digest = archive[bounds[5]..bounds[6]].to_vec();
    digest[0] = 1;
    digest[4] = 3;
    let changed = [&archive[..bounds[3]], &digest[..], &archive[bounds[4]..]].concat();
    corrupt_at(&changed, 3);
}

#[test]
fn frames_of_another_archive_under_the_same_key_are_refused() {
    let (one, other) = (archive_with(1), archive_with(2));
    let (of_one, of_other) = (bounds(&one), bounds(&other));
    for frame in 0..7 {
        let foreign = &other[of_other[frame]..of_other[frame + 1]];
        let mixed = [&one[..of_one[frame]], foreign, &one[of_one[frame + 1]..]].concat();
        corrupt_at(&mixed, frame as u64);
    }
    let headed = [&other[..HEADER], &one[HEADER..]].concat();
    corrupt_at(&headed, 0);
}

#[test]
fn nothing_may_stand_behind_the_end() {
    let archive = archive_with(1);
    let end = archive.len() as u64;
    for tail in [&b"x"[..], &[0; 100], &archive] {
        let (released, error) = outcome(&[&archive[..], tail].concat());
        assert!(released == text(PLAINTEXT));
        assert!(matches!(error, Some(Error::TrailingData { offset }) if offset == end), "{error:?}");
    }
    let twice = arranged(&archive, &[0, 1, 2, 3, 4, 5, 6, 6]);
    assert!(matches!(refused(&twice), Error::TrailingData { .. }), "two terminators");
}

#[test]
fn wrong_keys_and_contexts_are_told_from_damage() {
    let archive = archive_with(1);
    let of = |key: [u8; 32], context: &[u8]| {
        let options = OpenOptions { context: context.to_vec(), ..OpenOptions::default() };
        Opener::new(&archive[..], &Key::new(key), &options).map(|_| ())
    };
    assert!(of(KEY, b"").is_ok());
    assert!(matches!(of([8; 32], b""), Err(Error::WrongKey)));
    assert!(matches!(of(KEY, b"x"), Err(Error::WrongKey)));
    let error = of([8; 32], b"").unwrap_err().to_string();
    assert!(error.contains("wrong key"), "{error}");
}

#[test]
fn what_is_no_archive_is_told_so() {
    for bytes in [&b""[..], b"x", b"\x89PNG\r\n\x1a\n", &[0; 200], b"\x28\xb5\x2f\xfd"] {
        assert!(matches!(refused(bytes), Error::NotAnArchive), "{bytes:?}");
    }
    let mut newer = archive_with(1);
    newer[8] = 2;
    assert!(matches!(refused(&newer), Error::Version(2)));
}

#[test]
fn a_password_that_would_cost_too_much_is_refused_before_it_costs_anything() {
    for cost in [[u32::MAX, 1, 1], [1 << 19, 1000, 1], [8, u32::MAX, 1], [1 << 12, 1, u32::MAX]] {
        let mut archive = archive_with(1);
        archive[10] = 1;
        for (n, part) in cost.into_iter().enumerate() {
            archive[44 + n * 4..48 + n * 4].copy_from_slice(&part.to_le_bytes());
        }
        let check = blake3::hash(&archive[..92]);
        archive[92..96].copy_from_slice(&check.as_bytes()[..4]);
        let key = Key::password("anything").unwrap();
        let error = Opener::new(&archive[..], &key, &OpenOptions::default()).map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::TooCostly), "{error}");
    }
}
