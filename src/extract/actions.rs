//! Finds who has to do what: promises, requests and their acceptance, marked tasks.
//! An owner is somebody named, spoken to, or who accepted; nobody is guessed.

use super::chat::{Chat, Reply, Unit};
use super::closing::Formality;
use super::compose;
use super::lexicon::{among, class};
use super::lists;
use super::rewrite::{self, Telling};
use super::settled::{TWINS_WITHIN, share_of_smaller};
use super::tasks::{
    Rules, after_adverbs, asks_for_help, clause_end, is_errand, is_pronoun_task, is_task_verb, need, task_after_mark,
};

const THRESHOLD: f32 = 2.6;
const THRESHOLD_FORMAL: f32 = 4.2;
const ACTIONS_MAX: usize = 10;
const WORDS_MAX: usize = 60;
const ITEM_WORDS_MAX: usize = 32;
const ACCEPT_WITHIN: usize = 4;
const REQUEST_WITHIN: usize = 6;
const MARK: f32 = 5.5;
/// How many messages before it what a pronoun means is looked for, and how much of it is told.
const ANTECEDENT_WITHIN: usize = 3;
const ABOUT_WORDS_MAX: usize = 14;

/// What each kind of phrase means for the owner and the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// The speaker will.
    Promise,
    /// The one spoken to shall.
    Request,
    /// Somebody named shall.
    Assign,
    /// Somebody, nobody yet.
    Open,
}

/// A task on its way to be told.
#[derive(Clone, Debug)]
pub struct Action {
    pub line: usize,
    pub lines: Vec<usize>,
    pub text: String,
    pub owner: Option<usize>,
    pub subject: Vec<u32>,
    pub score: f32,
    is_marked: bool,
    is_open: bool,
    /// Told with "will" and not with "to".
    is_promised: bool,
    /// The verb of a request and the end of its sentence, for the one who accepts it.
    task: (usize, usize),
    /// When it will be done, where that was said in another sentence: line and tokens.
    due: Option<(usize, usize, usize)>,
    /// The sentence that "it" or "those" goes back to.
    about: Option<About>,
}

/// The sentence that a pronoun goes back to.
#[derive(Clone, Debug)]
struct About {
    line: usize,
    /// Who said it, and what.
    text: String,
    /// The pronoun, and the only thing in the sentence that it can mean.
    thing: Option<(String, String)>,
}

impl About {
    /// `from` to `to` are the sentence's tokens, `pronoun` is the place of what goes back to it.
    fn of(chat: &Chat<'_>, line: usize, from: usize, to: usize, pronoun: usize) -> About {
        let telling = Telling { line, from, to, speaker: 0, addressee: None };
        let said = rewrite::verbatim(chat, telling, ABOUT_WORDS_MAX);
        let name = chat.name(chat.speaker[line]);
        let text = rewrite::finish(&format!("{name}: {}", said.replace(['(', ')'], "")));
        let word = chat.text_of(pronoun);
        let thing = only_thing(chat, line, from, to, matches!(word, "them" | "those" | "these"));
        let thing = thing.filter(|_| !matches!(word, "him" | "her")).map(|thing| (word.to_string(), thing));
        About { line, text, thing }
    }
}

/// The noun phrase of a sentence that a pronoun can mean, if there is just one: "the staging credentials".
fn only_thing(chat: &Chat<'_>, line: usize, from: usize, to: usize, is_plural: bool) -> Option<String> {
    const THINGS_OF_ANY: &str = "the a an this that our my your his her their";
    let unit = chat.units_of(line).iter().find(|unit| unit.from <= from && to <= unit.to)?;
    let mut found = None;
    for (start, end) in compose::runs(chat, &Unit { from, to, ..*unit }) {
        // "The staging keys": a word in "-ing" begins no subject of a talk, but belongs to this.
        let is_longer = start > from && chat.text_of(start - 1).ends_with("ing") && !chat.is(start - 1, class::STOP);
        let start = if is_longer { start - 1 } else { start };
        if end < to && matches!(chat.text_of(end), "one" | "ones") {
            return None;
        }
        let led = start > from && among(chat.text_of(start - 1), THINGS_OF_ANY);
        let last = chat.text_of(end - 1);
        let is_many = last.ends_with('s') && !last.ends_with("ss");
        let is_time = (start..end).any(|at| chat.is(at, class::TIME));
        if is_many != is_plural || is_time || !(led || is_plural) {
            continue;
        }
        if found.is_some() {
            return None;
        }
        let text = &chat.lines[line].text[chat.tokens[start].start as usize..chat.tokens[end - 1].end as usize];
        found = Some(if led { format!("the {text}") } else { text.to_string() });
    }
    found
}

