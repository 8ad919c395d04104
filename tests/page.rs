//! The page in a real browser against the real server: what people do there, and what they see.
//!
//! Bad input is in `page_input.rs`; keyboard, screen reader, phone and dark are in `page_access.rs`.

mod support;

use std::net::TcpListener;

use serde_json::json;
use support::browser::Browser;
use support::page::{enter, is_connected, is_cut_off, join, look_away, page, post, say, sees, shown, tell};
use support::{Client, Server, Setup, eventually};

/// A page comes back to the port where it was.
fn at_a_fixed_port() -> Server {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
    let args = ["--host", "127.0.0.1", "--port", &port.to_string(), "--data", "test.db", "--drain-ms", "100"];
    Setup::bare().args(&args).start()
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
        bob.press("Enter");
        sees(&alice, "Bob", &format!("from Bob {round}"), false);
    }
    sees(&alice, "Alice", "from Alice 4", true);
    let expected: Vec<String> =
        (0..5).flat_map(|round| [format!("from Alice {round}"), format!("from Bob {round}")]).collect();
    assert_eq!(shown(&alice), expected);
    assert_eq!(shown(&bob), expected);
    bob.eval("disconnectBtn.click()");
    alice.until("userCount.textContent == '1'");
    assert_eq!(alice.complaints(), [""; 0]);
    assert_eq!(bob.complaints(), [""; 0]);
}

#[test]
fn the_recap_shows_what_was_decided_and_each_line_leads_to_its_messages() {
    let (server, browser) = (Server::start(), Browser::start());
    tell(&server);
    let reader = join(&browser, &server, "Reader");
    reader.until("document.querySelectorAll('#messages .row').length == 6");
    reader.eval("summaryBtn.click()");
    reader.until("document.querySelector('dialog#summary').open");
    reader.until("/Friday/.test(document.getElementById('recap').textContent) && /release notes/.test(document.getElementById('recap').textContent)");
    reader.until("document.getElementById('recap').querySelectorAll('a').length > 2");
    // The server's notice says who wrote it; the page does not say it again.
    assert_eq!(reader.eval("document.getElementById('recap').textContent.match(/embedded summarizer/gi).length"), 1);
    reader.eval("document.getElementById('recap').querySelector('a').click()");
    reader.until("!document.querySelector('dialog#summary').open && !!document.querySelector('.row.hit')");
    assert_eq!(reader.complaints(), [""; 0]);
}

#[test]
fn the_page_says_why_it_cannot_join_and_lets_one_choose_another_name() {
    let (server, browser) = (Server::start(), Browser::start());
    let _alice = join(&browser, &server, "Alice");
    let other = browser.open(&page(&server, ""));
    other.eval("usernameInput.value = 'alice'; connectBtn.click()");
    other.until("/in use/.test(joinError.textContent) || /in use/.test(document.body.innerText)");
    other.eval("usernameInput.value = 'Alba'; connectBtn.click()");
    is_connected(&other);
}

