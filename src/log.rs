//! What the log of the rooms can be asked, and what it answers.
//!
//! Whoever keeps the log (SQLite in `history.rs`, memory in `memory.rs`, another machine) speaks these words and
//! nothing else. It holds no storage.

use std::sync::Arc;

use crate::message::{ClientId, Draft, Post, Seq};

/// Most posts in one page of a backlog or a list.
pub const PAGE_POSTS_MAX: usize = 256;
/// A page ends with the post that takes it over this many bytes of text.
pub const PAGE_BYTES_MAX: usize = 256 * 1024;
/// A page that leaves an author out ends after this many posts looked at, however few are in it.
pub const PAGE_LOOKED_MAX: usize = 4096;
/// Most drafts in one transaction: bounds how long the first of them waits for the last.
pub const COMMIT_POSTS_MAX: usize = 1024;
/// Most finished parts of summaries that a log keeps; at more, those kept longest ago go.
pub const PARTS_KEPT_MAX: usize = 2048;
/// Largest finished part that a log keeps. Most have 2-20 KiB; a larger one is made anew when it is asked for.
pub const PART_BYTES_MAX: usize = 64 * 1024;
/// Most hits that one search gives.
pub const HITS_MAX: usize = 200;

/// A question to the log.
#[derive(Debug)]
pub enum Job {
    /// Store a message and number it. Answered in the order asked.
    Append(Draft),
    /// What a joiner needs, in order with `Append`: its read mark, and the first page after `after`, if given.
    Join {
        /// Who joins.
        to: ClientId,
        /// Which room.
        room: Arc<str>,
        /// Whose read mark.
        reader: Arc<str>,
        /// The last post that it has; `None`: it wants no backlog.
        after: Option<Seq>,
    },
    /// The page after `after`, in order with `Append`: what is not in it was not answered as appended before it.
    Backlog {
        /// Who reads.
        to: ClientId,
        /// Which room.
        room: Arc<str>,
        /// The last post that it has.
        after: Seq,
    },
    /// Move a read mark forward, in order with `Append`. Answered only if `to` waits.
    Mark {
        /// Who waits for it.
        to: Option<ClientId>,
        /// Which room.
        room: Arc<str>,
        /// Whose mark.
        reader: Arc<str>,
        /// The last post read.
        seq: Seq,
    },
    /// Keep a finished part of a summary, when all posts before it are stored. Never answered: who asked needs no
    /// answer, since a part that is not kept is only made anew.
    Keep(KeptPart),
    /// A page for a list, in no order with the above.
    Page {
        /// Who reads.
        to: ClientId,
        /// Which posts.
        span: Span,
    },
    /// The read mark of a user, and how many posts by others are behind it up to `upto`.
    Unread {
        /// Who asks.
        to: ClientId,
        /// Which room.
        room: Arc<str>,
        /// Whose mark.
        reader: Arc<str>,
        /// The last post that counts.
        upto: Seq,
    },
    /// The newest posts up to `upto` that hold all words of `query`.
    Search {
        /// Who asks.
        to: ClientId,
        /// Which room.
        room: Arc<str>,
        /// Words as a person typed them.
        query: Box<str>,
        /// The last post that counts.
        upto: Seq,
        /// At most this many hits.
        limit: usize,
    },
}

/// Posts of a room by their numbers, ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Which room.
    pub room: Arc<str>,
    /// Only posts after this one.
    pub after: Seq,
    /// Only posts up to this one.
    pub upto: Seq,
    /// At most this many posts ([`PAGE_POSTS_MAX`] and [`PAGE_BYTES_MAX`] bound a page as well).
    pub limit: usize,
    /// Leave out the posts of this author.
    pub not_by: Option<Arc<str>>,
}

impl Span {
    /// Everything of a room after `after`, as a page holds it.
    pub fn after(room: &Arc<str>, after: Seq) -> Span {
        Span { room: room.clone(), after, upto: Seq::MAX, limit: PAGE_POSTS_MAX, not_by: None }
    }
}

/// What a finished part of a summary is found by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartKey {
    /// Which room.
    pub room: Arc<str>,
    /// The post before its first.
    pub after: Seq,
    /// Its last post.
    pub upto: Seq,
    /// Which kind of part.
    pub kind: PartKind,
    /// Service and model that wrote it.
    pub model: Box<str>,
    /// The version of the instructions that it was written by.
    pub prompt: u32,
}

/// The kinds of parts that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PartKind {
    /// The answer to a question about a range.
    Digest,
    /// What was found in a sealed chunk of a longer talk.
    Chunk,
}

/// A finished part on its way into the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptPart {
    /// What it is found by.
    pub key: PartKey,
    /// What only its writer understands; [`PART_BYTES_MAX`] at most.
    pub bytes: Box<[u8]>,
}

/// A page of posts, ascending.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The posts.
    pub posts: Vec<Post>,
    /// Everything in the span up to here was looked at: where the next page begins. Meaningful if `more`.
    pub looked_at: Seq,
    /// Whether the page was cut: the span may hold more.
    pub more: bool,
}

/// A post that the log has numbered.
#[derive(Debug)]
pub struct Appended {
    /// The post, as it is stored. For a repeat: the one that was stored first.
    pub post: Post,
    /// The room.
    pub room: Arc<str>,
    /// The connection that said it.
    pub from: ClientId,
    /// The same author sent the same `client_id` before: nothing new was stored.
    pub is_repeat: bool,
}

/// An answer of the log.
#[derive(Debug)]
pub enum Answer {
    /// Stored, in this order.
    Appended(Vec<Appended>),
    /// Not stored, and why: the drafts come back.
    Refused(Vec<Draft>, String),
    /// To `Join`.
    Joined {
        /// Who joins.
        to: ClientId,
        /// The last post that it has read.
        read: Seq,
        /// The first page of its backlog.
        page: Page,
    },
    /// To `Backlog`.
    Backlog {
        /// Who reads.
        to: ClientId,
        /// The posts.
        page: Page,
    },
    /// To `Mark`.
    Marked {
        /// Who waits.
        to: ClientId,
    },
    /// To `Page`.
    Page {
        /// Who reads.
        to: ClientId,
        /// The posts.
        page: Page,
    },
    /// To `Unread`.
    Unread {
        /// Who asks.
        to: ClientId,
        /// The read mark.
        read: Seq,
        /// Posts by others after it.
        count: u64,
    },
    /// To `Search`: newest first.
    Found {
        /// Who asks.
        to: ClientId,
        /// The hits.
        posts: Vec<Post>,
    },
    /// A question that could not be answered, and why.
    Failed {
        /// Who asked.
        to: ClientId,
        /// A sentence.
        why: String,
    },
}

/// A room as the log knows it at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownRoom {
    /// Its name.
    pub name: Arc<str>,
    /// Its last post.
    pub last: Seq,
}

/// Where the summary worker reads posts: its own way into the log, beside the loop.
pub trait Posts: Send {
    /// One page of the span; the error is a sentence.
    fn page(&mut self, span: &Span) -> Result<Page, String>;
    /// The last post that `reader` has read in `room`, 0 for none.
    fn read_mark(&mut self, room: &str, reader: &str) -> Result<Seq, String>;
    /// Of the parts kept under this key but for `upto`, the longest that does not end after `upto`: its last post, and
    /// its bytes.
    fn part(&mut self, key: &PartKey) -> Result<Option<(Seq, Vec<u8>)>, String>;
    /// Keeps a part, soon; it takes the place of shorter ones with the same beginning. At most [`PARTS_KEPT_MAX`] stay.
    fn put_part(&mut self, part: KeptPart) -> Result<(), String>;
}
