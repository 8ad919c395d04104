//! Where questions meet parts: what is known is answered, what is being worked on is joined, the rest goes to a lane.

use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::extract::Line;
use crate::log::{PartKind, Posts};
use crate::message::ClientId;
use crate::summary::cache::{Cache, Key, Missed, Part};
use crate::summary::counts::Counters;
use crate::summary::embedded;
use crate::summary::model::{self, Model, Shelf};
use crate::summary::prompt::VERSION;
use crate::summary::report;
use crate::summary::service::Service;
use crate::summary::store;
use crate::summary::talk::{Range, TALK_POSTS_MAX, Talk};
use crate::summary::trouble::Trouble;
use crate::summary::waiter::Waiter;
use crate::summary::{Answer, Asked, Engine, OpenPosts, Settings};

/// Said where no model is set up, but nobody asked to do without.
const NO_MODEL: &str = "No language model is set up (GROQ_API_KEY is not given). The embedded summarizer wrote this.";

/// Said where the operator wants none.
const LLM_OFF: &str = "The language model is switched off here (--no-llm). The embedded summarizer wrote this.";

/// Which threads do a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Those that never wait for the service.
    Embedded,
    /// Those that may.
    Model,
}

/// Work for a lane.
#[derive(Debug)]
pub enum Job {
    /// Make the digest of a range; who waits for it is with the flights.
    Digest(Key, Range),
    /// The digest is there; tell one waiter what it missed.
    Unread(Box<Waiter>, Arc<Part>),
}

/// What the threads share.
pub struct Desk {
    settings: Settings,
    model: Option<Model>,
    /// Whose parts in the log may be used.
    engines: Vec<String>,
    counters: Arc<Counters>,
    posts: Box<OpenPosts>,
    reply: Box<dyn Fn(Answer) + Send + Sync>,
    shared: Mutex<Shared>,
    is_closing: AtomicBool,
}

struct Shared {
    cache: Cache,
    /// Digests that are being made, and who waits for them.
    flights: HashMap<Key, Vec<Waiter>>,
    /// Gone when the worker closes: the lanes end with their queues.
    lanes: Option<(Sender<Job>, Sender<Job>)>,
}

impl Desk {
    /// A desk with an empty cache.
    pub fn new(
        settings: Settings,
        posts: Box<OpenPosts>,
        reply: Box<dyn Fn(Answer) + Send + Sync>,
        embedded: Sender<Job>,
        model: Sender<Job>,
    ) -> Desk {
        let counters = Arc::new(Counters::default());
        let shared = Shared { cache: Cache::default(), flights: HashMap::new(), lanes: Some((embedded, model)) };
        let model = settings.has_llm.then(|| Model::new(Service::new(settings.clone()), counters.clone()));
        let engines = model.as_ref().map_or_else(Vec::new, |model| model.service().engines());
        let is_closing = AtomicBool::new(false);
        Desk { settings, model, engines, counters, posts, reply, shared: Mutex::new(shared), is_closing }
    }

    /// The counters of the whole worker.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Breaks off what is on its way and lets the lanes end.
    pub fn close(&self) {
        self.is_closing.store(true, Ordering::Release);
        self.shared().lanes = None;
        if let Some(model) = &self.model {
            model.service().close();
        }
    }

    /// The desk's own thread: takes questions until there are no more.
    pub fn receive(&self, next: impl Fn() -> Option<Asked>) {
        let mut reader = Reader { open: &self.posts, posts: None };
        while let Some(asked) = next() {
            let to = asked.ask.to;
            let work = catch_unwind(AssertUnwindSafe(|| self.admit(asked, &mut reader)));
            if !matches!(work, Ok(Ok(()))) {
                self.fail(to, work.ok().and_then(Result::err));
            }
        }
        // Nobody can ask any more: the lanes end when they have done what they have.
        self.shared().lanes = None;
    }