impl Action {
    /// Its text with what its pronoun means, for a reader who sees nothing around it.
    pub fn told(&self) -> String {
        match &self.about {
            Some(About { thing: None, text, .. }) => rewrite::finish(&format!("{} ({text})", self.text)),
            _ => self.text.clone(),
        }
    }

    /// The lines that ask for it and that promise it, without the one that its pronoun goes back to.
    pub fn told_lines(&self, chat: &Chat<'_>) -> impl Iterator<Item = &usize> {
        let owners = |line: &usize| *line == self.line || self.owner == chat.speaker.get(*line).copied();
        let about = self.about.as_ref().map(|about| about.line);
        self.lines.iter().filter(move |line| owners(line) && Some(**line) != about.filter(|about| *about != self.line))
    }

    /// Whether its text means something without what was said before.
    pub fn is_whole(&self) -> bool {
        self.about.as_ref().is_none_or(|about| about.thing.is_some())
    }
}

/// The tasks of a conversation in its order, at most `ACTIONS_MAX`.
pub fn find(chat: &Chat<'_>, rules: &Rules, formality: Formality) -> Vec<Action> {
    let mut found: Vec<Action> = Vec::new();
    for index in 0..chat.units.len() {
        let unit = chat.units[index];
        if !unit.is_english || chat.is_bait[unit.line] || chat.is_machine(unit.line) {
            continue;
        }
        if let Some(action) = marked(chat, index) {
            found.push(action);
        } else if unit.to - unit.from <= WORDS_MAX && !accepts(chat, &unit, &mut found) {
            judge(chat, rules, &unit, &mut found);
        }
    }
    let mut found = without_repeats(chat, found);
    let threshold = if formality == Formality::None { THRESHOLD } else { THRESHOLD_FORMAL };
    found.retain(|action| action.score >= threshold);
    let mut kept = merge(found);
    if kept.len() > ACTIONS_MAX {
        kept.sort_by(|a, b| b.score.total_cmp(&a.score).then(b.line.cmp(&a.line)));
        kept.truncate(ACTIONS_MAX);
        kept.sort_by_key(|action| action.line);
    }
    // Only what is kept is worth putting into words.
    for action in kept.iter_mut().filter(|action| !action.is_marked) {
        action.text = text(chat, action);
        if let Some(about) = antecedent(chat, action) {
            action.lines.push(about.line);
            if let Some((pronoun, thing)) = &about.thing {
                action.text = explained(&action.text, pronoun, thing);
            }
            action.about = Some(about);
            action.lines.sort_unstable();
            action.lines.dedup();
        }
    }
    kept
}

/// "ACTION: Ann to send the file", "TODO for me: …", "#action …".
fn marked(chat: &Chat<'_>, index: usize) -> Option<Action> {
    let unit = chat.units[index];
    let from = task_after_mark(chat, &unit)?;
    let to = chat.units[index..chat.line_units[unit.line].1]
        .iter()
        .take_while(|next| next.from == unit.from || !chat.gap_before(unit.line, next.from, unit.from).contains('\n'))
        .last()
        .map_or(unit.to, |last| last.to);
    let telling = Telling { line: unit.line, from, to, speaker: chat.speaker[unit.line], addressee: None };
    let for_me = chat.text_of(from) == "me";
    let body =
        rewrite::verbatim(chat, Telling { from: if for_me { from + 1 } else { from }, ..telling }, ITEM_WORDS_MAX + 10);
    let text =
        if for_me { format!("{} to {body}", chat.name(chat.speaker[unit.line])) } else { rewrite::upper_first(&body) };
    let owner =
        if for_me { Some(chat.speaker[unit.line]) } else { chat.mention_at(from, to).map(|(person, _)| person) };
    let text = match chat.mention_at(from, to) {
        Some(_) if !for_me => rewrite::finish(&body),
        _ => rewrite::finish(&text),
    };
    Some(Action {
        line: unit.line,
        lines: vec![unit.line],
        text,
        owner,
        subject: chat.subject(from, to),
        score: MARK,
        is_marked: true,
        is_open: false,
        is_promised: false,
        task: (from, to),
        due: None,
        about: None,
    })
}

