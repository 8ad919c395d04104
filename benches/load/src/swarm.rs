//! Many WebSocket clients on one thread: connects them, sends bytes, hands out what arrives.
//!
//! Does not know what a message means. All clients share one read buffer; a client keeps bytes of
//! its own only while a frame is cut in the middle or the kernel does not take all it sends. A client can also
//! behave badly on purpose: stop reading, vanish, or hang up in the middle of a frame.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Protocol, Socket, Type};

use crate::wire;

const READ_BUFFER_BYTES: usize = 256 << 10;
const EVENTS_PER_TURN: usize = 1024;
/// One source address has 28,000 ports to one server; stay well below.
const CLIENTS_PER_ADDRESS: usize = 10_000;
/// Connects and upgrades under way at once: below any server's backlog.
const CONNECTS_AT_ONCE: usize = 100;
/// Frames stop for this long before a swarm counts as quiet: twice the pace of batched announcements.
const QUIET: Duration = Duration::from_millis(600);

/// Is told of every data frame. `now_ns` is the time its read returned.
pub trait Receiver {
    fn frame(&mut self, client: usize, payload: &[u8], now_ns: u64);

    /// Its connection has ended, and not because it was cut. `code` is that of a close frame; `None`: there was none.
    fn closed(&mut self, _client: usize, _code: Option<u16>, _now_ns: u64) {}
}

/// Looks at nothing: for the time in which clients only join.
pub struct Ignore;

impl Receiver for Ignore {
    fn frame(&mut self, _: usize, _: &[u8], _: u64) {}
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Connecting,
    Upgrading,
    Open,
    Closed,
}

struct Client {
    /// `None` once it was cut.
    stream: Option<TcpStream>,
    state: State,
    is_greeted: bool,
    is_writable: bool,
    /// It reads nothing for now; what came meanwhile is read when it goes on.
    is_paused: bool,
    close_code: Option<u16>,
    partial: Vec<u8>,
    unsent: Vec<u8>,
}

/// What the sockets have done so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    pub reads: u64,
    pub bytes: u64,
    pub frames: u64,
    pub opened: usize,
    pub greeted: usize,
    pub closed: usize,
}

pub struct Swarm {
    poll: Poll,
    events: Events,
    clients: Vec<Client>,
    buffer: Vec<u8>,
    target: SocketAddr,
    started: Instant,
    is_spinning: bool,
    pub counts: Counts,
}

