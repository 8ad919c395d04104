//! Clauses that the words around them settle: "agreed, we …", "…, decided.", "… Okay?" with nods, "ok, the garden" after a choice.
//! What they weigh among other decisions is judged in `decisions.rs`.

use super::chat::{Chat, Reply, Unit};
use super::lexicon::{among, class};
use super::weigh::overlap;

/// Said outright.
const SETTLED: f32 = 3.4;
/// Asked for consent, and somebody nodded.
const CONSENTED: f32 = 2.7;
/// One of the options that were asked about.
const CHOSEN: f32 = 2.5;
const CLAUSE_WORDS_MAX: usize = 36;
const CHOICE_WORDS_MAX: usize = 12;
const CONSENT_WORDS_MAX: usize = 6;
const CHOICE_WITHIN: usize = 8;
const NODS_WITHIN: usize = 3;

/// A clause and what its surroundings make of it.
#[derive(Clone, Copy, Debug)]
pub struct Settled {
    pub from: usize,
    pub to: usize,
    pub weight: f32,
}

/// Whether the words around a sentence settle it.
pub fn settled(chat: &Chat<'_>, index: usize) -> Option<Settled> {
    let unit = &chat.units[index];
    if unit.to - unit.from > CLAUSE_WORDS_MAX || chat.tokens[unit.from].is_quoted {
        return None;
    }
    led(chat, unit).or_else(|| closed(chat, unit)).or_else(|| consented(chat, index)).or_else(|| chosen(chat, unit))
}

/// "ok agreed, we ship on Friday".
fn led(chat: &Chat<'_>, unit: &Unit) -> Option<Settled> {
    let head = (unit.from..unit.to.min(unit.from + 3))
        .find(|&at| !chat.is(at, class::FILLER))
        .filter(|&at| among(chat.text_of(at), "agreed decided settled deal approved confirmed"))?;
    let from = head + 1;
    if unit.is_question || from + 2 > unit.to || !is_apart(chat, unit, from) {
        return None;
    }
    is_plan(chat, from, unit.to).then_some(Settled { from, to: unit.to, weight: SETTLED })
}

/// "We ship on Friday, decided."
fn closed(chat: &Chat<'_>, unit: &Unit) -> Option<Settled> {
    let last = unit.to - 1;
    if unit.is_question || !among(chat.text_of(last), "decided settled agreed final deal") {
        return None;
    }
    let mut to = last;
    while to > unit.from && among(chat.text_of(to - 1), "that's it's is that all so and done a") {
        to -= 1;
    }
    let from = chat.opening(unit).0;
    let says_something = from + 2 < to && chat.subject(from, to).len() >= 2 && !is_opinion(chat, from, to);
    (says_something && is_apart(chat, unit, to)).then_some(Settled { from, to, weight: SETTLED })
}

/// "From now on we ask first. Okay?" and somebody says okay.
fn consented(chat: &Chat<'_>, index: usize) -> Option<Settled> {
    let unit = &chat.units[index];
    let next = chat.units.get(index + 1).filter(|next| next.line == unit.line)?;
    let head = chat.text_of(next.from);
    let asks = next.is_question
        && next.to - next.from <= CONSENT_WORDS_MAX
        && (among(head, "agreed ok okay deal objections fine yes alright") && next.to - next.from <= 2
            || matches!((head, chat.text_of(next.to - 1)), ("any", "objections" | "objection"))
            || among(head, "everyone everybody all sound sounds does")
                && among(chat.text_of(next.to - 1), "ok okay good fine agreed agree that everyone all work"));
    let from = chat.opening(unit).0;
    let is_nodded = (unit.line + 1..chat.lines.len().min(unit.line + 1 + NODS_WITHIN))
        .any(|line| chat.speaker[line] != chat.speaker[unit.line] && chat.reply(line) == Reply::Nod);
    let says_something = chat.subject(from, unit.to).len() >= 2 && !is_opinion(chat, from, unit.to);
    (asks && is_nodded && !unit.is_question && says_something).then_some(Settled {
        from,
        to: unit.to,
        weight: CONSENTED,
    })
}

/// "Garden or restaurant?" … "right, garden with the tent" … and somebody nods.
fn chosen(chat: &Chat<'_>, unit: &Unit) -> Option<Settled> {
    let from = chat.opening(unit).0;
    let is_concluding = from > unit.from || matches!(chat.text_of(unit.to - 1), "then");
    if unit.is_question || !is_concluding || unit.to - from > CHOICE_WORDS_MAX || is_opinion(chat, from, unit.to) {
        return None;
    }
    let subject = chat.subject(from, unit.to);
    let is_nodded = (unit.line + 1..chat.lines.len().min(unit.line + 1 + NODS_WITHIN))
        .any(|line| chat.speaker[line] != chat.speaker[unit.line] && chat.reply(line) == Reply::Nod);
    let is_option =
        (unit.line.saturating_sub(CHOICE_WITHIN)..unit.line).flat_map(|line| chat.units_of(line)).any(|asked| {
            let has_or = (asked.from..asked.to).any(|at| chat.text_of(at) == "or");
            asked.is_question && has_or && overlap(&chat.subject(asked.from, asked.to), &subject) > 0.0
        });
    (is_option && is_nodded).then_some(Settled { from, to: unit.to, weight: CHOSEN })
}

/// A comma, dash or colon stands before the token.
fn is_apart(chat: &Chat<'_>, unit: &Unit, at: usize) -> bool {
    chat.gap_before(unit.line, at, unit.from).contains([',', ';', ':', '-', '–', '—', '!'])
}

/// "I think", "it is", "you are": nothing that people settle.
fn is_opinion(chat: &Chat<'_>, from: usize, to: usize) -> bool {
    from >= to
        || among(
            chat.text_of(from),
            "i i'm i'd i've it it's its that that's this you you're they he she there as like if what how when",
        )
}

/// What people will do, not what they think: "we ship", "no more calls", "the release moves to Friday".
fn is_plan(chat: &Chat<'_>, from: usize, to: usize) -> bool {
    if is_opinion(chat, from, to) || chat.subject(from, to).is_empty() {
        return false;
    }
    let next = if from + 1 < to { chat.text_of(from + 1) } else { "" };
    match chat.text_of(from) {
        "we" => !among(next, "need should could might can can't have had were did don't are must"),
        "we'll" | "let's" | "we're" | "no" => true,
        "the" | "our" => (from..to).any(|at| {
            among(chat.text_of(at), "will moves stays goes ships becomes starts") || chat.is(at, class::TIME)
        }),
        _ => chat.is(from, class::VERB) && !chat.is(from, class::IDLE | class::STOP),
    }
}
