//! The HTTP endpoints over real sockets: heads and bodies, keep-alive and pipelining, lists, search, posts, access.
//!
//! How bytes become requests is tested on values, in `http_requests.rs`.

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use support::client::frame;
use support::{Client, Http, Response, Server, Value, encoded, ids, is_stamp, json, texts};

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn is_date(text: &str) -> bool {
    let (day, rest) = text.split_at(3);
    ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].contains(&day)
        && rest.len() == 26
        && rest.starts_with(", ")
        && rest.ends_with(" GMT")
}

fn refused(response: &Response, status: u16, part: &str) {
    assert_eq!(response.status, status, "{}", response.text());
    assert!(response.detail().contains(part), "{}: want {part:?}", response.detail());
    is_for_now(response);
}

/// No cache keeps it, and no browser guesses what it is.
fn is_for_now(response: &Response) {
    let told = (response.header("cache-control"), response.header("x-content-type-options"));
    assert_eq!(told, (Some("no-store"), Some("nosniff")), "{response:?}");
}

#[test]
fn every_endpoint_answers_with_a_date_a_type_and_a_length_and_head_is_get_without_its_body() {
    let server = Server::start();
    is_for_now(&server.post("/api/messages?username=Ann", "{\"message\":\"hi\"}"));
    is_for_now(&server.get("/metrics"));
    for (target, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/healthz", "application/json"),
        ("/readyz", "application/json"),
        ("/api/messages", "application/json"),
        ("/api/messages?username=Bob", "application/json"),
        ("/api/search?q=hi", "application/json"),
        ("/api/rooms", "application/json"),
        ("/api/users", "application/json"),
    ] {
        let mut http = Http::to(&server);
        let get = http.get(target);
        assert_eq!((get.status, get.header("content-type")), (200, Some(kind)), "{target}");
        assert!(is_date(get.header("date").expect("a date")), "{get:?}");
        if target != "/" {
            is_for_now(&get);
        }
        assert_eq!(get.header("content-length"), Some(get.body.len().to_string().as_str()), "{target}");
        let head = http.ask("HEAD", target).head_response();
        let without_date = |response: &Response| {
            response.headers.iter().filter(|(name, _)| name != "date").cloned().collect::<Vec<_>>()
        };
        assert_eq!((head.status, without_date(&head)), (200, without_date(&get)), "{target}");
        // Had HEAD a body, the next response would begin with it.
        assert_eq!(http.get("/healthz").json(), json!({"status": "ok"}));
    }
}

#[test]
fn unknown_paths_and_methods_are_told_in_json_and_the_connection_stays() {
    let server = Server::start();
    let mut http = Http::to(&server);
    for path in ["/nope", "/api", "/api/messages/", "/API/messages", "/../etc/passwd", "/%2e%2e/x"] {
        refused(&http.get(path), 404, "is not here");
    }
    for (method, path, allow) in [
        ("POST", "/", "GET, HEAD, OPTIONS"),
        ("GET", "/api/summarize", "POST, OPTIONS"),
        ("PUT", "/api/messages", "GET, HEAD, POST, OPTIONS"),
        ("DELETE", "/api/messages", "GET, HEAD, POST, OPTIONS"),
        ("POST", "/ws", "GET, OPTIONS"),
        ("POST", "/api/search", "GET, HEAD, OPTIONS"),
        ("QUERY", "/api/search", "GET, HEAD, OPTIONS"),
    ] {
        let response = http.ask(method, path).response();
        refused(&response, 405, "want one of");
        assert_eq!(response.header("allow"), Some(allow), "{method} {path}");
    }
    refused(&http.ask("BREW", "/").response(), 501, "is not known");
    let options = http.ask("OPTIONS", "/api/messages").response();
    assert_eq!((options.status, options.header("allow")), (204, Some("GET, HEAD, POST, OPTIONS")));
    assert_eq!(http.get("/healthz").status, 200);
}

