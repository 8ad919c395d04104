//! The loop: one thread, four sources (listener, peers, waker, clock), one turn after the other.
//!
//! It moves inputs to the cores (`chat.rs`, `api.rs`) and carries out what they decide; it knows no rule of the
//! chat and makes no bytes. Nothing in it waits but the poll, and for a tenth of a millisecond it rests while busy rooms
//! gather frames.

mod accept;
mod doors;
mod drain;
mod mailbox;
mod perform;
mod receive;
mod socket;

use std::io::{self, ErrorKind};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mio::net::UnixStream;
use mio::{Events, Interest, Poll, Token};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::api::{self, Api};
use crate::chat::{self, Chat, Time};
use crate::config::Rate;
use crate::connection::{Connections, Expired, Protocol};
use crate::console::Console;
use crate::http::Status;
use crate::log;
use crate::memory::Memory;
use crate::message::{ClientId, Encoder};
use crate::metrics::Metrics;
use crate::peer::Trusted;
use crate::{history, listen, summary};
pub use doors::Caps;
use doors::{DOORS, Doors};
use drain::Phase;
pub use mailbox::{Inbox, Mailbox};
use mailbox::{MAILBOX, Mail};
use socket::Socket;

/// Bytes read at once, into one buffer shared by all.
const READ_BYTES: usize = 64 * 1024;
/// Events taken from one poll.
const EVENTS_MAX: usize = 1024;
/// Questions that the log may have unanswered; at the limit nobody is read from until it has caught up.
const JOBS_MAX: usize = 16 * 1024;
/// While somebody was heard in the last so many milliseconds, pages of a backlog are sent one a millisecond: a hundred who
/// come back at once must not fill the cores that those who talk are served by.
const TALK_MS: u64 = 100;
/// When a pass over the rooms has taken this long, the rooms that it served gather frames before the next.
const GROUP_AFTER: Duration = Duration::from_micros(200);
/// For half as long as the pass took, and this long at most: each send then carries more, and it is the sends that cost.
const GROUP_MAX: Duration = Duration::from_millis(1);
/// Meanwhile, when there is no news, it looks for some so often: the poll's timeout knows whole milliseconds only, and
/// looking without a pause would take a core from those who are to read what was sent.
const GROUP_LOOK: Duration = Duration::from_micros(100);

const SIGNALS: Token = Token(usize::MAX - 3);

/// Who keeps the log.
pub enum Log {
    /// Threads of its own: answers come through the mailbox. `None` once it is closed.
    Worker(Option<history::Handle>),
    /// The loop itself.
    Memory(Memory),
}

/// What a reactor is made of.
pub struct Parts {
    /// Where clients come in.
    pub listeners: Vec<listen::Listener>,
    /// Where `/metrics` alone is served, and what else tells how the server is.
    pub operators: Option<listen::Listener>,
    /// How many.
    pub caps: Caps,
    /// Proxies that are believed.
    pub trusted: Trusted,
    /// The rooms.
    pub chat: Chat,
    /// The endpoints.
    pub api: Api,
    /// The log.
    pub log: Log,
    /// The summary workers.
    pub summaries: summary::Handle,
    /// The console.
    pub console: Console,
    /// Whose reading is slowed.
    pub rate: Rate,
    /// Spread of the farewells.
    pub drain: Duration,
    /// How long `/readyz` says no before that, while everything else goes on.
    pub drain_delay: Duration,
}

/// The server.
pub struct Reactor {
    poll: Poll,
    mail: Receiver<Mail>,
    pages: Receiver<log::Answer>,
    signals: UnixStream,
    doors: Doors,
    connections: Connections<Socket>,
    chat: Chat,
    api: Api,
    log: Log,
    summaries: Option<summary::Handle>,
    console: Console,
    rate: Rate,
    drain: Duration,
    drain_delay: Duration,
    phase: Phase,
    /// From now on a signal ends the process at once.
    is_stopping: Arc<AtomicBool>,
    started: Instant,
    time: Time,
    metrics: Metrics,
    /// When this turn began, in nanoseconds since the start.
    turn_ns: u64,
    encoder: Encoder,
    /// Read into by all, unmasked in place.
    scratch: Vec<u8>,
    /// The JSON of the frame being made.
    payload: Vec<u8>,
    chat_effects: Vec<chat::Effect>,
    api_effects: Vec<api::Effect>,
    /// Answers that the log gave at once.
    answered: Vec<log::Answer>,
    jobs: usize,
    /// Who has, or may have, unread bytes: read in the next turn, without waiting.
    unread: Vec<ClientId>,
    /// Who has unread bytes that wait for the log to catch up.
    held: Vec<ClientId>,
    /// Whose exchange has ended in this turn: its next request may have come already.
    finished: Vec<ClientId>,
    has_mail: bool,
    has_pages: bool,
    /// Before this no page is sent.
    page_at_ms: u64,
    /// When a post was shown last.
    talked_ms: u64,
    has_signal: bool,
    /// Until then busy rooms gather frames; other news is taken meanwhile.
    group_until: Option<Instant>,
}

