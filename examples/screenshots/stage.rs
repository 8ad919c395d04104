//! What the pictures show: the real server with a conversation of two days, the people in it, and how a tab is shot.

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::browser::{Browser, Tab};

const DAY_MS: i64 = 86_400_000;
pub const READER: &str = "Lena";
/// The last message that the reader has seen.
const READ_ID: u64 = 11;
const ONLINE: [&str; 4] = ["Maya", "Jonas", "Priya", "Tom"];

/// How many days ago, when, who, what.
const TALK: &[(i64, &str, &str, &str)] = &[
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

/// The real server, in a directory of its own.
pub struct Server {
    child: Child,
    directory: PathBuf,
    pub url: String,
}

impl Server {
    /// Stops it in the middle of what it does, or lets it go on.
    pub fn pause(&self, is_paused: bool) -> Result<(), Box<dyn Error>> {
        let signal = if is_paused { "-STOP" } else { "-CONT" };
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status()?;
        assert!(status.success(), "kill {signal} failed");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        drop(fs::remove_dir_all(&self.directory));
    }
}

/// Hours from UTC to a place where it is a little past ten in the morning, whenever the pictures are taken.
fn offset() -> Result<i64, Box<dyn Error>> {
    let hour = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() / 3600 % 24;
    Ok((10 - i64::try_from(hour)? + 12).rem_euclid(24) - 12)
}

/// The lines that `catchup import` reads.
fn archive() -> Result<String, Box<dyn Error>> {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let east = offset()? * 3_600_000;
    let midnight = (now + east) / DAY_MS * DAY_MS - east;
    let mut lines = String::new();
    let mut write = |room: &str, id: usize, sender: &str, text: &str, at_ms: i64| {
        let uuid = format!("00000000-0000-4000-8000-{:012}", lines.len());
        let line =
            json!({"room": room, "id": id, "message_id": uuid, "sender": sender, "message": text, "at_ms": at_ms});
        lines.push_str(&format!("{line}\n"));
    };
    for (number, (days, clock, sender, text)) in TALK.iter().enumerate() {
        let (hour, minute) = clock.split_once(':').ok_or("a clock is HH:MM")?;
        let minutes = hour.parse::<i64>()? * 60 + minute.parse::<i64>()?;
        write("lobby", number + 1, sender, text, midnight - days * DAY_MS + minutes * 60_000);
    }
    for (number, (room, sender, text)) in ELSEWHERE.iter().enumerate() {
        let before = ELSEWHERE[..number].iter().filter(|(other, ..)| other == room).count();
        write(room, before + 1, sender, text, midnight);
    }
    Ok(lines)
}

/// Starts the server with the talk in it.
pub fn serve() -> Result<Server, Box<dyn Error>> {
    let program = std::env::current_exe()?;
    let program = program.ancestors().nth(2).ok_or("an example lies in target/…/examples")?.join("catchup");
    let directory = std::env::temp_dir().join(format!("catchup-screenshots-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    // As POSIX writes it: what lies west is positive.
    let place = format!("<here>{}", -offset()?);
    let command = |args: &[&str]| {
        let mut command = Command::new(&program);
        command.current_dir(&directory).env("TZ", &place).env("CATCHUP_DATA", "talk.db").args(args);
        command
    };
    let mut import = command(&["import"]).stdin(Stdio::piped()).spawn()?;
    import.stdin.take().ok_or("it is piped")?.write_all(archive()?.as_bytes())?;
    assert!(import.wait()?.success(), "the talk was not taken");
    let args = ["--host", "127.0.0.1", "--port", "0", "--quiet"];
    let mut child = command(&args).stderr(Stdio::piped()).spawn()?;
    let stderr = child.stderr.take().ok_or("it is piped")?;
    let mut server = Server { child, directory: directory.clone(), url: String::new() };
    let mut lines = BufReader::new(stderr).lines();
    for line in lines.by_ref() {
        if let Some(url) = line?.strip_prefix("Catchup listens on ") {
            server.url = url.replace("localhost", "127.0.0.1");
            // Read on: it says more, and does not outlive a closed pipe.
            std::thread::spawn(move || lines.for_each(drop));
            return Ok(server);
        }
    }
    Err("the server ended before it listened".into())
}

/// The others: they are there (`say(name, text)`, done when it is stored, and `type(name)` in their tab), and the reader's mark is where the reader left off.
pub fn people(browser: &Browser, url: &str) -> Tab {
    let tab = browser.open(url);
    tab.eval(&format!(
        "(async () => {{
            window.sockets = {{}}
            window.say = (name, message) => new Promise(done => {{
                sockets[name].addEventListener('message', ({{data}}) => {{if (JSON.parse(data).type == 'ack') done()}})
                sockets[name].send(JSON.stringify({{type: 'message', message, client_id: String(Math.random())}}))
            }})
            window.type = name => sockets[name].send('{{\"type\":\"typing\"}}')
            const enter = name => new Promise(done => {{
                let ws = sockets[name] = new WebSocket(`${{location.origin.replace('http', 'ws')}}/ws?v=2&username=${{name}}`)
                ws.onmessage = ({{data}}) => {{if (JSON.parse(data).type == 'session') done(ws)}}
            }})
            for (let name of {online}) await enter(name)
            let reader = await enter('{READER}')
            reader.send('{{\"type\":\"read\",\"id\":{READ_ID}}}')
            await new Promise(done => {{reader.onclose = done; reader.close(1000)}})
        }})()",
        online = json!(ONLINE)
    ));
    tab
}

/// Opens the page where the clock is as the server's.
pub fn visit(tab: &Tab, url: &str) -> Result<(), Box<dyn Error>> {
    let place = format!("Etc/GMT{:+}", -offset()?);
    tab.call("Emulation.setTimezoneOverride", json!({ "timezoneId": place }));
    tab.go(url);
    Ok(())
}

/// Joins as the reader.
pub fn join(tab: &Tab) {
    tab.eval(&format!("usernameInput.value = '{READER}'; connectBtn.click()"));
    tab.until("document.getElementById('status').textContent == 'Connected' && !!document.querySelector('.row')");
    tab.until("people.children.length == 5");
}

/// A picture of the tab, or of the part that `clip` names, as base64 of a PNG.
pub fn shoot(tab: &Tab, part: serde_json::Value) -> Result<String, Box<dyn Error>> {
    // What is still to be drawn.
    tab.eval("new Promise(done => requestAnimationFrame(() => setTimeout(done, 300)))");
    Ok(tab.call("Page.captureScreenshot", part)["data"].as_str().ok_or("no picture")?.to_owned())
}
