//! The film strips: the main scene in nine pictures on one sheet, in light, in dark and on a phone.

use std::error::Error;
use std::path::Path;

use serde_json::json;

use super::browser::{Browser, Tab};
use super::keep;
use super::stage::{READER, Server, join, people, serve, shoot, visit};

/// What is said while the reader is cut off.
const MEANWHILE: [(&str, &str); 7] = [
    ("Tom", "I have two microphones, and a recorder."),
    ("Jonas", "Perfect, then Tom brings both microphones."),
    ("Maya", "The venue asks when we want to come in and set up."),
    ("Priya", "Let's set up at 4 pm, doors open at 6."),
    ("Maya", "Agreed, 4 pm it is. I'll tell the venue today."),
    ("Tom", "One of the speakers said yes to the recording, two to go."),
    ("Jonas", "Who can help me to carry the chairs?"),
];

/// A state of the scene: what stands under its picture, and the picture.
type Frame = (&'static str, String);

#[derive(Clone, Copy, PartialEq)]
enum Look {
    Light,
    Dark,
    Phone,
}

impl Look {
    fn name(self) -> &'static str {
        match self {
            Look::Light => "light",
            Look::Dark => "dark",
            Look::Phone => "phone",
        }
    }

    /// The size of the window, in CSS pixels, and how wide its picture is on the sheet.
    fn size(self) -> (u32, u32, u32) {
        if self == Look::Phone { (390, 760, 250) } else { (1060, 660, 560) }
    }

    fn wear(self, tab: &Tab) {
        let (width, height, shown) = self.size();
        if self == Look::Phone {
            tab.be_phone();
        }
        if self == Look::Dark {
            tab.be_dark();
        }
        // As many pixels as the sheet shows: text is drawn for that size instead of being shrunk.
        let scale = f64::from(shown) / f64::from(width);
        let size = json!({"width": width, "height": height, "deviceScaleFactor": scale, "mobile": self == Look::Phone});
        tab.call("Emulation.setDeviceMetricsOverride", size);
    }
}

/// Takes `film-light.png`, `film-dark.png` and `film-phone.png`.
pub fn take(directory: &Path) -> Result<(), Box<dyn Error>> {
    for look in [Look::Light, Look::Dark, Look::Phone] {
        // A server for each, so that each reader comes back to the same room.
        let (server, browser) = (serve()?, Browser::start());
        let frames = scene(look, &server, &browser)?;
        keep(&sheet(look, &browser, &frames)?, &directory.join(format!("film-{}.png", look.name())))?;
    }
    Ok(())
}

/// Plays the main scene; a picture for each of its states.
fn scene(look: Look, server: &Server, browser: &Browser) -> Result<Vec<Frame>, Box<dyn Error>> {
    let others = people(browser, &server.url);
    let tab = browser.blank();
    look.wear(&tab);
    visit(&tab, &server.url)?;
    let mut frames = Vec::new();
    let mut frame = |caption| -> Result<(), Box<dyn Error>> {
        frames.push((caption, shoot(&tab, json!({}))?));
        Ok(())
    };

    tab.eval("usernameInput.focus()");
    tab.type_text(READER);
    frame("Join with a name")?;

    join(&tab);
    tab.until("!!document.getElementById('divider') && !missedStrip.hidden");
    tab.eval("messages.scrollTop = 0");
    frame("The history")?;

    tab.press("Alt+u");
    tab.eval("messageInput.focus()");
    frame("Where one left off")?;

    tab.press("Escape");
    others.eval("say('Maya', 'Lena, are you back? Can you bring the name tags?')");
    tab.until("/name tags/.test(list.textContent)");
    others.eval("type('Priya')");
    tab.until("/Priya/.test(typing.textContent)");
    frame("Somebody is typing")?;

    tab.type_text("Back at my desk!");
    tab.press("Enter");
    tab.until("/\u{2713}/.test(list.lastChild.textContent)");
    server.pause(true)?;
    tab.type_text("I have the name tags here, all 80 of them.");
    tab.press("Enter");
    tab.until("/sending/.test(ui.waiting.textContent)");
    frame("One sent \u{2713}, one on its way")?;

    server.pause(false)?;
    tab.until("!document.querySelector('#waiting .row')");
    tab.set_offline(true);
    tab.until("document.getElementById('status').textContent == 'Reconnecting\u{2026}'");
    for text in ["I'll print the missing ones after lunch.", "Does anybody have a long extension cord?"] {
        tab.type_text(text);
        tab.press("Enter");
    }
    // It is not shown for a short break.
    tab.until("linkStrip.getBoundingClientRect().height > 30");
    frame("Offline: what one writes waits")?;

    for (name, text) in MEANWHILE {
        others.eval(&format!("say('{name}', {})", json!(text)));
    }
    tab.set_offline(false);
    tab.until("document.getElementById('status').textContent == 'Connected'");
    tab.until("!document.querySelector('#waiting .row') && !!document.getElementById('divider')");
    tab.press("Alt+u");
    tab.eval("messageInput.focus()");
    frame("Back: nothing lost, nothing doubled")?;

    tab.eval("missedBtn.click()");
    tab.until("!!document.querySelector('#recap section') && !copyBtn.hidden");
    frame("What did I miss?")?;

    tab.eval("document.querySelector('#recap .cite').click()");
    tab.until("!!document.querySelector('.row.hit')");
    frame("One click to where it was said")?;
    Ok(frames)
}

/// All frames on one picture, three in a row.
fn sheet(look: Look, browser: &Browser, frames: &[Frame]) -> Result<String, Box<dyn Error>> {
    let (width, height, shown) = look.size();
    let (gap, line) = (24, 34);
    let cell = shown * height / width + line;
    let tab = browser.blank();
    tab.resize(3 * (shown + gap) + gap, 3 * (cell + gap) + gap);
    let style = format!(
        "body {{margin: 0; padding: {gap}px; display: grid; grid-template-columns: repeat(3, {shown}px); gap: {gap}px; \
         font: 15px/{line}px sans-serif; background: {}; color: {}}} \
         figure {{margin: 0; height: {cell}px}} figcaption {{white-space: nowrap; overflow: hidden; text-overflow: ellipsis}} \
         img {{display: block; width: {shown}px; border-radius: 8px; outline: 1px solid {}}}",
        if look == Look::Dark { "#0a0a0d" } else { "#fff" },
        if look == Look::Dark { "#e9e9f0" } else { "#1a1b22" },
        if look == Look::Dark { "#32343f" } else { "#dfe0e8" },
    );
    tab.eval(&format!(
        "document.head.append(Object.assign(document.createElement('style'), {{textContent: {}}}))",
        json!(style)
    ));
    for (number, (caption, picture)) in frames.iter().enumerate() {
        tab.eval(&format!(
            "(async () => {{
                let figure = document.createElement('figure'), image = new Image(), caption = document.createElement('figcaption')
                image.src = 'data:image/png;base64,{picture}'
                caption.textContent = {}
                figure.append(caption, image)
                document.body.append(figure)
                await image.decode()
            }})()",
            json!(format!("{}  {caption}", number + 1))
        ));
    }
    shoot(&tab, json!({}))
}