impl Reactor {
    /// Puts the parts together; `inbox` is where their workers answer.
    pub fn new(inbox: Inbox, parts: Parts) -> io::Result<Reactor> {
        let Inbox { poll, mail, pages, .. } = inbox;
        let doors = Doors::open(poll.registry(), parts.listeners, parts.operators, parts.caps, parts.trusted)?;
        let (mut signals, sender) = UnixStream::pair()?;
        let is_stopping = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            // In the handler itself: the loop may be waiting for the log's threads.
            signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&is_stopping))?;
            let sender = std::os::fd::OwnedFd::from(std::os::unix::net::UnixStream::from(sender_clone(&sender)?));
            signal_hook::low_level::pipe::register(signal, sender)?;
        }
        poll.registry().register(&mut signals, SIGNALS, Interest::READABLE)?;
        Ok(Reactor {
            poll,
            mail,
            pages,
            signals,
            doors,
            connections: Connections::new(),
            chat: parts.chat,
            api: parts.api,
            log: parts.log,
            summaries: Some(parts.summaries),
            console: parts.console,
            rate: parts.rate,
            drain: parts.drain,
            drain_delay: parts.drain_delay,
            phase: Phase::Serving,
            is_stopping,
            started: Instant::now(),
            time: Time::default(),
            metrics: Metrics::new(since_1970().as_millis() as i64),
            turn_ns: 0,
            encoder: Encoder::default(),
            scratch: vec![0; READ_BYTES],
            payload: Vec::new(),
            chat_effects: Vec::new(),
            api_effects: Vec::new(),
            answered: Vec::new(),
            jobs: 0,
            unread: Vec::new(),
            held: Vec::new(),
            finished: Vec::new(),
            has_mail: false,
            has_pages: false,
            page_at_ms: 0,
            talked_ms: 0,
            has_signal: false,
            group_until: None,
        })
    }

    /// Serves until a signal ends it. The error is one of the poll itself.
    ///
    /// A turn takes all news first and sends last, so that everything a member is owed goes out in one write.
    /// Accept last: a slot freed earlier in the turn must not be given to a stranger while events for its former
    /// owner are still in the batch.
    pub fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        while self.phase != Phase::Ended {
            self.wait(&mut events)?;
            self.receive();
            self.complete();
            self.expire();
            self.hand_over();
            self.settle();
            self.accept();
            self.metrics.turns.observe(self.elapsed_ns() - self.turn_ns, 1);
        }
        if let Some(summaries) = self.summaries.take() {
            summaries.close();
        }
        self.console.close();
        Ok(())
    }

    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        // What settling asked of the log; nothing is left behind while the loop sleeps.
        self.hand_over();
        let timeout = self.timeout();
        match self.poll.poll(events, timeout) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => events.clear(),
            Err(error) => return Err(error),
        }
        if events.is_empty() && self.has_only_to_gather() {
            let left = self.group_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
            thread::sleep(left.min(GROUP_LOOK));
        }
        self.turn_ns = self.elapsed_ns();
        self.time = self.clock();
        for event in events.iter() {
            match event.token() {
                MAILBOX => (self.has_mail, self.has_pages) = (true, true),
                SIGNALS => self.has_signal = true,
                Token(door) if door >= DOORS => self.doors.knock(),
                Token(slot) => {
                    let Some(id) = self.connections.owner(slot as u32) else { continue };
                    if event.is_writable() {
                        self.connections.writable(id);
                    }
                    if event.is_readable() || event.is_read_closed() || event.is_error() {
                        self.list(id, event.is_read_closed());
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether something besides sending is left for the next turn.
    fn has_work(&self) -> bool {
        self.doors.wants_turn() || !self.unread.is_empty() || !self.answered.is_empty() || !self.finished.is_empty()
    }

    fn has_only_to_gather(&self) -> bool {
        !self.has_work() && self.connections.is_gathering()
    }

    fn timeout(&self) -> Option<Duration> {
        if self.has_work() || self.connections.is_unsettled() {
            return Some(Duration::ZERO);
        }
        let page = self.has_pages.then_some(self.page_at_ms);
        let drain = match &self.phase {
            Phase::Draining { begun_ms, spread_ms, end_ms, farewells, told, .. } if *told < farewells.len() => {
                Some((begun_ms + spread_ms * (*told as u64) / (farewells.len() as u64)).min(*end_ms))
            }
            Phase::Draining { answer_ms, end_ms, .. } => Some(answer_ms.unwrap_or(*end_ms)),
            Phase::Leaving { until_ms } => Some(*until_ms),
            _ => None,
        };
        let due = [self.connections.next_due_ms(), self.chat.next_due_ms(), self.doors.next_due_ms(), drain, page];
        let due = due.into_iter().flatten().min()?;
        let now_ms = self.clock().now_ms;
        Some(Duration::from_millis(due.saturating_sub(now_ms)))
    }

    fn clock(&self) -> Time {
        Time { now_ms: self.started.elapsed().as_millis() as u64, at_ms: since_1970().as_millis() as i64 }
    }

    fn elapsed_ns(&self) -> u64 {
        self.started.elapsed().as_nanos() as u64
    }

    /// What the workers have answered.
    fn complete(&mut self) {
        // One a turn, since each is a third of a millisecond of encoding and sending for which all others wait. Taken
        // first and handled last: what is stored is shown before anybody's backlog is read on, and what a page
        // holds has been shown when it is handled.
        let page = self.take_page();
        if mem::take(&mut self.has_mail) {
            while let Ok(mail) = self.mail.try_recv() {
                match mail {
                    Mail::Log(answer) => self.answered(answer),
                    Mail::Summary(answer) => self.summarized(answer),
                }
            }
        }
        for answer in mem::take(&mut self.answered) {
            self.answered(answer);
        }
        if let Some(page) = page {
            self.answered(page);
        }
        for id in mem::take(&mut self.finished) {
            self.serve(id);
        }
        if self.jobs < JOBS_MAX / 2 {
            let held = mem::take(&mut self.held);
            self.unread.extend(held);
        }
    }

    fn take_page(&mut self) -> Option<log::Answer> {
        let now_ms = self.time.now_ms;
        if !self.has_pages || now_ms < self.page_at_ms {
            return None;
        }
        let page = self.pages.try_recv().ok();
        self.has_pages = page.is_some();
        if self.has_pages && self.talked_ms + TALK_MS > now_ms {
            self.page_at_ms = now_ms + 1;
        }
        page
    }

    fn expire(&mut self) {
        for expired in self.connections.expire(self.time.now_ms) {
            match expired {
                Expired::Released(id) => self.list(id, false),
                Expired::RequestTimeout(id, part, seconds) => {
                    let told = format!("the request's {part} did not come within {seconds} s");
                    self.refuse(id, api::refusal(Status::RequestTimeout, &told));
                }
            }
        }
        if self.chat.next_due_ms().is_some_and(|due| due <= self.time.now_ms) {
            self.chat.expire(self.time, &mut self.chat_effects);
            self.perform();
        }
        if let Some(note) = self.doors.expire(self.time.now_ms, &mut self.scratch) {
            self.note(note);
        }
        self.heed_signals();
        self.say_farewells();
    }

    /// Before anything is sent, so that the log works meanwhile.
    fn hand_over(&mut self) {
        if let Log::Worker(Some(worker)) = &mut self.log {
            worker.hand_over();
        }
    }

    /// Sends, buries, and tells the core what came of it.
    fn settle(&mut self) {
        let mut dead = Vec::new();
        let begun = Instant::now();
        self.connections.group(self.group_until.is_some_and(|until| begun < until));
        let settled = self.connections.settle(self.time.now_ms, |connection, reason| {
            let is_websocket = matches!(connection.protocol, Protocol::Ws(_));
            dead.push((connection.id, connection.peer, connection.is_operators, reason, is_websocket));
        });
        let ended = Instant::now();
        let took = ended - begun;
        if took >= GROUP_AFTER {
            self.connections.note_busy();
            self.group_until = Some(ended + (took / 2).min(GROUP_MAX));
        }
        self.metrics.settled((ended - self.started).as_nanos() as u64, !self.connections.is_unsettled());
        for (id, peer, is_operators, reason, is_websocket) in dead {
            self.doors.let_out(peer, is_operators);
            self.metrics.closed(reason);
            self.metrics.websockets -= u64::from(is_websocket);
            self.api.forget(id);
            self.chat.leave(self.time, id, reason.is_goodbye(), &mut self.chat_effects);
        }
        for (id, last, own) in settled.behind {
            self.chat.fell_behind(id, last, own);
        }
        for id in settled.drained {
            if self.chat.has(id) {
                self.chat.drained(id, &mut self.chat_effects);
            } else {
                self.api.drained(id, &mut self.api_effects);
                self.finished.push(id);
            }
        }
        self.perform();
        for id in settled.released {
            self.list(id, false);
        }
        self.end_drain();
    }
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn sender_clone(sender: &UnixStream) -> io::Result<UnixStream> {
    use std::os::fd::{AsFd, OwnedFd};
    let descriptor: OwnedFd = sender.as_fd().try_clone_to_owned()?;
    Ok(UnixStream::from_std(std::os::unix::net::UnixStream::from(descriptor)))
}