impl Swarm {
    /// A swarm without clients. `is_spinning` asks the kernel without ever sleeping.
    pub fn new(target: SocketAddr, is_spinning: bool) -> io::Result<Self> {
        Ok(Swarm {
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS_PER_TURN),
            clients: Vec::new(),
            buffer: vec![0; READ_BUFFER_BYTES],
            target,
            started: Instant::now(),
            is_spinning,
            counts: Counts::default(),
        })
    }

    pub fn now_ns(&self) -> u64 {
        self.started.elapsed().as_nanos() as u64
    }

    pub fn len(&self) -> usize {
        self.clients.len()
    }

    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// Adds `count` clients and waits until each was upgraded and greeted with a first frame.
    ///
    /// `path` makes the request target from the client's index. Fails when a client is refused or
    /// `time_limit` passes.
    pub fn join(
        &mut self,
        count: usize,
        path: impl Fn(usize) -> String,
        receiver: &mut impl Receiver,
        time_limit: Duration,
    ) -> io::Result<()> {
        let deadline = Instant::now() + time_limit;
        let wanted = self.clients.len() + count;
        while self.counts.greeted < wanted {
            while self.clients.len() < wanted && self.clients.len() - self.counts.greeted < CONNECTS_AT_ONCE {
                let index = self.clients.len();
                self.add(&path(index), None)?;
            }
            self.turn(Duration::from_millis(10), receiver)?;
            if self.counts.closed > 0 {
                return Err(io::Error::other(format!(
                    "the server closed {} clients while {} of {wanted} were in",
                    self.counts.closed, self.counts.greeted
                )));
            }
            if Instant::now() > deadline {
                return Err(io::Error::other(format!(
                    "{} of {wanted} clients were greeted within {time_limit:?}",
                    self.counts.greeted
                )));
            }
        }
        Ok(())
    }

    /// Begins one more connection and returns its index; nothing is waited for.
    ///
    /// `receive_buffer` bounds what the kernel takes for a client that does not read (the kernel doubles it). The
    /// error may be the refusal of a server that is down.
    pub fn add(&mut self, path: &str, receive_buffer: Option<usize>) -> io::Result<usize> {
        let index = self.clients.len();
        let request = wire::upgrade_request(&self.target.to_string(), path);
        let socket = Socket::new(Domain::for_address(self.target), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if self.target.ip().is_loopback() && self.target.is_ipv4() {
            socket.bind(&source_address(index).into())?;
        }
        if let Some(bytes) = receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        match socket.connect(&self.target.into()) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
            _ => {}
        }
        let mut stream = TcpStream::from_std(socket.into());
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, Token(index), interest)?;
        self.clients.push(Client {
            stream: Some(stream),
            state: State::Connecting,
            is_greeted: false,
            is_writable: false,
            is_paused: false,
            close_code: None,
            partial: Vec::new(),
            unsent: request,
        });
        Ok(index)
    }

    /// Reads nothing for this client from here on.
    pub fn pause(&mut self, index: usize) {
        self.clients[index].is_paused = true;
    }

    /// Reads on, beginning with what has come meanwhile.
    pub fn unpause(&mut self, index: usize, receiver: &mut impl Receiver) {
        if std::mem::replace(&mut self.clients[index].is_paused, false) && self.clients[index].state != State::Closed {
            self.take(index, receiver);
        }
    }

    /// Behaves as a network that is gone: the socket stays, and nothing is read or sent any more. Cut it later.
    pub fn abandon(&mut self, index: usize) {
        let client = &mut self.clients[index];
        client.state = State::Closed;
        if let Some(stream) = &mut client.stream {
            let _ = self.poll.registry().deregister(stream);
        }
    }

    /// Hangs up at once, whatever is under way: a reset if there are unread bytes, else an end.
    pub fn cut(&mut self, index: usize) {
        self.abandon(index);
        let client = &mut self.clients[index];
        (client.stream, client.partial, client.unsent) = (None, Vec::new(), Vec::new());
    }

    /// Waits for events, at most `wait` (not at all when spinning), and handles them all.
    pub fn turn(&mut self, wait: Duration, receiver: &mut impl Receiver) -> io::Result<()> {
        let wait = if self.is_spinning { Duration::ZERO } else { wait };
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        let polled = self.poll.poll(&mut events, Some(wait));
        if polled.is_ok() {
            for event in &events {
                self.handle(event, receiver);
            }
        }
        self.events = events;
        match polled {
            Err(error) if error.kind() != ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    #[inline]
    fn handle(&mut self, event: &Event, receiver: &mut impl Receiver) {
        let index = event.token().0;
        let client = &mut self.clients[index];
        if client.state == State::Closed {
            return;
        }
        if event.is_writable() && !client.is_writable {
            client.is_writable = true;
            if client.state == State::Connecting {
                client.state = State::Upgrading;
            }
            self.flush(index);
        }
        if event.is_readable() && !self.clients[index].is_paused {
            self.take(index, receiver);
        }
    }

    #[inline]
    fn take(&mut self, index: usize, receiver: &mut impl Receiver) {
        if self.receive(index, receiver).is_err() {
            let code = self.clients[index].close_code;
            self.cut(index);
            self.counts.closed += 1;
            receiver.closed(index, code, self.now_ns());
        }
    }

    /// Reads until a read comes back short, which on an edge-triggered socket means drained.
    fn receive(&mut self, index: usize, receiver: &mut impl Receiver) -> io::Result<()> {
        loop {
            let client = &mut self.clients[index];
            let kept = client.partial.len();
            self.buffer[..kept].copy_from_slice(&client.partial);
            client.partial.clear();
            let room = self.buffer.len() - kept;
            let Some(stream) = &mut client.stream else { return Ok(()) };
            let read = match stream.read(&mut self.buffer[kept..]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => read,
                Err(error) => {
                    client.partial.extend_from_slice(&self.buffer[..kept]);
                    return match error.kind() {
                        ErrorKind::WouldBlock | ErrorKind::Interrupted => Ok(()),
                        _ => Err(error),
                    };
                }
            };
            self.counts.reads += 1;
            self.counts.bytes += read as u64;
            let now_ns = self.started.elapsed().as_nanos() as u64;
            let used = self.walk(index, kept + read, now_ns, receiver)?;
            let rest = &self.buffer[used..kept + read];
            if rest.len() == self.buffer.len() {
                return Err(io::Error::other("a frame larger than the read buffer"));
            }
            self.clients[index].partial.extend_from_slice(rest);
            if read < room {
                return Ok(());
            }
        }
    }

    /// Hands out the whole frames at the front of the buffer; returns how many bytes they were.
    fn walk(&mut self, index: usize, length: usize, now_ns: u64, receiver: &mut impl Receiver) -> io::Result<usize> {
        let mut at = 0;
        if self.clients[index].state != State::Open {
            let Some(head) = wire::head_length(&self.buffer[..length]) else {
                return Ok(0);
            };
            if !self.buffer.starts_with(b"HTTP/1.1 101") {
                let line = String::from_utf8_lossy(&self.buffer[..head.min(60)]).into_owned();
                eprintln!("client {index} was refused: {}", line.lines().next().unwrap_or(""));
                return Err(ErrorKind::ConnectionRefused.into());
            }
            self.clients[index].state = State::Open;
            self.counts.opened += 1;
            at = head;
        }
        while let Some(frame) = wire::frame(&self.buffer[..length], at) {
            match frame.opcode {
                wire::TEXT => {
                    self.counts.frames += 1;
                    if !self.clients[index].is_greeted {
                        self.clients[index].is_greeted = true;
                        self.counts.greeted += 1;
                    }
                    receiver.frame(index, &self.buffer[frame.start..frame.end], now_ns);
                }
                wire::PING => {
                    let mut pong = Vec::new();
                    wire::append_masked_frame(&mut pong, wire::PONG, &self.buffer[frame.start..frame.end]);
                    self.send(index, &pong);
                }
                wire::CLOSE => {
                    let code = self.buffer[frame.start..frame.end].first_chunk::<2>();
                    self.clients[index].close_code = code.map(|code| u16::from_be_bytes(*code));
                    return Err(ErrorKind::ConnectionAborted.into());
                }
                _ => {}
            }
            at = frame.end;
        }
        Ok(at)
    }

    /// Sends whole frames; what the kernel does not take now follows when it can.
    pub fn send(&mut self, index: usize, bytes: &[u8]) {
        let client = &mut self.clients[index];
        let Some(stream) = &mut client.stream else { return };
        if !client.unsent.is_empty() || !client.is_writable {
            client.unsent.extend_from_slice(bytes);
            return;
        }
        match stream.write(bytes) {
            Ok(written) if written == bytes.len() => {}
            Ok(written) => {
                client.unsent.extend_from_slice(&bytes[written..]);
                self.flush(index);
            }
            Err(_) => {
                // A broken socket shows itself to the next read.
                client.is_writable = false;
                client.unsent.extend_from_slice(bytes);
            }
        }
    }

    fn flush(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let Some(stream) = &mut client.stream else { return };
        while !client.unsent.is_empty() {
            match stream.write(&client.unsent) {
                Ok(written) => drop(client.unsent.drain(..written)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    client.is_writable = false;
                    return;
                }
            }
        }
    }

    /// Goes on until no frame has come for a while; `false` if `time_limit` passes first.
    pub fn quiet_down(&mut self, receiver: &mut impl Receiver, time_limit: Duration) -> io::Result<bool> {
        let deadline = Instant::now() + time_limit;
        let mut frames = self.counts.frames;
        let mut last_frame = Instant::now();
        while last_frame.elapsed() < QUIET {
            self.turn(Duration::from_millis(20), receiver)?;
            if self.counts.frames != frames {
                frames = self.counts.frames;
                last_frame = Instant::now();
            }
            if Instant::now() > deadline {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Another loopback address for each process and each ten thousand clients, so that ports which
/// the run before left in TIME_WAIT are not in the way.
fn source_address(index: usize) -> SocketAddr {
    let process = std::process::id() as usize;
    let block = index / CLIENTS_PER_ADDRESS;
    let host = Ipv4Addr::new(127, 1 + (process % 250) as u8, 1 + (process / 250 % 250) as u8, 1 + block as u8);
    SocketAddrV4::new(host, 0).into()
}
