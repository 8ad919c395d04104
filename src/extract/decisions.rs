//! Finds what was decided: marks, votes, and phrases that people close a question with.
//! Only English is read; quoted words, code and bait decide nothing.

use super::chat::{Chat, Reply, Unit};
use super::cues::{Cue, Cues};
use super::lexicon::{Lexicon, class};
use super::rewrite::{self, Telling};
use super::weigh::overlap;

/// What a sentence must reach to be told as a decision.
const THRESHOLD: f32 = 2.9;
/// The same in a conversation whose people mark or vote on their decisions.
pub const THRESHOLD_FORMAL: f32 = 3.9;
const DECISIONS_MAX: usize = 10;
const WORDS_MAX: usize = 60;
const ITEM_WORDS_MAX: usize = 45;
const QUESTION_WORDS_MAX: usize = 16;
const NODS_WITHIN: usize = 8;
const VOTES_WITHIN: usize = 14;
const ANTECEDENT_WITHIN: usize = 6;
const REVERSAL_WITHIN: usize = 30;
const MARK: f32 = 5.5;

const CUES: &[Cue] = &[
    (
        "we|we've|team|group|everyone|everybody|they|all have? all? decided|agreed|settled|chosen|approved|concluded|voted",
        3.5,
    ),
    ("we're|we all? agreed|settled|decided", 3.5),
    ("decided|agreed to|that|on|against", 3.2),
    ("let's just? go|stick|stay|settle with|on|for|to", 3.3),
    (
        "let's just? use|keep|ship|do|postpone|skip|drop|move|push|switch|make|set|have|pick|choose|cut|revert|freeze|delay|leave|cancel|merge|target|aim|require|book|put|add|remove|call|default|limit|adopt|defer|bump|release|launch|deploy|split|rename|standardize|standardise|plan|meet|start|stop|hold|order|schedule|announce|avoid|archive|close|extend|reduce|raise|lower|cap|swap|replace|allow|ban|offer|hire|not",
        3.2,
    ),
    ("<we'll> go|stick|stay|settle with|on|for", 3.2),
    (
        "<we'll> just? use|keep|ship|offer|adopt|postpone|skip|drop|move|push|switch|make|set|have|cut|freeze|delay|leave|cancel|target|require|add|remove|limit|defer|release|launch|deploy|split|hold|start|stop|support|allow|run|take|meet|do|not|only|stay|be",
        2.9,
    ),
    ("<we're> going with|for|to|ahead", 3.1),
    (
        "<we're> moving|dropping|postponing|switching|using|keeping|cancelling|canceling|skipping|delaying|freezing|adopting|sticking|staying|doing|shipping|launching|releasing|pushing|not",
        2.6,
    ),
    ("^ going|sticking with", 3.0),
    ("go with", 2.2),
    ("it's|that's|its|is|are settled|decided|approved|final|official|agreed|confirmed", 3.2),
    ("the|our|final decision|consensus|verdict|conclusion|outcome|agreement is|was", 3.1),
    ("^ the|new|our plan is|:", 2.6),
    ("^ change of plans|plan", 2.8),
    ("^ new plan", 2.8),
    ("it is then?$", 3.0),
    ("^ <any> <any>? it is", 2.9),
    ("wins", 2.3),
    ("scrap|forget|cancel|drop|kill|ditch that|this|it|the", 2.6),
    ("stays|remains at|on|in|as|the", 2.4),
    ("moves|moved to the? next?", 2.4),
    (
        "is|are|gets|getting postponed|cancelled|canceled|dropped|delayed|pushed|moved|scrapped|approved|rejected|deferred|out",
        2.2,
    ),
    ("becomes", 2.5),
    ("^ no more", 2.6),
    ("^ no <any> until|before|today|on|after", 2.4),
    ("^ so|then|ok|okay|alright we|we'll|we're <any>", 2.5),
    ("^ ok|okay|yes|yep|alright|fine|so|then <verb> it|that|this|them", 2.5),
    ("we won't|will not?", 2.4),
    ("<we're> not doing|going|shipping|using|supporting|adding|changing|taking", 2.6),
    ("from now on", 2.7),
    ("starting|effective monday|tuesday|wednesday|thursday|friday|next|today|tomorrow|immediately", 2.2),
    ("^ approved|rejected|accepted", 2.7),
    ("signed off on?", 2.6),
    ("any? objections|objection$", 2.2),
    ("everyone|everybody|all ok|okay|good|fine|happy|agreed|agree with?", 2.3),
    ("^ keep|exclude|ship|use|drop|skip|postpone|go|make", 1.9),
    ("postponed|later", 1.6),
    ("not now", 2.5),
    ("^ maybe? next|another quarter|sprint|release|year|month|week|time", 2.3),
    ("not a priority", 2.0),
    ("out of scope", 2.4),
    ("not this|for time|week|sprint|quarter|release|year|now", 2.3),
    ("^ nobody|noone", 2.5),
    ("i|i'd propose|suggest|move we|that|to", 2.2),
    ("how about we", 1.7),
    ("i'm fine|ok|happy with", 1.6),
    ("let's", 1.8),
    ("we should", 1.6),
    ("i vote", 1.6),
];

