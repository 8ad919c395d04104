//! Finds who has to do what: promises, requests and their acceptance, marked tasks.
//! An owner is somebody named, spoken to, or who accepted; nobody is guessed.

use super::chat::{Chat, Reply, Unit};
use super::cues::{Cue, Cues};
use super::decisions::{Formality, share_of_smaller};
use super::lexicon::{Lexicon, class};
use super::lists;
use super::rewrite::{self, Telling};

const THRESHOLD: f32 = 2.6;
const THRESHOLD_FORMAL: f32 = 4.2;
const ACTIONS_MAX: usize = 10;
const WORDS_MAX: usize = 60;
const ITEM_WORDS_MAX: usize = 32;
const ACCEPT_WITHIN: usize = 4;
const REQUEST_WITHIN: usize = 6;
const MARK: f32 = 5.5;

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

/// What comes before the verb of something that the speaker will do.
const PROMISES: &[Cue] = &[
    ("i'll just|also|then|definitely|probably|go|try?", 3.0),
    ("i will just|also|then|definitely|try?", 3.0),
    ("<i'm> going|gonna to?", 2.9),
    ("let me", 2.4),
    ("i can", 2.4),
    ("i could", 1.7),
    ("<i'd> like|love|want to", 1.6),
    ("happy|glad to", 2.4),
    ("i volunteer to", 3.0),
    ("i promise|intend|aim to", 2.6),
    ("i still|also|just? need|have|plan|want|ought|got to", 1.8),
    ("i should|must", 1.7),
    ("^ will", 2.5),
    ("^ gonna", 2.4),
];

/// What comes before the verb of something that the one spoken to shall do.
const REQUESTS: &[Cue] = &[
    ("can|could|will|would|might you please|also|then|maybe|just?", 2.6),
    ("please also|just?", 2.4),
    ("need|want you to", 2.6),
    ("you|you'll will? also? need|have to", 2.4),
    ("you|y'all should|must|will", 1.8),
    ("remember|forget to", 1.6),
];

/// What comes before the verb of something that nobody has taken yet.
const OPENS: &[Cue] = &[
    ("can|could|will|would anyone|someone|anybody|somebody please?", 2.2),
    ("who|anyone|anybody|someone|somebody can|could|will|wants|should|must|has|needs to?", 2.0),
    ("who would|wants like|love? to", 2.0),
    ("we|they need|have|ought to", 1.5),
    ("we must", 1.5),
    ("someone|somebody to", 1.8),
    ("remind me|us to", 1.6),
];

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
    /// The verb of a request and the end of its sentence, for the one who accepts it.
    task: (usize, usize),
}

pub struct Rules {
    promises: Cues,
    requests: Cues,
    opens: Cues,
}

impl Rules {
    pub fn new(lexicon: &mut Lexicon) -> Rules {
        Rules {
            promises: Cues::new(PROMISES, lexicon),
            requests: Cues::new(REQUESTS, lexicon),
            opens: Cues::new(OPENS, lexicon),
        }
    }
}

/// The tasks of a conversation in its order, at most `ACTIONS_MAX`.
pub fn find(chat: &Chat<'_>, rules: &Rules, formality: Formality) -> Vec<Action> {
    let mut found: Vec<Action> = Vec::new();
    for index in 0..chat.units.len() {
        let unit = chat.units[index];
        if !unit.is_english || chat.is_bait[unit.line] {
            continue;
        }
        if let Some(action) = marked(chat, index) {
            found.push(action);
        } else if unit.to - unit.from <= WORDS_MAX && !accepts(chat, &unit, &mut found) {
            judge(chat, rules, &unit, &mut found);
        }
    }
    let threshold = if formality == Formality::None { THRESHOLD } else { THRESHOLD_FORMAL };
    found.retain(|action| action.score >= threshold);
    let mut kept = merge(found);
    if kept.len() > ACTIONS_MAX {
        let mut order: Vec<usize> = (0..kept.len()).collect();
        order.sort_by(|&a, &b| kept[b].score.total_cmp(&kept[a].score).then(b.cmp(&a)));
        let weak: Vec<usize> = order.split_off(ACTIONS_MAX);
        let mut at = 0;
        kept.retain(|_| {
            at += 1;
            !weak.contains(&(at - 1))
        });
    }
    kept
}

