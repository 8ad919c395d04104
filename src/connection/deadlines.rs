//! When to look at a connection again, and what is to be done then: pings, patience that ends, peers that take nothing.
//!
//! Only the next deadline of a connection is kept; what it waits for is found anew each time.

use std::cmp::Reverse;

use super::{Connection, Connections, Life, Protocol, Stream};
use crate::message::{ClientId, CloseReason};
use crate::ws;

/// A WebSocket peer that said nothing for this long is pinged.
pub(super) const PING_AFTER_MS: u64 = 25_000;
/// A pinged peer that says nothing for this long is gone.
pub(super) const PONG_MS_MAX: u64 = 20_000;
/// A request head must be complete this long after its first byte (408).
pub(super) const HEAD_MS_MAX: u64 = 10_000;
/// A request body must be complete this long after its head (408).
pub(super) const BODY_MS_MAX: u64 = 30_000;
/// A kept-alive connection without a request is closed after this.
pub(super) const IDLE_MS_MAX: u64 = 60_000;
/// A peer that has bytes to take and takes none for this long is hung up on.
pub(super) const STALL_MS_MAX: u64 = 30_000;
/// How often it is looked whether such a peer has taken a little.
pub(super) const STALL_LOOK_MS: u64 = 5_000;
/// A closing connection waits this long for its peer to take the last bytes and to hang up.
pub(super) const CLOSE_MS_MAX: u64 = 5_000;
/// Most deadlines that are acted upon in one turn: a crowd that came at once is let go in slices, so that others get their turn.
pub(super) const EXPIRIES_PER_TURN: usize = 64;
/// Timers for each connection: all but one are over. At more, those that are over are thrown away.
pub(super) const TIMERS_PER_CONNECTION: usize = 4;
/// Fewer are not worth a look.
pub(super) const TIMERS_FEW: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deadline {
    /// It takes no byte.
    Stall,
    /// Its last bytes and its peer's farewell.
    Close,
    /// Its rate allows it to be read again.
    Rate,
    Idle,
    Head,
    Body,
    Ping,
    Pong,
}

/// What the timers of a turn ask of the reactor.
#[derive(Debug, PartialEq, Eq)]
pub enum Expired {
    /// It may be read again.
    Released(ClientId),
    /// A request that was begun did not end in time: answer 408. Which part, and the limit in seconds.
    RequestTimeout(ClientId, &'static str, u64),
}

impl<S: Stream> Connection<S> {
    /// What it is waiting for next, and when that is due.
    fn deadline(&self) -> Option<(u64, Deadline)> {
        let stall = self
            .stall
            .map(|stall| ((stall.since_ms + STALL_MS_MAX).min(stall.looked_ms + STALL_LOOK_MS), Deadline::Stall));
        let other = match self.life {
            Life::Dead(_) => return None,
            // A long answer to a slow link: only taking nothing ends it.
            Life::Draining(_) if matches!(self.protocol, Protocol::Http(_)) => None,
            Life::Draining(_) | Life::Lingering(_) => Some((self.closing_ms + CLOSE_MS_MAX, Deadline::Close)),
            Life::Open => self.held_until().map(|until| (until, Deadline::Rate)).or_else(|| self.patience()),
        };
        stall.into_iter().chain(other).min_by_key(|(due, _)| *due)
    }

    /// How long it may stay silent. Who is still to be listened to is not silent: its pong may lie there unread, while
    /// the log holds up all reading.
    fn patience(&self) -> Option<(u64, Deadline)> {
        if self.is_listed {
            return None;
        }
        let (limit, deadline) = match &self.protocol {
            Protocol::Http(_) if self.is_awaiting || self.wants_drained => return None,
            Protocol::Http(reader) if reader.is_idle() => (IDLE_MS_MAX, Deadline::Idle),
            Protocol::Http(reader) if reader.is_in_body() => (BODY_MS_MAX, Deadline::Body),
            Protocol::Preface(held) if held.is_empty() => (IDLE_MS_MAX, Deadline::Idle),
            Protocol::Http(_) | Protocol::Preface(_) => (HEAD_MS_MAX, Deadline::Head),
            Protocol::Ws(_) if self.is_pinged => (PING_AFTER_MS + PONG_MS_MAX, Deadline::Pong),
            Protocol::Ws(_) => (PING_AFTER_MS, Deadline::Ping),
        };
        Some((self.heard_ms + limit, deadline))
    }