    /// A lane's thread: does jobs until there are no more.
    pub fn work(&self, lane: Lane, next: impl Fn() -> Option<Job>) {
        let mut reader = Reader { open: &self.posts, posts: None };
        while let Some(job) = next() {
            if self.is_closing.load(Ordering::Acquire) {
                return;
            }
            let waiters = match &job {
                Job::Digest(key, _) => Err(key.clone()),
                Job::Unread(waiter, _) => Ok(waiter.ask.to),
            };
            let work = catch_unwind(AssertUnwindSafe(|| self.perform(lane, job, &mut reader)));
            let why = match work {
                Ok(Ok(())) => continue,
                Ok(Err(why)) => Some(why),
                Err(_) => None,
            };
            match waiters {
                Ok(to) => self.fail(to, why),
                Err(key) => {
                    for waiter in self.shared().flights.remove(&key).unwrap_or_default() {
                        self.fail(waiter.ask.to, why.clone());
                    }
                }
            }
        }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        // Every change under this lock is one insert or remove: what a panic leaves is whole.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, to: ClientId, why: Option<String>) {
        let why = why.unwrap_or_else(|| {
            self.counters.panics.add(1);
            "the summary could not be made because of a bug in the server".to_owned()
        });
        (self.reply)(Answer::Failed { to, why });
    }

    /// One question: answered at once, joined to a flight, or sent to a lane.
    fn admit(&self, asked: Asked, reader: &mut Reader<'_>) -> Result<(), String> {
        let ask = asked.ask;
        // A room's numbers have no gaps: the newest n are known by their numbers.
        let after = ask.after.max(ask.last.map_or(0, |last| ask.upto.saturating_sub(last))).min(ask.upto);
        let range = Range { room: ask.room.clone(), after, upto: ask.upto };
        // Before anything else: what is said while the summary is made stays unread.
        let mark = match &ask.reader {
            Some(name) => Some(reader.posts()?.read_mark(&ask.room, name)?),
            None => None,
        };
        let rest = match &self.model {
            Some(model) if ask.engine == Engine::Best => model.service().rest(Instant::now()),
            _ => None,
        };
        let waiter = Waiter { ask, range: range.clone(), mark, at: asked.at, rest };
        if range.len() == 0 && waiter.missed_after() >= range.upto {
            let is_empty_room = range.upto == 0;
            self.tell(&waiter, &report::nothing(is_empty_room), &report::caught_up(), false, None);
            return Ok(());
        }
        if self.model.is_some() && waiter.ask.engine == Engine::Best {
            self.recall(&range, reader.posts()?);
        }
        // What the model wrote before is told also while its service rests.
        let lane = match (&self.model, waiter.ask.engine) {
            (Some(_), Engine::Best) if waiter.rest.is_none() || self.knows(&waiter) => Lane::Model,
            _ => Lane::Embedded,
        };
        let key = match lane {
            Lane::Model => Key::Model(range.clone(), VERSION),
            Lane::Embedded => Key::Embedded(range.clone()),
        };
        let mut shared = self.shared();
        if let Some(part) = shared.cache.part(&key) {
            if let Some(missed) = self.known_missed(&mut shared.cache, &waiter, lane, &part) {
                drop(shared);
                let notice = self.standing_notice(&waiter, lane);
                self.counters.cached.add(1);
                self.tell(&waiter, &part, &missed, true, notice.as_deref());
                return Ok(());
            }
            shared.send(lane, Job::Unread(Box::new(waiter), part));
            return Ok(());
        }
        let Shared { flights, .. } = &mut *shared;
        if let Some(waiters) = flights.get_mut(&key) {
            self.counters.joined.add(1);
            waiters.push(waiter);
            return Ok(());
        }
        flights.insert(key.clone(), vec![waiter]);
        shared.send(lane, Job::Digest(key, range));
        Ok(())
    }

