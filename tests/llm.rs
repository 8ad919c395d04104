//! Summaries by services that nobody here wrote: llama.cpp's server with real weights, and aimock.
//!
//! `./test.sh --llm` sets them up and runs this; elsewhere it is ignored. What a small model writes is nonsense for the
//! task: what is tested is that every answer is a 200 of the contract's shape, signed by a model or with a notice.

mod support;

#[path = "support/summary.rs"]
mod summary;

use std::env;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use summary::{assert_no_key, say, say_release_talk, told_within};
use support::{Server, Setup, Value, json};

const KEY: &str = "sk-this0is0the0secret0key42";

/// How long llama.cpp may take for an answer: 20 s on an idle core, several times that on a busy one.
const LLAMA_MS: u64 = 200_000;
/// How long the test waits for the server: longer than the server waits for the service.
const PATIENCE: Duration = Duration::from_secs(240);

/// Where a service listens, without a path.
fn address(variable: &str) -> String {
    env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: run ./test.sh --llm"))
}

fn server(address: &str, model: &str, timeout_ms: u64) -> Server {
    Setup::new()
        .env("LLM_BASE_URL", &format!("{address}/v1"))
        .env("LLM_API_KEY", KEY)
        .env("LLM_MODEL", model)
        .env("LLM_TIMEOUT_MS", &timeout_ms.to_string())
        .start()
}

/// Asks, and says in a line what came of it.
fn ask(server: &Server, name: &str, query: &str) -> Value {
    let begun = Instant::now();
    let body = told_within(server, query, PATIENCE);
    println!("{name}: {:.2?}, {}, notice {}", begun.elapsed(), body["engine"], body["notice"]);
    // Who asks for the embedded engine needs no reason.
    let is_by_model = body["engine"] != "embedded" || query.contains("engine=embedded");
    assert!(is_by_model || body["notice"].is_string(), "no model and no notice: {body:#}");
    assert_no_key(server, &body.to_string(), KEY);
    body
}

#[test]
#[ignore = "needs the services that ./test.sh --llm starts"]
fn llama_cpp_answers_or_the_notice_is_true() {
    let llama = address("CATCHUP_TEST_LLAMA");
    // The name decides the form: `gpt-oss` is sent a json_schema, which llama.cpp enforces by its grammar.
    for (name, model) in [("llama.cpp, json_schema", "openai/gpt-oss-20b"), ("llama.cpp, json_object", "smollm2")] {
        let server = server(&llama, model, LLAMA_MS);
        say_release_talk(&server, "lobby");
        let first = ask(&server, name, "username=Dora");
        let engine = format!("127.0.0.1/{model}");
        let notice = first["notice"].as_str().unwrap_or_default();
        let is_judged =
            first["engine"] == *engine || ["not supported", "understood"].iter().any(|why| notice.contains(why));
        assert!(is_judged, "the model was heard, whatever it is worth: {first:#}");
        say(&server, "lobby", "Ann", "The audit is done, we can ship");
        ask(&server, &format!("{name}, one more message"), "username=Dora");
        let begun = Instant::now();
        ask(&server, &format!("{name}, engine=embedded"), "engine=embedded&last=3").as_object().expect("an answer");
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}

#[test]
#[ignore = "needs the services that ./test.sh --llm starts"]
fn a_talk_larger_than_llama_cpp_s_context_is_made_to_fit() {
    let server = server(&address("CATCHUP_TEST_LLAMA"), "openai/gpt-oss-20b", LLAMA_MS);
    for n in 0..300 {
        say(
            &server,
            "lobby",
            ["Ann", "Bob"][n % 2],
            &format!("Point {n} of the release plan needs another look by Friday"),
        );
    }
    let body = ask(&server, "llama.cpp, 300 messages", "");
    let notice = body["notice"].as_str().unwrap_or_default();
    assert!(!notice.contains("size"), "a request of every size is made smaller: {notice}");
    assert_eq!(body["to_id"], 300);
}

#[test]
#[ignore = "needs the services that ./test.sh --llm starts"]
fn aimock_answers_refuses_drops_and_breaks_off() {
    let aimock = address("CATCHUP_TEST_AIMOCK");
    let engine = "127.0.0.1/llama-3.1-8b-instant";
    let check = |name: &str, chaos: Value, said: &str, expect: Result<(), &str>| -> Duration {
        set_chaos(&aimock, &chaos);
        // Each with a server of its own: a service that failed is left alone for a while.
        let server = server(&aimock, "llama-3.1-8b-instant", 8_000);
        say_release_talk(&server, "lobby");
        if !said.is_empty() {
            say(&server, "lobby", "Bob", said);
        }
        let begun = Instant::now();
        let body = ask(&server, &format!("aimock, {name}"), "username=Dora");
        let took = begun.elapsed();
        match expect {
            Ok(()) => {
                assert_eq!(body["engine"], engine, "{name}: {body:#}");
                assert_eq!(body["notice"], Value::Null, "{name}");
                assert_eq!(body["action_items"], json!(["Cid will write the changelog by Thursday."]), "{name}");
                assert_eq!(body["sources"]["key_decisions"], json!([[3, 4]]), "{name}");
            }
            Err(why) => {
                assert_eq!(body["engine"], "embedded", "{name}: {body:#}");
                let notice = body["notice"].as_str().unwrap_or_default();
                assert!(notice.contains(why), "{name}: want {why:?} in {notice:?}");
            }
        }
        assert!(took < Duration::from_secs(12), "{name} took {took:?}");
        took
    };
    check("a good answer", json!({}), "", Ok(()));
    let took = check("429 with retry-after 1, then an answer", json!({}), "the tier is small", Ok(()));
    assert!(took >= Duration::from_secs(1), "asked again after {took:?}");
    check("429 with retry-after 600", json!({}), "the day is over", Err("rate limit"));
    check("drops", json!({"dropRate": 1}), "", Err("error 500"));
    check("malformed", json!({"malformedRate": 1}), "", Err("not a chat completion"));
    check("disconnects", json!({"disconnectRate": 1}), "", Err("broke off"));
    check("429 at random", json!({"rateLimitRate": 1}), "", Err("rate limit"));
    check("late", json!({"latencyMs": 20_000}), "", Err("in time"));
    check("well again", json!({}), "", Ok(()));
}

/// What aimock does to every request from now on.
fn set_chaos(aimock: &str, chaos: &Value) {
    let host = aimock.strip_prefix("http://").expect("loopback speaks plain HTTP");
    let body = chaos.to_string();
    let mut stream = TcpStream::connect(host).expect("aimock listens");
    let head = format!(
        "POST /__aimock/chaos HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).expect("aimock reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("aimock answers");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
