//! What the tests of the page share: joining, saying and seeing, by the ids that scripts rely on.

use super::browser::{Browser, Tab};
use super::{Server, Value, json};

/// Everything that the page shows as messages: who said it, what, and whether as one's own.
pub const ROWS: &str = "[...document.querySelectorAll('#messages .row')].map(row => \
     [row.querySelector('.who').textContent, row.querySelector('.text').textContent, row.classList.contains('own')])";

/// The address of the page.
pub fn page(server: &Server, query: &str) -> String {
    format!("http://127.0.0.1:{}/{query}", server.address.port())
}

/// Joins in a new tab as a script written for the original page does: by the ids of its elements.
pub fn join(browser: &Browser, server: &Server, name: &str) -> Tab {
    let tab = browser.open(&page(server, ""));
    enter(&tab, name);
    tab
}

/// Joins in a tab that shows the form.
pub fn enter(tab: &Tab, name: &str) {
    tab.eval(&format!("usernameInput.value = {}", json!(name)));
    tab.eval("connectBtn.click()");
    is_connected(tab);
}

pub fn is_connected(tab: &Tab) {
    tab.until("/^connected/i.test(document.getElementById('status').textContent)");
}

pub fn is_cut_off(tab: &Tab) {
    tab.until("!/^connected/i.test(document.getElementById('status').textContent)");
}

pub fn say(tab: &Tab, text: &str) {
    tab.eval(&format!("messageInput.value = {}; sendBtn.click()", json!(text)));
}

pub fn sees(tab: &Tab, who: &str, text: &str, is_own: bool) {
    let row = json!([who, text, is_own]);
    tab.until(&format!("JSON.stringify({ROWS}).includes({})", json!(row.to_string())));
}

/// The texts of the messages on the page, in order.
pub fn shown(tab: &Tab) -> Vec<String> {
    let texts = tab.eval(&format!("{ROWS}.map(row => row[1])"));
    texts.as_array().expect("a list").iter().map(|text| text.as_str().expect("a text").to_owned()).collect()
}

/// Says something without a page.
pub fn post(server: &Server, who: &str, text: &str) {
    let body = json!({ "message": text }).to_string();
    let status = server.post(&format!("/api/messages?username={}", super::encoded(who)), &body).status;
    assert_eq!(status, 201, "{who}: {text}");
}

/// A talk with a decision, tasks and a question in it.
pub fn tell(server: &Server) {
    for (who, text) in [
        ("Ann", "Should we ship the new parser on Friday or wait for the docs?"),
        ("Ben", "The docs are nearly done, I would ship on Friday."),
        ("Ann", "OK, let's go with Friday then."),
        ("Ben", "Agreed. I'll write the release notes by Thursday."),
        ("Cid", "Can somebody check the Windows build?"),
        ("Ann", "I will check the Windows build tomorrow."),
    ] {
        post(server, who, text);
    }
}

/// Looks away from the tab, or at it again.
pub fn look_away(tab: &Tab, is_away: bool) {
    tab.eval(&format!(
        "Object.defineProperty(document, 'hidden', {{configurable: true, value: {is_away}}}); \
         document.dispatchEvent(new Event('visibilitychange'))"
    ));
}

/// Whether something is wider than what it stands in.
pub fn is_within_its_width(tab: &Tab) -> Value {
    tab.eval(
        "document.documentElement.scrollWidth <= innerWidth && messages.scrollWidth <= messages.clientWidth && \
         [...document.querySelectorAll('dialog[open], dialog[open] .body, #side')].every(box => box.scrollWidth <= box.clientWidth)",
    )
}
