//! The log of the rooms in memory, for `--ephemeral`: the answers of `history.rs`, at once, for as long as it runs.
//!
//! Lives in the loop's own thread and waits for nothing. It keeps everything: how much that is, is the operator's
//! choice.

use std::collections::hash_map::{Entry, RandomState};
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use std::sync::{Arc, PoisonError, RwLock};

use crate::log::{
    Answer, Appended, HITS_MAX, Job, KeptPart, PAGE_BYTES_MAX, PAGE_LOOKED_MAX, PAGE_POSTS_MAX, PART_BYTES_MAX,
    PARTS_KEPT_MAX, Page, PartKey, PartKind, Posts, Span,
};
use crate::message::{Draft, Post, Seq, Uuid, fold, fresh_uuid};
use crate::words::{self, Query};

/// Posts that one search looks through, newest first; older ones are not found. The loop waits for it, some 5 ms.
pub const SEARCH_POSTS_MAX: usize = 8 * 1024;
/// Text that one search looks through, in bytes.
pub const SEARCH_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Posts of a room lie in chunks of so many: to append one never moves the others.
const CHUNK_POSTS: usize = 1024;

/// The log in memory.
pub struct Memory {
    epoch: Uuid,
    /// Shared with the summary worker; locked for one append, or for one page.
    shelf: Arc<RwLock<Shelf>>,
}

impl Default for Memory {
    fn default() -> Memory {
        Memory { epoch: fresh_uuid(), shelf: Arc::default() }
    }
}

impl Memory {
    /// An empty log, with an epoch of its own.
    pub fn new() -> Memory {
        Memory::default()
    }

    /// Names this history, which ends with the process.
    pub fn epoch(&self) -> Uuid {
        self.epoch
    }

    /// A way to the posts for another thread.
    pub fn posts(&self) -> MemoryPosts {
        MemoryPosts(self.shelf.clone())
    }

    /// Does a job at once. `None` where nobody waits for an answer.
    pub fn answer(&mut self, job: Job) -> Option<Answer> {
        // Nothing here panics halfway through a change, so a poisoned lock guards whole posts.
        let shelf = || self.shelf.read().unwrap_or_else(PoisonError::into_inner);
        Some(match job {
            Job::Append(draft) => {
                Answer::Appended(vec![self.shelf.write().unwrap_or_else(PoisonError::into_inner).append(draft)])
            }
            Job::Mark { to, room, reader, seq } => {
                self.shelf.write().unwrap_or_else(PoisonError::into_inner).mark(&room, &reader, seq);
                Answer::Marked { to: to? }
            }
            Job::Keep(part) => {
                self.shelf.write().unwrap_or_else(PoisonError::into_inner).parts.put(part);
                return None;
            }
            Job::Join { to, room, reader, after } => {
                let shelf = shelf();
                let page = after.map(|after| shelf.page(&Span::after(&room, after)));
                Answer::Joined { to, read: shelf.read_mark(&room, &reader), page: page.unwrap_or_default() }
            }
            Job::Backlog { to, room, after } => Answer::Backlog { to, page: shelf().page(&Span::after(&room, after)) },
            Job::Page { to, span } => Answer::Page { to, page: shelf().page(&span) },
            Job::Unread { to, room, reader, upto } => {
                let (read, count) = shelf().unread(&room, &reader, upto);
                Answer::Unread { to, read, count }
            }
            Job::Search { to, room, query, upto, limit } => {
                Answer::Found { to, posts: shelf().search(&room, &query, upto, limit) }
            }
        })
    }
}

/// The summary worker's way to the posts in memory.
#[derive(Clone)]
pub struct MemoryPosts(Arc<RwLock<Shelf>>);

impl Posts for MemoryPosts {
    fn page(&mut self, span: &Span) -> Result<Page, String> {
        Ok(self.0.read().unwrap_or_else(PoisonError::into_inner).page(span))
    }

    fn read_mark(&mut self, room: &str, reader: &str) -> Result<Seq, String> {
        Ok(self.0.read().unwrap_or_else(PoisonError::into_inner).read_mark(room, reader))
    }

    fn part(&mut self, key: &PartKey) -> Result<Option<(Seq, Vec<u8>)>, String> {
        Ok(self.0.read().unwrap_or_else(PoisonError::into_inner).parts.longest(key))
    }

    fn put_part(&mut self, part: KeptPart) -> Result<(), String> {
        self.0.write().unwrap_or_else(PoisonError::into_inner).parts.put(part);
        Ok(())
    }
}

/// Finished parts of summaries, [`PARTS_KEPT_MAX`] at most.
#[derive(Default)]
struct Parts {
    /// By all of the key but `upto`, then by that; each with when it was put.
    kept: BTreeMap<PartEnd, (u64, Box<[u8]>)>,
    /// In the order in which they were put: the first is the next to go.
    order: BTreeMap<u64, PartEnd>,
    puts: u64,
}

