//! The rules of the chat: rooms, names, presence, who is told what and when.
//!
//! Takes one input at a time and pushes [`Effect`]s; it knows no socket, no bytes, no clock and no thread. Posts are
//! shown only when the log says that they are stored: [`Chat::appended`] is the one place that broadcasts them.

mod parting;
mod people;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use self::parting::Parting;
use self::people::{Clients, People, Person, PersonId};
use crate::console::News;
use crate::log::{Appended, Job, PAGE_POSTS_MAX, Page, Span};
use crate::message::{
    self, ClientId, CloseReason, Draft, Event, Notice, Post, Refusal, Request, RoomId, Seq, Session, Uuid,
};
use crate::peer::Peer;

/// A room of more people than this announces joins and leaves in batches.
pub const PRESENCE_BULK: usize = 100;
/// Time between two batches: at most 4 a second.
pub const PRESENCE_MS: u64 = 250;
/// A `v=2` client that vanished is announced as gone only after this.
pub const GRACE_MS: u64 = 10_000;
/// Most rooms that somebody is in or has ever written in.
pub const ROOMS_MAX: usize = 100_000;
/// Names spelled out in a batch; the others are counted.
const NAMES_TOLD_MAX: usize = 3;

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

/// How far a member has come to the live stream. Only `Present` ones have a place on the tape.
#[derive(Debug, PartialEq, Eq)]
enum Stage {
    /// The log was asked for its read mark and backlog. `own`: what it has said meanwhile.
    Joining(Box<Joining>),
    /// It is fed from the store.
    Replaying(Box<Replaying>),
    /// It gets what everybody gets.
    Present,
}

#[derive(Debug, PartialEq, Eq)]
struct Joining {
    resumed: bool,
    since: Option<Seq>,
    own: VecDeque<Seq>,
}

/// What comes after `after`, all but `own`: what it has said on this very connection, and not been sent past yet. What
/// it said on an earlier one is replayed like everything else.
#[derive(Debug, PartialEq, Eq)]
struct Replaying {
    after: Seq,
    own: VecDeque<Seq>,
}

impl Stage {
    fn replaying(after: Seq, own: VecDeque<Seq>) -> Stage {
        Stage::Replaying(Box::new(Replaying { after, own }))
    }

    /// What it has said and must not be sent; `None` for one that is present.
    fn own(&mut self) -> Option<&mut VecDeque<Seq>> {
        match self {
            Stage::Joining(joining) => Some(&mut joining.own),
            Stage::Replaying(replaying) => Some(&mut replaying.own),
            Stage::Present => None,
        }
    }
}

#[derive(Debug, Default)]
struct Presence {
    /// With their connections: who came alone is not told so itself.
    joined: Vec<(Arc<str>, Option<ClientId>)>,
    left: Vec<(Arc<str>, Option<ClientId>)>,
    due_ms: Option<u64>,
    told_ms: u64,
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

    /// Whether a client may join: the refusal is a sentence (503).
    pub fn check_room_count(&self, room: &str) -> Result<(), String> {
        if self.by_name.len() >= ROOMS_MAX && !self.by_name.contains_key(room) {
            return Err(format!("there are {ROOMS_MAX} rooms already, which is the limit; join one that exists"));
        }
        Ok(())
    }

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

    /// The log has what a joiner needs.
    pub fn joined(&mut self, client: ClientId, read: Seq, page: Page, effects: &mut Vec<Effect>) {
        let Some(member) = self.members.get_mut(client) else { return };
        let Stage::Joining(joining) = &mut member.stage else { return };
        let (resumed, since, own) = (joining.resumed, joining.since, std::mem::take(&mut joining.own));
        let (room_id, person, is_v2) = (member.room, member.person, member.is_v2);
        self.person_mut(room_id, person).has_token |= is_v2;
        let room = self.room(room_id);
        let person = room.people.of(person);
        if is_v2 {
            let session = Session {
                user_id: person.user,
                token: person.token,
                room: Arc::clone(&room.name),
                epoch: self.rules.epoch,
                last_seq: room.last,
                read_seq: read,
                resumed,
            };
            effects.push(Effect::Send { to: client, event: Event::Session(session) });
        }
        effects.push(Effect::Send { to: client, event: Event::UserCount(room.people.len()) });
        let after = since.unwrap_or(room.last);
        self.set_stage(client, Stage::replaying(after, own));
        self.replay(client, page, effects);
    }

    /// A page of the backlog, in order with the posts: at its end the member is present.
    pub fn backlog(&mut self, client: ClientId, page: Page, effects: &mut Vec<Effect>) {
        if !page.more
            && let Some(member) = self.members.get(client)
        {
            // Who came and went meanwhile was announced on the tape, where it was not.
            let count = self.room(member.room).people.len();
            effects.push(Effect::Send { to: client, event: Event::UserCount(count) });
        }
        self.replay(client, page, effects);
    }

