//! The way back: statuses, response heads and bodies as bytes. Decides nothing about contents.

use std::borrow::Cow;
use std::io::Write;

use super::Version;

/// Every status that we answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Status {
    /// 100: the head is fine, send the body.
    Continue = 100,
    /// 101: from here on it is a WebSocket.
    SwitchingProtocols = 101,
    /// 200
    Ok = 200,
    /// 201: made, and here it is.
    Created = 201,
    /// 204: done, and there is nothing to say.
    NoContent = 204,
    /// 304: what the client has is what we have.
    NotModified = 304,
    /// 400: not understood; asking again in the same way is no use.
    BadRequest = 400,
    /// 401: the token is missing or wrong.
    Unauthorized = 401,
    /// 403: from an origin that may not.
    Forbidden = 403,
    /// 404
    NotFound = 404,
    /// 405: goes with an `Allow` header.
    MethodNotAllowed = 405,
    /// 408: the request did not come in time.
    RequestTimeout = 408,
    /// 409: somebody else has it.
    Conflict = 409,
    /// 413: the body is over its limit.
    ContentTooLarge = 413,
    /// 414: the target is over its limit.
    UriTooLong = 414,
    /// 417: an `Expect` that we do not know.
    ExpectationFailed = 417,
    /// 426: goes with an `Upgrade` header.
    UpgradeRequired = 426,
    /// 431: the head is over its limit.
    HeadersTooLarge = 431,
    /// 501: a method or coding that we do not know.
    NotImplemented = 501,
    /// 503: full, or about to stop.
    ServiceUnavailable = 503,
    /// 505: not HTTP/1.
    VersionNotSupported = 505,
}

impl Status {
    /// The three digits.
    pub fn code(self) -> u16 {
        self as u16
    }

    /// The words behind them (RFC 9110 section 15, RFC 6585).
    pub fn reason(self) -> &'static str {
        match self {
            Status::Continue => "Continue",
            Status::SwitchingProtocols => "Switching Protocols",
            Status::Ok => "OK",
            Status::Created => "Created",
            Status::NoContent => "No Content",
            Status::NotModified => "Not Modified",
            Status::BadRequest => "Bad Request",
            Status::Unauthorized => "Unauthorized",
            Status::Forbidden => "Forbidden",
            Status::NotFound => "Not Found",
            Status::MethodNotAllowed => "Method Not Allowed",
            Status::RequestTimeout => "Request Timeout",
            Status::Conflict => "Conflict",
            Status::ContentTooLarge => "Content Too Large",
            Status::UriTooLong => "URI Too Long",
            Status::ExpectationFailed => "Expectation Failed",
            Status::UpgradeRequired => "Upgrade Required",
            Status::HeadersTooLarge => "Request Header Fields Too Large",
            Status::NotImplemented => "Not Implemented",
            Status::ServiceUnavailable => "Service Unavailable",
            Status::VersionNotSupported => "HTTP Version Not Supported",
        }
    }

    fn is_interim(self) -> bool {
        self.code() < 200
    }

    /// Whether a body may follow. RFC 9112 section 6.3.
    fn has_body(self) -> bool {
        !self.is_interim() && !matches!(self, Status::NoContent | Status::NotModified)
    }
}

/// What is to be answered, whoever asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: Status,
    /// Further headers. `write` makes Date, Content-Length and Transfer-Encoding itself, and
    /// Connection too but for 101.
    pub headers: Vec<(&'static str, String)>,
    /// The body, even where the request was a HEAD.
    pub body: Body,
}

/// The body of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// None: Content-Length 0.
    Empty,
    /// These bytes.
    Bytes(Cow<'static, [u8]>),
    /// Of unknown length: the caller goes on with `write_chunk` and `write_last_chunk`; to
    /// HTTP/1.0 with the bytes alone, until it closes; to a HEAD with nothing.
    Chunked,
}

/// What of the request shapes its response.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// Now, from [`imf_date`].
    pub date: &'a str,
    /// The request was a HEAD: the same head, no body.
    pub is_head: bool,
    /// Another request may follow.
    pub keep_alive: bool,
    /// The version of the request.
    pub version: Version,
}

impl Response {
    /// A response without a body.
    pub fn new(status: Status) -> Response {
        Response { status, headers: Vec::new(), body: Body::Empty }
    }

    /// Adds a header line.
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Response {
        self.headers.push((name, value.into()));
        self
    }

    /// Sets the body and its Content-Type, which is to be believed (Fetch standard, section 3.6).
    pub fn with_body(mut self, content_type: &'static str, bytes: impl Into<Cow<'static, [u8]>>) -> Response {
        self.body = Body::Bytes(bytes.into());
        self.with_type(content_type)
    }

    /// Makes the body one that the caller writes as it comes, and sets its Content-Type.
    pub fn with_chunks(mut self, content_type: &'static str) -> Response {
        self.body = Body::Chunked;
        self.with_type(content_type)
    }

