//! Holds what a model wrote against the messages: what they do not support does not get through.
//!
//! Pure. Strict where being wrong hurts (decisions, tasks, names, numbers), since the embedded engine fills what is
//! dropped. It compares words: a lie made only of the cited messages' own words in a new order is seen in part only
//! (owners, negations, decisions that nobody agreed to).

use std::collections::HashSet;

use crate::extract::{Digest, Item, Line, content_words};
use crate::message::Seq;
use crate::message::llm::{Claim, Claims};
use crate::summary::bait::is_bait;
use crate::summary::clean::{clean, digits, literals, spoken, tags};
use crate::summary::counts::Counters;
use crate::summary::cues;

/// Most sources that one statement keeps.
const IDS_MAX: usize = 8;
/// How far around a cited message its context goes.
const NEIGHBOURS: usize = 2;
/// A message with at most this many content words ("yes, agreed") is understood by its neighbours only.
const THIN_WORDS_MAX: usize = 3;
/// Within so many messages after a proposal or a request its answer is expected.
const ANSWER_LINES: usize = 6;
/// Of the words of a statement at least this share must be in its sources.
const SHARE_MIN: f64 = 0.6;
/// The same for decisions and tasks.
const SHARE_MIN_STRICT: f64 = 0.75;

/// What a statement claims to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One sentence of the overview.
    Summary,
    /// Something that happened.
    Point,
    /// Something agreed.
    Decision,
    /// Something to do.
    Action,
    /// Something asked.
    Question,
}

/// Why a statement was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It names no message of its input.
    Ids,
    /// Its words are not those of the messages.
    Words,
    /// A number, a name, a link or an identifier that the messages do not have.
    Names,
    /// The task is given to somebody who neither took it nor is named.
    Owner,
    /// Nobody is seen to decide it.
    Unproven,
    /// Markup.
    Markup,
    /// Proven only by texts that speak to the summarizer.
    Bait,
}

/// The statements that passed.
#[derive(Debug, Default)]
pub struct Checked {
    /// With an empty summary where that did not pass.
    pub digest: Digest,
    /// How many passed.
    pub kept: usize,
}

/// The messages that statements are held against.
pub struct Check<'a> {
    lines: &'a [Line<'a>],
    /// Names of the participants, in lower case.
    names: Vec<String>,
    /// Which message a short id stands for.
    ids: &'a [Seq],
}

/// Everything that the sources of one statement say.
struct Support {
    at: Vec<usize>,
    text: String,
    words: HashSet<String>,
    spoken_words: HashSet<String>,
}

impl<'a> Check<'a> {
    /// `lines` ascending by id; `ids` as in the prompt.
    pub fn new(lines: &'a [Line<'a>], participants: &[&str], ids: &'a [Seq]) -> Check<'a> {
        Check { lines, names: participants.iter().map(|name| name.to_lowercase()).collect(), ids }
    }

    /// Checks a whole answer; counts what is dropped.
    pub fn digest(&self, claims: &Claims, counters: &Counters) -> Checked {
        let mut checked = Checked::default();
        let mut all = |kind: Kind, claims: &[Claim]| -> Vec<Item> {
            let mut items: Vec<Item> = Vec::new();
            for claim in claims {
                match self.claim(kind, claim) {
                    Ok(item) if items.iter().any(|old| old.text == item.text) => {}
                    Ok(item) => items.push(item),
                    Err(fault) => count(fault, counters),
                }
            }
            checked.kept += items.len();
            items
        };
        let mut digest = Digest {
            bullet_points: all(Kind::Point, &claims.bullet_points),
            key_decisions: all(Kind::Decision, &claims.key_decisions),
            action_items: all(Kind::Action, &claims.action_items),
            open_questions: all(Kind::Question, &claims.open_questions),
            summary: Item::default(),
        };
        if let Some(summary) = self.summary(&claims.summary, &digest, counters) {
            checked.kept += 1;
            digest.summary = summary;
        }
        counters.kept.add(checked.kept as u64);
        checked.digest = digest;
        checked
    }

