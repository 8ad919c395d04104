//! Listeners that are somewhere else: a thread of their own, which yields to all others, so that what they read
//! does not stand in the way of those whose latency is measured. Every frame of theirs is checked all the same.
//!
//! A listener can be told to stop reading; whoever is closed comes back with `since` and `epoch`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver as Orders, Sender, TryRecvError, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::Deserialize;

use crate::mark::Reader;
use crate::swarm::{Receiver, Swarm};
use crate::system;

/// Who listens: `room`, a first name each, and from where.
#[derive(Debug, Clone)]
pub struct Plan {
    pub room: String,
    pub prefix: String,
    pub count: usize,
    /// Length of the message texts.
    pub size: usize,
    /// The last message that each has already; `None`: they join live.
    pub since: Option<u64>,
    pub receive_buffer: Option<usize>,
}

enum Order {
    Pause(usize),
    Unpause,
    End,
}

/// What is known of them while they run.
#[derive(Debug, Default)]
pub struct Progress {
    /// The last message that all of them have.
    pub slowest: AtomicU64,
    /// How many were told where the room is: these are in.
    pub joined: AtomicU64,
    /// How often one was closed and came back.
    pub returns: AtomicU64,
}

/// What they have seen in the end.
#[derive(Debug, Default)]
pub struct Seen {
    pub messages: u64,
    pub returns: u64,
    /// The first fault that each one found.
    pub faults: Vec<String>,
}

pub struct Followers {
    orders: Sender<Order>,
    pub progress: Arc<Progress>,
    thread: JoinHandle<io::Result<Seen>>,
}

impl Followers {
    /// They connect all at once, now.
    pub fn start(address: SocketAddr, plan: Plan) -> Self {
        let (orders, ordered) = channel();
        let progress = Arc::new(Progress::default());
        let shared = progress.clone();
        let thread = thread::spawn(move || {
            system::yield_to_others();
            run(address, &plan, &ordered, &shared)
        });
        Followers { orders, progress, thread }
    }

    /// The first `count` of them read nothing from here on.
    pub fn pause(&self, count: usize) {
        let _ = self.orders.send(Order::Pause(count));
    }

    /// All read.
    pub fn unpause(&self) {
        let _ = self.orders.send(Order::Unpause);
    }

    pub fn slowest(&self) -> u64 {
        self.progress.slowest.load(Ordering::Relaxed)
    }

    pub fn joined(&self) -> u64 {
        self.progress.joined.load(Ordering::Relaxed)
    }

    pub fn is_over(&self) -> bool {
        self.thread.is_finished()
    }

    /// They hang up.
    pub fn end(self) -> io::Result<Seen> {
        let _ = self.orders.send(Order::End);
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the listeners' thread panicked")))
    }
}

#[derive(Default)]
struct Follower {
    /// The last message that it has; `None` before the server has said where the room is.
    last: Option<u64>,
    epoch: String,
    session: String,
    /// The number that follows, for each sender, once one was seen.
    next: Vec<Option<u32>>,
    messages: u64,
    fault: Option<String>,
    is_joined: bool,
    is_paused: bool,
}

#[derive(Deserialize)]
struct Session {
    session: String,
    epoch: String,
    last_id: u64,
    resumed: bool,
}

struct Crowd {
    followers: Vec<Follower>,
    /// Who has which connection of the swarm.
    owner: Vec<usize>,
    closed: Vec<usize>,
    reader: Reader,
}

impl Receiver for Crowd {
    fn frame(&mut self, client: usize, payload: &[u8], _: u64) {
        let follower = &mut self.followers[self.owner[client]];
        if let Some((mark, id)) = self.reader.read(payload) {
            follower.see(mark.sender as usize, mark.number, id);
        } else if payload.starts_with(br#"{"type":"session""#) {
            match serde_json::from_slice::<Session>(payload) {
                Ok(session) => follower.join(session),
                Err(error) => follower.fail(format!("a session frame that cannot be read: {error}")),
            }
        } else if payload.starts_with(br#"{"type":"error""#) {
            follower.fail(String::from_utf8_lossy(payload).into_owned());
        }
    }

