//! Sends every WebSocket message back: what the Autobahn test suite is run against (`./test.sh --autobahn`).
//!
//! `cargo run --release --example echo -- --port 9001`. The parts are the server's own: the reader of requests, the
//! sessions, the connections with their outboxes and their way to close. Only the loop is a small one of its own.

use std::io;
use std::mem;
use std::net::SocketAddr;

use catchup::connection::{Connections, Expired, Life, Protocol, ReadOutcome};
use catchup::http::{Reply, Response, Status, Version};
use catchup::message::{ClientId, CloseReason};
use catchup::ws::{self, Session, Step};
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};

/// Longest message.
const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;
const LISTENER: Token = Token(usize::MAX - 1);

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let port = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--port", port] => port.parse().ok(),
        _ => None,
    };
    let Some(port) = port else {
        eprintln!("echo: want --port and a number from 0 (any free port) to 65535");
        std::process::exit(2);
    };
    let echo = Echo::new(port)?;
    println!("echo listens on ws://{}", echo.address()?);
    echo.run()
}

/// The server.
pub struct Echo {
    poll: Poll,
    listener: TcpListener,
    connections: Connections<mio::net::TcpStream>,
    scratch: Vec<u8>,
    unread: Vec<ClientId>,
}

impl Echo {
    /// Listens on the loopback; port 0 takes any.
    pub fn new(port: u16) -> io::Result<Echo> {
        let poll = Poll::new()?;
        let mut listener = TcpListener::bind(([127, 0, 0, 1], port).into())?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Echo { poll, listener, connections: Connections::new(), scratch: vec![0; READ_BYTES], unread: Vec::new() })
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The turn of the server (`src/reactor.rs`), with nothing in it but reading and sending.
    pub fn run(mut self) -> io::Result<()> {
        let begun = std::time::Instant::now();
        let mut events = Events::with_capacity(1024);
        loop {
            let timeout = match self.unread.is_empty() {
                true => std::time::Duration::from_millis(100),
                false => std::time::Duration::ZERO,
            };
            self.poll.poll(&mut events, Some(timeout))?;
            let now_ms = begun.elapsed().as_millis() as u64;
            let mut is_accepting = false;
            for event in events.iter() {
                let Token(slot) = event.token();
                if event.token() == LISTENER {
                    is_accepting = true;
                } else if let Some(id) = self.connections.owner(slot as u32) {
                    if event.is_writable() {
                        self.connections.writable(id);
                    }
                    if event.is_readable() || event.is_read_closed() || event.is_error() {
                        self.list(id, event.is_read_closed());
                    }
                }
            }
            for id in mem::take(&mut self.unread) {
                self.receive(id, now_ms);
            }
            for expired in self.connections.expire(now_ms) {
                match expired {
                    Expired::Released(id) => self.list(id, false),
                    Expired::RequestTimeout(id, ..) => self.close(id, now_ms),
                }
            }
            for id in self.connections.settle(now_ms, |_, _| {}).released {
                self.list(id, false);
            }
            while is_accepting && self.accept(now_ms)? {}
        }
    }

    fn accept(&mut self, now_ms: u64) -> io::Result<bool> {
        let (mut stream, peer) = match self.listener.accept() {
            Ok(accepted) => accepted,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        };
        stream.set_nodelay(true)?;
        let token = Token(self.connections.next_id().slot as usize);
        self.poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        self.connections.admit(stream, peer.ip().into(), now_ms);
        Ok(true)
    }

    fn list(&mut self, id: ClientId, is_end: bool) {
        let Some(connection) = self.connections.touch(id) else { return };
        connection.is_readable = true;
        connection.is_read_closed |= is_end;
        if !mem::replace(&mut connection.is_listed, true) {
            self.unread.push(id);
        }
    }

    fn close(&mut self, id: ClientId, now_ms: u64) {
        if let Some(connection) = self.connections.touch(id) {
            connection.close(CloseReason::Finished, now_ms);
        }
    }

    fn receive(&mut self, id: ClientId, now_ms: u64) {
        let Some(connection) = self.connections.touch(id) else { return };
        connection.is_listed = false;
        if !connection.may_read(now_ms) {
            return;
        }
        let outcome = connection.read(&mut self.scratch, now_ms);
        connection.is_readable = matches!(outcome, ReadOutcome::More(_));
        let count = match outcome {
            ReadOutcome::End => return connection.end(),
            ReadOutcome::More(count) | ReadOutcome::Drained(count) => count,
        };
        let mut scratch = mem::take(&mut self.scratch);
        self.hear(id, &mut scratch[..count], now_ms);
        self.scratch = scratch;
        if matches!(outcome, ReadOutcome::More(_)) {
            self.list(id, false);
        }
    }

    fn hear(&mut self, id: ClientId, bytes: &mut [u8], now_ms: u64) {
        let Some(connection) = self.connections.touch(id).filter(|c| c.life() == Life::Open) else { return };
        let Protocol::Http(reader) = &mut connection.protocol else { return self.hear_frames(id, bytes, now_ms) };
        reader.receive(bytes);
        let asked = reader.next();
        let response = match &asked {
            Ok(None) => return,
            Ok(Some(request)) => ws::upgrade(request).unwrap_or_else(|(status, _)| Response::new(status)),
            Err(_) => Response::new(Status::BadRequest),
        };
        let is_upgrade = matches!(&asked, Ok(Some(request)) if ws::upgrade(request).is_ok());
        let mut rest = mem::take(reader).into_rest();
        let reply = Reply { date: "", is_head: false, keep_alive: is_upgrade, version: Version::Http11 };
        if let Some(out) = connection.writer() {
            response.write(out, &reply);
        }
        if is_upgrade {
            connection.upgrade(Session::new(MESSAGE_BYTES_MAX), Vec::new(), now_ms);
            self.hear_frames(id, &mut rest, now_ms);
        } else {
            self.close(id, now_ms);
        }
    }

    fn hear_frames(&mut self, id: ClientId, mut bytes: &mut [u8], now_ms: u64) {
        let Some(connection) = self.connections.touch(id) else { return };
        while let Some((session, out)) = connection.session() {
            match session.next(&mut bytes, out) {
                Step::Text(text) => ws::write_text(out, text.as_bytes()),
                Step::Binary(bytes) => ws::write_binary(out, &bytes),
                Step::Empty => break,
                Step::Closed => connection.close(CloseReason::Goodbye, now_ms),
                Step::Broken(code) => connection.close(CloseReason::Protocol(code), now_ms),
            }
        }
    }
}
