//! Clients on a bad network and a server that crashes: in the end everyone has everything, once and in order.
//!
//! Connections are cut at random instants: some hang up, in the middle of a frame too, some say goodbye, half of
//! them just fall silent. They come back with jitter, from where they were, and say again what was not acked.

use std::io;
use std::time::{Duration, Instant};

use catchup_bench::fetch::Fetcher;
use catchup_bench::random::Random;
use catchup_bench::server::Server;
use catchup_bench::swarm::{Receiver, Swarm};
use catchup_bench::wire;
use serde::Deserialize;

use crate::person::{Counts, Frame, Person, hash};
use crate::scene::{Place, fault};

/// After the last cut: until then everyone has everything. A name may be held for 10 s.
const END_LIMIT: Duration = Duration::from_secs(45);
/// A connection that fell silent is hung up on after this, if the server has not done so.
const SILENCE_NS: u64 = 3_000_000_000;
/// Who is told that the name is in use waits, and tries again: the session's grace ends after 10 s.
const NAME_WAIT_MS: u64 = 1_000;

#[derive(clap::Args)]
pub struct Options {
    #[arg(long, default_value_t = 200)]
    clients: usize,
    /// Messages a second of all together
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    #[arg(long, default_value_t = 60.0)]
    seconds: f64,
    /// How often the server is killed (SIGKILL) and started again
    #[arg(long, default_value_t = 3)]
    kills: u32,
    #[arg(long, default_value_t = 1)]
    runs: u64,
    /// Of the first run; the next has the next
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub fn run(place: &Place, options: &Options) -> io::Result<()> {
    let mut faults = Vec::new();
    for seed in options.seed..options.seed + options.runs {
        match Run::start(place, options, seed).and_then(|mut run| run.all()) {
            Ok(told) => println!("seed {seed}: {told}: OK"),
            Err(error) => {
                println!("seed {seed}: FAULT: {error}");
                faults.push(seed);
            }
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(fault(format!("seeds {faults:?}"))) }
}

/// How a person stands with the network.
enum Link {
    /// Comes back then, on the swarm's clock.
    Away { until_ns: u64 },
    /// This connection, until then.
    Up { connection: usize, until_ns: u64 },
}

struct Crowd {
    people: Vec<Person>,
    links: Vec<Link>,
    /// Whose the connections of the swarm are, and whether they still count.
    owner: Vec<usize>,
    /// Who got into the room, who lost the connection (and with which close code).
    entered: Vec<usize>,
    lost: Vec<(usize, Option<u16>)>,
    fault: Option<String>,
}

impl Crowd {
    fn is_current(&self, client: usize) -> bool {
        matches!(self.links[self.owner[client]], Link::Up { connection, .. } if connection == client)
    }
}

impl Receiver for Crowd {
    fn frame(&mut self, client: usize, payload: &[u8], _: u64) {
        if !self.is_current(client) {
            return;
        }
        let person = &mut self.people[self.owner[client]];
        let was_in = person.is_in;
        let received = serde_json::from_slice::<Frame>(payload)
            .map_err(|error| format!("a frame that cannot be read ({error}): {}", String::from_utf8_lossy(payload)))
            .and_then(|frame| person.receive(&frame));
        if person.is_in && !was_in {
            self.entered.push(self.owner[client]);
        }
        if let Err(told) = received {
            self.fault.get_or_insert(format!("{}: {told}", person.name));
        }
    }

    fn closed(&mut self, client: usize, code: Option<u16>, _: u64) {
        if self.is_current(client) {
            self.lost.push((self.owner[client], code));
        }
    }
}

struct Run<'a> {
    options: &'a Options,
    server: Server,
    swarm: Swarm,
    crowd: Crowd,
    random: Random,
    /// Connections that fell silent, and when to hang up on them.
    silent: Vec<(u64, usize)>,
    said: u64,
    cuts: [u64; 4],
    server_closed: u64,
}

/// How a connection ends; what is none of these says goodbye.
const SILENT: usize = 0;
const MID_FRAME: usize = 1;
const HANG_UP: usize = 2;

impl<'a> Run<'a> {
    fn start(place: &Place, options: &'a Options, seed: u64) -> io::Result<Run<'a>> {
        let server = place.start()?;
        let swarm = Swarm::new(server.address, false)?;
        let mut random = Random::new(seed);
        let people: Vec<Person> = (0..options.clients).map(|index| Person::new(format!("p{index:04}"))).collect();
        let links = people.iter().map(|_| Link::Away { until_ns: random.below(1_000_000_000) }).collect();
        let crowd = Crowd { people, links, owner: Vec::new(), entered: Vec::new(), lost: Vec::new(), fault: None };
        Ok(Run { options, server, swarm, crowd, random, silent: Vec::new(), said: 0, cuts: [0; 4], server_closed: 0 })
    }

    fn all(&mut self) -> io::Result<String> {
        let begun_ns = self.swarm.now_ns();
        let length_ns = (self.options.seconds * 1e9) as u64;
        let end_ns = begun_ns + length_ns;
        let mut kills = 0;
        while self.swarm.now_ns() < end_ns {
            let now_ns = self.swarm.now_ns();
            let due = ((now_ns - begun_ns) as f64 / 1e9 * self.options.rate) as u64;
            while self.said < due {
                self.say();
            }
            self.turn(true)?;
            let kill_ns = begun_ns + length_ns * u64::from(kills + 1) / u64::from(self.options.kills + 1);
            if kills < self.options.kills && now_ns >= kill_ns {
                kills += 1;
                self.crash()?;
            }
        }
        let took = self.wait_for_all()?;
        self.judge()?;
        let mut sum = Counts::default();
        for person in &self.crowd.people {
            sum.frames += person.counts.frames;
            sum.acks += person.counts.acks;
            sum.resumed += person.counts.resumed;
            sum.names_taken += person.counts.names_taken;
        }
        let [silent, mid_frame, hang_up, goodbye] = self.cuts;
        Ok(format!(
            "{} messages, {} clients, {kills} kills; cut: {silent} silent, {mid_frame} mid-frame, {hang_up} hung up, \
             {goodbye} with goodbye; {} resumes, {} closed by the server, {} told that the name is in use; {} frames, {} acks; \
             all had all {took:.1?} after the end",
            self.said, self.options.clients, sum.resumed, self.server_closed, sum.names_taken, sum.frames, sum.acks
        ))
    }

    /// Somebody says something, now if there is a connection, later if not.
    fn say(&mut self) {
        self.said += 1;
        let index = self.random.below(self.crowd.people.len() as u64) as usize;
        // Mostly short, sometimes long enough to be cut anywhere.
        let length = if self.random.percent(5) { self.random.below(9_000) } else { self.random.below(120) };
        let person = &mut self.crowd.people[index];
        let text = format!("{} says {}: {}", person.name, person.said, "é x".repeat(length as usize / 4));
        let said = person.say(text);
        let frame = frame(&said.client_id, &said.text);
        if let (true, Link::Up { connection, .. }) = (self.crowd.people[index].is_in, &self.crowd.links[index]) {
            self.swarm.send(*connection, &frame);
        }
    }

    fn turn(&mut self, is_flaky: bool) -> io::Result<()> {
        self.swarm.turn(Duration::from_millis(1), &mut self.crowd)?;
        if let Some(told) = self.crowd.fault.take() {
            return Err(fault(told));
        }
        for index in std::mem::take(&mut self.crowd.entered) {
            if let Link::Up { connection, .. } = self.crowd.links[index] {
                for said in &self.crowd.people[index].unacked {
                    self.swarm.send(connection, &frame(&said.client_id, &said.text));
                }
            }
        }
        for (index, code) in std::mem::take(&mut self.crowd.lost) {
            self.lost(index, code)?;
        }
        let now_ns = self.swarm.now_ns();
        for index in 0..self.crowd.people.len() {
            match self.crowd.links[index] {
                Link::Away { until_ns } if now_ns >= until_ns => self.connect(index),
                Link::Up { connection, until_ns } if is_flaky && now_ns >= until_ns => self.cut(index, connection),
                _ => {}
            }
        }
        let (swarm, silent) = (&mut self.swarm, &mut self.silent);
        silent.retain(|(until_ns, connection)| {
            let stays = now_ns < *until_ns;
            if !stays {
                swarm.cut(*connection);
            }
            stays
        });
        Ok(())
    }

    /// The server has ended a connection, or is not there.
    fn lost(&mut self, index: usize, code: Option<u16>) -> io::Result<()> {
        let wait_ms = match code {
            None => self.random.below(300),
            Some(4500) => NAME_WAIT_MS + self.random.below(500),
            Some(code @ (1001 | 1012 | 4000..=4199)) => {
                self.server_closed += 1;
                u64::from(code) % 7 + self.random.below(300)
            }
            Some(code) => return Err(fault(format!("{} was closed with {code}", self.crowd.people[index].name))),
        };
        self.crowd.links[index] = Link::Away { until_ns: self.swarm.now_ns() + wait_ms * 1_000_000 };
        Ok(())
    }

    fn connect(&mut self, index: usize) {
        let now_ns = self.swarm.now_ns();
        let path = self.crowd.people[index].come_back();
        self.crowd.links[index] = match self.swarm.add(&path, None) {
            Ok(connection) => {
                self.crowd.owner.push(index);
                debug_assert_eq!(self.crowd.owner.len(), connection + 1, "the swarm numbers them in order");
                // One in ten hardly gets through the door.
                let life_ms =
                    if self.random.percent(10) { self.random.below(30) } else { 100 + self.random.below(5_000) };
                Link::Up { connection, until_ns: now_ns + life_ms * 1_000_000 }
            }
            // Nobody listens: the server is down.
            Err(_) => Link::Away { until_ns: now_ns + (50 + self.random.below(200)) * 1_000_000 },
        };
    }

    fn cut(&mut self, index: usize, connection: usize) {
        let now_ns = self.swarm.now_ns();
        let how = if self.random.percent(50) { SILENT } else { MID_FRAME + self.random.below(3) as usize };
        self.cuts[how] += 1;
        match how {
            SILENT => {
                self.swarm.abandon(connection);
                self.silent.push((now_ns + SILENCE_NS, connection));
            }
            MID_FRAME => {
                let person = &mut self.crowd.people[index];
                if person.is_in {
                    let text = format!("{} says {}: cut", person.name, person.said);
                    let said = person.say(text);
                    let frame = frame(&said.client_id, &said.text);
                    self.said += 1;
                    let part = 1 + self.random.below(frame.len() as u64 - 1) as usize;
                    self.swarm.send(connection, &frame[..part]);
                }
                self.swarm.cut(connection);
            }
            HANG_UP => self.swarm.cut(connection),
            _ => {
                let mut bytes = Vec::new();
                wire::append_masked_frame(&mut bytes, wire::CLOSE, &1000u16.to_be_bytes());
                if self.crowd.people[index].is_in {
                    self.swarm.send(connection, &bytes);
                }
                self.swarm.cut(connection);
            }
        }
        let away_ms = match self.random.below(100) {
            0..20 => 0,
            20..95 => self.random.below(800),
            // Longer than the server keeps the name.
            _ => 10_000 + self.random.below(2_000),
        };
        self.crowd.links[index] = Link::Away { until_ns: now_ns + away_ms * 1_000_000 };
    }

    fn crash(&mut self) -> io::Result<()> {
        self.server.kill()?;
        // Some notice and come back while nobody listens.
        let until = Instant::now() + Duration::from_millis(self.random.below(400));
        while Instant::now() < until {
            self.turn(true)?;
        }
        self.server.restart()
    }

    /// Nobody is cut any more: until everyone has everything, and everything is acked.
    fn wait_for_all(&mut self) -> io::Result<Duration> {
        let started = Instant::now();
        loop {
            self.turn(false)?;
            let mut missing = None;
            for person in &mut self.crowd.people {
                person.take_ahead();
                if person.last() < self.said || !person.unacked.is_empty() || !person.is_in {
                    missing.get_or_insert((person.name.clone(), person.last(), person.unacked.len(), person.is_in));
                }
            }
            let Some((name, last, unacked, is_in)) = missing else { return Ok(started.elapsed()) };
            if started.elapsed() > END_LIMIT {
                return Err(fault(format!(
                    "{END_LIMIT:?} after the end {name} (is in: {is_in}) has {last} of {} messages, {unacked} of its own not acked",
                    self.said
                )));
            }
        }
    }

    /// What everyone holds is what the server says that was said, and nothing that was said is missing.
    fn judge(&mut self) -> io::Result<()> {
        // Nobody may get anything more now.
        let until = Instant::now() + Duration::from_millis(300);
        while Instant::now() < until {
            self.turn(false)?;
        }
        #[derive(Deserialize)]
        struct List {
            messages: Vec<Stored>,
            total_count: u64,
        }
        #[derive(Deserialize)]
        struct Stored {
            id: u64,
            sender: String,
            message: String,
        }
        let body = Fetcher::connect(self.server.address)?.get("/api/messages")?;
        let list: List = serde_json::from_slice(&body)?;
        if list.total_count != self.said || list.messages.len() as u64 != self.said {
            let (count, listed, said) = (list.total_count, list.messages.len(), self.said);
            return Err(fault(format!("{said} messages were said, {listed} are listed, total_count is {count}")));
        }
        let mut numbers: std::collections::HashMap<&str, u64> = std::collections::HashMap::new();
        for (stored, want) in list.messages.iter().zip(1..) {
            let number = numbers.entry(&stored.sender).or_insert(0);
            let begins = format!("{} says {number}: ", stored.sender);
            if stored.id != want || !stored.message.starts_with(&begins) {
                let (id, is) = (stored.id, stored.message.chars().take(40).collect::<String>());
                return Err(fault(format!("message {id} stands where {want} should, and is {is:?}, want {begins:?}")));
            }
            *number += 1;
        }
        let want: Vec<u64> = list.messages.iter().map(|stored| hash(&stored.sender, &stored.message)).collect();
        for person in &self.crowd.people {
            if let Some(at) = (0..want.len()).find(|at| person.held().get(*at) != Some(&want[*at])) {
                return Err(fault(format!("{} holds another message {} than is stored", person.name, at + 1)));
            }
            if person.held().len() != want.len() {
                return Err(fault(format!("{} holds more than is stored", person.name)));
            }
        }
        Ok(())
    }
}

fn frame(client_id: &str, text: &str) -> Vec<u8> {
    #[derive(serde::Serialize)]
    struct Message<'a> {
        r#type: &'a str,
        message: &'a str,
        client_id: &'a str,
    }
    let message = Message { r#type: "message", message: text, client_id };
    let payload = serde_json::to_vec(&message).expect("two texts are JSON");
    let mut bytes = Vec::new();
    wire::append_masked_frame(&mut bytes, wire::TEXT, &payload);
    bytes
}
