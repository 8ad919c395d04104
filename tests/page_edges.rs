//! The page where things go otherwise than usual: a connection that died in silence, drafts, crowds, full servers.
//!
//! What people do every day is in `page.rs`.

mod support;

use serde_json::json;
use support::browser::Browser;
use support::page::{enter, is_connected, join, look_away, page, post, say, sees, tell};
use support::{Client, Server, eventually};

const BOX: &str = "document.getElementById('messageInput')";

#[test]
fn a_connection_that_died_in_silence_is_noticed_when_one_looks_at_the_page() {
    let (server, browser) = (Server::start(), Browser::start());
    let reader = join(&browser, &server, "Reader");
    post(&server, "Ann", "before");
    sees(&reader, "Ann", "before", false);
    look_away(&reader, true);
    // As after a laptop's sleep: the socket looks open, and nothing comes out of it any more.
    reader.eval("socket.onmessage = null; socket.onclose = null");
    post(&server, "Ann", "after");
    look_away(&reader, false);
    sees(&reader, "Ann", "after", false);
    is_connected(&reader);
}

#[test]
fn a_draft_stays_in_its_room_and_survives_a_reload() {
    let (server, browser) = (Server::start(), Browser::start());
    let tab = join(&browser, &server, "Alice");
    let go = |room: &str| {
        tab.eval(&format!("roomNew.value = '{room}'; roomForm.requestSubmit()"));
        tab.until(&format!(
            "document.getElementById('status').textContent == 'Connected' && roomTitle.textContent == '#{room}'"
        ));
    };
    tab.eval(&format!("{BOX}.focus()"));
    tab.type_text("not for design");
    go("design");
    assert_eq!(tab.eval(&format!("{BOX}.value")), "");
    tab.type_text("for design");
    tab.reload();
    is_connected(&tab);
    assert_eq!(tab.eval(&format!("{BOX}.value")), "for design");
    tab.press("Enter");
    sees(&tab, "Alice", "for design", true);
    go("lobby");
    assert_eq!(tab.eval(&format!("{BOX}.value")), "not for design");
    go("design");
    assert_eq!(tab.eval(&format!("{BOX}.value")), "", "what was sent is no draft");
}

#[test]
fn enter_that_ends_the_work_of_an_input_method_sends_nothing() {
    let (server, browser) = (Server::start(), Browser::start());
    let tab = join(&browser, &server, "Alice");
    tab.eval(&format!("{BOX}.focus()"));
    tab.call("Input.imeSetComposition", json!({"text": "にほん", "selectionStart": 3, "selectionEnd": 3}));
    tab.press("Enter");
    tab.type_text("日本");
    assert_eq!(tab.eval("document.querySelectorAll('.row').length"), 0);
    tab.press("Enter");
    sees(&tab, "Alice", "日本", true);
}

#[test]
fn a_message_that_failed_is_edited_without_losing_the_draft() {
    let (server, browser) = (Server::start(), Browser::start());
    let tab = join(&browser, &server, "Alice");
    let long = "y".repeat(17_000);
    say(&tab, &long);
    tab.until("!!document.querySelector('.failed')");
    tab.eval(&format!("{BOX}.focus()"));
    tab.type_text("a draft");
    tab.eval("[...document.querySelectorAll('.failed .why button')].find(one => one.textContent == 'Edit').click()");
    assert_eq!(tab.eval(&format!("{BOX}.value")), format!("{long}\na draft"));
}

#[test]
fn who_was_cut_off_comes_back_to_the_line_of_new_messages_and_is_not_told_of_their_own() {
    let (server, browser) = (Server::start(), Browser::start());
    (0..40).for_each(|number| post(&server, "Ann", &format!("old {number}")));
    let reader = browser.blank();
    reader.resize(1000, 600);
    reader.go(&page(&server, ""));
    enter(&reader, "Reader");
    sees(&reader, "Ann", "old 39", false);
    reader.set_offline(true);
    reader.until("document.getElementById('status').textContent != 'Connected'");
    say(&reader, "written offline");
    (0..30).for_each(|number| post(&server, "Ann", &format!("new {number}")));
    reader.set_offline(false);
    sees(&reader, "Reader", "written offline", true);
    // The line stands where it and what follows can be read.
    reader.until(
        "(({top}, box) => top > box.top && top < box.top + box.height * .7)\
         (document.getElementById('divider')?.getBoundingClientRect() || {}, messages.getBoundingClientRect())",
    );
    reader.until("document.getElementById('divider').nextElementSibling.textContent.includes('new 0')");
    // One's own is the 31st.
    reader.until("!document.querySelector('#waiting .row')");
    let counts = "[document.title, latestBtn.textContent].map(text => +text.match(/\\d+/)?.[0])";
    reader.until(&format!("({counts}).every(count => count > 10 && count < 31 && count + readId == 70)"));
}

