//! The conversation that a summary is about, read from the log into memory.

use std::sync::Arc;

use crate::extract::Line;
use crate::log::{PAGE_POSTS_MAX, Posts, Span};
use crate::message::{Post, Seq};

/// Most posts that one summary looks at. Of a longer range the newest are taken, and the answer says so.
pub const TALK_POSTS_MAX: u64 = 100_000;
/// Most bytes of text that one summary looks at; the oldest posts go first.
pub const TALK_BYTES_MAX: usize = 48 * 1024 * 1024;

/// Posts of one room: after one number, up to another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Range {
    /// Which room.
    pub room: Arc<str>,
    /// Exclusive.
    pub after: Seq,
    /// Inclusive.
    pub upto: Seq,
}

impl Range {
    /// How many posts it has: a room's numbers have no gaps.
    pub fn len(&self) -> u64 {
        self.upto.saturating_sub(self.after)
    }

    /// The part of it that fits into [`TALK_POSTS_MAX`]: the newest.
    pub fn newest(&self) -> Range {
        let after = self.after.max(self.upto.saturating_sub(TALK_POSTS_MAX));
        Range { after, ..self.clone() }
    }
}

/// The posts of a range.
#[derive(Debug, Default)]
pub struct Talk {
    posts: Vec<Post>,
}

impl Talk {
    /// Reads a range page by page.
    pub fn read(posts: &mut dyn Posts, range: &Range) -> Result<Talk, String> {
        let mut talk = Talk::default();
        let mut bytes = 0;
        let mut dropped = 0;
        let mut after = range.newest().after;
        loop {
            let span = Span { room: range.room.clone(), after, upto: range.upto, limit: PAGE_POSTS_MAX, not_by: None };
            let page = posts.page(&span)?;
            bytes += page.posts.iter().map(|post| post.text.len()).sum::<usize>();
            let reached = page.posts.last().map_or(page.looked_at, |last| page.looked_at.max(last.seq));
            talk.posts.extend(page.posts);
            while bytes > TALK_BYTES_MAX {
                bytes -= talk.posts[dropped].text.len();
                talk.posts[dropped].text = Box::default();
                dropped += 1;
            }
            // A page that says "more" and brings nothing new would have us read for ever.
            if !page.more || reached <= after || reached >= range.upto {
                break;
            }
            after = reached;
        }
        talk.posts.drain(..dropped);
        Ok(talk)
    }

    /// The posts as the embedded engine takes them.
    pub fn lines(&self) -> Vec<Line<'_>> {
        self.posts
            .iter()
            .map(|post| Line { id: post.seq, sender: &post.author, text: &post.text, at_ms: post.at_ms })
            .collect()
    }
}
