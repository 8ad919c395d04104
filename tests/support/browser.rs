//! A real browser: Debian's Chromium, headless, driven over the Chrome DevTools Protocol.
//!
//! Protocol: <https://chromedevtools.github.io/devtools-protocol/>, flat sessions, one socket to the browser.

use std::cell::RefCell;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket, client};

use super::{WAIT, eventually};

const PROGRAMS: [&str; 2] = ["/usr/bin/chromium", "/usr/bin/chromium-browser"];

struct Link {
    socket: WebSocket<TcpStream>,
    next_id: u64,
    /// Events that came while an answer was awaited: session and what it said.
    events: Vec<Value>,
}

/// A running browser; it ends, and its profile goes, with this value.
pub struct Browser {
    child: Child,
    profile: PathBuf,
    link: Rc<RefCell<Link>>,
}

/// A tab; its cookies and storage are its own, or those of the tab that it was opened beside.
pub struct Tab {
    session: String,
    context: Value,
    link: Rc<RefCell<Link>>,
}

impl Browser {
    /// Starts Chromium; fails with a sentence where there is none.
    pub fn start() -> Browser {
        let program = PROGRAMS
            .into_iter()
            .find(|path| Path::new(path).exists())
            .expect("Chromium is missing: ./test.sh installs it when run as root; else apt-get install chromium");
        let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_nanos();
        let profile = std::env::temp_dir().join(format!("catchup-browser-{}-{nanos}", std::process::id()));
        std::fs::create_dir_all(&profile).expect("a temporary directory can be made");
        let mut child = Command::new(program)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--mute-audio"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args([
                "--disable-dev-shm-usage",
                "--disable-extensions",
                "--disable-lcd-text",
                "--remote-debugging-port=0",
            ])
            // A name of somebody else that points at this machine.
            .arg("--host-resolver-rules=MAP evil.site 127.0.0.1")
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg("about:blank")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("Chromium starts");
        let mut lines = BufReader::new(child.stderr.take().expect("it is piped"));
        let url = loop {
            let mut line = String::new();
            assert!(lines.read_line(&mut line).expect("its lines are text") > 0, "Chromium ended before it listened");
            if let Some((_, url)) = line.trim().split_once("DevTools listening on ") {
                break url.to_owned();
            }
        };
        // Read on, so that it never waits for us.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        let address = url.trim_start_matches("ws://").split('/').next().expect("an address").to_owned();
        let stream = TcpStream::connect(&address).expect("it listens");
        stream.set_read_timeout(Some(WAIT)).expect("a timeout can be set");
        let (socket, _) = client(&url, stream).expect("it speaks WebSocket");
        let link = Rc::new(RefCell::new(Link { socket, next_id: 0, events: Vec::new() }));
        Browser { child, profile, link }
    }

    /// Opens `url` as somebody else would: nothing is shared with other tabs.
    pub fn open(&self, url: &str) -> Tab {
        let tab = self.blank();
        tab.go(url);
        tab
    }

    /// A tab of somebody else, before it goes anywhere.
    pub fn blank(&self) -> Tab {
        let context = self.call("Target.createBrowserContext", json!({}))["browserContextId"].clone();
        Tab::attach(&self.link, context)
    }

    fn call(&self, method: &str, params: Value) -> Value {
        call(&self.link, None, method, params)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Its helpers may write for a moment longer.
        let begun = Instant::now();
        while std::fs::remove_dir_all(&self.profile).is_err() && begun.elapsed() < Duration::from_secs(5) {
            std::thread::yield_now();
        }
    }
}

fn call(link: &RefCell<Link>, session: Option<&str>, method: &str, params: Value) -> Value {
    let mut link = link.borrow_mut();
    link.next_id += 1;
    let id = link.next_id;
    let mut request = json!({"id": id, "method": method, "params": params});
    if let Some(session) = session {
        request["sessionId"] = session.into();
    }
    link.socket.send(Message::text(request.to_string())).expect("Chromium listens");
    loop {
        let message = link.socket.read().unwrap_or_else(|error| panic!("{method} was not answered: {error}"));
        let Message::Text(text) = message else { continue };
        let value: Value = serde_json::from_str(&text).expect("Chromium speaks JSON");
        if value["id"] == id {
            assert!(value["error"].is_null(), "{method}: {}", value["error"]);
            return value["result"].clone();
        }
        link.events.push(value);
    }
}

impl Tab {
    fn attach(link: &Rc<RefCell<Link>>, context: Value) -> Tab {
        let target =
            call(link, None, "Target.createTarget", json!({"url": "about:blank", "browserContextId": context}));
        let attached =
            call(link, None, "Target.attachToTarget", json!({"targetId": target["targetId"], "flatten": true}));
        let session = attached["sessionId"].as_str().expect("a session").to_owned();
        let tab = Tab { session, context, link: Rc::clone(link) };
        for domain in ["Page", "Runtime", "Log", "Network"] {
            tab.call(&format!("{domain}.enable"), json!({}));
        }
        tab
    }

    /// A further tab of the same person.
    pub fn beside(&self, url: &str) -> Tab {
        let tab = Tab::attach(&self.link, self.context.clone());
        tab.go(url);
        tab
    }

    /// Calls a method of this tab.
    pub fn call(&self, method: &str, params: Value) -> Value {
        call(&self.link, Some(&self.session), method, params)
    }

    /// Runs this before the scripts of each page that is loaded from now on.
    pub fn run_first(&self, script: &str) {
        self.call("Page.addScriptToEvaluateOnNewDocument", json!({"source": script}));
    }

