//! What the sources of one statement say, and whether that is what the statement says.
//!
//! Pure. It compares words; what it cannot see is told in `check.rs`.

use std::collections::HashSet;

use crate::extract::{Line, content_words};
use crate::summary::bait::is_bait;
use crate::summary::check::{Fault, Kind};
use crate::summary::clean::{digits, literals, spoken, tags};
use crate::summary::cues;

/// A message with at most this many content words ("yes, agreed") is understood by its neighbours only.
const THIN_WORDS_MAX: usize = 3;
/// Within so many messages after a proposal or a request its answer is expected.
const ANSWER_LINES: usize = 6;
/// Of the words of a statement at least this share must be in its sources.
const SHARE_MIN: f64 = 0.66;
/// The same for decisions and tasks, and for statements of a few words.
const SHARE_MIN_STRICT: f64 = 0.75;
/// A statement of fewer words is one of a few words.
const WORDS_FEW: usize = 5;

/// The names of the participants.
pub struct Names {
    /// In lower case.
    pub whole: Vec<String>,
    /// Their words, and the stems of these: "Ines" is no plural, but a stemmer does not know.
    parts: HashSet<String>,
}

impl Names {
    /// Of these participants.
    pub fn new(participants: &[&str]) -> Names {
        let whole: Vec<String> = participants.iter().map(|name| name.to_lowercase()).collect();
        let words = whole.iter().flat_map(|name| name.split(' ').map(str::to_owned));
        let stems = whole.iter().flat_map(|name| content_words(name));
        Names { parts: words.chain(stems).collect(), whole }
    }

    /// Whether a word, or its stem, is part of a name.
    pub fn has(&self, word: &str) -> bool {
        self.parts.contains(word)
    }
}

/// The sources of one statement.
pub struct Support<'a> {
    lines: &'a [Line<'a>],
    names: &'a Names,
    /// The messages, in order.
    pub sources: Vec<Source>,
    /// All that they say and who says it, in lower case.
    text: String,
}

/// One message as a source.
pub struct Source {
    /// Its place among the lines.
    pub at: usize,
    /// Whether the statement names it; else it is there to make a neighbour understood.
    is_named: bool,
    lower: String,
    words: HashSet<String>,
    /// Without quotes and code, in lower case.
    spoken: String,
    spoken_words: HashSet<String>,
}

impl Source {
    fn new(line: &Line<'_>, at: usize, is_named: bool) -> Source {
        let spoken = spoken(line.text).to_lowercase();
        Source {
            at,
            is_named,
            lower: line.text.to_lowercase(),
            words: content_words(line.text).into_iter().collect(),
            spoken_words: content_words(&spoken).into_iter().collect(),
            spoken,
        }
    }

    /// Whether it says too little to be understood by itself.
    pub fn is_thin(&self) -> bool {
        self.words.len() <= THIN_WORDS_MAX
    }

    fn is_question(&self) -> bool {
        self.lower.trim_end().ends_with('?')
    }

    fn says(&self, word: &str) -> bool {
        self.words.contains(word) || self.words.iter().any(|known| alike(known, word))
    }
}

/// The words of a statement that need proof.
struct Words {
    words: HashSet<String>,
    /// Numbers and names among them, in lower case: what must not only be said, but said about this.
    anchors: Vec<String>,
}

impl<'a> Support<'a> {
    /// The messages at these places; the statement names those at `named`.
    pub fn new(lines: &'a [Line<'a>], names: &'a Names, at: Vec<usize>, named: &[usize]) -> Support<'a> {
        let sources: Vec<Source> = at.into_iter().map(|at| Source::new(&lines[at], at, named.contains(&at))).collect();
        let mut text = String::new();
        for source in &sources {
            text.push_str(&lines[source.at].sender.to_lowercase());
            text.push(' ');
            text.push_str(&source.lower);
            text.push('\n');
        }
        Support { lines, names, sources, text }
    }

