//! What the world does to a server: a full disk, one that goes read-only, one that hangs, a clock set back, no descriptors.
//!
//! Each time: it is said what does not work, what was acknowledged is there afterwards, and the server recovers without a
//! restart where the cause goes away. The disks are real ones of a megabyte or eight, mounted here; that takes root. What
//! cannot be set up is told on standard error and passed over.

mod support;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use support::server::Directory;
use support::{Client, Http, Server, Setup, WAIT, eventually, texts};

/// Runs a program to its end; the error is what it said.
fn run(program: &str, args: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(args).output().map_err(|error| format!("{program}: {error}"))?;
    let told = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{program} {}: {told}", args.join(" "))) }
}

/// Tells, past the test runner, that a test has tested nothing.
fn skip(test: &str, why: &str) {
    let line = format!("\nSKIPPED {test}: {why}\n");
    std::io::stderr().write_all(line.as_bytes()).expect("standard error is there");
}

/// A small disk; it goes with this value, which must outlive the server on it.
struct Disk {
    at: PathBuf,
    _directory: Arc<Directory>,
}

impl Disk {
    /// In memory.
    fn memory(size: &str) -> Result<Disk, String> {
        let disk = Disk::unmounted();
        run("mount", &["-t", "tmpfs", "-o", &format!("size={size}"), "none", disk.path()])?;
        Ok(disk)
    }

    /// A file system in a file, with a disk's faults.
    fn image() -> Result<Disk, String> {
        let disk = Disk::unmounted();
        let image = disk._directory.file("image");
        File::create(&image).and_then(|file| file.set_len(16 << 20)).map_err(|error| error.to_string())?;
        let image = image.to_str().expect("the target directory's name is text");
        run("mkfs.ext4", &["-q", "-F", image])?;
        run("mount", &["-o", "loop", image, disk.path()])?;
        Ok(disk)
    }

    fn unmounted() -> Disk {
        let directory = Directory::new();
        let at = directory.file("disk");
        fs::create_dir(&at).expect("a new directory can be written");
        Disk { at, _directory: directory }
    }

    fn path(&self) -> &str {
        self.at.to_str().expect("the target directory's name is text")
    }

    fn file(&self, name: &str) -> String {
        format!("{}/{name}", self.path())
    }

    fn server(&self) -> Server {
        Setup::new().bare_data().args(&["--data", &self.file("chat.db")]).start()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a server that a failed test leaves behind ends a moment later.
        drop(run("umount", &["-l", self.path()]));
    }
}

/// Says it until it is acknowledged: its id.
fn acked(client: &mut Client, text: &str) -> u64 {
    client.say_as(text, text);
    let ack = client.next_of("ack");
    assert_eq!(ack["client_id"], text, "{ack}");
    ack["id"].as_u64().expect("an id")
}

/// Says it and is refused: the sentence.
fn refused(client: &mut Client, text: &str) -> String {
    client.say_as(text, "lost");
    let told = client.next_is("error");
    assert_eq!((&told["code"], &told["client_id"]), (&"not_stored".into(), &"lost".into()), "{told}");
    told["message"].as_str().expect("a sentence").to_owned()
}

fn list(server: &Server) -> Vec<String> {
    texts(&server.json("/api/messages")).into_iter().map(str::to_owned).collect()
}

/// After whatever happened: as told while it ran, and as told after kill -9.
fn is_kept(server: Server, expect: &[&str]) {
    assert_eq!(list(&server), expect);
    let server = server.restart();
    assert_eq!(list(&server), expect);
}

/// Waits for a line on the console.
fn told_on_console(server: &Server, part: &str) {
    eventually(&format!("the console line {part:?}"), || {
        server.stdout().iter().any(|line| line.contains(part)).then_some(())
    });
}

