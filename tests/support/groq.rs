//! A stand-in for Groq in the test process: speaks the documented chat-completions API on loopback, well or badly.
//!
//! Each request takes the next move that the test has lined up, or else the standing one. Nothing here sleeps for
//! luck: what waits, waits for the test or for the end of the stand-in.
#![allow(dead_code)]

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long a test waits for something that must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// One request, as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    pub path: String,
    pub authorization: Option<String>,
    pub body: Value,
    /// Tokens of the whole request as a service counts them: the prompt at four characters each, and `max_tokens`.
    pub tokens: u64,
}

impl Seen {
    pub fn model(&self) -> &str {
        self.body["model"].as_str().unwrap_or_default()
    }

    pub fn system(&self) -> &str {
        self.body["messages"][0]["content"].as_str().unwrap_or_default()
    }

    /// What the model gets to read.
    pub fn material(&self) -> Value {
        serde_json::from_str(self.body["messages"][1]["content"].as_str().unwrap_or_default())
            .expect("the material is JSON")
    }

    /// `(id, sender, text)` of each message in it.
    pub fn messages(&self) -> Vec<(u64, String, String)> {
        let material = self.material();
        let of =
            |m: &Value| (m[0].as_u64().unwrap(), m[1].as_str().unwrap().to_owned(), m[2].as_str().unwrap().to_owned());
        material["messages"].as_array().unwrap().iter().map(of).collect()
    }
}

type Writer = dyn Fn(&Seen) -> String + Send + Sync;

/// What the stand-in does with a request.
#[derive(Clone)]
pub enum Move {
    /// Answers truthfully from the messages.
    Honest,
    /// Answers with what the function makes the model write.
    Write(Arc<Writer>),
    /// Answers with this body and status 200.
    Body(String),
    /// Any status, with more headers and a body.
    Status(u16, Vec<(&'static str, String)>, String),
    /// Bytes as they are, then the end of the connection.
    Raw(Vec<u8>),
    /// The head and half of an honest answer, then the end of the connection.
    Cut,
    /// Takes the request and never answers.
    Hang,
    /// An honest answer, a byte at a time with this pause after each.
    Drip(Duration),
    /// An honest answer when the test says so.
    Hold,
}

impl Move {
    pub fn write(text: impl Into<String>) -> Move {
        let text = text.into();
        Move::Write(Arc::new(move |_| text.clone()))
    }

    pub fn error(status: u16, code: &str, message: &str) -> Move {
        let body = json!({"error": {"message": message, "type": "invalid_request_error", "code": code}});
        Move::Status(status, Vec::new(), body.to_string())
    }

    pub fn no_model() -> Move {
        Move::error(404, "model_not_found", "The model does not exist or you do not have access to it.")
    }

    pub fn limited(retry_after: &str) -> Move {
        let body = json!({"error": {"message": "Rate limit reached for model", "type": "tokens", "code": "rate_limit_exceeded"}});
        Move::Status(429, vec![("retry-after", retry_after.to_owned())], body.to_string())
    }

    pub fn too_large() -> Move {
        let message = "Request too large for model on tokens per minute (TPM): Limit 6000, Requested 9294, please reduce your message size and try again.";
        Move::error(413, "rate_limit_exceeded", message)
    }
}

#[derive(Default)]
struct State {
    next: VecDeque<Move>,
    standing: Option<Move>,
    seen: Vec<Seen>,
    held: usize,
    is_released: bool,
    is_over: bool,
    /// Tokens a minute, how many are left, and since when.
    bucket: Option<(u64, f64, Instant)>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// The running stand-in. It ends with this.
pub struct Groq {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Groq {
    pub fn start() -> Groq {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() });
        let serving = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if serving.state.lock().unwrap().is_over {
                    return;
                }
                let shared = serving.clone();
                thread::spawn(move || shared.serve(stream));
            }
        });
        Groq { address, shared }
    }

    /// For `LLM_BASE_URL`.
    pub fn url(&self) -> String {
        format!("http://{}/openai/v1", self.address)
    }

    /// Lines up a move for the next request that has none.
    pub fn then(&self, next: Move) -> &Groq {
        self.shared.state.lock().unwrap().next.push_back(next);
        self
    }

    /// The move for every request without its own.
    pub fn always(&self, standing: Move) -> &Groq {
        self.shared.state.lock().unwrap().standing = Some(standing);
        self
    }

    /// From now on a request may cost no more than this, and all together no more than this each minute.
    pub fn limit(&self, tokens_per_minute: u64) -> &Groq {
        let full = (tokens_per_minute, tokens_per_minute as f64, Instant::now());
        self.shared.state.lock().unwrap().bucket = Some(full);
        self
    }

    /// Every request until now.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.state.lock().unwrap().seen.clone()
    }

    /// Waits until that many requests have arrived.
    pub fn wait_for(&self, count: usize) {
        let state = self.shared.state.lock().unwrap();
        let (state, waited) =
            self.shared.changed.wait_timeout_while(state, PATIENCE, |state| state.seen.len() < count).unwrap();
        drop(state);
        assert!(!waited.timed_out(), "no request number {count} in {PATIENCE:?}");
    }

    /// Lets every held request go on, and those to come.
    pub fn release(&self) {
        self.shared.state.lock().unwrap().is_released = true;
        self.shared.changed.notify_all();
    }
}

