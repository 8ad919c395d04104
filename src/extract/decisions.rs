//! Finds what was decided: marks, votes, and phrases that people close a question with.
//! Only English is read; quoted words, code and bait decide nothing.

use super::chat::{Chat, Reply, Unit};
use super::closing::{Formality, Mark, Rules, mark};
use super::consent;
use super::lexicon::{among, class};
use super::rewrite::{self, Telling};
use super::settled::{add_lines, limit, merge, reschedule, supersede, withdraw};
use super::weigh::overlap;

/// What a sentence must reach to be told as a decision.
const THRESHOLD: f32 = 2.9;
/// The same in a conversation whose people mark or vote on their decisions.
pub const THRESHOLD_FORMAL: f32 = 3.9;
const WORDS_MAX: usize = 60;
const ITEM_WORDS_MAX: usize = 45;
const QUESTION_WORDS_MAX: usize = 16;
const NODS_WITHIN: usize = 8;
const VOTES_WITHIN: usize = 14;
const ANTECEDENT_WITHIN: usize = 6;
/// How many messages before it a question may stand that shares no word with its decision.
const QUESTION_WITHIN: usize = 4;
/// Whoever takes something back says so in few words.
const REVERSAL_WORDS_MAX: usize = 24;
const MARK: f32 = 5.5;

/// A decision on its way to be told.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The line whose words are told, and all that it rests on, ascending.
    pub line: usize,
    pub lines: Vec<usize>,
    text: String,
    telling: Telling,
    pub subject: Vec<u32>,
    /// The stems of its subject that say when.
    pub times: Vec<u32>,
    pub score: f32,
    pub is_marked: bool,
    pub is_vote: bool,
    pub opening: Opening,
    /// The question that it answers, where it means nothing without: line and words.
    pub asked: Option<(usize, String)>,
}

impl Decision {
    /// Puts it into words; only what is kept is worth that.
    fn word(&mut self, chat: &Chat<'_>) {
        let tell = if self.is_marked { rewrite::verbatim } else { rewrite::third_person };
        let mut text = rewrite::finish(&tell(chat, self.telling, ITEM_WORDS_MAX));
        // "Let's not tell dad".
        let is_refusal = !self.is_marked
            && chat.text_of(self.telling.from) == "not"
            && self.telling.from + 1 < self.telling.to
            && chat.is(self.telling.from + 1, class::VERB);
        if is_refusal {
            text.insert_str("not".len(), " to");
        }
        self.text = rewrite::finish(&rewrite::upper_first(&text));
    }

