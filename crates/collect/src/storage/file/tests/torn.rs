//! Compressed pieces of which only a part was written, with others behind them.

use super::*;

const COMPRESSED: FileSettings =
    FileSettings { compression: Some(1), sync: SyncPolicy::Never, rotate_bytes: None, keep_files: None };

/// How much of a piece is not there.
#[derive(Clone, Copy, Debug)]
enum Tear {
    Nothing,
    Bytes(usize),
    /// As much as so many pieces behind it are long: what follows these stands where the piece would have ended.
    AsNext(usize),
}

#[derive(Clone, Debug)]
struct Piece {
    time_ns: u64,
    /// Bytes of its message, which do not become much fewer.
    noise: usize,
    tear: Tear,
    /// As the first version wrote it.
    is_old: bool,
}

impl Piece {
    fn event(&self, seq: usize) -> TelemetryEvent {
        let mut state = seq as u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b'0' + ((state >> 58) as u8))
        };
        let message = (0..self.noise).map(|_| next()).collect();
        TelemetryEvent { message, ..event(self.time_ns, seq as u64) }
    }

    fn bytes(&self, seq: usize) -> Vec<u8> {
        let disk = Forgetful::default();
        open(&disk, COMPRESSED).store(&of_events([self.event(seq)])).unwrap();
        let whole = disk.bytes(PATH);
        if self.is_old { as_old(whole) } else { whole }
    }
}

/// The first version had no ends.
fn as_old(mut piece: Vec<u8>) -> Vec<u8> {
    piece.truncate(piece.len() - 24);
    piece[15] = b'1';
    let check = index::fnv1a(&piece[..48]);
    piece[48..56].copy_from_slice(&check.to_le_bytes());
    piece
}

/// The file, and which of the pieces are whole, be it because what follows begins with just the bytes that one lacks.
fn file(pieces: &[Piece]) -> (Vec<u8>, Vec<bool>) {
    let (mut stored, mut whole): (Vec<Vec<u8>>, Vec<Vec<u8>>) = (Vec::new(), Vec::new());
    for (seq, piece) in pieces.iter().enumerate().rev() {
        let mut bytes = piece.bytes(seq);
        let lacks = match piece.tear {
            Tear::Nothing => 0,
            Tear::Bytes(lacks) => 1 + lacks % bytes.len(),
            Tear::AsNext(count) => stored.iter().rev().take(count).map(Vec::len).sum(),
        };
        // What is longer than the piece cannot be what it lacks.
        let lacks = if lacks < bytes.len() { lacks } else { 1 };
        whole.push(bytes.clone());
        bytes.truncate(bytes.len() - lacks);
        stored.push(bytes);
    }
    stored.reverse();
    let at = |i: usize| stored[..i].iter().map(Vec::len).sum::<usize>();
    let (file, all) = (stored.concat(), whole.iter().rev().enumerate());
    let is_whole = all.map(|(i, bytes)| file[at(i)..].starts_with(bytes)).collect();
    (file, is_whole)
}

/// Every range of times finds what was written whole, in the order in which it was.
fn check(pieces: &[Piece]) {
    let (bytes, is_whole) = file(pieces);
    let disk = Forgetful::default();
    disk.put(PATH, &bytes);
    let storage = open(&disk, COMPRESSED);
    let times: Vec<u64> = pieces.iter().map(|piece| piece.time_ns).collect();
    let bounds = || [None].into_iter().chain(times.iter().flat_map(|time| [Some(*time), Some(time + 1)]));
    for start in bounds() {
        for end in bounds() {
            let is_asked =
                |time: u64| start.is_none_or(|start| time >= start) && end.is_none_or(|end| time < end);
            let expected: Vec<u64> =
                (0..pieces.len()).filter(|i| is_whole[*i] && is_asked(times[*i])).map(|i| i as u64).collect();
            let mut found = Vec::new();
            let visit = |record: Record| match record {
                Record::Event(event) => found.push(event.origin.seq),
                Record::Metric(metric) => panic!("{metric:?}"),
            };
            let report = storage.scan(start, end, visit).unwrap();
            assert_eq!(found, expected, "from {start:?} to {end:?} in {pieces:?}");
            let is_any_torn = pieces.iter().any(|piece| !matches!(piece.tear, Tear::Nothing));
            assert!(is_any_torn || report.bad_lines == 0, "{report:?} in {pieces:?}");
        }
    }
}

fn piece(time_ns: u64, noise: usize, tear: Tear) -> Piece {
    Piece { time_ns, noise, tear, is_old: false }
}

/// At the end of what is written, and with one, two and three behind it, which may end where the torn one would have.
#[test]
fn wherever_a_piece_is_torn_it_costs_itself_and_no_other() {
    for is_old in [false, true] {
        let torn = |tear| Piece { is_old, ..piece(10, 900, tear) };
        let whole = torn(Tear::Nothing).bytes(1).len();
        for behind in 0..4 {
            let all = |tear| {
                let behind = (0..behind).map(|i| Piece { is_old, ..piece(20 + i, 40, Tear::Nothing) });
                [piece(5, 0, Tear::Nothing), torn(tear)].into_iter().chain(behind).collect::<Vec<_>>()
            };
            (1..=3).for_each(|count| check(&all(Tear::AsNext(count))));
            (0..whole).step_by(13).for_each(|lacks| check(&all(Tear::Bytes(lacks))));
        }
    }
}

fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    let noise = prop_oneof![3 => 0..100_usize, 2 => 500..3000_usize];
    let tear = prop_oneof![
        4 => Just(Tear::Nothing),
        1 => any::<usize>().prop_map(Tear::Bytes),
        2 => (1..4_usize).prop_map(Tear::AsNext),
    ];
    let piece = (0..40_u64, noise, tear, any::<bool>());
    let piece = piece.prop_map(|(time_ns, noise, tear, is_old)| Piece { time_ns, noise, tear, is_old });
    prop::collection::vec(piece, 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Several torn ones, inside of each other, too.
    #[test]
    fn what_was_written_whole_is_found_among_what_was_not(pieces in pieces()) {
        check(&pieces);
    }
}
