//! A table of requests, well-formed and not, each with the exact statuses that it must get.
//!
//! Each row's bytes go through `http::Reader` and `http::route`: whole, byte by byte and in two
//! halves. A row that is well-formed to its end is followed by another request, which must come
//! out as itself: so the row's end was found where it is. A row that is refused is followed by
//! one too, which must never come out.

use catchup::http::{BODY_BYTES_MAX, CHUNK_LINE_BYTES_MAX, EXTENSIONS_BYTES_MAX, HEAD_BYTES_MAX};
use catchup::http::{HEADERS_MAX, METHOD_BYTES_MAX, TARGET_BYTES_MAX, TRAILERS_BYTES_MAX};
use catchup::http::{Reader, route};

/// Stands at the end of a row whose last request is not complete.
const WAITS: u16 = 0;

/// Follows every row that does not wait.
const SMUGGLED: &[u8] = b"POST /smuggled HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
const SMUGGLED_PATH: &str = "/smuggled";

struct Row {
    name: String,
    bytes: Vec<u8>,
    /// The status of each request in `bytes`, in order. A refusal by the reader is the last.
    expect: Vec<u16>,
}

#[derive(Default)]
struct Table(Vec<Row>);

impl Table {
    fn add(&mut self, name: &str, bytes: impl AsRef<[u8]>, expect: &[u16]) {
        self.0.push(Row { name: name.to_owned(), bytes: bytes.as_ref().to_vec(), expect: expect.to_vec() });
    }

    /// A request line, with a Host behind it.
    fn line(&mut self, name: &str, line: impl AsRef<[u8]>, expect: u16) {
        let bytes = [line.as_ref(), b"\r\nHost: x\r\n\r\n"].concat();
        self.add(name, bytes, &[expect]);
    }

    /// A target of `GET`.
    fn target(&mut self, name: &str, target: impl AsRef<[u8]>, expect: u16) {
        let line = [b"GET ", target.as_ref(), b" HTTP/1.1"].concat();
        self.line(name, line, expect);
    }

    /// Header lines behind a good Host, without the last CRLF.
    fn headers(&mut self, name: &str, lines: impl AsRef<[u8]>, expect: u16) {
        let bytes = [b"GET / HTTP/1.1\r\nHost: x\r\n", lines.as_ref(), b"\r\n\r\n"].concat();
        self.add(name, bytes, &[expect]);
    }

    /// Header lines that stand where Host should, without the last CRLF.
    fn host(&mut self, name: &str, lines: impl AsRef<[u8]>, expect: u16) {
        let bytes = [b"GET / HTTP/1.1\r\n", lines.as_ref(), b"\r\n\r\n"].concat();
        self.add(name, bytes, &[expect]);
    }

    /// A `POST` with these header lines and this body.
    fn body(&mut self, name: &str, lines: &str, body: impl AsRef<[u8]>, expect: u16) {
        let head = format!("POST /api/messages HTTP/1.1\r\nHost: x\r\n{lines}\r\n\r\n");
        self.add(name, [head.as_bytes(), body.as_ref()].concat(), &[expect]);
    }

    fn chunks(&mut self, name: &str, body: impl AsRef<[u8]>, expect: u16) {
        self.body(name, "Transfer-Encoding: chunked", body, expect);
    }
}

fn table() -> Vec<Row> {
    let mut table = Table::default();
    endpoints(&mut table);
    request_lines(&mut table);
    targets(&mut table);
    queries(&mut table);
    line_ends(&mut table);
    header_lines(&mut table);
    hosts(&mut table);
    lengths(&mut table);
    encodings(&mut table);
    chunks(&mut table);
    trailers(&mut table);
    connections(&mut table);
    limits(&mut table);
    waits(&mut table);
    smuggling(&mut table);
    table.0
}

#[rustfmt::skip] // one row, one line
fn endpoints(t: &mut Table) {
    for path in [
        "/",
        "/api/messages",
        "/api/search",
        "/api/rooms",
        "/api/users",
        "/healthz",
        "/readyz",
        "/metrics",
        "/openapi.json",
        "/asyncapi.json",
    ] {
        t.line(&format!("GET {path}"), format!("GET {path} HTTP/1.1"), 200);
        t.line(&format!("HEAD {path}"), format!("HEAD {path} HTTP/1.1"), 200);
        t.line(&format!("DELETE {path}"), format!("DELETE {path} HTTP/1.1"), 405);
    }
    t.target("ws, before the upgrade is checked", "/ws?username=Ann", 200);
    t.line("summarize", "POST /api/summarize?username=Ann HTTP/1.1", 200);
    t.line("post a message", "POST /api/messages?username=Ann HTTP/1.1", 200);
    t.line("HEAD for ws", "HEAD /ws HTTP/1.1", 405);
    t.line("POST to ws", "POST /ws HTTP/1.1", 405);
    t.line("POST to the page", "POST / HTTP/1.1", 405);
    t.line("GET for summarize", "GET /api/summarize HTTP/1.1", 405);
    t.line("HEAD for summarize", "HEAD /api/summarize HTTP/1.1", 405);
    t.line("PUT of a message", "PUT /api/messages HTTP/1.1", 405);
    t.line("PATCH of a message", "PATCH /api/messages HTTP/1.1", 405);
    t.line("TRACE", "TRACE / HTTP/1.1", 405);
    t.line("OPTIONS for a path", "OPTIONS /api/messages HTTP/1.1", 200);
    t.line("OPTIONS for the server", "OPTIONS * HTTP/1.1", 200);
    t.line("OPTIONS for no path", "OPTIONS /nowhere HTTP/1.1", 404);
    t.target("an unknown path", "/nowhere", 404);
    t.target("a slash too much at the end", "/api/messages/", 404);
    t.target("a slash too much at the start", "//api/messages", 404);
    t.target("another case", "/API/messages", 404);
    t.line("an unknown method", "BREW / HTTP/1.1", 501);
    t.line("an unknown method on an unknown path", "BREW /nowhere HTTP/1.1", 501);
    t.line("a method in small letters", "get / HTTP/1.1", 501);
    t.line("a method with a capital only", "Get / HTTP/1.1", 501);
    t.line("a WebDAV method", "PROPFIND / HTTP/1.1", 501);
    t.line("a method of odd token characters", "M-S.E_A!R|C~H HTTP/1.1", 400);
    t.line("the same with a target", "M-S.E_A!R|C~H / HTTP/1.1", 501);
}

