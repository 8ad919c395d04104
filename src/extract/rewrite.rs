//! Tells a sentence in the third person: "I'll do it" of Bob becomes "Bob will do it".
//! What it cannot tell safely it quotes: `Bob: ...`.

use super::chat::{Chat, Unit};
use super::lexicon::{among, class};
use std::fmt::Write;

/// No item is longer, whatever was written.
pub const ITEM_CHARS_MAX: usize = 400;
/// Words between a subject and its verb that are looked past: "I really think".
const ADVERBS: &str = " really also just never always still usually actually probably already only definitely even often both sometimes currently kinda personally now ";
/// Third-person verbs that "-s" does not make.
const IRREGULAR: &[(&str, &str)] = &[
    ("have", "has"),
    ("do", "does"),
    ("go", "goes"),
    ("be", "is"),
    ("am", "is"),
    ("don't", "doesn't"),
    ("haven't", "hasn't"),
    ("undo", "undoes"),
    ("redo", "redoes"),
];

/// A sentence to tell: which tokens, of whom, to whom.
#[derive(Clone, Copy, Debug)]
pub struct Telling {
    pub line: usize,
    pub from: usize,
    pub to: usize,
    pub speaker: usize,
    pub addressee: Option<usize>,
}

/// `Name says ...`, `Name asks ...`, `Name will ...` or `Name: ...`, at most about `words_max` words, one line.
pub fn tell(chat: &Chat<'_>, unit: &Unit, words_max: usize) -> String {
    let name = chat.name(chat.speaker[unit.line]);
    if !unit.is_english || chat.is_bait[unit.line] || is_quotation(chat, unit) || unit.to - unit.from < 3 {
        return quote(chat, unit, words_max);
    }
    let (open, called) = chat.opening(unit);
    let addressee = called.or_else(|| chat.addressee(unit.line));
    let telling = Telling { line: unit.line, from: open, to: unit.to, speaker: chat.speaker[unit.line], addressee };
    if let Some(text) = heading(chat, unit, telling, words_max) {
        return text;
    }
    let text = if unit.is_question {
        return question(chat, telling, words_max);
    } else if chat.text_of(open) == "let's" && open + 1 < unit.to && chat.is(open + 1, class::VERB) {
        format!("{name} proposes to {}", third_person(chat, Telling { from: open + 1, ..telling }, words_max))
    } else {
        statement(chat, telling, words_max)
    };
    finish(&text)
}

/// Lines of a meeting's form: "PROPOSAL: …" is proposed by its writer, "Topic: …" is said by nobody.
fn heading(chat: &Chat<'_>, unit: &Unit, telling: Telling, words_max: usize) -> Option<String> {
    let from = unit.from + 1;
    let has_colon = from < unit.to && chat.gap_before(unit.line, from, unit.from).starts_with(':');
    if !has_colon {
        return None;
    }
    match chat.text_of(unit.from) {
        "proposal" | "proposed" | "motion" => {
            let body = verbatim(chat, Telling { from, ..telling }, words_max);
            let name = chat.name(telling.speaker);
            Some(finish(&if chat.is(from, class::VERB) {
                format!("{name} proposes to {}", lower_first(chat, from, &body))
            } else {
                format!("{name} proposes: {body}")
            }))
        }
        "topic" | "agenda" | "subtopic" => {
            Some(finish(&verbatim(chat, Telling { from: unit.from, ..telling }, words_max)))
        }
        _ => None,
    }
}

/// Somebody else's words: a line that quotes, or all of it in quotation marks.
pub fn is_quotation(chat: &Chat<'_>, unit: &Unit) -> bool {
    let tokens = &chat.tokens[unit.from..unit.to];
    tokens.iter().all(|token| token.is_quoted) && !tokens.iter().all(|token| chat.lexicon.is(token.word, class::OPAQUE))
}

/// `Name: the words as they stand`.
pub fn quote(chat: &Chat<'_>, unit: &Unit, words_max: usize) -> String {
    let telling = Telling { line: unit.line, from: unit.from, to: unit.to, speaker: 0, addressee: None };
    let body = verbatim(chat, telling, words_max);
    let name = chat.name(chat.speaker[unit.line]);
    let body =
        if unit.is_question && !body.ends_with('…') { format!("{body}{}", question_mark(chat, unit)) } else { body };
    finish(&if unit.is_english && !chat.is_bait[unit.line] && !is_quotation(chat, unit) {
        format!("{name}: {body}")
    } else {
        format!("{name}: \"{}\"", body.replace('"', "'"))
    })
}