    /// Cuts this tab off from the network, or lets it back.
    pub fn set_offline(&self, is_offline: bool) {
        let nothing = json!({"offline": is_offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1});
        self.call("Network.emulateNetworkConditions", nothing);
    }

    /// A phone: small, touched, held upright.
    pub fn be_phone(&self) {
        let size = json!({"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": true});
        self.call("Emulation.setDeviceMetricsOverride", size);
        self.call("Emulation.setTouchEmulationEnabled", json!({"enabled": true}));
    }

    /// A window of this many CSS pixels.
    pub fn resize(&self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    /// Somebody who likes it dark.
    pub fn be_dark(&self) {
        let features = json!([{"name": "prefers-color-scheme", "value": "dark"}]);
        self.call("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    /// Loads the page again, and waits until its script has run.
    pub fn reload(&self) {
        let seen = self.link.borrow().events.len();
        self.call("Page.reload", json!({}));
        let mut link = self.link.borrow_mut();
        let is_loaded = |event: &Value| event["sessionId"] == *self.session && event["method"] == "Page.loadEventFired";
        while !link.events[seen..].iter().any(is_loaded) {
            let Message::Text(text) = link.socket.read().expect("a reload ends") else { continue };
            let event = serde_json::from_str(&text).expect("Chromium speaks JSON");
            link.events.push(event);
        }
    }

    /// Every address that this tab has asked for, sockets too, in order.
    pub fn requests(&self) -> Vec<String> {
        self.eval("0");
        let link = self.link.borrow();
        let of_tab = link.events.iter().filter(|event| event["sessionId"] == *self.session);
        let address = |event: &Value| match event["method"].as_str()? {
            "Network.requestWillBeSent" => event["params"]["request"]["url"].as_str().map(str::to_owned),
            "Network.webSocketCreated" => event["params"]["url"].as_str().map(str::to_owned),
            _ => None,
        };
        of_tab.filter_map(address).filter(|url| !url.starts_with("data:")).collect()
    }

    /// Loads an address, and waits until its script has run.
    pub fn go(&self, url: &str) {
        self.call("Page.navigate", json!({"url": url}));
        let expected = url.split('#').next().unwrap_or(url).to_owned();
        eventually("the page to load", || {
            let state = self.eval("[document.readyState, location.href]");
            let is_there = state[0] == "complete" && state[1].as_str().is_some_and(|at| at.starts_with(&*expected));
            is_there.then_some(())
        });
    }

    /// The value of a JavaScript expression (a promise is awaited); an exception fails the test.
    pub fn eval(&self, expression: &str) -> Value {
        let params =
            json!({"expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true});
        let result = self.call("Runtime.evaluate", params);
        assert!(result["exceptionDetails"].is_null(), "{expression}: {}", result["exceptionDetails"]);
        result["result"]["value"].clone()
    }

    /// Waits until a JavaScript expression is true.
    pub fn until(&self, expression: &str) {
        eventually(expression, || (self.eval(expression) == true).then_some(()));
    }

    /// Types text as a person does.
    pub fn type_text(&self, text: &str) {
        self.call("Input.insertText", json!({"text": text}));
    }

    /// Presses a key: `Enter`, `Shift+Tab`, `Control+k`, `?`.
    pub fn press(&self, keys: &str) {
        let (held, key) = keys.rsplit_once('+').unwrap_or(("", keys));
        let bit = |name: &str| match name {
            "Alt" => 1,
            "Control" => 2,
            "Shift" => 8,
            _ => 0,
        };
        let modifiers: u32 = held.split('+').map(bit).sum();
        let upper = key.to_uppercase();
        let (code, number, text) = match key {
            "Enter" => ("Enter".to_owned(), 13, "\r"),
            "Escape" => ("Escape".to_owned(), 27, ""),
            "Tab" => ("Tab".to_owned(), 9, ""),
            "End" => ("End".to_owned(), 35, ""),
            "Home" => ("Home".to_owned(), 36, ""),
            "ArrowUp" => ("ArrowUp".to_owned(), 38, ""),
            "ArrowDown" => ("ArrowDown".to_owned(), 40, ""),
            "/" | "?" => ("Slash".to_owned(), 191, key),
            _ => (format!("Key{upper}"), u32::from(upper.as_bytes()[0]), key),
        };
        let text = if modifiers & 3 == 0 { text } else { "" };
        for kind in ["rawKeyDown", "char", "keyUp"] {
            if kind != "char" || !text.is_empty() {
                let event = json!({"type": kind, "key": key, "code": code, "windowsVirtualKeyCode": number,
                    "modifiers": modifiers, "text": if kind == "char" { text } else { "" }});
                self.call("Input.dispatchKeyEvent", event);
            }
        }
    }

    /// What the browser has complained about in this tab: exceptions, dialogs, and entries of its log that are errors.
    pub fn complaints(&self) -> Vec<String> {
        self.eval("0");
        let link = self.link.borrow();
        let of_tab = link.events.iter().filter(|event| event["sessionId"] == *self.session);
        let is_complaint = |event: &&Value| {
            event["method"] == "Runtime.exceptionThrown"
                || event["method"] == "Page.javascriptDialogOpening"
                || (event["method"] == "Log.entryAdded" && event["params"]["entry"]["level"] == "error")
        };
        of_tab.filter(is_complaint).map(|event| event["params"].to_string()).collect()
    }
}
