//! Takes the pictures of the README: the real server, a conversation of two days, the page in real Chromium.
//!
//! `docs/screenshots.sh` runs it; the one argument is the directory that the pictures go into.

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

#[allow(dead_code, reason = "the tests use the rest of it")]
#[path = "../tests/support/browser.rs"]
mod browser;

use browser::{Browser, Tab};

/// As in the tests, whose browser this borrows.
pub const WAIT: Duration = Duration::from_secs(30);

/// Looks again and again until `look` gives something, `WAIT` at most.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < WAIT, "waited {WAIT:?} for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

const DAY_MS: u64 = 86_400_000;
const READER: &str = "Lena";
/// The last message that the reader has seen.
const READ_ID: u64 = 11;
const ONLINE: [&str; 4] = ["Maya", "Jonas", "Priya", "Tom"];

/// How many days ago, when, who, what.
const TALK: &[(u64, &str, &str, &str)] = &[
    (1, "16:02", "Maya", "Afternoon all. The venue for the October meetup just wrote back."),
    (
        1,
        "16:02",
        "Maya",
        "They offer the big room on the 14th or the 21st: 80 seats, projector included. https://venue.example/rooms/big",
    ),
    (1, "16:03", "Jonas", "The 21st clashes with the release, I would rather not."),
    (1, "16:04", "Priya", "Same here. The 14th works for the whole design team."),
    (1, "16:05", "Maya", "Then let's go with the 14th for the meetup. I'll confirm the booking with the venue today."),
    (1, "16:06", "Jonas", "Agreed. Who takes the announcement?"),
    (1, "16:06", "Priya", "I'll write the announcement and send a draft by Thursday."),
    (
        1,
        "16:08",
        "Tom",
        "For the sign-up form: can we reuse last year's? It is `forms/meetup.html`, only the date needs to change.",
    ),
    (
        1,
        "16:09",
        "Jonas",
        "Yes, but last year's rate limit was wrong. It should have been\n```\nlimit_req zone=signup burst=20 nodelay;\n```",
    ),
    (1, "16:09", "Tom", "/me updates the form"),
    (1, "16:12", READER, "Sounds good to me. I am on the train now, back tomorrow."),
    (0, "09:02", "Jonas", "Morning! Budget question: catering came in at 1,150 EUR, we planned 900."),
    (0, "09:03", "Jonas", "Do we cut the evening snacks or ask finance for more?"),
    (0, "09:05", "Priya", "Please don't cut the snacks, people stay for them."),
    (0, "09:05", "Maya", "Agreed, we keep the snacks. I will ask finance for another 250 EUR this morning."),
    (0, "09:07", "Tom", "The sign-up form is live with the new date and the rate limit. 12 people already."),
    (0, "09:09", "Priya", "Announcement draft is in the shared folder, comments until noon please @Lena @Jonas"),
    (0, "09:11", "Jonas", "Should we record the talks as well?"),
    (0, "09:12", "Tom", "Only if the speakers agree. I'll ask all three speakers by Friday."),
    (0, "09:26", "Maya", "Finance said yes to the 250 EUR. So catering is settled."),
    (0, "09:28", "Jonas", "Great. Who brings the microphones?"),
];

const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("design", "Priya", "New poster is up for review."),
    ("release", "Jonas", "2.4 is tagged, the notes follow."),
    ("release", "Tom", "Windows build is green."),
];

struct Server {
    child: Child,
    directory: PathBuf,
    url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        drop(fs::remove_dir_all(&self.directory));
    }
}

/// The lines that `catchup import` reads. Today's part is yesterday's while it is too early in the day.
fn archive() -> Result<String, Box<dyn Error>> {
    let now = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let midnight = (now - 10 * 3_600_000) / DAY_MS * DAY_MS;
    let mut lines = String::new();
    let mut write = |room: &str, id: usize, sender: &str, text: &str, at_ms: u64| {
        let uuid = format!("00000000-0000-4000-8000-{:012}", lines.len());
        let line =
            json!({"room": room, "id": id, "message_id": uuid, "sender": sender, "message": text, "at_ms": at_ms});
        lines.push_str(&format!("{line}\n"));
    };
    for (number, (days, clock, sender, text)) in TALK.iter().enumerate() {
        let (hour, minute) = clock.split_once(':').ok_or("a clock is HH:MM")?;
        let minutes = hour.parse::<u64>()? * 60 + minute.parse::<u64>()?;
        write("lobby", number + 1, sender, text, midnight - days * DAY_MS + minutes * 60_000 + number as u64 * 1000);
    }
    for (number, (room, sender, text)) in ELSEWHERE.iter().enumerate() {
        let before = ELSEWHERE[..number].iter().filter(|(other, ..)| other == room).count();
        write(room, before + 1, sender, text, midnight + number as u64);
    }
    Ok(lines)
}

