//! The JSON of a finished part of a summary, as the log keeps it.
//!
//! Only the version of the program that wrote it must understand it: what does not parse is made anew.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::message::{Seq, write_json};

/// A part as it is kept. The lists are those of the answer (`summary.rs`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredPart {
    /// The range in two or three sentences.
    pub summary: StoredItem,
    /// What happened.
    pub bullet_points: Vec<StoredItem>,
    /// What was decided.
    pub key_decisions: Vec<StoredItem>,
    /// Who has to do what.
    pub action_items: Vec<StoredItem>,
    /// What was asked and not answered.
    pub open_questions: Vec<StoredItem>,
    /// Service and model that wrote it.
    pub engine: String,
    /// The first post covered.
    pub from: Seq,
    /// The last post covered.
    pub to: Seq,
    /// How many posts the engine has read.
    pub read: u64,
    /// Who wrote in the range.
    pub participants: Vec<Arc<str>>,
    /// What the reader of the summary must know about it.
    pub notice: Option<String>,
}

/// A statement and the posts that prove it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredItem {
    /// What is said.
    pub text: String,
    /// Which posts say so.
    pub ids: Vec<Seq>,
}

impl StoredPart {
    /// As the log keeps it.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_json(&mut bytes, self);
        bytes
    }

    /// What [`StoredPart::encode`] wrote; `None` for anything else.
    pub fn decode(bytes: &[u8]) -> Option<StoredPart> {
        serde_json::from_slice(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_comes_back_as_it_was_and_anything_else_does_not() {
        let item = |text: &str, ids: &[Seq]| StoredItem { text: text.to_owned(), ids: ids.to_vec() };
        let part = StoredPart {
            summary: item("Ann said \"yes\"\n", &[1, 40]),
            key_decisions: vec![item("東京", &[2])],
            engine: "groq/a".to_owned(),
            from: 1,
            to: 40,
            read: 39,
            participants: vec!["Ann".into()],
            ..StoredPart::default()
        };
        let bytes = part.encode();
        assert_eq!(StoredPart::decode(&bytes), Some(part));
        for other in [&bytes[..bytes.len() - 1], b"", b"{}", b"null", b"[1]"] {
            assert_eq!(StoredPart::decode(other), None);
        }
    }
}
