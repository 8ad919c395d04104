//! Clauses that the words around them settle: "agreed, we …", "…, decided.", "… Okay?" with nods, "ok, the garden" after a choice.
//! What they weigh among other decisions is judged in `decisions.rs`.

use super::chat::{Chat, Reply, Unit};
use super::decisions::clause;
use super::lexicon::{among, class};
use super::weigh::overlap;

/// Said outright.
const SETTLED: f32 = 3.4;
/// Asked for consent, and somebody nodded.
const CONSENTED: f32 = 2.7;
/// One of the options that were asked about.
const CHOSEN: f32 = 2.5;
/// What was offered as an option of its own, and agreed to.
const OPTED: f32 = 3.0;
/// Put as a question, and agreed to; a question weighs two less.
const PROPOSED: f32 = 4.5;
const CLAUSE_WORDS_MAX: usize = 36;
const CHOICE_WORDS_MAX: usize = 12;
const CONSENT_WORDS_MAX: usize = 6;
const CHOICE_WITHIN: usize = 8;
const OPTION_WORDS_MAX: usize = 4;
const NODS_WITHIN: usize = 3;

/// A clause and what its surroundings make of it.
#[derive(Clone, Copy, Debug)]
pub struct Settled {
    pub from: usize,
    pub to: usize,
    pub weight: f32,
    /// It begins with the verb of what will be done.
    pub is_act: bool,
}

/// Whether the words around a sentence settle it.
pub fn settled(chat: &Chat<'_>, index: usize) -> Option<Settled> {
    let unit = &chat.units[index];
    if unit.to - unit.from > CLAUSE_WORDS_MAX || chat.tokens[unit.from].is_quoted {
        return None;
    }
    led(chat, unit)
        .or_else(|| closed(chat, unit))
        .or_else(|| consented(chat, index))
        .or_else(|| chosen(chat, unit))
        .or_else(|| proposed(chat, unit))
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
    is_plan(chat, from, unit.to).then_some(Settled { from, to: unit.to, weight: SETTLED, is_act: false })
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
    (says_something && is_apart(chat, unit, to)).then_some(Settled { from, to, weight: SETTLED, is_act: false })
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
        is_act: false,
    })
}

/// "Garden or restaurant?" … "right, garden with the tent" … and somebody nods; or "Monday?", "works for me", "ok, Monday then".
fn chosen(chat: &Chat<'_>, unit: &Unit) -> Option<Settled> {
    let from = chat.opening(unit).0;
    let is_concluding = from > unit.from || matches!(chat.text_of(unit.to - 1), "then");
    if unit.is_question || !is_concluding || unit.to - from > CHOICE_WORDS_MAX || is_opinion(chat, from, unit.to) {
        return None;
    }
    let subject = chat.subject(from, unit.to);
    let asked = (unit.line.saturating_sub(CHOICE_WITHIN)..unit.line)
        .rev()
        .flat_map(|line| chat.units_of(line))
        .filter(|asked| asked.is_question && overlap(&chat.subject(asked.from, asked.to), &subject) > 0.0);
    let mut weight = None;
    for asked in asked {
        let has_or = (asked.from..asked.to).any(|at| chat.text_of(at) == "or");
        let is_option = asked.to - chat.opening(asked).0 <= OPTION_WORDS_MAX;
        let is_nodded = nods(chat, unit.line, NODS_WITHIN) > 0;
        // "Do we take the tent?", "no", "ok, no tent".
        let is_refused = chat.text_of(from) == "no"
            && chat.speaker[asked.line] == chat.speaker[unit.line]
            && (asked.line + 1..unit.line).any(|line| chat.reply(line) == Reply::Nay);
        if is_refused {
            weight = Some(SETTLED);
        } else if has_or && is_nodded {
            weight = Some(CHOSEN);
        } else if is_option && (is_nodded || nods(chat, asked.line, unit.line - asked.line - 1) > 0) {
            weight = Some(OPTED);
        }
        if weight.is_some() {
            break;
        }
    }
    let to = clause(chat, unit, from, from).1;
    weight.map(|weight| Settled { from, to, weight, is_act: false })
}

/// "Drop 3.8 in the next release?" and the others say yes: all of two, two of many.
fn proposed(chat: &Chat<'_>, unit: &Unit) -> Option<Settled> {
    let head = chat.opening(unit).0;
    let text = |at: usize| if at < unit.to { chat.text_of(at) } else { "" };
    let from = match (text(head), text(head + 1)) {
        ("should" | "shall" | "can", "we") => head + 2,
        ("do", "we") if text(head + 2) == "just" => head + 3,
        _ => head,
    };
    let is_act = from < unit.to && chat.is(from, class::VERB) && !chat.is(from, class::STOP | class::IDLE);
    if !unit.is_question || !is_act {
        return None;
    }
    // "Tea or coffee?", "send me the file?": no yes can choose, or decide for all.
    let is_other =
        (head..unit.to).any(|at| among(chat.text_of(at), "or i me my you your yours anyone someone anybody"));
    if is_other || chat.subject(from, unit.to).len() < 2 {
        return None;
    }
    let needed = if chat.people.len() == 2 { 1 } else { 2 };
    (nods(chat, unit.line, NODS_WITHIN + 1) >= needed).then_some(Settled {
        from,
        to: unit.to,
        weight: PROPOSED,
        is_act: true,
    })
}

/// How many others nod in the lines after a line, before somebody refuses.
fn nods(chat: &Chat<'_>, line: usize, within: usize) -> usize {
    let mut people: Vec<usize> = Vec::new();
    for next in line + 1..chat.lines.len().min(line + 1 + within) {
        let person = chat.speaker[next];
        match chat.reply(next) {
            Reply::Nay if person != chat.speaker[line] => break,
            Reply::Nod if person != chat.speaker[line] && !people.contains(&person) => people.push(person),
            _ => {}
        }
    }
    people.len()
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
