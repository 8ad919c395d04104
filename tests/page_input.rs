//! What the page does with what nobody should send it: markup and worse as messages, names and summaries; servers that
//! answer errors or garbage; browsers that deny their storage and clipboard.

mod support;

use serde_json::{Value, json};
use support::browser::{Browser, Tab};
use support::page::{is_connected, is_within_its_width, join, page, post, say, sees};
use support::{Server, Setup};

/// Strings, one a line; a list says a text, what is repeated after it, how often, and the end.
const INJECTIONS: &str = include_str!("data/injections.json");

/// What the tests evaluate in each tab: the strings, how the page should show them, and an alarm.
fn prepare(tab: &Tab) -> u64 {
    tab.eval(&format!(
        "window.strings = {INJECTIONS}.map(one => Array.isArray(one) ? one[0] + one[1].repeat(one[2]) + one[3] : one);
         // Controls are not sent, and blanks around a text neither.
         window.sent = text => text.toWellFormed().replace(/[^\\P{{Cc}}\\n\\t]/gu, '').trim();
         // Only the marks around code are not shown.
         window.bare = text => text.replace(/`/g, '');
         window.kinds = () => [...new Set([...document.querySelectorAll('body *')].map(node => node.localName))];
         window.first = kinds();
         strings.length"
    ))
    .as_u64()
    .expect("a number")
}

/// Nothing ran, nothing was loaded, and no element is there that the page does not make itself.
fn is_unharmed(tab: &Tab) {
    assert_eq!(tab.eval("window.ran ?? null"), json!(null));
    let allowed = "['a', 'b', 'bdi', 'code', 'time', 'button', 'span', 'li', 'div', 'p', 'section', 'mark', 'h3']";
    assert_eq!(
        tab.eval(&format!("kinds().filter(kind => !first.includes(kind) && !{allowed}.includes(kind))")),
        json!([])
    );
    let attributes = "[...document.querySelectorAll('body *')].flatMap(node => node.getAttributeNames())";
    assert_eq!(tab.eval(&format!("{attributes}.filter(name => /^on|^src/.test(name))")), json!([]));
    assert_eq!(tab.eval("[...document.links].filter(link => !/^https?:/.test(link.protocol)).length"), 0);
    let outside = "[...document.links].filter(link => link.host != location.host && !(/noopener/.test(link.rel) && link.target == '_blank'))";
    assert_eq!(tab.eval(&format!("{outside}.length")), 0);
    assert_eq!(tab.complaints(), [""; 0]);
}

/// A tab in which whatever runs leaves a trace.
fn watched(browser: &Browser, server: &Server, name: &str) -> Tab {
    let tab = browser.blank();
    tab.run_first(
        "window.pwned = window.alert = () => {window.ran = 'pwned'};
         addEventListener('securitypolicyviolation', event => {window.ran = event.violatedDirective + ' ' + event.sample})",
    );
    tab.go(&page(server, ""));
    support::page::enter(&tab, name);
    tab
}

#[test]
fn nothing_that_anyone_writes_runs_and_all_of_it_is_shown_as_typed() {
    let (server, browser) = (Server::start(), Browser::start());
    let name = "<img src=x onerror=pwned()>";
    let (writer, reader) = (watched(&browser, &server, name), watched(&browser, &server, "Reader"));
    let count = prepare(&writer);
    assert_eq!(prepare(&reader), count);
    assert!(count >= 70, "{count} strings");
    for number in 0..count {
        writer.eval(&format!("messageInput.value = strings[{number}]; sendBtn.click()"));
        reader.until(&format!("document.querySelectorAll('#list .row').length == {}", number + 1));
    }
    let wrong = format!(
        "[...document.querySelectorAll('#list .row')].map((row, at) => {{
            let sent = window.sent(strings[at]), who = row.querySelector('.who').textContent
            let expected = sent.startsWith('/me ') ? who + ' ' + sent.slice(4) : sent
            let seen = row.querySelector('.text').textContent
            return who == {name} && bare(seen) == bare(expected) ? '' : at + ': ' + seen.slice(0, 80)
        }}).filter(String)",
        name = json!(name)
    );
    writer.until(&format!("document.querySelectorAll('#list .row').length == {count}"));
    for tab in [&writer, &reader] {
        assert_eq!(tab.eval(&wrong), json!([]));
        assert_eq!(is_within_its_width(tab), true);
        is_unharmed(tab);
    }
}

#[test]
fn markup_as_a_name_is_a_name() {
    let (server, browser) = (Server::start(), Browser::start());
    let reader = watched(&browser, &server, "Reader");
    prepare(&reader);
    let fits = "strings.map(sent).filter(name => /^[^\\p{Cc}]{1,32}$/u.test(name) && !/\\p{Cf}/u.test(name))";
    let names = reader.eval(fits);
    let names: Vec<&str> = names.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert!(names.len() > 20, "{names:?}");
    for (number, name) in names.iter().enumerate() {
        post(&server, name, &format!("by {number}"));
        sees(&reader, name, &format!("by {number}"), false);
    }
    // Typing, joins and the list of people show names too.
    let name = "<svg/onload=pwned()>";
    let writer = watched(&browser, &server, name);
    writer.eval("messageInput.focus()");
    writer.type_text("x");
    reader.until(&format!("typing.textContent.includes({0}) && people.textContent.includes({0})", json!(name)));
    reader.until(&format!(
        "[...document.querySelectorAll('.sys')].some(line => line.textContent.includes({}))",
        json!(name)
    ));
    is_unharmed(&reader);
}

#[test]
fn a_summary_made_of_markup_is_text() {
    let (server, browser) = (Server::start(), Browser::start());
    let reader = watched(&browser, &server, "Reader");
    prepare(&reader);
    say(&reader, "one message");
    reader.until("document.querySelectorAll('#list .row').length == 1");
    // The real server's engines cannot be made to say this.
    reader.eval(
        "window.honest = fetch;
         window.fetch = (url, ...more) => !/summarize/.test(url) ? honest(url, ...more) : Promise.resolve(Response.json({
            summary: strings[1], bullet_points: strings, key_decisions: [null, 7, strings[0]], action_items: 'x', open_questions: {a: 1},
            unread_summary: strings[2], engine: '<b>e</b>', notice: strings[3], total_messages: 3, participants: [strings[1]],
            sources: {bullet_points: [[1], ['2'], [-1, 99999999]], summary: ['javascript:1', 1]}}));
         summaryBtn.click()",
    );
    reader.until("document.querySelectorAll('#recap section').length == 6 && !copyBtn.hidden");
    let wrong = "[...document.querySelectorAll('#recap .bullet_points li')]
        .map((item, at) => item.firstChild.data == strings[at] ? '' : at + ': ' + item.textContent.slice(0, 80)).filter(String)";
    assert_eq!(reader.eval(wrong), json!([]));
    assert_eq!(reader.eval("document.querySelector('#recap .summary p').firstChild.data == strings[1]"), true);
    assert_eq!(is_within_its_width(&reader), true);
    reader.eval("copyBtn.click()");
    is_unharmed(&reader);
}

#[test]
fn an_address_made_of_markup_leads_to_the_lobby() {
    let (server, browser) = (Server::start(), Browser::start());
    let tab = browser.open(&page(&server, "?room=%3Cscript%3Epwned()%3C/script%3E#m<img>"));
    assert_eq!(tab.eval("roomInput.value"), "lobby");
    support::page::enter(&tab, "Alice");
    assert_eq!(tab.complaints(), [""; 0]);
}

#[test]
fn an_api_that_answers_errors_or_garbage_or_nothing_does_not_stop_the_chat() {
    let (server, browser) = (Server::start(), Browser::start());
    let bob = join(&browser, &server, "Bob");
    let unreadable = "Messages could not be loaded. The server\u{2019}s answer is unusable (200).";
    for (name, answer, history, recap) in [
        (
            "Error",
            "Promise.resolve(Response.json({detail: 'it is broken'}, {status: 500}))",
            "Messages could not be loaded. it is broken",
            "No recap: it is broken",
        ),
        (
            "Garbage",
            "Promise.resolve(new Response('<html>\u{0}'))",
            unreadable,
            "No recap: The server\u{2019}s answer is unusable (200).",
        ),
        (
            "Number",
            "Promise.resolve(new Response('7'))",
            unreadable,
            "No recap: The server\u{2019}s answer is unusable (200).",
        ),
        (
            "Odd",
            "Promise.resolve(Response.json({messages: [null, 7, {id: 'x'}], users: {a: 1}, rooms: [3], summary: 9}))",
            "This is the beginning of #lobby. Say hello.",
            "The recap is ready.",
        ),
        (
            "Down",
            "Promise.reject(TypeError('down'))",
            "Messages could not be loaded. The server does not answer.",
            "No recap: The server does not answer.",
        ),
        ("Silent", "new Promise(() => 0)", "", ""),
    ] {
        let tab = browser.blank();
        tab.run_first(&format!("window.fetch = () => {answer}"));
        tab.go(&page(&server, ""));
        support::page::enter(&tab, name);
        if name != "Silent" {
            tab.until(&format!("document.querySelector('.start')?.textContent.startsWith({})", json!(history)));
        }
        say(&tab, &format!("I am {name}"));
        sees(&bob, name, &format!("I am {name}"), false);
        if name != "Silent" {
            say(&bob, &format!("hello {name}"));
            sees(&tab, "Bob", &format!("hello {name}"), false);
            tab.eval("summaryBtn.click()");
            tab.until(&format!("recapState.firstElementChild?.textContent == {}", json!(recap)));
        }
        assert_eq!(tab.complaints(), [""; 0], "{name}");
    }
}

#[test]
fn a_browser_that_denies_storage_and_clipboard_can_chat_and_says_what_to_press() {
    let (server, browser) = (Setup::new().start(), Browser::start());
    support::page::tell(&server);
    let tab = browser.blank();
    tab.run_first(
        "for (const kind of ['localStorage', 'sessionStorage'])
            Object.defineProperty(window, kind, {get() {throw new DOMException('denied', 'SecurityError')}});
         Object.defineProperty(navigator, 'clipboard', {value: undefined})",
    );
    tab.go(&page(&server, ""));
    support::page::enter(&tab, "Alice");
    say(&tab, "without storage");
    sees(&tab, "Alice", "without storage", true);
    tab.eval("dispatchEvent(new Event('offline'))");
    is_connected(&tab);
    tab.eval("summaryBtn.click()");
    tab.until("!copyBtn.hidden");
    tab.eval("copyBtn.click()");
    tab.until(
        "/Ctrl\\+C/.test(document.getElementById('toast').textContent) && getSelection().toString().includes('parser')",
    );
    assert_eq!(tab.complaints(), [""; 0]);
}