/// The sign that the question was written with.
fn question_mark(chat: &Chat<'_>, unit: &Unit) -> char {
    let after = &chat.lines[unit.line].text[chat.tokens[unit.to - 1].end as usize..];
    after.chars().find(|sign| matches!(sign, '?' | '？' | '؟')).unwrap_or('?')
}

fn statement(chat: &Chat<'_>, telling: Telling, words_max: usize) -> String {
    let name = chat.name(telling.speaker);
    if is_self(chat, telling.from) {
        third_person(chat, telling, words_max)
    } else if telling.to - telling.from < 4 || is_order(chat, telling) || chat.text_of(telling.from) == "me" {
        format!("{name}: {}", verbatim(chat, telling, words_max))
    } else {
        format!("{name} says {}", lower_first(chat, telling.from, &after_name(chat, telling, words_max)))
    }
}

/// The sentence begins with the speaker: his or her name will open it.
fn is_self(chat: &Chat<'_>, at: usize) -> bool {
    among(chat.text_of(at), "i i'm i'll i've i'd my") && !chat.tokens[at].is_quoted
}

/// A bare verb in front and no subject: somebody is told to do something.
fn is_order(chat: &Chat<'_>, telling: Telling) -> bool {
    chat.text_of(telling.from) == "please"
        || (chat.is(telling.from, class::VERB) && !chat.is(telling.from, class::STOP | class::TIME))
}

fn question(chat: &Chat<'_>, telling: Telling, words_max: usize) -> String {
    let name = chat.name(telling.speaker);
    let (first, second) =
        (chat.text_of(telling.from), if telling.from + 1 < telling.to { chat.text_of(telling.from + 1) } else { "" });
    let body_from = telling.from + 2;
    if matches!(first, "can" | "could" | "will" | "would")
        && second == "you"
        && body_from < telling.to
        && !chat.is(body_from, class::IDLE)
        && chat.is(body_from, class::VERB)
    {
        let whom = telling.addressee.map_or("someone", |person| chat.name(person));
        return finish(&format!(
            "{name} asks {whom} to {}",
            third_person(chat, Telling { from: body_from, ..telling }, words_max)
        ));
    }
    if matches!(first, "can" | "could" | "should" | "shall")
        && second == "we"
        && body_from < telling.to
        && chat.is(body_from, class::VERB)
    {
        return finish(&format!(
            "{name} asks if they {first} {}",
            third_person(chat, Telling { from: body_from, ..telling }, words_max)
        ));
    }
    let mut text = finish(&format!("{name} asks: {}", verbatim(chat, telling, words_max)));
    if !text.ends_with('…') {
        text.push('?');
    }
    text
}

/// The tokens with their pronouns turned around, cut at `words_max` words.
pub fn third_person(chat: &Chat<'_>, telling: Telling, words_max: usize) -> String {
    told(chat, telling, words_max, false, false)
}

/// The same where the speaker's name stands before these words already: "Ann will share their screen".
pub fn after_name(chat: &Chat<'_>, telling: Telling, words_max: usize) -> String {
    told(chat, telling, words_max, true, false)
}

/// The same where the name of the one who is spoken to does: "Bob will send their notes".
pub fn after_called(chat: &Chat<'_>, telling: Telling, words_max: usize) -> String {
    told(chat, telling, words_max, false, true)
}