    /// Brings what the model wrote about the range, or about its beginning, from the log into the cache.
    fn recall(&self, range: &Range, posts: &mut dyn Posts) {
        let key = Key::Model(range.clone(), VERSION);
        {
            let mut shared = self.shared();
            // The first question about a beginning looks into the log; from then on the cache knows better.
            if shared.cache.part(&key).is_some() || shared.cache.base(range, VERSION).is_some() {
                return;
            }
        }
        if let Some((found, part)) = store::find(posts, PartKind::Digest, range, &self.engines) {
            self.shared().cache.put_part(Key::Model(found, VERSION), Arc::new(part));
        }
    }

    /// Whether the model's digest is there although the service rests.
    fn knows(&self, waiter: &Waiter) -> bool {
        self.shared().cache.part(&Key::Model(waiter.range.clone(), VERSION)).is_some()
    }

    fn perform(&self, lane: Lane, job: Job, reader: &mut Reader<'_>) -> Result<(), String> {
        match job {
            Job::Unread(waiter, part) => {
                let talk = Talk::read(reader.posts()?, &waiter.whole_range())?;
                let lines = talk.lines();
                self.tell_missed(lane, &waiter, &part, &lines, true, None);
                Ok(())
            }
            Job::Digest(key, range) => self.perform_digest(lane, key, &range, reader),
        }
    }

    fn perform_digest(&self, lane: Lane, key: Key, range: &Range, reader: &mut Reader<'_>) -> Result<(), String> {
        let (began, from) = {
            let shared = self.shared();
            let waiters = shared.flights.get(&key).map(Vec::as_slice).unwrap_or_default();
            let began = waiters.iter().map(|waiter| waiter.at).min().unwrap_or_else(Instant::now);
            (began, waiters.iter().map(|waiter| waiter.whole_range().after).min().unwrap_or(range.after))
        };
        let mut whole = Range { after: from, ..range.clone() };
        let mut talk = Talk::read(reader.posts()?, &whole)?;
        let (part, trouble) = self.part(lane, range, &talk, began, reader.posts()?);
        let part = Arc::new(part);
        if trouble.is_none() && lane == Lane::Model {
            store::keep(reader.posts()?, &key, &part);
        }
        let (waiters, is_cached) = {
            let mut shared = self.shared();
            let kept = if trouble.is_some() { Key::Embedded(range.clone()) } else { key.clone() };
            shared.cache.put_part(kept, part.clone());
            (shared.flights.remove(&key).unwrap_or_default(), false)
        };
        // Those who joined later may have read less than those who were there at the beginning.
        if let Some(least) = waiters.iter().map(|waiter| waiter.whole_range().after).min().filter(|least| *least < from)
        {
            whole.after = least;
            talk = Talk::read(reader.posts()?, &whole)?;
        }
        let lines = talk.lines();
        for waiter in &waiters {
            self.tell_missed(lane, waiter, &part, &lines, is_cached, trouble.as_ref());
        }
        Ok(())
    }

