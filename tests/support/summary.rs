//! A talk in a room of the real server, and its summary as the contract has it.

use std::time::Duration;

use super::support::{Http, Server, Value, WAIT, json};

pub fn say(server: &Server, room: &str, author: &str, text: &str) {
    let target = format!("/api/messages?username={author}&room={room}");
    let response = server.post(&target, &json!({"message": text}).to_string());
    assert_eq!(response.status, 201, "{}", response.text());
}

pub fn say_release_talk(server: &Server, room: &str) {
    for (author, text) in [
        ("Ann", "Good morning! When do we ship the release?"),
        ("Bob", "I think Friday, the audit needs two more days"),
        ("Ann", "ok, let's ship the release on Friday"),
        ("Bob", "agreed"),
        ("Cid", "I'll write the changelog by Thursday"),
        ("Ann", "Who can update the website?"),
    ] {
        say(server, room, author, text);
    }
}

/// A summary: 200, with every field of the contract.
#[allow(dead_code, reason = "only some of the test files ask it")]
pub fn told(server: &Server, query: &str) -> Value {
    told_within(server, query, WAIT)
}

/// The same from a service that takes its time.
pub fn told_within(server: &Server, query: &str, limit: Duration) -> Value {
    let response = Http::patient(server, limit).post(&format!("/api/summarize?{query}"), "");
    assert_eq!(response.status, 200, "{}", response.text());
    let body = response.json();
    for field in ["summary", "unread_summary", "engine"] {
        assert!(body[field].as_str().is_some_and(|text| !text.is_empty()), "{field} in {body:#}");
    }
    for field in ["bullet_points", "key_decisions", "action_items", "open_questions"] {
        let (list, sources) = (body[field].as_array().expect(field), body["sources"][field].as_array().expect(field));
        assert!(list.iter().all(|item| item.is_string()) && list.len() == sources.len(), "{field} in {body:#}");
        assert!(sources.iter().all(|ids| ids.as_array().is_some_and(|ids| !ids.is_empty())), "{field} in {body:#}");
    }
    for field in ["total_messages", "unread_count", "from_id", "to_id"] {
        assert!(body[field].is_u64(), "{field} in {body:#}");
    }
    assert!(body["cached"].is_boolean() && body["participants"].is_array(), "{body:#}");
    body
}

#[allow(dead_code, reason = "only some of the test files have one")]
/// Nobody is told the key: neither who asked nor who reads the console.
pub fn assert_no_key(server: &Server, said: &str, key: &str) {
    let lines = [server.stdout(), server.stderr()].concat().join("\n");
    assert!(!said.contains(key), "the key is in the answer: {said}");
    assert!(!lines.contains(key), "the key is on the console: {lines}");
}
