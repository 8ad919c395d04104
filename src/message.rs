//! The words of the chat and their JSON: what a client may say, what it is told, what a post is.
//!
//! The only file of the chat that knows JSON, local time and UUIDs. It decides nothing: rules are in
//! `chat.rs`, bytes on a socket in `ws.rs` and `http.rs`.

pub mod line;
pub mod llm;
pub mod part;
pub mod summary;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{Local, TimeZone};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
pub use uuid::Uuid;

/// The number of a post in its room: 1, 2, 3 … without a gap. 0 stands for "before the first".
pub type Seq = u64;

/// Longest text of one post, in bytes of UTF-8.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;
/// Longest `client_id` of a message, in bytes of UTF-8.
pub const CLIENT_ID_BYTES_MAX: usize = 64;
/// Longest name, in characters after trimming.
pub const NAME_CHARS_MAX: usize = 32;
/// Longest room name, in bytes (which are ASCII characters).
pub const ROOM_BYTES_MAX: usize = 64;
/// The room of everyone who names none.
pub const ROOM_DEFAULT: &str = "lobby";

/// A connection's name inside the server: the slot that it has, and which of the slot's owners it is.
///
/// An answer that comes late finds another generation in the slot, and so never reaches a stranger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId {
    /// Index into the connections.
    pub slot: u32,
    /// Counts the connections ever accepted.
    pub generation: u32,
}

/// A room's index, given by the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomId(pub u32);

/// Why a connection ends. Each has one close code (RFC 6455 section 7.4; of ours 4000-4199 mean come back, 4500-4699 stop).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CloseReason {
    /// The peer closed, or its socket failed.
    Gone,
    /// The peer said goodbye with a close frame.
    Goodbye,
    /// An HTTP exchange that does not keep the connection.
    Finished,
    /// Nothing was asked for 60 s.
    Idle,
    /// The peer broke a rule of the WebSocket protocol; the code says which.
    Protocol(u16),
    /// It took no byte for 30 s.
    Slow,
    /// It did not answer a ping.
    NoPong,
    /// Its name is in use.
    NameTaken,
    /// Its session belongs to somebody else.
    SessionMismatch,
    /// A newer connection of the same session took over.
    Replaced,
    /// The server stops.
    Restart,
}

impl CloseReason {
    /// The code of the close frame and its text (at most 123 bytes).
    pub fn code(self) -> (u16, &'static str) {
        match self {
            CloseReason::Gone | CloseReason::Goodbye | CloseReason::Finished | CloseReason::Idle => (1000, ""),
            CloseReason::Protocol(1003) => (1003, "binary frames are not spoken here: send text"),
            CloseReason::Protocol(1007) => (1007, "text is not UTF-8"),
            CloseReason::Protocol(1009) => (1009, "message is over 65536 bytes"),
            CloseReason::Protocol(code) => (code, "that breaks the WebSocket protocol"),
            CloseReason::Slow => (4001, "took no byte for 30 s"),
            CloseReason::NoPong => (4002, "did not answer a ping"),
            CloseReason::NameTaken => (4500, "that name is in use"),
            CloseReason::SessionMismatch => (4504, "that session belongs to another name"),
            CloseReason::Replaced => (4505, "replaced by a newer connection of the same session"),
            CloseReason::Restart => (1012, "the server restarts"),
        }
    }

    /// What [`CloseReason::name`] can give.
    pub const NAMES: [&'static str; 14] = [
        "gone",
        "goodbye",
        "finished",
        "idle",
        "broken_frame",
        "binary",
        "bad_text",
        "too_long",
        "slow",
        "no_pong",
        "name_taken",
        "session_mismatch",
        "replaced",
        "restart",
    ];

