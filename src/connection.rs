//! One connection, and all of them: who owes bytes, who is behind, who is to be buried, when to look again.
//!
//! `touch` is the only way to a connection and `settle` pays what every touched one is owed, so nothing that is
//! queued is ever forgotten. Generic over the stream: no socket, no clock, no thread. What bytes mean is known by
//! `http.rs` and `ws.rs`, what frames say by `chat.rs`.

mod deadlines;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::mem;

use slab::Slab;

use crate::config::RateLimit;
use crate::http;
use crate::message::{ClientId, CloseReason, RoomId, Seq};
use crate::metrics::Sent;
use crate::outbox::{Outbox, Wrote, write_all, write_slices};
use crate::peer::Peer;
use crate::tape::{BEHIND_BYTES_MAX, Position, Slices, Spares, Tape};
use crate::ws;
pub use deadlines::{EXPIRIES_PER_TURN, Expired};

/// Most sends to members of rooms in one turn: a large room is served in slices, so that others get their turn.
pub const SENDS_PER_TURN: usize = 4_096;
/// A smaller room is never made to wait.
pub const GROUP_MEMBERS_MIN: usize = 64;
/// A room with so many bytes to send to each member does not wait for more: by then it is the bytes that cost.
pub const GROUP_BYTES_MAX: u64 = 8 * 1024;
/// Most pieces of the tape in one write: a member's own messages cut it.
const SLICES_MAX: usize = 64;
/// Enough pieces for all but busy senders.
const SLICES_FEW: usize = 6;
/// Bytes read at once from a connection whose rate is limited.
const LIMITED_READ_BYTES: usize = 2 * 1024;
/// Bytes that a closing connection may still send before it is cut off, which takes back the answer that it was sent: more
/// than a client sends by mistake. They are read and thrown away, for [`CLOSE_MS_MAX`] at most.
const DISCARD_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A byte stream whose sending half can be closed.
pub trait Stream: Read + Write {
    /// Tells the peer that nothing more will come.
    fn shutdown_write(&mut self) -> io::Result<()>;
}

/// How a connection ends: one enum for it, and `settle` alone buries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It reads and writes.
    Open,
    /// What was queued is still sent, then the close frame; what it says is not heard.
    Draining(CloseReason),
    /// Everything is sent: wait for the peer to hang up.
    Lingering(CloseReason),
    /// To be buried at the end of the turn.
    Dead(CloseReason),
}

/// Which bytes are expected next.
pub enum Protocol {
    /// Requests. In a box: those who chat need not hold its 136 bytes.
    Http(Box<http::Reader>),
    /// Frames.
    Ws(ws::Session),
    /// A proxy's header or else requests, from somebody who is believed: what has come of it.
    Preface(Vec<u8>),
}

/// A member's place on its room's tape.
#[derive(Debug)]
struct Place {
    room: RoomId,
    position: Position,
    /// The frame begun must be finished up to here before anything else is written.
    frame_end: Option<Position>,
    /// Ranges of its own frames at or after `position`, ascending.
    own: VecDeque<(Position, Position)>,
}

impl Place {
    /// Moves on by `count` bytes that were sent, over its own frames.
    fn advance(&mut self, mut count: u64) {
        loop {
            match self.own.front() {
                Some(&(start, end)) if self.position >= start => {
                    self.position = self.position.max(end);
                    self.own.pop_front();
                }
                Some(&(start, _)) if self.position + count >= start => {
                    count -= start - self.position;
                    self.position = start;
                }
                _ => {
                    self.position += count;
                    return;
                }
            }
        }
    }
}

/// A token bucket: reading stops while it is below zero, so nothing is dropped.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    limit: RateLimit,
    tokens: f64,
    at_ms: u64,
}

impl Bucket {
    fn take(&mut self, now_ms: u64, count: u32) {
        let gained = (now_ms - self.at_ms) as f64 * f64::from(self.limit.per_second) / 1000.0;
        self.tokens = (self.tokens + gained).min(f64::from(self.limit.burst)) - f64::from(count);
        self.at_ms = now_ms;
    }

