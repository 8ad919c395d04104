//! The JSON of a summary, as `POST /api/summarize` answers it.

use serde::Serialize;

use crate::message::{Seq, write_json};

/// A statement and the posts that prove it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Statement<'a> {
    /// What is said.
    pub text: &'a str,
    /// Which posts say so, ascending.
    pub ids: &'a [Seq],
}

/// Everything that the answer to a summary request says.
#[derive(Clone, Debug, Default)]
pub struct Report<'a> {
    /// The whole range in two or three sentences.
    pub summary: Statement<'a>,
    /// What happened.
    pub bullet_points: Vec<Statement<'a>>,
    /// What was decided.
    pub key_decisions: Vec<Statement<'a>>,
    /// Who has to do what.
    pub action_items: Vec<Statement<'a>>,
    /// What was asked and not answered.
    pub open_questions: Vec<Statement<'a>>,
    /// What this reader missed.
    pub unread_summary: Statement<'a>,
    /// How many posts by others this reader had not read.
    pub unread_count: u64,
    /// How many posts the asked range has.
    pub total_messages: u64,
    /// How many of them the engine has looked at itself.
    pub messages_read: u64,
    /// Who wrote in the range, in the order of their first post.
    pub participants: Vec<&'a str>,
    /// Who wrote the summary: `embedded`, or a service and its model.
    pub engine: &'a str,
    /// The first post that the summary covers, 0 for none.
    pub from_id: Seq,
    /// The last post that the summary covers, 0 for none.
    pub to_id: Seq,
    /// Whether the summary was made before.
    pub cached: bool,
    /// Why not all is as it was asked for.
    pub notice: Option<&'a str>,
}

#[derive(Serialize)]
struct Progress {
    done: u64,
    of: u64,
}

/// How far a summary is: `{"done":1,"of":4}`.
pub fn progress(done: u64, of: u64) -> Vec<u8> {
    let mut out = Vec::new();
    write_json(&mut out, &Progress { done, of });
    out
}

#[derive(Serialize)]
struct WireReport<'a> {
    summary: &'a str,
    bullet_points: Vec<&'a str>,
    key_decisions: Vec<&'a str>,
    action_items: Vec<&'a str>,
    open_questions: Vec<&'a str>,
    unread_summary: &'a str,
    unread_count: u64,
    total_messages: u64,
    participants: &'a [&'a str],
    engine: &'a str,
    from_id: Seq,
    to_id: Seq,
    messages_read: u64,
    cached: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<&'a str>,
    sources: WireSources<'a>,
}

#[derive(Serialize)]
struct WireSources<'a> {
    summary: &'a [Seq],
    bullet_points: Vec<&'a [Seq]>,
    key_decisions: Vec<&'a [Seq]>,
    action_items: Vec<&'a [Seq]>,
    open_questions: Vec<&'a [Seq]>,
    unread_summary: &'a [Seq],
}

/// The body of the answer.
pub fn encode(report: &Report<'_>) -> Vec<u8> {
    fn texts<'a>(list: &[Statement<'a>]) -> Vec<&'a str> {
        list.iter().map(|statement| statement.text).collect()
    }
    fn ids<'a>(list: &[Statement<'a>]) -> Vec<&'a [Seq]> {
        list.iter().map(|statement| statement.ids).collect()
    }
    let wire = WireReport {
        summary: report.summary.text,
        bullet_points: texts(&report.bullet_points),
        key_decisions: texts(&report.key_decisions),
        action_items: texts(&report.action_items),
        open_questions: texts(&report.open_questions),
        unread_summary: report.unread_summary.text,
        unread_count: report.unread_count,
        total_messages: report.total_messages,
        participants: &report.participants,
        engine: report.engine,
        from_id: report.from_id,
        to_id: report.to_id,
        messages_read: report.messages_read,
        cached: report.cached,
        notice: report.notice,
        sources: WireSources {
            summary: report.summary.ids,
            bullet_points: ids(&report.bullet_points),
            key_decisions: ids(&report.key_decisions),
            action_items: ids(&report.action_items),
            open_questions: ids(&report.open_questions),
            unread_summary: report.unread_summary.ids,
        },
    };
    let mut out = Vec::new();
    write_json(&mut out, &wire);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_the_contract_is_there_and_a_notice_only_when_there_is_one() {
        let item = Statement { text: "Bob will fix it", ids: &[3, 4] };
        let mut report =
            Report { action_items: vec![item], engine: "embedded", total_messages: 9, ..Report::default() };
        let text = |report: &Report| String::from_utf8(encode(report)).unwrap();
        let whole = text(&report);
        for field in [
            "summary",
            "bullet_points",
            "key_decisions",
            "action_items",
            "open_questions",
            "unread_summary",
            "unread_count",
            "total_messages",
            "participants",
            "engine",
            "from_id",
            "to_id",
            "messages_read",
            "cached",
            "sources",
        ] {
            assert!(whole.contains(&format!("\"{field}\":")), "{field} is missing in {whole}");
        }
        assert!(whole.contains(r#""action_items":["Bob will fix it"]"#) && whole.contains(r#""action_items":[[3,4]]"#));
        assert!(!whole.contains("notice"));
        report.notice = Some("no key");
        assert!(text(&report).contains(r#""notice":"no key""#));
    }
}
