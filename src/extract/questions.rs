//! Finds questions that nobody answered. A doubtful one counts as answered: a false alarm costs more than a miss.

use super::chat::{Chat, Reply, Unit};
use super::lexicon::class;
use super::rewrite;
use super::weigh::overlap;

const QUESTIONS_MAX: usize = 6;
const ITEM_WORDS_MAX: usize = 28;
/// How many messages of others an answer may be away.
const ANSWER_WITHIN: usize = 10;

/// A question on its way to be told.
#[derive(Clone, Debug)]
pub struct Question {
    pub line: usize,
    pub text: String,
}

/// The last open questions in the order of the conversation. `is_told` says which lines are already told as something else.
pub fn find(chat: &Chat<'_>, is_told: impl Fn(usize) -> bool) -> Vec<Question> {
    let mut found: Vec<(&Unit, Vec<u32>)> = Vec::new();
    // From the end: the last ones are wanted, and of one that was asked twice the second.
    for unit in chat.units.iter().rev() {
        if found.len() == QUESTIONS_MAX {
            break;
        }
        if !is_real(chat, unit) || is_told(unit.line) {
            continue;
        }
        let subject = chat.subject(unit.from, unit.to);
        let is_repeated = found.iter().any(|(_, known)| overlap(known, &subject) >= 0.7);
        if !is_repeated && !is_answered(chat, unit, &subject) {
            found.push((unit, subject));
        }
    }
    found.reverse();
    found
        .iter()
        .map(|(unit, _)| Question { line: unit.line, text: rewrite::tell(chat, unit, ITEM_WORDS_MAX) })
        .collect()
}

/// A question to people, about something; not "right?", not a quoted one, not "how are you?".
fn is_real(chat: &Chat<'_>, unit: &Unit) -> bool {
    let length = unit.to - unit.from;
    if !unit.is_question || chat.is_bait[unit.line] || chat.tokens[unit.from].is_quoted || !(3..=60).contains(&length) {
        return false;
    }
    let tail = chat.text_of(unit.to - 1);
    let is_tag = matches!(tail, "right" | "no" | "huh" | "eh" | "lol" | "haha" | "ok" | "yeah" | "innit");
    !is_tag && (chat.subject(unit.from, unit.to).len() >= 2 || !unit.is_english && length >= 3)
}

fn is_answered(chat: &Chat<'_>, unit: &Unit, subject: &[u32]) -> bool {
    let asker = chat.speaker[unit.line];
    // Asked and answered in one message.
    if chat
        .units_of(unit.line)
        .last()
        .is_some_and(|last| last.from > unit.from && !last.is_question && chat.subject(last.from, last.to).len() >= 3)
    {
        return true;
    }
    let mut others = 0;
    for line in unit.line + 1..chat.lines.len().min(unit.line + 1 + ANSWER_WITHIN) {
        let Some(first) = chat.units_of(line).first() else { continue };
        if chat.speaker[line] == asker {
            if chat.is(first.from, class::ACK) && others > 0 {
                return true;
            }
            continue;
        }
        let words: Vec<&str> = (first.from..first.to.min(first.from + 4)).map(|at| chat.text_of(at)).collect();
        let is_shrug = matches!(
            words.as_slice(),
            ["no", "idea" | "clue", ..]
                | ["good", "question", ..]
                | ["not", "sure", ..]
                | ["dunno", ..]
                | ["idk", ..]
                | ["i", "don't", "know", ..]
                | ["don't", "know", ..]
        );
        if is_shrug {
            others += 1;
            continue;
        }
        let shares = chat
            .units_of(line)
            .iter()
            .any(|reply| !reply.is_question && overlap(subject, &chat.subject(reply.from, reply.to)) > 0.0);
        let is_direct = others == 0 && !first.is_question;
        let names = chat.units_of(line).iter().any(|reply| {
            (reply.from..reply.to).any(|at| chat.mention_at(at, reply.to).is_some_and(|(person, _)| person == asker))
        });
        if shares || is_direct || names || (chat.reply(line) != Reply::Other && others < 3) {
            return true;
        }
        others += 1;
    }
    false
}
