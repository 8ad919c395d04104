//! Many clients in one room: everyone gets each message of the others exactly once, and all in one order.
//!
//! One thread, one poll, and bytes compared rather than parsed: what is measured is the server.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};
use support::client::frame;
use support::{Server, Value, eventually, ids, json};

/// One client of the crowd.
struct Peer {
    stream: mio::net::TcpStream,
    bytes: Vec<u8>,
    is_upgraded: bool,
    /// Messages that it was shown; of a sender also what they were.
    count: usize,
    own: Option<Vec<Vec<u8>>>,
}

impl Peer {
    fn join(server: &Server, name: &str, is_sender: bool) -> Peer {
        let mut stream = TcpStream::connect(server.address).expect("the server listens");
        let head = format!(
            "GET /ws?username={name} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).expect("the server reads");
        stream.set_nonblocking(true).expect("a socket can");
        let stream = mio::net::TcpStream::from_std(stream);
        Peer { stream, bytes: Vec::new(), is_upgraded: false, count: 0, own: is_sender.then(Vec::new) }
    }

    /// Reads what is there; each message goes to `order` if it is the first of its place, and is compared if not.
    fn hear(&mut self, scratch: &mut [u8], order: &mut Vec<Vec<u8>>) {
        loop {
            match self.stream.read(scratch) {
                Ok(0) => panic!("a client was cut off after {} messages", self.count),
                Ok(count) => self.bytes.extend_from_slice(&scratch[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("after {} messages: {error}", self.count),
            }
            self.take_frames(order);
        }
    }

    fn take_frames(&mut self, order: &mut Vec<Vec<u8>>) {
        let mut at = 0;
        if !self.is_upgraded {
            let Some(end) = self.bytes.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return };
            assert!(self.bytes.starts_with(b"HTTP/1.1 101 "), "{:?}", String::from_utf8_lossy(&self.bytes[..end]));
            self.is_upgraded = true;
            at = end + 4;
        }
        while let Some((from, to)) = payload(&self.bytes[at..]) {
            let text = &self.bytes[at + from..at + to];
            at += to;
            if !text.starts_with(b"{\"type\":\"message\"") {
                continue;
            }
            match (&mut self.own, order.get(self.count)) {
                (Some(heard), _) => heard.push(text.to_vec()),
                (None, None) => order.push(text.to_vec()),
                (None, Some(first)) => {
                    assert!(first == text, "message {} is not the same for all", self.count + 1);
                }
            }
            self.count += 1;
        }
        self.bytes.drain(..at);
    }
}

/// Where the payload of the first frame lies, if all of it is there.
fn payload(bytes: &[u8]) -> Option<(usize, usize)> {
    let (from, len) = match bytes.get(1)? {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        len @ 0..126 => (2, usize::from(*len)),
        len => panic!("a frame of length {len} is too long for a chat line"),
    };
    (bytes.len() >= from + len).then_some((from, from + len))
}

/// `clients` in a room, of which `senders` say `each` messages.
fn crowd(clients: usize, senders: usize, each: usize, limit: Duration) {
    let descriptors = rlimit::increase_nofile_limit(u64::MAX).expect("the limit can be asked for");
    assert!(descriptors > clients as u64 + 100, "this test needs more descriptors than {descriptors}: see ulimit -Hn");
    let server = Server::with(&["--quiet"]);
    let mut poll = Poll::new().expect("a poll");
    let mut peers: Vec<Peer> = (0..clients).map(|n| Peer::join(&server, &format!("p{n}"), n < senders)).collect();
    for (n, peer) in peers.iter_mut().enumerate() {
        poll.registry().register(&mut peer.stream, Token(n), Interest::READABLE).expect("a socket");
    }
    eventually("all to be in", || (server.json("/api/users")["count"] == clients).then_some(()));

    let total = senders * each;
    let begun = Instant::now();
    for (n, peer) in peers[..senders].iter_mut().enumerate() {
        let text = |m: usize| json!({"type": "message", "message": format!("p{n} says {m}")}).to_string();
        let frames: Vec<u8> = (0..each).flat_map(|m| frame(0x81, text(m).as_bytes())).collect();
        peer.stream.write_all(&frames).expect("a socket holds that much");
    }
    let (mut events, mut scratch) = (Events::with_capacity(1024), vec![0; 256 * 1024]);
    let mut order: Vec<Vec<u8>> = Vec::with_capacity(total);
    let want = |peer: &Peer| if peer.own.is_some() { total - each } else { total };
    while peers.iter().any(|peer| peer.count < want(peer)) {
        let missing = || peers.iter().map(|peer| want(peer) - peer.count).sum::<usize>();
        assert!(begun.elapsed() < limit, "after {limit:?} {} deliveries are missing", missing());
        poll.poll(&mut events, Some(Duration::from_millis(100))).expect("a poll");
        for event in &events {
            peers[event.token().0].hear(&mut scratch, &mut order);
        }
    }

    assert!(peers.iter().all(|peer| peer.count == want(peer)), "somebody got a message twice");
    let order: Vec<Value> = order.iter().map(|text| serde_json::from_slice(text).expect("JSON")).collect();
    assert!(order.iter().map(|message| message["id"].as_u64()).eq((1..=total as u64).map(Some)));
    let mut next = vec![0; senders];
    for message in &order {
        let sender: usize = message["sender"].as_str().expect("a name")[1..].parse().expect("a number");
        assert_eq!(message["message"], format!("p{sender} says {}", next[sender]));
        next[sender] += 1;
    }
    for (n, peer) in peers[..senders].iter().enumerate() {
        let heard = peer.own.iter().flatten().map(|text| serde_json::from_slice::<Value>(text).expect("JSON"));
        let name = format!("p{n}");
        assert!(heard.eq(order.iter().filter(|message| message["sender"] != name.as_str()).cloned()), "{name}");
    }
    assert!(ids(&server.json("/api/messages")).into_iter().eq(1..=total as u64));
}

#[test]
fn a_thousand_clients_get_4000_messages_each_once_and_in_one_order() {
    crowd(1000, 20, 200, Duration::from_secs(120));
}
