//! Measures the page: the real server, real Chromium, on a quiet machine.
//!
//! `cargo build --release && cargo run --release --example page_speed -- first|scroll|flood|hour` prints the figures
//! that docs/PAGE.md tells. It judges nothing.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket, connect};

#[allow(dead_code, reason = "the tests use the rest of it")]
#[path = "../tests/support/browser.rs"]
mod browser;
#[path = "../tests/support/wait.rs"]
mod wait;

use browser::{Browser, Tab};
use wait::eventually;

/// As in the tests, whose browser this borrows.
pub const WAIT: Duration = Duration::from_secs(60);

const TEXT: &str =
    "The sign-up form is live with the new date and the `rate limit`, see https://example.org/forms @Tom";

struct Server {
    child: Child,
    url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn serve() -> Result<Server, Box<dyn Error>> {
    let program = std::env::current_exe()?;
    let program: PathBuf = program.ancestors().nth(2).ok_or("an example lies in target/…/examples")?.join("catchup");
    let args = ["--host", "127.0.0.1", "--port", "0", "--quiet", "--ephemeral", "--rate-limit", "off"];
    let mut child = Command::new(&program).args(args).stderr(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(child.stderr.take().ok_or("it is piped")?).lines();
    let mut server = Server { child, url: String::new() };
    for line in lines.by_ref() {
        if let Some(url) = line?.strip_prefix("Catchup listens on ") {
            server.url = url.to_owned();
            std::thread::spawn(move || lines.for_each(drop));
            return Ok(server);
        }
    }
    Err("the server ended before it listened".into())
}

/// Somebody who says much.
struct Sender {
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    said: usize,
}

impl Sender {
    fn join(url: &str, name: &str) -> Result<Sender, Box<dyn Error>> {
        let (socket, _) = connect(format!("{}/ws?username={name}", url.replace("http", "ws")))?;
        Ok(Sender { socket, said: 0 })
    }

    fn say(&mut self, count: usize) -> Result<(), Box<dyn Error>> {
        for _ in 0..count {
            self.said += 1;
            self.socket.write(Message::text(
                json!({"type": "message", "message": format!("{} {TEXT}", self.said)}).to_string(),
            ))?;
        }
        Ok(self.socket.flush()?)
    }

    /// At an even pace, ten times a second at least; returns how long it took.
    fn say_paced(&mut self, rate: usize, seconds: usize) -> Result<Duration, Box<dyn Error>> {
        let (begun, step) = (Instant::now(), rate.min(100));
        for round in 0..rate * seconds / step {
            let due = begun + Duration::from_secs_f64(round as f64 * step as f64 / rate as f64);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            self.say(step)?;
        }
        Ok(begun.elapsed())
    }
}

fn join(tab: &Tab, url: &str) {
    tab.go(url);
    tab.eval("usernameInput.value = 'Lena'; connectBtn.click()");
    tab.until("document.getElementById('status').textContent == 'Connected'");
}

/// Counts long tasks (over 50 ms), frames, and how long keys take until the next frame shows them.
const WATCH: &str = "
    window.tasks = []; window.inputs = []; window.frames = []
    new PerformanceObserver(list => tasks.push(...list.getEntries().map(one => one.duration))).observe({type: 'longtask'})
    new PerformanceObserver(list => inputs.push(...list.getEntries().filter(one => one.name == 'keydown').map(one => one.duration))).observe({type: 'event', durationThreshold: 16})
    let last = performance.now(), turn = now => {frames.push(now - last); last = now; requestAnimationFrame(turn)}
    requestAnimationFrame(now => {last = now; requestAnimationFrame(turn)})";

fn told(tab: &Tab, what: &str) {
    let worst = "list => list.length ? Math.round(Math.max(...list)) : 0";
    let figures = tab.eval(&format!(
        "({{frames: frames.length, framesOver50ms: frames.filter(one => one > 50).length, longestFrame: ({worst})(frames),
           longTasks: tasks.length, longestTask: ({worst})(tasks), slowKeys: inputs.length, slowestKey: ({worst})(inputs)}})"
    ));
    println!("{what}: {figures}");
}

