//! The log of the rooms in an SQLite file, for good.
//!
//! Here a file is opened, kept from a second process and given its threads: `writer` (posts, marks and what must be
//! in order with them), `reader` (lists and searches) and `checkpoint` (folds the write-ahead log into the file).
//! It knows nothing of sockets, members or JSON; the words that it is spoken to with are in `log.rs`.

mod copy;
mod index;
mod parts;
mod reader;
mod schema;
mod writer;

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::console::complain;
use crate::log::{Answer, Job, KeptPart, KnownRoom};
use crate::message::Uuid;
pub use copy::{Incoming, back_up};
pub use reader::Reader;
use writer::Writer;

/// Memory for pages of the file, for each of the threads that read it.
const CACHE_KIB: i64 = 2048;
/// How long to wait for another program that looks into the file.
const BUSY_MAX: Duration = Duration::from_secs(5);
/// More statements than the writer has, so that none is prepared twice.
const STATEMENTS_MAX: usize = 32;

/// Stack of a thread of the log; SQLite asks for little.
const STACK_BYTES: usize = 512 * 1024;

/// What a stored post survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The end of the process, however it comes; a power cut may take back the last posts.
    Process,
    /// A power cut as well: each transaction waits for the disk.
    Power,
}

/// Why a file cannot be the log. Its text is one line: which file, what is wrong, what to do.
#[derive(Debug)]
pub struct Error {
    path: PathBuf,
    kind: ErrorKind,
}

/// What is wrong with a file.
#[derive(Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Another process has it.
    InUse,
    /// No such file, where one is needed.
    Missing,
    /// It is something else.
    Foreign,
    /// A later version of the program wrote it: this version number.
    Newer(i64),
    /// An earlier version wrote it, and whoever asks may not change it.
    Older(i64),
    /// It is a log, but not whole.
    Damaged(String),
    /// The system does not let us.
    Unusable(String),
    /// The file to be made is there already.
    Exists,
}

impl ErrorKind {
    fn of(error: rusqlite::Error) -> ErrorKind {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => ErrorKind::Foreign,
            // Unknown: a statement that does not fit, since a table is not there.
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::Unknown) => ErrorKind::Damaged(told(&error)),
            Some(_) => ErrorKind::Unusable(told(&error)),
            // A column of another type.
            None => ErrorKind::Damaged(told(&error)),
        }
    }
}

/// An error of SQLite in one line.
fn told(error: &rusqlite::Error) -> String {
    error.to_string().replace(['\n', '\r'], " ")
}

impl Error {
    fn new(path: &Path, kind: ErrorKind) -> Error {
        Error { path: path.to_owned(), kind }
    }

    /// What is wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display().to_string().replace(char::is_control, "?");
        write!(f, "history: {path} ")?;
        match &self.kind {
            ErrorKind::InUse => {
                f.write_str("is in use by another catchup process; stop that one, or name another file with --data")
            }
            ErrorKind::Missing => f.write_str("is not there; name the file of a log with --data"),
            ErrorKind::Foreign => {
                f.write_str("is not a catchup log; it was left as it is: name another file with --data")
            }
            ErrorKind::Newer(version) => write!(
                f,
                "has version {version}, this program knows up to {}; it was left as it is: run a newer catchup",
                schema::version()
            ),
            ErrorKind::Older(version) => write!(
                f,
                "has version {version}, this program reads {}; start the server on it once to bring it up",
                schema::version()
            ),
            ErrorKind::Damaged(why) => write!(
                f,
                "is damaged ({why}); it was left as it is: put a backup in its place, or name another file with --data"
            ),
            ErrorKind::Unusable(why) => write!(
                f,
                "cannot be used ({why}); not starting without a log: make the file and its directory writable, or name another with --data"
            ),
            ErrorKind::Exists => {
                f.write_str("is there already and was left as it is: name a file that is not there yet")
            }
        }
    }
}

impl std::error::Error for Error {}

/// An open log: of this version, and ours alone until it is dropped.
pub struct Store {
    path: PathBuf,
    writer: Writer,
    epoch: Uuid,
    lock: File,
}