#[test]
fn what_was_read_just_before_an_outage_is_known_to_the_server_after_it() {
    let (server, browser) = (Server::start(), Browser::start());
    let reader = join(&browser, &server, "Reader");
    post(&server, "Ann", "seen");
    reader.until("document.title == '#lobby \u{b7} Catchup' && readId == 1");
    reader.set_offline(true);
    reader.until("document.getElementById('status').textContent != 'Connected'");
    // Longer than the page gathers what was read.
    reader.until("disk.get(my('seen')) == 1");
    reader.set_offline(false);
    is_connected(&reader);
    eventually("the read mark to arrive", || {
        (server.json("/api/messages?username=Reader")["unread_count"] == 0).then_some(())
    });
}

#[test]
fn copied_messages_are_who_what_and_when() {
    let (server, browser) = (Server::start(), Browser::start());
    post(&server, "Ann", &"a line of many\n".repeat(40));
    post(&server, "Ben", "short");
    let tab = join(&browser, &server, "Reader");
    sees(&tab, "Ben", "short", false);
    tab.eval("getSelection().setBaseAndExtent(list.querySelector('.row'), 0, list, list.childNodes.length)");
    let copied = tab.eval("getSelection().toString()");
    let lines: Vec<&str> = copied.as_str().expect("a text").lines().collect();
    assert!(lines.contains(&"Ann") && lines.contains(&"Ben") && lines.contains(&"short"), "{copied}");
    assert!(!lines.contains(&"A") && !lines.contains(&"B") && !lines.contains(&"Show all"), "{copied}");
}

#[test]
fn a_crowd_is_listed_as_far_as_it_goes_and_then_counted() {
    let (server, browser) = (Server::start(), Browser::start());
    let mut crowd: Vec<Client> =
        (1..=3).map(|number| Client::join_v2(&server, &format!("Person {}", number * 9), "")).collect();
    let tab = join(&browser, &server, "Alice");
    tab.until(
        "[...people.children].map(one => one.textContent.slice(1)).join() == 'Alice,Person 9,Person 18,Person 27'",
    );
    crowd.extend((100..200).map(|number| Client::join_v2(&server, &format!("Person {number}"), "")));
    tab.until("people.children.length == 101 && people.lastChild.textContent == 'and 4 more'");
    // The room's line says the same as the head of the page.
    tab.until(
        "userCount.textContent == '104' && rooms.querySelector('[aria-current]').textContent.includes('104 online')",
    );
}

#[test]
fn a_list_of_rooms_that_is_drawn_anew_leaves_the_focus_where_it_is() {
    let (server, browser) = (Server::start(), Browser::start());
    let tab = join(&browser, &server, "Alice");
    let link = "document.querySelector('#rooms a')";
    tab.until(&format!("!!{link} && people.children.length == 1"));
    tab.eval(&format!("{link}.focus()"));
    let _ben = Client::join_v2(&server, "Ben", "");
    tab.until("people.children.length == 2");
    assert_eq!(tab.eval(&format!("document.activeElement == {link}")), true);
    tab.eval(&format!("{BOX}.focus()"));
    let _cid = Client::join_v2(&server, "Cid", "");
    tab.until(&format!("{link}.textContent.includes('3 online')"));
}

#[test]
fn a_full_server_says_so() {
    let (server, browser) = (Server::with(&["--max-connections", "6"]), Browser::start());
    let tab = browser.open(&page(&server, ""));
    let mut crowd = Vec::new();
    while let Ok(one) = Client::connect(&server, &format!("username=Person{}", crowd.len())) {
        crowd.push(one);
    }
    tab.eval("usernameInput.value = 'Alice'; connectBtn.click()");
    tab.until("/is full/.test(joinError.textContent)");
    drop(crowd);
    enter(&tab, "Alice");
}

