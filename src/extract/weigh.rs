//! How much each sentence matters, and which few to take. The weights were fitted by ridge
//! regression on dialogues with human summaries.

use super::chat::{Chat, Reply, Unit};
use super::lexicon::{among, class};
use super::rewrite;

/// Share of the largest overlap with what is taken that a candidate loses.
pub const OVERLAP_COST: f32 = 1.0;
/// What each unit already taken of the same speaker costs.
const SPEAKER_COST: f32 = 0.12;
/// What a unit already taken from the same part of the conversation costs.
const SEGMENT_COST: f32 = 0.5;
/// What a beginning that goes back to another sentence costs.
const DANGLING_COST: f32 = 0.12;
/// How many parts a long conversation is divided into.
const SEGMENTS: usize = 10;

/// What all units are measured against.
pub struct Weights {
    /// Score of each unit; below zero for those that are never told.
    pub scores: Vec<f32>,
}

/// The statistics of a conversation that the features need.
struct Frequencies {
    /// In how many units a stem occurs.
    units: Vec<u32>,
    idf: Vec<f32>,
    centroid: Vec<f32>,
    centroid_norm: f32,
    first: Vec<usize>,
}

impl Frequencies {
    fn of(chat: &Chat<'_>) -> Frequencies {
        let stems = chat.lexicon.stem_count();
        let mut units = vec![0u32; stems];
        let mut last = vec![usize::MAX; stems];
        let mut first = vec![usize::MAX; stems];
        for (index, unit) in chat.units.iter().enumerate() {
            for &stem in chat.content_of(unit) {
                let stem = stem as usize;
                if last[stem] != index {
                    last[stem] = index;
                    units[stem] += 1;
                    first[stem] = first[stem].min(index);
                }
            }
        }
        let count = chat.units.len().max(1) as f32;
        let idf: Vec<f32> =
            units.iter().map(|&df| if df == 0 { 0.0 } else { (1.0 + count / df as f32).ln() }).collect();
        // The mean of all unit vectors; its length is all that the cosine needs besides.
        let centroid: Vec<f32> = units.iter().zip(&idf).map(|(&df, idf)| df as f32 * idf / count).collect();
        let centroid_norm = centroid.iter().map(|value| value * value).sum::<f32>().sqrt().max(1e-6);
        Frequencies { units, idf, centroid, centroid_norm, first }
    }

    fn centrality(&self, content: &[u32]) -> f32 {
        let (mut dot, mut norm) = (0.0, 0.0);
        for &stem in content {
            let weight = self.idf[stem as usize];
            dot += weight * self.centroid[stem as usize];
            norm += weight * weight;
        }
        if norm == 0.0 { 0.0 } else { dot / (norm.sqrt() * self.centroid_norm) }
    }
}

/// Scores every unit.
pub fn weigh(chat: &Chat<'_>) -> Weights {
    let frequencies = Frequencies::of(chat);
    let mut messages = vec![0u32; chat.people.len()];
    for &person in &chat.speaker {
        messages[person] += 1;
    }
    let busiest = messages.iter().copied().max().unwrap_or(1).max(1) as f32;
    let mut scores = Vec::with_capacity(chat.units.len());
    for (index, unit) in chat.units.iter().enumerate() {
        let share = messages[chat.speaker[unit.line]] as f32 / busiest;
        scores.push(score(chat, &frequencies, index, unit) + 0.15 * share);
    }
    Weights { scores }
}