impl Store {
    /// Opens the log in the file `path`, or makes it.
    ///
    /// Refused, each with its own [`ErrorKind`], and then the file is as it was: a file that another process has
    /// open, that is not a log, of a newer version, damaged, or that cannot be written.
    pub fn open(path: &Path, durability: Durability) -> Result<Store, Error> {
        let failed = |kind| Error::new(path, kind);
        let path = &resolved(path).map_err(|error| failed(ErrorKind::Unusable(error.to_string())))?;
        let lock = lock(path).map_err(failed)?;
        let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)
            .map_err(|error| failed(ErrorKind::of(error)))?;
        let found = schema::inspect(&connection).map_err(failed)?;
        check_length(&connection, path).map_err(failed)?;
        prepare(&connection, durability).map_err(failed)?;
        schema::migrate(&mut connection, &found).map_err(|error| failed(ErrorKind::of(error)))?;
        let epoch = schema::epoch(&connection).map_err(failed)?;
        let writer = Writer::new(connection).map_err(|error| failed(ErrorKind::of(error)))?;
        Ok(Store { path: path.clone(), writer, epoch, lock })
    }

    /// Names this history: it changes only when the file was lost or replaced.
    pub fn epoch(&self) -> Uuid {
        self.epoch
    }

    /// Every room that has posts.
    pub fn rooms(&self) -> Vec<KnownRoom> {
        self.writer.rooms()
    }

    /// A way of its own to the posts, beside the threads. It sees what is committed.
    pub fn reader(&self) -> Result<Reader, Error> {
        Reader::open(&self.path)
    }

    /// Starts the threads; each answer is given away on the thread that has it: to `reply` what is in order with the
    /// posts, to `pages` (which may make the reader wait) what is not.
    pub fn start(
        self,
        reply: impl Fn(Answer) + Send + 'static,
        pages: impl Fn(Answer) + Send + 'static,
    ) -> io::Result<Handle> {
        let reader = self.reader().map_err(io::Error::other)?;
        let folder = connect(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(io::Error::other)?;
        let (orders, ordered) = mpsc::channel();
        let (questions, asked) = mpsc::channel();
        let (nudge, nudged) = mpsc::channel();
        let mut writer = self.writer;
        let (long_reads, nudged_by_reader) = (questions.clone(), nudge.clone());
        let lock = Arc::new(self.lock);
        let threads = vec![
            spawn("history-write", &lock, move || {
                writer.run(&ordered, &long_reads, &nudge, &reply);
                // The connection first: the folding thread ends with the last nudger, and finds itself alone.
                drop(writer);
                drop(nudge);
            })?,
            spawn("history-read", &lock, move || {
                reader.run(&asked, pages);
                drop(nudged_by_reader);
            })?,
            spawn("history-fold", &lock, move || fold(folder, &nudged))?,
        ];
        Ok(Handle { orders: Arc::new(orders), given: Vec::new(), questions, threads })
    }
}

/// A thread of the log. Nobody else may open the file while one of them has it.
fn spawn(name: &str, lock: &Arc<File>, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let lock = lock.clone();
    let body = move || {
        body();
        drop(lock);
    };
    thread::Builder::new().name(name.into()).stack_size(STACK_BYTES).spawn(body)
}

/// The threads of a log at work.
pub struct Handle {
    orders: Arc<Sender<Vec<Job>>>,
    /// Orders not handed over yet.
    given: Vec<Job>,
    questions: Sender<Job>,
    threads: Vec<JoinHandle<()>>,
}

impl Handle {
    /// Asks the log. Never waits; the answer comes through `reply`. What is in order with the posts is done after the
    /// next [`Handle::hand_over`].
    pub fn submit(&mut self, job: Job) {
        match &job {
            Job::Page { .. } | Job::Unread { .. } | Job::Search { .. } => {
                self.questions.send(job).expect("the threads take jobs until the handle is closed");
            }
            Job::Append(_) | Job::Join { .. } | Job::Backlog { .. } | Job::Mark { .. } | Job::Keep(_) => {
                self.given.push(job);
            }
        }
    }

    /// Hands everything submitted to the writer, at once: it is woken once for a turn of the loop, and what came
    /// together is committed together.
    pub fn hand_over(&mut self) {
        if !self.given.is_empty() {
            let given = std::mem::take(&mut self.given);
            self.orders.send(given).expect("the threads take jobs until the handle is closed");
        }
    }

    /// A way to the writer for who keeps parts of summaries. It does not hold the log open.
    pub fn keeper(&self) -> Keeper {
        Keeper(Arc::downgrade(&self.orders))
    }

    /// Takes no more, stores and answers what was asked, and returns when that is done and the file is closed.
    pub fn close(mut self) {
        self.hand_over();
        let Handle { orders, questions, threads, .. } = self;
        drop((orders, questions));
        for thread in threads {
            thread.join().expect("a thread of the log does not panic");
        }
    }
}

/// Hands finished parts of summaries to the writer, for as long as it works.
#[derive(Clone)]
pub struct Keeper(Weak<Sender<Vec<Job>>>);