/// `named` says that the speaker's name stands before these words already, `is_own` that the addressee's does.
fn told(chat: &Chat<'_>, telling: Telling, words_max: usize, mut named: bool, is_own: bool) -> String {
    let (to, is_cut) = cut(chat, telling, words_max);
    let name = chat.name(telling.speaker);
    // "They" means the speaker only where nobody could think of the group.
    let has_group =
        (telling.from..to).any(|at| among(chat.text_of(at), "we us our we're we'll we've we'd they their them"));
    let mut out = signs_before(chat, telling).to_string();
    let mut wants_s = false;
    for at in telling.from..to {
        if at > telling.from {
            push_gap(&mut out, chat.gap_before(telling.line, at, telling.from));
        }
        if chat.is_stammer(telling.line, at, to) {
            continue;
        }
        let surface = surface(chat, telling.line, at);
        if chat.tokens[at].is_quoted {
            out.push_str(surface);
            wants_s = false;
            continue;
        }
        let word = chat.text_of(at);
        if wants_s && ADVERBS.contains(&format!(" {word} ")) {
            out.push_str(surface);
            continue;
        }
        if std::mem::take(&mut wants_s)
            && (chat.is(at, class::VERB)
                || among(word, "am don't haven't have do need want like use see take make put come mean thank"))
        {
            out.push_str(&with_s(word));
            continue;
        }
        let next = if at + 1 < to { chat.text_of(at + 1) } else { "" };
        let they = named && !has_group;
        let is_inverted =
            at == telling.from || among(chat.text_of(at - 1), "what how why where when who so nor neither");
        if next == "i" && is_inverted && !they && among(word, "am do have don't haven't") {
            out.push_str(&with_s(word));
            continue;
        }
        match speaker_form(word, next, they) {
            Some((form, needs_s)) => {
                let _ = if they { write!(out, "{form}") } else { write!(out, "{name}{form}") };
                named = true;
                wants_s = needs_s && !they;
            }
            None => out.push_str(&other_form(chat, telling, word, surface, is_own)),
        }
    }
    out.push_str(if is_cut { "…" } else { signs_after(chat, telling) });
    out
}

/// What replaces a word of the first person: what comes after the name (or "they" and its kin), and whether a verb must agree.
fn speaker_form(word: &str, next: &str, they: bool) -> Option<(&'static str, bool)> {
    Some(match (word, they) {
        ("i", false) => ("", true),
        ("i", true) => ("they", false),
        ("i'm", false) => (" is", false),
        ("i'm", true) => ("they are", false),
        ("i'll", false) => (" will", false),
        ("i'll", true) => ("they will", false),
        ("i've", false) => (" has", false),
        ("i've", true) => ("they have", false),
        ("i'd", _) if next == "better" => {
            if they {
                ("they had", false)
            } else {
                (" had", false)
            }
        }
        ("i'd", false) => (" would", false),
        ("i'd", true) => ("they would", false),
        ("me", false) => ("", false),
        ("me", true) => ("them", false),
        ("my", false) => ("'s", false),
        ("my", true) => ("their", false),
        _ => return None,
    })
}

/// `is_own`: the name of the one who is spoken to stands before these words already.
fn other_form(chat: &Chat<'_>, telling: Telling, word: &str, surface: &str, is_own: bool) -> String {
    let fixed = match word {
        "we" => "they",
        "we're" => "they are",
        "we'll" => "they will",
        "we've" => "they have",
        "we'd" => "they would",
        "us" => "them",
        "our" => "their",
        "ours" => "theirs",
        "ourselves" | "myself" => "themselves",
        "mine" => "theirs",
        _ => "",
    };
    if !fixed.is_empty() {
        return fixed.to_string();
    }
    let Some(addressee) = telling.addressee else {
        return surface.to_string();
    };
    let name = chat.name(addressee);
    match word {
        "you" => name.to_string(),
        "you're" => format!("{name} is"),
        "you'll" => format!("{name} will"),
        "you've" => format!("{name} has"),
        "you'd" => format!("{name} would"),
        "your" if is_own => "their".to_string(),
        "your" => format!("{name}'s"),
        _ => surface.to_string(),
    }
}

/// A base verb after "he" or "she".
pub fn with_s(word: &str) -> String {
    if let Some((_, form)) = IRREGULAR.iter().find(|(base, _)| *base == word) {
        return (*form).to_string();
    }
    let bytes = word.as_bytes();
    if word.ends_with(['s', 'x', 'z']) || word.ends_with("ch") || word.ends_with("sh") {
        format!("{word}es")
    } else if word.ends_with('y') && bytes.len() > 1 && !b"aeiou".contains(&bytes[bytes.len() - 2]) {
        format!("{}ies", &word[..word.len() - 1])
    } else {
        format!("{word}s")
    }
}

/// The tokens as they were written, cut at `words_max` words, on one line.
pub fn verbatim(chat: &Chat<'_>, telling: Telling, words_max: usize) -> String {
    let (to, is_cut) = cut(chat, telling, words_max);
    let mut out = signs_before(chat, telling).to_string();
    for at in telling.from..to {
        if at > telling.from {
            push_gap(&mut out, chat.gap_before(telling.line, at, telling.from));
        }
        if chat.is_stammer(telling.line, at, to) {
            continue;
        }
        out.push_str(surface(chat, telling.line, at));
    }
    out.push_str(if is_cut { "…" } else { signs_after(chat, telling) });
    out
}