fn score(chat: &Chat<'_>, frequencies: &Frequencies, index: usize, unit: &Unit) -> f32 {
    let content = chat.content_of(unit);
    if content.is_empty() {
        return -1.0;
    }
    let length = (content.len().min(12) as f32) / 12.0;
    let mut total = 0.45 * length - 0.05 * length * length + 0.70 * frequencies.centrality(content);
    let recurring = content.iter().filter(|&&stem| frequencies.units[stem as usize] > 1).count() as f32;
    let opened = content
        .iter()
        .filter(|&&stem| frequencies.first[stem as usize] == index && frequencies.units[stem as usize] > 1)
        .count();
    total += 0.35 * opened.min(4) as f32 / 4.0 + 0.10 * recurring / content.len() as f32;
    total += words_score(chat, unit);
    if unit.is_question {
        total += 0.20;
    }
    if unit.line == 0 {
        total += 0.20;
    }
    if unit.line * 4 < chat.lines.len() {
        total += 0.05;
    }
    if content.len() <= 1 {
        total -= 0.10;
    }
    let speaker = chat.speaker[unit.line];
    let is_acked = (unit.line + 1..chat.lines.len().min(unit.line + 3))
        .any(|line| chat.speaker[line] != speaker && chat.reply(line) == Reply::Nod);
    if is_acked {
        total += 0.05;
    }
    // "This leaves us with that" says little to who sees nothing before it.
    let dangles =
        among(chat.text_of(chat.opening(unit).0), "this that that's it it's they they're which those these he she");
    total -= if dangles { DANGLING_COST } else { 0.0 };
    if chat.is_bait[unit.line] {
        total - 2.0
    } else if rewrite::is_quotation(chat, unit) || repeats_mark(chat, unit) || chat.is_machine(unit.line) {
        total - 0.6
    } else {
        total
    }
}

/// "The proposal was PROPOSAL: …": the words after the mark are somebody else's.
fn repeats_mark(chat: &Chat<'_>, unit: &Unit) -> bool {
    (unit.from + 1..unit.to.saturating_sub(1)).any(|at| {
        matches!(chat.text_of(at), "proposal" | "resolved" | "action" | "resolution")
            && chat.tokens[at].is_capital
            && chat.gap_before(unit.line, at + 1, unit.from).starts_with(':')
    })
}

/// What single words tell: persons, plans, dates, doubt.
fn words_score(chat: &Chat<'_>, unit: &Unit) -> f32 {
    let mut total = 0.0;
    let (mut capitals, mut nods, mut opaque) = (0, 0, 0);
    let mut seen = 0u32;
    let mut has = |bit: u32, weight: f32| {
        let is_new = seen & bit == 0;
        seen |= bit;
        if is_new { weight } else { 0.0 }
    };
    for at in unit.from..unit.to {
        let token = chat.tokens[at];
        let classes = chat.lexicon.word(token.word).classes;
        capitals += usize::from(token.is_capital && at > unit.from && classes & class::STOP == 0);
        nods += usize::from(classes & class::ACK != 0);
        opaque += usize::from(classes & class::OPAQUE != 0);
        if classes & class::NUMBER != 0 {
            total += has(1, 0.10);
        }
        if classes & class::TIME != 0 {
            total += has(2, 0.15);
        }
        if classes & class::PAST != 0 {
            total += has(4, 0.05);
        }
        total += match chat.lexicon.text(token.word) {
            "you" | "your" | "you're" => has(8, 0.25),
            "i" | "my" | "me" | "i'm" | "i've" => has(16, 0.20),
            "i'll" => has(16, 0.20) + has(32, 0.25),
            "we" | "our" | "us" | "we're" | "we've" => has(64, 0.20),
            "we'll" => has(64, 0.20) + has(32, 0.10),
            "let's" => has(64, 0.20) + has(128, 0.20),
            "decide" | "decided" | "decision" | "agree" | "agreed" | "settled" | "choose" | "chose" | "propose"
            | "proposed" | "proposal" | "resolve" | "resolved" | "approved" => has(128, 0.20),
            "should" | "must" | "please" | "todo" => has(256, 0.15),
            "will" | "would" | "plan" => has(32, 0.10),
            "want" | "need" | "like" | "love" | "hope" | "prefer" | "invite" | "recommend" | "suggest" | "think" => {
                has(512, 0.10)
            }
            "because" | "since" | "reason" => has(1024, -0.10),
            "not" | "no" | "never" | "don't" | "can't" | "won't" | "isn't" | "didn't" | "doesn't" => has(2048, -0.08),
            "hi" | "hello" | "hey" | "morning" | "thanks" | "bye" | "welcome" | "congrats" if at == unit.from => -0.15,
            _ => 0.0,
        };
    }
    let words = (unit.to - unit.from) as f32;
    // A dump of code or a bare link is hardly ever what mattered.
    total + 0.5 * capitals.min(3) as f32 / 3.0 * if capitals as f32 > words * 0.6 { 0.4 } else { 1.0 }
        - 0.4 * nods as f32 / words
        - 0.3 * opaque as f32 / words
}