impl Keeper {
    /// Never waits. The error is a sentence.
    fn keep(&self, part: KeptPart) -> Result<(), String> {
        let closed = || "the log is closing".to_owned();
        let orders = self.0.upgrade().ok_or_else(closed)?;
        orders.send(vec![Job::Keep(part)]).map_err(|_| closed())
    }
}

/// Copies committed pages from the write-ahead log into the file, whenever told that some have gathered.
///
/// On a thread and a connection of its own: it waits for the disk, and commits go on meanwhile.
fn fold(connection: Connection, nudged: &Receiver<()>) {
    let fold = |how| {
        let folded = connection.query_row(how, [], |row| row.get::<_, i64>(0));
        if let Err(error) = folded {
            complain(format_args!(
                "history: cannot fold the write-ahead log into the file ({}); it goes on growing",
                told(&error)
            ));
        }
    };
    while nudged.recv().is_ok() {
        // Nudges that came during the last time are this time.
        while nudged.try_recv().is_ok() {}
        fold("PRAGMA wal_checkpoint(PASSIVE)");
    }
    // All is written: what is left of the log is one file.
    fold("PRAGMA wal_checkpoint(TRUNCATE)");
}

/// The path with links resolved, so that two names of one file have one lock.
fn resolved(path: &Path) -> io::Result<PathBuf> {
    if let Ok(real) = fs::canonicalize(path) {
        return Ok(real);
    }
    let name = path.file_name().ok_or_else(|| io::Error::other("this names no file"))?;
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let directory =
        fs::canonicalize(directory).map_err(|error| io::Error::new(error.kind(), format!("its directory: {error}")))?;
    Ok(directory.join(name))
}

/// Takes the file for this process. The lock goes with the process, however it ends; its file stays.
///
/// A companion file, since SQLite's own locks on the database are lost when any other handle of it is closed.
fn lock(path: &Path) -> Result<File, ErrorKind> {
    if path.is_dir() {
        return Err(ErrorKind::Unusable("it is a directory".into()));
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let unusable = |error: io::Error| ErrorKind::Unusable(format!("its .lock file: {error}"));
    let file = File::options().create(true).append(true).open(name).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ErrorKind::InUse),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

fn connect(path: &Path, how: OpenFlags) -> rusqlite::Result<Connection> {
    // NO_MUTEX: each connection stays on one thread at a time. No URI: a path may begin with "file:".
    let connection = Connection::open_with_flags(path, how | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_MAX)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    Ok(connection)
}

/// Refuses a file that was cut short, as a copy onto a full disk is: its pages would be missed one by one later.
fn check_length(connection: &Connection, path: &Path) -> Result<(), ErrorKind> {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    // With a write-ahead log the last pages may be there instead.
    if fs::metadata(wal).is_ok_and(|wal| wal.len() > 0) {
        return Ok(());
    }
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let want = pragma("page_count").and_then(|pages| Ok(pages * pragma("page_size")?)).map_err(ErrorKind::of)?;
    let have = fs::metadata(path).map_err(|error| ErrorKind::Unusable(error.to_string()))?.len();
    if want == 0 && have > 0 {
        // A few bytes are an empty database to SQLite, and would be written over.
        return Err(ErrorKind::Foreign);
    }
    if i64::try_from(have).is_ok_and(|have| have < want) {
        return Err(ErrorKind::Damaged(format!("it is {have} bytes long, its first page says {want}")));
    }
    Ok(())
}

/// Settings of the writing connection. The first that may change the file: it was found to be ours, or empty.
fn prepare(connection: &Connection, durability: Durability) -> Result<(), ErrorKind> {
    // Without this SQLite opens a file that cannot be written for reading, and says so at the first post.
    let read_only = connection.is_readonly(rusqlite::MAIN_DB).map_err(ErrorKind::of)?;
    if read_only {
        return Err(ErrorKind::Unusable("it cannot be written".into()));
    }
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0)).map_err(ErrorKind::of)?;
    if mode != "wal" {
        return Err(ErrorKind::Unusable(format!("its file system allows no write-ahead log, only {mode}")));
    }
    let synchronous = match durability {
        Durability::Process => "NORMAL",
        Durability::Power => "FULL",
    };
    connection.pragma_update(None, "synchronous", synchronous).map_err(ErrorKind::of)?;
    // The thread `fold` does this; the writer steps in only if that thread falls far behind.
    connection.pragma_update(None, "wal_autocheckpoint", writer::WAL_PAGES_MAX).map_err(ErrorKind::of)
}

#[cfg(test)]
pub(crate) mod tests;
