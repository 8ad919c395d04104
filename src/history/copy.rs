//! Whole copies of a log: a backup beside a running server, and posts that come in from an archive.
//!
//! It knows the file, not the lines of an archive: those are `archive.rs`.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags, params};

use super::reader::Reader;
use super::schema::{self, Found, ROOM_NUMBER_MAX, SEQ_MAX, key};
use super::writer::{Author, CLAIM, INSERT, Writer, not_stored};
use super::{Error, ErrorKind, Store, connect};
use crate::log::KnownRoom;
use crate::message::Post;

/// Posts put into the index at a time after an import; nobody waits meanwhile.
const INDEX_POSTS: usize = 4096;

/// Copies the log in `path` to the new file `to`, as it stands at this moment; a server may be at work on it.
///
/// The copy has an epoch of its own: whoever goes on from it is not told that nothing was lost. It appears under its
/// name only when it is whole and on the disk.
pub fn back_up(path: &Path, to: &Path) -> Result<(), Error> {
    let here = |kind| Error::new(path, kind);
    let there = |kind| Error::new(to, kind);
    let io_there = |error: io::Error| there(ErrorKind::Unusable(error.to_string()));
    if !path.exists() {
        return Err(here(ErrorKind::Missing));
    }
    if to.exists() {
        return Err(there(ErrorKind::Exists));
    }
    let part = beside(to, ".part");
    let part_name = part.to_str().ok_or_else(|| there(ErrorKind::Unusable("its name is not Unicode".into())))?;
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(|error| here(ErrorKind::of(error)))?;
    // A log of an older version is copied as it is: that is what one does before a new version touches it.
    if matches!(schema::inspect(&connection).map_err(here)?, Found::Empty) {
        return Err(here(ErrorKind::Foreign));
    }
    match fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_there(error)),
        _ => {}
    }
    let copied = connection.execute("VACUUM INTO ?1", [part_name]).and_then(|_| set_apart(&part));
    let copied = copied.map_err(|error| there(ErrorKind::of(error))).and_then(|()| {
        let settled = File::open(&part).and_then(|file| file.sync_all()).and_then(|()| settle(&part, to));
        settled.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => there(ErrorKind::Exists),
            _ => io_there(error),
        })
    });
    if copied.is_err() {
        // A copy without its name helps nobody; why it has none is what is told.
        drop(fs::remove_file(&part));
    }
    copied
}

fn set_apart(copy: &Path) -> rusqlite::Result<()> {
    let mut connection = Connection::open(copy)?;
    let transaction = connection.transaction()?;
    schema::renew_epoch(&transaction)?;
    transaction.commit()?;
    connection.close().map_err(|(_, error)| error)
}

/// Gives the finished copy its name, and never another file's.
fn settle(part: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(part, to) {
        Ok(()) => fs::remove_file(part),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        // A file system without links.
        Err(_) => fs::rename(part, to),
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

impl Reader {
    /// Every room that has posts, by the number that it got when it was made.
    pub fn known_rooms(&self) -> Result<Vec<KnownRoom>, String> {
        let rooms = self.rooms().map_err(|error| super::reader::unread_why(&error))?;
        let with_posts = rooms.into_iter().filter(|room| room.last > 0);
        Ok(with_posts.map(|room| KnownRoom { name: room.name, last: room.last }).collect())
    }
}

/// Posts on their way into a log: all of them, with the numbers that they have, or none.
///
/// Nothing is stored until [`Incoming::commit`]; dropped before that, it leaves the log as it was.
pub struct Incoming {
    writer: Writer,
    /// Rooms that had posts before: theirs and those that come in would be mixed up.
    taken: BTreeSet<Arc<str>>,
    /// Last: the connection closes before the file is free for others.
    _lock: File,
}

impl Store {
    /// Takes posts from elsewhere, instead of starting the threads.
    pub fn into_incoming(self) -> Result<Incoming, String> {
        let taken = self.rooms().into_iter().map(|room| room.name).collect();
        self.writer.begin_incoming()?;
        Ok(Incoming { writer: self.writer, taken, _lock: self.lock })
    }
}

impl Incoming {
    /// Takes one post. The error is a sentence; go no further after one.
    pub fn add(&mut self, room: &Arc<str>, post: &Post) -> Result<(), String> {
        if self.taken.contains(room) {
            return Err(format!("room {room:?} has messages already; import it where it has none"));
        }
        self.writer.add_incoming(room, post)
    }

    /// Stores all and fills the search index.
    pub fn commit(mut self) -> Result<(), String> {
        self.writer.commit_incoming()?;
        self.writer.index_all(INDEX_POSTS);
        Ok(())
    }
}

impl Writer {
    fn begin_incoming(&self) -> Result<(), String> {
        self.execute("BEGIN IMMEDIATE").map_err(|error| not_stored(&error))
    }

    /// Stores a post with the number and the UUID that it has. It must be the room's next.
    fn add_incoming(&mut self, room: &Arc<str>, post: &Post) -> Result<(), String> {
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

    fn commit_incoming(&mut self) -> Result<(), String> {
        self.execute("COMMIT").map_err(|error| not_stored(&error))
    }
}
