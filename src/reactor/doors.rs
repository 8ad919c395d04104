//! The listeners and who is before them: accepting, the caps, the polite no. What comes in is the business of `accept`.
//!
//! When the server is full, newcomers are told so and when to come back, a few at a time: refusing must cost those who
//! are in nothing that they notice.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::net::IpAddr;

use mio::{Registry, Token};

use super::socket::{Listener, Socket};
use crate::api;
use crate::chat::Time;
use crate::connection::Stream;
use crate::http::{self, Reply, Response, Status, Version};
use crate::listen;
use crate::outbox::write_all;
use crate::peer::{Peer, Trusted};

/// Connections accepted in one turn: some half a millisecond.
pub(super) const ACCEPTS_PER_TURN: usize = 64;
/// How long accepting pauses when there is no descriptor left.
const EXHAUSTED_PAUSE_MS: u64 = 100;
/// After so many refusals accepting pauses: the others wait in the kernel's queue, and cost nothing there.
const REFUSALS_PER_PAUSE: usize = 16;
/// How long.
const REFUSALS_PAUSE_MS: u64 = 20;
/// Where only one address has too many, others wait behind them in that queue: then accepting goes on for so many, who are
/// hung up on without a word.
const DROPS_PER_PAUSE: usize = 256;
/// Refused clients that are given time to read why; over it the eldest is hung up on.
const REFUSED_MAX: usize = 16;
/// How much time.
const REFUSED_MS_MAX: u64 = 1_000;
/// Connections through the operator's door: they come on top of the cap, out of the descriptors that it leaves.
const OPERATORS_MAX: usize = 16;
/// Refusals are told to the console at most so often.
const NOTE_EVERY_MS: u64 = 1_000;
/// The tokens from here on are those of listeners.
pub(super) const DOORS: usize = usize::MAX - 64;

/// How many may come in.
#[derive(Clone, Copy, Debug)]
pub struct Caps {
    /// Connections in all.
    pub connections: usize,
    /// Connections from one address (in IPv6: one /64); `None` for as many as like. This machine and proxies that are
    /// believed are not counted.
    pub per_address: Option<u32>,
}

/// Why somebody is refused. The number is the cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Full(usize),
    Crowd(u32, IpAddr),
    /// At the operator's door.
    Operators(usize),
    /// No descriptor is left: this many connections are open.
    Exhausted(usize),
}

impl Refusal {
    fn told(self) -> String {
        match self {
            Refusal::Full(most) => {
                format!("{most} connections are open, which is this server's limit: come back later")
            }
            Refusal::Crowd(most, from) => {
                format!("{most} connections from {from} are open, which is the limit for one address: come back later")
            }
            Refusal::Operators(most) => {
                format!("{most} connections are open at this address, which is its limit: come back later")
            }
            Refusal::Exhausted(_) => {
                "this server has no descriptor left for a further connection: come back later".into()
            }
        }
    }

    fn note(self, count: usize) -> String {
        let told = format!("{count} newcomers were told to come back later");
        match self {
            Refusal::Full(most) => format!("{most} connections are the limit (--max-connections): {told}"),
            Refusal::Crowd(most, from) => {
                format!("{most} connections from {from} are the limit (--max-connections-per-address): {told}")
            }
            Refusal::Operators(most) => format!("{most} connections are the limit at --metrics-addr: {told}"),
            Refusal::Exhausted(open) => format!("no descriptor is left at {open} connections: {told}"),
        }
    }

    /// The answer, 503 with `Retry-After`.
    pub(super) fn response(self) -> Response {
        api::refusal(Status::ServiceUnavailable, &self.told())
    }
}

/// The listeners, and what is known about those before them.
pub(super) struct Doors {
    listeners: Vec<Listener>,
    /// Which of them is for the operator alone: what comes through it is asked for by `Api::operate`.
    operators: Option<usize>,
    /// How many are in through it.
    operators_in: usize,
    /// The listener to look at next, and how many in a row had nobody.
    at: usize,
    empty: usize,
    caps: Caps,
    trusted: Trusted,
    /// Connections by the network that they are counted under.
    networks: HashMap<IpAddr, u32>,
    /// Who was told to come back, and when it is hung up on.
    refused: VecDeque<(u64, Socket)>,
    /// Refusals since then.
    window: (u64, usize),
    /// Given up for a moment to tell a client so when there is no descriptor left.
    reserve: Option<File>,
    paused_until_ms: Option<u64>,
    has_news: bool,
    /// The last refusal that the console was not told of, and how many there were.
    untold: Option<(Refusal, usize)>,
    told_ms: Option<u64>,
    /// Refusals since the start.
    pub(super) refusals: u64,
}

