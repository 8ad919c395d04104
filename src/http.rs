//! HTTP/1.1 on values: bytes to requests (RFC 9112, strictly), responses to bytes, paths to routes.
//! No socket, no clock, no thread, no JSON; what a request means is decided elsewhere.
//!
//! This file is the `Reader`: it finds where each request begins and ends in the bytes of one
//! connection. Strict means: whatever another program could read as ending elsewhere is an
//! `Error`, and after an error nothing of those bytes is read as a request. The parts beside it:
//! `lines` (where they end), `head` (one request head), `query` (decoding), `error` (what is said
//! when it is refused), `route` (which endpoint), `response` (the way back).

use std::mem;

mod error;
mod head;
mod lines;
mod query;
mod response;
mod route;

pub use error::Error;
pub use head::Headers;
pub use query::Query;
pub use response::{Body, Reply, Response, Status, imf_date, write_chunk, write_last_chunk};
pub use route::{ENDPOINTS, Endpoint, Route, route};

use head::Length;
use lines::{Line, Lines};

/// Bytes of a request head: request line, header lines and the empty line. Over it: 431.
pub const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Header lines in a head, and in the trailers of a chunked body. Over it: 431.
pub const HEADERS_MAX: usize = 64;
/// Bytes of a request target (path and query, still encoded). Over it: 414.
pub const TARGET_BYTES_MAX: usize = 4 * 1024;
/// Bytes of a method name; no method that we know is longer. Over it: 501.
pub const METHOD_BYTES_MAX: usize = 32;
/// Bytes of a request body, once it is out of its chunks. Over it: 413.
pub const BODY_BYTES_MAX: usize = 128 * 1024;
/// Bytes of one chunk-size line with its extensions. Over it: 400.
pub const CHUNK_LINE_BYTES_MAX: usize = 256;
/// Bytes of all chunk extensions of one body; they say nothing to us. Over it: 400.
pub const EXTENSIONS_BYTES_MAX: usize = 4 * 1024;
/// Bytes of the trailers of a chunked body, which are checked and thrown away. Over it: 431.
pub const TRAILERS_BYTES_MAX: usize = 4 * 1024;
/// Bytes of further requests that are taken in while one is being answered. At least
/// `HEAD_BYTES_MAX`, so that a full reader always has something to give.
pub const PIPELINED_BYTES_MAX: usize = 2 * HEAD_BYTES_MAX;

/// Method, two spaces, target, `HTTP/1.1`, CRLF.
const REQUEST_LINE_BYTES_MAX: usize = METHOD_BYTES_MAX + TARGET_BYTES_MAX + 12;

/// The version that a request was made in. A later 1.x counts as 1.1 (RFC 9110 section 2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// `HTTP/1.0`: no chunks, and closed after one request unless it asks otherwise.
    Http10,
    /// `HTTP/1.1`
    Http11,
}

/// The method of a request; names are case-sensitive (RFC 9110 section 9.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `POST`
    Post,
    /// `OPTIONS`
    Options,
    /// Any other token, as it was sent: [`route()`] refuses it with 405 or 501.
    Other(String),
}

/// One whole request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is asked.
    pub method: Method,
    /// The version to answer in.
    pub version: Version,
    /// Percent-decoded once, without the query; `*` for `OPTIONS *`. An encoded slash stays
    /// `%2F`: it separates nothing (RFC 3986 section 2.2).
    pub path: String,
    /// The parameters after `?`.
    pub query: Query,
    /// The header lines. `Host` is the target's own authority where it has one.
    pub headers: Headers,
    /// The body, out of its chunks. At most `BODY_BYTES_MAX`.
    pub body: Vec<u8>,
    /// Whether another request may follow on this connection.
    pub keep_alive: bool,
}

/// Takes the bytes of one connection as they come and gives its requests in order.
///
/// Holds what is not parsed yet. An idle reader owns no heap: ten thousand quiet connections
/// cost nothing here. How the bytes were split into reads changes nothing in what comes out.
#[derive(Debug, Default)]
pub struct Reader {
    buffer: Vec<u8>,
    /// Bytes at the front of `buffer` that are used up.
    start: usize,
    lines: Lines,
    /// Length of the request line with its CRLF, once it is there and well-formed.
    request_line: Option<usize>,
    blank_line_skipped: bool,
    state: State,
}

