//! What the fuzzers do with their bytes: each function takes what a stranger could send and asserts what must hold.
//!
//! `fuzz_targets/` hands them to libFuzzer; `tests/fuzz.rs` runs them over the corpora and over seeded mutations.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use catchup::extract::{self, Item, Line};
use catchup::history::{Durability, Store};
use catchup::http::{BODY_BYTES_MAX, Query, Reader, Reply, Request, Response, Version, route};
use catchup::message::{self, CLIENT_ID_BYTES_MAX, Encoder, Event, Post, Uuid};
use catchup::ws::{self, MESSAGE_BYTES_MAX, Session, Step};
use catchup::{api, archive};
use serde_json::value::RawValue;
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message};

/// A target of the fuzzers.
pub type Target = fn(&[u8]);

/// All of them, under the names of their corpora, and how many mutations of it a test has time for.
pub const TARGETS: &[(&str, Target, u32)] = &[
    ("request", request, 4_000),
    ("query", query, 4_000),
    ("frames", frames, 4_000),
    ("client_json", client_json, 4_000),
    ("import", import, 100),
    ("database", database, 100),
    ("extract", extract, 150),
];

/// Cuts `bytes` in pieces of lengths that come from their own first bytes.
fn pieces(bytes: &[u8]) -> Vec<&[u8]> {
    let mut sizes = bytes.iter().take(8).map(|byte| 1 + usize::from(byte % 61)).collect::<Vec<_>>().into_iter().cycle();
    let (mut rest, mut pieces) = (bytes, Vec::new());
    while let Some(size) = sizes.next().filter(|_| !rest.is_empty()) {
        let (piece, more) = rest.split_at(size.min(rest.len()));
        pieces.push(piece);
        rest = more;
    }
    pieces
}