    /// One word for it, for programs.
    pub fn name(self) -> &'static str {
        match self {
            CloseReason::Gone => "gone",
            CloseReason::Goodbye => "goodbye",
            CloseReason::Finished => "finished",
            CloseReason::Idle => "idle",
            CloseReason::Protocol(1003) => "binary",
            CloseReason::Protocol(1007) => "bad_text",
            CloseReason::Protocol(1009) => "too_long",
            CloseReason::Protocol(_) => "broken_frame",
            CloseReason::Slow => "slow",
            CloseReason::NoPong => "no_pong",
            CloseReason::NameTaken => "name_taken",
            CloseReason::SessionMismatch => "session_mismatch",
            CloseReason::Replaced => "replaced",
            CloseReason::Restart => "restart",
        }
    }

    /// Whether the peer itself said that it leaves: then nobody waits for it to come back.
    pub fn is_goodbye(self) -> bool {
        !matches!(self, CloseReason::Gone | CloseReason::Slow | CloseReason::NoPong | CloseReason::Restart)
    }
}

/// A message that is in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// Its place in the room.
    pub seq: Seq,
    /// Unique in the world; `message_id` on the wire.
    pub uuid: Uuid,
    /// Who said it.
    pub author: Arc<str>,
    /// What was said.
    pub text: Box<str>,
    /// When the server took it, in milliseconds since 1970 (UTC).
    pub at_ms: i64,
    /// The sender's own name for the message, if it gave one.
    pub client_id: Option<Box<str>>,
}

/// A message on its way into the log.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The connection that said it.
    pub from: ClientId,
    /// The room that it goes to.
    pub room: Arc<str>,
    /// Who says it.
    pub author: Arc<str>,
    /// What is said, at most [`TEXT_BYTES_MAX`] bytes.
    pub text: Box<str>,
    /// When the server took it, in milliseconds since 1970 (UTC).
    pub at_ms: i64,
    /// The sender's own name for the message, at most [`CLIENT_ID_BYTES_MAX`] bytes.
    pub client_id: Option<Box<str>>,
}

/// What a client asks in one text frame.
#[derive(Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// `{"type":"message","message":…,"client_id":…}`, or a frame that is no JSON object: its whole text.
    Say {
        /// The text as typed.
        text: Cow<'a, str>,
        /// The sender's own name for it.
        client_id: Option<Cow<'a, str>>,
    },
    /// `{"type":"typing"}`.
    Typing,
    /// `{"type":"read","id":N}`: everything up to N was seen.
    Read {
        /// The last post seen.
        seq: Seq,
    },
}

/// What a client did wrong: an `error` frame, with a code for programs and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// One word that programs can rely on.
    pub code: &'static str,
    /// What is wrong and what would be right.
    pub message: String,
    /// The `client_id` of the message that it is about.
    pub client_id: Option<Box<str>>,
}

impl Refusal {
    /// A refusal that is about no message of the client's own numbering.
    pub fn new(code: &'static str, message: impl Into<String>) -> Refusal {
        Refusal { code, message: message.into(), client_id: None }
    }
}

/// Why a `system` line was sent; programs may use it, people read the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    /// To a joiner.
    Welcome,
    /// Others came.
    Join,
    /// Others went.
    Leave,
}

/// What a client is told in one text frame (a `type` and its fields).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A post, in the order of the log.
    Message(Post),
    /// A line for people.
    System {
        /// Why.
        notice: Notice,
        /// The line.
        text: String,
    },
    /// How many are in the room.
    UserCount(usize),
    /// What a `v=2` client needs to come back to where it was.
    Session(Session),
    /// A message of the client's own is stored.
    Ack {
        /// The sender's own name for it.
        client_id: Box<str>,
        /// The id it got (the first one, for a repeat).
        seq: Seq,
        /// Its UUID.
        uuid: Uuid,
        /// When it was stored first, milliseconds since 1970.
        at_ms: i64,
    },
    /// Somebody is typing.
    Typing {
        /// Who.
        sender: Arc<str>,
    },
    /// The client did something wrong.
    Error(Refusal),
}

/// The `session` frame: the position of the room, and how to take this name over after a network drop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Stays the same over reconnects of one session.
    pub user_id: Uuid,
    /// The secret that takes the name over.
    pub token: Uuid,
    /// The room joined.
    pub room: Arc<str>,
    /// Names the history: it changes only when the history was lost or replaced.
    pub epoch: Uuid,
    /// The last post of the room at the join.
    pub last_seq: Seq,
    /// The last post that this user has read.
    pub read_seq: Seq,
    /// Whether everything after the client's `since` is replayed.
    pub resumed: bool,
}