#[test]
fn a_full_disk_refuses_what_is_said_and_takes_it_when_there_is_room() {
    let disk = match Disk::memory("1m") {
        Ok(disk) => disk,
        Err(why) => return skip("a_full_disk", &why),
    };
    let server = disk.server();
    let (mut ann, mut bob) = (Client::join_v2(&server, "Ann", ""), Client::join_v2(&server, "Bob", ""));
    ann.sees("Bob joined the chat", 2);
    acked(&mut ann, "before");
    assert_eq!(bob.hears("before"), 1);
    let ballast = disk.file("ballast");
    let mut file = File::create(&ballast).expect("the disk can be written");
    while file.write_all(&[0; 4096]).is_ok() {}

    // Larger than what may be left of a page.
    let told = refused(&mut ann, &"x".repeat(8000));
    assert_eq!(told, "the message was not stored: database or disk is full; send it again later");
    let body = format!(r#"{{"message":"{}"}}"#, "x".repeat(8000));
    let answer = server.post("/api/messages?username=Cleo", &body);
    assert_eq!((answer.status, answer.detail()), (503, told));
    assert_eq!(answer.header("retry-after"), Some("5"));
    told_on_console(&server, "not stored: 1 message: database or disk is full");
    // What is there can be read, and those who come are let in.
    assert_eq!(list(&server), ["before"]);
    let mut dan = Client::join_v2(&server, "Dan", "&since=0");
    assert_eq!(dan.next_of("message")["message"], "before");
    // A server cannot begin on such a disk, and says so.
    let other = Setup::new().bare_data().args(&["--data", &disk.file("other.db")]);
    let (status, _, error) = other.run();
    assert!(!status.success() && error.contains("other.db") && error.contains("full"), "{status}: {error}");

    drop(file);
    fs::remove_file(&ballast).expect("it is there");
    acked(&mut ann, "after");
    // Nobody was shown what was not stored.
    assert_eq!(bob.next_of("message")["message"], "after");
    assert_eq!(dan.next_of("message")["message"], "after");
    drop((ann, bob, dan));
    is_kept(server, &["before", "after"]);
}

#[test]
fn files_that_cannot_be_written_refuse_what_is_said_until_they_can() {
    let disk = match Disk::image() {
        Ok(disk) => disk,
        Err(why) => return skip("files_that_cannot_be_written", &why),
    };
    let server = disk.server();
    let (mut ann, mut bob) = (Client::join_v2(&server, "Ann", ""), Client::join_v2(&server, "Bob", ""));
    ann.sees("Bob joined the chat", 2);
    acked(&mut ann, "before");
    // The files are open already, so only a flag that is looked at in each write can do it. (Not on the index of the
    // write-ahead log, which is mapped: there the kernel would end the process.)
    let files = [disk.file("chat.db"), disk.file("chat.db-wal"), disk.path().to_owned()];
    let flag = |sign: &str| run("chattr", &[sign, &files[0], &files[1], &files[2]]);
    flag("+i").expect("ext4 knows the flag");
    let told = refused(&mut ann, "during");
    assert_eq!(told, "the message was not stored: disk I/O error; send it again later");
    told_on_console(&server, "not stored: 1 message: disk I/O error");
    assert_eq!(list(&server), ["before"]);
    flag("-i").expect("it was set a moment before");
    acked(&mut ann, "after");
    assert_eq!(bob.next_of("message")["message"], "before");
    assert_eq!(bob.next_of("message")["message"], "after");
    drop((ann, bob));
    is_kept(server, &["before", "after"]);
}

#[test]
fn a_start_on_a_read_only_disk_says_so_and_a_start_on_it_made_writable_finds_all() {
    let disk = match Disk::memory("2m") {
        Ok(disk) => disk,
        Err(why) => return skip("a_start_on_a_read_only_disk", &why),
    };
    let mut server = disk.server();
    let mut ann = Client::join_v2(&server, "Ann", "");
    acked(&mut ann, "before");
    server.kill();
    run("mount", &["-o", "remount,ro", disk.path()]).expect("nobody writes");
    let (status, _, error) = server.setup().run();
    assert!(!status.success(), "{error}");
    let want = "make the file and its directory writable, or name another with --data";
    assert!(error.contains(&disk.file("chat.db")) && error.contains(want), "{error}");
    run("mount", &["-o", "remount,rw", disk.path()]).expect("it was writable a moment before");
    is_kept(server.setup().start(), &["before"]);
}

/// A disk that takes no write until this is dropped.
struct Frozen<'a>(&'a Disk);

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        run("fsfreeze", &["-u", self.0.path()]).expect("it was frozen");
    }
}

