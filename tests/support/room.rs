//! A log in memory for the summary worker, and a worker over it.
#![allow(dead_code)]

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use catchup::log::{KeptPart, PAGE_POSTS_MAX, Page, PartKey, Posts, Span};
use catchup::message::{ClientId, Post, Seq, fresh_uuid};
use catchup::summary::{Answer, Ask, Engine, Handle, Settings, start};
use serde_json::Value;

/// How long a test waits for an answer that must come.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The posts of one room and its read marks.
#[derive(Clone, Default)]
pub struct Room {
    posts: Arc<Mutex<Vec<Post>>>,
    marks: Arc<Mutex<HashMap<String, Seq>>>,
    is_broken: Arc<Mutex<bool>>,
    panics: Arc<AtomicUsize>,
    parts: Arc<Mutex<Vec<KeptPart>>>,
}

impl Room {
    /// A room with these posts, one a second.
    pub fn of<S: AsRef<str>, T: AsRef<str>>(said: &[(S, T)]) -> Room {
        let room = Room::default();
        for (author, text) in said {
            room.say(author.as_ref(), text.as_ref());
        }
        room
    }

    pub fn say(&self, author: &str, text: &str) -> Seq {
        let mut posts = self.posts.lock().unwrap();
        let seq = posts.len() as Seq + 1;
        let at_ms = 1_700_000_000_000 + seq as i64 * 1000;
        posts.push(Post { seq, uuid: fresh_uuid(), author: author.into(), text: text.into(), at_ms, client_id: None });
        seq
    }

    pub fn last(&self) -> Seq {
        self.posts.lock().unwrap().len() as Seq
    }

    pub fn mark(&self, reader: &str, seq: Seq) {
        self.marks.lock().unwrap().insert(reader.to_owned(), seq);
    }

    /// So many of the next pages end in a panic, as a bug would.
    pub fn panic_next(&self, count: usize) {
        self.panics.store(count, Ordering::SeqCst);
    }

    /// From now on the store cannot be read.
    pub fn break_down(&self) {
        *self.is_broken.lock().unwrap() = true;
    }
}

impl Posts for Room {
    fn page(&mut self, span: &Span) -> Result<Page, String> {
        if self.panics.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            panic!("a bug, for the test");
        }
        if *self.is_broken.lock().unwrap() {
            return Err("disk I/O error".into());
        }
        let posts = self.posts.lock().unwrap();
        let from = (span.after as usize).min(posts.len());
        let to = (span.upto as usize).min(posts.len()).max(from);
        let limit = span.limit.min(PAGE_POSTS_MAX);
        let page: Vec<Post> = posts[from..to].iter().take(limit).cloned().collect();
        let looked_at = page.last().map_or(span.after, |post| post.seq);
        Ok(Page { more: looked_at < span.upto.min(posts.len() as Seq), posts: page, looked_at })
    }

    fn read_mark(&mut self, _room: &str, reader: &str) -> Result<Seq, String> {
        if *self.is_broken.lock().unwrap() {
            return Err("disk I/O error".into());
        }
        Ok(self.marks.lock().unwrap().get(reader).copied().unwrap_or(0))
    }

    fn part(&mut self, key: &PartKey) -> Result<Option<(Seq, Vec<u8>)>, String> {
        let parts = self.parts.lock().unwrap();
        let fits =
            |part: &&KeptPart| part.key.upto <= key.upto && PartKey { upto: key.upto, ..part.key.clone() } == *key;
        let longest = parts.iter().filter(fits).max_by_key(|part| part.key.upto);
        Ok(longest.map(|part| (part.key.upto, part.bytes.to_vec())))
    }

    fn put_part(&mut self, part: KeptPart) -> Result<(), String> {
        self.parts.lock().unwrap().push(part);
        Ok(())
    }
}

/// A worker over one room, and its answers.
pub struct Worker {
    pub handle: Handle,
    pub room: Room,
    answers: Receiver<Answer>,
}

impl Worker {
    pub fn start(settings: Settings, room: &Room) -> Worker {
        let (send, answers) = channel();
        let posts = room.clone();
        let open = move || Ok(Box::new(posts.clone()) as Box<dyn Posts>);
        let handle = start(settings, open, move |answer| send.send(answer).unwrap_or(())).expect("threads start");
        Worker { handle, room: room.clone(), answers }
    }

    pub fn question(&self) -> Ask {
        Ask {
            to: ClientId { slot: 1, generation: 1 },
            room: "lobby".into(),
            after: 0,
            last: None,
            upto: self.room.last(),
            reader: None,
            engine: Engine::Best,
            wants_progress: false,
        }
    }

    /// Asks and waits for the answer.
    pub fn told(&self, ask: Ask) -> Value {
        self.handle.ask(ask).expect("the worker takes the question");
        self.next()
    }

    /// Asks as a reader, about everything.
    pub fn told_to(&self, reader: &str) -> Value {
        self.told(Ask { reader: Some(reader.into()), ..self.question() })
    }

    pub fn answer(&self) -> Answer {
        self.answers.recv_timeout(PATIENCE).expect("an answer in time")
    }

    pub fn next(&self) -> Value {
        match self.answer() {
            Answer::Told { body, .. } => serde_json::from_slice(&body).expect("the body is JSON"),
            Answer::Failed { why, .. } => panic!("failed: {why}"),
            Answer::Progress { .. } => panic!("nobody wanted to know"),
        }
    }
}

/// The shape that every answer has, whoever wrote it.
pub fn assert_sound(body: &Value, room: &Room) {
    for field in ["summary", "unread_summary", "engine"] {
        assert!(body[field].as_str().is_some_and(|text| !text.trim().is_empty()), "{field} in {body:#}");
    }
    for field in ["bullet_points", "key_decisions", "action_items", "open_questions"] {
        let (list, sources) = (body[field].as_array().unwrap(), body["sources"][field].as_array().unwrap());
        assert_eq!(list.len(), sources.len(), "{field} in {body:#}");
        for (item, ids) in list.iter().zip(sources) {
            let text = item.as_str().expect("items are strings");
            assert!(!text.trim().is_empty() && !text.contains("Error:"));
            let ids = ids.as_array().unwrap();
            assert!(!ids.is_empty(), "{field}: {text} has no source");
            assert!(ids.iter().all(|id| (1..=room.last()).contains(&id.as_u64().unwrap())), "{text}: {ids:?}");
        }
    }
    if room.last() > 0 {
        assert!(!body["sources"]["summary"].as_array().unwrap().is_empty(), "{body:#}");
    }
    assert!(body["notice"].is_null() || body["notice"].is_string());
}
