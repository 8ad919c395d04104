//! What an operator's Prometheus reads: a format that holds to its rules, and counters that move by exactly what happened.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;

use support::client::frame;
use support::{Client, Http, Response, Server, Setup, eventually};

/// The samples of one scrape by name and labels: `catchup_closes_total{reason="gone"}`.
type Samples = BTreeMap<String, f64>;
/// Name, labels and value of one line.
type Sample<'a> = (&'a str, Vec<(String, String)>, f64);

/// Reads the text exposition format 0.0.4 without forgiving anything; panics with the line that breaks a rule.
fn parse(text: &str) -> Samples {
    assert!(text.ends_with('\n'), "the last line ends too");
    let (mut samples, mut families) = (Samples::new(), BTreeMap::new());
    let mut lines = text.lines().peekable();
    while let Some(help) = lines.next() {
        let words: Vec<&str> = help.splitn(4, ' ').collect();
        let ["#", "HELP", name, told] = words[..] else { panic!("want # HELP name text: {help:?}") };
        assert!(!told.trim().is_empty() && is_name(name), "{help:?}");
        let kind = lines.next().and_then(|line| line.strip_prefix(&format!("# TYPE {name} ")));
        let kind = kind.unwrap_or_else(|| panic!("no TYPE behind {help:?}"));
        assert!(families.insert(name, kind).is_none(), "{name} is there twice");
        let mut own = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            let (key, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line:?}"));
            let value: f64 = value.parse().unwrap_or_else(|error| panic!("{error}: {line:?}"));
            assert!(value >= 0.0, "{line:?}");
            let labels = labels(key);
            own.push((key.split('{').next().expect("one at least"), labels, value));
            assert!(samples.insert(key.to_owned(), value).is_none(), "{key} is there twice");
        }
        match kind {
            "counter" => assert!(name.ends_with("_total"), "{name}"),
            "gauge" => assert!(!name.ends_with("_total"), "{name}"),
            "histogram" => check_histogram(name, &own),
            _ => panic!("{name} is a {kind:?}"),
        }
        if kind != "histogram" {
            assert!(own.iter().all(|(known, _, _)| *known == name) && !own.is_empty(), "{name}: {own:?}");
        }
    }
    samples
}

/// Buckets ascend and are cumulative, the last is `+Inf` and equals `_count`; `_sum` and `_count` follow, once.
fn check_histogram(name: &str, own: &[Sample<'_>]) {
    let [buckets @ .., sum, count] = own else { panic!("{name} has no samples") };
    assert_eq!((sum.0, count.0), (&*format!("{name}_sum"), &*format!("{name}_count")));
    assert!(sum.1.is_empty() && count.1.is_empty());
    let mut last = (f64::NEG_INFINITY, 0.0);
    for (known, labels, value) in buckets {
        let [(label, bound)] = &labels[..] else { panic!("{name} has a bucket with {labels:?}") };
        assert_eq!((*known, &**label), (&*format!("{name}_bucket"), "le"));
        let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().expect("a number") };
        assert!(bound > last.0 && *value >= last.1, "{name}: {bound} {value} behind {last:?}");
        last = (bound, *value);
    }
    assert_eq!(last, (f64::INFINITY, count.2), "{name}: +Inf equals _count");
    assert!(buckets.len() > 2);
}

fn is_name(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(is_part)
}

fn labels(key: &str) -> Vec<(String, String)> {
    let Some((name, rest)) = key.split_once('{') else {
        assert!(is_name(key), "{key:?}");
        return Vec::new();
    };
    let list = rest.strip_suffix('}').unwrap_or_else(|| panic!("labels have no end: {key:?}"));
    assert!(is_name(name), "{key:?}");
    let pair = |pair: &str| {
        let (label, value) = pair.split_once('=').unwrap_or_else(|| panic!("no value: {key:?}"));
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).expect("values are quoted");
        assert!(is_name(label) && !value.contains(['"', '\\', '\n']), "{key:?}");
        (label.to_owned(), value.to_owned())
    };
    list.split(',').map(pair).collect()
}