/// Words that settle what was said before them.
const SETTLES: &[Cue] = &[
    ("^ decided then?$", 3.4),
    ("^ settled then?$", 3.4),
    ("^ agreed then|everyone|all$", 3.4),
    ("^ deal then?$", 3.4),
    ("^ good settled|decided|agreed$", 3.4),
    ("^ approved|accepted|confirmed|passed|carried then?$", 3.4),
    ("^ that's|it's|its|all settled|decided|final|agreed|a deal|decision|plan? then?$", 3.4),
    ("^ that's that?$", 0.0),
    ("^ it's|that's a deal|plan|decision$", 3.4),
    ("^ so|then agreed|decided|settled$", 3.4),
    ("^ let's do that|it|this then?$", 3.3),
    ("^ let's go with that|it|this then?$", 3.4),
    ("^ <we'll> do|go|use|take with? that|it|this then?$", 3.2),
    ("^ sold$", 2.6),
    ("^ motion carries|carried|passes|passed$", 3.4),
    ("^ no objections?$", 1.0),
];

/// Sentences that undo the decision before them.
const UNDOES: &[Cue] = &[
    ("^ scrap|forget|cancel|undo|reverse|revert that|it|this", 1.0),
    ("never mind", 1.0),
    ("^ nevermind", 1.0),
    ("on second thought", 1.0),
    ("changed my|our mind", 1.0),
    ("change of plans|plan", 1.0),
    ("^ wait|hold no|on", 1.0),
    ("<we're> not doing that|it|this anymore?", 1.0),
    ("back to", 1.0),
    ("let's not|reverse|revert|undo|cancel", 1.0),
    ("instead", 1.0),
    ("^ actually", 1.0),
    ("^ no|nope let's|we'll|we", 1.0),
    ("after all", 1.0),
    ("rather than", 1.0),
    ("new plan", 1.0),
    ("scratch that", 1.0),
];

/// A decision on its way to be told.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The line whose words are told, and all that it rests on, ascending.
    pub line: usize,
    pub lines: Vec<usize>,
    pub text: String,
    pub subject: Vec<u32>,
    score: f32,
    is_marked: bool,
    is_vote: bool,
    pub opening: Opening,
}

/// What the text begins with, for a sentence that goes on with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opening {
    /// "Go with Postgres"
    Verb,
    /// "No more deploys"
    Small,
    /// "Berlin it is"
    Name,
}

pub struct Rules {
    cues: Cues,
    settles: Cues,
    undoes: Cues,
}

impl Rules {
    pub fn new(lexicon: &mut Lexicon) -> Rules {
        Rules {
            cues: Cues::new(CUES, lexicon),
            settles: Cues::new(SETTLES, lexicon),
            undoes: Cues::new(UNDOES, lexicon),
        }
    }
}

