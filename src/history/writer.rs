//! The thread that writes: posts and read marks, and the reads that must be in order with them.
//!
//! Everything that waits goes into one transaction, and is answered in the order asked once that is committed.
//! The search index is filled apart from it, in slices, when nobody waits. It decides nothing about the chat.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, params};

use super::reader::{AUTHORS_KEPT_MAX, Reader};
use super::schema::{ROOM_NUMBER_MAX, SEQ_MAX, key, seq_of};
use super::told;
use crate::log::{Answer, Appended, COMMIT_POSTS_MAX, Job, KnownRoom, PAGE_POSTS_MAX};
use crate::message::{Draft, Post, Seq, Uuid, fold, fresh_uuid};
use crate::words;

/// Most pages of a backlog read in one batch: bounds the memory of its answers.
const BATCH_PAGES_MAX: usize = 32;
/// Posts in one slice of indexing: a post that comes meanwhile waits for it, a millisecond or two.
const INDEX_SLICE_POSTS: usize = 256;
/// Text in one slice of indexing, in bytes; the post that passes it is the last.
const INDEX_SLICE_BYTES: usize = 64 * 1024;
/// Posts not in the index, over which indexing no longer waits for a pause. A search looks through them one by one.
const INDEX_LAG_MAX: u64 = 16 * 1024;
/// Pages of the index merged after each slice: about what three levels of merging need. One word is merged whole, so
/// that a very common one takes longer (10 ms among 300,000 posts), once in as many posts.
const MERGE_PAGES: i64 = 32;
/// After so long a pause the index is filled to the last post.
const PAUSE: Duration = Duration::from_secs(1);
/// After so long indexing is tried again when it has failed.
const INDEX_RETRY: Duration = Duration::from_secs(10);
/// Pages written after which they are to be folded into the file (about 4 MB of 4 KiB pages).
const FOLD_PAGES: usize = 1000;
/// Pages in the write-ahead log at which the writer folds what is left itself, so that it begins anew (about 32 MB).
pub(super) const WAL_PAGES_MAX: i64 = 8192;

const INSERT: &str = "INSERT INTO posts (key, author, at_ms, uuid, client_id, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
const CLAIM: &str =
    "INSERT INTO repeats (room, person, client_id, post) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";

/// What only the writing thread has.
pub(super) struct Writer {
    reader: Reader,
    /// By number, as in the file.
    rooms: Vec<Room>,
    places: HashMap<Arc<str>, usize>,
    authors: HashMap<Arc<str>, Author>,
    /// Places of rooms with posts that are not in the index.
    lagging: BTreeSet<usize>,
    /// The sum of those posts.
    lag: u64,
    /// Where the next slice begins: each room has its turn.
    next_slice: usize,
    indexing: Indexing,
    /// About how many pages were written since the last nudge.
    unfolded: usize,
}

struct Room {
    number: i64,
    name: Arc<str>,
    last: Seq,
    indexed: Seq,
}

#[derive(Clone, Copy)]
struct Author {
    number: i64,
    /// The first author with the same folded name: all spellings are one person.
    person: i64,
}

