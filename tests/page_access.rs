//! The page for everybody: by keyboard alone, by screen reader, on a phone, in the dark.
//!
//! axe-core (MPL-2.0, <https://github.com/dequelabs/axe-core>) is no part of the project: `test.sh` installs it.

mod support;

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use support::Server;
use support::browser::{Browser, Tab};
use support::page::{enter, is_connected, is_cut_off, is_within_its_width, join, page, post, say, sees, tell};

/// Moves on with a key until the focus is on an element that matches.
fn walk(tab: &Tab, key: &str, selector: &str) {
    for _ in 0..40 {
        if tab.eval(&format!("document.activeElement.matches({})", json!(selector))) == true {
            return;
        }
        tab.press(key);
    }
    panic!("40 times {key} do not lead to {selector}: {}", tab.eval("document.activeElement.outerHTML.slice(0, 200)"));
}

#[test]
fn the_main_scene_can_be_done_by_keyboard_alone() {
    let (server, browser) = (Server::start(), Browser::start());
    tell(&server);
    let bob = join(&browser, &server, "Bob");
    let tab = browser.open(&page(&server, ""));
    // Join: the name has the focus, and after it the message has.
    tab.type_text("Kim");
    tab.press("Enter");
    is_connected(&tab);
    tab.type_text("Hello");
    tab.press("Shift+Enter");
    tab.type_text("everybody");
    tab.press("Enter");
    sees(&bob, "Kim", "Hello\neverybody", false);
    say(&bob, "Good morning");
    sees(&tab, "Bob", "Good morning", false);
    // Read: among the messages with the arrows, and back.
    walk(&tab, "Shift+Tab", "#messages");
    tab.press("ArrowUp");
    tab.until("document.activeElement.matches('.row') && document.activeElement.textContent.includes('Good morning')");
    tab.press("ArrowUp");
    tab.until("document.activeElement.matches('.row') && document.activeElement.textContent.includes('everybody')");
    tab.press("Home");
    tab.until("document.activeElement.id == 'm1'");
    tab.press("End");
    tab.press("ArrowDown");
    tab.until("document.activeElement.id == 'messageInput'");
    // What was missed, and the messages that say so.
    tab.press("Alt+r");
    tab.until("summary.open && document.querySelectorAll('#recap .cite').length > 2");
    walk(&tab, "Tab", "#recap .cite");
    tab.press("Enter");
    tab.until("document.activeElement.matches('.row.hit')");
    tab.press("Escape");
    // Search.
    tab.press("Control+k");
    tab.type_text("Windows");
    tab.until("document.querySelectorAll('#found mark').length == 2");
    tab.press("Enter");
    tab.until("document.activeElement.matches('.row.hit') && /Windows/.test(document.activeElement.textContent)");
    // The keys are told, and each dialog closes.
    tab.press("?");
    tab.until("help.open");
    tab.press("Escape");
    tab.until("!help.open");
    // Cut off, and back.
    tab.press("Escape");
    tab.until("document.activeElement.id == 'messageInput'");
    tab.set_offline(true);
    is_cut_off(&tab);
    tab.type_text("Written offline");
    tab.press("Enter");
    tab.set_offline(false);
    sees(&bob, "Kim", "Written offline", false);
    // Leave.
    walk(&tab, "Shift+Tab", "#disconnectBtn");
    tab.press("Enter");
    tab.until("document.getElementById('status').textContent == 'Disconnected' && document.activeElement.id == 'usernameInput'");
    assert_eq!(tab.complaints().into_iter().filter(|one| !one.contains("ERR_INTERNET_DISCONNECTED")).count(), 0);
}

#[test]
fn a_message_is_one_article_that_says_who_what_and_when() {
    let (server, browser) = (Server::start(), Browser::start());
    let tab = join(&browser, &server, "Kim");
    post(&server, "Ann", "The venue wrote back.");
    sees(&tab, "Ann", "The venue wrote back.", false);
    let tree = tab.call("Accessibility.getFullAXTree", json!({}));
    let nodes = tree["nodes"].as_array().expect("a list");
    let named = |role: &str| {
        let of_role = nodes.iter().filter(|node| node["role"]["value"] == role);
        of_role.map(|node| node["name"]["value"].as_str().unwrap_or("").to_owned()).collect::<Vec<_>>()
    };
    let articles = named("article");
    assert!(articles.len() == 1 && articles[0].starts_with("Ann The venue wrote back. "), "{articles:?}");
    assert_eq!(named("log"), ["Messages"]);
    assert!(named("textbox").contains(&"Message".to_owned()), "{:?}", named("textbox"));
    assert!(named("button").iter().all(|name| !name.is_empty()), "{:?}", named("button"));
}

