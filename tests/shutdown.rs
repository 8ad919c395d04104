//! The beginning and the end: settings, what stops a start, signals, and what is stored by then.

mod support;

use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitStatus;

use support::client::Heard;
use support::{Client, Http, Server, Setup, WAIT, texts};

/// It must end by itself, not well, with one line on standard error that has all of `parts`.
fn refuses(setup: &Setup, parts: &[&str]) {
    let (status, stdout, stderr) = setup.run();
    assert!(!status.success(), "{setup:?} succeeded");
    assert_eq!((stdout.as_str(), stderr.lines().count()), ("", 1), "{stderr}");
    assert!(parts.iter().all(|part| stderr.contains(part)), "{stderr:?}: want {parts:?}");
}

fn ends_well(status: ExitStatus) {
    assert_eq!(status.code(), Some(0), "{status}");
}

#[test]
fn a_signal_stores_what_was_received_says_1012_to_everyone_and_ends_with_0() {
    for signal in ["TERM", "INT"] {
        let mut server = Server::start();
        let mut clients: Vec<Client> = (0..20).map(|n| Client::join(&server, &format!("c{n}"))).collect();
        let mut v2 = Client::join_v2(&server, "v2", "");
        let mut idle = Http::to(&server);
        assert_eq!(idle.get("/healthz").status, 200);
        for n in 0..200 {
            v2.say_as(&format!("m{n}"), &format!("k{n}"));
        }
        let acked = v2.next_of("ack")["id"].as_u64();
        assert_eq!(acked, Some(1));
        server.signal(signal);
        let mut last = 1;
        loop {
            match v2.hear_within(WAIT).expect("a close frame") {
                Heard::Text(text) if text.contains("\"type\":\"ack\"") => last += 1,
                Heard::Text(_) => {}
                Heard::Closed(code) => {
                    assert_eq!(code, 1012);
                    break;
                }
                Heard::Ended => panic!("cut off without a close frame"),
            }
        }
        for client in &mut clients {
            assert_eq!(client.close_code(), 1012, "{}", client.name);
        }
        assert!(idle.is_over());
        ends_well(server.wait());
        let server = server.restart();
        let list = server.json("/api/messages");
        let stored = texts(&list);
        assert!(stored.len() >= last, "{last} were acked, {} are stored", stored.len());
        assert!(stored.iter().enumerate().all(|(n, text)| *text == format!("m{n}")));
    }
}

#[test]
fn a_server_without_clients_ends_at_once_and_a_second_signal_ends_one_that_waits_for_its_clients() {
    let mut server = Server::start();
    server.signal("TERM");
    ends_well(server.wait());

    // A client that never answers the farewell would be waited for.
    let mut server = Server::with(&["--drain-ms", "60000"]);
    let _clients: Vec<Client> = (0..200).map(|n| Client::join(&server, &format!("c{n}"))).collect();
    server.signal("TERM");
    let said = "stopping: storing what was received and saying goodbye";
    support::eventually("the farewell line", || server.stdout().iter().any(|line| line.contains(said)).then_some(()));
    assert!(server.is_running());
    server.signal("TERM");
    server.wait();
}

#[test]
fn a_port_in_use_stops_the_start_with_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = taken.local_addr().expect("it is bound").port().to_string();
    refuses(&Setup::bare().args(&["--host", "127.0.0.1", "--port", &port]), &[&port, "is in use", "--port"]);
}

#[test]
fn a_database_that_cannot_be_used_stops_the_start_and_is_left_as_it_was() {
    let text = "this is no database, but a letter to my aunt\n".repeat(100);
    let setup = Setup::new().file("test.db", &text);
    refuses(&setup, &["test.db", "is not a catchup log", "--data"]);
    assert_eq!(fs::read_to_string(setup.path("test.db")).expect("it is still there"), text);

    refuses(&Setup::new().args(&["--data", "missing/test.db"]).bare_data(), &["missing/test.db"]);
    let setup = Setup::new().bare_data().args(&["--data", "."]);
    refuses(&setup, &["history:"]);

    // A log whose pages were overwritten.
    let mut server = Server::start();
    for _ in 0..50 {
        server.post("/api/messages?username=Ann", "{\"message\":\"a text of some length, so that pages fill up\"}");
    }
    server.signal("TERM");
    ends_well(server.wait());
    let path = server.path("test.db");
    let mut bytes = fs::read(&path).expect("it is there");
    bytes[100..].fill(0x5a);
    fs::write(&path, &bytes).expect("it can be written");
    refuses(&server.setup(), &["test.db"]);
    assert_eq!(fs::read(&path).expect("it is still there"), bytes);
}

