//! Measures the log of the rooms: `cargo run --release --example log_speed [DIRECTORY [POSTS]]`.
//!
//! Appends a second by transaction size, a million posts, then start, pages, searches, the delay of a post while the
//! index is filled, and memory. The directory is made and removed.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use catchup::history::{Durability, Handle, Store};
use catchup::log::{Answer, Job, Span};
use catchup::memory::Memory;
use catchup::message::{ClientId, Draft};

const ME: ClientId = ClientId { slot: 0, generation: 0 };

struct Log {
    handle: RefCell<Handle>,
    answers: Receiver<Answer>,
}

impl Log {
    fn open(path: &Path, durability: Durability) -> Log {
        let store = Store::open(path, durability).expect("opens");
        let (reply, answers) = mpsc::channel();
        let pages = reply.clone();
        let give = |to: mpsc::Sender<Answer>| move |answer| drop(to.send(answer));
        let handle = store.start(give(reply), give(pages)).expect("starts");
        Log { handle: handle.into(), answers }
    }

    fn ask(&self, job: Job) -> Answer {
        self.handle.borrow_mut().submit(job);
        self.handle.borrow_mut().hand_over();
        self.answers.recv().expect("answers")
    }

    fn say(&self, drafts: impl Iterator<Item = Draft>) {
        let mut waiting = 0;
        for draft in drafts {
            self.handle.borrow_mut().submit(Job::Append(draft));
            waiting += 1;
        }
        self.handle.borrow_mut().hand_over();
        while waiting > 0 {
            match self.answers.recv().expect("answers") {
                Answer::Appended(posts) => waiting -= posts.len(),
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Texts of about 100 bytes: `the` in all of them, `common` in each tenth, `rare…` in one of 100,000.
fn draft(n: usize, room: &Arc<str>, authors: &[Arc<str>]) -> Draft {
    let mut text = format!("the message {n} of topic{} says w{} and w{} to ", n % 1000, n % 7919, n % 104_729);
    text.push_str("everybody who will read what was missed");
    if n.is_multiple_of(10) {
        text.push_str(" common");
    }
    if n.is_multiple_of(100_000) {
        text.push_str(" rareword");
    }
    Draft {
        from: ME,
        room: room.clone(),
        author: authors[n % authors.len()].clone(),
        text: text.into(),
        at_ms: 1_769_509_855_000 + n as i64,
        client_id: n.is_multiple_of(2).then(|| format!("{n:08x}-c1").into()),
    }
}

fn times(mut took: Vec<Duration>) -> String {
    took.sort();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
    format!("p50 {:?}, p99 {:?}, max {:?}", at(0.5), at(0.99), at(1.0))
}

fn rss_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or(0)
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = PathBuf::from(arguments.next().unwrap_or_else(|| "log_speed.tmp".into()));
    let posts: usize = arguments.next().map_or(1_000_000, |text| text.parse().expect("a number of posts"));
    std::fs::create_dir_all(&directory).expect("makes the directory");
    let authors: Vec<Arc<str>> = (0..50).map(|n| format!("author{n}").into()).collect();
    let room: Arc<str> = "lobby".into();

    for (durability, name) in [(Durability::Process, "NORMAL"), (Durability::Power, "FULL")] {
        for size in [1, 10, 100, 1000] {
            let log = Log::open(&directory.join(format!("{name}{size}.db")), durability);
            let (begin, mut n) = (Instant::now(), 0);
            let mut took = Vec::new();
            while begin.elapsed() < Duration::from_secs(3) {
                let start = Instant::now();
                log.say((n..n + size).map(|n| draft(n, &room, &authors)));
                took.push(start.elapsed());
                n += size;
            }
            let rate = n as f64 / begin.elapsed().as_secs_f64();
            println!("append {name} {size} a transaction: {rate:.0}/s, each {}", times(took));
            log.handle.into_inner().close();
        }
    }

    let path = directory.join("many.db");
    let log = Log::open(&path, Durability::Process);
    let begin = Instant::now();
    for from in (0..posts).step_by(1000) {
        log.say((from..from + 1000).map(|n| draft(n, &room, &authors)));
    }
    println!("fill with {posts} posts, indexed as they come: {:?}", begin.elapsed());
    std::thread::sleep(Duration::from_secs(5));
    println!("RSS after: {} KiB; file {} MB", rss_kib(), std::fs::metadata(&path).expect("is there").len() / 1_000_000);
    let begin = Instant::now();
    log.handle.into_inner().close();
    println!("close: {:?}", begin.elapsed());

    let begin = Instant::now();
    let store = Store::open(&path, Durability::Process).expect("opens");
    let rooms = store.rooms();
    println!("open and list {} room of {} posts: {:?}", rooms.len(), rooms[0].last, begin.elapsed());
    drop(store);
    let log = Log::open(&path, Durability::Process);

    let repeat = |count: usize, job: &dyn Fn(usize) -> Job| {
        let mut took = Vec::new();
        for n in 0..count {
            let start = Instant::now();
            drop(log.ask(job(n)));
            took.push(start.elapsed());
        }
        times(took)
    };
    let last = posts as u64;
    let page = |n: usize| Job::Page { to: ME, span: Span::after(&room, (n as u64 * 7919) % last) };
    println!("page of 256: {}", repeat(200, &page));
    let own = |n: usize| {
        let span = Span::after(&room, (n as u64 * 7919) % last);
        Job::Page { to: ME, span: Span { not_by: Some("author1".into()), ..span } }
    };
    println!("page of 256 without an author: {}", repeat(200, &own));
    for query in [
        "rareword",
        "topic7",
        "common",
        "the",
        "the common",
        "the rareword",
        "everybod",
        "rarewo",
        "nowhere",
        "to everybody",
    ] {
        let search = |_| Job::Search { to: ME, room: room.clone(), query: query.into(), upto: last, limit: 50 };
        println!("search {query:?}: {}", repeat(20, &search));
    }
    let phrase = |_| Job::Search { to: ME, room: room.clone(), query: "everybody-the".into(), upto: last, limit: 50 };
    println!("search of two common words that never meet: {}", repeat(3, &phrase));
    for reader in ["stranger", "author1"] {
        let unread = |_| Job::Unread { to: ME, room: room.clone(), reader: reader.into(), upto: last };
        println!("unread of {reader} from the first post on: {}", repeat(5, &unread));
    }

    // One post a millisecond: the index is filled between them.
    let mut took = Vec::new();
    let mut due = Instant::now();
    for n in 0..10_000 {
        due += Duration::from_millis(1);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let start = Instant::now();
        log.say(std::iter::once(draft(n + posts + 1, &room, &authors)));
        took.push(start.elapsed());
    }
    println!("one post a millisecond, indexed between: {}", times(took));
    let upto = last + 20_000;
    let search = |_| Job::Search { to: ME, room: room.clone(), query: "rareword".into(), upto, limit: 50 };
    println!("search right after: {}", repeat(20, &search));
    println!("RSS after: {} KiB", rss_kib());
    log.handle.into_inner().close();
    std::fs::remove_dir_all(&directory).expect("removes the directory");

    let mut memory = Memory::new();
    let before = rss_kib();
    let mut took = Vec::new();
    for n in 0..posts {
        let job = Job::Append(draft(n, &room, &authors));
        let start = Instant::now();
        drop(memory.answer(job));
        took.push(start.elapsed());
    }
    println!("memory: append: {}", times(took));
    println!("memory: {} bytes a post", (rss_kib() - before) * 1024 / last);
    for query in ["nowhere", "the"] {
        let start = Instant::now();
        memory.answer(Job::Search { to: ME, room: room.clone(), query: query.into(), upto: last, limit: 50 });
        println!("memory: search {query:?}: {:?}", start.elapsed());
    }
}
