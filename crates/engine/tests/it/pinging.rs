//! Keepalive, as the other side of a connection sees it.

use std::net::TcpListener;

use crate::{
    ends::{Near, block_on, listener, logs},
    frames::{DATA, HEADERS, PING, Wire},
};

/// Settings by which a ping comes soon, and the end long enough after it for a slow reader to see the ping: what is not read when a
/// connection is closed may be lost.
const SOON: &str = "time: 20ms, timeout: 5s";

#[test]
fn a_receiver_pings_a_silent_client_and_closes_when_it_stays_silent() {
    let keepalive = &format!("keepalive: {{server_parameters: {{{SOON}}}}}");
    let near = Near::relaying(&listener("grpc", keepalive), "nop: ");
    let mut client = Wire::connect(near.address("grpc"));
    client.until(PING);
    client.until_closed();
}

#[test]
fn a_receiver_that_is_told_no_time_pings_as_seldom_as_by_default() {
    for zero in ["time: 0s", "time: 0s, timeout: 0s"] {
        let keepalive = format!("keepalive: {{server_parameters: {{{zero}}}}}");
        let near = Near::relaying(&listener("grpc", &keepalive), "nop: ");
        let mut client = Wire::connect(near.address("grpc"));
        client.until_understood();
        assert!(client.is_silent(), "{zero}");
    }
}

/// An engine that sends one request, and the server that it sends it to.
fn sending(keepalive: &str) -> (Near, Wire) {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let exporter =
        format!("otlp: {{endpoint: 'http://{address}', timeout: 10m, keepalive: {{{keepalive}}}}}");
    let near = Near::relaying(&listener("grpc", ""), &exporter);
    block_on(near.ask(logs(1)));
    (near, Wire::accept(&server))
}

#[test]
fn an_exporter_pings_a_silent_server_and_closes_when_it_stays_silent() {
    let (_near, mut server) = sending(SOON);
    server.until(HEADERS);
    server.until(PING);
    server.until_closed();
}

#[test]
fn without_a_request_in_flight_an_exporter_pings_only_where_that_is_permitted() {
    for permitted in [true, false] {
        let (_near, server) = sending(&format!("time: 50ms, permit_without_stream: {permitted}"));
        let mut server = server.answering_pings();
        let stream = server.until(DATA).stream;
        server.answer(stream);
        server.until_understood();
        match permitted {
            true => drop(server.until(PING)),
            false => assert!(server.is_silent()),
        }
    }
}