impl Doors {
    pub(super) fn open(
        registry: &Registry,
        mut listeners: Vec<listen::Listener>,
        operators: Option<listen::Listener>,
        caps: Caps,
        trusted: Trusted,
    ) -> io::Result<Doors> {
        let watch = |(n, listener)| Listener::watch(listener, registry, Token(DOORS + n));
        let place = operators.is_some().then_some(listeners.len());
        listeners.extend(operators);
        Ok(Doors {
            operators: place,
            operators_in: 0,
            listeners: listeners.into_iter().enumerate().map(watch).collect::<Result<_, _>>()?,
            at: 0,
            empty: 0,
            caps,
            trusted,
            networks: HashMap::new(),
            refused: VecDeque::new(),
            window: (0, 0),
            reserve: File::open("/dev/null").ok(),
            paused_until_ms: None,
            has_news: true,
            untold: None,
            told_ms: None,
            refusals: 0,
        })
    }

    /// Nobody comes in any more. Who waits in the kernel's queue is the business of whoever else holds the socket.
    pub(super) fn close(&mut self, registry: &Registry) {
        for listener in &mut self.listeners {
            // A socket that was handed over lives on elsewhere, and would go on to wake us.
            drop(listener.unwatch(registry));
        }
        self.listeners.clear();
        self.refused.clear();
    }

    /// Somebody may be before a door.
    pub(super) fn knock(&mut self) {
        (self.has_news, self.empty) = (true, 0);
    }

    /// Whether there may be somebody to accept at once.
    pub(super) fn wants_turn(&self) -> bool {
        self.has_news && self.paused_until_ms.is_none() && !self.listeners.is_empty()
    }

    pub(super) fn is_full(&self, open: usize) -> bool {
        open >= self.caps.connections
    }

    /// Whether its first bytes may be a proxy's header.
    pub(super) fn trusts(&self, peer: Peer) -> bool {
        self.trusted.has(peer)
    }

    pub(super) fn next_due_ms(&self) -> Option<u64> {
        let farewell = self.refused.front().map(|(due, _)| *due);
        let note = self.untold.and(self.told_ms).map(|told| told + NOTE_EVERY_MS);
        [self.paused_until_ms, farewell, note].into_iter().flatten().min()
    }

    /// Ends what is due; a line for the console, if one is.
    pub(super) fn expire(&mut self, now_ms: u64, scratch: &mut [u8]) -> Option<String> {
        if self.paused_until_ms.is_some_and(|until| until <= now_ms) {
            self.paused_until_ms = None;
            self.knock();
        }
        while self.refused.front().is_some_and(|(due, _)| *due <= now_ms) {
            self.hang_up(scratch);
        }
        if self.told_ms.is_some_and(|told| now_ms < told + NOTE_EVERY_MS) {
            return None;
        }
        let (refusal, count) = self.untold.take()?;
        self.told_ms = Some(now_ms);
        Some(refusal.note(count))
    }

    /// The next who may come in, counted already; `budget` is what is left of this turn, `open` how many are in.
    pub(super) fn next(
        &mut self,
        budget: &mut usize,
        open: usize,
        time: Time,
        scratch: &mut [u8],
    ) -> Option<(Socket, Peer)> {
        while self.wants_turn() && *budget > 0 {
            *budget -= 1;
            self.at = (self.at + 1) % self.listeners.len();
            match self.listeners[self.at].accept() {
                Ok((socket, peer)) => {
                    self.empty = 0;
                    match self.admit(peer, open) {
                        Ok(()) => return Some((socket, peer)),
                        Err(refusal) => self.refuse(socket, refusal, time, scratch),
                    }
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => self.pass(),
                    ErrorKind::Interrupted | ErrorKind::ConnectionAborted => {}
                    // No descriptor left, or no memory.
                    _ => self.make_do(open, time, scratch),
                },
            }
        }
        None
    }

    /// Nobody was before this door.
    fn pass(&mut self) {
        self.empty += 1;
        self.has_news = self.empty < self.listeners.len();
    }

