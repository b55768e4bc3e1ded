//! The windows of connections come out of the memory budget.

use aldis_connect::limits::{FIRST_WINDOW_BYTES, STREAM_WINDOW_BYTES};
use bytes::Bytes;
use h2::client::{SendRequest, handshake};
use http::{Method, Request, Version};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::net::TcpStream;

use crate::side::{PATIENCE, Side, TRACES, block_on, eventually, framed, settings, spans};

type Peer = SendRequest<Bytes>;

/// A raw connection, whose windows can be looked at; `None` if it is closed at once.
async fn peer(address: SocketAddr) -> Option<Peer> {
    let stream = TcpStream::connect(address).await.expect("a listener");
    let (send, mut connection) = handshake(stream).await.ok()?;
    let mut pings = connection.ping_pong().expect("nobody has it");
    tokio::spawn(async move { drop(connection.await) });
    // It is open once the far side answers.
    pings.ping(h2::Ping::opaque()).await.ok()?;
    Some(send)
}

fn request(address: SocketAddr) -> Request<()> {
    Request::builder()
        .method(Method::POST)
        .version(Version::HTTP_2)
        .uri(format!("http://{address}{TRACES}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .expect("a request")
}

async fn export(peer: &mut Peer, address: SocketAddr, message: Bytes) {
    let mut ready = peer.clone().ready().await.expect("open");
    let (answer, mut body) = ready.send_request(request(address), false).expect("open");
    body.send_data(message, true).expect("open");
    let (head, mut body) = answer.await.expect("an answer").into_parts();
    while body.data().await.is_some() {}
    let trailers = body.trailers().await.expect("whole");
    let status = trailers.as_ref().unwrap_or(&head.headers)["grpc-status"].clone();
    assert_eq!(status, "0");
}

/// Bytes that the peer may send on a new stream before the far side reads any.
async fn window(peer: &mut Peer, address: SocketAddr) -> usize {
    let mut ready = peer.clone().ready().await.expect("open");
    let (_answer, mut body) = ready.send_request(request(address), false).expect("open");
    body.reserve_capacity(STREAM_WINDOW_BYTES as usize);
    let mut capacity = 0;
    while let Ok(Some(more)) =
        tokio::time::timeout(Duration::from_millis(100), std::future::poll_fn(|cx| body.poll_capacity(cx)))
            .await
    {
        capacity = more.expect("open").max(capacity);
    }
    body.send_reset(h2::Reason::CANCEL);
    capacity
}

#[test]
fn idle_connections_stay_within_the_budget_and_the_next_is_refused() {
    let budget = 4 << 20;
    let side = Side::with(settings(), budget);
    // A window, and a frame of that length.
    let each = 2 * FIRST_WINDOW_BYTES as usize;
    let fit = budget / 2 / each;
    block_on(async {
        let mut peers = Vec::new();
        for _ in 0..fit {
            let mut peer = peer(side.grpc()).await.expect("there is room");
            // Each has done something, as a fleet of small senders would.
            export(&mut peer, side.grpc(), framed(0, &spans(20))).await;
            peers.push(peer);
        }
        assert_eq!(side.memory.budget.reserved(), fit * each);
        assert!(side.memory.budget.used() <= budget / 2, "the rest is for bodies");
        for _ in 0..3 {
            assert!(peer(side.grpc()).await.is_none(), "a window that is not paid for is not given");
        }
        assert_eq!(side.listening().counts().connections_refused, 3);
        // Those that are there are served, and whoever goes makes room.
        for peer in &mut peers {
            export(peer, side.grpc(), framed(0, &spans(20))).await;
        }
        drop(peers);
        eventually("the windows are given back", || side.memory.budget.used() == 0).await;
        assert!(peer(side.grpc()).await.is_some());
    });
}

#[test]
fn a_big_sender_gets_a_wide_window_among_many_idle_ones() {
    let budget = 32 << 20;
    let side = Side::with(settings(), budget);
    block_on(async {
        let mut idle = Vec::new();
        for _ in 0..20 {
            idle.push(peer(side.grpc()).await.expect("there is room"));
        }
        let mut big = peer(side.grpc()).await.expect("there is room");
        assert_eq!(window(&mut big, side.grpc()).await, FIRST_WINDOW_BYTES as usize);
        let message = framed(0, &spans(4000));
        assert!(message.len() > 300_000);
        for _ in 0..40 {
            export(&mut big, side.grpc(), message.clone()).await;
        }
        // The client's own buffer is what bounds it now (h2: 400 KiB). What it is granted may be on its way.
        let begun = Instant::now();
        while let wide = window(&mut big, side.grpc()).await
            && wide < 400 << 10
        {
            assert!(begun.elapsed() < PATIENCE, "{wide}");
        }
        assert!(side.memory.budget.reserved() > 2 << 20);
        assert!(side.memory.budget.reserved() <= budget / 4, "widening has its bound");
        assert_eq!(window(&mut idle[0], side.grpc()).await, FIRST_WINDOW_BYTES as usize);
        drop((idle, big));
        eventually("all of it is given back", || side.memory.budget.used() == 0).await;
    });
}