#[test]
fn a_second_server_on_the_same_database_is_refused_and_the_first_goes_on() {
    let server = Server::start();
    let mut ann = Client::join_v2(&server, "Ann", "");
    refuses(&server.setup(), &["test.db", "is in use by another catchup process"]);
    ann.say_as("still here", "k");
    assert_eq!(ann.next_is("ack")["id"], 1);
    // As soon as the first is gone, even by force, the next may have it.
    let server = server.restart();
    assert_eq!(server.json("/api/messages")["total_count"], 1);
}

#[test]
fn a_bad_setting_stops_the_start_with_one_line_that_names_it() {
    for (args, parts) in [
        (&["--port", "80a"][..], &["PORT", "80a", "want a number"][..]),
        (&["--port", "65536"], &["PORT", "65536"]),
        (&["--host", "nowhere"], &["HOST", "nowhere"]),
        (&["--durability", "most"], &["CATCHUP_DURABILITY", "normal or full"]),
        (&["--rate-limit", "fast"], &["CATCHUP_RATE_LIMIT", "fast"]),
        (&["--rate-limit", "0"], &["CATCHUP_RATE_LIMIT"]),
        (&["--drain-ms", "-1"], &["CATCHUP_DRAIN_MS"]),
        (&["--allow-origin", "example.org"], &["CATCHUP_ALLOW_ORIGIN", "example.org"]),
        (&["--llm-url", "ftp://x"], &["LLM_BASE_URL"]),
    ] {
        // A flag that begins with a dash needs its equals sign.
        let joined = format!("{}={}", args[0], args[1]);
        refuses(&Setup::bare().args(&[&joined]), parts);
    }
    refuses(&Setup::bare().env("PORT", "http"), &["PORT", "http"]);
    refuses(&Setup::bare().env("CATCHUP_QUIET", "maybe"), &["CATCHUP_QUIET", "maybe"]);
    refuses(&Setup::bare().file(".env", "PORT=none\n"), &["PORT", "none"]);
    let open = Setup::bare().env("CATCHUP_TOKEN", OsStr::from_bytes(b"secret\xff"));
    refuses(&open.env("PORT", "none"), &["CATCHUP_TOKEN is not UTF-8"]);
    for (dotenv, part) in [
        (&b"this is no setting\n"[..], "line 1 of .env is not understood"),
        (b"# a\n\nPORT=1\nGROQ_API_KEY=gsk_secret and more\nHOST=::\n", "line 4 of .env is not understood"),
        (b"PORT='1\n2'\nCATCHUP_TOKEN=\"secret\nHOST=::\n", "of .env is not understood"),
        (b"\xef\xbb\xbfPORT=none\n", "PORT is \"none\""),
        (b"CATCHUP_TOKEN=secret\xff\n", "cannot read .env"),
    ] {
        let setup = Setup::bare().file(".env", dotenv);
        refuses(&setup, &[part]);
        // It may be a key that is wrong, and lines like this one end up in logs.
        assert!(!setup.run().2.contains("secret"), "{}", setup.run().2);
    }
    let (status, _, stderr) = Setup::bare().args(&["--prot", "1"]).run();
    assert!(!status.success() && stderr.contains("--prot"), "{stderr}");
}

#[test]
fn flags_go_before_the_environment_before_the_dotenv_file_before_the_defaults() {
    let token = |setup: Setup| {
        let server = setup.file(".env", "CATCHUP_TOKEN=dotenv\nHOST=127.0.0.1\nPORT=0\nCATCHUP_DATA=own.db\n").start();
        assert!(server.path("own.db").exists() && !server.path("catchup.db").exists());
        let is_right = |token: &&&str| server.get(&format!("/api/rooms?token={token}")).status == 200;
        ["flag", "variable", "dotenv"].iter().find(is_right).expect("one of them").to_string()
    };
    assert_eq!(token(Setup::bare()), "dotenv");
    assert_eq!(token(Setup::bare().env("CATCHUP_TOKEN", "variable")), "variable");
    assert_eq!(token(Setup::bare().env("CATCHUP_TOKEN", "variable").args(&["--token", "flag"])), "flag");
    let server = Setup::bare().args(&["--host", "127.0.0.1", "--port", "0"]).start();
    assert!(server.path("catchup.db").exists());
}

#[test]
fn help_names_every_setting_and_version_says_which() {
    let (status, help, _) = Setup::bare().args(&["--help"]).run();
    ends_well(status);
    for setting in catchup::config::SETTINGS {
        assert!(help.contains(&format!("--{}", setting.flag)) && help.contains(setting.variable), "{}", setting.flag);
    }
    for secret in catchup::config::SECRETS {
        assert!(help.contains(secret));
    }
    let (status, version, _) = Setup::bare().args(&["--version"]).run();
    ends_well(status);
    assert_eq!(version.trim(), format!("catchup {}", env!("CARGO_PKG_VERSION")));
}
