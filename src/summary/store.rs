//! Finished parts of the model in the log, so that a restart costs nothing: what they are found by, and their bytes.
//!
//! Only what the model wrote is kept there: the embedded engine is faster than a disk is slow, and what one reader missed
//! is read by then. A log that cannot keep or find a part fails no summary: the part is made anew.

use std::sync::Arc;

use crate::extract::{Digest, Item};
use crate::log::{KeptPart, PART_BYTES_MAX, PartKey, PartKind, Posts};
use crate::message::part::{StoredItem, StoredPart};
use crate::summary::cache::{Key, Part};
use crate::summary::prompt::VERSION;
use crate::summary::talk::Range;

/// The longest part of this kind that begins where `range` begins and does not end after it, written by one of `models`.
pub fn find(posts: &mut dyn Posts, kind: PartKind, range: &Range, models: &[String]) -> Option<(Range, Part)> {
    let found = models.iter().filter_map(|model| {
        let key = PartKey {
            room: range.room.clone(),
            after: range.after,
            upto: range.upto,
            kind,
            model: model.as_str().into(),
            prompt: VERSION,
        };
        let (upto, bytes) = posts.part(&key).ok()??;
        let part = part_of(StoredPart::decode(&bytes)?);
        (upto > range.after).then(|| (Range { upto, ..range.clone() }, part))
    });
    // Of two that are equally long, the one of the model that is tried first.
    found.reduce(|best, next| if next.0.upto > best.0.upto { next } else { best })
}

/// The part of exactly this chunk.
pub fn find_chunk(posts: &mut dyn Posts, range: &Range, models: &[String]) -> Option<Arc<Part>> {
    let (found, part) = find(posts, PartKind::Chunk, range, models)?;
    // A shorter one would leave messages out.
    (found.upto == range.upto).then(|| Arc::new(part))
}

/// Keeps a part of the model; of no other.
pub fn keep(posts: &mut dyn Posts, key: &Key, part: &Part) {
    let (kind, range) = match key {
        Key::Model(range, VERSION) => (PartKind::Digest, range),
        Key::Chunk(range, VERSION) => (PartKind::Chunk, range),
        _ => return,
    };
    // A range without messages is told without asking anybody.
    if part.to == 0 {
        return;
    }
    let bytes = stored(part).encode();
    if bytes.len() > PART_BYTES_MAX {
        return;
    }
    let key = PartKey {
        room: range.room.clone(),
        after: range.after,
        upto: range.upto,
        kind,
        model: part.engine.as_str().into(),
        prompt: VERSION,
    };
    // It fails only when the log closes; then the same question costs its call once more.
    drop(posts.put_part(KeptPart { key, bytes: bytes.into() }));
}

fn stored(part: &Part) -> StoredPart {
    let item = |item: &Item| StoredItem { text: item.text.clone(), ids: item.ids.clone() };
    let list = |items: &[Item]| items.iter().map(item).collect();
    StoredPart {
        summary: item(&part.digest.summary),
        bullet_points: list(&part.digest.bullet_points),
        key_decisions: list(&part.digest.key_decisions),
        action_items: list(&part.digest.action_items),
        open_questions: list(&part.digest.open_questions),
        engine: part.engine.clone(),
        from: part.from,
        to: part.to,
        read: part.read,
        participants: part.participants.clone(),
        notice: part.notice.clone(),
    }
}

fn part_of(stored: StoredPart) -> Part {
    let item = |item: StoredItem| Item { text: item.text, ids: item.ids };
    let list = |items: Vec<StoredItem>| items.into_iter().map(item).collect();
    Part {
        digest: Digest {
            summary: item(stored.summary),
            bullet_points: list(stored.bullet_points),
            key_decisions: list(stored.key_decisions),
            action_items: list(stored.action_items),
            open_questions: list(stored.open_questions),
        },
        engine: stored.engine,
        from: stored.from,
        to: stored.to,
        read: stored.read,
        participants: stored.participants,
        notice: stored.notice,
    }
}
