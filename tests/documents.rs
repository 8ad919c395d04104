//! `/openapi.json` and `/asyncapi.json` say what the server does: its routes, its answers, its frames, its close codes.

#[path = "support/groq.rs"]
mod groq;
#[path = "support/summary.rs"]
mod summary;
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use catchup::http::ENDPOINTS;
use catchup::message::CloseReason;
use groq::{Groq, Move};
use summary::{say_release_talk, told};
use support::schema::{faults, resolved};
use support::{Client, Http, Response, Server, Setup, Value, json};

fn document(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    serde_json::from_str(&fs::read_to_string(path).expect("docs has it")).unwrap_or_else(|error| panic!("{error}"))
}

/// All operations: path, method in lower case, and what is said about it.
fn operations(openapi: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = openapi["paths"].as_object().expect("paths");
    paths.iter().flat_map(|(path, item)| {
        item.as_object().expect("an item").iter().map(|(method, operation)| (&**path, &**method, operation))
    })
}

#[test]
fn the_paths_of_the_document_are_the_routes_of_the_program() {
    let openapi = document("openapi.json");
    let described: BTreeSet<(&str, &str)> = operations(&openapi).map(|(path, method, _)| (path, method)).collect();
    let served = ENDPOINTS.iter().filter(|endpoint| endpoint.path != "*").flat_map(|endpoint| {
        let get = endpoint.get.map(|_| (endpoint.path, "get"));
        get.into_iter().chain(endpoint.post.map(|_| (endpoint.path, "post")))
    });
    assert_eq!(described, served.collect());
    for (_, _, operation) in operations(&openapi) {
        assert!(operation["operationId"].is_string() && operation["summary"].is_string(), "{operation}");
    }
}

#[test]
fn both_are_served_as_they_stand_in_docs_and_are_not_sent_twice() {
    let server = Server::start();
    let mut http = Http::to(&server);
    for name in ["openapi.json", "asyncapi.json"] {
        let get = http.get(&format!("/{name}"));
        assert_eq!((get.status, get.header("content-type")), (200, Some("application/json")));
        assert_eq!(get.json(), document(name));
        assert_eq!(get.json()["info"]["version"], env!("CARGO_PKG_VERSION"));
        assert!(!get.text().contains('\n'), "it is compact");
        let etag = get.header("etag").expect("it has one");
        let again = format!("GET /{name} HTTP/1.1\r\nHost: x\r\nIf-None-Match: {etag}\r\n\r\n");
        assert_eq!(http.send(again).response().status, 304);
        let zipped = http.send(format!("GET /{name} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n")).response();
        assert_eq!((zipped.header("content-encoding"), &zipped.body[..2]), (Some("gzip"), &[0x1f, 0x8b][..]));
        assert!(zipped.body.len() < get.body.len() / 2);
    }
}

/// Asks, and holds every answer against the document.
struct Asker<'a> {
    openapi: Value,
    server: &'a Server,
    seen: BTreeSet<(String, String, u16)>,
}

impl Asker<'_> {
    /// `head`: further header lines.
    fn ask(&mut self, method: &str, target: &str, head: &str, body: &str) -> Response {
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let request = format!("{method} {target} HTTP/1.1\r\nHost: x\r\n{length}{head}\r\n{body}");
        let path = target.split('?').next().expect("one at least").to_owned();
        self.raw(&path, method, request)
    }

    /// With the token; the answer has this status.
    fn good(&mut self, method: &str, target: &str, body: &str, status: u16) -> Response {
        let response = self.ask(method, target, BEARER, body);
        assert_eq!(response.status, status, "{method} {target}: {}", response.text());
        response
    }

    fn raw(&mut self, path: &str, method: &str, request: String) -> Response {
        let response = Http::to(self.server).send(&request).response();
        let methods: Vec<String> = match method {
            "GET" | "POST" => vec![method.to_lowercase()],
            // What is not for a path is told in each of its operations.
            _ => self.openapi["paths"][path].as_object().expect("a path").keys().cloned().collect(),
        };
        for method in methods {
            let told = self.openapi["paths"][path][&method]["responses"].get(response.status.to_string());
            let told =
                told.unwrap_or_else(|| panic!("{request:?}: {} is not described: {response:?}", response.status));
            check(&self.openapi, told, &response, &request);
            self.seen.insert((path.to_owned(), method, response.status));
        }
        response
    }
}

