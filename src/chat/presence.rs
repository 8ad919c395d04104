//! What the others are told of who comes and goes: at once in a small room, in batches in a large one.

use std::sync::Arc;

use super::people::PersonId;
use super::{Chat, Effect, Time};
use crate::message::{ClientId, Event, Notice, RoomId};

/// A room of more people than this announces joins and leaves in batches.
pub const PRESENCE_BULK: usize = 100;
/// Time between two batches: at most 4 a second.
pub(super) const PRESENCE_MS: u64 = 250;
/// Names spelled out in a batch; the others are counted.
const NAMES_TOLD_MAX: usize = 3;

#[derive(Debug, Default)]
pub(super) struct Presence {
    /// With their connections: who came alone is not told so itself.
    joined: Vec<(Arc<str>, Option<ClientId>)>,
    left: Vec<(Arc<str>, Option<ClientId>)>,
    pub(super) due_ms: Option<u64>,
    told_ms: u64,
}

impl Chat {
    pub(super) fn announce(
        &mut self,
        time: Time,
        room_id: RoomId,
        person: PersonId,
        notice: Notice,
        effects: &mut Vec<Effect>,
    ) {
        let room = self.room(room_id);
        let is_bulk = room.people.len() > self.rules.presence_bulk;
        let person = &room.people.of(person);
        let who = (Arc::clone(&person.name), person.client);
        self.announce_name(time, room_id, who, notice, is_bulk, effects);
    }

    fn announce_name(
        &mut self,
        time: Time,
        room_id: RoomId,
        who: (Arc<str>, Option<ClientId>),
        notice: Notice,
        is_bulk: bool,
        effects: &mut Vec<Effect>,
    ) {
        let presence = &mut self.room_mut(room_id).presence;
        if !is_bulk && presence.due_ms.is_none() {
            effects.push(Effect::Broadcast { room: room_id, event: line(notice, &[who.0]), author: who.1 });
            return;
        }
        match notice {
            Notice::Leave => presence.left.push(who),
            Notice::Join | Notice::Welcome => presence.joined.push(who),
        }
        if presence.due_ms.is_none() {
            let due = time.now_ms.max(presence.told_ms + PRESENCE_MS);
            presence.due_ms = Some(due);
            self.presence_due.insert((due, room_id));
        }
    }

    /// Tells the others that somebody is gone.
    pub(super) fn tell_gone(&mut self, time: Time, room: RoomId, name: Arc<str>, effects: &mut Vec<Effect>) {
        let count = self.room(room).people.len();
        let is_bulk = count + 1 > self.rules.presence_bulk;
        self.announce_name(time, room, (name, None), Notice::Leave, is_bulk, effects);
        if !is_bulk {
            effects.push(Effect::Broadcast { room, event: Event::UserCount(count), author: None });
        }
        self.drop_room_if_unused(room);
    }

    /// When [`Chat::expire`] has something to do next.
    pub fn next_due_ms(&self) -> Option<u64> {
        let away = self.away.front().map(|(due, _, _)| *due);
        let presence = self.presence_due.first().map(|(due, _)| *due);
        away.into_iter().chain(presence).min()
    }

    /// Announces who did not come back, and what large rooms have gathered.
    pub fn expire(&mut self, time: Time, effects: &mut Vec<Effect>) {
        while let Some((_, room, id)) = self.away.pop_front_if(|(due, _, _)| *due <= time.now_ms) {
            let person = self.rooms[room.0 as usize].as_ref().and_then(|room| room.people.get(id));
            if person.is_some_and(|person| person.client.is_none() && person.away_until_ms <= time.now_ms)
                && let Some(name) = self.remove_person(room, id)
            {
                self.tell_gone(time, room, name, effects);
            }
        }
        while let Some(&(due, room)) = self.presence_due.first() {
            if due > time.now_ms {
                break;
            }
            self.presence_due.pop_first();
            self.tell_presence(time, room, effects);
        }
    }

    fn tell_presence(&mut self, time: Time, room_id: RoomId, effects: &mut Vec<Effect>) {
        let Some(room) = &mut self.rooms[room_id.0 as usize] else { return };
        let presence = std::mem::take(&mut room.presence);
        room.presence.told_ms = time.now_ms;
        for (people, notice) in [(presence.joined, Notice::Join), (presence.left, Notice::Leave)] {
            let author = if let [(_, client)] = people[..] { client } else { None };
            let names: Vec<Arc<str>> = people.into_iter().map(|(name, _)| name).collect();
            if !names.is_empty() {
                effects.push(Effect::Broadcast { room: room_id, event: line(notice, &names), author });
            }
        }
        let event = Event::UserCount(room.people.len());
        effects.push(Effect::Broadcast { room: room_id, event, author: None });
        self.drop_room_if_unused(room_id);
    }
}

/// `Ann joined the chat`, `Ann and Bob left the chat`, `Ann, Bob and 31 others joined the chat`.
fn line(notice: Notice, names: &[Arc<str>]) -> Event {
    let verb = if notice == Notice::Leave { "left" } else { "joined" };
    let who = match names {
        [one] => one.to_string(),
        [most @ .., last] if names.len() <= NAMES_TOLD_MAX => format!("{} and {last}", most.join(", ")),
        many => format!("{}, {} and {} others", many[0], many[1], many.len() - 2),
    };
    Event::System { notice, text: format!("{who} {verb} the chat") }
}
