//! Seeded schedules against the pure half of the server: `Chat`, `Connections` with their tapes, `Memory` as the log.
//!
//! Users join, talk, stall, vanish in the middle of a frame, come back and resume; the log answers late and in groups,
//! refuses now and then, and the whole server crashes and starts again. Whatever happens: nobody sees a message twice,
//! none is skipped, and when all has come to rest everyone has exactly the log. A failure names its seed:
//! `SIM_SEED=123 cargo test --test sim`.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use catchup::chat::{Chat, Effect, Hello, Rules, Time};
use catchup::connection::{Connections, Stream};
use catchup::log::{Answer, Appended, Job, PAGE_POSTS_MAX, Posts, Span};
use catchup::memory::{Memory, MemoryPosts};
use catchup::message::{ClientId, CloseReason, Draft, Encoder, Event, Seq, Uuid, fresh_uuid, parse_uuid};
use catchup::peer::Peer;
use catchup::ws::{self, Session};
use serde_json::{Value, json};

const SCHEDULES: u64 = 2000;
const USERS: usize = 5;
const STEPS: usize = 160;
/// Turns in which everything must have come to rest.
const REST_TURNS_MAX: usize = 4000;
const ROOM: &str = "den";
/// More posts than two pages of a backlog hold.
const LONG: usize = 2 * PAGE_POSTS_MAX + 100;

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) % sides as u64) as usize
    }

    fn one_in(&mut self, sides: usize) -> bool {
        self.roll(sides) == 0
    }
}

/// A socket that takes so many bytes, and keeps them for its client.
#[derive(Default)]
struct Pipe {
    room: usize,
    got: Vec<u8>,
    is_shut: bool,
}

struct Wire(Rc<RefCell<Pipe>>);

impl Read for Wire {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut pipe = self.0.borrow_mut();
        if pipe.room == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        let count = bytes.len().min(pipe.room);
        pipe.room -= count;
        pipe.got.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Wire {
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.0.borrow_mut().is_shut = true;
        Ok(())
    }
}

/// What a user has of its present connection.
struct Line {
    id: ClientId,
    pipe: Rc<RefCell<Pipe>>,
    /// Bytes of a frame that has come in part.
    partial: Vec<u8>,
    /// The last message shown on this line; `None` until it is known where the line begins.
    shown: Option<Seq>,
    since: Option<Seq>,
    /// What it said first on this line: unless it resumes, it must never be shown that.
    own: BTreeSet<String>,
}

/// Somebody who talks, and keeps account.
struct User {
    name: String,
    is_v2: bool,
    line: Option<Line>,
    token: Option<Uuid>,
    /// Where its account begins: `None` until its first session says so.
    base: Option<Seq>,
    /// Messages that it was shown.
    shown: BTreeSet<Seq>,
    /// Its own, by their `client_id`: acked with this number, or not yet.
    said: BTreeMap<String, Option<Seq>>,
}

impl User {
    /// The last message up to which it has everything: what it resumes from.
    fn complete_to(&self) -> Option<Seq> {
        let mut at = self.base?;
        while self.shown.contains(&(at + 1)) || self.said.values().any(|id| *id == Some(at + 1)) {
            at += 1;
        }
        Some(at)
    }

    fn own(&self) -> BTreeSet<Seq> {
        self.said.values().flatten().copied().collect()
    }
}

/// The server without its sockets and threads, and all of its users.
struct World {
    dice: Dice,
    memory: Memory,
    epoch: Uuid,
    chat: Chat,
    connections: Connections<Wire>,
    effects: Vec<Effect>,
    encoder: Encoder,
    /// To the writer of the log, answered in this order.
    jobs: VecDeque<Job>,
    answers: VecDeque<Answer>,
    /// To its readers, answered in any order.
    reads: Vec<Job>,
    users: Vec<User>,
    /// Connections whose clients are gone, which the server does not know yet.
    orphans: Vec<ClientId>,
    now_ms: u64,
    said: usize,
    text_len: usize,
    /// Somebody will talk a lot while it does not listen.
    has_talker: bool,
    is_resting: bool,
}

