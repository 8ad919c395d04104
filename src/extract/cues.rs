//! Phrases as patterns over words, compiled once per conversation and found by integer comparison.
//!
//! A pattern is words with spaces between: `a|b` either, `a?` optional, `<verb>` a verb in its base form that promises
//! something, `<we'll>` both "we'll" and "we will", `<any>` any one word, `^` at the front: only where the sentence proper begins, `$` at the end: only at its end.

use super::chat::BARRIER;
use super::lexicon::{Lexicon, class};
use std::collections::HashMap;

/// A phrase and what it adds to the score of its sentence.
pub type Cue = (&'static str, f32);

enum Element {
    Words(Vec<u32>),
    Verb,
    Any,
}

struct Pattern {
    elements: Vec<Element>,
    weight: f32,
    is_first: bool,
    is_last: bool,
}

/// Where a phrase was found, as offsets into the words that were searched.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    pub weight: f32,
    pub start: usize,
    pub end: usize,
}

/// A table of phrases, indexed by their first word.
pub struct Cues {
    patterns: Vec<Pattern>,
    by_word: HashMap<u32, Vec<usize>>,
    /// Patterns that begin with a class of words.
    open: Vec<usize>,
}

impl Cues {
    pub fn new(table: &[Cue], lexicon: &mut Lexicon) -> Cues {
        let mut cues = Cues { patterns: Vec::new(), by_word: HashMap::new(), open: Vec::new() };
        for (text, weight) in table.iter().flat_map(|(text, weight)| spellings(text).map(move |text| (text, *weight))) {
            let is_first = text.starts_with('^');
            let is_last = text.ends_with('$');
            let parts: Vec<&str> = text.trim_matches(['^', '$']).split_whitespace().collect();
            let optional: Vec<usize> = (0..parts.len()).filter(|&at| parts[at].ends_with('?')).collect();
            // Every choice of the optional words is a pattern of its own.
            for choice in 0..1usize << optional.len() {
                let kept = |at: &usize| {
                    optional.iter().position(|option| option == at).is_none_or(|bit| choice >> bit & 1 == 1)
                };
                let elements =
                    (0..parts.len()).filter(kept).map(|at| element(parts[at].trim_end_matches('?'), lexicon)).collect();
                cues.add(Pattern { elements, weight, is_first, is_last });
            }
        }
        cues.by_word.keys().for_each(|&word| lexicon.mark(word, class::CUE));
        cues
    }

    fn add(&mut self, pattern: Pattern) {
        let index = self.patterns.len();
        match pattern.elements.first() {
            Some(Element::Words(words)) => {
                for &word in words {
                    self.by_word.entry(word).or_default().push(index);
                }
            }
            _ => self.open.push(index),
        }
        self.patterns.push(pattern);
    }

    /// The heaviest phrase among `words`, the first of equals. `opening` is where the sentence proper begins.
    pub fn best(&self, words: &[u32], opening: usize, lexicon: &Lexicon) -> Option<Found> {
        let mut best: Option<Found> = None;
        self.each(words, opening, lexicon, |found| {
            if best.is_none_or(|known| found.weight > known.weight) {
                best = Some(found);
            }
        });
        best
    }

    /// Every phrase among `words`, in order of their place.
    pub fn each(&self, words: &[u32], opening: usize, lexicon: &Lexicon, mut tell: impl FnMut(Found)) {
        const NONE: &[usize] = &[];
        for at in 0..words.len() {
            // Most words begin no phrase: a bit tells it without a search.
            let begins = lexicon.is(words[at], class::CUE);
            let listed = begins.then(|| self.by_word.get(&words[at])).flatten().map_or(NONE, Vec::as_slice);
            for &index in listed.iter().chain(&self.open) {
                let pattern = &self.patterns[index];
                if pattern.is_first && at > opening {
                    continue;
                }
                let end = at + pattern.elements.len();
                let is_fit = end <= words.len() && (!pattern.is_last || end == words.len());
                if is_fit
                    && pattern.elements.iter().zip(&words[at..end]).all(|(element, &word)| element.fits(word, lexicon))
                {
                    tell(Found { weight: pattern.weight, start: at, end });
                }
            }
        }
    }
}

impl Element {
    fn fits(&self, word: u32, lexicon: &Lexicon) -> bool {
        match self {
            Element::Words(words) => words.contains(&word),
            Element::Verb => word != BARRIER && lexicon.is(word, class::VERB) && !lexicon.is(word, class::IDLE),
            Element::Any => word != BARRIER,
        }
    }
}

/// A pattern with its contraction drawn together and written out.
fn spellings(text: &str) -> impl Iterator<Item = String> {
    const PAIRS: &[(&str, &str, &str)] = &[
        ("<we'll>", "we'll", "we will"),
        ("<we're>", "we're", "we are"),
        ("<i'll>", "i'll", "i will"),
        ("<i'm>", "i'm", "i am"),
        ("<i'd>", "i'd", "i would"),
    ];
    let pair = PAIRS.iter().find(|(name, _, _)| text.contains(name));
    let short = pair.map_or(text.to_string(), |(name, short, _)| text.replace(name, short));
    std::iter::once(short).chain(pair.map(|(name, _, long)| text.replace(name, long)))
}

fn element(text: &str, lexicon: &mut Lexicon) -> Element {
    match text {
        "<verb>" => Element::Verb,
        "<any>" => Element::Any,
        words => Element::Words(words.split('|').map(|word| lexicon.intern(word)).collect()),
    }
}