    /// A page read beside the order of posts: it cannot make a member present.
    pub fn page(&mut self, client: ClientId, page: Page, effects: &mut Vec<Effect>) {
        self.replay(client, Page { more: true, ..page }, effects);
    }

    fn replay(&mut self, client: ClientId, mut page: Page, effects: &mut Vec<Effect>) {
        let Some(member) = self.members.get_mut(client) else { return };
        let Stage::Replaying(replaying) = &mut member.stage else { return };
        let Replaying { after, own } = &mut **replaying;
        page.posts.retain(|post| own.binary_search(&post.seq).is_err());
        own.retain(|seq| *seq > page.looked_at);
        if page.more {
            *after = page.looked_at;
        } else {
            member.stage = Stage::Present;
        }
        let (room, stage_is_present) = (member.room, member.stage == Stage::Present);
        let is_empty = page.posts.is_empty();
        if !is_empty {
            effects.push(Effect::Replay { to: client, posts: page.posts });
        }
        if stage_is_present {
            let last = self.room(room).last;
            effects.push(Effect::Tune { client, room, last });
        } else if is_empty {
            self.drained(client, effects);
        }
    }

    /// A member has taken everything that it was sent: on with its backlog.
    pub fn drained(&mut self, client: ClientId, effects: &mut Vec<Effect>) {
        let Some(Member { room, stage: Stage::Replaying(replaying), .. }) = self.members.get(client) else {
            return;
        };
        let (room, after) = (self.room(*room), replaying.after);
        let name = Arc::clone(&room.name);
        // Far behind, it reads beside the log's order, so that nobody's post waits for it.
        let job = if room.last.saturating_sub(after) > PAGE_POSTS_MAX as u64 {
            let span = Span { room: name, after, upto: room.last, limit: PAGE_POSTS_MAX, not_by: None };
            Job::Page { to: client, span }
        } else {
            Job::Backlog { to: client, room: name, after }
        };
        effects.push(Effect::Log(job));
    }

    /// A member's socket is too slow for the live stream: `last` is the last post that it was sent, `own` are its own
    /// after that. [`Chat::drained`] follows once it has taken what it was sent.
    pub fn fell_behind(&mut self, client: ClientId, last: Seq, own: Vec<Seq>) {
        self.set_stage(client, Stage::replaying(last, own.into()));
    }

    fn set_stage(&mut self, client: ClientId, stage: Stage) {
        if let Some(member) = self.members.get_mut(client) {
            member.stage = stage;
        }
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

    /// Its name is free from now on.
    fn remove_person(&mut self, room: RoomId, id: PersonId) -> Option<Arc<str>> {
        let room = self.room_mut(room);
        let person = room.people.remove(id)?;
        let folded = message::fold(&person.name);
        if room.names.get(&folded) == Some(&id) {
            room.names.remove(&folded);
        }
        self.sessions.remove(&person.token);
        Some(person.name)
    }

    /// Tells the others that somebody is gone.
    fn tell_gone(&mut self, time: Time, room: RoomId, name: Arc<str>, effects: &mut Vec<Effect>) {
        let count = self.room(room).people.len();
        let is_bulk = count + 1 > self.rules.presence_bulk;
        self.announce_name(time, room, (name, None), Notice::Leave, is_bulk, effects);
        if !is_bulk {
            effects.push(Effect::Broadcast { room, event: Event::UserCount(count), author: None });
        }
        self.drop_room_if_unused(room);
    }

    fn announce(&mut self, time: Time, room_id: RoomId, person: PersonId, notice: Notice, effects: &mut Vec<Effect>) {
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

    fn make_room(&mut self, name: &str) -> RoomId {
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
    fn drop_room_if_unused(&mut self, id: RoomId) {
        let room = self.room(id);
        if room.people.is_empty() && room.last == 0 && room.partings == 0 && room.presence.due_ms.is_none() {
            self.by_name.remove(&*Arc::clone(&room.name));
            self.rooms[id.0 as usize] = None;
            self.free.push(id);
        }
    }

    fn find(&self, name: &str) -> Option<&Room> {
        self.by_name.get(name).map(|id| self.room(*id))
    }

    fn room(&self, id: RoomId) -> &Room {
        self.rooms[id.0 as usize].as_ref().expect("a room lives as long as somebody in it, or a post")
    }

    fn room_mut(&mut self, id: RoomId) -> &mut Room {
        self.rooms[id.0 as usize].as_mut().expect("a room lives as long as somebody in it, or a post")
    }

    fn person_mut(&mut self, room: RoomId, person: PersonId) -> &mut Person {
        self.room_mut(room).people.get_mut(person).expect("a member's person lives as long as the member")
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
