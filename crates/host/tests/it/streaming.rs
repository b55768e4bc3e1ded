//! Readers of a running episode: quick ones, slow ones, and those who leave.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::Shutdown,
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown, symlink},
        net::{UnixListener, UnixStream},
    },
    path::Path,
};

use aldis_host::{
    Budget, EndReason, StreamError, StreamTelemetry, TelemetryCollector, TelemetryHandle, TelemetryPolicy,
    Watch,
    limits::MAX_STREAM_READERS,
    stream::{StreamCounts, StreamFolder},
};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    collecting::{Scripted, id},
    processes::eventually,
    scratch::skipped,
};

const MS: u64 = 1_000_000;

/// Frames whose lines are far more than a socket holds.
const MANY: usize = 10_000;

/// An episode that is streamed.
struct Streamed {
    collector: TelemetryCollector,
    subject: Scripted,
    handle: TelemetryHandle,
    stream: Option<StreamTelemetry>,
    folder: StreamFolder,
    now_ns: u64,
    _place: TempDir,
}

impl Streamed {
    fn with(budget: Budget, ring: usize) -> Self {
        let place = TempDir::new().unwrap();
        let folder = StreamFolder::at(&place.path().join("episodes")).unwrap();
        let policy = TelemetryPolicy::builder().ring_buffer_capacity(ring).build().unwrap();
        let (collector, subject) = (TelemetryCollector::new(policy).unwrap(), Scripted::default());
        let handle = collector.start(Watch::new(id(7), 9, subject.clone()).budget(budget), 0).unwrap();
        let stream = Some(StreamTelemetry::serve(&handle, &folder).unwrap());
        Self { collector, subject, handle, stream, folder, now_ns: 0, _place: place }
    }

    /// Its ring holds four frames.
    fn new() -> Self {
        Self::with(Budget::default(), 4)
    }

    /// Takes so many frames more.
    fn look(&mut self, times: usize) {
        for _ in 0..times {
            self.now_ns += 100 * MS;
            self.collector.poll(self.now_ns);
        }
    }

    fn finish(&self) {
        self.collector.finish(&self.handle, EndReason::Completed, None, self.now_ns + MS);
    }

    fn counts(&self) -> StreamCounts {
        self.stream.as_ref().unwrap().counts()
    }

    /// A reader who has been let in.
    fn reader(&self) -> UnixStream {
        let before = self.counts().readers;
        let socket = UnixStream::connect(self.stream.as_ref().unwrap().path()).unwrap();
        eventually("it is let in", || self.counts().readers > before);
        socket
    }

    fn close(&mut self) -> StreamCounts {
        self.stream.take().unwrap().close()
    }
}

fn lines(socket: UnixStream) -> Vec<Value> {
    BufReader::new(socket).lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
}

fn seqs(lines: &[Value]) -> Vec<u64> {
    lines.iter().filter_map(|line| line["seq"].as_u64()).collect()
}

/// Frames that a reader had, in order, and those that it was told to have missed.
fn accounted(lines: &[Value]) -> (u64, u64) {
    let seqs = seqs(lines);
    assert!(seqs.windows(2).all(|two| two[0] < two[1]), "{seqs:?}");
    let missed = lines.iter().filter(|line| line["record"] == "missed");
    (seqs.len() as u64, missed.map(|line| line["frames"].as_u64().unwrap()).sum())
}

