//! One request head: request line, header lines, and what they say about the body. Finds no ends:
//! the reader hands over whole lines, checked for control characters.

use super::query::{self, Pairs, Query};
use super::{BODY_BYTES_MAX, Error, HEADERS_MAX, METHOD_BYTES_MAX, TARGET_BYTES_MAX};
use super::{Method, Request, Version};

/// The header lines of a request, in order.
///
/// Names are compared without regard to case. Bytes of a value that are not UTF-8 are U+FFFD.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Pairs);

impl Headers {
    /// The value of the first line of that name, without the white space around it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The values of all lines of that name.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let lines = self.0.iter();
        lines.filter_map(move |(known, value)| known.eq_ignore_ascii_case(name).then_some(value))
    }

    /// Whether `token` is in the comma-separated lists of all lines of that name, in any case:
    /// `Connection: keep-alive, Upgrade` has `upgrade`.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        let mut tokens = self.all(name).flat_map(|value| value.split(','));
        tokens.any(|known| known.trim_matches([' ', '\t']).eq_ignore_ascii_case(token))
    }

    /// Whether the client has named this content coding as one that it takes: with any weight but 0. RFC 9110 section
    /// 12.5.3, where one that it has not named may be sent as well; we do not.
    pub fn accepts_coding(&self, coding: &str) -> bool {
        let mut entries = self.all("accept-encoding").flat_map(|value| value.split(','));
        entries.any(|entry| {
            let mut parts = entry.split(';').map(|part| part.trim_matches([' ', '\t']));
            parts.next().is_some_and(|name| name.eq_ignore_ascii_case(coding)) && !parts.any(is_weight_0)
        })
    }
}

/// `q=0`, `q=0.000`. RFC 9110 section 12.4.2.
fn is_weight_0(parameter: &str) -> bool {
    let weight = parameter.strip_prefix(['q', 'Q']).and_then(|rest| rest.strip_prefix('='));
    weight.is_some_and(|weight| weight.bytes().all(|byte| matches!(byte, b'0' | b'.')))
}

/// How the end of a body is known.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// This many bytes; 0 without a body.
    Sized(usize),
    Chunked,
}

/// Parses a head from its request line, without CRLF, and its header lines, with the CRLF of the
/// last one and of the empty line.
///
/// Gives the request without its body, how the body ends, and whether the client waits for
/// `100 Continue`. RFC 9112 sections 3, 5 and 6.
pub(super) fn parse(line: &[u8], lines: &[u8]) -> Result<(Request, Length, bool), Error> {
    let line = RequestLine::parse(line)?;
    let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let fields = parse_fields(lines, &mut fields)?;
    let length = length(fields, line.version)?;
    check_host(fields, &line)?;
    let headers = headers(fields, line.target.authority, lines.len());
    let expects_continue = expects_continue(&headers, line.version)?;
    let keep_alive = !headers.has_token("connection", "close")
        && (line.version == Version::Http11 || headers.has_token("connection", "keep-alive"));
    let request = Request {
        method: method(line.method),
        version: line.version,
        path: query::decode_path(line.target.path).map_err(Error::BadPath)?,
        query: Query::parse(line.target.query)?,
        headers,
        body: Vec::new(),
        keep_alive,
    };
    Ok((request, length, expects_continue))
}

/// Refuses a request line, given without CRLF, that `parse` would refuse.
pub(super) fn check_request_line(line: &[u8]) -> Result<(), Error> {
    RequestLine::parse(line).map(|_| ())
}

/// What is too long about a request line that has no end within its limit.
pub(super) fn request_line_too_long(line: &[u8]) -> Error {
    match line.iter().take(METHOD_BYTES_MAX + 1).position(|&byte| byte == b' ') {
        Some(_) => Error::TargetTooLong,
        None => Error::UnknownMethod(String::from_utf8_lossy(line).into_owned()),
    }
}

/// Refuses trailers that are not header lines. What they say is not used: a Content-Length that
/// comes behind the body must change nothing. RFC 9112 section 7.1.2.
pub(super) fn check_trailers(lines: &[u8]) -> Result<(), Error> {
    let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
    parse_fields(lines, &mut fields).map(|_| ())
}