#[test]
fn nothing_scrolls_sideways_on_a_phone() {
    let (server, browser) = (Server::start(), Browser::start());
    tell(&server);
    post(&server, "A name that is as long as it may", &"x".repeat(3000));
    post(&server, "Ann", &format!("https://example.org/{} and `{}`", "a".repeat(500), "b".repeat(500)));
    post(&server, "Ann", &format!("```\n{}\n```", "code ".repeat(200)));
    let tab = browser.blank();
    tab.be_phone();
    tab.go(&page(&server, ""));
    assert_eq!(tab.eval("innerWidth"), 390);
    assert_eq!(is_within_its_width(&tab), true, "the form");
    enter(&tab, "Kim");
    tab.until("document.querySelectorAll('.row').length == 9");
    assert_eq!(is_within_its_width(&tab), true, "the chat");
    // Nor is anything cut off.
    assert_eq!(
        tab.eval("[...document.querySelectorAll('.text, .block')].every(text => text.scrollWidth <= text.clientWidth)"),
        true
    );
    tab.eval("menuBtn.click()");
    tab.until("side.matches(':popover-open')");
    assert_eq!(is_within_its_width(&tab), true, "the rooms");
    tab.eval("side.hidePopover(); summaryBtn.click()");
    tab.until("!!document.querySelector('#recap section')");
    assert_eq!(is_within_its_width(&tab), true, "the recap");
    tab.eval("summary.close(); searchBtn.click(); searchInput.value = 'parser'; searchInput.dispatchEvent(new Event('input'))");
    tab.until("!!document.querySelector('#found mark')");
    assert_eq!(is_within_its_width(&tab), true, "the search");
    // A finger needs room.
    assert_eq!(tab.eval("sendBtn.getBoundingClientRect().height >= 44 && connectBtn != null"), true);
}

#[test]
fn who_likes_it_dark_gets_it_dark() {
    let (server, browser) = (Server::start(), Browser::start());
    let brightness = "(color => {
        let paint = new OffscreenCanvas(1, 1).getContext('2d')
        paint.fillStyle = color
        paint.fillRect(0, 0, 1, 1)
        return Math.max(...paint.getImageData(0, 0, 1, 1).data.slice(0, 3))
    })(getComputedStyle(document.body)";
    let check = |is_dark: bool| {
        let tab = browser.blank();
        if is_dark {
            tab.be_dark();
        }
        tab.go(&page(&server, ""));
        let (page, text) =
            (tab.eval(&format!("{brightness}.backgroundColor)")), tab.eval(&format!("{brightness}.color)")));
        let (page, text) = (page.as_u64().expect("a number"), text.as_u64().expect("a number"));
        assert!(if is_dark { page < 60 && text > 200 } else { page > 200 && text < 60 }, "{page} {text}");
    };
    check(false);
    check(true);
}