/// Holds an answer against what the document says about its status.
fn check(openapi: &Value, told: &Value, response: &Response, request: &str) {
    let told = resolved(openapi, told);
    let headers = told.get("headers").and_then(Value::as_object);
    for (name, header) in headers.into_iter().flatten() {
        let header = resolved(openapi, header);
        let Some(value) = response.header(&name.to_lowercase()) else {
            assert_ne!(header["required"], true, "{request:?}: {name} is missing: {response:?}");
            continue;
        };
        let value = value.parse::<u64>().map_or_else(|_| Value::from(value), Value::from);
        let value =
            if header["schema"]["const"].is_string() { json!(response.header(&name.to_lowercase())) } else { value };
        assert!(faults(openapi, &header["schema"], &value).is_empty(), "{request:?}: {name} is {value}");
    }
    // What every message may have, and the document need not say for each.
    const COMMON: [&str; 5] = ["content-length", "content-type", "connection", "transfer-encoding", "date"];
    for (name, value) in response.headers.iter().filter(|(name, _)| !COMMON.contains(&&**name)) {
        let is_told = headers.is_some_and(|headers| headers.keys().any(|known| known.eq_ignore_ascii_case(name)));
        assert!(is_told, "{request:?}: header {name}: {value} is not described");
    }
    let Some(kinds) = told.get("content").and_then(Value::as_object) else {
        assert!(response.body.is_empty(), "{request:?}: a body is not described: {response:?}");
        return;
    };
    let sent = response.header("content-type").and_then(|sent| sent.split(';').next()).unwrap_or_default();
    let content = kinds.get(sent).unwrap_or_else(|| panic!("{request:?}: {sent:?} is not described"));
    match sent {
        "application/json" if content["schema"] != json!({"type": "object"}) => {
            let faults = faults(openapi, &content["schema"], &response.json());
            assert!(faults.is_empty(), "{request:?}: {faults:?}");
        }
        "text/event-stream" => {
            for (name, data) in events(response) {
                let schema = content["x-events"].get(&name);
                let schema = schema.unwrap_or_else(|| panic!("{request:?}: event {name:?} is not described"));
                let faults = faults(openapi, schema, &data);
                assert!(faults.is_empty(), "{request:?}: {name}: {faults:?}");
            }
        }
        _ => {}
    }
}

/// The events of a stream: name and data. Each has one line of both, as the document says.
fn events(response: &Response) -> Vec<(String, Value)> {
    let text = response.text();
    assert!(text.ends_with("\n\n"), "the last event has its end: {text:?}");
    let event = |block: &str| {
        let lines: Vec<&str> = block.split('\n').collect();
        let [name, data] = lines[..] else { panic!("two lines are described: {block:?}") };
        let (name, data) = (name.strip_prefix("event: "), data.strip_prefix("data: "));
        let data = serde_json::from_str(data.expect("data")).unwrap_or_else(|error| panic!("{error}: {block:?}"));
        (name.expect("a name").to_owned(), data)
    };
    text.split_terminator("\n\n").map(event).collect()
}