/// The decisions of a conversation in its order, at most `DECISIONS_MAX`.
pub fn find(chat: &Chat<'_>, rules: &Rules, formality: Formality) -> Vec<Decision> {
    let mut found: Vec<Decision> = Vec::new();
    for index in 0..chat.units.len() {
        let unit = &chat.units[index];
        if !unit.is_english || chat.is_bait[unit.line] {
            continue;
        }
        let words = chat.words(unit.from, unit.to);
        let opening = chat.opening(unit).0;
        if undoes(chat, rules, unit, &words, opening) {
            withdraw(chat, unit, &mut found);
        }
        if let Some(decision) = judge(chat, rules, index, &words, opening) {
            found.push(decision);
        }
    }
    let is_formal =
        found.iter().any(|decision| decision.is_marked || (decision.is_vote && decision.score >= THRESHOLD_FORMAL));
    found.retain(|decision| match formality {
        // Who resolves formally has not yet resolved what was only proposed.
        Formality::Resolves => decision.is_marked || !decision.is_vote && decision.score >= THRESHOLD_FORMAL,
        Formality::Assigns => decision.score >= THRESHOLD_FORMAL,
        Formality::None => decision.score >= if is_formal { THRESHOLD_FORMAL } else { THRESHOLD },
    });
    let mut kept = supersede(chat, merge(found));
    if kept.len() > DECISIONS_MAX {
        let mut scores: Vec<f32> = kept.iter().map(|decision| decision.score).collect();
        scores.sort_by(|a, b| b.total_cmp(a));
        let least = scores[DECISIONS_MAX - 1];
        kept.retain(|decision| decision.score >= least);
        // Of equals the later ones are nearer to what holds now.
        let surplus = kept.len() - DECISIONS_MAX;
        let weakest: Vec<usize> = kept
            .iter()
            .enumerate()
            .filter(|(_, decision)| decision.score == least)
            .map(|(at, _)| at)
            .take(surplus)
            .collect();
        let mut at = 0;
        kept.retain(|_| {
            at += 1;
            !weakest.contains(&(at - 1))
        });
    }
    kept
}

fn undoes(chat: &Chat<'_>, rules: &Rules, unit: &Unit, words: &[u32], opening: usize) -> bool {
    !unit.is_question && rules.undoes.best(words, opening - unit.from, &chat.lexicon).is_some()
}

/// Takes back the last unmarked decisions that a reversal can mean: those near it that share a word, or the one just before a bare one.
fn withdraw(chat: &Chat<'_>, unit: &Unit, found: &mut Vec<Decision>) {
    let subject = chat.subject(unit.from, unit.to);
    let last = found.len().checked_sub(1);
    let mut at = 0;
    found.retain(|decision| {
        let distance = unit.line - decision.line;
        let is_last = Some(at) == last;
        at += 1;
        let is_near = distance > 0 && distance <= REVERSAL_WITHIN;
        let shares = overlap(&subject, &decision.subject) > 0.0;
        let is_bare = subject.len() <= 1 && is_last && distance <= 12;
        decision.is_marked || !(is_near && (shares || is_bare))
    });
}

fn judge(chat: &Chat<'_>, rules: &Rules, index: usize, words: &[u32], opening: usize) -> Option<Decision> {
    let unit = chat.units[index];
    if unit.to - unit.from > WORDS_MAX * 3 {
        return None;
    }
    if let Some((from, kind)) = mark(chat, &unit) {
        return match kind {
            Mark::Resolved => Some(build(chat, &unit, from, end_of_line(chat, index), MARK, true)),
            Mark::Proposed => vote(chat, index, from),
        };
    }
    let subject = chat.subject(opening, unit.to);
    if subject.len() < 2
        && let Some(found) =
            rules.settles.best(words, opening - unit.from, &chat.lexicon).filter(|found| found.weight > 2.0)
    {
        return antecedent(chat, rules, &unit, found.weight);
    }
    if unit.to - unit.from > WORDS_MAX {
        return None;
    }
    let found = rules.cues.best(words, opening - unit.from, &chat.lexicon)?;
    if is_told(chat, unit.from, unit.from + found.start) {
        return None;
    }
    let depth = (unit.from + found.start).saturating_sub(opening);
    // What people settle they say soon and shortly.
    let late = if depth > 4 && chat.text_of(unit.from + found.start) != "let's" { 0.4 } else { 0.0 };
    let long = if unit.to - opening > 24 { 0.6 } else { 0.0 };
    let score = found.weight + circumstances(chat, &unit, opening, &subject) - late - long;
    if score < THRESHOLD {
        return None;
    }
    let (from, to) = clause(chat, &unit, opening, unit.from + found.start);
    let mut decision = build(chat, &unit, from, to, score, false);
    if decision.subject.is_empty() {
        decision = build(chat, &unit, opening, unit.to, score, false);
    }
    Some(with_question(chat, &unit, decision))
}

