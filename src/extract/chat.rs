//! A conversation made ready for the rules: people, sentences, words as numbers, who speaks to whom.
//! Nothing is judged here.

use super::Line;
use super::absent;
use super::guard;
use super::lexicon::{Lexicon, among, class};
use super::tokens::{self, Token};
use std::collections::HashMap;

/// Sentences of one message that are read.
const MESSAGE_UNITS_MAX: usize = 80;
/// The word number of a token that no rule may match: somebody else's words.
pub const BARRIER: u32 = u32::MAX;
/// Fillers before a sentence that are looked past.
const FILLERS_MAX: usize = 6;
/// One hesitation in so many words tells a transcript of speech.
const SPEECH_WORDS_EACH: usize = 60;
/// Words before a colon that mark a kind of line, whoever is called so.
const MARKS: &[&str] =
    &["proposal", "topic", "action", "resolved", "decision", "todo", "agenda", "question", "answer", "the"];
/// So few words may happen to have none that tells their language.
const SHORT_CHAT_WORDS: usize = 16;

/// One sentence of one message.
#[derive(Clone, Copy, Debug)]
pub struct Unit {
    /// Index into `Chat::lines`.
    pub line: usize,
    /// Its tokens: from `from` up to, not including, `to`.
    pub from: usize,
    pub to: usize,
    /// Its subject: a range of `Chat::content`.
    pub content: (u32, u32),
    pub is_question: bool,
    /// English enough to be rewritten and read for decisions.
    pub is_english: bool,
}

/// A spelling of somebody's name, as word numbers.
struct Spelling {
    words: Vec<u32>,
    person: usize,
    /// The name is a common word too: only a capital or an @ makes it a mention.
    is_word: bool,
}

pub struct Chat<'a> {
    pub lines: &'a [Line<'a>],
    pub lexicon: Lexicon,
    pub tokens: Vec<Token>,
    pub units: Vec<Unit>,
    /// The units of each line.
    pub line_units: Vec<(usize, usize)>,
    pub content: Vec<u32>,
    /// Display names, in the order of their first message.
    pub people: Vec<&'a str>,
    /// Who wrote each line: an index into `people`.
    pub speaker: Vec<usize>,
    /// Those who are spoken to or of, but wrote nothing. Their numbers follow those of `people`.
    pub absent: Vec<&'a str>,
    /// How each line answers those before it: asked some 20 times of each.
    replies: Vec<Reply>,
    /// Lines that try to give orders to whoever summarizes them.
    pub is_bait: Vec<bool>,
    pub is_english: bool,
    /// A transcript of speech: full of hesitation, and nothing is written down on purpose.
    pub is_speech: bool,
    spellings: HashMap<u32, Vec<Spelling>>,
    by_name: HashMap<&'a str, usize>,
}