    /// What is wrong with a statement, if anything is.
    pub fn fault(&self, kind: Kind, text: &str) -> Option<Fault> {
        let lower = text.to_lowercase();
        if tags(&lower).iter().any(|tag| !self.text.contains(tag)) {
            return Some(Fault::Markup);
        }
        let words = self.words(text);
        if literals(&lower).iter().any(|word| !self.text.contains(word)) || !self.has_names(text, &words) {
            return Some(Fault::Names);
        }
        let form = self.form(kind, &lower);
        if !self.has_words(kind, form, &words, self.is_mention(&lower)) || self.is_turned_around(&lower, &words) {
            return Some(Fault::Words);
        }
        if kind == Kind::Summary && lower.ends_with('?') {
            return Some(Fault::Unproven);
        }
        match form {
            Kind::Action if !self.has_owner(&lower, &words) => Some(Fault::Owner),
            Kind::Point | Kind::Decision | Kind::Summary if !self.has_speaker(&lower, &words) => Some(Fault::Owner),
            Kind::Decision if !self.is_decided(&words) => Some(Fault::Unproven),
            Kind::Action if !self.is_task(&words) => Some(Fault::Unproven),
            _ => None,
        }
    }

    /// Wherever it stands: "Bob will …" is a task, "they agreed to …" is a decision.
    fn form(&self, kind: Kind, lower: &str) -> Kind {
        if !matches!(kind, Kind::Summary | Kind::Point) {
            return kind;
        }
        let rest = self.subject(lower).and_then(|subject| lower.get(subject.len()..));
        match rest {
            Some(rest) if cues::is_undertaking(rest) => Kind::Action,
            _ if cues::is_settlement(lower) => Kind::Decision,
            _ => kind,
        }
    }

    fn words(&self, text: &str) -> Words {
        let lower = text.to_lowercase();
        let is_name = |word: &str| self.names.has(word);
        let words = content_words(text).into_iter().filter(|word| !cues::is_report(word) && !is_name(word)).collect();
        let mut anchors: Vec<String> = digits(&lower).map(str::to_owned).collect();
        anchors.extend(capitals(text).map(str::to_lowercase).filter(|word| !is_name(word)));
        anchors.extend(lower.split(|c: char| !c.is_alphabetic()).filter(|word| cues::is_day(word)).map(str::to_owned));
        Words { words, anchors }
    }

    /// Every number and every name in the text is in the sources, and numbers and days are there said of the same thing.
    fn has_names(&self, text: &str, words: &Words) -> bool {
        let lower = text.to_lowercase();
        if self.names.whole.iter().any(|name| has_name(&lower, name) && !has_name(&self.text, name)) {
            return false;
        }
        let says = |text: &str, anchor: &str| match anchor.bytes().all(|byte| byte.is_ascii_digit()) {
            true => digits(text).any(|run| run == anchor) || cues::is_spelled(anchor, text),
            false => text.split(|c: char| !c.is_alphanumeric()).any(|known| alike(known, anchor)),
        };
        words.anchors.iter().all(|anchor| {
            let about = |source: &&Source| {
                let others = || words.words.iter().filter(|word| !alike(word, anchor));
                others().next().is_none() || source.is_thin() || others().any(|word| source.says(word))
            };
            let is_sender = |source: &&Source| says(&self.lines[source.at].sender.to_lowercase(), anchor);
            let holders = || self.sources.iter().filter(|source| says(&source.lower, anchor));
            holders().any(|source| about(&source)) || self.sources.iter().any(|source| is_sender(&source))
        })
    }