/// A new random UUID (version 4).
pub fn fresh_uuid() -> Uuid {
    Uuid::new_v4()
}

/// Reads a UUID as a client wrote it (an epoch, a session token).
pub fn parse_uuid(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok()
}

/// The name under which names are compared: without regard to case.
pub fn fold(name: &str) -> Box<str> {
    name.chars().filter(|c| *c != '\u{fe0f}').flat_map(char::to_lowercase).collect()
}

/// Checks a name as a person typed it: 1-32 characters after trimming, no control characters, not `System`.
///
/// Errors are sentences for that person. Characters that show as nothing or turn the text around (zero width,
/// bidi overrides) count as control characters: two names that look alike would defeat unique names.
pub fn check_name(raw: Option<&str>) -> Result<&str, String> {
    let name = raw.ok_or("username is missing: add ?username=<name>, 1-32 characters")?.trim();
    if name.is_empty() {
        return Err("username is empty: want 1-32 characters".into());
    }
    let chars = name.chars().count();
    if chars > NAME_CHARS_MAX {
        return Err(format!("username is {chars} characters long, the limit is {NAME_CHARS_MAX}"));
    }
    if let Some(bad) = name.chars().find(|c| is_invisible(*c)) {
        return Err(format!(
            "username has the control character U+{:04X}: use characters that can be seen",
            bad as u32
        ));
    }
    if &*fold(name) == "system" {
        return Err("username \"System\" is the server's own: choose another".into());
    }
    Ok(name)
}

/// Checks a room's name: 1-64 of `a-z 0-9 - _`; none given is the lobby.
pub fn check_room(raw: Option<&str>) -> Result<&str, String> {
    let room = raw.unwrap_or(ROOM_DEFAULT);
    if room.is_empty() || room.len() > ROOM_BYTES_MAX {
        return Err(format!(
            "room is {} characters long: want 1-{ROOM_BYTES_MAX} of a-z 0-9 - _",
            room.chars().count()
        ));
    }
    match room.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-' | '_')) {
        Some(bad) => Err(format!("room has the character {bad:?}: want 1-{ROOM_BYTES_MAX} of a-z 0-9 - _")),
        None => Ok(room),
    }
}

/// Characters that show as nothing, as a blank, or as another order of the text. Not U+FE0F, which emoji need: names are
/// compared without it.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || (c.is_whitespace() && c != ' ')
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0e}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Checks a sender's own name for a message: 1 to [`CLIENT_ID_BYTES_MAX`] bytes; none is fine.
fn check_client_id(id: Option<&str>) -> Result<(), String> {
    match id {
        Some(id) if id.is_empty() || id.len() > CLIENT_ID_BYTES_MAX => {
            Err(format!("client_id is {} bytes long: want 1-{CLIENT_ID_BYTES_MAX}", id.len()))
        }
        _ => Ok(()),
    }
}

/// Checks a text: not blank, at most [`TEXT_BYTES_MAX`] bytes.
pub fn check_text(text: &str) -> Result<(), Refusal> {
    if text.len() > TEXT_BYTES_MAX {
        let told = format!("message is {} bytes long, the limit is {TEXT_BYTES_MAX}; it was not stored", text.len());
        return Err(Refusal::new("message_too_long", told));
    }
    if text.trim().is_empty() {
        return Err(Refusal::new("blank_message", "message is blank; it was not stored"));
    }
    Ok(())
}

#[derive(Deserialize)]
struct WireRequest<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
    #[serde(borrow)]
    client_id: Option<Cow<'a, str>>,
    /// Looked at in a read frame only.
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

