//! What a person does with a whole log from the command line: back it up, write it out as lines, read lines in.
//!
//! It knows neither SQL nor JSON: the file is `history`'s, the form of a line is `message.rs`'s.

use std::fmt;
use std::io::{self, BufRead, Read, Write};
use std::path::Path;
use std::sync::Arc;

use crate::history::{self, Durability, Reader, Store};
use crate::log::{PAGE_POSTS_MAX, Posts, Span};
use crate::message::{Seq, TEXT_BYTES_MAX, archive_line, parse_archive_line};

/// Longest line of an archive, in bytes: the longest text with each byte escaped, and the rest.
pub const LINE_BYTES_MAX: usize = 6 * TEXT_BYTES_MAX + 4096;

/// Why a copy was not made, or not taken. Its text is one line.
#[derive(Debug)]
pub enum Error {
    /// The file of the log cannot be used.
    History(history::Error),
    /// The log has no such room.
    NoRoom(String),
    /// The log could be opened, and then not be read or written.
    Log(String),
    /// The lines cannot be written or read.
    Lines(io::Error),
    /// A line that cannot be taken: its number, and what is wrong with it.
    Line(u64, String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::History(error) => error.fmt(f),
            Error::NoRoom(room) => write!(f, "archive: there is no room {room:?} in the log"),
            Error::Log(why) => write!(f, "archive: {why}"),
            Error::Lines(error) => write!(f, "archive: the lines cannot be copied: {error}"),
            Error::Line(number, why) => write!(f, "archive: line {number}: {why}; nothing was imported"),
        }
    }
}

impl std::error::Error for Error {}

impl From<history::Error> for Error {
    fn from(error: history::Error) -> Error {
        Error::History(error)
    }
}

/// How much was written out or read in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rooms.
    pub rooms: u64,
    /// Posts, in all of them.
    pub posts: u64,
}

/// Copies the log in `path` to the new file `to`, also while a server is at work on it.
pub fn backup(path: &Path, to: &Path) -> Result<(), Error> {
    Ok(history::back_up(path, to)?)
}

/// Writes the posts of one room, or of all, as lines; a server may be at work on the log.
///
/// Room after room, each from its first post to the one that is its last when the export begins. Posts never change,
/// so pages read one by one are one picture, and hold up nobody. Read marks are not in it.
pub fn export(path: &Path, room: Option<&str>, out: &mut dyn Write) -> Result<Counts, Error> {
    let mut reader = Reader::open(path)?;
    let mut rooms = reader.known_rooms().map_err(Error::Log)?;
    if let Some(name) = room {
        rooms.retain(|known| &*known.name == name);
        if rooms.is_empty() {
            return Err(Error::NoRoom(name.to_owned()));
        }
    }
    let mut counts = Counts::default();
    let mut lines = Vec::new();
    for known in rooms {
        counts.rooms += 1;
        let mut span = Span { room: known.name, after: 0, upto: known.last, limit: PAGE_POSTS_MAX, not_by: None };
        loop {
            let page = reader.page(&span).map_err(Error::Log)?;
            lines.clear();
            page.posts.iter().for_each(|post| archive_line(&span.room, post, &mut lines));
            out.write_all(&lines).map_err(Error::Lines)?;
            counts.posts += page.posts.len() as u64;
            if !page.more {
                break;
            }
            span.after = page.looked_at;
        }
    }
    out.flush().map_err(Error::Lines)?;
    Ok(counts)
}

/// Reads lines that [`export`] wrote into the log in `path`, which is made if it is not there: all of them, or none.
///
/// Ids, UUIDs and times stay what they are, so a room must have no posts yet. Refused while a server has the log.
pub fn import(path: &Path, input: &mut dyn BufRead) -> Result<Counts, Error> {
    // Power: once it says that it is done, it is.
    let mut incoming = Store::open(path, Durability::Power)?.into_incoming().map_err(Error::Log)?;
    let mut counts = Counts::default();
    let mut room: Arc<str> = "".into();
    let mut number = 0;
    let mut line = Vec::new();
    while read_line(input, &mut line).map_err(Error::Lines)? {
        number += 1;
        let (name, post) = parse(&line).map_err(|why| Error::Line(number, why))?;
        if *name != *room {
            room = name.into();
        }
        incoming.add(&room, &post).map_err(|why| Error::Line(number, why))?;
        counts.posts += 1;
        counts.rooms += u64::from(post.seq == FIRST);
    }
    incoming.commit().map_err(Error::Log)?;
    Ok(counts)
}

/// The id of a room's first post.
const FIRST: Seq = 1;

/// The next line, or as much of it as is enough to refuse it; `false` at the end.
fn read_line(input: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let bytes = input.take(LINE_BYTES_MAX as u64 + 1).read_until(b'\n', line)?;
    Ok(bytes > 0)
}