#[test]
fn a_disk_that_hangs_holds_up_what_needs_it_and_nothing_else() {
    let disk = match Disk::image() {
        Ok(disk) => disk,
        Err(why) => return skip("a_disk_that_hangs", &why),
    };
    let server = disk.server();
    let (mut ann, mut bob) = (Client::join_v2(&server, "Ann", ""), Client::join_v2(&server, "Bob", ""));
    ann.sees("Bob joined the chat", 2);
    acked(&mut ann, "before");
    assert_eq!(bob.hears("before"), 1);
    run("fsfreeze", &["-f", disk.path()]).expect("ext4 can be frozen");
    let frozen = Frozen(&disk);
    ann.say_as("during", "k");
    let mut post = Http::to(&server);
    let body = r#"{"message":"by HTTP"}"#;
    post.send(format!(
        "POST /api/messages?username=Cleo HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    // All that needs no disk goes on: the loop does not wait for the disk.
    assert_eq!(server.get("/healthz").status, 200);
    assert_eq!(server.json("/api/users")["count"], 2);
    ann.send(r#"{"type":"typing"}"#);
    assert_eq!(bob.next()["type"], "typing", "nobody is shown what is not stored");
    drop(frozen);
    assert_eq!(ann.next_of("ack")["client_id"], "k");
    assert_eq!(bob.next_of("message")["message"], "during");
    assert_eq!(post.response().status, 201);
    assert_eq!(bob.next_of("message")["message"], "by HTTP");
    drop((ann, bob));
    is_kept(server, &["before", "during", "by HTTP"]);
}

#[test]
fn a_clock_that_is_set_back_or_forth_changes_stamps_and_nothing_else() {
    let library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";
    if !Path::new(library).exists() {
        return skip("a_clock_that_is_set", &format!("{library} is missing (Debian's package libfaketime)"));
    }
    let setup = Setup::new().file("clock", "+0");
    let clock = setup.path("clock");
    let set = |offset: &str| {
        // Replaced whole: it is read at every look at the clock.
        let new = clock.with_extension("new");
        fs::write(&new, offset).and_then(|()| fs::rename(&new, &clock)).expect("the directory can be written");
    };
    let server = setup
        .env("LD_PRELOAD", library)
        .env("FAKETIME_TIMESTAMP_FILE", clock.to_str().expect("the target directory's name is text"))
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .start();
    let (mut ann, mut bob) = (Client::join_v2(&server, "Ann", ""), Client::join_v2(&server, "Bob", ""));
    ann.sees("Bob joined the chat", 2);
    let mut stamps = Vec::new();
    for (id, (offset, text)) in
        [("+0", "now"), ("-1h", "an hour ago"), ("+1h", "in an hour"), ("+0", "now again")].into_iter().enumerate()
    {
        set(offset);
        assert_eq!(acked(&mut ann, text), 1 + id as u64);
        let heard = bob.next_of("message");
        assert_eq!(heard["message"], text);
        stamps.push(heard["timestamp"].as_str().expect("a stamp").to_owned());
        ann.send(r#"{"type":"typing"}"#);
        bob.next_of("typing");
    }
    // Stamps are the clock's; ids are the order, whatever it says.
    assert!(stamps[1] < stamps[0] && stamps[0] < stamps[2], "{stamps:?}");
    let all = ["now", "an hour ago", "in an hour", "now again"];
    assert_eq!(list(&server), all);
    set("-1h");
    let session = bob.session.clone();
    bob.leave();
    let mut bob = Client::resume(&server, "Bob", &session, 1);
    for text in &all[1..] {
        assert_eq!(bob.next_of("message")["message"], *text);
    }
    assert_eq!(server.get("/healthz").status, 200);
    drop((ann, bob));
    is_kept(server, &all);
}

#[test]
fn with_sixty_four_descriptors_those_who_fit_are_served_and_others_when_they_have_left() {
    let server = Server::start();
    if let Err(why) = run("prlimit", &["--pid", &server.pid().to_string(), "--nofile=64:64"]) {
        return skip("with_sixty_four_descriptors", &why);
    }
    let mut first = Client::join(&server, "first");
    let mut streams: Vec<_> = (0..80).map(|_| TcpStream::connect(server.address).expect("it listens")).collect();
    told_on_console(&server, "no descriptor is left at ");
    acked_plainly(&mut first, "still here");
    streams.clear();
    // Let in again, without a restart, as soon as there is room.
    eventually("room for one more", || {
        let mut stream = TcpStream::connect(server.address).ok()?;
        stream.set_read_timeout(Some(WAIT)).expect("a socket takes a timeout");
        stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").ok()?;
        let mut status = [0; 12];
        stream.read_exact(&mut status).ok().filter(|()| status == *b"HTTP/1.1 200")
    });
    let mut late = Client::join(&server, "late");
    late.say("me too");
    first.next_of("message");
    is_kept(server, &["still here", "me too"]);
}

/// A plain client's message, which is there once the log has it.
fn acked_plainly(client: &mut Client, text: &str) {
    client.say(text);
    client.send(r#"{"type":"message","message":""}"#);
    assert_eq!(client.next_of("error")["code"], "blank_message");
}