const BEARER: &str = "Authorization: Bearer s3cret\r\n";
const UPGRADE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[test]
fn every_answer_is_as_it_is_described_and_every_status_that_is_described_comes() {
    let server = Server::with(&["--token", "s3cret", "--allow-origin", "https://good.example"]);
    let mut asker = Asker { openapi: document("openapi.json"), server: &server, seen: BTreeSet::new() };
    let openapi = asker.openapi.clone();
    let mut expected = BTreeSet::new();
    for (path, method, operation) in operations(&openapi) {
        let statuses = operation["responses"].as_object().expect("responses").keys();
        expected.extend(statuses.map(|status| (path.to_owned(), method.to_owned(), status.parse().expect("digits"))));
        // What has to do with no endpoint. What is refused before its path is known is told in each all the same.
        let method = &method.to_uppercase();
        let start = format!("{method} {path}");
        asker.ask(method, &format!("{path}?room=%zz"), "", "");
        asker.ask("PATCH", &format!("{path}?token=s3cret"), "", "");
        asker.ask(method, path, "Content-Length: 999999\r\n", "");
        asker.ask(method, path, "Expect: tea\r\n", "");
        asker.ask(method, path, &format!("Long: {}\r\n", "x".repeat(9000)), "");
        asker.ask(method, path, "Transfer-Encoding: gzip, chunked\r\n", "");
        asker.ask(method, &format!("{path}?{}", "x".repeat(5000)), "", "");
        asker.raw(path, method, format!("{start} HTTP/2.0\r\nHost: x\r\n\r\n"));
        let is_open = operation.get("security").is_some();
        assert_eq!(asker.ask(method, path, "", "").status == 401, !is_open, "{start}");
        if !is_open {
            asker.ask(method, &format!("{path}?token=wrong"), "", "");
            let stranger = format!("{BEARER}Origin: https://bad.example\r\n");
            assert_eq!(asker.ask(method, path, &stranger, "").status, 403, "{start}");
        }
    }
    for target in ["/healthz", "/readyz", "/metrics", "/api/rooms", "/api/users", "/api/messages", "/api/search?q=x"] {
        for origin in ["", "Origin: https://good.example\r\n"] {
            assert_eq!(asker.ask("GET", target, &format!("{BEARER}{origin}"), "").status, 200, "{target}");
        }
    }
    let client = Client::connect(&server, "username=Ann&token=s3cret").expect("she may");
    asker.good("POST", "/api/messages?username=cron", "{\"message\":\"Bob, please restart the server.\"}", 201);
    asker.good(
        "POST",
        "/api/messages?username=cron",
        "{\"message\":\"We decided to use SQLite.\",\"client_id\":null}",
        201,
    );
    let once = "{\"message\":\"I will send the report tomorrow.\",\"client_id\":\"c1\"}";
    asker.good("POST", "/api/messages?username=cron", once, 201);
    asker.good("POST", "/api/messages?username=cron", once, 200);
    asker.good("POST", "/api/messages?username=Ann", once, 409);
    asker.good("POST", "/api/messages?username=cron", &format!("{{\"message\":\"{}\"}}", "x".repeat(20_000)), 413);
    asker.good("POST", "/api/messages?username=cron", "{\"message\":\"x\",\"more\":1}", 400);
    assert_eq!(
        asker.good("GET", "/api/messages?limit=2", "", 200).json()["messages"].as_array().map(Vec::len),
        Some(2)
    );
    assert!(asker.good("GET", "/api/messages?username=Bob&limit=1", "", 200).json()["unread_count"].as_u64() > Some(2));
    assert!(asker.good("GET", "/api/search?q=report", "", 200).json()["messages"][0]["client_id"] == "c1");
    asker.good("GET", "/api/users?room=lobby", "", 200);
    for query in ["", "?username=Ann", "?username=Ann", "?engine=embedded&last=2", "?since=1"] {
        asker.good("POST", &format!("/api/summarize{query}"), "", 200);
    }
    for target in ["/", "/openapi.json", "/asyncapi.json"] {
        let etag = asker.good("GET", target, "", 200).header("etag").expect("it has one").to_owned();
        assert_eq!(asker.ask("GET", target, &format!("{BEARER}If-None-Match: {etag}\r\n"), "").status, 304);
        asker.ask("GET", target, &format!("{BEARER}Accept-Encoding: gzip\r\n"), "");
    }
    for (target, head, status) in [
        ("/ws?username=Bob&v=2&since=0&epoch=x&session=x", UPGRADE, 101),
        ("/ws?username=Ann", UPGRADE, 101),
        ("/ws?username=Bob", "", 426),
        ("/ws", UPGRADE, 400),
    ] {
        assert_eq!(asker.ask("GET", target, &format!("{head}{BEARER}"), "").status, status, "{target}");
    }
    drop(client);
    // A request that is slow, a server that stops or cannot write, and --metrics-addr are other tests' business.
    let left: Vec<_> =
        expected.difference(&asker.seen).filter(|(_, _, status)| ![404, 408, 503].contains(status)).collect();
    assert!(left.is_empty(), "described, and never seen: {left:?}");
}

