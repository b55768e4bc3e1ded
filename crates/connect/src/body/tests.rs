//! Whatever the pieces, the body is the same.

mod pieces;

use std::{
    collections::VecDeque,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use proptest::prelude::*;

use self::pieces::Pieces;
use super::{ReadError, read_announced, read_growing};

fn cut(body: &[u8], sizes: &[usize]) -> Pieces {
    let mut rest = Bytes::copy_from_slice(body);
    let mut pieces = VecDeque::new();
    for size in sizes {
        pieces.push_back(rest.split_to((*size).min(rest.len())));
    }
    pieces.push_back(rest);
    Pieces(pieces)
}

fn now<T>(future: impl Future<Output = T>) -> T {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("nothing to wait for"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn pieces_make_the_whole(
        body in prop::collection::vec(any::<u8>(), 0..300),
        sizes in prop::collection::vec(0usize..50, 0..12),
    ) {
        let read = now(read_announced(&mut cut(&body, &sizes), Bytes::new(), body.len(), 0));
        prop_assert_eq!(read.expect("exact"), &body[..]);
        let read = now(read_growing(&mut cut(&body, &sizes), (300, 0), &mut |_| true));
        prop_assert_eq!(read.expect("within the maximum"), &body[..]);
    }

    #[test]
    fn a_wrong_length_is_noticed(
        body in prop::collection::vec(any::<u8>(), 1..300),
        sizes in prop::collection::vec(0usize..50, 0..12),
    ) {
        let long = now(read_announced(&mut cut(&body, &sizes), Bytes::new(), body.len() + 1, 0));
        prop_assert_eq!(long, Err(ReadError::CutOff));
        let short = now(read_announced(&mut cut(&body, &sizes), Bytes::new(), body.len() - 1, 0));
        prop_assert_eq!(short, Err(ReadError::Surplus));
        let large = now(read_growing(&mut cut(&body, &sizes), (body.len() - 1, 0), &mut |_| true));
        prop_assert_eq!(large, Err(ReadError::TooLarge));
    }

    #[test]
    fn memory_is_asked_for_before_it_is_taken(
        body in prop::collection::vec(any::<u8>(), 1..300),
        sizes in prop::collection::vec(0usize..50, 0..12),
        budget in 0usize..400,
    ) {
        let mut asked = 0;
        let read = now(read_growing(&mut cut(&body, &sizes), (300, 0), &mut |bytes| {
            asked += bytes;
            asked <= budget
        }));
        match read {
            Ok(whole) => prop_assert!(whole.len() <= asked && asked <= budget),
            Err(error) => prop_assert_eq!(error, ReadError::Refused),
        }
    }
}

#[test]
fn one_piece_is_used_where_it_lies() {
    let body = Bytes::from(vec![1; 1000]);
    let read =
        now(read_announced(&mut Pieces([body.clone()].into()), Bytes::new(), 1000, 1000)).expect("exact");
    assert_eq!(read.as_ptr(), body.as_ptr());
}

/// Bytes that know whether anybody still keeps the buffer that they were read into.
struct Buffer {
    _alive: std::sync::Arc<()>,
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &[7; 4000]
    }
}

#[test]
fn a_small_body_does_not_keep_the_buffer_that_it_was_read_into() {
    for (length, is_lent) in [(1, false), (999, false), (1000, true), (4000, true)] {
        for announced in [true, false] {
            let buffer = std::sync::Arc::new(());
            let mut body =
                Pieces([Bytes::from_owner(Buffer { _alive: buffer.clone() }).slice(..length)].into());
            let read = match announced {
                true => now(read_announced(&mut body, Bytes::new(), length, 1000)),
                false => now(read_growing(&mut body, (4000, 1000), &mut |_| true)),
            };
            let read = read.expect("whole");
            assert_eq!(read, vec![7; length]);
            assert_eq!(std::sync::Arc::strong_count(&buffer) > 1, is_lent, "{length} {announced}");
            if !is_lent {
                let capacity = read.try_into_mut().expect("nobody else has it").capacity();
                assert_eq!(capacity, length, "what is kept is what is charged");
            }
        }
    }
}
