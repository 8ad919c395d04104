//! Connections over streams in memory: who gets what and when, in seeded schedules and in single scenes.

use super::deadlines::{
    EXPIRIES_PER_TURN, PING_AFTER_MS, PONG_MS_MAX, STALL_LOOK_MS, STALL_MS_MAX, TIMERS_FEW, TIMERS_PER_CONNECTION,
};
use super::rooms::GROUP_BYTES_MAX;
use super::*;
use crate::config::RateLimit;
use std::cell::RefCell;
use std::io::ErrorKind;
use std::rc::Rc;

#[derive(Default)]
struct Wire {
    room: usize,
    got: Vec<u8>,
    shut: bool,
}
#[derive(Clone, Default)]
struct Fake(Rc<RefCell<Wire>>);
impl Read for Fake {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }
}
impl Write for Fake {
    fn write(&mut self, b: &[u8]) -> io::Result<usize> {
        let mut w = self.0.borrow_mut();
        assert!(!w.shut);
        let n = b.len().min(w.room);
        if n == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        w.room -= n;
        w.got.extend_from_slice(&b[..n]);
        Ok(n)
    }
    fn write_vectored(&mut self, bs: &[io::IoSlice<'_>]) -> io::Result<usize> {
        let mut n = 0;
        for b in bs {
            match self.write(b) {
                Ok(k) => {
                    n += k;
                    if k < b.len() {
                        break;
                    }
                }
                Err(e) => {
                    if n == 0 {
                        return Err(e);
                    }
                    break;
                }
            }
        }
        Ok(n)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
impl Stream for Fake {
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.0.borrow_mut().shut = true;
        Ok(())
    }
}

struct Dice(u64);
impl Dice {
    fn roll(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % n
    }
}

fn frames(mut b: &[u8]) -> Vec<String> {
    let mut out = Vec::new();
    while b.len() >= 2 {
        let (h, n) = match b[1] & 127 {
            126 => {
                if b.len() < 4 {
                    break;
                }
                (4, u16::from_be_bytes([b[2], b[3]]) as usize)
            }
            127 => {
                if b.len() < 10 {
                    break;
                }
                (10, u64::from_be_bytes(b[2..10].try_into().unwrap()) as usize)
            }
            n => (2, n as usize),
        };
        assert!(b[0] == 0x81, "broken stream");
        if b.len() < h + n {
            break;
        }
        let s = String::from_utf8(b[h..h + n].to_vec()).unwrap();
        out.push(s.split('#').next().unwrap().to_owned());
        b = &b[h + n..];
    }
    out
}

#[derive(Default)]
struct M {
    id: Option<ClientId>,
    wire: Fake,
    tape: Vec<String>,
    private: Vec<String>,
    own: Vec<Seq>,
    start: Seq,
    off: Option<(Seq, Vec<Seq>)>,
    room: usize,
}

fn run(seed: u64) {
    let mut d = Dice(seed);
    let mut cs: Connections<Fake> = Connections { sends_per_turn: 3, group_members_min: 2, ..Connections::new() };
    let mut ms: Vec<M> = Vec::new();
    let mut seq = [0u64; 2];
    let big = d.roll(3) == 0;
    for step in 0..3000u64 {
        match d.roll(12) {
            0 if ms.len() < 12 => {
                let wire = Fake::default();
                wire.0.borrow_mut().room = d.roll(100_000) as usize;
                let id = cs.admit(wire.clone(), Peer::Unix, step);
                cs.touch(id).unwrap().upgrade(ws::Session::new(65536), Vec::new(), step);
                let room = d.roll(2) as usize;
                cs.tune(id, RoomId(room as u32), seq[room]);
                ms.push(M { id: Some(id), wire, start: seq[room], room, ..M::default() });
            }
            1 if !ms.is_empty() => {
                // a private frame
                let i = d.roll(ms.len() as u64) as usize;
                let m = &mut ms[i];
                if let Some(out) = cs.touch(m.id.unwrap()).and_then(|c| c.writer()) {
                    let s = format!("x{step}");
                    ws::write_text(out, format!("{s}#{}", "-".repeat(d.roll(300) as usize)).as_bytes());
                    m.private.push(s);
                }
            }
            2 if !ms.is_empty() && d.roll(20) == 0 => {
                let i = d.roll(ms.len() as u64) as usize;
                let m = ms.swap_remove(i);
                cs.touch(m.id.unwrap()).unwrap().kill(CloseReason::Gone);
            }
            3..=6 if !ms.is_empty() => {
                let n = d.roll(20);
                for _ in 0..n {
                    let i = d.roll(ms.len() as u64) as usize;
                    let room = ms[i].room;
                    let is_post = d.roll(4) != 0;
                    let author = (is_post && d.roll(10) != 0).then_some(i);
                    if is_post {
                        seq[room] += 1;
                    }
                    let s = if is_post { format!("p{}", seq[room]) } else { format!("u{step}") };
                    let pad = if big {
                        d.roll(20000)
                    } else if d.roll(30) == 0 {
                        d.roll(70000)
                    } else {
                        d.roll(200)
                    };
                    let bytes = format!("{s}#{}", "=".repeat(pad as usize));
                    cs.broadcast(
                        RoomId(room as u32),
                        is_post.then_some(seq[room]),
                        author.and_then(|i| ms[i].id),
                        |o| ws::write_text(o, bytes.as_bytes()),
                    );
                    for (k, m) in ms.iter_mut().enumerate().filter(|(_, m)| m.room == room && m.off.is_none()) {
                        if author == Some(k) {
                            m.own.push(seq[room]);
                        } else {
                            m.tape.push(s.clone());
                        }
                    }
                }
            }
            7..=8 if !ms.is_empty() => {
                let i = d.roll(ms.len() as u64) as usize;
                let most = if d.roll(2) == 0 { 100 } else { 200_000 };
                ms[i].wire.0.borrow_mut().room += d.roll(most) as usize;
                cs.writable(ms[i].id.unwrap());
            }
            _ => {}
        }
        if d.roll(3) != 0 {
            cs.group(d.roll(2) == 0);
            settle(&mut cs, &mut ms, step);
        }
    }
    for m in &ms {
        m.wire.0.borrow_mut().room = usize::MAX / 2;
        cs.writable(m.id.unwrap());
    }
    cs.group(false);
    for s in 0..5 {
        settle(&mut cs, &mut ms, 4000 + s);
    }
    for m in &ms {
        let got = frames(&m.wire.0.borrow().got);
        let private: Vec<_> = got.iter().filter(|f| f.starts_with('x')).cloned().collect();
        assert_eq!(private, m.private, "private");
        let tape: Vec<_> = got.iter().filter(|f| !f.starts_with('x')).cloned().collect();
        match &m.off {
            None => assert_eq!(tape, m.tape, "tape of {:?}", m.id),
            Some((last, own)) => {
                assert_eq!(tape, m.tape[..tape.len()], "prefix");
                let posts: Vec<u64> =
                    tape.iter().filter_map(|f| f.strip_prefix('p')).map(|n| n.parse().unwrap()).collect();
                let all: Vec<u64> = m
                    .tape
                    .iter()
                    .filter_map(|f| f.strip_prefix('p'))
                    .map(|n| n.parse().unwrap())
                    .filter(|n| n <= last)
                    .collect();
                assert_eq!(posts, all, "sent are those up to last {last}, start {}", m.start);
                assert_eq!(own, &m.own.iter().copied().filter(|n| n > last).collect::<Vec<_>>(), "own");
            }
        }
    }
    assert!(cs.dirty.len() <= 2);
}

fn settle(cs: &mut Connections<Fake>, ms: &mut [M], now: u64) {
    let s = cs.settle(now, |_, _| {});
    if now.is_multiple_of(3) {
        cs.note_busy();
    }
    for (id, last, own) in s.behind {
        if let Some(m) = ms.iter_mut().find(|m| m.id == Some(id)) {
            m.off = Some((last, own));
        }
    }
}

#[test]
fn every_member_gets_every_frame_once_in_order() {
    for seed in 0..400 {
        run(seed);
    }
}

#[test]
fn a_large_room_stands_in_the_list_of_dirty_rooms_once() {
    let mut cs: Connections<Fake> = Connections { sends_per_turn: 3, ..Connections::new() };
    for _ in 0..8 {
        let wire = Fake::default();
        wire.0.borrow_mut().room = usize::MAX / 2;
        let id = cs.admit(wire, Peer::Unix, 0);
        cs.touch(id).unwrap().upgrade(ws::Session::new(65536), Vec::new(), 0);
        cs.tune(id, RoomId(0), 0);
    }
    cs.settle(0, |_, _| {});
    for turn in 0..300u64 {
        cs.broadcast(RoomId(0), Some(turn + 1), None, |o| ws::write_text(o, b"hello"));
        cs.settle(turn, |_, _| {});
        assert!(cs.dirty.len() <= 1);
    }
    let mut spare = 0;
    while cs.is_unsettled() {
        cs.settle(1000, |_, _| {});
        spare += 1;
    }
    assert!(spare <= 6);
}

/// One member of a session, seen by the timers at `at_ms`: how it stands, and how many bytes it was sent.
fn look(cs: &mut Connections<Fake>, id: ClientId, at_ms: u64) -> (Option<Life>, usize) {
    cs.expire(at_ms);
    let mut dead = None;
    cs.settle(at_ms, |_, reason| dead = Some(Life::Dead(reason)));
    let life = cs.touch(id).map(|connection| connection.life()).or(dead);
    let sent = cs.touch(id).map_or(0, |connection| connection.stream.0.borrow().got.len());
    (life, sent)
}

fn session(cs: &mut Connections<Fake>) -> ClientId {
    let wire = Fake::default();
    wire.0.borrow_mut().room = usize::MAX / 2;
    let id = cs.admit(wire, Peer::Unix, 0);
    cs.touch(id).unwrap().upgrade(ws::Session::new(100), Vec::new(), 0);
    cs.settle(0, |_, _| {});
    id
}

/// A disk that hung held up all reading: after 45 s everybody was closed as not answering a ping, with the pong
/// unread in the kernel.
#[test]
fn who_waits_to_be_listened_to_is_not_called_silent() {
    let mut cs = Connections::new();
    let id = session(&mut cs);
    cs.touch(id).unwrap().is_listed = true;
    for at_ms in (0..200_000).step_by(1000) {
        assert_eq!(look(&mut cs, id, at_ms), (Some(Life::Open), 0), "{at_ms}");
    }
    cs.touch(id).unwrap().is_listed = false;
    assert_eq!(look(&mut cs, id, 200_000), (Some(Life::Open), 0));
    assert_eq!(look(&mut cs, id, 200_001), (Some(Life::Open), 2), "pinged");
    assert_eq!(look(&mut cs, id, 200_000 + PONG_MS_MAX).0, Some(Life::Open));
    let (life, _) = look(&mut cs, id, 200_002 + PONG_MS_MAX);
    assert_eq!(life, Some(Life::Lingering(CloseReason::NoPong)));
}

/// The kernel reports a socket as writable when a good part of its buffer is free: on a link of 1 KB a second that
/// takes a minute, and such a peer was hung up on although it took bytes all the time.
#[test]
fn who_takes_a_few_bytes_is_not_called_stalled_before_the_kernel_says_that_there_is_room() {
    let mut cs = Connections::new();
    let id = session(&mut cs);
    let wire = cs.touch(id).unwrap().stream.clone();
    wire.0.borrow_mut().room = 1000;
    cs.tune(id, RoomId(0), 0);
    cs.broadcast(RoomId(0), Some(1), None, |out| ws::write_text(out, &[b'x'; 60_000]));
    assert_eq!(look(&mut cs, id, 0), (Some(Life::Open), 1000));
    for n in 1..10 {
        wire.0.borrow_mut().room += 100;
        let at_ms = n * (STALL_MS_MAX - 1);
        assert_eq!(look(&mut cs, id, at_ms), (Some(Life::Open), 1000 + 100 * n as usize), "{n}");
    }
    // Its last bytes are noticed soon, so that its 30 s are not counted from the time that they are over.
    wire.0.borrow_mut().room += 100;
    let mut last_ms = 9 * (STALL_MS_MAX - 1);
    while look(&mut cs, id, last_ms).0 == Some(Life::Open) {
        last_ms += 1000;
    }
    let over_ms = last_ms - 9 * (STALL_MS_MAX - 1);
    assert!((STALL_MS_MAX..STALL_MS_MAX + STALL_LOOK_MS + 1000).contains(&over_ms), "{over_ms}");
}

/// Who is held back for its rate and let go again fifty times a second left an entry behind each time.
#[test]
fn the_timers_do_not_grow_with_what_a_connection_does() {
    let mut cs = Connections::new();
    let ids: Vec<ClientId> = (0..10).map(|_| session(&mut cs)).collect();
    for id in &ids {
        cs.touch(*id).unwrap().limit_rate(0, RateLimit { per_second: 1000, burst: 1 });
    }
    for now_ms in (0..PING_AFTER_MS).step_by(2) {
        for id in &ids {
            let connection = cs.touch(*id).unwrap();
            connection.heard(now_ms);
            connection.is_readable = true;
            let Protocol::Ws(session) = &mut connection.protocol else { panic!("it was upgraded") };
            session.next(&mut &mut [0x8a, 0x80, 0, 0, 0, 0, 0x8a, 0x80, 0, 0, 0, 0][..], &mut Vec::new());
            connection.spend_frames(now_ms);
        }
        cs.settle(now_ms, |_, _| {});
        for expired in cs.expire(now_ms + 1) {
            let Expired::Released(id) = expired else { panic!("{expired:?}") };
            cs.touch(id).unwrap().is_readable = false;
        }
        cs.settle(now_ms + 1, |_, _| {});
    }
    assert!(
        cs.timers.len() <= 10 * TIMERS_PER_CONNECTION + TIMERS_FEW,
        "{} timers for 10 connections",
        cs.timers.len()
    );
}

/// After a pause of the whole machine everybody was pinged late, and closed in the next turn.
#[test]
fn a_late_ping_leaves_its_pong_the_whole_time() {
    let mut cs = Connections::new();
    let id = session(&mut cs);
    assert_eq!(look(&mut cs, id, 300_000), (Some(Life::Open), 2), "pinged");
    assert_eq!(look(&mut cs, id, 300_000 + PONG_MS_MAX - 1), (Some(Life::Open), 2));
    let (life, _) = look(&mut cs, id, 300_000 + PONG_MS_MAX);
    assert_eq!(life, Some(Life::Lingering(CloseReason::NoPong)));
}

/// 10,000 who had come together were all pinged in one turn, for which everybody else waited.
#[test]
fn a_crowd_whose_time_is_up_together_is_let_go_in_slices() {
    let mut cs = Connections::new();
    let crowd: Vec<ClientId> = (0..2 * EXPIRIES_PER_TURN + 7).map(|_| session(&mut cs)).collect();
    for told in [EXPIRIES_PER_TURN, 2 * EXPIRIES_PER_TURN, crowd.len()] {
        assert!(cs.next_due_ms().unwrap() <= PING_AFTER_MS, "the rest is still due");
        cs.expire(PING_AFTER_MS);
        cs.settle(PING_AFTER_MS, |_, _| {});
        let sent = |id: &&ClientId| cs.touch(**id).unwrap().stream.0.borrow().got.len() == 2;
        assert_eq!(crowd.iter().filter(sent).count(), told);
    }
    assert!(cs.next_due_ms().unwrap() > PING_AFTER_MS);
}

#[test]
fn a_busy_room_gathers_frames_and_its_members_are_told_the_rest_at_once() {
    let mut cs: Connections<Fake> = Connections { group_members_min: 2, ..Connections::new() };
    let mut join = |room| {
        let wire = Fake::default();
        wire.0.borrow_mut().room = usize::MAX / 2;
        let id = cs.admit(wire.clone(), Peer::Unix, 0);
        cs.touch(id).unwrap().upgrade(ws::Session::new(65536), Vec::new(), 0);
        cs.tune(id, RoomId(room), 0);
        (id, wire)
    };
    let (busy, quiet) = ([join(0), join(0)], [join(1), join(1)]);
    let heard = |wire: &Fake| frames(&wire.0.borrow().got);
    let say = |cs: &mut Connections<Fake>, room, text: &str| {
        cs.broadcast(RoomId(room), None, None, |out| ws::write_text(out, text.as_bytes()));
    };
    say(&mut cs, 0, "a");
    cs.settle(0, |_, _| {});
    cs.note_busy();
    cs.group(true);
    say(&mut cs, 0, "b");
    assert!(cs.is_gathering(), "the loop may rest");
    cs.group(false);
    assert!(!cs.is_gathering(), "the time is up");
    cs.group(true);
    say(&mut cs, 1, "q");
    assert!(!cs.is_gathering(), "a quiet room is not to wait");
    ws::write_text(cs.touch(busy[0].0).unwrap().writer().unwrap(), b"private");
    cs.settle(1, |_, _| {});
    assert_eq!((heard(&busy[0].1), heard(&busy[1].1)), (vec!["a".into(), "private".into()], vec!["a".to_owned()]));
    assert_eq!(heard(&quiet[0].1), ["q"]);
    assert!(cs.is_unsettled() && cs.is_gathering());
    // Enough for a full write: no more is waited for.
    say(&mut cs, 0, &format!("c#{}", "-".repeat(GROUP_BYTES_MAX as usize)));
    assert!(!cs.is_gathering());
    cs.settle(2, |_, _| {});
    assert_eq!(
        (heard(&busy[0].1), heard(&busy[1].1)),
        (["a", "private", "b", "c"].map(str::to_owned).to_vec(), ["a", "b", "c"].map(str::to_owned).to_vec(),)
    );
    // Whoever leaves gets what is on the tape before its close frame.
    cs.note_busy();
    say(&mut cs, 0, "d");
    cs.touch(busy[1].0).unwrap().close(CloseReason::Restart, 3);
    cs.settle(3, |_, _| {});
    assert_eq!(heard(&busy[0].1).len(), 4);
    assert!(busy[1].1.0.borrow().got.windows(3).any(|bytes| bytes == [0x81, 1, b'd']));
    cs.group(false);
    cs.settle(4, |_, _| {});
    assert_eq!(heard(&busy[0].1), ["a", "private", "b", "c", "d"]);
}

#[test]
fn an_empty_room_keeps_no_frames() {
    let mut cs: Connections<Fake> = Connections { sends_per_turn: 3, ..Connections::new() };
    let join = |cs: &mut Connections<Fake>, room| {
        let w = Fake::default();
        w.0.borrow_mut().room = room;
        let id = cs.admit(w, Peer::Unix, 0);
        cs.touch(id).unwrap().upgrade(ws::Session::new(65536), Vec::new(), 0);
        cs.tune(id, RoomId(0), 0);
        id
    };
    let (a, b) = (join(&mut cs, usize::MAX / 2), join(&mut cs, 10));
    for n in 0..16 {
        cs.broadcast(RoomId(0), Some(n + 1), Some(a), |o| ws::write_text(o, &[b'x'; 16000]));
        cs.settle(0, |_, _| {});
    }
    for id in [a, b] {
        cs.untune(id);
        cs.touch(id).unwrap().kill(CloseReason::Gone);
    }
    cs.settle(1, |_, _| {});
    assert!(cs.is_empty());
    let text = format!("{:?}", cs.rooms[0].tape).len();
    assert!(text < 10_000, "debug text of the tape is {text} long");
}
