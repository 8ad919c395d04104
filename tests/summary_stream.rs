//! Summaries as server-sent events, what a client that leaves costs the others, and the switches that keep text at home.

#[path = "support/groq.rs"]
mod groq;
#[path = "support/summary.rs"]
mod summary;
mod support;

use groq::{Groq, Move};
use summary::{say_release_talk, told};
use support::{Client, Http, Server, Setup, Value, json};

fn with_service(groq: &Groq) -> Setup {
    Setup::new().env("LLM_BASE_URL", &groq.url()).env("LLM_MODEL", "llama-3.1-8b-instant").env("NO_PROXY", "*")
}

/// Asks for events and reads all of them: names and data.
fn events(server: &Server, query: &str) -> Vec<(String, Value)> {
    let mut http = Http::to(server);
    http.send(format!(
        "POST /api/summarize?{query} HTTP/1.1\r\nHost: x\r\nAccept: application/json;q=0.5, text/event-stream\r\n\
         Content-Length: 0\r\n\r\n"
    ));
    let response = http.response();
    assert_eq!((response.status, response.header("content-type")), (200, Some("text/event-stream")));
    assert_eq!(response.header("cache-control"), Some("no-store"));
    let text = response.text();
    let event = |block: &str| {
        let (name, data) = block.split_once('\n').unwrap_or_else(|| panic!("one line only: {block:?}"));
        let (name, data) = (name.strip_prefix("event: ").unwrap(), data.strip_prefix("data: ").unwrap());
        (name.to_owned(), serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data:?}")))
    };
    text.split_terminator("\n\n").map(event).collect()
}

/// A talk that the model reads in several parts.
fn say_long_talk(server: &Server) {
    let mut ann = Client::join(server, "Ann");
    let filler = "the search index was rebuilt on the second machine and the numbers look as they did before the move "
        .repeat(8);
    ann.say_all((0..80).map(|n| format!("Report {n}: {filler}")));
    server.has_messages("lobby", 80);
}

#[test]
fn progress_comes_before_the_summary_and_counts_up_to_it() {
    let groq = Groq::start();
    let server = with_service(&groq).start();
    say_long_talk(&server);
    let heard = events(&server, "username=Zoe");
    let (last, before) = heard.split_last().expect("events");
    assert_eq!(last.0, "summary");
    assert_eq!((&last.1["engine"], &last.1["total_messages"]), (&json!("127.0.0.1/llama-3.1-8b-instant"), &json!(80)));
    assert!(before.len() >= 3, "several parts: {before:?}");
    let of = before[0].1["of"].clone();
    for (at, (name, data)) in before.iter().enumerate() {
        assert_eq!((name.as_str(), &data["done"], &data["of"]), ("progress", &json!(at), &of));
    }
    assert_eq!(of, before.len(), "each part is told, the last call among them");
    // The question counts as read what it told of, and is answered from the cache without progress.
    let again = events(&server, "username=Zoe");
    assert_eq!((again.len(), &again[0].0[..], &again[0].1["unread_count"]), (1, "summary", &json!(0)));
}

#[test]
fn the_embedded_engine_streams_its_summary_at_once() {
    let server = Server::start();
    say_release_talk(&server, "lobby");
    let heard = events(&server, "username=Zoe");
    assert_eq!((heard.len(), &heard[0].0[..]), (1, "summary"));
    let plain = told(&server, "");
    for field in ["summary", "key_decisions", "action_items", "sources"] {
        let (streamed, asked) = (&heard[0].1[field], &plain[field]);
        assert!(field == "sources" || streamed == asked, "{field}: {streamed} and {asked}");
    }
    // Whoever does not ask for events gets none, and a bad question is refused as ever.
    let mut http = Http::to(&server);
    http.send(
        "POST /api/summarize?last=0 HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nContent-Length: 0\r\n\r\n",
    );
    let response = http.response();
    assert_eq!((response.status, response.header("content-type")), (400, Some("application/json")));
}

#[test]
fn who_leaves_takes_nothing_from_those_who_wait_for_the_same() {
    let groq = Groq::start();
    groq.then(Move::Hold);
    let server = with_service(&groq).env("LLM_TIMEOUT_MS", "60000").start();
    say_release_talk(&server, "lobby");
    let ask = "POST /api/summarize HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nContent-Length: 0\r\n\r\n";
    let (mut leaver, mut stayer) = (Http::to(&server), Http::to(&server));
    leaver.send(ask);
    groq.wait_for(1);
    stayer.ask("POST", "/api/summarize");
    drop(leaver);
    // The server has noticed that the leaver is gone when it serves somebody who came after that.
    assert_eq!(server.get("/healthz").status, 200);
    groq.release();
    let response = stayer.response();
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(groq.seen().len(), 1, "one call for both: {}", response.text());
}

#[test]
fn no_llm_asks_nobody_and_says_so() {
    let groq = Groq::start();
    let server = with_service(&groq).env("LLM_API_KEY", "k").args(&["--no-llm"]).start();
    say_release_talk(&server, "lobby");
    let body = told(&server, "username=Zoe");
    assert_eq!(body["engine"], "embedded");
    assert!(body["notice"].as_str().is_some_and(|notice| notice.contains("switched off")), "{body:#}");
    assert!(groq.seen().is_empty(), "nothing left the machine");
}

#[test]
fn a_spent_day_is_told_and_costs_no_call() {
    let groq = Groq::start();
    let server = with_service(&groq).args(&["--llm-budget-per-day", "4000"]).start();
    say_release_talk(&server, "one");
    say_release_talk(&server, "two");
    let mut engines = Vec::new();
    for room in ["one", "two", "one&last=3", "two&last=3", "one&last=4", "two&last=4", "one&last=5", "two&last=5"] {
        let body = told(&server, &format!("room={room}"));
        let is_embedded = body["engine"] == "embedded";
        let notice = body["notice"].as_str().unwrap_or_default();
        assert_eq!(is_embedded, notice.contains("today's token budget for the language model is used up"), "{body:#}");
        engines.push(is_embedded);
    }
    assert_eq!((engines[0], engines[7]), (false, true), "the day is spent within eight questions: {engines:?}");
    let calls = groq.seen().len();
    told(&server, "room=one&last=2");
    assert_eq!(groq.seen().len(), calls);
}