impl Drop for Groq {
    fn drop(&mut self) {
        self.shared.state.lock().unwrap().is_over = true;
        self.shared.changed.notify_all();
        // Wakes the accepting thread, which then sees that all is over.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) {
        let Ok(mut out) = stream.try_clone() else { return };
        let mut input = BufReader::new(stream);
        while let Some(seen) = read_request(&mut input) {
            let (next, refusal) = {
                let mut state = self.state.lock().unwrap();
                let refusal = state.refusal(&seen);
                let next = state.next.pop_front().or_else(|| state.standing.clone()).unwrap_or(Move::Honest);
                state.seen.push(seen.clone());
                self.changed.notify_all();
                (next, refusal)
            };
            if !self.play(&mut out, &seen, refusal.unwrap_or(next)) {
                return;
            }
        }
    }

    /// False: the connection ends.
    fn play(&self, out: &mut TcpStream, seen: &Seen, next: Move) -> bool {
        let honest = || completion(seen, &honest(seen), "stop");
        let headers = self.limit_headers();
        match next {
            Move::Honest => respond(out, 200, &headers, &honest()),
            Move::Write(writer) => respond(out, 200, &headers, &completion(seen, &writer(seen), "stop")),
            Move::Body(body) => respond(out, 200, &headers, &body),
            Move::Status(status, mut more, body) => {
                more.extend(headers);
                respond(out, status, &more, &body)
            }
            Move::Raw(bytes) => {
                let _ = out.write_all(&bytes);
                false
            }
            Move::Cut => {
                let body = honest();
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                let _ = out.write_all(head.as_bytes());
                let _ = out.write_all(&body.as_bytes()[..body.len() / 2]);
                false
            }
            Move::Hang => {
                self.wait_while(|state| !state.is_over);
                false
            }
            Move::Hold => {
                self.state.lock().unwrap().held += 1;
                self.wait_while(|state| !state.is_released && !state.is_over);
                respond(out, 200, &headers, &honest())
            }
            Move::Drip(pause) => {
                let body = honest();
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                for byte in head.bytes().chain(body.bytes()) {
                    if out.write_all(&[byte]).is_err() {
                        return false;
                    }
                    let state = self.state.lock().unwrap();
                    let (state, _) = self.changed.wait_timeout_while(state, pause, |state| !state.is_over).unwrap();
                    if state.is_over {
                        return false;
                    }
                }
                true
            }
        }
    }

    fn wait_while(&self, condition: impl Fn(&State) -> bool) {
        let state = self.state.lock().unwrap();
        drop(self.changed.wait_while(state, |state| condition(state)).unwrap());
    }

    fn limit_headers(&self) -> Vec<(&'static str, String)> {
        let state = self.state.lock().unwrap();
        let Some((limit, left, _)) = state.bucket else { return Vec::new() };
        let missing = (limit as f64 - left) / (limit as f64 / 60.0);
        vec![
            ("x-ratelimit-limit-tokens", limit.to_string()),
            ("x-ratelimit-remaining-tokens", (left as u64).to_string()),
            ("x-ratelimit-reset-tokens", format!("{missing:.2}s")),
        ]
    }
}