/// "Drop it in the next minor" means nothing without what was asked: the question is told along.
fn with_question(chat: &Chat<'_>, unit: &Unit, mut decision: Decision) -> Decision {
    let has_pronoun =
        (unit.from..unit.to).any(|at| matches!(chat.text_of(at), "it" | "that" | "this" | "them" | "those"));
    if decision.subject.len() > 3 || !(has_pronoun || decision.subject.len() < 2) {
        return decision;
    }
    let before = (unit.line.saturating_sub(ANTECEDENT_WITHIN + 2)..unit.line)
        .rev()
        .flat_map(|line| chat.units_of(line).iter().rev());
    let says_more = |asked: &Unit| {
        chat.subject(asked.from, asked.to).iter().filter(|stem| !decision.subject.contains(stem)).count() > 0
    };
    let questions: Vec<&Unit> = before
        .filter(|before| {
            before.is_question
                && says_more(before)
                && before.is_english
                && !chat.is_bait[before.line]
                && before.to - before.from <= ITEM_WORDS_MAX
        })
        .collect();
    // Where threads cross, the question with the same word is meant, else the nearest.
    let shares = |asked: &&&Unit| overlap(&chat.subject(asked.from, asked.to), &decision.subject) > 0.0;
    let Some(asked) = questions.iter().find(shares).or(questions.first()) else {
        return decision;
    };
    let opening = chat.opening(asked).0;
    let subject = chat.subject(opening, asked.to);
    if subject.is_empty() || subject.iter().all(|stem| decision.subject.contains(stem)) {
        return decision;
    }
    let telling =
        Telling { line: asked.line, from: opening, to: asked.to, speaker: chat.speaker[asked.line], addressee: None };
    decision.text = rewrite::finish(&format!(
        "{} (asked: {})",
        decision.text,
        rewrite::verbatim(chat, telling, QUESTION_WORDS_MAX)
    ));
    decision.subject.extend(subject);
    decision.subject.sort_unstable();
    decision.subject.dedup();
    add_lines(&mut decision.lines, &[asked.line]);
    decision
}

enum Mark {
    Resolved,
    Proposed,
}

/// A mark at the head of a unit, and where the text after it begins. A colon must follow a word; a "#" mark needs none.
fn mark(chat: &Chat<'_>, unit: &Unit) -> Option<(usize, Mark)> {
    let mut at = unit.from;
    if chat.text_of(at) == "final" || chat.text_of(at) == "key" {
        at += 1;
    }
    if at + 1 >= unit.to || chat.tokens[at].is_quoted {
        return None;
    }
    let kind = match chat.text_of(at) {
        "#agreed" | "#decision" | "#resolved" | "#decided" => return Some((at + 1, Mark::Resolved)),
        "resolved" | "resolution" | "agreed" | "decision" | "decided" | "accepted" | "approved" | "consensus" => {
            Mark::Resolved
        }
        "proposal" | "proposed" | "motion" | "propose" => Mark::Proposed,
        _ => return None,
    };
    chat.gap_before(unit.line, at + 1, unit.from).trim_start().starts_with(':').then_some((at + 1, kind))
}

/// Whether a unit is a mark of this or of the task kind: its list tells it already.
pub fn is_mark(chat: &Chat<'_>, unit: &Unit) -> bool {
    mark(chat, unit).is_some() || super::actions::is_marked(chat, unit)
}

/// The units after this one on the same line of text belong to a mark's sentence.
fn end_of_line(chat: &Chat<'_>, index: usize) -> usize {
    let line = chat.units[index].line;
    let last = chat.line_units[line].1;
    let mut end = index;
    while end + 1 < last {
        let gap = chat.gap_before(line, chat.units[end + 1].from, chat.units[index].from);
        if gap.contains('\n') {
            break;
        }
        end += 1;
    }
    chat.units[end].to
}

fn vote(chat: &Chat<'_>, index: usize, from: usize) -> Option<Decision> {
    let unit = &chat.units[index];
    let (mut for_it, mut against, mut doubts) = (0, 0, 0);
    let mut lines = vec![unit.line];
    for line in unit.line + 1..chat.lines.len().min(unit.line + 1 + VOTES_WITHIN) {
        let Some(head) = chat.units_of(line).first() else { continue };
        match chat.text_of(head.from) {
            "proposal" | "proposed" | "topic" | "resolved" | "motion" => break,
            "+1" | "yes" | "aye" => {
                for_it += 1;
                lines.push(line);
            }
            "-1" => against += 1,
            "-0.5" | "-0.1" | "-0.9" => doubts += 1,
            _ => match chat.reply(line) {
                Reply::Nod => for_it += usize::from(chat.speaker[line] != chat.speaker[unit.line]),
                Reply::Nay => doubts += 1,
                Reply::Other => {}
            },
        }
    }
    let score = 2.6 + 0.8 * for_it.min(3) as f32 - 1.5 * against.min(2) as f32 - 0.6 * doubts as f32;
    let mut decision = build(chat, unit, from, end_of_line(chat, index), score, false);
    decision.is_vote = true;
    if score < THRESHOLD {
        return None;
    }
    lines.truncate(4);
    decision.lines = lines;
    Some(decision)
}