    fn admit(&mut self, peer: Peer, open: usize) -> Result<(), Refusal> {
        // Whoever watches the server must see that it is full.
        let is_operators = self.is_operators();
        match is_operators {
            true if self.operators_in >= OPERATORS_MAX => return Err(Refusal::Operators(OPERATORS_MAX)),
            false if self.is_full(open) => return Err(Refusal::Full(self.caps.connections)),
            _ => self.enter(peer)?,
        }
        self.operators_in += usize::from(is_operators);
        Ok(())
    }

    /// One who was admitted is gone.
    pub(super) fn let_out(&mut self, peer: Peer, is_operators: bool) {
        self.operators_in -= usize::from(is_operators);
        self.leave(peer);
    }

    /// Whether the last who came in came through the operator's door.
    pub(super) fn is_operators(&self) -> bool {
        self.operators == Some(self.at)
    }

    /// Counts a connection of this peer, if there may be one more.
    pub(super) fn enter(&mut self, peer: Peer) -> Result<(), Refusal> {
        let Some((network, most)) = self.counted(peer) else { return Ok(()) };
        let count = self.networks.entry(network).or_default();
        if *count >= most {
            return Err(Refusal::Crowd(most, network));
        }
        *count += 1;
        Ok(())
    }

    /// A connection of this peer is gone, or is another's from now on.
    pub(super) fn leave(&mut self, peer: Peer) {
        let Some((network, _)) = self.counted(peer) else { return };
        if let Some(count) = self.networks.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                self.networks.remove(&network);
            }
        }
    }

    fn counted(&self, peer: Peer) -> Option<(IpAddr, u32)> {
        let most = self.caps.per_address?;
        if self.trusted.has(peer) { None } else { peer.network().map(|network| (network, most)) }
    }

    /// Notes a refusal for the console.
    pub(super) fn count(&mut self, refusal: Refusal) {
        self.refusals += 1;
        self.untold = Some((refusal, self.untold.map_or(0, |(_, count)| count) + 1));
    }

    /// Tells it why and when to come back, and gives it a moment to read that: to close a socket on which bytes wait
    /// unread takes back what was sent.
    fn refuse(&mut self, mut socket: Socket, refusal: Refusal, time: Time, scratch: &mut [u8]) {
        self.count(refusal);
        if time.now_ms >= self.window.0 + REFUSALS_PAUSE_MS {
            self.window = (time.now_ms, 0);
        }
        self.window.1 += 1;
        let others_may_enter = matches!(refusal, Refusal::Crowd(..) | Refusal::Operators(_));
        if self.window.1 >= if others_may_enter { DROPS_PER_PAUSE } else { REFUSALS_PER_PAUSE } {
            self.paused_until_ms = Some(time.now_ms + REFUSALS_PAUSE_MS);
        }
        if self.window.1 > REFUSALS_PER_PAUSE {
            return;
        }
        let is_told = write_all(&mut socket, &answer(refusal, time)).is_ok() && socket.shutdown_write().is_ok();
        if is_told {
            self.refused.push_back((time.now_ms + REFUSED_MS_MAX, socket));
        }
        if self.refused.len() > REFUSED_MAX {
            self.hang_up(scratch);
        }
    }

    /// Hangs up on the eldest of the refused.
    fn hang_up(&mut self, scratch: &mut [u8]) {
        if let Some((_, mut socket)) = self.refused.pop_front() {
            drop(socket.read(scratch));
        }
    }

    /// There is no descriptor for the next client: tell it so with the one in reserve, rather than let it wait for ever.
    ///
    /// Linux looks for a descriptor before it looks at the queue, so "none left" says nothing about clients: the
    /// queue is empty when the accept with the reserve says so.
    fn make_do(&mut self, open: usize, time: Time, scratch: &mut [u8]) {
        if !self.refused.is_empty() {
            // They have been told: theirs are the first to go.
            self.refused.clear();
            return;
        }
        let (refusal, mut is_empty) = (Refusal::Exhausted(open), false);
        let attempts = self.reserve.take().map_or(0, |_| REFUSALS_PER_PAUSE);
        for _ in 0..attempts {
            match self.listeners[self.at].accept() {
                Ok((mut socket, _)) => {
                    self.count(refusal);
                    let is_told = write_all(&mut socket, &answer(refusal, time)).is_ok();
                    if is_told && socket.shutdown_write().is_ok() {
                        drop(socket.read(scratch));
                    }
                }
                Err(error) => {
                    is_empty = error.kind() == ErrorKind::WouldBlock;
                    break;
                }
            }
        }
        self.reserve = File::open("/dev/null").ok();
        if is_empty {
            self.pass();
        } else {
            self.paused_until_ms = Some(time.now_ms + EXHAUSTED_PAUSE_MS);
        }
    }
}

