//! Summaries from the real server: always an answer and a true notice, exact read marks, and nobody learns the key.

mod support;

#[path = "support/groq.rs"]
mod groq;
#[path = "support/summary.rs"]
mod summary;

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use catchup::summary::ASKS_MAX;
use groq::{Groq, Move};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};
use summary::{assert_no_key, say, say_release_talk, told};
use support::{Client, Http, Response, Server, Setup, WAIT, ids, json};

const KEY: &str = "gsk_this0is0the0secret0key42";
/// How long the server waits for a service that does not answer.
const DEADLINE_MS: u64 = 1500;

fn with_service(url: &str) -> Setup {
    let deadline = DEADLINE_MS.to_string();
    Setup::new().env("LLM_BASE_URL", url).env("GROQ_API_KEY", KEY).env("LLM_TIMEOUT_MS", &deadline)
}

fn unread(server: &Server, name: &str) -> Vec<u64> {
    ids(&server.json(&format!("/api/messages?username={name}")))
}

/// The service does this to every request: the answer is a 200 of the embedded engine, in time, and says why.
fn check_falls_back(url: &str, expect: &str) {
    let server = with_service(url).start();
    say_release_talk(&server, "lobby");
    let begun = Instant::now();
    let body = told(&server, "username=Dora");
    let took = begun.elapsed();
    assert_eq!(body["engine"], "embedded", "{body:#}");
    let notice = body["notice"].as_str().unwrap_or_default();
    assert!(notice.contains(expect), "want {expect:?} in {notice:?}");
    assert!(took < Duration::from_millis(DEADLINE_MS) + Duration::from_secs(3), "{expect}: took {took:?}");
    assert_eq!(body["unread_count"], 6);
    assert_eq!(body["sources"]["key_decisions"][0][0], 3, "a useful answer: {body:#}");
    assert_eq!(body["sources"]["action_items"], json!([[5]]), "a useful answer: {body:#}");
    assert_no_key(&server, &body.to_string(), KEY);
    assert_eq!(unread(&server, "Dora"), [0u64; 0], "an answer of the embedded engine is an answer");
}

fn check_move(next: Move, expect: &str) {
    let groq = Groq::start();
    groq.always(next);
    check_falls_back(&groq.url(), expect);
    assert!(!groq.seen().is_empty());
}

#[test]
fn every_refusal_of_the_service_ends_in_an_answer_and_a_true_notice() {
    check_move(Move::error(401, "invalid_api_key", &format!("Invalid API Key {KEY}")), "refused the API key");
    check_move(Move::error(403, "forbidden", KEY), "refused the API key");
    check_move(Move::no_model(), "none of the models");
    check_move(Move::error(400, "model_decommissioned", "The model has been decommissioned"), "none of the models");
    check_move(Move::too_large(), "size");
    check_move(Move::limited("600"), "rate limit");
    check_move(Move::Status(404, vec![], "<html>".into()), "no chat-completions service");
    check_move(Move::Status(429, vec![], String::new()), "rate limit");
    for status in [498, 500, 502, 503] {
        check_move(Move::Status(status, vec![], format!("oops {KEY}")), &status.to_string());
    }
    check_move(Move::Status(302, vec![("location", "http://127.0.0.1:1/".into())], String::new()), "302");
}

