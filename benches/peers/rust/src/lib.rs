//! What the Rust peers share: options, the protocol's JSON, and a clock. No server.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use serde::{Deserialize, Serialize};

#[derive(Parser)]
pub struct Options {
    #[arg(long, default_value_t = 8000)]
    pub port: u16,
    /// Tell of joins and leaves
    #[arg(long, value_enum, default_value = "on")]
    pub announce: Switch,
    /// Write out once for all frames that wait, instead of once for each
    #[arg(long)]
    pub batch: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event<'a> {
    Message { sender: &'a str, message: &'a str, timestamp: &'a str, id: u64 },
    System { message: String },
    UserCount { count: usize },
}

impl Event<'_> {
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers become JSON")
    }
}

pub fn welcome(name: &str) -> String {
    Event::System { message: format!("Welcome to the chat, {name}!") }.json()
}

pub fn joined(name: &str) -> String {
    Event::System { message: format!("{name} joined the chat") }.json()
}

pub fn left(name: &str) -> String {
    Event::System { message: format!("{name} left the chat") }.json()
}

pub fn user_count(count: usize) -> String {
    Event::UserCount { count }.json()
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    message: Cow<'a, str>,
}

/// Numbers messages and stamps them. The time of day is formatted once a second.
pub struct Press {
    last_id: AtomicU64,
    stamp: std::sync::Mutex<(Instant, String)>,
}

impl Default for Press {
    fn default() -> Self {
        Press { last_id: AtomicU64::new(0), stamp: std::sync::Mutex::new((Instant::now(), now())) }
    }
}

impl Press {
    /// The frame for everyone else, from what a client sent; `None` if that was no message.
    pub fn print(&self, sender: &str, text: &str) -> Option<String> {
        let request: Request = serde_json::from_str(text).ok()?;
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let mut stamp = self.stamp.lock().expect("nobody panics while holding it");
        if stamp.0.elapsed() > Duration::from_secs(1) {
            *stamp = (Instant::now(), now());
        }
        Some(Event::Message { sender, message: &request.message, timestamp: &stamp.1, id }.json())
    }
}

fn now() -> String {
    chrono::Local::now().format("%Y-%m-%d %H:%M:%S").to_string()
}
