//! The page in a real browser against the real server: what people see, and that nothing they write can run.

mod support;

use std::net::TcpListener;

use serde_json::json;
use support::browser::{Browser, Tab};
use support::{Server, Setup, eventually};

/// Everything that the page shows as messages: who said it, what, and whether as one's own.
const ROWS: &str = "[...document.querySelectorAll('#messages .row')].map(row => [row.querySelector('.who').textContent, \
     row.querySelector('.text').textContent, row.classList.contains('own')])";

fn page(server: &Server, query: &str) -> String {
    format!("http://127.0.0.1:{}/{query}", server.address.port())
}

/// Joins as a script written for the original page does: by the ids of its elements.
fn join(browser: &Browser, server: &Server, name: &str) -> Tab {
    let tab = browser.open(&page(server, ""));
    tab.eval(&format!("usernameInput.value = {}", json!(name)));
    tab.eval("connectBtn.click()");
    tab.until("/^connected/i.test(document.getElementById('status').textContent)");
    tab
}

fn say(tab: &Tab, text: &str) {
    tab.eval(&format!("messageInput.value = {}", json!(text)));
    tab.eval("sendBtn.click()");
}

fn sees(tab: &Tab, who: &str, text: &str, is_own: bool) {
    let row = json!([who, text, is_own]);
    tab.until(&format!("JSON.stringify({ROWS}).includes({})", json!(row.to_string())));
}

#[test]
fn two_tabs_talk_and_each_sees_every_message_once_in_one_order() {
    let (server, browser) = (Server::start(), Browser::start());
    let (alice, bob) = (join(&browser, &server, "Alice"), join(&browser, &server, "Bob"));
    alice.until("userCount.textContent == '2'");
    bob.until("userCount.textContent == '2'");
    for round in 0..5 {
        say(&alice, &format!("from Alice {round}"));
        sees(&bob, "Alice", &format!("from Alice {round}"), false);
        // As a person does it.
        bob.eval("messageInput.focus()");
        bob.type_text(&format!("from Bob {round}"));
        bob.press_enter();
        sees(&alice, "Bob", &format!("from Bob {round}"), false);
    }
    sees(&alice, "Alice", "from Alice 4", true);
    let order = |tab: &Tab| -> Vec<String> {
        let rows = tab.eval(ROWS);
        rows.as_array().expect("rows").iter().map(|row| row[1].as_str().expect("a text").to_owned()).collect()
    };
    let expected: Vec<String> =
        (0..5).flat_map(|round| [format!("from Alice {round}"), format!("from Bob {round}")]).collect();
    assert_eq!(order(&alice), expected);
    assert_eq!(order(&bob), expected);
    bob.eval("disconnectBtn.click()");
    alice.until("userCount.textContent == '1'");
    assert_eq!(alice.complaints(), [""; 0]);
    assert_eq!(bob.complaints(), [""; 0]);
}

#[test]
fn the_recap_shows_what_was_decided_and_each_line_leads_to_its_messages() {
    let (server, browser) = (Server::start(), Browser::start());
    for (who, text) in [
        ("Ann", "Should we ship the new parser on Friday or wait for the docs?"),
        ("Ben", "The docs are nearly done, I would ship on Friday."),
        ("Ann", "OK, let's go with Friday then."),
        ("Ben", "Agreed. I'll write the release notes by Thursday."),
        ("Cid", "Can somebody check the Windows build?"),
        ("Ann", "I will check the Windows build tomorrow."),
    ] {
        let body = json!({ "message": text }).to_string();
        assert_eq!(server.post(&format!("/api/messages?username={who}"), &body).status, 201);
    }
    let reader = join(&browser, &server, "Reader");
    reader.until("document.querySelectorAll('#messages .row').length == 6");
    reader.eval("summaryBtn.click()");
    reader.until("document.querySelector('dialog#summary').open");
    reader.until("/Friday/.test(document.getElementById('recap').textContent) && /release notes/.test(document.getElementById('recap').textContent)");
    reader.until("document.getElementById('recap').querySelectorAll('a').length > 2");
    reader.eval("document.getElementById('recap').querySelector('a').click()");
    reader.until("!document.querySelector('dialog#summary').open && !!document.querySelector('.row.hit')");
    assert_eq!(reader.complaints(), [""; 0]);
}

