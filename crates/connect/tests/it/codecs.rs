//! Our one-shot codecs against the streaming ones of flate2 and zstd.

use std::io::{Read, Write};

use aldis_connect::{
    codec::{CodecError, compress, decompress},
    limits::MAX_SKIPPABLE_FRAMES,
};
use otlp::Codec;
use proptest::prelude::*;

const MAX: usize = 1 << 20;

fn unpack(codec: Codec, body: &[u8], max: usize) -> Result<Vec<u8>, CodecError> {
    decompress(codec, body, max, &mut |_| true).map(|bytes| bytes.to_vec())
}

fn their_gzip(body: &[u8], level: u32) -> Vec<u8> {
    let mut packer = flate2::GzBuilder::new()
        .filename("name")
        .comment("a comment")
        .write(Vec::new(), flate2::Compression::new(level));
    packer.write_all(body).expect("memory");
    packer.finish().expect("memory")
}

/// Without a content size in the frame.
fn their_zstd(body: &[u8], level: i32) -> Vec<u8> {
    let mut packer = zstd::Encoder::new(Vec::new(), level).expect("memory");
    for piece in body.chunks(1000) {
        packer.write_all(piece).expect("memory");
        packer.flush().expect("memory");
    }
    packer.finish().expect("memory")
}

fn words() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(
        prop::sample::select(vec!["span ", "GET /", "\0\0\0", "service.name", "x"]),
        0..2000,
    )
    .prop_map(|words| words.concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn ours_is_read_by_theirs(body in words(), level in -1..14) {
        let gzip = compress(Codec::Gzip, level, &body).expect("compressed");
        let mut read = Vec::new();
        flate2::read::GzDecoder::new(&gzip[..]).read_to_end(&mut read).expect("valid");
        prop_assert_eq!(&read, &body);
        let zstd = compress(Codec::Zstd, level, &body).expect("compressed");
        prop_assert_eq!(zstd::decode_all(&zstd[..]).expect("valid"), body);
    }

    #[test]
    fn theirs_is_read_by_ours(bodies in prop::collection::vec(words(), 1..4), level in 0u32..9) {
        let whole = bodies.concat();
        let gzip: Vec<u8> = bodies.iter().flat_map(|body| their_gzip(body, level)).collect();
        let zstd: Vec<u8> = bodies.iter().flat_map(|body| their_zstd(body, level as i32)).collect();
        for (codec, packed) in [(Codec::Gzip, gzip), (Codec::Zstd, zstd)] {
            prop_assert_eq!(unpack(codec, &packed, MAX), Ok(whole.clone()));
            prop_assert_eq!(unpack(codec, &packed, whole.len()), Ok(whole.clone()));
            if let Some(less) = whole.len().checked_sub(1) {
                prop_assert_eq!(unpack(codec, &packed, less), Err(CodecError::TooLarge { max: less }));
            }
        }
    }

    /// Damaged bytes are refused or read as the other library reads them; and memory stays within what was asked for.
    #[test]
    fn damage_is_read_alike(body in words(), at in any::<prop::sample::Index>(), to in any::<u8>(), cut in 0usize..20) {
        for codec in [Codec::Gzip, Codec::Zstd] {
            let mut packed = compress(codec, 1, &body).expect("compressed").to_vec();
            let at = at.index(packed.len());
            packed[at] = to;
            packed.truncate(packed.len() - cut.min(packed.len() - 1));
            let mut asked = 0;
            let ours = decompress(codec, &packed, MAX, &mut |bytes| { asked += bytes; true });
            let theirs = match codec {
                Codec::Gzip => {
                    let mut read = Vec::new();
                    flate2::read::MultiGzDecoder::new(&packed[..]).read_to_end(&mut read).map(|_| read)
                }
                Codec::Zstd => zstd::decode_all(&packed[..]),
            };
            if let Ok(ours) = ours {
                prop_assert!(ours.len() <= asked);
                prop_assert_eq!(ours, theirs.expect("what we read they read"));
            } else if cut == 0 && packed == compress(codec, 1, &body).expect("compressed") {
                prop_assert!(false, "nothing was damaged");
            }
        }
    }
}