#[test]
fn a_page_outlives_the_server_and_sends_what_was_written_meanwhile_once() {
    let (server, browser) = (at_a_fixed_port(), Browser::start());
    let (alice, bob) = (join(&browser, &server, "Alice"), join(&browser, &server, "Bob"));
    say(&alice, "before");
    sees(&bob, "Alice", "before", false);
    let mut server = server;
    server.kill();
    is_cut_off(&alice);
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
fn what_is_written_offline_survives_a_reload_and_is_sent_once_in_order() {
    let (server, browser) = (Server::start(), Browser::start());
    let (alice, bob) = (join(&browser, &server, "Alice"), join(&browser, &server, "Bob"));
    // In one expression: the server cannot have answered yet.
    let pending =
        "messageInput.value = 'at once'; sendBtn.click(); document.querySelectorAll('#waiting .pending').length";
    assert_eq!(alice.eval(pending), 1, "it is shown before it is stored");
    alice.until("!document.querySelector('#waiting .row') && /\u{2713}/.test(document.querySelector('#list .own .meta').textContent)");

    alice.set_offline(true);
    is_cut_off(&alice);
    for text in ["one", "two", "three"] {
        say(&alice, text);
    }
    assert_eq!(alice.eval("document.querySelectorAll('#waiting .pending').length"), 3);
    say(&bob, "meanwhile");
    sees(&bob, "Bob", "meanwhile", true);
    // The network is back, but this page does not hear of it: the next one has to send.
    alice.eval("ononline = null");
    alice.set_offline(false);
    alice.reload();
    is_connected(&alice);
    sees(&bob, "Alice", "three", false);
    for tab in [&alice, &bob] {
        tab.until("document.querySelectorAll('#list .row').length == 5 && !document.querySelector('#waiting .row')");
        assert_eq!(shown(tab), ["at once", "meanwhile", "one", "two", "three"]);
    }
}

#[test]
fn five_restarts_while_two_pages_send_lose_double_and_reorder_nothing() {
    let (mut server, browser) = (at_a_fixed_port(), Browser::start());
    let tabs = ["Alice", "Bob"].map(|name| (name, join(&browser, &server, name)));
    for (name, tab) in &tabs {
        tab.eval(&format!(
            "window.said = 0; window.pump = setInterval(() => {{messageInput.value = '{name} ' + said++; sendBtn.click()}}, 50)"
        ));
    }
    for round in 1..=5 {
        tabs[0].1.until(&format!("said > {}", round * 15));
        if round % 2 == 0 {
            server.signal("TERM");
            server.wait();
        } else {
            server.kill();
        }
        tabs.iter().for_each(|(_, tab)| is_cut_off(tab));
        server = server.restart();
        for (_, tab) in &tabs {
            // Else it would wait longer each time, as it should.
            tab.eval("dispatchEvent(new Event('online'))");
            is_connected(tab);
        }
    }
    let mut sent = Vec::new();
    for (name, tab) in &tabs {
        let count = tab.eval("clearInterval(pump), said").as_u64().expect("a number");
        sent.push((0..count).map(|number| format!("{name} {number}")).collect::<Vec<_>>());
    }
    let total: usize = sent.iter().map(Vec::len).sum();
    assert!(total < 400, "{total} messages do not fit into the page's window");
    for (_, tab) in &tabs {
        // Whoever missed more than a page of messages has the newest before them, and the rest above.
        let is_done = format!(
            "!document.querySelector('#waiting .row') && [...document.querySelectorAll('#list .row')].at(-1)?.id == 'm{total}'"
        );
        tab.until(&is_done);
        tab.until("messages.scrollTop = 0, !!document.getElementById('m1')");
    }
    let list = server.json("/api/messages");
    let stored = support::texts(&list);
    for (sent, (name, _)) in sent.iter().zip(&tabs) {
        let kept: Vec<&str> = stored.iter().copied().filter(|text| text.starts_with(name)).collect();
        assert_eq!(kept, *sent, "each once, in order");
    }
    for (_, tab) in &tabs {
        assert_eq!(shown(tab), stored);
    }
}

#[test]
fn who_comes_back_finds_the_line_where_they_left_off_and_an_offer() {
    let (server, browser) = (Server::start(), Browser::start());
    let reader = join(&browser, &server, "Reader");
    post(&server, "Ann", "seen");
    sees(&reader, "Ann", "seen", false);
    let first_new = "document.getElementById('divider')?.nextElementSibling.querySelector('.text').textContent";

    look_away(&reader, true);
    (0..9).for_each(|number| post(&server, "Ann", &format!("unseen {number}")));
    reader.until("document.title == '(9) #lobby \u{b7} Catchup'");
    reader.until("decodeURIComponent(icon.href).includes('circle')");
    look_away(&reader, false);
    reader.until(&format!("{first_new} == 'unseen 0'"));
    reader.until("!missedStrip.hidden && /^9 messages/.test(missedText.textContent)");
    reader.press("Escape");
    reader.until("document.title == '#lobby \u{b7} Catchup' && !decodeURIComponent(icon.href).includes('circle')");

    // The mark is the server's: it is there on another day, too.
    eventually("the read mark to arrive", || {
        (server.json("/api/messages?username=Reader")["unread_count"] == 0).then_some(())
    });
    reader.eval("disconnectBtn.click()");
    (0..7).for_each(|number| post(&server, "Ben", &format!("later {number}")));
    reader.eval("connectBtn.click()");
    reader.until(&format!("{first_new} == 'later 0'"));
    reader.until("!missedStrip.hidden");
}

#[test]
fn a_hit_of_the_search_is_marked_and_leads_to_its_place() {
    let (server, browser) = (Server::start(), Browser::start());
    for number in 0..120 {
        let text = if number == 7 { "the blue <b>heron</b> flew".to_owned() } else { format!("number {number}") };
        post(&server, "Ann", &text);
    }
    let reader = join(&browser, &server, "Reader");
    reader.until("document.querySelectorAll('#messages .row').length > 20");
    assert_eq!(reader.eval("document.getElementById('m8')"), json!(null), "it is not loaded yet");
    reader.press("Control+k");
    reader.type_text("heron");
    reader.until("document.querySelector('#found mark')?.textContent == 'heron'");
    reader.press("Enter");
    reader.until("document.activeElement.matches('#m8.hit') && !document.querySelector('dialog[open]')");
    let is_seen = "(({top, bottom}, box) => top >= box.top && bottom <= box.bottom)\
        (m8.getBoundingClientRect(), messages.getBoundingClientRect())";
    reader.until(is_seen);
    // Once the way to the newest messages did not begin while others were on their way.
    reader.eval(
        "window.honest = fetch;
         window.fetch = async (url, ...more) => {
            let answer = await honest(url, ...more)
            if (/since=/.test(url)) await new Promise(done => setTimeout(done, 1000))
            return answer
         };
         messages.scrollTop = 1e6",
    );
    reader.until("messages.ariaBusy == 'true'");
    reader.press("Escape");
    reader.until("document.activeElement.id == 'messageInput' && !!document.getElementById('m120')");
    reader.until("messages.scrollHeight - messages.scrollTop - messages.clientHeight < 5");
}

#[test]
fn scrolling_up_loads_older_messages_and_what_is_read_stays_in_place() {
    let (server, browser) = (Server::start(), Browser::start());
    (1..=200).for_each(|number| post(&server, "Ann", &format!("number {number}")));
    let reader = join(&browser, &server, "Reader");
    reader.until("!!document.getElementById('m200')");
    let moved = reader.eval(
        "(async () => {
            const frame = () => new Promise(requestAnimationFrame)
            let worst = 0
            for (let frames = 0; frames < 3000 && !(document.getElementById('m1') && messages.scrollTop == 0); frames++) {
                messages.scrollTop -= 100
                let read = [...document.querySelectorAll('.row')].find(row => row.getBoundingClientRect().top > 150)
                let was = read.getBoundingClientRect().top
                await frame(); await frame()
                worst = Math.max(worst, Math.abs(read.getBoundingClientRect().top - was))
            }
            return worst
        })()",
    );
    assert!(moved.as_f64().expect("a number") < 2.0, "a message that was being read moved by {moved} pixels");
    let numbers: Vec<String> = (1..=200).map(|number| format!("number {number}")).collect();
    assert_eq!(shown(&reader), numbers);
}

