use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

use super::*;

/// How long is waited for what must come, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(60);

fn soon() -> Instant {
    Instant::now() + PATIENCE
}

#[test]
fn stopping_waits_for_tasks_that_end_in_time() {
    let shards = Shards::start(2, "waits").unwrap();
    let (tell, told) = mpsc::channel();
    for i in 0..4 {
        let tell = tell.clone();
        shards.spawn(i, async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            tell.send(i).unwrap();
        });
    }
    assert_eq!(shards.stop(soon()), 0);
    let mut ended: Vec<usize> = told.try_iter().collect();
    ended.sort_unstable();
    assert_eq!(ended, [0, 1, 2, 3]);
}

#[test]
fn what_does_not_end_in_time_is_dropped() {
    struct Tell(mpsc::Sender<()>);
    impl Drop for Tell {
        fn drop(&mut self) {
            self.0.send(()).unwrap();
        }
    }
    let shards = Shards::start(1, "drops").unwrap();
    let (tell, told) = mpsc::channel();
    let guard = Tell(tell);
    shards.spawn(0, async move {
        let _guard = guard;
        std::future::pending::<()>().await;
    });
    assert!(told.try_recv().is_err());
    let begun = Instant::now();
    let left_behind = shards.stop(begun + Duration::from_millis(10));
    // A thread that does not get its turn is waited for no longer than that.
    let in_time = begun.elapsed() < STOP_GRACE;
    assert_eq!(if in_time { told.try_recv().ok() } else { told.recv_timeout(PATIENCE).ok() }, Some(()));
    assert!(left_behind == 0 || !in_time);
}

#[test]
fn a_panicking_task_leaves_its_shard_running() {
    let shards = Shards::start(1, "panics").unwrap();
    shards.spawn(0, async { panic!("on purpose") });
    let (tell, told) = mpsc::channel();
    shards.spawn(0, async move { tell.send(()).unwrap() });
    assert!(told.recv_timeout(PATIENCE).is_ok());
    assert_eq!(shards.stop(soon()), 0);
}

#[test]
fn a_blocked_thread_is_left_behind() {
    let shards = Shards::start(1, "blocks").unwrap();
    let (release, blocked) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    shards.spawn(0, async move {
        tell.send(()).unwrap();
        let _ = blocked.recv();
    });
    told.recv().unwrap();
    assert_eq!(shards.stop(Instant::now()), 1);
    drop(release);
}

#[test]
fn the_idlest_shard_has_the_fewest_bytes_then_tasks() {
    let shards = Shards::start(3, "idlest").unwrap();
    assert_eq!(shards.idlest(), 0);
    shards.add_open_bytes(0, 10);
    assert_eq!(shards.idlest(), 1);
    shards.spawn(1, std::future::pending());
    assert_eq!(shards.idlest(), 2);
    shards.add_open_bytes(2, 11);
    shards.add_open_bytes(1, 12);
    assert_eq!(shards.idlest(), 0);
    shards.add_open_bytes(2, -11);
    assert_eq!(shards.idlest(), 2);
    shards.stop(Instant::now());
}

#[test]
fn dropping_the_last_handle_stops() {
    let shards = Shards::start(1, "dropped").unwrap();
    let (tell, told) = mpsc::channel::<()>();
    shards.spawn(0, async move {
        let _tell = tell;
        std::future::pending::<()>().await;
    });
    drop(shards);
    assert_eq!(told.recv_timeout(PATIENCE), Err(mpsc::RecvTimeoutError::Disconnected));
}
