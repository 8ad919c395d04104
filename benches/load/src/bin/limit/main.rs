//! The yardstick: the least work that can carry this chat on this kernel. Not a product.
//!
//! One room, one contiguous log of encoded frames. A member is a position in that log, the ranges
//! of its own messages, and a socket. A turn reads every ready socket first, then gives each
//! member one write from its position to the end. Nothing is validated, stored, or logged; a text
//! is copied as it came, still escaped.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use catchup_bench::{system, wire};
use clap::{Parser, ValueEnum};

use crate::epoll::{Epoll, Ready};
use crate::member::{Member, flush};

mod epoll;
mod member;

const LISTENER: u64 = u64::MAX;
const READ_BUFFER_BYTES: usize = 256 << 10;
/// A member this far behind is dropped: the log is one buffer and must end somewhere.
const BEHIND_BYTES_MAX: u64 = 256 << 20;
/// Sent bytes in front of the log that are kept until moving the rest is worth it.
const TRIM_BYTES_MIN: u64 = 4 << 20;
const CORK_MAX: Duration = Duration::from_millis(5);

/// Yardstick chat server: raw epoll, least possible work
#[derive(Parser)]
#[command(name = "limit")]
struct Options {
    #[arg(long, default_value_t = 8000)]
    port: u16,
    /// Before a flush, go on reading for half the time that the last flush took (5 ms at most)
    #[arg(long)]
    cork: bool,
    /// Tell nobody of joins and leaves
    #[arg(long, value_enum, default_value = "on")]
    announce: Switch,
    /// Misbehave on purpose, so that the harness can show that it notices
    #[arg(long, value_enum)]
    fault: Option<Fault>,
    /// Which messages the fault hits: every one whose id this divides
    #[arg(long, default_value_t = 100)]
    fault_every: u64,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Switch {
    On,
    Off,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Fault {
    /// The last member does not get the message
    Lose,
    /// Everybody gets it twice
    Double,
    /// Everybody gets it after the next one
    Swap,
}

struct Limit {
    options: Options,
    epoll: Epoll,
    listener: TcpListener,
    members: Vec<Option<Member>>,
    present: usize,
    counted: usize,
    /// Frames back to back; `log_start` is the position of its first byte.
    log: Vec<u8>,
    log_start: u64,
    held_back: Vec<u8>,
    last_id: u64,
    timestamp: (u64, String),
    buffer: Vec<u8>,
    gone: Vec<usize>,
    free: Vec<usize>,
    last_flush: Duration,
    started: Instant,
}

fn main() -> io::Result<()> {
    let options = Options::parse();
    system::raise_open_files()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))?;
    listener.set_nonblocking(true)?;
    let mut limit = Limit {
        options,
        epoll: Epoll::new()?,
        listener,
        members: Vec::new(),
        present: 0,
        counted: 0,
        log: Vec::new(),
        log_start: 0,
        held_back: Vec::new(),
        last_id: 0,
        timestamp: (u64::MAX, String::new()),
        buffer: vec![0; READ_BUFFER_BYTES],
        gone: Vec::new(),
        free: Vec::new(),
        last_flush: Duration::ZERO,
        started: Instant::now(),
    };
    limit.epoll.add(&limit.listener, LISTENER)?;
    let mut ready = Vec::new();
    loop {
        limit.turn(&mut ready)?;
    }
}

impl Limit {
    fn turn(&mut self, ready: &mut Vec<Ready>) -> io::Result<()> {
        let mut has_callers = self.receive_ready(None, ready)?;
        if self.options.cork && !self.log.is_empty() {
            let until = Instant::now() + (self.last_flush / 2).min(CORK_MAX);
            while Instant::now() < until {
                has_callers |= self.receive_ready(Some(Duration::ZERO), ready)?;
            }
        }
        self.bury();
        self.announce_count();
        self.settle();
        if has_callers {
            self.accept()?;
        }
        Ok(())
    }

