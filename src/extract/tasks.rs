//! The words of tasks: what promises and requests begin with, which verbs can be ticked off, what is needed by whom.
//! Who owns a task is judged in `actions.rs`.

use super::chat::{Chat, Unit};
use super::cues::{Cue, Cues};
use super::lexicon::{Lexicon, among, class};

/// What comes before the verb of something that the speaker will do.
const PROMISES: &[Cue] = &[
    ("i'll just|also|then|definitely|probably?", 3.0),
    ("i will just|also|then|definitely?", 3.0),
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

pub struct Rules {
    pub promises: Cues,
    pub requests: Cues,
    pub opens: Cues,
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

pub fn is_marked(chat: &Chat<'_>, unit: &Unit) -> bool {
    task_after_mark(chat, unit).is_some()
}

/// Where the text begins after "ACTION:", "TODO:", "#action".
pub fn task_after_mark(chat: &Chat<'_>, unit: &Unit) -> Option<usize> {
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

pub fn after_adverbs(chat: &Chat<'_>, mut at: usize, to: usize) -> usize {
    while at < to
        && among(
            chat.text_of(at),
            "also just then definitely probably quickly please maybe both now gladly happily try personally either",
        )
    {
        at += 1;
    }
    match (at + 3 < to).then(|| [at, at + 1, at + 2].map(|at| chat.text_of(at))) {
        Some(["go", "ahead", "and"]) => at + 3,
        Some(["try" | "go", "to" | "and", _]) => at + 2,
        _ => at,
    }
}

/// A verb that promises something that can be done and seen; "let you know" and "get back to you" are courtesy.
pub fn is_task_verb(chat: &Chat<'_>, at: usize, to: usize) -> bool {
    if at >= to || chat.tokens[at].is_quoted {
        return false;
    }
    let next = if at + 1 < to { chat.text_of(at + 1) } else { "" };
    match chat.text_of(at) {
        "take" => !among(next, "a the back your off it") || matches!(next, "the" | "it"),
        "look" => among(next, "into at up for over"),
        "keep" => matches!(next, "track" | "notes" | "an" | "the"),
        "get" => !among(next, "back it there some going coffee lunch home to used over off"),
        "do" => !among(next, "my anything so well better fine"),
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

/// "Go to the town hall": who is told to go somewhere has something to do there.
pub fn is_errand(chat: &Chat<'_>, at: usize, to: usize) -> bool {
    at + 3 < to
        && chat.text_of(at) == "go"
        && chat.text_of(at + 1) == "to"
        && among(chat.text_of(at + 2), "the a an your our")
}

pub fn is_pronoun_task(chat: &Chat<'_>, verb: usize, to: usize) -> bool {
    among(
        chat.text_of(verb),
        "take do handle own grab pick sort manage tackle look cover fix send write book order check make set update file",
    ) && (verb + 1..to).all(|at| {
        chat.is(at, class::STOP | class::TIME | class::VERB | class::NUMBER)
            || matches!(chat.text_of(at), "one" | "care" | "into")
    }) && (verb + 1..to).any(|at| among(chat.text_of(at), "it that this one those these them care"))
}

/// "we need a budget", "someone has to call them", "who informs the landlord?": the tokens of the thing needed.
pub fn need(chat: &Chat<'_>, from: usize, to: usize) -> Option<(usize, usize)> {
    let at = (from..to).find(|&at| match chat.text_of(at) {
        "who" => at + 1 >= to || !among(chat.text_of(at + 1), "do does did is are was were has have had am i we"),
        "need" | "needs" | "missing" => true,
        "has" | "have" => at + 1 < to && chat.text_of(at + 1) == "to",
        "should" | "must" | "to" | "can" | "could" => {
            at > from && among(chat.text_of(at - 1), "someone somebody anyone anybody who one")
        }
        _ => false,
    })?;
    if at > from && matches!(chat.text_of(at - 1), "i" | "you") {
        return None;
    }
    let mut start = at + 1;
    while start < to
        && among(chat.text_of(start), "to someone somebody anyone also still is be can could will would wants has")
    {
        start += 1;
    }
    let mut end = to;
    while end > start && among(chat.text_of(end - 1), "and so but though too") {
        end -= 1;
    }
    (!chat.subject(start, end).is_empty()).then_some((start, end))
}

/// A promise ends where a clause with a subject of its own begins.
pub fn clause_end(chat: &Chat<'_>, unit: &Unit, verb: usize) -> usize {
    (verb + 2..unit.to)
        .find(|&at| {
            let gap = chat.gap_before(unit.line, at, unit.from);
            let parts = gap.contains([',', ';', '–', '—', '('])
                || gap.contains(" - ")
                || gap.contains(':') && gap.trim() != ":";
            let is_new = among(chat.text_of(at), "i i've i'm i'll it's that's we you can could they it this that there but ok lol is does what who will please thanks if then they're they've you're we're there's") || chat.mention_at(at, unit.to).is_some();
            parts && is_new
        })
        .unwrap_or(unit.to)
}

/// A question or plea that somebody could answer by doing something.
pub fn asks_for_help(chat: &Chat<'_>, unit: &Unit) -> bool {
    (unit.from..unit.to.min(unit.from + 8)).any(|at| match chat.text_of(at) {
        "please" => true,
        "can" | "could" | "would" | "who" | "will" | "someone" | "anyone" | "somebody" | "anybody" | "need"
        | "needs" | "volunteer" | "volunteers" => unit.is_question,
        _ => false,
    })
}