/// Finds the tasks of one sentence: the heaviest promise or request, or what a named person shall do.
fn judge(chat: &Chat<'_>, rules: &Rules, unit: &Unit, found: &mut Vec<Action>) {
    let words = chat.words(unit.from, unit.to);
    let (opening, called) = chat.opening(unit);
    let mut best: Option<(Kind, f32, usize, usize)> = None;
    for (kind, cues) in [(Kind::Promise, &rules.promises), (Kind::Request, &rules.requests), (Kind::Open, &rules.opens)]
    {
        cues.each(&words, opening - unit.from, &chat.lexicon, |cue| {
            let next = unit.from + cue.end;
            let is_sent = kind == Kind::Request && is_errand(chat, next, unit.to);
            let verb = if is_sent { next } else { after_adverbs(chat, next, unit.to) };
            // Whoever promises may do it with a verb that no list knows.
            let is_known = kind == Kind::Promise || verb < unit.to && chat.is(verb, class::VERB);
            let is_task = is_sent || is_task_verb(chat, verb, unit.to);
            if is_known && is_task && best.is_none_or(|known| cue.weight > known.1) {
                best = Some((kind, cue.weight, unit.from + cue.start, verb));
            }
        });
    }
    if let Some(assigned) = assignment(chat, unit, opening).filter(|found| best.is_none_or(|known| found.1 > known.1)) {
        let (owner, weight, verb) = assigned;
        push(chat, unit, Kind::Assign, weight, verb, Some(owner), unit.from, found);
        return;
    }
    if best.is_none()
        && called.is_some()
        && !unit.is_question
        && is_task_verb(chat, opening, unit.to)
        && chat.is(opening, class::VERB)
        && !chat.is(opening, class::STOP)
    {
        best = Some((Kind::Request, 2.3, opening, opening));
    }
    if let Some((verb, line)) = accepted_offer(chat, unit, opening) {
        push(chat, unit, Kind::Promise, 4.5, verb, Some(chat.speaker[unit.line]), opening, found);
        if let Some(action) = found.last_mut().filter(|action| action.lines.contains(&unit.line)) {
            action.lines.push(line);
        }
        return;
    }
    if best.is_none()
        && let Some((person, from)) = bare_plea(chat, unit)
    {
        push(chat, unit, Kind::Request, 2.4, from, Some(person), unit.from, found);
        return;
    }
    let Some((kind, weight, cue, verb)) = best else { return };
    let owner = match kind {
        Kind::Promise => Some(chat.speaker[unit.line]),
        Kind::Request => called.or_else(|| chat.addressee(unit.line)),
        _ => None,
    };
    // Who is called by name is meant for certain.
    let weight = if kind == Kind::Request && called.is_some() { weight + 0.3 } else { weight };
    push(chat, unit, kind, weight, verb, owner, cue, found);
}

/// "Should I call them?", "so I fix the rotation?" and somebody says yes: the verb, and the line that says so.
fn accepted_offer(chat: &Chat<'_>, unit: &Unit, opening: usize) -> Option<(usize, usize)> {
    const WITHIN: usize = 2;
    let text = |at: usize| if at < unit.to { chat.text_of(at) } else { "" };
    let verb = match (text(opening), text(opening + 1), text(opening + 2), text(opening + 3)) {
        ("should" | "shall", "i", ..) => opening + 2,
        ("want", "me", "to", _) => opening + 3,
        ("do" | "would", "you", "want" | "like", "me") => opening + 5,
        ("i", ..) if opening > unit.from && text(opening - 1) == "so" => opening + 1,
        _ => return None,
    };
    let is_offer = unit.is_question
        && is_task_verb(chat, verb, unit.to)
        && chat.is(verb, class::VERB)
        && !(verb..unit.to).any(|at| text(at) == "or");
    let yes = (unit.line + 1..chat.lines.len().min(unit.line + 1 + WITHIN))
        .find(|&line| chat.speaker[line] != chat.speaker[unit.line])
        .filter(|&line| chat.reply(line) == Reply::Nod)?;
    is_offer.then_some((verb, yes))
}

/// "Ann also the plants upstairs please": whom, and where the thing begins.
fn bare_plea(chat: &Chat<'_>, unit: &Unit) -> Option<(usize, usize)> {
    let (person, length) = chat.mention_at(unit.from, unit.to)?;
    let mut from = unit.from + length;
    while from < unit.to && matches!(chat.text_of(from), "also" | "and" | "then" | "please") {
        from += 1;
    }
    let is_plea = chat.text_of(unit.to - 1) == "please" && from + 1 < unit.to && !unit.is_question;
    (is_plea && person != chat.speaker[unit.line] && !chat.subject(from, unit.to).is_empty()).then_some((person, from))
}