    /// Until when its rate holds it back, if there is something to read.
    fn held_until(&self) -> Option<u64> {
        let bucket = self.bucket.filter(|_| self.is_readable && !self.is_listed && !self.is_full())?;
        (bucket.tokens < 0.0).then(|| bucket.full_at_ms())
    }
}

impl<S: Stream> Connections<S> {
    /// Sees to it that the timers look at it in time. Only an earlier deadline needs a new entry: a later one is
    /// found when the present entry comes up.
    pub(super) fn schedule(&mut self, slot: u32) {
        let connection = &mut self.slots[slot as usize];
        if let Some((due, _)) = connection.deadline()
            && due < connection.due_ms
        {
            connection.due_ms = due;
            self.timers.push(Reverse((due, connection.id)));
        }
        if self.timers.len() > self.slots.len() * TIMERS_PER_CONNECTION + TIMERS_FEW {
            self.renew_timers();
        }
    }

    /// Keeps the one timer of each connection that counts.
    fn renew_timers(&mut self) {
        let timers = self.slots.iter().map(|(_, connection)| (connection.due_ms, connection.id));
        self.timers = timers.filter(|(due, _)| *due != u64::MAX).map(Reverse).collect();
    }

    /// When the next timer is due, in milliseconds of the caller's clock.
    pub fn next_due_ms(&self) -> Option<u64> {
        self.timers.peek().map(|Reverse((due, _))| *due)
    }

    /// Does what is due: pings, closes, kills; says what the reactor has to do. `EXPIRIES_PER_TURN` at most: what is left
    /// stays due.
    pub fn expire(&mut self, now_ms: u64) -> Vec<Expired> {
        let mut expired = Vec::new();
        let mut acted = 0;
        while let Some(&Reverse((due, id))) = self.timers.peek() {
            if due > now_ms || acted == EXPIRIES_PER_TURN {
                break;
            }
            self.timers.pop();
            let Some(connection) = self.slots.get_mut(id.slot as usize) else { continue };
            if connection.id != id || connection.due_ms != due {
                continue;
            }
            connection.due_ms = u64::MAX;
            self.expire_one(id, now_ms, &mut expired);
            acted += 1;
        }
        expired
    }

    fn expire_one(&mut self, id: ClientId, now_ms: u64, expired: &mut Vec<Expired>) {
        let connection = self.touch(id).expect("the caller has just seen it");
        let Some((due, deadline)) = connection.deadline() else { return };
        if due > now_ms {
            // What it waited for has come; `settle` looks for the next deadline.
            return;
        }
        match deadline {
            Deadline::Stall => self.look_at_stall(id.slot, now_ms),
            Deadline::Close => connection.kill(CloseReason::Gone),
            Deadline::Idle => connection.close(CloseReason::Idle, now_ms),
            Deadline::Pong => connection.close(CloseReason::NoPong, now_ms),
            Deadline::Rate => expired.push(Expired::Released(id)),
            Deadline::Head => expired.push(Expired::RequestTimeout(id, "head", HEAD_MS_MAX / 1000)),
            Deadline::Body => expired.push(Expired::RequestTimeout(id, "body", BODY_MS_MAX / 1000)),
            Deadline::Ping => {
                connection.is_pinged = true;
                // A ping may be late, after a pause of the whole machine: its pong has its time from here.
                connection.heard_ms = now_ms.saturating_sub(PING_AFTER_MS);
                ws::write_ping(connection.outbox.writer());
            }
        }
    }

    /// Whether a peer that seems to take nothing has taken a little: a write tells. The kernel reports a socket as writable
    /// only when a good part of its buffer is free, which takes a minute at 1 KB a second.
    fn look_at_stall(&mut self, slot: u32, now_ms: u64) {
        let connection = &mut self.slots[slot as usize];
        connection.is_writable = true;
        self.sent.bytes += connection.send(&self.rooms, now_ms, true);
        if connection.stall.is_some_and(|stall| stall.since_ms + STALL_MS_MAX <= now_ms) {
            connection.kill(CloseReason::Slow);
        }
    }
}