    /// Most of the words are in the sources: not only between quotes, not only as the other choice of a question, and
    /// for a decision or a task not picked from messages that have nothing to do with each other.
    fn has_words(&self, kind: Kind, form: Kind, words: &Words, is_mention: bool) -> bool {
        let words = &words.words;
        if words.is_empty() {
            // "They agreed." says nothing that could be wrong, and nothing worth a line.
            return kind == Kind::Summary;
        }
        let is_asking = matches!(kind, Kind::Question) || matches!(form, Kind::Point | Kind::Summary);
        let count = |has: &dyn Fn(&str) -> bool| words.iter().filter(|word| has(word)).count();
        let said = count(&|word| {
            self.sources.iter().any(|source| source.says(word) && (is_asking || !self.is_open_choice(source, word)))
        });
        let share = said as f64 / words.len() as f64;
        let in_person =
            |word: &str| self.sources.iter().any(|source| source.spoken_words.iter().any(|known| alike(known, word)));
        let is_strict = matches!(form, Kind::Decision | Kind::Action);
        let may_quote = kind == Kind::Question || (is_mention && !is_strict);
        if !may_quote && count(&in_person) * 2 < said {
            return false;
        }
        if !is_strict {
            return share >= if words.len() < WORDS_FEW { SHARE_MIN_STRICT } else { SHARE_MIN };
        }
        // Of few words none may be new: "migrate billing to oracle" has one new word, and it is the lie.
        if share < if words.len() < WORDS_FEW { 1.0 } else { SHARE_MIN_STRICT } {
            return false;
        }
        let bound = count(&|word| {
            self.sources.iter().any(|source| {
                let is_about = || words.iter().any(|other| other != word && source.says(other));
                source.says(word) && (source.is_thin() || is_about())
            })
        });
        let least = if kind == form { said } else { said * 7 / 10 };
        words.len() < 2 || bound >= least
    }

    /// "Bob quoted …", "Bob said …": what is told of is the telling.
    fn is_mention(&self, lower: &str) -> bool {
        self.subject(lower).and_then(|subject| lower.get(subject.len()..)).is_some_and(cues::is_saying)
    }

    /// "Pizza or sushi?": that a word stands there does not make it the answer.
    fn is_open_choice(&self, source: &Source, word: &str) -> bool {
        /// The choices stand this close to the "or" between them.
        const CHOICE_WORDS: usize = 3;
        if !source.is_question() || self.sources.len() == 1 {
            return false;
        }
        let words: Vec<&str> =
            source.lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
        words.iter().enumerate().filter(|(_, or)| **or == "or").any(|(at, _)| {
            let near = at.saturating_sub(CHOICE_WORDS)..(at + 1 + CHOICE_WORDS).min(words.len());
            words[near].iter().any(|near| alike(near, word))
        })
    }

    /// The text says "not" where nobody does, or leaves out the "not" that everybody says.
    fn is_turned_around(&self, lower: &str, words: &Words) -> bool {
        if cues::is_negated(lower) {
            return !self.sources.iter().any(|source| cues::is_negative(&source.lower));
        }
        if cues::is_negative(lower) {
            return false;
        }
        let mut about =
            self.sources.iter().filter(|source| words.words.iter().any(|word| source.says(word))).peekable();
        about.peek().is_some() && about.all(|source| cues::denies(&source.lower, &words.words))
    }

    /// Whoever a task is given to has taken it, or is named in the message that tells of it.
    fn has_owner(&self, lower: &str, words: &Words) -> bool {
        let Some(owner) = self.subject(lower) else {
            // Nobody of the chat. A stranger must be named in the sources, which `has_names` has seen to.
            return true;
        };
        self.sources.iter().any(|source| {
            let is_about = words.words.is_empty() || words.words.iter().any(|word| source.says(word));
            match self.lines[source.at].sender.to_lowercase() == owner {
                true if is_about => {
                    cues::is_first_person(&source.spoken)
                        || cues::is_acceptance(&source.spoken)
                        || !cues::is_english(&source.spoken)
                }
                true => source.is_thin() && cues::is_acceptance(&source.spoken),
                false => is_about && (self.is_named(&source.spoken, &owner) || self.accepts(&owner, source.at)),
            }
        })
    }

    /// A name that is a word as well ("Will") counts only where it is called.
    fn is_named(&self, spoken: &str, owner: &str) -> bool {
        match cues::is_word_name(owner) {
            true => spoken.starts_with(&format!("{owner},")) || spoken.contains(&format!("@{owner}")),
            false => has_name(spoken, owner),
        }
    }

