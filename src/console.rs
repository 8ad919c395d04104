//! The console: a line for each thing people like to see, written by a thread of its own.
//!
//! A stalled terminal stalls only that thread: lines that find the queue full are counted, and the count is
//! printed once there is room. Nothing here decides what is worth a line.

use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::message::line::{self, ConsoleLine};
use crate::message::{Encoder, Uuid};
use crate::peer::Peer;

/// Lines that wait for the terminal; more are counted and not shown.
pub const LINES_MAX: usize = 4096;
/// Lines made into one write.
const LINES_PER_WRITE: usize = 256;
/// How long the end of the server waits for the terminal to take the last lines.
const FAREWELL_MS_MAX: u64 = 300;

/// A line on standard error. Who has closed it does not want to know, and ends nothing by that.
pub fn complain(line: fmt::Arguments<'_>) {
    drop(writeln!(io::stderr().lock(), "{line}"));
}

/// What a line tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// `User 'Alice' (a1b2c3d4...) connected from 127.0.0.1`
    Connected {
        /// The name.
        name: Arc<str>,
        /// The connection's UUID.
        user: Uuid,
        /// The room.
        room: Arc<str>,
        /// Where from.
        peer: Peer,
    },
    /// `Alice (a1b2c3d4...) disconnected`
    Disconnected {
        /// The name.
        name: Arc<str>,
        /// The connection's UUID.
        user: Uuid,
        /// The room.
        room: Arc<str>,
    },
    /// `Alice (a1b2c3d4...): Hello, Bob!`
    Said {
        /// The name.
        name: Arc<str>,
        /// The connection's UUID.
        user: Uuid,
        /// The room.
        room: Arc<str>,
        /// The text.
        text: Box<str>,
    },
    /// `Total users online: 1`
    Online(usize),
    /// Something that the person who runs the server should know.
    Note(String),
    /// `… 1,203 lines not shown`, without a time: the terminal was too slow.
    Missed(u64),
}

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// For programs: a JSON object a line.
    Json,
}

/// One line and its time, in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When.
    pub at_ms: i64,
    /// What.
    pub news: News,
}

impl Line {
    /// Appends `[YYYY-MM-DD HH:MM:SS] …` and a line end; control characters are escaped, so no text forges a line.
    pub fn write(&self, out: &mut String, encoder: &mut Encoder) {
        if let News::Missed(count) = self.news {
            let _ = writeln!(out, "… {} lines not shown", grouped(count));
            return;
        }
        out.push('[');
        out.push_str(encoder.stamp(self.at_ms));
        out.push_str("] ");
        match &self.news {
            News::Connected { name, user, peer, .. } => {
                out.push_str("User '");
                escape(out, name);
                let _ = write!(out, "' ({}...) connected from {peer}", short(user));
            }
            News::Disconnected { name, user, .. } => {
                escape(out, name);
                let _ = write!(out, " ({}...) disconnected", short(user));
            }
            News::Said { name, user, text, .. } => {
                escape(out, name);
                let _ = write!(out, " ({}...): ", short(user));
                escape(out, text);
            }
            News::Online(count) => {
                let _ = write!(out, "Total users online: {count}");
            }
            News::Note(text) => escape(out, text),
            News::Missed(_) => {}
        }
        out.push('\n');
    }

    /// Appends the same as one JSON object and a line end. The UUID stands there whole.
    pub fn write_json(&self, out: &mut String) {
        let none = ConsoleLine::default();
        let line = match &self.news {
            News::Connected { name, user, room, peer } => {
                let peer = peer.to_string();
                let (connection, address) = (Some(*user), Some(&*peer));
                let line =
                    ConsoleLine { event: "connected", user: Some(name), connection, address, room: Some(room), ..none };
                return line::append(out, self.at_ms, line);
            }
            News::Disconnected { name, user, room } => {
                let connection = Some(*user);
                ConsoleLine { event: "disconnected", user: Some(name), connection, room: Some(room), ..none }
            }
            News::Said { name, user, room, text } => {
                let (connection, message) = (Some(*user), Some(&**text));
                ConsoleLine { event: "message", user: Some(name), connection, room: Some(room), message, ..none }
            }
            News::Online(count) => ConsoleLine { event: "online", online: Some(*count), ..none },
            News::Note(text) => ConsoleLine { event: "note", message: Some(text), ..none },
            News::Missed(count) => ConsoleLine { event: "missed", missed: Some(*count), ..none },
        };
        line::append(out, self.at_ms, line);
    }
}

fn short(user: &Uuid) -> String {
    let mut text = user.to_string();
    text.truncate(8);
    text
}

/// Control characters, and those that break or turn lines around, as `\n`, `\t` or `\u{…}`; a backslash stays as it is.
fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            c if c.is_control() => out.extend(c.escape_default()),
            '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                out.extend(c.escape_unicode())
            }
            c => out.push(c),
        }
    }
}

