//! The thread that writes: posts and read marks, and the reads that must be in order with them.
//!
//! Everything that waits goes into one transaction, and is answered in the order asked once that is committed.
//! The search index is filled apart from it, in slices, when nobody waits. It decides nothing about the chat.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, params};

use super::index::{INDEX_LAG_MAX, INDEX_SLICE_POSTS, Indexing};
use super::reader::{AUTHORS_KEPT_MAX, Reader};
use super::schema::{ROOM_NUMBER_MAX, SEQ_MAX, key};
use super::told;
use crate::console::complain;
use crate::log::{Answer, Appended, COMMIT_POSTS_MAX, Job, KeptPart, KnownRoom, PAGE_POSTS_MAX};
use crate::message::{Draft, Post, Seq, Uuid, fold, fresh_uuid};

/// Most pages of a backlog read in one batch: bounds the memory of its answers.
const BATCH_PAGES_MAX: usize = 32;
/// After so long a pause the index is filled to the last post.
const PAUSE: Duration = Duration::from_secs(1);
/// Pages written after which they are to be folded into the file (about 4 MB of 4 KiB pages).
const FOLD_PAGES: usize = 1000;
/// Pages in the write-ahead log at which the writer folds what is left itself, so that it begins anew (about 32 MB).
pub(super) const WAL_PAGES_MAX: i64 = 8192;

pub(super) const INSERT: &str =
    "INSERT INTO posts (key, author, at_ms, uuid, client_id, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
pub(super) const CLAIM: &str =
    "INSERT INTO repeats (room, person, client_id, post) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";

/// What only the writing thread has.
pub(super) struct Writer {
    pub(super) reader: Reader,
    /// By number, as in the file.
    pub(super) rooms: Vec<Room>,
    places: HashMap<Arc<str>, usize>,
    authors: HashMap<Arc<str>, Author>,
    /// Places of rooms with posts that are not in the index.
    pub(super) lagging: BTreeSet<usize>,
    /// The sum of those posts.
    pub(super) lag: u64,
    /// Where the next slice begins: each room has its turn.
    pub(super) next_slice: usize,
    pub(super) indexing: Indexing,
    /// About how many pages were written since the last nudge.
    pub(super) unfolded: usize,
    /// Taken from the queue, and not yet begun.
    waiting: VecDeque<Job>,
}

pub(super) struct Room {
    pub(super) number: i64,
    pub(super) name: Arc<str>,
    pub(super) last: Seq,
    pub(super) indexed: Seq,
}

#[derive(Clone, Copy)]
pub(super) struct Author {
    pub(super) number: i64,
    /// The first author with the same folded name: all spellings are one person.
    pub(super) person: i64,
}

/// What became of a job, before its transaction is committed.
enum Outcome {
    Stored(Seq, Uuid),
    Repeat(Post),
    Refused(String),
    Answered(Answer),
    /// Certain to be cut short, so that its order does not matter: the reading thread does it.
    LongRead,
    /// Nobody waits for an answer.
    Done,
}

/// What a failed transaction is taken back to.
struct Before {
    rooms: usize,
    /// For each post: the place of its room, and the room's last one before it.
    last: Vec<(usize, Seq)>,
}

impl Writer {
    pub(super) fn new(connection: Connection) -> rusqlite::Result<Writer> {
        let reader = Reader::over(connection);
        let rows = reader.rooms()?;
        let mut writer = Writer {
            reader,
            rooms: Vec::with_capacity(rows.len()),
            places: HashMap::with_capacity(rows.len()),
            authors: HashMap::new(),
            lagging: BTreeSet::new(),
            lag: 0,
            next_slice: 0,
            indexing: Indexing::Works,
            unfolded: 0,
            waiting: VecDeque::new(),
        };
        for row in rows {
            let place = writer.rooms.len();
            writer.places.insert(row.name.clone(), place);
            let indexed = row.indexed.min(row.last);
            writer.rooms.push(Room { number: row.number, name: row.name, last: row.last, indexed });
            writer.count_lag(place, row.last - indexed);
        }
        Ok(writer)
    }

    #[cfg(test)]
    pub(super) fn lag(&self) -> u64 {
        self.lag
    }

    #[cfg(test)]
    pub(super) fn connection_for_tests(&self) -> &Connection {
        &self.reader.connection
    }