/// "Ann will send it", "@bob to check", "can Ann send it?": owner, weight and the place of the verb.
fn assignment(chat: &Chat<'_>, unit: &Unit, opening: usize) -> Option<(usize, f32, usize)> {
    for at in unit.from..unit.to {
        if chat.tokens[at].is_quoted {
            continue;
        }
        let Some((person, length)) = chat.mention_at(at, unit.to) else { continue };
        let next = at + length;
        if next + 1 >= unit.to || person == chat.speaker[unit.line] {
            continue;
        }
        let before = if at > unit.from { chat.text_of(at - 1) } else { "" };
        // "Bob to check" is an order, "go back to Bob to check" is not.
        let may_be_told = at == opening
            || before.is_empty()
            || chat.tokens[at].is_mention
            || among(before, "and want need for get")
            || chat.gap_before(unit.line, at, unit.from).contains([',', ':', ';', '-', '–', '—']);
        let (weight, verb) = match chat.text_of(next) {
            "to" if !may_be_told => continue,
            "will" | "to" | "can" | "should" | "must" | "shall" if chat.text_of(next) != "can" || !unit.is_question => {
                (if chat.text_of(next) == "can" { 2.2 } else { 2.9 }, next + 1)
            }
            "needs" | "has" | "is" if chat.text_of(next + 1) == "to" => (2.4, next + 2),
            "is" if chat.text_of(next + 1) == "going" => (2.4, next + 3),
            _ if among(before, "can could will would should") && at <= opening + 1 => (2.6, next),
            _ => continue,
        };
        let verb = after_adverbs(chat, verb, unit.to);
        let is_reported = (unit.from..at)
            .any(|at| chat.is(at, class::TELLING) || matches!(chat.text_of(at), "asked" | "when" | "thanks" | "thank"));
        if is_task_verb(chat, verb, unit.to)
            && (chat.is(verb, class::VERB) || matches!(chat.text_of(next), "will" | "to"))
            && !is_reported
        {
            return Some((person, weight, verb));
        }
    }
    None
}

#[allow(clippy::too_many_arguments)]
fn push(
    chat: &Chat<'_>,
    unit: &Unit,
    kind: Kind,
    weight: f32,
    verb: usize,
    owner: Option<usize>,
    cue: usize,
    found: &mut Vec<Action>,
) {
    let to = clause_end(chat, unit, verb);
    let speaker = chat.speaker[unit.line];
    let is_told = kind != Kind::Assign && (unit.from..cue.max(unit.from)).any(|at| chat.is(at, class::TELLING));
    let mut score = weight + circumstances(chat, unit, verb, to) - if is_told { 1.5 } else { 0.0 };
    let (mut subject, mut line, mut task, mut lines) = (chat.subject(verb, to), unit.line, (verb, to), vec![unit.line]);
    // "ping her", "call Bob": a person is object enough.
    let has_person =
        (verb + 1..to).any(|at| matches!(chat.text_of(at), "her" | "him" | "them") || chat.is(at, class::NAME));
    let has_object = has_person
        && among(
            chat.text_of(verb),
            "ping call ask tell email message phone contact remind invite notify inform write thank",
        );
    let tail_subject = usize::from(has_object)
        + subject.iter().filter(|stem| **stem != chat.lexicon.word(chat.tokens[verb].word).stem).count();
    let mut due = None;
    if kind == Kind::Promise {
        if unit.is_question {
            score -= 1.5;
        }
        // "I'll take that one", "I'll book them on Monday": the task is what was asked for just before.
        let has_own = (verb + 1..to).any(|at| !chat.is(at, class::STOP | class::TIME | class::NUMBER));
        let asked = (!has_own && is_pronoun_task(chat, verb, to)).then(|| request_before(chat, unit, verb, cue, found));
        if let Some(asked) = asked.filter(|asked| asked.is_some() || tail_subject == 0) {
            if let Some(asked) = asked {
                due = due_at(chat, unit.line, verb + 1, to);
                (line, task, subject) = asked;
                lines = vec![line, unit.line];
                lines.sort_unstable();
                lines.dedup();
                let asked =
                    found.iter().rev().take(TWINS_WITHIN).position(|known| known.line == line && known.task == task);
                if let Some(back) = asked {
                    found.remove(found.len() - 1 - back);
                }
                score = 3.6;
            } else {
                score -= 1.2;
            }
        } else if tail_subject == 0 {
            score -= 1.2;
        }
    } else {
        if tail_subject == 0 {
            score -= 1.2;
        }
        score += if owner.is_some() && kind != Kind::Assign { 0.4 } else { 0.0 };
        score -= 0.3;
        // "You should" to nobody in particular is advice.
        score -= if kind == Kind::Request && owner.is_none() { 1.0 } else { 0.0 };
    }
    // What people fetch for themselves is no task unless somebody asked.
    let is_shared = kind == Kind::Promise && tail_subject > 0 && is_one_of_many(chat, unit, verb, found);
    score += if is_shared { 0.4 } else { 0.0 };
    score -= if kind == Kind::Promise && !is_shared && matches!(chat.text_of(verb), "bring" | "grab" | "wear" | "drink")
        || kind == Kind::Promise && tail_subject < 2 && matches!(chat.text_of(verb), "check" | "look")
    {
        0.8
    } else {
        0.0
    };
    let owner = if kind == Kind::Request && owner == Some(speaker) { None } else { owner };
    if score < 1.0 {
        return;
    }
    found.push(Action {
        line,
        lines,
        text: String::new(),
        owner,
        subject,
        score,
        is_marked: false,
        is_open: kind != Kind::Promise,
        is_promised: matches!(kind, Kind::Promise | Kind::Assign),
        task,
        due,
        about: None,
    });
}