/// Takes lines without ever waiting.
pub struct Console {
    lines: Option<SyncSender<Line>>,
    missed: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Console {
    /// A console that writes to `out` from a thread of its own.
    pub fn start(out: impl Write + Send + 'static, form: Form) -> io::Result<Console> {
        let (lines, queue) = sync_channel(LINES_MAX);
        let missed = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&missed);
        let thread = thread::Builder::new().name("console".into()).spawn(move || print(&queue, &counter, form, out))?;
        Ok(Console { lines: Some(lines), missed, thread: Some(thread) })
    }

    /// A console that says nothing.
    pub fn quiet() -> Console {
        Console { lines: None, missed: Arc::default(), thread: None }
    }

    /// Whether lines are printed at all: if not, they need not be made.
    pub fn is_quiet(&self) -> bool {
        self.lines.is_none()
    }

    /// Prints a line, or counts it as missed if the terminal is too slow.
    pub fn print(&self, line: Line) {
        let Some(lines) = &self.lines else { return };
        match lines.try_send(line) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.missed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Lines not shown so far and not yet told.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// Ends the thread once the last lines are out, or a stalled terminal has had its chance.
    pub fn close(mut self) {
        self.lines = None;
        let Some(thread) = self.thread.take() else { return };
        let end = Instant::now() + Duration::from_millis(FAREWELL_MS_MAX);
        while !thread.is_finished() && Instant::now() < end {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn print(queue: &Receiver<Line>, missed: &AtomicU64, form: Form, mut out: impl Write) {
    let (mut text, mut encoder) = (String::new(), Encoder::default());
    let mut write = |text: &mut String, line: &Line| match form {
        Form::Text => line.write(text, &mut encoder),
        Form::Json => line.write_json(text),
    };
    while let Ok(first) = queue.recv() {
        text.clear();
        write(&mut text, &first);
        let mut at_ms = first.at_ms;
        for line in queue.try_iter().take(LINES_PER_WRITE) {
            write(&mut text, &line);
            at_ms = line.at_ms;
        }
        let count = missed.swap(0, Ordering::Relaxed);
        if count > 0 {
            write(&mut text, &Line { at_ms, news: News::Missed(count) });
        }
        // A terminal that is gone takes no more lines; the chat goes on.
        if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
            return;
        }
    }
}

/// 1203 as `1,203`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Sender, channel};
    use std::sync::{Condvar, Mutex};

    fn written(news: News) -> String {
        let (mut out, mut encoder) = (String::new(), Encoder::default());
        Line { at_ms: 0, news }.write(&mut out, &mut encoder);
        out.split_once("] ").expect("a line begins with its time").1.to_owned()
    }

    #[test]
    fn no_text_and_no_name_forges_a_line() {
        let user = crate::message::fresh_uuid();
        let text = "hi\n[2026-01-27 10:30:45] Total users online: 99\r\x1b[2J\u{2028}x".into();
        let line = written(News::Said { name: "Eve\n".into(), user, room: "lobby".into(), text });
        assert_eq!(line.matches('\n').count(), 1);
        assert!(line.starts_with("Eve\\n ("));
        assert!(line.ends_with("hi\\n[2026-01-27 10:30:45] Total users online: 99\\r\\u{1b}[2J\\u{2028}x\n"));
    }

    /// A terminal that takes nothing until it is told to.
    struct Stalled {
        gate: Arc<(Mutex<bool>, Condvar)>,
        out: Sender<String>,
    }

    impl Write for Stalled {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.out.send(String::new()).expect("the test listens");
            let mut open = self.gate.0.lock().expect("no test panics inside");
            while !*open {
                open = self.gate.1.wait(open).expect("no test panics inside");
            }
            self.out.send(String::from_utf8_lossy(bytes).into_owned()).expect("the test listens");
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stalled_terminal_costs_lines_but_never_waiting_and_their_count_is_told() {
        let gate = Arc::new((Mutex::new(false), Condvar::new()));
        let (out, seen) = channel();
        let console = Console::start(Stalled { gate: Arc::clone(&gate), out }, Form::Text).unwrap();
        let all = LINES_MAX * 2;
        console.print(Line { at_ms: 0, news: News::Online(0) });
        // Once it is in its first write it takes no more lines, and does not look at the count.
        assert_eq!(seen.recv().unwrap(), "");
        for count in 1..all {
            console.print(Line { at_ms: 0, news: News::Online(count) });
        }
        let missed = console.missed();
        assert!(missed > 0);
        *gate.0.lock().unwrap() = true;
        gate.1.notify_all();
        let mut text = String::new();
        while text.lines().count() as u64 != all as u64 - missed + 1 {
            text.push_str(&seen.recv().unwrap());
        }
        assert!(text.contains(&format!("… {} lines not shown", grouped(missed))), "{text}");
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!([grouped(7), grouped(1203), grouped(1_234_567)], ["7", "1,203", "1,234,567"]);
    }
}