#[test]
fn the_recap_beside_the_chat_and_a_narrower_window_leave_what_is_read_in_place() {
    let (server, browser) = (Server::start(), Browser::start());
    let long = "and so on, until it takes more than a line of the narrower window ".repeat(4);
    (1..=60).for_each(|number| post(&server, "Ann", &format!("number {number} {long}")));
    let reader = browser.blank();
    reader.resize(1300, 800);
    reader.go(&page(&server, ""));
    enter(&reader, "Reader");
    reader.until("!!document.getElementById('m60')");
    reader.eval("document.getElementById('m40').scrollIntoView()");
    let frames = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))";
    reader.eval(frames);
    // How far the first message that is seen stands below the top.
    let place = "(box => {
        let row = [...document.querySelectorAll('.row')].find(row => row.getBoundingClientRect().bottom > box.top)
        return [row.id, Math.round(row.getBoundingClientRect().top - box.top)]
    })(messages.getBoundingClientRect())";
    let was = reader.eval(place);
    reader.eval("summaryBtn.click()");
    reader.until("messages.clientWidth < 800 && document.querySelectorAll('#recap section').length > 0");
    reader.eval(frames);
    assert_eq!(reader.eval(place), was, "the recap opened");
    reader.eval("summary.close()");
    reader.eval(frames);
    assert_eq!(reader.eval(place), was, "the recap closed");
    reader.resize(700, 800);
    reader.until("messages.clientWidth < 701");
    reader.eval(frames);
    assert_eq!(reader.eval(place), was, "a narrower window");
}