/// What the next byte belongs to.
#[derive(Debug, Default)]
enum State {
    #[default]
    Head,
    Body(Box<Pending>),
    /// A request with `keep_alive: false` was given out: nothing that follows counts.
    Last,
    Failed(Error),
}

/// A request whose head is complete and whose body is not.
#[derive(Debug)]
struct Pending {
    request: Request,
    part: Part,
    wants_continue: bool,
    extensions_bytes: usize,
}

/// The part of a body that comes next.
#[derive(Debug)]
enum Part {
    /// A body of this many bytes, all of it.
    Sized(usize),
    ChunkSize,
    /// This many bytes of a chunk.
    ChunkData(usize),
    ChunkEnd,
    Trailers,
}

enum Found {
    /// Not all of the part is here.
    Nothing,
    Part,
    /// That was the body's last part.
    End,
}

impl Reader {
    /// Takes what was read from the connection.
    ///
    /// To be called only while `is_full` is false, with at most 64 KiB: then a reader never holds
    /// more than `HEAD_BYTES_MAX` + `BODY_BYTES_MAX` + 64 KiB. After an error, or a request that
    /// was the last, the bytes are thrown away.
    pub fn receive(&mut self, bytes: &[u8]) {
        if matches!(self.state, State::Last | State::Failed(_)) {
            return;
        }
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next request, head and body, or `None` if it is not complete yet (not an error: read on).
    ///
    /// Parses nothing behind the request that it gives: those bytes may be WebSocket frames. After
    /// a request with `keep_alive: false` there is no other. An error is for ever: it is given
    /// again, and the connection must be closed once it is answered.
    #[expect(
        clippy::should_implement_trait,
        reason = "None is not the end here, and a `for` loop would not stop at an error"
    )]
    pub fn next(&mut self) -> Result<Option<Request>, Error> {
        let result = self.advance();
        match &result {
            Ok(Some(request)) => {
                self.blank_line_skipped = false;
                if !request.keep_alive {
                    self.state = State::Last;
                }
                self.give_back_if_empty();
            }
            // What is left waits for more and may wait long: it must not keep a large buffer.
            Ok(None) if self.start > 0 => {
                self.buffer = self.held().to_vec();
                self.start = 0;
            }
            Ok(None) => {}
            Err(error) => *self = Reader { state: State::Failed(error.clone()), ..Reader::default() },
        }
        result
    }

    /// Whether `100 Continue` should be sent now: true once for each request whose head has
    /// `Expect: 100-continue`, and whose body `next` has found missing. RFC 9110 section 10.1.1.
    pub fn wants_continue(&mut self) -> bool {
        match &mut self.state {
            State::Body(pending) => mem::take(&mut pending.wants_continue),
            _ => false,
        }
    }

    /// Whether no byte of a next request is held; an empty line before it does not count.
    pub fn is_idle(&self) -> bool {
        match self.state {
            State::Head => self.held().is_empty(),
            State::Body(_) => false,
            State::Last | State::Failed(_) => true,
        }
    }

    /// Whether `next` has found a complete head whose body is missing.
    pub fn is_in_body(&self) -> bool {
        matches!(self.state, State::Body(_))
    }

    /// Whether so much is held that reading must wait until `next` has taken some of it. Never
    /// true after `next` has given `None`.
    pub fn is_full(&self) -> bool {
        let limit_bytes = match &self.state {
            State::Body(pending) => match pending.part {
                Part::Sized(bytes) => bytes.max(PIPELINED_BYTES_MAX),
                _ => PIPELINED_BYTES_MAX,
            },
            _ => PIPELINED_BYTES_MAX,
        };
        self.held().len() >= limit_bytes
    }

    /// The bytes behind the last request given out: the first frames of an upgraded connection.
    pub fn into_rest(mut self) -> Vec<u8> {
        self.buffer.drain(..self.start);
        self.buffer
    }

    fn advance(&mut self) -> Result<Option<Request>, Error> {
        match mem::take(&mut self.state) {
            State::Failed(error) => Err(error),
            State::Last => {
                self.state = State::Last;
                self.consume(self.held().len());
                Ok(None)
            }
            State::Body(pending) => self.read_body(pending),
            State::Head => match self.read_head()? {
                None => Ok(None),
                Some((request, Length::Sized(0), _)) => Ok(Some(request)),
                Some((request, length, expects_continue)) => self.read_body(Box::new(Pending {
                    request,
                    part: match length {
                        Length::Sized(bytes) => Part::Sized(bytes),
                        Length::Chunked => Part::ChunkSize,
                    },
                    wants_continue: expects_continue,
                    extensions_bytes: 0,
                })),
            },
        }
    }

    /// Reads a head from the front: the request, how its body ends, whether `100 Continue` is due.
    ///
    /// The request line is judged as soon as it is there: who does not speak HTTP learns it at
    /// once, not at a deadline.
    fn read_head(&mut self) -> Result<Option<(Request, Length, bool)>, Error> {
        // RFC 9112 section 2.2: at least one empty line before a request is to be forgiven.
        if !self.blank_line_skipped && self.held().starts_with(b"\r\n") {
            self.blank_line_skipped = true;
            self.consume(2);
        }
        let bytes = &self.buffer[self.start..];
        let line_end = match self.request_line {
            Some(end) => end,
            None => match self.lines.next(bytes, REQUEST_LINE_BYTES_MAX)? {
                Line::Ends(end) => {
                    head::check_request_line(&bytes[..end - 2])?;
                    *self.request_line.insert(end)
                }
                Line::Open => return Ok(None),
                Line::TooLong => return Err(head::request_line_too_long(bytes)),
            },
        };
        let end = match self.lines.skip_to_blank(bytes, HEAD_BYTES_MAX)? {
            Line::Ends(end) => end,
            Line::Open => return Ok(None),
            Line::TooLong => return Err(Error::HeadTooLarge),
        };
        let head = head::parse(&bytes[..line_end - 2], &bytes[line_end..end])?;
        self.consume(end);
        Ok(Some(head))
    }

    fn read_body(&mut self, mut pending: Box<Pending>) -> Result<Option<Request>, Error> {
        loop {
            match self.read_part(&mut pending)? {
                Found::Part => {}
                Found::End => return Ok(Some(pending.request)),
                Found::Nothing => break,
            }
        }
        self.state = State::Body(pending);
        Ok(None)
    }

    /// Reads the next part of a body, if it is all there. RFC 9112 sections 6.2 and 7.1.
    fn read_part(&mut self, pending: &mut Pending) -> Result<Found, Error> {
        let bytes = &self.buffer[self.start..];
        let body = &mut pending.request.body;
        let (used, next) = match pending.part {
            Part::Sized(size) if bytes.len() < size => return Ok(Found::Nothing),
            Part::Sized(size) => {
                body.extend_from_slice(&bytes[..size]);
                self.consume(size);
                return Ok(Found::End);
            }
            Part::ChunkSize => match self.lines.next(bytes, CHUNK_LINE_BYTES_MAX)? {
                Line::Open => return Ok(Found::Nothing),
                Line::TooLong => return Err(Error::ChunkLineTooLong),
                Line::Ends(end) => (end, pending.read_size_line(&bytes[..end - 2])?),
            },
            Part::ChunkData(_) if bytes.is_empty() => return Ok(Found::Nothing),
            Part::ChunkData(size) => {
                let used = size.min(bytes.len());
                body.extend_from_slice(&bytes[..used]);
                match size - used {
                    0 => (used, Part::ChunkEnd),
                    rest => (used, Part::ChunkData(rest)),
                }
            }
            Part::ChunkEnd => match bytes {
                [b'\r', b'\n', ..] => (2, Part::ChunkSize),
                [] | [b'\r'] => return Ok(Found::Nothing),
                _ => return Err(Error::BadChunk("has no CR LF behind its data")),
            },
            Part::Trailers => match self.lines.skip_to_blank(bytes, TRAILERS_BYTES_MAX)? {
                Line::Open => return Ok(Found::Nothing),
                Line::TooLong => return Err(Error::TrailersTooLarge),
                Line::Ends(end) => {
                    head::check_trailers(&bytes[..end])?;
                    self.consume(end);
                    return Ok(Found::End);
                }
            },
        };
        self.consume(used);
        pending.part = next;
        Ok(Found::Part)
    }

    fn held(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Moves past the first `bytes` that are held, to where a new line or body part begins.
    fn consume(&mut self, bytes: usize) {
        self.start += bytes;
        self.lines = Lines::default();
        self.request_line = None;
    }

    fn give_back_if_empty(&mut self) {
        if self.start == self.buffer.len() {
            self.buffer = Vec::new();
            self.start = 0;
        }
    }
}

