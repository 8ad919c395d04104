//! What is sent, when, and how each delivery is checked and timed. Drives a swarm; opens no socket.

use std::io;
use std::time::{Duration, Instant};

use crate::check::{Check, Faults, Seen};
use crate::histogram::Histogram;
use crate::mark::{Mark, Reader, Template};
use crate::swarm::{Receiver, Swarm};

/// After the last message was sent: how long deliveries may still take, and how long nothing may come.
const DRAIN_LIMIT: Duration = Duration::from_secs(20);
const DRAIN_SILENCE: Duration = Duration::from_secs(3);
/// A closed loop in which nothing completes for this long has lost something: stop it.
const STALL: Duration = Duration::from_secs(5);
/// Messages of one sender in flight in a closed loop, at most; a power of two.
pub const WINDOW_MAX: u32 = 1 << 10;

/// When the next message may go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// Each sender keeps this many messages in flight; one is done when all others have it.
    Closed { window: u32 },
    /// Bun's chat pattern: everyone sends one, and all wait until everyone has everything.
    Rounds,
    /// A fixed schedule of this many messages a second in total, kept whether the server keeps up or not.
    Open { messages_per_second: f64 },
}

/// An open loop that outlives a call: message n is due `n / rate` seconds after its start.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    start_ns: u64,
    messages_per_second: f64,
    done: u64,
}

impl Schedule {
    pub fn new(start_ns: u64, messages_per_second: f64) -> Self {
        Schedule { start_ns, messages_per_second, done: 0 }
    }

    /// Messages that were due so far.
    pub fn done(&self) -> u64 {
        self.done
    }

    fn due_ns(&self, nth: u64) -> u64 {
        self.start_ns + (nth as f64 / self.messages_per_second * 1e9) as u64
    }

    /// Message 0 is due at the start: one more than the whole intervals that have passed.
    fn target(&self, now_ns: u64) -> u64 {
        ((now_ns - self.start_ns) as f64 / 1e9 * self.messages_per_second) as u64 + 1
    }
}

/// What was measured between two instants.
#[derive(Default)]
pub struct Window {
    pub deliveries: u64,
    pub latency: Histogram,
}

/// The traffic of one swarm: clients `0..senders` send, all receive.
pub struct Traffic {
    senders: usize,
    receivers: usize,
    templates: Vec<Template>,
    sent: Vec<u32>,
    /// Deliveries that each message in flight still lacks, by sender and number modulo `WINDOW_MAX`.
    lacking: Vec<u32>,
    /// Messages that each sender may send now, because others are done.
    freed: Vec<u32>,
    freed_total: u32,
    is_closed: bool,
    reader: Reader,
    check: Check,
    delivered: u64,
    pub window: Window,
    /// Frames that carry no chat message: welcomes, counts, joins.
    pub other_frames: u64,
    bytes: Vec<u8>,
}

impl Traffic {
    pub fn new(receivers: usize, senders: usize, size: usize) -> Self {
        Traffic {
            senders,
            receivers,
            templates: (0..senders).map(|sender| Template::new(sender as u32, size)).collect(),
            sent: vec![0; senders],
            lacking: vec![0; senders * WINDOW_MAX as usize],
            freed: vec![0; senders],
            freed_total: 0,
            is_closed: false,
            reader: Reader::new(size),
            check: Check::new(receivers, senders),
            delivered: 0,
            window: Window::default(),
            other_frames: 0,
            bytes: Vec::new(),
        }
    }

    /// Messages sent so far, by all.
    pub fn messages(&self) -> u64 {
        self.sent.iter().map(|sent| u64::from(*sent)).sum()
    }

    pub fn sees_ids(&self) -> bool {
        self.reader.sees_ids()
    }

    pub fn faults(&self) -> Faults {
        self.check.verdict(&self.sent)
    }

    fn expected(&self) -> u64 {
        self.messages() * (self.receivers as u64 - 1)
    }

    /// Sends at `pace` for `length`. Returns early, with `false`, when it stalls or `goes_on` says no.
    ///
    /// `goes_on` gets the deliveries outstanding; it is asked about once a millisecond.
    pub fn run(
        &mut self,
        swarm: &mut Swarm,
        pace: Pace,
        length: Duration,
        mut goes_on: impl FnMut(u64) -> bool,
    ) -> io::Result<bool> {
        let started = Instant::now();
        let start_ns = swarm.now_ns();
        let end_ns = start_ns + length.as_nanos() as u64;
        self.is_closed = !matches!(pace, Pace::Open { .. });
        if self.is_closed {
            let window = if let Pace::Closed { window } = pace { window.min(WINDOW_MAX) } else { 1 };
            let in_flight = self.in_flight();
            for (freed, in_flight) in self.freed.iter_mut().zip(&in_flight) {
                *freed = window.saturating_sub(*in_flight);
            }
            self.freed_total = self.freed.iter().sum();
        }
        let rate = if let Pace::Open { messages_per_second } = pace { messages_per_second } else { 0.0 };
        let mut schedule = Schedule::new(start_ns, rate);
        let mut asked = Instant::now();
        let mut progress = (self.delivered, Instant::now());
        loop {
            let now_ns = swarm.now_ns();
            if now_ns >= end_ns {
                return Ok(true);
            }
            match pace {
                Pace::Closed { .. } => self.send_freed(swarm),
                Pace::Rounds if self.freed_total as usize == self.senders => self.send_freed(swarm),
                Pace::Rounds => {}
                Pace::Open { .. } => self.keep(swarm, &mut schedule),
            }
            swarm.turn(Duration::from_millis(1), self)?;
            if asked.elapsed() > Duration::from_millis(1) {
                asked = Instant::now();
                if self.delivered != progress.0 {
                    progress = (self.delivered, asked);
                }
                let has_stalled = self.is_closed && progress.1.elapsed() > STALL;
                if has_stalled || !goes_on(self.expected().saturating_sub(self.delivered)) {
                    return Ok(false);
                }
                if started.elapsed() > length + STALL {
                    return Ok(false);
                }
            }
        }
    }

