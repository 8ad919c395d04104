//! What the scenes share: a server, a room of people who talk on a fixed schedule, and figures in words.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use catchup_bench::fetch::Fetcher;
use catchup_bench::follow::{Followers, Seen};
use catchup_bench::histogram::Histogram;
use catchup_bench::server::Server;
use catchup_bench::swarm::Swarm;
use catchup_bench::traffic::{Schedule, Traffic};

const JOIN_LIMIT: Duration = Duration::from_secs(60);
const TURN: Duration = Duration::from_millis(1);

/// Which server, and where it may keep its data.
pub struct Place {
    pub server: PathBuf,
    pub parent: PathBuf,
}

impl Place {
    /// A fresh server, quiet, that limits nobody.
    pub fn start(&self) -> io::Result<Server> {
        let arguments = ["--host", "127.0.0.1", "--quiet", "--rate-limit", "off"].map(String::from);
        Server::start(&self.server, &arguments, None, &self.parent)
    }
}

/// Its process id: the server is always one that we have started.
pub fn pid(server: &Server) -> u32 {
    server.pid.expect("a server that we have started")
}

pub fn fault(told: impl Into<String>) -> io::Error {
    io::Error::other(told.into())
}

/// People in one room of whom the first few talk, all on time. Every delivery is checked and timed.
pub struct Talk {
    pub swarm: Swarm,
    pub traffic: Traffic,
    schedule: Schedule,
    is_begun: bool,
    rate: f64,
}

impl Talk {
    /// `people` join `room`; `senders` of them will talk, `rate` texts of `size` bytes a second in all.
    pub fn join(
        server: &Server,
        room: &str,
        people: usize,
        senders: usize,
        size: usize,
        rate: f64,
    ) -> io::Result<Talk> {
        let mut swarm = Swarm::new(server.address, false)?;
        let mut traffic = Traffic::new(people, senders, size);
        let path = |index| format!("/ws?room={room}&username=t{index:05}");
        swarm.join(people, path, &mut traffic, JOIN_LIMIT)?;
        swarm.quiet_down(&mut traffic, JOIN_LIMIT)?;
        let schedule = Schedule::new(0, rate);
        Ok(Talk { swarm, traffic, schedule, is_begun: false, rate })
    }

    /// Talks on until `is_enough`, which is asked each millisecond; the latencies of that time. Fails after `limit`.
    pub fn go_on(&mut self, limit: Duration, mut is_enough: impl FnMut(&Traffic) -> bool) -> io::Result<Histogram> {
        if !std::mem::replace(&mut self.is_begun, true) {
            self.schedule = Schedule::new(self.swarm.now_ns(), self.rate);
        }
        let started = Instant::now();
        self.traffic.window.latency.clear();
        while !is_enough(&self.traffic) {
            self.traffic.keep(&mut self.swarm, &mut self.schedule);
            self.swarm.turn(TURN, &mut self.traffic)?;
            if self.swarm.counts.closed > 0 {
                return Err(fault("somebody who talks or listens on time was closed"));
            }
            if started.elapsed() > limit {
                return Err(fault(format!("what was waited for did not come within {limit:?}")));
            }
        }
        Ok(std::mem::take(&mut self.traffic.window.latency))
    }

    pub fn talk_for(&mut self, length: Duration) -> io::Result<Histogram> {
        let started = Instant::now();
        self.go_on(length + JOIN_LIMIT, |_| started.elapsed() >= length)
    }

    /// Sends `count` messages as fast as `rate` says and waits until all have come; nothing is timed.
    pub fn prepare(&mut self, count: u64, rate: f64) -> io::Result<()> {
        let mut schedule = Schedule::new(self.swarm.now_ns(), rate);
        while schedule.done() < count {
            self.traffic.keep(&mut self.swarm, &mut schedule);
            self.swarm.turn(TURN, &mut self.traffic)?;
        }
        self.drain()
    }

    /// Waits for what was sent, and judges: the schedule begins anew after it.
    pub fn drain(&mut self) -> io::Result<()> {
        self.is_begun = false;
        self.traffic.drain(&mut self.swarm)?;
        let faults = self.traffic.faults();
        if faults.is_clean() { Ok(()) } else { Err(fault(format!("those who read on time: {faults:?}"))) }
    }

    /// Goes on reading, without a word, while something else is awaited.
    pub fn listen(&mut self, length: Duration) -> io::Result<()> {
        let until = Instant::now() + length;
        while Instant::now() < until {
            self.swarm.turn(TURN, &mut self.traffic)?;
        }
        Ok(())
    }

    /// Reads on until all of them are in the room.
    pub fn wait_for(&mut self, followers: &Followers, count: usize) -> io::Result<()> {
        let until = Instant::now() + JOIN_LIMIT;
        while followers.joined() < count as u64 {
            if Instant::now() > until || followers.is_over() {
                return Err(fault(format!("{} of {count} listeners came into the room", followers.joined())));
            }
            self.listen(Duration::from_millis(5))?;
        }
        Ok(())
    }
}

/// What listeners found, if it was nothing but the whole truth.
pub fn judged(seen: Seen) -> io::Result<Seen> {
    match seen.faults.first() {
        Some(first) => Err(fault(format!("{} listeners have faults; {first}", seen.faults.len()))),
        None => Ok(seen),
    }
}

/// How many messages a room has.
pub fn last_id(server: &Server, room: &str) -> io::Result<u64> {
    #[derive(serde::Deserialize)]
    struct List {
        total_count: u64,
    }
    let body = Fetcher::connect(server.address)?.get(&format!("/api/messages?room={room}&limit=1"))?;
    Ok(serde_json::from_slice::<List>(&body)?.total_count)
}

pub fn latency(name: &str, histogram: &Histogram) -> String {
    let [p50, p99, max] = [histogram.quantile(0.5), histogram.quantile(0.99), histogram.max()].map(milliseconds);
    format!("{name}: p50 {p50}, p99 {p99}, max {max} of {} deliveries", histogram.total())
}

pub fn milliseconds(ns: u64) -> String {
    format!("{:.2} ms", ns as f64 / 1e6)
}

pub fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
