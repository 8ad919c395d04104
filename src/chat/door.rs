//! Who comes in, and as whom: a name that is free, or a session that comes back to its own.

use std::collections::VecDeque;
use std::sync::Arc;

use super::backlog::{Joining, Stage};
use super::people::{Person, PersonId};
use super::{Chat, Effect, Hello, Member, Time};
use crate::console::News;
use crate::log::Job;
use crate::message::{self, ClientId, CloseReason, Event, Notice, Refusal, RoomId, Uuid};

impl Chat {
    /// Lets a client in, back in, or turns it away with an error frame and a close code.
    pub fn join(&mut self, time: Time, client: ClientId, hello: Hello, effects: &mut Vec<Effect>) {
        self.tell_partings_of(&hello.room, &hello.name, effects);
        let room_id = self.make_room(&hello.room);
        let (person, is_new) = match self.claim(room_id, &hello) {
            Ok(Some(person)) => (person, false),
            Ok(None) => (self.add_person(room_id, &hello), true),
            Err((refusal, reason)) => {
                self.drop_room_if_unused(room_id);
                effects.push(Effect::Send { to: client, event: Event::Error(refusal) });
                effects.push(Effect::Close { to: client, reason });
                return;
            }
        };
        if let Some(older) = self.person_mut(room_id, person).client.replace(client) {
            if let Some(member) = self.members.remove(older) {
                self.part(time, older, &member, false, effects);
            }
            effects.push(Effect::Untune { client: older });
            effects.push(Effect::Close { to: older, reason: CloseReason::Replaced });
        }
        if is_new {
            self.announce(time, room_id, person, Notice::Join, effects);
        }
        self.welcome(client, room_id, person, &hello, is_new, effects);
    }

    /// Who a client may be: a person of its own session, or nobody yet.
    fn claim(&self, room_id: RoomId, hello: &Hello) -> Result<Option<PersonId>, (Refusal, CloseReason)> {
        let room = self.room(room_id);
        let folded = message::fold(&hello.name);
        let session = hello.session.and_then(|token| self.sessions.get(&token)).filter(|(room, _)| *room == room_id);
        if let Some(&(_, person)) = session {
            if message::fold(&room.people.of(person).name) == folded {
                return Ok(Some(person));
            }
            let told = format!("this session belongs to another name than {:?}: join without it", hello.name);
            return Err((Refusal::new("session_mismatch", told), CloseReason::SessionMismatch));
        }
        if !self.rules.allow_duplicate_names && room.names.contains_key(&folded) {
            let told = format!("the name {:?} is in use in room {:?}: choose another", hello.name, room.name);
            return Err((Refusal::new("username_taken", told), CloseReason::NameTaken));
        }
        Ok(None)
    }

    fn add_person(&mut self, room_id: RoomId, hello: &Hello) -> PersonId {
        let [user, fresh] = hello.fresh;
        // A token that is nobody's is taken as it is: whoever comes back to a server that has forgotten it, and is cut
        // off again before it is told another, can still say who it is.
        let is_free = |token: &Uuid| !token.is_nil() && !self.sessions.contains_key(token);
        let token = hello.session.filter(is_free).unwrap_or(fresh);
        self.joins += 1;
        let (name, has_token) = ((&*hello.name).into(), hello.session == Some(token));
        let person = Person { name, user, token, has_token, client: None, order: self.joins, away_until_ms: 0 };
        let room = self.room_mut(room_id);
        let id = room.people.add(person);
        room.names.insert(message::fold(&hello.name), id);
        self.sessions.insert(token, (room_id, id));
        id
    }

    fn welcome(
        &mut self,
        client: ClientId,
        room_id: RoomId,
        person: PersonId,
        hello: &Hello,
        is_new: bool,
        effects: &mut Vec<Effect>,
    ) {
        let room = self.room(room_id);
        let (room_name, last, count) = (Arc::clone(&room.name), room.last, room.people.len());
        let (name, user) = (Arc::clone(&room.people.of(person).name), room.people.of(person).user);
        let is_of_this_history = hello.epoch.is_none_or(|epoch| epoch == self.rules.epoch);
        let since = hello.since.filter(|since| is_of_this_history && *since <= last);
        effects.push(Effect::Print(News::Connected {
            name: Arc::clone(&name),
            user,
            room: Arc::clone(&room_name),
            peer: hello.peer,
        }));
        let text = format!("Welcome to the chat, {name}!");
        effects.push(Effect::Send { to: client, event: Event::System { notice: Notice::Welcome, text } });
        let is_bulk = count > self.rules.presence_bulk;
        let stage = if hello.is_v2 || since.is_some_and(|since| since < last) {
            let after = since;
            effects.push(Effect::Log(Job::Join { to: client, room: room_name, reader: name, after }));
            Stage::Joining(Box::new(Joining { resumed: since.is_some(), since, own: VecDeque::new() }))
        } else {
            effects.push(Effect::Tune { client, room: room_id, last });
            Stage::Present
        };
        // The joiner of a small room sees the new count with everybody else, if it is already listening.
        let sees_broadcast = stage == Stage::Present && is_new && !is_bulk;
        if is_new && !is_bulk {
            effects.push(Effect::Broadcast { room: room_id, event: Event::UserCount(count), author: None });
        }
        if !sees_broadcast && stage == Stage::Present {
            effects.push(Effect::Send { to: client, event: Event::UserCount(count) });
        }
        self.members.insert(client, Member { room: room_id, person, is_v2: hello.is_v2, stage, unstored: 0 });
        effects.push(Effect::Print(News::Online(self.members.len())));
    }
}
