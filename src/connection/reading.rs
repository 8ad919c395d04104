//! What comes in from one connection: how much is read at once, how fast, and when not at all.

use std::io::ErrorKind;

use super::{Connection, Life, Protocol, Stream};
use crate::config::RateLimit;

/// Bytes read at once from a connection whose rate is limited.
const LIMITED_READ_BYTES: usize = 2 * 1024;
/// Bytes that a closing connection may still send before it is cut off, which takes back the answer that it was sent: more
/// than a client sends by mistake. They are read and thrown away, for `CLOSE_MS_MAX` at most.
const DISCARD_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A token bucket: reading stops while it is below zero, so nothing is dropped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    limit: RateLimit,
    pub(super) tokens: f64,
    at_ms: u64,
}

impl Bucket {
    fn take(&mut self, now_ms: u64, count: u32) {
        let gained = (now_ms - self.at_ms) as f64 * f64::from(self.limit.per_second) / 1000.0;
        self.tokens = (self.tokens + gained).min(f64::from(self.limit.burst)) - f64::from(count);
        self.at_ms = now_ms;
    }

    /// When it will be above zero again.
    pub(super) fn full_at_ms(&self) -> u64 {
        let missing = (-self.tokens).max(0.0);
        self.at_ms + (missing * 1000.0 / f64::from(self.limit.per_second)).ceil() as u64
    }
}

/// What one read gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// This many bytes, and the kernel has no more for now.
    Drained(usize),
    /// This many bytes, and there may be more.
    More(usize),
    /// The peer sends nothing any more.
    End,
}

impl<S: Stream> Connection<S> {
    /// Whether bytes of it may be read and understood now.
    pub fn may_read(&self, now_ms: u64) -> bool {
        match self.life {
            Life::Open => {
                let is_within_rate = self.bucket.is_none_or(|bucket| bucket.full_at_ms() <= now_ms);
                let has_room = !self.is_full();
                let is_heard = match &self.protocol {
                    Protocol::Http(reader) => !(self.is_awaiting && reader.is_full()),
                    Protocol::Ws(_) | Protocol::Preface(_) => true,
                };
                is_within_rate && has_room && is_heard
            }
            Life::Draining(_) | Life::Lingering(_) => !self.is_ended,
            Life::Dead(_) => false,
        }
    }

    /// Reads once into `scratch`. A closing connection's bytes are discarded.
    pub fn read(&mut self, scratch: &mut [u8], now_ms: u64) -> ReadOutcome {
        // Who is limited is read in small pieces: one of 64 KiB may hold 10,000 messages, and a debt of minutes.
        let most = if self.bucket.is_some() { LIMITED_READ_BYTES.min(scratch.len()) } else { scratch.len() };
        let scratch = &mut scratch[..most];
        if !self.early.is_empty() {
            let count = self.early.len().min(most);
            scratch[..count].copy_from_slice(&self.early[..count]);
            self.early = self.early[count..].into();
            return ReadOutcome::More(count);
        }
        loop {
            match self.stream.read(scratch) {
                Ok(0) => return ReadOutcome::End,
                Ok(count) => {
                    self.heard(now_ms);
                    return self.heard_bytes(count, scratch.len());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return ReadOutcome::Drained(0),
                Err(_) => return ReadOutcome::End,
            }
        }
    }

    pub(super) fn heard(&mut self, now_ms: u64) {
        if let Protocol::Ws(_) = self.protocol {
            self.heard_ms = now_ms;
            self.is_pinged = false;
        }
    }

    fn heard_bytes(&mut self, count: usize, asked: usize) -> ReadOutcome {
        let mut heard = count;
        if !matches!(self.life, Life::Open) {
            heard = 0;
            self.discarded += count as u64;
            if self.discarded > DISCARD_BYTES_MAX {
                return ReadOutcome::End;
            }
        }
        // A short read has emptied the kernel's buffer: no second read to be told so. Unless the end came with it,
        // which the poll has told once and will not tell again.
        if count < asked && !self.is_read_closed { ReadOutcome::Drained(heard) } else { ReadOutcome::More(heard) }
    }

    /// Counts the frames that have come against its rate, whether they say something or not.
    pub fn spend_frames(&mut self, now_ms: u64) {
        if let (Protocol::Ws(session), Some(bucket)) = (&mut self.protocol, &mut self.bucket) {
            bucket.take(now_ms, session.take_frames());
        }
    }

    /// Counts a message that came by POST against its rate.
    pub fn spend_post(&mut self, now_ms: u64) {
        if let Some(bucket) = &mut self.bucket {
            bucket.take(now_ms, 1);
        }
    }

    /// Limits its rate from now on, if it is not limited yet.
    pub fn limit_rate(&mut self, now_ms: u64, limit: RateLimit) {
        self.bucket.get_or_insert(Bucket { limit, tokens: f64::from(limit.burst), at_ms: now_ms });
    }
}