/// Cosine of two bags of stems, both sorted.
pub fn overlap(a: &[u32], b: &[u32]) -> f32 {
    if a.is_empty() || b.is_empty() {
        return 0.0;
    }
    let (mut i, mut j, mut common) = (0, 0, 0);
    while i < a.len() && j < b.len() {
        match a[i].cmp(&b[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                common += 1;
                i += 1;
                j += 1;
            }
        }
    }
    common as f32 / ((a.len() * b.len()) as f32).sqrt()
}

/// Up to `count` units of those that `is_open`, in the order of the conversation: the heaviest that say something new.
///
/// Each round costs one look at every candidate; their largest overlap is kept up to date.
pub fn select(chat: &Chat<'_>, weights: &Weights, count: usize, is_open: impl Fn(usize) -> bool) -> Vec<usize> {
    let mut left: Vec<(usize, f32)> = (0..chat.units.len())
        .filter(|&index| weights.scores[index] >= 0.0 && is_open(index))
        .map(|index| (index, 0.0))
        .collect();
    // Only the heaviest can win: what is far below never catches up.
    let pool = (count * 40).max(400);
    if left.len() > pool {
        left.sort_by(|a, b| weights.scores[b.0].total_cmp(&weights.scores[a.0]).then(a.0.cmp(&b.0)));
        left.truncate(pool);
        left.sort_by_key(|&(index, _)| index);
    }
    let subjects: Vec<Vec<u32>> = left.iter().map(|&(index, _)| bare_subject(chat, index)).collect();
    let segment = |index: usize| chat.units[index].line * SEGMENTS / chat.lines.len().max(1);
    let mut taken_by = vec![0u32; chat.people.len()];
    let mut taken_in = [0u32; SEGMENTS];
    let mut chosen: Vec<usize> = Vec::new();
    let mut is_taken = vec![false; left.len()];
    while chosen.len() < count {
        let value = |place: usize| {
            let (index, overlap) = left[place];
            let crowd =
                if chat.lines.len() >= 4 * SEGMENTS { SEGMENT_COST * taken_in[segment(index)] as f32 } else { 0.0 };
            weights.scores[index]
                - OVERLAP_COST * overlap
                - SPEAKER_COST * taken_by[chat.speaker[chat.units[index].line]] as f32
                - crowd
        };
        let Some(best) = (0..left.len())
            .filter(|&place| !is_taken[place])
            .max_by(|&a, &b| value(a).total_cmp(&value(b)).then(b.cmp(&a)))
        else {
            break;
        };
        is_taken[best] = true;
        let index = left[best].0;
        chosen.push(index);
        taken_by[chat.speaker[chat.units[index].line]] += 1;
        taken_in[segment(index)] += 1;
        for place in 0..left.len() {
            left[place].1 = left[place].1.max(overlap(&subjects[place], &subjects[best]));
            // The same words once more are nothing new, whatever they weigh.
            is_taken[place] |= subjects[place] == subjects[best];
        }
    }
    chosen.sort_unstable();
    chosen
}

/// The stems of a unit without its numbers: "build 1 passed" and "build 2 passed" are the same news.
fn bare_subject(chat: &Chat<'_>, index: usize) -> Vec<u32> {
    let all = subject(chat, index);
    let bare: Vec<u32> = all
        .iter()
        .copied()
        .filter(|&stem| !chat.lexicon.stem_text(stem).bytes().any(|byte| byte.is_ascii_digit()))
        .collect();
    if bare.is_empty() { all } else { bare }
}

/// The stems of a unit, sorted, each once.
pub fn subject(chat: &Chat<'_>, index: usize) -> Vec<u32> {
    let mut stems = chat.content_of(&chat.units[index]).to_vec();
    stems.sort_unstable();
    stems.dedup();
    stems
}
