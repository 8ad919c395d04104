//! Reading the log: pages, read marks, unread counts and searches, on a connection of its own.
//!
//! It writes nothing; what is to be kept it hands to the writer. The writer reads through one as well, on the writing
//! connection, where order matters.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};

use super::schema::{self, Found, key, seq_of};
use super::{Error, ErrorKind, Keeper, connect, told};
use crate::log::{
    Answer, HITS_MAX, Job, KeptPart, PAGE_BYTES_MAX, PAGE_LOOKED_MAX, PAGE_POSTS_MAX, Page, PartKey, Posts, Span,
};
use crate::message::{Post, Seq, Uuid, fold};
use crate::words::{self, Query};

/// Names of authors kept at hand; when they are more, all are forgotten.
pub(super) const AUTHORS_KEPT_MAX: usize = 4096;

/// Posts whose text is looked at, newest first, before the index is asked for the beginning of a word: it puts together
/// the lists of all words that begin so, and for a short beginning that is every post (seconds, among a million).
const OPEN_LOOKED: Seq = 4096;

const PAGE: &str =
    "SELECT key, author, at_ms, uuid, client_id, text FROM posts WHERE key > ?1 AND key <= ?2 ORDER BY key";
const ONE: &str = "SELECT key, author, at_ms, uuid, client_id, text FROM posts WHERE key = ?1";
const LAST: &str = "SELECT key FROM posts WHERE key BETWEEN ?1 AND ?2 ORDER BY key DESC LIMIT 1";

/// A way to the posts that are committed.
pub struct Reader {
    pub(super) connection: Connection,
    names: Names,
    /// Where parts are kept; without it none are.
    keeper: Option<Keeper>,
}

/// The authors' names by their numbers.
#[derive(Default)]
struct Names(HashMap<i64, Arc<str>>);

/// A room as it stands in the file.
pub(super) struct RoomRow {
    pub(super) number: i64,
    pub(super) name: Arc<str>,
    pub(super) last: Seq,
    pub(super) indexed: Seq,
}

impl Reader {
    /// Opens the log in the file `path` for reading, also while a server has it.
    pub fn open(path: &Path) -> Result<Reader, Error> {
        let failed = |kind| Error::new(path, kind);
        if !path.exists() {
            return Err(failed(ErrorKind::Missing));
        }
        let connection =
            connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(|error| failed(ErrorKind::of(error)))?;
        match schema::inspect(&connection).map_err(failed)? {
            Found::Empty => Err(failed(ErrorKind::Foreign)),
            Found::Log(version) if version < schema::version() => Err(failed(ErrorKind::Older(version))),
            Found::Log(_) => Ok(Reader::over(connection)),
        }
    }

    /// The same, with a way to the writer: [`Posts::put_part`] keeps.
    pub fn keeping(self, keeper: Keeper) -> Reader {
        Reader { keeper: Some(keeper), ..self }
    }

    pub(super) fn over(connection: Connection) -> Reader {
        Reader { connection, names: Names::default(), keeper: None }
    }

    /// For when numbers of authors were taken back.
    pub(super) fn forget_names(&mut self) {
        self.names.0.clear();
    }

    /// Answers questions until nobody is left to ask.
    pub(super) fn run(mut self, asked: &Receiver<Job>, reply: impl Fn(Answer)) {
        while let Ok(job) = asked.recv() {
            reply(self.answer(&job));
        }
    }

    /// The answer to a question that writes nothing.
    pub(super) fn answer(&mut self, job: &Job) -> Answer {
        let (to, answer) = match job {
            Job::Page { to, span } => (*to, self.page_of(span).map(|page| Answer::Page { to: *to, page })),
            Job::Unread { to, room, reader, upto } => {
                let unread = self.unread(room, reader, *upto);
                (*to, unread.map(|(read, count)| Answer::Unread { to: *to, read, count }))
            }
            Job::Search { to, room, query, upto, limit } => {
                let found = self.search(room, query, *upto, *limit);
                (*to, found.map(|posts| Answer::Found { to: *to, posts }))
            }
            Job::Join { to, room, reader, after } => {
                let joined = self.mark(room, reader).and_then(|read| {
                    let page = after.map(|after| self.page_of(&Span::after(room, after))).transpose()?;
                    Ok(Answer::Joined { to: *to, read, page: page.unwrap_or_default() })
                });
                (*to, joined)
            }
            Job::Backlog { to, room, after } => {
                let page = self.page_of(&Span::after(room, *after));
                (*to, page.map(|page| Answer::Backlog { to: *to, page }))
            }
            Job::Append(_) | Job::Mark { .. } | Job::Keep(_) => unreachable!("only the writer is asked to write"),
        };
        answer.unwrap_or_else(|error| Answer::Failed { to, why: unread_why(&error) })
    }