    /// The digest of a range, by the lane's engine or, with the reason, by the embedded one.
    fn part(
        &self,
        lane: Lane,
        range: &Range,
        talk: &Talk,
        began: Instant,
        posts: &mut dyn Posts,
    ) -> (Part, Option<Trouble>) {
        let lines = talk.lines();
        let lines = &lines[lines.partition_point(|line| line.id <= range.after)..];
        let participants = report::participants(lines);
        let mut part = Part {
            engine: "embedded".to_owned(),
            from: lines.first().map_or(0, |line| line.id),
            to: lines.last().map_or(0, |line| line.id),
            read: lines.len() as u64,
            participants: participants.iter().map(|name| Arc::from(*name)).collect(),
            notice: (range.len() > lines.len() as u64).then(|| {
                format!(
                    "This covers the newest {} of {} messages (at most {TALK_POSTS_MAX}).",
                    lines.len(),
                    range.len()
                )
            }),
            ..Part::default()
        };
        if lines.is_empty() {
            part.digest.summary = report::nothing(false).digest.summary;
            return (part, None);
        }
        let mut trouble = None;
        if let (Lane::Model, Some(model)) = (lane, &self.model) {
            let deadline = began + self.settings.deadline;
            let shelf = Shelves { desk: self, range, posts: RefCell::new(posts) };
            let work = || model.digest(range, lines, &participants, deadline, &shelf);
            let written = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
                self.counters.panics.add(1);
                Err(Trouble::Bug)
            });
            match written {
                Ok(written) => {
                    part.digest = model::filled(written.digest, lines);
                    part.engine = written.engine;
                    part.read = written.read.min(lines.len() as u64);
                    return (part, None);
                }
                Err(why) => trouble = Some(why),
            }
        }
        let known = self.shared().cache.part(&Key::Embedded(range.clone()));
        part.digest = known.map_or_else(|| embedded::digest(lines), |known| known.digest.clone());
        (part, trouble)
    }

    /// Tells a waiter the digest and what it missed. `lines` reach back to its read mark.
    fn tell_missed(
        &self,
        lane: Lane,
        waiter: &Waiter,
        part: &Arc<Part>,
        lines: &[Line<'_>],
        is_cached: bool,
        trouble: Option<&Trouble>,
    ) {
        let name = self.model.as_ref().map_or("the service", |model| model.service().name());
        let mut notice = match trouble {
            Some(why) => Some(why.notice(name)),
            None => self.standing_notice(waiter, lane),
        };
        let is_by_model = lane == Lane::Model && trouble.is_none();
        let (missed, why) = self.missed(is_by_model, waiter, part, lines);
        if let Some(why) = why {
            notice = notice.or_else(|| Some(why.notice_unread(name)));
        }
        match (is_by_model, trouble) {
            (true, _) => self.counters.by_llm.add(1),
            _ if trouble.is_some() || waiter.rest.is_some() => self.counters.fallbacks.add(1),
            _ => self.counters.by_embedded.add(1),
        }
        self.tell(waiter, part, &missed, is_cached, notice.as_deref());
    }

    fn missed(
        &self,
        is_by_model: bool,
        waiter: &Waiter,
        part: &Part,
        lines: &[Line<'_>],
    ) -> (Arc<Missed>, Option<Trouble>) {
        let reader = waiter.ask.reader.as_deref().unwrap_or_default();
        let after = waiter.missed_after();
        let unread: Vec<Line<'_>> =
            lines.iter().filter(|line| embedded::is_missed(line, reader, after)).copied().collect();
        if unread.is_empty() {
            return (Arc::new(report::caught_up()), None);
        }
        let count = unread.len() as u64;
        let key = waiter.missed_key(is_by_model);
        if let Some(missed) = self.shared().cache.missed(&key) {
            return (missed, None);
        }
        // Everything that the digest covers is news, and nothing else is: then the overview is what was missed.
        let is_all = after == waiter.range.after && count == waiter.range.len();
        let mut trouble = None;
        let mut item = None;
        if is_all && (is_by_model || reader.is_empty()) {
            item = Some(part.digest.summary.clone());
        } else if let (true, Some(model)) = (is_by_model, &self.model) {
            let deadline = waiter.at + self.settings.deadline;
            let work = || model.unread(&unread, reader, deadline);
            match catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(Trouble::Bug)) {
                Ok(written) => item = Some(written),
                Err(why) => trouble = Some(why),
            }
        }
        let item = match item {
            None => embedded::unread(lines, reader, after),
            // A model may forget what it was told to begin with; our own engine does not.
            Some(written) if is_by_model && !reader.is_empty() => match embedded::named(lines, reader, after) {
                Some(lead) => model::led(lead, written),
                None => written,
            },
            Some(written) => written,
        };
        let missed = Arc::new(Missed { item, count });
        if trouble.is_none() {
            self.shared().cache.put_missed(key, missed.clone());
        }
        (missed, trouble)
    }

    fn known_missed(&self, cache: &mut Cache, waiter: &Waiter, lane: Lane, part: &Part) -> Option<Arc<Missed>> {
        if waiter.missed_after() >= waiter.range.upto {
            return Some(Arc::new(report::caught_up()));
        }
        if waiter.ask.reader.is_none() {
            return Some(Arc::new(Missed { item: part.digest.summary.clone(), count: waiter.range.len() }));
        }
        cache.missed(&waiter.missed_key(lane == Lane::Model))
    }

    /// Why the embedded engine answers although the best was asked for, where that is known beforehand.
    fn standing_notice(&self, waiter: &Waiter, lane: Lane) -> Option<String> {
        match (&self.model, waiter.ask.engine, lane) {
            (None, Engine::Best, _) if self.settings.is_llm_off => Some(LLM_OFF.to_owned()),
            (None, Engine::Best, _) => Some(NO_MODEL.to_owned()),
            (Some(model), Engine::Best, Lane::Embedded) => {
                waiter.rest.as_ref().map(|why| why.notice(model.service().name()))
            }
            _ => None,
        }
    }

    fn tell(&self, waiter: &Waiter, part: &Part, missed: &Missed, is_cached: bool, notice: Option<&str>) {
        let body = report::body(part, missed, waiter.range.len(), is_cached, notice);
        (self.reply)(Answer::Told { to: waiter.ask.to, body: body.into(), upto: waiter.ask.upto });
    }
}