/// Reads one text frame. A text that is not a JSON object is a message by itself.
///
/// The text's length and content are not checked here: see [`check_text`].
pub fn parse_request(frame: &str) -> Result<Request<'_>, Refusal> {
    if !frame.trim_start().starts_with('{') {
        return Ok(Request::Say { text: Cow::Borrowed(frame), client_id: None });
    }
    match serde_json::from_str::<WireRequest>(frame) {
        Ok(wire) => request_of(wire),
        Err(error) => parse_odd_request(frame, &error),
    }
}

fn request_of(wire: WireRequest<'_>) -> Result<Request<'_>, Refusal> {
    match wire.kind.as_deref() {
        None | Some("message") => {}
        Some("typing") => return Ok(Request::Typing),
        Some("read") => {
            let want = "a read frame is {\"type\":\"read\",\"id\":N} with a number";
            let seq = wire.id.and_then(|id| id.get().parse().ok());
            return seq.map(|seq| Request::Read { seq }).ok_or_else(|| Refusal::new("bad_read", want));
        }
        Some(other) => {
            let shown: String = other.chars().take(32).collect();
            return Err(Refusal::new(
                "unknown_type",
                format!("type {shown:?} is not known: want message, typing or read"),
            ));
        }
    }
    let client_id = wire.client_id;
    let Some(text) = wire.message else {
        let told = "a message frame is {\"type\":\"message\",\"message\":\"text\"}; \"message\" is missing";
        return Err(Refusal { client_id: bounded(client_id), ..Refusal::new("bad_message", told) });
    };
    check_client_id(client_id.as_deref())
        .map_err(|told| Refusal::new("bad_client_id", format!("{told}; the message was not stored")))?;
    Ok(Request::Say { text, client_id })
}

fn bounded(client_id: Option<Cow<'_, str>>) -> Option<Box<str>> {
    client_id.filter(|id| id.len() <= CLIENT_ID_BYTES_MAX).map(|id| id.into_owned().into())
}

/// Tells an object with a field of the wrong kind (refused) from a text that only begins like an object (a message).
fn parse_odd_request<'a>(frame: &'a str, error: &serde_json::Error) -> Result<Request<'a>, Refusal> {
    type AnyObject<'a> = std::collections::BTreeMap<Cow<'a, str>, IgnoredAny>;
    if serde_json::from_str::<AnyObject>(frame).is_err() {
        return Ok(Request::Say { text: Cow::Borrowed(frame), client_id: None });
    }
    let told = format!(
        "this frame is a JSON object that is not understood ({error}); want {{\"type\":\"message\",\"message\":\"text\"}}"
    );
    Err(Refusal::new("bad_message", told))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WirePost {
    message: String,
    #[serde(default)]
    client_id: Option<String>,
}

/// Reads the body of `POST /api/messages`: `{"message":"…","client_id":"…"}`; the errors are sentences.
pub fn parse_post_body(body: &[u8]) -> Result<(String, Option<String>), String> {
    let wire: WirePost =
        serde_json::from_slice(body).map_err(|error| format!("body is not {{\"message\":\"text\"}}: {error}"))?;
    check_client_id(wire.client_id.as_deref())?;
    Ok((wire.message, wire.client_id))
}

#[derive(Serialize)]
struct WireMessage<'a> {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    sender: &'a str,
    message: &'a str,
    timestamp: &'a str,
    id: Seq,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum WireEvent<'a> {
    System {
        message: &'a str,
        event: Notice,
    },
    UserCount {
        count: usize,
    },
    Session {
        user_id: Uuid,
        session: Uuid,
        room: &'a str,
        epoch: Uuid,
        last_id: Seq,
        read_id: Seq,
        resumed: bool,
    },
    Ack {
        client_id: &'a str,
        id: Seq,
        message_id: Uuid,
        timestamp: &'a str,
    },
    Typing {
        sender: &'a str,
    },
    Error {
        code: &'a str,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        client_id: Option<&'a str>,
    },
}

/// Writes events and posts as JSON, and times as the server's local time.
///
/// One for each thread: it keeps the text of the last second, since formatting a local time costs 1.5 µs.
#[derive(Debug, Default)]
pub struct Encoder {
    second: i64,
    stamp: String,
}