/// A bare "agreed then" is about the nearest sentence before it that says something.
fn antecedent(chat: &Chat<'_>, rules: &Rules, unit: &Unit, weight: f32) -> Option<Decision> {
    let mut fallback = None;
    for line in (unit.line.saturating_sub(ANTECEDENT_WITHIN)..unit.line).rev() {
        for before in chat.units_of(line).iter().rev() {
            let (opening, _) = chat.opening(before);
            let is_told = before.is_english && !chat.is_bait[line] && chat.subject(opening, before.to).len() >= 2;
            if !is_told || before.to - before.from > WORDS_MAX {
                continue;
            }
            let words = chat.words(before.from, before.to);
            if rules.cues.best(&words, opening - before.from, &chat.lexicon).is_some_and(|found| found.weight >= 1.9) {
                let mut decision = build(chat, before, opening, before.to, weight, false);
                decision.lines = vec![line, unit.line];
                return Some(decision);
            }
            if !before.is_question {
                fallback = fallback.or(Some((*before, opening)));
            }
        }
    }
    let (before, opening) = fallback?;
    let mut decision = build(chat, &before, opening, before.to, weight, false);
    decision.lines = vec![before.line, unit.line];
    Some(decision)
}

/// Somebody reports, supposes or asks: no decision of this conversation.
fn is_told(chat: &Chat<'_>, from: usize, cue: usize) -> bool {
    (from..cue).any(|at| {
        chat.is(at, class::TELLING)
            || matches!(
                chat.text_of(at),
                "would"
                    | "could"
                    | "why"
                    | "what"
                    | "when"
                    | "where"
                    | "how"
                    | "who"
                    | "until"
                    | "after"
                    | "before"
                    | "once"
                    | "at"
                    | "even"
                    | "though"
            )
    })
}

fn circumstances(chat: &Chat<'_>, unit: &Unit, opening: usize, subject: &[u32]) -> f32 {
    let speaker = chat.speaker[unit.line];
    let (mut nods, mut nays) = (0, 0);
    for line in unit.line + 1..chat.lines.len().min(unit.line + 1 + NODS_WITHIN) {
        if chat.speaker[line] == speaker {
            continue;
        }
        match chat.reply(line) {
            Reply::Nod => nods += 1,
            Reply::Nay if line <= unit.line + 3 => nays += 1,
            _ => {}
        }
    }
    let mut total = 0.45 * nods.min(2) as f32 - 0.9 * f32::from(u8::from(nays > 0));
    let asked = (unit.line.saturating_sub(6)..=unit.line).flat_map(|line| chat.units_of(line)).any(|before| {
        before.is_question
            && (before.from..before.to.min(before.from + 6))
                .any(|at| matches!(chat.text_of(at), "should" | "which" | "what" | "or" | "where" | "when" | "how"))
    });
    total += if asked { 0.4 } else { 0.0 };
    let tail = chat.text_of(unit.to - 1);
    let asks_consent = matches!(
        tail,
        "objections"
            | "right"
            | "ok"
            | "okay"
            | "agreed"
            | "everyone"
            | "everybody"
            | "good"
            | "fine"
            | "deal"
            | "all"
            | "yes"
            | "then"
    );
    if unit.is_question && !asks_consent {
        total -= 2.0;
    }
    // "Maybe next quarter, not now" puts off for certain.
    let is_deferred = (unit.from + 1..unit.to)
        .any(|at| matches!((chat.text_of(at - 1), chat.text_of(at)), ("next" | "another", _) | ("not", "now")));
    for at in unit.from..unit.to {
        total -= match chat.text_of(at) {
            "maybe" | "perhaps" if is_deferred => 0.0,
            "maybe" | "might" | "perhaps" | "possibly" | "probably" => 1.0,
            "i'd" | "could" | "wonder" | "wish" => 0.8,
            "think" | "guess" => 0.4,
            "if" | "unless" => 0.3,
            "originally" | "previously" | "earlier" | "ago" | "already" | "historically" | "though" | "although" => 1.0,
            _ => 0.0,
        };
    }
    total -= match chat.text_of(opening) {
        "i'll" | "i" | "i'm" | "you" | "she" | "he" => 1.0,
        "if" | "when" | "what" | "why" | "how" | "who" | "where" | "because" => 1.0,
        _ => 0.0,
    };
    if subject.len() < 2 {
        total -= match (subject.is_empty(), asked) {
            (true, true) => 0.6,
            (true, false) => 2.0,
            (false, true) => 0.2,
            (false, false) => 0.5,
        };
    }
    // "Let's see", "let's talk about it": nothing is settled by that.
    let idle = (opening..unit.to - 1).any(|at| {
        chat.text_of(at) == "let's"
            && (chat.is(at + 1, class::IDLE)
                && chat.text_of(at + 1) != "stick"
                && chat.text_of(at + 1) != "go"
                && chat.text_of(at + 1) != "keep"
                && chat.text_of(at + 1) != "stay"
                && chat.text_of(at + 1) != "stop"
                || matches!(
                    chat.text_of(at + 1),
                    "discuss" | "talk" | "look" | "begin" | "continue" | "take" | "get" | "call" | "try"
                ))
    });
    if idle { total - 1.5 } else { total }
}