    fn closed(&mut self, client: usize, _: Option<u16>, _: u64) {
        self.closed.push(self.owner[client]);
    }
}

impl Follower {
    fn fail(&mut self, fault: String) {
        self.fault.get_or_insert(fault);
    }

    fn join(&mut self, session: Session) {
        self.is_joined = true;
        (self.epoch, self.session) = (session.epoch, session.session);
        if self.last.is_some() && !session.resumed {
            self.fail("it came back, and was not resumed".into());
        }
        self.last.get_or_insert(session.last_id);
    }

    fn see(&mut self, sender: usize, number: u32, id: Option<u64>) {
        self.messages += 1;
        let want = self.last.map(|last| last + 1);
        if id.is_none() || id != want {
            self.fail(format!("message {id:?} came where {want:?} was due"));
        }
        self.last = id;
        if self.next.len() <= sender {
            self.next.resize(sender + 1, None);
        }
        let next = &mut self.next[sender];
        if next.is_some_and(|next| next != number) {
            let told = format!("number {number} of sender {sender} came where {} was due", next.unwrap_or(0));
            self.fault.get_or_insert(told);
        }
        *next = Some(number + 1);
    }
}

fn run(address: SocketAddr, plan: &Plan, orders: &Orders<Order>, progress: &Progress) -> io::Result<Seen> {
    let mut swarm = Swarm::new(address, false)?;
    let mut crowd =
        Crowd { followers: Vec::new(), owner: Vec::new(), closed: Vec::new(), reader: Reader::new(plan.size) };
    let mut present = Vec::new();
    for index in 0..plan.count {
        crowd.followers.push(Follower { last: plan.since, ..Follower::default() });
        crowd.owner.push(index);
        present.push(connect(&mut swarm, plan, index, &crowd.followers[index])?);
    }
    loop {
        match orders.try_recv() {
            Ok(Order::Pause(count)) => {
                for (index, &who) in present.iter().enumerate().take(count) {
                    crowd.followers[index].is_paused = true;
                    swarm.pause(who);
                }
            }
            Ok(Order::Unpause) => {
                for (index, &who) in present.iter().enumerate() {
                    crowd.followers[index].is_paused = false;
                    swarm.unpause(who, &mut crowd);
                }
            }
            Ok(Order::End) | Err(TryRecvError::Disconnected) => break,
            Err(TryRecvError::Empty) => {}
        }
        swarm.turn(Duration::from_millis(5), &mut crowd)?;
        for index in std::mem::take(&mut crowd.closed) {
            progress.returns.fetch_add(1, Ordering::Relaxed);
            crowd.owner.push(index);
            present[index] = connect(&mut swarm, plan, index, &crowd.followers[index])?;
        }
        let followers = || crowd.followers.iter();
        progress.slowest.store(followers().map(|one| one.last.unwrap_or(0)).min().unwrap_or(0), Ordering::Relaxed);
        progress.joined.store(followers().filter(|one| one.is_joined).count() as u64, Ordering::Relaxed);
    }
    let mut seen = Seen { returns: progress.returns.load(Ordering::Relaxed), ..Seen::default() };
    for (index, follower) in crowd.followers.into_iter().enumerate() {
        seen.messages += follower.messages;
        seen.faults.extend(follower.fault.map(|fault| format!("listener {index}: {fault}")));
    }
    Ok(seen)
}

fn connect(swarm: &mut Swarm, plan: &Plan, index: usize, follower: &Follower) -> io::Result<usize> {
    let Plan { room, prefix, .. } = plan;
    let mut path = format!("/ws?v=2&room={room}&username={prefix}{index:05}");
    if let Some(last) = follower.last {
        path.push_str(&format!("&since={last}"));
    }
    if !follower.epoch.is_empty() {
        path.push_str(&format!("&epoch={}&session={}", follower.epoch, follower.session));
    }
    swarm.add(&path, plan.receive_buffer)
}