fn serve() -> Result<Server, Box<dyn Error>> {
    let program = std::env::current_exe()?;
    let program = program.ancestors().nth(2).ok_or("an example lies in target/…/examples")?.join("catchup");
    let directory = std::env::temp_dir().join(format!("catchup-screenshots-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    let command = |args: &[&str]| {
        let mut command = Command::new(&program);
        command.current_dir(&directory).env("TZ", "UTC").env("CATCHUP_DATA", "talk.db").args(args);
        command
    };
    let mut import = command(&["import"]).stdin(Stdio::piped()).spawn()?;
    import.stdin.take().ok_or("it is piped")?.write_all(archive()?.as_bytes())?;
    assert!(import.wait()?.success(), "the talk was not taken");
    let args = ["--host", "127.0.0.1", "--port", "0", "--quiet"];
    let mut child = command(&args).stderr(Stdio::piped()).spawn()?;
    let stderr = child.stderr.take().ok_or("it is piped")?;
    let mut server = Server { child, directory: directory.clone(), url: String::new() };
    for line in BufReader::new(stderr).lines() {
        if let Some(url) = line?.strip_prefix("Catchup listens on ") {
            server.url = url.replace("localhost", "127.0.0.1");
            return Ok(server);
        }
    }
    Err("the server ended before it listened".into())
}

/// The others: they are there, one of them writes, and the reader's mark is where the reader left off.
fn people(browser: &Browser, url: &str) -> Tab {
    let tab = browser.open(url);
    tab.eval(&format!(
        "(async () => {{
            window.sockets = {{}}
            const enter = name => new Promise(done => {{
                let ws = sockets[name] = new WebSocket(`${{location.origin.replace('http', 'ws')}}/ws?v=2&username=${{name}}`)
                ws.onmessage = ({{data}}) => {{if (JSON.parse(data).type == 'session') done(ws)}}
            }})
            for (let name of {online}) await enter(name)
            let reader = await enter('{READER}')
            reader.send('{{\"type\":\"read\",\"id\":{READ_ID}}}')
            await new Promise(done => {{reader.onclose = done; reader.close(1000)}})
            setInterval(() => sockets.Priya.send('{{\"type\":\"typing\"}}'), 2000)
        }})()",
        online = json!(ONLINE)
    ));
    tab
}

fn join(tab: &Tab, url: &str) {
    tab.call("Emulation.setTimezoneOverride", json!({"timezoneId": "UTC"}));
    tab.go(url);
    tab.eval(&format!("usernameInput.value = '{READER}'; connectBtn.click()"));
    tab.until("document.getElementById('status').textContent == 'Connected' && !!document.querySelector('.row')");
    tab.until("/Priya/.test(typing.textContent) && people.children.length == 5");
}

fn take(tab: &Tab, directory: &Path, name: &str) -> Result<(), Box<dyn Error>> {
    take_part(tab, json!({}), directory, name)
}

fn take_part(tab: &Tab, part: Value, directory: &Path, name: &str) -> Result<(), Box<dyn Error>> {
    // What is still to be drawn.
    tab.eval("new Promise(done => requestAnimationFrame(() => setTimeout(done, 300)))");
    let picture = STANDARD.decode(tab.call("Page.captureScreenshot", part)["data"].as_str().ok_or("no picture")?)?;
    let path = directory.join(name);
    fs::write(&path, &picture)?;
    println!("{}: {} bytes", path.display(), picture.len());
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let directory = PathBuf::from(std::env::args().nth(1).ok_or("usage: screenshots DIRECTORY")?);
    fs::create_dir_all(&directory)?;
    let (server, browser) = (serve()?, Browser::start());
    let _people = people(&browser, &server.url);

    // First of all, since whoever looks at the messages has read them.
    let tab = browser.blank();
    tab.resize(1060, 660);
    join(&tab, &server.url);
    tab.until("!!document.getElementById('divider') && !missedStrip.hidden");
    take(&tab, &directory, "light.png")?;
    // Chat and recap side by side, without the list of rooms.
    tab.resize(1004, 600);
    tab.eval("summaryBtn.click()");
    tab.until("!!document.querySelector('#recap section') && !copyBtn.hidden");
    // A line's source, marked in its place.
    tab.eval("document.querySelector('#recap .cite').click()");
    tab.until("!!document.querySelector('.row.hit')");
    let clip = json!({"x": 264, "y": 0, "width": 740, "height": 600, "scale": 1});
    take_part(&tab, json!({ "clip": clip }), &directory, "summary.png")?;
    tab.eval("disconnectBtn.click()");

    let tab = browser.blank();
    tab.resize(1060, 660);
    tab.be_dark();
    join(&tab, &server.url);
    tab.eval("messages.scrollTop = document.getElementById('m6').offsetTop - 60");
    take(&tab, &directory, "dark.png")?;
    tab.eval("disconnectBtn.click()");

    let tab = browser.blank();
    tab.be_phone();
    let size = json!({"width": 390, "height": 700, "deviceScaleFactor": 1.5, "mobile": true});
    tab.call("Emulation.setDeviceMetricsOverride", size);
    join(&tab, &server.url);
    take(&tab, &directory, "phone.png")
}
