//! A client that does not read harms nobody, costs bounded memory, and misses nothing.

mod support;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use support::client::Heard;
use support::{Client, Server, eventually};

/// What one stalled client may cost the server's memory, caches of the log included (measured: 3.4 MiB of 24 sent).
const GROWTH_KIB_MAX: u64 = 10 * 1024;

const MESSAGES: usize = 20_000;

fn text(n: usize) -> String {
    format!("{n} {}", "x".repeat(1000))
}

/// The first word of a message's text.
fn number(text: &str) -> usize {
    text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("not ours: {text:?}"))
}

#[test]
fn a_client_that_stalls_for_20_000_messages_gets_all_of_them_later_and_the_others_do_not_wait() {
    let server = Server::with(&["--quiet"]);
    let mut slow = Client::join_v2(&server, "slow", "");
    let mut sender = Client::join(&server, "sender");
    let mut other = Client::join(&server, "other");
    sender.sees("other joined the chat", 3);
    // A first load of the same kind, so that what grows once has grown.
    sender.say_all((0..200).map(text));
    other.hears_messages(200);
    slow.hears_messages(200);
    let before = server.rss_kib();
    let (mut own, mut peak) = (Vec::new(), 0);
    let begun = Instant::now();
    for n in 0..MESSAGES / 500 {
        sender.say_all((n * 500..n * 500 + 500).map(text));
        // It talks, although it does not listen.
        slow.say(&format!("own {n}"));
        for (id, heard) in other.hears_messages(501) {
            match heard.strip_prefix("own ") {
                Some(_) => own.push(id),
                None => assert_eq!(id, 200 + (number(&heard) + 1 + own.len()) as u64, "after {:?}", begun.elapsed()),
            }
        }
        peak = server.rss_kib().max(peak);
    }
    let growth = peak.saturating_sub(before);
    assert!(growth < GROWTH_KIB_MAX, "one stalled client has cost {growth} KiB");
    let total = 200 + (MESSAGES + own.len()) as u64;
    server.has_messages("lobby", total);

    // It reads on: everything but its own, once, in order.
    let mut expect = (201..=total).filter(|id| !own.contains(id));
    for (id, _) in slow.hears_messages(MESSAGES) {
        assert_eq!(Some(id), expect.next());
    }
    assert_eq!(expect.next(), None);
    // And it is live again.
    other.say("are you there?");
    assert_eq!(slow.next_of("message")["message"], "are you there?");
    slow.say("yes");
    assert_eq!(other.next_of("message")["message"], "yes");
    let growth = server.rss_kib().saturating_sub(before);
    assert!(growth < GROWTH_KIB_MAX, "{growth} KiB have stayed");
}

#[test]
fn a_list_that_is_read_slowly_is_given_whole_and_holds_up_nobody() {
    let server = Server::with(&["--quiet"]);
    let mut sender = Client::join(&server, "sender");
    sender.say_all((0..10_000).map(text));
    server.has_messages("lobby", 10_000);
    let before = server.rss_kib();
    let mut http = support::Http::to(&server);
    http.ask("GET", "/api/messages");
    let (mut stream, _) = http.into_rest();
    let mut other = Client::join(&server, "other");
    for n in 0..200 {
        sender.say(&text(n));
        other.hears_messages(1);
    }
    let growth = server.rss_kib().saturating_sub(before);
    assert!(growth < GROWTH_KIB_MAX, "a stalled list has cost {growth} KiB");
    let (mut got, mut bytes) = (Vec::new(), vec![0; 64 * 1024]);
    while !got.ends_with(b"\r\n0\r\n\r\n") {
        let count = stream.read(&mut bytes).expect("the list goes on");
        assert!(count > 0, "the list was cut after {} bytes", got.len());
        got.extend_from_slice(&bytes[..count]);
    }
    let text = String::from_utf8(got).expect("it is UTF-8");
    // What came while it was given is not in it: it is of one moment.
    assert_eq!(text.matches("\"message_id\":").count(), 10_000);
}