    pub(super) fn rooms(&self) -> Vec<KnownRoom> {
        let with_posts = self.rooms.iter().filter(|room| room.last > 0);
        with_posts.map(|room| KnownRoom { name: room.name.clone(), last: room.last }).collect()
    }

    /// Works until nobody is left to ask; everything that was asked is answered first.
    pub(super) fn run(
        &mut self,
        jobs: &Receiver<Vec<Job>>,
        long_reads: &Sender<Job>,
        nudge: &Sender<()>,
        reply: &impl Fn(Answer),
    ) {
        while self.wait(jobs) {
            let (batch, parts) = apart(self.gather(jobs));
            let size = batch.len();
            self.perform(batch, long_reads, reply);
            self.keep(parts);
            if self.lag > INDEX_LAG_MAX && self.may_index() {
                // As many as came: the lag does not grow further.
                self.index(size.max(INDEX_SLICE_POSTS));
            }
            if self.unfolded >= FOLD_PAGES {
                self.unfolded = 0;
                nudge.send(()).expect("the folding thread waits as long as this one nudges");
            }
        }
    }

    /// Waits for jobs, and fills the index meanwhile. `false`: there will be none.
    fn wait(&mut self, jobs: &Receiver<Vec<Job>>) -> bool {
        while self.waiting.is_empty() {
            let patience = match self.indexing {
                Indexing::FailedUntil(then) => then.saturating_duration_since(Instant::now()),
                Indexing::Works if self.lag == 0 => Duration::MAX,
                // A few posts wait for a longer pause: one slice for many costs less than many for one each.
                Indexing::Works if self.lag < INDEX_SLICE_POSTS as u64 => PAUSE,
                Indexing::Works => Duration::ZERO,
            };
            match jobs.recv_timeout(patience) {
                Ok(given) => self.waiting.extend(given),
                Err(RecvTimeoutError::Timeout) => self.index(INDEX_SLICE_POSTS),
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        true
    }

    /// What waits, as much as goes into one transaction.
    fn gather(&mut self, jobs: &Receiver<Vec<Job>>) -> Vec<Job> {
        while self.waiting.len() < COMMIT_POSTS_MAX
            && let Ok(given) = jobs.try_recv()
        {
            self.waiting.extend(given);
        }
        let is_read = |job: &Job| matches!(job, Job::Join { after: Some(_), .. } | Job::Backlog { .. });
        let mut pages = 0;
        let is_in = |job: &&Job| {
            pages += usize::from(is_read(job));
            pages <= BATCH_PAGES_MAX
        };
        let count = self.waiting.iter().take(COMMIT_POSTS_MAX).take_while(is_in).count();
        self.waiting.drain(..count).collect()
    }

    /// Does a batch of jobs, none of them `Keep`, in one transaction, and answers them in order.
    fn perform(&mut self, batch: Vec<Job>, long_reads: &Sender<Job>, reply: &impl Fn(Answer)) {
        if batch.is_empty() {
            return;
        }
        let mut before = Before { rooms: self.rooms.len(), last: Vec::new() };
        let mut outcomes = Vec::with_capacity(batch.len());
        match self.attempt(&batch, &mut before, &mut outcomes) {
            Ok(()) => {
                before.last.iter().for_each(|(place, _)| self.count_lag(*place, 1));
                answer(batch, outcomes, long_reads, reply);
            }
            Err(error) => {
                self.take_back(before);
                self.refuse(batch, &error, reply);
            }
        }
    }

    fn attempt(&mut self, batch: &[Job], before: &mut Before, outcomes: &mut Vec<Outcome>) -> rusqlite::Result<()> {
        let writes = batch.iter().any(|job| matches!(job, Job::Append(_) | Job::Mark { .. }));
        self.execute(if writes { "BEGIN IMMEDIATE" } else { "BEGIN" })?;
        for job in batch {
            let outcome = match job {
                Job::Append(draft) => self.append(draft, before)?,
                Job::Mark { to, room, reader, seq } => {
                    self.mark(room, reader, *seq)?;
                    to.map_or(Outcome::Done, |to| Outcome::Answered(Answer::Marked { to }))
                }
                Job::Join { room, after: Some(after), .. } | Job::Backlog { room, after, .. }
                    if self.last(room).saturating_sub(*after) > PAGE_POSTS_MAX as u64 =>
                {
                    Outcome::LongRead
                }
                question => Outcome::Answered(self.reader.answer(question)),
            };
            outcomes.push(outcome);
        }
        self.execute("COMMIT")?;
        if writes {
            let text = |job: &Job| if let Job::Append(draft) = job { draft.text.len() + 64 } else { 64 };
            self.unfolded += 4 + batch.iter().map(text).sum::<usize>() / 4096;
        }
        Ok(())
    }

    /// Stores a post, or finds the one that it repeats.
    fn append(&mut self, draft: &Draft, before: &mut Before) -> rusqlite::Result<Outcome> {
        let Some(place) = self.place(&draft.room)? else {
            return Ok(Outcome::Refused(format!("there are {ROOM_NUMBER_MAX} rooms; no more can be made")));
        };
        let author = self.author(&draft.author)?;
        let room = &mut self.rooms[place];
        if room.last >= SEQ_MAX {
            return Ok(Outcome::Refused(format!("room {:?} has {SEQ_MAX} messages; it takes no more", room.name)));
        }
        let seq = room.last + 1;
        let post = key(room.number, seq);
        let connection = &self.reader.connection;
        if let Some(client_id) = &draft.client_id {
            let mut claim = connection.prepare_cached(CLAIM)?;
            if claim.execute(params![room.number, author.person, client_id, post])? == 0 {
                let mut find = connection
                    .prepare_cached("SELECT post FROM repeats WHERE room = ?1 AND person = ?2 AND client_id = ?3")?;
                let first = find.query_row(params![room.number, author.person, client_id], |row| row.get(0))?;
                drop((claim, find));
                return Ok(Outcome::Repeat(self.reader.post(first)?));
            }
        }
        let uuid = fresh_uuid();
        connection.prepare_cached(INSERT)?.execute(params![
            post,
            author.number,
            draft.at_ms,
            uuid.as_bytes(),
            draft.client_id,
            draft.text
        ])?;
        before.last.push((place, room.last));
        room.last = seq;
        Ok(Outcome::Stored(seq, uuid))
    }

    /// The room's place, made with its first post; `None` if there can be no more rooms.
    pub(super) fn place(&mut self, name: &Arc<str>) -> rusqlite::Result<Option<usize>> {
        if let Some(place) = self.places.get(name) {
            return Ok(Some(*place));
        }
        let number = self.rooms.last().map_or(1, |room| room.number + 1);
        if number > ROOM_NUMBER_MAX {
            return Ok(None);
        }
        self.reader
            .connection
            .prepare_cached("INSERT INTO rooms (number, name, indexed) VALUES (?1, ?2, 0)")?
            .execute(params![number, name])?;
        let place = self.rooms.len();
        self.rooms.push(Room { number, name: name.clone(), last: 0, indexed: 0 });
        self.places.insert(name.clone(), place);
        Ok(Some(place))
    }

    pub(super) fn author(&mut self, name: &Arc<str>) -> rusqlite::Result<Author> {
        if let Some(author) = self.authors.get(name) {
            return Ok(*author);
        }
        let connection = &self.reader.connection;
        let folded = fold(name);
        let known: Option<i64> = connection
            .prepare_cached("SELECT number FROM authors WHERE name = ?1")?
            .query_row([name], |row| row.get(0))
            .optional()?;
        let number = match known {
            Some(number) => number,
            None => connection
                .prepare_cached("INSERT INTO authors (name, folded) VALUES (?1, ?2)")?
                .insert(params![name, folded])?,
        };
        let person = connection
            .prepare_cached("SELECT min(number) FROM authors WHERE folded = ?1")?
            .query_row([folded], |row| row.get(0))?;
        if self.authors.len() >= AUTHORS_KEPT_MAX {
            self.authors.clear();
        }
        let author = Author { number, person };
        self.authors.insert(name.clone(), author);
        Ok(author)
    }

    /// Moves a mark forward, at most to the room's last post; never back.
    fn mark(&mut self, room: &str, reader: &str, seq: Seq) -> rusqlite::Result<()> {
        let Some(place) = self.places.get(room) else { return Ok(()) };
        let room = &self.rooms[*place];
        let seq = i64::try_from(seq.min(room.last)).expect("a room has at most SEQ_MAX posts");
        self.reader
            .connection
            .prepare_cached(
                "INSERT INTO marks (room, reader, seq) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET seq = excluded.seq WHERE excluded.seq > seq",
            )?
            .execute(params![room.number, fold(reader), seq])
            .map(drop)
    }

    /// A room's number, if it has been made.
    pub(super) fn number_of(&self, room: &str) -> Option<i64> {
        self.places.get(room).map(|place| self.rooms[*place].number)
    }

    fn last(&self, room: &str) -> Seq {
        self.places.get(room).map_or(0, |place| self.rooms[*place].last)
    }

    /// Forgets what a failed transaction has left in memory. The file has forgotten it, or does here.
    fn take_back(&mut self, before: Before) {
        // SQLite has rolled back by itself after a full disk, not after every error.
        if !self.reader.connection.is_autocommit()
            && let Err(error) = self.execute("ROLLBACK")
        {
            complain(format_args!("history: cannot take back a failed transaction: {}", told(&error)));
        }
        for (place, last) in before.last.into_iter().rev() {
            self.rooms[place].last = last;
        }
        for room in self.rooms.drain(before.rooms..) {
            self.places.remove(&room.name);
        }
        // Their numbers may be given again, to others.
        self.authors.clear();
        self.reader.forget_names();
    }

    /// Answers a batch that could not be stored: drafts and marks with the reason, reads from what is stored.
    fn refuse(&mut self, batch: Vec<Job>, error: &rusqlite::Error, reply: &impl Fn(Answer)) {
        let why = told(error);
        let mut refused = Vec::new();
        for job in batch {
            match job {
                Job::Append(draft) => {
                    refused.push(draft);
                    continue;
                }
                Job::Mark { to, .. } => {
                    if let Some(to) = to {
                        flush_refused(&mut refused, &why, reply);
                        reply(Answer::Failed { to, why: not_stored(error) });
                    }
                }
                question => {
                    flush_refused(&mut refused, &why, reply);
                    reply(self.reader.answer(&question));
                }
            }
        }
        flush_refused(&mut refused, &why, reply);
    }

    pub(super) fn execute(&self, statement: &str) -> rusqlite::Result<()> {
        self.reader.connection.prepare_cached(statement)?.execute([]).map(drop)
    }
}

pub(super) fn not_stored(error: &rusqlite::Error) -> String {
    format!("not stored: {}", told(error))
}

/// The parts to keep are no business of those who wait for an answer.
fn apart(batch: Vec<Job>) -> (Vec<Job>, Vec<KeptPart>) {
    let mut parts = Vec::new();
    let keep = |job| match job {
        Job::Keep(part) => {
            parts.push(part);
            None
        }
        job => Some(job),
    };
    let batch = batch.into_iter().filter_map(keep).collect();
    (batch, parts)
}

/// Answers a committed batch in its order, posts that follow each other in one answer.
fn answer(batch: Vec<Job>, outcomes: Vec<Outcome>, long_reads: &Sender<Job>, reply: &impl Fn(Answer)) {
    let mut appended = Vec::new();
    let flush = |appended: &mut Vec<Appended>| {
        if !appended.is_empty() {
            reply(Answer::Appended(std::mem::take(appended)));
        }
    };
    for (job, outcome) in batch.into_iter().zip(outcomes) {
        match (job, outcome) {
            (Job::Append(draft), Outcome::Stored(seq, uuid)) => {
                let Draft { from, room, author, text, at_ms, client_id } = draft;
                let post = Post { seq, uuid, author, text, at_ms, client_id };
                appended.push(Appended { post, room, from, is_repeat: false });
            }
            (Job::Append(draft), Outcome::Repeat(post)) => {
                appended.push(Appended { post, room: draft.room, from: draft.from, is_repeat: true });
            }
            (Job::Append(draft), Outcome::Refused(why)) => {
                flush(&mut appended);
                reply(Answer::Refused(vec![draft], why));
            }
            (_, Outcome::Answered(answer)) => {
                flush(&mut appended);
                reply(answer);
            }
            (job, Outcome::LongRead) => {
                flush(&mut appended);
                long_reads.send(job).expect("the reading thread reads as long as this one asks");
            }
            (_, _) => {}
        }
    }
    flush(&mut appended);
}

fn flush_refused(refused: &mut Vec<Draft>, why: &str, reply: &impl Fn(Answer)) {
    if !refused.is_empty() {
        reply(Answer::Refused(std::mem::take(refused), why.to_owned()));
    }
}
