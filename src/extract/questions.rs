//! Finds questions that nobody answered. A doubtful one counts as answered: a false alarm costs more than a miss.

use super::chat::{Chat, Reply, Unit};
use super::lexicon::{among, class};
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
    let is_tag = among(tail, "right no huh eh lol haha ok yeah innit");
    // "What do we get her?" is about something with one word of it.
    let asks_thing = length >= 5 && Kind::of(chat, unit) != Kind::Truth;
    !is_tag
        && (chat.subject(unit.from, unit.to).len() >= if asks_thing { 1 } else { 2 } || !unit.is_english && length >= 3)
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
    let kind = Kind::of(chat, unit);
    let mut others = 0;
    for line in unit.line + 1..chat.lines.len().min(unit.line + 1 + ANSWER_WITHIN) {
        let Some(first) = chat.units_of(line).first() else { continue };
        if chat.speaker[line] == asker {
            // Whoever asked nods to the first who said something, or thanks.
            let thanks = (first.from..first.to).any(|at| matches!(chat.text_of(at), "thanks" | "thank"));
            if chat.is(first.from, class::ACK) && (others == 1 || others > 0 && thanks) {
                return true;
            }
            continue;
        }
        if is_shrug(chat, first) {
            others += 1;
            continue;
        }
        let shares = chat
            .units_of(line)
            .iter()
            .any(|reply| !reply.is_question && overlap(subject, &chat.subject(reply.from, reply.to)) > 0.0);
        let names = chat.units_of(line).iter().any(|reply| {
            (reply.from..reply.to).any(|at| chat.mention_at(at, reply.to).is_some_and(|(person, _)| person == asker))
        });
        // "Yes" may come a little later; "noted" is about what stands right before it.
        let is_plain = among(chat.text_of(first.from), "yes no yep nope nah yeah yup");
        let is_nod = chat.reply(line) != Reply::Other && others < if is_plain { 2 } else { 1 };
        let fits = (others == 0 || others == 1 && !matches!(kind, Kind::Truth | Kind::Thing))
            && chat.units_of(line).iter().any(|reply| kind.fits(chat, reply));
        // What cannot be read is taken for an answer.
        let is_opaque = !unit.is_english && others == 0 && !first.is_question;
        if shares || names || is_nod || fits || is_opaque {
            return true;
        }
        others += 1;
    }
    false
}

/// "No idea" and its kin leave a question open.
fn is_shrug(chat: &Chat<'_>, first: &Unit) -> bool {
    let words: Vec<&str> = (first.from..first.to.min(first.from + 4)).map(|at| chat.text_of(at)).collect();
    matches!(
        words.as_slice(),
        ["no", "idea" | "clue", ..]
            | ["good", "question", ..]
            | ["not", "sure", ..]
            | ["dunno", ..]
            | ["idk", ..]
            | ["i", "don't", "know", ..]
            | ["don't", "know", ..]
            | ["one", "moment" | "sec" | "second", ..]
            | ["let", "me", "check" | "see" | "ask", ..]
            | ["hang" | "hold", "on", ..]
            | ["no", "problem" | "worries", ..]
            | ["let's", "not" | "see" | "decide", ..]
            | ["we'll", "see", ..]
    )
}

/// What kind of answer a question wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Person,
    Time,
    Place,
    Number,
    /// "What", "which", "how", "why": anything that goes on with it.
    Thing,
    /// Yes or no.
    Truth,
}

impl Kind {
    fn of(chat: &Chat<'_>, unit: &Unit) -> Kind {
        let from = chat.opening(unit).0;
        let text = |at: usize| if at < unit.to { chat.text_of(at) } else { "" };
        // "And from when on?": the word that asks need not be the first.
        (from..unit.to.min(from + 4))
            .find_map(|at| match (text(at), text(at + 1)) {
                ("who" | "whose" | "whom" | "who's", _) => Some(Kind::Person),
                ("can" | "could" | "will" | "would", "anyone" | "anybody" | "someone") => Some(Kind::Person),
                ("when", _) | ("what", "time" | "day" | "date") | ("which", "day" | "week" | "date") => {
                    Some(Kind::Time)
                }
                ("where", _) => Some(Kind::Place),
                ("how", "many" | "much" | "long" | "often" | "far" | "big" | "old") => Some(Kind::Number),
                ("what" | "which" | "how" | "why" | "what's" | "how's", _) => Some(Kind::Thing),
                _ => None,
            })
            .unwrap_or(Kind::Truth)
    }

    /// Whether a sentence, which shares no word with the question, can be its answer all the same.
    fn fits(self, chat: &Chat<'_>, reply: &Unit) -> bool {
        if reply.is_question {
            return false;
        }
        let (from, called) = chat.opening(reply);
        // A change of subject says so, and whoever calls somebody else does not answer.
        let is_aside = among(chat.text_of(reply.from), "btw anyway anyways hi hello hey morning thanks thank")
            || among(chat.text_of(from), "btw anyway meanwhile gotta brb lunch sorry");
        if is_aside || called.is_some_and(|person| person != chat.speaker[reply.line]) && !self.wants_person() {
            return false;
        }
        if !reply.is_english {
            return self != Kind::Truth && reply.to - reply.from < 4;
        }
        let head = from..reply.to.min(from + 4);
        // What goes on with "it", "they", "she" goes on with the question.
        let refers = head.clone().any(|at| {
            among(chat.text_of(at), "it it's its that that's those these them they they're he he's she she's both neither either none one nobody nothing everything same depends probably maybe usually apparently afaik should")
        });
        let is_fragment = reply.to - from <= 4;
        let any = |test: &dyn Fn(usize) -> bool| (reply.from..reply.to).any(test);
        match self {
            _ if refers => true,
            Kind::Person => {
                any(&|at| {
                    chat.mention_at(at, reply.to).is_some()
                        || matches!(chat.text_of(at), "me" | "nobody" | "everyone" | "mine")
                }) || head.clone().any(|at| among(chat.text_of(at), "i i'll i'm i've we we'll"))
            }
            Kind::Time => any(&|at| {
                chat.is(at, class::TIME | class::NUMBER) || among(chat.text_of(at), "now soon later after once")
            }),
            Kind::Place => any(&|at| among(chat.text_of(at), "in at on under behind near here there next from")),
            Kind::Number => any(&|at| {
                chat.is(at, class::NUMBER)
                    || among(chat.text_of(at), "one two three four five ten many few a none most all about only")
            }),
            Kind::Thing => {
                is_fragment
                    || head
                        .clone()
                        .any(|at| among(chat.text_of(at), "because to by with the a an i'd we i you use try some"))
            }
            Kind::Truth => {
                head.clone().any(|at| {
                    among(
                        chat.text_of(at),
                        "not i we i've we've already i'd only never always still did does was you if",
                    )
                }) || is_fragment && !chat.subject(from, reply.to).is_empty()
            }
        }
    }

    fn wants_person(self) -> bool {
        self == Kind::Person
    }
}