fn new_chat(epoch: Uuid, posts: &mut MemoryPosts) -> Chat {
    let last = last(posts);
    let known = (last > 0).then(|| (Arc::from(ROOM), last));
    // Presence in batches and at once, in one room.
    Chat::new(Rules { epoch, allow_duplicate_names: false, presence_bulk: 3, grace_ms: 50 }, known)
}

fn log_of(posts: &mut MemoryPosts) -> Vec<catchup::message::Post> {
    let mut span = Span::after(&Arc::from(ROOM), 0);
    let mut all = Vec::new();
    loop {
        let page = posts.page(&span).expect("memory can be read");
        all.extend(page.posts);
        if !page.more {
            return all;
        }
        span.after = page.looked_at;
    }
}

fn last(posts: &mut MemoryPosts) -> Seq {
    log_of(posts).last().map_or(0, |post| post.seq)
}

impl World {
    fn new(seed: u64) -> World {
        let mut dice = Dice(seed);
        let mut memory = Memory::new();
        let epoch = memory.epoch();
        // A room with a past: who comes first reads all of it, in several pages.
        let is_old = dice.one_in(20);
        let nobody = ClientId { slot: u32::MAX, generation: 0 };
        for n in 0..if is_old { LONG + dice.roll(PAGE_POSTS_MAX) } else { 0 } {
            let (text, id) = (format!("old {n}").into(), Some(format!("old-{n}").into()));
            memory.answer(Job::Append(Draft {
                from: nobody,
                room: ROOM.into(),
                author: "Elder".into(),
                text,
                at_ms: 0,
                client_id: id,
            }));
        }
        let user = |n: usize| User {
            name: format!("user{n}"),
            is_v2: n > 1,
            line: None,
            token: None,
            base: (is_old && n > 1).then_some(0),
            shown: BTreeSet::new(),
            said: BTreeMap::new(),
        };
        // Long texts bring members so far behind that they leave the tape.
        let text_len = if dice.one_in(6) { 16_000 } else { 40 };
        let has_talker = text_len > 1000 && dice.one_in(10);
        World {
            chat: new_chat(epoch, &mut memory.posts()),
            memory,
            epoch,
            dice,
            connections: Connections::new(),
            effects: Vec::new(),
            encoder: Encoder::default(),
            jobs: VecDeque::new(),
            answers: VecDeque::new(),
            reads: Vec::new(),
            users: (0..USERS).map(user).collect(),
            orphans: Vec::new(),
            now_ms: 1,
            said: 0,
            text_len,
            has_talker,
            is_resting: false,
        }
    }

    /// One user stops listening, the others say so much that it falls behind, and then it talks for pages alone.
    fn talk_alone(&mut self, n: usize) {
        let Some(line) = &self.users[n].line else { return };
        let id = line.id;
        line.pipe.borrow_mut().room = 0;
        self.has_talker = false;
        let others: Vec<usize> = (0..USERS).filter(|other| *other != n && self.users[*other].line.is_some()).collect();
        for turn in 0..40 {
            others.iter().for_each(|other| self.say(*other));
            self.work();
            self.complete();
            if turn % 8 == 0 {
                self.settle();
            }
        }
        self.settle();
        let text_len = std::mem::replace(&mut self.text_len, 4);
        for _ in 0..LONG {
            self.said += 1;
            let key = format!("{n}-{}", self.said);
            self.repeat(n, id, &key);
        }
        self.text_len = text_len;
    }

    fn time(&self) -> Time {
        Time { now_ms: self.now_ms, at_ms: 0 }
    }

    fn perform(&mut self) {
        while !self.effects.is_empty() {
            for effect in std::mem::take(&mut self.effects) {
                self.perform_one(effect);
            }
        }
    }

