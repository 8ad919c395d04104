//! A restart with the socket kept open by whoever started the server (socket activation): nobody is refused, and who
//! resumes loses nothing.

mod support;

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use support::client::{Heard, resume};
use support::{Client, Http, Setup, Value, WAIT, encoded, eventually, ids, json, texts};

const CLIENTS: usize = 8;
const RESTARTS: usize = 4;

/// What became of the connections that others made meanwhile.
#[derive(Default)]
struct Tally {
    answered: AtomicUsize,
    told_to_come_back: AtomicUsize,
    hung_up_on: AtomicUsize,
}

fn bound() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    (listener, address)
}

/// Keeps connecting and asking, one after the other. To be refused would be the end of the test.
fn knock(address: SocketAddr, is_over: &AtomicBool, tally: &Tally) {
    while !is_over.load(Ordering::Relaxed) {
        let mut stream = TcpStream::connect(address).expect("nobody is refused");
        stream.set_read_timeout(Some(WAIT)).expect("a socket takes a timeout");
        let sent = stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let mut answer = Vec::new();
        if let Err(error) = sent.and_then(|()| stream.read_to_end(&mut answer).map(drop)) {
            assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
        }
        let count = match answer.get(9..12) {
            Some(b"200") => &tally.answered,
            Some(b"503") => &tally.told_to_come_back,
            None => &tally.hung_up_on,
            Some(_) => panic!("{:?}", String::from_utf8_lossy(&answer)),
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// One who talks and listens through all restarts: everything that it holds, by id, what it said included.
#[derive(Default)]
struct Talker {
    name: String,
    session: Value,
    held: BTreeMap<u64, String>,
    /// It holds everything after the first and up to the second. Its own messages are acked before those of others
    /// that stand before them may have come, so the highest that it holds is not it.
    complete: (u64, u64),
    /// Said and not acked yet.
    open: Vec<usize>,
    said: usize,
}

impl Talker {
    /// Connects, with what it has; `None` where the server hung up before it answered, or told it to come back.
    fn connect(&self, address: SocketAddr) -> Option<Client> {
        let query = match &self.session {
            Value::Null => format!("username={}&v=2", encoded(&self.name)),
            session => {
                let token = session["session"].as_str().expect("a session has one");
                format!("username={}&v=2{}&session={token}", encoded(&self.name), resume(session, self.complete.1))
            }
        };
        Client::try_connect(address, &query).ok()
    }

    fn talk(&mut self, address: SocketAddr, is_over: &AtomicBool) {
        loop {
            let Some(mut client) = self.connect(address) else { continue };
            for n in self.open.clone() {
                self.say(&mut client, n);
            }
            if self.hear(&mut client, is_over) {
                return;
            }
        }
    }

    fn say(&self, client: &mut Client, n: usize) {
        let (text, id) = (format!("{} {n}", self.name), format!("{} {n}", self.name));
        client.try_send(&json!({"type": "message", "message": text, "client_id": id}).to_string());
    }

    /// Until the connection ends; true once all is over and all is acked.
    fn hear(&mut self, client: &mut Client, is_over: &AtomicBool) -> bool {
        loop {
            if self.open.is_empty() {
                let is_complete = self.held.keys().next_back().is_none_or(|last| *last == self.complete.1);
                if is_over.load(Ordering::Relaxed) && is_complete {
                    return true;
                }
            }
            if self.open.is_empty() && !is_over.load(Ordering::Relaxed) {
                self.open.push(self.said);
                self.say(client, self.said);
                self.said += 1;
            }
            let frame: Value = match client.hear_within(WAIT).expect("something is heard, were it the farewell") {
                Heard::Text(text) => serde_json::from_str(&text).expect("JSON"),
                Heard::Closed(code) => {
                    assert_eq!(code, 1012, "{}", self.name);
                    return false;
                }
                Heard::Ended => return false,
            };
            match frame["type"].as_str().expect("a frame has a type") {
                "session" => {
                    assert!(self.session.is_null() || frame["resumed"] == true, "{}: {frame}", self.name);
                    if self.session.is_null() {
                        let last = frame["last_id"].as_u64().expect("a session knows the last");
                        self.complete = (last, last);
                    }
                    self.session = frame;
                }
                "message" => self.hold(&frame, frame["message"].as_str().expect("a text").to_owned()),
                "ack" => {
                    let id = frame["client_id"].as_str().expect("it had one").to_owned();
                    self.open.retain(|n| format!("{} {n}", self.name) != id);
                    self.hold(&frame, id);
                }
                "error" => panic!("{}: {frame}", self.name),
                _ => {}
            }
        }
    }

    /// Others' messages come in order; an ack may be that of a message held already, from the backlog.
    fn hold(&mut self, frame: &Value, text: String) {
        let id = frame["id"].as_u64().expect("it has an id");
        assert!(id > self.complete.0, "{}: {frame}", self.name);
        if let Some(before) = self.held.insert(id, text.clone()) {
            assert_eq!(before, text, "{}: {id} was another message", self.name);
        }
        while self.held.contains_key(&(self.complete.1 + 1)) {
            self.complete.1 += 1;
        }
    }
}

#[test]
fn a_restart_with_the_socket_handed_over_refuses_nobody_and_who_resumes_loses_nothing() {
    let (listener, address) = bound();
    let setup = Setup::bare().args(&["--data", "test.db", "--drain-ms", "20"]).handed(listener);
    let mut server = setup.clone().start();
    assert_eq!(server.address, address);
    let (is_over, tally) = (AtomicBool::new(false), Tally::default());
    let talkers: Mutex<Vec<Talker>> = Mutex::default();
    thread::scope(|scope| {
        for n in 0..CLIENTS {
            let (is_over, talkers) = (&is_over, &talkers);
            scope.spawn(move || {
                let name = format!("t{n}");
                let mut talker = Talker { name, ..Talker::default() };
                talker.talk(address, is_over);
                talkers.lock().expect("no test panics inside").push(talker);
            });
        }
        for _ in 0..2 {
            scope.spawn(|| knock(address, &is_over, &tally));
        }
        let mut seen = 0;
        for _ in 0..RESTARTS {
            // Under load: so many messages and answers more.
            let answered = tally.answered.load(Ordering::Relaxed);
            server.has_at_least("lobby", seen + 200);
            seen = server.json("/api/messages?limit=1")["total_count"].as_u64().expect("a number");
            eventually("newcomers", || (tally.answered.load(Ordering::Relaxed) >= answered + 50).then_some(()));
            server.signal("TERM");
            assert_eq!(server.wait().code(), Some(0));
            // Nobody serves now: who comes waits in the socket that is kept open.
            server = setup.clone().start();
        }
        server.has_at_least("lobby", seen + 200);
        is_over.store(true, Ordering::Relaxed);
    });
    let all: Vec<(u64, String)> = {
        let list = server.json("/api/messages");
        ids(&list).into_iter().zip(texts(&list).into_iter().map(str::to_owned)).collect()
    };
    assert!(all.iter().map(|(id, _)| *id).eq(1..=all.len() as u64));
    for talker in talkers.into_inner().expect("no test panics inside") {
        let own: Vec<&String> =
            all.iter().map(|(_, text)| text).filter(|text| text.starts_with(&talker.name)).collect();
        let said: Vec<String> = (0..talker.said).map(|n| format!("{} {n}", talker.name)).collect();
        assert!(own.into_iter().eq(&said), "{}: not each message once and in order", talker.name);
        assert!(talker.said > RESTARTS && talker.open.is_empty(), "{}", talker.name);
        let (first, last) = talker.complete;
        let expect = &all[first as usize..last as usize];
        let is_same = talker.held.iter().map(|(id, text)| (*id, text)).eq(expect.iter().map(|(id, text)| (*id, text)));
        assert!(is_same, "{} does not hold all of {first}..{last}", talker.name);
    }
    eprintln!(
        "{} restarts: {} answered, {} told to come back, {} hung up on before their request was read",
        RESTARTS,
        tally.answered.load(Ordering::Relaxed),
        tally.told_to_come_back.load(Ordering::Relaxed),
        tally.hung_up_on.load(Ordering::Relaxed)
    );
}

#[test]
fn who_comes_while_the_old_server_says_goodbye_is_served_by_the_next() {
    let (listener, _) = bound();
    let setup = Setup::bare().args(&["--data", "test.db"]).handed(listener);
    let mut old = setup.clone().start();
    // She does not answer her farewell: the old server waits a while for her.
    let _ann = Client::join(&old, "Ann");
    old.signal("TERM");
    let said = "stopping: storing what was received and saying goodbye";
    eventually("the farewell line", || old.stdout().iter().any(|line| line.contains(said)).then_some(()));
    let mut late = Http::to(&old);
    late.ask("GET", "/readyz");
    assert_eq!(old.wait().code(), Some(0));
    let _next = setup.start();
    let response = late.response();
    assert_eq!((response.status, response.text().as_str()), (200, "{\"status\":\"ready\"}"));
}

#[test]
fn what_is_handed_over_is_used_in_place_of_the_port_and_what_cannot_be_used_stops_the_start() {
    let (listener, address) = bound();
    let server = Setup::new().handed(listener).start();
    assert_eq!(server.address, address);
    assert_eq!(server.get("/healthz").status, 200);

    let setup = Setup::new();
    let path = setup.path("own.sock");
    let unix = UnixListener::bind(&path).expect("the directory is there");
    let mut server = setup.handed(unix).start();
    assert!(server.stderr()[0].starts_with("Catchup listens on unix:/"), "{:?}", server.stderr());
    let health = Setup::bare().args(&["health", "--url", &format!("unix:{}", path.display())]);
    assert!(health.run().0.success());
    server.signal("TERM");
    server.wait();
    // It is not ours to remove.
    assert!(path.exists());

    let refuses = |setup: Setup, part: &str| {
        let (status, _, stderr) = setup.run();
        assert!(!status.success() && stderr.lines().count() == 1 && stderr.contains(part), "{stderr:?}");
    };
    let datagram = UnixDatagram::unbound().expect("a socket");
    refuses(
        Setup::new().handed(datagram),
        "descriptor 3 of LISTEN_FDS is no stream socket, neither of TCP nor of Unix",
    );
    let silent = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    refuses(Setup::new().handed(silent), "descriptor 3 of LISTEN_FDS does not listen");
    let file = std::fs::File::open("/dev/null").expect("it is there");
    refuses(Setup::new().handed(file), "descriptor 3 of LISTEN_FDS is no stream socket");
}

/// Without the right LISTEN_PID the variables are somebody else's: a parent's, say.
#[test]
fn sockets_meant_for_another_process_are_left_alone() {
    for (pid, count) in [("1", "1"), ("", "1"), ("$$", "")] {
        let setup = Setup::new().env("LISTEN_PID", pid).env("LISTEN_FDS", count);
        let server = setup.start();
        assert_eq!(server.get("/healthz").status, 200, "{pid:?} {count:?}");
    }
    let run = |count: &str| {
        let script = format!("LISTEN_PID=$$ LISTEN_FDS={count} exec \"$0\" --ephemeral --port 0");
        let output = Command::new("/bin/sh").args(["-c", &script, env!("CARGO_BIN_EXE_catchup")]).output();
        let output = output.expect("there is a shell");
        assert!(!output.status.success());
        String::from_utf8(output.stderr).expect("it prints UTF-8")
    };
    for count in ["0", "17", "-1", "many", "99999999999999999999"] {
        let told = run(count);
        assert_eq!(told, format!("catchup: LISTEN_FDS is \"{count}\": want a number from 1 to 16\n"));
    }
    assert!(run("1").starts_with("catchup: descriptor 3 of LISTEN_FDS is no stream socket"), "{}", run("1"));
}