#[test]
fn a_name_that_the_server_does_not_take_is_said_in_the_form() {
    let (server, browser) = (Server::start(), Browser::start());
    let tab = browser.open(&page(&server, ""));
    // The last has a character that nobody sees.
    for (name, told) in [
        ("", "Type a name"),
        ("System", "choose another"),
        (&*"x".repeat(40), "limit is 32"),
        ("An\u{200b}n", "U+200B"),
    ] {
        tab.eval(&format!("usernameInput.value = {}; connectBtn.click()", json!(name)));
        tab.until(&format!("document.body.dataset.state == 'out' && joinError.textContent.includes({})", json!(told)));
    }
    enter(&tab, "Ann");
}

#[test]
fn a_page_knows_that_a_token_is_wanted_before_it_is_told() {
    let (server, browser) = (Server::with(&["--token", "sesame"]), Browser::start());
    let tab = browser.open(&page(&server, ""));
    tab.until("!tokenLabel.hidden");
    tab.eval("usernameInput.value = 'Alice'; tokenInput.value = 'sesame'; connectBtn.click()");
    is_connected(&tab);
}

#[test]
fn a_search_tells_the_newest_of_many_from_all_there_is() {
    let (server, browser) = (Server::start(), Browser::start());
    (0..60).for_each(|number| post(&server, "Ann", &format!("heron number{number}")));
    let tab = join(&browser, &server, "Reader");
    let finds = |words: &str, told: &str| {
        tab.eval(&format!("searchInput.value = {}; searchInput.dispatchEvent(new Event('input'))", json!(words)));
        tab.until(&format!("searchState.textContent == {}", json!(told)));
    };
    tab.press("Control+k");
    finds("heron", "The newest 50.");
    finds("number7", "1 found.");
    finds("stork", "Nothing found.");
}

#[test]
fn a_link_to_a_message_of_this_server_leads_there_without_joining_again() {
    let (server, browser) = (Server::start(), Browser::start());
    (1..=200).for_each(|number| post(&server, "Ann", &format!("number {number}")));
    for text in ["one", "two"] {
        let body = json!({ "message": text }).to_string();
        assert_eq!(server.post("/api/messages?username=Ann&room=design", &body).status, 201);
    }
    post(&server, "Ann", &format!("see {} and {}", page(&server, "#m3"), page(&server, "?room=design#m1")));
    let tab = join(&browser, &server, "Reader");
    let follow = |link: u32, hit: &str| {
        tab.until("document.querySelectorAll('.text a').length == 2");
        tab.eval(&format!("document.querySelectorAll('.text a')[{link}].click()"));
        tab.until(&format!("document.querySelector('.row.hit .text')?.textContent == '{hit}'"));
    };
    follow(0, "number 3");
    tab.press("Escape");
    follow(1, "one");
    is_connected(&tab);
    assert_eq!(tab.eval("document.getElementById('roomTitle').textContent"), "#design");
}

#[test]
fn emoji_alone_are_large_and_text_is_not() {
    let (server, browser) = (Server::start(), Browser::start());
    let texts = ["👋🏽 🎉", "👨‍👩‍👧‍👦", "❤️🇩🇪", "5", "123 #", "well 👋"];
    texts.iter().for_each(|text| post(&server, "Ann", text));
    let tab = join(&browser, &server, "Reader");
    tab.until("document.querySelectorAll('.row').length == 6");
    let large = "[...document.querySelectorAll('.row')].map(row => row.classList.contains('emoji'))";
    assert_eq!(tab.eval(large), json!([true, true, true, false, false, false]));
}

#[test]
fn the_language_of_a_block_of_code_is_no_part_of_it() {
    let (server, browser) = (Server::start(), Browser::start());
    post(&server, "Ann", "```rust\nfn main() {}\n``` and ```one line``` and ```\nword\nmore\n```");
    let tab = join(&browser, &server, "Reader");
    tab.until("document.querySelectorAll('.text code').length == 3");
    let codes = tab.eval("[...document.querySelectorAll('.text code')].map(code => code.textContent)");
    assert_eq!(codes, json!(["fn main() {}\n", "one line", "word\nmore\n"]));
}

#[test]
fn a_recap_that_failed_can_be_asked_for_again_where_it_says_so() {
    let (server, browser) = (Server::start(), Browser::start());
    tell(&server);
    let tab = join(&browser, &server, "Reader");
    tab.eval("window.honest = fetch; window.fetch = (url, ...more) => /summarize/.test(url) ? Promise.reject(Error()) : honest(url, ...more)");
    tab.eval("summaryBtn.click()");
    tab.until("!!document.querySelector('#recapState .error')");
    tab.eval("window.fetch = honest; document.querySelector('#recapState button').click()");
    tab.until("!!document.querySelector('#recap .cite')");
}
