//! Puts the parts together into the JSON of the answer.

use std::collections::HashSet;

use crate::extract::{Item, Line};
use crate::message::summary::{Report, Statement, encode};
use crate::summary::cache::{Missed, Part};
use crate::summary::embedded::CAUGHT_UP;

/// Who wrote, in the order of the first message.
pub fn participants<'a>(lines: &[Line<'a>]) -> Vec<&'a str> {
    let mut seen = HashSet::new();
    lines.iter().map(|line| line.sender).filter(|sender| seen.insert(*sender)).collect()
}

/// The digest of no messages.
pub fn nothing(is_empty_room: bool) -> Part {
    let text = match is_empty_room {
        true => "Nobody has written anything here yet.",
        false => "There are no messages in this part of the conversation.",
    };
    let mut part = Part { engine: "embedded".to_owned(), ..Part::default() };
    part.digest.summary.text = text.to_owned();
    part
}

/// What is told to who has read everything.
pub fn caught_up() -> Missed {
    Missed { item: Item { text: CAUGHT_UP.to_owned(), ids: Vec::new() }, count: 0 }
}

/// The body of the answer.
pub fn body(part: &Part, missed: &Missed, total: u64, is_cached: bool, notice: Option<&str>) -> Vec<u8> {
    fn statement(item: &Item) -> Statement<'_> {
        Statement { text: &item.text, ids: &item.ids }
    }
    fn list(items: &[Item]) -> Vec<Statement<'_>> {
        items.iter().map(statement).collect()
    }
    let notices: Vec<&str> = notice.into_iter().chain(part.notice.as_deref()).collect();
    let notices = notices.join(" ");
    encode(&Report {
        summary: statement(&part.digest.summary),
        bullet_points: list(&part.digest.bullet_points),
        key_decisions: list(&part.digest.key_decisions),
        action_items: list(&part.digest.action_items),
        open_questions: list(&part.digest.open_questions),
        unread_summary: statement(&missed.item),
        unread_count: missed.count,
        total_messages: total,
        messages_read: part.read,
        participants: part.participants.iter().map(|name| &**name).collect(),
        engine: &part.engine,
        from_id: part.from,
        to_id: part.to,
        cached: is_cached,
        notice: (!notices.is_empty()).then_some(&*notices),
    })
}
