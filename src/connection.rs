//! All connections: `touch` is the one way to each, `settle` pays what it is owed and buries it.
//!
//! So nothing that is queued is ever forgotten. Generic over the stream: no socket, no clock, no thread. What is read and
//! what is sent, rooms' tapes and deadlines have a file each below; what bytes mean is known by `http.rs` and `ws.rs`, what
//! frames say by `chat.rs`.

mod deadlines;
mod reading;
mod rooms;
mod sending;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io::{self, Read, Write};
use std::mem;

use slab::Slab;

use crate::http;
use crate::message::{ClientId, CloseReason, RoomId, Seq};
use crate::metrics::Sent;
use crate::outbox::Outbox;
use crate::peer::Peer;
use crate::tape::{BEHIND_BYTES_MAX, Spares};
use crate::ws;
pub use deadlines::Expired;
use reading::Bucket;
pub use reading::ReadOutcome;
use rooms::{GROUP_MEMBERS_MIN, Room, SENDS_PER_TURN};
use sending::{Place, Stall};

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
}

impl<S: Stream> Default for Connections<S> {
    fn default() -> Self {
        Connections::new()
    }
}

#[cfg(test)]
mod tests;
