//! One question on its way through the worker, and what follows from it.

use std::time::Instant;

use crate::message::Seq;
use crate::summary::Ask;
use crate::summary::cache::Key;
use crate::summary::prompt::VERSION;
use crate::summary::talk::Range;
use crate::summary::trouble::Trouble;

/// Somebody who waits for an answer.
#[derive(Clone, Debug)]
pub struct Waiter {
    /// The question.
    pub ask: Ask,
    /// The posts that it is about.
    pub range: Range,
    /// The last post that the reader has read; `None` without a reader.
    pub mark: Option<Seq>,
    /// When it was asked.
    pub at: Instant,
    /// Why the model is not asked, though the best engine was asked for and there is one.
    pub rest: Option<Trouble>,
}

impl Waiter {
    /// After which post everything by others is news. Without a reader: all of the range.
    pub fn missed_after(&self) -> Seq {
        self.mark.unwrap_or(self.range.after)
    }

    /// The range, and the unread posts before it.
    pub fn whole_range(&self) -> Range {
        Range { after: self.range.after.min(self.missed_after()), ..self.range.clone() }
    }

    /// What its unread part is kept under.
    pub fn missed_key(&self, is_by_model: bool) -> Key {
        Key::Unread {
            range: self.range.clone(),
            mark: self.missed_after(),
            reader: self.ask.reader.clone().unwrap_or_else(|| "".into()),
            prompt: is_by_model.then_some(VERSION),
        }
    }
}
