//! Who may come in, and how: proxies that are believed, the Unix socket, the caps, no descriptor left, the health check.

mod support;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};

use std::net::TcpStream;
use std::time::{Duration, Instant};

use support::client::frame;
use support::{Client, Http, Response, Server, Setup, WAIT, eventually};

const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// `\x21\x11` and a client's address.
fn v2_of(four: [u8; 4]) -> Vec<u8> {
    let mut header = V2.to_vec();
    header.extend_from_slice(&[0x21, 0x11, 0, 12]);
    header.extend_from_slice(&four);
    header.extend_from_slice(&[127, 0, 0, 1, 0x30, 0x39, 0, 80]);
    header
}

fn upgrade(name: &str, headers: &str) -> String {
    format!(
        "GET /ws?username={name} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{headers}\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
}

/// Sends bytes on a new connection; the status of what comes back, and the connection.
fn enter(server: &Server, pieces: &[&[u8]]) -> (Response, Http) {
    let mut http = Http::to(server);
    for piece in pieces {
        http.send(piece);
    }
    let response = http.response();
    (response, http)
}

/// What the console says of the join of `name`: from where.
fn came_from(server: &Server, name: &str) -> String {
    let begins = format!("User '{name}' (");
    eventually(&format!("{name} on the console"), || {
        let lines = server.stdout();
        let line = lines.iter().find(|line| line.contains(&begins))?;
        Some(line.rsplit_once(" connected from ").expect("it says from where").1.to_owned())
    })
}

fn says(server: &Server, part: &str) {
    eventually(part, || server.stdout().iter().any(|line| line.contains(part)).then_some(()));
}

/// A 503 that says why and when to come back, and ends the connection.
fn is_told_to_come_back(response: &Response, http: &mut Http, told: &str) {
    assert_eq!((response.status, response.detail().as_str()), (503, told), "{response:?}");
    assert_eq!(response.header("retry-after"), Some("5"));
    assert_eq!(response.header("connection"), Some("close"));
    assert!(http.is_over());
}

#[test]
fn the_console_shows_the_client_that_a_trusted_proxy_names_and_nobody_elses_word_counts() {
    let server = Server::with(&["--trusted-proxy", "127.0.0.1, 10.0.0.0/8"]);
    for (name, headers, from) in [
        ("a", "", "127.0.0.1"),
        ("b", "X-Forwarded-For: 192.0.2.7\r\n", "192.0.2.7"),
        ("c", "X-Forwarded-For: 198.51.100.1, 192.0.2.7, 10.1.1.1\r\n", "192.0.2.7"),
        ("d", "X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 192.0.2.8\r\n", "192.0.2.8"),
        ("e", "X-Forwarded-For: [2001:db8::1]:4711\r\n", "2001:db8::1"),
        ("f", "X-Forwarded-For: somebody\r\n", "127.0.0.1"),
    ] {
        assert_eq!(enter(&server, &[upgrade(name, headers).as_bytes()]).0.status, 101, "{name}");
        assert_eq!(came_from(&server, name), from, "{name}");
    }
    let server = Server::with(&["--trusted-proxy", "10.0.0.0/8"]);
    let spoofed = upgrade("g", "X-Forwarded-For: 192.0.2.7\r\n");
    assert_eq!(enter(&server, &[spoofed.as_bytes()]).0.status, 101);
    assert_eq!(came_from(&server, "g"), "127.0.0.1");
}

#[test]
fn a_trusted_proxy_says_whom_it_speaks_for_before_the_first_request() {
    let server = Server::with(&["--trusted-proxy", "127.0.0.1"]);
    let v1 = |from: &str| format!("PROXY {from} 192.0.2.1 4711 80\r\n").into_bytes();
    let six = b"PROXY TCP6 2001:db8::9 ::1 1 2\r\n".to_vec();
    let with_tlv = [&v2_of([192, 0, 2, 9])[..14], &[0, 16][..], &v2_of([192, 0, 2, 9])[16..], &[4, 0, 1, 7]].concat();
    let local = [V2, &[0x20, 0x11, 0, 12], &[1; 12]].concat();
    for (name, header, headers, from) in [
        ("a", v1("TCP4 192.0.2.7"), "", "192.0.2.7"),
        ("b", six, "", "2001:db8::9"),
        ("c", v2_of([192, 0, 2, 8]), "", "192.0.2.8"),
        ("d", with_tlv, "", "192.0.2.9"),
        ("e", b"PROXY UNKNOWN\r\n".to_vec(), "", "127.0.0.1"),
        ("f", local, "", "127.0.0.1"),
        ("g", Vec::new(), "", "127.0.0.1"),
        // The client behind the proxy is not believed; a proxy behind the proxy is.
        ("h", v1("TCP4 192.0.2.7"), "X-Forwarded-For: 198.51.100.1\r\n", "192.0.2.7"),
        ("i", v1("TCP4 127.0.0.1"), "X-Forwarded-For: 198.51.100.1\r\n", "198.51.100.1"),
        ("j", b"PROXY UNKNOWN\r\n".to_vec(), "X-Forwarded-For: 198.51.100.1\r\n", "198.51.100.1"),
    ] {
        // In one packet with the request and its first frame.
        let text = frame(0x81, format!("{name} is here").as_bytes());
        let whole = [&header, upgrade(name, headers).as_bytes(), &text].concat();
        assert_eq!(enter(&server, &[&whole]).0.status, 101, "{name}");
        assert_eq!(came_from(&server, name), from, "{name}");
        says(&server, &format!("{name} is here"));
        // Byte by byte.
        let split = format!("{name}{name}");
        let whole = [&header, upgrade(&split, headers).as_bytes()].concat();
        let pieces: Vec<&[u8]> = whole.chunks(1).collect();
        assert_eq!(enter(&server, &pieces).0.status, 101, "{name}");
        assert_eq!(came_from(&server, &split), from, "{name}");
    }
    // Only before the first request: a second header is a bad request.
    let mut http = Http::to(&server);
    http.send(v1("TCP4 192.0.2.7"));
    assert_eq!(http.get("/healthz").status, 200);
    assert_eq!(http.send(v1("TCP4 192.0.2.8")).response().status, 400);
    assert!(http.is_over());
}

#[test]
fn a_malformed_proxy_header_is_hung_up_on_and_told_to_the_operator() {
    let server = Server::with(&["--trusted-proxy", "127.0.0.1"]);
    let wrong_version = [V2, &[0x11, 0x11, 0, 12]].concat();
    let huge = [V2, &[0x21, 0x11, 0xff, 0xff]].concat();
    let endless = format!("PROXY UNKNOWN {}", "x".repeat(200)).into_bytes();
    for (bytes, told) in [
        (b"PROXY TCP4 192.0.2.256 192.0.2.1 1 2\r\n".to_vec(), "has a bad address"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.1 1 99999\r\n".to_vec(), "has a bad port"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.1 1\r\n".to_vec(), "has not two addresses and two ports"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.1 1 2\n".to_vec(), "ends without CRLF"),
        (b"PROXY UDP4 192.0.2.1 192.0.2.1 1 2\r\n".to_vec(), "is neither of TCP4 nor of TCP6 nor UNKNOWN"),
        (endless, "has no end within 107 bytes"),
        (wrong_version, "is not of version 2"),
        (huge, "is longer than 4096 bytes"),
    ] {
        let mut http = Http::to(&server);
        http.send(&bytes);
        assert!(http.is_over(), "{told}");
        says(&server, &format!("127.0.0.1 was hung up on: its PROXY header {told}"));
    }
    // Half a header and then the end is the end.
    let mut http = Http::to(&server);
    http.send("PROXY TCP4 192").end();
    assert!(http.is_over());
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn from_anybody_else_a_proxy_header_is_a_bad_request() {
    let server = Server::start();
    for bytes in [&b"PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], &v2_of([1; 4])] {
        let (response, mut http) = enter(&server, &[bytes]);
        assert_eq!(response.status, 400, "{response:?}");
        assert!(http.is_over());
    }
}

#[test]
fn whom_a_trusted_proxy_names_is_slowed_and_the_proxys_own_machine_is_not() {
    let server = Server::with(&["--trusted-proxy", "127.0.0.1"]);
    let mut bob = Client::join(&server, "Bob");
    let forwarded = [("X-Forwarded-For", "192.0.2.7")];
    let mut ann = Client::connect_with(&server, "username=Ann", &forwarded).expect("is let in");
    bob.sees("Ann joined the chat", 2);
    // 50 a second, 500 at once: after 550 the next waits for a second.
    let begun = Instant::now();
    ann.say_all((0..550).map(|n| n.to_string()));
    bob.hears_messages(550);
    ann.say("one more");
    bob.hears("one more");
    assert!(begun.elapsed() > Duration::from_millis(900), "it was not held back: {:?}", begun.elapsed());
}

#[test]
fn messages_by_post_count_against_the_rate_of_their_connection() {
    // By the PROXY header it is somebody elsewhere: 50 a second, 500 at once.
    let from_elsewhere = b"PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n";
    for (limit, count, preface) in [("10", 110, &b""[..]), ("auto", 550, from_elsewhere)] {
        let server = Server::with(&["--trusted-proxy", "127.0.0.1", "--rate-limit", limit]);
        let mut http = Http::to(&server);
        http.send(preface);
        let begun = Instant::now();
        for n in 0..=count {
            let response = http.post("/api/messages?username=cron", &format!("{{\"message\":\"{n}\"}}"));
            assert_eq!(response.status, 201, "{n}");
        }
        assert!(begun.elapsed() > Duration::from_millis(900), "{limit}: not held back: {:?}", begun.elapsed());
    }
    // The proxy's own connection carries the posts of many.
    let server = Server::with(&["--trusted-proxy", "127.0.0.1"]);
    let mut http = Http::to(&server);
    (0..600).for_each(|n| assert_eq!(http.post("/api/messages?username=a", "{\"message\":\"a\"}").status, 201, "{n}"));
}

#[test]
fn a_full_server_tells_newcomers_to_come_back_and_lets_them_in_when_somebody_leaves() {
    let server = Server::with(&["--max-connections", "5"]);
    assert!(server.stderr().contains(&"Catchup takes 5 connections at once, 512 from one address".into()));
    let mut watcher = Http::to(&server);
    assert_eq!(watcher.get("/readyz").text(), "{\"status\":\"ready\"}");
    let mut ann = Client::join(&server, "Ann");
    let mut others: Vec<Client> = (0..3).map(|n| Client::join(&server, &format!("c{n}"))).collect();
    let full = watcher.get("/readyz");
    assert_eq!((full.status, full.text().as_str()), (503, "{\"status\":\"full\"}"));
    assert_eq!(watcher.get("/healthz").status, 200);
    let told = "5 connections are open, which is this server's limit: come back later";
    for _ in 0..100 {
        let mut http = Http::to(&server);
        let response = http.ask("GET", "/").response();
        is_told_to_come_back(&response, &mut http, told);
    }
    assert_eq!(Client::connect(&server, "username=Late").err().expect("it is full").0, 503);
    says(&server, "5 connections are the limit (--max-connections): ");
    // Those who are in notice nothing.
    others[2].say("still here");
    ann.next_of("message");
    others.remove(0).leave();
    eventually("room for one more", || (watcher.get("/readyz").status == 200).then_some(()));
    Client::join(&server, "Late");
}

#[test]
fn one_address_takes_no_more_than_its_share() {
    let server = Server::with(&["--trusted-proxy", "127.0.0.1", "--max-connections-per-address", "2"]);
    let told =
        |from: &str| format!("2 connections from {from} are open, which is the limit for one address: come back later");
    let header = |from: &str| format!("PROXY TCP4 {from} 192.0.2.1 1 2\r\n");
    let ask = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    // By the PROXY header: before the first request.
    let come = |from: &str| enter(&server, &[header(from).as_bytes(), ask.as_bytes()]);
    let (first, second) = (come("192.0.2.7"), come("192.0.2.7"));
    assert_eq!((first.0.status, second.0.status), (200, 200));
    for _ in 0..5 {
        let (response, mut http) = come("192.0.2.7");
        is_told_to_come_back(&response, &mut http, &told("192.0.2.7"));
    }
    assert_eq!(come("192.0.2.8").0.status, 200);
    says(&server, "2 connections from 192.0.2.7 are the limit (--max-connections-per-address): ");
    drop(first);
    eventually("room for one more", || (come("192.0.2.7").0.status == 200).then_some(()));

    // By X-Forwarded-For: when a WebSocket begins, as proxies use one connection for the requests of many. In IPv6 by
    // the first 64 bits.
    let join = |name: &str, from: &str| {
        let headers = [("X-Forwarded-For", from)];
        Client::connect_with(&server, &format!("username={name}"), &headers).map_err(|(status, _)| status)
    };
    let ann = join("Ann", "2001:db8::1").expect("is let in");
    let bob = join("Bob", "2001:db8::2").expect("is let in");
    assert_eq!(join("Cat", "2001:db8::3").err(), Some(503));
    drop(join("Dan", "2001:db8:0:1::3").expect("is let in"));
    let (response, mut http) = enter(&server, &[upgrade("Eve", "X-Forwarded-For: 2001:db8::9\r\n").as_bytes()]);
    is_told_to_come_back(&response, &mut http, &told("2001:db8::"));
    ann.leave();
    eventually("room for one more", || join("Cat", "2001:db8::3").ok().map(drop));
    bob.leave();

    // This machine is not counted, nor is the proxy itself.
    let _many: Vec<Http> = (0..20).map(|_| enter(&server, &[ask.as_bytes()]).1).collect();
}

#[test]
fn however_a_connection_ends_its_address_has_the_place_back() {
    let server = Server::with(&["--trusted-proxy", "127.0.0.1", "--max-connections-per-address", "2"]);
    let header = "PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n";
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n");
    let post = |lines: &str| format!("POST /api/messages?username=a HTTP/1.1\r\nHost: x\r\n{lines}\r\n");
    let by_header = [
        String::new(),
        get("/healthz"),
        get("/healthz")[..20].to_owned(),
        "no request at all\r\n\r\n".to_owned(),
        // More than the kernel takes for who reads nothing.
        get("/openapi.json").repeat(100),
        get("/api/messages"),
        "POST /api/summarize HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        post("Content-Length: 100\r\n"),
        post("Content-Length: 1000000\r\n"),
        post("Expect: 100-continue\r\nContent-Length: 100\r\n"),
        upgrade("Ann", ""),
    ];
    let frames = [frame(0x88, &[3, 0xe8]), frame(0x82, b"binary"), vec![0xff; 3], frame(0x81, b"hi"), vec![0x81]];
    let sessions = frames.map(|bytes| [header.as_bytes(), upgrade("Ann", "").as_bytes(), &bytes].concat());
    let mut ways: Vec<Vec<u8>> = by_header.iter().map(|rest| format!("{header}{rest}").into_bytes()).collect();
    ways.extend(sessions);
    ways.push(upgrade("Bob", "X-Forwarded-For: 192.0.2.7\r\n").into_bytes());
    ways.push(header.as_bytes()[..30].to_vec());
    ways.push(b"PROXY nonsense\r\n".to_vec());

    let come = || enter(&server, &[header.as_bytes(), get("/healthz").as_bytes()]);
    for bytes in &ways {
        for is_reset in [false, true] {
            for _ in 0..3 {
                let mut http = Http::to(&server);
                http.send(bytes);
                let (stream, _) = http.into_rest();
                if is_reset {
                    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("a socket takes it");
                }
            }
            // Two come in, no less and no more.
            let what = format!("two places after {:?}, reset: {is_reset}", String::from_utf8_lossy(bytes));
            let _two = eventually(&what, || {
                let two = [come(), come()];
                two.iter().all(|(response, _)| response.status == 200).then_some(two)
            });
            assert_eq!(come().0.status, 503, "{what}");
        }
    }
    // And nobody is left in the counters.
    let gone =
        ["catchup_connections{kind=\"http\"} 1", "catchup_connections{kind=\"websocket\"} 0", "catchup_people 0"];
    eventually("everybody to be gone", || {
        let text = server.get("/metrics").text();
        gone.iter().all(|line| text.lines().any(|known| known == *line)).then_some(())
    });
}

#[test]
fn with_64_files_the_chat_goes_on_newcomers_are_told_and_it_recovers_when_people_leave() {
    let server = Setup::new().files_max(64).start();
    assert!(server.stderr().contains(&"Catchup takes 32 connections at once, 512 from one address".into()));
    let mut ann = Client::join(&server, "Ann");
    let mut crowd = Vec::new();
    let told =
        eventually("the server to be full", || match Client::connect(&server, &format!("username=c{}", crowd.len())) {
            Ok(client) => {
                crowd.push(client);
                None
            }
            Err(told) => Some(told),
        });
    assert_eq!((told.0, crowd.len()), (503, 31));
    assert!(server.open_files().len() <= 64);
    // Many come at once, and say nothing for a while; each is told in the end.
    let mut waiting: Vec<Http> = (0..200).map(|_| Http::to(&server)).collect();
    for (n, http) in waiting.iter_mut().enumerate() {
        assert_eq!(http.response().status, 503, "{n}");
        if n % 50 == 0 {
            crowd[0].say(&format!("{n}"));
            assert_eq!(ann.next_of("message")["message"], format!("{n}"));
        }
    }
    assert!(server.open_files().len() <= 64);
    drop(waiting);
    // The log, search and summaries still work: their descriptors were kept.
    let posted = crowd.pop().expect("somebody is there");
    posted.leave();
    let list = eventually("room for a request", || Some(server.get("/api/messages")).filter(|list| list.status == 200));
    assert_eq!(list.json()["total_count"], 4);
    let summary = eventually("room for a request", || {
        Some(server.post("/api/summarize?username=Ann", "")).filter(|summary| summary.status != 503)
    });
    assert_eq!(summary.status, 200, "{}", summary.text());
    drop(crowd);
    eventually("room again", || Client::connect(&server, "username=Late").ok().map(drop));
}

#[test]
fn without_a_descriptor_left_newcomers_are_told_so_with_the_one_in_reserve() {
    let server = Server::start();
    let mut ann = Client::join(&server, "Ann");
    let mut bob = Client::join(&server, "Bob");
    ann.sees("Bob joined the chat", 2);
    // Its limit is taken away while it runs, down to what it has open.
    let limit = |count: u64| {
        let (resource, limits) = (rlimit::Resource::NOFILE, Some((count, 20_000)));
        rlimit::prlimit(server.pid() as i32, resource, limits, None).expect("it is ours");
    };
    limit(server.open_files().into_iter().max().expect("it has some") + 2);
    let mut crowd = Vec::new();
    let refused = eventually("no descriptor to be left", || {
        let name = format!("username=c{}&room=den", crowd.len());
        Client::connect(&server, &name).map(|client| crowd.push(client)).err()
    });
    let told = "this server has no descriptor left for a further connection: come back later";
    assert!(refused.0 == 503 && refused.1.contains(told), "{refused:?}");
    for _ in 0..40 {
        let mut http = Http::to(&server);
        let response = http.response();
        assert_eq!((response.status, response.detail().as_str()), (503, told));
        assert!(http.is_over());
    }
    says(&server, &format!("no descriptor is left at {} connections: ", crowd.len() + 2));
    ann.say("still here");
    bob.next_of("message");
    crowd.pop().expect("there was room for one").leave();
    eventually("room for one more", || Client::connect(&server, "username=Dan").ok().map(drop));
}

/// A WebSocket through the Unix socket, by hand.
fn join_unix(path: &std::path::Path, name: &str, headers: &str) -> UnixStream {
    let mut stream = UnixStream::connect(path).expect("it listens");
    stream.set_read_timeout(Some(WAIT)).expect("a socket takes a timeout");
    stream.write_all(upgrade(name, headers).as_bytes()).expect("the server reads");
    let heard = hears(&mut stream, &format!("Welcome to the chat, {name}!"));
    assert!(heard.starts_with("HTTP/1.1 101 "), "{heard:?}");
    stream
}

/// Reads until `part` has come.
fn hears(stream: &mut UnixStream, part: &str) -> String {
    let (mut heard, mut bytes) = (String::new(), [0; 4096]);
    while !heard.contains(part) {
        let count = stream.read(&mut bytes).expect("the server writes");
        assert!(count > 0, "ended after {heard:?}, want {part:?}");
        heard.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
    heard
}

#[test]
fn the_unix_socket_is_a_door_like_the_port() {
    let mut server = Server::with(&["--unix", "chat.sock"]);
    let path = server.path("chat.sock");
    assert_eq!(server.stderr()[1], "Catchup listens on unix:chat.sock");
    let mut bob = Client::join(&server, "Bob");
    let mut ann = join_unix(&path, "Ann", "");
    bob.sees("Ann joined the chat", 2);
    assert_eq!(came_from(&server, "Ann"), "unix:");
    ann.write_all(&frame(0x81, b"hello from the socket")).expect("the server reads");
    bob.hears("hello from the socket");
    bob.say("hello back");
    hears(&mut ann, "hello back");
    // Who can open it is believed.
    let _cat = join_unix(&path, "Cat", "X-Forwarded-For: 192.0.2.7\r\n");
    assert_eq!(came_from(&server, "Cat"), "192.0.2.7");
    // One who does not read is paced here too, and the others do not wait.
    drop(ann);
    bob.next_of("system");
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    assert!(!path.exists(), "its file is left behind");
}

#[test]
fn a_dead_servers_socket_is_replaced_and_anything_else_is_left_as_it_is() {
    let refuses = |setup: &Setup, part: &str| {
        let (status, _, stderr) = setup.run();
        assert!(!status.success() && stderr.lines().count() == 1 && stderr.contains(part), "{stderr:?}");
    };
    // Killed: its file is left behind, and the next takes its place.
    let args = ["--host", "none", "--unix", "chat.sock", "--data", "test.db"];
    let mut server = Setup::bare().args(&args).start();
    assert_eq!(server.stderr()[0], "Catchup listens on unix:chat.sock");
    let path = server.path("chat.sock");
    server.kill();
    assert!(path.exists());
    let server = server.setup().start();
    join_unix(&path, "Ann", "");
    // Alive: the second is refused, and the first goes on.
    refuses(&server.setup(), "chat.sock is in use by another program");
    join_unix(&path, "Bob", "");
    drop(server);

    let setup = Setup::new().args(&["--unix", "letter"]).file("letter", "to my aunt");
    refuses(&setup, "letter is a file and no socket: it is left as it is");
    assert_eq!(fs::read_to_string(setup.path("letter")).expect("it is there"), "to my aunt");
    refuses(&Setup::new().args(&["--unix", "no/such/place"]), "cannot listen on unix:no/such/place: ");
    refuses(&Setup::new().args(&["--unix", &"x".repeat(200)]), "cannot listen on unix:xxx");
    refuses(&Setup::bare().args(&["--host", "none"]), "HOST is none, and there is no --unix: nobody could come in");

    // A socket that somebody else has put there meanwhile is not removed at the end.
    let mut server = Server::with(&["--unix", "chat.sock"]);
    let path = server.path("chat.sock");
    fs::remove_file(&path).expect("it is there");
    let _other = UnixListener::bind(&path).expect("the path is free");
    server.signal("TERM");
    server.wait();
    assert!(path.exists());
}

#[test]
fn health_ends_with_0_where_a_server_answers_and_with_1_and_a_line_where_none_does() {
    let ask = |setup: &Setup, args: &[&str]| {
        let (status, stdout, stderr) = setup.clone().args(args).run();
        assert_eq!(stdout, "");
        (status.code(), stderr.trim().to_owned())
    };
    let server = Server::with(&["--unix", "chat.sock", "--token", "secret"]);
    let well = (Some(0), String::new());
    let (port, url) = (server.address.port().to_string(), format!("http://{}", server.address));
    let bare = Setup::bare();
    // By the server's own settings, by flags or variables; by an address; through the Unix socket.
    assert_eq!(ask(&bare, &["--port", &port, "health"]), well);
    assert_eq!(ask(&bare.clone().env("PORT", &port).env("HOST", "127.0.0.1"), &["health"]), well);
    assert_eq!(ask(&bare, &["health", "--url", &url]), well);
    assert_eq!(ask(&bare, &["health", "--url", &format!("http://localhost:{port}/healthz")]), well);
    let path = server.path("chat.sock").display().to_string();
    assert_eq!(ask(&bare, &["health", "--url", &format!("unix:{path}")]), well);
    assert_eq!(ask(&bare.clone().env("HOST", "none").env("CATCHUP_UNIX", &path), &["health"]), well);

    let fails = |args: &[&str], part: &str| {
        let (code, line) = ask(&bare, args);
        assert!(code == Some(1) && line.lines().count() == 1 && line.contains(part), "{code:?} {line:?}");
    };
    fails(&["health", "--url", &format!("{url}/api/rooms")], "answered \"HTTP/1.1 401 Unauthorized\": want 200");
    fails(&["health", "--url", "https://127.0.0.1/"], "want http://host[:port][/path], or unix:PATH");
    fails(&["health", "--url", "unix:missing.sock"], "unix:missing.sock does not answer: ");
    fails(&["health", "--url", "http://127.0.0.1/\r\nX: y"], "want http://host[:port][/path], or unix:PATH");
    fails(&["--host", "none", "health"], "say --url");
    drop(server);
    fails(&["health", "--url", &url], "does not answer: ");
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = silent.local_addr().expect("it is bound");
    let hangs_up = std::thread::spawn(move || drop(silent.accept()));
    fails(&["health", "--url", &format!("http://{address}")], "");
    hangs_up.join().expect("it hung up");
}

#[test]
fn the_delay_before_the_end_lets_readyz_say_no_while_everything_goes_on() {
    let mut server = Server::with(&["--drain-delay-ms", "60000"]);
    let mut watcher = Http::to(&server);
    assert_eq!(watcher.get("/readyz").status, 200);
    let mut ann = Client::join(&server, "Ann");
    server.signal("TERM");
    eventually("readyz to say no", || {
        let response = watcher.get("/readyz");
        (response.status == 503 && response.text() == "{\"status\":\"draining\"}").then_some(())
    });
    // Newcomers are still let in, and are heard.
    assert_eq!(server.get("/readyz").status, 503);
    let mut bob = Client::join(&server, "Bob");
    ann.sees("Bob joined the chat", 2);
    bob.say("just in time");
    ann.hears("just in time");
    // Who does not want to wait says so again.
    server.signal("TERM");
    assert_eq!((ann.close_code(), bob.close_code()), (1012, 1012));
    assert_eq!(server.wait().code(), Some(0));
    let server = server.restart();
    assert_eq!(server.json("/api/messages")["total_count"], 1);
}

#[test]
fn a_request_that_comes_while_the_farewells_go_out_is_told_that_the_server_stops() {
    let mut server = Server::with(&["--drain-ms", "60000"]);
    // The farewells begin with those who came first, one a millisecond.
    let _crowd: Vec<TcpStream> =
        (0..3000).map(|_| TcpStream::connect(server.address).expect("the server listens")).collect();
    let mut others: Vec<Http> = (0..4).map(|_| Http::to(&server)).collect();
    for http in &mut others {
        assert_eq!(http.get("/healthz").status, 200);
    }
    server.signal("TERM");
    says(&server, "stopping: storing what was received");
    let stopping = "the server is stopping: come back in a moment";
    let [ready, health, list, socket] = &mut others[..] else { panic!("there are four") };
    let response = ready.get("/readyz");
    assert_eq!((response.status, response.text().as_str()), (503, "{\"status\":\"draining\"}"));
    assert_eq!(response.header("connection"), Some("close"));
    assert_eq!(health.get("/healthz").status, 200);
    assert_eq!(list.get("/api/messages").detail(), stopping);
    let response = socket.send(upgrade("Late", "")).response();
    assert_eq!((response.status, response.detail().as_str()), (503, stopping));
    assert_eq!(response.header("retry-after"), Some("5"));
    assert!(others.iter_mut().all(|http| http.is_over()));
    server.signal("TERM");
    server.wait();
}