/// Others have just promised to bring or make something, too: who brings what is agreed here.
fn is_one_of_many(chat: &Chat<'_>, unit: &Unit, verb: usize, found: &[Action]) -> bool {
    const BRINGS: &str = "bring make cook bake buy get grab";
    among(chat.text_of(verb), BRINGS)
        && found.iter().rev().take(TWINS_WITHIN).any(|known| {
            unit.line - known.line <= REQUEST_WITHIN
                && known.is_promised
                && known.owner.is_some_and(|owner| owner != chat.speaker[unit.line])
                && among(chat.text_of(known.task.0), BRINGS)
        })
}

type Task = (usize, (usize, usize), Vec<u32>);

/// The need that a promise without words of its own answers: earlier in its message, an open request, or a "we need …" near it.
fn request_before(chat: &Chat<'_>, unit: &Unit, verb: usize, cue: usize, found: &[Action]) -> Option<Task> {
    if let Some(task) = need(chat, unit.from, cue.min(verb)) {
        return Some((unit.line, task, chat.subject(task.0, task.1)));
    }
    if let Some(known) = found.iter().rev().take(TWINS_WITHIN).find(|known| {
        known.is_open
            && !known.is_marked
            && unit.line.saturating_sub(known.line) <= REQUEST_WITHIN
            && !known.subject.is_empty()
    }) {
        return Some((known.line, known.task, known.subject.clone()));
    }
    (unit.line.saturating_sub(REQUEST_WITHIN)..=unit.line)
        .rev()
        .flat_map(|line| chat.units_of(line).iter().rev())
        .filter(|before| before.to <= unit.from && before.is_english)
        .find_map(|before| {
            let task = need(chat, before.from, before.to)?;
            Some((before.line, task, chat.subject(task.0, task.1)))
        })
}

/// Where "by Friday" stands among some tokens.
fn due_at(chat: &Chat<'_>, line: usize, from: usize, to: usize) -> Option<(usize, usize, usize)> {
    let time = (from..to).find(|&at| chat.is(at, class::TIME) || matches!(chat.text_of(at), "today"))?;
    let mut start = time;
    while start > from && among(chat.text_of(start - 1), "by on at until before after next this the in till") {
        start -= 1;
    }
    Some((line, start, to))
}

fn circumstances(chat: &Chat<'_>, unit: &Unit, verb: usize, to: usize) -> f32 {
    let speaker = chat.speaker[unit.line];
    let mut total = 0.0;
    let is_due =
        (verb.min(to)..unit.to).any(|at| chat.is(at, class::TIME) || matches!(chat.text_of(at), "by" | "before"));
    total += if is_due { 0.8 } else { 0.0 };
    let is_asked = (unit.line.saturating_sub(3)..unit.line).any(|line| {
        chat.speaker[line] != speaker && chat.units_of(line).iter().any(|before| asks_for_help(chat, before))
    });
    total += if is_asked { 0.4 } else { 0.0 };
    let is_acked = (unit.line + 1..chat.lines.len().min(unit.line + 4))
        .any(|line| chat.speaker[line] != speaker && chat.reply(line) == Reply::Nod);
    total += if is_acked { 0.3 } else { 0.0 };
    for at in unit.from..unit.to {
        total -= match chat.text_of(at) {
            "maybe" | "might" | "perhaps" | "if" | "wish" | "unless" => 0.8,
            "lol" | "haha" => 0.6,
            "would" | "probably" => 0.3,
            // Done while it is said.
            "now" if at >= verb => 0.8,
            _ => 0.0,
        };
    }
    total
}

