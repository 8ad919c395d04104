//! Finished parts of summaries in the file: found by the readers, kept by the writer.
//!
//! Kept in a transaction of its own, behind the posts of its batch: a part that cannot be kept takes no post with it,
//! and nobody's post waits for one that came later. What is in a part only the summary worker knows.

use rusqlite::{OptionalExtension, params};

use super::reader::Reader;
use super::told;
use super::writer::Writer;
use crate::console::complain;
use crate::log::{KeptPart, PART_BYTES_MAX, PARTS_KEPT_MAX, PartKey, PartKind};
use crate::message::Seq;

const FIND: &str = "SELECT upto, bytes FROM parts
     WHERE room = (SELECT number FROM rooms WHERE name = ?1)
         AND kind = ?2 AND model = ?3 AND prompt = ?4 AND after = ?5 AND upto <= ?6
     ORDER BY upto DESC LIMIT 1";
const REPLACE: &str =
    "DELETE FROM parts WHERE room = ?1 AND kind = ?2 AND model = ?3 AND prompt = ?4 AND after = ?5 AND upto <= ?6";
const KEEP: &str =
    "INSERT INTO parts (room, kind, model, prompt, after, upto, bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
/// Numbers only grow while the newest part stays, so that no more than so many can have one of the last numbers.
const FORGET: &str = "DELETE FROM parts WHERE number <= (SELECT max(number) FROM parts) - ?1";

/// How a kind stands in the file.
fn kind_number(kind: PartKind) -> i64 {
    match kind {
        PartKind::Digest => 1,
        PartKind::Chunk => 2,
    }
}

/// SQLite's integers have a sign; posts' numbers have 40 bits.
fn signed(seq: Seq) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

impl Reader {
    /// See [`crate::log::Posts::part`].
    pub(super) fn find_part(&self, key: &PartKey) -> rusqlite::Result<Option<(Seq, Vec<u8>)>> {
        let mut statement = self.connection.prepare_cached(FIND)?;
        let wanted =
            params![key.room, kind_number(key.kind), key.model, key.prompt, signed(key.after), signed(key.upto)];
        let found: Option<(i64, Vec<u8>)> =
            statement.query_row(wanted, |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        Ok(found.map(|(upto, bytes)| (u64::try_from(upto).unwrap_or(0), bytes)))
    }
}

impl Writer {
    /// Keeps parts, or says on standard error why not.
    pub(super) fn keep(&mut self, parts: Vec<KeptPart>) {
        if parts.is_empty() {
            return;
        }
        if let Err(error) = self.keep_all(&parts) {
            if !self.reader.connection.is_autocommit()
                && let Err(error) = self.execute("ROLLBACK")
            {
                complain(format_args!("history: cannot take back a failed transaction: {}", told(&error)));
            }
            complain(format_args!(
                "history: parts of a summary are not kept ({}); they are made anew when asked for",
                told(&error)
            ));
        }
    }

    fn keep_all(&mut self, parts: &[KeptPart]) -> rusqlite::Result<()> {
        self.execute("BEGIN IMMEDIATE")?;
        let connection = &self.reader.connection;
        let mut bytes = 0;
        for KeptPart { key, bytes: part } in parts.iter().filter(|part| part.bytes.len() <= PART_BYTES_MAX) {
            let Some(room) = self.number_of(&key.room) else { continue };
            let (kind, after, upto) = (kind_number(key.kind), signed(key.after), signed(key.upto));
            connection.prepare_cached(REPLACE)?.execute(params![room, kind, key.model, key.prompt, after, upto])?;
            connection.prepare_cached(KEEP)?.execute(params![room, kind, key.model, key.prompt, after, upto, part])?;
            bytes += part.len();
        }
        connection.prepare_cached(FORGET)?.execute([signed(PARTS_KEPT_MAX as u64)])?;
        self.execute("COMMIT")?;
        self.unfolded += 4 + bytes / 4096;
        Ok(())
    }
}
