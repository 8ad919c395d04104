//! Which decisions still hold: those said twice become one, those taken back go, weak opinions give way, the list has an end.

use super::chat::{Chat, Unit};
use super::decisions::Decision;
use super::weigh::overlap;

const DECISIONS_MAX: usize = 10;
const REVERSAL_WITHIN: usize = 30;
const BARE_REVERSAL_WITHIN: usize = 12;
/// How many decisions back the same one is looked for.
pub const TWINS_WITHIN: usize = 64;

/// Takes back the last decisions that a reversal can mean: those near it that share a word, or the one just before a bare one.
pub fn withdraw(chat: &Chat<'_>, unit: &Unit, found: &mut Vec<Decision>, withdrawn: &mut Vec<usize>) {
    let subject = chat.subject(unit.from, unit.to);
    let near = found.iter().rev().take_while(|decision| unit.line - decision.line <= REVERSAL_WITHIN).count();
    let last = found.len();
    for at in (last - near..last).rev() {
        let decision = &found[at];
        let distance = unit.line - decision.line;
        let shares = overlap(&subject, &decision.subject) > 0.0;
        let is_bare = subject.len() <= 1 && at + 1 == last && distance <= BARE_REVERSAL_WITHIN;
        if distance > 0 && (shares || is_bare) && !decision.is_marked && !decision.is_vote {
            withdrawn.push(decision.line);
            found.remove(at);
        }
    }
}

/// Joins what says the same: 60 % of the words of the shorter one. A marked one speaks for both.
pub fn merge(found: Vec<Decision>) -> Vec<Decision> {
    let mut kept: Vec<Decision> = Vec::new();
    for decision in found {
        let recent = kept.len().saturating_sub(TWINS_WITHIN);
        let twin = kept[recent..].iter().rposition(|known| {
            share_of_smaller(&known.subject, &decision.subject)
                >= if known.is_marked && decision.is_marked { 0.9 } else { 0.6 }
        });
        match twin.map(|at| recent + at) {
            Some(at)
                if kept[at].score >= decision.score
                    && !(decision.is_vote && kept[at].is_vote)
                    && (kept[at].is_marked || kept[at].subject.len() >= decision.subject.len()) =>
            {
                add_lines(&mut kept[at].lines, &decision.lines);
            }
            // A proposal put again in other words replaces the first one.
            Some(at) if decision.line >= kept[at].line => {
                let mut decision = decision;
                add_lines(&mut decision.lines, &kept[at].lines);
                kept.remove(at);
                kept.push(decision);
            }
            _ => kept.push(decision),
        }
    }
    kept
}

/// Of two decisions that put the same thing at different times the later one holds.
pub fn reschedule(found: &mut Vec<Decision>, withdrawn: &mut Vec<usize>) {
    const SAME: f32 = 0.6;
    let parts: Vec<(Vec<u32>, Vec<u32>)> =
        found.iter().map(|decision| decision.subject.iter().partition(|stem| decision.times.contains(stem))).collect();
    let is_moved = |early: usize, late: usize| {
        let (first, second) = (&found[early], &found[late]);
        let (before, after) = (&parts[early], &parts[late]);
        !first.is_marked
            && !second.is_marked
            && !first.is_vote
            && second.line > first.line
            && second.line - first.line <= REVERSAL_WITHIN
            && !before.0.is_empty()
            && !after.0.is_empty()
            && overlap(&before.0, &after.0) == 0.0
            && share_of_smaller(&before.1, &after.1) >= SAME
    };
    let count = found.len();
    let gone: Vec<bool> = (0..count)
        .map(|early| (early + 1..count.min(early + 1 + TWINS_WITHIN)).any(|late| is_moved(early, late)))
        .collect();
    withdrawn.extend(found.iter().zip(&gone).filter(|(_, gone)| **gone).map(|(decision, _)| decision.line));
    let mut gone = gone.into_iter();
    found.retain(|_| !gone.next().unwrap_or(false));
}

/// An opinion near a stronger decision on the same subject was only on the way to it.
pub fn supersede(mut found: Vec<Decision>) -> Vec<Decision> {
    found.sort_by_key(|decision| decision.line);
    let is_outdone = |at: usize, decision: &Decision| {
        !decision.is_marked
            && found[at.saturating_sub(6)..found.len().min(at + 7)].iter().any(|other| {
                let distance = other.line.abs_diff(decision.line);
                distance > 0
                    && distance <= 6
                    && other.score >= decision.score + 0.8
                    && decision.score < 3.3
                    && overlap(&other.subject, &decision.subject) > 0.0
            })
    };
    found
        .iter()
        .enumerate()
        .filter(|&(at, decision)| !is_outdone(at, decision))
        .map(|(_, decision)| decision.clone())
        .collect()
}

pub fn add_lines(lines: &mut Vec<usize>, more: &[usize]) {
    lines.extend(more);
    lines.sort_unstable();
    lines.dedup();
    lines.truncate(6);
}

pub fn share_of_smaller(a: &[u32], b: &[u32]) -> f32 {
    let smaller = a.len().min(b.len());
    if smaller == 0 {
        return 0.0;
    }
    overlap(a, b) * ((a.len() * b.len()) as f32).sqrt() / smaller as f32
}

/// The strongest `DECISIONS_MAX`, in their order; of equals the later ones, which are nearer to what holds now.
pub fn limit(mut kept: Vec<Decision>) -> Vec<Decision> {
    if kept.len() > DECISIONS_MAX {
        kept.sort_by(|a, b| b.score.total_cmp(&a.score).then(b.line.cmp(&a.line)));
        kept.truncate(DECISIONS_MAX);
        kept.sort_by_key(|decision| decision.line);
    }
    kept
}