    fn perform_one(&mut self, effect: Effect) {
        match effect {
            Effect::Send { to, event } => self.send(to, &event),
            Effect::Replay { to, posts } => {
                posts.into_iter().for_each(|post| self.send(to, &Event::Message(post)));
                if let Some(connection) = self.connections.touch(to) {
                    connection.wants_drained = true;
                }
            }
            Effect::Broadcast { room, event, author } => {
                let post = if let Event::Message(post) = &event { Some(post.seq) } else { None };
                let payload = self.encoded(&event);
                self.connections.broadcast(room, post, author, |out| ws::write_text(out, &payload));
            }
            Effect::Tune { client, room, last } => self.connections.tune(client, room, last),
            Effect::Untune { client } => self.connections.untune(client),
            Effect::Log(job @ Job::Page { .. }) => self.reads.push(job),
            Effect::Log(job) => self.jobs.push_back(job),
            Effect::Close { to, reason } => {
                let now_ms = self.now_ms;
                if let Some(connection) = self.connections.touch(to) {
                    connection.close(reason, now_ms);
                }
            }
            Effect::Whisper { .. } | Effect::Print(_) | Effect::Posted { .. } | Effect::PostRefused { .. } => {}
        }
    }

    fn encoded(&mut self, event: &Event) -> Vec<u8> {
        let mut payload = Vec::new();
        self.encoder.event(&mut payload, event);
        payload
    }

    fn send(&mut self, to: ClientId, event: &Event) {
        let payload = self.encoded(event);
        if let Some(out) = self.connections.touch(to).and_then(|connection| connection.writer()) {
            ws::write_text(out, &payload);
        }
    }

    /// The end of a turn.
    fn settle(&mut self) {
        self.now_ms += self.dice.roll(30) as u64;
        let mut dead = Vec::new();
        let settled = self.connections.settle(self.now_ms, |connection, reason| dead.push((connection.id, reason)));
        let time = self.time();
        for (id, reason) in dead {
            self.chat.leave(time, id, reason.is_goodbye(), &mut self.effects);
        }
        for (id, last, own) in settled.behind {
            self.chat.fell_behind(id, last, own);
        }
        for id in settled.drained {
            self.chat.drained(id, &mut self.effects);
        }
        self.perform();
        if self.chat.next_due_ms().is_some_and(|due| due <= self.now_ms) {
            self.chat.expire(time, &mut self.effects);
            self.perform();
        }
    }

    /// The log takes some of what waits for it, in groups of appended drafts.
    fn work(&mut self) {
        let count = self.dice.roll(self.jobs.len() + 1);
        let mut group: Vec<Appended> = Vec::new();
        for job in self.jobs.drain(..count).collect::<Vec<_>>() {
            if let Job::Append(draft) = &job
                && !self.is_resting
                && self.dice.one_in(40)
            {
                flush(&mut group, &mut self.answers);
                self.answers.push_back(Answer::Refused(vec![draft.clone()], "the disk is full".into()));
                continue;
            }
            match self.memory.answer(job).expect("somebody waits for each") {
                Answer::Appended(mut one) => {
                    group.append(&mut one);
                    if self.dice.one_in(3) {
                        flush(&mut group, &mut self.answers);
                    }
                }
                other => {
                    flush(&mut group, &mut self.answers);
                    self.answers.push_back(other);
                }
            }
        }
        flush(&mut group, &mut self.answers);
    }

    /// Some answers reach the core.
    fn complete(&mut self) {
        for _ in 0..self.dice.roll(self.answers.len() + 1) {
            let answer = self.answers.pop_front().expect("counted above");
            match answer {
                Answer::Appended(appended) => self.chat.appended(appended, &mut self.effects),
                Answer::Refused(drafts, why) => self.chat.refused(drafts, &why, &mut self.effects),
                Answer::Joined { to, read, page } => self.chat.joined(to, read, page, &mut self.effects),
                Answer::Backlog { to, page } => self.chat.backlog(to, page, &mut self.effects),
                other => panic!("nobody asked for {other:?}"),
            }
            self.perform();
        }
        if !self.reads.is_empty() && (self.is_resting || self.dice.one_in(3)) {
            let at = self.dice.roll(self.reads.len());
            let Some(Answer::Page { to, page }) = self.memory.answer(self.reads.swap_remove(at)) else {
                panic!("a page was asked for");
            };
            self.chat.page(to, page, &mut self.effects);
            self.perform();
        }
    }

