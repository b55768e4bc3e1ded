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
        let read = now(read_announced(&mut cut(&body, &sizes), Bytes::new(), body.len()));
        prop_assert_eq!(read.expect("exact"), &body[..]);
        let read = now(read_growing(&mut cut(&body, &sizes), 300, &mut |_| true));
        prop_assert_eq!(read.expect("within the maximum"), &body[..]);
    }

    #[test]
    fn a_wrong_length_is_noticed(
        body in prop::collection::vec(any::<u8>(), 1..300),
        sizes in prop::collection::vec(0usize..50, 0..12),
    ) {
        let long = now(read_announced(&mut cut(&body, &sizes), Bytes::new(), body.len() + 1));
        prop_assert_eq!(long, Err(ReadError::CutOff));
        let short = now(read_announced(&mut cut(&body, &sizes), Bytes::new(), body.len() - 1));
        prop_assert_eq!(short, Err(ReadError::Surplus));
        let large = now(read_growing(&mut cut(&body, &sizes), body.len() - 1, &mut |_| true));
        prop_assert_eq!(large, Err(ReadError::TooLarge));
    }

    #[test]
    fn memory_is_asked_for_before_it_is_taken(
        body in prop::collection::vec(any::<u8>(), 1..300),
        sizes in prop::collection::vec(0usize..50, 0..12),
        budget in 0usize..400,
    ) {
        let mut asked = 0;
        let read = now(read_growing(&mut cut(&body, &sizes), 300, &mut |bytes| {
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
    let read = now(read_announced(&mut Pieces([body.clone()].into()), Bytes::new(), 1000)).expect("exact");
    assert_eq!(read.as_ptr(), body.as_ptr());
}
