//! A page of somebody else, in a real Chromium: whatever it tries, it learns nothing of the chat and says nothing in it,
//! unless the operator has named its origin.

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;

use support::browser::{Browser, Tab};
use support::{Client, Server, Setup, Value, json, texts};

/// A web server of somebody else, for this test program's life.
fn elsewhere() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let body = "<!doctype html><title>Elsewhere</title>";
            let length = body.len();
            if stream.read(&mut request).is_ok() {
                let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n";
                drop(stream.write_all(format!("{head}Content-Length: {length}\r\n\r\n{body}").as_bytes()));
            }
        }
    });
    address
}

/// What a script of that page gets to know: `"failed"`, or what it read.
fn tries(tab: &Tab, script: &str) -> Value {
    tab.eval(&format!("(async () => {{ try {{ {script} }} catch (error) {{ return 'failed' }} }})()"))
}

fn opens_socket(tab: &Tab, server: &Server) -> Value {
    let url = json!(format!("ws://{}/ws?username=Mallory&since=0", server.address));
    tries(
        tab,
        &format!(
            "const socket = new WebSocket({url}); const heard = [];
             socket.onmessage = event => heard.push(event.data);
             return await new Promise(done => {{
                 socket.onclose = () => done(heard.length ? heard : 'failed');
                 socket.onopen = () => {{ socket.send('by socket'); setTimeout(() => done('opened'), 0) }};
             }})"
        ),
    )
}

fn reads(tab: &Tab, server: &Server, path: &str, options: &str) -> Value {
    let url = json!(format!("http://{}{path}", server.address));
    tries(tab, &format!("const answer = await fetch({url}, {options}); return [answer.type, await answer.text()]"))
}

#[test]
fn a_page_elsewhere_opens_no_socket_reads_nothing_and_posts_nothing() {
    let server = Server::start();
    let mut ann = Client::join(&server, "Ann");
    ann.say("a secret");
    server.has_messages("lobby", 1);
    let browser = Browser::start();
    // Another origin on the same machine: the case of a chat on localhost, and any page in the same browser.
    let tab = browser.open(&format!("http://localhost:{}/", elsewhere().port()));

    assert_eq!(opens_socket(&tab, &server), "failed");
    let post = "/api/messages?username=Mallory";
    let said = r#"body: '{"message":"by fetch"}'"#;
    for path in ["/api/messages", "/api/users", "/api/rooms", "/"] {
        assert_eq!(reads(&tab, &server, path, "{}"), "failed", "{path}");
    }
    assert_eq!(reads(&tab, &server, post, &format!("{{method: 'POST', {said}}}")), "failed");
    // Asked first whether it may, since it sends JSON.
    let headers = "headers: {'Content-Type': 'application/json', 'Authorization': 'Bearer x'}";
    assert_eq!(reads(&tab, &server, post, &format!("{{method: 'POST', {headers}, {said}}}")), "failed");
    // Sent without asking, and the answer hidden: nothing may come of it.
    let opaque = json!(["opaque", ""]);
    assert_eq!(reads(&tab, &server, "/api/messages", "{mode: 'no-cors'}"), opaque);
    assert_eq!(reads(&tab, &server, post, &format!("{{method: 'POST', mode: 'no-cors', {said}}}")), opaque);
    let form = format!(
        "const form = document.createElement('form'); form.method = 'post'; form.enctype = 'text/plain';
         form.action = 'http://{}{post}'; form.target = 'there';
         form.innerHTML = `<input name='{{\"message\":\"by form\",\"client_id\":\"' value='\"}}'>`;
         const frame = document.createElement('iframe'); frame.name = 'there';
         document.body.append(frame, form);
         const loaded = new Promise(done => frame.onload = done);
         form.submit(); await loaded; return 'sent'",
        server.address
    );
    assert_eq!(tries(&tab, &form), "sent");
    // A page without an origin of its own, which browsers call "null".
    let sandboxed = format!(
        "const frame = document.createElement('iframe'); frame.sandbox = 'allow-scripts';
         frame.srcdoc = `<script>fetch('http://{}{post}', {{method: 'POST', mode: 'no-cors', {}}})
             .finally(() => parent.postMessage('sent', '*'))</script>`;
         const sent = new Promise(done => window.onmessage = event => done(event.data));
         document.body.append(frame); return await sent",
        server.address,
        said.replace('"', "\\\"").replace("by fetch", "by nobody")
    );
    assert_eq!(tries(&tab, &sandboxed), "sent");
    // As a script, which pages may load from anywhere, and in a frame, to be clicked on by mistake.
    let script = format!(
        "const script = document.createElement('script'); script.src = 'http://{}/api/messages';
         const end = new Promise(done => {{ script.onload = () => done('ran'); script.onerror = () => done('failed') }});
         document.head.append(script); return await end",
        server.address
    );
    assert_eq!(tries(&tab, &script), "failed");
    let frame = format!(
        "const frame = document.createElement('iframe'); frame.src = 'http://{}/';
         const loaded = new Promise(done => frame.onload = done);
         document.body.append(frame); await loaded; return 'shown or not'",
        server.address
    );
    assert_eq!(tries(&tab, &frame), "shown or not");
    tab.until("true");
    let complaints = tab.complaints().concat();
    assert!(complaints.contains("frame-ancestors"), "the page was framed: {complaints}");

    assert_eq!(texts(&server.json("/api/messages")), ["a secret"]);
    assert_eq!(server.json("/api/users")["users"], json!(["Ann"]));
}

