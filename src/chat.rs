//! The rules of the chat: what a member may say, and who is told.
//!
//! Takes one input at a time and pushes [`Effect`]s; it knows no socket, no bytes, no clock and no thread. Posts are
//! shown only when the log says that they are stored: [`Chat::appended`] is the one place that broadcasts them. Coming
//! (`door`), catching up (`backlog`), leaving (`parting`) and what the others see of that (`presence`) have a file each.

mod backlog;
mod door;
mod parting;
mod people;
mod presence;
mod rooms;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use self::backlog::Stage;
use self::parting::Parting;
use self::people::{Clients, People, Person, PersonId};
pub use self::presence::PRESENCE_BULK;
use self::presence::Presence;
pub use self::rooms::RoomInfo;
use crate::console::News;
use crate::log::{Appended, Job};
use crate::message::{self, ClientId, CloseReason, Draft, Event, Post, Refusal, Request, RoomId, Seq, Uuid};
use crate::peer::Peer;

/// A `v=2` client that vanished is announced as gone only after this.
pub const GRACE_MS: u64 = 10_000;

/// What the operator decided.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Names this history.
    pub epoch: Uuid,
    /// Names need not be unique in a room.
    pub allow_duplicate_names: bool,
    /// See [`PRESENCE_BULK`].
    pub presence_bulk: usize,
    /// See [`GRACE_MS`].
    pub grace_ms: u64,
}

impl Rules {
    /// The rules that nobody has to decide, with those that the operator did.
    pub fn new(epoch: Uuid, allow_duplicate_names: bool) -> Rules {
        Rules { epoch, allow_duplicate_names, presence_bulk: PRESENCE_BULK, grace_ms: GRACE_MS }
    }
}

/// Now, twice.
#[derive(Clone, Copy, Debug, Default)]
pub struct Time {
    /// Milliseconds of a clock that never goes back.
    pub now_ms: u64,
    /// Milliseconds since 1970, as people see it.
    pub at_ms: i64,
}

/// A client at the door, its name and room checked.
#[derive(Clone, Debug)]
pub struct Hello {
    /// The room, as [`message::check_room`] gave it.
    pub room: Box<str>,
    /// The name, as [`message::check_name`] gave it.
    pub name: Box<str>,
    /// Whether it asked for `v=2`.
    pub is_v2: bool,
    /// The session that it wants to take over.
    pub session: Option<Uuid>,
    /// The last post that it has.
    pub since: Option<Seq>,
    /// The history that `since` counts in; `None`: it did not say.
    pub epoch: Option<Uuid>,
    /// Where it comes from.
    pub peer: Peer,
    /// Two fresh UUIDs, for a new session: who, and its secret.
    pub fresh: [Uuid; 2],
}

/// What the core wants done, in this order.
#[derive(Debug)]
pub enum Effect {
    /// A private frame.
    Send {
        /// To whom.
        to: ClientId,
        /// What.
        event: Event,
    },
    /// Posts of the past as private frames; [`Chat::drained`] is wanted when they are taken.
    Replay {
        /// To whom.
        to: ClientId,
        /// What.
        posts: Vec<Post>,
    },
    /// A frame for everyone in the room but its author.
    Broadcast {
        /// Where.
        room: RoomId,
        /// What.
        event: Event,
        /// Who is not told.
        author: Option<ClientId>,
    },
    /// A private frame that is not worth a queue: only for those who would see it at once.
    Whisper {
        /// To whom.
        to: Vec<ClientId>,
        /// What.
        event: Event,
    },
    /// A place at the end of the room's live stream, of which `last` is the last post.
    Tune {
        /// Who.
        client: ClientId,
        /// Where.
        room: RoomId,
        /// The room's last post.
        last: Seq,
    },
    /// No more live stream for this one.
    Untune {
        /// Who.
        client: ClientId,
    },
    /// Ask the log.
    Log(Job),
    /// End a connection.
    Close {
        /// Whose.
        to: ClientId,
        /// Why.
        reason: CloseReason,
    },
    /// A line for the console.
    Print(News),
    /// A post of somebody who is no member (a program) is stored.
    Posted {
        /// Who waits.
        to: ClientId,
        /// The post.
        post: Post,
        /// It was stored before.
        is_repeat: bool,
    },
    /// A post of somebody who is no member was not stored.
    PostRefused {
        /// Who waits.
        to: ClientId,
        /// Why.
        why: String,
    },
}