    /// When it will be above zero again.
    fn full_at_ms(&self) -> u64 {
        let missing = (-self.tokens).max(0.0);
        self.at_ms + (missing * 1000.0 / f64::from(self.limit.per_second)).ceil() as u64
    }
}

/// One accepted socket and all that is held for it.
pub struct Connection<S> {
    /// Its name inside the server.
    pub id: ClientId,
    /// Where it comes from; behind a proxy that is believed, what that says.
    pub peer: Peer,
    /// Which bytes are expected next.
    pub protocol: Protocol,
    /// It came through the operator's door.
    pub is_operators: bool,
    /// A proxy that is believed has named its peer, in a PROXY header.
    pub is_vouched_for: bool,
    /// An HTTP exchange waits for an answer: the next request is not looked at.
    pub is_awaiting: bool,
    /// The core is told when everything queued was taken.
    pub wants_drained: bool,
    /// The kernel may have more bytes from it than were read.
    pub is_readable: bool,
    /// It stands in the list of those to be read in the next turn.
    pub is_listed: bool,
    /// The kernel has told that the peer's last byte has come: reading goes on until it has been taken.
    pub is_read_closed: bool,
    stream: S,
    /// Frames that came with the upgrade's request: read before the stream, at the same pace.
    early: Box<[u8]>,
    outbox: Outbox,
    life: Life,
    place: Option<Place>,
    bucket: Option<Bucket>,
    is_writable: bool,
    /// The peer sends nothing any more, but may still take an answer.
    is_ended: bool,
    is_touched: bool,
    is_pinged: bool,
    /// When it was last heard; for HTTP: when it began what it is at.
    heard_ms: u64,
    stall: Option<Stall>,
    closing_ms: u64,
    discarded: u64,
    /// The only valid entry in the timers.
    due_ms: u64,
}

/// A peer that has bytes to take, and takes none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stall {
    since_ms: u64,
    /// When a write was tried last.
    looked_ms: u64,
}

/// What one read gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// This many bytes, and the kernel has no more for now.
    Drained(usize),
    /// This many bytes, and there may be more.
    More(usize),
    /// The peer sends nothing any more.
    End,
}

impl<S: Stream> Connection<S> {
    /// How it stands.
    pub fn life(&self) -> Life {
        self.life
    }

    /// The stream, to register and to set options.
    pub fn stream_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Where private frames and responses go; `None` once it is closing: nothing may follow a close frame.
    pub fn writer(&mut self) -> Option<&mut Vec<u8>> {
        self.outbox().map(Outbox::writer)
    }

    /// The same place, for what has a file of the binary behind it.
    pub fn outbox(&mut self) -> Option<&mut Outbox> {
        matches!(self.life, Life::Open).then_some(&mut self.outbox)
    }

    /// Whether so much waits for it that nothing more is to be made for it now.
    pub fn is_full(&self) -> bool {
        self.outbox.is_full()
    }

    /// Whether nothing waits for it: a typing frame would be seen at once.
    pub fn is_caught_up(&self) -> bool {
        self.outbox.is_empty() && self.is_writable
    }

    /// Whether its session, if any, speaks (to a session together with the place for its replies).
    pub fn session(&mut self) -> Option<(&mut ws::Session, &mut Vec<u8>)> {
        match (&mut self.protocol, self.life) {
            (Protocol::Ws(session), Life::Open) => Some((session, self.outbox.writer())),
            _ => None,
        }
    }

    /// Whether bytes of it may be read and understood now.
    pub fn may_read(&self, now_ms: u64) -> bool {
        match self.life {
            Life::Open => {
                let is_within_rate = self.bucket.is_none_or(|bucket| bucket.full_at_ms() <= now_ms);
                let has_room = !self.is_full();
                let is_heard = match &self.protocol {
                    Protocol::Http(reader) => !(self.is_awaiting && reader.is_full()),
                    Protocol::Ws(_) | Protocol::Preface(_) => true,
                };
                is_within_rate && has_room && is_heard
            }
            Life::Draining(_) | Life::Lingering(_) => !self.is_ended,
            Life::Dead(_) => false,
        }
    }

