//! A raw HTTP/1.1 client: bytes out, one response in, with nothing guessed.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::{Server, Value, WAIT};

/// One response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub is_chunked: bool,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The sentence of an error, which must be JSON.
    pub fn detail(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        self.json()["detail"].as_str().unwrap_or_else(|| panic!("no detail: {}", self.text())).to_owned()
    }
}

/// One connection.
pub struct Http {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Http {
    pub fn to(server: &Server) -> Http {
        Http::patient(server, WAIT)
    }

    /// To an address of the server that is not its first.
    pub fn at(address: SocketAddr) -> Http {
        Http::over(address, WAIT)
    }

    /// Waits longer than `WAIT` for each response, or less long.
    pub fn patient(server: &Server, limit: Duration) -> Http {
        Http::over(server.address, limit)
    }

    fn over(address: SocketAddr, limit: Duration) -> Http {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_read_timeout(Some(limit)).expect("a socket takes a timeout");
        stream.set_nodelay(true).expect("a socket takes the option");
        Http { stream, buffer: Vec::new() }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Http {
        self.stream.write_all(bytes.as_ref()).expect("the server reads");
        self
    }

    /// Says that nothing more will come.
    pub fn end(&mut self) -> &mut Http {
        self.stream.shutdown(Shutdown::Write).expect("it is connected");
        self
    }

    /// A request without a body; the connection stays.
    pub fn ask(&mut self, method: &str, target: &str) -> &mut Http {
        self.send(format!("{method} {target} HTTP/1.1\r\nHost: test\r\n\r\n"))
    }

    pub fn get(&mut self, target: &str) -> Response {
        self.ask("GET", target).response()
    }

    pub fn post(&mut self, target: &str, body: &str) -> Response {
        let len = body.len();
        self.send(format!("POST {target} HTTP/1.1\r\nHost: test\r\nContent-Length: {len}\r\n\r\n{body}")).response()
    }

    /// The next response to anything but HEAD.
    pub fn response(&mut self) -> Response {
        self.read(false)
    }

    /// The next response to HEAD: no body follows, whatever its length says.
    pub fn head_response(&mut self) -> Response {
        self.read(true)
    }

    /// The bytes that came behind the last response.
    pub fn into_rest(self) -> (TcpStream, Vec<u8>) {
        (self.stream, self.buffer)
    }

    /// Whether the server has hung up, and nothing came before that.
    pub fn is_over(&mut self) -> bool {
        self.buffer.is_empty() && !self.fill()
    }

    fn read(&mut self, is_head: bool) -> Response {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break at + 4;
            }
            let is_more = self.fill();
            assert!(is_more, "the connection ended in a response's head: {:?}", String::from_utf8_lossy(&self.buffer));
        };
        let head: Vec<u8> = self.buffer.drain(..end).collect();
        let head = String::from_utf8(head).expect("a head is ASCII");
        let mut lines = head.trim_end().split("\r\n");
        let first = lines.next().expect("there is one");
        assert!(first.starts_with("HTTP/1."), "{first}");
        let status = first.get(9..12).and_then(|digits| digits.parse().ok()).expect("a status");
        let pair = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("no header line: {line:?}"));
            (name.to_ascii_lowercase(), value.to_owned())
        };
        let mut response = Response { status, headers: lines.map(pair).collect(), body: Vec::new(), is_chunked: false };
        response.is_chunked = response.header("transfer-encoding") == Some("chunked");
        let has_no_body = is_head || status == 204 || status == 304 || status / 100 == 1;
        response.body = match response.header("content-length") {
            _ if has_no_body => Vec::new(),
            _ if response.is_chunked => self.chunks(),
            Some(len) => self.take(len.parse().expect("a length")),
            None => {
                while self.fill() {}
                std::mem::take(&mut self.buffer)
            }
        };
        response
    }

    fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let end = loop {
                if let Some(at) = self.buffer.windows(2).position(|bytes| bytes == b"\r\n") {
                    break at;
                }
                assert!(self.fill(), "the connection ended between chunks");
            };
            let line = self.take(end + 2);
            let digits = std::str::from_utf8(&line[..end]).expect("a size");
            let size = usize::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("no chunk size: {digits:?}"));
            let chunk = self.take(size + 2);
            assert_eq!(&chunk[size..], b"\r\n");
            if size == 0 {
                return body;
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count {
            assert!(self.fill(), "the connection ended after {} of {count} bytes", self.buffer.len());
        }
        self.buffer.drain(..count).collect()
    }

    /// Reads once; `false` at the end.
    fn fill(&mut self) -> bool {
        let mut bytes = vec![0; 64 * 1024];
        match self.stream.read(&mut bytes) {
            Ok(count) => {
                self.buffer.extend_from_slice(&bytes[..count]);
                count > 0
            }
            // With a timeout set, the kernel leaves it to the program to go on after a signal.
            Err(error) if error.kind() == ErrorKind::Interrupted => self.fill(),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("waited for a response: {error}"),
        }
    }
}