struct RequestLine<'a> {
    method: &'a str,
    target: Target<'a>,
    version: Version,
}

struct Target<'a> {
    authority: Option<&'a str>,
    path: &'a [u8],
    query: &'a [u8],
}

impl<'a> RequestLine<'a> {
    /// `method SP request-target SP HTTP-version`, single spaces. RFC 9112 section 3.
    fn parse(line: &'a [u8]) -> Result<RequestLine<'a>, Error> {
        let mut words = line.split(|&byte| byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(Error::BadRequestLine("is not three words with one space between"));
        };
        let method = token(method).ok_or(Error::BadRequestLine("has a method that is no token"))?;
        let version = parse_version(version)?;
        if method.len() > METHOD_BYTES_MAX || method == "CONNECT" {
            return Err(Error::UnknownMethod(method.to_owned()));
        }
        if target.len() > TARGET_BYTES_MAX {
            return Err(Error::TargetTooLong);
        }
        Ok(RequestLine { method, target: Target::parse(target, method)?, version })
    }
}

impl<'a> Target<'a> {
    /// Origin form, absolute form, or `*` for OPTIONS. RFC 9112 section 3.2.
    fn parse(target: &'a [u8], method: &str) -> Result<Target<'a>, Error> {
        if target.iter().any(|byte| matches!(byte, b'#' | b'\t')) {
            return Err(Error::BadTarget("has a # or a tab in it"));
        }
        let (authority, rest) = match target {
            [b'/', ..] => (None, target),
            b"*" if method == "OPTIONS" => (None, target),
            b"*" => return Err(Error::BadTarget("is * and the method is not OPTIONS")),
            _ => {
                let (authority, rest) = split_absolute(target)?;
                (Some(authority), rest)
            }
        };
        let path_end = rest.iter().position(|&byte| byte == b'?');
        let (path, query) = rest.split_at(path_end.unwrap_or(rest.len()));
        Ok(Target {
            authority,
            path: if path.is_empty() { b"/" } else { path },
            query: query.get(1..).unwrap_or_default(),
        })
    }
}

/// Splits `http://authority/path?query` behind its authority.
///
/// Servers must take it, and must take its authority for the Host (RFC 9112 section 3.2.2). A
/// user name in it is an error (RFC 9110 section 4.2.4).
fn split_absolute(target: &[u8]) -> Result<(&str, &[u8]), Error> {
    let scheme = |scheme: &str| {
        let start = target.get(..scheme.len())?;
        start.eq_ignore_ascii_case(scheme.as_bytes()).then_some(&target[scheme.len()..])
    };
    let rest = scheme("http://").or_else(|| scheme("https://"));
    let rest = rest.ok_or(Error::BadTarget("begins with neither / nor http://"))?;
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?'));
    let (authority, rest) = rest.split_at(end.unwrap_or(rest.len()));
    let authority = parse_host(authority).ok_or(Error::BadTarget("has a bad host in it"))?;
    Ok((authority, rest))
}

/// `HTTP/1.1`; later minor versions count as it. RFC 9110 section 2.5.
fn parse_version(version: &[u8]) -> Result<Version, Error> {
    match version {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'2'..=b'9'] => Ok(Version::Http11),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
            Err(Error::UnknownVersion(String::from_utf8_lossy(version).into_owned()))
        }
        _ => Err(Error::BadRequestLine("has a version that is not HTTP/digit.digit")),
    }
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "OPTIONS" => Method::Options,
        _ => Method::Other(name.to_owned()),
    }
}

/// Header lines as httparse reads them: it refuses folded lines and space before the colon; bare
/// CR and LF never come here.
fn parse_fields<'h, 'b>(
    lines: &'b [u8],
    fields: &'h mut [httparse::Header<'b>],
) -> Result<&'h [httparse::Header<'b>], Error> {
    match httparse::parse_headers(lines, fields) {
        Ok(httparse::Status::Complete((used, fields))) if used == lines.len() => Ok(fields),
        Err(httparse::Error::TooManyHeaders) => Err(Error::TooManyHeaders),
        _ => Err(bad_line(lines)),
    }
}