#[test]
fn peers_that_reset_half_close_or_stop_reading_in_mid_batch_harm_no_other() {
    const ROUNDS: usize = 10;
    const EACH: usize = 300;
    let server = Server::with(&["--quiet"]);
    let mut sender = Client::join(&server, "sender");
    let mut good: Vec<Client> = (0..60).map(|n| Client::join(&server, &format!("good {n}"))).collect();
    let join =
        |kind: &str| -> Vec<Client> { (0..ROUNDS).map(|n| Client::join(&server, &format!("{kind} {n}"))).collect() };
    let (mut resetting, mut half_closing, stalling) = (join("reset"), join("half"), join("stall"));
    for round in 0..ROUNDS {
        sender.say_all((round * EACH..(round + 1) * EACH).map(text));
        // Bytes for it lie unread, so that its kernel answers with a reset.
        drop(resetting.pop());
        let mut half = half_closing.pop().expect("one for each round");
        // The first bytes of a frame, and then nothing more will come.
        half.stream().write_all(&[0x81, 0xfe, 0x01]).expect("takes them");
        half.stream().shutdown(Shutdown::Write).expect("half of it");
        for client in &mut good {
            for (n, (_, heard)) in (round * EACH..).zip(client.hears_messages(EACH)) {
                assert_eq!(number(&heard), n, "in order, and once");
            }
        }
    }
    assert_eq!(stalling.len(), ROUNDS);
    // Nobody who only stopped reading was sent away, and those who are gone are not counted.
    eventually("those who are gone are counted no more", || {
        (server.json("/api/rooms")["rooms"][0]["online"] == 1 + 60 + ROUNDS as u64).then_some(())
    });
}

/// Measured: 0.7 MiB; 61 MiB when each of them had its own copy of what it did not read.
#[test]
fn many_who_ask_for_the_page_again_and_again_and_do_not_read_it_cost_no_copies_of_it() {
    const TIMES: usize = 40;
    let server = Server::with(&["--quiet"]);
    let page = support::Http::to(&server).get("/").body;
    let before = server.rss_kib();
    let asked = "GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(TIMES);
    let ask = |_| {
        let mut http = support::Http::to(&server);
        http.send(&asked);
        http
    };
    let mut slow: Vec<_> = (0..300).map(ask).collect();
    // A page a turn is made for each of them, until its kernel takes no more.
    let mut other = support::Http::to(&server);
    for _ in 0..2 * TIMES {
        assert_eq!(other.get("/healthz").status, 200);
    }
    let growth = server.rss_kib().saturating_sub(before);
    assert!(growth < GROWTH_KIB_MAX, "they have cost {growth} KiB");
    for _ in 0..TIMES {
        assert!(slow[7].response().body == page);
    }
}

/// `cargo test --test slow -- --ignored`
#[test]
#[ignore = "takes 40 s: a client is given 30 s to take a byte"]
fn a_client_that_takes_no_byte_for_30_s_is_closed_and_misses_nothing_when_it_is_back() {
    let server = Server::with(&["--quiet"]);
    let mut slow = Client::join_v2(&server, "slow", "");
    let mut sender = Client::join(&server, "sender");
    sender.say_all((0..MESSAGES).map(text));
    server.has_messages("lobby", MESSAGES as u64);
    let begun = Instant::now();
    while server.json("/api/rooms")["rooms"][0]["online"] != 1 {
        assert!(begun.elapsed() < Duration::from_secs(60), "it is still there");
        thread::sleep(Duration::from_millis(100));
    }
    // Its 30 s, and then its 10 s of grace.
    assert!(begun.elapsed() > Duration::from_secs(25), "{:?}", begun.elapsed());
    let session = slow.session.clone();
    let mut last = 0;
    while let Some(Heard::Text(frame)) = slow.hear_within(Duration::from_secs(5)) {
        let frame: support::Value = serde_json::from_str(&frame).expect("JSON");
        last = frame["id"].as_u64().unwrap_or(last);
    }
    drop(slow.stream().shutdown(Shutdown::Both));
    assert!(last < MESSAGES as u64);
    let mut back = Client::resume(&server, "slow", &session, last);
    for (id, (heard, _)) in (last + 1..).zip(back.hears_messages(MESSAGES - last as usize)) {
        assert_eq!(heard, id);
    }
}