    /// Reads once into `scratch`. A closing connection's bytes are discarded.
    pub fn read(&mut self, scratch: &mut [u8], now_ms: u64) -> ReadOutcome {
        // Who is limited is read in small pieces: one of 64 KiB may hold 10,000 messages, and a debt of minutes.
        let most = if self.bucket.is_some() { LIMITED_READ_BYTES.min(scratch.len()) } else { scratch.len() };
        let scratch = &mut scratch[..most];
        if !self.early.is_empty() {
            let count = self.early.len().min(most);
            scratch[..count].copy_from_slice(&self.early[..count]);
            self.early = self.early[count..].into();
            return ReadOutcome::More(count);
        }
        loop {
            match self.stream.read(scratch) {
                Ok(0) => return ReadOutcome::End,
                Ok(count) => {
                    self.heard(now_ms);
                    return self.heard_bytes(count, scratch.len());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return ReadOutcome::Drained(0),
                Err(_) => return ReadOutcome::End,
            }
        }
    }

    fn heard(&mut self, now_ms: u64) {
        if let Protocol::Ws(_) = self.protocol {
            self.heard_ms = now_ms;
            self.is_pinged = false;
        }
    }

    fn heard_bytes(&mut self, count: usize, asked: usize) -> ReadOutcome {
        let mut heard = count;
        if !matches!(self.life, Life::Open) {
            heard = 0;
            self.discarded += count as u64;
            if self.discarded > DISCARD_BYTES_MAX {
                return ReadOutcome::End;
            }
        }
        // A short read has emptied the kernel's buffer: no second read to be told so. Unless the end came with it,
        // which the poll has told once and will not tell again.
        if count < asked && !self.is_read_closed { ReadOutcome::Drained(heard) } else { ReadOutcome::More(heard) }
    }

    /// Counts the frames that have come against its rate, whether they say something or not.
    pub fn spend_frames(&mut self, now_ms: u64) {
        if let (Protocol::Ws(session), Some(bucket)) = (&mut self.protocol, &mut self.bucket) {
            bucket.take(now_ms, session.take_frames());
        }
    }

    /// Counts a message that came by POST against its rate.
    pub fn spend_post(&mut self, now_ms: u64) {
        if let Some(bucket) = &mut self.bucket {
            bucket.take(now_ms, 1);
        }
    }

    /// Limits its rate from now on, if it is not limited yet.
    pub fn limit_rate(&mut self, now_ms: u64, limit: RateLimit) {
        self.bucket.get_or_insert(Bucket { limit, tokens: f64::from(limit.burst), at_ms: now_ms });
    }

    /// From here on its bytes are frames, of which `early` have come already; `now_ms` starts its heartbeat.
    pub fn upgrade(&mut self, session: ws::Session, early: Vec<u8>, now_ms: u64) {
        self.protocol = Protocol::Ws(session);
        self.early = early.into();
        self.heard_ms = now_ms;
    }

    /// Its HTTP half begins to wait for something new: a request, a body, silence.
    pub fn restart_patience(&mut self, now_ms: u64) {
        self.heard_ms = now_ms;
    }

    /// Ends it once everything queued is sent; a session gets a close frame. The first reason stands.
    pub fn close(&mut self, reason: CloseReason, now_ms: u64) {
        if let Life::Open = self.life {
            self.life = Life::Draining(reason);
            self.closing_ms = now_ms;
        }
    }

    /// The peer sends nothing any more. A session ends with that; an answer that is on its way is still given, and so is
    /// a close frame.
    pub fn end(&mut self) {
        self.is_ended = true;
        match (&self.protocol, self.life) {
            // `serve` closes it behind its last answer.
            (Protocol::Http(_), Life::Open) | (_, Life::Draining(_)) => {}
            _ => self.kill(CloseReason::Gone),
        }
    }

    /// Whether the peer has stopped sending, and everything that it asked before is being answered.
    pub fn is_last_answer(&self) -> bool {
        match &self.protocol {
            Protocol::Http(reader) => self.is_ended && reader.is_idle(),
            Protocol::Ws(_) | Protocol::Preface(_) => self.is_ended,
        }
    }

    /// Whether the peer has stopped sending.
    pub fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// The peer has hung up, or does not deserve better.
    pub fn kill(&mut self, reason: CloseReason) {
        self.life = match self.life {
            Life::Open => Life::Dead(reason),
            Life::Draining(first) | Life::Lingering(first) | Life::Dead(first) => Life::Dead(first),
        };
    }

    /// Sends what it is owed; returns how many bytes its kernel took. `has_tape`: the tape too; otherwise only what is
    /// its own.
    fn send(&mut self, rooms: &[Room], now_ms: u64, has_tape: bool) -> u64 {
        if !self.is_writable || matches!(self.life, Life::Lingering(_) | Life::Dead(_)) {
            return 0;
        }
        let before = self.progress();
        let mut bytes = 0;
        if self.send_all(rooms, now_ms, has_tape, &mut bytes).is_err() {
            self.kill(CloseReason::Gone);
        }
        let is_taken = before != self.progress();
        if self.stall.is_some() && is_taken {
            // Its kernel has acknowledged bytes: a pong waits behind them, and need not have come.
            self.heard(now_ms);
        }
        let since_ms = self.stall.filter(|_| !is_taken).map_or(now_ms, |stall| stall.since_ms);
        self.stall = (!self.is_writable).then_some(Stall { since_ms, looked_ms: now_ms });
        bytes
    }

    /// Changes whenever the peer took a byte.
    fn progress(&self) -> (usize, Position) {
        (self.outbox.len(), self.place.as_ref().map_or(0, |place| place.position))
    }

    /// Sends in the only right order: the frame begun, private frames, the tape, the close frame.
    fn send_all(&mut self, rooms: &[Room], now_ms: u64, has_tape: bool, sent: &mut u64) -> io::Result<()> {
        let has_tape = has_tape || self.life != Life::Open;
        if !self.finish_frame(rooms, sent)? || !self.flush_outbox(sent)? || has_tape && !self.send_tape(rooms, sent)? {
            self.is_writable = false;
            return Ok(());
        }
        if let Life::Draining(reason) = self.life {
            self.send_close(reason);
            if !self.flush_outbox(sent)? {
                self.is_writable = false;
                return Ok(());
            }
            self.life = if self.is_ended { Life::Dead(reason) } else { Life::Lingering(reason) };
            self.closing_ms = now_ms;
            self.stream.shutdown_write()?;
        }
        Ok(())
    }

    fn finish_frame(&mut self, rooms: &[Room], sent: &mut u64) -> io::Result<bool> {
        let Some(place) = &mut self.place else { return Ok(true) };
        let Some(end) = place.frame_end else { return Ok(true) };
        let bytes = rooms[place.room.0 as usize].tape.bytes(place.position, end);
        match write_all(&mut self.stream, bytes)? {
            Wrote::All => {
                place.frame_end = None;
                let count = end - place.position;
                place.advance(count);
                *sent += count;
                Ok(true)
            }
            Wrote::Part(count) => {
                place.position += count as u64;
                *sent += count as u64;
                Ok(false)
            }
        }
    }

    fn flush_outbox(&mut self, sent: &mut u64) -> io::Result<bool> {
        let before = self.outbox.len();
        let wrote = self.outbox.flush(&mut self.stream)?;
        *sent += (before - self.outbox.len()) as u64;
        Ok(wrote == Wrote::All)
    }

    fn send_tape(&mut self, rooms: &[Room], sent: &mut u64) -> io::Result<bool> {
        let Some(place) = &mut self.place else { return Ok(true) };
        let tape = &rooms[place.room.0 as usize].tape;
        while place.position < tape.end() {
            let (wanted, count) = match tape.rest(place.position) {
                Some(rest) if place.own.is_empty() => {
                    (rest.len(), write_slices(&mut self.stream, &[IoSlice::new(rest)])?)
                }
                // To fill 64 slices with nothing costs more than to send a few: 20 ns.
                _ if place.own.len() < SLICES_FEW => write_tape::<SLICES_FEW>(&mut self.stream, place, tape)?,
                _ => write_tape::<SLICES_MAX>(&mut self.stream, place, tape)?,
            };
            if wanted == 0 {
                place.advance(0);
                place.position = tape.end();
                break;
            }
            let border = place.position;
            place.advance(count as u64);
            *sent += count as u64;
            if count < wanted {
                let end = tape.frame_end(border, place.position);
                place.frame_end = (end > place.position).then_some(end);
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Leaves the tape at a frame border: the rest of the frame begun goes before all private frames.
    fn leave_tape(&mut self, rooms: &[Room]) -> Option<Place> {
        let mut place = self.place.take()?;
        if let Some(end) = place.frame_end.take() {
            let tape = &rooms[place.room.0 as usize].tape;
            self.outbox.prepend(tape.bytes(place.position, end));
            place.position = end;
        }
        Some(place)
    }

    fn send_close(&mut self, reason: CloseReason) {
        if let Protocol::Ws(session) = &mut self.protocol {
            let (code, text) = reason.code();
            session.close(code, text, self.outbox.writer());
        }
    }
}

/// Bytes that were to be sent, without the member's own frames, and bytes that the socket took.
fn write_tape<const MAX: usize>(stream: &mut impl Write, place: &Place, tape: &Tape) -> io::Result<(usize, usize)> {
    let mut slices = Slices::<MAX>::new();
    tape.slices(place.position, &place.own, &mut slices);
    let slices = slices.as_slice();
    let wanted = slices.iter().map(|slice| slice.len()).sum();
    Ok((wanted, if wanted == 0 { 0 } else { write_slices(stream, slices)? }))
}

struct Room {
    tape: Tape,
    /// Slots of those with a place on the tape, ascending: walked in memory order.
    members: Vec<u32>,
    is_dirty: bool,
    /// Frames appended since the last walk of its members began, and before it: the news of this walk.
    fresh: u64,
    news: u64,
    /// It stands in the list of dirty rooms, where it stands once.
    is_queued: bool,
    /// It was served in the last long pass, and may be made to wait before the next.
    is_busy: bool,
    /// The end of the tape when its last walk began.
    served: Position,
    /// Where the walk of a large room goes on, and the lowest position seen in it.
    walked: usize,
    lowest: Position,
}

impl Room {
    /// Whether its members are better sent more in one write, a moment later. Only if a walk is to come.
    fn may_wait(&self, members_min: usize) -> bool {
        self.is_busy
            && self.is_queued
            && self.walked == 0
            && self.members.len() >= members_min
            && self.tape.end() - self.served < GROUP_BYTES_MAX
    }
}

/// What a settled turn left for the core.
#[derive(Debug, Default)]
pub struct Settled {
    /// Everything queued was taken, for those who wanted to know.
    pub drained: Vec<ClientId>,
    /// Held back for its full outbox, and may be read again.
    pub released: Vec<ClientId>,
    /// Left the tape: the last post that it was sent, and its own posts after it (which it must not be sent).
    pub behind: Vec<(ClientId, Seq, Vec<Seq>)>,
}

/// All connections.
pub struct Connections<S> {
    slots: Slab<Connection<S>>,
    rooms: Vec<Room>,
    spares: Spares,
    touched: Vec<u32>,
    dirty: VecDeque<RoomId>,
    timers: BinaryHeap<Reverse<(u64, ClientId)>>,
    generation: u32,
    settled: Settled,
    sent: Sent,
    /// Rooms served by the last pass, and those of the last long one.
    walked: Vec<RoomId>,
    busy: Vec<RoomId>,
    is_grouping: bool,
    /// [`GROUP_MEMBERS_MIN`]; tests have smaller rooms.
    group_members_min: usize,
    /// [`SENDS_PER_TURN`]; tests walk their small rooms in slices too.
    sends_per_turn: usize,
}

impl<S: Stream> Connections<S> {
    /// None yet.
    pub fn new() -> Connections<S> {
        Connections {
            slots: Slab::new(),
            rooms: Vec::new(),
            spares: Spares::default(),
            touched: Vec::new(),
            dirty: VecDeque::new(),
            timers: BinaryHeap::new(),
            generation: 0,
            settled: Settled::default(),
            sent: Sent::default(),
            walked: Vec::new(),
            busy: Vec::new(),
            is_grouping: false,
            group_members_min: GROUP_MEMBERS_MIN,
            sends_per_turn: SENDS_PER_TURN,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// What has gone out until now.
    pub fn sent(&self) -> &Sent {
        &self.sent
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The name of the next connection, to register its socket with before [`Connections::admit`].
    pub fn next_id(&self) -> ClientId {
        ClientId { slot: self.slots.vacant_key() as u32, generation: self.generation.wrapping_add(1) }
    }

    /// Takes in an accepted stream.
    pub fn admit(&mut self, stream: S, peer: Peer, now_ms: u64) -> ClientId {
        let id = self.next_id();
        self.generation = id.generation;
        let connection = Connection {
            id,
            peer,
            protocol: Protocol::Http(Box::default()),
            is_operators: false,
            is_vouched_for: false,
            is_awaiting: false,
            wants_drained: false,
            is_readable: false,
            is_listed: false,
            is_read_closed: false,
            stream,
            early: Box::default(),
            outbox: Outbox::default(),
            life: Life::Open,
            place: None,
            bucket: None,
            is_writable: true,
            is_ended: false,
            is_touched: false,
            is_pinged: false,
            heard_ms: now_ms,
            stall: None,
            closing_ms: 0,
            discarded: 0,
            due_ms: u64::MAX,
        };
        self.slots.insert(connection);
        self.touch(id);
        id
    }

    /// The only way to a connection: it will be settled at the end of the turn. `None` if it is gone.
    pub fn touch(&mut self, id: ClientId) -> Option<&mut Connection<S>> {
        let connection = self.slots.get_mut(id.slot as usize).filter(|connection| connection.id == id)?;
        if !connection.is_touched {
            connection.is_touched = true;
            self.touched.push(id.slot);
        }
        Some(connection)
    }

    /// Who has this slot now: for an event of the poll, which is only a hint.
    pub fn owner(&self, slot: u32) -> Option<ClientId> {
        self.slots.get(slot as usize).map(|connection| connection.id)
    }

    /// The socket takes bytes again.
    pub fn writable(&mut self, id: ClientId) {
        let Some(connection) = self.slots.get_mut(id.slot as usize).filter(|c| c.id == id) else { return };
        // Sockets are always reported writable at first and after each read: only news is worth a turn.
        if !connection.is_writable {
            connection.is_writable = true;
            self.touch(id);
        }
    }

    /// Everyone, for the end of the server.
    pub fn ids(&self) -> Vec<ClientId> {
        self.slots.iter().map(|(_, connection)| connection.id).collect()
    }

    /// Gives a member its place at the end of its room's tape; `last` is the room's last post.
    pub fn tune(&mut self, id: ClientId, room: RoomId, last: Seq) {
        self.make_room(room, last);
        let end = self.rooms[room.0 as usize].tape.end();
        let Some(connection) = self.touch(id) else { return };
        if !matches!(connection.life, Life::Open) || connection.place.is_some() {
            return;
        }
        connection.place = Some(Place { room, position: end, frame_end: None, own: VecDeque::new() });
        let room = &mut self.rooms[room.0 as usize];
        if let Err(index) = room.members.binary_search(&id.slot) {
            room.members.insert(index, id.slot);
            if index < room.walked {
                room.walked += 1;
            }
        }
    }

    fn make_room(&mut self, room: RoomId, last: Seq) {
        let index = room.0 as usize;
        while self.rooms.len() <= index {
            let tape = Tape::new(last);
            self.rooms.push(Room {
                tape,
                members: Vec::new(),
                is_dirty: false,
                fresh: 0,
                news: 0,
                is_queued: false,
                is_busy: false,
                served: 0,
                walked: 0,
                lowest: 0,
            });
        }
        if self.rooms[index].members.is_empty() {
            self.rooms[index].tape.restart(&mut self.spares, last);
        }
    }

    /// Puts one frame on a room's tape for all members but its author; returns how many they are. `post` is the post
    /// that it carries.
    pub fn broadcast(
        &mut self,
        room: RoomId,
        post: Option<Seq>,
        author: Option<ClientId>,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> usize {
        let Some(to) = self.rooms.get_mut(room.0 as usize).filter(|to| !to.members.is_empty()) else { return 0 };
        let mut receivers = to.members.len();
        let (start, end) = to.tape.append(&mut self.spares, post, write);
        to.is_dirty = true;
        to.fresh += 1;
        if !mem::replace(&mut to.is_queued, true) {
            self.dirty.push_back(room);
        }
        let author = author.and_then(|id| self.slots.get_mut(id.slot as usize).filter(|c| c.id == id));
        if let Some(place) = author.and_then(|author| author.place.as_mut()).filter(|place| place.room == room) {
            receivers -= 1;
            match place.own.back_mut() {
                Some(last) if last.1 == start => last.1 = end,
                _ => place.own.push_back((start, end)),
            }
        }
        receivers
    }

    /// Whether a part of a large room still waits to be served.
    pub fn is_unsettled(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Whether all that is unsettled are busy rooms that gather frames: nothing is to be sent until their time is up.
    pub fn is_gathering(&self) -> bool {
        let may_wait = |id: &RoomId| self.rooms[id.0 as usize].may_wait(self.group_members_min);
        self.is_grouping && !self.dirty.is_empty() && self.dirty.iter().all(may_wait)
    }

    /// The last pass took long: the rooms that it served are those that may wait while frames are grouped.
    pub fn note_busy(&mut self) {
        for id in self.busy.drain(..) {
            self.rooms[id.0 as usize].is_busy = false;
        }
        mem::swap(&mut self.walked, &mut self.busy);
        for id in &self.busy {
            self.rooms[id.0 as usize].is_busy = true;
        }
    }

    /// From here on busy rooms gather frames (`true`), or are sent what they have.
    pub fn group(&mut self, is_grouping: bool) {
        self.is_grouping = is_grouping;
    }

    /// Sends everyone what is owed, buries the dead, and says what the core must know.
    pub fn settle(&mut self, now_ms: u64, mut on_dead: impl FnMut(Connection<S>, CloseReason)) -> Settled {
        self.settle_rooms(now_ms);
        for index in 0..self.touched.len() {
            let slot = self.touched[index];
            self.settle_one(slot, now_ms);
        }
        for slot in mem::take(&mut self.touched) {
            let Some(connection) = self.slots.get_mut(slot as usize) else { continue };
            connection.is_touched = false;
            if let Life::Dead(reason) = connection.life {
                self.forget_place(slot);
                on_dead(self.slots.remove(slot as usize), reason);
            }
        }
        mem::take(&mut self.settled)
    }

    fn settle_rooms(&mut self, now_ms: u64) {
        let mut budget = self.sends_per_turn;
        self.walked.clear();
        for _ in 0..self.dirty.len() {
            let Some(id) = self.dirty.pop_front() else { break };
            let index = id.0 as usize;
            if self.is_grouping && self.rooms[index].may_wait(self.group_members_min) {
                self.dirty.push_back(id);
                continue;
            }
            self.walked.push(id);
            if self.rooms[index].walked == 0 {
                self.rooms[index].served = self.rooms[index].tape.end();
                self.rooms[index].is_dirty = false;
                self.rooms[index].news = mem::take(&mut self.rooms[index].fresh);
                self.rooms[index].lowest = self.rooms[index].tape.end();
            }
            let mut written = 0;
            while budget > 0 {
                let Some(&slot) = self.rooms[index].members.get(self.rooms[index].walked) else { break };
                self.rooms[index].walked += 1;
                budget -= 1;
                written += u64::from(self.send_room(index, slot, now_ms));
            }
            self.sent.frames.observe(self.rooms[index].news, written);
            if self.rooms[index].walked < self.rooms[index].members.len() {
                // Behind the others: a large room is not to keep them waiting.
                self.dirty.push_back(id);
                return;
            }
            self.finish_walk(id);
        }
    }

    /// Whether the member was written to.
    fn send_room(&mut self, index: usize, slot: u32, now_ms: u64) -> bool {
        let connection = &mut self.slots[slot as usize];
        let bytes = connection.send(&self.rooms, now_ms, true);
        self.sent.bytes += bytes;
        if connection.is_writable && !matches!(connection.life, Life::Dead(_)) {
            return bytes > 0;
        }
        // It has died, or owes itself a decision: the second pass makes it.
        let position = connection.place.as_ref().map_or(u64::MAX, |place| place.position);
        let room = &mut self.rooms[index];
        room.lowest = room.lowest.min(position);
        if !connection.is_touched {
            connection.is_touched = true;
            self.touched.push(slot);
        }
        bytes > 0
    }

    fn finish_walk(&mut self, id: RoomId) {
        let room = &mut self.rooms[id.0 as usize];
        room.walked = 0;
        room.tape.release(&mut self.spares, room.lowest);
        room.is_queued = room.is_dirty;
        if room.is_dirty {
            self.dirty.push_back(id);
        }
    }

    fn settle_one(&mut self, slot: u32, now_ms: u64) {
        let Some(connection) = self.slots.get_mut(slot as usize) else { return };
        let id = connection.id;
        let room = connection.place.as_ref().map(|place| &self.rooms[place.room.0 as usize]);
        let has_tape = !self.is_grouping || room.is_none_or(|room| !room.may_wait(self.group_members_min));
        self.sent.bytes += connection.send(&self.rooms, now_ms, has_tape);
        if let Life::Lingering(_) = connection.life {
            // Nothing may follow its last bytes.
            self.forget_place(slot);
        } else if let Some(place) = &connection.place {
            let behind = self.rooms[place.room.0 as usize].tape.end() - place.position;
            if !connection.is_writable && behind > BEHIND_BYTES_MAX {
                self.fall_behind(slot);
            }
        }
        let connection = &mut self.slots[slot as usize];
        if connection.outbox.is_empty() && mem::take(&mut connection.wants_drained) {
            self.settled.drained.push(id);
        }
        if connection.is_readable && !connection.is_listed && connection.may_read(now_ms) {
            self.settled.released.push(id);
        }
        self.schedule(slot);
    }

    fn fall_behind(&mut self, slot: u32) {
        let connection = &mut self.slots[slot as usize];
        let Some(place) = connection.leave_tape(&self.rooms) else { return };
        connection.wants_drained = true;
        let tape = &self.rooms[place.room.0 as usize].tape;
        let own = tape.posts_in(&place.own).collect();
        self.settled.behind.push((connection.id, tape.last_post(place.position), own));
        self.forget_member(place.room, slot);
    }

    /// Takes a member off its room's tape: it is leaving, or will be fed from the store.
    pub fn untune(&mut self, id: ClientId) {
        if self.touch(id).is_some() {
            self.forget_place(id.slot);
        }
    }

    fn forget_place(&mut self, slot: u32) {
        if let Some(place) = self.slots[slot as usize].leave_tape(&self.rooms) {
            self.forget_member(place.room, slot);
        }
    }

    fn forget_member(&mut self, room: RoomId, slot: u32) {
        let room = &mut self.rooms[room.0 as usize];
        if let Ok(index) = room.members.binary_search(&slot) {
            room.members.remove(index);
            if index < room.walked {
                room.walked -= 1;
            }
        }
        if room.members.is_empty() {
            let end = room.tape.end();
            room.tape.release(&mut self.spares, end);
        }
    }
}

impl<S: Stream> Default for Connections<S> {
    fn default() -> Self {
        Connections::new()
    }
}

#[cfg(test)]
mod tests;