fn scrape(http: &mut Http) -> Samples {
    samples_of(&http.get("/metrics"))
}

fn samples_of(response: &Response) -> Samples {
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(response.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    parse(&response.text())
}

/// What has changed from one scrape to the next, without what the clock decides.
fn moved(before: &Samples, after: &Samples) -> BTreeMap<String, f64> {
    assert!(before.keys().all(|key| after.contains_key(key)), "no series ever vanishes");
    let is_timed =
        |key: &str| ["_seconds_", "_write_frames_", "_commit_messages_b"].iter().any(|part| key.contains(part));
    let change = |(key, value): (&String, &f64)| (key.clone(), value - before.get(key).unwrap_or(&0.0));
    after.iter().map(change).filter(|(key, change)| *change != 0.0 && !is_timed(key)).collect()
}

fn check(before: &Samples, after: &Samples, expect: &[(&str, f64)]) {
    let mut changes = moved(before, after);
    changes.remove("catchup_sent_bytes_total");
    changes.remove("catchup_received_bytes_total");
    // A response for the scrape before.
    *changes.entry("catchup_http_responses_total{class=\"2xx\"}".into()).or_default() -= 1.0;
    let changes: BTreeSet<(String, String)> =
        changes.into_iter().filter(|(_, by)| *by != 0.0).map(|(key, by)| (key, by.to_string())).collect();
    let expect = expect.iter().map(|(key, by)| (format!("catchup_{key}"), by.to_string())).collect();
    assert_eq!(changes, expect);
}

#[test]
fn every_counter_moves_by_exactly_what_happened() {
    let server = Server::with(&["--quiet"]);
    let mut http = Http::to(&server);
    let fresh = scrape(&mut http);
    assert_eq!(fresh["catchup_connections{kind=\"http\"}"], 1.0);
    assert_eq!(fresh["catchup_build_info{version=\"0.1.0\"}"], 1.0);
    assert!(fresh["process_start_time_seconds"] > 1.7e9);

    // Four plain clients join: an upgrade each.
    let mut clients: Vec<Client> =
        ["Ann", "Bob", "Cleo", "Dan"].map(|name| Client::join_with(&server, name, "&room=den")).into();
    clients[..3].iter_mut().for_each(|client| client.sees_count(4));
    let joined = scrape(&mut http);
    let expect = [
        ("connections_accepted_total", 4.0),
        ("connections{kind=\"websocket\"}", 4.0),
        ("http_responses_total{class=\"1xx\"}", 4.0),
        ("people", 4.0),
        ("rooms", 1.0),
    ];
    check(&fresh, &joined, &expect);

    // Five messages go to three each.
    for n in 0..5 {
        clients[0].say(&format!("text {n}"));
    }
    for client in &mut clients[1..] {
        assert_eq!(client.hears_messages(5).len(), 5);
    }
    let said = scrape(&mut http);
    let expect = [
        ("commit_messages_sum", 5.0),
        ("deliveries_total{way=\"live\"}", 15.0),
        ("messages_total{outcome=\"stored\"}", 5.0),
    ];
    let commits = said["catchup_commit_messages_count"] - joined["catchup_commit_messages_count"];
    assert!((1.0..=5.0).contains(&commits), "{commits}");
    check(&joined, &said, &[&expect[..], &[("commit_messages_count", commits)]].concat());
    assert_eq!(said["catchup_delivery_seconds_count"], 5.0);
    assert_eq!(said["catchup_delivery_seconds_bucket{le=\"+Inf\"}"], 5.0);
    assert!(said["catchup_delivery_seconds_sum"] > 0.0 && said["catchup_turn_seconds_sum"] > 0.0);
    // At most one write for each member and message, and no frame that was not there.
    let frames = said["catchup_write_frames_sum"] - joined["catchup_write_frames_sum"];
    assert!((15.0..=20.0).contains(&frames), "{frames}");

    // A program's message goes to all four, its repeat to nobody.
    let body = "{\"message\":\"from cron\",\"client_id\":\"c1\"}";
    assert_eq!(http.post("/api/messages?username=cron&room=den", body).status, 201);
    assert_eq!(http.post("/api/messages?username=cron&room=den", body).status, 200);
    assert_eq!(http.get("/nowhere").status, 404);
    clients[0].hears("from cron");
    let posted = scrape(&mut http);
    let expect = [
        ("commit_messages_count", 2.0),
        ("commit_messages_sum", 2.0),
        ("deliveries_total{way=\"live\"}", 4.0),
        ("http_responses_total{class=\"2xx\"}", 2.0),
        ("http_responses_total{class=\"4xx\"}", 1.0),
        ("messages_total{outcome=\"repeated\"}", 1.0),
        ("messages_total{outcome=\"stored\"}", 1.0),
    ];
    check(&said, &posted, &expect);

    // Who comes with the first two gets the other four.
    let mut eve = Client::join_v2(&server, "Eve", "&room=den&since=2");
    assert_eq!(eve.hears_messages(4).len(), 4);
    clients[0].sees_count(5);
    let resumed = scrape(&mut http);
    let expect = [
        ("connections_accepted_total", 1.0),
        ("connections{kind=\"websocket\"}", 1.0),
        ("deliveries_total{way=\"backlog\"}", 4.0),
        ("http_responses_total{class=\"1xx\"}", 1.0),
        ("people", 1.0),
    ];
    check(&posted, &resumed, &expect);

    // Each end has its reason; who dropped is waited for, and is still a person.
    clients.pop().expect("Dan").leave();
    clients.pop().expect("Cleo").send_binary(b"no");
    let session = eve.session.clone();
    eve.vanish();
    eventually("two left", || (scrape(&mut http)["catchup_connections{kind=\"websocket\"}"] == 2.0).then_some(()));
    let left = scrape(&mut http);
    let changes = moved(&resumed, &left);
    for (key, by) in [
        ("closes_total{reason=\"goodbye\"}", 1.0),
        ("closes_total{reason=\"binary\"}", 1.0),
        ("closes_total{reason=\"gone\"}", 1.0),
        ("connections{kind=\"websocket\"}", -3.0),
        ("people", -2.0),
    ] {
        assert_eq!(changes.get(&format!("catchup_{key}")), Some(&by), "{key}: {changes:?}");
    }

    // A summary.
    let token = session["session"].as_str().expect("a token");
    let back = Client::join_v2(&server, "Eve", &format!("&room=den&session={token}"));
    assert_eq!(http.post("/api/summarize?room=den", "").status, 200);
    let summed = scrape(&mut http);
    assert_eq!(summed["catchup_summaries_total{event=\"asked\"}"], 1.0);
    assert_eq!(summed["catchup_summaries_total{event=\"by_embedded\"}"], 1.0);
    assert_eq!((summed["catchup_summaries_waiting"], summed["catchup_people"]), (0.0, 3.0));
    drop(back);
}

#[test]
fn bytes_are_counted_as_they_pass() {
    let server = Server::with(&["--quiet"]);
    let mut http = Http::to(&server);
    let request = "GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n";
    let first = http.get("/metrics");
    let head = first.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum::<usize>();
    let length = "HTTP/1.1 200 OK\r\n".len() + head + "\r\n".len() + first.body.len();
    let (before, after) = (parse(&first.text()), scrape(&mut http));
    let by = |name: &str| after[name] - before[name];
    assert_eq!(by("catchup_received_bytes_total"), request.len() as f64);
    assert_eq!(by("catchup_sent_bytes_total"), length as f64);
    // A ping in the packet of its upgrade was counted twice.
    let upgrade = "GET /ws?username=Ann HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let packet = [upgrade.as_bytes(), &frame(0x89, b"x")].concat();
    let mut ann = TcpStream::connect(server.address).expect("the server listens");
    ann.write_all(&packet).expect("the server reads");
    let (mut heard, mut piece) = (Vec::new(), [0; 1024]);
    while !heard.ends_with(&[0x8a, 1, b'x']) {
        let count = ann.read(&mut piece).expect("the pong comes");
        assert_ne!(count, 0, "the pong comes before the end");
        heard.extend_from_slice(&piece[..count]);
    }
    let upgraded = scrape(&mut http);
    let received = upgraded["catchup_received_bytes_total"] - after["catchup_received_bytes_total"];
    assert_eq!(received, (packet.len() + request.len()) as f64);
}

#[test]
fn it_is_asked_for_as_everything_else_and_wants_the_token_where_there_is_one() {
    let server = Server::with(&["--token", "s3cret"]);
    let mut http = Http::to(&server);
    assert_eq!(http.get("/metrics").status, 401);
    assert_eq!(http.get("/metrics?token=s3cret").status, 200);
    let get = http.send("GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer s3cret\r\n\r\n").response();
    samples_of(&get);
    let head = http.ask("HEAD", "/metrics?token=s3cret").head_response();
    assert_eq!((head.status, head.header("content-type")), (200, get.header("content-type")));
    let post = http.post("/metrics?token=s3cret", "");
    assert_eq!((post.status, post.header("allow")), (405, Some("GET, HEAD, OPTIONS")));
    assert_eq!(http.ask("OPTIONS", "/metrics").response().status, 204);
    // Had HEAD a body, this would begin with it.
    assert_eq!(http.get("/healthz").status, 200);
}

#[test]
fn at_an_address_of_its_own_it_wants_no_token_and_nothing_else_is_there() {
    let setup = Setup::new().args(&["--metrics-addr", "127.0.0.1:0", "--token", "s3cret", "--max-connections", "2"]);
    let server = setup.start();
    let said = eventually("the line with its address", || {
        let line = server.stderr().into_iter().find(|line| line.starts_with("Catchup serves its metrics on http://"));
        line.filter(|line| line.ends_with("/metrics"))
    });
    let address = said.split('/').nth(2).expect("an address").parse().expect("an address");
    let mut own = Http::at(address);
    samples_of(&own.get("/metrics"));
    assert_eq!((own.get("/healthz").status, own.get("/readyz").status), (200, 200));
    for target in ["/", "/ws", "/api/messages", "/openapi.json", "/metrics/"] {
        let response = own.get(target);
        assert_eq!(response.status, 404, "{target}");
        assert_eq!(response.detail(), "here are /metrics, /healthz and /readyz only", "{target}");
    }
    assert_eq!(own.post("/metrics", "").status, 405);
    assert_eq!(own.ask("HEAD", "/metrics").head_response().status, 200);
    // With the rest it is not, whoever asks. That connection is the second and last; this door is open all the same.
    let mut main = Http::to(&server);
    assert_eq!(main.get("/metrics?token=s3cret").status, 404);
    assert_eq!(Http::to(&server).response().status, 503, "the server is full");
    let mut again = Http::at(address);
    assert_eq!(again.get("/readyz").status, 503);
    let samples = scrape(&mut again);
    assert_eq!(samples["catchup_connections_turned_away_total"], 1.0);
    assert_eq!(samples["catchup_connections{kind=\"http\"}"], 3.0);
    // Nor is it a way to take all descriptors: sixteen come in, and others when they have left.
    let mut many: Vec<Http> = (2..16).map(|_| Http::at(address)).collect();
    assert_eq!(many.last_mut().expect("fourteen").get("/healthz").status, 200);
    let refused = Http::at(address).response();
    let told = "16 connections are open at this address, which is its limit: come back later";
    assert_eq!((refused.status, refused.detail().as_str()), (503, told));
    drop(many);
    eventually("room for one more", || (Http::at(address).get("/healthz").status == 200).then_some(()));
}

#[test]
fn an_address_that_is_in_use_stops_the_start_with_its_flag() {
    let server = Server::start();
    let taken = server.address.to_string();
    let (status, _, said) = Setup::new().args(&["--metrics-addr", &taken]).run();
    let expect = format!("catchup: {taken} is in use by another program: stop it, or choose another --metrics-addr\n");
    assert_eq!((status.success(), said), (false, expect));
}