/// Finds the line that httparse would not have, to say which it was and why.
#[cold]
fn bad_line(lines: &[u8]) -> Error {
    let mut lines = lines.split(|&byte| byte == b'\n').map(|line| line.trim_ascii_end());
    let found = lines.find_map(|line| {
        let colon = line.iter().position(|&byte| byte == b':');
        let name = &line[..colon.unwrap_or(line.len())];
        let why = match (line.first(), colon, name.last()) {
            (Some(b' ' | b'\t'), _, _) => "begins with white space",
            (Some(_), None, _) => "has no colon",
            (Some(_), _, Some(b' ' | b'\t')) => "has white space before its colon",
            (Some(_), _, _) if token(name).is_none() => "has a name that is no token",
            _ => return None,
        };
        // The name only: the value may be a secret.
        Some((String::from_utf8_lossy(name).into_owned(), why))
    });
    let (line, why) = found.unwrap_or_else(|| (String::new(), "cannot be read"));
    Error::BadHeader { line, why }
}

/// What the head says about the end of its body. RFC 9112 section 6.3, without the leniencies:
/// whatever two programs may read differently is refused.
fn length(fields: &[httparse::Header<'_>], version: Version) -> Result<Length, Error> {
    let mut lengths = values(fields, "content-length");
    let mut encodings = values(fields, "transfer-encoding");
    match (lengths.next(), encodings.next()) {
        (None, None) => Ok(Length::Sized(0)),
        (Some(_), Some(_)) => Err(Error::TwoLengths),
        (Some(length), None) => match lengths.next() {
            None => content_length(length),
            Some(other) => Err(Error::BadLength(list(length, other))),
        },
        (None, Some(encoding)) => match encodings.next() {
            None => transfer_encoding(encoding, version),
            Some(other) => Err(Error::BadTransferEncoding(list(encoding, other))),
        },
    }
}

/// Digits and nothing else: no sign, no list. What is a number but over the limit is 413; what
/// no 64 bits can hold is 400.
fn content_length(value: &[u8]) -> Result<Length, Error> {
    let digits = value.iter().all(u8::is_ascii_digit);
    let number = str::from_utf8(value).ok().filter(|_| digits);
    match number.and_then(|number| number.parse::<u64>().ok()) {
        None => Err(Error::BadLength(String::from_utf8_lossy(value).into_owned())),
        Some(bytes) => match usize::try_from(bytes) {
            Ok(bytes) if bytes <= BODY_BYTES_MAX => Ok(Length::Sized(bytes)),
            _ => Err(Error::BodyTooLarge(bytes)),
        },
    }
}

/// `chunked`, in any case, and in HTTP/1.1 only. Another coding under it is 501, anything else
/// 400. RFC 9112 section 6.1.
fn transfer_encoding(value: &[u8], version: Version) -> Result<Length, Error> {
    if version == Version::Http11 && value.eq_ignore_ascii_case(b"chunked") {
        return Ok(Length::Chunked);
    }
    let text = String::from_utf8_lossy(value).into_owned();
    let mut codings = text.rsplit(',').map(|coding| coding.trim_matches([' ', '\t']));
    let is_chunked = |coding: &str| coding.eq_ignore_ascii_case("chunked");
    let ends_known = version == Version::Http11 && codings.next().is_some_and(is_chunked);
    if ends_known && codings.all(|coding| token(coding.as_bytes()).is_some() && !is_chunked(coding)) {
        return Err(Error::UnknownTransferCoding(text));
    }
    Err(Error::BadTransferEncoding(text))
}

/// Exactly one well-formed Host, which only HTTP/1.0 may leave out. RFC 9112 section 3.2.
fn check_host(fields: &[httparse::Header<'_>], line: &RequestLine<'_>) -> Result<(), Error> {
    let mut hosts = values(fields, "host");
    match (hosts.next(), hosts.next()) {
        (_, Some(_)) => Err(Error::BadHost("is given twice")),
        (Some(host), None) if parse_host(host).is_none() => Err(Error::BadHost("is malformed")),
        (None, None) if line.version == Version::Http11 => Err(Error::BadHost("is missing")),
        _ => Ok(()),
    }
}

/// `name`, `1.2.3.4` or `[::1]`, with `:port` or without. Stricter than RFC 3986 section 3.2.2
/// where no real host name is: a comma, say, would be two Hosts that a proxy has joined.
fn parse_host(host: &[u8]) -> Option<&str> {
    let text = str::from_utf8(host).ok()?;
    let (name_is_good, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            (address.parse::<std::net::Ipv6Addr>().is_ok(), port)
        }
        None => {
            let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            let is_good = |byte| matches!(byte, b'-' | b'.' | b'_' | b'~' | b'%');
            let mut bytes = name.bytes();
            let all_good = bytes.all(|byte| byte.is_ascii_alphanumeric() || is_good(byte));
            (!name.is_empty() && all_good, port)
        }
    };
    let port_is_good = match port.strip_prefix(':') {
        None => port.is_empty(),
        // An empty port is none (RFC 3986 section 3.2.3).
        Some("") => true,
        Some(port) => port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok(),
    };
    (name_is_good && port_is_good).then_some(text)
}

/// `100-continue`; of HTTP/1.0 it must be ignored. RFC 9110 section 10.1.1.
fn expects_continue(headers: &Headers, version: Version) -> Result<bool, Error> {
    if version == Version::Http10 {
        return Ok(false);
    }
    let is_unknown = |value: &&str| !value.eq_ignore_ascii_case("100-continue");
    match headers.all("expect").find(is_unknown) {
        Some(value) => Err(Error::UnknownExpectation(value.to_owned())),
        None => Ok(headers.get("expect").is_some()),
    }
}

/// Keeps the header lines; the target's own authority takes the place of Host.
fn headers(fields: &[httparse::Header<'_>], authority: Option<&str>, text_bytes: usize) -> Headers {
    let mut pairs = Pairs::with_capacity(fields.len() + 1, text_bytes);
    let mut add = |name: &str, value: &str| pairs.add(name, value);
    if let Some(authority) = authority {
        add("host", authority);
    }
    for field in fields {
        if authority.is_none() || !field.name.eq_ignore_ascii_case("host") {
            add(field.name, &String::from_utf8_lossy(field.value));
        }
    }
    Headers(pairs)
}

fn values<'a>(fields: &[httparse::Header<'a>], name: &str) -> impl Iterator<Item = &'a [u8]> {
    let named = fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name));
    named.map(|field| field.value)
}

