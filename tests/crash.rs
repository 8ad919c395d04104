//! kill -9 in the middle of everything: what anybody has seen or had acked is there afterwards, under its id.

mod support;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use support::client::Heard;
use support::{Client, Server, Value, ids, json};

/// What a client knows: the ids and texts that it was shown, and those of its own that were acked.
type Known = HashMap<u64, String>;

/// Sends and listens until the server is gone.
fn talk(mut client: Client, round: usize, is_over: &AtomicBool) -> Known {
    let name = client.name.clone();
    let (mut known, mut sent) = (Known::new(), Vec::new());
    while !is_over.load(Ordering::Relaxed) {
        let text = format!("{name} {round} {}", sent.len());
        let frame = json!({"type": "message", "message": text, "client_id": text});
        if !client.try_send(&frame.to_string()) {
            break;
        }
        sent.push(text);
        while let Some(Heard::Text(text)) = client.hear_within(Duration::from_millis(1)) {
            note(&mut known, &text);
        }
    }
    // What had come before the crash counts as well.
    while let Some(Heard::Text(text)) = client.hear_within(Duration::from_millis(50)) {
        note(&mut known, &text);
    }
    known
}

fn note(known: &mut Known, frame: &str) {
    let frame: Value = serde_json::from_str(frame).expect("frames are JSON");
    let text = match frame["type"].as_str() {
        Some("message") => &frame["message"],
        Some("ack") => &frame["client_id"],
        _ => return,
    };
    let text = text.as_str().expect("a text").to_owned();
    let id = frame["id"].as_u64().expect("an id");
    assert!(known.insert(id, text).is_none(), "id {id} came twice");
}

fn crash(rounds: usize, clients: usize, talk_for: Duration) {
    let mut server = Server::with(&["--quiet"]);
    let mut all = Known::new();
    for round in 0..rounds {
        let mut joined: Vec<Client> = (0..clients).map(|n| Client::join_v2(&server, &format!("c{n}"), "")).collect();
        let is_over = AtomicBool::new(false);
        let heard: Vec<Known> = thread::scope(|scope| {
            let is_over = &is_over;
            let threads: Vec<_> =
                joined.drain(..).map(|client| scope.spawn(move || talk(client, round, is_over))).collect();
            // Not a wait for anything: how long they talk before the blow.
            thread::sleep(talk_for + Duration::from_millis(37 * round as u64 % 100));
            server.kill();
            is_over.store(true, Ordering::Relaxed);
            threads.into_iter().map(|thread| thread.join().expect("a client has seen no fault")).collect()
        });
        let before = all.len();
        for (id, text) in heard.into_iter().flatten() {
            let first = all.entry(id).or_insert_with(|| text.clone());
            assert_eq!(*first, text, "id {id} was two messages");
        }
        assert!(all.len() > before, "nobody heard anything in round {round}");
        server = server.restart();
        let list = server.json("/api/messages");
        let total = list["total_count"].as_u64().expect("a number");
        assert!(ids(&list).into_iter().eq(1..=total), "ids have a gap or are used twice");
        let stored = list["messages"].as_array().expect("a list");
        for (id, text) in &all {
            let stored = stored.get(*id as usize - 1).unwrap_or_else(|| panic!("{id} {text:?} was shown and is lost"));
            assert_eq!(stored["message"], *text, "id {id}");
        }
        // Nothing is stored that nobody sent, and nothing twice.
        let mut texts: Vec<&str> = stored.iter().map(|post| post["message"].as_str().expect("a text")).collect();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len() as u64, total);
    }
}

#[test]
fn what_was_shown_or_acked_survives_kill_9() {
    crash(5, 20, Duration::from_millis(300));
}

/// `cargo test --release --test crash -- --ignored`
#[test]
#[ignore = "takes a minute"]
fn what_was_shown_or_acked_survives_kill_9_twenty_times_with_fifty_clients() {
    crash(20, 50, Duration::from_millis(1000));
}
