//! Rooms: made when somebody comes or writes, and gone when nobody is there and nothing was ever said.

use std::collections::HashMap;
use std::sync::Arc;

use super::people::People;
use super::presence::Presence;
use super::{Chat, Room};
use crate::message::{RoomId, Seq};

/// Most rooms that somebody is in or has ever written in.
pub(super) const ROOMS_MAX: usize = 100_000;

/// A room in the list of rooms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomInfo {
    /// Its name.
    pub name: Arc<str>,
    /// People in it.
    pub online: usize,
    /// Its last post, which is how many there are.
    pub last: Seq,
}

impl Chat {
    /// The last post of a room that everybody was shown, 0 for none.
    pub fn last(&self, room: &str) -> Seq {
        self.find(room).map_or(0, |room| room.last)
    }

    /// Every room, in order of name.
    pub fn rooms(&self) -> Vec<RoomInfo> {
        let info = |room: &Room| RoomInfo { name: Arc::clone(&room.name), online: room.people.len(), last: room.last };
        let mut rooms: Vec<RoomInfo> = self.rooms.iter().flatten().map(info).collect();
        rooms.sort_by(|a, b| a.name.cmp(&b.name));
        rooms
    }

    /// Who is in a room, in order of joining.
    pub fn users(&self, room: &str) -> Vec<Arc<str>> {
        self.find(room).map_or_else(Vec::new, |room| room.people.listed().iter().map(|p| Arc::clone(&p.name)).collect())
    }

    /// How many rooms there are.
    pub fn room_count(&self) -> usize {
        self.by_name.len()
    }

    /// Whether a client may join: the refusal is a sentence (503).
    pub fn check_room_count(&self, room: &str) -> Result<(), String> {
        if self.by_name.len() >= ROOMS_MAX && !self.by_name.contains_key(room) {
            return Err(format!("there are {ROOMS_MAX} rooms already, which is the limit; join one that exists"));
        }
        Ok(())
    }

    pub(super) fn make_room(&mut self, name: &str) -> RoomId {
        if let Some(id) = self.by_name.get(name) {
            return *id;
        }
        let name: Arc<str> = name.into();
        let room = Room {
            name: Arc::clone(&name),
            last: 0,
            people: People::default(),
            names: HashMap::new(),
            presence: Presence::default(),
            partings: 0,
        };
        let id = self.free.pop().unwrap_or(RoomId(self.rooms.len() as u32));
        match self.rooms.get_mut(id.0 as usize) {
            Some(slot) => *slot = Some(room),
            None => self.rooms.push(Some(room)),
        }
        self.by_name.insert(name, id);
        id
    }

    /// A room in which nobody is and nothing was ever said leaves no trace.
    pub(super) fn drop_room_if_unused(&mut self, id: RoomId) {
        let room = self.room(id);
        if room.people.is_empty() && room.last == 0 && room.partings == 0 && room.presence.due_ms.is_none() {
            self.by_name.remove(&*Arc::clone(&room.name));
            self.rooms[id.0 as usize] = None;
            self.free.push(id);
        }
    }

    pub(super) fn find(&self, name: &str) -> Option<&Room> {
        self.by_name.get(name).map(|id| self.room(*id))
    }

    pub(super) fn room(&self, id: RoomId) -> &Room {
        self.rooms[id.0 as usize].as_ref().expect("a room lives as long as somebody in it, or a post")
    }

    pub(super) fn room_mut(&mut self, id: RoomId) -> &mut Room {
        self.rooms[id.0 as usize].as_mut().expect("a room lives as long as somebody in it, or a post")
    }
}