fn list(first: &[u8], second: &[u8]) -> String {
    let [first, second] = [first, second].map(String::from_utf8_lossy);
    format!("{first}, {second}")
}

/// RFC 9110 section 5.6.2.
fn token(bytes: &[u8]) -> Option<&str> {
    let is_good = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let token = str::from_utf8(bytes).ok()?;
    (!token.is_empty() && bytes.iter().all(is_good)).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str, lines: &str) -> Result<Request, Error> {
        let lines = format!("{lines}\r\n");
        parse(line.as_bytes(), lines.as_bytes()).map(|(request, ..)| request)
    }

    fn check_detail(line: &str, lines: &str, expect: &str) {
        let error = parsed(line, lines).expect_err(lines);
        assert_eq!(error.detail(), expect);
    }

    #[test]
    fn header_names_have_no_case_and_lists_may_be_split() {
        let lines = "HOST: x\r\nConnection: Keep-Alive ,\tUpgrade\r\nconnection:x\r\nA: \t b c \r\n";
        let headers = parsed("GET / HTTP/1.1", lines).expect("well-formed").headers;
        assert_eq!(headers.get("host"), Some("x"));
        assert_eq!(headers.get("a"), Some("b c"));
        assert_eq!(headers.get("b"), None);
        let all: Vec<_> = headers.all("CONNECTION").collect();
        assert_eq!(all, ["Keep-Alive ,\tUpgrade", "x"]);
        assert!(headers.has_token("Connection", "upgrade"));
        assert!(headers.has_token("Connection", "X"));
        assert!(!headers.has_token("Connection", "keep"));
        assert!(!headers.has_token("Upgrade", "websocket"));
    }

    #[test]
    fn a_coding_is_taken_by_who_names_it_with_a_weight() {
        for (value, expect) in [
            ("gzip", true),
            ("br, GZIP", true),
            ("gzip;q=1.0, identity;q=0.5", true),
            ("deflate;q=0 ,gzip ; Q=0.001", true),
            ("gzip;q=0", false),
            ("gzip; q=0.000, *", false),
            ("x-gzip", false),
            ("gzipped", false),
            ("*", false),
            ("", false),
        ] {
            let headers = parsed("GET / HTTP/1.1", &format!("Host: x\r\nAccept-Encoding: {value}\r\n"));
            assert_eq!(headers.expect("well-formed").headers.accepts_coding("gzip"), expect, "{value:?}");
        }
        let lines = "Host: x\r\nAccept-Encoding: br\r\naccept-encoding: gzip;q=0.2\r\n";
        assert!(parsed("GET / HTTP/1.1", lines).expect("well-formed").headers.accepts_coding("gzip"));
    }

    #[test]
    fn the_host_of_the_target_takes_the_place_of_the_header() {
        let request = parsed("GET http://y:80?a=b HTTP/1.1", "A: b\r\nHost: x\r\n");
        let request = request.expect("well-formed");
        assert_eq!(request.path, "/");
        assert_eq!(request.query.get("a"), Ok(Some("b")));
        assert_eq!(request.headers.all("host").collect::<Vec<_>>(), ["y:80"]);
        assert_eq!(request.headers.get("a"), Some("b"));
    }

    #[test]
    fn a_value_that_is_not_utf8_is_kept_as_well_as_can_be() {
        let parsed = parse(b"GET / HTTP/1.1", b"Host: x\r\nA: caf\xe9!\r\n\r\n");
        let (request, ..) = parsed.expect("well-formed");
        assert_eq!(request.headers.get("a"), Some("caf\u{fffd}!"));
    }

    #[test]
    fn the_refusal_names_the_line_and_no_secret() {
        let line = "GET / HTTP/1.1";
        let want = "want \"Name: value\"";
        for (lines, why) in [
            ("Authorization : Bearer s", "\"Authorization \" has white space before its colon"),
            ("Host: x\r\n folded: s", "\" folded\" begins with white space"),
            ("Host: x\r\nnothing", "\"nothing\" has no colon"),
            ("Host: x\r\nA B: s", "\"A B\" has a name that is no token"),
            ("Host: x\r\n: s", "\"\" has a name that is no token"),
        ] {
            check_detail(line, &format!("{lines}\r\n"), &format!("header line {why}, {want}"));
        }
        let length = "header Content-Length is \"5, 6\", want one whole number";
        check_detail(line, "Host: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n", length);
        let too_large = "body is 200000 bytes, the limit is 131072";
        check_detail(line, "Host: x\r\nContent-Length: 200000\r\n", too_large);
        check_detail(line, "", "header Host is missing, want one \"Host: name[:port]\"");
        check_detail(
            "GET /",
            "Host: x\r\n",
            "request line is not three words with one space between, want \"METHOD /path HTTP/1.1\"",
        );
    }

    #[test]
    fn a_connection_stays_as_its_version_has_it() {
        for (version, lines, expect) in [
            ("1.1", "", true),
            ("1.1", "Connection: close\r\n", false),
            ("1.1", "Connection: keep-alive, CLOSE\r\n", false),
            ("1.0", "", false),
            ("1.0", "Connection: Keep-Alive\r\n", true),
            ("1.0", "Connection: keep-alive\r\nConnection: close\r\n", false),
        ] {
            let line = format!("GET / HTTP/{version}");
            let request = parsed(&line, &format!("Host: x\r\n{lines}")).expect("well-formed");
            assert_eq!(request.keep_alive, expect, "{version} {lines:?}");
        }
    }
}