fn answer(refusal: Refusal, time: Time) -> Vec<u8> {
    let date = http::imf_date(time.at_ms.div_euclid(1000));
    let mut bytes = Vec::new();
    let reply = Reply { date: &date, is_head: false, keep_alive: false, version: Version::Http11 };
    refusal.response().write(&mut bytes, &reply);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::time::Duration;

    const CAPS: Caps = Caps { connections: 1000, per_address: Some(3) };

    fn open(caps: Caps, count: usize) -> (Doors, Vec<SocketAddr>, mio::Poll) {
        let poll = mio::Poll::new().unwrap();
        let bound: Vec<TcpListener> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let addresses = bound.iter().map(|listener| listener.local_addr().unwrap()).collect();
        let listeners = bound.into_iter().map(listen::Listener::Tcp).collect();
        let trusted = Trusted::parse("10.0.0.0/8").unwrap();
        (Doors::open(poll.registry(), listeners, None, caps, trusted).unwrap(), addresses, poll)
    }

    fn at(now_ms: u64) -> Time {
        Time { now_ms, at_ms: 0 }
    }

    fn peer(text: &str) -> Peer {
        text.parse::<IpAddr>().unwrap().into()
    }

    /// What somebody has got: the status, once the stream has ended.
    fn told(mut stream: TcpStream) -> Option<String> {
        stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).ok()?;
        Some(String::from_utf8_lossy(heard.get(..12)?).into_owned())
    }

    /// 100 who knock at a full server: 16 are refused, then the loop may sleep for 20 ms although more are waiting.
    #[test]
    fn a_full_server_refuses_a_few_and_then_sleeps() {
        let (mut doors, addresses, _poll) = open(Caps { connections: 5, per_address: None }, 1);
        let crowd: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(addresses[0]).unwrap()).collect();
        let mut scratch = [0; 1024];
        let mut spent = 0;
        for (turn, now_ms) in [0, 0, 1, 19, 20, 39, 40].into_iter().enumerate() {
            doors.expire(now_ms, &mut scratch);
            doors.knock();
            let mut budget = ACCEPTS_PER_TURN;
            assert!(doors.next(&mut budget, 5, at(now_ms), &mut scratch).is_none());
            spent += ACCEPTS_PER_TURN - budget;
            let windows = 1 + now_ms as usize / 20;
            assert_eq!(spent, windows * REFUSALS_PER_PAUSE, "turn {turn}");
            assert!(!doors.wants_turn());
            assert_eq!(doors.next_due_ms(), Some(windows as u64 * REFUSALS_PAUSE_MS));
        }
        assert!(doors.refused.len() <= REFUSED_MAX);
        let answers: Vec<String> = crowd.into_iter().filter_map(told).collect();
        assert_eq!(answers, vec!["HTTP/1.1 503"; 3 * REFUSALS_PER_PAUSE]);
        // Once there is room, the next in the queue comes in.
        doors.expire(60, &mut scratch);
        let mut budget = ACCEPTS_PER_TURN;
        assert!(doors.next(&mut budget, 4, at(60), &mut scratch).is_some());
        assert_eq!(budget, ACCEPTS_PER_TURN - 1);
        // Those who were told are hung up on in time.
        doors.expire(60 + REFUSED_MS_MAX, &mut scratch);
        assert!(doors.refused.is_empty());
    }

    /// 300 of one address that has its share: 16 are told so, 240 are hung up on, and who is behind them waits for 20 ms.
    #[test]
    fn a_crowd_of_one_address_does_not_keep_others_waiting() {
        let (mut doors, addresses, _poll) = open(CAPS, 1);
        let (mut crowd, mut refused) = (Vec::new(), 0);
        let (mut budget, mut scratch) = (usize::MAX, [0; 1024]);
        let refusal = Refusal::Crowd(3, "192.0.2.1".parse().unwrap());
        for (now_ms, comers, all) in [(0, 100, 100), (5, 100, 200), (19, 100, 256), (39, 0, 300)] {
            crowd.extend((0..comers).map(|_| TcpStream::connect(addresses[0]).unwrap()));
            doors.expire(now_ms, &mut scratch);
            // The kernel may hand them over a moment after they have connected.
            while refused < all {
                assert_eq!(doors.paused_until_ms, None, "it pauses after {refused}");
                doors.knock();
                while let Some((socket, _)) = doors.next(&mut budget, 0, at(now_ms), &mut scratch) {
                    doors.refuse(socket, refusal, at(now_ms), &mut scratch);
                    refused += 1;
                }
            }
            assert_eq!((refused, doors.paused_until_ms), (all, (all == DROPS_PER_PAUSE).then_some(39)), "{now_ms}");
        }
        assert!(doors.refused.len() <= REFUSED_MAX);
        assert_eq!(
            crowd.into_iter().filter_map(told).collect::<Vec<_>>(),
            vec!["HTTP/1.1 503"; 2 * REFUSALS_PER_PAUSE]
        );
    }

    #[test]
    fn refusals_are_told_to_the_console_once_a_second_with_their_number() {
        let (mut doors, _, _poll) = open(CAPS, 1);
        let mut scratch = [0; 16];
        let full = Refusal::Full(7);
        assert_eq!(doors.expire(0, &mut scratch), None);
        doors.count(full);
        let told = |count| {
            Some(format!(
                "7 connections are the limit (--max-connections): {count} newcomers were told to come back later"
            ))
        };
        assert_eq!(doors.expire(5, &mut scratch), told(1));
        for _ in 0..50 {
            doors.count(full);
        }
        assert_eq!((doors.expire(6, &mut scratch), doors.expire(1004, &mut scratch)), (None, None));
        assert_eq!(doors.next_due_ms(), Some(1005));
        assert_eq!(doors.expire(1005, &mut scratch), told(50));
        assert_eq!((doors.expire(3000, &mut scratch), doors.next_due_ms()), (None, None));
    }

    #[test]
    fn each_address_has_its_share_and_gives_it_back() {
        let (mut doors, _, _poll) = open(CAPS, 1);
        for n in 0..3 {
            assert_eq!(doors.enter(peer("192.0.2.1")), Ok(()), "{n}");
            assert_eq!(doors.enter(peer(&format!("2001:db8::{n}"))), Ok(()), "{n}");
        }
        let refused = |text: &str| Err(Refusal::Crowd(3, text.parse().unwrap()));
        assert_eq!(doors.enter(peer("192.0.2.1")), refused("192.0.2.1"));
        assert_eq!(doors.enter(peer("2001:db8::77")), refused("2001:db8::"));
        // A refusal is not counted; others are.
        assert_eq!(doors.enter(peer("192.0.2.2")), Ok(()));
        doors.leave(peer("192.0.2.1"));
        assert_eq!(doors.enter(peer("192.0.2.1")), Ok(()));
        assert_eq!(doors.enter(peer("192.0.2.1")), refused("192.0.2.1"));
        // This machine, the Unix socket and proxies come as they like.
        for free in [peer("127.0.0.1"), peer("::1"), peer("10.2.3.4"), Peer::Unix] {
            assert!((0..10).all(|_| doors.enter(free).is_ok()), "{free}");
            (0..10).for_each(|_| doors.leave(free));
        }
        // Nothing is kept of those who have gone.
        (0..3).for_each(|_| doors.leave(peer("192.0.2.1")));
        (0..3).for_each(|_| doors.leave(peer("2001:db8::9")));
        doors.leave(peer("192.0.2.2"));
        assert!(doors.networks.is_empty());
    }

    #[test]
    fn listeners_take_turns_and_the_loop_sleeps_when_all_are_empty() {
        let (mut doors, addresses, poll) = open(CAPS, 2);
        let _crowd: Vec<TcpStream> =
            addresses.iter().flat_map(|to| (0..20).map(move |_| TcpStream::connect(to).unwrap())).collect();
        let (mut budget, mut scratch) = (10, [0; 16]);
        let mut ports = Vec::new();
        while let Some((Socket::Tcp(stream), _)) = doors.next(&mut budget, 0, at(0), &mut scratch) {
            ports.push(stream.local_addr().unwrap().port());
        }
        assert_eq!(ports.iter().filter(|port| **port == addresses[0].port()).count(), 5, "{ports:?}");
        assert!(doors.wants_turn());
        budget = 100;
        while doors.next(&mut budget, 0, at(0), &mut scratch).is_some() {}
        assert_eq!((budget, doors.wants_turn(), doors.next_due_ms()), (100 - 32, false, None));
        doors.close(poll.registry());
        doors.knock();
        assert!(!doors.wants_turn());
    }
}