#[test]
fn a_connection_is_kept_as_its_request_says() {
    let server = Server::start();
    for (head, is_kept) in [
        ("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", true),
        ("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", false),
        ("GET /healthz HTTP/1.0\r\n\r\n", false),
        ("GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true),
        ("GET /api/messages HTTP/1.0\r\n\r\n", false),
        ("GET /nope HTTP/1.1\r\nHost: x\r\n\r\n", true),
    ] {
        let mut http = Http::to(&server);
        for _ in 0..2 {
            let response = http.send(head).response();
            let is_closing = response.header("connection") == Some("close");
            assert_eq!(is_closing, !is_kept, "{head:?}: {response:?}");
            if !is_kept {
                assert!(http.is_over(), "{head:?}");
                break;
            }
        }
    }
}

#[test]
fn pipelined_requests_are_answered_in_their_order_also_behind_one_that_a_worker_answers() {
    let server = Server::start();
    server.post("/api/messages?username=Ann", "{\"message\":\"first\"}");
    let mut http = Http::to(&server);
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n");
    let body = "{\"message\":\"second\"}";
    let post =
        format!("POST /api/messages?username=Ann HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let asked = [
        get("/api/messages"),
        get("/healthz"),
        get("/nope"),
        get("/api/search?q=first"),
        get("/api/messages?username=Bob"),
        post,
        get("/api/messages"),
        get("/healthz"),
    ]
    .concat();
    http.send(asked.repeat(3));
    for round in 0..3 {
        assert_eq!(ids(&http.response().json()).len(), 1 + round);
        assert_eq!(http.response().json()["status"], "ok");
        assert_eq!(http.response().status, 404);
        assert_eq!(ids(&http.response().json()), [1]);
        assert_eq!(http.response().json()["unread_count"], 1 + round);
        assert_eq!(http.response().json()["id"], 2 + round);
        assert_eq!(ids(&http.response().json()).len(), 2 + round);
        assert_eq!(http.response().json()["status"], "ok");
    }
    assert_eq!(http.get("/healthz").status, 200);
}

#[test]
fn a_file_of_the_binary_comes_whole_each_time_between_other_answers() {
    let server = Server::start();
    let mut http = Http::to(&server);
    let (page, document) = (http.get("/").body, http.get("/asyncapi.json").body);
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n");
    let zipped = "GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n";
    let asked = [&get("/"), &get("/"), "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", &get("/healthz")].concat();
    http.send([&asked, zipped, &get("/asyncapi.json"), &get("/readyz")].concat().repeat(20));
    for _ in 0..20 {
        assert!(http.response().body == page);
        assert!(http.response().body == page);
        assert_eq!(http.head_response().header("content-length"), Some(&*page.len().to_string()));
        assert_eq!(http.response().json()["status"], "ok");
        assert_eq!(http.response().body[..2], [0x1f, 0x8b]);
        assert!(http.response().body == document);
        assert_eq!(http.response().json()["status"], "ready");
    }
}

#[test]
fn a_request_may_come_byte_by_byte_and_its_body_in_chunks() {
    let server = Server::start();
    let mut http = Http::to(&server);
    let chunked = "POST /api/messages?username=Ann HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
                   5;ext=1\r\n{\"mes\r\n11\r\nsage\":\"in chunks\"\r\n1\r\n}\r\n0\r\nTrailer: x\r\n\r\n";
    for byte in chunked.bytes() {
        http.send([byte]);
    }
    let response = http.response();
    assert_eq!((response.status, &response.json()["message"]), (201, &json!("in chunks")));
    http.send(
        "POST /api/messages?username=Ann HTTP/1.1\r\nHost: x\r\nContent-Length: 19\r\nExpect: 100-continue\r\n\r\n",
    );
    assert_eq!(http.response().status, 100);
    let response = http.send("{\"message\":\"waited\"").response();
    refused(&response, 400, "body is not");
    assert_eq!(texts(&server.json("/api/messages")), ["in chunks"]);
}

#[test]
fn a_request_that_is_none_is_refused_with_its_status_and_the_connection_ends() {
    let server = Server::start();
    let long = "x".repeat(9000);
    for (status, bytes) in [
        (400, "hello\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\nHost: x\n\n".to_owned()),
        (400, "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n".to_owned()),
        (413, "POST /api/messages?username=a HTTP/1.1\r\nHost: x\r\nContent-Length: 999999\r\n\r\n".to_owned()),
        (414, format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n")),
        (431, format!("GET / HTTP/1.1\r\nHost: x\r\nLong: {long}\r\n\r\n")),
        (505, "GET / HTTP/2.0\r\nHost: x\r\n\r\n".to_owned()),
    ] {
        let mut http = Http::to(&server);
        let response = http.send(&bytes).response();
        assert_eq!(response.status, status, "{bytes:?}: {}", response.text());
        assert!(!response.detail().is_empty());
        assert_eq!(response.header("connection"), Some("close"), "{bytes:?}");
        assert!(http.is_over(), "{bytes:?}");
    }
}

#[test]
fn lists_are_cut_by_since_before_and_limit_and_bad_values_are_told() {
    let server = Server::start();
    let mut ann = Client::join_v2(&server, "Ann", "");
    ann.say_all((1..=30).map(|n| format!("text {n}")));
    ann.say_as("text 31", "last");
    ann.next_is("ack");
    Client::join_with(&server, "Bob", "&room=den").say("in the den");
    server.has_messages("den", 1);

    let all = server.json("/api/messages");
    assert_eq!((ids(&all), &all["total_count"]), ((1..=31).collect(), &json!(31)));
    assert_eq!(all["epoch"], ann.session["epoch"]);
    let first = &all["messages"][0];
    assert_eq!((&first["sender"], &first["message"]), (&json!("Ann"), &json!("text 1")));
    assert!(is_stamp(first["timestamp"].as_str().expect("a text")));
    assert_eq!(first["message_id"].as_str().map(str::len), Some(36));

    for (query, expect) in [
        ("since=28", vec![29, 30, 31]),
        ("since=28&limit=2", vec![29, 30]),
        ("since=31", vec![]),
        ("since=32", vec![]),
        ("since=9223372036854775807", vec![]),
        ("before=3", vec![1, 2]),
        ("before=1", vec![]),
        ("before=0", vec![]),
        ("before=9223372036854775807&limit=1", vec![31]),
        ("limit=2", vec![30, 31]),
        ("before=30&limit=2", vec![28, 29]),
        ("since=10&before=13", vec![11, 12]),
        ("since=20&before=13", vec![]),
        ("limit=1000000000&since=29", vec![30, 31]),
        ("room=lobby&since=30", vec![31]),
        ("room=den", vec![1]),
        ("room=nobody-was-here", vec![]),
    ] {
        let list = server.json(&format!("/api/messages?{query}"));
        assert_eq!(ids(&list), expect, "{query}");
    }
    assert_eq!(server.json("/api/messages?limit=1000000000")["limit"], 1000, "a bound is told");
    for (query, part) in [
        ("since=-1", "since is \"-1\": want a whole number"),
        ("since=", "since is \"\""),
        ("since=1.5", "since is \"1.5\""),
        ("since=+1", "since is"),
        ("since=9223372036854775808", "since is"),
        ("before=x", "before is \"x\""),
        ("limit=0", "limit is 0: want 1-1000"),
        ("limit=ten", "limit is \"ten\""),
        ("room=A", "room has the character 'A'"),
        ("since=1&since=2", "given twice"),
        ("username=System", "the server's own"),
        ("username=", "username is empty"),
    ] {
        refused(&server.get(&format!("/api/messages?{query}")), 400, part);
    }
    // Nobody was made a room by asking.
    let rooms = json!([{"room": "den", "online": 1, "messages": 1}, {"room": "lobby", "online": 1, "messages": 31}]);
    assert_eq!(server.json("/api/rooms")["rooms"][1], rooms[1]);
}

#[test]
fn a_list_of_50_000_messages_is_streamed_whole_and_in_order() {
    const SENDERS: u64 = 5;
    const EACH: u64 = 10_000;
    let server = Server::with(&["--quiet"]);
    thread::scope(|scope| {
        for s in 0..SENDERS {
            let server = &server;
            scope.spawn(move || {
                let mut client = Client::join(server, &format!("s{s}"));
                // What the others say is taken and thrown away.
                let mut stream = client.stream().try_clone().expect("a socket can be cloned");
                let sink = thread::spawn(move || {
                    let mut bytes = vec![0; 256 * 1024];
                    while stream.read(&mut bytes).is_ok_and(|count| count > 0) {}
                });
                client.say_all((0..EACH).map(|n| format!("s{s} {n}")));
                server.has_at_least("lobby", SENDERS * EACH);
                drop(client.stream().shutdown(Shutdown::Both));
                sink.join().expect("it reads to the end");
            });
        }
    });
    let check = |list: &Value| {
        assert!(ids(list).into_iter().eq(1..=SENDERS * EACH));
        let mut next = [0; SENDERS as usize];
        for text in texts(list) {
            let (sender, n) = text[1..].split_once(' ').expect("it was said so");
            let next = &mut next[sender.parse::<usize>().expect("a number")];
            assert_eq!(n.parse(), Ok(*next), "{text}");
            *next += 1;
        }
        assert_eq!(next, [EACH; SENDERS as usize]);
    };
    let response = server.get("/api/messages");
    assert!(response.is_chunked);
    check(&response.json());
    let mut http = Http::to(&server);
    let old = http.send("GET /api/messages HTTP/1.0\r\n\r\n").response();
    assert!(!old.is_chunked && old.header("content-length").is_none());
    assert_eq!(old.body, response.body);
    // HEAD says about the length what GET says: nothing.
    let mut http = Http::to(&server);
    let head = http.ask("HEAD", "/api/messages").head_response();
    assert_eq!(head.header("content-length"), None, "{head:?}");
    assert_eq!(http.get("/healthz").status, 200);
    // What a user has not read is streamed as well, and does not hold what the user said.
    let unread = server.json("/api/messages?username=S0");
    assert_eq!((unread["unread_count"].as_u64(), ids(&unread).len() as u64), (Some(40_000), 40_000));
    // A reader that goes away in the middle harms nobody.
    let mut http = Http::to(&server);
    http.ask("GET", "/api/messages");
    drop(http);
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn a_search_finds_words_of_any_script_newest_first_and_takes_any_text() {
    let server = Server::start();
    for text in
        ["The deploy is at noon", "Grüße aus Köln", "DEPLOY again, e-mail me", "今天天气很好", "привет мир", "👍🏽 ok"]
    {
        let body = json!({"message": text}).to_string();
        assert_eq!(server.post("/api/messages?username=Ann", &body).status, 201);
    }
    server.post("/api/messages?username=Ann&room=den", "{\"message\":\"deploy the den\"}");
    let search = |query: &str| server.json(&format!("/api/search?q={}", encoded(query)));
    for (query, expect) in [
        ("deploy", vec![3, 1]),
        ("Deploy NOON", vec![1]),
        ("noon deploy", vec![1]),
        ("grusse", vec![]),
        ("köln", vec![2]),
        ("koln", vec![2]),
        ("天气", vec![4]),
        ("мир", vec![5]),
        ("e-mail", vec![3]),
        ("dep", vec![3, 1]),
        ("nothing", vec![]),
        ("", vec![]),
        ("   ", vec![]),
        ("!?.,;:", vec![]),
        ("\"", vec![]),
        ("* OR NOT AND (", vec![]),
        ("text:deploy NEAR(a b)", vec![]),
        ("'; DROP TABLE posts; --", vec![]),
        ("\u{0}", vec![]),
    ] {
        assert_eq!(ids(&search(query)), expect, "{query:?}");
    }
    let one = server.json("/api/search?q=deploy&limit=1");
    assert_eq!((ids(&one), &one["limit"]), (vec![3], &json!(1)));
    assert_eq!(ids(&server.json("/api/search?q=deploy&room=den")), [1]);
    assert_eq!(server.json("/api/search?q=deploy&limit=1000000000")["limit"], 200);
    refused(&server.get("/api/search"), 400, "q is missing");
    refused(&server.get("/api/search?q=a&limit=0"), 400, "limit is 0");
    refused(&server.get("/api/search?q=a&room=B"), 400, "room has");
    refused(
        &server.get(&format!("/api/search?q={}", "x".repeat(600))),
        400,
        "q is 600 characters long, the limit is 256",
    );
    let status = server.get(&format!("/api/search?q={}", "x".repeat(10_000))).status;
    assert!(status == 414 || status == 431 || status == 400, "{status}");
}

#[test]
fn a_program_posts_without_a_socket_and_everyone_in_the_room_hears_it() {
    let server = Server::start();
    let mut bob = Client::join(&server, "Bob");
    let mut http = Http::to(&server);
    let first = http.post("/api/messages?username=cron", "{\"message\":\"backup done\",\"client_id\":\"k\"}");
    assert_eq!((first.status, &first.json()["id"]), (201, &json!(1)));
    assert_eq!(bob.hears("backup done"), 1);
    let again = http.post("/api/messages?username=Cron", "{\"message\":\"backup done\",\"client_id\":\"k\"}");
    assert_eq!((again.status, again.json()), (200, first.json()));
    assert_eq!(http.post("/api/messages?username=cron&room=den", "{\"message\":\"den\"}").json()["id"], 1);

    let long = json!({"message": "x".repeat(16 * 1024 + 1)}).to_string();
    for (target, body, status, part) in [
        ("/api/messages", "{\"message\":\"a\"}", 400, "username is missing"),
        ("/api/messages?username=%00", "{\"message\":\"a\"}", 400, "control character"),
        ("/api/messages?username=a&room=%20", "{\"message\":\"a\"}", 400, "room has"),
        ("/api/messages?username=a", "", 400, "body is not"),
        ("/api/messages?username=a", "hello", 400, "body is not"),
        ("/api/messages?username=a", "[]", 400, "body is not"),
        ("/api/messages?username=a", "{\"message\":7}", 400, "body is not"),
        ("/api/messages?username=a", "{\"text\":\"a\"}", 400, "body is not"),
        ("/api/messages?username=a", "{\"message\":\"a\",\"client_id\":\"\"}", 400, "client_id is 0 bytes"),
        ("/api/messages?username=a", "{\"message\":\" \\n\"}", 400, "message is blank"),
        ("/api/messages?username=a", &long, 413, "message is 16385 bytes long, the limit is 16384"),
        ("/api/messages?username=bob", "{\"message\":\"a\"}", 409, "in use in room"),
    ] {
        refused(&http.post(target, body), status, part);
    }
    // Its own session may post under the name of somebody who is there.
    let ann = Client::join_v2(&server, "Ann", "");
    bob.sees("Ann joined the chat", 2);
    let token = ann.session["session"].as_str().expect("a text");
    let own = http.post(&format!("/api/messages?username=Ann&session={token}"), "{\"message\":\"by hand\"}");
    assert_eq!(own.status, 201);
    assert_eq!(bob.hears("by hand"), 2);
    assert_eq!(texts(&server.json("/api/messages")), ["backup done", "by hand"]);
}

#[test]
fn rooms_and_users_say_who_is_where() {
    let server = Server::start();
    assert_eq!(server.json("/api/rooms"), json!({"rooms": []}));
    assert_eq!(server.json("/api/users"), json!({"room": "lobby", "count": 0, "users": []}));
    let _ann = Client::join(&server, "Ann");
    let mut bob = Client::join_with(&server, "Bob", "&room=den");
    let _cat = Client::join_v2(&server, "Cat", "&room=den");
    bob.say("hi");
    server.has_messages("den", 1);
    let rooms = json!([{"room": "den", "online": 2, "messages": 1}, {"room": "lobby", "online": 1, "messages": 0}]);
    assert_eq!(server.json("/api/rooms"), json!({"rooms": rooms}));
    assert_eq!(server.json("/api/users?room=den"), json!({"room": "den", "count": 2, "users": ["Bob", "Cat"]}));
    refused(&server.get("/api/users?room=D"), 400, "room has");
}

#[test]
fn with_a_token_nothing_but_the_page_and_its_health_answers_without_it() {
    let server = Server::with(&["--token", "s3cret&more"]);
    let right = "token=s3cret%26more";
    for path in ["/", "/healthz"] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    let paths = ["/readyz", "/api/messages", "/api/search?q=a", "/api/rooms", "/api/users", "/ws?username=a"];
    for path in paths {
        let response = server.get(path);
        refused(&response, 401, "wants its token");
        assert!(response.header("www-authenticate").is_some_and(|value| value.starts_with("Bearer")));
        let separator = if path.contains('?') { '&' } else { '?' };
        for wrong in ["token=", "token=s3cret", "token=s3cret%26moreX"] {
            assert_eq!(server.get(&format!("{path}{separator}{wrong}")).status, 401, "{path} {wrong}");
        }
        let expect = if path.starts_with("/ws") { 426 } else { 200 };
        assert_eq!(server.get(&format!("{path}{separator}{right}")).status, expect, "{path}");
        for (value, status) in [
            ("Bearer s3cret&more", expect),
            ("bearer  s3cret&more", expect),
            ("Bearer x", 401),
            ("Bearer", 401),
            ("Basic s3cret&more", 401),
        ] {
            let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {value}\r\n\r\n");
            assert_eq!(Http::to(&server).send(head).response().status, status, "{path} {value}");
        }
    }
    for path in ["/api/messages?username=a", "/api/summarize"] {
        assert_eq!(server.post(path, "{\"message\":\"a\"}").status, 401, "{path}");
    }
    assert!(matches!(Client::connect(&server, "username=a"), Err((401, _))));
    let mut ann = Client::join_with(&server, "Ann", &format!("&{right}"));
    let headers = [("authorization", "Bearer s3cret&more")];
    let mut bob = Client::connect_with(&server, "username=Bob", &headers).expect("is let in");
    ann.sees("Bob joined the chat", 2);
    bob.say("hi");
    ann.hears("hi");
    assert_eq!(server.json(&format!("/api/messages?{right}"))["total_count"], 1);
}

#[test]
fn another_pages_origin_is_refused_unless_the_operator_named_it() {
    let server = Server::with(&["--allow-origin", "https://chat.example.org,http://localhost:3000"]);
    let own = format!("http://{}", server.address);
    for (origin, is_let_in) in [
        (own.as_str(), true),
        ("https://chat.example.org", true),
        ("http://localhost:3000", true),
        ("https://evil.example", false),
        ("http://chat.example.org", false),
        ("https://chat.example.org.evil.example", false),
        ("null", false),
        ("", false),
    ] {
        let joined = Client::connect_with(&server, "username=Ann", &[("origin", origin)]);
        let status = joined.as_ref().map_or_else(|(status, _)| *status, |_| 101);
        assert_eq!(status, if is_let_in { 101 } else { 403 }, "{origin:?}");
        if let Ok(client) = joined {
            client.leave();
        }
        let get = format!("GET /api/messages HTTP/1.1\r\nHost: {}\r\nOrigin: {origin}\r\n\r\n", server.address);
        let response = Http::to(&server).send(get).response();
        assert_eq!(response.status, if is_let_in { 200 } else { 403 }, "{origin:?}");
        let is_shared = response.header("access-control-allow-origin") == Some(origin);
        assert_eq!(is_shared, is_let_in && origin != own, "{origin:?}");
    }
    // Programs send no origin.
    Client::join(&server, "Bob").leave();
}

#[test]
fn from_this_machine_a_name_that_may_be_anybodys_is_refused_unless_somebody_answers_for_it() {
    let status = |server: &Server, target: &str, host: &str| {
        let get = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let response = Http::to(server).send(get).response();
        if response.status == 403 {
            assert!(response.detail().starts_with(&format!("host {host:?} is not known to be this machine")));
        }
        response.status
    };
    let list = "/api/messages";
    for (args, host, expect) in [
        (&[][..], "evil.site:8000", 403),
        (&[], "localhost:8000", 200),
        (&[], "catchup", 200),
        (&["--trusted-proxy", "127.0.0.1"], "chat.acme.site", 200),
        (&["--trusted-proxy", "10.0.0.0/8"], "chat.acme.site", 403),
        (&["--allow-origin", "https://chat.acme.site"], "Chat.acme.site", 200),
        (&["--allow-origin", "https://chat.acme.site"], "chat.acme.site:8000", 403),
        (&["--allow-origin", "*"], "chat.acme.site", 200),
    ] {
        assert_eq!(status(&Server::with(args), list, host), expect, "{args:?} {host}");
    }
    let server = Server::start();
    for target in ["/", "/healthz"] {
        assert_eq!(status(&server, target, "evil.site"), 200, "{target}");
    }
    // The target's own authority is what counts.
    assert_eq!(status(&server, "http://localhost/api/messages", "evil.site"), 200);
    let old = Http::to(&server).send("GET /api/messages HTTP/1.0\r\n\r\n").response();
    assert_eq!(old.status, 200, "no browser leaves Host out");
    // Nobody's page knows the token, and whoever comes from elsewhere may know this machine by any name.
    assert_eq!(status(&Server::with(&["--token", "s3cret"]), "/api/messages?token=s3cret", "chat.acme.site"), 200);
    let server = Server::with(&["--trusted-proxy", "127.0.0.1"]);
    // Somebody on this machine, too, if a believed proxy stands between.
    for from in ["192.0.2.7", "127.0.0.9"] {
        let header = format!("PROXY TCP4 {from} 192.0.2.1 1 2\r\n");
        let get = "GET /api/rooms HTTP/1.1\r\nHost: chat.acme.site\r\n\r\n";
        assert_eq!(Http::to(&server).send(header + get).response().status, 200, "{from}");
    }
}

#[test]
fn an_upgrade_must_be_one() {
    let server = Server::start();
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let version = "Sec-WebSocket-Version: 13\r\n";
    let upgrade = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n";
    for (status, lines) in [
        (426, String::new()),
        (426, format!("{key}{version}")),
        (426, format!("Upgrade: websocket\r\n{key}{version}")),
        (426, format!("Connection: Upgrade\r\nUpgrade: h2c\r\n{key}{version}")),
        (426, format!("{upgrade}{key}Sec-WebSocket-Version: 8\r\n")),
        (426, format!("{upgrade}{key}")),
        (400, format!("{upgrade}{version}")),
        (400, format!("{upgrade}{version}Sec-WebSocket-Key: short\r\n")),
        (101, format!("{upgrade}{key}{version}")),
    ] {
        let mut http = Http::to(&server);
        let head = format!("GET /ws?username=a HTTP/1.1\r\nHost: x\r\n{lines}\r\n");
        let response = http.send(head).response();
        assert_eq!(response.status, status, "{lines:?}");
        match status {
            101 => assert_eq!(response.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")),
            426 => assert_eq!(response.header("sec-websocket-version"), Some("13")),
            _ => assert!(response.detail().contains("Sec-WebSocket-Key")),
        }
    }
}

#[test]
fn frames_in_the_same_packet_as_the_upgrade_are_not_lost() {
    let server = Server::start();
    let mut bob = Client::join(&server, "Bob");
    for (name, last_bytes) in [("Ann", 0), ("Cat", 3)] {
        let head = format!(
            "GET /ws?username={name} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        let bytes = [head.as_bytes(), &frame(0x81, b"early"), &frame(0x81, b"bird")].concat();
        let (now, later) = bytes.split_at(bytes.len() - last_bytes);
        let mut http = Http::to(&server);
        assert_eq!(http.send(now).response().status, 101);
        http.send(later);
        let system = bob.next_is("system");
        assert_eq!(system["message"], format!("{name} joined the chat"));
        bob.next_is("user_count");
        bob.hears("early");
        bob.hears("bird");
        // The 101 comes first, then the welcome.
        let (mut stream, mut rest) = http.into_rest();
        while rest.len() < 10 {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("a welcome follows");
            rest.push(byte[0]);
        }
        assert_eq!((rest[0], &rest[2..10]), (0x81, &b"{\"type\":"[..]));
        drop(stream);
        bob.sees(&format!("{name} left the chat"), 1);
    }
}

#[test]
fn a_client_that_has_closed_its_half_still_gets_its_answers() {
    let server = Server::start();
    server.post("/api/messages?username=Ann", "{\"message\":\"hi\"}");
    for target in ["/healthz", "/api/messages", "/api/search?q=hi", "/api/messages?username=Bob", "/"] {
        let mut http = Http::to(&server);
        let response = http.ask("GET", target).end().response();
        assert_eq!(response.status, 200, "{target}");
        assert!(http.is_over(), "{target}");
    }
    let mut http = Http::to(&server);
    http.ask("GET", "/api/messages").ask("GET", "/healthz").ask("GET", "/api/messages").ask("GET", "/healthz").end();
    for n in 0..4 {
        assert_eq!(http.response().status, 200, "answer {n} of 4");
    }
    assert!(http.is_over());
}

#[test]
fn who_sends_far_too_much_is_told_so_and_not_hung_up_on() {
    let server = Server::start();
    let body = vec![b'x'; 20 * 1024 * 1024];
    let mut http = Http::to(&server);
    http.send(format!("POST /api/messages?username=a HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len()));
    // Answered at once; most clients look at that only when they have sent all.
    http.send(body);
    refused(&http.response(), 413, "the limit is 131072");
    assert!(http.is_over());
}

#[test]
fn a_slow_head_is_answered_with_408_and_a_silent_connection_harms_nobody() {
    let server = Server::start();
    let _silent: Vec<TcpStream> =
        (0..50).map(|_| TcpStream::connect(server.address).expect("the server listens")).collect();
    let mut http = Http::to(&server);
    let begun = Instant::now();
    http.send("GET /api/messages HTTP/1.1\r\nHost: x\r\n");
    let (mut stream, _) = http.into_rest();
    stream.set_read_timeout(Some(Duration::from_millis(200))).expect("a socket takes a timeout");
    let mut answer = Vec::new();
    // A byte now and then earns no time.
    while begun.elapsed() < Duration::from_secs(25) {
        let mut bytes = [0; 1024];
        match stream.read(&mut bytes) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(&bytes[..count]),
            Err(_) if answer.is_empty() => drop(stream.write_all(b"X")),
            Err(_) => {}
        }
        assert_eq!(server.get("/healthz").status, 200);
    }
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer:?} after {:?}", begun.elapsed());
    assert!(begun.elapsed() > Duration::from_secs(9), "{:?}", begun.elapsed());
}