#[test]
fn every_event_of_a_summary_is_as_it_is_described_and_every_kind_that_is_described_comes() {
    let openapi = document("openapi.json");
    let told = &openapi["paths"]["/api/summarize"]["post"]["responses"]["200"];
    let request = "POST /api/summarize HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nContent-Length: 0\r\n\r\n";
    let mut seen = BTreeSet::new();
    let mut look = |response: Response, expect: &[&str]| {
        assert_eq!((response.status, response.header("content-type")), (200, Some("text/event-stream")));
        check(&openapi, told, &response, request);
        let names: Vec<String> = events(&response).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, expect);
        seen.extend(names);
    };
    let groq = Groq::start();
    let setup = Setup::new().env("LLM_BASE_URL", &groq.url()).env("NO_PROXY", "*").env("LLM_TIMEOUT_MS", "60000");
    let server = setup.start();
    let mut http = Http::to(&server);
    look(http.send(request).response(), &["summary"]);
    say_release_talk(&server, "lobby");
    look(http.send(request).response(), &["progress", "summary"]);
    // What was begun as a stream ends as one.
    groq.always(Move::Hold);
    say_release_talk(&server, "lobby");
    http.send(request);
    groq.wait_for(2);
    server.signal("TERM");
    look(http.response(), &["progress", "error"]);
    let described = told["content"]["text/event-stream"]["x-events"].as_object().expect("events");
    assert_eq!(seen, described.keys().cloned().collect(), "described, and never seen");
}

#[test]
fn what_a_summary_says_about_itself_is_among_the_examples() {
    let openapi = document("openapi.json");
    let examples = &openapi["components"]["schemas"]["Summary"]["properties"]["notice"]["examples"];
    let examples: Vec<&str> =
        examples.as_array().expect("examples").iter().map(|text| text.as_str().expect("a text")).collect();
    let notice = |setup: Setup| {
        let server = setup.start();
        say_release_talk(&server, "lobby");
        told(&server, "")["notice"].as_str().expect("a notice").to_owned()
    };
    let groq = Groq::start();
    let with_service = || Setup::new().env("LLM_BASE_URL", &groq.url()).env("NO_PROXY", "*");
    for setup in
        [Setup::new(), with_service().args(&["--no-llm"]), with_service().args(&["--llm-budget-per-day", "100"])]
    {
        let told = notice(setup);
        assert!(examples.contains(&&*told), "{told:?} is not in {examples:#?}");
    }
}

/// The frames that a client was sent, until `is_last`.
fn frames(client: &mut Client, is_last: impl Fn(&Value) -> bool) -> Vec<Value> {
    let mut frames = Vec::new();
    while !frames.last().is_some_and(&is_last) {
        frames.push(client.next());
    }
    frames
}