    /// Reads from all that is ready; `true` if somebody knocks.
    fn receive_ready(&mut self, limit: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<bool> {
        let mut has_callers = false;
        ready.clear();
        self.epoll.wait(limit, ready)?;
        for event in ready.iter() {
            if event.key == LISTENER {
                has_callers = true;
                continue;
            }
            let slot = event.key as usize;
            if event.is_writable
                && let Some(member) = &mut self.members[slot]
            {
                member.is_blocked = false;
                self.epoll.want_writable(&member.stream, event.key, false)?;
            }
            if event.is_readable && self.receive(slot).is_err() {
                self.gone.push(slot);
            }
        }
        Ok(has_callers)
    }

    /// One read, and what is whole in it. Level-triggered: what is left shows up again.
    fn receive(&mut self, slot: usize) -> io::Result<()> {
        let Some(member) = &mut self.members[slot] else {
            return Ok(());
        };
        let mut buffer = std::mem::take(&mut self.buffer);
        let kept = member.partial.len();
        buffer[..kept].copy_from_slice(&member.partial);
        let result = match member.stream.read(&mut buffer[kept..]) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                member.partial.clear();
                let length = kept + read;
                self.take_frames(slot, &mut buffer[..length]).map(|used| {
                    if let Some(member) = &mut self.members[slot] {
                        member.partial.extend_from_slice(&buffer[used..length]);
                    }
                })
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        };
        self.buffer = buffer;
        result
    }

    fn take_frames(&mut self, slot: usize, bytes: &mut [u8]) -> io::Result<usize> {
        let mut at = 0;
        if self.members[slot].as_ref().is_some_and(|member| member.name.is_empty()) {
            let Some(head) = wire::head_length(bytes) else {
                return Ok(0);
            };
            self.upgrade(slot, &String::from_utf8_lossy(&bytes[..head]))?;
            at = head;
        }
        while let Some(frame) = wire::frame(bytes, at) {
            let payload = &mut bytes[frame.start..frame.end];
            wire::unmask(payload, frame.mask.ok_or(ErrorKind::InvalidData)?);
            match frame.opcode {
                wire::TEXT => self.post(slot, payload),
                wire::CLOSE => return Err(ErrorKind::ConnectionAborted.into()),
                // Pings too: the clients of the harness send none.
                _ => {}
            }
            at = frame.end;
        }
        Ok(at)
    }