impl<'a> Chat<'a> {
    pub fn read(lines: &'a [Line<'a>]) -> Chat<'a> {
        Chat::read_with(lines, Lexicon::new())
    }

    /// With a lexicon that has seen other conversations: making one takes longer than reading a few lines.
    pub fn read_with(lines: &'a [Line<'a>], lexicon: Lexicon) -> Chat<'a> {
        let mut chat = Chat {
            lines,
            lexicon,
            tokens: Vec::new(),
            units: Vec::new(),
            line_units: Vec::with_capacity(lines.len()),
            content: Vec::new(),
            people: Vec::new(),
            speaker: Vec::with_capacity(lines.len()),
            absent: Vec::new(),
            replies: Vec::new(),
            is_bait: Vec::with_capacity(lines.len()),
            is_english: true,
            is_speech: false,
            spellings: HashMap::new(),
            by_name: HashMap::new(),
        };
        chat.meet_people();
        for line in 0..lines.len() {
            chat.read_line(line);
        }
        chat.meet_absent();
        chat.tell_languages();
        let hesitations =
            chat.tokens.iter().filter(|token| among(chat.lexicon.text(token.word), "uh um mm hmm uhm mm-hmm")).count();
        chat.is_speech = hesitations * SPEECH_WORDS_EACH > chat.tokens.len();
        chat.replies = (0..lines.len()).map(|line| chat.hear(line)).collect();
        chat.is_bait = (0..lines.len()).map(|line| guard::is_bait(&chat, line)).collect();
        chat
    }

    /// Names are told apart without regard to case, as in the rooms themselves.
    fn meet_people(&mut self) {
        let mut by_lower: HashMap<String, usize> = HashMap::new();
        for line in self.lines {
            let person = match self.by_name.get(line.sender) {
                Some(&person) => person,
                None => {
                    let next = self.people.len();
                    let person = *by_lower.entry(line.sender.to_lowercase()).or_insert(next);
                    if person == next {
                        self.people.push(line.sender);
                    }
                    self.by_name.insert(line.sender, person);
                    person
                }
            };
            self.speaker.push(person);
        }
        let mut heads: HashMap<u32, usize> = HashMap::new();
        let names: Vec<Vec<u32>> = self.people.clone().iter().map(|name| self.name_words(name)).collect();
        for words in &names {
            *heads.entry(words.first().copied().unwrap_or(BARRIER)).or_insert(0) += 1;
        }
        for (person, words) in names.into_iter().enumerate() {
            let Some(&head) = words.first() else { continue };
            for &word in &words {
                self.learn_name(word);
            }
            // A first name alone means somebody only if nobody else has it.
            let is_mark = MARKS.contains(&self.lexicon.text(head));
            if words.len() > 1 && !is_mark && heads[&head] == 1 && self.lexicon.text(head).len() > 2 {
                self.learn_spelling(vec![head], person);
            }
            self.learn_spelling(words, person);
        }
        for spellings in self.spellings.values_mut() {
            spellings.sort_by_key(|spelling| std::cmp::Reverse(spelling.words.len()));
        }
    }

    fn meet_absent(&mut self) {
        for (word, name) in absent::find(self) {
            let person = self.people.len() + self.absent.len();
            self.absent.push(name);
            self.learn_name(word);
            self.learn_spelling(vec![word], person);
        }
    }

    fn learn_name(&mut self, word: u32) {
        self.lexicon.mark(word, class::NAME);
        let owned = format!("{}'s", self.lexicon.text(word));
        let owned = self.lexicon.intern(&owned);
        self.lexicon.mark(owned, class::NAME);
    }

    fn learn_spelling(&mut self, words: Vec<u32>, person: usize) {
        let common = class::WORD_NAME | class::STOP | class::VERB | class::TIME | class::FILLER | class::ACK;
        let is_word = words.len() == 1 && (self.lexicon.is(words[0], common) || self.lexicon.text(words[0]).len() < 3);
        self.spellings.entry(words[0]).or_default().push(Spelling { words, person, is_word });
    }

    fn name_words(&mut self, name: &str) -> Vec<u32> {
        let mut out = Vec::new();
        tokens::scan(name, &mut self.lexicon, &mut out);
        out.iter().map(|token| token.word).collect()
    }

    fn read_line(&mut self, line: usize) {
        let text = self.lines[line].text;
        let first_unit = self.units.len();
        let first = self.tokens.len();
        tokens::scan(text, &mut self.lexicon, &mut self.tokens);
        let mut from = first;
        for at in first..self.tokens.len() {
            let is_last = at + 1 == self.tokens.len();
            let ends = is_last || {
                let (token, next) = (self.tokens[at], self.tokens[at + 1]);
                let gap = &text[token.end as usize..next.start as usize];
                tokens::ends_sentence(gap, self.lexicon.text(token.word), next.is_capital)
            };
            if ends && (is_last || self.units.len() - first_unit < MESSAGE_UNITS_MAX) {
                self.push_unit(line, from, at + 1);
                from = at + 1;
            }
        }
        self.line_units.push((first_unit, self.units.len()));
    }

    fn push_unit(&mut self, line: usize, from: usize, to: usize) {
        let text = self.lines[line].text;
        let after = self.tokens.get(to).map_or(text.len(), |next| next.start as usize);
        let gap = &text[self.tokens[to - 1].end as usize..after];
        let is_question = gap.split(['\n', '.']).next().is_some_and(|end| end.contains(['?', '？', '؟']))
            || self.opens_question(from, to);
        let start = self.content.len() as u32;
        let mut before = None;
        for at in from..to {
            let word = self.tokens[at].word;
            let is_pictograph =
                self.lexicon.is(word, class::SCRIPT) && self.lexicon.text(word).chars().nth(1).is_none();
            if is_pictograph {
                if let Some(before) = before {
                    let pair = self.lexicon.pair(before, word);
                    self.content.push(pair);
                }
            } else if self.lexicon.is_content(word) {
                self.content.push(self.lexicon.word(word).stem);
            }
            before = is_pictograph.then_some(word);
        }
        self.units.push(Unit {
            line,
            from,
            to,
            content: (start, self.content.len() as u32),
            is_question,
            is_english: true,
        });
    }

    /// "where do we meet": people leave the question mark out.
    fn opens_question(&self, from: usize, to: usize) -> bool {
        to > from + 2
            && !self.tokens[from].is_quoted
            && match (self.text_of(from), self.text_of(from + 1)) {
                ("what" | "where" | "when" | "who" | "how" | "which" | "why", next) => {
                    among(next, "do does did is are should can could shall")
                        || self.text_of(from) == "who" && self.is(from + 1, class::PAST)
                }
                ("did" | "do" | "have", "you") | ("does" | "did" | "has", "anyone" | "anybody" | "someone") => true,
                _ => false,
            }
    }

    /// Marks the units in other languages. Short units follow their conversation.
    fn tell_languages(&mut self) {
        let votes: Vec<(usize, usize, usize)> = self.units.iter().map(|unit| self.language_votes(unit)).collect();
        let total = votes.iter().fold((0, 0, 0), |sum, vote| (sum.0 + vote.0, sum.1 + vote.1, sum.2 + vote.2));
        // A few plain words prove nothing; many without one that is English prove another language.
        let is_short = total.1 == 0 && total.2 < SHORT_CHAT_WORDS;
        self.is_english = is_short || total.0 * 8 >= total.2 && total.0 > total.1;
        // Where people mix languages, four words without one that is English are hardly English.
        let is_mixed = total.1 * 12 > total.2;
        for (unit, (english, foreign, words)) in self.units.iter_mut().zip(votes) {
            let is_plain = foreign == 0 && words < if is_mixed && english == 0 { 4 } else { 6 };
            unit.is_english = if is_plain || english == foreign && !(is_mixed && english == 0 && words > 3) {
                self.is_english && foreign <= english
            } else {
                english > foreign
            };
        }
    }

    fn language_votes(&self, unit: &Unit) -> (usize, usize, usize) {
        let (mut english, mut foreign, mut words) = (0, 0, 0);
        for token in &self.tokens[unit.from..unit.to] {
            let classes = self.lexicon.word(token.word).classes;
            if classes & (class::OPAQUE | class::NUMBER | class::NAME) != 0 {
                continue;
            }
            words += 1;
            english += usize::from(classes & class::ENGLISH != 0);
            foreign += usize::from(classes & class::SCRIPT != 0) * 2
                + usize::from(classes & class::FOREIGN != 0 && classes & class::ENGLISH == 0);
        }
        (english, foreign, words)
    }

    /// The units of a line.
    pub fn units_of(&self, line: usize) -> &[Unit] {
        let (from, to) = self.line_units[line];
        &self.units[from..to]
    }

    /// The word numbers of some tokens, with `BARRIER` for what is quoted.
    pub fn words(&self, from: usize, to: usize) -> Vec<u32> {
        self.tokens[from..to].iter().map(|token| if token.is_quoted { BARRIER } else { token.word }).collect()
    }

    pub fn content_of(&self, unit: &Unit) -> &[u32] {
        &self.content[unit.content.0 as usize..unit.content.1 as usize]
    }

    /// Different content stems of some tokens, without names, ascending.
    pub fn subject(&self, from: usize, to: usize) -> Vec<u32> {
        let content = |token: &Token| self.lexicon.is_content(token.word) && !self.lexicon.is(token.word, class::NAME);
        let mut stems: Vec<u32> = self.tokens[from..to]
            .iter()
            .filter(|token| content(token))
            .map(|token| self.lexicon.word(token.word).stem)
            .collect();
        stems.sort_unstable();
        stems.dedup();
        stems
    }

    /// The stems of those tokens that belong to one of the classes.
    pub fn stems(&self, from: usize, to: usize, classes: u32) -> Vec<u32> {
        (from..to).filter(|&at| self.is(at, classes)).map(|at| self.lexicon.word(self.tokens[at].word).stem).collect()
    }

    pub fn text_of(&self, at: usize) -> &str {
        self.lexicon.text(self.tokens[at].word)
    }

    pub fn is(&self, at: usize, classes: u32) -> bool {
        self.lexicon.is(self.tokens[at].word, classes)
    }

    /// What stands between a token and the one before it in its message.
    pub fn gap_before(&self, line: usize, at: usize, from: usize) -> &'a str {
        let start = if at > from { self.tokens[at - 1].end as usize } else { self.tokens[at].start as usize };
        &self.lines[line].text[start..self.tokens[at].start as usize]
    }

    /// Whose name begins at a token, and how many tokens it has.
    pub fn mention_at(&self, at: usize, to: usize) -> Option<(usize, usize)> {
        let token = self.tokens[at];
        if !self.lexicon.is(token.word, class::NAME) {
            return None;
        }
        let base = self.spellings.get(&token.word)?;
        base.iter().find_map(|spelling| {
            let length = spelling.words.len();
            let fits = at + length <= to && (0..length).all(|i| self.tokens[at + i].word == spelling.words[i]);
            (fits && (!spelling.is_word || token.is_mention || token.is_capital)).then_some((spelling.person, length))
        })
    }

    /// Where the sentence proper begins: after nods, fillers and the name of the one who is spoken to.
    pub fn opening(&self, unit: &Unit) -> (usize, Option<usize>) {
        let mut at = unit.from;
        let mut called = None;
        for _ in 0..FILLERS_MAX {
            if at >= unit.to {
                break;
            }
            if let Some((person, length)) = self.mention_at(at, unit.to) {
                if at + length < unit.to && self.is_called(unit, at, length) {
                    called = called.or(Some(person));
                    at += length;
                    continue;
                }
                break;
            }
            let is_kept_no = among(
                self.text_of(at),
                "no right true good great perfect nice cool fine thanks also then again sure but",
            ) && at + 1 < unit.to
                && self.gap_before(unit.line, at + 1, unit.from).trim().is_empty()
                && !among(self.text_of(at), "but also then again sure");
            let is_sign = !self.text_of(at).contains(char::is_alphanumeric);
            if let Some(length) = is_sign.then_some(1).or_else(|| self.filler_phrase(at, unit.to)) {
                at += length;
                continue;
            }
            let is_kept = is_kept_no || self.is_greeting_to(unit, at);
            if !self.is(at, class::FILLER) || is_kept || self.tokens[at].is_quoted {
                break;
            }
            at += 1;
        }
        if at >= unit.to { (unit.from, called) } else { (at, called) }
    }

    /// A greeting that goes on, as "Hello from Python": without its first word it would be a stump.
    fn is_greeting_to(&self, unit: &Unit, at: usize) -> bool {
        matches!(self.text_of(at), "hello" | "hi" | "hey")
            && at + 1 < unit.to
            && among(self.text_of(at + 1), "from to at in of for with again")
            && self.gap_before(unit.line, at + 1, unit.from).trim().is_empty()
    }

    /// How many words an opening phrase has that says nothing.
    fn filler_phrase(&self, at: usize, to: usize) -> Option<usize> {
        let texts: Vec<&str> = (at..to.min(at + 4)).map(|at| self.text_of(at)).collect();
        match texts.as_slice() {
            ["by" | "on", "the", "way" | "note", ..] => Some(3),
            ["in", "that", "case", ..] => Some(3),
            ["no", "wait", ..] | ["wait", "no", ..] => Some(2),
            ["i", "mean" | "guess" | "think", _, _]
            | ["you", "know", _, _]
            | ["heads", "up", _, _]
            | ["of", "course", _, _]
            | ["sounds", "good", _, _] => Some(2),
            ["just", "to", "clarify" | "confirm", _] => Some(3),
            _ => None,
        }
    }

    /// "uh", a word said twice, the first letter of a word begun twice: what a transcript of speech is full of.
    pub fn is_stammer(&self, line: usize, at: usize, to: usize) -> bool {
        if !self.units_of(line).iter().any(|unit| unit.is_english && (unit.from..unit.to).contains(&at)) {
            return false;
        }
        let word = self.text_of(at);
        if among(word, "uh um uhm mm erm er hmm mm-hmm") {
            return true;
        }
        if at + 1 >= to || self.tokens[at].is_quoted {
            return false;
        }
        let next = self.text_of(at + 1);
        let is_spaced = self.tokens[at + 1].start == self.tokens[at].end + 1;
        is_spaced
            && (word == next && self.is(at, class::STOP) && !among(word, "that had no really very so")
                || word.len() <= 2
                    && word.len() < next.len()
                    && next.starts_with(word)
                    && !self.is(at, class::STOP | class::NUMBER))
    }

    /// "Bob, can you" and "@bob please" call; "Bob can" tells.
    fn is_called(&self, unit: &Unit, at: usize, length: usize) -> bool {
        let next = at + length;
        let gap = self.gap_before(unit.line, next, unit.from);
        self.tokens[at].is_mention
            || gap.contains([',', ':', '-', '–', '—'])
            || (among(self.text_of(next), "can could would will please do did are")
                && next + 1 < unit.to
                && self.text_of(next + 1) == "you")
            || among(self.text_of(next), "please your you're")
    }

    /// Whom a line speaks to: somebody it names, else the other one of two.
    pub fn addressee(&self, line: usize) -> Option<usize> {
        let speaker = self.speaker[line];
        let mut named = None;
        for unit in self.units_of(line) {
            let called = self.opening(unit).1.filter(|&person| person != speaker);
            if called.is_some() {
                return called;
            }
            for at in unit.from..unit.to {
                if let Some((person, length)) = self.mention_at(at, unit.to).filter(|&(person, _)| person != speaker) {
                    let ends = at + length == unit.to && length < unit.to - unit.from;
                    if self.tokens[at].is_mention || ends {
                        named = named.or(Some(person));
                    }
                }
            }
        }
        named.or_else(|| (self.people.len() == 2).then(|| 1 - speaker))
    }

    /// Whether a program wrote a line: what it reports was decided by nobody here.
    pub fn is_machine(&self, line: usize) -> bool {
        is_machine(self.lines[line].sender)
    }

    pub fn is_person(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    pub fn name(&self, person: usize) -> &'a str {
        self.people.get(person).or_else(|| self.absent.get(person - self.people.len())).copied().unwrap_or_default()
    }

    pub fn id(&self, line: usize) -> u64 {
        self.lines[line].id
    }

    /// How a line answers the lines before it: a nod, a refusal, or neither.
    pub fn reply(&self, line: usize) -> Reply {
        self.replies[line]
    }

    fn hear(&self, line: usize) -> Reply {
        if let Some(reply) = sign(self.lines[line].text) {
            return reply;
        }
        let Some(unit) = self.units_of(line).first() else {
            return Reply::Other;
        };
        // "Oh yes", "omg ok".
        let gasps = (unit.from..unit.to - 1).take_while(|&at| among(self.text_of(at), "oh omg ooh ah haha lol aww"));
        let head = unit.from + gasps.count();
        let length = unit.to - head;
        let texts: Vec<&str> = (head..unit.to.min(head + 3)).map(|at| self.text_of(at)).collect();
        match texts.as_slice() {
            // "Wait, what?" refuses nothing.
            ["wait" | "hold", "what" | "why" | "who" | "how" | "when" | "where" | "which", ..] => return Reply::Other,
            ["not", "sure" | "a" | "convinced" | "so" | "really", ..]
            | ["i", "disagree" | "object", ..]
            | ["i'm", "not", ..] => return Reply::Nay,
            ["no", "problem" | "worries" | "objection" | "objections" | "objections.", ..] => return Reply::Nod,
            ["will", "do", ..]
            | ["on", "it", ..]
            | ["sounds" | "looks", "good" | "great" | "fine" | "like" | "perfect", ..]
            | ["works" | "same" | "fine", ..]
            | ["makes", "sense", ..]
            | ["that" | "this" | "it" | "both" | "either", "works" | "suits", ..] => {
                return Reply::Nod;
            }
            // "Thursday works for me", "sat is ok".
            [_, "works" | "suits" | "fits" | "ok" | "fine", ..]
            | [_, "is", "ok" | "fine" | "good" | "better" | "perfect"]
                if self.is(head, class::TIME) && !unit.is_question =>
            {
                return Reply::Nod;
            }
            ["i", "agree", ..]
            | ["i'm", "fine" | "in" | "ok" | "happy", ..]
            | ["go", "for", "it"]
            | ["do", "it", ..]
            | ["let's", "do", "it" | "that"]
            | ["me", "too", ..] => return Reply::Nod,
            ["doing", "it" | "that" | "so", ..]
            | ["happy" | "glad", "to", ..]
            | ["count", "me", "in"]
            | ["got", "it", ..]
            | ["of", "course", ..] => return Reply::Nod,
            _ => {}
        }
        if self.is(head, class::NAY) && !self.tokens[head].is_quoted {
            Reply::Nay
        } else if self.is(head, class::ACK) && (length < 12 || self.text_of(head).starts_with('+')) {
            Reply::Nod
        } else {
            Reply::Other
        }
    }
}

/// "pagerbot", "CI Bot", "build-bot"; but nobody called Abbot.
pub fn is_machine(name: &str) -> bool {
    const PEOPLE: &[&str] = &["abbot", "talbot", "cabot", "corbot"];
    let is_bot =
        |word: &str| word.len() > 2 && word.get(word.len() - 3..).is_some_and(|end| end.eq_ignore_ascii_case("bot"));
    name.split(|sign: char| !sign.is_alphanumeric())
        .any(|word| is_bot(word) && !PEOPLE.iter().any(|person| person.eq_ignore_ascii_case(word)))
}

/// What a sign at the front of a line says.
fn sign(text: &str) -> Option<Reply> {
    let first = text.trim_start().chars().next().filter(|sign| !sign.is_ascii())?;
    match first {
        '👍' | '✅' | '👌' | '🙌' | '💯' | '🆗' | '☑' | '✔' => Some(Reply::Nod),
        '👎' | '❌' => Some(Reply::Nay),
        _ => None,
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reply {
    Nod,
    Nay,
    Other,
}