impl State {
    /// 413 for what can never go through, 429 for what cannot now, as on the free tier.
    fn refusal(&mut self, seen: &Seen) -> Option<Move> {
        let (limit, left, at) = self.bucket.as_mut()?;
        *left = (*left + at.elapsed().as_secs_f64() * *limit as f64 / 60.0).min(*limit as f64);
        *at = Instant::now();
        if seen.tokens > *limit {
            return Some(Move::too_large());
        }
        if seen.tokens as f64 > *left {
            let wait = (seen.tokens as f64 - *left) / (*limit as f64 / 60.0);
            return Some(Move::limited(&format!("{}", wait.ceil())));
        }
        *left -= seen.tokens as f64;
        None
    }
}

fn read_request(input: &mut BufReader<TcpStream>) -> Option<Seen> {
    let mut line = String::new();
    input.read_line(&mut line).ok().filter(|count| *count > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let (mut length, mut authorization) = (0, None);
    loop {
        line.clear();
        input.read_line(&mut line).ok().filter(|count| *count > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "authorization" => authorization = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    input.read_exact(&mut body).ok()?;
    let body: Value = serde_json::from_slice(&body).ok()?;
    let prompt: usize =
        body["messages"].as_array()?.iter().map(|m| m["content"].as_str().unwrap_or_default().len()).sum();
    let answer = body["max_tokens"].as_u64().or(body["max_completion_tokens"].as_u64()).unwrap_or(1024);
    Some(Seen { path, authorization, tokens: prompt as u64 / 4 + answer, body })
}

fn respond(out: &mut TcpStream, status: u16, headers: &[(&'static str, String)], body: &str) -> bool {
    let mut head =
        format!("HTTP/1.1 {status} Whatever\r\ncontent-type: application/json\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    out.write_all(head.as_bytes()).and_then(|()| out.write_all(body.as_bytes())).is_ok()
}

/// The frame of a chat completion around what the model wrote.
pub fn completion(seen: &Seen, content: &str, finish: &str) -> String {
    let prompt: usize =
        seen.body["messages"].as_array().unwrap().iter().map(|m| m["content"].as_str().unwrap().len()).sum();
    json!({
        "id": "chatcmpl-stand-in",
        "object": "chat.completion",
        "created": 1,
        "model": seen.model(),
        "choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": finish, "logprobs": null}],
        "usage": {"prompt_tokens": prompt / 4, "completion_tokens": content.len() / 4, "total_tokens": (prompt + content.len()) / 4},
        "x_groq": {"id": "req_stand_in"},
    })
    .to_string()
}

/// What a model would write that only quotes.
pub fn honest(seen: &Seen) -> String {
    let messages = seen.messages();
    let clip = |text: &str| text.chars().take(120).collect::<String>();
    let said = |(id, sender, text): &(u64, String, String)| json!({"text": format!("{sender} said {}", clip(text)), "ids": [id]});
    let having = |words: &[&str]| -> Vec<Value> {
        messages.iter().filter(|(_, _, text)| words.iter().any(|word| text.contains(word))).take(6).map(said).collect()
    };
    let tasks: Vec<Value> = messages
        .iter()
        .filter(|(_, _, text)| text.contains("I'll "))
        .take(6)
        .map(|(id, sender, text)| {
            let what = text.split("I'll ").nth(1).unwrap_or_default();
            json!({"owner": sender, "text": format!("{sender} will {}", clip(what)), "ids": [id]})
        })
        .collect();
    let long: Vec<Value> = messages.iter().filter(|(_, _, text)| text.len() > 20).take(8).map(said).collect();
    let summary =
        long.first().cloned().or_else(|| messages.first().map(said)).unwrap_or(json!({"text": "", "ids": []}));
    let notes: Vec<Value> = seen.material()["notes"]
        .as_array()
        .map(|notes| {
            notes
                .iter()
                .filter(|note| note[0] == "point")
                .take(6)
                .map(|note| json!({"text": note[1], "ids": note[2]}))
                .collect()
        })
        .unwrap_or_default();
    let summary = if summary["text"] == "" { notes.first().cloned().unwrap_or(summary) } else { summary };
    let points = [long, notes].concat();
    json!({
        "summary": summary,
        "bullet_points": points,
        "key_decisions": having(&["decided", "agreed", "Let's go"]),
        "action_items": tasks,
        "open_questions": having(&["?"]),
    })
    .to_string()
}
