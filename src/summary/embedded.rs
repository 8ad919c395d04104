//! The embedded engine as the worker uses it: it always answers, also where a bug in it ends in a panic.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::extract::{self, Digest, Item, Line};
use crate::summary::bait::{is_bait, is_forged};

/// What a reader is told who has read everything.
pub const CAUGHT_UP: &str = "You're all caught up!";
/// Most names that the plain digest spells out.
const NAMES_MAX: usize = 3;

/// How often the engine is asked again because it believed a text that speaks to the summarizer.
const ROUNDS_MAX: usize = 3;

/// The digest of a conversation that is not empty.
pub fn digest(lines: &[Line<'_>]) -> Digest {
    let proof = |digest: &Digest| {
        let lists = [&digest.key_decisions, &digest.action_items, &digest.open_questions];
        lists.into_iter().flatten().flat_map(|item| item.ids.iter().copied()).collect()
    };
    let mut digest = unbaited(lines, extract::digest, proof).unwrap_or_default();
    for list in
        [&mut digest.bullet_points, &mut digest.key_decisions, &mut digest.action_items, &mut digest.open_questions]
    {
        list.retain(is_sound);
    }
    if !is_sound(&digest.summary) {
        digest.summary = plain(lines);
    }
    digest
}

/// Runs the engine until nothing that counts as `proof` is bait: lines that were believed lose their words.
///
/// `None` if it ends in a panic, or believes still more of them after [`ROUNDS_MAX`].
fn unbaited<T>(lines: &[Line<'_>], work: impl Fn(&[Line<'_>]) -> T, proof: impl Fn(&T) -> HashSet<u64>) -> Option<T> {
    let mut lines = lines.to_vec();
    let mut names: Vec<String> = Vec::new();
    for _ in 0..ROUNDS_MAX {
        let found = guarded(|| work(&lines))?;
        if names.is_empty() {
            names = lines
                .iter()
                .map(|line| line.sender)
                .collect::<HashSet<_>>()
                .into_iter()
                .map(str::to_lowercase)
                .collect();
        }
        let proof: Vec<usize> =
            proof(&found).iter().filter_map(|id| lines.binary_search_by_key(id, |line| line.id).ok()).collect();
        let baits: Vec<usize> =
            proof.into_iter().filter(|at| is_bait(lines[*at].text) || is_forged(lines[*at].text, &names)).collect();
        if baits.is_empty() {
            return Some(found);
        }
        for at in baits {
            lines[at].text = "";
        }
    }
    None
}

/// What `reader` missed after `after`; nothing missed has no sources.
pub fn unread(lines: &[Line<'_>], reader: &str, after: u64) -> Item {
    let missed: Vec<Line<'_>> = lines.iter().filter(|line| is_missed(line, reader, after)).copied().collect();
    if missed.is_empty() {
        return Item { text: CAUGHT_UP.to_owned(), ids: Vec::new() };
    }
    let proof = |item: &Item| item.ids.iter().copied().collect();
    let mut item = unbaited(lines, |lines| extract::unread(lines, reader, after), proof).unwrap_or_default();
    // What was read, and what the reader said, is no news, whatever the engine thinks.
    item.ids.retain(|id| missed.binary_search_by_key(id, |line| line.id).is_ok());
    if is_sound(&item) { item } else { plain(&missed) }
}

/// Of what `reader` missed after `after` what names them, if anything does.
pub fn named(lines: &[Line<'_>], reader: &str, after: u64) -> Option<Item> {
    let proof = |item: &Item| item.ids.iter().copied().collect();
    let item = unbaited(lines, |lines| extract::named(lines, reader, after), proof)?;
    let is_missed = |id: &u64| {
        let at = lines.binary_search_by_key(id, |line| line.id);
        at.is_ok_and(|at| is_missed(&lines[at], reader, after))
    };
    (is_sound(&item) && item.ids.iter().all(is_missed)).then_some(item)
}

/// Whether `reader` has not read a line yet.
pub fn is_missed(line: &Line<'_>, reader: &str, after: u64) -> bool {
    line.id > after && (reader.is_empty() || line.sender.to_lowercase() != reader.to_lowercase())
}

/// The most telling `count` lines, in order.
pub fn rank<'a>(lines: &[Line<'a>], count: usize) -> Vec<Line<'a>> {
    if count >= lines.len() {
        return lines.to_vec();
    }
    match guarded(|| extract::rank(lines, count)) {
        Some(ids) => lines.iter().filter(|line| ids.binary_search(&line.id).is_ok()).take(count).copied().collect(),
        None => lines[lines.len() - count..].to_vec(),
    }
}

fn is_sound(item: &Item) -> bool {
    !item.text.trim().is_empty() && !item.ids.is_empty()
}

/// True of every conversation, and all there is to say when the engine fails.
fn plain(lines: &[Line<'_>]) -> Item {
    let mut names: Vec<&str> = Vec::new();
    for line in lines {
        if !names.contains(&line.sender) {
            names.push(line.sender);
        }
        if names.len() > NAMES_MAX {
            break;
        }
    }
    let others = if names.len() > NAMES_MAX { " and others" } else { "" };
    let said = if lines.len() == 1 { "1 message".to_owned() } else { format!("{} messages", lines.len()) };
    names.truncate(NAMES_MAX);
    let text = format!("{said} from {}{others}.", names.join(", "));
    let mut ids: Vec<u64> = lines.first().into_iter().chain(lines.last()).map(|line| line.id).collect();
    ids.dedup();
    Item { text, ids }
}

fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: u64, sender: &'static str, text: &'static str) -> Line<'static> {
        Line { id, sender, text, at_ms: 0 }
    }

    #[test]
    fn the_unread_part_never_speaks_of_what_was_read_or_of_the_reader_s_own_lines() {
        let lines = [
            line(1, "Ann", "The launch moves to Friday because of the audit"),
            line(2, "bob", "Fine, the launch on Friday it is"),
            line(3, "Ann", "The audit needs the launch checklist by Thursday"),
        ];
        assert_eq!(unread(&lines, "Bob", 1).ids, [3], "line 2 is Bob's own, in another case");
        assert_eq!(unread(&lines, "Ann", 2), Item { text: CAUGHT_UP.into(), ids: vec![] });
        assert_eq!(unread(&lines, "Bob", 3).text, CAUGHT_UP);
    }

    #[test]
    fn the_plain_digest_is_true_of_any_talk_and_has_sources() {
        let item = plain(&[line(7, "Ann", ""), line(8, "Bob", ""), line(9, "Ann", "")]);
        assert_eq!(item, Item { text: "3 messages from Ann, Bob.".into(), ids: vec![7, 9] });
        assert_eq!(plain(&[line(7, "Ann", "")]).text, "1 message from Ann.");
    }
}
