//! Who leaves: what they have said comes first, then the others are told.
//!
//! Words go through the log, a goodbye does not: without this it would overtake them.

use std::sync::Arc;

use super::people::PersonId;
use super::{Chat, Effect, Member, Time};
use crate::console::News;
use crate::message::{self, ClientId, RoomId, Uuid};

/// A member that has left while the log still had words of its own: the others are told when those have been shown.
/// Its name is free meanwhile.
#[derive(Debug)]
pub(super) struct Parting {
    room: RoomId,
    name: Arc<str>,
    pub(super) user: Uuid,
    /// When it left.
    time: Time,
    /// It is not expected back.
    is_gone: bool,
    unstored: usize,
}

impl Chat {
    /// A connection has ended. `is_goodbye`: it said so itself, and need not be waited for.
    pub fn leave(&mut self, time: Time, client: ClientId, is_goodbye: bool, effects: &mut Vec<Effect>) {
        let Some(member) = self.members.remove(client) else { return };
        let has_token = self.room(member.room).people.of(member.person).has_token;
        let is_gone = !member.is_v2 || is_goodbye || !has_token;
        if !is_gone {
            let until = time.now_ms + self.rules.grace_ms;
            self.away.push_back((until, member.room, member.person));
            self.person_mut(member.room, member.person).away_until_ms = until;
        }
        self.person_mut(member.room, member.person).client = None;
        self.part(time, client, &member, is_gone, effects);
    }

    /// A member has no connection any more, or another one. What it has said comes before what is said of that.
    pub(super) fn part(
        &mut self,
        time: Time,
        client: ClientId,
        member: &Member,
        is_gone: bool,
        effects: &mut Vec<Effect>,
    ) {
        let (room, unstored) = (member.room, member.unstored);
        let person = self.room(room).people.of(member.person);
        let parting = Parting { room, name: Arc::clone(&person.name), user: person.user, time, is_gone, unstored };
        if is_gone {
            self.remove_person(room, member.person);
        }
        self.room_mut(room).partings += 1;
        match unstored {
            0 => self.tell_parting(parting, effects),
            _ => drop(self.partings.insert(client, parting)),
        }
    }

    /// The log has answered to a message of somebody who has left.
    pub(super) fn answered_parting(&mut self, client: ClientId, effects: &mut Vec<Effect>) {
        let Some(parting) = self.partings.get_mut(&client) else { return };
        parting.unstored -= 1;
        if parting.unstored == 0
            && let Some(parting) = self.partings.remove(&client)
        {
            self.tell_parting(parting, effects);
        }
    }

    /// Nobody is to hear that somebody left whom they have just seen join: a name that comes back is told as gone first.
    pub(super) fn tell_partings_of(&mut self, room: &str, name: &str, effects: &mut Vec<Effect>) {
        let Some(room) = self.by_name.get(room).copied().filter(|room| self.room(*room).partings > 0) else { return };
        let folded = message::fold(name);
        let is_of = |parting: &Parting| parting.room == room && message::fold(&parting.name) == folded;
        let told: Vec<Parting> = self.partings.extract_if(|_, parting| is_of(parting)).map(|(_, told)| told).collect();
        told.into_iter().for_each(|parting| self.tell_parting(parting, effects));
    }

    fn tell_parting(&mut self, parting: Parting, effects: &mut Vec<Effect>) {
        let Parting { room, name, user, time, is_gone, .. } = parting;
        self.room_mut(room).partings -= 1;
        let news = News::Disconnected { name: Arc::clone(&name), user, room: Arc::clone(&self.room(room).name) };
        effects.push(Effect::Print(news));
        effects.push(Effect::Print(News::Online(self.members.len())));
        if is_gone {
            self.tell_gone(time, room, name, effects);
        }
    }

