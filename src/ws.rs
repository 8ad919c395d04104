//! WebSocket (RFC 6455): the upgrade check, a session fed from borrowed bytes, and frames on their way out.
//!
//! tungstenite never owns a socket here, and only ever sees whole frames: an idle session holds no buffer. What a
//! text says is none of this file's business.

use std::io::{self, ErrorKind, Read, Write};
use std::ops::Deref;

use tungstenite::error::{CapacityError, Error};
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Message, Utf8Bytes};

use crate::http::{Request, Response, Status, Version};

/// Longest message, and so longest frame, of a client: over it the connection is closed with 1009.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// tungstenite's own buffer: it is allocated at once, so it is small.
const READ_BUFFER_BYTES: usize = 128;
/// Longest header of a client's frame: RFC 6455 section 5.2.
const HEADER_BYTES_MAX: usize = 14;

/// Checks a request for an upgrade and answers it with 101.
///
/// RFC 6455 section 4.2.1: GET, HTTP/1.1, `Upgrade: websocket`, `Connection: Upgrade` (token lists, without regard to
/// case), `Sec-WebSocket-Version: 13` (else 426 which names it), a key of 16 bytes in base64 (else 400).
///
/// The error is a status and a sentence.
pub fn upgrade(request: &Request) -> Result<Response, (Status, &'static str)> {
    let headers = &request.headers;
    let is_upgrade = headers.has_token("upgrade", "websocket") && headers.has_token("connection", "upgrade");
    if !is_upgrade || request.version != Version::Http11 {
        return Err((Status::UpgradeRequired, "this is a WebSocket endpoint: connect to it with ws:// or wss://"));
    }
    if headers.get("sec-websocket-version") != Some("13") {
        return Err((Status::UpgradeRequired, "Sec-WebSocket-Version must be 13"));
    }
    let key = headers.get("sec-websocket-key").unwrap_or("");
    if headers.all("sec-websocket-key").count() != 1 || !is_key(key) {
        let told = "Sec-WebSocket-Key must be given once: 16 bytes in base64, which are 24 characters";
        return Err((Status::BadRequest, told));
    }
    Ok(Response::new(Status::SwitchingProtocols)
        .with_header("Upgrade", "websocket")
        .with_header("Connection", "Upgrade")
        .with_header("Sec-WebSocket-Accept", derive_accept_key(key.as_bytes())))
}

fn is_key(key: &str) -> bool {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    key.len() == 24 && key.ends_with("==") && key.bytes().take(22).all(is_base64)
}

/// The text of one message.
#[derive(Debug)]
pub enum Text<'a> {
    /// Unmasked in place, in the bytes just read.
    Borrowed(&'a str),
    /// Came in pieces.
    Owned(String),
    /// Came in fragments.
    Shared(Utf8Bytes),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Text::Borrowed(text) => text,
            Text::Owned(text) => text,
            Text::Shared(text) => text,
        }
    }
}

/// What the next bytes of a session were.
#[derive(Debug)]
pub enum Step<'a> {
    /// A whole text message.
    Text(Text<'a>),
    /// Nothing more is in these bytes.
    Empty,
    /// The peer said goodbye; the echo is written.
    Closed,
    /// The peer broke a rule: close with this code (RFC 6455 section 7.4.1).
    Broken(u16),
}

/// The WebSocket half of a connection.
pub struct Session {
    /// There only while it has something to remember: between fragments, and once the close has begun. It is 256 bytes
    /// and a buffer as large as its largest frame, which an idle session need not keep.
    context: Option<Box<WebSocketContext>>,
    /// A frame that came only in part so far.
    partial: Vec<u8>,
    message_bytes_max: usize,
    /// Between the first and the last fragment of a message.
    is_fragmented: bool,
}

/// One client frame's header, as far as its borders need it.
#[derive(Clone, Copy)]
struct Header {
    first: u8,
    len: usize,
    mask: Option<[u8; 4]>,
    payload_len: usize,
}

const FIN_TEXT: u8 = 0x81;
const OPCODE: u8 = 0x0f;
const FIN: u8 = 0x80;