/// A client in one room.
#[derive(Debug)]
struct Member {
    room: RoomId,
    person: PersonId,
    is_v2: bool,
    stage: Stage,
    /// Messages of its own that the log has not answered yet.
    unstored: usize,
}

#[derive(Debug)]
struct Room {
    name: Arc<str>,
    last: Seq,
    people: People,
    names: HashMap<Box<str>, PersonId>,
    presence: Presence,
    /// How many have left it whose words are not all shown yet.
    partings: usize,
}

/// All rooms, and everyone in them.
pub struct Chat {
    rules: Rules,
    rooms: Vec<Option<Room>>,
    free: Vec<RoomId>,
    by_name: HashMap<Arc<str>, RoomId>,
    members: Clients<Member>,
    partings: HashMap<ClientId, Parting>,
    sessions: HashMap<Uuid, (RoomId, PersonId)>,
    joins: u64,
    away: VecDeque<(u64, RoomId, PersonId)>,
    presence_due: BTreeSet<(u64, RoomId)>,
}

impl Chat {
    /// The rooms as the log knows them, with nobody in them.
    pub fn new(rules: Rules, known: impl IntoIterator<Item = (Arc<str>, Seq)>) -> Chat {
        let mut chat = Chat {
            rules,
            rooms: Vec::new(),
            free: Vec::new(),
            by_name: HashMap::new(),
            members: Clients::default(),
            partings: HashMap::new(),
            sessions: HashMap::new(),
            joins: 0,
            away: VecDeque::new(),
            presence_due: BTreeSet::new(),
        };
        for (name, last) in known {
            let id = chat.make_room(&name);
            chat.room_mut(id).last = last;
        }
        chat
    }

    /// Names this history.
    pub fn epoch(&self) -> Uuid {
        self.rules.epoch
    }

    /// People in all rooms, each room counted, those included who are expected back.
    pub fn people(&self) -> usize {
        self.sessions.len()
    }

    /// Connections that are in a room.
    pub fn online(&self) -> usize {
        self.members.len()
    }

    /// Whether this connection is in a room.
    pub fn has(&self, client: ClientId) -> bool {
        self.members.has(client)
    }

    /// One text frame of a member.
    pub fn receive(&mut self, time: Time, client: ClientId, frame: &str, effects: &mut Vec<Effect>) {
        let Some(member) = self.members.get(client) else { return };
        let asked =
            message::parse_request(frame).and_then(|request| self.request(time, client, member, request, effects));
        match asked {
            Ok(is_post) => {
                if let Some(member) = self.members.get_mut(client).filter(|_| is_post) {
                    member.unstored += 1;
                }
            }
            Err(refusal) => effects.push(Effect::Send { to: client, event: Event::Error(refusal) }),
        }
    }

    /// Whether it is a message that the log is asked to store.
    fn request(
        &self,
        time: Time,
        client: ClientId,
        member: &Member,
        request: Request<'_>,
        effects: &mut Vec<Effect>,
    ) -> Result<bool, Refusal> {
        let room = self.room(member.room);
        let person = &room.people.of(member.person);
        match request {
            Request::Say { text, client_id } => {
                let client_id: Option<Box<str>> = client_id.map(|id| id.into_owned().into());
                if let Err(refusal) = message::check_text(&text) {
                    return Err(Refusal { client_id, ..refusal });
                }
                effects.push(Effect::Log(Job::Append(Draft {
                    from: client,
                    room: Arc::clone(&room.name),
                    author: Arc::clone(&person.name),
                    text: text.into(),
                    at_ms: time.at_ms,
                    client_id,
                })));
                return Ok(true);
            }
            // In a crowd each would be a send to thousands, for a line that nobody could read.
            Request::Typing if room.people.len() > self.rules.presence_bulk => {}
            Request::Typing => {
                let is_told = |other: &ClientId| {
                    *other != client && self.members.get(*other).is_some_and(|m| m.is_v2 && m.stage == Stage::Present)
                };
                let to: Vec<ClientId> = room.people.iter().filter_map(|p| p.client).filter(is_told).collect();
                effects.push(Effect::Whisper { to, event: Event::Typing { sender: Arc::clone(&person.name) } });
            }
            Request::Read { seq } => {
                let (room_name, reader) = (Arc::clone(&room.name), Arc::clone(&person.name));
                effects.push(Effect::Log(Job::Mark {
                    to: Some(client),
                    room: room_name,
                    reader,
                    seq: seq.min(room.last),
                }));
            }
        }
        Ok(false)
    }

