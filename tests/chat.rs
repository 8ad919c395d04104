//! The chat itself, as clients see it: frames, order, names, sessions, limits, rooms, presence.

mod support;

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use support::client::{Heard, frame, resume};
use support::{Client, Server, Setup, Value, WAIT, encoded, eventually, ids, is_stamp, json, texts};

fn keys(frame: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = frame.as_object().expect("a frame is an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn a_plain_client_gets_the_frames_of_the_contract_in_their_order_and_never_its_own() {
    let server = Server::start();
    let mut alice = Client::connect(&server, "username=Alice").expect("is let in");
    let welcome = alice.next();
    assert_eq!(welcome, json!({"type": "system", "message": "Welcome to the chat, Alice!", "event": "welcome"}));
    assert_eq!(alice.next(), json!({"type": "user_count", "count": 1}));

    let mut bob = Client::join(&server, "Bob");
    assert_eq!(alice.next(), json!({"type": "system", "message": "Bob joined the chat", "event": "join"}));
    assert_eq!(alice.next(), json!({"type": "user_count", "count": 2}));

    bob.say("Hello, Alice!");
    let heard = alice.next();
    assert_eq!(keys(&heard), ["id", "message", "sender", "timestamp", "type"]);
    assert_eq!((&heard["type"], &heard["sender"]), (&json!("message"), &json!("Bob")));
    assert_eq!((&heard["message"], &heard["id"]), (&json!("Hello, Alice!"), &json!(1)));
    assert!(is_stamp(heard["timestamp"].as_str().expect("a text")), "{heard}");

    alice.say("Hello, Bob!");
    // Were his own sent back to him, it would come first.
    assert_eq!(bob.hears("Hello, Bob!"), 2);
    bob.leave();
    assert_eq!(alice.next(), json!({"type": "system", "message": "Bob left the chat", "event": "leave"}));
    assert_eq!(alice.next(), json!({"type": "user_count", "count": 1}));
}

#[test]
fn everyone_but_the_sender_gets_each_message_once_and_all_in_one_order() {
    const CLIENTS: usize = 6;
    const EACH: usize = 150;
    let server = Server::start();
    let mut clients: Vec<Client> = (0..CLIENTS).map(|n| Client::join(&server, &format!("c{n}"))).collect();
    for client in &mut clients[..CLIENTS - 1] {
        client.sees_count(CLIENTS as u64);
    }
    let heard: Vec<Vec<(u64, String)>> = thread::scope(|scope| {
        let threads: Vec<_> = clients
            .iter_mut()
            .map(|client| {
                scope.spawn(move || {
                    let name = client.name.clone();
                    for n in 0..EACH / 10 {
                        client.say_all((0..10).map(|m| format!("{name} {}", n * 10 + m)));
                    }
                    client.hears_messages((CLIENTS - 1) * EACH)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("all is heard")).collect()
    });
    let list = server.json("/api/messages");
    assert_eq!(ids(&list), (1..=(CLIENTS * EACH) as u64).collect::<Vec<_>>());
    let all: Vec<(u64, String)> = ids(&list).into_iter().zip(texts(&list).into_iter().map(str::to_owned)).collect();
    for (n, heard) in heard.iter().enumerate() {
        let own = format!("c{n} ");
        let expect: Vec<_> = all.iter().filter(|(_, text)| !text.starts_with(&own)).cloned().collect();
        assert_eq!(heard, &expect, "c{n}");
    }
    // Nothing comes twice: a message of somebody new is the next that everyone hears.
    let mut late = Client::join(&server, "late");
    late.say("last");
    for client in &mut clients {
        assert_eq!(client.next_of("message")["message"], "last", "{}", client.name);
    }
}

#[test]
fn a_text_that_is_no_json_object_is_the_message_as_it_is() {
    let server = Server::start();
    let mut bob = Client::join(&server, "Bob");
    let mut alice = Client::join(&server, "Alice");
    bob.sees("Alice joined the chat", 2);
    let raw = [
        "hello",
        "  two  spaces  ",
        "42",
        "null",
        "\"quoted\"",
        "[1, 2]",
        "{broken",
        "{\"type\":\"message\",\"message\":\"cut",
        "{\"message\":\"object\"} and more",
        "a\nline and a \"quote\" and a \\",
        "grüße 你好 👍🏽 \u{202e}turned",
        "<script>alert(1)</script>",
        "\u{0}nul",
    ];
    for text in raw {
        alice.send(text);
        bob.hears(text);
    }
    for text in ["{\"message\":\"no type\"}", " {\"type\":\"message\",\"message\":\"no type\",\"more\":[{}]} "] {
        alice.send(text);
        bob.hears("no type");
    }
    let list = server.json("/api/messages");
    assert_eq!(texts(&list)[..raw.len()], raw);
}

#[test]
fn a_bad_object_or_a_blank_text_gets_an_error_frame_and_nothing_is_stored() {
    let server = Server::start();
    let mut bob = Client::join(&server, "Bob");
    let mut alice = Client::join(&server, "Alice");
    bob.sees("Alice joined the chat", 2);
    let long_id = "x".repeat(65);
    for (frame, code) in [
        ("{}", "bad_message"),
        ("{\"type\":\"message\"}", "bad_message"),
        ("{\"type\":\"message\",\"message\":5}", "bad_message"),
        ("{\"type\":\"message\",\"message\":null}", "bad_message"),
        ("{\"type\":\"message\",\"message\":[\"a\"]}", "bad_message"),
        ("{\"type\":7,\"message\":\"a\"}", "bad_message"),
        ("{\"message\":\"a\",\"message\":\"b\"}", "bad_message"),
        ("{\"type\":\"dance\",\"message\":\"a\"}", "unknown_type"),
        ("{\"type\":\"read\"}", "bad_read"),
        ("{\"type\":\"read\",\"id\":-1}", "bad_read"),
        ("{\"type\":\"message\",\"message\":\"\"}", "blank_message"),
        ("{\"type\":\"message\",\"message\":\" \\n\\t\\u00a0 \"}", "blank_message"),
        ("", "blank_message"),
        ("   ", "blank_message"),
        ("{\"type\":\"message\",\"message\":\"a\",\"client_id\":\"\"}", "bad_client_id"),
        (&format!("{{\"type\":\"message\",\"message\":\"a\",\"client_id\":\"{long_id}\"}}"), "bad_client_id"),
    ] {
        alice.send(frame);
        let error = alice.next_is("error");
        assert_eq!(error["code"], code, "{frame}: {error}");
        assert!(error["message"].as_str().is_some_and(|told| told.len() > 10), "{frame}: {error}");
    }
    alice.say("good");
    assert_eq!(bob.hears("good"), 1);
}

#[test]
fn a_message_may_be_16_kib_long_and_a_longer_one_is_refused_while_the_connection_lives() {
    let server = Server::start();
    let mut bob = Client::join(&server, "Bob");
    let mut alice = Client::join(&server, "Alice");
    bob.sees("Alice joined the chat", 2);
    let longest = "ü".repeat(8 * 1024);
    alice.say(&longest);
    assert_eq!(bob.hears(&longest), 1);
    for text in [format!("{longest}x"), "x".repeat(65_000)] {
        alice.say_as(&text, "k");
        let error = alice.next_is("error");
        assert_eq!((&error["code"], &error["client_id"]), (&json!("message_too_long"), &json!("k")));
    }
    alice.send(&"x".repeat(64 * 1024));
    assert_eq!(alice.next_is("error")["code"], "message_too_long");
    alice.say("short");
    assert_eq!(bob.hears("short"), 2);
}

#[test]
fn a_frame_that_breaks_the_rules_closes_with_its_code_and_the_leave_is_told_at_once() {
    let server = Server::start();
    let mut bob = Client::join(&server, "Bob");
    let fragments = [frame(0x01, &[b'x'; 40_000]), frame(0x80, &[b'x'; 40_000])].concat();
    let mut unmasked = frame(0x81, b"hi");
    unmasked[1] &= 0x7f;
    unmasked.drain(2..6);
    for (name, code, bytes) in [
        ("binary", 1003, frame(0x82, b"\x01\x02")),
        ("not UTF-8", 1007, frame(0x81, b"a\xff\xfeb")),
        ("not UTF-8 and not ended", 1007, frame(0x81, &[b"a\xff", &[b'x'; 998][..]].concat())[..10].to_vec()),
        ("half a character", 1007, frame(0x81, b"a\xc3")),
        ("65537 bytes", 1009, frame(0x81, &[b'x'; 65_537])),
        ("much declared", 1009, frame(0x81, &vec![b'x'; 200_000])[..14].to_vec()),
        ("65537 in fragments", 1009, fragments),
        ("unmasked", 1002, unmasked),
        ("reserved bit", 1002, frame(0xc1, b"hi")),
        ("unknown opcode", 1002, frame(0x83, b"hi")),
        ("a long ping", 1002, frame(0x89, &[b'x'; 126])),
        ("a long ping declared", 1002, frame(0x89, &[b'x'; 60_000])[..8].to_vec()),
        ("a continuation of nothing", 1002, frame(0x80, b"hi")),
    ] {
        let mut client = Client::join_v2(&server, "Alice", "");
        bob.sees("Alice joined the chat", 2);
        client.stream().write_all(&bytes).expect("the server reads");
        assert_eq!(client.close_code(), code, "{name}");
        bob.sees("Alice left the chat", 1);
    }
    assert_eq!(server.json("/api/messages")["total_count"], 0);
}

#[test]
fn a_message_in_fragments_with_a_ping_between_is_one_message_however_it_is_cut() {
    let server = Server::start();
    let mut bob = Client::join(&server, "Bob");
    let mut alice = Client::join(&server, "Alice");
    bob.sees("Alice joined the chat", 2);
    let bytes =
        [frame(0x01, "grü".as_bytes()), frame(0x89, b"?"), frame(0x00, b"\xc3"), frame(0x80, b"\x9fe")].concat();
    for byte in bytes {
        alice.stream().write_all(&[byte]).expect("the server reads");
    }
    assert_eq!(bob.hears("grüße"), 1);
    alice.stream().write_all(&[frame(0x81, b"one"), frame(0x81, b"two")].concat()).expect("the server reads");
    assert_eq!((bob.hears("one"), bob.hears("two")), (2, 3));
}

#[test]
fn a_bad_name_is_refused_before_the_upgrade_with_a_sentence() {
    let server = Server::start();
    let long = "x".repeat(33);
    for (query, expect) in [
        (String::new(), "username is missing"),
        ("username".into(), "username is empty"),
        ("username=".into(), "username is empty"),
        ("username=%20%09".into(), "username is empty"),
        (format!("username={long}"), "username is 33 characters long, the limit is 32"),
        ("username=a%0Ab".into(), "control character U+000A"),
        ("username=a%1B%5B2J".into(), "control character U+001B"),
        ("username=a%E2%80%8Bb".into(), "control character U+200B"),
        ("username=System".into(), "\"System\" is the server's own"),
        ("username=%20sYSTEM%20".into(), "\"System\" is the server's own"),
        ("username=a%FFb".into(), "username"),
        ("username=a%zz".into(), "username"),
        ("username=a&username=b".into(), "username"),
        ("username=a&room=Den".into(), "room has the character 'D'"),
        ("username=a&room=".into(), "room is 0 characters long"),
        (format!("username=a&room={}", "r".repeat(65)), "room is 65 characters long"),
        ("username=a&since=-1".into(), "since is \"-1\""),
        ("username=a&since=x".into(), "since is \"x\""),
    ] {
        let Err((status, body)) = Client::connect(&server, &query) else { panic!("{query} was let in") };
        assert_eq!(status, 400, "{query}: {body}");
        let detail = serde_json::from_str::<Value>(&body).expect("JSON")["detail"].to_string().replace("\\\"", "\"");
        assert!(detail.contains(expect), "{query}: {detail}");
    }
    assert_eq!(server.json("/api/users")["count"], 0);
}

#[test]
fn a_good_name_is_trimmed_and_may_be_of_32_characters_of_any_script() {
    let server = Server::start();
    for name in ["Ann", &"ß".repeat(32), "李小龙", "a b&c=d+e%", "👍🏽"] {
        let client = Client::connect(&server, &format!("username=%20{}%20", encoded(name)));
        let mut client = client.expect("is let in");
        assert_eq!(client.next()["message"], format!("Welcome to the chat, {name}!"));
        client.next_is("user_count");
        assert_eq!(server.json("/api/users")["users"], json!([name]));
        client.leave();
    }
}

#[test]
fn a_taken_name_is_told_on_the_socket_and_free_again_after_the_leave() {
    let server = Server::start();
    let émile = Client::join(&server, "Émile");
    for name in ["Émile", "émile", "ÉMILE"] {
        let mut second = Client::connect(&server, &format!("username={}", encoded(name))).expect("is upgraded");
        let error = second.next_is("error");
        assert_eq!(error["code"], "username_taken", "{error}");
        assert!(matches!(second.hear_within(WAIT), Some(Heard::Closed(4500))), "{name}");
    }
    // Elsewhere the name is free, and nobody was told of those who were turned away.
    Client::join_with(&server, "émile", "&room=den").leave();
    émile.leave();
    let again = Client::join(&server, "émile");
    again.leave();
    let mut last = Client::join_v2(&server, "ÉMILE", "");
    last.say_as("hi", "1");
    assert_eq!(last.next_is("ack")["id"], 1);
}

#[test]
fn names_need_not_be_unique_if_the_operator_says_so() {
    let server = Server::with(&["--allow-duplicate-names"]);
    let mut one = Client::join(&server, "Ann");
    let mut two = Client::join(&server, "ann");
    one.sees("ann joined the chat", 2);
    two.say("hi");
    one.hears("hi");
    one.say("you too");
    two.hears("you too");
    one.leave();
    two.sees("Ann left the chat", 1);
    assert_eq!(server.json("/api/users")["users"], json!(["ann"]));
}

#[test]
fn a_session_takes_its_name_over_and_the_others_notice_nothing() {
    let server = Server::start();
    let mut bob = Client::join(&server, "Bob");
    let mut older = Client::join_v2(&server, "Ann", "");
    bob.sees("Ann joined the chat", 2);
    let fields = ["epoch", "last_id", "read_id", "resumed", "room", "session", "type", "user_id"];
    assert_eq!(keys(&older.session), fields);
    assert_eq!((&older.session["room"], &older.session["resumed"]), (&json!("lobby"), &json!(false)));
    let token = older.session["session"].as_str().expect("a text").to_owned();
    let mut newer = Client::join_v2(&server, "Ann", &format!("&session={token}"));
    assert_eq!(older.close_code(), 4505);
    assert_eq!(newer.session["session"], token.as_str());
    assert_eq!(newer.session["user_id"], older.session["user_id"]);
    newer.say("still me");
    bob.hears("still me");
    bob.say("who else");
    newer.hears("who else");

    let mut other = Client::connect(&server, &format!("username=Eve&v=2&session={token}")).expect("is upgraded");
    assert_eq!(other.next_is("error")["code"], "session_mismatch");
    assert_eq!(other.close_code(), 4504);
    let stranger = "00000000-0000-4000-8000-000000000000";
    let mut other = Client::connect(&server, &format!("username=Ann&session={stranger}")).expect("is upgraded");
    assert_eq!(other.next_is("error")["code"], "username_taken");
    bob.say("nobody came");
    newer.hears("nobody came");
}

#[test]
fn a_plain_leave_is_told_at_once_with_or_without_a_goodbye_and_so_is_a_goodbye_of_v2() {
    let server = Server::start();
    let mut bob = Client::join(&server, "Bob");
    let begun = Instant::now();
    for is_polite in [true, false] {
        let ann = Client::join(&server, "Ann");
        bob.sees("Ann joined the chat", 2);
        if is_polite {
            ann.leave()
        } else {
            ann.vanish()
        }
        bob.sees("Ann left the chat", 1);
    }
    let ann = Client::join_v2(&server, "Ann", "");
    bob.sees("Ann joined the chat", 2);
    ann.leave();
    bob.sees("Ann left the chat", 1);
    assert!(begun.elapsed() < Duration::from_secs(9), "a leave was not told at once");
}

/// One line from a script: it was announced as gone before its own words came, and the console named a stranger.
#[test]
fn who_speaks_and_leaves_in_one_breath_is_heard_first_and_then_gone() {
    let server = Setup::new().start();
    let mut bob = Client::join(&server, "Bob");
    let goodbye = [frame(0x81, b"one"), frame(0x81, b"two"), frame(0x88, &1000u16.to_be_bytes())].concat();
    for is_said in [true, false] {
        let mut alice = Client::join(&server, "Alice");
        bob.sees("Alice joined the chat", 2);
        let bytes = if is_said { &goodbye[..] } else { &goodbye[..goodbye.len() - 8] };
        alice.stream().write_all(bytes).expect("the server reads");
        if !is_said {
            alice.vanish();
        }
        bob.hears("one");
        bob.hears("two");
        bob.sees("Alice left the chat", 1);
    }
    let lines = eventually("fourteen lines", || Some(server.stdout()).filter(|lines| lines.len() >= 14));
    for lines in lines[2..].chunks(6) {
        let id = &lines[0][lines[0].find('(').expect("a bracket")..][..13];
        for (line, told) in [(2, "): one"), (3, "): two"), (4, ") disconnected")] {
            assert!(lines[line].contains(id) && lines[line].ends_with(told), "{lines:?}");
        }
    }
}

/// A close frame and the end of the stream in one packet: the end was taken for a flight, and nothing was answered.
#[test]
fn who_says_goodbye_and_stops_sending_still_hears_the_answer() {
    let server = Server::start();
    for (bytes, code) in [(frame(0x88, &1000u16.to_be_bytes()), 1000), (frame(0x82, b"binary"), 1003)] {
        let mut alice = Client::join(&server, "Alice");
        alice.stream().write_all(&bytes).expect("the server reads");
        alice.stream().shutdown(Shutdown::Write).expect("a socket has two halves");
        assert_eq!(alice.close_code(), code);
    }
}

#[test]
fn a_v2_client_that_vanishes_is_gone_after_10_s_but_not_if_it_is_back_by_then() {
    let server = Server::start();
    let mut bob = Client::join(&server, "Bob");
    let ann = Client::join_v2(&server, "Ann", "");
    bob.sees("Ann joined the chat", 2);
    let back = format!("&session={}", ann.session["session"].as_str().expect("a text"));
    ann.vanish();
    // Its name is kept for it.
    let mut thief = Client::connect(&server, "username=Ann").expect("is upgraded");
    assert_eq!(thief.next_is("error")["code"], "username_taken");
    let mut ann = Client::join_v2(&server, "Ann", &back);
    bob.say("back?");
    ann.hears("back?");
    let begun = Instant::now();
    ann.vanish();
    bob.sees("Ann left the chat", 1);
    let waited = begun.elapsed();
    assert!((Duration::from_millis(9_900)..Duration::from_secs(15)).contains(&waited), "{waited:?}");
}

#[test]
fn typing_is_passed_on_to_v2_clients_only_and_never_stored() {
    let server = Server::start();
    let mut plain = Client::join(&server, "Plain");
    let mut ann = Client::join_v2(&server, "Ann", "");
    let mut bob = Client::join_v2(&server, "Bob", "");
    let mut elsewhere = Client::join_v2(&server, "Eve", "&room=den");
    ann.sees("Bob joined the chat", 3);
    plain.sees_count(3);
    bob.send("{\"type\":\"typing\"}");
    assert_eq!(ann.next(), json!({"type": "typing", "sender": "Bob"}));
    plain.send("{\"type\":\"typing\"}");
    assert_eq!(ann.next(), json!({"type": "typing", "sender": "Plain"}));
    assert_eq!(bob.next(), json!({"type": "typing", "sender": "Plain"}));
    ann.say("done");
    assert_eq!((plain.hears("done"), bob.hears("done")), (1, 1));
    let mut eva = Client::join_v2(&server, "Eva", "&room=den");
    elsewhere.sees("Eva joined the chat", 2);
    eva.say("den");
    elsewhere.hears("den");
}

#[test]
fn a_client_id_is_acked_and_its_repeat_stored_once_also_after_a_restart() {
    let server = Server::start();
    let mut bob = Client::join(&server, "Bob");
    let mut ann = Client::join_v2(&server, "Ann", "");
    bob.sees("Ann joined the chat", 2);
    ann.say_as("one", "k1");
    let ack = ann.next();
    assert_eq!(keys(&ack), ["client_id", "id", "message_id", "timestamp", "type"]);
    assert_eq!((&ack["type"], &ack["client_id"], &ack["id"]), (&json!("ack"), &json!("k1"), &json!(1)));
    ann.say_as("one again", "k1");
    assert_eq!(ann.next(), ack);
    // A plain client may use them too; another's are its own.
    bob.say_as("other", "k1");
    assert_eq!(bob.hears("one"), 1);
    assert_eq!(bob.next_is("ack")["id"], 2);
    let longest = "k".repeat(64);
    ann.say_as("two", &longest);
    assert_eq!(ann.next_of("ack")["id"], 3);

    drop((ann, bob));
    let server = server.restart();
    let mut ann = Client::join_v2(&server, "ann", "");
    ann.say_as("one", "k1");
    assert_eq!(ann.next(), ack);
    ann.say_as("three", "k3");
    assert_eq!(ann.next_is("ack")["id"], 4);
    let list = server.json("/api/messages");
    assert_eq!(texts(&list), ["one", "other", "two", "three"]);
    assert_eq!(list["messages"][0]["client_id"], "k1");
}

#[test]
fn rooms_are_apart_in_messages_ids_counts_and_names() {
    let server = Server::start();
    let mut lobby = Client::join(&server, "Ann");
    let mut den = Client::join_with(&server, "Ann", "&room=den");
    let mut zoo = Client::join_with(&server, "Ann", "&room=zoo-1_a");
    let mut bob = Client::join_with(&server, "Bob", "&room=den");
    den.sees("Bob joined the chat", 2);
    bob.say("in the den");
    assert_eq!(den.hears("in the den"), 1);
    let mut eve = Client::join(&server, "Eve");
    lobby.sees("Eve joined the chat", 2);
    eve.say("in the lobby");
    assert_eq!(lobby.hears("in the lobby"), 1);
    bob.leave();
    den.sees("Bob left the chat", 1);
    let cat = Client::join_with(&server, "Cat", "&room=zoo-1_a");
    zoo.sees("Cat joined the chat", 2);
    cat.leave();
    assert_eq!(texts(&server.json("/api/messages?room=den")), ["in the den"]);
    assert_eq!(texts(&server.json("/api/messages")), ["in the lobby"]);
    // A session is of one room.
    let session = Client::join_v2(&server, "Dan", "&room=den").session;
    let token = session["session"].as_str().expect("a text");
    let dan = Client::join_v2(&server, "Dan", &format!("&session={token}"));
    assert_ne!(dan.session["session"], token);
}

/// `n` of "Ann, Bob and n others joined the chat" and the like.
fn names_in(line: &str) -> u64 {
    let who = line.strip_suffix(" joined the chat").or(line.strip_suffix(" left the chat")).expect("a presence line");
    match who.rsplit_once(" and ") {
        None => 1,
        Some((named, last)) => {
            let last = last.strip_suffix(" others").map_or(1, |count| count.parse().expect("a count"));
            named.split(", ").count() as u64 + last
        }
    }
}

#[test]
fn a_large_room_tells_presence_in_batches_and_every_count_converges() {
    const CLIENTS: u64 = 160;
    let server = Server::start();
    let mut first = Client::join(&server, "first");
    let mut clients: Vec<Client> = (1..100).map(|n| Client::join(&server, &format!("c{n}"))).collect();
    first.sees_count(100);
    let begun = Instant::now();
    // One in five speaks v=2, and must converge as well.
    clients.extend((100..CLIENTS).map(|n| match n % 5 {
        0 => Client::join_v2(&server, &format!("c{n}"), ""),
        _ => Client::join(&server, &format!("c{n}")),
    }));
    let (mut lines, mut joined, mut counts, mut count) = (0, 0, 0, json!(100));
    while count != CLIENTS || joined < CLIENTS - 100 {
        let frame = first.next();
        if frame["type"] == "system" {
            lines += 1;
            joined += names_in(frame["message"].as_str().expect("a text"));
        } else {
            counts += 1;
            count = frame["count"].clone();
        }
    }
    let batches_max = begun.elapsed().as_millis() as u64 / 250 + 2;
    assert_eq!(joined, CLIENTS - 100);
    assert!(lines <= batches_max && counts <= batches_max, "{lines} lines, {counts} counts, {batches_max} batches");
    for client in &mut clients {
        if client.name != format!("c{}", CLIENTS - 1) {
            client.sees_count(CLIENTS);
        }
    }
    assert_eq!(server.json("/api/users")["count"], CLIENTS);

    let begun = Instant::now();
    let mut last = clients.pop().expect("there are many");
    clients.drain(..).for_each(|client| if client.session.is_null() { client.vanish() } else { client.leave() });
    first.sees_count(2);
    last.sees_count(2);
    let batches_max = begun.elapsed().as_millis() as u64 / 250 + 2;
    assert!(batches_max < 100, "{batches_max}");
    last.say("anybody?");
    first.hears("anybody?");
}

#[test]
fn a_client_over_its_rate_is_held_back_and_nothing_is_lost() {
    // 20 a second, 200 at once: after 240 the next has to wait for 2 s.
    let server = Server::with(&["--rate-limit", "20"]);
    let mut bob = Client::join(&server, "Bob");
    let mut ann = Client::join(&server, "Ann");
    bob.sees("Ann joined the chat", 2);
    let begun = Instant::now();
    ann.say_all((0..240).map(|n| n.to_string()));
    let heard = bob.hears_messages(240);
    assert!(heard.iter().enumerate().all(|(n, (id, text))| *id == n as u64 + 1 && *text == n.to_string()));
    ann.say("one more");
    bob.hears("one more");
    assert!(begun.elapsed() > Duration::from_millis(1900), "it was not held back: {:?}", begun.elapsed());
    // Others are not.
    bob.say("fast");
    ann.hears("fast");
}

/// Fifty clients that sent nothing but pings kept the loop busy for 0.9 of its time, whatever their rate.
#[test]
fn frames_that_are_no_messages_count_against_the_rate_too() {
    let server = Server::with(&["--rate-limit", "20"]);
    let mut bob = Client::join(&server, "Bob");
    // Read in pieces of 2 KiB: the last is waited for when 230 at least have come.
    let piece = [b'x'; 60];
    let pings = frame(0x89, &piece).repeat(260);
    let pieces = [frame(0x01, &piece), frame(0x00, &piece).repeat(258), frame(0x80, &piece)].concat();
    let whole = "x".repeat(260 * 60);
    for (name, bytes, is_heard) in [("pings", pings, None), ("pieces", pieces, Some(&whole))] {
        let mut ann = Client::join(&server, name);
        bob.sees(&format!("{name} joined the chat"), 2);
        let begun = Instant::now();
        ann.stream().write_all(&bytes).expect("the server reads");
        is_heard.map(|text| bob.hears(text));
        ann.say("one more");
        bob.hears("one more");
        assert!(begun.elapsed() > Duration::from_millis(1400), "{name}: not held back: {:?}", begun.elapsed());
        ann.vanish();
        bob.sees(&format!("{name} left the chat"), 1);
    }
}

/// What came in one packet with the upgrade was all heard before the rate was looked at: 10,000 messages in 64 KiB, from
/// each connection that somebody cared to open.
#[test]
fn messages_in_the_packet_of_the_upgrade_are_held_to_the_rate() {
    let server = Server::with(&["--rate-limit", "20"]);
    let mut bob = Client::join(&server, "Bob");
    let mut ann = TcpStream::connect(server.address).expect("the server listens");
    let upgrade = "GET /ws?username=Ann HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    ann.write_all(&[upgrade.as_bytes(), &frame(0x81, b"x").repeat(5000)].concat()).expect("the server reads");
    bob.sees("Ann joined the chat", 2);
    bob.hears("x");
    bob.say("y");
    let id = eventually("Bob is heard", || server.json("/api/search?q=y")["messages"][0]["id"].as_u64());
    assert!(id < 1500, "{id} of the 5000 came before the one of Bob");
}

#[test]
fn an_ephemeral_server_forgets_and_says_so_by_its_epoch() {
    let server = Setup::new().args(&["--ephemeral"]).start();
    let mut bob = Client::join(&server, "Bob");
    let mut ann = Client::join_v2(&server, "Ann", "");
    bob.sees("Ann joined the chat", 2);
    ann.say_as("one", "k");
    assert_eq!(ann.next_is("ack")["id"], 1);
    ann.say_as("one", "k");
    assert_eq!(ann.next_is("ack")["id"], 1);
    assert_eq!(bob.hears("one"), 1);
    let session = ann.session.clone();
    let mut back = Client::connect(&server, &format!("username=Cat&v=2{}", resume(&session, 0))).expect("is let in");
    assert_eq!(back.next_of("message")["message"], "one");
    assert!(!server.path("test.db").exists());
    drop((ann, bob, back));
    let server = server.restart();
    assert_eq!(server.json("/api/messages")["total_count"], 0);
    let ann = Client::resume(&server, "Ann", &session, 1);
    assert_eq!(ann.session["resumed"], false);
    assert_ne!(ann.session["epoch"], session["epoch"]);
}

#[test]
fn a_client_that_joins_and_leaves_a_thousand_times_leaves_nothing_behind() {
    let server = Server::start();
    for n in 0..1000 {
        let client = Client::connect(&server, &format!("username=c{}&room=r{n}", n % 7)).expect("is let in");
        drop(client);
    }
    eventually("the rooms in which nobody is", || (server.json("/api/rooms")["rooms"] == json!([])).then_some(()));
}