/// The clause of a unit that carries the cue: what a comma or dash sets apart is left out if it has a verb of its own.
fn clause(chat: &Chat<'_>, unit: &Unit, opening: usize, cue: usize) -> (usize, usize) {
    let mut to = unit.to;
    for at in cue.max(opening) + 2..unit.to {
        let gap = chat.gap_before(unit.line, at, unit.from);
        let begins_clause = matches!(
            chat.text_of(at),
            "i'll"
                | "i"
                | "i'm"
                | "can"
                | "could"
                | "objections"
                | "any"
                | "everyone"
                | "ok"
                | "right"
                | "agreed"
                | "what"
                | "thoughts"
                | "does"
                | "is"
                | "that"
                | "you"
                | "lol"
                | "haha"
        ) || chat.mention_at(at, unit.to).is_some();
        if gap.contains([',', ';', '-', '–', '—', '(', '?']) && gap.trim() != "" && begins_clause && at > opening + 2
        {
            to = at;
            break;
        }
    }
    // "I'm easy, let's meet at six": the clause begins with its cue.
    let from = if cue > opening
        && chat.gap_before(unit.line, cue, unit.from).contains([',', ';', '–', '—'])
        && chat.text_of(cue) == "let's"
    {
        cue
    } else {
        opening
    };
    (from, to)
}

fn build(chat: &Chat<'_>, unit: &Unit, from: usize, to: usize, score: f32, is_marked: bool) -> Decision {
    let telling =
        Telling { line: unit.line, from, to, speaker: chat.speaker[unit.line], addressee: chat.addressee(unit.line) };
    let (telling, text) = if is_marked {
        (telling, rewrite::verbatim(chat, telling, ITEM_WORDS_MAX))
    } else {
        let telling = phrase(chat, telling);
        (telling, rewrite::third_person(chat, telling, ITEM_WORDS_MAX))
    };
    let first = telling.from;
    let led = first > unit.from
        && matches!(chat.text_of(first - 1), "let's" | "we'll" | "we" | "to" | "will" | "just" | "should");
    let opening = if led && chat.is(first, class::VERB) {
        Opening::Verb
    } else if chat.is(first, class::STOP) {
        Opening::Small
    } else {
        Opening::Name
    };
    Decision {
        line: unit.line,
        lines: vec![unit.line],
        text: rewrite::finish(&rewrite::upper_first(&rewrite::finish(&text))),
        subject: chat.subject(from, to),
        score,
        is_marked,
        is_vote: false,
        opening,
    }
}