/// "Bob will renew those [the keys] today".
fn explained(text: &str, pronoun: &str, thing: &str) -> String {
    let is_word = |at: &usize| {
        let end = at + 1 + pronoun.len();
        text[*at..].starts_with(' ') && !text[end..].starts_with(|sign: char| sign.is_alphanumeric() || sign == '\'')
    };
    let place = text.match_indices(&format!(" {pronoun}")).map(|(at, _)| at).find(is_word);
    place.map_or_else(
        || text.to_string(),
        |at| {
            let end = at + 1 + pronoun.len();
            format!("{} [{thing}]{}", &text[..end], &text[end..])
        },
    )
}

/// Whether a sentence accepts an open request; if so the request is his or hers.
fn accepts(chat: &Chat<'_>, unit: &Unit, found: &mut [Action]) -> bool {
    let texts: Vec<&str> = (unit.from..unit.to.min(unit.from + 5)).map(|at| chat.text_of(at)).collect();
    let speaker = chat.speaker[unit.line];
    let opening = chat.opening(unit).0;
    let claims = matches!(
        texts.as_slice(),
        ["on", "it", ..]
            | ["mine", ..]
            | ["i'll", "do" | "take" | "handle", "it" | "that" | "this", ..]
            | ["i", "can" | "will", ..]
            | ["will", "do", ..]
            | ["me"]
            | ["i", "volunteer", ..]
            | ["i'm", "on", "it", ..]
            | ["i", "got" | "have", "it" | "this", ..]
            | ["i've", "got", "it" | "this", ..]
    ) || matches!(
        (opening..unit.to.min(opening + 3)).map(|at| chat.text_of(at)).collect::<Vec<_>>().as_slice(),
        ["on", "it"]
            | ["i'll", "do" | "take" | "handle", "it" | "that" | "this"]
            | ["will", "do"]
            | ["i", "can"]
            | ["i", "will"]
            | ["i'm", "on", "it"]
    );
    let nods = claims
        || chat.reply(unit.line) == Reply::Nod
            && chat.units_of(unit.line).first().is_some_and(|first| first.from == unit.from);
    if !nods || chat.subject(opening, unit.to).len() > 1 && !claims {
        return false;
    }
    let is_short = unit.to - opening <= 5;
    let Some(known) = found.iter_mut().rev().take(TWINS_WITHIN).find(|known| {
        let distance = unit.line.saturating_sub(known.line);
        distance > 0
            && distance <= if claims { REQUEST_WITHIN } else { ACCEPT_WITHIN }
            && known.is_open
            && !known.is_marked
            && chat.speaker[known.line] != speaker
            && known.owner.is_none_or(|owner| owner == speaker)
            && (known.owner.is_some() || claims)
    }) else {
        return false;
    };
    known.is_open = false;
    known.score += 1.5;
    known.owner = Some(speaker);
    known.lines.push(unit.line);
    known.is_promised = true;
    is_short
}