    /// Its name is free from now on.
    pub(super) fn remove_person(&mut self, room: RoomId, id: PersonId) -> Option<Arc<str>> {
        let room = self.room_mut(room);
        let person = room.people.remove(id)?;
        let folded = message::fold(&person.name);
        if room.names.get(&folded) == Some(&id) {
            room.names.remove(&folded);
        }
        self.sessions.remove(&person.token);
        Some(person.name)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{GRACE_MS, Hello, Rules};
    use super::*;
    use crate::log::{Answer, Job};
    use crate::memory::Memory;
    use crate::message::{Event, fresh_uuid};
    use crate::peer::Peer;

    struct World {
        chat: Chat,
        effects: Vec<Effect>,
        slots: u32,
    }

    impl World {
        fn new() -> World {
            World { chat: Chat::new(Rules::new(fresh_uuid(), false), []), effects: Vec::new(), slots: 0 }
        }

        fn join(&mut self, name: &str) -> ClientId {
            self.join_with(name, false, None)
        }

        fn join_with(&mut self, name: &str, is_v2: bool, session: Option<Uuid>) -> ClientId {
            self.slots += 1;
            let id = ClientId { slot: self.slots, generation: self.slots };
            let (room, name, fresh) = ("den".into(), name.into(), [fresh_uuid(), fresh_uuid()]);
            let hello = Hello { room, name, is_v2, session, since: None, epoch: None, peer: Peer::Unix, fresh };
            self.chat.join(Time::default(), id, hello, &mut self.effects);
            id
        }

        fn leave(&mut self, id: ClientId) {
            self.chat.leave(Time::default(), id, true, &mut self.effects);
        }

        /// What the room is told, and the console of it; what the log is asked is in the second.
        fn told(&mut self) -> (Vec<String>, Vec<Job>) {
            let (mut told, mut jobs) = (Vec::new(), Vec::new());
            for effect in self.effects.drain(..) {
                match effect {
                    Effect::Broadcast { event: Event::System { text, .. }, .. } => told.push(text),
                    Effect::Broadcast { event: Event::Message(post), .. } => told.push(format!("says {}", post.text)),
                    Effect::Broadcast { event: Event::UserCount(count), .. } => told.push(count.to_string()),
                    Effect::Print(News::Disconnected { name, .. }) => told.push(format!("{name} disconnected")),
                    Effect::Log(job) => jobs.push(job),
                    _ => {}
                }
            }
            (told, jobs)
        }
    }

    fn appended(memory: &mut Memory, job: Job) -> Vec<crate::log::Appended> {
        match memory.answer(job) {
            Some(Answer::Appended(appended)) => appended,
            other => panic!("an append was answered by {other:?}"),
        }
    }

    #[test]
    fn the_last_words_come_before_the_leave_and_a_refused_one_holds_up_nothing() {
        let (mut world, mut memory) = (World::new(), Memory::new());
        world.join("Bob");
        let ann = world.join("Ann");
        for text in ["one", "two"] {
            world.chat.receive(Time::default(), ann, text, &mut world.effects);
        }
        let (_, mut jobs) = world.told();
        world.leave(ann);
        assert_eq!(world.told().0, Vec::<String>::new());
        assert_eq!(world.chat.users("den").len(), 1, "the name is free at once");
        world.chat.appended(appended(&mut memory, jobs.remove(0)), &mut world.effects);
        assert_eq!(world.told().0, ["says one"]);
        let Some(Job::Append(draft)) = jobs.pop() else { panic!("two were said") };
        world.chat.refused(vec![draft], "the disk is full", &mut world.effects);
        assert_eq!(world.told().0, ["Ann disconnected", "Ann left the chat", "1"]);
    }

    #[test]
    fn a_name_that_comes_back_is_told_as_gone_before_it_is_told_as_come() {
        let (mut world, mut memory) = (World::new(), Memory::new());
        world.join("Bob");
        let ann = world.join("Ann");
        world.chat.receive(Time::default(), ann, "one", &mut world.effects);
        let (_, mut jobs) = world.told();
        world.leave(ann);
        world.join("ANN");
        assert_eq!(world.told().0, ["Ann disconnected", "Ann left the chat", "1", "ANN joined the chat", "2"]);
        world.chat.appended(appended(&mut memory, jobs.remove(0)), &mut world.effects);
        assert_eq!(world.told().0, ["says one"]);
    }

    /// Its name was kept for 10 s for somebody who could not have said who it is.
    #[test]
    fn who_vanishes_before_it_has_its_token_is_not_waited_for() {
        let (mut world, mut memory) = (World::new(), Memory::new());
        for (session, is_told, is_kept) in [(None, false, false), (None, true, true), (Some(fresh_uuid()), false, true)]
        {
            let ann = world.join_with("Ann", true, session);
            let (_, mut jobs) = world.told();
            if let (true, Some(Answer::Joined { to, read, page })) = (is_told, memory.answer(jobs.remove(0))) {
                world.chat.joined(to, read, page, &mut world.effects);
            }
            world.chat.leave(Time::default(), ann, false, &mut world.effects);
            assert_eq!(world.chat.users("den").len(), usize::from(is_kept), "{session:?} {is_told}");
            world.chat.expire(Time { now_ms: GRACE_MS, at_ms: 0 }, &mut world.effects);
            assert_eq!(world.chat.users("den").len(), 0);
        }
    }

    /// The room's index is given away with the room: whoever leaves would be announced elsewhere.
    #[test]
    fn a_room_stays_until_the_last_words_of_who_left_it_have_been_shown() {
        let (mut world, mut memory) = (World::new(), Memory::new());
        let say_and_leave = |world: &mut World, text: &str| {
            let ann = world.join("Ann");
            world.chat.receive(Time::default(), ann, text, &mut world.effects);
            world.leave(ann);
            match world.told().1.pop() {
                Some(Job::Append(draft)) => draft,
                job => panic!("{job:?}"),
            }
        };
        let bob = world.join("Bob");
        let one = say_and_leave(&mut world, "one");
        world.leave(bob);
        assert_eq!(world.chat.room_count(), 1);
        // Nobody else is there when the name comes back: the room is made anew under it.
        let two = say_and_leave(&mut world, "two");
        for draft in [one.clone(), two] {
            assert_eq!(world.chat.room_count(), 1);
            world.chat.refused(vec![draft], "the disk is full", &mut world.effects);
        }
        assert_eq!(world.chat.room_count(), 0);
        world.chat.appended(appended(&mut memory, Job::Append(one)), &mut world.effects);
        assert_eq!(world.chat.last("den"), 1);
    }
}
