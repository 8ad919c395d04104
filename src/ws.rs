//! WebSocket (RFC 6455): the upgrade check, a session fed from borrowed bytes, and frames on their way out.
//!
//! tungstenite never owns a socket here, and only ever sees whole frames: an idle session holds no buffer. What can be
//! judged earlier is judged here as its bytes come: a header, and text that cannot become UTF-8 any more. What a text
//! says is none of this file's business.

use std::io::{self, ErrorKind, Read, Write};
use std::ops::Deref;

use tungstenite::error::{CapacityError, Error};
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Bytes, Message, Utf8Bytes};

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
    /// A whole binary message.
    Binary(Bytes),
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
    /// A frame that came only in part so far. What of its payload has come is unmasked, and checked if it is text.
    partial: Vec<u8>,
    message_bytes_max: usize,
    /// Frames taken since somebody asked: those that say nothing cost their reader as much as others.
    frames: u32,
    /// The text that is under way, over frames and pieces of frames. Nothing is begun between two texts: one that ends
    /// inside a character ends the session.
    utf8: Utf8,
    /// Between the first and the last fragment of a message.
    is_fragmented: bool,
    /// The message in fragments is a text.
    is_text: bool,
}

/// Text that comes in pieces, checked as it comes (RFC 6455 section 8.1).
#[derive(Clone, Copy, Default)]
struct Utf8 {
    /// The beginning of a character whose rest has not come.
    begun: [u8; 3],
    len: u8,
}

impl Utf8 {
    /// Takes the next piece. `false`: nothing that follows can make it UTF-8.
    fn take(&mut self, bytes: &[u8]) -> bool {
        let mut bytes = bytes;
        while let (1.., Some((first, rest))) = (self.len, bytes.split_first()) {
            let len = usize::from(self.len);
            let mut character = [0; 4];
            character[..len].copy_from_slice(&self.begun[..len]);
            character[len] = *first;
            if !self.keep(&character[..=len]) {
                return false;
            }
            bytes = rest;
        }
        bytes.is_empty() || self.keep(bytes)
    }

    /// Checks `bytes`, which begin with a character, and keeps the one that they break off in.
    fn keep(&mut self, bytes: &[u8]) -> bool {
        let begun = match std::str::from_utf8(bytes) {
            Ok(_) => &[],
            Err(error) if error.error_len().is_none() => &bytes[error.valid_up_to()..],
            Err(_) => return false,
        };
        self.begun[..begun.len()].copy_from_slice(begun);
        self.len = begun.len() as u8;
        true
    }
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
const FIN_BINARY: u8 = 0x82;
const TEXT: u8 = 0x1;
const OPCODE: u8 = 0x0f;
const RESERVED: u8 = 0x70;
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

    fn is_last(self) -> bool {
        self.first & FIN != 0
    }

    /// Whether the frame keeps the rules that its header can break: RFC 6455 sections 5.1, 5.2, 5.4 and 5.5.
    fn is_allowed(self, is_fragmented: bool) -> bool {
        let shortest = match self.payload_len {
            0..126 => 6,
            126..65_536 => 8,
            _ => 14,
        };
        let is_expected = match self.first & OPCODE {
            0 => is_fragmented,
            1 | 2 => !is_fragmented,
            8..=10 => self.is_last() && self.payload_len < 126,
            _ => false,
        };
        // A frame without a mask has a shorter header.
        is_expected && self.first & RESERVED == 0 && self.len == shortest
    }
}

impl Session {
    /// A server's session; messages over `message_bytes_max` bytes are refused with 1009.
    pub fn new(message_bytes_max: usize) -> Session {
        let (context, partial, utf8) = (None, Vec::new(), Utf8::default());
        Session { context, partial, message_bytes_max, frames: 0, utf8, is_fragmented: false, is_text: false }
    }

    /// How many whole frames of any kind have come since this was asked last.
    pub fn take_frames(&mut self) -> u32 {
        std::mem::take(&mut self.frames)
    }

    /// Takes the next message out of the front of `input`; replies (pongs, the close echo) go to `replies`.
    ///
    /// `input` is what was just read from the socket; it is unmasked in place. Call until [`Step::Empty`]; after
    /// [`Step::Closed`] and [`Step::Broken`] only [`Session::close`] may follow.
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

