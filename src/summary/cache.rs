//! Finished parts of summaries, so that nothing is computed or paid for twice.
//!
//! Posts never change, so a part never goes stale: its key names the posts that it read. These live in memory,
//! bounded; `store.rs` keeps those of the model in the log as well.

use std::collections::HashMap;
use std::sync::Arc;

use crate::extract::{Digest, Item};
use crate::message::Seq;
use crate::summary::talk::Range;

/// Most parts kept; the least recently used go first. A part is 2-20 KiB.
pub const PARTS_MAX: usize = 1024;

/// What a part is the answer to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// The digest of a range by the embedded engine.
    Embedded(Range),
    /// The digest of a range by the language model, with this version of the prompt.
    Model(Range, u32),
    /// What the model found in a sealed chunk of a longer talk, with this version of the prompt.
    Chunk(Range, u32),
    /// What a reader missed after a read mark, up to the end of the range; by the model or not.
    Unread {
        /// Ends where the answer ends.
        range: Range,
        /// The read mark.
        mark: Seq,
        /// Who.
        reader: Arc<str>,
        /// The version of the prompt, or `None` for the embedded engine.
        prompt: Option<u32>,
    },
}

/// A digest and what it covers.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// The statements.
    pub digest: Digest,
    /// Who wrote it.
    pub engine: String,
    /// The first post covered.
    pub from: Seq,
    /// The last post covered.
    pub to: Seq,
    /// How many posts the engine itself has read.
    pub read: u64,
    /// Who wrote in the range.
    pub participants: Vec<Arc<str>>,
    /// What the reader of the summary must know about it.
    pub notice: Option<String>,
}

/// What a reader missed.
#[derive(Clone, Debug)]
pub struct Missed {
    /// In words.
    pub item: Item,
    /// How many posts.
    pub count: u64,
}

#[derive(Clone)]
enum Kept {
    Part(Arc<Part>),
    Missed(Arc<Missed>),
}

/// The parts, and which of them the model wrote last for each beginning.
#[derive(Default)]
pub struct Cache {
    kept: HashMap<Key, (u64, Kept)>,
    newest: HashMap<(Arc<str>, Seq), Key>,
    uses: u64,
}

impl Cache {
    /// A digest.
    pub fn part(&mut self, key: &Key) -> Option<Arc<Part>> {
        match self.get(key)? {
            Kept::Part(part) => Some(part),
            Kept::Missed(_) => None,
        }
    }

    /// An unread part.
    pub fn missed(&mut self, key: &Key) -> Option<Arc<Missed>> {
        match self.get(key)? {
            Kept::Missed(missed) => Some(missed),
            Kept::Part(_) => None,
        }
    }

    /// The longest digest of the model that begins where `range` begins and does not end after it.
    pub fn base(&mut self, range: &Range, prompt: u32) -> Option<(Range, Arc<Part>)> {
        let Key::Model(base, version) = self.newest.get(&(range.room.clone(), range.after))?.clone() else {
            return None;
        };
        if base.upto > range.upto || version != prompt {
            return None;
        }
        let part = self.part(&Key::Model(base.clone(), version))?;
        Some((base, part))
    }

    /// Keeps a digest.
    pub fn put_part(&mut self, key: Key, part: Arc<Part>) {
        if let Key::Model(range, _) = &key {
            let place = (range.room.clone(), range.after);
            let is_longer = |old: &Key| !matches!(old, Key::Model(old, _) if old.upto > range.upto);
            if self.newest.get(&place).is_none_or(is_longer) {
                self.newest.insert(place, key.clone());
            }
        }
        self.put(key, Kept::Part(part));
    }

    /// Keeps an unread part.
    pub fn put_missed(&mut self, key: Key, missed: Arc<Missed>) {
        self.put(key, Kept::Missed(missed));
    }

    fn get(&mut self, key: &Key) -> Option<Kept> {
        self.uses += 1;
        let (used, kept) = self.kept.get_mut(key)?;
        *used = self.uses;
        Some(kept.clone())
    }

    fn put(&mut self, key: Key, kept: Kept) {
        self.uses += 1;
        self.kept.insert(key, (self.uses, kept));
        if self.kept.len() > PARTS_MAX {
            // A quarter at once: finding the oldest costs a pass over all.
            let mut uses: Vec<u64> = self.kept.values().map(|(used, _)| *used).collect();
            uses.sort_unstable();
            let oldest = uses[uses.len() / 4];
            self.kept.retain(|_, (used, _)| *used > oldest);
            self.newest.retain(|_, key| self.kept.contains_key(key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(room: &str, after: Seq, upto: Seq) -> Range {
        Range { room: room.into(), after, upto }
    }

    #[test]
    fn the_bound_is_kept_and_what_is_used_stays() {
        let mut cache = Cache::default();
        let favourite = Key::Embedded(range("lobby", 0, 1));
        cache.put_part(favourite.clone(), Arc::default());
        for upto in 2..5000 {
            cache.put_part(Key::Model(range("den", 0, upto), 1), Arc::default());
            assert!(cache.part(&favourite).is_some(), "used each time, dropped at {upto}");
        }
        assert!(cache.kept.len() <= PARTS_MAX && cache.newest.len() <= PARTS_MAX);
    }

    #[test]
    fn a_base_is_the_longest_of_the_same_beginning_and_never_longer_than_asked() {
        let mut cache = Cache::default();
        for upto in [100, 300, 200] {
            cache.put_part(Key::Model(range("den", 0, upto), 1), Arc::default());
        }
        let base = |cache: &mut Cache, asked, prompt| cache.base(&asked, prompt).map(|(range, _)| range.upto);
        assert_eq!(base(&mut cache, range("den", 0, 350), 1), Some(300));
        assert_eq!(base(&mut cache, range("den", 0, 250), 1), None, "it would tell of posts that were not asked for");
        assert_eq!(base(&mut cache, range("den", 10, 350), 1), None);
        assert_eq!(base(&mut cache, range("lobby", 0, 350), 1), None);
        assert_eq!(base(&mut cache, range("den", 0, 350), 2), None, "other instructions");
    }
}