    /// The rooms, by number.
    pub(super) fn rooms(&self) -> rusqlite::Result<Vec<RoomRow>> {
        let mut statement = self.connection.prepare("SELECT number, name, indexed FROM rooms ORDER BY number")?;
        let mut last = self.connection.prepare(LAST)?;
        let mut rooms = Vec::new();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let number: i64 = row.get(0)?;
            let bounds = params![key(number, 0), key(number, schema::SEQ_MAX)];
            let last: Option<i64> = last.query_row(bounds, |row| row.get(0)).optional()?;
            let indexed = u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0);
            rooms.push(RoomRow { number, name: row.get(1)?, last: last.map_or(0, seq_of), indexed });
        }
        Ok(rooms)
    }

    /// The number of a room, and up to where it is in the search index.
    fn room(&self, name: &str) -> rusqlite::Result<Option<(i64, Seq)>> {
        let mut statement = self.connection.prepare_cached("SELECT number, indexed FROM rooms WHERE name = ?1")?;
        let found: Option<(i64, i64)> = statement.query_row([name], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        Ok(found.map(|(number, indexed)| (number, u64::try_from(indexed).unwrap_or(0))))
    }

    pub(super) fn page_of(&mut self, span: &Span) -> rusqlite::Result<Page> {
        let Some((number, _)) = self.room(&span.room)? else {
            return Ok(Page { looked_at: span.after, ..Page::default() });
        };
        let own = match &span.not_by {
            Some(name) => self.numbers_of(&fold(name))?,
            None => Vec::new(),
        };
        let Reader { connection, names, .. } = self;
        let mut statement = connection.prepare_cached(PAGE)?;
        let mut rows = statement.query(params![key(number, span.after), key(number, span.upto)])?;
        let mut page = Page { looked_at: span.after, ..Page::default() };
        let (mut bytes, mut looked) = (0, 0);
        let limit = span.limit.min(PAGE_POSTS_MAX);
        while let Some(row) = rows.next()? {
            if page.posts.len() >= limit || bytes > PAGE_BYTES_MAX || looked >= PAGE_LOOKED_MAX {
                page.more = true;
                break;
            }
            looked += 1;
            page.looked_at = seq_of(row.get(0)?);
            if !own.is_empty() && own.contains(&row.get(1)?) {
                continue;
            }
            let post = names.post(connection, row)?;
            bytes += post.text.len();
            page.posts.push(post);
        }
        Ok(page)
    }

    /// The post with this key.
    pub(super) fn post(&mut self, key: i64) -> rusqlite::Result<Post> {
        let Reader { connection, names, .. } = self;
        let mut statement = connection.prepare_cached(ONE)?;
        let mut rows = statement.query([key])?;
        let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        names.post(connection, row)
    }

    /// The last post that `reader` has read, 0 for none.
    pub(super) fn mark(&self, room: &str, reader: &str) -> rusqlite::Result<Seq> {
        let mut statement = self.connection.prepare_cached(
            "SELECT seq FROM marks WHERE room = (SELECT number FROM rooms WHERE name = ?1) AND reader = ?2",
        )?;
        let seq: Option<i64> = statement.query_row(params![room, &*fold(reader)], |row| row.get(0)).optional()?;
        Ok(seq.and_then(|seq| u64::try_from(seq).ok()).unwrap_or(0))
    }

    /// The read mark, and how many posts by others are behind it up to `upto`.
    fn unread(&self, room: &str, reader: &str, upto: Seq) -> rusqlite::Result<(Seq, u64)> {
        let Some((number, _)) = self.room(room)? else { return Ok((0, 0)) };
        let read = self.mark(room, reader)?;
        let mut statement = self.connection.prepare_cached(LAST)?;
        let bounds = params![key(number, 0), key(number, upto)];
        let last: Option<i64> = statement.query_row(bounds, |row| row.get(0)).optional()?;
        let all = last.map_or(0, seq_of).saturating_sub(read);
        // Numbers have no gaps: who has written nothing needs no look at the posts.
        let mut own = 0;
        for author in self.numbers_of(&fold(reader))? {
            let mut statement = self
                .connection
                .prepare_cached("SELECT count(*) FROM posts WHERE key > ?1 AND key <= ?2 AND author = ?3")?;
            let bounds = params![key(number, read), key(number, upto), author];
            own += u64::try_from(statement.query_row(bounds, |row| row.get::<_, i64>(0))?).unwrap_or(0);
        }
        Ok((read, all.saturating_sub(own)))
    }

    /// The numbers of all spellings of a name.
    fn numbers_of(&self, folded: &str) -> rusqlite::Result<Vec<i64>> {
        let mut statement = self.connection.prepare_cached("SELECT number FROM authors WHERE folded = ?1")?;
        statement.query_map([folded], |row| row.get(0))?.collect()
    }

    /// The newest posts up to `upto` that have all words; if there are none, with the last word as a beginning.
    fn search(&mut self, room: &str, typed: &str, upto: Seq, limit: usize) -> rusqlite::Result<Vec<Post>> {
        let Some(query) = Query::parse(typed) else { return Ok(Vec::new()) };
        let keys = {
            // One view of the file: a post that moves from the tail into the index meanwhile must not be missed.
            let _view = self.connection.unchecked_transaction()?;
            self.hits(room, query, upto, limit.min(HITS_MAX))?
        };
        keys.into_iter().map(|key| self.post(key)).collect()
    }

    fn hits(&self, room: &str, query: Query, upto: Seq, limit: usize) -> rusqlite::Result<Vec<i64>> {
        let Some((number, indexed)) = self.room(room)? else { return Ok(Vec::new()) };
        let range = |after: Seq, upto: Seq| (key(number, after) + 1, key(number, upto));
        let both = |query: &Query, looked: Seq| -> rusqlite::Result<Vec<i64>> {
            let mut hits = Vec::new();
            let border = upto.saturating_sub(looked).min(indexed);
            self.hits_of_tail(query, range(border, upto), limit, &mut hits)?;
            if hits.len() < limit && border > 0 {
                self.hits_of_index(query, range(0, border), limit, &mut hits)?;
            }
            Ok(hits)
        };
        let hits = both(&query, 0)?;
        match query.opened() {
            Some(open) if hits.is_empty() => both(&open, OPEN_LOOKED),
            _ => Ok(hits),
        }
    }

    /// Looks through the posts that are not in the index yet, newest first.
    fn hits_of_tail(
        &self,
        query: &Query,
        (first, last): (i64, i64),
        limit: usize,
        hits: &mut Vec<i64>,
    ) -> rusqlite::Result<()> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT key, text FROM posts WHERE key BETWEEN ?1 AND ?2 ORDER BY key DESC")?;
        let mut rows = statement.query(params![first, last])?;
        let mut spread = String::new();
        while hits.len() < limit
            && let Some(row) = rows.next()?
        {
            spread.clear();
            words::spread(row.get_ref(1)?.as_str()?, &mut spread);
            if query.matches(&spread) {
                hits.push(row.get(0)?);
            }
        }
        Ok(())
    }

    /// Asks the index, newest first; never by rank, which would look at every hit of a common word.
    fn hits_of_index(
        &self,
        query: &Query,
        (first, last): (i64, i64),
        limit: usize,
        hits: &mut Vec<i64>,
    ) -> rusqlite::Result<()> {
        let (asked, is_all) = query.for_index();
        let mut statement = self.connection.prepare_cached(
            "SELECT rowid FROM words WHERE words MATCH ?1 AND rowid BETWEEN ?2 AND ?3 ORDER BY rowid DESC",
        )?;
        let mut text = self.connection.prepare_cached("SELECT text FROM posts WHERE key = ?1")?;
        let mut rows = statement.query(params![asked, first, last])?;
        let mut spread = String::new();
        while hits.len() < limit
            && let Some(row) = rows.next()?
        {
            let hit: i64 = row.get(0)?;
            let is_hit = is_all
                || text.query_row([hit], |row| {
                    spread.clear();
                    words::spread(row.get_ref(0)?.as_str()?, &mut spread);
                    Ok(query.matches(&spread))
                })?;
            if is_hit {
                hits.push(hit);
            }
        }
        Ok(())
    }
}