/// How long the day goes on in the server's local time, also where the clocks change before its end: more than
/// nothing, and hardly over 25 hours.
pub fn until_midnight() -> Duration {
    let offset = |second| Local.timestamp_opt(second, 0).earliest().map_or(0, |at| at.offset().local_minus_utc());
    Duration::from_secs(seconds_until_midnight(Local::now().timestamp(), |second| offset(second).into()))
}

/// `offset`: what is added to a UTC time, both in seconds, to have the local one.
fn seconds_until_midnight(now: i64, offset: impl Fn(i64) -> i64) -> u64 {
    const DAY_SECONDS: i64 = 24 * 60 * 60;
    let local = |second: i64| second + offset(second);
    let today = local(now).div_euclid(DAY_SECONDS);
    let guess = now + DAY_SECONDS - local(now).rem_euclid(DAY_SECONDS);
    let right = guess - (local(guess) - (today + 1) * DAY_SECONDS);
    // Where the clocks jump over midnight itself, the new day begins after the jump.
    let ends = if local(right).div_euclid(DAY_SECONDS) > today { right } else { guess };
    u64::try_from(ends - now).unwrap_or(0).max(1)
}

impl Encoder {
    /// `YYYY-MM-DD HH:MM:SS` in the server's local time.
    pub fn stamp(&mut self, at_ms: i64) -> &str {
        let second = at_ms.div_euclid(1000);
        if self.stamp.is_empty() || self.second != second {
            let local = Local.timestamp_opt(second, 0).earliest();
            self.stamp =
                local.map_or_else(|| "0000-00-00 00:00:00".into(), |t| t.format("%Y-%m-%d %H:%M:%S").to_string());
            self.second = second;
        }
        &self.stamp
    }

    /// Appends the JSON of one event, as it goes into a text frame.
    pub fn event(&mut self, out: &mut Vec<u8>, event: &Event) {
        let wire = match event {
            Event::Message(post) => return self.post(out, post, Some("message")),
            Event::System { notice, text } => WireEvent::System { message: text, event: *notice },
            Event::UserCount(count) => WireEvent::UserCount { count: *count },
            Event::Session(s) => WireEvent::Session {
                user_id: s.user_id,
                session: s.token,
                room: &s.room,
                epoch: s.epoch,
                last_id: s.last_seq,
                read_id: s.read_seq,
                resumed: s.resumed,
            },
            Event::Ack { client_id, seq, uuid, at_ms } => {
                WireEvent::Ack { client_id, id: *seq, message_id: *uuid, timestamp: self.stamp(*at_ms) }
            }
            Event::Typing { sender } => WireEvent::Typing { sender },
            Event::Error(r) => {
                WireEvent::Error { code: r.code, message: &r.message, client_id: r.client_id.as_deref() }
            }
        };
        write_json(out, &wire);
    }

    /// Appends the JSON of one post, as it stands in a list of `/api/messages`.
    pub fn listed(&mut self, out: &mut Vec<u8>, post: &Post) {
        self.post(out, post, None);
    }

    fn post(&mut self, out: &mut Vec<u8>, post: &Post, kind: Option<&str>) {
        let wire = WireMessage {
            kind,
            sender: &post.author,
            message: &post.text,
            timestamp: self.stamp(post.at_ms),
            id: post.seq,
            // A frame is copied to every member of the room, and a byte of it costs 0.16 ns each time: `id` names the
            // post there, and its UUID, a quarter of a short frame, stands in the lists.
            message_id: kind.is_none().then_some(post.uuid),
            client_id: post.client_id.as_deref(),
        };
        write_json(out, &wire);
    }
}

fn write_json(out: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(out, value).expect("a Vec takes every write, and these types have string keys only");
}

/// The JSON of any value that this file has a type for, as a body.
fn json(value: &impl Serialize) -> Vec<u8> {
    let mut out = Vec::new();
    write_json(&mut out, value);
    out
}

/// `{"detail":"…"}`: the body of every HTTP error.
pub fn detail(text: &str) -> Vec<u8> {
    #[derive(Serialize)]
    struct Detail<'a> {
        detail: &'a str,
    }
    json(&Detail { detail: text })
}