fn parse(line: &[u8]) -> Result<(String, crate::message::Post), String> {
    if line.len() > LINE_BYTES_MAX {
        return Err(format!("longer than {LINE_BYTES_MAX} bytes"));
    }
    let text = str::from_utf8(line).map_err(|_| "not UTF-8".to_string())?;
    parse_archive_line(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::ErrorKind;
    use crate::history::tests::{Directory, Log, draft};
    use crate::log::KnownRoom;
    use crate::message::Draft;

    fn filled(path: &Path) -> Log {
        let log = Log::open(path);
        let mut drafts: Vec<_> = (0..600).map(|n| draft("den", "Ann", &format!("text {n} \"{{\u{1f44d}\n"))).collect();
        drafts.push(Draft { client_id: Some("k1".into()), ..draft("zoo", "Émile", "with a client_id") });
        log.say(drafts);
        log
    }

    fn exported(path: &Path, room: Option<&str>) -> String {
        let mut out = Vec::new();
        export(path, room, &mut out).expect("exports");
        String::from_utf8(out).expect("is UTF-8")
    }

    fn refusal(path: &Path, lines: &str) -> String {
        let line = import(path, &mut lines.as_bytes()).expect_err("is refused").to_string();
        assert!(!line.contains('\n'), "{line}");
        line
    }

    #[test]
    fn an_import_is_what_was_exported_while_the_server_ran() {
        let directory = Directory::new("export");
        let (path, new) = (directory.file("a.db"), directory.file("b.db"));
        let log = filled(&path);
        let lines = exported(&path, None);
        assert_eq!(lines.lines().count(), 601);
        assert_eq!(exported(&path, Some("zoo")).lines().count(), 1);
        assert!(matches!(export(&path, Some("none"), &mut Vec::new()), Err(Error::NoRoom(_))));
        let counts = import(&new, &mut lines.as_bytes()).expect("imports");
        assert_eq!(counts, Counts { rooms: 2, posts: 601 });
        assert_eq!(exported(&new, None), lines);
        log.close();

        let copy = Log::open(&new);
        assert_eq!(copy.found("den", "text", Seq::MAX, 3), [600, 599, 598], "it is in the search index");
        let next = copy.say(vec![
            draft("den", "Ann", "next"),
            Draft { client_id: Some("k1".into()), ..draft("zoo", "émile", "again") },
        ]);
        assert_eq!((next[0].post.seq, next[1].is_repeat), (601, true));
    }

    #[test]
    fn an_import_is_refused_whole_with_the_line_that_is_wrong() {
        let directory = Directory::new("import");
        let (path, new) = (directory.file("a.db"), directory.file("b.db"));
        let log = filled(&path);
        let lines = exported(&path, None);
        assert!(matches!(
            import(&path, &mut lines.as_bytes()),
            Err(Error::History(error)) if *error.kind() == ErrorKind::InUse
        ));
        log.close();
        let line = refusal(&path, &lines);
        assert!(line.contains("line 1:") && line.contains("\"den\""), "{line}");

        let cut: String = lines.lines().take(5).map(|line| format!("{line}\n")).collect();
        let check = |lines: String, expect: &str| {
            let line = refusal(&new, &lines);
            assert!(line.contains(expect), "{line}: want {expect}");
            assert_eq!(Store::open(&new, Durability::Process).expect("opens").rooms(), [], "something was imported");
        };
        check(format!("{cut}nonsense\n"), "line 6: not a line of an archive");
        check(format!("{cut}\n"), "line 6:");
        check(format!("{cut}{cut}"), "line 6: room \"den\" goes on with id 1, want 6");
        check(cut.replace("\"id\":4", "\"id\":7"), "line 4: room \"den\" goes on with id 7, want 4");
        check(cut.replace("\"id\":4", "\"id\":-4"), "line 4:");
        check(cut.replace("\"room\":\"den\"", "\"room\":\"D E N\""), "line 1: room has");
        check(cut.replace("\"at_ms\"", "\"extra\":1,\"at_ms\""), "line 1: not a line");
        check(cut.replace("\"Ann\"", "\" Ann\""), "line 1: sender has blanks");
        check(cut.replace("text 3", &"x".repeat(20_000)), "line 4: message is 20008 bytes long");
        check(format!("{cut}{}", "x".repeat(LINE_BYTES_MAX * 2)), "line 6: longer than");
        check(format!("{cut}{}", "[".repeat(50_000)), "line 6: not a line");
        let mut bytes = cut.into_bytes();
        bytes.extend(b"\xff\xfe\n");
        let line = import(&new, &mut &bytes[..]).expect_err("is refused").to_string();
        assert!(line.contains("line 6: not UTF-8"), "{line}");

        let log = Log::open(&new);
        log.say(vec![draft("lobby", "Bob", "hi")]);
        log.close();
        import(&new, &mut lines.as_bytes()).expect("other rooms are no obstacle");
        let known = |name: &str, last| KnownRoom { name: name.into(), last };
        let rooms = Store::open(&new, Durability::Process).expect("opens").rooms();
        assert_eq!(rooms, [known("lobby", 1), known("den", 600), known("zoo", 1)]);
    }

    #[test]
    fn a_backup_is_whole_has_its_own_epoch_and_never_replaces_a_file() {
        let directory = Directory::new("backup");
        let (path, copy) = (directory.file("a.db"), directory.file("copy.db"));
        let log = filled(&path);
        backup(&path, &copy).expect("copies beside the server");
        assert_eq!(exported(&copy, None), exported(&path, None));
        let again = backup(&path, &copy).expect_err("is there already").to_string();
        assert!(again.contains("copy.db") && again.contains("already"), "{again}");
        assert!(!directory.file("copy.db.part").exists());
        // A link to nowhere is a name that is taken too, which is seen only when the copy is made.
        std::os::unix::fs::symlink("nowhere", directory.file("link.db")).expect("makes a link");
        let link = backup(&path, &directory.file("link.db")).expect_err("is there already").to_string();
        assert!(link.contains("link.db") && link.contains("already"), "{link}");
        assert!(!directory.file("link.db.part").exists() && !directory.file("nowhere").exists());
        assert!(backup(&directory.file("none.db"), &directory.file("c.db")).is_err());
        assert!(backup(&path, &directory.file("missing/c.db")).is_err());
        log.close();

        let (one, two) = (Store::open(&path, Durability::Process), Store::open(&copy, Durability::Process));
        assert_ne!(one.expect("opens").epoch(), two.expect("opens").epoch());
        let log = Log::open(&copy);
        assert_eq!(log.found("den", "599", Seq::MAX, 9), [600]);
        assert_eq!(log.say(vec![draft("den", "Ann", "on")])[0].post.seq, 601);
    }
}