#[test]
fn a_print_has_the_messages_whole_and_nothing_else() {
    let (server, browser) = (Server::start(), Browser::start());
    let long = (0..40).map(|line| format!("line {line} of a long message")).collect::<Vec<_>>().join("\n");
    post(&server, "Ann", &long);
    post(&server, "Ann", &format!("```\n{}\n```", "code ".repeat(100)));
    (0..30).for_each(|number| post(&server, "Ben", &format!("number {number}")));
    let tab = browser.blank();
    tab.resize(800, 600);
    tab.go(&page(&server, ""));
    enter(&tab, "Kim");
    tab.until("document.querySelectorAll('#list .row').length == 32");
    say(&tab, "Mine @Ann");
    tab.until("document.querySelectorAll('#list .own').length == 1 && !document.querySelector('#waiting .row')");
    // Even for somebody who likes it dark.
    let dark = json!([{"name": "prefers-color-scheme", "value": "dark"}]);
    tab.call("Emulation.setEmulatedMedia", json!({"media": "print", "features": dark}));
    tab.until("matchMedia('print').matches && matchMedia('(prefers-color-scheme: dark)').matches");

    let shown = "(selector => [...document.querySelectorAll(selector)].filter(node => node.getClientRects().length))";
    let bars = "nav, form, button, .strip, .avatar, .floats > *, #typing, #toast, dialog";
    assert_eq!(tab.eval(&format!("{shown}({}).map(node => node.outerHTML.slice(0, 80))", json!(bars))), json!([]));
    // Who said it stands over the first of a group, and over one's own.
    assert_eq!(
        tab.eval(&format!("{shown}('.first .who, .own .who').map(who => [who.textContent, who.clientHeight > 10])")),
        json!([["Ann", true], ["Ben", true], ["Kim", true]])
    );
    // Nothing around a text cuts it off, and it has its place on the sheet.
    let cut = "[...document.querySelectorAll('.row')].filter(row => {
        let text = row.querySelector('.text'), {bottom, right, height} = text.getBoundingClientRect(), root = document.documentElement
        if (height < 10 || right > innerWidth || bottom + scrollY > root.scrollHeight) return true
        for (let node = text; node != root; node = node.parentNode) {
            let {maskImage} = getComputedStyle(node)
            if (maskImage != 'none' || node.scrollHeight > node.clientHeight + 1) return true
        }
    }).map(row => row.id)";
    assert_eq!(tab.eval(cut), json!([]));
    // Dark ink on white paper.
    let light = "(color => {
        let paint = new OffscreenCanvas(1, 1).getContext('2d')
        paint.fillStyle = color
        paint.fillRect(0, 0, 1, 1)
        let [red, green, blue, alpha] = paint.getImageData(0, 0, 1, 1).data
        return alpha == 0 ? 255 : Math.min(red, green, blue)
    })";
    let ink = format!(
        "[...document.querySelectorAll('.text, .text *, .who, .meta')].filter(node => {light}(getComputedStyle(node).color) > 130).map(node => node.outerHTML.slice(0, 80))"
    );
    assert_eq!(tab.eval(&ink), json!([]));
    let ground = format!(
        "[...document.querySelectorAll('.bubble')].filter(node => {light}(getComputedStyle(node).backgroundColor) < 255).length"
    );
    assert_eq!(tab.eval(&ground), 0);

    // More than fits on the screen takes more than one sheet.
    let paper = tab.call("Page.printToPDF", json!({}));
    let paper = STANDARD.decode(paper["data"].as_str().expect("a document")).expect("base64");
    let sheets = paper.windows(11).filter(|bytes| *bytes == b"/Type /Page").count()
        - paper.windows(12).filter(|bytes| *bytes == b"/Type /Pages").count();
    assert!(sheets >= 2, "{sheets} sheets");
}

/// The source of axe-core.
fn axe() -> String {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in the target directory");
    let path = target.join("axe/node_modules/axe-core/axe.min.js");
    fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!(
            "axe-core is missing ({}: {error}): ./test.sh installs it with npm; by hand, with the version that stands there: \
             npm install --prefix {} axe-core@VERSION",
            path.display(),
            target.join("axe").display()
        )
    })
}

#[test]
fn axe_finds_no_violation_in_any_state_in_light_dark_and_on_a_phone() {
    let (source, server, browser) = (axe(), Server::start(), Browser::start());
    tell(&server);
    let bob = join(&browser, &server, "Bob");
    for look in ["light", "dark", "phone"] {
        let tab = browser.blank();
        match look {
            "dark" => tab.be_dark(),
            "phone" => tab.be_phone(),
            _ => tab.resize(1280, 800),
        }
        tab.go(&page(&server, ""));
        tab.eval(&source);
        let check = |state: &str| {
            let told = "axe.run(document, {resultTypes: ['violations']}).then(({violations, passes}) => [passes.length,
                violations.map(({id, nodes}) => id + ': ' + nodes.map(({target}) => target.join(' ')).join(', '))])";
            let found = tab.eval(told);
            assert!(found[0].as_u64().expect("a number") > 10, "axe has looked at nothing: {found}");
            assert_eq!(found[1], json!([]), "{look}, {state}");
        };
        check("join");
        enter(&tab, &format!("Kim {look}"));
        say(&tab, "Mine, with https://example.org, `code` and @Bob");
        say(&bob, &format!("Hello @Kim, see https://example.org and `code`, {look}"));
        say(&tab, "/me waves");
        sees(&tab, "Bob", &format!("Hello @Kim, see https://example.org and code, {look}"), false);
        tab.until("!document.querySelector('#waiting .row')");
        check("chat");
        say(&tab, &"y".repeat(17_000));
        tab.until("!!document.querySelector('.failed')");
        check("failed");
        tab.eval("document.querySelector('.failed .why button:last-child').click(); summaryBtn.click()");
        tab.until("!!document.querySelector('#recap .cite') && !copyBtn.hidden");
        check("recap");
        tab.eval("document.querySelector('#recap .cite').click()");
        tab.until("!!document.querySelector('.row.hit')");
        check("jumped");
        tab.eval("summary.close(); searchBtn.click(); searchInput.value = 'parser'; searchInput.dispatchEvent(new Event('input'))");
        tab.until("!!document.querySelector('#found mark')");
        check("search");
        tab.eval("ui.search.close(); helpBtn.click()");
        check("help");
    }
}