    fn accepts(&self, owner: &str, at: usize) -> bool {
        let answer = self.after(at).find(|line| line.sender.to_lowercase() == owner);
        answer.is_some_and(|line| cues::is_acceptance(&line.text.to_lowercase()) && !is_bait(line.text))
    }

    fn after(&self, at: usize) -> impl Iterator<Item = &Line<'a>> {
        self.lines[at + 1..(at + 1 + ANSWER_LINES).min(self.lines.len())].iter()
    }

    /// Whoever is said to have said it wrote one of the sources, or is spoken of in them.
    fn has_speaker(&self, lower: &str, words: &Words) -> bool {
        let Some(speaker) = self.subject(lower) else {
            return true;
        };
        let is_author = self.telling(words).any(|source| self.lines[source.at].sender.to_lowercase() == speaker);
        let rest = lower.get(speaker.len()..).unwrap_or_default();
        is_author || (!cues::is_saying(rest) && has_name(&self.text, &speaker))
    }

    /// The participant that a sentence begins with.
    fn subject(&self, lower: &str) -> Option<String> {
        let starts = |name: &&String| {
            lower.strip_prefix(name.as_str()).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
        };
        self.names.whole.iter().filter(starts).max_by_key(|name| name.len()).cloned()
    }

    /// The sources that are about the statement: a neighbour's "that's settled" settles something else.
    fn telling<'b>(&'b self, words: &'b Words) -> impl Iterator<Item = &'b Source> {
        self.sources
            .iter()
            .filter(|source| (source.is_named && source.is_thin()) || words.words.iter().any(|word| source.says(word)))
    }

    /// Somebody decides in the sources, or agrees right after.
    fn is_decided(&self, words: &Words) -> bool {
        self.telling(words).any(|source| {
            let is_question = source.is_question();
            if source.spoken.trim().is_empty() {
                return false;
            }
            if !cues::is_english(&source.spoken) || (cues::is_decision(&source.spoken) && !is_question) {
                return true;
            }
            (is_question || cues::is_proposal(&source.spoken))
                && self.after(source.at).any(|line| {
                    line.sender != self.lines[source.at].sender
                        && !is_bait(line.text)
                        && cues::is_agreement(&spoken(line.text).to_lowercase())
                })
        })
    }

    /// Somebody promises in the sources, or is asked to.
    fn is_task(&self, words: &Words) -> bool {
        self.telling(words).map(|source| &source.spoken).any(|said| {
            !said.trim().is_empty()
                && (!cues::is_english(said)
                    || cues::is_promise(said)
                    || cues::is_request(said)
                    || cues::is_acceptance(said))
        })
    }
}

/// Whether a name stands in a text as a word. Both in lower case.
pub fn has_name(text: &str, name: &str) -> bool {
    let (text, name) = (text.to_lowercase(), name.to_lowercase());
    !name.is_empty()
        && text.match_indices(&name).any(|(at, _)| {
            let is_edge = |c: Option<char>| !c.is_some_and(char::is_alphanumeric);
            is_edge(text[..at].chars().next_back()) && is_edge(text[at + name.len()..].chars().next())
        })
}

/// Words with a capital that do not begin a sentence.
fn capitals(text: &str) -> impl Iterator<Item = &str> {
    let mut is_start = true;
    text.split_whitespace().filter_map(move |word| {
        let was_start = is_start;
        is_start = word.ends_with(['.', '!', '?', ':', ';', '—', '"', '“']);
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let bare = bare.strip_suffix("'s").or_else(|| bare.strip_suffix("’s")).unwrap_or(bare);
        let bare = bare.split(|c: char| !c.is_alphanumeric()).next().unwrap_or(bare);
        (!was_start && bare.starts_with(char::is_uppercase) && bare != "I").then_some(bare)
    })
}

/// The same word in another form: `fri` and `friday`, `deploy` and `deployment`.
fn alike(a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    let count = short.chars().count();
    if count < 3 || short.bytes().any(|byte| byte.is_ascii_digit()) {
        return false;
    }
    if long.starts_with(short) {
        return long.chars().count() - count <= 4;
    }
    let shared = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    shared >= 5 && shared + 2 >= count
}
