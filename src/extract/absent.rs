//! Finds the people who are spoken to or of, but wrote nothing: "Bob, please …", "Alice will …".
//! A name is told by what stands around it, never by its capital alone. What they have to do is judged in `actions.rs`.

use super::chat::{Chat, Unit};
use super::lexicon::{among, class};
use std::collections::HashMap;

/// What the places of a word must speak for together, for it to be a person.
const PERSON: f32 = 2.5;
/// Most people that are found.
const PEOPLE_MAX: usize = 64;
const NAME_CHARS_MIN: usize = 2;
const NAME_CHARS_MAX: usize = 20;
/// How common given names and mere words begin.
const GIVEN: f32 = 1.2;
/// Endings of words for things and manners, which stand before "will" and before commas as names do.
const THING_ENDINGS: &[&str] =
    &["tion", "sion", "ment", "ness", "ity", "ware", "ing", "ance", "ence", "ship", "ism", "ly", "ally", "base"];
/// What a group is called, or a channel.
const GROUPS: &str = " here channel everyone everybody all team room people folks guys group bot system proposal topic action resolved \
decision todo task question answer note devs mods admins agenda reminder update warning fyi psa ps nb edit friends peeps both ladies gang crew ";

/// What is known of one word.
struct Candidate<'a> {
    score: f32,
    name: &'a str,
    /// Written with a small letter too: then only a given name is one.
    is_common: bool,
}

/// The words that are names of absent people, as they were written first, in the order of the conversation.
pub fn find<'a>(chat: &Chat<'a>) -> Vec<(u32, &'a str)> {
    let mut found: HashMap<u32, Candidate<'a>> = HashMap::new();
    let mut order: Vec<u32> = Vec::new();
    for unit in &chat.units {
        for at in unit.from..unit.to {
            let token = chat.tokens[at];
            if token.is_quoted || !may_be_name(chat, unit.line, at) {
                continue;
            }
            let is_given = chat.is(at, class::GIVEN);
            let is_written_so = token.is_capital || token.is_mention || is_given;
            let place = place(chat, unit, at);
            if !is_written_so && place < PERSON {
                if let Some(known) = found.get_mut(&token.word) {
                    known.is_common = true;
                }
                continue;
            }
            let text = &chat.lines[unit.line].text;
            let name = &text[token.start as usize..token.end as usize];
            let known = found.entry(token.word).or_insert_with(|| {
                order.push(token.word);
                Candidate { score: if is_given { GIVEN } else { 0.0 }, name, is_common: false }
            });
            known.score += place;
            // The spelling with a capital is the better one to show.
            if token.is_capital && !known.name.starts_with(char::is_uppercase) {
                known.name = name;
            }
        }
    }
    let is_person = |word: &u32| {
        let known = &found[word];
        known.score >= PERSON && (!known.is_common || chat.lexicon.is(*word, class::GIVEN))
    };
    order.into_iter().filter(is_person).take(PEOPLE_MAX).map(|word| (word, found[&word].name)).collect()
}

fn may_be_name(chat: &Chat<'_>, line: usize, at: usize) -> bool {
    let token = chat.tokens[at];
    let text = chat.text_of(at);
    let written = &chat.lines[line].text[token.start as usize..token.end as usize];
    // "API will" is no person's name, nor is "LD" in "JSON-LD".
    let is_shout = !token.is_mention && written.chars().nth(1).is_some() && !written.contains(char::is_lowercase);
    let is_part = !token.is_mention
        && chat.lines[line].text[..token.start as usize].ends_with(['-', '/', '_', '.', '#', '$', '\\'])
        || chat.lines[line].text[token.end as usize..].starts_with(['-', '/', '_', '(', '\\']);
    let classes = class::STOP
        | class::ENGLISH
        | class::TIME
        | class::FILLER
        | class::ACK
        | class::NAY
        | class::NUMBER
        | class::OPAQUE
        | class::NAME
        | class::SCRIPT;
    let verbs = class::VERB | class::IDLE | class::TELLING | class::REVERSAL | class::PAST;
    let is_word_name = chat.is(at, class::WORD_NAME) && (token.is_capital || token.is_mention);
    (NAME_CHARS_MIN..=NAME_CHARS_MAX).contains(&text.chars().count())
        && text.chars().all(|letter| letter.is_alphabetic() || letter == '-')
        && (is_word_name || !chat.is(at, classes) && (!chat.is(at, verbs) || chat.is(at, class::GIVEN)))
        && (!is_shout || chat.is(at, class::GIVEN))
        && !is_part
        && !GROUPS.contains(&format!(" {text} "))
        && (chat.is(at, class::GIVEN | class::WORD_NAME) || !THING_ENDINGS.iter().any(|ending| text.ends_with(ending)))
}