/// What a connection's bytes are understood as: its requests, and the error that ends it.
fn read_requests(pieces: &[&[u8]]) -> (Vec<Request>, Option<String>) {
    let (mut reader, mut requests) = (Reader::default(), Vec::new());
    for piece in pieces {
        reader.receive(piece);
        loop {
            match reader.next() {
                Ok(Some(request)) => requests.push(request),
                Ok(None) => break,
                Err(error) => {
                    reader.receive(b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n");
                    assert!(reader.next().is_err(), "nothing is read behind an error");
                    return (requests, Some(error.detail()));
                }
            }
        }
        assert!(!reader.is_full(), "who waits for more can take more");
    }
    (requests, None)
}

/// A connection's bytes: heads, bodies, pipelined requests. How they were cut must change nothing.
pub fn request(bytes: &[u8]) {
    // One read of the server: a reader takes so much at once.
    let bytes = &bytes[..bytes.len().min(64 * 1024)];
    let whole = read_requests(&[bytes]);
    let cut = read_requests(&pieces(bytes));
    assert_eq!(whole, cut, "cut otherwise, read otherwise");
    for request in whole.0 {
        assert!(request.body.len() <= BODY_BYTES_MAX);
        assert!(request.headers.get("host").is_some() || request.version == Version::Http10);
        for name in request.query.names() {
            drop(request.query.get(name));
        }
        let response = match (route(&request.method, &request.path), ws::upgrade(&request)) {
            (Ok(_), Ok(response)) => response,
            (Ok(_), Err((status, told))) => api::refusal(status, told),
            (Err(error), _) => error.into(),
        };
        check_response(&response, request.version);
    }
}

/// A response is one head without a line that a client has put there.
fn check_response(response: &Response, version: Version) {
    let mut out = Vec::new();
    response
        .write(&mut out, &Reply { date: "Sun, 06 Nov 1994 08:49:37 GMT", is_head: true, keep_alive: true, version });
    let head = str::from_utf8(&out).expect("a head is ASCII");
    assert!(head.starts_with("HTTP/1.1 ") && head.ends_with("\r\n\r\n"), "{head:?}");
    assert_eq!(head.matches("\r\n\r\n").count(), 1, "{head:?}");
    assert!(head.lines().all(|line| !line.contains('\r')), "{head:?}");
}

/// The query of a request, against a decoder that is slow and plain.
pub fn query(bytes: &[u8]) {
    if bytes.len() > 4000 || bytes.iter().any(|byte| matches!(byte, 0..=b' ' | b'#' | 0x7f)) {
        return;
    }
    let Some(read) = query_of(bytes) else {
        assert!(expect_pairs(bytes).is_none(), "a good query is refused");
        return;
    };
    let expect = expect_pairs(bytes).expect("a bad query is taken");
    let names: Vec<&str> = expect.iter().map(|(name, _)| &**name).collect();
    assert!(read.names().eq(names.iter().copied()));
    for (name, value) in &expect {
        match names.iter().filter(|other| *other == name).count() {
            1 => assert_eq!(read.get(name), Ok(Some(&**value))),
            _ => assert!(read.get(name).is_err(), "{name:?} is given twice"),
        }
    }
}

fn query_of(raw: &[u8]) -> Option<Query> {
    let mut reader = Reader::default();
    reader.receive(&[b"GET /?", raw, b" HTTP/1.1\r\nHost: x\r\n\r\n"].concat());
    Some(reader.next().ok()?.expect("a whole request").query)
}

fn expect_pairs(raw: &[u8]) -> Option<Vec<(String, String)>> {
    let decode = |part: &[u8]| {
        let (mut bytes, mut at) = (Vec::new(), 0);
        while at < part.len() {
            bytes.push(match part[at] {
                b'+' => b' ',
                b'%' => {
                    let digits = part.get(at + 1..at + 3).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
                    at += 2;
                    u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?
                }
                byte => byte,
            });
            at += 1;
        }
        String::from_utf8(bytes).ok()
    };
    let pair = |part: &[u8]| {
        let (name, value) = match part.iter().position(|byte| *byte == b'=') {
            Some(at) => (&part[..at], &part[at + 1..]),
            None => (part, &[][..]),
        };
        Some((decode(name)?, decode(value)?))
    };
    raw.split(|byte| *byte == b'&').filter(|part| !part.is_empty()).map(pair).collect()
}

/// What came of a session: messages, the last step, the bytes of its replies.
#[derive(Debug, Default, PartialEq)]
struct Heard {
    messages: Vec<Message>,
    /// `None`: it goes on. 0: the peer said goodbye.
    end: Option<u16>,
    replies: Vec<u8>,
}

fn hear(pieces: &[&[u8]]) -> Heard {
    let (mut session, mut heard) = (Session::new(MESSAGE_BYTES_MAX), Heard::default());
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut input = piece.as_mut_slice();
        loop {
            match session.next(&mut input, &mut heard.replies) {
                Step::Text(text) => heard.messages.push(Message::text(&*text)),
                Step::Binary(bytes) => heard.messages.push(Message::Binary(bytes)),
                Step::Empty => break,
                Step::Closed => heard.end = Some(0),
                Step::Broken(code) => {
                    assert!(matches!(code, 1002 | 1007 | 1009), "{code}");
                    let before = heard.replies.len();
                    session.close(code, "why", &mut heard.replies);
                    assert_eq!(heard.replies[before], 0x88, "the close frame can still be written");
                    heard.replies.truncate(before);
                    heard.end = Some(code);
                }
            }
            if heard.end.is_some() {
                return heard;
            }
        }
    }
    heard
}

/// The frames of a client: cut otherwise they must mean the same, and the same as tungstenite alone makes of them.
pub fn frames(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(256 * 1024)];
    let heard = hear(&[bytes]);
    assert_eq!(heard, hear(&pieces(bytes)), "cut otherwise, heard otherwise");
    let expect = hear_plainly(bytes);
    let is_same = match heard.end {
        // Told earlier than tungstenite tells it, but never on other messages.
        Some(1002..) => expect.messages.starts_with(&heard.messages) && expect.replies.starts_with(&heard.replies),
        _ => heard == expect,
    };
    assert!(is_same, "{heard:?}, and tungstenite alone: {expect:?}");
    for message in &heard.messages {
        assert!(message.len() <= MESSAGE_BYTES_MAX);
        if let Message::Text(text) = message {
            client_json(text.as_bytes());
        }
    }
}

