//! The language model as an engine: what it still has to read, in how many calls, and what of its answer is kept.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use crate::extract::{Digest, Item, Line, content_words};
use crate::message::Seq;
use crate::message::llm;
use crate::summary::budget::{CALL_TOKENS_MIN, tokens};
use crate::summary::cache::{Key, Part};
use crate::summary::check::{Check, sentences};
use crate::summary::counts::Counters;
use crate::summary::embedded;
use crate::summary::prompt::{self, ANSWER_TOKENS, ANSWER_TOKENS_SHORT, INSTRUCTIONS, Note, VERSION};
use crate::summary::service::{Call, Service, Told};
use crate::summary::talk::Range;
use crate::summary::trouble::Trouble;

/// Most calls for one summary: the last one and the sealed chunks before it.
const CALLS_MAX: usize = 24;
/// How often a request that was too large is made smaller.
const SHRINKS_MAX: usize = 3;
/// Chunks are begun within this share of the time; the rest is for the last call.
const CHUNKS_SHARE: f64 = 0.6;
/// Of the time that is left at most this share is spent waiting for tokens.
const PATIENCE_SHARE: f64 = 0.6;
/// A sealed chunk has this many tokens of messages, or less where the service takes less.
const CHUNK_TOKENS: u64 = 4_000;

/// A sentence that has this share of its words from another one says the same.
const REPEATED_SHARE: f64 = 0.75;

/// Where finished parts are found and kept.
pub trait Shelf {
    /// A finished part.
    fn part(&self, key: &Key) -> Option<Arc<Part>>;
    /// The longest finished digest with the beginning of `range` that does not end after it.
    fn base(&self, range: &Range) -> Option<(Range, Arc<Part>)>;
    /// So many of the calls for a digest are done.
    fn progress(&self, done: usize, of: usize);
    /// Keeps a part.
    fn put(&self, key: Key, part: Arc<Part>);
}

/// The engine.
pub struct Model {
    service: Service,
    counters: Arc<Counters>,
}

/// What the model has written about a range.
#[derive(Debug)]
pub struct Written {
    /// The statements that passed the check.
    pub digest: Digest,
    /// Service and model.
    pub engine: String,
    /// How many messages it has read for it, now or before.
    pub read: u64,
}

/// One answer that passed the check at least in part.
struct Answer {
    digest: Digest,
    engine: String,
    lines: u64,
}

impl Model {
    /// An engine over one service.
    pub fn new(service: Service, counters: Arc<Counters>) -> Model {
        Model { service, counters }
    }