#[test]
fn bytes_behind_the_end_are_refused() {
    for codec in [Codec::Gzip, Codec::Zstd] {
        let packed = compress(codec, 1, b"some telemetry").expect("compressed").to_vec();
        for garbage in
            [&b"\0"[..], b"garbage that is long enough to be a member", &packed[packed.len() - 8..]]
        {
            let body = [&packed[..], garbage].concat();
            assert!(
                matches!(unpack(codec, &body, MAX), Err(CodecError::Malformed(_))),
                "{codec:?} {garbage:?}"
            );
        }
        // The same member twice ends in the first one's trailer, too.
        let twice = packed.repeat(2);
        assert_eq!(unpack(codec, &twice, MAX).expect("two parts"), b"some telemetrysome telemetry");
    }
}

/// The first member's trailer is not the body's last, though the lengths in them agree.
#[test]
fn members_of_equal_length_are_all_read() {
    let mut packed = compress(Codec::Gzip, 1, b"one").expect("compressed").to_vec();
    packed.extend_from_slice(&compress(Codec::Gzip, 1, b"two").expect("compressed"));
    assert_eq!(unpack(Codec::Gzip, &packed, MAX).expect("two members"), b"onetwo");
    // Bytes behind the member that end in its length are not part of it.
    let mut surplus = compress(Codec::Gzip, 1, b"one").expect("compressed").to_vec();
    surplus.extend_from_slice(&[1, 2, 3, 4, 3, 0, 0, 0]);
    assert!(matches!(unpack(Codec::Gzip, &surplus, MAX), Err(CodecError::Malformed(_))));
}

#[test]
fn lengths_that_lie() {
    let body = vec![b'a'; 5000];
    let packed = compress(Codec::Gzip, 1, &body).expect("compressed").to_vec();
    for announced in [0u32, 1, 4999, 5001, 20_000, u32::MAX] {
        let mut lie = packed.clone();
        let at = lie.len() - 4;
        lie[at..].copy_from_slice(&announced.to_le_bytes());
        let mut asked = 0;
        let read = decompress(Codec::Gzip, &lie, MAX, &mut |bytes| {
            asked += bytes;
            true
        });
        assert!(matches!(read, Err(CodecError::Malformed(_))), "{announced}: {read:?}");
        assert!(asked <= 20_000 + (64 << 10), "{announced}: asked for {asked}");
    }
}

#[test]
fn memory_is_asked_for_first() {
    for codec in [Codec::Gzip, Codec::Zstd] {
        for packed in [compress(codec, 1, &[7; 5000]).expect("compressed").repeat(1), their(codec)] {
            let read = decompress(codec, &packed, MAX, &mut |_| false);
            assert_eq!(read, Err(CodecError::Refused), "{codec:?}");
        }
    }
}

fn their(codec: Codec) -> Vec<u8> {
    match codec {
        Codec::Gzip => their_gzip(&[7; 5000], 6).repeat(2),
        Codec::Zstd => their_zstd(&[7; 5000], 3),
    }
}

#[test]
fn frames_that_give_nothing_are_few() {
    let skip = [0x50, 0x2A, 0x4D, 0x18, 0, 0, 0, 0];
    let data = compress(Codec::Zstd, 1, b"data").expect("compressed");
    let some = [&skip.repeat(MAX_SKIPPABLE_FRAMES)[..], &data].concat();
    assert_eq!(unpack(Codec::Zstd, &some, MAX).expect("a few are fine"), b"data");
    for many in [skip.repeat(MAX_SKIPPABLE_FRAMES + 1), skip.repeat(100_000)] {
        let body = [&data[..], &many].concat();
        assert!(matches!(unpack(Codec::Zstd, &body, MAX), Err(CodecError::Malformed(_))));
    }
    let empty = compress(Codec::Gzip, 1, b"").expect("compressed").repeat(2000);
    assert!(matches!(unpack(Codec::Gzip, &empty, MAX), Err(CodecError::Malformed(_))));
}

#[test]
fn a_window_that_is_too_large() {
    let body = vec![5; 1000];
    let mut packer = zstd::Encoder::new(Vec::new(), 1).expect("memory");
    packer.window_log(27).expect("allowed");
    packer.write_all(&body).expect("memory");
    let packed = packer.finish().expect("memory");
    // Within one piece zstd shrinks the window itself; so this only shows that such a frame does no harm.
    let read = unpack(Codec::Zstd, &packed, MAX);
    assert!(matches!(read, Ok(ref read) if read == &body) || matches!(read, Err(CodecError::Malformed(_))));
}