    /// A frame that begins in `input`. `None`: look for the next, or for the rest of this one.
    fn next_whole<'a>(&mut self, input: &mut &'a mut [u8], replies: &mut Vec<u8>) -> Option<Step<'a>> {
        if input.is_empty() {
            return Some(Step::Empty);
        }
        let Some(header) = Header::parse(input) else {
            self.partial = std::mem::take(input).to_vec();
            return Some(Step::Empty);
        };
        if let Some(step) = self.judge(header) {
            return Some(step);
        }
        let bytes = std::mem::take(input);
        if header.len + header.payload_len > bytes.len() {
            let (head, rest) = bytes.split_at_mut(header.len);
            self.partial = head.to_vec();
            *input = rest;
            return None;
        }
        let (frame, rest) = bytes.split_at_mut(header.len + header.payload_len);
        *input = rest;
        self.frames += 1;
        unmask(&mut frame[header.len..], header.mask.unwrap_or_default(), 0);
        if self.is_plain(header) {
            return Some(match std::str::from_utf8(&frame[header.len..]) {
                Ok(text) => Step::Text(Text::Borrowed(text)),
                Err(_) => Step::Broken(1007),
            });
        }
        if self.is_text(header) && !self.utf8.take(&frame[header.len..]) {
            return Some(Step::Broken(1007));
        }
        self.feed(header, frame, replies)
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
        if let Some(step) = self.judge(header) {
            return Some(step);
        }
        let come = self.partial.len() - header.len;
        let missing = header.payload_len - come;
        let bytes = std::mem::take(input);
        let (more, rest) = bytes.split_at_mut(missing.min(bytes.len()));
        *input = rest;
        unmask(more, header.mask.unwrap_or_default(), come);
        if self.is_text(header) && !self.utf8.take(more) {
            return Some(Step::Broken(1007));
        }
        self.partial.extend_from_slice(more);
        if more.len() < missing {
            return Some(Step::Empty);
        }
        self.frames += 1;
        let mut frame = std::mem::take(&mut self.partial);
        if !self.is_plain(header) {
            return self.feed(header, &mut frame, replies);
        }
        frame.drain(..header.len);
        Some(match String::from_utf8(frame) {
            Ok(text) => Step::Text(Text::Owned(text)),
            Err(_) => Step::Broken(1007),
        })
    }

    /// What is wrong with a frame by its header: its payload need not be waited for.
    fn judge(&self, header: Header) -> Option<Step<'static>> {
        if !header.is_allowed(self.is_fragmented) {
            return Some(Step::Broken(1002));
        }
        (header.payload_len > self.message_bytes_max).then_some(Step::Broken(1009))
    }

    /// A whole text message in one frame: the case of every chat line, which needs no state.
    fn is_plain(&self, header: Header) -> bool {
        header.first == FIN_TEXT && !self.is_fragmented
    }

    /// Whether the payload is text: also a later fragment of it.
    fn is_text(&self, header: Header) -> bool {
        match header.first & OPCODE {
            0 => self.is_text,
            opcode => opcode == TEXT,
        }
    }

    /// Gives tungstenite one whole frame, which is unmasked already: it knows all the rules.
    fn feed(&mut self, header: Header, frame: &mut [u8], replies: &mut Vec<u8>) -> Option<Step<'static>> {
        frame[header.len - 4..header.len].fill(0);
        let mut stream = Borrowed { input: frame, output: replies };
        let context = self.context.get_or_insert_with(|| context(self.message_bytes_max));
        let step = loop {
            match context.read(&mut stream) {
                Ok(Message::Text(text)) => break Some(Step::Text(Text::Shared(text))),
                Ok(Message::Binary(bytes)) => break Some(Step::Binary(bytes)),
                // Pongs and close replies are written by the next read.
                Ok(_) => {}
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => break None,
                Err(Error::ConnectionClosed | Error::AlreadyClosed) => break Some(Step::Closed),
                Err(error) => break Some(Step::Broken(code_of(&error))),
            }
        };
        if header.is_data() {
            self.is_text = self.is_text(header);
            self.is_fragmented = !header.is_last();
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

/// RFC 6455 section 5.3; `from` is how many bytes of the payload came before these.
fn unmask(bytes: &mut [u8], mut mask: [u8; 4], from: usize) {
    mask.rotate_left(from % 4);
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

/// Appends one whole binary frame, not masked.
pub fn write_binary(out: &mut Vec<u8>, bytes: &[u8]) {
    write_header(out, FIN_BINARY, bytes.len());
    out.extend_from_slice(bytes);
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
                    Step::Binary(bytes) => told.push(format!("binary {}", bytes.len())),
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
    fn binary_messages_come_out_whole_too() {
        let bytes =
            [client_frame(0x82, &[0xff; 300]), client_frame(0x02, &[0xff]), client_frame(0x80, &[0xfe])].concat();
        check(&bytes, &["binary 300", "binary 2"], b"");
    }

    #[test]
    fn each_broken_rule_has_its_code() {
        check(&client_frame(0x81, &[0xff, 0xfe]), &["broken 1007"], b"");
        check(&client_frame(0xc1, b"x"), &["broken 1002"], b"");
        check(&client_frame(0x83, b"x"), &["broken 1002"], b"");
        check(&client_frame(0x80, b"x"), &["broken 1002"], b"");
        check(&[0x81, 1, b'x'], &["broken 1002"], b"");
        check(&client_frame(0x89, &[0; 126]), &["broken 1002"], b"");
        check(&client_frame(0x09, b""), &["broken 1002"], b"");
        check(&[client_frame(0x01, b"x"), client_frame(0x81, b"y")].concat(), &["broken 1002"], b"");
        // A length in more bytes than it needs.
        check(&[0x81, 0xfe, 0, 125, 0, 0, 0, 0], &["broken 1002"], b"");
        check(&[0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0], &["broken 1002"], b"");
        // A character that ends with its message.
        check(&[client_frame(0x01, "ö".as_bytes()), client_frame(0x80, &[0xc3])].concat(), &["broken 1007"], b"");
        check(&client_frame(0x81, &[0xc3]), &["broken 1007"], b"");
    }

    /// Autobahn's cases 6.4.3 and 6.4.4: it once took the whole frame, or fragment, to be told.
    #[test]
    fn text_that_cannot_become_utf8_is_refused_at_the_byte_that_says_so() {
        let good = "κόσμε".as_bytes();
        for bad in [&[0xf4, 0x90][..], &[0xed, 0xa0], &[0xc0], &[0xff], &[0xe2, 0x28], &[0xf0, 0x9f, 0x98, 0x28]] {
            let payload = [good, bad, good].concat();
            let until = good.len() + bad.len();
            let half = client_frame(0x81, &payload)[..6 + until].to_vec();
            check(&half[..half.len() - 1], &[], b"");
            check(&half, &["broken 1007"], b"");
            // The same in the second fragment, whose first bytes end a character of the first.
            let begun = [client_frame(0x01, &good[..3]), client_frame(0x00, &payload[3..])].concat();
            let end = 6 + 3 + 6 + until - 3;
            check(&begun[..end - 1], &[], b"");
            check(&begun[..end], &["broken 1007"], b"");
        }
        // What is no text may hold anything, also between the pieces of a text.
        let mixed = [client_frame(0x01, &good[..1]), client_frame(0x89, &[0xff]), client_frame(0x80, &good[1..])];
        check(&mixed.concat(), &["κόσμε"], &[0x8a, 1, 0xff]);
        check(&[client_frame(0x02, &[0xff]), client_frame(0x80, &[0xff])].concat(), &["binary 2"], b"");
    }

    /// A ping that declares 60,000 bytes was once taken in before it was refused.
    #[test]
    fn a_frame_that_its_header_condemns_is_not_waited_for() {
        for first in [0x89, 0x8a, 0x88, 0x83, 0x8b, 0xc1, 0xa1, 0x91, 0x80, 0x09] {
            check(&[first, 0xfe, 0xea, 0x60, 0, 0, 0, 0], &["broken 1002"], b"");
        }
        check(&[0x81, 0x7e, 0xea, 0x60], &["broken 1002"], b"");
        check(&[0x82, 0xfe, 0xea, 0x60, 0, 0, 0, 0], &[], b"");
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
        run(&mut session, &client_frame(0x83, b"x"), 100);
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