/// All of a key but where the part ends.
type PartPlace = (Arc<str>, PartKind, Box<str>, u32, Seq);
type PartEnd = (PartPlace, Seq);

impl Parts {
    fn place(key: &PartKey) -> PartPlace {
        (key.room.clone(), key.kind, key.model.clone(), key.prompt, key.after)
    }

    fn longest(&self, key: &PartKey) -> Option<(Seq, Vec<u8>)> {
        let place = Parts::place(key);
        let ((_, upto), (_, bytes)) = self.kept.range((place.clone(), 0)..=(place, key.upto)).next_back()?;
        Some((*upto, bytes.to_vec()))
    }

    fn put(&mut self, part: KeptPart) {
        if part.bytes.len() > PART_BYTES_MAX {
            return;
        }
        let place = Parts::place(&part.key);
        let shorter = (place.clone(), 0)..=(place.clone(), part.key.upto);
        let replaced: Vec<_> = self.kept.range(shorter).map(|(at, (put, _))| (at.clone(), *put)).collect();
        for (at, put) in replaced {
            self.kept.remove(&at);
            self.order.remove(&put);
        }
        self.puts += 1;
        let at = (place, part.key.upto);
        self.order.insert(self.puts, at.clone());
        self.kept.insert(at, (self.puts, part.bytes));
        if self.kept.len() > PARTS_KEPT_MAX
            && let Some((_, at)) = self.order.pop_first()
        {
            self.kept.remove(&at);
        }
    }
}

/// All rooms.
#[derive(Default)]
struct Shelf {
    by_name: HashMap<Arc<str>, usize>,
    rooms: Vec<Room>,
    people: People,
    parts: Parts,
    /// Seeds of its own, so that nobody can choose a `client_id` that meets another's.
    hasher: RandomState,
}

#[derive(Default)]
struct Room {
    /// All full but the last.
    chunks: Vec<Vec<Stored>>,
    /// The first post of each (person, `client_id`), by their hash; which one it is, the post itself tells.
    firsts: HashMap<u64, Seq>,
    /// The posts of each person, ascending: unread posts are counted without looking at them.
    own: BTreeMap<Person, Vec<Seq>>,
    /// By folded name.
    marks: HashMap<Box<str>, Seq>,
}

struct Stored {
    post: Post,
    person: Person,
}

/// Whoever writes under one name, without regard to case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Person(u32);

#[derive(Default)]
struct People {
    /// By the name as written: one copy of each for all its posts.
    names: HashMap<Arc<str>, Person>,
    folded: HashMap<Box<str>, Person>,
}

impl People {
    fn admit(&mut self, name: &Arc<str>) -> (Arc<str>, Person) {
        if let Some((name, person)) = self.names.get_key_value(name) {
            return (name.clone(), *person);
        }
        let next = Person(u32::try_from(self.folded.len()).expect("memory ends before four billion names"));
        let person = *self.folded.entry(fold(name)).or_insert(next);
        self.names.insert(name.clone(), person);
        (name.clone(), person)
    }

    fn find(&self, name: &str) -> Option<Person> {
        self.folded.get(&*fold(name)).copied()
    }
}

impl Room {
    fn last(&self) -> Seq {
        let full = self.chunks.len().saturating_sub(1) * CHUNK_POSTS;
        (full + self.chunks.last().map_or(0, Vec::len)) as Seq
    }

    /// The post of a number from 1 to `last()`.
    fn get(&self, seq: Seq) -> &Stored {
        let index = usize::try_from(seq - 1).expect("posts in memory are counted by a usize");
        &self.chunks[index / CHUNK_POSTS][index % CHUNK_POSTS]
    }

    fn push(&mut self, stored: Stored) {
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK_POSTS) {
            // A room of few posts stays small; from the second on the chunks are of full size.
            let size = if self.chunks.is_empty() { 0 } else { CHUNK_POSTS };
            self.chunks.push(Vec::with_capacity(size));
        }
        self.own.entry(stored.person).or_default().push(stored.post.seq);
        self.chunks.last_mut().expect("there is one now").push(stored);
    }
}

impl Shelf {
    fn room(&self, name: &str) -> Option<&Room> {
        self.by_name.get(name).map(|index| &self.rooms[*index])
    }