    /// Its text, with the question where `may_tell` allows.
    pub fn told(&self, may_tell: impl Fn(usize) -> bool) -> String {
        match &self.asked {
            Some((line, asked)) if may_tell(*line) => rewrite::finish(&format!("{} (asked: {asked})", self.text)),
            _ => self.text.clone(),
        }
    }
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

/// What holds, and the lines of what was taken back.
pub struct Found {
    pub kept: Vec<Decision>,
    pub withdrawn: Vec<usize>,
}

/// The decisions of a conversation in its order, at most `DECISIONS_MAX`.
pub fn find(chat: &Chat<'_>, rules: &Rules, formality: Formality) -> Found {
    let mut found: Vec<Decision> = Vec::new();
    let mut withdrawn = Vec::new();
    for index in 0..chat.units.len() {
        let unit = &chat.units[index];
        if !unit.is_english || chat.is_bait[unit.line] || chat.is_machine(unit.line) {
            continue;
        }
        let words = chat.words(unit.from, unit.to);
        let opening = chat.opening(unit).0;
        if undoes(chat, rules, unit, &words, opening) {
            withdraw(chat, unit, &mut found, &mut withdrawn);
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
    let mut kept = supersede(merge(found));
    reschedule(&mut kept, &mut withdrawn);
    let mut kept = limit(kept);
    kept.iter_mut().for_each(|decision| decision.word(chat));
    Found { kept, withdrawn }
}

fn undoes(chat: &Chat<'_>, rules: &Rules, unit: &Unit, words: &[u32], opening: usize) -> bool {
    let puts_off = (unit.from + 1..unit.to)
        .any(|at| chat.text_of(at - 1) == "let's" && chat.text_of(at) == "not" && is_about_talk(chat, at, unit.to));
    !unit.is_question
        && !puts_off
        && unit.to - unit.from <= REVERSAL_WORDS_MAX
        && rules.undoes.best(words, opening - unit.from, &chat.lexicon).is_some()
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
    let settled = (!chat.is_speech).then(|| consent::settled(chat, index)).flatten().map(|settled| {
        let score = settled.weight + circumstances(chat, &unit, opening, &subject);
        let mut decision = build(chat, &unit, settled.from, settled.to, score, false);
        decision.opening = if settled.is_act { Opening::Verb } else { decision.opening };
        decision
    });
    let said = said(chat, rules, &unit, words, opening, &subject);
    // Of two ways to hear it the surer one counts.
    let decision = match (settled, said) {
        (Some(settled), Some(said)) if settled.score >= said.score => settled,
        (_, Some(said)) => said,
        (Some(settled), None) => settled,
        (None, None) => return None,
    };
    (decision.score >= THRESHOLD).then(|| with_question(chat, &unit, decision))
}

/// A phrase that closes a question.
fn said(
    chat: &Chat<'_>,
    rules: &Rules,
    unit: &Unit,
    words: &[u32],
    opening: usize,
    subject: &[u32],
) -> Option<Decision> {
    let cues = if chat.is_speech { &rules.spoken } else { &rules.cues };
    let found = cues.best(words, opening - unit.from, &chat.lexicon)?;
    let cue = unit.from + found.start;
    // "Agreed, that is a problem" agrees to nothing that is to be done.
    let is_parted = matches!(chat.text_of(cue), "agreed" | "decided")
        && cue + 1 < unit.to
        && chat.gap_before(unit.line, cue + 1, unit.from).contains(',');
    // "If it fails we stop, that's what we agreed" tells what was agreed.
    // "Don't forget the header" drops nothing.
    let is_reminder = chat.text_of(cue) == "forget"
        && cue > unit.from
        && among(chat.text_of(cue - 1), "don't dont not never can't cannot");
    if is_parted || is_reminder || chat.text_of(cue) != "that's" && is_told(chat, unit.from, cue) {
        return None;
    }
    let depth = (unit.from + found.start).saturating_sub(opening);
    // What people settle they say soon and shortly.
    let late = if depth > 4 && chat.text_of(unit.from + found.start) != "let's" { 0.4 } else { 0.0 };
    let long = if unit.to - opening > 24 { 0.6 } else { 0.0 };
    let score = found.weight + circumstances(chat, unit, opening, subject) - late - long;
    if score < THRESHOLD {
        return None;
    }
    let (from, to) = clause(chat, unit, opening, unit.from + found.start);
    let decision = build(chat, unit, from, to, score, false);
    if !decision.subject.is_empty() {
        return Some(decision);
    }
    Some(build(chat, unit, opening, unit.to, score, false))
}

/// "Should we", "which one", "thai or burgers" ask for a decision; "did it work" and "can you" do not.
fn offers_choice(chat: &Chat<'_>, unit: &Unit) -> bool {
    const FACTS: &[&str] = &[
        "did", "was", "were", "is", "are", "has", "have", "had", "does", "will", "would", "why", "anyone", "any", "you",
    ];
    let head = chat.opening(unit).0;
    let asks_person = head + 1 < unit.to && chat.text_of(head + 1) == "you";
    unit.is_question && !asks_person && !FACTS.contains(&chat.text_of(head))
}

/// A question with a verb or a choice in it; "with that many?" only asks back.
fn is_whole_question(chat: &Chat<'_>, unit: &Unit) -> bool {
    const ASKS: &str = "or which what what's where when who how should shall do can could let's let";
    let head = chat.opening(unit).0;
    (head..unit.to).any(|at| among(chat.text_of(at), ASKS)) || chat.is(head, class::VERB) && !chat.is(head, class::STOP)
}

/// "Drop it in the next minor" means nothing without what was asked: the question is told along.
fn with_question(chat: &Chat<'_>, unit: &Unit, mut decision: Decision) -> Decision {
    let head = chat.opening(unit).0;
    let has_pronoun = (head..unit.to.min(head + 3)).any(|at| among(chat.text_of(at), "it that this them those"));
    if decision.subject.len() > 3 || !(has_pronoun || decision.subject.len() < 2) {
        return decision;
    }
    let before = (unit.line.saturating_sub(ANTECEDENT_WITHIN + 2)..unit.line)
        .rev()
        .flat_map(|line| chat.units_of(line).iter().rev());
    let says_more = |asked: &Unit| {
        chat.subject(asked.from, asked.to).iter().any(|stem| !decision.subject.contains(stem))
            && asked.to - asked.from > 2
    };
    let questions: Vec<&Unit> = before
        .filter(|before| {
            offers_choice(chat, before)
                && says_more(before)
                && before.is_english
                && !chat.is_bait[before.line]
                && before.to - before.from <= ITEM_WORDS_MAX
        })
        .collect();
    // Where threads cross, the question with the same word is meant, else the nearest.
    let shares = |asked: &&&Unit| overlap(&chat.subject(asked.from, asked.to), &decision.subject) > 0.0;
    let is_near = |asked: &&&Unit| unit.line - asked.line <= QUESTION_WITHIN && is_whole_question(chat, asked);
    let whole = || questions.iter().find(is_near);
    let Some(asked) = questions.iter().find(shares).or_else(whole) else {
        return decision;
    };
    let opening = chat.opening(asked).0;
    let subject = chat.subject(opening, asked.to);
    if subject.is_empty() || subject.iter().all(|stem| decision.subject.contains(stem)) {
        return decision;
    }
    let telling =
        Telling { line: asked.line, from: opening, to: asked.to, speaker: chat.speaker[asked.line], addressee: None };
    decision.asked = Some((asked.line, rewrite::finish(&rewrite::verbatim(chat, telling, QUESTION_WORDS_MAX))));
    decision.subject.extend(subject);
    decision.subject.sort_unstable();
    decision.subject.dedup();
    add_lines(&mut decision.lines, &[asked.line]);
    decision
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
    for line in (unit.line.saturating_sub(ANTECEDENT_WITHIN)..=unit.line).rev() {
        for before in chat.units_of(line).iter().rev().filter(|before| before.to <= unit.from) {
            let (opening, _) = chat.opening(before);
            let is_told = before.is_english && !chat.is_bait[line] && chat.subject(opening, before.to).len() >= 2;
            if !is_told || before.to - before.from > WORDS_MAX {
                continue;
            }
            let words = chat.words(before.from, before.to);
            // "… until there is a test. Decided.": said in one breath.
            if line == unit.line && !before.is_question {
                return Some(build(chat, before, opening, before.to, weight, false));
            }
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
            || among(
                chat.text_of(at),
                "would could why what when where how who until after before once at even though looks seems apparently",
            )
    })
}

/// "Nobody deploys before noon" is a rule, "nobody looks at it" and "nobody has it" are facts: a rule has bounds.
fn is_fact(chat: &Chat<'_>, from: usize, to: usize) -> bool {
    let is_rule = |at: usize| {
        chat.is(at, class::TIME)
            || among(chat.text_of(at), "until till before after without unless during while except but shall will may")
    };
    let is_report = |at: usize| among(chat.text_of(at), "has have had is was knows did else");
    let is_statement = from < to && chat.text_of(from).ends_with('s');
    (from..to).any(is_report) || is_statement && !(from..to).any(is_rule)
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
                .any(|at| among(chat.text_of(at), "should which what or where when how"))
    });
    total += if asked { 0.4 } else { 0.0 };
    let tail = chat.text_of(unit.to - 1);
    let asks_consent = among(tail, "objections right ok okay agreed everyone everybody good fine deal all yes then");
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
    // Before a conclusion people nod to the question that leads to it.
    let nods_before = (unit.line.saturating_sub(3)..unit.line)
        .filter(|&line| {
            chat.speaker[line] != speaker
                && matches!(
                    chat.units_of(line).first().map(|head| chat.text_of(head.from)),
                    Some("yes" | "yep" | "yeah")
                )
        })
        .count();
    total += if chat.is_speech { 0.0 } else { 0.3 * nods_before.min(2) as f32 };
    let is_finding = matches!(chat.text_of(opening), "nobody" | "noone") && is_fact(chat, opening + 1, unit.to);
    total -= if is_finding { 1.5 } else { 0.0 };
    total -= match chat.text_of(opening) {
        "i'll" | "i" | "i'm" | "you" | "she" | "he" => 1.0,
        "if" | "when" | "what" | "why" | "how" | "who" | "where" | "because" => 1.0,
        _ => 0.0,
    };
    // "Senior it is" has one word and needs no more.
    let is_whole = subject.len() == 1 && tail == "is";
    if subject.len() < 2 && !is_whole {
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
            && (chat.is(at + 1, class::IDLE) && !among(chat.text_of(at + 1), "stick go keep stay stop leave eat")
                || among(chat.text_of(at + 1), "discuss talk look begin continue take get call try")
                || is_about_talk(chat, at + 1, unit.to))
    });
    if idle { total - 1.5 } else { total }
}