    fn upgrade(&mut self, slot: usize, head: &str) -> io::Result<()> {
        let query =
            head.split_whitespace().nth(1).and_then(|target| target.split_once('?')).map_or("", |(_, query)| query);
        let name = query.split('&').find_map(|pair| pair.strip_prefix("username=")).unwrap_or("nobody").to_owned();
        self.present += 1;
        if self.options.announce == Switch::On {
            let joined = format!(r#"{{"type":"system","message":"{name} joined the chat"}}"#);
            wire::append_frame(&mut self.log, wire::TEXT, joined.as_bytes());
        } else {
            self.counted = self.present;
        }
        let end = self.log_end();
        let mut greeting = wire::upgrade_answer(head).ok_or(ErrorKind::InvalidData)?;
        let welcome = format!(r#"{{"type":"system","message":"Welcome to the chat, {name}!"}}"#);
        wire::append_frame(&mut greeting, wire::TEXT, welcome.as_bytes());
        if self.options.announce == Switch::Off {
            let count = format!(r#"{{"type":"user_count","count":{}}}"#, self.present);
            wire::append_frame(&mut greeting, wire::TEXT, count.as_bytes());
        }
        let Some(member) = &mut self.members[slot] else {
            return Ok(());
        };
        // A joiner starts at the end of the log; the count of this turn comes behind it.
        member.position = end;
        member.name = name;
        // A new socket takes these few bytes at once, or it is not worth keeping.
        if member.stream.write(&greeting)? < greeting.len() {
            return Err(ErrorKind::WriteZero.into());
        }
        Ok(())
    }

    fn log_end(&self) -> u64 {
        self.log_start + self.log.len() as u64
    }

    /// Puts a text frame's message on the log and marks the range as its sender's own.
    fn post(&mut self, slot: usize, payload: &[u8]) {
        // The text as it stands between the quotes of {"type":"message","message":"…"}.
        let text = match memchr::memmem::find(payload, br#""message":""#) {
            Some(at) if payload.ends_with(b"\"}") => &payload[at + 11..payload.len() - 2],
            _ => payload,
        };
        self.refresh_timestamp();
        self.last_id += 1;
        let id = self.last_id.to_string();
        let Some(member) = &mut self.members[slot] else {
            return;
        };
        let parts: [&[u8]; 9] = [
            br#"{"type":"message","sender":""#,
            member.name.as_bytes(),
            br#"","message":""#,
            text,
            br#"","timestamp":""#,
            self.timestamp.1.as_bytes(),
            br#"","id":"#,
            id.as_bytes(),
            b"}",
        ];
        let length = parts.iter().map(|part| part.len()).sum();
        let from = self.log_start + self.log.len() as u64;
        wire::append_head(&mut self.log, wire::TEXT, length, 0);
        for part in parts {
            self.log.extend_from_slice(part);
        }
        let to = self.log_start + self.log.len() as u64;
        member.skipped.push_back((from, to));
        if self.options.fault.is_some() {
            self.misbehave(slot, from, to);
        }
    }

    #[cold]
    fn misbehave(&mut self, slot: usize, from: u64, to: u64) {
        let is_hit = self.last_id.is_multiple_of(self.options.fault_every);
        let start = (from - self.log_start) as usize;
        match self.options.fault {
            Some(Fault::Lose) if is_hit => {
                // The last one is a listener: the first clients send.
                let victim = self.members.iter_mut().flatten().last();
                victim.expect("somebody has just sent").skipped.push_back((from, to));
            }
            Some(Fault::Double) if is_hit => {
                let frame = self.log[start..].to_vec();
                self.log.extend_from_slice(&frame);
                let end = self.log_end();
                let member = self.members[slot].as_mut().expect("it has just sent");
                member.skipped.push_back((to, end));
            }
            Some(Fault::Swap) if is_hit && self.held_back.is_empty() => {
                self.held_back = self.log.split_off(start);
                self.members[slot].as_mut().expect("it has just sent").skipped.pop_back();
            }
            // The sender gets its own back then: one more fault to be found.
            Some(Fault::Swap) => self.log.append(&mut self.held_back),
            _ => {}
        }
    }

    fn refresh_timestamp(&mut self) {
        let second = self.started.elapsed().as_secs();
        if self.timestamp.0 != second {
            let now = chrono::Local::now();
            self.timestamp = (second, now.format("%Y-%m-%d %H:%M:%S").to_string());
        }
    }

    /// One count for all joins and leaves of this turn.
    fn announce_count(&mut self) {
        if self.counted != self.present {
            self.counted = self.present;
            let count = format!(r#"{{"type":"user_count","count":{}}}"#, self.present);
            wire::append_frame(&mut self.log, wire::TEXT, count.as_bytes());
        }
    }

    /// Drops who is gone. Whoever breaks during a flush is found by the next turn.
    fn bury(&mut self) {
        for slot in std::mem::take(&mut self.gone) {
            let Some(member) = self.members[slot].take() else {
                continue;
            };
            self.free.push(slot);
            if member.name.is_empty() {
                continue;
            }
            self.present -= 1;
            if self.options.announce == Switch::On {
                let left = format!(r#"{{"type":"system","message":"{} left the chat"}}"#, member.name);
                wire::append_frame(&mut self.log, wire::TEXT, left.as_bytes());
            } else {
                self.counted = self.present;
            }
        }
    }

    /// Gives every member one write and forgets what all have.
    fn settle(&mut self) {
        let end = self.log_end();
        if self.log.is_empty() {
            return;
        }
        let started = Instant::now();
        let mut slowest = end;
        for (slot, entry) in self.members.iter_mut().enumerate() {
            let Some(member) = entry else { continue };
            if member.name.is_empty() {
                continue;
            }
            if !member.is_blocked && flush(member, &self.log, self.log_start).is_err() {
                self.gone.push(slot);
                continue;
            }
            if member.position < end {
                if !member.is_blocked {
                    member.is_blocked = true;
                    let _ = self.epoll.want_writable(&member.stream, slot as u64, true);
                }
                if end - member.position > BEHIND_BYTES_MAX {
                    eprintln!("limit: {} is {} bytes behind: dropped", member.name, end - member.position);
                    self.gone.push(slot);
                    continue;
                }
                slowest = slowest.min(member.position);
            }
        }
        self.last_flush = started.elapsed();
        let sent = slowest - self.log_start;
        if sent == self.log.len() as u64 {
            self.log.clear();
            self.log_start = end;
        } else if sent > TRIM_BYTES_MIN {
            self.log.drain(..sent as usize);
            self.log_start = slowest;
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let slot = self.free.pop().unwrap_or_else(|| {
                self.members.push(None);
                self.members.len() - 1
            });
            self.epoll.add(&stream, slot as u64)?;
            self.members[slot] = Some(Member {
                stream,
                name: String::new(),
                position: 0,
                skipped: VecDeque::new(),
                partial: Vec::new(),
                is_blocked: false,
            });
        }
    }
}
