//! The tables of the log, and how a file of an older version becomes one of this version.
//!
//! Forward only: a step, once released, is never changed; a newer file is refused. It reads and writes no posts.
//!
//! A post's key is its room's number and its own: `room << 40 | seq`. So a room's posts lie together in the order
//! in which they are read, without a second index, and the key is the search index's rowid as well.

use rusqlite::{Connection, OptionalExtension, Transaction};

use super::ErrorKind;
use crate::message::{Seq, Uuid, fresh_uuid};

/// Marks the file as ours (`Ctup`), so that no other program's database is taken for a log.
pub(super) const APPLICATION_ID: i32 = 0x4374_7570;
/// The highest number of a post in its room.
pub(super) const SEQ_MAX: Seq = (1 << SEQ_BITS) - 1;
/// The highest number of a room: a key is a positive 64-bit integer.
pub(super) const ROOM_NUMBER_MAX: i64 = (1 << (63 - SEQ_BITS)) - 1;

const SEQ_BITS: u32 = 40;

/// One step for each version; `user_version` counts the steps that a file has been through.
const STEPS: &[&str] = &[
    // Version 1.
    // posts.author is the name as it was written; people compare by authors.folded.
    // repeats finds the first post of a client_id: by the person, who is the first author with that folded name.
    // words is contentless: posts has the text. Its words are cut by words.rs, so `ascii` finds only spaces to cut at.
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
     CREATE TABLE rooms (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, indexed INTEGER NOT NULL) STRICT;
     CREATE TABLE authors (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, folded TEXT NOT NULL) STRICT;
     CREATE INDEX authors_folded ON authors (folded);
     CREATE TABLE posts (
         key INTEGER PRIMARY KEY,
         author INTEGER NOT NULL,
         at_ms INTEGER NOT NULL,
         uuid BLOB NOT NULL,
         client_id TEXT,
         text TEXT NOT NULL
     ) STRICT;
     CREATE TABLE repeats (
         room INTEGER NOT NULL,
         person INTEGER NOT NULL,
         client_id TEXT NOT NULL,
         post INTEGER NOT NULL,
         PRIMARY KEY (room, person, client_id)
     ) STRICT, WITHOUT ROWID;
     CREATE TABLE marks (
         room INTEGER NOT NULL,
         reader TEXT NOT NULL,
         seq INTEGER NOT NULL,
         PRIMARY KEY (room, reader)
     ) STRICT, WITHOUT ROWID;
     CREATE VIRTUAL TABLE words USING fts5 (text, content='', columnsize=0, tokenize='ascii');
     -- Merging is done in small steps after a slice of indexing (writer.rs), not all at once by whoever comes last.
     -- Sixteen segments make one: a post's words are written anew three times among a million posts.
     INSERT INTO words (words, rank) VALUES ('automerge', 0);
     INSERT INTO words (words, rank) VALUES ('usermerge', 16);
     INSERT INTO words (words, rank) VALUES ('crisismerge', 1000);",
    // Version 2: finished parts of summaries, numbered in the order in which they were kept.
    // after is the post before the first, upto the last; kind, model and prompt say what wrote it (log.rs).
    "CREATE TABLE parts (
         number INTEGER PRIMARY KEY,
         room INTEGER NOT NULL,
         kind INTEGER NOT NULL,
         model TEXT NOT NULL,
         prompt INTEGER NOT NULL,
         after INTEGER NOT NULL,
         upto INTEGER NOT NULL,
         bytes BLOB NOT NULL,
         UNIQUE (room, kind, model, prompt, after, upto)
     ) STRICT;",
];

/// The version that this program writes.
pub(super) fn version() -> i64 {
    i64::try_from(STEPS.len()).expect("a handful of steps")
}

/// The key of a post. Numbers over [`SEQ_MAX`] stand for the end of the room.
pub(super) fn key(room_number: i64, seq: Seq) -> i64 {
    room_number << SEQ_BITS | i64::try_from(seq.min(SEQ_MAX)).expect("SEQ_MAX has 40 bits")
}

/// The number in its room of the post with this key.
pub(super) fn seq_of(key: i64) -> Seq {
    u64::try_from(key).expect("keys are positive") & SEQ_MAX
}

/// What a file is, before anything is written to it.
pub(super) enum Found {
    /// Nothing in it yet.
    Empty,
    /// A log of this version number.
    Log(i64),
}

/// Looks at a file without changing it.
pub(super) fn inspect(connection: &Connection) -> Result<Found, ErrorKind> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let application = pragma("application_id").map_err(ErrorKind::of)?;
    let version_found = pragma("user_version").map_err(ErrorKind::of)?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(ErrorKind::of)?;
    match (application, version_found, tables) {
        (0, 0, 0) => Ok(Found::Empty),
        (id, _, _) if id != i64::from(APPLICATION_ID) => Err(ErrorKind::Foreign),
        (_, newer, _) if newer > version() => Err(ErrorKind::Newer(newer)),
        (_, older, _) if older < 1 => Err(ErrorKind::Damaged("its version is not a number from 1".into())),
        (_, ours, _) => Ok(Found::Log(ours)),
    }
}

/// Brings a file to this version: everything in one transaction, or nothing.
pub(super) fn migrate(connection: &mut Connection, found: &Found) -> rusqlite::Result<()> {
    let done = match found {
        Found::Empty => 0,
        Found::Log(version) => usize::try_from(*version).expect("inspect wants 1 or more"),
    };
    if done == STEPS.len() {
        return Ok(());
    }
    let transaction = connection.transaction()?;
    for step in &STEPS[done..] {
        transaction.execute_batch(step)?;
    }
    if matches!(found, Found::Empty) {
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        let created_by = concat!("catchup ", env!("CARGO_PKG_VERSION"));
        transaction.execute("INSERT INTO meta VALUES ('created_by', ?1)", [created_by])?;
        renew_epoch(&transaction)?;
    }
    transaction.pragma_update(None, "user_version", version())?;
    transaction.commit()
}

/// Gives the file a new epoch: whoever knew the old one does not take these posts for those.
pub(super) fn renew_epoch(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let epoch = *fresh_uuid().as_bytes();
    transaction.execute("INSERT OR REPLACE INTO meta VALUES ('epoch', ?1)", [epoch]).map(drop)
}

/// The epoch of a log.
pub(super) fn epoch(connection: &Connection) -> Result<Uuid, ErrorKind> {
    let missing = || ErrorKind::Damaged("it has no epoch".into());
    let epoch: Option<[u8; 16]> = connection
        .query_row("SELECT value FROM meta WHERE name = 'epoch'", [], |row| row.get(0))
        .optional()
        .map_err(ErrorKind::of)?;
    epoch.map(Uuid::from_bytes).ok_or_else(missing)
}