    /// The overview, sentence by sentence, held against its own sources and those of the items that passed.
    pub fn summary(&self, claim: &Claim, digest: &Digest, counters: &Counters) -> Option<Item> {
        let text = clean(&claim.text)?;
        let lists = [&digest.bullet_points, &digest.key_decisions, &digest.action_items, &digest.open_questions];
        let own = claim.ids.iter().flatten().filter_map(|id| self.id(*id));
        let mut ids: Vec<Seq> =
            own.chain(lists.into_iter().flatten().flat_map(|item| item.ids.iter().copied())).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut kept = Item::default();
        let mut lost = 0;
        for sentence in sentences(&text) {
            let claim = Claim { text: sentence.to_owned(), ..Claim::default() };
            let found = match self.held(Kind::Summary, &claim.text, &ids) {
                Err(_) if claim.text.len() < text.len() || ids.is_empty() => {
                    self.attributed(Kind::Summary, &claim.text)
                }
                other => other,
            };
            match found {
                Ok(item) => {
                    kept.text = format!("{} {}", kept.text, item.text).trim().to_owned();
                    kept.ids.extend(item.ids);
                }
                Err(fault) => {
                    lost += sentence.len();
                    count(fault, counters);
                }
            }
        }
        if kept.text.len() < lost || kept.ids.is_empty() {
            return None;
        }
        kept.ids.sort_unstable();
        kept.ids.dedup();
        // Of many sources those stay that the model named itself.
        if kept.ids.len() > IDS_MAX {
            let named: HashSet<Seq> = claim.ids.iter().flatten().filter_map(|id| self.id(*id)).collect();
            let mut order: Vec<Seq> = kept.ids.clone();
            order.sort_by_key(|id| (!named.contains(id), *id));
            order.truncate(IDS_MAX);
            order.sort_unstable();
            kept.ids = order;
        }
        Some(kept)
    }

    /// One statement: its text made plain, its sources as posts.
    pub fn claim(&self, kind: Kind, claim: &Claim) -> Result<Item, Fault> {
        let mut text = clean(&claim.text).ok_or(Fault::Markup)?;
        if kind == Kind::Action
            && let Some(owner) = claim.owner.as_deref().and_then(clean)
            && !has_name(&text, &owner)
        {
            text = format!("{owner}: {text}");
        }
        match &claim.ids {
            // Some services' models give plain strings: then we look for the proof ourselves.
            None => self.attributed(kind, &text),
            Some(named) => {
                let mut ids: Vec<Seq> = named.iter().filter_map(|id| self.id(*id)).collect();
                ids.sort_unstable();
                ids.dedup();
                if ids.is_empty() {
                    return Err(Fault::Ids);
                }
                ids.truncate(IDS_MAX);
                self.held(kind, &text, &ids)
            }
        }
    }

    fn id(&self, short: usize) -> Option<Seq> {
        self.ids.get(short.checked_sub(1)?).copied().filter(|id| self.place(*id).is_some())
    }

    fn place(&self, id: Seq) -> Option<usize> {
        self.lines.binary_search_by_key(&id, |line| line.id).ok()
    }

    /// Finds the messages that say what a statement without sources says.
    fn attributed(&self, kind: Kind, text: &str) -> Result<Item, Fault> {
        let words: HashSet<String> = content_words(text).into_iter().collect();
        if words.is_empty() {
            return Err(Fault::Ids);
        }
        let mut best: Vec<(usize, Seq)> = Vec::new();
        for id in self.ids {
            let Some(at) = self.place(*id) else { continue };
            let line = &self.lines[at];
            let found: HashSet<String> = content_words(line.text).into_iter().collect();
            let shared =
                words.iter().filter(|word| found.contains(*word) || line.sender.to_lowercase() == **word).count();
            if shared > 0 {
                best.push((shared, *id));
            }
        }
        best.sort_by_key(|(shared, id)| (std::cmp::Reverse(*shared), std::cmp::Reverse(*id)));
        let mut ids: Vec<Seq> = best.into_iter().take(4).map(|(_, id)| id).collect();
        if ids.is_empty() {
            return Err(Fault::Ids);
        }
        ids.sort_unstable();
        self.held(kind, text, &ids)
    }

    /// Holds a text against the messages that it names.
    fn held(&self, kind: Kind, text: &str, ids: &[Seq]) -> Result<Item, Fault> {
        let mut at: Vec<usize> = ids.iter().filter_map(|id| self.place(*id)).collect();
        at.retain(|at| !is_bait(self.lines[*at].text));
        if at.is_empty() {
            return Err(if ids.is_empty() { Fault::Ids } else { Fault::Bait });
        }
        if is_bait(text) {
            return Err(Fault::Bait);
        }
        let own = self.support(at);
        let fault = match self.fault(kind, text, &own) {
            None => return Ok(self.item(text, &own)),
            Some(fault) => fault,
        };
        let Some(wider) = self.wider(&own) else {
            return Err(fault);
        };
        match self.fault(kind, text, &wider) {
            None => Ok(self.item(text, &wider)),
            Some(fault) => Err(fault),
        }
    }