/// A peer whose bytes are all there.
struct Peer<'a> {
    input: &'a [u8],
    output: &'a mut Vec<u8>,
}

impl Read for Peer<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.input.is_empty() { Err(io::ErrorKind::WouldBlock.into()) } else { self.input.read(buffer) }
    }
}

impl Write for Peer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn hear_plainly(bytes: &[u8]) -> Heard {
    let config = WebSocketConfig::default()
        .write_buffer_size(0)
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX));
    let mut context = WebSocketContext::new(Role::Server, Some(config));
    let mut heard = Heard::default();
    let mut peer = Peer { input: bytes, output: &mut heard.replies };
    loop {
        match context.read(&mut peer) {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => heard.messages.push(message),
            Ok(_) => {}
            Err(Error::Io(_)) => return heard,
            Err(Error::ConnectionClosed | Error::AlreadyClosed) => {
                heard.end = Some(0);
                return heard;
            }
            Err(_) => {
                heard.end = Some(1002);
                return heard;
            }
        }
    }
}

/// A client's text frame, and the body of a post over HTTP; what is taken is encoded for the others.
pub fn client_json(bytes: &[u8]) {
    if let Ok((text, client_id)) = message::parse_post_body(bytes) {
        assert!(client_id.as_ref().is_none_or(|id| (1..=CLIENT_ID_BYTES_MAX).contains(&id.len())));
        say(&text, client_id.as_deref());
    }
    let Ok(frame) = str::from_utf8(bytes) else { return };
    match message::parse_request(frame) {
        Ok(message::Request::Say { text, client_id }) => {
            if !frame.trim_start().starts_with('{') {
                assert_eq!(text, frame);
            }
            assert!(client_id.as_ref().is_none_or(|id| (1..=CLIENT_ID_BYTES_MAX).contains(&id.len())));
            say(&text, client_id.as_deref());
        }
        Ok(message::Request::Typing | message::Request::Read { .. }) => {
            // Not a `Value`: half a surrogate pair may stand in what is not looked at.
            assert!(serde_json::from_str::<&RawValue>(frame).is_ok(), "read as JSON, which it is not");
        }
        Err(refusal) => assert!(refusal.message.len() < 1000, "a frame is not repeated in what is said of it"),
    }
}

fn say(text: &str, client_id: Option<&str>) {
    if message::check_text(text).is_err() {
        return;
    }
    let post = Post {
        seq: 1,
        uuid: Uuid::nil(),
        author: "Ann".into(),
        text: text.into(),
        at_ms: 0,
        client_id: client_id.map(Into::into),
    };
    show(&post);
}

/// Encodes a post as all members get it: JSON in which its words are found again.
fn show(post: &Post) {
    let (mut encoder, mut out) = (Encoder::default(), Vec::new());
    encoder.event(&mut out, &Event::Message(post.clone()));
    let read: serde_json::Value = serde_json::from_slice(&out).expect("what we write is JSON");
    assert_eq!(read["message"], *post.text);
    assert_eq!(read["sender"], *post.author);
    assert_eq!(read["id"], post.seq);
    let mut listed = Vec::new();
    encoder.listed(&mut listed, post);
    assert!(serde_json::from_slice::<serde_json::Value>(&listed).is_ok());
}