/// What this place of a word speaks for, or against, its being a person.
fn place(chat: &Chat<'_>, unit: &Unit, at: usize) -> f32 {
    let text = |at: usize| if (unit.from..unit.to).contains(&at) { chat.text_of(at) } else { "" };
    let token = chat.tokens[at];
    if token.is_mention {
        return PERSON;
    }
    let is_head = (unit.from..at).all(|at| chat.is(at, class::FILLER) || matches!(chat.text_of(at), "hi" | "hello"));
    let gap = if at + 1 < unit.to { chat.gap_before(unit.line, at + 1, unit.from) } else { "" };
    let before = if at > unit.from { text(at - 1) } else { "" };
    let after = (text(at + 1), text(at + 2));
    let asks = after.0 == "please" || matches!(after.0, "can" | "could" | "would" | "will") && after.1 == "you";
    let mut total = 0.0;
    if is_head && asks {
        // A small letter proves less than a comma.
        let is_plural = !token.is_capital && chat.text_of(at).ends_with('s');
        total += if gap.contains([',', ':']) && !is_plural {
            PERSON
        } else if token.is_capital {
            2.0
        } else {
            0.0
        };
    } else {
        let is_ordered = is_head && token.is_capital && gap.contains([',', ':']) && is_order(chat, unit, at + 1);
        let is_last = at + 1 == unit.to && at > unit.from && chat.gap_before(unit.line, at, unit.from).contains(',');
        let speaks = || (unit.from..at).any(|at| matches!(chat.text_of(at), "you" | "your" | "thanks"));
        total += if is_ordered || is_last && speaks() { 2.0 } else { 0.0 };
    }
    let is_subject = is_head
        || among(before, "and but that then so think said if or")
        || chat.gap_before(unit.line, at, unit.from).trim_end_matches(' ').ends_with([',', ';', ':', '–', '—'])
        || chat.gap_before(unit.line, at, unit.from) == " - ";
    if is_subject && !gap.contains([',', ':']) {
        total += duty(chat, unit, at);
    }
    if token.is_capital || chat.is(at, class::GIVEN) {
        total += match after.0 {
            "said" | "says" | "asked" | "thinks" | "wants" | "told" | "offered" | "promised" | "volunteered"
            | "agreed" | "mentioned" | "wrote" | "knows" | "confirmed" | "suggested" | "proposed" => 1.5,
            _ => 0.0,
        };
        total += match before {
            "ask" | "tell" | "ping" | "remind" | "thank" | "thanks" | "hi" | "hey" | "hello" | "email" | "message"
            | "asked" | "told" => 1.5,
            "mr" | "mrs" | "ms" | "dr" | "uncle" | "aunt" => 1.5,
            "the" | "a" | "an" | "our" | "this" | "my" | "no" | "each" | "every" | "some" => -2.0,
            _ if token.is_capital && at > unit.from && !is_head => 0.3,
            _ => 0.0,
        };
    }
    total
}

/// A verb that somebody is told to do.
fn is_order(chat: &Chat<'_>, unit: &Unit, at: usize) -> bool {
    at + 1 < unit.to && chat.is(at, class::VERB) && !chat.is(at, class::STOP | class::IDLE)
}

/// "Bob will write the report by Friday": people do things to things, and in time; things happen.
fn duty(chat: &Chat<'_>, unit: &Unit, at: usize) -> f32 {
    let text = |at: usize| if at < unit.to { chat.text_of(at) } else { "" };
    let verb = match (text(at + 1), text(at + 2)) {
        ("will" | "should" | "must" | "shall", "also" | "then" | "just" | "probably") => at + 3,
        ("will" | "should" | "must" | "shall", _) => at + 2,
        ("needs" | "has" | "ought", "to") => at + 3,
        ("is", "going") => at + 4,
        _ => return 0.0,
    };
    if verb >= unit.to || !chat.is(verb, class::VERB) {
        return 0.0;
    }
    let is_done_by_things = among(
        chat.text_of(verb),
        "run take need get keep make help start stop show return handle support let allow cover include cost require change improve increase reduce use",
    );
    let is_at_something = match text(verb + 1) {
        "" => false,
        "on" | "by" | "in" | "at" | "before" | "after" | "until" | "from" | "soon" | "fine" | "to" | "with"
        | "into" | "up" | "out" => {
            among(chat.text_of(verb), "talk speak look write follow reach check call work report sign")
        }
        _ => !chat.is(verb + 1, class::TIME),
    };
    let is_due = (verb + 1..unit.to).any(|at| chat.is(at, class::TIME));
    let act = if is_done_by_things {
        0.5
    } else if is_at_something {
        1.6
    } else {
        0.8
    };
    act + if is_due { 1.0 } else { 0.0 }
}