    fn join(&mut self, n: usize) {
        let pipe = Rc::new(RefCell::new(Pipe { room: self.dice.roll(3000), ..Pipe::default() }));
        let peer = Peer::from(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let id = self.connections.admit(Wire(Rc::clone(&pipe)), peer, self.now_ms);
        let now_ms = self.now_ms;
        let connection = self.connections.touch(id).expect("just admitted");
        connection.upgrade(Session::new(64 * 1024), Vec::new(), now_ms);
        let user = &mut self.users[n];
        let since = if user.is_v2 { user.complete_to() } else { None };
        // A plain client is in the live stream at once.
        let shown = if user.is_v2 { since } else { Some(self.chat.last(ROOM)) };
        user.line = Some(Line { id, pipe, partial: Vec::new(), shown, since, own: BTreeSet::new() });
        let hello = Hello {
            room: ROOM.into(),
            name: user.name.as_str().into(),
            is_v2: user.is_v2,
            session: user.token,
            since,
            epoch: Some(self.epoch),
            peer,
            fresh: [fresh_uuid(), fresh_uuid()],
        };
        self.chat.join(self.time(), id, hello, &mut self.effects);
        self.perform();
    }

    fn say(&mut self, n: usize) {
        let Some(line) = &self.users[n].line else { return };
        let id = line.id;
        // Now and then it repeats what was not acked: it cannot know whether that was stored.
        let open: Vec<&String> = self.users[n].said.iter().filter(|(_, id)| id.is_none()).map(|(key, _)| key).collect();
        let key = if !open.is_empty() && self.dice.one_in(4) {
            open[self.dice.roll(open.len())].clone()
        } else {
            self.said += 1;
            format!("{n}-{}", self.said)
        };
        self.repeat(n, id, &key);
    }

    fn repeat(&mut self, n: usize, id: ClientId, key: &str) {
        let user = &mut self.users[n];
        if !user.said.contains_key(key) {
            user.said.insert(key.to_owned(), None);
            user.line.iter_mut().for_each(|line| line.own.extend([key.to_owned()]));
        }
        let text = format!("{key} {}", "x".repeat(self.text_len));
        let frame = json!({"type": "message", "message": text, "client_id": key}).to_string();
        self.chat.receive(self.time(), id, &frame, &mut self.effects);
        self.perform();
    }

    /// The socket takes more bytes, and the client reads what has come.
    fn listen(&mut self, n: usize, bytes: usize) {
        let Some(line) = &mut self.users[n].line else { return };
        let id = line.id;
        let arrived = {
            let mut pipe = line.pipe.borrow_mut();
            pipe.room += bytes;
            std::mem::take(&mut pipe.got)
        };
        self.connections.writable(id);
        line.partial.extend(arrived);
        let is_shut = line.pipe.borrow().is_shut;
        loop {
            let Some(line) = &mut self.users[n].line else { return };
            let Some((first, payload)) = next_frame(&mut line.partial) else { break };
            if first == 0x81 {
                let frame: Value = serde_json::from_slice(&payload).expect("frames are JSON");
                self.hear(n, &frame);
            }
        }
        if is_shut && self.users[n].line.as_ref().is_some_and(|line| line.pipe.borrow().got.is_empty()) {
            self.users[n].line = None;
            self.orphans.push(id);
        }
    }

    fn hear(&mut self, n: usize, frame: &Value) {
        let user = &mut self.users[n];
        let line = user.line.as_mut().expect("it is listening");
        match frame["type"].as_str().expect("a type") {
            "session" => {
                assert_eq!(frame["resumed"], line.since.is_some(), "{}: {frame}", user.name);
                user.token = frame["session"].as_str().and_then(parse_uuid);
                let last = frame["last_id"].as_u64().expect("a number");
                user.base.get_or_insert(last);
                line.shown.get_or_insert(last);
            }
            "ack" => {
                let key = frame["client_id"].as_str().expect("a text");
                let id = frame["id"].as_u64().expect("a number");
                let first = user.said.get_mut(key).expect("it said so").get_or_insert(id);
                assert_eq!(*first, id, "{}: {key} was acked under two ids", user.name);
            }
            "message" => {
                let id = frame["id"].as_u64().expect("a number");
                let before = line.shown.unwrap_or_else(|| panic!("{} was shown {id} before its session", user.name));
                assert!(id > before, "{} was shown {id} after {before}", user.name);
                let key = frame["client_id"].as_str().expect("all have one");
                let is_own = line.since.is_none() && line.own.contains(key);
                assert!(!is_own, "{} was shown {id}, its own", user.name);
                line.shown = Some(id);
                if user.is_v2 {
                    assert!(user.shown.insert(id), "{} was shown {id} twice", user.name);
                }
                let own = user.own();
                let skipped: Vec<Seq> = (before + 1..id).filter(|id| !own.contains(id)).collect();
                assert!(skipped.is_empty(), "{} was shown {id} after {before} without {skipped:?}", user.name);
            }
            _ => {}
        }
    }

    /// The client is gone; the server learns it now or later.
    fn vanish(&mut self, n: usize) {
        let Some(line) = self.users[n].line.take() else { return };
        self.orphans.push(line.id);
    }

    fn bury(&mut self) {
        if self.orphans.is_empty() {
            return;
        }
        let at = self.dice.roll(self.orphans.len());
        let id = self.orphans.swap_remove(at);
        let reason = if self.dice.one_in(3) { CloseReason::Goodbye } else { CloseReason::Gone };
        if let Some(connection) = self.connections.touch(id) {
            connection.kill(reason);
        }
    }

    /// kill -9: what the log has stored is all that is left.
    fn crash(&mut self) {
        self.chat = new_chat(self.epoch, &mut self.memory.posts());
        self.connections = Connections::new();
        self.effects.clear();
        self.jobs.clear();
        self.answers.clear();
        self.reads.clear();
        self.orphans.clear();
        self.users.iter_mut().for_each(|user| user.line = None);
    }

    fn step(&mut self) {
        let n = self.dice.roll(USERS);
        match self.dice.roll(24) {
            0..=7 => self.say(n),
            8..=10 if self.users[n].line.is_none() => self.join(n),
            8..=12 => {
                let bytes = self.dice.roll(if self.text_len > 1000 { 60_000 } else { 2000 });
                self.listen(n, bytes);
            }
            13 => self.vanish(n),
            14 => self.bury(),
            15..=17 => self.work(),
            18..=20 => self.complete(),
            21 if self.dice.one_in(12) => self.crash(),
            21 if self.has_talker => self.talk_alone(n),
            _ => self.settle(),
        }
    }

    /// Everybody is back, reads on and repeats what was not acked, until nothing happens any more.
    fn rest(&mut self) {
        self.is_resting = true;
        for turn in 0..REST_TURNS_MAX {
            self.bury();
            for n in 0..USERS {
                if self.users[n].line.is_none() {
                    self.join(n);
                }
                self.listen(n, 1 << 20);
                let line = self.users[n].line.as_ref().map(|line| line.id);
                let open = self.users[n].said.iter().filter(|(_, id)| id.is_none());
                let open: Vec<String> = open.map(|(key, _)| key.clone()).take(100).collect();
                if let (Some(id), true) = (line, turn % 16 == 0) {
                    open.iter().for_each(|key| self.repeat(n, id, key));
                }
            }
            self.work();
            self.complete();
            self.settle();
            let is_said = self.users.iter().all(|user| user.said.values().all(Option::is_some));
            let is_idle = self.jobs.is_empty() && self.answers.is_empty() && self.reads.is_empty();
            let is_here = self.orphans.is_empty() && self.users.iter().all(|user| user.line.is_some());
            if is_said && is_idle && is_here && self.is_up_to_date() {
                return;
            }
        }
        let last = last(&mut self.memory.posts());
        for user in &self.users {
            let open = user.said.values().filter(|id| id.is_none()).count();
            let at = user.complete_to();
            eprintln!("{}: complete to {at:?} of {last}, {open} not acked, online {}", user.name, user.line.is_some());
        }
        panic!("it does not come to rest: jobs {:?}, reads {:?}", self.jobs, self.reads);
    }

    fn is_up_to_date(&self) -> bool {
        let last = self.chat.last(ROOM);
        self.users.iter().all(|user| match &user.line {
            _ if user.is_v2 => user.complete_to() == Some(last),
            // A plain client has no account: only what was said since it came.
            Some(line) => {
                let own = user.own();
                line.shown.is_some_and(|shown| (shown + 1..=last).all(|id| own.contains(&id)))
            }
            None => false,
        })
    }

    /// Everyone has exactly the log, and everything said is in it once.
    fn check(&mut self) {
        let log = log_of(&mut self.memory.posts());
        assert!(log.iter().map(|post| post.seq).eq(1..=log.len() as Seq), "ids have a gap or are used twice");
        assert_eq!(self.chat.last(ROOM), log.len() as Seq);
        let keys: Vec<&str> = log.iter().map(|post| post.client_id.as_deref().expect("all have one")).collect();
        let once: BTreeSet<&str> = keys.iter().copied().collect();
        assert_eq!(keys.len(), once.len(), "a repeat was stored twice");
        for user in &self.users {
            for (key, id) in &user.said {
                let id = id.expect("it came to rest");
                assert_eq!(keys[id as usize - 1], key, "{} was told a wrong id", user.name);
            }
            if let Some(base) = user.base {
                let mut has = user.own();
                has.extend(&user.shown);
                assert!(has.range(base + 1..).copied().eq(base + 1..=log.len() as Seq), "{}", user.name);
            }
        }
    }
}

fn flush(group: &mut Vec<Appended>, answers: &mut VecDeque<Answer>) {
    if !group.is_empty() {
        answers.push_back(Answer::Appended(std::mem::take(group)));
    }
}

/// Takes a whole frame from the front.
fn next_frame(bytes: &mut Vec<u8>) -> Option<(u8, Vec<u8>)> {
    let (at, len) = match bytes.get(1)? & 0x7f {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize),
        len => (2, usize::from(len)),
    };
    let payload = bytes.get(at..at + len)?.to_vec();
    let first = bytes[0];
    bytes.drain(..at + len);
    Some((first, payload))
}

fn run(seed: u64) -> usize {
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        world.step();
    }
    world.rest();
    world.check();
    last(&mut world.memory.posts()) as usize
}

#[test]
fn whatever_happens_everyone_who_is_up_to_date_has_exactly_the_log() {
    if let Some(seed) = std::env::var("SIM_SEED").ok().and_then(|seed| seed.parse().ok()) {
        run(seed);
        return;
    }
    // Each thread takes the seeds of one remainder.
    const THREADS: u64 = 2;
    let schedules = |thread: u64| {
        let run_named = |seed| {
            let run = catch_unwind(AssertUnwindSafe(|| run(seed)));
            run.unwrap_or_else(|_| panic!("schedule {seed} has failed: SIM_SEED={seed} cargo test --test sim"))
        };
        (thread..SCHEDULES).step_by(THREADS as usize).map(run_named).sum::<usize>()
    };
    let posts: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || schedules(thread))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a schedule has failed: see above")).sum()
    });
    assert!(posts > SCHEDULES as usize * 10, "only {posts} posts in {SCHEDULES} schedules: they test little");
}