/// A directory for databases, in memory where Linux has one; it goes with this value.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Directory {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = base.join(format!("catchup-fuzz-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("a temporary directory can be made");
        Directory(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn exported(path: &Path) -> Vec<u8> {
    let mut lines = Vec::new();
    archive::export(path, None, &mut lines).expect("what was imported can be exported");
    lines
}

/// The lines that `catchup import` reads: all of them come out again, or none was taken.
pub fn import(bytes: &[u8]) {
    let mut expect = Vec::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let read = str::from_utf8(line).ok().and_then(|line| message::parse_archive_line(line).ok());
        if let Some((room, post)) = &read {
            show(post);
            let mut written = Vec::new();
            message::archive_line(room, post, &mut written);
            expect.push(written);
        }
    }
    let directory = Directory::new();
    let (first, second) = (directory.0.join("first.db"), directory.0.join("second.db"));
    match archive::import(&first, &mut &*bytes) {
        Ok(counts) => {
            let lines = exported(&first);
            // Rooms come out one after the other.
            let mut written: Vec<_> = lines.split_inclusive(|byte| *byte == b'\n').collect();
            written.sort();
            expect.sort();
            assert_eq!(written, expect);
            assert_eq!(counts.posts, expect.len() as u64);
            let again = archive::import(&second, &mut &*lines).expect("what was exported can be imported");
            assert_eq!(again, counts);
            assert_eq!(exported(&second), lines);
        }
        Err(error) => {
            assert!(error.to_string().len() < 1000, "a line is not repeated in what is said of it");
            assert!(exported(&first).is_empty(), "all of the lines, or none");
        }
    }
}

/// Any file under the name of the database: it is opened or refused, and read or refused.
pub fn database(bytes: &[u8]) {
    let directory = Directory::new();
    let path = directory.0.join("any.db");
    fs::write(&path, bytes).expect("the directory can be written");
    if let Ok(store) = Store::open(&path, Durability::Process) {
        drop(store);
        drop(archive::export(&path, None, &mut io::sink()));
    }
}

/// A conversation, one message a line, to the embedded summarizer. The first byte of a line says whose it is.
pub fn extract(bytes: &[u8]) {
    const PEOPLE: [&str; 5] = ["Ann", "Bob", "Zoë", "田中", "x"];
    let bytes = &bytes[..bytes.len().min(16 * 1024)];
    let text = String::from_utf8_lossy(bytes);
    let line = |(at, line): (usize, &'_ str)| -> Option<(u64, usize, String)> {
        let mut chars = line.chars();
        let sender = chars.next()? as usize % PEOPLE.len();
        Some((10 + 3 * at as u64, sender, chars.as_str().replace('\u{1}', "\n")))
    };
    let told: Vec<_> = text.split('\n').enumerate().filter_map(line).collect();
    let lines: Vec<Line<'_>> =
        told.iter().map(|(id, sender, text)| Line { id: *id, sender: PEOPLE[*sender], text, at_ms: 0 }).collect();
    let ids: BTreeSet<u64> = lines.iter().map(|line| line.id).collect();
    let check = |item: &Item| {
        assert!(item.ids.is_sorted_by(|a, b| a < b), "{item:?}");
        assert!(item.ids.iter().all(|id| ids.contains(id)), "{item:?} rests on what was not said");
        assert!(item.text.chars().count() <= 4_000, "{} characters: {item:?}", item.text.chars().count());
        assert!(!item.text.contains('\n'), "one line: {item:?}");
    };
    let digest = extract::digest(&lines);
    check(&digest.summary);
    assert_eq!(digest.summary.ids.is_empty(), lines.is_empty());
    assert!(digest.key_decisions.len() <= 10 && digest.action_items.len() <= 10 && digest.open_questions.len() <= 6);
    for items in [&digest.bullet_points, &digest.key_decisions, &digest.action_items, &digest.open_questions] {
        items.iter().for_each(check);
    }
    assert_eq!(digest, extract::digest(&lines), "the same words, the same digest");
    let middle = lines.get(lines.len() / 2).map_or(0, |line| line.id);
    let unread = extract::unread(&lines, "Ann", middle);
    check(&unread);
    assert!(unread.ids.iter().all(|id| *id > middle), "{unread:?} was read");
    let best = extract::rank(&lines, 7);
    assert!(best.len() <= 7 && best.iter().all(|id| ids.contains(id)) && best.is_sorted());
}