    /// A program posts without joining. The refusal is for an HTTP answer: 409, the name is somebody's.
    pub fn check_poster(&self, room: &str, name: &str, session: Option<Uuid>) -> Result<(), String> {
        let Some(room) = self.find(room) else { return Ok(()) };
        let Some(person) = room.names.get(&message::fold(name)).and_then(|id| room.people.get(*id)) else {
            return Ok(());
        };
        if self.rules.allow_duplicate_names || session == Some(person.token) {
            return Ok(());
        }
        Err(format!(
            "the name {name:?} is in use in room {:?} right now: post under another name, or with &session= of that user",
            room.name
        ))
    }

    /// The log has numbered these posts: now, and only now, they are shown.
    pub fn appended(&mut self, appended: Vec<Appended>, effects: &mut Vec<Effect>) {
        for Appended { post, room, from, is_repeat } in appended {
            let room_id = self.make_room(&room);
            let mut member = self.members.get_mut(from).filter(|member| member.room == room_id);
            let is_member = member.is_some();
            if let Some(member) = &mut member {
                member.unstored -= 1;
                if let Some(own) = member.stage.own().filter(|_| !is_repeat) {
                    own.push_back(post.seq);
                }
            }
            if let (true, Some(client_id)) = (is_member, post.client_id.clone()) {
                let event = Event::Ack { client_id, seq: post.seq, uuid: post.uuid, at_ms: post.at_ms };
                effects.push(Effect::Send { to: from, event });
            }
            let is_parting = !is_member && self.partings.contains_key(&from);
            if !is_member && !is_parting {
                effects.push(Effect::Posted { to: from, post: post.clone(), is_repeat });
            }
            if !is_repeat {
                self.show(room_id, from, post, effects);
            }
            if is_parting {
                self.answered_parting(from, effects);
            }
        }
    }

    fn show(&mut self, room_id: RoomId, from: ClientId, post: Post, effects: &mut Vec<Effect>) {
        let room = self.room_mut(room_id);
        room.last = room.last.max(post.seq);
        let member = self.members.get(from).map(|member| self.room(room_id).people.of(member.person).user);
        let user = member.or_else(|| self.partings.get(&from).map(|parting| parting.user));
        // A program's post has no connection to name: its own UUID stands for it.
        let user = user.unwrap_or(post.uuid);
        let (name, room_name, text) =
            (Arc::clone(&post.author), Arc::clone(&self.room(room_id).name), post.text.clone());
        effects.push(Effect::Print(News::Said { name, user, room: room_name, text }));
        effects.push(Effect::Broadcast { room: room_id, event: Event::Message(post), author: Some(from) });
    }

    /// The log could not store these.
    pub fn refused(&mut self, drafts: Vec<Draft>, why: &str, effects: &mut Vec<Effect>) {
        for draft in drafts {
            let told = format!("the message was not stored: {why}; send it again later");
            if let Some(member) = self.members.get_mut(draft.from) {
                member.unstored -= 1;
                let refusal = Refusal { client_id: draft.client_id, ..Refusal::new("not_stored", told) };
                effects.push(Effect::Send { to: draft.from, event: Event::Error(refusal) });
            } else if self.partings.contains_key(&draft.from) {
                self.answered_parting(draft.from, effects);
            } else {
                effects.push(Effect::PostRefused { to: draft.from, why: told });
            }
        }
    }

    /// The log could not answer a member's question: its connection is of no use any more, but may come back.
    pub fn failed(&mut self, client: ClientId, why: &str, effects: &mut Vec<Effect>) {
        let refusal = Refusal::new("store_failed", format!("the history could not be read: {why}"));
        effects.push(Effect::Send { to: client, event: Event::Error(refusal) });
        // One that is present has only asked to move its read mark: it can do without, and will ask again.
        if self.members.get(client).is_some_and(|member| member.stage != Stage::Present) {
            effects.push(Effect::Close { to: client, reason: CloseReason::Restart });
        }
    }

    fn person_mut(&mut self, room: RoomId, person: PersonId) -> &mut Person {
        self.room_mut(room).people.get_mut(person).expect("a member's person lives as long as the member")
    }
}
