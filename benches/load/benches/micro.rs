//! What the parts of a message's way cost in user space, alone and without a socket: `cargo bench -p catchup-bench`.
//!
//! Figures are for each message (`items`), and for each delivery in `turn`, whose sockets take everything at once.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr};

use catchup::chat::{Chat, Effect, Hello, Rules, Time};
use catchup::connection::{Connections, Stream};
use catchup::http::Reader;
use catchup::log::{Answer, Job};
use catchup::memory::Memory;
use catchup::message::{self, ClientId, Encoder, Event, Post, RoomId, fresh_uuid};
use catchup::outbox::Outbox;
use catchup::tape::{Spares, Tape};
use catchup::ws::{self, Session, Step};
use catchup_bench::wire;
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};

/// Messages in one read, or one turn.
const BATCH: usize = 40;

fn main() {
    divan::main();
}

/// A socket that takes everything and gives nothing.
struct Sink;

impl Read for Sink {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        black_box(bytes);
        Ok(bytes.len())
    }

    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        black_box(slices);
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Sink {
    fn shutdown_write(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn said(bytes: usize) -> String {
    format!(r#"{{"type":"message","message":"{}"}}"#, "x".repeat(bytes))
}

fn event(bytes: usize) -> Event {
    Event::Message(Post {
        seq: 123_456,
        uuid: fresh_uuid(),
        author: "b7".into(),
        text: "x".repeat(bytes).into(),
        at_ms: 1_790_000_000_000,
        client_id: None,
    })
}

/// A request head, received and understood.
#[divan::bench]
fn parse_upgrade(bencher: Bencher) {
    let head =
        b"GET /ws?username=Alice&v=2 HTTP/1.1\r\nHost: localhost:8000\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    bencher.bench_local(|| {
        let mut reader = Reader::default();
        reader.receive(black_box(head));
        let request = reader.next().expect("is well-formed").expect("is complete");
        ws::upgrade(&request).expect("is an upgrade")
    });
}

/// Masked frames, unmasked and checked.
#[divan::bench(args = [64, 1024])]
fn parse_frames(bencher: Bencher, bytes: usize) {
    let mut wire = Vec::new();
    for _ in 0..BATCH {
        let mut frame = Vec::new();
        let payload = said(bytes);
        wire::append_head(&mut frame, wire::TEXT, payload.len(), 0);
        frame[1] |= 0x80;
        let mask = [7, 77, 177, 211];
        frame.extend_from_slice(&mask);
        frame.extend(payload.bytes().zip(mask.into_iter().cycle()).map(|(byte, mask)| byte ^ mask));
        wire.extend(frame);
    }
    let mut session = Session::new(ws::MESSAGE_BYTES_MAX);
    let mut replies = Vec::new();
    bencher.counter(ItemsCount::new(BATCH)).with_inputs(|| wire.clone()).bench_local_refs(|wire| {
        let mut left = &mut wire[..];
        let mut texts = 0;
        while let Step::Text(text) = session.next(&mut left, &mut replies) {
            texts += usize::from(!black_box(&text).is_empty());
        }
        assert_eq!(texts, BATCH);
    });
}

/// A frame's JSON, as a request.
#[divan::bench(args = [64, 1024])]
fn parse_request(bencher: Bencher, bytes: usize) {
    let payload = said(bytes);
    bencher.counter(ItemsCount::new(1usize)).bench_local(|| message::parse_request(black_box(&payload)).is_ok());
}

/// A post as a frame.
#[divan::bench(args = [64, 1024])]
fn encode(bencher: Bencher, bytes: usize) {
    let (mut encoder, event) = (Encoder::default(), event(bytes));
    let (mut payload, mut out) = (Vec::new(), Vec::new());
    bencher.counter(ItemsCount::new(1usize)).bench_local(|| {
        payload.clear();
        out.clear();
        encoder.event(&mut payload, black_box(&event));
        ws::write_text(&mut out, &payload);
        out.len()
    });
}

/// Frames put on the tape, read by one member, and given back.
#[divan::bench(args = [200, 1200])]
fn tape(bencher: Bencher, bytes: usize) {
    let frame = vec![b'x'; bytes];
    let (mut tape, mut spares, mut seq) = (Tape::new(0), Spares::default(), 0);
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        let from = tape.end();
        for _ in 0..BATCH {
            seq += 1;
            tape.append(&mut spares, Some(seq), |out| out.extend_from_slice(&frame));
        }
        let read = tape.rest(from).map_or(0, |rest| black_box(rest).len());
        tape.release(&mut spares, tape.end());
        read
    });
}