    /// Waits until all that was sent has come, or nothing more does. `true` if it came.
    pub fn drain(&mut self, swarm: &mut Swarm) -> io::Result<bool> {
        let started = Instant::now();
        let mut progress = (self.delivered, Instant::now());
        while self.check.outstanding(&self.sent) > 0 {
            for _ in 0..100 {
                swarm.turn(Duration::from_millis(1), self)?;
            }
            if self.delivered != progress.0 {
                progress = (self.delivered, Instant::now());
            }
            if progress.1.elapsed() > DRAIN_SILENCE || started.elapsed() > DRAIN_LIMIT {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn in_flight(&self) -> Vec<u32> {
        let ring = self.lacking.chunks_exact(WINDOW_MAX as usize);
        ring.map(|slots| slots.iter().filter(|lacking| **lacking > 0).count() as u32).collect()
    }

    /// A closed loop's turn to send: everything that was freed, one write for each sender.
    fn send_freed(&mut self, swarm: &mut Swarm) {
        if self.freed_total == 0 {
            return;
        }
        let now_ns = swarm.now_ns();
        for sender in 0..self.senders {
            let count = std::mem::take(&mut self.freed[sender]);
            if count == 0 {
                continue;
            }
            self.bytes.clear();
            for _ in 0..count {
                self.append_message(sender, now_ns);
            }
            swarm.send(sender, &self.bytes);
        }
        self.freed_total = 0;
    }

    /// Sends what the schedule has due by now.
    pub fn keep(&mut self, swarm: &mut Swarm, schedule: &mut Schedule) {
        let target = schedule.target(swarm.now_ns());
        if target > schedule.done {
            self.send_due(swarm, schedule.done, target, |nth| schedule.due_ns(nth));
            schedule.done = target;
        }
    }

    /// Sends messages `from..to` of the schedule; message i is sender `i mod senders`'s.
    fn send_due(&mut self, swarm: &mut Swarm, from: u64, to: u64, due_ns: impl Fn(u64) -> u64) {
        let senders = self.senders as u64;
        for first in from..to.min(from + senders) {
            let sender = (first % senders) as usize;
            self.bytes.clear();
            for nth in (first..to).step_by(self.senders) {
                self.append_message(sender, due_ns(nth));
            }
            swarm.send(sender, &self.bytes);
        }
    }

    fn append_message(&mut self, sender: usize, intended_ns: u64) {
        let number = self.sent[sender];
        self.sent[sender] += 1;
        if self.is_closed {
            let slot = sender * WINDOW_MAX as usize + (number % WINDOW_MAX) as usize;
            self.lacking[slot] = self.receivers as u32 - 1;
        }
        self.templates[sender].append(&mut self.bytes, number, intended_ns);
    }

    /// One receiver less to wait for.
    #[inline]
    fn credit(&mut self, sender: u32, number: u32) {
        let slot = sender as usize * WINDOW_MAX as usize + (number % WINDOW_MAX) as usize;
        let lacking = &mut self.lacking[slot];
        *lacking = lacking.saturating_sub(1);
        if *lacking == 0 {
            self.freed[sender as usize] += 1;
            self.freed_total += 1;
        }
    }

    #[inline]
    fn count(&mut self, mark: Mark, skipped: u32, now_ns: u64) {
        self.delivered += 1;
        self.window.deliveries += 1;
        self.window.latency.record(now_ns.saturating_sub(mark.sent_ns));
        if self.is_closed {
            // What was skipped is lost or late: the loop must not wait for it for ever.
            for number in mark.number - skipped..=mark.number {
                self.credit(mark.sender, number);
            }
        }
    }
}

impl Receiver for Traffic {
    #[inline]
    fn frame(&mut self, client: usize, payload: &[u8], now_ns: u64) {
        let Some((mark, id)) = self.reader.read(payload) else {
            self.other_frames += 1;
            return;
        };
        match self.check.see(client, mark, id) {
            Seen::New { skipped } => self.count(mark, skipped, now_ns),
            Seen::Late => self.delivered += 1,
            Seen::Wrong => {}
        }
    }
}