impl Posts for Reader {
    fn page(&mut self, span: &Span) -> Result<Page, String> {
        self.page_of(span).map_err(|error| unread_why(&error))
    }

    fn read_mark(&mut self, room: &str, reader: &str) -> Result<Seq, String> {
        self.mark(room, reader).map_err(|error| unread_why(&error))
    }

    fn part(&mut self, key: &PartKey) -> Result<Option<(Seq, Vec<u8>)>, String> {
        self.find_part(key).map_err(|error| unread_why(&error))
    }

    fn put_part(&mut self, part: KeptPart) -> Result<(), String> {
        self.keeper.as_ref().map_or(Ok(()), |keeper| keeper.keep(part))
    }
}

pub(super) fn unread_why(error: &rusqlite::Error) -> String {
    format!("the log cannot be read: {}", told(error))
}

impl Names {
    /// A post from a row of [`PAGE`] or [`ONE`].
    fn post(&mut self, connection: &Connection, row: &Row<'_>) -> rusqlite::Result<Post> {
        Ok(Post {
            seq: seq_of(row.get(0)?),
            author: self.get(connection, row.get(1)?)?,
            at_ms: row.get(2)?,
            uuid: Uuid::from_bytes(row.get(3)?),
            client_id: row.get(4)?,
            text: row.get(5)?,
        })
    }

    fn get(&mut self, connection: &Connection, number: i64) -> rusqlite::Result<Arc<str>> {
        if let Some(name) = self.0.get(&number) {
            return Ok(name.clone());
        }
        let mut statement = connection.prepare_cached("SELECT name FROM authors WHERE number = ?1")?;
        let name: Arc<str> = statement.query_row([number], |row| row.get(0))?;
        if self.0.len() >= AUTHORS_KEPT_MAX {
            self.0.clear();
        }
        self.0.insert(number, name.clone());
        Ok(name)
    }
}