/// A private frame, queued and written.
#[divan::bench]
fn outbox(bencher: Bencher) {
    let mut outbox = Outbox::default();
    bencher.counter(ItemsCount::new(1usize)).bench_local(|| {
        ws::write_text(outbox.writer(), black_box(br#"{"type":"ack","client_id":"0123456789","id":7}"#));
        outbox.flush(&mut Sink).expect("a sink takes all")
    });
}

/// The rules alone: a frame said, logged in memory, and its effects.
#[divan::bench]
fn chat(bencher: Bencher) {
    let mut log = Memory::new();
    let mut chat = Chat::new(Rules::new(log.epoch(), false), []);
    let time = Time { now_ms: 1, at_ms: 1_790_000_000_000 };
    let client = ClientId { slot: 3, generation: 1 };
    let mut effects = Vec::new();
    let hello = Hello {
        room: "lobby".into(),
        name: "Ann".into(),
        is_v2: false,
        session: None,
        since: None,
        epoch: None,
        peer: IpAddr::from(Ipv4Addr::LOCALHOST).into(),
        fresh: [fresh_uuid(), fresh_uuid()],
    };
    chat.join(time, client, hello, &mut effects);
    let payload = said(64);
    bencher.counter(ItemsCount::new(1usize)).bench_local(|| {
        effects.clear();
        chat.receive(time, client, &payload, &mut effects);
        let Some(Effect::Log(job @ Job::Append(_))) = effects.pop() else { panic!("a message is logged") };
        let Some(Answer::Appended(posts)) = log.answer(job) else { panic!("memory takes all") };
        chat.appended(posts, &mut effects);
        effects.len()
    });
}

/// A turn of [`BATCH`] messages in a room of so many, to sockets that cost nothing: time for each delivery.
#[divan::bench(args = [10, 100, 1_000, 10_000])]
fn turn(bencher: Bencher, members: usize) {
    let mut connections = joined(members);
    let (mut encoder, event, mut payload) = (Encoder::default(), event(64), Vec::new());
    let (room, mut seq) = (RoomId(0), 0);
    let author = connections.owner(0);
    bencher.counter(ItemsCount::new(BATCH * members)).bench_local(|| {
        for _ in 0..BATCH {
            seq += 1;
            payload.clear();
            encoder.event(&mut payload, &event);
            connections.broadcast(room, Some(seq), author, |out| ws::write_text(out, &payload));
        }
        while connections.is_unsettled() {
            connections.settle(1, |_, _| {});
        }
    });
}

/// So many connections taken in, upgraded and given their place: time for each.
#[divan::bench(args = [100, 1_000, 10_000])]
fn join(bencher: Bencher, members: usize) {
    bencher.counter(ItemsCount::new(members)).bench_local(|| joined(members).len());
}

fn joined(members: usize) -> Connections<Sink> {
    let mut connections = Connections::new();
    for _ in 0..members {
        let id = connections.admit(Sink, IpAddr::from(Ipv4Addr::LOCALHOST).into(), 0);
        let connection = connections.touch(id).expect("it is there");
        connection.upgrade(Session::new(ws::MESSAGE_BYTES_MAX), Vec::new(), 0);
        connections.tune(id, RoomId(0), 0);
    }
    connections.settle(0, |_, _| {});
    connections
}