/// A decision in the fewest words: without "so", "let's" and "I think".
fn phrase(chat: &Chat<'_>, telling: Telling) -> Telling {
    let Telling { mut from, mut to, .. } = telling;
    loop {
        let texts: Vec<&str> = (from..to.min(from + 5)).map(|at| chat.text_of(at)).collect();
        let skip = match texts.as_slice() {
            ["let's", "just", ..] => 2,
            ["how" | "what", "about" | "if", "we", ..] | ["i", "propose" | "suggest", "we" | "that", ..] => 3,
            ["can" | "could" | "shall" | "should", "we", ..] => 2,
            ["we" | "we've", "have", "all", "decided" | "agreed", "to" | "that" | "on", ..] => 5,
            ["we" | "we've", "have" | "all", "decided" | "agreed", "to" | "that" | "on", ..] => 4,
            ["we" | "we've", "decided" | "agreed", "to" | "that" | "on", ..] => 3,
            ["i", "think" | "guess" | "suppose", ..] => 2,
            ["let's" | "so" | "ok" | "then" | "and" | "but" | "well" | "decided" | "agreed", ..] => 1,
            ["we'll", next, ..] if next != &"be" && next != &"not" => 1,
            ["the", "decision" | "plan" | "consensus" | "verdict", "is", "to" | "that", ..] => 4,
            ["we're", "going", "to", ..] => 3,
            _ => 0,
        };
        if skip == 0 || to - from <= skip + 1 {
            break;
        }
        from += skip;
    }
    while to > from + 2 {
        let tail = chat.text_of(to - 1);
        let two = chat.text_of(to - 2);
        to -= match (two, tail) {
            ("any", "objections")
            | ("everyone" | "all" | "everybody", "ok" | "okay" | "good" | "agreed" | "happy" | "fine")
            | ("sound" | "sounds", "good")
            | ("it", "is")
                if to > from + 4 =>
            {
                2
            }
            (
                _,
                "then" | "right" | "ok" | "okay" | "objections" | "lol" | "haha" | "everyone" | "thoughts" | "agreed"
                | "please",
            ) => 1,
            _ => break,
        };
        if two == "it" && tail == "is" {
            break;
        }
    }
    Telling { from, to, ..telling }
}

/// How much of their business people mark: the more they do, the less is guessed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Formality {
    None,
    /// Tasks are marked.
    Assigns,
    /// Decisions are marked.
    Resolves,
}

/// Looks for marks in a whole conversation.
pub fn formality(chat: &Chat<'_>) -> Formality {
    let mut formality = Formality::None;
    for unit in chat.units.iter().filter(|unit| unit.is_english && !chat.is_bait[unit.line]) {
        if matches!(mark(chat, unit), Some((_, Mark::Resolved))) {
            return Formality::Resolves;
        }
        if formality == Formality::None && super::actions::is_marked(chat, unit) {
            formality = Formality::Assigns;
        }
    }
    formality
}

/// Joins what says the same: 60 % of the words of the shorter one. A marked one speaks for both.
fn merge(found: Vec<Decision>) -> Vec<Decision> {
    let mut kept: Vec<Decision> = Vec::new();
    for decision in found {
        let twin = kept.iter().rposition(|known| {
            share_of_smaller(&known.subject, &decision.subject)
                >= if known.is_marked && decision.is_marked { 0.9 } else { 0.6 }
        });
        match twin {
            Some(at)
                if kept[at].score >= decision.score
                    && !(decision.is_vote && kept[at].is_vote)
                    && (kept[at].is_marked || kept[at].subject.len() >= decision.subject.len()) =>
            {
                add_lines(&mut kept[at].lines, &decision.lines);
            }
            // A proposal put again in other words replaces the first one.
            Some(at) if decision.line >= kept[at].line => {
                let mut decision = decision;
                add_lines(&mut decision.lines, &kept[at].lines);
                kept.remove(at);
                kept.push(decision);
            }
            _ => kept.push(decision),
        }
    }
    kept
}

fn add_lines(lines: &mut Vec<usize>, more: &[usize]) {
    lines.extend(more);
    lines.sort_unstable();
    lines.dedup();
    lines.truncate(6);
}

pub fn share_of_smaller(a: &[u32], b: &[u32]) -> f32 {
    let smaller = a.len().min(b.len());
    if smaller == 0 {
        return 0.0;
    }
    overlap(a, b) * ((a.len() * b.len()) as f32).sqrt() / smaller as f32
}

/// An opinion near a stronger decision on the same subject was only on the way to it.
fn supersede(_chat: &Chat<'_>, found: Vec<Decision>) -> Vec<Decision> {
    let is_outdone = |decision: &Decision| {
        !decision.is_marked
            && found.iter().any(|other| {
                let distance = other.line.abs_diff(decision.line);
                distance > 0
                    && distance <= 6
                    && other.score >= decision.score + 0.8
                    && decision.score < 3.3
                    && overlap(&other.subject, &decision.subject) > 0.0
            })
    };
    found.iter().filter(|decision| !is_outdone(decision)).cloned().collect()
}