impl Header {
    /// `None`: not complete yet. A length that no memory holds is given as `usize::MAX`.
    fn parse(bytes: &[u8]) -> Option<Header> {
        let (&first, &second) = (bytes.first()?, bytes.get(1)?);
        let (at, payload_len) = match second & 0x7f {
            126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
            127 => {
                let len = u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?);
                (10, usize::try_from(len).unwrap_or(usize::MAX))
            }
            len => (2, usize::from(len)),
        };
        let mask = match second & 0x80 {
            0 => None,
            _ => Some(bytes.get(at..at + 4)?.try_into().ok()?),
        };
        Some(Header { first, len: at + if mask.is_some() { 4 } else { 0 }, mask, payload_len })
    }

    fn is_data(self) -> bool {
        self.first & OPCODE < 8
    }
}

impl Session {
    /// A server's session; messages over `message_bytes_max` bytes are refused with 1009.
    pub fn new(message_bytes_max: usize) -> Session {
        Session { context: None, partial: Vec::new(), message_bytes_max, is_fragmented: false }
    }

    /// Takes the next message out of the front of `input`; replies (pongs, the close echo) go to `replies`.
    ///
    /// `input` is what was just read from the socket; it is unmasked in place. Call until [`Step::Empty`].
    pub fn next<'a>(&mut self, input: &mut &'a mut [u8], replies: &mut Vec<u8>) -> Step<'a> {
        loop {
            let step = if self.partial.is_empty() {
                self.next_whole(input, replies)
            } else {
                self.next_partial(input, replies)
            };
            if let Some(step) = step {
                return step;
            }
        }
    }

    /// A frame that lies whole in `input`. `None`: it was a control frame or a fragment; look for the next.
    fn next_whole<'a>(&mut self, input: &mut &'a mut [u8], replies: &mut Vec<u8>) -> Option<Step<'a>> {
        if input.is_empty() {
            return Some(Step::Empty);
        }
        let header = Header::parse(input);
        if header.is_some_and(|header| header.payload_len > self.message_bytes_max) {
            return Some(Step::Broken(1009));
        }
        let Some(header) = header.filter(|header| header.len + header.payload_len <= input.len()) else {
            self.partial = std::mem::take(input).to_vec();
            return Some(Step::Empty);
        };
        let bytes = std::mem::take(input);
        let (frame, rest) = bytes.split_at_mut(header.len + header.payload_len);
        *input = rest;
        match header.mask.filter(|_| self.is_plain(header)) {
            Some(mask) => {
                let payload = &mut frame[header.len..];
                unmask(payload, mask);
                Some(match std::str::from_utf8(payload) {
                    Ok(text) => Step::Text(Text::Borrowed(text)),
                    Err(_) => Step::Broken(1007),
                })
            }
            None => self.feed(header, frame, replies),
        }
    }

    /// A frame of which a part came before. `None`: it was a control frame or a fragment; look for the next.
    fn next_partial(&mut self, input: &mut &mut [u8], replies: &mut Vec<u8>) -> Option<Step<'static>> {
        while self.partial.len() < HEADER_BYTES_MAX && Header::parse(&self.partial).is_none() {
            let bytes = std::mem::take(input);
            let Some((first, rest)) = bytes.split_first_mut() else { return Some(Step::Empty) };
            self.partial.push(*first);
            *input = rest;
        }
        let header = Header::parse(&self.partial).expect("14 bytes hold every header");
        if header.payload_len > self.message_bytes_max {
            return Some(Step::Broken(1009));
        }
        let missing = header.len + header.payload_len - self.partial.len();
        let bytes = std::mem::take(input);
        let (more, rest) = bytes.split_at_mut(missing.min(bytes.len()));
        self.partial.extend_from_slice(more);
        *input = rest;
        if more.len() < missing {
            return Some(Step::Empty);
        }
        let mut frame = std::mem::take(&mut self.partial);
        match header.mask.filter(|_| self.is_plain(header)) {
            Some(mask) => {
                frame.drain(..header.len);
                unmask(&mut frame, mask);
                Some(match String::from_utf8(frame) {
                    Ok(text) => Step::Text(Text::Owned(text)),
                    Err(_) => Step::Broken(1007),
                })
            }
            None => self.feed(header, &frame, replies),
        }
    }

    /// A whole text message in one frame: the case of every chat line, which needs no state.
    fn is_plain(&self, header: Header) -> bool {
        header.first == FIN_TEXT && !self.is_fragmented
    }

    /// Gives tungstenite one whole frame: it knows all the rules.
    fn feed(&mut self, header: Header, frame: &[u8], replies: &mut Vec<u8>) -> Option<Step<'static>> {
        let mut stream = Borrowed { input: frame, output: replies };
        let context = self.context.get_or_insert_with(|| context(self.message_bytes_max));
        let step = loop {
            match context.read(&mut stream) {
                Ok(Message::Text(text)) => break Some(Step::Text(Text::Shared(text))),
                Ok(Message::Binary(_)) => break Some(Step::Broken(1003)),
                // Pongs and close replies are written by the next read.
                Ok(_) => {}
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => break None,
                Err(Error::ConnectionClosed | Error::AlreadyClosed) => break Some(Step::Closed),
                Err(error) => break Some(Step::Broken(code_of(&error))),
            }
        };
        if header.is_data() {
            self.is_fragmented = header.first & FIN == 0;
        }
        let is_ending = matches!(step, Some(Step::Closed | Step::Broken(_)));
        if !self.is_fragmented && !is_ending {
            self.context = None;
        }
        step
    }

    /// Writes the close frame. Nothing may be sent after it.
    pub fn close(&mut self, code: u16, reason: &'static str, replies: &mut Vec<u8>) {
        let frame = CloseFrame { code: CloseCode::from(code), reason: reason.into() };
        let mut stream = Borrowed { input: &[], output: replies };
        let context = self.context.get_or_insert_with(|| context(self.message_bytes_max));
        // An error says that the close frame was sent before, as the echo of the peer's.
        drop(context.close(&mut stream, Some(frame)));
    }
}

