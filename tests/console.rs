//! What the person who runs the server sees: five kinds of lines in exactly their form, and never a stalled chat.

mod support;

use std::io::{Read, Write};
use std::time::Instant;

use support::{Client, Setup, Value, eventually, is_stamp, json};

/// The line behind its time, with the eight hex digits of the user written as `H`.
fn bare(line: &str) -> String {
    let (stamp, rest) = line.split_once("] ").unwrap_or_else(|| panic!("no time in {line:?}"));
    assert!(stamp.starts_with('[') && is_stamp(&stamp[1..]), "{line:?}");
    let Some(at) = rest.find("...)") else { return rest.to_owned() };
    let (before, digits) = rest[..at].split_at(at - 8);
    assert!(before.ends_with('('), "{line:?}");
    assert!(digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{line:?}");
    format!("{before}H{}", &rest[at..])
}

#[test]
fn a_scene_is_told_in_exactly_the_lines_of_the_contract() {
    let server = Setup::new().start();
    let mut alice = Client::join(&server, "Alice");
    let mut bob = Client::join(&server, "Bob");
    alice.sees("Bob joined the chat", 2);
    alice.say("Hello, Bob!");
    bob.hears("Hello, Bob!");
    alice.leave();
    bob.sees("Alice left the chat", 1);
    let lines = eventually("seven lines", || Some(server.stdout()).filter(|lines| lines.len() >= 7));
    let expect = [
        "User 'Alice' (H...) connected from 127.0.0.1",
        "Total users online: 1",
        "User 'Bob' (H...) connected from 127.0.0.1",
        "Total users online: 2",
        "Alice (H...): Hello, Bob!",
        "Alice (H...) disconnected",
        "Total users online: 1",
    ];
    assert_eq!(lines.iter().map(|line| bare(line)).collect::<Vec<_>>(), expect);
    let digits = |line: &str| line[line.find('(').expect("a bracket")..][1..9].to_owned();
    assert_eq!(digits(&lines[0][22..]), digits(&lines[4][22..]));
    assert_eq!(digits(&lines[0][22..]), digits(&lines[5][22..]));
    assert_ne!(digits(&lines[0][22..]), digits(&lines[2][22..]));
}

#[test]
fn the_same_scene_in_json_is_an_object_a_line_with_its_time_and_whole_ids() {
    let server = Setup::new().args(&["--log-format", "json"]).start();
    let mut alice = Client::join_with(&server, "Alice", "&room=den");
    let mut bob = Client::join_with(&server, "Bob", "&room=den");
    alice.sees("Bob joined the chat", 2);
    let text = "Hello,\n\u{1b}[2J\u{9b}\u{2028}\"Bob\"!";
    alice.say(text);
    bob.hears(text);
    alice.leave();
    bob.sees("Alice left the chat", 1);
    let lines = eventually("seven lines", || Some(server.stdout()).filter(|lines| lines.len() >= 7));
    assert!(lines.iter().all(|line| !line.contains(|c: char| c.is_control() || c == '\u{2028}')), "{lines:?}");
    let mut lines: Vec<Value> =
        lines.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect();
    for line in &mut lines {
        let time = line.as_object_mut().expect("an object").remove("time").expect("each line has a time");
        let time = time.as_str().expect("a text").to_owned();
        // 2026-01-27T10:30:45.123Z
        assert!(time.len() == 24 && is_stamp(&time[..19].replace('T', " ")) && time.ends_with('Z'), "{time}");
    }
    let (ann, ben) = (lines[0]["connection"].clone(), lines[2]["connection"].clone());
    assert_eq!((ann.as_str().map(str::len), ann == ben), (Some(36), false));
    let expect = [
        json!({"event": "connected", "user": "Alice", "connection": ann, "address": "127.0.0.1", "room": "den"}),
        json!({"event": "online", "online": 1}),
        json!({"event": "connected", "user": "Bob", "connection": ben, "address": "127.0.0.1", "room": "den"}),
        json!({"event": "online", "online": 2}),
        json!({"event": "message", "user": "Alice", "connection": ann, "room": "den", "message": text}),
        json!({"event": "disconnected", "user": "Alice", "connection": ann, "room": "den"}),
        json!({"event": "online", "online": 1}),
    ];
    assert_eq!(lines, expect);
}

#[test]
fn no_message_forges_a_line() {
    let server = Setup::new().start();
    let mut alice = Client::join(&server, "Alice");
    let forged = "[2026-01-27 10:30:45] Total users online: 99";
    for text in
        [format!("hi\n{forged}"), format!("hi\r\n{forged}"), "\u{1b}[2J\u{1b}[Hgone".into(), "\u{9b}2J\u{2028}x".into()]
    {
        alice.say(&text);
    }
    alice.say("the end");
    let lines = eventually("the last line", || {
        Some(server.stdout()).filter(|lines| lines.last().is_some_and(|line| line.ends_with(": the end")))
    });
    let said: Vec<String> = lines[2..].iter().map(|line| bare(line)).collect();
    assert_eq!(said[0], format!("Alice (H...): hi\\n{forged}"));
    assert_eq!(said[1], format!("Alice (H...): hi\\r\\n{forged}"));
    assert_eq!(said[2], "Alice (H...): \\u{1b}[2J\\u{1b}[Hgone");
    assert_eq!(said[3], "Alice (H...): \\u{9b}2J\\u{2028}x");
    assert_eq!(said.len(), 5);
}

#[test]
fn a_quiet_server_prints_nothing() {
    for setup in [Setup::new().args(&["--quiet"]), Setup::new().env("CATCHUP_QUIET", "1")] {
        let mut server = setup.start();
        let mut alice = Client::join(&server, "Alice");
        alice.say("hi");
        alice.leave();
        server.has_messages("lobby", 1);
        server.signal("TERM");
        assert!(server.wait().success());
        assert!(server.stdout().is_empty(), "{:?}", server.stdout());
    }
}

#[test]
fn a_console_that_nobody_reads_never_stalls_the_chat() {
    const MESSAGES: usize = 20_000;
    // A pipe holds 64 KiB: about 800 lines.
    let mut server = Setup::new().stalled_stdout().start();
    let mut bob = Client::join(&server, "Bob");
    let mut alice = Client::join(&server, "Alice");
    bob.sees("Alice joined the chat", 2);
    let begun = Instant::now();
    for n in 0..MESSAGES / 1000 {
        alice.say_all((0..1000).map(|m| format!("message {}", n * 1000 + m)));
        for (m, (id, text)) in bob.hears_messages(1000).into_iter().enumerate() {
            let number = n * 1000 + m;
            assert_eq!((id, text), (number as u64 + 1, format!("message {number}")), "after {:?}", begun.elapsed());
        }
    }
    server.signal("TERM");
    assert_eq!(bob.close_code(), 1012);
    drop((alice, bob));
    assert!(server.wait().success(), "a stalled console must not hold up the end");
}

#[test]
fn a_standard_error_that_nobody_reads_ends_nothing() {
    let directory = support::server::Directory::new();
    let path = directory.file("catchup.sock");
    let (reader, closed) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut server = std::process::Command::new(env!("CARGO_BIN_EXE_catchup"))
        .args(["--ephemeral", "--quiet", "--host", "none", "--unix"])
        .arg(&path)
        .current_dir(path.parent().expect("it lies in a directory"))
        .stdin(std::process::Stdio::null())
        .stderr(closed)
        .spawn()
        .expect("starts");
    let answer = eventually("an answer", || {
        let mut stream = std::os::unix::net::UnixStream::connect(&path).ok()?;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer).filter(|answer| !answer.is_empty())
    });
    server.kill().expect("it still runs");
    server.wait().expect("ends");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}
