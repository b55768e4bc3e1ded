use std::net::TcpStream;

use socket2::SockRef;

use super::*;
use crate::otlp::GrpcSettings;

/// What the kernel gives the two buffers of a connection to a listener that asked for these.
fn buffers(read_buffer_size: Option<usize>, write_buffer_size: Option<usize>) -> (usize, usize) {
    let endpoint = "127.0.0.1:0".to_owned();
    let grpc = GrpcSettings { endpoint, read_buffer_size, write_buffer_size, ..GrpcSettings::default() };
    let settings = ReceiverSettings { grpc: Some(grpc), http: None, ..ReceiverSettings::default() };
    let receiver = Receiver::bind(settings).unwrap();
    let listener = &receiver.listeners[0].handle;
    listener.set_nonblocking(false).unwrap();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    let socket = SockRef::from(&accepted);
    (socket.recv_buffer_size().unwrap(), socket.send_buffer_size().unwrap())
}

#[test]
fn accepted_connections_have_the_buffers_that_were_asked_for() {
    let usual = buffers(None, None);
    let [small, large] = [20_000, 80_000].map(|bytes| buffers(Some(bytes), None));
    assert!(small.0 >= 20_000 && small.0 < large.0, "{small:?} {large:?}");
    assert_eq!((small.1, large.1), (usual.1, usual.1));
    let [small, large] = [20_000, 80_000].map(|bytes| buffers(None, Some(bytes)));
    assert!(small.1 >= 20_000 && small.1 < large.1, "{small:?} {large:?}");
    assert_eq!((small.0, large.0), (usual.0, usual.0));
}