    fn item(&self, text: &str, support: &Support) -> Item {
        Item { text: text.to_owned(), ids: support.at.iter().map(|at| self.lines[*at].id).collect() }
    }

    fn support(&self, at: Vec<usize>) -> Support {
        let mut support = Support { at, text: String::new(), words: HashSet::new(), spoken_words: HashSet::new() };
        for at in &support.at {
            let line = &self.lines[*at];
            let said = spoken(line.text);
            support.words.extend(content_words(line.text));
            support.spoken_words.extend(content_words(&said));
            for part in [line.sender, " ", line.text, "\n"] {
                support.text.push_str(&part.to_lowercase());
            }
            let sender = content_words(line.sender);
            support.spoken_words.extend(sender.iter().cloned());
            support.words.extend(sender);
        }
        support
    }

    /// With the neighbours of messages that say too little by themselves.
    fn wider(&self, own: &Support) -> Option<Support> {
        let mut at = own.at.clone();
        for thin in &own.at {
            if content_words(self.lines[*thin].text).len() > THIN_WORDS_MAX {
                continue;
            }
            let near = thin.saturating_sub(NEIGHBOURS)..(thin + NEIGHBOURS + 1).min(self.lines.len());
            at.extend(near.filter(|at| !is_bait(self.lines[*at].text)));
        }
        at.sort_unstable();
        at.dedup();
        (at.len() > own.at.len()).then(|| self.support(at))
    }

    fn fault(&self, kind: Kind, text: &str, support: &Support) -> Option<Fault> {
        let lower = text.to_lowercase();
        if tags(&lower).iter().any(|tag| !support.text.contains(tag)) {
            return Some(Fault::Markup);
        }
        if literals(&lower).iter().any(|word| !support.text.contains(word)) || !self.has_names(text, support) {
            return Some(Fault::Names);
        }
        if !self.has_words(kind, text, support) || self.is_turned_around(&lower, support) {
            return Some(Fault::Words);
        }
        match kind {
            Kind::Action if !self.has_owner(&lower, support) => Some(Fault::Owner),
            Kind::Point | Kind::Decision | Kind::Summary if !self.has_speaker(&lower, support) => Some(Fault::Owner),
            Kind::Decision if !self.is_decided(support) => Some(Fault::Unproven),
            Kind::Action if !self.is_task(support) => Some(Fault::Unproven),
            _ => None,
        }
    }

    /// Every number and every name in the text is in the sources.
    fn has_names(&self, text: &str, support: &Support) -> bool {
        let runs: HashSet<&str> = digits(&support.text).collect();
        if digits(text).any(|run| !runs.contains(run) && !cues::is_spelled(run, &support.text)) {
            return false;
        }
        let lower = text.to_lowercase();
        if self.names.iter().any(|name| has_name(&lower, name) && !has_name(&support.text, name)) {
            return false;
        }
        let known: Vec<&str> = support.text.split(|c: char| !c.is_alphanumeric()).collect();
        capitals(text).all(|word| {
            let word = word.to_lowercase();
            known.iter().any(|known| alike(known, &word))
        })
    }

    /// Most of the words are in the sources, and not only between quotes.
    fn has_words(&self, kind: Kind, text: &str, support: &Support) -> bool {
        let is_strict = matches!(kind, Kind::Decision | Kind::Action);
        let words: HashSet<String> = content_words(text).into_iter().filter(|word| !cues::is_report(word)).collect();
        let found = |set: &HashSet<String>| {
            words.iter().filter(|word| set.contains(*word) || set.iter().any(|known| alike(known, word))).count()
        };
        let count = found(&support.words);
        if words.is_empty() {
            // "They agreed." says nothing that could be wrong, and nothing worth a line.
            return kind == Kind::Summary;
        }
        if is_strict && found(&support.spoken_words) * 2 < count.max(1) {
            return false;
        }
        let share = count as f64 / words.len() as f64;
        match is_strict {
            // Of few words none may be new: "migrate billing to oracle" has one new word, and it is the lie.
            true => share >= if words.len() < 5 { 1.0 } else { SHARE_MIN_STRICT },
            false => share >= SHARE_MIN,
        }
    }

    /// The text says "not" where nobody does, or leaves out the "not" that everybody says.
    fn is_turned_around(&self, lower: &str, support: &Support) -> bool {
        let lines = || support.at.iter().map(|at| self.lines[*at].text.to_lowercase());
        if cues::is_negated(lower) {
            return !lines().any(|line| cues::is_negative(&line));
        }
        if cues::is_negative(lower) {
            return false;
        }
        let words: HashSet<String> = content_words(lower).into_iter().collect();
        let mut about = lines().filter(|line| content_words(line).iter().any(|word| words.contains(word))).peekable();
        about.peek().is_some() && about.all(|line| cues::denies(&line, &words))
    }

