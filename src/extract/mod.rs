//! The embedded summarizer: what a conversation was about, what was decided, who does what. It needs no service and no clock;
//! it knows nothing of rooms, read marks or HTTP.

mod absent;
mod actions;
mod chat;
mod closing;
mod compose;
mod consent;
mod cues;
mod decisions;
mod guard;
mod lexicon;
mod lists;
mod questions;
mod rewrite;
mod settled;
mod tasks;
mod tokens;
mod weigh;

use chat::Chat;
use lexicon::Lexicon;
use std::cell::RefCell;

/// One message, as the summarizer sees it.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// Its number in the room; ascending in a conversation.
    pub id: u64,
    /// The display name of who wrote it.
    pub sender: &'a str,
    /// What was written, as it was written.
    pub text: &'a str,
    /// When, in milliseconds since 1970. Not read yet: ids give the order.
    pub at_ms: i64,
}

/// A sentence for the reader and the ids of the messages that it came from (never empty, ascending).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Item {
    /// One line, at most about 400 characters; the summaries a few times that.
    pub text: String,
    /// What it rests on.
    pub ids: Vec<u64>,
}

/// What is said about a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Digest {
    /// Two or three sentences on the whole; `ids` is empty only when there are no lines.
    pub summary: Item,
    /// Five to ten for twelve messages or more.
    pub bullet_points: Vec<Item>,
    /// At most ten, in the order of the conversation.
    pub key_decisions: Vec<Item>,
    /// At most ten; each begins with who has to do it, where that is known.
    pub action_items: Vec<Item>,
    /// At most six: asked, and answered by nobody.
    pub open_questions: Vec<Item>,
}

/// What all answers are made of.
struct Judged {
    weights: weigh::Weights,
    decisions: Vec<decisions::Decision>,
    /// Lines that hold no longer.
    withdrawn: Vec<usize>,
    actions: Vec<actions::Action>,
}

fn judge<'a>(lines: &'a [Line<'a>]) -> (Chat<'a>, Judged) {
    let mut chat = Chat::read(lines);
    let decision_rules = closing::Rules::new(&mut chat.lexicon);
    let action_rules = tasks::Rules::new(&mut chat.lexicon);
    let formality = closing::formality(&chat);
    let decisions = decisions::find(&chat, &decision_rules, formality);
    let judged = Judged {
        weights: weigh::weigh(&chat),
        decisions: decisions.kept,
        withdrawn: decisions.withdrawn,
        actions: actions::find(&chat, &action_rules, formality),
    };
    (chat, judged)
}

/// The digest of a conversation in order of ids. Deterministic, O(messages x words).
pub fn digest(lines: &[Line<'_>]) -> Digest {
    let (chat, judged) = judge(lines);
    let questions = questions::find(&chat, |line| {
        judged.actions.iter().any(|action| action.lines.contains(&line))
            || judged.decisions.iter().any(|decision| decision.lines.contains(&line))
    });
    Digest {
        summary: compose::summary(&chat, &judged),
        bullet_points: compose::bullets(&chat, &judged),
        key_decisions: judged
            .decisions
            .iter()
            .map(|decision| compose::item(&chat, decision.told(|_| true), decision.lines.iter().copied()))
            .collect(),
        action_items: judged
            .actions
            .iter()
            .map(|action| compose::item(&chat, action.told(), action.lines.iter().copied()))
            .collect(),
        open_questions: questions
            .into_iter()
            .map(|question| compose::item(&chat, question.text, [question.line]))
            .collect(),
    }
}

/// What `reader` missed: `lines` are the whole conversation, so that addressees and antecedents are understood; only messages
/// with an id above `after` that are not by `reader` are told. "You're all caught up!" with no ids when there is none.
pub fn unread(lines: &[Line<'_>], reader: &str, after: u64) -> Item {
    let may_tell = |line: usize| is_news(&lines[line], reader, after);
    if !(0..lines.len()).any(may_tell) {
        return Item { text: compose::CAUGHT_UP.to_string(), ids: Vec::new() };
    }
    let (chat, judged) = judge(lines);
    compose::unread(&chat, &judged, person(&chat, reader), may_tell)
}

/// Of what `reader` missed only what names them: decisions that bind them, requests and questions to them. Empty if
/// there is none.
pub fn named(lines: &[Line<'_>], reader: &str, after: u64) -> Item {
    let may_tell = |line: usize| is_news(&lines[line], reader, after);
    if !(0..lines.len()).any(may_tell) {
        return Item::default();
    }
    let (chat, judged) = judge(lines);
    person(&chat, reader).map_or_else(Item::default, |reader| compose::named(&chat, &judged, reader, may_tell))
}

fn is_news(line: &Line<'_>, reader: &str, after: u64) -> bool {
    line.id > after && !is_same_name(line.sender, reader)
}

/// Names are told apart without regard to case.
fn is_same_name(name: &str, reader: &str) -> bool {
    name == reader || name.to_lowercase() == reader.to_lowercase()
}

/// Who the reader is among those who wrote or are spoken of.
fn person(chat: &Chat<'_>, reader: &str) -> Option<usize> {
    chat.people.iter().chain(&chat.absent).position(|name| is_same_name(name, reader))
}

/// The ids of the `count` messages that matter most, ascending: the reducer for an LLM with a small budget.
pub fn rank(lines: &[Line<'_>], count: usize) -> Vec<u64> {
    /// What a message is worth more that a decision or a task rests on.
    const EVIDENCE: f32 = 2.0;
    let (chat, judged) = judge(lines);
    let mut scores: Vec<(f32, usize)> = (0..lines.len())
        .map(|line| {
            let (from, to) = chat.line_units[line];
            (judged.weights.scores[from..to].iter().copied().fold(-1.0, f32::max), line)
        })
        .collect();
    for line in judged
        .decisions
        .iter()
        .flat_map(|decision| &decision.lines)
        .chain(judged.actions.iter().flat_map(|action| &action.lines))
    {
        scores[*line].0 = scores[*line].0.max(0.0) + EVIDENCE;
    }
    scores.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)));
    let mut ids: Vec<u64> = scores.into_iter().take(count).map(|(_, line)| lines[line].id).collect();
    ids.sort_unstable();
    ids
}

/// A lexicon that has met this many spellings is given up for a fresh one.
const SPELLINGS_MAX: usize = 50_000;

thread_local! {
    /// Making a lexicon takes 100 times as long as looking at one text.
    static LEXICON: RefCell<Option<Lexicon>> = const { RefCell::new(None) };
}

/// Content words (stemmed, lower-case, stop words out) of a text: shared with the check of an LLM's sources.
pub fn content_words(text: &str) -> Vec<String> {
    let lexicon = LEXICON.take().filter(|lexicon| lexicon.len() < SPELLINGS_MAX).unwrap_or_else(Lexicon::new);
    let lines = [Line { id: 1, sender: "", text, at_ms: 0 }];
    let chat = Chat::read_with(&lines, lexicon);
    let words = chat.content.iter().map(|&stem| chat.lexicon.stem_text(stem).to_string()).collect();
    LEXICON.set(Some(chat.lexicon));
    words
}

#[cfg(test)]
mod tests;
