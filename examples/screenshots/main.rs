//! Takes the pictures of the README and the film strips of the page: the real server, a conversation of two days, the
//! page in real Chromium.
//!
//! `docs/screenshots.sh` runs it; the argument is the directory that the pictures go into, with `--film` before it the
//! film strips are taken and not the pictures.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

#[allow(dead_code, reason = "the tests use the rest of it")]
#[path = "../../tests/support/browser.rs"]
mod browser;
mod film;
mod stage;
#[path = "../../tests/support/wait.rs"]
mod wait;

use browser::{Browser, Tab};
use stage::{people, serve, shoot};
use wait::eventually;

/// As in the tests, whose browser this borrows.
pub const WAIT: Duration = Duration::from_secs(30);

/// Joins where Priya is writing.
fn join(tab: &Tab, others: &Tab, url: &str) -> Result<(), Box<dyn Error>> {
    stage::visit(tab, url)?;
    stage::join(tab);
    others.eval("type('Priya')");
    tab.until("/Priya/.test(typing.textContent)");
    Ok(())
}

fn take(tab: &Tab, part: Value, path: &Path) -> Result<(), Box<dyn Error>> {
    keep(&shoot(tab, part)?, path)
}

/// Writes a picture to its file.
fn keep(picture: &str, path: &Path) -> Result<(), Box<dyn Error>> {
    let picture = STANDARD.decode(picture)?;
    fs::write(path, &picture)?;
    println!("{}: {} bytes", path.display(), picture.len());
    Ok(())
}

fn pictures(directory: &Path) -> Result<(), Box<dyn Error>> {
    let (server, browser) = (serve()?, Browser::start());
    let others = people(&browser, &server.url);

    // First of all, since whoever looks at the messages has read them.
    let tab = browser.blank();
    tab.resize(1060, 660);
    join(&tab, &others, &server.url)?;
    tab.until("!!document.getElementById('divider') && !missedStrip.hidden");
    take(&tab, json!({}), &directory.join("light.png"))?;
    // Chat and recap side by side, without the list of rooms.
    tab.resize(1104, 600);
    tab.eval("summaryBtn.click()");
    tab.until("!!document.querySelector('#recap section') && !copyBtn.hidden");
    // A line's source, marked in its place.
    tab.eval("document.querySelector('#recap .cite').click()");
    tab.until("!!document.querySelector('.row.hit')");
    let clip = json!({"x": 264, "y": 0, "width": 840, "height": 600, "scale": 1});
    take(&tab, json!({ "clip": clip }), &directory.join("summary.png"))?;
    tab.eval("disconnectBtn.click()");

    let tab = browser.blank();
    tab.resize(1060, 660);
    tab.be_dark();
    join(&tab, &others, &server.url)?;
    tab.eval("document.getElementById('m6').scrollIntoView()");
    take(&tab, json!({}), &directory.join("dark.png"))?;
    tab.eval("disconnectBtn.click()");

    let tab = browser.blank();
    tab.be_phone();
    let size = json!({"width": 390, "height": 700, "deviceScaleFactor": 1.5, "mobile": true});
    tab.call("Emulation.setDeviceMetricsOverride", size);
    join(&tab, &others, &server.url)?;
    take(&tab, json!({}), &directory.join("phone.png"))
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (is_film, directory) = match &args[..] {
        [flag, directory] if flag == "--film" => (true, directory),
        [directory] => (false, directory),
        _ => return Err("usage: screenshots [--film] DIRECTORY".into()),
    };
    let directory = Path::new(directory);
    fs::create_dir_all(directory)?;
    if is_film { film::take(directory) } else { pictures(directory) }
}