pub fn is_marked(chat: &Chat<'_>, unit: &Unit) -> bool {
    task_after_mark(chat, unit).is_some()
}

/// Where the text begins after "ACTION:", "TODO:", "#action".
fn task_after_mark(chat: &Chat<'_>, unit: &Unit) -> Option<usize> {
    let at = unit.from;
    if at + 2 >= unit.to || chat.tokens[at].is_quoted {
        return None;
    }
    let gap = |at: usize| chat.gap_before(unit.line, at, unit.from).trim_start();
    match (chat.text_of(at), chat.text_of(at + 1)) {
        ("#action" | "#todo" | "#task", _) => Some(at + 1),
        ("action" | "todo" | "task" | "actions" | "todos", _) if gap(at + 1).starts_with(':') => Some(at + 1),
        ("action", "item" | "items" | "point") if gap(at + 2).starts_with(':') => Some(at + 2),
        ("todo" | "action", "for" | "on") if (at + 3..unit.to.min(at + 5)).any(|at| gap(at).starts_with(':')) => {
            Some(at + 2)
        }
        _ => None,
    }
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
        task: (from, to),
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
            let verb = after_adverbs(chat, unit.from + cue.end, unit.to);
            // Whoever promises may do it with a verb that no list knows.
            let is_known = kind == Kind::Promise || verb < unit.to && chat.is(verb, class::VERB);
            if is_known && is_task_verb(chat, verb, unit.to) && best.is_none_or(|known| cue.weight > known.1) {
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
    let Some((kind, weight, cue, verb)) = best else { return };
    let owner = match kind {
        Kind::Promise => Some(chat.speaker[unit.line]),
        Kind::Request => called.or_else(|| chat.addressee(unit.line)),
        _ => None,
    };
    push(chat, unit, kind, weight, verb, owner, cue, found);
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
        let (weight, verb) = match chat.text_of(next) {
            "will" | "to" | "can" | "should" | "must" | "shall" if chat.text_of(next) != "can" || !unit.is_question => {
                (if matches!(chat.text_of(next), "can" | "should") { 2.2 } else { 2.7 }, next + 1)
            }
            "needs" | "has" | "is" if chat.text_of(next + 1) == "to" => (2.4, next + 2),
            "is" if chat.text_of(next + 1) == "going" => (2.4, next + 3),
            _ if matches!(before, "can" | "could" | "will" | "would" | "should") && at <= opening + 1 => (2.6, next),
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

fn after_adverbs(chat: &Chat<'_>, mut at: usize, to: usize) -> usize {
    while at < to
        && matches!(
            chat.text_of(at),
            "also"
                | "just"
                | "then"
                | "definitely"
                | "probably"
                | "quickly"
                | "please"
                | "maybe"
                | "both"
                | "now"
                | "gladly"
                | "happily"
                | "try"
                | "personally"
                | "either"
        )
    {
        at += 1;
    }
    if at + 2 < to && matches!(chat.text_of(at), "try" | "go") && matches!(chat.text_of(at + 1), "to" | "and" | "ahead")
    {
        at + 2
    } else {
        at
    }
}

/// A verb that promises something that can be done and seen; "let you know" and "get back to you" are courtesy.
fn is_task_verb(chat: &Chat<'_>, at: usize, to: usize) -> bool {
    if at >= to || chat.tokens[at].is_quoted {
        return false;
    }
    let next = if at + 1 < to { chat.text_of(at + 1) } else { "" };
    match chat.text_of(at) {
        "take" => !matches!(next, "a" | "the" | "back" | "your" | "off" | "it") || matches!(next, "the" | "it"),
        "look" => matches!(next, "into" | "at" | "up" | "for" | "over"),
        "keep" => matches!(next, "track" | "notes" | "an" | "the"),
        "get" => !matches!(
            next,
            "back" | "it" | "there" | "some" | "going" | "coffee" | "lunch" | "home" | "to" | "used" | "over" | "off"
        ),
        "do" => !matches!(next, "my" | "anything" | "so" | "well" | "better" | "fine"),
        "make" => !matches!(next, "it" | "sense"),
        "give" => !matches!(next, "up" | "you" | "it" | "them"),
        "ask" => !matches!(next, "you" | "a" | "why"),
        "help" | "join" | "attend" | "meet" | "call" | "start" | "bring" | "put" | "use" | "work" => true,
        "speak" | "talk" => matches!(next, "to" | "with"),
        "have" => {
            matches!(next, "the" | "it")
                && at + 2 < to
                && (at + 2..to).any(|at| matches!(chat.text_of(at), "ready" | "done" | "finished" | "by"))
        }
        "confirm" | "let" => chat.text_of(at) == "confirm",
        word => {
            (chat.is(at, class::VERB) || !chat.is(at, class::STOP) && word.len() > 2)
                && !chat.is(at, class::IDLE | class::NUMBER | class::TIME | class::OPAQUE | class::NAME)
        }
    }
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
        && matches!(
            chat.text_of(verb),
            "ping"
                | "call"
                | "ask"
                | "tell"
                | "email"
                | "message"
                | "phone"
                | "contact"
                | "remind"
                | "invite"
                | "notify"
                | "inform"
                | "write"
                | "thank"
        );
    let tail_subject = usize::from(has_object)
        + subject.iter().filter(|stem| **stem != chat.lexicon.word(chat.tokens[verb].word).stem).count();
    if kind == Kind::Promise {
        if unit.is_question {
            score -= 1.5;
        }
        if tail_subject == 0 && is_pronoun_task(chat, verb, to) {
            // "I'll take that one": the task is what was asked for just before.
            if let Some(asked) = request_before(chat, unit, verb, cue, found) {
                (line, task, subject) = asked;
                lines = vec![line, unit.line];
                lines.sort_unstable();
                lines.dedup();
                found.retain(|known| known.line != line || known.task != task);
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
    score -= if kind == Kind::Promise && matches!(chat.text_of(verb), "bring" | "grab" | "wear" | "drink")
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
    let text = text(
        chat,
        line,
        task,
        owner,
        kind == Kind::Promise || kind == Kind::Assign,
        if kind == Kind::Promise { speaker } else { chat.speaker[line] },
    );
    found.push(Action {
        line,
        lines,
        text,
        owner,
        subject,
        score,
        is_marked: false,
        is_open: kind != Kind::Promise,
        task,
    });
}

fn is_pronoun_task(chat: &Chat<'_>, verb: usize, to: usize) -> bool {
    matches!(
        chat.text_of(verb),
        "take"
            | "do"
            | "handle"
            | "own"
            | "grab"
            | "pick"
            | "sort"
            | "manage"
            | "tackle"
            | "look"
            | "cover"
            | "fix"
            | "send"
            | "write"
            | "book"
            | "order"
            | "check"
            | "make"
            | "set"
            | "update"
            | "file"
    ) && (verb + 1..to).all(|at| {
        chat.is(at, class::STOP | class::TIME | class::VERB | class::NUMBER)
            || matches!(chat.text_of(at), "one" | "care" | "into")
    }) && (verb + 1..to)
        .any(|at| matches!(chat.text_of(at), "it" | "that" | "this" | "one" | "those" | "these" | "them" | "care"))
}

type Task = (usize, (usize, usize), Vec<u32>);

/// The need that a promise without words of its own answers: earlier in its message, an open request, or a "we need …" near it.
fn request_before(chat: &Chat<'_>, unit: &Unit, verb: usize, cue: usize, found: &[Action]) -> Option<Task> {
    if let Some(task) = need(chat, unit.from, cue.min(verb)) {
        return Some((unit.line, task, chat.subject(task.0, task.1)));
    }
    if let Some(known) = found.iter().rev().find(|known| {
        known.is_open && !known.is_marked && unit.line - known.line <= REQUEST_WITHIN && !known.subject.is_empty()
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

/// "we need a budget", "someone has to call them", "who informs the landlord?": the tokens of the thing needed.
fn need(chat: &Chat<'_>, from: usize, to: usize) -> Option<(usize, usize)> {
    let at = (from..to).find(|&at| match chat.text_of(at) {
        "who" | "need" | "needs" | "missing" => true,
        "has" | "have" => at + 1 < to && chat.text_of(at + 1) == "to",
        "should" | "must" | "to" | "can" | "could" => {
            at > from && matches!(chat.text_of(at - 1), "someone" | "somebody" | "anyone" | "anybody" | "who" | "one")
        }
        _ => false,
    })?;
    if at > from && matches!(chat.text_of(at - 1), "i" | "you") {
        return None;
    }
    let mut start = at + 1;
    while start < to
        && matches!(
            chat.text_of(start),
            "to" | "someone"
                | "somebody"
                | "anyone"
                | "also"
                | "still"
                | "is"
                | "be"
                | "can"
                | "could"
                | "will"
                | "would"
                | "wants"
                | "has"
        )
    {
        start += 1;
    }
    let mut end = to;
    while end > start && matches!(chat.text_of(end - 1), "and" | "so" | "but" | "though" | "too") {
        end -= 1;
    }
    (!chat.subject(start, end).is_empty()).then_some((start, end))
}

/// A promise ends where a clause with a subject of its own begins.
fn clause_end(chat: &Chat<'_>, unit: &Unit, verb: usize) -> usize {
    (verb + 2..unit.to)
        .find(|&at| {
            let gap = chat.gap_before(unit.line, at, unit.from);
            let parts = gap.contains([',', ';', '–', '—', '('])
                || gap.contains(" - ")
                || gap.contains(':') && gap.trim() != ":";
            let is_new = matches!(
                chat.text_of(at),
                "i" | "i've"
                    | "i'm"
                    | "i'll"
                    | "it's"
                    | "that's"
                    | "we"
                    | "you"
                    | "can"
                    | "could"
                    | "they"
                    | "it"
                    | "this"
                    | "that"
                    | "there"
                    | "but"
                    | "ok"
                    | "lol"
                    | "is"
                    | "does"
                    | "what"
                    | "who"
                    | "will"
                    | "please"
                    | "thanks"
                    | "if"
                    | "then"
            ) || chat.mention_at(at, unit.to).is_some();
            parts && is_new
        })
        .unwrap_or(unit.to)
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
            _ => 0.0,
        };
    }
    total
}

/// A question or plea that somebody could answer by doing something.
fn asks_for_help(chat: &Chat<'_>, unit: &Unit) -> bool {
    (unit.from..unit.to.min(unit.from + 8)).any(|at| match chat.text_of(at) {
        "please" => true,
        "can" | "could" | "would" | "who" | "will" | "someone" | "anyone" | "somebody" | "anybody" | "need"
        | "needs" | "volunteer" | "volunteers" => unit.is_question,
        _ => false,
    })
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
    let Some(known) = found.iter_mut().rev().find(|known| {
        let distance = unit.line - known.line;
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
    known.text = text(chat, known.line, known.task, known.owner, true, chat.speaker[known.line]);
    is_short
}

/// "Bob will set up staging" for what is promised, "Bob to set up staging" for what is asked.
fn text(
    chat: &Chat<'_>,
    line: usize,
    task: (usize, usize),
    owner: Option<usize>,
    is_promised: bool,
    speaker: usize,
) -> String {
    let mut task = task;
    while task.1 > task.0 + 1
        && matches!(
            chat.text_of(task.1 - 1),
            "please" | "then" | "lol" | "haha" | "though" | "right" | "ok" | "thanks" | "and"
        )
    {
        task.1 -= 1;
    }
    let telling = Telling { line, from: task.0, to: task.1, speaker, addressee: owner };
    let mut body = rewrite::third_person(chat, telling, ITEM_WORDS_MAX);
    // "Who informs them?" is answered by "will inform them".
    let bare =
        chat.text_of(task.0).strip_suffix('s').filter(|bare| lists::BASE_VERB.split(' ').any(|verb| verb == *bare));
    if let Some(bare) = bare.filter(|bare| body.len() > bare.len() && !chat.is(task.0, class::VERB)) {
        body.replace_range(..=bare.len(), bare);
    } else if !is_task_verb(chat, task.0, task.1) || chat.is(task.0, class::STOP) && !chat.is(task.0, class::VERB) {
        body = format!("take care of {body}");
    }
    let text = match owner {
        Some(owner) if is_promised => format!("{} will {body}", chat.name(owner)),
        Some(owner) => format!("{} to {body}", chat.name(owner)),
        None => format!("Unassigned: {body}"),
    };
    rewrite::finish(&text)
}

/// Joins what says the same: 70 % of the words of the shorter one and no other owner.
fn merge(found: Vec<Action>) -> Vec<Action> {
    let mut kept: Vec<Action> = Vec::new();
    for action in found {
        let twin = kept.iter_mut().find(|known| {
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