/// "Bob will set up staging" for what is promised, "Bob to set up staging" for what is asked.
fn text(chat: &Chat<'_>, action: &Action) -> String {
    let (line, owner, speaker, mut task) = (action.line, action.owner, chat.speaker[action.line], action.task);
    while task.1 > task.0 + 1 && among(chat.text_of(task.1 - 1), "please then lol haha though right ok thanks and") {
        task.1 -= 1;
    }
    task.1 = before_courtesy(chat, task);
    let is_added = action.due.is_some_and(|due| due.0 != line && due_at(chat, line, task.0, task.1).is_none());
    let cut = (task.0 + 1..task.1).find(|&at| chat.gap_before(line, at, task.0).contains(','));
    if let Some(cut) = cut.filter(|_| is_added) {
        task.1 = cut;
    }
    // Who promises speaks to somebody else; who is asked is spoken to.
    let addressee = if owner == Some(speaker) { chat.addressee(line) } else { owner };
    let telling = Telling { line, from: task.0, to: task.1, speaker, addressee };
    let mut body = if owner == Some(speaker) {
        rewrite::after_name(chat, telling, ITEM_WORDS_MAX)
    } else {
        rewrite::after_called(chat, telling, ITEM_WORDS_MAX)
    };
    // "Who informs them?" is answered by "will inform them".
    let bare =
        chat.text_of(task.0).strip_suffix('s').filter(|bare| lists::BASE_VERB.split(' ').any(|verb| verb == *bare));
    if let Some(bare) = bare.filter(|bare| body.len() > bare.len() && !chat.is(task.0, class::VERB)) {
        body.replace_range(..=bare.len(), bare);
    } else if is_errand(chat, task.0, task.1) {
    } else if !is_task_verb(chat, task.0, task.1) || chat.is(task.0, class::STOP) && !chat.is(task.0, class::VERB) {
        body = format!("take care of {body}");
    }
    if let Some((line, from, to)) = action.due.filter(|_| due_at(chat, line, task.0, task.1).is_none()) {
        let due = Telling { line, from, to, speaker, addressee: None };
        body = format!("{} {}", body.trim_end_matches('…'), rewrite::verbatim(chat, due, ITEM_WORDS_MAX));
    }
    let text = match owner {
        Some(owner) if action.is_promised => format!("{} will {body}", chat.name(owner)),
        Some(owner) => format!("{} to {body}", chat.name(owner)),
        None => format!("Unassigned: {body}"),
    };
    rewrite::finish(&text)
}

/// Where a task ends before "… and tell you", "… and let us know".
fn before_courtesy(chat: &Chat<'_>, (from, to): (usize, usize)) -> usize {
    let text = |at: usize| if at < to { chat.text_of(at) } else { "" };
    let is_end = |at: usize| {
        text(at) == "and"
            && among(text(at + 1), "tell let keep ping update get report come")
            && (at + 2..to).all(|at| chat.is(at, class::STOP) || among(text(at), "know posted informed"))
    };
    (from + 2..to).find(|&at| is_end(at)).unwrap_or(to)
}

/// What "it", "those" or "her" in a task goes back to: the nearest sentence before it that names something.
fn antecedent(chat: &Chat<'_>, action: &Action) -> Option<About> {
    let (from, to) = action.task;
    // "This week" is no pronoun; "it", "them" and "those" before a small word or the end are.
    let is_free = |at: usize| at + 1 >= to || chat.is(at + 1, class::STOP);
    let is_closed = |at: usize| at + 1 < to && (chat.is(at + 1, class::TIME) || chat.text_of(at + 1) == "later");
    let place = (from + 1..to).find(|&at| match chat.text_of(at) {
        "it" | "them" | "those" | "these" | "him" | "her" => is_free(at) || is_closed(at),
        "that" | "this" => at + 1 == to || at == from + 1 && is_free(at) && !is_closed(at),
        _ => false,
    })?;
    let own =
        (from + 1..place).filter(|&at| !chat.is(at, class::STOP | class::TIME | class::NUMBER | class::NAME)).count();
    if own > 1 || chat.is_speech || to - from > ABOUT_WORDS_MAX {
        return None;
    }
    let is_person = matches!(chat.text_of(place), "him" | "her");
    let says_more = (place + 1..to).any(|at| !chat.is(at, class::STOP | class::TIME | class::NUMBER));
    if is_person && says_more {
        return None;
    }
    if let Some(unit) = chat.units_of(action.line).iter().find(|unit| (unit.from..unit.to).contains(&from)) {
        let opening = chat.opening(unit).0;
        let is_parted = |at: usize| chat.gap_before(unit.line, at, unit.from).contains([',', ';', '-', '–', '—', ':']);
        let end = (opening + 1..=from).rev().find(|&at| is_parted(at));
        // "The rest is spam, I'll delete it": said in one breath.
        if let Some(end) = end.filter(|&end| !is_person && !chat.subject(opening, end).is_empty()) {
            return Some(About::of(chat, unit.line, opening, end, place));
        }
    }
    let names_person = |unit: &Unit| {
        (unit.from..unit.to).any(|at| {
            let is_name = chat.is(at, class::NAME | class::GIVEN) || at > unit.from && chat.tokens[at].is_capital;
            let person = chat.mention_at(at, unit.to).map(|(person, _)| person);
            is_name && !chat.is(at, class::STOP | class::TIME) && (person.is_none() || person != action.owner)
        }) || chat.tokens[unit.from].is_capital && unit.line == action.line
    };
    let before: Vec<&Unit> = (action.line.saturating_sub(ANTECEDENT_WITHIN)..=action.line)
        .rev()
        .flat_map(|line| chat.units_of(line).iter().rev())
        .filter(|unit| unit.to <= from && unit.is_english && !chat.is_bait[unit.line] && !chat.is_machine(unit.line))
        .collect();
    let says_enough = |unit: &&&Unit| {
        let opening = chat.opening(unit).0;
        let goes_back = among(chat.text_of(opening), "it it's that that's this they they're those");
        let needed = if is_person { 1 } else { 2 };
        !goes_back
            && chat.text_of(unit.from) != "topic"
            && chat.subject(opening, unit.to).len() >= needed
            && unit.to - opening <= WORDS_MAX
            && (!is_person || names_person(unit))
    };
    // "I'll do it" does what was asked for.
    let does = among(chat.text_of(from), "do take handle").then(|| {
        before.iter().find(|unit| chat.speaker[unit.line] != chat.speaker[action.line] && asks_for_help(chat, unit))
    });
    let unit = does.flatten().or_else(|| before.iter().find(says_enough))?;
    Some(About::of(chat, unit.line, chat.opening(unit).0, unit.to, place))
}

