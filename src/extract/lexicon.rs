//! Words as numbers: every spelling is looked at once, later work compares integers.
//! It knows classes of words (`lists.rs`), not grammar.

use super::lists;
use rust_stemmers::{Algorithm, Stemmer};
use std::collections::HashMap;

/// Classes a word belongs to, as bits of `Word::classes`.
pub mod class {
    pub const STOP: u32 = 1;
    pub const ENGLISH: u32 = 1 << 1;
    pub const FOREIGN: u32 = 1 << 2;
    pub const VERB: u32 = 1 << 3;
    pub const IDLE: u32 = 1 << 4;
    pub const TIME: u32 = 1 << 5;
    pub const FILLER: u32 = 1 << 6;
    pub const ACK: u32 = 1 << 7;
    pub const NAY: u32 = 1 << 8;
    pub const PAST: u32 = 1 << 9;
    pub const WORD_NAME: u32 = 1 << 10;
    pub const REVERSAL: u32 = 1 << 11;
    pub const TELLING: u32 = 1 << 12;
    pub const NUMBER: u32 = 1 << 13;
    /// Not written with Latin letters.
    pub const SCRIPT: u32 = 1 << 14;
    /// The name, or a part of the name, of somebody who speaks.
    pub const NAME: u32 = 1 << 15;
    /// A link or a piece of code: kept whole, never a word of the subject.
    pub const OPAQUE: u32 = 1 << 16;
    /// Some phrase of the tables begins with it.
    pub const CUE: u32 = 1 << 17;
    /// A common given name that is no other word.
    pub const GIVEN: u32 = 1 << 18;
}

/// Longest spelling that is kept; what is longer shares the entry of its first characters.
const WORD_CHARS_MAX: usize = 40;

/// One spelling, in lower case, with straight apostrophes.
pub struct Word {
    pub text: Box<str>,
    /// The number of its stem: equal for "decide" and "decided".
    pub stem: u32,
    pub classes: u32,
}

/// The words of one conversation.
pub struct Lexicon {
    words: Vec<Word>,
    by_text: HashMap<Box<str>, u32>,
    stems: HashMap<Box<str>, u32>,
    stem_texts: Vec<Box<str>>,
    stemmer: Stemmer,
    lower: String,
}

impl Lexicon {
    pub fn new() -> Lexicon {
        let mut lexicon = Lexicon {
            words: Vec::new(),
            by_text: HashMap::new(),
            stems: HashMap::new(),
            stem_texts: Vec::new(),
            stemmer: Stemmer::create(Algorithm::English),
            lower: String::new(),
        };
        for (list, bit) in [
            (lists::STOP, class::STOP),
            (lists::ENGLISH, class::ENGLISH),
            (lists::FOREIGN, class::FOREIGN),
            (lists::BASE_VERB, class::VERB),
            (lists::IDLE_VERB, class::IDLE),
            (lists::TIME, class::TIME),
            (lists::FILLER, class::FILLER),
            (lists::ACK, class::ACK),
            (lists::NAY, class::NAY),
            (lists::PAST_IRREGULAR, class::PAST),
            (lists::WORD_NAME, class::WORD_NAME),
            (lists::REVERSAL, class::REVERSAL),
            (lists::TELLING, class::TELLING),
            (lists::GIVEN, class::GIVEN),
        ] {
            for text in list.split_whitespace() {
                let id = lexicon.intern(text);
                lexicon.words[id as usize].classes |= bit;
            }
        }
        for (hurried, meant) in lists::HURRIED {
            let id = lexicon.intern(meant);
            lexicon.by_text.insert((*hurried).into(), id);
        }
        lexicon
    }

    /// The number of a spelling, made on first sight.
    pub fn intern(&mut self, surface: &str) -> u32 {
        let mut lower = std::mem::take(&mut self.lower);
        lower.clear();
        for letter in surface.chars().take(WORD_CHARS_MAX) {
            match letter {
                '\u{2019}' | '\u{2018}' | '`' => lower.push('\''),
                'A'..='Z' => lower.push(letter.to_ascii_lowercase()),
                _ if letter.is_ascii() => lower.push(letter),
                _ => lower.extend(letter.to_lowercase()),
            }
        }
        let id = match self.by_text.get(lower.as_str()) {
            Some(&id) => id,
            None => self.insert(&lower),
        };
        self.lower = lower;
        id
    }

    fn insert(&mut self, text: &str) -> u32 {
        let id = self.words.len() as u32;
        let stem = self.stem_of(text);
        let mut classes = 0;
        if text.bytes().any(|byte| byte.is_ascii_digit()) {
            classes |= class::NUMBER;
        }
        // A vote is a nod, not a subject.
        if text.len() > 1 && text.starts_with(['+', '-']) {
            classes |= class::STOP;
        }
        // Latin with its accents ends at U+024F; what is above is another script.
        if text.chars().any(|letter| letter.is_alphabetic() && letter as u32 > 0x24f) {
            classes |= class::SCRIPT;
        }
        if text.len() > 4 && text.ends_with("ed") && text.is_ascii() {
            classes |= class::PAST;
        }
        self.words.push(Word { text: text.into(), stem, classes });
        self.by_text.insert(text.into(), id);
        id
    }

    fn stem_of(&mut self, text: &str) -> u32 {
        let base = text.strip_suffix("'s").unwrap_or(text);
        let stem = if base.len() > 3 && base.is_ascii() { self.stemmer.stem(base) } else { base.into() };
        if let Some(&id) = self.stems.get(stem.as_ref()) {
            return id;
        }
        let next = self.stem_texts.len() as u32;
        self.stem_texts.push(stem.as_ref().into());
        self.stems.insert(stem.as_ref().into(), next);
        next
    }

    /// The number of a stem made of two characters, for scripts that put no spaces between words.
    pub fn pair(&mut self, first: u32, second: u32) -> u32 {
        let pair = format!("{}{}", self.words[first as usize].text, self.words[second as usize].text);
        self.stem_of(&pair)
    }

    pub fn word(&self, id: u32) -> &Word {
        &self.words[id as usize]
    }

    pub fn text(&self, id: u32) -> &str {
        &self.words[id as usize].text
    }

    /// Whether the word is in any of the classes.
    pub fn is(&self, id: u32, classes: u32) -> bool {
        self.words.get(id as usize).is_some_and(|word| word.classes & classes != 0)
    }

    pub fn mark(&mut self, id: u32, classes: u32) {
        self.words[id as usize].classes |= classes;
    }

    pub fn stem_text(&self, stem: u32) -> &str {
        &self.stem_texts[stem as usize]
    }

    /// How many spellings there are.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// How many stems there are: every stem number is below.
    pub fn stem_count(&self) -> usize {
        self.stems.len()
    }

    /// Whether the word says what a sentence is about.
    pub fn is_content(&self, id: u32) -> bool {
        let word = &self.words[id as usize];
        word.classes & (class::STOP | class::OPAQUE) == 0 && word.text.chars().nth(1).is_some()
    }
}

/// Whether a word is in a list of words with a space between: less code than a `match` on as many texts.
#[inline(never)]
pub fn among(word: &str, list: &str) -> bool {
    list.split(' ').any(|known| known == word)
}