/// `{"status":"…"}`: the body of the health endpoints.
pub fn status(text: &str) -> Vec<u8> {
    #[derive(Serialize)]
    struct Status<'a> {
        status: &'a str,
    }
    json(&Status { status: text })
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.slot, self.generation)
    }
}

/// Writes `{"messages":[…],…}` piece by piece, so that a long list never lies in memory whole.
#[derive(Debug, Default)]
pub struct ListWriter {
    has_items: bool,
}

/// What follows the messages of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ListTail {
    /// Messages in the room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_count: Option<Seq>,
    /// Messages by others that the user has not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unread_count: Option<u64>,
    /// The last message that the user has read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_id: Option<Seq>,
    /// The last message of the room.
    pub last_id: Seq,
    /// Names the history that the ids count in.
    pub epoch: Uuid,
    /// How many messages were given at most, if there was a bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

impl ListWriter {
    /// Appends the beginning.
    pub fn open(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"messages\":[");
    }

    /// Appends one message.
    pub fn item(&mut self, out: &mut Vec<u8>, encoder: &mut Encoder, post: &Post) {
        if std::mem::replace(&mut self.has_items, true) {
            out.push(b',');
        }
        encoder.listed(out, post);
    }

    /// Appends the end.
    pub fn close(&mut self, out: &mut Vec<u8>, tail: &ListTail) {
        out.extend_from_slice(b"],");
        out.extend_from_slice(&json(tail)[1..]);
    }
}

/// One post by itself: the answer to a post by a program.
pub fn post_body(encoder: &mut Encoder, post: &Post) -> Vec<u8> {
    let mut out = Vec::new();
    encoder.listed(&mut out, post);
    out
}

/// A room in the answer of `GET /api/rooms`.
#[derive(Clone, Debug, Serialize)]
pub struct RoomEntry {
    /// Its name.
    pub room: Arc<str>,
    /// People in it.
    pub online: usize,
    /// Posts in it.
    pub messages: Seq,
}

/// `{"rooms":[…]}`.
pub fn rooms_body(rooms: &[RoomEntry]) -> Vec<u8> {
    #[derive(Serialize)]
    struct Rooms<'a> {
        rooms: &'a [RoomEntry],
    }
    json(&Rooms { rooms })
}

/// `{"room":…,"users":[…],"count":N}`.
pub fn users_body(room: &str, users: &[Arc<str>]) -> Vec<u8> {
    #[derive(Serialize)]
    struct Users<'a> {
        room: &'a str,
        count: usize,
        users: &'a [Arc<str>],
    }
    json(&Users { room, count: users.len(), users })
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ArchiveLine<'a> {
    #[serde(borrow)]
    room: Cow<'a, str>,
    id: Seq,
    message_id: Uuid,
    #[serde(borrow)]
    sender: Cow<'a, str>,
    #[serde(borrow)]
    message: Cow<'a, str>,
    at_ms: i64,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    client_id: Option<Cow<'a, str>>,
}

/// Appends one post as a line of an archive, with its line end.
pub fn archive_line(room: &str, post: &Post, out: &mut Vec<u8>) {
    let line = ArchiveLine {
        room: room.into(),
        id: post.seq,
        message_id: post.uuid,
        sender: (&*post.author).into(),
        message: (&*post.text).into(),
        at_ms: post.at_ms,
        client_id: post.client_id.as_deref().map(Cow::from),
    };
    write_json(out, &line);
    out.push(b'\n');
}