/// A task that is named again with a pronoun has its due time from there.
fn without_repeats(chat: &Chat<'_>, found: Vec<Action>) -> Vec<Action> {
    let mut kept: Vec<Action> = Vec::new();
    for action in found {
        match kept.iter_mut().rev().take(TWINS_WITHIN).find(|known| repeats(chat, known, &action)) {
            Some(known) => {
                known.due = known.due.or_else(|| due_at(chat, action.line, action.task.0 + 1, action.task.1));
                known.score = known.score.max(action.score);
                known.is_promised |= action.is_promised;
                known.is_open &= action.is_open;
                known.lines.extend(&action.lines);
                known.lines.truncate(6);
            }
            None => kept.push(action),
        }
    }
    kept
}

/// "I can ask Emil" … "I'll ask him tomorrow": one task.
fn repeats(chat: &Chat<'_>, known: &Action, action: &Action) -> bool {
    let (verb, to) = action.task;
    let is_same = !known.is_marked
        && known.line < action.line
        && action.line - known.line <= REQUEST_WITHIN
        && known.owner == action.owner
        && chat.text_of(known.task.0) == chat.text_of(verb);
    if !is_same {
        return false;
    }
    let is_bare = verb + 1 < to && among(chat.text_of(verb + 1), "it him her them that this those these");
    let adds_nothing = (verb + 2..to).all(|at| {
        chat.is(at, class::STOP | class::TIME | class::NUMBER)
            || chat.gap_before(action.line, at, verb).is_empty()
            || at + 2 >= to && among(chat.text_of(at - 1), "at in on after before by")
    });
    // "Cy, could you ask the neighbours for a table?" … "I'll ask the neighbours tonight".
    let is_echo = (verb + 1..to).all(|at| {
        let is_known = known.subject.contains(&chat.lexicon.word(chat.tokens[at].word).stem);
        chat.is(at, class::STOP | class::TIME | class::NUMBER) || is_known
    });
    (is_bare && adds_nothing || is_echo)
        && !among(chat.text_of(known.task.0 + 1), "it him her them that this those these")
}

/// Joins what says the same: 70 % of the words of the shorter one and no other owner.
fn merge(found: Vec<Action>) -> Vec<Action> {
    let mut kept: Vec<Action> = Vec::new();
    for action in found {
        let twin = kept.iter_mut().rev().take(TWINS_WITHIN).find(|known| {
            share_of_smaller(&known.subject, &action.subject)
                >= if known.is_marked && action.is_marked { 0.95 } else { 0.7 }
                && (known.owner == action.owner || known.owner.is_none() || action.owner.is_none())
                && !(known.is_marked && action.is_marked && known.owner != action.owner)
        });
        match twin {
            Some(known) => {
                if (action.score > known.score && !known.is_marked) || known.owner.is_none() && action.owner.is_some() {
                    let mut lines = action.lines.clone();
                    lines.extend(&known.lines);
                    *known = action;
                    known.lines = lines;
                } else {
                    known.lines.extend(&action.lines);
                }
                known.lines.sort_unstable();
                known.lines.dedup();
                known.lines.truncate(6);
            }
            None => kept.push(action),
        }
    }
    kept
}