    fn append(&mut self, draft: Draft) -> Appended {
        let Draft { from, room: name, author, text, at_ms, client_id } = draft;
        let (author, person) = self.people.admit(&author);
        // Not `entry`: the name would be cloned for each post.
        let index = self.by_name.get(&name).copied().unwrap_or_else(|| {
            self.by_name.insert(name.clone(), self.rooms.len());
            self.rooms.push(Room::default());
            self.rooms.len() - 1
        });
        let room = &mut self.rooms[index];
        let seq = room.last() + 1;
        if let Some(id) = &client_id {
            match room.firsts.entry(self.hasher.hash_one((person, id))) {
                Entry::Vacant(vacant) => {
                    vacant.insert(seq);
                }
                Entry::Occupied(first) => {
                    let first = *first.get();
                    let first = room.get(first);
                    if first.person == person && first.post.client_id == client_id {
                        return Appended { post: first.post.clone(), room: name, from, is_repeat: true };
                    }
                }
            }
        }
        let post = Post { seq, uuid: fresh_uuid(), author, text, at_ms, client_id };
        room.push(Stored { post: post.clone(), person });
        Appended { post, room: name, from, is_repeat: false }
    }

    fn mark(&mut self, room: &str, reader: &str, seq: Seq) {
        let Some(room) = self.by_name.get(room).map(|index| &mut self.rooms[*index]) else { return };
        let seq = seq.min(room.last());
        let mark = room.marks.entry(fold(reader)).or_default();
        *mark = seq.max(*mark);
    }

    fn read_mark(&self, room: &str, reader: &str) -> Seq {
        self.room(room).and_then(|room| room.marks.get(&*fold(reader))).copied().unwrap_or(0)
    }

    fn page(&self, span: &Span) -> Page {
        let mut page = Page { looked_at: span.after, ..Page::default() };
        let Some(room) = self.room(&span.room) else { return page };
        let own = span.not_by.as_ref().and_then(|name| self.people.find(name));
        let (mut bytes, mut looked) = (0, 0);
        let limit = span.limit.min(PAGE_POSTS_MAX);
        for seq in span.after.saturating_add(1)..=span.upto.min(room.last()) {
            if page.posts.len() >= limit || bytes > PAGE_BYTES_MAX || looked >= PAGE_LOOKED_MAX {
                page.more = true;
                break;
            }
            looked += 1;
            page.looked_at = seq;
            let stored = room.get(seq);
            if own != Some(stored.person) {
                bytes += stored.post.text.len();
                page.posts.push(stored.post.clone());
            }
        }
        page
    }

    fn unread(&self, room: &str, reader: &str, upto: Seq) -> (Seq, u64) {
        let read = self.read_mark(room, reader);
        let Some(room) = self.room(room) else { return (0, 0) };
        let upto = upto.min(room.last());
        let own = self.people.find(reader).and_then(|person| room.own.get(&person));
        let own = own.map_or(0, |own| {
            own.partition_point(|seq| *seq <= upto).saturating_sub(own.partition_point(|seq| *seq <= read))
        });
        (read, upto.saturating_sub(read).saturating_sub(own as u64))
    }

    fn search(&self, room: &str, typed: &str, upto: Seq, limit: usize) -> Vec<Post> {
        let (Some(room), Some(query)) = (self.room(room), Query::parse(typed)) else { return Vec::new() };
        let limit = limit.min(HITS_MAX);
        let hits = room.hits(&query, upto, limit);
        match query.opened() {
            Some(open) if hits.is_empty() => room.hits(&open, upto, limit),
            _ => hits,
        }
    }
}

impl Room {
    fn hits(&self, query: &Query, upto: Seq, limit: usize) -> Vec<Post> {
        let mut hits = Vec::new();
        let (mut spread, mut bytes) = (String::new(), 0);
        for seq in (1..=upto.min(self.last())).rev().take(SEARCH_POSTS_MAX) {
            if hits.len() == limit || bytes > SEARCH_BYTES_MAX {
                break;
            }
            let post = &self.get(seq).post;
            bytes += post.text.len();
            spread.clear();
            words::spread(&post.text, &mut spread);
            if query.matches(&spread) {
                hits.push(post.clone());
            }
        }
        hits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::tests::{Directory, Log, ME, draft};

    /// Numbers from a seed, so that a failure can be seen again.
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self, below: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % below
        }

        fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
            from[self.roll(from.len() as u64) as usize]
        }
    }

    fn random_job(dice: &mut Dice) -> Job {
        let room: Arc<str> = dice.pick(&["den", "zoo", "lobby"]).into();
        let reader: Arc<str> = dice.pick(&["Ann", "ann", "ANN", "Bob", "Émile", "éMILE", "Eve"]).into();
        let words = ["tea", "the café", "東京", "京都", "deploy", "deployment", "e-mail", "?", "The END"];
        match dice.roll(12) {
            0..6 => {
                let text = format!("{} {}", dice.pick(&words), dice.pick(&words));
                let client_id = (dice.roll(2) == 0).then(|| dice.roll(40).to_string().into());
                Job::Append(Draft { client_id, ..draft(&room, &reader, &text) })
            }
            6 => Job::Mark { to: Some(ME), room, reader, seq: dice.roll(500) },
            7 => Job::Join { to: ME, room, reader, after: (dice.roll(2) == 0).then(|| dice.roll(500)) },
            8 => Job::Backlog { to: ME, room, after: dice.roll(500) },
            9 => {
                let not_by = (dice.roll(2) == 0).then_some(reader);
                let (after, upto, limit) = (dice.roll(500), dice.roll(700), dice.roll(300) as usize);
                Job::Page { to: ME, span: Span { room, after, upto, limit, not_by } }
            }
            10 => Job::Unread { to: ME, room, reader, upto: dice.roll(600) },
            _ => {
                let query = format!("{} {}", dice.pick(&words), dice.pick(&["", "dep", "caf", "e", "都"]));
                Job::Search { to: ME, room, query: query.into(), upto: dice.roll(600), limit: dice.roll(250) as usize }
            }
        }
    }

    /// An answer without the UUIDs, which are random.
    fn shown(mut answer: Answer) -> String {
        let none = Uuid::from_bytes([0; 16]);
        match &mut answer {
            Answer::Appended(appended) => appended.iter_mut().for_each(|a| a.post.uuid = none),
            Answer::Joined { page, .. } | Answer::Backlog { page, .. } | Answer::Page { page, .. } => {
                page.posts.iter_mut().for_each(|post| post.uuid = none);
            }
            Answer::Found { posts, .. } => posts.iter_mut().for_each(|post| post.uuid = none),
            _ => {}
        }
        format!("{answer:?}")
    }

    fn again(job: &Job) -> Job {
        match job {
            Job::Append(draft) => Job::Append(draft.clone()),
            Job::Join { to, room, reader, after } => {
                Job::Join { to: *to, room: room.clone(), reader: reader.clone(), after: *after }
            }
            Job::Backlog { to, room, after } => Job::Backlog { to: *to, room: room.clone(), after: *after },
            Job::Keep(part) => Job::Keep(part.clone()),
            Job::Mark { to, room, reader, seq } => {
                Job::Mark { to: *to, room: room.clone(), reader: reader.clone(), seq: *seq }
            }
            Job::Page { to, span } => Job::Page { to: *to, span: span.clone() },
            Job::Unread { to, room, reader, upto } => {
                Job::Unread { to: *to, room: room.clone(), reader: reader.clone(), upto: *upto }
            }
            Job::Search { to, room, query, upto, limit } => {
                Job::Search { to: *to, room: room.clone(), query: query.clone(), upto: *upto, limit: *limit }
            }
        }
    }

    #[test]
    fn memory_answers_as_the_file_does() {
        for seed in 0..4 {
            let directory = Directory::new(&format!("alike-{seed}"));
            let log = Log::open(&directory.file("a.db"));
            let mut memory = Memory::new();
            let mut dice = Dice(seed);
            for step in 0..2500 {
                let job = random_job(&mut dice);
                let asked = format!("seed {seed}, step {step}: {job:?}");
                let from_file = log.ask(again(&job));
                let from_memory = memory.answer(job).expect("somebody waits");
                assert_eq!(shown(from_memory), shown(from_file), "{asked}");
            }
        }
    }

    #[test]
    fn posts_of_many_chunks_are_found_by_their_numbers() {
        let mut memory = Memory::new();
        for n in 1..=3 * CHUNK_POSTS as Seq + 5 {
            let Some(Answer::Appended(appended)) = memory.answer(Job::Append(draft("den", "Ann", "hi"))) else {
                panic!()
            };
            assert_eq!(appended[0].post.seq, n);
        }
        let span = Span { limit: 3, ..Span::after(&"den".into(), CHUNK_POSTS as Seq - 1) };
        let page = memory.posts().page(&span).expect("memory can be read");
        assert_eq!(page.posts.iter().map(|post| post.seq).collect::<Vec<_>>(), [1024, 1025, 1026]);
        assert!(page.more);
    }

    #[test]
    fn a_search_in_memory_ends_although_nothing_is_found() {
        let mut memory = Memory::new();
        memory.answer(Job::Append(draft("den", "Ann", "needle")));
        (0..SEARCH_POSTS_MAX).for_each(|_| drop(memory.answer(Job::Append(draft("den", "Ann", "hay")))));
        let search = Job::Search { to: ME, room: "den".into(), query: "needle".into(), upto: Seq::MAX, limit: 9 };
        assert!(matches!(memory.answer(search), Some(Answer::Found { posts, .. }) if posts.is_empty()));
    }

    #[test]
    fn a_mark_that_nobody_waits_for_has_no_answer() {
        let mut memory = Memory::new();
        memory.answer(Job::Append(draft("den", "Ann", "hi")));
        assert!(memory.answer(Job::Mark { to: None, room: "den".into(), reader: "Bob".into(), seq: 1 }).is_none());
        assert_eq!(memory.posts().read_mark("den", "BOB"), Ok(1));
    }
}
