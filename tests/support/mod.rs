//! What all end-to-end tests share: the real server in a directory of its own, a WebSocket client, an HTTP client.
//!
//! Nothing here sleeps for luck: every wait is for a condition and ends at a deadline with a sentence.
#![allow(dead_code, unused_imports, reason = "each test file uses its part of this")]

pub mod browser;
pub mod client;
pub mod http;
pub mod page;
pub mod schema;
pub mod server;
mod wait;

use std::time::Duration;

pub use client::Client;
pub use http::{Http, Response};
pub use serde_json::{Value, json};
pub use server::{Server, Setup};
pub use wait::eventually;

/// How long a test waits for anything that should come at once, on a machine that is busy with other tests.
pub const WAIT: Duration = Duration::from_secs(30);

/// The `id` of each message of a list.
pub fn ids(list: &Value) -> Vec<u64> {
    let messages = list["messages"].as_array().unwrap_or_else(|| panic!("no list of messages: {list}"));
    messages.iter().map(|message| message["id"].as_u64().expect("each message has an id")).collect()
}

/// The `message` of each message of a list.
pub fn texts(list: &Value) -> Vec<&str> {
    let messages = list["messages"].as_array().unwrap_or_else(|| panic!("no list of messages: {list}"));
    messages.iter().map(|message| message["message"].as_str().expect("each message has a text")).collect()
}

/// `YYYY-MM-DD HH:MM:SS`.
pub fn is_stamp(text: &str) -> bool {
    let form = b"0000-00-00 00:00:00";
    text.len() == form.len()
        && text.bytes().zip(form).all(|(byte, form)| if *form == b'0' { byte.is_ascii_digit() } else { byte == *form })
}

/// Percent-encodes a value for a query.
pub fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
