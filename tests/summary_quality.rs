//! How good the embedded summaries are, on conversations written for this test with what people would note down of them.
//!
//! `data/talks/*.txt` hold the messages, then `== decisions`, `== actions` (with their owner) and `== questions`, each line
//! with the numbers of the messages that may prove it. The bounds below are what the engine promises, not what it can do at best.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use catchup::extract::{Digest, Item, Line, content_words, digest};

/// What somebody would have noted.
struct Note {
    ids: Vec<u64>,
    owner: Option<String>,
    text: String,
}

struct Talk {
    name: String,
    messages: Vec<(String, String)>,
    /// Decisions, actions, questions.
    notes: [Vec<Note>; 3],
}

/// How many of the items are in the notes, of how many, and how many of the notes are found, of how many.
#[derive(Clone, Copy, Default)]
struct Score {
    right: usize,
    told: usize,
    found: usize,
    noted: usize,
}

impl Score {
    fn precision(&self) -> f64 {
        self.right as f64 / self.told.max(1) as f64
    }

    fn recall(&self) -> f64 {
        self.found as f64 / self.noted.max(1) as f64
    }
}

fn talks() -> Vec<Talk> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/talks");
    let mut paths: Vec<_> =
        fs::read_dir(folder).expect("the folder is there").map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| talk(path)).collect()
}

fn talk(path: &Path) -> Talk {
    let text = fs::read_to_string(path).expect("a talk can be read");
    let mut parts = text.split("== ");
    let message = |line: &str| {
        let (sender, text) = line.split_once(": ").unwrap_or_else(|| panic!("{path:?}: {line:?} has no sender"));
        (sender.to_owned(), text.to_owned())
    };
    let messages: Vec<_> = parts.next().unwrap().lines().filter(|line| !line.is_empty()).map(message).collect();
    let notes = ["decisions", "actions", "questions"].map(|kind| {
        let part = parts.next().unwrap_or_else(|| panic!("{path:?} has no {kind}"));
        let rows = part.strip_prefix(kind).unwrap_or_else(|| panic!("{path:?}: {kind} were expected")).lines();
        rows.filter(|row| !row.is_empty()).map(|row| note(row, messages.len())).collect()
    });
    Talk { name: path.file_stem().unwrap().to_string_lossy().into_owned(), messages, notes }
}

fn note(row: &str, count: usize) -> Note {
    let fields: Vec<&str> = row.split(" | ").collect();
    let ids: Vec<u64> = fields[0].split(' ').map(|id| id.parse().expect("the numbers come first")).collect();
    assert!(ids.iter().all(|id| (1..=count as u64).contains(id)), "{row:?} names a message that is not there");
    let owner = (fields.len() == 3).then(|| fields[1].to_owned());
    Note { ids, owner, text: fields[fields.len() - 1].to_owned() }
}

/// An item stands for a note if a message proves both, half of the note's words are in it, and the owner is the same.
fn is_same(item: &Item, note: &Note) -> bool {
    let (told, noted) = (content_words(&item.text), content_words(&note.text));
    let shared = noted.iter().filter(|word| told.contains(word)).count();
    shared * 2 >= noted.len().max(1)
        && item.ids.iter().any(|id| note.ids.contains(id))
        && note.owner.as_ref().is_none_or(|owner| item.text.starts_with(owner.as_str()))
}

/// The scores of decisions, actions and questions over all talks, and a line for each item that is missing or too many.
fn scores(talks: &[Talk]) -> ([Score; 3], String) {
    let mut scores = [Score::default(); 3];
    let mut faults = String::new();
    for talk in talks {
        let line = |(id, (sender, text))| Line { id, sender, text, at_ms: 0 };
        let lines: Vec<Line<'_>> =
            (1..).zip(&talk.messages).map(|(id, (sender, text))| line((id, (sender, text)))).collect();
        let Digest { key_decisions, action_items, open_questions, .. } = digest(&lines);
        for (at, (items, notes)) in [key_decisions, action_items, open_questions].iter().zip(&talk.notes).enumerate() {
            let score = &mut scores[at];
            score.told += items.len();
            score.noted += notes.len();
            for item in items {
                let is_right = notes.iter().any(|note| is_same(item, note));
                score.right += usize::from(is_right);
                if !is_right {
                    writeln!(faults, "{}: {:?} is too many", talk.name, item.text).unwrap();
                }
            }
            for note in notes {
                let is_found = items.iter().any(|item| is_same(item, note));
                score.found += usize::from(is_found);
                if !is_found {
                    writeln!(faults, "{}: {:?} is missing", talk.name, note.text).unwrap();
                }
            }
        }
    }
    (scores, faults)
}

#[test]
fn what_people_would_note_down_is_found_and_little_else() {
    let (scores, faults) = scores(&talks());
    let bounds = [("decisions", 0.95, 0.8), ("actions", 0.95, 0.85), ("questions", 0.85, 0.6)];
    for (score, (kind, precision, recall)) in scores.iter().zip(bounds) {
        println!("{kind}: precision {:.2}, recall {:.2} of {}", score.precision(), score.recall(), score.noted);
        assert!(score.noted >= 6, "too few {kind} are noted to tell anything");
        assert!(score.precision() >= precision, "{kind}: precision {:.2}\n{faults}", score.precision());
        assert!(score.recall() >= recall, "{kind}: recall {:.2}\n{faults}", score.recall());
    }
}

/// Not only the lists: every sentence has its proof, and its words are in it.
#[test]
fn the_words_of_every_line_are_in_the_messages_that_it_names() {
    for talk in talks() {
        let lines: Vec<Line<'_>> =
            (1..).zip(&talk.messages).map(|(id, (sender, text))| Line { id, sender, text, at_ms: 0 }).collect();
        let answer = digest(&lines);
        assert!((3..=10).contains(&answer.bullet_points.len()), "{}: {}", talk.name, answer.bullet_points.len());
        let lists = [&answer.bullet_points, &answer.key_decisions, &answer.action_items, &answer.open_questions];
        for item in lists.into_iter().flatten().chain([&answer.summary]) {
            // Names and the verbs of telling are the engine's own.
            let mut proof = "asks discussed decided proposes will take care ".to_owned();
            proof.extend(talk.messages.iter().map(|(sender, _)| format!("{sender} ")));
            for id in &item.ids {
                proof.push_str(&talk.messages[*id as usize - 1].1);
                proof.push(' ');
            }
            let proof = content_words(&proof);
            let words = content_words(&item.text);
            let known = words.iter().filter(|word| proof.contains(word)).count();
            assert!(known * 10 >= words.len() * 8, "{}: {:?} is not in messages {:?}", talk.name, item.text, item.ids);
        }
    }
}
