//! A WebSocket client over tungstenite that waits with a deadline and says for what.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use tungstenite::client::IntoClientRequest;
use tungstenite::protocol::CloseFrame;
use tungstenite::{Bytes, Error, HandshakeError, Message, Utf8Bytes, WebSocket};

use super::{Server, Value, WAIT, encoded, json};

/// What came next.
#[derive(Debug)]
pub enum Heard {
    /// A text frame.
    Text(String),
    /// A close frame with its code, or 0 if it has none.
    Closed(u16),
    /// The end of the stream, without a close frame.
    Ended,
}

/// A socket whose reads go on after a signal: with a timeout set, the kernel leaves that to the program.
struct Patient(TcpStream);

impl Read for Patient {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(bytes) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

impl Write for Patient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// One client.
pub struct Client {
    pub name: String,
    /// The `session` frame, for one of `v=2`.
    pub session: Value,
    socket: WebSocket<Patient>,
}

/// The query of a client that resumes.
pub fn resume(session: &Value, since: u64) -> String {
    let field = |name: &str| session[name].as_str().expect("a session has it").to_owned();
    format!("&room={}&epoch={}&since={since}", field("room"), field("epoch"))
}

impl Client {
    /// Connects with a query such as `username=Ann&v=2`; the error is the HTTP status and body of the refusal.
    pub fn connect(server: &Server, query: &str) -> Result<Client, (u16, String)> {
        Client::connect_with(server, query, &[])
    }

    /// Also with further headers.
    pub fn connect_with(server: &Server, query: &str, headers: &[(&str, &str)]) -> Result<Client, (u16, String)> {
        let opened = Client::open(server.address, query, headers);
        if let Err((0, error)) = &opened {
            panic!("connecting with {query:?}: {error}");
        }
        opened
    }

    fn open(address: SocketAddr, query: &str, headers: &[(&str, &str)]) -> Result<Client, (u16, String)> {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_read_timeout(Some(WAIT)).expect("a socket takes a timeout");
        stream.set_nodelay(true).expect("a socket takes the option");
        let mut request = format!("ws://{address}/ws?{query}").into_client_request().expect("the query is encoded");
        for (name, value) in headers {
            let name = tungstenite::http::HeaderName::from_bytes(name.as_bytes()).expect("a name");
            request.headers_mut().insert(name, value.parse().expect("a value"));
        }
        match tungstenite::client(request, Patient(stream)) {
            Ok((socket, _)) => Ok(Client { name: query.to_owned(), session: Value::Null, socket }),
            Err(HandshakeError::Failure(Error::Http(response))) => {
                let body = response.body().clone().unwrap_or_default();
                Err((response.status().as_u16(), String::from_utf8_lossy(&body).into_owned()))
            }
            Err(error) => Err((0, error.to_string())),
        }
    }

    /// To a server that may be ending: status 0 is for a connection that broke before an answer came.
    pub fn try_connect(address: SocketAddr, query: &str) -> Result<Client, (u16, String)> {
        Client::open(address, query, &[])
    }

    fn named(server: &Server, name: &str, query: &str) -> Client {
        let query = format!("username={}{query}", encoded(name));
        let connected = Client::connect(server, &query);
        let mut client = connected.unwrap_or_else(|told| panic!("{name} was turned away: {told:?}"));
        client.name = name.to_owned();
        let welcome = client.next();
        assert_eq!(welcome["type"], "system", "{name}: {welcome}");
        assert_eq!(welcome["message"], format!("Welcome to the chat, {name}!"), "{name}");
        client
    }

    /// A plain client in the lobby, which has been told the number of users.
    pub fn join(server: &Server, name: &str) -> Client {
        Client::join_with(server, name, "")
    }

    /// A plain client with a further query such as `&room=den`.
    pub fn join_with(server: &Server, name: &str, query: &str) -> Client {
        let mut client = Client::named(server, name, query);
        let count = client.next();
        assert_eq!(count["type"], "user_count", "{name}: {count}");
        client
    }

    /// A client that speaks `v=2`, with its session.
    pub fn join_v2(server: &Server, name: &str, query: &str) -> Client {
        let mut client = Client::named(server, name, &format!("&v=2{query}"));
        client.session = client.next();
        assert_eq!(client.session["type"], "session", "{name}: {}", client.session);
        let count = client.next();
        assert_eq!(count["type"], "user_count", "{name}: {count}");
        client
    }

    /// Comes back to where `session` was, with everything after `since`.
    pub fn resume(server: &Server, name: &str, session: &Value, since: u64) -> Client {
        Client::join_v2(server, name, &resume(session, since))
    }

    /// A `message` frame with this text.
    pub fn say(&mut self, text: &str) {
        self.send(&json!({"type": "message", "message": text}).to_string());
    }

    /// A `message` frame with a `client_id`.
    pub fn say_as(&mut self, text: &str, client_id: &str) {
        self.send(&json!({"type": "message", "message": text, "client_id": client_id}).to_string());
    }