/// Signs that belong to the first word: an opening quotation mark, "$", "#".
fn signs_before<'a>(chat: &Chat<'a>, telling: Telling) -> &'a str {
    let token = chat.tokens[telling.from];
    let before = &chat.lines[telling.line].text[..token.start as usize];
    let is_mention = token.is_mention && chat.lexicon.is(token.word, class::NAME);
    let bare = before.trim_end_matches(|sign| {
        matches!(sign, '"' | '“' | '«' | '(' | '[' | '$' | '€' | '£' | '#' | '~' | '/' | '{' | '¿' | '¡' | '<')
            || sign == '@' && !is_mention
    });
    &before[bare.len()..]
}

/// Signs that belong to the last word: a closing quotation mark, "%", "++".
fn signs_after<'a>(chat: &Chat<'a>, telling: Telling) -> &'a str {
    let after = &chat.lines[telling.line].text[chat.tokens[telling.to - 1].end as usize..];
    let rest = after.trim_start_matches(['"', '”', '»', ')', ']', '%', '+', '}', '>', '€', '°', '/']);
    &after[..after.len() - rest.len()]
}

/// A token as it was written, without the middle of what is too long to show.
fn surface<'a>(chat: &Chat<'a>, line: usize, at: usize) -> &'a str {
    let token = chat.tokens[at];
    let text = &chat.lines[line].text[token.start as usize..token.end as usize];
    if text.len() <= super::tokens::TOKEN_BYTES_MAX { text } else { "[…]" }
}

/// Where a sentence of too many words stops: at the last comma of its second half, else hard.
fn cut(chat: &Chat<'_>, telling: Telling, words_max: usize) -> (usize, bool) {
    if telling.to - telling.from <= words_max {
        return (telling.to, false);
    }
    let hard = telling.from + words_max;
    let soft = (telling.from + words_max / 2..=hard)
        .rev()
        .find(|&at| chat.gap_before(telling.line, at, telling.from).contains([',', ';', ':', '(', '–', '—']));
    (soft.unwrap_or(hard), true)
}

/// Appends the signs between two words: one space for any run of spaces and control characters.
fn push_gap(out: &mut String, gap: &str) {
    for sign in gap.chars() {
        if !sign.is_whitespace() && !is_hidden(sign) {
            out.push(sign);
        } else if !out.ends_with(' ') {
            out.push(' ');
        }
    }
}

/// Control characters, and marks that turn the direction of what follows.
fn is_hidden(sign: char) -> bool {
    sign.is_control()
        || matches!(sign, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{feff}' | '\u{2028}' | '\u{2029}')
}

/// One line, no sign too many at its end, not longer than `ITEM_CHARS_MAX`.
pub fn finish(text: &str) -> String {
    let mut out = String::new();
    push_gap(&mut out, text);
    while let Some(at) = out.find(" ,") {
        out.remove(at);
    }
    let out = out.replace(",,", ",");
    let mut out = out
        .trim()
        .trim_start_matches([',', ';'])
        .trim_start()
        .trim_end_matches(['.', ',', ';', ':', ' ', '-', '–', '('])
        .to_string();
    // A bracket or quotation mark without its partner was cut off.
    if out.matches('"').count() % 2 == 1 && !out.contains(": \"") {
        out = out.replace('"', "");
    }
    if out.matches('(').count() > out.matches(')').count() {
        out.push(')');
    }
    if let Some((end, _)) = out.char_indices().nth(ITEM_CHARS_MAX) {
        out.truncate(end);
        out.push('…');
    }
    out
}

/// Lower case for a first letter that is a capital only because a sentence began.
pub fn lower_first(chat: &Chat<'_>, at: usize, text: &str) -> String {
    let is_plain = chat.is(at, class::STOP | class::VERB | class::FILLER)
        && !among(chat.text_of(at), "i i'm i'll i've i'd")
        && chat.mention_at(at, at + 1).is_none();
    let mut letters = text.chars();
    match letters.next() {
        Some(first) if is_plain => first.to_lowercase().chain(letters).collect(),
        _ => text.to_string(),
    }
}

/// Upper case for the first letter, if it is one.
pub fn upper_first(text: &str) -> String {
    let mut letters = text.chars();
    // A link or code stays as it is.
    match letters.next() {
        Some(first) if !text.starts_with("http") => first.to_uppercase().chain(letters).collect(),
        _ => text.to_string(),
    }
}
