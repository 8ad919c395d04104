//! The JSON of a console line, for `--log-format json`: one object a line.

use std::fmt::Write as _;

use chrono::{SecondsFormat, TimeZone, Utc};
use serde::Serialize;

use crate::message::Uuid;

/// What a line says; a field that is not there is left out.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct ConsoleLine<'a> {
    /// `connected`, `disconnected`, `message`, `online`, `note` or `missed`.
    pub event: &'static str,
    /// Who.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<&'a str>,
    /// The UUID of a user's connection; for a message that a program posted, of the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<Uuid>,
    /// Where from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<&'a str>,
    /// In which room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<&'a str>,
    /// What was said, or what the person who runs the server should know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<&'a str>,
    /// Connections that are in a room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub online: Option<usize>,
    /// Lines that were not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missed: Option<u64>,
}

/// Appends a line and its end. `at_ms` is in milliseconds since 1970 and is written as RFC 3339 in UTC.
///
/// What a terminal would obey or show as nothing is written as `\uXXXX`, although JSON would allow it as it is.
pub fn append(out: &mut String, at_ms: i64, line: ConsoleLine<'_>) {
    let time = Utc.timestamp_millis_opt(at_ms).single().unwrap_or_default();
    out.push_str("{\"time\":\"");
    out.push_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true));
    out.push_str("\",");
    let json = serde_json::to_string(&line).expect("this type has string keys only");
    for c in json.chars().skip(1) {
        match c {
            '\u{7f}'..='\u{9f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                write!(out, "\\u{:04x}", c as u32).expect("a String takes every write");
            }
            c => out.push(c),
        }
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_object_with_its_time_first_and_nothing_in_it_ends_it() {
        let mut out = String::new();
        let said = "hi\n\u{1b}[2J\u{9b}\u{2028}\u{202e}\"é\\";
        let line = ConsoleLine { event: "message", user: Some("Eve"), message: Some(said), ..ConsoleLine::default() };
        append(&mut out, 1_769_509_845_123, line);
        let expect = concat!(
            r#"{"time":"2026-01-27T10:30:45.123Z","event":"message","user":"Eve","#,
            r#""message":"hi\n\u001b[2J\u009b\u2028\u202e\"é\\"}"#,
            "\n"
        );
        assert_eq!(out, expect);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&out).unwrap()["message"], said);
    }
}