    /// A text frame as it is.
    pub fn send(&mut self, text: &str) {
        let sent = self.socket.send(Message::text(text));
        sent.unwrap_or_else(|error| panic!("{} cannot send: {error}", self.name));
    }

    /// Whether the text could be sent: a server that is being killed takes none.
    pub fn try_send(&mut self, text: &str) -> bool {
        self.socket.send(Message::text(text)).is_ok()
    }

    /// Many messages in few writes.
    pub fn say_all(&mut self, texts: impl Iterator<Item = String>) {
        for text in texts {
            let frame = json!({"type": "message", "message": text}).to_string();
            self.socket.write(Message::text(frame)).expect("the server reads");
        }
        self.socket.flush().expect("the server reads");
    }

    pub fn send_binary(&mut self, bytes: &[u8]) {
        self.socket.send(Message::binary(Bytes::copy_from_slice(bytes))).expect("the server reads");
    }

    pub fn send_ping(&mut self) {
        self.socket.send(Message::Ping(Bytes::from_static(b"?"))).expect("the server reads");
    }

    /// The socket itself: for frames that no client should send, and to read nothing.
    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.socket.get_mut().0
    }

    /// What comes next, `None` if nothing did within `limit`.
    pub fn hear_within(&mut self, limit: Duration) -> Option<Heard> {
        let end = Instant::now() + limit;
        loop {
            let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.stream().set_read_timeout(Some(left)).expect("a socket takes a timeout");
            match self.socket.read() {
                Ok(Message::Text(text)) => return Some(Heard::Text(text.as_str().to_owned())),
                Ok(Message::Close(frame)) => {
                    // The echo is written, as far as the server still takes it.
                    drop(self.socket.flush());
                    return Some(Heard::Closed(frame.map_or(0, |frame| frame.code.into())));
                }
                Ok(_) => {}
                Err(Error::Io(error)) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if Instant::now() >= end {
                        return None;
                    }
                }
                Err(_) => return Some(Heard::Ended),
            }
        }
    }

    fn hear(&mut self) -> Heard {
        let heard = self.hear_within(WAIT);
        heard.unwrap_or_else(|| panic!("{} waited {WAIT:?} for a frame", self.name))
    }

    /// The next frame.
    pub fn next(&mut self) -> Value {
        match self.hear() {
            Heard::Text(text) => {
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}: {text}", self.name))
            }
            other => panic!("{} wanted a frame: {other:?}", self.name),
        }
    }

    /// The next frame, which must be of this type.
    pub fn next_is(&mut self, kind: &str) -> Value {
        let frame = self.next();
        assert_eq!(frame["type"], kind, "{}: {frame}", self.name);
        frame
    }

    /// The next frame of this type; others are passed over.
    pub fn next_of(&mut self, kind: &str) -> Value {
        let end = Instant::now() + WAIT;
        loop {
            let frame = self.next();
            if frame["type"] == kind {
                return frame;
            }
            assert!(Instant::now() < end, "{} waited {WAIT:?} for a frame of type {kind}", self.name);
        }
    }

    /// The next frame, which must be the message `text`; its id.
    pub fn hears(&mut self, text: &str) -> u64 {
        let frame = self.next_is("message");
        assert_eq!(frame["message"], text, "{}: {frame}", self.name);
        frame["id"].as_u64().expect("a message has an id")
    }

    /// The text and id of the next `count` messages; presence is passed over.
    pub fn hears_messages(&mut self, count: usize) -> Vec<(u64, String)> {
        let one = |_| {
            let frame = self.next_of("message");
            let text = frame["message"].as_str().expect("a message has a text").to_owned();
            (frame["id"].as_u64().expect("a message has an id"), text)
        };
        (0..count).map(one).collect()
    }

    /// The next frames, which must say that somebody came or went and how many there are now.
    pub fn sees(&mut self, line: &str, count: u64) {
        let system = self.next_is("system");
        assert_eq!(system["message"], line, "{}: {system}", self.name);
        assert_eq!(self.next_is("user_count")["count"], count, "{}", self.name);
    }

    /// Passes frames over until the number of users is `count`.
    pub fn sees_count(&mut self, count: u64) {
        while self.next_of("user_count")["count"] != count {}
    }

    /// The code of the close frame; frames before it are passed over.
    pub fn close_code(&mut self) -> u16 {
        loop {
            match self.hear() {
                Heard::Text(_) => {}
                Heard::Closed(code) => return code,
                Heard::Ended => panic!("{} was cut off without a close frame", self.name),
            }
        }
    }

    /// Says goodbye and waits for the echo.
    pub fn leave(mut self) {
        let frame = CloseFrame { code: 1000.into(), reason: Utf8Bytes::default() };
        self.socket.close(Some(frame)).expect("the server reads");
        assert_eq!(self.close_code(), 1000);
    }

    /// Is gone without a word.
    pub fn vanish(mut self) {
        drop(self.stream().shutdown(Shutdown::Both));
    }
}

/// One masked frame of a client: opcode with its FIN bit, and the payload.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..126 => frame.push(0x80 | len as u8),
        len @ 126..65536 => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    // A mask of zeros leaves the payload as it is.
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}
