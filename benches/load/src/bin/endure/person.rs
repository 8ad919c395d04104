//! One person on a bad network, as a careful client is written: what it holds, what it has said, how it comes back.
//!
//! Strict: it takes a message only in its place, and calls everything else a fault. Knows no socket.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Deserialize;

/// A frame of the server, as far as this client cares.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Frame<'a> {
    Message {
        id: u64,
        sender: &'a str,
        message: &'a str,
    },
    Ack {
        client_id: &'a str,
        id: u64,
    },
    Session {
        session: &'a str,
        epoch: &'a str,
        last_id: u64,
        resumed: bool,
    },
    Error {
        code: &'a str,
    },
    #[serde(other)]
    Other,
}

/// Something said and not acked yet.
pub struct Said {
    pub client_id: String,
    pub text: String,
    /// On an earlier connection: what was said there may still be shown on this one, beside its ack.
    is_again: bool,
}

pub struct Person {
    pub name: String,
    session: String,
    epoch: String,
    /// What messages 1, 2, 3 … are: a hash of sender and text. Without a gap.
    held: Vec<u64>,
    /// Its own that were acked before all that was said before them had come.
    ahead: BTreeMap<u64, u64>,
    /// Own messages said on an earlier connection: this one may be sent them although they were acked.
    known: BTreeMap<u64, u64>,
    pub unacked: VecDeque<Said>,
    pub said: u64,
    /// It has been told where the room is: it may speak.
    pub is_in: bool,
    pub counts: Counts,
}

#[derive(Default, Clone, Copy)]
pub struct Counts {
    pub frames: u64,
    pub acks: u64,
    pub resumed: u64,
    /// The name was still held by a session of its own of which it had never been told.
    pub names_taken: u64,
}

pub fn hash(sender: &str, text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (sender, text).hash(&mut hasher);
    hasher.finish()
}

impl Person {
    pub fn new(name: String) -> Person {
        Person {
            name,
            session: String::new(),
            epoch: String::new(),
            held: Vec::new(),
            ahead: BTreeMap::new(),
            known: BTreeMap::new(),
            unacked: VecDeque::new(),
            said: 0,
            is_in: false,
            counts: Counts::default(),
        }
    }

    /// Everything up to here it has.
    pub fn last(&self) -> u64 {
        self.held.len() as u64
    }

    pub fn held(&self) -> &[u64] {
        &self.held
    }

    /// The request for the next connection; from here on, frames are of that one.
    pub fn come_back(&mut self) -> String {
        self.is_in = false;
        self.take_ahead();
        // What is still ahead comes with the replay.
        self.known = std::mem::take(&mut self.ahead);
        self.unacked.iter_mut().for_each(|said| said.is_again = true);
        let mut path = format!("/ws?v=2&username={}&since={}", self.name, self.last());
        if !self.epoch.is_empty() {
            path.push_str(&format!("&epoch={}&session={}", self.epoch, self.session));
        }
        path
    }

    /// Says something new; it is remembered until it is acked.
    pub fn say(&mut self, text: String) -> &Said {
        let client_id = format!("{}-{}", self.name, self.said);
        self.said += 1;
        self.unacked.push_back(Said { client_id, text, is_again: false });
        self.unacked.back().expect("it was just put there")
    }

    /// One frame. The error is the fault, in words.
    pub fn receive(&mut self, frame: &Frame<'_>) -> Result<(), String> {
        self.counts.frames += 1;
        match frame {
            Frame::Message { id, sender, message } => self.message(*id, sender, message),
            Frame::Ack { client_id, id } => self.ack(client_id, *id),
            Frame::Session { session, epoch, last_id, resumed } => {
                if !self.epoch.is_empty() && self.epoch != *epoch {
                    return Err(format!("the epoch was {} and is {epoch}", self.epoch));
                }
                if !resumed || *last_id < self.last() {
                    let has = self.last();
                    return Err(format!("it has {has} messages; resumed is {resumed}, last_id {last_id}"));
                }
                (self.session, self.epoch) = ((*session).to_owned(), (*epoch).to_owned());
                self.is_in = true;
                self.counts.resumed += 1;
                Ok(())
            }
            Frame::Error { code: "username_taken" } => {
                self.counts.names_taken += 1;
                Ok(())
            }
            Frame::Error { code } => Err(format!("was told the error {code}")),
            Frame::Other => Ok(()),
        }
    }

