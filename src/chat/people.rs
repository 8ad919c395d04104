//! Who is in a room, and which connection is whose: found by index, so that a message hashes nothing, and an idle
//! member costs tens of bytes.

use std::sync::Arc;

use crate::message::{ClientId, Uuid};

/// Index of a person in its room; given away again once the person is gone.
pub(super) type PersonId = u32;

/// Somebody in a room, with a connection or expected back.
#[derive(Debug)]
pub(super) struct Person {
    pub name: Arc<str>,
    pub user: Uuid,
    pub token: Uuid,
    /// It has the token: it brought it along, or was told it. Without it nobody can come back as this person.
    pub has_token: bool,
    pub client: Option<ClientId>,
    /// Counts those who ever joined: the order in which they are listed.
    pub order: u64,
    /// When it is announced as gone, if it is not back by then.
    pub away_until_ms: u64,
}

/// The people of one room.
#[derive(Debug, Default)]
pub(super) struct People {
    seats: Vec<Option<Person>>,
    free: Vec<PersonId>,
}

impl People {
    pub fn len(&self) -> usize {
        self.seats.len() - self.free.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn add(&mut self, person: Person) -> PersonId {
        if let Some(id) = self.free.pop() {
            self.seats[id as usize] = Some(person);
            return id;
        }
        self.seats.push(Some(person));
        (self.seats.len() - 1) as PersonId
    }

    pub fn get(&self, id: PersonId) -> Option<&Person> {
        self.seats.get(id as usize)?.as_ref()
    }

    pub fn get_mut(&mut self, id: PersonId) -> Option<&mut Person> {
        self.seats.get_mut(id as usize)?.as_mut()
    }

    /// The person of a member, which lives as long as the member.
    pub fn of(&self, id: PersonId) -> &Person {
        self.get(id).expect("a member's person lives as long as the member")
    }

    pub fn remove(&mut self, id: PersonId) -> Option<Person> {
        let person = self.seats.get_mut(id as usize)?.take()?;
        self.free.push(id);
        if self.is_empty() {
            *self = People::default();
        }
        Some(person)
    }

    /// In no order.
    pub fn iter(&self) -> impl Iterator<Item = &Person> {
        self.seats.iter().flatten()
    }

    /// In order of joining.
    pub fn listed(&self) -> Vec<&Person> {
        let mut people: Vec<&Person> = self.iter().collect();
        people.sort_unstable_by_key(|person| person.order);
        people
    }
}

/// Something for each client, found by its slot.
#[derive(Debug)]
pub(super) struct Clients<T> {
    slots: Vec<Option<(u32, T)>>,
    count: usize,
}

impl<T> Default for Clients<T> {
    fn default() -> Self {
        Clients { slots: Vec::new(), count: 0 }
    }
}

impl<T> Clients<T> {
    pub fn len(&self) -> usize {
        self.count
    }

    pub fn get(&self, id: ClientId) -> Option<&T> {
        match self.slots.get(id.slot as usize)? {
            Some((generation, value)) if *generation == id.generation => Some(value),
            _ => None,
        }
    }

    pub fn get_mut(&mut self, id: ClientId) -> Option<&mut T> {
        match self.slots.get_mut(id.slot as usize)? {
            Some((generation, value)) if *generation == id.generation => Some(value),
            _ => None,
        }
    }

    pub fn has(&self, id: ClientId) -> bool {
        self.get(id).is_some()
    }

    /// Whoever had the slot before must have been removed.
    pub fn insert(&mut self, id: ClientId, value: T) {
        let slot = id.slot as usize;
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, || None);
        }
        let before = self.slots[slot].replace((id.generation, value));
        debug_assert!(before.is_none(), "a slot is given away only when its last owner has left the rooms");
        self.count += 1;
    }

    pub fn remove(&mut self, id: ClientId) -> Option<T> {
        self.get(id)?;
        self.count -= 1;
        self.slots[id.slot as usize].take().map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(slot: u32, generation: u32) -> ClientId {
        ClientId { slot, generation }
    }

    #[test]
    fn a_late_answer_finds_nobody_in_a_slot_that_was_given_away() {
        let mut clients = Clients::default();
        clients.insert(id(3, 1), "old");
        assert_eq!(clients.remove(id(3, 1)), Some("old"));
        clients.insert(id(3, 2), "new");
        assert_eq!((clients.get(id(3, 1)), clients.get(id(3, 2)), clients.len()), (None, Some(&"new"), 1));
        assert_eq!((clients.remove(id(3, 1)), clients.len()), (None, 1));
        assert_eq!(clients.get(id(9, 9)), None);
    }

    #[test]
    fn people_are_listed_as_they_joined_whatever_seat_they_got() {
        let person = |name: &str, order| Person {
            name: name.into(),
            user: Uuid::nil(),
            token: Uuid::nil(),
            has_token: true,
            client: None,
            order,
            away_until_ms: 0,
        };
        let mut people = People::default();
        let ann = people.add(person("Ann", 1));
        people.add(person("Bob", 2));
        assert_eq!(people.remove(ann).map(|p| p.order), Some(1));
        assert!(people.remove(ann).is_none());
        assert_eq!(people.add(person("Cid", 3)), ann);
        let names: Vec<&str> = people.listed().iter().map(|p| &*p.name).collect();
        assert_eq!((names, people.len()), (vec!["Bob", "Cid"], 2));
    }
}