#[test]
fn every_frame_is_as_it_is_described_and_every_kind_that_is_described_comes() {
    let asyncapi = document("asyncapi.json");
    let messages = asyncapi["components"]["messages"].as_object().expect("messages");
    let payload = |name: &str| &messages[name]["payload"];
    let server = Server::with(&["--quiet"]);
    let mut ann = Client::connect(&server, "username=Ann&v=2").expect("she may");
    let mut heard = frames(&mut ann, |frame| frame["type"] == "user_count");
    let mut bob = Client::connect(&server, "username=Bob").expect("he may");
    heard.extend(frames(&mut bob, |frame| frame["type"] == "user_count"));
    let said = [
        ("client_say", json!({"type": "message", "message": "one", "client_id": "c1"})),
        ("client_type", json!({"type": "typing"})),
        ("client_read", json!({"type": "read", "id": 1})),
        ("client_say", json!({"message": "two"})),
    ];
    for (name, frame) in &said {
        assert!(faults(&asyncapi, payload(name), frame).is_empty(), "{frame}");
        bob.send(&frame.to_string());
    }
    bob.send("three");
    heard.extend(frames(&mut ann, |frame| frame["message"] == "three"));
    for wrong in [
        json!({"type": "dance"}),
        json!({"type": "message"}),
        json!({"type": "message", "message": " ", "client_id": "c2"}),
        json!({"type": "message", "message": "x", "client_id": ""}),
        json!({"type": "message", "message": "x".repeat(20_000)}),
        json!({"type": "read"}),
    ] {
        bob.send(&wrong.to_string());
        heard.extend(frames(&mut bob, |frame| frame["type"] == "error"));
    }
    heard.push(Client::connect(&server, "username=ann").expect("told behind the upgrade").next());
    bob.leave();
    heard.extend(frames(&mut ann, |frame| frame["message"] == "Bob left the chat"));
    let mut seen = BTreeSet::new();
    for frame in &heard {
        let name = format!("server_{}", frame["type"].as_str().expect("each has a type"));
        let payload = &messages.get(&name).unwrap_or_else(|| panic!("{frame} is not described"))["payload"];
        let faults = faults(&asyncapi, payload, frame);
        assert!(faults.is_empty(), "{frame}: {faults:?}");
        seen.insert(name);
    }
    let described = messages.keys().filter(|name| name.starts_with("server_")).cloned().collect();
    assert_eq!(seen, described, "described, and never seen, or the other way round");
    // Each message stands in the channel, and in one of the operations.
    let listed = |list: &Value| -> BTreeSet<String> {
        let refs = list.as_array().expect("a list").iter();
        refs.map(|one| one["$ref"].as_str().expect("a reference").rsplit('/').next().expect("a name").to_owned())
            .collect()
    };
    let told = listed(&asyncapi["operations"]["tell"]["messages"]);
    let listened = listed(&asyncapi["operations"]["hear"]["messages"]);
    assert_eq!(told, seen);
    assert_eq!(told.union(&listened).collect::<Vec<_>>(), messages.keys().collect::<Vec<_>>());
    let channel = asyncapi["channels"]["chat"]["messages"].as_object().expect("messages");
    assert!(channel.keys().eq(messages.keys()));
}

#[test]
fn close_codes_and_error_codes_are_those_of_the_program() {
    let asyncapi = document("asyncapi.json");
    let reasons = [
        CloseReason::Gone,
        CloseReason::Goodbye,
        CloseReason::Finished,
        CloseReason::Idle,
        CloseReason::Protocol(1002),
        CloseReason::Protocol(1003),
        CloseReason::Protocol(1007),
        CloseReason::Protocol(1009),
        CloseReason::Slow,
        CloseReason::NoPong,
        CloseReason::NameTaken,
        CloseReason::SessionMismatch,
        CloseReason::Replaced,
        CloseReason::Restart,
    ];
    assert!(reasons.map(CloseReason::name) == CloseReason::NAMES, "every reason stands above");
    let codes: BTreeSet<String> = reasons.iter().map(|reason| reason.code().0.to_string()).collect();
    let described = asyncapi["channels"]["chat"]["x-close-codes"].as_object().expect("close codes");
    assert_eq!(described.keys().cloned().collect::<BTreeSet<_>>(), codes);

    let mut used = BTreeSet::new();
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let below = ["message", "chat"].into_iter().flat_map(|dir| fs::read_dir(src.join(dir)).expect("a directory"));
    let files = below.map(|entry| entry.expect("an entry").path());
    for file in files.chain([src.join("message.rs"), src.join("chat.rs")]) {
        let text = fs::read_to_string(file).expect("a source");
        for (at, call) in text.match_indices("Refusal::new(") {
            let rest = text[at + call.len()..].trim_start();
            used.extend(rest.strip_prefix('"').and_then(|rest| rest.split('"').next()).map(str::to_owned));
        }
    }
    let codes = &asyncapi["components"]["messages"]["server_error"]["payload"]["properties"]["code"]["enum"];
    let described: BTreeSet<String> =
        codes.as_array().expect("codes").iter().map(|code| code.as_str().expect("a text").to_owned()).collect();
    assert_eq!(described, used);
}