#[rustfmt::skip] // one row, one line
fn request_lines(t: &mut Table) {
    t.line("HTTP/1.0", "GET / HTTP/1.0", 200);
    t.line("a later minor version is 1.1", "GET / HTTP/1.2", 200);
    t.line("the last minor version", "GET / HTTP/1.9", 200);
    t.line("HTTP/2", "GET / HTTP/2.0", 505);
    t.line("HTTP/2, its preface", "PRI * HTTP/2.0", 505);
    t.line("HTTP/3", "GET / HTTP/3.0", 505);
    t.line("HTTP/0.9 by name", "GET / HTTP/0.9", 505);
    t.line("HTTP/0.9 by form", "GET /", 400);
    t.line("no target", "GET HTTP/1.1", 400);
    t.line("an empty target", "GET  HTTP/1.1", 400);
    t.line("a method alone", "GET", 400);
    t.line("no method", " / HTTP/1.1", 400);
    t.line("no version behind the space", "GET / ", 400);
    t.line("a version without a minor", "GET / HTTP/1", 400);
    t.line("a version with a long minor", "GET / HTTP/1.10", 400);
    t.line("a version with a leading zero", "GET / HTTP/01.1", 400);
    t.line("a version with a zero minor digit more", "GET / HTTP/1.01", 400);
    t.line("a version in small letters", "GET / http/1.1", 400);
    t.line("a version with a comma", "GET / HTTP/1,1", 400);
    t.line("a version with a letter", "GET / HTTP/1.x", 400);
    t.line("a version with a sign", "GET / HTTP/+1.1", 400);
    t.line("another protocol", "GET / HTCPCP/1.0", 400);
    t.line("another protocol of four letters", "GET / ICAP/1.1", 400);
    t.line("a space behind the version", "GET / HTTP/1.1 ", 400);
    t.line("a tab behind the version", "GET / HTTP/1.1\t", 400);
    t.line("two spaces before the target", "GET  / HTTP/1.1", 400);
    t.line("two spaces before the version", "GET /  HTTP/1.1", 400);
    t.line("a tab for a space", "GET\t/ HTTP/1.1", 400);
    t.line("a tab before the version", "GET /\tHTTP/1.1", 400);
    t.line("a space in front", " GET / HTTP/1.1", 400);
    t.line("a tab in front", "\tGET / HTTP/1.1", 400);
    t.line("two versions", "GET / HTTP/1.1 HTTP/1.1", 400);
    t.line("a space in the target", "GET /a b HTTP/1.1", 400);
    t.line("a method with a colon", "GET: / HTTP/1.1", 400);
    t.line("a method with a slash", "GET/ / HTTP/1.1", 400);
    t.line("a method in brackets", "<GET> / HTTP/1.1", 400);
    t.line("a method with quotes", "\"GET\" / HTTP/1.1", 400);
    t.line("a method that is not ASCII", "GÉT / HTTP/1.1", 400);
    t.line("a method with NUL", "GE\0T / HTTP/1.1", 400);
    t.line("a byte-order mark in front", "\u{feff}GET / HTTP/1.1", 400);
    t.add("a header line first", "Host: x\r\n\r\n", &[400]);
    t.add("a TLS greeting", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", &[400]);
    t.add("an SSH greeting", b"SSH-2.0-OpenSSH_9.2\r\n", &[400]);
    t.add("a PROXY line", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", &[400]);
    t.add("SOCKS 5", b"\x05\x01\x00", &[400]);
    t.add("an SMTP greeting", b"EHLO example.org\r\n", &[400]);
    t.add("a response", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", &[400]);
    t.add("the refusal comes with the line", b"GET / HTTP/9.9\r\n", &[505]);
    t.add("one empty line first", b"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", &[200]);
    t.add("two empty lines first", b"\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", &[400]);
    t.add("an empty line of LF first", b"\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", &[400]);
    t.add("a CR first", b"\rGET / HTTP/1.1\r\nHost: x\r\n\r\n", &[400]);
    t.add("a line of a space first", b" \r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", &[400]);
}

#[rustfmt::skip] // one row, one line
fn targets(t: &mut Table) {
    t.target("absolute form", "http://x/healthz", 200);
    t.target("absolute form with a port", "http://x:8000/healthz", 200);
    t.target("absolute form, https", "https://x/healthz", 200);
    t.target("absolute form, scheme in capitals", "HTTP://x/healthz", 200);
    t.target("absolute form without a path", "http://x", 200);
    t.target("absolute form with a query only", "http://x?a=b", 200);
    t.target("absolute form, an IPv6 address", "http://[::1]:8000/", 200);
    t.target("absolute form, another host than Host", "http://y/", 200);
    t.target("absolute form without a host", "http:///healthz", 400);
    t.target("absolute form, a port alone", "http://:80/", 400);
    t.target("absolute form with a user", "http://ann@x/", 400);
    t.target("absolute form with a user and password", "http://ann:b@x/", 400);
    t.target("absolute form, port not a number", "http://x:80a/", 400);
    t.target("absolute form, a broken IPv6 address", "http://[::1/", 400);
    t.target("absolute form, a backslash", "http://x\\y/", 400);
    t.target("absolute form, another scheme", "ftp://x/", 400);
    t.target("absolute form, ws scheme", "ws://x/ws", 400);
    t.target("absolute form, one slash", "http:/x/", 400);
    t.target("a scheme alone", "http://", 400);
    t.target("authority form", "x:80", 400);
    t.target("no slash in front", "healthz", 400);
    t.target("a backslash in front", "\\healthz", 400);
    t.target("a query alone", "?a=b", 400);
    t.target("asterisk form for GET", "*", 400);
    t.line("asterisk form with more, for OPTIONS", "OPTIONS *a HTTP/1.1", 400);
    t.line("asterisk form for POST", "POST * HTTP/1.1", 400);
    t.target("an asterisk as a path", "/*", 404);
    t.line("CONNECT", "CONNECT x:443 HTTP/1.1", 501);
    t.line("CONNECT with a path", "CONNECT / HTTP/1.1", 501);
    t.target("a fragment", "/#a", 400);
    t.target("a fragment in the query", "/?a=b#c", 400);
    t.target("an encoded hash sign", "/?a=%23", 200);
    t.target("an encoded letter in the path", "/%68ealthz", 200);
    t.target("an encoded slash in the path", "/api%2fmessages", 404);
    t.target("a path encoded twice", "/%2568ealthz", 404);
    t.target("dots in the path", "/api/../healthz", 404);
    t.target("encoded dots in the path", "/api/%2e%2e/healthz", 404);
    t.target("a path parameter", "/healthz;a=b", 404);
    t.target("an encoded NUL in the path", "/healthz%00", 404);
    t.target("an encoded CRLF in the path", "/%0d%0aHost:%20y", 404);
    t.target("a path that is not UTF-8", "/%ff", 400);
    t.target("a path that is not UTF-8, unencoded", b"/\xff", 400);
    t.target("UTF-8 in the path, unencoded", "/é", 404);
    t.target("a path with a percent sign alone", "/%", 400);
    t.target("a path with one hex digit", "/%4", 400);
    t.target("a path with other letters", "/%g0", 400);
    t.target("a path with %u", "/%u0041", 400);
    t.target("NUL in the path", b"/\0", 400);
    t.target("DEL in the path", b"/\x7f", 400);
    t.target("an escape sequence in the path", b"/\x1b[2J", 400);
    t.target("a vertical tab in the path", b"/\x0b", 400);
}

#[rustfmt::skip] // one row, one line
fn queries(t: &mut Table) {
    t.target("an empty query", "/?", 200);
    t.target("a name alone", "/?a", 200);
    t.target("an empty name", "/?=a", 200);
    t.target("ampersands alone", "/?&&&", 200);
    t.target("a question mark in the query", "/?a=b?c", 200);
    t.target("UTF-8, encoded", "/?q=%E2%82%AC", 200);
    t.target("UTF-8, unencoded", "/?q=€", 200);
    t.target("a plus sign", "/?q=a+b", 200);
    t.target("characters that browsers leave", "/?q={|}^`\\[]'", 200);
    t.target("an encoded NUL", "/?q=%00", 200);
    t.target("a percent sign alone", "/?q=%", 400);
    t.target("a percent sign and one digit", "/?q=%2", 400);
    t.target("a percent sign and a sign", "/?q=%+1", 400);
    t.target("a percent sign and a space", "/?q=%%20", 400);
    t.target("other letters behind a percent sign", "/?q=%xy", 400);
    t.target("a percent sign cut off by an ampersand", "/?q=%4&r=1", 400);
    t.target("a bad name", "/?%zz=1", 400);
    t.target("not UTF-8", "/?q=%ff", 400);
    t.target("UTF-8 cut short", "/?q=%e2%82", 400);
    t.target("UTF-8 in more bytes than needed", "/?q=%c0%af", 400);
    t.target("half of a surrogate pair", "/?q=%ed%a0%80", 400);
    t.target("above the last character", "/?q=%f4%90%80%80", 400);
    t.target("not UTF-8, unencoded", b"/?q=\xe9", 400);
    t.target("not UTF-8, in the name", "/?%ff=q", 400);
}

#[rustfmt::skip] // one row, one line
fn line_ends(t: &mut Table) {
    t.add("all lines end in LF", b"GET / HTTP/1.1\nHost: x\n\n", &[400]);
    t.add("the request line ends in LF", b"GET / HTTP/1.1\nHost: x\r\n\r\n", &[400]);
    t.add("a header line ends in LF", b"GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", &[400]);
    t.add("the empty line is LF", b"GET / HTTP/1.1\r\nHost: x\r\n\n", &[400]);
    t.add("the empty line is LF behind LF", b"GET / HTTP/1.1\r\nHost: x\n\r\n", &[400]);
    t.add("all lines end in CR", b"GET / HTTP/1.1\rHost: x\r\r", &[400]);
    t.add("a header line ends in CR", b"GET / HTTP/1.1\r\nHost: x\rA: b\r\n\r\n", &[400]);
    t.add("a header line ends in CRCRLF", b"GET / HTTP/1.1\r\nHost: x\r\r\n\r\n", &[400]);
    t.add("the request line ends in CRCRLF", b"GET / HTTP/1.1\r\r\nHost: x\r\n\r\n", &[400]);
    t.add("the empty line is CRCRLF", b"GET / HTTP/1.1\r\nHost: x\r\n\r\r\n", &[400]);
    t.add("lines end in LFCR", b"GET / HTTP/1.1\n\rHost: x\n\r\n\r", &[400]);
    t.headers("a CR in a value", "A: b\rc", 400);
    t.headers("an LF in a value", "A: b\nc", 400);
    t.headers("a NUL in a value", "A: b\0c", 400);
    t.headers("a backspace in a value", "A: b\x08c", 400);
    t.headers("an escape in a value", "A: b\x1bc", 400);
    t.headers("a DEL in a value", "A: b\x7fc", 400);
    t.headers("a vertical tab in a value", "A: b\x0bc", 400);
    t.headers("a form feed in a value", "A: b\x0cc", 400);
    t.headers("a tab in a value", "A: b\tc", 200);
    t.headers("a NUL in a name", "A\0: b", 400);
    t.headers("a NUL before the end", "A: b\0", 400);
}

#[rustfmt::skip] // one row, one line
fn header_lines(t: &mut Table) {
    t.headers("no space behind the colon", "A:b", 200);
    t.headers("much white space around a value", "A: \t  b\t \t", 200);
    t.headers("an empty value", "A:", 200);
    t.headers("a value of white space", "A: \t ", 200);
    t.headers("a value with a colon", "A: b: c", 200);
    t.headers("a value in Latin-1", b"A: caf\xe9", 200);
    t.headers("a value in UTF-8", "A: café", 200);
    t.headers("a name of odd token characters", "!#$%&'*+-.^_`|~0aZ: b", 200);
    t.headers("the same name many times", "A: b\r\nA: c\r\na: d", 200);
    t.headers("a folded line", "A: b\r\n c", 400);
    t.headers("a line folded with a tab", "A: b\r\n\tc", 400);
    t.headers("a line folded into nothing", "A: b\r\n ", 400);
    t.headers("a folded line that is a header", "A: b\r\n Content-Length: 5", 400);
    t.host("a folded first line", " A: b\r\nHost: x", 400);
    t.host("a tab before the first line", "\tHost: x", 400);
    t.headers("a space before the colon", "A : b", 400);
    t.headers("a tab before the colon", "A\t: b", 400);
    t.headers("a space in the name", "A b: c", 400);
    t.headers("no colon", "A", 400);
    t.headers("a colon alone", ":", 400);
    t.headers("no name", ": b", 400);
    t.headers("a name in brackets", "<A>: b", 400);
    t.headers("a name in quotes", "\"A\": b", 400);
    t.headers("a name with a comma", "A,B: c", 400);
    t.headers("a name with a semicolon", "A;B: c", 400);
    t.headers("a name with a slash", "A/B: c", 400);
    t.headers("a name with an at sign", "A@B: c", 400);
    t.headers("a name that is not ASCII", "É: b", 400);
    t.headers("a name with a no-break space", b"A\xa0: b", 400);
    t.headers("a second request line", "GET /smuggled HTTP/1.1", 400);
    t.headers("an expectation that we know", "Expect: 100-continue", 200);
    t.headers("the same in capitals", "Expect: 100-CONTINUE", 200);
    t.headers("an expectation that we do not know", "Expect: 200-ok", 417);
    t.headers("two expectations", "Expect: 100-continue, 200-ok", 417);
    t.headers("an empty expectation", "Expect:", 417);
    let old = b"GET / HTTP/1.0\r\nExpect: 200-ok\r\n\r\n";
    t.add("an expectation in HTTP/1.0", old, &[200]);
}

#[rustfmt::skip] // one row, one line
fn hosts(t: &mut Table) {
    t.host("a name", "Host: example.org", 200);
    t.host("a name and a port", "Host: example.org:8000", 200);
    t.host("a name and an empty port", "Host: example.org:", 200);
    t.host("an address", "Host: 127.0.0.1:8000", 200);
    t.host("an IPv6 address", "Host: [::1]", 200);
    t.host("an IPv6 address and a port", "Host: [::1]:8000", 200);
    t.host("an underscore", "Host: chat_server:8000", 200);
    t.host("the header in capitals", "HOST: x", 200);
    t.host("the header last", "A: b\r\nhost: x", 200);
    t.host("no Host", "A: b", 400);
    t.add("no header at all", b"GET / HTTP/1.1\r\n\r\n", &[400]);
    t.add("no header at all in HTTP/1.0", b"GET / HTTP/1.0\r\n\r\n", &[200]);
    t.add("no Host with absolute form", b"GET http://x/ HTTP/1.1\r\n\r\n", &[400]);
    t.host("two Hosts", "Host: x\r\nHost: y", 400);
    t.host("two Hosts that are the same", "Host: x\r\nHost: x", 400);
    t.host("two Hosts in two cases", "Host: x\r\nhOST: x", 400);
    t.host("two Hosts, one empty", "Host: x\r\nHost:", 400);
    t.host("two Hosts in one line", "Host: x, y", 400);
    t.host("two Hosts in one word", "Host: x,y", 400);
    let old = b"GET / HTTP/1.0\r\nHost: x\r\nHost: x\r\n\r\n";
    t.add("two Hosts in HTTP/1.0", old, &[400]);
    t.host("an empty Host", "Host:", 400);
    t.host("a Host of white space", "Host: \t", 400);
    t.host("a Host with a space in it", "Host: x y", 400);
    t.host("a Host with a path", "Host: x/y", 400);
    t.host("a Host with a scheme", "Host: http://x", 400);
    t.host("a Host with a user", "Host: ann@x", 400);
    t.host("a Host with a query", "Host: x?y", 400);
    t.host("a Host with a hash sign", "Host: x#y", 400);
    t.host("a port that is no number", "Host: x:80a", 400);
    t.host("a port with a sign", "Host: x:+80", 400);
    t.host("a port over the last", "Host: x:65536", 400);
    t.host("two ports", "Host: x:80:80", 400);
    t.host("a port alone", "Host: :80", 400);
    t.host("an IPv6 address without brackets", "Host: ::1", 400);
    t.host("half a bracket", "Host: [::1", 400);
    t.host("a bracket and more", "Host: [::1]x", 400);
    t.host("nothing in brackets", "Host: []", 400);
    t.host("a name in brackets", "Host: [x]", 400);
    t.host("a Host that is not ASCII", "Host: é", 400);
    t.host("a Host in quotes", "Host: \"x\"", 400);
    t.host("a space before the Host's colon", "Host : x", 400);
    t.host("a folded Host", "Host:\r\n x", 400);
}

#[rustfmt::skip] // one row, one line
fn lengths(t: &mut Table) {
    t.body("a body", "Content-Length: 5", "hello", 200);
    t.body("a body of two lines", "Content-Length: 4", "\r\n\r\n", 200);
    t.body("a body that looks like a request", "Content-Length: 16", "GET /a HTTP/1.1\n", 200);
    t.body("no body", "Content-Length: 0", "", 200);
    t.body("no length at all", "A: b", "", 200);
    t.body("leading zeros", "Content-Length: 005", "hello", 200);
    t.body("the name in small letters", "content-length: 5", "hello", 200);
    t.body("white space around it", "Content-Length:\t 5 \t", "hello", 200);
    t.headers("a GET with an empty body", "Content-Length: 0", 200);
    let get = b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";
    t.add("a GET with a body", get, &[200]);
    let old = b"POST /api/messages HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello";
    t.add("a body in HTTP/1.0", old, &[200]);
    for (name, value) in [
        ("no number", ""),
        ("a plus sign", "+5"),
        ("a minus sign", "-5"),
        ("minus zero", "-0"),
        ("hex", "0x5"),
        ("hex digits", "a"),
        ("a fraction", "5.0"),
        ("an exponent", "1e1"),
        ("an underscore", "1_0"),
        ("a comma inside", "1,000"),
        ("a list of two", "5, 5"),
        ("a list of two without space", "5,5"),
        ("a list of two that differ", "5, 6"),
        ("a list with an empty end", "5,"),
        ("a list with an empty start", ",5"),
        ("two numbers", "5 5"),
        ("a number and a word", "5 bytes"),
        ("a semicolon", "5;a=b"),
        ("quotes", "\"5\""),
        ("digits of another script", "٥"),
        ("full-width digits", "\u{ff15}"),
        ("2 to the 64", "18446744073709551616"),
        ("2 to the 64 and 5", "18446744073709551621"),
        ("thirty digits", "100000000000000000000000000005"),
        ("a word", "chunked"),
    ] {
        let line = format!("Content-Length: {value}");
        t.body(&format!("length: {name}"), &line, "hello", 400);
    }
    t.body("a no-break space", "Content-Length: \u{a0}5", "hello", 400);
    t.body("two lengths", "Content-Length: 5\r\nContent-Length: 6", "hello", 400);
    t.body("two equal lengths", "Content-Length: 5\r\nContent-Length: 5", "hello", 400);
    t.body("two lengths apart", "Content-Length: 5\r\nA: b\r\ncontent-length: 0", "hello", 400);
    t.body("a length and an empty one", "Content-Length: 5\r\nContent-Length:", "hello", 400);
    t.body("a space before its colon", "Content-Length : 5", "hello", 400);
    t.body("a folded length", "Content-Length:\r\n 5", "hello", 400);
    t.body("a NUL behind it", "Content-Length: 5\0", "hello", 400);
    let over = format!("Content-Length: {}", BODY_BYTES_MAX + 1);
    t.body("a byte over the limit", &over, "", 413);
    t.body("far over the limit", "Content-Length: 99999999999", "", 413);
    t.body("the last number", "Content-Length: 18446744073709551615", "", 413);
    let waiting = "Expect: 100-continue\r\nContent-Length: 999999";
    t.body("over the limit, and it waits for us", waiting, "", 413);
}

#[rustfmt::skip] // one row, one line
fn encodings(t: &mut Table) {
    let hello = "5\r\nhello\r\n0\r\n\r\n";
    t.chunks("chunked", hello, 200);
    t.body("in other cases", "TRANSFER-encoding: Chunked", hello, 200);
    t.body("white space around it", "Transfer-Encoding:\t chunked \t", hello, 200);
    t.body("what may come back", "TE: trailers\r\nTransfer-Encoding: chunked", hello, 200);
    let both = "Content-Length: 5\r\nTransfer-Encoding: chunked";
    t.body("a length too", both, hello, 400);
    let both = "Transfer-Encoding: chunked\r\nContent-Length: 5";
    t.body("a length too, behind it", both, hello, 400);
    let both = "Transfer-Encoding: chunked\r\nContent-Length: 0";
    t.body("a length of 0 too", both, hello, 400);
    let both = "Transfer-Encoding: identity\r\nContent-Length: 5";
    t.body("a length and identity", both, "hello", 400);
    let both = "Transfer-Encoding:\r\nContent-Length: 5";
    t.body("a length and an empty encoding", both, "hello", 400);
    let twice = "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked";
    t.body("twice", twice, hello, 400);
    let twice = "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked";
    t.body("identity in a line before it", twice, hello, 400);
    let twice = "Transfer-Encoding: chunked\r\nTransfer-Encoding: x";
    t.body("another in a line behind it", twice, hello, 400);
    for (name, value, expect) in [
        ("empty", "", 400),
        ("identity", "identity", 400),
        ("gzip alone", "gzip", 400),
        ("an x in front", "xchunked", 400),
        ("an x behind", "chunkedx", 400),
        ("quotes", "\"chunked\"", 400),
        ("single quotes", "'chunked'", 400),
        ("a colon", ": chunked", 400),
        ("a parameter", "chunked;a=b", 400),
        ("a semicolon", "chunked;", 400),
        ("twice in a list", "chunked, chunked", 400),
        ("a list with an empty end", "chunked,", 400),
        ("a list with an empty start", ",chunked", 400),
        ("under another", "chunked, gzip", 400),
        ("under identity", "chunked, identity", 400),
        ("twice with another between", "chunked, gzip, chunked", 400),
        ("two words", "chunked gzip", 400),
        ("over a coding with a space", "gz ip, chunked", 400),
        ("a word cut short", "chunke", 400),
        ("a Kelvin sign for the k", "chun\u{212a}ed", 400),
        ("over gzip", "gzip, chunked", 501),
        ("over identity", "identity, chunked", 501),
        ("over two", "br,gzip,chunked", 501),
        ("no-break space", "\u{a0}chunked", 400),
        ("a vertical tab", "\x0bchunked", 400),
        ("a NUL", "chunked\0", 400),
        ("a form feed behind", "chunked\x0c", 400),
    ] {
        let line = format!("Transfer-Encoding: {value}");
        t.body(&format!("encoding: {name}"), &line, hello, expect);
    }
    t.body("a space before its colon", "Transfer-Encoding : chunked", hello, 400);
    t.body("folded", "Transfer-Encoding:\r\n chunked", hello, 400);
    t.body("folded behind another", "A: b\r\n\tTransfer-Encoding: chunked", hello, 400);
    t.body("behind a bare CR", "A: b\rTransfer-Encoding: chunked", hello, 400);
    t.body("behind a bare LF", "A: b\nTransfer-Encoding: chunked", hello, 400);
    let head = "POST /api/messages HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    t.add("in HTTP/1.0", format!("{head}{hello}"), &[400]);
    let head = "POST /api/messages HTTP/1.0\r\nTransfer-Encoding: gzip, chunked\r\n\r\n";
    t.add("another in HTTP/1.0", format!("{head}{hello}"), &[400]);
    let get = "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    t.add("for a GET", format!("{get}{hello}"), &[200]);
    // These are other headers, and mean nothing.
    t.body("an underscore in the name", "Transfer_Encoding: chunked", "", 200);
    t.body("an underscore in the length", "Content_Length: 5", "", 200);
}

#[rustfmt::skip] // one row, one line
fn chunks(t: &mut Table) {
    t.chunks("no chunk", "0\r\n\r\n", 200);
    t.chunks("many zeros", "0000\r\n\r\n", 200);
    t.chunks("two chunks", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 200);
    t.chunks("hex in capitals", "A\r\n0123456789\r\n0\r\n\r\n", 200);
    t.chunks("hex in small letters", "a\r\n0123456789\r\n0\r\n\r\n", 200);
    t.chunks("sixteen digits", "0000000000000001\r\na\r\n0\r\n\r\n", 200);
    t.chunks("data that looks like an end", "7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", 200);
    t.chunks("an extension", "1;a=b\r\nx\r\n0\r\n\r\n", 200);
    t.chunks("an extension without a value", "1;a\r\nx\r\n0;b\r\n\r\n", 200);
    t.chunks("an extension in quotes", "1;a=\"b;c\"\r\nx\r\n0\r\n\r\n", 200);
    t.chunks("white space before an extension", "1 \t;a=b\r\nx\r\n0\r\n\r\n", 200);
    for (name, size) in [
        ("empty", ""),
        ("seventeen digits", "00000000000000001"),
        ("over 64 bits", "10000000000000005"),
        ("0x", "0x5"),
        ("a plus sign", "+5"),
        ("a minus sign", "-5"),
        ("another letter", "g"),
        ("a digit and another letter", "5g"),
        ("a space in front", " 5"),
        ("a tab in front", "\t5"),
        ("a space behind", "5 "),
        ("a tab behind", "5\t"),
        ("two numbers", "5 5"),
        ("a comma", "5,5"),
        ("a fraction", "5.0"),
        ("an underscore", "0_5"),
        ("an extension with no size", ";a=b"),
        ("a semicolon alone", "5;"),
        ("a name without a semicolon", "5 a=b"),
        ("a NUL", "5\0"),
        ("a NUL in an extension", "5;a=\0"),
        ("an escape in an extension", "5;a=\x1b"),
        ("a CR in an extension", "5;a=b\rc"),
        ("an LF in an extension", "5;a=b\nc"),
        ("full-width digits", "\u{ff15}"),
    ] {
        let body = format!("{size}\r\nhello\r\n0\r\n\r\n");
        t.chunks(&format!("chunk size: {name}"), body, 400);
    }
    t.chunks("a size line that ends in LF", "5\nhello\r\n0\r\n\r\n", 400);
    t.chunks("a size line that ends in CR", "5\rhello\r\n0\r\n\r\n", 400);
    t.chunks("a size line that ends in CRCRLF", "5\r\r\nhello\r\n0\r\n\r\n", 400);
    t.chunks("data longer than its size", "4\r\nhello\r\n0\r\n\r\n", 400);
    t.chunks("data shorter than its size", "6\r\nhello\r\n0\r\n\r\n", 400);
    t.chunks("data that ends in LF", "5\r\nhello\n0\r\n\r\n", 400);
    t.chunks("data that ends in CR and more", "5\r\nhello\rX0\r\n\r\n", 400);
    t.chunks("data without an end", "5\r\nhello0\r\n\r\n", 400);
    t.chunks("two ends behind data", "5\r\nhello\r\n\r\n0\r\n\r\n", 400);
    t.chunks("a space behind data", "5\r\nhello \r\n0\r\n\r\n", 400);
    t.chunks("the last chunk ends in LF", "0\n\r\n", 400);
    t.chunks("the body ends in LF", "0\r\n\n", 400);
    t.chunks("the body ends in CR and more", "0\r\n\rX", 400);
    t.chunks("no chunks at all", "hello", WAITS);
    t.chunks("no chunks but a line", "hello\r\n", 400);
    t.chunks("over the limit", "20001\r\n", 413);
    t.chunks("far over the limit", "ffffffffffffffff\r\n", 413);
    t.chunks("over 32 bits", "100000005\r\nhello\r\n", 413);
    let full = format!("{BODY_BYTES_MAX:x}\r\n{}\r\n", "a".repeat(BODY_BYTES_MAX));
    t.chunks("the limit", format!("{full}0\r\n\r\n"), 200);
    t.chunks("the limit and a byte more", format!("{full}1\r\n"), 413);
    let line = format!("1;{}", "a".repeat(CHUNK_LINE_BYTES_MAX - 4));
    t.chunks("a size line of the limit", format!("{line}\r\nx\r\n0\r\n\r\n"), 200);
    t.chunks("a size line over it", format!("{line}a\r\nx\r\n0\r\n\r\n"), 400);
    t.chunks("a size line without an end", "1".repeat(CHUNK_LINE_BYTES_MAX), 400);
    let times = EXTENSIONS_BYTES_MAX / (line.len() - 1);
    let chunk = format!("{line}\r\nx\r\n");
    t.chunks("extensions within their limit", chunk.repeat(times) + "0\r\n\r\n", 200);
    t.chunks("extensions over it", chunk.repeat(times + 1) + "0\r\n\r\n", 400);
    t.chunks("a chunk for each byte", "1\r\nx\r\n".repeat(1000) + "0\r\n\r\n", 200);
}

#[rustfmt::skip] // one row, one line
fn trailers(t: &mut Table) {
    t.chunks("a trailer", "0\r\nA: b\r\n\r\n", 200);
    t.chunks("two trailers", "1\r\nx\r\n0\r\nA: b\r\nC: d\r\n\r\n", 200);
    t.chunks("a trailer that would be a length", "0\r\nContent-Length: 50\r\n\r\n", 200);
    t.chunks("a trailer that would be a Host", "0\r\nHost: y\r\n\r\n", 200);
    t.chunks("a trailer that would be an encoding", "0\r\nTransfer-Encoding: x\r\n\r\n", 200);
    t.chunks("a trailer without a colon", "0\r\nA\r\n\r\n", 400);
    t.chunks("a request for a trailer", "0\r\nGET /smuggled HTTP/1.1\r\n\r\n", 400);
    t.chunks("a trailer with a space before its colon", "0\r\nA : b\r\n\r\n", 400);
    t.chunks("a folded trailer", "0\r\nA: b\r\n c\r\n\r\n", 400);
    t.chunks("a folded first trailer", "0\r\n A: b\r\n\r\n", 400);
    t.chunks("a trailer with a NUL", "0\r\nA: \0\r\n\r\n", 400);
    t.chunks("a trailer that ends in LF", "0\r\nA: b\n\r\n", 400);
    t.chunks("a trailer that ends in CR", "0\r\nA: b\r\r\n", 400);
    let most = "A: b\r\n".repeat(HEADERS_MAX);
    t.chunks("as many trailers as may be", format!("0\r\n{most}\r\n"), 200);
    t.chunks("one trailer too many", format!("0\r\n{most}A: b\r\n\r\n"), 431);
    let long = "a".repeat(TRAILERS_BYTES_MAX - "A: \r\n\r\n".len());
    t.chunks("trailers of the limit", format!("0\r\nA: {long}\r\n\r\n"), 200);
    t.chunks("trailers over it", format!("0\r\nA: {long}a\r\n\r\n"), 431);
    t.chunks("trailers without an end", format!("0\r\nA: {long}aaaa"), 431);
}

#[rustfmt::skip] // one row, one line
fn connections(t: &mut Table) {
    let get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let post = "POST /api/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi";
    let last = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let old = "GET / HTTP/1.0\r\n\r\n";
    let old_kept = "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n";
    t.add("two requests", get.repeat(2), &[200, 200]);
    t.add("a hundred requests", get.repeat(100), &[200; 100]);
    t.add("bodies between", format!("{post}{get}{post}"), &[200, 200, 200]);
    t.add("an empty line before each", format!("\r\n{get}\r\n{get}"), &[200, 200]);
    t.add("an empty line between", format!("{get}\r\n{get}"), &[200, 200]);
    t.add("an empty line behind a body", format!("{post}\r\n{get}"), &[200, 200]);
    t.add("two empty lines between", format!("{get}\r\n\r\n{get}"), &[200, 400]);
    t.add("nothing counts behind the last", format!("{last}{get}"), &[200]);
    t.add("nothing is judged behind the last", format!("{last}\0"), &[200]);
    t.add("HTTP/1.0 closes", format!("{old}{get}"), &[200]);
    t.add("HTTP/1.0 may stay", format!("{old_kept}{get}"), &[200, 200]);
    t.add(
        "a refused path does not end it",
        format!("GET /a HTTP/1.1\r\nHost: x\r\n\r\n{get}"),
        &[404, 200],
    );
    t.add(
        "a refused method does not end it",
        format!("PUT / HTTP/1.1\r\nHost: x\r\n\r\n{get}"),
        &[405, 200],
    );
    t.add("an error ends it", format!("{get}GET / HTTP/1.1\r\n\r\n{get}"), &[200, 400]);
    t.add("a body that is too long by a word", format!("{post} there\r\n{get}"), &[200, 400]);
    t.headers("keep-alive in HTTP/1.1", "Connection: keep-alive", 200);
    t.headers("close in a list", "Connection: keep-alive, Close", 200);
    t.headers("close in another line", "Connection: x\r\nconnection: \tclose", 200);
    t.headers("close as a part of a word", "Connection: closed", 200);
    t.headers("an upgrade that we do not know", "Connection: Upgrade\r\nUpgrade: h2c", 200);
}

#[rustfmt::skip] // one row, one line
fn limits(t: &mut Table) {
    let target = |bytes: usize| format!("/{}", "a".repeat(bytes - 1));
    t.target("a target of the limit", target(TARGET_BYTES_MAX), 404);
    t.target("a target over it", target(TARGET_BYTES_MAX + 1), 414);
    t.target("a target far over it", target(TARGET_BYTES_MAX + 2000), 414);
    t.target("a target over the whole head", target(HEAD_BYTES_MAX), 414);
    let query = format!("/?q={}", "a".repeat(TARGET_BYTES_MAX));
    t.target("a query over it", query, 414);
    t.target("many parameters", format!("/?{}", "a&".repeat(2000)), 200);
    t.add("a target without an end", format!("GET {}", target(9000)), &[414]);
    let method = "M".repeat(METHOD_BYTES_MAX);
    t.line("a method of the limit", format!("{method} / HTTP/1.1"), 501);
    t.line("a method over it", format!("{method}M / HTTP/1.1"), 501);
    t.line("a method far over it", format!("{} / HTTP/1.1", method.repeat(500)), 501);
    t.add("a method without an end", method.repeat(500), &[501]);
    let line = format!("{method} {} HTTP/1.1", target(TARGET_BYTES_MAX));
    t.line("method and target of the limit", line, 501);
    t.headers("as many lines as may be", "A: b\r\n".repeat(HEADERS_MAX - 2) + "A: b", 200);
    t.headers("one line too many", "A: b\r\n".repeat(HEADERS_MAX - 1) + "A: b", 431);
    t.headers("far too many lines", "A: b\r\n".repeat(500) + "A: b", 431);
    let fixed = "GET / HTTP/1.1\r\nHost: x\r\nA: \r\n\r\n".len();
    let value = "b".repeat(HEAD_BYTES_MAX - fixed);
    t.headers("a head of the limit", format!("A: {value}"), 200);
    t.headers("a head over it", format!("A: {value}b"), 431);
    t.headers("a head far over it", format!("A: {}", value.repeat(3)), 431);
    t.headers("a head over it by its last line", format!("A: {}\r\nB: ", &value[4..]), 431);
    t.headers("a long name", format!("{value}: b"), 200);
    t.headers("a name over it", format!("{value}b: b"), 431);
    t.add("a head without an end", "GET / HTTP/1.1\r\nA: ".to_owned() + &value.repeat(2), &[431]);
    let full = "a".repeat(BODY_BYTES_MAX);
    t.body("a body of the limit", &format!("Content-Length: {BODY_BYTES_MAX}"), full, 200);
    // A refusal that is certain does not wait for the limit.
    let early = format!("GET / HTTP/1.1\r\nA: \0{value}");
    t.add("a bad byte before the limit", early, &[400]);
    let late = format!("GET / HTTP/1.1\r\nA: {value}{value}\0");
    t.add("a bad byte behind the limit", late, &[431]);
}

#[rustfmt::skip] // one row, one line
fn waits(t: &mut Table) {
    for (name, bytes) in [
        ("nothing", ""),
        ("an empty line", "\r\n"),
        ("half an empty line", "\r"),
        ("a letter", "G"),
        ("a request line without its LF", "GET / HTTP/1.1\r"),
        ("a request line", "GET / HTTP/1.1\r\n"),
        ("a header line", "GET / HTTP/1.1\r\nHost: x\r\n"),
        ("all but the last LF", "GET / HTTP/1.1\r\nHost: x\r\n\r"),
        ("a head that will be bad", "GET / HTTP/1.1\r\nHost : x\r\n"),
    ] {
        t.add(&format!("only {name}"), bytes, &[WAITS]);
    }
    t.body("no body yet", "Content-Length: 5", "", WAITS);
    t.body("a part of a body", "Content-Length: 5", "hell", WAITS);
    t.body("no body yet, and we are asked", "Expect: 100-continue\r\nContent-Length: 5", "", WAITS);
    t.chunks("no chunk yet", "", WAITS);
    t.chunks("a part of a size", "5", WAITS);
    t.chunks("a size without its LF", "5\r", WAITS);
    t.chunks("a part of a chunk", "5\r\nhell", WAITS);
    t.chunks("a chunk without its LF", "5\r\nhello\r", WAITS);
    t.chunks("a chunk and no last", "5\r\nhello\r\n", WAITS);
    t.chunks("the last chunk alone", "5\r\nhello\r\n0\r\n", WAITS);
    t.chunks("all but the last LF", "5\r\nhello\r\n0\r\n\r", WAITS);
    t.chunks("a trailer and no end", "0\r\nA: b\r\n", WAITS);
}

/// The classic desyncs, each with a request in what one of two servers would take for the rest.
#[rustfmt::skip] // one row, one line
fn smuggling(t: &mut Table) {
    let inner = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
    let size = inner.len();
    let zero = "0\r\n\r\n";
    let long = zero.len() + size;
    t.body(
        "CL.TE",
        &format!("Content-Length: {long}\r\nTransfer-Encoding: chunked"),
        format!("{zero}{inner}"),
        400,
    );
    t.body(
        "TE.CL",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
        format!("{size:x}\r\n{inner}\r\n{zero}"),
        400,
    );
    t.body("CL.CL", &format!("Content-Length: {size}\r\nContent-Length: 0"), inner, 400);
    t.body("CL.CL in one line", &format!("Content-Length: 0, {size}"), inner, 400);
    t.body("CL.0: the body is a body", &format!("Content-Length: {size}"), inner, 200);
    for (name, line) in [
        ("a tab before the value is white space", "Transfer-Encoding:\tchunked"),
        ("two encodings", "Transfer-Encoding: chunked\r\nTransfer-encoding: cow"),
        ("an x", "Transfer-Encoding: xchunked"),
        ("a space before the colon", "Transfer-Encoding : chunked"),
        ("a fold", "Transfer-Encoding:\r\n chunked"),
        ("a vertical tab", "Transfer-Encoding: \x0bchunked"),
        ("a bare LF before", "X: X\nTransfer-Encoding: chunked"),
        ("a bare CR before", "X: X\rTransfer-Encoding: chunked"),
        ("a space in front", " Transfer-Encoding: chunked"),
        ("a quoted value", "Transfer-Encoding: \"chunked\""),
        ("a comma", "Transfer-Encoding: chunked,"),
        ("identity", "Transfer-Encoding: identity, chunked"),
    ] {
        let lines = format!("Content-Length: {long}\r\n{line}");
        t.body(&format!("TE.TE: {name}"), &lines, format!("{zero}{inner}"), 400);
    }
    let line_of_two = format!("2\r\nab\r\n1;\nx\r\n{zero}{inner}");
    t.chunks("EXT.TERM: an LF in an extension", line_of_two, 400);
    t.chunks("TERM.EXT: an LF ends the size", format!("2\nab\r\n{zero}{inner}"), 400);
    t.chunks("TERM.SPILL: a chunk spills over", format!("5\r\nabcde1a\r\n{zero}{inner}"), 400);
    t.chunks("SPILL.TERM: LF behind data", format!("5\r\nabcde\n{zero}{inner}"), 400);
    t.chunks("a size that wraps at 64 bits", format!("10000000000000000\r\n\r\n{inner}"), 400);
    t.chunks("a size that wraps at 32 bits", format!("100000000\r\n\r\n{inner}"), 413);
    t.add(
        "a request line in a header",
        format!("GET / HTTP/1.1\r\nHost: x\r\nX: \n{inner}"),
        &[400],
    );
    t.add("a head that ends in LFLF", format!("GET / HTTP/1.1\r\nHost: x\n\n{inner}"), &[400]);
    t.add("a head that ends in CRCR", format!("GET / HTTP/1.1\r\nHost: x\r\r{inner}"), &[400]);
    t.add("HTTP/0.9 with a request behind", format!("GET /\r\n\r\n{inner}"), &[400]);
    t.add(
        "a chunked body in HTTP/1.0",
        format!("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n{zero}{inner}"),
        &[400],
    );
    t.add(
        "an HTTP/1.0 request with another behind",
        format!("GET / HTTP/1.0\r\n\r\n{inner}"),
        &[200],
    );
    t.add(
        "a tunnel that is not opened",
        format!("CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n{inner}"),
        &[501],
    );
    t.add("an HTTP/2 preface", format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{inner}"), &[505]);
}

/// What came of some bytes: the statuses, and whether the reader gave an error or the last
/// request, after which it must give nothing.
#[derive(Debug, PartialEq)]
struct Outcome {
    statuses: Vec<u16>,
    paths: Vec<String>,
    details: Vec<String>,
    is_over: bool,
}

/// Feeds the reader as the reactor does, and asks it on after its end too.
fn read<'a>(reads: impl Iterator<Item = &'a [u8]>) -> Outcome {
    let mut reader = Reader::default();
    let mut outcome = Outcome { statuses: Vec::new(), paths: Vec::new(), details: Vec::new(), is_over: false };
    let mut failed = None;
    for bytes in reads {
        assert!(!reader.is_full(), "a reader that waits for more takes more");
        reader.receive(bytes);
        loop {
            match reader.next() {
                Ok(None) => break,
                Ok(Some(request)) => {
                    assert!(!outcome.is_over, "nothing comes behind the end");
                    assert!(request.body.len() <= BODY_BYTES_MAX);
                    let route = route(&request.method, &request.path);
                    let status = route.map_or_else(|error| error.status().code(), |_| 200);
                    outcome.statuses.push(status);
                    outcome.paths.push(request.path);
                    outcome.is_over = !request.keep_alive;
                }
                Err(error) => {
                    assert!(failed.is_none() || failed.as_ref() == Some(&error));
                    if failed.is_none() {
                        outcome.statuses.push(error.status().code());
                        outcome.details.push(error.detail());
                    }
                    assert!(reader.is_idle(), "a spent reader holds nothing");
                    outcome.is_over = true;
                    failed = Some(error);
                    break;
                }
            }
        }
    }
    if !outcome.is_over && (reader.is_in_body() || !reader.is_idle() || outcome.statuses.is_empty()) {
        outcome.statuses.push(WAITS);
    }
    assert!(reader.is_idle() || !outcome.is_over);
    outcome
}

#[test]
fn the_table_is_long_and_no_row_is_there_twice() {
    let rows = table();
    let mut seen = std::collections::HashSet::new();
    for row in &rows {
        assert!(seen.insert(&row.bytes), "{:?} is there twice", row.name);
    }
    println!("{} rows", rows.len());
    assert!(rows.len() >= 250, "{} rows", rows.len());
}

#[test]
fn every_request_gets_exactly_its_statuses() {
    let failed: Vec<String> = table()
        .iter()
        .filter_map(|row| {
            let found = read([&row.bytes[..]].into_iter());
            let is_good = found.statuses == row.expect;
            let Outcome { statuses, details, .. } = found;
            (!is_good).then(|| {
                let (name, expect) = (&row.name, &row.expect);
                format!("{name:?}: {statuses:?} {details:?}, want {expect:?}")
            })
        })
        .collect();
    assert!(failed.is_empty(), "{} rows:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn how_a_request_is_split_changes_nothing() {
    for row in table() {
        let whole = read([&row.bytes[..]].into_iter());
        assert_eq!(read(row.bytes.chunks(1)), whole, "{:?}, byte by byte", row.name);
        assert_eq!(read(row.bytes.chunks(7)), whole, "{:?}, by seven", row.name);
        let (first, second) = row.bytes.split_at(row.bytes.len() / 2);
        assert_eq!(read([first, second].into_iter()), whole, "{:?}, in halves", row.name);
    }
}

#[test]
fn nothing_behind_a_refused_request_is_a_request() {
    for row in table() {
        if row.expect.ends_with(&[WAITS]) {
            continue;
        }
        let alone = read([&row.bytes[..]].into_iter());
        let joined = [&row.bytes[..], SMUGGLED].concat();
        for found in
            [read([&joined[..]].into_iter()), read([&row.bytes[..], SMUGGLED].into_iter()), read(joined.chunks(1))]
        {
            let smuggled = found.paths.iter().filter(|path| *path == SMUGGLED_PATH).count();
            if alone.is_over {
                assert_eq!(found, alone, "{:?}", row.name);
                assert_eq!(smuggled, 0, "{:?}", row.name);
            } else {
                // The end of the row was where it seems: what follows is itself, once.
                assert_eq!(smuggled, 1, "{:?}: {found:?}", row.name);
                assert_eq!(found.statuses.len(), alone.statuses.len() + 1, "{:?}", row.name);
            }
        }
    }
}

#[test]
fn every_refusal_is_one_short_sentence() {
    for row in table() {
        for detail in read([&row.bytes[..]].into_iter()).details {
            let is_plain = !detail.chars().any(char::is_control);
            assert!(is_plain && detail.len() < 400, "{:?}: {detail:?}", row.name);
            let starts_low = detail.starts_with(char::is_lowercase);
            assert!(starts_low && !detail.ends_with('.'), "{:?}: {detail:?}", row.name);
        }
    }
}