fn context(message_bytes_max: usize) -> Box<WebSocketContext> {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(usize::MAX)
        .max_message_size(Some(message_bytes_max))
        .max_frame_size(Some(message_bytes_max));
    Box::new(WebSocketContext::new(Role::Server, Some(config)))
}

/// The close code of an error of the peer's: RFC 6455 section 7.4.1.
fn code_of(error: &Error) -> u16 {
    match error {
        Error::Capacity(CapacityError::MessageTooLong { .. }) => 1009,
        Error::Utf8(_) => 1007,
        _ => 1002,
    }
}

/// One whole frame to read, and a place for the replies.
struct Borrowed<'a> {
    input: &'a [u8],
    output: &'a mut Vec<u8>,
}

impl Read for Borrowed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.input.is_empty() {
            // Not Ok(0): that would be the end of the stream.
            return Err(ErrorKind::WouldBlock.into());
        }
        self.input.read(buffer)
    }
}

impl Write for Borrowed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// RFC 6455 section 5.3.
fn unmask(bytes: &mut [u8], mask: [u8; 4]) {
    let wide = u64::from_ne_bytes([mask[0], mask[1], mask[2], mask[3], mask[0], mask[1], mask[2], mask[3]]);
    let mut chunks = bytes.chunks_exact_mut(8);
    for chunk in &mut chunks {
        let word = u64::from_ne_bytes((&*chunk).try_into().expect("chunks of eight")) ^ wide;
        chunk.copy_from_slice(&word.to_ne_bytes());
    }
    for (byte, key) in chunks.into_remainder().iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

/// Appends one whole text frame, not masked: what a server sends (RFC 6455 section 5.2).
pub fn write_text(out: &mut Vec<u8>, text: &[u8]) {
    write_header(out, FIN_TEXT, text.len());
    out.extend_from_slice(text);
}

/// Appends an empty ping.
pub fn write_ping(out: &mut Vec<u8>) {
    write_header(out, FIN | 0x9, 0);
}

fn write_header(out: &mut Vec<u8>, first: u8, len: usize) {
    out.push(first);
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(short @ 0..126), _) => out.push(short),
        (_, Ok(medium)) => {
            out.push(126);
            out.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASK: [u8; 4] = [0x11, 0x92, 0x53, 0xd4];

    fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_header(&mut bytes, first, payload.len());
        bytes[1] |= 0x80;
        bytes.extend_from_slice(&MASK);
        bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
        bytes
    }

    /// Feeds `bytes` in pieces of `size`, and tells what came of it.
    fn run(session: &mut Session, bytes: &[u8], size: usize) -> (Vec<String>, Vec<u8>) {
        let (mut told, mut replies) = (Vec::new(), Vec::new());
        for piece in bytes.chunks(size) {
            let mut piece = piece.to_vec();
            let mut input = piece.as_mut_slice();
            loop {
                match session.next(&mut input, &mut replies) {
                    Step::Text(text) => told.push(text.to_string()),
                    Step::Empty => break,
                    Step::Closed => {
                        told.push("closed".into());
                        break;
                    }
                    Step::Broken(code) => {
                        told.push(format!("broken {code}"));
                        return (told, replies);
                    }
                }
            }
        }
        (told, replies)
    }

    fn check(bytes: &[u8], expect: &[&str], expect_replies: &[u8]) {
        for size in [1, 2, 3, 7, 64, 100_000] {
            let mut session = Session::new(MESSAGE_BYTES_MAX);
            let (told, replies) = run(&mut session, bytes, size);
            assert_eq!(told, expect, "pieces of {size}");
            assert_eq!(replies, expect_replies, "pieces of {size}");
        }
    }

    #[test]
    fn texts_come_out_whole_however_the_bytes_were_cut() {
        let long = "ö".repeat(20_000);
        let bytes = [client_frame(0x81, b"one"), client_frame(0x81, long.as_bytes()), client_frame(0x81, b"")].concat();
        check(&bytes, &["one", &long, ""], b"");
    }

    #[test]
    fn fragments_split_inside_a_character_with_a_ping_between_make_one_text() {
        let text = "añb".as_bytes();
        let bytes = [
            client_frame(0x01, &text[..2]),
            client_frame(0x89, b"hi"),
            client_frame(0x80, &text[2..]),
            client_frame(0x81, b"next"),
        ]
        .concat();
        check(&bytes, &["añb", "next"], &[0x8a, 2, b'h', b'i']);
    }

    #[test]
    fn a_close_is_echoed_with_its_code() {
        check(&client_frame(0x88, &1000u16.to_be_bytes()), &["closed"], &[0x88, 2, 3, 232]);
    }

    #[test]
    fn each_broken_rule_has_its_code() {
        check(&client_frame(0x82, b"x"), &["broken 1003"], b"");
        check(&client_frame(0x81, &[0xff, 0xfe]), &["broken 1007"], b"");
        check(&client_frame(0xc1, b"x"), &["broken 1002"], b"");
        check(&client_frame(0x83, b"x"), &["broken 1002"], b"");
        check(&client_frame(0x80, b"x"), &["broken 1002"], b"");
        check(&[0x81, 1, b'x'], &["broken 1002"], b"");
        check(&client_frame(0x89, &[0; 126]), &["broken 1002"], b"");
    }

    #[test]
    fn a_message_over_the_limit_is_refused_when_it_is_declared() {
        let mut declared = vec![0x81, 0xff];
        declared.extend((MESSAGE_BYTES_MAX as u64 + 1).to_be_bytes());
        declared.extend(MASK);
        check(&declared, &["broken 1009"], b"");
        let half = vec![b'x'; MESSAGE_BYTES_MAX / 2 + 1];
        check(&[client_frame(0x01, &half), client_frame(0x80, &half)].concat(), &["broken 1009"], b"");
        declared[2..10].copy_from_slice(&u64::MAX.to_be_bytes());
        check(&declared, &["broken 1009"], b"");
    }

    #[test]
    fn after_a_broken_rule_the_close_frame_can_still_be_written() {
        let mut session = Session::new(MESSAGE_BYTES_MAX);
        run(&mut session, &client_frame(0x82, b"x"), 100);
        let mut replies = Vec::new();
        session.close(1003, "no", &mut replies);
        assert_eq!(replies, [0x88, 4, 3, 235, b'n', b'o']);
    }

    #[test]
    fn frames_of_every_length_form_are_read_back() {
        for len in [0, 1, 125, 126, 65_535, 65_536, 70_000] {
            let mut bytes = Vec::new();
            write_text(&mut bytes, &vec![b'x'; len]);
            let header = Header::parse(&bytes).unwrap();
            assert_eq!((header.payload_len, header.len + len), (len, bytes.len()));
        }
    }
}