impl Shared {
    fn send(&mut self, lane: Lane, job: Job) {
        let Some((embedded, model)) = &self.lanes else {
            return;
        };
        let queue = if lane == Lane::Model { model } else { embedded };
        // A lane ends only when this sender is gone; a job lost with the process is asked again by nobody.
        let _ = queue.send(job);
    }
}

/// The cache of all, and behind it the thread's own way into the log.
struct Shelves<'a> {
    desk: &'a Desk,
    /// What the digest is of: those who wait for it are told how far it is.
    range: &'a Range,
    posts: RefCell<&'a mut dyn Posts>,
}

impl Shelf for Shelves<'_> {
    fn part(&self, key: &Key) -> Option<Arc<Part>> {
        let known = self.desk.shared().cache.part(key);
        let Key::Chunk(range, _) = key else { return known };
        known.or_else(|| store::find_chunk(&mut **self.posts.borrow_mut(), range, &self.desk.engines))
    }

    fn progress(&self, done: usize, of: usize) {
        let shared = self.desk.shared();
        let waiters = shared.flights.get(&Key::Model(self.range.clone(), VERSION)).map(Vec::as_slice);
        let asked = waiters.unwrap_or_default().iter().filter(|waiter| waiter.ask.wants_progress);
        let told: Vec<ClientId> = asked.map(|waiter| waiter.ask.to).collect();
        drop(shared);
        for to in told {
            (self.desk.reply)(Answer::Progress { to, done: done as u64, of: of as u64 });
        }
    }

    fn base(&self, range: &Range) -> Option<(Range, Arc<Part>)> {
        self.desk.shared().cache.base(range, VERSION)
    }

    fn put(&self, key: Key, part: Arc<Part>) {
        store::keep(&mut **self.posts.borrow_mut(), &key, &part);
        self.desk.shared().cache.put_part(key, part);
    }
}

/// A thread's own way into the log, opened when it is first needed.
struct Reader<'a> {
    open: &'a OpenPosts,
    posts: Option<Box<dyn Posts>>,
}

impl Reader<'_> {
    fn posts(&mut self) -> Result<&mut dyn Posts, String> {
        if self.posts.is_none() {
            self.posts = Some((self.open)()?);
        }
        Ok(self.posts.as_mut().expect("opened above").as_mut())
    }
}