/// DNS rebinding: to the browser it is one origin, and no `Origin` comes with what is read.
#[test]
fn a_page_whose_own_name_points_at_this_machine_opens_no_socket_reads_nothing_and_posts_nothing() {
    let server = Server::start();
    let mut ann = Client::join(&server, "Ann");
    ann.say("a secret");
    server.has_messages("lobby", 1);
    let browser = Browser::start();
    let evil = format!("http://evil.site:{}", server.address.port());
    let tab = browser.open(&format!("{evil}/"));
    assert_eq!(tab.eval("location.origin"), json!(evil), "the page itself is no secret");
    let asks = |path: &str, options: &str| {
        tries(
            &tab,
            &format!("const answer = await fetch('{path}', {options}); return [answer.status, await answer.text()]"),
        )
    };
    for path in ["/api/messages", "/api/users", "/api/rooms", "/api/search?q=secret", "/metrics"] {
        let answer = asks(path, "{}");
        assert_eq!(answer[0], 403, "{path}: {answer}");
        assert!(answer[1].as_str().is_some_and(|told| told.contains("evil.site") && !told.contains("a secret")));
    }
    let post = asks("/api/messages?username=Mallory", r#"{method: 'POST', body: '{"message":"by fetch"}'}"#);
    assert_eq!(post[0], 403, "{post}");
    let socket = "const socket = new WebSocket('/ws?username=Mallory&since=0'.replace(/^/, 'ws://' + location.host));
        return await new Promise(done => { socket.onopen = () => done('opened'); socket.onclose = () => done('failed') })";
    assert_eq!(tries(&tab, socket), "failed");
    // Who came by that name in good faith is told what is wrong with it.
    tab.eval("usernameInput.value = 'Mallory'; connectBtn.click()");
    tab.until("document.body.innerText.includes('evil.site') && /disconnected/i.test(document.getElementById('status').textContent)");
    assert_eq!(texts(&server.json("/api/messages")), ["a secret"]);
    assert_eq!(server.json("/api/users")["users"], json!(["Ann"]));
}

#[test]
fn a_page_whose_origin_the_operator_has_named_may_do_all_of_it() {
    let origin = format!("http://localhost:{}", elsewhere().port());
    let server = Setup::new().args(&["--allow-origin", &origin]).start();
    let browser = Browser::start();
    let tab = browser.open(&format!("{origin}/"));
    assert_eq!(opens_socket(&tab, &server), "opened");
    server.has_messages("lobby", 1);
    let post =
        reads(&tab, &server, "/api/messages?username=Eve", r#"{method: 'POST', body: '{"message":"by fetch"}'}"#);
    assert_eq!(post[0], "cors");
    let list = reads(&tab, &server, "/api/messages", "{}");
    let list: Value = serde_json::from_str(list[1].as_str().expect("a text")).expect("JSON");
    assert_eq!(texts(&list), ["by socket", "by fetch"]);
}