/// Reads a line of an archive: the room and the post. The rules for what people type hold here too; errors are
/// sentences.
pub fn parse_archive_line(line: &str) -> Result<(String, Post), String> {
    let line: ArchiveLine = serde_json::from_str(line).map_err(|error| format!("not a line of an archive: {error}"))?;
    check_room(Some(&line.room))?;
    if check_name(Some(&line.sender))? != line.sender {
        return Err("sender has blanks around it".into());
    }
    check_text(&line.message).map_err(|refusal| refusal.message)?;
    check_client_id(line.client_id.as_deref())?;
    let post = Post {
        seq: line.id,
        uuid: line.message_id,
        author: (&*line.sender).into(),
        text: line.message.into(),
        at_ms: line.at_ms,
        client_id: line.client_id.map(Into::into),
    };
    Ok((line.room.into_owned(), post))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_alike_or_like_nothing_are_refused() {
        for name in [
            "",
            " ",
            "System",
            "sYSTEM",
            "a\u{200b}",
            "Alice\u{34f}",
            "Bob\u{a0}Lee",
            "\u{3164}",
            "\u{2800}",
            "a\nb",
            "\u{202e}x",
        ] {
            assert!(check_name(Some(name)).is_err(), "{name:?}");
        }
        assert!(check_name(None).is_err());
        assert!(check_name(Some(&"x".repeat(33))).is_err());
        for name in ["Ann", " Ann ", "Zoë", "田中", "نور", "Ann Lee", "❤\u{fe0f}", &"é".repeat(32)] {
            assert_eq!(check_name(Some(name)), Ok(name.trim()));
        }
        assert_eq!(fold("ANN\u{fe0f}"), fold("ann"));
    }

    #[test]
    fn a_frame_is_an_object_that_is_understood_or_a_text_or_told_what_is_wrong() {
        let say = |text: &'static str| Ok(Request::Say { text: text.into(), client_id: None });
        assert_eq!(parse_request("hello"), say("hello"));
        assert_eq!(parse_request("[1]"), say("[1]"));
        assert_eq!(parse_request("{not json"), say("{not json"));
        assert_eq!(parse_request(r#"{"type":"message","message":"hi","id":"mine","more":[1]}"#), say("hi"));
        assert_eq!(parse_request(r#"{"message":"hi"}"#), say("hi"));
        assert_eq!(parse_request(r#"{"type":"read","id":7}"#), Ok(Request::Read { seq: 7 }));
        for (frame, code) in [
            (r#"{"type":"message"}"#, "bad_message"),
            (r#"{"type":"message","message":7}"#, "bad_message"),
            (r#"{"type":"read","id":"7"}"#, "bad_read"),
            (r#"{"type":"read","id":-7}"#, "bad_read"),
            (r#"{"type":"dance"}"#, "unknown_type"),
            (r#"{"type":"message","message":"x","client_id":""}"#, "bad_client_id"),
        ] {
            assert_eq!(parse_request(frame).unwrap_err().code, code, "{frame}");
        }
        let long = format!(r#"{{"type":"message","message":7,"{}":1}}"#, "x".repeat(60_000));
        assert!(parse_request(&long).unwrap_err().message.len() < 1000);
    }

    #[test]
    fn the_day_ends_at_midnight_also_when_the_clocks_change() {
        /// An hour more or less from `change` on, and what is left of the day at `now`; all by the clock before it.
        fn check(before: i64, after: i64, change_hour: i64, now_hour: i64, expect_hours: u64) {
            const HOUR: i64 = 3600;
            let utc = |hour: i64| 20_000 * 24 * HOUR + (hour - before) * HOUR;
            let offset = |second| if second < utc(change_hour) { before * HOUR } else { after * HOUR };
            let left = seconds_until_midnight(utc(now_hour), offset);
            assert_eq!(left, expect_hours * 3600, "{before} to {after} at {change_hour}, asked at {now_hour}");
        }
        check(1, 1, 0, 0, 24);
        check(1, 1, 0, 23, 1);
        check(-5, -5, 0, 12, 12);
        // Berlin in spring and in autumn, New York in autumn, before the change.
        check(1, 2, 2, 0, 23);
        check(2, 1, 3, 0, 25);
        check(-4, -5, 2, 1, 24);
        // Behind it: 13 o'clock by the old clock is 14 by the new one.
        check(1, 2, 2, 13, 10);
        check(2, 1, 3, 13, 12);
        // Jumps over midnight and back over it, as in Beirut and as once in São Paulo.
        check(2, 3, 24, 12, 12);
        check(-2, -3, 24, 12, 13);
    }
}