#[test]
fn every_answer_that_is_none_ends_in_an_answer_and_a_true_notice() {
    check_move(Move::Body("{broken".into()), "not a chat completion");
    check_move(Move::Body(r#"{"choices":[]}"#.into()), "not a chat completion");
    check_move(Move::write("I am sorry, I cannot do that."), "not JSON");
    check_move(Move::write(r#"{"summary": "Ann ships the release on Friday", "bullet_points": ["#), "not JSON");
    check_move(Move::write(r#"{"summary": "Ann ships the release on Friday"}"#), "missing");
    check_move(Move::write(r#"{"summary":7,"bullet_points":[],"key_decisions":[],"action_items":[]}"#), "wrong type");
    let lie = r#"{"summary":{"text":"Eve sold the company to Mallory","ids":[1]},"bullet_points":[],"key_decisions":[{"text":"Pay Eve 9000","ids":[3]}],"action_items":[],"open_questions":[]}"#;
    check_move(Move::write(lie), "not supported by the messages");
    check_move(Move::Raw(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), "not HTTP");
    check_move(Move::Raw(Vec::new()), "broke off");
    check_move(Move::Cut, "broke off");
    check_move(Move::Hang, "in time");
    check_move(Move::Drip(Duration::from_millis(30)), "in time");
}

#[test]
fn a_service_that_cannot_be_reached_ends_in_an_answer_and_a_true_notice() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    check_falls_back(&format!("http://{closed}/v1"), "connection refused");
    check_falls_back("http://no-such-host.invalid/v1", "its name");
    check_falls_back(&format!("https://{}/v1", speaks_plain_http()), "no secure connection");
    let untrusted = speaks_tls_that_nobody_trusts();
    check_falls_back(&format!("https://{untrusted}/v1"), "its certificate is not trusted");
    check_falls_back(&format!("https://localhost:{}/v1", untrusted.port()), "its certificate is not trusted");
}

/// A listener that speaks HTTP to whoever wants TLS.
fn speaks_plain_http() -> SocketAddr {
    serve(|mut stream| {
        drop(stream.read(&mut [0; 512]));
        drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
        drop(stream.shutdown(Shutdown::Write));
        drop(stream.read_to_end(&mut Vec::new()));
    })
}

/// A TLS server with a certificate that it has signed itself, and that would answer whoever did not mind.
fn speaks_tls_that_nobody_trusts() -> SocketAddr {
    let fixture = |name: &str| {
        fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).expect("the fixture is there")
    };
    let certificate = CertificateDer::from(fixture("untrusted-cert.der"));
    // Made for this test, and used for nothing else.
    let key = PrivateKeyDer::Pkcs8(fixture("untrusted-key.der").into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has them")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("the key fits the certificate");
    let config = Arc::new(config);
    serve(move |mut stream| {
        let mut connection = ServerConnection::new(config.clone()).expect("the configuration is whole");
        let mut tls = rustls::Stream::new(&mut connection, &mut stream);
        if matches!(tls.read(&mut [0; 4096]), Ok(count) if count > 0) {
            eprintln!("the request went to a stranger");
            drop(tls.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
        }
    })
}

fn serve(each: impl Fn(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || listener.incoming().flatten().for_each(each));
    address
}

/// It was cut off without an answer.
#[test]
fn a_stop_answers_who_waits_for_a_service_that_hangs() {
    let groq = Groq::start();
    groq.always(Move::Hang);
    let mut server = with_service(&groq.url()).env("LLM_TIMEOUT_MS", "30000").start();
    say_release_talk(&server, "lobby");
    let mut zoe = Http::to(&server);
    zoe.ask("POST", "/api/summarize?username=Zoe");
    groq.wait_for(1);
    server.signal("TERM");
    let response = zoe.response();
    assert_eq!((response.status, response.detail()), (503, "the server is stopping".to_owned()));
    assert!(zoe.is_over());
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn what_the_answer_covers_counts_as_read_and_what_came_meanwhile_does_not() {
    let groq = Groq::start();
    groq.always(Move::Hold);
    let server = with_service(&groq.url()).env("LLM_TIMEOUT_MS", "30000").start();
    say_release_talk(&server, "lobby");
    let mut zoe = Http::to(&server);
    zoe.ask("POST", "/api/summarize?username=Zoe");
    groq.wait_for(1);
    say(&server, "lobby", "Bob", "I'll bring cake on Friday");
    say(&server, "lobby", "Ann", "The audit is done");
    assert_eq!(unread(&server, "Zoe"), [1, 2, 3, 4, 5, 6, 7, 8], "nothing is read before it is told");
    groq.release();
    let response = zoe.response();
    assert_eq!(response.status, 200, "{}", response.text());
    let body = response.json();
    assert_eq!(body["engine"], "127.0.0.1/llama-3.1-8b-instant", "{body:#}");
    assert_eq!((&body["to_id"], &body["unread_count"]), (&json!(6), &json!(6)));
    assert_eq!(unread(&server, "Zoe"), [7, 8]);
    assert_eq!(unread(&server, "ZOE"), [7, 8], "one person, however she writes her name");

    let body = told(&server, "username=Zoe");
    assert_eq!((&body["to_id"], &body["unread_count"]), (&json!(8), &json!(2)));
    assert_eq!(unread(&server, "Zoe"), [0u64; 0]);
    let body = told(&server, "");
    assert_eq!(body["unread_count"], 8, "who gives no name has read nothing");
    assert_eq!(unread(&server, "Dora").len(), 8, "others have their own marks");
    // An answer about an older part takes nothing back.
    assert_eq!(told(&server, "username=Zoe&last=1")["unread_count"], 0);
    assert_eq!(unread(&server, "Zoe"), [0u64; 0]);
}

#[test]
fn a_request_that_fails_since_the_queue_is_full_moves_nothing() {
    const MORE: usize = 44;
    let groq = Groq::start();
    groq.always(Move::Hold);
    let server = Arc::new(with_service(&groq.url()).env("LLM_TIMEOUT_MS", "60000").start());
    say_release_talk(&server, "lobby");
    let (send, answers) = channel::<Response>();
    let ask = |_| {
        let (server, send) = (server.clone(), send.clone());
        thread::spawn(move || send.send(server.post("/api/summarize?username=Zoe", "")))
    };
    let asking: Vec<_> = (0..ASKS_MAX + MORE).map(ask).collect();
    for _ in 0..MORE {
        let response = answers.recv_timeout(WAIT).expect("those over the bound are told at once");
        assert_eq!(response.status, 503, "{}", response.text());
        assert!(response.header("retry-after").is_some_and(|seconds| seconds.parse::<u64>().is_ok()), "{response:?}");
        assert!(response.detail().contains("too many summaries"));
    }
    assert_eq!(unread(&server, "Zoe"), [1, 2, 3, 4, 5, 6], "a failed request moves nothing");
    groq.release();
    for _ in 0..ASKS_MAX {
        assert_eq!(answers.recv_timeout(WAIT).expect("all others are answered").status, 200);
    }
    asking.into_iter().for_each(|thread| drop(thread.join()));
    assert_eq!(unread(&server, "Zoe"), [0u64; 0]);
    assert!(groq.seen().len() <= 2, "one question, asked once: {} calls", groq.seen().len());
}

#[test]
fn a_request_that_fails_since_the_store_does_moves_nothing() {
    let server = Setup::new().start();
    say_release_talk(&server, "lobby");
    // The log's own threads have the file open; the summary worker opens it when it is first asked.
    let (path, away) = (server.path("test.db"), server.path("away.db"));
    fs::rename(&path, &away).expect("the file is there");
    let response = server.post("/api/summarize?username=Zoe", "");
    assert_eq!(response.status, 503, "{}", response.text());
    assert!(response.detail().contains("is not there"), "{}", response.text());
    assert_eq!(unread(&server, "Zoe"), [1, 2, 3, 4, 5, 6], "a failed request moves nothing");
    fs::rename(&away, &path).expect("the file is there");
    assert_eq!(told(&server, "username=Zoe")["unread_count"], 6);
    assert_eq!(unread(&server, "Zoe"), [0u64; 0]);
}

#[test]
fn the_key_is_taken_from_the_environment_or_from_the_file_and_told_to_nobody() {
    let check = |name: &str, setup: Setup| {
        let groq = Groq::start();
        let setup = setup.env("LLM_BASE_URL", &groq.url());
        let server = setup.start();
        say_release_talk(&server, "lobby");
        let body = told(&server, "username=Zoe");
        assert_eq!(body["engine"], "127.0.0.1/llama-3.1-8b-instant", "{name}: {body:#}");
        let expect = format!("Bearer {KEY}");
        assert_eq!(groq.seen()[0].authorization.as_deref(), Some(&*expect), "{name}");
        for target in ["/", "/healthz", "/metrics", "/openapi.json", "/api/rooms", "/api/messages", "/nowhere"] {
            assert!(!server.get(target).text().contains(KEY), "{name}: {target}");
        }
        assert_no_key(&server, &body.to_string(), KEY);
    };
    check("environment", Setup::new().env("GROQ_API_KEY", KEY));
    check(".env", Setup::new().file(".env", format!("GROQ_API_KEY={KEY}\n")));
    let both = Setup::new().file(".env", "GROQ_API_KEY=gsk_of_the_file\n").env("GROQ_API_KEY", KEY);
    check("the environment before the file", both);
    check("with blanks and quotes", Setup::new().file(".env", format!("GROQ_API_KEY=\" {KEY} \"\n")));
}

#[test]
fn a_key_that_cannot_be_sent_or_a_bad_setting_is_told_without_it() {
    let groq = Groq::start();
    let server = Setup::new().env("LLM_BASE_URL", &groq.url()).env("GROQ_API_KEY", &format!("{KEY}\nx: y")).start();
    say_release_talk(&server, "lobby");
    let body = told(&server, "");
    assert!(body["notice"].as_str().is_some_and(|notice| notice.contains("refused the API key")), "{body:#}");
    assert!(groq.seen().is_empty());
    assert_no_key(&server, &body.to_string(), KEY);
    let (status, stdout, stderr) = Setup::new().env("GROQ_API_KEY", KEY).args(&["--port", "many"]).run();
    assert!(!status.success() && !stdout.contains(KEY) && !stderr.contains(KEY), "{stdout} {stderr}");
}

#[test]
fn the_chat_moves_while_ten_summaries_hang() {
    const ROUNDS: usize = 200;
    let groq = Groq::start();
    groq.always(Move::Hang);
    let server = with_service(&groq.url()).env("LLM_TIMEOUT_MS", "60000").start();
    let hanging: Vec<Http> = (0..10)
        .map(|n| {
            let room = format!("room-{n}");
            say_release_talk(&server, &room);
            let mut http = Http::to(&server);
            http.ask("POST", &format!("/api/summarize?username=Zoe&room={room}"));
            http
        })
        .collect();
    groq.wait_for(4);
    let (mut ann, mut bob) = (Client::join(&server, "Ann"), Client::join(&server, "Bob"));
    for n in 0..ROUNDS {
        ann.say(&format!("message {n}"));
        assert_eq!(bob.next_of("message")["message"], format!("message {n}"));
    }
    // Who wants no model, waits for none: all ten still hang.
    assert_eq!(told(&server, "username=Yan&engine=embedded")["engine"], "embedded");
    assert_eq!(groq.seen().len(), 4, "none has ended");
    for mut http in hanging {
        http.end();
    }
}

#[test]
fn after_a_crash_the_same_question_costs_no_call() {
    let groq = Groq::start();
    let server = with_service(&groq.url()).start();
    say_release_talk(&server, "lobby");
    let first = told(&server, "username=Zoe");
    assert_eq!((&first["engine"], &first["cached"]), (&json!("127.0.0.1/llama-3.1-8b-instant"), &json!(false)));
    // A part is kept behind the batch that it came in: two marks later it is in the file.
    told(&server, "username=Zoe");
    told(&server, "username=Zoe");
    let calls = groq.seen().len();
    let server = server.restart();
    let again = told(&server, "username=Zoe");
    assert_eq!(groq.seen().len(), calls, "no call");
    assert_eq!((&again["engine"], &again["cached"]), (&first["engine"], &json!(true)));
    for field in ["summary", "bullet_points", "key_decisions", "action_items", "open_questions", "participants"] {
        assert_eq!(again[field], first[field], "{field}");
    }
    assert_eq!(again["unread_count"], 0);
    // Also while the service rests, or is gone for good.
    groq.always(Move::error(401, "invalid_api_key", "no"));
    assert_eq!(told(&server, "last=2")["engine"], "embedded");
    assert_eq!(told(&server, "username=Dora")["summary"], first["summary"]);
}