#[test]
fn nothing_that_anyone_writes_runs_and_all_of_it_is_shown_as_typed() {
    let (server, browser) = (Server::start(), Browser::start());
    let strings = [
        "<script>window.ran = 1</script>",
        "<img src=x onerror='window.ran = 2'>",
        "<svg/onload=window.ran=3>",
        "\"><iframe srcdoc='<script>parent.ran=4</script>'></iframe>",
        "javascript:window.ran=5",
        "[x](javascript:window.ran=6)",
        "</div><style>*{display:none}</style>",
        "&lt;b&gt; &amp; &#60;i&#62;",
        "{{constructor.constructor('window.ran=7')()}}",
        "https://example.org/\"onmouseover=\"window.ran=8",
        "<a href=\"data:text/html,<script>opener.ran=9</script>\">x</a>",
        "<template><script>window.ran=10</script></template>",
    ];
    let (alice, bob) = (join(&browser, &server, "<b>Al&ice"), join(&browser, &server, "Bob"));
    let elements = "document.querySelectorAll('#messages :is(script, img, svg, iframe, style, template, b)').length";
    for text in strings {
        say(&alice, text);
        sees(&bob, "<b>Al&ice", text, false);
        sees(&alice, "<b>Al&ice", text, true);
    }
    bob.eval("summaryBtn.click()");
    bob.until(
        "document.querySelector('dialog#summary').open && document.getElementById('recap').textContent.length > 0",
    );
    for tab in [&alice, &bob] {
        assert_eq!(tab.eval("window.ran ?? null"), json!(null));
        assert_eq!(tab.eval(elements), 0);
        assert_eq!(tab.eval("[...document.links].filter(a => !/^https?:/.test(a.protocol)).length"), 0);
        assert_eq!(tab.complaints(), [""; 0]);
    }
}

#[test]
fn the_page_says_why_it_cannot_join_and_lets_one_choose_another_name() {
    let (server, browser) = (Server::start(), Browser::start());
    let _alice = join(&browser, &server, "Alice");
    let other = browser.open(&page(&server, ""));
    other.eval("usernameInput.value = 'alice'; connectBtn.click()");
    other.until("/in use/.test(joinError.textContent) || /in use/.test(document.body.innerText)");
    other.eval("usernameInput.value = 'Alba'; connectBtn.click()");
    other.until("/^connected/i.test(document.getElementById('status').textContent)");
}

#[test]
fn a_page_outlives_the_server_and_sends_what_was_written_meanwhile_once() {
    // At a port of its own, since the page comes back to the same.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
    let args = ["--host", "127.0.0.1", "--port", &port.to_string(), "--data", "test.db"];
    let (server, browser) = (Setup::bare().args(&args).start(), Browser::start());
    let (alice, bob) = (join(&browser, &server, "Alice"), join(&browser, &server, "Bob"));
    say(&alice, "before");
    sees(&bob, "Alice", "before", false);
    let mut server = server;
    server.kill();
    alice.until("!/^connected/i.test(document.getElementById('status').textContent)");
    say(&alice, "meanwhile");
    let server = server.restart();
    sees(&bob, "Alice", "meanwhile", false);
    say(&bob, "after");
    sees(&alice, "Bob", "after", false);
    eventually("everything to be stored once", || {
        let list = server.json("/api/messages");
        (support::texts(&list) == ["before", "meanwhile", "after"]).then_some(())
    });
    for tab in [&alice, &bob] {
        tab.until("document.querySelectorAll('#messages .row').length == 3");
    }
}

#[test]
fn the_page_asks_nobody_but_its_own_server() {
    let (server, browser) = (Server::start(), Browser::start());
    let tab = join(&browser, &server, "Alice");
    let origin = format!("http://127.0.0.1:{}", server.address.port());
    let asked = tab.eval("performance.getEntriesByType('resource').map(entry => entry.name)");
    for url in asked.as_array().expect("a list") {
        assert!(url.as_str().expect("an address").starts_with(&origin), "{url}");
    }
    assert_eq!(tab.complaints(), [""; 0]);
}