enum Indexing {
    /// Everything is in the index, or there is more to put in.
    Works,
    /// The last slice could not be stored; the next is tried then.
    FailedUntil(Instant),
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
        jobs: &Receiver<Job>,
        long_reads: &Sender<Job>,
        nudge: &Sender<()>,
        reply: &impl Fn(Answer),
    ) {
        while let Some(first) = self.next(jobs) {
            let batch = gather(first, jobs);
            let size = batch.len();
            self.perform(batch, long_reads, reply);
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

    /// The next job. While there is none the index is filled.
    fn next(&mut self, jobs: &Receiver<Job>) -> Option<Job> {
        loop {
            let patience = match self.indexing {
                Indexing::FailedUntil(then) => then.saturating_duration_since(Instant::now()),
                Indexing::Works if self.lag == 0 => return jobs.recv().ok(),
                // A few posts wait for a longer pause: one slice for many costs less than many for one each.
                Indexing::Works if self.lag < INDEX_SLICE_POSTS as u64 => PAUSE,
                Indexing::Works => Duration::ZERO,
            };
            match jobs.recv_timeout(patience) {
                Ok(job) => return Some(job),
                Err(RecvTimeoutError::Timeout) => self.index(INDEX_SLICE_POSTS),
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// Does a batch of jobs in one transaction, and answers them in order.
    fn perform(&mut self, batch: Vec<Job>, long_reads: &Sender<Job>, reply: &impl Fn(Answer)) {
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
    fn place(&mut self, name: &Arc<str>) -> rusqlite::Result<Option<usize>> {
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

    fn author(&mut self, name: &Arc<str>) -> rusqlite::Result<Author> {
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

    pub(super) fn begin_incoming(&self) -> Result<(), String> {
        self.execute("BEGIN IMMEDIATE").map_err(|error| not_stored(&error))
    }

    /// Stores a post with the number and the UUID that it has. It must be the room's next.
    pub(super) fn add_incoming(&mut self, room: &Arc<str>, post: &Post) -> Result<(), String> {
        let (place, author) = self
            .place(room)
            .and_then(|place| Ok((place, self.author(&post.author)?)))
            .map_err(|error| not_stored(&error))?;
        let Some(place) = place else { return Err(format!("there are {ROOM_NUMBER_MAX} rooms; no more can be made")) };
        let next = self.rooms[place].last + 1;
        if post.seq != next || next > SEQ_MAX {
            return Err(format!("room {room:?} goes on with id {}, want {next}: ids have no gaps", post.seq));
        }
        self.insert(place, author, post).map_err(|error| not_stored(&error))?;
        self.rooms[place].last = next;
        self.count_lag(place, 1);
        Ok(())
    }

    fn insert(&self, place: usize, author: Author, post: &Post) -> rusqlite::Result<()> {
        let number = self.rooms[place].number;
        let at = key(number, post.seq);
        let connection = &self.reader.connection;
        if let Some(client_id) = &post.client_id {
            connection.prepare_cached(CLAIM)?.execute(params![number, author.person, client_id, at])?;
        }
        connection.prepare_cached(INSERT)?.execute(params![
            at,
            author.number,
            post.at_ms,
            post.uuid.as_bytes(),
            post.client_id,
            post.text
        ])?;
        Ok(())
    }

    pub(super) fn commit_incoming(&mut self) -> Result<(), String> {
        self.execute("COMMIT").map_err(|error| not_stored(&error))
    }

    /// Fills the index to the last post, in slices of `posts_max`, or says on standard error why not.
    pub(super) fn index_all(&mut self, posts_max: usize) {
        while self.lag > 0 && matches!(self.indexing, Indexing::Works) {
            self.index(posts_max);
        }
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

    fn last(&self, room: &str) -> Seq {
        self.places.get(room).map_or(0, |place| self.rooms[*place].last)
    }

    /// Forgets what a failed transaction has left in memory. The file has forgotten it, or does here.
    fn take_back(&mut self, before: Before) {
        // SQLite has rolled back by itself after a full disk, not after every error.
        if !self.reader.connection.is_autocommit()
            && let Err(error) = self.execute("ROLLBACK")
        {
            eprintln!("history: cannot take back a failed transaction: {}", told(&error));
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
        let why = not_stored(error);
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
                        reply(Answer::Failed { to, why: why.clone() });
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

    fn may_index(&self) -> bool {
        match self.indexing {
            Indexing::Works => true,
            Indexing::FailedUntil(then) => Instant::now() >= then,
        }
    }

    fn count_lag(&mut self, place: usize, posts: u64) {
        if posts > 0 {
            self.lagging.insert(place);
            self.lag += posts;
        }
    }

    /// Puts a slice of the posts that came longest ago into the index, in a transaction of its own.
    fn index(&mut self, posts_max: usize) {
        match self.index_slice(posts_max) {
            Ok(indexed) => {
                self.indexing = Indexing::Works;
                for (place, upto) in indexed {
                    let room = &mut self.rooms[place];
                    self.lag -= upto - room.indexed;
                    room.indexed = upto;
                    if room.indexed == room.last {
                        self.lagging.remove(&place);
                    }
                    self.next_slice = place + 1;
                }
                debug_assert_eq!(self.lag == 0, self.lagging.is_empty(), "or the thread would never rest");
            }
            Err(error) => {
                if !self.reader.connection.is_autocommit() && self.execute("ROLLBACK").is_err() {
                    eprintln!("history: cannot take back a failed slice of indexing");
                }
                if matches!(self.indexing, Indexing::Works) {
                    eprintln!(
                        "history: the search index cannot be filled ({}); searches look through the posts, trying again",
                        told(&error)
                    );
                }
                self.indexing = Indexing::FailedUntil(Instant::now() + INDEX_RETRY);
            }
        }
    }

    /// The places that are further in the index now, and up to which post.
    fn index_slice(&mut self, posts_max: usize) -> rusqlite::Result<Vec<(usize, Seq)>> {
        let mut done = Vec::new();
        let mut left = posts_max;
        let bytes_max = INDEX_SLICE_BYTES * posts_max.div_ceil(INDEX_SLICE_POSTS);
        let mut bytes = 0;
        let mut spread = String::new();
        self.execute("BEGIN IMMEDIATE")?;
        let connection = &self.reader.connection;
        let mut insert = connection.prepare_cached("INSERT INTO words (rowid, text) VALUES (?1, ?2)")?;
        let mut select = connection
            .prepare_cached("SELECT key, text FROM posts WHERE key > ?1 AND key <= ?2 ORDER BY key LIMIT ?3")?;
        // Ascending keys only: a step back makes FTS5 begin a new segment. So a slice ends with the last room.
        let from = if self.lagging.range(self.next_slice..).next().is_some() { self.next_slice } else { 0 };
        for place in self.lagging.range(from..) {
            let room = &self.rooms[*place];
            let mut upto = room.indexed;
            let limit = i64::try_from(left).expect("a slice is small");
            let mut rows = select.query(params![key(room.number, upto), key(room.number, room.last), limit])?;
            while bytes < bytes_max
                && let Some(row) = rows.next()?
            {
                let (post, text): (i64, &str) = (row.get(0)?, row.get_ref(1)?.as_str()?);
                spread.clear();
                words::spread(text, &mut spread);
                insert.execute(params![post, spread])?;
                bytes += text.len();
                left -= 1;
                upto = seq_of(post);
            }
            connection
                .prepare_cached("UPDATE rooms SET indexed = ?2 WHERE number = ?1")?
                .execute(params![room.number, i64::try_from(upto).expect("at most SEQ_MAX")])?;
            done.push((*place, upto));
            if left == 0 || bytes >= bytes_max {
                break;
            }
        }
        connection.prepare_cached("INSERT INTO words (words, rank) VALUES ('merge', ?1)")?.execute([MERGE_PAGES])?;
        drop((insert, select));
        self.execute("COMMIT")?;
        self.unfolded += 8 + bytes / 2048;
        Ok(done)
    }

    fn execute(&self, statement: &str) -> rusqlite::Result<()> {
        self.reader.connection.prepare_cached(statement)?.execute([]).map(drop)
    }
}

fn not_stored(error: &rusqlite::Error) -> String {
    format!("not stored: {}", told(error))
}

/// The first job and all that wait behind it, as many as go into one transaction.
fn gather(first: Job, jobs: &Receiver<Job>) -> Vec<Job> {
    let is_read = |job: &Job| matches!(job, Job::Join { after: Some(_), .. } | Job::Backlog { .. });
    let mut pages = usize::from(is_read(&first));
    let mut batch = vec![first];
    while batch.len() < COMMIT_POSTS_MAX
        && pages < BATCH_PAGES_MAX
        && let Ok(job) = jobs.try_recv()
    {
        pages += usize::from(is_read(&job));
        batch.push(job);
    }
    batch
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