fn first() -> Result<(), Box<dyn Error>> {
    let (server, browser) = (serve()?, Browser::start());
    let mut sender = Sender::join(&server.url, "Maya")?;
    sender.say(200)?;
    let ready = "window.readyAt = 0; addEventListener('focusin', () => readyAt ||= performance.now(), true)";
    // The last is what Chromium itself takes for a line of text.
    for kind in ["new", "reload, joined", "new, /healthz"] {
        let (mut paints, mut readies) = (Vec::new(), Vec::new());
        // The first warms Chromium up.
        for round in 0..11 {
            let tab = browser.blank();
            tab.run_first(ready);
            if kind == "new" {
                tab.go(&server.url);
            } else if kind.ends_with("/healthz") {
                tab.go(&format!("{}/healthz", server.url));
                tab.eval("readyAt = 1");
            } else {
                join(&tab, &server.url);
                tab.until("document.querySelectorAll('.row').length > 10");
                tab.reload();
                tab.until("document.getElementById('status').textContent == 'Connected'");
            }
            tab.until("performance.getEntriesByName('first-contentful-paint').length > 0 && readyAt > 0");
            let paint =
                tab.eval("performance.getEntriesByName('first-contentful-paint')[0].startTime").as_f64().unwrap_or(0.0);
            let ready = tab.eval("readyAt").as_f64().unwrap_or(0.0);
            if kind.starts_with("reload") {
                tab.eval("disconnectBtn.click()");
            }
            if round == 1 {
                let steps = "(({responseStart, responseEnd, domInteractive, loadEventEnd}) => ({responseStart, responseEnd, domInteractive, loadEventEnd}))(performance.getEntriesByType('navigation')[0])";
                println!("{kind}, in one load: {}", tab.eval(steps));
            }
            if round > 0 {
                paints.push(paint);
                readies.push(ready);
            }
        }
        paints.sort_by(f64::total_cmp);
        readies.sort_by(f64::total_cmp);
        println!(
            "{kind}: first paint median {:.0} ms, worst {:.0} ms; ready to type median {:.0} ms, worst {:.0} ms",
            paints[5], paints[9], readies[5], readies[9]
        );
    }
    Ok(())
}

fn scroll() -> Result<(), Box<dyn Error>> {
    let (server, browser) = (serve()?, Browser::start());
    let mut sender = Sender::join(&server.url, "Maya")?;
    sender.say(10_000)?;
    let tab = browser.blank();
    tab.resize(1280, 800);
    join(&tab, &server.url);
    tab.until("head == 10000 && high == head");
    tab.eval(WATCH);
    let begun = Instant::now();
    tab.eval(
        "window.done = false
         void (async () => {
            while (!(document.getElementById('m1') && messages.scrollTop == 0)) {
                messages.scrollTop -= 400
                await new Promise(requestAnimationFrame)
            }
            done = true
         })()",
    );
    tab.until("done");
    told(&tab, &format!("10,000 messages scrolled up in {:.1} s", begun.elapsed().as_secs_f64()));
    println!("rows on the page: {}", tab.eval("document.querySelectorAll('.row').length"));
    Ok(())
}

fn flood() -> Result<(), Box<dyn Error>> {
    let (server, browser) = (serve()?, Browser::start());
    let mut sender = Sender::join(&server.url, "Maya")?;
    let tab = browser.blank();
    tab.resize(1280, 800);
    join(&tab, &server.url);
    tab.eval(WATCH);
    let typist = std::thread::spawn(move || sender.say_paced(1000, 10).map_err(|error| error.to_string()));
    // Somebody types meanwhile: ten keys a second.
    tab.eval("messageInput.focus()");
    let mut slowest = Duration::ZERO;
    while !typist.is_finished() {
        let key = Instant::now();
        tab.press("a");
        slowest = slowest.max(key.elapsed());
        std::thread::sleep(Duration::from_millis(100));
    }
    let took = typist.join().expect("it does not panic")?;
    tab.until("head == 10000 && high == head");
    told(&tab, &format!("1,000 a second for {:.1} s", took.as_secs_f64()));
    println!("keys: {}, the slowest key seen from outside {slowest:?}", tab.eval("messageInput.value.length"));
    Ok(())
}

fn hour() -> Result<(), Box<dyn Error>> {
    let (server, browser) = (serve()?, Browser::start());
    let mut sender = Sender::join(&server.url, "Maya")?;
    let tab = browser.blank();
    join(&tab, &server.url);
    for batch in 1..=9 {
        sender.say_paced(2000, 2)?;
        tab.until(&format!("head == {} && high == head", batch * 4000));
        tab.call("HeapProfiler.collectGarbage", json!({}));
        let heap = tab.call("Runtime.getHeapUsage", json!({}))["usedSize"].as_u64().unwrap_or(0);
        let counts: Value = tab.call("Memory.getDOMCounters", json!({}));
        println!(
            "{} messages: {} KB of JavaScript heap, {} nodes, {} listeners",
            batch * 4000,
            heap / 1024,
            counts["nodes"],
            counts["jsEventListeners"]
        );
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args().nth(1).as_deref() {
        Some("first") => first(),
        Some("scroll") => scroll(),
        Some("flood") => flood(),
        Some("hour") => hour(),
        _ => Err("usage: page_speed first|scroll|flood|hour".into()),
    }
}