/// "Let's do the stand-up", "let's not decide that today": what people say about their talk.
fn is_about_talk(chat: &Chat<'_>, verb: usize, to: usize) -> bool {
    const MEETINGS: &str = "debrief standup stand-up round intro intros introductions retro retrospective review triage check-in \
                            checkin handover recap agenda meeting call";
    let next = if verb + 1 < to { chat.text_of(verb + 1) } else { "" };
    match chat.text_of(verb) {
        "not" => among(next, "decide discuss talk argue start"),
        "decide" | "start" => true,
        "do" | "have" | "make" | "run" | "use" => {
            (verb + 1..to.min(verb + 5)).any(|at| among(chat.text_of(at), MEETINGS))
                && !(verb + 1..to).any(|at| chat.is(at, class::TIME))
        }
        _ => false,
    }
}

/// The clause of a unit that carries the cue: what a comma or dash sets apart is left out if it has a verb of its own.
pub fn clause(chat: &Chat<'_>, unit: &Unit, opening: usize, cue: usize) -> (usize, usize) {
    let mut to = unit.to;
    for at in cue.max(opening) + 2..unit.to {
        let gap = chat.gap_before(unit.line, at, unit.from);
        let begins_clause = among(
            chat.text_of(at),
            "i'll i i'm can could objections any everyone ok right agreed what thoughts does is that you lol haha",
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
    let telling = if is_marked { telling } else { phrase(chat, telling) };
    let first = telling.from;
    let led = first > unit.from && among(chat.text_of(first - 1), "let's we'll we to will just should");
    let is_proposed = first > unit.from && chat.text_of(first - 1) == "let's" && !chat.is(first, class::STOP);
    let opening = if led && chat.is(first, class::VERB) || is_proposed {
        Opening::Verb
    } else if chat.is(first, class::STOP) {
        Opening::Small
    } else {
        Opening::Name
    };
    Decision {
        line: unit.line,
        lines: vec![unit.line],
        text: String::new(),
        telling,
        subject: chat.subject(from, to),
        times: chat.stems(from, to, class::TIME | class::NUMBER),
        score,
        is_marked,
        is_vote: false,
        opening,
        asked: None,
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
            ["i'd", "say", "we", ..] => 3,
            ["let's" | "so" | "ok" | "then" | "and" | "but" | "well" | "decided" | "agreed", ..] => 1,
            ["we'll", next, ..] if next != &"be" && next != &"not" => 1,
            ["we're", next, ..] if next.ends_with("ing") && next != &"going" || texts.get(2) == Some(&"with") => 1,
            ["we", _, ..]
                if from + 1 < to
                    && chat.is(from + 1, class::VERB)
                    && !among(texts[1], "need want like have know think love hope wish") =>
            {
                1
            }
            ["the", "decision" | "plan" | "consensus" | "verdict", "is", "to" | "that", ..] => 4,
            ["we're", "going", "to", ..] => 3,
            _ => 0,
        };
        if skip == 0 || to - from <= skip + 1 {
            break;
        }
        from += skip;
    }
    if to == from + 2 && chat.text_of(to - 1) == "then" {
        to -= 1;
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
