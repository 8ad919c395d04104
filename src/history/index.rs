//! Filling the search index, apart from the transactions that people wait for.
//!
//! In slices: when nobody waits, and behind each batch once the index lags far. What is not in it yet is looked
//! through by the search itself (`reader.rs`), so that a post is found as soon as it is stored.

use std::time::{Duration, Instant};

use rusqlite::params;

use super::schema::{key, seq_of};
use super::told;
use super::writer::Writer;
use crate::console::complain;
use crate::message::Seq;
use crate::words;

/// Posts in one slice of indexing: a post that comes meanwhile waits for it, a millisecond or two.
pub(super) const INDEX_SLICE_POSTS: usize = 256;
/// Text in one slice of indexing, in bytes; the post that passes it is the last.
const INDEX_SLICE_BYTES: usize = 64 * 1024;
/// Posts not in the index, over which indexing no longer waits for a pause. A search looks through them one by one.
pub(super) const INDEX_LAG_MAX: u64 = 16 * 1024;
/// Pages of the index merged after each slice: about what three levels of merging need. One word is merged whole, so
/// that a very common one takes longer (10 ms among 300,000 posts), once in as many posts.
const MERGE_PAGES: i64 = 32;
/// After so long indexing is tried again when it has failed.
const INDEX_RETRY: Duration = Duration::from_secs(10);

/// Whether slices can be stored.
pub(super) enum Indexing {
    /// Everything is in the index, or there is more to put in.
    Works,
    /// The last slice could not be stored; the next is tried then.
    FailedUntil(Instant),
}

impl Writer {
    pub(super) fn may_index(&self) -> bool {
        match self.indexing {
            Indexing::Works => true,
            Indexing::FailedUntil(then) => Instant::now() >= then,
        }
    }

    pub(super) fn count_lag(&mut self, place: usize, posts: u64) {
        if posts > 0 {
            self.lagging.insert(place);
            self.lag += posts;
        }
    }

    /// Fills the index to the last post, in slices of `posts_max`, or says on standard error why not.
    pub(super) fn index_all(&mut self, posts_max: usize) {
        while self.lag > 0 && matches!(self.indexing, Indexing::Works) {
            self.index(posts_max);
        }
    }

    /// Puts a slice of the posts that came longest ago into the index, in a transaction of its own.
    pub(super) fn index(&mut self, posts_max: usize) {
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
                    complain(format_args!("history: cannot take back a failed slice of indexing"));
                }
                if matches!(self.indexing, Indexing::Works) {
                    complain(format_args!(
                        "history: the search index cannot be filled ({}); searches look through the posts, trying again",
                        told(&error)
                    ));
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
            if left > 0 && bytes < bytes_max {
                // All rows were seen: whatever a damaged file has lost must not be waited for.
                upto = room.last;
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
}