    /// Whoever a task is given to has taken it, or is named.
    fn has_owner(&self, lower: &str, support: &Support) -> bool {
        let Some(owner) = self.subject(lower) else {
            // Nobody of the chat. A stranger must be named in the sources, which `has_names` has seen to.
            return true;
        };
        support.at.iter().any(|at| {
            let line = &self.lines[*at];
            let said = spoken(line.text).to_lowercase();
            match line.sender.to_lowercase() == owner {
                true => cues::is_first_person(&said) || cues::is_acceptance(&said) || !cues::is_english(&said),
                false => has_name(&said, &owner) || self.accepts(&owner, *at),
            }
        })
    }

    fn accepts(&self, owner: &str, at: usize) -> bool {
        let after = &self.lines[at + 1..(at + 1 + ANSWER_LINES).min(self.lines.len())];
        let answer = after.iter().find(|line| line.sender.to_lowercase() == owner);
        answer.is_some_and(|line| cues::is_acceptance(&line.text.to_lowercase()) && !is_bait(line.text))
    }

    /// Whoever is said to have said it wrote one of the sources, or is spoken of in them.
    fn has_speaker(&self, lower: &str, support: &Support) -> bool {
        let Some(speaker) = self.subject(lower) else {
            return true;
        };
        let is_author = support.at.iter().any(|at| self.lines[*at].sender.to_lowercase() == speaker);
        let rest = lower.get(speaker.len()..).unwrap_or_default();
        is_author || (!cues::is_saying(rest) && has_name(&support.text, &speaker))
    }

    /// The participant that a sentence begins with.
    fn subject(&self, lower: &str) -> Option<String> {
        let starts = |name: &&String| {
            lower.strip_prefix(name.as_str()).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
        };
        self.names.iter().filter(starts).max_by_key(|name| name.len()).cloned()
    }

    /// Somebody decides in the sources, or agrees right after.
    fn is_decided(&self, support: &Support) -> bool {
        support.at.iter().any(|at| {
            let said = spoken(self.lines[*at].text).to_lowercase();
            let is_question = said.trim_end().ends_with('?');
            if !cues::is_english(&said) && !said.trim().is_empty() {
                return true;
            }
            if cues::is_decision(&said) && !is_question {
                return true;
            }
            let after = &self.lines[at + 1..(at + 1 + ANSWER_LINES).min(self.lines.len())];
            let is_proposal = is_question || cues::is_proposal(&said);
            is_proposal
                && after.iter().any(|line| {
                    line.sender != self.lines[*at].sender
                        && !is_bait(line.text)
                        && cues::is_agreement(&spoken(line.text).to_lowercase())
                })
        })
    }

    /// Somebody promises in the sources, or is asked to.
    fn is_task(&self, support: &Support) -> bool {
        support.at.iter().any(|at| {
            let said = spoken(self.lines[*at].text).to_lowercase();
            !said.trim().is_empty()
                && (!cues::is_english(&said)
                    || cues::is_promise(&said)
                    || cues::is_request(&said)
                    || cues::is_acceptance(&said))
        })
    }
}

fn count(fault: Fault, counters: &Counters) {
    let counter = match fault {
        Fault::Ids => &counters.dropped_ids,
        Fault::Words => &counters.dropped_words,
        Fault::Names => &counters.dropped_names,
        Fault::Owner => &counters.dropped_owners,
        Fault::Unproven => &counters.dropped_unproven,
        Fault::Markup => &counters.dropped_markup,
        Fault::Bait => &counters.dropped_bait,
    };
    counter.add(1);
}

/// Whether a name stands in a text as a word. Both in lower case.
fn has_name(text: &str, name: &str) -> bool {
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

/// Sentences with their ends.
fn sentences(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut start = 0;
    let bytes = text.as_bytes();
    for (at, c) in text.char_indices() {
        let end = at + c.len_utf8();
        let is_end = matches!(c, '。' | '！' | '？')
            || (matches!(c, '.' | '!' | '?') && bytes.get(end).is_none_or(|byte| *byte == b' '));
        if is_end && end - start > 12 {
            out.push(text[start..end].trim());
            start = end;
        }
    }
    if !text[start..].trim().is_empty() {
        out.push(text[start..].trim());
    }
    out
}