impl Pending {
    /// Reads a chunk-size line without its CRLF: what follows it. RFC 9112 section 7.1.
    ///
    /// 1 to 16 hex digits, and nothing else but `;` and an extension, which is ignored. White
    /// space may stand before the `;` only.
    fn read_size_line(&mut self, line: &[u8]) -> Result<Part, Error> {
        let is_digit = |byte: &&u8| byte.is_ascii_hexdigit();
        let (digits, extensions) = line.split_at(line.iter().take_while(is_digit).count());
        let digits = str::from_utf8(digits).expect("hex digits are ASCII");
        let size = match digits.len() {
            1..=16 => u64::from_str_radix(digits, 16).expect("16 hex digits fit into 64 bits"),
            _ => return Err(Error::BadChunk("has no size of 1 to 16 hex digits")),
        };
        match extensions.trim_ascii_start() {
            [] if extensions.is_empty() => {}
            [b';', _, ..] => self.extensions_bytes += extensions.len(),
            _ => {
                return Err(Error::BadChunk("has a size with other than ;name behind it"));
            }
        }
        if self.extensions_bytes > EXTENSIONS_BYTES_MAX {
            return Err(Error::ExtensionsTooLarge);
        }
        let body_bytes = self.request.body.len();
        match usize::try_from(size) {
            Ok(0) => Ok(Part::Trailers),
            Ok(size) if size <= BODY_BYTES_MAX - body_bytes => Ok(Part::ChunkData(size)),
            _ => Err(Error::BodyTooLarge(size.saturating_add(body_bytes as u64))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &[u8] = b"GET /healthz?a=b HTTP/1.1\r\nHost: x\r\n\r\n";
    const POST: &[u8] = b"POST /api/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";

    fn reader(bytes: &[u8]) -> Reader {
        let mut reader = Reader::default();
        reader.receive(bytes);
        reader
    }

    fn next(reader: &mut Reader) -> Request {
        let request = reader.next().expect("well-formed");
        request.expect("complete")
    }

    /// All requests that come out when `bytes` come in these pieces, the error, and whether the
    /// reader waits for the rest of a request.
    fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Request>, Option<Error>, bool) {
        let mut reader = Reader::default();
        let (mut requests, mut error) = (Vec::new(), None);
        for piece in pieces {
            reader.receive(piece);
            assert!(reader.buffer.len() <= HEAD_BYTES_MAX + BODY_BYTES_MAX + 64 * 1024);
            loop {
                match reader.next() {
                    Ok(Some(request)) => requests.push(request),
                    Ok(None) => break,
                    Err(found) => {
                        error = Some(found);
                        break;
                    }
                }
            }
            assert!(!reader.is_full(), "a reader that waits for more can take it");
        }
        let waits = error.is_none() && !reader.is_idle();
        (requests, error, waits)
    }

    #[test]
    fn a_request_comes_with_all_its_parts() {
        let mut reader =
            reader(b"POST /api/search%20x?q=a+b&room=c HTTP/1.0\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
        let request = next(&mut reader);
        assert_eq!(request.method, Method::Post);
        assert_eq!(request.version, Version::Http10);
        assert_eq!(request.path, "/api/search x");
        assert_eq!(request.query.get("q"), Ok(Some("a b")));
        assert_eq!(request.headers.get("host"), Some("x"));
        assert_eq!(request.body, b"hello");
        assert!(!request.keep_alive);
    }

    #[test]
    fn requests_come_in_the_order_in_which_they_were_sent() {
        let chunked = b"POST /3 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
            3\r\nhel\r\n2;a=b\r\nlo\r\n0\r\nA: b\r\n\r\n";
        let mut reader = reader(&[GET, POST, chunked, b"\r\n", GET].concat());
        let requests = [(); 4].map(|()| next(&mut reader));
        assert_eq!(
            requests.each_ref().map(|request| request.path.as_str()),
            ["/healthz", "/api/messages", "/3", "/healthz"]
        );
        assert_eq!(requests[1].body, b"hello");
        assert_eq!(requests[2].body, b"hello");
        assert_eq!(reader.next(), Ok(None));
        assert!(reader.is_idle());
    }

    #[test]
    fn an_idle_reader_owns_no_heap_and_is_small() {
        assert!(size_of::<Reader>() <= 160, "{} bytes", size_of::<Reader>());
        let mut reader = Reader::default();
        for bytes in [GET, POST, b"\r\n", POST, &POST.repeat(1000)] {
            reader.receive(bytes);
            while reader.next().expect("well-formed").is_some() {}
            assert!(reader.is_idle());
            assert_eq!(reader.buffer.capacity(), 0);
        }
        // Also while the request is being answered, before anybody asks for another.
        reader.receive(POST);
        next(&mut reader);
        assert_eq!(reader.buffer.capacity(), 0);
    }

    #[test]
    fn what_waits_does_not_keep_the_buffer_of_what_came_before() {
        let mut reader = reader(&[&POST.repeat(1000)[..], b"GET /"].concat());
        while reader.next().expect("well-formed").is_some() {}
        assert_eq!(reader.held(), b"GET /");
        assert!(reader.buffer.capacity() <= 64, "{}", reader.buffer.capacity());
    }

    /// A client may send its first frames in the packet of the upgrade; they must reach the session,
    /// also where they look like a request.
    #[test]
    fn the_bytes_behind_an_upgrade_are_not_lost() {
        let upgrade = b"GET /ws?username=Ann HTTP/1.1\r\nHost: x\r\n\
            Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        let mut reader = reader(&[GET, upgrade, b"\x81\x85frame"].concat());
        assert_eq!(next(&mut reader).path, "/healthz");
        assert!(next(&mut reader).headers.has_token("upgrade", "WebSocket"));
        reader.receive(GET);
        assert_eq!(reader.into_rest(), [b"\x81\x85frame", GET].concat());
    }

    #[test]
    fn a_reader_tells_what_it_waits_for() {
        let (head, body) = POST.split_at(POST.len() - 5);
        let mut reader = Reader::default();
        let mut check = |bytes: &[u8], is_idle: bool, is_in_body: bool, is_complete: bool| {
            reader.receive(bytes);
            let found = reader.next().expect("well-formed");
            assert_eq!(found.is_some(), is_complete);
            assert_eq!((reader.is_idle(), reader.is_in_body()), (is_idle, is_in_body));
        };
        check(b"", true, false, false);
        check(b"\r\n", true, false, false);
        check(&head[..9], false, false, false);
        check(&head[9..], false, true, false);
        check(&body[..2], false, true, false);
        check(&body[2..], true, false, true);
    }

    #[test]
    fn a_client_is_told_to_continue_once_and_only_if_its_body_is_missing() {
        let head = |version: &str| {
            let line = format!("POST / HTTP/{version}\r\nHost: x\r\nConnection: keep-alive\r\n");
            format!("{line}Expect: 100-Continue\r\nContent-Length: 5\r\n\r\n").into_bytes()
        };
        let mut reader = reader(&head("1.1"));
        assert!(!reader.wants_continue(), "nothing is parsed yet");
        assert_eq!(reader.next(), Ok(None));
        assert!(reader.wants_continue());
        assert!(!reader.wants_continue());
        reader.receive(b"hello");
        assert_eq!(next(&mut reader).body, b"hello");

        reader.receive(&[&head("1.1")[..], b"hello"].concat());
        assert_eq!(next(&mut reader).body, b"hello");
        assert!(!reader.wants_continue(), "the body came along");

        reader.receive(&head("1.0"));
        assert_eq!(reader.next(), Ok(None));
        assert!(!reader.wants_continue(), "HTTP/1.0 knows no 100");
    }

    #[test]
    fn an_error_is_for_ever_and_what_follows_is_thrown_away() {
        let mut reader = reader(&[GET, b"GET / HTTP/1.1\r\n\r\n", GET].concat());
        assert_eq!(next(&mut reader).path, "/healthz");
        for _ in 0..3 {
            assert_eq!(reader.next(), Err(Error::BadHost("is missing")));
            reader.receive(&GET.repeat(10_000));
            assert!(reader.is_idle() && !reader.is_full());
            assert_eq!(reader.buffer.capacity(), 0);
        }
        assert_eq!(reader.into_rest(), b"");
    }

    #[test]
    fn nothing_comes_behind_the_last_request() {
        let last = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let mut reader = reader(&[last, GET].concat());
        assert!(!next(&mut reader).keep_alive);
        for _ in 0..3 {
            assert_eq!(reader.next(), Ok(None));
            reader.receive(GET);
            assert!(reader.is_idle());
            assert_eq!(reader.buffer.capacity(), 0);
        }
    }

    #[test]
    fn a_client_that_sends_ahead_is_held_back() {
        let mut reader = Reader::default();
        let mut received = 0;
        while !reader.is_full() {
            reader.receive(GET);
            received += 1;
        }
        assert_eq!(received, PIPELINED_BYTES_MAX.div_ceil(GET.len()));
        next(&mut reader);
        while reader.next().expect("well-formed").is_some() {}
        assert!(!reader.is_full());
    }

    #[test]
    fn a_body_of_the_limit_is_not_held_back() {
        let body = vec![b'a'; BODY_BYTES_MAX];
        let head = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {BODY_BYTES_MAX}\r\n\r\n");
        let bytes = [head.as_bytes(), &body, GET].concat();
        for size in [1000, 65_536] {
            let (requests, error, waits) = read(bytes.chunks(size));
            assert_eq!((requests.len(), error, waits), (2, None, false));
            assert_eq!(requests[0].body, body);
        }
    }

    /// SplitMix64: small, and a seed gives the same numbers everywhere.
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        }

        fn below(&mut self, end: usize) -> usize {
            (self.next() % end as u64) as usize
        }

        fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
            all[self.below(all.len())]
        }

        /// A body that could not be read as a line.
        fn body(&mut self) -> String {
            let bytes = self.one_of(&[0, 1, 9, 10, 16, 255, 3000]);
            (0..bytes).map(|_| self.one_of(&['a', '5', '\0', ' ', 'é'])).collect()
        }

        fn request(&mut self) -> Vec<u8> {
            let method = self.one_of(&["GET", "HEAD", "POST", "OPTIONS", "DELETE"]);
            let target = self.one_of(&["/", "/ws?username=Zo%C3%AB+1&v=2", "/é", "http://y/?a&b=%20"]);
            let mut request = format!("{method} {target} HTTP/1.1\r\nHost: x:80\r\n");
            for _ in 0..self.below(4) {
                request += self.one_of(&["A: b\r\n", "Accept:\t*/*\r\n", "Connection: keep-alive\r\n"]);
            }
            let body = self.body();
            match self.below(3) {
                0 => request += "\r\n",
                1 => request += &format!("Content-Length: {}\r\n\r\n{body}", body.len()),
                _ => {
                    request += "Transfer-Encoding: chunked\r\n\r\n";
                    let size = 1 + self.below(400);
                    for chunk in body.chars().collect::<Vec<_>>().chunks(size) {
                        let chunk: String = chunk.iter().collect();
                        let extension = match size {
                            ..10 => "",
                            _ => self.one_of(&["", ";a=b", " ;c"]),
                        };
                        request += &format!("{:x}{extension}\r\n{chunk}\r\n", chunk.len());
                    }
                    request += self.one_of(&["0\r\n\r\n", "000\r\nA: b\r\n\r\n"]);
                }
            }
            request.into_bytes()
        }

        fn requests(&mut self) -> (usize, Vec<u8>) {
            let count = 1 + self.below(5);
            (count, (0..count).flat_map(|_| self.request()).collect())
        }

        /// Cuts `bytes` into pieces of very different sizes.
        fn pieces<'a>(&mut self, mut bytes: &'a [u8]) -> Vec<&'a [u8]> {
            let mut pieces = Vec::new();
            while !bytes.is_empty() {
                let size = self.one_of(&[1, 2, 5, 30, 200, 5000]).min(bytes.len());
                let (piece, rest) = bytes.split_at(1 + self.below(size));
                pieces.push(piece);
                bytes = rest;
            }
            pieces
        }
    }

    #[test]
    fn however_bytes_are_split_the_same_requests_come_out() {
        for seed in 0..2_000 {
            let mut random = Random(seed);
            let (count, bytes) = random.requests();
            let whole = read([&bytes[..]]);
            assert_eq!((whole.0.len(), &whole.1, whole.2), (count, &None, false), "seed {seed}");
            assert_eq!(read(random.pieces(&bytes)), whole, "seed {seed}");
            assert_eq!(read(bytes.chunks(1)), whole, "seed {seed}");
        }
    }

    /// One wrong byte makes an error, or fewer requests because one now waits for more or closes; it
    /// never makes another request.
    #[test]
    fn one_wrong_byte_never_makes_one_request_more() {
        let mut outcomes = [0; 3];
        for seed in 0..20_000 {
            let mut random = Random(seed);
            let (count, mut bytes) = random.requests();
            let at = random.below(bytes.len());
            bytes[at] = match random.below(2) {
                0 => random.next() as u8,
                _ => random.one_of(b"\r\n \t:;,0159af\0%+-/"),
            };
            let whole = read([&bytes[..]]);
            let (requests, error, waits) = &whole;
            let closes = requests.last().is_some_and(|request| !request.keep_alive);
            assert!(requests.len() <= count, "seed {seed}");
            let explained = requests.len() == count || error.is_some() || *waits || closes;
            assert!(explained, "seed {seed}: {} of {count}", requests.len());
            let outcome = if error.is_some() { 0 } else { 1 + usize::from(*waits) };
            outcomes[outcome] += 1;
            assert_eq!(read(random.pieces(&bytes)), whole, "seed {seed}");
        }
        // All three do come about, so this test tests something.
        assert!(outcomes.iter().all(|&times| times > 20), "{outcomes:?}");
    }

    /// Bytes made of what the parser looks for get further than bytes of chance.
    #[test]
    fn random_bytes_never_panic() {
        const WORDS: [&[u8]; 24] = [
            b"GET ",
            b"POST ",
            b"/",
            b" HTTP/1.1\r\n",
            b"Host: x\r\n",
            b"\r\n",
            b"\r",
            b"\n",
            b" ",
            b"Content-Length: ",
            b"Transfer-Encoding: ",
            b"chunked",
            b"5",
            b"0",
            b"fffffffff",
            b";",
            b"%",
            b"?a=",
            b"&",
            b"\0",
            b"\xff",
            b":",
            b"http://",
            b"a",
        ];
        for seed in 0..30_000 {
            let mut random = Random(seed);
            let mut bytes = Vec::new();
            for _ in 0..random.below(40) {
                match random.below(8) {
                    0 => bytes.push(random.next() as u8),
                    _ => bytes.extend_from_slice(random.one_of(&WORDS)),
                }
            }
            let whole = read([&bytes[..]]);
            assert_eq!(read(random.pieces(&bytes)), whole, "seed {seed}");
            if let Some(error) = whole.1 {
                assert!(!error.detail().is_empty());
            }
        }
    }
}