    fn message(&mut self, id: u64, sender: &str, text: &str) -> Result<(), String> {
        let is = hash(sender, text);
        if let Some(known) = self.known.remove(&id) {
            if known != is {
                return Err(format!("message {id} came with another text than was acked"));
            }
            if id <= self.last() {
                return Ok(());
            }
            self.ahead.remove(&id);
        }
        while self.last() + 1 < id {
            let next = self.last() + 1;
            let Some(own) = self.ahead.remove(&next) else {
                return Err(format!("message {id} came, and {next} never did"));
            };
            self.held.push(own);
        }
        if id <= self.last() || self.ahead.contains_key(&id) {
            return Err(format!("message {id} came again; it has everything up to {}", self.last()));
        }
        self.held.push(is);
        Ok(())
    }

    fn ack(&mut self, client_id: &str, id: u64) -> Result<(), String> {
        self.counts.acks += 1;
        let Some(at) = self.unacked.iter().position(|said| said.client_id == client_id) else {
            return Err(format!("{client_id} was acked and is not waiting for it"));
        };
        let Said { text, is_again, .. } = self.unacked.remove(at).expect("it was just found there");
        let is = hash(&self.name, &text);
        let held = usize::try_from(id).ok().and_then(|id| self.held.get(id.wrapping_sub(1)));
        match held {
            Some(held) if *held != is => Err(format!("{client_id} was acked as {id}, which is another message")),
            Some(_) => Ok(()),
            None => {
                self.ahead.insert(id, is);
                if is_again {
                    self.known.insert(id, is);
                }
                Ok(())
            }
        }
    }

    /// Own messages are not sent back while it is there: their acks stand for them.
    pub fn take_ahead(&mut self) {
        while let Some(own) = self.ahead.remove(&(self.last() + 1)) {
            self.held.push(own);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(person: &mut Person, id: u64, sender: &str) -> Result<(), String> {
        person.receive(&Frame::Message { id, sender, message: "text" })
    }

    fn ann() -> Person {
        let mut ann = Person::new("ann".into());
        ann.come_back();
        ann
    }

    #[test]
    fn a_gap_and_a_repeat_are_faults() {
        let mut ann = ann();
        message(&mut ann, 1, "bob").expect("in its place");
        assert!(message(&mut ann, 3, "bob").is_err());
        assert!(message(&mut ann, 1, "bob").is_err());
        message(&mut ann, 2, "bob").expect("in its place");
    }

    #[test]
    fn an_ack_stands_for_the_message_and_its_replay_is_no_repeat() {
        let mut ann = ann();
        let client_id = ann.say("text".into()).client_id.clone();
        ann.receive(&Frame::Ack { client_id: &client_id, id: 2 }).expect("it waits for this");
        assert_eq!(ann.last(), 0);
        assert!(ann.come_back().ends_with("since=0"));
        message(&mut ann, 1, "bob").expect("the replay");
        message(&mut ann, 2, "ann").expect("its own, known");
        assert!(message(&mut ann, 2, "ann").is_err(), "once is enough");

        let client_id = ann.say("text".into()).client_id.clone();
        ann.receive(&Frame::Ack { client_id: &client_id, id: 3 }).expect("it waits for this");
        assert!(message(&mut ann, 3, "ann").is_err(), "live, its own are not sent back");

        let client_id = ann.say("text".into()).client_id.clone();
        ann.come_back();
        ann.receive(&Frame::Ack { client_id: &client_id, id: 4 }).expect("said again");
        message(&mut ann, 4, "ann").expect("said on the connection before, and shown on this one");
        assert!(ann.receive(&Frame::Ack { client_id: "never-said", id: 5 }).is_err());
    }
}