#[test]
fn a_page_asks_for_the_servers_token_and_keeps_it_for_its_tab() {
    let (server, browser) = (Server::with(&["--token", "sesame"]), Browser::start());
    let tab = browser.open(&page(&server, ""));
    tab.eval("usernameInput.value = 'Alice'; connectBtn.click()");
    tab.until("/an access token/.test(joinError.textContent) && !tokenLabel.hidden");
    tab.eval("tokenInput.value = 'wrong'; connectBtn.click()");
    tab.until("/not the access token/.test(joinError.textContent)");
    tab.eval("tokenInput.value = 'sesame'; connectBtn.click()");
    is_connected(&tab);
    say(&tab, "behind a token");
    tab.until("document.querySelectorAll('#list .own').length == 1");
    tab.reload();
    is_connected(&tab);
    sees(&tab, "Alice", "behind a token", true);
    assert!(
        !tab.requests().iter().any(|url| url.starts_with("http") && url.contains("sesame")),
        "the token is in no address"
    );
}

#[test]
fn a_second_tab_of_one_person_takes_over_and_gives_back() {
    let (server, browser) = (Server::start(), Browser::start());
    let first = join(&browser, &server, "Alice");
    let second = first.beside(&page(&server, ""));
    enter(&second, "Alice");
    first.until("!linkStrip.hidden && /another tab/.test(linkText.textContent)");
    first.eval("linkBtn.click()");
    is_connected(&first);
    second.until("/another tab/.test(linkText.textContent)");
    assert_eq!(server.json("/api/users")["users"], json!(["Alice"]));
}

#[test]
fn a_flood_leaves_the_page_small_and_the_writer_undisturbed() {
    let (server, browser) = (Server::with(&["--rate-limit", "off"]), Browser::start());
    let reader = join(&browser, &server, "Reader");
    reader.eval("messageInput.focus()");
    let mut flooder = Client::join_v2(&server, "Flooder", "");
    let mut typed = String::new();
    for batch in 0..10 {
        flooder.say_all((0..300).map(|number| format!("flood {}", batch * 300 + number)));
        reader.type_text("a");
        typed.push('a');
        reader.until(&format!("messageInput.value == '{typed}' && document.activeElement == messageInput"));
    }
    sees(&reader, "Flooder", "flood 2999", false);
    let rows = reader.eval("document.querySelectorAll('#messages .row').length").as_u64().expect("a number");
    assert!(rows <= 400, "{rows} rows");
    assert_eq!(reader.eval("messages.scrollHeight - messages.scrollTop - messages.clientHeight < 5"), true);
    assert_eq!(reader.complaints(), [""; 0]);
}

#[test]
fn the_page_asks_for_itself_its_socket_and_the_api_and_nothing_else() {
    let (server, browser) = (Server::start(), Browser::start());
    tell(&server);
    let tab = join(&browser, &server, "Alice");
    tab.until("people.children.length == 1");
    tab.eval("summaryBtn.click()");
    tab.until("!!document.querySelector('#recap section')");
    tab.eval("searchBtn.click(); searchInput.value = 'parser'; searchInput.dispatchEvent(new Event('input'))");
    tab.until("!!document.querySelector('#found mark')");
    let host = format!("127.0.0.1:{}", server.address.port());
    let requests = tab.requests();
    let mut paths: Vec<&str> = requests
        .iter()
        .map(|url| {
            let (_, rest) = url.split_once("://").expect("an address");
            let path = rest.strip_prefix(&*host).unwrap_or_else(|| panic!("it asked {url}"));
            path.split('?').next().expect("a split gives one at least")
        })
        .collect();
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(
        paths,
        ["/", "/api/messages", "/api/rooms", "/api/search", "/api/summarize", "/api/users", "/ws"],
        "{requests:?}"
    );
    assert_eq!(tab.complaints(), [""; 0]);
}