    /// No text of a message is taken for a script or a page by a browser that guesses.
    fn with_type(self, content_type: &'static str) -> Response {
        self.with_header("Content-Type", content_type).with_header("X-Content-Type-Options", "nosniff")
    }

    /// Whether the connection may stay after this response. A body of unknown length to
    /// HTTP/1.0 is ended by closing.
    pub fn keeps_alive(&self, reply: &Reply<'_>) -> bool {
        let ends_by_closing = self.body == Body::Chunked && reply.version == Version::Http10;
        reply.keep_alive && !ends_by_closing
    }

    /// Appends the response to `out`: head and, unless it is chunked, body.
    ///
    /// Our own version is always `HTTP/1.1` (RFC 9110 section 2.5). 1xx, 204 and 304 end with
    /// their head. A control character in a header value becomes a space: no value, whoever it
    /// came from, makes a second header or a second response.
    pub fn write(&self, out: &mut Vec<u8>, reply: &Reply<'_>) {
        let rest = self.write_front(out, reply);
        out.extend_from_slice(rest);
    }

    /// As `write`, but for a body that lives as long as the program: it is not copied, but returned, and has to follow.
    /// Otherwise nothing is left, and what is returned is empty.
    #[must_use]
    pub fn write_front(&self, out: &mut Vec<u8>, reply: &Reply<'_>) -> &'static [u8] {
        let mut line = |name: &str, value: &str| {
            out.extend_from_slice(name.as_bytes());
            let value = value.bytes();
            out.extend(value.map(|byte| if byte.is_ascii_control() { b' ' } else { byte }));
            out.extend_from_slice(b"\r\n");
        };
        line("HTTP/1.1 ", &format!("{} {}", self.status.code(), self.status.reason()));
        if !self.status.is_interim() {
            line("Date: ", reply.date);
        }
        for (name, value) in &self.headers {
            line(&format!("{name}: "), value);
        }
        if self.status.has_body() {
            match &self.body {
                Body::Empty => line("Content-Length: ", "0"),
                Body::Bytes(bytes) => line("Content-Length: ", &bytes.len().to_string()),
                Body::Chunked if reply.version == Version::Http11 => {
                    line("Transfer-Encoding: ", "chunked");
                }
                Body::Chunked => {}
            }
        }
        match (self.keeps_alive(reply), reply.version) {
            _ if self.status.is_interim() => {}
            (false, _) => line("Connection: ", "close"),
            (true, Version::Http10) => line("Connection: ", "keep-alive"),
            (true, Version::Http11) => {}
        }
        out.extend_from_slice(b"\r\n");
        match &self.body {
            Body::Bytes(bytes) if self.status.has_body() && !reply.is_head => match bytes {
                Cow::Borrowed(bytes) => return bytes,
                Cow::Owned(bytes) => out.extend_from_slice(bytes),
            },
            _ => {}
        }
        &[]
    }
}

/// Appends one chunk of a chunked body. No bytes make no chunk: an empty one would be the last.
/// RFC 9112 section 7.1.
pub fn write_chunk(out: &mut Vec<u8>, bytes: &[u8]) {
    if !bytes.is_empty() {
        write!(out, "{:x}\r\n", bytes.len()).expect("a Vec takes every write");
        out.extend_from_slice(bytes);
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends the end of a chunked body.
pub fn write_last_chunk(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n\r\n");
}

/// The time as HTTP writes it, `Sun, 06 Nov 1994 08:49:37 GMT`, from seconds since 1970.
///
/// Always 29 characters: times outside of the years 1970 to 9999 are given as the nearest inside.
/// IMF-fixdate, RFC 9110 section 5.6.7.
pub fn imf_date(unix_seconds: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    /// 9999-12-31T23:59:59Z
    const LAST: i64 = 253_402_300_799;

    let seconds = unix_seconds.clamp(0, LAST) as u64;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Years begin in March here: then the leap day is a year's last, and months follow the
    // five-month pattern 31 30 31 30 31. An era is 400 years, 146,097 days.
    let since_march_0 = days + 719_468;
    let (era, day_of_era) = (since_march_0 / 146_097, since_march_0 % 146_097);
    let leap_days = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months_since_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * months_since_march + 2) / 5 + 1;
    let month = (months_since_march + 2) % 12;
    let year = era * 400 + year_of_era + u64::from(month < 2);
    format!(
        "{}, {day:02} {} {year:04} {:02}:{:02}:{:02} GMT",
        DAYS[(days % 7) as usize],
        MONTHS[month as usize],
        second / 3_600,
        second / 60 % 60,
        second % 60,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLY: Reply<'static> =
        Reply { date: "Sun, 06 Nov 1994 08:49:37 GMT", is_head: false, keep_alive: true, version: Version::Http11 };

    fn check(response: &Response, reply: Reply<'_>, expect: &str) {
        let mut out = Vec::new();
        response.write(&mut out, &reply);
        let text = String::from_utf8(out).expect("ASCII").replace("\r\n", "|");
        let date = "Date: Sun, 06 Nov 1994 08:49:37 GMT|";
        assert_eq!(text.replace(date, "D|"), expect);
    }

    #[test]
    fn a_head_says_where_its_body_ends() {
        let page = Response::new(Status::Ok).with_body("text/plain", &b"hello"[..]);
        let head = "HTTP/1.1 200 OK|D|Content-Type: text/plain|X-Content-Type-Options: nosniff|Content-Length: 5|";
        check(&page, REPLY, &format!("{head}|hello"));
        let reply = Reply { is_head: true, ..REPLY };
        check(&page, reply, &format!("{head}|"));
        let reply = Reply { keep_alive: false, ..REPLY };
        check(&page, reply, &format!("{head}Connection: close||hello"));
        let reply = Reply { version: Version::Http10, ..REPLY };
        check(&page, reply, &format!("{head}Connection: keep-alive||hello"));
        let empty = Response::new(Status::NotFound);
        check(&empty, REPLY, "HTTP/1.1 404 Not Found|D|Content-Length: 0||");
    }

    #[test]
    fn a_body_inside_the_program_is_not_copied_and_a_head_has_none() {
        static FILE: [u8; 5] = *b"hello";
        let (fixed, made) = (Response::new(Status::Ok), Response::new(Status::Ok));
        let (fixed, made) = (fixed.with_body("text/plain", &FILE[..]), made.with_body("text/plain", b"hello".to_vec()));
        let mut out = Vec::new();
        let rest = fixed.write_front(&mut out, &REPLY);
        assert!(std::ptr::eq(rest, &FILE[..]) && out.ends_with(b"Content-Length: 5\r\n\r\n"));
        assert!(fixed.write_front(&mut Vec::new(), &Reply { is_head: true, ..REPLY }).is_empty());
        out.clear();
        assert!(made.write_front(&mut out, &REPLY).is_empty() && out.ends_with(b"\r\n\r\nhello"));
        let mut same = fixed.clone();
        same.status = Status::NotModified;
        assert!(same.write_front(&mut Vec::new(), &REPLY).is_empty());
    }

    #[test]
    fn a_body_of_unknown_length_is_chunked_or_ends_by_closing() {
        let long = Response::new(Status::Ok).with_chunks("text/plain");
        let head = "HTTP/1.1 200 OK|D|Content-Type: text/plain|X-Content-Type-Options: nosniff|";
        check(&long, REPLY, &format!("{head}Transfer-Encoding: chunked||"));
        assert!(long.keeps_alive(&REPLY));
        let reply = Reply { version: Version::Http10, ..REPLY };
        check(&long, reply, &format!("{head}Connection: close||"));
        assert!(!long.keeps_alive(&reply));
        let mut out = Vec::new();
        write_chunk(&mut out, &[b'a'; 26]);
        write_chunk(&mut out, b"");
        write_last_chunk(&mut out);
        assert_eq!(out, b"1a\r\naaaaaaaaaaaaaaaaaaaaaaaaaa\r\n0\r\n\r\n");
    }

    #[test]
    fn a_status_without_a_body_has_none() {
        check(&Response::new(Status::Continue), REPLY, "HTTP/1.1 100 Continue||");
        let upgrade = Response::new(Status::SwitchingProtocols);
        let upgrade = upgrade.with_header("Connection", "Upgrade");
        check(&upgrade, REPLY, "HTTP/1.1 101 Switching Protocols|Connection: Upgrade||");
        let mut none = Response::new(Status::NoContent);
        none.body = Body::Bytes(Cow::Borrowed(b"never sent"));
        check(&none, REPLY, "HTTP/1.1 204 No Content|D||");
        let same = Response::new(Status::NotModified).with_header("ETag", "\"a\"");
        check(&same, REPLY, "HTTP/1.1 304 Not Modified|D|ETag: \"a\"||");
    }

    #[test]
    fn no_header_value_makes_another_header() {
        let response = Response::new(Status::NoContent).with_header("X", "a\r\nSet-Cookie: b\0é");
        check(&response, REPLY, "HTTP/1.1 204 No Content|D|X: a  Set-Cookie: b é||");
    }

    #[test]
    fn dates_are_right_in_leap_years_and_at_the_ends() {
        for (seconds, expect) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_799, "Tue, 29 Feb 2000 23:59:59 GMT"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
            (1_769_509_855, "Tue, 27 Jan 2026 10:30:55 GMT"),
            (1_830_297_599, "Fri, 31 Dec 2027 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (i64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (i64::MIN, "Thu, 01 Jan 1970 00:00:00 GMT"),
        ] {
            assert_eq!(imf_date(seconds), expect);
        }
    }

    /// Walks every day of four centuries by counting, without the arithmetic above.
    #[test]
    fn every_day_follows_the_day_before() {
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..146_097 + 365 {
            let date = imf_date(days * 86_400 + 43_200);
            assert_eq!(date[5..7], format!("{day:02}"), "{date}");
            assert_eq!(date[12..16], format!("{year:04}"), "{date}");
            let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let month_days = match month {
                2 if is_leap => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > month_days {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
    }
}
