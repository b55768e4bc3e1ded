//! A far side that is no engine: it shows what was sent to it.

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread::JoinHandle,
};

use crate::process::text;

/// An HTTP server for one request, which it hands out: its head in lower case, its body.
pub(crate) struct Stub {
    pub(crate) address: String,
    heard: JoinHandle<(String, Vec<u8>)>,
}

impl Stub {
    pub(crate) fn start() -> Stub {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let heard = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut all = Vec::new();
            let mut piece = [0; 65536];
            loop {
                let read = stream.read(&mut piece).unwrap();
                assert!(read > 0, "a whole request");
                all.extend_from_slice(&piece[..read]);
                let Some(end) = all.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
                let head = text(&all[..end]).to_lowercase();
                let length = head.split("content-length: ").nth(1).unwrap();
                let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
                if all.len() == end + 4 + length {
                    let answer =
                        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
                    stream.write_all(answer.as_bytes()).unwrap();
                    return (head, all.split_off(end + 4));
                }
            }
        });
        Stub { address, heard }
    }

    pub(crate) fn heard(self) -> (String, Vec<u8>) {
        self.heard.join().unwrap()
    }
}
