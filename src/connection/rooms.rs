//! Rooms as far as sending goes: who has a place on which tape, and the walk over its members that serves them.
//!
//! A large room is walked in slices, and a busy one gathers frames for a moment. What frames say is not known here.

use std::collections::VecDeque;
use std::mem;

use super::sending::Place;
use super::{Connections, Life, Stream};
use crate::message::{ClientId, RoomId, Seq};
use crate::tape::{Position, Tape};

/// Most sends to members of rooms in one turn: a large room is served in slices, so that others get their turn.
pub(super) const SENDS_PER_TURN: usize = 4_096;
/// A smaller room is never made to wait.
pub(super) const GROUP_MEMBERS_MIN: usize = 64;
/// A room with so many bytes to send to each member does not wait for more: by then it is the bytes that cost.
pub(super) const GROUP_BYTES_MAX: u64 = 8 * 1024;

pub(super) struct Room {
    pub(super) tape: Tape,
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
    pub(super) fn may_wait(&self, members_min: usize) -> bool {
        self.is_busy
            && self.is_queued
            && self.walked == 0
            && self.members.len() >= members_min
            && self.tape.end() - self.served < GROUP_BYTES_MAX
    }
}

impl<S: Stream> Connections<S> {
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

    pub(super) fn settle_rooms(&mut self, now_ms: u64) {
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

    pub(super) fn fall_behind(&mut self, slot: u32) {
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

    pub(super) fn forget_place(&mut self, slot: u32) {
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