#[test]
fn every_reader_has_what_the_ring_holds_then_each_frame_then_the_end() {
    let mut streamed = Streamed::new();
    streamed.look(2);
    let early = [streamed.reader(), streamed.reader()];
    let mut first = BufReader::new(early[0].try_clone().unwrap());
    let mut line = String::new();
    // One after the other, so that nobody misses any.
    for seq in 0..3 {
        line.clear();
        first.read_line(&mut line).unwrap();
        assert_eq!(line, format!("{}\n", streamed.handle.frames()[seq]), "as everywhere else");
    }
    for seq in 3..10 {
        streamed.look(1);
        line.clear();
        first.read_line(&mut line).unwrap();
        assert!(line.contains(&format!(r#""seq":{seq},"#)), "{line}");
    }
    let mut late = BufReader::new(streamed.reader());
    line.clear();
    // What the ring holds now is on its way with that: the next frame takes nothing away from it.
    late.read_line(&mut line).unwrap();
    streamed.finish();
    let told = std::iter::once(line).chain(late.lines().map(Result::unwrap));
    let late: Vec<Value> = told.map(|line| serde_json::from_str(&line).unwrap()).collect();
    assert_eq!((&late[0]["record"], &late[0]["frames"]), (&"missed".into(), &6.into()), "{late:?}");
    assert_eq!(seqs(&late)[0], 6);
    let rest = lines(first.into_inner());
    for told in [rest, late] {
        let [.., terminal, end] = &told[..] else { panic!("{told:?}") };
        assert_eq!((&terminal["seq"], &terminal["o11y_flags"]["terminal"]), (&10.into(), &true.into()));
        let expected = r#"{"record":"end","episode_id":"00000000-0000-0000-0000-000000000007","reason":"completed","frames":11}"#;
        assert_eq!(end, &serde_json::from_str::<Value>(expected).unwrap());
    }
    let [_, other] = early;
    let (had, missed) = accounted(&lines(other));
    assert_eq!(had + missed, 11, "each frame is told or told to be missed");
    // Also who comes when it is over.
    assert_eq!(accounted(&lines(streamed.reader())), (4, 7));
}

/// Whoever takes nothing costs nobody else anything, and learns what it has missed.
#[test]
fn a_slow_reader_misses_frames_and_is_told_how_many() {
    let mut streamed = Streamed::new();
    let (slow, quick) = (streamed.reader(), streamed.reader());
    let quick = std::thread::spawn(move || lines(quick));
    // Far more than sockets hold. The sampler does not wait, or this would not end.
    streamed.look(5 * MANY);
    streamed.finish();
    let total = streamed.handle.seq();
    let (had, missed) = accounted(&quick.join().unwrap());
    assert_eq!(had + missed, total);
    let slow = lines(slow);
    assert_eq!(slow.last().unwrap()["reason"], "completed");
    let (slow_had, slow_missed) = accounted(&slow);
    assert_eq!(slow_had + slow_missed, total);
    assert!(slow_missed > 0, "{slow_had} frames fit into a socket");
    assert_eq!(streamed.counts().missed, missed + slow_missed);
    assert_eq!(streamed.close().cut_off, 0, "all have all");
}

#[test]
fn who_leaves_is_in_nobodys_way() {
    let mut streamed = Streamed::new();
    let stays = streamed.reader();
    let mut leaves = BufReader::new(streamed.reader());
    leaves.read_line(&mut String::new()).unwrap();
    drop(leaves);
    // One that left without a word is found out with the next frame.
    drop(streamed.reader());
    streamed.look(3);
    // Only half gone: it says nothing more, and listens.
    let half = streamed.reader();
    half.shutdown(Shutdown::Write).unwrap();
    let mut talks = streamed.reader();
    talks.write_all(&[b'x'; 2000]).unwrap();
    streamed.finish();
    for one in [stays, half, talks] {
        let told = lines(one);
        assert_eq!(told.last().unwrap()["record"], "end", "{told:?}");
        let (had, missed) = accounted(&told);
        assert_eq!(had + missed, 5);
    }
    assert_eq!(streamed.close().cut_off, 0);
}

#[test]
fn readers_are_bounded_and_who_finds_no_place_is_told() {
    let streamed = Streamed::new();
    let readers: Vec<UnixStream> = (0..MAX_STREAM_READERS).map(|_| streamed.reader()).collect();
    let refused = UnixStream::connect(streamed.stream.as_ref().unwrap().path()).unwrap();
    let said = lines(refused);
    let expected = serde_json::json!({"record": "refused", "readers": MAX_STREAM_READERS});
    assert_eq!(said, [expected]);
    assert_eq!(streamed.counts().refused, 1);
    drop(readers);
    let path = streamed.stream.as_ref().unwrap().path();
    eventually("there is place again", || {
        let mut line = String::new();
        BufReader::new(UnixStream::connect(path).unwrap()).read_line(&mut line).unwrap();
        line.contains("seq")
    });
}

#[test]
fn a_stream_that_is_closed_hangs_up() {
    let mut streamed = Streamed::with(Budget::default(), MANY + 1);
    streamed.look(MANY);
    let (quick, mut stuck) = (streamed.reader(), streamed.reader());
    let mut quick = BufReader::new(quick).lines();
    for seq in 0..=MANY as u64 {
        let line: Value = serde_json::from_str(&quick.next().unwrap().unwrap()).unwrap();
        assert_eq!(line["seq"], seq);
    }
    assert_eq!(streamed.close().cut_off, 1, "the one that takes nothing");
    assert!(quick.next().is_none(), "the episode goes on, so there is no line for its end");
    let mut rest = Vec::new();
    stuck.read_to_end(&mut rest).unwrap();
    assert!(!rest.is_empty() && streamed.folder.sockets().unwrap().is_empty());
    streamed.look(1);
    assert!(streamed.handle.ended().is_none());
}

#[test]
fn a_used_up_budget_is_in_the_last_line() {
    let mut streamed = Streamed::with(Budget { cpu_ms: Some(1), ..Budget::default() }, 4);
    let reader = streamed.reader();
    streamed.subject.uses(2 * MS);
    streamed.look(1);
    let told = lines(reader);
    let end = told.last().unwrap();
    assert_eq!((&end["reason"], &end["budget"]), (&"budget_exhausted".into(), &"cpu_ms".into()));
    assert_eq!(end["frames"], streamed.handle.seq());
}

/// A socket that is left behind by a process that was killed is in nobody's way, and goes with other leftovers.
#[test]
fn sockets_that_were_left_behind_are_replaced_and_removed() {
    let streamed = Streamed::new();
    let folder = &streamed.folder;
    for number in [8, 9] {
        drop(UnixListener::bind(folder.socket(id(number))).unwrap());
    }
    std::fs::write(folder.path().join("else"), "").unwrap();
    let found = || -> Vec<_> {
        folder.sockets().unwrap().into_iter().map(|socket| (socket.id, socket.is_live)).collect()
    };
    // A child of another test that has not begun its program yet has the sockets too, and whoever calls is let in.
    eventually("nobody listens", || found()[1..].iter().all(|(_, is_live)| !is_live));
    assert_eq!(found(), [(id(7), true), (id(8), false), (id(9), false)]);
    let other = streamed.collector.start(Watch::new(id(8), 9, Scripted::default()), 0).unwrap();
    let replaced = StreamTelemetry::serve(&other, folder).unwrap();
    assert_eq!(folder.remove_stale().unwrap(), [folder.socket(id(9))]);
    assert_eq!(folder.sockets().unwrap().len(), 2);
    assert!(folder.path().join("else").exists());
    let again = StreamTelemetry::serve(&other, folder);
    assert!(matches!(again, Err(StreamError::Streamed { .. })), "{again:?}");
    assert_eq!(std::fs::metadata(replaced.path()).unwrap().mode() & 0o777, 0o600);
    drop(replaced);
    assert_eq!(folder.sockets().unwrap().len(), 1);
}

#[test]
fn nobody_else_may_enter_the_folder() {
    let place = TempDir::new().unwrap();
    let at = |name: &str| place.path().join(name);
    let refused = |path: &Path| matches!(StreamFolder::at(path), Err(StreamError::NotPrivate { .. }));
    let made = StreamFolder::at(&at("made")).unwrap();
    assert_eq!(std::fs::metadata(made.path()).unwrap().mode() & 0o777, 0o700);
    assert!(StreamFolder::at(made.path()).is_ok(), "and again");
    std::fs::create_dir(at("open")).unwrap();
    std::fs::set_permissions(at("open"), std::fs::Permissions::from_mode(0o755)).unwrap();
    symlink(at("made"), at("link")).unwrap();
    std::fs::write(at("file"), "").unwrap();
    assert!(refused(&at("open")) && refused(&at("link")) && refused(&at("file")));
    assert!(matches!(StreamFolder::at(&at("no/where")), Err(StreamError::Io { .. })));
    if !rustix::process::geteuid().is_root() {
        return skipped("nobody_else_may_enter_the_folder", "this is not root");
    }
    chown(made.path(), Some(65534), None).unwrap();
    assert!(refused(made.path()), "another user's");
}
