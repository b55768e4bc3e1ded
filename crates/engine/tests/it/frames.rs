//! HTTP/2 by hand (RFC 9113, section 4.1): what one side tells the other below requests and answers.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
};

use crate::ends::{A_WHILE, PATIENCE};

/// Types of frames (RFC 9113, section 6).
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;

/// The flag of SETTINGS and PING that answer one.
const ACK: u8 = 1;
/// END_STREAM and END_HEADERS: an answer that is whole.
const WHOLE: u8 = 5;
/// What a ping carries.
const OPAQUE: [u8; 8] = *b"test it!";
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame that the other side sent.
#[derive(Debug)]
pub(crate) struct Frame {
    kind: u8,
    flags: u8,
    pub(crate) stream: u32,
    payload: Vec<u8>,
}

/// One side of a connection.
pub(crate) struct Wire {
    stream: TcpStream,
    answers_pings: bool,
}

impl Wire {
    /// A client that leaves pings without an answer.
    pub(crate) fn connect(address: SocketAddr) -> Wire {
        let mut wire = Wire::over(TcpStream::connect(address).unwrap());
        wire.stream.write_all(PREFACE).unwrap();
        wire.say(SETTINGS, 0, 0, &[]);
        wire
    }

    /// A server that leaves pings without an answer.
    pub(crate) fn accept(listener: &TcpListener) -> Wire {
        let mut wire = Wire::over(listener.accept().unwrap().0);
        let mut preface = [0; PREFACE.len()];
        wire.stream.read_exact(&mut preface).unwrap();
        assert_eq!(&preface, PREFACE);
        wire.say(SETTINGS, 0, 0, &[]);
        wire
    }

    fn over(stream: TcpStream) -> Wire {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Wire { stream, answers_pings: false }
    }

    /// The same side, which answers pings from now on.
    pub(crate) fn answering_pings(self) -> Wire {
        Wire { answers_pings: true, ..self }
    }

    fn say(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.stream.write_all(&frame).unwrap();
    }

    /// Answers a gRPC request with success and nothing else: `:status: 200` out of HPACK's table, `grpc-status: 0` as it is.
    pub(crate) fn answer(&mut self, stream: u32) {
        self.say(HEADERS, WHOLE, stream, b"\x88\x00\x0bgrpc-status\x010");
    }

    /// Waits until the other side has read all that was said.
    pub(crate) fn until_understood(&mut self) {
        self.say(PING, 0, 0, &OPAQUE);
        while !self.next().expect("the connection is open").is_pong() {}
    }

    /// Reads until a frame of this type comes that is no acknowledgement.
    pub(crate) fn until(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.next().expect("the connection is open");
            if frame.kind == kind && !(matches!(kind, SETTINGS | PING) && frame.flags & ACK != 0) {
                return frame;
            }
        }
    }

    /// Reads until the other side closes the connection.
    pub(crate) fn until_closed(&mut self) {
        while self.next().is_some() {}
    }

    /// Whether nothing comes for a while.
    pub(crate) fn is_silent(&mut self) -> bool {
        self.stream.set_read_timeout(Some(A_WHILE)).unwrap();
        let read = self.stream.read(&mut [0]);
        read.is_err_and(|error| is_timeout(&error))
    }

    /// The next frame; `None` once the other side has closed the connection.
    fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        if let Err(error) = self.stream.read_exact(&mut head) {
            assert!(!is_timeout(&error), "nothing came");
            return None;
        }
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        self.stream.read_exact(&mut payload).ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let frame = Frame { kind: head[3], flags: head[4], stream, payload };
        match frame.kind {
            SETTINGS if frame.flags & ACK == 0 => self.say(SETTINGS, ACK, 0, &[]),
            PING if frame.flags & ACK == 0 && self.answers_pings => self.say(PING, ACK, 0, &frame.payload),
            _ => {}
        }
        Some(frame)
    }
}

/// Whether nothing came in time.
pub(crate) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

impl Frame {
    fn is_pong(&self) -> bool {
        self.kind == PING && self.flags & ACK != 0 && self.payload == OPAQUE
    }

    /// One of the values in a SETTINGS frame (section 6.5.1).
    pub(crate) fn setting(&self, number: u16) -> Option<u32> {
        let mut entries = self.payload.chunks_exact(6);
        let entry = entries.find(|entry| entry[..2] == number.to_be_bytes())?;
        Some(u32::from_be_bytes([entry[2], entry[3], entry[4], entry[5]]))
    }
}
