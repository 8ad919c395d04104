//! What goes out to one connection, in the only right order: the frame begun, private frames, the tape, the close frame.
//!
//! A place on a tape is kept here; which rooms have which members is the business of `rooms`.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};

use super::rooms::Room;
use super::{Connection, Life, Protocol, Stream};
use crate::message::{CloseReason, RoomId};
use crate::outbox::{Wrote, write_all, write_slices};
use crate::tape::{Position, Slices, Tape};

/// Most pieces of the tape in one write: a member's own messages cut it.
const SLICES_MAX: usize = 64;
/// Enough pieces for all but busy senders.
const SLICES_FEW: usize = 6;

/// A member's place on its room's tape.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) room: RoomId,
    pub(super) position: Position,
    /// The frame begun must be finished up to here before anything else is written.
    pub(super) frame_end: Option<Position>,
    /// Ranges of its own frames at or after `position`, ascending.
    pub(super) own: VecDeque<(Position, Position)>,
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

/// A peer that has bytes to take, and takes none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stall {
    pub(super) since_ms: u64,
    /// When a write was tried last.
    pub(super) looked_ms: u64,
}

impl<S: Stream> Connection<S> {
    /// Sends what it is owed; returns how many bytes its kernel took. `has_tape`: the tape too; otherwise only what is
    /// its own.
    pub(super) fn send(&mut self, rooms: &[Room], now_ms: u64, has_tape: bool) -> u64 {
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
    pub(super) fn leave_tape(&mut self, rooms: &[Room]) -> Option<Place> {
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