    /// The service, for its name and its rests.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// The digest of all `lines`, which are those of `range`. Empty lists and an empty summary are for the caller to fill.
    pub fn digest(
        &self,
        range: &Range,
        lines: &[Line<'_>],
        names: &[&str],
        deadline: Instant,
        shelf: &dyn Shelf,
    ) -> Result<Written, Trouble> {
        let began = Instant::now();
        let time = deadline.saturating_duration_since(began);
        let mut covered: Vec<(Range, Arc<Part>)> = shelf.base(range).into_iter().collect();
        let open_from = covered.last().map_or(range.after, |(base, _)| base.upto);
        let open = after(lines, open_from);
        if open.is_empty()
            && let [(_, part)] = &covered[..]
        {
            return Ok(Written { digest: part.digest.clone(), engine: part.engine.clone(), read: part.read });
        }
        let call_room = prompt::room(self.service.call_max(), ANSWER_TOKENS);
        let chunk_room = CHUNK_TOKENS.min(call_room);
        let mut rest: Vec<&[Line<'_>]> = Vec::new();
        let mut fresh = Vec::new();
        if prompt::cost(open) <= call_room {
            rest.push(open);
        } else {
            for (chunk, is_sealed) in chunks(open, chunk_room) {
                let key = chunk_range(range, chunk);
                match shelf.part(&Key::Chunk(key.clone(), VERSION)).filter(|_| is_sealed) {
                    Some(part) => covered.push((key, part)),
                    None if is_sealed => fresh.push((key, chunk)),
                    None => rest.push(chunk),
                }
            }
        }
        // The newest chunks first: if time or tokens run out, the oldest are the ones of which only the most telling
        // messages are read.
        let of = fresh.len() + 1;
        for (calls, (key, chunk)) in fresh.into_iter().rev().enumerate() {
            shelf.progress(calls, of);
            let cost = prompt::cost(chunk) + tokens(INSTRUCTIONS) + ANSWER_TOKENS;
            let is_time = began.elapsed() < time.mul_f64(CHUNKS_SHARE) && calls + 1 < CALLS_MAX;
            // What a chunk takes must leave enough for the last call.
            let is_paid = || self.service.tokens_left() >= cost.saturating_mul(2);
            if !is_time || !is_paid() {
                rest.push(chunk);
                continue;
            }
            match self.answer(chunk, &[], lines, names, None, deadline) {
                Ok(answer) => {
                    let part = Arc::new(Part {
                        digest: answer.digest,
                        engine: answer.engine,
                        from: key.after + 1,
                        to: key.upto,
                        read: answer.lines,
                        ..Part::default()
                    });
                    shelf.put(Key::Chunk(key.clone(), VERSION), part.clone());
                    covered.push((key, part));
                }
                // What was not understood once may be left to the last call; what lasts ends it here.
                Err(Trouble::Garbled(_) | Trouble::Unsupported | Trouble::TooLarge) => rest.push(chunk),
                Err(trouble) => return Err(trouble),
            }
        }
        shelf.progress(of - 1, of);
        covered.sort_by_key(|(range, _)| range.after);
        let mut open: Vec<Line<'_>> = rest.into_iter().flatten().copied().collect();
        open.sort_by_key(|line| line.id);
        let notes: Vec<Note<'_>> = covered.iter().flat_map(|(_, part)| notes(&part.digest)).collect();
        let answer = self.answer(&open, &notes, lines, names, None, deadline)?;
        let read = covered.iter().map(|(_, part)| part.read).sum::<u64>() + answer.lines;
        Ok(Written { digest: answer.digest, engine: answer.engine, read })
    }

    /// What `reader` missed: `missed` are the unread messages of others, and nothing else is sent.
    pub fn unread(&self, missed: &[Line<'_>], reader: &str, deadline: Instant) -> Result<Item, Trouble> {
        let mut names: Vec<&str> = Vec::new();
        let mut seen: HashSet<&str> = HashSet::new();
        for line in missed {
            if seen.insert(line.sender) {
                names.push(line.sender);
            }
        }
        let answer = self.answer(missed, &[], missed, &names, Some(reader), deadline)?;
        Ok(answer.digest.summary)
    }

    /// One call, made smaller as often as the service asks for it.
    fn answer(
        &self,
        open: &[Line<'_>],
        notes: &[Note<'_>],
        lines: &[Line<'_>],
        names: &[&str],
        reader: Option<&str>,
        deadline: Instant,
    ) -> Result<Answer, Trouble> {
        let answer_tokens = if reader.is_some() { ANSWER_TOKENS_SHORT } else { ANSWER_TOKENS };
        for _ in 0..SHRINKS_MAX {
            let wanted = prompt::cost(open) + tokens(INSTRUCTIONS) + answer_tokens;
            let least = wanted.min(CALL_TOKENS_MIN.max(tokens(INSTRUCTIONS) + answer_tokens + 300));
            let patience = deadline.saturating_duration_since(Instant::now()).mul_f64(PATIENCE_SHARE);
            let call_tokens = self.service.room(least, patience)?;
            let room = prompt::room(call_tokens, answer_tokens);
            let prompt = prompt::prompt(open, notes, names, reader, room);
            let call = Call { system: INSTRUCTIONS, user: &prompt.user, answer_tokens };
            match self.service.ask(&call, deadline, &self.counters) {
                Ok(told) => return self.checked(&told, lines, names, &prompt.ids, reader, prompt.lines as u64),
                Err(Trouble::TooLarge) => {}
                Err(other) => return Err(other),
            }
        }
        Err(Trouble::TooLarge)
    }

    fn checked(
        &self,
        told: &Told,
        lines: &[Line<'_>],
        names: &[&str],
        ids: &[Seq],
        reader: Option<&str>,
        read: u64,
    ) -> Result<Answer, Trouble> {
        let claims = llm::claims(&told.content, told.is_whole && reader.is_none()).map_err(Trouble::Garbled)?;
        let check = Check::new(lines, names, ids);
        let checked = check.digest(&claims, &self.counters);
        if checked.kept == 0 || (reader.is_some() && checked.digest.summary.ids.is_empty()) {
            return Err(Trouble::Unsupported);
        }
        Ok(Answer { digest: checked.digest, engine: told.engine.clone(), lines: read })
    }
}

/// Puts the embedded engine's statements where the model has none that passed.
pub fn filled(mut digest: Digest, lines: &[Line<'_>]) -> Digest {
    let lists = [&digest.bullet_points, &digest.key_decisions, &digest.action_items, &digest.open_questions];
    if !digest.summary.ids.is_empty() && lists.iter().all(|list| !list.is_empty()) {
        return digest;
    }
    let own = embedded::digest(lines);
    if digest.summary.ids.is_empty() {
        digest.summary = own.summary;
    }
    let fill = |list: &mut Vec<Item>, own: Vec<Item>| {
        if list.is_empty() {
            *list = own;
        }
    };
    fill(&mut digest.bullet_points, own.bullet_points);
    fill(&mut digest.key_decisions, own.key_decisions);
    fill(&mut digest.action_items, own.action_items);
    fill(&mut digest.open_questions, own.open_questions);
    digest
}

/// Puts what names the reader before what the model wrote; of that, the sentences that say no more go.
pub fn led(lead: Item, written: Item) -> Item {
    let known: HashSet<String> = content_words(&lead.text).into_iter().collect();
    let is_new = |sentence: &&str| {
        let words = content_words(sentence);
        let shared = words.iter().filter(|word| known.contains(*word)).count();
        words.is_empty() || (shared as f64) < words.len() as f64 * REPEATED_SHARE
    };
    let news: Vec<&str> = sentences(&written.text).into_iter().filter(is_new).collect();
    let text = if news.is_empty() { lead.text } else { format!("{} {}", lead.text, news.join(" ")) };
    let mut ids = lead.ids;
    if !news.is_empty() {
        ids.extend(written.ids);
    }
    ids.sort_unstable();
    ids.dedup();
    Item { text, ids }
}

fn after<'a, 'b>(lines: &'b [Line<'a>], seq: Seq) -> &'b [Line<'a>] {
    &lines[lines.partition_point(|line| line.id <= seq)..]
}

/// Cuts lines into chunks of at most `room` tokens; all but the last are sealed: they will be the same next time.
fn chunks<'a, 'b>(lines: &'b [Line<'a>], room: u64) -> Vec<(&'b [Line<'a>], bool)> {
    let mut chunks = Vec::new();
    let mut start = 0;
    let mut filled = 0;
    for (at, line) in lines.iter().enumerate() {
        let cost = prompt::cost(std::slice::from_ref(line));
        if filled + cost > room && at > start {
            chunks.push((&lines[start..at], true));
            start = at;
            filled = 0;
        }
        filled += cost;
    }
    chunks.push((&lines[start..], false));
    chunks
}

fn chunk_range(range: &Range, chunk: &[Line<'_>]) -> Range {
    let ends = (chunk.first().map_or(1, |line| line.id), chunk.last().map_or(0, |line| line.id));
    Range { room: range.room.clone(), after: ends.0 - 1, upto: ends.1 }
}

fn notes(digest: &Digest) -> Vec<Note<'_>> {
    let mut notes = vec![Note { kind: "summary", item: &digest.summary }];
    let lists = [
        ("point", &digest.bullet_points),
        ("decision", &digest.key_decisions),
        ("action", &digest.action_items),
        ("question", &digest.open_questions),
    ];
    for (kind, list) in lists {
        notes.extend(list.iter().map(|item| Note { kind, item }));
    }
    notes.retain(|note| !note.item.ids.is_empty());
    notes
}
